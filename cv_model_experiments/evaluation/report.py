"""What an evaluation found: the records that tables, pictures and tests share."""

from __future__ import annotations

from cv_model_experiments.evaluation.cases import Unit
from cv_model_experiments.evaluation.detection import Detections
from cv_model_experiments.evaluation.joining import ModelData
from cv_model_experiments.evaluation.measuring import CaseData, Measured
from cv_model_experiments.evaluation.operating_point import NoOperatingPoint, OperatingPoint
from cv_model_experiments.evaluation.settings import EvaluationSettings
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record

CASE, CLASSES, PICAI, COCO = "cases", "classes", "picai", "COCO"
"""Sections of the report; those of lesions are named after their hit criterion."""


@record
class ModelReport:
    """All of one model: its figures, thresholds, and what figures are drawn from."""

    data: ModelData
    measured: tuple[Measured, ...]
    case_point: OperatingPoint | NoOperatingPoint
    lesion_point: OperatingPoint | NoOperatingPoint | None
    cases: CaseData
    detections: Detections | None
    """By the first hit criterion; None for a pure classifier."""
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.data.name


@record
class Compared:
    """Two models on the same units: ``difference`` is first minus second."""

    first: str
    second: str
    metric: str
    test: str
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    """Adjusted for the number of pairs that this test was made for."""
    note: str = ""


@record
class EvaluationReport:
    """What an evaluation found."""

    rows: tuple[ImageRow, ...]
    units: tuple[Unit, ...]
    models: tuple[ModelReport, ...]
    compared: tuple[Compared, ...]
    notes: tuple[str, ...]
    settings: EvaluationSettings
