"""Preparing an image once: decoded, cropped, brought to one size and stored, the same each time.

2-D pixels stay on the scale 0..255 (uint8, or float16 where the export has 16 bits) and are normalised on the device. 3-D
channels are normalised here: T2 and high-b by percentiles and z-score, ADC by a constant, because it is a quantity.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cv_model_experiments.data.placement import Placement
from weakbox.imaging.projection import read_projection
from weakbox.imaging.volumes import read_volume_file
from weakbox.records.errors import InputError
from weakbox.records.record import record

ADC_SCALE = 1000.0
"""ADC is stored in 1e-6 mm2/s: prostate tissue becomes 0.5 to 2."""
CLIP_PERCENTILES = (0.5, 99.5)
"""Of the voxels above 0; picai_baseline's."""
Region = tuple[tuple[float, ...], tuple[float, ...]]
"""Start and stop on tensor axes, pixel edges of the exported image."""


@record
class PreparedImage:
    """Pixels [channel, *axes] and where they lie on the exported image."""

    pixels: NDArray[Any]
    placement: Placement


@record
class ImageFiles:
    """What one prepared image is made of: a picture, or the channels of a volume in their order."""

    paths: tuple[Path, ...]
    region: Region | None = None
    """Only this part, for crops around a box; may reach over the edge."""
    is_mirrored: bool = False
    """Columns are reversed: right breasts shown like left ones."""


class Preparation(Protocol):
    """Makes a ``PreparedImage`` of files; picklable. ``key_parts`` names every choice that changes its pixels."""

    def __call__(self, files: ImageFiles) -> PreparedImage:
        """Prepare; an ``InputError`` leaves this image out."""
        ...

    def key_parts(self) -> tuple[object, ...]:
        """What the cache's key rests on, beside the files."""
        ...


@record
class PicturePreparation:
    """Fits a 2-D image into ``size`` (rows, columns) without changing its proportions; the rest is 0."""

    size: tuple[int, int]
    channels: int = 1
    """1: grey, colour by luminance; 3: colour, grey three times."""

    def key_parts(self) -> tuple[object, ...]:
        """See ``Preparation``."""
        return ("picture 1", self.size, self.channels)

    def __call__(self, files: ImageFiles) -> PreparedImage:
        """See ``Preparation``.

        Raises:
            InputError: the image cannot be read, or its values are no numbers.
        """
        path = files.paths[0]
        pixels = _scaled_to_byte_range(np.asarray(read_projection(path).pixels), path)
        start, stop = files.region or ((0.0, 0.0), (float(pixels.shape[0]), float(pixels.shape[1])))
        low, high = np.floor(start).astype(int), np.ceil(stop).astype(int)
        pixels = _cut(pixels, low, high)
        if files.is_mirrored:
            pixels = pixels[:, ::-1]
        scale = min(self.size[0] / pixels.shape[0], self.size[1] / pixels.shape[1])
        inner = [max(1, round(length * scale)) for length in pixels.shape[:2]]
        shown = np.zeros((self.channels, *self.size), pixels.dtype)
        corner = [(outer - length) // 2 for outer, length in zip(self.size, inner, strict=True)]
        shown[:, corner[0] : corner[0] + inner[0], corner[1] : corner[1] + inner[1]] = _resized(pixels, inner, self.channels)
        scales = [length / old for length, old in zip(inner, pixels.shape[:2], strict=True)]
        offsets = [corner[axis] - scales[axis] * low[axis] for axis in range(2)]
        if files.is_mirrored:
            scales[1], offsets[1] = -scales[1], corner[1] + scales[1] * float(high[1])
        return PreparedImage(pixels=shown, placement=Placement(scale=tuple(scales), offset=tuple(offsets), shape=self.size))


def _scaled_to_byte_range(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    if pixels.dtype == np.uint8:
        return pixels
    values = pixels.astype(np.float32)
    if not np.isfinite(values).all():
        msg = f"{path.name}: pixels that are no numbers (NaN or infinite); export this image again"
        raise InputError(msg)
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "iu" else max(1.0, float(values.max()))
    return values * (255.0 / top)


def _cut(pixels: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """The part low..high of the first axes, 0 where it reaches over the edge."""
    axes = len(low)
    if not low.any() and np.array_equal(high, pixels.shape[:axes]):
        return pixels
    out = np.zeros((*(np.maximum(high - low, 1)), *pixels.shape[axes:]), pixels.dtype)
    first, last = np.maximum(low, 0), np.minimum(high, pixels.shape[:axes])
    if (first < last).all():
        source = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        target = tuple(slice(a, b) for a, b in zip(first - low, last - low, strict=True))
        out[target] = pixels[source]
    return out


def _resized(pixels: NDArray[Any], size: list[int], channels: int) -> NDArray[Any]:
    """[channel, row, column] of ``size``; shrinking averages, so fine structures do not alias."""
    if pixels.ndim == 3 and channels == 1:
        pixels = (pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(pixels.dtype)
    planes = [pixels] if pixels.ndim == 2 else [pixels[..., number] for number in range(3)]
    shown = [np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size[::-1], Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(shown if len(shown) == channels else shown * channels)


@record
class VolumePreparation:
    """Channels of a volume on one grid, resampled to ``spacing_mm`` and cut or filled around the centre to ``size``.

    ``spacing_mm`` and ``size`` are along (slice, row, column). None leaves the spacing, or the size, as it is.
    """

    channels: tuple[str, ...]
    spacing_mm: tuple[float, float, float] | None = None
    size: tuple[int, int, int] | None = None

    def key_parts(self) -> tuple[object, ...]:
        """See ``Preparation``."""
        return ("volume 1", self.channels, self.spacing_mm, self.size)

    def __call__(self, files: ImageFiles) -> PreparedImage:
        """See ``Preparation``.

        Raises:
            InputError: a channel cannot be read, lies on another grid, or has voxels that are no numbers.
        """
        volumes = [read_volume_file(path, None) for path in files.paths]
        grid = volumes[0].grid
        for path, volume in zip(files.paths, volumes, strict=True):
            if volume.array.shape != volumes[0].array.shape:
                msg = (
                    f"{path.name}: shape {volume.array.shape} is not the reference's {volumes[0].array.shape}; use the file `_on_reference`"
                )
                raise InputError(msg)
        planes = [normalised(volume.array, name, path.name) for volume, name, path in zip(volumes, self.channels, files.paths, strict=True)]
        pixels = np.stack(planes)
        low = np.zeros(3)
        if files.region is not None:
            low, high = np.floor(files.region[0]).astype(int), np.ceil(files.region[1]).astype(int)
            pixels = np.stack([_cut(plane, low, high) for plane in pixels])
        spacing = tuple(float(value) for value in grid.spacing[::-1])
        pixels, scale = _respaced(pixels, spacing, self.spacing_mm)
        pixels, corner = _centred(pixels, self.size)
        offset = tuple(float(corner[axis] - scale[axis] * low[axis]) for axis in range(3))
        placement = Placement(scale=tuple(scale), offset=offset, shape=pixels.shape[1:])
        return PreparedImage(pixels=pixels.astype(np.float16), placement=placement)


def normalised(array: NDArray[Any], channel: str, file_name: str) -> NDArray[np.float32]:
    """One channel as float32: ADC by a constant, others clipped at percentiles of the voxels above 0, then z-scores of these.

    Raises:
        InputError: voxels that are no numbers, or all the same.
    """
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        msg = f"{file_name}: voxels that are no numbers (NaN or infinite); export this study again"
        raise InputError(msg)
    if channel == "adc":
        return np.clip(values / ADC_SCALE, 0.0, 5.0)
    tissue = values[values > 0]
    if tissue.size == 0 or float(tissue.min()) == float(values.max()):
        msg = f"{file_name}: every voxel has the same value; the series was not read right"
        raise InputError(msg)
    low, high = np.percentile(tissue, CLIP_PERCENTILES)
    clipped = np.clip(values, low, high)
    inside = clipped[values > 0]
    result: NDArray[np.float32] = (clipped - inside.mean()) / max(float(inside.std()), 1e-6)
    return result


def _respaced(
    pixels: NDArray[np.float32], spacing: tuple[float, ...], wanted: tuple[float, float, float] | None
) -> tuple[NDArray[np.float32], list[float]]:
    """Resampled along voxel edges (both grids begin and end at the same edge), and the scale of each axis."""
    if wanted is None:
        return pixels, [1.0, 1.0, 1.0]
    shape = pixels.shape[1:]
    new = [max(1, round(length * old / aim)) for length, old, aim in zip(shape, spacing, wanted, strict=True)]
    scale = [length / old for length, old in zip(new, shape, strict=True)]
    if tuple(new) == shape:
        return pixels, scale
    import torch
    from torch.nn.functional import interpolate

    resampled = interpolate(torch.from_numpy(np.ascontiguousarray(pixels))[None], size=new, mode="trilinear", align_corners=False)
    return resampled[0].numpy(), scale


def _centred(pixels: NDArray[np.float32], size: tuple[int, int, int] | None) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Cut or filled (with each channel's least value) around the centre; and where the old corner lies in the new image."""
    if size is None:
        return pixels, np.zeros(3)
    shape = np.array(pixels.shape[1:])
    corner = np.floor_divide(np.array(size) - shape, 2)
    filled = np.repeat(pixels.min(axis=(1, 2, 3))[:, None, None, None], 1, axis=1) * np.ones((1, *size), np.float32)
    first, last = np.maximum(corner, 0), np.minimum(corner + shape, size)
    target = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    source = tuple(slice(a, b) for a, b in zip(first - corner, last - corner, strict=True))
    filled[(slice(None), *target)] = pixels[(slice(None), *source)]
    return filled.astype(np.float32), corner.astype(float)


def channel_paths(reference: Path, channels: tuple[str, ...]) -> tuple[Path, ...]:
    """The files of a 3-D case's channels beside its reference volume: ``<case>_t2w``, ``_adc_on_reference`` ...

    ``reference`` itself for a channel whose file it is; the resampled file where it exists.

    Raises:
        InputError: a channel is missing.
    """
    stem, _, of_reference = reference.name.removesuffix(".gz").removesuffix(".nii").rpartition("_")
    found = []
    for channel in channels:
        candidates = [reference] if channel == of_reference else []
        candidates += [reference.with_name(f"{stem}_{channel}{end}.nii.gz") for end in ("_on_reference", "")]
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None:
            msg = f"{reference.parent.name}: no file of channel {channel!r}; name the channels that the set has, for example [t2w, adc]"
            raise InputError(msg)
        found.append(path)
    return tuple(found)
