"""Small breast MR series with a planted tumour, for the trees of the public breast MR sets.

The phantom is two breasts of different size and a tumour that takes up contrast; arrays are numpy [k, j, i]. Patients lie prone, so
rows and columns may run against the patient axes, and slices may be numbered from either end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.grid import Grid
from weakbox.records.record import record
from weakbox.simulate.draws import Draws, content_uid

SHAPE = (48, 40, 12)
"""Columns, rows, slices."""
SPACING = (1.4, 1.4, 2.5)
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
_FAT, _GLAND, _TUMOUR = 180.0, 320.0, 420.0
UPTAKE = {"pre": 0.0, "post_1": 1.0, "post_2": 0.8, "post_3": 0.7, "t1": 0.0}
"""How much of the contrast a phase shows."""
_PRONE = ((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
"""Image Orientation (Patient) as scanners write it for the two ways of lying in the coil."""


@record
class BreastStudy:
    """One patient: where the volume lies, and the tumour's half-open voxel box (i, j, k)."""

    patient_id: str
    study_uid: str
    frame_of_reference_uid: str
    grid: Grid
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    is_reversed: bool
    """Whether Instance Number 1 is the slice with the highest k."""

    def instance_number(self, k: int) -> int:
        """Instance Number of a slice."""
        return SHAPE[2] - k if self.is_reversed else k + 1


def draw_breast_study(seed: int, patient_id: str, number: int) -> BreastStudy:
    """A study that follows from its arguments; every second one is numbered from the top."""
    draws = Draws("breast mr", seed, patient_id)
    orientation = np.array(_PRONE[number // 2 % 2]).reshape(2, 3)
    tilt = np.radians(6.0 if number % 3 == 2 else 0.0)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0.0], [np.sin(tilt), np.cos(tilt), 0.0], [0.0, 0.0, 1.0]])
    rows, columns = np.round(orientation @ turn.T, 6)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = rows * SPACING[0], columns * SPACING[1], np.cross(rows, columns) * SPACING[2]
    matrix[:3, 3] = (draws.whole(-60, -20), draws.whole(-50, -10), draws.whole(-40, 40))
    uid, frame = content_uid("breast study", seed, patient_id), content_uid("breast frame", seed, patient_id)
    size = (draws.whole(5, 9), draws.whole(4, 7), draws.whole(2, 4))
    low = (6 if draws.chance(0.5) else 28, 12, 4)
    start = (low[0] + draws.whole(0, 6), low[1] + draws.whole(0, 10), low[2] + draws.whole(0, 3))
    return BreastStudy(
        patient_id=patient_id,
        study_uid=uid,
        frame_of_reference_uid=frame,
        grid=Grid.from_matrix(matrix, SHAPE, frame),
        start=start,
        stop=(start[0] + size[0], start[1] + size[1], start[2] + size[2]),
        is_reversed=number % 2 == 1,
    )


def phase_pixels(study: BreastStudy, phase: str) -> NDArray[np.uint16]:
    """The volume of a phase, [k, j, i]; the tumour is a rounded block that touches all six sides of its box."""
    k, j, i = np.meshgrid(*(np.arange(size, dtype=float) for size in reversed(SHAPE)), indexing="ij")
    volume = np.full(i.shape, 8.0)
    for middle, radius in ((11.0, 10.0), (36.0, 8.0)):
        breast = ((i - middle) / radius) ** 2 + ((j - 20.0) / 16.0) ** 2 + ((k - 5.5) / 6.5) ** 2 < 1.0
        volume[breast] = _FAT
        volume[breast & (np.hypot(i - middle, j - 20.0) < 0.5 * radius)] = _GLAND
    middle_of = (np.array(study.start) + np.array(study.stop) - 1) / 2
    half = (np.array(study.stop) - np.array(study.start)) / 2
    away = sum(((axis - middle_of[n]) / half[n]) ** 4 for n, axis in enumerate((i, j, k)))
    volume[np.asarray(away) <= 1.0] = _GLAND + _TUMOUR * UPTAKE[phase]
    noise = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{study.study_uid}/{phase}".encode()).digest()[:8], "big"))
    return np.clip(np.rint(volume + noise.normal(0.0, 4.0, volume.shape)), 0, 4095).astype(np.uint16)


def series_uid(study: BreastStudy, phase: str) -> str:
    """Series Instance UID of a phase."""
    return content_uid(study.study_uid, phase)


def write_phase(study: BreastStudy, phase: str, folder: Path, names: Mapping[int, str], tags: Mapping[str, Any]) -> None:
    """One DICOM file a slice in ``folder``; ``names`` gives the file name by Instance Number, ``tags`` sets further attributes."""
    from pydicom.uid import ExplicitVRLittleEndian

    volume = phase_pixels(study, phase)
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(SHAPE[2]):
        number = study.instance_number(k)
        dataset = _image(study, phase, k, volume[k], tags)
        dataset.save_as(folder / names[number], enforce_file_format=True, implicit_vr=False, little_endian=True)
        assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def _image(study: BreastStudy, phase: str, k: int, pixels: NDArray[np.uint16], tags: Mapping[str, Any]) -> Any:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(MR_IMAGE_STORAGE), UID(content_uid(study.study_uid, phase, k))
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.StudyDate, dataset.AccessionNumber, dataset.Modality = "19900101", "", "MR"
    dataset.PatientID, dataset.PatientName, dataset.PatientSex = study.patient_id, study.patient_id, "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study.study_uid, series_uid(study, phase)
    dataset.BodyPartExamined, dataset.Manufacturer = "BREAST", "Weakbox phantom"
    dataset.SeriesNumber, dataset.InstanceNumber = list(UPTAKE).index(phase) + 1, study.instance_number(k)
    dataset.FrameOfReferenceUID = study.frame_of_reference_uid
    matrix, spacing = study.grid.matrix, study.grid.spacing
    directions = study.grid.directions
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in matrix[:3, 3] + k * matrix[:3, 2]]
    dataset.ImageOrientationPatient = [f"{value:.6f}" for value in (*directions[:, 0], *directions[:, 1])]
    dataset.PixelSpacing, dataset.SliceThickness = [f"{spacing[1]:.6g}", f"{spacing[0]:.6g}"], f"{spacing[2]:.6g}"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset
