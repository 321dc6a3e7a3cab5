"""Masks: voxel boxes and inscribed ellipsoids lie where the exact box lies."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phantom import box_at, oblique_grid, uid
from weakbox.imaging.masks import LesionMask, MaskBlock, box_mask, combine, ellipsoid_mask, overlaps
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.label import Box, LesionStatus, WeakLabel

GRID = oblique_grid(shape=(24, 20, 9))
INDEX = st.tuples(st.floats(-1, 24), st.floats(-1, 20), st.floats(-1, 9))
SIZE = st.tuples(*[st.floats(0.2, 14)] * 3)


def painted(mask: MaskBlock, grid: Grid = GRID) -> np.ndarray:
    array = np.zeros(grid.shape[::-1], dtype=np.uint8)
    mask.paint(array, 1)
    return array


def by_brute_force(box: Box, grid: Grid) -> np.ndarray:
    """Every voxel centre, tested in millimetres along the grid's directions."""
    k, j, i = np.meshgrid(*(np.arange(count) for count in grid.shape[::-1]), indexing="ij")
    offsets = (grid.to_lps(np.stack([i, j, k], axis=-1)) - np.array(box.centre)) @ grid.directions
    return np.sum((offsets / (np.array(box.size_mm) / 2)) ** 2, axis=-1)


@settings(max_examples=80, deadline=None)
@given(INDEX, SIZE)
def test_an_ellipsoid_holds_exactly_the_voxel_centres_inside_it(
    index: tuple[float, float, float], size: tuple[float, float, float]
) -> None:
    box = box_at(GRID, index, size, "series")
    mask = ellipsoid_mask(box, GRID)
    distance = by_brute_force(box, GRID)
    found = painted(mask).astype(bool)
    if np.any(distance <= 1 - 1e-9):
        assert np.all(found[distance <= 1 - 1e-9]) and not np.any(found[distance > 1 + 1e-9])
    else:
        assert found.sum() >= 1
    assert found.sum() == mask.voxels
    assert all(mask.block.any(axis=tuple(o for o in range(3) if o != axis))[[0, -1]].all() for axis in range(3))


def test_an_ellipsoid_between_voxels_is_its_nearest_voxel() -> None:
    found = painted(ellipsoid_mask(box_at(GRID, (10.4, 9.6, 4.45), (0.1, 0.1, 0.1), "series"), GRID))
    assert np.argwhere(found).tolist() == [[4, 10, 10]]


@settings(max_examples=50, deadline=None)
@given(st.tuples(st.floats(3, 20), st.floats(3, 16), st.floats(2, 6)), SIZE)
def test_a_box_mask_is_the_half_open_voxel_box_and_holds_its_ellipsoid(
    index: tuple[float, float, float], size: tuple[float, float, float]
) -> None:
    box = box_at(GRID, index, size, "series")
    mask = painted(box_mask(box, GRID))
    (i0, j0, k0), (i1, j1, k1) = box.voxel_start, box.voxel_stop
    assert mask.sum() == (i1 - i0) * (j1 - j0) * (k1 - k0) == mask[k0:k1, j0:j1, i0:i1].sum()
    half = np.array(size) / np.array(GRID.spacing) / 2
    if np.all(np.floor(np.array(index) + half) >= np.ceil(np.array(index) - half)):
        assert not np.any(painted(ellipsoid_mask(box, GRID)) & ~mask.astype(bool))


def test_another_frame_and_a_box_off_the_grid_are_refused() -> None:
    box = box_at(GRID, (10, 9, 4), (5, 5, 5), "series")
    elsewhere = dataclasses.replace(box, frame_of_reference_uid=uid("another frame"))
    for make in (box_mask, ellipsoid_mask):
        with pytest.raises(InputError, match="needs a registration"):
            make(elsewhere, GRID)
    with pytest.raises(InputError, match="made on another grid"):
        box_mask(dataclasses.replace(box, voxel_stop=(10, 9, 99)), GRID)


def lesion(number: int, status: LesionStatus, grade: int | None, confidence: float, index: tuple[float, float, float]) -> LesionMask:
    box = box_at(GRID, index, (6, 6, 9), "series")
    label = WeakLabel(
        label_id=f"l{number}", lesion_id=f"l{number}", case_id="c", status=status, isup_grade=grade, confidence=confidence, box=box
    )
    return LesionMask(label=label, number=number, mask=ellipsoid_mask(box, GRID))


def test_the_more_severe_lesion_wins_and_the_loss_is_said() -> None:
    benign = lesion(1, LesionStatus.BENIGN, None, 0.99, (10, 9, 4))
    grade_2 = lesion(2, LesionStatus.CANCER, 2, 0.9, (12, 10, 4))
    grade_4 = lesion(3, LesionStatus.CANCER, 4, 0.1, (14, 9, 4))
    lesions = (grade_4, benign, grade_2)
    array = combine(lesions, GRID, lambda item: item.number)
    both = painted(grade_2.mask) & painted(grade_4.mask)
    assert both.any() and np.all(array[both == 1] == 3)
    assert np.all(array[(painted(benign.mask) & painted(grade_2.mask)) == 1] >= 2)
    said = {(item.winner, item.loser): item.voxels for item in overlaps(lesions)}
    assert said[3, 2] == both.sum()
    assert said[2, 1] == int((painted(benign.mask) & painted(grade_2.mask)).sum())


def test_the_order_of_lesions_changes_nothing() -> None:
    lesions = [lesion(n, LesionStatus.UNTESTED, None, 0.5, (8 + 2 * n, 9, 4)) for n in (1, 2, 3)]
    forward, backward = (combine(order, GRID, lambda item: item.number) for order in (lesions, lesions[::-1]))
    np.testing.assert_array_equal(forward, backward)
    assert overlaps(lesions) == overlaps(lesions[::-1])


def test_many_lesions_need_wider_voxels() -> None:
    item = lesion(1, LesionStatus.CANCER, 1, 0.5, (10, 9, 4))
    assert combine([item], GRID, lambda _: 255).dtype == np.uint8
    wide = combine([item], GRID, lambda _: 256)
    assert wide.dtype == np.uint16 and wide.max() == 256
    assert combine([], GRID, lambda item: item.number).sum() == 0
