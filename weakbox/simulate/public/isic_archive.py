"""A small export of the ISIC Archive: today's table with levels of diagnosis, the old API's JSON files, and a collected folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from weakbox.simulate.draws import Draws
from weakbox.simulate.public.skin_pictures import SHAPE, isic_name, write_skin, write_table
from weakbox.simulate.public.tree import PlantedImage, PlantedTree, PublicTree

HEADER = (
    *("isic_id", "attribution", "copyright_license", "acquisition_day", "age_approx", "anatom_site_general", "anatom_site_special"),
    *("concomitant_biopsy", "dermoscopic_type", "diagnosis_1", "diagnosis_2", "diagnosis_3", "diagnosis_4", "diagnosis_5"),
    *(
        "diagnosis_confirm_type",
        "image_manipulation",
        "image_type",
        "lesion_id",
        "melanocytic",
        "patient_id",
        "pixels_x",
        "pixels_y",
        "sex",
    ),
)
DIAGNOSES = (
    ("Benign", "Benign melanocytic proliferations", "Nevus", "Nevus, Compound", "nevus"),
    ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma Invasive", "", "melanoma_invasive"),
    ("Indeterminate", "Indeterminate epidermal proliferations", "Solar or actinic keratosis", "", "actinic_keratosis"),
    ("Malignant", "Malignant adnexal epithelial proliferations - Follicular", "Basal cell carcinoma", "", "basal_cell_carcinoma"),
    ("Benign", "", "", "", "benign"),
)
"""Levels 1 to 4, and what the reader must call it."""
LICENCES = ("CC-0", "CC-BY", "CC-BY-NC")
WAYS = ("histopathology", "single image expert consensus", "", "serial imaging showing no change")


def rows(patients: int, seed: int) -> Iterator[tuple[dict[str, str], str]]:
    """Two images of each patient: the row of today's export, and the diagnosis."""
    for number in range(2 * patients):
        draws = Draws("isic_archive", seed, number)
        first, second, third, fourth, diagnosis = DIAGNOSES[number % len(DIAGNOSES)]
        yield (
            {
                "isic_id": isic_name(1_000_000 + number),
                "attribution": f"Phantom clinic {number % 2}, skin",
                "copyright_license": LICENCES[number % 3],
                "age_approx": str(5 * draws.whole(1, 17)),
                "sex": ("male", "female")[number % 2],
                "anatom_site_general": ("lower extremity", "")[number % 2],
                "image_type": "dermoscopic",
                "dermoscopic_type": "contact polarized",
                "diagnosis_1": first,
                "diagnosis_2": second,
                "diagnosis_3": third,
                "diagnosis_4": fourth,
                "diagnosis_confirm_type": WAYS[number % 4],
                "lesion_id": f"IL_{number // 2:07d}",
                "patient_id": f"IP_{number // 2:07d}",
                "pixels_x": str(SHAPE[1]),
                "pixels_y": str(SHAPE[0]),
            },
            diagnosis,
        )


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As ``isic image download`` writes it, and the archive's zip files unpacked: table, images and attributions in one folder."""
    several = tuple(rows(patients, seed))
    write_table(folder / "metadata.csv", HEADER, (row for row, _ in several))
    (folder / "attribution.txt").write_text("Phantom clinic 0, skin\n\nPhantom clinic 1, skin", encoding="utf-8")
    return PlantedTree(images=tuple(_plant(folder, row, diagnosis, seed, "{}.jpg") for row, diagnosis in several))


def write_old_api(folder: Path, patients: int, seed: int) -> PlantedTree:
    """One JSON file of the old API beside each image."""
    images = []
    for row, diagnosis in rows(patients, seed):
        images.append(_plant(folder, {**row, "patient_id": row["isic_id"]}, diagnosis, seed, "{}.jpg"))
        clinical = {
            "benign_malignant": row["diagnosis_1"].lower(),
            "age_approx": int(row["age_approx"]),
            "sex": row["sex"],
            "diagnosis": diagnosis.replace("_", " "),
            "diagnosis_confirm_type": row["diagnosis_confirm_type"] or None,
            "melanocytic": True,
        }
        acquisition = {"image_type": "dermoscopic", "pixelsX": SHAPE[1], "pixelsY": SHAPE[0]}
        answer = {
            "_id": f"5436e3ab{row['isic_id'][5:]}",
            "meta": {"clinical": clinical, "acquisition": acquisition},
            "name": row["isic_id"],
        }
        (folder / f"{row['isic_id']}.json").write_text(json.dumps(answer), encoding="utf-8")
    return PlantedTree(images=tuple(images))


def write_collected(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As ``collect`` leaves it: ``series.csv`` and ``images/``."""
    several = tuple(rows(patients, seed))
    renamed = ({**row, "key": row["isic_id"], "licence": row["copyright_license"], "status": "complete"} for row, _ in several)
    names = tuple(name for name in HEADER if name not in ("isic_id", "copyright_license"))
    table = ({name: cell for name, cell in row.items() if name not in ("isic_id", "copyright_license")} for row in renamed)
    write_table(folder / "series.csv", ("key", "status", "licence", *names), table)
    return PlantedTree(images=tuple(_plant(folder, row, diagnosis, seed, "images/{}.jpg") for row, diagnosis in several))


def _plant(folder: Path, row: dict[str, str], diagnosis: str, seed: int, path: str) -> PlantedImage:
    name = row["isic_id"]
    return write_skin(folder, path.format(name), patient=row["patient_id"], seed=seed * 100_000 + int(name[5:]), diagnosis=diagnosis)[0]


TREE = PublicTree(layout="export", write=write, other_layouts={"api": write_old_api, "collected": write_collected})
