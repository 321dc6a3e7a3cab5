"""Text that knows what it states: each value is marked where it is written, so gold and evidence come from the very words.

Marks are private-use characters around the words. They travel through templates unseen and are taken out at the end,
leaving half-open offsets into the raw text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weakbox.records.errors import InputError
from weakbox.records.record import record

_OPEN, _CLOSE, _FIRST = "\ue000", "\ue001", 0xE100
_LAST = 0xF8FF
_MARK = re.compile(f"{_OPEN}([\ue100-\uf8ff])|{_CLOSE}")

EXAM = "exam"
"""The scope of what a report states of the examination or the case."""
CORRECTION = 1
"""Rank of an addendum's value: it wins over the body's."""


@record
class Statement:
    """What some words state: of the exam or of one item, by field name; ``rank`` says which of two values wins."""

    scope: str
    values: Mapping[str, Any]
    rank: int = 0


@record
class Stretch:
    """A statement and where its words stand in the raw text."""

    statement: Statement
    start: int
    end: int


@dataclass(slots=True)
class Notebook:
    """Collects the statements of one report while it is written."""

    statements: list[Statement] = field(default_factory=list)

    def say(self, scope: str, words: str, *, rank: int = 0, **values: Any) -> str:
        """``words``, marked as stating ``values`` of ``scope``."""
        if _FIRST + len(self.statements) > _LAST:
            raise InputError("one simulated report states too much; give it fewer specimens")
        self.statements.append(Statement(scope=scope, values=values, rank=rank))
        return f"{_OPEN}{chr(_FIRST + len(self.statements) - 1)}{words}{_CLOSE}"

    def unmark(self, marked: str) -> tuple[str, list[Stretch]]:
        """The raw text and its statements, in the order of their words."""
        pieces: list[str] = []
        opened: list[tuple[Statement, int]] = []
        stretches: list[Stretch] = []
        length = at = 0
        for mark in _MARK.finditer(marked):
            pieces.append(marked[at : mark.start()])
            length += mark.start() - at
            at = mark.end()
            if mark[1]:
                opened.append((self.statements[ord(mark[1]) - _FIRST], length))
            else:
                statement, start = opened.pop()
                stretches.append(Stretch(statement=statement, start=start, end=length))
        pieces.append(marked[at:])
        return "".join(pieces), sorted(stretches, key=lambda stretch: (stretch.start, stretch.end))


def tidy(marked: str) -> str:
    """Blanks at line ends and empty lines that templates leave behind, taken out; marks stay."""
    marked = re.sub(r"[ \t]+(?=\n|$)", "", marked)
    return re.sub(r"\n{3,}", "\n\n", marked).strip("\n") + "\n"


def squeeze(marked: str) -> str:
    """A phrase without the gaps that empty slots leave: double blanks, blanks before commas, commas in a row.

    >>> squeeze("left  peripheral zone , ,  mid")
    'left peripheral zone, mid'
    """
    marked = re.sub(r"\s{2,}", " ", marked)
    marked = re.sub(r"\s+(?=[,.;)])", "", marked)
    return re.sub(r"(?:,\s*)+,", ",", marked).strip(" ,")


def hard_wrap(text: str, width: int) -> str:
    """Lines longer than ``width`` broken at blanks; every character keeps its offset."""
    lines = []
    for line in text.split("\n"):
        characters, start = list(line), 0
        while len(line) - start > width:
            blank = line.rfind(" ", start + 1, start + width + 1)
            if blank <= start:
                break
            characters[blank] = "\n"
            start = blank + 1
        lines.append("".join(characters))
    return "\n".join(lines)


def replace_characters(text: str, stretches: list[Stretch], replacements: Mapping[str, str]) -> tuple[str, list[Stretch]]:
    """Single characters replaced by longer strings (line ends, HL7 escapes), the offsets moved along."""
    offsets, pieces, length = [], [], 0
    for character in text:
        offsets.append(length)
        piece = replacements.get(character, character)
        pieces.append(piece)
        length += len(piece)
    offsets.append(length)
    moved = [Stretch(statement=s.statement, start=offsets[s.start], end=offsets[s.end]) for s in stretches]
    return "".join(pieces), moved
