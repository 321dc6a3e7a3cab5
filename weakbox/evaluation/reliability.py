"""How far a confidence may be believed: calibration error, risk against coverage, and coverage at one per cent risk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weakbox.evaluation.gold import GoldReport
from weakbox.extractors.agreement import align, is_empty, nested, same_value
from weakbox.extractors.contract import shape_of
from weakbox.extractors.risk_control import coverage_at_risk, expected_calibration_error
from weakbox.records.record import record


@record
class Judged:
    """One emitted value: how sure the extraction was of it, and whether the gold answer agrees."""

    report_id: str
    field: str
    confidence: float
    is_right: bool


def judged_values(pairs: Iterable[tuple[GoldReport, Mapping[str, Any]]]) -> list[Judged]:
    """Every emitted value with its confidence; a value of an item that the gold does not have is wrong."""
    found = []
    for gold, answer in pairs:
        shape = shape_of(str(gold.report.organ), gold.report.report_type)
        confidences = answer.get("confidence") or {}
        expected, got = list(gold.body[shape.item_kind]), list(answer.get(shape.item_kind) or ())
        partner = {j: expected[i] for i, j in align(expected, got, shape.identity)}
        leaves = [(f.name, f.name, nested(answer, f.name), nested(gold.body, f.name)) for f in shape.exam if not f.is_internal]
        for j, item in enumerate(got):
            leaves += [
                (f.name, f"{shape.item_kind}[{j}].{f.name}", item.get(f.name), partner.get(j, {}).get(f.name))
                for f in shape.item
                if not f.is_internal
            ]
        found += [
            Judged(report_id=gold.report.report_id, field=name, confidence=confidences.get(path, 0.0), is_right=same_value(value, truth))
            for name, path, value, truth in leaves
            if not is_empty(value)
        ]
    return found


def reliability(pairs: Sequence[tuple[GoldReport, Mapping[str, Any]]]) -> dict[str, float]:
    """The figures over all emitted values, and over the reports whose status is ok."""
    judged = judged_values(pairs)
    confidences, rights = [value.confidence for value in judged], [value.is_right for value in judged]
    accepted = {gold.report.report_id for gold, answer in pairs if answer.get("status") == "ok"}
    kept = [value.is_right for value in judged if value.report_id in accepted]
    return {
        "expected calibration error of field confidences": expected_calibration_error(confidences, rights),
        "coverage of values at 1 % risk": coverage_at_risk(confidences, rights),
        "share of reports accepted without review": len(accepted) / max(len(pairs), 1),
        "accuracy of values in accepted reports": sum(kept) / len(kept) if kept else 1.0,
    }
