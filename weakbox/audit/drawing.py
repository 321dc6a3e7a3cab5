"""Figures without a window, with the same bytes for the same data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from weakbox.runtime.store import write_bytes

DOTS_PER_INCH = 150
INK = "#1f2937"
PAPER = "#f8fafc"
ACCENT = "#2563eb"
MUTED = "#64748b"
PALETTE = ("#2563eb", "#f59e0b", "#10b981", "#8b5cf6", "#ef4444", "#0ea5e9", "#84cc16", "#64748b", "#d946ef", "#78716c")
"""Colours of series, in order; told apart in grey print by their lightness as well."""

_METADATA: dict[str, dict[str, Any]] = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
"""Neither a clock nor a version goes into a picture."""


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty white figure; sizes in inches."""
    figure = Figure(figsize=(width_in, height_in), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the name's ending. ``path`` is replaced whole."""
    content = io.BytesIO()
    with matplotlib.style.context("default"), matplotlib.rc_context({"svg.hashsalt": "weakbox"}):
        figure.savefig(content, format=path.suffix[1:], dpi=DOTS_PER_INCH, metadata=_METADATA[path.suffix])
    write_bytes(path, content.getvalue())
