"""What a breast imaging report is read from: its clauses, with where each stands, and everything that the text mentions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from weakbox.extractors.grammar.breast.places import PlaceNumber, PlaceWord
from weakbox.extractors.grammar.breast.radiology_categories import CategoryMention
from weakbox.extractors.grammar.radiology_units import Located, Role
from weakbox.text.lexicon import Hit
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import Size


class LabelMention(NamedTuple):
    """A finding's label ("Lesion A", "Mass #2") at ``start:end``; ``value_start:end`` is the label without its noun."""

    start: int
    end: int
    value: str
    value_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A stretch of the text that speaks of at most one finding, with the headings above it."""

    start: int
    end: int
    role: Role
    group: int
    """Clauses of one group (a section, or one modality's part of it) describe each finding once."""
    section: int
    sentence: int
    paragraph: int
    line: int
    marker: str | None = None
    is_row: bool = False
    side: PlaceWord | None = None
    is_side_inline: bool = False
    """Words follow the side's heading on its line, and this clause stands on a later line."""
    is_side_titled: bool = False
    """The side is part of an examination's title ("Ultrasound right breast:"), to which no category is tied."""
    modality: str | None = None
    label: LabelMention | None = None
    field: str | None = None
    is_first: bool = True
    """The first clause of its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A report's text with its clauses and mentions."""

    text: Normalised
    nouns: Located[Hit]
    sides: Located[PlaceWord]
    quadrants: Located[PlaceWord]
    clocks: Located[PlaceNumber]
    distances: Located[PlaceNumber]
    sizes: Located[Size]
    categories: Located[CategoryMention]
    labels: Located[LabelMention]
    clauses: tuple[Clause, ...] = ()
    is_addressed_to_machine: bool = False
    modality_headings: tuple[Hit, ...] = ()
    modality: str | None = None
    """The examination's, where it has only one."""
    modalities: tuple[str, ...] = ()
    read_nouns: dict[tuple[int, int, str | None], Any] = field(default_factory=dict, compare=False, repr=False)
    """What `find_nouns` has found already, by the clause's place and the exam's modality."""

    def cut(self, clause: Clause) -> str:
        """The clause's words in lower case."""
        return self.text.lower[clause.start : clause.end]


LABEL = re.compile(
    r"\b(?P<noun>lesions?|findings?|nodules?|mass(?:es)?|abnormalit(?:y|ies)|targets?|rois?|cysts?|areas?|foc(?:us|i)|sites?|"
    r"index lesion|groups?|clusters?)\s*(?:no\.?|nr\.?|number|marker|id)?\s*(?::(?!\s*\d{1,2}[.)])|#)?\s*#?"
    r"(?P<value>\d{1,2}[a-c]?|[rl]-?\d{1,2}|[a-h])(?![\w'’]|[.,]\d|:\d\d|\s?(?:mm|cm|o'?\s?clock|x\s?\d|%|-?\s?(?:month|"
    r"year|week|view)|(?:by|\*)\s?\d)|(?:-\s?|\s-(?!\s)|\s?(?:to|"
    r"and|,|x|or)\s?)\d+(?:[.,]\d)?\s?(?:mm|cm|o'?\s?clock))"
    r"|(?<![\w#])#\s?(?P<hash>\d{1,2})(?![\w.,/]\d|\d)"
)


_MORE_LABELS = re.compile(
    r"(?:\s*(?:,|&|\+|,?\s?and)\s*#?(?P<value>\d{1,2}[a-c]?|[rl]-?\d{1,2}|[a-h])(?![\w'\u2019.:/-]|"
    r"\s?(?:mm|cm|x\s?\d)))"
)
_ROW_LABEL = re.compile(
    r"(?m)^[ \t|]*(?:(?i:right|left|rt|lt|r|l)\b[ \t|]+)?"
    r"(?P<value>[A-H](?=[ \t]*(?:\||\t|[ \t]{2,}))|[RLN]-?\d{1,2}(?=[ \t]*[|\t:=]|[ \t]{2,}))"
)
_BARE_LABEL_AFTER = re.compile(
    r"\s*[,;:)&]|\.?\s*$|\.(?=\s)|\s+(?:is|was|has|had|are|were|and|or|to|remains?|measures?|shows?|demonstrates?|corresponds?|"
    r"represents?|appears?|"
    r"also|now|again|only|needs?|warrants?|requires?|should|may|could|likely|in|at)\b"
)
_NO_LABEL_BEFORE = re.compile(
    r"(?:\b(?:acr|type|density|category|cat|composition|bi-?rads|grade|class|level|pattern|vitamin|hepatitis|dr)\.?|"
    r"\d)[ :=(-]{0,3}$",
    re.IGNORECASE,
)


def find_labels(text: str, lower: str) -> list[LabelMention]:
    """Labels with their noun, in order, and bare ones that a table or block gave; a letter counts only in capitals."""
    found = _noun_labels(text, lower)
    taken = {label.value_start for label in found}
    return sorted([*found, *(label for label in _bare_labels(text, found) if label.value_start not in taken)])


def _bare_labels(text: str, found: list[LabelMention]) -> list[LabelMention]:
    """ "B is smaller" after a table's row B or after "Lesion B": the label without its noun."""
    rows = {match["value"] for match in _ROW_LABEL.finditer(text)}
    known = {value for value in rows | {label.value for label in found} if not value.isdigit() and value[:1].isupper()}
    if not known:
        return []
    pattern = re.compile(rf"(?<![\w'./+-])(?:{'|'.join(sorted(map(re.escape, known), key=len, reverse=True))})(?![\w'\u2019/-])")
    bare = []
    for match in pattern.finditer(text):
        is_letter = len(match[0]) == 1
        if is_letter and not _BARE_LABEL_AFTER.match(text, match.end()):
            continue
        if not _NO_LABEL_BEFORE.search(text, max(0, match.start() - 16), match.start()):
            bare.append(LabelMention(match.start(), match.end(), match[0], match.start()))
    return bare


def _noun_labels(text: str, lower: str) -> list[LabelMention]:
    found = []
    is_small = text == lower
    for match in LABEL.finditer(lower):
        name = "value" if match["value"] else "hash"
        start, end = match.span(name)
        if lower[start:end].isalpha() and not (
            (text[start:end].isupper() or (is_small and lower[end : end + 1] in (":", "\n"))) and _is_label_letter(lower, end)
        ):
            continue
        found.append(LabelMention(match.start(), end, text[start:end], start))
        more = _MORE_LABELS.match(lower, end) if name == "value" and match["noun"].endswith(("s", "i")) else None
        while more is not None and not (more["value"].isalpha() and not text[slice(*more.span("value"))].isupper()):
            first, last = more.span("value")
            found.append(LabelMention(first, last, text[first:last], first))
            more = _MORE_LABELS.match(lower, last)
    return found


def _is_label_letter(lower: str, end: int) -> bool:
    """ "Mass A: ..." and "lesion B," but not "MASS A FEW"."""
    return (
        re.match(
            r"\s*(?:[:,;.()\-|=\n]|$|is\b|in\b|at\b|on\b|has\b|was\b|measures|are\b|and\b|\(|corresponds?|correlates?|again|now\b|"
            r"shows?|persists?|also|lies|located|"
            r"demonstrates?|appears?|remains?|represents?|has\b|upper|lower|left|right|\d)",
            lower[end : end + 16],
        )
        is not None
    )
