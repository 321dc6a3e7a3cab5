"""Prostate-MRI-US-Biopsy: rows for each ultrasound series, cores that name no target, placeholder coordinates, two coordinate spaces."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from pydicom import dcmread

from tests.planted import Reading, read_folder, same_bytes_twice
from tests.planted_mr import SHARED_DATA, box_of, check_truth, export_and_check, needs_shared, overlap, reference
from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.mr_lesions import mesh_points
from weakbox.datasets_public.prostate_mri_us_biopsy import DATASET
from weakbox.imaging.segmentations import read_dicom_seg
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.simulate.public.prostate_mri_us_biopsy import TREE
from weakbox.simulate.public.prostate_studies import draw_prostate_study
from weakbox.simulate.public.tree import PlantedTree
from weakbox.simulate.public.workbooks import Cell, write_workbook

TARGETS, CORES = "Target-Data_2019-12-05-2.xlsx", "TCIA-Biopsy-Data_2020-07-14.xlsx"
Table = list[dict[str, Cell]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedTree]:
    folder = tmp_path_factory.mktemp("ucla")
    return folder, TREE.write(folder, 4, 1)


@pytest.fixture
def folder(written: tuple[Path, PlantedTree], tmp_path: Path) -> Path:
    """A copy of the tree that a test may change."""
    shutil.copytree(written[0], tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def classic(tmp_path: Path) -> tuple[Path, PlantedTree]:
    """The same patients with meshes instead of segmentations."""
    return tmp_path / "classic", TREE.other_layouts["tcia_meshes"](tmp_path / "classic", 2, 1)


def edit(path: Path, change: Callable[[Table], Table]) -> None:
    header, *rows = [list(row) for row in openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)]
    changed = change([dict(zip(map(str, header), row, strict=True)) for row in rows])
    write_workbook(path, [list(changed[0]), *([*row.values()] for row in changed)])


def of_patient(reading: Reading, number: int) -> list[WeakLabel]:
    patient = f"prostate_mri_us_biopsy:Prostate-MRI-US-Biopsy-{number:04d}"
    return [label for case in reading.cases if case.patient_id == patient for label in case.labels]


def segmentation(folder: Path, patient: int, lesion: int) -> Path:
    found = sorted(folder.rglob(f"Prostate-MRI-US-Biopsy-{patient:04d}/*/SEG_*/*.dcm"))
    return next(path for path in found if dcmread(path).SeriesDescription.endswith(str(lesion)))


@pytest.mark.parametrize(("layout", "iou"), [("idc_segmentations", 0.999), ("tcia_meshes", 0.6)])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str, iou: float) -> None:
    tree = {TREE.layout: TREE.write, **TREE.other_layouts}[layout](tmp_path, 4, 2)
    located = locate(DATASET, tmp_path)
    assert located is not None
    assert (located.layout, located.missing) == (layout, ())
    check_truth(read_folder(DATASET, tmp_path), tree, tmp_path, iou=iou)


def test_a_case_is_exported_and_its_boxes_cover_the_lesions(written: tuple[Path, PlantedTree], tmp_path: Path) -> None:
    image = written[1].images[1]
    case = next(case for case in read_folder(DATASET, written[0]).cases if case.patient_id.endswith(image.patient_id))
    roles = export_and_check(case, image, tmp_path)
    assert {"t2w", "adc_on_reference", "high_b_on_reference", "seg_box"} <= roles.keys()


@pytest.mark.parametrize("write", [TREE.write, *TREE.other_layouts.values()])
def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path, write: Callable[[Path, int, int], PlantedTree]) -> None:
    assert same_bytes_twice(write, tmp_path)


# Targets ------------------------------------------------------------------------------------------------------------


def test_rows_of_several_ultrasound_series_are_one_target(written: tuple[Path, PlantedTree]) -> None:
    reading = read_folder(DATASET, written[0])
    assert len(of_patient(reading, 1)) == 1
    assert reading.reasons["duplicate"] == 2


def test_the_score_is_kept_as_likert_and_is_no_pirads(written: tuple[Path, PlantedTree]) -> None:
    (label,) = of_patient(read_folder(DATASET, written[0]), 4)
    assert (label.likert, label.pirads, label.status, label.class_source) == (4, None, LesionStatus.UNTESTED, "not_stated")


def test_a_score_of_zero_is_no_score(folder: Path) -> None:
    edit(folder / TARGETS, lambda rows: [{**row, "UCLA Score (Similar to PIRADS v2)": 0} for row in rows])
    assert {label.likert for label in read_folder(DATASET, folder).labels} == {None}


def test_two_volumes_of_one_target_are_called_out(folder: Path) -> None:
    edit(folder / TARGETS, lambda rows: [{**rows[0], "ROI Volume (cc)": 9.0}, *rows[1:]])
    reading = read_folder(DATASET, folder)
    (label,) = of_patient(reading, 1)
    assert (label.attributes["roi_volume_ml"], label.conflicts) == (9.0, ("conflicting_volume",))
    assert reading.reasons["conflicting_volume"] == 1


# Cores --------------------------------------------------------------------------------------------------------------


def test_the_worst_core_grades_the_only_target(written: tuple[Path, PlantedTree]) -> None:
    (label,) = of_patient(read_folder(DATASET, written[0]), 1)
    assert (label.isup_grade, label.gleason_primary, label.gleason_secondary) == (2, 3, 4)
    assert (label.status, label.class_source, label.is_clinically_significant) == (LesionStatus.CANCER, "histopathology", True)


def test_cores_that_name_no_target_grade_none_of_several(written: tuple[Path, PlantedTree]) -> None:
    reading = read_folder(DATASET, written[0])
    assert [label.status for label in of_patient(reading, 2)] == [LesionStatus.UNTESTED] * 2
    assert reading.reasons["cores_without_target"] == 1


def test_cores_without_gleason_are_benign_even_without_coordinates(written: tuple[Path, PlantedTree]) -> None:
    reading = read_folder(DATASET, written[0])
    (label,) = of_patient(reading, 3)
    assert (label.status, label.isup_grade, label.is_clinically_significant) == (LesionStatus.BENIGN, None, False)
    assert reading.reasons["placeholder_coordinates"] == 2


def test_a_core_with_measured_cancer_and_no_gleason_is_not_benign(folder: Path) -> None:
    edit(
        folder / CORES,
        lambda rows: [{**row, "Primary Gleason": None, "Secondary Gleason": None, "Cancer Length (mm)": 3.0} for row in rows],
    )
    reading = read_folder(DATASET, folder)
    assert {label.status for label in reading.labels} == {LesionStatus.UNTESTED}
    assert reading.reasons["cancer_without_gleason"] == 5


def test_systematic_cores_and_cores_of_no_mr_series_grade_no_target(folder: Path) -> None:
    edit(folder / CORES, lambda rows: [{**row, "Core Label": "LEFT APEX"} for row in rows])
    assert {label.status for label in read_folder(DATASET, folder).labels} == {LesionStatus.UNTESTED}
    edit(
        folder / CORES, lambda rows: [{**row, "Core Label": "TARGET OR PRIOR POSITIVE", "Series Instance UID (MRI)": None} for row in rows]
    )
    assert {label.status for label in read_folder(DATASET, folder).labels} == {LesionStatus.UNTESTED}


def test_without_the_biopsy_table_every_target_is_untested(folder: Path) -> None:
    (folder / CORES).unlink()
    reading = read_folder(DATASET, folder)
    assert {label.status for label in reading.labels} == {LesionStatus.UNTESTED}
    located = locate(DATASET, folder)
    assert located is not None
    assert located.missing == ("cores (**/TCIA-Biopsy-Data*.{xlsx,csv})",)


# Segmentations and meshes -------------------------------------------------------------------------------------------


def test_the_trees_segmentation_is_a_readable_object(written: tuple[Path, PlantedTree]) -> None:
    stored = read_dicom_seg(segmentation(written[0], 2, 2))
    assert [(segment.label, segment.extent is not None) for segment in stored.segments] == [("Lesion 2", True)]


def test_a_segment_goes_to_the_target_whose_number_it_names(written: tuple[Path, PlantedTree]) -> None:
    labels = {label.attributes["target_number"]: label for label in of_patient(read_folder(DATASET, written[0]), 2)}
    for number, lesion in enumerate(written[1].images[1].lesions, start=1):
        assert overlap(labels[str(number)], lesion) == 1.0
        assert labels[str(number)].tier is Tier.TARGET_ROI


def test_a_segmentation_of_another_series_is_not_used(folder: Path) -> None:
    path = segmentation(folder, 1, 1)
    stored = dcmread(path)
    stored.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    stored.save_as(path)
    reading = read_folder(DATASET, folder)
    (label,) = of_patient(reading, 1)
    assert (label.box, label.tier) == (None, Tier.CASE_LEVEL)
    assert (reading.reasons["segmentation_of_other_series"], reading.reasons["no_place"]) == (1, 1)


def test_a_broken_segmentation_is_listed_and_the_target_keeps_its_class(folder: Path) -> None:
    path = segmentation(folder, 1, 1)
    stored = dcmread(path)
    stored.PixelData = b"\0\0"
    stored.save_as(path)
    reading = read_folder(DATASET, folder)
    (label,) = of_patient(reading, 1)
    assert (label.box, label.isup_grade) == (None, 2)
    assert reading.reasons["unreadable_segmentation"] == 1


def test_meshes_in_ultrasound_space_are_not_read(classic: tuple[Path, PlantedTree]) -> None:
    folder, tree = classic
    (label,) = of_patient(read_folder(DATASET, folder), 1)
    assert overlap(label, tree.images[0].lesions[0]) > 0.6
    study = draw_prostate_study(1, "Prostate-MRI-US-Biopsy-0001", 0, 1, date(2009, 5, 25))
    assert np.allclose(box_of(label).centre, study.regions[0].centre, atol=0.2)
    for path in (folder / "STL").iterdir():
        if reference(read_folder(DATASET, folder).cases[0]).series_uid in path.name:
            path.unlink()
    assert of_patient(read_folder(DATASET, folder), 1)[0].box is None


@pytest.mark.parametrize("content", [b"", b"solid nothing\nendsolid", b"facet vertex a b c"])
def test_a_mesh_without_triangles_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mesh.STL").write_bytes(content)
    with pytest.raises(InputError, match="triangles|numbers"):  # noqa: RUF043
        mesh_points(tmp_path / "mesh.STL")


def test_a_mesh_of_text_has_the_same_vertices(classic: tuple[Path, PlantedTree], tmp_path: Path) -> None:
    path = next((classic[0] / "STL").iterdir())
    points = mesh_points(path)
    lines = "\n".join(f"  vertex {x!r} {y!r} {z!r}" for x, y, z in points.tolist())
    (tmp_path / "text.stl").write_text(f"solid lesion\n{lines}\nendsolid")
    assert np.array_equal(mesh_points(tmp_path / "text.stl"), points)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError):
        mesh_points(path)


# Images and rows that do not meet ----------------------------------------------------------------------------------


def test_targets_without_images_and_studies_without_targets_are_listed(folder: Path) -> None:
    for path in (folder / "prostate_mri_us_biopsy" / "Prostate-MRI-US-Biopsy-0001").iterdir():
        path.rename(path.with_name("moved"))
        for series in (path.with_name("moved")).iterdir():
            series.rename(series.with_name(series.name[:-3] + "999"))
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 1) == []
    assert (reading.reasons["row_without_images"], reading.reasons["images_without_rows"]) == (1, 1)


def test_ultrasound_studies_are_not_counted_as_images_without_rows(folder: Path) -> None:
    path = folder / "prostate_mri_us_biopsy" / "Prostate-MRI-US-Biopsy-0001" / "1.2.3" / "US_1.2.4" / "1.dcm"
    path.parent.mkdir(parents=True)
    path.touch()
    assert read_folder(DATASET, folder).reasons["images_without_rows"] == 0


def test_a_folder_name_that_only_looks_right_is_not_taken_for_the_series(classic: tuple[Path, PlantedTree]) -> None:
    folder, tree = classic
    path = folder / tree.images[0].path
    shutil.rmtree(path)
    shutil.copytree(folder / tree.images[1].path, path)
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 1) == []
    assert reading.reasons["no_reference_image"] == 1


def test_one_mr_series_of_two_patients_is_dropped(folder: Path) -> None:
    edit(folder / TARGETS, lambda rows: [{**rows[0], "Patient ID": "Prostate-MRI-US-Biopsy-0009"}, *rows[1:]])
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 1) == []
    assert reading.reasons["conflicting_patient"] == 2


def test_a_missing_column_is_named(folder: Path) -> None:
    edit(folder / TARGETS, lambda rows: [{"Target": row.pop("Target No."), **row} for row in rows])
    with pytest.raises(InputError, match="label"):
        read_folder(DATASET, folder)


def test_not_one_series_in_common_is_an_error_and_no_empty_success(folder: Path) -> None:
    edit(folder / TARGETS, lambda rows: [{**row, "seriesInstanceUID_MR": "1.2.3"} for row in rows[:1]])
    with pytest.raises(InputError, match="row_without_images"):
        read_folder(DATASET, folder)


def test_names_hold_study_series_and_first_image(written: tuple[Path, PlantedTree]) -> None:
    for case in read_folder(DATASET, written[0]).cases:
        assert case.origin is not None
        expected = {
            f"series:{reference(case).series_uid}",
            f"study:{case.study.study_uid}",
            f"sop:{reference(case).instances[0].sop_instance_uid}",
        }
        assert set(case.origin.identifiers) == expected


# The real tables ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.shared
@needs_shared
def test_the_real_tables_load_completely(tmp_path: Path) -> None:
    tables = SHARED_DATA / "prostate_tables" / "ucla_mri_us_biopsy"
    (tmp_path / TARGETS).symlink_to(tables / TARGETS)
    (tmp_path / "TCIA-Biopsy-Data_recovered.csv").symlink_to(tables / "biopsy_rows_recovered.csv")
    for patient, study, modality, series in _digest(tables):
        path = tmp_path / "prostate_mri_us_biopsy" / patient / study / f"{modality}_{series}" / "1.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    located = locate(DATASET, tmp_path)
    assert located is not None
    items = list(read_cases(DATASET, located))
    cases = [item for item in items if isinstance(item, CuratedCase)]
    labels = [label for case in cases for label in case.labels]
    reasons = Counter(item.reason for item in items if isinstance(item, LedgerEntry))
    assert (len(labels), len(cases), len({case.patient_id for case in cases})) == (1313, 1015, 840)
    assert (reasons["duplicate"], reasons["conflicting_volume"], reasons["no_volume"]) == (1617 - 1313, 3, 1)
    assert reasons["images_without_rows"] == 1037 - 1015
    with (tables / "biopsy_rows_recovered.csv").open(newline="") as file:
        tested = {row["Series Instance UID (MRI)"] for row in csv.DictReader(file) if row["Core Label"] == "TARGET OR PRIOR POSITIVE"}
    single = [case for case in cases if len(case.labels) == 1]
    assert {case.study.study_uid for case in single if case.labels[0].status is not LesionStatus.UNTESTED} <= tested
    assert Counter(label.status.value for label in labels) == {"untested": 1138, "cancer": 149, "benign": 26}


def _digest(tables: Path) -> list[Sequence[str]]:
    """Patient, study, modality and series of the collection as NBIA lists it."""
    workbook = openpyxl.load_workbook(tables / "Prostate-MRI-US-Biopsy-NBIA-manifest_v2_20231020-nbia-digest.xlsx", read_only=True)
    rows = workbook.worksheets[0].iter_rows(values_only=True)
    header = [str(cell) for cell in next(rows)]
    wanted = [header.index(name) for name in ("Patient ID", "Study Instance UID", "Modality", "Series Instance UID")]
    return [[str(row[index]) for index in wanted] for row in rows]
