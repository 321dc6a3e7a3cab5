"""A small CMMD as TCIA lays it out: one breast (D1) or both (D2) imaged, a strict workbook, the same file names in every folder."""

from __future__ import annotations

import csv
from pathlib import Path

from weakbox.records.record import record
from weakbox.simulate.draws import content_uid
from weakbox.simulate.mammograms import breast_phantom, eight_bit, write_mammogram_dicom
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree
from weakbox.simulate.public.workbooks import Cell, write_strict_workbook

SHAPE = (256, 192)
HEADER = ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
SERIES_HEADER = ("Series UID", "Collection", "Subject ID", "Study UID", "Study Date", "Modality", "Number of Images", "File Location")
ARCHIVE = "manifest-1616439774456"


@record
class Patient:
    """Which sides were imaged, and which of them the table lists: side, abnormality, class, subtype."""

    prefix: str
    imaged: str
    breasts: tuple[tuple[str, str, str, str], ...]


PATIENTS = (
    Patient(prefix="D1", imaged="R", breasts=(("R", "calcification", "Benign", ""),)),
    Patient(prefix="D1", imaged="L", breasts=(("L", "mass", "Malignant", ""),)),
    Patient(prefix="D2", imaged="LR", breasts=(("L", "both", "Malignant", "Luminal B"),)),
    Patient(prefix="D2", imaged="LR", breasts=(("L", "mass", "Benign", ""), ("R", "mass", "Malignant", "triple negative"))),
)
"""The third patient's right breast is imaged, but not in the table; the fourth has one benign and one malignant breast."""


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As the NBIA data retriever leaves it: ``CMMD/<patient>/<day>/<series>/1-1.dcm``."""
    return _write(folder, patients, seed, "{day}-NA-NA-{study}", "1.000000-NA-{series}", ARCHIVE)


def write_by_uid(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As IDC's tools leave it: folders by UID."""
    return _write(folder, patients, seed, "{study_uid}", "MG_{series_uid}", "idc")


def _write(folder: Path, patients: int, seed: int, study_folder: str, series_folder: str, place: str) -> PlantedTree:
    images: list[PlantedImage] = []
    rows: list[tuple[Cell, ...]] = [HEADER]
    series: list[tuple[object, ...]] = []
    for number in range(patients):
        kind = PATIENTS[number % len(PATIENTS)]
        name = f"{kind.prefix}-{number + 1:04d}"
        study_uid, series_uid = content_uid("cmmd", seed, name), content_uid("cmmd series", seed, name)
        names = {"day": "07-18-2010", "study": study_uid[-5:], "series": series_uid[-5:], "study_uid": study_uid, "series_uid": series_uid}
        below = (
            folder / place / ("CMMD" if place == ARCHIVE else "cmmd") / name / study_folder.format(**names) / series_folder.format(**names)
        )
        rows += [(name, side, 40 + number, 2, kind_of, diagnosis, subtype) for side, kind_of, diagnosis, subtype in kind.breasts]
        written = _write_images(below, name, kind, seed * 100 + number, {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid})
        images += [PlantedImage(path=path.relative_to(folder).as_posix(), patient_id=name, lesions=lesions, attributes=stated)
                   for path, lesions, stated in written]  # fmt: skip
        location = f".\\CMMD\\{name}\\{names['day']}-NA-NA-{names['study']}\\1.000000-NA-{names['series']}"
        series.append((series_uid, "CMMD", name, study_uid, names["day"], "MG", len(written), location))
    write_strict_workbook(folder / "CMMD_clinicaldata_revision.xlsx", rows)
    with (folder / place / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([SERIES_HEADER, *series])
    return PlantedTree(images=tuple(images))


def _write_images(
    folder: Path, name: str, kind: Patient, seed: int, uids: dict[str, str]
) -> list[tuple[Path, tuple[PlantedLesion, ...], dict[str, str]]]:
    written = []
    for index, (side, view) in enumerate(((side, view) for side in kind.imaged for view in ("CC", "MLO")), start=1):
        listed = next((breast for breast in kind.breasts if breast[0] == side), None)
        pixels, boxes = breast_phantom(seed, side, view, 1 if listed else 0, shape=SHAPE)
        path = folder / f"1-{index}.dcm"
        tags = uids | {"Manufacturer": "", "PatientAge": "045Y"}
        write_mammogram_dicom(path, eight_bit(pixels), laterality=side, view=view, patient_id=name, bits=8, tags=tags)
        diagnosis = listed[2].lower() if listed else None
        lesions = tuple(PlantedLesion(start=box[:2], stop=box[2:], diagnosis=diagnosis, is_annotated=False) for box in boxes)
        written.append((path, lesions, {"laterality": {"L": "left", "R": "right"}[side], "view": view}))
    return written


TREE = PublicTree(layout="tcia", write=write, other_layouts={"idc": write_by_uid})
