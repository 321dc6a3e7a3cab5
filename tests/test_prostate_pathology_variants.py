"""The same prostate biopsy or resection in another house style says the same: labels, bullets, headings, units, spellings of the grade."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.pathology_styles import Rewrite, diagnosis_moved, headed, relabelled, renamed, replaced
from weakbox.evaluation.gold import read_gold
from weakbox.extractors.contract import to_contract
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.report import Report, ReportType

LOOK = Path(__file__).parent / "data" / "reports" / "look"
TEXTS = {case.report.report_id: case.report.text for path in sorted(LOOK.glob("en_prostate_pathology*.yaml")) for case in read_gold(path)}
EVERY = 4
"""Each style is tried on every fourth report, each on another fourth."""
_SITE = r"(?=[ ,]+(?:base|mid|apex|lateral|lobe|anterior|posterior))"

STYLES: dict[str, Rewrite] = {
    "bullets as stars": replaced(r"(?m)^(\s*)[-*•] +", r"\1* "),
    "no bullets": replaced(r"(?m)^(\s*)[-*•] +", r"\1"),
    **{f"labels {style}": relabelled(style) for style in ("#)", "(#)", "#.", "#:", "Part #:", "Specimen #:")},
    "Lt and Rt": replaced(rf"\b([LR])(?:eft|ight){_SITE}", r"\1t"),
    "L and R": replaced(rf"\b([LR])(?:eft|ight){_SITE}", r"\1"),
    "GG": replaced(r"\b[Gg]rade [Gg]roup ([1-5])", r"GG\1"),
    "ISUP grade": replaced(r"\b[Gg]rade [Gg]roup ([1-5])", r"ISUP grade \1"),
    "spaces in sums": replaced(r"\b(\d)\+(\d)=(\d+)", r"\1 + \2 = \3"),
    "cores in words": replaced(r"\b(\d{1,2})/(\d{1,2}) cores", r"\1 of \2 cores"),
    "per cent": replaced(r"(\d) ?%", r"\1 percent"),
    "more blank lines": replaced(r"\n\n", "\n\n\n"),
    "indented": replaced(r"(?m)^(?=.)", "    "),
    "not indented": replaced(r"(?m)^[ \t]+", ""),
    "spaces at the ends": replaced(r"(?m)$", "  "),
    "headings with a colon": headed("#:"),
    "headings with stars": headed("**#**"),
    "headings in brackets": headed("[#]"),
    "headings underlined": headed("#\n----------"),
    "headings of Britain": renamed("Conclusion", "Microscopy", "Macroscopy", "Clinical details"),
    "headings of America": renamed("FINAL PATHOLOGIC DIAGNOSIS", "MICROSCOPIC DESCRIPTION", "GROSS DESCRIPTION", "CLINICAL HISTORY"),
    "joint headings": renamed("Microscopy and diagnosis", "Microscopic findings", "Gross findings", "Clinical data"),
    "diagnosis moved": diagnosis_moved,
}


def body(text: str) -> dict[str, Any]:
    report = Report(report_id="variant", patient_id=None, report_type=ReportType.PATHOLOGY, text=text, organ="prostate")
    document = to_contract(report, RulesExtractor().extract(report))
    specimens = [{**one, "specimen_id": one["specimen_id"] and one["specimen_id"].lower()} for one in document["specimens"]]
    case = {name: document[name] for name in ("procedure", "cancer_present", "overall", "cores_positive", "cores_total")}
    return {**case, "specimens": specimens}


@cache
def original(name: str) -> dict[str, Any]:
    return body(TEXTS[name])


@pytest.mark.parametrize("style", STYLES)
def test_a_house_style_changes_no_value(style: str) -> None:
    sample = sorted(TEXTS)[list(STYLES).index(style) % EVERY :: EVERY]
    rewritten = {name: text for name in sample if (text := STYLES[style](TEXTS[name])) != TEXTS[name]}
    assert rewritten
    assert {name for name, text in rewritten.items() if body(text) != original(name)} == set()
