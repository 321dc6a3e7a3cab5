"""Which specimens a written label names: ``C``, ``C-F``, ``1, 3 and 5``, ``IV``, ``2A``, in every scheme in which it may be read."""

from __future__ import annotations

import re
from functools import cache

NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
JOIN = r"\s*(?:-|–|\b(?i:to|through|thru)\b|,\s*(?i:and)\b|,|&|/|\b(?i:and)\b|\+)\s*"
ROMANS = {
    "I": 1,
    "II": 2,
    "III": 3,
    "IV": 4,
    "V": 5,
    "VI": 6,
    "VII": 7,
    "VIII": 8,
    "IX": 9,
    "X": 10,
    "XI": 11,
    "XII": 12,
    "XIII": 13,
    "XIV": 14,
    "XV": 15,
    "XVI": 16,
}
LABEL_SIGNS = re.compile(r"[()\[\].]")


@cache
def readings_of(identifier: str) -> dict[str, int]:
    """Every scheme in which an identifier may be read, with its place there."""
    readings: dict[str, int] = {}
    if identifier.isdigit():
        readings["number"] = int(identifier)
    if len(identifier) == 1 and identifier.isalpha():
        readings["upper" if identifier.isupper() else "lower"] = ord(identifier.lower()) - ord("a") + 1
    if identifier.lower() in NUMBER_WORDS:
        return {"number": NUMBER_WORDS.index(identifier.lower()) + 1}
    if identifier in ROMANS or (identifier.islower() and identifier.upper() in ROMANS):
        readings["roman"] = ROMANS[identifier.upper()]
    mixed = re.fullmatch(r"(\d{1,2})([A-Za-z])|([A-Za-z])(\d{1,2})", identifier)
    if mixed:
        first = int(mixed[1]) if mixed[1] else ord(mixed[3].upper())
        second = ord(mixed[2].upper()) if mixed[2] else int(mixed[4])
        readings["mixed"] = first * 100 + second
    return readings


def ordinals_of(identifiers: str) -> dict[str, tuple[int, ...]]:
    """The specimens that "C", "C-F" or "A, B" names, in every scheme in which all its parts may be read and rise."""
    identifiers = LABEL_SIGNS.sub(" ", identifiers)
    parts = [part.strip() for part in re.split(JOIN, identifiers) if part.strip()]
    readings = [readings_of(part) for part in parts]
    found: dict[str, tuple[int, ...]] = {}
    for scheme in readings[0] if readings else ():
        if all(scheme in reading for reading in readings):
            ordinals = _filled([reading[scheme] for reading in readings], identifiers, parts)
            if ordinals:
                found[scheme] = ordinals
    return found


def _filled(places: list[int], written: str, parts: list[str]) -> tuple[int, ...]:
    """The specimens that "A-C, E" names; empty where it does not rise."""
    ordinals = [places[0]]
    position = len(parts[0])
    for place, part in zip(places[1:], parts[1:], strict=True):
        joint_end = written.index(part, position)
        is_range = re.search(r"-|–|to|thr", written[position:joint_end], re.IGNORECASE) is not None
        position = joint_end + len(part)
        if place <= ordinals[-1] or place - ordinals[-1] > 40:
            return ()
        ordinals += range(ordinals[-1] + 1, place + 1) if is_range and place - ordinals[-1] < 40 else [place]
    return tuple(ordinals)
