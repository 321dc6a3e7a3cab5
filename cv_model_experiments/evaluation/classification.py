"""Metrics of class probabilities: binary at a threshold and over all, calibration, and several classes with or without an order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weakbox.records.record import record

Numbers = NDArray[np.float64]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


@record
class Confusion:
    """Weighted counts of a binary decision (score >= threshold is positive)."""

    true_positive: float
    false_positive: float
    true_negative: float
    false_negative: float

    @property
    def sensitivity(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def positive_predictive_value(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def negative_predictive_value(self) -> float:
        return _ratio(self.true_negative, self.true_negative + self.false_negative)

    @property
    def accuracy(self) -> float:
        right = self.true_positive + self.true_negative
        return _ratio(right, right + self.false_positive + self.false_negative)

    @property
    def balanced_accuracy(self) -> float:
        return (self.sensitivity + self.specificity) / 2

    @property
    def f1(self) -> float:
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


def confusion_at(targets: Numbers, scores: Numbers, threshold: float, weights: Numbers | None = None) -> Confusion:
    """Counts at a threshold; targets are 0 or 1."""
    shares = np.ones(len(targets)) if weights is None else weights
    called, positive = scores >= threshold, targets > 0
    return Confusion(
        true_positive=float(shares[called & positive].sum()),
        false_positive=float(shares[called & ~positive].sum()),
        true_negative=float(shares[~called & ~positive].sum()),
        false_negative=float(shares[~called & positive].sum()),
    )


def brier_score(targets: Numbers, probabilities: Numbers, weights: Numbers | None = None) -> float:
    """Mean squared error of the probability. One column: of the positive class; several: summed over classes (Brier 1950)."""
    errors = (probabilities - targets) ** 2
    return _mean(errors if errors.ndim == 1 else errors.sum(axis=1), weights)


def _mean(values: Numbers, weights: Numbers | None) -> float:
    if weights is None:
        return float(values.mean()) if len(values) else float("nan")
    return _ratio(float(weights @ values), float(weights.sum()))


@record
class CalibrationBin:
    """Cases whose probability lies in one bin."""

    low: float
    high: float
    mean_probability: float
    share_positive: float
    count: float


def calibration_bins(targets: Numbers, probabilities: Numbers, bins: int, weights: Numbers | None = None) -> tuple[CalibrationBin, ...]:
    """Bins of equal width over 0..1, the upper edge included; empty ones are left out."""
    shares = np.ones(len(targets)) if weights is None else weights
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.clip(np.searchsorted(edges, probabilities, side="left") - 1, 0, bins - 1)
    counts, probability_sums, positive_sums = (
        np.bincount(places, weights=shares * values, minlength=bins) for values in (np.ones(len(targets)), probabilities, targets)
    )
    return tuple(
        CalibrationBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            mean_probability=float(probability_sums[place] / counts[place]),
            share_positive=float(positive_sums[place] / counts[place]),
            count=float(counts[place]),
        )
        for place in np.flatnonzero(counts).tolist()
    )


def expected_calibration_error(targets: Numbers, probabilities: Numbers, bins: int, weights: Numbers | None = None) -> float:
    """Mean distance of probability and share of positives over bins of equal width, weighted by their cases (Naeini 2015)."""
    found = calibration_bins(targets, probabilities, bins, weights)
    total = sum(item.count for item in found)
    return _ratio(sum(item.count * abs(item.mean_probability - item.share_positive) for item in found), total)


def confusion_matrix(truth: NDArray[np.intp], called: NDArray[np.intp], classes: int, weights: Numbers | None = None) -> Numbers:
    """Weighted counts, rows are the truth."""
    shares = np.ones(len(truth)) if weights is None else weights
    counts = np.bincount(truth * classes + called, weights=shares, minlength=classes * classes)
    return np.asarray(counts, dtype=float).reshape(classes, classes)


def quadratic_kappa(matrix: Numbers) -> float:
    """Cohen's kappa with squared distances as weights (Cohen 1968), for classes in order; NaN where chance leaves no disagreement."""
    classes = len(matrix)
    distances = (np.subtract.outer(np.arange(classes), np.arange(classes)) / max(1, classes - 1)) ** 2
    total = matrix.sum()
    expected = np.outer(matrix.sum(axis=1), matrix.sum(axis=0)) / total if total else np.zeros_like(matrix)
    chance = float((distances * expected).sum())
    return 1.0 - float((distances * matrix).sum()) / chance if chance else float("nan")


def mean_recall(matrix: Numbers) -> float:
    """Balanced accuracy of several classes: the mean recall over the classes that occur."""
    occurring = matrix.sum(axis=1) > 0
    if not occurring.any():
        return float("nan")
    return float(np.mean(np.diag(matrix)[occurring] / matrix.sum(axis=1)[occurring]))


def one_hot(truth: Sequence[int] | NDArray[np.intp], classes: int) -> Numbers:
    """Class numbers as rows of 0 and 1."""
    return np.eye(classes)[np.asarray(truth, dtype=np.intp)]
