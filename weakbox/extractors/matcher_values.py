"""What the second reader's patterns share: a value with its words, numbers after a word, blocks of labelled items, places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from weakbox.extractors.matcher_reading import Reading
from weakbox.records.stated import FieldValue, Stated

NAME = "matcher"
CONFIDENCE = 0.8
"""Before calibration knows better."""
LOOK_AHEAD = 8
_FILLERS = frozenset({
    "(", ")", ",", "-", ":", "=", "about", "and", "approx", "assessment", "ca", "categorie", "category", "categoría", "cc",
    "class", "classification", "code", "estimated", "final", "for", "g", "grade", "groep", "group", "groupe", "grupo",
    "gruppe", "is", "kategori", "kategorie", "klasse", "level", "measured", "ml", "ng", "of", "overall", "risk", "score",
    "the", "–",
})  # fmt: skip
VERSION_WORDS = frozenset({"v", "version", "versie", "versión", "ver"})

Leaf = Stated[FieldValue]
Leaves = dict[str, Leaf]
Found = tuple[Any, int, int]
"""A value and the tokens that state it."""
Block = tuple[str, list[tuple[int, int]], tuple[int, int]]
"""A label, the stretches of tokens that it heads, and where the label stands."""


def leaf_of(reading: Reading, found: Found, rule: str) -> Leaf:
    """A value with the words of its tokens."""
    value, start, end = found
    return Stated(value=value, evidence=(reading.span(start, end),), source=NAME, confidence=CONFIDENCE, rule=rule)


def only(candidates: Iterable[Found]) -> Found | None:
    """The one value that all candidates give; None where they differ or there is none."""
    found = list(candidates)
    return found[0] if found and all(other[0] == found[0][0] for other in found) else None


def put(values: Leaves, reading: Reading, name: str, found: Found | None) -> None:
    """Set a field where something was found; the rule is the field's own name."""
    if found is not None:
        values[name] = leaf_of(reading, found, name.rpartition(".")[2])


def next_number(reading: Reading, start: int, window: int) -> tuple[float, int] | None:
    """The first number after a token in its sentence, over fillers only."""
    for index in range(start, min(start + window, len(reading.words))):
        number = reading.number(index)
        if number is not None:
            return number, index
        if reading.words[index] not in _FILLERS:
            return None
    return None


def scores_of(reading: Reading, concept: str, start: int = 0, end: int | None = None) -> Iterator[Found]:
    """Categories of the scale that are of this examination."""
    for mark in reading.of(concept, start=start, end=end):
        if not reading.is_current(mark.start):
            continue
        place = _after_version(reading, mark.end)
        found = next_number(reading, place, LOOK_AHEAD)
        if found is None or not found[0].is_integer() or not 1 <= found[0] <= 5:
            continue
        value, index = found
        higher = reading.number(index + 2) if index + 1 < len(reading.words) and reading.words[index + 1] in "-–" else None
        yield int(higher) if higher is not None and value < higher <= 5 else int(value), mark.start, index + 1


def _after_version(reading: Reading, index: int) -> int:
    for place in range(index, min(index + 3, len(reading.words))):
        word = reading.words[place]
        if word in VERSION_WORDS:
            return place + 2
        if reading.number(place) is not None and "." in word:
            return place + 1
    return index


def label_of(reading: Reading, label: str, place: tuple[int, int], name: str = "lesion_id") -> Leaves:
    """The label of an item as its first value."""
    return {name: leaf_of(reading, (label, *place), "label")}


def current_stretches(reading: Reading) -> Iterator[tuple[int, int]]:
    """Half-open stretches of tokens that are not under a heading of the history."""
    start = None
    for index, is_history in enumerate([*reading.is_history, True]):
        if not is_history and start is None:
            start = index
        elif is_history and start is not None:
            yield start, index
            start = None


def joined_blocks(reading: Reading, heads: Sequence[tuple[str, int, int]]) -> list[Block]:
    """Blocks by label, from (label, first token, token after the label) in order; what repeats a label belongs to its block."""
    blocks: dict[str, Block] = {}
    for position, (label, start, end) in enumerate(heads):
        stop = heads[position + 1][1] if position + 1 < len(heads) else len(reading.words)
        stop = next((i for i in range(end, stop) if reading.words[i] == "\n" and _is_heading(reading, i + 1)), stop)
        blocks.setdefault(label, (label, [], (start, end)))[1].append((start, stop))
    return list(blocks.values())


def _is_heading(reading: Reading, index: int) -> bool:
    """A line of capitals, or one that is empty and followed by "Word:"."""
    end = next((place for place in range(index, len(reading.words)) if reading.words[place] in "\n:"), len(reading.words))
    words = [word for word in reading.cased[index:end] if word.isalpha()]
    return bool(words) and end - index <= 3 and all(word.isupper() and len(word) > 3 for word in words)


def one_of(reading: Reading, stretches: Sequence[tuple[int, int]], concepts: tuple[str, ...]) -> Found | None:
    """The concept that alone of these is mentioned, not negated."""
    marks = [mark for start, end in stretches for mark in reading.of(*concepts, start=start, end=end)]
    return only((mark.concept, mark.start, mark.end) for mark in marks if not reading.is_negated(mark.start))


def side_of(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    """The one side that is mentioned; None where both are."""
    found = one_of(reading, stretches, ("left", "right", "both"))
    return None if found is None or found[0] == "both" else found
