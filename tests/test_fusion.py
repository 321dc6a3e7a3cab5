"""Several extractors on one report: who is the same, who wins, what is flagged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.extractors.agreement import same_value
from weakbox.extractors.fusion import Ballot, fuse, questions, vote
from weakbox.extractors.headers import open_headers
from weakbox.extractors.label_model import LabelModel, SourceSkill
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Flag, ReportExtraction, Specimen
from weakbox.records.report import Report, ReportType
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


def test_flags_follow_their_items_where_two_are_alike() -> None:
    alike = [{"side": "left", "levels": ("base",)}, {"side": "left", "levels": ("base",)}]
    first = extraction("rules", alike)
    second = extraction("llm", alike, flags=(Flag(path="specimens[1].side", code="ocr"), Flag(path="specimens[1]", code="shared")))
    moved = [flag.path for flag in fused(first, second).flags if flag.code in ("ocr", "shared")]
    assert moved == ["specimens[1].side", "specimens[1]"]


def test_a_header_is_heard_beside_the_other_sources() -> None:
    model = LabelModel(skills={"rules": {"*": SourceSkill(accuracy=0.97)}, "matcher": {"*": SourceSkill(accuracy=0.9)}})
    rules, matcher = (
        replace(extraction(name, [], {"exam.psa_ng_ml": 7.0}), report_type=ReportType.RADIOLOGY) for name in ("rules", "matcher")
    )
    headers = open_headers({}).extract(header_report(psa_ng_ml=7.0))
    sure = []
    for outcomes in ((rules, matcher), (rules, matcher, headers)):
        both = fuse(outcomes, model)
        assert isinstance(both, ReportExtraction)
        sure.append(both.exam["exam.psa_ng_ml"].confidence)
    assert sure[0] < sure[1] < 1.0


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
    assert same_value((12.0, 8.0), [8, 12])
    assert not same_value((12.0, 8.0), (12.0,))
    assert same_value(("mid", "base"), ("base", "mid"))
    assert same_value(None, []) and not same_value(None, 0)


def test_a_confirming_reader_changes_no_value_and_adds_none() -> None:
    rules = extraction("rules", [{"specimen_id": "A", "side": "left"}], {"procedure": "biopsy"})
    matcher = extraction(
        "matcher", [{"specimen_id": "A", "side": "right", "isup_grade": 5}, {"specimen_id": "B"}], {"procedure": "turp", "cores_total": 12}
    )
    for model in (None, LabelModel(skills={"matcher": {"*": SourceSkill(accuracy=0.99)}, "rules": {"*": SourceSkill(accuracy=0.6)}})):
        both = fuse([matcher, rules], model)
        assert isinstance(both, ReportExtraction)
        assert [{name: leaf.value for name, leaf in item.values.items()} for item in both.specimens] == [
            {"specimen_id": "A", "side": "left"}
        ]
        assert both.value("procedure") == "biopsy"
        assert "cores_total" not in both.exam
        assert {(flag.path, flag.code) for flag in both.flags} == {
            ("procedure", "doubted"), ("specimens[0].side", "doubted"), ("cores_total", "unconfirmed"),
            ("specimens[0].isup_grade", "unconfirmed"), ("specimens", "unconfirmed"),
        }  # fmt: skip
        assert both.voters == ("rules", "matcher")


def test_a_confirming_reader_raises_and_lowers_confidence() -> None:
    rules = extraction("rules", [{"specimen_id": "A", "side": "left"}])
    agreed = fused(rules, extraction("matcher", [{"specimen_id": "A", "side": "left"}])).specimens[0].values["side"]
    doubted = fused(rules, extraction("matcher", [{"specimen_id": "A", "side": "right"}])).specimens[0].values["side"]
    assert doubted.confidence < 0.9 < agreed.confidence
    assert (doubted.source, agreed.source) == ("rules", "rules+matcher")
    assert agreed.evidence == rules.specimens[0].values["side"].evidence


def test_what_only_confirming_readers_read_is_no_reading() -> None:
    matcher = extraction("matcher", [{"specimen_id": "A"}])
    abstained = extraction("rules", [], status=ExtractionStatus.ABSTAINED)
    assert fuse([abstained, matcher]) is abstained
    assert fuse([FAILURE, matcher]) is FAILURE


def test_the_label_model_lets_the_better_source_win() -> None:
    model = LabelModel(skills={"rules": {"*": SourceSkill(accuracy=0.98)}, "llm": {"*": SourceSkill(accuracy=0.7)}})
    sides = [extraction(name, [{"specimen_id": "A", "side": side}]) for name, side in (("llm", "right"), ("rules", "left"))]
    both = fuse(sides, model)
    assert isinstance(both, ReportExtraction)
    assert both.specimens[0].value("side") == "left"
    assert 0.5 < both.specimens[0].values["side"].confidence < 0.98


def test_two_samples_of_one_model_are_one_vote() -> None:
    model = LabelModel(skills={"rules": {"*": SourceSkill(accuracy=0.9)}, "llm": {"*": SourceSkill(accuracy=0.85)}})
    sides = (("rules", "left"), ("llm", "right"), ("llm#2", "right"))
    both = fuse([extraction(name, [{"specimen_id": "A", "side": side}]) for name, side in sides], model)
    assert isinstance(both, ReportExtraction)
    assert both.specimens[0].value("side") == "left"


def header_report(**structured: FieldValue) -> Report:
    values = {f"exam.{name}": value for name, value in structured.items()}
    return Report(report_id="r", patient_id="p", report_type=ReportType.RADIOLOGY, text="x", organ="prostate", structured=values)


def test_a_header_is_a_vote_and_never_a_value() -> None:
    headers = open_headers({}).extract(header_report(psa_ng_ml=7.0, pirads=4, prostate_volume_ml=50.0, nonsense=1, likert=9))
    text = replace(extraction("rules", [], {"exam.psa_ng_ml": 7.0, "exam.pirads": 5}), report_type=ReportType.RADIOLOGY)
    both = fused(text, headers)
    assert {name: leaf.value for name, leaf in both.exam.items()} == {"exam.psa_ng_ml": 7.0, "exam.pirads": 5}
    assert both.exam["exam.psa_ng_ml"].confidence > 0.9 > both.exam["exam.pirads"].confidence
    assert {(flag.path, flag.code) for flag in both.flags} == {
        ("exam.pirads", "doubted"),
        ("exam.prostate_volume_ml", "header"),
        ("exam.nonsense", "header_unusable"),
        ("exam.likert", "header_unusable"),
    }
    assert all("50" not in flag.detail for flag in both.flags)


def test_a_report_without_headers_is_no_vote() -> None:
    assert open_headers({}).extract(header_report()).status is ExtractionStatus.ABSTAINED


def test_questions_hold_each_field_with_who_says_what() -> None:
    outcomes = [extraction("rules", [{"specimen_id": "A", "side": "left"}]), extraction("matcher", [{"specimen_id": "A", "side": "right"}])]
    assert [(question.group, dict(question.votes)) for question in questions(outcomes)] == [
        ("side", {"rules": 0, "matcher": 1}), ("label", {"rules": 0, "matcher": 0}),
    ]  # fmt: skip
