"""Dermatoscopic images prepared for training: even colour, hairs taken out, and augmented copies that can be made again.

Arrays are [row, column, RGB] uint8, masks bool [row, column]. Every function gives the same pixels for the same input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakbox.imaging.image_frames import FlipHorizontal, FrameChange, QuarterTurn, Rectangle, Step
from weakbox.records.record import record

Picture = NDArray[np.uint8]

MINKOWSKI_NORM = 6.0
"""Source: Finlayson and Trezzi 2004, Shades of Gray and Colour Constancy."""
_HAIR_STEP = 14.0
"""Grey levels that a hair is darker than the skin beside it."""
_LONG_TO_WIDE = 4.0
"""A hair's length over its width: shorter spots are pigment."""
_SHORTEST = 0.12
"""Of the shorter side: shorter lines are the rims of lesions."""


@record
class Augmentation:
    """How far copies may differ. Brightness in grey levels, contrast as factor around 1, blur as standard deviation in pixels."""

    is_flipping: bool = True
    is_turning: bool = True
    brightness: float = 20.0
    contrast: float = 0.15
    blur_pixels: float = 1.0


@record
class AugmentedFrame:
    """What was drawn for one copy: the change of frame, which moves boxes and masks, and what happened to the colours."""

    change: FrameChange
    brightness: float
    contrast: float
    blur_pixels: float


def even_colour(picture: Picture, norm: float = MINKOWSKI_NORM) -> Picture:
    """Colour constancy by shades of grey: each channel scaled so that the Minkowski means are equal; brightness stays.

    A channel without any light stays as it is.
    """
    channels = picture.reshape(-1, 3).astype(np.float64) / 255.0
    light = np.mean(channels**norm, axis=0) ** (1.0 / norm)
    gains = np.where(light > 0, light.mean() / np.where(light > 0, light, 1.0), 1.0)
    table = np.clip(np.rint(np.arange(256)[:, None] * gains), 0, 255).astype(np.uint8)
    return np.stack([table[picture[..., channel], channel] for channel in range(3)], axis=-1)


def hair_mask(picture: Picture) -> NDArray[np.bool_]:
    """Thin dark lines: what a closing along four directions fills (DullRazor, Lee et al. 1997), if long for their width."""
    width = max(7, 2 * (min(picture.shape[:2]) // 50) + 1)
    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    filled = np.maximum.reduce([_closed(grey, line) for line in _lines(width)])
    thin = filled - grey > _HAIR_STEP
    labelled, count = ndimage.label(thin, structure=np.ones((3, 3)))
    if count == 0:
        return np.zeros(grey.shape, dtype=bool)
    numbers = np.arange(1, count + 1)
    areas = np.bincount(labelled.ravel(), minlength=count + 1)[1:]
    lengths = np.array([np.hypot(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in ndimage.find_objects(labelled)])
    # A line of length l and width w covers l * w pixels.
    is_long = (lengths >= max(2 * width, _SHORTEST * min(picture.shape[:2]))) & (lengths**2 >= _LONG_TO_WIDE * areas)
    return np.asarray(np.isin(labelled, numbers[is_long]))


def without_hair(picture: Picture) -> tuple[Picture, float]:
    """The picture with hairs filled in from the skin beside them, and the share of pixels that were filled."""
    hairs = hair_mask(picture)
    if not hairs.any():
        return picture, 0.0
    wide = ndimage.binary_dilation(hairs, structure=np.ones((3, 3)), iterations=1)
    nearest = ndimage.distance_transform_edt(wide, return_distances=False, return_indices=True)
    filled = picture[nearest[0], nearest[1]].astype(np.float32)
    smooth = ndimage.gaussian_filter(filled, sigma=(1.5, 1.5, 0.0))
    result = picture.copy()
    result[wide] = np.rint(smooth[wide]).astype(np.uint8)
    return result, float(wide.mean())


def _lines(length: int) -> tuple[NDArray[np.bool_], ...]:
    diagonal = np.eye(length, dtype=bool)
    return np.ones((1, length), dtype=bool), np.ones((length, 1), dtype=bool), diagonal, diagonal[::-1]


def _closed(grey: NDArray[np.float32], line: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(ndimage.grey_closing(grey, footprint=line, mode="nearest"))


def drawn_frame(shape: tuple[int, int], content_sha256: str, copy: int, settings: Augmentation | None = None) -> AugmentedFrame:
    """What copy number ``copy`` of an image looks like: drawn from the image's content hash and the number, nothing else."""
    limits = settings or Augmentation()
    seed = hashlib.sha256(f"{content_sha256}/{copy}".encode()).digest()
    random = np.random.Generator(np.random.PCG64(int.from_bytes(seed[:16], "big")))
    turns, flips, brightness, contrast, blur = random.integers(4), random.integers(2), *random.uniform(-1.0, 1.0, 3)
    steps: list[Step] = [FlipHorizontal()] * int(flips) if limits.is_flipping else []
    steps += [QuarterTurn()] * int(turns) if limits.is_turning else []
    return AugmentedFrame(
        change=FrameChange(shape=shape, steps=tuple(steps)),
        brightness=float(brightness * limits.brightness),
        contrast=float(1.0 + contrast * limits.contrast),
        blur_pixels=float(max(0.0, blur) * limits.blur_pixels),
    )


def augmented(
    picture: NDArray[np.uint8], frame: AugmentedFrame, *, mask: NDArray[Any] | None = None, boxes: Sequence[Rectangle] = ()
) -> tuple[NDArray[np.uint8], NDArray[Any] | None, tuple[Rectangle, ...]]:
    """One augmented copy of a grey or RGB picture with its mask and boxes, as ``frame`` says."""
    table = np.clip(np.rint((np.arange(256) - 127.5) * frame.contrast + 127.5 + frame.brightness), 0, 255).astype(np.uint8)
    shown = table[np.ascontiguousarray(frame.change.image(picture))]
    if frame.blur_pixels > 0:
        sigma = (frame.blur_pixels, frame.blur_pixels, 0.0)[: shown.ndim]
        shown = np.rint(ndimage.gaussian_filter(shown.astype(np.float32), sigma)).astype(np.uint8)
    moved = None if mask is None else np.ascontiguousarray(frame.change.mask(mask))
    return shown, moved, tuple(frame.change.box(box) for box in boxes)
