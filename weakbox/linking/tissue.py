"""Tissue of one case: what was taken from a named target, and systematic cancer by place."""

from __future__ import annotations

from collections import defaultdict

from weakbox.linking.features import NodeKind, is_unnumbered_target, specimen_label, word_of, words_of
from weakbox.linking.lesion_groups import Group
from weakbox.records.biopsy import BiopsyCore
from weakbox.records.case import Case, Link, LinkKind
from weakbox.records.extraction import ReportExtraction, Specimen
from weakbox.records.report import ReportType
from weakbox.terminology.gleason import isup_grade
from weakbox.text.locations import read_location


def targeted_tissue(case: Case) -> dict[str, tuple[Specimen, ...]]:
    """Specimens by the target that they name; several of one target are one target's tissue.

    Those of a target without number are one target's tissue where they name the same place: the key says nothing of how many they are.
    """
    found: dict[str, list[Specimen]] = defaultdict(list)
    for report in case.pathology:
        for specimen in report.specimens:
            target = specimen.value("target")
            if target is not None:
                label = specimen_label(specimen)
                name = "/".join(label) if label else " ".join(str(target).casefold().split())
                found[f"{case.case_id}/{name}"].append(specimen)
            elif is_unnumbered_target(specimen):
                found[f"{case.case_id}/target {_place_name(specimen)}"].append(specimen)
    return {node_id: tuple(sorted(found[node_id], key=lambda each: each.item_id)) for node_id in sorted(found)}


def _place_name(specimen: Specimen) -> str:
    words = [word_of(specimen, "side"), *words_of(specimen, "levels"), *words_of(specimen, "positions"), word_of(specimen, "zone")]
    return " ".join(word for word in words if word) or "without place"


def systematic_cancer(case: Case) -> dict[tuple[str, str], list[Specimen | BiopsyCore]]:
    """Systematic specimens and cores with cancer, by side and level, where each is exactly one."""
    found: dict[tuple[str, str], list[Specimen | BiopsyCore]] = defaultdict(list)
    specimens = [each for report in case.pathology if report.value("procedure") in (None, "biopsy") for each in report.specimens]
    for specimen in specimens:
        side, levels = word_of(specimen, "side"), words_of(specimen, "levels")
        is_cancer = specimen.value("diagnosis") == "adenocarcinoma" or specimen.value("isup_grade") is not None
        if is_cancer and not is_targeted(specimen) and side in ("left", "right") and len(levels) == 1:
            found[side, levels[0]].append(specimen)
    for core in case.cores:
        words = read_location(core.label)
        is_systematic = core.is_targeted is False and core.target_label is None
        if is_systematic and core_grade(core) > 0 and words.side in ("left", "right") and len(words.levels) == 1:
            found[words.side, words.levels[0]].append(core)
    return found


def tissue_fit(group: Group, tissue: Specimen | BiopsyCore, side: str, level: str) -> float:
    """How well systematic tissue of a side and level fits a lesion, 0..1, by the lesion's words; another zone does not fit."""
    zone = word_of(tissue, "zone") if isinstance(tissue, Specimen) else read_location(tissue.label).zone
    words = [feature for node in group.nodes.values() if node.kind is not NodeKind.TISSUE for feature in node.features]
    zones = {feature.zone for feature in words if feature.side == side and feature.levels == (level,)}
    if zone is not None and zone in zones:
        return 0.6
    return 0.55 if None in zones or (zone is None and zones) else 0.0


def support_link(group: Group, tissue: Specimen | BiopsyCore, score: float) -> Link:
    """Systematic tissue is never as sure as targeted tissue: it always goes to review."""
    is_core = isinstance(tissue, BiopsyCore)
    is_finding = group.node(NodeKind.FINDING) is not None
    kinds = (LinkKind.FINDING_CORE, LinkKind.TARGET_CORE) if is_core else (LinkKind.FINDING_SPECIMEN, LinkKind.TARGET_SPECIMEN)
    return Link(
        kind=kinds[0] if is_finding else kinds[1],
        left_id=(group.node(NodeKind.FINDING) or group.anchor).node_id,
        right_id=tissue.core_id if isinstance(tissue, BiopsyCore) else tissue.item_id,
        score=score,
        reason="systematic cancer at the same side and level",
        needs_review=True,
    )


def core_grade(core: BiopsyCore) -> int:
    """ISUP grade of a core: 0 benign, -1 not stated."""
    if core.isup_grade is not None:
        return core.isup_grade
    if core.gleason_primary and core.gleason_secondary:
        return isup_grade(core.gleason_primary, core.gleason_secondary)
    return -1


def is_cancer(specimen: Specimen) -> bool:
    """Whether a specimen holds cancer, prostatic or other."""
    return specimen.value("diagnosis") in ("adenocarcinoma", "other_malignancy", "malignant") or specimen.value("isup_grade") is not None


def is_targeted(specimen: Specimen) -> bool:
    """Whether a specimen is of a target, named or not."""
    return specimen.value("target") is not None or specimen.value("is_targeted") is True


def states_cancer(report: ReportExtraction) -> bool:
    """Whether a pathology report states cancer, for the case or in a specimen."""
    if report.report_type is not ReportType.PATHOLOGY:
        return False
    stated = report.value("cancer_present") is True or report.value("malignant") is True or report.value("overall.isup_grade") is not None
    return stated or any(is_cancer(specimen) for specimen in report.specimens)
