"""What a report's source states beside the text (HL7 OBX, FHIR observations) as a voter for ``extractors: [rules, headers]``.

A value needs words of the report as its evidence, and a header has none. So it makes no value: it raises or lowers the
confidence of what is read from the text, and is a flag ``header`` where the text states nothing. It has no options.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from weakbox.extractors.contract import shape_of
from weakbox.extractors.extractor import abstain
from weakbox.extractors.verification import is_in_range
from weakbox.organs.organ import Field
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import ExtractionStatus, Flag, ReportExtraction
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue

NAME = "headers"
DEFAULT_ORGAN = "prostate"
CODE = "header"
UNKNOWN_CODE = "header_unusable"


class HeadersExtractor:
    """The structured values of a report as votes."""

    name = NAME

    def extract(self, report: Report) -> ReportExtraction:
        """One flag a usable value; an abstention where the source states none."""
        organ = report.organ or DEFAULT_ORGAN
        if not report.structured:
            return abstain(report, organ, NAME, "no_headers", "the report's source holds no structured values")
        fields = {field.name: field for field in shape_of(organ, report.report_type).exam}
        return ReportExtraction(
            report_id=report.report_id,
            patient_id=report.patient_id,
            report_type=report.report_type,
            organ=organ,
            status=ExtractionStatus.OK,
            flags=tuple(_flag(name, value, fields.get(name)) for name, value in sorted(report.structured.items())),
            extractor=NAME,
        )


def _flag(name: str, value: FieldValue, field: Field | None) -> Flag:
    if field is None or not is_in_range(value, field):
        return Flag(path=name, code=UNKNOWN_CODE, detail="no examination field of this organ, or not one of its values")
    return Flag(path=name, code=CODE, detail=json.dumps(value, sort_keys=True))


def header_votes(extraction: ReportExtraction) -> Iterator[tuple[str, FieldValue]]:
    """Field names and values that the flags of a headers' extraction carry."""
    for flag in extraction.flags:
        if flag.code == CODE:
            value = json.loads(flag.detail)
            yield flag.path, tuple(value) if isinstance(value, list) else value


def open_headers(options: Mapping[str, Any]) -> HeadersExtractor:
    """The extractor for ``extractors: [..., headers]``.

    Raises:
        ConfigurationError: an option, of which it has none.
    """
    if options:
        msg = f"extraction.options.headers: the extractor `headers` has no options, got {', '.join(sorted(options))}"
        raise ConfigurationError(msg)
    return HeadersExtractor()


EXTRACTOR = open_headers
