"""The joined set as tables: ``images.parquet``, ``images.csv``, ``duplicates.csv``, and COCO files for its 2-D images.

One row an image, columns as the fields of ``ImageRow``. Boxes and attributes are JSON in both tables; lists are lists in
Parquet and JSON in CSV. In CSV an empty cell is "not stated" and ``""`` an empty text, which ``pyarrow.csv`` keeps apart.
Written and read in blocks, so the set's size costs no memory; the same rows give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pyarrow as pa
from pyarrow import csv, parquet

from weakbox.records.artifact import Artifact
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.runtime.digests import optional_file_digest

PARQUET_NAME = "images.parquet"
CSV_NAME = "images.csv"
ROWS_A_GROUP = 4_000
KIND = "image_manifest"

_LIST_OF_TEXT, _LIST_OF_NUMBERS = pa.list_(pa.string()), pa.list_(pa.float64())
_TYPES: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    str | None: pa.string(),
    float: pa.float64(),
    float | None: pa.float64(),
    int: pa.int64(),
    int | None: pa.int64(),
    tuple[str, ...]: _LIST_OF_TEXT,
    tuple[float, ...] | None: _LIST_OF_NUMBERS,
}
_JSON_FIELDS = ("boxes", "attributes")
_NAMES = tuple(field.name for field in fields(ImageRow))
_BOX_NAMES = tuple(field.name for field in fields(ImageBox))
_HINTS = get_type_hints(ImageRow)
SCHEMA = pa.schema(
    [
        pa.field(
            name,
            pa.string() if name in _JSON_FIELDS else _TYPES[_HINTS[name]],
            nullable=type(None) in get_args(_HINTS[name]),
        )
        for name in _NAMES
    ]
)
_CSV_SCHEMA = pa.schema([field.with_type(pa.string()) if pa.types.is_list(field.type) else field for field in SCHEMA])
_row_values = attrgetter(*_NAMES)


def write_manifest(rows: Iterable[ImageRow], folder: Path) -> tuple[Artifact, ...]:
    """Write both tables, each under a temporary name first. ``rows`` in the order they shall have, by ``image_id`` as a rule."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f"{name}.tmp" for name in (PARQUET_NAME, CSV_NAME)}
    with ExitStack() as files:
        for path in parts.values():
            files.callback(path.unlink, missing_ok=True)
        # Statistics serve filters; dictionaries make the few different words cheap. Neither depends on time or place.
        table = files.enter_context(parquet.ParquetWriter(parts[PARQUET_NAME], SCHEMA, compression="zstd", version="2.6"))
        text = files.enter_context(csv.CSVWriter(str(parts[CSV_NAME]), _CSV_SCHEMA))
        for block in _blocks(rows):
            batch = _batch(block)
            table.write_batch(batch)
            text.write_batch(_with_json_lists(batch, block))
        text.close()
        table.close()
        for name, path in parts.items():
            path.replace(folder / name)
    return tuple(_artifact(folder, name) for name in (PARQUET_NAME, CSV_NAME))


def _artifact(folder: Path, name: str) -> Artifact:
    path = folder / name
    return Artifact(path=name, kind=KIND, role=Path(name).stem, case_id=None, sha256=optional_file_digest(path), bytes=path.stat().st_size)


def _blocks(rows: Iterable[ImageRow]) -> Iterator[list[ImageRow]]:
    remaining = iter(rows)
    while block := list(islice(remaining, ROWS_A_GROUP)):
        yield block


def _batch(rows: list[ImageRow]) -> pa.RecordBatch:
    columns = dict(zip(_NAMES, zip(*map(_row_values, rows), strict=True), strict=True))
    columns["boxes"] = tuple(_boxes_text(row.boxes) for row in rows)
    columns["attributes"] = tuple(_json(dict(row.attributes)) if row.attributes else "{}" for row in rows)
    try:
        arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        msg = f"rows {rows[0].image_id} .. {rows[-1].image_id}: a value does not fit its column ({error})"
        raise InputError(msg) from error
    for array, field in zip(arrays, SCHEMA, strict=True):
        if array.null_count and not field.nullable:
            msg = f"{rows[array.is_null().index(True).as_py()].image_id}: {field.name} is not stated, but every row needs it"
            raise InputError(msg)
    return pa.record_batch(arrays, SCHEMA)


def _boxes_text(boxes: tuple[ImageBox, ...]) -> str:
    return _json([{name: getattr(box, name) for name in _BOX_NAMES} for box in boxes]) if boxes else "[]"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _with_json_lists(batch: pa.RecordBatch, rows: list[ImageRow]) -> pa.RecordBatch:
    lists = {field.name: [_list_text(getattr(row, field.name)) for row in rows] for field in SCHEMA if pa.types.is_list(field.type)}
    columns = [pa.array(lists[name], pa.string()) if name in lists else batch.column(name) for name in _NAMES]
    return pa.record_batch(columns, _CSV_SCHEMA)


def _list_text(cell: tuple[Any, ...] | None) -> str | None:
    return None if cell is None else _json(cell) if cell else "[]"


def read_manifest(path: Path) -> Iterator[ImageRow]:
    """Rows of ``images.parquet`` or ``images.csv`` as they were written, block by block.

    Raises:
        InputError: no such file, not such a table, a column is missing, or a cell cannot be read.
    """
    if not path.is_file():
        msg = f"{path}: no such file; expected {PARQUET_NAME} or {CSV_NAME} of a finished set"
        raise InputError(msg)
    try:
        for batch in _csv_batches(path) if path.suffix == ".csv" else _parquet_batches(path):
            yield from _rows_of(batch)
    except (pa.ArrowInvalid, pa.ArrowKeyError, json.JSONDecodeError, TypeError) as error:
        msg = f"{path}: this is no manifest of images that can be read ({str(error).splitlines()[0]}); write it again from the store"
        raise InputError(msg) from error


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with parquet.ParquetFile(path, pre_buffer=False) as table:
        _check_columns(table.schema_arrow.names)
        yield from table.iter_batches(ROWS_A_GROUP, columns=list(_NAMES))


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    options = csv.ConvertOptions(
        column_types=_CSV_SCHEMA, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False, include_columns=list(_NAMES)
    )
    parsing = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(str(path), convert_options=options, parse_options=parsing) as reader:
        yield from reader


def _check_columns(names: Iterable[str]) -> None:
    missing = sorted(set(_NAMES) - set(names))
    if missing:
        msg = f"columns {', '.join(missing)} are missing"
        raise pa.ArrowInvalid(msg)


def _rows_of(batch: pa.RecordBatch) -> Iterator[ImageRow]:
    columns = {name: _cells(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    for name, read in _CELLS.items():
        columns[name] = [read(cell) for cell in columns[name]]
    for values in zip(*columns.values(), strict=True):
        yield ImageRow(**dict(zip(columns, values, strict=True)))


def _cells(column: pa.Array) -> list[Any]:
    """Cells as Python values; for text this way is several times faster than ``to_pylist``."""
    cells: list[Any] = column.to_numpy(zero_copy_only=False).tolist() if pa.types.is_string(column.type) else column.to_pylist()
    return cells


def _boxes(cell: str) -> tuple[ImageBox, ...]:
    return () if cell == "[]" else tuple(ImageBox(**{name: _tupled(value) for name, value in box.items()}) for box in json.loads(cell))


def _attributes(cell: str) -> dict[str, Any]:
    return {} if cell == "{}" else {name: _tupled(value) for name, value in json.loads(cell).items()}


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _list_cell(cell: str | list[Any] | None) -> tuple[Any, ...] | None:
    if cell is None:
        return None
    return tuple(json.loads(cell) if isinstance(cell, str) else cell)


_CELLS: Mapping[str, Callable[[Any], Any]] = {
    "boxes": _boxes,
    "attributes": _attributes,
    **{field.name: _list_cell for field in SCHEMA if pa.types.is_list(field.type)},
}
