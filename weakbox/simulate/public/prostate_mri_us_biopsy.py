"""Prostate-MRI-US-Biopsy as IDC's downloads lie (one folder a UID, lesion segmentations included), or as TCIA's with STL meshes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from weakbox.simulate.course import Region
from weakbox.simulate.draws import content_uid
from weakbox.simulate.imaging_plan import SeriesPlan
from weakbox.simulate.public.prostate_studies import (
    Description,
    ProstateStudy,
    classic_series_name,
    classic_study_name,
    draw_prostate_study,
    lesion_mask,
    planted,
    write_dicom_study,
)
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree
from weakbox.simulate.public.workbooks import Cell, write_workbook

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
NAMES = Description(
    t2="t2_spc_rst_axial obl_Prostate",
    diffusion="ep2d-advdiff-3Scan-4bval_spair_std",
    adc="ep2d-advdiff-3Scan-4bval_spair_std_ADC",
    high_b="ep2d-advdiff-3Scan-4bval_spair_std_CALC_BVAL",
    sagittal="t2_tse_sag",
    study="MR PROSTATE WO+W CONTRAST",
)
TARGET_COLUMNS = (
    "UCLA Score (Similar to PIRADS v2)", "ROI Volume (cc)", "Target No.", "seriesInstanceUID_US", "seriesInstanceUID_MR", "Patient ID",
)  # fmt: skip
_POINTS = tuple(f"Bx {end} {axis} ({space} Coord)" for space in ("MRI", "US") for end in ("Tip", "Base") for axis in "XYZ")
CORE_COLUMNS = (
    "PSA (ng/mL)", "Primary Gleason", "Secondary Gleason", "Cancer Length (mm)", "% Cancer in Core",
    *(f"Core Fragment #{number} Tissue Length (mm)" for number in (1, 2, 3)), *_POINTS,
    "Prostate Volume (CC)", "Core Label", "Series Instance UID (US)", "Series Instance UID (MRI)", "Patient Number",
)  # fmt: skip
TARGETED = "TARGET OR PRIOR POSITIVE"
KINDS: tuple[tuple[int, tuple[tuple[int, int] | None, ...]], ...] = (
    (1, ((3, 4), None)),
    (2, ((4, 4),)),
    (1, (None, None)),
    (1, ()),
)
"""Targets of a patient, and the Gleason patterns of the targeted cores (None is benign), in turn."""
PLACEHOLDER = (-1000.0, -1000.0, 1000.0)
SPHERE = 4.0 / 3.0 * np.pi / 1000.0


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """IDC's layout with a segmentation a target."""
    return _write(folder, patients, seed, is_classic=False)


def write_classic(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The data retriever's folders, with meshes in MR and in ultrasound space instead of segmentations."""
    return _write(folder, patients, seed, is_classic=True)


def _write(folder: Path, patients: int, seed: int, *, is_classic: bool) -> PlantedTree:
    targets: list[Sequence[Cell]] = []
    cores: list[Sequence[Cell]] = []
    images: list[PlantedImage] = []
    for index in range(patients):
        patient = f"Prostate-MRI-US-Biopsy-{index + 1:04d}"
        lesions, gleason = KINDS[index % len(KINDS)]
        study = draw_prostate_study(seed, patient, 0, lesions, date(2009, 5, 25) + timedelta(days=40 * index))
        place = _write_classic_study if is_classic else _write_uid_study
        path, t2 = place(folder, study)
        sessions = [content_uid(study.study_uid, "US", session) for session in range(2 if index % 2 == 0 else 1)]
        targets += [_target_row(study, region, number, us, t2) for us in sessions for number, region in enumerate(study.regions, start=1)]
        cores += [_core_row(study, number, patterns, sessions[0], t2) for number, patterns in enumerate(gleason)]
        images.append(PlantedImage(path=path.relative_to(folder).as_posix(), patient_id=patient, lesions=_truth(study, gleason)))
    write_workbook(folder / "Target-Data_2019-12-05-2.xlsx", [TARGET_COLUMNS, *targets], "Prostate-MRI-US-Biopsy Target")
    write_workbook(folder / "TCIA-Biopsy-Data_2020-07-14.xlsx", [CORE_COLUMNS, *cores], "TCIA-Biopsy-Data")
    repeats = len(targets) - sum(len(image.lesions) for image in images)
    return PlantedTree(images=tuple(images), dropped={"duplicate": repeats} if repeats else {})


def _truth(study: ProstateStudy, gleason: Sequence[tuple[int, int] | None]) -> tuple[PlantedLesion, ...]:
    is_known = len(study.regions) == 1 and bool(gleason)
    diagnosis = ("prostate_cancer" if any(gleason) else "benign") if is_known else None
    return tuple(planted(study, region, diagnosis) for region in study.regions)


def _write_uid_study(folder: Path, study: ProstateStudy) -> tuple[Path, SeriesPlan]:
    root = folder / "prostate_mri_us_biopsy" / study.patient_id / study.study_uid
    plans = write_dicom_study(study, NAMES, lambda plan: root / f"MR_{plan.series_uid}")
    for number, region in enumerate(study.regions, start=1):
        uid = content_uid(study.study_uid, "SEG", number)
        write_segmentation(root / f"SEG_{uid}" / f"{uid}.dcm", study, region, f"Lesion {number}", plans[1].series_uid, uid)
    return root / f"MR_{plans[1].series_uid}", plans[1]


def _write_classic_study(folder: Path, study: ProstateStudy) -> tuple[Path, SeriesPlan]:
    root = folder / "manifest-1" / "Prostate-MRI-US-Biopsy" / study.patient_id / classic_study_name(study, NAMES.study)
    plans = write_dicom_study(study, NAMES, lambda plan: root / classic_series_name(plan))
    for number, region in enumerate(study.regions, start=1):
        points = ellipsoid_surface(region)
        write_mesh(folder / "STL" / mesh_name(study, number, plans[1].series_uid), points)
        write_mesh(folder / "STL" / mesh_name(study, number, content_uid(study.study_uid, "US", 0)), points[:, [1, 2, 0]] + 70.0)
    return root / classic_series_name(plans[1]), plans[1]


# Tables -------------------------------------------------------------------------------------------------------------


def _target_row(study: ProstateStudy, region: Region, number: int, ultrasound: str, t2: SeriesPlan) -> Sequence[Cell]:
    volume = round(float(np.prod(np.array(region.extents) / 2.0)) * SPHERE, 4)
    return (3 + number % 3, volume, number, ultrasound, t2.series_uid, study.patient_id)


def _core_row(study: ProstateStudy, number: int, patterns: tuple[int, int] | None, ultrasound: str, t2: SeriesPlan) -> Sequence[Cell]:
    """A core through the first lesion; every second one without coordinates, as the table writes it."""
    x, y, z = study.regions[0].centre
    ends = (*PLACEHOLDER, *PLACEHOLDER) if number % 2 else (x, y - 8.0, z + 1.0, x, y + 8.0, z - 1.0)
    track = tuple(round(value, 3) for value in ends)
    length, share = (4.0, 30.0) if patterns else (None, None)
    stated = (6.5, *(patterns or (None, None)), length, share, 16.0 + number, None, None)
    return (*stated, *track, *track, 48.5, TARGETED, ultrasound, t2.series_uid, study.patient_id)


# Segmentations ------------------------------------------------------------------------------------------------------


def write_segmentation(path: Path, study: ProstateStudy, region: Region, label: str, series_uid: str, uid: str) -> None:
    """A binary DICOM-SEG of one lesion on the T2: a frame for each slice that it touches (DICOM PS3.3 A.51)."""
    mask = lesion_mask(study.t2, region)
    slices = [k for k in range(mask.shape[0]) if mask[k].any()]
    dataset = _segmentation_header(study, label, series_uid, uid, len(slices))
    frames = []
    for k in slices:
        position = Dataset()
        position.ImagePositionPatient = [f"{value:.6f}" for value in study.t2.to_lps((0, 0, k))]
        identification = Dataset()
        identification.ReferencedSegmentNumber = 1
        frame = Dataset()
        frame.PlanePositionSequence = DicomSequence([position])
        frame.SegmentIdentificationSequence = DicomSequence([identification])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    dataset.PixelData = pack_bits(mask[slices].astype(np.uint8).ravel())
    dataset["PixelData"].VR = "OB"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _segmentation_header(study: ProstateStudy, label: str, series_uid: str, uid: str, frames: int) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(SEGMENTATION_STORAGE)
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    values: dict[str, Any] = {
        "SOPClassUID": SEGMENTATION_STORAGE,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": study.study_uid,
        "SeriesInstanceUID": content_uid(uid, "series"),
        "FrameOfReferenceUID": study.t2.frame_of_reference_uid,
        "PatientID": study.patient_id,
        "Modality": "SEG",
        "SeriesDescription": f"Segmentation of {label.lower()}",
        "ContentLabel": "SEGMENTATION",
        "SegmentationType": "BINARY",
        "NumberOfFrames": frames,
        "Rows": study.t2.shape[1],
        "Columns": study.t2.shape[0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 1,
        "BitsStored": 1,
        "HighBit": 0,
        "PixelRepresentation": 0,
        "LossyImageCompression": "00",
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    reference = Dataset()
    reference.SeriesInstanceUID = series_uid
    dataset.ReferencedSeriesSequence = DicomSequence([reference])
    dataset.SegmentSequence = DicomSequence([_segment(label)])
    dataset.SharedFunctionalGroupsSequence = DicomSequence([_shared_groups(study)])
    return dataset


def _segment(label: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "52988006", "SCT", "Lesion"
    segment = Dataset()
    segment.SegmentNumber = 1
    segment.SegmentLabel = label
    segment.SegmentAlgorithmType = "SEMIAUTOMATIC"
    segment.SegmentAlgorithmName = "Profuse"
    segment.SegmentedPropertyTypeCodeSequence = DicomSequence([code])
    segment.SegmentedPropertyCategoryCodeSequence = DicomSequence([code])
    return segment


def _shared_groups(study: ProstateStudy) -> Dataset:
    directions, (x, y, z) = study.t2.directions, study.t2.spacing
    orientation = Dataset()
    orientation.ImageOrientationPatient = [f"{value:.9f}" for value in (*directions[:, 0], *directions[:, 1])]
    measures = Dataset()
    measures.PixelSpacing = [f"{y:.6g}", f"{x:.6g}"]
    measures.SliceThickness = measures.SpacingBetweenSlices = f"{z:.6g}"
    shared = Dataset()
    shared.PlaneOrientationSequence = DicomSequence([orientation])
    shared.PixelMeasuresSequence = DicomSequence([measures])
    return shared


# Meshes -------------------------------------------------------------------------------------------------------------


def mesh_name(study: ProstateStudy, number: int, series_uid: str) -> str:
    """As TCIA names a target's mesh in the space of a series."""
    return f"{study.patient_id}-Target{number}-seriesUID-{series_uid}.STL"


def ellipsoid_surface(region: Region) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Points (n, 3) on the lesion's surface, LPS mm; n is a multiple of 3, its six poles among them."""
    angles = np.radians(np.arange(0, 360, 15))
    heights = np.radians(np.arange(-90, 91, 15))
    ring = [(np.cos(h) * np.cos(a), np.cos(h) * np.sin(a), np.sin(h)) for h in heights for a in angles]
    return np.array(ring) * np.array(region.extents) / 2.0 + np.array(region.centre)


def write_mesh(path: Path, points: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """A binary STL with those vertices, three a triangle."""
    triangles = np.zeros(len(points) // 3, dtype=[("normal", "<f4", 3), ("vertices", "<f4", (3, 3)), ("attribute", "<u2")])
    triangles["vertices"] = points.reshape(-1, 3, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"phantom".ljust(80, b"\0") + len(triangles).to_bytes(4, "little") + triangles.tobytes())


TREE = PublicTree(layout="idc_segmentations", write=write, other_layouts={"tcia_meshes": write_classic})
