"""The diffusion b-value of an image, for every vendor, with the place it was read from.

Order and biases as dcm2niix (rordenlab/dcm2niix@98ecd0b) and issues #149, #394, #405, #602, #690 there: standard tag, Siemens private and
CSA header, GE (modulo 1e9), Philips, UIH, then Siemens' sequence name. The digits of a description are a last resort for a whole series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from weakbox.records.record import record

GE_BIAS = 1_000_000_000
"""GE adds this to mark a b-value in (0043,1039): 1000000800 is 800."""
GE_OLD_BIAS = 10_000
"""Older GE software: 10000 and multiples on top of the b-value."""
HIGHEST_B = 10_000.0


class Diffusion(StrEnum):
    """What an image of a diffusion series shows."""

    NONE = "none"
    """No weighting (b = 0)."""
    TRACE = "trace"
    """Isotropic: the mean over directions."""
    DIRECTION = "direction"
    UNKNOWN = "unknown"


@record
class BValue:
    """A b-value in s/mm², the header place that states it, and what kind of weighting it is."""

    value: float
    source: str
    diffusion: Diffusion = Diffusion.UNKNOWN
    direction: str | None = None
    """What tells this direction from the others: the rounded gradient vector, or the number in the sequence name."""


_SEQUENCE_NAME = re.compile(r"_b(?P<b>\d{1,5})(?P<trace>t)?(?:#(?P<direction>\d+))?\s*$", re.IGNORECASE)
_COMPUTED_FROM = re.compile(r"_b(\d{1,5})_(\d{1,5})\s*$", re.IGNORECASE)


def read_b_value(header: Mapping[str, Any]) -> BValue | None:
    """The b-value of one image from its header values (names of ``header_fields``); None where no tag states one.

    >>> read_b_value({"ge_b_value": [1000001400.0, 8.0, 0.0, 0.0]}).value
    1400.0
    >>> read_b_value({"sequence_name": "*ep_b800t"}).diffusion
    <Diffusion.TRACE: 'trace'>
    """
    stated = _stated_b(header)
    if stated is None:
        return None
    value = _clean(stated[0])
    if value is None:
        return None
    if value == 0:
        return BValue(value=value, source=stated[1], diffusion=Diffusion.NONE)
    diffusion, direction = _weighting(header, _SEQUENCE_NAME.search(str(header.get("sequence_name") or "")))
    return BValue(value=value, source=stated[1], diffusion=diffusion, direction=direction)


def _stated_b(header: Mapping[str, Any]) -> tuple[float, str] | None:
    for name, source in (
        ("diffusion_b_value", "(0018,9087) DiffusionBValue"),
        ("siemens_b_value", "Siemens (0019,xx0C)"),
        ("csa_b_value", "Siemens CSA B_value"),
    ):
        if header.get(name) is not None:
            return float(header[name]), source
    ge = header.get("ge_b_value")
    if ge is not None and len(ge):
        return _unbias_ge(float(ge[0])), "GE (0043,xx39)"
    for name, source in (("philips_b_value", "Philips (2001,xx03)"), ("uih_b_value", "UIH (0065,xx09)")):
        if header.get(name) is not None:
            return float(header[name]), source
    match = _SEQUENCE_NAME.search(str(header.get("sequence_name") or ""))
    return (float(match["b"]), "SequenceName") if match else None


def _unbias_ge(value: float) -> float:
    value %= GE_BIAS
    return value % GE_OLD_BIAS if value >= GE_OLD_BIAS else value


def _clean(value: float) -> float | None:
    """A whole b-value; Philips numbers repeated b = 0 images 0.001, 0.002 ..., which all mean 0. None where it is impossible."""
    return float(round(value)) if 0 <= value <= HIGHEST_B else None


def _weighting(header: Mapping[str, Any], name: re.Match[str] | None) -> tuple[Diffusion, str | None]:
    """Trace or one direction: image type and directionality first, then a gradient, then the sequence name."""
    stated = f"{header.get('diffusion_directionality') or ''} {header.get('siemens_directionality') or ''}".upper()
    image_type = str(header.get("image_type") or "").upper()
    if "ISOTROPIC" in stated or "TRACE" in image_type or (name and name["trace"]) or header.get("philips_direction") == "I":
        return Diffusion.TRACE, None
    direction = _direction(header, name)
    if direction is not None or "DIRECTIONAL" in stated:
        return Diffusion.DIRECTION, direction
    return Diffusion.UNKNOWN, None


def _direction(header: Mapping[str, Any], name: re.Match[str] | None) -> str | None:
    for field in ("diffusion_gradient", "siemens_gradient"):
        vector = header.get(field)
        if vector is not None and any(abs(component) > 1e-6 for component in vector):
            return _rounded(vector)
    ge = [header.get(f"ge_gradient_{axis}") for axis in "xyz"]
    if None not in ge and any(ge):
        return _rounded(ge)
    return name["direction"] if name else None


def _rounded(vector: Sequence[Any]) -> str:
    return ",".join(f"{float(component) + 0.0:.3f}" for component in vector)


def b_values_of_adc(sequence_name: str | None) -> tuple[float, ...]:
    """The two b-values that Siemens' sequence name states for a map computed from them.

    >>> b_values_of_adc("*ep_b50_800")
    (50.0, 800.0)
    """
    match = _COMPUTED_FROM.search(sequence_name or "")
    return (float(match[1]), float(match[2])) if match else ()


_NEXT_B = r"(?:(?:[ ,/_-]+(?:and |und |en )?|[ ,/_-]*(?:b[ =_-]?))\d{1,4}(?![0-9.a-z]))*"
_B_MARKED = re.compile(
    rf"(?<![a-z0-9])(?:b(?:[ -]?values?|vals?)?[ =:_-]{{0,2}})(?P<numbers>\d{{1,4}}(?![0-9.]){_NEXT_B})",
    re.IGNORECASE,
)
_B_BEHIND = re.compile(r"(?<!\d)(?P<numbers>\d{2,4}(?:[ ,/_-]+\d{2,4})*)[ _-]?b(?:[ -]?val(?:ues?)?)?(?![a-z0-9])", re.IGNORECASE)
_B_LIST = re.compile(r"(?<![\d.])(?P<numbers>\d{1,4}(?:[/_, -]\d{2,4}){1,4})(?![\d.])")
_B_ALONE = re.compile(r"(?:dwi|diff|focus|trace)\D{0,12}?(?<!\d)(?P<numbers>\d{3,4})(?![\d.x])", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,4}")
_DIFFUSION_WORD = re.compile(r"dwi|diff|adc|focus|trace|b.?val", re.IGNORECASE)


def b_values_from_description(description: str) -> tuple[float, ...]:
    """b-values in the words of a description, ascending; empty where there are none.

    >>> b_values_from_description("ep2d_diff_b0_100_400_800_1400_CALC_BVAL")
    (0.0, 100.0, 400.0, 800.0, 1400.0)
    >>> b_values_from_description("ep2d-advdiff-3Scan-4bval_spair_std")
    ()
    >>> b_values_from_description("DWI 50/400/1400"), b_values_from_description("t2_tse_tra_320_p2")
    ((50.0, 400.0, 1400.0), ())
    """
    found: set[float] = set()
    patterns = [_B_MARKED, _B_BEHIND]
    if _DIFFUSION_WORD.search(description):
        patterns += [_B_LIST, _B_ALONE]
    for pattern in patterns:
        for match in pattern.finditer(description):
            found.update(_plausible(match["numbers"]))
        if found:
            break
    return tuple(sorted(found))


def _plausible(numbers: str) -> list[float]:
    """Numbers that are b-values: 0, or at least 10 and a multiple of 10 or 25."""
    values = [int(number) for number in _NUMBER.findall(numbers)]
    return [float(value) for value in values if value == 0 or (10 <= value <= 5000 and (value % 10 == 0 or value % 25 == 0))]
