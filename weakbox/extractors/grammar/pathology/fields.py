"""Fields below a specimen's label: ``Cores : 4``, ``Positive : 2``, ``Max. length (mm) : 5``.

Names that are too short to tell anything in prose ("Positive", "Total") are read as the columns of a table are.
"""

from __future__ import annotations

import re

from weakbox.extractors.grammar.pathology.columns import column_name, read_cell
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange

_FIELD = re.compile(
    r"(?<!\S)"
    r"(?:^|(?<=\n)|(?<=[ \t]{2})|(?<=[;,|]\s))[ \t]*(?:[-*•>][ \t]*)?(?P<name>[A-Za-z%#+][^:=;,|\n]{0,44}?)[ \t]*(?:[:=]|\.{3,}:?)[ \t]*"
    r"(?P<value>[^:=;|\n]*?)[ \t]*(?=[;|]|,[ \t]+[A-Za-z%#]|\.?(?:\n|\Z)|[ \t]{2,}[A-Za-z%#(])"
)
_FEWEST_FIELDS = 2
_COUNT = re.compile(r"(?:\d{1,2}|[a-z]+)(?:[ \t]*(?:/|of|out of)[ \t]*\d{1,2})?(?:[ \t]*cores?)?", re.IGNORECASE)
_NONE = re.compile(r"none|nil|no|zero", re.IGNORECASE)
_MEASURE = re.compile(r"[<>~≤≥]?[ \t]*\d+(?:[.,]\d+)?(?:[ \t]*(?:-|–|to)[ \t]*\d+(?:[.,]\d+)?)?[ \t]*(?:%|mm|cm|percent)?", re.IGNORECASE)
_OF_TUMOUR = re.compile(r"\b(?:tumou?r|cancer|carcinoma|ca|max\w*|greatest|longest|linear|invol\w*|extent|length|mm|cm)\b", re.IGNORECASE)
_NOT_OF_TUMOUR = re.compile(
    r"\b(?:cores?|tissue|specimen|biopsy|gland|prostate|margin|distance|volume|weight|depth|psa|pattern|free|ki-?67)\b", re.IGNORECASE
)
_SHAPES = {
    "fraction": _COUNT,
    "cores_positive": _COUNT,
    "cores_total": _COUNT,
    "percent": _MEASURE,
    "length": _MEASURE,
}


def read_fields(text: str, start: int, end: int) -> Facts:
    """Counts and extents that the fields of ``text[start:end]`` give; nothing where fewer than two fields stand there."""
    if text.count(":", start, end) + text.count("=", start, end) < _FEWEST_FIELDS and "..." not in text[start:end]:
        return {}
    facts: Facts = {}
    known = 0
    for match in _FIELD.finditer(text, start, end):
        column = column_name(match["name"])
        known += column is not None
        shape = _SHAPES.get(column or "")
        if column is None or shape is None or shape.fullmatch(match["value"]) is None or _is_other_length(column, match["name"]):
            continue
        for name, fact in _read(column, text, match.span("value")).items():
            facts.setdefault(name, fact)
    return facts if known >= _FEWEST_FIELDS else {}


def _is_other_length(column: str, name: str) -> bool:
    return column == "length" and (_OF_TUMOUR.search(name) is None or _NOT_OF_TUMOUR.search(name) is not None)


def _read(column: str, text: str, span: TextRange) -> Facts:
    if column == "cores_positive" and _NONE.fullmatch(text[slice(*span)]):
        return {"cores_positive": Fact(value=0, spans=(span,), confidence=0.95, rule="column")}
    return read_cell(column, text, span)
