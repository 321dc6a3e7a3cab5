"""Centre and size of a lesion: the records of where they come from, and extents from what a report measures."""

from __future__ import annotations

from collections.abc import Sequence

from weakbox.labelling.grading import number
from weakbox.linking.features import sphere_diameter, word_of, words_of
from weakbox.organs.prostate_geometry import GlandFrame, region_centre
from weakbox.records.case import Lesion
from weakbox.records.extraction import Item
from weakbox.records.grid import Point
from weakbox.records.label import Tier
from weakbox.records.record import record
from weakbox.text.locations import Location

SHARE_OF_DIAMETER: Point = (0.95, 0.85, 0.85)
"""Left-right, antero-posterior, cranio-caudal extent as shares of the largest diameter: the best over PI-CAI's 459 lesions."""


@record
class Centre:
    """Where a lesion lies: a point, or the corners of its mask; LPS mm in the reference frame."""

    point: Point
    corners: tuple[Point, ...] = ()
    source: str
    tier: Tier
    uncertainty_mm: float
    evidence_id: str


@record
class Size:
    """Extents left-right, antero-posterior, cranio-caudal, mm, and where they come from."""

    extents: Point
    source: str
    evidence_id: str = ""


def size_of(lesion: Lesion, default_mm: float) -> Size:
    """The best stated size of a lesion, else the default on every axis (mm).

    A size of the target counts before one of the finding: it was measured where the needle went.
    """
    target, finding = lesion.target, lesion.finding
    if target is not None and target.axes_mm is not None:
        return Size(extents=target.axes_mm, source="target_axes", evidence_id=target.target_id)
    if target is not None and target.diameter_mm:
        return Size(extents=extents_of_diameter(target.diameter_mm), source="target_diameter", evidence_id=target.target_id)
    axes = finding.value("size_mm") if finding is not None else None
    if finding is not None and isinstance(axes, tuple) and len(axes) > 1:
        return Size(extents=extents_of_axes([float(axis) for axis in axes]), source="reported_axes", evidence_id=finding.item_id)
    diameter = number(finding, "max_diameter_mm") or (float(axes[0]) if isinstance(axes, tuple) and axes else None)
    if finding is not None and diameter:
        return Size(extents=extents_of_diameter(diameter), source="reported_diameter", evidence_id=finding.item_id)
    sphere = sphere_diameter(target.volume_ml) if target is not None else None
    if target is not None and sphere:
        return Size(extents=(sphere, sphere, sphere), source="target_volume", evidence_id=target.target_id)
    return Size(extents=(default_mm, default_mm, default_mm), source="default")


def extents_of_diameter(diameter_mm: float) -> Point:
    """Extents of a lesion with that largest diameter: 0.95 left-right, 0.85 antero-posterior, 0.85 cranio-caudal."""
    across, deep, high = (share * diameter_mm for share in SHARE_OF_DIAMETER)
    return across, deep, high


def extents_of_axes(axes_mm: Sequence[float]) -> Point:
    """Extents from two or three axes whose names are not stated: the largest lies left-right, the smallest antero-posterior.

    Of two, the third is 0.85 of the largest. Median lesions measure 16, 14 and 14.4 mm (PI-CAI), hence the order.
    """
    ordered = sorted(axes_mm, reverse=True)
    if len(ordered) == 2:
        return ordered[0], ordered[1], SHARE_OF_DIAMETER[2] * ordered[0]
    return ordered[0], ordered[2], ordered[1]


def location_of_item(item: Item) -> Location:
    """Where a finding or specimen places its lesion."""
    return Location(
        side=word_of(item, "side"),
        zone=word_of(item, "zone"),
        levels=words_of(item, "levels"),
        positions=words_of(item, "positions"),
        sectors=words_of(item, "sectors"),
    )


def centre_of_words(location: Location, gland: GlandFrame | None) -> Point | None:
    """Centre of the sectors that words describe, LPS mm, or None where they say too little."""
    if gland is None:
        return None
    return region_centre(
        gland, side=location.side, zone=location.zone, levels=location.levels, positions=location.positions, sectors=location.sectors
    )
