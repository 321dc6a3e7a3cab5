"""One text file that holds many reports."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.report import Report, ReportType
from weakbox.sources import report_collection

BODY = "FINDINGS:\nProstate: lesion {0} in the left PZ, 12 x 8 mm.\n\nIMPRESSION:\nPI-RADS 4.\n"


def head(number: int) -> str:
    return f"Patient ID: P{number}\nAccession: A{number}\nExam date: 2024-03-{number:02d}\nExam: MRI prostate\n\n"


def run(text: str | bytes, folder: Path, **options: Any) -> tuple[list[Report], list[LedgerEntry]]:
    path = folder / "batch.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    chosen = {"report_type": "radiology"} | options
    items = list(report_collection.SOURCE.read(report_collection.SOURCE.options(source="report_collection", path=path, **chosen)))
    return [item for item in items if isinstance(item, Report)], [item for item in items if isinstance(item, LedgerEntry)]


@pytest.mark.parametrize("between", ["\n", "\n\n\n", "\n==========\n", "\n----------------\n\n", "\f", "\n\f\n", "\n* * * * * *\n"])
def test_reports_are_told_apart_by_their_heads_whatever_stands_between(between: str, tmp_path: Path) -> None:
    pieces = [head(number) + BODY.format(number) for number in (1, 2, 3)]
    reports, ledger = run(between.join(pieces), tmp_path)
    assert [(report.report_id, report.patient_id, report.exam_date) for report in reports] == [
        (f"A{number}", f"P{number}", date(2024, 3, number)) for number in (1, 2, 3)
    ]
    assert all(f"lesion {number} in" in report.text for number, report in zip((1, 2, 3), reports, strict=True))
    assert "".join(report.text for report in reports) == between.join(pieces)
    assert ledger == []


def test_twenty_reports_are_twenty(tmp_path: Path) -> None:
    reports, _ = run("\n".join(head(number) + BODY.format(number) for number in range(1, 21)), tmp_path)
    assert [report.accession for report in reports] == [f"A{number}" for number in range(1, 21)]


def test_titles_and_rules_above_a_head_belong_to_its_report(tmp_path: Path) -> None:
    pieces = [f"==========\nRADIOLOGY REPORT\n==========\n{head(number)}{BODY.format(number)}" for number in (1, 2)]
    reports, _ = run("\n".join(pieces), tmp_path)
    assert [report.text.startswith("==========\nRADIOLOGY REPORT") for report in reports] == [True, True]
    assert reports[0].text.rstrip().endswith("PI-RADS 4.")


def test_a_whole_report_with_rules_form_feeds_and_page_heads_stays_whole(tmp_path: Path) -> None:
    pages = "\f".join((head(1) + BODY.format(1), head(1) + "Page 2\n==========\nADDENDUM: PI-RADS 5.\n----------\nsigned"))
    (report,), (entry,) = run(pages, tmp_path)
    assert (report.text, entry.reason) == (pages, "one_report")


def test_a_text_without_heads_is_one_report(tmp_path: Path) -> None:
    text = "PROSTATE MRI\n=====\nLesion: left\nExam: MRI\nPI-RADS 4\n=====\nDate: unknown\n"
    (report,), (entry,) = run(text, tmp_path)
    assert (report.text, entry.reason) == (text, "one_report")


def test_heads_in_one_line_and_in_other_languages_are_read(tmp_path: Path) -> None:
    text = (
        "Patient: Muster   Pat.-Nr.: 11   Untersuchungsdatum: 12.03.2024\nMRT der Prostata\nPI-RADS 4\n\n"
        "Paciente: Ejemplo\tNHC: 22\tFecha: 13.03.2024\nRM de próstata\nPI-RADS 3\n\n"
        "Personnummer: 33\nUndersökningsdatum: 2024-03-14\nMR prostata\nPI-RADS 2\n"
    )
    reports, _ = run(text, tmp_path)
    assert [(report.patient_id, report.exam_date) for report in reports] == [
        ("11", date(2024, 3, 12)),
        ("22", date(2024, 3, 13)),
        ("33", date(2024, 3, 14)),
    ]


def test_reports_of_one_patient_on_two_days_are_two(tmp_path: Path) -> None:
    text = "MRN: 7\nExam date: 2021-01-01\nPI-RADS 3\n\nMRN: 7\nExam date: 2022-01-01\nPI-RADS 4\n"
    reports, _ = run(text, tmp_path)
    assert [(report.patient_id, report.exam_date) for report in reports] == [("7", date(2021, 1, 1)), ("7", date(2022, 1, 1))]


def test_a_head_without_a_report_is_a_dropped_row(tmp_path: Path) -> None:
    reports, ledger = run(head(1) + "\n" + head(2) + BODY.format(2), tmp_path)
    assert [report.report_id for report in reports] == ["A2"]
    assert [(entry.item_id, entry.reason) for entry in ledger] == [("A1", "empty_text")]


def test_a_stated_first_line_decides(tmp_path: Path) -> None:
    text = "### 1\nPI-RADS 3\n### 2\nPI-RADS 4\n"
    reports, _ = run(text, tmp_path, starts=r"### \d+")
    assert [report.text for report in reports] == ["### 1\nPI-RADS 3\n", "### 2\nPI-RADS 4\n"]
    with pytest.raises(ConfigurationError, match="no regular expression"):
        run(text, tmp_path, starts="(")


def test_the_type_of_each_report_is_told_by_its_title(tmp_path: Path) -> None:
    text = head(1) + BODY.format(1) + "\n\nSURGICAL PATHOLOGY REPORT\nCase: S24-2\nPatient ID: P2\n\nDIAGNOSIS: Adenocarcinoma 3+4.\n"
    reports, _ = run(text, tmp_path, report_type=None)
    assert [report.report_type for report in reports] == [ReportType.RADIOLOGY, ReportType.PATHOLOGY]


def test_an_empty_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch\.txt: the file is empty"):
        run("", tmp_path)


@given(st.text(max_size=300))
def test_lines_are_the_text_again(text: str) -> None:
    assert "".join(report_collection._lines_of(text)) == text
