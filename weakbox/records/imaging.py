"""Imaging studies and their series, as the DICOM headers state them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from enum import StrEnum

from weakbox.records.grid import Grid
from weakbox.records.record import record
from weakbox.records.stated import FieldValue


class SeriesRole(StrEnum):
    T2W = "T2W"
    DWI = "DWI"
    ADC = "ADC"
    DCE = "DCE"
    T1W = "T1W"
    LOCALIZER = "LOCALIZER"
    MAMMOGRAM = "MG"
    DERMATOSCOPY = "DMS"
    OTHER = "OTHER"
    UNKNOWN = "unknown"


class Plane(StrEnum):
    """Dominant direction of the slice normal; oblique axial is axial."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


class Purpose(StrEnum):
    """What a study's series is used for downstream."""

    T2W = "T2W"
    ADC = "ADC"
    HIGH_B = "HIGH_B"
    DCE = "DCE"
    """The phase of a contrast series that a data set annotates."""


PURPOSES_OF: Mapping[str, tuple[Purpose, ...]] = {
    "prostate": (Purpose.T2W, Purpose.ADC, Purpose.HIGH_B),
    "breast": (Purpose.DCE,),
}
"""What an MR study of an organ is expected to have; boxes count the voxels of the first where they name no series."""


@record
class Instance:
    """One image of a series: a single-frame file, or one frame (1-based) of a multi-frame file."""

    path: str
    sop_instance_uid: str
    sop_class_uid: str
    frame: int | None = None


@record
class Series:
    """One DICOM series, or one part of it (a single b-value, say) where a series mixes volumes.

    ``instances`` are ordered along the slice axis of ``grid`` (k = 0 first). They are kept only where the series
    may be used (T2W, DWI, ADC candidates), so that an index of a hospital stays small.
    """

    series_uid: str
    study_uid: str
    part: str = ""
    """Empty for a whole series; otherwise what sets the part apart, ``b800`` for example."""
    role: SeriesRole
    role_confidence: float
    role_reason: str
    plane: Plane | None = None
    description: str = ""
    series_number: int | None = None
    modality: str = "MR"
    frame_of_reference_uid: str | None = None
    grid: Grid | None = None
    image_count: int = 0
    b_values: tuple[float, ...] = ()
    is_computed_b: bool = False
    is_diagnostic: bool = True
    """False for needle-guidance and other intra-procedural series."""
    manufacturer: str | None = None
    model: str | None = None
    magnetic_field_strength_t: float | None = None
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    flip_angle_deg: float | None = None
    slice_thickness_mm: float | None = None
    receive_coil: str | None = None
    scanning_sequence: str | None = None
    protocol_name: str | None = None
    sequence_name: str | None = None
    acquisition_time: str | None = None
    problems: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()
    volume_path: str | None = None
    """A ready image file (NIfTI, MHA; of a 2-D image PNG, JPEG, TIFF) instead of DICOM instances."""
    attributes: Mapping[str, FieldValue] = field(default_factory=dict)
    """What a data set states of one image: ``laterality`` (left, right), ``view`` (CC, MLO ...), ``breast_density`` (a..d),
    ``columns``, ``rows``, ``implant``, ``site`` ...; only what is stated."""

    @property
    def key(self) -> str:
        """What names this series or part uniquely."""
        return f"{self.series_uid}#{self.part}" if self.part else self.series_uid


@record
class SeriesChoice:
    """Which series serves a purpose in a study, and why; ``derived`` says how it is computed where it was not acquired."""

    purpose: Purpose
    series_key: str | None
    reason: str
    derived: str | None = None
    """``adc_from_dwi`` or ``computed_b1400``: made from ``inputs`` at export, never acquired."""
    inputs: tuple[str, ...] = ()
    runners_up: tuple[str, ...] = ()


class StudyKind(StrEnum):
    DIAGNOSTIC = "diagnostic"
    INTRAPROCEDURAL = "intraprocedural"


@record
class ImagingStudy:
    study_uid: str
    patient_id: str
    accession: str | None = None
    study_date: date | None = None
    study_time: str | None = None
    description: str = ""
    kind: StudyKind = StudyKind.DIAGNOSTIC
    kind_reason: str = ""
    patient_age_years: float | None = None
    patient_sex: str | None = None
    series: tuple[Series, ...] = ()
    choices: tuple[SeriesChoice, ...] = ()

    def find_series(self, key: str | None) -> Series | None:
        """The series with that key, or None."""
        return next((series for series in self.series if series.key == key), None)

    def choice(self, purpose: Purpose) -> SeriesChoice | None:
        """What was chosen for a purpose, or None."""
        return next((choice for choice in self.choices if choice.purpose == purpose), None)

    def chosen(self, purpose: Purpose) -> Series | None:
        """The series chosen for a purpose; None where there is none or where it is derived."""
        choice = self.choice(purpose)
        return self.find_series(choice.series_key) if choice and choice.series_key else None
