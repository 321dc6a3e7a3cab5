"""The worklist puts the reports first that a person's reading helps most, and is gold as soon as they are corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import extraction
from weakbox.evaluation.gold import read_gold
from weakbox.evaluation.worklist import signature, worklist, write_worklist
from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, ReportExtraction
from weakbox.records.report import Report, ReportType

SURE = "PROSTATE MRI\nFINDINGS: Lesion 1: left mid peripheral zone, 12 x 8 mm, PI-RADS 4.\nIMPRESSION: PI-RADS 4 lesion on the left."
UNSURE = "PROSTATE MRI\nFINDINGS: Lesion 1: left mid peripheral zone, 12 x 8 mm.\nIMPRESSION: PI-RADS 4/5, could be 3. Lesion on the right."


def read(report_id: str, text: str) -> tuple[Report, ReportExtraction]:
    report = Report(report_id=report_id, patient_id=None, report_type=ReportType.RADIOLOGY, text=text, organ="prostate")
    outcome = extraction.extract_report(report, extraction.Config())
    assert not isinstance(outcome, ExtractionFailure)
    return report, outcome


def test_an_unsure_report_comes_before_sure_ones() -> None:
    chosen = worklist([read("a", SURE), read("b", UNSURE), read("c", SURE)], 2)
    assert chosen[0].report.report_id == "b"


def test_the_second_report_of_a_template_comes_after_a_new_template() -> None:
    other = SURE.replace("Lesion 1:", "There is a lesion in the").replace("FINDINGS", "Report of today's examination")
    order = [one.report.report_id for one in worklist([read("a", SURE), read("b", SURE.replace("12", "13")), read("c", other)], 3)]
    assert order.index("c") < order.index("b")


def test_the_list_does_not_depend_on_the_order_of_the_reports() -> None:
    pairs = [read(name, SURE.replace("12", str(10 + index))) for index, name in enumerate("abcdef")]
    assert [c.report.report_id for c in worklist(pairs, 4)] == [c.report.report_id for c in worklist(pairs[::-1], 4)]


def test_some_reports_are_drawn_that_the_run_would_accept_although_no_confidence_is_certain() -> None:
    report, outcome = read("a", SURE)
    accepted = replace(outcome, status=ExtractionStatus.OK, flags=())
    assert min(leaf.confidence for leaf in accepted.findings[0].values.values()) < 1.0
    pairs = [
        (replace(report, report_id=f"r{index}", text=f"{SURE} {index}"), replace(accepted, report_id=f"r{index}")) for index in range(100)
    ]
    chosen = worklist(pairs, 50)
    assert len({one.report.report_id for one in chosen}) == 50
    assert [one.report.report_id for one in chosen if one.reasons == ("audit",)] == [
        one.report.report_id for one in worklist(pairs[::-1], 50)[-2:]
    ]


def test_no_report_for_review_is_drawn_for_the_audit() -> None:
    report, outcome = read("a", SURE)
    waiting = replace(outcome, status=ExtractionStatus.REVIEW)
    pairs = [(replace(report, report_id=f"r{index}", text=f"{SURE} {index}"), waiting) for index in range(30)]
    assert not any(one.reasons == ("audit",) for one in worklist(pairs, 25))


def test_what_is_written_is_gold_with_the_text_unchanged(tmp_path: Path) -> None:
    text = "PROSTATE MRI\n\tcolumns  |  kept\n" + SURE + "\n  indented: \u00e9\u00df\n"
    report, outcome = read("a", text)
    path = tmp_path / "list.yaml"
    write_worklist(worklist([(report, outcome)], 1), path)
    with pytest.raises(InputError, match="no gold reports"):
        read_gold(path)
    path.write_text(path.read_text(encoding="utf-8").replace("state: to_do", "state: done"), encoding="utf-8")
    (entry,) = read_gold(path)
    assert entry.report.text == text
    assert entry.body["lesions"][0]["pirads"] == 4


def test_signatures_of_one_template_are_alike_whatever_the_numbers() -> None:
    left, right = signature(SURE), signature(SURE.replace("12 x 8", "9 x 4"))
    assert left == right
    assert signature("quite another text altogether") != left
