"""Metrics of detection and classification, with intervals, tests and subgroups."""
