"""What a model shall find in an image: boxes of the manifest as tensors on the prepared image, with class, trust and bands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from cv_model_experiments.data.placement import Placement
from cv_model_experiments.detection.boxes import cut_to, shown_boxes
from cv_model_experiments.detection.settings import LesionSettings
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow

WITHOUT_LABEL = "none"
IGNORED = -1
"""Class of a box that is neither a lesion to find nor background."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """Boxes in voxels of an image (n, 2 * axes); one number a box in the others."""

    boxes: Tensor
    classes: Tensor
    """Class number, or ``IGNORED``."""
    probabilities: Tensor
    """What is learnt: 1, or less for soft labels."""
    weights: Tensor
    margins: Tensor
    """(n, axes): width of the band around a box in which nothing is background."""

    def __len__(self) -> int:
        return int(self.boxes.shape[0])

    @property
    def is_lesion(self) -> Tensor:
        """Which boxes are to be found."""
        return self.classes >= 0

    def chosen(self, kept: Tensor) -> Targets:
        """Some of the boxes."""
        return Targets(
            boxes=self.boxes[kept],
            classes=self.classes[kept],
            probabilities=self.probabilities[kept],
            weights=self.weights[kept],
            margins=self.margins[kept],
        )

    def with_boxes(self, boxes: Tensor) -> Targets:
        """The same boxes at another place."""
        return replace(self, boxes=boxes)

    def to(self, device: torch.device) -> Self:
        """On a device."""
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__})

    def in_window(self, start: Sequence[int], size: Sequence[int], least_volume: float) -> Targets:
        """What a window shows of the boxes; of which it shows less than ``least_volume`` is ignored there."""
        cut, share = cut_to(self.boxes, start, size)
        seen = share > 0
        classes = torch.where(share < least_volume, torch.full_like(self.classes, IGNORED), self.classes)
        return replace(self, boxes=cut, classes=classes).chosen(seen)


def no_targets(axes: int) -> Targets:
    """Of an image without boxes."""
    return Targets(
        boxes=torch.zeros(0, 2 * axes),
        classes=torch.zeros(0, dtype=torch.long),
        probabilities=torch.zeros(0),
        weights=torch.zeros(0),
        margins=torch.zeros(0, axes),
    )


def targets_of(row: ImageRow, placement: Placement, settings: LesionSettings, uncertainty_mm: Mapping[str, float]) -> Targets:
    """The targets of one image. ``uncertainty_mm`` is what its labels file states, by ``label_id``.

    Boxes outside of the prepared image are left out.
    """
    axes = len(placement.shape)
    chosen = [box for box in row.boxes if settings.other_boxes == "ignore" or class_of(box, settings) != IGNORED]
    if not chosen:
        return no_targets(axes)
    trust = torch.tensor([max(settings.least_confidence, min(1.0, box.confidence)) for box in chosen])
    whole = torch.ones(len(chosen))
    targets = Targets(
        boxes=torch.from_numpy(shown_boxes(chosen, placement)).float(),
        classes=torch.tensor([class_of(box, settings) for box in chosen]),
        probabilities=trust if settings.confidence_as == "target" else whole,
        weights=trust if settings.confidence_as == "weight" else whole,
        margins=torch.tensor([_margin(box, row, placement, settings, uncertainty_mm) for box in chosen]),
    )
    return targets.chosen((targets.boxes[:, axes:] > targets.boxes[:, :axes]).all(dim=1))


def class_of(box: ImageBox, settings: LesionSettings) -> int:
    """The number of a box's class, or ``IGNORED`` where it is not looked for."""
    label = WITHOUT_LABEL if box.label is None else box.label
    if settings.positive_labels and label not in settings.positive_labels:
        return IGNORED
    if not settings.classes:
        return 0
    return settings.classes.index(label) if label in settings.classes else IGNORED


def _margin(
    box: ImageBox, row: ImageRow, placement: Placement, settings: LesionSettings, uncertainty_mm: Mapping[str, float]
) -> tuple[float, ...]:
    """Along tensor axes, in voxels of the prepared image."""
    scale = np.abs(placement.scale)
    width = settings.band_mm.get(box.tier)
    if width is None:
        width = settings.stated_band * uncertainty_mm.get(box.label_id, 0.0)
    if row.spacing_mm is None:
        return (settings.band_pixels,) * len(scale)
    return tuple(float(value) for value in width / np.array(row.spacing_mm[::-1]) * scale)


def is_bag(row: ImageRow, settings: LesionSettings) -> bool:
    """Whether an image is said to hold a lesion, but not where."""
    return row.label in settings.bag_labels and not any(class_of(box, settings) != IGNORED for box in row.boxes)


def check_classes(rows: Sequence[ImageRow], settings: LesionSettings) -> None:
    """Whether the boxes of the training part have the classes that are asked for.

    Raises:
        InputError: no box at all, none that is chosen, or a class without a box.
    """
    boxes = [box for row in rows for box in row.boxes]
    labels = sorted({WITHOUT_LABEL if box.label is None else box.label for box in boxes})
    if not boxes:
        msg = (
            "the training part has no box: a detector cannot be trained; train a classifier, or choose data sets with boxes (set.datasets)"
        )
        raise InputError(msg)
    found = {class_of(box, settings) for box in boxes} - {IGNORED}
    if not found:
        msg = f"lesions: none of the {len(boxes)} boxes of the training part is chosen; their labels are {', '.join(labels)}"
        raise InputError(msg)
    missing = [name for number, name in enumerate(settings.classes) if number not in found]
    if missing:
        msg = f"lesions.classes: no box of the training part is {', '.join(missing)} (there are: {', '.join(labels)})"
        raise InputError(msg)


def stated_uncertainties(image: Path) -> dict[str, float]:
    """Uncertainty of boxes in mm by ``label_id``, from ``<case>_labels.json`` beside a 3-D volume; empty where there is none.

    Raises:
        InputError: the file is there and cannot be read.
    """
    stem = image.name.removesuffix(".gz").removesuffix(".nii").rpartition("_")[0]
    path = image.with_name(f"{stem}_labels.json")
    if not stem or not path.is_file():
        return {}
    try:
        instances: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["instances"]
        return {str(one["label"]): float(one["box"]["uncertainty_mm"]) for one in instances if one["box"] is not None}
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        msg = f"{path.name}: this is no labels file of an exported case ({type(error).__name__}); export the set again"
        raise InputError(msg) from error


def class_names(settings: LesionSettings) -> tuple[str | None, ...]:
    """Names of classes in predictions; None where only lesions are known."""
    return settings.classes or (None,)
