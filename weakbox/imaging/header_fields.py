"""The DICOM attributes that an index needs, and how their bytes become values.

Tags and value representations: DICOM PS3.6; private ones as dcm2niix and the vendors' conformance statements give them
(Siemens (0019,xx0C), GE (0043,xx39), Philips (2001,xx03), UIH (0065,xx09)).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

Value = str | int | float | tuple[float, ...]
"""A header value: text, a whole number, a number, or several numbers."""


class Kind(StrEnum):
    """What a field holds after reading."""

    TEXT = "text"
    """Text; several values stay joined by a backslash."""
    INTEGER = "integer"
    NUMBER = "number"
    NUMBERS = "numbers"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderField:
    """One attribute: its name in our tables, its tag (gggg << 16 | eeee), and the binary type that a missing or unknown VR implies."""

    name: str
    tag: int
    kind: Kind
    binary: str = ""
    """The ``struct`` code of one value where the dictionary's VR is binary (``H`` for US, ``d`` for FD); empty for text numbers."""
    creator: str = ""
    """The private creator whose block holds the element; the tag is then the one of the usual block 0x10."""


def _text(name: str, tag: int) -> HeaderField:
    return HeaderField(name=name, tag=tag, kind=Kind.TEXT)


def _integer(name: str, tag: int, binary: str = "") -> HeaderField:
    return HeaderField(name=name, tag=tag, kind=Kind.INTEGER, binary=binary)


def _number(name: str, tag: int, binary: str = "") -> HeaderField:
    return HeaderField(name=name, tag=tag, kind=Kind.NUMBER, binary=binary)


def _numbers(name: str, tag: int, binary: str = "") -> HeaderField:
    return HeaderField(name=name, tag=tag, kind=Kind.NUMBERS, binary=binary)


STANDARD_FIELDS: tuple[HeaderField, ...] = (
    _text("image_type", 0x00080008),
    _text("sop_class_uid", 0x00080016),
    _text("sop_instance_uid", 0x00080018),
    _text("study_date", 0x00080020),
    _text("series_date", 0x00080021),
    _text("acquisition_date", 0x00080022),
    _text("acquisition_date_time", 0x0008002A),
    _text("study_time", 0x00080030),
    _text("series_time", 0x00080031),
    _text("acquisition_time", 0x00080032),
    _text("accession", 0x00080050),
    _text("modality", 0x00080060),
    _text("manufacturer", 0x00080070),
    _text("study_description", 0x00081030),
    _text("description", 0x0008103E),
    _text("model", 0x00081090),
    _text("patient_id", 0x00100020),
    _text("patient_birth_date", 0x00100030),
    _text("patient_sex", 0x00100040),
    _text("patient_age", 0x00101010),
    _text("contrast_agent", 0x00180010),
    _text("body_part", 0x00180015),
    _text("scanning_sequence", 0x00180020),
    _text("sequence_variant", 0x00180021),
    _text("scan_options", 0x00180022),
    _text("acquisition_type", 0x00180023),
    _text("sequence_name", 0x00180024),
    _number("slice_thickness_mm", 0x00180050),
    _number("repetition_time_ms", 0x00180080),
    _number("echo_time_ms", 0x00180081),
    _number("inversion_time_ms", 0x00180082),
    _integer("echo_number", 0x00180086),
    _number("magnetic_field_strength_t", 0x00180087),
    _number("spacing_between_slices_mm", 0x00180088),
    _integer("echo_train_length", 0x00180091),
    _text("protocol_name", 0x00181030),
    _number("trigger_time_ms", 0x00181060),
    _text("receive_coil", 0x00181250),
    _number("flip_angle_deg", 0x00181314),
    _text("pulse_sequence_name", 0x00189005),
    _text("diffusion_directionality", 0x00189075),
    _number("diffusion_b_value", 0x00189087, "d"),
    _numbers("diffusion_gradient", 0x00189089, "d"),
    _text("study_uid", 0x0020000D),
    _text("series_uid", 0x0020000E),
    _integer("series_number", 0x00200011),
    _integer("acquisition_number", 0x00200012),
    _integer("instance_number", 0x00200013),
    _numbers("position", 0x00200032),
    _numbers("orientation", 0x00200037),
    _text("frame_of_reference_uid", 0x00200052),
    _integer("temporal_position", 0x00200100),
    _integer("temporal_positions", 0x00200105),
    _integer("samples_per_pixel", 0x00280002, "H"),
    _integer("frames", 0x00280008),
    _integer("rows", 0x00280010, "H"),
    _integer("columns", 0x00280011, "H"),
    _numbers("pixel_spacing", 0x00280030),
    _integer("bits_allocated", 0x00280100, "H"),
    _number("rescale_intercept", 0x00281052),
    _number("rescale_slope", 0x00281053),
)

PRIVATE_FIELDS: tuple[HeaderField, ...] = (
    HeaderField(name="siemens_mosaic_images", tag=0x0019100A, kind=Kind.INTEGER, binary="H", creator="SIEMENS MR HEADER"),
    HeaderField(name="siemens_b_value", tag=0x0019100C, kind=Kind.NUMBER, creator="SIEMENS MR HEADER"),
    HeaderField(name="siemens_directionality", tag=0x0019100D, kind=Kind.TEXT, creator="SIEMENS MR HEADER"),
    HeaderField(name="siemens_gradient", tag=0x0019100E, kind=Kind.NUMBERS, binary="d", creator="SIEMENS MR HEADER"),
    HeaderField(name="ge_gradient_x", tag=0x001910BB, kind=Kind.NUMBER, creator="GEMS_ACQU_01"),
    HeaderField(name="ge_gradient_y", tag=0x001910BC, kind=Kind.NUMBER, creator="GEMS_ACQU_01"),
    HeaderField(name="ge_gradient_z", tag=0x001910BD, kind=Kind.NUMBER, creator="GEMS_ACQU_01"),
    HeaderField(name="siemens_csa_image", tag=0x00291010, kind=Kind.BYTES, creator="SIEMENS CSA HEADER"),
    HeaderField(name="ge_b_value", tag=0x00431039, kind=Kind.NUMBERS, creator="GEMS_PARM_01"),
    HeaderField(name="uih_b_value", tag=0x00651009, kind=Kind.NUMBER, binary="d", creator="Image Private Header"),
    HeaderField(name="philips_b_value", tag=0x20011003, kind=Kind.NUMBER, binary="f", creator="Philips Imaging DD 001"),
    HeaderField(name="philips_direction", tag=0x20011004, kind=Kind.TEXT, creator="Philips Imaging DD 001"),
)

FIELDS_BY_TAG: Mapping[int, HeaderField] = {field.tag: field for field in STANDARD_FIELDS}
PRIVATE_GROUPS = frozenset(field.tag >> 16 for field in PRIVATE_FIELDS)
CHARACTER_SET = 0x00080005

_BINARY_CODES = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_BINARY_SIZES = {"H": 2, "h": 2, "I": 4, "i": 4, "f": 4, "d": 8}
_TEXT_NUMBER_VRS = frozenset({"DS", "IS", "CS", "LO", "SH", "LT", "ST", "UT"})


def decode_text(raw: bytes, encodings: Sequence[str] | None = None) -> str | None:
    """Text without its padding; None where it is empty. ``encodings`` are pydicom's for the character set in force."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        text = _decode_other(raw, encodings)
    return text.strip(" \0\t\r\n") or None


def _decode_other(raw: bytes, encodings: Sequence[str] | None) -> str:
    from pydicom.charset import decode_bytes
    from pydicom.valuerep import TEXT_VR_DELIMS

    from weakbox.imaging.quiet_pydicom import silence

    with silence():
        return str(decode_bytes(raw, list(encodings or ["iso8859"]), TEXT_VR_DELIMS))


def character_encodings(raw: bytes | None) -> list[str] | None:
    """pydicom's encodings for the value of Specific Character Set (0008,0005); None for Latin-1, and for one that does not exist."""
    text = decode_text(raw) if raw else None
    if text is None or text in ("ISO_IR 6", "ISO_IR 100"):
        return None
    from pydicom.charset import convert_encodings

    from weakbox.imaging.quiet_pydicom import silence

    try:
        with silence():
            return convert_encodings(text.split("\\"))
    except (ValueError, LookupError):
        return None


def decode_numbers(raw: bytes, vr: str, binary: str) -> tuple[float, ...]:
    """Every number of a value; empty where it holds none.

    ``vr`` is the one in the file (empty for implicit VR); ``binary`` the dictionary's type where the VR does not tell.
    A private element that an anonymiser or archive rewrote as UN or OB keeps its bytes: binary as the dictionary says,
    else text.
    """
    code = _BINARY_CODES.get(vr) or ("" if vr in _TEXT_NUMBER_VRS else binary)
    if code:
        count = len(raw) // _BINARY_SIZES[code]
        return tuple(float(number) for number in struct.unpack_from(f"<{count}{code}", raw))
    return _text_numbers(raw)


def _text_numbers(raw: bytes) -> tuple[float, ...]:
    numbers = []
    for part in raw.split(b"\\"):
        part = part.strip(b" \0\t\r\n")
        if not part:
            continue
        try:
            numbers.append(float(part))
        except ValueError:
            return ()
    return tuple(numbers)


def decode(field: HeaderField, raw: bytes, vr: str, encodings: Sequence[str] | None = None) -> Value | None:
    """The value of ``field`` from its bytes in a little-endian file; None where it is empty or no number."""
    kind = field.kind
    if kind is Kind.TEXT:
        return decode_text(raw, encodings)
    return as_kind(kind, decode_numbers(raw, vr, field.binary))


def as_kind(kind: Kind, numbers: tuple[float, ...]) -> Value | None:
    """Numbers as a field of this kind holds them: all, the first, or the first as a whole number; None for none or not finite."""
    if not numbers or not all(isfinite(number) for number in numbers):
        return None
    if kind is Kind.NUMBERS:
        return numbers
    return numbers[0] if kind is Kind.NUMBER else int(numbers[0])
