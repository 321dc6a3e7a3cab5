"""`main.py calibrate` fits a site's own confidences and the extraction takes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import extraction
import main
from weakbox.evaluation.gold import read_gold
from weakbox.records.extraction import ReportExtraction

LOOK = Path(__file__).parent / "data" / "reports" / "look"


@pytest.mark.slow
def test_fitted_confidences_are_used_by_the_extraction(tmp_path: Path) -> None:
    output = tmp_path / "site.json"
    result = CliRunner().invoke(main.app, ["calibrate", "--gold", str(LOOK / "en_prostate_radiology_2.yaml"), "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert "ECE" in result.output
    report = read_gold(LOOK / "en_prostate_radiology.yaml")[0].report
    own = extraction.extract_report(report, extraction.Config(calibration=output))
    shipped = extraction.extract_report(report, extraction.Config())
    assert isinstance(own, ReportExtraction) and isinstance(shipped, ReportExtraction)
    assert {name: leaf.value for name, leaf in own.exam.items()} == {name: leaf.value for name, leaf in shipped.exam.items()}
    assert [leaf.confidence for leaf in own.exam.values()] != [leaf.confidence for leaf in shipped.exam.values()]
    assert "text" not in json.dumps(json.loads(output.read_text()))


def test_too_few_reports_are_refused_with_what_to_do(tmp_path: Path) -> None:
    gold = tmp_path / "gold.yaml"
    gold.write_text((LOOK / "de.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    result = CliRunner().invoke(main.app, ["calibrate", "--gold", str(gold), "--output", str(tmp_path / "site.json")])
    assert result.exit_code == 2
    assert "annotate" in result.output
