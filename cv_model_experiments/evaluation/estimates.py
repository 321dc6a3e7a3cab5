"""A measured value with its 95 % interval from resampling patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weakbox.audit.intervals import wilson
from weakbox.records.record import record

Numbers = NDArray[np.float64]
Statistic = Callable[[Numbers | None], float]
"""A metric of weighted units; None stands for equal weights."""

BOOTSTRAP = "bootstrap"
WILSON = "Wilson"
ALL_AGREE = "all draws agree: too few cases for an interval by bootstrap"
FEWEST_VALID = 0.5
"""Below this share of draws in which the metric is defined, no interval is given."""


@record
class Estimate:
    """One number. ``count`` is what it rests on (units, or the trials of a proportion)."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    count: int = 0
    positives: int | None = None
    """Positive units, or lesions in them; None where that says nothing."""
    hits: int | None = None
    """Numerator of a proportion."""
    valid_draws: int | None = None
    """Draws in which the metric was defined; the others (one class only) are left out."""
    method: str = ""
    """How the interval was made; empty where there is none."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Resampler:
    """How often each unit is in each draw: (draws, units).

    Patients are drawn with replacement within strata (patients with a positive unit, and others), so every draw has both
    classes, and a patient's units stay together.
    """

    weights: NDArray[np.uint16]

    def interval(self, statistic: Statistic) -> tuple[float | None, float | None, int]:
        """2.5th and 97.5th percentile over the draws in which the statistic is defined, and their number."""
        return _percentiles(np.array([statistic(weights.astype(float)) for weights in self.weights]))

    def estimate(self, metric: str, statistic: Statistic, count: int, positives: int | None = None, note: str = "") -> Estimate:
        """The statistic with its interval; no value where it is not defined."""
        value = statistic(None)
        if not math.isfinite(value):
            return Estimate(
                metric=metric, value=None, count=count, positives=positives, note=note or "not defined: one class only or no case"
            )
        bare = Estimate(metric=metric, value=value, count=count, positives=positives, note=note)
        return from_draws(bare, np.array([statistic(weights.astype(float)) for weights in self.weights]))


def _percentiles(values: Numbers) -> tuple[float | None, float | None, int]:
    valid = values[np.isfinite(values)]
    if len(valid) < FEWEST_VALID * len(values) or not len(valid):
        return None, None, len(valid)
    low, high = np.percentile(valid, [2.5, 97.5])
    return float(low), float(high), len(valid)


def from_draws(bare: Estimate, values: Numbers) -> Estimate:
    """The estimate with the interval of its values in the draws."""
    low, high, valid = _percentiles(values)
    note = "; ".join(filter(None, (bare.note, ALL_AGREE if low is not None and low == high else "")))
    return replace(bare, low=low, high=high, valid_draws=valid, method=BOOTSTRAP if low is not None else "", note=note)


def resampler(patients: Sequence[str], positives: Sequence[bool | None], draws: int, seed: int) -> Resampler:
    """Draws over the patients of the units, the same for the same input; ``positives`` says which units are positive."""
    names = sorted(set(patients))
    place = {name: index for index, name in enumerate(names)}
    has_positive = np.zeros(len(names), dtype=bool)
    for patient, positive in zip(patients, positives, strict=True):
        has_positive[place[patient]] |= bool(positive)
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = np.zeros((draws, len(names)), dtype=np.uint16)
    for stratum in (np.flatnonzero(has_positive), np.flatnonzero(~has_positive)):
        if len(stratum):
            chosen[:, stratum] = random.multinomial(len(stratum), np.full(len(stratum), 1 / len(stratum)), size=draws)
    return Resampler(weights=chosen[:, [place[patient] for patient in patients]])


def proportion(metric: str, hits: Numbers, trials: Numbers, patients: Sequence[str], draws: Resampler, note: str = "") -> Estimate:
    """Hits over trials, summed over units. Where every draw agrees (0 or 1), Wilson's interval over the patients with a trial is given:
    the bootstrap would claim certainty."""

    def share(weights: Numbers | None) -> float:
        total = float(trials.sum() if weights is None else weights @ trials)
        return float(hits.sum() if weights is None else weights @ hits) / total if total else float("nan")

    found = replace(draws.estimate(metric, share, int(trials.sum()), note=note), hits=int(hits.sum()))
    tested = len({patient for patient, count in zip(patients, trials, strict=True) if count})
    return with_wilson(found, tested) if found.value in (0.0, 1.0) else found


def with_wilson(found: Estimate, patients: int) -> Estimate:
    """A proportion of 0 or 1, in which all draws agree, with Wilson's interval over the patients instead."""
    assert found.value is not None
    low, high = wilson(round(found.value * patients), patients)
    note = found.note.removesuffix(ALL_AGREE).removesuffix("; ")
    return replace(found, low=low, high=high, valid_draws=None, method=WILSON, note=note)
