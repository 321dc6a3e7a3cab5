"""From rows as they were converted to the set: duplicates, groups, parts, balance. Rows in any order, the same result in any order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Self

import numpy as np

from weakbox.curation.balancing import Balance, balance_training
from weakbox.curation.columns import NO_PART, PARTS, ColumnReader, RowColumns
from weakbox.curation.duplicates import DuplicatePair, Duplicates, duplicate_ledger, duplicate_pairs, find_duplicates, label_conflicts
from weakbox.curation.groups import Groups, find_groups, group_ledger
from weakbox.curation.near_duplicates import LIMIT_ATTRIBUTE
from weakbox.curation.settings import CurationSettings
from weakbox.curation.sorted_rows import ROW_FIELDS, Packed, SortedRows, unpacked
from weakbox.curation.splitting import NO_FOLD, Split, StratumShare, split_groups, split_ledger, stratum_shares
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.stated import FieldValue

CONFLICT_ATTRIBUTE = "duplicate_label_conflict"
"""Attribute of a row that stays: what its dropped copies state otherwise."""
_SPLIT, _FOLD, _WEIGHT, _COPIES, _GROUP, _DUPLICATE_OF, _ATTRIBUTES = map(
    ROW_FIELDS.index, ("split", "fold", "weight", "copies", "group", "duplicate_of", "attributes")
)


class RowStream:
    """Rows read from disk each time they are gone through."""

    def __init__(self, open_rows: Callable[[], Iterator[ImageRow]]) -> None:
        self._open_rows = open_rows

    def __iter__(self) -> Iterator[ImageRow]:
        return self._open_rows()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CuratedSet:
    """The set, by ``image_id``. A context manager: the rows lie in a temporary folder until it is closed."""

    rows: RowStream
    """What goes into the manifest, each with group, part, fold, weight and copies."""
    left_out: RowStream
    """Dropped copies (``duplicate_of``) and images that official parts push out; ``split`` is None."""
    ledger: tuple[LedgerEntry, ...]
    duplicates: tuple[DuplicatePair, ...]
    shares: tuple[StratumShare, ...]
    count: int
    left_out_count: int
    folder: tempfile.TemporaryDirectory[str]

    def close(self) -> None:
        """Remove the temporary folder."""
        self.folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decisions:
    """Everything decided, by row."""

    columns: RowColumns
    duplicates: Duplicates
    groups: Groups
    group_names: list[str]
    split: Split
    balance: Balance
    attributes: dict[int, dict[str, FieldValue]]

    def apply(self, kept: SortedRows, goes_in: bool) -> Iterator[ImageRow]:
        """The rows that go into the set, or the others."""
        part = self.split.part.tolist()
        for place, values in enumerate(kept.packed_rows()):
            if (part[place] != NO_PART) is goes_in:
                yield self._decided(place, values)

    def _decided(self, place: int, values: Packed) -> ImageRow:
        part, fold, instead = int(self.split.part[place]), int(self.split.fold[place]), int(self.duplicates.kept_for[place])
        values[_SPLIT] = None if part == NO_PART else PARTS[part]
        values[_FOLD] = None if fold == NO_FOLD else fold
        values[_WEIGHT] = float(self.balance.weight[place])
        values[_COPIES] = int(self.balance.copies[place])
        values[_GROUP] = self.group_names[self.groups.number[place]]
        values[_DUPLICATE_OF] = None if instead == NO_PART else self.columns.image_ids[instead]
        if place in self.attributes:
            values[_ATTRIBUTES] = values[_ATTRIBUTES] | self.attributes[place]
        return unpacked(values)


def curate(
    rows: Iterable[ImageRow],
    settings: CurationSettings,
    *,
    listed_duplicates: Sequence[tuple[str, str]] = (),
    earlier: Mapping[str, str] | None = None,
    workspace: Path | None = None,
) -> CuratedSet:
    """Make one set of the rows of all data sets.

    Args:
        rows: in any order; gone through once. Each ``image_id`` is unique.
        settings: the section ``curation``.
        listed_duplicates: pairs that sets ship (ISIC 2020), by ``image_id`` or identifier.
        earlier: part by ``image_id`` of an earlier build of this set (``earlier_parts``): no image of it changes its part,
            not even where new images tie patients of two parts together.
        workspace: where the temporary folder is made (as large as the rows); the system's place where not given.

    Raises:
        InputError: an ``image_id`` comes twice, or a row has a value that none may have.
    """
    folder = tempfile.TemporaryDirectory(prefix="curation_", dir=workspace)
    kept = SortedRows(Path(folder.name))
    columns = _read(rows, kept, {name for pair in listed_duplicates for name in pair})
    decisions, shares = _decide(columns, listed_duplicates, earlier or {}, settings)
    goes_in = int(np.count_nonzero(decisions.split.part != NO_PART))
    found = decisions.duplicates
    return CuratedSet(
        rows=RowStream(lambda: decisions.apply(kept, True)),
        left_out=RowStream(lambda: decisions.apply(kept, False)),
        ledger=(
            *duplicate_ledger(columns, found, label_conflicts(columns, found)),
            *group_ledger(decisions.groups, decisions.group_names),
            *split_ledger(columns, decisions.split),
        ),
        duplicates=tuple(duplicate_pairs(columns, found, settings.duplicates)),
        shares=shares,
        count=goes_in,
        left_out_count=columns.count - goes_in,
        folder=folder,
    )


def earlier_parts(rows: Iterable[ImageRow]) -> dict[str, str]:
    """Parts of an earlier build by ``image_id``, from its manifest.

    Raises:
        InputError: a part that no set has.
    """
    parts = {row.image_id: intern(row.split) for row in rows if row.split is not None}
    for image_id, part in parts.items():
        if part not in PARTS:
            msg = f"{image_id}: split is {part!r} in the earlier set, expected one of {', '.join(PARTS)} or none"
            raise InputError(msg)
    return parts


def _read(rows: Iterable[ImageRow], kept: SortedRows, listed_names: set[str]) -> RowColumns:
    reader = ColumnReader(listed_names)
    for row in rows:
        reader.add(row)
        kept.add(row)
    return reader.columns()


def _decide(
    columns: RowColumns, listed: Sequence[tuple[str, str]], earlier: Mapping[str, str], settings: CurationSettings
) -> tuple[_Decisions, tuple[StratumShare, ...]]:
    found = find_duplicates(columns, listed, settings.duplicates)
    groups = find_groups(columns, found.links)
    split = split_groups(columns, found, groups, settings.split, earlier)
    decisions = _Decisions(
        columns=columns,
        duplicates=found,
        groups=groups,
        group_names=groups.names(),
        split=split,
        balance=balance_training(columns, split, settings.balance, settings.split.seed),
        attributes=_attributes(columns, found),
    )
    return decisions, stratum_shares(columns, groups, split, settings.split)


def _attributes(columns: RowColumns, found: Duplicates) -> dict[int, dict[str, FieldValue]]:
    attributes: dict[int, dict[str, FieldValue]] = {}
    for row, texts in label_conflicts(columns, found).items():
        attributes.setdefault(row, {})[CONFLICT_ATTRIBUTE] = texts
    for row, limit in found.near.lowered():
        attributes.setdefault(row, {})[LIMIT_ATTRIBUTE] = limit
    return attributes
