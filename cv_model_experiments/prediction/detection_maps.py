"""picai detection maps as NIfTI on the reference grid: ``<image>_detection_map.nii.gz``, each candidate's voxels at its score.

Boxes are painted by the evaluation's rule (docs/evaluation.md). Components of a segmentation are brought onto the reference grid by the
nearest voxel, the best first; one that would touch a better one there is left out, so every component keeps one score.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cv_model_experiments.data.placement import Placement
from cv_model_experiments.evaluation.painting import paint_boxes, paint_ellipsoids
from cv_model_experiments.predictions import PredictedBox
from weakbox.imaging.volumes import Volume, read_volume_grid, write_nifti

FOLDER = "detection_maps"
Map = NDArray[np.float32]
_PAINTERS = {"box": paint_boxes, "ellipsoid": paint_ellipsoids}
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def map_name(image_id: str) -> str:
    """A file name that no other image has.

    >>> map_name("picai/10000_1000000")
    'picai_10000_1000000_detection_map.nii.gz'
    """
    plain = image_id.replace("/", "_")
    if _UNSAFE.search(plain):
        plain = f"{_UNSAFE.sub('-', plain)}-{hashlib.sha256(image_id.encode()).hexdigest()[:8]}"
    return f"{plain}_detection_map.nii.gz"


def map_of_boxes(boxes: Sequence[PredictedBox], shape: tuple[int, ...], rule: str) -> Map:
    """Boxes, or the ellipsoids in them (``rule``), painted in an array of ``shape`` (slices, rows, columns)."""
    return _PAINTERS[rule](boxes, shape).detection_map


def map_on_reference(prepared: Map, placement: Placement, shape: tuple[int, ...]) -> Map:
    """Components of a map on the prepared image, on the reference grid."""
    marked, count = ndimage.label(prepared > 0, structure=_NEIGHBOURS)
    scores = ndimage.maximum(prepared, marked, range(1, count + 1)) if count else []
    sources = _nearest(placement, shape)
    out = np.zeros(shape, np.float32)
    for number in sorted(range(1, count + 1), key=lambda one: (-scores[one - 1], one)):
        voxels = _largest(_taken(marked == number, sources))
        if voxels.any() and not (ndimage.binary_dilation(voxels, _NEIGHBOURS) & (out > 0)).any():
            out[voxels] = scores[number - 1]
    return out


def _nearest(placement: Placement, shape: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """For each axis the prepared voxel that holds a reference voxel's middle; -1 outside."""
    found = []
    for axis, length in enumerate(shape):
        places = np.floor((np.arange(length) + 0.5) * placement.scale[axis] + placement.offset[axis] + 1e-9).astype(np.int64)
        found.append(np.where((places >= 0) & (places < placement.shape[axis]), places, -1))
    return found


def _taken(mask: NDArray[np.bool_], sources: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    out = mask[np.ix_(*sources)]
    for axis, places in enumerate(sources):
        out &= (places >= 0).reshape([-1 if other == axis else 1 for other in range(3)])
    return out


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    marked, count = ndimage.label(mask, structure=_NEIGHBOURS)
    if count < 2:
        return mask
    sizes = ndimage.sum_labels(mask, marked, range(1, count + 1))
    return np.asarray(marked == 1 + int(np.argmax(sizes)))


def write_map(detection_map: Map, reference: Path, folder: Path, image_id: str) -> str:
    """Write a map on the grid of its reference volume; its path relative to ``folder``."""
    name = map_name(image_id)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    grid = read_volume_grid(reference, None)
    write_nifti(Volume(detection_map, grid), folder / FOLDER / name)
    return f"{FOLDER}/{name}"
