"""Small exported sets with bright lesions, written as the exporters name their files: 3-D cases of two channels, and 2-D pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from weakbox.exporters.image_manifest import write_manifest
from weakbox.imaging.volumes import Volume, write_nifti
from weakbox.records.grid import Grid
from weakbox.records.image_set import ImageBox, ImageRow

SPACING = (1.0, 1.2, 3.0)
SHAPE = (28, 24, 10)
"""Columns, rows, slices: all different, as are the spacings."""


def oblique_grid() -> Grid:
    turn = np.deg2rad(20)
    directions = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * SPACING, (-20, 14, 31)
    return Grid.from_matrix(matrix, SHAPE, None)


def part_of(number: int, count: int) -> str:
    share = number / count
    return "train" if share < 0.5 else "validation" if share < 0.75 else "test"


def box_of(start: Any, stop: Any, name: str, **changes: Any) -> ImageBox:
    values: dict[str, Any] = {"label": "csPCa", "tier": "expert", "confidence": 1.0}
    return ImageBox(label_id=name, start=tuple(map(float, start)), stop=tuple(map(float, stop)), **(values | changes))


def volume_set(folder: Path, count: int = 16, *, seed: int = 3, without: int = 4) -> list[ImageRow]:
    """Cases with one lesion each, every ``without``-th with none."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        case = f"case-{number:03d}"
        has_lesion = number % without != without - 1
        t2w, adc = rng.normal(300, 25, SHAPE[::-1]), rng.normal(1400, 80, SHAPE[::-1])
        size = np.array([7, 6, 3]) + rng.integers(0, 2, 3)
        start = rng.integers(2, np.array(SHAPE) - size - 1)
        if has_lesion:
            where = tuple(slice(int(a), int(a + b)) for a, b in zip(start[::-1], size[::-1], strict=True))
            t2w[where] += 250
            adc[where] -= 700
        (folder / "cases" / case).mkdir(parents=True)
        for name, values in (("t2w", t2w), ("adc_on_reference", adc)):
            write_nifti(Volume(values.astype(np.int16), oblique_grid()), folder / "cases" / case / f"{case}_{name}.nii.gz")
        boxes = (box_of(start, start + size, f"{case}_L1"),) if has_lesion else ()
        rows.append(volume_row(case, boxes, part_of(number, count), number % 2))
    write_manifest(rows, folder)
    return rows


def volume_row(case: str, boxes: tuple[ImageBox, ...], split: str, fold: int | None = None, **changes: Any) -> ImageRow:
    values: dict[str, Any] = {"tier": "expert", "label": "csPCa" if boxes else "no_csPCa"}
    return ImageRow(
        image_id=f"phantom/{case}",
        image_path=f"cases/{case}/{case}_t2w.nii.gz",
        dataset="phantom",
        organ="prostate",
        modality="MR",
        patient_id=f"patient-{case}",
        study_id=case,
        series_key="t2w",
        case_id=case,
        boxes=boxes,
        split=split,
        fold=None if split == "test" else fold,
        columns=SHAPE[0],
        rows=SHAPE[1],
        slices=SHAPE[2],
        spacing_mm=SPACING,
        **(values | changes),
    )


def write_labels(folder: Path, case: str, uncertainty: dict[str, float]) -> None:
    instances = [{"label": name, "box": {"uncertainty_mm": value}} for name, value in uncertainty.items()]
    (folder / "cases" / case / f"{case}_labels.json").write_text(json.dumps({"instances": instances}), encoding="utf-8")


def picture_set(folder: Path, count: int = 16, *, seed: int = 5) -> list[ImageRow]:
    """Pictures of 60 rows and 44 columns, each with one bright lesion: malignant ones are wide, benign ones high."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        name, label = f"picture-{number:03d}", "malignant" if number % 2 else "benign"
        pixels = rng.normal(70, 12, (60, 44))
        size = np.array([14, 8] if label == "malignant" else [8, 14])
        start = rng.integers(2, np.array([44, 60]) - size - 2)
        pixels[start[1] : start[1] + size[1], start[0] : start[0] + size[0]] += 120
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
        rows.append(
            ImageRow(
                image_id=f"phantom/{name}",
                image_path=f"{name}.png",
                dataset="phantom",
                organ="breast",
                modality="MG",
                patient_id=f"patient-{name}",
                study_id=name,
                series_key="mg",
                case_id=name,
                label=label,
                tier="expert",
                boxes=(box_of(start, start + size, f"{name}_L1", label=label),),
                split=part_of(number, count),
                fold=None,
                columns=44,
                rows=60,
            )
        )
    write_manifest(rows, folder)
    return rows


def detection_settings(folder: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Choices of a tiny 3-D experiment, as a configuration file holds them."""
    values: dict[str, Any] = {
        "task": "detection",
        "name": "tiny",
        "output": str(output),
        "set": {"folder": str(folder)},
        "cache": {"folder": str(output / "prepared")},
        "images": {"channels": ["t2w", "adc"]},
        "patches": {"size": [8, 24, 24], "a_image": 2},
        "network": {"widths": [8, 16, 24], "returned": [1, 2], "pyramid_width": 16},
        "anchors": {"count": 2},
        "selection": {"most": 10},
        "learning": {
            "epochs": 6,
            "batch_size": 4,
            "learning_rate": 0.004,
            "device": "cpu",
            "loader_threads": 0,
            "tensorboard": False,
            "monitor": "average_precision",
            "schedule": {"kind": "constant"},
            "alarms": {"sensitivity": "off"},
        },
    }
    return values | changes
