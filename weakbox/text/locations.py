"""Reads where in the prostate words point: side, zone, levels, positions, and the PI-RADS v2.1 sectors they pin down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from weakbox.terminology.sectors import LEVEL_ORDER, sectors_of
from weakbox.text.lexicon import Hit, Lexicon, load_words

_SIDE_FIELD = re.compile(r"\b(?:side|laterality)\s*(?:[(\[][^()\[\]]{0,8}[)\]])?\s*(?:[:=]\s*)?$", re.IGNORECASE)
_POSITION_FIELD = re.compile(r"\bpos(?:ition|n)?\.?\s?[:=]\s?$", re.IGNORECASE)
_POSITION_LETTER = re.compile(r"\bpos(?:ition|n)?\.?\s?[:=]\s?(?P<letter>[apm])(?=\s*(?:$|[;,|\n]))")
_LETTERS = {"a": "anterior", "p": "posterior", "m": "medial"}
POSITION_ORDER = ("anterior", "posterior", "medial", "lateral")


class LocationToken(NamedTuple):
    """One location word at ``start:end``: the attribute it speaks of and what it says."""

    start: int
    end: int
    attribute: str
    """``side``, ``zone``, ``level``, ``position`` or ``area`` (zone and positions at once, ``PZpl``)."""
    values: tuple[str, ...]
    is_weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in the gland; ``spans`` gives for each attribute the words (offsets of the text read) that state it."""

    side: str | None = None
    zone: str | None = None
    levels: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    sectors: tuple[str, ...] = ()
    spans: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.side or self.zone or self.levels or self.positions)


@lru_cache(maxsize=16)
def _lexicon(language: str) -> Lexicon:
    return Lexicon(load_words(language)["locations"])


def read_location(text: str, language: str = "en") -> Location:
    """The location that a phrase states (report words, a biopsy sheet's cell, a specimen's heading).

    >>> read_location("left posterolateral mid PZ").sectors
    ('L_mid_PZpl',)
    """
    return location_of(location_tokens(text, language=language))


def location_tokens(text: str, start: int = 0, end: int | None = None, language: str = "en") -> list[LocationToken]:
    """The location words of ``text[start:end]``, in order; words of other organs are left out."""
    lower = text.lower()
    hits = _lexicon(language).find(lower, start, end)
    strong = [(hit.start, hit.end) for hit in hits if not hit.label.startswith(("weak", "other"))]
    tokens: list[LocationToken] = []
    for index, hit in enumerate(hits):
        if hit.label == "other":
            continue
        if hit.label.startswith("weak") and not _is_beside(text, hits, index, strong):
            continue
        tokens.append(_token(hit))
    if "pos=" in lower or "pos:" in lower or "position" in lower:
        letters = _POSITION_LETTER.finditer(lower, start, len(lower) if end is None else end)
        tokens += [LocationToken(*match.span("letter"), "position", (_LETTERS[match["letter"]],)) for match in letters]
    return tokens


def _token(hit: Hit) -> LocationToken:
    attribute, _, values = hit.label.partition(":")
    is_weak = attribute.startswith("weak_")
    return LocationToken(hit.start, hit.end, attribute.removeprefix("weak_"), tuple(values.split(",")), is_weak)


def _is_beside(text: str, hits: list[Hit], index: int, strong: list[tuple[int, int]]) -> bool:
    """A short form (``L``, ``ant``) counts only next to a full location word, or to another short form that does."""
    hit = hits[index]
    if _SIDE_FIELD.search(text, max(0, hit.start - 26), hit.start):
        return True
    if hit.label.startswith("weak_position") and _POSITION_FIELD.search(text, max(0, hit.start - 12), hit.start):
        return True
    if (hit.end - hit.start == 1 or hit.label == "weak_side:midline") and not text[hit.start : hit.end].isupper():
        return False
    if not strong:
        return _is_sole_code(text, hits)
    chain_start, before = hit.start, hit
    for other in reversed(hits[:index]):
        if not _is_gap(_after_short(text, other, chain_start)):
            break
        if not other.label.startswith(("weak", "other")):
            return True
        chain_start = other.start
    for other in hits[index + 1 :]:
        if not _is_gap(_after_short(text, before, other.start)):
            break
        if not other.label.startswith(("weak", "other")):
            return True
        before = other
    return False


def _after_short(text: str, hit: Hit, stop: int) -> str:
    """What stands between a hit and the next one, without the full stop of a short form ("Lt. base", "post. PZ")."""
    between = text[hit.end : stop]
    return between[1:] if between[:1] == "." and hit.label.startswith("weak") and hit.end - hit.start > 1 else between


def _is_gap(between: str) -> bool:
    return len(between) <= 3 and not any(character.isalnum() or character in ".;\n" for character in between)


def _is_sole_code(text: str, hits: list[Hit]) -> bool:
    """A cell that holds nothing but short forms (``L``, ``R post``)."""
    return sum(hit.end - hit.start for hit in hits) >= len(text.replace(" ", "")) - 1


def location_of(tokens: Iterable[LocationToken]) -> Location:
    """One location from its words: both sides read as bilateral, the first zone counts, a range of levels is filled."""
    found = list(tokens)
    if not found:
        return _NOWHERE
    sides: dict[str, list[tuple[int, int]]] = {}
    zones: list[tuple[str, tuple[int, int]]] = []
    levels: dict[str, tuple[int, int]] = {}
    positions: dict[str, tuple[int, int]] = {}
    for token in found:
        span = (token.start, token.end)
        if token.attribute == "side":
            sides.setdefault(token.values[0], []).append(span)
        elif token.attribute == "level":
            for value in token.values:
                levels.setdefault(value, span)
        else:
            values = token.values
            if token.attribute in ("zone", "area"):
                zones.append((values[0], span))
                values = values[1:]
            for value in values:
                positions.setdefault(value, span)
    return _assemble(sides, zones, levels, positions)


_NOWHERE = Location()


def _assemble(
    sides: Mapping[str, list[tuple[int, int]]],
    zones: list[tuple[str, tuple[int, int]]],
    levels: Mapping[str, tuple[int, int]],
    positions: Mapping[str, tuple[int, int]],
) -> Location:
    side = _side_of(sides)
    zone = zones[0][0] if zones else None
    ordered_levels = tuple(level for level in LEVEL_ORDER if level in levels)
    if ordered_levels == ("base", "apex"):
        ordered_levels = LEVEL_ORDER
    ordered_positions = tuple(position for position in POSITION_ORDER if position in positions)
    spans = {
        "side": tuple(sorted(span for found in sides.values() for span in found)),
        "zone": tuple(span for found, span in zones if found == zone)[:1],
        "levels": tuple(sorted(set(levels.values()))),
        "positions": tuple(sorted(set(positions.values()))),
    }
    return Location(
        side=side,
        zone=zone,
        levels=ordered_levels,
        positions=ordered_positions,
        sectors=sectors_of(side, zone, ordered_levels, ordered_positions),
        spans={name: found for name, found in spans.items() if found},
    )


def _side_of(sides: Mapping[str, list[tuple[int, int]]]) -> str | None:
    if not sides:
        return None
    if "bilateral" in sides or ("left" in sides and "right" in sides):
        return "bilateral"
    if "midline" in sides and len(sides) == 1:
        return "midline"
    return next(side for side in ("left", "right", "midline") if side in sides)
