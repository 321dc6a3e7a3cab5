"""Choices of inference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weakbox.runtime.config import Settings


class InferenceSettings(Settings):
    """How models are run over images; all of it can be overridden with ``--set``."""

    name: str | None = Field(default=None, description="Name in tables and figures; the first model's where none.")
    parts: tuple[Literal["train", "validation", "test"], ...] = Field(
        default=("validation", "test"), description="Parts of the set that are looked at."
    )
    flips: tuple[int, ...] = Field(
        default=(), description="Axes along which every image is also shown mirrored, -1 the columns: each doubles the time."
    )
    overlap: float = Field(default=0.2, gt=0, lt=1, description="Boxes of models and views that overlap more (IoU) are one.")
    most: int = Field(default=50, ge=1, description="Candidates an image.")
    out_of_fold: bool = Field(
        default=True, description="An image of a fold's validation part is only shown to that fold's model, others to all models."
    )
    detection_maps: Literal["none", "box", "ellipsoid"] = Field(
        default="ellipsoid",
        description="3-D: picai detection maps; boxes painted as boxes or ellipsoids. Segmentations keep their own shape.",
    )
    object_score: float = Field(default=0.1, ge=0, le=1, description="Raw studies: candidates from this score on go into DICOM objects.")
    organ: Literal["prostate", "breast"] = Field(default="prostate", description="Raw studies: the organ.")
    explain: Literal["none", "grad_cam", "grad_cam_pp", "occlusion"] = Field(default="none", description="Draw where the model looks.")
    explain_images: int = Field(default=16, ge=1, description="At most so many pictures.")
    device: str = Field(default="auto", description="`auto`, `cpu`, `cuda`, `cuda:1`.")
    windows_at_once: int | None = Field(default=None, ge=1, description="Windows a step; none: what the model was trained with.")
