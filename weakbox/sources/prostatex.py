"""PROSTATEx findings (TCIA, doi 10.7937/K9TCIA.2017.MURS5CL): points in LPS mm, zone, clinical significance, grade group.

``pos`` is DICOM LPS mm. ``ijk`` of the images table is an index whose origin is the outer *corner* of the first voxel
(WorldMatrix x (0, 0, 0) lies half a voxel before the centre that the DICOM headers give), rounded to whole numbers; it
only checks ``pos``. The findings name no series UID, but the images table names series numbers.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from weakbox.records.biopsy import BiopsyTarget, CoordinateSystem, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.records.grid import Point
from weakbox.sources.field_reading import FieldError, read_boolean, read_integer
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows
from weakbox.sources.target_points import target_digest

FINDING_COLUMNS = Columns(
    required={"patient_id": ("ProxID",), "finding": ("fid",), "position": ("pos",)},
    optional={"zone": (), "is_clinically_significant": ("ClinSig",), "isup_grade": ("ggg",)},
)
IMAGE_COLUMNS = Columns(
    required={"patient_id": ("ProxID",), "finding": ("fid",), "position": ("pos",), "matrix": ("WorldMatrix",), "index": ("ijk",)},
    optional={"description": ("DCMSerDescr", "Name"), "series_number": ("DCMSerNum",)},
)
GRADE_COLUMNS = Columns(
    required={"patient_id": ("ProxID",), "finding": ("fid",), "position": ("pos",), "isup_grade": ("ggg",)}, optional={}
)
ZONE_WORDS: Mapping[str, str] = {
    "PZ": "peripheral zone",
    "TZ": "transition zone",
    "AS": "anterior fibromuscular stroma",
    "SV": "seminal vesicle",
}
SAME_PLACE_MM = 0.01
Value = TypeVar("Value")
_AXIAL_T2 = re.compile(r"t2.*tra", re.IGNORECASE)


class ProstatexOptions(TableOptions):
    """The findings table, and the images and PROSTATEx-2 tables where they are there."""

    path: Path = Field(description="`ProstateX-Findings-Train.csv` (ProxID, fid, pos, zone, ClinSig).")
    images: Path | None = Field(default=None, description="`ProstateX-Images-Train.csv`: checks positions, gives series numbers.")
    grades: Path | None = Field(default=None, description="PROSTATEx-2 findings (ProxID, fid, pos, ggg): ISUP grade groups.")


@dataclass(slots=True)
class _Finding:
    """Rows of one finding at one place."""

    patient_id: str
    number: str
    position: Point
    rows: list[Row] = field(default_factory=list)
    series: list[tuple[str, int]] = field(default_factory=list)
    grades: set[int] = field(default_factory=set)
    is_off_index: bool = False


Key = tuple[str, str, tuple[int, ...]]


def read(options: ProstatexOptions) -> Iterator[BiopsyTarget | LedgerEntry]:
    """One target for each patient, finding number and place, sorted; further rows of it are dropped duplicates.

    Raises:
        InputError: a file or a column is missing.
    """
    findings: dict[Key, _Finding] = {}
    for row in read_rows(options, FINDING_COLUMNS, "target"):
        if isinstance(row, LedgerEntry):
            yield row
        elif (problem := _take_finding(findings, row)) is not None:
            yield dropped("target", f"{options.path.name}:{row.number}", problem, patient_id=row.text("patient_id"))
    if options.images is not None:
        yield from _take_table(options, options.images, IMAGE_COLUMNS, findings)
    if options.grades is not None:
        yield from _take_table(options, options.grades, GRADE_COLUMNS, findings)
    yield from _targets(options, findings)


def _take_finding(findings: dict[Key, _Finding], row: Row) -> str | None:
    key, problem = _key(row)
    if key is None:
        return problem
    position = _numbers(row.text("position"), 3)
    found = findings.setdefault(key, _Finding(key[0], key[1], (float(position[0]), float(position[1]), float(position[2]))))
    found.rows.append(row)
    return None


def _key(row: Row) -> tuple[Key | None, str]:
    patient_id, number = row.text("patient_id"), row.text("finding")
    if patient_id is None or number is None:
        return None, "incomplete_row"
    try:
        position = _numbers(row.text("position"), 3)
    except FieldError as error:
        return None, error.reason
    return (patient_id, number.removesuffix(".0"), tuple(round(value / SAME_PLACE_MM) for value in position)), ""


def _numbers(text: str | None, count: int) -> NDArray[np.float64]:
    try:
        values = [float(part) for part in (text or "").replace(",", " ").split()]
    except ValueError:
        raise FieldError("unreadable_coordinate") from None
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise FieldError("unreadable_coordinate")
    return np.array(values)


def _take_table(options: ProstatexOptions, path: Path, columns: Columns, findings: dict[Key, _Finding]) -> Iterator[LedgerEntry]:
    """Images and grades join on patient, finding number and place; a row that joins nothing is flagged, for it is no target."""
    table = TableOptions(source=options.source, path=path, encoding=options.encoding, delimiter=options.delimiter)
    for row in read_rows(table, columns, "row"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        place = f"{path.name}:{row.number}"
        key, problem = _key(row)
        finding = findings.get(key) if key is not None else None
        if finding is None:
            yield flagged("row", place, problem or "no_such_finding", patient_id=row.text("patient_id"))
            continue
        try:
            problem = _take_image(finding, row) if columns is IMAGE_COLUMNS else _take_grade(finding, row)
        except FieldError as error:
            problem = error.reason
        if problem:
            yield flagged("row", place, problem, patient_id=finding.patient_id)


def _take_grade(finding: _Finding, row: Row) -> str:
    grade = read_integer(row.text("isup_grade"), minimum=1, maximum=5)
    finding.grades |= set() if grade is None else {grade}
    return ""


def _take_image(finding: _Finding, row: Row) -> str:
    series_number = read_integer(row.text("series_number"), minimum=0, maximum=10**9)
    if series_number is not None:
        finding.series.append((row.text("description") or "", series_number))
    if not index_agrees(finding.position, row.text("matrix"), row.text("index")):
        finding.is_off_index = True
        return "index_off_position"
    return ""


def index_agrees(position: Point, matrix_text: str | None, index_text: str | None) -> bool:
    """Whether ``WorldMatrix x ijk`` lies within half a voxel diagonal of ``pos`` (rounding explains no more).

    Raises:
        FieldError: the matrix or the index cannot be read.
    """
    matrix = _numbers(matrix_text, 16).reshape(4, 4)
    index = _numbers(index_text, 3)
    place = matrix[:3, :3] @ index + matrix[:3, 3]
    half_diagonal = 0.5 * float(np.linalg.norm(np.linalg.norm(matrix[:3, :3], axis=0)))
    return float(np.linalg.norm(place - np.array(position))) <= half_diagonal + 1e-3


def _targets(options: ProstatexOptions, findings: Mapping[Key, _Finding]) -> Iterator[BiopsyTarget | LedgerEntry]:
    by_number: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in sorted(findings):
        by_number[key[:2]].append(key)
    for (patient_id, _), keys in by_number.items():
        for key in keys:
            problems = [] if len(keys) == 1 else ["finding_number_used_twice"]
            target = _target(options, findings[key], problems)
            yield target
            for problem in target.problems:
                yield flagged("target", target.target_id, problem, patient_id=patient_id)
            for _ in findings[key].rows[1:]:
                yield dropped("target", target.target_id, "duplicate", "another row of the same finding", patient_id)


def _target(options: ProstatexOptions, finding: _Finding, problems: list[str]) -> BiopsyTarget:
    problems += ["index_off_position"] if finding.is_off_index else []
    significant = _agreed([_read(read_boolean, row.text("is_clinically_significant"), problems) for row in finding.rows])
    own_grades = [_read(_read_grade, row.text("isup_grade"), problems) for row in finding.rows]
    grades = finding.grades | {grade for grade in own_grades if grade is not None}
    grade = grades.pop() if len(grades) == 1 else None
    problems += ["conflicting_grade"] if grades else []
    if grade is not None and significant is not None and significant != (grade >= 2):
        problems.append("significance_against_grade")
    zone = finding.rows[0].text("zone")
    problems += [] if zone is None or zone in ZONE_WORDS else ["unknown_zone"]
    target = BiopsyTarget(
        target_id="",
        patient_id=finding.patient_id,
        label=finding.number,
        position=finding.position,
        coordinate_system=CoordinateSystem.LPS,
        series_number=_reference_series(finding.series),
        location=ZONE_WORDS.get(zone) if zone else None,
        isup_grade=grade,
        is_clinically_significant=significant,
        guidance=Guidance.IN_BORE,
        source="prostatex",
        source_file=options.path.name,
        source_row=min(row.number for row in finding.rows) if len(finding.rows) == 1 else None,
        problems=tuple(sorted(set(problems))),
    )
    return replace(target, target_id=target_digest(target))


def _read_grade(text: str | None) -> int | None:
    return read_integer(text, minimum=1, maximum=5)


def _read(reader: Callable[[str | None], Value], text: str | None, problems: list[str]) -> Value | None:
    try:
        return reader(text)
    except FieldError as error:
        problems.append(error.reason)
        return None


def _agreed(values: Sequence[bool | None]) -> bool | None:
    stated = {value for value in values if value is not None}
    return stated.pop() if len(stated) == 1 else None


def _reference_series(series: Sequence[tuple[str, int]]) -> int | None:
    """The axial T2 series, in whose frame all others of the study lie too; else the lowest number."""
    axial = sorted({number for description, number in series if _AXIAL_T2.search(description)})
    every = sorted({number for _, number in series})
    return next(iter(axial or every), None)


def files(options: ProstatexOptions) -> tuple[Path, ...]:
    """The tables that are given."""
    return tuple(path for path in (options.path, options.images, options.grades) if path is not None)


SOURCE = Source(family="biopsies", options=ProstatexOptions, files=files, read=read)
