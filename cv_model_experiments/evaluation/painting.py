"""Boxes as a picai detection map. This rule is part of every AP that is computed from boxes; docs/evaluation.md states it.

1. Candidates are taken by falling score; equal scores by their corners. A score of 0 is no candidate.
2. A voxel belongs to a box if its centre does: edges at e cover the voxels with e0 <= v + 0.5 < e1. A box without any voxel centre
   takes the one voxel that its middle lies in; a box wholly outside the grid is left out.
3. A candidate that would come within ``gap`` voxels (26-neighbourhood for 1) of one already painted is left out whole: a higher
   score wins, nothing is cut, and every component keeps one score.
4. A candidate of fewer than ``smallest`` voxels is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.predictions import PredictedBox
from weakbox.records.record import record

GAP = 1
REASONS = ("score_zero", "outside", "too_small", "touches_a_better_one")

Edges = NDArray[np.float64]
"""(2, 3): start and stop along (slice, row, column)."""


@record
class Painted:
    """The map (slices, rows, columns) float32, and how many candidates are not in it, by reason."""

    detection_map: NDArray[np.float32]
    left_out: dict[str, int]


def paint_boxes(boxes: Sequence[PredictedBox], shape: tuple[int, ...], *, gap: int = GAP, smallest: int = 1) -> Painted:
    """Boxes (x, y[, z]) as rectangles in an array of ``shape`` (slices, rows, columns); 2-D boxes lie in its first slice."""
    return _paint(boxes, shape, _rectangle, gap, smallest)


def paint_ellipsoids(boxes: Sequence[PredictedBox], shape: tuple[int, ...], *, gap: int = GAP, smallest: int = 1) -> Painted:
    """The ellipsoids inscribed in the boxes: nearer to a lesion's mask than the box, which a lesion fills by a third."""
    return _paint(boxes, shape, _ellipsoid, gap, smallest)


def _paint(
    boxes: Sequence[PredictedBox],
    shape: tuple[int, ...],
    inside: Callable[[Edges, tuple[slice, ...]], NDArray[np.bool_]],
    gap: int,
    smallest: int,
) -> Painted:
    painted = np.zeros(shape, dtype=np.float32)
    left_out = dict.fromkeys(REASONS, 0)
    for box in sorted(boxes, key=lambda box: (-box.score, box.start, box.stop)):
        edges = _edges(box)
        where = voxels_of(edges, shape)
        block = None if where is None else inside(edges, where)
        if np.float32(box.score) <= 0:
            left_out["score_zero"] += 1
        elif where is None or block is None:
            left_out["outside"] += 1
        elif block.sum() < smallest:
            left_out["too_small"] += 1
        elif _touches(painted, where, block, gap):
            left_out["touches_a_better_one"] += 1
        else:
            painted[where][block] = box.score
    return Painted(detection_map=painted, left_out={reason: count for reason, count in left_out.items() if count})


def _edges(box: PredictedBox) -> Edges:
    flat = len(box.start) == 2
    start, stop = ((*box.start, 0.0), (*box.stop, 1.0)) if flat else (box.start, box.stop)
    return np.array([start[::-1], stop[::-1]], dtype=float)


def voxels_of(edges: Edges, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Voxels whose centres lie in the box, at least one an axis, cut to the grid; None where the box lies outside of it."""
    first, last = np.ceil(edges[0] - 0.5).astype(int), np.ceil(edges[1] - 0.5).astype(int)
    middle = np.floor(edges.mean(axis=0)).astype(int)
    empty = last <= first
    first, last = np.where(empty, middle, first), np.where(empty, middle + 1, last)
    first, last = np.maximum(first, 0), np.minimum(last, shape)
    if np.any(last <= first):
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))


def _rectangle(_: Edges, where: tuple[slice, ...]) -> NDArray[np.bool_]:
    return np.ones([part.stop - part.start for part in where], dtype=bool)


def _ellipsoid(edges: Edges, where: tuple[slice, ...]) -> NDArray[np.bool_]:
    middle, semi_axes = edges.mean(axis=0), (edges[1] - edges[0]) / 2
    parts = [
        ((np.arange(part.start, part.stop) + 0.5 - centre) / semi_axis) ** 2
        for part, centre, semi_axis in zip(where, middle, semi_axes, strict=True)
    ]
    block = parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :] <= 1.0
    if block.any():
        return block
    # Thinner than a voxel along some axis: the voxels nearest to its middle plane stand for it.
    nearest = [part == part.min() for part in parts]
    thick = [part if (part <= 1.0).any() else near for part, near in zip([p <= 1.0 for p in parts], nearest, strict=True)]
    return np.asarray(thick[0][:, None, None] & thick[1][None, :, None] & thick[2][None, None, :])


def _touches(painted: NDArray[np.float32], where: tuple[slice, ...], block: NDArray[np.bool_], gap: int) -> bool:
    """Whether a voxel of the block lies within ``gap`` voxels (a cube) of a painted one."""
    grown = tuple(slice(max(0, part.start - gap), part.stop + gap) for part in where)
    around = painted[grown] > 0
    if not around.any():
        return False
    wide = np.zeros(around.shape, dtype=bool)
    offsets = [part.start - whole.start for part, whole in zip(where, grown, strict=True)]
    for shift in product(range(-gap, gap + 1), repeat=3):
        starts = [offset + step for offset, step in zip(offsets, shift, strict=True)]
        target = tuple(slice(max(0, start), max(0, start + size)) for start, size in zip(starts, block.shape, strict=True))
        lows = [max(0, -start) for start in starts]
        source = tuple(
            slice(low, low + min(part.stop, size) - part.start) for low, part, size in zip(lows, target, around.shape, strict=True)
        )
        wide[target] |= block[source]
    return bool((wide & around).any())
