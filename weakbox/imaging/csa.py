"""The few values that only Siemens' CSA image header (0029,xx10) holds.

Layout as nibabel's ``nicom.csareader`` documents it: 84 bytes a tag (64 of them the name), then its items.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

_TAG = struct.Struct("<64si4siii")
_ITEM = struct.Struct("<4i")
_WANTED = {"csa_b_value": b"B_value", "csa_mosaic_images": b"NumberOfImagesInMosaic", "csa_slice_normal": b"SliceNormalVector"}
CSA_NUMBERS = tuple(_WANTED)


def read_csa_numbers(raw: bytes) -> Mapping[str, tuple[float, ...]]:
    """The b-value, number of mosaic tiles and slice normal of a CSA image header; absent or unreadable ones are left out.

    >>> read_csa_numbers(b"no CSA header")
    {}
    """
    is_second_version = raw[:4] == b"SV10"
    first_tag = 16 if is_second_version else 8
    if len(raw) < first_tag + _TAG.size:
        return {}
    base = 0 if is_second_version else _TAG.unpack_from(raw, first_tag)[4]
    found = {name: _read_tag(raw, key, None if is_second_version else base) for name, key in _WANTED.items()}
    return {name: numbers for name, numbers in found.items() if numbers}


def _read_tag(raw: bytes, key: bytes, base: int | None) -> tuple[float, ...]:
    """Numbers of one tag. ``base`` is what version 1 adds to every item length; None for version 2."""
    start = raw.find(key + b"\0")
    if start < 0 or start + _TAG.size > len(raw):
        return ()
    items = _TAG.unpack_from(raw, start)[4]
    position = start + _TAG.size
    numbers: list[float] = []
    for _ in range(min(items, 64)):
        if position + _ITEM.size > len(raw):
            break
        first, second, _, _ = _ITEM.unpack_from(raw, position)
        length = second if base is None else first - base
        position += _ITEM.size
        if length < 0 or position + length > len(raw):
            break
        numbers.extend(_number(raw[position : position + length]))
        position += length + (-length % 4)
    return tuple(numbers)


def _number(text: bytes) -> tuple[float, ...]:
    try:
        return (float(text.split(b"\0")[0]),)
    except ValueError:
        return ()
