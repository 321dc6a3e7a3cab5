"""Figures with 95 % intervals: Wilson for proportions, bootstrap over patients for means and quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL_QUANTILE = 1.959963984540054
BOOTSTRAP_DRAWS = 1000
BOOTSTRAP_SEED = 20231


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value. ``count`` is what it rests on; ``hits`` the numerator of a proportion, None otherwise."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    count: int
    hits: int | None = None
    unit: str = ""
    meaning: str = ""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927), 95 %.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]

    Raises:
        ValueError: no trial, or more hits than trials.
    """
    if count <= 0 or not 0 <= hits <= count:
        msg = f"a proportion has 0 <= hits <= count and at least one trial, got {hits} of {count}"
        raise ValueError(msg)
    share, squared = hits / count, NORMAL_QUANTILE**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = NORMAL_QUANTILE / (1 + squared / count) * math.sqrt(share * (1 - share) / count + squared / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def proportion(name: str, outcomes: Iterable[bool], meaning: str = "") -> Figure:
    """The share of true outcomes; no value where there is none to count."""
    results = list(outcomes)
    hits, count = sum(results), len(results)
    if not count:
        return Figure(name=name, value=None, low=None, high=None, count=0, hits=0, meaning=meaning)
    low, high = wilson(hits, count)
    return Figure(name=name, value=hits / count, low=low, high=high, count=count, hits=hits, meaning=meaning)


def statistic(
    name: str,
    by_patient: Mapping[str, Sequence[float]],
    function: Callable[[NDArray[np.float64]], float],
    *,
    unit: str = "",
    meaning: str = "",
) -> Figure:
    """A statistic over all values, its interval from resampling whole patients (seeded)."""
    groups = [np.array(values, dtype=float) for _, values in sorted(by_patient.items()) if len(values)]
    if not groups:
        return Figure(name=name, value=None, low=None, high=None, count=0, unit=unit, meaning=meaning)
    random = np.random.Generator(np.random.PCG64(BOOTSTRAP_SEED))
    chosen = random.integers(0, len(groups), size=(BOOTSTRAP_DRAWS, len(groups)))
    draws = [function(np.concatenate([groups[index] for index in row])) for row in chosen]
    everything = np.concatenate(groups)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Figure(
        name=name, value=float(function(everything)), low=float(low), high=float(high), count=len(everything), unit=unit, meaning=meaning
    )
