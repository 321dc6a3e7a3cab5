"""Reports from one bulk text export: a pipe-separated first line for each report, and a marker at its end (RPDR style)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.report import Report
from weakbox.runtime.nearest import nearest_name
from weakbox.sources.field_reading import DateFormat
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source
from weakbox.sources.table_reading import comparable
from weakbox.sources.text_encoding import choose_encoding, encoding_remarks

FIELDS = ("report_id", "patient_id", "accession", "exam_date", "report_date", "status", "report_type", "title", "institution")
MAXIMUM_REPORT_CHARACTERS = 16 * 2**20
"""More text without a marker means that the marker is not the file's."""


class ReportExportOptions(ReportOptions):
    """One text file with many reports."""

    path: Path = Field(description="The text file.")
    end_marker: str = Field(default="[report_end]", min_length=1, description="What ends a report.")
    separator: str = Field(default="|", min_length=1, max_length=1, description="What separates the cells of a report's first line.")
    header: tuple[str, ...] = Field(
        default=(
            "EMPI",
            "EPIC_PMRN",
            "MRN_Type",
            "MRN",
            "Report_Number",
            "Report_Date_Time",
            "Report_Description",
            "Report_Status",
            "Report_Type",
            "Report_Text",
        ),
        min_length=2,
        description="Names of the cells of a report's first line, in order, the text last; a header line in the file wins.",
    )
    columns: Mapping[str, str] = Field(
        default_factory=lambda: {
            "patient_id": "MRN",
            "report_id": "Report_Number",
            "accession": "Report_Number",
            "report_date": "Report_Date_Time",
            "title": "Report_Description",
            "status": "Report_Status",
            "institution": "MRN_Type",
        },
        description="Our field name -> name in the header.",
    )
    date_formats: tuple[DateFormat, ...] = Field(
        default=("MM/DD/YYYY", "ISO", "YYYYMMDD"), min_length=1, description="How days are written; RPDR writes `MM/DD/YYYY`."
    )
    encoding: str | None = Field(default=None, description="Text encoding; detected where not given.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """The lines up to a marker, as read, with the number of the first line that is not blank."""

    text: str
    line: int
    is_ended: bool


def read(options: ReportExportOptions) -> Iterator[Report | LedgerEntry]:
    """Every report of the file, the first and an unterminated last one included.

    Raises:
        InputError: no such file, no report in it, or no marker within 16 Mi characters.
        ConfigurationError: ``columns`` names an unknown field or a cell that the header lacks.
    """
    encoding = choose_encoding(options.path, options.encoding)
    yield from encoding_remarks(options.path, options.encoding, encoding)
    header: Sequence[str] = options.header
    found = False
    for piece in _pieces(options, encoding):
        text, line = piece.text, piece.line
        if not found:
            header, text, line = _take_header_line(options, text, line)
            _check_columns(options, header)
            if not text.strip():
                continue
        found = True
        yield from _read_piece(options, header, text, line, piece.is_ended)
    if not found:
        msg = f"{options.path}: no report in it; expected reports that end with {options.end_marker!r}"
        raise InputError(msg)


def _pieces(options: ReportExportOptions, encoding: str) -> Iterator[_Piece]:
    lines: list[str] = []
    length, start = 0, 1
    with options.path.open(encoding=encoding, newline="") as file:
        for number, line in enumerate(file, start=1):
            before, marker, after = line.partition(options.end_marker)
            while marker:
                yield _piece([*lines, before], start, is_ended=True)
                lines, length, start = [], 0, number
                before, marker, after = after.partition(options.end_marker)
            if not lines and not before.strip():
                start = number + 1
                continue
            lines.append(before)
            length += len(before)
            if length > MAXIMUM_REPORT_CHARACTERS:
                place = f"within {length} characters from line {start}"
                msg = f"{options.path}: no {options.end_marker!r} {place}; set `end_marker` to what ends a report"
                raise InputError(msg)
    if "".join(lines).strip():
        yield _piece(lines, start, is_ended=False)


def _piece(lines: Sequence[str], start: int, *, is_ended: bool) -> _Piece:
    return _Piece(text="".join(lines), line=start, is_ended=is_ended)


def _take_header_line(options: ReportExportOptions, text: str, line: int) -> tuple[Sequence[str], str, int]:
    """A header line is told from a report by its cells: they are names that ``header`` or ``columns`` know, not values."""
    first, _, rest = text.partition("\n")
    cells = [cell.strip() for cell in first.split(options.separator)]
    names = {comparable(name) for name in (*options.header, *options.columns.values())}
    known = sum(comparable(cell) in names for cell in cells)
    if len(cells) > 1 and known * 2 > len(cells):
        blank_lines = len(rest) - len(rest.lstrip("\r\n"))
        return cells, rest[blank_lines:], line + 1 + rest[:blank_lines].count("\n")
    return options.header, text, line


def _check_columns(options: ReportExportOptions, header: Sequence[str]) -> None:
    for field, name in options.columns.items():
        if field not in FIELDS:
            msg = f"{options.path}: `columns` names an unknown field `{field}`{nearest_name(field, FIELDS)}"
            raise ConfigurationError(msg)
        if comparable(name) not in {comparable(cell) for cell in header}:
            msg = f"{options.path}: no cell {name!r} for `{field}`{nearest_name(name, header)}; the header has: {', '.join(header)}"
            raise ConfigurationError(msg)


def _read_piece(
    options: ReportExportOptions, header: Sequence[str], text: str, line: int, is_ended: bool
) -> Iterator[Report | LedgerEntry]:
    cells = text.split(options.separator, len(header) - 1)
    if len(cells) != len(header) or any("\n" in cell for cell in cells[:-1]):
        detail = f"its first line has no {len(header)} cells separated by {options.separator!r}"
        yield dropped("report", f"{options.path.name}:{line}", "malformed_header", detail)
        return
    by_name = {comparable(name): cell.strip() for name, cell in zip(header, cells, strict=True)}
    values = {field: value for field, name in options.columns.items() if (value := by_name[comparable(name)])}
    for item in make_report(options, values, cells[-1], options.path.name, line):
        yield item
        if isinstance(item, Report) and not is_ended:
            yield flagged("report", item.report_id, "unterminated", "the file ends without an end marker", item.patient_id)


def files(options: ReportExportOptions) -> tuple[Path, ...]:
    """The one file that is read."""
    return (options.path,)


SOURCE = Source(family="reports", options=ReportExportOptions, files=files, read=read)
