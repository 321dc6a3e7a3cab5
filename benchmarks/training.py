"""Training's loader and step against a bare loop on batches that lie ready, and against the loader of MONAI's tutorials.

The training command measures itself (``--profile``) in a process of its own, because nothing may import the experiments.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measured import Figure
from weakbox.exporters.image_manifest import write_manifest
from weakbox.imaging.volumes import Volume, write_nifti
from weakbox.records.grid import Grid
from weakbox.records.image_set import ImageRow

ROOT = Path(__file__).resolve().parents[1]
PICTURE = (1024, 768)
VOLUME = (20, 160, 160)
CONFIGURATION = """
name: benchmark
output: out
set: {{folder: {folder}}}
classes: [benign, malignant]
input: {input}
model: {{name: {model}}}
augmentation: {augmentation}
learning: {{batch_size: {batch_size}}}
"""
SETTINGS = (
    ("mammograms of 1024 x 768 at 224 x 224, ResNet-18", "{size: [224, 224]}", "resnet18", "mammography", 16),
    ("bpMRI of 3 x 20 x 160 x 160 at 16 x 96 x 96, light CNN", "{axes: 3, size: [16, 96, 96]}", "light_cnn", "mr", 4),
)


def write_set(folder: Path, count: int, *, is_volume: bool) -> None:
    """Noise as images of a finished set; every second one is malignant, every fourth validates."""
    random = np.random.default_rng(0)
    rows = [_row(folder, number, random, is_volume=is_volume) for number in range(count)]
    write_manifest(rows, folder)


def _row(folder: Path, number: int, random: np.random.Generator, *, is_volume: bool) -> ImageRow:
    name = f"case{number:04d}"
    path = _write_volume(folder, name, random) if is_volume else _write_picture(folder, name, random)
    return ImageRow(
        image_id=name,
        image_path=path,
        dataset="noise",
        organ="prostate" if is_volume else "breast",
        modality="MR" if is_volume else "MG",
        patient_id=name,
        study_id=name,
        series_key=name,
        case_id=name,
        label=("benign", "malignant")[number % 2],
        tier="expert",
        split="validation" if number // 2 % 4 == 3 else "train",
        columns=VOLUME[2] if is_volume else PICTURE[1],
        rows=VOLUME[1] if is_volume else PICTURE[0],
        slices=VOLUME[0] if is_volume else None,
        spacing_mm=(0.5, 0.5, 3.0) if is_volume else None,
    )


def _write_picture(folder: Path, name: str, random: np.random.Generator) -> str:
    path = folder / "images" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = random.integers(0, 200, (PICTURE[0] // 8, PICTURE[1] // 8), np.uint8)
    Image.fromarray(coarse).resize(PICTURE[::-1], Image.Resampling.BICUBIC).save(path)
    return f"images/{name}.png"


def _write_volume(folder: Path, name: str, random: np.random.Generator) -> str:
    grid = Grid.from_matrix(np.diag([0.5, 0.5, 3.0, 1.0]), VOLUME[::-1], "1.2.3")
    for channel in ("t2w", "adc_on_reference", "high_b_on_reference"):
        path = folder / "cases" / name / f"{name}_{channel}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(Volume(random.normal(500, 80, VOLUME).astype(np.int16), grid), path)
    return f"cases/{name}/{name}_t2w.nii.gz"


def profile(folder: Path, input_options: str, model: str, augmentation: str, batch_size: int) -> dict[str, Any]:
    """What ``training.py --profile`` says."""
    config = folder / "experiment.yaml"
    text = CONFIGURATION.format(folder=folder / "set", input=input_options, model=model, augmentation=augmentation, batch_size=batch_size)
    config.write_text(text, encoding="utf-8")
    command = [sys.executable, str(ROOT / "cv_model_experiments" / "training.py"), "--config", str(config), "--profile"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def measure(count: int) -> Iterator[Figure]:
    """Figures for ``count`` pictures and a quarter as many volumes."""
    for title, input_options, model, augmentation, batch_size in SETTINGS:
        is_volume = "axes: 3" in input_options
        with tempfile.TemporaryDirectory() as name:
            write_set(Path(name) / "set", max(32, count // 4 if is_volume else count), is_volume=is_volume)
            figures = profile(Path(name), input_options, model, augmentation, batch_size)
        yield Figure(
            what=f"Training steps, {title}, batch {batch_size}, {figures['device']}",
            value=f"{figures['steps_samples_a_second']:.1f} samples/s, {100 * figures['steps_share_of_bare']:.0f} % of the bare loop",
            compared_with=f"bare loop on batches that lie ready: {figures['bare_steps_samples_a_second']:.1f} samples/s",
            aim="at least 90 % of the bare loop",
        )
        yield Figure(
            what=f"Loader alone, {title}",
            value=f"{figures['loader_samples_a_second']:,.0f} samples/s after {figures['preparing_seconds']:.1f} s of preparing once",
            compared_with=f"loader of MONAI's tutorial, two processes: {figures['peer_loader_samples_a_second']:,.0f} samples/s",
            aim="faster than the model can step",
        )
