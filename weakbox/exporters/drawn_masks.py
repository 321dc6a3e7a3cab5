"""The lesions of a 3-D case as they were drawn: masks of public sets, on the reference grid, each under its lesion's number.

Beside the label maps of boxes and ellipsoids, which every case has. A lesion without a mask of its own keeps its ellipsoid, so that
no lesion is background.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.exporters.exporter import CASES_FOLDER
from weakbox.exporters.preparing import reference_key
from weakbox.imaging.masks import ellipsoid_mask
from weakbox.imaging.segmentations import read_mask
from weakbox.imaging.volumes import Volume, write_nifti
from weakbox.records.artifact import Artifact
from weakbox.records.grid import Grid
from weakbox.records.label import Box, CuratedCase, MaskFile
from weakbox.runtime.privacy import ResearchIdentity

ROLE = "drawn_mask"
VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd")
"""Kinds of mask that are copied; segments of DICOM-SEG stay boxes and ellipsoids."""


def write_drawn_mask(case: CuratedCase, identity: ResearchIdentity, folder: Path) -> Artifact | None:
    """Write ``<case>_drawn_mask.nii.gz`` into the case's folder; None where no lesion has a mask volume.

    Values are the labels' numbers in the case (1, 2, ...), as in the other instance maps; of two lesions in one voxel the later wins.

    Raises:
        InputError: a mask cannot be read.
    """
    series = case.study.find_series(reference_key(case))
    drawn = [label for label in case.labels if label.box is not None and label.mask is not None and _is_volume(label.mask)]
    if series is None or series.grid is None or not drawn:
        return None
    grid = series.grid
    array = np.zeros(grid.shape[::-1], dtype=np.uint8 if len(case.labels) < 256 else np.uint16)
    for number, label in enumerate(case.labels, 1):
        if label.box is None:
            continue
        if label.mask is not None and _is_volume(label.mask):
            paint_drawn(array, grid, label.box, label.mask, number)
        else:
            ellipsoid_mask(label.box, grid).paint(array, number)
    name = f"{identity.case_id}_{ROLE}.nii.gz"
    content = write_nifti(Volume(array, grid), folder / CASES_FOLDER / identity.case_id / name)
    return Artifact(
        path=f"{CASES_FOLDER}/{identity.case_id}/{name}",
        kind="nifti",
        role=ROLE,
        case_id=identity.case_id,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


def paint_drawn(array: NDArray[Any], grid: Grid, box: Box, mask: MaskFile, number: int) -> None:
    """Set the voxels of ``array`` [k, j, i] whose centres lie in the mask and in the lesion's box, which tells lesions of one file apart.

    Raises:
        InputError: the mask cannot be read.
    """
    values, mask_grid = read_mask(Path(mask.path))
    (i0, j0, k0), (i1, j1, k1) = box.voxel_start, box.voxel_stop
    k, j, i = np.mgrid[k0:k1, j0:j1, i0:i1]
    place = np.rint(mask_grid.to_index(grid.to_lps(np.stack([i, j, k], axis=-1)))).astype(np.int64)
    inside = np.all((place >= 0) & (place < np.array(mask_grid.shape)), axis=-1)
    a, b, c = np.moveaxis(np.where(inside[..., None], place, 0), -1, 0)
    found = values[c, b, a]
    is_lesion = inside & (found == mask.value if mask.value is not None else found > 0)
    array[k0:k1, j0:j1, i0:i1][is_lesion] = number


def _is_volume(mask: MaskFile) -> bool:
    return mask.path.casefold().endswith(VOLUMES)
