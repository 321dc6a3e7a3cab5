"""Lesions of MR sets as boxes on the reference T2: from a point, from a mask, from one part of a mask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid, Point
from weakbox.records.imaging import ImagingStudy, Purpose, Series
from weakbox.records.label import Box, CuratedCase, MaskFile, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.sources.remarks import dropped, flagged

if TYPE_CHECKING:
    from weakbox.imaging.segmentations import Extent, MaskPart

DEFAULT_SIZE_MM = 12.0
"""Size of a lesion of which no size is known: the best default over PI-CAI's lesions, as in post-processing."""
POINT_ERROR_MM = 2.5
"""Expected error of a point that a reader set on the images and that was biopsied in the bore."""
FAR_MM = 10.0
"""A mask farther than this from the point that names it is called out."""
CONFIDENCE: Mapping[Tier, float] = {
    Tier.EXPERT: 1.0,
    Tier.TARGET_ROI: 0.95,
    Tier.BIOPSY_COORDINATE: 0.9,
    Tier.MODEL: 0.6,
    Tier.CASE_LEVEL: 0.3,
}
"""As post-processing gives them where every other factor is 1."""


@record
class Reference:
    """The series whose voxels the boxes count."""

    key: str
    grid: Grid


def reference_of(study: ImagingStudy) -> Reference | None:
    """The chosen T2W of a study; None where there is none with a regular grid."""
    series: Series | None = study.chosen(Purpose.T2W)
    return Reference(key=series.key, grid=series.grid) if series is not None and series.grid is not None else None


def in_tier(label: WeakLabel, tier: Tier, reference: Reference, box: Box, source: str, size_source: str) -> WeakLabel:
    """A label with its box, and where the box comes from."""
    return replace(
        label,
        box=box,
        tier=tier,
        confidence=CONFIDENCE[tier],
        centre_source=source,
        size_source=size_source,
        series_key=reference.key,
    )


def from_point(label: WeakLabel, point: Point, reference: Reference) -> WeakLabel | LedgerEntry:
    """The label with a box of default size around a point (LPS mm); a dropped row where the point lies outside the image."""
    from weakbox.imaging.boxes import box_around

    try:
        box = box_around(point, (DEFAULT_SIZE_MM,) * 3, reference.grid, reference.key, POINT_ERROR_MM)
    except ValueError:
        return dropped("lesion", label.label_id, "outside_image", "the point lies outside the reference series")
    return in_tier(label, Tier.BIOPSY_COORDINATE, reference, box, "target_coordinate", "default")


def from_extent(label: WeakLabel, extent: Extent, reference: Reference, tier: Tier) -> WeakLabel | LedgerEntry:
    """The label with the tight box of a mask; a dropped row where it lies outside the image."""
    from weakbox.imaging.boxes import box_over, spanned_corners

    try:
        box = box_over(spanned_corners(extent.corner, extent.edges), reference.grid, reference.key, 0.0)
    except ValueError:
        return dropped("lesion", label.label_id, "outside_image", "the mask lies outside the reference series")
    return in_tier(label, tier, reference, box, "segmentation", "segmentation_extent")


def mask_parts(path: Path) -> tuple[tuple[MaskPart, ...], Grid]:
    """The lesions of a mask volume: groups of touching voxels (26 neighbours), each with its highest value.

    Raises:
        InputError: the file is missing or is no mask.
    """
    from weakbox.imaging.segmentations import parts_by_connection, read_mask

    mask, grid = read_mask(path)
    return parts_by_connection(mask, grid), grid


def whole_extent(path: Path) -> Extent | None:
    """The extent of every voxel of a mask that is set, however many parts they form; None where none is.

    Raises:
        InputError: the file is missing or is no mask.
    """
    from weakbox.imaging.segmentations import parts_by_value, read_mask

    mask, grid = read_mask(path)
    parts = parts_by_value((mask > 0).astype(mask.dtype), grid)
    return parts[0].extent if parts else None


def distance_mm(extent: Extent, point: Point) -> float:
    """How far a point lies outside the tight box of a mask; 0 inside."""
    edges = np.array(extent.edges)
    lengths = np.linalg.norm(edges, axis=1)
    along = (np.array(point) - np.array(extent.corner)) @ (edges / lengths[:, None]).T
    return float(np.linalg.norm(np.maximum(np.maximum(-along, along - lengths), 0.0)))


def located_extent(case: CuratedCase, label: WeakLabel, path: Path) -> Extent | LedgerEntry:
    """The extent of a label's own mask, or a flagged row that says why it has none."""
    try:
        extent = whole_extent(path)
    except InputError as error:
        return flagged("lesion", label.label_id, "unreadable_mask", str(error), case.patient_id)
    return extent or flagged("lesion", label.label_id, "empty_mask", "no voxel of the mask is set", case.patient_id)


def mask_file(path: str | Path, reference: Reference, value: int | None = None) -> MaskFile:
    """Where a lesion's voxels are kept."""
    return MaskFile(path=str(path), series_key=reference.key, value=value)


def from_points(label: WeakLabel, points: NDArray[np.float64], reference: Reference, tier: Tier) -> WeakLabel | LedgerEntry:
    """The label with the tight box of a surface's vertices (n, 3), LPS mm; a dropped row where it lies outside the image."""
    from weakbox.imaging.boxes import box_over

    index = reference.grid.to_index(points)
    ends = np.stack([index.min(axis=0), index.max(axis=0)])
    corners = [(ends[i][0], ends[j][1], ends[k][2]) for k, j, i in product((0, 1), repeat=3)]
    try:
        box = box_over([(float(x), float(y), float(z)) for x, y, z in reference.grid.to_lps(corners)], reference.grid, reference.key, 0.0)
    except ValueError:
        return dropped("lesion", label.label_id, "outside_image", "the mesh lies outside the reference series")
    return in_tier(label, tier, reference, box, "mesh", "mesh_extent")


_TRIANGLE = np.dtype([("normal", "<f4", 3), ("vertices", "<f4", (3, 3)), ("attribute", "<u2")])
_STL_HEADER = 84
_VERTEX = re.compile(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)")


def mesh_points(path: Path) -> NDArray[np.float64]:
    """The vertices (n, 3) of an STL mesh, binary or text, in the file's own coordinates.

    Raises:
        InputError: the file is missing or holds no triangle.
    """
    if not path.is_file():
        msg = "the mesh file is not there"
        raise InputError(msg)
    content = path.read_bytes()
    count = int.from_bytes(content[_STL_HEADER - 4 : _STL_HEADER], "little")
    if count and len(content) == _STL_HEADER + count * _TRIANGLE.itemsize:
        triangles = np.frombuffer(content, dtype=_TRIANGLE, offset=_STL_HEADER)
        points = triangles["vertices"].reshape(-1, 3).astype(float)
    else:
        points = _text_vertices(content)
    if not len(points) or not np.isfinite(points).all():
        msg = "an STL mesh without triangles, or cut short; fetch the file again"
        raise InputError(msg)
    return points


def _text_vertices(content: bytes) -> NDArray[np.float64]:
    try:
        return np.array([[float(part) for part in match] for match in _VERTEX.findall(content)], dtype=float).reshape(-1, 3)
    except ValueError:
        msg = "an STL mesh whose vertices are no numbers; fetch the file again"
        raise InputError(msg) from None
