"""A model that is shown de-identified texts sees no name, and its evidence still points into the raw report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from weakbox.extractors.masked import MaskedExtractor
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.extraction import ReportExtraction
from weakbox.records.report import Report, ReportType

TEXT = """Patient: Anna Example, MRN 4711023, born 04.05.1951
PROSTATE MRI of 03.04.2024
FINDINGS (dictated by Dr. Peter Sample): PSA 7.8 ng/mL. Left mid peripheral zone lesion, 12 x 8 mm, PI-RADS 4.
"""


class Watched:
    """The rules, and what they were shown."""

    name = "watched"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def extract(self, report: Report) -> ReportExtraction:
        self.seen.append(report.text)
        return RulesExtractor().extract(report)

    def prefetch(self, reports: Iterable[Report]) -> Iterator[str]:
        for report in reports:
            self.seen.append(report.text)
            yield report.report_id


def report() -> Report:
    return Report(report_id="R1", patient_id="4711023", report_type=ReportType.RADIOLOGY, text=TEXT, organ="prostate")


def test_the_model_sees_no_identifier_and_evidence_is_of_the_raw_text() -> None:
    watched = Watched()
    outcome = MaskedExtractor(watched).extract(report())
    assert isinstance(outcome, ReportExtraction)
    for word in ("Anna", "Example", "4711023", "04.05.1951", "Sample"):
        assert word not in watched.seen[0]
    (lesion,) = outcome.findings
    assert [span.cut(TEXT) for span in lesion.values["size_mm"].evidence] == ["12 x 8 mm"]
    assert [span.cut(TEXT) for span in lesion.values["side"].evidence] == ["Left"]


def test_the_values_are_those_of_the_raw_text() -> None:
    plain = RulesExtractor().extract(report())
    masked = MaskedExtractor(Watched()).extract(report())
    assert isinstance(masked, ReportExtraction)
    assert {name: leaf.value for name, leaf in masked.exam.items()} == {name: leaf.value for name, leaf in plain.exam.items()}


def test_asking_ahead_shows_the_model_no_identifier_either() -> None:
    watched = Watched()
    assert list(MaskedExtractor(watched).prefetch([report()])) == ["R1"]
    assert "Anna" not in watched.seen[0]
