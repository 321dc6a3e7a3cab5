"""Where a prepared image lies on the exported one: an offset and a scale for each axis, so that boxes move along and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.image_set import ImageBox
from weakbox.records.record import record


@record
class Placement:
    """``prepared = scale * exported + offset`` on each tensor axis, of pixel or voxel edges; a negative scale is a mirror.

    Tensor axes are (row, column) in 2-D and (slice, row, column) in 3-D: the reverse of a box's (x, y[, z]).
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    shape: tuple[int, ...]
    """Of the prepared image."""

    def boxes(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes [n, 2, axes] (start, stop; tensor axes) of the exported image on the prepared one, cut at its edges."""
        moved = boxes * np.array(self.scale) + np.array(self.offset)
        return np.clip(np.sort(moved, axis=1), 0, np.array(self.shape, float))

    def back(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes [n, 2, axes] of the prepared image on the exported one."""
        return np.sort((boxes - np.array(self.offset)) / np.array(self.scale), axis=1)

    def as_json(self) -> dict[str, Any]:
        """What is stored beside a prepared image."""
        return {"scale": list(self.scale), "offset": list(self.offset), "shape": list(self.shape)}


def placement_from_json(content: dict[str, Any]) -> Placement:
    """The placement that ``as_json`` wrote."""
    return Placement(scale=tuple(content["scale"]), offset=tuple(content["offset"]), shape=tuple(content["shape"]))


def boxes_on_axes(boxes: tuple[ImageBox, ...]) -> NDArray[np.float64]:
    """Boxes of a manifest row as [n, 2, axes]: start and stop on tensor axes, (y, x) or (z, y, x). Empty: shape (0, 2, 0)."""
    if not boxes:
        return np.zeros((0, 2, 0))
    return np.array([[box.start[::-1], box.stop[::-1]] for box in boxes], float)
