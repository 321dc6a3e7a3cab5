"""The index of a folder tree: every file is in the table or in the ledger, and nothing unchanged is opened twice."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.mr_files import SerialExecutor, mr_dataset, save, uid, write_mr
from weakbox.imaging import dicom_index
from weakbox.imaging.dicom_index import DicomIndex, index_folder
from weakbox.records.case import Outcome
from weakbox.records.errors import InputError
from weakbox.runtime.executors.local import LocalExecutor


def index(root: Path, cache: Path) -> DicomIndex:
    return index_folder(root, SerialExecutor(), cache)


def reasons(found: DicomIndex) -> dict[str, str]:
    return {entry.item_id: entry.reason for entry in found.ledger}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for number in range(1, 6):
        write_mr(root / "patient" / "a" / f"IM_{number:04}", number)
    write_mr(root / "copy" / "again.dcm", 3)
    cut = write_mr(root / "patient" / "cut.dcm", 9)
    cut.write_bytes(cut.read_bytes()[:-5])
    (root / "notes.txt").write_text("not a scan")
    (root / "empty").touch()
    save(mr_dataset(20, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG"), root / "seg.dcm")
    directory = save(mr_dataset(21, SOPClassUID="1.2.840.10008.1.3.10"), root / "DICOMDIR")
    assert directory.is_file()
    return root


def test_every_file_is_in_the_table_or_in_the_ledger(tree: Path, tmp_path: Path) -> None:
    found = index(tree, tmp_path / "cache")
    in_table = set(found.table["path"].to_pylist())
    on_disk = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert in_table | set(reasons(found)) == on_disk
    assert not in_table & set(reasons(found))
    assert reasons(found) == {
        "patient/a/IM_0003": "duplicate_instance",
        "patient/cut.dcm": "truncated",
        "notes.txt": "not_dicom",
        "empty": "not_dicom",
        "seg.dcm": "not_image",
        "DICOMDIR": "index_file",
    }
    assert {(entry.stage, entry.kind, entry.outcome) for entry in found.ledger} == {("preprocessing", "file", Outcome.DROPPED)}


def test_a_second_index_opens_no_file_and_is_the_same(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = index(tree, tmp_path / "cache")

    def refuse(path: object) -> None:
        raise AssertionError(f"opened {path}")

    monkeypatch.setattr(dicom_index, "read_headers", refuse)
    second = index(tree, tmp_path / "cache")
    assert (first.opened, second.opened) == (11, 0)
    assert second.table.equals(first.table)
    assert second.ledger == first.ledger


def test_only_changed_and_new_files_are_opened_and_removed_ones_forgotten(tree: Path, tmp_path: Path) -> None:
    index(tree, tmp_path / "cache")
    write_mr(tree / "patient" / "a" / "IM_0001", 1, SeriesDescription="renamed protocol")
    write_mr(tree / "patient" / "new", 30)
    (tree / "patient" / "a" / "IM_0002").unlink()
    found = index(tree, tmp_path / "cache")
    assert found.opened == 2
    descriptions = dict(zip(found.table["path"].to_pylist(), found.table["description"].to_pylist(), strict=True))
    assert descriptions["patient/a/IM_0001"] == "renamed protocol"
    assert "patient/new" in descriptions
    assert "patient/a/IM_0002" not in descriptions
    assert found.table.equals(index(tree, tmp_path / "other_cache").table)


def test_a_cache_of_another_version_or_a_damaged_one_is_read_anew(tree: Path, tmp_path: Path) -> None:
    first = index(tree, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    table = pq.read_table(path).replace_schema_metadata({b"weakbox_index": b"older"})
    pq.write_table(table, path)
    assert index(tree, tmp_path / "cache").opened == first.opened
    path.write_bytes(b"damaged")
    assert index(tree, tmp_path / "cache").table.equals(first.table)


def test_archives_are_looked_into(tree: Path, tmp_path: Path) -> None:
    plain = index(tree, tmp_path / "cache")
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    with zipfile.ZipFile(zipped / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tree.rglob("*")):
            archive.write(path, path.relative_to(tree))
    found = index(zipped, tmp_path / "cache")
    assert found.table["path"].to_pylist() == [f"study.zip!{path}" for path in plain.table["path"].to_pylist()]
    names = [name for name in found.table.column_names if name not in ("path", "file", "size", "mtime_ns")]
    assert found.table.select(names).equals(plain.table.select(names))
    assert reasons(found) == {f"study.zip!{path}": reason for path, reason in reasons(plain).items()}
    assert index(zipped, tmp_path / "cache").opened == 0


def test_a_damaged_archive_costs_only_what_is_damaged(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    members = [write_mr(tmp_path / f"{number}.dcm", number) for number in (1, 2)]
    with zipfile.ZipFile(root / "part.zip", "w") as archive:
        for path in members:
            archive.write(path, path.name)
    content = bytearray((root / "part.zip").read_bytes())
    content[0:2] = b"XX"  # the local header of the first member
    (root / "part.zip").write_bytes(content)
    (root / "broken.zip").write_bytes(b"PK\3\4 and nothing more")
    found = index(root, tmp_path / "cache")
    assert found.table["path"].to_pylist() == ["part.zip!2.dcm"]
    assert reasons(found) == {"part.zip!1.dcm": "unreadable", "broken.zip": "unreadable"}


def test_links_are_followed_once_and_broken_ones_counted(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for number in (1, 2):
        write_mr(tmp_path / "elsewhere" / f"{number}.dcm", number)
    root.mkdir()
    try:
        (root / "linked").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "loop").symlink_to(root)
        (root / "broken").symlink_to(tmp_path / "absent")
    except OSError:
        pytest.skip("no symbolic links here")
    found = index(root, tmp_path / "cache")
    assert found.table["path"].to_pylist() == ["linked/1.dcm", "linked/2.dcm"]
    assert reasons(found) == {"broken": "unreadable"}


def test_the_order_of_the_table_does_not_depend_on_the_order_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    for number in range(9):
        write_mr(root / f"d{number % 3}" / f"{9 - number}", number)
    whole = index(root, tmp_path / "one")
    monkeypatch.setattr(dicom_index, "CHUNK_FILES", 2)
    assert index(root, tmp_path / "two").table.equals(whole.table)


def test_a_file_that_breaks_the_reader_costs_only_itself(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = dicom_index.read_headers

    def fail(path: str) -> object:
        if path.endswith("IM_0004"):
            raise MemoryError
        return read(path)

    monkeypatch.setattr(dicom_index, "read_headers", fail)
    found = index(tree, tmp_path / "cache")
    (entry,) = [entry for entry in found.ledger if entry.item_id == "patient/a/IM_0004"]
    assert (entry.reason, entry.detail) == ("unreadable", "MemoryError")
    assert "patient/a/IM_0005" in found.table["path"].to_pylist()


def test_ledger_entries_carry_no_patient_name_or_value(tmp_path: Path) -> None:
    for number in (1, 2):
        write_mr(tmp_path / "root" / str(number), 1, PatientName="Doe^Jane", AccessionNumber="A77")
    found = index(tmp_path / "root", tmp_path / "cache")
    (entry,) = found.ledger
    assert entry.reason == "duplicate_instance"
    assert not any(word in entry.detail for word in ("Doe", "A77", "P1"))


def test_an_index_of_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder"):
        index(tmp_path / "absent", tmp_path / "cache")


def test_the_cache_may_lie_in_the_folder(tmp_path: Path) -> None:
    write_mr(tmp_path / "root" / "1.dcm")
    for _ in range(2):
        found = index(tmp_path / "root", tmp_path / "root" / "cache")
        assert (found.table.num_rows, found.ledger) == (1, ())


@pytest.mark.slow
def test_processes_give_the_same_index(tree: Path, tmp_path: Path) -> None:
    executor = LocalExecutor(workers=2)
    try:
        found = index_folder(tree, executor, tmp_path / "processes")
    finally:
        executor.close()
    assert found.table.equals(index(tree, tmp_path / "serial").table)


def test_times_of_change_count_even_at_the_same_size(tmp_path: Path) -> None:
    path = write_mr(tmp_path / "root" / "1.dcm", 1, PatientID="P1")
    index(tmp_path / "root", tmp_path / "cache")
    shutil.copy(write_mr(tmp_path / "other.dcm", 1, PatientID="P2"), path)
    os.utime(path, ns=(1, 10**18))
    found = index(tmp_path / "root", tmp_path / "cache")
    assert (found.opened, found.table["patient_id"].to_pylist()) == (1, ["P2"])
    assert found.table["study_uid"].to_pylist() == [uid("study")]
