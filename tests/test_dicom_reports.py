"""Reports from DICOM Structured Reports and encapsulated documents."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from tests.pdf_document import pdf_document
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.sources import dicom_reports
from weakbox.sources.report_pdf import pdf_text

BASIC_TEXT, COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.33"
MR_IMAGE, DOSE_SR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.88.67"


def code(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def node(kind: str, meaning: str, *, value: str = "121071", scheme: str = "DCM", relation: str = "CONTAINS", **fields: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    item.ConceptNameCodeSequence = code(value, scheme, meaning)
    for name, content in fields.items():
        setattr(item, name, content)
    return item


def container(meaning: str, *items: Dataset) -> Dataset:
    return node("CONTAINER", meaning, ContinuityOfContent="SEPARATE", ContentSequence=Sequence(items))


def number(meaning: str, value: str, amount: str, unit: str) -> Dataset:
    measured = Dataset()
    measured.NumericValue = amount
    measured.MeasurementUnitsCodeSequence = code(unit, "UCUM", unit)
    return node("NUM", meaning, value=value, scheme="LN", MeasuredValueSequence=Sequence([measured]))


def report_file(path: Path, *items: Dataset, kind: str = BASIC_TEXT, **fields: Any) -> Path:
    document = Dataset()
    document.file_meta = FileMetaDataset()
    document.file_meta.MediaStorageSOPClassUID = kind
    document.file_meta.MediaStorageSOPInstanceUID = "2.25.1001"
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.SpecificCharacterSet = "ISO_IR 100"
    document.SOPClassUID, document.SOPInstanceUID = kind, "2.25.1001"
    document.PatientID, document.PatientName, document.AccessionNumber = "0012", "Doe^Jane", "A100"
    document.StudyDate, document.ContentDate, document.StudyDescription = "20240312", "20240313", "MRI Prostata"
    document.InstitutionName, document.CompletionFlag, document.VerificationFlag = "NORTHFIELD", "COMPLETE", "VERIFIED"
    if kind not in (dicom_reports.ENCAPSULATED_PDF, dicom_reports.ENCAPSULATED_CDA, MR_IMAGE):
        document.ConceptNameCodeSequence = code("18748-4", "LN", "Diagnostic Imaging Report")
        document.ValueType, document.ContentSequence = "CONTAINER", Sequence(items)
    for name, content in fields.items():
        setattr(document, name, content)
    dcmwrite(path, document, enforce_file_format=True)
    return path


def run(path: Path, **options: Any) -> tuple[list[Report], list[LedgerEntry]]:
    items = list(dicom_reports.SOURCE.read(dicom_reports.SOURCE.options(source="dicom_reports", path=path, **options)))
    return [item for item in items if isinstance(item, Report)], [item for item in items if isinstance(item, LedgerEntry)]


def test_a_basic_text_report_is_one_text_with_headings(tmp_path: Path) -> None:
    observer = node("PNAME", "Person Observer Name", relation="HAS OBS CONTEXT", PersonName="Roe^Richard")
    path = report_file(
        tmp_path / "r.dcm",
        observer,
        container(
            "Findings", node("TEXT", "Finding", TextValue="Läsion links, PI-RADS 4."), node("TEXT", "Finding", TextValue="Größe 12 x 8 mm.")
        ),
        container("Impressions", node("TEXT", "Impression", TextValue="PI-RADS 4\r\nlinks")),
    )
    (report,), ledger = run(path)
    assert report.text == "Findings:\nLäsion links, PI-RADS 4.\nGröße 12 x 8 mm.\n\nImpressions:\nPI-RADS 4\nlinks"
    assert (report.report_id, report.patient_id, report.accession) == ("2.25.1001", "0012", "A100")
    assert (report.exam_date, report.report_date) == (date(2024, 3, 12), date(2024, 3, 13))
    assert (report.report_type, report.organ, report.status) == (ReportType.RADIOLOGY, "prostate", ReportStatus.FINAL)
    assert "Roe" not in report.text
    assert ledger == []


def test_a_comprehensive_report_gives_codes_numbers_and_nested_items(tmp_path: Path) -> None:
    lesion = container(
        "Lesion 1",
        node("CODE", "Finding Site", ConceptCodeSequence=code("T-1", "SRT", "left peripheral zone")),
        number("Diameter", "81827009", "12", "mm"),
        number("Assessment", "1", "4", "1"),
    )
    image = node("IMAGE", "Source image", relation="INFERRED FROM")
    path = report_file(tmp_path / "r.dcm", lesion, number("PSA", "2857-1", "6.8", "ng/mL"), image, kind=COMPREHENSIVE)
    (report,), _ = run(path)
    assert report.text == "Lesion 1:\nFinding Site: left peripheral zone\nDiameter: 12 mm\nAssessment: 4\nPSA: 6.8 ng/mL"
    assert dict(report.structured) == {"exam.psa_ng_ml": 6.8}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"VerificationFlag": "VERIFIED"}, ReportStatus.FINAL),
        ({"VerificationFlag": "UNVERIFIED", "PreliminaryFlag": "PRELIMINARY"}, ReportStatus.PRELIMINARY),
        ({"VerificationFlag": "UNVERIFIED", "CompletionFlag": "PARTIAL"}, ReportStatus.PRELIMINARY),
        ({"VerificationFlag": "UNVERIFIED"}, ReportStatus.UNKNOWN),
    ],
)
def test_flags_of_a_document_are_its_status(fields: dict[str, str], status: ReportStatus, tmp_path: Path) -> None:
    (report,), _ = run(report_file(tmp_path / "r.dcm", node("TEXT", "Finding", TextValue="PI-RADS 4"), **fields))
    assert report.status is status


def test_images_dose_reports_and_other_files_are_passed_over_and_counted(tmp_path: Path) -> None:
    report_file(tmp_path / "a.dcm", node("TEXT", "Finding", TextValue="PI-RADS 4"))
    report_file(tmp_path / "b.dcm", kind=MR_IMAGE)
    report_file(tmp_path / "c.dcm", node("TEXT", "Finding", TextValue="dose"), kind=DOSE_SR)
    (tmp_path / "d.txt").write_text("no DICOM", encoding="utf-8")
    reports, (entry,) = run(tmp_path)
    assert len(reports) == 1
    assert (entry.reason, entry.detail) == ("not_a_report", "3 other files passed over")


def test_an_empty_document_is_a_dropped_row(tmp_path: Path) -> None:
    reports, (entry,) = run(report_file(tmp_path / "a.dcm"))
    assert (reports, entry.reason) == ([], "empty_text")


@pytest.mark.parametrize("is_undefined_length", [False, True])
def test_a_file_that_was_cut_off_anywhere_gives_no_part_of_a_report(is_undefined_length: bool, tmp_path: Path) -> None:
    findings = container("Findings", node("TEXT", "Finding", TextValue="PI-RADS 4 left " * 3), node("TEXT", "Finding", TextValue="ok"))
    for sequence in (findings["ContentSequence"], findings["ConceptNameCodeSequence"]):
        sequence.is_undefined_length = is_undefined_length
    findings.is_undefined_length_sequence_item = is_undefined_length
    path = report_file(tmp_path / "a.dcm", findings)
    whole = path.read_bytes()
    reasons = set()
    for length in range(len(whole) - 1, 132, -11):
        path.write_bytes(whole[:length])
        reports, (entry,) = run(path)
        assert reports == []
        reasons.add(entry.reason)
    assert reasons <= {"cut_off", "unreadable_dicom", "empty_text", "not_a_report"}
    assert "cut_off" in reasons


def test_a_clinical_document_gives_its_body_and_not_its_header(tmp_path: Path) -> None:
    document = (
        b"<ClinicalDocument><recordTarget><name>Jane Doe</name></recordTarget><component><structuredBody><section><title>Findings</title>"
        b"<text><paragraph>PI-RADS 4</paragraph></text></section></structuredBody></component></ClinicalDocument>\x00"
    )
    path = report_file(tmp_path / "r.dcm", kind=dicom_reports.ENCAPSULATED_CDA, EncapsulatedDocument=document, DocumentTitle="MRI prostate")
    (report,), _ = run(path)
    assert report.text.split() == ["Findings", "PI-RADS", "4"]


PAGES = ("MRI prostate\nLesion (left mid): PI-RADS 4", "IMPRESSION\nGröße 12 mm")


def pdf_file(path: Path, content: bytes) -> Path:
    padded = content + b"\x00" * (len(content) % 2)
    return report_file(path, kind=dicom_reports.ENCAPSULATED_PDF, EncapsulatedDocument=padded)


def test_the_text_layer_of_an_encapsulated_pdf_is_the_report(tmp_path: Path) -> None:
    (report,), ledger = run(pdf_file(tmp_path / "r.dcm", pdf_document(*PAGES)))
    assert report.text == "MRI prostate\nLesion (left mid): PI-RADS 4\n\nIMPRESSION\nGröße 12 mm"
    assert (report.report_id, report.patient_id, report.report_type) == ("2.25.1001", "0012", ReportType.RADIOLOGY)
    assert ledger == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(pdf_document(""), "pdf_without_text"), (b"%PDF-1.4\n%%EOF\n", "pdf_unreadable"), (b"no PDF at all ", "pdf_unreadable")],
)
def test_a_pdf_without_words_or_that_is_damaged_is_a_dropped_row(content: bytes, reason: str, tmp_path: Path) -> None:
    reports, (entry,) = run(pdf_file(tmp_path / "r.dcm", content))
    assert (reports, entry.outcome, entry.reason, entry.item_id) == ([], Outcome.DROPPED, reason, "2.25.1001")


@given(st.integers(0, 10_000), st.integers(1, 40), st.binary(max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_damaged_pdf_gives_words_or_a_reason_and_never_an_error(start: int, length: int, instead: bytes) -> None:
    whole = pdf_document(*PAGES)
    start %= len(whole)
    words, reason = pdf_text(whole[:start] + instead + whole[start + length :])
    assert bool(words) != bool(reason)


def test_nothing_of_a_damaged_pdf_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        pdf_text(pdf_document("Doe, Jane").replace(b"xref\n0", b"xrfe\n0"))
    assert caplog.records == []


def test_numbers_and_sequences_of_the_wrong_kind_are_passed_over(tmp_path: Path) -> None:
    twice = number("PSA", "2857-1", "6.8", "ng/mL")
    twice.MeasuredValueSequence[0].NumericValue = ["6.8", "7.0"]
    (report,), _ = run(report_file(tmp_path / "r.dcm", node("TEXT", "Finding", TextValue="PI-RADS 4"), twice, kind=COMPREHENSIVE))
    assert dict(report.structured) == {}
