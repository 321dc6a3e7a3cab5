"""Pictures of the joined set. The same rows give the same bytes; a picture without data is not made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weakbox.audit.drawing import ACCENT, INK, MUTED, PALETTE, new_figure, save_figure
from weakbox.audit.image_set import AGE_NAMES, DESCRIBED, NOT_STATED, SetDescription
from weakbox.records.image_set import ImageRow

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASS_COLOURS = {
    "normal": "#94a3b8",
    "benign": "#60a5fa",
    "malignant": "#dc2626",
    "no_csPCa": "#2dd4bf",
    "csPCa": "#ea580c",
    NOT_STATED: "#e2e8f0",
}
PARTS = ("train", "validation", "test")
MOSAIC_COLUMNS, MOSAIC_ROWS = 5, 3
MOSAIC_SIDE = 220
AGE_BINS = [float(age) for age in range(0, 105, 5)]


def write_set_figures(
    frame: pd.DataFrame, shown: Sequence[ImageRow], description: SetDescription, set_folder: Path, folder: Path
) -> tuple[Path, ...]:
    """Draw everything that has data into ``folder``; ``shown`` are the rows whose images are pictured. Returns the files, sorted."""
    makers: Mapping[str, Callable[[], Figure | None]] = {
        "classes_by_dataset.png": lambda: stacked(description.datasets, "Images by data set and class", "images"),
        "classes_by_split.png": lambda: split_shares(frame),
        "tiers.png": lambda: stacked(description.tiers, "Where labels come from, by class", "images"),
        "label_sources.png": lambda: stacked(description.label_sources, "What classes rest on", "images"),
        "ages.png": lambda: ages(frame),
        "facts.png": lambda: facts(description.facts),
        "image_sizes.png": lambda: image_sizes(frame),
        "box_sizes.png": lambda: box_sizes(frame),
        "missing.png": lambda: missing(description.missing),
        "birads_by_class.png": lambda: stacked(
            description.birads_by_class, "BI-RADS of images whose class rests on something else", "images"
        ),
        "associations.png": lambda: associations(description.associations),
        "examples.png": lambda: examples(shown, set_folder),
    }
    made = {folder / name: maker() for name, maker in sorted(makers.items())}
    for path, figure in made.items():
        if figure is not None:
            save_figure(figure, path)
    return tuple(path for path, figure in made.items() if figure is not None)


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A colour for each class: the known ones have their own, others follow the palette."""
    others = [name for name in names if name not in CLASS_COLOURS]
    return {**CLASS_COLOURS, **{name: PALETTE[index % len(PALETTE)] for index, name in enumerate(others)}}


def stacked(table: Mapping[str, Mapping[str, int]], title: str, unit: str) -> Figure | None:
    """Horizontal bars, one a row of the table, in pieces by column."""
    if not table:
        return None
    columns = sorted({column for counts in table.values() for column in counts})
    colours = colours_of(columns)
    figure = new_figure(7.6, 1.3 + 0.36 * len(table))
    axes = figure.add_subplot()
    left = np.zeros(len(table))
    for column in columns:
        widths = np.array([counts.get(column, 0) for counts in table.values()], dtype=float)
        axes.barh(list(table), widths, left=left, color=colours[column], label=column, edgecolor="white", linewidth=0.5)
        left += widths
    for place, total in enumerate(left):
        axes.text(total, place, f" {int(total):,}", va="center", fontsize=7, color=MUTED)
    axes.set_xlim(0, left.max() * 1.12)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    _finish(axes, title, unit)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    return figure


def split_shares(frame: pd.DataFrame) -> Figure | None:
    """For each data set, how each class is shared out over train, validation and test."""
    known = frame[frame["split"].isin(PARTS) & frame["label"].notna()]
    if known.empty:
        return None
    groups = list(known.groupby(["dataset", "label"], sort=True))
    figure = new_figure(7.6, 1.3 + 0.3 * len(groups))
    axes = figure.add_subplot()
    names = [f"{dataset}: {label} ({len(part):,})" for (dataset, label), part in groups]
    left = np.zeros(len(groups))
    for name, colour in zip(PARTS, (ACCENT, "#f59e0b", "#10b981"), strict=True):
        widths = np.array([float((part["split"] == name).mean()) for _, part in groups])
        axes.barh(names, widths, left=left, color=colour, label=name, edgecolor="white", linewidth=0.5)
        left += widths
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    _finish(axes, "How each class is shared out", "share of images")
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    return figure


def ages(frame: pd.DataFrame) -> Figure | None:
    """Ages by class, as shares within the class."""
    known = frame[frame["age_years"].notna()]
    if known.empty:
        return None
    figure = new_figure(7.6, 3.0)
    axes = figure.add_subplot()
    classes = known["label"].fillna(NOT_STATED)
    colours = colours_of(sorted(classes.unique()))
    for name in sorted(classes.unique()):
        values = known.loc[classes == name, "age_years"].astype(float)
        weights = np.full(len(values), 1 / len(values))
        legend = f"{name} (n = {len(values):,})"
        axes.hist(values, AGE_BINS, weights=weights, histtype="step", linewidth=1.8, color=colours[name], label=legend)
    _finish(axes, "Age", "years")
    axes.set_ylabel("share of the class", fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    return figure


def facts(table: Mapping[str, Mapping[str, int]]) -> Figure | None:
    """One small bar chart a fact."""
    shown = {name: counts for name, counts in table.items() if set(counts) - {NOT_STATED}}
    if not shown:
        return None
    figure = new_figure(7.6, 2.4 * ((len(shown) + 2) // 3))
    for place, (name, counts) in enumerate(shown.items(), 1):
        axes = figure.add_subplot((len(shown) + 2) // 3, 3, place)
        ranked = _in_order(name, counts)[:8]
        colours = [CLASS_COLOURS[NOT_STATED] if value == NOT_STATED else ACCENT for value, _ in ranked]
        axes.barh([value for value, _ in ranked], [count for _, count in ranked], color=colours)
        axes.invert_yaxis()
        _finish(axes, name.replace("_", " "), "")
    figure.tight_layout()
    return figure


def _in_order(fact: str, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Most frequent first, ages by age; not stated last."""
    ages_first = AGE_NAMES if fact == "age_group" else ()
    rank = {name: place for place, name in enumerate(ages_first)}
    return sorted(counts.items(), key=lambda pair: (pair[0] == NOT_STATED, rank.get(pair[0], 0), -pair[1], pair[0]))


def image_sizes(frame: pd.DataFrame) -> Figure | None:
    """Width against height of the exported images, by data set."""
    known = frame[frame["columns"].notna()]
    if known.empty:
        return None
    figure = new_figure(5.4, 4.2)
    axes = figure.add_subplot()
    for place, (name, part) in enumerate(known.groupby("dataset", sort=True)):
        sizes = part.groupby(["columns", "rows"]).size()
        widths, heights = (sizes.index.get_level_values(level).to_numpy(dtype=float) for level in (0, 1))
        area = 12 + 6 * np.log2(sizes.to_numpy(dtype=float))
        axes.scatter(widths, heights, s=area, alpha=0.6, color=PALETTE[place % len(PALETTE)], label=name, linewidths=0)
    _finish(axes, "Image sizes (area of a dot: how many)", "columns")
    axes.set_ylabel("rows", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    return figure


def box_sizes(frame: pd.DataFrame) -> Figure | None:
    """Longest side of boxes in mm where the spacing is known, and their share of the image."""
    millimetres = np.array([value for values in frame["box_mm"] for value in values])
    shares = np.array([value for values in frame["box_shares"] for value in values])
    longest = float(np.quantile(millimetres, 0.99)) if millimetres.size else 0.0
    panels = (
        (millimetres, "Longest side of boxes (mm)", np.linspace(0, max(1.0, longest), 30).tolist()),
        (shares, "Box as a share of its image", np.logspace(-5, 0, 30).tolist()),
    )
    shown = [(values, title, bins) for values, title, bins in panels if values.size]
    if not shown:
        return None
    figure = new_figure(7.6, 2.8)
    for place, (values, title, bins) in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), place)
        axes.hist(values, bins=bins, color=ACCENT)
        if values is shares:
            axes.set_xscale("log")
        _finish(axes, f"{title}, n = {values.size:,}", "")
    figure.tight_layout()
    return figure


def missing(table: Mapping[str, Mapping[str, float]]) -> Figure | None:
    """Share of images without each field, by data set."""
    if not table:
        return None
    figure = new_figure(7.6, 1.6 + 0.34 * len(table))
    axes = figure.add_subplot()
    values = np.array([[fields[name] for name in DESCRIBED] for fields in table.values()])
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        axes.text(
            column,
            row,
            f"{values[row, column]:.0%}",
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if values[row, column] > 0.6 else INK,
        )
    axes.set_xticks(range(len(DESCRIBED)), [name.replace("_", " ") for name in DESCRIBED], fontsize=7, rotation=35, ha="right")
    axes.set_yticks(range(len(table)), list(table), fontsize=7)
    axes.set_title("Not stated", fontsize=9, color=INK, loc="left")
    axes.tick_params(length=0)
    figure.tight_layout()
    return figure


def associations(values: Mapping[str, float]) -> Figure | None:
    """How far each fact gives the class away."""
    if not values:
        return None
    figure = new_figure(6.2, 1.2 + 0.28 * len(values))
    axes = figure.add_subplot()
    ranked = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    axes.barh([name for name, _ in ranked], [value for _, value in ranked], color=ACCENT)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    _finish(axes, "How far a fact gives the class away", "Cramer's V (0 nothing, 1 wholly)")
    figure.tight_layout()
    return figure


def examples(chosen: Sequence[ImageRow], set_folder: Path) -> Figure | None:
    """Images with their boxes."""
    from matplotlib.patches import Rectangle

    if not chosen:
        return None
    lines = -(-len(chosen) // MOSAIC_COLUMNS)
    figure = new_figure(1.6 * MOSAIC_COLUMNS, 1.85 * lines)
    for place, row in enumerate(chosen, 1):
        axes = figure.add_subplot(lines, MOSAIC_COLUMNS, place)
        picture, scale = _thumbnail(set_folder / row.image_path)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        for box in row.boxes:
            (x0, y0), (x1, y1) = np.array(box.start) * scale - 0.5, np.array(box.stop) * scale - 0.5
            colour = colours_of([str(box.label)])[box.label or NOT_STATED]
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2))
        axes.set_title(f"{row.dataset}\n{row.label or NOT_STATED}", fontsize=6, color=INK)
        axes.set_axis_off()
    figure.tight_layout(pad=0.3)
    return figure


def chosen_examples(rows: Iterable[ImageRow]) -> list[ImageRow]:
    """2-D rows to picture, of each data set and class in turn: those whose identifiers hash first. Keeps few rows in memory."""
    first: dict[tuple[str, str], list[tuple[bytes, ImageRow]]] = {}
    for row in rows:
        if row.slices is None:
            kept = first.setdefault((row.dataset, row.label or ""), [])
            kept.append((hashlib.sha256(row.image_id.encode()).digest(), row))
            kept.sort(key=lambda pair: pair[0])
            del kept[MOSAIC_COLUMNS * MOSAIC_ROWS :]
    in_turn = [(turn, place, row) for turn_rows in first.values() for turn, (place, row) in enumerate(turn_rows)]
    return [row for _, _, row in sorted(in_turn, key=lambda item: item[:2])[: MOSAIC_COLUMNS * MOSAIC_ROWS]]


def _thumbnail(path: Path) -> tuple[np.ndarray, float]:
    from PIL import Image

    with Image.open(path) as picture:
        scale = MOSAIC_SIDE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        is_deep = picture.mode.startswith("I")
        values = np.asarray(picture.resize(size))
    return (values / 256 if is_deep else values), scale


def _finish(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xlabel(label, fontsize=8, color=MUTED)
    axes.tick_params(labelsize=7, colors=MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
