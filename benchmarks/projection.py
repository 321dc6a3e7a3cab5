"""Mammograms of full size from DICOM to 8-bit PNG on two processes, against a plain pydicom and Pillow loop with the same output
settings, and against reading the same bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measured import Figure, seconds_of
from weakbox.imaging.image_conversion import BREAST, ConversionSettings, ImageSource, convert_image
from weakbox.imaging.perceptual_hash import near_pairs
from weakbox.runtime.executors.executor import ItemError
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.simulate.mammograms import breast_phantom, write_mammogram_dicom

SHAPE = (4096, 3328)
LONG_SIDE = 1536
WORKERS = 2
HASHES = 500_000
_BREASTS = 4
Work = Callable[[ImageSource], object]


def write_files(folder: Path, count: int, transfer_syntax: str, shape: tuple[int, int] = SHAPE) -> list[Path]:
    """Mammograms of four breasts, each moved down a little for every further file."""
    folder.mkdir(parents=True)
    breasts = [breast_phantom(number, "LR"[number % 2], ("CC", "MLO")[number // 2], 2, shape=shape)[0] for number in range(_BREASTS)]
    paths = []
    for number in range(count):
        path = folder / f"{number:04d}.dcm"
        pixels = np.roll(breasts[number % _BREASTS], 7 * (number // _BREASTS), axis=0)
        write_mammogram_dicom(path, pixels, laterality="LR"[number % 2], monochrome1=number % 2 == 1, transfer_syntax=transfer_syntax)
        paths.append(path)
    return paths


def plain_conversion(source: ImageSource) -> None:
    """What a script does: pydicom's VOI, scaled to 8 bits, resized and saved by Pillow with its own settings."""
    import pydicom
    from PIL import Image
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    dataset = pydicom.dcmread(source.path)
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    share = (values - values.min()) / (values.max() - values.min())
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        share = 1.0 - share
    picture = Image.fromarray((share * 255).astype(np.uint8))
    factor = LONG_SIDE / max(picture.size)
    picture = picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BOX)
    picture.save(source.target)


def measure(count: int) -> Iterator[Figure]:
    """Figures for ``count`` uncompressed images and half as many of JPEG 2000."""
    with tempfile.TemporaryDirectory() as name:
        for transfer_syntax, title, files in (("explicit", "uncompressed", count), ("jpeg2000", "JPEG 2000 lossless", max(2, count // 2))):
            paths = write_files(Path(name) / transfer_syntax, files, transfer_syntax)
            yield _figure(paths, Path(name) / "png", title)
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, HASHES, dtype=np.uint64)
    yield Figure(
        what=f"Near-duplicates among {HASHES:,} perceptual hashes (distance up to 3 of 64 bits), one core",
        value=f"{seconds_of(lambda: near_pairs(hashes)):.1f} s",
        compared_with=f"comparing all pairs: {_all_pairs_seconds(hashes):,.0f} s (from {_ALL_PAIRS_SAMPLE} hashes)",
    )


_ALL_PAIRS_SAMPLE = 200


def _all_pairs_seconds(hashes: np.ndarray) -> float:
    """What comparing each hash with all others would take."""
    seconds = seconds_of(lambda: [np.flatnonzero(np.bitwise_count(hashes ^ one) <= 3) for one in hashes[:_ALL_PAIRS_SAMPLE]])
    return seconds * len(hashes) / _ALL_PAIRS_SAMPLE / 2


def _figure(paths: list[Path], target: Path, title: str) -> Figure:
    sources = [ImageSource(path=str(path), target=str(target / f"{path.stem}.png")) for path in paths]
    target.mkdir(exist_ok=True)
    floor = seconds_of(lambda: [path.read_bytes() for path in paths])
    settings = ConversionSettings(long_side=LONG_SIDE)
    ours = _seconds(partial(convert_image, settings=settings), sources)
    cropped = _seconds(partial(convert_image, settings=ConversionSettings(long_side=LONG_SIDE, region=BREAST)), sources)
    plain = _seconds(plain_conversion, sources)
    count = len(paths)
    return Figure(
        what=f"DICOM to PNG: {count} mammograms of {SHAPE[1]}x{SHAPE[0]}, 12 bits, {title}, two processes, with hashes",
        value=f"{count / ours:.1f} images/s ({1000 * ours / count:.0f} ms an image); with breast crop {count / cropped:.1f} images/s",
        compared_with=f"pydicom + Pillow, two processes: {count / plain:.1f} images/s; reading the bytes: {count / floor:.0f} images/s",
        aim="faster than pydicom + Pillow",
    )


def _seconds(work: Work, sources: list[ImageSource]) -> float:
    """Wall-clock of all sources on workers that have started and imported what they need."""
    with closing(LocalExecutor(workers=WORKERS)) as executor:
        _raise_errors(executor.map(work, sources[: 2 * WORKERS]))
        return seconds_of(lambda: _raise_errors(executor.map(work, sources)))


def _raise_errors(results: Iterator[object]) -> None:
    for result in results:
        if isinstance(result, ItemError):
            raise RuntimeError(result.traceback)
