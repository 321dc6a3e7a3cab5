"""Reports from a table: one report a row (CSV, XLSX, Parquet, JSON Lines)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from weakbox.records.case import LedgerEntry
from weakbox.records.report import Report
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, TableOptions, read_rows

COLUMNS = Columns(
    required={"text": ("report_text", "report", "narrative", "body")},
    optional={
        "report_id": ("id", "document_id", "report_number"),
        "patient_id": ("mrn", "patient", "patient_number"),
        "accession": ("accession_number",),
        "exam_date": ("study_date", "procedure_date", "collection_date"),
        "report_date": ("date", "report_date_time", "signed_date"),
        "status": ("report_status",),
        "language": ("lang",),
        "report_type": ("type",),
        "organ": (),
        "title": ("report_description", "description", "procedure"),
        "institution": ("site", "hospital"),
    },
)


class ReportTableOptions(ReportOptions, TableOptions):
    """One table of reports; ``columns`` maps our field names to the table's."""


def read(options: ReportTableOptions) -> Iterator[Report | LedgerEntry]:
    """Reports, flagged remarks, and dropped rows.

    Raises:
        InputError: the file or its text column is missing.
    """
    for row in read_rows(options, COLUMNS, "report"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        cells = {name: value for name in row.cells if name != "text" and (value := row.text(name)) is not None}
        yield from make_report(options, cells, row.raw("text"), options.path.name, row.number)


def files(options: ReportTableOptions) -> tuple[Path, ...]:
    """The one file that is read."""
    return (options.path,)


SOURCE = Source(family="reports", options=ReportTableOptions, files=files, read=read)
