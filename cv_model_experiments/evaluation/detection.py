"""A model's candidates against the lesions of a part: who found what, by a hit criterion, as entries for ranked curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.boxes import box_array
from cv_model_experiments.evaluation.cases import Unit, axes_of, ignored_boxes, target_boxes
from cv_model_experiments.evaluation.coco import ImageBoxes
from cv_model_experiments.evaluation.hits import HitCriterion, affinities, pair
from cv_model_experiments.evaluation.ranking import Ranked
from cv_model_experiments.evaluation.settings import EvaluationSettings
from cv_model_experiments.predictions import PredictedBox, Prediction
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record

LESION = "lesion"
"""A detector's name for a candidate of no particular class, like None."""


@record
class Entry:
    """A lesion with the score it was found at (0 where it was not), or a false candidate."""

    unit: int
    is_lesion: bool
    score: float
    overlap: float = 0.0
    label_id: str | None = None
    image_id: str = ""


class Detections:
    """Entries of all units by one criterion; ``units`` are those that can be judged by lesions."""

    def __init__(self, units: Sequence[Unit], entries: Iterable[Entry], dropped: int) -> None:
        self.units = tuple(units)
        self.entries = tuple(entries)
        self.dropped = dropped
        """Candidates that only hit a lesion which another one was paired with, or an ignored lesion."""

    @cached_property
    def ranked(self) -> Ranked:
        return Ranked(
            [entry.is_lesion for entry in self.entries], [entry.score for entry in self.entries], [entry.unit for entry in self.entries]
        )

    @property
    def lesions(self) -> int:
        return sum(entry.is_lesion for entry in self.entries)

    def found_and_lesions(self, threshold: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lesions found at a threshold, and all lesions, of each unit."""
        found, lesions = np.zeros(len(self.units)), np.zeros(len(self.units))
        for entry in self.entries:
            lesions[entry.unit] += entry.is_lesion
            found[entry.unit] += entry.is_lesion and entry.score >= threshold and entry.score > 0
        return found, lesions

    def false_positives(self, threshold: float) -> NDArray[np.float64]:
        """False candidates of each unit at a threshold."""
        false = np.zeros(len(self.units))
        for entry in self.entries:
            false[entry.unit] += not entry.is_lesion and entry.score >= threshold
        return false


def candidates_of(prediction: Prediction | None, row: ImageRow, settings: EvaluationSettings) -> tuple[PredictedBox, ...]:
    """The candidates for what shall be found: those of a positive class or of none; scores of 0 are none.

    Raises:
        InputError: boxes of 2 axes for a volume, or of 3 for a flat image.
    """
    boxes = prediction.boxes if prediction is not None else ()
    if any(len(box.start) != axes_of(row) for box in boxes):
        msg = (
            f"{row.image_id}: predicted boxes have another number of axes than the image ({axes_of(row)}); inference ran on something else"
        )
        raise InputError(msg)
    wanted = {None, LESION, *settings.positive_classes}
    return tuple(box for box in boxes if box.score > 0 and (settings.lesions == "all" or box.label in wanted))


def detect(
    units: Sequence[Unit], predictions: Mapping[str, Prediction], criterion: HitCriterion, settings: EvaluationSettings
) -> Detections:
    """Pair the candidates of every unit that can be judged by lesions. For a distance, images without a spacing cannot."""
    judged = [
        unit for unit in units if unit.is_located and not (criterion.needs_spacing and any(row.spacing_mm is None for row in unit.rows))
    ]
    entries: list[Entry] = []
    dropped = 0
    for place, unit in enumerate(judged):
        for row in unit.rows:
            found, left = _entries(place, row, candidates_of(predictions.get(row.image_id), row, settings), criterion, settings)
            entries += found
            dropped += left
    return Detections(judged, entries, dropped)


def _entries(
    unit: int, row: ImageRow, candidates: Sequence[PredictedBox], criterion: HitCriterion, settings: EvaluationSettings
) -> tuple[list[Entry], int]:
    targets, ignored, axes = target_boxes(row, settings), ignored_boxes(row, settings), axes_of(row)
    boxes = box_array([(box.start, box.stop) for box in candidates], axes)
    fits = [
        affinities(criterion, box_array([(box.start, box.stop) for box in group], axes), boxes, row.spacing_mm)
        for group in (targets, ignored)
    ]
    pairing = pair(fits[0])
    on_ignored = set(np.flatnonzero((fits[1] > 0).any(axis=0)).tolist()) if ignored else set()
    false = [place for place in pairing.false if place not in on_ignored]
    entries = [
        Entry(
            unit=unit,
            is_lesion=True,
            score=candidates[place].score,
            overlap=float(fits[0][lesion, place]),
            label_id=targets[lesion].label_id,
            image_id=row.image_id,
        )
        for lesion, place in pairing.pairs
    ]
    entries += [
        Entry(unit=unit, is_lesion=True, score=0.0, label_id=targets[lesion].label_id, image_id=row.image_id) for lesion in pairing.missed
    ]
    entries += [Entry(unit=unit, is_lesion=False, score=candidates[place].score, image_id=row.image_id) for place in false]
    return entries, len(candidates) - len(pairing.pairs) - len(false)


def case_scores(units: Sequence[Unit], predictions: Mapping[str, Prediction], settings: EvaluationSettings) -> NDArray[np.float64]:
    """The highest candidate of each unit; 0 without any."""
    return np.array(
        [
            max((box.score for row in unit.rows for box in candidates_of(predictions.get(row.image_id), row, settings)), default=0.0)
            for unit in units
        ]
    )


def coco_images(
    units: Sequence[Unit], predictions: Mapping[str, Prediction], settings: EvaluationSettings
) -> tuple[list[ImageBoxes], list[int], tuple[str, ...]]:
    """Boxes of all judged images for COCO's figures, the unit of each, and the classes: by name where the model names classes,
    else one class ``lesion``."""
    rows = [(place, row) for place, unit in enumerate(units) if unit.is_located for row in unit.rows]
    named = {box.label for _, row in rows if row.image_id in predictions for box in predictions[row.image_id].boxes}
    truth = {box.label for _, row in rows for box in row.boxes}
    known = {name for name in named | truth if name not in (None, LESION)}
    classes = tuple(sorted(str(name) for name in known)) if named - {None, LESION} else (LESION,)
    images = [_coco_image(row, predictions.get(row.image_id), classes, settings) for _, row in rows]
    return images, [place for place, _ in rows], classes


def _coco_image(row: ImageRow, prediction: Prediction | None, classes: tuple[str, ...], settings: EvaluationSettings) -> ImageBoxes:
    axes = axes_of(row)
    if classes == (LESION,):
        truth = [(box, 0) for box in target_boxes(row, settings)]
        found = [(box, 0) for box in candidates_of(prediction, row, settings)]
    else:
        truth = [(box, classes.index(str(box.label))) for box in row.boxes if box.label in classes]
        found = [(box, classes.index(str(box.label))) for box in (prediction.boxes if prediction else ()) if box.label in classes]
    return ImageBoxes(
        lesions=box_array([(box.start, box.stop) for box, _ in truth], axes),
        lesion_classes=np.array([number for _, number in truth], dtype=np.intp),
        candidates=box_array([(box.start, box.stop) for box, _ in found], axes),
        candidate_classes=np.array([number for _, number in found], dtype=np.intp),
        scores=np.array([box.score for box, _ in found], dtype=float),
    )
