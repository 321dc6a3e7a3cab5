"""Repairs of what optical character recognition and dictation make of a few words that decide a label.

Only confusions that leave no other reading are repaired; each is marked, so that what is read from it is less sure.
"""

from __future__ import annotations

import re

Edit = tuple[int, int, str]

_NUMBER_WORDS = {
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
_NUMBER = "|".join(_NUMBER_WORDS)
_RADS = re.compile(r"\b(?:p[il1!|][ -]?rad[5sz§](?=[\s:=(),.;]|$)|p[1l!|][ -]?rads\b|pi[ -]?ra[o0]s\b|pi[ -]?rad5(?=\d))", re.IGNORECASE)
_RADS_RIGHT = re.compile(r"pi[ -]?rads$", re.IGNORECASE)
_GLEASON = re.compile(r"\b(?:g[il1!]eas[o0]n|gleas0n|gieas0n|gleasori|gl[e3]ason|gleeson)\b", re.IGNORECASE)
_NUMBER_CONFUSION = re.compile(r"[\dlIO][\dlIOo]{0,5}(?:[.,][\dlIOo]{1,4})?(?=\s?(?:mm|cm|ml|cc|ng)\b|(?<=[Oo][.,]\d)|(?<=[Oo][.,]\d\d))")
_VERSION_CONFUSION = re.compile(r"(?<=\bv2\.)[lI|](?!\w)|(?<=version 2\.)[lI|](?!\w)")
_DIGIT = str.maketrans("lIOo", "1100")
_SPOKEN_RADS = re.compile(
    rf"\b(?:pie|pye|py|pi|pyre)[ -]rads?(?P<gap>\s+(?:score |category )?)(?P<word>{_NUMBER})\b|\b(?:pie|pye|pyre)[ -]rads?\b",
    re.IGNORECASE,
)
_SPOKEN_SUM = re.compile(
    rf"\b(?P<first>{_NUMBER})\s+plus\s+(?P<second>{_NUMBER})(?:\s+(?:equals|is|equal to)\s+(?P<sum>{_NUMBER}))?\b",
    re.IGNORECASE,
)


def repair_edits(text: str) -> list[Edit]:
    """Edits that undo confusions, in order and without overlap."""
    lower = text.lower()
    edits: list[Edit] = []
    if "rad" in lower or "ra0s" in lower or "raos" in lower:
        edits += [(m.start(), m.end(), "PI-RADS") for m in _RADS.finditer(text) if not _RADS_RIGHT.match(m[0])]
        edits += _spoken_rads(text)
    if "eas" in lower or "gl3" in lower or "gleeson" in lower:
        edits += [(m.start(), m.end(), "Gleason") for m in _GLEASON.finditer(text) if m[0].lower() != "gleason"]
    if " plus " in lower:
        edits += [(m.start(), m.end(), _sum(m)) for m in _SPOKEN_SUM.finditer(text)]
    edits += [(m.start(), m.end(), "1") for m in _VERSION_CONFUSION.finditer(text)]
    edits += _numbers(text)
    return _ordered(edits)


def _spoken_rads(text: str) -> list[Edit]:
    return [
        (m.start(), m.end(), f"PI-RADS{m['gap']}{_NUMBER_WORDS[m['word'].lower()]}" if m["word"] else "PI-RADS")
        for m in _SPOKEN_RADS.finditer(text)
    ]


def _sum(match: re.Match[str]) -> str:
    total = f"={_NUMBER_WORDS[match['sum'].lower()]}" if match["sum"] else ""
    return f"{_NUMBER_WORDS[match['first'].lower()]}+{_NUMBER_WORDS[match['second'].lower()]}{total}"


def _numbers(text: str) -> list[Edit]:
    """A number with a unit that letters have crept into (``l2 mm``), or with a letter O before its decimals (``O.15``)."""
    edits = []
    for match in _NUMBER_CONFUSION.finditer(text):
        token = match[0]
        if token.isdigit() or not any(character.isdigit() for character in token) or not any(character in "lIOo" for character in token):
            continue
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] in ".,_"):
            continue
        edits.append((match.start(), match.end(), token.translate(_DIGIT)))
    return edits


def _ordered(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in sorted(edits):
        if not kept or edit[0] >= kept[-1][1]:
            kept.append(edit)
    return kept
