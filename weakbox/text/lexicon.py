"""Finds the phrases of a word list in lower-case text: one pass over the words, a dictionary look-up a word.

A phrase is a regular expression that begins with letters, or with a choice of literal words ``(?:left|right) ...``.
Measured on a report of 1,600 characters: 0.12 ms for the location words; spaCy's blank English tokeniser, which its
PhraseMatcher needs first, takes 1.3 ms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_WORD = re.compile(r"[^\W\d_]+")
_LEADING_CHOICE = re.compile(r"\(\?:([^()?*|]+(?:\|[^()?*|]+)+)\)(?![?*])")
WORDS = Path(__file__).parent / "words"


class Hit(NamedTuple):
    """A phrase at ``start:end`` of the searched text."""

    start: int
    end: int
    label: str


class _Entry(NamedTuple):
    """A phrase and the letters that it must begin with."""

    head: str
    pattern: re.Pattern[str]
    label: str


_HEAD = 5
"""So many letters of a text's word choose the phrases that are tried on it."""
_MOST_BEGINNINGS = 20_000


class Lexicon:
    """Phrases by label; at one place the longest phrase wins, and phrases do not overlap."""

    def __init__(self, phrases: Mapping[str, Iterable[str]]) -> None:
        self._patterns: dict[str, list[_Entry]] = {}
        self._possible: dict[tuple[str, str], tuple[_Entry, ...]] = {}
        for label, expressions in phrases.items():
            for expression in expressions:
                pattern = re.compile(rf"{expression}(?![^\W_])")
                for head in _heads_of(expression):
                    self._patterns.setdefault(head[:2], []).append(_Entry(head[:_HEAD], pattern, label))
        self._gate = _gate_of(self._patterns)

    def find(self, lower: str, start: int = 0, end: int | None = None) -> list[Hit]:
        """Every phrase of ``lower[start:end]``, in order."""
        stop = len(lower) if end is None else end
        hits: list[Hit] = []
        reached = start
        possible = self._possible
        for opening in self._gate.finditer(lower, start, stop):
            position = opening.start()
            if position < reached:
                continue
            key = (opening[0], lower[position : position + _HEAD])
            entries = possible.get(key)
            if entries is None:
                entries = self._entries_of(key)
            hit = _longest(entries, lower, position, stop) if entries else None
            if hit is not None:
                hits.append(hit)
                reached = hit.end
        return hits

    def _entries_of(self, key: tuple[str, str]) -> tuple[_Entry, ...]:
        """The phrases that words beginning so can be, found once for each beginning."""
        opening, head = key
        if len(self._possible) >= _MOST_BEGINNINGS:
            self._possible.clear()
        entries = tuple(dict.fromkeys(entry[1:] for entry in self._patterns[opening] if head.startswith(entry.head)))
        self._possible[key] = tuple(_Entry("", pattern, label) for pattern, label in entries)
        return self._possible[key]


def _gate_of(keys: Iterable[str]) -> re.Pattern[str]:
    """The start of any phrase at the start of a word, one branch a first letter: most words fail on it at once."""
    seconds: dict[str, str] = {}
    for key in keys:
        seconds[key[0]] = seconds.get(key[0], "") + key[1:]
    singles = {key for key in keys if len(key) == 1}
    alone = r"(?![^\W\d_])"
    branches = [f"{first}{_second(rest, alone if first in singles else '')}" if rest else first + alone for first, rest in seconds.items()]
    return re.compile(rf"(?<![^\W\d_])(?:{'|'.join(branches)})")


def _second(letters: str, alone: str) -> str:
    return f"(?:[{letters}]|{alone})" if alone else f"[{letters}]"


def _heads_of(expression: str) -> list[str]:
    """The letters that every word begins with which the expression can begin with."""
    choice = _LEADING_CHOICE.match(expression)
    heads = {_head_of(head) for head in choice[1].split("|")} if choice else {_head_of(expression)}
    return sorted(head[:2] if not choice and _has_open_choice(expression) else head for head in heads)


def _has_open_choice(expression: str) -> bool:
    """Whether a bar stands outside all brackets, so that the expression need not begin with its first word."""
    depth = 0
    for before, character in zip(" " + expression, expression, strict=False):
        depth += (character in "([") - (character in ")]") if before != "\\" else 0
        if character == "|" and depth == 0:
            return True
    return False


def _head_of(expression: str) -> str:
    literal = _WORD.match(expression)
    if literal is None:
        msg = f"a phrase begins with a letter, got {expression!r}"
        raise ValueError(msg)
    following = expression[literal.end() : literal.end() + 1]
    length = len(literal[0]) - (1 if following in ("?", "*") and literal.end() > 2 else 0)
    return literal[0][:length]


def _longest(entries: tuple[_Entry, ...], lower: str, position: int, stop: int) -> Hit | None:
    best: Hit | None = None
    for _, pattern, label in entries:
        match = pattern.match(lower, position, stop)
        if match is not None and (best is None or match.end() > best.end):
            best = Hit(position, match.end(), label)
    return best


def base_language(language: str) -> str:
    """The language without its region.

    >>> base_language("en-GB")
    'en'
    """
    return language.replace("_", "-").partition("-")[0].lower()


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Languages that there are words for: ``words/<language>.yaml``."""
    return tuple(sorted(path.stem for path in WORDS.glob("*.yaml")))


@lru_cache(maxsize=16)
def load_words(language: str) -> Mapping[str, Any]:
    """The word lists of a language (``words/<language>.yaml``); a language without a file reads as English."""
    path = WORDS / f"{base_language(language)}.yaml"
    chosen = path if path.is_file() else WORDS / "en.yaml"
    return dict(yaml.safe_load(chosen.read_text(encoding="utf-8")))


@lru_cache(maxsize=64)
def load_lexicon(language: str, group: str) -> Lexicon:
    """One group of a language's word lists, ready to search."""
    return Lexicon(load_words(language)[group])
