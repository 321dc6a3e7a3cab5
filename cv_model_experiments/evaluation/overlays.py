"""Sample pictures of a model: the truth and its candidates on the image, misses and false alarms first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.cases import axes_of, target_boxes
from cv_model_experiments.evaluation.detection import Detections, candidates_of
from cv_model_experiments.evaluation.operating_point import OperatingPoint
from cv_model_experiments.evaluation.report import EvaluationReport, ModelReport
from weakbox.audit.drawing import INK, new_figure, save_figure
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
SIDE = 320
TRUE_COLOUR, CANDIDATE_COLOUR = "#facc15", "#22d3ee"
MOST_CANDIDATES = 5
"""Boxes drawn an image, by falling score."""

Rectangle2D = tuple[Sequence[float], Sequence[float]]


def write_overlays(report: EvaluationReport, set_folder: Path, folder: Path) -> tuple[Path, ...]:
    """One sheet a detector, ``overlays_<number>.png`` in the order of the models; images that are not on disk are left out."""
    written = []
    for number, model in enumerate(report.models, 1):
        if model.detections is None or not report.settings.overlays:
            continue
        rows = [row for row in _chosen(model.detections, report.settings.overlays, model) if (set_folder / row.image_path).is_file()]
        if rows:
            path = folder / f"overlays_{number}.png"
            _sheet(model, rows, report, set_folder, path)
            written.append(path)
    return tuple(written)


def _chosen(detections: Detections, most: int, model: ModelReport) -> list[ImageRow]:
    """In turn: missed lesions, the most confident false alarms, and the most confident hits."""
    threshold = model.lesion_point.threshold if isinstance(model.lesion_point, OperatingPoint) else 0.0
    rows = {row.image_id: row for unit in detections.units for row in unit.rows}
    entries = sorted(detections.entries, key=lambda entry: (-entry.score, entry.image_id))
    kinds = (
        [entry.image_id for entry in entries if entry.is_lesion and (entry.score < threshold or entry.score == 0)],
        [entry.image_id for entry in entries if not entry.is_lesion],
        [entry.image_id for entry in entries if entry.is_lesion and entry.score >= threshold and entry.score > 0],
    )
    in_turn = sorted((turn, kind, name) for kind, names in enumerate(kinds) for turn, name in enumerate(dict.fromkeys(names)))
    return [rows[name] for name in list(dict.fromkeys(name for _, _, name in in_turn))[:most]]


def _sheet(model: ModelReport, rows: Sequence[ImageRow], report: EvaluationReport, set_folder: Path, path: Path) -> None:
    lines = -(-len(rows) // COLUMNS)
    figure = new_figure(2.3 * COLUMNS, 2.6 * lines)
    for place, row in enumerate(rows, 1):
        axes = figure.add_subplot(lines, COLUMNS, place)
        _draw(axes, row, model, report, set_folder)
    figure.suptitle(f"{model.name}: truth solid, candidates dashed", fontsize=8, color=INK)
    figure.tight_layout(pad=0.4)
    save_figure(figure, path)


def _draw(axes: Axes, row: ImageRow, model: ModelReport, report: EvaluationReport, set_folder: Path) -> None:
    from matplotlib.patches import Rectangle

    candidates = sorted(candidates_of(model.data.evaluated.get(row.image_id), row, report.settings), key=lambda box: -box.score)[
        :MOST_CANDIDATES
    ]
    targets = target_boxes(row, report.settings)
    shown: list[tuple[Any, str, str, str]] = [(box, TRUE_COLOUR, "-", "") for box in targets]
    shown += [(box, CANDIDATE_COLOUR, "--", f"{box.score:.2f}") for box in candidates]
    depth = _slice_of([*targets, *candidates]) if axes_of(row) == 3 else None
    picture, scale = _picture(set_folder / row.image_path, depth)
    axes.imshow(picture, cmap="gray")
    for box, colour, line, text in shown:
        if depth is not None and not box.start[2] <= depth < box.stop[2]:
            continue
        start, stop = np.array(box.start[:2]) * scale - 0.5, np.array(box.stop[:2]) * scale - 0.5
        axes.add_patch(Rectangle(tuple(start), *(stop - start), fill=False, edgecolor=colour, linewidth=1.1, linestyle=line))
        axes.text(start[0], start[1] - 1, text, fontsize=5, color=colour, va="bottom")
    axes.set_title(row.image_id if depth is None else f"{row.image_id}, slice {depth + 1}", fontsize=5, color=INK)
    axes.set_axis_off()


def _slice_of(boxes: Sequence[Any]) -> int:
    """The middle slice of the first box: the truth, else the best candidate."""
    return int((boxes[0].start[2] + boxes[0].stop[2]) / 2) if boxes else 0


def _picture(path: Path, depth: int | None) -> tuple[NDArray[Any], float]:
    """The image or slice at most ``SIDE`` pixels wide, windowed to its 1st to 99th percentile, and its scale.

    Raises:
        InputError: the image cannot be read.
    """
    import SimpleITK as sitk

    try:
        volume = sitk.ReadImage(str(path))
    except RuntimeError:
        msg = f"{path.name}: this image of the set cannot be read; export it again"
        raise InputError(msg) from None
    array = np.asarray(sitk.GetArrayFromImage(volume))
    if depth is not None:
        array = array[min(depth, len(array) - 1)]
    step = max(1, -(-max(array.shape[:2]) // SIDE))
    small = array[::step, ::step].astype(float)
    if small.ndim == 3:
        return small / max(1.0, small.max()), 1 / step
    low, high = np.nanpercentile(small, [1, 99])
    return np.clip((small - low) / max(high - low, 1e-6), 0, 1), 1 / step


def captions(files: Sequence[Path], report: EvaluationReport) -> Mapping[Path, str]:
    """What each sheet shows."""
    return {path: f"{report.models[int(path.stem.split('_')[1]) - 1].name}: misses, false alarms and hits." for path in files}
