"""Models on what Weakbox exports: training, inference, and honest numbers."""
