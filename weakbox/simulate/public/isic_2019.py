"""A small ISIC 2019: HAM, BCN and MSK lesions, images without a lesion, scaled-down images, and a test part with UNK."""

from __future__ import annotations

from pathlib import Path

from weakbox.simulate.draws import Draws
from weakbox.simulate.public.skin_pictures import isic_name, write_licence, write_skin, write_table
from weakbox.simulate.public.tree import PlantedImage, PlantedTree, PublicTree

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
DIAGNOSES = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal_cell_carcinoma",
    "AK": "actinic_keratosis",
    "BKL": "benign_keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular_lesion",
    "SCC": "squamous_cell_carcinoma",
    "UNK": "none_of_the_classes",
}
SITES = ("anterior torso", "head/neck", "", "palms/soles", "posterior torso")
KINDS = (("HAM_{:07d}", 24306, ""), ("BCN_{:07d}", 53454, ""), ("MSK4_{:07d}", 12653, "_downsampled"), ("", 0, ""))
"""Name of a lesion, number of the first image, ending of an image's name."""


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Training part only, numbers as ``0.0`` and ``1.0``, images in a folder of the folder's name (as the Kaggle mirror has them)."""
    images, truths, metadata = [], [], []
    for lesion in range(patients):
        pattern, first, ending = KINDS[lesion % 4]
        draws, code = Draws("isic_2019", seed, lesion), CLASSES[lesion % 8]
        for copy in range(2 if lesion % 4 == 1 else 1):
            name = isic_name(first + 2 * lesion + copy) + ending
            lesion_name = pattern.format(lesion)
            sex, age = ("male", "female", "")[lesion % 3], "" if lesion % 7 == 6 else str(5 * draws.whole(0, 17))
            images.append(_plant(folder, "Training", name, lesion_name or name, seed * 100_000 + 10 * lesion + copy, code))
            truths.append({"image": name, **{other: "1.0" if other == code else "0.0" for other in CLASSES}})
            metadata.append(
                {"image": name, "age_approx": age, "anatom_site_general": SITES[lesion % 5], "lesion_id": lesion_name, "sex": sex}
            )
    write_table(folder / "ISIC_2019_Training_GroundTruth.csv", ("image", *CLASSES), truths)
    header = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    write_table(folder / "ISIC_2019_Training_Metadata.csv", header, metadata)
    return PlantedTree(images=tuple(images))


def write_with_test_part(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Training and test part; the test tables have no lesions, and weights that nobody reads."""
    tree = write(folder, patients, seed)
    images, truths, metadata = [], [], []
    for number, code in enumerate(("MEL", "UNK", "NV")):
        name = isic_name(72000 + number)
        images.append(_plant(folder, "Test", name, name, seed * 100_000 + 72000 + number, code))
        weights = {"score_weight": "1.0", "validation_weight": "0.0"}
        truths.append({"image": name, **{other: "1.0" if other == code else "0.0" for other in CLASSES}, **weights})
        metadata.append({"image": name, "age_approx": "40", "anatom_site_general": "head/neck", "sex": "female"})
    write_table(folder / "ISIC_2019_Test_GroundTruth.csv", ("image", *CLASSES, "score_weight", "validation_weight"), truths)
    write_table(folder / "ISIC_2019_Test_Metadata.csv", ("image", "age_approx", "anatom_site_general", "sex"), metadata)
    return PlantedTree(images=(*tree.images, *images))


def _plant(folder: Path, part: str, name: str, patient: str, seed: int, code: str) -> PlantedImage:
    place = f"ISIC_2019_{part}_Input/ISIC_2019_{part}_Input"
    write_licence(folder / place)
    return write_skin(folder, f"{place}/{name}.jpg", patient=patient, seed=seed, diagnosis=DIAGNOSES[code])[0]


TREE = PublicTree(layout="challenge", write=write, other_layouts={"challenge with test part": write_with_test_part})
