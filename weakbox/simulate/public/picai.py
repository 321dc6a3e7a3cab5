"""PI-CAI as its five zip files unpack, with the labels repository beside it: MHA volumes, marksheet, masks, the mapping to PROSTATEx."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from weakbox.simulate.public.prostate_studies import (
    ProstateStudy,
    draw_prostate_study,
    images_of,
    label_volume,
    planted,
    write_volume,
)
from weakbox.simulate.public.tree import PlantedImage, PlantedTree, PublicTree

COLUMNS = (
    "patient_id", "study_id", "mri_date", "patient_age", "psa", "psad", "prostate_volume", "histopath_type", "lesion_PIRADS", "lesion_GS",
    "lesion_ISUP", "case_ISUP", "case_csPCa", "center",
)  # fmt: skip
CENTERS = ("RUMC", "PCNN", "ZGT")
SUFFIXES = {"t2": "t2w", "adc": "adc", "high_b": "hbv"}
GLEASON = {0: "0+0", 1: "3+3", 2: "3+4", 3: "4+3", 4: "4+4", 5: "4+5"}
SIGNIFICANT = "clinically_significant_cancer"
KINDS: tuple[tuple[str, str, tuple[int, ...], str], ...] = (
    ("human", "MRBx", (3, 2), "4,5"),
    ("negative", "", (), "2,2"),
    ("newer", "SysBx+MRBx", (2,), "5"),
    ("model", "MRBx", (4,), "4,2"),
    ("benign", "SysBx", (0,), "3"),
)
"""Who drew, what tissue was taken, ISUP of the drawn lesions, PI-RADS as listed (two studies list more scores than grades)."""


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """One study a patient, in turn: drawn by readers, negative, newly drawn by readers, drawn by a model, benign in tissue."""
    rows: list[Sequence[object]] = []
    images: list[PlantedImage] = []
    mapping: dict[str, str] = {}
    for index in range(patients):
        kind, tissue, grades, scores = KINDS[index % len(KINDS)]
        name = f"{10000 + index}_{1000000 + index}"
        day = date(2014, 3, 3) + timedelta(days=11 * index)
        drawn = [grade for grade in grades if grade >= 2]
        study = draw_prostate_study(seed, str(10000 + index), 0, len(drawn), day)
        t2 = _write_images(folder / f"images/fold{index % 5}" / str(10000 + index), name, study)
        _write_masks(folder / "picai_labels", name, study, kind, drawn)
        rows.append(_row(index, name, day, tissue, scores, grades))
        if index % 2 == 0:
            mapping[f"ProstateX-{index:04d}_{day:%m-%d-%Y}"] = name
        images.append(
            PlantedImage(
                path=t2.relative_to(folder).as_posix(),
                patient_id=str(10000 + index),
                lesions=tuple(planted(study, region, SIGNIFICANT) for region in study.regions),
                attributes={"centre": CENTERS[index % len(CENTERS)], "fold": str(index % 5)},
            )
        )
    _write_tables(folder / "picai_labels", rows, mapping)
    return PlantedTree(images=tuple(images))


def _row(index: int, name: str, day: date, tissue: str, scores: str, grades: Sequence[int]) -> Sequence[object]:
    patient, study = name.split("_")
    isup = ",".join(str(grade) for grade in grades)
    gleason = ",".join(GLEASON[grade] for grade in grades)
    if scores.count(",") > isup.count(",") and isup:
        gleason = f"{gleason},N/A"
    worst = max(grades, default=0)
    positive = "YES" if worst >= 2 else "NO"
    center = CENTERS[index % len(CENTERS)]
    return (patient, study, day.isoformat(), 60 + index % 15, 7.5, "", 50 + index, tissue, scores, gleason, isup, worst, positive, center)


def _write_images(folder: Path, name: str, study: ProstateStudy) -> Path:
    for key, (array, grid) in images_of(study).items():
        write_volume(folder / f"{name}_{SUFFIXES[key]}.mha", array, grid)
    return folder / f"{name}_t2w.mha"


def _write_masks(labels: Path, name: str, study: ProstateStudy, kind: str, grades: Sequence[int]) -> None:
    """A model's mask for every study; readers' masks with the grade, the newer ones without."""
    folder = labels / "csPCa_lesion_delineations"
    plain = label_volume(study.t2, study.regions, [1] * len(grades))
    write_volume(folder / "AI/Bosma22a" / f"{name}.nii.gz", plain, study.t2)
    if kind in ("human", "negative", "benign"):
        graded = label_volume(study.t2, study.regions, list(grades))
        write_volume(folder / "human_expert/resampled" / f"{name}.nii.gz", graded, study.t2)
        coarse = label_volume(study.diffusion, study.regions, list(grades))
        write_volume(folder / "human_expert/original" / f"{name}.nii.gz", coarse, study.diffusion)
    if kind == "newer":
        write_volume(folder / "human_expert/Pooch25" / f"{name}.nii.gz", np.minimum(plain, 1), study.t2)


def _write_tables(labels: Path, rows: Sequence[Sequence[object]], mapping: dict[str, str]) -> None:
    (labels / "clinical_information").mkdir(parents=True, exist_ok=True)
    with (labels / "clinical_information/marksheet.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    path = labels / "additional_resources/ProstateX-mapping.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(mapping, indent=4) + "\n", encoding="utf-8")


TREE = PublicTree(layout="mha", write=write)
