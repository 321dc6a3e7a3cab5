"""Stand-ins for identifying words: the same word always gets the same one under one key, of the same kind and length class."""

from __future__ import annotations

import hashlib
import hmac
import string
from functools import cache

from weakbox.text.deidentify_detection import PhiKind
from weakbox.text.deidentify_words import clinical_words, phi_words

_VOWELS, _CONSONANTS = "aeiou", "bdfgklmnprstv"
_SHORTEST_WORD = 3


def surrogate(words: str, kind: PhiKind, key: bytes) -> str:
    """What stands for ``words``: digits for digits, letters for letters; names become names.

    Dates, times and ages have none here: a date is moved or masked.
    """
    draw = _Draw(key, f"{kind}:{' '.join(words.lower().split())}")
    if kind is PhiKind.EMAIL:
        return f"{_word(draw, 6)}@example.org"
    if kind is PhiKind.URL:
        return f"https://example.org/{_word(draw, 6)}"
    if kind is PhiKind.UID:
        return "2.25." + "1" + "".join(str(draw.below(10)) for _ in range(max(len(words) - 6, 8)))
    if kind in (PhiKind.PERSON, PhiKind.ADDRESS, PhiKind.INSTITUTION):
        return _by_words(words, kind, key)
    return "".join(_like(sign, draw) for sign in words)


def _by_words(words: str, kind: PhiKind, key: bytes) -> str:
    """Word by word, so that a surname alone gets the stand-in that it has within a full name."""
    pieces: list[str] = []
    run = ""
    for sign in f"{words}\0":
        if sign.isalpha():
            run += sign
            continue
        pieces.append(_stand_in(run, kind, key) if run else "")
        pieces.append(_like(sign, _Draw(key, f"{kind}:{words}:{len(pieces)}")) if sign.isdigit() else sign)
        run = ""
    return "".join(pieces[:-1])


def _stand_in(word: str, kind: PhiKind, key: bytes) -> str:
    draw = _Draw(key, f"{kind}:{word.lower()}")
    if len(word) < _SHORTEST_WORD:
        return "".join(_like(sign, draw) for sign in word)
    if word.islower():
        return word
    names = [name for name in _given_names() if abs(len(name) - len(word)) <= 1]
    chosen = names[draw.below(len(names))] if names and kind is PhiKind.PERSON else _word(draw, len(word)).capitalize()
    return chosen.upper() if word.isupper() else chosen


@cache
def _given_names() -> tuple[str, ...]:
    return tuple(sorted({name for name in phi_words().lists["given_names"] if name.isalpha() and name.lower() not in clinical_words()}))


def _word(draw: _Draw, length: int) -> str:
    return "".join((_CONSONANTS, _VOWELS)[place % 2][draw.below(len((_CONSONANTS, _VOWELS)[place % 2]))] for place in range(length))


def _like(sign: str, draw: _Draw) -> str:
    if sign.isdigit():
        return str(1 + draw.below(9))
    if sign.isalpha():
        letter = string.ascii_uppercase[draw.below(26)]
        return letter if sign.isupper() else letter.lower()
    return sign


class _Draw:
    """Numbers that follow from a key and a word alone."""

    def __init__(self, key: bytes, word: str) -> None:
        self._key, self._word, self._count = key, word, 0

    def below(self, limit: int) -> int:
        """The next number, 0 <= number < limit."""
        self._count += 1
        digest = hmac.new(self._key, f"{self._word}:{self._count}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") % limit
