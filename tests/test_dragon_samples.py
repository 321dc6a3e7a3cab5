"""The public DRAGON sample reports (Dutch, and their English translations) with the labels that their authors state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from weakbox.extractors.rules import open_rules
from weakbox.records.extraction import ReportExtraction
from weakbox.records.report import Report, ReportType

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "nc_dragon_reports"
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not SHARED.is_dir(), reason="the sample reports beside the checkout are absent")]

SUSPICIOUS_FROM = 3
SIGNIFICANT_FROM = 2


def sample(language: str, task: str) -> tuple[ReportExtraction, str]:
    """A sample read with its language unstated, and its label as written."""
    (path,) = (SHARED / language).glob(f"{task}_*.md")
    written = path.read_text(encoding="utf-8")
    text = re.search(r"```\n(.*?)```", written, re.DOTALL)
    label = re.search(r"Label: ?(.+)", written)
    assert text is not None
    assert label is not None
    report_type = ReportType.PATHOLOGY if "pathology" in path.name else ReportType.RADIOLOGY
    report = Report(report_id=task, patient_id=None, report_type=report_type, text=text[1], organ="prostate", language="auto")
    return open_rules({}).extract(report), label[1].strip()


def needs(language: str, task: str) -> None:
    if not list((SHARED / language).glob(f"{task}_*.md")):
        pytest.skip(f"{task} is not among the samples")


@pytest.mark.parametrize("language", ["dutch", "english"])
def test_the_number_of_suspicious_lesions_is_the_stated_one(language: str) -> None:
    needs(language, "Task010")
    extraction, label = sample(language, "Task010")
    scores = [finding.values["pirads"].value for finding in extraction.findings if "pirads" in finding.values]
    assert sum(int(str(score)) >= SUSPICIOUS_FROM for score in scores) == int(label)


@pytest.mark.parametrize("language", ["dutch", "english"])
@pytest.mark.parametrize(
    ("task", "field"), [("Task019", "exam.prostate_volume_ml"), ("Task020", "exam.psa_ng_ml"), ("Task021", "exam.psa_density")]
)
def test_a_stated_quantity_is_read_as_labelled(language: str, task: str, field: str) -> None:
    needs(language, task)
    extraction, label = sample(language, task)
    assert extraction.exam[field].value == pytest.approx(float(label))


@pytest.mark.parametrize("language", ["dutch", "english"])
def test_the_number_of_significant_specimens_is_the_stated_one(language: str) -> None:
    needs(language, "Task011")
    extraction, label = sample(language, "Task011")
    grades = [finding.values["isup_grade"].value for finding in extraction.findings if "isup_grade" in finding.values]
    assert sum(int(str(grade)) >= SIGNIFICANT_FROM for grade in grades) == int(label)


@pytest.mark.parametrize("language", ["dutch", "english"])
def test_the_sample_lesion_reads_whole(language: str) -> None:
    needs(language, "Task010")
    (lesion,) = sample(language, "Task010")[0].findings
    found = {name: stated.value for name, stated in lesion.values.items()}
    expected = {
        "lesion_id": "1",
        "pirads": 4,
        "side": "right",
        "levels": ("apex",),
        "positions": ("anterior",),
        "size_mm": (13.0, 9.0, 7.0),
    }
    assert {name: found.get(name) for name in expected} == expected
    assert (found["t2"], found["dwi"], found.get("dce")) == (4, 4, "negative")
