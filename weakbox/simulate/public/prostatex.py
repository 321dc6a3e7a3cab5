"""PROSTATEx as TCIA's data retriever leaves it, with the challenge's tables; and the repository of lesion masks with its NIfTI images."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from weakbox.records.grid import Grid
from weakbox.simulate.course import Region
from weakbox.simulate.imaging_plan import SeriesPlan
from weakbox.simulate.public.prostate_studies import (
    Description,
    ProstateStudy,
    classic_series_name,
    classic_study_name,
    draw_prostate_study,
    images_of,
    label_volume,
    planted,
    write_dicom_study,
    write_volume,
)
from weakbox.simulate.public.tree import PlantedImage, PlantedTree, PublicTree

NAMES = Description(
    t2="t2_tse_tra",
    diffusion="ep2d_diff_tra_DYNDIST",
    adc="ep2d_diff_tra_DYNDIST_ADC",
    high_b="ep2d_diff_tra_DYNDISTCALC_BVAL",
    sagittal="t2_tse_sag",
    study="MR prostaat kanker detectie WDS_mc MCAPRODETW",
)
FINDING_COLUMNS = ("ProxID", "fid", "pos", "zone", "ClinSig")
IMAGE_COLUMNS = (
    "ProxID", "Name", "fid", "pos", "WorldMatrix", "ijk", "TopLevel", "SpacingBetweenSlices", "VoxelSpacing", "Dim", "DCMSerDescr",
    "DCMSerNum",
)  # fmt: skip
GRADE_COLUMNS = ("ProxID", "fid", "pos", "zone", "ggg")
ZONES = ("PZ", "TZ", "AS")
KINDS = ("significant", "repeated_number", "two_studies", "unpublished")
"""What the patients of a tree are, in turn."""
SIGNIFICANT, NOT_SIGNIFICANT = "clinically_significant_cancer", "not_clinically_significant"


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The DICOM layout. Every fourth patient has no published findings, every third one two studies."""
    findings: list[Sequence[str]] = []
    rows: list[Sequence[str]] = []
    grades: list[Sequence[str]] = []
    images: list[PlantedImage] = []
    for index in range(patients):
        patient, kind = f"ProstateX-{index:04d}", KINDS[index % len(KINDS)]
        day = date(2011, 7, 7) + timedelta(days=index)
        studies = [
            draw_prostate_study(seed, patient, number, 2 if kind == "repeated_number" else 1, day + timedelta(days=170 * number))
            for number in range(2 if kind == "two_studies" else 1)
        ]
        roots = [folder / "PROSTATEx" / patient / classic_study_name(study, NAMES.study) for study in studies]
        plans = [_write_images(root, study) for root, study in zip(roots, studies, strict=True)]
        if kind == "unpublished":
            continue
        is_significant = kind == "significant"
        for study, root, own in zip(studies, roots, plans, strict=True):
            for place, region in enumerate(study.regions):
                cells = (patient, "1", position_text(region))
                findings.append((*cells, ZONES[place], str(is_significant).upper()))
                rows += [image_row(cells, plan, region) for every in plans for plan in every]
                grades += [(*cells, ZONES[place], "3")] if is_significant else []
            images.append(_image(folder, root / classic_series_name(own[1]), study, is_significant=is_significant))
    _write_table(folder / "ProstateX-Findings-Train.csv", FINDING_COLUMNS, findings)
    _write_table(folder / "ProstateX-Images-Train.csv", IMAGE_COLUMNS, rows)
    if grades:
        _write_table(folder / "ProstateX-2-Findings-Train.csv", GRADE_COLUMNS, grades)
    unpublished = sum(KINDS[index % len(KINDS)] == "unpublished" for index in range(patients))
    return PlantedTree(images=tuple(images), dropped={"images_without_rows": unpublished} if unpublished else {})


def _write_images(root: Path, study: ProstateStudy) -> tuple[SeriesPlan, ...]:
    return write_dicom_study(study, NAMES, lambda plan: root / classic_series_name(plan))


def _image(folder: Path, path: Path, study: ProstateStudy, *, is_significant: bool) -> PlantedImage:
    diagnosis = SIGNIFICANT if is_significant else NOT_SIGNIFICANT
    return PlantedImage(
        path=path.relative_to(folder).as_posix(),
        patient_id=study.patient_id,
        lesions=tuple(planted(study, region, diagnosis) for region in study.regions),
    )


def position_text(region: Region) -> str:
    """``pos``: LPS mm, separated by blanks."""
    return " ".join(f"{value:.6g}" for value in region.centre)


def image_row(cells: Sequence[str], plan: SeriesPlan, region: Region) -> tuple[str, ...]:
    """A row of the images table, which lists every series of the patient for every finding.

    The matrix starts at the outer corner of the first voxel; the index is rounded, and lies outside where the point does.
    """
    matrix = corner_matrix(plan.grid)
    index = np.rint(plan.grid.to_index(region.centre) + 0.5).astype(int)
    columns, rows, slices = plan.grid.shape
    x, y, z = plan.grid.spacing
    return (
        cells[0], f"{plan.description}0", cells[1], cells[2], ",".join(f"{value:.6g}" for value in matrix),
        " ".join(str(value) for value in index), "1", f"{z:g}", f"{x:g},{y:g},{z:g}", f"{columns}x{rows}x{slices}x1", plan.description,
        str(plan.number),
    )  # fmt: skip


def corner_matrix(grid: Grid) -> tuple[float, ...]:
    """A grid's matrix with its origin half a voxel before the first voxel's centre, row-major."""
    matrix = grid.matrix
    matrix[:3, 3] = grid.to_lps((-0.5, -0.5, -0.5))
    return tuple(float(value) for value in matrix.ravel())


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows([columns, *rows])


def write_mask(folder: Path, study: ProstateStudy, region: Region, finding: int) -> Path:
    """The T2 mask of one finding, named as in the repository of masks."""
    path = folder / "Files/lesions/Masks/T2" / f"{study.patient_id}-Finding{finding}-t2_tse_tra_ROI.nii.gz"
    write_volume(path, label_volume(study.t2, [region], [1]), study.t2)
    return path


def write_masks_repository(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The repository of masks alone: NIfTI images of T2 and ADC, a mask a finding, and the classes."""
    rows: list[Sequence[str]] = []
    images: list[PlantedImage] = []
    for index in range(patients):
        patient, is_significant = f"ProstateX-{index:04d}", index % 2 == 0
        study = draw_prostate_study(seed, patient, 0, 1, date(2011, 7, 7) + timedelta(days=index))
        volumes = images_of(study)
        t2 = folder / "Files/lesions/Images/T2" / f"{patient}_t2_tse_tra_4.nii.gz"
        write_volume(t2, *volumes["t2"])
        write_volume(folder / "Files/lesions/Images/ADC" / f"{patient}_ep2d_diff_tra_7.nii.gz", *volumes["adc"])
        write_mask(folder, study, study.regions[0], 1)
        rows.append((f"{patient}_Finding1", str(is_significant), "3" if is_significant else "No biopsy information"))
        images.append(_image(folder, t2, study, is_significant=is_significant))
    _write_table(folder / "Files/lesions/PROSTATEx_Classes.csv", ("ID", "Clinically Significant", "Gleason Grade Group"), rows)
    return PlantedTree(images=tuple(images))


TREE = PublicTree(layout="dicom", write=write, other_layouts={"masks_repository": write_masks_repository})
