"""Biopsy targets from 3D Slicer markups: ``.fcsv`` and ``.mrk.json``, one file or a tree of case folders.

A file states its coordinate system (RAS in old ``.fcsv`` files, LPS in newer ones); one that does not is not read.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from weakbox.records.biopsy import BiopsyTarget, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Point
from weakbox.sources.field_reading import DEFAULT_DATE_FORMATS, DateFormat, FieldError, read_date, read_point
from weakbox.sources.file_names import compile_name_pattern, files_below, relative_name
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source, SourceOptions
from weakbox.sources.table_reading import Columns, TableOptions, read_rows
from weakbox.sources.target_points import ras_to_lps, target_digest

GROUPS = ("patient_id", "case", "procedure_date", "study_date", "accession", "study_uid", "frame_of_reference_uid")
SYSTEMS: Mapping[str, str] = {"0": "RAS", "1": "LPS", "ras": "RAS", "lps": "LPS"}
CASE_COLUMNS = Columns(
    required={"case": ("case_number",), "patient_id": ("patient", "mrn")},
    optional={"procedure_date": ("date",), "accession": (), "study_uid": (), "frame_of_reference_uid": ()},
)


class SlicerOptions(SourceOptions):
    """A markup file, or a folder tree of them."""

    path: Path = Field(description="A `.fcsv` or `.mrk.json` file, or a folder; subfolders are read too.")
    name_pattern: str = Field(
        default=r"(?P<patient_id>[^/]+)/.*",
        description="Regular expression over the whole path below the folder, with named groups such as `patient_id` "
        "(or `case`, looked up in `case_table`), `procedure_date`, `study_date`, `accession`.",
    )
    case_table: Path | None = Field(default=None, description="Table with the columns `case` and `patient_id` (and `procedure_date`, ...).")
    keep_paths: str | None = Field(default=None, description="Only files whose path below the folder holds this regular expression.")
    guidance: Guidance = Field(default=Guidance.IN_BORE, description="How the needle was guided.")
    date_formats: tuple[DateFormat, ...] = Field(default=DEFAULT_DATE_FORMATS, min_length=1, description="How days are written.")


class MarkupPoint(NamedTuple):
    """One control point, LPS mm."""

    point_id: str
    label: str | None
    position: Point


class MarkupError(ValueError):
    """A file that is no usable list of points; ``reason`` is the ledger's code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def read(options: SlicerOptions) -> Iterator[BiopsyTarget | LedgerEntry]:
    """Targets in LPS mm, in the order of the paths; a file that cannot be used is a dropped row.

    Raises:
        InputError: no such path, nothing in it, or the case table is not usable.
        ConfigurationError: a pattern is not usable.
    """
    pattern = compile_name_pattern(options.name_pattern, GROUPS, "name_pattern")
    keep = compile_name_pattern(options.keep_paths, (), "keep_paths") if options.keep_paths else None
    cases = _read_cases(options)
    for number, path in enumerate(_markup_files(options), start=1):
        name = relative_name(path, options.path)
        place = f"{options.path.name}:file {number}"
        match = pattern.fullmatch(name)
        if keep is not None and not keep.search(name):
            yield dropped("file", place, "path_not_kept", "does not match `keep_paths`")
        elif match is None:
            yield dropped("file", place, "name_not_matched", "its path does not match `name_pattern`")
        else:
            yield from _read_file(options, path, place, match.groupdict(), cases)


def _read_cases(options: SlicerOptions) -> dict[str, dict[str, str]]:
    if options.case_table is None:
        return {}
    table = TableOptions(source=options.source, path=options.case_table)
    cases: dict[str, dict[str, str]] = {}
    for row in read_rows(table, CASE_COLUMNS, "row"):
        if isinstance(row, LedgerEntry):
            continue
        values = {name: value for name in row.cells if (value := row.text(name)) is not None}
        case = values.get("case", "").lstrip("0")
        if case in cases and cases[case] != values:
            msg = f"{options.case_table}: row {row.number} states another patient or day for a case that an earlier row holds; keep one"
            raise InputError(msg)
        cases[case] = values
    return cases


def _read_file(
    options: SlicerOptions, path: Path, place: str, groups: Mapping[str, str | None], cases: Mapping[str, Mapping[str, str]]
) -> Iterator[BiopsyTarget | LedgerEntry]:
    values = {name: value.strip() for name, value in groups.items() if value and value.strip()}
    if "case" in values:
        values = {**cases.get(values["case"].lstrip("0"), {}), **values}
    patient_id = values.get("patient_id")
    if patient_id is None:
        yield dropped("file", place, "no_patient", "neither the path nor the case table names a patient")
        return
    days: dict[str, date | None] = {"procedure_date": None, "study_date": None}
    for name in days:
        try:
            days[name] = read_date(values.get(name), options.date_formats)
        except FieldError as error:
            yield flagged("file", place, error.reason, name, patient_id)
    try:
        points = read_markups(path)
    except MarkupError as error:
        yield dropped("file", place, error.reason, error.detail, patient_id)
        return
    for item in points:
        yield (
            dropped("target", f"{place}:{item.item_id}", item.reason, item.detail, patient_id)
            if isinstance(item, LedgerEntry)
            else _target(options, path, item, values, days)
        )


def _target(
    options: SlicerOptions, path: Path, point: MarkupPoint, values: Mapping[str, str], days: Mapping[str, date | None]
) -> BiopsyTarget:
    target = BiopsyTarget(
        target_id="",
        patient_id=values["patient_id"],
        label=point.label,
        position=point.position,
        study_uid=values.get("study_uid"),
        frame_of_reference_uid=values.get("frame_of_reference_uid"),
        accession=values.get("accession"),
        procedure_date=days["procedure_date"],
        study_date=days["study_date"],
        guidance=options.guidance,
        source="slicer_markups",
        source_file=path.name,
    )
    return replace(target, target_id=target_digest(target))


def read_markups(path: Path) -> list[MarkupPoint | LedgerEntry]:
    """The points of one markup file, LPS mm; a dropped row for a point that is not placed.

    Raises:
        MarkupError: the file is no markup file, or does not state its coordinate system.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise MarkupError("unreadable_file", "not UTF-8 text") from None
    return _read_json(text) if path.suffix.lower() == ".json" else _read_fcsv(text)


def _to_lps(position: Point, system: str) -> Point:
    return position if system == "LPS" else ras_to_lps(position)


def _system(text: object) -> str:
    system = SYSTEMS.get(str(text).strip().casefold())
    if system is None:
        raise MarkupError("no_coordinate_system" if text is None else "unknown_coordinate_system", "expected LPS or RAS")
    return system


_COMMENT = re.compile(r"#\s*(\w[\w ]*?)\s*=\s*(.*)")


def _read_fcsv(text: str) -> list[MarkupPoint | LedgerEntry]:
    lines = text.splitlines()
    comments = {match[1].casefold(): match[2].strip() for line in lines if (match := _COMMENT.match(line))}
    system = _system(comments.get("coordinatesystem"))
    if "columns" not in comments:
        raise MarkupError("no_columns", "no `# columns =` line")
    columns = [name.strip().casefold() for name in comments["columns"].split(",")]
    if not {"x", "y", "z"} <= set(columns):
        raise MarkupError("no_columns", "no x, y and z in `# columns =`")
    rows = csv.reader(line for line in lines if line.strip() and not line.startswith("#"))
    return [_fcsv_point(dict(zip(columns, row, strict=False)), number, system) for number, row in enumerate(rows, start=1)]


def _fcsv_point(cells: Mapping[str, str], number: int, system: str) -> MarkupPoint | LedgerEntry:
    point_id = str(number)
    try:
        position = read_point((cells.get(axis) or "").strip() or None for axis in "xyz")
    except FieldError as error:
        return dropped("target", point_id, error.reason)
    if position is None:
        return dropped("target", point_id, "unreadable_coordinate")
    return MarkupPoint(point_id, (cells.get("label") or "").strip() or None, _to_lps(position, system))


def _read_json(text: str) -> list[MarkupPoint | LedgerEntry]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        raise MarkupError("unreadable_file", "not JSON") from None
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list):
        raise MarkupError("unreadable_file", "no `markups` list")
    points: list[MarkupPoint | LedgerEntry] = []
    for markup_number, markup in enumerate(markups, start=1):
        if markup.get("type") not in (None, "Fiducial"):
            points.append(dropped("target", str(markup_number), "not_a_point_list", str(markup.get("type"))))
            continue
        system = _system(markup.get("coordinateSystem"))
        scale = _json_scale(markup.get("coordinateUnits", "mm"))
        controls = markup.get("controlPoints") or []
        points += [_json_point(control, f"{markup_number}.{place}", system, scale) for place, control in enumerate(controls, start=1)]
    return points


def _json_scale(units: object) -> float:
    """Millimetres for one unit; Slicer writes a string, or a list of three."""
    names = {str(unit) for unit in units} if isinstance(units, list) else {str(units)}
    scale = {"mm": 1.0, "cm": 10.0, "m": 1000.0}.get(names.pop()) if len(names) == 1 else None
    if scale is None:
        raise MarkupError("unknown_unit", "expected mm")
    return scale


def _json_point(control: Mapping[str, object], point_id: str, system: str, scale: float) -> MarkupPoint | LedgerEntry:
    status = control.get("positionStatus", "defined")
    if status != "defined":
        return dropped("target", point_id, "position_not_defined", f"positionStatus is {status}")
    position = control.get("position")
    numbers = [float(value) * scale for value in position if isinstance(value, int | float)] if isinstance(position, list) else []
    if len(numbers) != 3:
        return dropped("target", point_id, "unreadable_coordinate")
    label = control.get("label")
    return MarkupPoint(point_id, str(label).strip() or None if label else None, _to_lps((numbers[0], numbers[1], numbers[2]), system))


def _markup_files(options: SlicerOptions) -> tuple[Path, ...]:
    found = files_below(options.path, "**/*")
    markups = tuple(path for path in found if path.name.lower().endswith((".fcsv", ".mrk.json")))
    if not markups:
        msg = f"{options.path}: no `.fcsv` or `.mrk.json` file"
        raise InputError(msg)
    return markups


def files(options: SlicerOptions) -> tuple[Path, ...]:
    """The markup files, sorted, and the case table."""
    return (*_markup_files(options), *((options.case_table,) if options.case_table else ()))


SOURCE = Source(family="biopsies", options=SlicerOptions, files=files, read=read)
