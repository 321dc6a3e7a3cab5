from __future__ import annotations

import pytest

from weakbox.extractors.rules import RulesExtractor
from weakbox.records.report import Report, ReportType

MRI = "MRI prostate. T2: lesion left PZ mid 12 mm, DWI 4, early enhancement. PI-RADS 4. No restricted diffusion elsewhere."
BIOPSY = "Prostate needle biopsies. A: left base: adenocarcinoma, Gleason 3+4=7, 2 of 3 cores, 40 % of tissue. Perineural invasion."


def flags(text: str, report_type: ReportType) -> set[str]:
    report = Report(report_id="r", patient_id=None, report_type=report_type, organ="prostate", text=text)
    return {flag.code for flag in RulesExtractor().extract(report).flags}


@pytest.mark.parametrize(("text", "own"), [(MRI, ReportType.RADIOLOGY), (BIOPSY, ReportType.PATHOLOGY)])
def test_a_text_of_the_other_type_is_flagged_and_one_of_its_own_is_not(text: str, own: ReportType) -> None:
    other = ReportType.PATHOLOGY if own is ReportType.RADIOLOGY else ReportType.RADIOLOGY
    assert flags(text, other) & {"report_type", "wrong_type"}
    assert not flags(text, own) & {"report_type", "wrong_type"}
