"""One model on one list of units: every figure with its interval, n and section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.cases import Unit
from cv_model_experiments.evaluation.classification import (
    Confusion,
    brier_score,
    confusion_at,
    confusion_matrix,
    expected_calibration_error,
    mean_recall,
    one_hot,
    quadratic_kappa,
)
from cv_model_experiments.evaluation.coco import COCO_RANGE, MEDICAL_RANGE, CocoEvaluation
from cv_model_experiments.evaluation.detection import Detections, case_scores, coco_images
from cv_model_experiments.evaluation.detection_maps import CaseResult
from cv_model_experiments.evaluation.estimates import Estimate, Resampler, Statistic, from_draws, proportion, resampler, with_wilson
from cv_model_experiments.evaluation.operating_point import NoOperatingPoint, OperatingPoint
from cv_model_experiments.evaluation.ranking import Ranked, sensitivity_at_or_below, sensitivity_interpolated
from cv_model_experiments.evaluation.settings import EvaluationSettings
from cv_model_experiments.predictions import Prediction, PredictionHeader
from weakbox.records.errors import InputError
from weakbox.records.record import record

Numbers = NDArray[np.float64]
ALL = "all"


@record
class Measured:
    """A figure of one model: of all units or of a subgroup (``tier=expert``), in a section of the report."""

    model: str
    group: str
    section: str
    estimate: Estimate


@record
class CaseData:
    """Case scores against case truth; units whose class is not stated are not among them."""

    units: tuple[Unit, ...]
    targets: Numbers
    scores: Numbers
    is_probability: bool


def draws_of(units: Sequence[Unit], settings: EvaluationSettings) -> Resampler:
    """The draws of patients for these units: the same for every model, so that models are compared in the same draws."""
    return resampler(
        [unit.patient for unit in units], [unit.is_positive for unit in units], settings.bootstrap.draws, settings.bootstrap.seed
    )


def positive_probability(prediction: Prediction, header: PredictionHeader, settings: EvaluationSettings) -> float:
    """The probability of all positive classes together.

    Raises:
        InputError: the model has no positive class, or only positive ones of several.
    """
    positive = [name for name in header.classes if name in settings.positive_classes]
    if not positive or len(positive) == len(header.classes) > 1:
        msg = (
            f"{header.model} knows the classes {', '.join(header.classes)}, positive_classes are {', '.join(settings.positive_classes)}: "
            "name those of the model's classes that shall be found, and leave at least one that shall not"
        )
        raise InputError(msg)
    return min(1.0, sum(prediction.probabilities[name] for name in positive))


def case_data(
    units: Sequence[Unit], predictions: Mapping[str, Prediction], header: PredictionHeader, settings: EvaluationSettings
) -> CaseData:
    """Case scores of a classifier (probability of the positive classes, the highest of a case's images), or of a detector (its best
    candidate)."""
    known = tuple(unit for unit in units if unit.is_positive is not None)
    is_classifier = "classification" in header.tasks
    if is_classifier:
        scores = np.array([max(positive_probability(predictions[row.image_id], header, settings) for row in unit.rows) for unit in known])
    else:
        scores = case_scores(known, predictions, settings)
    return CaseData(
        units=known, targets=np.array([float(bool(unit.is_positive)) for unit in known]), scores=scores, is_probability=is_classifier
    )


def case_estimates(data: CaseData, point: OperatingPoint | NoOperatingPoint, settings: EvaluationSettings) -> Iterator[Estimate]:
    """AUROC, AUPRC, calibration of probabilities, and the figures at the threshold that validation chose."""
    if not data.units:
        return
    draws, count, positives = draws_of(data.units, settings), len(data.units), int(data.targets.sum())
    ranked = Ranked(data.targets, data.scores)
    yield draws.estimate("AUROC", ranked.auroc, count, positives)
    yield draws.estimate("AUPRC", ranked.average_precision, count, positives)
    if data.is_probability:
        yield draws.estimate("Brier score", lambda weights: brier_score(data.targets, data.scores, weights), count, positives)
        yield draws.estimate(
            "ECE",
            lambda weights: expected_calibration_error(data.targets, data.scores, settings.calibration_bins, weights),
            count,
            positives,
            note=f"{settings.calibration_bins} bins of equal width",
        )
    if isinstance(point, OperatingPoint):
        yield from _at_threshold(data, point, draws)


_RATES: Mapping[str, Callable[[Confusion], float]] = {
    "balanced accuracy": lambda confusion: confusion.balanced_accuracy,
    "F1": lambda confusion: confusion.f1,
}


def _at_threshold(data: CaseData, point: OperatingPoint, draws: Resampler) -> Iterator[Estimate]:
    note = f"threshold {point.threshold:.4g} by {point.rule} on validation"
    called, patients = data.scores >= point.threshold, [unit.patient for unit in data.units]
    positive, negative = data.targets, 1 - data.targets
    right = positive * called + negative * ~called
    shares = {
        "sensitivity": (right, positive),
        "specificity": (right, negative),
        "accuracy": (right, np.ones(len(right))),
        "PPV": (right, called.astype(float)),
        "NPV": (right, 1.0 - called),
    }
    for name, (hits, trials) in shares.items():
        yield proportion(name, hits * trials, trials, patients, draws, note)
    for name, rate in _RATES.items():

        def statistic(weights: Numbers | None, rate: Callable[[Confusion], float] = rate) -> float:
            return rate(confusion_at(data.targets, data.scores, point.threshold, weights))

        yield draws.estimate(name, statistic, len(data.units), int(positive.sum()), note)


def class_estimates(
    units: Sequence[Unit], predictions: Mapping[str, Prediction], header: PredictionHeader, settings: EvaluationSettings
) -> Iterator[Estimate]:
    """Figures of three and more classes, image by image; images whose class the model does not know are left out and counted."""
    truth, probabilities, known, owners = class_data(units, predictions, header)
    if not known:
        return
    draws, classes = draws_of(known, settings), len(header.classes)
    targets, called = one_hot(truth, classes), probabilities.argmax(axis=1)
    count = len(truth)
    left = sum(len(unit.rows) for unit in units) - count
    note = f"{left} images of other classes left out" if left else ""

    def of_images(weights: Numbers | None) -> Numbers | None:
        return None if weights is None else weights[owners]

    def matrix(weights: Numbers | None) -> Numbers:
        return confusion_matrix(truth, called, classes, of_images(weights))

    def macro_auroc(weights: Numbers | None) -> float:
        areas = [
            Ranked(targets[:, place], probabilities[:, place], owners).auroc(weights) for place in range(classes) if targets[:, place].any()
        ]
        return float(np.mean(areas)) if areas else float("nan")

    yield draws.estimate("accuracy", lambda weights: float(np.trace(found := matrix(weights)) / found.sum()), count, note=note)
    yield draws.estimate("mean recall", lambda weights: mean_recall(matrix(weights)), count, note=note)
    yield draws.estimate(
        "macro AUROC", macro_auroc, count, note="one class against the others, classes that occur" + (f"; {note}" if note else "")
    )
    yield draws.estimate("Brier score", lambda weights: brier_score(targets, probabilities, of_images(weights)), count, note=note)
    if set(header.classes) <= set(settings.class_order):
        order = np.argsort([settings.class_order.index(name) for name in header.classes])
        yield draws.estimate("quadratic kappa", lambda weights: quadratic_kappa(matrix(weights)[np.ix_(order, order)]), count, note=note)


def class_data(
    units: Sequence[Unit], predictions: Mapping[str, Prediction], header: PredictionHeader
) -> tuple[NDArray[np.intp], Numbers, tuple[Unit, ...], NDArray[np.intp]]:
    """True class numbers and probabilities (images, classes) of images whose class the model knows, their units, and each image's unit."""
    places = {name: place for place, name in enumerate(header.classes)}
    known = tuple(unit for unit in units if any(row.label in places for row in unit.rows))
    images = [(owner, row) for owner, unit in enumerate(known) for row in unit.rows if row.label in places]
    truth = np.array([places[str(row.label)] for _, row in images], dtype=np.intp)
    probabilities = np.array([[predictions[row.image_id].probabilities[name] for name in header.classes] for _, row in images])
    return truth, probabilities.reshape(len(images), len(places)), known, np.array([owner for owner, _ in images], dtype=np.intp)


def lesion_estimates(
    detections: Detections, point: OperatingPoint | NoOperatingPoint, settings: EvaluationSettings, *, with_froc: bool = True
) -> Iterator[Estimate]:
    """AP, the FROC table by both rules, and sensitivity and false positives at the threshold that validation chose."""
    units, ranked, lesions = detections.units, detections.ranked, detections.lesions
    if not units:
        return
    draws = draws_of(units, settings)
    yield draws.estimate("AP", ranked.lesion_average_precision, len(units), lesions, note="no interpolation" if lesions else "no lesion")
    if with_froc and lesions:
        yield from froc_estimates(ranked, [unit.patient for unit in units], draws, settings.false_positive_rates)
    if isinstance(point, OperatingPoint):
        note = f"threshold {point.threshold:.4g} by {point.rule} on validation"
        found, total = detections.found_and_lesions(point.threshold)
        patients = [unit.patient for unit in units]
        yield proportion("lesion sensitivity", found, total, patients, draws, note)
        false = detections.false_positives(point.threshold)
        yield draws.estimate("false positives a unit", lambda weights: _weighted_mean(false, weights), len(units), note=note)


def _weighted_mean(values: Numbers, weights: Numbers | None) -> float:
    return float(values.mean()) if weights is None else float(weights @ values / weights.sum())


_FROC_RULES: Mapping[str, Callable[[Numbers, Numbers, Sequence[float]], Numbers]] = {
    "last point": sensitivity_at_or_below,
    "linear": sensitivity_interpolated,
}


def froc_estimates(ranked: Ranked, patients: Sequence[str], draws: Resampler, rates: Sequence[float]) -> Iterator[Estimate]:
    """Sensitivity at each rate of false positives a unit, and their mean, by both rules. ``patients`` are those of the units; there must
    be a lesion."""
    units, lesions = len(patients), int(ranked.targets.sum())
    with_lesion = len({patients[unit] for unit in ranked.units[ranked.targets > 0]})

    def row(weights: Numbers | None) -> Numbers:
        places, sensitivities, _ = ranked.froc(float(units) if weights is None else float(weights.sum()), weights)
        return np.stack([read(places, sensitivities, rates) for read in _FROC_RULES.values()])

    here, drawn = row(None), np.array([row(weights.astype(float)) for weights in draws.weights])
    for number, rule in enumerate(_FROC_RULES):
        columns = {
            f"sensitivity at {rate:g} FP, {rule}": (here[number, place], drawn[:, number, place]) for place, rate in enumerate(rates)
        }
        columns[f"mean sensitivity, {rule}"] = (here[number].mean(), drawn[:, number].mean(axis=1))
        for metric, (value, values) in columns.items():
            found = from_draws(Estimate(metric=metric, value=float(value), count=units, positives=lesions), values)
            yield with_wilson(found, with_lesion) if found.value in (0.0, 1.0) and found.low == found.high else found


def coco_estimates(units: Sequence[Unit], predictions: Mapping[str, Prediction], settings: EvaluationSettings) -> Iterator[Estimate]:
    """COCO's mean average precision at both ranges of overlap, over classes and for each of them."""
    judged = [unit for unit in units if unit.is_located]
    images, owners, classes = coco_images(judged, predictions, settings)
    if not images:
        return
    draws, places = draws_of(judged, settings), np.array(owners)
    evaluation = CocoEvaluation(images, len(classes))
    lesions = sum(len(image.lesions) for image in images)
    for name, limits in (("mAP .1:.05:.5", MEDICAL_RANGE), ("mAP .5:.05:.95", COCO_RANGE)):

        def statistic(weights: Numbers | None, limits: Sequence[float] = limits) -> float:
            return evaluation.mean_average_precision(limits, None if weights is None else weights[places])

        yield draws.estimate(name, statistic, len(images), lesions, note=f"{len(classes)} classes: {', '.join(classes)}")
        if len(classes) > 1:
            for number, own in enumerate(classes):
                values = evaluation.average_precisions(limits)[:, number]
                count = sum(int((image.lesion_classes == number).sum()) for image in images)
                yield Estimate(metric=f"{name}, {own}", value=float(values.mean()) if count else None, count=len(images), positives=count)


def picai_estimates(
    patients: Sequence[str], results: Sequence[CaseResult], values: Mapping[str, float | None], settings: EvaluationSettings
) -> Iterator[Estimate]:
    """picai_eval's AUROC, AP and score (``values``, by picai_eval itself); the intervals come from the same entries, of which the tests
    show that they give the same values. ``patients`` are those of the results."""
    lesions = entries_of(results)
    targets = [max((target for target, _, _ in result.lesions), default=0) for result in results]
    cases = Ranked(targets, [result.confidence for result in results])
    draws = resampler(patients, [bool(target) for target in targets], settings.bootstrap.draws, settings.bootstrap.seed)
    found, positives = int(lesions.targets.sum()), sum(targets)
    statistics: tuple[tuple[str, str, Statistic, int], ...] = (
        ("picai AUROC", "auroc", cases.auroc, positives),
        ("picai AP", "AP", lesions.lesion_average_precision, found),
        ("picai score", "score", lambda weights: (cases.auroc(weights) + lesions.lesion_average_precision(weights)) / 2, positives),
    )
    for name, key, statistic, count in statistics:
        yield replace(draws.estimate(name, statistic, len(results), count), value=values[key])


def entries_of(results: Sequence[CaseResult]) -> Ranked:
    """picai_eval's tuples of all cases as one ranking."""
    entries = [(place, target, score) for place, result in enumerate(results) for target, score, _ in result.lesions]
    return Ranked([target for _, target, _ in entries], [score for _, _, score in entries], [place for place, _, _ in entries])
