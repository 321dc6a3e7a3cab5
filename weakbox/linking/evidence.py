"""How well two records of one study fit one lesion: what agrees, what contradicts, what each is worth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from weakbox.linking.features import Features
from weakbox.linking.labels import LabelAgreement, compare_labels
from weakbox.organs.prostate_geometry import MIDLINE_MM, GlandFrame
from weakbox.records.record import record


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(Settings):
    """What each agreement is worth, as natural log odds that two records of one study speak of one lesion.

    They are a radiologist's judgement, not fitted: an equal label outweighs everything but left against right; side with level
    or zone is enough without labels; a side alone is not.
    """

    start: float = Field(default=-1.0, description="Two records of one study, nothing else known.")
    unnumbered_target: float = Field(
        default=2.0, description="Tissue of a target without number: it was taken from one of the study's lesions, whatever else is said."
    )
    label: float = Field(default=4.5, description="Equal labels. Different labels of one kind are never one lesion.")
    side: float = Field(default=1.2, description="Same side. Left against right in words is never one lesion.")
    side_of_point: float = Field(default=-3.0, description="A point clearly on the other side than the words say.")
    level: float = Field(default=0.8, description="A level in common.")
    next_level: float = Field(default=-0.5, description="Neighbouring levels.")
    far_level: float = Field(default=-2.5, description="Base against apex.")
    zone: float = Field(default=0.8, description="Same zone.")
    bordering_zone: float = Field(default=-0.3, description="TZ against AFS or CZ, which border each other.")
    other_zone: float = Field(default=-1.0, description="Other zones.")
    position: float = Field(default=0.3, description="A position in common.")
    opposite_position: float = Field(default=-1.0, description="Anterior against posterior, or medial against lateral.")
    distance: float = Field(default=1.6, description="A point at the centre of the described region; less half its square in sigmas.")
    farthest: float = Field(default=-3.0, description="Least that a distance can count.")
    size: float = Field(default=0.6, description="Diameters within 30 %.")
    other_size: float = Field(default=-3.5, description="One diameter less than 0.45 of the other: almost outweighs an equal label.")
    suspicion: float = Field(default=0.7, description="Equal PI-RADS or five-point score.")
    other_suspicion: float = Field(default=-1.0, description="Scores two or more apart.")


class EvidenceRules(Settings):
    """How two records of one study are compared."""

    trust_labels: bool = Field(
        default=True, description="Whether reports, sheets and masks number lesions alike; if not, labels are not compared."
    )
    sector_sigma_mm: float = Field(default=8.0, gt=0, description="Error of a point that is known by its sector only, mm (PI-CAI).")
    default_diameter_mm: float = Field(default=12.0, gt=0, description="Diameter of a target of unknown size, for its reach, mm.")
    mirrored_from: float = Field(
        default=0.65, gt=0, lt=1, description="Score with left and right exchanged from which a wrong side is suspected: for a reader."
    )
    needle_margin_mm: float = Field(default=5.0, ge=0, description="A needle within the target's radius and this has hit it, mm.")
    least_target_odds: float = Field(
        default=0.7,
        description="Least log odds of a lesion and tissue of a target without number that words do not put on the other side: enough "
        "for a link with review where nothing else is there.",
    )
    weights: Weights = Field(default=Weights(), description="Log odds of each agreement.")


@record
class Evidence:
    """How well two records fit one lesion: a score 0..1, the reasons in words, and whether equal labels name opposite sides."""

    score: float
    reasons: tuple[str, ...] = ()
    is_side_contradicted: bool = False
    is_mirrored: bool = False
    """Whether they would be one lesion were left and right exchanged in one of them: a dictated or written wrong side."""


OTHER_SIDE = "the point lies on the other side"
Judged = list[tuple[float, str]]


def compare(first: Features, second: Features, rules: EvidenceRules, frame: GlandFrame | None) -> Evidence:
    """How well two records fit one lesion; depends on these two only, never on what else there is."""
    weights = rules.weights
    labels = compare_labels(first.label, second.label) if rules.trust_labels else LabelAgreement.ABSENT
    if labels is LabelAgreement.DISAGREE:
        return Evidence(score=0.0, reasons=("labels disagree",))
    if {first.side, second.side} == {"left", "right"}:
        mirrored = compare(first, replace(second, side=first.side), rules, frame).score
        return Evidence(
            score=0.0,
            reasons=("left against right",),
            is_side_contradicted=labels is LabelAgreement.AGREE,
            is_mirrored=mirrored >= rules.mirrored_from,
        )
    found = [(weights.label, "label agrees")] if labels is LabelAgreement.AGREE else []
    found += _words_evidence(first, second, weights)
    found += _place_evidence(first, second, rules, frame)
    found += _look_evidence(first, second, weights)
    odds = weights.start + sum(value for value, _ in found)
    if first.is_unnumbered_target != second.is_unnumbered_target:
        odds = max(odds + weights.unnumbered_target, rules.least_target_odds)
        found.append((weights.unnumbered_target, "of a target without number"))
    reasons = tuple(reason for _, reason in found)
    mirrored = odds - weights.side_of_point + weights.side if OTHER_SIDE in reasons else -math.inf
    return Evidence(score=_logistic(odds), reasons=reasons, is_mirrored=_logistic(mirrored) >= rules.mirrored_from)


def _logistic(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-odds, 700.0)))


def _words_evidence(first: Features, second: Features, weights: Weights) -> Judged:
    found: Judged = []
    if first.side is not None and first.side == second.side:
        found.append((weights.side, "same side"))
    if first.levels and second.levels:
        found.append(_levels_evidence(first.levels, second.levels, weights))
    if first.zone and second.zone:
        found.append(_zones_evidence(first.zone, second.zone, weights))
    return found + _positions_evidence(first.positions, second.positions, weights)


def _levels_evidence(first: tuple[str, ...], second: tuple[str, ...], weights: Weights) -> tuple[float, str]:
    if set(first) & set(second):
        return weights.level, "a level in common"
    if "mid" in (*first, *second):
        return weights.next_level, "neighbouring levels"
    return weights.far_level, "base against apex"


def _zones_evidence(first: str, second: str, weights: Weights) -> tuple[float, str]:
    if first == second:
        return weights.zone, "same zone"
    is_bordering = "TZ" in (first, second) and {first, second} & {"AFS", "CZ"}
    return (weights.bordering_zone, "bordering zones") if is_bordering else (weights.other_zone, "other zones")


def _positions_evidence(first: tuple[str, ...], second: tuple[str, ...], weights: Weights) -> Judged:
    if set(first) & set(second):
        return [(weights.position, "a position in common")]
    for pair in ({"anterior", "posterior"}, {"medial", "lateral"}):
        if len(pair & {*first, *second}) == 2 and set(first) & pair and set(second) & pair:
            return [(weights.opposite_position, " against ".join(sorted(pair)))]
    return []


def _place_evidence(first: Features, second: Features, rules: EvidenceRules, frame: GlandFrame | None) -> Judged:
    """A point against the words of the other, or two points against each other."""
    if first.point is not None and second.point is not None:
        return [_points_evidence(first, second, rules)]
    if frame is None:
        return []
    words, pointed = (first, second) if second.site is not None else (second, first)
    return _point_in_region(words, pointed, rules, frame) if pointed.site is not None else []


def _points_evidence(first: Features, second: Features, rules: EvidenceRules) -> tuple[float, str]:
    distance = math.dist(first.point or (), second.point or ())
    reach = max(first.diameter_mm or 0.0, second.diameter_mm or 0.0, rules.default_diameter_mm) / 2.0 + rules.needle_margin_mm
    odds = 3.0 - 3.0 * distance / reach
    return max(odds, 2.0 * rules.weights.farthest), f"points {distance:.1f} mm apart"


def _point_in_region(words: Features, pointed: Features, rules: EvidenceRules, frame: GlandFrame) -> Judged:
    """The side of the point, and its distance from the centre of the region; mirrored where the side is wrong, to count that once."""
    if pointed.site is None or pointed.point is None:
        return []
    weights, left_mm = rules.weights, pointed.site.left_mm
    found: Judged = []
    is_wrong = words.side in ("left", "right") and (left_mm > 0) != (words.side == "left")
    if is_wrong and abs(left_mm) > MIDLINE_MM + frame.sigma_mm / 2.0:
        found.append((weights.side_of_point, OTHER_SIDE))
    elif words.side in ("left", "right") and not is_wrong and abs(left_mm) > MIDLINE_MM and pointed.side is None:
        found.append((weights.side, "the point lies on that side"))
    if words.region is None:
        return found
    at, centre = frame.to_millimetres(pointed.point), frame.to_millimetres(words.region)
    if is_wrong:
        at = at * np.array((-1.0, 1.0, 1.0))
    distance = float(np.linalg.norm(at - centre))
    sigma = math.hypot(rules.sector_sigma_mm, frame.sigma_mm)
    odds = max(weights.distance - distance**2 / (2.0 * sigma**2), weights.farthest)
    return [*found, (odds, f"{distance:.0f} mm from the centre of the described region")]


def _look_evidence(first: Features, second: Features, weights: Weights) -> Judged:
    found: Judged = []
    if first.diameter_mm and second.diameter_mm:
        ratio = min(first.diameter_mm, second.diameter_mm) / max(first.diameter_mm, second.diameter_mm)
        if ratio >= 0.7:
            found.append((weights.size, "similar size"))
        elif ratio < 0.45:
            found.append((weights.other_size, "other size"))
    if first.suspicion and second.suspicion:
        apart = abs(first.suspicion - second.suspicion)
        if apart == 0:
            found.append((weights.suspicion, "same suspicion score"))
        elif apart >= 2:
            found.append((weights.other_suspicion, "other suspicion score"))
    return found
