"""A prostate gland with size and pose, and lesions in it whose place, sector and extent are known.

Unit coordinates of a gland are (u, v, w) = (patient left, posterior, superior) in units of its semi-axes, so that the
gland is the unit ball. Levels are thirds of the gland's height and sides lie on either side of its midline, as on the
PI-RADS v2.1 sector map. Sizes follow PI-CAI's public lesions: extents of 0.82 (cranio-caudal), 0.85 (antero-posterior)
and 0.96 (left-right) of the greatest axial diameter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakbox.records.grid import Point
from weakbox.records.record import record
from weakbox.simulate.draws import Draws

MEDIAN_EXTENT_SHARES = {"left_right": 0.96, "antero_posterior": 0.85, "cranio_caudal": 0.82}
MIDLINE_HALF_WIDTH = 0.12
FARTHEST_CENTRE = 0.86
"""Lesion centres lie within this share of the gland's semi-axes."""
LEVEL_BORDER = 1.0 / 3.0
_LEVEL_RANGES = {"base": (LEVEL_BORDER, 1.0), "mid": (-LEVEL_BORDER, LEVEL_BORDER), "apex": (-1.0, -LEVEL_BORDER)}
_LEVEL_SHARE = 0.35
"""A lesion lies in a level with at least this share of its height."""
_TRIES = 4000

AREA_WEIGHTS = {"PZpl": 0.40, "PZpm": 0.16, "PZa": 0.07, "TZa": 0.18, "TZp": 0.07, "AFS": 0.09, "CZ": 0.03}
LEVEL_WEIGHTS = {"mid": 0.5, "apex": 0.3, "base": 0.2}
POSITIONS = {
    "PZpl": ("posterior", "lateral"),
    "PZpm": ("posterior", "medial"),
    "PZa": ("anterior",),
    "TZa": ("anterior",),
    "TZp": ("posterior",),
    "AFS": (),
    "CZ": (),
}


@record
class Gland:
    """An ellipsoid: ``centre`` in LPS mm, ``semi_axes`` (left-right, antero-posterior, cranio-caudal) in mm.

    ``rotation`` is row-major 3x3, gland axes -> LPS.
    """

    centre: Point
    semi_axes: Point
    rotation: tuple[float, ...]

    @property
    def volume_ml(self) -> float:
        """Volume of the ellipsoid."""
        return 4.0 / 3.0 * math.pi * math.prod(self.semi_axes) / 1000.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """3x3, gland axes -> LPS."""
        return np.array(self.rotation).reshape(3, 3)

    def to_lps(self, unit: ArrayLike) -> NDArray[np.float64]:
        """Unit coordinates (..., 3) -> LPS mm."""
        return np.asarray((np.asarray(unit, dtype=float) * np.array(self.semi_axes)) @ self.matrix.T + np.array(self.centre))

    def to_unit(self, lps: ArrayLike) -> NDArray[np.float64]:
        """LPS mm (..., 3) -> unit coordinates."""
        return np.asarray(((np.asarray(lps, dtype=float) - np.array(self.centre)) @ self.matrix) / np.array(self.semi_axes))

    def contains(self, lps: ArrayLike) -> bool:
        """Whether an LPS point lies inside the gland."""
        return bool(np.sum(self.to_unit(lps) ** 2) <= 1.0)


@record
class Place:
    """Where a lesion's centre lies: unit coordinates, and what a sector map says of them."""

    unit: Point
    side: str
    area: str
    """The map's abbreviation: ``PZpl``, ``TZa``, ``AFS`` ..."""
    level: str

    @property
    def zone(self) -> str:
        """``PZ``, ``TZ``, ``CZ`` or ``AFS``."""
        return self.area[:2] if self.area[:2] in ("PZ", "TZ") else self.area

    @property
    def positions(self) -> tuple[str, ...]:
        """Position in the axial plane, by the contract's words."""
        return POSITIONS[self.area]


def draw_gland(draws: Draws, volume_ml: float) -> Gland:
    """A gland of that volume with drawn proportions and pose."""
    width, depth = draws.normal(1.08, 0.05), draws.normal(0.86, 0.05)
    height = 1.0 / (width * depth)
    radius = (3.0 * volume_ml * 1000.0 / (4.0 * math.pi)) ** (1.0 / 3.0)
    tilt, turn = math.radians(draws.normal(8.0, 5.0)), math.radians(draws.normal(0.0, 3.0))
    centre = (draws.normal(0.0, 6.0), draws.normal(10.0, 12.0), draws.normal(-40.0, 25.0))
    semi_axes = (radius * width, radius * depth, radius * height)
    return Gland(centre=centre, semi_axes=semi_axes, rotation=tuple(rotation(tilt, turn).flatten().tolist()))


def rotation(about_x: float, about_z: float) -> NDArray[np.float64]:
    """3x3 rotation about the patient's z axis, after one about x; radians."""
    cx, sx, cz, sz = math.cos(about_x), math.sin(about_x), math.cos(about_z), math.sin(about_z)
    return np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]]) @ np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])


def area_of(u: float, v: float, w: float) -> str:
    """The area of the sector map in which a point lies.

    >>> area_of(0.6, 0.5, 0.0), area_of(-0.2, -0.2, 0.1), area_of(0.0, -0.6, 0.0)
    ('PZpl', 'TZa', 'AFS')
    """
    if v < -0.45 and abs(u) < 0.28:
        return "AFS"
    if w > LEVEL_BORDER and 0.05 < v < 0.42 and abs(u) < 0.38:
        return "CZ"
    if (u / 0.62) ** 2 + ((v + 0.12) / 0.55) ** 2 + (w / 0.8) ** 2 < 1.0:
        return "TZa" if v < -0.12 else "TZp"
    if v < 0.0:
        return "PZa"
    return "PZpl" if abs(u) > 0.42 else "PZpm"


def side_of(u: float) -> str:
    """``left``, ``right``, or ``midline`` near the middle."""
    if abs(u) < MIDLINE_HALF_WIDTH:
        return "midline"
    return "left" if u > 0 else "right"


def level_of(w: float) -> str:
    """``base``, ``mid`` or ``apex``: thirds of the gland's height."""
    return next(level for level, (low, high) in _LEVEL_RANGES.items() if low <= w <= high)


def draw_place(draws: Draws) -> Place:
    """A place in the gland: sectors as often as lesions are found in them, the point anywhere in the sector."""
    while True:
        area = draws.weighted(AREA_WEIGHTS)
        level = "base" if area == "CZ" else draws.weighted(LEVEL_WEIGHTS)
        place = _place_in(draws, area, level)
        if place is not None:
            return place


def _place_in(draws: Draws, area: str, level: str) -> Place | None:
    low, high = _LEVEL_RANGES[level]
    for _ in range(_TRIES):
        u, v, w = draws.uniform(-1, 1), draws.uniform(-1, 1), draws.uniform(low, high)
        is_inside = math.hypot(u, v, w) < FARTHEST_CENTRE
        if is_inside and area_of(u, v, w) == area and (side_of(u) != "midline" or area == "AFS"):
            return Place(unit=(u, v, w), side=side_of(u), area=area, level=level)
    return None


def draw_extents(draws: Draws, diameter_mm: float) -> Point:
    """Extents (left-right, antero-posterior, cranio-caudal) of a lesion whose greatest axial diameter is given, mm."""
    across = min(1.0, draws.normal(MEDIAN_EXTENT_SHARES["left_right"], 0.04))
    deep = min(1.0, max(0.5, draws.normal(MEDIAN_EXTENT_SHARES["antero_posterior"], 0.10)))
    high = min(1.4, max(0.4, draws.normal(MEDIAN_EXTENT_SHARES["cranio_caudal"], 0.15)))
    return diameter_mm * across, diameter_mm * deep, diameter_mm * high


def levels_of(gland: Gland, place: Place, height_mm: float) -> tuple[str, ...]:
    """Levels in which a lesion of that height lies with a good share; the one of its centre at least."""
    half = height_mm / 2.0 / gland.semi_axes[2]
    low, high = place.unit[2] - half, place.unit[2] + half
    shares = {level: max(0.0, min(high, top) - max(low, bottom)) / (high - low) for level, (bottom, top) in _LEVEL_RANGES.items()}
    return tuple(level for level, share in shares.items() if share >= _LEVEL_SHARE or level == place.level)


def box_corners(centre: Point, extents: Point) -> tuple[Point, ...]:
    """The eight corners of the box with these extents around a centre, along the patient's axes, LPS mm, x fastest."""
    half = [extent / 2.0 for extent in extents]
    return tuple(
        (centre[0] + x * half[0], centre[1] + y * half[1], centre[2] + z * half[2]) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)
    )
