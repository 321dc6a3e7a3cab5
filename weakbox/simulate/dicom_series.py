"""DICOM headers of three makers' MR series, written once a volume and patched for every image: many files, fast.

Private b-values as the makers store them: Siemens (0019,100C), GE (0043,1039) with its offset of 1e9, Philips
(2001,1003); see dcm2niix and the makers' conformance statements.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from weakbox.records.record import record
from weakbox.simulate import words
from weakbox.simulate.draws import content_uid
from weakbox.simulate.imaging_plan import SeriesPlan

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
GE_B_VALUE_OFFSET = 1_000_000_000
PHILIPS_ADC_SLOPE = 0.5
_DS_WIDTH, _IS_WIDTH = 16, 4


@record
class StudyHeader:
    """What every image of a study says of patient and study."""

    patient_id: str
    age_years: int
    study_uid: str
    accession: str
    day: date
    time: str
    description: str


@record
class Protocol:
    """How a role is scanned: the values that tell series apart by their headers."""

    sequence: str
    variant: str
    acquisition: str
    repetition_ms: float
    echo_ms: float
    flip_deg: float
    echo_train: int
    image_type: tuple[str, ...]


def _protocol(
    sequence: str, variant: str, acquisition: str, times: tuple[float, float, float], echo_train: int, *image_type: str
) -> Protocol:
    repetition, echo, flip = times
    return Protocol(
        sequence=sequence,
        variant=variant,
        acquisition=acquisition,
        repetition_ms=repetition,
        echo_ms=echo,
        flip_deg=flip,
        echo_train=echo_train,
        image_type=("ORIGINAL", "PRIMARY", *image_type, "ND"),
    )


_T2 = _protocol("SE", "SK", "2D", (5100.0, 104.0, 150.0), 21, "M")
_EPI = _protocol("EP", "SK", "2D", (4600.0, 72.0, 90.0), 1, "DIFFUSION", "TRACEW")
_FAST = _protocol("GR", "SS", "2D", (4.2, 1.9, 60.0), 1, "M")
_T1 = _protocol("GR", "SP", "3D", (4.8, 1.7, 12.0), 1, "M")
PROTOCOLS = {
    "t2_axial": _T2,
    "t2_sagittal": _T2,
    "t2_coronal": _T2,
    "dwi": _EPI,
    "high_b": _EPI,
    "adc": _EPI,
    "localizer": _FAST,
    "needle": _FAST,
    "dynamic": _T1,
}
_IMAGE_TYPES = {
    ("siemens", "adc"): ("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND", "NORM"),
    ("siemens", "high_b"): ("DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE", "TRACEW", "ND"),
    ("ge", "adc"): ("DERIVED", "SECONDARY", "ADC"),
    ("ge", "dwi"): ("ORIGINAL", "PRIMARY", "OTHER"),
    ("philips", "adc"): ("DERIVED", "PRIMARY", "ADC", "ADC", "UNSPECIFIED"),
    ("philips", "dwi"): ("ORIGINAL", "PRIMARY", "M_SE", "M", "SE"),
}


def series_files(header: StudyHeader, plan: SeriesPlan, volumes: list[NDArray[np.uint16]]) -> Iterator[tuple[str, int, bytes]]:
    """SOP Instance UID, instance number and the bytes of every file of a series; one volume a b-value, numpy [k, j, i]."""
    slices = plan.grid.shape[2]
    for index, volume in enumerate(volumes):
        template = _Template(_dataset(header, plan, plan.b_values[index] if plan.b_values else None))
        for k in range(slices):
            number = index * slices + plan.image_number(k)
            position = plan.grid.matrix[:3, :3] @ (0.0, 0.0, float(k)) + plan.grid.matrix[:3, 3]
            uid = content_uid(plan.series_uid, number)
            yield uid, number, template.image(uid, number, position, volume[k].tobytes())


class _Template:
    """One file's header as bytes, with the places of what differs between images."""

    def __init__(self, dataset: FileDataset) -> None:
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        self._head = buffer.getvalue()[: -len(dataset.PixelData)]
        self._uids = (self._value(0x0002, 0x0003, b"UI", 44), self._value(0x0008, 0x0018, b"UI", 44))
        self._number = self._value(0x0020, 0x0013, b"IS", _IS_WIDTH)
        self._position = self._value(0x0020, 0x0032, b"DS", 3 * _DS_WIDTH + 2)
        self._location = self._value(0x0020, 0x1041, b"DS", _DS_WIDTH)
        self._normal = np.cross(*np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3))

    def _value(self, group: int, element: int, representation: bytes, length: int) -> slice:
        tag = group.to_bytes(2, "little") + element.to_bytes(2, "little") + representation + length.to_bytes(2, "little")
        start = self._head.index(tag) + len(tag)
        return slice(start, start + length)

    def image(self, uid: str, number: int, position: NDArray[np.float64], pixels: bytes) -> bytes:
        """The file of one image; ``position`` is Image Position (Patient)."""
        file = bytearray(self._head)
        for place in self._uids:
            file[place] = uid.encode()
        file[self._number] = f"{number:{_IS_WIDTH}d}".encode()
        file[self._position] = "\\".join(f"{value:{_DS_WIDTH}.6f}" for value in position).encode()
        file[self._location] = f"{float(self._normal @ position):{_DS_WIDTH}.6f}".encode()
        return bytes(file) + pixels


def _dataset(header: StudyHeader, plan: SeriesPlan, b_value: int | None) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(MR_IMAGE_STORAGE)
    meta.MediaStorageSOPInstanceUID = UID(content_uid("placeholder"))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _put_patient_and_study(dataset, header)
    _put_series(dataset, header, plan)
    _put_geometry(dataset, plan)
    if b_value is not None:
        _put_b_value(dataset, plan, b_value)
    return dataset


def _put_patient_and_study(dataset: Dataset, header: StudyHeader) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = UID(MR_IMAGE_STORAGE)
    dataset.SOPInstanceUID = UID(content_uid("placeholder"))
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = header.day.strftime("%Y%m%d")
    dataset.StudyTime = header.time
    dataset.AccessionNumber = header.accession
    dataset.Modality = "MR"
    dataset.StudyDescription = header.description
    dataset.PatientName = f"SIMULATED^{header.patient_id}"
    dataset.PatientID = header.patient_id
    dataset.PatientBirthDate = f"{header.day.year - header.age_years - 1}0701"
    dataset.PatientSex = "M"
    dataset.PatientAge = f"{header.age_years:03d}Y"
    dataset.StudyInstanceUID = header.study_uid


def _put_series(dataset: Dataset, header: StudyHeader, plan: SeriesPlan) -> None:
    site: dict[str, Any] = words.load("series")[plan.vendor]
    protocol = PROTOCOLS[plan.role]
    seconds = int(header.time[:2]) * 3600 + int(header.time[2:4]) * 60 + plan.number * 170
    dataset.SeriesTime = dataset.AcquisitionTime = f"{seconds // 3600 % 24:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    dataset.ImageType = list(_IMAGE_TYPES.get((plan.vendor, plan.role), protocol.image_type))
    if plan.role == "localizer":
        dataset.ImageType = [*protocol.image_type, "LOCALIZER"]
    dataset.Manufacturer = site["manufacturer"]
    dataset.ManufacturerModelName = plan.model
    dataset.MagneticFieldStrength = site["field_strengths"][plan.model]
    dataset.ReceiveCoilName = site["coil"]
    dataset.SeriesDescription = plan.description
    dataset.ProtocolName = plan.description[:64]
    dataset.BodyPartExamined = "PROSTATE"
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = protocol.sequence, protocol.variant, ""
    dataset.MRAcquisitionType = protocol.acquisition
    dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = protocol.repetition_ms, protocol.echo_ms, protocol.flip_deg
    dataset.EchoTrainLength = protocol.echo_train
    dataset.SeriesInstanceUID, dataset.SeriesNumber = plan.series_uid, plan.number
    if plan.temporal_position is not None:
        dataset.ContrastBolusAgent = "Gadobutrol"
        dataset.TemporalPositionIdentifier, dataset.NumberOfTemporalPositions = plan.temporal_position, 2
    if plan.vendor == "philips":
        dataset.RescaleIntercept, dataset.RescaleSlope = 0, PHILIPS_ADC_SLOPE if plan.role == "adc" else 1
        dataset.RescaleType = "normalized"


def _put_geometry(dataset: Dataset, plan: SeriesPlan) -> None:
    columns, rows, _ = plan.grid.shape
    directions, spacing = plan.grid.directions, plan.grid.spacing
    dataset.FrameOfReferenceUID = plan.frame_of_reference_uid
    dataset.ImageOrientationPatient = [f"{value:.9f}" for value in (*directions[:, 0], *directions[:, 1])]
    dataset.ImagePositionPatient = ["1" * 11 + ".1111"] * 3
    dataset.SliceLocation = "1" * 11 + ".1111"
    dataset.InstanceNumber = "1" * _IS_WIDTH
    dataset.PixelSpacing = [f"{spacing[1]:.6g}", f"{spacing[0]:.6g}"]
    dataset.SliceThickness, dataset.SpacingBetweenSlices = f"{0.9 * spacing[2]:.6g}", f"{spacing[2]:.6g}"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 350, 700
    dataset.PixelData = bytes(2 * rows * columns)


def _put_b_value(dataset: Dataset, plan: SeriesPlan, b_value: int) -> None:
    if plan.vendor == "siemens":
        dataset.SequenceName = f"*ep_b{b_value}t"
        block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", str(b_value))
        block.add_new(0x0D, "CS", "NONE" if b_value == 0 else "ISOTROPIC")
        if plan.model.startswith("MAGNETOM"):
            dataset.DiffusionBValue = float(b_value)
    elif plan.vendor == "ge":
        block = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(0x39, "IS", [str(GE_B_VALUE_OFFSET + b_value if b_value else 0), "8", "0", "0"])
    else:
        block = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
        block.add_new(0x03, "FL", float(b_value))
        block.add_new(0x04, "CS", "I" if b_value else "N")
        dataset.DiffusionBValue = float(b_value)
        dataset.DiffusionDirectionality = "ISOTROPIC" if b_value else "NONE"
