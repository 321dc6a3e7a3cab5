"""A breast finding while it is being read, and how well two of them agree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import Role
from weakbox.records.stated import FieldValue

_OFTEN_ONE = {
    frozenset(pair)
    for pair in (
        ("mass", "asymmetry"),
        ("mass", "architectural_distortion"),
        ("mass", "cyst"),
        ("mass", "focus"),
        ("mass", "lymph_node"),
        ("asymmetry", "architectural_distortion"),
        ("asymmetry", "cyst"),
        ("focus", "non_mass_enhancement"),
        ("asymmetry", "non_mass_enhancement"),
        ("calcifications", "non_mass_enhancement"),
        ("architectural_distortion", "non_mass_enhancement"),
        ("mass", "non_mass_enhancement"),
        ("asymmetry", "lymph_node"),
    )
}
"""Kinds that one lesion can have on two modalities."""
ENOUGH = 2.0
"""Agreement from which two mentions speak of one finding: a side and a kind are enough."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """A finding being read; values are filled, not overwritten, unless an addendum says so."""

    role: Role
    group: int
    start: int
    sentence: int
    paragraph: int
    modality: str | None = None
    values: dict[str, Candidate] = field(default_factory=dict)
    is_plural: bool = False
    is_definite: bool = False
    """ "The mass", "this nodule": it speaks of something already named."""
    is_generic: bool = False
    """ "Lesion", "abnormality": its kind is a guess."""
    is_linked: bool = False
    """ "Corresponding", "correlates with": it is what another modality shows."""
    is_disproved: bool = False
    is_titled: bool = False
    """Its clause begins with its bare noun, without an article."""
    order: int = 0
    """ "The first", "second mass": its number among findings counted before; 0 where it has none."""
    links_to: str | None = None
    """The kind that it says it corresponds to, where that kind stays the finding's."""
    carries_side: bool = False
    """The side was taken over from a sentence before."""
    flags: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> FieldValue | None:
        candidate = self.values.get(name)
        return None if candidate is None else candidate.value

    def fill(self, name: str, candidate: Candidate | None) -> None:
        """Take a value where there is none yet."""
        if candidate is not None and name not in self.values:
            self.values[name] = candidate

    @property
    def is_specific(self) -> bool:
        """Whether it says where or how large the finding is, more than its side."""
        return any(name in self.values for name in ("clock", "quadrant", "size_mm", "distance_from_nipple_mm", "finding_id"))


def quadrant_of(side: FieldValue | None, clock: FieldValue | None) -> frozenset[str]:
    """The quadrants that a clock position of a side can lie in; both on a border; none where either is not stated."""
    if side not in ("left", "right") or not isinstance(clock, (int, float)):
        return frozenset()
    hour = float(clock) % 12
    vertical = ("upper",) if hour > 9 or hour < 3 else ("lower",) if 3 < hour < 9 else ("upper", "lower")
    is_clockwise_half = ("outer",) if side == "left" else ("inner",)
    other_half = ("inner",) if side == "left" else ("outer",)
    horizontal = is_clockwise_half if 0 < hour < 6 else other_half if 6 < hour < 12 else ("inner", "outer")
    return frozenset(f"{up}_{out}" for up in vertical for out in horizontal)


def agreement(left: Draft, right: Draft) -> float | None:
    """How much two drafts speak for one finding; None where they cannot be one."""
    total = 1.0 if left.order and left.order == right.order else 0.0
    if left.order and right.order and left.order != right.order:
        return None
    for compare in (_labels, _sides, _kinds, _clocks, _quadrants, _distances, _sizes, _categories):
        points = compare(left, right)
        if points is None:
            return None
        total += points
    return total


def _labels(left: Draft, right: Draft) -> float | None:
    first, second = left.get("finding_id"), right.get("finding_id")
    if first is None or second is None:
        return 0.0
    if str(first).upper() != str(second).upper():
        return None
    return 5.0 if _kinds(left, right) is not None else None


def _sides(left: Draft, right: Draft) -> float | None:
    first, second = left.get("side"), right.get("side")
    if first is None or second is None:
        return 0.0
    if first == second:
        return 1.0
    if "bilateral" in (first, second) and (left.is_plural or right.is_plural):
        return 0.0
    return None


def _kinds(left: Draft, right: Draft) -> float | None:
    first, second = left.get("kind"), right.get("kind")
    if first is None or second is None:
        return 0.7
    if left.is_generic or right.is_generic:
        is_apart = (_is_axillary(left) and has_place(right)) or (_is_axillary(right) and has_place(left))
        return None if is_apart else 0.7
    if first == second:
        return 1.2
    if {first, second} == {"mass", "calcifications"} and (left.links_to or right.links_to):
        return 1.0
    if "lymph_node" in (first, second) and not (_is_placed(left) or _is_placed(right)):
        return None
    if frozenset((str(first), str(second))) in _OFTEN_ONE:
        return 0.6 if left.is_linked or right.is_linked or left.modality != right.modality else 0.2
    return 0.3 if left.is_linked or right.is_linked else None


def _is_axillary(draft: Draft) -> bool:
    return draft.get("kind") == "lymph_node" and not _is_placed(draft)


def _is_placed(draft: Draft) -> bool:
    """A node with a place in the breast may have been called a mass."""
    return draft.get("kind") == "lymph_node" and any(name in draft.values for name in ("clock", "quadrant", "distance_from_nipple_mm"))


def _clocks(left: Draft, right: Draft) -> float | None:
    first, second = left.get("clock"), right.get("clock")
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        apart = abs(first - second) % 12
        apart = min(apart, 12 - apart)
        if apart == 0:
            return 1.6
        return 0.5 if apart <= 1 and left.modality != right.modality else None
    side = left.get("side") or right.get("side")
    if side is None and (_could_lie_in(first, right) or _could_lie_in(second, left)):
        return 0.5
    for clock, quadrant in ((first, right.get("quadrant")), (second, left.get("quadrant"))):
        possible = quadrant_of(side, clock)
        if possible and isinstance(quadrant, str) and "_" in quadrant and quadrant != "axillary_tail":
            return 1.0 if quadrant in possible else None
    return 0.0


def _could_lie_in(clock: FieldValue | None, draft: Draft) -> bool:
    """Without a side, a clock position fits a quadrant of either breast."""
    quadrant = draft.get("quadrant")
    return quadrant in quadrant_of("left", clock) or quadrant in quadrant_of("right", clock)


def _quadrants(left: Draft, right: Draft) -> float | None:
    first, second = left.get("quadrant"), right.get("quadrant")
    if first is None or second is None:
        return 0.0
    if first == second:
        return 1.2
    return None if left.get("clock") is None or right.get("clock") is None else -0.5


def _distances(left: Draft, right: Draft) -> float | None:
    first, second = left.get("distance_from_nipple_mm"), right.get("distance_from_nipple_mm")
    if not isinstance(first, (int, float)) or not isinstance(second, (int, float)):
        return 0.0
    if abs(first - second) <= 5:
        return 0.8
    return 0.0 if left.modality != right.modality or abs(first - second) <= 15 else None


def _sizes(left: Draft, right: Draft) -> float | None:
    first, second = largest(left), largest(right)
    if first is None or second is None:
        return 0.0
    ratio = math.exp(abs(math.log(first / second)))
    if ratio <= 1.02:
        return 1.6
    if ratio <= 1.3:
        return 0.6
    if left.modality == right.modality or ratio > 2.5:
        return None
    return -0.4


def _categories(left: Draft, right: Draft) -> float | None:
    first, second = left.get("birads"), right.get("birads")
    return 0.0 if first is None or second is None else 0.5 if first == second else -0.6


def largest(draft: Draft) -> float | None:
    """The largest diameter in mm."""
    size = draft.get("size_mm")
    return max(float(str(value)) for value in size) if isinstance(size, tuple) and size else None


def has_place(draft: Draft) -> bool:
    """Whether it says at which clock position or in which quadrant it lies."""
    return "clock" in draft.values or "quadrant" in draft.values


def places_agree(known: Draft, draft: Draft) -> bool:
    """Where both say where they lie, on one modality, the places must match: the same clock or quadrant, or the one in the other."""
    if not (has_place(known) and has_place(draft)) or known.modality != draft.modality or draft.is_linked:
        return True
    if known.get("clock") is not None and known.get("clock") == draft.get("clock"):
        return True
    if known.get("quadrant") is not None and known.get("quadrant") == draft.get("quadrant"):
        return True
    side = known.get("side") or draft.get("side")
    return draft.get("quadrant") in quadrant_of(side, known.get("clock")) or known.get("quadrant") in quadrant_of(side, draft.get("clock"))


_KIND_RANK = {
    "asymmetry": 1,
    "focus": 1,
    "architectural_distortion": 2,
    "calcifications": 3,
    "non_mass_enhancement": 3,
    "mass": 3,
    "cyst": 4,
    "lymph_node": 4,
}


def absorb(known: Draft, own: Draft) -> None:
    """Take what another mention of the same finding adds: the more telling kind, the fuller size, what was not stated."""
    if own.links_to is not None and own.links_to == known.get("kind"):
        own.values.pop("kind", None)
        if "size_mm" in known.values:
            own.values.pop("size_mm", None)
    before, after = known.values.get("kind"), own.values.get("kind")
    if before is not None and after is not None and not own.is_generic:
        is_better = known.is_generic or _KIND_RANK[str(after.value)] > _KIND_RANK[str(before.value)]
        if is_better and (own.modality != known.modality or own.is_definite or own.is_linked or known.is_generic):
            known.values["kind"] = after
            known.is_generic = False
    size = own.values.get("size_mm")
    if size is not None:
        take_fuller_size(known, size)
    if known.carries_side and not own.carries_side and "side" in own.values:
        known.values["side"] = own.values["side"]
        known.carries_side = False
    score, later = known.values.get("birads"), own.values.get("birads")
    if score is not None and later is not None and score.value != later.value:
        known.flags.append(("birads", "conflict"))
        if own.role is Role.IMPRESSION or own.modality != known.modality:
            known.values["birads"] = later
    for name, candidate in own.values.items():
        known.fill(name, candidate)
    known.start = min(known.start, own.start)
    known.is_plural |= own.is_plural
    known.is_linked |= own.is_linked


def take_fuller_size(draft: Draft, size: Candidate) -> None:
    """Take a size of more dimensions, or the first one."""
    before = draft.values.get("size_mm")
    if before is None or (isinstance(before.value, tuple) and isinstance(size.value, tuple) and len(size.value) > len(before.value)):
        draft.values["size_mm"] = size
