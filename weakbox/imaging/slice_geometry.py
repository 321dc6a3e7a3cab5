"""The voxel grid of a set of slices, from their headers alone: positions and orientations, never Slice Thickness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.grid import Grid

SAME_POSITION_MM = 0.01
"""Slices nearer than this lie at one position."""
SAME_VOXEL_MM = 1e-3
"""Voxel edges of the slices of one volume may differ by rounding only (as ``volumes.py`` accepts)."""
MISSING_GAP = 1.5
"""A gap between slices above this many median steps means that slices are missing."""
STEP_TOLERANCE = 0.05
"""Slices may lie off the regular grid by this share of the step (and at least ``STEP_TOLERANCE_MM``), as ``volumes.py`` accepts."""
STEP_TOLERANCE_MM = 0.05

VOLUME_MODALITIES = frozenset({"MR", "CT", "PT", "NM"})
UNUSABLE = frozenset(
    {
        "no_position",
        "frames_without_positions",
        "no_pixel_spacing",
        "missing_slices",
        "irregular_spacing",
        "inconsistent_orientation",
        "inconsistent_spacing",
        "inconsistent_size",
        "several_frames_of_reference",
        "mosaic_without_layout",
    }
)
"""Problems that leave no regular volume to read."""

Header = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SliceGeometry:
    """The grid of a volume and the headers of its slices, k = 0 first (the smallest projection on row x column).

    ``grid`` is None where the headers give none; with ``missing_slices`` it spans the whole extent, so that it has more slices than
    there are ``headers``. Of several images at one position the first by instance number is kept.
    """

    headers: tuple[Header, ...]
    grid: Grid | None
    problems: tuple[str, ...]


def has_geometry(header: Header) -> bool:
    """Whether position and orientation are there and complete."""
    position, orientation = header.get("position"), header.get("orientation")
    return position is not None and orientation is not None and len(position) == 3 and len(orientation) == 6


def normal_of(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Row direction x column direction, unit length; zero where the cosines are degenerate."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length if length > 1e-6 else np.zeros(3))


def projections(headers: Sequence[Header]) -> NDArray[np.float64]:
    """Positions along the normal of the first header, mm."""
    positions = np.array([header["position"] for header in headers], dtype=float)
    return np.asarray(positions @ normal_of(headers[0]["orientation"]))


def count_positions(headers: Sequence[Header]) -> int:
    """How many different slice positions there are."""
    ordered = np.sort(projections(headers))
    return 1 + int(np.sum(np.diff(ordered) > SAME_POSITION_MM))


def read_geometry(headers: Sequence[Header]) -> SliceGeometry:
    """The geometry of the headers of one volume (one orientation, one b-value, one time)."""
    if not all(has_geometry(header) for header in headers):
        is_volume = str(headers[0].get("modality") or "") in VOLUME_MODALITIES
        return SliceGeometry(tuple(headers), None, ("no_position",) if is_volume else ())
    if any((header.get("frames") or 1) > 1 and header.get("frame") is None for header in headers):
        return SliceGeometry(tuple(headers), None, ("frames_without_positions",))
    problems = _inconsistencies(headers)
    if any("MOSAIC" in str(header.get("image_type") or "").split("\\") for header in headers):
        return _mosaic(headers, problems)
    ordered, has_duplicates = _in_order(headers)
    if has_duplicates:
        problems.append("duplicate_positions")
    spacing = ordered[0].get("pixel_spacing")
    if spacing is None or len(spacing) != 2 or min(spacing) <= 0:
        return SliceGeometry(tuple(ordered), None, (*problems, "no_pixel_spacing"))
    step, slices, step_problems = _slice_step(ordered)
    grid = _grid(ordered[0], np.array(ordered[0]["position"], dtype=float), step, slices)
    return SliceGeometry(tuple(ordered), _without_frame(grid, problems), (*problems, *step_problems))


def _inconsistencies(headers: Sequence[Header]) -> list[str]:
    problems = []
    orientations = np.array([header["orientation"] for header in headers], dtype=float)
    largest_voxel = max(1.0, *(headers[0].get("pixel_spacing") or (1.0,)))
    if float(np.max(np.abs(orientations - orientations[0]))) * largest_voxel > SAME_VOXEL_MM:
        problems.append("inconsistent_orientation")
    spacings = {tuple(round(value, 4) for value in header.get("pixel_spacing") or ()) for header in headers}
    if len(spacings) > 1:
        problems.append("inconsistent_spacing")
    if len({(header.get("rows"), header.get("columns")) for header in headers}) > 1:
        problems.append("inconsistent_size")
    if len({header.get("frame_of_reference_uid") for header in headers}) > 1:
        problems.append("several_frames_of_reference")
    return problems


def _in_order(headers: Sequence[Header]) -> tuple[list[Header], bool]:
    """Headers by position, each position once, and whether some had to be left out."""
    along = projections(headers)
    order = sorted(range(len(headers)), key=lambda index: (round(float(along[index]) / SAME_POSITION_MM), *image_order(headers[index])))
    kept: list[int] = []
    for index in order:
        if not kept or along[index] - along[kept[-1]] > SAME_POSITION_MM:
            kept.append(index)
    return [headers[index] for index in kept], len(kept) < len(headers)


def image_order(header: Header) -> tuple[float, str, int]:
    """Instance number, path, frame: the order of images where nothing else tells."""
    number = header.get("instance_number")
    return (math.inf if number is None else float(number), str(header.get("path") or ""), int(header.get("frame") or 0))


def _slice_step(ordered: Sequence[Header]) -> tuple[NDArray[np.float64], int, list[str]]:
    """The vector from one slice to the next, the number of slices of the regular grid, and problems."""
    normal = normal_of(ordered[0]["orientation"])
    if len(ordered) == 1:
        return normal * stated_step(ordered[0]), 1, []
    positions = np.array([header["position"] for header in ordered], dtype=float)
    along = positions @ normal
    median = float(np.median(np.diff(along)))
    total = positions[-1] - positions[0]
    if float(np.max(np.diff(along))) > MISSING_GAP * median:
        intervals = max(1, round(float(along[-1] - along[0]) / median))
        return total / intervals, intervals + 1, ["missing_slices"]
    step = total / (len(ordered) - 1)
    regular = positions[0] + np.arange(len(ordered))[:, None] * step
    worst = float(np.max(np.linalg.norm(positions - regular, axis=1)))
    tolerance = max(STEP_TOLERANCE_MM, STEP_TOLERANCE * float(np.linalg.norm(step)))
    return step, len(ordered), ["irregular_spacing"] if worst > tolerance else []


def stated_step(header: Header) -> float:
    """The slice step where only one slice tells: Spacing Between Slices, else Slice Thickness, else 1 mm."""
    return abs(header.get("spacing_between_slices_mm") or 0.0) or abs(header.get("slice_thickness_mm") or 0.0) or 1.0


def _grid(
    header: Header, origin: NDArray[np.float64], step: NDArray[np.float64], slices: int, shape: tuple[int, int] | None = None
) -> Grid:
    """A grid from a header's in-plane axes; ``shape`` is (columns, rows) where it is not the header's."""
    orientation = np.array(header["orientation"], dtype=float)
    row_spacing, column_spacing = header["pixel_spacing"]
    matrix = np.eye(4)
    matrix[:3, 0] = orientation[:3] * column_spacing
    matrix[:3, 1] = orientation[3:] * row_spacing
    matrix[:3, 2] = step
    matrix[:3, 3] = origin
    columns, rows = shape or (int(header["columns"]), int(header["rows"]))
    return Grid.from_matrix(matrix, (columns, rows, slices), header.get("frame_of_reference_uid"))


def _without_frame(grid: Grid, problems: Sequence[str]) -> Grid:
    """Where two Frames of Reference are mixed, the grid belongs to none of them."""
    return Grid(affine=grid.affine, shape=grid.shape, frame_of_reference_uid=None) if "several_frames_of_reference" in problems else grid


def _mosaic(headers: Sequence[Header], problems: list[str]) -> SliceGeometry:
    """The grid of a Siemens mosaic, whose tiles are the slices of one volume.

    The header's position is that of the whole mosaic as if it were one slice (dcm2niix and nibabel read it so); the tile's lies half the
    difference of the sizes further along rows and columns.
    """
    ordered = sorted(headers, key=image_order)
    header = ordered[0]
    count = int(header.get("csa_mosaic_images") or header.get("siemens_mosaic_images") or 0)
    csa_normal = header.get("csa_slice_normal")
    spacing = header.get("pixel_spacing")
    if len(ordered) > 1:
        problems.append("duplicate_positions")
    if count < 1 or spacing is None or csa_normal is None or len(csa_normal) != 3:
        return SliceGeometry((header,), None, (*problems, "mosaic", "mosaic_without_layout"))
    tiles = math.ceil(math.sqrt(count))
    columns, rows = int(header["columns"]) // tiles, int(header["rows"]) // tiles
    orientation = np.array(header["orientation"], dtype=float)
    origin = np.array(header["position"], dtype=float)
    origin += (int(header["columns"]) - columns) / 2 * spacing[1] * orientation[:3]
    origin += (int(header["rows"]) - rows) / 2 * spacing[0] * orientation[3:]
    step = np.array(csa_normal, dtype=float) * stated_step(header)
    if float(step @ normal_of(header["orientation"])) < 0:
        origin, step = origin + (count - 1) * step, -step
    grid = _grid(header, origin, step, count, (columns, rows))
    return SliceGeometry((header,), _without_frame(grid, problems), (*problems, "mosaic"))
