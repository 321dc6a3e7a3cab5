"""A patient's records, a case (one imaging study with what belongs to it), and the ledger of what did not go on."""

from __future__ import annotations

from enum import StrEnum

from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation
from weakbox.records.extraction import Finding, ReportExtraction, Specimen
from weakbox.records.imaging import ImagingStudy
from weakbox.records.record import record
from weakbox.records.report import Report


class Outcome(StrEnum):
    DROPPED = "dropped"
    FLAGGED = "flagged"
    REVIEW = "review"


@record
class LedgerEntry:
    """One item that did not go on (dropped), or went on with a remark. ``detail`` carries no report text."""

    stage: str
    kind: str
    """``report``, ``study``, ``series``, ``target``, ``core``, ``finding``, ``specimen``, ``lesion``, ``case``, ``file`` ..."""
    item_id: str
    outcome: Outcome
    reason: str
    """A short code: ``no_date``, ``duplicate``, ``outside_image`` ..."""
    detail: str = ""
    patient_id: str | None = None


@record
class PatientRecord:
    """Everything known of one patient; the unit that is sharded and matched."""

    patient_id: str
    reports: tuple[Report, ...] = ()
    studies: tuple[ImagingStudy, ...] = ()
    targets: tuple[BiopsyTarget, ...] = ()
    cores: tuple[BiopsyCore, ...] = ()
    segmentations: tuple[Segmentation, ...] = ()


class LinkKind(StrEnum):
    REPORT_STUDY = "report-study"
    PATHOLOGY_STUDY = "pathology-study"
    TARGET_STUDY = "target-study"
    CORE_STUDY = "core-study"
    SEGMENTATION_STUDY = "segmentation-study"
    FINDING_TARGET = "finding-target"
    FINDING_SPECIMEN = "finding-specimen"
    FINDING_SEGMENTATION = "finding-segmentation"
    TARGET_SPECIMEN = "target-specimen"
    TARGET_CORE = "target-core"
    TARGET_SEGMENTATION = "target-segmentation"
    SPECIMEN_SEGMENTATION = "specimen-segmentation"
    SEGMENTATION_CORE = "segmentation-core"
    FINDING_CORE = "finding-core"


@record
class Link:
    """Two records that belong together: score 0..1, the reason in words, and whether a person should look."""

    kind: LinkKind
    left_id: str
    right_id: str
    score: float
    reason: str
    needs_review: bool = False


@record
class Lesion:
    """Where a finding, a target and tissue meet. Any of them may be missing; every link says why the rest are here."""

    lesion_id: str
    case_id: str
    finding: Finding | None = None
    target: BiopsyTarget | None = None
    segmentation: Segmentation | None = None
    specimens: tuple[Specimen, ...] = ()
    cores: tuple[BiopsyCore, ...] = ()
    links: tuple[Link, ...] = ()
    conflicts: tuple[str, ...] = ()


@record
class Case:
    """One imaging study with what belongs to it."""

    case_id: str
    patient_id: str
    study: ImagingStudy
    radiology: tuple[ReportExtraction, ...] = ()
    """Extractions of the radiology reports of this study, the one that counts first."""
    pathology: tuple[ReportExtraction, ...] = ()
    targets: tuple[BiopsyTarget, ...] = ()
    cores: tuple[BiopsyCore, ...] = ()
    segmentations: tuple[Segmentation, ...] = ()
    """Lesion masks of this study."""
    gland: Segmentation | None = None
    links: tuple[Link, ...] = ()
    days_to_pathology: int | None = None
    days_followed: int | None = None
    """Days from this study to the last record of the patient: what a negative case rests on."""
    cancer_days: tuple[int, ...] = ()
    """Days from this study to each tissue of the patient that holds cancer, whichever study it belongs to; negative before it."""
    diagnostic_study_count: int = 1
    """Diagnostic studies of the patient, this one included: with one only, a point without a frame can lie in no other."""


@record
class MatchedCase:
    """A case with its lesions; what stayed unlinked is in the ledger and in ``unlinked``."""

    case: Case
    lesions: tuple[Lesion, ...] = ()
    unlinked: tuple[LedgerEntry, ...] = ()
