"""What a finding, a target, a mask or tissue says of its lesion, made comparable: label, place in words, point, size, suspicion."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

from weakbox.linking.labels import LesionLabel, read_label
from weakbox.organs.prostate_geometry import GlandFrame, PointSite, region_centre, sectors_at
from weakbox.records.biopsy import BiopsyTarget, Segmentation
from weakbox.records.extraction import Finding, Item, Specimen
from weakbox.records.grid import Point
from weakbox.records.record import record
from weakbox.text.locations import read_location


class NodeKind(StrEnum):
    FINDING = "finding"
    TARGET = "target"
    SEGMENTATION = "segmentation"
    TISSUE = "specimen"


@record
class Features:
    """One record as the assignment sees it. Words and point are kept apart: they may contradict each other."""

    kind: NodeKind
    label: LesionLabel | None = None
    side: str | None = None
    zone: str | None = None
    levels: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    region: Point | None = None
    """Centre of the region that the words describe, LPS mm."""
    site: PointSite | None = None
    point: Point | None = None
    """LPS mm in the reference series' frame."""
    diameter_mm: float | None = None
    suspicion: int | None = None
    """PI-RADS category, or another five-point score."""
    is_unnumbered_target: bool = False
    """Tissue that is said to be of a target without saying which."""


@record
class Node:
    """A record, or specimens that name one target, that takes part in the assignment. ``features`` has one entry for each specimen."""

    node_id: str
    kind: NodeKind
    features: tuple[Features, ...]


def finding_node(finding: Finding, frame: GlandFrame | None) -> Node:
    """A finding of a radiology report."""
    label = finding.value("lesion_id") or finding.value("finding_id")
    diameter = finding.value("max_diameter_mm")
    features = _with_words(
        Features(
            kind=NodeKind.FINDING,
            label=read_label(str(label)) if label is not None else None,
            diameter_mm=float(diameter) if isinstance(diameter, int | float) else None,
            suspicion=_whole(finding, "pirads") or _whole(finding, "likert"),
        ),
        finding,
        frame,
    )
    return Node(node_id=finding.item_id, kind=NodeKind.FINDING, features=(features,))


def target_node(target: BiopsyTarget, point: Point | None, frame: GlandFrame | None) -> Node:
    """A biopsy target; ``point`` is its position in the reference frame, where it has one."""
    words = read_location(target.location or "")
    features = Features(
        kind=NodeKind.TARGET,
        label=read_label(target.label),
        side=words.side,
        zone=words.zone,
        levels=words.levels,
        positions=words.positions,
        region=_region(frame, words.side, words.zone, words.levels, words.positions, words.sectors),
        point=point,
        site=sectors_at(point, frame) if point and frame else None,
        diameter_mm=target.diameter_mm or (max(target.axes_mm) if target.axes_mm else sphere_diameter(target.volume_ml)),
        suspicion=target.pirads or target.likert,
    )
    return Node(node_id=target.target_id, kind=NodeKind.TARGET, features=(features,))


def segmentation_node(segmentation: Segmentation, point: Point | None, frame: GlandFrame | None) -> Node:
    """A lesion mask; ``point`` is its centroid in the reference frame, where it lies there."""
    features = Features(
        kind=NodeKind.SEGMENTATION,
        label=read_label(segmentation.label),
        point=point,
        site=sectors_at(point, frame) if point and frame else None,
        diameter_mm=max(math.hypot(*edge) for edge in segmentation.edges),
    )
    return Node(node_id=segmentation.segmentation_id, kind=NodeKind.SEGMENTATION, features=(features,))


def tissue_node(node_id: str, specimens: Iterable[Specimen], frame: GlandFrame | None) -> Node:
    """Specimens that name one target. Each keeps its own words: a pair is as good as its best specimen."""
    features = [_with_words(_of_tissue(each), each, frame) for each in specimens]
    return Node(node_id=node_id, kind=NodeKind.TISSUE, features=tuple(features))


def _of_tissue(specimen: Specimen) -> Features:
    return Features(kind=NodeKind.TISSUE, label=specimen_label(specimen), is_unnumbered_target=is_unnumbered_target(specimen))


def is_unnumbered_target(specimen: Specimen) -> bool:
    """Whether a specimen is said to be of a target without saying which."""
    return specimen.value("is_targeted") is True and specimen.value("target") is None


def specimen_label(specimen: Specimen) -> LesionLabel | None:
    """The MRI target that a specimen names."""
    target = specimen.value("target")
    return read_label(str(target)) if target is not None else None


def sphere_diameter(volume_ml: float | None) -> float | None:
    """Diameter of the sphere of that volume, mm."""
    return 10.0 * (6.0 * volume_ml / math.pi) ** (1.0 / 3.0) if volume_ml else None


def words_of(item: Item, name: str) -> tuple[str, ...]:
    """The values of a field that holds several words."""
    value = item.value(name)
    return tuple(str(word) for word in value) if isinstance(value, tuple) else ()


def word_of(item: Item, name: str) -> str | None:
    """The value of a field that holds one word."""
    value = item.value(name)
    return value if isinstance(value, str) else None


def _with_words(features: Features, item: Item, frame: GlandFrame | None) -> Features:
    side, zone = word_of(item, "side"), word_of(item, "zone") or word_of(item, "quadrant")
    levels, positions = words_of(item, "levels"), words_of(item, "positions")
    return Features(
        kind=features.kind,
        label=features.label,
        side=side,
        zone=zone,
        levels=levels,
        positions=positions,
        region=_region(frame, side, zone, levels, positions, words_of(item, "sectors")),
        diameter_mm=features.diameter_mm,
        suspicion=features.suspicion,
        is_unnumbered_target=features.is_unnumbered_target,
    )


def _region(
    frame: GlandFrame | None,
    side: str | None,
    zone: str | None,
    levels: tuple[str, ...],
    positions: tuple[str, ...],
    sectors: tuple[str, ...],
) -> Point | None:
    if frame is None:
        return None
    return region_centre(frame, side=side, zone=zone, levels=levels, positions=positions, sectors=sectors)


def _whole(item: Item, name: str) -> int | None:
    value = item.value(name)
    return value if isinstance(value, int) else None
