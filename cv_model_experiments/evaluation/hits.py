"""When a candidate counts as having found a lesion, and which candidate is paired with which lesion.

Pairs are chosen as picai_eval chooses them: as many pairs as possible, then the largest total affinity (linear assignment).
A candidate that hits a lesion which another candidate is paired with is dropped, it is no false positive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from cv_model_experiments.evaluation.boxes import Numbers, centre_distances, centres_inside, overlaps
from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record
from weakbox.runtime.nearest import nearest_name

KINDS = ("iou", "centre", "distance")


@record
class HitCriterion:
    """``iou`` of at least ``limit``; the candidate's ``centre`` in the lesion's box; or a ``distance`` of middles up to ``limit`` mm."""

    kind: str
    limit: float

    @property
    def name(self) -> str:
        """As it is written in settings and tables."""
        return self.kind if self.kind == "centre" else f"{self.kind}:{self.limit:g}"

    @property
    def needs_spacing(self) -> bool:
        return self.kind == "distance"


def hit_criterion(text: str) -> HitCriterion:
    """``iou:0.1``, ``centre`` or ``distance:5``.

    Raises:
        ConfigurationError: it is none of these.
    """
    kind, _, limit = text.partition(":")
    problem = f"hit criterion {text!r}: expected iou:0.1 (0 < IoU <= 1), centre, or distance:5 (mm)"
    if kind not in KINDS:
        raise ConfigurationError(problem + nearest_name(kind, KINDS))
    if kind == "centre":
        if limit:
            raise ConfigurationError(problem)
        return HitCriterion(kind=kind, limit=0.0)
    try:
        value = float(limit)
    except ValueError:
        raise ConfigurationError(problem) from None
    if not 0 < value < np.inf or (kind == "iou" and value > 1):
        raise ConfigurationError(problem)
    return HitCriterion(kind=kind, limit=value)


def affinities(criterion: HitCriterion, lesions: Numbers, candidates: Numbers, spacing: Sequence[float] | None) -> Numbers:
    """How well each candidate fits each lesion, in 0..1, 0 where it is no hit: (lesions, candidates).

    ``spacing`` (mm along x, y[, z]) is needed for distances only.
    """
    shared = overlaps(lesions, candidates)
    if criterion.kind == "iou":
        return np.where(shared >= criterion.limit, shared, 0.0)
    if criterion.kind == "centre":
        # A centre may lie on a box's edge without any overlap worth the name: it is a hit all the same.
        return np.where(centres_inside(lesions, candidates), np.maximum(shared, np.finfo(float).tiny), 0.0)
    assert spacing is not None, "distances need a spacing; callers leave such images out"
    distances = centre_distances(lesions, candidates, spacing)
    closeness = 1.0 - distances / criterion.limit
    return np.where(distances <= criterion.limit, np.maximum(closeness, np.finfo(float).tiny), 0.0)


@record
class Pairing:
    """Which lesion and candidate (indices) belong together; who is left; which candidates only hit a lesion that is taken."""

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    false: tuple[int, ...]
    dropped: tuple[int, ...]


def pair(affinity: Numbers) -> Pairing:
    """Pair lesions (rows) and candidates (columns) by picai_eval's rule."""
    lesion_count, candidate_count = affinity.shape
    hits: NDArray[np.bool_] = affinity > 0
    rows, columns = linear_sum_assignment(np.where(hits, 1.0 + affinity, 0.0), maximize=True)
    pairs = tuple((int(row), int(column)) for row, column in zip(rows, columns, strict=True) if hits[row, column])
    found, used = {row for row, _ in pairs}, {column for _, column in pairs}
    touching = set(np.flatnonzero(hits.any(axis=0)).tolist()) if lesion_count else set()
    return Pairing(
        pairs=pairs,
        missed=tuple(row for row in range(lesion_count) if row not in found),
        false=tuple(column for column in range(candidate_count) if column not in touching),
        dropped=tuple(sorted(touching - used)),
    )
