"""A small ISIC 2018: lesion masks and mostly empty structure masks (Tasks 1-2), classes and lesion groupings (Task 3), all parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from weakbox.simulate.mammograms import write_picture
from weakbox.simulate.public.ham10000 import images
from weakbox.simulate.public.skin_pictures import SHAPE, isic_name, structure_in, write_licence, write_skin, write_table
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
STRUCTURES = ("globules", "milia_like_cyst", "negative_network", "pigment_network", "streaks")
PARTS = ("Training", "Validation", "Test")
SPLITS = {"Training": "train", "Validation": "validation", "Test": "test"}
WAYS = {
    "histo": "histopathology",
    "follow_up": "serial imaging showing no change",
    "consensus": "single image expert consensus",
    "confocal": "confocal microscopy with consensus dermoscopy",
}


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """All tasks beside each other."""
    return PlantedTree(images=(*_tasks_1_2(folder, patients, seed), *_task_3(folder, patients, seed)))


def write_tasks_1_2(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Masks only."""
    return PlantedTree(images=tuple(_tasks_1_2(folder, patients, seed)))


def write_task_3(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Classes only."""
    return PlantedTree(images=tuple(_task_3(folder, patients, seed)))


def _tasks_1_2(folder: Path, patients: int, seed: int) -> list[PlantedImage]:
    planted = []
    for number in range(patients):
        part = PARTS[number % 3]
        name, place = isic_name(100 + number), f"ISIC2018_Task1-2_{part}_Input"
        image, mask = write_skin(folder, f"{place}/{name}.jpg", patient=name, seed=seed * 100_000 + number, is_annotated=True)
        write_licence(folder / place)
        write_picture(folder / f"ISIC2018_Task1_{part}_GroundTruth" / f"{name}_segmentation.png", mask)
        write_picture(folder / place / f"{name}_superpixels.png", np.full((*SHAPE, 3), number, dtype=np.uint8))
        drawn = STRUCTURES[number % 5]
        for structure in STRUCTURES:
            content, box = structure_in(mask, seed, number)
            masks = f"ISIC2018_Task2_{part}_GroundTruth{'_v3' if part == 'Training' else ''}"
            pixels = content if structure == drawn else np.zeros(SHAPE, dtype=bool)
            write_picture(folder / masks / f"{name}_attribute_{structure}.png", pixels)
        planted.append(replace(image, lesions=(*image.lesions, PlantedLesion(start=box[:2], stop=box[2:]))))
    return planted


def _task_3(folder: Path, patients: int, seed: int) -> list[PlantedImage]:
    planted = []
    for part, lesions, first in (("Training", patients, 24306), ("Validation", 2, 34321), ("Test", 2, 35000)):
        several = tuple(images(lesions, seed, first, f"ISIC2018_Task3_{part}_Input"))
        for image in several:
            patient = image.row["lesion_id"] if part == "Training" else image.row["image_id"]
            planted.append(write_skin(folder, image.path, patient=patient, seed=image.seed, diagnosis=image.diagnosis)[0])
        rows = (
            {"image": image.row["image_id"], **{code: "1.0" if code.lower() == image.row["dx"] else "0.0" for code in CLASSES}}
            for image in several
        )
        name = f"ISIC2018_Task3_{part}_GroundTruth"
        write_table(folder / name / f"{name}.csv", ("image", *CLASSES), rows)
        write_licence(folder / name)
        if part == "Training":
            _write_groupings(folder, [image.row for image in several])
    return planted


def _write_groupings(folder: Path, rows: list[dict[str, str]]) -> None:
    write_table(
        folder / "ISIC2018_Task3_Training_LesionGroupings.csv",
        ("image", "lesion_id", "diagnosis_confirm_type"),
        ({"image": row["image_id"], "lesion_id": row["lesion_id"], "diagnosis_confirm_type": WAYS[row["dx_type"]]} for row in rows),
    )


TREE = PublicTree(layout="all_tasks", write=write, other_layouts={"tasks_1_2": write_tasks_1_2, "task_3": write_task_3})
