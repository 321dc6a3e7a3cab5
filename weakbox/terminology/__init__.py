"""Published scales and codes, each with its source."""
