"""Answers as a language model would give them, right ones and wrong ones, made from what is known to be stated."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from weakbox.evaluation.gold import GoldReport, read_gold
from weakbox.extractors.contract import shape_of
from weakbox.extractors.rules import RulesExtractor, prepare
from weakbox.extractors.verification import Claim, Reading, build_reading, is_in_range
from weakbox.organs.organ import Field
from weakbox.records.extraction import ReportExtraction
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue

DATA = Path(__file__).parent / "data"
RULES = RulesExtractor()
LONGEST = 120
NOT_QUOTED = ("overall.", "cores_")
"""The case's values are often sums of the specimens'; no quote states them."""


@dataclass(frozen=True)
class Said:
    """A claim about a report, and whether the report states it."""

    claim: Claim
    beside: tuple[Claim, ...]
    """What the model says of the same item."""
    reading: Reading
    is_right: bool
    kind: str


@cache
def gold_reports() -> tuple[GoldReport, ...]:
    """The development reports that the rules read exactly, so that their evidence is known to be right."""
    files = [*sorted(DATA.glob("*.jsonl")), *sorted((DATA / "reports" / "look").glob("en_prostate*.yaml"))]
    return tuple(entry for file in files for entry in read_gold(file))


def reading_of(report: Report, *, with_rules: bool = True) -> Reading:
    """The report prepared for checking; without the rules' own reading where the model must stand alone."""
    text, sections = prepare(report)
    extraction = RULES.extract(report)
    if not with_rules:
        extraction = replace(extraction, exam={}, findings=(), specimens=())
    return build_reading(report, text, sections, extraction, RULES.extract)


def right_claims(report: Report, extraction: ReportExtraction) -> list[Claim]:
    """What a careful model would say: each value with the shortest words that state it."""
    shape = shape_of(extraction.organ, extraction.report_type)
    claims = []
    for index, values in [(None, extraction.exam), *((item.index, item.values) for item in extraction.items)]:
        fields = {field.name: field for field in (shape.exam if index is None else shape.item)}
        for name, leaf in values.items():
            start, end = min(span.start for span in leaf.evidence), max(span.end for span in leaf.evidence)
            if is_quotable(fields[name], index) and end - start <= LONGEST:
                claims.append(Claim(field=name, value=leaf.value, quote=report.text[start:end], item=index))
    return claims


def is_quotable(field: Field, item: int | None) -> bool:
    """Whether a model is asked for the field and one place of the text states it."""
    return field.is_asked and not field.is_internal and not (item is None and field.name.startswith(NOT_QUOTED))


def wrong_value(value: FieldValue, field: Field, rng: random.Random) -> FieldValue | None:
    """Another value that the field may hold: a wrong digit, the other side, another choice."""
    other: FieldValue
    if isinstance(value, tuple) and field.choices:
        left = [choice for choice in field.choices if choice not in value]
        other = (rng.choice(left),) if left else value
    elif isinstance(value, tuple):
        other = (float(value[0]) + rng.choice((1, 2, 10)), *(float(number) for number in value[1:]))
    elif field.choices:
        other = rng.choice([choice for choice in field.choices if choice != value])
    elif isinstance(value, bool):
        other = not value
    elif isinstance(value, int | float):
        other = value + rng.choice((1, -1, 2))
    else:
        other = f"{value}1"
    return other if other != value and is_in_range(other, field) else None


PRIORS = {
    "prostate/radiology": (
        ("Prior MRI showed a PI-RADS 5 lesion measuring 33 mm at the left apex.", "PI-RADS 5", "pirads", 5),
        ("Previously there was a 33 mm lesion.", "33 mm", "size_mm", (33.0,)),
        ("The old PI-RADS 1 focus has resolved.", "PI-RADS 1", "pirads", 1),
        ("PI-RADS 2 on the previous MRI of 2019.", "PI-RADS 2", "pirads", 2),
    ),
    "prostate/pathology": (
        ("Previous biopsy (2016): Gleason 5+4=9.", "Gleason 5+4=9", "gleason_primary", 5),
        ("Prior biopsy of 2015 showed Gleason 5+5=10.", "Gleason 5+5=10", "gleason_score", 10),
    ),
}
NEGATED = {
    "prostate/radiology": (
        ("No PI-RADS 5 lesion.", "PI-RADS 5", "pirads", 5),
        ("There is no evidence of a 41 mm mass.", "41 mm", "size_mm", (41.0,)),
        ("If PSA rises, repeat MRI for a possible PI-RADS 1 lesion.", "PI-RADS 1", "pirads", 1),
    ),
    "prostate/pathology": (
        ("Criteria for Gleason 5+5=10 are not met.", "Gleason 5+5=10", "gleason_score", 10),
        ("His father had Gleason 5+5=10.", "Gleason 5+5=10", "gleason_primary", 5),
    ),
}


def injected(entry: GoldReport, rng: random.Random) -> Iterator[tuple[str, str, Claim, Report]]:
    """The report with one more sentence that states nothing of today, and a model that falls for it."""
    kind = f"{entry.report.organ}/{entry.report.report_type.value}"
    for name, table in (("prior", PRIORS), ("negated", NEGATED)):
        for sentence, quote, field, value in table.get(kind, ()):
            if quote not in entry.report.text:
                text = f"{entry.report.text.rstrip()}\n{sentence}\n" if rng.random() < 0.5 else f"{sentence}\n{entry.report.text}"
                yield name, sentence, Claim(field=field, value=value, quote=quote, item=0), replace(entry.report, text=text)


def as_answer(claims: Sequence[Claim], extraction: ReportExtraction) -> str:
    """The claims as the JSON that the schema demands."""
    shape = shape_of(extraction.organ, extraction.report_type)
    answer: dict[str, object] = {}
    items: list[dict[str, object]] = [{} for _ in extraction.items]
    for claim in claims:
        leaf = {"evidence": claim.quote, "value": list(claim.value) if isinstance(claim.value, tuple) else claim.value}
        if claim.item is not None:
            items[claim.item][claim.field] = leaf
            continue
        node: dict[str, object] = answer
        *parents, last = claim.field.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})  # type: ignore[assignment]
        node[last] = leaf
    return json.dumps({**answer, shape.item_kind: items})
