"""Small finished sets to train on, written by the real writer: pictures with a bright disc or none, volumes with a bright ball."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from weakbox.exporters.image_manifest import write_manifest
from weakbox.imaging.volumes import Volume, write_nifti
from weakbox.records.grid import Grid
from weakbox.records.image_set import ImageBox, ImageRow

SHAPE = (40, 32)
VOLUME_SHAPE = (8, 24, 20)
RADIUS = 6
Change = Callable[[ImageRow], ImageRow]


def write_picture_set(folder: Path, patients: int = 30, *, views: int = 1, change: Change | None = None) -> list[ImageRow]:
    """Every second patient has a bright disc; of five patients one validates and one tests, and all others have folds 0..2."""
    rows = []
    for patient in range(patients):
        for view in range(views):
            rows.append(_picture(folder, patient, view))
    return _written(rows, folder, change)


def _picture(folder: Path, patient: int, view: int) -> ImageRow:
    random = np.random.default_rng(1000 * patient + view)
    pixels = random.normal(80, 15, SHAPE)
    is_malignant = patient % 2 == 1
    row, column = random.integers(RADIUS + 2, SHAPE[0] - RADIUS - 2), random.integers(RADIUS + 2, SHAPE[1] - RADIUS - 2)
    if is_malignant:
        distance = np.hypot(*np.meshgrid(np.arange(SHAPE[0]) + 0.5 - row, np.arange(SHAPE[1]) + 0.5 - column, indexing="ij"))
        pixels[distance <= RADIUS] += 90
    name = f"p{patient:03d}_v{view}"
    path = folder / "images" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    label = "malignant" if is_malignant else "benign"
    box = ImageBox(
        label_id=f"{name}_lesion",
        start=(float(column - RADIUS), float(row - RADIUS)),
        stop=(float(column + RADIUS), float(row + RADIUS)),
        label=label,
        tier="expert" if patient % 3 else "report_sector",
        confidence=0.9,
    )
    return _row(name, f"images/{name}.png", path, patient, label, (box,), "breast", ("CC", "MLO")[view % 2])


def write_volume_set(
    folder: Path, patients: int = 20, *, spacings: Sequence[float] = (0.5,), change: Change | None = None
) -> list[ImageRow]:
    """3-D cases with three channels; every second patient has a bright ball on T2."""
    rows = []
    for patient in range(patients):
        random = np.random.default_rng(patient)
        spacing = spacings[patient % len(spacings)]
        grid = Grid.from_matrix(np.diag([spacing, spacing, 3.0, 1.0]), VOLUME_SHAPE[::-1], "1.2.3")
        name = f"case{patient:03d}"
        case = folder / "cases" / name
        case.mkdir(parents=True, exist_ok=True)
        t2w = random.normal(300, 30, VOLUME_SHAPE)
        if patient % 2:
            t2w[2:5, 8:15, 6:13] += 300
        for channel, array in (
            ("t2w", t2w),
            ("adc_on_reference", random.normal(1200, 50, VOLUME_SHAPE)),
            ("high_b_on_reference", t2w * 0.3),
        ):
            write_nifti(Volume(array.astype(np.float32), grid), case / f"{name}_{channel}.nii.gz")
        box = ImageBox(
            label_id=f"{name}_L1", start=(6.0, 8.0, 2.0), stop=(13.0, 15.0, 5.0), label="csPCa", tier="biopsy_coordinate", confidence=0.8
        )
        path = f"cases/{name}/{name}_t2w.nii.gz"
        label = "csPCa" if patient % 2 else "no_csPCa"
        row = _row(name, path, folder / path, patient, label, (box,) if patient % 2 else (), "prostate", None)
        rows.append(
            replace(
                row,
                modality="MR",
                slices=VOLUME_SHAPE[0],
                rows=VOLUME_SHAPE[1],
                columns=VOLUME_SHAPE[2],
                spacing_mm=(spacing, spacing, 3.0),
            )
        )
    return _written(rows, folder, change)


def _row(
    name: str, image_path: str, path: Path, patient: int, label: str, boxes: tuple[ImageBox, ...], organ: str, view: str | None
) -> ImageRow:
    split = ("train", "train", "train", "validation", "test")[patient // 2 % 5]
    return ImageRow(
        image_id=f"made/{name}",
        image_path=image_path,
        dataset="made",
        organ=organ,
        modality="MG",
        patient_id=f"patient{patient:03d}",
        study_id=f"study{patient:03d}",
        series_key=name,
        case_id=f"study{patient:03d}",
        laterality="right" if patient % 4 == 0 else "left",
        view=view,
        label=label,
        label_source="histopathology",
        tier="expert",
        boxes=boxes,
        split=split,
        fold=None if split == "test" else patient // 2 % 3,
        columns=SHAPE[1],
        rows=SHAPE[0],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        group=f"group{patient:03d}",
    )


def _written(rows: list[ImageRow], folder: Path, change: Change | None) -> list[ImageRow]:
    changed = [row if change is None else change(row) for row in rows]
    write_manifest(changed, folder)
    return changed
