"""Hand-written breast imaging reports: what the rules read, field by field, and that every value stands on raw words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from weakbox.evaluation.gold import GoldReport, read_gold
from weakbox.extractors.contract import to_contract
from weakbox.extractors.rules import RulesExtractor

DATA = Path(__file__).parent / "data"
GOLD = (*read_gold(DATA / "reports" / "look" / "en_breast_radiology.yaml"), *read_gold(DATA / "breast_radiology_own.yaml"))
EXTRACTOR = RulesExtractor()


def in_any_order(findings: list[dict[str, Any]]) -> list[str]:
    return sorted(str(sorted(finding.items())) for finding in findings)


def document(entry: GoldReport) -> dict[str, Any]:
    return to_contract(entry.report, EXTRACTOR.extract(entry.report))


@pytest.mark.parametrize("entry", GOLD, ids=[entry.report.report_id for entry in GOLD])
def test_the_grammar_reads_what_the_gold_states(entry: GoldReport) -> None:
    found = document(entry)
    assert found["exam"] == entry.body["exam"]
    assert in_any_order(found["findings"]) == in_any_order(entry.body["findings"])


@pytest.mark.parametrize("entry", GOLD, ids=[entry.report.report_id for entry in GOLD])
def test_every_value_stands_on_words_of_the_raw_text(entry: GoldReport) -> None:
    found = document(entry)
    paths = {evidence["path"] for evidence in found["evidence"]}
    assert set(found["confidence"]) == paths
    for evidence in found["evidence"]:
        assert entry.report.text[evidence["start"] : evidence["end"]] == evidence["text"]
        assert evidence["text"].strip()


def test_reading_twice_gives_the_same_extraction() -> None:
    for entry in GOLD[:10]:
        assert EXTRACTOR.extract(entry.report) == EXTRACTOR.extract(entry.report)


@pytest.mark.parametrize("line_end", ["\r\n", "\\.br\\"])
def test_other_line_ends_change_no_value(line_end: str) -> None:
    for entry in GOLD:
        changed = replace(entry.report, text=entry.report.text.replace("\n", line_end))
        found = to_contract(changed, EXTRACTOR.extract(changed))
        assert found["exam"] == entry.body["exam"], entry.report.report_id
        assert in_any_order(found["findings"]) == in_any_order(entry.body["findings"]), entry.report.report_id
