"""The whole pipeline on a simulated cohort, run as a user would."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline import configuration_for, run_main, tree_digests, write_configuration
from weakbox.records.case import PatientRecord
from weakbox.runtime.store import Store


def manifest_times(output: Path, stage: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (output / "store" / stage).glob("*.manifest.json")}


def test_a_run_exports_labelled_cases(finished_run: Path) -> None:
    with (finished_run / "dataset" / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["tier"] for row in rows} & {"biopsy_coordinate", "target_roi"}
    cases = list((finished_run / "dataset" / "cases").iterdir())
    assert cases
    for suffix in ("t2w.nii.gz", "adc.nii.gz", "high_b.nii.gz"):
        assert any(path.name.endswith(suffix) for case in cases for path in case.iterdir()), suffix
    assert any(path.suffix == ".dcm" for case in cases for path in case.iterdir())


def test_the_summary_says_what_was_made_and_where_to_look(finished_run: Path) -> None:
    summary = json.loads((finished_run / "audit" / "summary.json").read_text(encoding="utf-8"))
    assert summary["labels"]


def test_a_second_run_has_nothing_to_do(finished_run: Path, cohort: Path, key_file: Path) -> None:
    config = finished_run.parent / "configs.yaml"
    before = {stage: manifest_times(finished_run, stage) for stage in ("reading", "preprocessing", "extraction", "matching", "export")}
    digests = tree_digests(finished_run)
    run_main("--config", str(config))
    after = {stage: manifest_times(finished_run, stage) for stage in before}
    assert after == before
    assert tree_digests(finished_run) == digests


def test_one_worker_and_two_write_the_same_bytes(configure: Callable[..., Path], finished_run: Path, tmp_path: Path) -> None:
    run_main("--config", str(configure(executor={"workers": 1})))
    assert tree_digests(tmp_path / "output") == tree_digests(finished_run)


def test_a_changed_label_choice_runs_no_earlier_stage_again(configure: Callable[..., Path], tmp_path: Path) -> None:
    config = configure(export={"exporters": ["tables"]})
    run_main("--config", str(config))
    earlier = {stage: manifest_times(tmp_path / "output", stage) for stage in ("reading", "preprocessing", "extraction", "matching")}
    later = manifest_times(tmp_path / "output", "postprocessing")
    run_main("--config", str(config), "--set", "labels.default_diameter_mm=14")
    assert {stage: manifest_times(tmp_path / "output", stage) for stage in earlier} == earlier
    assert manifest_times(tmp_path / "output", "postprocessing") != later


def test_no_identifier_of_a_patient_leaves_the_hospital(finished_run: Path) -> None:
    store = Store(finished_run / "store", 4)
    identifiers = set()
    for patient in store.read_all("preprocessing"):
        assert isinstance(patient, PatientRecord)
        identifiers |= {
            patient.patient_id,
            *(study.accession for study in patient.studies),
            *(report.report_id for report in patient.reports),
        }
        identifiers |= {report.accession for report in patient.reports}
    words = [identifier.encode() for identifier in identifiers if identifier]
    assert words
    for path in (finished_run / "dataset").rglob("*"):
        if path.is_file():
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            found = [word for word in words if word in content or word.decode() in path.name]
            assert not found, f"{path.relative_to(finished_run)} holds {found[:3]}"


def test_inputs_are_never_modified(cohort: Path, configure: Callable[..., Path]) -> None:
    before = tree_digests(cohort)
    run_main("--config", str(configure(export={"exporters": ["dicom_seg", "tables"]})))
    assert tree_digests(cohort) == before


def test_plan_status_and_trace_answer(finished_run: Path) -> None:
    config = str(finished_run.parent / "configs.yaml")
    assert "T2W" in run_main("plan", "--config", config).stdout
    assert "export" in run_main("status", "--config", config).stdout
    with (finished_run / "dataset" / "labels.csv").open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    identifier = row["case_id"]
    assert identifier in run_main("trace", identifier, "--config", config).stdout


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("labels.default_diametr_mm=12", "default_diameter_mm"),
        ("lables.default_diameter_mm=12", "labels"),
        ("export.exporters=[nifty]", "nifti"),
        ("executor.kind=locl", "local"),
        ("extraction.extractors=[rule]", "rules"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(
    override: str, expected: str, configure: Callable[..., Path], tmp_path: Path
) -> None:
    result = run_main("--config", str(configure()), "--set", override, check=False)
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "output" / "store" / "preprocessing").exists(), "work was done before the configuration was validated"


def test_original_identifiers_are_kept_where_the_configuration_says_so(cohort: Path, key_file: Path, tmp_path: Path) -> None:
    content = configuration_for(
        cohort, tmp_path / "output", key_file, privacy={"identifiers": "original"}, export={"exporters": ["tables"]}
    )
    run_main("--config", str(write_configuration(tmp_path / "configs.yaml", content)))
    patients = {patient.patient_id for patient in Store(tmp_path / "output" / "store", 4).read_all("preprocessing")}
    with (tmp_path / "output" / "dataset" / "labels.csv").open(encoding="utf-8") as file:
        assert {row["patient_id"] for row in csv.DictReader(file)} <= patients
