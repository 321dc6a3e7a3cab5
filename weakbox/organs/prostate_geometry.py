"""Where the sectors of the prostate lie: a coarse model of the gland, from its mask or from a prior at the image centre.

Unit coordinates of a gland are (u, v, w) = (patient left, posterior, cranial) in units of its half extents, so that the
gland fills -1..1 on each. Base, mid and apex are thirds of its height, base cranial; the sides meet at the midline.
The places of the areas follow the PI-RADS v2.1 sector map (ACR / ESUR / AdMeTech 2019); a sector's centre is the best single
point for a lesion that is known by its sector only, with an error of about 8 mm (PI-CAI, 459 lesions).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from weakbox.records.biopsy import Segmentation
from weakbox.records.grid import Grid, Point
from weakbox.records.record import record
from weakbox.terminology.sectors import SECTOR_BY_ID, SECTORS, Sector

PRIOR_EXTENTS_MM: Point = (54.0, 41.0, 49.0)
"""Left-right, antero-posterior and cranio-caudal extents of a gland of 57 mL, the median of PI-CAI's 1,473 stated volumes."""
PRIOR_VOLUME_ML = math.pi / 6.0 * math.prod(PRIOR_EXTENTS_MM) / 1000.0
PRIOR_SIGMA_MM = 9.0
"""How far a gland's centre lies from the image centre, along one axis."""
MASK_SIGMA_MM = 2.0
MIDLINE_MM = 4.0
"""A point this close to the midline has no side."""
THIRD = 1.0 / 3.0

_AREAS = {
    "PZpl": (0.62, 0.42),
    "PZpm": (0.26, 0.62),
    "PZa": (0.72, -0.12),
    "TZa": (0.27, -0.38),
    "TZp": (0.27, 0.05),
    "CZ": (0.20, 0.32),
    "AFS": (0.10, -0.72),
}
"""Centre (u, v) of each area on the left side of the mid-gland."""
_LEVELS = {"base": (0.60, 0.90), "mid": (0.0, 1.0), "apex": (-0.60, 0.80)}
"""w of each level's centre, and how wide the gland is there."""
_SEMINAL_VESICLE = (0.35, 0.55, 1.20)
_SPHINCTER = (0.0, 0.10, -1.15)


@record
class GlandFrame:
    """A gland's box: ``centre`` LPS mm, ``axes`` the unit vectors towards patient left, posterior and cranial, half extents in mm."""

    centre: Point
    axes: tuple[Point, Point, Point]
    half_extents: Point
    sigma_mm: float
    """Error of the frame itself along one axis, mm."""
    source: str
    """``gland_mask`` or ``prior``."""

    def to_lps(self, unit: Point) -> Point:
        """Unit coordinates (u, v, w) -> LPS mm."""
        offset = np.array(self.axes).T @ (np.array(unit) * np.array(self.half_extents))
        x, y, z = np.array(self.centre) + offset
        return float(x), float(y), float(z)

    def to_millimetres(self, point: Point) -> NDArray[np.float64]:
        """LPS mm -> mm towards patient left, posterior and cranial from the gland's centre."""
        return np.asarray(np.array(self.axes) @ (np.array(point) - np.array(self.centre)))


@record
class PointSite:
    """What the place of a point in the gland says of it."""

    side: str
    """``left``, ``right``, or ``midline`` near the middle."""
    left_mm: float
    """Distance from the midline, positive towards the patient's left."""
    level: str
    zone: str | None
    sectors: tuple[str, ...]
    """All 41 sectors, the nearest first."""
    distances_mm: tuple[float, ...]
    """From the point to the centre of each of ``sectors``."""
    outside_mm: float
    """How far the point lies outside the gland's box; 0 inside."""


def frame_of_mask(gland: Segmentation) -> GlandFrame:
    """The frame of a gland's mask: its tight box, whose edges may be oblique.

    Each edge is given to the patient axis that it follows most.
    """
    edges = np.array(gland.edges, dtype=float)
    order = _dominant_order(edges)
    vectors = edges[list(order)]
    signs = np.where(np.diag(vectors) < 0, -1.0, 1.0)
    lengths = np.linalg.norm(vectors, axis=1)
    axes = vectors * signs[:, None] / lengths[:, None]
    centre = np.array(gland.corner) + edges.sum(axis=0) / 2.0
    return GlandFrame(
        centre=_point(centre),
        axes=(_point(axes[0]), _point(axes[1]), _point(axes[2])),
        half_extents=_point(lengths / 2.0),
        sigma_mm=MASK_SIGMA_MM,
        source="gland_mask",
    )


def prior_frame(grid: Grid, volume_ml: float | None = None) -> GlandFrame:
    """A typical gland at the centre of the image, scaled to the reported volume where there is one.

    Its axes are the patient's: prostate protocols centre on the gland, but tilt their slices by the rectum, not by the gland.
    """
    scale = (volume_ml / PRIOR_VOLUME_ML) ** THIRD if volume_ml else 1.0
    centre = grid.to_lps((np.array(grid.shape, dtype=float) - 1.0) / 2.0)
    return GlandFrame(
        centre=_point(centre),
        axes=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        half_extents=_point(np.array(PRIOR_EXTENTS_MM) * scale / 2.0),
        sigma_mm=PRIOR_SIGMA_MM,
        source="prior",
    )


def sector_centre(sector_id: str, frame: GlandFrame) -> Point:
    """The centre of a sector, LPS mm.

    Raises:
        KeyError: no sector of PI-RADS v2.1 has that id.
    """
    return frame.to_lps(_unit_centre(sector_id))


def sectors_at(point: Point, frame: GlandFrame) -> PointSite:
    """Side, level, zone and the nearest sectors of an LPS point."""
    at = frame.to_millimetres(point)
    half = np.array(frame.half_extents)
    distances = np.linalg.norm(_unit_centres() * half - at, axis=1)
    order = np.argsort(distances, kind="stable")
    ranked = tuple(SECTORS[index] for index in order)
    left_mm = float(at[0])
    return PointSite(
        side="midline" if abs(left_mm) <= MIDLINE_MM else ("left" if left_mm > 0 else "right"),
        left_mm=left_mm,
        level=_level_of(float(at[2] / half[2])),
        zone=SECTOR_BY_ID[ranked[0]].zone,
        sectors=ranked,
        distances_mm=tuple(float(distances[index]) for index in order),
        outside_mm=float(np.linalg.norm(np.maximum(np.abs(at) - half, 0.0))),
    )


def region_centre(
    frame: GlandFrame,
    *,
    side: str | None,
    zone: str | None,
    levels: Collection[str] = (),
    positions: Collection[str] = (),
    sectors: Collection[str] = (),
) -> Point | None:
    """The centre of the region that words describe, LPS mm; None where they do not say enough.

    Sectors count first. Otherwise a side (or the midline) and a level or a zone are needed; the centre is the mean of the
    sectors that fit. A region on both sides has no one centre.
    """
    chosen = tuple(sorted(sectors))
    if not chosen and side in ("left", "right", "midline") and (zone or levels):
        chosen = sectors_that_fit(side=side, zone=zone, levels=tuple(sorted(levels)), positions=tuple(sorted(positions)))
    if not chosen or side == "bilateral" or (side is None and len({SECTOR_BY_ID[name].side for name in chosen}) > 1):
        return None
    return frame.to_lps(_point(np.mean([_unit_centre(name) for name in chosen], axis=0)))


@lru_cache(maxsize=4096)
def sectors_that_fit(*, side: str, zone: str | None, levels: tuple[str, ...], positions: tuple[str, ...]) -> tuple[str, ...]:
    """Every sector that words do not rule out, in map order; both sides for the midline.

    The midline keeps the areas next to it. Without a level, the mid-gland stands for the whole height: its centre is the same.
    """
    found = [name for name, sector in SECTOR_BY_ID.items() if _fits(sector, side, zone, levels)]
    narrowed = [name for name in found if _is_at(SECTOR_BY_ID[name].area, positions)]
    if side == "midline":
        beside = [name for name in (narrowed or found) if SECTOR_BY_ID[name].area in ("PZpm", "TZa", "TZp", "CZ", "AFS", "SV")]
        return tuple(beside or narrowed or found)
    return tuple(narrowed or found)


def _fits(sector: Sector, side: str, zone: str | None, levels: tuple[str, ...]) -> bool:
    if sector.area == "US" or (side != "midline" and sector.side != side):
        return False
    if sector.area == "SV":
        return zone == "SV"
    if zone is not None and sector.zone != zone:
        return False
    if zone == "CZ":
        return True
    return sector.level in (levels or ("base", "mid", "apex"))


_POSITION_AREAS = {
    "anterior": {"PZa", "TZa", "AFS"},
    "posterior": {"PZpl", "PZpm", "TZp", "CZ"},
    "lateral": {"PZpl", "PZa"},
    "medial": {"PZpm", "TZa", "TZp", "CZ", "AFS"},
}


def _is_at(area: str, positions: tuple[str, ...]) -> bool:
    return all(area in _POSITION_AREAS.get(position, {area}) for position in positions)


def _level_of(w: float) -> str:
    if w > THIRD:
        return "base"
    return "apex" if w < -THIRD else "mid"


def _unit_centre(sector_id: str) -> Point:
    sector = SECTOR_BY_ID[sector_id]
    sign = {"left": 1.0, "right": -1.0, None: 0.0}[sector.side]
    if sector.area == "US":
        return _SPHINCTER
    if sector.area == "SV" or sector.level is None:
        return sign * _SEMINAL_VESICLE[0], _SEMINAL_VESICLE[1], _SEMINAL_VESICLE[2]
    u, v = _AREAS[sector.area]
    w, width = _LEVELS[sector.level]
    return sign * u * width, v * width, w


@lru_cache(maxsize=1)
def _unit_centres() -> NDArray[np.float64]:
    return np.array([_unit_centre(name) for name in SECTORS])


def _dominant_order(edges: NDArray[np.float64]) -> tuple[int, int, int]:
    """Which edge follows each patient axis most, taken together."""
    alignment = np.abs(edges / np.linalg.norm(edges, axis=1)[:, None])
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    return max(orders, key=lambda order: float(sum(alignment[edge, axis] for axis, edge in enumerate(order))))


def _point(values: NDArray[np.float64]) -> Point:
    x, y, z = values
    return float(x), float(y), float(z)
