"""Reports from tables, folders and bulk exports."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.sources import report_export, report_folder, report_table
from weakbox.sources.field_reading import FieldError, read_date, read_status
from weakbox.sources.source import Source


def run(source: Source, path: Path, **options: Any) -> tuple[list[Report], list[LedgerEntry]]:
    items = list(source.read(source.options(source="x", path=path, **options)))
    return [item for item in items if isinstance(item, Report)], [item for item in items if isinstance(item, LedgerEntry)]


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8", newline="")
    return path


# Dates and statuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "formats", "day"),
    [
        ("2021-03-04", ["ISO"], date(2021, 3, 4)),
        ("2021-03-04T10:15:00+01:00", ["ISO"], date(2021, 3, 4)),
        ("20210304101500", ["YYYYMMDD"], date(2021, 3, 4)),
        ("4.3.2021", ["DD.MM.YYYY"], date(2021, 3, 4)),
        ("3/4/2021 1:02:03 PM", ["MM/DD/YYYY"], date(2021, 3, 4)),
        ("3/4/2021", ["DD/MM/YYYY"], date(2021, 4, 3)),
        ("25/12/2021", ["DD/MM/YYYY", "MM/DD/YYYY"], date(2021, 12, 25)),
        ("5/5/2021", ["DD/MM/YYYY", "MM/DD/YYYY"], date(2021, 5, 5)),
    ],
)
def test_days_are_read_by_the_stated_formats(text: str, formats: list[Any], day: date) -> None:
    assert read_date(text, formats) == day


@pytest.mark.parametrize(
    ("text", "formats", "reason"),
    [
        ("3/4/2021", ["ISO"], "ambiguous_date"),
        ("3/4/2021", ["DD/MM/YYYY", "MM/DD/YYYY"], "ambiguous_date"),
        ("03/04/21", ["MM/DD/YYYY"], "ambiguous_date"),
        ("2021-02-30", ["ISO"], "unreadable_date"),
        ("spring 2021", ["ISO"], "unreadable_date"),
        ("[**2021-03-04**]", ["ISO"], "unreadable_date"),
    ],
)
def test_a_day_that_is_unclear_is_never_guessed(text: str, formats: list[Any], reason: str) -> None:
    with pytest.raises(FieldError, match=reason):
        read_date(text, formats)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("F", ReportStatus.FINAL),
        ("Corrected", ReportStatus.CORRECTED),
        ("amended", ReportStatus.CORRECTED),
        ("A", ReportStatus.ADDENDUM),
        ("P", ReportStatus.PRELIMINARY),
        ("x", ReportStatus.CANCELLED),
        ("entered-in-error", ReportStatus.CANCELLED),
        (None, ReportStatus.FINAL),
    ],
)
def test_status_words_and_codes_are_read(text: str | None, status: ReportStatus) -> None:
    assert read_status(text, ReportStatus.FINAL) is status


# Tables ---------------------------------------------------------------------------------------------------------------


def test_a_table_of_reports_keeps_text_raw_and_reads_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.csv",
        "MRN,Accession Number,Report Text,Study Date,Report Status,Type,Title,Site\r\n"
        '0012,A1,"  PROSTATE MRI\r\nPI-RADS 4 ",2021-03-04,F,RAD,MRI prostate,North\r\n',
    )
    (report,), ledger = run(report_table.SOURCE, path)
    assert (report.report_id, report.patient_id, report.accession) == ("A1", "0012", "A1")
    assert report.text == "  PROSTATE MRI\r\nPI-RADS 4 "
    assert (report.exam_date, report.status, report.report_type) == (date(2021, 3, 4), ReportStatus.FINAL, ReportType.RADIOLOGY)
    assert (report.title, report.institution, report.source_row) == ("MRI prostate", "North", 2)
    assert ledger == []


def test_unclear_cells_are_flagged_and_the_report_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "report_id,mrn,text,study_date,status\nR1,1,t,3/4/2021,ready\n")
    (report,), ledger = run(report_table.SOURCE, path, report_type="pathology")
    assert (report.exam_date, report.status) == (None, ReportStatus.UNKNOWN)
    assert [(entry.item_id, entry.reason, entry.outcome.value) for entry in ledger] == [
        ("R1", "ambiguous_date", "flagged"),
        ("R1", "unknown_status", "flagged"),
    ]
    (report,), ledger = run(report_table.SOURCE, path, report_type="pathology", date_formats=["MM/DD/YYYY"])
    assert report.exam_date == date(2021, 3, 4)


def test_rows_without_text_or_type_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "report_id,text,type\nR1, ,RAD\nR2,t,ECG\nR3,t,path\nR4,t,\n")
    reports, ledger = run(report_table.SOURCE, path)
    assert [(report.report_id, report.patient_id) for report in reports] == [("R3", None)]
    assert [(entry.item_id, entry.reason) for entry in ledger] == [
        ("R1", "empty_text"),
        ("R2", "unknown_report_type"),
        ("R4", "unknown_report_type"),
    ]


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="reporttype"):
        report_table.SOURCE.options(source="x", path=tmp_path, reporttype="radiology")


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(5)))
def test_ids_made_from_content_do_not_depend_on_the_order_of_rows(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    rows = [f"{number % 2},text {number}" for number in range(5)]
    path = write(tmp_path_factory.mktemp("t") / "r.csv", "mrn,text\n" + "\n".join(rows[place] for place in order) + "\n")
    ids = {report.text: report.report_id for report in run(report_table.SOURCE, path, report_type="radiology")[0]}
    reference = write(tmp_path_factory.mktemp("t") / "r.csv", "mrn,text\n" + "\n".join(rows) + "\n")
    assert ids == {report.text: report.report_id for report in run(report_table.SOURCE, reference, report_type="radiology")[0]}
    assert len(set(ids.values())) == 5


# Folders --------------------------------------------------------------------------------------------------------------


def test_a_folder_of_text_files_reads_patient_accession_and_day_from_the_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "P7_A9_20210304.txt", "PROSTATE\r\nPI-RADS 4")
    write(tmp_path / "notes.txt", "not a report")
    write(tmp_path / "P8_A10_20210305.txt", "")
    (report,), ledger = run(report_folder.SOURCE, tmp_path, report_type="radiology")
    assert (report.report_id, report.patient_id, report.accession, report.exam_date) == ("A9", "P7", "A9", date(2021, 3, 4))
    assert report.text == "PROSTATE\r\nPI-RADS 4"
    assert [entry.reason for entry in ledger] == ["empty_text", "name_not_matched"]


def test_a_pattern_with_an_unknown_group_or_a_broken_one_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "x")
    with pytest.raises(ConfigurationError, match="unknown group 'mrn'; named groups may be accession"):
        run(report_folder.SOURCE, tmp_path, report_type="radiology", name_pattern=r"(?P<mrn>.*)\.txt")
    with pytest.raises(ConfigurationError, match="is no regular expression"):
        run(report_folder.SOURCE, tmp_path, report_type="radiology", name_pattern="(")
    with pytest.raises(InputError, match="no file matches"):
        run(report_folder.SOURCE, tmp_path, report_type="radiology", glob="*.rtf")


# Bulk exports -----------------------------------------------------------------------------------------------------------

HEADER = "EMPI|EPIC_PMRN|MRN_Type|MRN|Report_Number|Report_Date_Time|Report_Description|Report_Status|Report_Type|Report_Text"


def export_row(number: int, text: str, status: str = "Final") -> str:
    return f"E{number}|P{number}|NORTH|{number:07d}|R{number}|3/{number}/2021 10:00:00 AM|MRI PROSTATE|{status}|RAD|{text}"


@pytest.mark.parametrize("header", [HEADER + "\r\n", "", HEADER + "\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_report_of_an_export_is_read_the_first_included(tmp_path: Path, header: str, newline: str) -> None:
    texts = [f"EXAM {number}: table | with | pipes{newline}PI-RADS 4{newline}" for number in (1, 2, 3)]
    content = header + f"{newline}".join(export_row(number, text) + "[report_end]" for number, text in enumerate(texts, start=1))
    reports, ledger = run(report_export.SOURCE, write(tmp_path / "e.txt", content + newline), report_type="radiology")
    assert [report.text for report in reports] == texts
    assert [(report.report_id, report.patient_id, report.accession) for report in reports] == [
        (f"R{number}", f"{number:07d}", f"R{number}") for number in (1, 2, 3)
    ]
    assert [report.report_date for report in reports] == [date(2021, 3, number) for number in (1, 2, 3)]
    assert {(report.title, report.status, report.institution) for report in reports} == {("MRI PROSTATE", ReportStatus.FINAL, "NORTH")}
    assert ledger == []


def test_a_last_report_without_a_marker_is_read_and_flagged(tmp_path: Path) -> None:
    content = HEADER + "\n" + export_row(1, "one\n[report_end]\n") + export_row(2, "two, cut of")
    reports, ledger = run(report_export.SOURCE, write(tmp_path / "e.txt", content), report_type="radiology")
    assert [report.text.strip() for report in reports] == ["one", "two, cut of"]
    assert [(entry.item_id, entry.reason, entry.outcome.value) for entry in ledger] == [("R2", "unterminated", "flagged")]


def test_a_report_without_its_first_line_is_dropped_and_the_rest_goes_on(tmp_path: Path) -> None:
    content = export_row(1, "one\n[report_end]\n") + "no cells | here\n[report_end]\n" + export_row(3, "three[report_end]")
    reports, ledger = run(report_export.SOURCE, write(tmp_path / "e.txt", content), report_type="radiology")
    assert [report.report_id for report in reports] == ["R1", "R3"]
    assert [(entry.item_id, entry.reason) for entry in ledger] == [("e.txt:3", "malformed_header")]


def test_columns_in_another_order_are_taken_from_the_header_line(tmp_path: Path) -> None:
    content = "MRN|Report_Number|Report_Date_Time|Report_Text\n0001|R1|2021-03-04|text\n##\n"
    columns = {"patient_id": "MRN", "report_id": "Report_Number", "exam_date": "Report_Date_Time"}
    (report,), _ = run(report_export.SOURCE, write(tmp_path / "e.txt", content), report_type="pathology", columns=columns, end_marker="##")
    assert (report.patient_id, report.exam_date, report.text) == ("0001", date(2021, 3, 4), "text\n")


def test_a_wrong_marker_or_column_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "e.txt", export_row(1, "text " * 300 + "\n" + "more\n" * 10))
    monkeypatch.setattr(report_export, "MAXIMUM_REPORT_CHARACTERS", 1000)
    with pytest.raises(InputError, match="set `end_marker` to what ends a report"):
        run(report_export.SOURCE, path, report_type="radiology")
    with pytest.raises(ConfigurationError, match=r"no cell 'MNR' for `patient_id`; did you mean 'MRN'"):
        run(report_export.SOURCE, write(path, export_row(1, "t[report_end]")), report_type="radiology", columns={"patient_id": "MNR"})
    with pytest.raises(InputError, match="the file is empty"):
        run(report_export.SOURCE, write(path, ""), report_type="radiology")


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(
        st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\r\x00")).filter(
            lambda text: text.strip() != "" and "[report_end]" not in text
        ),
        min_size=1,
        max_size=6,
    ),
    has_header=st.booleans(),
)
def test_no_report_of_an_export_is_ever_lost(tmp_path_factory: pytest.TempPathFactory, texts: list[str], has_header: bool) -> None:
    rows = [export_row(number + 1, text) for number, text in enumerate(texts)]
    content = (HEADER + "\n" if has_header else "") + "".join(row + "\n[report_end]\n" for row in rows)
    path = write(tmp_path_factory.mktemp("e") / "e.txt", content)
    reports, ledger = run(report_export.SOURCE, path, report_type="radiology")
    assert [report.text.removesuffix("\n") for report in reports] == texts
    assert Counter(entry.reason for entry in ledger) == {}


@pytest.mark.slow
def test_a_large_export_is_read_in_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "e.txt"
    with path.open("w", encoding="utf-8") as file:
        for number in range(4000):
            file.write(export_row(number % 27 + 1, "prostate PI-RADS 4\n" * 500) + "[report_end]\n")
    assert path.stat().st_size > 35e6
    tracemalloc.start()
    options = report_export.SOURCE.options(source="x", path=path, report_type="radiology")
    count = sum(isinstance(item, Report) for item in report_export.SOURCE.read(options))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 8e6) == (4000, True)
