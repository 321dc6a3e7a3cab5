"""The breast's region in mammograms: markers and air left out, no annotated box ever cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from weakbox.imaging.breast_region import BreastRegion, Margin, breast_region, coarse
from weakbox.imaging.image_frames import Rectangle
from weakbox.imaging.projection_voi import DisplayHeader, VoiSettings, display_table
from weakbox.simulate.mammograms import breast_phantom, eight_bit

NO_MARGIN = Margin(mm=0, pixels=0)


def region_of(display: NDArray[np.uint8], boxes: list[Rectangle], margin: Margin = NO_MARGIN) -> BreastRegion:
    return breast_region(coarse(display), display.shape, boxes=boxes, margin=margin)


@pytest.mark.parametrize("shape", [(320, 240), (1640, 1230)])
@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("laterality", ["L", "R"])
def test_the_breast_is_found_on_its_side_without_the_marker(laterality: str, view: str, shape: tuple[int, int]) -> None:
    pixels, boxes = breast_phantom(11, laterality, view, 2, shape=shape)
    found = region_of(eight_bit(pixels), boxes)
    assert found.is_found
    assert found.outside_boxes == ()
    assert found.side == ("left" if laterality == "L" else "right")
    crop, (rows, columns) = found.crop, shape
    # Of the phantom's making: the breast reaches 66 or 70 % into the image; the marker lies in the far upper corner.
    depth = (crop.x1 if laterality == "L" else columns - crop.x0) / columns
    assert depth == pytest.approx(0.66 if view == "CC" else 0.70, abs=0.03)
    assert crop.y1 / rows == pytest.approx(0.89 if view == "CC" else 0.94, abs=0.03)
    assert crop.y0 / rows == pytest.approx(0.11 if view == "CC" else 0.0, abs=0.03)
    assert (crop.x0 if laterality == "L" else columns - crop.x1) == 0
    marker = np.s_[: rows // 14, columns - columns // 5 :] if laterality == "L" else np.s_[: rows // 14, : columns // 5]
    assert pixels[marker].max() > 3900
    kept = np.zeros(shape, dtype=bool)
    kept[crop.y0 : crop.y1, crop.x0 : crop.x1] = True
    assert not kept[marker].any()


def test_the_region_is_the_same_for_both_polarities() -> None:
    pixels, boxes = breast_phantom(11, "R", "CC")
    one = display_table(4095 - pixels, DisplayHeader(photometric="MONOCHROME1", bits_stored=12), VoiSettings())(4095 - pixels)
    two = display_table(pixels, DisplayHeader(bits_stored=12), VoiSettings())(pixels)
    first, second = region_of(one, boxes).crop, region_of(two, boxes).crop
    assert np.abs(np.subtract((first.x0, first.y0, first.x1, first.y1), (second.x0, second.y0, second.x1, second.y1))).max() <= 2


def test_a_box_in_the_air_is_kept_and_marked() -> None:
    pixels, boxes = breast_phantom(11, "L", "CC")
    stray = (225.0, 290.0, 238.0, 310.0)
    found = region_of(eight_bit(pixels), [*boxes, stray])
    assert found.outside_boxes == (len(boxes),)
    assert (found.crop.x1, found.crop.y1) >= (238, 310)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.sampled_from(["L", "R"]), st.sampled_from(["CC", "MLO"]), st.data())
def test_no_box_is_ever_cut(seed: int, laterality: str, view: str, data: st.DataObject) -> None:
    pixels, boxes = breast_phantom(seed, laterality, view)
    x, y = data.draw(st.integers(0, 220)), data.draw(st.integers(0, 300))
    every = [*boxes, (float(x), float(y), float(x + 20), float(y + 20))]
    crop = region_of(eight_bit(pixels), every).crop
    assert all(crop.x0 <= x0 and crop.y0 <= y0 and x1 <= crop.x1 and y1 <= crop.y1 for x0, y0, x1, y1 in every)


def test_a_film_scan_with_bright_borders_and_grey_air_is_cropped() -> None:
    pixels, boxes = breast_phantom(5, "L", "MLO", shape=(800, 600))
    film = pixels.astype(np.float64) * 0.6 + 700 + np.random.default_rng(0).normal(0, 25, pixels.shape)
    film[:6], film[-6:], film[:, -6:] = 4000, 4000, 4000
    found = region_of((np.clip(film, 0, 4095).astype(int) >> 4).astype(np.uint8), boxes)
    assert found.is_found
    assert found.crop.x1 < 0.75 * 600
    assert found.side == "left"


def test_a_scratch_from_the_breast_to_the_edge_is_no_breast() -> None:
    pixels, boxes = breast_phantom(5, "L", "CC", shape=(800, 600))
    scratched = pixels.copy()
    scratched[400:402, :] = 3000
    assert region_of(eight_bit(scratched), boxes).crop == region_of(eight_bit(pixels), boxes).crop


@pytest.mark.parametrize("value", [0, 130])
def test_a_blank_image_is_kept_whole_and_said_so(value: int) -> None:
    blank = np.full((200, 150), value, np.uint8)
    found = breast_region(blank, blank.shape)
    assert not found.is_found
    assert found.problem
    assert (found.crop.x0, found.crop.y0, found.crop.x1, found.crop.y1) == (0, 0, 150, 200)


def test_the_margin_is_in_millimetres_where_the_spacing_is_known() -> None:
    pixels, _ = breast_phantom(11, "L", "CC")
    display = eight_bit(pixels)
    bare = region_of(display, []).crop
    in_pixels = region_of(display, [], Margin(mm=5, pixels=7)).crop
    assert (in_pixels.x1 - bare.x1, bare.y0 - in_pixels.y0, bare.x0 - in_pixels.x0) == (7, 7, 0)
    in_mm = breast_region(coarse(display), display.shape, margin=Margin(mm=5, pixels=7), spacing_mm=(0.5, 1.0)).crop
    assert (in_mm.x1 - bare.x1, bare.y0 - in_mm.y0) == (5, 10)
