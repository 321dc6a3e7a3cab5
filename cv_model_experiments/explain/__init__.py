"""Where a model looks: Grad-CAM, Grad-CAM++ and occlusion, drawn over the image with its box and label."""
