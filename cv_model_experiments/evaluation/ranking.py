"""Curves over ranked scores, with a weight for each unit, so that a bootstrap draw is nothing but other weights.

Scores are sorted once; equal scores form one step. A unit is what is resampled (a case or an image); an entry (a case score,
or one lesion or candidate of a case) belongs to one unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


class Ranked:
    """Entries with a binary target and a score.

    Args:
        targets: 1 or 0 for each entry.
        scores: higher is more suspicious.
        units: index of each entry's unit; one entry a unit where not given.
    """

    def __init__(self, targets: ArrayLike, scores: ArrayLike, units: ArrayLike | None = None) -> None:
        values = np.asarray(scores, dtype=float)
        order = np.argsort(-values, kind="stable")
        self.scores: Numbers = values[order]
        self.targets: Numbers = np.asarray(targets, dtype=float)[order]
        self.units: NDArray[np.intp] = (np.arange(len(values)) if units is None else np.asarray(units, dtype=np.intp))[order]
        self.ends: NDArray[np.intp] = np.flatnonzero(np.diff(self.scores, append=-np.inf))
        """Last entry of each group of equal scores."""

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def thresholds(self) -> Numbers:
        """Distinct scores, falling."""
        return np.asarray(self.scores[self.ends])

    def counts(self, weights: Numbers | None = None) -> tuple[Numbers, Numbers]:
        """True and false positives at each threshold (score >= threshold)."""
        shares = np.ones(len(self.scores)) if weights is None else weights[self.units]
        positives = shares * self.targets
        return np.cumsum(positives)[self.ends], np.cumsum(shares - positives)[self.ends]

    def auroc(self, weights: Numbers | None = None) -> float:
        """Area under the ROC curve, equal scores counted half; NaN where one class has no weight."""
        hits, alarms = (np.concatenate([[0.0], counts]) for counts in self.counts(weights))
        if not len(self) or not hits[-1] or not alarms[-1]:
            return float("nan")
        return float(np.sum(np.diff(alarms) * (hits[1:] + hits[:-1]) / 2) / (hits[-1] * alarms[-1]))

    def average_precision(self, weights: Numbers | None = None) -> float:
        """Step integral of precision over recall, no interpolation; NaN without positives."""
        if not len(self):
            return float("nan")
        hits, alarms = self.counts(weights)
        return _average_precision(hits, alarms, hits[-1])

    def lesion_average_precision(self, weights: Numbers | None = None) -> float:
        """The same with picai_eval's rule that a score of 0 is a missed lesion, at which precision is 0."""
        if not len(self):
            return float("nan")
        hits, alarms = self.counts(weights)
        return _average_precision(hits[self.thresholds > 0], alarms[self.thresholds > 0], hits[-1])

    def roc(self) -> tuple[Numbers, Numbers, Numbers]:
        """False positive rates, true positive rates and thresholds, from (0, 0) at infinity."""
        hits, alarms = self.counts()
        return (
            np.concatenate([[0.0], alarms / alarms[-1]]),
            np.concatenate([[0.0], hits / hits[-1]]),
            np.concatenate([[np.inf], self.thresholds]),
        )

    def precision_recall(self) -> tuple[Numbers, Numbers, Numbers]:
        """Precision, recall and thresholds at every step; missed lesions (score 0) are in the recall's denominator only."""
        hits, alarms = self.counts()
        kept = self.thresholds > 0
        return (hits / (hits + alarms))[kept], (hits / hits[-1])[kept], self.thresholds[kept]

    def froc(self, unit_count: float, weights: Numbers | None = None) -> tuple[Numbers, Numbers, Numbers]:
        """False positives a unit, sensitivity, and thresholds, from (0, 0) at infinity; every real threshold has its point."""
        hits, alarms = self.counts(weights)
        kept = self.thresholds > 0
        total = hits[-1] if len(hits) else 0.0
        sensitivity = hits[kept] / total if total else np.full(int(kept.sum()), np.nan)
        return (
            np.concatenate([[0.0], alarms[kept] / unit_count]),
            np.concatenate([[0.0 if total else np.nan], sensitivity]),
            np.concatenate([[np.inf], self.thresholds[kept]]),
        )


def _average_precision(hits: Numbers, alarms: Numbers, total: float) -> float:
    if not total:
        return float("nan")
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(hits / (hits + alarms))
    return float(np.sum(np.diff(hits, prepend=0.0) * precision) / total)


def sensitivity_at_or_below(rates: Numbers, sensitivities: Numbers, wanted: Sequence[float]) -> Numbers:
    """FROC by picai_eval's rule: the last point whose false positives a unit do not exceed the wanted rate; no interpolation."""
    places = np.searchsorted(rates, np.asarray(wanted, dtype=float), side="right") - 1
    return np.asarray(sensitivities[places])


def sensitivity_interpolated(rates: Numbers, sensitivities: Numbers, wanted: Sequence[float]) -> Numbers:
    """FROC by the rule of LUNA16, MONAI and nnDetection: linear between points; beyond the last one it stays."""
    # At equal rates the best point counts, and numpy's interpolation wants rising places.
    last = np.flatnonzero(np.diff(rates, append=np.inf))
    return np.asarray(np.interp(np.asarray(wanted, dtype=float), rates[last], sensitivities[last]))
