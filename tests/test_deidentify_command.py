"""`main.py deidentify` writes reports that can be shared: no identifiers, the same findings, each patient's days moved together."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

import main

TEXT = (
    "Patient: Anna Example, MRN 4711023\nMRI of 03.04.2024, compared with 01.02.2023.\n"
    "Findings: left mid PZ lesion, 12 mm, PI-RADS 4. Gleason 3+4 in 2022."
)


def run(tmp_path: Path, *more: str, numbers: tuple[int, ...] = (1, 2)) -> list[dict[str, str]]:
    rows = [{"report_id": f"r{n}", "patient_id": "4711023", "report_type": "radiology", "text": TEXT} for n in numbers]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = ["deidentify", "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    result = CliRunner().invoke(main.app, [*arguments, "--key-file", str(tmp_path / "key"), *more])
    assert result.exit_code == 0, result.output
    assert "Anna" not in result.output
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]


def test_identifiers_go_and_findings_stay(tmp_path: Path) -> None:
    first, second = run(tmp_path)
    for word in ("Anna", "Example", "4711023", "03.04.2024"):
        assert word not in json.dumps(first)
    for word in ("PI-RADS 4", "12 mm", "Gleason 3+4"):
        assert word in first["text"]
    assert first["patient_id"] == second["patient_id"] and first["report_id"] != second["report_id"]


def test_the_same_key_gives_the_same_bytes(tmp_path: Path) -> None:
    assert run(tmp_path) == run(tmp_path)


def test_a_report_keeps_its_identifier_whatever_else_is_shared(tmp_path: Path) -> None:
    assert run(tmp_path)[1] == run(tmp_path, numbers=(2,))[0]


def test_masked_days_leave_no_day(tmp_path: Path) -> None:
    assert run(tmp_path, "--dates", "mask")[0]["text"].count("<DATE>") == 2
