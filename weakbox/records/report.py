"""A clinical report as it came in. 'Report' always means the clinical document."""

from __future__ import annotations

import datetime  # the property `date` would hide the type of that name
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from weakbox.records.record import record
from weakbox.records.stated import FieldValue, Span


class ReportType(StrEnum):
    RADIOLOGY = "radiology"
    PATHOLOGY = "pathology"


class ReportStatus(StrEnum):
    """HL7 table 0123, in words."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    ADDENDUM = "addendum"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class SectionKind(StrEnum):
    HEADER = "header"
    CLINICAL_INFORMATION = "clinical_information"
    COMPARISON = "comparison"
    TECHNIQUE = "technique"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    ADDENDUM = "addendum"
    RECOMMENDATION = "recommendation"
    SPECIMEN_LIST = "specimen_list"
    GROSS = "gross"
    MICROSCOPY = "microscopy"
    DIAGNOSIS = "diagnosis"
    COMMENT = "comment"
    SYNOPTIC = "synoptic"
    TEMPLATE_LEGEND = "template_legend"
    SIGNATURE = "signature"
    OTHER = "other"


@record
class Section:
    """One section of a report; ``body`` holds raw offsets, ``header`` those of the heading where there is one."""

    kind: SectionKind
    body: Span
    header: Span | None = None


@record
class Report:
    """One report; ``text`` is raw, exactly as read. Dates are None where not stated."""

    report_id: str
    patient_id: str | None
    report_type: ReportType
    text: str
    organ: str | None = None
    accession: str | None = None
    exam_date: datetime.date | None = None
    """Day of the examination or of the tissue sampling."""
    report_date: datetime.date | None = None
    """Day the report was signed; used where ``exam_date`` is None."""
    status: ReportStatus = ReportStatus.UNKNOWN
    language: str = "en"
    title: str | None = None
    institution: str | None = None
    source_file: str = ""
    source_row: int | None = None
    structured: Mapping[str, FieldValue] = field(default_factory=dict)
    """Values that the source holds beside the text (HL7 OBX, FHIR observations), by the organ's field name: votes, never evidence."""

    @property
    def date(self) -> datetime.date | None:
        """The day this report speaks of, or the day it was signed where that is all there is."""
        return self.exam_date or self.report_date
