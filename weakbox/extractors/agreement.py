"""When two values are the same, and which items of two readings are the same thing: one definition for fusing, fitting and scoring.

The rules are those of the extraction contract's scorer, so that what is learnt and what is measured is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.stated import FieldValue, Stated

RELATIVE_TOLERANCE = 0.005
"""Numbers that differ by no more than this part of the reference are the same."""
ABSOLUTE_TOLERANCE = 1e-6
MINIMUM_AGREEMENT = 0.34
"""Share of the stated identity weight that two items must agree on to be the same."""
NEARNESS = 1e-3
"""What a place nearer in the order of mention is worth beside the identity: it only breaks ties."""


def is_empty(value: Any) -> bool:
    """Whether a leaf states nothing: null, an empty list or an empty text."""
    return value is None or value == "" or (isinstance(value, list | tuple) and not value)


def same_value(value: Any, reference: Any) -> bool:
    """Equal to the contract: numbers within half a percent of the reference, lists without order, words without case.

    >>> same_value(10.04, 10.0), same_value(10.1, 10.0), same_value((12.0, 8.0), [8, 12]), same_value(True, 1)
    (True, False, True, False)
    """
    if is_empty(value) or is_empty(reference):
        return is_empty(value) and is_empty(reference)
    if isinstance(value, bool) or isinstance(reference, bool):
        return value is reference
    if isinstance(value, int | float) and isinstance(reference, int | float):
        return abs(value - reference) <= max(RELATIVE_TOLERANCE * abs(reference), ABSOLUTE_TOLERANCE)
    if isinstance(value, list | tuple) and isinstance(reference, list | tuple):
        if all(isinstance(member, int | float) for member in (*value, *reference)):
            return len(value) == len(reference) and all(map(same_value, sorted(value), sorted(reference)))
        return set(value) == set(reference)
    return str(value).strip().lower() == str(reference).strip().lower()


def nested(body: Mapping[str, Any], dotted: str) -> Any:
    """``body["exam"]["pirads"]`` for ``exam.pirads``; None where a part is missing."""
    node: Any = body
    for part in dotted.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def align(expected: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], weights: Mapping[str, int]) -> list[tuple[int, int]]:
    """Pairs (expected, got) of the best one-to-one assignment, kept where a third of the expected item's identity agrees."""
    if not expected or not got:
        return []
    score = np.array([[_likeness(e, g, weights, len(got) - abs(i - j)) for j, g in enumerate(got)] for i, e in enumerate(expected)])
    return [(i, j) for i, j in best_assignment(score) if score[i, j] >= MINIMUM_AGREEMENT]


def _likeness(expected: Mapping[str, Any], got: Mapping[str, Any], weights: Mapping[str, int], nearness: int) -> float:
    """Share of the weight that the expected item states on which the other agrees; and a little for a place nearby."""
    stated = {name: weight for name, weight in weights.items() if not is_empty(expected.get(name))}
    agreed = sum(weight for name, weight in stated.items() if same_value(got.get(name), expected.get(name)))
    return (agreed + NEARNESS * nearness) / (sum(stated.values()) or 1)


def agreement(left: Mapping[str, Stated[FieldValue]], right: Mapping[str, Stated[FieldValue]], weights: Mapping[str, int]) -> float:
    """Share (0..1) of the identity weight that either of two readings states on which both agree; 1 where neither states any."""
    stated = {name: weight for name, weight in weights.items() if name in left or name in right}
    if not stated:
        return 1.0
    both = (name for name in stated if name in left and name in right)
    return sum(stated[name] for name in both if same_value(left[name].value, right[name].value)) / sum(stated.values())


def best_assignment(score: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column), each row and column at most once, with the greatest sum of scores."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-score)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
