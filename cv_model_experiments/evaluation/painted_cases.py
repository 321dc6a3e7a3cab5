"""picai scores of a part of the set: predicted boxes painted as detection maps, against masks where the set has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.boxes import box_array, overlaps
from cv_model_experiments.evaluation.cases import Unit, target_boxes
from cv_model_experiments.evaluation.detection import candidates_of
from cv_model_experiments.evaluation.detection_maps import CaseResult, picai_library, score_case
from cv_model_experiments.evaluation.painting import paint_boxes, paint_ellipsoids
from cv_model_experiments.evaluation.settings import EvaluationSettings
from cv_model_experiments.predictions import PredictedBox, Prediction
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.records.record import record


@record
class PaintedScores:
    """Results a unit, in the order of ``units``, and what the painting left out."""

    units: tuple[Unit, ...]
    results: tuple[CaseResult, ...]
    notes: tuple[str, ...]


def score_units(
    units: Sequence[Unit], predictions: Mapping[str, Prediction], set_folder: Path, maps_folder: Path | None, settings: EvaluationSettings
) -> PaintedScores:
    """Score every unit that can be judged by lesions and whose images state their size. A unit of several images has the entries of all,
    and the highest of their confidences.

    Raises:
        InputError: a mask or detection map that is missing, unreadable or of another size than its image.
    """
    picai_library()
    judged = tuple(unit for unit in units if unit.is_located and all(shape_of(row) is not None for row in unit.rows))
    left_out: Counter[str] = Counter()
    truth: Counter[str] = Counter()
    results = []
    for unit in judged:
        images = [
            _score_image(row, predictions.get(row.image_id), (set_folder, maps_folder), settings, left_out, truth) for row in unit.rows
        ]
        results.append(
            CaseResult(
                case=unit.unit_id,
                lesions=tuple(entry for image in images for entry in image.lesions),
                confidence=max(image.confidence for image in images),
            )
        )
    notes = (
        [f"picai truth: {', '.join(f'{count} images with lesions from {name}' for name, count in sorted(truth.items()))}"] if truth else []
    )
    notes += [f"painting left out {count} candidates ({reason})" for reason, count in sorted(left_out.items())]
    if len(judged) < len(units):
        notes.append(
            f"picai: {len(units) - len(judged)} of {len(units)} units are not scored (class or place of lesions, or image size, not stated)"
        )
    return PaintedScores(units=judged, results=tuple(results), notes=tuple(notes))


def shape_of(row: ImageRow) -> tuple[int, int, int] | None:
    """(slices, rows, columns); None where not stated."""
    if row.rows is None or row.columns is None:
        return None
    return row.slices or 1, row.rows, row.columns


def _score_image(
    row: ImageRow,
    prediction: Prediction | None,
    folders: tuple[Path, Path | None],
    settings: EvaluationSettings,
    left_out: Counter[str],
    truth: Counter[str],
) -> CaseResult:
    shape = shape_of(row)
    assert shape is not None, "callers keep images that state their size"
    targets = target_boxes(row, settings)
    label, source = label_of(row, targets, folders[0], shape)
    if targets:
        truth[source] += 1
    if prediction is not None and prediction.detection_map_path is not None:
        detection_map = _read_volume((folders[1] or folders[0]) / prediction.detection_map_path, row, shape)
    else:
        candidates = candidates_of(prediction, row, settings)
        paint = paint_boxes if settings.painting.shape == "box" else paint_ellipsoids
        painted = paint(candidates, shape, gap=settings.painting.gap, smallest=settings.painting.smallest)
        left_out.update(painted.left_out)
        detection_map = painted.detection_map
    return score_case(row.image_id, detection_map, label)


def label_of(row: ImageRow, targets: Sequence[ImageBox], set_folder: Path, shape: tuple[int, int, int]) -> tuple[NDArray[np.int32], str]:
    """The lesions that shall be found as a label (slices, rows, columns) of 0 and 1, and what it comes from: ``masks``, ``boxes`` ...."""
    if not targets:
        return np.zeros(shape, dtype=np.int32), "nothing"
    if row.mask_path is None:
        return (_painted(targets, shape) > 0).astype(np.int32), "boxes"
    mask = _read_volume(set_folder / row.mask_path, row, shape)
    wanted = [value for value, box in _boxes_of_values(row, mask).items() if box in targets]
    return np.isin(mask, wanted).astype(np.int32), _kind_of_mask(row.mask_path)


def _kind_of_mask(path: str) -> str:
    """Ellipsoids that the export drew into boxes are called by their name: they are no one's outline."""
    return "ellipsoids in boxes" if "ellipsoid" in Path(path).name else "masks"


def _painted(targets: Sequence[ImageBox], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    # Truth keeps all its boxes: two lesions that touch are one component for picai_eval, as in any label.
    maps = [paint_boxes([PredictedBox(start=box.start, stop=box.stop, score=1.0)], shape).detection_map for box in targets]
    return np.asarray(np.maximum.reduce(maps))


def _boxes_of_values(row: ImageRow, mask: NDArray[Any]) -> dict[int, ImageBox]:
    """Each value of a mask and its lesion: the box that overlaps the extent of the value's voxels best."""
    found: dict[int, ImageBox] = {}
    for value in (int(value) for value in np.unique(mask) if value != 0):
        places = np.argwhere(mask == value)
        axes = len(row.boxes[0].start)
        extent = box_array([(places.min(axis=0)[::-1][:axes], places.max(axis=0)[::-1][:axes] + 1)], axes)
        shared = overlaps(extent, box_array([(box.start, box.stop) for box in row.boxes], axes))[0]
        if shared.max() <= 0:
            msg = f"{row.image_id}: value {value} of its mask overlaps none of its boxes; mask and boxes are of different images"
            raise InputError(msg)
        found[value] = row.boxes[int(shared.argmax())]
    return found


def _read_volume(path: Path, row: ImageRow, shape: tuple[int, int, int]) -> NDArray[Any]:
    if not path.is_file():
        msg = f"{row.image_id}: {path.name} is missing; the set on disk is not whole, export it again"
        raise InputError(msg)
    import SimpleITK as sitk

    try:
        array = np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    except RuntimeError:
        msg = f"{row.image_id}: {path.name} cannot be read; export it again"
        raise InputError(msg) from None
    array = array[None] if array.ndim == 2 else array
    if array.shape != shape:
        msg = f"{row.image_id}: {path.name} is {array.shape}, the image {shape} (slices, rows, columns); it belongs to another image"
        raise InputError(msg)
    return array
