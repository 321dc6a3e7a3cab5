"""A fast partial reader of DICOM headers: only what an index needs, never the pixels.

Explicit and implicit little endian are walked directly, element by element, up to Pixel Data. Anything else (deflated,
big endian, no preamble, functional groups, an odd structure) goes through pydicom (``header_pydicom.py``); both give the
same values. A header is a plain mapping of field names (``header_fields.py``) to values, absent ones left out: an index
holds millions of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from weakbox.imaging.byte_source import ByteSource, FileBytes
from weakbox.imaging.csa import read_csa_numbers
from weakbox.imaging.header_fields import CHARACTER_SET, FIELDS_BY_TAG, PRIVATE_FIELDS, PRIVATE_GROUPS, character_encodings, decode
from weakbox.imaging.header_reading import (
    NO_IDENTITY,
    UNDEFINED_LENGTH,
    Header,
    HeaderReading,
    SkipReason,
    complete,
    is_image,
    pixels_are_cut,
)

FIRST_WINDOW = 24 * 1024
"""Bytes read at once: most MR headers up to their large private elements."""
NEXT_WINDOW = 8 * 1024
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_PIXEL_DATA = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_FUNCTIONAL_GROUPS = 0x5200
_WANTED = frozenset(FIELDS_BY_TAG) | {CHARACTER_SET}
_PRIVATE_ELEMENTS = {group: frozenset(field.tag & 0xFF for field in PRIVATE_FIELDS if field.tag >> 16 == group) for group in PRIVATE_GROUPS}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_IMPLICIT = "1.2.840.10008.1.2"
_UNCOMPRESSED = frozenset((_IMPLICIT, "1.2.840.10008.1.2.1"))
_DICOMDIR = "1.2.840.10008.1.3.10"

_explicit_element = struct.Struct("<HH2sH").unpack_from
_implicit_element = struct.Struct("<HHI").unpack_from
_long_length = struct.Struct("<I").unpack_from


class OddStructureError(Exception):
    """The quick walk met something it leaves to pydicom."""


@dataclass(slots=True)
class _Walk:
    """What a walk over a data set found: raw values by tag, and where Pixel Data lies."""

    values: dict[int, tuple[bytes, bytes]]
    private: dict[int, tuple[bytes, bytes]]
    pixel_start: int | None = None
    pixel_length: int = 0
    is_cut: bool = False
    has_functional_groups: bool = False


def read_headers(path: str | Path) -> HeaderReading:
    """The header of a file on disk; a file that cannot be opened is skipped as ``unreadable``."""
    try:
        with FileBytes(path) as source:
            return read_headers_from(source)
    except OSError as error:
        return HeaderReading(skipped=SkipReason.UNREADABLE, detail=error.strerror or type(error).__name__)


def read_headers_from(source: ByteSource) -> HeaderReading:
    """The header of a DICOM file, from its bytes."""
    head = source.read_at(0, FIRST_WINDOW)
    if head[128:132] != b"DICM":
        return _read_without_preamble(source, head)
    start, syntax, media_class = _read_meta(head)
    if media_class == _DICOMDIR:
        return HeaderReading(skipped=SkipReason.INDEX_FILE)
    if start is None or syntax in (None, _DEFLATED, _BIG_ENDIAN):
        return _read_with_pydicom(source)
    try:
        walk = _walk(source, head, start, is_explicit=syntax != _IMPLICIT)
    except OddStructureError:
        return _read_with_pydicom(source)
    if walk.has_functional_groups:
        return _read_with_pydicom(source)
    return _finish(source, walk, syntax or "")


def _read_with_pydicom(source: ByteSource) -> HeaderReading:
    from weakbox.imaging.header_pydicom import read_with_pydicom

    return read_with_pydicom(source)


def _read_without_preamble(source: ByteSource, head: bytes) -> HeaderReading:
    """A data set without preamble begins with group 0002 or 0008 and a small element; anything else is no DICOM."""
    if len(head) < 8:
        return HeaderReading(skipped=SkipReason.NOT_DICOM)
    group, element, vr, _ = _explicit_element(head, 0)
    is_plausible = group in (0x0002, 0x0008) and element < 0x0100 and (vr in _SHORT_VRS or _long_length(head, 4)[0] < 256)
    is_plausible |= head[:2] == b"\0\x08" and head[4:6] in _SHORT_VRS
    return _read_with_pydicom(source) if is_plausible else HeaderReading(skipped=SkipReason.NOT_DICOM)


def _read_meta(head: bytes) -> tuple[int | None, str | None, str | None]:
    """Where the data set starts, the transfer syntax and the media storage class, from the group 0002 after the preamble."""
    position = 132
    syntax = media_class = None
    limit = len(head)
    while position + 12 <= limit:
        group, element, vr, length = _explicit_element(head, position)
        if group != 0x0002:
            return position, syntax, media_class
        size = 8
        if vr in _LONG_VRS:
            length = _long_length(head, position + 8)[0]
            size = 12
        elif vr not in _SHORT_VRS:
            return None, None, None
        if element in (0x0002, 0x0010):
            text = head[position + size : position + size + length].decode("ascii", "replace").strip(" \0")
            if element == 0x0010:
                syntax = text
            else:
                media_class = text
        position += size + length
    return None, syntax, media_class


def _walk(source: ByteSource, window: bytes, position: int, *, is_explicit: bool) -> _Walk:
    """Walk the top level of a data set up to Pixel Data.

    ``window`` holds the file from byte 0. The loop is the hot path of an index: local names, no calls an element.
    """
    walk = _Walk(values={}, private={})
    values, private = walk.values, walk.private
    size = source.size
    base = 0
    limit = len(window)
    vr = b""
    while True:
        if position + 12 > limit:
            base += position
            if base + 8 > size:
                walk.is_cut = base != size
                return walk
            window = source.read_at(base, NEXT_WINDOW) + b"\0\0\0\0"  # an 8-byte element may end the file
            position = 0
            limit = len(window)
        if is_explicit:
            group, element, vr, length = _explicit_element(window, position)
            if vr in _SHORT_VRS:
                start = position + 8
            elif vr in _LONG_VRS:
                length = _long_length(window, position + 8)[0]
                start = position + 12
            else:
                raise OddStructureError
        else:
            group, element, length = _implicit_element(window, position)
            start = position + 8
        tag = group << 16 | element
        if tag in _PIXEL_DATA:
            walk.pixel_start, walk.pixel_length = base + start, length
            return walk
        if group == _FUNCTIONAL_GROUPS:
            walk.has_functional_groups = True
            return walk
        if length == UNDEFINED_LENGTH:
            # a sequence; one of unknown VR is encoded as implicit (PS3.5 6.2.2)
            position = _skip_sequence(source, base + start, is_explicit=is_explicit and vr != b"UN") - base
            continue
        position = start + length
        if tag in _WANTED:
            target = values
        elif group in _PRIVATE_ELEMENTS and (element & 0xFF in _PRIVATE_ELEMENTS[group] or element < 0x100):
            target = private
        else:
            continue
        raw = window[start:position] if position <= limit else source.read_at(base + start, length)
        if len(raw) < length:
            walk.is_cut = True
            return walk
        target[tag] = (raw, vr)


def _skip_sequence(source: ByteSource, start: int, *, is_explicit: bool) -> int:
    """The position after a sequence of undefined length whose items begin at ``start``; the end of the file if it is cut."""
    count = NEXT_WINDOW
    while True:
        window = source.read_at(start, count)
        try:
            return start + _skip_items(window, 0, is_explicit=is_explicit)
        except struct.error:
            if start + len(window) >= source.size:
                return source.size + 1
            count *= 4


def _skip_items(window: bytes, position: int, *, is_explicit: bool) -> int:
    """The position after the items of a sequence and its delimiter. Raises struct.error where the window ends first."""
    while True:
        group, element, length = _implicit_element(window, position)
        position += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            return position
        if (group, element) != (0xFFFE, 0xE000):
            raise OddStructureError
        position = _skip_item(window, position, is_explicit=is_explicit) if length == UNDEFINED_LENGTH else position + length


def _skip_item(window: bytes, position: int, *, is_explicit: bool) -> int:
    """The position after the elements of an item of undefined length and its delimiter."""
    while True:
        group, _, length = _implicit_element(window, position)
        if group == 0xFFFE:
            return position + 8
        vr = b""
        start = position + 8
        if is_explicit:
            _, _, vr, length = _explicit_element(window, position)
            if vr in _LONG_VRS:
                length = _long_length(window, position + 8)[0]
                start += 4
            elif vr not in _SHORT_VRS:
                raise OddStructureError
        is_open = length == UNDEFINED_LENGTH
        position = _skip_items(window, start, is_explicit=is_explicit and vr != b"UN") if is_open else start + length


def _finish(source: ByteSource, walk: _Walk, syntax: str) -> HeaderReading:
    """Values of a finished walk, after the checks that decide whether the file is a whole image."""
    header = _decode_values(walk)
    sop_class = str(header.get("sop_class_uid", ""))
    if walk.is_cut:
        return HeaderReading(skipped=SkipReason.TRUNCATED, detail="the file ends inside its header")
    if "sop_instance_uid" not in header or not sop_class:
        return HeaderReading(skipped=SkipReason.NOT_IMAGE, detail=NO_IDENTITY)
    if walk.pixel_start is None or not is_image(header):
        return HeaderReading(skipped=SkipReason.NOT_IMAGE, detail=f"SOP class {sop_class}")
    if pixels_are_cut(source, walk.pixel_start, walk.pixel_length, header, is_uncompressed=syntax in _UNCOMPRESSED):
        return HeaderReading(skipped=SkipReason.TRUNCATED, detail="the file ends inside its pixels")
    return HeaderReading(headers=(complete(header),))


def _decode_values(walk: _Walk) -> Header:
    values = walk.values
    charset = values.pop(CHARACTER_SET, None)
    encodings = character_encodings(charset[0] if charset else None)
    header: Header = {}
    for tag, (raw, vr) in values.items():
        field = FIELDS_BY_TAG[tag]
        value = decode(field, raw, vr.decode(), encodings)
        if value is not None:
            header[field.name] = value
    if walk.private:
        _decode_private(walk.private, header)
    return header


def _decode_private(private: dict[int, tuple[bytes, bytes]], header: Header) -> None:
    """Private values whose block the expected creator reserved; block 0x10 counts where no creator is written at all."""
    for field in PRIVATE_FIELDS:
        group = field.tag & 0xFFFF0000
        block = _block(private, group, field.creator)
        found = private.get(group | block << 8 | field.tag & 0xFF) if block else None
        if found is None:
            continue
        raw, vr = found
        if field.name == "siemens_csa_image":
            _decode_csa(raw, header)
        elif (value := decode(field, raw, vr.decode())) is not None:
            header[field.name] = value


def _block(private: dict[int, tuple[bytes, bytes]], group: int, creator: str) -> int | None:
    creators = {tag & 0xFF: raw for tag, (raw, _) in private.items() if tag & 0xFFFFFF00 == group}
    wanted = creator.lower().encode()
    for block, raw in creators.items():
        if raw.strip(b" \0").lower() == wanted:
            return block
    return 0x10 if 0x10 not in creators else None


def _decode_csa(raw: bytes, header: Header) -> None:
    """Only diffusion and mosaic images need their CSA header."""
    image_type = str(header.get("image_type", ""))
    if "MOSAIC" not in image_type and ("siemens_b_value" in header or "DIFFUSION" not in image_type):
        return
    for name, numbers in read_csa_numbers(raw).items():
        header[name] = numbers if name == "csa_slice_normal" else numbers[0]
