"""One file a public data set: a small tree in its exact layout, with images and annotations made up and known."""
