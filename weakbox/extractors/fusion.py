"""Puts what several extractors read in one report together: items aligned one-to-one, then a vote a field.

An abstention and a failure are no votes. Where extractors differ, the value with the most confidence behind it is kept,
with less confidence and a flag; with a fitted label model, the value that is most likely right by what each source's votes
are worth. Confirming sources (the second reader, structured headers) add no item and no value and change none: they agree
or doubt. One extractor alone passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from weakbox.extractors.agreement import MINIMUM_AGREEMENT, NEARNESS, agreement, best_assignment, same_value
from weakbox.extractors.contract import shape_of
from weakbox.extractors.headers import CODE as HEADER_CODE
from weakbox.extractors.headers import NAME as HEADERS
from weakbox.extractors.headers import header_votes
from weakbox.extractors.label_model import LabelModel, Question, family_of, group_of
from weakbox.organs.organ import ReportShape
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Finding, Flag, Item, ReportExtraction, Specimen
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Span, Stated

NAME = "fusion"
AGREEMENT_CEILING = 0.995
"""Extractors share blind spots: agreement never makes a value certain."""

CONFIRMING = frozenset({"matcher", HEADERS})
"""Sources that agree or doubt; their silence says nothing, and what they alone say is no value."""
DOUBTED, UNCONFIRMED = "doubted", "unconfirmed"
"""Flags: a confirming source reads another value; it reads a value or an item that the others do not."""
DOUBT = 0.8
"""Factor on a confidence that a confirming source doubts, before calibration knows better."""

Values = Mapping[str, Stated[FieldValue]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What one extractor says of one field."""

    extractor: str
    stated: Stated[FieldValue]


def fuse(outcomes: Sequence[ReportExtraction | ExtractionFailure], model: LabelModel | None = None) -> ReportExtraction | ExtractionFailure:
    """One outcome of several on the same report, in the order of trust (ties go to the earlier extractor).

    ``model`` says what each source's vote is worth; without it the sources' own confidences do.

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
    leading = [voter for voter in voters if not is_confirming(voter.extractor)]
    if not leading:
        # what only confirming sources read is no reading: the first outcome says why there is none
        unread = [outcome for outcome in (*read, *outcomes) if not is_confirming(outcome.extractor)]
        return unread[0] if unread else (voters[0] if voters else outcomes[0])
    return _fused(leading, [voter for voter in voters if is_confirming(voter.extractor)], model) if len(voters) > 1 else voters[0]


def is_confirming(source: str) -> bool:
    """Whether a source only agrees or doubts."""
    return family_of(source) in CONFIRMING


def questions(outcomes: Sequence[ReportExtraction | ExtractionFailure]) -> Iterator[Question]:
    """What the sources say of each field of one report, for estimating what their votes are worth without labels."""
    read = [o for o in outcomes if isinstance(o, ReportExtraction) and o.status is not ExtractionStatus.ABSTAINED]
    if not read:
        return
    shape = shape_of(read[0].organ, read[0].report_type)
    groups = [[(voter.extractor, voter.exam) for voter in read]]
    groups += [[(name, item.values) for name, item in cluster] for cluster in align(read, shape)]
    for sources in groups:
        for name in sorted({name for _, values in sources for name in values}):
            ballots = [Ballot(extractor=source, stated=values[name]) for source, values in sources if name in values]
            yield Question(group=group_of(name), votes=_places(_camps(ballots)))


def _fused(leading: Sequence[ReportExtraction], confirming: Sequence[ReportExtraction], model: LabelModel | None) -> ReportExtraction:
    first = leading[0]
    voters = [*leading, *confirming]
    shape = shape_of(first.organ, first.report_type)
    flags: list[Flag] = []
    stated = dict(vote for extraction in confirming if extraction.extractor == HEADERS for vote in header_votes(extraction))
    exam = _vote_fields([(v.extractor, v.exam) for v in voters], [field.name for field in shape.exam], "", flags, model, stated)
    items: list[Item] = []
    places: dict[tuple[str, int], int] = {}
    for cluster in align(voters, shape):
        prefix = f"{shape.item_kind}[{len(items)}]."
        names = {name for name, _ in cluster if not is_confirming(name)}
        if not names:
            flags.append(Flag(path=shape.item_kind, code=UNCONFIRMED, detail="a confirming reader sees an item that no other reads"))
            continue
        values = _vote_fields([(name, item.values) for name, item in cluster], [field.name for field in shape.item], prefix, flags, model)
        if len(names) < len(leading):
            flags.append(Flag(path=prefix.rstrip("."), code="single_source", detail=f"read by {', '.join(sorted(names))} only"))
        places |= {(name, item.index): len(items) for name, item in cluster}
        items.append(_item(first, len(items), values))
    kept = [flag for voter in voters for flag in voter.flags if "[" not in flag.path and flag.code != HEADER_CODE]
    kept += [moved for voter in leading for moved in _moved_flags(voter, places, shape.item_kind)]
    fused = _extraction(first, exam, items, tuple(dict.fromkeys((*kept, *flags))))
    return replace(fused, voters=tuple(voter.extractor for voter in voters))


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


def _moved_flags(voter: ReportExtraction, places: Mapping[tuple[str, int], int], kind: str) -> Iterator[Flag]:
    """Flags on an extractor's items, on the fused items that hold their values; ``places``: (extractor, index) -> fused index."""
    for item in voter.items:
        old, new = f"{kind}[{item.index}]", f"{kind}[{places[voter.extractor, item.index]}]"
        for flag in voter.flags:
            if flag.path == old or flag.path.startswith(f"{old}."):
                yield replace(flag, path=new + flag.path.removeprefix(old))


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
    agreed = np.array([[agreement(a.values, b.values, weights) for b in right] for a in left])
    apart = np.abs(np.subtract.outer(np.arange(len(left)), np.arange(len(right))))
    pairs = best_assignment(agreed - NEARNESS / (len(left) + len(right)) * apart)
    return {j: i for i, j in pairs if agreed[i, j] >= MINIMUM_AGREEMENT}


def _vote_fields(
    voters: Sequence[tuple[str, Values]],
    names: Iterable[str],
    prefix: str,
    flags: list[Flag],
    model: LabelModel | None,
    headers: Mapping[str, FieldValue] = MappingProxyType({}),
) -> dict[str, Stated[FieldValue]]:
    """The value of each field that a leading source states; ``headers`` are values that the report's source states beside the text."""
    fused = {}
    for name in names:
        ballots = [Ballot(extractor=extractor, stated=values[name]) for extractor, values in voters if name in values]
        leading = [ballot for ballot in ballots if not is_confirming(ballot.extractor)]
        heard = [ballot for ballot in ballots if is_confirming(ballot.extractor)]
        if not leading:
            if heard:
                flags.append(Flag(path=prefix + name, code=UNCONFIRMED, detail=f"read by {_names(heard)} only"))
            if name in headers:
                flags.append(Flag(path=name, code=HEADER_CODE, detail="the source states a value, the text does not"))
            continue
        winner, is_disputed = vote(leading, group_of(name), model)
        if is_disputed:
            flags.append(Flag(path=prefix + name, code="conflict", detail=f"extractors differ: {_names(leading)}"))
        if name in headers:
            # a header has no words of its own: it votes on those of the value that it confirms or doubts
            said = replace(winner, value=headers[name], source=HEADERS, confidence=1.0)
            heard.append(Ballot(extractor=HEADERS, stated=said))
        doubting = [ballot for ballot in heard if not same_value(ballot.stated.value, winner.value)]
        if doubting:
            flags.append(Flag(path=prefix + name, code=DOUBTED, detail=f"{_names(doubting)} reads another value"))
        fused[name] = _confirmed(winner, leading, heard, group_of(name), model)
    return fused


def _names(ballots: Sequence[Ballot]) -> str:
    return ", ".join(ballot.extractor for ballot in ballots)


def _confirmed(
    winner: Stated[FieldValue], leading: Sequence[Ballot], heard: Sequence[Ballot], group: str, model: LabelModel | None
) -> Stated[FieldValue]:
    """The same value and words, with a confidence that has heard the confirming sources."""
    if not heard:
        return winner
    agreeing = [ballot for ballot in heard if same_value(ballot.stated.value, winner.value)]
    source = "+".join(dict.fromkeys((winner.source, *(ballot.extractor for ballot in agreeing))))
    if model is not None:
        camps = _camps([*leading, *heard])
        place = next(place for place, camp in enumerate(camps) if same_value(camp[0].stated.value, winner.value))
        return replace(winner, source=source, confidence=model.posterior(Question(group=group, votes=_places(camps)))[place])
    confidence = winner.confidence
    for ballot in heard:
        raised = min(1.0 - (1.0 - confidence) * (1.0 - ballot.stated.confidence), max(AGREEMENT_CEILING, confidence))
        confidence = raised if ballot in agreeing else confidence * DOUBT
    return replace(winner, source=source, confidence=confidence)


def _camps(ballots: Sequence[Ballot]) -> list[list[Ballot]]:
    """Ballots by the value that they give; numbers within the tolerance are one value."""
    camps: list[list[Ballot]] = []
    for ballot in ballots:
        camp = next((c for c in camps if same_value(c[0].stated.value, ballot.stated.value)), None)
        if camp is None:
            camps.append([ballot])
        else:
            camp.append(ballot)
    return camps


def _places(camps: Sequence[Sequence[Ballot]]) -> dict[str, int]:
    """Which camp each source is in; several samples of one name are told apart."""
    votes: dict[str, int] = {}
    for place, camp in enumerate(camps):
        for ballot in camp:
            name = ballot.extractor
            while name in votes:
                name += "#"
            votes[name] = place
    return votes


def vote(ballots: Sequence[Ballot], group: str = "other", model: LabelModel | None = None) -> tuple[Stated[FieldValue], bool]:
    """The value with the most behind it (confidence, or what the model says of its sources), and whether anyone differs."""
    camps = _camps(ballots)
    if len(ballots) == 1:
        return ballots[0].stated, False
    if model is not None:
        chances = model.posterior(Question(group=group, votes=_places(camps)))
        best = max(range(len(camps)), key=chances.__getitem__)
        return _joined(camps[best], chances[best]), len(camps) > 1
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
