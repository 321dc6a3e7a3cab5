"""Whether two models on the same cases differ: DeLong's test, paired permutation, paired bootstrap; Holm over many pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from cv_model_experiments.evaluation.estimates import Resampler
from weakbox.audit.intervals import NORMAL_QUANTILE
from weakbox.records.record import record

Numbers = NDArray[np.float64]


@record
class AucComparison:
    """Areas of two correlated ROC curves and the test of their difference (first minus second)."""

    first: float
    second: float
    difference: float
    standard_error: float
    low: float
    high: float
    z: float
    p_value: float
    clusters: int


def auc_covariance(targets: ArrayLike, scores: Sequence[ArrayLike], clusters: Sequence[str] | None = None) -> tuple[Numbers, Numbers]:
    """Areas under the ROC curves of several scores of the same units, and the covariance of these areas.

    DeLong, DeLong and Clarke-Pearson (1988) through midranks (Sun and Xu 2014). With ``clusters`` (patients with several units)
    the structural components are summed within a cluster first: Obuchowski (1997), which is DeLong's estimate where every cluster
    has one unit. Needs two clusters with a positive and two with a negative unit.

    Raises:
        ValueError: fewer than that.
    """
    positive = np.asarray(targets, dtype=bool)
    names = np.arange(len(positive)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    of_positives, of_negatives = names[positive], names[~positive]
    sizes = len(np.unique(of_positives)), len(np.unique(of_negatives))
    if min(sizes) < 2:
        msg = f"a variance needs at least two patients of each class, got {sizes[0]} positive and {sizes[1]} negative"
        raise ValueError(msg)
    components = [_components(np.asarray(score, dtype=float), positive) for score in scores]
    areas = np.array([v10.mean() for v10, _ in components])
    total = int(names.max()) + 1
    sums10 = np.array([_summed(v10 - area, of_positives, total) for (v10, _), area in zip(components, areas, strict=True)])
    sums01 = np.array([_summed(v01 - area, of_negatives, total) for (_, v01), area in zip(components, areas, strict=True)])
    m, n, clusters_in_all = len(of_positives), len(of_negatives), len(np.unique(names))
    s10 = sizes[0] / ((sizes[0] - 1) * m) * sums10 @ sums10.T
    s01 = sizes[1] / ((sizes[1] - 1) * n) * sums01 @ sums01.T
    s11 = clusters_in_all / (clusters_in_all - 1) * sums10 @ sums01.T
    return areas, s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def _components(scores: Numbers, positive: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Share of negatives below each positive, and of positives above each negative; ties count half."""
    above, below = scores[positive], scores[~positive]
    ranks = rankdata(np.concatenate([above, below]))
    v10 = (ranks[: len(above)] - rankdata(above)) / len(below)
    v01 = 1.0 - (ranks[len(above) :] - rankdata(below)) / len(above)
    return v10, v01


def _summed(values: Numbers, clusters: NDArray[Any], total: int) -> Numbers:
    return np.asarray(np.bincount(clusters, weights=values, minlength=total), dtype=float)


def delong_test(targets: ArrayLike, first: ArrayLike, second: ArrayLike, clusters: Sequence[str] | None = None) -> AucComparison:
    """Two-sided test that two scores of the same units have the same area under the ROC curve.

    Raises:
        ValueError: fewer than two patients of a class.
    """
    areas, covariance = auc_covariance(targets, (first, second), clusters)
    difference = float(areas[0] - areas[1])
    error = float(np.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    z = difference / error if error > 0 else (0.0 if difference == 0 else float(np.copysign(np.inf, difference)))
    units = len(np.asarray(targets)) if clusters is None else len(set(clusters))
    half = NORMAL_QUANTILE * error
    return AucComparison(
        first=float(areas[0]),
        second=float(areas[1]),
        difference=difference,
        standard_error=error,
        low=difference - half,
        high=difference + half,
        z=z,
        p_value=float(2 * norm.sf(abs(z))),
        clusters=units,
    )


def permutation_test(
    statistic: Callable[[NDArray[np.bool_]], tuple[float, float]], patients: Sequence[str], draws: int, seed: int
) -> tuple[float, float, int]:
    """Paired permutation: in each draw every patient's two results change places with probability one half.

    Args:
        statistic: the metric of both models where ``True`` marks units whose results are exchanged.
        patients: of each unit; a patient's units are exchanged together.

    Returns:
        The observed difference, the two-sided p value ``(1 + extreme) / (1 + valid)``, and the number of valid draws.
    """
    names, of_unit = np.unique(np.asarray(patients), return_inverse=True)
    first, second = statistic(np.zeros(len(of_unit), dtype=bool))
    observed = first - second
    random = np.random.Generator(np.random.PCG64(seed))
    extreme = valid = 0
    for _ in range(draws):
        first, second = statistic(random.integers(0, 2, size=len(names)).astype(bool)[of_unit])
        if np.isfinite(first - second):
            valid += 1
            # Sums in another order differ in the last digits: as far out as observed counts as extreme.
            extreme += abs(first - second) >= abs(observed) - 1e-12
    return observed, (1 + extreme) / (1 + valid), valid


def as_ranks(scores: ArrayLike) -> Numbers:
    """Scores of one model as midranks in (0, 1], with 0 kept for 'nothing found': exchanging two models' results needs one scale,
    and no ranking metric changes by this."""
    values = np.asarray(scores, dtype=float)
    ranks = np.zeros(len(values))
    found = values > 0
    if found.any():
        ranks[found] = rankdata(values[found]) / found.sum()
    return ranks


def bootstrap_difference(
    first: Callable[[Numbers | None], float], second: Callable[[Numbers | None], float], draws: Resampler
) -> tuple[float | None, float | None, int]:
    """95 % interval of first minus second, both computed in the same draws."""
    return draws.interval(lambda weights: first(weights) - second(weights))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values adjusted for their number (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return tuple(adjusted)
