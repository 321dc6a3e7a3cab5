"""The tables of the joined set: what is written is what is read back, with the same bytes each time."""

from __future__ import annotations

import csv
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.exporters import image_manifest
from weakbox.exporters.image_coco import write_coco
from weakbox.exporters.image_manifest import CSV_NAME, PARQUET_NAME, read_manifest, write_manifest
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow

BOX = ImageBox(
    label_id="cbis/1#1",
    start=(10.25, 0.1 + 0.2),
    stop=(20.0, 40.5),
    label="malignant",
    tier="expert",
    finding_types=("calcification", "mass"),
    birads="4a",
    confidence=0.75,
)
FULL = ImageRow(
    image_id="cbis/1",
    image_path="images/cbis/1.png",
    dataset="cbis",
    organ="breast",
    modality="MG",
    patient_id="cbis:P_1",
    study_id="s",
    series_key="cbis/1",
    case_id="cbis/s",
    laterality="left",
    age_years=61.0,
    sex="female",
    label="malignant",
    tier="expert",
    boxes=(BOX, replace(BOX, label_id="cbis/1#2", label=None, birads=None)),
    split="train",
    fold=0,
    weight=1 / 3,
    columns=800,
    rows=1000,
    spacing_mm=(0.07, 0.07),
    sha256="ab",
    group_ids=("patient:cbis:P_1",),
    identifiers=("sop:1.2.3",),
    group="g",
    attributes={"text": 'a "quoted",\nbroken line; ü', "whole": 1, "number": 1.0, "yes": True, "words": ("a", "b"), "none": ()},
)
PLAIN = ImageRow(
    image_id="isic/1",
    image_path="i.png",
    dataset="isic",
    organ="skin",
    modality="DMS",
    patient_id="",
    study_id="",
    series_key="",
    case_id="",
    tier="expert",
)


def both_tables(rows: list[ImageRow], folder: Path) -> list[list[ImageRow]]:
    write_manifest(rows, folder)
    return [list(read_manifest(folder / name)) for name in (PARQUET_NAME, CSV_NAME)]


def test_rows_come_back_as_they_were_and_nothing_stated_is_not_an_empty_text(tmp_path: Path) -> None:
    rows = [FULL, PLAIN, replace(PLAIN, image_id="isic/2", sex="", site="NA", view="null", spacing_mm=(), licence="1.0", label="3")]
    for back in both_tables(rows, tmp_path):
        assert back == rows
        assert type(back[0].attributes["whole"]) is int
        assert type(back[0].attributes["number"]) is float
        assert (back[1].sex, back[2].sex) == (None, "")
        assert (back[1].spacing_mm, back[2].spacing_mm) == (None, ())


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=50, deadline=None)
@given(
    text=texts,
    maybe=st.none() | texts,
    number=st.none() | st.floats(allow_nan=False),
    words=st.lists(texts, max_size=3).map(tuple),
    attributes=st.dictionaries(texts, st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts, max_size=3),
)
def test_any_text_and_number_survives_both_tables(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    maybe: str | None,
    number: float | None,
    words: tuple[str, ...],
    attributes: dict[str, Any],
) -> None:
    row = replace(FULL, image_id=text, sex=maybe, age_years=number, group_ids=words, attributes=attributes)
    for back in both_tables([row, PLAIN], tmp_path_factory.mktemp("set")):
        assert back == [row, PLAIN]


def test_every_field_of_the_record_is_a_column_of_both_tables(tmp_path: Path) -> None:
    write_manifest([FULL], tmp_path)
    names = [field.name for field in fields(ImageRow)]
    assert list(pd.read_parquet(tmp_path / PARQUET_NAME).columns) == names
    with (tmp_path / CSV_NAME).open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert list(line) == names
    assert json.loads(line["boxes"])[0]["start"] == [10.25, 0.1 + 0.2]
    assert json.loads(line["group_ids"]) == ["patient:cbis:P_1"]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [replace(FULL, image_id=f"cbis/{number}") for number in range(50)]
    first, second = (write_manifest(rows, tmp_path / name) for name in ("a", "b"))
    assert first == second
    assert (tmp_path / "a" / PARQUET_NAME).read_bytes() == (tmp_path / "b" / PARQUET_NAME).read_bytes()
    assert [artifact.path for artifact in first] == [PARQUET_NAME, CSV_NAME]


def test_rows_are_written_and_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_manifest, "ROWS_A_GROUP", 7)
    rows = [replace(FULL, image_id=f"cbis/{number:02d}") for number in range(20)]
    assert both_tables(rows, tmp_path) == [rows, rows]
    from pyarrow import parquet

    assert parquet.ParquetFile(tmp_path / PARQUET_NAME).metadata.num_row_groups == 3


def test_a_set_without_images_has_tables_without_rows(tmp_path: Path) -> None:
    assert both_tables([], tmp_path) == [[], []]


def test_a_run_that_fails_leaves_the_tables_as_they_were(tmp_path: Path) -> None:
    write_manifest([FULL], tmp_path)
    broken: Any = replace(PLAIN, age_years="old")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"isic/1 .. isic/1: a value does not fit its column"):
        write_manifest([broken], tmp_path)
    assert list(read_manifest(tmp_path / PARQUET_NAME)) == [FULL]
    assert sorted(path.name for path in tmp_path.iterdir()) == [CSV_NAME, PARQUET_NAME]


def test_a_row_without_what_every_row_needs_is_refused_with_the_image_and_the_field(tmp_path: Path) -> None:
    broken: Any = replace(PLAIN, dataset=None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="isic/1: dataset is not stated"):
        write_manifest([FULL, broken], tmp_path)


@pytest.mark.parametrize("name", [PARQUET_NAME, CSV_NAME])
def test_a_file_that_is_no_manifest_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match="no such file"):
        list(read_manifest(path))
    path.write_text("image,label\n1,2\n")
    with pytest.raises(InputError, match=name):
        list(read_manifest(path))


def test_a_manifest_with_a_column_missing_says_which(tmp_path: Path) -> None:
    write_manifest([FULL], tmp_path)
    for name, write in ((PARQUET_NAME, "to_parquet"), (CSV_NAME, "to_csv")):
        frame = pd.read_parquet(tmp_path / PARQUET_NAME).drop(columns=["perceptual_hash"])
        getattr(frame, write)(tmp_path / f"less_{name}", index=False)
        with pytest.raises(InputError, match="perceptual_hash"):
            list(read_manifest(tmp_path / f"less_{name}"))


COCO_SCHEMA = {
    "type": "object",
    "required": ["images", "annotations", "categories"],
    "properties": {
        "images": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "file_name", "width", "height"],
                "properties": {
                    "id": {"type": "integer"},
                    "file_name": {"type": "string"},
                    "width": {"type": "integer"},
                    "height": {"type": "integer"},
                },
            },
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "image_id", "category_id", "bbox", "area", "iscrowd"],
                "properties": {
                    "bbox": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number", "minimum": 0}},
                    "iscrowd": {"enum": [0, 1]},
                },
            },
        },
        "categories": {"type": "array", "items": {"type": "object", "required": ["id", "name"]}},
    },
}
"""https://cocodataset.org/#format-data, object detection."""


def test_coco_files_hold_each_part_with_boxes_as_corner_and_size(tmp_path: Path) -> None:
    rows = [
        FULL,
        replace(FULL, image_id="cbis/2", boxes=()),
        replace(FULL, image_id="cbis/3", split="test", boxes=(replace(BOX, label="benign"),)),
        replace(FULL, image_id="cbis/4", slices=20),
        replace(FULL, image_id="cbis/5", split=None),
    ]
    write_manifest(rows, tmp_path)
    artifacts = write_coco(tmp_path / PARQUET_NAME, tmp_path)
    assert [artifact.path for artifact in artifacts] == ["images.test.coco.json", "images.train.coco.json"]
    train, test = (json.loads((tmp_path / f"images.{part}.coco.json").read_text(encoding="utf-8")) for part in ("train", "test"))
    for content in (train, test):
        jsonschema.validate(content, COCO_SCHEMA)
        assert content["categories"] == [{"id": 1, "name": "benign"}, {"id": 2, "name": "malignant"}, {"id": 3, "name": "not stated"}]
    assert [one["source_image_id"] for one in train["images"]] == ["cbis/1", "cbis/2"]
    first = train["annotations"][0]
    assert first["bbox"] == [10.25, 0.1 + 0.2, 9.75, 40.5 - (0.1 + 0.2)]
    assert first["area"] == pytest.approx(9.75 * 40.2)
    assert [one["category_id"] for one in train["annotations"]] == [2, 3]
    assert {one["image_id"] for one in train["annotations"]} == {1}
    assert [one["category_id"] for one in test["annotations"]] == [1]
    assert not list(tmp_path.glob("*.tmp"))


def test_coco_needs_the_size_of_each_image_and_flat_boxes(tmp_path: Path) -> None:
    write_manifest([replace(FULL, columns=None)], tmp_path)
    with pytest.raises(InputError, match="cbis/1: COCO needs"):
        write_coco(tmp_path / PARQUET_NAME, tmp_path)
    write_manifest([replace(FULL, boxes=(replace(BOX, start=(0.0, 0.0, 0.0), stop=(1.0, 1.0, 1.0)),))], tmp_path)
    with pytest.raises(InputError, match="cbis/1: box cbis/1#1 has 3 axes"):
        write_coco(tmp_path / PARQUET_NAME, tmp_path)
