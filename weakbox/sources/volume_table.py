"""Imaging studies from ready volumes (NIfTI, MHA) that a table lists, one row a volume.

NIfTI's RAS is converted to LPS here. A volume file names no Frame of Reference, so the table must: by the column
``frame_of_reference_uid``, or by the option ``volumes_share_a_frame`` for sets that were registered or resampled together.
Without either, no volume of the table may be joined with another, or with a coordinate.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import ImagingStudy, Plane, Series, SeriesRole
from weakbox.records.record import record
from weakbox.sources.field_reading import DEFAULT_DATE_FORMATS, DateFormat, FieldError, read_date, read_number
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

if TYPE_CHECKING:
    from weakbox.runtime.executors.executor import Executor

COLUMNS = Columns(
    required={
        "patient_id": ("patient", "mrn"),
        "study_id": ("study_uid", "study_instance_uid", "study"),
        "role": ("sequence", "modality_role", "channel"),
        "path": ("file", "volume", "volume_path"),
    },
    optional={
        "series_uid": ("series_instance_uid",),
        "study_date": ("exam_date", "mri_date", "date"),
        "accession": ("accession_number",),
        "b_value": ("b",),
        "frame_of_reference_uid": ("frame_uid",),
        "description": ("series_description",),
        "manufacturer": (),
        "model": ("manufacturer_model_name",),
        "magnetic_field_strength": ("field_strength",),
        "patient_sex": ("sex",),
        "patient_age": ("age",),
    },
)
ROLES = {
    "t2w": SeriesRole.T2W,
    "t2": SeriesRole.T2W,
    "adc": SeriesRole.ADC,
    "dwi": SeriesRole.DWI,
    "high_b": SeriesRole.DWI,
    "hbv": SeriesRole.DWI,
    "dce": SeriesRole.DCE,
    "t1w": SeriesRole.T1W,
    "other": SeriesRole.OTHER,
}
"""Words of the ``role`` column; ``high_b`` and ``hbv`` are DWI that needs a b-value."""
HIGH_B_WORDS = ("high_b", "hbv")


class VolumeTableOptions(TableOptions):
    """A table with one row a volume."""

    path: Path = Field(description="The table; `path` in it is relative to the table's folder, or absolute.")
    volumes_share_a_frame: bool = Field(
        default=False, description="Whether all volumes of a study lie in one frame (resampled or registered together), without a UID."
    )
    high_b_value: float | None = Field(default=None, gt=0, description="b-value (s/mm2) of `high_b` volumes, where not in the table.")
    date_formats: tuple[DateFormat, ...] = Field(default=DEFAULT_DATE_FORMATS, min_length=1, description="How days are written.")


@record
class _ListedVolume:
    """A row that can be used."""

    series: Series
    patient_id: str
    accession: str | None
    study_date: date | None
    patient_sex: str | None
    patient_age_years: float | None


def read(
    options: VolumeTableOptions, executor: Executor | None = None, cache_folder: Path | None = None
) -> Iterator[ImagingStudy | LedgerEntry]:
    """One study for each patient and study id, and a ledger row for every volume left out.

    Only headers are read. ``executor`` and ``cache_folder`` are not needed.

    Raises:
        InputError: the table or one of its columns is missing.
    """
    studies: dict[tuple[str, str], list[_ListedVolume]] = defaultdict(list)
    for row in read_rows(options, COLUMNS, "series"):
        listed = row if isinstance(row, LedgerEntry) else _read_row(options, row)
        if isinstance(listed, LedgerEntry):
            yield listed
        else:
            studies[listed.patient_id, listed.series.study_uid].append(listed)
    for (patient_id, study_uid), volumes in sorted(studies.items()):
        yield from _study(patient_id, study_uid, volumes)


def _read_row(options: VolumeTableOptions, row: Row) -> _ListedVolume | LedgerEntry:
    place = f"{options.path.name}:{row.number}"
    patient_id, study_uid, file = row.text("patient_id"), row.text("study_id"), row.text("path")
    role = (row.text("role") or "").casefold()
    if patient_id is None or study_uid is None or file is None:
        reason = "no_patient" if patient_id is None else "no_study" if study_uid is None else "no_path"
        return dropped("series", place, reason, "", patient_id)
    if role not in ROLES:
        return dropped("series", place, "unknown_role", f"role is one of {', '.join(ROLES)}", patient_id)
    try:
        b_value = read_number(row.text("b_value"), minimum=0, maximum=10000)
        if b_value is None and role in HIGH_B_WORDS:
            b_value = options.high_b_value
        if b_value is None and ROLES[role] is SeriesRole.DWI:
            return dropped("series", place, "no_b_value", "give a b_value column or the option high_b_value", patient_id)
        series = _series(options, row, study_uid, b_value)
        return _ListedVolume(
            series=series,
            patient_id=patient_id,
            accession=row.text("accession"),
            study_date=read_date(row.text("study_date"), options.date_formats),
            patient_sex=row.text("patient_sex"),
            patient_age_years=read_number(row.text("patient_age"), minimum=0, maximum=130),
        )
    except FieldError as error:
        return dropped("series", place, error.reason, "", patient_id)
    except InputError as error:
        return dropped("series", place, "unreadable_volume", str(error), patient_id)


def _series(options: VolumeTableOptions, row: Row, study_uid: str, b_value: float | None) -> Series:
    from weakbox.imaging.volumes import read_volume_grid

    role = (row.text("role") or "").casefold()
    path = options.path.parent / (row.text("path") or "")
    frame_uid = row.text("frame_of_reference_uid") or (_shared_frame(study_uid) if options.volumes_share_a_frame else None)
    grid = read_volume_grid(path, frame_uid)
    return Series(
        series_uid=row.text("series_uid") or _series_uid(study_uid, row),
        study_uid=study_uid,
        role=ROLES[role],
        role_confidence=1.0,
        role_reason=f"the table says {role}",
        plane=plane_of(grid),
        description=row.text("description") or "",
        frame_of_reference_uid=frame_uid,
        grid=grid,
        image_count=grid.shape[2],
        b_values=() if b_value is None else (b_value,),
        manufacturer=row.text("manufacturer"),
        model=row.text("model"),
        magnetic_field_strength_t=read_number(row.text("magnetic_field_strength"), minimum=0, maximum=20),
        volume_path=str(path),
    )


def _series_uid(study_uid: str, row: Row) -> str:
    """A synthetic series id, the same for the same study, role, b-value and file."""
    words = "|".join((study_uid, row.raw("role"), row.raw("b_value"), row.raw("path")))
    return f"volume-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def _shared_frame(study_uid: str) -> str:
    """A synthetic Frame of Reference of one study: stated by the option, equal for its volumes and for no others."""
    return f"shared-frame-{hashlib.sha256(study_uid.encode()).hexdigest()[:16]}"


def plane_of(grid: Grid) -> Plane:
    """The plane of the slices, from the dominant direction of their normal."""
    axis = int(np.argmax(np.abs(np.cross(grid.directions[:, 0], grid.directions[:, 1]))))
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[axis]


def _study(patient_id: str, study_uid: str, volumes: Sequence[_ListedVolume]) -> Iterator[ImagingStudy | LedgerEntry]:
    unique: dict[str, Series] = {}
    for volume in volumes:
        if volume.series.key in unique:
            yield dropped("series", volume.series.key, "duplicate", "two rows name one series", patient_id)
        unique.setdefault(volume.series.key, volume.series)
    without_frame = sum(series.frame_of_reference_uid is None for series in unique.values())
    if without_frame:
        detail = f"{without_frame} volumes; give a frame_of_reference_uid column or volumes_share_a_frame: true"
        yield flagged("study", study_uid, "no_frame_of_reference", detail, patient_id)
    yield ImagingStudy(
        study_uid=study_uid,
        patient_id=patient_id,
        accession=next((volume.accession for volume in volumes if volume.accession), None),
        study_date=next((volume.study_date for volume in volumes if volume.study_date), None),
        patient_sex=next((volume.patient_sex for volume in volumes if volume.patient_sex), None),
        patient_age_years=next((volume.patient_age_years for volume in volumes if volume.patient_age_years is not None), None),
        series=tuple(unique[key] for key in sorted(unique)),
    )


def files(options: VolumeTableOptions) -> Iterator[Path]:
    """The table and the volumes that it lists."""
    yield options.path
    for row in read_rows(options, COLUMNS, "series"):
        file = None if isinstance(row, LedgerEntry) else row.text("path")
        if file is not None and (options.path.parent / file).is_file():
            yield options.path.parent / file


SOURCE = Source(family="images", options=VolumeTableOptions, files=files, read=read)
