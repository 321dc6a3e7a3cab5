"""What the decisions need of each row, in columns: read in one pass, in any order, then sorted by ``image_id``."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from sys import intern

import numpy as np
from numpy.typing import NDArray

from weakbox.curation.keys import Integers, KeyColumn, Runs, short_digest
from weakbox.curation.near_duplicates import LookReader, Looks
from weakbox.curation.settings import Sameness
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.label import Tier

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
NO_PART = -1
NO_SERIES = 0
PATIENT, LESION, IMAGE = "patient:", "lesion:", "image:"

_CODED = ("dataset", "organ", "label", "diagnosis", "birads", "tier", "official_split")
_coded_values = attrgetter(*_CODED)
_TIERS = tuple(Tier)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """A column of few different words: ``codes`` index ``words``, -1 is None."""

    codes: Integers
    words: tuple[str, ...]

    def word(self, row: int) -> str | None:
        """The word of a row."""
        code = int(self.codes[row])
        return None if code < 0 else self.words[code]

    def ranks(self, order: Collection[str]) -> Integers:
        """The place of each row's word in ``order``; words that it does not name share the place after the last."""
        places = {word: place for place, word in enumerate(order)}
        by_code = np.array([places.get(word, len(places)) for word in self.words] + [len(places)], np.int64)
        return np.asarray(by_code[self.codes], np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowColumns:
    """Columns over the rows in the order of their ``image_id``."""

    image_ids: list[str]
    split_keys: list[str]
    """What names a row's group where nothing else does: its smallest patient, else lesion, else the image itself."""
    coded: dict[str, Coded]
    boxes: Integers
    series: NDArray[np.uint64]
    """Rows of one data set and series (crops of one image) share a number; ``NO_SERIES`` where none is named."""
    cases: NDArray[np.uint64]
    looks: Looks
    """Of the rows that have a perceptual hash."""
    groups: Runs
    same: dict[Sameness, Runs]
    listed: dict[str, list[int]]
    """Rows by the names that a list of duplicates gives."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.image_ids)

    def official(self) -> Integers:
        """Place of the official part in ``PARTS``; -1 where there is none."""
        place = self.coded["official_split"].ranks(PARTS)
        return np.where(place == len(PARTS), NO_PART, place)

    def tier_ranks(self) -> Integers:
        """0 is the best tier."""
        return self.coded["tier"].ranks(_TIERS)


class ColumnReader:
    """Reads columns off rows, one row at a time. ``listed_names`` are what a list of duplicates calls images."""

    def __init__(self, listed_names: Collection[str] = ()) -> None:
        self._listed_names = frozenset(listed_names)
        self._image_ids: list[str] = []
        self._split_keys: list[str] = []
        self._words: list[dict[str | None, int]] = [{None: -1} for _ in _CODED]
        self._codes = [array("q") for _ in _CODED]
        self._series, self._cases = array("Q"), array("Q")
        self._boxes = array("q")
        self._looks = LookReader()
        self._groups = KeyColumn()
        self._same = {kind: KeyColumn() for kind in (Sameness.IDENTIFIER, Sameness.PIXELS, Sameness.SOURCE, Sameness.EXPORTED)}
        self._listed: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, row: ImageRow) -> None:
        """Read one row.

        Raises:
            InputError: a value that no row may have (an unknown part, a hash that is none).
        """
        number = len(self._image_ids)
        self._image_ids.append(row.image_id)
        for word, known, codes in zip(_coded_values(row), self._words, self._codes, strict=True):
            codes.append(known.setdefault(word, len(known) - 1))
        self._series.append(short_digest(f"{row.dataset}\n{row.series_key}") if row.series_key else NO_SERIES)
        self._cases.append(short_digest(f"{row.dataset}\n{row.case_id}"))
        self._boxes.append(len(row.boxes))
        self._looks.add(number, row)
        keys = group_keys(row)
        self._split_keys.append(intern(keys[0] if len(keys) == 1 else min(keys, key=closeness, default=IMAGE + row.image_id)))
        for key in keys:
            self._groups.add(number, key)
        self._add_same(number, row)
        if row.official_split is not None and row.official_split not in PARTS:
            msg = f"{row.image_id}: official_split is {row.official_split!r}, expected one of {', '.join(PARTS)} or none"
            raise InputError(msg)

    def _add_same(self, number: int, row: ImageRow) -> None:
        for identifier in row.identifiers:
            self._same[Sameness.IDENTIFIER].add(number, identifier)
        hashes = ((Sameness.PIXELS, row.pixel_sha256), (Sameness.SOURCE, row.source_sha256), (Sameness.EXPORTED, row.sha256))
        for kind, sha256 in hashes:
            if sha256:
                self._same[kind].add(number, sha256)
        if self._listed_names:
            for name in self._listed_names.intersection((row.image_id, *row.identifiers)):
                self._listed[name].append(number)

    def columns(self) -> RowColumns:
        """The columns, rows sorted by ``image_id``.

        Raises:
            InputError: two rows of one ``image_id``.
        """
        order = np.array(sorted(range(len(self._image_ids)), key=self._image_ids.__getitem__), np.int64)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        image_ids = [self._image_ids[index] for index in order]
        _check_unique(image_ids)
        return RowColumns(
            image_ids=image_ids,
            split_keys=[self._split_keys[index] for index in order],
            coded={
                name: Coded(codes=np.frombuffer(codes, np.int64)[order], words=tuple(word for word in known if word is not None))
                for name, known, codes in zip(_CODED, self._words, self._codes, strict=True)
            },
            boxes=np.frombuffer(self._boxes, np.int64)[order],
            series=np.frombuffer(self._series, np.uint64)[order],
            cases=np.frombuffer(self._cases, np.uint64)[order],
            looks=self._looks.looks(rank),
            groups=self._groups.runs(rank),
            same={kind: column.runs(rank) for kind, column in self._same.items()},
            listed={name: sorted(int(rank[row]) for row in rows) for name, rows in self._listed.items()},
        )


def group_keys(row: ImageRow) -> tuple[str, ...]:
    """What no split may tear apart: the row's group ids, and its patient."""
    patient = f"{PATIENT}{row.patient_id}"
    return row.group_ids if not row.patient_id or patient in row.group_ids else (*row.group_ids, patient)


def closeness(key: str) -> tuple[int, str]:
    """Patients before lesions before anything else, then text order: a patient's new lesion must not rename the group."""
    return 0 if key.startswith(PATIENT) else 1 if key.startswith(LESION) else 2, key


def _check_unique(image_ids: list[str]) -> None:
    repeated = [one for one, other in pairwise(image_ids) if one == other]
    if repeated:
        msg = (
            f"{len(repeated)} image_ids come more than once, the first is {repeated[0]}; "
            "is one data set found in two folders? Name one of them in the configuration"
        )
        raise InputError(msg)
