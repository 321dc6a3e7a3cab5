"""An evaluation as tables: every figure (CSV), the comparison of models (CSV and Markdown), and all of it as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from cv_model_experiments.evaluation.estimates import Estimate
from cv_model_experiments.evaluation.measuring import ALL, Measured
from cv_model_experiments.evaluation.operating_point import NoOperatingPoint, OperatingPoint
from cv_model_experiments.evaluation.report import Compared, EvaluationReport, ModelReport
from weakbox.runtime.store import write_text

MEASURES_CSV, COMPARISON_CSV, COMPARISON_MD, TESTS_CSV, REPORT_JSON, FROC_CSV = (
    "measures.csv", "comparison.csv", "comparison.md", "tests.csv", "evaluation.json", "froc.csv"
)  # fmt: skip
_ESTIMATE = tuple(field.name for field in fields(Estimate))
_COMPARED = tuple(field.name for field in fields(Compared))
DASH = "-"
N_MEANING = "Value (95 % interval). n: units, in brackets the positive ones or their lesions; of a proportion, its denominator."


def write_tables(report: EvaluationReport, folder: Path) -> tuple[Path, ...]:
    """Write all tables into ``folder``; returns the files."""
    contents = {
        MEASURES_CSV: _csv(("model", "group", "section", *_ESTIMATE), (_measure_cells(item) for item in all_measures(report))),
        COMPARISON_CSV: _csv(comparison_header(report), comparison_rows(report, number_cell)),
        TESTS_CSV: _csv(_COMPARED, ([getattr(item, name) for name in _COMPARED] for item in report.compared)),
        FROC_CSV: _csv(("model", "false_positives_a_unit", "sensitivity", "threshold"), _froc_points(report)),
        COMPARISON_MD: as_markdown(report),
        REPORT_JSON: as_json(report),
    }
    for name, text in contents.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in contents)


def all_measures(report: EvaluationReport) -> tuple[Measured, ...]:
    """Figures of all models, model by model."""
    return tuple(item for model in report.models for item in model.measured)


def _measure_cells(item: Measured) -> list[Any]:
    return [item.model, item.group, item.section, *(getattr(item.estimate, name) for name in _ESTIMATE)]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else cell for cell in row] for row in rows)
    return text.getvalue()


def _froc_points(report: EvaluationReport) -> Iterable[tuple[str, float, float, float]]:
    for model in report.models:
        if model.detections is not None and model.detections.lesions:
            rates, sensitivities, thresholds = model.detections.ranked.froc(len(model.detections.units))
            for point in zip(rates, sensitivities, thresholds, strict=True):
                yield model.name, float(point[0]), float(point[1]), float(point[2])


def comparison_header(report: EvaluationReport) -> tuple[str, ...]:
    """Columns of the comparison: what is measured, then the models."""
    return ("section", "metric", "n", *(model.name for model in report.models))


def comparison_rows(report: EvaluationReport, cell: Any) -> list[list[Any]]:
    """One row a figure of all units, one column a model."""
    found: dict[tuple[str, str], dict[str, Estimate]] = {}
    for item in all_measures(report):
        if item.group == ALL:
            found.setdefault((item.section, item.estimate.metric), {})[item.model] = item.estimate
    names = [model.name for model in report.models]
    return [
        [section, metric, count_cell(next(iter(own.values()))), *(cell(own.get(name)) for name in names)]
        for (section, metric), own in sorted(found.items(), key=lambda pair: _section_order(pair[0][0]))
    ]


def _section_order(section: str) -> int:
    """Sections of one kind keep the order in which they were measured."""
    order = ("picai", "cases", "classes", "lesions", "COCO")
    return next((place for place, start in enumerate(order) if section.startswith(start)), len(order))


def count_cell(estimate: Estimate) -> str:
    return str(estimate.count) if estimate.positives is None else f"{estimate.count} ({estimate.positives}+)"


def number_cell(estimate: Estimate | None) -> float | None:
    """The bare value."""
    return None if estimate is None else estimate.value


def text_cell(estimate: Estimate | None) -> str:
    """``0.812 (0.744 to 0.871)``."""
    if estimate is None or estimate.value is None:
        return DASH
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def subgroup_rows(report: EvaluationReport) -> list[list[str]]:
    """One row a subgroup, section and figure; every one with its n."""
    found: dict[tuple[str, str, str], dict[str, Estimate]] = {}
    for item in all_measures(report):
        if item.group != ALL:
            found.setdefault((item.group, item.section, item.estimate.metric), {})[item.model] = item.estimate
    names = [model.name for model in report.models]
    return [
        [*key, count_cell(next(iter(own.values()))), *(text_cell(own.get(name)) for name in names)]
        for key, own in sorted(found.items(), key=lambda pair: (pair[0][0], _section_order(pair[0][1])))
    ]


def rows_of_tests(report: EvaluationReport) -> list[list[str]]:
    """The tests between models as text."""
    return [
        [
            item.metric,
            item.test,
            f"{item.first} - {item.second}",
            DASH if math.isnan(item.difference) else f"{item.difference:+.3f}",
            DASH if item.low is None or item.high is None else f"{item.low:+.3f} to {item.high:+.3f}",
            _p_cell(item.p_value),
            _p_cell(item.p_holm),
            item.note,
        ]
        for item in report.compared
    ]


TEST_HEADER = ("metric", "test", "models", "difference", "95 % interval", "p", "p (Holm)", "note")


def _p_cell(p_value: float | None) -> str:
    return DASH if p_value is None else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def point_rows(report: EvaluationReport) -> list[list[str]]:
    """The thresholds of each model and how they were chosen."""
    return [
        [model.name, what, *_point_cells(point)]
        for model in report.models
        for what, point in (("cases", model.case_point), ("lesions", model.lesion_point))
        if point is not None
    ]


POINT_HEADER = ("model", "of", "rule", "threshold", "on validation", "reached there")


def _point_cells(point: OperatingPoint | NoOperatingPoint) -> list[str]:
    if isinstance(point, NoOperatingPoint):
        return [point.rule, DASH, point.reason, DASH]
    return [point.rule, f"{point.threshold:.4g}", f"n = {point.count} ({point.positives}+)", f"{point.reached:.3f}"]


def as_markdown(report: EvaluationReport) -> str:
    """The report as Markdown: notes, comparison, tests, thresholds, subgroups."""
    names = [model.name for model in report.models]
    parts = [f"# Evaluation of {', '.join(names)}", "", headline(report), ""]
    parts += [f"- {note}" for note in all_notes(report)] + [""]
    parts += ["## Figures", "", N_MEANING, ""]
    parts += _markdown_table(comparison_header(report), comparison_rows(report, text_cell))
    if report.compared:
        parts += ["", "## Tests between models", "", *_markdown_table(TEST_HEADER, rows_of_tests(report))]
    parts += ["", "## Thresholds, chosen on validation", "", *_markdown_table(POINT_HEADER, point_rows(report))]
    subgroups = subgroup_rows(report)
    if subgroups:
        parts += ["", "## Subgroups", "", *_markdown_table(("subgroup", "section", "metric", "n", *names), subgroups)]
    return "\n".join(parts) + "\n"


def headline(report: EvaluationReport) -> str:
    """What was evaluated, in one sentence."""
    patients = len({unit.patient for unit in report.units})
    positives = sum(bool(unit.is_positive) for unit in report.units)
    return (
        f"Part `{report.settings.part}`: {len(report.rows)} images, {len(report.units)} units ({report.settings.unit}), "
        f"{positives} of them positive, {patients} patients. Intervals: {report.settings.bootstrap.draws} draws of patients, "
        f"stratified by class, seed {report.settings.bootstrap.seed}."
    )


def all_notes(report: EvaluationReport) -> tuple[str, ...]:
    """Everything a reader must know before believing a figure."""
    return (*report.notes, *(note for model in report.models for note in model.notes))


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def as_json(report: EvaluationReport) -> str:
    """Everything, for programs: settings, notes, figures, thresholds and tests."""
    content = {
        "settings": report.settings.model_dump(mode="json", exclude={"lesion_table"}),
        "headline": headline(report),
        "notes": all_notes(report),
        "measures": [asdict(item) for item in all_measures(report)],
        "operating_points": {model.name: _points(model) for model in report.models},
        "tests": [asdict(item) for item in report.compared],
    }
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def _points(model: ModelReport) -> dict[str, Any]:
    points = {"cases": model.case_point, "lesions": model.lesion_point}
    return {name: asdict(point) for name, point in points.items() if point is not None}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
