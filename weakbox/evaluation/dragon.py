"""Metric definitions of the DRAGON benchmark (Bosma et al., npj Digit Med 2025;8:289), for figures that compare in kind.

T10: number of PI-RADS >= 3 lesions, linear-weighted Cohen kappa. T11: number of lesions with ISUP >= 2, the same.
T19-T21: volume, PSA, PSA density by the R-SMAPE score with epsilon 4, 0.4 and 0.04. A value that was not read counts
as 0, because a missing prediction is not tolerated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from weakbox.evaluation.gold import GoldReport
from weakbox.extractors.agreement import nested
from weakbox.records.report import ReportType

EPSILON = {"exam.prostate_volume_ml": 4.0, "exam.psa_ng_ml": 0.4, "exam.psa_density": 0.04}
SUSPICIOUS_FROM = 3
SIGNIFICANT_FROM = 2


def weighted_kappa(expected: Sequence[int], got: Sequence[int]) -> float:
    """Linear-weighted Cohen kappa of two lists of whole numbers; 1 where both are constant and equal.

    >>> weighted_kappa([0, 1, 2, 2], [0, 1, 2, 1])
    0.7142857142857143
    """
    labels = sorted(set(expected) | set(got))
    place = {label: index for index, label in enumerate(labels)}
    observed = np.zeros((len(labels), len(labels)))
    for left, right in zip(expected, got, strict=True):
        observed[place[left], place[right]] += 1
    weights = np.abs(np.subtract.outer(np.arange(len(labels)), np.arange(len(labels))))
    chance = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / max(observed.sum(), 1)
    disagreement = float((weights * chance).sum())
    return 1.0 - float((weights * observed).sum()) / disagreement if disagreement else 1.0


def r_smape_score(expected: Sequence[float], got: Sequence[float], epsilon: float) -> float:
    """1 - mean(|y - y'| / (|y| + |y'| + epsilon)).

    >>> r_smape_score([50.0, 40.0], [50.0, 40.0], 4.0)
    1.0
    """
    left, right = np.asarray(expected, dtype=float), np.asarray(got, dtype=float)
    return 1.0 - float(np.mean(np.abs(left - right) / (np.abs(left) + np.abs(right) + epsilon)))


def dragon_metrics(pairs: Iterable[tuple[GoldReport, Mapping[str, Any]]]) -> dict[str, float]:
    """The five prostate metrics over the reports that state what they ask for."""
    prostate = [(gold, answer) for gold, answer in pairs if gold.report.organ == "prostate"]
    radiology = [(gold.body, answer) for gold, answer in prostate if gold.report.report_type is ReportType.RADIOLOGY]
    pathology = [(gold.body, answer) for gold, answer in prostate if gold.report.report_type is ReportType.PATHOLOGY]
    metrics: dict[str, float] = {}
    if radiology:
        metrics["T10 lesions with PI-RADS >= 3, weighted kappa"] = _kappa(radiology, "lesions", "pirads", SUSPICIOUS_FROM)
    if pathology:
        metrics["T11 specimens with ISUP >= 2, weighted kappa"] = _kappa(pathology, "specimens", "isup_grade", SIGNIFICANT_FROM)
    for name, epsilon in EPSILON.items():
        stated = [(float(nested(body, name)), float(nested(answer, name) or 0)) for body, answer in radiology if nested(body, name)]
        if stated:
            expected, got = [pair[0] for pair in stated], [pair[1] for pair in stated]
            metrics[f"{name}, R-SMAPE score"] = r_smape_score(expected, got, epsilon)
    return metrics


def _kappa(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], kind: str, name: str, least: int) -> float:
    counts = [tuple(sum((item.get(name) or 0) >= least for item in body.get(kind) or ()) for body in pair) for pair in pairs]
    return weighted_kappa([count[0] for count in counts], [count[1] for count in counts])
