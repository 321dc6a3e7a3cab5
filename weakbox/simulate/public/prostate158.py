"""Prostate158 as its two zip files unpack: NIfTI volumes and masks in a folder a study, one table a part."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from weakbox.imaging.resampling import resample_linear
from weakbox.imaging.volumes import Volume
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
    "ID", "t2", "adc", "dwi", "t2_anatomy_reader1", "t2_tumor_reader1", "adc_tumor_reader1", "t2_anatomy_reader2", "adc_tumor_reader2",
)  # fmt: skip
TUMOUR = 3
"""Value of tumour voxels; the zones are 1 and 2."""
PARTS = ("train", "train", "valid", "test")
"""Parts of the patients, in turn. Every second patient has a tumour, every fourth one only on ADC beside it."""
FOLDERS: Mapping[str, tuple[str, str]] = {
    "train": ("prostate158_train", "train"),
    "valid": ("prostate158_train", "train"),
    "test": ("prostate158_test", "test"),
}


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Train and validation studies in one zip's folder, test studies in the other's; a table each."""
    tables: dict[str, list[Sequence[str]]] = {part: [] for part in FOLDERS}
    images: list[PlantedImage] = []
    for index in range(patients):
        part = PARTS[index % len(PARTS)]
        root, inner = FOLDERS[part]
        number = index + (1 if part == "test" else 20)
        study = draw_prostate_study(seed, f"{number:03d}", 0, (2, 0, 1, 1)[index % 4], date(2018, 5, 1))
        cells = _write_study(folder / root, f"{inner}/{number:03d}", study, has_second=part == "test")
        tables[part].append((str(number), *cells))
        images.append(
            PlantedImage(
                path=f"{root}/{inner}/{number:03d}/t2.nii.gz",
                patient_id=f"{number:03d}",
                lesions=tuple(planted(study, region, "prostate_cancer") for region in study.regions),
            )
        )
    for part, rows in tables.items():
        path = folder / FOLDERS[part][0] / f"{part}.csv"
        if rows:
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    return PlantedTree(images=tuple(images))


def _write_study(root: Path, place: str, study: ProstateStudy, *, has_second: bool) -> tuple[str, ...]:
    """The study's files, all on the T2's grid; their cells in the table. A second lesion is drawn on ADC only."""
    for name, (array, grid) in images_of(study).items():
        on_t2 = resample_linear(Volume(array.astype(np.int16), grid), study.t2)
        write_volume(root / place / f"{'dwi' if name == 'high_b' else name}.nii.gz", on_t2.array, study.t2)
    zones = np.full(study.t2.shape[::-1], 1, dtype=np.uint8)
    write_volume(root / place / "t2_anatomy_reader1.nii.gz", zones, study.t2)
    cells = [f"{place}/{name}.nii.gz" for name in ("t2", "adc", "dwi", "t2_anatomy_reader1")]
    drawn = {"t2_tumor_reader1": study.regions[:1], "adc_tumor_reader1": study.regions}
    drawn |= {"t2_anatomy_reader2": (), "adc_tumor_reader2": study.regions if has_second else ()}
    for name, regions in drawn.items():
        if regions:
            write_volume(root / place / f"{name}.nii.gz", label_volume(study.t2, regions, [TUMOUR] * len(regions)), study.t2)
        cells.append(f"{place}/{name}.nii.gz" if regions else "")
    return tuple(cells)


TREE = PublicTree(layout="zenodo", write=write)
