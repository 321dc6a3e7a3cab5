# ruff: noqa: E402
"""Boxes between manifest, tensors and MONAI; anchors; patches. Everything asymmetric, so that no two axes can be confused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="detection needs the extra `train`")
pytest.importorskip("monai", reason="detection needs the extra `train`")

from monai.data.box_utils import box_area, box_iou

from cv_model_experiments.data.placement import Placement
from cv_model_experiments.detection.anchors import ExactAnchors, fit_anchors
from cv_model_experiments.detection.boxes import cut_to, exported_boxes, shown_boxes
from cv_model_experiments.detection.networks import stage_strides, total_strides
from cv_model_experiments.detection.patches import central_start, cut_patch, patch_start, window_starts
from cv_model_experiments.detection.settings import LesionSettings
from cv_model_experiments.detection.targets import IGNORED, check_classes, is_bag, stated_uncertainties, targets_of
from cv_model_experiments.evaluation.boxes import overlaps
from tests.detection_sets import box_of, volume_row, write_labels
from weakbox.records.errors import InputError

PLACEMENT = Placement(scale=(1.0, 2.0, 0.5), offset=(3.0, -4.0, 1.0), shape=(20, 60, 30))
BOX = box_of((4, 10, 2), (14, 13, 9), "a")


def test_a_box_of_the_manifest_lands_on_the_voxels_that_it_names() -> None:
    plain = Placement(scale=(1.0,) * 3, offset=(0.0,) * 3, shape=(12, 20, 30))
    (edges,) = shown_boxes([BOX], plain)
    volume = np.zeros(plain.shape)
    z0, y0, x0, z1, y1, x1 = edges.astype(int)
    volume[z0:z1, y0:y1, x0:x1] = 1
    slices, rows, columns = np.nonzero(volume)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1, slices.min(), slices.max() + 1) == (4, 14, 10, 13, 2, 9)
    assert float(box_area(torch.tensor(edges)[None])[0]) == volume.sum() == 10 * 3 * 7


def test_boxes_come_back_from_a_scaled_moved_and_mirrored_image() -> None:
    for placement in (PLACEMENT, Placement(scale=(1.0, 2.0, -0.5), offset=(3.0, -4.0, 16.0), shape=(20, 60, 30))):
        back = exported_boxes(shown_boxes([BOX], placement), placement)
        assert np.allclose(back[0], [BOX.start, BOX.stop])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 20)] * 3, *[st.integers(1, 15)] * 3), min_size=2, max_size=5))
def test_monai_and_the_evaluation_see_the_same_overlap(numbers: list[tuple[int, ...]]) -> None:
    edges = np.array([[n[:3], np.add(n[:3], n[3:])] for n in numbers], float)
    ours = overlaps(edges, edges)
    theirs = box_iou(torch.tensor(edges.reshape(-1, 6)), torch.tensor(edges.reshape(-1, 6)))
    assert np.allclose(ours, np.asarray(theirs), atol=1e-5)


def test_a_window_shows_the_part_of_a_box_that_lies_in_it() -> None:
    boxes = torch.tensor([[2.0, 4.0, 6.0, 4.0, 8.0, 16.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]])
    cut, share = cut_to(boxes, (3, 4, 6), (5, 5, 5))
    assert cut[0].tolist() == [0, 0, 0, 1, 4, 5]
    assert share.tolist() == [pytest.approx(0.25), 0.0]


def test_anchors_cover_boxes_of_two_kinds_with_two_shapes() -> None:
    rng = np.random.default_rng(1)
    flat, tall = np.array([2.0, 12.0, 9.0]), np.array([8.0, 5.0, 4.0])
    sides = np.concatenate([flat * rng.uniform(0.9, 1.1, (30, 3)), tall * rng.uniform(0.9, 1.1, (30, 3))])
    fit = fit_anchors(sides, 2, (1.0,))
    assert fit.mean_overlap > 0.8 and fit.covered == 1.0
    assert np.allclose(sorted(fit.shapes), sorted(map(tuple, (flat, tall))), rtol=0.1)
    assert fit == fit_anchors(sides[::-1], 2, (1.0,))


def test_one_shape_serves_small_and_large_boxes_through_the_levels() -> None:
    small = np.array([3.0, 6.0, 9.0])
    fit = fit_anchors(np.stack([small] * 5 + [small * 2] * 5), 1, (1.0, 2.0))
    assert fit.mean_overlap > 0.99 and fit.shapes == (tuple(small),)


def test_no_boxes_give_no_anchors_but_a_sentence() -> None:
    with pytest.raises(InputError, match="no box to fit anchors to"):
        fit_anchors(np.zeros((0, 3)), 2, (1.0,))


def test_anchors_are_not_rounded_and_lie_in_the_middle_of_their_cells() -> None:
    generator = ExactAnchors((1.0, 2.0), ((1.0, 5.0, 3.0),))
    images, maps = torch.zeros(2, 1, 6, 12, 18), [torch.zeros(2, 1, 6, 6, 6), torch.zeros(2, 1, 3, 3, 3)]
    anchors = generator(images, maps)[0]
    assert len(anchors) == 6**3 + 3**3
    assert anchors[0].tolist() == [0.0, -1.5, 0.0, 1.0, 3.5, 3.0]
    assert (anchors[216 + 0, 3:] - anchors[216, :3]).tolist() == [2.0, 10.0, 6.0]
    assert ((anchors[-1, 3:] + anchors[-1, :3]) / 2).tolist() == [5.0, 10.0, 15.0]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.tuples(*[st.integers(4, 40)] * 3), st.tuples(*[st.integers(3, 30)] * 3), st.floats(0, 1))
def test_a_lesion_patch_holds_the_lesions_middle_and_stays_in_the_image(
    seed: int, shape: tuple[int, ...], size: tuple[int, ...], place: float
) -> None:
    lower = np.floor(np.array(shape) * place * 0.7)
    box = np.concatenate([lower, np.minimum(np.add(lower, [2, 9, 5]), shape)])
    start = patch_start(shape, size, box[None], 1.0, np.random.default_rng(seed))
    middle = (box[:3] + box[3:]) / 2
    for axis in range(3):
        if shape[axis] >= size[axis]:
            assert 0 <= start[axis] <= shape[axis] - size[axis]
        assert start[axis] <= middle[axis] <= start[axis] + size[axis]
        if box[3 + axis] - box[axis] <= size[axis]:
            assert start[axis] <= box[axis] and box[3 + axis] <= start[axis] + size[axis]


def test_a_patch_larger_than_the_image_is_filled_around_it() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.float16).reshape(1, 2, 3, 4) + 7
    start = central_start((2, 3, 4), (4, 3, 2))
    patch = cut_patch(pixels, start, (4, 3, 2))
    assert start == (-1, 0, 1)
    assert np.array_equal(patch[0, 1:3], pixels[0, :, :, 1:3]) and (patch[0, [0, 3]] == 7).all()


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.integers(1, 50)] * 2), st.tuples(*[st.integers(1, 50)] * 2), st.floats(0, 0.9))
def test_windows_cover_every_pixel_and_lie_inside(shape: tuple[int, ...], size: tuple[int, ...], overlap: float) -> None:
    size = tuple(min(a, b) for a, b in zip(shape, size, strict=True))
    seen = np.zeros(shape, bool)
    for start in window_starts(shape, size, overlap):
        assert all(a >= 0 and a + b <= c for a, b, c in zip(start, size, shape, strict=True))
        seen[tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))] = True
    assert seen.all()


def test_thick_slices_are_not_halved_before_the_rows_have_caught_up() -> None:
    assert total_strides(stage_strides(4, (3.0, 0.5, 0.5)))[-1] == (2, 8, 8)
    assert total_strides(stage_strides(3, (1.0, 1.0)))[-1] == (4, 4)


def test_bands_come_from_the_tier_else_from_what_the_labels_file_states(tmp_path) -> None:  # type: ignore[no-untyped-def]
    boxes = (box_of((4, 4, 4), (8, 8, 6), "a"), box_of((4, 4, 4), (8, 8, 6), "b", tier="report_sector"))
    row = volume_row("case-1", boxes, "train")
    (tmp_path / "cases" / "case-1").mkdir(parents=True)
    write_labels(tmp_path, "case-1", {"a": 6.0})
    stated = stated_uncertainties(tmp_path / row.image_path)
    plain = Placement(scale=(1.0, 2.0, 1.0), offset=(0.0,) * 3, shape=(10, 48, 28))
    targets = targets_of(row, plain, LesionSettings(band_mm={"report_sector": 3.0}, stated_band=0.5), stated)
    assert targets.margins[0].tolist() == pytest.approx([3 / 3.0, 2 * 3 / 1.2, 3 / 1.0])
    assert targets.margins[1].tolist() == pytest.approx([1.0, 5.0, 3.0])


def test_a_damaged_labels_file_is_said(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "c_labels.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="labels file"):
        stated_uncertainties(tmp_path / "c_t2w.nii.gz")


def test_boxes_that_are_not_looked_for_are_ignored_or_background() -> None:
    boxes = (box_of((1, 1, 1), (5, 5, 5), "a"), box_of((9, 9, 1), (12, 12, 5), "b", label="no_csPCa"))
    row = volume_row("case-1", boxes, "train")
    plain = Placement(scale=(1.0,) * 3, offset=(0.0,) * 3, shape=(10, 24, 28))
    chosen = LesionSettings(positive_labels=("csPCa",))
    assert targets_of(row, plain, chosen, {}).classes.tolist() == [0, IGNORED]
    assert len(targets_of(row, plain, chosen.model_copy(update={"other_boxes": "background"}), {})) == 1


def test_confidence_is_a_weight_or_a_soft_label() -> None:
    row = volume_row("case-1", (box_of((1, 1, 1), (5, 5, 5), "a", confidence=0.4),), "train")
    plain = Placement(scale=(1.0,) * 3, offset=(0.0,) * 3, shape=(10, 24, 28))
    weighed = targets_of(row, plain, LesionSettings(confidence_as="weight"), {})
    soft = targets_of(row, plain, LesionSettings(confidence_as="target"), {})
    assert (weighed.weights.item(), weighed.probabilities.item()) == (pytest.approx(0.4), 1.0)
    assert (soft.weights.item(), soft.probabilities.item()) == (1.0, pytest.approx(0.4))


def test_a_positive_study_without_a_box_is_a_bag() -> None:
    assert is_bag(volume_row("c", (), "train", label="csPCa"), LesionSettings())
    assert not is_bag(volume_row("c", (), "train"), LesionSettings())
    assert not is_bag(volume_row("c", (BOX,), "train"), LesionSettings())


def test_classes_without_a_box_are_refused_by_name() -> None:
    row = volume_row("c", (BOX,), "train")
    with pytest.raises(InputError, match="no box of the training part is malignant"):
        check_classes([row], LesionSettings(classes=("csPCa", "malignant")))
    with pytest.raises(InputError, match="has no box"):
        check_classes([volume_row("c", (), "train")], LesionSettings())
    with pytest.raises(InputError, match="none of the 1 boxes"):
        check_classes([row], LesionSettings(positive_labels=("benign",)))
