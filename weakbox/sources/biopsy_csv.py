"""Biopsy targets from one documented generic table: a point, or at least a label, for each target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from weakbox.records.biopsy import BiopsyTarget, CoordinateSystem, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Point
from weakbox.sources.field_reading import (
    DEFAULT_DATE_FORMATS,
    DateFormat,
    FieldError,
    GleasonCell,
    read_boolean,
    read_date,
    read_gleason,
    read_guidance,
    read_integer,
    read_isup,
    read_number,
    read_point,
)
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, has_column, read_rows
from weakbox.sources.target_points import ras_to_lps, target_digest

Frame = Literal["LPS", "RAS", "ijk"]
Unit = Literal["mm", "cm"]
Value = TypeVar("Value")

COLUMNS = Columns(
    required={"patient_id": ("patient", "mrn", "patient_number")},
    optional={
        "target_id": (),
        "label": ("target", "target_label", "roi", "lesion", "target_no"),
        "study_uid": ("study_instance_uid",),
        "series_uid": ("series_instance_uid",),
        "frame_of_reference_uid": ("frame_uid", "for_uid"),
        "x": (),
        "y": (),
        "z": (),
        "frame": ("coordinate_system",),
        "units": ("unit",),
        "diameter": ("diameter_mm", "size"),
        "axis_lr": ("lr", "width"),
        "axis_ap": ("ap", "depth"),
        "axis_cc": ("cc", "height"),
        "volume_ml": ("volume", "volume_cc", "roi_volume_cc"),
        "location": ("location_words", "site", "sector"),
        "pirads": ("pi_rads",),
        "likert": ("ucla_score",),
        "gleason": ("gleason_score",),
        "isup_grade": ("isup", "grade_group", "ggg"),
        "is_clinically_significant": ("clin_sig", "cspca"),
        "guidance": ("source", "technique", "system"),
        "procedure_date": ("biopsy_date",),
        "study_date": ("exam_date", "mri_date"),
        "accession": ("accession_number",),
    },
)
MAXIMUM_SIZE_MM = 300.0


class BiopsyTableOptions(TableOptions):
    """One table of biopsy targets; see docs/input_formats.md for its columns."""

    frame: Frame | None = Field(default=None, description="Frame of x, y, z where the table has no `frame` column: `LPS`, `RAS` or `ijk`.")
    units: Unit = Field(default="mm", description="Unit of coordinates and sizes where the table has no `units` column.")
    guidance: Guidance = Field(default=Guidance.UNKNOWN, description="How the needle was guided, where the table does not say it.")
    date_formats: tuple[DateFormat, ...] = Field(default=DEFAULT_DATE_FORMATS, min_length=1, description="How days are written.")


@dataclass(slots=True)
class _Cells:
    """Reads the cells of one row; what cannot be read becomes a problem of the target, and its field None."""

    row: Row
    problems: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        return self.row.text(name)

    def read(self, reader: Callable[[str | None], Value], name: str, default: Value) -> Value:
        try:
            return reader(self.row.text(name))
        except FieldError as error:
            self.problems.append(f"{error.reason}:{name}")
            return default


def read(options: BiopsyTableOptions) -> Iterator[BiopsyTarget | LedgerEntry]:
    """Targets in DICOM LPS mm (or voxel indices), with a flagged row for each problem.

    Raises:
        InputError: no file, no patient column, or coordinates without a frame.
    """
    if options.frame is None and has_column(options, COLUMNS, "x") and not has_column(options, COLUMNS, "frame"):
        msg = f"{options.path}: x, y, z without a frame; add a `frame` column or the option `frame:` with LPS, RAS or ijk"
        raise InputError(msg)
    for row in read_rows(options, COLUMNS, "target"):
        if isinstance(row, LedgerEntry):
            yield row
        else:
            yield from _read_row(options, row)


def _read_row(options: BiopsyTableOptions, row: Row) -> Iterator[BiopsyTarget | LedgerEntry]:
    patient_id = row.text("patient_id")
    place = f"{options.path.name}:{row.number}"
    if patient_id is None:
        yield dropped("target", place, "no_patient")
        return
    cells = _Cells(row)
    try:
        frame = _frame(options, row)
        position = read_point(row.text(axis) for axis in "xyz")
        scale = _millimetres(row.text("units") or options.units)
    except FieldError as error:
        yield dropped("target", place, error.reason, patient_id=patient_id)
        return
    if position is not None and frame is None:
        yield dropped("target", place, "no_frame", "expected LPS, RAS or ijk", patient_id)
        return
    target = _target(options, cells, patient_id, _to_internal(position, frame, scale), frame, scale)
    yield target
    for problem in target.problems:
        reason, _, detail = problem.partition(":")
        yield flagged("target", target.target_id, reason, detail, patient_id)


def _frame(options: BiopsyTableOptions, row: Row) -> Frame | None:
    text = row.text("frame")
    if text is None:
        return options.frame
    known: dict[str, Frame] = {"lps": "LPS", "ras": "RAS", "ijk": "ijk"}
    if text.casefold() not in known:
        raise FieldError("unknown_frame")
    return known[text.casefold()]


def _millimetres(unit: str) -> float:
    scales = {"mm": 1.0, "cm": 10.0}
    if unit.casefold() not in scales:
        raise FieldError("unknown_unit")
    return scales[unit.casefold()]


def _to_internal(position: Point | None, frame: Frame | None, scale: float) -> Point | None:
    if position is None or frame == "ijk":
        return position
    x, y, z = (scale * value for value in position)
    return (x, y, z) if frame == "LPS" else ras_to_lps((x, y, z))


def _target(
    options: BiopsyTableOptions, cells: _Cells, patient_id: str, position: Point | None, frame: Frame | None, scale: float
) -> BiopsyTarget:
    is_index = frame == "ijk" and position is not None
    gleason = cells.read(read_gleason, "gleason", GleasonCell())
    target = BiopsyTarget(
        target_id="",
        patient_id=patient_id,
        label=cells.text("label"),
        position=position,
        coordinate_system=CoordinateSystem.IJK if is_index else CoordinateSystem.LPS,
        study_uid=cells.text("study_uid"),
        series_uid=cells.text("series_uid"),
        frame_of_reference_uid=cells.text("frame_of_reference_uid"),
        accession=cells.text("accession"),
        procedure_date=_read_day(options, cells, "procedure_date"),
        study_date=_read_day(options, cells, "study_date"),
        diameter_mm=cells.read(lambda text: _size(text, scale), "diameter", None),
        axes_mm=_axes(cells, scale),
        volume_ml=cells.read(lambda text: read_number(text, minimum=0.0, maximum=1000.0), "volume_ml", None),
        location=cells.text("location"),
        pirads=cells.read(lambda text: read_integer(text, minimum=1, maximum=5), "pirads", None),
        likert=cells.read(lambda text: read_integer(text, minimum=1, maximum=5), "likert", None),
        gleason_primary=gleason.primary,
        gleason_secondary=gleason.secondary,
        isup_grade=_isup(cells, gleason.isup_grade),
        is_clinically_significant=cells.read(read_boolean, "is_clinically_significant", None),
        guidance=cells.read(lambda text: read_guidance(text, options.guidance), "guidance", options.guidance),
        source="biopsy_csv",
        source_file=options.path.name,
        source_row=cells.row.number,
    )
    return replace(target, target_id=cells.text("target_id") or target_digest(target), problems=tuple(sorted(set(cells.problems))))


def _read_day(options: BiopsyTableOptions, cells: _Cells, name: str) -> date | None:
    return cells.read(lambda text: read_date(text, options.date_formats), name, None)


def _size(text: str | None, scale: float) -> float | None:
    value = read_number(text, minimum=0.0, maximum=MAXIMUM_SIZE_MM / scale)
    if value == 0.0:
        raise FieldError("out_of_range")
    return None if value is None else value * scale


def _axes(cells: _Cells, scale: float) -> Point | None:
    names = ("axis_lr", "axis_ap", "axis_cc")
    if all(cells.text(name) is None for name in names):
        return None
    sizes = [size for name in names if (size := cells.read(lambda text: _size(text, scale), name, None)) is not None]
    if len(sizes) != 3:
        cells.problems.append("incomplete_axes:axis_lr, axis_ap and axis_cc belong together")
        return None
    return sizes[0], sizes[1], sizes[2]


def _isup(cells: _Cells, derived: int | None) -> int | None:
    """The stated grade, else the one that the Gleason score gives; a contradiction leaves none."""
    stated = cells.read(read_isup, "isup_grade", None)
    if stated is not None and derived is not None and stated != derived:
        cells.problems.append("grade_conflict:grade group and Gleason score contradict each other")
        return None
    return derived if stated is None else stated


def files(options: BiopsyTableOptions) -> tuple[Path, ...]:
    """The one table."""
    return (options.path,)


SOURCE = Source(family="biopsies", options=BiopsyTableOptions, files=files, read=read)
