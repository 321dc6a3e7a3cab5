"""Losses of segmentation, one value a sample, with voxels that are not judged (bands around uncertain boxes).

Logits and targets are [n, channel, *axes]; each channel is a lesion map of its own (sigmoid). ``judged`` [n, 1 or channel,
*axes] is 1 where a voxel counts and 0 in the band where a weak label may be off by its stated uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def _axes(values: Tensor) -> tuple[int, ...]:
    return tuple(range(2, values.ndim))


def dice_loss(logits: Tensor, targets: Tensor, judged: Tensor | None = None, *, smooth: float = 1.0) -> Tensor:
    """``1 - Dice`` [n], the mean over channels; a sample without lesion is right (loss near 0) where nothing is marked."""
    shares = torch.sigmoid(logits.float())
    if judged is not None:
        shares, targets = shares * judged, targets * judged
    both = (shares * targets).sum(_axes(shares))
    total = shares.sum(_axes(shares)) + targets.sum(_axes(targets))
    return (1.0 - (2.0 * both + smooth) / (total + smooth)).mean(dim=1)


def voxel_focal(logits: Tensor, targets: Tensor, judged: Tensor | None = None, *, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """Binary focal loss [n], the mean over judged voxels. ``alpha`` weighs lesion voxels, ``1 - alpha`` the others (Lin 2017)."""
    logits = logits.float()
    positive = -targets * torch.sigmoid(-logits) ** gamma * logsigmoid(logits)
    negative = -(1.0 - targets) * torch.sigmoid(logits) ** gamma * logsigmoid(-logits)
    if alpha is not None:
        positive, negative = positive * alpha, negative * (1.0 - alpha)
    values = positive + negative
    if judged is None:
        return values.flatten(1).mean(dim=1)
    mask = judged.expand_as(values)
    return (values * mask).flatten(1).sum(dim=1) / mask.flatten(1).sum(dim=1).clamp(min=1.0)


def dice_focal(
    logits: Tensor,
    targets: Tensor,
    judged: Tensor | None = None,
    *,
    dice_share: float = 0.5,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
) -> Tensor:
    """``dice_share`` of the Dice loss and the rest of the focal loss [n]."""
    focal = voxel_focal(logits, targets, judged, gamma=gamma, alpha=alpha)
    return dice_share * dice_loss(logits, targets, judged) + (1.0 - dice_share) * focal


def uncertainty_band(
    shape: Sequence[int], start: Sequence[float], stop: Sequence[float], uncertainty_mm: float, spacing_mm: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Target and judged mask [*axes] of one box: its ellipsoid shrunk by the uncertainty is lesion, what lies within the uncertainty
    outside of the ellipsoid is not judged. ``spacing_mm`` is along the same axes as ``shape``; tensor axes, voxel edges.

    Where the uncertainty eats the whole ellipsoid, its innermost half remains lesion.
    """
    distance_inner, distance_outer = torch.zeros(tuple(shape)), torch.zeros(tuple(shape))
    for axis, length in enumerate(shape):
        centre, half = (start[axis] + stop[axis]) / 2, (stop[axis] - start[axis]) / 2
        margin = uncertainty_mm / spacing_mm[axis]
        place = (torch.arange(length) + 0.5 - centre).reshape([-1 if one == axis else 1 for one in range(len(shape))])
        distance_inner = distance_inner + (place / max(half - margin, half / 2)) ** 2
        distance_outer = distance_outer + (place / (half + margin)) ** 2
    lesion = (distance_inner <= 1.0).float()
    judged = ((distance_outer > 1.0) | (lesion > 0)).float()
    return lesion, judged
