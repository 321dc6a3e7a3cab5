"""picai scores: by picai_eval itself, on its own test data, on the golden fixture, and on painted boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

pytest.importorskip("picai_eval", reason="extra `train` is not installed")

import picai_eval
import SimpleITK as sitk
from scipy import ndimage

from cv_model_experiments.evaluation.boxes import box_array
from cv_model_experiments.evaluation.detection_maps import (
    CaseResult,
    aggregates,
    collect,
    find_pairs,
    patient_of_case,
    read_subjects,
    score_case,
    score_folder,
    write_metrics,
)
from cv_model_experiments.evaluation.measuring import entries_of
from cv_model_experiments.evaluation.painting import paint_boxes, paint_ellipsoids
from cv_model_experiments.evaluation.ranking import Ranked, sensitivity_at_or_below
from cv_model_experiments.model_eval import app
from cv_model_experiments.predictions import PredictedBox
from weakbox.records.errors import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "eval" / "picai_eval"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the data folder beside the checkout is absent")
SHAPE = (8, 32, 32)
Block = tuple[int, int, int, int, int, int]
Volume = NDArray[np.float64]

GOLDEN: dict[str, tuple[list[tuple[Block, float]], list[Block]]] = {
    "A": ([((2, 4, 4, 3, 6, 6), 0.9)], [(2, 5, 5, 3, 6, 6)]),
    "B": ([((1, 20, 20, 2, 4, 4), 0.4)], [(5, 4, 4, 2, 4, 4)]),
    "C": ([((1, 3, 3, 2, 4, 4), 0.3), ((5, 20, 20, 2, 5, 5), 0.2)], []),
    "D": ([], []),
    "E": ([((1, 2, 2, 3, 6, 6), 0.7)], [(1, 2, 2, 3, 6, 6), (4, 20, 20, 3, 4, 4)]),
    "F": ([((2, 4, 4, 1, 8, 8), 0.5), ((5, 4, 4, 1, 8, 8), 0.8)], [(2, 4, 4, 4, 8, 8)]),
}
"""reference/imaging.md 1.6: candidates and lesions as (z, y, x, depth, height, width)."""


def _painted(blocks: list[tuple[Block, float]]) -> Volume:
    volume = np.zeros(SHAPE)
    for (z, y, x, depth, height, width), value in blocks:
        volume[z : z + depth, y : y + height, x : x + width] = value
    return volume


def _golden(case: str) -> tuple[Volume, Volume]:
    candidates, lesions = GOLDEN[case]
    return _painted(candidates), _painted([(block, 1.0) for block in lesions])


def _write(array: Volume, path: Path, origin: float = 0.0) -> None:
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetOrigin((origin, 0.0, 0.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def golden_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "golden"
    folder.mkdir()
    for case in GOLDEN:
        detection_map, label = _golden(case)
        _write(detection_map, folder / f"{case}_detection_map.nii.gz")
        _write(label, folder / f"{case}_label.nii.gz")
    return folder


def test_golden_fixture_gives_its_published_numbers() -> None:
    results = [score_case(case, *_golden(case)) for case in GOLDEN]
    metrics = collect(results)
    assert aggregates(metrics) == {"auroc": 1.0, "AP": pytest.approx(0.6, abs=1e-12), "score": pytest.approx(0.8, abs=1e-12)}
    assert (metrics.num_cases, metrics.num_lesions) == (6, 5)
    np.testing.assert_allclose(metrics.lesion_TPR, [0.2, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6], atol=1e-6)
    np.testing.assert_allclose(metrics.lesion_FPR, [0, 0, 0, 1 / 6, 1 / 3, 1 / 2, np.inf], atol=1e-6)
    by_case = {result.case: result for result in results}
    assert [by_case[case].confidence for case in "ABCDEF"] == pytest.approx([0.9, 0.4, 0.3, 0.0, 0.7, 0.8], abs=1e-6)
    assert by_case["A"].lesions[0] == pytest.approx((1, 0.9, 25 * 3 / (36 * 3 * 2 - 25 * 3)), abs=1e-6)
    assert sorted(by_case["B"].lesions) == [(0, pytest.approx(0.4), 0.0), (1, 0.0, 0.0)]
    assert by_case["F"].lesions == ((1, pytest.approx(0.5), pytest.approx(0.25)),), (
        "the better scored candidate is dropped, it is no false positive"
    )


def test_folder_command_writes_the_metrics_of_picai_eval_itself(golden_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = [
        "--detection-maps",
        str(golden_folder),
        "--labels",
        str(golden_folder),
        "--output",
        str(output),
        "--set",
        "bootstrap.draws=50",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    written = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    own = picai_eval.evaluate_folder(golden_folder, golden_folder, verbose=0)
    expected = json.loads(json.dumps(own.as_dict(), default=float))
    assert {name: written[name] for name in expected} == expected
    assert written["score"] == own.score == pytest.approx(0.8)
    assert picai_eval.Metrics(output / "metrics.json").AP == own.AP
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    found = {item["metric"]: item for item in summary["estimates"]}
    assert found["picai AP"]["value"] == own.AP
    assert found["picai AP"]["low"] <= own.AP <= found["picai AP"]["high"]
    assert found["sensitivity at 0.125 FP, picai_eval"]["value"] == pytest.approx(0.6)


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("expected_name", ["metrics-expected", "metrics-minimal-expected"])
def test_test_data_of_picai_eval_gives_its_numbers_exactly(tmp_path: Path, expected_name: str) -> None:
    results, warnings = score_folder(SHARED / "test-maps", SHARED / "test-maps")
    write_metrics(collect(results), tmp_path / "metrics.json")
    written = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    expected = json.loads((SHARED / "output-expected" / f"{expected_name}.json").read_text(encoding="utf-8"))
    assert {name: written[name] for name in expected} == expected
    assert warnings == ()


@pytest.mark.shared
@needs_shared
def test_curves_of_picai_eval_test_data_are_its_own(tmp_path: Path) -> None:
    results, _ = score_folder(SHARED / "test-maps", SHARED / "test-maps")
    expected = json.loads((SHARED / "output-expected" / "metrics-full-expected.json").read_text(encoding="utf-8"))
    content = collect(results).full_dict()
    for name in ("lesion_TPR", "lesion_FPR", "precision", "recall", "thresholds"):
        assert [float(value) for value in content[name]] == [float(value) for value in expected[name]], name


outcomes = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.25, 0.5, 0.5, 0.75, 1.0])), max_size=4), min_size=2, max_size=12
)


def _results(cases: list[list[tuple[int, float]]], with_missed: bool) -> list[CaseResult]:
    results = []
    for place, case in enumerate(cases):
        entries = [(target, score, 0.5 * target) for target, score in case] + ([(1, 0.0, 0.0)] if with_missed and place == 0 else [])
        results.append(
            CaseResult(case=f"c{place:02d}", lesions=tuple(entries), confidence=max((entry[1] for entry in entries), default=0.0))
        )
    return results


@settings(max_examples=150, deadline=None)
@given(outcomes, st.booleans())
def test_own_average_precision_and_auroc_equal_those_of_picai_eval(cases: list[list[tuple[int, float]]], with_missed: bool) -> None:
    results = _results(cases, with_missed)
    expected = aggregates(collect(results))
    own = entries_of(results)
    targets = [max((target for target, _, _ in result.lesions), default=0) for result in results]
    values = own.lesion_average_precision(), Ranked(targets, [result.confidence for result in results]).auroc()
    for value, name in zip(values, ("AP", "auroc"), strict=True):
        known = expected[name]
        assert (known is None and np.isnan(value)) or value == pytest.approx(known, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(outcomes, st.sampled_from([0.125, 0.25, 0.5, 1.0, 2.0]))
def test_last_point_rule_is_that_of_picai_eval_where_a_lesion_was_missed(cases: list[list[tuple[int, float]]], rate: float) -> None:
    results = _results(cases, with_missed=True)
    rates, sensitivities, _ = entries_of(results).froc(len(results))
    own = sensitivity_at_or_below(rates, sensitivities, [rate])[0]
    # picai_eval counts in float32.
    assert own == pytest.approx(float(collect(results).lesion_TPR_at_FPR(rate)), abs=1e-6)


def test_without_a_missed_lesion_the_lowest_threshold_is_kept_which_picai_eval_loses() -> None:
    results = [
        CaseResult(case="a", lesions=((1, 0.9, 0.5),), confidence=0.9),
        CaseResult(case="b", lesions=((1, 0.2, 0.5),), confidence=0.2),
        CaseResult(case="c", lesions=((0, 0.6, 0.0),), confidence=0.6),
    ]
    rates, sensitivities, _ = entries_of(results).froc(3)
    assert sensitivity_at_or_below(rates, sensitivities, [1.0])[0] == 1.0
    assert collect(results).lesion_TPR_at_FPR(1.0) == pytest.approx(0.5)


def test_cutting_empty_margins_changes_nothing() -> None:
    from picai_eval.eval import evaluate_case

    for case in GOLDEN:
        detection_map, label = _golden(case)
        lesions, confidence, _, _ = evaluate_case(detection_map, label)
        found = score_case(case, detection_map, label)
        assert found.lesions == tuple((int(target), score, float(overlap)) for target, score, overlap in lesions)
        assert found.confidence == confidence


def test_two_folders_may_name_files_by_the_case_alone(golden_folder: Path, tmp_path: Path) -> None:
    maps, labels = tmp_path / "maps", tmp_path / "labels"
    maps.mkdir()
    labels.mkdir()
    for case in GOLDEN:
        (golden_folder / f"{case}_detection_map.nii.gz").rename(maps / f"{case}_detection_map.nii.gz")
        (golden_folder / f"{case}_label.nii.gz").rename(labels / f"{case}.nii.gz")
    _write(np.zeros(SHAPE), labels / "unscored.nii.gz")
    results, warnings = score_folder(maps, labels)
    assert aggregates(collect(results))["AP"] == pytest.approx(0.6)
    assert warnings == ("1 labels have no detection map and are not scored: unscored",)


def test_softmax_map_is_refused_with_the_case(golden_folder: Path) -> None:
    ramp = np.zeros(SHAPE)
    ramp[2:5, 4:10, 4:10] = np.linspace(0.1, 0.9, 6)
    _write(ramp, golden_folder / "A_detection_map.nii.gz")
    with pytest.raises(InputError, match=r"A: .*softmax"):
        score_folder(golden_folder, golden_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: np.where(array > 0, np.nan, array), "NaN"),
        (lambda array: array - 0.5, "below 0"),
        (lambda array: array[:, :, :30], "resample"),
        (lambda array: np.concatenate([array, array]), "resample"),
    ],
)
def test_unusable_map_is_refused(change: object, message: str) -> None:
    detection_map, label = _golden("A")
    with pytest.raises(InputError, match=message):
        score_case("A", change(detection_map), label)  # type: ignore[operator]


def test_map_with_fewer_slices_is_padded_as_picai_eval_does_and_said() -> None:
    detection_map, label = _golden("A")
    found = score_case("A", detection_map[1:7], label)
    assert found.lesions == score_case("A", detection_map, label).lesions
    assert "padded" in found.warnings[0]


def test_missing_label_second_map_damaged_file_and_empty_folder_are_refused(golden_folder: Path, tmp_path: Path) -> None:
    (golden_folder / "B_label.nii.gz").unlink()
    with pytest.raises(InputError, match="1 of 6 cases have no label: B"):
        find_pairs(golden_folder, golden_folder)
    _write(_golden("B")[1], golden_folder / "B_label.mha")
    np.save(golden_folder / "A_detection_map.npy", _golden("A")[0])
    with pytest.raises(InputError, match="case A comes twice"):
        find_pairs(golden_folder, golden_folder)
    (golden_folder / "A_detection_map.npy").unlink()
    (golden_folder / "C_detection_map.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"C_detection_map\.nii\.gz: this detection map cannot be read"):
        score_folder(golden_folder, golden_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no detection map"):
        find_pairs(tmp_path / "empty", golden_folder)
    with pytest.raises(InputError, match="no such folder"):
        find_pairs(tmp_path / "nowhere", golden_folder)


def test_subject_list_is_scored_whole_or_refused(golden_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "subjects.json"
    path.write_text('{"subject_list": ["A", "E"]}', encoding="utf-8")
    results, warnings = score_folder(golden_folder, golden_folder, read_subjects(path))
    assert ([result.case for result in results], warnings) == (["A", "E"], ())
    path.write_text('["A", "Z"]', encoding="utf-8")
    with pytest.raises(InputError, match="no detection map: Z"):
        score_folder(golden_folder, golden_folder, read_subjects(path))
    for content in ("[]", '{"cases": ["A"]}', '["A", "A"]', "no json"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"subjects\.json"):
            read_subjects(path)


def test_maps_in_another_place_are_scored_as_they_are_with_a_warning(golden_folder: Path) -> None:
    _write(_golden("A")[0], golden_folder / "A_detection_map.nii.gz", origin=5.0)
    _, warnings = score_folder(golden_folder, golden_folder)
    assert len(warnings) == 1
    assert "A: map and label lie in different places" in warnings[0]


def test_one_class_only_gives_null_and_says_so(golden_folder: Path, tmp_path: Path) -> None:
    subjects = tmp_path / "subjects.json"
    subjects.write_text('["A", "B"]', encoding="utf-8")
    arguments = [
        "--detection-maps",
        str(golden_folder),
        "--output",
        str(tmp_path / "out"),
        "--subjects",
        str(subjects),
        "--set",
        "bootstrap.draws=20",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert (written["auroc"], written["score"]) == (None, None)
    assert written["AP"] == pytest.approx(0.5)
    assert "all cases are positive" in result.output


def test_studies_of_a_patient_named_as_in_picai_are_resampled_together() -> None:
    assert patient_of_case("10000_1000000") == patient_of_case("10000_1000001") == "10000"
    assert patient_of_case("case-1_2") == "case-1_2"


def _box(start: tuple[float, ...], stop: tuple[float, ...], score: float) -> PredictedBox:
    return PredictedBox(start=start, stop=stop, score=score)


def test_boxes_are_painted_half_open_in_x_y_z_order() -> None:
    painted = paint_boxes([_box((2, 5, 1), (6, 8, 3), 0.5)], SHAPE).detection_map
    expected = np.zeros(SHAPE, dtype=np.float32)
    expected[1:3, 5:8, 2:6] = 0.5
    np.testing.assert_array_equal(painted, expected)


def test_voxels_are_painted_by_their_centres_and_thin_boxes_take_one_voxel() -> None:
    painted = paint_boxes([_box((2.4, 5.6, 1.0), (5.5, 7.5, 2.0), 0.5)], SHAPE).detection_map
    assert np.argwhere(painted).tolist() == [[1, row, column] for row in (6,) for column in (2, 3, 4)]
    thin = paint_boxes([_box((3.6, 3.6, 3.6), (3.8, 3.8, 3.8), 0.5)], SHAPE).detection_map
    assert np.argwhere(thin).tolist() == [[3, 3, 3]]


def test_lower_score_that_touches_a_higher_one_is_left_out_whole_and_counted() -> None:
    better, touching, apart = _box((2, 2, 2), (6, 6, 4), 0.9), _box((6, 6, 4), (9, 9, 6), 0.8), _box((7, 2, 2), (10, 6, 4), 0.7)
    painted = paint_boxes([apart, touching, better], SHAPE)
    assert set(np.unique(painted.detection_map)) == {np.float32(0), np.float32(0.9), np.float32(0.7)}
    assert painted.left_out == {"touches_a_better_one": 1}
    assert paint_boxes([_box((40, 40, 1), (44, 44, 2), 0.5), _box((1, 1, 1), (2, 2, 2), 0.0)], SHAPE).left_out == {
        "outside": 1,
        "score_zero": 1,
    }


corners = st.tuples(st.floats(-4, 30), st.floats(-4, 30), st.floats(-2, 8))
sides = st.tuples(st.floats(0.2, 12), st.floats(0.2, 12), st.floats(0.2, 5))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(corners, sides, st.floats(0.01, 1)), max_size=8), st.booleans())
def test_painted_map_has_one_component_a_score_whatever_the_boxes(boxes: list[tuple], as_ellipsoids: bool) -> None:  # type: ignore[type-arg]
    candidates = [_box(start, tuple(a + side for a, side in zip(start, own, strict=True)), score) for start, own, score in boxes]
    painted = (paint_ellipsoids if as_ellipsoids else paint_boxes)(candidates, SHAPE)
    components, count = ndimage.label(painted.detection_map, structure=np.ones((3, 3, 3)))
    assert count + sum(painted.left_out.values()) == len(candidates)
    for number in range(1, count + 1):
        assert len(np.unique(painted.detection_map[components == number])) == 1


def test_ellipsoid_lies_in_its_box_and_holds_pi_sixths_of_a_large_one() -> None:
    box = _box((2, 3, 0), (30, 27, 8), 0.5)
    ellipsoid, whole = paint_ellipsoids([box], SHAPE).detection_map > 0, paint_boxes([box], SHAPE).detection_map > 0
    assert not (ellipsoid & ~whole).any()
    assert ellipsoid.sum() / whole.sum() == pytest.approx(np.pi / 6, rel=0.05)


def test_flat_image_is_a_volume_of_one_slice() -> None:
    painted = paint_boxes([_box((2, 5), (6, 8), 0.5)], (1, 20, 30)).detection_map
    assert painted.shape == (1, 20, 30)
    assert (painted[0, 5:8, 2:6] == 0.5).all()
    assert np.count_nonzero(painted) == 12
    assert box_array([], 2).shape == (0, 2, 2)
