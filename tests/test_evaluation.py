"""The evaluation gives 1.0 to a perfect run, and sees each fault for what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.audit.cohort_truth import CohortTruth, read_truth
from weakbox.audit.evaluation import EvaluatedCase, EvaluatedItem, EvaluatedLabel, EvaluatedRun, box_overlap, evaluate, run_from_records
from weakbox.audit.intervals import proportion, statistic, wilson
from weakbox.records.biopsy import BiopsyTarget
from weakbox.records.case import Case, Lesion, MatchedCase
from weakbox.records.errors import InputError
from weakbox.records.extraction import Finding, Specimen
from weakbox.records.imaging import ImagingStudy
from weakbox.records.label import Box, CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import Span, Stated
from weakbox.simulate.cohort import simulate

STATUS = {"cancer": LesionStatus.CANCER, "benign": LesionStatus.BENIGN}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("evaluated") / "cohort"
    simulate(place, patients=80, seed=21, registration_error_mm=3.0, with_images=False)
    return place / "truth"


@pytest.fixture(scope="module")
def truth(folder: Path) -> CohortTruth:
    return read_truth(folder)


@pytest.fixture(scope="module")
def perfect(folder: Path, truth: CohortTruth) -> EvaluatedRun:
    """What a faultless run makes: a label for every described lesion, every record in its place."""
    lesions = [json.loads(line) for line in (folder / "lesions.jsonl").read_text().splitlines()]
    labels = tuple(perfect_label(truth, row) for row in lesions if row["is_visible"] and (row["findings"] or row["targets"]))
    cases = tuple(
        EvaluatedCase(study_uid=uid, is_negative=not case["case_isup_grade"] and not case["visible_lesions"])
        for uid, case in truth.cases.items()
    )
    return EvaluatedRun(labels=labels, cases=cases)


def perfect_label(truth: CohortTruth, row: dict[str, Any]) -> EvaluatedLabel:
    is_sampled = any(entry["is_targeted"] for entry in row["specimens"])
    return EvaluatedLabel(
        label_id=f"{row['study_uid']}/{row['lesion_id']}",
        patient_id=row["patient_id"],
        study_uid=row["study_uid"],
        status=STATUS[row["status"]] if is_sampled else LesionStatus.UNTESTED,
        isup_grade=row["isup_grade"] or None if is_sampled else None,
        side=row["side"],
        tier="biopsy_coordinate" if row["targets"] else "report_sector",
        corners=tuple(tuple(corner) for corner in row["box_corners_lps"]),
        finding=item(truth, row["findings"][-1]) if row["findings"] else None,
        target_row=row["targets"][0]["row"] if row["targets"] else None,
        specimens=tuple(item(truth, entry) for entry in row["specimens"] if entry["is_targeted"]),
    )


def item(truth: CohortTruth, entry: dict[str, Any]) -> EvaluatedItem:
    true_item = truth.items[entry["report_id"]][entry["index"]]
    return EvaluatedItem(report_id=entry["report_id"], index=entry["index"], ranges=true_item.ranges)


def changed(run: EvaluatedRun, label: EvaluatedLabel, **changes: Any) -> EvaluatedRun:
    return replace(run, labels=tuple(replace(each, **changes) if each is label else each for each in run.labels))


def test_a_perfect_run_is_perfect(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    evaluation = evaluate(perfect, truth)
    imperfect = {"lesion_yield", "centre_error_mean", "centre_error_median", "centre_error_p95"}
    for figure in evaluation.figures:
        name = figure.name.rpartition(":")[2]
        if name.startswith("centre_error"):
            assert figure.value == pytest.approx(0.0, abs=2e-3)
        elif name not in imperfect:
            assert figure.value == 1.0, figure
        assert figure.count > 0
        assert figure.low is not None
        assert figure.low <= (figure.value or 0.0) + 1e-9
    assert 0.9 < (evaluation.figure("lesion_yield").value or 0.0) <= 1.0


def test_truth_folder_and_loaded_truth_give_the_same(perfect: EvaluatedRun, folder: Path, truth: CohortTruth) -> None:
    assert evaluate(perfect, folder).as_json() == evaluate(perfect, truth).as_json()


def test_a_missing_lesion_lowers_recall_alone(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    less = evaluate(replace(perfect, labels=perfect.labels[1:]), truth)
    count = less.figure("lesion_recall").count
    assert less.figure("lesion_recall").value == pytest.approx((count - 1) / count)
    assert less.figure("lesion_precision").value == 1.0
    assert less.figure("class_accuracy").value == 1.0


def test_a_second_label_of_one_lesion_is_false(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    again = replace(perfect.labels[0], label_id="zz")
    more = evaluate(replace(perfect, labels=(*perfect.labels, again)), truth)
    count = len(perfect.labels) + 1
    assert more.figure("lesion_precision").value == pytest.approx((count - 1) / count)
    assert more.figure("lesion_recall").value == 1.0


def test_a_label_at_another_study_is_false(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    elsewhere = next(label for label in perfect.labels if label.study_uid != perfect.labels[0].study_uid)
    moved = evaluate(changed(perfect, perfect.labels[0], study_uid=elsewhere.study_uid), truth)
    count = len(perfect.labels)
    assert moved.figure("lesion_precision").value == pytest.approx((count - 1) / count)
    assert moved.figure("lesion_recall").hits == count - 1


def test_swapped_classes_are_counted(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    cancer = next(label for label in perfect.labels if label.isup_grade == 2)
    benign = next(label for label in perfect.labels if label.status is LesionStatus.BENIGN)
    swapped = changed(perfect, cancer, status=LesionStatus.BENIGN, isup_grade=None)
    swapped = changed(swapped, benign, status=LesionStatus.CANCER, isup_grade=2)
    figures = evaluate(swapped, truth)
    right = evaluate(perfect, truth)
    assert figures.figure("class_accuracy").hits == (right.figure("class_accuracy").hits or 0) - 2
    assert figures.figure("significance_accuracy").hits == (right.figure("significance_accuracy").hits or 0) - 2
    assert figures.figure("lesion_recall").value == 1.0


def test_a_grade_off_by_one_is_wrong_but_may_stay_significant(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    cancer = next(label for label in perfect.labels if label.isup_grade == 2)
    figures = evaluate(changed(perfect, cancer, isup_grade=3), truth)
    assert (figures.figure("class_accuracy").value or 0) < 1.0
    assert figures.figure("significance_accuracy").value == 1.0


def test_a_flipped_side_is_counted(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    label = next(label for label in perfect.labels if label.side == "left")
    figure = evaluate(changed(perfect, label, side="right"), truth).figure("side_accuracy")
    assert figure.hits == figure.count - 1


def test_tissue_of_another_lesion_is_a_wrong_link(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    first, second = [label for label in perfect.labels if label.specimens and label.finding and label.target_row][:2]
    crossed = changed(changed(perfect, first, specimens=second.specimens), second, specimens=first.specimens)
    figures = evaluate(crossed, truth)
    for name in ("finding-specimen", "target-specimen"):
        assert figures.figure(f"{name}_precision").hits == figures.figure(f"{name}_precision").count - 2
        assert figures.figure(f"{name}_recall").hits == figures.figure(f"{name}_recall").count - 2
    assert figures.figure("finding-target_precision").value == 1.0


def test_a_finding_is_known_by_its_words_not_by_its_place(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    several = next(label for label in perfect.labels if label.finding and len(truth.items[label.finding.report_id]) > 1)
    assert several.finding is not None
    moved = replace(several.finding, index=several.finding.index + 5)
    assert evaluate(changed(perfect, several, finding=moved), truth).as_json() == evaluate(perfect, truth).as_json()
    unknown = replace(several.finding, ranges=())
    assert evaluate(changed(perfect, several, finding=unknown), truth).figure("lesion_recall").value == 1.0


def test_moved_boxes_have_that_centre_error(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    def moved(label: EvaluatedLabel) -> EvaluatedLabel:
        return replace(label, corners=tuple((x + 3.0, y, z + 4.0) for x, y, z in label.corners or ()))

    figures = evaluate(replace(perfect, labels=tuple(map(moved, perfect.labels))), truth)
    assert figures.figure("centre_error_mean").value == pytest.approx(5.0, abs=2e-3)
    assert figures.figure("centre_error_p95").value == pytest.approx(5.0, abs=2e-3)
    hits = [figures.figure(f"box_hit_{least}").value or 0.0 for least in (0.1, 0.3, 0.5)]
    assert 1.0 > hits[0] > hits[1] > hits[2]


def test_labels_without_boxes_yield_nothing(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    bare = replace(perfect, labels=tuple(replace(label, corners=None) for label in perfect.labels))
    figures = evaluate(bare, truth)
    assert figures.figure("target_yield").value == 0.0
    assert figures.figure("lesion_recall").value == 1.0
    assert figures.figure("centre_error_mean").value is None
    assert "| centre_error_mean | - | - | 0 |" in figures.as_markdown()


def test_an_empty_run_has_no_recall_and_no_precision(truth: CohortTruth) -> None:
    figures = evaluate(EvaluatedRun(labels=(), cases=()), truth)
    assert figures.figure("lesion_recall").value == 0.0
    assert figures.figure("lesion_precision").value is None
    assert figures.figure("case_yield").value == 0.0


def test_order_of_labels_does_not_matter(perfect: EvaluatedRun, truth: CohortTruth) -> None:
    assert evaluate(replace(perfect, labels=perfect.labels[::-1]), truth).as_json() == evaluate(perfect, truth).as_json()


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lesions\.jsonl"):
        read_truth(tmp_path)


CORNERS = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(4, 30)] * 3), st.tuples(*[st.floats(4, 30)] * 3), st.tuples(*[st.floats(-12, 12)] * 3))
def test_overlap_of_aligned_boxes_is_the_exact_one(size: tuple[float, ...], other: tuple[float, ...], shift: tuple[float, ...]) -> None:
    one, two = CORNERS * size, CORNERS * other + shift
    sides = np.minimum(np.array(size), np.array(other) + shift) - np.maximum(0.0, shift)
    common = float(np.prod(np.clip(sides, 0.0, None)))
    exact = common / (np.prod(size) + np.prod(other) - common)
    assert box_overlap(one, two) == pytest.approx(exact, abs=0.06)


def test_overlap_of_an_oblique_box_with_itself_turned() -> None:
    angle = np.radians(45.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    cube = (CORNERS - 0.5) * 10.0
    common = 2 * (np.sqrt(2) - 1)
    assert box_overlap(cube @ turn.T, cube) == pytest.approx(common / (2 - common), abs=0.02)
    assert box_overlap(cube @ turn.T, cube @ turn.T) == pytest.approx(1.0, abs=1e-9)


def test_wilson_agrees_with_published_values() -> None:
    """Newcombe 1998, table I: 81/263 and 15/148."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    with pytest.raises(ValueError, match="hits <= count"):
        wilson(3, 2)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0.0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1.0


def test_bootstrap_resamples_patients_and_is_seeded() -> None:
    values = {f"P{i}": [float(i)] * 3 for i in range(30)}
    figure = statistic("mean", values, lambda each: float(np.mean(each)))
    assert figure == statistic("mean", dict(reversed(values.items())), lambda each: float(np.mean(each)))
    assert figure.value == pytest.approx(14.5)
    spread = 1.96 * np.std(range(30)) / np.sqrt(30)
    assert figure.low == pytest.approx(14.5 - spread, abs=0.7)
    assert figure.high == pytest.approx(14.5 + spread, abs=0.7)
    assert proportion("none", []).value is None


def test_labels_come_from_the_records_of_matching_and_postprocessing() -> None:
    side = Stated(value="left", evidence=(Span(start=4, end=8),), source="rules", confidence=1.0)
    finding = Finding(item_id="R1/0", report_id="R1", index=0, values={"side": side})
    specimen = Specimen(item_id="S1/2", report_id="S1", index=2)
    target = BiopsyTarget(target_id="T", patient_id="P", label="1", position=(1, 2, 3), source_file="targets.csv", source_row=7)
    other = replace(target, source_file="other.csv")
    study = ImagingStudy(study_uid="1.2", patient_id="P", study_date=date(2020, 1, 1))
    lesions = (
        Lesion(lesion_id="l1", case_id="1.2", finding=finding, target=target, specimens=(specimen,)),
        Lesion(lesion_id="l2", case_id="1.2", target=other),
    )
    box = Box(
        centre=(0, 0, 0),
        size_mm=(10, 10, 10),
        corners=tuple(tuple(corner) for corner in ((CORNERS - 0.5) * 10).tolist()),
        voxel_start=(0, 0, 0),
        voxel_stop=(1, 1, 1),
        reference_series_key="s",
        frame_of_reference_uid="f",
        uncertainty_mm=3.0,
    )
    labels = tuple(
        WeakLabel(
            label_id=f"{lesion.lesion_id}/label",
            lesion_id=lesion.lesion_id,
            case_id="1.2",
            status=LesionStatus.CANCER,
            isup_grade=2,
            side="left",
            box=box,
            tier=Tier.BIOPSY_COORDINATE,
        )
        for lesion in lesions
    )
    matched = MatchedCase(case=Case(case_id="1.2", patient_id="P", study=study), lesions=lesions)
    curated = CuratedCase(case_id="1.2", patient_id="P", dataset="d", organ="prostate", study=study, labels=labels, negative_reason=None)
    run = run_from_records([matched], [curated])
    first, second = run.labels
    assert first.finding == EvaluatedItem(report_id="R1", index=0, ranges=((4, 8),))
    assert first.specimens == (EvaluatedItem(report_id="S1", index=2),)
    assert (first.target_row, second.target_row) == (7, None)
    assert first.centre == (0.0, 0.0, 0.0)
    assert run.cases == (EvaluatedCase(study_uid="1.2", is_negative=False),)
