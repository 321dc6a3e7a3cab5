"""Where a patch begins, and cutting it. Everything follows from a seed, so a resumed epoch cuts the same patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Start = tuple[int, ...]


def patch_start(
    shape: Sequence[int], size: Sequence[int], lesions: NDArray[np.float64], lesion_share: float, generator: np.random.Generator
) -> Start:
    """First voxel of a patch, along tensor axes; negative where the patch is larger than the image (which is then in its middle).

    With probability ``lesion_share`` (where there are lesions, (n, 2 * axes)) the patch holds the middle of one, each as likely as
    any other, and all of it where it fits; otherwise it lies anywhere.
    """
    axes = len(size)
    pick, chance = generator.random(2)
    anywhere = generator.random(axes)
    low, high = np.zeros(axes), np.maximum(np.array(shape, float) - size, 0.0)
    if len(lesions) and chance < lesion_share:
        box = lesions[int(pick * len(lesions))]
        low, high = _range_around(box[:axes], box[axes:], np.array(size, float), high)
    start = np.floor(low + anywhere * (high - low + 1 - 1e-9)).astype(int)
    start = np.minimum(start, np.floor(high).astype(int))
    return tuple(
        int(place) if length >= wanted else (length - wanted) // 2 for place, length, wanted in zip(start, shape, size, strict=True)
    )


def _range_around(
    first: NDArray[np.float64], last: NDArray[np.float64], size: NDArray[np.float64], most: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Starts of patches that hold a box, or, of boxes larger than a patch, its middle."""
    middle = (first + last) / 2
    is_large = last - first > size
    low = np.where(is_large, middle - size * 0.75, last - size)
    high = np.where(is_large, middle - size * 0.25, first)
    low, high = np.clip(np.ceil(low), 0, most), np.clip(np.floor(high), 0, most)
    return np.minimum(low, high), high


def central_start(shape: Sequence[int], size: Sequence[int]) -> Start:
    """Of the patch around the image's centre."""
    return tuple((length - wanted) // 2 for length, wanted in zip(shape, size, strict=True))


def cut_patch(pixels: NDArray[Any], start: Sequence[int], size: Sequence[int]) -> NDArray[Any]:
    """The patch [channel, *size]; beyond the image each channel's least value."""
    shape = pixels.shape[1:]
    first = [max(0, place) for place in start]
    last = [min(length, place + wanted) for length, place, wanted in zip(shape, start, size, strict=True)]
    inner = pixels[(slice(None), *(slice(a, b) for a, b in zip(first, last, strict=True)))]
    if inner.shape[1:] == tuple(size):
        return inner
    axes = tuple(range(1, pixels.ndim))
    patch = np.empty((pixels.shape[0], *size), pixels.dtype)
    patch[:] = pixels.min(axis=axes).reshape(-1, *([1] * len(size)))
    target = tuple(slice(a - place, b - place) for a, b, place in zip(first, last, start, strict=True))
    patch[(slice(None), *target)] = inner
    return patch


def window_starts(shape: Sequence[int], size: Sequence[int], overlap: float) -> list[Start]:
    """First voxels of windows of ``size`` that cover an image of ``shape`` (at least ``size`` along each axis) and overlap evenly.

    >>> window_starts((10,), (6,), 0.5)
    [(0,), (2,), (4,)]
    """
    places = []
    for length, wanted in zip(shape, size, strict=True):
        step = max(1, int(wanted * (1 - overlap)))
        count = 1 + max(0, -(-(length - wanted) // step))
        places.append(np.rint(np.linspace(0, max(0, length - wanted), count)).astype(int))
    return [tuple(int(value) for value in start) for start in np.stack(np.meshgrid(*places, indexing="ij"), -1).reshape(-1, len(size))]
