"""A lesion while it is being read: values with their words, and how well two drafts agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from weakbox.extractors.grammar.radiology_units import Role
from weakbox.records.stated import FieldValue
from weakbox.text.locations import Location

Words = tuple[tuple[int, int], ...]
"""Stretches of the normalised text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A value as one place of the text states it."""

    value: FieldValue
    words: Words
    rule: str
    confidence: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamReading:
    """A value of the exam and the flags that go with it; ``candidate`` is None where only a flag remains."""

    candidate: Candidate | None = None
    flags: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Draft:
    """A lesion being read; values are filled, not overwritten, unless an addendum says so."""

    role: Role
    section: int
    start: int
    sentence: int
    values: dict[str, Candidate] = field(default_factory=dict)
    label: Candidate | None = None
    is_suspicious: bool = False
    is_benign: bool = False
    is_diffuse: bool = False
    is_lesion_word: bool = False
    is_anchor: bool = False
    flags: list[tuple[str, str]] = field(default_factory=list)
    """Field (or "") and code."""

    @property
    def is_scored(self) -> bool:
        return "pirads" in self.values or "likert" in self.values

    @property
    def has_place(self) -> bool:
        return any(name in self.values for name in ("side", "zone", "levels"))

    def fill(self, name: str, candidate: Candidate | None) -> None:
        """Take a value where there is none yet."""
        if candidate is not None and name not in self.values:
            self.values[name] = candidate

    def get(self, name: str) -> FieldValue | None:
        candidate = self.values.get(name)
        return None if candidate is None else candidate.value


def location_candidates(location: Location, offset: int, *, rule: str, confidence: float) -> dict[str, Candidate]:
    """Side, zone, levels and positions of a location whose spans count from ``offset``."""
    if not location.spans:
        return {}
    values: Mapping[str, FieldValue | None] = {
        "side": location.side,
        "zone": location.zone,
        "levels": location.levels or None,
        "positions": location.positions or None,
    }
    return {
        name: Candidate(
            value=value, words=tuple((a + offset, b + offset) for a, b in location.spans[name]), rule=rule, confidence=confidence
        )
        for name, value in values.items()
        if value is not None
    }


_SAME_LABEL = 10.0
"""A label outweighs everything: what the sections say differently of "Lesion 1" is a conflict in one lesion."""


def agreement(left: Draft, right: Draft) -> float | None:
    """How much two drafts speak for one lesion; None where they cannot be one."""
    total = _label(left, right)
    if total is not None and total >= _SAME_LABEL:
        return total
    total = 0.0
    for compare in _COMPARISONS:
        points = compare(left, right)
        if points is None:
            return None
        total += points
    return total


def _label(left: Draft, right: Draft) -> float | None:
    if left.label is None or right.label is None:
        return 0.0
    first, second = str(left.label.value).upper(), str(right.label.value).upper()
    if first == second:
        return _SAME_LABEL
    return None if first.isdigit() == second.isdigit() else 0.0


def _side(left: Draft, right: Draft) -> float | None:
    first, second = left.get("side"), right.get("side")
    if first is None or second is None:
        return 0.0
    if first == second:
        return 3.0
    return None if {first, second} == {"left", "right"} else -1.0


_NEIGHBOURS = ({"TZ", "AFS"}, {"CZ", "PZ"}, {"CZ", "TZ"})


def _zone(left: Draft, right: Draft) -> float | None:
    first, second = left.get("zone"), right.get("zone")
    if first is None or second is None:
        return 0.0
    if first == second:
        return 1.5
    return -0.5 if {first, second} in _NEIGHBOURS else None


def _sets(name: str, points: float, otherwise: float | None) -> Callable[[Draft, Draft], float | None]:
    def compare(left: Draft, right: Draft) -> float | None:
        first, second = left.get(name), right.get(name)
        if not isinstance(first, tuple) or not isinstance(second, tuple):
            return 0.0
        return points if set(first) & set(second) else otherwise

    return compare


def _score(name: str) -> Callable[[Draft, Draft], float | None]:
    def compare(left: Draft, right: Draft) -> float | None:
        first, second = left.get(name), right.get(name)
        if first is None or second is None:
            return 0.0
        return 2.0 if first == second else -2.5

    return compare


def _size(left: Draft, right: Draft) -> float | None:
    first, second = largest(left), largest(right)
    if first is None or second is None:
        return 0.0
    difference = abs(first - second)
    return 2.5 if difference <= 1.0 else 0.0 if difference <= 3.0 else -1.5


def largest(draft: Draft) -> float | None:
    """The largest diameter in mm, or None."""
    sizes = draft.get("size_mm")
    return max(float(size) for size in sizes) if isinstance(sizes, tuple) else None


_COMPARISONS: tuple[Callable[[Draft, Draft], float | None], ...] = (
    _label,
    _side,
    _zone,
    _sets("levels", 1.5, None),
    _sets("positions", 0.5, -1.0),
    _score("pirads"),
    _score("likert"),
    _size,
)
