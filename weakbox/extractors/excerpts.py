"""The parts of a long report that most likely state something: for a model into which the whole does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from weakbox.records.extraction import ReportExtraction
from weakbox.records.report import Section, SectionKind

SIZES = (24_000, 12_000, 6_000, 3_000, 1_500)
"""Characters of an excerpt, tried from the largest on until it fits."""
LARGEST = 60_000
"""A longer report is not asked about as a whole: no model's context holds it, or its evidence grammar would be too large."""
BEGINNING = 400
AROUND = 160
"""Characters kept on both sides of words in which the rules read something."""
LEFT_OUT = "\n[...]\n"
FIRST = (SectionKind.IMPRESSION, SectionKind.DIAGNOSIS, SectionKind.ADDENDUM, SectionKind.SYNOPTIC)
SECOND = (SectionKind.FINDINGS, SectionKind.MICROSCOPY, SectionKind.SPECIMEN_LIST, SectionKind.COMMENT)


def excerpt(text: str, rules: ReportExtraction, sections: Sequence[Section], characters: int) -> str:
    """At most ``characters`` of ``text``, verbatim and in order, ``[...]`` where something is left out.

    The beginning, what surrounds the words that ``rules`` read, impression and diagnosis, findings, and then the rest.
    """
    kept = bytearray(len(text))
    room = characters
    for start, end in _by_worth(text, rules, sections):
        for place in range(max(start, 0), min(end, len(text))):
            if room == 0:
                break
            if not kept[place]:
                kept[place] = 1
                room -= 1
    return LEFT_OUT.join(text[run.start() : run.end()].strip() for run in re.finditer(rb"\x01+", kept))


def _by_worth(text: str, rules: ReportExtraction, sections: Sequence[Section]) -> Iterator[tuple[int, int]]:
    yield 0, BEGINNING
    for start, end in _candidates(rules):
        yield _line_start(text, start - AROUND), _line_end(text, end + AROUND)
    for kinds in (FIRST, SECOND):
        yield from (((section.header or section.body).start, section.body.end) for section in sections if section.kind in kinds)
    yield 0, len(text)


def _candidates(rules: ReportExtraction) -> list[tuple[int, int]]:
    """Where the rules read something, in the order of the text."""
    leaves = [*rules.exam.values(), *(leaf for item in rules.items for leaf in item.values.values())]
    return sorted({(span.start, span.end) for leaf in leaves for span in leaf.evidence})


def _line_start(text: str, place: int) -> int:
    """The beginning of the line, or of the word where the line is long."""
    place = max(place, 0)
    start = text.rfind("\n", max(place - AROUND, 0), place)
    return start + 1 if start >= 0 else text.rfind(" ", 0, place) + 1


def _line_end(text: str, place: int) -> int:
    place = min(place, len(text))
    ends = [end for end in (text.find("\n", place, place + AROUND), text.find(" ", place)) if end >= 0]
    return ends[0] if ends else len(text)
