"""Where the breast lies in a mammogram: the crop that leaves air, side markers and film borders out.

Works on display values (air dark: MONOCHROME1 already inverted), for breasts at either side of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakbox.imaging.image_frames import Crop, Rectangle, Shape, Spacing, clipped, grown_to_hold
from weakbox.records.record import record

WORKING_SIDE = 512
"""Pixels on the longer side that the region is looked for in."""
_BORDER = 0.012
"""Share of each side left out of the search: film scans have bright frames."""
_SMALLEST, _LARGEST = 0.02, 0.97
"""Share of the image that a breast fills; outside it the search has failed and nothing is cropped."""
_ABOVE_AIR = 0.12
"""Threshold between air and tissue, as share of the way: low, because skin and fat at the rim are dark."""
_OPENING = 3


@record
class BreastRegion:
    """``crop`` is in pixels of the whole image; the whole image where no region was found (``is_found`` False, ``problem`` says why)."""

    crop: Crop
    is_found: bool
    side: str | None = None
    """The side of the image that the chest wall lies at: ``left`` or ``right``; not the breast's laterality."""
    outside_boxes: tuple[int, ...] = ()
    """Numbers (from 0) of the boxes with less than half of their area inside the region as found; the crop holds them all the same."""
    problem: str = ""


@record
class Margin:
    """Room left around the breast: millimetres where the spacing is known, else pixels."""

    mm: float = 5.0
    pixels: int = 32

    def along(self, spacing_mm: Spacing | None) -> tuple[int, int]:
        """Pixels along rows' direction (down) and columns' (across)."""
        if spacing_mm is None:
            return self.pixels, self.pixels
        return ceil(self.mm / spacing_mm[0]), ceil(self.mm / spacing_mm[1])


def breast_region(
    sample: NDArray[np.uint8],
    shape: Shape,
    *,
    boxes: Sequence[Rectangle] = (),
    margin: Margin | None = None,
    spacing_mm: Spacing | None = None,
) -> BreastRegion:
    """The breast's rectangle in an image of ``shape``, given display values on a coarse regular grid over all of it (``coarse``).

    No given box is ever cut: the crop grows to hold them.
    """
    whole = Crop(x0=0, y0=0, x1=shape[1], y1=shape[0])
    tissue = _largest_part(_tissue(sample))
    share = float(tissue.mean())
    if not _SMALLEST <= share <= _LARGEST:
        problem = "no breast stands out from the air" if share < _SMALLEST else "the whole image is as bright as a breast"
        return BreastRegion(crop=whole, is_found=False, problem=problem)
    found = _rectangle(tissue, shape)
    outside = tuple(number for number, box in enumerate(boxes) if clipped(_shifted(box, found), _size(found))[1] < 0.5)
    down, across = (margin or Margin()).along(spacing_mm)
    crop = Crop(
        x0=max(0, found.x0 - across), y0=max(0, found.y0 - down), x1=min(shape[1], found.x1 + across), y1=min(shape[0], found.y1 + down)
    )
    return BreastRegion(crop=grown_to_hold(crop, boxes, shape), is_found=True, side=_chest_side(tissue), outside_boxes=outside)


def coarse(stored: NDArray[Any], side: int = WORKING_SIDE) -> NDArray[Any]:
    """Every n-th pixel (a view), so that the longer side has about ``side`` of them."""
    step = max(1, max(stored.shape[:2]) // side)
    return stored[step // 2 :: step, step // 2 :: step]


def _tissue(sample: NDArray[np.uint8]) -> NDArray[np.bool_]:
    split = _otsu(sample)
    is_above = sample > split
    if not is_above.any() or is_above.all():
        return np.zeros(sample.shape, dtype=bool)
    air, flesh = float(np.median(sample[~is_above])), float(np.median(sample[is_above]))
    # On a film scan the air is bright and noisy: stay above its spread.
    spread = 3.0 * 1.4826 * float(np.median(np.abs(sample[~is_above] - air)))
    threshold = min(max(air + _ABOVE_AIR * (flesh - air), air + spread), float(split) if split > air else air + 1.0)
    return np.asarray(sample > threshold)


def _otsu(sample: NDArray[np.uint8]) -> int:
    """The value that separates dark from bright best (Otsu 1979)."""
    counts = np.bincount(sample.ravel(), minlength=256).astype(np.float64)
    weight = np.cumsum(counts)
    total = np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (total[-1] * weight - total * weight[-1]) ** 2 / (weight * (weight[-1] - weight))
    return int(np.nanargmax(np.where(np.isfinite(between), between, -1.0)))


def _largest_part(tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part, holes filled: markers, scratches and film frames are others."""
    rows, columns = tissue.shape
    down, across = max(1, round(_BORDER * rows)), max(1, round(_BORDER * columns))
    inner = np.zeros_like(tissue)
    inner[down : rows - down, across : columns - across] = tissue[down : rows - down, across : columns - across]
    opened = ndimage.binary_opening(inner, structure=np.ones((_OPENING, _OPENING)))
    parts, count = ndimage.label(opened)
    if count == 0:
        return np.zeros_like(tissue)
    sizes = np.bincount(parts.ravel())[1:]
    return np.asarray(ndimage.binary_fill_holes(parts == 1 + int(np.argmax(sizes))))


def _rectangle(tissue: NDArray[np.bool_], shape: Shape) -> Crop:
    """The part's extent in pixels of the whole image; up to the edge where it ends at the border left out of the search."""
    edges = []
    for axis in (1, 0):
        length, full = tissue.shape[axis], shape[axis]
        filled = np.flatnonzero(tissue.any(axis=1 - axis))
        border = max(1, round(_BORDER * length)) + _OPENING // 2
        low, high = int(filled[0]), int(filled[-1]) + 1
        scale = full / length
        edges.append(
            (0 if low <= border else int((low - 1) * scale), full if high >= length - border else min(full, ceil((high + 1) * scale)))
        )
    (x0, x1), (y0, y1) = edges
    return Crop(x0=x0, y0=y0, x1=x1, y1=y1)


def _chest_side(tissue: NDArray[np.bool_]) -> str:
    columns = tissue.mean(axis=0)
    half = tissue.shape[1] // 2
    return "left" if columns[:half].sum() >= columns[-half:].sum() else "right"


def _shifted(box: Rectangle, crop: Crop) -> Rectangle:
    x0, y0, x1, y1 = box
    # A point has no area to lie inside with: it counts as one pixel.
    return x0 - crop.x0, y0 - crop.y0, max(x1, x0 + 1) - crop.x0, max(y1, y0 + 1) - crop.y0


def _size(crop: Crop) -> Shape:
    return crop.y1 - crop.y0, crop.x1 - crop.x0
