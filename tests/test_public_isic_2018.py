"""ISIC 2018: three tasks side by side, empty structure masks, lesion groupings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.skin_sets import Read, edit_table, rename_column, tree_of
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus

TRUTH = "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"
GROUPINGS = "ISIC2018_Task3_Training_LesionGroupings.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree_of("isic_2018").write(tmp_path, 6, 1)
    return tmp_path


def test_an_empty_structure_mask_is_an_answer_and_no_error(folder: Path) -> None:
    read = Read("isic_2018", folder)
    case, reasons = read.completed("ISIC_0000100")
    assert not reasons and case is not None
    assert [label.finding_types for label in case.labels] == [("globules",), ()]
    assert case.study.series[0].attributes["absent_structures"] == ("milia_like_cyst", "negative_network", "pigment_network", "streaks")


def test_an_image_with_empty_structure_masks_only_keeps_its_lesion(folder: Path) -> None:
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(
        folder / "ISIC2018_Task2_Training_GroundTruth_v3" / "ISIC_0000100_attribute_globules.png"
    )
    case, reasons = Read("isic_2018", folder).completed("ISIC_0000100")
    assert not reasons and case is not None and len(case.labels) == 1 and case.labels[0].pixel_box is not None


def test_an_image_of_which_nothing_is_left_is_dropped(folder: Path) -> None:
    shutil.rmtree(folder / "ISIC2018_Task2_Training_GroundTruth_v3")
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(folder / "ISIC2018_Task1_Training_GroundTruth" / "ISIC_0000100_segmentation.png")
    case, reasons = Read("isic_2018", folder).completed("ISIC_0000100")
    assert case is None and reasons == {"empty_mask": 1, "no_label_left": 1}


def test_a_structure_is_no_diagnosis_and_a_drawn_lesion_without_a_class_stays_untested(folder: Path) -> None:
    case = Read("isic_2018", folder).cases["ISIC_0000100"]
    assert {label.diagnosis for label in case.labels} == {None}
    assert {label.status for label in case.labels} == {LesionStatus.UNTESTED}
    assert sum(bool(label.finding_types) for label in case.labels) == 5


def test_official_parts_come_from_folders_and_tables(folder: Path) -> None:
    cases = Read("isic_2018", folder).cases
    splits = [case.origin.official_split for case in cases.values() if case.origin]
    assert {split: splits.count(split) for split in set(splits)} == {"train": 2 + 8, "validation": 2 + 3, "test": 2 + 3}


def test_groupings_bring_lesions_and_what_a_diagnosis_rests_on(folder: Path) -> None:
    cases = [case for case in Read("isic_2018", folder).cases.values() if case.origin and case.origin.group_ids]
    assert len(cases) == 8 and len({case.origin.group_ids for case in cases if case.origin}) == 6
    assert {case.labels[0].class_source for case in cases} == {"histopathology", "follow_up", "consensus", "confocal"}


def test_missing_groupings_are_said(folder: Path) -> None:
    (folder / GROUPINGS).unlink()
    read = Read("isic_2018", folder)
    assert read.reasons == {"no_lesion_groups": 1}
    assert {case.labels[-1].class_source for case in read.cases.values()} == {"not_stated"}


def test_task_3_without_its_groupings_is_partial(tmp_path: Path) -> None:
    tree_of("isic_2018").other_layouts["task_3"](tmp_path, 3, 1)
    (tmp_path / GROUPINGS).unlink()
    assert [missing.split()[0] for missing in Read("isic_2018", tmp_path).located.missing] == ["lesions"]


def test_both_kinds_of_tasks_are_read_though_task_2_is_absent(folder: Path) -> None:
    for path in folder.glob("ISIC2018_Task2_*"):
        shutil.rmtree(path)
    read = Read("isic_2018", folder)
    assert read.located.layout == "all_tasks" and not read.located.missing and len(read.cases) == 6 + 14


def test_superpixels_are_no_images(folder: Path) -> None:
    assert not Read("isic_2018", folder).reasons


@pytest.mark.parametrize(
    ("change", "reasons", "cases"),
    [
        ({"MEL": "1.0", "NV": "1.0"}, {"conflicting_labels": 1}, 20),
        (
            dict.fromkeys(("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"), "0.0"),
            {"no_class": 1, "row_without_truth": 1, "image_without_row": 1},
            19,
        ),
        ({"MEL": "0.7"}, {"unexpected_value": 1, "row_without_truth": 1, "image_without_row": 1}, 19),
        ({"image": "ISIC_9999999"}, {"image_missing": 1, "row_without_truth": 1, "image_without_row": 1}, 19),
    ],
)
def test_a_bad_truth_row_is_counted(change: dict[str, str], reasons: dict[str, int], cases: int, folder: Path) -> None:
    edit_table(folder / TRUTH, lambda rows: [{**rows[0], **change}, *rows[1:]])
    read = Read("isic_2018", folder)
    assert read.reasons == reasons and len(read.cases) == cases


def test_two_classes_of_one_image_are_both_kept(folder: Path) -> None:
    edit_table(folder / TRUTH, lambda rows: [{**rows[0], "MEL": "1.0", "NV": "1.0"}, *rows[1:]])
    (case,) = (case for case in Read("isic_2018", folder).cases.values() if case.conflicts)
    assert [label.diagnosis for label in case.labels] == ["melanoma", "nevus"] and all(label.needs_review for label in case.labels)


def test_a_mask_without_its_image_is_listed(folder: Path) -> None:
    (folder / "ISIC2018_Task1-2_Training_Input" / "ISIC_0000100.jpg").unlink()
    assert Read("isic_2018", folder).reasons == {"mask_without_image": 6}


@pytest.mark.parametrize(("table", "column"), [(TRUTH, "AKIEC"), (TRUTH, "image"), (GROUPINGS, "lesion_id")])
def test_a_missing_column_is_named(table: str, column: str, folder: Path) -> None:
    rename_column(folder / table, column, "other")
    with pytest.raises(InputError, match=column):
        Read("isic_2018", folder)
