"""PI-CAI: masks of readers and of models, lists of different lengths, PROSTATEx inside."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.planted import Reading, read_folder, same_bytes_twice
from tests.planted_mr import SHARED_DATA, box_of, check_truth, export_and_check, needs_shared, overlap, reference
from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.picai import DATASET
from weakbox.datasets_public.prostatex import DATASET as PROSTATEX
from weakbox.imaging.segmentations import read_mask
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import Purpose
from weakbox.records.label import CuratedCase, LesionStatus, Tier
from weakbox.simulate.public.picai import TREE
from weakbox.simulate.public.prostate_studies import write_volume
from weakbox.simulate.public.prostatex import TREE as PROSTATEX_TREE
from weakbox.simulate.public.tree import PlantedTree

Row = dict[str, str]
LABELS = Path("picai_labels")
MARKSHEET = LABELS / "clinical_information/marksheet.csv"
MAPPING = LABELS / "additional_resources/ProstateX-mapping.json"
MASKS = LABELS / "csPCa_lesion_delineations"
RESAMPLED, NEWER, ORIGINAL, MODEL = (
    MASKS / name for name in ("human_expert/resampled", "human_expert/Pooch25", "human_expert/original", "AI/Bosma22a")
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedTree]:
    folder = tmp_path_factory.mktemp("picai")
    return folder, TREE.write(folder, 5, 1)


@pytest.fixture
def folder(written: tuple[Path, PlantedTree], tmp_path: Path) -> Path:
    """A copy of the tree that a test may change."""
    shutil.copytree(written[0], tmp_path / "set")
    return tmp_path / "set"


def edit(path: Path, change: Callable[[Row], Row]) -> None:
    with path.open(newline="") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def study(reading: Reading, number: int) -> CuratedCase:
    return next(case for case in reading.cases if case.case_id == f"picai/{10000 + number}_{1000000 + number}")


def mask(folder: Path, kind: Path, number: int) -> Path:
    return folder / kind / f"{10000 + number}_{1000000 + number}.nii.gz"


def test_the_tree_is_read_as_it_was_planted(written: tuple[Path, PlantedTree]) -> None:
    located = locate(DATASET, written[0])
    assert located is not None
    assert located.missing == ()
    check_truth(read_folder(DATASET, written[0]), written[1], written[0], iou=0.999)


def test_a_case_is_exported_and_its_boxes_cover_the_lesions(written: tuple[Path, PlantedTree], tmp_path: Path) -> None:
    case = study(read_folder(DATASET, written[0]), 0)
    roles = export_and_check(case, written[1].images[0], tmp_path)
    assert {"t2w", "adc_on_reference", "high_b_on_reference"} <= roles.keys()


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)


# Masks --------------------------------------------------------------------------------------------------------------


def test_voxel_values_of_readers_masks_are_grades(written: tuple[Path, PlantedTree]) -> None:
    labels = study(read_folder(DATASET, written[0]), 0).labels
    assert sorted((label.isup_grade, label.tier, label.status) for label in labels) == [
        (2, Tier.EXPERT, LesionStatus.CANCER),
        (3, Tier.EXPERT, LesionStatus.CANCER),
    ]


def test_a_models_mask_is_of_its_own_tier_and_gives_no_grade(written: tuple[Path, PlantedTree]) -> None:
    case = study(read_folder(DATASET, written[0]), 3)
    (label,) = case.labels
    assert (label.tier, label.isup_grade, case.tier, case.case_isup_grade) == (Tier.MODEL, None, Tier.MODEL, 4)
    assert (label.status, label.is_clinically_significant) == (LesionStatus.CANCER, True)


def test_a_model_that_finds_more_than_tissue_proved_proves_nothing(folder: Path) -> None:
    path = mask(folder, MODEL, 3)
    values, grid = read_mask(path)
    values[0, 0, 0] = 1
    write_volume(path, values, grid)
    labels = study(read_folder(DATASET, folder), 3).labels
    assert {(label.status, label.is_clinically_significant, label.diagnosis) for label in labels} == {(LesionStatus.UNTESTED, None, None)}


def test_a_model_is_not_asked_where_a_reader_drew(folder: Path) -> None:
    mask(folder, MODEL, 0).write_bytes(b"nobody opens this")
    reading = read_folder(DATASET, folder)
    assert {label.tier for label in study(reading, 0).labels} == {Tier.EXPERT}
    assert reading.reasons["unreadable_mask"] == 0


def test_a_newer_mask_says_lesion_and_takes_the_only_significant_grade(written: tuple[Path, PlantedTree]) -> None:
    (label,) = study(read_folder(DATASET, written[0]), 2).labels
    assert (label.tier, label.isup_grade, label.pirads, label.attributes["delineation"]) == (Tier.EXPERT, 2, 5, "masks_newer")


def test_lesions_that_touch_at_a_corner_are_one(folder: Path) -> None:
    path = mask(folder, RESAMPLED, 0)
    values, grid = read_mask(path)
    values[:] = 0
    values[2, 10, 10] = values[3, 11, 11] = 4
    values[6, 20, 20] = 2
    write_volume(path, values, grid)
    labels = study(read_folder(DATASET, folder), 0).labels
    assert sorted((box_of(label).voxel_start, box_of(label).voxel_stop, label.isup_grade) for label in labels) == [
        ((10, 10, 2), (12, 12, 4), 4),
        ((20, 20, 6), (21, 21, 7), 2),
    ]


def test_a_mask_on_another_grid_is_read_in_patient_space_and_called_out(folder: Path, written: tuple[Path, PlantedTree]) -> None:
    path = mask(folder, NEWER, 2)
    values, grid = read_mask(path)
    columns, rows, slices = grid.shape
    fine = Grid.from_matrix(grid.matrix @ np.diag([0.5, 0.5, 1.0, 1.0]), (2 * columns, 2 * rows, slices), None)
    moved = fine.matrix
    moved[:3, 3] = grid.to_lps((-0.25, -0.25, 0))
    write_volume(path, values.repeat(2, axis=1).repeat(2, axis=2), Grid.from_matrix(moved, fine.shape, None))
    reading = read_folder(DATASET, folder)
    (label,) = study(reading, 2).labels
    assert reading.reasons["mask_grid_differs"] == 1
    assert overlap(label, written[1].images[2].lesions[0]) == 1.0


def test_masks_at_the_original_resolution_serve_where_no_other_is(folder: Path, written: tuple[Path, PlantedTree]) -> None:
    mask(folder, RESAMPLED, 0).unlink()
    reading = read_folder(DATASET, folder)
    labels = study(reading, 0).labels
    assert {label.attributes["delineation"] for label in labels} == {"masks_original"}
    assert reading.reasons["mask_grid_differs"] == 0
    for lesion in written[1].images[0].lesions:
        assert max(overlap(label, lesion) for label in labels) > 0.4


@pytest.mark.parametrize(("content", "reason"), [(0, "empty_mask"), (b"no gzip", "unreadable_mask"), (None, "no_delineation")])
def test_a_positive_study_without_a_usable_mask_keeps_its_class(folder: Path, content: int | bytes | None, reason: str) -> None:
    path = mask(folder, MODEL, 3)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is None:
        path.unlink()
    else:
        values, grid = read_mask(path)
        write_volume(path, values * 0, grid)
    reading = read_folder(DATASET, folder)
    (label,) = study(reading, 3).labels
    assert reading.reasons[reason] == 1
    assert (label.box, label.tier, label.isup_grade) == (None, Tier.CASE_LEVEL, 4)
    assert (label.series_key, label.attributes) == (None, {"label_scope": "study"})


# The marksheet ------------------------------------------------------------------------------------------------------


def test_lists_of_different_lengths_are_never_joined_by_position(folder: Path) -> None:
    reading = read_folder(DATASET, folder)
    assert reading.reasons["list_lengths_differ"] == 1
    assert study(reading, 3).labels[0].pirads is None
    edit(folder / MARKSHEET, lambda row: {**row, "lesion_PIRADS": "4"} if row["patient_id"] == "10000" else row)
    assert {label.pirads for label in study(read_folder(DATASET, folder), 0).labels} == {None}


def test_a_score_is_taken_where_the_grade_names_it(folder: Path) -> None:
    found = {label.isup_grade: (label.pirads, label.gleason_primary, label.gleason_secondary) for label in study(read_folder(DATASET, folder), 0).labels}  # fmt: skip  # noqa: E501
    assert found == {3: (4, 4, 3), 2: (5, 3, 4)}
    edit(folder / MARKSHEET, lambda row: {**row, "lesion_ISUP": "3,3"} if row["patient_id"] == "10000" else row)
    assert {label.pirads for label in study(read_folder(DATASET, folder), 0).labels} == {None}


def test_no_tissue_is_no_grade(written: tuple[Path, PlantedTree]) -> None:
    reading = read_folder(DATASET, written[0])
    untested, benign = study(reading, 1), study(reading, 4)
    assert (untested.case_isup_grade, untested.negative_reason) == (None, "no_cspca_without_tissue")
    assert (benign.case_isup_grade, benign.negative_reason) == (0, "no_cspca_in_tissue")
    assert untested.labels == benign.labels == ()


def test_values_of_the_examination_are_kept(written: tuple[Path, PlantedTree]) -> None:
    case = study(read_folder(DATASET, written[0]), 1)
    assert dict(case.clinical) == {"psa_ng_ml": 7.5, "prostate_volume_ml": 51.0}
    assert (case.study.patient_age_years, str(case.study.study_date)) == (61.0, "2014-03-14")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"case_ISUP": "1"}, "significance_against_grade"),
        ({"case_ISUP": "9"}, "out_of_range"),
        ({"case_csPCa": "perhaps"}, "unreadable_boolean"),
        ({"case_csPCa": ""}, "incomplete_row"),
    ],
)
def test_an_unexpected_value_is_listed(folder: Path, change: Row, reason: str) -> None:
    edit(folder / MARKSHEET, lambda row: {**row, **change} if row["patient_id"] == "10000" else row)
    reading = read_folder(DATASET, folder)
    assert reading.reasons[reason] == 1
    assert len(reading.cases) == (5 if reason == "significance_against_grade" else 4)


def test_rows_without_images_and_images_without_rows_are_listed(folder: Path) -> None:
    for path in (folder / "images/fold1").rglob("*_t2w.mha"):
        path.rename(path.with_name("99999_9999999_t2w.mha"))
    reading = read_folder(DATASET, folder)
    assert (reading.reasons["row_without_images"], reading.reasons["images_without_rows"]) == (1, 1)


def test_a_study_without_diffusion_goes_on(folder: Path) -> None:
    for path in (folder / "images/fold0").rglob("*_hbv.mha"):
        path.unlink()
    for path in (folder / "images/fold0").rglob("*_adc.mha"):
        path.write_bytes(b"no image")
    reading = read_folder(DATASET, folder)
    assert [choice.purpose for choice in study(reading, 0).study.choices] == [Purpose.T2W]
    assert (reading.reasons["images_missing"], reading.reasons["unreadable_volume"]) == (1, 1)


def test_a_study_whose_t2_is_corrupt_is_dropped(folder: Path) -> None:
    next((folder / "images/fold0").rglob("*_t2w.mha")).write_bytes(b"no image")
    reading = read_folder(DATASET, folder)
    assert (len(reading.cases), reading.reasons["no_reference_image"]) == (4, 1)


def test_a_missing_column_is_an_error(folder: Path) -> None:
    edit(folder / MARKSHEET, lambda row: {name: value for name, value in row.items() if name != "case_csPCa"})
    with pytest.raises(InputError, match="is_significant"):
        read_folder(DATASET, folder)


@pytest.mark.parametrize("text", ["{not json", "[1, 2]"])
def test_a_broken_mapping_is_an_error_that_names_the_file(folder: Path, text: str) -> None:
    (folder / MAPPING).write_text(text)
    with pytest.raises(InputError, match=r"ProstateX-mapping\.json"):
        read_folder(DATASET, folder)


def test_not_one_study_in_common_is_an_error_and_no_empty_success(folder: Path) -> None:
    edit(folder / MARKSHEET, lambda row: {**row, "study_id": "1"})
    with pytest.raises(InputError, match="row_without_images"):
        read_folder(DATASET, folder)


# PROSTATEx inside ---------------------------------------------------------------------------------------------------


def test_prostatex_inside_is_found_by_study_and_its_patients_share_a_group(folder: Path, tmp_path: Path) -> None:
    PROSTATEX_TREE.write(tmp_path / "prostatex", 3, 1)
    mapping = {
        "ProstateX-0000_07-07-2011": "10000_1000000",
        "ProstateX-0002_07-09-2011": "10001_1000001",
        "ProstateX-0002_12-26-2011": "10002_1000002",
    }
    (folder / MAPPING).write_text(json.dumps(mapping))
    inside = {case.case_id: case.origin for case in read_folder(DATASET, folder).cases if case.origin is not None}
    outside = [case.origin for case in read_folder(PROSTATEX, tmp_path / "prostatex").cases if case.origin is not None]
    shared = Counter(name for origin in outside for other in inside.values() for name in {*origin.identifiers} & {*other.identifiers})
    assert shared == {
        "prostatex:ProstateX-0000": 1,
        "prostatex:ProstateX-0000_07-07-2011": 1,
        "prostatex:ProstateX-0002_07-09-2011": 1,
        "prostatex:ProstateX-0002_12-26-2011": 1,
    }
    assert inside["picai/10002_1000002"].group_ids == ("patient:picai:10002", "patient:prostatex:ProstateX-0002")


# The real marksheet -------------------------------------------------------------------------------------------------


@pytest.mark.shared
@needs_shared
def test_the_real_marksheet_loads_completely(tmp_path: Path) -> None:
    labels = SHARED_DATA / "nc_picai_labels"
    (tmp_path / "picai_labels").symlink_to(labels)
    with (labels / "marksheet.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            path = tmp_path / "images" / row["patient_id"] / f"{row['patient_id']}_{row['study_id']}_t2w.mha"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    located = locate(DATASET, tmp_path)
    assert located is not None
    items = list(read_cases(DATASET, located))
    cases = [item for item in items if isinstance(item, CuratedCase)]
    assert (len(cases), len({case.patient_id for case in cases})) == (1500, 1476)
    assert Counter(case.is_clinically_significant for case in cases) == {False: 1075, True: 425}
    assert sum(len(case.labels) for case in cases) == 425
    assert Counter(case.case_isup_grade for case in cases) == {None: 468, 0: 379, 1: 228, 2: 234, 3: 99, 4: 40, 5: 52}
    reasons = Counter(item.reason for item in items if isinstance(item, LedgerEntry))
    assert reasons["list_lengths_differ"] == 106
    assert sum(any(name.startswith("prostatex:") for name in case.origin.identifiers) for case in cases if case.origin) == 328


@pytest.mark.shared
@needs_shared
def test_the_box_of_a_real_mask_holds_it(tmp_path: Path) -> None:
    """The mask's own grid stands in for the T2 that it was resampled to."""
    labels = SHARED_DATA / "nc_picai_labels"
    (tmp_path / "picai_labels").symlink_to(labels)
    values, grid = read_mask(labels / "csPCa_lesion_delineations/human_expert/resampled/11373_1001396.nii.gz")
    write_volume(tmp_path / "images" / "11373_1001396_t2w.mha", values, grid)
    (case,) = read_folder(DATASET, tmp_path).cases
    (label,) = case.labels
    voxels = np.argwhere(values > 0)[:, ::-1]
    assert (box_of(label).voxel_start, box_of(label).voxel_stop) == (tuple(voxels.min(axis=0)), tuple(voxels.max(axis=0) + 1))
    assert label.isup_grade == int(values.max())
    assert box_of(label).reference_series_key == reference(case).key
