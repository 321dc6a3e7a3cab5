"""Mirrored views of an image, and boxes and maps found in them brought back."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

Flip = tuple[int, ...]
"""Tensor axes of the image (without channels) that are reversed."""


def all_flips(axes: tuple[int, ...]) -> tuple[Flip, ...]:
    """Every combination of the given axes, the image as it is first.

    >>> all_flips((2,))
    ((), (2,))
    """
    return tuple(choice for count in range(len(axes) + 1) for choice in combinations(axes, count))


def flipped(image: Tensor, flip: Flip) -> Tensor:
    """An image [..., *axes] mirrored; its last axes are the image's. A flip is its own inverse."""
    return torch.flip(image, flip) if flip else image


def image_flip(flip: Flip, image_axes: int, leading: int) -> Flip:
    """Axes of a tensor with ``leading`` axes before the image's; negative axes count from the last."""
    return tuple(leading + axis % image_axes for axis in flip)


def boxes_back(boxes: Tensor, flip: Flip, size: tuple[int, ...]) -> Tensor:
    """Boxes (n, 2 * axes) found in a mirrored image of ``size``, on the image as it is."""
    axes = len(size)
    out = boxes.clone()
    for axis in flip:
        place = axis % axes
        out[:, place] = size[place] - boxes[:, axes + place]
        out[:, axes + place] = size[place] - boxes[:, place]
    return out
