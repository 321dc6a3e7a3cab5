"""A report from the cells of a header, a row or a file name: shared by the sources of reports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.sources.field_reading import DEFAULT_DATE_FORMATS, DateFormat, FieldError, read_date, read_report_type, read_status
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import SourceOptions


class ReportOptions(SourceOptions):
    """Options of every source of reports."""

    report_type: ReportType | None = Field(default=None, description="`radiology` or `pathology`, where the input does not say it.")
    organ: str | None = Field(default=None, description="Organ of the reports, where the input does not say it.")
    language: str = Field(default="en", description="Language of the reports (ISO 639-1), where the input does not say it.")
    default_status: ReportStatus = Field(default=ReportStatus.UNKNOWN, description="Status of reports that state none.")
    date_formats: tuple[DateFormat, ...] = Field(
        default=DEFAULT_DATE_FORMATS,
        min_length=1,
        description="How days are written. Slashes need `DD/MM/YYYY` or `MM/DD/YYYY`; "
        "a day that can be read in two ways is flagged, never guessed.",
    )
    institution: str | None = Field(default=None, description="Institution of the reports, where the input does not say it.")


def make_report(
    options: ReportOptions, cells: Mapping[str, str], text: str, file: str, number: int | None
) -> Iterator[Report | LedgerEntry]:
    """The report of one row (cells stripped, empty ones left out), and remarks; or the reason why there is none.

    Without ``report_id`` the accession is the id, and without both a digest of the report's content.
    """
    place = file if number is None else f"{file}:{number}"
    item_id = cells.get("report_id") or cells.get("accession") or place
    if not text.strip():
        yield dropped("report", item_id, "empty_text", patient_id=cells.get("patient_id"))
        return
    try:
        report_type = read_report_type(cells.get("report_type"), options.report_type)
    except FieldError as error:
        yield dropped("report", item_id, error.reason, "state `report_type` in the options or map its column", cells.get("patient_id"))
        return
    remarks: list[str] = []
    report = _report(options, cells, text, report_type, remarks, file, number)
    yield report
    for reason in sorted(set(remarks)):
        yield flagged("report", report.report_id, reason, patient_id=report.patient_id)


def _report(
    options: ReportOptions, cells: Mapping[str, str], text: str, report_type: ReportType, remarks: list[str], file: str, number: int | None
) -> Report:
    return Report(
        report_id=cells.get("report_id") or cells.get("accession") or content_id(report_type, cells, text),
        patient_id=cells.get("patient_id"),
        report_type=report_type,
        text=text,
        organ=cells.get("organ") or options.organ,
        accession=cells.get("accession"),
        exam_date=_date(cells.get("exam_date"), options, remarks),
        report_date=_date(cells.get("report_date"), options, remarks),
        status=_status(cells.get("status"), options, remarks),
        language=cells.get("language") or options.language,
        title=cells.get("title"),
        institution=cells.get("institution") or options.institution,
        source_file=file,
        source_row=number,
    )


def _date(text: str | None, options: ReportOptions, remarks: list[str]) -> date | None:
    try:
        return read_date(text, options.date_formats)
    except FieldError as error:
        remarks.append(error.reason)
        return None


def _status(text: str | None, options: ReportOptions, remarks: list[str]) -> ReportStatus:
    try:
        return read_status(text, options.default_status)
    except FieldError as error:
        remarks.append(error.reason)
        return ReportStatus.UNKNOWN


def content_id(report_type: ReportType, cells: Mapping[str, str], text: str) -> str:
    """A report's id from its own content, so that the order of the input does not matter."""
    parts = (report_type, cells.get("patient_id", ""), cells.get("exam_date", ""), cells.get("report_date", ""), text)
    return "R" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
