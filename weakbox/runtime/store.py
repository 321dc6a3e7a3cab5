"""One folder a run: for each stage and shard one JSON Lines file of records, one of the ledger, and a manifest written last.

A shard's manifest names the key it was made under: the hash of its inputs, the stage's configuration and the code. The
same key means that there is nothing to do. Shards are chosen by a hash of the patient, so adding data never moves a
patient, and a kill costs at most the shards in flight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.runtime.codec import read_records, write_records

READING = "reading"
"""What the sources gave, before any decision; kept so that a changed decision reads nothing again."""

STAGES = (READING, "preprocessing", "extraction", "matching", "postprocessing", "export")


def digest_of(*parts: object) -> str:
    """SHA-256 over the JSON of the parts: the key of a stage.

    >>> digest_of("a", {"b": 1}) == digest_of("a", {"b": 1})
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def shard_of(patient_id: str, shards: int) -> int:
    """The shard of a patient: stable, whatever else is in the cohort."""
    return int(hashlib.sha256(patient_id.encode()).hexdigest()[:8], 16) % shards


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """What a stage made of one shard. ``counts`` are ``entered.<kind>`` and ``left.<kind>``: the flow of this shard."""

    records: Iterable[object]
    ledger: tuple[LedgerEntry, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardManifest:
    """What is on disk for one stage and shard."""

    key: str
    sha256: str
    records: int
    ledger_sha256: str
    ledger_rows: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Store:
    """The records of a run on disk; picklable, so that workers open the same folder."""

    folder: Path
    shards: int

    def path(self, stage: str, shard: int) -> Path:
        """The records of one shard of a stage."""
        return self.folder / stage / f"shard-{shard:04d}.jsonl"

    def ledger_path(self, stage: str, shard: int) -> Path:
        """The ledger rows of one shard of a stage."""
        return self.folder / stage / f"shard-{shard:04d}.ledger.jsonl"

    def manifest_path(self, stage: str, shard: int) -> Path:
        """The manifest of one shard of a stage; written last."""
        return self.folder / stage / f"shard-{shard:04d}.manifest.json"

    def manifest(self, stage: str, shard: int) -> ShardManifest | None:
        """The manifest of a shard, or None where the shard was never finished.

        Raises:
            InputError: the file is there but is no manifest of this version.
        """
        path = self.manifest_path(stage, shard)
        if not path.exists():
            return None
        try:
            return ShardManifest(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError):
            msg = f"{stage}/{path.name}: damaged, or written by another version; delete the file to have the shard run again"
            raise InputError(msg) from None

    def is_current(self, stage: str, shard: int, key: str) -> bool:
        """Whether the shard is on disk, whole, under this key."""
        manifest = self.manifest(stage, shard)
        return manifest is not None and manifest.key == key and self.path(stage, shard).exists()

    def write(self, stage: str, shard: int, key: str, result: ShardResult) -> ShardManifest:
        """Write records and ledger, then the manifest. A reader never sees a half-written shard."""
        (self.folder / stage).mkdir(parents=True, exist_ok=True)
        self.manifest_path(stage, shard).unlink(missing_ok=True)
        records, sha256 = write_records(self.path(stage, shard), result.records)
        rows, ledger_sha256 = write_records(self.ledger_path(stage, shard), result.ledger)
        manifest = ShardManifest(
            key=key,
            sha256=sha256,
            records=records,
            ledger_sha256=ledger_sha256,
            ledger_rows=rows,
            counts=dict(sorted(result.counts.items())),
        )
        write_text(self.manifest_path(stage, shard), json.dumps(_plain(manifest), indent=1) + "\n")
        return manifest

    def read(self, stage: str, shard: int, keep: Callable[[bytes], bool] | None = None) -> Iterator[Any]:
        """The records of one shard, one at a time."""
        return read_records(self.path(stage, shard), keep)

    def read_all(self, stage: str, keep: Callable[[bytes], bool] | None = None) -> Iterator[Any]:
        """The records of all shards of a stage, in shard order."""
        for shard in range(self.shards):
            if self.path(stage, shard).exists():
                yield from self.read(stage, shard, keep)

    def ledger(self, stages: Iterable[str] = STAGES) -> Iterator[LedgerEntry]:
        """Every ledger row, in stage and shard order."""
        for stage in stages:
            for shard in range(self.shards):
                path = self.ledger_path(stage, shard)
                if path.exists():
                    yield from read_records(path)

    def counts(self, stage: str) -> dict[str, int]:
        """The flow of a stage: ``entered.<kind>`` and ``left.<kind>`` summed over its shards."""
        total: dict[str, int] = {}
        for shard in range(self.shards):
            manifest = self.manifest(stage, shard)
            for name, count in manifest.counts.items() if manifest else ():
                total[name] = total.get(name, 0) + count
        return dict(sorted(total.items()))

    def digest(self, stage: str, shard: int) -> str:
        """SHA-256 of a finished shard's records; what a later stage's key rests on.

        Raises:
            InputError: the stage has not finished this shard.
        """
        manifest = self.manifest(stage, shard)
        if manifest is None:
            msg = f"stage {stage} has not finished shard {shard}; run it first (leave it out of --stages only once it has run)"
            raise InputError(msg)
        return manifest.sha256


def _plain(manifest: ShardManifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in ShardManifest.__slots__}


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
