"""Choices of a detection experiment, beside what all experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from cv_model_experiments.data.augmentation import PRESETS, AugmentationSettings
from cv_model_experiments.settings import ExperimentSettings, LearningSettings
from weakbox.runtime.config import Settings

LESION = "lesion"
"""The one class of a detector that does not tell classes apart."""


class ImageSettings(Settings):
    """What a model is shown. Sizes and spacings are along tensor axes: (row, column), or (slice, row, column)."""

    channels: tuple[str, ...] = Field(
        default=(), description="3-D: files of a case, for example [t2w, adc, high_b]. Empty: 2-D pictures in grey."
    )
    spacing_mm: tuple[float, float, float] | None = Field(default=None, description="3-D: resampled to this; none: as exported.")
    size: tuple[int, ...] | None = Field(
        default=None, description="2-D (needed): fitted into this. 3-D: cut or filled around the centre; none: as it is."
    )

    @property
    def axes(self) -> int:
        """2 or 3."""
        return 3 if self.channels else 2

    @property
    def channel_count(self) -> int:
        """Channels of the network's input."""
        return max(1, len(self.channels))

    @model_validator(mode="after")
    def _sizes_fit(self) -> ImageSettings:
        if self.size is None and self.axes == 2:
            msg = "size: a 2-D experiment needs the size that pictures are fitted into, for example [1024, 768]"
            raise ValueError(msg)
        if self.size is not None and (len(self.size) != self.axes or min(self.size) < 1):
            msg = f"size: expected {self.axes} lengths of at least 1, got {list(self.size)}"
            raise ValueError(msg)
        return self


class LesionSettings(Settings):
    """Which boxes are lesions to find, of which class, and how far they are to be trusted."""

    classes: tuple[str, ...] = Field(
        default=(), description="Labels of boxes that are told apart, for example [benign, malignant]. Empty: all are `lesion`."
    )
    positive_labels: tuple[str, ...] = Field(
        default=(), description="Only boxes with these labels are lesions to find; all where empty. `none`: boxes without a label."
    )
    other_boxes: Literal["ignore", "background"] = Field(
        default="ignore", description="Boxes that are not looked for: neither lesion nor background, or background."
    )
    confidence_as: Literal["nothing", "weight", "target"] = Field(
        default="weight", description="A box's confidence: unused, the weight of its loss, or the probability that is learnt (soft label)."
    )
    least_confidence: float = Field(default=0.05, ge=0, le=1, description="Confidence below this counts as this.")
    band_mm: Mapping[str, float] = Field(
        default_factory=dict,
        description="Width of the band around a box, by tier, in which nothing is background: for example `{report_sector: 5}`.",
    )
    band_pixels: float = Field(default=0.0, ge=0, description="The band's width in shown pixels of images without a spacing.")
    stated_band: float = Field(
        default=1.0, ge=0, description="Where band_mm names no tier: multiple of the uncertainty that a 3-D case's labels file states."
    )
    bag_weight: float = Field(
        default=0.0, ge=0, description="Weight of the case-level loss (MIL) of images with a positive class but no box; 0: left out."
    )
    bag_labels: tuple[str, ...] = Field(
        default=("malignant", "csPCa", "ISUP_2", "ISUP_3", "ISUP_4", "ISUP_5"),
        description="Classes of an image that say that a lesion is in it.",
    )


class PatchSettings(Settings):
    """What of an image one sample shows."""

    size: tuple[int, ...] = Field(description="Along tensor axes; larger than the image is filled up.")
    a_image: int = Field(default=2, ge=1, description="Patches of an image an epoch.")
    lesion_share: float = Field(default=0.6, ge=0, le=1, description="Share of patches of an image with lesions that hold one.")
    least_volume: float = Field(default=0.4, gt=0, le=1, description="A box of which a patch holds less than this is ignored there.")


class NetworkSettings(Settings):
    """The encoder and its pyramid. Strides are along tensor axes."""

    kind: Literal["plain", "resnet10", "resnet18", "resnet34", "resnet50"] = Field(
        default="plain", description="`plain`: residual stages with the strides below. `resnetNN`: MONAI's, whose first stage halves twice."
    )
    widths: tuple[int, ...] = Field(default=(24, 48, 96, 128), description="`plain`: channels of each stage.")
    strides: tuple[tuple[int, ...], ...] = Field(
        default=(), description="`plain`: stride of each stage. Empty: 1, then 2, along slices only where the others caught up."
    )
    returned: tuple[int, ...] = Field(default=(1, 2), description="Stages whose maps carry anchors, from 0.")
    pyramid_width: int = Field(default=48, ge=8, multiple_of=8, description="Channels of the pyramid.")

    @model_validator(mode="after")
    def _stages_exist(self) -> NetworkSettings:
        stages = len(self.widths) if self.kind == "plain" else 4
        if (
            not self.returned
            or any(not 0 <= stage < stages for stage in self.returned)
            or list(self.returned) != sorted(set(self.returned))
        ):
            msg = f"returned: stages 0 to {stages - 1} in rising order, got {list(self.returned)}"
            raise ValueError(msg)
        if self.strides and len(self.strides) != stages:
            msg = f"strides: one for each of the {stages} stages, got {len(self.strides)}"
            raise ValueError(msg)
        return self


class AnchorSettings(Settings):
    """Anchors are fitted to the boxes of the training part, in voxels of the shown image."""

    count: int = Field(default=3, ge=1, le=12, description="Shapes at each place.")
    shapes: tuple[tuple[float, ...], ...] = Field(default=(), description="Given shapes instead of fitted ones, along tensor axes.")
    candidates: int = Field(default=4, ge=1, description="ATSS: places a pyramid level that compete for a box.")


class BoxLossSettings(Settings):
    """Loss of RetinaNet."""

    classification: Literal["bce", "focal"] = Field(default="bce", description="`bce` on hard negatives, or `focal` on all anchors.")
    gamma: float = Field(default=2.0, ge=0, description="`focal`: exponent.")
    alpha: float = Field(default=0.25, gt=0, lt=1, description="`focal`: weight of positives.")
    regression: Literal["smooth_l1", "giou"] = Field(default="giou", description="Loss of the box's place and size.")
    regression_weight: float = Field(default=1.0, ge=0, description="Against classification.")
    anchors_an_image: int = Field(default=64, ge=4, description="`bce`: anchors that are learnt from, a patch.")
    positive_share: float = Field(default=0.3, gt=0, lt=1, description="`bce`: of these, at most.")
    hard_pool: float = Field(default=10.0, ge=1, description="`bce`: negatives are drawn from so many times as many of the highest scores.")


class SegmentationSettings(Settings):
    """U-Net on ellipsoids inscribed in the boxes."""

    network: Literal["dynunet", "unet"] = Field(default="dynunet", description="MONAI's DynUNet (nnU-Net) or UNet with residual units.")
    dice_weight: float = Field(default=0.5, ge=0, le=1, description="Dice against cross-entropy with focus.")
    gamma: float = Field(default=1.0, ge=0, description="Focus of the cross-entropy; picai_baseline uses 1.")
    extraction: Literal["dynamic", "static"] = Field(
        default="dynamic", description="How candidates are cut from probabilities, as picai does."
    )
    threshold: float = Field(default=0.1, gt=0, lt=1, description="`static`: lowest probability of a candidate's voxels.")
    peak_share: float = Field(
        default=0.4, gt=0, le=1, description="`dynamic`: a candidate holds connected voxels of at least this share of its peak."
    )
    least_peak: float = Field(default=0.01, gt=0, lt=1, description="`dynamic`: no candidate below this peak.")
    least_voxels: int = Field(default=10, ge=1, description="Smaller candidates are dropped.")
    most: int = Field(default=5, ge=1, description="Candidates an image.")


class SelectionSettings(Settings):
    """Which boxes leave the detector."""

    least_score: float = Field(default=0.02, ge=0, lt=1, description="Boxes below this score are dropped.")
    overlap: float = Field(default=0.22, gt=0, lt=1, description="Of boxes that overlap more (IoU), the better one is kept.")
    most: int = Field(default=50, ge=1, description="Boxes an image.")
    candidates_a_level: int = Field(default=500, ge=1, description="Before that, a pyramid level.")
    window_overlap: float = Field(default=0.25, ge=0, lt=1, description="Of the windows that slide over images larger than a patch.")
    windows_at_once: int = Field(default=1, ge=1, description="Windows a step; less needs less memory.")


class DetectionSettings(ExperimentSettings):
    """The file of a detection experiment."""

    task: Literal["detection"] = Field(default="detection", description="This task.")
    method: Literal["retinanet", "segmentation"] = Field(
        default="retinanet", description="Boxes directly, or a U-Net whose components become boxes."
    )
    images: ImageSettings = Field(description="What a model is shown.")
    lesions: LesionSettings = Field(default=LesionSettings(), description="Which boxes are lesions.")
    patches: PatchSettings = Field(description="Patches that are trained on.")
    network: NetworkSettings = Field(default=NetworkSettings(), description="Encoder.")
    anchors: AnchorSettings = Field(default=AnchorSettings(), description="Anchors of RetinaNet.")
    loss: BoxLossSettings = Field(default=BoxLossSettings(), description="Loss of RetinaNet.")
    segmentation: SegmentationSettings = Field(default=SegmentationSettings(), description="The second way.")
    selection: SelectionSettings = Field(default=SelectionSettings(), description="Which boxes are kept.")
    augmentation: str | AugmentationSettings = Field(
        default="none", description=f"One of {', '.join(sorted(PRESETS))}, or each part's strength."
    )
    learning: LearningSettings = Field(
        default=LearningSettings(batch_size=4, monitor="froc_1", monitor_mode="max"), description="The loop."
    )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of what is told apart."""
        return self.lesions.classes or (LESION,)

    @property
    def augmentation_parts(self) -> AugmentationSettings:
        """The strengths."""
        return PRESETS[self.augmentation] if isinstance(self.augmentation, str) else self.augmentation

    @model_validator(mode="after")
    def _parts_fit(self) -> DetectionSettings:
        axes = self.images.axes
        if len(self.patches.size) != axes or min(self.patches.size) < 1:
            msg = f"patches.size: expected {axes} lengths, got {list(self.patches.size)}"
            raise ValueError(msg)
        if isinstance(self.augmentation, str) and self.augmentation not in PRESETS:
            msg = f"augmentation: there is no preset {self.augmentation!r} (there are: {', '.join(sorted(PRESETS))})"
            raise ValueError(msg)
        if any(len(shape) != axes for shape in (*self.anchors.shapes, *self.network.strides)):
            msg = f"anchors.shapes and network.strides: expected {axes} numbers each"
            raise ValueError(msg)
        return self
