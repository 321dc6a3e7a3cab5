"""Boxes of several models, folds or views of one image made one: weighted box fusion (Solovyev 2021).

Boxes are (n, 2, axes), start and stop; scores 0..1. The order of the models changes nothing: boxes are taken by falling
score, equal ones by their edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.boxes import Numbers, overlaps


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Boxes of one source: one model's view of an image."""

    boxes: Numbers
    """(n, 2, axes)."""
    scores: Numbers
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)


def no_candidates(axes: int) -> Candidates:
    """Of an image in which nothing was found."""
    return Candidates(boxes=np.zeros((0, 2, axes)), scores=np.zeros(0), classes=np.zeros(0, np.int64))


def fused(sources: Sequence[Candidates], overlap: float, most: int) -> Candidates:
    """Weighted box fusion: boxes of one class that overlap (IoU above ``overlap``) the mean box of a group join it.

    A group's box is the mean of its boxes weighted by score; its score is the mean of the best score that each source gives it, where a
    source that gives none counts 0. One source alone keeps its scores.
    """
    axes = sources[0].boxes.shape[2]
    groups: list[_Group] = []
    for source, place in _in_order(sources):
        box, score, number = sources[source].boxes[place], float(sources[source].scores[place]), int(sources[source].classes[place])
        own = [group for group in groups if group.number == number]
        shared = overlaps(box[None], np.stack([group.box for group in own]))[0] if own else np.zeros(0)
        if len(shared) and shared.max() > overlap:
            own[int(shared.argmax())].join(source, box, score)
        else:
            groups.append(_Group(number, source, box, score))
    count = len(sources)
    ranked = sorted(groups, key=lambda group: (-group.score(count), tuple(group.box.ravel())))[:most]
    if not ranked:
        return no_candidates(axes)
    return Candidates(
        boxes=np.stack([group.box for group in ranked]),
        scores=np.array([group.score(count) for group in ranked]),
        classes=np.array([group.number for group in ranked], np.int64),
    )


def _in_order(sources: Sequence[Candidates]) -> list[tuple[int, int]]:
    places = [(source, place) for source, one in enumerate(sources) for place in range(len(one))]

    def rank(item: tuple[int, int]) -> tuple[float, tuple[float, ...], int]:
        one = sources[item[0]]
        return (-float(one.scores[item[1]]), tuple(one.boxes[item[1]].ravel()), int(one.classes[item[1]]))

    return sorted(places, key=rank)


class _Group:
    """Boxes that are one lesion."""

    def __init__(self, number: int, source: int, box: Numbers, score: float) -> None:
        self.number = number
        self._sum, self._weight = box * score, score
        self._best = {source: score}
        self.box = box

    def join(self, source: int, box: Numbers, score: float) -> None:
        self._sum, self._weight = self._sum + box * score, self._weight + score
        self._best[source] = max(score, self._best.get(source, 0.0))
        self.box = self._sum / self._weight

    def score(self, sources: int) -> float:
        return sum(self._best[source] for source in sorted(self._best)) / sources
