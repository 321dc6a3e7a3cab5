"""Running a stage over the store: only what is stale, patient by patient, with a flow that adds up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from weakbox.records.artifact import Artifact, ExportedCase
from weakbox.records.case import LedgerEntry, Outcome, PatientRecord
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.runtime.reading import spread
from weakbox.runtime.stage import FlowError, StageError, StageOutput, StageTask, by_patient, check_flow, run_stage
from weakbox.runtime.store import READING, Store

EXECUTOR = LocalExecutor(workers=1)
PATIENTS = tuple(f"P{number:02d}" for number in range(9))


def gather(patient_id: str, records: Sequence[Any]) -> StageOutput:
    record = PatientRecord(patient_id=patient_id, studies=tuple(records))
    return StageOutput(records=[record], entered={"study": len(records)}, left={"study": len(records)})


def drop_odd(patient_id: str, records: Sequence[Any]) -> StageOutput:
    kept = [record for record in records if int(record.study_uid) % 2 == 0]
    rows = [
        LedgerEntry(
            stage="preprocessing", kind="study", item_id=record.study_uid, outcome=Outcome.DROPPED, reason="odd", patient_id=patient_id
        )
        for record in records
        if record not in kept
    ]
    return StageOutput(records=kept, ledger=rows, entered={"study": len(records)}, left={"study": len(kept)})


def filled_store(folder: Path, shards: int = 4) -> Store:
    store = Store(folder, shards)
    spread(store, [ImagingStudy(study_uid=str(n), patient_id=PATIENTS[n % len(PATIENTS)]) for n in range(20)], "key")
    return store


def task(store: Store, function: Any, *key_parts: str, **changes: Any) -> StageTask:
    return StageTask(
        **{"stage": "preprocessing", "store": store, "upstream": (READING,), "function": function, "key_parts": key_parts} | changes
    )


def test_streams_sorted_by_patient_merge_into_one_group_a_patient() -> None:
    left = [ImagingStudy(study_uid=uid, patient_id=patient) for patient, uid in (("A", "1"), ("A", "2"), ("C", "3"))]
    right = [PatientRecord(patient_id="B"), PatientRecord(patient_id="C")]
    assert [(patient, len(group)) for patient, group in by_patient([left, right])] == [("A", 2), ("B", 1), ("C", 2)]


def test_every_patient_is_seen_once_and_the_counts_add_up(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    run = run_stage(task(store, gather), EXECUTOR)
    assert (run.shards_run, run.shards_current) == (4, 0)
    assert sorted(record.patient_id for record in store.read_all("preprocessing")) == list(PATIENTS)
    assert store.counts("preprocessing") == {"entered.study": 20, "left.study": 20}


def test_a_second_run_does_nothing_and_a_changed_choice_runs_again(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    assert run_stage(task(store, gather, "threshold=1"), EXECUTOR).shards_run == 4
    assert run_stage(task(store, gather, "threshold=1"), EXECUTOR).shards_run == 0
    assert run_stage(task(store, gather, "threshold=2"), EXECUTOR).shards_run == 4


def test_a_lost_shard_alone_is_made_again_with_the_same_bytes(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    run_stage(task(store, gather), EXECUTOR)
    before = store.path("preprocessing", 2).read_bytes()
    store.manifest_path("preprocessing", 2).unlink()
    run = run_stage(task(store, gather), EXECUTOR)
    assert (run.shards_run, store.path("preprocessing", 2).read_bytes()) == (1, before)


def test_one_new_study_makes_one_shard_stale(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    run_stage(task(store, gather), EXECUTOR)
    studies = [*store.read_all(READING), ImagingStudy(study_uid="99", patient_id="P00")]
    spread(store, studies, "new key")
    assert run_stage(task(store, gather), EXECUTOR).shards_run == 1


def test_dropped_items_are_in_the_ledger(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    run_stage(task(store, drop_odd), EXECUTOR)
    assert store.counts("preprocessing") == {"entered.study": 20, "left.study": 10}
    assert {row.item_id for row in store.ledger(("preprocessing",))} == {str(n) for n in range(1, 20, 2)}


def test_an_item_that_vanishes_stops_the_stage() -> None:
    with pytest.raises(FlowError, match="3 study went in, but 2 came out and 0 were dropped"):
        check_flow("matching", StageOutput(entered={"study": 3}, left={"study": 2}))


def test_an_item_that_appears_from_nowhere_stops_the_stage() -> None:
    with pytest.raises(FlowError, match="1 study went in, but 2 came out"):
        check_flow("matching", StageOutput(entered={"study": 1}, left={"study": 2}))


def rename_patient(patient_id: str, records: Sequence[Any]) -> StageOutput:
    return StageOutput(records=[PatientRecord(patient_id=f"other-{patient_id}")])


def test_a_record_under_another_patient_stops_the_stage_and_names_nobody(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="came out under another patient") as caught:
        run_stage(task(filled_store(tmp_path), rename_patient), EXECUTOR)
    assert "P0" not in str(caught.value).splitlines()[0]


def unusable_p03(patient_id: str, records: Sequence[Any]) -> StageOutput:
    if patient_id == "P03":
        msg = "table.csv row 4: expected a date"
        raise InputError(msg)
    return gather(patient_id, records)


def test_unusable_input_is_reported_and_the_other_shards_are_kept(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    with pytest.raises(InputError, match="row 4: expected a date"):
        run_stage(task(store, unusable_p03), EXECUTOR)
    finished = [shard for shard in range(4) if store.manifest("preprocessing", shard) is not None]
    assert len(finished) == 3
    assert run_stage(task(store, gather), EXECUTOR).shards_run == 1


def defective(patient_id: str, records: Sequence[Any]) -> StageOutput:
    return StageOutput(records=[records[99]])


def test_a_defect_of_ours_carries_the_workers_traceback(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="IndexError") as caught:
        run_stage(task(filled_store(tmp_path), defective), EXECUTOR)
    assert "in defective" in str(caught.value)


def export_one(patient_id: str, records: Sequence[Any]) -> StageOutput:
    artifact = Artifact(path=f"{patient_id}.txt", kind="text", role="demo", case_id=patient_id, sha256="0", bytes=1)
    identity = {"research_case_id": "S", "research_patient_id": "P", "date_shift_days": 0, "is_complete": True}
    return StageOutput(records=[ExportedCase(case_id=patient_id, patient_id=patient_id, artifacts=(artifact,), **identity)])


def test_a_shard_whose_files_are_gone_is_not_current(tmp_path: Path) -> None:
    store, output = filled_store(tmp_path / "store"), tmp_path / "dataset"
    output.mkdir()
    exporting = task(store, export_one, stage="export", output=output)
    run_stage(exporting, EXECUTOR)
    assert not any(exporting.is_current(shard) for shard in range(4) if list(store.read("export", shard)))
    for patient in PATIENTS:
        (output / f"{patient}.txt").write_text("x")
    assert all(exporting.is_current(shard) for shard in range(4))
