"""Dermatoscopic images: even colour, hairs taken out, augmented copies with their boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.imaging.dermatoscopy import Augmentation, augmented, drawn_frame, even_colour, hair_mask, without_hair
from weakbox.imaging.outlines import mask_box
from weakbox.imaging.perceptual_hash import content_hash
from weakbox.simulate.mammograms import skin_phantom

SHAPE = (300, 400)


@pytest.mark.parametrize("seed", range(4))
def test_hairs_are_taken_out_and_skin_is_left_alone(seed: int) -> None:
    clean, _, _ = skin_phantom(seed, shape=SHAPE)
    hairy, _, _ = skin_phantom(seed, shape=SHAPE, hairs=6)
    shaved, share = without_hair(hairy)
    before, after = (np.abs(picture.astype(int) - clean).mean() for picture in (hairy, shaved))
    assert after < 0.1 * before
    assert 0.01 < share < 0.25
    untouched, nothing = without_hair(clean)
    assert nothing < 0.002
    assert np.abs(untouched.astype(int) - clean).mean() < 0.05


def test_a_lesion_is_no_hair() -> None:
    clean, mask, _ = skin_phantom(3, shape=SHAPE)
    assert hair_mask(clean)[mask].mean() < 0.002


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100), st.tuples(st.floats(0.6, 1.0), st.floats(0.6, 1.0), st.floats(0.6, 1.0)))
def test_even_colour_takes_a_lamps_tint_away(seed: int, tint: tuple[float, float, float]) -> None:
    picture, _, _ = skin_phantom(seed)
    tinted = np.rint(picture * np.array(tint)).astype(np.uint8)
    reference, evened = (even_colour(one).reshape(-1, 3).astype(float).mean(axis=0) for one in (picture, tinted))
    assert evened / evened.mean() == pytest.approx(reference / reference.mean(), abs=0.03)


def test_a_channel_without_light_stays_dark() -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[..., 0] = 200
    assert even_colour(picture)[..., 1:].max() == 0
    assert even_colour(np.zeros((4, 4, 3), np.uint8)).max() == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 9))
def test_boxes_and_masks_go_along_with_the_copy(seed: int, copy: int) -> None:
    picture, mask, box = skin_phantom(seed % 7)
    frame = drawn_frame(mask.shape, content_hash(np.array([seed])), copy)
    shown, moved, (moved_box,) = augmented(picture, frame, mask=mask, boxes=[box])
    assert moved is not None
    assert shown.shape[:2] == moved.shape
    assert mask_box(moved) == moved_box
    # The lesion is darker than the skin: it lies where the mask says.
    assert shown[moved].mean() < shown[~moved].mean() - 30


def test_a_copy_can_be_made_again_and_copies_differ() -> None:
    picture, _, box = skin_phantom(1)
    digest = content_hash(picture)
    again = [augmented(picture, drawn_frame(picture.shape[:2], digest, 3), boxes=[box]) for _ in range(2)]
    np.testing.assert_array_equal(again[0][0], again[1][0])
    assert again[0][2] == again[1][2]
    copies = {content_hash(augmented(picture, drawn_frame(picture.shape[:2], digest, number))[0]) for number in range(12)}
    assert len(copies) == 12


def test_what_is_not_allowed_is_not_drawn() -> None:
    still = Augmentation(is_flipping=False, is_turning=False, brightness=0, contrast=0, blur_pixels=0)
    picture, _, _ = skin_phantom(1)
    for copy in range(8):
        frame = drawn_frame(picture.shape[:2], "x", copy, still)
        assert frame.change.steps == ()
        np.testing.assert_array_equal(augmented(picture, frame)[0], picture)
    turned = {drawn_frame((10, 20), "x", copy).change.output_shape for copy in range(20)}
    assert turned == {(10, 20), (20, 10)}


def test_grey_pictures_are_augmented_too() -> None:
    grey = skin_phantom(1)[0][..., 0]
    shown, _, _ = augmented(grey, drawn_frame(grey.shape, "y", 1))
    assert shown.ndim == 2
