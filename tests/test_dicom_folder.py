"""The source that reads a folder of DICOM files."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.mr_files import SerialExecutor, uid, write_mr
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy
from weakbox.runtime.plugins import load_plugin
from weakbox.sources.dicom_folder import SOURCE


def read(folder: Path, cache: Path) -> list[ImagingStudy | LedgerEntry]:
    options = SOURCE.options(source="dicom_folder", path=folder)  # type: ignore[call-arg]
    return list(SOURCE.read(options, SerialExecutor(), cache))


def test_it_is_found_by_its_file_name() -> None:
    assert load_plugin("weakbox.sources", "dicom_folder", "SOURCE") is SOURCE
    assert SOURCE.family == "images"


def test_files_become_studies_and_ledger_entries_that_add_up(tmp_path: Path) -> None:
    for patient in ("P1", "P2"):
        for number in (1, 2, 3):
            tags = {"PatientID": patient, "StudyInstanceUID": uid(patient), "SeriesInstanceUID": uid(patient, "s")}
            write_mr(tmp_path / "root" / patient / str(number), number, **tags)
    (tmp_path / "root" / "readme.txt").write_text("words")
    found = read(tmp_path / "root", tmp_path / "cache")
    studies = [item for item in found if isinstance(item, ImagingStudy)]
    ledger = [item for item in found if isinstance(item, LedgerEntry)]
    assert sorted(study.patient_id for study in studies) == ["P1", "P2"]
    assert [(entry.item_id, entry.reason) for entry in ledger] == [("readme.txt", "not_dicom")]
    images = sum(series.image_count for study in studies for series in study.series)
    assert images + len(ledger) == 7
    assert [study.study_uid for study in studies] == sorted(study.study_uid for study in studies)
    assert found == read(tmp_path / "root", tmp_path / "cache")


def test_paths_of_instances_can_be_opened(tmp_path: Path) -> None:
    write_mr(tmp_path / "root" / "deep" / "1", 1)
    (study,) = read(tmp_path / "root", tmp_path / "cache")
    assert isinstance(study, ImagingStudy)
    (instance,) = study.series[0].instances
    assert Path(instance.path).read_bytes()[128:132] == b"DICM"


def test_a_wrong_folder_and_unknown_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder"):
        read(tmp_path / "absent", tmp_path / "cache")
    with pytest.raises(ValidationError):
        SOURCE.options(source="dicom_folder", path=tmp_path, recursive=True)  # type: ignore[call-arg]
