"""The extraction stage: one outcome a report whatever happens, and its command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import extraction
from extraction import Config, PatientStage, attempt, extract_report, extract_reports
from weakbox.extractors import rules
from weakbox.records.case import Outcome, PatientRecord
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, ReportExtraction
from weakbox.records.report import Report, ReportStatus, ReportType

ROOT = Path(__file__).resolve().parents[1]
CANCER = "DIAGNOSIS:\nA. Prostate, left base, biopsy: adenocarcinoma, Gleason 3+4=7, 1/2 cores, 40%."
BENIGN = "DIAGNOSIS:\nA. Prostate, left base, biopsy: Benign."
CONFLICT = "DIAGNOSIS:\nA. Prostate, left base, biopsy: adenocarcinoma, Gleason 3+4=8, secret words."


def report(text: str = CANCER, name: str = "r1", **changes: Any) -> Report:
    return Report(report_id=name, patient_id="p1", report_type=ReportType.PATHOLOGY, text=text, **changes)


def test_a_clear_report_is_ok_and_a_contradiction_goes_to_review() -> None:
    clear, torn = extract_reports([report(), report(CONFLICT)], Config())
    assert isinstance(clear, ReportExtraction)
    assert isinstance(torn, ReportExtraction)
    assert (clear.status, torn.status) == (ExtractionStatus.OK, ExtractionStatus.REVIEW)
    assert any(flag.code == "gleason_sum" for flag in torn.flags)


def test_a_threshold_that_nothing_reaches_sends_everything_to_review() -> None:
    outcome = extract_report(report(), Config(review_below=1.0))
    assert isinstance(outcome, ReportExtraction)
    assert outcome.status is ExtractionStatus.REVIEW


class _Faulty:
    name = "faulty"

    def extract(self, report: Report) -> ReportExtraction | ExtractionFailure:
        raise KeyError(report.text)


def test_a_fault_on_one_report_is_its_failure_without_its_text() -> None:
    outcome = attempt(_Faulty(), report(CONFLICT))
    assert isinstance(outcome, ExtractionFailure)
    assert outcome.cause.startswith("KeyError in ")
    assert "secret" not in outcome.cause


def test_a_grammar_that_fails_names_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> ReportExtraction:
        raise IndexError("secret words")

    monkeypatch.setattr(rules, "load_grammar", lambda organ, report_type: broken)
    outcome = extract_report(report(CONFLICT), Config())
    assert isinstance(outcome, ExtractionFailure)
    assert outcome.cause.startswith("IndexError in rules.extract, line ")


def test_an_unknown_extractor_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'rules'"):
        extract_report(report(), Config(extractors=("rule",)))


def test_an_organ_without_a_grammar_is_the_users_to_fix() -> None:
    with pytest.raises(ConfigurationError, match=r"no weakbox/extractors/grammar/spleen_pathology\.py"):
        extract_report(report(organ="spleen"), Config())


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Config(extractor=["rules"])  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="has no options"):
        extract_report(report(), Config(options={"rules": {"speed": 1}}))


def test_the_stage_counts_every_report_of_a_patient() -> None:
    record = PatientRecord(
        patient_id="p1", reports=(report(), report(CONFLICT, "r2"), report("", "r3"), report(BENIGN, "r4", status=ReportStatus.CANCELLED))
    )
    output = PatientStage(Config())("p1", [record])
    assert [item.report_id for item in output.records] == ["r1", "r2", "r3"]  # type: ignore[attr-defined]
    assert (output.entered, output.left) == ({"report": 4}, {"report": 3})
    rows = {(entry.item_id, entry.outcome, entry.reason) for entry in output.ledger}
    assert ("r4", Outcome.DROPPED, "cancelled") in rows
    assert ("r3", Outcome.FLAGGED, "empty") in rows
    assert any(item == "r2" and outcome is Outcome.REVIEW for item, outcome, _ in rows)
    assert not any("secret" in entry.detail for entry in output.ledger)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "extraction.py"), *arguments], capture_output=True, text=True, cwd=ROOT, check=False)


def write_csv(path: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_gives_one_line_a_report_in_its_order(tmp_path: Path, delimiter: str) -> None:
    rows = [{"report_id": f"r{i}", "patient_id": "p", "text": text} for i, text in ((2, CANCER), (1, BENIGN), (3, ""))]
    source = write_csv(tmp_path / "reports.csv", rows, delimiter)
    done = run("--input", str(source), "--report-type", "pathology", "--organ", "prostate", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 0, done.stderr
    lines = read_lines(tmp_path / "out.jsonl")
    assert [line["report_id"] for line in lines] == ["r2", "r1", "r3"]
    assert [line["cancer_present"] for line in lines] == [True, False, None]
    assert lines[2]["status"] == "abstained"
    assert "3 reports" in done.stderr


def test_columns_of_a_row_win_over_the_options(tmp_path: Path) -> None:
    source = tmp_path / "reports.jsonl"
    rows = [
        {"report_id": 7, "text": CANCER, "report_type": "pathology"},
        {"report_id": "b", "text": "PI-RADS 4 lesion left mid PZ, 9 mm.", "report_type": "radiology"},
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run("--input", str(source), "--report-type", "radiology", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 0, done.stderr
    first, second = read_lines(tmp_path / "out.jsonl")
    assert (first["report_id"], first["report_type"], first["specimens"][0]["isup_grade"]) == ("7", "pathology", 2)
    assert (second["report_type"], second["exam"]["pirads"]) == ("radiology", 4)


def test_repeated_ids_are_listed_and_every_row_is_written(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "reports.csv", [{"report_id": "r1", "text": CANCER}, {"report_id": "r1", "text": BENIGN}])
    done = run("--input", str(source), "--report-type", "pathology", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 3
    assert "'r1' occurs 2 times" in done.stderr
    assert len(read_lines(tmp_path / "out.jsonl")) == 2


def test_rows_that_cannot_be_used_are_listed_and_the_rest_is_written(tmp_path: Path) -> None:
    source = tmp_path / "reports.jsonl"
    lines = [
        "{broken",
        "[1]",
        json.dumps({"report_id": "", "text": CANCER}),
        json.dumps({"report_id": "x", "text": CANCER, "report_type": "radiologie"}),
        json.dumps({"report_id": "ok", "text": CANCER}),
    ]
    source.write_text("\n".join(lines), encoding="utf-8")
    done = run("--input", str(source), "--report-type", "pathology", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 3
    assert [line["report_id"] for line in read_lines(tmp_path / "out.jsonl")] == ["ok"]
    assert all(f"line {number}:" in done.stderr for number in (1, 2, 3, 4))
    assert "adenocarcinoma" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "report_id,txt\nr1,hello\n", "no column 'text'; did you mean 'txt'?"),
        ("b.csv", "", "no reports"),
        ("c.csv", "report_id,text\n", "no reports"),
        ("d.pdf", "x", "expected a .csv, .tsv or .jsonl file"),
        ("e.jsonl", "\n\n", "no reports"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path, name: str, content: str, message: str) -> None:
    source = tmp_path / name
    source.write_text(content, encoding="utf-8")
    done = run("--input", str(source), "--report-type", "pathology", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 2
    assert message in done.stderr
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_a_missing_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("report_id,text\n", encoding="utf-8")
    done = run("--input", str(tmp_path / "report.csv"), "--report-type", "pathology", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 2
    assert "did you mean 'reports.csv'?" in done.stderr


def test_text_that_is_not_utf8_is_refused_before_any_work(tmp_path: Path) -> None:
    source = tmp_path / "latin.csv"
    source.write_bytes("report_id,text\nr1,Größe\n".encode("latin-1"))
    done = run("--input", str(source), "--report-type", "pathology", "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 2
    assert "UTF-8" in done.stderr


def test_a_run_without_a_report_type_says_how_to_give_one(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "reports.csv", [{"report_id": "r1", "text": CANCER}])
    done = run("--input", str(source), "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 2
    assert "--report-type" in done.stderr


def test_help_teaches_and_is_quick() -> None:
    began = time.perf_counter()
    done = run("--help")
    assert time.perf_counter() - began < 5
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("report_id", "text", "--report-type", "examples", "exit status"))


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys, extraction; sys.exit(any(name in sys.modules for name in ('pandas', 'scipy', 'numpy', 'torch', 'spacy', 'SimpleITK')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_schema_is_printed() -> None:
    done = run("--schema", "--report-type", "pathology")
    assert done.returncode == 0
    assert json.loads(done.stdout)["properties"]["organ"] == {"const": "prostate"}


@pytest.mark.slow
def test_many_reports_in_two_processes_give_the_same_bytes(tmp_path: Path) -> None:
    count = extraction.PARALLEL_FROM + 10
    source = write_csv(tmp_path / "reports.csv", [{"report_id": f"r{i}", "text": CANCER if i % 3 else BENIGN} for i in range(count)])
    for workers in ("1", "2"):
        done = run(
            "--input", str(source), "--report-type", "pathology", "--workers", workers, "--output", str(tmp_path / f"out{workers}.jsonl")
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out1.jsonl").read_bytes() == (tmp_path / "out2.jsonl").read_bytes()
    assert len(read_lines(tmp_path / "out1.jsonl")) == count


ITALIAN = "Nella zona periferica di sinistra si osserva una lesione sospetta di 12 mm con restrizione della diffusione, PI-RADS 4."


def test_a_language_without_words_is_abstained_from_and_says_so() -> None:
    report = Report(report_id="R", patient_id=None, report_type=ReportType.RADIOLOGY, text=ITALIAN, language="it")
    outcome = extraction.extract_report(report, extraction.Config())
    assert isinstance(outcome, ReportExtraction)
    assert outcome.status is ExtractionStatus.ABSTAINED
    assert [flag.code for flag in outcome.flags] == ["language"]
