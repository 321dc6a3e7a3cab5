"""Classification figures, thresholds, intervals and tests: against scikit-learn, published values, definitions and each other."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cv_model_experiments.evaluation import significance
from cv_model_experiments.evaluation.classification import (
    brier_score,
    calibration_bins,
    confusion_at,
    confusion_matrix,
    expected_calibration_error,
    mean_recall,
    one_hot,
    quadratic_kappa,
)
from cv_model_experiments.evaluation.estimates import proportion, resampler
from cv_model_experiments.evaluation.operating_point import (
    NoOperatingPoint,
    OperatingPoint,
    case_operating_point,
    lesion_operating_point,
)
from cv_model_experiments.evaluation.ranking import Ranked
from cv_model_experiments.evaluation.significance import (
    as_ranks,
    auc_covariance,
    bootstrap_difference,
    delong_test,
    holm,
    permutation_test,
)
from weakbox.audit.intervals import wilson
from weakbox.records.errors import ConfigurationError

metrics = pytest.importorskip("sklearn.metrics", reason="extra `train` is not installed")

scored = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.5, 0.8, 1.0]), st.integers(0, 3)), min_size=4, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(scored)
def test_weighted_areas_equal_scikit_learn(entries: list[tuple[int, float, int]]) -> None:
    targets, scores, weights = (np.array(column, dtype=float) for column in zip(*entries, strict=True))
    ranked = Ranked(targets, scores)
    if (weights @ targets) and (weights @ (1 - targets)):
        assert ranked.auroc(weights) == pytest.approx(metrics.roc_auc_score(targets, scores, sample_weight=weights), abs=1e-12)
        assert ranked.average_precision(weights) == pytest.approx(
            metrics.average_precision_score(targets, scores, sample_weight=weights), abs=1e-12
        )
    else:
        assert np.isnan(ranked.auroc(weights))


@settings(max_examples=100, deadline=None)
@given(scored, st.sampled_from([0.1, 0.3, 0.4, 0.5, 1.0]))
def test_figures_at_a_threshold_equal_scikit_learn(entries: list[tuple[int, float, int]], threshold: float) -> None:
    targets, scores, _ = (np.array(column, dtype=float) for column in zip(*entries, strict=True))
    called = (scores >= threshold).astype(int)
    found = confusion_at(targets, scores, threshold)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(targets, called))
    if 0 < targets.sum() < len(targets):
        assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(targets, called))
        assert found.sensitivity == pytest.approx(metrics.recall_score(targets, called))
        assert found.f1 == pytest.approx(metrics.f1_score(targets, called))
        assert (
            np.isnan(found.positive_predictive_value)
            if not called.any()
            else found.positive_predictive_value == pytest.approx(metrics.precision_score(targets, called))
        )
    assert brier_score(targets, scores) == pytest.approx(np.mean((targets - scores) ** 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=60))
def test_kappa_and_mean_recall_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, called = (np.array(column) for column in zip(*pairs, strict=True))
    matrix = confusion_matrix(truth, called, 6)
    assert matrix.tolist() == metrics.confusion_matrix(truth, called, labels=range(6)).tolist()
    kappa = quadratic_kappa(matrix)
    if len(set(truth) | set(called)) > 1:
        assert kappa == pytest.approx(metrics.cohen_kappa_score(truth, called, weights="quadratic", labels=range(6)))
    else:
        assert np.isnan(kappa)
    classes = sorted(set(truth))
    assert mean_recall(matrix) == pytest.approx(metrics.recall_score(truth, called, labels=classes, average="macro"))


def test_calibration_error_by_hand() -> None:
    targets, probabilities = np.array([0, 1, 1, 1, 0.0]), np.array([0.05, 0.1, 0.95, 1.0, 0.0])
    bins = calibration_bins(targets, probabilities, 10)
    assert [(item.low, item.count, item.share_positive) for item in bins] == [(0.0, 3, pytest.approx(1 / 3)), (0.9, 2, 1.0)]
    assert expected_calibration_error(targets, probabilities, 10) == pytest.approx(0.6 * abs(0.05 - 1 / 3) + 0.4 * 0.025)
    perfect = np.repeat([0.25, 0.75], [4, 4])
    assert expected_calibration_error(np.array([1, 0, 0, 0, 1, 1, 1, 0.0]), perfect, 10) == pytest.approx(0.0)


def test_brier_score_of_several_classes_sums_over_them() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    assert brier_score(one_hot([0, 2], 3), probabilities) == pytest.approx(((0.09 + 0.04 + 0.01) + (0.25 + 0.25)) / 2)


def test_delong_variance_is_the_published_one_for_iris() -> None:
    """The value in the tests of yandexdataschool/roc_comparison, there checked against R's pROC."""
    datasets, selection, linear = (
        pytest.importorskip(f"sklearn.{name}", reason="extra `train`") for name in ("datasets", "model_selection", "linear_model")
    )
    data = datasets.load_iris()
    parts = selection.train_test_split(data.data, (data.target == 1).astype(int), test_size=0.8, random_state=42)
    scores = linear.LogisticRegression(solver="lbfgs").fit(parts[0], parts[2]).predict_proba(parts[1])[:, 1]
    areas, covariance = auc_covariance(parts[3], [scores])
    assert areas[0] == pytest.approx(metrics.roc_auc_score(parts[3], scores), abs=1e-12)
    assert covariance[0, 0] == pytest.approx(0.0015359814789736538, rel=1e-7)


def _two_models(seed: int, cases: int = 300, gain: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = (random.random(cases) < 0.4).astype(float)
    shared = random.normal(size=cases)
    return (
        targets,
        1.6 * targets + shared + 0.6 * random.normal(size=cases),
        (1.6 - gain) * targets + shared + 0.6 * random.normal(size=cases),
    )


def _delong_by_definition(targets: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Difference and its variance from the kernel of all pairs (DeLong 1988, equations 3 to 6)."""
    kernels = []
    for scores in (first, second):
        above, below = scores[targets > 0][:, None], scores[targets == 0][None]
        kernels.append((above > below) + 0.5 * (above == below))
    difference = kernels[0] - kernels[1]
    rows, columns = difference.mean(axis=1), difference.mean(axis=0)
    return float(difference.mean()), float(rows.var(ddof=1) / len(rows) + columns.var(ddof=1) / len(columns))


@pytest.mark.parametrize("seed", range(3))
def test_delong_equals_its_definition_ties_included(seed: int) -> None:
    targets, first, second = _two_models(seed)
    first, second = np.round(first, 1), np.round(second, 1)
    found = delong_test(targets, first, second)
    difference, variance = _delong_by_definition(targets, first, second)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_delong_agrees_with_bootstrap_and_permutation() -> None:
    targets, first, second = _two_models(seed=4)
    patients = [f"p{place}" for place in range(len(targets))]
    found = delong_test(targets, first, second)
    draws = resampler(patients, targets > 0, draws=1500, seed=1)
    low, high, valid = bootstrap_difference(Ranked(targets, first).auroc, Ranked(targets, second).auroc, draws)
    assert valid == 1500
    assert (low, high) == pytest.approx((found.low, found.high), abs=0.012)
    ranks = as_ranks(first - first.min() + 1), as_ranks(second - second.min() + 1)

    def statistic(exchanged: np.ndarray) -> tuple[float, float]:
        return Ranked(targets, np.where(exchanged, ranks[1], ranks[0])).auroc(), Ranked(targets, np.where(exchanged, *ranks)).auroc()

    difference, p_value, _ = permutation_test(statistic, patients, draws=999, seed=1)
    assert difference == pytest.approx(found.difference, abs=1e-12)
    assert found.p_value < 0.01
    assert p_value < 0.01


def test_equal_models_have_no_difference() -> None:
    targets, first, _ = _two_models(seed=5, cases=60)
    found = delong_test(targets, first, first)
    assert (found.difference, found.z, found.p_value) == (0.0, 0.0, 1.0)
    patients = [str(place) for place in range(60)]
    observed, p_value, _ = permutation_test(lambda _: (0.8, 0.8), patients, draws=50, seed=0)
    assert (observed, p_value) == (0.0, 1.0)


def test_permutation_test_rejects_at_its_level_when_models_are_alike() -> None:
    rejected = 0
    for seed in range(60):
        targets, first, second = _two_models(seed + 100, cases=60, gain=0.0)
        ranks = as_ranks(first - first.min() + 1), as_ranks(second - second.min() + 1)

        def statistic(exchanged: np.ndarray, targets: np.ndarray = targets, ranks: tuple = ranks) -> tuple[float, float]:  # type: ignore[type-arg]
            return Ranked(targets, np.where(exchanged, ranks[1], ranks[0])).auroc(), Ranked(targets, np.where(exchanged, *ranks)).auroc()

        rejected += permutation_test(statistic, [str(place) for place in range(60)], draws=99, seed=seed)[1] <= 0.05
    assert rejected <= 8, "60 trials at 5 %: more than 8 has a chance below 0.5 %"


def test_patients_with_several_images_widen_delong_and_bootstrap_alike() -> None:
    targets, first, second = _two_models(seed=6, cases=150)
    copies = 4
    patients = [f"p{place}" for place in range(150) for _ in range(copies)]
    repeated = [np.repeat(values, copies) for values in (targets, first, second)]
    alone = delong_test(targets, first, second)
    clustered = delong_test(*repeated, clusters=patients)
    careless = delong_test(*repeated)
    assert clustered.difference == pytest.approx(alone.difference, abs=1e-12)
    assert clustered.standard_error == pytest.approx(alone.standard_error, rel=0.02)
    assert careless.standard_error < 0.6 * clustered.standard_error
    low, high, _ = resampler(patients, repeated[0] > 0, draws=400, seed=2).interval(Ranked(repeated[0], repeated[1]).auroc)
    single_low, single_high, _ = resampler([f"p{place}" for place in range(150)], targets > 0, 400, 2).interval(
        Ranked(targets, first).auroc
    )
    assert high - low == pytest.approx(single_high - single_low, rel=0.25)


def test_a_variance_needs_two_patients_of_each_class() -> None:
    with pytest.raises(ValueError, match="1 positive and 2 negative"):
        auc_covariance([1, 1, 0, 0], [[0.9, 0.8, 0.3, 0.1]], clusters=["a", "a", "b", "c"])


def test_every_draw_has_both_classes_whole_patients_and_the_same_patients_for_the_same_seed() -> None:
    patients = ["a", "a", "b", "c", "d", "e", "e", "f"]
    positives = [True, False, True, False, False, False, False, None]
    draws = resampler(patients, positives, draws=300, seed=9)
    assert (draws.weights[:, 0] == draws.weights[:, 1]).all()
    assert (draws.weights[:, 5] == draws.weights[:, 6]).all()
    assert (draws.weights[:, 0] + draws.weights[:, 2] == 2).all(), "as many positive patients as there are"
    assert (draws.weights[:, [3, 4, 5, 7]].sum(axis=1) == 4).all()
    np.testing.assert_array_equal(draws.weights, resampler(patients, positives, draws=300, seed=9).weights)
    assert (draws.weights != resampler(patients, positives, draws=300, seed=10).weights).any()


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(80):
        random = np.random.default_rng(seed)
        targets = np.repeat([1.0, 0.0], [40, 60])
        scores = random.normal(size=100) + targets
        low, high, _ = resampler([str(place) for place in range(100)], targets > 0, 200, seed).interval(Ranked(targets, scores).auroc)
        covered += low <= 0.7602 <= high  # Phi(1 / sqrt(2))
    assert 69 <= covered <= 80


def test_proportion_of_one_has_wilsons_interval_over_patients_not_a_point() -> None:
    patients = ["a", "a", "b", "c"]
    draws = resampler(patients, [True] * 4, draws=50, seed=0)
    found = proportion("sensitivity", np.ones(4), np.ones(4), patients, draws)
    assert (found.value, found.count, found.method) == (1.0, 4, "Wilson")
    assert (found.low, found.high) == pytest.approx(wilson(3, 3))
    partly = proportion("sensitivity", np.array([1.0, 1, 0, 1]), np.ones(4), patients, draws)
    assert (partly.value, partly.method) == (0.75, "bootstrap")
    none = proportion("sensitivity", np.zeros(4), np.zeros(4), patients, draws)
    assert (none.value, none.low) == (None, None)


def test_metric_that_most_draws_do_not_define_has_no_interval() -> None:
    draws = resampler(["a", "b", "c"], [True, False, False], draws=50, seed=0)
    found = draws.estimate("odd", lambda weights: 0.5 if weights is None else float("nan"), 3)
    assert (found.value, found.low, found.valid_draws) == (0.5, None, 0)
    missing = draws.estimate("odd", lambda _: float("nan"), 3)
    assert missing.value is None
    assert "not defined" in missing.note


def test_holm_adjusts_and_its_example_runs() -> None:
    assert holm([0.04]) == (0.04,)
    assert holm([]) == ()
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert doctest.testmod(significance).failed == 0


RANKED = Ranked([1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.3, 0.1])


@pytest.mark.parametrize(
    ("rule", "threshold", "reached"),
    [
        ("sensitivity:0.6", 0.8, 2 / 3),
        ("sensitivity:1", 0.6, 1.0),
        ("specificity:1", 0.8, 1.0),
        ("specificity:0.6", 0.6, 2 / 3),
        ("youden", 0.8, 2 / 3),
    ],
)
def test_case_threshold_follows_its_rule(rule: str, threshold: float, reached: float) -> None:
    found = case_operating_point(rule, RANKED)
    assert isinstance(found, OperatingPoint)
    assert (found.threshold, found.reached) == (threshold, pytest.approx(reached))
    assert (found.count, found.positives) == (6, 3)


def test_lesion_threshold_follows_its_rule_and_says_why_there_is_none() -> None:
    ranked = Ranked([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.0])
    few = lesion_operating_point("false_positives:0.5", ranked, units=2)
    all_found = lesion_operating_point("sensitivity:0.6", ranked, units=2)
    assert isinstance(few, OperatingPoint)
    assert isinstance(all_found, OperatingPoint)
    assert (few.threshold, few.reached, all_found.threshold) == (0.7, 0.5, 0.7)
    reasons = [
        lesion_operating_point("sensitivity:0.9", ranked, units=2),
        lesion_operating_point("sensitivity:0.9", Ranked([0], [0.5]), units=2),
        lesion_operating_point("sensitivity:0.9", Ranked([], []), units=0),
        case_operating_point("youden", Ranked([], [])),
        case_operating_point("youden", Ranked([1, 1], [0.2, 0.3])),
        case_operating_point("specificity:1", Ranked([0, 1], [0.9, 0.3])),
    ]
    assert [item.reason for item in reasons if isinstance(item, NoOperatingPoint)] == [
        "no threshold on validation gives sensitivity of 0.9",
        "validation has no lesion",
        "validation has no case",
        "validation has no case",
        "validation has one class only",
        "no threshold keeps a specificity of 1 on validation",
    ]


@pytest.mark.parametrize("rule", ["yuden", "youden:1", "sensitivity", "sensitivity:1.2", "specificity:x", "false_positives:1"])
def test_unknown_rule_for_a_case_threshold_is_refused(rule: str) -> None:
    with pytest.raises(ConfigurationError, match="operating point"):
        case_operating_point(rule, RANKED)
