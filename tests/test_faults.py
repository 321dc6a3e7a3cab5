"""Bad input: each fault gets a clear error or a ledger row, and the run goes on with the rest."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml

from tests.phantom import asymmetric_array, oblique_grid, uid, write_series
from tests.pipeline import run_main, write_configuration

RADIOLOGY = """MRI PROSTATE
FINDINGS: PSA 7.1 ng/mL. Prostate volume 45 mL.
Lesion 1: left mid posterolateral peripheral zone, 12 mm. PI-RADS 4.
IMPRESSION: Lesion 1, left mid peripheral zone, PI-RADS 4.
"""
PATHOLOGY = """FINAL DIAGNOSIS
A. Prostate, left mid, MRI target ROI 1, biopsy: Adenocarcinoma, Gleason score 3+4=7 (Grade Group 2), involving 2 of 3 cores.
"""
GRID = oblique_grid(shape=(40, 40, 13), spacing=(2.0, 2.0, 4.0), origin=(-45.0, -35.0, -30.0), angles_degrees=(8.0, 0.0, 0.0))
CENTRE = tuple(float(value) for value in GRID.to_lps((26, 24, 6)))
T2 = {"SeriesDescription": "t2_tse_tra", "ScanningSequence": "SE", "EchoTime": "101", "RepetitionTime": "5000", "Manufacturer": "SIEMENS"}
ADC = {"SeriesDescription": "ep2d_diff_ADC", "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "ScanningSequence": "EP"}


@dataclass(frozen=True)
class Site:
    """A hospital of one patient and one study, and the configuration over it."""

    folder: Path
    key: Path

    def write(self, name: str, rows: list[dict[str, Any]]) -> Path:
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def configuration(self, **sections: Any) -> Path:
        content: dict[str, Any] = {
            "inputs": {
                "reports": [
                    {"source": "report_table", "path": "radiology.csv", "report_type": "radiology"},
                    {"source": "report_table", "path": "pathology.csv", "report_type": "pathology"},
                ],
                "images": [{"source": "dicom_folder", "path": "dicom"}],
                "biopsies": [{"source": "biopsy_csv", "path": "targets.csv"}],
            },
            "output": {"folder": "output"},
            "privacy": {"key_file": str(self.key), "identifiers": "original"},
            "export": {"exporters": ["nifti", "dicom_seg", "tables"]},
            "executor": {"kind": "local", "workers": 1, "shards": 2},
            **sections,
        }
        return write_configuration(self.folder / "configs.yaml", content)

    def run(self, *arguments: str, **sections: Any) -> subprocess.CompletedProcess[str]:
        return run_main("--config", str(self.configuration(**sections)), *arguments, check=False)

    def ledger(self) -> list[dict[str, str]]:
        with (self.folder / "output" / "private" / "ledger.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def reasons(self, kind: str) -> set[str]:
        return {row["reason"] for row in self.ledger() if row["kind"] == kind}

    def labels(self) -> list[dict[str, str]]:
        with (self.folder / "output" / "dataset" / "labels.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))


def report(report_id: str, text: str, **changes: str) -> dict[str, str]:
    return {
        "report_id": report_id,
        "patient_id": "MRN-4711",
        "accession": "",
        "exam_date": "2020-02-29",
        "status": "final",
        "text": text,
        **changes,
    }


def target(**changes: Any) -> dict[str, Any]:
    x, y, z = CENTRE
    row = {"patient_id": "MRN-4711", "study_uid": uid("study"), "frame_of_reference_uid": GRID.frame_of_reference_uid, "target_label": "1"}
    place = {
        "x": round(x, 3),
        "y": round(y, 3),
        "z": round(z, 3),
        "frame": "LPS",
        "units": "mm",
        "diameter_mm": "12",
        "procedure_date": "2020-03-20",
    }
    return {**row, **place, "source": "fusion", **changes}


def slice_file(site: Site, k: int) -> Path:
    """The file of slice k of the T2 series."""
    files = {int(pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber): path for path in (site.folder / "dicom" / "t2").iterdir()}
    return files[k + 1]


@pytest.fixture
def site(tmp_path: Path, key_file: Path) -> Site:
    site = Site(tmp_path, key_file)
    array = asymmetric_array(GRID)
    write_series(tmp_path / "dicom" / "t2", GRID, array, name="t2w", **T2)
    write_series(tmp_path / "dicom" / "adc", GRID, array, name="adc", **ADC)
    site.write("radiology.csv", [report("R1", RADIOLOGY, accession="ACC-4711")])
    site.write("pathology.csv", [report("P1", PATHOLOGY, exam_date="2020-03-20")])
    site.write("targets.csv", [target()])
    return site


def test_the_site_without_a_fault_gives_one_graded_box(site: Site) -> None:
    result = site.run()
    assert result.returncode == 0, result.stderr
    (row,) = site.labels()
    assert (row["isup_grade"], row["tier"]) == ("2", "biopsy_coordinate")


def test_an_unreadable_image_is_a_ledger_row_and_the_run_is_incomplete(site: Site) -> None:
    (site.folder / "dicom" / "broken.dcm").write_bytes(sorted((site.folder / "dicom" / "t2").iterdir())[0].read_bytes()[:600])
    result = site.run()
    assert result.returncode == 3
    assert len(site.labels()) == 1
    assert site.reasons("file") & {"truncated", "unreadable"}


def test_a_file_that_is_no_image_is_passed_over_and_counted(site: Site) -> None:
    (site.folder / "dicom" / "notes.txt").write_text("bring coffee", encoding="utf-8")
    assert site.run().returncode == 0
    assert "not_dicom" in site.reasons("file")


def test_missing_slices_are_said(site: Site) -> None:
    slice_file(site, 5).unlink()
    site.run()
    text = " ".join(f"{row['reason']} {row['detail']}" for row in site.ledger())
    assert "missing_slices" in text


def test_a_target_in_another_frame_of_reference_gets_no_box(site: Site) -> None:
    site.write("targets.csv", [target(frame_of_reference_uid="1.2.3.4", study_uid=uid("study"))])
    site.run()
    assert not [row for row in site.labels() if row["tier"] == "biopsy_coordinate"]
    assert any("frame" in row["reason"] for row in site.ledger())


def test_a_coordinate_outside_the_image_is_never_clamped(site: Site) -> None:
    site.write("targets.csv", [target(x=400.0)])
    site.run()
    assert not [row for row in site.labels() if row["tier"] == "biopsy_coordinate"]
    assert any("outside" in row["reason"] for row in site.ledger())


def test_a_target_without_a_study_stays_in_the_ledger(site: Site) -> None:
    site.write("targets.csv", [target(), target(patient_id="MRN-0815", study_uid="1.2.3", target_label="9")])
    site.run()
    assert any(row["kind"] == "target" and row["patient_id"] == "MRN-0815" for row in site.ledger())
    assert len(site.labels()) == 1


def test_a_report_without_a_date_is_matched_by_accession(site: Site) -> None:
    site.write("radiology.csv", [report("R1", RADIOLOGY, accession="ACC-4711", exam_date="")])
    site.run()
    assert "no_date" in site.reasons("report")
    assert site.labels()[0]["pirads"] == "4"


def test_one_id_with_two_texts_is_said(site: Site) -> None:
    other = RADIOLOGY.replace("PI-RADS 4", "PI-RADS 3")
    site.write("radiology.csv", [report("R1", RADIOLOGY, accession="ACC-4711"), report("R1", other, accession="ACC-4711")])
    site.run()
    assert any("duplicate" in reason for reason in site.reasons("report"))


def test_a_missing_column_names_the_file_and_the_nearest_column(site: Site) -> None:
    rows = [{**report("R1", RADIOLOGY)}]
    rows[0]["pateint_id"] = rows[0].pop("patient_id")
    site.write("radiology.csv", rows)
    result = site.run()
    assert result.returncode == 2
    assert "radiology.csv" in result.stderr
    assert "patient_id" in result.stderr
    assert "pateint_id" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_empty_file_is_named(site: Site) -> None:
    (site.folder / "pathology.csv").write_bytes(b"")
    result = site.run()
    assert result.returncode == 2
    assert "pathology.csv" in result.stderr
    assert "empty" in result.stderr


def test_an_input_that_is_not_there_is_named(site: Site) -> None:
    (site.folder / "targets.csv").unlink()
    result = site.run()
    assert result.returncode == 2
    assert "targets.csv" in result.stderr


def test_an_unknown_key_is_refused_with_the_nearest_name(site: Site) -> None:
    result = site.run(labels={"default_diamter_mm": 12})
    assert result.returncode == 2
    assert "default_diameter_mm" in result.stderr
    assert not (site.folder / "output").exists()


def test_two_frames_of_reference_in_one_series_are_said(site: Site) -> None:
    path = slice_file(site, 5)
    dataset = pydicom.dcmread(path)
    dataset.FrameOfReferenceUID = "1.2.3.4.5"
    dataset.save_as(path)
    site.run()
    text = " ".join(f"{row['reason']} {row['detail']}" for row in site.ledger())
    assert "frame" in text


@pytest.mark.slow
def test_a_text_file_of_200_megabytes_is_read_in_bounded_memory(site: Site) -> None:
    with (site.folder / "export.txt").open("w", encoding="utf-8") as file:
        file.write("EMPI|EPIC_PMRN|MRN_Type|MRN|Report_Number|Report_Date_Time|Report_Description|Report_Status|Report_Type|Report_Text\n")
        filler = "The remainder of this report describes another organ at length. " * 300
        for number in range(10_500):
            file.write(f"E{number}|P{number}|MGH|MRN-{number}|ACC{number}|2/29/2020 10:00:00 AM|MRI CHEST|F|RAD|{filler}\n[report_end]\n")
        file.write(f"E|P|MGH|MRN-4711|ACC-4711|2/29/2020 10:00:00 AM|MRI PROSTATE|F|RAD|{RADIOLOGY}\n[report_end]\n")
    assert (site.folder / "export.txt").stat().st_size > 200_000_000
    content = yaml.safe_load(site.configuration().read_text(encoding="utf-8"))
    content["inputs"]["reports"][0] = {"source": "report_export", "path": "export.txt", "report_type": "radiology"}
    write_configuration(site.folder / "configs.yaml", content)
    result = subprocess.run(
        [
            "/usr/bin/env",
            "python3",
            "-c",
            _MEASURED,
            str(Path(__file__).resolve().parents[1] / "main.py"),
            str(site.folder / "configs.yaml"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": _python()},
    )
    peak_mib = int(result.stdout.strip().splitlines()[-1]) / 1024
    assert peak_mib < 1500, f"peak {peak_mib:.0f} MiB\n{result.stderr[-2000:]}"
    assert site.labels()[0]["pirads"] == "4"


_MEASURED = """
import os, resource, subprocess, sys
subprocess.run([os.environ["PYTHON"], sys.argv[1], "--config", sys.argv[2]], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _python() -> str:
    import sys

    return sys.executable


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs rights that this user does not have")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_is_said_and_the_next_run_goes_on(site: Site, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 2_900_000)
    result = site.run(output={"folder": str(small_disk / "output")})
    assert result.returncode == 2, result.stderr
    assert "space" in result.stderr.lower()
    assert "Traceback" not in result.stderr
    ballast.unlink()
    assert site.run(output={"folder": str(small_disk / "output")}).returncode == 0
    moved = replace(site, folder=site.folder)
    shutil.copytree(small_disk / "output", moved.folder / "output")
    assert len(moved.labels()) == 1
