"""Invented breast pathology reports of several laboratories, with what a careful reader fills in (the development part)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weakbox.evaluation.gold import GoldReport, read_gold
from weakbox.extractors.contract import to_contract
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.report import Report

CASES = read_gold(Path(__file__).parent / "data" / "reports" / "look" / "en_breast_pathology.yaml")


def read(report: Report) -> dict[str, Any]:
    return to_contract(report, RulesExtractor().extract(report))


def with_text(case: GoldReport, text: str) -> Report:
    return Report(report_id=case.report.report_id, patient_id=None, report_type=case.report.report_type, text=text, organ=case.report.organ)


@pytest.mark.parametrize("case", CASES, ids=[case.report.report_id for case in CASES])
def test_a_report_is_read_as_a_careful_person_reads_it(case: GoldReport) -> None:
    document = read(case.report)
    assert {name: document[name] for name in case.body} == dict(case.body)


@pytest.mark.parametrize("case", CASES, ids=[case.report.report_id for case in CASES])
def test_every_value_carries_its_words_and_a_confidence(case: GoldReport) -> None:
    document = read(case.report)
    paths = {entry["path"] for entry in document["evidence"]}
    assert paths == set(document["confidence"])
    assert all(case.report.text[entry["start"] : entry["end"]] == entry["text"] for entry in document["evidence"])
    stated = {
        f"specimens[{index}].{name}"
        for index, specimen in enumerate(document["specimens"])
        for name, value in specimen.items()
        if value is not None
    }
    assert stated <= paths


@pytest.mark.parametrize("case", CASES[::4], ids=[case.report.report_id for case in CASES[::4]])
def test_carriage_returns_change_nothing(case: GoldReport) -> None:
    returned = read(with_text(case, case.report.text.replace("\n", "\r\n")))
    assert {name: returned[name] for name in case.body} == dict(case.body)


def test_reading_is_deterministic() -> None:
    assert [json.dumps(read(case.report)) for case in CASES] == [json.dumps(read(case.report)) for case in CASES]
