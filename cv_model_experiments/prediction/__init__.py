"""From trained models to boxes, detection maps and class probabilities of any exported set."""
