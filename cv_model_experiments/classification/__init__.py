"""Classification of images, crops around boxes, and cases of several views."""
