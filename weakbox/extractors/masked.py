"""An extractor that never sees who the patient is: it gets the de-identified text, and its evidence is moved back to the raw one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from weakbox.extractors.extractor import BatchExtractor, Extractor
from weakbox.records.extraction import ExtractionFailure, ReportExtraction
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue, Stated
from weakbox.text.deidentify import Deidentified, DeidentifyOptions, Operator, deidentify


class MaskedExtractor:
    """``inner`` on de-identified texts. Days keep their year, so that the latest of several values stays the latest."""

    def __init__(self, inner: Extractor) -> None:
        self.name = inner.name
        self._inner = inner

    def extract(self, report: Report) -> ReportExtraction | ExtractionFailure:
        """What ``inner`` reads in the de-identified text, with evidence in the raw one."""
        masked = mask(report)
        outcome = self._inner.extract(replace(report, text=masked.text))
        return outcome if isinstance(outcome, ExtractionFailure) else _moved_back(outcome, masked)

    def prefetch(self, reports: Iterable[Report]) -> Iterator[Any]:
        """The same for many reports at once, where ``inner`` can."""
        if isinstance(self._inner, BatchExtractor):
            yield from self._inner.prefetch(replace(report, text=mask(report).text) for report in reports)


def mask(report: Report) -> Deidentified:
    """The report's text without what identifies; its own identifiers are known to the search."""
    known = tuple(name for name in (report.patient_id, report.accession) if name)
    return deidentify(report.text, DeidentifyOptions(operator=Operator.MASK, dates=Operator.YEAR, known=known))


def _moved_back(extraction: ReportExtraction, masked: Deidentified) -> ReportExtraction:
    return replace(
        extraction,
        exam=_values(extraction.exam, masked),
        findings=tuple(replace(item, values=_values(item.values, masked)) for item in extraction.findings),
        specimens=tuple(replace(item, values=_values(item.values, masked)) for item in extraction.specimens),
    )


def _values(values: Mapping[str, Stated[FieldValue]], masked: Deidentified) -> dict[str, Stated[FieldValue]]:
    return {name: replace(leaf, evidence=tuple(masked.to_original(span) for span in leaf.evidence)) for name, leaf in values.items()}
