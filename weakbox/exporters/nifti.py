"""NIfTI: images native and on the reference grid, and label maps of boxes and ellipsoids.

Files hold RAS mm (NIfTI's frame); JSON files beside them hold DICOM LPS mm and say so. Every image has a JSON file that
says where it comes from; ``<case>_labels.json`` gives the codes of the label maps, the instances and the overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weakbox.exporters.exporter import (
    BOX,
    ELLIPSOID,
    FILE_STEMS,
    ON_REFERENCE,
    Exporter,
    PreparedCase,
    PreparedLabel,
    case_artifact,
    json_bytes,
)
from weakbox.imaging.masks import LesionMask, combine, overlaps
from weakbox.imaging.volumes import Volume
from weakbox.records.artifact import Artifact
from weakbox.records.grid import Grid
from weakbox.records.imaging import Purpose
from weakbox.records.label import CuratedCase
from weakbox.terminology.dicom_codes import CLASS_CODES, class_name

KIND = "nifti"
LABEL_ROLES = {ELLIPSOID: "label_ellipsoids", BOX: "label_boxes"}


def write(case: CuratedCase, prepared: PreparedCase, folder: Path) -> tuple[Artifact, ...]:
    """Write the images, the label maps and their JSON files of one case."""
    volumes = dict(_images(prepared))
    if prepared.reference is not None:
        volumes |= dict(_label_maps(prepared, prepared.reference))
    names = {role: prepared.file_name(f"{role}.nii.gz") for role in volumes}
    for volume in volumes.values():
        prepared.compression.start(volume)
    written = []
    for role, volume in volumes.items():
        content = prepared.compression.content(volume)
        (folder / names[role]).write_bytes(content)
        written.append(case_artifact(prepared, names[role], content, KIND, role))
    return (*written, *_sidecars(case, prepared, folder, names))


def _images(prepared: PreparedCase) -> Iterator[tuple[str, Volume]]:
    for purpose, volume in prepared.volumes.items():
        stem = FILE_STEMS[purpose]
        yield stem, volume.native
        if volume.on_reference is not None and not volume.is_reference:
            yield stem + ON_REFERENCE, volume.on_reference


def _label_maps(prepared: PreparedCase, grid: Grid) -> Iterator[tuple[str, Volume]]:
    for shape, role in LABEL_ROLES.items():
        masks = prepared.masks(shape)
        yield f"{role}_instance", Volume(combine(masks, grid, _number), grid)
        yield f"{role}_class", Volume(combine(masks, grid, _class_code), grid)


def _number(lesion: LesionMask) -> int:
    return lesion.number


def _class_code(lesion: LesionMask) -> int:
    return CLASS_CODES[class_name(lesion.label.status, lesion.label.isup_grade)]


def _sidecars(case: CuratedCase, prepared: PreparedCase, folder: Path, names: dict[str, str]) -> tuple[Artifact, ...]:
    contents = {f"{FILE_STEMS[purpose]}_provenance": dict(_image_description(prepared, purpose, names)) for purpose in prepared.volumes}
    contents["labels"] = _labels_description(case, prepared, names)
    artifacts = []
    for role, content in contents.items():
        stem = role.removesuffix("_provenance")
        name, encoded = prepared.file_name(f"{stem}.json"), json_bytes(content)
        (folder / name).write_bytes(encoded)
        artifacts.append(case_artifact(prepared, name, encoded, "json", role))
    return tuple(artifacts)


def _image_description(prepared: PreparedCase, purpose: Purpose, names: dict[str, str]) -> Iterator[tuple[str, Any]]:
    stem = FILE_STEMS[purpose]
    yield "purpose", purpose.value
    yield "native_file", names[stem]
    if prepared.volumes[purpose].on_reference is not None:
        yield "on_reference_file", names.get(stem + ON_REFERENCE, names[stem])
    yield from prepared.volumes[purpose].provenance.items()


def _labels_description(case: CuratedCase, prepared: PreparedCase, names: dict[str, str]) -> dict[str, Any]:
    return {
        "case": prepared.identity.case_id,
        "tier": case.tier.value,
        "negative_reason": case.negative_reason,
        "frame": "coordinates in this file are DICOM LPS mm; voxel boxes are half-open (i, j, k) = (column, row, slice)",
        "frame_of_reference_uid": prepared.reference.frame_of_reference_uid if prepared.reference else None,
        "reference_series_key": prepared.reference_key,
        "class_codes": {"background": 0, **CLASS_CODES},
        "files": {role: name for role, name in names.items() if role.startswith("label_")},
        "rule_for_overlaps": "the more severe label wins: cancer before untested before benign, then ISUP grade, then confidence",
        "overlaps": {shape: [_overlap(overlap) for overlap in overlaps(prepared.masks(shape))] for shape in LABEL_ROLES},
        "instances": [_instance(label) for label in prepared.labels],
    }


def _overlap(overlap: Any) -> dict[str, int]:
    return {"winner": overlap.winner, "loser": overlap.loser, "voxels": overlap.voxels}


def _instance(prepared: PreparedLabel) -> dict[str, Any]:
    label, box = prepared.label, prepared.label.box
    return {
        "instance": prepared.number,
        "label": prepared.research_id,
        "tracking_uid": prepared.tracking_uid,
        "class": class_name(label.status, label.isup_grade),
        "pirads": label.pirads,
        "tier": label.tier.value,
        "confidence": label.confidence,
        "box": None
        if box is None
        else {
            "centre_mm": box.centre,
            "size_mm": box.size_mm,
            "voxel_start": box.voxel_start,
            "voxel_stop": box.voxel_stop,
            "uncertainty_mm": box.uncertainty_mm,
        },
    }


EXPORTER = Exporter(write=write, waits_for_compression=True)
