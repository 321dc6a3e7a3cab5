"""Frames of 2-D images: crop, resize, flip and turn, with what they do to boxes, masks and spacing.

Coordinates are edges, not centres: the pixel in column c and row r fills c..c+1 and r..r+1 of its image. A rectangle is half-open
``(x0, y0, x1, y1)``, x along columns. The first frame is always the image as it is stored in its file. Shapes are
(rows, columns); arrays are numpy [row, column] or [row, column, channel].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from weakbox.records.record import record

Rectangle = tuple[float, float, float, float]
Shape = tuple[int, int]
Spacing = tuple[float, float]
"""Between rows, between columns, mm: as DICOM Pixel Spacing."""

AREA = "area"
LANCZOS = "lanczos"
_SHRINKING = {AREA: Image.Resampling.BOX, LANCZOS: Image.Resampling.LANCZOS}


@record
class Crop:
    """The part of an image inside whole-number edges; must lie inside the image."""

    x0: int
    y0: int
    x1: int
    y1: int

    def output_shape(self, shape: Shape) -> Shape:
        """The shape after the crop.

        Raises:
            ValueError: the crop is empty or reaches outside an image of that shape.
        """
        if not (0 <= self.x0 < self.x1 <= shape[1] and 0 <= self.y0 < self.y1 <= shape[0]):
            msg = f"a crop x {self.x0}..{self.x1}, y {self.y0}..{self.y1} does not lie inside {shape[1]} x {shape[0]} pixels"
            raise ValueError(msg)
        return self.y1 - self.y0, self.x1 - self.x0

    def matrix(self, shape: Shape) -> NDArray[np.float64]:
        """2x3: edge coordinates before -> after."""
        return np.array([[1.0, 0.0, -self.x0], [0.0, 1.0, -self.y0]])

    def image(self, array: NDArray[Any]) -> NDArray[Any]:
        """The cropped image (a view)."""
        return array[self.y0 : self.y1, self.x0 : self.x1]

    mask = image


@record
class Resize:
    """The whole image on another number of pixels. Images by area or Lanczos where they shrink, Lanczos where they grow; masks nearest."""

    rows: int
    columns: int
    filter: str = AREA

    def output_shape(self, shape: Shape) -> Shape:
        """The shape after resizing.

        Raises:
            ValueError: it has no pixel, or the filter is unknown.
        """
        if self.rows < 1 or self.columns < 1 or self.filter not in _SHRINKING:
            msg = f"cannot resize to {self.columns} x {self.rows} pixels by {self.filter}: at least one pixel, by {' or '.join(_SHRINKING)}"
            raise ValueError(msg)
        return self.rows, self.columns

    def matrix(self, shape: Shape) -> NDArray[np.float64]:
        """2x3: edge coordinates before -> after."""
        return np.array([[self.columns / shape[1], 0.0, 0.0], [0.0, self.rows / shape[0], 0.0]])

    def image(self, array: NDArray[Any]) -> NDArray[Any]:
        """The resized image, same dtype (uint8 or uint16; colour uint8)."""
        if array.shape[:2] == (self.rows, self.columns):
            return array
        is_shrinking = self.rows <= array.shape[0] and self.columns <= array.shape[1]
        method = _SHRINKING[self.filter] if is_shrinking else Image.Resampling.LANCZOS
        return np.asarray(Image.fromarray(np.ascontiguousarray(array)).resize((self.columns, self.rows), method))

    def mask(self, array: NDArray[Any]) -> NDArray[Any]:
        """The resized mask: the value of the pixel that each new pixel's centre lies in."""
        rows, columns = array.shape[:2]
        y = ((2 * np.arange(self.rows) + 1) * rows) // (2 * self.rows)
        x = ((2 * np.arange(self.columns) + 1) * columns) // (2 * self.columns)
        return array[y[:, None], x[None, :]]


@record
class FlipHorizontal:
    """Left becomes right."""

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        return shape

    def matrix(self, shape: Shape) -> NDArray[np.float64]:
        """2x3: edge coordinates before -> after."""
        return np.array([[-1.0, 0.0, shape[1]], [0.0, 1.0, 0.0]])

    def image(self, array: NDArray[Any]) -> NDArray[Any]:
        """The flipped image (a view)."""
        return array[:, ::-1]

    mask = image


@record
class QuarterTurn:
    """A quarter turn anticlockwise, as ``numpy.rot90``: the right edge becomes the upper one."""

    def output_shape(self, shape: Shape) -> Shape:
        """Rows and columns exchanged."""
        return shape[1], shape[0]

    def matrix(self, shape: Shape) -> NDArray[np.float64]:
        """2x3: edge coordinates before -> after."""
        return np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, shape[1]]])

    def image(self, array: NDArray[Any]) -> NDArray[Any]:
        """The turned image (a view)."""
        return np.rot90(array)

    mask = image


Step = Crop | Resize | FlipHorizontal | QuarterTurn


@record
class FrameChange:
    """Steps from a stored image of ``shape`` to another image, in order."""

    shape: Shape
    steps: tuple[Step, ...] = ()

    def then(self, *steps: Step) -> FrameChange:
        """This change followed by further steps."""
        return FrameChange(shape=self.shape, steps=(*self.steps, *steps))

    @property
    def output_shape(self) -> Shape:
        """Rows and columns after all steps.

        Raises:
            ValueError: a step does not fit what comes before it.
        """
        shape = self.shape
        for step in self.steps:
            shape = step.output_shape(shape)
        return shape

    @property
    def matrix(self) -> NDArray[np.float64]:
        """3x3: edge coordinates (x, y, 1) of the stored image -> of the new image."""
        shape, result = self.shape, np.eye(3)
        for step in self.steps:
            result = np.vstack([step.matrix(shape), (0.0, 0.0, 1.0)]) @ result
            shape = step.output_shape(shape)
        return result

    def points(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 2) as (x, y) of the stored image -> of the new image; may lie outside it."""
        return _moved(points, self.matrix)

    def points_back(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points (n, 2) of the new image -> of the stored image."""
        return _moved(points, np.asarray(np.linalg.inv(self.matrix), dtype=np.float64))

    def box(self, box: Rectangle) -> Rectangle:
        """A box of the stored image in the new one, not clipped (see ``clipped``)."""
        return _hull(self.points(_corners(box)))

    def box_back(self, box: Rectangle) -> Rectangle:
        """A box of the new image in the stored one."""
        return _hull(self.points_back(_corners(box)))

    def image(self, array: NDArray[Any]) -> NDArray[Any]:
        """The stored image moved into the new frame."""
        for step in self.steps:
            array = step.image(array)
        return array

    def mask(self, array: NDArray[Any]) -> NDArray[Any]:
        """A mask of the stored image moved into the new frame: values are never mixed."""
        for step in self.steps:
            array = step.mask(array)
        return array

    def spacing(self, spacing_mm: Spacing | None) -> Spacing | None:
        """The stored image's spacing (between rows, between columns) in the new frame; None stays None."""
        if spacing_mm is None:
            return None
        linear = np.abs(self.matrix[:2, :2])
        old = (spacing_mm[1], spacing_mm[0])
        # Every axis of the new image follows one axis of the stored one.
        x, y = (int(np.argmax(row)) for row in linear)
        return float(old[y] / linear[1, y]), float(old[x] / linear[0, x])


def _moved(points: ArrayLike, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.asarray(points, dtype=float).reshape(-1, 2) @ matrix[:2, :2].T + matrix[:2, 2])


def _corners(box: Rectangle) -> NDArray[np.float64]:
    return np.array([(box[0], box[1]), (box[2], box[3])])


def _hull(points: NDArray[np.float64]) -> Rectangle:
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def fitted(shape: Shape, long_side: int, *, filter_name: str = AREA) -> Resize:
    """A resize to ``long_side`` pixels on the longer side, keeping the aspect; a smaller image keeps its size."""
    return scaled(shape, min(1.0, long_side / max(shape)), filter_name=filter_name)


def scaled(shape: Shape, factor: float, *, filter_name: str = AREA) -> Resize:
    """A resize by a factor, each side rounded to whole pixels, at least one."""
    rows, columns = (max(1, round(side * factor)) for side in shape)
    return Resize(rows=rows, columns=columns, filter=filter_name)


def clipped(box: Rectangle, shape: Shape) -> tuple[Rectangle | None, float]:
    """The part of a box inside an image, and what share of its area that is; None and 0 where it lies outside."""
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(float(shape[1]), box[2]), min(float(shape[0]), box[3])
    if x0 >= x1 or y0 >= y1:
        return None, 0.0
    return (x0, y0, x1, y1), (x1 - x0) * (y1 - y0) / ((box[2] - box[0]) * (box[3] - box[1]))


def at_least(box: Rectangle, minimum: float, shape: Shape) -> tuple[Rectangle, bool]:
    """A box with sides of at least ``minimum`` pixels around the same centre, moved into the image; and whether it was enlarged.

    A point (x0 = x1) is a box here: single-point outlines become boxes that a detector can learn.
    """
    (x0, x1), (y0, y1) = _grown(box[0], box[2], minimum, shape[1]), _grown(box[1], box[3], minimum, shape[0])
    grown = (x0, y0, x1, y1)
    return grown, grown != tuple(map(float, box))


def _grown(low: float, high: float, minimum: float, limit: int) -> tuple[float, float]:
    if high - low >= minimum:
        return float(low), float(high)
    size = min(float(minimum), float(limit))
    start = min(max((low + high) / 2 - size / 2, 0.0), limit - size)
    return start, start + size


def around(boxes: Iterable[Rectangle], shape: Shape, *, context: float = 1.5, minimum: int = 0) -> Crop:
    """A crop around boxes: their hull grown ``context`` times about its centre, sides at least ``minimum`` pixels, moved into the image."""
    hull = _hull(np.array([corner for box in boxes for corner in _corners(box)]))
    sides = []
    for low, high, limit in ((hull[0], hull[2], shape[1]), (hull[1], hull[3], shape[0])):
        size = max((high - low) * context, float(minimum), high - low)
        sides.append(_whole(*_grown((low + high) / 2, (low + high) / 2, size, limit), limit))
    (x0, x1), (y0, y1) = sides
    return Crop(x0=x0, y0=y0, x1=x1, y1=y1)


def _whole(low: float, high: float, limit: int) -> tuple[int, int]:
    start = min(max(0, floor(low)), limit - 1)
    return start, max(start + 1, min(limit, ceil(high)))


def grown_to_hold(crop: Crop, boxes: Sequence[Rectangle], shape: Shape) -> Crop:
    """A crop enlarged so that no box is cut, as far as the image reaches."""
    edges = np.array([(crop.x0, crop.y0, crop.x1, crop.y1), *boxes], dtype=float)
    x0, x1 = _whole(float(edges[:, 0].min()), float(edges[:, 2].max()), shape[1])
    y0, y1 = _whole(float(edges[:, 1].min()), float(edges[:, 3].max()), shape[0])
    return Crop(x0=x0, y0=y0, x1=x1, y1=y1)
