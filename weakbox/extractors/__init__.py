"""One file a way to read a report."""
