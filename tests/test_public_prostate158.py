"""Prostate158: tumour voxels are 3, T2 and ADC are drawn apart, empty cells mean that nothing was drawn."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.planted import Reading, read_folder, same_bytes_twice
from tests.planted_mr import box_of, check_truth, export_and_check, overlap
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.prostate158 import DATASET
from weakbox.imaging.segmentations import read_mask
from weakbox.records.errors import InputError
from weakbox.records.imaging import Purpose
from weakbox.records.label import CuratedCase, LesionStatus, Tier
from weakbox.simulate.public.prostate158 import TREE
from weakbox.simulate.public.prostate_studies import write_volume
from weakbox.simulate.public.tree import PlantedTree

Row = dict[str, str]
TRAIN = Path("prostate158_train")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedTree]:
    folder = tmp_path_factory.mktemp("prostate158")
    return folder, TREE.write(folder, 4, 1)


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
    return next(case for case in reading.cases if case.case_id == f"prostate158/{number:03d}")


def test_the_tree_is_read_as_it_was_planted(written: tuple[Path, PlantedTree]) -> None:
    located = locate(DATASET, written[0])
    assert located is not None
    assert (located.layout, located.missing) == ("zenodo", ())
    check_truth(read_folder(DATASET, written[0]), written[1], written[0], iou=0.999)


def test_a_case_is_exported_and_its_boxes_cover_the_lesions(written: tuple[Path, PlantedTree], tmp_path: Path) -> None:
    case = study(read_folder(DATASET, written[0]), 20)
    roles = export_and_check(case, written[1].images[0], tmp_path)
    assert {"t2w", "adc", "high_b"} <= roles.keys()


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)


def test_the_training_folder_alone_is_recognised_and_partial(written: tuple[Path, PlantedTree]) -> None:
    located = locate(DATASET, written[0] / TRAIN)
    assert located is not None
    assert (located.layout, located.missing) == ("folder", ("test (test.csv)",))
    assert len(read_folder(DATASET, written[0] / TRAIN).cases) == 3


def test_a_zip_that_was_unpacked_into_a_folder_of_its_own_name_is_read(folder: Path) -> None:
    (folder / TRAIN).rename(folder / "inner")
    (folder / TRAIN).mkdir()
    (folder / "inner").rename(folder / TRAIN / TRAIN)
    assert len(read_folder(DATASET, folder).cases) == 4


def test_parts_are_the_sets_own_split(written: tuple[Path, PlantedTree]) -> None:
    splits = {case.case_id: case.origin.official_split for case in read_folder(DATASET, written[0]).cases if case.origin}
    expected = {"prostate158/020": "train", "prostate158/021": "train", "prostate158/022": "validation", "prostate158/004": "test"}
    assert splits == expected


def test_tumour_voxels_of_any_value_count_and_are_no_grade(written: tuple[Path, PlantedTree]) -> None:
    label = study(read_folder(DATASET, written[0]), 22).labels[0]
    assert label.mask is not None
    assert label.mask.value == 3
    assert (label.isup_grade, label.is_clinically_significant, label.status, label.tier) == (None, None, LesionStatus.CANCER, Tier.EXPERT)


def test_a_tumour_drawn_on_both_images_is_one_and_one_of_adc_alone_is_added(written: tuple[Path, PlantedTree]) -> None:
    reading = read_folder(DATASET, written[0])
    labels = study(reading, 20).labels
    assert sorted(label.label_id for label in labels) == ["prostate158/020/1", "prostate158/020/adc-1"]
    assert reading.reasons["adc_only"] == 1
    for lesion in written[1].images[0].lesions:
        assert max(overlap(label, lesion) for label in labels) == 1.0


def test_a_tumour_of_the_second_reader_alone_is_called_out_and_not_used(folder: Path) -> None:
    path = folder / "prostate158_test/test/004/adc_tumor_reader2.nii.gz"
    values, grid = read_mask(path)
    values[1, 3, 3] = 3
    write_volume(path, values, grid)
    reading = read_folder(DATASET, folder)
    assert len(study(reading, 4).labels) == 1
    assert reading.reasons["second_reader_only"] == 1


def test_an_empty_cell_is_a_study_without_a_tumour(written: tuple[Path, PlantedTree]) -> None:
    case = study(read_folder(DATASET, written[0]), 21)
    assert (case.labels, case.negative_reason) == ((), "no_tumour_drawn")


def test_a_tumour_of_adc_alone_is_no_negative(folder: Path) -> None:
    edit(folder / TRAIN / "valid.csv", lambda row: {**row, "t2_tumor_reader1": ""})
    case = study(read_folder(DATASET, folder), 22)
    assert case.negative_reason is None
    assert box_of(case.labels[0]).voxel_stop > (0, 0, 0)


@pytest.mark.parametrize(("content", "reason"), [(0, "no_place"), (b"no gzip", "unreadable_mask"), (None, "file_missing")])
def test_a_listed_tumour_without_a_usable_mask_keeps_its_class(folder: Path, content: int | bytes | None, reason: str) -> None:
    for path in (folder / TRAIN / "train/022").glob("*_tumor_*"):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            path.unlink()
        else:
            values, grid = read_mask(path)
            write_volume(path, values * 0, grid)
    reading = read_folder(DATASET, folder)
    (label,) = study(reading, 22).labels
    assert (label.box, label.tier, label.attributes) == (None, Tier.CASE_LEVEL, {"label_scope": "study"})
    assert reading.reasons[reason] >= 1
    assert reading.reasons["no_place"] == 1


def test_images_are_found_by_the_tables_paths_and_not_by_the_number(folder: Path) -> None:
    edit(folder / TRAIN / "valid.csv", lambda row: {**row, "t2": row["t2"].replace("/", "\\")})
    assert study(read_folder(DATASET, folder), 22).labels
    edit(folder / TRAIN / "valid.csv", lambda row: {**row, "t2": "train/22/t2.nii.gz"})
    reading = read_folder(DATASET, folder)
    assert (reading.reasons["row_without_images"], reading.reasons["images_without_rows"]) == (1, 1)


def test_a_study_without_diffusion_goes_on(folder: Path) -> None:
    (folder / TRAIN / "train/022/dwi.nii.gz").unlink()
    reading = read_folder(DATASET, folder)
    assert {choice.purpose for choice in study(reading, 22).study.choices} == {Purpose.T2W, Purpose.ADC}
    assert reading.reasons["file_missing"] == 1


def test_a_corrupt_t2_drops_the_study(folder: Path) -> None:
    (folder / TRAIN / "train/022/t2.nii.gz").write_bytes(b"no image")
    reading = read_folder(DATASET, folder)
    assert (len(reading.cases), reading.reasons["no_reference_image"]) == (3, 1)


def test_one_study_in_two_parts_is_taken_once(folder: Path) -> None:
    shutil.copy(folder / TRAIN / "train.csv", folder / TRAIN / "valid.csv")
    reading = read_folder(DATASET, folder)
    assert reading.reasons["repeated_case"] == 2


def test_a_missing_column_is_an_error(folder: Path) -> None:
    edit(folder / TRAIN / "train.csv", lambda row: {name: value for name, value in row.items() if name != "t2"})
    with pytest.raises(InputError, match="`t2`"):
        read_folder(DATASET, folder)


def test_no_image_at_all_is_an_error_and_no_empty_success(folder: Path) -> None:
    for path in folder.rglob("t2.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match="row_without_images"):
        read_folder(DATASET, folder)
