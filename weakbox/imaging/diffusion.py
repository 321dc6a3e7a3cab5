"""Apparent diffusion coefficient (ADC) and computed high b-value images.

Model: S(b) = S0 exp(-b ADC), mono-exponential. Which b-values may enter: PI-RADS v2.1, section on DWI (low b 50-100,
highest b for ADC 800-1000; b = 0 only where no low b exists; above 1000 kurtosis bends the line).
ADC maps are exported in 1e-6 mm2/s (= um2/s), where tissue is about 500 to 3000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.imaging.volumes import Volume, same_place
from weakbox.records.errors import InputError

MAXIMUM_B_FOR_ADC = 1000.0
LOW_B_RANGE = (50.0, 100.0)
MAXIMUM_ADC_MM2_S = 3.5e-3
BACKGROUND_FRACTION = 0.02
"""Voxels whose signal at the lowest b is under this share of its 99.5th percentile are air: ADC 0."""
UNIT_FACTOR = 1e6


def b_values_for_adc(b_values: Sequence[float]) -> tuple[float, ...]:
    """The b-values (s/mm2) that an ADC fit may use, ascending: none above 1000, no 0 where one of 50-100 exists.

    >>> b_values_for_adc([1400, 0, 50, 800])
    (50, 800)

    Raises:
        InputError: fewer than two remain.
    """
    usable = sorted({b for b in b_values if 0 <= b <= MAXIMUM_B_FOR_ADC})
    if any(LOW_B_RANGE[0] <= b <= LOW_B_RANGE[1] for b in usable):
        usable = [b for b in usable if b > 0]
    if len(usable) < 2:
        msg = f"an ADC needs two b-values up to {MAXIMUM_B_FOR_ADC:.0f} s/mm2, of which {tuple(b_values)} holds {len(usable)}"
        raise InputError(msg)
    return tuple(usable)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionFit:
    """A fitted map: ``adc`` in mm2/s and ``log_s0`` (natural logarithm), both float32 [k, j, i], 0 where not fitted."""

    adc: NDArray[np.float32]
    log_s0: NDArray[np.float32]
    is_fitted: NDArray[np.bool_]
    b_values: tuple[float, ...]


def fit_adc(signals: Mapping[float, Volume]) -> DiffusionFit:
    """Least squares of ln S on b (for two b-values: ln(S1/S2)/(b2 - b1)), clipped to 0 .. 3.5e-3 mm2/s.

    Voxels of air, or with no signal at any b-value, are not fitted.

    Raises:
        InputError: too few usable b-values, or volumes on different grids.
    """
    b_values = b_values_for_adc(tuple(signals))
    first = signals[b_values[0]].grid
    if any(not same_place(signals[b].grid, first) for b in b_values):
        msg = "the b-values of one fit lie on different grids; they must come from one acquisition"
        raise InputError(msg)
    arrays = [signals[b].array for b in b_values]
    is_fitted = np.logical_and.reduce([array > 0 for array in arrays]) & ~_background(arrays[0])
    logarithms = [np.log(np.where(is_fitted, array, 1), dtype=np.float32) for array in arrays]
    mean_b = sum(b_values) / len(b_values)
    mean_log = sum(logarithms) / np.float32(len(logarithms))
    weights = [(b - mean_b) / sum((other - mean_b) ** 2 for other in b_values) for b in b_values]
    slope = sum(np.float32(weight) * log for weight, log in zip(weights, logarithms, strict=True))
    adc = np.where(is_fitted, np.clip(-np.asarray(slope), 0, MAXIMUM_ADC_MM2_S), 0).astype(np.float32)
    log_s0 = np.where(is_fitted, mean_log + adc * np.float32(mean_b), 0).astype(np.float32)
    return DiffusionFit(adc=adc, log_s0=log_s0, is_fitted=is_fitted, b_values=b_values)


def _background(array: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(array < BACKGROUND_FRACTION * np.percentile(array, 99.5))


def adc_map(fit: DiffusionFit) -> NDArray[np.int16]:
    """ADC in 1e-6 mm2/s, int16."""
    return np.rint(fit.adc * UNIT_FACTOR).astype(np.int16)


def computed_signal(fit: DiffusionFit, b_value: float) -> NDArray[np.float32]:
    """S(b) from a fit; 0 where nothing was fitted."""
    return np.where(fit.is_fitted, np.exp(fit.log_s0 - fit.adc * np.float32(b_value)), 0).astype(np.float32)


def extrapolated_signal(signal: NDArray[Any], b_reference: float, adc_mm2_s: NDArray[Any], b_value: float) -> NDArray[np.float32]:
    """S(b) = S(b_ref) exp(-(b - b_ref) ADC) from one acquired image and an ADC map (mm2/s); 0 where the ADC is 0.

    The ADC is clipped to 0 .. 3.5e-3 mm2/s first. Noise of the acquired image is scaled along with the signal.
    """
    adc = np.clip(adc_mm2_s, 0, MAXIMUM_ADC_MM2_S)
    values = signal * np.exp(-(b_value - b_reference) * adc)
    return np.where((adc > 0) & ~_background(signal), values, 0).astype(np.float32)


class AdcUnit(StrEnum):
    """In what an ADC series is stored, by the size of its values."""

    MM2_S = "mm2/s"
    MILLI_MM2_S = "1e-3 mm2/s"
    MICRO_MM2_S = "1e-6 mm2/s"
    UNKNOWN = "unknown"


_UNIT_RANGES = ((AdcUnit.MM2_S, 2e-4, 2e-2), (AdcUnit.MILLI_MM2_S, 0.2, 20.0), (AdcUnit.MICRO_MM2_S, 200.0, 20000.0))
_FACTORS = {AdcUnit.MM2_S: 1e6, AdcUnit.MILLI_MM2_S: 1e3, AdcUnit.MICRO_MM2_S: 1.0}


def adc_unit(array: NDArray[Any]) -> AdcUnit:
    """The unit that makes the 90th percentile of the positive values a diffusion coefficient of tissue or water.

    Real maps reach 1.5e-3 to 3e-3 mm2/s there; each unit's range is a hundred wide, and the ranges do not touch.
    """
    positive = array[array > 0]
    if positive.size == 0:
        return AdcUnit.UNKNOWN
    level = float(np.percentile(positive, 90))
    return next((unit for unit, low, high in _UNIT_RANGES if low <= level < high), AdcUnit.UNKNOWN)


def adc_in_micro(array: NDArray[Any]) -> tuple[NDArray[Any], AdcUnit]:
    """An acquired ADC map in 1e-6 mm2/s, and the unit it was stored in. Unknown units leave the values as they are."""
    unit = adc_unit(array)
    factor = _FACTORS.get(unit, 1.0)
    if factor == 1.0:
        return array, unit
    return np.rint(np.clip(array.astype(np.float64) * factor, 0, np.iinfo(np.int16).max)).astype(np.int16), unit
