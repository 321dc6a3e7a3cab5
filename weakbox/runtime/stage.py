"""How one stage is run over the store: shard by shard, patient by patient, in bounded memory.

A stage gives one function: everything that earlier stages said of one patient goes in, a ``StageOutput`` comes out.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.runtime.executors.executor import Executor, ItemError
from weakbox.runtime.store import ShardManifest, ShardResult, Store, digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutput:
    """What a stage makes of one patient. ``entered`` and ``left`` count items by kind; the difference must be dropped rows."""

    records: Sequence[object] = ()
    ledger: Sequence[LedgerEntry] = ()
    entered: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)


PatientFunction = Callable[[str, Sequence[Any]], StageOutput]


def patient_of(record: Any) -> str:
    """The patient a record belongs to; unassigned reports sort under the empty string."""
    case = getattr(record, "case", None)
    return (record.patient_id if case is None else case.patient_id) or ""


def by_patient(streams: Iterable[Iterable[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Merge streams that are each sorted by patient; one patient in memory at a time."""
    merged = heapq.merge(*streams, key=patient_of)
    for patient_id, records in groupby(merged, key=patient_of):
        yield patient_id, list(records)


class FlowError(AssertionError):
    """The flow of a stage does not add up: something went in that neither came out nor is in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTask:
    """One stage over one shard; picklable, so that any executor can run it."""

    stage: str
    store: Store
    upstream: tuple[str, ...]
    function: PatientFunction
    key_parts: tuple[str, ...]
    output: Path | None = None
    """Folder of files that the records speak of; a shard whose files are gone is not current."""

    def key(self, shard: int) -> str:
        """What the shard's records depend on: its inputs' bytes, the configuration, the code."""
        return digest_of(self.stage, *self.key_parts, *(self.store.digest(name, shard) for name in self.upstream))

    def is_current(self, shard: int) -> bool:
        """Whether there is nothing to do for this shard."""
        return self.store.is_current(self.stage, shard, self.key(shard)) and (self.output is None or self._has_files(shard, self.output))

    def _has_files(self, shard: int, folder: Path) -> bool:
        return all((folder / artifact.path).is_file() for case in self.store.read(self.stage, shard) for artifact in case.artifacts)

    def __call__(self, shard: int) -> ShardManifest:
        """Run the stage on this shard and write it."""
        ledger: list[LedgerEntry] = []
        counts: Counter[str] = Counter()
        streams = [self.store.read(name, shard) for name in self.upstream]

        def records() -> Iterator[object]:
            for patient_id, group in by_patient(streams):
                output = self.function(patient_id, group)
                check_flow(self.stage, output)
                ledger.extend(output.ledger)
                counts.update({f"entered.{kind}": count for kind, count in output.entered.items()})
                counts.update({f"left.{kind}": count for kind, count in output.left.items()})
                for record in output.records:
                    check_patient(self.stage, patient_id, record)
                    yield record

        made = list(records())
        return self.store.write(self.stage, shard, self.key(shard), ShardResult(records=made, ledger=tuple(ledger), counts=counts))


def check_patient(stage: str, patient_id: str, record: object) -> None:
    """A stage keeps the patient: later stages merge the shards by it.

    Raises:
        FlowError: the record belongs to another patient than the one that went in.
    """
    if patient_of(record) != patient_id:
        msg = f"{stage}: a {type(record).__name__} came out under another patient than went in"
        raise FlowError(msg)


def check_flow(stage: str, output: StageOutput) -> None:
    """in = out + dropped, for every kind that the stage counts.

    Raises:
        FlowError: an item vanished or appeared from nowhere.
    """
    dropped = Counter(entry.kind for entry in output.ledger if entry.outcome is Outcome.DROPPED)
    for kind, entered in output.entered.items():
        left = output.left.get(kind, 0)
        if entered != left + dropped[kind]:
            msg = f"{stage}: {entered} {kind} went in, but {left} came out and {dropped[kind]} were dropped"
            raise FlowError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What running a stage came to."""

    stage: str
    shards_run: int
    shards_current: int
    seconds: float


def run_stage(task: StageTask, executor: Executor) -> StageRun:
    """Run a stage over every shard that is not current.

    Raises:
        InputError: a shard met input that cannot be used; the others are finished and kept.
    """
    started = time.perf_counter()
    stale = [shard for shard in range(task.store.shards) if not task.is_current(shard)]
    errors = [result for result in executor.map(task, stale, description=task.stage, total=len(stale)) if isinstance(result, ItemError)]
    for error in errors:
        raise_item_error(task.stage, error)
    return StageRun(
        stage=task.stage,
        shards_run=len(stale),
        shards_current=task.store.shards - len(stale),
        seconds=time.perf_counter() - started,
    )


def raise_item_error(stage: str, error: ItemError) -> None:
    """Raise what a worker met: for the user as it is, a programming error with the worker's traceback.

    Raises:
        InputError: the user can act on it.
        StageError: a defect of ours.
    """
    if error.is_input_error:
        raise InputError(error.message)
    raise StageError(f"stage {stage} failed with {error.error_type}: {error.message}\n{error.traceback}")


class StageError(RuntimeError):
    """A defect of ours in a stage, with the worker's traceback."""
