"""The files of a cohort that are not images: report tables and exports, the biopsy sheet, the series index, the truth."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weakbox.records.report import ReportType
from weakbox.simulate.patient import PatientPart

RADIOLOGY_COLUMNS = ("report_id", "patient_id", "accession", "exam_date", "report_date", "status", "title", "institution", "text")
TARGET_COLUMNS = (
    "patient_id",
    "study_uid",
    "series_uid",
    "frame_of_reference_uid",
    "target_label",
    "x",
    "y",
    "z",
    "frame",
    "units",
    "diameter_mm",
    "procedure_date",
    "accession",
    "source",
)
SERIES_COLUMNS = (
    "patient_id",
    "study_uid",
    "accession",
    "study_date",
    "study_description",
    "series_uid",
    "series_number",
    "series_description",
    "modality",
    "image_count",
    "frame_of_reference_uid",
    "manufacturer",
    "model",
    "magnetic_field_strength_t",
    "repetition_time_ms",
    "echo_time_ms",
    "affine_lps",
    "shape_ijk",
)
EXPORT_HEADER = "EMPI|EPIC_PMRN|MRN_Type|MRN|Report_Number|Report_Date_Time|Report_Description|Report_Status|Report_Type|Report_Text"
EXPORT_END = "[report_end]"

README = """A simulated cohort: nobody's data.

reports/radiology.csv            one radiology report a row
reports/pathology_export.txt     pathology reports as a bulk text export (pipe-separated first line, [report_end])
biopsies/targets.csv             one biopsy target a row; frame says LPS, RAS or ijk (voxel indices of series_uid)
dicom/ or images/index.csv       the imaging studies, or only an index of their series
configs.yaml                     a configuration that runs on this folder (uv run main.py --config <this file>)
cohort.json                      the parameters; written last

truth/ is for evaluation and is never an input:
  lesions.jsonl       every lesion at every study: centre and box in LPS mm, grade, and the records that describe it
  cases.jsonl         every study: kind, what is missing or contradictory about its records, the gland
  links.jsonl         which report, finding, target and specimen belong to which study and lesion
  reports.jsonl       what each report states (the extraction contract), with the words
  report_items.jsonl  style of each report, and the lesion that each of its items is

Not simulated: prostatectomy, coordinates given in the frame of an intra-procedural study, needles that miss a lesion.
"""


def write_inputs(folder: Path, parts: Sequence[PatientPart], *, has_images: bool) -> None:
    """The tables that the pipeline reads."""
    _write_csv(folder / "reports" / "radiology.csv", RADIOLOGY_COLUMNS, (row for part in parts for row in part.radiology))
    _write_export(folder / "reports" / "pathology_export.txt", (row for part in parts for row in part.pathology))
    _write_csv(folder / "biopsies" / "targets.csv", TARGET_COLUMNS, (row for part in parts for row in part.targets))
    if not has_images:
        _write_csv(folder / "images" / "index.csv", SERIES_COLUMNS, (row for part in parts for row in part.series))
    (folder / "README.txt").write_text(README, encoding="utf-8")
    (folder / "configs.yaml").write_text(configuration(has_images=has_images), encoding="utf-8")


def write_truth(folder: Path, parts: Sequence[PatientPart]) -> None:
    """What the evaluation reads and the pipeline never does."""
    truth = folder / "truth"
    _number_targets(parts)
    _write_lines(truth / "lesions.jsonl", (row for part in parts for row in part.lesions))
    _write_lines(truth / "cases.jsonl", (row for part in parts for row in part.cases))
    _write_lines(truth / "reports.jsonl", (row for part in parts for row in part.gold))
    _write_lines(truth / "report_items.jsonl", (row for part in parts for row in part.report_items))
    _write_lines(truth / "links.jsonl", (row for part in parts for row in _links(part)))


def _number_targets(parts: Sequence[PatientPart]) -> None:
    """The row of the sheet (its header is row 1) on each target of the truth, whose coordinates are those of the row."""
    rows = {}
    for number, row in enumerate((row for part in parts for row in part.targets), start=2):
        rows[row["patient_id"], row["x"], row["y"], row["z"]] = number
    for lesion in (lesion for part in parts for lesion in part.lesions):
        for target in lesion["targets"]:
            target["row"] = rows[lesion["patient_id"], target["x"], target["y"], target["z"]]


def _links(part: PatientPart) -> Iterable[Mapping[str, Any]]:
    for item in part.report_items:
        kind = "report-study" if item["report_type"] == ReportType.RADIOLOGY.value else "pathology-study"
        yield {"kind": kind, "patient_id": part.patient_id, "report_id": item["report_id"], "study_uid": item["study_uid"]}
    for lesion in part.lesions:
        place = {"patient_id": part.patient_id, "study_uid": lesion["study_uid"], "lesion_id": lesion["lesion_id"]}
        for kind in ("finding", "target", "specimen"):
            for entry in lesion[f"{kind}s"]:
                yield {"kind": f"{kind}-lesion", **place, **entry}


def configuration(*, has_images: bool) -> str:
    """A configuration for the cohort's folder, paths relative to it."""
    source = "{source: dicom_folder, path: dicom}" if has_images else "{source: image_index, path: images/index.csv}"
    return (
        "inputs:\n"
        "  reports:\n"
        "    - {source: report_table, path: reports/radiology.csv, report_type: radiology}\n"
        "    - {source: report_export, path: reports/pathology_export.txt, report_type: pathology}\n"
        f"  images:\n    - {source}\n"
        "  biopsies:\n"
        "    - {source: biopsy_csv, path: biopsies/targets.csv}\n"
        "output:\n"
        "  folder: output\n"
    )


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_export(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(EXPORT_HEADER + "\n")
        for row in rows:
            identity = ("", "", row["institution"], row["patient_id"], row["report_id"], f"{row['day']} 12:00:00 AM")
            file.write("|".join((*identity, "Surgical Pathology", "Final", "Pathology", row["text"])) + EXPORT_END + "\n")


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
