"""What a way to read reports is: one method, which never raises for what a report says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Finding, Flag, Item, ReportExtraction, Specimen
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue, Stated


class Extractor(Protocol):
    """Reads one report. A report it does not understand is an abstention; an error on one report is a failure, as a value."""

    name: str

    def extract(self, report: Report) -> ReportExtraction | ExtractionFailure:
        """What ``report`` states."""
        ...


@runtime_checkable
class BatchExtractor(Protocol):
    """An extractor that answers many reports faster together, and remembers the answers."""

    name: str

    def prefetch(self, reports: Iterable[Report]) -> Iterator[Any]:
        """Ask about the reports; one answer each, in the order in which they are done."""
        ...


ExtractorFactory = Callable[[Mapping[str, Any]], Extractor]
"""What a file in this package publishes as ``EXTRACTOR``: the extractor for its options of the configuration."""


def assembled(
    report: Report,
    organ: str,
    extractor: str,
    exam: Mapping[str, Stated[FieldValue]],
    items: Sequence[Item],
    flags: Iterable[Flag] = (),
    status: ExtractionStatus = ExtractionStatus.OK,
) -> ReportExtraction:
    """What an extractor read in ``report``: findings and specimens go where they belong, a repeated flag counts once."""
    return ReportExtraction(
        report_id=report.report_id,
        patient_id=report.patient_id,
        report_type=report.report_type,
        organ=organ,
        status=status,
        exam=exam,
        findings=tuple(item for item in items if isinstance(item, Finding)),
        specimens=tuple(item for item in items if isinstance(item, Specimen)),
        flags=tuple(dict.fromkeys(flags)),
        extractor=extractor,
    )


def abstain(report: Report, organ: str, extractor: str, code: str, detail: str = "") -> ReportExtraction:
    """A report that is not read, with the reason (``empty``, ``wrong_organ``, ``unreadable``)."""
    return ReportExtraction(
        report_id=report.report_id,
        patient_id=report.patient_id,
        report_type=report.report_type,
        organ=organ,
        status=ExtractionStatus.ABSTAINED,
        flags=(Flag(path="", code=code, detail=detail),),
        extractor=extractor,
    )
