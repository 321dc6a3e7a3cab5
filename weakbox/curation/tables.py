"""What was decided, as tables for people: ``duplicates.csv`` and ``splits.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from weakbox.curation.columns import PARTS
from weakbox.curation.duplicates import DuplicatePair
from weakbox.curation.splitting import StratumShare
from weakbox.runtime.store import write_text

DUPLICATES_NAME, SPLITS_NAME = "duplicates.csv", "splits.csv"
_DUPLICATE_COLUMNS = ("kept", "duplicate", "outcome", "reason", "distance")
_SPLIT_COLUMNS = (
    "dataset",
    "label",
    "tier",
    *(f"images_{part}" for part in PARTS),
    *(f"groups_by_hash_{part}" for part in PARTS),
    *(f"expected_groups_{part}" for part in PARTS),
)


def write_duplicates(pairs: Iterable[DuplicatePair], folder: Path) -> Path:
    """Write ``duplicates.csv``: dropped copies first, then near-duplicates that only stay together. Returns its path."""
    return _write(folder / DUPLICATES_NAME, _DUPLICATE_COLUMNS, (_duplicate_row(pair) for pair in pairs))


def _duplicate_row(pair: DuplicatePair) -> list[object]:
    return [pair.kept, pair.duplicate, pair.outcome, pair.reason, "" if pair.distance is None else pair.distance]


def write_shares(shares: Iterable[StratumShare], folder: Path) -> Path:
    """Write ``splits.csv``: images and groups of each data set, class and tier in each part. Returns its path."""
    return _write(folder / SPLITS_NAME, _SPLIT_COLUMNS, _share_rows(shares))


def _share_rows(shares: Iterable[StratumShare]) -> Iterator[list[object]]:
    for share in shares:
        yield [share.dataset, share.label or "", share.tier, *share.images, *share.groups, *share.expected_groups]


def _write(path: Path, columns: Iterable[str], rows: Iterable[list[object]]) -> Path:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
    return path
