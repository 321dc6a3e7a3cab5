"""Lesion level of matching: findings, targets, masks, tissue and cores that belong together."""

from __future__ import annotations

from datetime import date

from matching import Config, match_patient
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation, SegmentationKind
from weakbox.records.case import Lesion, LinkKind, MatchedCase, Outcome, PatientRecord
from weakbox.records.extraction import ExtractionStatus, Finding, ReportExtraction, Specimen
from weakbox.records.grid import Grid, Point
from weakbox.records.imaging import ImagingStudy, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Span, Stated

FRAME = "1.2.3"
GRID = Grid.from_matrix([[0.5, 0, 0, -79.75], [0, 0.5, 0, -59.75], [0, 0, 3.0, -70.0], [0, 0, 0, 1]], (320, 320, 30), FRAME)
"""Centre of the image at (0, 20, -26.5)."""


def say(value: FieldValue) -> Stated[FieldValue]:
    return Stated(value=value, evidence=(Span(start=0, end=4),), source="rules", confidence=0.9)


def finding(index: int, **values: FieldValue) -> Finding:
    return Finding(item_id=f"R/{index}", report_id="R", index=index, values={name: say(value) for name, value in values.items()})


def specimen(index: int, **values: FieldValue) -> Specimen:
    return Specimen(item_id=f"P/{index}", report_id="P", index=index, values={name: say(value) for name, value in values.items()})


def target(name: str, position: Point | None, label: str | None = None, **more: object) -> BiopsyTarget:
    return BiopsyTarget(target_id=name, patient_id="p", label=label, position=position, frame_of_reference_uid=FRAME, study_uid="S", **more)  # type: ignore[arg-type]


def study() -> ImagingStudy:
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
    return ImagingStudy(study_uid="S", patient_id="p", study_date=date(2024, 1, 1), series=(series,), choices=(choice,))


def gland() -> Segmentation:
    return Segmentation(
        segmentation_id="gland", patient_id="p", kind=SegmentationKind.GLAND, label="gland", path="gland.nii.gz", segment_number=1,
        centroid=(0.0, 20.0, -25.0), corner=(-27.0, 0.0, -50.0), edges=((54.0, 0.0, 0.0), (0.0, 40.0, 0.0), (0.0, 0.0, 50.0)),
        volume_ml=56.0, frame_of_reference_uid=FRAME, study_uid="S",
    )  # fmt: skip


def match(
    *findings: Finding,
    targets: tuple[BiopsyTarget, ...] = (),
    specimens: tuple[Specimen, ...] = (),
    cores: tuple[BiopsyCore, ...] = (),
    masks: tuple[Segmentation, ...] = (),
    config: Config | None = None,
) -> MatchedCase:
    patient = PatientRecord(
        patient_id="p",
        reports=(
            Report(report_id="R", patient_id="p", report_type=ReportType.RADIOLOGY, text="x", exam_date=date(2024, 1, 1)),
            Report(report_id="P", patient_id="p", report_type=ReportType.PATHOLOGY, text="x", exam_date=date(2024, 2, 1)),
        ),
        studies=(study(),), targets=targets, cores=cores, segmentations=(gland(), *masks),
    )  # fmt: skip
    common = {"patient_id": "p", "organ": "prostate", "status": ExtractionStatus.OK}
    extractions = {
        "R": ReportExtraction(report_id="R", report_type=ReportType.RADIOLOGY, findings=findings, **common),  # type: ignore[arg-type]
        "P": ReportExtraction(report_id="P", report_type=ReportType.PATHOLOGY, specimens=specimens, **common),  # type: ignore[arg-type]
    }
    cases, _ = match_patient(patient, extractions, config or Config())
    return cases[0]


def lesion_with(case: MatchedCase, record_id: str) -> Lesion:
    """The one lesion that holds a record."""
    found = [lesion for lesion in case.lesions if record_id in members(lesion)]
    assert len(found) == 1, record_id
    return found[0]


def members(lesion: Lesion) -> set[str]:
    ids = {each.item_id for each in lesion.specimens} | {each.core_id for each in lesion.cores}
    ids |= {lesion.finding.item_id} if lesion.finding else set()
    ids |= {lesion.target.target_id} if lesion.target else set()
    return ids | ({lesion.segmentation.segmentation_id} if lesion.segmentation else set())


LEFT_POINT = (15.0, 28.0, -25.0)
RIGHT_POINT = (-15.0, 28.0, -25.0)


def test_the_left_target_never_takes_the_right_lesions_grade_where_only_the_right_one_has_tissue() -> None:
    """The predecessor zipped by position: the first target got the first matched specimen, whichever it was."""
    case = match(
        finding(0, side="left", zone="PZ", levels=("mid",), pirads=3),
        finding(1, side="right", zone="PZ", levels=("mid",), pirads=5),
        targets=(target("left", LEFT_POINT, location="left mid PZ"), target("right", RIGHT_POINT, location="right mid PZ")),
        specimens=(specimen(0, target="2", side="right", levels=("mid",), zone="PZ", diagnosis="adenocarcinoma", isup_grade=4),),
    )
    assert members(lesion_with(case, "left")) == {"left", "R/0"}
    assert members(lesion_with(case, "right")) == {"right", "R/1", "P/0"}


def test_equal_labels_join_across_names_of_the_label() -> None:
    case = match(
        finding(0, lesion_id="1", side="left"),
        finding(1, lesion_id="2", side="left"),
        targets=(target("a", LEFT_POINT, label="ROI 2"), target("b", (15.0, 28.0, -10.0), label="Target 1")),
        specimens=(specimen(0, target="1", diagnosis="benign"), specimen(1, target="2", diagnosis="adenocarcinoma", isup_grade=2)),
    )
    assert members(lesion_with(case, "a")) == {"a", "R/1", "P/1"}
    assert members(lesion_with(case, "b")) == {"b", "R/0", "P/0"}


def test_several_specimens_of_one_target_are_one_targets_tissue() -> None:
    case = match(
        finding(0, lesion_id="1", side="left"),
        specimens=(
            specimen(0, target="ROI 1", diagnosis="benign"),
            specimen(1, target="1", diagnosis="adenocarcinoma", isup_grade=3),
            specimen(2, target="ROI 2", diagnosis="benign"),
        ),
    )
    assert members(lesion_with(case, "R/0")) == {"R/0", "P/0", "P/1"}
    assert members(lesion_with(case, "P/2")) == {"P/2"}


def test_tissue_of_a_target_without_number_finds_its_lesion_by_its_words() -> None:
    case = match(
        finding(0, lesion_id="1", side="left", levels=("apex",), zone="PZ"),
        finding(1, lesion_id="2", side="left", levels=("base",), zone="TZ"),
        specimens=(
            specimen(0, is_targeted=True, side="left", levels=("base",), zone="TZ", diagnosis="adenocarcinoma", isup_grade=3),
            specimen(1, is_targeted=True, side="left", levels=("apex",), diagnosis="benign"),
        ),
    )
    assert members(lesion_with(case, "R/0")) == {"R/0", "P/1"}
    assert members(lesion_with(case, "R/1")) == {"R/1", "P/0"}


def test_the_only_lesion_takes_tissue_of_a_target_without_number_also_where_it_says_no_place() -> None:
    for only in ({"findings": (finding(0, side="left", zone="PZ", levels=("mid",)),)}, {"targets": (target("R/0", LEFT_POINT),)}):
        case = match(
            *only.get("findings", ()), targets=only.get("targets", ()), specimens=(specimen(0, is_targeted=True, diagnosis="benign"),)
        )
        lesion = lesion_with(case, "R/0")
        assert members(lesion) == {"R/0", "P/0"}
        assert [link.needs_review for link in lesion.links] == [False]


def test_words_that_contradict_send_tissue_of_the_only_target_to_review_and_the_other_side_to_nobody() -> None:
    only = finding(0, side="left", zone="PZ", levels=("base",))
    far = match(only, specimens=(specimen(0, is_targeted=True, side="left", levels=("apex",), zone="TZ", diagnosis="benign"),))
    assert [link.needs_review for link in lesion_with(far, "R/0").links] == [True]
    other = match(only, specimens=(specimen(0, is_targeted=True, side="right", levels=("base",), zone="PZ", diagnosis="benign"),))
    assert members(lesion_with(other, "R/0")) == {"R/0"}


def test_tissue_of_a_target_without_number_and_place_goes_to_neither_of_two_lesions() -> None:
    case = match(
        finding(0, side="left", levels=("mid",)), finding(1, side="right", levels=("mid",)), specimens=(specimen(0, is_targeted=True),)
    )
    assert all(len(members(lesion)) == 1 for lesion in case.lesions)
    assert all("contested_finding" in lesion_with(case, name).conflicts for name in ("R/0", "R/1"))


def test_targeted_cancer_without_number_is_no_systematic_support() -> None:
    words = {"side": "left", "levels": ("mid",), "diagnosis": "adenocarcinoma", "isup_grade": 2}
    case = match(
        finding(0, side="right", levels=("mid",)),
        finding(1, side="left", levels=("mid",)),
        specimens=(specimen(0, is_targeted=True, **words),),
    )  # type: ignore[arg-type]
    assert {link.reason for link in lesion_with(case, "R/1").links} == {"same side, a level in common, of a target without number"}


def test_left_against_right_is_never_one_lesion_even_with_equal_labels_and_both_go_to_review() -> None:
    case = match(
        finding(0, lesion_id="1", side="left", levels=("mid",), zone="PZ"),
        specimens=(specimen(0, target="1", side="right", levels=("mid",), zone="PZ", diagnosis="adenocarcinoma", isup_grade=4),),
    )
    assert members(lesion_with(case, "R/0")) == {"R/0"}
    assert "label_side_contradiction" in lesion_with(case, "R/0").conflicts
    assert "label_side_contradiction" in lesion_with(case, "P/0").conflicts


def test_a_point_on_the_other_side_stays_with_its_label_so_that_the_conflict_is_seen() -> None:
    case = match(finding(0, lesion_id="1", side="left", levels=("mid",), zone="PZ"), targets=(target("t", RIGHT_POINT, label="1"),))
    lesion = lesion_with(case, "t")
    assert members(lesion) == {"t", "R/0"}
    assert any("other side" in link.reason for link in lesion.links)


def test_a_point_on_the_other_side_without_a_label_is_not_joined() -> None:
    case = match(finding(0, side="left", levels=("mid",), zone="PZ"), targets=(target("t", RIGHT_POINT),))
    assert members(lesion_with(case, "t")) == {"t"}


def test_a_finding_that_would_fit_were_left_and_right_exchanged_is_contested() -> None:
    mirrored = match(finding(0, side="left", levels=("mid",), zone="PZ"), targets=(target("t", RIGHT_POINT),))
    assert all("contested_side" in lesion_with(mirrored, name).conflicts for name in ("t", "R/0"))
    elsewhere = match(finding(0, side="left", levels=("base",), zone="TZ"), targets=(target("t", RIGHT_POINT),))
    assert "contested_side" not in lesion_with(elsewhere, "R/0").conflicts


def test_a_midline_finding_can_be_either_side() -> None:
    case = match(
        finding(0, lesion_id="1", side="midline", zone="PZ", levels=("mid",)),
        specimens=(specimen(0, target="1", side="left", zone="PZ", levels=("mid",), diagnosis="benign"),),
    )
    assert members(lesion_with(case, "P/0")) == {"P/0", "R/0"}


def test_letters_say_nothing_of_numbers() -> None:
    case = match(
        finding(0, lesion_id="A", side="left", zone="PZ", levels=("mid",)),
        finding(1, lesion_id="B", side="right", zone="TZ", levels=("base",)),
        targets=(target("t", LEFT_POINT, label="1", location="left mid PZ"),),
    )
    assert members(lesion_with(case, "t")) == {"t", "R/0"}


def test_base_is_not_apex_and_side_alone_is_not_enough() -> None:
    base = match(finding(0, side="left", zone="PZ", levels=("base",)), targets=(target("t", None, location="left apex PZ"),))
    side_only = match(finding(0, side="left"), targets=(target("t", None, location="left"),))
    assert members(lesion_with(base, "t")) == members(lesion_with(side_only, "t")) == {"t"}


def test_the_nearer_of_two_findings_takes_the_target_and_the_other_is_marked_contested() -> None:
    case = match(
        finding(0, side="left", zone="PZ", levels=("mid",), positions=("posterior", "lateral"), sectors=("L_mid_PZpl",)),
        finding(1, side="left", zone="PZ", levels=("mid",), positions=("posterior", "medial"), sectors=("L_mid_PZpm",)),
        targets=(target("t", (16.5, 28.0, -25.0)),),
    )
    assert members(lesion_with(case, "t")) == {"t", "R/0"}
    assert lesion_with(case, "t").links[0].needs_review
    assert lesion_with(case, "R/1").conflicts == ("contested_finding",)


def test_equally_good_partners_leave_everyone_alone() -> None:
    same = {"side": "left", "zone": "PZ", "levels": ("mid",)}
    case = match(finding(0, **same), finding(1, **same), targets=(target("t", None, location="left mid PZ"),))
    assert members(lesion_with(case, "t")) == {"t"}
    assert all(lesion.conflicts for lesion in case.lesions)
    assert {entry.outcome for entry in case.unlinked} >= {Outcome.REVIEW}


def test_numbers_that_mean_nothing_are_not_compared_where_the_configuration_says_so() -> None:
    records = {"targets": (target("t", None, label="1", location="left mid PZ"),)}
    item = finding(0, lesion_id="2", side="left", zone="PZ", levels=("mid",))
    assert members(lesion_with(match(item, **records), "t")) == {"t"}  # type: ignore[arg-type]
    assert members(lesion_with(match(item, config=Config(trust_labels=False), **records), "t")) == {"t", "R/0"}  # type: ignore[arg-type]


def test_a_mask_joins_the_target_inside_it() -> None:
    mask = Segmentation(
        segmentation_id="roi", patient_id="p", kind=SegmentationKind.LESION, label=None, path="roi.nii.gz", segment_number=1,
        centroid=(16.0, 27.0, -24.0), corner=(10.0, 22.0, -30.0), edges=((12.0, 0.0, 0.0), (0.0, 10.0, 0.0), (0.0, 0.0, 12.0)),
        volume_ml=0.7, frame_of_reference_uid=FRAME, study_uid="S",
    )  # fmt: skip
    case = match(targets=(target("t", LEFT_POINT), target("far", RIGHT_POINT)), masks=(mask,))
    assert members(lesion_with(case, "roi")) == {"t", "roi"}
    assert LinkKind.TARGET_SEGMENTATION in {link.kind for link in lesion_with(case, "roi").links}


def core(name: str, tip: Point | None = None, base: Point | None = None, **more: object) -> BiopsyCore:
    given = {"label": name, "is_targeted": True, "frame_of_reference_uid": FRAME, "study_uid": "S"} | more
    return BiopsyCore(core_id=name, patient_id="p", tip=tip, base=base, **given)  # type: ignore[arg-type]


def test_a_targeted_core_belongs_to_the_target_its_needle_meets() -> None:
    case = match(
        targets=(target("left", LEFT_POINT, label="1"), target("right", RIGHT_POINT, label="2")),
        cores=(core("hit", (15.0, 30.0, -15.0), (15.0, 27.0, -32.0), isup_grade=2), core("miss", (0.0, 0.0, -15.0), (0.0, 0.0, -32.0))),
    )
    assert members(lesion_with(case, "left")) == {"left", "hit"}
    assert members(lesion_with(case, "right")) == {"right"}


def test_a_core_that_names_its_target_follows_the_name() -> None:
    case = match(
        targets=(target("left", LEFT_POINT, label="1"), target("right", RIGHT_POINT, label="2")),
        cores=(core("named", (15.0, 30.0, -15.0), (15.0, 27.0, -32.0), target_label="ROI 2"),),
    )
    assert members(lesion_with(case, "right")) == {"right", "named"}


def test_a_targeted_core_without_place_belongs_to_the_only_target_without_place_with_review() -> None:
    one = match(targets=(target("a", None, label="1"),), cores=(core("c", isup_grade=1),))
    two = match(targets=(target("a", None, label="1"), target("b", None, label="2")), cores=(core("c", isup_grade=1),))
    assert members(lesion_with(one, "a")) == {"a", "c"}
    assert lesion_with(one, "a").links[0].needs_review
    assert members(lesion_with(two, "a")) == {"a"}
    assert lesion_with(two, "a").conflicts == ("contested_core",)


def test_systematic_cancer_supports_only_a_lesion_of_its_exact_side_and_level_and_never_a_sampled_one() -> None:
    systematic = specimen(0, side="left", levels=("mid",), diagnosis="adenocarcinoma", isup_grade=3)
    here = finding(0, side="left", zone="PZ", levels=("mid",))
    assert members(lesion_with(match(here, specimens=(systematic,)), "R/0")) == {"R/0", "P/0"}
    elsewhere = finding(0, side="left", zone="PZ", levels=("base",))
    assert members(lesion_with(match(elsewhere, specimens=(systematic,)), "R/0")) == {"R/0"}
    sampled = match(
        finding(0, lesion_id="1", side="left", levels=("mid",)), specimens=(systematic, specimen(1, target="1", diagnosis="benign"))
    )
    assert members(lesion_with(sampled, "R/0")) == {"R/0", "P/1"}
    off = match(here, specimens=(systematic,), config=Config(systematic_support=False))
    assert members(lesion_with(off, "R/0")) == {"R/0"}


def test_a_benign_systematic_core_says_nothing_of_a_finding() -> None:
    case = match(finding(0, side="left", levels=("mid",)), specimens=(specimen(0, side="left", levels=("mid",), diagnosis="benign"),))
    assert members(lesion_with(case, "R/0")) == {"R/0"}


def test_the_order_of_the_records_changes_nothing() -> None:
    findings = (finding(0, lesion_id="1", side="left"), finding(1, side="right", zone="PZ", levels=("mid",)))
    targets = (target("a", LEFT_POINT, label="1"), target("b", RIGHT_POINT))
    assert match(*findings, targets=targets).lesions == match(*findings[::-1], targets=targets[::-1]).lesions
