"""PROSTATEx: points in patient space, finding numbers used twice, two studies of one patient, masks of another group."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.planted import Reading, read_folder, same_bytes_twice
from tests.planted_mr import SHARED_DATA, box_of, check_truth, export_and_check, needs_shared, reference
from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.prostatex import DATASET
from weakbox.datasets_public.prostatex_findings import t2_corners
from weakbox.imaging.segmentations import read_mask
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.label import CuratedCase, LesionStatus, Tier
from weakbox.simulate.public.prostate_studies import ProstateStudy, draw_prostate_study, write_volume
from weakbox.simulate.public.prostatex import TREE, write_mask
from weakbox.simulate.public.tree import PlantedTree
from weakbox.simulate.public.workbooks import write_strict_workbook

Row = dict[str, str]
FINDINGS, IMAGES, GRADES = "ProstateX-Findings-Train.csv", "ProstateX-Images-Train.csv", "ProstateX-2-Findings-Train.csv"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedTree]:
    folder = tmp_path_factory.mktemp("prostatex")
    return folder, TREE.write(folder, 4, 1)


@pytest.fixture
def folder(written: tuple[Path, PlantedTree], tmp_path: Path) -> Path:
    """A copy of the tree that a test may change."""
    shutil.copytree(written[0], tmp_path / "set")
    return tmp_path / "set"


def edit(path: Path, change: Callable[[list[Row]], list[Row]]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(changed[0]) if changed else list(rows[0]))
        writer.writeheader()
        writer.writerows(changed)


def of_patient(reading: Reading, number: int) -> list[CuratedCase]:
    return [case for case in reading.cases if case.patient_id == f"prostatex:ProstateX-{number:04d}"]


def study_of(number: int, lesions: int = 1) -> ProstateStudy:
    return draw_prostate_study(1, f"ProstateX-{number:04d}", 0, lesions, date(2011, 7, 7))


@pytest.mark.parametrize(("layout", "iou"), [(TREE.layout, 0.4), ("masks_repository", 0.999)])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str, iou: float) -> None:
    """A point gets 12 mm whatever the lesion measures; a mask gives the lesion's own box."""
    write = {TREE.layout: TREE.write, **TREE.other_layouts}[layout]
    tree = write(tmp_path, 5, 2)
    located = locate(DATASET, tmp_path)
    assert located is not None
    assert (located.layout, located.missing) == (layout, ())
    check_truth(read_folder(DATASET, tmp_path), tree, tmp_path, iou=iou)


@pytest.mark.parametrize("layout", [TREE.layout, *TREE.other_layouts])
def test_a_case_is_exported_and_its_box_covers_the_lesion(tmp_path: Path, layout: str) -> None:
    write = {TREE.layout: TREE.write, **TREE.other_layouts}[layout]
    tree = write(tmp_path / "set", 1, 3)
    (case,) = read_folder(DATASET, tmp_path / "set").cases
    roles = export_and_check(case, tree.images[0], tmp_path / "out")
    assert {"t2w", "adc_on_reference"} <= roles.keys()


@pytest.mark.parametrize("write", [TREE.write, *TREE.other_layouts.values()])
def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path, write: Callable[[Path, int, int], PlantedTree]) -> None:
    assert same_bytes_twice(write, tmp_path)


def test_reading_the_tables_opens_no_image(folder: Path) -> None:
    for path in folder.rglob("*.dcm"):
        path.write_bytes(b"")
    located = locate(DATASET, folder)
    assert located is not None
    cases = [item for item in read_cases(DATASET, located) if isinstance(item, CuratedCase)]
    assert {case.patient_id for case in cases} == {f"prostatex:ProstateX-{number:04d}" for number in range(3)}


# Points -------------------------------------------------------------------------------------------------------------


def test_a_point_is_lps_and_gets_a_box_of_default_size(folder: Path) -> None:
    (case,) = of_patient(read_folder(DATASET, folder), 0)
    (label,) = case.labels
    assert np.allclose(box_of(label).centre, study_of(0).regions[0].centre, atol=1e-3)
    assert np.allclose(box_of(label).size_mm, 12.0)
    assert (label.size_source, label.centre_source, label.tier) == ("default", "target_coordinate", Tier.BIOPSY_COORDINATE)


def test_clinsig_false_is_not_called_benign(folder: Path) -> None:
    labels = [label for case in of_patient(read_folder(DATASET, folder), 1) for label in case.labels]
    assert {label.status for label in labels} == {LesionStatus.NOT_SIGNIFICANT}
    assert {(label.is_clinically_significant, label.class_source, label.diagnosis) for label in labels} == {
        (False, "not_stated", "not_clinically_significant")
    }


def test_grades_of_prostatex_2_join_by_finding_and_place(folder: Path) -> None:
    reading = read_folder(DATASET, folder)
    (label,) = of_patient(reading, 0)[0].labels
    assert (label.isup_grade, label.status, label.class_source) == (3, LesionStatus.CANCER, "histopathology")
    edit(folder / GRADES, lambda rows: [{**row, "pos": "1 2 3"} for row in rows])
    moved = read_folder(DATASET, folder)
    assert of_patient(moved, 0)[0].labels[0].isup_grade is None
    assert moved.reasons["no_such_finding"] == 1


def test_isup_1_is_cancer_that_is_not_significant(folder: Path) -> None:
    edit(folder / FINDINGS, lambda rows: [{**row, "ClinSig": "FALSE"} for row in rows])
    edit(folder / GRADES, lambda rows: [{**row, "ggg": "1"} for row in rows])
    (label,) = of_patient(read_folder(DATASET, folder), 0)[0].labels
    assert (label.status, label.isup_grade, label.is_clinically_significant) == (LesionStatus.CANCER, 1, False)


def test_a_finding_number_that_is_used_twice_is_two_lesions(folder: Path) -> None:
    reading = read_folder(DATASET, folder)
    (case,) = of_patient(reading, 1)
    centres = sorted(box_of(label).centre for label in case.labels)
    assert np.allclose(centres, sorted(region.centre for region in study_of(1, 2).regions), atol=1e-3)
    assert len({label.label_id for label in case.labels}) == 2
    assert reading.reasons["finding_number_used_twice"] == 4


def test_rows_of_every_series_are_one_finding(folder: Path) -> None:
    edit(folder / IMAGES, lambda rows: [*rows, *({**row, "DCMSerNum": str(40 + n)} for n, row in enumerate(rows))])
    assert len(read_folder(DATASET, folder).labels) == len(list(csv.DictReader((folder / FINDINGS).open())))


def test_a_finding_of_a_patient_with_two_studies_goes_to_the_one_it_was_set_on(folder: Path) -> None:
    reading = read_folder(DATASET, folder)
    cases = of_patient(reading, 2)
    assert len(cases) == 2
    studies = {
        study.study_uid: study for number in range(2) if (study := draw_prostate_study(1, "ProstateX-0002", number, 1, date(2011, 7, 9)))
    }
    for case in cases:
        (label,) = case.labels
        assert np.allclose(box_of(label).centre, studies[case.study.study_uid].regions[0].centre, atol=1e-3)


def test_the_images_table_lists_every_series_of_the_patient_for_every_finding(folder: Path) -> None:
    rows = [row for row in csv.DictReader((folder / IMAGES).open()) if row["ProxID"] == "ProstateX-0002" and "tra" in row["Name"]]
    assert len({(row["pos"], row["WorldMatrix"]) for row in rows if row["DCMSerDescr"] == "t2_tse_tra"}) == 4


def test_a_point_inside_both_studies_is_dropped_and_not_guessed(folder: Path) -> None:
    edit(folder / IMAGES, lambda rows: [{**row, "ijk": "1 1 1"} for row in rows])
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 2) == []
    assert reading.reasons["study_not_stated"] == 2


def test_without_the_images_table_such_a_finding_is_dropped_and_not_guessed(folder: Path) -> None:
    (folder / IMAGES).unlink()
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 2) == []
    assert reading.reasons["study_not_stated"] == 2


def test_a_point_outside_the_image_is_dropped_and_never_moved(folder: Path) -> None:
    edit(folder / FINDINGS, lambda rows: [{**row, "pos": "900 0 0"} if row["ProxID"] == "ProstateX-0000" else row for row in rows])
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 0) == []
    assert (reading.reasons["outside_image"], reading.reasons["no_label_left"]) == (1, 1)


# Masks --------------------------------------------------------------------------------------------------------------


def mask_for(folder: Path, number: int, finding: int, *, lesion: int = 0, lesions: int = 1) -> Path:
    study = study_of(number, lesions)
    return write_mask(folder, study, study.regions[lesion], finding)


def test_a_mask_replaces_the_default_box_of_its_finding(folder: Path) -> None:
    path = mask_for(folder, 0, 1)
    reading = read_folder(DATASET, folder)
    (label,) = of_patient(reading, 0)[0].labels
    assert (label.tier, label.size_source) == (Tier.EXPERT, "segmentation_extent")
    voxels = np.argwhere(read_mask(path)[0] > 0)[:, ::-1]
    assert box_of(label).voxel_start == tuple(voxels.min(axis=0))
    assert box_of(label).voxel_stop == tuple(voxels.max(axis=0) + 1)
    assert label.mask is not None
    assert Path(label.mask.path) == path
    assert label.mask.series_key == reference(of_patient(reading, 0)[0]).key


def test_the_one_mask_with_a_doubled_ending_is_found(folder: Path) -> None:
    path = mask_for(folder, 0, 1)
    path.rename(path.with_name(path.name.replace("_ROI.nii.gz", ".nii_ROI.nii.gz")))
    assert of_patient(read_folder(DATASET, folder), 0)[0].labels[0].tier is Tier.EXPERT


def test_masks_numbered_anew_find_their_finding_by_place(folder: Path) -> None:
    for finding, lesion in ((0, 1), (1, 0)):
        mask_for(folder, 1, finding, lesion=lesion, lesions=2)
    labels = of_patient(read_folder(DATASET, folder), 1)[0].labels
    assert {label.tier for label in labels} == {Tier.EXPERT}
    for label in labels:
        position = label.attributes["position_lps_mm"]
        assert np.linalg.norm(np.array(position) - np.array(box_of(label).centre)) < 3.0
    assert not any(name.startswith("pending") for label in labels for name in label.attributes)


def test_a_mask_far_from_its_point_is_kept_and_called_out(folder: Path) -> None:
    study = study_of(0, 2)
    write_mask(folder, study, study.regions[1], 1)
    reading = read_folder(DATASET, folder)
    (label,) = of_patient(reading, 0)[0].labels
    assert reading.reasons["mask_off_point"] == 1
    assert (label.tier, label.conflicts) == (Tier.EXPERT, ("mask_off_point",))


@pytest.mark.parametrize(("content", "reason"), [(0, "empty_mask"), (b"no gzip", "unreadable_mask")])
def test_a_mask_that_cannot_be_used_leaves_the_point_and_is_said(folder: Path, content: int | bytes, reason: str) -> None:
    path = mask_for(folder, 0, 1)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        mask, grid = read_mask(path)
        write_volume(path, mask * 0, grid)
    reading = read_folder(DATASET, folder)
    assert reading.reasons[reason] == 1
    assert of_patient(reading, 0)[0].labels[0].size_source == "default"


def test_a_mask_of_no_finding_is_listed(folder: Path) -> None:
    mask_for(folder, 0, 7)
    mask_for(folder, 3, 1)
    assert read_folder(DATASET, folder).reasons["mask_without_finding"] == 2


def test_a_class_without_a_biopsy_is_not_tissue(tmp_path: Path) -> None:
    TREE.other_layouts["masks_repository"](tmp_path, 2, 1)
    first, second = read_folder(DATASET, tmp_path).labels
    assert (first.isup_grade, first.status, first.class_source) == (3, LesionStatus.CANCER, "histopathology")
    assert (second.isup_grade, second.status, second.class_source) == (None, LesionStatus.NOT_SIGNIFICANT, "not_stated")


# Images and rows that do not meet ----------------------------------------------------------------------------------


def test_findings_without_images_and_images_without_findings_are_listed(folder: Path) -> None:
    shutil.rmtree(folder / "PROSTATEx" / "ProstateX-0000")
    reading = read_folder(DATASET, folder)
    assert (reading.reasons["row_without_images"], reading.reasons["images_without_rows"]) == (1, 1)


def test_files_of_another_patient_are_called_out_and_not_used(folder: Path) -> None:
    shutil.rmtree(folder / "PROSTATEx" / "ProstateX-0000")
    shutil.copytree(folder / "PROSTATEx" / "ProstateX-0003", folder / "PROSTATEx" / "ProstateX-0000")
    reading = read_folder(DATASET, folder)
    assert of_patient(reading, 0) == []
    assert (reading.reasons["other_patient"], reading.reasons["no_reference_image"]) == (1, 1)


def test_a_corrupt_image_is_listed_and_the_rest_goes_on(folder: Path) -> None:
    path = next(path for path in sorted(folder.rglob("*.dcm")) if "ProstateX-0000" in str(path) and "ADC" in str(path))
    path.write_bytes(path.read_bytes()[:200])
    reading = read_folder(DATASET, folder)
    assert len(of_patient(reading, 0)) == 1
    assert [entry.kind for entry in reading.ledger if entry.outcome is Outcome.DROPPED and entry.item_id.endswith(path.name)] == ["file"]


def test_folders_named_by_uids_are_read_as_well(folder: Path) -> None:
    plain = {case.patient_id: case.study.study_uid for case in read_folder(DATASET, folder).cases}
    for depth, name in ((4, "MR_1.2.{}"), (3, "1.2.{}")):
        for number, path in enumerate(sorted(folder.glob("/".join(["*"] * depth)))):
            if path.is_dir() and "ProstateX-" in str(path):
                path.rename(path.with_name(name.format(number)))
    assert {case.patient_id: case.study.study_uid for case in read_folder(DATASET, folder).cases} == plain


# Tables -------------------------------------------------------------------------------------------------------------


def test_a_renamed_column_is_named_with_the_nearest(folder: Path) -> None:
    edit(folder / FINDINGS, lambda rows: [{"ProxIDs" if name == "ProxID" else name: value for name, value in row.items()} for row in rows])
    with pytest.raises(InputError, match="ProxIDs"):
        read_folder(DATASET, folder)


def test_a_semicolon_table_in_another_encoding_is_read(folder: Path) -> None:
    text = (folder / FINDINGS).read_text()
    (folder / FINDINGS).write_bytes(text.replace(",", ";").encode("utf-16"))
    assert len(read_folder(DATASET, folder).labels) == 5


def test_the_workbook_copy_of_the_findings_is_read(folder: Path) -> None:
    rows: list[Sequence[str]] = list(csv.reader((folder / FINDINGS).open()))
    write_strict_workbook(folder / "ProstateX-Findings-Train.xlsx", rows)
    (folder / FINDINGS).unlink()
    assert len(read_folder(DATASET, folder).labels) == 5


def test_unreadable_points_and_unknown_classes_are_listed(folder: Path) -> None:
    def spoil(rows: list[Row]) -> list[Row]:
        return [{**rows[0], "pos": "1 2"}, {**rows[1], "ClinSig": "maybe"}, *rows[2:]]

    edit(folder / FINDINGS, spoil)
    reading = read_folder(DATASET, folder)
    assert (reading.reasons["unreadable_coordinate"], reading.reasons["unreadable_boolean"]) == (1, 1)


def test_not_one_patient_in_common_is_an_error_and_no_empty_success(folder: Path) -> None:
    edit(folder / FINDINGS, lambda rows: [{**row, "ProxID": "Somebody"} for row in rows])
    with pytest.raises(InputError, match="row_without_images"):
        read_folder(DATASET, folder)


# Names --------------------------------------------------------------------------------------------------------------


def test_names_tell_studies_and_not_only_patients(folder: Path) -> None:
    reading = read_folder(DATASET, folder)
    names = [set(case.origin.identifiers) for case in reading.cases if case.origin is not None]
    assert all(not (one & other) for index, one in enumerate(names) for other in names[index + 1 :])
    (first,) = [case for case in of_patient(reading, 0) if case.origin is not None]
    assert first.origin is not None
    assert {"prostatex:ProstateX-0000", "prostatex:ProstateX-0000_07-07-2011", f"study:{first.study.study_uid}"} <= {
        *first.origin.identifiers
    }
    assert {case.origin.group_ids for case in of_patient(reading, 2) if case.origin} == {("patient:prostatex:ProstateX-0002",)}


# The real tables and one real study --------------------------------------------------------------------------------


def real_tables(folder: Path) -> None:
    tables = SHARED_DATA / "prostate_tables" / "prostatex"
    for name in (FINDINGS, IMAGES):
        (folder / name).symlink_to(tables / name)
    (folder / "2-Final-with-Ktrans.csv").symlink_to(tables / "PROSTATEx-2_joined_2-Final-with-Ktrans.csv")


@pytest.mark.shared
@needs_shared
def test_the_real_tables_load_completely(tmp_path: Path) -> None:
    real_tables(tmp_path)
    for number in range(346):
        path = tmp_path / "PROSTATEx" / f"ProstateX-{number:04d}" / "study" / "4.000000-t2" / "1-01.dcm"
        path.parent.mkdir(parents=True)
        path.touch()
    located = locate(DATASET, tmp_path)
    assert located is not None
    items = list(read_cases(DATASET, located))
    cases = [item for item in items if isinstance(item, CuratedCase)]
    labels = [label for case in cases for label in case.labels]
    assert (len(labels), len({case.patient_id for case in cases})) == (330, 204)
    repeats = [item for item in items if isinstance(item, LedgerEntry) and item.reason == "finding_number_used_twice"]
    assert len(repeats) == 2 * 3
    assert sum(isinstance(item, LedgerEntry) and item.outcome is Outcome.DROPPED for item in items) == 346 - 204
    assert sum(label.is_clinically_significant is True for label in labels) == 76
    assert [sum(label.isup_grade == grade for label in labels) for grade in range(1, 6)] == [36, 41, 20, 8, 7]


@pytest.mark.shared
@needs_shared
def test_the_real_workbook_copy_holds_the_same_findings(tmp_path: Path) -> None:
    (tmp_path / "ProstateX-Findings-Train.xlsx").symlink_to(SHARED_DATA / "prostate_tables/prostatex/ProstateX-Findings-Train.xlsx")
    for number in range(204):
        path = tmp_path / f"ProstateX-{number:04d}" / "study" / "series" / "1-01.dcm"
        path.parent.mkdir(parents=True)
        path.touch()
    located = locate(DATASET, tmp_path)
    assert located is not None
    cases = [item for item in read_cases(DATASET, located) if isinstance(item, CuratedCase)]
    assert sum(len(case.labels) for case in cases) == 330


@pytest.mark.shared
@needs_shared
def test_the_box_of_a_real_finding_meets_the_mask_that_others_drew(tmp_path: Path) -> None:
    real_tables(tmp_path)
    (tmp_path / "PROSTATEx").symlink_to(SHARED_DATA / "prostate_dicom" / "ProstateX")
    (case,) = read_folder(DATASET, tmp_path).cases
    (label,) = case.labels
    box = box_of(label)
    mask, grid = read_mask(SHARED_DATA / "nc_picai_labels/csPCa_lesion_delineations/human_expert/original/11373_1001396.nii.gz")
    points = grid.to_lps(np.argwhere(mask > 0)[:, ::-1])
    own = reference(case).grid
    assert own is not None
    index = own.to_index(points)
    inside = np.all((index >= np.array(box.voxel_start) - 0.5) & (index <= np.array(box.voxel_stop) - 0.5), axis=1)
    assert inside.mean() > 0.5
    assert (label.zone, label.isup_grade, case.study.patient_age_years) == ("PZ", 3, 63.0)


@pytest.mark.shared
@needs_shared
def test_real_findings_of_the_patient_with_two_studies_lie_in_one_of_them_each() -> None:
    corners = t2_corners(SHARED_DATA / "prostate_tables" / "prostatex" / IMAGES)
    own = {key[2]: found for key, found in corners.items() if key[0] == "ProstateX-0025"}
    assert [len(found) for found in own.values()] == [1] * 5
    assert sorted(Counter(found[0][2] for found in own.values()).values()) == [1, 4]
