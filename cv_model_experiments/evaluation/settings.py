"""Every choice of an evaluation, validated; unknown keys are refused with the nearest name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from weakbox.runtime.config import Settings

POSITIVE_CLASSES = ("malignant", "melanoma", "csPCa", "ISUP_2", "ISUP_3", "ISUP_4", "ISUP_5")
ISUP_ORDER = ("ISUP_0", "ISUP_1", "ISUP_2", "ISUP_3", "ISUP_4", "ISUP_5")
FALSE_POSITIVE_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""LUNA16's seven rates; their mean is its score (CPM)."""


class PaintingSettings(Settings):
    """How predicted boxes become a picai detection map. Changing it changes AP."""

    shape: Literal["box", "ellipsoid"] = Field(default="box", description="A candidate's shape: its box, or the ellipsoid in it.")
    gap: int = Field(default=1, ge=1, description="Voxels that must lie between two candidates; the lower score is left out.")
    smallest: int = Field(default=1, ge=1, description="Candidates of fewer voxels are left out.")


class SelectionSettings(Settings):
    """Which images of the part are evaluated; predictions must cover all of them."""

    datasets: tuple[str, ...] = Field(default=(), description="Only these data sets; all where empty.")
    organs: tuple[str, ...] = Field(default=(), description="Only these organs; all where empty.")
    modalities: tuple[str, ...] = Field(default=(), description="Only these modalities; all where empty.")
    tiers: tuple[str, ...] = Field(default=(), description="Only these label tiers, for example `[expert]`; all where empty.")


class BootstrapSettings(Settings):
    """How intervals and tests are drawn."""

    draws: int = Field(default=1000, ge=20, description="Draws of patients for intervals.")
    permutations: int = Field(default=1000, ge=20, description="Draws of the permutation test.")
    seed: int = Field(default=20231, ge=0, description="Seed of both.")


class EvaluationSettings(Settings):
    """What is measured, on which images, and against which truth."""

    part: Literal["test", "validation"] = Field(default="test", description="Part of the set that is evaluated.")
    select: SelectionSettings = Field(default=SelectionSettings(), description="Images of that part.")
    unit: Literal["image", "case"] = Field(
        default="image", description="What false positives and case scores count: an image, or all images of a case."
    )
    positive_classes: tuple[str, ...] = Field(default=POSITIVE_CLASSES, min_length=1, description="Classes that shall be found.")
    lesions: Literal["positive", "all"] = Field(
        default="positive", description="Truth of detection: boxes of a positive class, or every box whatever its class."
    )
    other_lesions: Literal["background", "ignored"] = Field(
        default="background",
        description="`lesions: positive`: a candidate on a lesion of another class is a false positive, or does not count.",
    )
    class_order: tuple[str, ...] = Field(
        default=ISUP_ORDER, description="Classes in order, for quadratic kappa, where the model has them all."
    )
    hit_criteria: tuple[str, ...] = Field(
        default=("iou:0.1", "iou:0.3", "iou:0.5", "centre", "distance:5", "distance:10"),
        min_length=1,
        description="When a candidate has found a lesion; the first one is used for tests and subgroups.",
    )
    false_positive_rates: tuple[float, ...] = Field(default=FALSE_POSITIVE_RATES, min_length=1, description="Of the FROC table, a unit.")
    case_operating_point: str = Field(default="youden", description="`youden`, `sensitivity:0.9` or `specificity:0.9`, on validation.")
    lesion_operating_point: str = Field(
        default="false_positives:1", description="`false_positives:1` (a unit) or `sensitivity:0.9`, on validation."
    )
    calibration_bins: int = Field(default=10, ge=2, description="Bins of equal width for calibration.")
    bootstrap: BootstrapSettings = Field(default=BootstrapSettings(), description="Intervals and tests.")
    painting: PaintingSettings = Field(default=PaintingSettings(), description="Boxes as picai detection maps.")
    picai: bool = Field(default=True, description="Also score by picai_eval, on masks where the set has them, else on painted boxes.")
    subgroups: tuple[str, ...] = Field(
        default=(
            "dataset",
            "tier",
            "manufacturer",
            "view",
            "laterality",
            "breast_density",
            "sex",
            "age",
            "zone",
            "pirads",
            "lesion_size",
            "lesion_isup",
            "lesion_type",
            "lesion_tier",
            "lesion_zone",
            "lesion_pirads",
        ),
        description="Facts of images, or (`lesion_...`) of lesions; an unknown name is looked up in `attributes` of the manifest.",
    )
    smallest_subgroup: int = Field(default=10, ge=1, description="Subgroups of fewer cases or lesions get no value, only their n.")
    lesion_table: Path | None = Field(
        default=None, description="CSV with `label_id` and further columns (zone, pirads ...) for subgroups of lesions."
    )
    missing_predictions: Literal["refuse", "nothing_found"] = Field(
        default="refuse", description="Images without a prediction: refused, or counted as nothing found (detection only)."
    )
    overlays: int = Field(default=12, ge=0, description="Pictures with true and predicted boxes, a model.")
