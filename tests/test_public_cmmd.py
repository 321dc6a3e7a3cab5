"""CMMD: classes of a breast, sides from the headers, a strict workbook; the real tables load completely."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mr_files import SHARED_DATA, needs_shared
from tests.planted import Reading, check_truth, read_folder, same_bytes_twice
from weakbox.datasets_public.breast_labels import SCOPE
from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.cmmd import CLINICAL_COLUMNS, DATASET
from weakbox.datasets_public.dataset import Located
from weakbox.datasets_public.mammogram_headers import read_mammogram_header
from weakbox.labelling.policy import LabelPolicy, image_class
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import CuratedCase, LesionStatus, Tier
from weakbox.simulate.mammograms import breast_phantom, eight_bit, write_mammogram_dicom
from weakbox.simulate.public.cmmd import HEADER, TREE
from weakbox.simulate.public.workbooks import write_strict_workbook, write_workbook
from weakbox.sources.table_reading import Row, TableOptions, read_rows

TABLES = SHARED_DATA / "mammo_tables" / "cmmd"
SMALL = eight_bit(breast_phantom(3, shape=(48, 32))[0])
Line = tuple[str, str, int, int, str, str, str]


def line(patient: str, side: str, diagnosis: str = "Malignant", abnormality: str = "mass", age: int = 50) -> Line:
    return patient, side, age, 2, abnormality, diagnosis, ""


def write_set(folder: Path, lines: Sequence[Line], images: Sequence[tuple[str, str | None]]) -> Path:
    """The table, and one image a (patient, side of its header)."""
    write_workbook(folder / "CMMD_clinicaldata_revision.xlsx", [HEADER, *lines])
    for number, (patient, side) in enumerate(images, start=1):
        path = folder / "CMMD" / patient / "study" / f"series{number}" / "1-1.dcm"
        write_mammogram_dicom(path, SMALL, laterality=side, view="CC", bits=8, patient_id=patient)
    return folder


def read(folder: Path, lines: Sequence[Line], images: Sequence[tuple[str, str | None]]) -> Reading:
    return read_folder(DATASET, write_set(folder, lines, images))


@pytest.mark.parametrize("layout", [TREE.layout, *TREE.other_layouts])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    tree = {TREE.layout: TREE.write, **TREE.other_layouts}[layout](tmp_path, 6, 1)
    reading = read_folder(DATASET, tmp_path)
    check_truth(reading, tree, tmp_path, iou=1.0)
    assert [(label.case_id, label.side, label.diagnosis, label.finding_types) for label in reading.labels] == [
        ("cmmd/D1-0001", "right", "benign", ("calcification",)),
        ("cmmd/D1-0002", "left", "malignant", ("mass",)),
        ("cmmd/D1-0005", "right", "benign", ("calcification",)),
        ("cmmd/D1-0006", "left", "malignant", ("mass",)),
        ("cmmd/D2-0003", "left", "malignant", ("calcification", "mass")),
        ("cmmd/D2-0004", "left", "benign", ("mass",)),
        ("cmmd/D2-0004", "right", "malignant", ("mass",)),
    ]
    assert {(label.tier, label.attributes[SCOPE], label.series_key) for label in reading.labels} == {(Tier.CASE_LEVEL, "breast", None)}


def test_a_strict_workbook_is_read_like_an_ordinary_one(tmp_path: Path) -> None:
    rows = [HEADER, line("D1-0001", "R", "Benign"), line("D1-0002", "L")]
    write_strict_workbook(tmp_path / "strict.xlsx", rows)
    write_workbook(tmp_path / "ordinary.xlsx", rows)
    found = [
        list(read_rows(TableOptions(source="cmmd", path=tmp_path / f"{name}.xlsx"), CLINICAL_COLUMNS, "row"))
        for name in ("strict", "ordinary")
    ]
    assert found[0] == found[1]
    assert [row.raw("classification") for row in found[0] if isinstance(row, Row)] == ["Benign", "Malignant"]


def test_a_class_reaches_the_images_of_its_breast_only(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D2-0001", "L"), line("D2-0001", "R", "Benign")], [("D2-0001", "L"), ("D2-0001", "R")])
    (case,) = reading.cases
    classes = {series.attributes["laterality"]: image_class(case, series, LabelPolicy()).name for series in case.study.series}
    assert classes == {"left": "malignant", "right": "benign"}


def test_an_imaged_breast_without_a_row_is_neither_normal_nor_labelled(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D2-0001", "L", "Benign")], [("D2-0001", "L"), ("D2-0001", "R")])
    (case,) = reading.cases
    other = next(series for series in case.study.series if series.attributes["laterality"] == "right")
    assert (case.negative_reason, image_class(case, other, LabelPolicy()).name) == (None, None)
    assert reading.reasons == {"breast_without_label": 1}


def test_tissue_decides_the_status(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D1-0001", "L"), line("D1-0002", "R", "Benign")], [("D1-0001", "L"), ("D1-0002", "R")])
    assert [(label.status, label.class_source) for label in reading.labels] == [
        (LesionStatus.CANCER, "histopathology"),
        (LesionStatus.BENIGN, "histopathology"),
    ]


def test_equal_file_names_in_several_folders_are_several_images(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D1-0001", "L")], [("D1-0001", "L"), ("D1-0001", "L")])
    assert [series.key for series in reading.series] == ["cmmd/D1-0001/study/series1/1-1", "cmmd/D1-0001/study/series2/1-1"]


def test_a_class_of_a_side_that_is_not_imaged_is_called_out(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D1-0001", "L")], [("D1-0001", "R")])
    assert reading.reasons == {"label_without_image": 1, "breast_without_label": 1}


def test_an_image_whose_header_names_no_side_is_called_out(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D1-0001", "L")], [("D1-0001", None)])
    assert reading.reasons == {"label_without_image": 1, "no_laterality": 1}


def test_rows_that_disagree_on_a_breast_are_kept_and_flagged(tmp_path: Path) -> None:
    reading = read(tmp_path, [line("D1-0001", "L", "Benign"), line("D1-0001", "L", "Malignant")], [("D1-0001", "L")])
    (label,) = reading.labels
    assert (label.diagnosis, label.conflicts, label.needs_review) == ("malignant", ("classification: benign, malignant",), True)
    assert reading.reasons == {"conflicting_labels": 1}


def test_rows_without_images_images_without_rows_and_repeats_are_counted(tmp_path: Path) -> None:
    lines = [line("D1-0001", "L"), line("D1-0001", "L"), line("D1-0002", "L")]
    reading = read(tmp_path, lines, [("D1-0001", "L"), ("D1-0003", "L")])
    assert reading.reasons == {"repeated_row": 1, "missing_image": 1, "images_without_row": 1}


@pytest.mark.parametrize("cells", [line("D1-0001", "both"), line("D1-0001", "L", "B9"), line("", "L")])
def test_a_row_that_says_nothing_usable_is_dropped(tmp_path: Path, cells: Line) -> None:
    reading = read(tmp_path, [cells, line("D1-0002", "L")], [("D1-0002", "L")])
    assert reading.reasons["incomplete_row"] == 1
    assert len(reading.labels) == 1


def test_a_corrupt_image_is_dropped_and_the_case_goes_on(tmp_path: Path) -> None:
    write_set(tmp_path, [line("D1-0001", "L")], [("D1-0001", "L"), ("D1-0001", "L")])
    (tmp_path / "CMMD" / "D1-0001" / "study" / "series2" / "1-1.dcm").write_bytes(b"\0" * 200)
    reading = read_folder(DATASET, tmp_path)
    assert (len(reading.series), reading.reasons) == (1, {"unreadable_image": 1})


def test_fewer_images_than_the_archive_states_are_called_out(tmp_path: Path) -> None:
    TREE.write(tmp_path, 3, 1)
    next(tmp_path.rglob("D2-0003/**/1-4.dcm")).unlink()
    assert read_folder(DATASET, tmp_path).reasons["image_count"] == 1


def test_a_table_beside_the_images_that_is_no_series_table_does_no_harm(tmp_path: Path) -> None:
    write_set(tmp_path, [line("D1-0001", "L")], [("D1-0001", "L")])
    (tmp_path / "metadata.csv").write_text("image,age\n1,2\n")
    assert not read_folder(DATASET, tmp_path).reasons


def test_the_view_is_read_from_its_code_where_the_word_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_mammogram_dicom(path, SMALL, laterality="R", view="MLO", bits=8, tags={"ViewPosition": "", "PatientAge": "000Y"})
    header = read_mammogram_header(path)
    assert (header.laterality, header.view, header.age_years, header.columns, header.rows) == ("right", "MLO", None, 32, 48)
    assert header.presentation == "for_presentation"


def test_a_renamed_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_set(tmp_path, [], [("D1-0001", "L")])
    write_workbook(tmp_path / "CMMD_clinicaldata_revision.xlsx", [("ID1", "LeftRight", "class"), ("D1-0001", "L", "Benign")])
    with pytest.raises(InputError, match="classification"):
        read_folder(DATASET, tmp_path)


def test_no_image_at_all_is_an_error_and_no_empty_success(tmp_path: Path) -> None:
    write_set(tmp_path, [line("D1-0001", "L")], [])
    with pytest.raises(InputError, match="1 missing_image"):
        read_folder(DATASET, tmp_path)


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)


# Real tables --------------------------------------------------------------------------------------------------------


def named_tree(folder: Path) -> Path:
    """Empty files under the names that the archive's own list of the collection gives: 5,202 images."""
    with (TABLES / "tcia_download_metadata.csv").open(newline="") as file:
        for stated in csv.DictReader(file):
            below = folder.joinpath(*stated["File Location"].lstrip(".\\").split("\\"))
            below.mkdir(parents=True)
            for number in range(1, int(stated["Number of Images"]) + 1):
                (below / f"1-{number}.dcm").touch()
    return folder


@pytest.mark.shared
@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("table", ["CMMD_clinicaldata_revision.xlsx", "annotations.csv"])
def test_the_real_table_loads_completely(tmp_path: Path, table: str) -> None:
    images = tuple(sorted(named_tree(tmp_path).rglob("*.dcm")))
    files = {"clinical_table": (TABLES / table,), "series_table": (TABLES / "tcia_download_metadata.csv",), "images": images}
    items = list(read_cases(DATASET, Located(dataset="cmmd", folder=tmp_path, layout="tcia", files=files)))
    cases = [item for item in items if isinstance(item, CuratedCase)]
    labels = [label for case in cases for label in case.labels]
    assert not [item for item in items if isinstance(item, LedgerEntry)]
    assert (len(labels), len(cases), sum(len(case.study.series) for case in cases)) == (1872, 1775, 5202)
    assert Counter(label.diagnosis for label in labels) == {"malignant": 1316, "benign": 556}
    assert Counter(label.side for label in labels) == {"left": 988, "right": 884}
    assert Counter(label.finding_types for label in labels) == {("mass",): 1149, ("calcification", "mass"): 461, ("calcification",): 262}
    assert Counter(label.attributes.get("molecular_subtype") for label in labels) == {
        None: 1123, "luminal_b": 376, "luminal_a": 152, "her2_enriched": 135, "triple_negative": 86,
    }  # fmt: skip
    assert sum(len({label.diagnosis for label in case.labels}) == 2 for case in cases) == 30
    assert sum(len(case.study.series) == 4 and len(case.labels) == 1 for case in cases) == 729
