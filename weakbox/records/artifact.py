"""What was written, and what made it."""

from __future__ import annotations

from collections.abc import Mapping

from weakbox.records.record import record


@record
class Artifact:
    """One file of the exported set; ``path`` is relative to the set's folder."""

    path: str
    kind: str
    """``nifti``, ``dicom_seg``, ``dicom_sr``, ``overlay`` ..."""
    role: str
    """``t2w``, ``adc``, ``high_b``, ``label_boxes`` ..."""
    case_id: str | None
    sha256: str
    bytes: int
    sop_instance_uid: str | None = None


@record
class Provenance:
    """What made a stage's records: code, configuration, packages, model and prompt digests."""

    weakbox_version: str
    configuration_sha256: str
    packages: Mapping[str, str]
    models: Mapping[str, str]


@record
class ExportedCase:
    """What the export of one case wrote; ``case_id`` and ``patient_id`` are the hospital's, for tracing, and stay private."""

    case_id: str
    patient_id: str
    research_case_id: str
    research_patient_id: str
    date_shift_days: int
    artifacts: tuple[Artifact, ...]
    is_complete: bool
