"""The 3-D series of a public study, from the headers of its files: grids, slices in order, what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weakbox.imaging.header import read_headers
from weakbox.imaging.header_reading import Header
from weakbox.imaging.roles import role_from_description
from weakbox.imaging.series_parts import Part, split_parts
from weakbox.imaging.slice_geometry import read_geometry
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import Instance, Series
from weakbox.sources.remarks import dropped

Headers = dict[str, list[Header]]
"""Series Instance UID -> the headers of its images; each header has ``path``."""


def headers_by_series(paths: Iterable[Path], modality: str = "MR") -> tuple[Headers, list[LedgerEntry]]:
    """Headers of the images of one modality, and a ledger row for every other file; each SOP instance once."""
    found: Headers = {}
    ledger = []
    seen: set[tuple[object, object]] = set()
    for path in sorted(paths):
        reading = read_headers(path)
        if reading.skipped is not None:
            ledger.append(dropped("file", path.name, reading.skipped.value, reading.detail))
            continue
        for header in reading.headers:
            name = (header.get("sop_instance_uid"), header.get("frame"))
            if header.get("modality") != modality or not header.get("series_uid"):
                reason = f"not_{modality.lower()}" if header.get("series_uid") else "no_series_uid"
                ledger.append(dropped("file", path.name, reason, str(header.get("modality") or "")))
            elif name in seen:
                ledger.append(dropped("file", path.name, "duplicate_instance", "the same SOP Instance UID as another file"))
            else:
                seen.add(name)
                header["path"] = str(path)
                found.setdefault(str(header["series_uid"]), []).append(header)
    return found, ledger


def series_of(headers: Headers) -> list[Series]:
    """One record a volume: a series that mixes several volumes (times, echoes ...) gives one for each."""
    return [volume_series(part) for uid in sorted(headers) for part in split_parts(headers[uid])]


def volume_series(part: Part) -> Series:
    """The record of one volume: its grid where it has one, its slices with k = 0 first."""
    geometry = read_geometry(part.headers)
    first = geometry.headers[0]
    role = role_from_description(str(first.get("description") or ""))
    return Series(
        series_uid=str(first["series_uid"]),
        study_uid=str(first.get("study_uid") or ""),
        part=part.name,
        role=role.role,
        role_confidence=role.confidence,
        role_reason=role.reason,
        plane=role.plane,
        description=str(first.get("description") or ""),
        series_number=_integer(first.get("series_number")),
        modality=str(first.get("modality") or ""),
        frame_of_reference_uid=geometry.grid.frame_of_reference_uid if geometry.grid else None,
        grid=geometry.grid,
        image_count=len(part.headers),
        b_values=part.b_values,
        manufacturer=_text(first.get("manufacturer")),
        model=_text(first.get("model")),
        magnetic_field_strength_t=_number(first.get("magnetic_field_strength_t")),
        slice_thickness_mm=_number(first.get("slice_thickness_mm")),
        problems=geometry.problems,
        instances=tuple(_instance(header) for header in geometry.headers),
    )


def _instance(header: Mapping[str, Any]) -> Instance:
    return Instance(
        path=str(header["path"]),
        sop_instance_uid=str(header.get("sop_instance_uid") or ""),
        sop_class_uid=str(header.get("sop_class_uid") or ""),
        frame=_integer(header.get("frame")),
    )


def _text(value: object) -> str | None:
    return str(value) if value else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
