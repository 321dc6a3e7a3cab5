"""A table of ready volumes becomes studies whose grids are LPS and whose frames are stated, never assumed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.phantom import asymmetric_array, oblique_grid
from weakbox.imaging.volumes import Volume, read_volume, same_geometry, write_nifti
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy, Plane, SeriesRole
from weakbox.sources.source import Source
from weakbox.sources.volume_table import SOURCE, VolumeTableOptions, read

GRID = oblique_grid()
HEADER = "patient_id,study_id,role,path,b_value,study_date,accession,frame_of_reference_uid"


def table(folder: Path, *rows: str, **options: Any) -> list[ImagingStudy | LedgerEntry]:
    write_nifti(Volume(asymmetric_array(GRID), GRID), folder / "t2.nii.gz")
    write_nifti(Volume(asymmetric_array(GRID, 300), GRID), folder / "hbv.nii.gz")
    path = folder / "volumes.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return list(read(VolumeTableOptions(source="volume_table", path=path, **options)))


def test_a_study_holds_its_volumes_with_lps_grids(tmp_path: Path) -> None:
    (study,) = table(tmp_path, "A,s1,T2W,t2.nii.gz,,2020-02-29,ACC,1.2.3", "A,s1,hbv,hbv.nii.gz,1400,,,1.2.3")
    assert isinstance(study, ImagingStudy)
    assert (study.study_uid, study.patient_id, study.accession, study.study_date) == ("s1", "A", "ACC", date(2020, 2, 29))
    by_role = {series.role: series for series in study.series}
    t2w, high_b = by_role[SeriesRole.T2W], by_role[SeriesRole.DWI]
    assert t2w.grid is not None and same_geometry(t2w.grid, GRID)
    assert t2w.grid.frame_of_reference_uid == high_b.frame_of_reference_uid == "1.2.3"
    assert (t2w.plane, high_b.b_values, t2w.image_count) == (Plane.AXIAL, (1400.0,), 9)
    np.testing.assert_array_equal(read_volume(t2w).array, asymmetric_array(GRID))


def test_frames_are_shared_only_where_the_table_says_so(tmp_path: Path) -> None:
    rows = ("A,s1,t2w,t2.nii.gz,,,,", "A,s1,high_b,hbv.nii.gz,1400,,,", "B,s2,t2w,t2.nii.gz,,,,")
    flag, *_ = unstated = table(tmp_path, *rows)
    assert isinstance(flag, LedgerEntry) and (flag.outcome, flag.reason) == (Outcome.FLAGGED, "no_frame_of_reference")
    frames = [series.frame_of_reference_uid for study in unstated if isinstance(study, ImagingStudy) for series in study.series]
    assert frames == [None, None, None]
    first, second = table(tmp_path, *rows, volumes_share_a_frame=True)
    assert isinstance(first, ImagingStudy) and isinstance(second, ImagingStudy)
    assert len({series.frame_of_reference_uid for series in first.series}) == 1
    assert first.series[0].frame_of_reference_uid not in {None, second.series[0].frame_of_reference_uid}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",s1,t2w,t2.nii.gz,,,,", "no_patient"),
        ("A,,t2w,t2.nii.gz,,,,", "no_study"),
        ("A,s1,t2w,,,,,", "no_path"),
        ("A,s1,flair,t2.nii.gz,,,,", "unknown_role"),
        ("A,s1,high_b,hbv.nii.gz,,,,", "no_b_value"),
        ("A,s1,t2w,absent.nii.gz,,,,", "unreadable_volume"),
        ("A,s1,t2w,volumes.csv,,,,", "unreadable_volume"),
        ("A,s1,high_b,hbv.nii.gz,minus one,,,", "not_a_number"),
    ],
)
def test_rows_that_cannot_be_used_are_dropped_with_a_reason(row: str, reason: str, tmp_path: Path) -> None:
    found = table(tmp_path, "A,s9,t2w,t2.nii.gz,,,,1.2", row)
    (entry,) = [item for item in found if isinstance(item, LedgerEntry)]
    assert entry.outcome is Outcome.DROPPED
    assert entry.reason == reason or reason == "not_a_number"
    assert len([item for item in found if isinstance(item, ImagingStudy)]) == 1


def test_a_stated_b_value_serves_high_b_volumes_without_one(tmp_path: Path) -> None:
    study = next(item for item in table(tmp_path, "A,s1,hbv,hbv.nii.gz,,,,1.2", high_b_value=1500) if isinstance(item, ImagingStudy))
    assert study.series[0].b_values == (1500.0,)


def test_two_rows_of_one_volume_are_one_series(tmp_path: Path) -> None:
    entry, study = table(tmp_path, "A,s1,t2w,t2.nii.gz,,,,1.2", "A,s1,t2w,t2.nii.gz,,,,1.2")
    assert isinstance(entry, LedgerEntry) and entry.reason == "duplicate"
    assert isinstance(study, ImagingStudy) and len(study.series) == 1


def test_a_volume_that_changed_since_is_refused(tmp_path: Path) -> None:
    (study,) = table(tmp_path, "A,s1,t2w,t2.nii.gz,,,,1.2")
    assert isinstance(study, ImagingStudy)
    moved = oblique_grid(origin=(0.0, 0.0, 0.0))
    write_nifti(Volume(asymmetric_array(moved), moved), tmp_path / "t2.nii.gz")
    with pytest.raises(InputError, match="no longer has the geometry"):
        read_volume(study.series[0])


def test_the_source_names_its_files(tmp_path: Path) -> None:
    table(tmp_path, "A,s1,t2w,t2.nii.gz,,,,1.2")
    assert isinstance(SOURCE, Source) and SOURCE.family == "images"
    options = VolumeTableOptions(source="volume_table", path=tmp_path / "volumes.csv")
    assert [path.name for path in SOURCE.files(options)] == ["volumes.csv", "t2.nii.gz"]
