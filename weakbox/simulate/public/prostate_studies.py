"""Small prostate MR studies with planted lesions, as DICOM series or ready volumes, for the trees of the public prostate sets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.grid import Grid, Point
from weakbox.records.record import record
from weakbox.simulate.anatomy import Gland, Place, rotation
from weakbox.simulate.course import Region
from weakbox.simulate.dicom_series import StudyHeader, series_files
from weakbox.simulate.draws import Draws, content_uid
from weakbox.simulate.imaging_plan import SeriesPlan
from weakbox.simulate.phantom import Tissue, adc_pixels, diffusion_pixels, t2_pixels, tissue_on
from weakbox.simulate.public.tree import PlantedLesion

RASTERS = (((64, 56, 9), (1.3, 1.3, 4.0)), ((32, 28, 9), (2.6, 2.6, 4.0)))
"""Columns, rows and slices, and their spacing in mm, of T2 and of diffusion images."""
EXTENTS: Point = (11.0, 10.5, 11.0)
"""Of a lesion, mm: a box of the default size around its centre covers it."""
UNITS = ((0.55, 0.4, 0.05), (-0.5, 0.35, -0.25), (0.1, -0.55, 0.2))
"""Where lesions lie in the gland: patient left, posterior, superior, in units of its semi-axes."""
DIFFUSION_B_VALUES = (50, 400, 800)
HIGH_B_VALUE = 1400


@record
class ProstateStudy:
    """One study: its grids, and the lesions as the phantom draws them."""

    patient_id: str
    study_uid: str
    day: date
    t2: Grid
    diffusion: Grid
    gland: Gland
    regions: tuple[Region, ...]


def draw_prostate_study(seed: int, patient_id: str, number: int, lesions: int, day: date) -> ProstateStudy:
    """An oblique axial study, 1.3 x 1.3 x 4 mm; the same for the same arguments. At most three lesions.

    A patient's studies (``number``) lie apart: a point of one lies outside the other."""
    draws = Draws("public", seed, patient_id, number)
    study_uid = content_uid("public", seed, patient_id, number)
    frame = content_uid(study_uid, "frame")
    centre = (draws.normal(0.0, 4.0), draws.normal(20.0, 6.0), -30.0 + draws.uniform(-8.0, 8.0) - 70.0 * number)
    middle = (centre[0] + draws.normal(0.0, 3.0), centre[1] + draws.normal(0.0, 3.0), centre[2] + draws.normal(0.0, 3.0))
    axes = rotation(np.radians(draws.uniform(4.0, 16.0)), np.radians(draws.uniform(-3.0, 3.0)))
    gland = Gland(centre=centre, semi_axes=(25.0, 21.0, 17.0), rotation=tuple(axes.flatten().tolist()))
    grids = [_centred(shape, spacing, axes, middle, frame) for shape, spacing in RASTERS]
    regions = tuple(_region(gland, index) for index in range(lesions))
    return ProstateStudy(patient_id=patient_id, study_uid=study_uid, day=day, t2=grids[0], diffusion=grids[1], gland=gland, regions=regions)


def _centred(shape: tuple[int, int, int], spacing: Point, axes: NDArray[np.float64], centre: Point, frame: str) -> Grid:
    steps = np.round(axes, 9) * np.array(spacing)
    matrix = np.eye(4)
    matrix[:3, :3] = steps
    matrix[:3, 3] = np.round(np.array(centre) - steps @ ((np.array(shape) - 1) / 2.0), 6)
    return Grid.from_matrix(matrix, shape, frame)


def _region(gland: Gland, index: int) -> Region:
    x, y, z = (float(value) for value in np.round(gland.to_lps(UNITS[index]), 4))
    return Region(
        key=f"L{index + 1}",
        place=Place(unit=UNITS[index], side="left", area="PZpl", level="mid"),
        centre=(x, y, z),
        extents=EXTENTS,
        levels=("mid",),
        diameter_mm=max(EXTENTS),
        isup_grade=2,
        pirads=4,
    )


def lesion_mask(grid: Grid, region: Region) -> NDArray[np.bool_]:
    """Voxels [k, j, i] of a grid whose centres lie in the lesion."""
    columns, rows, slices = grid.shape
    k, j, i = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
    away = (grid.to_lps(np.stack([i, j, k], axis=-1)) - np.array(region.centre)) / (np.array(region.extents) / 2.0)
    return np.asarray(np.sum(away**2, axis=-1) < 1.0)


def label_volume(grid: Grid, regions: Sequence[Region], values: Sequence[int]) -> NDArray[np.uint8]:
    """Voxels [k, j, i] of all lesions, each with its value."""
    volume = np.zeros(grid.shape[::-1], dtype=np.uint8)
    for region, value in zip(regions, values, strict=True):
        volume[lesion_mask(grid, region)] = value
    return volume


def planted(study: ProstateStudy, region: Region, diagnosis: str | None, *, is_annotated: bool = True) -> PlantedLesion:
    """The truth about a lesion: the half-open voxel box of the reference T2 that holds it."""
    voxels = np.argwhere(lesion_mask(study.t2, region))[:, ::-1]
    start, stop = voxels.min(axis=0), voxels.max(axis=0) + 1
    return PlantedLesion(
        start=tuple(float(value) for value in start),
        stop=tuple(float(value) for value in stop),
        diagnosis=diagnosis,
        is_annotated=is_annotated,
    )


def _tissues(study: ProstateStudy) -> tuple[Tissue, Tissue]:
    return tissue_on(study.t2, study.gland, study.regions), tissue_on(study.diffusion, study.gland, study.regions)


def _noise(study: ProstateStudy, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{study.study_uid}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))


# DICOM --------------------------------------------------------------------------------------------------------------


@record
class Description:
    """How a site calls the series of a study."""

    t2: str
    diffusion: str
    adc: str
    high_b: str
    sagittal: str
    study: str


def series_plans(study: ProstateStudy, names: Description) -> tuple[SeriesPlan, ...]:
    """Sagittal T2, axial T2, diffusion, ADC and computed high b, in the order of their numbers (3, 4, 6, 7, 8)."""
    turned = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]).T
    sagittal = _centred((24, 24, 6), (3.0, 3.0, 6.0), turned, study.gland.centre, study.t2.frame_of_reference_uid or "")
    listed = (
        ("t2_sagittal", 3, names.sagittal, sagittal, ()),
        ("t2_axial", 4, names.t2, study.t2, ()),
        ("dwi", 6, names.diffusion, study.diffusion, DIFFUSION_B_VALUES),
        ("adc", 7, names.adc, study.diffusion, ()),
        ("high_b", 8, names.high_b, study.diffusion, (HIGH_B_VALUE,)),
    )
    return tuple(
        SeriesPlan(
            role=role,
            series_uid=content_uid(study.study_uid, "series", number),
            number=number,
            description=description,
            vendor="siemens",
            model="Skyra",
            grid=grid,
            frame_of_reference_uid=study.t2.frame_of_reference_uid or "",
            b_values=b_values,
            is_computed=role == "high_b",
        )
        for role, number, description, grid, b_values in listed
    )


def write_dicom_study(study: ProstateStudy, names: Description, folder_of: Callable[[SeriesPlan], Path]) -> tuple[SeriesPlan, ...]:
    """Every series of a study, one folder each, files ``1-01.dcm`` and on; the series that were written."""
    header = StudyHeader(
        patient_id=study.patient_id,
        age_years=63,
        study_uid=study.study_uid,
        accession="",
        day=study.day,
        time="101500",
        description=names.study,
    )
    t2, diffusion = _tissues(study)
    plans = series_plans(study, names)
    for plan in plans:
        folder = folder_of(plan)
        folder.mkdir(parents=True, exist_ok=True)
        for _, number, content in series_files(header, plan, _volumes(study, plan, t2, diffusion)):
            (folder / f"1-{number:02d}.dcm").write_bytes(content)
    return plans


def _volumes(study: ProstateStudy, plan: SeriesPlan, t2: Tissue, diffusion: Tissue) -> list[NDArray[np.uint16]]:
    noise = _noise(study, plan.role)
    if plan.b_values:
        return [diffusion_pixels(diffusion, b_value, noise) for b_value in plan.b_values]
    if plan.role == "adc":
        return [adc_pixels(diffusion, noise, 1.0)]
    return [t2_pixels(t2 if plan.role == "t2_axial" else tissue_on(plan.grid, study.gland, study.regions), noise)]


def classic_study_name(study: ProstateStudy, description: str) -> str:
    """The study folder of TCIA's data retriever: day, description, last digits of the UID."""
    return f"{study.day:%m-%d-%Y}-NA-{re.sub('[^A-Za-z0-9. ]', '', description)}-{study.study_uid[-5:]}"


def classic_series_name(plan: SeriesPlan) -> str:
    """The series folder of TCIA's data retriever: number, description, last digits of the UID."""
    return f"{plan.number}.000000-{re.sub('[^A-Za-z0-9. ]', '', plan.description)}-{plan.series_uid[-5:]}"


# Ready volumes ------------------------------------------------------------------------------------------------------


def images_of(study: ProstateStudy) -> Mapping[str, tuple[NDArray[Any], Grid]]:
    """``t2``, ``adc`` (1e-6 mm2/s) and ``high_b`` [k, j, i], each with its grid."""
    t2, diffusion = _tissues(study)
    return {
        "t2": (t2_pixels(t2, _noise(study, "t2")), study.t2),
        "adc": (adc_pixels(diffusion, _noise(study, "adc"), 1.0), study.diffusion),
        "high_b": (diffusion_pixels(diffusion, HIGH_B_VALUE, _noise(study, "high_b")), study.diffusion),
    }


def write_volume(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """A volume as NIfTI (``.nii.gz``, RAS mm) or MHA (LPS mm), by its suffix; the same bytes each time."""
    from weakbox.imaging.volumes import Volume, as_int16, write_nifti

    path.parent.mkdir(parents=True, exist_ok=True)
    values = as_int16(array.astype(np.int32))
    if path.name.endswith(".nii.gz"):
        write_nifti(Volume(values, grid), path)
        return
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(values)
    image.SetSpacing(grid.spacing)
    image.SetDirection(grid.directions.ravel().tolist())
    image.SetOrigin(grid.affine[3:12:4])
    sitk.WriteImage(image, str(path), useCompression=True)
