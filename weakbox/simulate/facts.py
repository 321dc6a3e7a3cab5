"""What the authors of a study's reports know: lesions as read on MRI, specimens as received, labels as used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from weakbox.records.record import record
from weakbox.simulate import words
from weakbox.simulate.course import Region, Study
from weakbox.simulate.draws import Draws
from weakbox.simulate.imaging_plan import ImagingPlan, nearest_image

LEVEL_MISREAD_SHARE = 0.06
"""Lesions whose level the reader puts one third too high or too low."""
LABEL_MODES = {"same": 0.80, "renumbered": 0.11, "none": 0.09}
"""How the biopsy sheet's target labels follow the report's."""
_LEVELS = ("base", "mid", "apex")
_GLEASON = {
    1: {(3, 3): 1.0},
    2: {(3, 4): 1.0},
    3: {(4, 3): 1.0},
    4: {(4, 4): 0.8, (3, 5): 0.2},
    5: {(4, 5): 0.7, (5, 4): 0.2, (5, 5): 0.1},
}
_NOT_CANCER = {"benign": 0.86, "inflammation": 0.07, "hgpin": 0.05, "asap": 0.02}


@record
class LesionFacts:
    """A lesion as the radiologist reads it; sizes in whole mm, greatest first."""

    key: str
    label: str | None
    score: int
    side: str
    zone: str
    levels: tuple[str, ...]
    positions: tuple[str, ...]
    sizes_mm: tuple[int, ...]
    axes_mm: tuple[int, int, int]
    """Left-right, antero-posterior, cranio-caudal."""
    t2: int
    dwi: int
    is_enhancing: bool
    series_number: int | None
    image_number: int | None
    adc: int
    prior_score: int | None = None
    prior_size_mm: int | None = None


@record
class RadiologyFacts:
    """One MRI report's content."""

    style: Mapping[str, Any]
    day: date
    age_years: int
    psa_ng_ml: float
    psa_density: float
    volume_ml: int
    dimensions_cm: tuple[float, float, float]
    overall: int
    has_contrast: bool
    lesions: tuple[LesionFacts, ...]
    staging: Mapping[str, str]
    """``epe``, ``svi``, ``lymph_nodes``, ``bone_metastases`` -> ``absent``, ``suspected``, ``present``; a missing key is not mentioned."""
    prior_day: date | None
    prior_overall: int | None
    addendum: str | None
    """What an addendum corrects: ``side`` or ``size`` of the first lesion."""


@record
class SpecimenFacts:
    """A container of tissue, or several reported together."""

    lesion_key: str | None
    """The lesion that it was aimed at; None for systematic cores."""
    label: str | None
    """The sheet's label of the target; None for systematic cores and for unnumbered targets."""
    side: str | None
    levels: tuple[str, ...]
    zone: str | None
    positions: tuple[str, ...]
    diagnosis: str
    gleason: tuple[int, int] | None
    isup_grade: int
    cores_total: int
    cores_positive: int
    percent: int
    length_mm: int
    count: int = 1
    """Containers that were joined into this one."""
    hit_keys: tuple[str, ...] = ()
    """Lesions whose cancer it holds."""

    @property
    def is_targeted(self) -> bool:
        """Whether it was aimed at a lesion."""
        return self.lesion_key is not None


def radiology_facts(draws: Draws, study: Study, plan: ImagingPlan, style_name: str, prior: Study | None, age_years: int) -> RadiologyFacts:
    """What the radiologist writes of a study."""
    style: dict[str, Any] = words.load("styles")["radiology"][style_name]
    lesions = _lesions(draws, study, plan, style, prior)
    volume = round(study.gland.volume_ml)
    across, deep, high = (round(2 * axis / 10.0, 1) for axis in study.gland.semi_axes)
    return RadiologyFacts(
        style=style,
        day=study.day,
        age_years=age_years,
        psa_ng_ml=study.psa_ng_ml,
        psa_density=round(study.psa_ng_ml / volume, 2),
        volume_ml=volume,
        dimensions_cm=(across, deep, high),
        overall=max((lesion.score for lesion in lesions), default=study.negative_category),
        has_contrast=study.has_contrast,
        lesions=lesions,
        staging=_staging(draws, study),
        prior_day=prior.day if prior else None,
        prior_overall=max((region.pirads or 0 for region in prior.visible), default=prior.negative_category) if prior else None,
        addendum=_addendum(draws, study, lesions),
    )


def _addendum(draws: Draws, study: Study, lesions: Sequence[LesionFacts]) -> str | None:
    if len(lesions) != 1 or study.defect in ("side_conflict", "preliminary") or not draws.chance(0.09):
        return None
    return "size" if lesions[0].side == "midline" or draws.chance(0.4) else "side"


def _lesions(draws: Draws, study: Study, plan: ImagingPlan, style: Mapping[str, Any], prior: Study | None) -> tuple[LesionFacts, ...]:
    ordered = sorted(study.visible, key=lambda region: (-(region.pirads or 0), -region.diameter_mm))
    if draws.chance(0.2):
        ordered.reverse()
    sizes = draws.pick(style["sizes"])
    earlier = {region.key: region for region in prior.visible} if prior else {}
    sided = (region.key for region in study.targeted if region.place.side != "midline")
    conflict = next(sided, None) if study.defect == "side_conflict" else None
    lesions = []
    for index, region in enumerate(ordered):
        label, before = _label(style["labels"], index), earlier.get(region.key)
        lesions.append(_lesion(draws.stream("lesion", region.key), study, plan, region, label, sizes, before, region.key == conflict))
    return tuple(lesions)


def _label(kind: str, index: int) -> str | None:
    return {"numbers": str(index + 1), "letters": "ABCDEFGH"[index], "none": None}[kind]


def _lesion(
    draws: Draws, study: Study, plan: ImagingPlan, region: Region, label: str | None, sizes: int, earlier: Region | None, is_flipped: bool
) -> LesionFacts:
    axes = _measured(draws, region)
    shown = plan.first("t2_axial")
    score = region.pirads or 1
    is_enhancing = score >= 4 or draws.chance(0.3)
    is_peripheral = region.place.zone == "PZ"
    is_upgraded = is_peripheral and score == 4 and study.has_contrast and draws.chance(0.12)
    main, other = (3 if is_upgraded else score), max(1, score - draws.pick((0, 0, 1)))
    side = _opposite(region.place.side) if is_flipped else region.place.side
    return LesionFacts(
        key=region.key,
        label=label,
        score=score,
        side=side,
        zone=region.place.zone,
        levels=_read_levels(draws, region.levels),
        positions=region.place.positions,
        sizes_mm=tuple(sorted(axes, reverse=True))[:1] if sizes == 1 else _several(axes, sizes),
        axes_mm=axes,
        t2=other if is_peripheral else score,
        dwi=main if is_peripheral else other,
        is_enhancing=is_enhancing,
        series_number=shown.number if shown else None,
        image_number=nearest_image(shown, region.centre) if shown else None,
        adc=round(draws.normal(980 - 110 * (score - 3), 60)),
        prior_score=earlier.pirads if earlier else None,
        prior_size_mm=round(earlier.diameter_mm) if earlier else None,
    )


def _measured(draws: Draws, region: Region) -> tuple[int, int, int]:
    """Left-right, antero-posterior and cranio-caudal as measured: the greatest axial one is the reported diameter."""
    across, deep, high = (max(3, round(extent + draws.normal(0, 0.5))) for extent in region.extents)
    greatest = max(4, round(region.diameter_mm))
    if region.extents[0] >= region.extents[1]:
        return greatest, min(deep, greatest), high
    return min(across, greatest), greatest, high


def _several(axes: tuple[int, int, int], count: int) -> tuple[int, ...]:
    in_plane = sorted(axes[:2], reverse=True)
    return tuple(in_plane) if count == 2 else (*in_plane, axes[2])


def _read_levels(draws: Draws, levels: tuple[str, ...]) -> tuple[str, ...]:
    if len(levels) > 1 or not draws.chance(LEVEL_MISREAD_SHARE):
        return levels
    return (draws.pick([level for level in _LEVELS if abs(_LEVELS.index(level) - _LEVELS.index(levels[0])) == 1]),)


def _opposite(side: str) -> str:
    return {"left": "right", "right": "left"}.get(side, side)


def _staging(draws: Draws, study: Study) -> dict[str, str]:
    worst = max((region.pirads or 0) + (region.isup_grade >= 3) for region in study.visible) if study.visible else 0
    staging = {"epe": draws.pick(("absent", "suspected", "present")) if worst >= 6 else "absent"}
    staging["svi"] = "suspected" if worst >= 6 and draws.chance(0.2) else "absent"
    staging["lymph_nodes"] = "suspected" if worst >= 6 and draws.chance(0.12) else "absent"
    staging["bone_metastases"] = "absent"
    return {name: value for name, value in staging.items() if value != "absent" or draws.chance(0.8)}


def sheet_labels(draws: Draws, study: Study, report: RadiologyFacts) -> dict[str, str | None]:
    """Lesion key -> label in the biopsy sheet: the report's, another numbering, or none."""
    mode = draws.weighted(LABEL_MODES)
    own = {lesion.key: lesion.label for lesion in report.lesions}
    keys = [region.key for region in study.targeted]
    if mode == "none":
        return dict.fromkeys(keys)
    if mode == "renumbered" or any(own[key] is None for key in keys):
        letters = draws.chance(0.5)
        return {key: _label("letters" if letters else "numbers", index) for index, key in enumerate(draws.shuffled(keys))}
    return {key: own[key] for key in keys}


def specimens(draws: Draws, study: Study, labels: Mapping[str, str | None], style: Mapping[str, Any]) -> list[SpecimenFacts]:
    """The containers of one biopsy session, in the order of the report."""
    if study.biopsy is None:
        return []
    targeted = [_targeted(draws.stream("target", region.key), region, labels[region.key]) for region in study.targeted]
    targeted.sort(key=lambda specimen: (specimen.label is None, specimen.label or "", specimen.lesion_key or ""))
    cores = _systematic(draws.stream("systematic"), study, grouping=style["grouping"]) if study.biopsy.is_systematic else []
    return [*targeted, *cores] if style["has_targets_first"] else [*cores, *targeted]


def _targeted(draws: Draws, region: Region, label: str | None) -> SpecimenFacts:
    return replace(_tissue(draws, region, region.isup_grade, draws.whole(2, 4)), lesion_key=region.key, label=label)


def _tissue(draws: Draws, region: Region, isup_grade: int, cores: int) -> SpecimenFacts:
    if isup_grade == 0:
        return _benign(draws, region.place.side, region.levels, region.place.zone, region.place.positions, cores)
    percent = 5 * draws.whole(1, 18)
    return SpecimenFacts(
        lesion_key=None,
        label=None,
        side=region.place.side,
        levels=region.levels,
        zone=region.place.zone,
        positions=region.place.positions,
        diagnosis="adenocarcinoma",
        gleason=draws.weighted(_GLEASON[isup_grade]),
        isup_grade=isup_grade,
        cores_total=cores,
        cores_positive=draws.whole(1, cores),
        percent=percent,
        length_mm=max(1, round(percent * 0.14)),
        hit_keys=(region.key,),
    )


def _benign(draws: Draws, side: str, levels: tuple[str, ...], zone: str | None, positions: tuple[str, ...], cores: int) -> SpecimenFacts:
    return SpecimenFacts(
        lesion_key=None,
        label=None,
        side=side,
        levels=levels,
        zone=zone,
        positions=positions,
        diagnosis=draws.weighted(_NOT_CANCER),
        gleason=None,
        isup_grade=0,
        cores_total=cores,
        cores_positive=0,
        percent=0,
        length_mm=0,
    )


def _systematic(draws: Draws, study: Study, *, grouping: str) -> list[SpecimenFacts]:
    """Twelve systematic cores, one a container, or joined as the laboratory receives them."""
    cores = [
        _core(draws.stream(side, level, position), study, side, level, position)
        for side in ("right", "left")
        for level in _LEVELS
        for position in ("lateral", "medial")
    ]
    invisible = [region for region in study.regions if region.pirads is None]
    if invisible and not any(core.isup_grade for core in cores):
        index = next(i for i, core in enumerate(cores) if core.side == invisible[0].place.side or i == len(cores) - 1)
        cores[index] = _positive_core(draws, cores[index], invisible[0], invisible[0].isup_grade)
    if grouping == "single":
        return cores
    if grouping == "sextant":
        return [_joined(cores[index : index + 2]) for index in range(0, 12, 2)]
    if grouping == "side":
        return [_joined(cores[:6]), _joined(cores[6:])]
    return _ranges(cores)


def _core(draws: Draws, study: Study, side: str, level: str, position: str) -> SpecimenFacts:
    core = _benign(draws, side, (level,), None, (position,), 1)
    for region in sorted(study.regions, key=lambda region: -region.isup_grade):
        is_near = region.place.side == side and level in region.levels and region.place.zone in ("PZ", "CZ")
        if region.isup_grade and is_near and draws.chance(0.55 if position in region.place.positions else 0.3):
            grade = region.isup_grade if draws.chance(0.6) else max(1, region.isup_grade - 1)
            return _positive_core(draws, core, region, grade)
    return core


def _positive_core(draws: Draws, core: SpecimenFacts, region: Region, grade: int) -> SpecimenFacts:
    found = _tissue(draws, region, grade, 1)
    return replace(
        found,
        side=core.side,
        levels=core.levels,
        zone=None,
        positions=core.positions,
        percent=min(found.percent, 60),
        length_mm=min(found.length_mm, 8),
    )


def _ranges(cores: Sequence[SpecimenFacts]) -> list[SpecimenFacts]:
    """Positive cores alone; runs of benign ones of one side together."""
    groups: list[list[SpecimenFacts]] = []
    for core in cores:
        joins = groups and not core.isup_grade and not groups[-1][-1].isup_grade and groups[-1][-1].side == core.side
        if joins:
            groups[-1].append(core)
        else:
            groups.append([core])
    return [_joined(group) for group in groups]


def _joined(cores: Sequence[SpecimenFacts]) -> SpecimenFacts:
    """Several containers reported as one: the worst tissue counts."""
    worst = max(cores, key=lambda core: (core.isup_grade, core.percent))
    levels = tuple(level for level in _LEVELS if any(level in core.levels for core in cores))
    shared = tuple(position for position in worst.positions if all(position in core.positions for core in cores))
    diagnosis = worst.diagnosis if worst.isup_grade else ("benign" if len(cores) > 2 else worst.diagnosis)
    return replace(
        worst,
        levels=levels if len(levels) < len(_LEVELS) else (),
        positions=shared,
        diagnosis=diagnosis,
        cores_total=sum(core.cores_total for core in cores),
        cores_positive=sum(core.cores_positive for core in cores),
        percent=max(core.percent for core in cores),
        length_mm=max(core.length_mm for core in cores),
        count=len(cores),
        hit_keys=tuple(sorted({key for core in cores for key in core.hit_keys})),
    )
