"""Frames of DICOM files: pixels, rescaling and position of every slice, whatever kind of file holds it.

Single-frame files, frames of multi-frame (enhanced) files, and tiles of Siemens mosaics all become ``Frame``.
Files may lie inside a zip archive (``archive.zip!member``). Files are opened read-only and never changed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from weakbox.imaging.csa import read_csa_numbers
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import Instance

ARCHIVE_MARK = ".zip!"
POSITION_TOLERANCE_MM = 0.05
PHILIPS_SCALE_SLOPE = (0x2005, 0x100E)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One slice. ``pixels`` are stored values (rows, columns); ``position`` is the centre of the first voxel, LPS mm.

    ``spacing`` is (between rows, between columns) in mm, as Pixel Spacing (0028,0030) states it.
    """

    sop_instance_uid: str
    pixels: NDArray[Any]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    slope: float
    intercept: float
    frame_of_reference_uid: str | None
    slice_step_mm: float
    """Spacing Between Slices, else Slice Thickness, else 1: used only where a volume has a single slice."""

    @property
    def normal(self) -> NDArray[np.float64]:
        """Row direction x column direction."""
        return np.cross(self.orientation[:3], self.orientation[3:])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomImages:
    """The frames of a series in the order of its instances, and the header of every file (without pixels)."""

    frames: tuple[Frame, ...]
    headers: tuple[Dataset, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user of the values should know."""
        if any(PHILIPS_SCALE_SLOPE in header for header in self.headers):
            return ("Philips: Rescale Slope is applied; the private scale slope (2005,100E) is not, so signal is relative",)
        return ()


def read_dicom_images(series_uid: str, instances: Sequence[Instance]) -> DicomImages:
    """Read and decode the files of a series, each once.

    Raises:
        InputError: a file is missing, is not the instance that was indexed, or cannot be decoded.
    """
    frames: list[Frame] = []
    headers: list[Dataset] = []
    for group, dataset in _read_files(series_uid, instances):
        pixels = _decode(series_uid, dataset)
        try:
            frames.extend(_frames_of(dataset, pixels, group))
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise _unusable(series_uid, group[0], f"its geometry cannot be read ({type(error).__name__})") from error
        del dataset.PixelData
        headers.append(dataset)
    return DicomImages(frames=tuple(frames), headers=tuple(headers))


def _read_files(series_uid: str, instances: Sequence[Instance]) -> Iterator[tuple[list[Instance], Dataset]]:
    groups: dict[str, list[Instance]] = {}
    for instance in instances:
        groups.setdefault(instance.path, []).append(instance)
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        for path, group in groups.items():
            try:
                dataset = pydicom.dcmread(_open(path, archives, stack), force=True)
            except (OSError, KeyError, EOFError, zipfile.BadZipFile, InvalidDicomError, ValueError) as error:
                raise _unusable(series_uid, group[0], f"its file cannot be read ({type(error).__name__})") from error
            if str(dataset.get("SOPInstanceUID", "")) != group[0].sop_instance_uid:
                raise _unusable(series_uid, group[0], "its file now holds another instance")
            yield group, dataset


def _open(path: str, archives: dict[str, zipfile.ZipFile], stack: ExitStack) -> Path | io.BytesIO:
    archive, mark, member = path.partition(ARCHIVE_MARK)
    if not mark:
        return Path(path)
    name = archive + ".zip"
    if name not in archives:
        archives[name] = stack.enter_context(zipfile.ZipFile(name))
    return io.BytesIO(archives[name].read(member))


def _decode(series_uid: str, dataset: Dataset) -> NDArray[Any]:
    """Stored values as (frames, rows, columns)."""
    if _is_plain(dataset):
        words = np.frombuffer(dataset.PixelData, dtype="<i2" if dataset.PixelRepresentation else "<u2")
        return words.reshape(1, dataset.Rows, dataset.Columns)
    try:
        pixels = dataset.pixel_array
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        place = f"series {series_uid}, instance {dataset.get('SOPInstanceUID')}"
        msg = f"{place}: pixels cannot be decoded ({type(error).__name__}); convert the file to an uncompressed transfer syntax"
        raise InputError(msg) from error
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        msg = f"series {series_uid}, instance {dataset.SOPInstanceUID}: expected one sample per pixel, found colour; leave this series out"
        raise InputError(msg)
    return np.asarray(pixels).reshape(-1, dataset.Rows, dataset.Columns)


def _is_plain(dataset: Dataset) -> bool:
    """Whether the pixels are one uncompressed little-endian image of 16-bit words: most MR, and ten times as fast to read."""
    layout = (dataset.get("BitsAllocated"), dataset.get("SamplesPerPixel"), int(dataset.get("NumberOfFrames") or 1))
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if layout != (16, 1, 1) or syntax not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) or "PixelData" not in dataset:
        return False
    if len(dataset.PixelData) != 2 * int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0):
        return False
    bits, is_signed = int(dataset.get("BitsStored") or 0), dataset.get("PixelRepresentation")
    if bits == 16:
        return is_signed in (0, 1)
    # Bits above the stored ones may hold an old overlay, and signs need extending: those are pydicom's business.
    has_clear_bits = 0 < bits < 16 and is_signed == 0 and dataset.get("HighBit") == bits - 1
    return has_clear_bits and not np.any(np.frombuffer(dataset.PixelData, dtype="<u2") >> bits)


def _unusable(series_uid: str, instance: Instance, reason: str) -> InputError:
    return InputError(f"series {series_uid}, instance {instance.sop_instance_uid}: {reason}; restore the file or index the folder again")


def _frames_of(dataset: Dataset, pixels: NDArray[Any], group: Sequence[Instance]) -> list[Frame]:
    if "PerFrameFunctionalGroupsSequence" in dataset:
        numbers = [instance.frame or 1 for instance in group]
        return [_enhanced_frame(dataset, pixels[number - 1], number - 1) for number in numbers]
    if is_mosaic(dataset):
        return _mosaic_frames(dataset, pixels[0])
    return [_classic_frame(dataset, pixels[(instance.frame or 1) - 1]) for instance in group]


def _classic_frame(dataset: Dataset, pixels: NDArray[Any]) -> Frame:
    row_spacing, column_spacing = (float(value) for value in dataset.PixelSpacing)
    return Frame(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        pixels=pixels,
        position=np.array(dataset.ImagePositionPatient, dtype=float),
        orientation=np.array(dataset.ImageOrientationPatient, dtype=float),
        spacing=(row_spacing, column_spacing),
        slope=_number(dataset, "RescaleSlope", 1.0),
        intercept=_number(dataset, "RescaleIntercept", 0.0),
        frame_of_reference_uid=_frame_of_reference(dataset),
        slice_step_mm=_slice_step(dataset),
    )


def _number(dataset: Dataset, keyword: str, default: float) -> float:
    value = dataset.get(keyword)
    return default if value is None or value == "" else float(value)


def _slice_step(dataset: Dataset) -> float:
    return abs(_number(dataset, "SpacingBetweenSlices", 0.0)) or abs(_number(dataset, "SliceThickness", 0.0)) or 1.0


def _frame_of_reference(dataset: Dataset) -> str | None:
    return str(dataset.get("FrameOfReferenceUID") or "") or None


def _enhanced_frame(dataset: Dataset, pixels: NDArray[Any], index: int) -> Frame:
    own = dataset.PerFrameFunctionalGroupsSequence[index]
    shared = dataset.SharedFunctionalGroupsSequence[0] if dataset.get("SharedFunctionalGroupsSequence") else Dataset()

    def group(keyword: str) -> Dataset:
        items = own.get(keyword) or shared.get(keyword)
        return items[0] if items else Dataset()

    measures = group("PixelMeasuresSequence")
    rescale = group("PixelValueTransformationSequence")
    row_spacing, column_spacing = (float(value) for value in measures.PixelSpacing)
    return Frame(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        pixels=pixels,
        position=np.array(group("PlanePositionSequence").ImagePositionPatient, dtype=float),
        orientation=np.array(group("PlaneOrientationSequence").ImageOrientationPatient, dtype=float),
        spacing=(row_spacing, column_spacing),
        slope=_number(rescale, "RescaleSlope", _number(dataset, "RescaleSlope", 1.0)),
        intercept=_number(rescale, "RescaleIntercept", _number(dataset, "RescaleIntercept", 0.0)),
        frame_of_reference_uid=_frame_of_reference(dataset),
        slice_step_mm=_slice_step(measures),
    )


def is_mosaic(dataset: Dataset) -> bool:
    """Whether one Siemens file holds all slices of a volume as tiles of one image."""
    return "MOSAIC" in (dataset.get("ImageType") or ()) and "PerFrameFunctionalGroupsSequence" not in dataset


def _mosaic_frames(dataset: Dataset, pixels: NDArray[Any]) -> list[Frame]:
    """The tiles as slices, the one with the smallest projection on row x column first.

    The header's position is that of the whole mosaic as if it were one slice; a tile's lies half the difference of
    the sizes further along rows and columns (Siemens CSA; dcm2niix and nibabel compute the same).
    """
    count, csa_normal = _mosaic_layout(dataset)
    tiles = int(np.ceil(np.sqrt(count)))
    rows, columns = pixels.shape[0] // tiles, pixels.shape[1] // tiles
    whole = _classic_frame(dataset, pixels)
    shift = np.array([(pixels.shape[1] - columns) / 2 * whole.spacing[1], (pixels.shape[0] - rows) / 2 * whole.spacing[0]])
    first = whole.position + shift[0] * whole.orientation[:3] + shift[1] * whole.orientation[3:]
    frames = []
    for index in range(count):
        top, left = index // tiles * rows, index % tiles * columns
        frames.append(_tile(whole, pixels[top : top + rows, left : left + columns], first + index * whole.slice_step_mm * csa_normal))
    return frames if float(np.dot(csa_normal, whole.normal)) > 0 else frames[::-1]


def _tile(whole: Frame, pixels: NDArray[Any], position: NDArray[np.float64]) -> Frame:
    return Frame(
        sop_instance_uid=whole.sop_instance_uid,
        pixels=pixels,
        position=position,
        orientation=whole.orientation,
        spacing=whole.spacing,
        slope=whole.slope,
        intercept=whole.intercept,
        frame_of_reference_uid=whole.frame_of_reference_uid,
        slice_step_mm=whole.slice_step_mm,
    )


def _mosaic_layout(dataset: Dataset) -> tuple[int, NDArray[np.float64]]:
    """Number of tiles and slice normal, from the Siemens CSA image header."""
    try:
        raw = dataset.private_block(0x0029, "SIEMENS CSA HEADER")[0x10].value
    except KeyError:
        raw = b""
    numbers = read_csa_numbers(raw)
    count, normal = numbers.get("csa_mosaic_images", ()), numbers.get("csa_slice_normal", ())
    if not count or len(normal) != 3:
        msg = "a mosaic without its CSA header does not tell its slices"
        raise ValueError(msg)
    return int(count[0]), np.asarray(normal, dtype=float)


def grid_of_frames(frames: Sequence[Frame]) -> Grid:
    """The grid that ordered frames lie on; the slice step is the mean difference of their positions.

    A single slice steps along its normal by the stated spacing.
    """
    first, last = frames[0], frames[-1]
    step = (last.position - first.position) / (len(frames) - 1) if len(frames) > 1 else first.normal * first.slice_step_mm
    matrix = np.eye(4)
    matrix[:3, 0] = first.orientation[:3] * first.spacing[1]
    matrix[:3, 1] = first.orientation[3:] * first.spacing[0]
    matrix[:3, 2] = step
    matrix[:3, 3] = first.position
    rows, columns = first.pixels.shape
    return Grid.from_matrix(matrix, (columns, rows, len(frames)), first.frame_of_reference_uid)
