"""Losses, each for a sample, so that weights of samples multiply them."""
