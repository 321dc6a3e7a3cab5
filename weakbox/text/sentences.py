"""Cuts a stretch of normalised text into sentences, list items, fields and table rows, by rules that no language owns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class UnitKind(StrEnum):
    SENTENCE = "sentence"
    ITEM = "item"
    """The first sentence of a list item; ``marker`` is its number or letter."""
    ROW = "row"
    """A table row: cells between bars or tabs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One unit in coordinates of the text given; ``paragraph`` counts blocks between blank lines, ``line`` hard lines."""

    start: int
    end: int
    kind: UnitKind = UnitKind.SENTENCE
    marker: str | None = None
    paragraph: int = 0
    line: int = 0


_END = re.compile(r"[.!?]+[\"')\]]*(?=\s+[\"'(\[]?[A-Z0-9•*\-#>]|\s*$)")
_END_IN_SMALL_LETTERS = re.compile(r"[.!?]+[\"')\]]*(?=\s+[\"'(\[]?[A-Za-z0-9•*\-#>]|\s*$)")
"""Where sentences end in a text that was typed or dictated without capitals."""
_SMALL_START = re.compile(r"[a-z\d)]\. +[a-z]")
_CAPITAL_START = re.compile(r"[a-z\d)]\. +[A-Z]")
_SHORT_WORDS = """approx ca eg ie vs dr prof mr mrs ms fig resp incl max min cf est al st vol ser im img se pt pts hx dx lt rt
    jan feb mar apr jun jul aug sep sept oct nov dec"""
_ABBREVIATIONS = frozenset(_SHORT_WORDS.split())
"""Besides them every single letter is one ("e.g.", "s/p.", "z. n.")."""
_NUMBER_FOLLOWS = re.compile(r"\b(?:no|nr)\. \d$", re.IGNORECASE)
"""\"Lesion no. 2" goes on; "EPE: no. Nodes: no." does not."""
_MARKER = re.compile(
    r"[ \t]*(?:(?P<bullet>[-•*>+])[ \t]+|\(?(?P<number>\d{1,2})[.)](?:[ \t]+|(?=[A-Z]))|\((?P<paren>[a-zA-Z]|[ivx]{1,4})\)[ \t]+|"
    r"(?P<letter>[A-Z])[.)][ \t]+)"
)
_MARKER_ONLY = re.compile(r"[ \t]*(?:\(?\d{1,2}|\(?[A-Za-z]|[ivxIVX]{1,4})[.)]?$")
_COLUMN_GAP = re.compile(r"[^\s.:;,?!] {2,}(?=\S)|\S {4,}(?=\S)")
"""Columns set with blanks; two blanks after a full stop are a typist's habit."""
_LOOSE_GAP = re.compile(r"\S {2,}(?=\S)")
"""Columns of a line right under a table's row, whose cells may end with a full stop."""
_TIGHT_SEMICOLON = re.compile(r"\S;(?=\S)")
_LABEL_ROW = re.compile(r"\s*(?:lesion|target|roi) ?#?\w{1,2}(?:\s{2,}(?:lesion|target|roi) ?#?\w{1,2})+\s*", re.IGNORECASE)
"""The heading of a table whose columns are lesions, without a title of its own for the first column."""
_LONGEST_LINE = 20_000
"""No report's line is longer; a longer one is read in pieces, so that no sentence takes time without bound."""
_LINE = re.compile(r"[^\n]+")


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[Sentence]:
    """The units of ``text[start:end]``, in order, blank ones left out."""
    stop = len(text) if end is None else end
    units: list[Sentence] = []
    is_small = _is_in_small_letters(text, start, stop)
    paragraph, previous, last_row = 0, start, -2
    for number, line in enumerate(_LINE.finditer(text, start, stop)):
        first, last = line.span()
        if text.count("\n", previous, first) > 1 or not line[0].strip():
            paragraph += 1
        previous = last
        if not line[0].strip():
            continue
        if _is_row(line[0]) or (last_row == number - 1 and len(_LOOSE_GAP.findall(line[0])) > 1):
            last_row = number
            first += len(line[0]) - len(line[0].lstrip())
            units.append(Sentence(start=first, end=last, kind=UnitKind.ROW, paragraph=paragraph, line=number))
        else:
            while last - first > _LONGEST_LINE:
                stop_here = text.rfind(" ", first, first + _LONGEST_LINE)
                stop_here = stop_here if stop_here > first else first + _LONGEST_LINE
                units += _line_units(text, first, stop_here, paragraph, number, is_small=is_small)
                first = stop_here
            units += _line_units(text, first, last, paragraph, number, is_small=is_small)
    return units


def _is_row(line: str) -> bool:
    return (
        "|" in line
        or len(_TIGHT_SEMICOLON.findall(line)) > 1
        or "\t" in line.strip()
        or ("  " in line and (len(_COLUMN_GAP.findall(line)) >= 2 or _LABEL_ROW.fullmatch(line) is not None))
    )


def _is_in_small_letters(text: str, start: int, end: int) -> bool:
    """Whether sentences begin with small letters here: two at least do, and more than begin with a capital."""
    small = sum(1 for _ in _SMALL_START.finditer(text, start, end))
    return small > 1 and small > 2 * sum(1 for _ in _CAPITAL_START.finditer(text, start, end))


def _line_units(text: str, start: int, end: int, paragraph: int, line: int, *, is_small: bool) -> list[Sentence]:
    units: list[Sentence] = []
    position = start
    for stop in _ends(text, start, end, _END_IN_SMALL_LETTERS if is_small else _END):
        unit = _unit(text, position, stop, paragraph, line)
        if unit is not None:
            units.append(unit)
        position = stop
    return units


def _ends(text: str, start: int, end: int, pattern: re.Pattern[str]) -> list[int]:
    stops: list[int] = []
    begin = start
    for match in pattern.finditer(text, start, end):
        cut = text[begin : match.end()]
        if (
            _MARKER_ONLY.match(cut.rstrip("."))
            or (cut[-1] == "." and _may_be_short(cut) and _is_abbreviation(cut))
            or _NUMBER_FOLLOWS.search(text[match.end() - 4 : match.end() + 2])
        ):
            continue
        stops.append(match.end())
        begin = match.end()
    if begin < end:
        stops.append(end)
    return stops


def _may_be_short(cut: str) -> bool:
    """Whether the word before the stop has at most six characters, so that it can be an abbreviation."""
    return " " in cut[-8:] or "(" in cut[-8:] or "." in cut[-8:-1] or len(cut) < 8


def _is_abbreviation(cut: str) -> bool:
    start = len(cut) - 1
    while start > 0 and (cut[start - 1].isalnum() or cut[start - 1] == "_"):
        start -= 1
    word = cut[start:-1].lower()
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isascii() and word.isalpha())


def _unit(text: str, start: int, end: int, paragraph: int, line: int) -> Sentence | None:
    marker = _MARKER.match(text, start, end)
    cut = text[start:end]
    if not cut.strip():
        return None
    body_start = marker.end() if marker else start + len(cut) - len(cut.lstrip())
    body_end = start + len(cut.rstrip())
    if body_start >= body_end:
        return None
    if marker is None:
        return Sentence(start=body_start, end=body_end, paragraph=paragraph, line=line)
    label = marker["number"] or marker["letter"] or marker["paren"] or "-"
    return Sentence(start=body_start, end=body_end, kind=UnitKind.ITEM, marker=label, paragraph=paragraph, line=line)
