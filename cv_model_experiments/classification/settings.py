"""Choices of a classification experiment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from cv_model_experiments.data.augmentation import PRESETS, AugmentationSettings
from cv_model_experiments.losses.classification import ClassificationLossSettings
from cv_model_experiments.settings import ExperimentSettings
from weakbox.runtime.config import Settings
from weakbox.runtime.nearest import nearest_name


class InputSettings(Settings):
    """What one sample is, and how it is prepared."""

    scope: Literal["image", "roi", "case"] = Field(
        default="image",
        description="`image`: the whole image; `roi`: a crop around each box; `case`: the views of a breast or study together.",
    )
    case: Literal["breast", "study"] = Field(default="breast", description="`case`: what the views belong to.")
    most_views: int = Field(default=4, ge=1, description="`case`: views a sample; further ones are left out.")
    axes: Literal[2, 3] = Field(default=2, description="2: pictures; 3: volumes.")
    size: tuple[int, ...] = Field(default=(224, 224), description="Rows and columns; of volumes slices, rows, columns.")
    spacing_mm: tuple[float, float, float] | None = Field(
        default=None, description="3-D: spacing along slice, row, column; as exported where none, which must then be one."
    )
    channels: tuple[str, ...] = Field(default=("t2w", "adc", "high_b"), description="3-D: the channels, files beside the reference volume.")
    colour: bool = Field(default=False, description="2-D: keep colour (skin).")
    margin: float = Field(default=0.25, ge=0, description="`roi`: context on each side, as a share of the box.")
    mirror_right: bool = Field(default=False, description="Mammograms: show right breasts like left ones.")

    @model_validator(mode="after")
    def _size_fits_axes(self) -> InputSettings:
        if len(self.size) != self.axes or min(self.size) < 8:
            msg = f"size: {self.axes} numbers of at least 8 are expected for axes: {self.axes}"
            raise ValueError(msg)
        if self.scope == "case" and self.axes == 3:
            msg = "scope: a case of several views is 2-D; a volume is one sample: write scope: image"
            raise ValueError(msg)
        return self


class ModelSettings(Settings):
    """The architecture."""

    name: str = Field(
        default="resnet18", description="`vgg16`, `vgg16_medical`, `efficientnet_b0`, `densenet121`, `resnet18`, `resnet50`, `light_cnn`."
    )
    weights: Literal["none", "imagenet", "file"] = Field(default="none", description="`imagenet` is 2-D and fetched by torchvision.")
    weights_file: Path | None = Field(
        default=None, description="`file`: a state dictionary (.pt, .pth, .safetensors) of torchvision, MONAI, timm ..."
    )
    unfrozen_blocks: int | None = Field(
        default=None,
        ge=0,
        description="Last blocks of the backbone that are trained; none: with weights `vgg16` 0, `vgg16_medical` 2, others all.",
    )
    dropout: float | None = Field(default=None, ge=0, lt=1, description="Of the head; none: what the architecture says.")
    width: int = Field(default=16, ge=4, description="`light_cnn`: channels of the first block.")
    pooling: Literal["attention", "mean", "max"] = Field(
        default="attention", description="`case`: how views are joined; absent views take no part."
    )

    @model_validator(mode="after")
    def _file_is_named(self) -> ModelSettings:
        if (self.weights == "file") != (self.weights_file is not None):
            msg = "weights: file and weights_file go together"
            raise ValueError(msg)
        return self


class ClassificationSettings(ExperimentSettings):
    """The file of a classification experiment."""

    task: Literal["classification"] = Field(default="classification", description="This task.")
    classes: tuple[str, ...] = Field(
        default=(), description="Classes in order of severity, the least first; all of the training part, in that order, where empty."
    )
    class_map: Mapping[str, str] = Field(default_factory=dict, description="Other names of a class, for example `{normal: benign}`.")
    positive: str | None = Field(default=None, description="The class whose sensitivity is watched; the last where none.")
    input: InputSettings = Field(default=InputSettings(), description="Samples.")
    model: ModelSettings = Field(default=ModelSettings(), description="Architecture.")
    loss: ClassificationLossSettings = Field(default=ClassificationLossSettings(), description="Loss.")
    balance: Literal["none", "sampler", "weights", "manifest"] = Field(
        default="sampler",
        description="`sampler`: classes are shown equally often; `weights`: they weigh equally; `manifest`: weight and copies of the set.",
    )
    augmentation: str | AugmentationSettings = Field(
        default="none", description="`none`, `mammography`, `dermatoscopy`, `mr`, or its parts one by one."
    )

    @field_validator("augmentation")
    @classmethod
    def _preset_is_known(cls, value: str | AugmentationSettings) -> str | AugmentationSettings:
        if isinstance(value, str) and value not in PRESETS:
            msg = f"no such preset{nearest_name(value, PRESETS)} (there are: {', '.join(PRESETS)})"
            raise ValueError(msg)
        return value

    @property
    def augmenting(self) -> AugmentationSettings:
        """The parts of the augmentation."""
        return PRESETS[self.augmentation] if isinstance(self.augmentation, str) else self.augmentation
