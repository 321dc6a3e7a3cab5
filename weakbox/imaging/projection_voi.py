"""From stored values to what a display shows: modality LUT, values of interest, polarity (DICOM PS3.3 C.11 and C.7.6.3.1.2).

The order is that of the standard: modality LUT or rescale, then a VOI LUT (before any window), else a window, then MONOCHROME1 is
inverted, then padding becomes background. All of it works value by value, so it is one table over the stored values, applied
once. Output is 0 (black) to 255 or 65535 (white).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.record import record

FloatArray = NDArray[np.float64]

MONOCHROME1 = "MONOCHROME1"
_SAMPLES = 1 << 20
"""Pixels that percentiles are taken from, on a regular grid: more change them by less than a grey level."""


class VoiFunction(StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


class VoiMethod(StrEnum):
    """How the values of interest are chosen."""

    HEADER = "header"
    """VOI LUT Sequence, else the window, else percentiles: what was used is recorded."""
    PERCENTILE = "percentile"
    FULL_RANGE = "full_range"
    """All values that the stored bits can hold."""


@record
class Window:
    """A window of the header, in modality values."""

    centre: float
    width: float
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LookupTable:
    """A modality or VOI LUT: input ``first`` and below gives ``values[0]``, and so on; entries have ``bits`` bits."""

    first: int
    bits: int
    values: NDArray[np.uint16]
    explanation: str = ""

    def __call__(self, values: FloatArray) -> FloatArray:
        """The table's output for any input values; outside the table its first and last entry."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.values) - 1).astype(np.intp)
        return self.values[index].astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplayHeader:
    """What a file says about showing its stored values."""

    photometric: str = "MONOCHROME2"
    bits_stored: int = 8
    is_signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: LookupTable | None = None
    voi_luts: tuple[LookupTable, ...] = ()
    windows: tuple[Window, ...] = ()
    function: VoiFunction = VoiFunction.LINEAR
    padding: tuple[int, int] | None = None
    """First and last stored value that stands for no measurement."""
    is_ready: bool = False
    """Whether the values are meant for a display as they are (8-bit JPEG and PNG): then no header means no window."""

    @property
    def stored_range(self) -> tuple[int, int]:
        """Lowest and highest value that the stored bits can hold."""
        if self.is_signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


@record
class VoiSettings:
    """``window`` chooses among several windows or LUTs: the number (from 0) or the explanation (``NORMAL``, ``HARDER`` ...)."""

    method: VoiMethod = VoiMethod.HEADER
    window: int | str = 0
    lower_percentile: float = 1.0
    upper_percentile: float = 99.5
    bits: int = 8
    """Of the output: 8 or 16."""


@record
class DisplayUsed:
    """What was done: ``voi_lut``, ``window``, ``percentile`` or ``full_range``; bounds in modality values where there are any."""

    method: str
    reason: str
    explanation: str = ""
    function: str | None = None
    centre: float | None = None
    width: float | None = None
    is_inverted: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplayTable:
    """Stored value ``first + n`` is shown as ``values[n]`` (uint8 or uint16)."""

    first: int
    values: NDArray[Any]
    used: DisplayUsed

    def __call__(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored values (any shape, within the table's range) as display values."""
        if self.first == 0 and stored.dtype.kind == "u":
            return self.values[stored]
        return self.values[stored.astype(np.int32) - self.first]


@dataclass(slots=True)
class _Choice:
    """The chosen curve from modality values to 0..1, and what it is."""

    curve: Callable[[FloatArray], FloatArray]
    method: str
    reason: str
    explanation: str = ""
    function: str | None = None
    centre: float | None = None
    width: float | None = None
    remarks: list[str] = field(default_factory=list)


def display_table(stored: NDArray[Any], header: DisplayHeader, settings: VoiSettings) -> DisplayTable:
    """The table from stored to display values for a grey image; covers every value that occurs.

    Raises:
        ValueError: the output has neither 8 nor 16 bits, or the percentiles are not in order.
    """
    if settings.bits not in (8, 16) or not 0 <= settings.lower_percentile < settings.upper_percentile <= 100:
        msg = f"expected 8 or 16 bits and percentiles in order within 0..100, got {settings}"
        raise ValueError(msg)
    first, last = _table_range(stored, header)
    values = np.arange(first, last + 1, dtype=np.float64)
    modality = _modality(values, header)
    choice = _choose(stored, header, settings)
    share = np.clip(choice.curve(modality), 0.0, 1.0)
    is_inverted = header.photometric == MONOCHROME1
    share = 1.0 - share if is_inverted else share
    if header.padding is not None:
        share[(values >= header.padding[0]) & (values <= header.padding[1])] = 0.0
    white = (1 << settings.bits) - 1
    table = np.rint(share * white).astype(np.uint8 if settings.bits == 8 else np.uint16)
    used = DisplayUsed(
        method=choice.method,
        reason=choice.reason,
        explanation=choice.explanation,
        function=choice.function,
        centre=choice.centre,
        width=choice.width,
        is_inverted=is_inverted,
        remarks=tuple(choice.remarks),
    )
    return DisplayTable(first=first, values=table, used=used)


def _table_range(stored: NDArray[Any], header: DisplayHeader) -> tuple[int, int]:
    """What the bits can hold; more where the pixels break that promise."""
    low, high = header.stored_range
    if stored.dtype.itemsize * 8 > header.bits_stored:
        return min(low, int(stored.min())), max(high, int(stored.max()))
    return low, high


def _modality(values: FloatArray, header: DisplayHeader) -> FloatArray:
    if header.modality_lut is not None:
        return header.modality_lut(values)
    return values * header.slope + header.intercept


def _choose(stored: NDArray[Any], header: DisplayHeader, settings: VoiSettings) -> _Choice:
    if settings.method == VoiMethod.FULL_RANGE:
        return _full_range(header, "asked for")
    if settings.method == VoiMethod.PERCENTILE:
        return _percentile(stored, header, settings, "asked for")
    if header.voi_luts:
        return _lut_choice(header, settings)
    if header.windows:
        return _window_choice(stored, header, settings)
    if header.is_ready:
        return _full_range(header, "the file's values are display values")
    return _percentile(stored, header, settings, "the header has no window")


def _lut_choice(header: DisplayHeader, settings: VoiSettings) -> _Choice:
    index, remark = _index([table.explanation for table in header.voi_luts], settings.window)
    table = header.voi_luts[index]
    top = (1 << table.bits) - 1
    remarks = [remark] if remark else []
    if int(table.values.max()) * 2 <= top:
        remarks.append("the VOI LUT uses less than half of the bits that it states, so the picture is dark")
    return _Choice(
        curve=lambda values: table(values) / top,
        method="voi_lut",
        reason="VOI LUT Sequence" + (", before the window" if header.windows else ""),
        explanation=table.explanation,
        remarks=remarks,
    )


def _window_choice(stored: NDArray[Any], header: DisplayHeader, settings: VoiSettings) -> _Choice:
    index, remark = _index([window.explanation for window in header.windows], settings.window)
    window = header.windows[index]
    smallest = 1.0 if header.function == VoiFunction.LINEAR else 0.0
    # PS3.3 C.11.2.1.2: the width is >= 1 for LINEAR, > 0 for the others.
    if window.width < smallest or window.width <= 0.0:
        return _percentile(stored, header, settings, "the header's window has no width")
    choice = _Choice(
        curve=window_curve(window, header.function),
        method="window",
        reason="Window Center and Width",
        explanation=window.explanation,
        function=str(header.function),
        centre=window.centre,
        width=window.width,
        remarks=[remark] if remark else [],
    )
    if _shows_nothing(stored, header, choice.curve):
        return _percentile(stored, header, settings, "the header's window shows every pixel black or every pixel white")
    return choice


def _shows_nothing(stored: NDArray[Any], header: DisplayHeader, curve: Callable[[FloatArray], FloatArray]) -> bool:
    sample = _measured(_sample(stored), header)
    if sample.size == 0 or sample.min() == sample.max():
        return False
    shown = np.clip(curve(_modality(np.array([sample.min(), sample.max()], dtype=np.float64), header)), 0.0, 1.0)
    return bool(np.ptp(np.rint(shown * 255)) == 0)


def _index(explanations: list[str], wanted: int | str) -> tuple[int, str]:
    """Which of several windows or LUTs; the first, with a remark, where the wanted one is not there."""
    if isinstance(wanted, int):
        return (wanted, "") if 0 <= wanted < len(explanations) else (0, f"there is no window number {wanted}; the first was used")
    folded = [explanation.strip().casefold() for explanation in explanations]
    if wanted.strip().casefold() in folded:
        return folded.index(wanted.strip().casefold()), ""
    return 0, "there is no window of the name asked for; the first was used"


def window_curve(window: Window, function: VoiFunction) -> Callable[[FloatArray], FloatArray]:
    """Modality values -> 0..1 before clipping.

    Source: DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    centre, width = window.centre, window.width
    if function == VoiFunction.SIGMOID:
        return lambda values: 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700.0, 700.0)))
    if function == VoiFunction.LINEAR_EXACT:
        return lambda values: (values - centre) / width + 0.5
    if width == 1.0:
        return lambda values: (values > centre - 0.5).astype(np.float64)
    return lambda values: (values - (centre - 0.5)) / (width - 1.0) + 0.5


def _full_range(header: DisplayHeader, reason: str) -> _Choice:
    low, high = np.sort(_modality(np.array(header.stored_range, dtype=np.float64), header))
    if header.modality_lut is not None:
        low, high = 0.0, float((1 << header.modality_lut.bits) - 1)
    return _straight(float(low), float(high), "full_range", reason)


def _percentile(stored: NDArray[Any], header: DisplayHeader, settings: VoiSettings, reason: str) -> _Choice:
    """A window between two percentiles of the measured pixels: padding and the one darkest value (the air) are left out."""
    values = _modality(_measured(_sample(stored), header).astype(np.float64), header)
    if values.size == 0:
        return _straight(0.0, 1.0, "percentile", reason)
    air = values.max() if header.photometric == MONOCHROME1 else values.min()
    tissue = values[values != air]
    if tissue.size == 0 or tissue.min() == tissue.max():
        # One value, or two as in a mask: from the lowest to the highest.
        low, high = float(values.min()), float(values.max())
        return _straight(low, high if high > low else low + 1.0, "percentile", reason)
    low, high = np.percentile(tissue, (settings.lower_percentile, settings.upper_percentile))
    return _straight(float(low), float(high) if high > low else float(low) + 1.0, "percentile", reason)


def _sample(stored: NDArray[Any]) -> NDArray[Any]:
    step = max(1, ceil(sqrt(stored.size / _SAMPLES)))
    return stored[::step, ::step]


def _measured(values: NDArray[Any], header: DisplayHeader) -> NDArray[Any]:
    if header.padding is None:
        return values.ravel()
    return values[(values < header.padding[0]) | (values > header.padding[1])]


def _straight(low: float, high: float, method: str, reason: str) -> _Choice:
    """A straight line from black at ``low`` to white at ``high``."""
    return _Choice(
        curve=lambda values: (values - low) / (high - low), method=method, reason=reason, centre=(low + high) / 2.0, width=high - low
    )
