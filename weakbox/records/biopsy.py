"""Biopsy targets, biopsy cores and segmentations: where someone pointed, sampled or drew."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from weakbox.records.grid import Point
from weakbox.records.record import record


class CoordinateSystem(StrEnum):
    """RAS is converted at the edge; IJK is 0-based (column, row, slice) voxel centres of ``series_uid``."""

    LPS = "LPS"
    IJK = "ijk"


class Guidance(StrEnum):
    """How the needle found the target; decides the expected error of the coordinate."""

    FUSION = "fusion"
    IN_BORE = "in_bore"
    COGNITIVE = "cognitive"
    UNKNOWN = "unknown"


@record
class BiopsyTarget:
    """One MRI target as a biopsy system, a marksheet or a reader gives it.

    ``position`` is LPS mm, or voxel indices where ``coordinate_system`` is IJK. ``axes_mm`` are the extents
    (left-right, antero-posterior, cranio-caudal) where the axes are known.
    """

    target_id: str
    patient_id: str
    label: str | None
    """As written: ``1``, ``ROI 2``, ``Target A``."""
    position: Point | None
    coordinate_system: CoordinateSystem = CoordinateSystem.LPS
    study_uid: str | None = None
    series_uid: str | None = None
    series_number: int | None = None
    """Number of a series of the study in whose frame ``position`` lies, where the sheet names no UID (PROSTATEx)."""
    frame_of_reference_uid: str | None = None
    accession: str | None = None
    procedure_date: date | None = None
    study_date: date | None = None
    diameter_mm: float | None = None
    axes_mm: Point | None = None
    volume_ml: float | None = None
    location: str | None = None
    """Location words that the sheet gives, read by the organ's own vocabulary."""
    pirads: int | None = None
    likert: int | None = None
    gleason_primary: int | None = None
    gleason_secondary: int | None = None
    isup_grade: int | None = None
    """0 is a stated benign result; None is not stated."""
    is_clinically_significant: bool | None = None
    guidance: Guidance = Guidance.UNKNOWN
    source: str = ""
    source_file: str = ""
    source_row: int | None = None
    problems: tuple[str, ...] = ()


@record
class BiopsyCore:
    """One needle core: the tissue from ``base`` to ``tip``, LPS mm in the frame of ``series_uid``."""

    core_id: str
    patient_id: str
    label: str
    is_targeted: bool | None
    target_label: str | None = None
    tip: Point | None = None
    base: Point | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    frame_of_reference_uid: str | None = None
    procedure_date: date | None = None
    gleason_primary: int | None = None
    gleason_secondary: int | None = None
    isup_grade: int | None = None
    """0 is a stated benign core; None is not stated."""
    cancer_length_mm: float | None = None
    percent_cancer: float | None = None
    core_length_mm: float | None = None
    psa_ng_ml: float | None = None
    prostate_volume_ml: float | None = None
    guidance: Guidance = Guidance.UNKNOWN
    source: str = ""
    source_file: str = ""
    source_row: int | None = None
    problems: tuple[str, ...] = ()


class SegmentationKind(StrEnum):
    LESION = "lesion"
    GLAND = "gland"
    ZONE_PZ = "zone_pz"
    ZONE_TZ = "zone_tz"


@record
class Segmentation:
    """One segment of a DICOM-SEG or one value of a NIfTI mask, with its extent.

    ``corner`` and ``edges`` (three vectors) span the tight box of the mask along its own voxel axes, LPS mm,
    voxel edges included; ``centroid`` is the mean of its voxel centres, LPS mm.
    """

    segmentation_id: str
    patient_id: str
    kind: SegmentationKind
    label: str | None
    path: str
    segment_number: int
    centroid: Point
    corner: Point
    edges: tuple[Point, Point, Point]
    volume_ml: float
    frame_of_reference_uid: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    isup_grade: int | None = None
    is_expert: bool = True
    source: str = ""
