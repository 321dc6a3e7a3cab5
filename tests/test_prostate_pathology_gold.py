"""Invented pathology reports in the style of many laboratories, with what a careful reader fills in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weakbox.extractors.contract import to_contract
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.report import Report, ReportType
from weakbox.terminology.gleason import isup_grade

GOLD = Path(__file__).parent / "data" / "prostate_pathology_gold.jsonl"
CASES = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]


def report_of(case: dict[str, Any], text: str | None = None) -> Report:
    return Report(
        report_id=case["report_id"], patient_id=None, report_type=ReportType.PATHOLOGY, text=case["text"] if text is None else text
    )


def read(case: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    report = report_of(case, text)
    return to_contract(report, RulesExtractor().extract(report))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['report_id']} {case['style']}" for case in CASES])
def test_a_report_is_read_as_a_careful_person_reads_it(case: dict[str, Any]) -> None:
    document = read(case)
    stated = {name: document[name] for name in case["gold"]}
    assert stated == case["gold"]


def test_the_gold_set_covers_the_contract() -> None:
    specimens = [specimen for case in CASES for specimen in case["gold"]["specimens"]]
    assert {case["gold"]["procedure"] for case in CASES} == {"biopsy", "prostatectomy", "turp", None}
    assert {s["diagnosis"] for s in specimens} == {
        "adenocarcinoma",
        "benign",
        "hgpin",
        "asap",
        "inflammation",
        "other_malignancy",
        "insufficient",
    }
    assert {s["isup_grade"] for s in specimens} == {None, 1, 2, 3, 4, 5}
    assert len({case["style"] for case in CASES}) >= 60


def test_gold_grades_obey_the_table_but_for_the_one_report_that_breaks_it() -> None:
    breaks = {
        case["report_id"]
        for case in CASES
        for s in case["gold"]["specimens"]
        if s["gleason_primary"] and isup_grade(s["gleason_primary"], s["gleason_secondary"]) != s["isup_grade"]
    }
    assert len(breaks) == 1


@pytest.mark.parametrize("case", CASES[::4], ids=[case["report_id"] for case in CASES[::4]])
def test_carriage_returns_change_nothing(case: dict[str, Any]) -> None:
    if "\\.br\\" in case["text"]:
        pytest.skip("the escaped report has one line")
    plain, returned = read(case), read(case, case["text"].replace("\n", "\r\n"))
    assert {name: returned[name] for name in case["gold"]} == {name: plain[name] for name in case["gold"]}


def test_reading_is_deterministic() -> None:
    assert [json.dumps(read(case)) for case in CASES] == [json.dumps(read(case)) for case in CASES]
