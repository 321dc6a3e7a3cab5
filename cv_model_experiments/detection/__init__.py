"""Finding lesions: RetinaNet by MONAI on patches, and a U-Net on ellipsoids, in 2-D and 3-D on one path."""
