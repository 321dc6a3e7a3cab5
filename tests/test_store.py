"""The store: shards by patient, whole files or none, ledger and flow beside the records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weakbox.records.biopsy import BiopsyTarget
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy
from weakbox.records.report import Report, ReportType
from weakbox.runtime.reading import read_into, spread
from weakbox.runtime.store import READING, ShardResult, Store, digest_of, shard_of, write_bytes


def study(patient: str, uid: str) -> ImagingStudy:
    return ImagingStudy(study_uid=uid, patient_id=patient)


def report(patient: str | None, identifier: str, text: str = "PI-RADS 4\r\nline\ttwo") -> Report:
    return Report(report_id=identifier, patient_id=patient, report_type=ReportType.RADIOLOGY, text=text)


def dropped(kind: str, item: str, reason: str, patient: str | None = None) -> LedgerEntry:
    return LedgerEntry(stage="preprocessing", kind=kind, item_id=item, outcome=Outcome.DROPPED, reason=reason, patient_id=patient)


def everything(store: Store, stage: str = READING) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((store.folder / stage).iterdir())}


def test_a_patient_stays_in_its_shard_whatever_else_is_in_the_cohort() -> None:
    assert shard_of("MRN-1", 32) == shard_of("MRN-1", 32)
    assert {shard_of(f"MRN-{n}", 8) for n in range(200)} == set(range(8))


def test_a_written_shard_reads_back_with_its_ledger_and_counts(tmp_path: Path) -> None:
    store = Store(tmp_path, 2)
    row = dropped("study", "9", "no_images")
    result = ShardResult(records=[study("A", "1"), study("B", "2")], ledger=(row,), counts={"left.study": 2, "entered.study": 3})
    manifest = store.write("preprocessing", 1, "key", result)
    assert list(store.read_all("preprocessing")) == [study("A", "1"), study("B", "2")]
    assert list(store.ledger(("preprocessing",))) == [row]
    assert store.counts("preprocessing") == {"entered.study": 3, "left.study": 2}
    assert (manifest.records, manifest.ledger_rows) == (2, 1)
    assert store.manifest("preprocessing", 1) == manifest
    assert store.digest("preprocessing", 1) == manifest.sha256


def test_a_shard_is_current_only_under_its_key_and_with_its_records(tmp_path: Path) -> None:
    store = Store(tmp_path, 1)
    assert not store.is_current("matching", 0, "k")
    store.write("matching", 0, "k", ShardResult(records=[]))
    assert store.is_current("matching", 0, "k")
    assert not store.is_current("matching", 0, "another")
    store.path("matching", 0).unlink()
    assert not store.is_current("matching", 0, "k")


def test_a_failed_write_leaves_no_manifest_behind(tmp_path: Path) -> None:
    store = Store(tmp_path, 1)
    store.write("matching", 0, "old", ShardResult(records=[study("A", "1")]))

    def breaks() -> object:
        yield study("A", "1")
        msg = "disk full"
        raise OSError(msg)

    with pytest.raises(OSError, match="disk full"):
        store.write("matching", 0, "old", ShardResult(records=breaks()))
    assert store.manifest("matching", 0) is None
    assert not store.is_current("matching", 0, "old")
    assert list(store.read("matching", 0)) == [study("A", "1")]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "a", 1), Store(tmp_path / "b", 1)
    for store in (first, second):
        store.write("export", 0, "k", ShardResult(records=[study("A", "1")], counts={"b": 1, "a": 2}))
    assert everything(first, "export") == everything(second, "export")


def test_a_damaged_manifest_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    store = Store(tmp_path, 1)
    store.write("matching", 0, "k", ShardResult(records=[]))
    store.manifest_path("matching", 0).write_text(json.dumps({"key": "k"}))
    with pytest.raises(InputError, match=r"matching/shard-0000\.manifest\.json.*delete the file"):
        store.manifest("matching", 0)


def test_a_stage_that_has_not_run_is_an_error_the_user_can_act_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stage matching has not finished shard 0"):
        Store(tmp_path, 1).digest("matching", 0)


def test_digest_depends_on_every_part_and_not_on_key_order() -> None:
    assert digest_of("a", {"x": 1, "y": 2}) == digest_of("a", {"y": 2, "x": 1})
    assert len({digest_of("a", 1), digest_of("a", 2), digest_of("a", "1"), digest_of("b", 1)}) == 4


def test_an_atomic_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "file.bin", b"1")
    write_bytes(tmp_path / "new" / "file.bin", b"2")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [("file.bin", b"2")]


def records_of_two_patients() -> list[object]:
    return [
        report("B", "r2"),
        study("A", "1"),
        dropped("file", "broken.csv:3", "no_patient"),
        BiopsyTarget(target_id="t", patient_id="B", label="1", position=(1.0, 2.0, 3.0)),
        report("A", "r1", 'a quote " and a return \r inside'),
        report(None, "r3"),
    ]


def test_reading_spreads_records_by_patient_and_adds_up(tmp_path: Path) -> None:
    store = Store(tmp_path, 3)
    spread(store, records_of_two_patients(), "key")
    for shard in range(3):
        patients = [record.patient_id or "" for record in store.read(READING, shard)]
        assert patients == sorted(patients)
        assert {shard_of(patient, 3) for patient in patients} <= {shard}
    assert sorted(type(record).__name__ for record in store.read_all(READING)) == [
        "BiopsyTarget",
        "ImagingStudy",
        "Report",
        "Report",
        "Report",
    ]
    assert store.counts(READING) == {
        "entered.file": 1, "entered.report": 3, "entered.study": 1, "entered.target": 1,
        "left.report": 3, "left.study": 1, "left.target": 1,
    }  # fmt: skip


def test_reading_gives_the_same_bytes_in_any_order_of_the_sources(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "a", 3), Store(tmp_path / "b", 3)
    spread(first, records_of_two_patients(), "key")
    spread(second, reversed(records_of_two_patients()), "key")
    assert everything(first) == everything(second)


def test_reading_keeps_an_identifier_with_control_characters_whole(tmp_path: Path) -> None:
    store = Store(tmp_path, 1)
    spread(store, [study("A\rB", "1"), study("A\tB", "2"), study("A\nB", "3")], "key")
    assert {record.patient_id for record in store.read_all(READING)} == {"A\rB", "A\tB", "A\nB"}


def read_table(store: Store, table: Path) -> tuple[int, list[object]]:
    calls: list[int] = []

    def read() -> list[object]:
        calls.append(1)
        return [study(line, f"1.{number}") for number, line in enumerate(table.read_text().split())]

    read_into(store, images=[], tables=[table], key_parts=("c",), read=read)
    return len(calls), list(store.read_all(READING))


def test_reading_runs_again_only_when_a_table_changes(tmp_path: Path) -> None:
    table, store = tmp_path / "patients.txt", Store(tmp_path / "store", 4)
    table.write_text("A B C")
    assert read_table(store, table)[0] == 1
    assert read_table(store, table)[0] == 0
    table.write_text("A B C D")
    runs, records = read_table(store, table)
    assert (runs, len(records)) == (1, 4)


def test_fewer_shards_lose_no_patient(tmp_path: Path) -> None:
    table = tmp_path / "patients.txt"
    table.write_text(" ".join(f"P{n}" for n in range(20)))
    read_table(Store(tmp_path / "store", 4), table)
    runs, records = read_table(Store(tmp_path / "store", 2), table)
    assert (runs, len(records)) == (1, 20)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv: no such file"):
        read_into(Store(tmp_path, 1), images=[], tables=[tmp_path / "absent.csv"], key_parts=(), read=list)
