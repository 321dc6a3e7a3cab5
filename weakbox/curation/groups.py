"""What hangs together: images that share a patient, a lesion or a look, directly or through others, and the name of such a group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weakbox.curation.columns import RowColumns, closeness
from weakbox.curation.duplicates import remark
from weakbox.curation.keys import Integers, Links, components
from weakbox.records.case import LedgerEntry, Outcome

NAME_DIGITS = 16
LARGE_GROUP_SHARE = 0.05
LARGE_GROUP_IMAGES = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """``number`` is each row's group, ``keys`` what each group is named (and divided) by."""

    number: Integers
    keys: list[str]

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.keys)

    def names(self) -> list[str]:
        """Name of each group in the manifest: a hash, so that it names no patient."""
        return [group_name(key) for key in self.keys]


def find_groups(columns: RowColumns, links: list[Links]) -> Groups:
    """Groups of rows: by shared group ids, and by ``links`` between duplicates.

    A group is named by its smallest patient key (text order), where it has none by its smallest lesion key, else by its
    smallest image. So a new image or lesion of a known patient renames nothing, and where new data ties groups together,
    the one with the smaller key keeps its name and its part.
    """
    number = components(columns.count, [columns.groups.links(), *links])
    keys: list[str | None] = [None] * (int(number.max(initial=-1)) + 1)
    for row, group in enumerate(number.tolist()):
        key, known = columns.split_keys[row], keys[group]
        if known is None or closeness(key) < closeness(known):
            keys[group] = key
    return Groups(number=number, keys=[key for key in keys if key is not None])


def group_ledger(groups: Groups, names: list[str]) -> Iterator[LedgerEntry]:
    """One entry a group that holds so much of the set that no division can be even: a wrong patient id, or chained likeness."""
    sizes = np.bincount(groups.number, minlength=groups.count)
    for group in np.flatnonzero(sizes > max(LARGE_GROUP_IMAGES, LARGE_GROUP_SHARE * len(groups.number))):
        detail = f"{sizes[group]} of {len(groups.number)} images hang together; is one patient id given to many?"
        yield remark(names[group], Outcome.FLAGGED, "large_group", detail, kind="group")


def group_name(key: str) -> str:
    """The name of a group in the manifest.

    >>> group_name("patient:isic_2020:IP_1")
    'bb60e96050da4c1c'
    """
    return hashlib.sha256(key.encode()).hexdigest()[:NAME_DIGITS]
