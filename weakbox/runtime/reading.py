"""Spreads what the sources give over the shards of the store, one record at a time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.imaging import ImagingStudy
from weakbox.records.label import CuratedCase
from weakbox.records.report import Report
from weakbox.runtime.codec import decode, encode
from weakbox.runtime.digests import ContentDigests, stat_digest
from weakbox.runtime.stage import StageRun
from weakbox.runtime.store import READING, ShardResult, Store, digest_of, shard_of

KINDS: dict[type[object], str] = {
    Report: "report",
    ImagingStudy: "study",
    BiopsyTarget: "target",
    BiopsyCore: "core",
    Segmentation: "segmentation",
    CuratedCase: "case",
}
"""The kind under which the ledger and the flow count a record."""

LINES_IN_MEMORY = 20_000


def read_into(
    store: Store, *, images: Iterable[Path], tables: Iterable[Path], key_parts: tuple[str, ...], read: Callable[[], Iterable[Any]]
) -> StageRun:
    """Read the inputs unless all shards were made from the same ones. Images count by name, size and time, tables by content.

    Raises:
        InputError: an input is not there or cannot be read at all.
    """
    started = time.perf_counter()
    digests = ContentDigests(store.folder / "cache" / "input_digests.json")
    key = digest_of(READING, store.shards, *key_parts, stat_digest(images), [(str(path), digests.of(path)) for path in sorted(tables)])
    digests.save()
    current = all(store.is_current(READING, shard, key) for shard in range(store.shards))
    if not current:
        spread(store, read(), key)
    done = 0 if current else store.shards
    return StageRun(stage=READING, shards_run=done, shards_current=store.shards - done, seconds=time.perf_counter() - started)


class _Spill:
    """Lines of one shard on their way to disk; the patient first, so that a shard can be sorted without being parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        path.unlink(missing_ok=True)

    def flush(self) -> None:
        with self.path.open("ab") as file:
            file.writelines(self.lines)
        self.lines.clear()

    def sorted_records(self) -> Iterator[Any]:
        if not self.path.exists():
            return
        for line in sorted(self.path.read_bytes().removesuffix(b"\n").split(b"\n")):
            yield decode(line.partition(b"\t")[2])


def spread(store: Store, records: Iterable[Any], key: str) -> None:
    """Write every record to the shard of its patient, sorted; ledger rows beside them. Memory holds one shard at most."""
    folder = store.folder / READING
    folder.mkdir(parents=True, exist_ok=True)
    spills = [_Spill(folder / f"shard-{shard:04d}.spill") for shard in range(store.shards)]
    ledgers: list[list[LedgerEntry]] = [[] for _ in spills]
    pending = 0
    for record in records:
        shard = shard_of(record.patient_id or "", store.shards)
        if isinstance(record, LedgerEntry):
            ledgers[shard].append(record)
            continue
        patient = (record.patient_id or "").encode().replace(b"\t", b" ").replace(b"\n", b" ")
        spills[shard].lines.append(patient + b"\t" + encode(record) + b"\n")
        pending += 1
        if pending % LINES_IN_MEMORY == 0:
            _flush(spills)
    _flush(spills)
    for shard, (spill, ledger) in enumerate(zip(spills, ledgers, strict=True)):
        _write_shard(store, shard, key, spill, ledger)


def _flush(spills: Iterable[_Spill]) -> None:
    for spill in spills:
        if spill.lines:
            spill.flush()


def _write_shard(store: Store, shard: int, key: str, spill: _Spill, ledger: list[LedgerEntry]) -> None:
    counts: Counter[str] = Counter(f"entered.{entry.kind}" for entry in ledger if entry.outcome is Outcome.DROPPED)

    def counted() -> Iterator[Any]:
        for record in spill.sorted_records():
            kind = KINDS[type(record)]
            counts.update((f"entered.{kind}", f"left.{kind}"))
            yield record

    rows = tuple(sorted(ledger, key=lambda row: (row.kind, row.item_id, row.reason, row.detail)))
    made = list(counted())
    store.write(READING, shard, key, ShardResult(records=made, ledger=rows, counts=counts))
    spill.path.unlink(missing_ok=True)
