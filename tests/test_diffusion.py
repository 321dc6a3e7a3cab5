"""Diffusion: the planted ADC comes back, and only the b-values that PI-RADS allows are used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phantom import oblique_grid
from weakbox.imaging.diffusion import (
    AdcUnit,
    adc_in_micro,
    adc_map,
    adc_unit,
    b_values_for_adc,
    computed_signal,
    extrapolated_signal,
    fit_adc,
)
from weakbox.imaging.volumes import Volume
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid

GRID = oblique_grid(shape=(6, 5, 4))


def planted() -> tuple[np.ndarray, np.ndarray]:
    """ADC (mm2/s) and S0 that differ in every voxel."""
    order = np.arange(120).reshape(4, 5, 6)
    return 4e-4 + order * 2e-5, 500.0 + 3.0 * order


def signals(*b_values: float, grid: Grid = GRID) -> dict[float, Volume]:
    adc, s0 = planted()
    return {b: Volume((s0 * np.exp(-b * adc)).astype(np.float32), grid) for b in b_values}


@pytest.mark.parametrize("b_values", [(50, 800), (50, 400, 800), (0, 1000), (100, 500, 1000)])
def test_the_planted_adc_comes_back(b_values: tuple[float, ...]) -> None:
    fit = fit_adc(signals(*b_values))
    adc, s0 = planted()
    np.testing.assert_allclose(fit.adc, adc, rtol=1e-3)
    np.testing.assert_allclose(np.exp(fit.log_s0), s0, rtol=1e-3)
    np.testing.assert_allclose(adc_map(fit), adc * 1e6, atol=1.0)
    np.testing.assert_allclose(computed_signal(fit, 1400), s0 * np.exp(-1400 * adc), rtol=3e-3)


@pytest.mark.parametrize(
    ("given_values", "used"),
    [
        ((0, 50, 400, 800, 1400), (50, 400, 800)),
        ((0, 1000), (0, 1000)),
        ((0, 100, 1000, 2000), (100, 1000)),
        ((0, 400, 800), (0, 400, 800)),
        ((800, 50, 50), (50, 800)),
    ],
)
def test_no_b_above_1000_and_no_zero_beside_a_low_b(given_values: tuple[float, ...], used: tuple[float, ...]) -> None:
    assert b_values_for_adc(given_values) == used


@pytest.mark.parametrize("b_values", [(), (800,), (0, 50), (800, 1400), (1400, 2000)])
def test_too_few_b_values_are_refused(b_values: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="needs two b-values"):
        b_values_for_adc(b_values)


def test_voxels_without_signal_and_air_are_not_fitted() -> None:
    volumes = signals(50, 800)
    volumes[800].array[0, 0, 0] = 0
    volumes[50].array[1, 1, 1] = 0.5
    fit = fit_adc(volumes)
    assert not fit.is_fitted[0, 0, 0] and not fit.is_fitted[1, 1, 1]
    assert fit.adc[0, 0, 0] == fit.adc[1, 1, 1] == computed_signal(fit, 1400)[0, 0, 0] == 0
    assert fit.is_fitted.sum() == 118


def test_the_adc_is_clipped_to_what_tissue_and_water_can_have() -> None:
    grid = oblique_grid(shape=(2, 1, 1))
    volumes = {
        50.0: Volume(np.array([[[100.0, 100.0]]], dtype=np.float32), grid),
        800.0: Volume(np.array([[[120.0, 0.001]]], dtype=np.float32), grid),
    }
    assert adc_map(fit_adc(volumes)).ravel().tolist() == [0, 3500]


def test_volumes_on_different_grids_are_refused() -> None:
    volumes = signals(50) | signals(800, grid=oblique_grid(shape=(6, 5, 4), origin=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="different grids"):
        fit_adc(volumes)


@settings(max_examples=50)
@given(st.floats(1e-4, 3.4e-3), st.floats(800, 1000), st.floats(1200, 2000))
def test_extrapolation_agrees_with_the_model(adc: float, b_reference: float, b_value: float) -> None:
    reference = np.full((2, 2), 1000.0 * np.exp(-b_reference * adc))
    made = extrapolated_signal(reference, b_reference, np.full((2, 2), adc), b_value)
    np.testing.assert_allclose(made, 1000.0 * np.exp(-b_value * adc), rtol=1e-4)


@pytest.mark.parametrize(("factor", "unit"), [(1e-6, AdcUnit.MM2_S), (1e-3, AdcUnit.MILLI_MM2_S), (1.0, AdcUnit.MICRO_MM2_S)])
def test_every_unit_ends_as_micro(factor: float, unit: AdcUnit) -> None:
    micro = planted()[0] * 1e6
    array, found = adc_in_micro(micro * factor)
    assert found is unit
    np.testing.assert_allclose(array, micro, atol=0.51)


def test_values_that_fit_no_unit_are_left_alone() -> None:
    array = np.full((2, 2, 2), 60.0)
    assert adc_unit(array) is AdcUnit.UNKNOWN
    assert adc_in_micro(array)[0] is array
    assert adc_unit(np.zeros((2, 2, 2))) is AdcUnit.UNKNOWN
