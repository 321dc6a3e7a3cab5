"""A MONAI detection datalist: one entry a case, boxes ``cccwhd`` in world millimetres.

``box_frame`` names the world. With ``LPS`` (the default) give ``AffineBoxToImageCoordinated(affine_lps_to_ras=True)``,
because MONAI reads NIfTI affines as RAS; with ``RAS`` give ``False``. The wrong flag mirrors boxes: MONAI tutorials
#1114, #1268, #1278, #1610. Negative cases have ``box: []`` and ``label: []``; ``StandardizeEmptyBoxd`` gives them shape (0, 6).

MONAI carries two opposite corners of a world box into the image, so on an oblique grid a box that is aligned with the
voxels must be described by that diagonal whose ends are lowest and highest along all three world axes. That is what
``box`` holds, and MONAI then restores the voxel box exactly. Where no such diagonal exists (a flat box on a steep grid) ``box``
is the world box that encloses it, and ``box_is_exact`` is false. ``box_voxel`` (half-open, column, row, slice of the
image as stored) is exact always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weakbox.exporters.exporter import FILE_STEMS, ON_REFERENCE, DatasetCase, Exporter, ExportOptions, dataset_artifact, json_bytes
from weakbox.exporters.preparing import reference_key, research_label_ids
from weakbox.imaging.volumes import LPS_TO_RAS
from weakbox.records.artifact import Artifact
from weakbox.records.imaging import Purpose
from weakbox.records.label import Box, WeakLabel
from weakbox.terminology.dicom_codes import class_name

FILE_NAME = "monai_datalist.json"
CLASS_INDEX = {
    "benign": 0,
    "untested": 1,
    "cancer, not graded": 2,
    "ISUP 1": 3,
    "ISUP 2": 4,
    "ISUP 3": 5,
    "ISUP 4": 6,
    "ISUP 5": 7,
    "not significant": 8,
}
"""MONAI counts classes from 0."""
FOLDS = 5


def write_dataset(cases: Sequence[DatasetCase], folder: Path, options: ExportOptions) -> tuple[Artifact, ...]:
    """Write the datalist of the set."""
    purposes = [purpose for purpose in Purpose if any(_image_path(item, purpose) for item in cases)]
    whole = [item for item in cases if all(_image_path(item, purpose) for purpose in purposes)]
    present = {item.identity.case_id for item in whole}
    content = {
        "description": _description(options.box_frame),
        "channels": [purpose.value for purpose in purposes],
        "label_names": {str(index): name for name, index in CLASS_INDEX.items()},
        "training": [_entry(item, purposes, options.box_frame) for item in whole],
        "validation": [],
        "left_out": [
            {"case_id": item.identity.case_id, "reason": "not every channel lies on the reference grid"}
            for item in cases
            if item.identity.case_id not in present
        ],
    }
    encoded = json_bytes(content)
    (folder / FILE_NAME).write_bytes(encoded)
    return (dataset_artifact(FILE_NAME, encoded, "monai", "datalist"),)


def _description(frame: str) -> dict[str, str]:
    return {
        "gt_box_mode": "cccwhd",
        "world_frame": f"{frame} mm",
        "affine_lps_to_ras": "true" if frame == "LPS" else "false",
        "images": "paths relative to this file, channels in the order of 'channels', all on the reference grid",
        "fold": f"0..{FOLDS - 1} by a hash of the research patient id: a patient is in one fold only; 'validation' is empty on purpose",
    }


def _image_path(item: DatasetCase, purpose: Purpose) -> str | None:
    """The image on the reference grid: resampled, or native where that series is the reference."""
    stem = FILE_STEMS[purpose]
    choice = item.case.study.choice(purpose)
    is_reference = choice is not None and choice.derived is None and choice.series_key == reference_key(item.case)
    return item.path_of(stem) if is_reference else item.path_of(stem + ON_REFERENCE)


def _entry(item: DatasetCase, purposes: Sequence[Purpose], frame: str) -> dict[str, Any]:
    ids = research_label_ids(item.case, item.identity)
    boxed = [(label, research_id) for label, research_id in zip(item.case.labels, ids, strict=True) if label.box is not None]
    boxes = [world_box(label.box, frame) for label, _ in boxed if label.box is not None]
    return {
        "case_id": item.identity.case_id,
        "patient_id": item.identity.patient_id,
        "fold": int(hashlib.sha256(item.identity.patient_id.encode()).hexdigest()[:8], 16) % FOLDS,
        "image": [_image_path(item, purpose) for purpose in purposes],
        "box": [numbers for numbers, _ in boxes],
        "box_is_exact": [is_exact for _, is_exact in boxes],
        "box_voxel": [[*label.box.voxel_start, *label.box.voxel_stop] for label, _ in boxed if label.box is not None],
        "label": [_class_index(label) for label, _ in boxed],
        "label_id": [research_id for _, research_id in boxed],
        "tier": [label.tier.value for label, _ in boxed],
        "confidence": [label.confidence for label, _ in boxed],
        "negative_reason": item.case.negative_reason,
    }


def _class_index(label: WeakLabel) -> int:
    return CLASS_INDEX[class_name(label.status, label.isup_grade)]


def world_box(box: Box, frame: str) -> tuple[list[float], bool]:
    """``cx, cy, cz, w, h, d`` in the world frame, and whether MONAI restores the voxel box from it exactly."""
    to_frame = LPS_TO_RAS[:3, :3] if frame == "RAS" else np.eye(3)
    corners, centre = np.array(box.corners) @ to_frame, np.array(box.centre) @ to_frame
    diagonals = corners - centre
    # MONAI moves the world box's lowest and highest corner into the image: they must be two opposite corners of ours.
    best = diagonals[np.argmax(diagonals.sum(axis=1))]
    is_exact = bool(np.all(best > 0))
    size = 2 * best if is_exact else np.ptp(corners, axis=0)
    return [round(float(value), 6) for value in (*centre, *size)], is_exact


EXPORTER = Exporter(write_dataset=write_dataset)
