"""Finds another language's phrases, which are written so that a clinician can read and extend them.

A phrase is its words in lower case, with four signs: ``[...]`` may be there (``linke[r|s|n]``, ``[sehr] klein``), ``(a|b)`` is a
choice, ``*`` is any letters or none (``prostatastanz*``, ``*karzinom``), ``#`` is a number. A blank also stands for a hyphen,
and a full stop may be missing. At one place the longest phrase wins.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(r"[^\W\d_*]*(?:\*[^\W\d_*]*)+|[^\W\d_]+|\d+|[^\s\w-]")
_WORD = re.compile(r"[^\W\d_]+")
_FOLLOWING = re.compile(
    r"(?P<gap>[ \t]{0,3}(?:\n[ \t]{0,8}(?=[^\W\d_]))?|-)"
    r"(?:(?P<word>[^\W\d_]+)|(?P<number>\d{1,4}(?:[.,:]\d{1,2})?(?![\d.,]*\d))|(?P<sign>[^\w\s-]))"
)
_GOES_ON = re.compile(r"\.(?:[ \t]{0,3}[a-zà-ÿ\d(]|[ \t]*[,:;)=|])")
_MOST_ALIKE = 12
_MEMORY = 30_000
"""Words that a node remembers before it starts anew."""


class Found(NamedTuple):
    """A phrase at ``start:end``; ``numbers`` are the places of its ``#``, ``has_stop`` says that it ends with a full stop."""

    start: int
    end: int
    english: str
    numbers: tuple[tuple[int, int], ...] = ()
    has_stop: bool = False


Endings = tuple[tuple[str, str], ...]
"""(ending, what the basic form has in its place), the longest first."""
_SHORTEST_BASE = 4
"""Letters of a basic form that an ending leaves; shorter words are too often other words."""


class _Node:
    __slots__ = ("endings", "english", "following", "memory", "stems")

    def __init__(self, endings: Endings) -> None:
        self.endings = endings
        self.english: str | None = None
        self.following: dict[str, _Node] = {}
        self.stems: dict[str, list[tuple[re.Pattern[str], _Node]]] = {}
        self.memory: dict[str, tuple[_Node, ...]] = {}

    def child(self, token: str) -> _Node:
        node = self.following.get(token)
        if node is None:
            node = self.following[token] = _Node(self.endings)
            if "*" in token:
                pattern = re.compile(re.escape(token).replace(r"\*", r"[^\W\d_]*"))
                self.stems.setdefault(_stem_key(token), []).append((pattern, node))
        return node

    def after(self, word: str) -> tuple[_Node, ...]:
        """The nodes that ``word`` leads to, the word itself before stems."""
        known = self.memory.get(word)
        if known is None:
            if len(self.memory) > _MEMORY:
                self.memory.clear()
            known = self.memory[word] = tuple(self._search(word))
        return known

    def _search(self, word: str) -> Iterator[_Node]:
        is_whole = False
        for node in self._as_written(word):
            is_whole |= node.english is not None
            yield node
        for ending, base in () if is_whole or len(word) <= _SHORTEST_BASE else self.endings:
            if word.endswith(ending) and len(word) - len(ending) + len(base) >= _SHORTEST_BASE:
                basic = self.following.get(word[: len(word) - len(ending)] + base)
                if basic is not None:
                    yield basic

    def _as_written(self, word: str) -> Iterator[_Node]:
        if word in self.following:
            yield self.following[word]
        for key in {"", word[:1], word[:2]}:
            for pattern, node in self.stems.get(key, ()):
                if pattern.fullmatch(word):
                    yield node


def _stem_key(token: str) -> str:
    return token.partition("*")[0][:2]


class Phrasebook:
    """Phrases of one language and the English words that each stands for."""

    def __init__(self, phrases: Iterable[tuple[str, str]], endings: Endings = ()) -> None:
        """``phrases``: (phrase, English) pairs; the first of two equal phrases counts. A word with one of ``endings`` is its basic form."""
        self._root = _Node(endings)
        self.words: set[str] = set()
        """Every single word of the phrases, stems with their ``*``."""
        self.english_words: set[str] = set()
        for phrase, english in phrases:
            self.english_words.update(_WORD.findall(english.lower()))
            for plain in _spelt_out(phrase.lower()):
                self._add(plain, english)
        self._single = sorted(word for word, node in self._root.following.items() if node.english is not None and "*" not in word)

    def _add(self, phrase: str, english: str) -> None:
        tokens = _TOKEN.findall(phrase)
        if not tokens or not (tokens[0][0].isalpha() or tokens[0][0] == "*"):
            msg = f"a phrase begins with a letter, got {phrase!r} for {english!r}"
            raise ValueError(msg)
        node = self._root
        for token in tokens:
            node = node.child(token)
            if token[0].isalpha() or "*" in token:
                self.words.add(token)
        node.english = english if node.english is None else node.english

    def opens_with(self, word: str) -> tuple[_Node, ...]:
        """What a phrase may go on with after ``word``; empty where no phrase begins so."""
        return self._root.after(word)

    def abbreviated(self, lower: str, start: int, end: int, stop: int) -> Found | None:
        """A word cut short by a full stop ("samenblaseninfiltr."), where all words that begin so mean the same and the sentence goes on."""
        if not _GOES_ON.match(lower, end, stop):
            return None
        word = lower[start:end]
        first = bisect_left(self._single, word)
        meant = set()
        for index in range(first, min(first + _MOST_ALIKE, len(self._single))):
            if not self._single[index].startswith(word):
                break
            meant.add(self._root.following[self._single[index]].english)
        return Found(start, end + 1, str(meant.pop()), (), True) if len(meant) == 1 else None

    def longest(self, lower: str, start: int, end: int, stop: int) -> Found | None:
        """The longest phrase that begins with the word ``lower[start:end]`` and ends before ``stop``."""
        nodes = self._root.after(lower[start:end])
        if len(nodes) == 1 and not nodes[0].following:
            return Found(start, end, nodes[0].english or "")
        best: Found | None = None
        waiting: list[_Step] = [(node, end, (), False) for node in nodes]
        while waiting:
            node, reached, numbers, has_stop = step = waiting.pop()
            if node.english is not None and (best is None or reached > best.end):
                best = Found(start, reached, node.english, numbers, has_stop)
            if node.following:
                waiting += _steps(step, lower, stop)
        return best


_Step = tuple[_Node, int, tuple[tuple[int, int], ...], bool]
"""A node, how far the text is read, the numbers on the way, whether a full stop was last."""


def _steps(step: _Step, lower: str, stop: int) -> Iterator[_Step]:
    node, reached, numbers, has_stop = step
    full_stop = node.following.get(".")
    if full_stop is not None:
        yield full_stop, reached, numbers, has_stop
    match = _FOLLOWING.match(lower, reached, stop)
    if match is None:
        return
    kind, end = match.lastgroup, match.end()
    if kind == "word":
        if match["gap"] or not lower[reached - 1].isalpha():
            for following in node.after(match["word"]):
                yield following, end, numbers, False
    elif kind == "number":
        if "#" in node.following:
            yield node.following["#"], end, (*numbers, match.span("number")), False
        if match["number"] in node.following:
            yield node.following[match["number"]], end, numbers, False
    elif match["sign"] in node.following and match["gap"] != "-" and not (match["sign"] == "." and match["gap"]):
        yield node.following[match["sign"]], end, numbers, match["sign"] == "."


def word_ranges(lower: str, start: int, stop: int) -> Iterator[re.Match[str]]:
    """The words of ``lower[start:stop]``, letters only."""
    return _WORD.finditer(lower, start, stop)


def is_known_word(word: str, words: Mapping[str, object] | set[str], stems: Mapping[str, tuple[re.Pattern[str], ...]]) -> bool:
    """Whether a word is among ``words`` or fits one of ``stems`` (see ``stems_of``)."""
    if word in words:
        return True
    return any(pattern.fullmatch(word) for key in {"", word[:1], word[:2]} for pattern in stems.get(key, ()))


def stems_of(words: Iterable[str]) -> Mapping[str, tuple[re.Pattern[str], ...]]:
    """The stems (words with ``*``) by their first letters, as patterns."""
    found: dict[str, tuple[re.Pattern[str], ...]] = {}
    for word in words:
        if "*" in word and len(word) > 4:
            pattern = re.compile(re.escape(word).replace(r"\*", r"[^\W\d_]*"))
            found[_stem_key(word)] = (*found.get(_stem_key(word), ()), pattern)
    return found


@lru_cache(maxsize=1024)
def _spelt_out(phrase: str) -> tuple[str, ...]:
    """A phrase with brackets as the plain phrases that it stands for.

    >>> _spelt_out("links[seitig[e|er]]")
    ('links', 'linksseitig', 'linksseitige', 'linksseitiger')
    """
    plain, position = _sequence(phrase, 0)
    if position != len(phrase):
        msg = f"brackets do not pair in {phrase!r}"
        raise ValueError(msg)
    return tuple(dict.fromkeys(plain))


def _sequence(phrase: str, position: int) -> tuple[list[str], int]:
    """The choices ``a|b|c`` from ``position`` up to the closing bracket or the end."""
    choices: list[str] = []
    parts: list[list[str]] = []
    while position < len(phrase) and phrase[position] not in ")]":
        sign = phrase[position]
        if sign == "|":
            choices += map("".join, itertools.product(*parts))
            parts, position = [], position + 1
        elif sign in "([":
            inner, closing = _sequence(phrase, position + 1)
            if phrase[closing : closing + 1] != {"(": ")", "[": "]"}[sign]:
                msg = f"brackets do not pair in {phrase!r}"
                raise ValueError(msg)
            parts.append(["", *inner] if sign == "[" else inner)
            position = closing + 1
        else:
            parts.append([sign])
            position += 1
    choices += map("".join, itertools.product(*parts))
    return choices, position
