"""Which lesion a needle core was taken from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbox.linking.evidence import Evidence, EvidenceRules
from weakbox.linking.features import Features, NodeKind
from weakbox.linking.labels import read_label
from weakbox.linking.lesion_groups import Group
from weakbox.records.biopsy import BiopsyCore
from weakbox.records.case import Link, LinkKind
from weakbox.records.grid import Point

NO_FIT = Evidence(score=0.0)


def core_link(core: BiopsyCore, group: Group, evidence: Evidence, *, needs_review: bool) -> Link:
    """The link of a core to the record that names its lesion."""
    kinds = {
        NodeKind.TARGET: LinkKind.TARGET_CORE,
        NodeKind.SEGMENTATION: LinkKind.SEGMENTATION_CORE,
        NodeKind.FINDING: LinkKind.FINDING_CORE,
    }
    return Link(
        kind=kinds[group.anchor.kind],
        left_id=group.anchor.node_id,
        right_id=core.core_id,
        score=evidence.score,
        reason=", ".join(evidence.reasons),
        needs_review=needs_review,
    )


def core_fit(core: BiopsyCore, track: Sequence[Point], group: Group, rules: EvidenceRules, *, use_only_target: bool) -> Evidence:
    """How well a core fits a lesion: by the target that it names, else by how near its needle passes.

    A core that names a target is never placed by geometry. A targeted core without a place fits every lesion without a place:
    with one such lesion it is linked, with several none is better than the other.
    """
    label = read_label(core.target_label) if rules.trust_labels else None
    nodes = [node for node in group.nodes.values() if node.kind is not NodeKind.TISSUE]
    if label is not None:
        is_named = any(feature.label == label for node in nodes for feature in node.features)
        return Evidence(score=0.95, reasons=("label agrees",)) if is_named else NO_FIT
    places = [(feature.point, reach_mm(feature, rules)) for node in nodes for feature in node.features if feature.point is not None]
    fits = [_hit(track, point, reach) for point, reach in places] if track else []
    if use_only_target and core.is_targeted and _lacks_place(group):
        fits.append(Evidence(score=0.55, reasons=("targeted core of the study's only target without a place",)))
    return max(fits, key=lambda evidence: evidence.score, default=NO_FIT)


def _lacks_place(group: Group) -> bool:
    """Whether nobody says where the target (or mask) lies: no point of its own, no mask that is linked to it directly.

    A mask that other records have brought into the group does not count, so that this never depends on them.
    """
    anchor = group.anchor
    if anchor.kind not in (NodeKind.TARGET, NodeKind.SEGMENTATION) or anchor.features[0].point is not None:
        return False
    masks = [link.right for link in group.links if (link.left.kind, link.right.kind) == (NodeKind.TARGET, NodeKind.SEGMENTATION)]
    return all(mask.features[0].point is None for mask in masks)


def _hit(track: Sequence[Point], point: Point, reach: float) -> Evidence:
    distance = distance_to_segment(point, track[0], track[1])
    if distance > reach:
        return NO_FIT
    return Evidence(score=0.85 - 0.3 * distance / reach, reasons=(f"needle passes {distance:.1f} mm from the centre",))


def reach_mm(feature: Features, rules: EvidenceRules) -> float:
    """How far from a target's centre a needle still meets it."""
    return (feature.diameter_mm or rules.default_diameter_mm) / 2.0 + rules.needle_margin_mm


def distance_to_segment(point: Point, start: Point, end: Point) -> float:
    """Distance from a point to the straight line between two others, mm."""
    origin, along = np.array(start), np.array(end) - np.array(start)
    length = float(along @ along)
    share = float(np.clip((np.array(point) - origin) @ along / length, 0.0, 1.0)) if length else 0.0
    return float(np.linalg.norm(np.array(point) - origin - share * along))
