"""Near-duplicates by perceptual hash: pairs that count, and looks so common that likeness means nothing."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.curation.keys import Integers, components
from weakbox.imaging.perceptual_hash import hamming, near_pairs
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow

COSINE_DISTANCE = 10
"""Bits in which the cosine hashes of near-duplicates may differ."""
DETAIL_DISTANCE = 17
"""Bits of 256 in which the detail hashes may differ: copies of phantoms differ in at most 15, other images of one outline in 21 or more."""
DETAIL_WORDS = 4
_HASH = re.compile(r"(?:[0-9a-fA-F]{16}){1,2}|[0-9a-fA-F]{96}")
LIMIT_ATTRIBUTE = "near_duplicate_distance"
"""Attribute of a row whose look is common: the distance up to which its near-duplicates count, -1 for none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearDuplicates:
    """Pairs of rows and the bits in which they differ. ``limits`` is the distance that counts for each row that was searched."""

    first: Integers
    second: Integers
    distance: Integers
    rows: Integers
    limits: Integers
    searched_to: int

    def lowered(self) -> list[tuple[int, int]]:
        """Rows whose look is common, and the distance that counts for them; sorted."""
        places = np.flatnonzero(self.limits < self.searched_to)
        return sorted(zip(self.rows[places].tolist(), self.limits[places].tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """Perceptual hashes of some rows. Where both of a pair have a cosine hash it must agree as a second opinion, and so a detail hash."""

    rows: Integers
    families: Integers
    """Only images of one family (organ) are compared."""
    difference: NDArray[np.uint64]
    cosine: NDArray[np.uint64]
    has_cosine: NDArray[np.bool_]
    detail: NDArray[np.uint64]
    """(rows, 4): 256 bits each."""
    has_detail: NDArray[np.bool_]

    def take(self, places: NDArray[Any]) -> Looks:
        """Some of them."""
        return Looks(**{name: getattr(self, name)[places] for name in self.__slots__})

    def in_order(self) -> Looks:
        """Sorted by family and hashes, then row."""
        return self.take(np.lexsort((self.rows, *self.detail.T, self.has_cosine, self.cosine, self.difference, self.families)))


class LookReader:
    """Reads perceptual hashes off rows."""

    def __init__(self) -> None:
        self._rows, self._families = array("q"), array("q")
        self._difference, self._cosine = array("Q"), array("Q")
        self._has_cosine = bytearray()
        self._detail = array("Q")
        self._has_detail = bytearray()
        self._known: dict[str, int] = {}

    def add(self, number: int, row: ImageRow) -> None:
        """Read a row's hash, where it has one.

        Raises:
            InputError: it is not 16, 32 or 96 hexadecimal digits.
        """
        if row.perceptual_hash is None:
            return
        difference, cosine, detail = _hash_bits(row.image_id, row.perceptual_hash)
        self._rows.append(number)
        self._families.append(self._known.setdefault(row.organ, len(self._known)))
        self._difference.append(difference)
        self._cosine.append(cosine or 0)
        self._has_cosine.append(cosine is not None)
        self._detail.extend(detail or (0,) * DETAIL_WORDS)
        self._has_detail.append(bool(detail))

    def looks(self, rank: Integers | None = None) -> Looks:
        """What was read. ``rank`` renumbers rows: row ``r`` is called ``rank[r]``."""
        rows = np.array(self._rows, np.int64)
        return Looks(
            rows=rows if rank is None else rank[rows],
            families=_by_name(self._known)[np.array(self._families, np.int64)],
            difference=np.array(self._difference, np.uint64),
            cosine=np.array(self._cosine, np.uint64),
            has_cosine=np.frombuffer(bytes(self._has_cosine), np.bool_),
            detail=np.array(self._detail, np.uint64).reshape(-1, DETAIL_WORDS),
            has_detail=np.frombuffer(bytes(self._has_detail), np.bool_),
        )


def _by_name(known: Mapping[str, int]) -> Integers:
    """Codes given in the order of arrival, as places in the order of names: nothing depends on the order of rows."""
    places = {name: place for place, name in enumerate(sorted(known))}
    return np.array([places[name] for name in known], np.int64)


def _hash_bits(image_id: str, digits: str) -> tuple[int, int | None, tuple[int, ...]]:
    """Difference, cosine (from 32 digits on) and detail hash (96 digits)."""
    if not _HASH.fullmatch(digits):
        expected = "expected 16 (difference), 32 (and cosine) or 96 (and detail) hexadecimal digits"
        msg = f"{image_id}: perceptual_hash is {digits!r}, {expected}"
        raise InputError(msg)
    words = [int(digits[start : start + 16], 16) for start in range(0, len(digits), 16)]
    return words[0], words[1] if len(words) > 1 else None, tuple(words[2:])


def find_near_duplicates(looks: Looks, distance: int, largest_cluster: int) -> NearDuplicates:
    """Pairs of rows of one family whose difference hashes differ in at most ``distance`` bits and whose cosine hashes agree.

    Where likeness chains more than ``largest_cluster`` images together, the distance is lowered for these images until it
    no longer does: a pair counts where it lies within the limits of both. Images of one hash are chained, not paired each
    with each.
    """
    looks = looks.in_order()
    first, second, bits = near_places(looks, distance)
    limits = np.full(len(looks.rows), distance, np.int64)
    while True:
        counts = bits <= np.minimum(limits[first], limits[second])
        component = components(len(limits), [(first[counts], second[counts])])
        too_many = (np.bincount(component, minlength=1)[component] > largest_cluster) & (limits >= 0)
        if not too_many.any():
            break
        limits[too_many] -= 1
    first, second, bits = first[counts], second[counts], bits[counts]
    return NearDuplicates(
        first=looks.rows[first], second=looks.rows[second], distance=bits, rows=looks.rows, limits=limits, searched_to=distance
    )


def near_places(looks: Looks, distance: int) -> tuple[Integers, Integers, Integers]:
    """Pairs as places in ``looks``, which are in order, and their bits: the first images of equal hashes with each other, and
    each further image of a hash with the one before it. None for a negative distance."""
    if distance < 0:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing
    same = np.ones(len(looks.rows), bool)
    for column in (looks.families, looks.difference, looks.cosine, looks.has_cosine, *looks.detail.T, looks.has_detail):
        same[1:] &= column[1:] == column[:-1]
    same[:1] = False
    followers, leaders = np.flatnonzero(same), np.flatnonzero(~same)
    found = [np.stack([followers - 1, followers], axis=1)]
    for family in np.unique(looks.families):
        members = leaders[looks.families[leaders] == family]
        some = looks.take(members)

        def agree(one: Integers, other: Integers, some: Looks = some) -> NDArray[np.bool_]:
            near = hamming(some.cosine[one], some.cosine[other]) <= COSINE_DISTANCE
            near |= ~(some.has_cosine[one] & some.has_cosine[other])
            alike = hamming(some.detail[one], some.detail[other]).sum(axis=-1) <= DETAIL_DISTANCE
            return np.asarray(near & (alike | ~(some.has_detail[one] & some.has_detail[other])), bool)

        found.append(members[near_pairs(some.difference, distance, confirm=agree)])
    first, second = np.concatenate(found).T
    return first, second, hamming(looks.difference[first], looks.difference[second])
