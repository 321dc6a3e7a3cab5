"""A small RSNA Screening Mammography as Kaggle lays it out: numbers as names, a folder a patient, no boxes, a test part without classes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from weakbox.records.record import record
from weakbox.simulate.mammograms import breast_phantom, eight_bit, write_mammogram_dicom, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

SHAPE = (256, 192)
TRAIN_HEADER = (
    "site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "biopsy", "invasive", "BIRADS", "implant", "density",
    "machine_id", "difficult_negative_case",
)  # fmt: skip
TEST_HEADER = ("site_id", "patient_id", "image_id", "laterality", "view", "age", "implant", "machine_id", "prediction_id")
VIEWS = ("CC", "MLO")


@record
class Breast:
    """What the table says of a breast; empty cells as in the table."""

    cancer: int = 0
    biopsy: int = 0
    invasive: int = 0
    birads: str = ""
    is_difficult: bool = False

    @property
    def diagnosis(self) -> str:
        """What a reader must make of it."""
        return "malignant" if self.cancer else "benign" if self.biopsy else "no_cancer"


WOMEN: tuple[tuple[Breast, Breast], ...] = (
    (Breast(cancer=1, biopsy=1, invasive=1, birads="0.0"), Breast(birads="1.0")),
    (Breast(), Breast()),
    (Breast(birads="2.0"), Breast(biopsy=1, birads="0.0", is_difficult=True)),
    (Breast(cancer=1, biopsy=1), Breast()),
)
"""Left and right breast."""


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """DICOM files as ``train_images/<patient>/<image>.dcm``; every sixth woman is in the test part."""
    return _write(folder, patients, seed, "train_images/{patient}/{image}.dcm")


def write_pictures(folder: Path, patients: int, seed: int) -> PlantedTree:
    """A mirror with one flat folder of PNG."""
    return _write(folder, patients, seed, "train_images/{patient}_{image}.png")


def _write(folder: Path, patients: int, seed: int, pattern: str) -> PlantedTree:
    images: list[PlantedImage] = []
    rows: dict[str, list[tuple[object, ...]]] = {"train": [], "test": []}
    for number in range(patients):
        part = "test" if number % 6 == 5 else "train"
        patient = str(10006 + 7 * number + 1000 * seed)
        for index, (side, view) in enumerate((side, view) for side in "LR" for view in VIEWS):
            image = str(462822612 + 97 * (4 * number + index))
            path = folder / pattern.format(patient=patient, image=image).replace("train_images", f"{part}_images")
            breast = WOMEN[number % len(WOMEN)]["LR".index(side)]
            lesion = _write_image(path, seed * 100 + number, side, view, breast, number)
            rows[part].append(_row(part, patient, image, side, view, number, breast))
            attributes = {"laterality": {"L": "left", "R": "right"}[side], "view": view}
            images.append(PlantedImage(path=path.relative_to(folder).as_posix(), patient_id=patient, lesions=lesion, attributes=attributes))
    _write_table(folder / "train.csv", TRAIN_HEADER, rows["train"])
    if rows["test"]:
        _write_table(folder / "test.csv", TEST_HEADER, rows["test"])
        predictions = sorted({str(row[-1]) for row in rows["test"]})
        _write_table(folder / "sample_submission.csv", ("prediction_id", "cancer"), [(name, 0.0216) for name in predictions])
    return PlantedTree(images=tuple(images))


def _write_image(path: Path, seed: int, side: str, view: str, breast: Breast, number: int) -> tuple[PlantedLesion, ...]:
    pixels, boxes = breast_phantom(seed, side, view, breast.cancer, shape=SHAPE)
    if path.suffix == ".png":
        write_picture(path, eight_bit(pixels))
    else:
        syntax = "jpeg2000" if number % 3 == 1 else "explicit"
        write_mammogram_dicom(path, pixels, laterality=side, view=view, transfer_syntax=syntax, monochrome1=number % 2 == 1)
    return tuple(PlantedLesion(start=box[:2], stop=box[2:], diagnosis="malignant", is_annotated=False) for box in boxes)


def _row(part: str, patient: str, image: str, side: str, view: str, number: int, breast: Breast) -> tuple[object, ...]:
    site, age, implant, machine = 1 + number % 2, f"{50 + number % 35}.0", int(number % 4 == 3), 29 + 20 * (number % 2)
    if part == "test":
        return site, patient, image, side, view, age, implant, machine, f"{patient}_{side}"
    density = "" if site == 2 else "ABCD"[number % 4]
    stated = (breast.cancer, breast.biopsy, breast.invasive, breast.birads)
    return site, patient, image, side, view, age, *stated, implant, density, machine, breast.is_difficult


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


TREE = PublicTree(layout="kaggle", write=write, other_layouts={"kaggle_pictures": write_pictures})
