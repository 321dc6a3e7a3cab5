"""A few plots where one would rather look than read. The same records give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.runtime.store import Store
from weakbox.terminology.pirads import MAXIMUM_CATEGORY, MINIMUM_CATEGORY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOX_BIN_MM = 2.0
CONFIDENCE_BINS = 20
PATHOLOGY_COLUMNS = ("not tested", "benign", "not significant", "ISUP 1", "ISUP 2", "ISUP 3", "ISUP 4", "ISUP 5", "not graded")
CLASS_COLOURS = ("#94a3b8", "#60a5fa", "#a7f3d0", "#fde68a", "#fbbf24", "#f97316", "#dc2626", "#7f1d1d", "#a78bfa")
"""Grey and blue for what is no cancer, darkening from yellow to red with the grade."""

AXIS_NAMES = ("left-right", "antero-posterior", "cranio-caudal")


def write_figures(store: Store, folder: Path) -> tuple[Path, ...]:
    """Plot the labels of a run into ``folder``; a plot without data is not made. Returns the files, sorted."""
    from weakbox.audit.drawing import save_figure

    labels = [label for case in store.read_all("postprocessing") if isinstance(case, CuratedCase) for label in case.labels]
    if not labels:
        return ()
    figures = {
        "labels_by_tier.png": labels_by_tier(labels),
        "box_sizes.png": box_sizes(labels),
        "confidence.png": confidences(labels),
        "pirads_by_isup.png": pirads_by_isup(labels),
    }
    made = {folder / name: figure for name, figure in sorted(figures.items()) if figure is not None}
    for path, figure in made.items():
        save_figure(figure, path)
    return tuple(made)


def pathology_column(label: WeakLabel) -> str:
    """Which column of the table of PI-RADS by pathology a label belongs to."""
    if label.status is LesionStatus.UNTESTED:
        return PATHOLOGY_COLUMNS[0]
    if label.status is LesionStatus.BENIGN:
        return PATHOLOGY_COLUMNS[1]
    if label.status is LesionStatus.NOT_SIGNIFICANT:
        return PATHOLOGY_COLUMNS[2]
    return f"ISUP {label.isup_grade}" if label.isup_grade is not None else PATHOLOGY_COLUMNS[-1]


def cross_table(labels: Sequence[WeakLabel]) -> np.ndarray:
    """Counts [PI-RADS row, pathology column]: rows are PI-RADS 1..5 and, last, not stated."""
    counts = Counter((label.pirads, pathology_column(label)) for label in labels)
    rows = (*range(MINIMUM_CATEGORY, MAXIMUM_CATEGORY + 1), None)
    return np.array([[counts[row, column] for column in PATHOLOGY_COLUMNS] for row in rows])


def labels_by_tier(labels: Sequence[WeakLabel]) -> Figure:
    """Stacked bars: how many labels each tier has, by class."""
    from weakbox.audit.drawing import new_figure

    counts = Counter((label.tier, pathology_column(label)) for label in labels)
    tiers = [tier for tier in Tier if any(label.tier is tier for label in labels)]
    figure = new_figure(8.0, 1.6 + 0.5 * len(tiers))
    axes = figure.add_axes((0.2, 0.28, 0.55, 0.6))
    left = np.zeros(len(tiers))
    for colour, column in zip(CLASS_COLOURS, PATHOLOGY_COLUMNS, strict=True):
        width = np.array([counts[tier, column] for tier in tiers])
        if width.any():
            axes.barh(range(len(tiers)), width, left=left, color=colour, label=column)
            left += width
    axes.set_yticks(range(len(tiers)), [tier.value.replace("_", " ") for tier in tiers])
    axes.invert_yaxis()
    _finish(axes, "Labels by tier and class", "labels", "")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=8)
    return figure


def box_sizes(labels: Sequence[WeakLabel]) -> Figure | None:
    """Histograms of the boxes' edges along the patient's axes, mm; None without boxes."""
    from weakbox.audit.drawing import PALETTE, new_figure

    boxes = [label.box for label in labels if label.box is not None]
    if not boxes:
        return None
    extents = np.array([np.ptp(np.array(box.corners), axis=0) for box in boxes])
    edges = [float(edge) for edge in np.arange(0.0, extents.max() + 2 * BOX_BIN_MM, BOX_BIN_MM)]
    figure = new_figure(7.0, 5.4)
    for number, name in enumerate(AXIS_NAMES):
        axes = figure.add_axes((0.1, 0.7 - 0.29 * number, 0.85, 0.2))
        axes.hist(extents[:, number], bins=edges, color=PALETTE[number])
        median = float(np.median(extents[:, number]))
        axes.axvline(median, color="black", lw=1)
        title = f"Box extent {name}, median {median:.1f} mm, {len(boxes)} boxes"
        _finish(axes, title, "mm" if number == len(AXIS_NAMES) - 1 else "", "labels")
    return figure


def confidences(labels: Sequence[WeakLabel]) -> Figure:
    """Histogram of the labels' confidence, stacked by whether a person should look."""
    from weakbox.audit.drawing import PALETTE, new_figure

    figure = new_figure(7.0, 3.2)
    axes = figure.add_axes((0.1, 0.17, 0.85, 0.7))
    sure = [label.confidence for label in labels if not label.needs_review]
    unsure = [label.confidence for label in labels if label.needs_review]
    names = [f"no remark ({len(sure)})", f"to review ({len(unsure)})"]
    axes.hist([sure, unsure], bins=CONFIDENCE_BINS, range=(0.0, 1.0), stacked=True, color=PALETTE[:2], label=names)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=8)
    _finish(axes, "Confidence of the labels", "confidence", "labels")
    return figure


def pirads_by_isup(labels: Sequence[WeakLabel]) -> Figure:
    """Heat map of PI-RADS against pathology, with the counts written in."""
    from weakbox.audit.drawing import new_figure

    table = cross_table(labels)
    figure = new_figure(7.6, 4.0)
    axes = figure.add_axes((0.15, 0.2, 0.82, 0.68))
    axes.imshow(table, cmap="Blues", aspect="auto", vmin=0, vmax=max(int(table.max()), 1))
    for (row, column), count in np.ndenumerate(table):
        if count:
            is_dark = count > table.max() / 2
            axes.text(column, row, str(count), ha="center", va="center", fontsize=9, color="white" if is_dark else "black")
    axes.set_xticks(range(len(PATHOLOGY_COLUMNS)), PATHOLOGY_COLUMNS, rotation=25, ha="right", fontsize=8)
    axes.set_yticks(range(len(table)), [*(str(n) for n in range(MINIMUM_CATEGORY, MAXIMUM_CATEGORY + 1)), "not stated"])
    axes.set_ylabel("PI-RADS", fontsize=9)
    axes.set_title("PI-RADS of the report against the tissue", fontsize=10, loc="left")
    return figure


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
