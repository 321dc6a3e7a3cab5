"""Outlines of data sets as boxes and masks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from weakbox.imaging.outlines import (
    as_mask,
    box_of_edges,
    box_of_pixels,
    chain_outline,
    circle_box,
    circle_from_below,
    circle_mask,
    fitted_mask,
    is_closed,
    looks_like_mask,
    mask_box,
    mask_parts,
    polygon_mask,
)
from weakbox.simulate.mammograms import breast_phantom, eight_bit, ellipse_mask, skin_phantom


def test_the_codes_of_a_chain_go_clockwise_from_up() -> None:
    # An asymmetric outline written by hand: right, down, down-left, left, up-left would differ under any other convention.
    outline = chain_outline("10 20 2 2 3 4 5 6 6 7 0 1 #")
    expected = [(10, 20), (11, 20), (12, 20), (13, 21), (13, 22), (12, 23), (11, 23), (10, 23), (9, 22), (9, 21), (10, 20)]
    assert [tuple(point) for point in outline] == expected
    assert is_closed(outline)
    assert box_of_pixels(outline) == (9.0, 20.0, 14.0, 24.0)


@given(st.integers(0, 40), st.integers(0, 40), st.lists(st.integers(0, 7), min_size=1, max_size=60))
def test_a_chain_and_its_reverse_end_where_they_began(column: int, row: int, codes: list[int]) -> None:
    there = " ".join(map(str, codes))
    back = " ".join(str((code + 4) % 8) for code in reversed(codes))
    outline = chain_outline(f"{column} {row} {there} {back} #")
    assert tuple(outline[0]) == tuple(outline[-1]) == (column, row)
    np.testing.assert_array_equal(outline, outline[::-1])


@pytest.mark.parametrize("text", ["10 20 2 2 4", "10 20 2 9 #", "10 #", "", "10 x 2 #", "-1 20 2 #"])
def test_a_damaged_chain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        chain_outline(text)


def test_a_chain_filled_is_the_mask_of_its_box() -> None:
    outline = chain_outline("5 5 2 2 2 4 4 6 6 6 0 0 #")
    mask = polygon_mask(outline, (20, 20))
    assert mask_box(mask) == box_of_pixels(outline) == (5.0, 5.0, 9.0, 8.0)
    assert mask.sum() == 12


def test_pixels_and_edges_give_different_boxes() -> None:
    points = [(3.2, 4.9), (10.7, 6.0)]
    assert box_of_pixels(points) == (3.0, 4.0, 11.0, 7.0)
    assert box_of_edges(points) == (3.2, 4.9, 10.7, 6.0)


def test_a_single_point_is_one_pixel() -> None:
    assert box_of_pixels([(7, 9)]) == (7.0, 9.0, 8.0, 10.0)
    assert mask_box(polygon_mask([(7, 9)], (20, 30))) == (7.0, 9.0, 8.0, 10.0)
    assert mask_box(polygon_mask([(7, 9), (12, 9)], (20, 30))) == (7.0, 9.0, 13.0, 10.0)


@pytest.mark.parametrize("points", [[], [(1.0, float("nan"))], [(1.0, 2.0, 3.0)]])
def test_points_that_are_none_are_refused(points: list[tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="point"):
        box_of_pixels(points)


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 29)), min_size=1, max_size=8))
def test_a_polygons_mask_fills_its_box(points: list[tuple[int, int]]) -> None:
    assert mask_box(polygon_mask(points, (30, 40))) == box_of_pixels(points)


def test_a_polygon_outside_the_image_leaves_an_empty_mask() -> None:
    assert mask_box(polygon_mask([(50, 50), (60, 50), (60, 60)], (30, 40))) is None


def test_mias_counts_from_the_lower_edge() -> None:
    box = circle_from_below(535, 425, 197, 1024)
    assert box == (535 - 197, 1024 - 425 - 197, 535 + 197, 1024 - 425 + 197)
    assert circle_from_below(10, 0, 3, 100) == circle_box(10, 100, 3)


def test_a_circles_mask_lies_in_its_box() -> None:
    found = mask_box(circle_mask(20.5, 12.5, 6.0, (40, 50)))
    assert found is not None
    assert found == pytest.approx(circle_box(20.5, 12.5, 6.0), abs=1.0)
    assert mask_box(circle_mask(20.5, 12.5, 0.0, (40, 50))) == (20.0, 12.0, 21.0, 13.0)
    with pytest.raises(ValueError, match="negative"):
        circle_box(1, 2, -3)


def test_parts_of_a_mask_are_boxes_from_the_top() -> None:
    mask = np.zeros((40, 50), dtype=bool)
    mask[30:35, 5:9] = True
    mask[3:6, 20:24] = True
    mask[6, 24] = True  # touches by a corner
    mask[3, 40] = True
    assert [(part.box, part.pixels) for part in mask_parts(mask)] == [
        ((20.0, 3.0, 25.0, 7.0), 13),
        ((40.0, 3.0, 41.0, 4.0), 1),
        ((5.0, 30.0, 9.0, 35.0), 20),
    ]
    assert len(mask_parts(mask, smallest=2)) == 2
    assert mask_parts(np.zeros((4, 4), dtype=bool)) == ()
    assert mask_box(np.zeros((4, 4), dtype=bool)) is None


def test_a_jpeg_mask_has_the_box_of_the_shape_that_was_drawn() -> None:
    mask = ellipse_mask((120, 90), (20.0, 30.0, 51.0, 70.0))
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "JPEG", quality=80)
    read = np.asarray(Image.open(buffer))
    assert len(np.unique(read)) > 2
    assert looks_like_mask(read)
    assert mask_box(as_mask(read)) == pytest.approx((20.0, 30.0, 51.0, 70.0), abs=1.0)


def test_masks_are_told_from_pictures() -> None:
    pixels, _ = breast_phantom(2)
    rgb, mask, _ = skin_phantom(2)
    assert looks_like_mask(mask)
    assert looks_like_mask(mask.astype(np.uint8))
    assert looks_like_mask(mask.astype(np.uint16) * 65535)
    assert not looks_like_mask(pixels)
    assert not looks_like_mask(eight_bit(pixels))
    assert not looks_like_mask(eight_bit(pixels)[80:200, 20:120])
    assert not looks_like_mask(rgb)


def test_a_mask_of_another_size_is_put_on_the_image_and_said_so() -> None:
    mask = ellipse_mask((60, 40), (10.0, 20.0, 30.0, 50.0))
    same, was_resized = fitted_mask(mask, (60, 40))
    assert not was_resized
    assert same is mask
    larger, was_resized = fitted_mask(mask, (120, 80))
    assert was_resized
    assert mask_box(larger) == (20.0, 40.0, 60.0, 100.0)


def test_an_empty_mask_file_is_an_empty_mask() -> None:
    assert not as_mask(np.zeros((5, 5), dtype=np.uint8)).any()
    assert as_mask(np.array([[0, 1], [1, 0]], dtype=np.uint8)).sum() == 2
