"""HAM10000: lesions as groups, what a diagnosis rests on, mirrors, bad rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.skin_sets import Read, edit_table, rename_column, tree_of
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus, Tier
from weakbox.terminology.dermatology import Malignancy, malignancy_of

TABLE = "HAM10000_metadata.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree_of("ham10000").write(tmp_path, 8, 1)
    return tmp_path


def test_images_of_one_lesion_share_a_group(folder: Path) -> None:
    cases = Read("ham10000", folder).cases
    groups = [case.origin.group_ids for case in cases.values() if case.origin]
    assert len(cases) == 11 and len(set(groups)) == 8
    assert all(len(group) == 1 and group[0].startswith("lesion:isic:HAM_") for group in groups)


def test_only_histopathology_is_proven_by_tissue(folder: Path) -> None:
    labels = [case.labels[0] for case in Read("ham10000", folder).cases.values()]
    assert {label.class_source for label in labels} == {"histopathology", "follow_up", "consensus", "confocal"}
    for label in labels:
        malignancy = malignancy_of(label.diagnosis or "")
        expected = {Malignancy.MALIGNANT: LesionStatus.CANCER, Malignancy.BENIGN: LesionStatus.BENIGN}.get(
            malignancy, LesionStatus.UNTESTED
        )  # type: ignore[arg-type]
        assert label.status is (expected if label.class_source == "histopathology" else LesionStatus.UNTESTED)
        assert label.tier is Tier.EXPERT


def test_akiec_is_indeterminate_also_where_tissue_was_seen(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**row, "dx": "akiec", "dx_type": "histo"} for row in rows])
    assert {case.labels[0].status for case in Read("ham10000", folder).cases.values()} == {LesionStatus.UNTESTED}


def test_the_kaggle_mirror_with_its_images_twice_counts_each_once(folder: Path) -> None:
    for part in (1, 2):
        shutil.copytree(folder / f"HAM10000_images_part_{part}", folder / f"ham10000_images_part_{part}")
    read = Read("ham10000", folder)
    assert len(read.cases) == 11 and read.reasons == {"repeated_file": 11}


def test_the_test_part_is_the_official_test_part(tmp_path: Path) -> None:
    tree_of("ham10000").other_layouts["dataverse with test part"](tmp_path, 3, 1)
    splits = [case.origin.official_split for case in Read("ham10000", tmp_path).cases.values() if case.origin]
    assert sorted(set(splits), key=str) == ["test", "train"] and splits.count("test") == 4


def test_without_the_test_part_there_is_no_official_split(folder: Path) -> None:
    assert {case.origin.official_split for case in Read("ham10000", folder).cases.values() if case.origin} == {None}


def test_a_one_hot_table_of_the_test_part_is_left_to_isic_2018(folder: Path) -> None:
    (folder / "ISIC2018_Task3_Test_GroundTruth.csv").write_text("image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_0035000,1,0,0,0,0,0,0\n")
    assert len(Read("ham10000", folder).cases) == 11


def test_unknown_words_become_nothing(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**row, "sex": "unknown", "age": "", "localization": "unknown"} for row in rows])
    read = Read("ham10000", folder)
    assert not read.reasons
    for case in read.cases.values():
        assert case.study.patient_sex is None and case.study.patient_age_years is None
        assert "site" not in case.study.series[0].attributes


@pytest.mark.parametrize(
    ("change", "reasons", "cases"),
    [
        ({"dx": "melanom"}, {"unexpected_value": 1, "no_class": 1}, 10),
        ({"dx": ""}, {"no_class": 1}, 10),
        ({"dx_type": "biopsy"}, {"unexpected_value": 1}, 11),
        ({"age": "eighty"}, {"unexpected_value": 1}, 11),
        ({"image_id": "ISIC_9999999"}, {"image_missing": 1, "image_without_row": 1, "mask_without_image": 1}, 10),
        ({"image_id": "photo 7"}, {"no_image_name": 1, "image_without_row": 1, "mask_without_image": 1}, 10),
    ],
)
def test_a_bad_cell_costs_its_row_at_most(change: dict[str, str], reasons: dict[str, int], cases: int, folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**rows[0], **change}, *rows[1:]])
    read = Read("ham10000", folder)
    assert read.reasons == reasons and len(read.cases) == cases


def test_two_rows_of_one_image_that_contradict_each_other_are_kept_and_flagged(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [*rows, {**rows[0], "dx": "nv", "lesion_id": "HAM_0999999"}])
    read = Read("ham10000", folder)
    (case,) = (case for case in read.cases.values() if case.conflicts)
    assert {label.diagnosis for label in case.labels} == {"melanoma", "nevus"} and case.needs_review
    assert case.origin is not None and len(case.origin.group_ids) == 2
    assert read.reasons == {"conflicting_rows": 1, "conflicting_labels": 1} and len(read.cases) == 11


def test_a_row_said_twice_counts_once(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [*rows, rows[3], rows[3]])
    read = Read("ham10000", folder)
    assert len(read.cases) == 11 and read.reasons == {"repeated_row": 2}


@pytest.mark.parametrize("column", ["lesion_id", "dx", "image_id"])
def test_a_missing_column_is_named(column: str, folder: Path) -> None:
    rename_column(folder / TABLE, column, "other")
    with pytest.raises(InputError, match=column):
        Read("ham10000", folder)


def test_a_semicolon_table_in_windows_encoding_is_read(folder: Path) -> None:
    path = folder / TABLE
    text = path.read_text(encoding="utf-8").replace(",", ";").replace("back", "Gesäß")
    path.write_bytes(text.encode("cp1252"))
    cases = Read("ham10000", folder).cases
    assert len(cases) == 11 and "gesäss" in {case.study.series[0].attributes.get("site") for case in cases.values()}


def test_no_row_that_can_be_used_is_an_error(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**row, "dx": "?"} for row in rows])
    with pytest.raises(InputError, match="11 no_class"):
        Read("ham10000", folder)


def test_tables_without_images_are_an_error_that_counts_them(folder: Path) -> None:
    for part in (1, 2):
        shutil.rmtree(folder / f"HAM10000_images_part_{part}")
    with pytest.raises(InputError, match="11 image_missing"):
        Read("ham10000", folder)
