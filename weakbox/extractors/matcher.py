"""A second reader for ``extractors: [rules, matcher]``: spaCy phrase patterns and token windows, nothing of the grammars.

It confirms or doubts; it need not be good, it must err differently. A field of which it is unsure (two different values,
a prior, a scale that is printed) it leaves out, so its silence says nothing. It has no options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from weakbox.extractors.extractor import abstain, assembled
from weakbox.extractors.matcher_pathology import breast_pathology, prostate_pathology
from weakbox.extractors.matcher_radiology import breast_radiology, prostate_radiology
from weakbox.extractors.matcher_reading import Reading, read
from weakbox.extractors.matcher_values import NAME, Leaves
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import Finding, Item, ReportExtraction, Specimen
from weakbox.records.report import Report, ReportType

DEFAULT_ORGAN = "prostate"


class MatcherExtractor:
    """The second reader as an extractor."""

    name = NAME

    def extract(self, report: Report) -> ReportExtraction:
        """What the patterns see in ``report``; an abstention where they see nothing."""
        organ = report.organ or DEFAULT_ORGAN
        reader = _READERS.get((organ, report.report_type))
        if reader is None:
            return abstain(report, organ, NAME, "no_patterns", "the second reader has no patterns for this organ")
        reading = read(report.text)
        if not reading.words:
            return abstain(report, organ, NAME, "empty", "the report has no words")
        exam, items = reader(reading)
        if not exam and not items:
            return abstain(report, organ, NAME, "nothing_read")
        kind: type[Finding] | type[Specimen] = Finding if report.report_type is ReportType.RADIOLOGY else Specimen
        made: list[Item] = [
            kind(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=values)
            for index, values in enumerate(items)
        ]
        return assembled(report, organ, NAME, exam, made)


_READERS: Mapping[tuple[str, ReportType], Callable[[Reading], tuple[Leaves, list[Leaves]]]] = {
    ("prostate", ReportType.RADIOLOGY): prostate_radiology,
    ("prostate", ReportType.PATHOLOGY): prostate_pathology,
    ("breast", ReportType.RADIOLOGY): breast_radiology,
    ("breast", ReportType.PATHOLOGY): breast_pathology,
}


def open_matcher(options: Mapping[str, Any]) -> MatcherExtractor:
    """The extractor for ``extractors: [..., matcher]``.

    Raises:
        ConfigurationError: an option, of which it has none.
    """
    if options:
        msg = f"extraction.options.matcher: the extractor `matcher` has no options, got {', '.join(sorted(options))}"
        raise ConfigurationError(msg)
    return MatcherExtractor()


EXTRACTOR = open_matcher
