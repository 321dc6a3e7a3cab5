"""RSNA Screening Mammography: classes of a breast, no boxes, a test part without classes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.planted import Reading, check_truth, read_folder, same_bytes_twice
from weakbox.datasets_public.breast_labels import SCOPE
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.rsna_mammography import DATASET
from weakbox.labelling.policy import LabelPolicy, image_class
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus
from weakbox.simulate.public.rsna_mammography import TRAIN_HEADER, TREE

Stated = dict[str, str]
NEGATIVE = {"cancer": "0", "biopsy": "0", "invasive": "0"}


def row(patient: str, image: str, side: str, **cells: str) -> Stated:
    return {"site_id": "1", "patient_id": patient, "image_id": image, "laterality": side, "view": "CC", "age": "61.0", **NEGATIVE, **cells}


def write_set(folder: Path, rows: Sequence[Stated], *, without: Sequence[str] = ()) -> Path:
    """``train.csv`` and black pictures in a folder a patient."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, TRAIN_HEADER, restval="")
        writer.writeheader()
        writer.writerows(rows)
    for stated in rows:
        path = folder / "train_images" / stated["patient_id"] / f"{stated['image_id']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if stated["image_id"] not in without:
            Image.new("L", (30, 40)).save(path)
    return folder


def read(folder: Path, *rows: Stated) -> Reading:
    return read_folder(DATASET, write_set(folder, rows))


@pytest.mark.parametrize("layout", [TREE.layout, *TREE.other_layouts])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    tree = {TREE.layout: TREE.write, **TREE.other_layouts}[layout](tmp_path, 6, 1)
    reading = read_folder(DATASET, tmp_path)
    check_truth(reading, tree, tmp_path, iou=1.0)
    of_women = [[(label.side, label.diagnosis) for label in case.labels] for case in reading.cases]
    assert sorted(of_women, key=str) == sorted(
        [
            [("left", "malignant"), ("right", "no_cancer")],
            [("left", "no_cancer"), ("right", "no_cancer")],
            [("left", "no_cancer"), ("right", "benign")],
            [("left", "malignant"), ("right", "no_cancer")],
            [("left", "malignant"), ("right", "no_cancer")],
            [],
        ],
        key=str,
    )


def test_images_one_folder_deeper_are_found(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    located = locate(DATASET, tmp_path)
    assert located is not None
    assert (located.layout, located.missing, len(located.files["train_images"])) == ("kaggle", (), 8)


def test_there_are_no_boxes(tmp_path: Path) -> None:
    TREE.write(tmp_path, 4, 1)
    assert {(label.pixel_box, label.series_key, label.tier) for label in read_folder(DATASET, tmp_path).labels} == {
        (None, None, "case_level")
    }


def test_cancer_is_one_label_a_breast_and_reaches_only_that_breasts_images(tmp_path: Path) -> None:
    rows = [row("7", "1", "L", cancer="1", biopsy="1"), row("7", "2", "L", cancer="1", biopsy="1"), row("7", "3", "R")]
    reading = read(tmp_path, *rows)
    (case,) = reading.cases
    assert [(label.side, label.diagnosis, label.status, label.attributes[SCOPE]) for label in case.labels] == [
        ("left", "malignant", LesionStatus.CANCER, "breast"),
        ("right", "no_cancer", LesionStatus.UNTESTED, "breast"),
    ]
    classes = {name: image_class(case, reading.image(f"/{name}"), LabelPolicy()).name for name in "123"}
    assert (classes["1"], classes["2"]) == ("malignant", "malignant")
    assert classes["3"] not in (None, "malignant")


def test_no_cancer_is_benign_only_where_tissue_was_taken(tmp_path: Path) -> None:
    reading = read(tmp_path, row("7", "1", "L", biopsy="1"), row("7", "2", "R"))
    assert [(label.diagnosis, label.status, label.class_source) for label in reading.labels] == [
        ("benign", LesionStatus.BENIGN, "histopathology"),
        ("no_cancer", LesionStatus.UNTESTED, "follow_up"),
    ]


def test_follow_up_without_cancer_counts_more_than_birads_0(tmp_path: Path) -> None:
    reading = read(tmp_path, row("7", "1", "L", BIRADS="0.0"))
    assert reading.labels[0].birads == "0"
    verdict = image_class(reading.cases[0], reading.series[0], LabelPolicy())
    assert (verdict.name, verdict.source) == ("benign", "follow_up")


def test_a_woman_without_cancer_or_biopsy_is_a_negative_and_another_is_not(tmp_path: Path) -> None:
    reading = read(tmp_path, row("7", "1", "L"), row("7", "2", "R"), row("8", "3", "L"), row("8", "4", "R", biopsy="1"))
    assert [bool(case.negative_reason) for case in reading.cases] == [True, False]


def test_test_rows_carry_no_class_and_stay_the_test_part(tmp_path: Path) -> None:
    TREE.write(tmp_path, 6, 1)
    test = [case for case in read_folder(DATASET, tmp_path).cases if case.origin and case.origin.official_split == "test"]
    assert [(case.labels, case.negative_reason) for case in test] == [((), None)]


def test_a_woman_in_both_tables_is_one_group(tmp_path: Path) -> None:
    write_set(tmp_path, [row("7", "1", "L")])
    (tmp_path / "test.csv").write_text(
        "site_id,patient_id,image_id,laterality,view,age,implant,machine_id,prediction_id\n1,7,9,L,CC,61,0,3,7_L\n"
    )
    picture = tmp_path / "test_images" / "7" / "9.png"
    picture.parent.mkdir(parents=True)
    Image.new("L", (30, 40)).save(picture)
    reading = read_folder(DATASET, tmp_path)
    assert len({case.case_id for case in reading.cases}) == 2
    assert {case.origin.group_ids for case in reading.cases if case.origin} == {("patient:rsna_mammography:7",)}


def test_numbers_written_as_floats_and_empty_cells_are_read(tmp_path: Path) -> None:
    stated = row("7.0", "1.0", "L", cancer="1.0", BIRADS="2.0", implant="0.0", density="nan", machine_id="49")
    stated_path = write_set(tmp_path, [stated])
    (tmp_path / "train_images" / "7.0").rename(tmp_path / "train_images" / "7")
    (tmp_path / "train_images" / "7" / "1.0.png").rename(tmp_path / "train_images" / "7" / "1.png")
    reading = read_folder(DATASET, stated_path)
    (case,) = reading.cases
    assert (case.labels[0].diagnosis, case.labels[0].birads, case.study.patient_age_years) == ("malignant", "2", 61.0)
    assert case.study.series[0].attributes == {
        "laterality": "left", "view": "CC", "implant": False, "centre": "1", "machine": "49", "columns": 30, "rows": 40,
    }  # fmt: skip
    assert not reading.reasons


def test_rows_of_a_breast_that_disagree_are_kept_and_flagged(tmp_path: Path) -> None:
    reading = read(tmp_path, row("7", "1", "L", cancer="1"), row("7", "2", "L", cancer="0"))
    (label,) = reading.labels
    assert (label.diagnosis, label.conflicts, label.needs_review) == ("malignant", ("cancer: False, True",), True)
    assert reading.reasons == {"conflicting_labels": 1}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [({"cancer": "2"}, "unexpected_value"), ({"laterality": "B"}, "unexpected_value"), ({"BIRADS": "x"}, "unexpected_value")],
)
def test_an_unexpected_value_is_called_out_and_the_image_stays(tmp_path: Path, cells: Stated, reason: str) -> None:
    reading = read(tmp_path, {**row("7", "1", "L"), **cells})
    assert reading.reasons[reason] == 1
    assert len(reading.series) == 1


def test_a_row_whose_side_is_not_known_gives_its_class_to_no_breast(tmp_path: Path) -> None:
    reading = read(tmp_path, {**row("7", "1", "L", cancer="1"), "laterality": ""})
    assert (reading.labels, reading.reasons) == ([], {"no_laterality": 1})


def test_repeated_rows_missing_files_and_strange_files_are_counted(tmp_path: Path) -> None:
    write_set(tmp_path, [row("7", "1", "L"), row("7", "1", "L"), row("7", "2", "R")], without=["2"])
    Image.new("L", (30, 40)).save(tmp_path / "train_images" / "7" / "99.png")
    assert read_folder(DATASET, tmp_path).reasons == {"repeated_row": 1, "missing_image": 1, "image_without_row": 1}


def test_a_renamed_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_set(tmp_path, [row("7", "1", "L")])
    table = tmp_path / "train.csv"
    table.write_text(table.read_text().replace("cancer", "target"))
    with pytest.raises(InputError, match="cancer"):
        read_folder(DATASET, tmp_path)


def test_other_competitions_are_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_name,target\nISIC_1,0\n")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "ISIC_1.jpg").write_bytes(b"x")
    assert locate(DATASET, tmp_path) is None


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)
