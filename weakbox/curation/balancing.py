"""Balance of classes in the training part: by weights, by showing rare images more often, or by thinning out frequent ones.

Validation and test images keep weight 1 and one copy. Images without a class take no part and keep both too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbox.curation.columns import PARTS, TRAIN, RowColumns
from weakbox.curation.keys import Integers
from weakbox.curation.settings import BalanceSettings
from weakbox.curation.splitting import Split, hash_share


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balance:
    """By row: the weight of its loss, and how often an epoch shows it."""

    weight: NDArray[np.float64]
    copies: Integers


Classes = dict[int, Integers]
"""Rows by the code of their class."""


def balance_training(columns: RowColumns, split: Split, settings: BalanceSettings, seed: int) -> Balance:
    """Weights and copies of every row, by the chosen mode."""
    balance = Balance(weight=np.ones(columns.count), copies=np.ones(columns.count, np.int64))
    modes: dict[str, Callable[[Classes], None]] = {
        "none": lambda classes: None,
        "weights": lambda classes: _weigh(classes, balance.weight),
        "oversample": lambda classes: _oversample(columns, classes, balance.copies, settings, seed),
        "undersample": lambda classes: _undersample(columns, classes, balance.copies, settings, seed),
    }
    for classes in _strata(columns, split, settings):
        modes[settings.mode](classes)
    return balance


def _strata(columns: RowColumns, split: Split, settings: BalanceSettings) -> Iterator[Classes]:
    label = columns.coded["label"].codes
    rows = np.flatnonzero((split.part == PARTS.index(TRAIN)) & (label >= 0))
    place = np.zeros(len(rows), np.int64) if settings.within == "set" else columns.coded[settings.within].codes[rows]
    for stratum in np.unique(place):
        members = rows[place == stratum]
        yield {int(code): members[label[members] == code] for code in np.unique(label[members])}


def _weigh(classes: Classes, weight: NDArray[np.float64]) -> None:
    """Inverse class frequency: each class weighs as much as any other, and the mean weight is 1."""
    total = sum(len(rows) for rows in classes.values())
    for rows in classes.values():
        weight[rows] = total / (len(classes) * len(rows))


def _oversample(columns: RowColumns, classes: Classes, copies: Integers, settings: BalanceSettings, seed: int) -> None:
    """Show rare classes until each has ``ratio`` of the most frequent one; the remainder of a division by hash."""
    aim = int(np.ceil(max(len(rows) for rows in classes.values()) * settings.ratio))
    for rows in classes.values():
        if len(rows) < aim:
            whole, rest = divmod(aim, len(rows))
            copies[rows] = whole
            copies[_by_hash(columns, rows, seed)[:rest]] += 1
            copies[rows] = np.minimum(copies[rows], settings.most_copies)


def _undersample(columns: RowColumns, classes: Classes, copies: Integers, settings: BalanceSettings, seed: int) -> None:
    """Leave out images of frequent classes, by hash, until the rarest has ``ratio`` of each."""
    most = int(np.floor(min(len(rows) for rows in classes.values()) / settings.ratio))
    for rows in classes.values():
        copies[_by_hash(columns, rows, seed)[most:]] = 0


def _by_hash(columns: RowColumns, rows: Integers, seed: int) -> Integers:
    share = np.array([hash_share(seed, "balance", columns.image_ids[row]) for row in rows])
    return np.asarray(rows[np.argsort(share, kind="stable")], np.int64)
