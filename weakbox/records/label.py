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
    MODEL = "model"
    """Drawn by a model, perhaps guided by a report or a person's click (PI-CAI's ``Bosma22a``)."""
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


@record
class PixelBox:
    """A box on a 2-D image, in pixels of the image as it is stored.

    Edges, not centres: the pixel in column c and row r fills c..c+1 and r..r+1, so ``x1 - x0`` is the width. No
    millimetres and no Frame of Reference: a projection has none.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    series_key: str
    """The image, by ``Series.key``."""

    def __post_init__(self) -> None:
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            msg = f"a box has x1 > x0 and y1 > y0, got x {self.x0}..{self.x1}, y {self.y0}..{self.y1}"
            raise ValueError(msg)


@record
class MaskFile:
    """A mask on disk: the voxels or pixels of ``path`` that hold ``value`` (any but 0 where None), on the grid of ``series_key``."""

    path: str
    series_key: str
    value: int | None = None


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
    diagnosis: str | None = None
    """What a data set calls it, in lower snake case (``malignant``, ``benign_without_callback``, ``melanoma``); no BI-RADS."""
    birads: str | None = None
    finding_types: tuple[str, ...] = ()
    """``mass``, ``calcification``, ``architectural_distortion``, ``asymmetry`` ..., sorted; empty where not stated."""
    attributes: Mapping[str, FieldValue] = field(default_factory=dict)
    """What else a data set states of the lesion (shape, margin, subtlety ...), by its own words."""
    series_key: str | None = None
    """The image that a label without a box speaks of; None for the whole study."""
    pixel_box: PixelBox | None = None
    mask: MaskFile | None = None


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
class Origin:
    """What a public data set says of a case beside its labels."""

    dataset: str
    """File name in ``weakbox/datasets_public``."""
    licence: str
    """Of this very image where the set states one for each, else of the set."""
    group_ids: tuple[str, ...]
    """What no split may tear apart: ``patient:<id>``, ``lesion:<id>``; sorted, with the data set's own identifiers."""
    identifiers: tuple[str, ...] = ()
    """Names under which the same images may come again: ``isic:ISIC_0000001``, ``prostatex:ProstateX-0001``, ``sop:<UID>``."""
    official_split: str | None = None
    """``train``, ``validation`` or ``test`` where the data set has a split of its own."""
    attribution: str = ""


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
    origin: Origin | None = None
    """Of a public case; None for the cohort's own."""


@record
class Exclusion:
    """A case that does not go into the set, with the stage and the reason."""

    case_id: str
    patient_id: str
    stage: str
    reason: str
    detail: str = ""
