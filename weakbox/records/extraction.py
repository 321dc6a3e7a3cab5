"""What a report states: values by field name of its organ, each with its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from weakbox.records.record import record
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Stated


class ExtractionStatus(StrEnum):
    OK = "ok"
    REVIEW = "review"
    ABSTAINED = "abstained"


@record
class Flag:
    """What a person should look at: ``path`` as in the contract (``lesions[0].pirads``), a code, a detail without report text."""

    path: str
    code: str
    detail: str = ""


@record
class Item:
    """One thing a report describes. ``values`` is keyed by the organ's field names; a missing key is *not stated*."""

    item_id: str
    """``<report_id>/<index>``: unique and stable for one text."""
    report_id: str
    index: int
    values: Mapping[str, Stated[FieldValue]] = field(default_factory=dict)

    def value(self, name: str) -> FieldValue | None:
        """The value of a field, or None where it is not stated."""
        stated = self.values.get(name)
        return None if stated is None else stated.value


@record
class Finding(Item):
    """A current, distinct lesion or finding that a radiology report describes."""


@record
class Specimen(Item):
    """A specimen, or a group of specimens reported together, of a pathology report."""


@record
class ReportExtraction:
    """What one report states. ``exam`` holds the fields of the examination or case, dotted as in the contract (``overall.isup_grade``)."""

    report_id: str
    patient_id: str | None
    report_type: ReportType
    organ: str
    status: ExtractionStatus
    exam: Mapping[str, Stated[FieldValue]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    specimens: tuple[Specimen, ...] = ()
    flags: tuple[Flag, ...] = ()
    extractor: str = "rules"
    voters: tuple[str, ...] = ()
    """Extractors that had a say, where several were fused; empty: ``extractor`` alone."""
    language: str = ""
    """Language of most of the text, where the extractor looked (ISO 639)."""

    @property
    def items(self) -> tuple[Item, ...]:
        """Findings of a radiology report, specimens of a pathology report."""
        return self.findings if self.report_type is ReportType.RADIOLOGY else self.specimens

    def value(self, name: str) -> FieldValue | None:
        """The value of an examination field, or None where it is not stated."""
        stated = self.exam.get(name)
        return None if stated is None else stated.value


@record
class ExtractionFailure:
    """An extractor could not read a report; ``cause`` carries no report text."""

    report_id: str
    patient_id: str | None
    report_type: ReportType
    organ: str
    extractor: str
    cause: str
