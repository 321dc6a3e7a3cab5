"""Rule 6: taking one record away never changes another lesion's label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import AMBIGUOUS_SYSTEMATIC, CONTESTED, Config, match_patient
from postprocessing import Config as LabelConfig
from postprocessing import curate
from weakbox.linking.assignment import assign
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation, SegmentationKind
from weakbox.records.case import Lesion, MatchedCase, PatientRecord
from weakbox.records.extraction import ExtractionStatus, Finding, Item, ReportExtraction, Specimen
from weakbox.records.grid import Grid
from weakbox.records.imaging import ImagingStudy, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.label import CuratedCase, WeakLabel
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Span, Stated

FRAME = "1.2.3"
GRID = Grid.from_matrix([[0.5, 0, 0, -79.75], [0, 0.5, 0, -59.75], [0, 0, 3.0, -70.0], [0, 0, 0, 1]], (320, 320, 30), FRAME)
LABELS = st.sampled_from([None, "1", "2", "ROI 1", "A"])
WORDS = {
    "side": st.sampled_from([None, "left", "left", "right", "midline"]),
    "zone": st.sampled_from([None, "PZ", "PZ", "TZ"]),
    "levels": st.sampled_from([None, ("mid",), ("mid",), ("base",), ("mid", "apex")]),
}
POINTS = st.none() | st.tuples(
    st.sampled_from([-16.0, -6.0, 6.0, 12.0, 17.0]), st.sampled_from([12.0, 28.0]), st.sampled_from([-38.0, -25.0])
)
SIZES = st.sampled_from([None, 9.0, 16.0])


def say(value: FieldValue) -> Stated[FieldValue]:
    return Stated(value=value, evidence=(Span(start=0, end=4),), source="rules", confidence=0.9)


def stated(**values: FieldValue | None) -> dict[str, Stated[FieldValue]]:
    return {name: say(value) for name, value in values.items() if value is not None}


@st.composite
def patients(draw: st.DrawFn) -> tuple[PatientRecord, dict[str, ReportExtraction]]:
    """A patient with one study, crowded on purpose: few places, few labels, so that records compete."""
    findings = [
        Finding(
            item_id=f"R/{index}", report_id="R", index=index,
            values=stated(lesion_id=draw(LABELS), max_diameter_mm=draw(SIZES), pirads=draw(st.sampled_from([None, 3, 4])), **words(draw)),
        )
        for index in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    targets = tuple(
        BiopsyTarget(
            target_id=f"T{index}", patient_id="p", label=draw(LABELS), position=draw(POINTS), study_uid="S", frame_of_reference_uid=FRAME,
            diameter_mm=draw(SIZES), isup_grade=draw(st.sampled_from([None, None, 0, 3])),
            location=draw(st.sampled_from([None, "left mid PZ", "right base TZ"])),
        )
        for index in range(draw(st.integers(0, 3)))
    )  # fmt: skip
    specimens = [
        Specimen(item_id=f"P/{index}", report_id="P", index=index, values=tissue_values(draw)) for index in range(draw(st.integers(0, 3)))
    ]
    cores = tuple(draw_core(draw, index) for index in range(draw(st.integers(0, 2))))
    masks = tuple(draw_mask(draw, index) for index in range(draw(st.integers(0, 1))))
    return assemble(findings, targets, specimens, cores, masks)


def tissue_values(draw: st.DrawFn) -> dict[str, Stated[FieldValue]]:
    target = draw(LABELS)
    is_targeted = True if target is not None else draw(st.sampled_from([None, False, True, True]))
    return stated(target=target, is_targeted=is_targeted, **words(draw), **diagnosis(draw))


def words(draw: st.DrawFn) -> dict[str, FieldValue | None]:
    return {name: draw(values) for name, values in WORDS.items()}


def diagnosis(draw: st.DrawFn) -> dict[str, FieldValue]:
    grade = draw(st.integers(0, 4))
    return {"diagnosis": "adenocarcinoma", "isup_grade": grade} if grade else {"diagnosis": "benign"}


def draw_core(draw: st.DrawFn, index: int) -> BiopsyCore:
    tip = draw(POINTS)
    return BiopsyCore(
        core_id=f"C{index}", patient_id="p", label=draw(st.sampled_from(["LEFT MID", "RIGHT BASE", "TARGET"])), study_uid="S",
        is_targeted=draw(st.sampled_from([True, True, False, None])), target_label=draw(st.sampled_from([None, None, "1", "2"])),
        tip=tip, base=(tip[0], tip[1] - 4.0, tip[2] + 15.0) if tip else None, frame_of_reference_uid=FRAME,
        isup_grade=draw(st.sampled_from([None, 0, 2, 4])),
    )  # fmt: skip


def draw_mask(draw: st.DrawFn, index: int) -> Segmentation:
    x, y, z = draw(POINTS.filter(lambda point: point is not None)) or (0.0, 0.0, 0.0)
    return Segmentation(
        segmentation_id=f"M{index}", patient_id="p", kind=SegmentationKind.LESION, label=draw(LABELS), path="m.nii.gz", segment_number=1,
        centroid=(x, y, z), corner=(x - 5, y - 4, z - 6), edges=((10.0, 0.0, 0.0), (0.0, 8.0, 0.0), (0.0, 0.0, 12.0)), volume_ml=0.5,
        frame_of_reference_uid=FRAME, study_uid="S",
    )  # fmt: skip


def assemble(
    findings: list[Finding],
    targets: tuple[BiopsyTarget, ...],
    specimens: list[Specimen],
    cores: tuple[BiopsyCore, ...],
    masks: tuple[Segmentation, ...],
) -> tuple[PatientRecord, dict[str, ReportExtraction]]:
    series = Series(
        series_uid="T2",
        study_uid="S",
        role=SeriesRole.T2W,
        role_confidence=1.0,
        role_reason="test",
        frame_of_reference_uid=FRAME,
        grid=GRID,
    )
    choice = SeriesChoice(purpose=Purpose.T2W, series_key="T2", reason="test")
    study = ImagingStudy(study_uid="S", patient_id="p", study_date=date(2024, 1, 1), series=(series,), choices=(choice,))
    reports = (
        Report(report_id="R", patient_id="p", report_type=ReportType.RADIOLOGY, text="x", exam_date=date(2024, 1, 1)),
        Report(report_id="P", patient_id="p", report_type=ReportType.PATHOLOGY, text="x", exam_date=date(2024, 2, 1)),
    )
    gland = Segmentation(
        segmentation_id="gland", patient_id="p", kind=SegmentationKind.GLAND, label="gland", path="g.nii.gz", segment_number=1,
        centroid=(0.0, 20.0, -25.0), corner=(-27.0, 0.0, -50.0), edges=((54.0, 0.0, 0.0), (0.0, 40.0, 0.0), (0.0, 0.0, 50.0)),
        volume_ml=56.0, frame_of_reference_uid=FRAME, study_uid="S",
    )  # fmt: skip
    patient = PatientRecord(patient_id="p", reports=reports, studies=(study,), targets=targets, cores=cores, segmentations=(gland, *masks))
    common = {"patient_id": "p", "organ": "prostate", "status": ExtractionStatus.OK}
    radiology = ReportExtraction(report_id="R", report_type=ReportType.RADIOLOGY, findings=tuple(findings), **common)  # type: ignore[arg-type]
    pathology = ReportExtraction(report_id="P", report_type=ReportType.PATHOLOGY, specimens=tuple(specimens), **common)  # type: ignore[arg-type]
    return patient, {"R": radiology, "P": pathology}


def without_one(
    patient: PatientRecord, extractions: dict[str, ReportExtraction]
) -> Iterator[tuple[str, PatientRecord, dict[str, ReportExtraction]]]:
    """The same patient without one finding, specimen, target or core, each in turn."""
    radiology, pathology = extractions["R"], extractions["P"]
    for finding in radiology.findings:
        rest = tuple(each for each in radiology.findings if each is not finding)
        yield finding.item_id, patient, extractions | {"R": replace(radiology, findings=rest)}
    for specimen in pathology.specimens:
        left = tuple(each for each in pathology.specimens if each is not specimen)
        yield specimen.item_id, patient, extractions | {"P": replace(pathology, specimens=left)}
    for target in patient.targets:
        yield target.target_id, replace(patient, targets=tuple(each for each in patient.targets if each is not target)), extractions
    for core in patient.cores:
        yield core.core_id, replace(patient, cores=tuple(each for each in patient.cores if each is not core)), extractions


def outcome_of(patient: PatientRecord, extractions: dict[str, ReportExtraction]) -> tuple[MatchedCase, dict[str, WeakLabel]]:
    cases, _ = match_patient(patient, extractions, Config())
    curated, _ = curate(cases[0], (), LabelConfig(minimum_confidence=0.0))
    assert isinstance(curated, CuratedCase)
    return cases[0], {label.lesion_id: label for label in curated.labels}


def members(lesion: Lesion) -> set[str]:
    items: tuple[Item, ...] = (*lesion.specimens, *((lesion.finding,) if lesion.finding else ()))
    ids = {item.item_id for item in items} | {core.core_id for core in lesion.cores}
    return ids | ({lesion.target.target_id} if lesion.target else set())


def is_settled(lesion: Lesion) -> bool:
    return not any(conflict.startswith(CONTESTED) or conflict == AMBIGUOUS_SYSTEMATIC for conflict in lesion.conflicts)


def label_of(label: WeakLabel | None) -> tuple[object, ...] | None:
    """Class and box."""
    if label is None:
        return None
    return label.status, label.isup_grade, label.is_clinically_significant, label.box, label.tier


@settings(max_examples=150, deadline=None)
@given(patients())
def test_taking_one_record_away_changes_no_other_settled_lesions_label(drawn: tuple[PatientRecord, dict[str, ReportExtraction]]) -> None:
    matched, labels = outcome_of(*drawn)
    settled = [lesion for lesion in matched.lesions if is_settled(lesion)]
    for removed, patient, extractions in without_one(*drawn):
        _, after = outcome_of(patient, extractions)
        for lesion in settled:
            if removed not in members(lesion):
                assert label_of(labels.get(lesion.lesion_id)) == label_of(after.get(lesion.lesion_id)), removed


@settings(max_examples=150, deadline=None)
@given(patients())
def test_each_record_is_in_one_lesion_at_most_and_each_lesion_has_one_of_a_kind(
    drawn: tuple[PatientRecord, dict[str, ReportExtraction]],
) -> None:
    matched, _ = outcome_of(*drawn)
    held = [member for lesion in matched.lesions for member in members(lesion)]
    assert len(held) == len(set(held))
    findings, targets = drawn[1]["R"].findings, drawn[0].targets
    assert {finding.item_id for finding in findings} | {target.target_id for target in targets} <= set(held)


@settings(max_examples=60, deadline=None)
@given(patients())
def test_an_imaging_only_label_is_never_given_to_a_contested_finding(drawn: tuple[PatientRecord, dict[str, ReportExtraction]]) -> None:
    matched, labels = outcome_of(*drawn)
    for lesion in matched.lesions:
        if not is_settled(lesion) and members(lesion) == {lesion.finding.item_id if lesion.finding else ""} and not lesion.segmentation:
            conflicts = {conflict for conflict in lesion.conflicts if conflict.startswith(CONTESTED)}
            assert not conflicts or lesion.lesion_id not in labels


SCORES = st.integers(1, 5).flatmap(
    lambda rows: st.integers(1, 5).flatmap(
        lambda columns: st.lists(st.lists(st.floats(0, 1), min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    )
)


@given(SCORES)
def test_an_accepted_pair_stays_accepted_when_any_other_record_is_taken_away(rows: list[list[float]]) -> None:
    scores = np.array(rows)
    accepted = assign(scores, 0.5, 0.02).accepted
    for i, j in accepted:
        for other in range(scores.shape[0]):
            if other != i:
                kept = assign(np.delete(scores, other, axis=0), 0.5, 0.02).accepted
                assert (i - (other < i), j) in kept
    assert len({i for i, _ in accepted}) == len({j for _, j in accepted}) == len(accepted)


def test_the_optimal_assignment_proposes_what_is_not_the_best_of_both() -> None:
    result = assign(np.array([[0.9, 0.86], [0.87, 0.6]]), 0.5, 0.02)
    assert result.accepted == ((0, 0),)
    assert result.is_optimal == (False,)
    assert result.proposed == ((0, 1), (1, 0))
    assert result.contested_left == {1}
    assert result.contested_right == {1}


def test_nobody_takes_a_record_below_the_threshold() -> None:
    assert assign(np.array([[0.49]]), 0.5, 0.02).accepted == ()
