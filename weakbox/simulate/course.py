"""One patient's clinical course: glands, lesions, MRI studies, biopsies and what went wrong with the records.

Frequencies: lesion PI-RADS 3/4/5 = 23/40/37 %, csPCa per PI-RADS 10/37/64 %, median gland 57 mL and PSA 8.5 ng/mL, after the
public PI-CAI marksheet; diameters per category after PI-RADS (5 from 15 mm) with PI-CAI's median of 17 mm for cancers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from weakbox.records.grid import Point
from weakbox.records.record import record
from weakbox.simulate.anatomy import Gland, Place, draw_extents, draw_gland, draw_place, levels_of
from weakbox.simulate.draws import Draws, content_number, content_uid

STUDY_COUNTS = {1: 0.72, 2: 0.24, 3: 0.04}
KINDS = {"lesions": 0.68, "negative": 0.28, "invisible_cancer": 0.04}
LESION_COUNTS = {1: 0.74, 2: 0.21, 3: 0.05}
PIRADS = {3: 0.23, 4: 0.40, 5: 0.37}
ISUP_BY_PIRADS = {
    3: {0: 0.68, 1: 0.22, 2: 0.07, 3: 0.02, 4: 0.01},
    4: {0: 0.38, 1: 0.25, 2: 0.22, 3: 0.09, 4: 0.04, 5: 0.02},
    5: {0: 0.20, 1: 0.16, 2: 0.29, 3: 0.16, 4: 0.09, 5: 0.10},
}
INVISIBLE_ISUP = {1: 0.7, 2: 0.25, 3: 0.05}
DIAMETERS = {3: (9.0, 0.28, 5.0, 16.0), 4: (10.5, 0.22, 5.0, 14.4), 5: (20.0, 0.30, 15.0, 42.0)}
"""Median, log spread, smallest, greatest axial diameter, mm."""
DEFECTS = {
    "none": 0.76,
    "no_radiology": 0.03,
    "no_pathology": 0.05,
    "no_sheet": 0.06,
    "missing_t2": 0.02,
    "side_conflict": 0.03,
    "other_frame": 0.03,
    "preliminary": 0.02,
}
"""What is missing or contradictory about a patient's latest study: at most one thing."""
GUIDANCE = {"fusion": 0.75, "in_bore": 0.12, "cognitive": 0.13}


@record
class Region:
    """A lesion as it is at one study. ``isup_grade`` 0 is benign tissue that looks suspicious; ``pirads`` None is not seen on MRI."""

    key: str
    place: Place
    centre: Point
    extents: Point
    levels: tuple[str, ...]
    diameter_mm: float
    isup_grade: int
    pirads: int | None


@record
class Biopsy:
    """One session of tissue sampling after a study."""

    day: date
    guidance: str
    is_targeted: bool
    is_systematic: bool
    accession: str
    untargeted: tuple[str, ...] = ()
    """Keys of lesions that were seen but not targeted."""


@record
class Study:
    """One MRI study and what belongs to it; ``defect`` names what went wrong with its records."""

    study_uid: str
    accession: str
    day: date
    time: str
    gland: Gland
    regions: tuple[Region, ...]
    negative_category: int
    """Overall category where nothing is seen: 1 or 2."""
    psa_ng_ml: float
    has_contrast: bool
    biopsy: Biopsy | None
    defect: str = "none"

    @property
    def visible(self) -> tuple[Region, ...]:
        """Lesions that MRI shows."""
        return tuple(region for region in self.regions if region.pirads is not None)

    @property
    def targeted(self) -> tuple[Region, ...]:
        """Lesions that were sampled as targets."""
        if self.biopsy is None or not self.biopsy.is_targeted:
            return ()
        return tuple(region for region in self.visible if region.key not in self.biopsy.untargeted)


@record
class Course:
    """One patient; studies in the order of their days."""

    patient_id: str
    age_years: int
    site: str
    studies: tuple[Study, ...]


SITES = {"north": 0.4, "harbour": 0.3, "university": 0.3}
"""Sites differ in the frame of their biopsy sheets, the layout of their archive and how their text is escaped."""


def draw_course(seed: int, number: int) -> Course:
    """The course of patient ``number``; the same whatever the size of the cohort."""
    patient_id = f"SIM{number:05d}"
    draws = Draws(seed, patient_id, "course")
    count = draws.weighted(STUDY_COUNTS)
    days = _draw_days(draws, count)
    volume = draws.log_normal(57.0, 0.38, 18.0, 180.0)
    disease = _draw_disease(draws.stream("disease"))
    studies = [
        _draw_study(draws.stream("study", index), seed, patient_id, index, count, day, volume, disease) for index, day in enumerate(days)
    ]
    studies[-1] = replace(studies[-1], defect=_applicable(draws.weighted(DEFECTS), studies[-1]))
    age = draws.whole(48, 79)
    return Course(patient_id=patient_id, age_years=age, site=draws.weighted(SITES), studies=tuple(studies))


def _applicable(defect: str, study: Study) -> str:
    has_side = any(region.place.side != "midline" for region in study.targeted)
    needs = {
        "no_pathology": study.biopsy is not None,
        "no_sheet": bool(study.targeted),
        "side_conflict": has_side,
    }
    return defect if needs.get(defect, True) else "none"


def _draw_days(draws: Draws, count: int) -> list[date]:
    day = date(2016, 1, 4) + timedelta(days=draws.whole(0, 2500))
    days = [day]
    for _ in range(count - 1):
        day += timedelta(days=draws.whole(200, 760))
        days.append(day)
    return days


def _draw_disease(draws: Draws) -> list[Region]:
    """What the patient has at the latest study; centres are placed study by study."""
    kind = draws.weighted(KINDS)
    if kind == "negative":
        return []
    if kind == "invisible_cancer":
        return [_draw_region(draws, "L1", None, draws.weighted(INVISIBLE_ISUP), 8.0)]
    regions: list[Region] = []
    for number in range(1, draws.weighted(LESION_COUNTS) + 1):
        pirads = draws.weighted(PIRADS)
        for _ in range(40):
            region = _draw_region(draws, f"L{number}", pirads, draws.weighted(ISUP_BY_PIRADS[pirads]), draws.log_normal(*DIAMETERS[pirads]))
            if all(_are_apart(region, other) for other in regions):
                regions.append(region)
                break
    return regions


def _are_apart(one: Region, other: Region) -> bool:
    """Apart on a median gland, and not in one and the same sector, where no reader could tell them apart by words."""
    distance = float(np.linalg.norm((np.array(one.place.unit) - np.array(other.place.unit)) * 24.0))
    places = [(region.place.side, region.place.area, region.place.level) for region in (one, other)]
    return distance > 0.55 * (one.diameter_mm + other.diameter_mm) and places[0] != places[1]


def _draw_region(draws: Draws, key: str, pirads: int | None, isup_grade: int, diameter_mm: float) -> Region:
    extents = draw_extents(draws, diameter_mm)
    return Region(
        key=key,
        place=draw_place(draws),
        centre=(0.0, 0.0, 0.0),
        extents=extents,
        levels=(),
        diameter_mm=diameter_mm,
        isup_grade=isup_grade,
        pirads=pirads,
    )


def _draw_study(
    draws: Draws, seed: int, patient_id: str, index: int, count: int, day: date, volume_ml: float, disease: Sequence[Region]
) -> Study:
    is_latest = index == count - 1
    gland = draw_gland(draws.stream("gland"), volume_ml * (1.0 - 0.06 * (count - 1 - index)))
    regions = tuple(disease) if is_latest else tuple(_earlier(draws.stream("earlier"), disease))
    biopsy = _draw_biopsy(draws.stream("biopsy"), seed, patient_id, index, day, regions, is_latest=is_latest)
    if not is_latest and biopsy is not None:
        regions = tuple(replace(region, isup_grade=min(region.isup_grade, draws.pick((0, 0, 1)))) for region in regions)
    worst = max((region.isup_grade for region in regions), default=0)
    return Study(
        study_uid=content_uid(seed, patient_id, "study", index),
        accession=f"R{content_number(8, seed, patient_id, 'accession', index)}",
        day=day,
        time=f"{draws.whole(7, 18):02d}{draws.whole(0, 59):02d}{draws.whole(0, 59):02d}",
        gland=gland,
        regions=tuple(_placed(region, gland) for region in regions),
        negative_category=draws.weighted({1: 0.4, 2: 0.6}),
        psa_ng_ml=round(draws.log_normal(6.6 + 1.6 * worst, 0.5, 0.8, 90.0), 1),
        has_contrast=draws.chance(0.7),
        biopsy=biopsy,
    )


def _earlier(draws: Draws, disease: Sequence[Region]) -> Iterator[Region]:
    """What of the disease was there before: smaller, and of a lower category."""
    for region in disease:
        if region.pirads is None or not draws.chance(0.6):
            continue
        pirads = max(3, region.pirads - draws.pick((0, 1, 1)))
        smallest, greatest = DIAMETERS[pirads][2:]
        shrink = min(draws.uniform(0.65, 0.95), greatest / region.diameter_mm)
        shrink = max(shrink, smallest / region.diameter_mm)
        extents = (region.extents[0] * shrink, region.extents[1] * shrink, region.extents[2] * shrink)
        yield replace(region, extents=extents, diameter_mm=region.diameter_mm * shrink, pirads=pirads)


def _placed(region: Region, gland: Gland) -> Region:
    x, y, z = (round(float(value), 3) for value in gland.to_lps(region.place.unit))
    return replace(region, centre=(x, y, z), levels=levels_of(gland, region.place, region.extents[2]))


def _draw_biopsy(
    draws: Draws, seed: int, patient_id: str, index: int, day: date, regions: Sequence[Region], *, is_latest: bool
) -> Biopsy | None:
    visible = [region for region in regions if region.pirads is not None]
    is_invisible = bool(regions) and not visible
    if not is_latest and draws.chance(0.55):
        return None
    if not visible and not is_invisible and not draws.chance(0.45):
        return None
    skipped = tuple(region.key for region in visible if region.pirads == 3 and draws.chance(0.06))
    is_targeted = len(visible) > len(skipped) and draws.chance(0.95)
    guidance = draws.weighted(GUIDANCE)
    is_systematic = not is_targeted or (guidance != "in_bore" and draws.chance(0.65))
    return Biopsy(
        day=day + timedelta(days=draws.whole(9, 75)),
        guidance=guidance if is_targeted else "systematic",
        is_targeted=is_targeted,
        is_systematic=is_systematic,
        accession=f"S{content_number(7, seed, patient_id, 'pathology', index)}",
        untargeted=skipped,
    )
