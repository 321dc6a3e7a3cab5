"""One-to-one assignment whose links do not flip when a competitor disappears.

A pair is *accepted* where it is the best of both its sides by a margin. Taking any other record away can only widen that
margin, so an accepted pair stays accepted; a record without any admissible partner stays without. Only a record that has
admissible partners and is accepted with none may change: it is *contested*, and says so. The sum-optimal assignment
(Hungarian method, with the right to leave a record alone) is computed beside it: what it would pair beyond the accepted
pairs is a proposal for a person, and an accepted pair that it would not make is marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Pairs of (left, right) indices. ``margins`` is how much better each accepted pair is than its best rival (1 without one)."""

    accepted: tuple[Pair, ...]
    margins: tuple[float, ...]
    is_optimal: tuple[bool, ...]
    """Whether the sum-optimal assignment makes the accepted pair too."""
    proposed: tuple[Pair, ...]
    """Pairs of the sum-optimal assignment that are not accepted."""
    contested_left: frozenset[int]
    contested_right: frozenset[int]


NOTHING = Assignment(accepted=(), margins=(), is_optimal=(), proposed=(), contested_left=frozenset(), contested_right=frozenset())


def assign(scores: NDArray[np.float64], threshold: float, minimum_margin: float) -> Assignment:
    """Assign rows to columns by ``scores`` (left, right), 0..1; only pairs of at least ``threshold`` are admissible.

    ``minimum_margin`` must be positive: equal scores are nobody's.
    """
    admissible = scores >= threshold
    if not admissible.any():
        return NOTHING
    margins = _margins(scores)
    accepted = admissible & (margins >= minimum_margin)
    optimal = _optimum(scores, threshold)
    pairs = [(int(i), int(j)) for i, j in np.argwhere(accepted)]
    return Assignment(
        accepted=tuple(pairs),
        margins=tuple(float(margins[pair]) for pair in pairs),
        is_optimal=tuple(pair in optimal for pair in pairs),
        proposed=tuple(sorted(optimal - set(pairs))),
        contested_left=frozenset(int(i) for i in np.flatnonzero(admissible.any(axis=1) & ~accepted.any(axis=1))),
        contested_right=frozenset(int(j) for j in np.flatnonzero(admissible.any(axis=0) & ~accepted.any(axis=0))),
    )


def _margins(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each pair, its score less the best other score of its row or column; 1 where there is no other."""
    return np.minimum(scores - _best_other(scores), scores - _best_other(scores.T).T)


def _best_other(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best of the other entries of the same row; low enough for a margin of at least 1 where there is none."""
    rows, columns = scores.shape
    if columns == 1:
        return scores - 1.0
    ordered = np.sort(scores, axis=1)
    best, second = ordered[:, -1:], ordered[:, -2:-1]
    is_best = np.arange(columns) == np.argmax(scores, axis=1)[:, None]
    return np.where(is_best, second, np.broadcast_to(best, (rows, columns)))


def _optimum(scores: NDArray[np.float64], threshold: float) -> set[Pair]:
    """The admissible pairs of the assignment with the greatest sum of gains over the threshold; none is better than a bad one."""
    rows, columns = scores.shape
    gains = np.zeros((rows, columns + rows))
    gains[:, :columns] = np.where(scores >= threshold, scores - threshold + 1e-9, -1.0)
    left, right = linear_sum_assignment(gains, maximize=True)
    return {(int(i), int(j)) for i, j in zip(left, right, strict=True) if j < columns and scores[i, j] >= threshold}
