"""Segmentations as they are stored: DICOM-SEG read frame by frame, and mask volumes; each segment's extent in DICOM LPS mm.

Source of the DICOM-SEG rules: DICOM PS3.3 C.8.20 (Segmentation Image), C.7.6.16 (Multi-frame Functional Groups).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.imaging.volumes import read_volume_file
from weakbox.records.biopsy import SegmentationKind
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid, Point
from weakbox.records.record import record
from weakbox.terminology.dicom_codes import ZONE_CODES

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes Segmentation Storage and Label Map Segmentation Storage."""

BACKGROUND = 0
"""Segment number of what is not segmented in a label map."""

SAME_DIRECTION = 1e-3
FRACTION = 0.5
"""Share of the maximum from which a fractional segment counts as inside."""


@record
class Extent:
    """The tight box of a mask along its own voxel axes (voxel edges included), the mean of its voxel centres, its volume."""

    centroid: Point
    corner: Point
    edges: tuple[Point, Point, Point]
    volume_ml: float


@record
class Segment:
    """One segment of a DICOM-SEG; ``extent`` is None where no voxel is set."""

    number: int
    label: str | None
    kind: SegmentationKind | None
    is_automatic: bool
    extent: Extent | None


@record
class SegmentationObject:
    """One DICOM-SEG file; ``series_uid`` is the series that it was drawn on."""

    sop_instance_uid: str
    patient_id: str | None
    study_uid: str | None
    series_uid: str | None
    frame_of_reference_uid: str | None
    segments: tuple[Segment, ...]


_CODES: Mapping[str, SegmentationKind] = {
    ZONE_CODES["PZ"].value: SegmentationKind.ZONE_PZ,
    ZONE_CODES["TZ"].value: SegmentationKind.ZONE_TZ,
    "T-D05E4": SegmentationKind.ZONE_PZ,
    "41216001": SegmentationKind.GLAND,
    "T-9200B": SegmentationKind.GLAND,
    "T-92000": SegmentationKind.GLAND,
    "52988006": SegmentationKind.LESION,
    "M-01100": SegmentationKind.LESION,
    "108369006": SegmentationKind.LESION,
    "M-80003": SegmentationKind.LESION,
    "86049000": SegmentationKind.LESION,
    "4147007": SegmentationKind.LESION,
    "M-03000": SegmentationKind.LESION,
}
"""Segmented property types: SNOMED CT (DICOM CID 7166, 6300), and the SNOMED-RT codes that older objects carry."""

_WORDS: Sequence[tuple[SegmentationKind, re.Pattern[str]]] = (
    (SegmentationKind.LESION, re.compile(r"\b(?:lesion|tumou?r|target|roi|cspca|cancer|neoplasm|index)", re.IGNORECASE)),
    (SegmentationKind.ZONE_PZ, re.compile(r"\bperipheral|\bpz\b", re.IGNORECASE)),
    (SegmentationKind.ZONE_TZ, re.compile(r"\btransition|\btz\b|\bcentral gland\b", re.IGNORECASE)),
    (SegmentationKind.GLAND, re.compile(r"\bprostate\b|\bgland\b", re.IGNORECASE)),
)
_NOT_A_KIND = re.compile(r"\bnormal\b|\burethra|\bstroma|\bseminal|\brectum|\bbladder|\bnot\b", re.IGNORECASE)


def segment_kind(code: str | None, label: str | None) -> SegmentationKind | None:
    """Lesion, gland or zone from the coded property type and the label; a label that names a lesion wins over an organ's code."""
    words = re.sub(r"[_-]+", " ", label or "")
    if _NOT_A_KIND.search(words):
        return None
    by_words = next((kind for kind, pattern in _WORDS if pattern.search(words)), None)
    by_code = _CODES.get(code or "")
    if by_words is SegmentationKind.LESION:
        return by_words
    return by_code or by_words


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation; reads its header only."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
    except (InvalidDicomError, OSError):
        return False
    return str(header.get("SOPClassUID", "")) in SEGMENTATION_CLASSES


# DICOM-SEG ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where a frame lies: directions of its columns and rows, spacing along them, centre of its first voxel; LPS mm."""

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    spacing: tuple[float, float]
    origin: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.row, self.column)


@dataclass(slots=True)
class _Sums:
    """Grows with each frame: voxels, the sum of their centres, and their range along row, column and normal, mm."""

    count: int
    total: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def empty(cls) -> _Sums:
        return cls(0, np.zeros(3), np.full(3, np.inf), np.full(3, -np.inf))

    def add(self, mask: NDArray[np.bool_], plane: _Plane) -> None:
        rows, columns = np.nonzero(mask)
        if not rows.size:
            return
        along_row, along_column = columns * plane.spacing[0], rows * plane.spacing[1]
        self.count += int(rows.size)
        self.total += rows.size * plane.origin + along_row.sum() * plane.row + along_column.sum() * plane.column
        start = np.array([plane.origin @ plane.row, plane.origin @ plane.column, plane.origin @ plane.normal])
        self.low = np.minimum(self.low, start + np.array([along_row.min(), along_column.min(), 0.0]))
        self.high = np.maximum(self.high, start + np.array([along_row.max(), along_column.max(), 0.0]))

    def extent(self, plane: _Plane, depth: float) -> Extent | None:
        if self.count == 0:
            return None
        half = 0.5 * np.array([*plane.spacing, depth])
        axes = np.stack([plane.row, plane.column, plane.normal])
        lengths = self.high - self.low + 2 * half
        return Extent(
            centroid=as_point(self.total / self.count),
            corner=as_point((self.low - half) @ axes),
            edges=(as_point(axes[0] * lengths[0]), as_point(axes[1] * lengths[1]), as_point(axes[2] * lengths[2])),
            volume_ml=self.count * plane.spacing[0] * plane.spacing[1] * depth / 1000.0,
        )


def as_point(values: NDArray[np.float64]) -> Point:
    """Three numbers as a record holds them."""
    return float(values[0]), float(values[1]), float(values[2])


def read_dicom_seg(path: Path) -> SegmentationObject:
    """Segments of a DICOM-SEG (binary, fractional or label map) with their extents; one decoded frame in memory at a time.

    Raises:
        InputError: no DICOM segmentation, frames without a position, frames that are not parallel, or damaged pixel data.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(path)
    except (InvalidDicomError, OSError):
        msg = "no readable DICOM file"
        raise InputError(msg) from None
    if str(header.get("SOPClassUID", "")) not in SEGMENTATION_CLASSES:
        msg = f"no DICOM segmentation (SOP class {header.get('SOPClassUID', 'missing')})"
        raise InputError(msg)
    planes = _planes(header)
    described = [item for item in header.SegmentSequence if int(item.SegmentNumber) != BACKGROUND]
    numbers = [int(item.SegmentNumber) for item in described]
    sums = {number: _Sums.empty() for number in numbers}
    for frame, number, mask in _frames(header, numbers):
        sums[number].add(mask, planes[frame])
    depth = _depth(header, planes)
    segments = tuple(_segment(item, sums[int(item.SegmentNumber)].extent(planes[0], depth)) for item in described)
    return SegmentationObject(
        sop_instance_uid=str(header.SOPInstanceUID),
        patient_id=str(header.get("PatientID", "")).strip() or None,
        study_uid=str(header.get("StudyInstanceUID", "")) or None,
        series_uid=_referenced_series(header),
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID", "")) or None,
        segments=segments,
    )


def _segment(item: Any, extent: Extent | None) -> Segment:
    codes = item.get("SegmentedPropertyTypeCodeSequence") or [None]
    code = None if codes[0] is None else str(codes[0].get("CodeValue", ""))
    label = str(item.get("SegmentLabel", "")).strip() or None
    return Segment(
        number=int(item.SegmentNumber),
        label=label,
        kind=segment_kind(code, label),
        is_automatic=item.get("SegmentAlgorithmType") == "AUTOMATIC",
        extent=extent,
    )


def _referenced_series(header: Any) -> str | None:
    series = {str(item.SeriesInstanceUID) for item in header.get("ReferencedSeriesSequence") or [] if "SeriesInstanceUID" in item}
    return series.pop() if len(series) == 1 else None


def _group(header: Any, frame: Any, name: str) -> Any:
    """One functional group of a frame: its own, or the one that all frames share."""
    shared = header.get("SharedFunctionalGroupsSequence") or [{}]
    group = frame.get(name) or shared[0].get(name)
    if not group:
        msg = f"a segmentation without {name.removesuffix('Sequence')}: its frames have no place in the patient"
        raise InputError(msg)
    return group[0]


def _planes(header: Any) -> list[_Plane]:
    planes = [_plane(header, frame) for frame in header.get("PerFrameFunctionalGroupsSequence") or []]
    if not planes:
        msg = "a segmentation without frames"
        raise InputError(msg)
    first = planes[0]
    for plane in planes[1:]:
        same = np.allclose(plane.row, first.row, atol=SAME_DIRECTION) and np.allclose(plane.column, first.column, atol=SAME_DIRECTION)
        if not same or not np.allclose(plane.spacing, first.spacing, atol=1e-4):
            msg = "the frames of the segmentation are not parallel or differ in spacing"
            raise InputError(msg)
    return planes


def _plane(header: Any, frame: Any) -> _Plane:
    orientation = [float(value) for value in _group(header, frame, "PlaneOrientationSequence").ImageOrientationPatient]
    spacing = _group(header, frame, "PixelMeasuresSequence").PixelSpacing
    origin = [float(value) for value in _group(header, frame, "PlanePositionSequence").ImagePositionPatient]
    # PixelSpacing is (between rows, between columns): the second one is the step along a row
    return _Plane(np.array(orientation[:3]), np.array(orientation[3:]), (float(spacing[1]), float(spacing[0])), np.array(origin))


def _depth(header: Any, planes: Sequence[_Plane]) -> float:
    """Slice spacing: as stated, else the smallest step between frames, else the thickness of the one slice."""
    measures = _group(header, header.PerFrameFunctionalGroupsSequence[0], "PixelMeasuresSequence")
    heights = np.unique(np.round([plane.origin @ plane.normal for plane in planes], 4))
    step = float(np.diff(heights).min()) if heights.size > 1 else None
    stated = measures.get("SpacingBetweenSlices") or step or measures.get("SliceThickness")
    if not stated or float(stated) <= 0:
        msg = "neither slice spacing nor thickness is stated"
        raise InputError(msg)
    return float(stated)


def _frames(header: Any, numbers: Sequence[int]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """(frame index, segment number, mask [row, column]) of every frame and segment."""
    from pydicom.pixels.utils import iter_pixels

    # from the dataset, not the path: read from a path, pixel data that are cut short decode to whatever bytes follow

    kind = str(header.get("SegmentationType", "BINARY"))
    threshold = FRACTION * float(header.get("MaximumFractionalValue", 255)) if kind == "FRACTIONAL" else 0.5
    count = 0
    try:
        for index, pixels in enumerate(iter_pixels(header)):
            count += 1
            if kind == "LABELMAP":
                present = set(np.unique(pixels).tolist())
                yield from ((index, number, pixels == number) for number in numbers if number in present)
                continue
            number = _segment_number(header, index)
            if number in numbers:
                yield index, number, pixels >= threshold
    except (ValueError, AttributeError, RuntimeError, EOFError) as error:
        msg = f"the pixel data of the segmentation cannot be read ({type(error).__name__})"
        raise InputError(msg) from None
    expected = len(header.PerFrameFunctionalGroupsSequence)
    if count != expected:
        msg = f"the segmentation describes {expected} frames and holds {count}"
        raise InputError(msg)


def _segment_number(header: Any, index: int) -> int:
    frame = header.PerFrameFunctionalGroupsSequence[index]
    group = _group(header, frame, "SegmentIdentificationSequence")
    return int(group.ReferencedSegmentNumber)


# Mask volumes -------------------------------------------------------------------------------------------------------


@record
class MaskPart:
    """One value of a mask volume, or one connected part of it, with its extent."""

    number: int
    value: int
    extent: Extent


def read_mask(path: Path) -> tuple[NDArray[np.int64], Grid]:
    """A mask volume (NIfTI, MHA, NRRD) as [k, j, i] whole numbers, and its grid (LPS mm).

    Raises:
        InputError: not readable, not one three-dimensional volume, or values that are no whole numbers.
    """
    if not path.is_file():
        msg = "the mask file is not there; check the path in the table"
        raise InputError(msg)
    volume = read_volume_file(path, None)
    whole = np.rint(volume.array).astype(np.int64)
    if not np.array_equal(whole, volume.array):
        msg = "mask values are no whole numbers; is this an image?"
        raise InputError(msg)
    return whole, volume.grid


def parts_by_value(mask: NDArray[np.int64], grid: Grid) -> tuple[MaskPart, ...]:
    """One part for each value above 0: an instance or a tissue class."""
    values = [int(value) for value in np.unique(mask) if value > 0]
    return tuple(MaskPart(number=value, value=value, extent=_extent(np.argwhere(mask == value), grid)) for value in values)


def parts_by_connection(mask: NDArray[np.int64], grid: Grid) -> tuple[MaskPart, ...]:
    """One part for each group of touching voxels (26 neighbours) above 0; ``value`` is its highest, as in PI-CAI grade masks."""
    from scipy import ndimage

    labels, count = ndimage.label(mask > 0, structure=np.ones((3, 3, 3)))
    return tuple(
        MaskPart(number=number, value=int(mask[labels == number].max()), extent=_extent(np.argwhere(labels == number), grid))
        for number in range(1, count + 1)
    )


def _extent(voxels: NDArray[np.int64], grid: Grid) -> Extent:
    """Extent of voxels given as rows of (k, j, i)."""
    index = voxels[:, ::-1]
    low, high = index.min(axis=0) - 0.5, index.max(axis=0) + 0.5
    edges = grid.matrix[:3, :3] * (high - low)
    return Extent(
        centroid=as_point(grid.to_lps(index.mean(axis=0))),
        corner=as_point(grid.to_lps(low)),
        edges=(as_point(edges[:, 0]), as_point(edges[:, 1]), as_point(edges[:, 2])),
        volume_ml=len(index) * abs(float(np.linalg.det(grid.matrix[:3, :3]))) / 1000.0,
    )
