"""Timings against a named peer or a physical floor, in the same run. ``uv run python -m benchmarks.run`` writes ``docs/benchmarks.md``."""
