"""DICOM Segmentation: one binary segment for each lesion, on the source images.

One object for each shape asked for (``segmentation_shapes``): the ellipsoid inscribed in the box, which is closer to a
lesion than the box is (a box mask is about 2.7 times a lesion's volume), or the box itself. Segments may overlap.
A case without boxes has no Segmentation. Frames without a voxel are left out (omit_empty_frames); each frame names its
source image, so that a reader can restore the full grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from weakbox.exporters.dicom_objects import (
    MANUFACTURER,
    MODEL,
    SERIAL_NUMBER,
    content_uid,
    known_uids,
    settle,
    software_version,
    to_bytes,
    to_code,
)
from weakbox.exporters.exporter import BOX, ELLIPSOID, Exporter, PreparedCase, PreparedLabel, case_artifact
from weakbox.records.artifact import Artifact
from weakbox.records.label import CuratedCase
from weakbox.terminology.dicom_codes import (
    ARTIFICIAL_INTELLIGENCE,
    LESION,
    MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
    ORGAN_CODES,
    class_name,
    sector_codes,
)

KIND = "dicom_seg"
SERIES_NUMBERS = {ELLIPSOID: 9101, BOX: 9102}


def write(case: CuratedCase, prepared: PreparedCase, folder: Path) -> tuple[Artifact, ...]:
    """Write one Segmentation for each shape; nothing for a case without boxes."""
    labels = [label for label in prepared.labels if label.masks]
    if not labels:
        return ()
    artifacts = []
    for shape in prepared.options.segmentation_shapes:
        dataset = segmentation(case, prepared, labels, shape)
        content = to_bytes(dataset)
        name = prepared.file_name(f"seg_{shape}.dcm")
        (folder / name).write_bytes(content)
        artifacts.append(case_artifact(prepared, name, content, KIND, f"seg_{shape}", str(dataset.SOPInstanceUID)))
    return tuple(artifacts)


def segmentation(case: CuratedCase, prepared: PreparedCase, labels: Sequence[PreparedLabel], shape: str) -> Dataset:
    """The Segmentation of one shape; segment n is the n-th label with a box, ``tracking id`` its research id."""
    first, last = _slice_range(labels, shape)
    sources = _sources(prepared, first, last)
    series_uid, sop_uid = object_uids(prepared, shape)
    dataset = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=_pixels(prepared, labels, shape, first, last),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(case, label, number) for number, label in enumerate(labels, start=1)],
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBERS[shape],
        sop_instance_uid=sop_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=software_version(),
        device_serial_number=SERIAL_NUMBER,
        content_label="WEAK_LABELS",
        content_description=f"Lesions as {shape}s, weak labels",
        omit_empty_frames=True,
    )
    dataset.SeriesDescription = f"Weakbox {shape}s"
    for item, label in zip(dataset.SegmentSequence, labels, strict=True):
        item.SegmentDescription = _words(label)
    settle(dataset, (sop_uid,), known_uids(sources, series_uid, sop_uid, *(label.tracking_uid for label in labels)))
    return dataset


def object_uids(prepared: PreparedCase, shape: str) -> tuple[str, str]:
    """Series and SOP Instance UID of a case's Segmentation: the same for the same boxes on the same images."""
    content = [repr((label.research_id, label.label.box)) for label in prepared.labels]
    series_uid = content_uid("segmentation series", prepared.identity.case_id, shape, *_image_uids(prepared))
    return series_uid, content_uid(series_uid, *content)


def _image_uids(prepared: PreparedCase) -> list[str]:
    return [str(image.SOPInstanceUID) for image in prepared.source_images]


def _slice_range(labels: Sequence[PreparedLabel], shape: str) -> tuple[int, int]:
    ranges = [label.masks[shape].mask.slices[0] for label in labels]
    return min(part.start for part in ranges), max(part.stop for part in ranges)


def _sources(prepared: PreparedCase, first: int, last: int) -> list[Dataset]:
    # Only the slices that lesions span: highdicom's checks cost time for every slice given.
    images = list(prepared.source_images)
    return images if len(images) == 1 else images[first:last]


def _pixels(prepared: PreparedCase, labels: Sequence[PreparedLabel], shape: str, first: int, last: int) -> NDArray[np.uint8]:
    columns, rows, slices = prepared.reference.shape if prepared.reference else (0, 0, 0)
    if len(prepared.source_images) == 1:
        first, last = 0, slices
    pixels = np.zeros((last - first, rows, columns, len(labels)), dtype=np.uint8)
    for segment, label in enumerate(labels):
        mask = label.masks[shape].mask
        depth, height, width = mask.slices
        pixels[depth.start - first : depth.stop - first, height, width, segment] = mask.block
    return pixels


def _description(case: CuratedCase, label: PreparedLabel, number: int) -> Any:
    record = label.label
    pirads = f", PI-RADS {record.pirads}" if record.pirads else ""
    region = sector_codes(record.sectors) or tuple(code for organ, code in ORGAN_CODES.items() if organ == case.organ)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"Lesion {label.number}: {class_name(record.status, record.isup_grade)}{pirads}"[:64],
        segmented_property_category=to_code(MORPHOLOGICALLY_ABNORMAL_STRUCTURE),
        segmented_property_type=to_code(LESION),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=MANUFACTURER, family=to_code(ARTIFICIAL_INTELLIGENCE), version=software_version()
        ),
        tracking_uid=label.tracking_uid,
        tracking_id=label.research_id,
        anatomic_regions=[to_code(code) for code in region] or None,
    )


def _words(label: PreparedLabel) -> str:
    record = label.label
    uncertainty = f"; uncertainty {record.box.uncertainty_mm:g} mm" if record.box else ""
    sources = f"centre: {record.centre_source}; size: {record.size_source}; class: {record.class_source}"
    return f"Weak label, tier {record.tier.value}; {sources}{uncertainty}"[:1024]


EXPORTER = Exporter(write=write, needs_source_images=True)
