"""A value with the stretch of normalised text that states it, before it becomes a record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from weakbox.records.stated import FieldValue

TextRange = tuple[int, int]

_LOWERED = 0.6
"""Factor on the confidence of a value that something speaks against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One field's value; ``flags`` are codes that a person should see (``range``, ``conflict`` ...)."""

    value: FieldValue
    spans: tuple[TextRange, ...]
    confidence: float = 0.97
    rule: str = ""
    flags: tuple[str, ...] = ()

    @property
    def number(self) -> float:
        """The value of a counted or measured field.

        Raises:
            TypeError: the field holds no number.
        """
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            msg = f"expected a number, got {type(self.value).__name__}"
            raise TypeError(msg)
        return self.value

    def flagged(self, *codes: str) -> Fact:
        """The same fact with more flags and less confidence."""
        return replace(self, flags=tuple(dict.fromkeys((*self.flags, *codes))), confidence=self.confidence * _LOWERED)


Facts = dict[str, Fact]
"""Facts by field name; a missing name is *not stated*."""


def blank(text: str, ranges: Iterable[TextRange]) -> str:
    """``text`` with the ranges made spaces, so that offsets stay.

    The middle of a long stretch is filled with dots: patterns that skip blanks would take quadratic time on it.
    """
    pieces: list[str] = []
    reached = 0
    for start, end in _merged(ranges):
        pieces += (text[reached:start], _filling(end - start))
        reached = end
    return "".join((*pieces, text[reached:])) if pieces else text


_LONGEST_BLANK = 400


def _filling(length: int) -> str:
    edge = _LONGEST_BLANK // 2
    return " " * length if length <= _LONGEST_BLANK else " " * edge + "\u00b7" * (length - 2 * edge) + " " * edge


def _merged(ranges: Iterable[TextRange]) -> list[TextRange]:
    """The ranges in order, those that touch made one."""
    merged: list[TextRange] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@lru_cache(maxsize=4)
def lower_case(text: str) -> str:
    """The text in lower case with every character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def holds(text: str, words: Iterable[str], start: int, end: int) -> bool:
    """Whether ``text[start:end]`` holds one of the lower-case ``words``, in whatever case: cheap beside a search for a pattern."""
    lower = lower_case(text)
    for word in words:  # noqa: SIM110 - a generator costs more than the search itself
        if lower.find(word, start, end) >= 0:
            return True
    return False


def combine(better: Facts, worse: Facts, *, conflict: str = "conflict") -> Facts:
    """``better`` filled up from ``worse``; a field in which they differ keeps the better value, flagged."""
    merged = dict(better)
    for name, fact in worse.items():
        kept = merged.get(name)
        if kept is None:
            merged[name] = fact
        elif kept.value != fact.value and conflict not in kept.flags:
            merged[name] = kept.flagged(conflict)
    return merged
