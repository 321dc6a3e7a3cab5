"""From confidences to decisions: thresholds that keep the share of errors below a target, and the measures of how good they are.

Learn then Test (Angelopoulos et al. 2021) with Clopper-Pearson bounds: a few thresholds are tested, each at its part of
``delta`` (Bonferroni), and the lowest that is shown to hold is chosen, so it holds with probability ``1 - delta``.
All functions take plain sequences: confidences (0..1), whether each value is right (or the chance of it), weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weakbox.extractors.label_model import Floats, group_of
from weakbox.records.extraction import ExtractionStatus, ReportExtraction
from weakbox.records.record import record

TARGET_RISK: Mapping[str, float] = {"score": 0.01, "grade": 0.01, "side": 0.01, "size": 0.02}
"""Share of wrong values among the accepted that is put up with, by group of fields."""
OTHER_RISK = 0.02
TESTED = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0)
"""Shares of the values, the surest first, at whose least confidence a threshold is tested."""
DELTA = 0.1
"""Chance that a threshold is too low after all."""
HOPELESS = 0.5
"""A report of which no value is more likely right than wrong is not read: it is abstained from."""


@record
class RiskPoint:
    """Accepting the values with at least this confidence: their share of all, and the share of errors among them."""

    threshold: float
    coverage: float
    risk: float


def upper_bound(errors: float, total: float, delta: float = DELTA) -> float:
    """Clopper-Pearson's upper bound of an error rate, at confidence ``1 - delta``; counts may be weighted sums.

    >>> round(upper_bound(0, 230, 0.1), 4), upper_bound(0, 0)
    (0.01, 1.0)
    """
    from scipy.special import betaincinv

    if total <= 0 or errors >= total:
        return 1.0
    return float(betaincinv(errors + 1.0, total - errors, 1.0 - delta))


def _sorted(confidence: Sequence[float], is_right: Sequence[float], weights: Sequence[float] | None) -> tuple[Floats, ...]:
    values = np.asarray(confidence, float)
    right = np.asarray(is_right, float)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    if not len(values) == len(right) == len(weight):
        msg = f"as many answers and weights as confidences, got {len(values)}, {len(right)}, {len(weight)}"
        raise ValueError(msg)
    order = np.argsort(-values, kind="stable")
    return values[order], right[order], weight[order]


def _ends(values: Floats) -> NDArray[np.intp]:
    """The last place of each run of equal confidences: a threshold cannot part them."""
    return np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else np.array([], np.intp)


def risk_coverage(confidence: Sequence[float], is_right: Sequence[float], weights: Sequence[float] | None = None) -> list[RiskPoint]:
    """The curve, from the strictest threshold to accepting all."""
    values, right, weight = _sorted(confidence, is_right, weights)
    accepted, errors = np.cumsum(weight), np.cumsum(weight * (1 - right))
    return [
        RiskPoint(threshold=float(values[i]), coverage=float(accepted[i] / accepted[-1]), risk=float(errors[i] / accepted[i]))
        for i in _ends(values)
        if accepted[i] > 0
    ]


def area_under_risk_coverage(confidence: Sequence[float], is_right: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """AURC: the mean risk over all coverages, 0 is perfect (Geifman et al. 2018); ties are averaged."""
    points = risk_coverage(confidence, is_right, weights)
    widths = np.diff([0.0, *(point.coverage for point in points)])
    return float(np.sum(widths * np.array([point.risk for point in points]))) if points else 0.0


def coverage_at_risk(
    confidence: Sequence[float], is_right: Sequence[float], risk: float = 0.01, weights: Sequence[float] | None = None
) -> float:
    """The greatest share of values that can be accepted with at most this share of errors (as found, no bound)."""
    return max((point.coverage for point in risk_coverage(confidence, is_right, weights) if point.risk <= risk), default=0.0)


def expected_calibration_error(
    confidence: Sequence[float], is_right: Sequence[float], weights: Sequence[float] | None = None, bins: int = 15
) -> float:
    """ECE over adaptive bins of equal weight: the mean distance of confidence and share right."""
    values, right, weight = _sorted(confidence, is_right, weights)
    if not len(values) or weight.sum() <= 0:
        return 0.0
    middle = np.cumsum(weight) - weight / 2
    which = np.minimum((middle / weight.sum() * bins).astype(int), bins - 1)
    sums = [np.bincount(which, weights=part, minlength=bins) for part in (weight * values, weight * right)]
    return float(np.abs(sums[0] - sums[1]).sum() / weight.sum())


def brier_score(confidence: Sequence[float], is_right: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Mean squared distance of confidence and truth."""
    values, right, weight = _sorted(confidence, is_right, weights)
    return float(np.average((values - right) ** 2, weights=weight)) if len(values) else 0.0


def threshold_for(
    confidence: Sequence[float], is_right: Sequence[float], risk: float, weights: Sequence[float] | None = None, delta: float = DELTA
) -> float | None:
    """The lowest of ``TESTED`` thresholds whose upper bound of the error rate is at most ``risk``; None where none is shown to hold."""
    values, right, weight = _sorted(confidence, is_right, weights)
    if not len(values):
        return None
    # Kish's effective number: weighted votes carry less evidence than as many plain ones
    accepted, squares, errors = np.cumsum(weight), np.cumsum(weight**2), np.cumsum(weight * (1 - right))
    ends = _ends(values)
    tested = {int(ends[np.searchsorted(accepted[ends], share * accepted[-1] * (1 - 1e-9))]) for share in TESTED}
    for place in sorted(tested, reverse=True):
        total = accepted[place] ** 2 / squares[place]
        if upper_bound(errors[place] / accepted[place] * total, total, delta / len(TESTED)) <= risk:
            return float(values[place])
    return None


def decide(extraction: ReportExtraction, thresholds: Mapping[str, float | None], review_below: float) -> ExtractionStatus:
    """What the confidences say of a report: ``ok``, ``review`` or ``abstained``.

    A value needs the threshold of its group of fields, and at least ``review_below``, which alone counts where no
    threshold was shown to hold (None, or none fitted). Flags are the caller's to look at.
    """
    if extraction.status is ExtractionStatus.ABSTAINED:
        return extraction.status
    leaves = [*extraction.exam.items(), *(entry for item in extraction.items for entry in item.values.items())]
    if leaves and all(leaf.confidence < HOPELESS for _, leaf in leaves):
        return ExtractionStatus.ABSTAINED
    is_unsure = any(leaf.confidence < _needed(name, thresholds, review_below) for name, leaf in leaves)
    return ExtractionStatus.REVIEW if is_unsure else ExtractionStatus.OK


def _needed(name: str, thresholds: Mapping[str, float | None], review_below: float) -> float:
    return max(thresholds.get(group_of(name)) or 0.0, review_below)
