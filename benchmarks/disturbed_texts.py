"""Reports written again: other line breaks, headings, words, case and scanning errors, so that the right answers stay the same.

For learning how wrong readers are on texts that they were not written on. Every disturbance is decided by the text alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial

_WORD = re.compile(r"[A-Za-z]{5,}")
_OCR = {"l": "1", "O": "0", "I": "l", "rn": "m", "e": "c", "S": "5"}
_NOISE_OF_100 = 2

PARAPHRASES: Mapping[str, str] = {
    "measuring": "with a size of",
    "measures": "is",
    "lesion": "focus",
    "peripheral zone": "peripheral gland",
    "transition zone": "transition gland",
    "identified": "depicted",
    "demonstrates": "discloses",
    "there is": "one notes",
    "suspicious for": "worrying for",
    "adenocarcinoma": "adeno-carcinoma",
    "prostatic adenocarcinoma": "adenocarcinoma of the prostate",
    "involving": "occupying",
    "cores": "core biopsies",
    "upper outer quadrant": "outer upper quadrant",
    "o'clock": "h",
    "invasive": "infiltrating",
    "in the left": "on the left",
    "in the right": "on the right",
    "unremarkable": "without remarkable features",
    "prostate volume": "gland volume",
    "from the nipple": "from nipple",
    "impression": "overall opinion",
    "findings": "observations",
    "diagnosis": "opinion",
}
"""Wordings of the same meaning, most of which nobody wrote a rule for."""


def _draw(text: str, place: int, what: str) -> int:
    """A number in 0..99 that depends on the text and the place alone."""
    return hashlib.sha256(f"{what}:{place}:{len(text)}:{text[max(place - 8, 0) : place + 8]}".encode()).digest()[0] * 100 // 256


def rewrapped(text: str, width: int = 58) -> str:
    """Paragraphs filled to another width, as a fax or an interface engine breaks lines; short lines stay."""
    return "\n".join(_wrapped(line, width) for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    made, rest = [], line
    while len(rest) > width and (cut := rest.rfind(" ", 0, width)) > width // 2:
        made.append(rest[:cut])
        rest = rest[cut + 1 :]
    return "\n".join([*made, rest])


def scanned(text: str) -> str:
    """A few letters of long words misread, as optical character recognition does; numbers and labels stay."""

    def misread(match: re.Match[str]) -> str:
        word = match[0]
        for good, bad in _OCR.items():
            if good in word[1:] and _draw(text, match.start(), good) < _NOISE_OF_100:
                return word[0] + word[1:].replace(good, bad, 1)
        return word

    return _WORD.sub(misread, text)


def _in_its_case(new: str, match: re.Match[str]) -> str:
    return new.capitalize() if match[0][0].isupper() else new


def paraphrased(text: str) -> str:
    """Half of the wordings in the table put another way."""
    for place, (old, new) in enumerate(PARAPHRASES.items()):
        if _draw(text, place, old) < 50:
            text = re.sub(rf"\b{re.escape(old)}\b", partial(_in_its_case, new), text, flags=re.IGNORECASE)
    return text


def flattened(text: str) -> str:
    """Blank lines and indentation lost."""
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def shouted(text: str) -> str:
    """All capitals, as old systems print."""
    return text.upper()


DISTURBANCES: Mapping[str, Callable[[str], str]] = {
    "rewrapped": rewrapped,
    "scanned": scanned,
    "paraphrased": paraphrased,
    "flattened": flattened,
    "shouted": shouted,
}
