"""Training, validation and test part by a hash of each group's name, and the sets' own splits honoured.

A group's part depends on its name and the seed alone, so no other group can move it. (Any rule under which adding data
moves nobody is of this kind: a group's part among others equals its part on its own.) Hence the share of a stratum (data
set, class, tier) is the stated one in expectation, with the spread of a binomial draw over its groups; ``stratum_shares``
reports it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbox.curation.columns import NO_PART, PARTS, TEST, TRAIN, VALIDATION, RowColumns
from weakbox.curation.duplicates import Duplicates, remark
from weakbox.curation.groups import Groups
from weakbox.curation.keys import Integers
from weakbox.curation.settings import SplitSettings
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.record import record

_TRAIN, _VALIDATION, _TEST = (PARTS.index(part) for part in (TRAIN, VALIDATION, TEST))
NO_FOLD = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """``part`` is the place in ``PARTS`` of each row, -1 for rows that go into none; ``fold`` -1 outside training and validation."""

    part: Integers
    fold: Integers
    official: Integers
    """The official part that binds each row, -1 where none does."""
    earlier: Integers
    """The part that each row has in the earlier set, -1 where it is new."""
    is_by_hash: NDArray[np.bool_]
    """Of each group, whether its hash alone decided among all three parts."""
    pushed_out: NDArray[np.bool_]
    """Rows left out because their group reaches into another official part, or another part of the earlier set."""


def hash_share(seed: int, purpose: str, key: str) -> float:
    """A number in [0, 1) that depends on the three alone, even over keys.

    >>> 0 <= hash_share(0, "part", "patient:isic_2020:IP_1") < 1
    True
    """
    digest = hashlib.sha256(f"{seed}\n{purpose}\n{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def split_groups(columns: RowColumns, duplicates: Duplicates, groups: Groups, settings: SplitSettings, earlier: Mapping[str, str]) -> Split:
    """Divide the rows that stay.

    Official parts bind rows, and so do the parts of an ``earlier`` set (by ``image_id``); a copy that is dropped hands both on
    to the image that stays for it. A group with a row that is bound to test is test, else one with a row bound to validation
    is validation. Rows of such a group that are bound to another part go into no part at all: left where they are they would
    leak, moved they would change an official part, or bring into test what a model was trained on. Other rows follow their group.
    """
    official = _inherited(_binding(columns, settings), duplicates.kept_for)
    places = {part: place for place, part in enumerate(PARTS)}
    known = np.array([places[earlier[name]] if name in earlier else NO_PART for name in columns.image_ids], np.int64)
    known = _inherited(known, duplicates.kept_for)
    strictest, strictest_known = _strictest(official, groups), _strictest(known, groups)
    group_part = _group_parts(groups.keys, strictest, strictest_known, settings)
    part = group_part[groups.number]
    pushed_out = duplicates.stays & np.where(known >= 0, known != part, _leaves_official_part(official, part, strictest[groups.number]))
    part[~duplicates.stays | pushed_out] = NO_PART
    fold = _folds(groups.keys, settings)[groups.number]
    fold[(part == NO_PART) | (part == _TEST)] = NO_FOLD
    is_by_hash = (strictest < 0) & (strictest_known < 0)
    return Split(part=part, fold=fold, official=official, earlier=known, is_by_hash=is_by_hash, pushed_out=pushed_out)


def _leaves_official_part(official: Integers, part: Integers, strictest: Integers) -> NDArray[np.bool_]:
    """Rows that their group would take out of their official part; training may become validation unless that is official too."""
    to_validation = (official == _TRAIN) & (part == _VALIDATION) & (strictest == _TRAIN)
    return np.asarray((official >= 0) & (official != part) & ~to_validation, bool)


def _strictest(parts: Integers, groups: Groups) -> Integers:
    """Of each group the strictest of its rows' parts: test before validation before training before none."""
    strictest = np.full(groups.count, NO_PART, np.int64)
    np.maximum.at(strictest, groups.number, parts)
    return strictest


def _binding(columns: RowColumns, settings: SplitSettings) -> Integers:
    official = columns.official()
    datasets = columns.coded["dataset"]
    if settings.official == "never":
        official = np.full_like(official, NO_PART)
    elif settings.official == "complete":
        official = np.where(np.isin(datasets.codes, datasets.codes[official == _TEST]), official, NO_PART)
    held_out = [code for code, name in enumerate(datasets.words) if name in settings.hold_out]
    return np.where(np.isin(datasets.codes, held_out), _TEST, official)


def _inherited(official: Integers, kept_for: Integers) -> Integers:
    inherited = official.copy()
    dropped = np.flatnonzero(kept_for != NO_PART)
    np.maximum.at(inherited, kept_for[dropped], official[dropped])
    return inherited


def _group_parts(keys: list[str], strictest: Integers, strictest_known: Integers, settings: SplitSettings) -> Integers:
    share = np.array([hash_share(settings.seed, "part", key) for key in keys])
    # Of an official training part the same groups are validation as without one, and some of those that would be test.
    validation_end = np.where(strictest == _TRAIN, settings.validation / (1 - settings.test), settings.validation)
    by_hash = np.full(len(keys), _TRAIN, np.int64)
    by_hash[(share >= 1 - settings.test) & (strictest != _TRAIN)] = _TEST
    by_hash[share < validation_end] = _VALIDATION
    by_hash[strictest_known == _TRAIN] = _TRAIN
    bound = np.maximum(strictest, strictest_known)
    return np.where(bound > _TRAIN, bound, by_hash)


def _folds(keys: list[str], settings: SplitSettings) -> Integers:
    if settings.folds < 2:
        return np.full(len(keys), NO_FOLD, np.int64)
    return np.array([int(hash_share(settings.seed, "fold", key) * settings.folds) for key in keys], np.int64)


def split_ledger(columns: RowColumns, split: Split) -> Iterator[LedgerEntry]:
    """One entry an image that official parts push out, one a data set whose own split does not bind."""
    for row in np.flatnonzero(split.pushed_out).tolist():
        if split.earlier[row] >= 0:
            reason, detail = (
                "earlier_part_conflict",
                f"was in {PARTS[split.earlier[row]]}, but now hangs together with images of another part",
            )
        else:
            part = PARTS[split.official[row]]
            reason = "official_parts_conflict"
            detail = f"official {part}, but its patient, lesion or near-duplicates are in another official part"
        yield remark(columns.image_ids[row], Outcome.DROPPED, reason, detail)
    datasets, official = columns.coded["dataset"], columns.official()
    for code in sorted(range(len(datasets.words)), key=datasets.words.__getitem__):
        of_set = datasets.codes == code
        if np.any(of_set & (official >= 0)) and not np.any(of_set & (split.official >= 0)):
            detail = "its own split brings no test images here, so it is divided by hash (split.official: always honours it)"
            yield remark(datasets.words[code], Outcome.FLAGGED, "official_split_unused", detail, kind="dataset")


@record
class StratumShare:
    """How the groups of one stratum that were divided by hash fell. ``images`` counts all of the stratum's images."""

    dataset: str
    label: str | None
    tier: str
    groups: tuple[int, int, int]
    """Groups with an image of the stratum, divided by hash alone: training, validation, test."""
    expected_groups: tuple[float, float, float]
    images: tuple[int, int, int]
    """All images of the stratum: training, validation, test."""


def stratum_shares(columns: RowColumns, groups: Groups, split: Split, settings: SplitSettings) -> tuple[StratumShare, ...]:
    """Share of each data set, class and tier in each part."""
    names = ("dataset", "label", "tier")
    rows = np.flatnonzero(split.part != NO_PART)
    codes = np.stack([columns.coded[name].codes[rows] for name in names], axis=1)
    strata, stratum = np.unique(codes, axis=0, return_inverse=True)
    shares = []
    for place, key in enumerate(strata):
        members = rows[stratum.ravel() == place]
        dataset, label, tier = (columns.coded[name].words[code] if code >= 0 else None for name, code in zip(names, key, strict=True))
        of_hash = members[split.is_by_hash[groups.number[members]]]
        _, first = np.unique(groups.number[of_hash], return_index=True)
        counts = _counts(split.part[of_hash[first]])
        total, fractions = sum(counts), (1 - settings.validation - settings.test, settings.validation, settings.test)
        expected = tuple(round(total * fraction, 3) for fraction in fractions)
        shares.append(
            StratumShare(
                dataset=dataset or "",
                label=label,
                tier=tier or "",
                groups=counts,
                expected_groups=(expected[0], expected[1], expected[2]),
                images=_counts(split.part[members]),
            )
        )
    return tuple(sorted(shares, key=lambda share: (share.dataset, share.label or "", share.tier)))


def _counts(parts: Integers) -> tuple[int, int, int]:
    train, validation, test = np.bincount(parts, minlength=len(PARTS)).tolist()
    return train, validation, test
