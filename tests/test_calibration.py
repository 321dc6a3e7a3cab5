"""Confidences: what votes are worth, how they are fitted and applied, and the decisions that rest on them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.extractors.calibration import (
    DEFAULT_FILE,
    HIGHEST,
    LOWEST,
    Parameters,
    apply,
    as_document,
    read_parameters,
    rows_of,
    thresholds_of,
    write_parameters,
)
from weakbox.extractors.calibration_fit import (
    Case,
    Sample,
    Scored,
    cases_of,
    cross_validated,
    digest_of,
    fit,
    fold_of,
    judge,
    weighted,
)
from weakbox.extractors.label_model import FIELD_GROUPS, Question, estimate_skills, fit_logistic, group_of, shares
from weakbox.extractors.risk_control import (
    area_under_risk_coverage,
    brier_score,
    coverage_at_risk,
    decide,
    expected_calibration_error,
    risk_coverage,
    threshold_for,
    upper_bound,
)
from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionStatus, Finding, Flag, ReportExtraction
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Span, Stated


def mean_confidence(extractions: Iterable[ReportExtraction]) -> float:
    """Over all values of some extractions."""
    sure = [
        leaf.confidence for one in extractions for values in (one.exam, *(item.values for item in one.items)) for leaf in values.values()
    ]
    return sum(sure) / len(sure)


def mean_log_loss(scored: Sequence[Scored]) -> float:
    """Of the cases, by their weights."""
    total = sum(one.case.weight for one in scored)
    return -sum(one.case.weight * math.log(one.confidence if one.case.is_right else 1 - one.confidence) for one in scored) / total


def stated(value: FieldValue, rule: str = "sure", confidence: float = 0.9) -> Stated[FieldValue]:
    return Stated(value=value, evidence=(Span(start=3, end=9),), source="rules", confidence=confidence, rule=rule)


def extraction(
    name: str, exam: dict[str, Stated[FieldValue]], lesions: list[dict[str, Stated[FieldValue]]], **changes: Any
) -> ReportExtraction:
    items = tuple(Finding(item_id=f"{name}/{index}", report_id=name, index=index, values=values) for index, values in enumerate(lesions))
    made = ReportExtraction(
        report_id=name,
        patient_id=None,
        report_type=ReportType.RADIOLOGY,
        organ="prostate",
        status=ExtractionStatus.OK,
        exam=exam,
        findings=items,
    )
    return replace(made, **changes)


def body(pirads: int | None, *lesions: dict[str, Any]) -> dict[str, Any]:
    return {"exam": {"pirads": pirads}, "lesions": list(lesions)}


def cohort(count: int, seed: int = 0) -> list[Sample]:
    """Values by a rule ``sure`` that is right in 98 % and a rule ``shaky`` that is right in 70 %, in twelve hospitals."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        lesion: dict[str, Stated[FieldValue]] = {}
        truth: dict[str, Any] = {}
        for name in ("pirads", "t2", "dwi"):
            rule = draw.choice(["sure", "shaky"])
            is_right = draw.random() < (0.98 if rule == "sure" else 0.7)
            lesion[name], truth[name] = stated(4, rule), 4 if is_right else 3
        lesion["side"], truth["side"] = stated("left"), "left"
        lesion["zone"], truth["zone"] = stated("PZ"), "PZ"
        made.append(Sample(outcomes=(extraction(f"r{number}", {}, [lesion]),), gold=body(None, truth), hospital=f"hospital {number % 12}"))
    return made


# ------------------------------------------------------------------ what votes are worth


def test_accuracies_are_found_without_any_label() -> None:
    draw = random.Random(1)
    accuracy = {"rules": 0.95, "language_model": 0.85, "matcher": 0.7}
    questions = []
    for _ in range(3000):
        votes = {name: 0 if draw.random() < share else 1 + draw.randrange(3) for name, share in accuracy.items()}
        seen = {value: place for place, value in enumerate(dict.fromkeys(votes.values()))}
        questions.append(Question(group="side", votes={name: seen[value] for name, value in votes.items()}))
    found = estimate_skills(questions)
    for name, share in accuracy.items():
        assert found.accuracy(name, "side") == pytest.approx(share, abs=0.03)
    assert found.accuracy("matcher", "a group that nobody voted in") == pytest.approx(0.7, abs=0.03)


def test_silence_is_counted() -> None:
    questions = [Question(group="side", votes={"rules": 0, "matcher": 0} if number % 4 == 0 else {"rules": 0}) for number in range(400)]
    assert estimate_skills(questions).skills["matcher"]["side"].silence == pytest.approx(0.75)


def test_samples_of_one_model_divide_one_vote() -> None:
    assert shares({"rules": 0, "m": 1, "m#2": 1}) == {"rules": 1.0, "m": 0.5, "m#2": 0.5}


@given(st.dictionaries(st.sampled_from(["rules", "matcher", "llm", "llm#2"]), st.integers(0, 2), min_size=1))
def test_a_posterior_is_a_part_of_one(votes: dict[str, int]) -> None:
    places = {value: place for place, value in enumerate(dict.fromkeys(votes.values()))}
    chances = estimate_skills([]).posterior(Question(group="side", votes={name: places[value] for name, value in votes.items()}))
    assert len(chances) == len(places)
    assert all(0 <= chance <= 1 for chance in chances)
    assert sum(chances) < 1.0


def test_every_public_field_has_a_group() -> None:
    from weakbox.extractors.contract import shape_of

    named = {name for names in FIELD_GROUPS.values() for name in names}
    for organ in ("prostate", "breast"):
        for report_type in ReportType:
            shape = shape_of(organ, report_type)
            assert {field.name.rpartition(".")[2] for field in (*shape.exam, *shape.item)} <= named


def test_logistic_regression_finds_the_odds_that_made_the_data() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=4000)
    right = generator.random(4000) < 1 / (1 + np.exp(-(0.5 + 1.5 * x)))
    found = fit_logistic([{"x": float(value)} for value in x], right.tolist(), [1.0] * 4000, ridge=1.0)
    assert found.intercept == pytest.approx(0.5, abs=0.12)
    assert found.weights["x"] == pytest.approx(1.5, abs=0.15)


def test_the_mean_of_the_fitted_probabilities_is_the_share_that_is_right() -> None:
    rows: list[dict[str, float]] = [{"a": 1.0} if number % 3 else {"b": 1.0} for number in range(300)]
    right = [number % 10 != 0 for number in range(300)]
    model = fit_logistic(rows, right, [1.0] * 300, ridge=5.0)
    assert np.mean([1 / (1 + math.exp(-model.log_odds(row))) for row in rows]) == pytest.approx(0.9, abs=1e-3)


# ------------------------------------------------------------------ right or wrong


def test_values_are_judged_as_the_contract_compares_them() -> None:
    lesions = [
        {"side": stated("left"), "pirads": stated(4), "size_mm": stated((8.0, 12.0))},
        {"side": stated("right"), "pirads": stated(3)},
    ]
    gold = body(5, {"side": "right", "pirads": 2}, {"side": "left", "pirads": 4, "size_mm": [12, 8.03]})
    assert judge(extraction("r", {"exam.pirads": stated(5)}, lesions), gold) == {
        "exam.pirads": True, "lesions[0].side": True, "lesions[0].pirads": True, "lesions[0].size_mm": True,
        "lesions[1].side": True, "lesions[1].pirads": False,
    }  # fmt: skip


def test_a_lesion_too_many_is_wrong_throughout() -> None:
    rights = judge(
        extraction("r", {}, [{"side": stated("left")}, {"side": stated("left"), "pirads": stated(4)}]), body(None, {"side": "left"})
    )
    assert rights == {"lesions[0].side": True, "lesions[1].side": False, "lesions[1].pirads": False}


# ------------------------------------------------------------------ fitting and applying


@pytest.fixture(scope="module")
def fitted() -> Parameters:
    return fit(cohort(400))


def test_confidences_are_the_shares_that_are_right(fitted: Parameters) -> None:
    read = apply(extraction("new", {}, [{"pirads": stated(4, "sure"), "t2": stated(4, "shaky"), "side": stated("left")}]), fitted)
    values = read.findings[0].values
    assert values["pirads"].confidence == pytest.approx(0.98, abs=0.02)
    assert values["t2"].confidence == pytest.approx(0.7, abs=0.07)
    assert values["side"].confidence > 0.97


def test_calibration_changes_confidences_only(fitted: Parameters) -> None:
    before = extraction("new", {"exam.pirads": stated(4)}, [{"pirads": stated(4, "shaky")}], flags=(Flag(path="", code="ocr"),))
    after = apply(before, fitted)
    blank = [replace(leaf, confidence=0.5) for read in (before, after) for leaf in (*read.exam.values(), *read.findings[0].values.values())]
    assert blank[:2] == blank[2:]
    assert replace(after, exam=before.exam, findings=before.findings) == before


def test_sources_that_were_not_fitted_keep_their_confidences(fitted: Parameters) -> None:
    read = extraction("new", {"exam.pirads": stated(4)}, [], voters=("rules", "language_model"))
    assert apply(read, fitted) is read
    assert thresholds_of(read, fitted) == {}


def test_unseen_hospitals_find_the_confidences_calibrated() -> None:
    scored = cross_validated(cohort(400), "rules")
    confidence, right = [entry.confidence for entry in scored], [entry.case.is_right for entry in scored]
    assert expected_calibration_error(confidence, right) < 0.03
    flat = float(np.mean(right))
    assert brier_score(confidence, right) < brier_score([flat] * len(right), right)
    assert mean_log_loss(scored) < -(flat * math.log(flat) + (1 - flat) * math.log(1 - flat))


def test_errors_to_expect_lower_the_confidence_to_that_rate() -> None:
    samples = [Sample(outcomes=sample.outcomes, gold=body(None, dict.fromkeys(("pirads", "t2", "dwi"), 4) | {"side": "left", "zone": "PZ"}),
                      hospital=sample.hospital) for sample in cohort(200)]  # fmt: skip
    read = [sample.outcomes[0] for sample in samples]
    for rate in (0.03, 0.1):
        parameters = fit(samples, {"*": rate})
        sure = mean_confidence([apply(one, parameters) for one in read if isinstance(one, ReportExtraction)])
        assert sure == pytest.approx(1 - rate, abs=0.01)
    parameters = fit(samples)
    assert mean_confidence([apply(one, parameters) for one in read if isinstance(one, ReportExtraction)]) > 0.99


def test_a_stratum_with_more_errors_than_expected_stays_as_it_is() -> None:
    cases = [
        case for sample in cohort(100) for read in sample.outcomes if isinstance(read, ReportExtraction) for case in cases_of(read, sample)
    ]
    assert weighted(cases, {"*": 0.001}) == cases
    assert weighted(cases, None) == cases


def test_disturbed_reports_do_not_say_how_many_errors_there_are() -> None:
    samples = cohort(200)
    wrong = [replace(sample, gold=body(None), is_original=False, weight=0.1, hospital=sample.hospital) for sample in samples]
    both, alone = fit([*samples, *wrong]), fit(samples)
    read = [one for sample in samples for one in sample.outcomes if isinstance(one, ReportExtraction)]
    assert mean_confidence([apply(one, both) for one in read]) == pytest.approx(
        mean_confidence([apply(one, alone) for one in read]), abs=0.02
    )


def test_a_fit_is_the_same_in_any_order_and_every_time() -> None:
    samples = cohort(60)
    assert as_document(fit(samples)) == as_document(fit(list(reversed(samples))))
    assert digest_of(samples) != digest_of(samples[1:])


def test_a_hospital_is_in_one_fold() -> None:
    assert {fold_of("northfield") for _ in range(3)} == {fold_of("northfield")}
    assert len({fold_of(f"hospital {number}") for number in range(40)}) == 5


def test_one_hospital_is_not_enough() -> None:
    with pytest.raises(InputError, match="at least two hospitals"):
        fit([replace(sample, hospital="one") for sample in cohort(20)])


def test_doubt_and_agreement_are_features_of_the_vote() -> None:
    agreed = replace(stated(4), source="rules+matcher")
    read = extraction(
        "r", {"exam.pirads": agreed, "exam.likert": stated(4), "exam.psa_ng_ml": stated(5.0)}, [], voters=("rules", "matcher"),
        flags=(Flag(path="exam.likert", code="doubted", detail="matcher reads another value"),),
    )  # fmt: skip
    stances = {path: {name for name in features if name.startswith("matcher:")} for path, _, _, features in rows_of(read)}
    assert stances == {"exam.pirads": {"matcher:agrees"}, "exam.likert": {"matcher:differs"}, "exam.psa_ng_ml": {"matcher:silent"}}


# ------------------------------------------------------------------ files


def test_parameters_come_back_from_their_file(tmp_path: Path, fitted: Parameters) -> None:
    write_parameters(fitted, tmp_path / "own.json")
    again = read_parameters(tmp_path / "own.json")
    assert as_document(again) == as_document(fitted)
    read = extraction("new", {}, [{"pirads": stated(4, "shaky")}])
    assert mean_confidence([apply(read, again)]) == pytest.approx(mean_confidence([apply(read, fitted)]), abs=1e-3)
    assert json.loads((tmp_path / "own.json").read_text())["fitted_on"]["reports"] == 400


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 0}',
        '{"format": 1}',
        '{"format": 1, "sources": {}, "fitted_on": {}, "calibrators": {"rules": {}}}',
        '{"format": 1, "sources": {"rules": {"*": {"accuracy": 1.0, "silence": 0, "count": 1}}}, "fitted_on": {}, "calibrators": {}}',
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"own\.json: .*calibrat"):
        read_parameters(path)
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        read_parameters(tmp_path / "none.json")


def test_the_shipped_file_serves_the_rules_alone_and_with_the_second_reader() -> None:
    shipped = read_parameters(DEFAULT_FILE)
    assert set(shipped.calibrators) == {"rules", "matcher+rules"}
    assert len(str(shipped.fitted_on["digest"])) == 64
    assert any(name.startswith("assumed error of unseen") for name in shipped.fitted_on)
    read = apply(extraction("new", {"exam.pirads": stated(4)}, [{"side": stated("left")}]), shipped)
    assert LOWEST <= mean_confidence([read]) <= HIGHEST


# ------------------------------------------------------------------ decisions


def test_the_upper_bound_is_clopper_pearsons() -> None:
    # 0 of 100 at 95 %: 1 - 0.05 ** (1 / 100)
    assert upper_bound(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper_bound(5, 100, 0.05) == pytest.approx(0.10225, abs=1e-4)
    assert upper_bound(3, 3) == 1.0


def test_risk_and_coverage_of_a_hand_made_case() -> None:
    confidence, right = [0.9, 0.8, 0.8, 0.1], [True, True, False, False]
    assert [(point.threshold, point.coverage, round(point.risk, 3)) for point in risk_coverage(confidence, right)] == [
        (0.9, 0.25, 0.0), (0.8, 0.75, 0.333), (0.1, 1.0, 0.5),
    ]  # fmt: skip
    assert area_under_risk_coverage(confidence, right) == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 * 0.5)
    assert coverage_at_risk(confidence, right, 0.34) == 0.75
    assert coverage_at_risk([0.5], [False], 0.01) == 0.0


def test_calibration_error_and_brier_score_of_hand_made_cases() -> None:
    assert expected_calibration_error([0.8] * 10, [True] * 8 + [False] * 2, bins=1) == pytest.approx(0.0)
    assert expected_calibration_error([1.0] * 4, [True, True, False, False]) == pytest.approx(0.5)
    assert brier_score([1.0, 0.5], [True, False]) == pytest.approx(0.125)
    assert expected_calibration_error([], []) == brier_score([], []) == area_under_risk_coverage([], []) == 0.0


def test_a_threshold_keeps_its_risk_in_nine_of_ten_draws() -> None:
    generator = np.random.default_rng(5)
    chances = np.round(generator.uniform(0.85, 1.0, 50_000), 3)
    broken = found = 0
    for _ in range(60):
        sample = generator.choice(chances, 1500)
        threshold = threshold_for(sample.tolist(), (generator.random(1500) < sample).tolist(), 0.05)
        if threshold is not None:
            found += 1
            broken += float(np.mean(1 - chances[chances >= threshold])) > 0.05
    assert found > 30
    assert broken <= 6


def test_too_few_values_show_nothing() -> None:
    assert threshold_for([0.99] * 20, [True] * 20, 0.01) is None
    assert threshold_for([], [], 0.01) is None
    assert threshold_for([0.99] * 2000, [True] * 2000, 0.01) == 0.99


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_measures_stay_in_their_ranges(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for measure in (expected_calibration_error, brier_score, area_under_risk_coverage, coverage_at_risk):
        assert 0.0 <= measure(confidence, right) <= 1.0 + 1e-9
    assert risk_coverage(confidence, right)[-1].coverage == pytest.approx(1.0)


def test_a_report_is_decided_by_its_least_sure_value() -> None:
    read = extraction("r", {"exam.pirads": stated(4, confidence=0.95)}, [{"side": stated("left", confidence=0.97)}])
    assert decide(read, {"score": 0.9, "side": 0.96}, 0.75) is ExtractionStatus.OK
    assert decide(read, {"score": 0.9, "side": 0.98}, 0.75) is ExtractionStatus.REVIEW
    assert decide(read, {"score": None}, 0.75) is ExtractionStatus.OK
    assert decide(read, {}, 0.96) is ExtractionStatus.REVIEW
    unsure = extraction("r", {"exam.pirads": stated(4, confidence=0.3)}, [])
    assert decide(unsure, {}, 0.75) is ExtractionStatus.ABSTAINED
    assert decide(replace(read, status=ExtractionStatus.ABSTAINED), {}, 0.0) is ExtractionStatus.ABSTAINED
    assert decide(extraction("r", {}, []), {}, 0.75) is ExtractionStatus.OK


def test_a_case_counts_as_right_as_it_is_trusted() -> None:
    case = Case(path="a", name="a", features={}, is_right=True, weight=1.0, hospital="h", stratum="s", report_id="r", doubt=0.25)
    assert (case.target, replace(case, is_right=False).target) == (0.75, 0.0)


def test_groups_are_known_by_the_last_part_of_a_name() -> None:
    assert (group_of("overall.gleason_score"), group_of("birads_left"), group_of("exam.psa_ng_ml")) == ("grade", "score", "exam_number")
