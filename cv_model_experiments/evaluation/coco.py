"""COCO's mean average precision for boxes of any number of axes: in 2-D the numbers of pycocotools, digit for digit.

Greedy matching by falling score within an image and class (the lesion of largest overlap that is still free, the later one in a
tie), at most 100 candidates an image, precision made monotone, mean over 101 recall levels, then over classes and overlaps. No
crowd regions, all areas. pycocotools knows 2-D boxes only; the tests hold both against each other, and 3-D against brute force.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.boxes import Numbers, overlaps
from weakbox.records.record import record

MEDICAL_RANGE = tuple(round(0.1 + 0.05 * step, 2) for step in range(9))
""".1:.05:.5, MONAI's choice for medical boxes."""
COCO_RANGE = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
""".5:.05:.95, COCO's own."""
MOST_CANDIDATES = 100
_RECALLS = np.linspace(0.0, 1.0, 101)
_EPSILON = np.spacing(1)


@record
class ImageBoxes:
    """Boxes of one image: (n, 2, axes), class numbers (n,) and, of candidates, scores (n,)."""

    lesions: Numbers
    lesion_classes: NDArray[np.intp]
    candidates: Numbers
    candidate_classes: NDArray[np.intp]
    scores: Numbers


class _Class:
    """The matches of one class over all images, at every overlap."""

    def __init__(self, images: Sequence[ImageBoxes], number: int, limits: Sequence[float]) -> None:
        self.lesions = np.array([float((image.lesion_classes == number).sum()) for image in images])
        scores, hits, owners = [], [], []
        for place, image in enumerate(images):
            chosen = np.flatnonzero(image.candidate_classes == number)
            chosen = chosen[np.argsort(-image.scores[chosen], kind="stable")][:MOST_CANDIDATES]
            shared = overlaps(image.candidates[chosen], image.lesions[image.lesion_classes == number])
            scores.append(image.scores[chosen])
            hits.append(np.array([_greedy(shared, limit) for limit in limits], dtype=bool).reshape(len(limits), len(chosen)))
            owners.append(np.full(len(chosen), place))
        order = np.argsort(-np.concatenate(scores), kind="stable")
        self.hits = np.concatenate(hits, axis=1)[:, order]
        self.owners = np.concatenate(owners)[order]

    def average_precisions(self, weights: Numbers | None, places: Sequence[int]) -> Numbers:
        """One value for each of these overlaps; NaN without lesions of this class."""
        total = float(self.lesions.sum() if weights is None else weights @ self.lesions)
        if not total:
            return np.full(len(places), np.nan)
        shares = np.ones(len(self.owners)) if weights is None else weights[self.owners]
        kept = shares > 0
        return _interpolated(shares[kept], self.hits[places][:, kept], total)


def _greedy(shared: Numbers, limit: float) -> list[bool]:
    """Which candidates (rows, by falling score) get a lesion (column) of their own."""
    free = np.ones(shared.shape[1], dtype=bool)
    hits = []
    for row in shared:
        best, chosen = min(limit, 1 - 1e-10), -1
        for column in np.flatnonzero(free):
            if row[column] >= best:
                best, chosen = row[column], int(column)
        hits.append(chosen >= 0)
        if chosen >= 0:
            free[chosen] = False
    return hits


def _interpolated(shares: Numbers, hits: NDArray[np.bool_], total: float) -> Numbers:
    """Average precision of each row of ``hits`` (overlaps, candidates by falling score)."""
    true, false = np.cumsum(shares * hits, axis=1), np.cumsum(shares * ~hits, axis=1)
    recalls, precision = true / total, true / (true + false + _EPSILON)
    envelopes = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    values = []
    for recall, envelope in zip(recalls, envelopes, strict=True):
        places = np.searchsorted(recall, _RECALLS, side="left")
        values.append(float(envelope[places[places < len(envelope)]].sum()) / len(_RECALLS))
    return np.array(values)


class CocoEvaluation:
    """COCO's figures over a list of images; ``class_count`` classes numbered from 0."""

    def __init__(self, images: Sequence[ImageBoxes], class_count: int) -> None:
        self._images = images
        self._class_count = class_count
        self._limits = tuple(sorted({*MEDICAL_RANGE, *COCO_RANGE}))

    @cached_property
    def _classes(self) -> list[_Class]:
        return [_Class(self._images, number, self._limits) for number in range(self._class_count)]

    def average_precisions(self, limits: Sequence[float], weights: Numbers | None = None) -> Numbers:
        """Average precision, (overlaps, classes); NaN for classes without lesions. ``weights`` are one an image.

        Raises:
            ValueError: an overlap that is in neither range.
        """
        places = [self._limits.index(limit) for limit in limits]
        columns = [found.average_precisions(weights, places) for found in self._classes]
        return np.stack(columns, axis=1)

    def mean_average_precision(self, limits: Sequence[float], weights: Numbers | None = None) -> float:
        """Mean over overlaps and classes with lesions; NaN without any."""
        values = self.average_precisions(limits, weights)
        valid = values[np.isfinite(values)]
        return float(valid.mean()) if valid.size else float("nan")
