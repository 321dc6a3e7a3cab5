"""Stage 3: which report, tissue, target and mask belong to which imaging study, and to which lesion of it.

Order: study (identifiers, then days), then lesion (label, side, level, zone, geometry, size, suspicion). A lesion-level link
is accepted only where each side is the other's best by a margin; such a link cannot flip when another record is missing.
What is left with a possible partner is contested: it keeps its own words and goes to a person. docs/decisions/0001 says why.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import product
from typing import Any, Literal

import numpy as np
from pydantic import Field

from weakbox.linking.assignment import Assignment, assign
from weakbox.linking.evidence import Evidence, EvidenceRules, compare
from weakbox.linking.features import Node, NodeKind, finding_node, segmentation_node, target_node, tissue_node
from weakbox.linking.labels import normal_accession
from weakbox.linking.lesion_groups import Group, PairLink, group_nodes
from weakbox.linking.needles import core_fit, core_link
from weakbox.linking.places import centroid_of, gland_frame, point_of_target, points_of
from weakbox.linking.studies import Placement, Studies, place_pathology, place_pointed, place_radiology, place_segmentation
from weakbox.linking.tissue import core_grade, states_cancer, support_link, systematic_cancer, targeted_tissue, tissue_fit
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation, SegmentationKind
from weakbox.records.case import Case, LedgerEntry, Lesion, Link, LinkKind, MatchedCase, Outcome, PatientRecord
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, ReportExtraction
from weakbox.records.grid import Point
from weakbox.records.imaging import ImagingStudy
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.runtime.stage import StageOutput

STAGE = "matching"
CONTESTED = "contested_"
CONTESTED_SIDE = "contested_side"
ADMISSIBLE = 0.5
"""Least score of a link to a core or to systematic tissue, whose fits are rules and not sums of evidence."""
AMBIGUOUS_SYSTEMATIC = "ambiguous_systematic"
LABEL_SIDE = "label_side_contradiction"


class Config(EvidenceRules):
    """Choices of matching. Days are calendar days; scores lie in 0..1."""

    report_window_days: int = Field(
        default=3, ge=0, description="Most days between a radiology report and its study where no accession number joins them."
    )
    pathology_window_days: int = Field(default=365, ge=0, description="Most days from a study to the tissue that belongs to it.")
    repeat_biopsy: Literal["first", "last", "worst"] = Field(
        default="worst", description="Which procedure after a study counts: the first, the last, or all of them, the worst grade winning."
    )
    same_procedure_days: int = Field(default=7, ge=0, description="Pathology dated this many days apart is of one procedure.")
    threshold: float = Field(default=0.65, gt=0, lt=1, description="Least score of a link.")
    minimum_margin: float = Field(default=0.02, gt=0, lt=1, description="Least lead over the next best pair; below it nobody is linked.")
    review_margin: float = Field(default=0.15, ge=0, le=1, description="A link that leads by less goes to review.")
    review_below: float = Field(default=0.7, ge=0, le=1, description="A link with a lower score goes to review.")
    use_only_target: bool = Field(
        default=True, description="Targeted cores without a place belong to the study's only target without a place; with review."
    )
    systematic_support: bool = Field(
        default=True,
        description="Systematic cancer at exactly the side and level of a lesion without tissue of its own belongs to it; with review.",
    )


@dataclass(frozen=True, slots=True)
class PatientStage:
    """The stage over one patient's records, as the store hands them on."""

    config: Config

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        """Match one patient; every report, study, target, core, mask and item is either in a case or dropped with a reason."""
        patients = [each for each in records if isinstance(each, PatientRecord)]
        extractions = {each.report_id: each for each in records if isinstance(each, ReportExtraction | ExtractionFailure)}
        patient = patients[0] if patients else PatientRecord(patient_id=patient_id)
        cases, ledger = match_patient(patient, extractions, self.config)
        return StageOutput(records=cases, ledger=ledger, entered=_entered(patient, extractions), left=_left(cases))


def match_patient(
    patient: PatientRecord, extractions: Mapping[str, ReportExtraction | ExtractionFailure], config: Config
) -> tuple[tuple[MatchedCase, ...], tuple[LedgerEntry, ...]]:
    """One patient's records -> one matched case for each diagnostic study, and what did not go on.

    Pure: the result depends on the records' content only, not on their order. ``extractions`` is keyed by report id.
    """
    return _Patient(patient, extractions, config).match()


@dataclass(slots=True)
class _Contents:
    """What was placed on one study, with the link that placed it."""

    radiology: list[tuple[Report, ReportExtraction, Link]] = field(default_factory=list)
    pathology: list[tuple[Report, ReportExtraction, Link]] = field(default_factory=list)
    targets: list[BiopsyTarget] = field(default_factory=list)
    cores: list[BiopsyCore] = field(default_factory=list)
    segmentations: list[Segmentation] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


class _Patient:
    """The study-level half: places each record on a study, settles versions and procedures, hands each case to the lesion level."""

    def __init__(self, patient: PatientRecord, extractions: Mapping[str, ReportExtraction | ExtractionFailure], config: Config) -> None:
        self.patient = patient
        self.extractions = extractions
        self.config = config
        self.studies = Studies(patient.studies)
        self.contents: dict[str, _Contents] = defaultdict(_Contents)
        self.ledger: list[LedgerEntry] = []

    def match(self) -> tuple[tuple[MatchedCase, ...], tuple[LedgerEntry, ...]]:
        """Place, settle, link."""
        for study in self.studies.procedural:
            self._drop("study", study.study_uid, "intraprocedural_study", study.kind_reason)
        self._place_reports()
        self._place_points()
        cases = tuple(self._case(study) for study in self.studies.diagnostic)
        return cases, (*self.ledger, *(entry for case in cases for entry in case.unlinked))

    def _place_reports(self) -> None:
        reports = {report.report_id: report for report in self.patient.reports}
        for report_id in sorted(self.extractions):
            extraction, report = self.extractions[report_id], reports.get(report_id)
            if isinstance(extraction, ExtractionFailure):
                self._drop("report", report_id, "extraction_failed", extraction.cause)
            elif report is None:
                self._drop_report(extraction, "no_report_record")
            elif report.status is ReportStatus.CANCELLED:
                self._drop_report(extraction, "cancelled")
            elif extraction.status is ExtractionStatus.ABSTAINED:
                self._drop_report(extraction, "abstained")
            else:
                self._place_report(report, extraction)

    def _place_report(self, report: Report, extraction: ReportExtraction) -> None:
        is_radiology = report.report_type is ReportType.RADIOLOGY
        if is_radiology:
            placement = place_radiology(report, self.studies, self.config.report_window_days)
        else:
            placement = place_pathology(report, self.studies, self.config.pathology_window_days)
        if placement.study_uid is None:
            self._drop_report(extraction, placement.problem, placement.reason)
            if placement.problem == "ambiguous_study":
                self._note(Outcome.REVIEW, "report", report.report_id, placement.problem, placement.reason)
            return
        kind = LinkKind.REPORT_STUDY if is_radiology else LinkKind.PATHOLOGY_STUDY
        link = _study_link(kind, report.report_id, placement)
        contents = self.contents[placement.study_uid]
        (contents.radiology if is_radiology else contents.pathology).append((report, extraction, link))

    def _place_points(self) -> None:
        window = self.config.pathology_window_days
        for target in sorted(self.patient.targets, key=lambda each: each.target_id):
            placement = place_pointed(target, self.studies, window)
            if self._accept("target", target.target_id, LinkKind.TARGET_STUDY, placement):
                self.contents[placement.study_uid or ""].targets.append(target)
        for core in sorted(self.patient.cores, key=lambda each: each.core_id):
            placement = place_pointed(core, self.studies, window)
            if self._accept("core", core.core_id, LinkKind.CORE_STUDY, placement):
                self.contents[placement.study_uid or ""].cores.append(core)
        for mask in sorted(self.patient.segmentations, key=lambda each: each.segmentation_id):
            placement = place_segmentation(mask, self.studies)
            if self._accept("segmentation", mask.segmentation_id, LinkKind.SEGMENTATION_STUDY, placement):
                self.contents[placement.study_uid or ""].segmentations.append(mask)

    def _accept(self, kind: str, item_id: str, link_kind: LinkKind, placement: Placement) -> bool:
        if placement.study_uid is None:
            self._drop(kind, item_id, placement.problem, placement.reason)
            return False
        self.contents[placement.study_uid].links.append(_study_link(link_kind, item_id, placement))
        return True

    def _case(self, study: ImagingStudy) -> MatchedCase:
        contents = self.contents[study.study_uid]
        radiology = self._settle_radiology(contents)
        pathology = self._settle_pathology(contents)
        gland, lesion_masks = self._split_masks(contents)
        case = Case(
            case_id=study.study_uid,
            patient_id=self.patient.patient_id,
            study=study,
            radiology=tuple(extraction for _, extraction, _ in radiology),
            pathology=tuple(extraction for _, extraction, _ in pathology),
            targets=tuple(contents.targets),
            cores=tuple(contents.cores),
            segmentations=tuple(lesion_masks),
            gland=gland,
            links=(*(link for _, _, link in (*radiology, *pathology)), *contents.links),
            days_to_pathology=_days_to_pathology(study, pathology, contents),
            days_followed=self._days_followed(study),
            cancer_days=self._cancer_days(study),
            diagnostic_study_count=len(self.studies.diagnostic),
        )
        return link_lesions(case, self.config)

    def _settle_radiology(self, contents: _Contents) -> list[tuple[Report, ReportExtraction, Link]]:
        """The report that counts, first; its lesions are the study's. An addendum without lesions of its own does not count first."""
        ordered = sorted(contents.radiology, key=_report_rank)
        for report, extraction, _ in ordered[1:]:
            self._drop_report(extraction, "superseded_report", f"by report {ordered[0][0].report_id}", keep_report=True)
            if report.status in (ReportStatus.ADDENDUM, ReportStatus.CORRECTED) and not extraction.findings:
                self._note(Outcome.REVIEW, "report", report.report_id, "addendum_without_lesions")
        return ordered

    def _settle_pathology(self, contents: _Contents) -> list[tuple[Report, ReportExtraction, Link]]:
        """One report for each accession number, of the procedures that count, by date."""
        chosen = _chosen_days(contents, self.config)
        kept: dict[str, tuple[Report, ReportExtraction, Link]] = {}
        for each in sorted(contents.pathology, key=_report_rank):
            report, extraction, _ = each
            key = normal_accession(report.accession) or report.report_id
            if chosen is not None and report.date is not None and report.date not in chosen:
                self._drop_report(extraction, "other_procedure", f"repeat biopsy rule: {self.config.repeat_biopsy}")
            elif key in kept:
                self._drop_report(extraction, "superseded_report", f"by report {kept[key][0].report_id}")
            else:
                kept[key] = each
        for core in [core for core in contents.cores if chosen is not None and core.procedure_date and core.procedure_date not in chosen]:
            contents.cores.remove(core)
            self._drop("core", core.core_id, "other_procedure", f"repeat biopsy rule: {self.config.repeat_biopsy}")
        return sorted(kept.values(), key=lambda each: (each[0].date or date.max, each[0].report_id))

    def _split_masks(self, contents: _Contents) -> tuple[Segmentation | None, list[Segmentation]]:
        lesions = [mask for mask in contents.segmentations if mask.kind is SegmentationKind.LESION]
        glands = [mask for mask in contents.segmentations if mask.kind is SegmentationKind.GLAND]
        gland = max(glands, key=lambda mask: (mask.is_expert, mask.volume_ml, mask.segmentation_id), default=None)
        for mask in contents.segmentations:
            if mask.kind is not SegmentationKind.LESION and mask is not gland:
                self._drop("segmentation", mask.segmentation_id, "unused_mask", mask.kind)
        return gland, lesions

    def _days_followed(self, study: ImagingStudy) -> int | None:
        if study.study_date is None:
            return None
        days = [report.date for report in self.patient.reports] + [other.study_date for other in self.patient.studies]
        days += [target.procedure_date for target in self.patient.targets] + [core.procedure_date for core in self.patient.cores]
        return max(0, *((day - study.study_date).days for day in days if day is not None))

    def _cancer_days(self, study: ImagingStudy) -> tuple[int, ...]:
        """Days from a study to every tissue of the patient with cancer; tissue or study without a day counts as day 0."""
        reports = {report.report_id: report.date for report in self.patient.reports}
        read = [each for each in self.extractions.values() if isinstance(each, ReportExtraction)]
        days = [reports.get(each.report_id) for each in read if states_cancer(each)]
        days += [core.procedure_date for core in self.patient.cores if core_grade(core) > 0]
        days += [target.procedure_date for target in self.patient.targets if target.isup_grade]
        return tuple(sorted({(day - study.study_date).days if day and study.study_date else 0 for day in days}))

    def _drop_report(self, extraction: ReportExtraction, reason: str, detail: str = "", *, keep_report: bool = False) -> None:
        """Drop a report with everything that it states; ``keep_report`` where the report stays with the case for its other values."""
        if not keep_report:
            self._drop("report", extraction.report_id, reason, detail)
        for finding in extraction.findings:
            self._drop("finding", finding.item_id, reason, detail)
        for specimen in extraction.specimens:
            self._drop("specimen", specimen.item_id, reason, detail)

    def _drop(self, kind: str, item_id: str, reason: str, detail: str = "") -> None:
        self._note(Outcome.DROPPED, kind, item_id, reason, detail)

    def _note(self, outcome: Outcome, kind: str, item_id: str, reason: str, detail: str = "") -> None:
        self.ledger.append(
            LedgerEntry(
                stage=STAGE, kind=kind, item_id=item_id, outcome=outcome, reason=reason, detail=detail, patient_id=self.patient.patient_id
            )
        )


_STATUS_ORDER = (
    ReportStatus.CORRECTED,
    ReportStatus.ADDENDUM,
    ReportStatus.FINAL,
    ReportStatus.UNKNOWN,
    ReportStatus.PRELIMINARY,
    ReportStatus.CANCELLED,
)


def _report_rank(placed: tuple[Report, ReportExtraction, Link]) -> tuple[Any, ...]:
    """Sorts the report that counts first: with content, by status, by how it was joined, the latest."""
    report, extraction, link = placed
    day = report.report_date or report.exam_date
    is_empty = not extraction.items and not extraction.exam
    is_remark = report.status is ReportStatus.ADDENDUM and not extraction.items
    latest = -day.toordinal() if day else 0
    return is_empty or is_remark, _STATUS_ORDER.index(report.status), -link.score, latest, report.report_id


def _study_link(kind: LinkKind, item_id: str, placement: Placement) -> Link:
    return Link(
        kind=kind,
        left_id=item_id,
        right_id=placement.study_uid or "",
        score=placement.score,
        reason=placement.reason,
        needs_review=placement.needs_review,
    )


def _chosen_days(contents: _Contents, config: Config) -> set[date] | None:
    """Days of the procedure that counts by the repeat biopsy rule; None where all count."""
    days = sorted(
        {report.date for report, _, _ in contents.pathology if report.date} | {c.procedure_date for c in contents.cores if c.procedure_date}
    )
    if config.repeat_biopsy == "worst" or not days:
        return None
    procedures: list[list[date]] = []
    for day in days:
        if procedures and (day - procedures[-1][-1]).days <= config.same_procedure_days:
            procedures[-1].append(day)
        else:
            procedures.append([day])
    return set(procedures[0] if config.repeat_biopsy == "first" else procedures[-1])


def _days_to_pathology(study: ImagingStudy, pathology: Iterable[tuple[Report, ReportExtraction, Link]], contents: _Contents) -> int | None:
    days = [report.date for report, _, _ in pathology] + [core.procedure_date for core in contents.cores]
    known = [day for day in days if day is not None]
    return (min(known) - study.study_date).days if known and study.study_date else None


def _entered(patient: PatientRecord, extractions: Mapping[str, ReportExtraction | ExtractionFailure]) -> dict[str, int]:
    read = [each for each in extractions.values() if isinstance(each, ReportExtraction)]
    return {
        "report": len(extractions),
        "finding": sum(len(each.findings) for each in read),
        "specimen": sum(len(each.specimens) for each in read),
        "study": len(patient.studies),
        "target": len(patient.targets),
        "core": len(patient.cores),
        "segmentation": len(patient.segmentations),
    }


def _left(cases: Sequence[MatchedCase]) -> dict[str, int]:
    return {
        "report": sum(len(each.case.radiology) + len(each.case.pathology) for each in cases),
        "finding": sum(len(each.case.radiology[0].findings) for each in cases if each.case.radiology),
        "specimen": sum(len(report.specimens) for each in cases for report in each.case.pathology),
        "study": len(cases),
        "target": sum(len(each.case.targets) for each in cases),
        "core": sum(len(each.case.cores) for each in cases),
        "segmentation": sum(len(each.case.segmentations) + (each.case.gland is not None) for each in cases),
    }


# The lesion level.

_PAIRS: tuple[tuple[NodeKind, NodeKind, LinkKind], ...] = (
    (NodeKind.TARGET, NodeKind.SEGMENTATION, LinkKind.TARGET_SEGMENTATION),
    (NodeKind.TARGET, NodeKind.TISSUE, LinkKind.TARGET_SPECIMEN),
    (NodeKind.FINDING, NodeKind.TARGET, LinkKind.FINDING_TARGET),
    (NodeKind.TISSUE, NodeKind.SEGMENTATION, LinkKind.SPECIMEN_SEGMENTATION),
    (NodeKind.FINDING, NodeKind.SEGMENTATION, LinkKind.FINDING_SEGMENTATION),
    (NodeKind.FINDING, NodeKind.TISSUE, LinkKind.FINDING_SPECIMEN),
)
"""In the order in which accepted pairs are joined: what was pointed at, what was taken from it, what was described."""


def link_lesions(case: Case, config: Config) -> MatchedCase:
    """The lesions of one case: findings, targets, masks, tissue and cores joined, with remarks on what stayed alone."""
    return _Lesions(case, config).match()


def lesion_id_of(case_id: str, kind: str, record_id: str) -> str:
    """The id of the lesion that a record names: the same whatever else is known of it."""
    return "L" + hashlib.sha256("\x1f".join((case_id, kind, record_id)).encode()).hexdigest()[:16]


def _would_matter(core: BiopsyCore, group: Group) -> bool:
    """Whether a core would change a lesion's label if it were given to it: a worse grade, or a place where it has none."""
    worst = max((core_grade(each) for each in group.cores), default=-1)
    has_place = any(feature.point is not None for node in group.nodes.values() for feature in node.features)
    return core_grade(core) > worst or (not has_place and core_grade(core) > 0)


class _Lesions:
    """The lesion-level half for one case."""

    def __init__(self, case: Case, config: Config) -> None:
        self.case = case
        self.config = config
        self.frame = gland_frame(case)
        self.findings = {each.item_id: each for each in (case.radiology[0].findings if case.radiology else ())}
        self.targets = {each.target_id: each for each in case.targets}
        self.masks = {each.segmentation_id: each for each in case.segmentations}
        self.tissue = targeted_tissue(case)
        self.notes: list[LedgerEntry] = []

    def match(self) -> MatchedCase:
        """Join pairs into groups, then hand them their cores, then systematic tissue; say what stayed alone."""
        groups = self._join()
        self._give_cores(groups)
        if self.config.systematic_support:
            self._give_systematic_tissue(groups)
        lesions = sorted((self._lesion(group) for group in groups), key=lambda lesion: lesion.lesion_id)
        for group in sorted(groups, key=lambda group: (group.anchor.kind, group.anchor.node_id)):
            self._note_alone(group)
        return MatchedCase(case=self.case, lesions=tuple(lesions), unlinked=tuple(self.notes))

    def _nodes(self) -> dict[NodeKind, list[Node]]:
        frame = self.frame
        return {
            NodeKind.FINDING: [finding_node(each, frame) for each in self.findings.values()],
            NodeKind.TARGET: [target_node(each, point_of_target(each, self.case), frame) for each in self.targets.values()],
            NodeKind.SEGMENTATION: [segmentation_node(each, centroid_of(each, self.case), frame) for each in self.masks.values()],
            NodeKind.TISSUE: [tissue_node(node_id, specimens, frame) for node_id, specimens in self.tissue.items()],
        }

    def _join(self) -> list[Group]:
        nodes = self._nodes()
        links: list[PairLink] = []
        contested: dict[str, set[str]] = defaultdict(set)
        for left_kind, right_kind, _ in _PAIRS:
            if nodes[left_kind] and nodes[right_kind]:
                links += self._assign(nodes[left_kind], nodes[right_kind], contested)
        groups = group_nodes([node for kind in NodeKind for node in nodes[kind]], links)
        for group in groups:
            for node in group.nodes.values():
                group.conflicts |= contested[node.node_id]
        return groups

    def _assign(self, lefts: Sequence[Node], rights: Sequence[Node], contested: dict[str, set[str]]) -> list[PairLink]:
        """The accepted pairs of two kinds; who is contested, and what the optimum would add, is noted."""
        evidence = {(i, j): self._compare(left, right) for (i, left), (j, right) in product(enumerate(lefts), enumerate(rights))}
        scores = np.array([[evidence[i, j].score for j in range(len(rights))] for i in range(len(lefts))])
        result = assign(scores, self.config.threshold, self.config.minimum_margin)
        for i in result.contested_left:
            contested[lefts[i].node_id].add(CONTESTED + lefts[i].kind)
        for j in result.contested_right:
            contested[rights[j].node_id].add(CONTESTED + rights[j].kind)
        self._note_sides(lefts, rights, evidence, result, contested)
        for i, j in result.proposed:
            detail = f"with {rights[j].kind} {rights[j].node_id}, score {scores[i, j]:.2f}: not the best of both"
            self._note(Outcome.REVIEW, lefts[i].kind, lefts[i].node_id, "tentative_link", detail)
        return [
            PairLink(
                left=lefts[i],
                right=rights[j],
                score=evidence[i, j].score,
                reason=", ".join(evidence[i, j].reasons),
                needs_review=margin < self.config.review_margin or not is_optimal or evidence[i, j].score < self.config.review_below,
            )
            for (i, j), margin, is_optimal in zip(result.accepted, result.margins, result.is_optimal, strict=True)
        ]

    def _note_sides(
        self,
        lefts: Sequence[Node],
        rights: Sequence[Node],
        evidence: Mapping[tuple[int, int], Evidence],
        result: Assignment,
        contested: dict[str, set[str]],
    ) -> None:
        """Who may have been given the wrong side. Whether the other has a partner does not count: its partner may be missing."""
        joined_left, joined_right = {i for i, _ in result.accepted}, {j for _, j in result.accepted}
        for (i, j), found in evidence.items():
            if found.is_side_contradicted:
                contested[lefts[i].node_id].add(LABEL_SIDE)
                contested[rights[j].node_id].add(LABEL_SIDE)
            if found.is_mirrored and i not in joined_left:
                contested[lefts[i].node_id].add(CONTESTED_SIDE)
            if found.is_mirrored and j not in joined_right:
                contested[rights[j].node_id].add(CONTESTED_SIDE)

    def _compare(self, left: Node, right: Node) -> Evidence:
        """A pair of nodes is as good as its best features: taking a specimen away never makes it better."""
        found = [compare(first, second, self.config, self.frame) for first in left.features for second in right.features]
        best = max(found, key=lambda evidence: evidence.score)
        is_contradicted = best.score == 0 and all(evidence.is_side_contradicted for evidence in found)
        return replace(best, is_side_contradicted=is_contradicted, is_mirrored=any(evidence.is_mirrored for evidence in found))

    def _give_cores(self, groups: Sequence[Group]) -> None:
        """Cores to the lesion that their label names, or whose target their needle meets best."""
        sites = [group for group in groups if group.anchor.kind is not NodeKind.TISSUE]
        cores = [core for core in self.case.cores if core.is_targeted is not False or core.target_label]
        for core in cores if sites else ():
            self._give_core(core, sites)
        for group in sites:
            if any(_would_matter(core, group) for core in group.rival_cores):
                group.conflicts.add(CONTESTED + "core")

    def _give_core(self, core: BiopsyCore, sites: Sequence[Group]) -> None:
        track = self._track(core)
        fits = [core_fit(core, track, group, self.config, use_only_target=self.config.use_only_target) for group in sites]
        best = assign(np.array([[evidence.score for evidence in fits]]), ADMISSIBLE, self.config.minimum_margin)
        for (_, j), margin in zip(best.accepted, best.margins, strict=True):
            needs_review = margin < self.config.review_margin or fits[j].score < self.config.review_below
            sites[j].cores.append(core)
            sites[j].record_links.append(core_link(core, sites[j], fits[j], needs_review=needs_review))
        for j, evidence in enumerate(fits):
            if evidence.score >= ADMISSIBLE and (0, j) not in best.accepted:
                sites[j].rival_cores.append(core)

    def _track(self, core: BiopsyCore) -> tuple[Point, ...]:
        return points_of(core, [core.tip, core.base], self.case).points if core.tip and core.base else ()

    def _give_systematic_tissue(self, groups: Sequence[Group]) -> None:
        """Systematic cancer at exactly the side and level of one lesion; lesions with tissue of their own compete, and need none."""
        tissue = systematic_cancer(self.case)
        described = [group for group in groups if group.anchor.kind is not NodeKind.TISSUE]
        if not tissue or not described:
            return
        places = sorted(tissue)
        scores = np.array([[max(tissue_fit(group, each, *place) for each in tissue[place]) for place in places] for group in described])
        result = assign(scores, ADMISSIBLE, self.config.minimum_margin)
        for i in result.contested_left:
            if not self._has_tissue(described[i]):
                described[i].conflicts.add(AMBIGUOUS_SYSTEMATIC)
        for i, j in result.accepted:
            group = described[i]
            if self._has_tissue(group):
                continue
            for each in tissue[places[j]]:
                score = tissue_fit(group, each, *places[j])
                if score < ADMISSIBLE:
                    continue
                group.record_links.append(support_link(group, each, score))
                if isinstance(each, BiopsyCore):
                    group.cores.append(each)
                else:
                    group.support.append(each)

    def _has_tissue(self, group: Group) -> bool:
        target = self.targets.get(group.id_of(NodeKind.TARGET))
        mask = self.masks.get(group.id_of(NodeKind.SEGMENTATION))
        stated = (target.isup_grade, target.gleason_primary, target.is_clinically_significant) if target else ()
        is_stated = any(value is not None for value in stated) or (mask is not None and mask.isup_grade is not None)
        return bool(group.node(NodeKind.TISSUE)) or any(core_grade(core) >= 0 for core in group.cores) or is_stated

    def _lesion(self, group: Group) -> Lesion:
        return Lesion(
            lesion_id=lesion_id_of(self.case.case_id, group.anchor.kind, group.anchor.node_id),
            case_id=self.case.case_id,
            finding=self.findings.get(group.id_of(NodeKind.FINDING)),
            target=self.targets.get(group.id_of(NodeKind.TARGET)),
            segmentation=self.masks.get(group.id_of(NodeKind.SEGMENTATION)),
            specimens=(*self.tissue.get(group.id_of(NodeKind.TISSUE), ()), *group.support),
            cores=tuple(sorted(group.cores, key=lambda core: core.core_id)),
            links=(*(link for pair in group.links for link in self._links(pair)), *group.record_links),
            conflicts=tuple(sorted(group.conflicts)),
        )

    def _links(self, pair: PairLink) -> list[Link]:
        kind = next(kind for left, right, kind in _PAIRS if (left, right) == (pair.left.kind, pair.right.kind))
        return [
            Link(kind=kind, left_id=left, right_id=right, score=pair.score, reason=pair.reason, needs_review=pair.needs_review)
            for left in self._record_ids(pair.left)
            for right in self._record_ids(pair.right)
        ]

    def _record_ids(self, node: Node) -> list[str]:
        return [each.item_id for each in self.tissue[node.node_id]] if node.kind is NodeKind.TISSUE else [node.node_id]

    def _note_alone(self, group: Group) -> None:
        if len(group.nodes) == 1 and not group.cores and not group.support:
            for item_id in self._record_ids(group.anchor):
                self._note(Outcome.FLAGGED, group.anchor.kind, item_id, f"unlinked_{group.anchor.kind}", "no other record of this lesion")
        for conflict in sorted(group.conflicts):
            self._note(Outcome.REVIEW, group.anchor.kind, group.anchor.node_id, conflict)

    def _note(self, outcome: Outcome, kind: str, item_id: str, reason: str, detail: str = "") -> None:
        self.notes.append(
            LedgerEntry(
                stage=STAGE, kind=kind, item_id=item_id, outcome=outcome, reason=reason, detail=detail, patient_id=self.case.patient_id
            )
        )
