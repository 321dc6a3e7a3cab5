"""Scores what was read against gold answers, by the definitions of the extraction contract's scorer.

Items are aligned one-to-one by their identity fields first. A wrong value counts as a miss and a false alarm.
*Core exact* and *full exact* count reports in which all core fields, or all fields, and the number of items are right.
*Ungrounded* counts values whose evidence is missing or is not the text at its offsets.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from weakbox.evaluation.gold import GoldReport
from weakbox.extractors.contract import shape_of
from weakbox.organs.organ import ReportShape
from weakbox.records.record import record

MINIMUM_AGREEMENT = 0.34
RELATIVE_TOLERANCE = 0.005
NOT_SCORED = frozenset({"max_diameter_mm", "finding_id"})
"""The contract's scorer leaves these out: one follows from the size, the other is not always a label."""


class ErrorKind(StrEnum):
    MISSED = "missed"
    INVENTED = "invented"
    WRONG = "wrong"
    ITEM_MISSED = "item missed"
    ITEM_INVENTED = "item invented"


@record
class Error:
    """One wrong leaf, or one item too many or too few; ``path`` names the answer's leaf, ``gold_path`` the gold's."""

    report_id: str
    kind: ErrorKind
    field: str
    path: str
    expected: Any = None
    got: Any = None
    is_core: bool = False


@dataclass(slots=True)
class Score:
    """Counts over the reports of one group."""

    reports: int = 0
    core_exact: int = 0
    full_exact: int = 0
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    items_right: int = 0
    items_invented: int = 0
    items_missed: int = 0
    ungrounded: int = 0
    leaves: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    fields: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    errors: list[Error] = field(default_factory=list)

    @property
    def field_f1(self) -> float:
        """Micro-averaged over all leaves."""
        return f1(self.true_positives, self.false_positives, self.false_negatives)

    @property
    def item_f1(self) -> float:
        """Of lesions, findings or specimens."""
        return f1(self.items_right, self.items_invented, self.items_missed)

    def as_dict(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "reports": self.reports,
            "field_f1": round(self.field_f1, 4),
            "item_f1": round(self.item_f1, 4),
            "core_exact": round(self.core_exact / max(self.reports, 1), 4),
            "full_exact": round(self.full_exact / max(self.reports, 1), 4),
            "ungrounded": self.ungrounded,
            "leaves": self.leaves,
            "statuses": dict(sorted(self.statuses.items())),
            "fields": {name: round(f1(*counts), 4) for name, counts in sorted(self.fields.items())},
        }


def f1(right: int, invented: int, missed: int) -> float:
    """2 TP / (2 TP + FP + FN); 1 where there is nothing to find and nothing was found.

    >>> f1(3, 1, 0), f1(0, 0, 0)
    (0.8571428571428571, 1.0)
    """
    total = 2 * right + invented + missed
    return 2 * right / total if total else 1.0


def is_empty(value: Any) -> bool:
    """Whether a leaf states nothing."""
    return value is None or value == [] or value == ""


def same(left: Any, right: Any) -> bool:
    """Equal as the contract's scorer has it: numbers within half a percent, lists as sets, words without case."""
    if is_empty(left) or is_empty(right):
        return is_empty(left) and is_empty(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= max(RELATIVE_TOLERANCE * abs(right), 1e-6)
    if isinstance(left, list) and isinstance(right, list):
        if all(isinstance(member, int | float) for member in left + right):
            return len(left) == len(right) and all(same(a, b) for a, b in zip(sorted(left), sorted(right), strict=True))
        return set(left) == set(right)
    return str(left).strip().lower() == str(right).strip().lower()


def align(expected: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], weights: Mapping[str, int]) -> list[tuple[int, int]]:
    """Pairs (expected, got) of the best one-to-one assignment, kept where a third of the identity agrees."""
    if not expected or not got:
        return []
    score = np.array([[_agreement(e, i, g, j, len(got), weights) for j, g in enumerate(got)] for i, e in enumerate(expected)])
    rows, columns = linear_sum_assignment(-score)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if score[i, j] >= MINIMUM_AGREEMENT]


def _agreement(expected: Mapping[str, Any], i: int, got: Mapping[str, Any], j: int, count: int, weights: Mapping[str, int]) -> float:
    stated = {name: weight for name, weight in weights.items() if not is_empty(expected.get(name))}
    agreed = sum(weight for name, weight in stated.items() if same(got.get(name), expected.get(name)))
    return (agreed + 1e-3 * (count - abs(i - j))) / (sum(stated.values()) or 1)


def score(pairs: Iterable[tuple[GoldReport, Mapping[str, Any]]], group: Any = None) -> dict[str, Score]:
    """Scores by group; ``group`` names the group of a gold report (default: its kind)."""
    scores: dict[str, Score] = {}
    name_of = group or kind_of
    for gold, answer in pairs:
        score_report(gold, answer, scores.setdefault(name_of(gold), Score()))
    return scores


def kind_of(gold: GoldReport) -> str:
    """``radiology/prostate`` and so on."""
    return f"{gold.report.report_type.value}/{gold.report.organ}"


def score_report(gold: GoldReport, answer: Mapping[str, Any], total: Score) -> None:
    """Add one report to a group's counts."""
    shape = shape_of(str(gold.report.organ), gold.report.report_type)
    errors = list(report_errors(gold, answer, shape, total))
    total.reports += 1
    total.statuses[str(answer.get("status", "missing"))] += 1
    total.full_exact += not errors
    total.core_exact += not any(error.is_core for error in errors)
    total.errors += errors
    bad, leaves = grounding(answer, gold.report.text, shape)
    total.ungrounded += bad
    total.leaves += leaves


def report_errors(gold: GoldReport, answer: Mapping[str, Any], shape: ReportShape, total: Score) -> Iterator[Error]:
    """Every wrong leaf and item of one report; ``total`` counts as it goes."""
    core = frozenset(shape.core)
    for name in (f.name for f in shape.exam if not f.is_internal):
        yield from _leaf_errors(gold, name, name, nested(gold.body, name), nested(answer, name), core, total)
    expected, got = list(gold.body.get(shape.item_kind) or ()), list(answer.get(shape.item_kind) or ())
    paired = align(expected, got, shape.identity)
    partner = dict(paired)
    rows: list[tuple[Mapping[str, Any], Mapping[str, Any], int | None]] = [(expected[i], got[j], j) for i, j in paired]
    rows += [(item, {}, None) for i, item in enumerate(expected) if i not in partner]
    rows += [({}, item, j) for j, item in enumerate(got) if j not in partner.values()]
    total.items_right += len(paired)
    total.items_missed += len(expected) - len(paired)
    total.items_invented += len(got) - len(paired)
    for gold_item, item, position in rows:
        if not gold_item or not item:
            kind = ErrorKind.ITEM_INVENTED if item else ErrorKind.ITEM_MISSED
            path = shape.item_kind if position is None else f"{shape.item_kind}[{position}]"
            yield Error(report_id=gold.report.report_id, kind=kind, field=shape.item_kind, path=path, is_core=True)
        for name in (f.name for f in shape.item if not f.is_internal and f.name not in NOT_SCORED):
            path = f"{shape.item_kind}.{name}" if position is None else f"{shape.item_kind}[{position}].{name}"
            yield from _leaf_errors(gold, name, path, gold_item.get(name), item.get(name), core, total, f"{shape.item_kind}.{name}")


def nested(body: Mapping[str, Any], dotted: str) -> Any:
    """``body["exam"]["pirads"]`` for ``exam.pirads``; None where a part is missing."""
    node: Any = body
    for part in dotted.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _leaf_errors(
    gold: GoldReport, name: str, path: str, expected: Any, got: Any, core: frozenset[str], total: Score, label: str | None = None
) -> Iterator[Error]:
    counts = total.fields[label or name]
    if same(expected, got):
        if is_empty(expected):
            if counts == [0, 0, 0]:
                del total.fields[label or name]
            return
        counts[0] += 1
        total.true_positives += 1
        return
    if not is_empty(got):
        counts[1] += 1
        total.false_positives += 1
    if not is_empty(expected):
        counts[2] += 1
        total.false_negatives += 1
    kind = ErrorKind.MISSED if is_empty(got) else ErrorKind.INVENTED if is_empty(expected) else ErrorKind.WRONG
    yield Error(
        report_id=gold.report.report_id, kind=kind, field=label or name, path=path, expected=expected, got=got, is_core=name in core
    )


def grounding(answer: Mapping[str, Any], text: str, shape: ReportShape) -> tuple[int, int]:
    """How many values stand without evidence, or with evidence that is not the text at its offsets; and how many there are."""
    grounded, broken = set(), 0
    for entry in answer.get("evidence") or ():
        if entry["text"].strip() and text[entry["start"] : entry["end"]] == entry["text"]:
            grounded.add(entry["path"])
        else:
            broken += 1
    paths = [name for name in (f.name for f in shape.exam if not f.is_internal) if not is_empty(nested(answer, name))]
    for index, item in enumerate(answer.get(shape.item_kind) or ()):
        paths += [f"{shape.item_kind}[{index}].{f.name}" for f in shape.item if not f.is_internal and not is_empty(item.get(f.name))]
    return broken + sum(path not in grounded for path in paths), len(paths)


def frequent_errors(scores: Iterable[Score], count: int = 12) -> list[tuple[str, str, int]]:
    """(kind, field, how often) of the most frequent errors."""
    counted = Counter((error.kind.value, error.field) for one in scores for error in one.errors)
    return [(kind, name, number) for (kind, name), number in counted.most_common(count)]
