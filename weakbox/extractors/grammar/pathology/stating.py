"""Facts of a pathology grammar as the records that it publishes: raw evidence, confidence, flags."""

from __future__ import annotations

import re
from collections.abc import Mapping

from weakbox.extractors.grammar.pathology.facts import Facts, TextRange
from weakbox.extractors.grammar.pathology.grades import GRADE_FIELDS
from weakbox.records.extraction import Flag
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.text.normalise import Normalised

_NAME_CHARACTERS = 14
"""How far before a grade its name may stand: a repaired "Gieason" makes the grade less sure."""
_OCR_FACTOR = 0.85
_DETAILS = {
    "range": "a range or bound is stated; the higher number is kept",
    "conflict": "another passage or number of the report says otherwise",
    "superseded": "an addendum changed this value",
    "composite": "the grade stated of the case is not that of the highest-grade specimen",
    "ungraded": "the report says that no grade is given",
    "missing_specimen": "the specimen was not received, or held no tissue",
    "discontinuous": "the span of discontinuous foci is kept",
    "ocr": "read from characters that were repaired",
}


def stated(text: Normalised, facts: Facts, prefix: str, source: str) -> tuple[Mapping[str, Stated[FieldValue]], list[Flag]]:
    """The values of ``facts`` with the raw words that state them, and flags with paths that begin with ``prefix``."""
    values: dict[str, Stated[FieldValue]] = {}
    flags: list[Flag] = []
    raw: dict[TextRange, Span] = {}
    for name, fact in facts.items():
        spans = [span for span in fact.spans if text.text[slice(*span)].strip()]
        if not spans:
            continue
        reach = _NAME_CHARACTERS if name.rpartition(".")[2] in GRADE_FIELDS else 0
        is_repaired = bool(text.repaired) and any(text.is_repaired(max(0, first - reach), last) for first, last in spans)
        codes = (*fact.flags, "ocr") if is_repaired else fact.flags
        confidence = fact.confidence * (_OCR_FACTOR if is_repaired else 1.0)
        for span in spans:
            if span not in raw:
                raw[span] = text.to_raw(*span)
        evidence = tuple(dict.fromkeys(raw[span] for span in spans))
        values[name] = Stated(value=fact.value, evidence=evidence, source=source, confidence=confidence, rule=fact.rule or None)
        flags += [Flag(path=prefix + name, code=code, detail=_DETAILS.get(code, "")) for code in dict.fromkeys(codes)]
    return values, flags


def report_flags(text: Normalised, before_value: re.Pattern[str], *, is_injected: bool) -> list[Flag]:
    """Flags of the report as a whole: instructions in its text, and a value that was masked (``before_value`` ends where one stands)."""
    flags = [Flag(path="", code="injection", detail="the text gives instructions to a reader; they were left out")] if is_injected else []
    if any(before_value.search(text.text[max(0, start - 30) : start]) for start, _ in text.masked):
        flags.append(Flag(path="", code="masked", detail="a value was masked before the report was read"))
    return flags
