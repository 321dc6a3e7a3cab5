"""Several extractors on one report: who is the same, who wins, what is flagged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.extractors.fusion import Ballot, fuse, same_value, vote
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Flag, ReportExtraction, Specimen
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Span, Stated


def stated(value: FieldValue, source: str = "rules", confidence: float = 0.9, start: int = 0) -> Stated[FieldValue]:
    return Stated(value=value, evidence=(Span(start=start, end=start + 3),), source=source, confidence=confidence)


def extraction(name: str, specimens: list[dict[str, Any]], exam: dict[str, Any] | None = None, **changes: Any) -> ReportExtraction:
    items = tuple(
        Specimen(item_id=f"r/{index}", report_id="r", index=index, values={field: stated(value, name) for field, value in values.items()})
        for index, values in enumerate(specimens)
    )
    base = ReportExtraction(
        report_id="r",
        patient_id="p",
        report_type=ReportType.PATHOLOGY,
        organ="prostate",
        status=ExtractionStatus.OK,
        exam={field: stated(value, name) for field, value in (exam or {}).items()},
        specimens=items,
        extractor=name,
    )
    return replace(base, **changes)


def fused(*outcomes: ReportExtraction | ExtractionFailure) -> ReportExtraction:
    outcome = fuse(outcomes)
    assert isinstance(outcome, ReportExtraction)
    return outcome


FAILURE = ExtractionFailure(
    report_id="r", patient_id="p", report_type=ReportType.PATHOLOGY, organ="prostate", extractor="llm", cause="TimeoutError"
)


def test_one_extractor_passes_through_unchanged() -> None:
    alone = extraction("rules", [{"specimen_id": "A", "side": "left"}])
    assert fuse([alone]) is alone


def test_failures_and_abstentions_are_no_votes() -> None:
    alone = extraction("rules", [{"specimen_id": "A"}])
    abstained = extraction("llm", [], status=ExtractionStatus.ABSTAINED)
    assert fuse([abstained, alone, FAILURE]) is alone


def test_only_failures_give_a_failure_and_only_abstentions_an_abstention() -> None:
    abstained = extraction("rules", [], status=ExtractionStatus.ABSTAINED)
    assert fuse([FAILURE]) is FAILURE
    assert fuse([FAILURE, abstained]) is abstained


def test_agreement_raises_confidence_but_never_to_certainty() -> None:
    both = fused(extraction("rules", [{"specimen_id": "A", "side": "left"}]), extraction("llm", [{"specimen_id": "A", "side": "left"}]))
    side = both.specimens[0].values["side"]
    assert (side.value, side.source) == ("left", "rules+llm")
    assert 0.9 < side.confidence < 1.0
    assert both.flags == ()


def test_disagreement_keeps_the_stronger_value_lowers_it_and_flags_it() -> None:
    weak = extraction("llm", [{"specimen_id": "A", "side": "right", "levels": ("base",)}])
    weak = replace(weak, specimens=(replace(weak.specimens[0], values={**weak.specimens[0].values, "side": stated("right", "llm", 0.6)}),))
    both = fused(weak, extraction("rules", [{"specimen_id": "A", "side": "left", "levels": ("base",)}]))
    side = both.specimens[0].values["side"]
    assert side.value == "left"
    assert side.confidence < 0.9
    assert [(flag.path, flag.code) for flag in both.flags] == [("specimens[0].side", "conflict")]


def test_a_value_that_one_extractor_does_not_state_keeps_its_confidence() -> None:
    both = fused(extraction("rules", [{"specimen_id": "A", "percent_involved": 40}]), extraction("llm", [{"specimen_id": "A"}]))
    assert both.specimens[0].values["percent_involved"].confidence == 0.9
    assert both.flags == ()


def test_items_are_matched_by_identity_and_not_by_position() -> None:
    first = extraction(
        "rules", [{"specimen_id": "A", "side": "left", "isup_grade": 2}, {"specimen_id": "B", "side": "right", "isup_grade": 4}]
    )
    second = extraction(
        "llm", [{"specimen_id": "B", "side": "right", "isup_grade": 4}, {"specimen_id": "A", "side": "left", "isup_grade": 2}]
    )
    both = fused(first, second)
    assert [item.value("specimen_id") for item in both.specimens] == ["A", "B"]
    assert both.flags == ()


def test_an_item_that_only_one_found_is_kept_and_flagged() -> None:
    both = fused(
        extraction("rules", [{"specimen_id": "A", "side": "left"}]),
        extraction("llm", [{"specimen_id": "A", "side": "left"}, {"specimen_id": "B", "side": "right"}]),
    )
    assert [item.value("specimen_id") for item in both.specimens] == ["A", "B"]
    assert [(flag.path, flag.code) for flag in both.flags] == [("specimens[1]", "single_source")]
    assert [item.item_id for item in both.specimens] == ["r/0", "r/1"]


def test_no_item_serves_two() -> None:
    twice = extraction("rules", [{"side": "left", "levels": ("base",)}, {"side": "left", "levels": ("base",)}])
    once = extraction("llm", [{"side": "left", "levels": ("base",)}])
    assert len(fused(twice, once).specimens) == 2


def test_flags_follow_their_items() -> None:
    first = extraction("rules", [{"specimen_id": "A"}])
    second = extraction("llm", [{"specimen_id": "B"}, {"specimen_id": "A"}], flags=(Flag(path="specimens[1].specimen_id", code="ocr"),))
    assert ("specimens[0].specimen_id", "ocr") in {(flag.path, flag.code) for flag in fused(first, second).flags}


def test_reports_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="several reports"):
        fuse([extraction("rules", []), extraction("llm", [], report_id="other")])


@given(st.lists(st.tuples(st.sampled_from(["left", "right", "midline"]), st.floats(0.05, 0.99)), min_size=1, max_size=5))
def test_a_vote_chooses_a_value_that_someone_gave_and_stays_a_probability(votes: list[tuple[str, float]]) -> None:
    ballots = [
        Ballot(extractor=f"e{index}", stated=stated(value, f"e{index}", confidence)) for index, (value, confidence) in enumerate(votes)
    ]
    winner, is_disputed = vote(ballots)
    assert winner.value in {value for value, _ in votes}
    assert 0.0 <= winner.confidence <= 1.0
    assert is_disputed == (len({value for value, _ in votes}) > 1)


def test_numbers_agree_within_half_a_percent_and_words_without_case() -> None:
    assert same_value(10.0, 10.04)
    assert not same_value(10.0, 10.1)
    assert same_value("a", "A")
    assert not same_value(True, 1)
    assert same_value((12.0, 8.0), (12.0, 8.0))
