"""Boxes on the voxel axes of a reference series: from a centre and sizes, from a mask's extent, and how much two overlap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakbox.records.grid import Grid, Point
from weakbox.records.label import Box

Voxel = tuple[int, int, int]

_PARALLEL = 1e-4
_EDGE = 1e-6
"""A centre on the very edge of the image counts as inside, whatever the rounding."""
_TOLERANCE = 1e-9
"""Centres that lie on a face up to rounding count as inside."""


def box_around(centre: Point, extents_lr_ap_cc: Point, grid: Grid, series_key: str, uncertainty_mm: float) -> Box:
    """The box with that centre (LPS mm) and those extents (left-right, antero-posterior, cranio-caudal; mm) on a grid's axes.

    Each grid axis takes the extent of the patient axis that it follows most, so an oblique series gets an oblique box.

    Raises:
        ValueError: the centre lies outside the grid, or an extent is not positive.
    """
    if not all(extent > 0 for extent in extents_lr_ap_cc):
        msg = f"a box has positive extents, got {extents_lr_ap_cc}"
        raise ValueError(msg)
    order = patient_axes(grid)
    size = np.array([extents_lr_ap_cc[axis] for axis in order])
    half = size / 2.0 / np.array(grid.spacing)
    index = grid.to_index(centre)
    return _box(index - half, index + half, grid, series_key, uncertainty_mm)


def box_over(points: Sequence[Point], grid: Grid, series_key: str, uncertainty_mm: float) -> Box:
    """The smallest box on a grid's axes that holds every point (LPS mm): the extent of a mask, given its corners.

    Raises:
        ValueError: its centre lies outside the grid.
    """
    index = grid.to_index(np.array(points))
    return _box(index.min(axis=0), index.max(axis=0), grid, series_key, uncertainty_mm)


def spanned_corners(corner: Point, edges: tuple[Point, Point, Point]) -> tuple[Point, ...]:
    """The eight corners of the box that three edge vectors span from a corner, LPS mm; the first edge runs fastest."""
    start, vectors = np.array(corner), np.array(edges)
    weights = [(i, j, k) for k, j, i in product((0.0, 1.0), repeat=3)]
    return tuple(_point(start + np.array(weight) @ vectors) for weight in weights)


def patient_axes(grid: Grid) -> tuple[int, int, int]:
    """For the grid axes i, j, k: the patient axis (0 left-right, 1 antero-posterior, 2 cranio-caudal) that each follows most."""
    alignment = np.abs(grid.directions)
    first, second, third = max(permutations((0, 1, 2)), key=lambda order: float(sum(alignment[axis, at] for at, axis in enumerate(order))))
    return first, second, third


def corners(box: Box) -> NDArray[np.float64]:
    """The eight corners, (8, 3) LPS mm, index order i fastest."""
    return np.array(box.corners)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes of one frame, 0..1.

    Exact where their axes are parallel (every pair on one series). Otherwise both are replaced by their hulls along the
    patient axes, which overstates boxes that are turned against each other.

    Raises:
        ValueError: the boxes lie in different frames of reference.
    """
    if first.frame_of_reference_uid != second.frame_of_reference_uid:
        msg = "boxes of different frames of reference cannot be compared without a registration"
        raise ValueError(msg)
    axes = _axes(first)
    is_parallel = bool(np.all(np.sort(np.abs(axes.T @ _axes(second)), axis=0)[:2] < _PARALLEL))
    basis = axes if is_parallel else np.eye(3)
    (low_a, high_a), (low_b, high_b) = _range(first, basis), _range(second, basis)
    shared = float(np.prod(np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0.0)))
    union = float(np.prod(high_a - low_a) + np.prod(high_b - low_b)) - shared
    return shared / union


def _box(low: NDArray[np.float64], high: NDArray[np.float64], grid: Grid, series_key: str, uncertainty_mm: float) -> Box:
    """A box from continuous index bounds."""
    middle = (low + high) / 2.0
    shape = np.array(grid.shape)
    if not (np.all(middle >= -0.5 - _EDGE) and np.all(middle <= shape - 0.5 + _EDGE)):
        msg = "the centre of the box lies outside the image; it is never moved into it"
        raise ValueError(msg)
    start, stop = _voxels(low, high, shape)
    ends = (low, high)
    indices = [(ends[i][0], ends[j][1], ends[k][2]) for k, j, i in product((0, 1), repeat=3)]
    return Box(
        centre=_point(grid.to_lps(middle)),
        size_mm=_point((high - low) * np.array(grid.spacing)),
        corners=tuple(_point(corner) for corner in grid.to_lps(np.array(indices))),
        voxel_start=start,
        voxel_stop=stop,
        reference_series_key=series_key,
        frame_of_reference_uid=grid.frame_of_reference_uid,
        uncertainty_mm=uncertainty_mm,
    )


def _voxels(low: NDArray[np.float64], high: NDArray[np.float64], shape: NDArray[np.int_]) -> tuple[Voxel, Voxel]:
    """Half-open voxel box: centres inside the bounds, clipped to the grid, at least the voxel that holds the middle."""
    start = np.clip(np.ceil(low - _TOLERANCE), 0, shape - 1).astype(int)
    stop = np.clip(np.floor(high + _TOLERANCE) + 1, 1, shape).astype(int)
    middle = np.clip(np.rint((low + high) / 2.0), 0, shape - 1).astype(int)
    is_empty = stop <= start
    start, stop = np.where(is_empty, middle, start), np.where(is_empty, middle + 1, stop)
    return (int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2]))


def _axes(box: Box) -> NDArray[np.float64]:
    """3x3, columns are the unit LPS directions of the box's axes."""
    points = corners(box)
    edges = np.stack([points[1] - points[0], points[2] - points[0], points[4] - points[0]], axis=1)
    return np.asarray(edges / np.linalg.norm(edges, axis=0))


def _range(box: Box, basis: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along = corners(box) @ basis
    return along.min(axis=0), along.max(axis=0)


def _point(values: ArrayLike) -> Point:
    x, y, z = np.asarray(values, dtype=float)
    return float(x), float(y), float(z)
