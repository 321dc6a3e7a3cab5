"""What a header reading is, whichever way the bytes were walked: its record, what counts as an image, whether pixels are whole."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from weakbox.imaging.byte_source import ByteSource
from weakbox.imaging.header_fields import Value

Header = dict[str, Value]

OLDEST_YEARS = 120
"""Anonymisers write 000Y or a birth date of 1900; an age of 0 years or above this is not stated."""
NO_IDENTITY = "no SOP Class or SOP Instance UID"
_NOT_IMAGES = ("1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.481")
"""Segmentation, Parametric Map and radiotherapy objects have pixels but are no images of the patient."""
UNDEFINED_LENGTH = 0xFFFFFFFF
_item_header = struct.Struct("<HHI").unpack_from


class SkipReason(StrEnum):
    """Why a file is not in the index."""

    NOT_DICOM = "not_dicom"
    TRUNCATED = "truncated"
    NOT_IMAGE = "not_image"
    INDEX_FILE = "index_file"
    """A DICOMDIR: it lists files that are found anyway."""
    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate_instance"


@dataclass(frozen=True, slots=True)
class HeaderReading:
    """The header of one file: one mapping, or one a frame where frames have their own position; or why there is none.

    A frame's mapping has ``frame`` (1-based). ``detail`` explains a skip without patient data.
    """

    headers: tuple[Header, ...] = ()
    skipped: SkipReason | None = None
    detail: str = ""


def is_image(header: Header) -> bool:
    """Whether a header with Pixel Data is an image of the patient (no segmentation, parametric map or dose)."""
    sop_class = str(header.get("sop_class_uid", ""))
    return bool(header.get("rows") and header.get("columns")) and not sop_class.startswith(_NOT_IMAGES)


def pixels_are_cut(source: ByteSource, start: int, length: int, header: Header, *, is_uncompressed: bool) -> bool:
    """Whether the pixels whose value starts at ``start`` are incomplete in the file."""
    if length == UNDEFINED_LENGTH:
        return _fragments_are_cut(source, start)
    if start + length > source.size:
        return True
    return is_uncompressed and length < expected_bytes(header)


def expected_bytes(header: Header) -> int:
    """Bytes of the pixels of an uncompressed image; 0 where the header does not tell."""
    bits = header.get("bits_allocated")
    counts = [header.get("rows"), header.get("columns"), header.get("samples_per_pixel", 1), header.get("frames", 1)]
    if not isinstance(bits, int) or bits < 8:
        return 0
    total = bits // 8
    for count in counts:
        total *= count if isinstance(count, int) else 0
    return total


def _fragments_are_cut(source: ByteSource, position: int) -> bool:
    """Whether encapsulated pixels end before a fragment does; a missing last delimiter alone loses nothing."""
    while position + 8 <= source.size:
        group, element, length = _item_header(source.read_at(position, 8), 0)
        if (group, element) != (0xFFFE, 0xE000):
            return False
        position += 8 + length
    return position > source.size


def complete(header: Header) -> Header:
    """A header with the patient's age in years instead of the birth date and the DICOM age string."""
    age = _age_years(header.pop("patient_age", None))
    birth = parse_date(header.pop("patient_birth_date", None))
    if age is None and birth is not None:
        study = parse_date(header.get("study_date"))
        age = round((study - birth).days / 365.25, 2) if study and study >= birth else None
    if age and age <= OLDEST_YEARS:
        header["patient_age_years"] = age
    return header


def _age_years(text: Value | None) -> float | None:
    """Years of an AS value.

    >>> _age_years("063Y"), _age_years("018M"), _age_years("x")
    (63.0, 1.5, None)
    """
    if not isinstance(text, str) or len(text) < 2:
        return None
    number, unit = text[:-1].strip(), text[-1].upper()
    a_year = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}.get(unit)
    return round(int(number) / a_year, 2) if a_year and number.isdigit() and number.isascii() else None


def parse_date(text: Value | None) -> date | None:
    """The day of a DA or DT value, or of the old form 2011.07.07; None where it is no date.

    >>> parse_date("20110707"), parse_date("2011.07.07"), parse_date("0000")
    (datetime.date(2011, 7, 7), datetime.date(2011, 7, 7), None)
    """
    digits = str(text or "").strip().replace(".", "").replace("-", "")[:8]
    if len(digits) != 8 or not (digits.isdigit() and digits.isascii()):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
