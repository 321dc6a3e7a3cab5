"""Occlusion: how much a score falls where a block of the image is blanked. Needs no gradient and trusts no layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cv_model_experiments.detection.patches import window_starts

AT_ONCE = 8


def occlusion_map(score: Callable[[Tensor], Tensor], image: Tensor, block: Sequence[int], overlap: float = 0.5) -> Tensor:
    """Mean fall of the score over the blocks that cover each pixel [*axes]; negative where blanking raises it.

    ``score`` takes images [n, channel, *axes] on the network's scale and gives one number each. A block of ``block`` (tensor axes) is
    filled with each channel's mean.
    """
    size = image.shape[1:]
    sides = [min(length, wanted) for length, wanted in zip(size, block, strict=True)]
    fill = image.flatten(1).mean(dim=1).reshape(-1, *([1] * len(size)))
    falls, counts = torch.zeros(size, device=image.device), torch.zeros(size, device=image.device)
    with torch.no_grad():
        whole = float(score(image[None])[0])
        starts = window_starts(size, sides, overlap)
        for first in range(0, len(starts), AT_ONCE):
            places = [_where(start, sides) for start in starts[first : first + AT_ONCE]]
            blanked = torch.stack([image] * len(places))
            for number, where in enumerate(places):
                index: tuple[slice, ...] = (slice(None), *where)
                blanked[number][index] = fill
            for where, value in zip(places, score(blanked).tolist(), strict=True):
                falls[where] += whole - value
                counts[where] += 1
    return falls / counts.clamp(min=1)


def _where(start: Sequence[int], block: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(place, place + length) for place, length in zip(start, block, strict=True))
