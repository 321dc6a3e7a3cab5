"""Fits confidences on a site's own gold reports and says how good they are on hospitals that were left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from weakbox.evaluation.gold import GoldReport
from weakbox.extractors.calibration import write_parameters
from weakbox.extractors.calibration_fit import Sample, Scored, cross_validated, fit
from weakbox.extractors.risk_control import brier_score, coverage_at_risk, expected_calibration_error
from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionFailure, ReportExtraction

FEWEST_REPORTS = 40
"""Fewer say too little about a confidence."""


def samples(gold: Sequence[GoldReport], read: Iterable[tuple[ReportExtraction | ExtractionFailure, ...]]) -> list[Sample]:
    """What the sources made of each gold report, in the order of ``gold``.

    Raises:
        InputError: too few reports to fit on.
    """
    if len(gold) < FEWEST_REPORTS:
        msg = f"{len(gold)} gold reports are too few to fit confidences on; label at least {FEWEST_REPORTS} (see `main.py annotate`)"
        raise InputError(msg)
    return [
        Sample(outcomes=outcomes, gold=entry.body, hospital=entry.hospital or entry.report.report_id)
        for entry, outcomes in zip(gold, read, strict=True)
    ]


def fit_and_describe(made: Sequence[Sample], output: Path) -> list[str]:
    """Write the fitted parameters; one line a set of sources with its measures on left-out hospitals."""
    parameters = fit(made)
    write_parameters(parameters, output)
    return [f"{sources}: {_measures(cross_validated(made, sources))}" for sources in sorted(parameters.calibrators)]


def _measures(scored: Sequence[Scored]) -> str:
    confidence, right = [one.confidence for one in scored], [one.case.is_right for one in scored]
    return (
        f"{len(scored)} values, {sum(right) / max(len(right), 1):.3f} right, ECE {expected_calibration_error(confidence, right):.4f}, "
        f"Brier {brier_score(confidence, right):.4f}, coverage at 1 % risk {coverage_at_risk(confidence, right):.3f}"
    )
