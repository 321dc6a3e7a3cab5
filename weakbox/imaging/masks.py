"""Voxel masks of boxes and of the ellipsoids inscribed in them.

A mask is kept as the block of voxels that it touches, so that many lesions cost little. Each lesion keeps its own mask
(DICOM segments may overlap); combined maps hold one value a voxel and say which lesion lost voxels to which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.label import Box, LesionStatus, WeakLabel
from weakbox.records.record import record


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskBlock:
    """A boolean block [k, j, i] whose first voxel is ``start`` (i, j, k) of the grid."""

    start: tuple[int, int, int]
    block: NDArray[np.bool_]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the block lies in an array [k, j, i]."""
        (i, j, k), (depth, height, width) = self.start, self.block.shape
        return slice(k, k + depth), slice(j, j + height), slice(i, i + width)

    @property
    def voxels(self) -> int:
        return int(self.block.sum())

    def paint(self, array: NDArray[Any], value: int) -> None:
        """Set the mask's voxels of an array [k, j, i]."""
        array[self.slices][self.block] = value


def box_mask(box: Box, grid: Grid) -> MaskBlock:
    """Every voxel of the box's half-open voxel box.

    Raises:
        InputError: the box lies in another Frame of Reference or outside the grid.
    """
    _check_frame(box, grid)
    start, stop = np.array(box.voxel_start), np.array(box.voxel_stop)
    if np.any(start < 0) or np.any(stop > grid.shape) or np.any(stop <= start):
        place = f"{box.voxel_start}..{box.voxel_stop}"
        msg = f"a voxel box {place} does not fit the reference series' grid {grid.shape}; the label was made on another grid"
        raise InputError(msg)
    return MaskBlock(start=_triple(start), block=np.ones((stop - start)[::-1], dtype=bool))


def ellipsoid_mask(box: Box, grid: Grid) -> MaskBlock:
    """Voxels whose centres lie in the ellipsoid inscribed in the exact, unrounded box; at least one voxel.

    The ellipsoid's axes are those of the grid. Where it holds no voxel centre, the voxel nearest to its centre is taken.

    Raises:
        InputError: the box lies in another Frame of Reference.
    """
    _check_frame(box, grid)
    centre = grid.to_index(box.centre)
    semi_axes = np.maximum(np.array(box.size_mm) / np.array(grid.spacing) / 2, np.finfo(float).eps)
    limits = np.array(grid.shape) - 1
    first = np.clip(np.ceil(centre - semi_axes), 0, limits).astype(int)
    last = np.clip(np.floor(centre + semi_axes), 0, limits).astype(int)
    distances = [((np.arange(a, b + 1) - c) / s) ** 2 for a, b, c, s in zip(first, last, centre, semi_axes, strict=True)]
    block = distances[2][:, None, None] + distances[1][None, :, None] + distances[0][None, None, :] <= 1.0
    if block.any():
        return _trimmed(first, block)
    nearest = np.clip(np.rint(centre), 0, limits).astype(int)
    return MaskBlock(start=_triple(nearest), block=np.ones((1, 1, 1), dtype=bool))


def _trimmed(first: NDArray[Any], block: NDArray[np.bool_]) -> MaskBlock:
    ranges = [np.flatnonzero(block.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    kept = tuple(slice(indices[0], indices[-1] + 1) for indices in ranges)
    offset = np.array([ranges[2][0], ranges[1][0], ranges[0][0]])
    return MaskBlock(start=_triple(first + offset), block=block[kept])


def _check_frame(box: Box, grid: Grid) -> None:
    if box.frame_of_reference_uid is not None and box.frame_of_reference_uid != grid.frame_of_reference_uid:
        frames = f"{box.frame_of_reference_uid}, the reference series in {grid.frame_of_reference_uid}"
        msg = f"a box lies in Frame of Reference {frames}; it needs a registration"
        raise InputError(msg)


def _triple(values: NDArray[Any]) -> tuple[int, int, int]:
    i, j, k = (int(value) for value in values)
    return i, j, k


@record
class Overlap:
    """``voxels`` that two lesions claim; the combined map gives them to ``winner``."""

    winner: int
    loser: int
    voxels: int


def severity(label: WeakLabel) -> tuple[int, int, float, str]:
    """What orders labels where masks overlap: cancer, untested, not significant, benign; then grade, confidence, id."""
    rank = {LesionStatus.CANCER: 3, LesionStatus.UNTESTED: 2, LesionStatus.NOT_SIGNIFICANT: 1, LesionStatus.BENIGN: 0}[label.status]
    return rank, label.isup_grade or 0, label.confidence, label.label_id


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionMask:
    """A label's mask; ``number`` (1, 2, ...) names the lesion in instance maps and in overlaps."""

    label: WeakLabel
    number: int
    mask: MaskBlock


def combine(lesions: Sequence[LesionMask], grid: Grid, value_of: Callable[[LesionMask], int]) -> NDArray[Any]:
    """One map [k, j, i] of ``value_of`` (> 0), uint8, or uint16 above 255; where masks overlap the more severe label wins."""
    values = [value_of(lesion) for lesion in lesions]
    array = np.zeros(grid.shape[::-1], dtype=np.uint8 if max(values, default=0) <= 255 else np.uint16)
    for lesion in sorted(lesions, key=lambda lesion: severity(lesion.label)):
        lesion.mask.paint(array, value_of(lesion))
    return array


def overlaps(lesions: Sequence[LesionMask]) -> tuple[Overlap, ...]:
    """Every pair of lesions whose masks share voxels, the winner in combined maps first."""
    ordered = sorted(lesions, key=lambda lesion: severity(lesion.label), reverse=True)
    pairs = ((high, low, shared_voxels(high.mask, low.mask)) for index, high in enumerate(ordered) for low in ordered[index + 1 :])
    return tuple(Overlap(winner=high.number, loser=low.number, voxels=voxels) for high, low, voxels in pairs if voxels)


def shared_voxels(first: MaskBlock, second: MaskBlock) -> int:
    """How many voxels two masks have in common."""
    start = np.maximum(first.start, second.start)
    stop = np.minimum(np.add(first.start, first.block.shape[::-1]), np.add(second.start, second.block.shape[::-1]))
    if np.any(stop <= start):
        return 0
    return int(np.sum(_window(first, start, stop) & _window(second, start, stop)))


def _window(mask: MaskBlock, start: NDArray[Any], stop: NDArray[Any]) -> NDArray[np.bool_]:
    (i0, j0, k0), (i1, j1, k1) = start - mask.start, stop - mask.start
    return mask.block[k0:k1, j0:j1, i0:i1]
