"""The same facts in layouts of many laboratories: forms, tables, lists, headings, groups under one diagnosis. All texts are invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from weakbox.extractors.contract import to_contract
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.report import Report, ReportType

CASES = yaml.safe_load((Path(__file__).parent / "data" / "breast_pathology_layouts.yaml").read_text(encoding="utf-8"))


def read(text: str) -> dict[str, Any]:
    report = Report(report_id="r", patient_id=None, report_type=ReportType.PATHOLOGY, text=text, organ="breast")
    return to_contract(report, RulesExtractor().extract(report))


def told(document: dict[str, Any], case: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a document says of everything that the case gives."""
    pairs = zip(document["specimens"], case["specimens"], strict=False)
    specimens = [{name: specimen[name] for name in given} for specimen, given in pairs]
    return {name: document[name] for name in case["case"]}, specimens


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_layout_is_read_as_a_careful_person_reads_it(case: dict[str, Any]) -> None:
    document = read(case["text"])
    assert len(document["specimens"]) == len(case["specimens"])
    assert told(document, case) == (case["case"], case["specimens"])


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_value_stands_where_its_evidence_says(case: dict[str, Any]) -> None:
    document = read(case["text"])
    assert document["evidence"]
    for entry in document["evidence"]:
        assert case["text"][entry["start"] : entry["end"]] == entry["text"]


@pytest.mark.parametrize("case", CASES[::3], ids=[case["id"] for case in CASES[::3]])
def test_an_indented_report_says_the_same(case: dict[str, Any]) -> None:
    text = "\n".join(f"   {line}" if line else line for line in case["text"].split("\n"))
    assert told(read(text), case) == told(read(case["text"]), case)
