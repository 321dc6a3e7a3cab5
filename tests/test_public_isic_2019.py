"""ISIC 2019: membership, groups, variants of its tables, and the real tables."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.skin_sets import SHARED_ISIC, Read, edit_table, rename_column, tree_of
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus
from weakbox.terminology.dermatology import malignancy_of

TRUTH, METADATA = "ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Metadata.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree_of("isic_2019").write(tmp_path, 8, 1)
    return tmp_path


def test_membership_goes_by_the_first_letters_of_the_lesion(folder: Path) -> None:
    cases = Read("isic_2019", folder).cases.values()
    assert Counter(case.study.series[0].attributes.get("source") for case in cases) == {"HAM10000": 2, "BCN20000": 4, "MSK": 2, None: 2}


def test_an_image_without_a_lesion_stands_alone(folder: Path) -> None:
    cases = [case for case in Read("isic_2019", folder).cases.values() if "source" not in case.study.series[0].attributes]
    assert [case.origin.group_ids for case in cases if case.origin] == [(), ()]
    assert len({case.patient_id for case in cases}) == 2


def test_a_scaled_down_image_has_the_archive_s_identifier(folder: Path) -> None:
    cases = [case for image, case in Read("isic_2019", folder).cases.items() if image.endswith("_downsampled")]
    assert {case.origin.identifiers for case in cases if case.origin} == {("isic:ISIC_0012657",), ("isic:ISIC_0012665",)}


def test_nothing_counts_as_proven_by_tissue(folder: Path) -> None:
    labels = [case.labels[0] for case in Read("isic_2019", folder).cases.values()]
    assert {(label.status, label.class_source) for label in labels} == {(LesionStatus.UNTESTED, "not_stated")}


def test_the_test_part_has_an_unknown_class_that_is_neither_benign_nor_malignant(tmp_path: Path) -> None:
    tree_of("isic_2019").other_layouts["challenge with test part"](tmp_path, 4, 1)
    read = Read("isic_2019", tmp_path)
    tests = [case for case in read.cases.values() if case.origin and case.origin.official_split == "test"]
    assert not read.reasons and [case.labels[0].diagnosis for case in tests] == ["melanoma", "none_of_the_classes", "nevus"]
    assert malignancy_of("none_of_the_classes") is None


def test_sex_renamed_to_gender_is_read(folder: Path) -> None:
    rename_column(folder / METADATA, "sex", "gender")
    sexes = Counter(case.study.patient_sex for case in Read("isic_2019", folder).cases.values())
    assert sexes["M"] and sexes["F"] and sexes[None]


def test_a_copy_with_columns_appended_is_read(folder: Path) -> None:
    edit_table(folder / METADATA, lambda rows: [{**row, "diagnosis": "NV", "benign_malignant": "benign", "target": "0"} for row in rows])
    diagnoses = {case.labels[0].diagnosis for case in Read("isic_2019", folder).cases.values()}
    assert "melanoma" in diagnoses and len(diagnoses) > 1


def test_metadata_without_lesions_are_refused(folder: Path) -> None:
    rename_column(folder / METADATA, "lesion_id", "lesion")
    with pytest.raises(InputError, match="lesion_id"):
        Read("isic_2019", folder)


@pytest.mark.parametrize("column", ["MEL", "SCC", "image"])
def test_a_missing_class_column_is_named(column: str, folder: Path) -> None:
    rename_column(folder / TRUTH, column, "other")
    with pytest.raises(InputError, match=column):
        Read("isic_2019", folder)


def test_a_ground_truth_without_unk_is_read(folder: Path) -> None:
    edit_table(folder / TRUTH, lambda rows: [{name: cell for name, cell in row.items() if name != "UNK"} for row in rows])
    assert len(Read("isic_2019", folder).cases) == 10


def test_a_missing_metadata_table_is_said_once(folder: Path) -> None:
    (folder / METADATA).unlink()
    read = Read("isic_2019", folder)
    assert read.reasons == {"no_lesion_groups": 1, "no_metadata_row": 10} and read.located.missing


def test_rows_that_only_one_table_has_are_listed(folder: Path) -> None:
    edit_table(folder / METADATA, lambda rows: [*rows[1:], {**rows[0], "image": "ISIC_9999999"}])
    assert Read("isic_2019", folder).reasons == {"no_metadata_row": 1, "row_without_truth": 1}


def test_an_edited_table_with_endings_in_the_names_is_read(folder: Path) -> None:
    edit_table(folder / TRUTH, lambda rows: [{**row, "image": row["image"] + ".jpg"} for row in rows])
    read = Read("isic_2019", folder)
    assert len(read.cases) == 10 and not read.reasons


def test_images_taken_from_the_archive_under_their_plain_names_are_found(folder: Path) -> None:
    images = folder / "ISIC_2019_Training_Input"
    for path in images.rglob("*_downsampled.jpg"):
        path.rename(path.with_name(path.name.replace("_downsampled", "")))
    read = Read("isic_2019", folder)
    assert len(read.cases) == 10 and not read.reasons


# Real tables ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """The real tables, with an empty file for each image: reading opens none."""
    folder = tmp_path_factory.mktemp("isic_2019")
    for name in (TRUTH, METADATA):
        shutil.copy(SHARED_ISIC / name, folder)
    images = folder / "ISIC_2019_Training_Input"
    images.mkdir()
    with (folder / TRUTH).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            (images / f"{row['image']}.jpg").touch()
    return Read("isic_2019", folder)


needs_tables = pytest.mark.skipif(not (SHARED_ISIC / TRUTH).is_file(), reason="the real ISIC 2019 tables are not beside the checkout")


@pytest.mark.slow
@pytest.mark.shared
@needs_tables
def test_the_real_tables_load_completely(real: Read) -> None:
    assert len(real.cases) == 25331 and not real.reasons and not real.located.missing
    classes = Counter(label.diagnosis for case in real.cases.values() for label in case.labels)
    assert classes == {
        "nevus": 12875,
        "melanoma": 4522,
        "basal_cell_carcinoma": 3323,
        "benign_keratosis": 2624,
        "actinic_keratosis": 867,
        "squamous_cell_carcinoma": 628,
        "vascular_lesion": 253,
        "dermatofibroma": 239,
    }


@pytest.mark.slow
@pytest.mark.shared
@needs_tables
def test_the_real_tables_hold_ham_bcn_and_msk(real: Read) -> None:
    cases = real.cases.values()
    sources = Counter(case.study.series[0].attributes.get("source") for case in cases)
    assert sources == {"BCN20000": 12413, "HAM10000": 10015, "MSK": 819, None: 2084}
    assert len({group for case in cases if case.origin for group in case.origin.group_ids}) == 11847
    assert len({name for case in cases if case.origin for name in case.origin.identifiers}) == 25331
    assert sum(image.endswith("_downsampled") for image in real.cases) == 2074
    assert Counter(case.study.patient_sex for case in cases) == {"M": 13286, "F": 11661, None: 384}
    assert sum(case.study.patient_age_years is None for case in cases) == 437
