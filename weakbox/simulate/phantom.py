"""What tissue gives on T2, ADC and diffusion-weighted images: an anatomy that differs in all three axes.

The rectum lies posterior, the bladder superior, and one bright vessel on the patient's left only, so that a flipped or
permuted image is another image. Lesions are dark on T2 and ADC and bright at high b, the more the higher their category.
ADC in 1e-6 mm2/s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbox.records.grid import Grid
from weakbox.simulate.anatomy import Gland
from weakbox.simulate.course import Region

FloatArray = NDArray[np.float32]

_T2_SHARE = {3: 0.72, 4: 0.58, 5: 0.48}
_ADC = {3: 1050.0, 4: 840.0, 5: 690.0}
NOISE = 7.0
FAT_ADC = 300.0
FAT_SUPPRESSED = 18.0
"""Signal of fat on diffusion-weighted images, which are acquired with fat suppression."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """Maps on one grid, numpy [k, j, i]: T2-weighted signal, ADC (1e-6 mm2/s), diffusion signal at b = 0, and which voxels are lesion."""

    t2: FloatArray
    adc: FloatArray
    signal_b0: FloatArray
    is_lesion: NDArray[np.bool_]


def tissue_on(grid: Grid, gland: Gland, regions: Iterable[Region]) -> Tissue:
    """The anatomy on a grid."""
    u, v, w = _coordinates(grid, np.linalg.inv(gland.matrix * np.array(gland.semi_axes)), np.array(gland.centre))
    t2, adc = _background(u, v, w)
    inside = u**2 + v**2 + w**2 < 1.0
    for mask, signal, diffusion in _zones(u, v, w):
        np.copyto(t2, signal, where=inside & mask)
        np.copyto(adc, diffusion, where=inside & mask)
    signal_b0 = np.where(adc == FAT_ADC, np.float32(FAT_SUPPRESSED), np.float32(0.8) * t2)
    is_lesion = np.zeros(t2.shape, dtype=bool)
    for region in regions:
        if region.pirads is not None:
            voxels = _ellipsoid(grid, region)
            is_lesion |= voxels
            t2[voxels] *= _T2_SHARE[region.pirads]
            adc[voxels] = _ADC[region.pirads]
            signal_b0[voxels] = 330.0
    return Tissue(t2=t2, adc=adc, signal_b0=signal_b0, is_lesion=is_lesion)


def _coordinates(grid: Grid, linear: NDArray[np.float64], origin: NDArray[np.float64]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``linear @ (LPS - origin)`` of every voxel centre, each component as [k, j, i]."""
    matrix = linear @ grid.matrix[:3, :3]
    start = linear @ (grid.matrix[:3, 3] - origin)
    columns, rows, slices = (np.arange(n, dtype=np.float32) for n in grid.shape)
    parts = []
    for row, first in zip(matrix, start, strict=True):
        i, j, k = (np.float32(value) for value in row)
        parts.append((columns * i)[None, None, :] + (rows * j)[None, :, None] + (slices * k + np.float32(first))[:, None, None])
    return parts[0], parts[1], parts[2]


def _background(u: FloatArray, v: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fat, muscle, rectum, bladder, one vessel on the left, and air outside the body."""
    t2 = np.full(u.shape, 190.0, dtype=np.float32)
    adc = np.full(u.shape, FAT_ADC, dtype=np.float32)
    parts = (
        ((np.abs(u) > 1.45) & (np.abs(u) < 2.1), 80.0, 1300.0),
        ((u / 0.55) ** 2 + ((v - 1.55) / 0.45) ** 2 < 1.0, 110.0, 1100.0),
        ((u / 0.3) ** 2 + ((v - 1.55) / 0.22) ** 2 < 1.0, 12.0, 50.0),
        ((u / 1.2) ** 2 + ((v + 0.3) / 1.0) ** 2 + ((w - 1.95) / 0.9) ** 2 < 1.0, 620.0, 2800.0),
        (((u - 1.65) / 0.16) ** 2 + ((v + 0.45) / 0.16) ** 2 < 1.0, 700.0, 2000.0),
        ((u / 4.2) ** 2 + ((v - 0.2) / 3.2) ** 2 > 1.0, 0.0, 0.0),
    )
    for mask, signal, diffusion in parts:
        np.copyto(t2, np.float32(signal), where=mask)
        np.copyto(adc, np.float32(diffusion), where=mask)
    return t2, adc


def _zones(u: FloatArray, v: FloatArray, w: FloatArray) -> Iterable[tuple[NDArray[np.bool_], FloatArray, FloatArray]]:
    """Peripheral zone, nodular transition zone, anterior stroma: mask, T2 signal, ADC; later ones lie on top."""
    nodules = np.sin(9.0 * u + 1.0) * np.sin(8.0 * v) * np.sin(7.0 * w + 0.5)
    everywhere = np.ones(u.shape, dtype=bool)
    transition = (u / 0.62) ** 2 + ((v + 0.12) / 0.55) ** 2 + (w / 0.8) ** 2 < 1.0
    stroma = (v < -0.45) & (np.abs(u) < 0.28)
    yield everywhere, np.full(u.shape, 430.0, np.float32), np.full(u.shape, 1650.0, np.float32)
    yield transition, (270.0 + 60.0 * nodules).astype(np.float32), (1300.0 + 120.0 * nodules).astype(np.float32)
    yield stroma, np.full(u.shape, 210.0, np.float32), np.full(u.shape, 1150.0, np.float32)


def _ellipsoid(grid: Grid, region: Region) -> NDArray[np.bool_]:
    x, y, z = _coordinates(grid, np.diag([2.0 / extent for extent in region.extents]), np.array(region.centre))
    return np.asarray(x**2 + y**2 + z**2 < 1.0)


def t2_pixels(tissue: Tissue, noise: np.random.Generator) -> NDArray[np.uint16]:
    """A T2-weighted volume."""
    return _stored(tissue.t2, noise)


def diffusion_pixels(tissue: Tissue, b_value: int, noise: np.random.Generator) -> NDArray[np.uint16]:
    """A diffusion-weighted volume at one b-value (s/mm2): mono-exponential."""
    return _stored(tissue.signal_b0 * np.exp(np.float32(-b_value * 1e-6) * tissue.adc), noise)


def adc_pixels(tissue: Tissue, noise: np.random.Generator, scale: float) -> NDArray[np.uint16]:
    """An ADC map, stored as ADC (1e-6 mm2/s) times ``scale``."""
    return _stored(tissue.adc * np.float32(scale), noise)


def contrast_pixels(tissue: Tissue, phase: int, noise: np.random.Generator) -> NDArray[np.uint16]:
    """A T1-weighted phase: lesions enhance from the second one on."""
    return _stored(160.0 + 0.1 * tissue.t2 + (150.0 * tissue.is_lesion if phase > 1 else 0.0), noise)


def _stored(signal: NDArray[np.floating], noise: np.random.Generator) -> NDArray[np.uint16]:
    noisy = signal + noise.standard_normal(signal.shape, dtype=np.float32) * np.float32(NOISE)
    return np.clip(noisy, 0.0, 4095.0).astype("<u2")
