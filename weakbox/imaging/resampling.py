"""Resampling a volume to a grid.

highdicom compares a volume's Frame of Reference with itself, SimpleITK knows none: the check is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from weakbox.imaging.volumes import Volume, same_geometry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.record import record

PARALLEL_TOLERANCE_VOXELS = 1e-3
OUTSIDE = 0.0
"""The value of target voxels that lie outside the source volume."""


@record
class Registration:
    """An explicit rigid or affine registration: LPS points of the target's frame -> LPS points of the source's frame.

    ``matrix`` is row-major 4x4, mm.
    """

    target_frame_uid: str
    source_frame_uid: str
    matrix: tuple[float, ...]


class FrameMismatchError(InputError):
    """Two volumes have different Frames of Reference and no registration joins them."""


def resample_linear(volume: Volume, grid: Grid, registration: Registration | None = None) -> Volume:
    """Trilinear interpolation on ``grid``; whole-number volumes are rounded to their own type. Outside is 0.

    Grids whose axes are parallel are interpolated axis by axis: the same values as SimpleITK's, about five times as fast.

    Raises:
        FrameMismatchError: the Frames of Reference differ and no registration joins them.
    """
    transform = _transform(volume.grid, grid, registration)
    axes = _parallel_axes(volume.grid, grid) if transform is None and not same_geometry(volume.grid, grid) else None
    return _resample(volume, grid, registration, sitk.sitkLinear) if axes is None else _interpolate_axes(volume, grid, axes)


def resample_bspline(volume: Volume, grid: Grid, registration: Registration | None = None) -> Volume:
    """Cubic B-spline interpolation; overshoot is clipped to the source's range. Otherwise like ``resample_linear``."""
    resampled = _resample(volume, grid, registration, sitk.sitkBSpline)
    limits = volume.array.min(), volume.array.max()
    return Volume(np.clip(resampled.array, min(limits[0], OUTSIDE), max(limits[1], OUTSIDE)).astype(volume.array.dtype), grid)


def resample_nearest(volume: Volume, grid: Grid, registration: Registration | None = None) -> Volume:
    """Nearest neighbour, for masks. Otherwise like ``resample_linear``."""
    return _resample(volume, grid, registration, sitk.sitkNearestNeighbor)


def _resample(volume: Volume, grid: Grid, registration: Registration | None, interpolator: int) -> Volume:
    transform = _transform(volume.grid, grid, registration)
    if transform is None and same_geometry(volume.grid, grid):
        return Volume(volume.array, grid)
    is_whole = volume.array.dtype.kind in "iu" and interpolator != sitk.sitkNearestNeighbor
    resampled = sitk.Resample(
        to_simpleitk(volume),
        grid.shape,
        transform or sitk.Transform(3, sitk.sitkIdentity),
        interpolator,
        grid.affine[3:12:4],
        grid.spacing,
        grid.directions.ravel().tolist(),
        OUTSIDE,
        sitk.sitkFloat32 if is_whole else sitk.sitkUnknown,
    )
    values = sitk.GetArrayFromImage(resampled)
    return Volume(_rounded(values, volume.array.dtype) if is_whole else values, grid)


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """For every target index along one axis: its two source neighbours and their weights (both 0 outside the volume)."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    low_weight: NDArray[np.float32]
    high_weight: NDArray[np.float32]


def _parallel_axes(source: Grid, target: Grid) -> tuple[_Axis, ...] | None:
    """How each axis of ``target`` runs along the same axis of ``source``; None where the axes are not parallel."""
    matrix = np.linalg.inv(source.matrix) @ target.matrix
    linear = matrix[:3, :3]
    drift = np.abs(linear - np.diag(np.diag(linear))) @ np.array(target.shape)
    if np.any(drift > PARALLEL_TOLERANCE_VOXELS):
        return None
    return tuple(_axis(linear[axis, axis] * np.arange(target.shape[axis]) + matrix[axis, 3], source.shape[axis]) for axis in range(3))


def _axis(position: NDArray[np.float64], count: int) -> _Axis:
    # A source voxel reaches half a voxel beyond its centre; there the nearest centre counts, as in ITK.
    inside = (position >= -0.5) & (position <= count - 0.5)
    floor = np.floor(position)
    low, high = (np.clip(index, 0, count - 1).astype(np.intp) for index in (floor, floor + 1))
    share = position - floor
    return _Axis(low, high, ((1 - share) * inside).astype(np.float32), (share * inside).astype(np.float32))


def _interpolate_axes(volume: Volume, grid: Grid, axes: tuple[_Axis, ...]) -> Volume:
    values = volume.array.astype(np.float32)
    values = _interpolate(_interpolate(values, axes[2], 0), axes[1], 1)
    # Whole rows are gathered much faster than single columns: i is interpolated with rows and columns swapped.
    values = np.ascontiguousarray(_interpolate(np.ascontiguousarray(values.swapaxes(1, 2)), axes[0], 1).swapaxes(1, 2))
    return Volume(_rounded(values, volume.array.dtype) if volume.array.dtype.kind in "iu" else values, grid)


def _interpolate(values: NDArray[np.float32], axis: _Axis, number: int) -> NDArray[np.float32]:
    shape = [1, 1, 1]
    shape[number] = -1
    result = np.take(values, axis.low, axis=number)
    result *= axis.low_weight.reshape(shape)
    if np.any(axis.high_weight):
        upper = np.take(values, axis.high, axis=number)
        upper *= axis.high_weight.reshape(shape)
        result += upper
    return result


def _rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    # ITK truncates when it casts to a whole-number type, which would lower every value by half a unit on average.
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values, out=values), limits.min, limits.max, out=values).astype(dtype)


def _transform(source: Grid, target: Grid, registration: Registration | None) -> Any:
    source_uid, target_uid = source.frame_of_reference_uid, target.frame_of_reference_uid
    if registration is not None:
        if (registration.source_frame_uid, registration.target_frame_uid) != (source_uid, target_uid):
            joined = f"{registration.source_frame_uid} and {registration.target_frame_uid}"
            msg = f"the registration joins frames {joined}, but the volumes lie in {source_uid} and {target_uid}"
            raise FrameMismatchError(msg)
        matrix = np.array(registration.matrix).reshape(4, 4)
        return sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    if source_uid is None or source_uid != target_uid:
        msg = f"the volumes lie in different Frames of Reference ({source_uid} and {target_uid}); give a registration or leave one out"
        raise FrameMismatchError(msg)
    return None


def to_simpleitk(volume: Volume) -> sitk.Image:
    """A SimpleITK image (LPS mm) with a copy of the array."""
    image = sitk.GetImageFromArray(volume.array)
    image.SetOrigin(volume.grid.affine[3:12:4])
    image.SetSpacing(volume.grid.spacing)
    image.SetDirection(volume.grid.directions.ravel().tolist())
    return image
