# ruff: noqa: E402
"""Fusion of boxes, mirrored views, and detection maps on the reference grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")
pytest.importorskip("monai", reason="inference needs the extra `train`")

from cv_model_experiments.data.placement import Placement
from cv_model_experiments.prediction.detection_maps import map_name, map_of_boxes, map_on_reference, write_map
from cv_model_experiments.prediction.flips import all_flips, boxes_back, flipped, image_flip
from cv_model_experiments.prediction.fusion import Candidates, fused, no_candidates
from cv_model_experiments.prediction.predicting import predicted
from cv_model_experiments.predictions import PredictedBox
from tests.detection_sets import SHAPE, oblique_grid
from weakbox.imaging.volumes import Volume, read_volume_file, write_nifti


def candidates(*rows: tuple[list[float], list[float], float, int]) -> Candidates:
    return Candidates(
        boxes=np.array([[row[0], row[1]] for row in rows], float),
        scores=np.array([row[2] for row in rows]),
        classes=np.array([row[3] for row in rows]),
    )


def test_boxes_of_two_models_are_averaged_by_score() -> None:
    first = candidates(([0, 0, 0], [10, 6, 4], 0.9, 0))
    second = candidates(([2, 0, 0], [12, 6, 4], 0.3, 0))
    one = fused([first, second], 0.2, 10)
    assert np.allclose(one.boxes, [[[0.5, 0, 0], [10.5, 6, 4]]]) and one.scores.tolist() == [pytest.approx(0.6)]


def test_what_one_of_three_models_says_alone_counts_a_third() -> None:
    one = fused([candidates(([0, 0, 0], [4, 4, 4], 0.9, 0)), no_candidates(3), no_candidates(3)], 0.2, 10)
    assert one.scores.tolist() == [pytest.approx(0.3)]


def test_classes_are_not_mixed_and_two_boxes_of_one_source_count_once() -> None:
    first = candidates(([0, 0], [4, 5], 0.8, 0), ([0, 0], [4, 5], 0.6, 1), ([0, 0], [4, 5.2], 0.7, 0))
    found = fused([first], 0.5, 10)
    assert found.classes.tolist() == [0, 1] and found.scores.tolist() == [0.8, 0.6]


def test_nothing_found_stays_nothing() -> None:
    assert len(fused([no_candidates(2), no_candidates(2)], 0.3, 5)) == 0


boxes_strategy = st.lists(
    st.tuples(st.tuples(*[st.integers(0, 30)] * 3), st.tuples(*[st.integers(1, 12)] * 3), st.integers(1, 100), st.integers(0, 1)),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes_strategy, min_size=1, max_size=3))
def test_fusion_does_not_hang_on_the_order_and_never_grows(sources: list[list[tuple[tuple[int, ...], tuple[int, ...], int, int]]]) -> None:
    made = [
        candidates(
            *(([*start], [a + b for a, b in zip(start, side, strict=True)], score / 100, number) for start, side, score, number in rows)
        )
        if rows
        else no_candidates(3)
        for rows in sources
    ]
    found, again = fused(made, 0.3, 50), fused(made[::-1], 0.3, 50)
    assert np.allclose(found.boxes, again.boxes) and np.allclose(found.scores, again.scores)
    assert len(found) <= sum(map(len, made)) and (found.scores <= 1).all() and (np.diff(found.scores) <= 0).all()
    low, high = min((one.boxes.min() for one in made if len(one)), default=0), max((one.boxes.max() for one in made if len(one)), default=0)
    assert len(found) == 0 or (found.boxes.min() >= low - 1e-9 and found.boxes.max() <= high + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([-3, -2, -1]), unique=True, max_size=3))
def test_a_box_found_in_a_mirrored_image_comes_back_to_its_voxels(axes: list[int]) -> None:
    size = (5, 7, 11)
    image = torch.zeros(2, *size)
    image[:, 1:3, 2:6, 4:9] = 1
    flip = tuple(axes)
    turned = flipped(image, image_flip(flip, 3, 1))
    places = torch.nonzero(turned[0])
    found = torch.cat([places.min(dim=0).values, places.max(dim=0).values + 1]).float()[None]
    assert boxes_back(found, flip, size).tolist() == [[1, 2, 4, 3, 6, 9]]
    assert torch.equal(flipped(turned, image_flip(flip, 3, 1)), image)


def test_every_combination_of_flips_is_seen_once() -> None:
    assert all_flips((0, 2)) == ((), (0,), (2,), (0, 2))


def test_predicted_boxes_are_cut_at_the_image_and_empty_ones_go() -> None:
    many = candidates(([-3, 2, 0], [50, 6, 4], 1.2, 0), ([60, 0, 0], [70, 5, 5], 0.9, 0), ([1, 1, 1], [2, 2, 2], 1e-9, 0))
    (only,) = predicted(many, [None], (28, 24, 10))
    assert only == PredictedBox(start=(0.0, 2.0, 0.0), stop=(28.0, 6.0, 4.0), score=1.0, label=None)


def test_a_map_of_boxes_lies_on_the_reference_grid_in_the_world(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_nifti(Volume(np.zeros(SHAPE[::-1], np.int16), grid), tmp_path / "a_t2w.nii.gz")
    box = PredictedBox(start=(4.0, 10.0, 2.0), stop=(14.0, 13.0, 9.0), score=0.75)
    name = write_map(map_of_boxes([box], SHAPE[::-1], "box"), tmp_path / "a_t2w.nii.gz", tmp_path, "set/a")
    back = read_volume_file(tmp_path / name, None)
    k, j, i = np.nonzero(back.array)
    assert (i.min(), i.max() + 1, j.min(), j.max() + 1, k.min(), k.max() + 1) == (4, 14, 10, 13, 2, 9)
    assert np.allclose(back.grid.to_lps((4, 10, 2)), grid.to_lps((4, 10, 2)), atol=1e-4)
    assert set(np.unique(back.array)) == {0.0, 0.75}


def test_components_of_a_prepared_map_keep_place_and_one_score_each() -> None:
    prepared = np.zeros((10, 30, 40), np.float32)
    prepared[2:5, 4:10, 6:12], prepared[6:9, 20:26, 30:36] = 0.9, 0.4
    placement = Placement(scale=(1.0, 2.0, 2.0), offset=(0.0, -4.0, 2.0), shape=prepared.shape)
    found = map_on_reference(prepared, placement, (12, 18, 22))
    assert (np.argwhere(found == np.float32(0.9)).min(axis=0).tolist(), np.argwhere(found == np.float32(0.9)).max(axis=0).tolist()) == (
        [2, 4, 2],
        [4, 6, 4],
    )
    assert set(np.unique(found)) == {0.0, np.float32(0.4), np.float32(0.9)}


def test_components_that_shrink_into_each_other_keep_the_better_one() -> None:
    prepared = np.zeros((4, 24, 24), np.float32)
    prepared[1:3, 4:8, 4:8], prepared[1:3, 4:8, 9:13] = 0.3, 0.8
    placement = Placement(scale=(1.0, 4.0, 4.0), offset=(0.0,) * 3, shape=prepared.shape)
    found = map_on_reference(prepared, placement, (4, 6, 6))
    assert set(np.unique(found)) == {0.0, np.float32(0.8)}


def test_names_of_maps_are_safe_and_differ() -> None:
    assert map_name("a/b") == "a_b_detection_map.nii.gz"
    assert map_name("a/b c") != map_name("a/b,c")
