"""Tables as they come: CSV in any common encoding and delimiter, XLSX, Parquet, JSON Lines; rows of strings, one at a time."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field
from rapidfuzz.distance import OSA

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.runtime.nearest import nearest_name
from weakbox.sources.remarks import dropped
from weakbox.sources.source import SourceOptions
from weakbox.sources.strict_workbook import readable_workbook
from weakbox.sources.text_encoding import choose_encoding, encoding_remarks

DELIMITERS = (",", ";", "\t", "|")
MAXIMUM_CELL_CHARACTERS = 16 * 2**20
"""A longer cell is an unclosed quote that swallows the rest of the file."""

PARQUET_BATCH_ROWS = 1024


class TableOptions(SourceOptions):
    """Options of every source that reads one table."""

    path: Path = Field(description="The table: .csv, .tsv, .txt, .xlsx, .parquet, .jsonl or .ndjson.")
    columns: Mapping[str, str] = Field(default_factory=dict, description="Our field name -> the file's column name, where they differ.")
    sheet: str | None = Field(default=None, description="Worksheet of a workbook; the first one where not given.")
    encoding: str | None = Field(default=None, description="Text encoding; detected where not given (mark, UTF-8, Windows-1252).")
    delimiter: str | None = Field(default=None, description="Column separator of a text table; told from its header where not given.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: its number in the file (the header is row 1; a line number in JSON Lines) and its cells by our field names."""

    number: int
    cells: Mapping[str, str]

    def raw(self, name: str) -> str:
        """The cell exactly as read; empty where the column or the value is missing."""
        return self.cells.get(name, "")

    def text(self, name: str) -> str | None:
        """The cell without outer blanks; None where it is empty."""
        return self.raw(name).strip() or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The fields a source reads: each with the other column names under which it is known to appear."""

    required: Mapping[str, Sequence[str]]
    optional: Mapping[str, Sequence[str]]

    def known(self) -> dict[str, Sequence[str]]:
        """Required and optional fields together."""
        return {**self.required, **self.optional}


RawRow = tuple[int, Sequence[str]]
Rows = Generator[RawRow | LedgerEntry, None, None]
Opened = tuple[Sequence[str], Rows, tuple[LedgerEntry, ...]]


def read_rows(options: TableOptions, columns: Columns, kind: str) -> Iterator[Row | LedgerEntry]:
    """The rows of a table, and a dropped ledger row of ``kind`` for each that is damaged.

    Raises:
        InputError: no such file, an empty one, or no column for a required field; names file, column and nearest name.
    """
    header, rows, remarks = _open_table(options, kind)
    places = _find_columns(options, columns, header)
    yield from remarks
    count = 0
    for item in rows:
        count += 1
        if isinstance(item, LedgerEntry):
            yield item
            continue
        number, cells = item
        yield Row(number=number, cells={name: cells[place] for name, place in places.items()})
    if count == 0:
        msg = f"{options.path}: no rows under its header; expected a table with {', '.join(columns.required or columns.optional)}"
        raise InputError(msg)


def has_column(options: TableOptions, columns: Columns, name: str) -> bool:
    """Whether the table has a column for a field; reads the header only."""
    header, rows, _ = _open_table(options, "file")
    next(rows, None)
    rows.close()
    return name in _find_columns(options, columns, header)


def _open_table(options: TableOptions, kind: str) -> Opened:
    if not options.path.is_file():
        msg = f"{options.path}: no such file"
        raise InputError(msg)
    if options.path.stat().st_size == 0:
        msg = f"{options.path}: the file is empty"
        raise InputError(msg)
    suffix = options.path.suffix.lower()
    reader = READERS.get(suffix)
    if reader is None:
        msg = f"{options.path}: {suffix or 'no suffix'} is no table; expected one of {', '.join(sorted(READERS))}"
        raise InputError(msg)
    return reader(options, kind)


def _until_done(rows: Rows, close: Callable[[], None]) -> Rows:
    try:
        yield from rows
    finally:
        close()


# Column names -------------------------------------------------------------------------------------------------------


SLIPS = 1
"""Letters left out, added, changed or swapped with their neighbour."""
SHORTEST_MISSPELT = 6
"""Shorter names (``id``, ``date``) are near too many others."""


def comparable(name: str) -> str:
    """A column name without case, blanks and punctuation.

    >>> comparable("Patient ID ") == comparable("patient_id")
    True
    """
    return re.sub(r"[\W_]+", "", name).casefold()


def _find_columns(options: TableOptions, columns: Columns, header: Sequence[str]) -> dict[str, int]:
    known = columns.known()
    for name in options.columns:
        if name not in known:
            nearest = nearest_name(name, known)
            msg = f"{options.path}: `columns` names an unknown field `{name}`{nearest}; there are: {', '.join(sorted(known))}"
            raise ConfigurationError(msg)
    places: dict[str, int] = {}
    for name, others in known.items():
        wanted = options.columns.get(name)
        place = _stated_place(options, name, wanted, header) if wanted else _known_place(options, (name, *others), header)
        if place is not None:
            places[name] = place
        elif name in columns.required:
            raise InputError(_missing_column(options, name, others, header))
    _refuse_misspelt(options, {name: others for name, others in columns.optional.items() if name not in places}, places, header)
    return places


def _refuse_misspelt(options: TableOptions, absent: Mapping[str, Sequence[str]], places: Mapping[str, int], header: Sequence[str]) -> None:
    """An unread column that is a slip of the pen away from an absent field would lose that field in every row."""
    unread = [column.strip() for place, column in enumerate(header) if place not in places.values()]
    for name, others in absent.items():
        for column, wanted in product(unread, (name, *others)):
            form, wanted_form = comparable(column), comparable(wanted)
            if len(wanted_form) >= SHORTEST_MISSPELT and OSA.distance(form, wanted_form) <= SLIPS:
                msg = (
                    f"{options.path}: the column {column!r} is not read, but looks like `{wanted}`; "
                    f"rename it, or say what it is in the options: `columns: {{{name}: {column}}}`"
                )
                raise InputError(msg)


def _stated_place(options: TableOptions, name: str, wanted: str, header: Sequence[str]) -> int:
    stripped = [column.strip() for column in header]
    places = [place for place, column in enumerate(stripped) if column == wanted.strip()]
    if len(places) == 1:
        return places[0]
    problem = f"no column {wanted!r} for `{name}`" if not places else f"{len(places)} columns are called {wanted!r}, wanted for `{name}`"
    msg = f"{options.path}: {problem}{nearest_name(wanted, stripped)}; the table has: {', '.join(stripped)}"
    raise InputError(msg)


def _known_place(options: TableOptions, names: Sequence[str], header: Sequence[str]) -> int | None:
    for name in names:
        places = [place for place, column in enumerate(header) if comparable(column) == comparable(name)]
        if len(places) > 1:
            found = ", ".join(repr(header[place]) for place in places)
            msg = f"{options.path}: {found} all read as `{names[0]}`; say which in `columns`"
            raise InputError(msg)
        if places:
            return places[0]
    return None


def _missing_column(options: TableOptions, name: str, others: Sequence[str], header: Sequence[str]) -> str:
    stripped = [column.strip() for column in header]
    nearest = next((clause for candidate in (name, *others) if (clause := _nearest_column(candidate, stripped))), "")
    return (
        f"{options.path}: no column for `{name}`{nearest}; the table has: {', '.join(stripped)}. "
        f"Rename the column that holds it to {name!r}, or name it in the options of a source: `columns: {{{name}: <column>}}`"
    )


def _nearest_column(name: str, header: Sequence[str]) -> str:
    by_form = {comparable(column): column for column in header}
    clause = nearest_name(comparable(name), by_form)
    found = next((column for form, column in by_form.items() if repr(form) in clause), None)
    return f"; did you mean {found!r}?" if clause and found else ""


# Text tables --------------------------------------------------------------------------------------------------------


def _open_text(options: TableOptions, kind: str) -> Opened:
    encoding = choose_encoding(options.path, options.encoding)
    delimiter = options.delimiter or _told_delimiter(options.path, encoding)
    file = options.path.open(encoding=encoding, newline="")
    csv.field_size_limit(MAXIMUM_CELL_CHARACTERS)
    lines = _Lines(file)
    rows = csv.reader(lines, delimiter=delimiter)
    header = next((row for row in rows if any(cell.strip() for cell in row)), None)
    if header is None:
        file.close()
        msg = f"{options.path}: the file holds nothing but blanks"
        raise InputError(msg)
    checked = _checked_rows(options.path, rows, lines, delimiter, len(header), kind)
    return header, _until_done(checked, file.close), encoding_remarks(options.path, options.encoding, encoding)


class _Lines:
    """The lines of a file; remembers those of the record that is being read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.of_record: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.of_record.append(line)
        return line


def _checked_rows(path: Path, rows: Iterator[list[str]], lines: _Lines, delimiter: str, width: int, kind: str) -> Rows:
    number = 1
    waiting: tuple[int, list[str], list[str]] | None = None
    while True:
        lines.of_record = []
        try:
            cells = next(rows, None)
        except csv.Error as error:
            msg = f"{path}: row {number + 1} cannot be read ({error}); probably a quote that is opened and never closed"
            raise InputError(msg) from None
        if waiting is not None:
            is_cut = cells is None and _ends_in_quote(waiting[2], delimiter)
            yield _checked(path, waiting[0], waiting[1], width=width, kind=kind, is_cut=is_cut)
            waiting = None
        if cells is None:
            return
        number += 1
        if any(cell.strip() for cell in cells):
            waiting = (number, cells, lines.of_record)


def _ends_in_quote(lines: Iterable[str], delimiter: str) -> bool:
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _checked(path: Path, number: int, cells: list[str], *, width: int, kind: str, is_cut: bool) -> RawRow | LedgerEntry:
    if is_cut:
        return dropped(kind, f"{path.name}:{number}", "malformed_row", "the file ends inside a quoted cell")
    if len(cells) != width:
        return dropped(kind, f"{path.name}:{number}", "malformed_row", f"expected {width} cells, got {len(cells)}")
    return number, cells


def _told_delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, newline="") as file:
        header = next((line for line in file if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", header)
    counts = {delimiter: unquoted.count(delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


# Other formats ------------------------------------------------------------------------------------------------------


def _open_workbook(options: TableOptions, kind: str) -> Opened:
    import warnings
    import zipfile

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # styles and views that are not read anyway
            workbook = openpyxl.load_workbook(readable_workbook(options.path), read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError) as error:
        msg = f"{options.path}: no readable Excel workbook ({type(error).__name__}); save it again as .xlsx, or as CSV"
        raise InputError(msg) from None
    sheet = workbook[_sheet_name(options, workbook.sheetnames)]
    sheet.reset_dimensions()
    rows = enumerate(sheet.iter_rows(values_only=True), start=1)
    header = next(([cell_text(cell) for cell in row] for _, row in rows if any(cell is not None for cell in row)), None)
    if header is None:
        workbook.close()
        msg = f"{options.path}: the sheet holds no cells"
        raise InputError(msg)
    return header, _until_done(_sheet_rows(options.path, rows, len(header), kind), workbook.close), ()


def _sheet_name(options: TableOptions, names: Sequence[str]) -> str:
    if not names:
        msg = f"{options.path}: no worksheet found; save it again as an ordinary .xlsx, or as CSV"
        raise InputError(msg)
    if options.sheet is None:
        return names[0]
    if options.sheet not in names:
        msg = f"{options.path}: no sheet {options.sheet!r}{nearest_name(options.sheet, names)}; there are: {', '.join(names)}"
        raise InputError(msg)
    return options.sheet


def _sheet_rows(path: Path, rows: Iterable[tuple[int, Sequence[object]]], width: int, kind: str) -> Rows:
    for number, row in rows:
        cells = [cell_text(cell) for cell in row]
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[width:]):
            yield dropped(kind, f"{path.name}:{number}", "malformed_row", f"cells beyond the {width} columns of the header")
            continue
        yield number, (cells + [""] * width)[:width]


def _open_parquet(options: TableOptions, kind: str) -> Opened:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(options.path)
    except pyarrow.ArrowInvalid:
        msg = f"{options.path}: no readable Parquet file"
        raise InputError(msg) from None
    return file.schema_arrow.names, _parquet_rows(file), ()


def _parquet_rows(file: Any) -> Rows:
    number = 1
    for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS):
        columns = [[cell_text(value) for value in column.to_pylist()] for column in batch.columns]
        for cells in zip(*columns, strict=True):
            number += 1
            yield number, cells


def _open_json_lines(options: TableOptions, kind: str) -> Opened:
    encoding = choose_encoding(options.path, options.encoding)
    header: Counter[str] = Counter()
    with options.path.open(encoding=encoding) as file:
        for line in file:
            item = _json_object(line)
            if item is not None:
                header.update(dict.fromkeys(item, 0))
    if not header:
        msg = f"{options.path}: no JSON object on any line; expected one object a line"
        raise InputError(msg)
    names = list(header)
    return names, _json_rows(options.path, encoding, names, kind), encoding_remarks(options.path, options.encoding, encoding)


def _json_object(line: str) -> dict[str, object] | None:
    try:
        item = json.loads(line)
    except json.JSONDecodeError:
        return None
    return item if isinstance(item, dict) else None


def _json_rows(path: Path, encoding: str, names: Sequence[str], kind: str) -> Rows:
    with path.open(encoding=encoding) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            item = _json_object(line)
            if item is None:
                yield dropped(kind, f"{path.name}:{number}", "malformed_row", "no JSON object")
            else:
                yield number, [cell_text(item.get(name)) for name in names]


def cell_text(value: object) -> str:
    """A cell as text: whole numbers without a decimal point, days as ISO, nothing and not-a-number as empty.

    >>> [cell_text(value) for value in (3.0, 0.5, None, True)]
    ['3', '0.5', '', 'TRUE']
    """
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


READERS: Mapping[str, Callable[[TableOptions, str], Opened]] = {
    ".csv": _open_text,
    ".tsv": _open_text,
    ".tab": _open_text,
    ".txt": _open_text,
    ".xlsx": _open_workbook,
    ".parquet": _open_parquet,
    ".jsonl": _open_json_lines,
    ".ndjson": _open_json_lines,
}
