"""Index rows -> studies with their series: parts, roles, grids, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from weakbox.imaging.dicom_index import DicomIndex
from weakbox.imaging.header_reading import parse_date
from weakbox.imaging.roles import RoleReading, SeriesFacts, plane_of, role_of_series
from weakbox.imaging.series_parts import Part, split_parts
from weakbox.imaging.slice_geometry import UNUSABLE, Header, SliceGeometry, has_geometry, read_geometry
from weakbox.imaging.study_kind import study_kind
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.imaging import ImagingStudy, Instance, Series, SeriesRole

USED_ROLES = frozenset({SeriesRole.T2W, SeriesRole.DWI, SeriesRole.ADC})
BATCH_ROWS = 4096


def build_studies(index: DicomIndex) -> Iterator[ImagingStudy | LedgerEntry]:
    """Studies in the order of their UIDs, and ledger entries of images and studies that cannot be placed."""
    table = index.table.sort_by([("study_uid", "ascending"), ("series_uid", "ascending"), ("path", "ascending"), ("frame", "ascending")])
    for headers in _by_study(table):
        study_uid = headers[0]["study_uid"]
        if study_uid is None:
            yield from (_dropped("file", header["path"], "no_study_uid", header["patient_id"]) for header in headers)
            continue
        patients = {header["patient_id"] for header in headers}
        if len(patients) > 1 or None in patients:
            yield _dropped("study", study_uid, "several_patient_ids" if len(patients) > 1 else "no_patient_id", None)
            continue
        placed = [header for header in headers if header["series_uid"] is not None]
        for header in headers:
            if header["series_uid"] is None:
                yield _dropped("file", header["path"], "no_series_uid", header["patient_id"])
        if placed:
            yield _build_study(placed, index.root)


def _dropped(kind: str, item_id: str, reason: str, patient_id: str | None) -> LedgerEntry:
    return LedgerEntry(stage="preprocessing", kind=kind, item_id=item_id, outcome=Outcome.DROPPED, reason=reason, patient_id=patient_id)


def _by_study(table: pa.Table) -> Iterator[list[Header]]:
    """Rows of one study at a time, from a table sorted by study; only a batch of rows is in memory as Python values."""
    waiting: list[Header] = []
    for start in range(0, table.num_rows, BATCH_ROWS):
        for header in table.slice(start, BATCH_ROWS).to_pylist():
            if waiting and header["study_uid"] != waiting[0]["study_uid"]:
                yield waiting
                waiting = []
            waiting.append(header)
    if waiting:
        yield waiting


def _build_study(headers: Sequence[Header], root: Path) -> ImagingStudy:
    groups: dict[str, list[Header]] = {}
    for header in headers:
        groups.setdefault(header["series_uid"], []).append(header)
    series = tuple(record for group in groups.values() for record in build_series(group, root))
    kind, reason = study_kind(series, str(_first(headers, "study_description") or ""))
    age = _first(headers, "patient_age_years")
    return ImagingStudy(
        study_uid=headers[0]["study_uid"],
        patient_id=headers[0]["patient_id"],
        accession=_first(headers, "accession"),
        study_date=parse_date(_first(headers, "study_date")),
        study_time=_first(headers, "study_time"),
        description=_first(headers, "study_description") or "",
        kind=kind,
        kind_reason=reason,
        patient_age_years=age,
        patient_sex=_first(headers, "patient_sex"),
        series=series,
    )


def build_series(headers: Sequence[Header], root: Path) -> list[Series]:
    """The series of one Series Instance UID: one record, or one a part. Paths of instances are below ``root``."""
    planes = {plane_of(header["orientation"]) for header in headers if has_geometry(header)}
    frames = {header.get("frame_of_reference_uid") for header in headers}
    parts = split_parts(headers)
    whole = _Whole(
        image_count=len(headers),
        plane_count=len(planes),
        has_several_frames=len(frames) > 1,
        has_diffusion=any(b_value > 0 for part in parts for b_value in part.b_values),
    )
    return [_build_part(part, whole, root) for part in parts]


@dataclass(frozen=True, slots=True)
class _Whole:
    """What all images of one Series Instance UID show together."""

    image_count: int
    plane_count: int
    has_several_frames: bool
    has_diffusion: bool


def _build_part(part: Part, whole: _Whole, root: Path) -> Series:
    geometry = read_geometry(part.headers)
    role = role_of_series(_facts(part, geometry, whole))
    problems = list(geometry.problems)
    if whole.has_several_frames and "several_frames_of_reference" not in problems:
        problems.append("several_frames_of_reference")
    if part.is_one_direction:
        problems.append("single_direction")
    if role.role is not SeriesRole.UNKNOWN and "against" in role.reason:
        problems.append("role_conflict")
    is_used = role.role in USED_ROLES and geometry.grid is not None and not UNUSABLE.intersection(problems)
    first = geometry.headers[0]
    return Series(
        series_uid=first["series_uid"],
        study_uid=first["study_uid"],
        part=part.name,
        image_count=len(part.headers),
        grid=geometry.grid,
        frame_of_reference_uid=None if whole.has_several_frames else first.get("frame_of_reference_uid"),
        problems=tuple(problems),
        instances=tuple(_instance(header, root) for header in geometry.headers) if is_used else (),
        **_role_values(role),
        **_protocol_values(part.headers),
    )


def _role_values(role: RoleReading) -> dict[str, Any]:
    return {
        "role": role.role,
        "role_confidence": round(role.confidence, 3),
        "role_reason": role.reason,
        "plane": role.plane,
        "b_values": role.b_values,
        "is_computed_b": role.is_computed_b,
        "is_diagnostic": not role.is_guidance,
    }


def _protocol_values(headers: Sequence[Header]) -> dict[str, Any]:
    same_names = (
        *("series_number", "manufacturer", "model", "magnetic_field_strength_t", "echo_time_ms", "repetition_time_ms", "flip_angle_deg"),
        *("slice_thickness_mm", "receive_coil", "protocol_name"),
    )
    return {name: _first(headers, name) for name in same_names} | {
        "description": _first(headers, "description") or "",
        "modality": _first(headers, "modality") or "",
        "scanning_sequence": _first(headers, "scanning_sequence"),
        "sequence_name": _first(headers, "sequence_name") or _first(headers, "pulse_sequence_name"),
        "acquisition_time": min((str(header["acquisition_time"]) for header in headers if header.get("acquisition_time")), default=None),
    }


def _instance(header: Header, root: Path) -> Instance:
    return Instance(
        path=(root / header["path"]).as_posix(),
        sop_instance_uid=header["sop_instance_uid"],
        sop_class_uid=header["sop_class_uid"],
        frame=header["frame"],
    )


def _facts(part: Part, geometry: SliceGeometry, whole: _Whole) -> SeriesFacts:
    headers = part.headers
    positions = geometry.grid.shape[2] if geometry.grid is not None else len(headers)
    stated = _first(headers, "temporal_positions") or 1
    orientation = headers[0].get("orientation")
    return SeriesFacts(
        modality=_first(headers, "modality") or "",
        sop_class_uid=_first(headers, "sop_class_uid") or "",
        image_type=_tokens(headers, "image_type") | _tokens(headers, "acquisition_contrast"),
        description=_first(headers, "description") or "",
        protocol_name=_first(headers, "protocol_name") or "",
        sequence_name=_first(headers, "sequence_name") or "",
        scanning_sequence=_tokens(headers[:1], "scanning_sequence"),
        acquisition_type=_first(headers, "acquisition_type") or "",
        echo_time_ms=_first(headers, "echo_time_ms"),
        repetition_time_ms=_first(headers, "repetition_time_ms"),
        inversion_time_ms=_first(headers, "inversion_time_ms"),
        temporal_positions=max(stated, whole.image_count // max(1, positions) if part.name.startswith("t") else 1),
        b_values=part.b_values,
        plane=plane_of(orientation) if orientation is not None and len(orientation) == 6 else None,
        plane_count=whole.plane_count,
        has_diffusion=whole.has_diffusion and _is_source(part),
    )


def _is_source(part: Part) -> bool:
    """Whether a part may be one of the weighted images of a diffusion series: it states a b-value."""
    return bool(part.b_values)


def _tokens(headers: Sequence[Header], name: str) -> frozenset[str]:
    return frozenset(token.strip() for header in headers for token in str(header.get(name) or "").upper().split("\\") if token.strip())


def _first(headers: Sequence[Header], name: str) -> Any:
    """The most frequent stated value, the first one of equals; None where no image states one."""
    counts = Counter(header[name] for header in headers if header.get(name) is not None)
    return counts.most_common(1)[0][0] if counts else None
