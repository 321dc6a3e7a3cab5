"""Every pair of models, tested on the units that both were judged on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.measuring import draws_of
from cv_model_experiments.evaluation.ranking import Ranked
from cv_model_experiments.evaluation.report import Compared, ModelReport
from cv_model_experiments.evaluation.settings import EvaluationSettings
from cv_model_experiments.evaluation.significance import as_ranks, bootstrap_difference, delong_test, holm, permutation_test


def compare(models: Sequence[ModelReport], settings: EvaluationSettings) -> Iterator[Compared]:
    """Every pair: DeLong and permutation for AUROC, permutation for AUPRC and, for two detectors, for AP of lesions."""
    pairs = list(combinations(models, 2))
    tests: dict[tuple[str, str], list[Compared | None]] = {
        ("AUROC", "DeLong"): [_delong(first, second) for first, second in pairs],
        ("AUROC", "permutation"): [_permute_cases(first, second, "AUROC", settings) for first, second in pairs],
        ("AUPRC", "permutation"): [_permute_cases(first, second, "AUPRC", settings) for first, second in pairs],
        ("AP of lesions", "permutation"): [_permute_lesions(first, second, settings) for first, second in pairs],
    }
    for results in tests.values():
        made = [result for result in results if result is not None]
        adjusted = iter(holm([result.p_value for result in made if result.p_value is not None]))
        for result in made:
            yield replace(result, p_holm=next(adjusted) if result.p_value is not None else None)


def _delong(first: ModelReport, second: ModelReport) -> Compared | None:
    targets, patients = first.cases.targets, [unit.patient for unit in first.cases.units]
    clustered = len(set(patients)) < len(patients)
    try:
        found = delong_test(targets, first.cases.scores, second.cases.scores, patients)
    except ValueError as error:
        return _no_test(first, second, "AUROC", "DeLong", str(error))
    return Compared(
        first=first.name,
        second=second.name,
        metric="AUROC",
        test="DeLong",
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        p_holm=None,
        note=f"{found.clusters} patients with several units: Obuchowski's estimate" if clustered else "",
    )


def _no_test(first: ModelReport, second: ModelReport, metric: str, test: str, why: str) -> Compared:
    return Compared(
        first=first.name,
        second=second.name,
        metric=metric,
        test=test,
        difference=float("nan"),
        low=None,
        high=None,
        p_value=None,
        p_holm=None,
        note=why,
    )


def _permute_cases(first: ModelReport, second: ModelReport, metric: str, settings: EvaluationSettings) -> Compared:
    targets, units = first.cases.targets, first.cases.units
    scores = [as_ranks(model.cases.scores) for model in (first, second)]

    def value(ranked: Ranked, weights: NDArray[np.float64] | None = None) -> float:
        return ranked.auroc(weights) if metric == "AUROC" else ranked.average_precision(weights)

    def statistic(exchanged: NDArray[np.bool_]) -> tuple[float, float]:
        mixed = np.where(exchanged, scores[1], scores[0]), np.where(exchanged, scores[0], scores[1])
        return value(Ranked(targets, mixed[0])), value(Ranked(targets, mixed[1]))

    own = [Ranked(targets, model.cases.scores) for model in (first, second)]
    if not np.isfinite(value(own[0])):
        return _no_test(first, second, metric, "permutation", "one class only")
    difference, p_value, _ = permutation_test(
        statistic, [unit.patient for unit in units], settings.bootstrap.permutations, settings.bootstrap.seed
    )
    low, high, _ = bootstrap_difference(
        lambda weights: value(own[0], weights), lambda weights: value(own[1], weights), draws_of(units, settings)
    )
    return Compared(
        first=first.name,
        second=second.name,
        metric=metric,
        test="permutation",
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=None,
    )


def _permute_lesions(first: ModelReport, second: ModelReport, settings: EvaluationSettings) -> Compared | None:
    if first.detections is None or second.detections is None:
        return None
    found = (first.detections, second.detections)
    if not found[0].lesions:
        return _no_test(first, second, "AP of lesions", "permutation", "no lesion")
    targets = np.concatenate([[entry.is_lesion for entry in own.entries] for own in found])
    scores = np.concatenate([as_ranks([entry.score for entry in own.entries]) for own in found])
    units = np.concatenate([np.array([entry.unit for entry in own.entries], dtype=np.intp) for own in found])
    is_second = np.repeat([False, True], [len(own.entries) for own in found])

    def statistic(exchanged: NDArray[np.bool_]) -> tuple[float, float]:
        now_second = is_second ^ exchanged[units]
        values = [Ranked(targets[side], scores[side], units[side]).lesion_average_precision() for side in (~now_second, now_second)]
        return values[0], values[1]

    patients = [unit.patient for unit in found[0].units]
    difference, p_value, _ = permutation_test(statistic, patients, settings.bootstrap.permutations, settings.bootstrap.seed)
    rankings = [own.ranked for own in found]
    low, high, _ = bootstrap_difference(
        rankings[0].lesion_average_precision, rankings[1].lesion_average_precision, draws_of(found[0].units, settings)
    )
    return Compared(
        first=first.name,
        second=second.name,
        metric="AP of lesions",
        test="permutation",
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=None,
        note=f"hits by {settings.hit_criteria[0]}",
    )
