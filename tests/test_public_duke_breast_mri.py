"""Duke-Breast-Cancer-MRI: boxes that name no series, slices numbered by a mapping table, files under several names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.planted import Reading, read_folder, same_bytes_twice
from weakbox.datasets_public.duke_breast_mri import DATASET, voxel_box
from weakbox.datasets_public.locating import locate
from weakbox.imaging.volumes import read_volume
from weakbox.labelling.policy import LabelPolicy, study_class
from weakbox.records.errors import InputError
from weakbox.records.imaging import Purpose, Series, SeriesRole
from weakbox.records.label import Box, CuratedCase, LesionStatus, Tier
from weakbox.simulate.public.breast_mr import SHAPE, draw_breast_study, series_uid
from weakbox.simulate.public.duke_breast_mri import BOX_HEADER, MAPPING_HEADER, TREE
from weakbox.simulate.public.workbooks import Cell, write_workbook

CLASSIC = "manifest-1654812109500/Duke-Breast-Cancer-MRI"
Voxels = tuple[tuple[int, ...], tuple[int, ...]]


def box_of(case: CuratedCase) -> Box:
    (label,) = case.labels
    assert label.box is not None
    return label.box


def voxels(case: CuratedCase) -> Voxels:
    box = box_of(case)
    return box.voxel_start, box.voxel_stop


def reference(case: CuratedCase) -> Series:
    chosen = case.study.chosen(Purpose.DCE)
    assert chosen is not None
    return chosen


def with_boxes(folder: Path, *rows: Sequence[Cell], patients: int = 1) -> Reading:
    """The tree of some patients under other boxes."""
    TREE.write(folder, patients, 1)
    write_workbook(folder / "Annotation_Boxes.xlsx", [BOX_HEADER, *rows])
    return read_folder(DATASET, folder)


def with_mapping(folder: Path, change: dict[str, str]) -> Reading:
    """The tree of one patient, words of its mapping table changed."""
    import openpyxl

    TREE.write(folder, 1, 1)
    path = folder / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx"
    rows = [[str(cell) for cell in row] for row in openpyxl.load_workbook(path).active.iter_rows(min_row=2, values_only=True)]
    for old, new in change.items():
        rows = [[cell.replace(old, new) for cell in row] for row in rows]
    write_workbook(path, [MAPPING_HEADER, *rows])
    return read_folder(DATASET, folder)


@pytest.mark.parametrize("layout", [TREE.layout, *TREE.other_layouts])
def test_the_box_is_the_planted_one_in_every_download(tmp_path: Path, layout: str) -> None:
    tree = {TREE.layout: TREE.write, **TREE.other_layouts}[layout](tmp_path, 4, 1)
    reading = read_folder(DATASET, tmp_path)
    assert not reading.reasons
    assert [case.patient_id.partition(":")[2] for case in reading.cases] == [image.patient_id for image in tree.images]
    for image, case in zip(tree.images, reading.cases, strict=True):
        (lesion,) = image.lesions
        assert voxels(case) == (tuple(map(int, lesion.start)), tuple(map(int, lesion.stop)))
        assert {str(Path(instance.path).parent.relative_to(tmp_path)) for instance in reference(case).instances} == {image.path}


def test_the_box_holds_what_takes_up_contrast(tmp_path: Path) -> None:
    TREE.write(tmp_path, 4, 1)
    for case in read_folder(DATASET, tmp_path).cases:
        phases = {series.attributes["phase"]: read_volume(series).array.astype(float) for series in case.study.series}
        uptake = phases["post_1"] - phases["pre"]
        start, stop = voxels(case)
        inside = np.zeros(uptake.shape, dtype=bool)
        inside[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]] = True
        assert set(zip(*np.nonzero((uptake > 200) & ~inside), strict=True)) == set()
        taken = np.argwhere(uptake > 200)
        assert [*taken.min(axis=0)[::-1], *(taken.max(axis=0)[::-1] + 1)] == [*start, *stop]


def test_numbers_count_from_one_with_both_ends_inside(tmp_path: Path) -> None:
    reading = with_boxes(tmp_path, ("Breast_MRI_001", 11, 14, 21, 21, 2, 4))
    start, stop = voxels(reading.cases[0])
    assert (start[0], stop[0]) == (20, 21)
    assert (start[1], stop[1]) == (10, 14)
    assert stop[2] - start[2] == 3
    assert box_of(reading.cases[0]).uncertainty_mm == pytest.approx(2.5)


@pytest.mark.parametrize("number", [1, 2])
def test_slices_are_found_by_position_whichever_end_they_are_numbered_from(tmp_path: Path, number: int) -> None:
    TREE.write(tmp_path, 2, 1)
    patient = f"Breast_MRI_{number:03d}"
    study = draw_breast_study(1, patient, number)
    write_workbook(tmp_path / "Annotation_Boxes.xlsx", [BOX_HEADER, (patient, 1, 5, 1, 5, 1, 2)])
    reading = read_folder(DATASET, tmp_path)
    start, stop = voxels(reading.cases[0])
    assert study.is_reversed == (number == 1)
    assert (start[2], stop[2]) == ((SHAPE[2] - 2, SHAPE[2]) if study.is_reversed else (0, 2))


def test_the_mapping_decides_the_slice_and_not_instance_number_alone(tmp_path: Path) -> None:
    """Slice 1 of the table is the file 1-012, as the mapping says."""
    turned = {f"_{n:03d}.dcm": f"_{SHAPE[2] + 1 - n:03d}#dcm" for n in range(1, SHAPE[2] + 1)}
    TREE.write(tmp_path / "plain", 1, 1)
    write_workbook(tmp_path / "plain" / "Annotation_Boxes.xlsx", [BOX_HEADER, ("Breast_MRI_001", 1, 5, 1, 5, 1, 3)])
    plain = read_folder(DATASET, tmp_path / "plain").cases[0]
    with_mapping(tmp_path / "turned", {**turned, "#": "."})
    write_workbook(tmp_path / "turned" / "Annotation_Boxes.xlsx", [BOX_HEADER, ("Breast_MRI_001", 1, 5, 1, 5, 1, 3)])
    other = read_folder(DATASET, tmp_path / "turned").cases[0]
    assert [voxels(case)[0][2] for case in (plain, other)] == [SHAPE[2] - 3, 0]


def test_the_box_lies_on_the_first_post_contrast_series(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    (case,) = read_folder(DATASET, tmp_path).cases
    study = draw_breast_study(1, "Breast_MRI_001", 1)
    assert box_of(case).reference_series_key == reference(case).key == series_uid(study, "post_1")
    assert {series.attributes["phase"]: series.role for series in case.study.series} == {
        "pre": SeriesRole.DCE,
        "post_1": SeriesRole.DCE,
        "post_2": SeriesRole.DCE,
        "t1": SeriesRole.T1W,
    }


def test_every_patient_has_cancer_by_tissue_and_subtype_0_is_not_benign(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    reading = read_folder(DATASET, tmp_path)
    assert {(label.diagnosis, label.status, label.class_source, label.tier) for label in reading.labels} == {
        ("malignant", LesionStatus.CANCER, "histopathology", Tier.EXPERT)
    }
    assert {study_class(case, LabelPolicy()).name for case in reading.cases} == {"malignant"}


def test_the_clinical_table_with_names_in_its_second_row_is_read(tmp_path: Path) -> None:
    TREE.write(tmp_path, 4, 1)
    reading = read_folder(DATASET, tmp_path)
    first, fourth = reading.labels[0].attributes, reading.labels[3].attributes
    names = ("er_status", "pr_status", "her2_status", "is_multifocal", "is_contralateral")
    assert [first.get(name) for name in names] == ["positive", "positive", "negative", True, True]
    assert [fourth.get(name) for name in names] == ["negative", "positive", None, True, False]
    assert reading.cases[0].study.patient_age_years == round(15100 / 365.25, 1)


def test_a_clinical_table_of_another_shape_only_costs_its_facts(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    write_workbook(tmp_path / "Clinical_and_Other_Features.xlsx", [("x", "y"), (1, 2)])
    reading = read_folder(DATASET, tmp_path)
    assert (len(reading.cases), reading.reasons) == (1, {"unread_table": 1})


def test_slips_in_the_paths_of_the_mapping_do_no_harm(tmp_path: Path) -> None:
    """Doubled slashes, BreastMRI001, and 1-007.dcm for the file 1-07.dcm."""
    reading = with_mapping(tmp_path, {"/Breast_MRI_001/": "//Breast_MRI_001//", "DICOM_Images/": "DICOM_Images//"})
    assert (len(reading.cases), reading.reasons) == (1, {})
    assert reading.labels[0].box is not None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("Breast_MRI_001", 10, 4, 1, 5, 1, 2), "empty_box"),
        (("Breast_MRI_001", 1, None, 1, 5, 1, 2), "incomplete_row"),
        (("Breast_MRI_001", 1, 5, 1, 5, 90, 95), "outside_image"),
        (("Breast_MRI_001", 1, 5, 1, 5.5, 1, 2), "incomplete_row"),
        (("Patient 1", 1, 5, 1, 5, 1, 2), "no_patient_id"),
        (("Breast_MRI_999", 1, 5, 1, 5, 1, 2), "no_mapping"),
    ],
)
def test_a_row_that_makes_no_box_is_dropped(tmp_path: Path, row: Sequence[Cell], reason: str) -> None:
    reading = with_boxes(tmp_path, row, ("Breast_MRI_002", 1, 5, 1, 5, 1, 2), patients=2)
    assert reading.reasons[reason] == 1
    assert [case.patient_id for case in reading.cases] == ["duke_breast_mri:Breast_MRI_002"]


def test_a_box_over_the_edge_is_cut_and_one_beyond_it_is_taken_away(tmp_path: Path) -> None:
    reading = with_boxes(tmp_path, ("Breast_MRI_001", 35, 60, 40, 60, 11, 20), ("Breast_MRI_002", 1, 5, SHAPE[0] + 1, 90, 1, 2), patients=2)
    start, stop = voxels(reading.cases[0])
    assert (start[:2], stop[:2]) == ((39, 34), SHAPE[:2])
    assert stop[2] - start[2] == 2
    assert (reading.labels[1].box, reading.labels[1].needs_review) == (None, True)
    assert reading.reasons == {"box_cut": 1, "outside_image": 1}


def test_a_second_box_of_a_patient_is_not_silently_merged(tmp_path: Path) -> None:
    reading = with_boxes(tmp_path, ("Breast_MRI_001", 1, 5, 1, 5, 1, 2), ("Breast_MRI_001", 8, 9, 8, 9, 4, 5))
    assert (len(reading.labels), reading.reasons) == (1, {"repeated_row": 1})


def test_a_missing_slice_is_no_smaller_volume(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    study = draw_breast_study(1, "Breast_MRI_001", 1)
    (tmp_path / CLASSIC / "Breast_MRI_001" / study.study_uid / series_uid(study, "post_1") / "1-06.dcm").unlink()
    reading = read_folder(DATASET, tmp_path)
    assert (reading.cases, reading.reasons) == ((), {"no_volume": 1})


def test_a_download_that_ends_before_the_box_keeps_no_box(tmp_path: Path) -> None:
    reading_folder = tmp_path / "set"
    TREE.write(reading_folder, 1, 1)
    study = draw_breast_study(1, "Breast_MRI_001", 1)
    for number in (11, 12):
        (reading_folder / CLASSIC / "Breast_MRI_001" / study.study_uid / series_uid(study, "post_1") / f"1-{number}.dcm").unlink()
    write_workbook(reading_folder / "Annotation_Boxes.xlsx", [BOX_HEADER, ("Breast_MRI_001", 1, 5, 1, 5, 9, 12)])
    reading = read_folder(DATASET, reading_folder)
    assert ([label.box for label in reading.labels], reading.reasons) == ([None], {"missing_slice": 1})


def test_a_patient_without_the_annotated_series_is_dropped(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    study = draw_breast_study(1, "Breast_MRI_001", 1)
    for path in (tmp_path / CLASSIC / "Breast_MRI_001" / study.study_uid / series_uid(study, "post_1")).iterdir():
        path.unlink()
    reading = read_folder(DATASET, tmp_path)
    assert (len(reading.cases), reading.reasons) == (1, {"missing_image": 1})


def test_images_of_a_patient_without_a_box_are_counted(tmp_path: Path) -> None:
    reading = with_boxes(tmp_path, ("Breast_MRI_001", 1, 5, 1, 5, 1, 2), patients=2)
    assert reading.reasons == {"images_without_row": 1}


def test_without_the_mapping_the_set_is_partial_and_reading_says_why(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    (tmp_path / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx").unlink()
    located = locate(DATASET, tmp_path)
    assert located is not None
    assert [name.split()[0] for name in located.missing] == ["mapping"]
    with pytest.raises(InputError, match="filepath_filename-mapping"):
        read_folder(DATASET, tmp_path)


def test_a_renamed_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    write_workbook(tmp_path / "Annotation_Boxes.xlsx", [("Patient ID", "Row 1", *BOX_HEADER[2:]), ("Breast_MRI_001", 1, 2, 1, 2, 1, 2)])
    with pytest.raises(InputError, match="start_row"):
        read_folder(DATASET, tmp_path)


def test_the_box_is_where_the_headers_say_in_the_patient(tmp_path: Path) -> None:
    """The corners in mm are those of the first and last voxel by pydicom's own reading of one file."""
    reading = with_boxes(tmp_path, ("Breast_MRI_001", 3, 3, 5, 5, 4, 4))
    study = draw_breast_study(1, "Breast_MRI_001", 1)
    header = pydicom.dcmread(tmp_path / CLASSIC / "Breast_MRI_001" / study.study_uid / series_uid(study, "post_1") / "1-04.dcm")
    rows, columns = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    spacing = [float(value) for value in header.PixelSpacing]
    expected = np.array(header.ImagePositionPatient, dtype=float) + 4 * spacing[1] * rows + 2 * spacing[0] * columns
    assert box_of(reading.cases[0]).centre == pytest.approx(expected, abs=1e-3)


def test_a_box_of_voxels_holds_exactly_these() -> None:
    grid = draw_breast_study(7, "Breast_MRI_002", 2).grid
    box = voxel_box((3, 4, 5), (3, 9, 6), grid, "series")
    assert (box.voxel_start, box.voxel_stop) == ((3, 4, 5), (4, 10, 7))
    assert box.size_mm == pytest.approx((1.4, 6 * 1.4, 2 * 2.5), rel=1e-4)


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)
