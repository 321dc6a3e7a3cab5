"""Anchor shapes fitted to a set's own boxes, and the places that they are laid at.

Shapes are the medians of groups of boxes (k-means on 1 - IoU of centred boxes), so many small lesions get more shapes than few
large ones. MONAI's generator rounds half sides, which makes a lesion of one slice an anchor without volume, and lays anchors on the
upper left corner of a cell of odd stride; both are done exactly here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from numpy.typing import NDArray
from torch import Tensor

from weakbox.records.errors import InputError
from weakbox.records.record import record

Sides = NDArray[np.float64]
"""(n, axes): lengths of boxes in voxels of the prepared image."""
ROUNDS = 100


@record
class AnchorFit:
    """Shapes along tensor axes, and how well they cover the boxes that they were fitted to."""

    shapes: tuple[tuple[float, ...], ...]
    mean_overlap: float
    """Mean over boxes of the IoU with the best anchor on the same centre."""
    covered: float
    """Share of boxes whose best anchor has an IoU of at least 0.5."""
    boxes: int


def centred_overlaps(first: Sides, second: Sides) -> Sides:
    """IoU of boxes on one centre: (n, axes) and (m, axes) to (n, m)."""
    shared = np.minimum(first[:, None], second[None]).prod(axis=2)
    union = first.prod(axis=1)[:, None] + second.prod(axis=1)[None] - shared
    return np.asarray(shared / union)


def fit_anchors(sides: Sides, count: int, scales: Sequence[float]) -> AnchorFit:
    """``count`` shapes such that these, times each of ``scales`` (one a pyramid level), cover the boxes well.

    Every box belongs to the shape and level that fit it best; a shape is the median of its boxes, each brought to the first
    level. The best round wins. Deterministic: shapes begin at quantiles of volume.

    Raises:
        InputError: there are no boxes.
    """
    if not len(sides):
        msg = "no box to fit anchors to: the training part has no lesion with a box; train a classifier, or give anchors.shapes"
        raise InputError(msg)
    shares = np.array(scales, float)
    first = _first_shapes(sides, min(count, len(np.unique(sides, axis=0))))
    # A box between two levels keeps both from fitting: begin once as if all boxes lay on each level, and once between them.
    starts = [first / share for share in (*shares, float(np.exp(np.log(shares).mean())))]
    _, shapes = max((_settled(sides, start, shares) for start in starts), key=lambda found: found[0])
    return _described(sides, shapes, shares)


def _settled(sides: Sides, shapes: Sides, scales: NDArray[np.float64]) -> tuple[float, Sides]:
    """The best mean overlap that refining comes to, and its shapes."""
    best = (-1.0, shapes)
    for _ in range(ROUNDS):
        overlap, shapes_after = _refined(sides, shapes, scales)
        if overlap > best[0] + 1e-9:
            best = (overlap, shapes)
        if np.allclose(shapes_after, shapes):
            break
        shapes = shapes_after
    return best


def _first_shapes(sides: Sides, count: int) -> Sides:
    order = np.argsort(sides.prod(axis=1), kind="stable")
    return np.asarray(sides[order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]])


def _refined(sides: Sides, shapes: Sides, scales: NDArray[np.float64]) -> tuple[float, Sides]:
    """Mean overlap with these shapes, and the shapes after one round."""
    laid = (shapes[:, None] * scales[None, :, None]).reshape(-1, sides.shape[1])
    overlaps = centred_overlaps(sides, laid)
    owners, levels = np.divmod(overlaps.argmax(axis=1), len(scales))
    base = sides / scales[levels][:, None]
    groups = [base[owners == group] for group in range(len(shapes))]
    medians = [np.median(group, axis=0) if len(group) else shape for group, shape in zip(groups, shapes, strict=True)]
    return float(overlaps.max(axis=1).mean()), np.stack(medians)


def _described(sides: Sides, shapes: Sides, scales: NDArray[np.float64]) -> AnchorFit:
    laid = (shapes[:, None] * scales[None, :, None]).reshape(-1, sides.shape[1])
    best = centred_overlaps(sides, laid).max(axis=1)
    ordered = shapes[np.lexsort((*shapes.T, shapes.prod(axis=1)))]
    return AnchorFit(
        shapes=tuple(tuple(round(float(value), 3) for value in shape) for shape in ordered),
        mean_overlap=round(float(best.mean()), 4),
        covered=round(float((best >= 0.5).mean()), 4),
        boxes=len(sides),
    )


class ExactAnchors(AnchorGeneratorWithAnchorShape):
    """MONAI's anchors without rounding, in the middle of the cells of the feature maps."""

    @staticmethod
    def generate_anchors_using_shape(
        anchor_shapes: Tensor, dtype: torch.dtype = torch.float32, device: torch.device | None = None
    ) -> Tensor:
        """(-side / 2, side / 2) of each shape."""
        half = anchor_shapes / 2.0
        return torch.cat([-half, half], dim=1).to(dtype=dtype, device=device)

    def forward(self, images: Tensor, feature_maps: list[Tensor]) -> list[Tensor]:
        """Anchors (places * shapes, 2 * axes) of each image; in float32 whatever the maps are."""
        axes = self.spatial_dims
        laid = []
        for base, features in zip(self.cell_anchors, feature_maps, strict=True):
            strides = [images.shape[2 + axis] / features.shape[2 + axis] for axis in range(axes)]
            places = [(torch.arange(features.shape[2 + axis], device=images.device) + 0.5) * strides[axis] for axis in range(axes)]
            centres = torch.stack(torch.meshgrid(*places, indexing="ij"), dim=-1).reshape(-1, 1, axes)
            corners = torch.cat([centres, centres], dim=-1) + base.to(images.device)[None]
            laid.append(corners.reshape(-1, 2 * axes))
        return [torch.cat(laid)] * images.shape[0]
