"""What a model said of each image: the one format between inference and evaluation.

A folder holds ``predictions.json`` (the header: model, classes, tasks, and which images it was trained on) and one row an
image in ``predictions.parquet``, the same in ``predictions.csv``. Rows are joined with the manifest by ``image_id``, never by place.
Boxes are those of ``ImageBox``: 2-D pixel edges (x, y) of the exported image, 3-D the half-open voxel box (i, j, k) of the
reference volume; fractions are allowed. Boxes and probabilities are JSON in both tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import csv, parquet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weakbox.records.errors import InputError
from weakbox.records.record import record
from weakbox.runtime.store import write_text

HEADER_NAME = "predictions.json"
PARQUET_NAME = "predictions.parquet"
CSV_NAME = "predictions.csv"
PARTS = ("train", "validation", "test")
SUM_TOLERANCE = 1e-3
ALL_FOLDS = "all"
"""Key of ``trained_on`` for a model without folds."""

Task = Literal["detection", "classification"]


@record
class PredictedBox:
    """One candidate. ``label`` is a class name, or None for a detector that knows one kind of lesion only."""

    start: tuple[float, ...]
    stop: tuple[float, ...]
    score: float
    label: str | None = None


@record
class Prediction:
    """All that a model says of one image (2-D) or study (3-D)."""

    image_id: str
    """As in the manifest."""
    case_id: str
    patient_id: str
    split: str
    """``train``, ``validation`` or ``test``: the part the image was in when this model was made (out of fold: ``validation``)."""
    boxes: tuple[PredictedBox, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Class name -> probability; empty for a pure detector."""
    fold: int | None = None
    """Which fold's model said it (its images out of fold); None for one model or an ensemble."""
    detection_map_path: str | None = None
    """picai detection map of this image, relative to the folder; where given it is scored instead of painted boxes."""


class PredictionHeader(BaseModel):
    """What holds for all predictions of one model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    model: str = Field(min_length=1, description="Name in tables and figures.")
    tasks: tuple[Task, ...] = Field(
        min_length=1, description="What the model does; an empty list of boxes is a statement of a detector only."
    )
    classes: tuple[str, ...] = Field(default=(), description="Classes of `probabilities`, in the model's order.")
    trained_on: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="`image_id`s that the weights were fitted on: under `all`, or under each fold's number. Empty: not stated.",
    )
    manifest_sha256: str | None = Field(default=None, description="Of the manifest that inference ran on.")
    details: Mapping[str, str] = Field(default_factory=dict, description="Architecture, checkpoint digest, augmentation ...")


@record
class PredictionSet:
    """The predictions of one model."""

    header: PredictionHeader
    rows: tuple[Prediction, ...]
    folder: Path | None = None
    """Where they were read from; paths in the rows are relative to it."""


_TEXT, _WHOLE = pa.string(), pa.int64()
SCHEMA = pa.schema(
    [
        pa.field("image_id", _TEXT, nullable=False),
        pa.field("case_id", _TEXT, nullable=False),
        pa.field("patient_id", _TEXT, nullable=False),
        pa.field("split", _TEXT, nullable=False),
        pa.field("model", _TEXT, nullable=False),
        pa.field("fold", _WHOLE),
        pa.field("boxes", _TEXT, nullable=False),
        pa.field("probabilities", _TEXT, nullable=False),
        pa.field("detection_map_path", _TEXT),
    ]
)


def write_predictions(header: PredictionHeader, rows: Iterable[Prediction], folder: Path) -> PredictionSet:
    """Check and write one model's predictions; rows are sorted by ``image_id``, the header comes last. The same rows give the same bytes.

    Raises:
        InputError: a row is not usable (see ``check_predictions``).
    """
    ordered = tuple(sorted(rows, key=lambda row: row.image_id))
    check_predictions(header, ordered, str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    table = _table(header, ordered)
    for name in (PARQUET_NAME, CSV_NAME):
        temporary = folder / f"{name}.tmp"
        if name == PARQUET_NAME:
            parquet.write_table(table, temporary, compression="zstd", version="2.6")
        else:
            csv.write_csv(table, str(temporary))
        temporary.replace(folder / name)
    write_text(folder / HEADER_NAME, json.dumps(header.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
    return PredictionSet(header=header, rows=ordered, folder=folder)


def _table(header: PredictionHeader, rows: Sequence[Prediction]) -> pa.Table:
    columns = {
        "model": [header.model] * len(rows),
        "boxes": [_json([_box_content(box) for box in row.boxes]) for row in rows],
        "probabilities": [_json(dict(row.probabilities)) for row in rows],
    }
    arrays = [pa.array(columns.get(column.name) or [getattr(row, column.name) for row in rows], column.type) for column in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _box_content(box: PredictedBox) -> dict[str, Any]:
    return {"start": box.start, "stop": box.stop, "score": box.score, "label": box.label}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_predictions(folder: Path) -> PredictionSet:
    """The predictions in a folder: from the Parquet table, else from the CSV one.

    Raises:
        InputError: no header, no table, a missing column, a cell that cannot be read, or rows that contradict each other.
    """
    header = _read_header(folder / HEADER_NAME)
    path = folder / PARQUET_NAME if (folder / PARQUET_NAME).is_file() else folder / CSV_NAME
    if not path.is_file():
        msg = f"{folder}: no {PARQUET_NAME} or {CSV_NAME} beside {HEADER_NAME}; run inference again"
        raise InputError(msg)
    try:
        rows = tuple(_row(cells) for cells in _cells(path))
    except (pa.ArrowInvalid, pa.ArrowKeyError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        msg = f"{path}: this is no table of predictions that can be read ({str(error).splitlines()[0]}); run inference again"
        raise InputError(msg) from error
    check_predictions(header, rows, str(path))
    return PredictionSet(header=header, rows=rows, folder=folder)


def _read_header(path: Path) -> PredictionHeader:
    if not path.is_file():
        msg = f"{path}: no such file; a folder of predictions has {HEADER_NAME} beside {PARQUET_NAME}"
        raise InputError(msg)
    try:
        return PredictionHeader.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        msg = f"{path}: not a header of predictions: {error}"
        raise InputError(msg) from None


def _cells(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        options = csv.ConvertOptions(
            column_types=SCHEMA, include_columns=SCHEMA.names, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        table = csv.read_csv(str(path), convert_options=options, parse_options=csv.ParseOptions(newlines_in_values=True))
    else:
        table = parquet.read_table(path, columns=SCHEMA.names)
        missing = sorted(set(SCHEMA.names) - set(table.schema.names))
        if missing:
            raise pa.ArrowInvalid(f"columns {', '.join(missing)} are missing")
    cells: list[dict[str, Any]] = table.to_pylist()
    return cells


def _row(cells: Mapping[str, Any]) -> Prediction:
    boxes = tuple(
        PredictedBox(
            start=tuple(map(float, box["start"])), stop=tuple(map(float, box["stop"])), score=float(box["score"]), label=box["label"]
        )
        for box in json.loads(cells["boxes"])
    )
    return Prediction(
        image_id=cells["image_id"],
        case_id=cells["case_id"],
        patient_id=cells["patient_id"],
        split=cells["split"],
        boxes=boxes,
        probabilities={name: float(value) for name, value in json.loads(cells["probabilities"]).items()},
        fold=cells["fold"],
        detection_map_path=cells["detection_map_path"],
    )


def check_predictions(header: PredictionHeader, rows: Sequence[Prediction], source: str) -> None:
    """Refuse what no metric can be computed from.

    Raises:
        InputError: no rows, an image twice, an unknown part or class, a score that is negative or no number, a box without
            volume or of 4 axes, probabilities outside 0..1 or that do not sum to 1.
    """
    if not rows:
        msg = f"{source}: no predictions; run inference on the parts that shall be evaluated"
        raise InputError(msg)
    seen: set[str] = set()
    for row in rows:
        problem = _problem(header, row) or (f"image {row.image_id} comes twice" if row.image_id in seen else None)
        if problem is not None:
            msg = f"{source}: image {row.image_id}: {problem}"
            raise InputError(msg)
        seen.add(row.image_id)


def _problem(header: PredictionHeader, row: Prediction) -> str | None:
    if row.split not in PARTS:
        return f"split is {row.split!r}, expected one of {', '.join(PARTS)}"
    if row.boxes and "detection" not in header.tasks:
        return "has boxes, but the header's tasks do not name detection"
    if bool(row.probabilities) != ("classification" in header.tasks):
        return "probabilities must be given exactly if the header's tasks name classification"
    return next((problem for box in row.boxes if (problem := _box_problem(box))), None) or _probability_problem(header, row)


def _box_problem(box: PredictedBox) -> str | None:
    numbers = (*box.start, *box.stop, box.score)
    if not all(map(math.isfinite, numbers)):
        return "a box holds a value that is no finite number; the model's output was NaN or infinite"
    if len(box.start) not in (2, 3) or len(box.start) != len(box.stop):
        return f"a box has {len(box.start)} and {len(box.stop)} coordinates, expected 2 or 3 of each"
    if any(stop <= start for start, stop in zip(box.start, box.stop, strict=True)):
        return "a box has no area: every stop must lie above its start"
    return f"a score is {box.score}, expected 0 or more" if box.score < 0 else None


def _probability_problem(header: PredictionHeader, row: Prediction) -> str | None:
    if not row.probabilities:
        return None
    if set(row.probabilities) != set(header.classes):
        return f"probabilities name {sorted(row.probabilities)}, the header's classes are {sorted(header.classes)}"
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in row.probabilities.values()):
        return "a probability is no number between 0 and 1"
    total = sum(row.probabilities.values())
    return f"probabilities sum to {total:.4f}, expected 1" if len(header.classes) > 1 and abs(total - 1) > SUM_TOLERANCE else None
