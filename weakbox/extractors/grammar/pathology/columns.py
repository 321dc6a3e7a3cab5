"""What the columns of tables, and the fields of forms, are called, and what a cell of each states."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from weakbox.extractors.grammar.pathology.cores import number_of
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.grades import grade_facts
from weakbox.terminology.gleason import read_grades

_COLUMNS = (
    (
        "ignored",
        re.compile(
            r"(?:%|percent\w*)?\s*(?:of\s+)?(?:gleason\s+)?(?:pattern|GP|P)\s*[345](?:\s*/\s*[345])?\s*\(?%?\)?|(?:high[- ]grade"
            r"|tertiary).*|.*core length.*"
            r"|length of cores?.*|cores? \(?mm\)?|PNI|perineural.*|LVI|crib\w*|IDC-?P?|EPE|blocks?|stains?|IHC|H&E|date|received.*time|"
            r"fragments?|pieces?|colou?r|ink|cassettes?|margin.*",
            re.IGNORECASE,
        ),
    ),
    (
        "specimen_id",
        re.compile(
            r"(?:specimen|part|container|jar|vial|pot|bottle|tube|sample|id|no\.?|#|label|letter|core|block|biopsy|bx|site)\s*(?:id"
            r"|no\.?|#|label|number|letter)|(?:specimen|part|container|jar|vial|pot|bottle|tube|sample|id|no\.?|nr\.?|#|label|letter"
            r"|core|block|slide)",
            re.IGNORECASE,
        ),
    ),
    (
        "site",
        re.compile(
            r"(?:(?:biopsy |specimen |core )?(?:site|location|region|area|position|description|sector|laterality|labell?ed"
            r"|received as|source|specimen))s?(?:/\w+)?",
            re.IGNORECASE,
        ),
    ),
    (
        "fraction",
        re.compile(
            r"(?:cores?\s*)?(?:\(?\+\)?|pos(?:itive)?|involved|inv\.?)\s*/\s*(?:total|taken|cores?|no\.?)(?:\s*cores?)?|cores?\s*"
            r"(?:involved|positive|pos\.?|\+)?\s*\(?(?:pos(?:itive)?|\+)?/(?:total)?\)?|(?:involved|positive)\s+cores?\s*/\s*total.*",
            re.IGNORECASE,
        ),
    ),
    (
        "cores_positive",
        re.compile(
            r"(?:no\.?\s*(?:of\s+)?|number\s+(?:of\s+)?|#\s*)?(?:(?:pos(?:itive)?|involved|\+(?:ve)?)\s*(?:cores?)?|cores?\s*\(?(?:pos(?:itive)?\.?"
            r"|involved|\+(?:ve)?|with "
            r"(?:tumou?r|cancer))\)?)",
            re.IGNORECASE,
        ),
    ),
    (
        "cores_total",
        re.compile(
            r"(?:(?:total|no\.?|number|#|n)?\s*(?:of\s+)?(?:cores?|taken)(?:\s*(?:taken|total|sampled|submitted|examined|received"
            r"|\(total\)|\(n\)))?|total)",
            re.IGNORECASE,
        ),
    ),
    (
        "isup",
        re.compile(
            r"(?:(?:isup\s*/\s*)?(?:grade\s*group|gg)|isup(?:\s*(?:grade|gg|group|/\s*gg))*|who.*group|grp"
            r"|gr\.?\s*gr(?:oup)?)(?:\s*\(.*\))?",
            re.IGNORECASE,
        ),
    ),
    ("gleason", re.compile(r"(?:gleason.*|gl(?:eas)?\.?|gs|score|grade)", re.IGNORECASE)),
    ("measures", re.compile(r"(?:max\.?|maximum|greatest|worst)\s+(?:invasion|involvement|extent)(?:\s*/\s*\w+)?", re.IGNORECASE)),
    ("percent", re.compile(r"(?:.*%.*|(?:max\.?\s+)?(?:percent.*|pct\b.*)|involvement|tumou?r volume)", re.IGNORECASE)),
    ("length", re.compile(r"(?:.*\(?(?:mm|cm)\)?.*|.*length.*|tumou?r size|extent)", re.IGNORECASE)),
    ("diagnosis", re.compile(r"(?:diagnos\w*|result|histology|findings?|dx|interpretation|pathology|comment|notes?)", re.IGNORECASE)),
)
EMPTY = ("-", "--", "---", "n/a", "N/A", "NA", "", ".", "nil", "Nil", "NIL")
"""Cells that say nothing."""


@lru_cache(maxsize=4096)
def column_name(words: str) -> str | None:
    """The field that a column, or a field of a form, holds; None where its name says nothing."""
    cleaned = " ".join(words.split()).strip(" :*_.")
    return next((name for name, pattern in _COLUMNS if pattern.fullmatch(cleaned)), None)


def read_patterns(text: str, cell: TextRange) -> Facts:
    """The grade of a cell that is not read with its line."""
    grades = read_grades(text[slice(*cell)])
    return {name: replace(fact, spans=(cell,)) for name, fact in grade_facts(grades[0]).items()} if grades else {}


def read_cell(column: str, text: str, span: TextRange) -> Facts:
    """What the cell at ``span`` states under the column of that name."""
    words = text[slice(*span)]
    return _READERS[column](words, span) if column in _READERS and words.strip() not in EMPTY else {}


def _counts(name: str, words: str, span: TextRange) -> Facts:
    if "%" in words:
        return _measure("percent_involved", words, span)
    match = re.fullmatch(r"\W*(\d{1,2}|[a-z]+)\W*(?:cores?)?", words, re.IGNORECASE)
    if match is None or not (match[1].isdigit() or number_of(match[1])):
        return {}
    return {name: Fact(value=number_of(match[1]), spans=(span,), confidence=0.95, rule="column")}


def _fraction(words: str, span: TextRange) -> Facts:
    match = re.search(r"(\d{1,2})\s*(?:/|of)\s*(\d{1,2})", words)
    if match is None:
        return {}
    return {
        "cores_positive": Fact(value=int(match[1]), spans=(span,), confidence=0.95, rule="column"),
        "cores_total": Fact(value=int(match[2]), spans=(span,), confidence=0.95, rule="column"),
    }


def _measure(name: str, words: str, span: TextRange) -> Facts:
    numbers = [float(number.replace(",", ".")) for number in re.findall(r"\d+(?:[.,]\d+)?", words)]
    if not numbers or max(numbers) == 0:
        return {}
    value = max(numbers) * (10 if re.search(r"\bcm\b", words) and name == "tumor_length_mm" else 1)
    flags = ("range",) if (len(numbers) > 1 and re.search(r"\d\s*-\s*\d", words)) or "<" in words else ()
    return {name: Fact(value=int(value) if value == int(value) else value, spans=(span,), confidence=0.94, rule="column", flags=flags)}


_SHARE = re.compile(r"(\d+(?:[.,]\d+)?)\s*%")
_EXTENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*mm")


def _measures(words: str, span: TextRange) -> Facts:
    """A share and a length in one cell: "35 %, 5 mm"."""
    facts: Facts = {}
    for name, pattern in (("percent_involved", _SHARE), ("tumor_length_mm", _EXTENT)):
        match = pattern.search(words)
        if match is not None:
            facts |= _measure(name, match[0], (span[0] + match.start(), span[0] + match.end()))
    return facts


def _group(words: str, span: TextRange) -> Facts:
    match = re.search(r"(?<![\d+])([1-5])(?![\d+])", words)
    return {"isup_grade": Fact(value=int(match[1]), spans=(span,), confidence=0.96, rule="column")} if match and "+" not in words else {}


def _grade(words: str, span: TextRange) -> Facts:
    """A score alone ("7") needs the column's name to be one."""
    if "+" in words or not re.fullmatch(r"(?:10|[6-9])(?:\s?[ab])?", words):
        return {}
    lead = "Gleason "
    grades = read_grades(lead + words)
    return {name: replace(fact, spans=(span,)) for name, fact in grade_facts(grades[0]).items()} if grades else {}


_READERS = {
    "gleason": _grade,
    "fraction": _fraction,
    "cores_positive": lambda words, span: _fraction(words, span) or _counts("cores_positive", words, span),
    "cores_total": lambda words, span: _fraction(words, span) or _counts("cores_total", words, span),
    "isup": _group,
    "percent": lambda words, span: _fraction(words, span) or _measure("percent_involved", words, span),
    "measures": _measures,
    "length": lambda words, span: _measure("tumor_length_mm", words, span),
}
