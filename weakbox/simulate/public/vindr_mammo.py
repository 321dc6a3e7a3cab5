"""A small VinDr-Mammo as PhysioNet lays it out: four views an examination, BI-RADS as text, ``No Finding`` rows without numbers."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from weakbox.records.record import record
from weakbox.simulate.mammograms import Rectangle, breast_phantom, eight_bit, write_mammogram_dicom, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

SHAPE = (256, 192)
VIEWS = (("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))
IMAGE_HEADER = ("study_id", "series_id", "image_id", "laterality", "view_position", "height", "width", "breast_birads", "breast_density")
FINDING_HEADER = (*IMAGE_HEADER, "finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax", "split")
BREAST_HEADER = ("study_id", "series_id", "laterality", "image_id", "view_position", *IMAGE_HEADER[5:], "split")
AT_THE_EDGE: Rectangle = (0.0, 100.0, 14.0, 122.0)
"""A lesion at the chest wall of a left breast; its box is drawn beyond the image."""
OVER_THE_EDGE = 2.5


@record
class Exam:
    """What an examination shows: BI-RADS of the left and right breast, and findings by side and view."""

    birads: tuple[int, int]
    findings: tuple[tuple[str, str, str, int, int], ...] = ()
    """Side, view, categories as written, BI-RADS, how many boxes."""


EXAMS = (
    Exam(birads=(4, 1), findings=(("L", "CC", "['Mass']", 4, 1), ("L", "MLO", "['Mass']", 4, 1))),
    Exam(birads=(1, 2)),
    Exam(birads=(2, 3), findings=(("R", "CC", "['Suspicious Calcification', 'Mass']", 3, 2), ("R", "MLO", "['Focal Asymmetry']", 3, 1))),
    Exam(birads=(5, 2), findings=(("L", "MLO", "['Architectural Distortion', 'Skin Thickening']", 5, 1),)),
)
EDGE_EXAM = 3


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """DICOM files as ``images/<study>/<image>.dicom``."""
    return _write(folder, patients, seed, ".dicom")


def write_pictures(folder: Path, patients: int, seed: int) -> PlantedTree:
    """A mirror that halved the images and made them PNG; the tables are those of the full size."""
    return _write(folder, patients, seed, ".png")


def _write(folder: Path, patients: int, seed: int, ending: str) -> PlantedTree:
    images, findings, breasts, metadata = [], [], [], []
    for number in range(patients):
        study = _name("study", seed, number)
        for side, view in VIEWS:
            image = _name("image", seed, number, side, view)
            exam = EXAMS[number % len(EXAMS)]
            lesions = _lesions(seed * 100 + number, number % len(EXAMS), exam, side, view)
            path = folder / "images" / study / f"{image}{ending}"
            _write_image(path, seed * 100 + number, side, view, lesions, number)
            stated = _stated(study, image, side, view, exam, number)
            split = "test" if number % 5 == 4 else "training"
            breasts.append((*stated[:2], stated[3], stated[2], *stated[4:], split))
            findings += [(*stated, *row, split) for row in _rows(exam, side, view, lesions)]
            metadata.append((image, f"0{40 + number % 40}Y", "Phantom", "Planmed"))
            images.append(_planted(path.relative_to(folder), study, exam, side, view, lesions, 1.0 if ending == ".dicom" else 0.5))
    _write_table(folder / "finding_annotations.csv", FINDING_HEADER, findings)
    _write_table(folder / "breast-level_annotations.csv", BREAST_HEADER, breasts)
    _write_table(folder / "metadata.csv", ("SOP Instance UID", "Patient's Age", "Manufacturer's Model Name", "Manufacturer"), metadata)
    return PlantedTree(images=tuple(images))


def _name(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, ("vindr", *parts))).encode()).hexdigest()[:32]


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _of(exam: Exam, side: str, view: str) -> tuple[str, str, str, int, int] | None:
    return next((finding for finding in exam.findings if finding[:2] == (side, view)), None)


def _lesions(seed: int, kind: int, exam: Exam, side: str, view: str) -> list[Rectangle]:
    finding = _of(exam, side, view)
    if finding is None:
        return []
    if kind == EDGE_EXAM:
        return [AT_THE_EDGE]
    return breast_phantom(seed, side, view, finding[4], shape=SHAPE)[1]


def _write_image(path: Path, seed: int, side: str, view: str, lesions: list[Rectangle], number: int) -> None:
    pixels, _ = breast_phantom(seed, side, view, lesions, shape=SHAPE)
    if path.suffix == ".png":
        write_picture(path, eight_bit(pixels)[::2, ::2])
        return
    voi = ("window", "sigmoid", "lut")[number % 3]
    write_mammogram_dicom(path, pixels, laterality=side, view=view, patient_id="", monochrome1=number % 2 == 1, voi=voi)


def _stated(study: str, image: str, side: str, view: str, exam: Exam, number: int) -> tuple[object, ...]:
    birads = exam.birads["LR".index(side)]
    series = _name("series", study, side, view)
    return study, series, image, side, view, SHAPE[0], SHAPE[1], f"BI-RADS {birads}", f"DENSITY {'ABCD'[number % 4]}"


def _rows(exam: Exam, side: str, view: str, lesions: list[Rectangle]) -> list[tuple[object, ...]]:
    finding = _of(exam, side, view)
    if finding is None:
        return [("['No Finding']", "", "", "", "", "")]
    boxes = [(x0 - OVER_THE_EDGE if x0 == 0 else x0, y0, x1, y1) for x0, y0, x1, y1 in lesions]
    return [(finding[2], f"BI-RADS {finding[3]}", *box) for box in boxes]


def _planted(path: Path, study: str, exam: Exam, side: str, view: str, lesions: list[Rectangle], scale: float) -> PlantedImage:
    finding = _of(exam, side, view)
    birads = str(finding[3]) if finding else None
    planted = tuple(
        PlantedLesion(start=(x0 * scale, y0 * scale), stop=(x1 * scale, y1 * scale), birads=birads) for x0, y0, x1, y1 in lesions
    )
    attributes = {"laterality": {"L": "left", "R": "right"}[side], "view": view}
    return PlantedImage(path=path.as_posix(), patient_id=study, lesions=planted, attributes=attributes)


TREE = PublicTree(layout="physionet", write=write, other_layouts={"physionet_pictures": write_pictures})
