"""A small ISIC 2020: several images a patient, one listed pair of duplicates; JPEG, or JPEG and DICOM as on Kaggle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weakbox.simulate.draws import Draws
from weakbox.simulate.mammograms import skin_phantom
from weakbox.simulate.public.skin_pictures import SHAPE, isic_name, write_skin, write_skin_dicom, write_table
from weakbox.simulate.public.tree import PlantedImage, PlantedTree, PublicTree

DIAGNOSES = (
    *(("unknown", "benign", "benign"), ("nevus", "nevus", "benign"), ("melanoma", "melanoma", "malignant")),
    *(("unknown", "benign", "benign"), ("lichenoid keratosis", "lichen_planus_like_keratosis", "benign")),
)
"""As the table writes it, as the reader must call it, and ``benign_malignant``."""
V1 = ("image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge", "diagnosis", "benign_malignant", "target")
V2 = ("image_name", "patient_id", "lesion_id", *V1[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image to be."""

    row: dict[str, str]
    seed: int
    diagnosis: str


def images(patients: int, seed: int) -> Iterator[Image]:
    """Three images of each patient; the second image of the first patient shows what the first one shows."""
    for number in range(3 * patients):
        patient, draws = number // 3, Draws("isic_2020", seed, number // 3)
        written, diagnosis, word = DIAGNOSES[number % len(DIAGNOSES)] if number not in (0, 1) else DIAGNOSES[0]
        row = {
            "image_name": isic_name(15719 + 7 * number),
            "patient_id": f"IP_{3075186 + patient}",
            "lesion_id": f"IL_{number:07d}",
            "sex": ("male", "female", "")[patient % 3],
            "age_approx": f"{5 * draws.whole(3, 17)}.0",
            "anatom_site_general_challenge": ("torso", "head/neck", "")[number % 3],
            "diagnosis": written,
            "benign_malignant": word,
            "target": str(int(word == "malignant")),
        }
        yield Image(row=row, seed=seed * 100_000 + max(number, 1), diagnosis=diagnosis)


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The challenge's JPEG download: both versions of the ground truth, the duplicates, and an untold test part."""
    several = tuple(images(patients, seed))
    rows = [image.row for image in several]
    write_table(folder / "ISIC_2020_Training_GroundTruth_v2.csv", V2, rows)
    write_table(folder / "ISIC_2020_Training_GroundTruth.csv", V1, _without_lesion(rows))
    _write_duplicates(folder, rows)
    test = {"image": isic_name(52060), "patient": "IP_3579794", "age_approx": "70", "anatom_site_general": "", "sex": "male"}
    write_table(folder / "ISIC_2020_Test_Metadata.csv", tuple(test), [test])
    write_skin(folder, f"ISIC_2020_Test_Input/{test['image']}.jpg", patient=test["patient"], seed=52060)
    return PlantedTree(images=tuple(_plant(folder, image, "train") for image in several), dropped={"no_public_truth": 1})


def write_kaggle(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The Kaggle competition: ``jpeg/train`` and ``train`` hold each image twice, as JPEG and as DICOM; no lesion ids, no duplicates."""
    several = tuple(images(patients, seed))
    write_table(folder / "train.csv", V1, _without_lesion([image.row for image in several]))
    for image in several:
        write_skin_dicom(
            folder / "train" / f"{image.row['image_name']}.dcm", skin_phantom(image.seed, shape=SHAPE)[0], image.row["patient_id"]
        )
    return PlantedTree(images=tuple(_plant(folder, image, "jpeg/train") for image in several))


def write_dicom(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The challenge's DICOM download."""
    several = tuple(images(patients, seed))
    rows = [image.row for image in several]
    write_table(folder / "ISIC_2020_Training_GroundTruth_v2.csv", V2, rows)
    _write_duplicates(folder, rows)
    planted = []
    for image in several:
        path = f"train/{image.row['image_name']}.dcm"
        write_skin_dicom(folder / path, skin_phantom(image.seed, shape=SHAPE)[0], image.row["patient_id"])
        planted.append(PlantedImage(path=path, patient_id=image.row["patient_id"]))
    return PlantedTree(images=tuple(planted))


def _without_lesion(rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    return ({name: cell for name, cell in row.items() if name != "lesion_id"} for row in rows)


def _write_duplicates(folder: Path, rows: list[dict[str, str]]) -> None:
    header = ("image_name_1", "image_name_2")
    write_table(
        folder / "ISIC_2020_Training_Duplicates.csv", header, [{header[0]: rows[1]["image_name"], header[1]: rows[0]["image_name"]}]
    )


def _plant(folder: Path, image: Image, place: str) -> PlantedImage:
    row = image.row
    path = f"{place}/{row['image_name']}.jpg"
    return write_skin(folder, path, patient=row["patient_id"], seed=image.seed, diagnosis=image.diagnosis)[0]


TREE = PublicTree(layout="challenge", write=write, other_layouts={"kaggle": write_kaggle, "challenge in DICOM": write_dicom})
