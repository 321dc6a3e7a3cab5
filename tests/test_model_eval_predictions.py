"""The format of predictions: what is written is read, and what no figure can come from is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from cv_model_experiments.predictions import (
    CSV_NAME,
    HEADER_NAME,
    PARQUET_NAME,
    PARTS,
    PredictedBox,
    Prediction,
    PredictionHeader,
    check_predictions,
    read_predictions,
    write_predictions,
)
from weakbox.records.errors import InputError

HEADER = PredictionHeader(
    model="m", tasks=("detection", "classification"), classes=("benign", "malignant"), trained_on={"0": ("a",), "1": ("b",)}
)
ROW = Prediction(
    image_id="set/1",
    case_id="c1",
    patient_id="p1",
    split="test",
    boxes=(
        PredictedBox(start=(1.5, 2.0, 0.0), stop=(3.0, 4.25, 2.0), score=0.75, label="malignant"),
        PredictedBox(start=(0, 0, 0), stop=(1, 1, 1), score=0.1),
    ),
    probabilities={"benign": 0.25, "malignant": 0.75},
    fold=2,
    detection_map_path="maps/1_detection_map.nii.gz",
)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(words, words, st.sampled_from(PARTS), st.none() | st.integers(0, 9), st.floats(0, 1), st.none() | words),
        min_size=1, max_size=6, unique_by=lambda row: row[0],
    )
)  # fmt: skip
def test_what_is_written_is_read_from_either_table(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple]) -> None:  # type: ignore[type-arg]
    folder = tmp_path_factory.mktemp("predictions")
    rows = [
        Prediction(
            image_id=name, case_id=case, patient_id=case, split=split, fold=fold, detection_map_path=path,
            boxes=(PredictedBox(start=(share, 0.0), stop=(share + 1, 2.0), score=share, label=path),) if share > 0.3 else (),
            probabilities={"benign": share, "malignant": 1 - share},
        )
        for name, case, split, fold, share, path in cells
    ]  # fmt: skip
    written = write_predictions(HEADER, rows, folder)
    assert read_predictions(folder) == written
    assert [row.image_id for row in written.rows] == sorted(row.image_id for row in rows)
    (folder / PARQUET_NAME).unlink()
    assert read_predictions(folder) == written


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, image_id="set/0"), replace(ROW, image_id="set/2", boxes=())]
    for name, ordered in (("a", rows), ("b", rows[::-1])):
        write_predictions(HEADER, ordered, tmp_path / name)
    for name in (HEADER_NAME, PARQUET_NAME, CSV_NAME):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


BOX = ROW.boxes[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (replace(ROW, split="dev"), "split is 'dev'"),
        (replace(ROW, probabilities={}), "probabilities must be given exactly"),
        (replace(ROW, probabilities={"benign": 1.0}), "the header's classes are"),
        (replace(ROW, probabilities={"benign": 0.5, "malignant": 0.6}), "sum to 1.1000"),
        (replace(ROW, probabilities={"benign": math.nan, "malignant": 0.6}), "no number between 0 and 1"),
        (replace(ROW, probabilities={"benign": -0.2, "malignant": 1.2}), "no number between 0 and 1"),
        (replace(ROW, boxes=(replace(BOX, score=math.nan),)), "NaN or infinite"),
        (replace(ROW, boxes=(replace(BOX, start=(math.inf, 0.0, 0.0)),)), "NaN or infinite"),
        (replace(ROW, boxes=(replace(BOX, score=-0.5),)), "expected 0 or more"),
        (replace(ROW, boxes=(replace(BOX, stop=BOX.start),)), "has no area"),
        (replace(ROW, boxes=(replace(BOX, start=(1.0,), stop=(2.0,)),)), "expected 2 or 3"),
        (replace(ROW, boxes=(replace(BOX, stop=(2.0, 5.0)),)), "expected 2 or 3 of each"),
    ],
)
def test_row_that_no_figure_can_come_from_is_refused_with_its_image(row: Prediction, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"image set/1: .*{message}"):
        write_predictions(HEADER, [row], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_rows_an_image_twice_and_boxes_of_a_classifier_are_refused() -> None:
    with pytest.raises(InputError, match="no predictions"):
        check_predictions(HEADER, [], "here")
    with pytest.raises(InputError, match="comes twice"):
        check_predictions(HEADER, [ROW, ROW], "here")
    classifier = HEADER.model_copy(update={"tasks": ("classification",)})
    with pytest.raises(InputError, match="do not name detection"):
        check_predictions(classifier, [ROW], "here")


def test_one_class_needs_no_sum(tmp_path: Path) -> None:
    header = PredictionHeader(model="m", tasks=("classification",), classes=("malignant",))
    row = replace(ROW, boxes=(), probabilities={"malignant": 0.3})
    assert write_predictions(header, [row], tmp_path).rows == (row,)


def test_folder_that_is_no_folder_of_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; a folder of predictions"):
        read_predictions(tmp_path)
    (tmp_path / HEADER_NAME).write_text('{"model": "m", "tasks": ["regression"]}', encoding="utf-8")
    with pytest.raises(InputError, match="not a header of predictions"):
        read_predictions(tmp_path)
    (tmp_path / HEADER_NAME).write_text(json.dumps(HEADER.model_dump(mode="json")), encoding="utf-8")
    with pytest.raises(InputError, match=r"no predictions.parquet or predictions.csv"):
        read_predictions(tmp_path)
    (tmp_path / PARQUET_NAME).write_bytes(b"no table")
    with pytest.raises(InputError, match="no table of predictions that can be read"):
        read_predictions(tmp_path)


def test_table_without_a_column_or_with_a_damaged_cell_is_refused(tmp_path: Path) -> None:
    write_predictions(HEADER, [ROW], tmp_path)
    table = parquet.read_table(tmp_path / PARQUET_NAME)
    parquet.write_table(table.drop_columns(["split"]), tmp_path / PARQUET_NAME)
    with pytest.raises(InputError, match=r"can be read \(.*split"):
        read_predictions(tmp_path)
    (tmp_path / PARQUET_NAME).unlink()
    csv.write_csv(table.set_column(table.schema.get_field_index("boxes"), "boxes", [['[{"start": [1']]), str(tmp_path / CSV_NAME))
    with pytest.raises(InputError, match="no table of predictions"):
        read_predictions(tmp_path)
