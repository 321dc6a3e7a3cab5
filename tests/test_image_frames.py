"""Frames of 2-D images: boxes, masks and pixels move together, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.imaging.image_frames import (
    AREA,
    LANCZOS,
    Crop,
    FlipHorizontal,
    FrameChange,
    QuarterTurn,
    Rectangle,
    Resize,
    Shape,
    Step,
    around,
    at_least,
    clipped,
    fitted,
    grown_to_hold,
    scaled,
)
from weakbox.imaging.outlines import mask_box
from weakbox.simulate.mammograms import breast_phantom, ellipse_mask

SHAPES = st.tuples(st.integers(20, 90), st.integers(20, 90))


@st.composite
def rectangles(draw: st.DrawFn, shape: Shape, smallest: int = 1) -> Rectangle:
    width, height = draw(st.integers(smallest, shape[1])), draw(st.integers(smallest, shape[0]))
    x, y = draw(st.integers(0, shape[1] - width)), draw(st.integers(0, shape[0] - height))
    return float(x), float(y), float(x + width), float(y + height)


@st.composite
def changes(draw: st.DrawFn, *, with_resize: bool = True) -> FrameChange:
    change = FrameChange(shape=draw(SHAPES))
    for kind in draw(st.lists(st.sampled_from(["crop", "flip", "turn", "resize"]), max_size=4)):
        rows, columns = change.output_shape
        step: Step = FlipHorizontal() if kind == "flip" else QuarterTurn()
        if kind == "crop":
            x0, y0, x1, y1 = draw(rectangles((rows, columns)))
            step = Crop(x0=int(x0), y0=int(y0), x1=int(x1), y1=int(y1))
        elif kind == "resize":
            if not with_resize:
                continue
            step = Resize(rows=draw(st.integers(1, 120)), columns=draw(st.integers(1, 120)))
        change = change.then(step)
    return change


def drawn(shape: Shape, box: Rectangle) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
    return mask


@given(changes(), st.data())
def test_boxes_come_back_to_where_they_were(change: FrameChange, data: st.DataObject) -> None:
    box = data.draw(rectangles(change.shape))
    assert change.box_back(change.box(box)) == pytest.approx(box, abs=1e-6)


@given(changes(with_resize=False), st.data())
def test_the_box_of_a_moved_mask_is_the_moved_box(change: FrameChange, data: st.DataObject) -> None:
    box = data.draw(rectangles(change.shape))
    seen, share = clipped(change.box(box), change.output_shape)
    moved = change.mask(drawn(change.shape, box))
    assert moved.shape == change.output_shape
    assert mask_box(moved) == seen
    assert (share == 0.0) == (seen is None)


@given(SHAPES, SHAPES, st.data())
def test_the_box_of_a_resized_mask_is_the_resized_box_within_a_pixel(before: Shape, after: Shape, data: st.DataObject) -> None:
    change = FrameChange(shape=before, steps=(Resize(rows=after[0], columns=after[1]),))
    # A lesion of at least one new pixel: smaller ones may fall between the nearest pixels.
    box = data.draw(rectangles(before, smallest=max(2, -(-before[0] // after[0]) + 1, -(-before[1] // after[1]) + 1)))
    found = mask_box(change.mask(drawn(before, box)))
    assert found is not None
    assert found == pytest.approx(change.box(box), abs=1.0)


@given(changes())
def test_steps_give_the_shape_that_they_state(change: FrameChange) -> None:
    picture = np.arange(change.shape[0] * change.shape[1], dtype=np.uint16).reshape(change.shape)
    assert change.image(picture).shape == change.output_shape == change.mask(picture).shape


@given(changes(), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_the_extent_in_millimetres_of_what_is_kept_stays(change: FrameChange, down: float, across: float) -> None:
    new = change.spacing((down, across))
    assert new is not None
    rows, columns = change.output_shape
    corners = change.points_back([(0, 0), (columns, 0), (0, rows)]) * (across, down)
    assert columns * new[1] == pytest.approx(float(np.linalg.norm(corners[1] - corners[0])))
    assert rows * new[0] == pytest.approx(float(np.linalg.norm(corners[2] - corners[0])))


def test_unknown_spacing_stays_unknown() -> None:
    assert FrameChange(shape=(5, 7)).then(QuarterTurn()).spacing(None) is None


@pytest.mark.parametrize("filter_name", [AREA, LANCZOS])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_planted_lesion_lies_under_its_moved_box(filter_name: str, dtype: type) -> None:
    pixels, boxes = breast_phantom(4, "R", "MLO", lesions=[(60.0, 150.0, 91.0, 170.0)])
    change = FrameChange(shape=pixels.shape).then(
        Crop(x0=20, y0=40, x1=230, y1=300), scaled((260, 210), 0.6, filter_name=filter_name), FlipHorizontal(), QuarterTurn()
    )
    values = (pixels >> 4).astype(np.uint8) if dtype == np.uint8 else pixels
    # A picture of the lesion alone: where the moved picture is bright, the moved box must be.
    alone = np.where(ellipse_mask(pixels.shape, boxes[0]), np.iinfo(dtype).max, 0).astype(dtype)
    bright = mask_box(change.image(alone) > np.iinfo(dtype).max // 2)
    assert change.image(values).dtype == dtype
    assert bright is not None
    assert bright == pytest.approx(change.box(boxes[0]), abs=1.01)


def test_a_quarter_turn_is_numpys() -> None:
    array = np.arange(12).reshape(3, 4)
    change = FrameChange(shape=(3, 4), steps=(QuarterTurn(),))
    np.testing.assert_array_equal(change.image(array), np.rot90(array))
    x0, y0, _, _ = change.box((3.0, 0.0, 4.0, 1.0))
    assert change.image(array)[int(y0), int(x0)] == array[0, 3]


def test_area_averages_whole_blocks() -> None:
    array = np.random.default_rng(1).integers(0, 60000, (12, 20)).astype(np.uint16)
    small = Resize(rows=3, columns=5).image(array)
    np.testing.assert_allclose(small, array.reshape(3, 4, 5, 4).mean(axis=(1, 3)), atol=1.0)


@given(SHAPES, SHAPES, st.integers(0, 99))
def test_a_resized_mask_takes_the_pixel_under_each_centre(before: Shape, after: Shape, seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 2, before).astype(bool)
    centres = [(row + 0.5) * before[0] / after[0] for row in range(after[0])], [(c + 0.5) * before[1] / after[1] for c in range(after[1])]
    expected = mask[np.floor(np.round(centres[0], 9)).astype(int)][:, np.floor(np.round(centres[1], 9)).astype(int)]
    np.testing.assert_array_equal(Resize(rows=after[0], columns=after[1]).mask(mask), expected)


def test_an_image_is_never_enlarged_unasked() -> None:
    assert fitted((100, 80), 1536).output_shape((100, 80)) == (100, 80)
    assert fitted((4000, 3000), 1000).output_shape((4000, 3000)) == (1000, 750)
    assert fitted((1, 4000), 100).output_shape((1, 4000)) == (1, 100)
    assert scaled((100, 80), 2.0).output_shape((100, 80)) == (200, 160)


def test_a_crop_outside_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie inside"):
        _ = FrameChange(shape=(50, 40)).then(Crop(x0=0, y0=0, x1=41, y1=50)).output_shape


@given(SHAPES, st.data(), st.floats(1.0, 4.0), st.integers(0, 60))
def test_a_crop_around_boxes_holds_them_and_lies_inside(shape: Shape, data: st.DataObject, context: float, minimum: int) -> None:
    boxes = data.draw(st.lists(rectangles(shape), min_size=1, max_size=3))
    crop = around(boxes, shape, context=context, minimum=minimum)
    rows, columns = crop.output_shape(shape)
    assert rows >= min(minimum, shape[0])
    assert columns >= min(minimum, shape[1])
    assert all(crop.x0 <= x0 and crop.y0 <= y0 and crop.x1 >= x1 and crop.y1 >= y1 for x0, y0, x1, y1 in boxes)


@given(SHAPES, st.data())
def test_a_point_becomes_a_box_around_it(shape: Shape, data: st.DataObject) -> None:
    x, y = data.draw(st.floats(0, shape[1])), data.draw(st.floats(0, shape[0]))
    box, is_enlarged = at_least((x, y, x, y), 8.0, shape)
    assert is_enlarged
    assert (box[2] - box[0], box[3] - box[1]) == pytest.approx((8.0, 8.0))
    assert clipped(box, shape)[1] == pytest.approx(1.0)
    assert box[0] - 1e-9 <= x <= box[2] + 1e-9
    assert box[1] - 1e-9 <= y <= box[3] + 1e-9


def test_a_large_box_is_left_alone() -> None:
    assert at_least((3.0, 4.0, 20.0, 30.0), 8.0, (50, 50)) == ((3.0, 4.0, 20.0, 30.0), False)


def test_a_clipped_box_says_how_much_of_it_is_left() -> None:
    assert clipped((-10.0, 0.0, 10.0, 10.0), (20, 20)) == ((0.0, 0.0, 10.0, 10.0), 0.5)
    assert clipped((30.0, 0.0, 40.0, 10.0), (20, 20)) == (None, 0.0)


@given(SHAPES, st.data())
def test_a_crop_grown_to_hold_boxes_cuts_none(shape: Shape, data: st.DataObject) -> None:
    x0, y0, x1, y1 = data.draw(rectangles(shape))
    boxes = data.draw(st.lists(rectangles(shape), max_size=3))
    crop = grown_to_hold(Crop(x0=int(x0), y0=int(y0), x1=int(x1), y1=int(y1)), boxes, shape)
    change = FrameChange(shape=shape, steps=(crop,))
    assert all(clipped(change.box(box), change.output_shape)[1] == 1.0 for box in boxes)
