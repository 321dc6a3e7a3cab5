"""A detector's predictions of images, one after the other, in the format that the evaluation reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cv_model_experiments.data.preparation import Preparation
from cv_model_experiments.data.store import LeftOut
from cv_model_experiments.detection.boxes import LEAST_SIDE
from cv_model_experiments.detection.data import files_of, preparation_of
from cv_model_experiments.detection.model_file import TrainedDetector
from cv_model_experiments.detection.targets import class_names
from cv_model_experiments.learning.memory import memory_errors_for_users
from cv_model_experiments.prediction.detection_maps import map_of_boxes, map_on_reference, write_map
from cv_model_experiments.prediction.ensemble import Ensembled, FusionChoice, View, find_with_all
from cv_model_experiments.prediction.fusion import Candidates, fused, no_candidates
from cv_model_experiments.predictions import PredictedBox, Prediction
from weakbox.imaging.volumes import read_volume_grid
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record

MEMORY_REMEDIES = "lower selection.windows_at_once or the windows (patches.size) with --set, take fewer models at once, or --device cpu"
_EDGE_DIGITS, _SCORE_DIGITS = 3, 6
Views = Callable[[ImageRow], list[View]]
"""An image as each model is shown it; raises ``InputError`` where it cannot be used."""


@record
class MapChoice:
    """Whether and how detection maps are written."""

    folder: Path
    """Of the predictions; maps lie in a folder in it."""
    images: Path
    """Folder of the set."""
    rule: str = "ellipsoid"
    """How boxes are painted: ``box`` or ``ellipsoid``."""


class FreshViews:
    """Prepares images as they are needed; nothing stays in memory or on disk. Models that are shown the same share the work."""

    def __init__(self, models: Sequence[TrainedDetector], folder: Path) -> None:
        self._models, self._folder = tuple(models), folder
        self._preparations: list[Preparation] = [preparation_of(model.settings.images) for model in models]

    def __call__(self, row: ImageRow) -> list[View]:
        """The views of one image."""
        made: dict[tuple[object, ...], View] = {}
        views = []
        for model, preparation in zip(self._models, self._preparations, strict=True):
            key = preparation.key_parts()
            if key not in made:
                prepared = preparation(files_of(row, self._folder, model.settings.images))
                made[key] = View(pixels=prepared.pixels, placement=prepared.placement)
            views.append(made[key])
        return views


def predict_images(
    models: Sequence[TrainedDetector],
    rows: Iterable[ImageRow],
    views: Views,
    choice: FusionChoice,
    device: torch.device,
    *,
    maps: MapChoice | None = None,
) -> Iterator[Prediction | LeftOut]:
    """What the models say of each image, in the order of the rows; an image that cannot be used gives the reason instead.

    The next image is read while one is looked at; no more than two are in memory.

    Raises:
        InputError: memory ran out.
    """
    names = class_names(models[0].settings.lesions)
    with torch.inference_mode(), memory_errors_for_users("to look at an image", MEMORY_REMEDIES):
        for row, ready in _ahead(rows, views):
            if isinstance(ready, LeftOut):
                yield ready
                continue
            found = find_with_all(models, ready, choice, device)
            yield _prediction(row, found, names, maps)


def _ahead(rows: Iterable[ImageRow], views: Views) -> Iterator[tuple[ImageRow, list[View] | LeftOut]]:
    def made(row: ImageRow) -> list[View] | LeftOut:
        try:
            return views(row)
        except InputError as error:
            return LeftOut(image_id=row.image_id, reason=str(error))

    with ThreadPoolExecutor(1, thread_name_prefix="images") as pool:
        waiting: deque[tuple[ImageRow, Future[list[View] | LeftOut]]] = deque()
        for row in rows:
            waiting.append((row, pool.submit(made, row)))
            if len(waiting) > 1:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _prediction(row: ImageRow, found: Ensembled, names: Sequence[str | None], maps: MapChoice | None) -> Prediction:
    boxes = predicted(found.candidates, names, extent_of(row))
    return Prediction(
        image_id=row.image_id,
        case_id=row.case_id,
        patient_id=row.patient_id,
        split=row.split or "test",
        boxes=boxes,
        detection_map_path=None if maps is None or row.slices is None else _written_map(row, found, boxes, maps),
    )


def extent_of(row: ImageRow) -> tuple[float, ...]:
    """Lengths of an image along x, y[, z]; infinite where not stated."""
    lengths = (row.columns, row.rows) if row.slices is None else (row.columns, row.rows, row.slices)
    return tuple(np.inf if length is None else float(length) for length in lengths)


def predicted(candidates: Candidates, names: Sequence[str | None], extent: Sequence[float]) -> tuple[PredictedBox, ...]:
    """Candidates cut at the image and rounded, so that figures do not hang on the last bits of a device; best first."""
    boxes = []
    for edges, score, number in zip(candidates.boxes, candidates.scores, candidates.classes, strict=True):
        cut = np.round(np.clip(edges, 0.0, np.array(extent)), _EDGE_DIGITS)
        value = round(float(min(1.0, score)), _SCORE_DIGITS)
        if value > 0 and bool(np.all(cut[1] - cut[0] > LEAST_SIDE)):
            boxes.append(PredictedBox(start=_numbers(cut[0]), stop=_numbers(cut[1]), score=value, label=names[int(number)]))
    return tuple(sorted(boxes, key=lambda box: (-box.score, box.start, box.stop)))


def _numbers(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _written_map(row: ImageRow, found: Ensembled, boxes: Sequence[PredictedBox], maps: MapChoice) -> str:
    reference = maps.images / row.image_path
    shape = read_volume_grid(reference, None).shape[::-1]
    if found.detection_map is not None and found.placement is not None:
        painted = map_on_reference(found.detection_map, found.placement, shape)
    else:
        painted = map_of_boxes(boxes, shape, maps.rule)
    return write_map(painted, reference, maps.folder, row.image_id)


def fuse_predictions(said: Sequence[Prediction], names: Sequence[str | None], overlap: float, most: int) -> Prediction:
    """What several models said of one image made one, by weighted box fusion."""
    numbers: Mapping[str | None, int] = {name: number for number, name in enumerate(names)}
    axes = next((len(box.start) for one in said for box in one.boxes), 0)
    if not axes:
        return replace(said[0], fold=None, detection_map_path=None)
    sources = [_candidates(one.boxes, numbers, axes) for one in said]
    boxes = predicted(fused(sources, overlap, most), names, (np.inf,) * axes)
    return replace(said[0], boxes=boxes, fold=None, detection_map_path=None)


def _candidates(boxes: Sequence[PredictedBox], numbers: Mapping[str | None, int], axes: int) -> Candidates:
    if not boxes:
        return no_candidates(axes)
    return Candidates(
        boxes=np.array([[box.start, box.stop] for box in boxes], float),
        scores=np.array([box.score for box in boxes]),
        classes=np.array([numbers[box.label] for box in boxes], np.int64),
    )
