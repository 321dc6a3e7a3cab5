"""Forms that give every field once for each side: ``Gleason score (right): 3+3`` above ``Gleason score (left): 4+3``.

Also ``Cores positive: right 2/6, left 3/6``. Where the fields of one side stand together, site headings tell as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from weakbox.extractors.grammar.pathology.columns import column_name, read_cell
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.grades import grade_facts, read_grades_at
from weakbox.extractors.grammar.pathology.tables import Row, Table
from weakbox.records.record import record

_GATE = re.compile(r"\b(?:right|left|rt|lt)\b", re.IGNORECASE)
_FIELD = re.compile(
    r"(?<!\S)(?:^|(?<=\n)|(?<=\s{2}))[ \t]*(?:[-*•>][ \t]*)?(?P<name>[A-Za-z%#][^:=\n|]{2,60}?)[ \t]*[:=][ \t]*"
    r"(?P<value>[^\n]*?)(?=[ \t]{2,}[A-Za-z%#][^:\n]{2,50}:|\n|$)"
)
_SIDE = re.compile(r"[,\s(\[-]*\b(?P<side>right|left|rt|lt)\b\.?(?:[\s-]+(?:sided?|lobe|biops(?:y|ies)|cores?))?[)\]\s,-]*", re.IGNORECASE)
_BOTH = re.compile(
    r"(?P<first>right|left|rt|lt|R|L)\b\W{0,3}(?P<one>[^,;/\n]*(?:/\s*\d+[^,;/\n]*)?)[,;/]?\s+(?:and\s+)?(?P<second>right|left|rt|lt"
    r"|R|L)\b\W{0,3}(?P<two>[^\n]*)",
    re.IGNORECASE,
)
_FEWEST_FIELDS = 4


@record
class SidedField:
    """One side's value of a field: its column's name, the side's word and the value."""

    column: str
    side: str
    side_at: TextRange
    value: TextRange


def find_sided_form(text: str, start: int, end: int) -> Table | None:
    """One row a side, where the fields of a form change from side to side; None where they do not."""
    if _GATE.search(text, start, end) is None:
        return None
    fields = [one for match in _FIELD.finditer(text, start, end) for one in _fields(text, match)]
    changes = sum(before.side != after.side for before, after in pairwise(fields))
    if len(fields) < _FEWEST_FIELDS or changes < 2:
        return None
    sides = dict.fromkeys(one.side for one in fields)
    rows = tuple(_row(text, [one for one in fields if one.side == side]) for side in sides)
    return Table(start=fields[0].side_at[0], end=max(one.value[1] for one in fields), rows=rows, is_form=True)


def _fields(text: str, match: re.Match[str]) -> Iterator[SidedField]:
    side = _SIDE.search(match["name"])
    if side is not None:
        column = column_name(match["name"].replace(side[0], " ", 1))
        if column is not None:
            first = match.start("name") + side.start("side")
            at = (first, first + len(side["side"]))
            yield SidedField(column=column, side=side["side"][0].lower(), side_at=at, value=match.span("value"))
        return
    both = _BOTH.match(match["value"])
    column = column_name(match["name"]) if both else None
    if both is None or column is None or both["first"][0].lower() == both["second"][0].lower():
        return
    offset = match.start("value")
    for name, value in (("first", "one"), ("second", "two")):
        at = (offset + both.start(name), offset + both.end(name))
        yield SidedField(
            column=column, side=both[name][0].lower(), side_at=at, value=(offset + both.start(value), offset + both.end(value))
        )


def _row(text: str, fields: list[SidedField]) -> Row:
    facts: Facts = {"_row": Fact(value=True, spans=(fields[0].value,)), "_site": Fact(value=True, spans=(fields[0].side_at,))}
    body = next((one.value for one in fields if one.column == "diagnosis"), None)
    for one in fields:
        if one.column == "gleason":
            grades = read_grades_at(text, *one.value)
            facts |= grade_facts(grades[0]) if grades else read_cell(one.column, text, one.value)
            body = body or (one.value if grades else None)
        else:
            facts |= read_cell(one.column, text, one.value)
    return None, body or fields[0].value, facts
