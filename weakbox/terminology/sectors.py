"""The 41 sectors of the PI-RADS v2.1 map, and which of them a description pins down.

Source: PI-RADS v2.1 sector map (ACR / ESUR / AdMeTech 2019): 38 prostate sectors, two seminal vesicles and the
external urethral sphincter. SNOMED CT codes: DICOM CID 6304 "Prostate Sector Location for PI-RADS v2.1".
"""

from __future__ import annotations

from collections.abc import Collection

from weakbox.records.record import record


@record
class Sector:
    """One sector of the map; ``side`` and ``level`` are None where the sector has none."""

    sector_id: str
    side: str | None
    level: str | None
    zone: str | None
    area: str
    """The map's abbreviation: ``PZpl``, ``TZa``, ``CZ``, ``AFS``, ``SV``, ``US``."""
    snomed: str


_ROWS = (
    ("base", "PZa", "716904003", "716905002"),
    ("base", "PZpl", "716906001", "716907005"),
    ("base", "PZpm", "836428004", "836427009"),
    ("base", "TZa", "716896009", "716897000"),
    ("base", "TZp", "716898005", "716899002"),
    ("base", "CZ", "716900007", "716901006"),
    ("base", "AFS", "716892006", "716893001"),
    ("mid", "PZa", "716919002", "716920008"),
    ("mid", "PZpl", "716921007", "716922000"),
    ("mid", "PZpm", "716923005", "716924004"),
    ("mid", "TZa", "716913001", "716914007"),
    ("mid", "TZp", "716915008", "716916009"),
    ("mid", "AFS", "716909008", "716910003"),
    ("apex", "PZa", "716936005", "716937001"),
    ("apex", "PZpl", "716938006", "716939003"),
    ("apex", "PZpm", "716940001", "716941002"),
    ("apex", "TZa", "716930004", "716931000"),
    ("apex", "TZp", "716932007", "716933002"),
    ("apex", "AFS", "716926002", "716927006"),
)
"""Level, area, SNOMED CT code of the right and of the left sector."""

LEVEL_ORDER = ("base", "mid", "apex")
SIDE_LETTERS = {"right": ("R",), "left": ("L",), "bilateral": ("R", "L")}


def _zone_of(area: str) -> str:
    return area[:2] if area[:2] in ("PZ", "TZ") else area


def _gland_sectors() -> tuple[Sector, ...]:
    return tuple(
        Sector(sector_id=f"{letter}_{level}_{area}", side=side, level=level, zone=_zone_of(area), area=area, snomed=code)
        for level, area, right, left in _ROWS
        for letter, side, code in (("R", "right", right), ("L", "left", left))
    )


SECTOR_TABLE: tuple[Sector, ...] = (
    *_gland_sectors(),
    Sector(sector_id="R_SV", side="right", level=None, zone="SV", area="SV", snomed="74308000"),
    Sector(sector_id="L_SV", side="left", level=None, zone="SV", area="SV", snomed="42320003"),
    Sector(sector_id="US", side=None, level=None, zone=None, area="US", snomed="717027004"),
)

SECTORS: tuple[str, ...] = tuple(sector.sector_id for sector in SECTOR_TABLE)
"""The 41 ids in fixed order: base, mid, apex; within a level PZa, PZpl, PZpm, TZa, TZp, CZ, AFS; right before left."""

SECTOR_BY_ID: dict[str, Sector] = {sector.sector_id: sector for sector in SECTOR_TABLE}


def areas_of(zone: str, positions: Collection[str]) -> tuple[str, ...]:
    """The map's areas that a zone and positions pin down; empty where several remain possible."""
    if zone in ("CZ", "AFS"):
        return (zone,)
    if zone == "TZ":
        return tuple(area for area, position in (("TZa", "anterior"), ("TZp", "posterior")) if position in positions)
    if zone != "PZ":
        return ()
    areas = []
    if "anterior" in positions:
        areas.append("PZa")
    if "posterior" in positions:
        areas += [area for area, position in (("PZpl", "lateral"), ("PZpm", "medial")) if position in positions]
    return tuple(areas)


def sectors_of(side: str | None, zone: str | None, levels: Collection[str], positions: Collection[str]) -> tuple[str, ...]:
    """The sectors that side, zone, levels and positions pin down, in map order; empty where they do not.

    A midline lesion has no sectors; a bilateral one has both sides' codes. "Lateral", "medial" or "posterior" PZ alone
    pins down nothing. The central zone exists at the base only, so it needs no level.
    """
    letters = SIDE_LETTERS.get(side or "", ())
    if not letters or zone is None:
        return ()
    if zone == "SV":
        return tuple(f"{letter}_SV" for letter in letters)
    places = ("base",) if zone == "CZ" and not levels else tuple(level for level in LEVEL_ORDER if level in levels)
    wanted = {f"{letter}_{level}_{area}" for letter in letters for level in places for area in areas_of(zone, positions)}
    return tuple(sector for sector in SECTORS if sector in wanted)
