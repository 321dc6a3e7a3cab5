"""MR studies of public sets: DICOM files by the names of their folders, later by their headers; or one ready volume a purpose."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weakbox.datasets_public.cases import image_key
from weakbox.datasets_public.dataset import DatasetCard
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import ImagingStudy, Instance, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.label import CuratedCase
from weakbox.records.record import record
from weakbox.sources.remarks import dropped, flagged

NOT_IMAGES = frozenset(
    {".csv", ".txt", ".xlsx", ".xls", ".json", ".tcia", ".md", ".pdf", ".html", ".xml", ".zip", ".stl", ".png", ".jpg", ".bmp"}
    | {".nii", ".gz", ".mha", ".mhd", ".raw", ".zraw", ".nrrd"}
)
"""Suffixes beside the DICOM files of a download; DICOM files of mirrors may have none at all."""
READY_ROLES = {Purpose.T2W: SeriesRole.T2W, Purpose.ADC: SeriesRole.ADC, Purpose.HIGH_B: SeriesRole.DWI}


# DICOM folders ------------------------------------------------------------------------------------------------------


@record
class SeriesFolder:
    """The files of one folder that holds a series; ``study`` and ``name`` are folder names, which need not be UIDs."""

    patient: str
    study: str
    """Empty where the files lie directly in the patient's folder or one below it."""
    name: str
    paths: tuple[Path, ...]


def series_folders(paths: Iterable[Path], root: Path, patient: re.Pattern[str]) -> tuple[SeriesFolder, ...]:
    """Files grouped as ``.../<patient>/<study>/<series>/<file>``, sorted; what lies in no patient's folder is left out."""
    groups: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path in paths:
        if path.suffix.lower() in NOT_IMAGES:
            continue
        parts = path.relative_to(root).parts[:-1]
        place = next((index for index, part in enumerate(parts) if patient.fullmatch(part)), None)
        if place is None:
            continue
        below = parts[place + 1 :]
        study, name = (below[0], "/".join(below[1:])) if len(below) > 1 else ("", "/".join(below))
        groups[parts[place], study, name].append(path)
    return tuple(SeriesFolder(patient=key[0], study=key[1], name=key[2], paths=tuple(sorted(groups[key]))) for key in sorted(groups))


def unread_series(card: DatasetCard, folder: SeriesFolder, study_uid: str) -> Series:
    """A series whose files were not opened yet: its role is not known."""
    name = "/".join(part for part in (folder.patient, folder.study, folder.name) if part)
    return Series(
        series_uid=image_key(card.name, name),
        study_uid=study_uid,
        role=SeriesRole.UNKNOWN,
        role_confidence=0.0,
        role_reason="its files were not opened",
        image_count=len(folder.paths),
        instances=tuple(Instance(path=str(path), sop_instance_uid="", sop_class_uid="") for path in folder.paths),
    )


def case_files(case: CuratedCase) -> tuple[str, ...]:
    """Every file that the series of a case list."""
    return tuple(instance.path for series in case.study.series for instance in series.instances)


def read_studies(paths: Iterable[str]) -> tuple[tuple[ImagingStudy, ...], tuple[LedgerEntry, ...]]:
    """The studies that the headers of DICOM files describe, by their UIDs; a ledger row for every file that is no image or comes twice."""
    import pyarrow as pa

    from weakbox.imaging.dicom_index import SCHEMA, DicomIndex
    from weakbox.imaging.series import build_studies

    rows, ledger = _header_rows(paths)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    studies: list[ImagingStudy] = []
    for item in build_studies(DicomIndex(root=Path(), table=table, ledger=(), opened=len(rows))):
        if isinstance(item, LedgerEntry):
            ledger.append(item)
        else:
            studies.append(item)
    return tuple(studies), tuple(ledger)


def _header_rows(paths: Iterable[str]) -> tuple[list[dict[str, Any]], list[LedgerEntry]]:
    from weakbox.imaging.header import read_headers

    rows: list[dict[str, Any]] = []
    ledger: list[LedgerEntry] = []
    seen: set[tuple[Any, Any]] = set()
    for path in sorted(paths):
        reading = read_headers(path)
        if reading.skipped is not None:
            ledger.append(dropped("file", _file_name(path), str(reading.skipped.value), reading.detail))
        for header in reading.headers:
            key = (header.get("sop_instance_uid"), header.get("frame"))
            if key in seen:
                ledger.append(dropped("file", _file_name(path), "duplicate", "the same SOP Instance UID as another file"))
                continue
            seen.add(key)
            rows.append({**header, "path": path})
    return rows, ledger


def _file_name(path: str) -> str:
    return "/".join(Path(path).parts[-2:])


def with_choices(study: ImagingStudy, reference: Series | None = None) -> ImagingStudy:
    """A study with the series that serve as T2W, ADC and high b; ``reference`` is the T2W where the set names it."""
    from weakbox.imaging.series_choice import ChoicePolicy, choose_series

    others = [item for item in study.series if reference is None or item.role is not SeriesRole.T2W or item.key == reference.key]
    choices = choose_series(others, ChoicePolicy())
    if reference is not None:
        named = f"{reference.role}, the series that the data set's annotations name"
        choices = tuple(replace(choice, reason=named) if choice.series_key == reference.key else choice for choice in choices)
    return replace(study, choices=choices)


def sop_identifiers(study: ImagingStudy) -> tuple[str, ...]:
    """Names under which the same study may come again in another set: its UID, and the first image of its T2W."""
    chosen = study.chosen(Purpose.T2W)
    images = [f"sop:{chosen.instances[0].sop_instance_uid}"] if chosen is not None and chosen.instances else []
    return (f"study:{study.study_uid}", *images)


# Ready volumes ------------------------------------------------------------------------------------------------------


def shared_frame(study: str) -> str:
    """A Frame of Reference of one study's volumes, which the set states to lie in one space; equal for no others."""
    return f"shared-frame-{hashlib.sha256(study.encode()).hexdigest()[:16]}"


def volume_series(card: DatasetCard, study: str, volumes: Mapping[Purpose, Path]) -> tuple[Series, ...]:
    """A series for each ready volume (NIfTI, MHA); the files were not opened yet, so the grids are not known."""
    return tuple(
        Series(
            series_uid=volume_key(card, study, purpose),
            study_uid=study,
            role=READY_ROLES[purpose],
            role_confidence=1.0,
            role_reason="the data set says so",
            frame_of_reference_uid=shared_frame(image_key(card.name, study)),
            volume_path=str(path),
        )
        for purpose, path in sorted(volumes.items())
    )


def volume_key(card: DatasetCard, study: str, purpose: Purpose) -> str:
    """What names a ready volume of a study."""
    return image_key(card.name, f"{study}/{purpose.value}")


def volume_choices(card: DatasetCard, study: str, volumes: Mapping[Purpose, Path]) -> tuple[SeriesChoice, ...]:
    """One choice for each ready volume."""
    reasons = {Purpose.HIGH_B: "the data set's own diffusion image, b not stated"}
    return tuple(
        SeriesChoice(purpose=purpose, series_key=volume_key(card, study, purpose), reason=reasons.get(purpose, "the data set's own volume"))
        for purpose in sorted(volumes)
    )


def with_volumes(case: CuratedCase, card: DatasetCard, study: str, volumes: Mapping[Purpose, Path]) -> CuratedCase:
    """A case of a table with the ready volumes of its study, and the choices that they serve."""
    series = volume_series(card, study, volumes)
    return replace(case, study=replace(case.study, series=series, choices=volume_choices(card, study, volumes)))


def with_grids(case: CuratedCase) -> tuple[CuratedCase | None, tuple[LedgerEntry, ...]]:
    """A case whose volumes were opened: their grids and planes. None where its T2W cannot be read; another volume is left out."""
    ledger: list[LedgerEntry] = []
    series: list[Series] = []
    for item in case.study.series:
        try:
            series.append(_with_grid(item))
        except InputError as error:
            ledger.append(flagged("series", item.key, "unreadable_volume", str(error), case.patient_id))
    kept = {item.key for item in series}
    choices = tuple(choice for choice in case.study.choices if choice.series_key in kept)
    study = replace(case.study, series=tuple(series), choices=choices)
    if study.chosen(Purpose.T2W) is None:
        return None, (*ledger, dropped("case", case.case_id, "no_reference_image", "its T2W cannot be read", case.patient_id))
    return replace(case, study=study), tuple(ledger)


def _with_grid(series: Series) -> Series:
    from weakbox.imaging.volumes import read_volume_grid
    from weakbox.sources.volume_table import plane_of

    grid = read_volume_grid(Path(series.volume_path or ""), series.frame_of_reference_uid)
    return replace(series, grid=grid, plane=plane_of(grid), image_count=grid.shape[2])
