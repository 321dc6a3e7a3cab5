"""Reports from HL7 v2 messages."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pdf_document import pdf_document
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.sources import hl7_reports
from weakbox.sources.hl7_messages import Signs, read_messages, unescape
from weakbox.text.report_versions import settle_versions

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "reports" / "hl7v2"
HEADER = r"MSH|^~\&|RIS|NORTHFIELD|PIPE|LAB|20240314101500||{kind}|M1|P|2.5.1||||||{charset}"
PERSON = "PID|1||0012^^^NORTHFIELD^MR~981^^^NHS^NH||Doe^Jane||19500312|F"
ORDER = "OBR|1|PL7|A100^RIS|72195-7^MRI Prostate^LN|||20240312093000|||||||||||||||20240313110000||{section}|{status}"


def message(
    results: Sequence[str],
    *,
    kind: str = "ORU^R01^ORU_R01",
    charset: str = "",
    status: str = "F",
    section: str = "RAD",
    person: str = PERSON,
) -> str:
    head = HEADER.format(kind=kind, charset=charset)
    return "\r".join((head, person, "PV1|1|O", ORDER.format(status=status, section=section), *results)) + "\r"


def text_lines(*lines: str, status: str = "F", code: str = "GDT^Report") -> list[str]:
    return [f"OBX|{number}|TX|{code}||{line}||||||{status}" for number, line in enumerate(lines, 1)]


def run(content: str | bytes, folder: Path, **options: Any) -> tuple[list[Report], list[LedgerEntry]]:
    path = folder / "messages.hl7"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    items = list(hl7_reports.SOURCE.read(hl7_reports.SOURCE.options(source="hl7_reports", path=path, **options)))
    return [item for item in items if isinstance(item, Report)], [item for item in items if isinstance(item, LedgerEntry)]


def test_a_result_message_becomes_a_report_with_its_identity(tmp_path: Path) -> None:
    (report,), ledger = run(message(text_lines("PROSTATE MRI", "", "PI-RADS 4 lesion, left mid PZ.")), tmp_path)
    assert (report.report_id, report.accession, report.patient_id) == ("A100", "A100", "0012")
    assert (report.report_type, report.organ, report.status) == (ReportType.RADIOLOGY, "prostate", ReportStatus.FINAL)
    assert (report.exam_date, report.report_date) == (date(2024, 3, 12), date(2024, 3, 13))
    assert (report.title, report.institution) == ("MRI Prostate", "NORTHFIELD")
    assert report.text.splitlines()[-1] == "PI-RADS 4 lesion, left mid PZ."
    assert ledger == []


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_segments_end_with_carriage_return_line_feed_or_both(end: str, tmp_path: Path) -> None:
    (report,), _ = run(message(text_lines("first", "second")).replace("\r", end), tmp_path)
    assert report.text == "FINDINGS:\nfirst\nsecond"


def test_escapes_and_repetitions_are_words_again(tmp_path: Path) -> None:
    lines = [r"OBX|1|FT|R^Report||PI-\.br\RADS 4 \T\ PSA 5 \F\ 6~12 \S\ \R\ \E\ \H\bold\N\ \X0D\end||||||F"]
    (report,), _ = run(message(lines), tmp_path)
    assert report.text == "PI-\nRADS 4 & PSA 5 | 6\n12 ^ ~ \\ bold \nend"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40))
def test_what_is_escaped_comes_back(text: str) -> None:
    signs = Signs()
    escaped = text.replace("\\", r"\E\ "[:3])
    for sign, code in (("|", "F"), ("^", "S"), ("&", "T"), ("~", "R")):
        escaped = escaped.replace(sign, f"\\{code}\\")
    assert unescape(escaped, signs) == text


def test_a_line_that_begins_no_segment_goes_on_with_the_one_before(tmp_path: Path) -> None:
    (report,), _ = run(message(["OBX|1|TX|R^Report||FINDINGS:\nPI-RADS 4\nIMPRESSION: one lesion||||||F"]), tmp_path)
    assert report.text == "FINDINGS:\nPI-RADS 4\nIMPRESSION: one lesion"


def test_sections_of_results_become_headings(tmp_path: Path) -> None:
    lines = [*text_lines("PI-RADS 4 in the left PZ.", code="72195-7&GDT^MRI"), *text_lines("One lesion.", code="72195-7&IMP^MRI")]
    (report,), _ = run(message(lines), tmp_path)
    assert report.text == "FINDINGS:\nPI-RADS 4 in the left PZ.\n\nIMPRESSION:\nOne lesion."


def test_numbers_beside_the_text_are_structured_values_and_no_words(tmp_path: Path) -> None:
    lines = [
        *text_lines("PI-RADS 4."),
        "OBX|2|NM|2857-1^PSA^LN||6.8|ng/mL|||||F",
        "OBX|3|NM|15325-4^PSA density^LN||0.15|ng/mL/cc|||||F",
    ]
    (report,), ledger = run(message(lines), tmp_path)
    assert dict(report.structured) == {"exam.psa_ng_ml": 6.8, "exam.psa_density": 0.15}
    assert "6.8" not in report.text
    assert ledger == []


def test_a_number_in_another_unit_a_void_one_and_two_that_differ_are_no_values(tmp_path: Path) -> None:
    lines = [
        *text_lines("PI-RADS 4."),
        "OBX|2|NM|2857-1^PSA^LN||6.8|nmol/L|||||F",
        "OBX|3|NM|15325-4^PSAD^LN||0.15||||||F",
        "OBX|4|NM|15325-4^PSAD^LN||0.25||||||F",
        "OBX|5|NM|35741-8^PSA^LN||9|ng/mL|||||X",
    ]
    (report,), ledger = run(message(lines), tmp_path)
    assert dict(report.structured) == {}
    assert sorted(entry.reason for entry in ledger) == ["two_values", "unit_not_used"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("P", ReportStatus.PRELIMINARY),
        ("A", ReportStatus.PRELIMINARY),
        ("R", ReportStatus.PRELIMINARY),
        ("F", ReportStatus.FINAL),
        ("C", ReportStatus.CORRECTED),
        ("X", ReportStatus.CANCELLED),
    ],
)
def test_the_status_of_an_order_is_the_reports(code: str, status: ReportStatus, tmp_path: Path) -> None:
    (report,), _ = run(message(text_lines("PI-RADS 4."), status=code), tmp_path)
    assert report.status is status


def test_a_corrected_report_replaces_the_first_one_and_a_cancelled_one_is_left_out(tmp_path: Path) -> None:
    first = message(text_lines("PI-RADS 3, left.", status="F"))
    corrected = message(text_lines("PI-RADS 4, right.", status="C"), status="C")
    reports, _ = run(first + corrected, tmp_path)
    (kept,), ledger = settle_versions(reports)
    assert "PI-RADS 4, right." in kept.text
    assert [entry.reason for entry in ledger] == ["superseded"]
    reports, _ = run(message(text_lines("PI-RADS 3."), status="X"), tmp_path)
    kept_none, ledger = settle_versions(reports)
    assert kept_none == ()
    assert [entry.reason for entry in ledger] == ["cancelled"]


def test_a_corrected_line_takes_the_place_of_its_first_version_and_a_deleted_one_goes(tmp_path: Path) -> None:
    lines = [
        "OBX|1|TX|R^Report||PI-RADS 3||||||F",
        "OBX|1|TX|R^Report||PI-RADS 4||||||C",
        "OBX|2|TX|R^Report||dictation test||||||D",
    ]
    (report,), ledger = run(message(lines), tmp_path)
    assert report.text == "PI-RADS 4"
    assert report.status is ReportStatus.CORRECTED
    assert [entry.reason for entry in ledger] == ["void_result"]


def test_order_groups_with_one_number_are_one_report_and_others_are_their_own(tmp_path: Path) -> None:
    second = ORDER.format(status="F", section="RAD")
    other = second.replace("A100", "A200").replace("MRI Prostate", "MRI Breast")
    content = message([*text_lines("first part"), second, *text_lines("second part"), other, *text_lines("breast part")])
    reports, _ = run(content, tmp_path)
    assert [(report.report_id, report.organ) for report in reports] == [("A100", "prostate"), ("A200", "breast")]
    assert "first part" in reports[0].text
    assert "second part" in reports[0].text


def test_pathology_is_told_by_the_section_and_a_laboratory_is_dropped(tmp_path: Path) -> None:
    (report,), _ = run(message(text_lines("Adenocarcinoma."), section="SP"), tmp_path)
    assert report.report_type is ReportType.PATHOLOGY
    reports, (entry,) = run(message(text_lines("Haemoglobin normal."), section="HM"), tmp_path)
    assert (reports, entry.reason) == ([], "other_service")


def test_a_document_message_becomes_a_report(tmp_path: Path) -> None:
    document = "TXA|1|RAD^MRI prostate report|TX|20240312093000||20240313110000||||||DOC9|||A100||AU"
    head = HEADER.format(kind="MDM^T02^MDM_T02", charset="")
    (report,), _ = run("\r".join((head, "EVN|T02|20240313", PERSON, document, *text_lines("PI-RADS 4."))), tmp_path)
    assert (report.report_id, report.accession, report.status) == ("DOC9", "A100", ReportStatus.FINAL)
    assert (report.exam_date, report.report_date) == (date(2024, 3, 12), date(2024, 3, 13))
    addendum = head.replace("MDM^T02^MDM_T02", "MDM^T06^MDM_T06")
    (report,), _ = run("\r".join((addendum, PERSON, document, *text_lines("PI-RADS 5."))), tmp_path)
    assert report.status is ReportStatus.ADDENDUM


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("8859/15", "iso8859-15"), ("", "utf-8"), ("ASCII", "cp1252")],
)
def test_the_declared_encoding_is_used_and_a_missing_or_wrong_one_detected(charset: str, encoding: str, tmp_path: Path) -> None:
    content = message(text_lines("Läsion 12 × 8 mm, Größe unverändert"), charset=charset).encode(encoding)
    (report,), _ = run(content, tmp_path)
    assert "Läsion 12 × 8 mm, Größe unverändert" in report.text


def test_framed_messages_and_batches_are_read_one_by_one(tmp_path: Path) -> None:
    framed = "".join(f"\x0b{message(text_lines(f'PI-RADS {number}')).replace('A100', f'A{number}')}\x1c\r" for number in (3, 4, 5))
    reports, ledger = run(framed, tmp_path)
    assert [report.report_id for report in reports] == ["A3", "A4", "A5"]
    assert all("\x1c" not in report.text and "\x0b" not in report.text for report in reports)
    batch = (
        "FHS|^~\\&|RIS\rBHS|^~\\&|RIS\r"
        + message(text_lines("one"))
        + message(text_lines("two")).replace("A100", "A101")
        + "BTS|2\rFTS|1\r"
    )
    reports, more = run(batch, tmp_path)
    assert [report.report_id for report in reports] == ["A100", "A101"]
    assert reports[1].text.endswith("two")
    assert ledger + more == []


def test_encapsulated_text_is_read_and_what_cannot_be_is_said(tmp_path: Path) -> None:
    def attached(kind: str, content: bytes) -> list[str]:
        return [f"OBX|1|ED|R^Report||^{kind}^Base64^{base64.b64encode(content).decode()}||||||F"]

    (report,), _ = run(message(attached("TEXT^PLAIN", b"PI-RADS 4, links")), tmp_path)
    assert report.text == "PI-RADS 4, links"
    (report,), _ = run(message(attached("TEXT^HTML", b"<p>PI-RADS&nbsp;4</p><p>left</p>")), tmp_path)
    assert report.text.replace("\xa0", " ").split("\n") == ["PI-RADS 4", "", "left"]
    reports, ledger = run(message(attached("APPLICATION^PDF", b"%PDF-1.4")), tmp_path)
    assert (reports, [entry.reason for entry in ledger]) == ([], ["pdf_unreadable", "empty_text"])
    reports, ledger = run(message(["OBX|1|ED|R^Report||^TEXT^PLAIN^Base64^%%%||||||F"]), tmp_path)
    assert (reports, [entry.reason for entry in ledger]) == ([], ["bad_attachment", "empty_text"])


def test_an_encapsulated_pdf_is_read_where_the_text_beside_it_says_less(tmp_path: Path) -> None:
    content = base64.b64encode(pdf_document("MRI prostate\nLesion 1: left mid, PI-RADS 4")).decode()
    printed = f"OBX|2|ED|R^Report||^APPLICATION^PDF^Base64^{content}||||||F"
    for kind in ("APPLICATION^PDF", "TEXT^OCTET-STREAM"):
        (report,), ledger = run(message([printed.replace("APPLICATION^PDF", kind)]), tmp_path)
        assert (report.text, ledger) == ("MRI prostate\nLesion 1: left mid, PI-RADS 4", [])
    (report,), _ = run(message(["OBX|1|TX|R^Report||see PDF||||||F", printed]), tmp_path)
    assert report.text.endswith("PI-RADS 4")
    words = "MRI prostate. Lesion 1: left mid, PI-RADS 4"
    (report,), (entry,) = run(message([f"OBX|1|TX|R^Report||{words}||||||F", printed]), tmp_path)
    assert (report.text, entry.reason) == (words, "pdf_beside_text")


def test_words_in_the_place_of_a_media_type_or_encoding_do_not_reach_the_ledger(tmp_path: Path) -> None:
    parts = ("^doe^jane^Base64^JVBERg==", "^TEXT^HTML^Base64^carcinoma of the left!")
    _, ledger = run(message([f"OBX|{number}|ED|R^Report||{part}||||||F" for number, part in enumerate(parts, 1)]), tmp_path)
    assert [entry.reason for entry in ledger] == ["unsupported_attachment", "bad_attachment", "empty_text"]
    said = "".join(entry.detail for entry in ledger).lower()
    assert not any(word in said for word in ("doe", "jane", "carcinoma"))


def test_other_separators_are_those_that_the_message_declares(tmp_path: Path) -> None:
    content = message(text_lines("a ^ b")).replace("|", "#").replace("^~\\&", "@!%$").replace("^", "@")
    (report,), _ = run(content, tmp_path)
    assert report.report_id == "A100"


def test_messages_of_other_kinds_and_without_words_are_dropped_rows(tmp_path: Path) -> None:
    _, ledger = run(message([], kind="ADT^A01"), tmp_path)
    assert [entry.reason for entry in ledger] == ["other_message"]
    _, ledger = run(message(["OBX|1|NM|2857-1^PSA^LN||6.8|ng/mL|||||F"]), tmp_path)
    assert [entry.reason for entry in ledger] == ["empty_text"]


def test_a_file_without_a_message_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"messages\.hl7: no HL7 v2 message"):
        run("PROSTATE MRI\nPI-RADS 4", tmp_path)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fall_over(content: bytes) -> None:
    for part in read_messages(b"MSH|^~\\&|" + content):
        assert part.header.name == "MSH"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="real samples are not beside the checkout")
def test_real_sample_messages_are_read_or_dropped_with_a_reason() -> None:
    options = hl7_reports.SOURCE.options(source="hl7_reports", path=SHARED, glob="*.hl7", report_type="radiology")
    items = list(hl7_reports.SOURCE.read(options))
    reports = {item.report_id: item for item in items if isinstance(item, Report)}
    assert {item.reason for item in items if isinstance(item, LedgerEntry)} <= {
        "other_message",
        "empty_text",
        "empty_attachment",
        "bad_attachment",
    }
    assert reports["2RWRVAJ627408"].patient_id == "3196695816"
    assert reports["2RWRVAJ627408"].text.startswith("Toilet cylinder crackers")
