"""Scores what was read against gold answers, by the definitions of the extraction contract's scorer.

Items are aligned one-to-one by their identity fields first. A wrong value counts as a miss and a false alarm.
*Core exact* and *full exact* count reports in which all core fields, or all fields, and the number of items are right.
*Ungrounded* counts values whose evidence is missing or is not the text at its offsets.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from weakbox.evaluation.gold import GoldReport
from weakbox.extractors.agreement import align, is_empty, nested, same_value
from weakbox.extractors.contract import shape_of
from weakbox.organs.organ import Field, ReportShape
from weakbox.records.record import record

NOT_SCORED = frozenset({"max_diameter_mm", "finding_id"})
"""The contract's scorer leaves these out: one follows from the size, the other is not always a label."""


class ErrorKind(StrEnum):
    """What is wrong with a leaf or an item."""

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


def kind_of(gold: GoldReport) -> str:
    """``radiology/prostate`` and so on."""
    return f"{gold.report.report_type.value}/{gold.report.organ}"


def score(pairs: Iterable[tuple[GoldReport, Mapping[str, Any]]], group: Callable[[GoldReport], str] = kind_of) -> dict[str, Score]:
    """Scores by group; ``group`` names the group of a gold report."""
    scores: dict[str, Score] = {}
    for gold, answer in pairs:
        score_report(gold, answer, scores.setdefault(group(gold), Score()))
    return scores


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


@record
class _Leaf:
    """One field of the examination or of an item, as expected and as read."""

    name: str
    label: str
    """The field's name for counting, without the item's place."""
    path: str
    expected: Any
    got: Any


def report_errors(gold: GoldReport, answer: Mapping[str, Any], shape: ReportShape, total: Score) -> Iterator[Error]:
    """Every wrong leaf and item of one report; ``total`` counts as it goes."""
    leaves = [_Leaf(name=n, label=n, path=n, expected=nested(gold.body, n), got=nested(answer, n)) for n in _public(shape.exam)]
    expected, got = list(gold.body.get(shape.item_kind) or ()), list(answer.get(shape.item_kind) or ())
    pairs = align(expected, got, shape.identity)
    total.items_right += len(pairs)
    total.items_missed += len(expected) - len(pairs)
    total.items_invented += len(got) - len(pairs)
    for gold_item, item, position in _rows(expected, got, pairs):
        place = shape.item_kind if position is None else f"{shape.item_kind}[{position}]"
        if not gold_item or not item:
            kind = ErrorKind.ITEM_INVENTED if item else ErrorKind.ITEM_MISSED
            yield Error(report_id=gold.report.report_id, kind=kind, field=shape.item_kind, path=place, is_core=True)
        leaves += [
            _Leaf(name=n, label=f"{shape.item_kind}.{n}", path=f"{place}.{n}", expected=gold_item.get(n), got=item.get(n))
            for n in _public(shape.item)
            if n not in NOT_SCORED
        ]
    for leaf in leaves:
        kind_of_error = _counted(leaf, total)
        if kind_of_error is not None:
            yield Error(
                report_id=gold.report.report_id,
                kind=kind_of_error,
                field=leaf.label,
                path=leaf.path,
                expected=leaf.expected,
                got=leaf.got,
                is_core=leaf.name in shape.core,
            )


def _public(fields: Iterable[Field]) -> list[str]:
    return [field.name for field in fields if not field.is_internal]


def _rows(
    expected: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[int, int]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any], int | None]]:
    """(Expected item, item that was read, its place) of every item of either side; empty where it has no partner."""
    found, used = {i for i, _ in pairs}, {j for _, j in pairs}
    rows: list[tuple[Mapping[str, Any], Mapping[str, Any], int | None]] = [(expected[i], got[j], j) for i, j in pairs]
    rows += [(item, {}, None) for i, item in enumerate(expected) if i not in found]
    rows += [({}, item, j) for j, item in enumerate(got) if j not in used]
    return rows


def _counted(leaf: _Leaf, total: Score) -> ErrorKind | None:
    """Count one leaf; what is wrong with it, if anything. A field that neither side states is not counted."""
    if is_empty(leaf.expected) and is_empty(leaf.got):
        return None
    counts = total.fields[leaf.label]
    if same_value(leaf.expected, leaf.got):
        counts[0] += 1
        total.true_positives += 1
        return None
    if not is_empty(leaf.got):
        counts[1] += 1
        total.false_positives += 1
    if not is_empty(leaf.expected):
        counts[2] += 1
        total.false_negatives += 1
    return ErrorKind.MISSED if is_empty(leaf.got) else ErrorKind.INVENTED if is_empty(leaf.expected) else ErrorKind.WRONG


def grounding(answer: Mapping[str, Any], text: str, shape: ReportShape) -> tuple[int, int]:
    """How many values stand without evidence, or with evidence that is not the text at its offsets; and how many there are."""
    grounded, broken = set(), 0
    for entry in answer.get("evidence") or ():
        if entry["text"].strip() and text[entry["start"] : entry["end"]] == entry["text"]:
            grounded.add(entry["path"])
        else:
            broken += 1
    paths = [name for name in _public(shape.exam) if not is_empty(nested(answer, name))]
    for index, item in enumerate(answer.get(shape.item_kind) or ()):
        paths += [f"{shape.item_kind}[{index}].{name}" for name in _public(shape.item) if not is_empty(item.get(name))]
    return broken + sum(path not in grounded for path in paths), len(paths)


def frequent_errors(scores: Iterable[Score], count: int = 12) -> list[tuple[str, str, int]]:
    """(kind, field, how often) of the most frequent errors."""
    counted = Counter((error.kind.value, error.field) for one in scores for error in one.errors)
    return [(kind, name, number) for (kind, name), number in counted.most_common(count)]
