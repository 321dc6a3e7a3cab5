"""DICOM Structured Report, TID 1500 in a Comprehensive 3D SR: one measurement group for each label.

A label with a box is a volumetric ROI (TID 1411) whose surface is the ELLIPSOID inscribed in the box: six points, the
ends of its three axes, LPS mm in the source's Frame of Reference; the box's edges are those points' extents along the
axes. Beside it stands a POINT named "Center". SR has no box of its own; the box as voxels is in the NIfTI label maps
and, if asked for, in a Segmentation. A label without a box is a group without a region (TID 1501).
The observer is a device, Weakbox; no person is named. A case without labels has no report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom import sr
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
from weakbox.exporters.exporter import Exporter, PreparedCase, PreparedLabel, case_artifact
from weakbox.records.artifact import Artifact
from weakbox.records.label import Box, CuratedCase, LesionStatus
from weakbox.terminology import dicom_codes as codes

KIND = "dicom_sr"
SERIES_NUMBER = 9103
DEVICE_UID = content_uid("weakbox device observer")


def write(case: CuratedCase, prepared: PreparedCase, folder: Path) -> tuple[Artifact, ...]:
    """Write the report of a case; nothing for a case without labels."""
    if not prepared.labels:
        return ()
    dataset = report(case, prepared)
    content = to_bytes(dataset)
    name = prepared.file_name("sr.dcm")
    (folder / name).write_bytes(content)
    return (case_artifact(prepared, name, content, KIND, KIND, str(dataset.SOPInstanceUID)),)


def report(case: CuratedCase, prepared: PreparedCase) -> Dataset:
    """The Comprehensive 3D SR of a case."""
    images = prepared.source_images
    content = repr([(label.research_id, label.label.box, _facts(label)) for label in prepared.labels])
    series_uid = content_uid("report series", prepared.identity.case_id, *(str(image.SOPInstanceUID) for image in images))
    sop_uid = content_uid(series_uid, content)
    groups = [_group(case, prepared, label) for label in prepared.labels]
    dataset = sr.Comprehensive3DSR(
        evidence=_evidence(prepared),
        content=_measurement_report(case, groups)[0],
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=sop_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    dataset.SeriesDescription = "Weakbox labels"
    dataset.ManufacturerModelName = MODEL
    dataset.SoftwareVersions = software_version()
    dataset.DeviceSerialNumber = SERIAL_NUMBER
    settle(dataset, (sop_uid,), known_uids(images, series_uid, sop_uid, DEVICE_UID, *(label.tracking_uid for label in prepared.labels)))
    return dataset


def _evidence(prepared: PreparedCase) -> list[Dataset]:
    """The images that the boxes span; one image of the series where there is no box."""
    boxes = [label.label.box for label in prepared.labels if label.label.box is not None]
    images = prepared.source_images
    if len(images) == 1 or not boxes:
        return [images[len(images) // 2]]
    return list(images[min(box.voxel_start[2] for box in boxes) : max(box.voxel_stop[2] for box in boxes)])


def _facts(prepared: PreparedLabel) -> tuple[object, ...]:
    label = prepared.label
    return label.status, label.isup_grade, label.pirads, label.max_diameter_mm, label.sectors, label.zone


def _measurement_report(case: CuratedCase, groups: Sequence[Any]) -> Any:
    observer = sr.ObserverContext(
        observer_type=_concept(codes.DEVICE),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=DEVICE_UID, name=MANUFACTURER, manufacturer_name=MANUFACTURER, model_name=MODEL, serial_number=SERIAL_NUMBER
        ),
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=to_code(codes.PROCEDURE_CODES.get(case.organ, codes.IMAGING_PROCEDURE)),
        imaging_measurements=groups,
        title=to_code(codes.IMAGING_MEASUREMENT_REPORT),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(_concept(codes.ENGLISH)),
    )


def _group(case: CuratedCase, prepared: PreparedCase, label: PreparedLabel) -> Any:
    common: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(uid=label.tracking_uid, identifier=label.research_id),
        "finding_type": to_code(codes.LESION),
        "finding_category": to_code(codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE),
        "algorithm_id": sr.AlgorithmIdentification(name=MANUFACTURER, version=software_version()),
        "finding_sites": list(_sites(case, label)),
        "measurements": list(_measurements(label)),
        "qualitative_evaluations": list(_evaluations(label)),
    }
    box = label.label.box
    if box is None or prepared.reference is None:
        return sr.MeasurementsAndQualitativeEvaluations(**common)
    frame_uid = str(prepared.reference.frame_of_reference_uid)
    surface = _surface(prepared, box, frame_uid)
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_volume_surface=surface, **common)
    centre = sr.Scoord3DContentItem(
        name=to_code(codes.CENTRE),
        graphic_type=sr.GraphicTypeValues3D.POINT,
        graphic_data=np.array([box.centre]),
        frame_of_reference_uid=frame_uid,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
    group[0].ContentSequence.append(centre)
    return group


def _surface(prepared: PreparedCase, box: Box, frame_uid: str) -> Any:
    images = prepared.source_images
    spanned = images if len(images) == 1 else images[box.voxel_start[2] : box.voxel_stop[2]]
    return sr.VolumeSurface(
        graphic_type=sr.GraphicTypeValues3D.ELLIPSOID,
        graphic_data=ellipsoid_points(box, prepared),
        frame_of_reference_uid=frame_uid,
        source_images=[
            sr.SourceImageForSegmentation(referenced_sop_class_uid=image.SOPClassUID, referenced_sop_instance_uid=image.SOPInstanceUID)
            for image in spanned
        ],
    )


def ellipsoid_points(box: Box, prepared: PreparedCase) -> Any:
    """Six LPS points (6, 3): both ends of the axis along i, then j, then k (DICOM PS3.3 C.18.9.1.2)."""
    directions = prepared.reference.directions if prepared.reference else np.eye(3)
    half_axes = directions * (np.array(box.size_mm) / 2)
    return np.array([np.array(box.centre) + sign * half_axes[:, axis] for axis in range(3) for sign in (-1, 1)])


def _sites(case: CuratedCase, label: PreparedLabel) -> Iterator[Any]:
    record = label.label
    sectors = codes.sector_codes(record.sectors)
    if sectors:
        yield from (sr.FindingSite(anatomic_location=to_code(code)) for code in sectors)
        return
    place = codes.ZONE_CODES.get(record.zone or "") or codes.ORGAN_CODES.get(case.organ)
    side = codes.LATERALITY_CODES.get(record.side or "")
    if place is not None:
        yield sr.FindingSite(anatomic_location=to_code(place), laterality=to_code(side) if side else None)


def _measurements(label: PreparedLabel) -> Iterator[Any]:
    diameter = label.label.max_diameter_mm
    if diameter is not None:
        millimetre, maximum = to_code(codes.MILLIMETRE), to_code(codes.MAXIMUM)
        yield sr.Measurement(name=to_code(codes.DIAMETER), value=diameter, unit=millimetre, derivation=maximum)


def _evaluations(label: PreparedLabel) -> Iterator[Any]:
    record = label.label
    if record.pirads is not None:
        yield _evaluation(codes.PIRADS_LESION_ASSESSMENT, codes.PIRADS_LESION_CODES[record.pirads])
    if record.status is LesionStatus.CANCER:
        yield _evaluation(codes.PATHOLOGY_RESULTS, codes.MALIGNANT)
    if record.status is LesionStatus.BENIGN:
        yield _evaluation(codes.PATHOLOGY_RESULTS, codes.BENIGN)
    if record.isup_grade:
        yield _evaluation(codes.ISUP_GRADE_GROUP, codes.isup_code(record.isup_grade, record.gleason_primary, record.gleason_secondary))


def _concept(code: codes.DicomCode) -> Any:
    return sr.CodedConcept.from_code(to_code(code))


def _evaluation(name: codes.DicomCode, value: codes.DicomCode) -> Any:
    return sr.QualitativeEvaluation(name=to_code(name), value=to_code(value))


EXPORTER = Exporter(write=write, needs_source_images=True)
