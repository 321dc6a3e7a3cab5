"""Reports from FHIR DiagnosticReport resources."""

from __future__ import annotations

import base64
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.pdf_document import pdf_document
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.sources import fhir_reports

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "reports" / "fhir"
TEXT = "PROSTATE MRI\nPI-RADS 4 lesion, left mid PZ."


def attachment(text: str, media: str = "text/plain", encoding: str = "utf-8") -> dict[str, str]:
    return {"contentType": media, "data": base64.b64encode(text.encode(encoding)).decode()}


def diagnostic_report(**fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": "dr1",
        "identifier": [
            {"type": {"coding": [{"code": "ACSN"}]}, "value": "A100"},
            {"system": "urn:ris", "value": "RIS-7"},
        ],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "72195-7", "display": "MR Prostate"}], "text": "MRI prostate"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-03-12T09:30:00+01:00",
        "issued": "2024-03-13T11:00:00Z",
        "presentedForm": [attachment(TEXT)],
    } | fields


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"urn:uuid:{place}", "resource": each} for place, each in enumerate(resources)],
    }


def run(content: Any, folder: Path, name: str = "report.json", **options: Any) -> tuple[list[Report], list[LedgerEntry]]:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    items = list(fhir_reports.SOURCE.read(fhir_reports.SOURCE.options(source="fhir_reports", path=folder, **options)))
    return [item for item in items if isinstance(item, Report)], [item for item in items if isinstance(item, LedgerEntry)]


def test_a_report_alone_is_read_with_its_identity(tmp_path: Path) -> None:
    (report,), ledger = run(diagnostic_report(), tmp_path)
    assert (report.report_id, report.accession, report.patient_id) == ("RIS-7", "A100", "p1")
    assert (report.report_type, report.organ, report.title) == (ReportType.RADIOLOGY, "prostate", "MRI prostate")
    assert (report.exam_date, report.report_date, report.status) == (date(2024, 3, 12), date(2024, 3, 13), ReportStatus.FINAL)
    assert report.text == TEXT
    assert ledger == []


def test_the_patient_is_the_medical_record_number_of_the_resource_that_the_report_names(tmp_path: Path) -> None:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"value": "981"}, {"type": {"coding": [{"code": "MR"}]}, "value": "0012"}],
    }
    (report,), _ = run(bundle(patient, diagnostic_report()), tmp_path)
    assert report.patient_id == "0012"
    (report,), _ = run(bundle(patient, diagnostic_report(subject={"reference": "urn:uuid:0"})), tmp_path)
    assert report.patient_id == "0012"
    (report,), _ = run(diagnostic_report(subject={"identifier": {"value": "77"}}), tmp_path)
    assert report.patient_id == "77"


def test_lines_of_resources_are_read_and_a_broken_one_is_a_dropped_row(tmp_path: Path) -> None:
    lines = "\n".join((json.dumps(diagnostic_report()), "{broken", json.dumps(diagnostic_report(id="dr2", identifier=[])), "[1]"))
    reports, ledger = run(lines, tmp_path, "export.ndjson")
    assert [report.report_id for report in reports] == ["RIS-7", "dr2"]
    assert [(entry.item_id, entry.reason) for entry in ledger] == [("export.ndjson:2", "not_json"), ("export.ndjson:4", "not_fhir")]


def test_plain_text_wins_over_markup_and_markup_is_read_as_lines(tmp_path: Path) -> None:
    html = "<html><head><title>x</title><style>p{}</style></head><body><p>PI-RADS 4</p><ul><li>left&nbsp;PZ</li></ul></body></html>"
    (report,), _ = run(diagnostic_report(presentedForm=[attachment(html, "text/html"), attachment(TEXT)]), tmp_path)
    assert report.text == TEXT
    (report,), _ = run(diagnostic_report(presentedForm=[attachment(html, "text/html; charset=utf-8")]), tmp_path)
    assert [line for line in report.text.replace("\xa0", " ").split("\n") if line] == ["PI-RADS 4", "- left PZ"]


def test_the_stated_character_set_is_used(tmp_path: Path) -> None:
    (report,), _ = run(diagnostic_report(presentedForm=[attachment("Läsion", "text/plain; charset=iso-8859-1", "latin-1")]), tmp_path)
    assert report.text == "Läsion"


def test_the_conclusion_is_added_where_the_text_lacks_it(tmp_path: Path) -> None:
    (report,), _ = run(diagnostic_report(conclusion="PI-RADS 4  lesion, left mid PZ."), tmp_path)
    assert report.text == TEXT
    (report,), _ = run(diagnostic_report(conclusion="No metastases."), tmp_path)
    assert report.text == f"{TEXT}\n\nCONCLUSION:\nNo metastases."
    (report,), _ = run(diagnostic_report(presentedForm=[], conclusion="PI-RADS 2."), tmp_path)
    assert report.text == "PI-RADS 2."


def test_the_narrative_is_read_where_nothing_else_is_there(tmp_path: Path) -> None:
    narrative = {"status": "additional", "div": "<div><h2>MRI</h2><table><tr><td>PI-RADS</td><td>4</td></tr></table></div>"}
    (report,), _ = run(diagnostic_report(presentedForm=[], text=narrative), tmp_path)
    assert report.text.split() == ["MRI", "PI-RADS", "4"]
    listing = {"status": "generated", "div": "<div><p>Generated Narrative</p><p>subject: Jane Doe</p></div>"}
    (report,), _ = run(diagnostic_report(presentedForm=[], text=listing, conclusion="PI-RADS 4."), tmp_path)
    assert report.text == "PI-RADS 4."


def observation(identifier: str, code: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": identifier,
        "status": "final",
        "code": {"coding": [{"code": code, "display": code}]},
    } | value


def test_contained_and_bundled_observations_are_structured_values(tmp_path: Path) -> None:
    psa = observation("o1", "2857-1", valueQuantity={"value": 6.8, "unit": "ng/mL"})
    density = observation("o2", "15325-4", valueQuantity={"value": 0.15, "code": "ng/mL.cm3"})
    report = diagnostic_report(contained=[psa], result=[{"reference": "#o1"}, {"reference": "Observation/o2"}])
    (read,), ledger = run(bundle(report, density), tmp_path)
    assert dict(read.structured) == {"exam.psa_ng_ml": 6.8, "exam.psa_density": 0.15}
    assert (read.text, ledger) == (TEXT, [])
    void = observation("o1", "2857-1", valueQuantity={"value": 6.8, "unit": "ng/mL"}) | {"status": "entered-in-error"}
    below = observation("o2", "15325-4", valueQuantity={"value": 0.15, "comparator": "<"})
    (read,), _ = run(bundle(report | {"contained": [void]}, below), tmp_path)
    assert dict(read.structured) == {}


def test_worded_observations_are_the_text_where_no_form_is_presented(tmp_path: Path) -> None:
    words = observation("o3", "59776-5", valueString="PI-RADS 4, left.")
    words["code"]["text"] = "Findings"
    (report,), _ = run(bundle(diagnostic_report(presentedForm=[], result=[{"reference": "Observation/o3"}]), words), tmp_path)
    assert report.text == "Findings:\nPI-RADS 4, left."


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("registered", ReportStatus.PRELIMINARY),
        ("partial", ReportStatus.PRELIMINARY),
        ("preliminary", ReportStatus.PRELIMINARY),
        ("modified", ReportStatus.CORRECTED),
        ("final", ReportStatus.FINAL),
        ("amended", ReportStatus.CORRECTED),
        ("corrected", ReportStatus.CORRECTED),
        ("appended", ReportStatus.ADDENDUM),
        ("cancelled", ReportStatus.CANCELLED),
        ("entered-in-error", ReportStatus.CANCELLED),
        ("unknown", ReportStatus.UNKNOWN),
    ],
)
def test_every_status_of_fhir_is_one_of_ours(status: str, expected: ReportStatus, tmp_path: Path) -> None:
    (report,), ledger = run(diagnostic_report(status=status), tmp_path)
    assert (report.status, ledger) == (expected, [])


def test_type_and_organ_come_from_codes_and_words(tmp_path: Path) -> None:
    pathology = diagnostic_report(category=[{"coding": [{"code": "SP"}]}], code={"text": "Breast core biopsy"})
    (report,), _ = run(pathology, tmp_path)
    assert (report.report_type, report.organ) == (ReportType.PATHOLOGY, "breast")
    (report,), _ = run(diagnostic_report(category=[], code={"text": "MRI-guided prostate biopsy"}), tmp_path)
    assert report.report_type is ReportType.RADIOLOGY
    _, (entry,) = run(diagnostic_report(category=[{"coding": [{"code": "HM"}]}]), tmp_path)
    assert entry.reason == "other_service"
    _, (entry,) = run(diagnostic_report(category=[], code={"text": "letter"}), tmp_path)
    assert entry.reason == "unknown_report_type"


def test_an_attachment_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    forms = [
        {"contentType": "application/pdf", "data": "JVBERg=="},
        {"contentType": "text/plain", "url": "https://pacs.example/1"},
        {"contentType": "text/plain", "data": "%"},
    ]
    reports, ledger = run(diagnostic_report(presentedForm=forms), tmp_path)
    assert reports == []
    assert [entry.reason for entry in ledger] == ["attachment_not_here", "bad_attachment", "pdf_unreadable", "empty_text"]


def test_a_pdf_is_read_where_the_text_beside_it_says_less(tmp_path: Path) -> None:
    printed = {"contentType": "application/pdf", "data": base64.b64encode(pdf_document(f"MRI prostate\n{TEXT}")).decode()}
    (report,), ledger = run(diagnostic_report(presentedForm=[printed]), tmp_path)
    assert report.text.startswith("MRI prostate")
    assert ledger == []
    short = {"contentType": "text/plain", "data": base64.b64encode(b"See PDF.").decode()}
    (report,), ledger = run(diagnostic_report(presentedForm=[short, printed]), tmp_path)
    assert report.text.startswith("See PDF.\n\nMRI prostate")
    (report,), (entry,) = run(diagnostic_report(presentedForm=[printed, attachment(TEXT)]), tmp_path)
    assert (report.text, entry.reason) == (TEXT, "pdf_beside_text")


def test_a_media_type_that_holds_other_words_is_not_repeated_in_the_ledger(tmp_path: Path) -> None:
    _, ledger = run(diagnostic_report(presentedForm=[{"contentType": "doe/jane", "data": "JVBERg=="}]), tmp_path)
    assert [entry.reason for entry in ledger] == ["unsupported_attachment", "empty_text"]
    assert "jane" not in "".join(entry.detail for entry in ledger).lower()


def test_a_line_separator_within_a_json_string_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "r.ndjson"
    resource = diagnostic_report(presentedForm=[], conclusion="PI-RADS 4\u2028left\x85side")
    path.write_text(json.dumps(resource, ensure_ascii=False) + "\n", encoding="utf-8")
    items = list(fhir_reports.SOURCE.read(fhir_reports.SOURCE.options(source="fhir_reports", path=path)))
    assert [type(item) for item in items] == [Report]


def test_an_attachment_in_a_binary_resource_is_found(tmp_path: Path) -> None:
    binary = {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": attachment(TEXT)["data"]}
    (report,), _ = run(bundle(diagnostic_report(presentedForm=[{"contentType": "text/plain", "url": "Binary/b1"}]), binary), tmp_path)
    assert report.text == TEXT


def test_a_file_without_fhir_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no FHIR resource"):
        run({"report": "PI-RADS 4"}, tmp_path)


@pytest.mark.parametrize(
    "broken",
    [
        {"identifier": "x"},
        {"subject": []},
        {"code": None},
        {"presentedForm": "x"},
        {"result": [1, {}]},
        {"text": 3},
        {"effectiveDateTime": "spring"},
    ],
)
def test_fields_of_a_wrong_shape_never_end_the_reading(broken: dict[str, Any], tmp_path: Path) -> None:
    reports, ledger = run(bundle(diagnostic_report(id="dr0", identifier=[]) | broken, diagnostic_report()), tmp_path)
    assert len(reports) + sum(entry.outcome.value == "dropped" for entry in ledger) >= 2
    assert reports[-1].report_id == "RIS-7"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="real samples are not beside the checkout")
def test_the_standards_own_examples_are_read() -> None:
    options = fhir_reports.SOURCE.options(source="fhir_reports", path=SHARED, report_type="radiology")
    items = list(fhir_reports.SOURCE.read(options))
    reports = {item.report_id: item for item in items if isinstance(item, Report)}
    assert reports["f201"].text == "CT brains: large tumor sphenoid/clivus."
    assert reports["f201"].status is ReportStatus.FINAL
    assert "Atypical squamous cells" in reports["pap"].text
    assert [item.reason for item in items if isinstance(item, LedgerEntry)] == ["other_service"]
