"""Study level of matching: which report, tissue, target and mask belongs to which imaging study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from matching import Config, PatientStage, match_patient
from weakbox.linking.labels import LabelAgreement, compare_labels, normal_accession, read_label
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation, SegmentationKind
from weakbox.records.case import LedgerEntry, MatchedCase, Outcome, PatientRecord
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Finding, ReportExtraction, Specimen
from weakbox.records.imaging import ImagingStudy, Series, SeriesRole, StudyKind
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.runtime.stage import check_flow

DAY = date(2024, 3, 10)


def after(days: int) -> date:
    return DAY + timedelta(days=days)


def study(
    uid: str, day: date | None = DAY, *, accession: str | None = None, frame: str | None = None, in_bore: bool = False
) -> ImagingStudy:
    series = Series(
        series_uid=f"{uid}.T2", study_uid=uid, role=SeriesRole.T2W, role_confidence=1.0, role_reason="test", frame_of_reference_uid=frame
    )
    kind = StudyKind.INTRAPROCEDURAL if in_bore else StudyKind.DIAGNOSTIC
    return ImagingStudy(study_uid=uid, patient_id="p", study_date=day, accession=accession, kind=kind, series=(series,))


def radiology(report_id: str, day: date | None = None, **more: object) -> Report:
    return Report(report_id=report_id, patient_id="p", report_type=ReportType.RADIOLOGY, text="x", exam_date=day, **more)  # type: ignore[arg-type]


def pathology(report_id: str, day: date | None = None, **more: object) -> Report:
    return Report(report_id=report_id, patient_id="p", report_type=ReportType.PATHOLOGY, text="x", exam_date=day, **more)  # type: ignore[arg-type]


def say(value: FieldValue) -> Stated[FieldValue]:
    return Stated(value=value, evidence=(Span(start=0, end=4),), source="rules", confidence=0.9)


def cancer(grade: int) -> dict[str, Stated[FieldValue]]:
    return {"target": say("1"), "diagnosis": say("adenocarcinoma"), "isup_grade": say(grade)}


def reading(report: Report, *grades: int) -> ReportExtraction:
    """One finding, or one specimen for each grade (0 is benign), of target 1."""
    common = {"report_id": report.report_id, "patient_id": "p", "organ": "prostate", "status": ExtractionStatus.OK}
    if report.report_type is ReportType.RADIOLOGY:
        found = Finding(item_id=f"{report.report_id}/0", report_id=report.report_id, index=0, values={"lesion_id": say("1")})
        return ReportExtraction(report_type=report.report_type, findings=(found,), **common)  # type: ignore[arg-type]
    specimens = tuple(
        Specimen(
            item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index,
            values=cancer(grade) if grade else {"diagnosis": say("benign")},
        )
        for index, grade in enumerate(grades)
    )  # fmt: skip
    return ReportExtraction(report_type=report.report_type, specimens=specimens, **common)  # type: ignore[arg-type]


def match(
    studies: tuple[ImagingStudy, ...],
    reports: tuple[Report, ...] = (),
    grades: Mapping[str, tuple[int, ...]] | None = None,
    config: Config | None = None,
    **more: object,
) -> tuple[dict[str, MatchedCase], tuple[LedgerEntry, ...]]:
    patient = PatientRecord(patient_id="p", reports=reports, studies=studies, **more)  # type: ignore[arg-type]
    extractions = {report.report_id: reading(report, *(grades or {}).get(report.report_id, (2,))) for report in reports}
    cases, ledger = match_patient(patient, extractions, config or Config())
    output = PatientStage(config or Config())("p", [patient, *extractions.values()])
    check_flow("matching", output)
    return {case.case.case_id: case for case in cases}, ledger


def ids(case: MatchedCase) -> tuple[list[str], list[str]]:
    return [each.report_id for each in case.case.radiology], [each.report_id for each in case.case.pathology]


def reasons(ledger: tuple[LedgerEntry, ...], kind: str, outcome: Outcome = Outcome.DROPPED) -> dict[str, str]:
    return {entry.item_id: entry.reason for entry in ledger if entry.kind == kind and entry.outcome is outcome}


def test_accession_numbers_join_by_equality_after_normalising_and_never_as_a_part() -> None:
    studies = (study("A", after(0), accession="AC-0012"), study("B", after(40), accession="AC-00123"))
    cases, _ = match(studies, (radiology("R", after(60), accession=" ac0012 "),))
    assert ids(cases["A"])[0] == ["R"]
    assert ids(cases["B"])[0] == []


def test_without_accession_the_same_day_is_best_and_a_near_day_will_do() -> None:
    studies = (study("A", after(0)), study("B", after(2)))
    cases, _ = match(studies, (radiology("same", after(2)), radiology("near", after(-2))))
    assert ids(cases["B"])[0] == ["same"]
    assert ids(cases["A"])[0] == ["near"]
    assert cases["B"].case.links[0].score > cases["A"].case.links[0].score


def test_a_report_outside_the_window_is_dropped_with_its_findings() -> None:
    _, ledger = match((study("A"),), (radiology("R", after(9)),))
    assert reasons(ledger, "report") == {"R": "no_study_near_date"}
    assert reasons(ledger, "finding") == {"R/0": "no_study_near_date"}


def test_two_studies_of_one_day_are_ambiguous_and_go_to_review() -> None:
    cases, ledger = match((study("A"), study("B")), (radiology("R", after(0)),))
    assert all(not ids(case)[0] for case in cases.values())
    assert reasons(ledger, "report") == reasons(ledger, "report", Outcome.REVIEW) == {"R": "ambiguous_study"}


def test_a_day_of_signature_is_never_before_the_study() -> None:
    cases, _ = match((study("A", after(0)), study("B", after(3))), (radiology("R", report_date=after(2)),))
    assert ids(cases["A"])[0] == ["R"]


def test_a_corrected_report_supersedes_the_final_one_and_an_addendum_without_lesions_does_not() -> None:
    final, corrected = radiology("final", DAY, status=ReportStatus.FINAL), radiology("corrected", DAY, status=ReportStatus.CORRECTED)
    cases, ledger = match((study("A"),), (final, corrected))
    assert ids(cases["A"])[0] == ["corrected", "final"]
    assert reasons(ledger, "finding") == {"final/0": "superseded_report"}

    addendum = radiology("addendum", DAY, status=ReportStatus.ADDENDUM)
    empty = ReportExtraction(
        report_id="addendum", patient_id="p", report_type=ReportType.RADIOLOGY, organ="prostate", status=ExtractionStatus.OK,
        exam={"exam.epe": say("absent")},
    )  # fmt: skip
    patient = PatientRecord(patient_id="p", reports=(final, addendum), studies=(study("A"),))
    found, notes = match_patient(patient, {"final": reading(final), "addendum": empty}, Config())
    assert ids(found[0])[0] == ["final", "addendum"]
    assert reasons(notes, "report", Outcome.REVIEW) == {"addendum": "addendum_without_lesions"}


def test_tissue_belongs_to_the_last_diagnostic_study_before_it() -> None:
    studies = (study("old", after(-300)), study("last", after(0)), study("later", after(90)))
    cases, _ = match(studies, (pathology("P", after(30)),))
    assert ids(cases["last"])[1] == ["P"]
    assert cases["last"].case.days_to_pathology == 30
    assert ids(cases["old"])[1] == ids(cases["later"])[1] == []


def test_tissue_before_imaging_is_history_and_tissue_after_the_window_is_too_late() -> None:
    _, ledger = match((study("A"),), (pathology("before", after(-1)), pathology("late", after(366)), pathology("last", after(365))))
    assert reasons(ledger, "report") == {"before": "pathology_before_imaging", "late": "pathology_outside_window"}


def test_an_in_bore_study_is_no_case_but_dates_its_procedure() -> None:
    studies = (study("mri", after(0)), study("bore", after(20), in_bore=True))
    point = BiopsyTarget(target_id="T", patient_id="p", label="1", position=(1.0, 2.0, 3.0), study_uid="bore")
    cases, ledger = match(studies, (pathology("P", after(20)), radiology("R", after(20))), targets=(point,))
    assert set(cases) == {"mri"}
    assert reasons(ledger, "study") == {"bore": "intraprocedural_study"}
    assert reasons(ledger, "report") == {"R": "intraprocedural_report"}
    assert ids(cases["mri"])[1] == ["P"]
    assert [target.target_id for target in cases["mri"].case.targets] == ["T"]
    assert "in-bore images" in next(link.reason for link in cases["mri"].case.links if link.left_id == "P")


@pytest.mark.parametrize(("rule", "expected"), [("first", ["first"]), ("last", ["third"]), ("worst", ["first", "second", "third"])])
def test_the_repeat_biopsy_rule_chooses_the_procedures_that_count(rule: str, expected: list[str]) -> None:
    reports = (pathology("first", after(20)), pathology("second", after(120)), pathology("third", after(240)))
    grades = {"first": (1,), "second": (4,), "third": (2,)}
    cases, ledger = match((study("A"),), reports, grades, Config(repeat_biopsy=rule))  # type: ignore[arg-type]
    assert ids(cases["A"])[1] == expected
    assert set(reasons(ledger, "report")) == {"first", "second", "third"} - set(expected)


def test_a_later_version_of_one_pathology_report_supersedes_the_earlier() -> None:
    old = pathology("old", after(9), accession="S1", status=ReportStatus.FINAL)
    new = pathology("new", after(9), accession="S-1", status=ReportStatus.CORRECTED)
    cases, ledger = match((study("A"),), (old, new), {"old": (1,), "new": (3,)})
    assert ids(cases["A"])[1] == ["new"]
    assert reasons(ledger, "specimen") == {"old/0": "superseded_report"}


def test_targets_find_their_study_by_uid_series_frame_accession_or_procedure() -> None:
    studies = (study("A", after(0), frame="F.A"), study("B", after(100), frame="F.B", accession="ACC7"))
    named: dict[str, dict[str, object]] = {
        "by_study": {"study_uid": "A"},
        "by_series": {"series_uid": "B.T2"},
        "by_frame": {"frame_of_reference_uid": "F.A"},
        "by_accession": {"accession": "acc 7"},
        "by_day": {"study_date": after(0)},
        "by_procedure": {"procedure_date": after(130)},
    }
    targets = tuple(BiopsyTarget(target_id=name, patient_id="p", label=None, position=None, **more) for name, more in named.items())  # type: ignore[arg-type]
    cases, _ = match(studies, targets=targets)
    assert {target.target_id for target in cases["A"].case.targets} == {"by_study", "by_frame", "by_day"}
    assert {target.target_id for target in cases["B"].case.targets} == {"by_series", "by_accession", "by_procedure"}


def test_a_target_of_a_study_that_is_not_there_is_never_put_on_another() -> None:
    lost = BiopsyTarget(target_id="T", patient_id="p", label=None, position=None, series_uid="elsewhere", procedure_date=after(5))
    cases, ledger = match((study("A"),), targets=(lost,))
    assert not cases["A"].case.targets
    assert reasons(ledger, "target") == {"T": "study_not_available"}


def test_a_target_that_names_nothing_belongs_to_the_only_study_and_to_none_of_two() -> None:
    target = BiopsyTarget(target_id="T", patient_id="p", label=None, position=None)
    alone, _ = match((study("A"),), targets=(target,))
    assert len(alone["A"].case.targets) == 1
    _, ledger = match((study("A"), study("B", after(30))), targets=(target,))
    assert reasons(ledger, "target") == {"T": "ambiguous_study"}


def test_masks_and_cores_are_placed_and_unused_masks_are_counted() -> None:
    def mask(name: str, kind: SegmentationKind, volume: float) -> Segmentation:
        return Segmentation(
            segmentation_id=name, patient_id="p", kind=kind, label=None, path=f"{name}.nii.gz", segment_number=1, centroid=(0.0, 0.0, 0.0),
            corner=(0.0, 0.0, 0.0), edges=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), volume_ml=volume, series_uid="A.T2",
        )  # fmt: skip

    masks = (mask("g1", SegmentationKind.GLAND, 30), mask("g2", SegmentationKind.GLAND, 40), mask("pz", SegmentationKind.ZONE_PZ, 9))
    core = BiopsyCore(core_id="C", patient_id="p", label="LEFT BASE", is_targeted=False, series_uid="A.T2")
    cases, ledger = match((study("A"),), segmentations=(*masks, mask("roi", SegmentationKind.LESION, 1)), cores=(core,))
    case = cases["A"].case
    assert case.gland is not None
    assert case.gland.segmentation_id == "g2"
    assert [each.segmentation_id for each in case.segmentations] == ["roi"]
    assert [each.core_id for each in case.cores] == ["C"]
    assert reasons(ledger, "segmentation") == {"g1": "unused_mask", "pz": "unused_mask"}


def test_what_could_not_be_read_is_dropped_with_its_reason() -> None:
    failed, cancelled, abstained = (
        radiology("failed", DAY),
        radiology("cancelled", DAY, status=ReportStatus.CANCELLED),
        radiology("none", DAY),
    )
    failure = ExtractionFailure(
        report_id="failed", patient_id="p", report_type=ReportType.RADIOLOGY, organ="prostate", extractor="rules", cause="too long"
    )
    empty = ReportExtraction(
        report_id="none", patient_id="p", report_type=ReportType.RADIOLOGY, organ="prostate", status=ExtractionStatus.ABSTAINED
    )
    patient = PatientRecord(patient_id="p", reports=(failed, cancelled, abstained), studies=(study("A"),))
    extractions = {"failed": failure, "cancelled": reading(cancelled), "none": empty}
    cases, ledger = match_patient(patient, extractions, Config())
    assert reasons(ledger, "report") == {"failed": "extraction_failed", "cancelled": "cancelled", "none": "abstained"}
    assert cases[0].case.radiology == ()


def test_cancer_of_any_procedure_is_known_to_every_study() -> None:
    cases, _ = match((study("A", after(0)), study("B", after(100))), (pathology("P", after(130)),), {"P": (3,)})
    assert cases["A"].case.cancer_days == (130,)
    assert cases["B"].case.cancer_days == (30,)


def test_labels_agree_disagree_or_are_absent() -> None:
    assert compare_labels(read_label("ROI 1"), read_label("1")) is LabelAgreement.AGREE
    assert compare_labels(read_label("Target II"), read_label("lesion #2")) is LabelAgreement.AGREE
    assert compare_labels(read_label("ROI 1"), read_label("ROI 2")) is LabelAgreement.DISAGREE
    assert compare_labels(read_label("ROI 1"), read_label("Target A")) is LabelAgreement.ABSENT
    assert compare_labels(read_label("MRI lesion"), read_label("1")) is LabelAgreement.ABSENT


def test_an_accession_number_without_letters_or_digits_is_none() -> None:
    assert normal_accession(" - ") is None
