"""How far a run is: done, current, stale, and what each stage holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.small_store import small_store
from weakbox.audit.status import as_table, read_status
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.runtime.stage import StageOutput, StageTask, run_stage
from weakbox.runtime.store import READING, STAGES, Store


def pass_on(patient_id: str, records: Sequence[Any]) -> StageOutput:
    return StageOutput(records=[record for record in records if record.patient_id == patient_id])


def tasks(store: Store, threshold: str = "1") -> list[StageTask]:
    chain = zip(STAGES[1:], STAGES[:-1], strict=True)
    return [StageTask(stage=stage, store=store, upstream=(before,), function=pass_on, key_parts=(threshold,)) for stage, before in chain]


def states(store: Store, threshold: str = "1") -> dict[str, str]:
    return {status.stage: status.state for status in read_status(store, tasks(store, threshold))}


def test_nothing_has_run_in_a_new_folder(tmp_path: Path) -> None:
    statuses = read_status(Store(tmp_path, 2), tasks(Store(tmp_path, 2)))
    assert [status.stage for status in statuses] == list(STAGES)
    assert {status.state for status in statuses} == {"not run"}
    assert {status.bytes_on_disk for status in statuses} == {0}


def test_records_rows_and_sizes_are_counted(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    reading = read_status(store, tasks(store))[0]
    assert (reading.stage, reading.done, reading.records, reading.ledger_rows, reading.current) == (READING, 2, 5, 2, None)
    assert reading.bytes_on_disk == sum(path.stat().st_size for path in (tmp_path / READING).iterdir())


def test_a_stage_is_current_until_its_choices_change(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    run_stage(tasks(store)[0], LocalExecutor(workers=1))
    assert states(store)["preprocessing"] == "current"
    assert states(store, threshold="2")["preprocessing"] == "stale"
    stale = next(status for status in read_status(store, tasks(store, "2")) if status.stage == "preprocessing")
    assert (stale.current, stale.stale) == (0, 2)


def test_a_killed_stage_is_unfinished(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    store.manifest_path("matching", 1).unlink()
    assert states(store)["matching"] == "unfinished"
    assert states(store)["postprocessing"] == "done", "whether it is current cannot be told before matching is finished"


def test_the_table_shows_every_stage(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    console = Console(width=160)
    with console.capture() as capture:
        console.print(as_table(read_status(store, tasks(store))))
    assert all(stage in capture.get() for stage in STAGES)
