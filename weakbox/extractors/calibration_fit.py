"""Fits the calibration of confidences on reports whose right answers are known.

Reports that the grammars were written on flatter: there the grammars are nearly exact. So the fit takes the error rates
to expect of unseen reports (``unseen_errors``): the errors that it has count for more, and where they are too few, every
right value counts as wrong for a small part, the larger the more it looks like an error. Reports that no grammar was
written on need none of that. Disturbed versions of reports teach the stack what errors look like; how many there are
(curves, thresholds) is learnt from original reports alone.
All scores that the curves and thresholds are fitted on come from stacks that have not seen the report's hospital.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from weakbox.extractors.agreement import align, nested, same_value
from weakbox.extractors.calibration import Calibrator, Curve, Parameters, rows_of, source_key
from weakbox.extractors.consistency import check
from weakbox.extractors.contract import shape_of
from weakbox.extractors.fusion import fuse, questions
from weakbox.extractors.label_model import FIELD_GROUPS, LabelModel, Logistic, estimate_skills, fit_logistic, group_of
from weakbox.extractors.risk_control import DELTA, OTHER_RISK, TARGET_RISK, threshold_for
from weakbox.organs.organ import ReportShape
from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionFailure, Item, ReportExtraction
from weakbox.records.record import record

FOLDS = 5
RIDGE = 2.0
MINIMUM_ROWS = 20
"""A feature that fewer values have says nothing that lasts."""
CURVE_STRENGTH = (60.0, 12.0)
"""How firmly a group's slope and offset are held to those of all fields, as imagined errors."""
LARGEST_ERROR_WEIGHT = 3.0
"""An error that was seen stands for at most so many; the rest is spread over the values that were right."""
LARGEST_DOUBT = 0.5
EVERYWHERE = "*"


@record
class Sample:
    """One report: what each source read, most trusted first, and the contract's body that is right (all fields, null where not stated).

    ``hospital`` keeps reports that are written alike in one fold. A disturbed version of a report is not original and counts for less.
    """

    outcomes: tuple[ReportExtraction | ExtractionFailure, ...]
    gold: Mapping[str, Any]
    hospital: str
    weight: float = 1.0
    is_original: bool = True


@record
class Case:
    """One value with its features: whether it is right, how much it counts, and the stratum its error rate is known of."""

    path: str
    name: str
    features: Mapping[str, float]
    is_right: bool
    weight: float
    hospital: str
    stratum: str
    report_id: str
    is_original: bool = True
    doubt: float = 0.0
    """Part (0..1) of a right value that counts as wrong, for the errors to expect of unseen reports."""

    @property
    def target(self) -> float:
        """How right the value counts as, 0..1."""
        return 1.0 - self.doubt if self.is_right else 0.0


@record
class Scored:
    """A value's calibrated confidence from a fit that has not seen its hospital."""

    case: Case
    confidence: float


def fit(samples: Sequence[Sample], unseen_errors: Mapping[str, float] | None = None) -> Parameters:
    """Parameters for every set of sources in the samples, and for the first source alone.

    Args:
        samples: reports with answers; at least two hospitals.
        unseen_errors: share of wrong values to expect on reports unlike these, by ``organ/type/language``
            (``organ/type/*`` for the other languages, ``*`` for all others); None where the sources were not tuned on these reports.

    Raises:
        InputError: no samples, one hospital only, or no value that could be judged.
    """
    if len({sample.hospital for sample in samples}) < 2:
        msg = "a calibration needs labelled reports of at least two hospitals: values are judged by fits without their own"
        raise InputError(msg)
    labels = estimate_skills([question for sample in samples for question in questions(sample.outcomes)])
    calibrators = {}
    for key, cases in sorted(_cases_by_sources(samples, labels).items()):
        calibrators[key] = fit_calibrator(weighted(cases, unseen_errors))
    return Parameters(calibrators=calibrators, labels=labels, fitted_on=_record_of(samples, unseen_errors))


def _record_of(samples: Sequence[Sample], unseen_errors: Mapping[str, float] | None) -> dict[str, str | int | float]:
    own = [sample for sample in samples if sample.is_original]
    found: dict[str, str | int | float] = {
        "digest": digest_of(samples),
        "reports": len(own),
        "variants": len(samples) - len(own),
        "hospitals": len({sample.hospital for sample in samples}),
    }
    return found | {f"assumed error of unseen {name}": rate for name, rate in sorted((unseen_errors or {}).items())}


def digest_of(samples: Iterable[Sample]) -> str:
    """SHA-256 over report ids, weights and right answers."""
    lines = sorted(
        json.dumps([sample.outcomes[0].report_id, sample.weight, sample.gold], sort_keys=True, default=str) for sample in samples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def combined(outcomes: Sequence[ReportExtraction | ExtractionFailure], labels: LabelModel) -> ReportExtraction | None:
    """What the stage makes of the sources' outcomes before calibration; None where nothing was read."""
    outcome = fuse(outcomes, labels)
    return check(outcome) if isinstance(outcome, ReportExtraction) else None


def _cases_by_sources(samples: Sequence[Sample], labels: LabelModel) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for sample in samples:
        variants = [sample.outcomes, sample.outcomes[:1]] if len(sample.outcomes) > 1 else [sample.outcomes]
        seen = set()
        for outcomes in variants:
            extraction = combined(outcomes, labels)
            if extraction is not None and source_key(extraction) not in seen:
                seen.add(source_key(extraction))
                found.setdefault(source_key(extraction), []).extend(cases_of(extraction, sample))
    return {key: cases for key, cases in found.items() if cases}


def cases_of(extraction: ReportExtraction, sample: Sample) -> Iterator[Case]:
    """The judged values of one report."""
    rights = judge(extraction, sample.gold)
    stratum = f"{extraction.organ}/{extraction.report_type.value}/{extraction.language or 'en'}"
    for path, name, _, features in rows_of(extraction):
        if path in rights:
            yield Case(
                path=path,
                name=name,
                features=features,
                is_right=rights[path],
                weight=sample.weight,
                hospital=sample.hospital,
                stratum=stratum,
                report_id=extraction.report_id,
                is_original=sample.is_original,
            )


# ------------------------------------------------------------------ right or wrong


def judge(extraction: ReportExtraction, gold: Mapping[str, Any]) -> dict[str, bool]:
    """Path -> whether the value is the right one; items are aligned first, and one too many is wrong throughout."""
    shape = shape_of(extraction.organ, extraction.report_type)
    rights = {name: same_value(leaf.value, nested(gold, name)) for name, leaf in extraction.exam.items() if _is_public(shape.exam, name)}
    expected = list(gold.get(shape.item_kind) or ())
    partners = _partners(expected, extraction.items, shape)
    for item in extraction.items:
        truth = partners.get(item.index, {})
        for name, leaf in item.values.items():
            if _is_public(shape.item, name):
                rights[f"{shape.item_kind}[{item.index}].{name}"] = same_value(leaf.value, truth.get(name))
    return rights


def _is_public(fields: Sequence[Any], name: str) -> bool:
    return any(field.name == name and not field.is_internal for field in fields)


def _partners(expected: Sequence[Mapping[str, Any]], items: Sequence[Item], shape: ReportShape) -> dict[int, Mapping[str, Any]]:
    """The right answer's item for each item that was read, by its index."""
    read = [{name: leaf.value for name, leaf in item.values.items()} for item in items]
    return {items[j].index: expected[i] for i, j in align(expected, read, shape.identity)}


# ------------------------------------------------------------------ errors to expect


def weighted(cases: Sequence[Case], unseen_errors: Mapping[str, float] | None) -> list[Case]:
    """The cases, weighted so that the originals of every stratum have the share of errors to be expected of unseen reports.

    A stratum that already has more stays as it is.
    """
    if not unseen_errors:
        return list(cases)
    odds = [math.exp(-score) for score in _out_of_fold(cases)]
    made: list[Case] = []
    for stratum in sorted({case.stratum for case in cases}):
        places = [place for place, case in enumerate(cases) if case.stratum == stratum]
        rate = _rate_of(stratum, unseen_errors)
        made += _with_errors([cases[place] for place in places], [odds[place] for place in places], rate)
    return made


def _rate_of(stratum: str, unseen_errors: Mapping[str, float]) -> float:
    """Of ``organ/type/language``, else of ``organ/type/*``, else of all."""
    every_language = f"{stratum.rpartition('/')[0]}/{EVERYWHERE}"
    return next((unseen_errors[key] for key in (stratum, every_language, EVERYWHERE) if key in unseen_errors), 0.0)


def _with_errors(cases: Sequence[Case], odds: Sequence[float], rate: float) -> list[Case]:
    """Errors count more, up to a limit; the rest is spread over right values in proportion to their odds of being wrong."""
    own = [(case, odd) for case, odd in zip(cases, odds, strict=True) if case.is_original]
    right = sum(case.weight for case, _ in own if case.is_right)
    wrong = sum(case.weight for case, _ in own if not case.is_right)
    wanted = rate * (right + wrong)
    if wanted <= wrong or not right:
        return list(cases)
    factor = min(wanted / wrong, LARGEST_ERROR_WEIGHT) if wrong else 1.0
    missing = max(rate * (right + factor * wrong) - factor * wrong, 0.0)
    spread = missing / sum(case.weight * odd for case, odd in own if case.is_right)
    return [
        replace(case, doubt=min(spread * odd, LARGEST_DOUBT)) if case.is_right else replace(case, weight=case.weight * factor)
        for case, odd in zip(cases, odds, strict=True)
    ]


# ------------------------------------------------------------------ stack, curves, thresholds


def fit_calibrator(cases: Sequence[Case]) -> Calibrator:
    """Stack on all cases; curves and thresholds on scores from stacks without the case's hospital."""
    scores = _out_of_fold(cases)
    own = [place for place, case in enumerate(cases) if case.is_original] or list(range(len(cases)))
    originals, scores = [cases[place] for place in own], [scores[place] for place in own]
    curves = fit_curves(originals, scores)
    calibrator = Calibrator(stack=_stack(cases), curves=curves)
    held_out = Calibrator(stack=Logistic(intercept=0.0, weights={"score": 1.0}), curves=curves)
    confidences = [held_out.probability(case.name, {"score": score}) for case, score in zip(originals, scores, strict=True)]
    return replace(calibrator, thresholds=_thresholds(originals, confidences))


def _stack(cases: Sequence[Case]) -> Logistic:
    rows, targets, weights = zip(*((case.features, case.target, case.weight) for case in cases), strict=True)
    return fit_logistic(rows, targets, weights, RIDGE, MINIMUM_ROWS)


@cache
def fold_of(hospital: str, folds: int = FOLDS) -> int:
    """The fold of a hospital: by its name alone."""
    return int.from_bytes(hashlib.sha256(hospital.encode()).digest()[:4]) % folds


def _out_of_fold(cases: Sequence[Case]) -> list[float]:
    scores = [0.0] * len(cases)
    folds = [fold_of(case.hospital) for case in cases]
    for fold in sorted(set(folds)):
        stack = _stack([case for case, own in zip(cases, folds, strict=True) if own != fold] or cases)
        for place in (place for place, own in enumerate(folds) if own == fold):
            scores[place] = stack.log_odds(cases[place].features)
    return scores


def fit_curves(cases: Sequence[Case], scores: Sequence[float]) -> dict[str, Curve]:
    """One curve for all fields, and one a group that leaves it only as far as its own errors warrant."""
    pooled = _curve(cases, scores, Curve(slope=1.0, offset=0.0), (CURVE_STRENGTH[0] / 10, 1e-3))
    curves = {EVERYWHERE: pooled}
    for group in FIELD_GROUPS:
        members = [(case, score) for case, score in zip(cases, scores, strict=True) if group_of(case.name) == group]
        if members:
            curves[group] = _curve([case for case, _ in members], [score for _, score in members], pooled, CURVE_STRENGTH)
    return curves


def _curve(cases: Sequence[Case], scores: Sequence[float], centre: Curve, strength: tuple[float, float]) -> Curve:
    """The most likely slope and offset around a centre (a Gaussian prior); slopes are not negative."""
    x = np.asarray(scores)
    target, weight = np.array([case.target for case in cases]), np.array([case.weight for case in cases])
    middle, prior = np.array([centre.slope, centre.offset]), np.array(strength)
    solution = middle.copy()
    matrix = np.stack([x, np.ones(len(x))], axis=1)
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-np.clip(matrix @ solution, -30, 30)))
        gradient = matrix.T @ (weight * (chance - target)) + prior * (solution - middle)
        curvature = (matrix * (weight * chance * (1 - chance))[:, None]).T @ matrix + np.diag(prior)
        step = np.linalg.solve(curvature, gradient)
        solution = solution - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    return Curve(slope=max(float(solution[0]), 0.0), offset=float(solution[1]))


def _thresholds(cases: Sequence[Case], confidences: Sequence[float]) -> dict[str, float | None]:
    """By group of fields; a group with too few values to show anything takes the threshold of all fields together."""
    places = range(len(cases))
    pooled = {risk: _threshold(cases, confidences, places, risk) for risk in sorted({*TARGET_RISK.values(), OTHER_RISK})}
    found: dict[str, float | None] = {}
    for group in FIELD_GROUPS:
        risk = TARGET_RISK.get(group, OTHER_RISK)
        own = _threshold(cases, confidences, [place for place in places if group_of(cases[place].name) == group], risk)
        found[group] = pooled[risk] if own is None else own
    return found


def _threshold(cases: Sequence[Case], confidences: Sequence[float], places: Sequence[int], risk: float) -> float | None:
    chosen = [cases[place] for place in places]
    return threshold_for(
        [confidences[place] for place in places], [case.target for case in chosen], risk, [case.weight for case in chosen], DELTA
    )


def cross_validated(samples: Sequence[Sample], key: str, unseen_errors: Mapping[str, float] | None = None) -> list[Scored]:
    """Confidences of every value by fits on the other folds of hospitals, for measuring: ``key`` names the sources.

    The errors to expect are only used in fitting; the cases that come back have their own weights.
    """
    scored: list[Scored] = []
    for fold in sorted({fold_of(sample.hospital) for sample in samples}):
        rest = [sample for sample in samples if fold_of(sample.hospital) != fold]
        labels = estimate_skills([question for sample in rest for question in questions(sample.outcomes)])
        calibrator = fit_calibrator(weighted(_cases_by_sources(rest, labels)[key], unseen_errors))
        own = [sample for sample in samples if fold_of(sample.hospital) == fold]
        for case in _cases_by_sources(own, labels).get(key, []):
            scored.append(Scored(case=case, confidence=calibrator.probability(case.name, case.features)))
    return scored
