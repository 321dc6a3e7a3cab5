"""The voxel grid of a volume: where index (column i, row j, slice k) lies in the patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakbox.records.record import record

Point = tuple[float, float, float]
"""Three millimetre coordinates; DICOM LPS unless a name says otherwise."""


@record
class Grid:
    """A regular voxel grid in DICOM patient space.

    ``affine`` is row-major 4x4 (16 numbers): index (i, j, k) = (column, row, slice) of a voxel *centre* -> LPS mm.
    ``shape`` is (columns, rows, slices). Arrays on this grid are numpy ``[k, j, i]``.
    Indices are continuous where asked: voxel i fills i - 0.5 .. i + 0.5.
    """

    affine: tuple[float, ...]
    shape: tuple[int, int, int]
    frame_of_reference_uid: str | None

    def __post_init__(self) -> None:
        if len(self.affine) != 16:
            msg = f"an affine holds 16 numbers, row-major, got {len(self.affine)}"
            raise ValueError(msg)

    @classmethod
    def from_matrix(cls, matrix: ArrayLike, shape: Sequence[int], frame_of_reference_uid: str | None) -> Grid:
        """A grid from a 4x4 matrix, index (i, j, k) -> LPS mm."""
        values = np.asarray(matrix, dtype=float).reshape(16)
        columns, rows, slices = (int(n) for n in shape)
        return cls(
            affine=tuple(float(v) for v in values),
            shape=(columns, rows, slices),
            frame_of_reference_uid=frame_of_reference_uid,
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """4x4, index (i, j, k, 1) -> LPS mm."""
        return np.array(self.affine, dtype=float).reshape(4, 4)

    @property
    def spacing(self) -> Point:
        """Voxel edge lengths in mm along i, j, k."""
        x, y, z = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def directions(self) -> NDArray[np.float64]:
        """3x3, columns are the unit LPS directions of i, j and k."""
        linear = self.matrix[:3, :3]
        return np.asarray(linear / np.linalg.norm(linear, axis=0))

    def to_lps(self, index: ArrayLike) -> NDArray[np.float64]:
        """Continuous indices (..., 3) as (i, j, k) -> LPS mm (..., 3)."""
        matrix = self.matrix
        return np.asarray(np.asarray(index, dtype=float) @ matrix[:3, :3].T + matrix[:3, 3])

    def to_index(self, lps: ArrayLike) -> NDArray[np.float64]:
        """LPS mm (..., 3) -> continuous indices (i, j, k) (..., 3)."""
        matrix = self.matrix
        inverse = np.linalg.inv(matrix[:3, :3])
        return np.asarray((np.asarray(lps, dtype=float) - matrix[:3, 3]) @ inverse.T)

    def contains(self, lps: ArrayLike, *, margin_mm: float = 0.0) -> bool:
        """Whether one LPS point lies inside the volume, voxel edges included, grown by ``margin_mm``."""
        index = self.to_index(lps)
        slack = margin_mm / np.array(self.spacing)
        return bool(np.all(index >= -0.5 - slack) and np.all(index <= np.array(self.shape) - 0.5 + slack))
