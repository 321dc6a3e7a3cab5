"""Headers through pydicom: every transfer syntax, and the functional groups of enhanced multi-frame images."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from weakbox.imaging.byte_source import ByteSource
from weakbox.imaging.csa import read_csa_numbers
from weakbox.imaging.header_fields import PRIVATE_FIELDS, STANDARD_FIELDS, HeaderField, Kind, Value, as_kind, decode
from weakbox.imaging.header_reading import NO_IDENTITY, Header, HeaderReading, SkipReason, complete, is_image, pixels_are_cut
from weakbox.imaging.quiet_pydicom import silence

READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    OverflowError,
    NotImplementedError,
    struct.error,
)
"""What pydicom raises on files that are damaged or no DICOM at all."""

_FRAME_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("PlanePositionSequence", "ImagePositionPatient", "position"),
    ("PlaneOrientationSequence", "ImageOrientationPatient", "orientation"),
    ("PixelMeasuresSequence", "PixelSpacing", "pixel_spacing"),
    ("PixelMeasuresSequence", "SliceThickness", "slice_thickness_mm"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices", "spacing_between_slices_mm"),
    ("MRDiffusionSequence", "DiffusionBValue", "diffusion_b_value"),
    ("MRDiffusionSequence", "DiffusionDirectionality", "diffusion_directionality"),
    ("FrameContentSequence", "TemporalPositionIndex", "temporal_position"),
    ("FrameContentSequence", "FrameAcquisitionNumber", "acquisition_number"),
    ("MREchoSequence", "EffectiveEchoTime", "echo_time_ms"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "repetition_time_ms"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "flip_angle_deg"),
    ("MRTimingAndRelatedParametersSequence", "EchoTrainLength", "echo_train_length"),
    ("MRModifierSequence", "InversionTimes", "inversion_time_ms"),
    ("MRImageFrameTypeSequence", "FrameType", "image_type"),
    ("MRReceiveCoilSequence", "ReceiveCoilName", "receive_coil"),
    ("PixelValueTransformationSequence", "RescaleIntercept", "rescale_intercept"),
    ("PixelValueTransformationSequence", "RescaleSlope", "rescale_slope"),
)
"""Functional group, attribute in it (PS3.3 C.7.6.16 and C.8.13), our field."""

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_PIXEL_TAGS = ((0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010))
_FIELDS = {field.name: field for field in STANDARD_FIELDS}


def read_with_pydicom(source: ByteSource) -> HeaderReading:
    """The header of a DICOM file of any structure."""
    stream = io.BufferedReader(_SourceStream(source))
    try:
        with silence():
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
            pixels = _find_pixels(source, stream.tell(), dataset)
            headers = tuple(_headers(dataset))
    except zlib.error:
        return HeaderReading(skipped=SkipReason.TRUNCATED, detail="the deflated data set is damaged")
    except READ_ERRORS as error:
        return HeaderReading(skipped=SkipReason.UNREADABLE, detail=type(error).__name__)
    return _checked(source, headers, pixels, dataset)


def _checked(source: ByteSource, headers: tuple[Header, ...], pixels: _Pixels, dataset: Dataset) -> HeaderReading:
    """The reading, after the checks that decide whether the file is a whole image."""
    first = headers[0] if headers else {}
    if "sop_instance_uid" not in first or "sop_class_uid" not in first:
        if "FileMetaInformationVersion" in dataset.file_meta:
            return HeaderReading(skipped=SkipReason.NOT_IMAGE, detail=NO_IDENTITY)
        return HeaderReading(skipped=SkipReason.NOT_DICOM)
    if not pixels.is_there or not is_image(first):
        return HeaderReading(skipped=SkipReason.NOT_IMAGE, detail=f"SOP class {first['sop_class_uid']}")
    if pixels.start is not None and pixels_are_cut(source, pixels.start, pixels.length, first, is_uncompressed=pixels.is_uncompressed):
        return HeaderReading(skipped=SkipReason.TRUNCATED, detail="the file ends inside its pixels")
    return HeaderReading(headers=headers)


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Whether Pixel Data is there, and where its value starts (None in a deflated data set)."""

    is_there: bool
    start: int | None = None
    length: int = 0
    is_uncompressed: bool = False


class _SourceStream(io.RawIOBase):
    """A byte source as the stream that pydicom reads."""

    name = ""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._source.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _find_pixels(source: ByteSource, position: int, dataset: Dataset) -> _Pixels:
    """Pixel Data at the place where pydicom stopped."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        whole = pydicom.dcmread(io.BytesIO(source.read_all()), force=True)
        return _Pixels("PixelData" in whole)
    is_implicit, is_little = dataset.original_encoding
    order = "<" if is_little else ">"
    element = source.read_at(position, 12)
    if len(element) < 12 or struct.unpack_from(f"{order}HH", element) not in _PIXEL_TAGS:
        return _Pixels(False)
    size = 8 if is_implicit else 12
    length = struct.unpack_from(f"{order}I", element, size - 4)[0]
    return _Pixels(True, position + size, length, syntax is None or str(syntax) in _NATIVE)


def _headers(dataset: Dataset) -> Iterator[Header]:
    """One header, or one a frame where the image has functional groups."""
    base = dataset_header(dataset)
    frames = dataset.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        yield complete(base)
        return
    base = base | _enhanced_values(dataset)
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if shared:
        base = base | _group_values(shared[0])
    complete(base)
    for number, frame in enumerate(frames, start=1):
        yield base | _group_values(frame) | {"frame": number}


def dataset_header(dataset: Dataset) -> Header:
    """Our fields of the top level of a pydicom data set."""
    header: Header = {}
    for field in STANDARD_FIELDS:
        if field.tag in dataset and (value := _element_value(field, dataset[field.tag].value)) is not None:
            header[field.name] = value
    for field in PRIVATE_FIELDS:
        raw = _private_value(dataset, field)
        if raw is None:
            continue
        if field.kind is Kind.BYTES:
            header.update(_csa_values(raw, header))
        elif (value := _element_value(field, raw)) is not None:
            header[field.name] = value
    return header


def _private_value(dataset: Dataset, field: HeaderField) -> Any:
    """The raw value of a private element: in its creator's block, or in block 0x10 where no creator is written."""
    group = field.tag >> 16
    for block in range(0x10, 0x100):
        creator = dataset.get((group, block))
        if creator is not None and str(creator.value).strip(" \0").lower() == field.creator.lower():
            return _value_of(dataset, group << 16 | block << 8 | field.tag & 0xFF)
    return None if (group, 0x10) in dataset else _value_of(dataset, field.tag)


def _value_of(dataset: Dataset, tag: int) -> Any:
    return dataset[tag].value if tag in dataset else None


def _element_value(field: HeaderField, value: Any) -> Value | None:
    """Our value of a pydicom one; None where it is empty or not of the field's kind."""
    if isinstance(value, bytes):
        return decode(field, value, "UN")
    parts = list(value) if isinstance(value, MultiValue | list) else [value]
    if field.kind is Kind.TEXT:
        return "\\".join("" if part is None else str(part) for part in parts).strip(" \0\t\r\n") or None
    try:
        numbers = tuple(float(part) for part in parts if part not in (None, ""))
    except (ValueError, TypeError):
        return None
    return as_kind(field.kind, numbers)


def _csa_values(raw: bytes, header: Header) -> Header:
    image_type = str(header.get("image_type", ""))
    if "MOSAIC" not in image_type and ("siemens_b_value" in header or "DIFFUSION" not in image_type):
        return {}
    return {name: numbers if name == "csa_slice_normal" else numbers[0] for name, numbers in read_csa_numbers(raw).items()}


def _group_values(group: Dataset) -> Header:
    """Our fields of one item of the functional groups."""
    values: Header = {}
    for sequence_name, keyword, name in _FRAME_FIELDS:
        sequence = group.get(sequence_name)
        element = sequence[0].get(keyword) if sequence else None
        if element is not None and (value := _element_value(_FIELDS[name], element)) is not None:
            values[name] = value
    gradient = _gradient(group)
    return values | {"diffusion_gradient": gradient} if gradient else values


def _gradient(group: Dataset) -> tuple[float, ...]:
    diffusion = group.get("MRDiffusionSequence")
    directions = diffusion[0].get("DiffusionGradientDirectionSequence") if diffusion else None
    return tuple(float(v) for v in directions[0].get("DiffusionGradientOrientation", ())) if directions else ()


def _enhanced_values(dataset: Dataset) -> Header:
    """Scanning sequence and sequence name, which enhanced MR states in other words (PS3.3 C.8.13.4)."""
    spin = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(str(dataset.get("EchoPulseSequence", "")), [])
    planar = ["EP"] if dataset.get("EchoPlanarPulseSequence") == "YES" else []
    inversion = ["IR"] if dataset.get("InversionRecovery") == "YES" else []
    names = planar + spin + inversion
    values: Header = {"scanning_sequence": "\\".join(names)} if names else {}
    if contrast := dataset.get("AcquisitionContrast"):
        values["acquisition_contrast"] = str(contrast)
    return values
