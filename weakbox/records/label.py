"""Weak labels, the votes behind them, and the curated case that leaves the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from weakbox.records.grid import Point
from weakbox.records.imaging import ImagingStudy
from weakbox.records.record import record
from weakbox.records.stated import FieldValue, Span


class Tier(StrEnum):
    """Where a label's box comes from, best first."""

    EXPERT = "expert"
    TARGET_ROI = "target_roi"
    BIOPSY_COORDINATE = "biopsy_coordinate"
    BIOPSY_CORE = "biopsy_core"
    REPORT_SECTOR = "report_sector"
    CASE_LEVEL = "case_level"


@record
class Evidence:
    """Where a label's value was stated: words of a report (offsets into its raw text), or a row of a table."""

    record_id: str
    field: str
    span: Span | None = None


@record
class Vote:
    """Who says what about one aspect of a label; ``value`` None is an abstention, which is not a failure."""

    voter: str
    aspect: str
    """``centre``, ``size``, ``class``, ``side``, ``decision`` ..."""
    value: FieldValue | None
    confidence: float
    reason: str
    evidence: tuple[Evidence, ...] = ()


@record
class Box:
    """A box aligned with the reference series' voxel axes.

    ``corners`` are its eight corners, LPS mm, index order i fastest: the exact, unrounded box.
    ``voxel_start``/``voxel_stop`` are the half-open (i, j, k) box of voxels whose centres lie inside it, clipped to
    the grid, at least one voxel an axis. ``size_mm`` is along (i, j, k); ``uncertainty_mm`` never enlarges the box.
    """

    centre: Point
    size_mm: Point
    corners: tuple[Point, ...]
    voxel_start: tuple[int, int, int]
    voxel_stop: tuple[int, int, int]
    reference_series_key: str
    frame_of_reference_uid: str | None
    uncertainty_mm: float


class LesionStatus(StrEnum):
    """What tissue says of a lesion; ``untested`` is imaging only.

    ``not_significant``: a table only says that it is no clinically significant cancer, so benign or ISUP 1 (PROSTATEx).
    """

    CANCER = "cancer"
    BENIGN = "benign"
    NOT_SIGNIFICANT = "not_significant"
    UNTESTED = "untested"


@record
class WeakLabel:
    """One lesion's label: where, what, how sure, and everything that speaks for or against it."""

    label_id: str
    lesion_id: str
    case_id: str
    status: LesionStatus
    isup_grade: int | None = None
    """1..5 for graded cancer; None for benign, ungraded and untested."""
    is_clinically_significant: bool | None = None
    pirads: int | None = None
    likert: int | None = None
    side: str | None = None
    zone: str | None = None
    sectors: tuple[str, ...] = ()
    max_diameter_mm: float | None = None
    gleason_primary: int | None = None
    gleason_secondary: int | None = None
    box: Box | None = None
    tier: Tier = Tier.CASE_LEVEL
    centre_source: str | None = None
    size_source: str | None = None
    class_source: str | None = None
    confidence: float = 0.0
    votes: tuple[Vote, ...] = ()
    conflicts: tuple[str, ...] = ()
    needs_review: bool = False
    evidence: tuple[Evidence, ...] = ()
    location: str | None = None


class Decision(StrEnum):
    ACCEPTED = "accepted"
    ADJUSTED = "adjusted"
    REJECTED = "rejected"


@record
class ReviewDecision:
    """What a reader decided about a label; enters as a vote that wins."""

    label_id: str
    case_id: str
    decision: Decision
    reader: str
    decided_at: datetime
    box: Box | None = None
    isup_grade: int | None = None
    comment: str = ""


@record
class CuratedCase:
    """The outcome for one study that goes into the set: its labels, possibly none, and why."""

    case_id: str
    patient_id: str
    dataset: str
    organ: str
    study: ImagingStudy
    labels: tuple[WeakLabel, ...] = ()
    tier: Tier = Tier.CASE_LEVEL
    case_isup_grade: int | None = None
    is_clinically_significant: bool | None = None
    negative_reason: str | None = None
    """Why a case without boxes is a true negative; None where it is not one."""
    clinical: Mapping[str, FieldValue] = field(default_factory=dict)
    """Case-level values by the contract's names (psa_ng_ml, prostate_volume_ml ...)."""
    clinical_evidence: tuple[Evidence, ...] = ()
    """Where the values of ``clinical`` were stated."""
    conflicts: tuple[str, ...] = ()
    needs_review: bool = False


@record
class Exclusion:
    """A case that does not go into the set, with the stage and the reason."""

    case_id: str
    patient_id: str
    stage: str
    reason: str
    detail: str = ""
