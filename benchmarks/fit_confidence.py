"""Fits the confidences that the package ships, on the development reports, and says how good they are.

``python -m benchmarks.fit_confidence --gold tests/data/reports/look --gold tests/data/prostate_radiology_gold.jsonl ...``
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import extraction
from benchmarks.disturbed_texts import DISTURBANCES
from weakbox.evaluation.gold import GoldReport, read_gold
from weakbox.extractors.calibration import DEFAULT_FILE, Parameters, write_parameters
from weakbox.extractors.calibration_fit import Sample, Scored, cases_of, combined, cross_validated, fit
from weakbox.extractors.risk_control import area_under_risk_coverage, brier_score, coverage_at_risk, expected_calibration_error
from weakbox.records.extraction import ExtractionStatus

READERS = ("rules", "matcher")
DISTURBED_WEIGHT = 0.1
"""A disturbed report is no report of its own: five of them count for half of one."""
UNSEEN_ERRORS: Mapping[str, float] = {
    "prostate/radiology/en": 0.015,
    "prostate/pathology/en": 0.02,
    "breast/radiology/en": 0.02,
    "breast/pathology/en": 0.03,
    "prostate/radiology/*": 0.03,
    "prostate/pathology/*": 0.03,
    "breast/radiology/*": 0.055,
    "breast/pathology/*": 0.06,
}
"""Share of wrong values to expect on unseen reports, by the first readings of new reports (docs/confidence.md)."""


def samples_of(gold: Sequence[GoldReport], readers: Sequence[str] = READERS, *, with_disturbed: bool = True) -> list[Sample]:
    """What the readers make of each report, and of its disturbed versions."""
    extractors = extraction.open_extractors(extraction.Config(extractors=tuple(readers)))
    made = []
    for entry in gold:
        versions = {entry.report.text: 1.0}
        for disturb in DISTURBANCES.values() if with_disturbed else ():
            versions.setdefault(disturb(entry.report.text), DISTURBED_WEIGHT)
        for text, weight in versions.items():
            report = replace(entry.report, text=text, language="auto")
            outcomes = tuple(extraction.attempt(extractor, report) for extractor in extractors)
            hospital = entry.hospital or entry.report.report_id
            is_original = text is entry.report.text
            made.append(Sample(outcomes=outcomes, gold=entry.body, hospital=hospital, weight=weight, is_original=is_original))
    return made


def scored_by(parameters: Parameters, samples: Sequence[Sample], key: str) -> list[Scored]:
    """The calibrated confidence of every value that the sources of ``key`` read."""
    calibrator = parameters.calibrators[key]
    scored = []
    for sample in samples:
        outcomes = sample.outcomes[: key.count("+") + 1]
        read = combined(outcomes, parameters.labels)
        if read is not None and read.status is not ExtractionStatus.ABSTAINED:
            cases = cases_of(read, sample)
            scored += [Scored(case=case, confidence=calibrator.probability(case.name, case.features)) for case in cases]
    return scored


def figures(scored: Sequence[Scored]) -> dict[str, float]:
    """The measures over all values, by their weights."""
    confidence, right = [entry.confidence for entry in scored], [entry.case.is_right for entry in scored]
    weights = [entry.case.weight for entry in scored]
    total = sum(weights)
    return {
        "values": len(scored),
        "share right": sum(weight for weight, is_right in zip(weights, right, strict=True) if is_right) / total,
        "mean confidence": sum(weight * value for weight, value in zip(weights, confidence, strict=True)) / total,
        "ECE": expected_calibration_error(confidence, right, weights),
        "Brier": brier_score(confidence, right, weights),
        "AURC": area_under_risk_coverage(confidence, right, weights),
        "coverage at 1 % risk": coverage_at_risk(confidence, right, 0.01, weights),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="fit_confidence", description=__doc__)
    parser.add_argument("--gold", type=Path, action="append", required=True, help="development reports with answers; may be repeated")
    parser.add_argument("--test", type=Path, action="append", default=[], help="reports that nothing was tuned on: measured, never fitted")
    parser.add_argument("--cross-validate", action="store_true", help="also measure on the development reports, by hospital (minutes)")
    parser.add_argument("--output", type=Path, default=DEFAULT_FILE, help="where to write (default: the file that the package ships)")
    options = parser.parse_args(arguments)
    samples = samples_of([entry for path in options.gold for entry in read_gold(path)])
    parameters = fit(samples, UNSEEN_ERRORS)
    write_parameters(parameters, options.output)
    own = [sample for sample in samples if sample.is_original]
    print(f"fitted on {len(own)} reports and {len(samples) - len(own)} disturbed ones -> {options.output.name}")
    tests = samples_of([entry for path in options.test for entry in read_gold(path)], with_disturbed=False)
    for key in sorted(parameters.calibrators):
        if tests:
            print(json.dumps({"sources": key, "on reports that were not fitted on": _rounded(figures(scored_by(parameters, tests, key)))}))
        for name, errors in (("without prior", None), ("with prior", UNSEEN_ERRORS)) if options.cross_validate else ():
            held_out = [entry for entry in cross_validated(samples, key, errors) if entry.case.is_original]
            print(json.dumps({"sources": key, f"cross-validated {name}": _rounded(figures(held_out))}))
    return 0


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    raise SystemExit(main())
