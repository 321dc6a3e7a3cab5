"""What both ways of finding lesions have in common: how images are shown to the network, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cv_model_experiments.data.augmentation import AugmentationSettings, Augmenter, move_boxes
from cv_model_experiments.detection.batches import DetectionBatch
from cv_model_experiments.detection.boxes import cut_to
from cv_model_experiments.detection.targets import Targets
from weakbox.records.record import record

LEAST_LEFT = 0.25
"""A box of which augmentation leaves less is dropped."""
BYTE_RANGE = 255.0


@record
class FinderShape:
    """What a network is built of, beside its settings: fixed when training begins, and kept with the weights."""

    axes: int
    channels: int
    classes: tuple[str, ...]
    spacing: tuple[float, ...]
    """Of the prepared images along tensor axes, in mm; ones where it is not known. Decides strides only."""
    anchors: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Candidates in voxels of one image, best first."""

    boxes: Tensor
    """(n, 2 * axes)."""
    scores: Tensor
    classes: Tensor
    detection_map: NDArray[np.float32] | None = None
    """Of segmentation: each candidate's voxels at its score."""

    def __len__(self) -> int:
        return int(self.boxes.shape[0])

    def chosen(self, kept: Tensor) -> Found:
        """Some of the candidates."""
        return Found(boxes=self.boxes[kept], scores=self.scores[kept], classes=self.classes[kept], detection_map=self.detection_map)


class Finder(Protocol):
    """A detector's module."""

    shape: FinderShape

    def find(self, images: Tensor) -> list[Found]:
        """Candidates of whole images [n, channel, *axes] as stored."""
        ...


class Shower(nn.Module):
    """Brings stored pixels onto the network's scale and, in training, augments them with their boxes."""

    def __init__(self, axes: int, augmentation: AugmentationSettings) -> None:
        super().__init__()
        self.axes = axes
        self.augmenter = Augmenter(augmentation, fills_with_edge=axes == 3)

    def scaled(self, images: Tensor) -> Tensor:
        """Pictures 0..255 to 0..1; volumes are z-scores already."""
        return images.float() / BYTE_RANGE if self.axes == 2 else images.float()

    def forward(self, batch: DetectionBatch) -> tuple[Tensor, list[Targets]]:
        """The images and targets to learn from."""
        images, targets = self.scaled(batch.images), list(batch.targets)
        if not self.training or self.augmenter.is_idle:
            return images, targets
        shown = self.augmenter(images, batch.seed)
        if not self.augmenter.moves:
            return shown, targets
        maps = self.augmenter.affine(images.shape, images.device, batch.seed)
        return shown, [_moved(one, map_, images.shape[2:]) for one, map_ in zip(targets, maps, strict=True)]


def _moved(targets: Targets, affine: Tensor, size: Sequence[int]) -> Targets:
    if not len(targets):
        return targets
    axes = len(size)
    moved = move_boxes(targets.boxes.reshape(-1, 2, axes), affine, size).reshape(-1, 2 * axes)
    cut, share = cut_to(moved.cpu(), (0,) * axes, size)
    return targets.with_boxes(cut.to(moved.device)).chosen((share >= LEAST_LEFT).to(moved.device))


def padded(images: Tensor, least: Sequence[int], divisors: Sequence[int]) -> Tensor:
    """Images with sides of at least ``least`` that the divisors divide; what is added lies behind and holds each channel's least value."""
    wanted = [
        max(-(-length // divisor), -(-minimum // divisor)) * divisor
        for length, minimum, divisor in zip(images.shape[2:], least, divisors, strict=True)
    ]
    if wanted == list(images.shape[2:]):
        return images
    out = images.amin(dim=tuple(range(2, images.ndim)), keepdim=True).expand(*images.shape[:2], *wanted).clone()
    out[(slice(None), slice(None), *(slice(0, length) for length in images.shape[2:]))] = images
    return out


def no_number(module: nn.Module) -> dict[str, Tensor]:
    """A loss that is no number, with a gradient: the loop knows what to do about it."""
    total = torch.stack([parameter.sum() for parameter in module.parameters() if parameter.requires_grad]).sum()
    return {"loss": total * math.nan}


def is_about_numbers(error: ValueError) -> bool:
    """Whether MONAI raised because its network's output is NaN or infinite."""
    return "NaN or Inf" in str(error)


def identity_of(shape: FinderShape, method: str) -> Mapping[str, object]:
    """What a checkpoint must agree with, as plain values."""
    return {
        "task": "detection",
        "method": method,
        "axes": shape.axes,
        "channels": shape.channels,
        "classes": list(shape.classes),
        "spacing": list(shape.spacing),
        "anchors": [list(one) for one in shape.anchors],
    }
