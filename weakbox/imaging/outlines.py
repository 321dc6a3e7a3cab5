"""Outlines of lesions as data sets store them (polygons, chain codes, circles, mask files), as boxes and masks.

Rectangles are half-open edge coordinates (see ``image_frames``); masks are bool [row, column]. Points are (x, y) = (column, row).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from weakbox.imaging.image_frames import Rectangle, Resize, Shape
from weakbox.records.record import record

Mask = NDArray[np.bool_]

_CHAIN_STEPS = np.array([(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)])
"""(column, row) steps of the codes 0..7: 0 is up, then clockwise.

Source: ``read_chaincode`` of the DDSM's own software (M. Heath, University of South Florida, 1998), and ``readBoundary.m`` of
DDSMUtility, which agree.
"""
_CHAIN_END = "#"
_NEAR_EXTREME = 12
"""Grey levels that JPEG moves the two values of a mask by."""
_MASK_SHARE = 0.97


@record
class MaskPart:
    """One connected part of a mask."""

    box: Rectangle
    pixels: int


def box_of_pixels(points: ArrayLike) -> Rectangle:
    """The box of points that name pixels: the pixels are inside, so one point gives a box of one pixel.

    Fractional points name the pixel that they lie in (INbreast's ``Point_px``).

    Raises:
        ValueError: no point, or one that is no number.
    """
    array = np.floor(_points(points))
    (x0, y0), (x1, y1) = array.min(axis=0), array.max(axis=0)
    return float(x0), float(y0), float(x1) + 1.0, float(y1) + 1.0


def box_of_edges(points: ArrayLike) -> Rectangle:
    """The box of points in edge coordinates; a single point gives a box without area (see ``image_frames.at_least``).

    Raises:
        ValueError: no point, or one that is no number.
    """
    array = _points(points)
    (x0, y0), (x1, y1) = array.min(axis=0), array.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def polygon_mask(points: ArrayLike, shape: Shape) -> Mask:
    """The pixels inside and on a closed outline of pixels; one point is one pixel. What lies outside the image is left out.

    Raises:
        ValueError: no point, or one that is no number.
    """
    vertices = [(int(x), int(y)) for x, y in np.floor(_points(points))]
    picture = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(picture)
    if len(vertices) > 2:
        draw.polygon(vertices, fill=1, outline=1)
    elif len(vertices) == 2:
        draw.line(vertices, fill=1)
    else:
        draw.point(vertices, fill=1)
    return np.asarray(picture, dtype=bool)


def chain_outline(text: str) -> NDArray[np.int64]:
    """The pixels (n, 2) as (column, row) of a DDSM boundary: ``<start column> <start row> <codes 0..7 ...> #``.

    The last step may lead back to the start or next to it; the start is the first pixel.

    Raises:
        ValueError: no start, a code outside 0..7, or no ``#`` at the end (a line that was cut off).
    """
    words = text.split()
    if len(words) < 3 or words[-1] != _CHAIN_END:
        msg = f"expected a start column, a start row, codes and a closing {_CHAIN_END}"
        raise ValueError(msg)
    numbers = [int(word) if word.isdecimal() else -1 for word in words[:-1]]
    codes = np.array(numbers[2:], dtype=np.int64)
    if min(numbers) < 0 or (codes.size and int(codes.max()) > 7):
        msg = "expected whole numbers: a start column and row, then codes 0..7"
        raise ValueError(msg)
    return np.cumsum(np.concatenate([np.array([numbers[:2]], dtype=np.int64), _CHAIN_STEPS[codes]]), axis=0)


def is_closed(outline: ArrayLike) -> bool:
    """Whether the last pixel of an outline is the first one or touches it."""
    array = np.asarray(outline, dtype=float)
    return bool(np.abs(array[-1] - array[0]).max() <= 1.0)


def circle_box(x: float, y: float, radius: float) -> Rectangle:
    """The box around a circle, edge coordinates.

    Raises:
        ValueError: the radius is negative.
    """
    if radius < 0:
        msg = f"a radius is not negative, got {radius}"
        raise ValueError(msg)
    return x - radius, y - radius, x + radius, y + radius


def circle_from_below(x: float, y_from_below: float, radius: float, height: int) -> Rectangle:
    """The box around a circle whose y counts from the lower edge of an image ``height`` rows high (MIAS): y = height - y_from_below."""
    return circle_box(x, height - y_from_below, radius)


def circle_mask(x: float, y: float, radius: float, shape: Shape) -> Mask:
    """The pixels whose centres lie inside a circle, and the pixel that holds its centre."""
    rows, columns = np.ogrid[0 : shape[0], 0 : shape[1]]
    mask = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
    if 0 <= x < shape[1] and 0 <= y < shape[0]:
        mask[int(y), int(x)] = True
    return np.asarray(mask)


def as_mask(array: NDArray[Any]) -> Mask:
    """A mask file's pixels as bool: above half of the largest value, so that the fringe that JPEG leaves around shapes does not count."""
    if array.dtype == np.bool_:
        return array
    grey = array.max(axis=2) if array.ndim == 3 else array
    top = grey.max(initial=0)
    return np.asarray(grey * 2.0 > top) if top > 0 else np.zeros(grey.shape, dtype=bool)


def looks_like_mask(array: NDArray[Any]) -> bool:
    """Whether an image has only two values, give or take JPEG: a mask rather than a picture (CBIS-DDSM swaps mask and crop files)."""
    grey = array[..., 0] if array.ndim == 3 else array
    if grey.dtype == np.bool_:
        return True
    low, high = float(grey.min()), float(grey.max())
    # JPEG's fringe is a share of the range: 16-bit masks are scaled alike.
    near = _NEAR_EXTREME * max(1.0, (high - low) / 255.0) if high - low > 4 * _NEAR_EXTREME else 0.0
    return float(np.mean((grey <= low + near) | (grey >= high - near))) >= _MASK_SHARE


def mask_box(mask: NDArray[Any]) -> Rectangle | None:
    """The smallest box that holds all pixels of a mask; None for an empty one, which is no error (ISIC attribute masks)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1]) + 1.0, float(rows[-1]) + 1.0


def mask_parts(mask: NDArray[Any], *, smallest: int = 1) -> tuple[MaskPart, ...]:
    """The connected parts (diagonal neighbours touch) of at least ``smallest`` pixels, from the top, then from the left."""
    labelled, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labelled.ravel())
    parts = []
    for number, found in enumerate(ndimage.find_objects(labelled), start=1):
        rows, columns = found
        if sizes[number] >= smallest:
            box = (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
            parts.append(MaskPart(box=box, pixels=int(sizes[number])))
    return tuple(sorted(parts, key=lambda part: (part.box[1], part.box[0], part.box[3], part.box[2])))


def fitted_mask(mask: NDArray[Any], shape: Shape) -> tuple[Mask, bool]:
    """A mask on an image of ``shape``, and whether it had to be resized (by the nearest pixel): some CBIS-DDSM masks have another size."""
    own = as_mask(mask)
    if own.shape == tuple(shape):
        return own, False
    return np.asarray(Resize(rows=shape[0], columns=shape[1]).mask(own)), True


def _points(points: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(points, dtype=np.float64)
    if array.size == 0 or array.size % 2 or not np.all(np.isfinite(array)):
        msg = "expected at least one point (x, y) of finite numbers"
        raise ValueError(msg)
    return array.reshape(-1, 2)
