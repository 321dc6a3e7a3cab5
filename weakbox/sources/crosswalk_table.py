"""The identity crosswalk from a table: original and research identifiers, and each patient's date shift."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.crosswalk import CrosswalkEntry
from weakbox.sources.field_reading import DEFAULT_DATE_FORMATS, DateFormat, FieldError, read_date, read_integer
from weakbox.sources.remarks import dropped
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

COLUMNS = Columns(
    required={},
    optional={
        "original_patient_id": ("mrn", "original_mrn", "patient_id"),
        "research_patient_id": ("anon_patient_id", "anonymised_patient_id", "anonymized_patient_id", "pseudonym"),
        "original_accession": ("accession", "accession_number", "original_accession_number"),
        "research_accession": ("anon_accession", "anon_acc_number", "anonymised_accession", "anonymized_accession"),
        "original_study_uid": ("study_uid", "study_instance_uid", "original_study_instance_uid"),
        "research_study_uid": ("anon_study_uid", "anonymised_study_uid", "anonymized_study_uid"),
        "date_shift_days": ("date_shift", "shift_days", "date_offset_days", "offset_days"),
        "original_date": ("study_date", "original_study_date"),
        "research_date": ("anon_study_date", "anon_date", "anonymised_study_date", "anonymized_study_date"),
    },
)
LONGEST_SHIFT_DAYS = 100 * 366


class CrosswalkOptions(TableOptions):
    """A crosswalk; the shift is stated, or follows from an original and a research day in the same row."""

    date_formats: tuple[DateFormat, ...] = Field(default=DEFAULT_DATE_FORMATS, min_length=1, description="How days are written.")


def read(options: CrosswalkOptions) -> Iterator[CrosswalkEntry | LedgerEntry]:
    """One entry a row; a row without a complete pair is dropped.

    Raises:
        InputError: the file is missing or empty.
    """
    for row in read_rows(options, COLUMNS, "crosswalk"):
        yield row if isinstance(row, LedgerEntry) else _read_row(options, row)


def _read_row(options: CrosswalkOptions, row: Row) -> CrosswalkEntry | LedgerEntry:
    place = f"{options.path.name}:{row.number}"
    names = (
        "original_patient_id",
        "research_patient_id",
        "original_accession",
        "research_accession",
        "original_study_uid",
        "research_study_uid",
    )
    values = {name: row.text(name) for name in names}
    if not any(values[f"original_{kind}"] and values[f"research_{kind}"] for kind in ("patient_id", "accession", "study_uid")):
        return dropped("crosswalk", place, "incomplete_row", "no pair of an original and a research identifier")
    try:
        shift = _shift(options, row)
    except FieldError as error:
        return dropped("crosswalk", place, error.reason)
    return CrosswalkEntry(**values, date_shift_days=shift, source_file=options.path.name, source_row=row.number)


def _shift(options: CrosswalkOptions, row: Row) -> int | None:
    stated = read_integer(row.text("date_shift_days"), minimum=-LONGEST_SHIFT_DAYS, maximum=LONGEST_SHIFT_DAYS)
    original = read_date(row.text("original_date"), options.date_formats)
    research = read_date(row.text("research_date"), options.date_formats)
    told = None if original is None or research is None else (research - original).days
    if stated is not None and told is not None and stated != told:
        raise FieldError("conflicting_date_shift")
    return told if stated is None else stated


def files(options: CrosswalkOptions) -> tuple[Path, ...]:
    """The one table."""
    return (options.path,)


SOURCE = Source(family="crosswalk", options=CrosswalkOptions, files=files, read=read)
