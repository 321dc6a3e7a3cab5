"""The report on two folders of detection maps and labels: picai's ``metrics.json``, and the same with intervals and FROC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cv_model_experiments.evaluation.detection_maps import (
    CaseResult,
    aggregates,
    collect,
    patient_of_case,
    read_subjects,
    score_folder,
    write_metrics,
)
from cv_model_experiments.evaluation.estimates import Estimate, resampler
from cv_model_experiments.evaluation.measuring import entries_of, froc_estimates, picai_estimates
from cv_model_experiments.evaluation.settings import EvaluationSettings
from weakbox.records.record import record
from weakbox.runtime.store import write_text

if TYPE_CHECKING:
    from picai_eval import Metrics

METRICS_JSON, SUMMARY_JSON = "metrics.json", "summary.json"


@record
class FolderReport:
    """picai's figures with intervals, and what to know of them."""

    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...]


def evaluate_folder(maps: Path, labels: Path, output: Path, subjects: Path | None, settings: EvaluationSettings) -> FolderReport:
    """Score detection maps of any system and write ``metrics.json`` (picai_eval's, and ``score``) and ``summary.json``.

    Raises:
        InputError: see ``score_folder``.
    """
    results, warnings = score_folder(maps, labels, read_subjects(subjects) if subjects is not None else None)
    metrics = collect(results)
    write_metrics(metrics, output / METRICS_JSON)
    patients = [patient_of_case(result.case) for result in results]
    estimates = [*picai_estimates(patients, results, aggregates(metrics), settings), *_froc(metrics, results, patients, settings)]
    report = FolderReport(estimates=tuple(estimates), notes=(*warnings, *_notes(results, patients)))
    content = {"estimates": [asdict(item) for item in report.estimates], "notes": report.notes}
    write_text(output / SUMMARY_JSON, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return report


def _notes(results: Sequence[CaseResult], patients: Sequence[str]) -> Iterator[str]:
    positives = sum(_is_positive(result) for result in results)
    lesions = sum(target for result in results for target, _, _ in result.lesions)
    yield f"{len(results)} cases of {len(set(patients))} patients, {positives} cases with {lesions} lesions"
    if positives in (0, len(results)):
        yield f"all cases are {'positive' if positives else 'negative'}: AUROC and score are not defined (null)"
    if not lesions:
        yield "no label holds a lesion: AP is not defined (null)"


def _is_positive(result: CaseResult) -> bool:
    return any(target for target, _, _ in result.lesions)


def _froc(metrics: Metrics, results: Sequence[CaseResult], patients: Sequence[str], settings: EvaluationSettings) -> Iterator[Estimate]:
    """Sensitivity at each rate: as picai_eval reads it, and by both rules on the curve with all its points."""
    lesions = entries_of(results)
    cases, count = len(results), int(lesions.targets.sum())
    if not count:
        return
    for rate in settings.false_positive_rates:
        value = float(metrics.lesion_TPR_at_FPR(rate))
        yield Estimate(metric=f"sensitivity at {rate:g} FP, picai_eval", value=value, count=cases, positives=count)
    draws = resampler(patients, [_is_positive(result) for result in results], settings.bootstrap.draws, settings.bootstrap.seed)
    yield from froc_estimates(lesions, patients, draws, settings.false_positive_rates)
