"""Labelling, rule by rule: frames, centre, size, class, negatives, conflicts, counting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postprocessing import Config, PatientStage, curate
from weakbox.imaging.boxes import box_around
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, CoordinateSystem, Guidance, Segmentation, SegmentationKind
from weakbox.records.case import Case, Lesion, Link, LinkKind, MatchedCase, Outcome
from weakbox.records.extraction import ExtractionStatus, Finding, Flag, ReportExtraction, Specimen
from weakbox.records.grid import Grid, Point
from weakbox.records.imaging import ImagingStudy, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.label import CuratedCase, Decision, Exclusion, LesionStatus, ReviewDecision, Tier, WeakLabel
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.runtime.codec import write_records
from weakbox.runtime.stage import check_flow

FRAME = "1.2.3"
GRID = Grid.from_matrix([[0.5, 0, 0, -79.75], [0, 0.5, 0, -59.75], [0, 0, 3.0, -70.0], [0, 0, 0, 1]], (320, 320, 30), FRAME)
POINT: Point = (15.0, 28.0, -25.0)


def say(value: FieldValue, confidence: float = 0.9) -> Stated[FieldValue]:
    return Stated(value=value, evidence=(Span(start=3, end=7),), source="rules", confidence=confidence)


def finding(**values: FieldValue) -> Finding:
    return Finding(item_id="R/0", report_id="R", index=0, values={name: say(value) for name, value in values.items()})


def specimen(index: int, **values: FieldValue) -> Specimen:
    return Specimen(item_id=f"P/{index}", report_id="P", index=index, values={name: say(value) for name, value in values.items()})


def target(position: Point | None = POINT, **more: Any) -> BiopsyTarget:
    given = {"frame_of_reference_uid": FRAME, "study_uid": "S", "label": "1"} | more
    return BiopsyTarget(target_id="T", patient_id="p", position=position, **given)


def core(grade: int | None, tip: Point = (15.0, 30.0, -15.0), base: Point = (15.0, 26.0, -35.0), **more: Any) -> BiopsyCore:
    given = {"core_id": "C", "label": "TARGET", "is_targeted": True, "frame_of_reference_uid": FRAME, "study_uid": "S"} | more
    return BiopsyCore(patient_id="p", tip=tip, base=base, isup_grade=grade, **given)


def mask(kind: SegmentationKind = SegmentationKind.LESION, **more: Any) -> Segmentation:
    is_gland = kind is SegmentationKind.GLAND
    given: dict[str, Any] = {"frame_of_reference_uid": FRAME, "study_uid": "S"} | more
    return Segmentation(
        segmentation_id="G" if is_gland else "M", patient_id="p", kind=kind, label=None, path="m.nii.gz", segment_number=1,
        centroid=(0.0, 20.0, -25.0) if is_gland else POINT,
        corner=(-27.0, 0.0, -50.0) if is_gland else (10.25, 24.25, -32.5),
        edges=((54.0, 0.0, 0.0), (0.0, 40.0, 0.0), (0.0, 0.0, 50.0)) if is_gland else ((9.0, 0.0, 0.0), (0.0, 7.0, 0.0), (0.0, 0.0, 15.0)),
        volume_ml=56.0, **given,
    )  # fmt: skip


def study() -> ImagingStudy:
    def series(uid: str, role: SeriesRole, frame: str | None) -> Series:
        return Series(
            series_uid=uid, study_uid="S", role=role, role_confidence=1.0, role_reason="test", frame_of_reference_uid=frame,
            grid=replace(GRID, frame_of_reference_uid=frame),
        )  # fmt: skip

    choice = SeriesChoice(purpose=Purpose.T2W, series_key="T2", reason="test")
    every = (series("T2", SeriesRole.T2W, FRAME), series("ADC", SeriesRole.ADC, FRAME), series("MOVED", SeriesRole.OTHER, "9.9"))
    return ImagingStudy(study_uid="S", patient_id="p", study_date=date(2024, 1, 1), series=every, choices=(choice,))


def radiology(*findings: Finding, flags: tuple[Flag, ...] = (), **exam: FieldValue) -> ReportExtraction:
    return ReportExtraction(
        report_id="R", patient_id="p", report_type=ReportType.RADIOLOGY, organ="prostate", status=ExtractionStatus.OK,
        exam={f"exam.{name}": say(value) for name, value in exam.items()}, findings=findings, flags=flags,
    )  # fmt: skip


def pathology(*specimens: Specimen, **exam: FieldValue) -> ReportExtraction:
    return ReportExtraction(
        report_id="P", patient_id="p", report_type=ReportType.PATHOLOGY, organ="prostate", status=ExtractionStatus.OK,
        exam={name.replace("__", "."): say(value) for name, value in exam.items()}, specimens=specimens,
    )  # fmt: skip


def case_of(*lesions: Lesion, **more: Any) -> MatchedCase:
    given: dict[str, Any] = {"case_id": "S", "patient_id": "p", "study": study()} | more
    return MatchedCase(case=Case(**given), lesions=lesions)


def lesion(lesion_id: str = "L", **more: Any) -> Lesion:
    return Lesion(lesion_id=lesion_id, case_id="S", **more)


def curated(matched: MatchedCase, config: Config | None = None, decisions: tuple[ReviewDecision, ...] = ()) -> CuratedCase:
    outcome, _ = curate(matched, decisions, config or Config())
    assert isinstance(outcome, CuratedCase)
    return outcome


def label_of(held: Lesion, config: Config | None = None, **more: Any) -> WeakLabel:
    (label,) = curated(case_of(held, **more), config).labels
    return label


def dropped(matched: MatchedCase, config: Config | None = None) -> dict[str, str]:
    _, ledger = curate(matched, (), config or Config())
    return {entry.item_id: entry.reason for entry in ledger if entry.outcome is Outcome.DROPPED}


# Rule 1: frames.


def test_rule_1_an_equal_frame_places_the_point() -> None:
    label = label_of(lesion(target=target()))
    assert label.box is not None
    assert label.box.centre == pytest.approx(POINT)
    assert label.tier is Tier.BIOPSY_COORDINATE
    assert label.conflicts == ()


def test_rule_1_another_frame_places_nothing_and_says_so() -> None:
    label = label_of(lesion(target=target(frame_of_reference_uid="9.9")))
    assert label.box is None
    assert label.tier is Tier.CASE_LEVEL
    assert label.conflicts == ("frame_mismatch",)
    assert label.needs_review


def test_rule_1_a_named_series_lends_its_frame_where_the_source_states_none() -> None:
    same = label_of(lesion(target=target(frame_of_reference_uid=None, study_uid=None, series_uid="ADC")))
    moved = label_of(lesion(target=target(frame_of_reference_uid=None, study_uid=None, series_uid="MOVED")))
    lost = label_of(lesion(target=target(frame_of_reference_uid=None, study_uid=None, series_uid="elsewhere")))
    assert same.box is not None
    assert same.conflicts == ()
    assert (moved.box, moved.conflicts) == (None, ("frame_mismatch",))
    assert (lost.box, lost.conflicts) == (None, ("series_not_found",))


def test_rule_1_an_unstated_frame_is_flagged_and_lowers_the_confidence_or_is_excluded() -> None:
    unstated = lesion(target=target(frame_of_reference_uid=None, study_uid=None))
    flagged, known = label_of(unstated), label_of(lesion(target=target()))
    assert flagged.box is not None
    assert flagged.conflicts == ("frame_unstated",)
    assert flagged.confidence < known.confidence
    assert label_of(unstated, Config(frame_unstated="exclude")).box is None
    assert label_of(unstated, diagnostic_study_count=2).box is None


def test_rule_1_voxel_indices_need_the_grid_of_their_series() -> None:
    given = {"coordinate_system": CoordinateSystem.IJK, "frame_of_reference_uid": None}
    index = tuple(float(v) for v in GRID.to_index(POINT))
    placed = label_of(lesion(target=target(index, series_uid="ADC", **given)))  # type: ignore[arg-type]
    assert placed.box is not None
    assert placed.box.centre == pytest.approx(POINT)
    assert label_of(lesion(target=target(index, **given))).conflicts == ("indices_without_grid",)  # type: ignore[arg-type]


# Rule 2: centre.


def test_rule_2_a_mask_counts_before_a_coordinate_and_its_box_is_its_extent() -> None:
    label = label_of(lesion(target=target((0.0, 20.0, -25.0)), segmentation=mask(), finding=finding(max_diameter_mm=40.0)))
    assert label.box is not None
    assert label.centre_source == "segmentation"
    assert label.size_source == "segmentation_extent"
    assert label.box.size_mm == pytest.approx((9.0, 7.0, 15.0))
    assert label.tier is Tier.TARGET_ROI
    assert label_of(lesion(segmentation=mask())).tier is Tier.EXPERT


def test_rule_2_without_coordinate_the_middle_of_the_worst_positive_core_counts() -> None:
    worst = core(3, core_id="C2", tip=(-10.0, 30.0, -15.0), base=(-10.0, 26.0, -35.0), cancer_length_mm=6.0)
    label = label_of(lesion(target=target(None), cores=(core(1), worst)))
    assert label.box is not None
    assert label.box.centre == pytest.approx((-10.0, 28.0, -25.0))
    assert label.tier is Tier.BIOPSY_CORE
    assert label.box.uncertainty_mm == pytest.approx(np.hypot(5.0, (np.hypot(4.0, 20.0) - 6.0) / np.sqrt(12.0)))


def test_rule_2_a_benign_core_is_no_centre() -> None:
    assert label_of(lesion(target=target(None), cores=(core(0),))).box is None


def test_rule_2_the_sector_of_the_report_is_the_last_resort() -> None:
    label = label_of(lesion(finding=finding(pirads=4, side="left", zone="PZ", levels=("mid",))), gland=mask(SegmentationKind.GLAND))
    assert label.box is not None
    assert label.tier is Tier.REPORT_SECTOR
    assert label.box.uncertainty_mm == 8.0
    assert label.box.centre[0] > 5.0
    assert label.centre_source == "sector_gland_mask"
    assert label_of(lesion(finding=finding(pirads=4, side="left", zone="PZ"))).centre_source == "sector_prior"


def test_rule_2_without_any_place_there_is_a_label_and_no_box() -> None:
    label = label_of(lesion(finding=finding(pirads=4)))
    assert (label.box, label.tier, label.size_source) == (None, Tier.CASE_LEVEL, None)


# Rule 3: size.


def test_rule_3_named_axes_then_target_diameter_then_reported_sizes_then_volume_then_default() -> None:
    def sized(held: BiopsyTarget, **words: FieldValue) -> tuple[str | None, tuple[float, ...]]:
        label = label_of(lesion(target=held, finding=finding(**words) if words else None))
        assert label.box is not None
        return label.size_source, tuple(round(side, 6) for side in label.box.size_mm)

    reported: dict[str, FieldValue] = {"size_mm": (10.0, 20.0, 15.0), "max_diameter_mm": 20.0}
    assert sized(target(axes_mm=(11.0, 7.0, 9.0), diameter_mm=30.0), **reported) == ("target_axes", (11.0, 7.0, 9.0))
    assert sized(target(diameter_mm=10.0), **reported) == ("target_diameter", (9.5, 8.5, 8.5))
    assert sized(target(), **reported) == ("reported_axes", (20.0, 10.0, 15.0))
    assert sized(target(), size_mm=(8.0, 10.0)) == ("reported_axes", (10.0, 8.0, 8.5))
    assert sized(target(), size_mm=(20.0,), max_diameter_mm=20.0) == ("reported_diameter", (19.0, 17.0, 17.0))
    assert sized(target(volume_ml=np.pi / 6.0)) == ("target_volume", (10.0, 10.0, 10.0))
    assert sized(target()) == ("default", (12.0, 12.0, 12.0))


def test_rule_3_a_diameter_counts_before_a_volume_and_the_default_can_be_chosen() -> None:
    held = lesion(target=target(volume_ml=9.0), finding=finding(max_diameter_mm=10.0))
    assert label_of(held).size_source == "reported_diameter"
    label = label_of(lesion(target=target()), Config(default_diameter_mm=15.0))
    assert label.box is not None
    assert label.box.size_mm == pytest.approx((15.0, 15.0, 15.0))


@pytest.mark.parametrize(
    ("guidance", "error"), [(Guidance.FUSION, 3.0), (Guidance.IN_BORE, 2.5), (Guidance.COGNITIVE, 5.0), (Guidance.UNKNOWN, 5.0)]
)
def test_rule_3_the_registration_error_is_stated_and_never_padded(guidance: Guidance, error: float) -> None:
    label = label_of(lesion(target=target(guidance=guidance)))
    assert label.box is not None
    assert label.box.uncertainty_mm == error
    assert label.box.size_mm == pytest.approx((12.0, 12.0, 12.0))


# Rule 4: class.


def test_rule_4_the_worst_specimen_of_the_target_gives_the_class_and_the_others_vote() -> None:
    held = (
        specimen(0, target="1", diagnosis="adenocarcinoma", isup_grade=2),
        specimen(1, target="1", diagnosis="adenocarcinoma", isup_grade=4, gleason_primary=4, gleason_secondary=4),
        specimen(2, target="1", diagnosis="benign"),
    )
    label = label_of(lesion(target=target(), specimens=held))
    assert (label.status, label.isup_grade, label.is_clinically_significant) == (LesionStatus.CANCER, 4, True)
    assert (label.gleason_primary, label.gleason_secondary, label.class_source) == (4, 4, "pathology")
    assert [vote.value for vote in label.votes if vote.aspect == "class"] == [2, 4, 0]


def test_rule_4_isup_follows_from_the_gleason_patterns_where_it_is_not_stated() -> None:
    held = specimen(0, target="1", diagnosis="adenocarcinoma", gleason_primary=4, gleason_secondary=3)
    assert label_of(lesion(target=target(), specimens=(held,))).isup_grade == 3


def test_rule_4_grade_group_1_is_cancer_that_is_not_clinically_significant() -> None:
    label = label_of(lesion(target=target(), specimens=(specimen(0, target="1", diagnosis="adenocarcinoma", isup_grade=1),)))
    assert (label.status, label.isup_grade, label.is_clinically_significant) == (LesionStatus.CANCER, 1, False)


def test_rule_4_a_benign_targeted_biopsy_of_a_reported_lesion_is_a_kept_false_positive() -> None:
    held = lesion(target=target(), finding=finding(pirads=5, side="left"), specimens=(specimen(0, target="1", diagnosis="benign"),))
    label = label_of(held)
    assert (label.status, label.isup_grade, label.is_clinically_significant, label.pirads) == (LesionStatus.BENIGN, None, False, 5)
    assert label.box is not None


def test_rule_4_insufficient_tissue_is_no_class() -> None:
    label = label_of(lesion(target=target(), specimens=(specimen(0, target="1", diagnosis="insufficient"),)))
    assert label.status is LesionStatus.UNTESTED


def test_rule_4_ungraded_cancer_is_cancer_without_a_grade() -> None:
    label = label_of(lesion(target=target(), specimens=(specimen(0, target="1", diagnosis="adenocarcinoma"),)))
    assert (label.status, label.isup_grade, label.is_clinically_significant) == (LesionStatus.CANCER, None, None)


def test_rule_4_without_tissue_the_label_is_imaging_only() -> None:
    label = label_of(lesion(target=target(pirads=4)))
    assert (label.status, label.pirads, label.class_source) == (LesionStatus.UNTESTED, 4, "pirads")


def test_rule_4_a_sheet_that_knows_only_significance_gives_it() -> None:
    yes, no = (label_of(lesion(target=target(is_clinically_significant=value))) for value in (True, False))
    assert (yes.status, yes.isup_grade, yes.is_clinically_significant) == (LesionStatus.CANCER, None, True)
    assert (no.status, no.is_clinically_significant) == (LesionStatus.NOT_SIGNIFICANT, False)


def test_rule_4_the_report_counts_before_the_sheet_and_their_disagreement_is_shown() -> None:
    label = label_of(lesion(target=target(isup_grade=1), specimens=(specimen(0, target="1", diagnosis="adenocarcinoma", isup_grade=3),)))
    assert label.isup_grade == 3
    assert label.conflicts == ("grade_conflict",)


# Rule 5: negatives.

BENIGN = pathology(specimen(0, side="left", diagnosis="benign"), cancer_present=False)


def test_rule_5_no_lesion_and_benign_tissue_is_a_negative_with_its_reason() -> None:
    found = curated(case_of(radiology=(radiology(pirads=2),), pathology=(BENIGN,)))
    assert (found.labels, found.negative_reason) == ((), "no_lesion_reported_and_benign_tissue")
    assert found.is_clinically_significant is False


def test_rule_5_no_lesion_and_no_later_cancer_is_a_negative_that_says_how_long_it_was_followed() -> None:
    found = curated(case_of(radiology=(radiology(),), days_followed=400, cancer_days=(366,)))
    assert found.negative_reason == "no_lesion_reported_followed_400_days"
    assert found.is_clinically_significant is None


@pytest.mark.parametrize(("days", "conflict"), [(365, "cancer_within_follow_up"), (-30, "cancer_in_history")])
def test_rule_5_cancer_within_the_window_or_in_the_history_is_no_negative(days: int, conflict: str) -> None:
    found = curated(case_of(radiology=(radiology(),), days_followed=400, cancer_days=(days,)))
    assert found.negative_reason is None
    assert conflict in found.conflicts


def test_rule_5_a_score_without_a_lesion_is_no_negative() -> None:
    found = curated(case_of(radiology=(radiology(pirads=4),)))
    assert found.negative_reason is None
    assert found.conflicts == ("score_without_lesion",)
    assert found.needs_review


def test_rule_5_cancer_in_systematic_cores_only_is_a_case_level_grade_and_no_negative() -> None:
    tissue = pathology(specimen(0, side="left", levels=("mid",), diagnosis="adenocarcinoma", isup_grade=3))
    found = curated(case_of(radiology=(radiology(),), pathology=(tissue,)))
    assert (found.labels, found.case_isup_grade, found.is_clinically_significant, found.negative_reason) == ((), 3, True, None)
    cores = curated(case_of(radiology=(radiology(),), cores=(core(2, is_targeted=False, label="LEFT BASE"),)))
    assert (cores.case_isup_grade, cores.negative_reason) == (2, None)


def test_rule_5_a_low_score_alone_is_no_lesion_and_the_study_is_a_negative() -> None:
    matched = case_of(lesion(finding=finding(pirads=2, side="left")), radiology=(radiology(pirads=2),))
    assert dropped(matched) == {"L": "below_minimum_pirads"}
    assert curated(matched).negative_reason == "no_lesion_reported_followed_0_days"
    assert curated(matched, Config(minimum_follow_up_days=90)).negative_reason is None


def test_rule_5_a_low_score_that_was_sampled_is_a_label() -> None:
    held = lesion(finding=finding(pirads=2, lesion_id="1"), specimens=(specimen(0, target="1", diagnosis="adenocarcinoma", isup_grade=2),))
    assert label_of(held).isup_grade == 2


# Rule 6: one lesion, one label.


def test_rule_6_a_contested_finding_is_withheld_until_a_reader_decides_and_the_case_is_no_negative() -> None:
    held = lesion(finding=finding(pirads=4, side="left", zone="PZ"), conflicts=("contested_finding",))
    matched = case_of(held, radiology=(radiology(pirads=4),))
    assert dropped(matched) == {"L": "contested_finding"}
    assert curated(matched).needs_review
    assert curated(matched).negative_reason is None
    assert len(curated(matched, Config(contested_findings="keep")).labels) == 1
    assert len(curated(matched, decisions=(decision(Decision.ACCEPTED),)).labels) == 1


# Rule 7: conflicts.


def test_rule_7_the_side_of_the_report_against_the_side_of_the_coordinate_is_shown_and_lowers_the_confidence() -> None:
    wrong, right = (
        label_of(lesion(target=target(), finding=finding(side=side, pirads=4)), gland=mask(SegmentationKind.GLAND))
        for side in ("right", "left")
    )
    assert wrong.conflicts == ("side_of_coordinate",)
    assert wrong.needs_review
    assert wrong.confidence == pytest.approx(0.7 * right.confidence)
    assert not right.needs_review


def test_rule_7_a_coordinate_next_to_the_midline_contradicts_no_side() -> None:
    label = label_of(lesion(target=target((4.0, 28.0, -25.0)), finding=finding(side="right")), gland=mask(SegmentationKind.GLAND))
    assert label.conflicts == ()


def test_rule_7_a_point_outside_the_image_has_no_box_and_is_not_moved_into_it() -> None:
    matched = case_of(
        lesion(target=target((200.0, 28.0, -25.0)), finding=finding(side="left", zone="PZ", pirads=5)), radiology=(radiology(),)
    )
    assert dropped(matched) == {"L": "outside_image"}
    assert curated(matched).negative_reason is None
    assert curated(matched).needs_review


def test_rule_7_a_point_far_outside_the_gland_is_a_conflict() -> None:
    far, near = ((POINT[0] + offset, POINT[1], POINT[2]) for offset in (25.0, 15.0))
    gland = mask(SegmentationKind.GLAND)
    assert label_of(lesion(target=target(far)), gland=gland).conflicts == ("outside_gland",)
    assert label_of(lesion(target=target(near)), gland=gland).conflicts == ()
    assert label_of(lesion(target=target(far))).conflicts == ()


def test_rule_7_a_size_that_its_zone_cannot_hold_is_a_conflict() -> None:
    label = label_of(lesion(target=target(), finding=finding(zone="CZ", max_diameter_mm=44.0)))
    assert label.conflicts == ("size_against_zone",)


def test_rule_7_findings_against_impression_is_a_conflict_of_that_lesion_only() -> None:
    flags = (Flag(path="lesions[0].side", code="conflict"),)
    label = label_of(lesion(finding=finding(pirads=4)), radiology=(radiology(flags=flags),))
    assert label.conflicts == ("report_conflict",)
    other = (Flag(path="lesions[1].side", code="conflict"),)
    assert label_of(lesion(finding=finding(pirads=4)), radiology=(radiology(flags=other),)).conflicts == ()


# Rule 8: everything is counted.


def test_rule_8_every_case_and_lesion_goes_on_or_is_dropped_with_a_reason(tmp_path: Path) -> None:
    matched = [
        case_of(lesion("a", target=target()), lesion("b", target=target((500.0, 0.0, 0.0))), lesion("c", finding=finding(pirads=1))),
        case_of(case_id="empty"),
        case_of(lesion("d", target=target()), case_id="no_t2", study=replace(study(), choices=())),
    ]
    output = PatientStage(Config(), tmp_path / "none.jsonl")("p", matched)
    check_flow("postprocessing", output)
    assert output.entered == {"case": 3, "lesion": 4}
    assert output.left == {"case": 1, "lesion": 1}
    assert {record.reason for record in output.records if isinstance(record, Exclusion)} == {"nothing_known", "no_reference_series"}


def test_tiers_and_confidences_that_are_not_wanted_are_dropped_with_their_reason() -> None:
    matched = case_of(lesion(target=target()))
    assert dropped(matched, Config(tiers=(Tier.EXPERT,))) == {"L": "tier_not_wanted"}
    assert dropped(matched, Config(minimum_confidence=0.95)) == {"L": "low_confidence"}


# Review.


def decision(kind: Decision, second: int = 0, **more: Any) -> ReviewDecision:
    return ReviewDecision(
        label_id="L", case_id="S", decision=kind, reader="reader-1", decided_at=datetime(2024, 5, 1, 12, 0, second, tzinfo=UTC), **more
    )


def test_a_readers_box_and_grade_win_over_every_other_vote() -> None:
    box = box_around((0.0, 20.0, -25.0), (9.0, 9.0, 9.0), GRID, "T2", 0.0)
    held = case_of(lesion(target=target(), specimens=(specimen(0, target="1", diagnosis="benign"),)))
    (label,) = curated(held, decisions=(decision(Decision.ADJUSTED, box=box, isup_grade=3),)).labels
    assert (label.box, label.isup_grade, label.status, label.class_source) == (box, 3, LesionStatus.CANCER, "review")
    assert not label.needs_review
    assert label.votes[-1].voter == "reader-1"


def test_a_rejected_label_is_dropped_and_the_latest_decision_counts(tmp_path: Path) -> None:
    held = case_of(lesion(target=target()))
    rejected, accepted = decision(Decision.REJECTED, 1), decision(Decision.ACCEPTED, 2)
    assert curated(held, decisions=(rejected,)).labels == ()
    assert len(curated(held, decisions=(accepted, rejected)).labels) == 1
    write_records(tmp_path / "decisions.jsonl", [accepted, replace(rejected, decided_at=datetime(2024, 6, 1, tzinfo=UTC))])
    output = PatientStage(Config(), tmp_path / "decisions.jsonl")("p", [held])
    assert [entry.reason for entry in output.ledger] == ["rejected_by_reader"]


def test_a_reader_can_place_a_lesion_whose_point_lies_outside_the_image() -> None:
    box = box_around((0.0, 20.0, -25.0), (9.0, 9.0, 9.0), GRID, "T2", 0.0)
    held = case_of(lesion(target=target((500.0, 0.0, 0.0))))
    (label,) = curated(held, decisions=(decision(Decision.ADJUSTED, box=box),)).labels
    assert (label.box, label.tier) == (box, Tier.EXPERT)


# Confidence and the case.


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_confidence_rises_with_the_links_and_the_readings(first: float, second: float, read: float, reread: float) -> None:
    def confidence(link: float, reading: float) -> float:
        values = {"side": say("left", reading), "pirads": say(4, 1.0)}
        item = Finding(item_id="R/0", report_id="R", index=0, values=values)
        links = (Link(kind=LinkKind.FINDING_TARGET, left_id="R/0", right_id="T", score=link, reason="test"),)
        return label_of(lesion(finding=item, target=target(), links=links), Config(minimum_confidence=0.0)).confidence

    low, high = sorted((first, second)), sorted((read, reread))
    assert confidence(low[0], high[0]) <= confidence(low[1], high[1])


def test_a_better_tier_is_surer() -> None:
    held = [lesion(segmentation=mask()), lesion(target=target(), segmentation=mask()), lesion(target=target())]
    held += [
        lesion(target=target(None), cores=(core(2),)),
        lesion(target=target(None, location="left mid PZ")),
        lesion(target=target(None)),
    ]
    confidences = [label_of(each).confidence for each in held]
    assert confidences == sorted(confidences, reverse=True)
    assert len(set(confidences)) == len(confidences)


def test_clinical_values_come_from_the_report_that_counts_with_their_words() -> None:
    first, second = radiology(psa_ng_ml=7.8, epe="suspected"), replace(radiology(psa_ng_ml=5.0, prostate_volume_ml=52.0), report_id="R2")
    found = curated(case_of(radiology=(first, second)))
    assert found.clinical == {"psa_ng_ml": 7.8, "epe": "suspected", "prostate_volume_ml": 52.0}
    assert {(each.record_id, each.field) for each in found.clinical_evidence} == {
        ("R", "psa_ng_ml"),
        ("R", "epe"),
        ("R2", "prostate_volume_ml"),
    }
    assert all(each.span == Span(start=3, end=7) for each in found.clinical_evidence)


def test_a_case_is_as_good_as_its_weakest_label() -> None:
    held = case_of(lesion("a", target=target()), lesion("b", finding=finding(pirads=4, side="right", zone="TZ")))
    assert curated(held).tier is Tier.REPORT_SECTOR


def test_a_label_carries_the_words_and_rows_behind_it() -> None:
    label = label_of(lesion(target=target(), finding=finding(side="left"), specimens=(specimen(0, target="1", diagnosis="benign"),)))
    assert {(each.record_id, each.field) for each in label.evidence} == {("R", "side"), ("P", "diagnosis"), ("P", "target"), ("T", "row")}
