"""The same report in another house style says the same: headings, labels, units, sides, receptors, line breaks, order of sections."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.pathology_styles import Rewrite, diagnosis_moved, headed, in_unit, relabelled, renamed, replaced, wrapped
from weakbox.evaluation.gold import read_gold
from weakbox.extractors.contract import to_contract
from weakbox.extractors.rules import RulesExtractor
from weakbox.records.report import Report, ReportType

LOOK = Path(__file__).parent / "data" / "reports" / "look"
TEXTS = {
    case.report.report_id: case.report.text
    for path in sorted(LOOK.glob("en_breast_pathology*.yaml"))
    for case in read_gold(path)
    if case.report.report_type is ReportType.PATHOLOGY and case.report.organ == "breast"
}
EVERY = 5
"""Each style is tried on every fifth report, each on another fifth."""

STYLES: dict[str, Rewrite] = {
    "in capitals": str.upper,
    "bullets as stars": replaced(r"(?m)^(\s*)[-*•] +", r"\1* "),
    "bullets as dots": replaced(r"(?m)^(\s*)[-*•] +", r"\1• "),
    "no bullets": replaced(r"(?m)^(\s*)[-*•] +", r"\1"),
    **{f"labels {style}": relabelled(style) for style in ("#)", "(#)", "#.", "#:", "Part #:", "Specimen #:", "Specimen (#):")},
    "Lt and Rt": replaced(r"\b([LR])(?:eft|ight)(?=,? breast)", r"\1t"),
    "L and R": replaced(r"\b([LR])(?:eft|ight)(?= breast)", r"\1"),
    "breast, LT": replaced(r"(?i)(breast), (l|r)(?:eft|ight)\b", lambda match: f"{match[1]}, {match[2].upper()}T"),
    "left-sided": replaced(r"\b([Ll]eft|[Rr]ight) breast\b", r"\1-sided breast"),
    "centimetres": in_unit("mm", 0.1, "cm"),
    "millimetres": in_unit("cm", 10, "mm"),
    "units without a space": replaced(r"(\d) (mm|cm)\b", r"\1\2"),
    "full hours": replaced(r"(?<![-:])\b(\d{1,2}) o'?clock", r"\1:00"),
    "hours and minutes": replaced(r"(?<![-:])\b(\d{1,2}) o'?clock", r"\1:00 o'clock"),
    "clock position": replaced(r"(\d{1,2}) o'clock(?! position)", r"\1 o'clock position"),
    "receptor with a colon": replaced(r"\b(ER|PR|HER2) (positive|negative)", r"\1: \2"),
    "receptor with a verb": replaced(r"\b(ER|PR|HER2) (positive|negative)", r"\1 is \2"),
    "receptor by a sign": replaced(r"\b(ER|PR|HER2):? (pos|neg)itive", lambda match: match[1] + ("+" if match[2] == "pos" else "-")),
    "receptor in full": replaced(r"(?<!\()\bER\b(?! ?[/)])", "Estrogen receptor (ER)"),
    "PgR": replaced(r"\bPR\b", "PgR"),
    "HER-2/neu": replaced(r"\bHER-?2\b(?!/)", "HER-2/neu"),
    "HER 2": replaced(r"\bHER2\b", "HER 2"),
    "per cent": replaced(r"(\d) ?%", r"\1 percent"),
    "Roman grade": replaced(r"\b([Gg]rade) ([123])\b(?!\s?[/+])", lambda match: f"{match[1]} {'I' * int(match[2])}"),
    "grade of three": replaced(r"\b([Gg]rade) ([123])\b(?!\s?[/+]|\s*(?:of|out))", r"\1 \2 of 3"),
    "infiltrating": replaced(r"\b([Ii])nvasive (?=ductal|lobular|carcinoma|mammary|tubular|mucinous)", r"\1nfiltrating "),
    "DCIS in full": replaced(r"(?<!\()\bDCIS\b(?!\))", "ductal carcinoma in situ"),
    "lines of 72": wrapped(72),
    "lines of 60": wrapped(60),
    "no blank lines": replaced(r"\n[ \t]*(?:\n[ \t]*)+(?=\S)", "\n"),
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
    "headings elsewhere": renamed("Histopathological diagnosis", "Histology", "Macroscopic examination", "Relevant history"),
    "diagnosis moved": diagnosis_moved,
}


def body(text: str) -> dict[str, Any]:
    report = Report(report_id="variant", patient_id=None, report_type=ReportType.PATHOLOGY, text=text, organ="breast")
    document = to_contract(report, RulesExtractor().extract(report))
    specimens = [{**one, "specimen_id": one["specimen_id"] and one["specimen_id"].lower()} for one in document["specimens"]]
    return {"procedure": document["procedure"], "malignant": document["malignant"], "specimens": specimens}


@cache
def original(name: str) -> dict[str, Any]:
    return body(TEXTS[name])


KNOWN: dict[str, set[str]] = {"in capitals": {"dv6-quayside-bp-01"}}
"""Reports that a style still changes, all of them."""


def sample(style: str) -> list[str]:
    return sorted(TEXTS)[list(STYLES).index(style) % EVERY :: EVERY]


@pytest.mark.parametrize("style", STYLES)
def test_a_house_style_changes_no_value(style: str) -> None:
    rewritten = {name: text for name in sample(style) if (text := STYLES[style](TEXTS[name])) != TEXTS[name]}
    assert rewritten
    assert {name for name, text in rewritten.items() if body(text) != original(name)} == KNOWN.get(style, set())
