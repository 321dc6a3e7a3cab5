"""Cores of Prostate-MRI-US-Biopsy (TCIA, doi 10.7937/TCIA.2020.A61IOC1A): needle tracks in MR space, Gleason score of each core.

MR coordinates are DICOM LPS mm in the frame of the MR series. Missing ones are written as -1000 and +1000, as 0,0,0, as a
tip on its base, or not at all; such a core keeps its pathology and loses its track.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

from weakbox.records.biopsy import BiopsyCore, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.records.grid import Point
from weakbox.sources.field_reading import FieldError, read_integer, read_number, read_point
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.terminology.gleason import isup_grade

_AXES = "XYZ"
COLUMNS = Columns(
    required={
        "patient_id": ("Patient Number",),
        "series_uid": ("Series Instance UID (MRI)",),
        "label": ("Core Label",),
        "gleason_primary": ("Primary Gleason",),
        "gleason_secondary": ("Secondary Gleason",),
        **{f"tip_{axis}": (f"Bx Tip {axis} (MRI Coord)",) for axis in _AXES},
        **{f"base_{axis}": (f"Bx Base {axis} (MRI Coord)",) for axis in _AXES},
    },
    optional={
        "us_series_uid": ("Series Instance UID (US)",),
        **{f"us_tip_{axis}": (f"Bx Tip {axis} (US Coord)",) for axis in _AXES},
        **{f"us_base_{axis}": (f"Bx Base {axis} (US Coord)",) for axis in _AXES},
        "cancer_length_mm": ("Cancer Length (mm)",),
        "percent_cancer": ("% Cancer in Core",),
        **{f"fragment_{number}_mm": (f"Core Fragment #{number} Tissue Length (mm)",) for number in (1, 2, 3)},
        "psa_ng_ml": ("PSA (ng/mL)",),
        "prostate_volume_ml": ("Prostate Volume (CC)",),
    },
)
PLACEHOLDER_MM = 1000.0
SHORTEST_NEEDLE_MM = 0.1
LONGEST_NEEDLE_MM = 60.0
"""Biopsy guns take about 20 mm; a longer track is no track."""

TARGETED_LABEL = "TARGET OR PRIOR POSITIVE"


class UclaCoreOptions(TableOptions):
    """The sheet ``TCIA-Biopsy-Data``."""


def read(options: UclaCoreOptions) -> Iterator[BiopsyCore | LedgerEntry]:
    """One core a row; identical rows are dropped duplicates, unusable tracks and odd grades are flagged.

    Raises:
        InputError: no file, or a column is missing.
    """
    seen: set[str] = set()
    for row in read_rows(options, COLUMNS, "core"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        patient_id, label = row.text("patient_id"), row.text("label")
        if patient_id is None or label is None:
            yield dropped("core", f"{options.path.name}:{row.number}", "incomplete_row", "no patient or core label")
            continue
        core_id = _content_id(row)
        if core_id in seen:
            yield dropped("core", core_id, "duplicate", "an identical row", patient_id)
            continue
        seen.add(core_id)
        yield from _read_core(options, row, core_id, patient_id, label)


def _content_id(row: Row) -> str:
    return "C" + hashlib.sha256("\x1f".join(row.raw(name).strip() for name in COLUMNS.known()).encode()).hexdigest()[:16]


def _read_core(options: UclaCoreOptions, row: Row, core_id: str, patient_id: str, label: str) -> Iterator[BiopsyCore | LedgerEntry]:
    problems: list[str] = []
    tip, base = _track(row, problems)
    primary, secondary, grade = _grade(row, problems)
    core = BiopsyCore(
        core_id=core_id,
        patient_id=patient_id,
        label=label,
        is_targeted=label.upper() == TARGETED_LABEL,
        tip=tip,
        base=base,
        series_uid=row.text("series_uid"),
        gleason_primary=primary,
        gleason_secondary=secondary,
        isup_grade=grade,
        cancer_length_mm=_number(row, "cancer_length_mm", 100.0, problems),
        percent_cancer=_number(row, "percent_cancer", 100.0, problems),
        core_length_mm=_tissue_length(row, problems),
        psa_ng_ml=_number(row, "psa_ng_ml", 20000.0, problems),
        prostate_volume_ml=_number(row, "prostate_volume_ml", 1000.0, problems) or None,
        guidance=Guidance.FUSION,
        source="ucla_cores",
        source_file=options.path.name,
        source_row=row.number,
        problems=tuple(sorted(set(problems))),
    )
    yield core
    for problem in core.problems:
        reason, _, detail = problem.partition(":")
        yield flagged("core", core_id, reason, detail, patient_id)


def _track(row: Row, problems: list[str]) -> tuple[Point | None, Point | None]:
    """Tip and base, both or neither."""
    try:
        tip = read_point(row.text(f"tip_{axis}") for axis in _AXES)
        base = read_point(row.text(f"base_{axis}") for axis in _AXES)
    except FieldError as error:
        problems.append(error.reason)
        return None, None
    problem = track_problem(tip, base)
    if problem is None and row.text("series_uid") is None:
        problem = "no_mr_series"
    if problem is not None:
        problems.append(problem)
        return None, None
    return tip, base


def track_problem(tip: Point | None, base: Point | None) -> str | None:
    """Why two ends are no needle track; None where they are one."""
    if tip is None or base is None:
        return "no_coordinates"
    if any(abs(value) == PLACEHOLDER_MM for value in (*tip, *base)):
        return "placeholder_coordinates"
    if not any(tip) or not any(base):
        return "zero_coordinates"
    length = math.dist(tip, base)
    if length < SHORTEST_NEEDLE_MM:
        return "needle_too_short"
    return "needle_too_long" if length > LONGEST_NEEDLE_MM else None


def _grade(row: Row, problems: list[str]) -> tuple[int | None, int | None, int | None]:
    """Patterns and ISUP grade. No Gleason score is a benign core, unless the row measures cancer in it."""
    try:
        primary = read_integer(row.text("gleason_primary"), minimum=0, maximum=5) or None
        secondary = read_integer(row.text("gleason_secondary"), minimum=0, maximum=5) or None
    except FieldError as error:
        problems.append(f"{error.reason}:gleason")
        return None, None, None
    if primary and secondary:
        return primary, secondary, isup_grade(primary, secondary)
    if primary or secondary:
        problems.append("incomplete_gleason")
        return primary, secondary, None
    if _number(row, "cancer_length_mm", 100.0, problems) or _number(row, "percent_cancer", 100.0, problems):
        problems.append("cancer_without_gleason")
        return None, None, None
    return None, None, 0


def _number(row: Row, name: str, maximum: float, problems: list[str]) -> float | None:
    try:
        return read_number(row.text(name), minimum=0.0, maximum=maximum)
    except FieldError as error:
        problems.append(f"{error.reason}:{name}")
        return None


def _tissue_length(row: Row, problems: list[str]) -> float | None:
    lengths = [length for number in (1, 2, 3) if (length := _number(row, f"fragment_{number}_mm", 200.0, problems)) is not None]
    return sum(lengths) if lengths else None


def files(options: UclaCoreOptions) -> tuple[Path, ...]:
    """The one sheet."""
    return (options.path,)


SOURCE = Source(family="biopsies", options=UclaCoreOptions, files=files, read=read)
