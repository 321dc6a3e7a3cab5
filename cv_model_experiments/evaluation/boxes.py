"""Overlap and distance of axis-aligned boxes in any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def box_array(boxes: Sequence[tuple[Sequence[float], Sequence[float]]], axes: int) -> Numbers:
    """(start, stop) pairs as an array (n, 2, axes)."""
    return np.array(boxes, dtype=float).reshape(-1, 2, axes)


def overlaps(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union of every pair: (n, 2, axes) and (m, 2, axes) to (n, m). Boxes are continuous: stop - start is the side."""
    sides = np.minimum(first[:, None, 1], second[None, :, 1]) - np.maximum(first[:, None, 0], second[None, :, 0])
    shared = np.prod(np.maximum(sides, 0.0), axis=2)
    volumes = [np.prod(boxes[:, 1] - boxes[:, 0], axis=1) for boxes in (first, second)]
    union = volumes[0][:, None] + volumes[1][None, :] - shared
    return np.asarray(shared / union)


def centres(boxes: Numbers) -> Numbers:
    """Middles of boxes, (n, axes)."""
    return np.asarray(boxes.mean(axis=1))


def centres_inside(lesions: Numbers, candidates: Numbers) -> NDArray[np.bool_]:
    """Whether a candidate's middle lies in a lesion's box, edges included: (lesions, candidates)."""
    middles = centres(candidates)[None]
    return np.asarray(np.all((middles >= lesions[:, None, 0]) & (middles <= lesions[:, None, 1]), axis=2))


def centre_distances(lesions: Numbers, candidates: Numbers, spacing: Sequence[float]) -> Numbers:
    """Distances of middles in the unit of ``spacing`` (mm a voxel along each axis): (lesions, candidates)."""
    steps = (centres(lesions)[:, None] - centres(candidates)[None]) * np.array(spacing, dtype=float)
    return np.asarray(np.linalg.norm(steps, axis=2))
