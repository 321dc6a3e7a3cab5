"""A small HAM10000: two image folders, the metadata table, lesion masks; every third lesion has two images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weakbox.simulate.draws import Draws
from weakbox.simulate.mammograms import write_picture
from weakbox.simulate.public.skin_pictures import isic_name, write_skin, write_table
from weakbox.simulate.public.tree import PlantedImage, PlantedTree, PublicTree

HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
CLASSES = (
    *(("mel", "melanoma"), ("nv", "nevus"), ("bcc", "basal_cell_carcinoma"), ("bkl", "benign_keratosis"), ("df", "dermatofibroma")),
    *(("akiec", "actinic_keratosis_or_intraepithelial_carcinoma"), ("vasc", "vascular_lesion")),
)
WAYS = ("histo", "follow_up", "consensus", "confocal")
SITES = ("back", "lower extremity", "face", "unknown")
SOURCES = ("vidir_modern", "rosendahl", "vidir_molemax", "vienna_dias")
MASKS = "HAM10000_segmentations_lesion_tschandl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image to be: the row of its table, and where it goes."""

    row: dict[str, str]
    path: str
    seed: int
    diagnosis: str


def images(lesions: int, seed: int, first: int = 24306, folder: str | None = None) -> Iterator[Image]:
    """Images of some lesions, numbered from ``first``."""
    number = first
    for lesion in range(lesions):
        draws = Draws("ham10000", seed, first, lesion)
        code, diagnosis = CLASSES[lesion % len(CLASSES)]
        for _ in range(2 if lesion % 3 == 0 else 1):
            name = isic_name(number)
            row = {
                "lesion_id": f"HAM_{first % 1000 + lesion:07d}",
                "image_id": name,
                "dx": code,
                "dx_type": WAYS[lesion % 4],
                "age": "" if lesion % 5 == 4 else f"{5 * draws.whole(0, 17)}.0",
                "sex": ("male", "female", "unknown")[lesion % 3],
                "localization": SITES[lesion % 4],
                "dataset": SOURCES[lesion % 4],
            }
            place = folder or f"HAM10000_images_part_{1 + number % 2}"
            yield Image(row=row, path=f"{place}/{name}.jpg", seed=seed * 100_000 + number, diagnosis=diagnosis)
            number += 1


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Unzipped beside each other, as from the Dataverse in original format."""
    return _write(folder, tuple(images(patients, seed)), "HAM10000_metadata.csv", ",")


def write_with_test_part(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The Dataverse's own table format, with the ISIC 2018 test part: one row more than images, and no masks for it."""
    tree = _write(folder, tuple(images(patients, seed)), "HAM10000_metadata.tab", "\t")
    tests = tuple(images(3, seed, first=35000, folder="ISIC2018_Task3_Test_Images"))
    planted = tuple(_plant(folder, image) for image in tests)
    absent = {**tests[0].row, "image_id": isic_name(35999)}
    write_table(folder / "ISIC2018_Task3_Test_GroundTruth.tab", HEADER, [*(image.row for image in tests), absent], "\t")
    return PlantedTree(images=(*tree.images, *planted), dropped={"image_missing": 1})


def _write(folder: Path, training: tuple[Image, ...], table: str, delimiter: str) -> PlantedTree:
    write_table(folder / table, HEADER, (image.row for image in training), delimiter)
    return PlantedTree(images=tuple(_plant(folder, image, is_annotated=True) for image in training))


def _plant(folder: Path, image: Image, *, is_annotated: bool = False) -> PlantedImage:
    row = image.row
    planted, mask = write_skin(
        folder, image.path, patient=row["lesion_id"], seed=image.seed, diagnosis=image.diagnosis, is_annotated=is_annotated
    )
    if is_annotated:
        write_picture(folder / MASKS / MASKS / f"{row['image_id']}_segmentation.png", mask)
    return planted


TREE = PublicTree(layout="dataverse", write=write, other_layouts={"dataverse with test part": write_with_test_part})
