"""A small Duke-Breast-Cancer-MRI: boxes that name no series, a mapping table with slips in its paths, slices numbered from either end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from weakbox.simulate.public.breast_mr import SHAPE, BreastStudy, draw_breast_study, series_uid, write_phase
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree
from weakbox.simulate.public.workbooks import Cell, write_workbook

COLLECTION = "Duke-Breast-Cancer-MRI"
ARCHIVE = "manifest-1654812109500"
PHASES = {"pre": "ax dyn pre", "post_1": "ax dyn 1st pass", "post_2": "ax dyn 2nd pass", "t1": "ax t1"}
MAPPED = {"t1": "T1"}
"""Phases whose folder name in the mapping is another one."""
BOX_HEADER = ("Patient ID", "Start Row", "End Row", "Start Column", "End Column", "Start Slice", "End Slice")
CLINICAL_HEADERS: tuple[tuple[Cell, ...], ...] = (
    ("Patient Information", "Demographics", "Tumor Characteristics", None, None, None, "MRI Findings", None),
    (
        "Patient ID",
        "Date of Birth (Days)",
        "ER",
        "PR",
        "HER2",
        "Mol Subtype",
        "Multicentric/Multifocal",
        "Contralateral Breast Involvement",
    ),
    (None, None, "{0,1}", "{0,1}", "{0,1,2}", "{0 = luminal-like, ...}", "{0 = no, 1 = yes}", "{0 = no, 1 = yes}"),
)
MAPPING_HEADER = ("original_path_and_filename", "classic_path", "descriptive_path")

Folder = Callable[[BreastStudy, str], str]


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The archive's "classic" folders by UID. Files are called 1-07.dcm where the mapping says 1-007.dcm."""
    return _write(folder, patients, seed, f"{ARCHIVE}/{COLLECTION}", _classic, _short_names())


def write_descriptive(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The archive's descriptive folders."""
    return _write(folder, patients, seed, f"{ARCHIVE}/{COLLECTION}", _descriptive, _short_names())


def write_by_uid(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As IDC's tools leave it: file names that say nothing of the slice."""
    names = {number: f"{(number * 7919) % 9973:04d}c0de-0000-4000-8000-{number * 31 % 97:012d}.dcm" for number in range(1, SHAPE[2] + 1)}
    return _write(folder, patients, seed, "idc/duke_breast_cancer_mri", _by_uid, names)


def _short_names() -> Mapping[int, str]:
    return {number: f"1-{number:02d}.dcm" for number in range(1, SHAPE[2] + 1)}


def _classic(study: BreastStudy, phase: str) -> str:
    return f"{study.study_uid}/{series_uid(study, phase)}"


def _descriptive(study: BreastStudy, phase: str) -> str:
    number = list(PHASES).index(phase) + 3
    series = f"{number}.000000-{PHASES[phase]}-{series_uid(study, phase)[-5:]}"
    return f"01-01-1990-NA-MRI BREAST BILATERAL WWO-{study.study_uid[-5:]}/{series}"


def _by_uid(study: BreastStudy, phase: str) -> str:
    return f"{study.study_uid}/MR_{series_uid(study, phase)}"


def _write(folder: Path, patients: int, seed: int, place: str, place_of: Folder, names: Mapping[int, str]) -> PlantedTree:
    boxes: list[tuple[Cell, ...]] = [BOX_HEADER]
    mapping: list[tuple[Cell, ...]] = [MAPPING_HEADER]
    clinical = list(CLINICAL_HEADERS)
    images = []
    for number in range(1, patients + 1):
        patient = f"Breast_MRI_{number:03d}"
        study = draw_breast_study(seed, patient, number)
        for phase, description in PHASES.items():
            below = folder / place / patient / place_of(study, phase)
            write_phase(study, phase, below, names, {"SeriesDescription": description})
            mapping += _mapping_rows(study, phase, number)
        boxes.append(_box_row(study))
        clinical.append((patient, -15000 - 100 * number, number % 2, 1, 0 if number % 4 else "NC", 0, int(number % 3 == 1), number % 2))
        lesion = PlantedLesion(start=tuple(map(float, study.start)), stop=tuple(map(float, study.stop)), diagnosis="malignant")
        path = (folder / place / patient / place_of(study, "post_1")).relative_to(folder).as_posix()
        images.append(PlantedImage(path=path, patient_id=patient, lesions=(lesion,), attributes={"phase": "post_1"}))
    write_workbook(folder / "Annotation_Boxes.xlsx", boxes)
    write_workbook(folder / "Clinical_and_Other_Features.xlsx", clinical)
    write_workbook(folder / "Breast-Cancer-MRI-filepath_filename-mapping.xlsx", mapping)
    return PlantedTree(images=tuple(images))


def _box_row(study: BreastStudy) -> tuple[Cell, ...]:
    """Counted from 1, both ends inside; slices as they are numbered."""
    slices = sorted((study.instance_number(study.start[2]), study.instance_number(study.stop[2] - 1)))
    return (study.patient_id, study.start[1] + 1, study.stop[1], study.start[0] + 1, study.stop[0], *slices)


def _mapping_rows(study: BreastStudy, phase: str, number: int) -> list[tuple[Cell, ...]]:
    patient = study.patient_id
    spelling = patient.replace("_", "") if number % 3 == 0 else patient
    name = MAPPED.get(phase, phase)
    return [
        (
            f"DICOM_Images/{patient}/{name}/{patient}_{name}_{slice_number:03d}.dcm",
            f"{COLLECTION}/{patient}/{_classic(study, phase)}/1-{slice_number:03d}.dcm",
            f"{COLLECTION}/{spelling}//{_descriptive(study, phase)}/1-{slice_number:03d}.dcm",
        )
        for slice_number in range(1, SHAPE[2] + 1)
    ]


TREE = PublicTree(layout="tcia", write=write, other_layouts={"tcia_descriptive": write_descriptive, "idc": write_by_uid})
