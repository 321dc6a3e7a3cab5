"""Reports from a CSV or JSON Lines file, for the extraction stage's own command line; and its output file."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakbox.records.errors import InputError
from weakbox.records.report import Report, ReportType
from weakbox.runtime.nearest import nearest_name

REQUIRED = ("report_id", "text")
MAXIMUM_FIELD = 16 * 1024 * 1024
"""Longest report of a CSV cell, characters."""

Row = tuple[int, dict[str, Any]]
"""Line number of the file (1-based) and its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a row is where it does not say."""

    report_type: str | None
    organ: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The usable reports in the order of the file, and what is wrong with rows (no report text)."""

    reports: tuple[Report, ...]
    problems: tuple[str, ...]


def read_reports(path: Path, defaults: Defaults) -> Batch:
    """The reports of a file.

    Raises:
        InputError: no such file, an unknown kind of file, not UTF-8, no rows, or a missing column (the nearest is named).
    """
    if not path.is_file():
        there = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        msg = f"{path}: no such file{nearest_name(path.name, there)}"
        raise InputError(msg)
    problems: list[str] = []
    try:
        rows = list(_rows(path, problems))
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8"
        raise InputError(msg) from None
    if not rows:
        msg = f"{path}: no reports; expected rows with {', '.join(REQUIRED)}"
        raise InputError(msg if not problems else f"{msg} ({problems[0]})")
    _check_columns(path, {name for _, row in rows for name in row}, defaults)
    reports = [report for number, row in rows if (report := _report(number, row, defaults, problems)) is not None]
    counts = Counter(report.report_id for report in reports)
    problems += [f"report_id {name!r} occurs {count} times; every row was written" for name, count in counts.items() if count > 1]
    return Batch(reports=tuple(reports), problems=tuple(problems))


def _rows(path: Path, problems: list[str]) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_rows(path, problems)
    if suffix in (".csv", ".tsv", ".txt"):
        return _csv_rows(path, problems)
    msg = f"{path}: expected a .csv, .tsv or .jsonl file, got {suffix or 'no suffix'!r}"
    raise InputError(msg)


def _json_rows(path: Path, problems: list[str]) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                problems.append(f"line {number}: not JSON ({error.msg} at column {error.colno}); left out")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                problems.append(f"line {number}: expected an object, got {type(row).__name__}; left out")


def _csv_rows(path: Path, problems: list[str]) -> Iterator[Row]:
    csv.field_size_limit(MAXIMUM_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        delimiter = max(",;\t", key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        reader = csv.reader(file, delimiter=delimiter)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                problems.append(f"line {reader.line_num + 1}: {len(cells)} cells under {len(names)} columns; left out")
                continue
            yield reader.line_num + 1, dict(zip(names, cells, strict=True))


def _check_columns(path: Path, names: set[str], defaults: Defaults) -> None:
    for required in REQUIRED:
        if required not in names:
            msg = f"{path}: no column {required!r}{nearest_name(required, names)} (there are: {', '.join(sorted(names))})"
            raise InputError(msg)
    if defaults.report_type is None and "report_type" not in names:
        msg = f"{path}: no column 'report_type'{nearest_name('report_type', names)}; add it, or give --report-type radiology or pathology"
        raise InputError(msg)


def _report(number: int, row: dict[str, Any], defaults: Defaults, problems: list[str]) -> Report | None:
    identifier, text = row.get("report_id"), row.get("text")
    report_type = _word(row, "report_type") or defaults.report_type or ""
    if identifier is None or not str(identifier).strip():
        problems.append(f"line {number}: no report_id; left out")
    elif text is not None and not isinstance(text, str):
        problems.append(f"line {number}: text is {type(text).__name__}, expected words; left out")
    elif report_type.lower() not in {kind.value for kind in ReportType}:
        problems.append(f"line {number}: report_type {report_type!r}, expected radiology or pathology; left out")
    else:
        return Report(
            report_id=str(identifier),
            patient_id=_word(row, "patient_id"),
            report_type=ReportType(report_type.lower()),
            text=text or "",
            organ=(_word(row, "organ") or defaults.organ).lower(),
            language=(_word(row, "language") or defaults.language).lower(),
            source_row=number,
        )
    return None


def _word(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    return str(value).strip() or None if value is not None else None


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write one line after the other under a temporary name, then rename: the file is whole or not there.

    Raises:
        InputError: the folder cannot be written.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        temporary.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror})"
        raise InputError(msg) from None
    finally:
        temporary.unlink(missing_ok=True)
