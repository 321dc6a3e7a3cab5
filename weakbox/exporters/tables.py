"""CSV tables of the set: clinical metadata, acquisition parameters, and every label with its provenance.

An empty cell means that nothing was stated. No report text leaves the house: evidence is given as record numbers within
the case and character offsets. Ages from 90 years are written as 90.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from weakbox.exporters.exporter import DatasetCase, Exporter, ExportOptions, dataset_artifact
from weakbox.exporters.preparing import research_label_ids
from weakbox.records.artifact import Artifact
from weakbox.records.imaging import Purpose, Series, SeriesRole
from weakbox.records.label import Box, LesionStatus, WeakLabel
from weakbox.terminology.dicom_codes import class_name

Row = Mapping[str, Any]

OLDEST_STATED_AGE = 90
"""HIPAA safe harbour: ages over 89 are one category."""

CLINICAL_COLUMNS = (
    "patient_id",
    "study_id",
    "patient_age",
    "race",
    "ethnicity",
    "recent_psa",
    "prostate_volume",
    "recent_prior_biopsies",
    "pca3",
    "prior_therapy",
    "vital_status",
    "histopath_type",
    "point_annotation",
    "bbox_annotation",
    "case_cspca",
    "pos",
    "a_region",
    "a_description",
    "pi_rads",
    "lesion_size",
    "lesion_gs",
    "lesion_isup",
)
_CLINICAL_FIELDS = {
    "race": "race",
    "ethnicity": "ethnicity",
    "recent_psa": "psa_ng_ml",
    "prostate_volume": "prostate_volume_ml",
    "recent_prior_biopsies": "prior_biopsies",
    "pca3": "pca3",
    "prior_therapy": "prior_therapy",
    "vital_status": "vital_status",
    "histopath_type": "procedure",
}
"""Column -> name in ``CuratedCase.clinical``."""

ACQUISITION_COLUMNS = (
    "patient_id",
    "study_id",
    "scanner_manufacturer",
    "scanner_model",
    "magnetic_field_strength",
    "endorectal_coil",
    "b_value_dwi",
    "mod",
    "seriesdescription",
)
_ENDORECTAL_WORDS = ("endo", "erc", "rectal")

LABEL_COLUMNS = (
    "label_id",
    "case_id",
    "patient_id",
    "dataset",
    "organ",
    "study_date",
    "status",
    "class",
    "isup_grade",
    "gleason_primary",
    "gleason_secondary",
    "is_clinically_significant",
    "pirads",
    "likert",
    "side",
    "zone",
    "sectors",
    "max_diameter_mm",
    "tier",
    "confidence",
    "centre_source",
    "size_source",
    "class_source",
    "needs_review",
    "conflicts",
    "votes",
    "evidence",
    "reference_series_key",
    "frame_of_reference_uid",
    "centre_x_mm",
    "centre_y_mm",
    "centre_z_mm",
    "size_i_mm",
    "size_j_mm",
    "size_k_mm",
    "corners_lps_mm",
    "voxel_start",
    "voxel_stop",
    "uncertainty_mm",
    "negative_reason",
)


def write_dataset(cases: Sequence[DatasetCase], folder: Path, options: ExportOptions) -> tuple[Artifact, ...]:
    """Write the three tables of the set."""
    tables: tuple[tuple[str, tuple[str, ...], Callable[[DatasetCase], Iterator[Row]]], ...] = (
        ("clinical_metadata", CLINICAL_COLUMNS, clinical_rows),
        ("image_acquisition_params", ACQUISITION_COLUMNS, acquisition_rows),
        ("labels", LABEL_COLUMNS, label_rows),
    )
    artifacts = []
    for role, columns, rows in tables:
        content = _csv(columns, (row for item in cases for row in rows(item)))
        (folder / f"{role}.csv").write_bytes(content)
        artifacts.append(dataset_artifact(f"{role}.csv", content, "csv", role))
    return tuple(artifacts)


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, tuple | list):
        return " ".join(_cell(item) for item in value)
    return str(value)


def clinical_rows(item: DatasetCase) -> Iterator[Row]:
    """One row a label; one row for a case without labels."""
    case = item.case
    shared = {
        **_names(item),
        "patient_age": _age(item),
        **{column: case.clinical.get(name) for column, name in _CLINICAL_FIELDS.items()},
        "case_cspca": case.is_clinically_significant,
    }
    if not case.labels:
        yield shared
    for label in case.labels:
        yield {**shared, **_lesion_cells(item, label)}


def _names(item: DatasetCase) -> Row:
    return {"patient_id": item.identity.patient_id, "study_id": item.identity.case_id}


def _age(item: DatasetCase) -> float | int | None:
    age = item.case.study.patient_age_years
    if age is None or item.identity.keep_original:
        return age
    return min(int(age), OLDEST_STATED_AGE)


def _lesion_cells(item: DatasetCase, label: WeakLabel) -> Row:
    patterns = (label.gleason_primary, label.gleason_secondary)
    return {
        "point_annotation": item.path_of("dicom_sr") if label.box else None,
        "bbox_annotation": (item.path_of("label_boxes_instance") or item.path_of("seg_box")) if label.box else None,
        "pos": label.box.centre if label.box else None,
        "a_region": label.zone,
        "a_description": " ".join(part for part in (label.side, *label.sectors) if part) or None,
        "pi_rads": label.pirads,
        "lesion_size": label.max_diameter_mm,
        "lesion_gs": f"{patterns[0]}+{patterns[1]}" if all(patterns) else None,
        "lesion_isup": 0 if label.status is LesionStatus.BENIGN else label.isup_grade,
    }


def acquisition_rows(item: DatasetCase) -> Iterator[Row]:
    """One row for each series that serves a purpose or that a derived image was computed from."""
    study = item.case.study
    for purpose in Purpose:
        choice = study.choice(purpose)
        keys = () if choice is None else choice.inputs if choice.derived else (choice.series_key,)
        for key in keys:
            series = study.find_series(key)
            if series is not None:
                yield {**_names(item), **_acquisition_cells(item, series)}


def _acquisition_cells(item: DatasetCase, series: Series) -> Row:
    return {
        "scanner_manufacturer": series.manufacturer,
        "scanner_model": series.model,
        "magnetic_field_strength": series.magnetic_field_strength_t,
        "endorectal_coil": endorectal_coil(series.receive_coil),
        "b_value_dwi": series.b_values if series.role in (SeriesRole.DWI, SeriesRole.ADC) else None,
        "mod": series.role.value,
        "seriesdescription": _without_identifiers(item, series.description),
    }


def endorectal_coil(receive_coil: str | None) -> str | None:
    """``yes`` where the header names an endorectal coil, ``no`` where it names another, None where it names none.

    >>> endorectal_coil("Endo_MEDRAD"), endorectal_coil("Body_18"), endorectal_coil(None)
    ('yes', 'no', None)
    """
    if not receive_coil:
        return None
    return "yes" if any(word in receive_coil.lower() for word in _ENDORECTAL_WORDS) else "no"


def _without_identifiers(item: DatasetCase, text: str) -> str:
    if item.identity.keep_original:
        return text
    for identifier in (item.case.patient_id, item.case.study.accession):
        if identifier and len(identifier) > 3:
            text = text.replace(identifier, "")
    return text.strip()


def label_rows(item: DatasetCase) -> Iterator[Row]:
    """One row a label with everything that speaks for it; one row without a label for a case without labels."""
    case = item.case
    shared = {
        "case_id": item.identity.case_id,
        "patient_id": item.identity.patient_id,
        "dataset": case.dataset,
        "organ": case.organ,
        "study_date": item.identity.shift(case.study.study_date),
    }
    if not case.labels:
        yield {**shared, "tier": case.tier.value, "negative_reason": case.negative_reason, "needs_review": case.needs_review}
    for label, research_id in zip(case.labels, research_label_ids(case, item.identity), strict=True):
        yield {**shared, "label_id": research_id, **_label_cells(item, label), **(_box_cells(label.box) if label.box else {})}


def _label_cells(item: DatasetCase, label: WeakLabel) -> Row:
    plain = (
        "isup_grade",
        "gleason_primary",
        "gleason_secondary",
        "is_clinically_significant",
        "pirads",
        "likert",
        "side",
        "zone",
        "sectors",
        "max_diameter_mm",
        "confidence",
        "centre_source",
        "size_source",
        "class_source",
        "needs_review",
    )
    return {
        **{name: getattr(label, name) for name in plain},
        "status": label.status.value,
        "class": class_name(label.status, label.isup_grade),
        "tier": label.tier.value,
        "conflicts": "; ".join(label.conflicts),
        "votes": _votes(item, label),
        "evidence": _evidence(item, label),
    }


def _votes(item: DatasetCase, label: WeakLabel) -> str:
    """Who says what, as JSON. Unless original identifiers are kept, readers are not named and reasons, which may name records, left out."""
    votes = []
    for vote in label.votes:
        is_person = vote.aspect == "decision" and not item.identity.keep_original
        content: dict[str, Any] = {
            "voter": "reader" if is_person else vote.voter,
            "aspect": vote.aspect,
            "value": vote.value,
            "confidence": round(vote.confidence, 6),
        }
        votes.append(content | ({"reason": vote.reason} if item.identity.keep_original else {}))
    return json.dumps(votes, sort_keys=True, ensure_ascii=False) if votes else ""


def _evidence(item: DatasetCase, label: WeakLabel) -> str:
    """``record-1:pirads@120-129``: the record's number within the label, the field, and offsets into its raw text."""
    numbers: dict[str, int] = {}
    words = []
    for evidence in (*label.evidence, *(part for vote in label.votes for part in vote.evidence)):
        number = numbers.setdefault(evidence.record_id, len(numbers) + 1)
        name = evidence.record_id if item.identity.keep_original else f"record-{number}"
        place = f"@{evidence.span.start}-{evidence.span.end}" if evidence.span else ""
        words.append(f"{name}:{evidence.field}{place}")
    return " ".join(dict.fromkeys(words))


def _box_cells(box: Box) -> Row:
    return {
        "reference_series_key": box.reference_series_key,
        "frame_of_reference_uid": box.frame_of_reference_uid,
        **dict(zip(("centre_x_mm", "centre_y_mm", "centre_z_mm"), box.centre, strict=True)),
        **dict(zip(("size_i_mm", "size_j_mm", "size_k_mm"), box.size_mm, strict=True)),
        "corners_lps_mm": box.corners,
        "voxel_start": box.voxel_start,
        "voxel_stop": box.voxel_stop,
        "uncertainty_mm": box.uncertainty_mm,
    }


EXPORTER = Exporter(write_dataset=write_dataset)
