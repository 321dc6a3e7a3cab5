"""ISIC 2020: patients, duplicates, two formats, the untold test part."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skin_sets import Read, edit_table, rename_column, tree_of
from weakbox.datasets_public.cases import image_path
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus

TRUTH = "ISIC_2020_Training_GroundTruth_v2.csv"
DUPLICATES = "ISIC_2020_Training_Duplicates.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree_of("isic_2020").write(tmp_path, 3, 1)
    return tmp_path


def test_images_of_one_patient_share_a_group(folder: Path) -> None:
    cases = Read("isic_2020", folder).cases.values()
    patients = [group for case in cases if case.origin for group in case.origin.group_ids if group.startswith("patient:")]
    assert len(patients) == 9 and len(set(patients)) == 3


def test_listed_duplicates_share_an_identifier_and_a_group(folder: Path) -> None:
    cases = Read("isic_2020", folder).cases
    first, second = cases["ISIC_0015719"].origin, cases["ISIC_0015726"].origin
    assert first is not None and second is not None
    assert set(first.identifiers) & set(second.identifiers) == {"isic_2020_copies:ISIC_0015719"}
    assert "copies:isic_2020:ISIC_0015719" in set(first.group_ids) & set(second.group_ids)
    assert (
        Path(image_path(cases["ISIC_0015719"].study.series[0])).read_bytes()
        == image_path(cases["ISIC_0015726"].study.series[0]).read_bytes()
    )


def test_duplicates_of_duplicates_are_one_group(folder: Path) -> None:
    pairs = [("ISIC_0015740", "ISIC_0015733"), ("ISIC_0015719", "ISIC_0015726"), ("ISIC_0015733", "ISIC_0015726")]
    (folder / DUPLICATES).write_text("image_name_1,image_name_2\n" + "".join(f"{one},{other}\n" for one, other in pairs))
    cases = Read("isic_2020", folder).cases.values()
    named = [case for case in cases if case.origin and "isic_2020_copies:ISIC_0015719" in case.origin.identifiers]
    assert len(named) == 4


def test_a_duplicate_pair_of_nothing_is_listed(folder: Path) -> None:
    with (folder / DUPLICATES).open("a") as file:
        file.write("ISIC_0015719,\n")
    assert Read("isic_2020", folder).reasons["no_image_name"] == 1


def test_an_unknown_diagnosis_is_benign_as_the_table_says_and_not_proven(folder: Path) -> None:
    labels = [case.labels[0] for case in Read("isic_2020", folder).cases.values()]
    benign = [label for label in labels if label.diagnosis == "benign"]
    assert benign and {(label.status, label.class_source, label.attributes["malignancy"]) for label in benign} == {
        (LesionStatus.UNTESTED, "not_stated", "benign")
    }
    melanoma = [label for label in labels if label.diagnosis == "melanoma"]
    assert melanoma and {(label.status, label.class_source) for label in melanoma} == {(LesionStatus.CANCER, "histopathology")}


def test_ground_truth_v2_wins_over_v1(folder: Path) -> None:
    cases = Read("isic_2020", folder).cases.values()
    assert all(any(group.startswith("lesion:") for group in case.origin.group_ids) for case in cases if case.origin)
    (folder / TRUTH).unlink()
    cases = Read("isic_2020", folder).cases.values()
    assert len(cases) == 9 and not any(group.startswith("lesion:") for case in cases if case.origin for group in case.origin.group_ids)


def test_the_untold_test_part_is_never_taken_for_benign(folder: Path) -> None:
    read = Read("isic_2020", folder)
    assert "ISIC_0052060" not in read.cases
    assert read.reasons == {"no_public_truth": 1}


def test_jpeg_and_dicom_of_one_image_are_one_image(tmp_path: Path) -> None:
    tree_of("isic_2020").other_layouts["kaggle"](tmp_path, 2, 1)
    read = Read("isic_2020", tmp_path)
    assert read.located.layout == "kaggle" and len(read.cases) == 6
    assert {image_path(case.study.series[0]).suffix for case in read.cases.values()} == {".jpg"}
    assert read.reasons == {"repeated_file": 6}


def test_dicom_images_have_the_size_of_their_header(tmp_path: Path) -> None:
    tree_of("isic_2020").other_layouts["challenge in DICOM"](tmp_path, 1, 1)
    read = Read("isic_2020", tmp_path)
    case, reasons = read.completed("ISIC_0015719")
    assert case is not None and not reasons
    assert case.study.series[0].instances and case.study.series[0].attributes["rows"] == 120
    path = image_path(case.study.series[0])
    path.write_bytes(path.read_bytes()[:100])
    assert read.completed("ISIC_0015719") == (None, {"unreadable_image": 1})


@pytest.mark.parametrize(
    ("change", "reasons", "cases"),
    [
        ({"target": "1"}, {"conflicting_labels": 1}, 9),
        ({"target": ""}, {"no_class": 1}, 8),
        ({"target": "2"}, {"unexpected_value": 1, "no_class": 1}, 8),
        ({"patient_id": ""}, {"no_patient": 1}, 9),
        ({"benign_malignant": ""}, {}, 9),
        ({"diagnosis": "melanoma"}, {"conflicting_labels": 1}, 9),
    ],
)
def test_a_bad_row_is_counted(change: dict[str, str], reasons: dict[str, int], cases: int, folder: Path) -> None:
    edit_table(folder / TRUTH, lambda rows: [{**rows[0], **change}, *rows[1:]])
    read = Read("isic_2020", folder)
    assert read.reasons == {**reasons, "no_public_truth": 1} and len(read.cases) == cases


@pytest.mark.parametrize("column", ["patient_id", "target", "image_name"])
def test_a_missing_column_is_named(column: str, folder: Path) -> None:
    rename_column(folder / TRUTH, column, "other")
    with pytest.raises(InputError, match=column):
        Read("isic_2020", folder)
