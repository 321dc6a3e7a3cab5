"""Cleans a report's text for reading and keeps the way back to the raw characters.

Every step is a list of edits over the text before it (an ``EditLayer``); most folds replace one character by one
character and need no edit at all. Spans that leave the text layer always point into the raw text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from weakbox.records.stated import Span
from weakbox.text.repair import repair_edits
from weakbox.text.unwrap import unwrap_edits

Edit = tuple[int, int, str]
"""Start and end in the text before, and the replacement."""


class EditLayer:
    """The offset map of one step: where each replaced stretch lies before and after."""

    __slots__ = ("new_end", "new_start", "old_end", "old_start")

    def __init__(self, edits: Iterable[Edit]) -> None:
        self.old_start: list[int] = []
        self.old_end: list[int] = []
        self.new_start: list[int] = []
        self.new_end: list[int] = []
        shift = 0
        for start, end, replacement in edits:
            self.old_start.append(start)
            self.old_end.append(end)
            self.new_start.append(start + shift)
            self.new_end.append(start + shift + len(replacement))
            shift += len(replacement) - (end - start)

    def start_before(self, position: int) -> int:
        """Where a stretch that starts at ``position`` after the step started before it."""
        index = bisect_right(self.new_start, position) - 1
        if index < 0:
            return position
        if position < self.new_end[index]:
            return self.old_start[index]
        return position - self.new_end[index] + self.old_end[index]

    def end_before(self, position: int) -> int:
        """Where a stretch that ends at ``position`` after the step ended before it."""
        index = bisect_left(self.new_start, position) - 1
        if index < 0:
            return position
        if position <= self.new_end[index]:
            return self.old_end[index]
        return position - self.new_end[index] + self.old_end[index]

    def position_after(self, position: int) -> int:
        """Where ``position`` before the step stands after it; inside a replaced stretch, where the replacement starts."""
        index = bisect_right(self.old_start, position) - 1
        if index < 0:
            return position
        if position < self.old_end[index]:
            return self.new_start[index]
        return position - self.old_end[index] + self.new_end[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """Text for reading, its lower-case twin of the same length, and the way back to ``raw``.

    ``repaired`` holds the stretches (in ``text``) that a confusion map changed: what is read from them is less sure.
    ``masked`` holds the stretches that a de-identification tool put in place of words; digits inside them read ``_``.
    """

    raw: str
    text: str
    lower: str
    layers: tuple[EditLayer, ...] = ()
    repaired: tuple[tuple[int, int], ...] = ()
    masked: tuple[tuple[int, int], ...] = ()

    def to_raw(self, start: int, end: int) -> Span:
        """The raw span of ``text[start:end]``, blank ends trimmed. ValueError where the stretch is blank."""
        cut = self.text[start:end]
        start += len(cut) - len(cut.lstrip())
        end -= len(cut) - len(cut.rstrip())
        if start >= end:
            msg = f"a span needs words, {start}..{end} is blank"
            raise ValueError(msg)
        for layer in reversed(self.layers):
            start, end = layer.start_before(start), layer.end_before(end)
        return Span(start=start, end=end)

    def from_raw(self, position: int) -> int:
        """Where the raw character at ``position`` stands in ``text``."""
        for layer in self.layers:
            position = layer.position_after(position)
        return position

    def is_repaired(self, start: int, end: int) -> bool:
        """Whether the stretch overlaps a repair."""
        return any(first < end and start < last for first, last in self.repaired)

    def masked_in(self, start: int, end: int) -> tuple[int, int] | None:
        """The first placeholder that overlaps the stretch, or None."""
        return next(((first, last) for first, last in self.masked if first < end and start < last), None)


def normalise(raw: str) -> Normalised:
    """Unescape, fold, un-wrap and repair a raw report.

    >>> text = normalise("PI-\\\\.br\\\\RADS 4")
    >>> text.text, text.to_raw(0, 9)
    ('PI-RADS 4', Span(start=0, end=14))
    """
    layers: list[EditLayer] = []
    text = _apply(raw, _escape_edits(raw), layers)
    text = _apply(text, _expansion_edits(text), layers)
    text = _fold(text)
    text = _apply(text, _blank_edits(text), layers)
    text = _apply(text, unwrap_edits(text), layers)
    masked = _masked(text)
    text = _hide_digits(text, masked)
    repairs = repair_edits(text)
    text = _apply(text, repairs, layers)
    masked = _moved(masked, layers[-1]) if repairs and masked else masked
    repaired = tuple(zip(layers[-1].new_start, layers[-1].new_end, strict=True)) if repairs else ()
    return Normalised(raw=raw, text=text, lower=text.lower(), layers=tuple(layers), repaired=repaired, masked=masked)


def _apply(text: str, edits: list[Edit], layers: list[EditLayer]) -> str:
    if not edits:
        return text
    pieces: list[str] = []
    position = 0
    for start, end, replacement in edits:
        pieces += (text[position:start], replacement)
        position = end
    pieces.append(text[position:])
    layers.append(EditLayer(edits))
    return "".join(pieces)


_HL7 = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "H": "", "N": "", "P": " ", "L": "-"}
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "nbsp": " ", "quot": '"', "apos": "'", "times": "x", "mdash": "-", "ndash": "-"}
_ESCAPE = re.compile(
    r"\\(?P<doubled>\.br)\\(?=\r?\n)|\\(?P<break>\.br|\.sp\+?\d*|\.ce|\.in[+-]?\d*|\.ti[+-]?\d*|\.fi|\.nf|\.sk\d*)\\"
    r"|\\(?P<hex>X(?:[0-9A-Fa-f]{2})+)\\|\\(?P<code>[FSTREHN])\\"
    r"|\\(?P<literal>r\\n|n|r|t)(?![A-Za-z]{2,}\\)"
    r"|<(?P<line>br\s*/?|/p|/div|/tr|/li)>|<(?P<tag>/?(?:p|div|span|b|i|u|strong|em|font|table|tbody|tr|li|ul|ol|html|"
    r"body)(?:\s[^<>]{0,200})?)>"
    r"|&(?P<entity>lt|gt|amp|nbsp|quot|apos|times|mdash|ndash);|&\#(?P<number>\d{1,5}|x[0-9A-Fa-f]{1,4});",
    re.IGNORECASE,
)


def _escape_edits(text: str) -> list[Edit]:
    if "\\" not in text and "<" not in text and "&" not in text:
        return []
    return [(match.start(), match.end(), _unescape(match)) for match in _ESCAPE.finditer(text)]


def _unescape(match: re.Match[str]) -> str:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "hex":
        return bytes.fromhex(value[1:]).decode("latin-1").replace("\r", "\n").replace("\x00", " ")
    if kind == "code":
        return _HL7.get(value.upper(), "")
    if kind == "entity":
        return _ENTITIES[value.lower()]
    if kind == "number":
        return _character(value)
    if kind in ("tag", "doubled"):
        return ""
    return " " if value == "t" else "\n"


def _character(number: str) -> str:
    code = int(number[1:], 16) if number[0] in "xX" else int(number)
    character = chr(code) if 0 < code < 0xD800 else " "
    return "\n" if character in "\r\n" else character


_SINGLE = {
    **dict.fromkeys("‐‑‒–—―−﹣－⁃", "-"),
    **dict.fromkeys("×✕✖⨯∗＊⋅", "x"),
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("•▪◦●‣■□◆⁌○", "•"),
    **dict.fromkeys("µμ", "u"),
    **dict.fromkeys("≤⩽", "<"),
    **dict.fromkeys("≥⩾", ">"),
    **dict.fromkeys("→⇒➔➜⟶", ">"),
    "⁄": "/",
    "∼": "~",
    "\r": "\n",
    "\t": "\t",
    "\n": "\n",
    "\f": "\n",
    "\v": "\n",
    "\x85": "\n",
    "\u2028": "\n",
    "\u2029": "\n",
    "İ": "I",
}
_ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f")
_COMBINING = re.compile(r"[^\W\d_][\u0300-\u036f]")


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    """What one character reads as: usually one character, several for ligatures, none for zero-width marks."""
    if character in _SINGLE:
        return _SINGLE[character]
    if character in _ZERO_WIDTH:
        return ""
    if character.isspace() or unicodedata.category(character) in ("Cc", "Cs"):
        return " "
    folded = unicodedata.normalize("NFKC", character)
    if any(part.isspace() or len(part.lower()) != 1 for part in folded):
        return character if len(character.lower()) == 1 else "?"
    return folded


class _FoldTable(dict[int, str]):
    def __missing__(self, code: int) -> str:
        folded = _folded(chr(code))
        self[code] = folded if len(folded) == 1 else chr(code)
        return self[code]


_TABLE = _FoldTable()


def _expansion_edits(text: str) -> list[Edit]:
    """Characters that read as several or none, and letters with a combining mark."""
    if text.isascii():
        return []
    odd = {character: folded for character in set(text) if ord(character) > 127 and len(folded := _folded(character)) != 1}
    edits = [(index, index + 1, odd[character]) for index, character in enumerate(text) if character in odd] if odd else []
    for match in _COMBINING.finditer(text):
        composed = unicodedata.normalize("NFC", match[0])
        if len(composed) == 1:
            edits.append((match.start(), match.end(), composed))
    return sorted(edits)


_CARRIAGE = re.compile(r"\r(?=\n)")


def _fold(text: str) -> str:
    if "\r" in text:
        text = _CARRIAGE.sub(" ", text)
    return text.translate(_TABLE)


_LONG_BLANK = re.compile(r"\s{9,}")
_LEADER = re.compile(r"(?<=[\w)])[ \t]*(?:\.{4,}|(?:\. ){3,}\.)[ \t]*:?[ \t]*(?=[^\s.:])")


def _blank_edits(text: str) -> list[Edit]:
    """Long runs of blanks say no more than short ones, and every pattern after this is spared from walking them.

    The dots that lead from a form's name to its value ("PSA ........ 4.9") read as the colon that they stand for.
    """
    edits = [(match.start(), match.end(), _short_blank(match[0])) for match in _LONG_BLANK.finditer(text)]
    if "...." not in text and ". . . ." not in text:
        return edits
    leaders = [(match.start(), match.end(), ": ") for match in _LEADER.finditer(text)]
    return sorted([*leaders, *(edit for edit in edits if not any(start < edit[1] and edit[0] < end for start, end, _ in leaders))])


def _short_blank(blank: str) -> str:
    if "\n" in blank:
        return "\n\n" if blank.count("\n") > 1 else "\n"
    return "\t" if "\t" in blank else " " * 8


_PLACEHOLDER = re.compile(
    r"\[\*\*[^\]\n]{0,60}\*\*\]|<[A-Z][A-Z_ \-]{1,24}\d{0,3}>|\[(?:REDACTED|DATE|NAME|MASKED|PHI|NUMBER|ID|PERSON|LOCATION)[^\]\n]{0,12}\]"
    r"|\b[X]{3,}\b|_{3,}|\*{3,}|#{3,}|<<[^<>\n]{1,40}>>|\{\{[^{}\n]{1,40}\}\}"
)


def placeholder_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Where a de-identification tool put something in place of words: ``<DATE>``, ``[**name**]``, ``XXXX`` ..."""
    return _masked(text)


def _masked(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(match.span() for match in _PLACEHOLDER.finditer(text))


_DIGITS = re.compile(r"\d")


def _hide_digits(text: str, masked: tuple[tuple[int, int], ...]) -> str:
    for start, end in masked:
        cut = text[start:end]
        if any(character.isdigit() for character in cut):
            text = text[:start] + _DIGITS.sub("_", cut) + text[end:]
    return text


def _moved(ranges: tuple[tuple[int, int], ...], layer: EditLayer) -> tuple[tuple[int, int], ...]:
    """Ranges of the text before the last step, in the text after it (repairs never touch a placeholder)."""
    moved = []
    for start, end in ranges:
        index = bisect_right(layer.old_start, start) - 1
        shift = layer.new_end[index] - layer.old_end[index] if index >= 0 else 0
        moved.append((start + shift, end + shift))
    return tuple(moved)
