"""Small DICOM phantoms for tests: an oblique multi-slice series written to disk, and the record that indexes it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from weakbox.records.grid import Grid
from weakbox.records.imaging import PURPOSES_OF, ImagingStudy, Instance, Series, SeriesChoice, SeriesRole
from weakbox.records.label import Box, CuratedCase, Evidence, LesionStatus, Tier, Vote, WeakLabel
from weakbox.records.stated import Span
from weakbox.runtime.privacy import ResearchIdentity

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def uid(*parts: str) -> str:
    """A UID that is the same for the same words."""
    return str(generate_uid(entropy_srcs=list(parts)))


def oblique_grid(
    shape: tuple[int, int, int] = (24, 20, 9),
    spacing: tuple[float, float, float] = (0.7, 0.9, 3.1),
    origin: tuple[float, float, float] = (-21.5, 13.25, -40.75),
    angles_degrees: tuple[float, float, float] = (17.0, -9.0, 6.0),
    frame: str = "phantom frame",
) -> Grid:
    """A grid turned about all three axes, with three different spacings; index (i, j, k) -> LPS mm."""
    a, b, c = np.radians(angles_degrees)
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn_z @ turn_y @ turn_x * np.array(spacing)
    matrix[:3, 3] = origin
    return Grid.from_matrix(np.round(matrix, 9), shape, uid(frame))


def asymmetric_array(grid: Grid, peak: int = 1000) -> NDArray[np.int16]:
    """Different values along every axis and in every corner: no flip or swap of axes leaves it unchanged."""
    columns, rows, slices = grid.shape
    k, j, i = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
    return np.asarray(peak * (0.1 + 0.3 * i / columns + 0.25 * (j / rows) ** 2 + 0.2 * k / slices), dtype=np.int16)


def write_series(folder: Path, grid: Grid, array: NDArray[Any], *, name: str = "t2w", study: str = "study", **tags: Any) -> Series:
    """Write one file a slice (slices shuffled among the file names) and return the record that indexes them.

    ``tags`` are DICOM keywords, set on every file; ``b_values``, ``role``, ``part`` set the record's fields.
    """
    fields = {key: tags.pop(key) for key in ("b_values", "role", "part", "is_computed_b") if key in tags}
    folder.mkdir(parents=True, exist_ok=True)
    instances = [_write_slice(folder, grid, array[k], k, name, study, tags) for k in range(grid.shape[2])]
    return Series(
        series_uid=uid(study, name),
        study_uid=uid(study),
        role=fields.pop("role", SeriesRole.T2W),
        role_confidence=1.0,
        role_reason="phantom",
        description=str(tags.get("SeriesDescription", "")),
        manufacturer=str(tags.get("Manufacturer", "PHANTOM")),
        frame_of_reference_uid=grid.frame_of_reference_uid,
        grid=grid,
        image_count=len(instances),
        instances=tuple(instances),
        **fields,
    )


def _write_slice(folder: Path, grid: Grid, pixels: NDArray[Any], k: int, name: str, study: str, tags: dict[str, Any]) -> Instance:
    sop_uid = uid(study, name, str(k))
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
    dataset.file_meta.MediaStorageSOPInstanceUID = sop_uid
    values: dict[str, Any] = {
        "SOPClassUID": MR_IMAGE_STORAGE,
        "SOPInstanceUID": sop_uid,
        "StudyInstanceUID": uid(study),
        "SeriesInstanceUID": uid(study, name),
        "FrameOfReferenceUID": grid.frame_of_reference_uid,
        "PositionReferenceIndicator": "",
        "Modality": "MR",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "PatientName": "Secret^Person",
        "PatientID": "MRN-4711",
        "PatientBirthDate": "19500102",
        "PatientSex": "M",
        "StudyDate": "20200229",
        "StudyTime": "101112",
        "StudyID": "77",
        "AccessionNumber": "ACC-4711",
        "ReferringPhysicianName": "Doctor^Who",
        "SeriesNumber": 3,
        "InstanceNumber": k + 1,
        "Manufacturer": "PHANTOM",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "SliceThickness": f"{grid.spacing[2]:.6g}",
        "SpacingBetweenSlices": f"{grid.spacing[2]:.6g}",
        "PixelSpacing": [f"{grid.spacing[1]:.10g}", f"{grid.spacing[0]:.10g}"],
        "ImageOrientationPatient": [f"{value:.9f}" for value in grid.directions[:, :2].T.ravel()],
        "ImagePositionPatient": [f"{value:.8f}" for value in grid.to_lps((0, 0, k))],
        **tags,
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value[k] if isinstance(value, tuple) else value)
    dataset.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
    path = folder / f"{sop_uid[-10:]}_{name}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return Instance(path=str(path), sop_instance_uid=sop_uid, sop_class_uid=MR_IMAGE_STORAGE)


def box_at(
    grid: Grid, index: tuple[float, float, float], size_mm: tuple[float, float, float], key: str, uncertainty_mm: float = 3.0
) -> Box:
    """A box around a continuous (i, j, k) index, aligned with the grid, as the records define it."""
    centre, half = np.array(index), np.array(size_mm) / np.array(grid.spacing) / 2
    corners = [grid.to_lps(centre + half * (i, j, k)) for k in (-1, 1) for j in (-1, 1) for i in (-1, 1)]
    start = np.clip(np.ceil(centre - half), 0, np.array(grid.shape) - 1).astype(int)
    stop = np.clip(np.floor(centre + half) + 1, start + 1, grid.shape).astype(int)
    return Box(
        centre=as_point(grid.to_lps(centre)),
        size_mm=size_mm,
        corners=tuple(as_point(corner) for corner in corners),
        voxel_start=(int(start[0]), int(start[1]), int(start[2])),
        voxel_stop=(int(stop[0]), int(stop[1]), int(stop[2])),
        reference_series_key=key,
        frame_of_reference_uid=grid.frame_of_reference_uid,
        uncertainty_mm=uncertainty_mm,
    )


def as_point(values: Any) -> tuple[float, float, float]:
    """Three plain floats."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def write_study(folder: Path) -> ImagingStudy:
    """T2W, ADC and high b of one oblique study in one frame; the diffusion series on a coarser grid."""
    anatomy = oblique_grid()
    diffusion = oblique_grid(shape=(16, 14, 9), spacing=(1.1, 1.3, 3.1))
    t2w = write_series(folder / "t2w", anatomy, asymmetric_array(anatomy))
    adc = write_series(folder / "adc", diffusion, asymmetric_array(diffusion, 2500), name="adc", role=SeriesRole.ADC)
    high_b = write_series(
        folder / "high_b", diffusion, asymmetric_array(diffusion, 300), name="high_b", role=SeriesRole.DWI, b_values=(1400.0,), part="b1400"
    )
    series = (t2w, adc, high_b)
    return ImagingStudy(
        study_uid=uid("study"),
        patient_id="MRN-4711",
        accession="ACC-4711",
        study_date=date(2020, 2, 29),
        patient_sex="M",
        patient_age_years=93.5,
        series=series,
        choices=tuple(
            SeriesChoice(purpose=purpose, series_key=item.key, reason="phantom")
            for purpose, item in zip(PURPOSES_OF["prostate"], series, strict=True)
        ),
    )


def phantom_case(folder: Path) -> CuratedCase:
    """A case with a graded lesion, a benign one that overlaps it, and one without a box."""
    study = write_study(folder)
    t2w = study.series[0]
    assert t2w.grid is not None
    names = {"case_id": "MRN-4711/study", "pirads": 4}
    cancer = WeakLabel(
        label_id="MRN-4711/study/1",
        lesion_id="MRN-4711/1",
        status=LesionStatus.CANCER,
        isup_grade=3,
        gleason_primary=4,
        gleason_secondary=3,
        is_clinically_significant=True,
        side="left",
        zone="PZ",
        sectors=("L_mid_PZpl",),
        max_diameter_mm=9.5,
        box=box_at(t2w.grid, (11.3, 9.1, 4.2), (7.5, 8.1, 9.3), t2w.key),
        tier=Tier.BIOPSY_COORDINATE,
        centre_source="target",
        size_source="reported_diameter",
        class_source="target_specimen",
        confidence=0.8,
        votes=(
            Vote(voter="pathology", aspect="class", value=3, confidence=0.9, reason="REPORT-4711", evidence=()),
            Vote(voter="Doctor Who", aspect="decision", value="accepted", confidence=1.0, reason="review decision"),
        ),
        evidence=(Evidence(record_id="REPORT-4711", field="isup_grade", span=Span(start=10, end=16)),),
        conflicts=("side: report left, coordinate right",),
        **names,
    )
    benign = WeakLabel(
        label_id="MRN-4711/study/2",
        lesion_id="MRN-4711/2",
        status=LesionStatus.BENIGN,
        box=box_at(t2w.grid, (14.8, 12.2, 5.1), (6.5, 6.1, 9.3), t2w.key, uncertainty_mm=8.0),
        tier=Tier.REPORT_SECTOR,
        confidence=0.5,
        **names,
    )
    unplaced = WeakLabel(label_id="MRN-4711/study/3", lesion_id="MRN-4711/3", status=LesionStatus.UNTESTED, confidence=0.2, **names)
    return CuratedCase(
        case_id="MRN-4711/study",
        patient_id="MRN-4711",
        dataset="phantom",
        organ="prostate",
        study=study,
        labels=(cancer, benign, unplaced),
        tier=Tier.BIOPSY_COORDINATE,
        case_isup_grade=3,
        is_clinically_significant=True,
        clinical={"psa_ng_ml": 7.25, "prostate_volume_ml": 41.0},
    )


def research_identity() -> ResearchIdentity:
    """The names under which the phantom leaves the house."""
    return ResearchIdentity(patient_id="P0001", case_id="P0001_S0001", date_shift_days=-100, keep_original=False)
