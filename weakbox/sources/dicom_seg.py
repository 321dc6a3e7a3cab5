"""Lesion, gland and zone segmentations from DICOM-SEG objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from weakbox.imaging.segmentations import Segment, SegmentationObject, is_segmentation, read_dicom_seg
from weakbox.records.biopsy import Segmentation, SegmentationKind
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.sources.file_names import files_below
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source, SourceOptions


class DicomSegOptions(SourceOptions):
    """A DICOM-SEG file, or a folder tree; other DICOM files in it are passed over and counted."""

    path: Path = Field(description="A file, or a folder; subfolders are read too.")
    glob: str = Field(default="**/*", description="Which files are looked at.")
    kinds: tuple[SegmentationKind, ...] = Field(default=tuple(SegmentationKind), description="Kinds that are kept.")


def read(options: DicomSegOptions) -> Iterator[Segmentation | LedgerEntry]:
    """One record a segment, in the order of the paths; segments of no known kind and empty ones are dropped.

    Raises:
        InputError: no such path.
    """
    others = 0
    for number, path in enumerate(files(options), start=1):
        if not is_segmentation(path):
            others += 1
            continue
        try:
            stored = read_dicom_seg(path)
        except InputError as error:
            yield dropped("file", f"{options.path.name}:file {number}", "unreadable_segmentation", str(error))
            continue
        for segment in stored.segments:
            yield from _read_segment(options, path, stored, segment)
    if others:
        yield flagged("file", options.path.name, "not_a_segmentation", f"{others} other files passed over")


def _read_segment(
    options: DicomSegOptions, path: Path, stored: SegmentationObject, segment: Segment
) -> Iterator[Segmentation | LedgerEntry]:
    segmentation_id = f"{stored.sop_instance_uid}/{segment.number}"
    reason = _why_not(options, stored, segment)
    if reason is not None or segment.extent is None or segment.kind is None or stored.patient_id is None:
        yield dropped("segmentation", segmentation_id, reason or "unusable", patient_id=stored.patient_id)
        return
    yield Segmentation(
        segmentation_id=segmentation_id,
        patient_id=stored.patient_id,
        kind=segment.kind,
        label=segment.label,
        path=str(path),
        segment_number=segment.number,
        centroid=segment.extent.centroid,
        corner=segment.extent.corner,
        edges=segment.extent.edges,
        volume_ml=segment.extent.volume_ml,
        frame_of_reference_uid=stored.frame_of_reference_uid,
        study_uid=stored.study_uid,
        series_uid=stored.series_uid,
        is_expert=not segment.is_automatic,
        source="dicom_seg",
    )
    if stored.frame_of_reference_uid is None and stored.series_uid is None:
        yield flagged("segmentation", segmentation_id, "no_frame_of_reference", patient_id=stored.patient_id)


def _why_not(options: DicomSegOptions, stored: SegmentationObject, segment: Segment) -> str | None:
    if stored.patient_id is None:
        return "no_patient"
    if segment.kind is None:
        return "unknown_segment_kind"
    if segment.kind not in options.kinds:
        return "kind_not_asked_for"
    return "empty_segment" if segment.extent is None else None


def files(options: DicomSegOptions) -> tuple[Path, ...]:
    """The files that are looked at, sorted."""
    return files_below(options.path, options.glob)


SOURCE = Source(family="segmentations", options=DicomSegOptions, files=files, read=read)
