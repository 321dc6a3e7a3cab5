"""Pictures of what models looked at for the surest predictions of a run, and a table of where the evidence peaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.classification.model_file import TrainedClassifier
from cv_model_experiments.classification.samples import preparation_of
from cv_model_experiments.data.placement import Placement
from cv_model_experiments.data.store import prepare_all
from cv_model_experiments.detection.boxes import shown_boxes
from cv_model_experiments.detection.model_file import TrainedDetector
from cv_model_experiments.explain.classifiers import explain_class
from cv_model_experiments.explain.detectors import explain_box
from cv_model_experiments.explain.figures import LESION, Mark, write_overlay
from cv_model_experiments.learning.logs import csv_text
from cv_model_experiments.prediction.classifier_samples import data_of, samples_without_classes
from cv_model_experiments.prediction.detection_maps import map_name
from cv_model_experiments.prediction.predicting import FreshViews
from cv_model_experiments.predictions import PredictedBox, Prediction
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record
from weakbox.runtime.store import write_text

FOLDER = "explanations"
TABLE_NAME = "explanations.csv"
_COLUMNS = ("image_id", "file", "method", "label", "score", "peak_in_lesion")


@record
class Explanation:
    """One picture."""

    image_id: str
    file: str
    method: str
    label: str
    score: float
    peak_in_lesion: bool | None
    """Whether the highest evidence lies in a lesion's box; None where the image has none."""


def peak_in_any(heat: NDArray[np.float32], lesions: Sequence[Sequence[float]]) -> bool | None:
    """Whether the highest value lies in one of the boxes (2 * axes, tensor axes); None without boxes."""
    if not len(lesions):
        return None
    peak = np.array(np.unravel_index(int(heat.argmax()), heat.shape)) + 0.5
    edges = np.asarray(lesions, float).reshape(len(lesions), 2, -1)
    return bool(np.any(np.all((peak >= edges[:, 0]) & (peak <= edges[:, 1]), axis=1)))


def explain_detections(
    models: Sequence[TrainedDetector],
    rows: Sequence[ImageRow],
    said: Sequence[Prediction],
    folder: Path,
    output: Path,
    method: str,
    most: int,
) -> tuple[Explanation, ...]:
    """The best candidate of each of the ``most`` surest images, by the model that may speak of it."""
    by_id = {row.image_id: row for row in rows}
    ranked = sorted((one for one in said if one.boxes and one.image_id in by_id), key=lambda one: (-one.boxes[0].score, one.image_id))
    found = []
    for one in ranked[:most]:
        model = next(model for model in models if one.fold is None or model.fold == one.fold)
        found.append(_explained_box(model, by_id[one.image_id], one.boxes[0], folder, output, method))
    _write_table(found, output)
    return tuple(found)


def _explained_box(model: TrainedDetector, row: ImageRow, box: PredictedBox, folder: Path, output: Path, method: str) -> Explanation:
    view = FreshViews([model], folder)(row)[0]
    placement = view.placement
    candidate = placement.boxes(np.array([[box.start[::-1], box.stop[::-1]]], float)).ravel()
    number = model.settings.class_names.index(box.label) if box.label is not None else 0
    device = next(model.module.parameters()).device
    heat = explain_box(model.module, view.pixels, candidate.tolist(), number, method, device)
    lesions = shown_boxes(row.boxes, placement)
    label = box.label or model.settings.class_names[0]
    marks = [Mark(edges=tuple(candidate.tolist())), *(Mark(edges=tuple(edges), colour=LESION) for edges in lesions.tolist())]
    return _written(row.image_id, view.pixels, heat, marks, lesions.tolist(), label, box.score, method, output)


def _written(
    image_id: str,
    pixels: NDArray[np.generic],
    heat: NDArray[np.float32],
    marks: Sequence[Mark],
    lesions: Sequence[Sequence[float]],
    label: str,
    score: float,
    method: str,
    output: Path,
) -> Explanation:
    name = map_name(image_id).replace("_detection_map.nii.gz", f"_{method}.png")
    (output / FOLDER).mkdir(parents=True, exist_ok=True)
    write_overlay(pixels, heat, marks, f"{label} {score:.2f}  {method}", output / FOLDER / name)
    return Explanation(image_id=image_id, file=name, method=method, label=label, score=score, peak_in_lesion=peak_in_any(heat, lesions))


def explain_classifications(
    model: TrainedClassifier, rows: Sequence[ImageRow], said: Sequence[Prediction], folder: Path, output: Path, method: str, most: int
) -> tuple[Explanation, ...]:
    """The ``most`` images with the highest probability of the positive class: the evidence for that class, one picture a view."""
    positive = model.classes[model.positive]
    scores = {one.image_id: one.probabilities[positive] for one in said}
    samples, _ = samples_without_classes(model, [row for row in rows if row.image_id in scores], folder)
    ranked = sorted(samples, key=lambda sample: (-max(scores[row.image_id] for row in sample.rows), sample.sample_id))[:most]
    images = {name: files for sample in ranked for name, files in zip(sample.image_ids, sample.files, strict=True)}
    prepared, _ = prepare_all(tuple(images.items()), preparation_of(model.settings.input), output / "prepared", 1)
    device = next(model.module.parameters()).device
    found = []
    for sample in ranked:
        if not all(name in prepared for name in sample.image_ids):
            continue
        data = data_of(model, [sample], prepared)
        heats = explain_class(model, data(np.array([0]), 0).to(device), model.positive, method)
        for view, (name, heat) in enumerate(zip(sample.image_ids, heats, strict=True)):
            row = sample.rows[min(view, len(sample.rows) - 1)]
            place = int(data.views[0, view])
            found.append(
                _explained_view(
                    name, row, data.store[place], data.store.placement(place), heat, positive, scores[row.image_id], method, output
                )
            )
    _write_table(found, output)
    return tuple(found)


def _explained_view(
    name: str,
    row: ImageRow,
    pixels: NDArray[np.generic],
    placement: Placement,
    heat: NDArray[np.float32],
    label: str,
    score: float,
    method: str,
    output: Path,
) -> Explanation:
    lesions = shown_boxes(row.boxes, placement).tolist()
    marks = [Mark(edges=tuple(edges), colour=LESION) for edges in lesions]
    return _written(name, pixels, heat, marks, lesions, label, score, method, output)


def _write_table(found: Sequence[Explanation], output: Path) -> None:
    rows = [
        {**{name: getattr(one, name) for name in _COLUMNS}, "peak_in_lesion": "" if one.peak_in_lesion is None else one.peak_in_lesion}
        for one in found
    ]
    write_text(output / FOLDER / TABLE_NAME, csv_text(_COLUMNS, rows))
