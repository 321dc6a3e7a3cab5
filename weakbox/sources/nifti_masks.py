"""Segmentations from mask volumes (NIfTI, MHA, NRRD) that a table lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from weakbox.imaging.segmentations import MaskPart, parts_by_connection, parts_by_value, read_mask
from weakbox.records.biopsy import Segmentation, SegmentationKind
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.sources.field_reading import FieldError, read_boolean, read_integer, read_isup
from weakbox.sources.remarks import dropped
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

COLUMNS = Columns(
    required={"path": ("mask", "mask_path", "file"), "patient_id": ("patient", "mrn"), "kind": ()},
    optional={
        "study_uid": ("study_instance_uid",),
        "series_uid": ("series_instance_uid",),
        "frame_of_reference_uid": ("frame_uid",),
        "label": (),
        "value": ("label_value",),
        "isup_grade": ("isup", "ggg"),
        "is_expert": ("expert",),
    },
)
_KINDS = {kind.value: kind for kind in SegmentationKind}


class NiftiMaskOptions(TableOptions):
    """A table with one row a mask volume, or one row a value of it."""

    path: Path = Field(description="The table; `path` in it is relative to the table's folder, or absolute.")
    values: Literal["label", "isup_grade"] = Field(
        default="label",
        description="What voxel values mean: `label` (each value is one segment), or `isup_grade` "
        "(each group of touching voxels is one lesion, its value the ISUP grade, as in PI-CAI).",
    )
    is_expert: bool = Field(default=True, description="Whether people drew the masks, where the table does not say it.")


def read(options: NiftiMaskOptions) -> Iterator[Segmentation | LedgerEntry]:
    """One record for each part of each listed mask; rows and masks that cannot be used are dropped.

    Raises:
        InputError: the table or one of its columns is missing.
    """
    for row in read_rows(options, COLUMNS, "segmentation"):
        if isinstance(row, LedgerEntry):
            yield row
        else:
            yield from _read_row(options, row)


def _read_row(options: NiftiMaskOptions, row: Row) -> Iterator[Segmentation | LedgerEntry]:
    place = f"{options.path.name}:{row.number}"
    patient_id, mask_path = row.text("patient_id"), row.text("path")
    kind = _KINDS.get((row.text("kind") or "").casefold())
    if patient_id is None or mask_path is None or kind is None:
        reason = "no_patient" if patient_id is None else "no_path" if mask_path is None else "unknown_kind"
        yield dropped("segmentation", place, reason, f"kind is one of {', '.join(_KINDS)}" if kind is None else "", patient_id)
        return
    try:
        parts = _parts(options, row, options.path.parent / mask_path)
        made = [_segmentation(options, row, patient_id, mask_path, kind, part) for part in parts]
    except FieldError as error:
        yield dropped("segmentation", place, error.reason, patient_id=patient_id)
        return
    except InputError as error:
        yield dropped("segmentation", place, "unreadable_mask", str(error), patient_id)
        return
    yield from made
    if not made:
        yield dropped("segmentation", place, "empty_segment", "no voxel is set", patient_id)


def _parts(options: NiftiMaskOptions, row: Row, path: Path) -> tuple[MaskPart, ...]:
    value = read_integer(row.text("value"), minimum=1, maximum=10**6)
    mask, grid = read_mask(path)
    if value is not None:
        mask = mask * (mask == value)
    return parts_by_value(mask, grid) if options.values == "label" else parts_by_connection(mask, grid)


def _segmentation(
    options: NiftiMaskOptions, row: Row, patient_id: str, mask_path: str, kind: SegmentationKind, part: MaskPart
) -> Segmentation:
    grade = read_isup(row.text("isup_grade"))
    if grade is None and options.values == "isup_grade" and kind is SegmentationKind.LESION and part.value <= 5:
        grade = part.value
    is_expert = read_boolean(row.text("is_expert"))
    key = (patient_id, row.text("study_uid"), row.text("series_uid"), kind, mask_path, part.number)
    return Segmentation(
        segmentation_id="M" + hashlib.sha256("\x1f".join(str(part) for part in key).encode()).hexdigest()[:16],
        patient_id=patient_id,
        kind=kind,
        label=row.text("label") or str(part.number),
        path=str(options.path.parent / mask_path),
        segment_number=part.number,
        centroid=part.extent.centroid,
        corner=part.extent.corner,
        edges=part.extent.edges,
        volume_ml=part.extent.volume_ml,
        frame_of_reference_uid=row.text("frame_of_reference_uid"),
        study_uid=row.text("study_uid"),
        series_uid=row.text("series_uid"),
        isup_grade=grade,
        is_expert=options.is_expert if is_expert is None else is_expert,
        source="nifti_masks",
    )


def files(options: NiftiMaskOptions) -> tuple[Path, ...]:
    """The table, and the masks that it lists."""
    masks = [
        options.path.parent / mask
        for row in read_rows(options, COLUMNS, "segmentation")
        if not isinstance(row, LedgerEntry) and (mask := row.text("path")) is not None
    ]
    return (options.path, *sorted(set(masks)))


SOURCE = Source(family="segmentations", options=NiftiMaskOptions, files=files, read=read)
