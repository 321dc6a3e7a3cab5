"""Judges what was read against reports with gold answers."""
