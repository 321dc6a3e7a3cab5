"""What codes and titles of messages say about a report: its type, its organ, and numbers that stand beside its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from weakbox.organs.organ import Organ
from weakbox.records.record import record
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue
from weakbox.runtime.plugins import load_plugin, plugin_names

RADIOLOGY_CODES = frozenset(
    {
        # HL7 v2 table 0074
        *("RAD", "RUS", "RX", "CT", "NMR", "NMS", "OUS", "CUS", "NRS", "VUS", "XRC", "IMG"),
        # DICOM modalities, as some systems send them
        *("MR", "MG", "US", "PT", "DX", "CR"),
        # LOINC: radiology as a section or service; diagnostic imaging study; SNOMED CT: radiology
        *("LP29684-5", "18748-4", "68604-8", "394914008", "363679005"),
    }
)
PATHOLOGY_CODES = frozenset(
    {
        # HL7 v2 table 0074: surgical pathology, cytopathology; pathology as used beside them
        *("SP", "CP", "PAT", "PATH", "AP"),
        # LOINC: pathology; surgical and comprehensive pathology reports; SNOMED CT: histopathology, pathology
        *("LP7839-6", "11526-1", "11529-5", "60567-5", "60568-3", "22637-3", "394915009", "394595002", "310074003", "108257001"),
    }
)
OTHER_CODES = frozenset({
    # HL7 v2 table 0074: laboratory, cardiology and others that are neither; SNOMED CT: laboratory
    "HM", "CH", "MB", "SR", "VR", "TX", "BLB", "CG", "IMM", "ICU", "EC", "EN", "LAB-HM", "MCB", "MYC", "PF", "PHR", "PHY", "PT-PHYS", "RT",
    "TRL", "VS", "252275004",
})  # fmt: skip
RADIOLOGY_WORDS = (
    "radiolog", "mri", "mrt", "irm", "magnetic resonance", "mammogra", "mammographie", "tomosynthesis", "ultraso", "sonogra", "x-ray",
    "ct ", "diagnostic imaging", "imaging", "echograf", "röntgen",
)  # fmt: skip
PATHOLOGY_WORDS = ("patholog", "patolog", "histolog", "cytolog", "biops", "surgical path", "pad")

PSA, DENSITY = "exam.psa_ng_ml", "exam.psa_density"
VALUE_CODES: Mapping[str, str] = {
    "2857-1": PSA,  # Prostate specific Ag [Mass/volume] in Serum or Plasma
    "35741-8": PSA,  # ... by detection limit <= 0.01 ng/mL
    "83112-3": PSA,  # ... by Immunoassay
    "15325-4": DENSITY,  # Prostate specific Ag/Prostate volume calculated
    "15323-9": DENSITY,  # ... from height, width and length
    "15324-7": DENSITY,  # ... from planimetry
}
"""LOINC code -> field of the organ."""
UNITS: Mapping[str, frozenset[str]] = {
    PSA: frozenset({"ng/ml", "ug/l", "µg/l", "μg/l", "mcg/l"}),
    DENSITY: frozenset({"ng/ml/ml", "ng/ml/cc", "ng/ml2", "ng/ml^2", "ng/ml.cm3", "ng/ml/cm3", "ng/ml²", "ng/ml/g"}),
}
"""Units in which a field's number is as the contract has it; a number in another unit is not used."""


@record
class CodedNumber:
    """A number beside the text: its code, value and unit as sent."""

    code: str
    value: float
    unit: str


def report_type_of(codes: Iterable[str], titles: Iterable[str]) -> ReportType | None:
    """The type that codes say, else the words of titles; None where neither does."""
    sent = {code.strip().upper() for code in codes}
    if sent & PATHOLOGY_CODES:
        return ReportType.PATHOLOGY
    if sent & RADIOLOGY_CODES:
        return ReportType.RADIOLOGY
    words = " ".join(titles).lower() + " "
    if any(word in words for word in PATHOLOGY_WORDS) and "guided" not in words:
        return ReportType.PATHOLOGY
    return ReportType.RADIOLOGY if any(word in words for word in RADIOLOGY_WORDS) else None


def is_other_service(codes: Iterable[str]) -> bool:
    """Whether codes say that it is a laboratory's or another service's report."""
    sent = {code.strip().upper() for code in codes}
    return bool(sent & OTHER_CODES) and not sent & (RADIOLOGY_CODES | PATHOLOGY_CODES)


@cache
def _organs() -> tuple[Organ, ...]:
    return tuple(load_plugin("weakbox.organs", name, "ORGAN") for name in plugin_names("weakbox.organs", "ORGAN"))


def organ_of(titles: Iterable[str]) -> str | None:
    """The one organ whose words are in the titles; None where none or several are."""
    words = " ".join(titles).lower()
    found = [organ.name for organ in _organs() if any(word in words for word in organ.words)]
    return found[0] if len(found) == 1 else None


def structured_values(
    numbers: Iterable[CodedNumber], value_codes: Mapping[str, str], report_type: ReportType
) -> tuple[dict[str, FieldValue], tuple[str, ...]]:
    """Values by field name, and remarks: ``unit_not_used``, ``two_values`` (neither is kept)."""
    known = {field.name for organ in _organs() if report_type in organ.shapes for field in organ.shapes[report_type].exam}
    values: dict[str, FieldValue] = {}
    remarks: set[str] = set()
    conflicting: set[str] = set()
    for number in numbers:
        name = value_codes.get(number.code)
        if name is None or name not in known:
            continue
        unit = number.unit.strip().lower().replace(" ", "")
        if name in UNITS and unit and unit not in UNITS[name]:
            remarks.add("unit_not_used")
        elif name in values and values[name] != number.value:
            conflicting.add(name)
        else:
            values[name] = number.value
    if conflicting:
        remarks.add("two_values")
    return {name: value for name, value in sorted(values.items()) if name not in conflicting}, tuple(sorted(remarks))
