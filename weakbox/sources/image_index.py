"""Imaging studies from a table of series, as a hospital's image index or archive query gives it: roles from descriptions, no pixels.

For planning and matching before any image is fetched: which studies there are, which series would take which role.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from pydantic import Field

from weakbox.imaging.roles import SeriesFacts, role_of_series
from weakbox.imaging.study_kind import study_kind
from weakbox.records.case import LedgerEntry
from weakbox.records.grid import Grid
from weakbox.records.imaging import ImagingStudy, Series
from weakbox.sources.field_reading import DEFAULT_DATE_FORMATS, DateFormat, FieldError, read_date, read_integer, read_number
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

COLUMNS = Columns(
    required={
        "patient_id": ("mrn", "patient", "patient_identifier", "patient_number"),
        "study_uid": ("study_instance_uid",),
        "series_uid": ("series_instance_uid",),
        "series_description": ("description", "series_desc"),
    },
    optional={
        "accession": ("accession_number", "accession_no", "acc_number"),
        "study_date": ("exam_date", "date"),
        "study_description": ("procedure", "exam_description", "study_desc"),
        "modality": (),
        "series_number": ("series_no",),
        "image_count": ("images", "instance_count", "instances", "number_of_images", "number_of_series_related_instances", "num_images"),
        "slice_thickness": ("slice_thickness_mm",),
        "manufacturer": (),
        "model": ("manufacturer_model_name", "scanner"),
        "magnetic_field_strength": ("field_strength", "magnetic_field_strength_t"),
        "protocol_name": ("protocol",),
        "image_type": (),
        "scanning_sequence": (),
        "sequence_name": (),
        "echo_time": ("echo_time_ms", "te"),
        "repetition_time": ("repetition_time_ms", "tr"),
        "frame_of_reference_uid": (),
        "patient_sex": ("sex",),
        "patient_age": ("age", "patient_age_years"),
        "affine_lps": (),
        "shape_ijk": (),
    },
)
"""``affine_lps`` is sixteen numbers, row-major, index (i, j, k) -> LPS mm; ``shape_ijk`` is columns, rows, slices. Both make the
grid that ``ijk`` coordinates need."""


class ImageIndexOptions(TableOptions):
    """A table with one row a series."""

    date_formats: tuple[DateFormat, ...] = Field(default=DEFAULT_DATE_FORMATS, min_length=1, description="How days are written.")
    modality: str = Field(default="MR", description="The modality of rows without one.")


def read(options: ImageIndexOptions, executor: object = None, cache_folder: Path | None = None) -> Iterator[ImagingStudy | LedgerEntry]:
    """Ledger entries of rows left out or remarked on, then one study after the other, by Study Instance UID.

    ``executor`` and ``cache_folder`` are those that every source of images is given; a table needs neither.

    Raises:
        InputError: no such file, no rows, or a column is missing.
    """
    studies: dict[str, list[Row]] = {}
    seen: set[str] = set()
    for row in read_rows(options, COLUMNS, "series"):
        entry = row if isinstance(row, LedgerEntry) else _why_not(options, row, seen)
        if entry is not None:
            yield entry
        elif isinstance(row, Row):
            studies.setdefault(row.raw("study_uid").strip(), []).append(row)
    for study_uid in sorted(studies):
        yield from _read_study(options, study_uid, studies[study_uid])


def _why_not(options: ImageIndexOptions, row: Row, seen: set[str]) -> LedgerEntry | None:
    """The ledger entry of a row that names no series of a patient, or one that was there before."""
    place = f"{options.path.name}:{row.number}"
    for name in ("patient_id", "study_uid", "series_uid"):
        if row.text(name) is None:
            return dropped("series", place, f"no_{name}", patient_id=row.text("patient_id"))
    series_uid = row.raw("series_uid").strip()
    if series_uid in seen:
        return dropped("series", place, "duplicate", "the Series Instance UID is in an earlier row", row.text("patient_id"))
    seen.add(series_uid)
    return None


def _read_study(options: ImageIndexOptions, study_uid: str, rows: list[Row]) -> Iterator[ImagingStudy | LedgerEntry]:
    patients = {row.text("patient_id") for row in rows}
    if len(patients) > 1:
        yield dropped("study", study_uid, "several_patient_ids", f"{len(patients)} patients, {len(rows)} series")
        return
    patient_id = rows[0].raw("patient_id").strip()
    days: list[date] = []
    series = []
    for row in rows:
        remarks: list[str] = []
        series.append(_series(options, row, days, remarks))
        for remark in remarks:
            yield flagged("series", f"{options.path.name}:{row.number}", remark, patient_id=patient_id)
    if len(set(days)) > 1:
        yield flagged("study", study_uid, "several_study_dates", f"{len(set(days))} days; the most frequent one is used", patient_id)
    description = _most_frequent(row.text("study_description") for row in rows) or ""
    kind, reason = study_kind(series, description)
    yield ImagingStudy(
        study_uid=study_uid,
        patient_id=patient_id,
        accession=_most_frequent(row.text("accession") for row in rows),
        study_date=Counter(days).most_common(1)[0][0] if days else None,
        description=description,
        kind=kind,
        kind_reason=reason,
        patient_sex=_most_frequent(row.text("patient_sex") for row in rows),
        patient_age_years=_number(rows[0], "patient_age", []),
        series=tuple(series),
    )


def _most_frequent(values: Iterable[str | None]) -> str | None:
    counts = Counter(value for value in values if value is not None)
    return counts.most_common(1)[0][0] if counts else None


def _series(options: ImageIndexOptions, row: Row, days: list[date], remarks: list[str]) -> Series:
    """The series of a row; its day goes to ``days``, codes of cells that cannot be read to ``remarks``."""
    try:
        day = read_date(row.text("study_date"), options.date_formats)
        days.extend([day] if day else [])
    except FieldError as error:
        remarks.append(error.reason)
    echo, repetition = _number(row, "echo_time", remarks), _number(row, "repetition_time", remarks)
    modality = (row.text("modality") or options.modality).upper()
    reading = role_of_series(_facts(row, modality, echo, repetition))
    return Series(
        series_uid=row.raw("series_uid").strip(),
        study_uid=row.raw("study_uid").strip(),
        role=reading.role,
        role_confidence=round(reading.confidence, 3),
        role_reason=reading.reason,
        plane=reading.plane,
        b_values=reading.b_values,
        is_computed_b=reading.is_computed_b,
        is_diagnostic=not reading.is_guidance,
        description=row.text("series_description") or "",
        series_number=_integer(row, "series_number", remarks),
        modality=modality,
        frame_of_reference_uid=row.text("frame_of_reference_uid"),
        grid=_grid(row, remarks),
        image_count=_integer(row, "image_count", remarks) or 0,
        manufacturer=row.text("manufacturer"),
        model=row.text("model"),
        magnetic_field_strength_t=_number(row, "magnetic_field_strength", remarks),
        slice_thickness_mm=_number(row, "slice_thickness", remarks),
        echo_time_ms=echo,
        repetition_time_ms=repetition,
        protocol_name=row.text("protocol_name"),
        scanning_sequence=row.text("scanning_sequence"),
        sequence_name=row.text("sequence_name"),
    )


def _grid(row: Row, remarks: list[str]) -> Grid | None:
    affine, shape = row.text("affine_lps"), row.text("shape_ijk")
    if affine is None or shape is None:
        return None
    try:
        numbers, counts = [float(number) for number in affine.split()], [int(count) for count in shape.split()]
        return Grid.from_matrix(numbers, counts, row.text("frame_of_reference_uid"))
    except ValueError:
        remarks.append("unreadable_grid")
        return None


def _facts(row: Row, modality: str, echo: float | None, repetition: float | None) -> SeriesFacts:
    return SeriesFacts(
        modality=modality,
        image_type=_tokens(row, "image_type"),
        description=row.text("series_description") or "",
        protocol_name=row.text("protocol_name") or "",
        sequence_name=row.text("sequence_name") or "",
        scanning_sequence=_tokens(row, "scanning_sequence"),
        echo_time_ms=echo,
        repetition_time_ms=repetition,
    )


def _tokens(row: Row, name: str) -> frozenset[str]:
    """Values of a multi-valued attribute: separated by a backslash, or written as a list."""
    cell = row.raw(name).upper().replace("[", "").replace("]", "").replace("'", "").replace(",", "\\")
    return frozenset(token.strip() for token in cell.split("\\") if token.strip())


def _number(row: Row, name: str, remarks: list[str]) -> float | None:
    try:
        return read_number(row.text(name), minimum=0)
    except FieldError:
        remarks.append(f"unreadable_{name}")
        return None


def _integer(row: Row, name: str, remarks: list[str]) -> int | None:
    try:
        return read_integer(row.text(name), minimum=0, maximum=2**31 - 1)
    except FieldError:
        remarks.append(f"unreadable_{name}")
        return None


def files(options: ImageIndexOptions) -> Iterator[Path]:
    """The one table."""
    yield options.path


SOURCE = Source(family="images", options=ImageIndexOptions, files=files, read=read)
