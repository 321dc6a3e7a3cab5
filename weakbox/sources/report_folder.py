"""Reports from a folder: one text file a report; its name says whose and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.report import Report
from weakbox.sources.file_names import compile_name_pattern, files_below, relative_name
from weakbox.sources.remarks import dropped
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source
from weakbox.sources.text_encoding import choose_encoding, encoding_remarks

GROUPS = ("report_id", "patient_id", "accession", "exam_date", "report_date", "status", "report_type", "title")
MAXIMUM_FILE_BYTES = 16 * 2**20


class ReportFolderOptions(ReportOptions):
    """A folder of text files, one report each."""

    path: Path = Field(description="The folder; subfolders are read too.")
    glob: str = Field(default="**/*.txt", description="Which files are reports.")
    name_pattern: str = Field(
        default=r"(?:.*/)?(?P<patient_id>[^_/]+)_(?P<accession>[^_/]+)_(?P<exam_date>[^_/]+)\.txt",
        description="Regular expression over the whole path below the folder (forward slashes), with named groups such as "
        "`patient_id`, `accession`, `exam_date`, `report_id`.",
    )
    encoding: str | None = Field(default=None, description="Text encoding; detected where not given.")


def read(options: ReportFolderOptions) -> Iterator[Report | LedgerEntry]:
    """Reports in the order of their paths; a file whose name does not match is a dropped row.

    Raises:
        InputError: no such folder, no matching file.
        ConfigurationError: the pattern is not usable.
    """
    pattern = compile_name_pattern(options.name_pattern, GROUPS, "name_pattern")
    for number, path in enumerate(files(options), start=1):
        name = relative_name(path, options.path)
        match = pattern.fullmatch(name)
        if match is None:
            yield dropped("report", f"{options.path.name}:file {number}", "name_not_matched", "its name does not match `name_pattern`")
            continue
        cells = {field: value.strip() for field, value in match.groupdict().items() if value and value.strip()}
        yield from _read_file(options, path, cells, f"{options.path.name}:file {number}")


def _read_file(options: ReportFolderOptions, path: Path, cells: dict[str, str], place: str) -> Iterator[Report | LedgerEntry]:
    patient_id = cells.get("patient_id")
    item_id = cells.get("report_id") or cells.get("accession") or place
    size = path.stat().st_size
    if size == 0 or size > MAXIMUM_FILE_BYTES:
        yield dropped("report", item_id, "empty_text" if size == 0 else "too_large", f"{size} bytes", patient_id)
        return
    try:
        encoding = choose_encoding(path, options.encoding)
    except InputError:
        yield dropped("report", item_id, "unknown_encoding", "give its `encoding` in the options", patient_id)
        return
    with path.open(encoding=encoding, newline="") as file:
        text = file.read()
    yield from make_report(options, cells, text, path.name, None)
    yield from encoding_remarks(path, options.encoding, encoding)


def files(options: ReportFolderOptions) -> tuple[Path, ...]:
    """The text files, sorted."""
    return files_below(options.path, options.glob)


SOURCE = Source(family="reports", options=ReportFolderOptions, files=files, read=read)
