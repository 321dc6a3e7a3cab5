"""Whether the words that a language model quotes really state the value that it gives.

A quote that occurs in the report proves nothing: an aligner finds "PI-RADS 3" for a claimed 4. So the grammar of the
organ reads the place again, three times, from wide to narrow, and the first reading that says anything of the field at
the quoted words, wherever they stand, decides:

1. the whole report: what the grammar reads with every context it knows;
2. the sentence around the quote, set in a frame that states nothing (``ReportShape.carriers``);
3. the quote alone in such a frame.

Below the first, the section and the sentence must let the words be current and present.

A claim that no reading confirms is dropped with one of the codes of ``Reason``. Nothing is corrected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from weakbox.extractors.agreement import same_value
from weakbox.extractors.contract import shape_of
from weakbox.organs.organ import Field, FieldKind, ReportShape
from weakbox.records.extraction import Item, ReportExtraction
from weakbox.records.record import record
from weakbox.records.report import Report, ReportType, Section, SectionKind
from weakbox.records.stated import Assertion, FieldValue, Span, Stated
from weakbox.text.assertion import assertion_at
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection, raw_sections
from weakbox.text.sentences import split_sentences


class Reason(StrEnum):
    """Why a claim was dropped."""

    UNSUPPORTED = "unsupported"
    """The quote is not in the report, or says nothing of the field."""
    MISMATCH = "mismatch"
    """The quoted words state another value."""
    AMBIGUOUS = "ambiguous"
    """The quoted words state several values of the field."""
    PRIOR = "prior"
    NEGATED = "negated"
    POSSIBLE = "possible"
    HYPOTHETICAL = "hypothetical"
    """Also of another person, or printed in a legend."""
    RANGE = "range"
    GROUPING = "grouping"
    """The words belong to another item of the report than the rest of this item's words."""


@record
class Claim:
    """What a model says: a field of the examination (``item`` None) or of an item, its value and the words it quotes."""

    field: str
    value: FieldValue
    quote: str
    item: int | None = None


@record
class Verdict:
    """A claim with the raw words that confirm it, or with the reason why it was dropped."""

    claim: Claim
    evidence: tuple[Span, ...] = ()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A report as the rules read it, prepared for checking claims against it."""

    report: Report
    text: Normalised
    sections: tuple[Section, ...]
    sentences: tuple[Span, ...]
    extraction: ReportExtraction
    read: Callable[[Report], ReportExtraction]
    """The grammar, for a text of its own: the organ and type of ``report``."""

    @property
    def shape(self) -> ReportShape:
        """The organ's fields."""
        return shape_of(self.extraction.organ, self.report.report_type)


def build_reading(
    report: Report,
    text: Normalised,
    sections: tuple[TextSection, ...],
    extraction: ReportExtraction,
    read: Callable[[Report], ReportExtraction],
) -> Reading:
    """What claims about ``report`` are checked against; ``text`` is normalised and glossed."""
    units = (unit for unit in split_sentences(text.text) if text.text[unit.start : unit.end].strip())
    sentences = tuple(text.to_raw(unit.start, unit.end) for unit in units)
    return Reading(report=report, text=text, sections=raw_sections(text, sections), sentences=sentences, extraction=extraction, read=read)


_CODES = {
    Assertion.ABSENT: Reason.NEGATED,
    Assertion.PRIOR: Reason.PRIOR,
    Assertion.POSSIBLE: Reason.POSSIBLE,
    Assertion.HYPOTHETICAL: Reason.HYPOTHETICAL,
    Assertion.FAMILY: Reason.HYPOTHETICAL,
    Assertion.TEMPLATE: Reason.HYPOTHETICAL,
}
_PAST_SECTIONS = {
    SectionKind.COMPARISON: Reason.PRIOR,
    SectionKind.CLINICAL_INFORMATION: Reason.PRIOR,
    SectionKind.TEMPLATE_LEGEND: Reason.HYPOTHETICAL,
    SectionKind.RECOMMENDATION: Reason.HYPOTHETICAL,
    SectionKind.SIGNATURE: Reason.UNSUPPORTED,
}
CONTEXT_FIELDS = frozenset(
    {"exam.psa_ng_ml", "exam.psa_density", "exam.prostate_volume_ml", "exam.pirads_version", "exam.modality", "procedure", "specimen_id"}
)
"""Fields that a report may state outside its findings: among the clinical information, the technique, a legend."""
POLAR_FIELDS = frozenset({"exam.epe", "exam.svi", "exam.lymph_nodes", "exam.bone_metastases", "dce", "diagnosis", "er", "pr", "her2"})
"""Fields whose values are themselves assertions: "no nodes" states ``absent``, so a negation around the words is no objection."""
LONGEST_LABEL = 24
"""Characters of a text field; a longer one is no label."""


def verify(claims: Sequence[Claim], reading: Reading) -> list[Verdict]:
    """One verdict a claim, in order."""
    verdicts = [_verdict(claim, reading) for claim in claims]
    return _keep_items_together(verdicts, reading)


def _verdict(claim: Claim, reading: Reading) -> Verdict:
    field = _field(reading.shape, claim)
    if field is None or not is_in_range(claim.value, field):
        return Verdict(claim=claim, reason=Reason.RANGE)
    places = [place for place in occurrences(claim.quote, reading.report.text) if _is_one_stretch(claim.quote, place, reading.text)]
    if not places:
        return Verdict(claim=claim, reason=Reason.UNSUPPORTED)
    leaves = _leaves_of(reading.extraction, claim)
    stated = {place: values for place in places if (values := _values_at(leaves, field, place))}
    # words that the whole report gives a meaning somewhere have that meaning: elsewhere they may be of no item
    judged = {place: _judge(claim, values) for place, values in stated.items()} or _judged_closer(claim, field, places, reading)
    confirmed = tuple(place for place, reason in judged.items() if reason is None)
    if confirmed:
        return Verdict(claim=claim, evidence=confirmed)
    reasons = (reason for reason in judged.values() if reason is not Reason.UNSUPPORTED)
    return Verdict(claim=claim, reason=next(reasons, Reason.UNSUPPORTED))


def _judged_closer(claim: Claim, field: Field, places: Sequence[Span], reading: Reading) -> dict[Span, Reason | None]:
    """What the sentences and the quote alone say, up to the first place that confirms the claim: each costs a reading of its own."""
    judged: dict[Span, Reason | None] = {}
    for place in places:
        judged[place] = _check_closer(claim, field, place, reading)
        if judged[place] is None:
            break
    return judged


def _field(shape: ReportShape, claim: Claim) -> Field | None:
    fields = shape.exam if claim.item is None else shape.item
    return next((field for field in fields if field.name == claim.field), None)


def is_in_range(value: FieldValue, field: Field) -> bool:
    """Whether a value is one that the field may hold: type, choices, pattern and range."""
    members = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) is not (field.kind in (FieldKind.CHOICES, FieldKind.NUMBERS)) or not members:
        return False
    return all(_member_in_range(member, field) for member in members)


def _member_in_range(member: object, field: Field) -> bool:
    if field.kind in (FieldKind.CHOICE, FieldKind.CHOICES):
        return (re.match(field.pattern, str(member)) is not None) if field.pattern else member in field.choices
    if field.kind is FieldKind.TEXT:
        return isinstance(member, str) and 0 < len(member.strip()) <= LONGEST_LABEL
    if field.kind is FieldKind.BOOLEAN:
        return isinstance(member, bool)
    if isinstance(member, bool) or not isinstance(member, int | float) or (field.kind is FieldKind.INTEGER and member != int(member)):
        return False
    return (field.minimum is None or member >= field.minimum) and (field.maximum is None or member <= field.maximum)


def occurrences(quote: str, raw: str) -> Iterator[Span]:
    """Where ``quote`` stands in ``raw`` as whole words; blanks may differ, letters and digits may not.

    >>> [span.start for span in occurrences("4 mm", "14 mm, then 4  mm")]
    [12]
    """
    words = quote.split()
    if not words:
        return
    before = r"(?<![^\W_])" if words[0][0].isalnum() else ""
    decimals = r"(?<!\d[.,])" if words[0][0].isdigit() else ""
    after = r"(?![^\W_])" if words[-1][-1].isalnum() else ""
    more = r"(?![.,]\d)" if words[-1][-1].isdigit() else ""
    for match in re.finditer(before + decimals + r"\s+".join(map(re.escape, words)) + after + more, raw):
        yield Span(start=match.start(), end=match.end())


def _is_one_stretch(quote: str, place: Span, text: Normalised) -> bool:
    """Whether the words stand together: a hard line end between them (a table's heading and its first row) parts them."""
    return "\n" in quote or "\n" not in text.text[text.from_raw(place.start) : text.from_raw(place.end)]


def _check_closer(claim: Claim, field: Field, place: Span, reading: Reading) -> Reason | None:
    """None where the sentence around ``place``, or else the quote alone, states the value now and here."""
    objection = _objection(claim, place, reading)
    if objection is not None:
        return objection
    stated = _values_at(_sentence_leaves(claim, place, reading), field, place)
    return _judge(claim, stated or _quote_values(claim, reading))


def _judge(claim: Claim, stated: Sequence[FieldValue]) -> Reason | None:
    if not stated:
        return Reason.UNSUPPORTED
    different = [value for value in stated if not _is_claimed(value, claim.value)]
    if not different:
        return None
    return Reason.AMBIGUOUS if len(different) < len(stated) else Reason.MISMATCH


def _is_claimed(stated: FieldValue, claimed: FieldValue) -> bool:
    """Equal values: whole numbers exactly, because image 201 is not image 202; all others as the contract has it."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in (stated, claimed)):
        return stated == claimed
    return same_value(stated, claimed)


Leaf = Stated[FieldValue]


def _leaves_of(extraction: ReportExtraction, claim: Claim) -> list[Leaf]:
    groups: list[Mapping[str, Leaf]] = [extraction.exam] if claim.item is None else [item.values for item in extraction.items]
    return [values[claim.field] for values in groups if claim.field in values]


def _values_at(leaves: Sequence[Leaf], field: Field, place: Span) -> list[FieldValue]:
    """Values that the words at ``place`` state; a derived value needs all of its words there, any other one shared word."""
    return [leaf.value for leaf in leaves if (_holds if field.is_derived else _touches)(leaf.evidence, place)]


def _touches(evidence: Sequence[Span], place: Span) -> bool:
    return any(span.start < place.end and place.start < span.end for span in evidence)


def _holds(evidence: Sequence[Span], place: Span) -> bool:
    return all(place.start <= span.start and span.end <= place.end for span in evidence)


def _sentence_leaves(claim: Claim, place: Span, reading: Reading) -> list[Leaf]:
    """What the grammar reads in the sentence around the place, with raw spans of the report."""
    sentence = _sentence_at(place, reading)
    if sentence is None or _section_objection(claim, place, reading) is not None:
        return []
    words = sentence.cut(reading.report.text)
    return [leaf for carrier in reading.shape.carriers for leaf in _framed(claim, words, carrier, sentence.start, reading)]


def _framed(claim: Claim, words: str, carrier: str, start: int, reading: Reading) -> list[Leaf]:
    """The leaves whose words lie inside ``words``, moved to where these stand in the report."""
    offset = carrier.index("{quote}")
    leaves = []
    for leaf in _leaves_of(_read_framed(words, carrier, reading), claim):
        if all(offset <= span.start and span.end <= offset + len(words) for span in leaf.evidence):
            moved = tuple(Span(start=span.start - offset + start, end=span.end - offset + start) for span in leaf.evidence)
            leaves.append(Stated(value=leaf.value, evidence=moved, source=leaf.source, confidence=leaf.confidence))
    return leaves


def _read_framed(words: str, carrier: str, reading: Reading) -> ReportExtraction:
    return _read_cached(words, carrier, reading.extraction.organ, reading.report.report_type, reading.read)


@lru_cache(maxsize=4096)
def _read_cached(
    words: str, carrier: str, organ: str, report_type: ReportType, read: Callable[[Report], ReportExtraction]
) -> ReportExtraction:
    text = carrier.replace("{quote}", words)
    return read(Report(report_id="quote", patient_id=None, report_type=report_type, text=text, organ=organ))


def _quote_values(claim: Claim, reading: Reading) -> list[FieldValue]:
    quote = claim.quote.strip()
    return [leaf.value for carrier in reading.shape.carriers for leaf in _framed(claim, quote, carrier, 0, reading)]


def _sentence_at(place: Span, reading: Reading) -> Span | None:
    spans = [span for span in reading.sentences if span.start < place.end and place.start < span.end]
    return Span(start=spans[0].start, end=spans[-1].end) if spans else None


def _objection(claim: Claim, place: Span, reading: Reading) -> Reason | None:
    """Why the words at ``place`` are not current or not present, by their section and their sentence."""
    section = _section_objection(claim, place, reading)
    if section is not None:
        return section
    sentence = _sentence_at(place, reading)
    if sentence is None:
        return None
    first, start, end, last = (reading.text.from_raw(position) for position in (sentence.start, place.start, place.end, sentence.end))
    words = reading.text.text[first:last]
    start = max(start - first, 0)
    assertion = assertion_at(words, start, max(min(end - first, len(words)), start + 1))
    if assertion is Assertion.PRESENT or (claim.field in POLAR_FIELDS and assertion in (Assertion.ABSENT, Assertion.POSSIBLE)):
        return None
    return None if claim.field in CONTEXT_FIELDS and assertion is not Assertion.PRIOR else _CODES[assertion]


def _section_objection(claim: Claim, place: Span, reading: Reading) -> Reason | None:
    if claim.field in CONTEXT_FIELDS:
        return None
    for section in reading.sections:
        if section.body.start < place.end and place.start < section.body.end:
            return _PAST_SECTIONS.get(section.kind)
    return None


def _keep_items_together(verdicts: Sequence[Verdict], reading: Reading) -> list[Verdict]:
    """An item's words must be those of one item of the rules: a side from the next lesion is dropped.

    Words that stand at several places ("benign" in each of twelve specimens) are taken where the item's other words stand.
    """
    items = reading.extraction.items
    owners: dict[int, int | None] = {}
    for index in _items(verdicts):
        own = [verdict for verdict in verdicts if verdict.claim.item == index and verdict.reason is None]
        owners[index] = _owner(own, items, {owner for owner in owners.values() if owner is not None})
    return [_placed(verdict, owners, items) for verdict in verdicts]


def _items(verdicts: Sequence[Verdict]) -> list[int]:
    return sorted({verdict.claim.item for verdict in verdicts if verdict.claim.item is not None})


def _owner(verdicts: Sequence[Verdict], items: Sequence[Item], taken: Set[int]) -> int | None:
    """The rules' item that most of the words belong to; words of several items count in parts, and of equals the free one is taken."""
    votes: dict[int, Fraction] = {}
    for verdict in verdicts:
        owned = _owned_by(verdict, items)
        for index in owned:
            votes[index] = votes.get(index, Fraction(0)) + Fraction(1, len(owned))
    return max(sorted(votes), key=lambda index: (votes[index], index not in taken), default=None)


def _owned_by(verdict: Verdict, items: Sequence[Item]) -> set[int]:
    """The rules' items of which the same field is stated by the same words."""
    return {item.index for item in items for place in verdict.evidence if _is_of(place, verdict.claim.field, item)}


def _is_of(place: Span, field: str, item: Item) -> bool:
    return field in item.values and _touches(item.values[field].evidence, place)


def _placed(verdict: Verdict, owners: Mapping[int, int | None], items: Sequence[Item]) -> Verdict:
    """The verdict at one place, that of its item; dropped where its words are only those of other items."""
    index = verdict.claim.item
    if index is None or verdict.reason is not None:
        return replace(verdict, evidence=verdict.evidence[:1])
    owned = _owned_by(verdict, items)
    if owned and owners[index] not in owned:
        return Verdict(claim=verdict.claim, reason=Reason.GROUPING)
    near = (p for p in verdict.evidence for item in items if item.index == owners[index] and _is_of(p, verdict.claim.field, item))
    return replace(verdict, evidence=(next(near, verdict.evidence[0]),))
