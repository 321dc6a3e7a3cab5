"""Puts what several extractors read in one report together: items aligned one-to-one, then a vote a field.

An abstention and a failure are no votes. Where extractors differ, the value with the most confidence behind it is kept,
with less confidence and a flag. One extractor alone passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from weakbox.extractors.contract import shape_of
from weakbox.organs.organ import ReportShape
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Finding, Flag, Item, ReportExtraction, Specimen
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Span, Stated

NAME = "fusion"
MINIMUM_AGREEMENT = 0.34
"""Share of the stated identity weight that two items must agree on to be the same."""
RELATIVE_TOLERANCE = 0.005
AGREEMENT_CEILING = 0.995
"""Extractors share blind spots: agreement never makes a value certain."""

Values = Mapping[str, Stated[FieldValue]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What one extractor says of one field."""

    extractor: str
    stated: Stated[FieldValue]


def fuse(outcomes: Sequence[ReportExtraction | ExtractionFailure]) -> ReportExtraction | ExtractionFailure:
    """One outcome of several on the same report, in the order of trust (ties go to the earlier extractor).

    Raises:
        ValueError: no outcome, or outcomes of different reports.
    """
    if not outcomes:
        msg = "fusion needs at least one outcome"
        raise ValueError(msg)
    if len({(outcome.report_id, outcome.report_type, outcome.organ) for outcome in outcomes}) > 1:
        msg = "fusion puts outcomes of one report together, got several reports"
        raise ValueError(msg)
    read = [o for o in outcomes if isinstance(o, ReportExtraction)]
    voters = [extraction for extraction in read if extraction.status is not ExtractionStatus.ABSTAINED]
    if len(voters) > 1:
        return _fused(voters)
    if voters:
        return voters[0]
    return read[0] if read else outcomes[0]


def _fused(voters: Sequence[ReportExtraction]) -> ReportExtraction:
    first = voters[0]
    shape = shape_of(first.organ, first.report_type)
    flags: list[Flag] = []
    exam = _vote_fields([(v.extractor, v.exam) for v in voters], [field.name for field in shape.exam], "", flags)
    items: list[Item] = []
    for index, cluster in enumerate(align(voters, shape)):
        prefix = f"{shape.item_kind}[{index}]."
        values = _vote_fields([(name, item.values) for name, item in cluster], [field.name for field in shape.item], prefix, flags)
        if len(cluster) < len(voters):
            flags.append(
                Flag(path=prefix.rstrip("."), code="single_source", detail=f"read by {', '.join(name for name, _ in cluster)} only")
            )
        items.append(_item(first, index, values))
    kept = [flag for voter in voters for flag in voter.flags if "[" not in flag.path]
    kept += [moved for voter in voters for moved in _moved_flags(voter, items, shape)]
    return _extraction(first, exam, items, tuple(dict.fromkeys((*kept, *flags))))


def _item(first: ReportExtraction, index: int, values: Values) -> Item:
    kind = Finding if first.report_type is ReportType.RADIOLOGY else Specimen
    return kind(item_id=f"{first.report_id}/{index}", report_id=first.report_id, index=index, values=values)


def _extraction(first: ReportExtraction, exam: Values, items: Sequence[Item], flags: tuple[Flag, ...]) -> ReportExtraction:
    return replace(
        first,
        exam=exam,
        findings=tuple(item for item in items if isinstance(item, Finding)),
        specimens=tuple(item for item in items if isinstance(item, Specimen)),
        flags=flags,
        extractor=NAME,
    )


def _moved_flags(voter: ReportExtraction, items: Sequence[Item], shape: ReportShape) -> Iterable[Flag]:
    """Flags on an extractor's items, on the fused item that carries its value."""
    for item in voter.items:
        target = next((fused.index for fused in items if agreement(fused.values, item.values, shape.identity) >= MINIMUM_AGREEMENT), None)
        old = f"{shape.item_kind}[{item.index}]"
        for flag in voter.flags:
            if target is not None and (flag.path == old or flag.path.startswith(f"{old}.")):
                yield replace(flag, path=f"{shape.item_kind}[{target}]{flag.path.removeprefix(old)}")


def align(voters: Sequence[ReportExtraction], shape: ReportShape) -> list[list[tuple[str, Item]]]:
    """Clusters of items that are the same thing, each with at most one item of an extractor, in order of first mention."""
    clusters = [[(voters[0].extractor, item)] for item in voters[0].items]
    for voter in voters[1:]:
        taken = _assign([cluster[0][1] for cluster in clusters], voter.items, shape.identity)
        for position, item in enumerate(voter.items):
            if position in taken:
                clusters[taken[position]].append((voter.extractor, item))
            else:
                clusters.append([(voter.extractor, item)])
    return clusters


def _assign(left: Sequence[Item], right: Sequence[Item], weights: Mapping[str, int]) -> dict[int, int]:
    """Position in ``right`` -> position in ``left``, of the best one-to-one assignment."""
    if not left or not right:
        return {}
    order = 1e-3 / (len(left) + len(right))
    score = np.array(
        [[agreement(a.values, b.values, weights) - order * abs(i - j) for j, b in enumerate(right)] for i, a in enumerate(left)]
    )
    rows, columns = linear_sum_assignment(-score)
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if score[i, j] >= MINIMUM_AGREEMENT - order * abs(i - j)}


def agreement(left: Values, right: Values, weights: Mapping[str, int]) -> float:
    """Share (0..1) of the identity weight that either states on which both agree; 1 where neither states any."""
    stated = {name: weight for name, weight in weights.items() if name in left or name in right}
    if not stated:
        return 1.0
    agreed = sum(
        weight for name, weight in stated.items() if name in left and name in right and same_value(left[name].value, right[name].value)
    )
    return agreed / sum(stated.values())


def same_value(left: FieldValue, right: FieldValue) -> bool:
    """Equality with a small tolerance for numbers; words without regard to case."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= RELATIVE_TOLERANCE * max(abs(left), abs(right))
    if isinstance(left, tuple) and isinstance(right, tuple):
        elements: list[tuple[str | float, str | float]] = list(zip(left, right, strict=False))
        return len(left) == len(right) and all(same_value(a, b) for a, b in elements)
    return str(left).casefold() == str(right).casefold()


def _vote_fields(
    voters: Sequence[tuple[str, Values]], names: Iterable[str], prefix: str, flags: list[Flag]
) -> dict[str, Stated[FieldValue]]:
    fused = {}
    for name in names:
        ballots = [Ballot(extractor=extractor, stated=values[name]) for extractor, values in voters if name in values]
        if ballots:
            fused[name], is_disputed = vote(ballots)
            if is_disputed:
                sides = ", ".join(ballot.extractor for ballot in ballots)
                flags.append(Flag(path=prefix + name, code="conflict", detail=f"extractors differ: {sides}"))
    return fused


def vote(ballots: Sequence[Ballot]) -> tuple[Stated[FieldValue], bool]:
    """The value with the most confidence behind it, and whether anyone differs."""
    camps: list[list[Ballot]] = []
    for ballot in ballots:
        camp = next((c for c in camps if same_value(c[0].stated.value, ballot.stated.value)), None)
        if camp is None:
            camps.append([ballot])
        else:
            camp.append(ballot)
    if len(ballots) == 1:
        return ballots[0].stated, False
    winner = max(camps, key=lambda camp: sum(ballot.stated.confidence for ballot in camp))
    doubt = float(np.prod([1.0 - ballot.stated.confidence for ballot in winner]))
    total = sum(ballot.stated.confidence for ballot in ballots)
    share = sum(ballot.stated.confidence for ballot in winner) / total if total else 1.0 / len(camps)
    confidence = min(1.0 - doubt, max(AGREEMENT_CEILING, *(ballot.stated.confidence for ballot in winner))) * share
    return _joined(winner, confidence), len(camps) > 1


def _joined(camp: Sequence[Ballot], confidence: float) -> Stated[FieldValue]:
    evidence: tuple[Span, ...] = tuple(dict.fromkeys(span for ballot in camp for span in ballot.stated.evidence))
    source = "+".join(dict.fromkeys(ballot.stated.source for ballot in camp))
    return replace(camp[0].stated, evidence=evidence, source=source, confidence=confidence)
