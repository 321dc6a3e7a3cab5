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
FILES = (*sorted((DATA / "reports" / "look").glob("en_breast_radiology*.yaml")), *sorted(DATA.glob("breast_radiology_own*.yaml")))
GOLD = tuple(entry for file in FILES for entry in read_gold(file))
EXTRACTOR = RulesExtractor()
UNREAD = {
    "northmere-as-03": "two columns of running text, a breast each",
    "wattlebank-rx-03": "the clock position stands in the indication only",
    "dv6-risport-br-01": "the modality stands in an HL7 code",
    "dv6-risport-br-02": "a table of codes with a printed legend, and a table of the prior exam",
    "dv6-helixtrial-br-01": "an electronic case report form with dotted leaders",
}
"""What the grammar does not read yet, and why: the tests tell when it does."""


def cases(unread: dict[str, str]) -> list[Any]:
    return [
        pytest.param(
            entry,
            id=entry.report.report_id,
            marks=[pytest.mark.xfail(reason=unread[entry.report.report_id], strict=True)] if entry.report.report_id in unread else [],
        )
        for entry in GOLD
    ]


def in_any_order(findings: list[dict[str, Any]]) -> list[str]:
    return sorted(str(sorted((name, plain(value)) for name, value in finding.items())) for finding in findings)


def plain(value: Any) -> Any:
    """11.0 and 11 are one number."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def document(entry: GoldReport) -> dict[str, Any]:
    return to_contract(entry.report, EXTRACTOR.extract(entry.report))


@pytest.mark.parametrize("entry", cases(UNREAD))
def test_the_grammar_reads_what_the_gold_states(entry: GoldReport) -> None:
    found = document(entry)
    assert found["exam"] == entry.body["exam"]
    assert in_any_order(found["findings"]) == in_any_order(entry.body["findings"])


@pytest.mark.parametrize("entry", cases({}))
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
        if entry.report.report_id in UNREAD:
            continue
        changed = replace(entry.report, text=entry.report.text.replace("\n", line_end))
        found = to_contract(changed, EXTRACTOR.extract(changed))
        assert found["exam"] == entry.body["exam"], entry.report.report_id
        assert in_any_order(found["findings"]) == in_any_order(entry.body["findings"]), entry.report.report_id
