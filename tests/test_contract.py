"""What the contract writer promises: valid JSON of a fixed shape, evidence that is the text, one confidence a leaf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from weakbox.extractors.contract import schema, shape_of, to_contract
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Flag, ReportExtraction, Specimen
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import Span, Stated

DATA = Path(__file__).parent / "data"
SHARED_SCHEMA = Path(__file__).resolve().parents[2] / "shared" / "contracts" / "extraction.schema.json"
CASES = [
    json.loads(line)
    for name in ("pathology", "radiology")
    for line in (DATA / f"prostate_{name}_gold.jsonl").read_text(encoding="utf-8").splitlines()
]
TEXT = "Left base: adenocarcinoma 3+4=7"


def report(text: str = TEXT, report_type: ReportType = ReportType.PATHOLOGY) -> Report:
    return Report(report_id="r1", patient_id="p1", report_type=report_type, text=text)


def leaves(document: dict[str, Any], items: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in ("report_id", "patient_id", "report_type", "organ", "status", "evidence", "confidence", "flags"):
            continue
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", leaf) for inner, leaf in value.items())
        elif name == items:
            yield from ((f"{items}[{index}].{inner}", leaf) for index, item in enumerate(value) for inner, leaf in item.items())
        else:
            yield name, value


@pytest.mark.parametrize("case", CASES, ids=[f"{case['report_type']} {case['report_id']}" for case in CASES])
def test_every_gold_report_gives_a_valid_grounded_document(case: dict[str, Any]) -> None:
    report_type = ReportType(case["report_type"])
    source = Report(report_id=case["report_id"], patient_id=None, report_type=report_type, text=case["text"])
    document = json.loads(json.dumps(to_contract(source, RulesExtractor().extract(source))))
    jsonschema.Draft202012Validator(schema("prostate", report_type)).validate(document)
    for entry in document["evidence"]:
        assert entry["text"].strip()
        assert case["text"][entry["start"] : entry["end"]] == entry["text"]
    stated = {path for path, value in leaves(document, shape_of("prostate", report_type).item_kind) if value not in (None, [])}
    assert stated == set(document["confidence"]) == {entry["path"] for entry in document["evidence"]}


@pytest.mark.shared
@pytest.mark.skipif(not SHARED_SCHEMA.is_file(), reason="the shared contract is not beside the checkout")
@pytest.mark.parametrize("report_type", list(ReportType))
def test_the_schema_made_from_the_organ_equals_the_shared_one(report_type: ReportType) -> None:
    variants = json.loads(SHARED_SCHEMA.read_text(encoding="utf-8"))["oneOf"]
    wanted = next(
        v for v in variants if v["properties"]["report_type"]["const"] == report_type and v["properties"]["organ"]["const"] == "prostate"
    )
    assert schema("prostate", report_type) == wanted


@pytest.mark.parametrize("report_type", list(ReportType))
def test_the_schema_is_a_schema(report_type: ReportType) -> None:
    jsonschema.Draft202012Validator.check_schema(schema("prostate", report_type))


def extraction(**changes: Any) -> ReportExtraction:
    stated = Stated(value="left", evidence=(Span(start=0, end=4),), source="rules", confidence=0.9123456)
    specimen = Specimen(item_id="r1/0", report_id="r1", index=0, values={"side": stated})
    values: dict[str, Any] = {
        "report_id": "r1",
        "patient_id": "p1",
        "report_type": ReportType.PATHOLOGY,
        "organ": "prostate",
        "status": ExtractionStatus.REVIEW,
        "specimens": (specimen,),
        "flags": (Flag(path="specimens[0].side", code="conflict", detail="d"),),
    }
    return ReportExtraction(**(values | changes))


def test_a_leaf_carries_its_words_its_confidence_and_its_flags() -> None:
    document = to_contract(report(), extraction())
    assert document["specimens"][0]["side"] == "left"
    assert document["evidence"] == [{"path": "specimens[0].side", "start": 0, "end": 4, "text": "Left"}]
    assert document["confidence"] == {"specimens[0].side": 0.9123}
    assert document["flags"] == [{"path": "specimens[0].side", "code": "conflict", "detail": "d"}]
    assert document["status"] == "review"


def test_what_is_not_stated_is_null_or_an_empty_list() -> None:
    document = to_contract(report(), extraction())
    assert document["overall"] == dict.fromkeys(("gleason_primary", "gleason_secondary", "gleason_score", "isup_grade"))
    assert (document["specimens"][0]["levels"], document["specimens"][0]["zone"], document["procedure"]) == ([], None, None)


def test_a_failure_is_a_valid_document_that_says_so() -> None:
    failure = ExtractionFailure(
        report_id="r1",
        patient_id="p1",
        report_type=ReportType.PATHOLOGY,
        organ="prostate",
        extractor="rules",
        cause="KeyError in x.y, line 3",
    )
    document = to_contract(report(), failure)
    jsonschema.validate(document, schema("prostate", ReportType.PATHOLOGY))
    assert (document["status"], document["specimens"], document["flags"][0]["code"]) == ("failed", [], "failed")


def test_keys_come_in_one_order_whatever_the_order_of_the_values() -> None:
    first = to_contract(report(), extraction())
    assert list(first)[:5] == ["report_id", "patient_id", "report_type", "organ", "status"]
    assert list(first["specimens"][0])[:6] == ["specimen_id", "target", "side", "levels", "zone", "positions"]


def test_evidence_of_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="has 3 characters"):
        to_contract(report("abc"), extraction())


def test_an_unknown_organ_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'prostate'"):
        shape_of("prostrate", ReportType.PATHOLOGY)
