"""Resampling: values follow their place in the patient, and frames are never mixed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phantom import as_point, asymmetric_array, oblique_grid, uid
from weakbox.imaging.resampling import FrameMismatchError, Registration, resample_bspline, resample_linear, resample_nearest, to_simpleitk
from weakbox.imaging.volumes import Volume
from weakbox.records.grid import Grid, Point


def linear_field(grid: Grid) -> np.ndarray:
    """A field that is linear in LPS: interpolation must restore it exactly, wherever the grid lies."""
    k, j, i = np.meshgrid(*(np.arange(count) for count in grid.shape[::-1]), indexing="ij")
    points = grid.to_lps(np.stack([i, j, k], axis=-1))
    return (points @ np.array([3.0, -2.0, 1.5])).astype(np.float32)


def inner(grid: Grid, source: Grid) -> np.ndarray:
    """Voxels of ``grid`` that lie inside the voxel centres of ``source``."""
    k, j, i = np.meshgrid(*(np.arange(count) for count in grid.shape[::-1]), indexing="ij")
    index = source.to_index(grid.to_lps(np.stack([i, j, k], axis=-1)))
    return np.all((index > 0.01) & (index < np.array(source.shape) - 1.01), axis=-1)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(-25, 25)] * 3), st.tuples(*[st.floats(-3, 3)] * 3))
def test_a_linear_field_is_restored_on_any_other_grid(angles: tuple[float, float, float], shift: tuple[float, float, float]) -> None:
    source = oblique_grid(shape=(20, 18, 12), spacing=(1.5, 1.7, 3.0))
    middle = source.to_lps((10, 9, 6)) - np.array([6.0, 6.0, 6.0]) + np.array(shift)
    target = oblique_grid(shape=(9, 8, 5), spacing=(1.3, 1.2, 2.0), origin=tuple(float(v) for v in middle), angles_degrees=angles)
    resampled = resample_linear(Volume(linear_field(source), source), target)
    compared = inner(target, source)
    assert compared.sum() > 20
    np.testing.assert_allclose(resampled.array[compared], linear_field(target)[compared], atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(0.3, 2.5)] * 3), st.tuples(*[st.floats(-6, 6)] * 3), st.booleans())
def test_parallel_grids_give_what_simpleitk_gives(spacing: Point, shift: Point, is_flipped: bool) -> None:
    source = oblique_grid(shape=(11, 9, 6), spacing=(1.1, 1.3, 3.1))
    target = oblique_grid(shape=(21, 17, 8), spacing=spacing, origin=as_point(np.array(source.affine[3:12:4]) + shift))
    if is_flipped:
        matrix = target.matrix
        matrix[:3, 3] += 10 * matrix[:3, 0]
        matrix[:3, 0] *= -1
        target = Grid.from_matrix(matrix, target.shape, target.frame_of_reference_uid)
    random = np.random.default_rng(3)
    volume = Volume(random.normal(size=source.shape[::-1]).astype(np.float32), source)
    like = to_simpleitk(Volume(np.zeros(target.shape[::-1], np.float32), target))
    by_itk = sitk.Resample(to_simpleitk(volume), like, sitk.Transform(), sitk.sitkLinear)
    difference = np.abs(resample_linear(volume, target).array - sitk.GetArrayFromImage(by_itk))
    # A voxel whose centre lies on the very edge may count as inside for one and outside for the other.
    assert np.mean(difference > 1e-4) < 0.01


def test_whole_numbers_are_rounded_not_truncated() -> None:
    source, target = oblique_grid(), oblique_grid(shape=(40, 33, 14), spacing=(0.4, 0.5, 1.9))
    array = asymmetric_array(source)
    exact = resample_linear(Volume(array.astype(np.float32), source), target).array
    whole = resample_linear(Volume(array, source), target).array
    assert whole.dtype == np.int16
    assert np.abs(whole - exact).max() <= 0.5 + 1e-3
    assert abs(float(np.mean(whole - exact))) < 0.02


def test_bspline_stays_within_the_range_of_the_source() -> None:
    source, target = oblique_grid(), oblique_grid(shape=(40, 33, 14), spacing=(0.4, 0.5, 1.9))
    array = np.where(asymmetric_array(source) > 500, 900, 100).astype(np.int16)
    resampled = resample_bspline(Volume(array, source), target)
    assert resampled.array.dtype == np.int16
    assert resampled.array.min() >= 0 and resampled.array.max() <= 900


def test_nearest_invents_no_value() -> None:
    source, target = oblique_grid(), oblique_grid(shape=(40, 33, 14), spacing=(0.4, 0.5, 1.9))
    array = np.zeros(source.shape[::-1], dtype=np.uint8)
    array[2:6, 5:12, 4:15], array[5:7, 10:14, 10:20] = 3, 7
    assert set(np.unique(resample_nearest(Volume(array, source), target).array)) == {0, 3, 7}


def test_the_same_grid_leaves_the_volume_alone() -> None:
    volume = Volume(asymmetric_array(oblique_grid()), oblique_grid())
    assert resample_linear(volume, oblique_grid()).array is volume.array


@pytest.mark.parametrize("frame", [uid("another frame"), None])
def test_another_frame_of_reference_is_refused(frame: str | None) -> None:
    grid = oblique_grid()
    moved = dataclasses.replace(grid, frame_of_reference_uid=frame)
    with pytest.raises(FrameMismatchError, match="different Frames of Reference"):
        resample_linear(Volume(asymmetric_array(moved), moved), grid)


def test_two_unstated_frames_are_not_one_frame() -> None:
    grid = dataclasses.replace(oblique_grid(), frame_of_reference_uid=None)
    with pytest.raises(FrameMismatchError):
        resample_linear(Volume(asymmetric_array(grid), grid), grid)


def test_a_registration_moves_points_from_the_target_to_the_source() -> None:
    source = dataclasses.replace(oblique_grid(shape=(20, 18, 12), spacing=(1.5, 1.7, 3.0)), frame_of_reference_uid=uid("moving"))
    target = oblique_grid(shape=(9, 8, 5), spacing=(1.3, 1.2, 2.0), origin=tuple(float(v) for v in source.to_lps((6, 5, 4))))
    shift = np.array([2.0, -3.0, 1.5])
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    registration = Registration(
        target_frame_uid=uid("phantom frame"), source_frame_uid=uid("moving"), matrix=tuple(float(v) for v in matrix.ravel())
    )
    resampled = resample_linear(Volume(linear_field(source), source), target, registration)
    moved = Grid.from_matrix(matrix @ target.matrix, target.shape, uid("moving"))
    compared = inner(moved, source)
    np.testing.assert_allclose(resampled.array[compared], linear_field(moved)[compared], atol=2e-3)
    with pytest.raises(FrameMismatchError, match="the registration joins frames"):
        resample_linear(Volume(linear_field(target), target), source, registration)
