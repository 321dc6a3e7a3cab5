"""Boxes between the manifest, tensors and MONAI.

The manifest counts (x, y) pixel edges or half-open (i, j, k) voxels; tensors are [channel, row, column] or [channel, slice, row,
column], so axes come in reverse. Both count edges: voxel v fills v..v + 1. MONAI's standard mode names the tensor's axes in their order,
all starts before all stops, with an exclusive end, so no half voxel is ever added.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cv_model_experiments.data.placement import Placement
from weakbox.records.image_set import ImageBox

LEAST_SIDE = 1e-3
"""A predicted box is at least this long along each axis, in voxels of the exported image."""


def shown_boxes(boxes: Sequence[ImageBox], placement: Placement) -> NDArray[np.float64]:
    """Boxes of the manifest on the prepared image, in MONAI's standard mode (n, 2 * axes), cut at its edges.

    A box wholly outside of the prepared image has a side of length 0.
    """
    axes = len(placement.shape)
    if not boxes:
        return np.zeros((0, 2 * axes))
    edges = np.array([[box.start[::-1], box.stop[::-1]] for box in boxes], float)
    return np.asarray(placement.boxes(edges).reshape(len(boxes), 2 * axes))


def exported_boxes(boxes: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Boxes (n, 2 * axes) of the prepared image on the exported one, as [n, 2, axes] in the manifest's axes (x, y[, z])."""
    axes = len(placement.shape)
    return np.asarray(placement.back(boxes.reshape(-1, 2, axes))[..., ::-1])


def grown(boxes: Tensor, margins: Tensor) -> Tensor:
    """Boxes (n, 2 * axes) with ``margins`` (n, axes) added on both sides."""
    axes = margins.shape[1]
    return torch.cat([boxes[:, :axes] - margins, boxes[:, axes:] + margins], dim=1)


def volumes(boxes: Tensor) -> Tensor:
    """Volumes of boxes (n, 2 * axes), 0 for empty ones."""
    axes = boxes.shape[1] // 2
    return (boxes[:, axes:] - boxes[:, :axes]).clamp(min=0).prod(dim=1)


def cut_to(boxes: Tensor, start: Sequence[int], size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Boxes as a window that begins at ``start`` shows them, cut at its edges, and the share of each that is left."""
    axes = len(size)
    shift = torch.tensor([*start, *start], dtype=boxes.dtype)
    limit = torch.tensor([*size, *size], dtype=boxes.dtype)
    moved = boxes - shift
    cut = torch.minimum(moved.clamp(min=0), limit)
    whole = volumes(boxes).clamp(min=torch.finfo(boxes.dtype).tiny)
    empty = (cut[:, axes:] <= cut[:, :axes]).any(dim=1)
    return cut, torch.where(empty, torch.zeros_like(whole), volumes(cut) / whole)
