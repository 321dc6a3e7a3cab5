"""Hits, FROC and COCO figures: against brute force, pycocotools and MONAI."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cv_model_experiments.evaluation.boxes import box_array, centre_distances, overlaps
from cv_model_experiments.evaluation.coco import COCO_RANGE, MEDICAL_RANGE, CocoEvaluation, ImageBoxes
from cv_model_experiments.evaluation.hits import affinities, hit_criterion, pair
from cv_model_experiments.evaluation.ranking import Ranked, sensitivity_at_or_below, sensitivity_interpolated
from weakbox.records.errors import ConfigurationError

Numbers = np.ndarray


def _random_boxes(random: np.random.Generator, count: int, axes: int, extent: int = 40) -> Numbers:
    start = random.integers(0, extent - 12, size=(count, axes)).astype(float)
    return np.stack([start, start + random.integers(3, 12, size=(count, axes))], axis=1)


def _near(random: np.random.Generator, boxes: Numbers) -> Numbers:
    moved = boxes + random.integers(-2, 3, size=boxes.shape)
    return np.stack([moved[:, 0], np.maximum(moved[:, 1], moved[:, 0] + 1)], axis=1)


def _random_images(seed: int, images: int, axes: int, classes: int) -> list[ImageBoxes]:
    """Images with found, missed, doubled and false boxes, several classes, and many equal scores."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(images):
        lesions = _random_boxes(random, int(random.integers(0, 5)), axes)
        found = _near(random, lesions[random.random(len(lesions)) < 0.8])
        doubled = _near(random, found[random.random(len(found)) < 0.4])
        candidates = np.concatenate([found, doubled, _random_boxes(random, int(random.integers(0, 4)), axes)])
        made.append(
            ImageBoxes(
                lesions=lesions,
                lesion_classes=random.integers(0, classes, len(lesions)),
                candidates=candidates,
                candidate_classes=random.integers(0, classes, len(candidates)),
                scores=random.integers(1, 21, len(candidates)) / 20,
            )
        )
    return made


def _pycocotools(images: list[ImageBoxes], classes: int, limits: tuple[float, ...]) -> float:
    coco = pytest.importorskip("pycocotools.coco", reason="extra `train` is not installed")
    from pycocotools.cocoeval import COCOeval

    def annotations(kind: str) -> list[dict[str, object]]:
        found = []
        for number, image in enumerate(images, 1):
            boxes, own = (image.lesions, image.lesion_classes) if kind == "lesions" else (image.candidates, image.candidate_classes)
            for place, (box, of_class) in enumerate(zip(boxes, own, strict=True)):
                (x0, y0), (x1, y1) = box.tolist()
                size = [x0, y0, x1 - x0, y1 - y0]
                extra = {"score": float(image.scores[place])} if kind == "candidates" else {"area": size[2] * size[3], "iscrowd": 0}
                found.append({"id": len(found) + 1, "image_id": number, "category_id": int(of_class) + 1, "bbox": size, **extra})
        return found

    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": number} for number in range(1, len(images) + 1)],
        "categories": [{"id": number + 1, "name": str(number)} for number in range(classes)],
        "annotations": annotations("lesions"),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(annotations("candidates")), "bbox")
        evaluation.params.iouThrs = np.array(limits)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return float(precision[precision > -1].mean())


@pytest.mark.parametrize("limits", [MEDICAL_RANGE, COCO_RANGE])
@pytest.mark.parametrize("seed", range(12))
def test_mean_average_precision_equals_pycocotools_on_random_boxes(seed: int, limits: tuple[float, ...]) -> None:
    images = _random_images(seed, images=15, axes=2, classes=1 + seed % 3)
    own = CocoEvaluation(images, 1 + seed % 3).mean_average_precision(limits)
    assert own == pytest.approx(_pycocotools(images, 1 + seed % 3, limits), abs=1e-12)
    assert 0 < own < 1


def test_more_than_a_hundred_candidates_are_cut_as_pycocotools_does() -> None:
    random = np.random.default_rng(5)
    lesions = _random_boxes(random, 30, 2, extent=400)
    candidates = np.concatenate([_random_boxes(random, 100, 2, extent=400), _near(random, lesions)])
    image = ImageBoxes(
        lesions=lesions,
        lesion_classes=np.zeros(30, dtype=int),
        candidates=candidates,
        candidate_classes=np.zeros(130, dtype=int),
        scores=random.permutation(130) / 130 + 0.01,
    )
    assert CocoEvaluation([image], 1).mean_average_precision(MEDICAL_RANGE) == pytest.approx(
        _pycocotools([image], 1, MEDICAL_RANGE), abs=1e-12
    )


def _brute_force(images: list[ImageBoxes], limit: float) -> float:
    """Average precision of one class from its definition: voxel counts for overlap, a loop for each step."""
    ranked = sorted(
        ((image.scores[place], number, place) for number, image in enumerate(images) for place in range(len(image.scores))),
        key=lambda item: -item[0],
    )
    total, taken, hits = sum(len(image.lesions) for image in images), set(), []
    for _, number, place in ranked:
        image = images[number]
        shares = [_voxel_overlap(image.candidates[place], lesion) for lesion in image.lesions]
        free = [index for index in range(len(shares)) if (number, index) not in taken and shares[index] >= limit]
        best = max(free, key=lambda index: (shares[index], index), default=None)
        hits.append(best is not None)
        if best is not None:
            taken.add((number, best))
    value = 0.0
    for level in np.linspace(0, 1, 101):
        reached = [sum(hits[: end + 1]) / (end + 1) for end in range(len(hits)) if sum(hits[: end + 1]) / total >= level]
        value += max(reached, default=0.0) / 101
    return value


def _voxel_overlap(first: Numbers, second: Numbers) -> float:
    sets = [set(product(*(range(int(a), int(b)) for a, b in zip(box[0], box[1], strict=True)))) for box in (first, second)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def _with_different_scores(images: list[ImageBoxes], seed: int) -> list[ImageBoxes]:
    """For comparisons with what does not define an order of equal scores."""
    order = np.random.default_rng(seed).permutation(sum(len(image.scores) for image in images))
    scores = iter(order / 1000 + 0.01)
    return [replace(image, scores=np.array([next(scores) for _ in image.scores])) for image in images]


@pytest.mark.parametrize("seed", range(4))
def test_three_dimensional_average_precision_equals_brute_force(seed: int) -> None:
    images = _random_images(seed + 100, images=8, axes=3, classes=1)
    images = _with_different_scores(images, seed)
    evaluation = CocoEvaluation(images, 1)
    for limit in (0.1, 0.3, 0.5):
        assert evaluation.average_precisions([limit])[0, 0] == pytest.approx(_brute_force(images, limit), abs=1e-9)


def test_coco_figures_are_not_a_number_without_lesions_and_zero_without_candidates() -> None:
    empty = np.zeros((0, 2, 2))
    none = ImageBoxes(
        lesions=empty, lesion_classes=np.zeros(0, int), candidates=empty, candidate_classes=np.zeros(0, int), scores=np.zeros(0)
    )
    assert np.isnan(CocoEvaluation([none], 1).mean_average_precision(COCO_RANGE))
    lesion = ImageBoxes(
        lesions=box_array([((0, 0), (4, 4))], 2),
        lesion_classes=np.zeros(1, int),
        candidates=empty,
        candidate_classes=np.zeros(0, int),
        scores=np.zeros(0),
    )
    assert CocoEvaluation([lesion, none], 1).mean_average_precision(COCO_RANGE) == 0.0


def test_repeating_an_image_equals_giving_it_weight() -> None:
    images = _with_different_scores(_random_images(3, images=6, axes=2, classes=2), seed=3)
    weights = np.array([2.0, 0.0, 1.0, 3.0, 1.0, 0.0])
    repeated = [image for image, weight in zip(images, weights, strict=True) for _ in range(int(weight))]
    weighted = CocoEvaluation(images, 2).mean_average_precision(MEDICAL_RANGE, weights)
    assert weighted == pytest.approx(CocoEvaluation(repeated, 2).mean_average_precision(MEDICAL_RANGE), abs=1e-9)


affinity_tables = st.integers(1, 4).flatmap(
    lambda rows: st.integers(1, 4).flatmap(
        lambda columns: st.lists(
            st.lists(st.sampled_from([0.0, 0.0, 0.1, 0.35, 0.5, 0.9]), min_size=columns, max_size=columns), min_size=rows, max_size=rows
        )
    )
)


@given(affinity_tables)
def test_pairing_has_as_many_pairs_as_possible_and_then_the_largest_affinity(table: list[list[float]]) -> None:
    affinity = np.array(table)
    found = pair(affinity)
    rows, columns = affinity.shape
    wide = affinity if columns >= rows else affinity.T
    options = [
        [(row, column) for row, column in enumerate(choice) if wide[row, column] > 0]
        for choice in permutations(range(wide.shape[1]), wide.shape[0])
    ]
    best = max((len(option), round(sum(wide[place] for place in option), 9)) for option in options)
    assert (len(found.pairs), round(sum(affinity[place] for place in found.pairs), 9)) == best
    assert len(found.pairs) + len(found.missed) == rows
    assert len(found.pairs) + len(found.false) + len(found.dropped) == columns
    assert all(not affinity[:, column].any() for column in found.false)


def test_hit_criteria_differ_where_they_should() -> None:
    lesions = box_array([((0, 0, 0), (10, 10, 4))], 3)
    candidates = box_array([((5, 5, 2), (15, 15, 6)), ((4, 4, 1), (6, 6, 3)), ((0, 0, 4), (10, 10, 8))], 3)
    spacing = (0.5, 0.5, 3.0)
    hits = {
        name: (affinities(hit_criterion(name), lesions, candidates, spacing)[0] > 0).tolist()
        for name in ("iou:0.01", "iou:0.1", "centre", "distance:5", "distance:7.5", "distance:13")
    }
    assert overlaps(lesions, candidates)[0].tolist() == pytest.approx([50 / 750, 8 / 400, 0.0])
    assert centre_distances(lesions, candidates, spacing)[0].tolist() == pytest.approx([np.sqrt(2 * 2.5**2 + 6**2), 0.0, 12.0])
    assert hits == {
        "iou:0.01": [True, True, False],
        "iou:0.1": [False, False, False],
        "centre": [True, True, False],
        "distance:5": [False, True, False],
        "distance:7.5": [True, True, False],
        "distance:13": [True, True, True],
    }


@pytest.mark.parametrize("text", ["iuo:0.1", "iou", "iou:1.5", "iou:x", "centre:3", "distance:-2", "distance:inf"])
def test_unknown_hit_criterion_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="hit criterion"):
        hit_criterion(text)
    assert hit_criterion("iou:0.30").name == "iou:0.3"


def test_froc_rules_differ_between_points_only() -> None:
    ranked = Ranked([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.0], [0, 0, 1, 1, 1])
    rates, sensitivities, thresholds = ranked.froc(2)
    assert rates.tolist() == [0, 0, 0.5, 0.5, 1.0]
    assert sensitivities.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.6]
    assert sensitivity_at_or_below(rates, sensitivities, [0, 0.25, 0.5, 0.75, 9]).tolist() == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3]
    )
    assert sensitivity_interpolated(rates, sensitivities, [0, 0.25, 0.5, 0.75, 9]).tolist() == pytest.approx(
        [1 / 3, 1 / 2, 2 / 3, 2 / 3, 2 / 3]
    )


def test_linear_rule_is_that_of_monai_from_the_second_threshold_on() -> None:
    froc = pytest.importorskip("monai.metrics.froc", reason="extra `train` is not installed")
    random = np.random.default_rng(11)
    true, false, images, lesions = random.random(30), random.random(60), 20, 40
    per_image, sensitivity = froc.compute_froc_curve_data(false, true, lesions, images)
    expected = froc.compute_froc_score(per_image, sensitivity, (0.25, 0.5, 1, 2))
    ranked = Ranked([1] * 40 + [0] * 60, np.concatenate([true, np.zeros(10), false]))
    rates, sensitivities, _ = ranked.froc(images)
    assert sensitivity_interpolated(rates, sensitivities, (0.25, 0.5, 1, 2)).mean() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8])), min_size=1, max_size=25))
def test_froc_never_falls_and_ends_at_all_candidates(entries: list[tuple[int, float]]) -> None:
    targets, scores = [target for target, _ in entries], [score for _, score in entries]
    rates, sensitivities, _ = Ranked(targets, scores).froc(10)
    assert (np.diff(rates) >= 0).all()
    assert rates[-1] == pytest.approx(sum(not target and score > 0 for target, score in entries) / 10)
    if any(targets):
        assert (np.diff(sensitivities) >= 0).all()
        assert sensitivities[-1] == pytest.approx(sum(target and score > 0 for target, score in entries) / sum(targets))
    else:
        assert np.isnan(sensitivities).all()
