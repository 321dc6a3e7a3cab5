# ruff: noqa: E402
"""The losses and the two ways of finding lesions, on tiny planted lesions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="detection needs the extra `train`")
pytest.importorskip("monai", reason="detection needs the extra `train`")

from cv_model_experiments.detection.batches import DetectionBatch
from cv_model_experiments.detection.candidates import detection_map, dynamic_candidates, static_candidates
from cv_model_experiments.detection.finder import FinderShape, Found, padded
from cv_model_experiments.detection.retinanet import RetinaFinder, in_bands, with_best_anchors
from cv_model_experiments.detection.segmentation import SegmentationFinder, ellipsoid_voxels, paint_targets
from cv_model_experiments.detection.settings import DetectionSettings, SegmentationSettings
from cv_model_experiments.detection.targets import IGNORED, Targets, no_targets
from cv_model_experiments.detection.task import detection_metrics, judge
from tests.detection_sets import detection_settings
from weakbox.records.errors import ConfigurationError

SIZE = (4, 6, 9)
"""Of the planted lesions, along slice, row, column."""


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def choices(tmp_path: Any, **changes: Any) -> DetectionSettings:
    return DetectionSettings.model_validate(detection_settings(tmp_path, tmp_path, **{"patches": {"size": [12, 32, 32]}} | changes))


def shape_of(classes: tuple[str, ...] = ("lesion",)) -> FinderShape:
    return FinderShape(axes=3, channels=2, classes=classes, spacing=(3.0, 1.0, 1.0), anchors=((4.0, 6.0, 9.0),))


def targets(*boxes: list[float], classes: list[int] | None = None, weights: list[float] | None = None, margin: float = 0.0) -> Targets:
    count = len(boxes)
    return Targets(
        boxes=torch.tensor(boxes, dtype=torch.float32),
        classes=torch.tensor(classes or [0] * count),
        probabilities=torch.ones(count),
        weights=torch.tensor(weights or [1.0] * count),
        margins=torch.full((count, 3), margin),
    )


def batch_of(count: int, seed: int, **changes: Any) -> DetectionBatch:
    rng = np.random.default_rng(seed)
    images, found = [], []
    for _ in range(count):
        pixels = rng.normal(0, 0.5, (2, 12, 32, 32)).astype(np.float32)
        low = np.array([rng.integers(1, limit - side - 1) for limit, side in zip((12, 32, 32), SIZE, strict=True)])
        pixels[(slice(None), *(slice(a, a + b) for a, b in zip(low, SIZE, strict=True)))] += 2
        images.append(pixels)
        found.append(targets([*low.tolist(), *(low + SIZE).tolist()]))
    values = {"bags": torch.zeros(count, dtype=torch.bool), "weights": torch.ones(count), "targets": tuple(found)}
    return DetectionBatch(images=torch.tensor(np.stack(images)), places=tuple(range(count)), seed=seed, **(values | changes))


def trained(module: Any, steps: int) -> None:
    optimiser = torch.optim.AdamW(module.parameters(), lr=4e-3)
    module.train()
    for step in range(steps):
        optimiser.zero_grad()
        module(batch_of(4, step))["loss"].backward()
        optimiser.step()
    module.eval()


def overlap(found: Found, wanted: Targets) -> float:
    from monai.data.box_utils import box_iou

    return float(box_iou(found.boxes[:1], wanted.boxes)[0, 0]) if len(found) else 0.0


@pytest.mark.slow
def test_a_tiny_retinanet_finds_planted_lesions_and_through_windows_too(tmp_path: Any) -> None:
    module = RetinaFinder(choices(tmp_path), shape_of())
    trained(module, 60)
    unseen = batch_of(6, 1000)
    found = module.find(unseen.images)
    assert np.mean([overlap(*pair) for pair in zip(found, unseen.targets, strict=True)]) > 0.4
    assert all(float(one.scores[0]) > 0.5 for one in found)
    large = torch.randn(1, 2, 14, 50, 41) * 0.5
    large[0, :, 5:9, 35:41, 20:29] += 2
    (one,) = module.find(large)
    assert overlap(one, targets([5, 35, 20, 9, 41, 29])) > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("network", ["dynunet", "unet"])
def test_a_tiny_segmentation_finds_planted_lesions(tmp_path: Any, network: str) -> None:
    settings = choices(tmp_path, method="segmentation", segmentation={"network": network, "least_voxels": 4})
    module = SegmentationFinder(settings, shape_of())
    trained(module, 50)
    unseen = batch_of(4, 1000)
    found = module.find(unseen.images)
    assert np.mean([overlap(*pair) for pair in zip(found, unseen.targets, strict=True)]) > 0.6
    assert set(np.unique(found[0].detection_map)) == {0.0, *np.float32(found[0].scores.numpy())}


def test_every_lesion_is_learnt_even_where_atss_matches_none(tmp_path: Any) -> None:
    module = RetinaFinder(choices(tmp_path), shape_of())
    _, _, anchors, places = module.heads(torch.zeros(1, 2, 12, 32, 32))
    even = targets([2, 9, 9, 6, 15, 18])
    assert (module.detector.proposal_matcher(even.boxes, anchors, places, 1)[1] < 0).all(), "MONAI's matcher alone misses this lesion"
    assert (module._matched(even, anchors, places) == 0).any()


def test_an_anchor_of_another_lesion_is_not_taken_away() -> None:
    overlaps = torch.tensor([[0.5, 0.4, 0.0], [0.6, 0.2, 0.2]])
    assert with_best_anchors(overlaps, torch.tensor([1, -1, -1])).tolist() == [1, -1, -1]
    assert with_best_anchors(overlaps, torch.tensor([-1, -1, -1])).tolist() == [0, -1, -1]


def test_nothing_in_a_band_is_background() -> None:
    anchors = torch.tensor([[0.0, 0, 0, 2, 2, 2], [3, 0, 0, 5, 2, 2], [8, 0, 0, 10, 2, 2]])
    near = targets([0, 0, 0, 2, 2, 2], margin=3.0)
    assert in_bands(near, anchors).tolist() == [True, True, False]
    assert not in_bands(targets([0, 0, 0, 2, 2, 2]), anchors).any()
    assert in_bands(targets([3, 0, 0, 5, 2, 2], classes=[IGNORED]), anchors).tolist() == [False, True, False]


def test_a_box_of_weight_0_teaches_nothing_and_half_weight_half_as_much(tmp_path: Any) -> None:
    module = RetinaFinder(choices(tmp_path), shape_of())
    batch = batch_of(1, 5)
    losses = []
    for weight in (1.0, 0.5, 0.0):
        own = Targets(**{**vars(batch.targets[0]), "weights": torch.tensor([weight])})
        losses.append(float(module(DetectionBatch(**{**vars(batch), "targets": (own,)}))["regression"].detach()))
    assert losses[1] == pytest.approx(losses[0] / 2, rel=1e-5) and losses[2] == 0.0


def test_a_sample_without_lesions_teaches_by_its_negatives_alone(tmp_path: Any) -> None:
    module = RetinaFinder(choices(tmp_path), shape_of())
    losses = module(batch_of(2, 3, targets=(no_targets(3), no_targets(3))))
    assert float(losses["classification"]) > 0 and float(losses["regression"]) == 0
    losses["loss"].backward()


@pytest.mark.parametrize("method", ["retinanet", "segmentation"])
def test_case_level_labels_raise_the_best_place_and_nothing_else(tmp_path: Any, method: str) -> None:
    settings = choices(tmp_path, method=method, lesions={"bag_weight": 1.0}, segmentation={"least_voxels": 1})
    module = (RetinaFinder if method == "retinanet" else SegmentationFinder)(settings, shape_of())
    batch = batch_of(2, 3, targets=(no_targets(3), no_targets(3)), bags=torch.ones(2, dtype=torch.bool))
    before = module(batch)
    assert float(before["bags"].detach()) > 0
    assert float(before["loss"].detach()) == pytest.approx(float(before["bags"].detach()), rel=1e-4)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    for _ in range(4):
        optimiser.zero_grad()
        module(batch)["loss"].backward()
        optimiser.step()
    assert float(module(batch)["bags"].detach()) < float(before["bags"].detach())


@pytest.mark.parametrize("loss", [{"classification": "focal", "regression": "smooth_l1"}, {"classification": "bce", "regression": "giou"}])
def test_losses_have_gradients_everywhere(tmp_path: Any, loss: dict[str, str]) -> None:
    module = RetinaFinder(choices(tmp_path, loss=loss, augmentation="mr"), shape_of())
    module(batch_of(2, 3))["loss"].backward()
    without = [name for name, one in module.named_parameters() if one.grad is None or not torch.isfinite(one.grad).all()]
    assert without == []


def test_pixels_that_are_no_numbers_give_a_loss_that_is_none(tmp_path: Any) -> None:
    module = RetinaFinder(choices(tmp_path), shape_of())
    batch = batch_of(2, 3)
    batch.images[0, 0, 3, 3, 3] = float("nan")
    assert not torch.isfinite(module(batch)["loss"])


def test_added_borders_lie_behind_and_hold_the_least_value() -> None:
    images = torch.arange(2 * 3 * 5.0).reshape(1, 1, 2, 3, 5) + 4
    out = padded(images, (4, 1, 1), (2, 2, 4))
    assert out.shape == (1, 1, 4, 4, 8)
    assert torch.equal(out[..., :2, :3, :5], images) and out[0, 0, 3, 3, 7] == 4


def test_an_ellipsoid_fills_half_of_its_box_and_a_thin_one_takes_the_nearest_slice() -> None:
    inside = ellipsoid_voxels(torch.tensor([1.0, 3, 2, 13, 31, 22]), (14, 34, 24))
    assert inside.sum() / (12 * 28 * 20) == pytest.approx(np.pi / 6, rel=0.03)
    assert [(axis.min().item(), axis.max().item()) for axis in torch.nonzero(inside).T] == [(1, 12), (3, 30), (2, 21)]
    thin = ellipsoid_voxels(torch.tensor([4.2, 3.0, 2.0, 4.6, 9.0, 8.0]), (8, 12, 12))
    assert torch.nonzero(thin)[:, 0].unique().tolist() == [4]


def test_lesions_are_painted_over_bands_and_the_trusted_one_over_the_other() -> None:
    both = targets([2, 2, 2, 8, 8, 8], [2, 2, 6, 8, 8, 12], classes=[0, 1], weights=[0.3, 1.0], margin=1.0)
    truth, weights, _ = paint_targets(both, (10, 10, 14))
    assert set(truth.unique().tolist()) == {-1, 0, 1, 2}
    assert truth[5, 5, 7] == 2 and weights[5, 5, 7] == 1.0
    assert truth[5, 5, 3] == 1 and weights[5, 5, 3] == pytest.approx(0.3)


def test_dynamic_candidates_are_cut_at_a_share_of_their_own_peak() -> None:
    values = np.zeros((6, 12, 16), np.float32)
    values[1:4, 2:6, 2:6], values[2, 3, 3] = 0.5, 0.9
    values[1:4, 2:6, 6:8] = 0.3
    values[2:5, 8:11, 10:15] = 0.1
    strong, weak = dynamic_candidates(values, SegmentationSettings(least_voxels=5))
    assert strong.box == (1, 2, 2, 4, 6, 6) and strong.score == pytest.approx(0.9)
    assert weak.box == (2, 8, 10, 5, 11, 15) and weak.score == pytest.approx(0.1)


def test_a_candidate_that_touches_a_better_one_is_dropped() -> None:
    values = np.zeros((4, 8, 12), np.float32)
    values[1:3, 2:6, 2:5] = 0.9
    values[1:3, 2:6, 5:9] = 0.3
    (only,) = dynamic_candidates(values, SegmentationSettings(least_voxels=2))
    assert only.box == (1, 2, 2, 3, 6, 5)


def test_static_candidates_are_components_and_small_ones_go() -> None:
    values = np.zeros((12, 16), np.float32)
    values[2:6, 2:6], values[9, 9] = 0.4, 0.9
    (only,) = static_candidates(values, SegmentationSettings(least_voxels=3, threshold=0.2))
    assert only.box == (2, 2, 6, 6)
    assert (detection_map([only], values.shape) > 0).sum() == 16


def test_a_candidate_of_the_wrong_class_is_a_miss_and_a_false_positive() -> None:
    lesion = targets([1, 1, 1, 5, 5, 5], classes=[1])
    right = Found(boxes=lesion.boxes, scores=torch.tensor([0.8]), classes=torch.tensor([1]))
    wrong = Found(boxes=lesion.boxes, scores=torch.tensor([0.8]), classes=torch.tensor([0]))
    assert judge(right, lesion).entries == ((True, pytest.approx(0.8)),)
    assert judge(wrong, lesion).entries == ((True, 0.0), (False, pytest.approx(0.8)))


def test_a_candidate_on_an_ignored_box_counts_neither_way() -> None:
    ignored = targets([1, 1, 1, 5, 5, 5], classes=[IGNORED])
    found = Found(boxes=ignored.boxes, scores=torch.tensor([0.8]), classes=torch.tensor([0]))
    assert judge(found, ignored).entries == ()


def test_metrics_of_a_perfect_and_a_blind_detector() -> None:
    lesion = targets([1, 1, 1, 5, 5, 5])
    nothing = Found(boxes=torch.zeros(0, 6), scores=torch.zeros(0), classes=torch.zeros(0, dtype=torch.long))
    found = Found(boxes=lesion.boxes, scores=torch.tensor([0.8]), classes=torch.tensor([0]))
    perfect = detection_metrics([judge(found, lesion), judge(nothing, no_targets(3))])
    assert (perfect["average_precision"], perfect["auroc"], perfect["froc_1"]) == (1.0, 1.0, 1.0)
    blind = detection_metrics([judge(nothing, lesion), judge(nothing, no_targets(3))])
    assert (blind["average_precision"], blind["auroc"], blind["froc_1"]) == (0.0, 0.5, 0.0)


@pytest.mark.parametrize("network", ["dynunet", "unet"])
def test_a_first_stage_with_a_stride_still_gives_a_map_of_the_images_size(tmp_path: Any, network: str) -> None:
    own = {"widths": [8, 16, 16], "strides": [[1, 2, 2], [1, 2, 2], [2, 2, 2]]}
    settings = choices(tmp_path, method="segmentation", network=own, segmentation={"network": network})
    module = SegmentationFinder(settings, shape_of())
    module(batch_of(1, 2))["loss"].backward()
    assert module.eval().probabilities(torch.zeros(1, 2, 7, 30, 21)).shape == (2, 7, 30, 21)


def test_a_dynunet_of_two_stages_is_refused_by_its_setting(tmp_path: Any) -> None:
    settings = choices(tmp_path, method="segmentation", network={"widths": [8, 16], "returned": [0]})
    with pytest.raises(ConfigurationError, match=r"network\.widths"):
        SegmentationFinder(settings, shape_of())
