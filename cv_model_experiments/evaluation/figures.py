"""Pictures of an evaluation: ROC, precision-recall, FROC, calibration, confusion. The same report gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cv_model_experiments.evaluation.classification import calibration_bins, confusion_at, confusion_matrix
from cv_model_experiments.evaluation.measuring import ALL, class_data
from cv_model_experiments.evaluation.operating_point import OperatingPoint
from cv_model_experiments.evaluation.ranking import Ranked
from cv_model_experiments.evaluation.report import CASE, EvaluationReport, ModelReport
from weakbox.audit.drawing import INK, MUTED, PALETTE, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTIONS: Mapping[str, str] = {
    "roc.png": "Case scores: true against false positive rate. The dot is the threshold that validation chose.",
    "precision_recall.png": "Case scores: precision against sensitivity. Dashed: the share of positives, which chance reaches.",
    "froc.png": "Lesions found against false positives a unit, by the first hit criterion. The dot is the threshold that validation chose.",
    "lesion_precision_recall.png": "Candidates: precision against lesions found; its area is AP (steps, no interpolation).",
    "calibration.png": "Share of positives in bins of equal width against the mean probability; a dot's area is its number of cases.",
    "confusion.png": "Cases at the threshold that validation chose, or images by their most probable class; rows are the truth.",
    "sample_overlays.png": "Truth (solid), candidates (dashed, with score): misses and false alarms first.",
}
LOWEST_RATE, HIGHEST_RATE = 0.1, 10.0


def write_figures(report: EvaluationReport, folder: Path) -> tuple[Path, ...]:
    """Draw what there is data for into ``folder``; returns the files."""
    makers: Mapping[str, Callable[[EvaluationReport], Figure | None]] = {
        "roc.png": roc,
        "precision_recall.png": precision_recall,
        "froc.png": froc,
        "lesion_precision_recall.png": lesion_precision_recall,
        "calibration.png": calibration,
        "confusion.png": confusion,
    }
    made = []
    for name, maker in makers.items():
        figure = maker(report)
        if figure is not None:
            save_figure(figure, folder / name)
            made.append(folder / name)
    return tuple(made)


def _axes(width: float = 5.2, height: float = 4.6) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    return figure, figure.add_subplot()


def _finish(figure: Figure, axes: Axes, title: str, across: str, up: str) -> Figure:
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False, loc="best")
    figure.tight_layout()
    return figure


def _legend(model: ModelReport, section: str, metric: str) -> str:
    found = next(
        (item.estimate for item in model.measured if (item.group, item.section, item.estimate.metric) == (ALL, section, metric)), None
    )
    if found is None or found.value is None:
        return model.name
    interval = f" ({found.low:.2f} to {found.high:.2f})" if found.low is not None and found.high is not None else ""
    return f"{model.name}: {metric} {found.value:.3f}{interval}"


def _ranked(model: ModelReport) -> Ranked | None:
    targets = model.cases.targets
    return Ranked(targets, model.cases.scores) if len(targets) and 0 < targets.sum() < len(targets) else None


def roc(report: EvaluationReport) -> Figure | None:
    """ROC curves of case scores."""
    curves = [(model, ranked) for model in report.models if (ranked := _ranked(model)) is not None]
    if not curves:
        return None
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    for place, (model, ranked) in enumerate(curves):
        false, true, thresholds = ranked.roc()
        colour = PALETTE[place % len(PALETTE)]
        axes.plot(false, true, color=colour, linewidth=1.6, label=_legend(model, CASE, "AUROC"))
        if isinstance(model.case_point, OperatingPoint):
            at = int(np.flatnonzero(thresholds >= model.case_point.threshold)[-1])
            axes.plot(false[at], true[at], "o", color=colour, markersize=5)
    return _finish(figure, axes, "ROC of cases", "1 - specificity", "sensitivity")


def precision_recall(report: EvaluationReport) -> Figure | None:
    """Precision-recall curves of case scores."""
    curves = [(model, ranked) for model in report.models if (ranked := _ranked(model)) is not None]
    if not curves:
        return None
    figure, axes = _axes()
    axes.axhline(float(curves[0][1].targets.mean()), color=MUTED, linewidth=0.8, linestyle="--")
    for place, (model, ranked) in enumerate(curves):
        hits, alarms = ranked.counts()
        axes.step(
            np.concatenate([[0.0], hits / hits[-1]]), np.concatenate([(hits / (hits + alarms))[:1], hits / (hits + alarms)]), where="pre",
            color=PALETTE[place % len(PALETTE)], linewidth=1.6, label=_legend(model, CASE, "AUPRC"),
        )  # fmt: skip
    axes.set_ylim(0, 1.02)
    return _finish(figure, axes, "Precision and recall of cases", "sensitivity", "precision")


def _detectors(report: EvaluationReport) -> list[ModelReport]:
    return [model for model in report.models if model.detections is not None and model.detections.lesions]


def froc(report: EvaluationReport) -> Figure | None:
    """FROC curves of candidates."""
    models = _detectors(report)
    if not models:
        return None
    figure, axes = _axes()
    for place, model in enumerate(models):
        assert model.detections is not None
        rates, sensitivities, thresholds = model.detections.ranked.froc(len(model.detections.units))
        colour = PALETTE[place % len(PALETTE)]
        end = max(HIGHEST_RATE, float(rates[-1]))
        axes.step([*rates, end], [*sensitivities, sensitivities[-1]], where="post", color=colour, linewidth=1.6, label=model.name)
        if isinstance(model.lesion_point, OperatingPoint):
            at = int(np.flatnonzero(thresholds >= model.lesion_point.threshold)[-1])
            axes.plot(max(rates[at], LOWEST_RATE), sensitivities[at], "o", color=colour, markersize=5)
    axes.set_xscale("log")
    axes.set_xlim(LOWEST_RATE, HIGHEST_RATE)
    axes.set_ylim(0, 1.02)
    return _finish(
        figure, axes, f"FROC ({report.settings.hit_criteria[0]})", f"false positives per {report.settings.unit}", "lesions found"
    )


def lesion_precision_recall(report: EvaluationReport) -> Figure | None:
    """Precision-recall curves of candidates."""
    models = _detectors(report)
    if not models:
        return None
    figure, axes = _axes()
    section = f"lesions {report.settings.hit_criteria[0]}"
    for place, model in enumerate(models):
        assert model.detections is not None
        precision, recall, _ = model.detections.ranked.precision_recall()
        label = _legend(model, section, "AP")
        axes.step(
            [0.0, *recall], [*precision[:1], *precision], where="pre", color=PALETTE[place % len(PALETTE)], linewidth=1.6, label=label
        )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    return _finish(figure, axes, f"Precision and recall of candidates ({report.settings.hit_criteria[0]})", "lesions found", "precision")


def calibration(report: EvaluationReport) -> Figure | None:
    """Reliability of the positive classes' probability."""
    models = [model for model in report.models if model.cases.is_probability and model.cases.units]
    if not models:
        return None
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    for place, model in enumerate(models):
        bins = calibration_bins(model.cases.targets, model.cases.scores, report.settings.calibration_bins)
        places, shares = [item.mean_probability for item in bins], [item.share_positive for item in bins]
        colour = PALETTE[place % len(PALETTE)]
        axes.plot(places, shares, color=colour, linewidth=1.4, label=_legend(model, CASE, "ECE"))
        axes.scatter(
            places, shares, s=[8 + 120 * item.count / len(model.cases.units) for item in bins], color=colour, alpha=0.7, linewidths=0
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    return _finish(figure, axes, "Calibration", "mean probability", "share of positives")


def confusion(report: EvaluationReport) -> Figure | None:
    """Confusion matrices, one a model."""
    tables = [(model.name, *table) for model in report.models if (table := _confusion(model)) is not None]
    if not tables:
        return None
    figure = new_figure(3.4 * len(tables) + 0.4, 3.5)
    for place, (name, matrix, names) in enumerate(tables, 1):
        axes = figure.add_subplot(1, len(tables), place)
        totals = matrix.sum(axis=1, keepdims=True)
        shares = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            colour = "white" if shares[row, column] > 0.6 else INK
            axes.text(
                column, row, f"{int(matrix[row, column])}\n{shares[row, column]:.0%}", ha="center", va="center", fontsize=7, color=colour
            )
        axes.set_xticks(range(len(names)), names, fontsize=7, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set_title(name, fontsize=9, color=INK, loc="left")
        axes.set_xlabel("called", fontsize=8)
        axes.set_ylabel("truth", fontsize=8)
    figure.tight_layout()
    return figure


def _confusion(model: ModelReport) -> tuple[np.ndarray, tuple[str, ...]] | None:
    header = model.data.predictions.header
    if len(header.classes) > 2:
        truth, probabilities, known, _ = class_data(model.cases.units, model.data.evaluated, header)
        return (confusion_matrix(truth, probabilities.argmax(axis=1), len(header.classes)), header.classes) if known else None
    if not isinstance(model.case_point, OperatingPoint) or not model.cases.units:
        return None
    found = confusion_at(model.cases.targets, model.cases.scores, model.case_point.threshold)
    matrix = np.array([[found.true_negative, found.false_positive], [found.false_negative, found.true_positive]])
    return matrix, ("negative", "positive")
