"""The source that reads a hospital's image index: one row a series."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy, Plane, SeriesRole, StudyKind
from weakbox.runtime.plugins import load_plugin
from weakbox.sources.image_index import SOURCE

COLUMNS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "StudyDate", "AccessionNumber", "Modality", "Images")


def write(path: Path, rows: list[tuple[Any, ...]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def read(path: Path, **options: Any) -> list[ImagingStudy | LedgerEntry]:
    return list(SOURCE.read(SOURCE.options(source="image_index", path=path, **options), None, path.parent))


ROWS = [
    ("P1", "1.1", "1.1.2", "ep2d_diff_b1400_TRACEW", "20190307", "A1", "MR", "20"),
    ("P2", "1.2", "1.2.1", "t2_tse_tra", "20200101", "A2", "MR", "30"),
    ("P1", "1.1", "1.1.1", "t2_tse_tra", "2019-03-07", "A1", "MR", "19"),
    ("P1", "1.1", "1.1.3", "Dose report", "20190307", "A1", "SR", "1"),
]


def test_it_is_found_by_its_file_name() -> None:
    assert load_plugin("weakbox.sources", "image_index", "SOURCE") is SOURCE


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_become_studies_with_roles(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / "index.csv", ROWS)
    if suffix == ".parquet":
        pd.read_csv(path, dtype=str).to_parquet(tmp_path / "index.parquet")
        path = tmp_path / "index.parquet"
    first, second = read(path)
    assert isinstance(first, ImagingStudy)
    assert isinstance(second, ImagingStudy)
    assert (first.study_uid, first.patient_id, first.accession, str(first.study_date)) == ("1.1", "P1", "A1", "2019-03-07")
    assert [(series.role, series.plane, series.b_values, series.image_count) for series in first.series] == [
        (SeriesRole.DWI, None, (1400.0,), 20),
        (SeriesRole.T2W, Plane.AXIAL, (), 19),
        (SeriesRole.OTHER, None, (), 1),
    ]
    assert not any(series.instances or series.grid for series in (*first.series, *second.series))


def test_a_site_names_its_own_columns(tmp_path: Path) -> None:
    columns = ("mrn_hash", "exam", "serie", "omschrijving", "n")
    path = write(tmp_path / "index.csv", [("P1", "1.1", "1.1.1", "t2_tse_sag", "20")], columns)
    names = {"patient_id": "mrn_hash", "study_uid": "exam", "series_uid": "serie", "series_description": "omschrijving", "image_count": "n"}
    (study,) = read(path, columns=names)
    assert isinstance(study, ImagingStudy)
    assert (study.series[0].plane, study.series[0].image_count) == (Plane.SAGITTAL, 20)


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "index.csv", [("P1", "1.1", "1.1.1", "t2")], ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescripton")
    )
    with pytest.raises(InputError, match="SeriesDescripton"):
        read(path)


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        ("", "1.3", "1.3.1", "t2", "20190307", "", "MR", "3"),
        ("P3", "1.3", "", "t2", "20190307", "", "MR", "3"),
        ("P2", "1.2", "1.2.1", "t2_tse_tra", "20200101", "A2", "MR", "30"),
        ("P8", "1.4", "1.4.1", "t2", "20190307", "", "MR", "3"),
        ("P9", "1.4", "1.4.2", "t2", "20190307", "", "MR", "3"),
        ("P5", "1.5", "1.5.1", "t2", "07/03/2019", "", "MR", "many"),
    ]
    found = read(write(tmp_path / "index.csv", rows))
    ledger = [(entry.item_id, entry.outcome, entry.reason) for entry in found if isinstance(entry, LedgerEntry)]
    assert ledger == [
        ("index.csv:6", Outcome.DROPPED, "no_patient_id"),
        ("index.csv:7", Outcome.DROPPED, "no_series_uid"),
        ("index.csv:8", Outcome.DROPPED, "duplicate"),
        ("1.4", Outcome.DROPPED, "several_patient_ids"),
        ("index.csv:11", Outcome.FLAGGED, "ambiguous_date"),
        ("index.csv:11", Outcome.FLAGGED, "unreadable_image_count"),
    ]
    assert [study.study_uid for study in found if isinstance(study, ImagingStudy)] == ["1.1", "1.2", "1.5"]


def test_dates_that_differ_within_a_study_are_flagged(tmp_path: Path) -> None:
    rows = [("P1", "1.1", f"1.1.{n}", "t2", day, "", "MR", "3") for n, day in enumerate(("20190307", "20190308", "20190307"))]
    entry, study = read(write(tmp_path / "index.csv", rows))
    assert isinstance(entry, LedgerEntry)
    assert entry.reason == "several_study_dates"
    assert isinstance(study, ImagingStudy)
    assert str(study.study_date) == "2019-03-07"


def test_needle_series_make_the_study_intraprocedural(tmp_path: Path) -> None:
    rows = [
        ("P1", "1.1", "1.1.1", "t2_tse_tra", "20190307", "", "MR", "3"),
        ("P1", "1.1", "1.1.2", "tra needle check", "20190307", "", "MR", "3"),
    ]
    (study,) = read(write(tmp_path / "index.csv", rows))
    assert isinstance(study, ImagingStudy)
    assert study.kind is StudyKind.INTRAPROCEDURAL
    assert [series.is_diagnostic for series in study.series] == [True, False]


@pytest.mark.slow
def test_an_index_of_thirty_thousand_series_takes_seconds(tmp_path: Path) -> None:
    words = ("t2_tse_tra", "ep2d_diff_b50_800", "ep2d_diff_ADC", "dyn", "localizer", "t1_tse_tra")
    rows = [
        (f"P{study % 1500}", f"1.2.{study}", f"1.2.{study}.{n}", f"{words[n % 6]} {n} v{study % 7}", "20190307", f"A{study}", "MR", "30")
        for study in range(1900)
        for n in range(16)
    ]
    path = write(tmp_path / "index.csv", rows)
    start = time.process_time()
    found = read(path)
    assert time.process_time() - start < 10
    assert len(found) == 1900


def test_a_grid_stated_in_the_table_is_the_grid_of_the_series(tmp_path: Path) -> None:
    affine = "0.5 0 0 -40 0 0.5 0 -30 0 0 3 -20 0 0 0 1"
    columns = ("patient_id", "study_uid", "series_uid", "series_description", "affine_lps", "shape_ijk", "frame_of_reference_uid")
    path = write(tmp_path / "index.csv", [("P1", "1.1", "1.1.1", "t2_tse_tra", affine, "160 160 20", "1.9")], columns)
    (study,) = read(path)
    grid = study.series[0].grid
    assert grid is not None
    assert (grid.shape, grid.spacing, grid.frame_of_reference_uid) == ((160, 160, 20), (0.5, 0.5, 3.0), "1.9")
