"""Boxes on a reference grid, oblique ones too."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from weakbox.imaging.boxes import box_around, box_iou, box_over, corners, patient_axes, spanned_corners
from weakbox.records.grid import Grid, Point

EXTENTS: Point = (10.0, 14.0, 20.0)


def turned(degrees: float) -> NDArray[np.float64]:
    """3x3 rotation about the patient's left-right axis."""
    angle = math.radians(degrees)
    return np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])


def grid(degrees: float = 0.0, *, frame: str = "1.2") -> Grid:
    """100 x 120 x 24 voxels of 0.5 x 0.6 x 3 mm, turned about left-right."""
    matrix = np.eye(4)
    matrix[:3, :3] = turned(degrees) @ np.diag((0.5, 0.6, 3.0))
    matrix[:3, 3] = (-20.0, -30.0, -50.0)
    return Grid.from_matrix(matrix, (100, 120, 24), frame)


def sagittal() -> Grid:
    """i runs posterior, j runs caudal, k runs left."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, 4.0], [0.7, 0, 0], [0, -0.8, 0]])
    return Grid.from_matrix(matrix, (80, 90, 20), "1.2")


def test_an_axial_box_has_its_extents_on_the_patient_axes() -> None:
    box = box_around((5.0, 6.0, -20.0), EXTENTS, grid(), "T2", 3.0)
    points = corners(box)
    assert np.allclose(points.min(axis=0), (0.0, -1.0, -30.0))
    assert np.allclose(points.max(axis=0), (10.0, 13.0, -10.0))
    assert box.uncertainty_mm == 3.0
    assert np.allclose(box.size_mm, EXTENTS)


def test_corners_run_along_i_fastest() -> None:
    points = corners(box_around((5.0, 6.0, -20.0), EXTENTS, grid(), "T2", 3.0))
    assert np.allclose(points[1] - points[0], (10, 0, 0))
    assert np.allclose(points[2] - points[0], (0, 14, 0))
    assert np.allclose(points[4] - points[0], (0, 0, 20))


def test_a_sagittal_series_gives_each_grid_axis_the_extent_of_its_patient_axis() -> None:
    assert patient_axes(sagittal()) == (1, 2, 0)
    box = box_around((40.0, 28.0, -36.0), EXTENTS, sagittal(), "T2", 3.0)
    assert np.allclose(box.size_mm, (14.0, 20.0, 10.0))
    points = corners(box)
    assert np.allclose(points.max(axis=0) - points.min(axis=0), EXTENTS)


def test_an_oblique_box_is_turned_with_its_series_and_keeps_its_centre_and_size() -> None:
    centre = tuple(float(v) for v in grid(25.0).to_lps((50, 60, 12)))
    box = box_around(centre, EXTENTS, grid(25.0), "T2", 3.0)  # type: ignore[arg-type]
    points = corners(box)
    assert np.allclose(points.mean(axis=0), centre)
    assert np.allclose(points[4] - points[0], turned(25.0) @ (0, 0, 20.0))
    assert np.allclose(box.size_mm, EXTENTS)


@given(st.floats(-40, 40), st.floats(5, 95), st.floats(5, 115), st.floats(2, 21), st.floats(0.1, 30))
def test_the_voxel_box_holds_exactly_the_voxels_whose_centres_lie_inside(degrees: float, i: float, j: float, k: float, size: float) -> None:
    reference = grid(degrees)
    x, y, z = (float(value) for value in reference.to_lps((i, j, k)))
    box = box_around((x, y, z), (size, size, size), reference, "T2", 0.0)
    half = size / 2.0 / np.array(reference.spacing)
    for axis, centre in enumerate((i, j, k)):
        inside = [n for n in range(reference.shape[axis]) if abs(n - centre) <= half[axis] - 1e-7]
        outside = [n for n in range(reference.shape[axis]) if abs(n - centre) > half[axis] + 1e-7]
        filled = range(box.voxel_start[axis], box.voxel_stop[axis])
        assert set(inside) <= set(filled)
        assert len(filled) >= 1
        assert not inside or not set(outside) & set(filled)


def test_a_box_thinner_than_a_voxel_fills_the_voxel_of_its_centre() -> None:
    box = box_around((5.1, 6.1, -21.4), (0.1, 0.1, 0.1), grid(), "T2", 0.0)
    assert box.voxel_start == (50, 60, 10)
    assert box.voxel_stop == (51, 61, 11)


def test_a_box_over_the_edge_keeps_its_corners_and_clips_its_voxels() -> None:
    box = box_around((-20.0, 6.0, -50.0), EXTENTS, grid(), "T2", 0.0)
    assert corners(box)[:, 0].min() == pytest.approx(-25.0)
    assert box.voxel_start[0] == 0
    assert box.voxel_start[2] == 0


def test_a_centre_outside_the_image_is_refused_and_never_moved() -> None:
    with pytest.raises(ValueError, match="outside the image"):
        box_around((-25.0, 6.0, -20.0), EXTENTS, grid(), "T2", 3.0)
    with pytest.raises(ValueError, match="positive extents"):
        box_around((5.0, 6.0, -20.0), (10.0, 0.0, 5.0), grid(), "T2", 3.0)


def test_uncertainty_never_enlarges_a_box() -> None:
    first, second = (box_around((5.0, 6.0, -20.0), EXTENTS, grid(), "T2", error) for error in (0.0, 8.0))
    assert first.corners == second.corners


def test_a_masks_box_on_its_own_grid_is_its_extent() -> None:
    reference = grid(20.0)
    start, stop = (30, 40, 5), (42, 50, 9)
    corner = tuple(float(v) for v in reference.to_lps(np.array(start) - 0.5))
    edges = tuple(tuple(float(v) for v in reference.matrix[:3, axis] * (stop[axis] - start[axis])) for axis in range(3))
    box = box_over(spanned_corners(corner, edges), reference, "T2", 0.0)  # type: ignore[arg-type]
    assert (box.voxel_start, box.voxel_stop) == (start, stop)
    assert np.allclose(box.size_mm, (6.0, 6.0, 12.0))


def test_iou_of_turned_boxes_of_one_series_is_exact() -> None:
    reference = grid(30.0)
    centres = [tuple(float(v) for v in reference.to_lps((i, 60, 12))) for i in (50, 60)]
    first, second = (box_around(centre, (10.0, 10.0, 10.0), reference, "T2", 0.0) for centre in centres)  # type: ignore[arg-type]
    assert box_iou(first, second) == pytest.approx(5.0 / 15.0)
    assert box_iou(first, first) == pytest.approx(1.0)


def test_iou_of_differently_turned_boxes_uses_their_hulls() -> None:
    place = (5.0, -28.0, 0.0)
    straight = box_around(place, (10.0, 10.0, 10.0), grid(), "T2", 0.0)
    oblique = box_around(place, (10.0, 10.0, 10.0), grid(45.0), "T2", 0.0)
    assert box_iou(straight, oblique) == pytest.approx(0.5)


def test_boxes_of_different_frames_are_not_compared() -> None:
    with pytest.raises(ValueError, match="frames of reference"):
        box_iou(
            box_around((5.0, 6.0, -20.0), EXTENTS, grid(), "T2", 0.0), box_around((5.0, 6.0, -20.0), EXTENTS, grid(frame="9"), "T2", 0.0)
        )
