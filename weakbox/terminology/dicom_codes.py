"""Coded concepts that exported DICOM objects carry, each with its source.

DCM: DICOM PS3.16 Annex D. SCT: SNOMED CT concept identifiers as DICOM context groups list them (CID numbers beside the
tables). RADLEX: the PI-RADS concepts of DICOM CID 6328. LN: LOINC. UCUM: units. ISUP grade groups: SNOMED CT children of
1515521000004104, as the mCODE value set "Gleason grade group" and the HL7 Lithuania prostate guide list them.
"""

from __future__ import annotations

from collections.abc import Iterable

from weakbox.records.label import LesionStatus
from weakbox.records.record import record
from weakbox.terminology.pirads import LESION_RADLEX
from weakbox.terminology.sectors import SECTOR_BY_ID, Sector


@record
class DicomCode:
    """Code value, coding scheme designator and code meaning: one item of a code sequence."""

    value: str
    scheme: str
    meaning: str


def _code(value: str, scheme: str, meaning: str) -> DicomCode:
    return DicomCode(value=value, scheme=scheme, meaning=meaning)


LESION = _code("52988006", "SCT", "Lesion")
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = _code("49755003", "SCT", "Morphologically Abnormal Structure")
CENTRE = _code("111010", "DCM", "Center")
DEVICE = _code("121007", "DCM", "Device")
ARTIFICIAL_INTELLIGENCE = _code("123110", "DCM", "Artificial Intelligence")
IMAGING_MEASUREMENT_REPORT = _code("126000", "DCM", "Imaging Measurement Report")
ENGLISH = _code("en", "RFC5646", "English")
DIAMETER = _code("81827009", "SCT", "Diameter")
MAXIMUM = _code("56851009", "SCT", "Maximum")
MILLIMETRE = _code("mm", "UCUM", "mm")
PIRADS_LESION_ASSESSMENT = _code("130560", "DCM", "PI-RADS Localized Abnormality Assessment")
ISUP_GRADE_GROUP = _code("94734-1", "LN", "Prostate cancer grade group")
PATHOLOGY_RESULTS = _code("111468", "DCM", "Pathology Results")
BENIGN = _code("30807003", "SCT", "Benign")
MALIGNANT = _code("21594007", "SCT", "Malignant")
MULTIPARAMETRIC_PROSTATE_MRI = _code("719178004", "SCT", "Multiparametric MRI of prostate")
IMAGING_PROCEDURE = _code("363679005", "SCT", "Imaging procedure")
APPARENT_DIFFUSION_COEFFICIENT = _code("113041", "DCM", "Apparent Diffusion Coefficient")
DIFFUSION_UNIT = _code("um2/s", "UCUM", "um2/s")
"""1 um2/s is 1e-6 mm2/s, the unit in which ADC maps are exported."""

ORGAN_CODES = {
    "prostate": _code("41216001", "SCT", "Prostate"),
    "breast": _code("76752008", "SCT", "Breast"),
    "skin": _code("39937001", "SCT", "Skin"),
}
"""DICOM CID 4 "Anatomic Region"."""

PROCEDURE_CODES = {"prostate": MULTIPARAMETRIC_PROSTATE_MRI}

ZONE_CODES = {
    "PZ": _code("279706003", "SCT", "Peripheral zone of the prostate"),
    "TZ": _code("399384005", "SCT", "Transition zone of the prostate"),
    "AFS": _code("717025007", "SCT", "Anterior fibromuscular stroma of prostate"),
    "SV": _code("64739004", "SCT", "Seminal Vesicle"),
}
"""DICOM CID 6300 "Prostate Anatomy". The central zone as a whole has no code there, only its halves."""

LATERALITY_CODES = {
    "right": _code("24028007", "SCT", "Right"),
    "left": _code("7771000", "SCT", "Left"),
    "bilateral": _code("51440002", "SCT", "Bilateral"),
}
"""DICOM CID 244 "Laterality"."""

_PIRADS_WORDS = {1: "Very low", 2: "Low", 3: "Intermediate", 4: "High", 5: "Very high"}
PIRADS_LESION_CODES = {
    category: _code(LESION_RADLEX[category], "RADLEX", f"PI-RADS {category} - {word} (lesion)") for category, word in _PIRADS_WORDS.items()
}
"""DICOM CID 6328 "PI-RADS v2 Lesion Assessment Category"."""

_ISUP_ROWS = (
    (1, 3, 3, "1279715000"),
    (2, 3, 4, "1279714001"),
    (3, 4, 3, "1279716004"),
    (4, 4, 4, "1279717008"),
    (4, 3, 5, "1279718003"),
    (4, 5, 3, "1279719006"),
    (5, 4, 5, "1279720000"),
    (5, 5, 4, "1279721001"),
    (5, 5, 5, "1279722008"),
)
"""Grade group, primary pattern, secondary pattern, SNOMED CT."""

ISUP_BY_PATTERNS = {
    (primary, secondary): _code(code, "SCT", f"ISUP grade group {grade} (Gleason score {primary} + {secondary} = {primary + secondary})")
    for grade, primary, secondary, code in _ISUP_ROWS
}
_SINGLE_PATTERN_GRADES = {1: (3, 3), 2: (3, 4), 3: (4, 3)}

_LEVEL_WORDS = {"base": "basal", "mid": "middle", "apex": "apical"}
_AREA_WORDS = {
    "PZa": ("anterior", "peripheral zone"),
    "PZpl": ("posterolateral", "peripheral zone"),
    "PZpm": ("posteromedial", "peripheral zone"),
    "TZa": ("anterior", "transition zone"),
    "TZp": ("posterior", "transition zone"),
    "AFS": ("", "anterior fibromuscular stroma"),
}


def isup_code(grade: int, primary: int | None = None, secondary: int | None = None) -> DicomCode:
    """The concept of a grade group, with the patterns where they are stated and belong to it.

    SNOMED CT codes groups 4 and 5 only together with their patterns; without them the code is ours (scheme
    ``99WEAKBOX``), so that no pattern is claimed that nobody stated.
    """
    patterns = (primary, secondary) if primary and secondary else _SINGLE_PATTERN_GRADES.get(grade)
    code = ISUP_BY_PATTERNS.get(patterns) if patterns else None
    if code is not None and code.meaning.startswith(f"ISUP grade group {grade} "):
        return code
    if grade in _SINGLE_PATTERN_GRADES:
        return ISUP_BY_PATTERNS[_SINGLE_PATTERN_GRADES[grade]]
    return _code(f"ISUP{grade}", "99WEAKBOX", f"ISUP grade group {grade}")


def sector_meaning(sector: Sector) -> str:
    """The code meaning of a sector, worded as DICOM CID 6304 words it."""
    side = (sector.side or "").capitalize()
    if sector.area == "SV":
        return f"{side} seminal vesicle"
    if sector.area == "US":
        return "Male external urethral sphincter"
    if sector.area == "CZ":
        return f"Central zone of {side.lower()} half prostate"
    position, zone = _AREA_WORDS[sector.area]
    words = (side, position, _LEVEL_WORDS[sector.level or ""], zone)
    return " ".join(word for word in words if word) + " of prostate"


def sector_code(sector_id: str) -> DicomCode:
    """SNOMED CT concept of a PI-RADS v2.1 sector (DICOM CID 6304)."""
    sector = SECTOR_BY_ID[sector_id]
    return _code(sector.snomed, "SCT", sector_meaning(sector))


def sector_codes(sector_ids: Iterable[str]) -> tuple[DicomCode, ...]:
    """The concepts of those sectors that have one; other organs' places have none here."""
    return tuple(sector_code(sector_id) for sector_id in sector_ids if sector_id in SECTOR_BY_ID)


CLASS_CODES = {
    "ISUP 1": 1,
    "ISUP 2": 2,
    "ISUP 3": 3,
    "ISUP 4": 4,
    "ISUP 5": 5,
    "benign": 6,
    "untested": 7,
    "cancer, not graded": 8,
    "not significant": 9,
}
"""Voxel values of exported class maps (our own code; 0 is background). Also written beside every class map."""


def class_name(status: LesionStatus, isup_grade: int | None) -> str:
    """The name under which a label's class is exported; a key of ``CLASS_CODES``.

    >>> class_name(LesionStatus.CANCER, 3), class_name(LesionStatus.BENIGN, None)
    ('ISUP 3', 'benign')
    """
    if status is LesionStatus.CANCER:
        return f"ISUP {isup_grade}" if isup_grade else "cancer, not graded"
    return status.value.replace("_", " ")
