"""Roles for a table of series descriptions: a site sees what its own names are read as before any image is touched."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path

from weakbox.imaging.roles import RoleReading, role_from_description
from weakbox.records.errors import InputError

DESCRIPTION_COLUMN = "series_description"
ADDED_COLUMNS = ("role", "plane", "confidence", "reason")
_DELIMITERS = (",", ";", "\t", "|")


def classify_descriptions(input_csv: Path, output_csv: Path) -> int:
    """Write ``input_csv`` again with role, plane, confidence and reason of every row; the number of rows.

    All input columns are kept, in their order; one that is called like an added column is kept as ``input_<name>``. An empty description
    is ``unknown``.

    Raises:
        InputError: no such file, no column ``series_description``, or a row with more cells than the header.
    """
    header, rows = _read_table(input_csv)
    names = [name.strip() for name in header]
    if DESCRIPTION_COLUMN not in names:
        raise InputError(_missing_column(input_csv, names))
    place = names.index(DESCRIPTION_COLUMN)
    output_csv.parent.mkdir(parents=True, exist_ok=True)
    with output_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"input_{name}" if name in ADDED_COLUMNS else name for name in names] + list(ADDED_COLUMNS))
        for number, row in enumerate(rows, start=2):
            if len(row) > len(names):
                msg = f"{input_csv}: row {number} has {len(row)} cells, the header {len(names)}; quote cells that hold the delimiter"
                raise InputError(msg)
            cells = [*row, *[""] * (len(names) - len(row))]
            writer.writerow(cells + _cells(role_from_description(cells[place])))
    return len(rows)


def _cells(reading: RoleReading) -> list[str]:
    return [reading.role.value, reading.plane.value if reading.plane else "", f"{reading.confidence:.2f}", reading.reason]


def _read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.is_file():
        msg = f"{path}: no such file; expected a CSV table with the column {DESCRIPTION_COLUMN!r}"
        raise InputError(msg)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    lines = text.splitlines(keepends=True)
    if not lines:
        msg = f"{path}: the file is empty; expected a CSV table with the column {DESCRIPTION_COLUMN!r}"
        raise InputError(msg)
    delimiter = max(_DELIMITERS, key=lines[0].count)
    table = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    return table[0], table[1:]


def _missing_column(path: Path, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(DESCRIPTION_COLUMN, names, n=1, cutoff=0.4)
    folded = {name.replace("_", "").replace(" ", "").casefold(): name for name in names}
    nearest = folded.get(DESCRIPTION_COLUMN.replace("_", "")) or (close[0] if close else None)
    hint = f"; did you mean {nearest!r}? Rename it" if nearest else ""
    return f"{path}: no column {DESCRIPTION_COLUMN!r}{hint}. The table has: {', '.join(names)}"
