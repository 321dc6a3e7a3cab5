"""Stage 4: lesions, votes and review decisions -> boxes with a class -> curated cases.

For each lesion: where (centre), how large (size), what (class), how sure (confidence), and everything that speaks against it.
docs/decisions/0001 says why. Nothing is guessed: a lesion without a usable centre is a label without a box.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from weakbox.datasets_public.cases import completed
from weakbox.datasets_public.searching import load_dataset
from weakbox.imaging.boxes import box_around, box_over, spanned_corners
from weakbox.imaging.frames import FRAME_UNSTATED
from weakbox.labelling.grading import Grading, case_gradings, class_of, grade_conflicts, gradings_of, number, status_of, whole
from weakbox.labelling.placing import Centre, Size, centre_of_words, location_of_item, size_of
from weakbox.labelling.policy import LabelPolicy
from weakbox.labelling.votes import evidence_of, votes_of
from weakbox.linking.places import gland_frame, points_of
from weakbox.linking.tissue import core_grade
from weakbox.organs.prostate_geometry import sectors_at
from weakbox.records.biopsy import BiopsyCore, Guidance
from weakbox.records.case import Case, LedgerEntry, Lesion, MatchedCase, Outcome
from weakbox.records.extraction import ReportExtraction
from weakbox.records.grid import Grid, Point
from weakbox.records.imaging import PURPOSES_OF, Purpose, Series, SeriesChoice
from weakbox.records.label import (
    Box,
    CuratedCase,
    Decision,
    Evidence,
    Exclusion,
    LesionStatus,
    ReviewDecision,
    Tier,
    Vote,
    WeakLabel,
)
from weakbox.records.stated import FieldValue
from weakbox.runtime.codec import read_records
from weakbox.runtime.config import Settings
from weakbox.runtime.stage import StageOutput
from weakbox.terminology.gleason import CLINICALLY_SIGNIFICANT_FROM
from weakbox.text.locations import Location, read_location

STAGE = "postprocessing"
SIDE_CONFLICT = "side_conflict"
SIDE_OF_COORDINATE = "side_of_coordinate"
SIDE_CONFLICTS = {SIDE_CONFLICT, SIDE_OF_COORDINATE, "contested_side", "label_side_contradiction"}
REVIEW_ONLY = ("contested_", "ambiguous_systematic", "label_side_contradiction")
"""Conflicts with other lesions: they call for a reader, but say nothing against the label's own evidence."""


class Uncertainty(Settings):
    """Expected error of a centre, mm (root mean square); it never enlarges a box."""

    fusion: float = Field(default=3.0, ge=0, description="MR-ultrasound fusion.")
    in_bore: float = Field(default=2.5, ge=0, description="In-bore biopsy.")
    cognitive: float = Field(default=5.0, ge=0, description="Cognitive targeting.")
    unknown: float = Field(default=5.0, ge=0, description="Guidance not stated: as cognitive.")
    sector: float = Field(default=8.0, ge=0, description="Centre of the reported sector.")
    drawn: float = Field(default=0.0, ge=0, description="Drawn on the images themselves by an expert.")


class TierConfidence(Settings):
    """Confidence of a label whose every other factor is 1."""

    expert: float = Field(default=1.0, ge=0, le=1, description="Expert annotation.")
    target_roi: float = Field(default=0.95, ge=0, le=1, description="Mask of a biopsy target.")
    biopsy_coordinate: float = Field(default=0.9, ge=0, le=1, description="Coordinate of a biopsy target.")
    biopsy_core: float = Field(default=0.75, ge=0, le=1, description="Track of a positive core.")
    model: float = Field(default=0.6, ge=0, le=1, description="Drawn by a model.")
    report_sector: float = Field(default=0.5, ge=0, le=1, description="Sector in the report.")
    case_level: float = Field(default=0.3, ge=0, le=1, description="No place.")


class Config(Settings):
    """Choices of labelling. Lengths are mm, periods are days, confidences lie in 0..1."""

    dataset: str = Field(default="weakbox", description="Name of the cohort that every curated case carries.")
    default_diameter_mm: float = Field(
        default=12.0, gt=0, description="Size of a lesion of which no size is known, mm (PI-CAI: best default)."
    )
    follow_up_window_days: int = Field(
        default=365, ge=0, description="A study is no negative where cancer is found this many days after it."
    )
    minimum_follow_up_days: int = Field(default=0, ge=0, description="Days that a negative without tissue must have been followed.")
    minimum_pirads: int = Field(default=3, ge=1, le=5, description="Findings below, without target and tissue, are no lesions.")
    frame_unstated: Literal["allow", "exclude"] = Field(
        default="allow",
        description="Points whose source names no frame, series or study: `allow` (flagged) where the patient has one diagnostic study.",
    )
    contested_findings: Literal["withhold", "keep"] = Field(
        default="withhold",
        description="Findings without tissue that may be a target's lesion: `withhold` until a reader decides, or `keep`.",
    )
    side_tolerance_mm: float = Field(default=5.0, ge=0, description="A coordinate this near the midline contradicts no side, mm.")
    outside_gland_mm: float = Field(
        default=10.0, ge=0, description="A coordinate farther than this outside the gland's box is in conflict, mm."
    )
    largest_mm: dict[str, float] = Field(
        default={"PZ": 45.0, "TZ": 60.0, "CZ": 30.0, "AFS": 45.0, "SV": 50.0}, description="Largest believable diameter by zone, mm."
    )
    tiers: tuple[Tier, ...] = Field(default=tuple(Tier), description="Tiers that go into the set.")
    minimum_confidence: float = Field(default=0.05, ge=0, le=1, description="Labels below are left out.")
    conflict_factor: float = Field(default=0.7, gt=0, le=1, description="Each conflict multiplies the confidence by this.")
    frame_unstated_factor: float = Field(default=0.8, gt=0, le=1, description="An unstated frame multiplies the confidence by this.")
    uncertainty_mm: Uncertainty = Field(default=Uncertainty(), description="Expected error of a centre by its source, mm.")
    policy: LabelPolicy = Field(default=LabelPolicy(), description="How stated facts become classes of the joined set.")
    tier_confidence: TierConfidence = Field(default=TierConfidence(), description="Confidence of each tier.")


@dataclass(frozen=True, slots=True)
class PatientStage:
    """The stage over one patient's matched cases."""

    config: Config
    decisions: Path
    """Readers' decisions, JSON Lines of ``ReviewDecision``; need not be there."""

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        """Curate each case; every case and lesion goes on or is dropped with a reason."""
        matched = [each for each in records if isinstance(each, MatchedCase)]
        decided = decisions_by_case(self.decisions)
        results = [curate(each, decided.get(each.case.case_id, ()), self.config) for each in matched]
        curated = [outcome for outcome, _ in results if isinstance(outcome, CuratedCase)]
        return StageOutput(
            records=[outcome for outcome, _ in results],
            ledger=[entry for _, entries in results for entry in entries],
            entered={"case": len(matched), "lesion": sum(len(each.lesions) for each in matched)},
            left={"case": len(curated), "lesion": sum(len(each.labels) for each in curated)},
        )


@dataclass(frozen=True, slots=True)
class PublicStage:
    """The stage over one patient's cases of public sets: what their files say beside the tables, and the tiers that are wanted."""

    config: Config

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        """Complete each case from its files; every case goes on or is dropped with a reason."""
        cases = [each for each in records if isinstance(each, CuratedCase)]
        results = [self._completed(each) for each in cases]
        finished = [case for case, _ in results if case is not None]
        return StageOutput(
            records=finished,
            ledger=[entry for _, entries in results for entry in entries],
            entered={"case": len(cases)},
            left={"case": len(finished)},
        )

    def _completed(self, case: CuratedCase) -> tuple[CuratedCase | None, tuple[LedgerEntry, ...]]:
        finished, entries = completed(load_dataset(case.dataset), case)
        if finished is None:
            return None, entries
        labels = tuple(label for label in finished.labels if label.tier in self.config.tiers)
        left_out = [_tier_left_out(case, label) for label in finished.labels if label.tier not in self.config.tiers]
        return _with_reference(replace(finished, labels=labels)), (*entries, *left_out)


def _with_reference(case: CuratedCase) -> CuratedCase:
    """An MR study whose set annotates one series and names no other: that series is what is exported."""
    named = {label.box.reference_series_key for label in case.labels if label.box is not None}
    if case.study.choices or len(named) != 1:
        return case
    choice = SeriesChoice(purpose=PURPOSES_OF[case.organ][0], series_key=named.pop(), reason="the series that the set annotates")
    return replace(case, study=replace(case.study, choices=(choice,)))


def _tier_left_out(case: CuratedCase, label: WeakLabel) -> LedgerEntry:
    return LedgerEntry(
        stage=STAGE,
        kind="label",
        item_id=label.label_id,
        outcome=Outcome.DROPPED,
        reason="tier_not_wanted",
        detail=label.tier.value,
        patient_id=case.patient_id,
    )


def decisions_by_case(path: Path) -> dict[str, tuple[ReviewDecision, ...]]:
    """Readers' decisions by case; none where there is no file.

    Raises:
        InputError: a line is no review decision.
    """
    if not path.is_file():
        return {}
    status = path.stat()
    return _read_decisions(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read_decisions(path: Path, _modified_ns: int, _size: int) -> dict[str, tuple[ReviewDecision, ...]]:
    found: dict[str, list[ReviewDecision]] = {}
    for decision in read_records(path):
        found.setdefault(decision.case_id, []).append(decision)
    return {case_id: tuple(decisions) for case_id, decisions in found.items()}


def curate(
    matched: MatchedCase, decisions: Sequence[ReviewDecision], config: Config
) -> tuple[CuratedCase | Exclusion, tuple[LedgerEntry, ...]]:
    """One matched case -> a curated case with its labels, or an exclusion; and what did not go on.

    Pure. Of several decisions on one label the latest counts.
    """
    case = matched.case
    reference = case.study.chosen(Purpose.T2W)
    if reference is None or reference.grid is None:
        return _exclude(matched, "no_reference_series", "no T2W series with geometry was chosen")
    if not (case.radiology or case.pathology or matched.lesions):
        return _exclude(matched, "nothing_known", "no report, no tissue, no target")
    latest = {each.label_id: each for each in sorted(decisions, key=lambda each: each.decided_at)}
    labeller = _Labeller(case, reference, reference.grid, config)
    labels: list[WeakLabel] = []
    ledger: list[LedgerEntry] = []
    dropped: list[str] = []
    for lesion in matched.lesions:
        label = labeller.label(lesion, latest.get(lesion.lesion_id))
        if isinstance(label, WeakLabel):
            labels.append(label)
            ledger += [_entry(case, Outcome.REVIEW, "lesion", lesion.lesion_id, conflict) for conflict in label.conflicts]
        else:
            dropped.append(label)
            ledger.append(_entry(case, Outcome.DROPPED, "lesion", lesion.lesion_id, label))
    return _curated(case, labels, dropped, config), tuple(ledger)


def _entry(case: Case, outcome: Outcome, kind: str, item_id: str, reason: str, detail: str = "") -> LedgerEntry:
    return LedgerEntry(stage=STAGE, kind=kind, item_id=item_id, outcome=outcome, reason=reason, detail=detail, patient_id=case.patient_id)


def _exclude(matched: MatchedCase, reason: str, detail: str) -> tuple[Exclusion, tuple[LedgerEntry, ...]]:
    case = matched.case
    lesions = [_entry(case, Outcome.DROPPED, "lesion", lesion.lesion_id, reason) for lesion in matched.lesions]
    exclusion = Exclusion(case_id=case.case_id, patient_id=case.patient_id, stage=STAGE, reason=reason, detail=detail)
    return exclusion, (_entry(case, Outcome.DROPPED, "case", case.case_id, reason, detail), *lesions)


# One lesion.


class _Labeller:
    """Labels the lesions of one case."""

    def __init__(self, case: Case, reference: Series, grid: Grid, config: Config) -> None:
        self.case = case
        self.config = config
        self.reference = reference
        self.grid = grid
        self.gland = gland_frame(case)

    def label(self, lesion: Lesion, decision: ReviewDecision | None) -> WeakLabel | str:
        """The label of a lesion, or the code of the reason why it has none."""
        if decision is not None and decision.decision is Decision.REJECTED:
            return "rejected_by_reader"
        gradings = gradings_of(lesion)
        if decision is None and (reason := self._reason_against(lesion, gradings)):
            return reason
        centre, problems = self._centre(lesion)
        if centre is not None and not self.grid.contains(centre.point):
            if decision is None or decision.box is None:
                return "outside_image"
            centre, problems = None, [*problems, "outside_image"]
        label = self._assemble(lesion, gradings, centre, problems)
        label = decide(label, decision) if decision is not None else label
        if label.tier not in self.config.tiers:
            return "tier_not_wanted"
        return "low_confidence" if label.confidence < self.config.minimum_confidence else label

    def _reason_against(self, lesion: Lesion, gradings: Sequence[Grading]) -> str | None:
        """Why a finding without target, mask and tissue is no label."""
        if gradings or lesion.target or lesion.segmentation or lesion.finding is None:
            return None
        scores = [score for name in ("pirads", "likert") if isinstance(score := lesion.finding.value(name), int)]
        if scores and max(scores) < self.config.minimum_pirads:
            return "below_minimum_pirads"
        is_contested = any(conflict.startswith("contested_") for conflict in lesion.conflicts)
        return "contested_finding" if is_contested and self.config.contested_findings == "withhold" else None

    # Centre (rules 1 and 2).

    def _centre(self, lesion: Lesion) -> tuple[Centre | None, list[str]]:
        """The best centre whose frame is the reference's; what was met on the way."""
        problems: list[str] = []
        for find in (self._from_mask, self._from_target, self._from_core, self._from_sector):
            centre = find(lesion, problems)
            if centre is not None:
                return centre, problems
        return None, problems

    def _usable(self, points: tuple[Point, ...], problem: str | None, problems: list[str]) -> tuple[Point, ...]:
        if problem == FRAME_UNSTATED:
            problems.append(FRAME_UNSTATED)
            is_allowed = self.config.frame_unstated == "allow" and self.case.diagnostic_study_count == 1
            return points if is_allowed else ()
        if problem is not None:
            problems.append(problem)
        return points

    def _from_mask(self, lesion: Lesion, problems: list[str]) -> Centre | None:
        mask = lesion.segmentation
        if mask is None:
            return None
        placed = points_of(mask, spanned_corners(mask.corner, mask.edges), self.case)
        corners = self._usable(placed.points, placed.problem, problems)
        if not corners:
            return None
        is_expert = mask.is_expert and lesion.target is None
        x, y, z = (sum(corner[axis] for corner in corners) / len(corners) for axis in range(3))
        return Centre(
            point=(x, y, z),
            corners=corners,
            source="segmentation",
            tier=Tier.EXPERT if is_expert else Tier.TARGET_ROI,
            uncertainty_mm=self.config.uncertainty_mm.drawn if is_expert else self._guidance_error(lesion),
            evidence_id=mask.segmentation_id,
        )

    def _from_target(self, lesion: Lesion, problems: list[str]) -> Centre | None:
        target = lesion.target
        if target is None or target.position is None:
            return None
        placed = points_of(target, [target.position], self.case)
        points = self._usable(placed.points, placed.problem, problems)
        if not points:
            return None
        return Centre(
            point=points[0],
            source="target_coordinate",
            tier=Tier.BIOPSY_COORDINATE,
            uncertainty_mm=self._guidance_error(lesion),
            evidence_id=target.target_id,
        )

    def _from_core(self, lesion: Lesion, problems: list[str]) -> Centre | None:
        """The middle of the worst positive core. Where in the core the tumour lies is not stated, so its middle is expected at
        the core's middle, with the spread of a part that may lie anywhere in the core."""
        positive = [core for core in lesion.cores if core_grade(core) > 0 and core.tip is not None and core.base is not None]
        for core in sorted(positive, key=lambda each: (-core_grade(each), -(each.cancer_length_mm or 0.0), each.core_id)):
            placed = points_of(core, [point for point in (core.tip, core.base) if point is not None], self.case)
            ends = self._usable(placed.points, placed.problem, problems)
            if ends:
                return self._core_centre(core, ends)
        return None

    def _core_centre(self, core: BiopsyCore, ends: tuple[Point, ...]) -> Centre:
        free_mm = max(math.dist(*ends) - (core.cancer_length_mm or 0.0), 0.0)
        x, y, z = ((first + second) / 2.0 for first, second in zip(*ends, strict=True))
        return Centre(
            point=(x, y, z),
            source="core_midpoint",
            tier=Tier.BIOPSY_CORE,
            uncertainty_mm=math.hypot(self._error_of(core.guidance), free_mm / math.sqrt(12.0)),
            evidence_id=core.core_id,
        )

    def _from_sector(self, lesion: Lesion, problems: list[str]) -> Centre | None:
        for location, record_id in self._locations(lesion) if self.gland else ():
            point = centre_of_words(location, self.gland)
            if point is not None:
                return Centre(
                    point=point,
                    source=f"sector_{self.gland.source}" if self.gland else "sector",
                    tier=Tier.REPORT_SECTOR,
                    uncertainty_mm=self.config.uncertainty_mm.sector,
                    evidence_id=record_id,
                )
        return None

    def _locations(self, lesion: Lesion) -> Iterable[tuple[Location, str]]:
        """Where words place a lesion: the radiologist's first, then the sheet's, then the specimen's."""
        if lesion.finding is not None:
            yield location_of_item(lesion.finding), lesion.finding.item_id
        if lesion.target is not None and lesion.target.location:
            yield read_location(lesion.target.location), lesion.target.target_id
        for specimen in lesion.specimens:
            yield location_of_item(specimen), specimen.item_id

    def _guidance_error(self, lesion: Lesion) -> float:
        return self._error_of(lesion.target.guidance if lesion.target else Guidance.UNKNOWN)

    def _error_of(self, guidance: Guidance) -> float:
        return float(getattr(self.config.uncertainty_mm, guidance.value))

    # Together.

    def _box(self, centre: Centre, size: Size) -> Box:
        if centre.corners:
            return box_over(centre.corners, self.grid, self.reference.key, centre.uncertainty_mm)
        return box_around(centre.point, size.extents, self.grid, self.reference.key, centre.uncertainty_mm)

    def _assemble(self, lesion: Lesion, gradings: Sequence[Grading], centre: Centre | None, problems: Sequence[str]) -> WeakLabel:
        size = (
            Size(extents=(0.0, 0.0, 0.0), source="segmentation_extent")
            if centre and centre.corners
            else size_of(lesion, self.config.default_diameter_mm)
        )
        box = self._box(centre, size) if centre else None
        grading = class_of(gradings)
        location, _ = next(iter(self._locations(lesion)), (Location(), ""))
        conflicts = (*self._conflicts(lesion, gradings, centre, location, box), *problems, *lesion.conflicts)
        # two sources that say left and right leave the side to a reader; both stay among the votes
        is_side_known = not SIDE_CONFLICTS.intersection(conflicts)
        tier = centre.tier if centre else Tier.CASE_LEVEL
        pirads = whole(lesion.finding, "pirads") or (lesion.target.pirads if lesion.target else None)
        return WeakLabel(
            label_id=lesion.lesion_id,
            lesion_id=lesion.lesion_id,
            case_id=lesion.case_id,
            status=status_of(grading),
            isup_grade=(grading.isup or None) if grading else None,
            is_clinically_significant=grading.is_significant if grading else None,
            pirads=pirads,
            likert=whole(lesion.finding, "likert") or (lesion.target.likert if lesion.target else None),
            side=(location.side or self._side_of(centre)) if is_side_known else None,
            zone=location.zone,
            sectors=location.sectors if is_side_known else (),
            max_diameter_mm=number(lesion.finding, "max_diameter_mm") or (lesion.target.diameter_mm if lesion.target else None),
            gleason_primary=grading.primary if grading else None,
            gleason_secondary=grading.secondary if grading else None,
            box=box,
            tier=tier,
            centre_source=centre.source if centre else None,
            size_source=size.source if centre else None,
            class_source=grading.source if grading else ("pirads" if pirads else None),
            confidence=self.confidence(lesion, tier, conflicts),
            votes=votes_of(lesion, gradings, grading, centre, size if centre else None),
            conflicts=tuple(sorted(set(conflicts))),
            needs_review=bool(conflicts) or any(link.needs_review for link in self._links(lesion)),
            evidence=evidence_of(lesion),
            location=lesion.target.location if lesion.target else None,
        )

    def _side_of(self, centre: Centre | None) -> str | None:
        if centre is None or self.gland is None or centre.source.startswith("sector"):
            return None
        left_mm = sectors_at(centre.point, self.gland).left_mm
        if abs(left_mm) <= self.config.side_tolerance_mm + self.gland.sigma_mm / 2.0:
            return None
        return "left" if left_mm > 0 else "right"

    # Conflicts (rule 7).

    def _conflicts(
        self, lesion: Lesion, gradings: Sequence[Grading], centre: Centre | None, location: Location, box: Box | None
    ) -> list[str]:
        found = [*grade_conflicts(gradings), *_report_conflicts(lesion, self.case.radiology)]
        found += _word_conflicts([words for words, _ in self._locations(lesion)])
        if centre is not None and self.gland is not None and not centre.source.startswith("sector"):
            side = self._side_of(centre)
            if {side, location.side} == {"left", "right"}:
                found.append(SIDE_OF_COORDINATE)
            outside = sectors_at(centre.point, self.gland).outside_mm
            if self.gland.source == "gland_mask" and location.zone != "SV" and outside > self.config.outside_gland_mm:
                found.append("outside_gland")
        largest = max(box.size_mm) if box is not None else 0.0
        reported = number(lesion.finding, "max_diameter_mm") or 0.0
        if max(largest, reported) > self.config.largest_mm.get(location.zone or "", math.inf):
            found.append("size_against_zone")
        return found

    # Confidence.

    def _links(self, lesion: Lesion) -> list[Any]:
        records = {lesion.target.target_id} if lesion.target else set()
        records |= {core.core_id for core in lesion.cores} | {item.report_id for item in (*lesion.specimens, lesion.finding) if item}
        return [*lesion.links, *(link for link in self.case.links if link.left_id in records)]

    def confidence(self, lesion: Lesion, tier: Tier, conflicts: Sequence[str]) -> float:
        """Tier x weakest link x weakest reading x a factor for each conflict of the label itself; 0..1, higher is surer.

        It falls with every factor, and depends on the lesion's own records only.
        """
        links = min((link.score for link in self._links(lesion)), default=1.0)
        items = [item for item in (lesion.finding, *lesion.specimens) if item is not None]
        readings = min((stated.confidence for item in items for stated in item.values.values()), default=1.0)
        own = {conflict for conflict in conflicts if not conflict.startswith(REVIEW_ONLY) and conflict != FRAME_UNSTATED}
        frame = self.config.frame_unstated_factor if FRAME_UNSTATED in conflicts else 1.0
        base = float(getattr(self.config.tier_confidence, tier.value))
        return round(base * links * readings * self.config.conflict_factor ** len(own) * frame, 4)


def decide(label: WeakLabel, decision: ReviewDecision) -> WeakLabel:
    """A reader's decision wins over every other vote."""
    vote = Vote(voter=decision.reader, aspect="decision", value=decision.decision.value, confidence=1.0, reason="review decision")
    label = replace(label, votes=(*label.votes, vote), needs_review=False, confidence=max(label.confidence, 0.95))
    if decision.isup_grade is not None:
        label = replace(
            label,
            status=LesionStatus.CANCER if decision.isup_grade else LesionStatus.BENIGN,
            isup_grade=decision.isup_grade or None,
            is_clinically_significant=decision.isup_grade >= CLINICALLY_SIGNIFICANT_FROM,
            gleason_primary=None,
            gleason_secondary=None,
            class_source="review",
        )
    if decision.box is None:
        return label
    return replace(label, box=decision.box, tier=Tier.EXPERT, centre_source="review", size_source="review")


def _report_conflicts(lesion: Lesion, radiology: Sequence[ReportExtraction]) -> list[str]:
    """Values of the finding on which findings and impression of its report disagree."""
    if lesion.finding is None or not radiology:
        return []
    place = f"lesions[{lesion.finding.index}]."
    return ["report_conflict"] if any(flag.code == "conflict" and flag.path.startswith(place) for flag in radiology[0].flags) else []


def _word_conflicts(locations: Sequence[Location]) -> list[str]:
    """Words of different sources that place one lesion differently."""
    sides = {location.side for location in locations} & {"left", "right"}
    zones = {location.zone for location in locations if location.zone}
    levels = [set(location.levels) for location in locations if location.levels]
    is_apart = any(not first & second and "mid" not in first | second for first in levels for second in levels)
    found = {SIDE_CONFLICT: len(sides) > 1, "zone_conflict": len(zones) > 1, "level_conflict": is_apart}
    return [code for code, is_found in found.items() if is_found]


# The case.

_CLINICAL = ("psa_ng_ml", "psa_density", "prostate_volume_ml", "epe", "svi", "lymph_nodes", "bone_metastases", "pirads", "likert")


def _curated(case: Case, labels: Sequence[WeakLabel], dropped: Sequence[str], config: Config) -> CuratedCase:
    gradings = [*case_gradings(case)]
    grades = [grading.isup for grading in gradings if grading.isup] + [label.isup_grade for label in labels if label.isup_grade]
    has_cancer = any(grading.is_cancer for grading in gradings) or any(label.status is LesionStatus.CANCER for label in labels)
    clinical, evidence = clinical_values(case)
    conflicts = list(_case_conflicts(case))
    reason = None
    is_free = not labels and all(code in ("below_minimum_pirads", "rejected_by_reader") for code in dropped)
    if is_free and not has_cancer:
        reason, remarks = negative_reason(case, clinical, config, is_tested=bool(gradings))
        conflicts += remarks
    return CuratedCase(
        case_id=case.case_id,
        patient_id=case.patient_id,
        dataset=config.dataset,
        organ=case.radiology[0].organ if case.radiology else (case.pathology[0].organ if case.pathology else "prostate"),
        study=case.study,
        labels=tuple(labels),
        tier=max((label.tier for label in labels), key=list(Tier).index, default=Tier.CASE_LEVEL),
        case_isup_grade=max(grades, default=None),
        is_clinically_significant=_is_significant(grades, gradings, labels, has_cancer=has_cancer),
        negative_reason=reason,
        clinical=clinical,
        clinical_evidence=evidence,
        conflicts=tuple(sorted(set(conflicts))),
        needs_review=bool(conflicts) or any(label.needs_review for label in labels) or (not is_free and bool(dropped)),
    )


def _is_significant(grades: Sequence[int], gradings: Sequence[Grading], labels: Sequence[WeakLabel], *, has_cancer: bool) -> bool | None:
    """csPCa of the case; None where nothing was tested, or cancer was found and not graded."""
    stated = [grading.is_significant for grading in gradings] + [label.is_clinically_significant for label in labels]
    if any(stated):
        return True
    if has_cancer:
        return False if grades else None
    return False if gradings else None


def negative_reason(case: Case, clinical: dict[str, FieldValue], config: Config, *, is_tested: bool) -> tuple[str | None, list[str]]:
    """Why a case without lesion and without cancer of its own is a true negative, or the conflicts that keep it from being one."""
    remarks = []
    score = max((value for name in ("pirads", "likert") if isinstance(value := clinical.get(name), int)), default=0)
    if score >= config.minimum_pirads:
        remarks.append("score_without_lesion")
    if any(days < 0 for days in case.cancer_days):
        remarks.append("cancer_in_history")
    if any(0 <= days <= config.follow_up_window_days for days in case.cancer_days):
        remarks.append("cancer_within_follow_up")
    if remarks:
        return None, remarks
    if is_tested:
        return ("no_lesion_reported_and_benign_tissue" if case.radiology else "benign_tissue"), []
    days = case.days_followed or 0
    if days < config.minimum_follow_up_days:
        return None, ["followed_too_briefly"]
    return f"no_lesion_reported_followed_{days}_days", []


def clinical_values(case: Case) -> tuple[dict[str, FieldValue], tuple[Evidence, ...]]:
    """Values of the examination from the report that counts, by the contract's names, each with its words."""
    found: dict[str, FieldValue] = {}
    evidence: list[Evidence] = []
    for report in case.radiology:
        for name in _CLINICAL:
            stated = report.exam.get(f"exam.{name}")
            if stated is not None and name not in found:
                found[name] = stated.value
                evidence += [Evidence(record_id=report.report_id, field=name, span=span) for span in stated.evidence]
    for name, attribute in (("psa_ng_ml", "psa_ng_ml"), ("prostate_volume_ml", "prostate_volume_ml")):
        rows = [(value, core.core_id) for core in case.cores if (value := getattr(core, attribute)) is not None]
        if name not in found and rows:
            found[name] = rows[0][0]
            evidence.append(Evidence(record_id=rows[0][1], field=name))
    return found, tuple(evidence)


def _case_conflicts(case: Case) -> Iterable[str]:
    for report in case.radiology[:1]:
        if any(flag.code == "conflict" and flag.path.startswith("exam") for flag in report.flags):
            yield "report_conflict"
    if any(link.needs_review for link in case.links):
        yield "uncertain_study_link"
