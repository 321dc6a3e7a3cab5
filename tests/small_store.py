"""A store made by hand: two patients through all six stages, with a drop, a conflict, a review and a negative."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from weakbox.records.artifact import Artifact, ExportedCase
from weakbox.records.biopsy import BiopsyTarget, Guidance
from weakbox.records.case import Case, LedgerEntry, Lesion, Link, LinkKind, MatchedCase, Outcome, PatientRecord
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Finding, Flag, ReportExtraction
from weakbox.records.imaging import ImagingStudy, Purpose, SeriesChoice
from weakbox.records.label import Box, CuratedCase, Evidence, Exclusion, LesionStatus, Tier, Vote, WeakLabel
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.records.stated import Span, Stated
from weakbox.runtime.store import READING, ShardResult, Store, shard_of

SHARDS = 2
ANNE, BERT = "MRN-1001", "MRN-3003"
TEXT = "PSA 7.4 ng/mL.\nLesion 1: left [mid] peripheral zone, 14 mm.\nPI-RADS 4."


def span_of(words: str) -> Span:
    start = TEXT.index(words)
    return Span(start=start, end=start + len(words))


def stated(value: object, words: str) -> Stated:
    return Stated(value=value, evidence=(span_of(words),), source="rules", confidence=0.9, rule="lesion_score")


REPORT = Report(
    report_id="R1", patient_id=ANNE, report_type=ReportType.RADIOLOGY, text=TEXT, accession="ACC-5",
    exam_date=date(2021, 3, 4), status=ReportStatus.FINAL,
)  # fmt: skip
SECOND_REPORT = Report(report_id="R2", patient_id=BERT, report_type=ReportType.RADIOLOGY, text="Normal prostate.")
STUDY = ImagingStudy(
    study_uid="1.2.1", patient_id=ANNE, accession="ACC-5", study_date=date(2021, 3, 4), kind_reason="diffusion is there",
    choices=(SeriesChoice(purpose=Purpose.T2W, series_key=None, reason="no axial T2W"),),
)  # fmt: skip
SECOND_STUDY = ImagingStudy(study_uid="1.2.2", patient_id=BERT)
TARGET = BiopsyTarget(target_id="T1", patient_id=ANNE, label="ROI 1", position=(10.0, -20.25, 30.0), guidance=Guidance.FUSION, isup_grade=2)
FINDING = Finding(
    item_id="R1/0", report_id="R1", index=0, values={"pirads": stated(4, "PI-RADS 4"), "max_diameter_mm": stated(14.0, "14 mm")}
)
EXTRACTION = ReportExtraction(
    report_id="R1", patient_id=ANNE, report_type=ReportType.RADIOLOGY, organ="prostate", status=ExtractionStatus.REVIEW,
    exam={"exam.psa_ng_ml": stated(7.4, "PSA 7.4 ng/mL")}, findings=(FINDING,), flags=(Flag(path="lesions[0].side", code="sides_differ"),),
)  # fmt: skip
LINK = Link(kind=LinkKind.REPORT_STUDY, left_id="R1", right_id="1.2.1", score=1.0, reason="same accession")
TARGET_LINK = Link(kind=LinkKind.FINDING_TARGET, left_id="R1/0", right_id="T1", score=0.71, reason="side and size agree", needs_review=True)
LESION = Lesion(lesion_id="1.2.1/L1", case_id="1.2.1", finding=FINDING, target=TARGET, links=(TARGET_LINK,))
BOX = Box(
    centre=(10.0, -20.25, 30.0), size_mm=(13.3, 11.9, 11.9), voxel_start=(4, 5, 6), voxel_stop=(10, 12, 14),
    corners=tuple((10.0 + x, -20.25 + y, 30.0 + z) for z in (-6, 6) for y in (-6, 6) for x in (-7, 7)),
    reference_series_key="1.2.1.9", frame_of_reference_uid="1.2.3", uncertainty_mm=3.0,
)  # fmt: skip
LABEL = WeakLabel(
    label_id="1.2.1/L1", lesion_id="1.2.1/L1", case_id="1.2.1", status=LesionStatus.CANCER, isup_grade=2, pirads=4, box=BOX,
    tier=Tier.BIOPSY_COORDINATE, centre_source="target", size_source="reported_diameter", class_source="target", confidence=0.62,
    conflicts=("side: report left, coordinate right",), needs_review=True,
    votes=(
        Vote(voter="biopsy target", aspect="class", value=2, confidence=0.9, reason="graded target"),
        Vote(voter="report", aspect="class", value=None, confidence=0.0, reason="states no grade"),
        Vote(voter="report", aspect="size", value=14.0, confidence=0.9, reason="largest diameter",
             evidence=(Evidence(record_id="R1/0", field="max_diameter_mm", span=span_of("14 mm")),)),
    ),
)  # fmt: skip
SECOND_LABEL = WeakLabel(
    label_id="1.2.1/L2", lesion_id="1.2.1/L2", case_id="1.2.1", status=LesionStatus.UNTESTED, pirads=3, confidence=0.4, tier=Tier.CASE_LEVEL
)
CURATED = CuratedCase(
    case_id="1.2.1",
    patient_id=ANNE,
    dataset="demo",
    organ="prostate",
    study=STUDY,
    labels=(LABEL, SECOND_LABEL),
    clinical={"psa_ng_ml": 7.4},
)
NEGATIVE = CuratedCase(
    case_id="1.2.2", patient_id=BERT, dataset="demo", organ="prostate", study=SECOND_STUDY, negative_reason="no_lesion_and_followed"
)
EXPORTED = ExportedCase(
    case_id="1.2.1", patient_id=ANNE, research_case_id="Pabc_Sdef", research_patient_id="Pabc", date_shift_days=-40, is_complete=True,
    artifacts=(Artifact(path="cases/Pabc_Sdef/t2w.nii.gz", kind="nifti", role="t2w", case_id="Pabc_Sdef", sha256="ab" * 32, bytes=1200),),
)  # fmt: skip


def ledger_row(kind: str, item: str, reason: str, patient: str | None, outcome: Outcome = Outcome.DROPPED) -> LedgerEntry:
    return LedgerEntry(stage="preprocessing", kind=kind, item_id=item, outcome=outcome, reason=reason, patient_id=patient)


def case_of(study: ImagingStudy, *extractions: ReportExtraction) -> Case:
    links = (LINK,) if extractions else ()
    return Case(case_id=study.study_uid, patient_id=study.patient_id, study=study, radiology=extractions, links=links)


def counts(**kinds: tuple[int | None, int]) -> dict[str, int]:
    """``report=(3, 2)`` gives the counts of a shard where 3 reports went in and 2 came out; None: made there."""
    entered = {f"entered.{kind}": pair[0] for kind, pair in kinds.items() if pair[0] is not None}
    return entered | {f"left.{kind}": pair[1] for kind, pair in kinds.items()}


def small_store(folder: Path) -> Store:
    """Anne has a lesion with a box; Bert is a true negative whose report could not be read; one study is excluded."""
    store = Store(folder, SHARDS)
    assert shard_of(ANNE, SHARDS) != shard_of(BERT, SHARDS)
    anne, bert = shard_of(ANNE, SHARDS), shard_of(BERT, SHARDS)
    failure = ExtractionFailure(
        report_id="R2", patient_id=BERT, report_type=ReportType.RADIOLOGY, organ="prostate", extractor="rules", cause="too long"
    )
    excluded = Exclusion(case_id="1.2.9", patient_id=BERT, stage="postprocessing", reason="no_t2w")
    results: dict[tuple[str, int], ShardResult] = {
        (READING, anne): ShardResult(
            records=[REPORT, STUDY, TARGET],
            ledger=(ledger_row("report", "reports.csv:7", "malformed_row", ANNE),),
            counts=counts(report=(2, 1), study=(1, 1), target=(1, 1)),
        ),
        (READING, bert): ShardResult(
            records=[SECOND_REPORT, SECOND_STUDY],
            ledger=(ledger_row("file", "notes.txt", "not_dicom", None),),
            counts=counts(report=(1, 1), study=(2, 2), file=(1, 0)),
        ),
        ("preprocessing", anne): ShardResult(
            records=[PatientRecord(patient_id=ANNE, reports=(REPORT,), studies=(STUDY,), targets=(TARGET,))],
            ledger=(ledger_row("target", "T1", "no_frame", ANNE, Outcome.FLAGGED),),
            counts=counts(report=(1, 1), study=(1, 1), target=(1, 1)),
        ),
        ("preprocessing", bert): ShardResult(
            records=[PatientRecord(patient_id=BERT, reports=(SECOND_REPORT,), studies=(SECOND_STUDY,))],
            counts=counts(report=(1, 1), study=(2, 2)),
        ),
        ("extraction", anne): ShardResult(records=[EXTRACTION], counts=counts(report=(1, 1))),
        ("extraction", bert): ShardResult(
            records=[failure],
            ledger=(
                ledger_row("report", "R2", "extraction_failed", BERT),
                ledger_row("report", "R2", "low_confidence", BERT, Outcome.REVIEW),
            ),
            counts=counts(report=(1, 0)),
        ),
        ("matching", anne): ShardResult(
            records=[MatchedCase(case=case_of(STUDY, EXTRACTION), lesions=(LESION,))], counts=counts(case=(None, 1), lesion=(None, 2))
        ),
        ("matching", bert): ShardResult(records=[MatchedCase(case=case_of(SECOND_STUDY))], counts=counts(case=(None, 2))),
        ("postprocessing", anne): ShardResult(records=[CURATED], counts=counts(case=(1, 1), label=(None, 2))),
        ("postprocessing", bert): ShardResult(
            records=[NEGATIVE, excluded], ledger=(ledger_row("case", "1.2.9", "no_t2w", BERT),), counts=counts(case=(2, 1))
        ),
        ("export", anne): ShardResult(records=[EXPORTED], counts=counts(case=(1, 1))),
        ("export", bert): ShardResult(records=[], ledger=(ledger_row("case", "1.2.2", "unreadable", BERT),), counts=counts(case=(1, 0))),
    }
    for (stage, shard), result in results.items():
        store.write(stage, shard, "key", result)
    return store
