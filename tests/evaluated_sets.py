"""A small set of mammograms of two views a patient, and models of chosen skill on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cv_model_experiments.evaluation.settings import EvaluationSettings
from cv_model_experiments.predictions import PredictedBox, Prediction, PredictionHeader, PredictionSet
from weakbox.records.image_set import ImageBox, ImageRow

SIDE = 64
PARTS = ("train", "validation", "test")
PATIENTS = {"train": 6, "validation": 20, "test": 30}
CLASSES = ("benign", "malignant")


def quick_settings(**choices: object) -> EvaluationSettings:
    return EvaluationSettings.model_validate({"bootstrap": {"draws": 40, "permutations": 40}, "smallest_subgroup": 5, **choices})


def toy_row(part: str, number: int, view: str, **changes: object) -> ImageRow:
    """Every second patient has a malignant lesion, every fourth a benign one; views of a patient differ in place."""
    name = f"{part}{number:02d}"
    start = (4.0 + number, 6.0 + (8 if view == "MLO" else 0))
    label = "malignant" if number % 2 else "benign"
    kind = label if number % 4 else None
    box = ImageBox(
        label_id=f"{name}{view}-1",
        start=start,
        stop=(start[0] + 10, start[1] + 12),
        label=label,
        tier="expert" if number % 3 else "biopsy_coordinate",
        finding_types=("mass",) if number % 5 else ("calcification",),
    )
    row = ImageRow(
        image_id=f"toy/{name}_{view}",
        image_path=f"images/{name}_{view}.png",
        dataset="toy",
        organ="breast",
        modality="MG",
        patient_id=f"P-{name}",
        study_id=name,
        series_key=view,
        case_id=f"toy-{name}",
        view=view,
        manufacturer="Acme" if number % 2 else "Bolt",
        label=label,
        tier="expert" if number % 3 else "biopsy_coordinate",
        boxes=(box,) if kind is not None else (),
        split=part,
        columns=SIDE,
        rows=SIDE,
        spacing_mm=(0.8, 0.8),
        sha256=f"sha-{name}-{view}",
        group_ids=(f"patient:P-{name}",),
        group=f"group-{name}",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def toy_rows() -> list[ImageRow]:
    return [toy_row(part, number, view) for part in PARTS for number in range(PATIENTS[part]) for view in ("CC", "MLO")]


def _prediction(row: ImageRow, skill: float, random: np.random.Generator) -> Prediction:
    """A malignant lesion is found with a score that grows with skill, and there is noise everywhere."""
    boxes = [PredictedBox(start=(50.0, 50.0), stop=(58.0, 60.0), score=float(random.uniform(0.05, 0.6)), label="malignant")]
    for box in row.boxes:
        score = float(np.clip(random.normal(0.35 + 0.4 * skill * (box.label == "malignant"), 0.15), 0.01, 0.99))
        boxes.append(
            PredictedBox(
                start=tuple(edge + 1 for edge in box.start), stop=tuple(edge + 1 for edge in box.stop), score=score, label=box.label
            )
        )
    probability = float(np.clip(random.normal(0.35 + 0.35 * skill * (row.label == "malignant"), 0.15), 0.01, 0.99))
    return Prediction(
        image_id=row.image_id,
        case_id=row.case_id,
        patient_id=row.patient_id,
        split=str(row.split),
        boxes=tuple(boxes),
        probabilities={"benign": 1 - probability, "malignant": probability},
    )


def toy_header(model: str, rows: list[ImageRow], **changes: object) -> PredictionHeader:
    trained = tuple(row.image_id for row in rows if row.split == "train")
    content = {"model": model, "tasks": ("detection", "classification"), "classes": CLASSES, "trained_on": {"all": trained}}
    return PredictionHeader.model_validate({**content, **changes})


def toy_predictions(rows: list[ImageRow], model: str = "good", skill: float = 1.0, seed: int = 0, **header: object) -> PredictionSet:
    random = np.random.default_rng(seed)
    made = tuple(_prediction(row, skill, random) for row in rows if row.split in ("validation", "test"))
    return PredictionSet(header=toy_header(model, rows, **header), rows=made)
