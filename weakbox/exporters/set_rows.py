"""Rows of the joined set for what the export wrote: 3-D studies on their reference volume. Classes come later, by policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from weakbox.exporters.drawn_masks import ROLE
from weakbox.exporters.exporter import FILE_STEMS, ON_REFERENCE
from weakbox.exporters.preparing import reference_key
from weakbox.records.artifact import Artifact
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.records.imaging import Purpose, Series
from weakbox.records.label import CuratedCase, WeakLabel
from weakbox.runtime.privacy import Pseudonymiser, ResearchIdentity

OLDEST_STATED_AGE = 90.0
"""HIPAA safe harbour: ages over 89 are one category."""
MASK_ROLES = (ROLE, "label_ellipsoids_instance")
"""Best first: what was drawn, else the ellipsoids in the boxes."""


def volume_row(case: CuratedCase, identity: ResearchIdentity, artifacts: Iterable[Artifact]) -> ImageRow | None:
    """The row of a 3-D study; None where its reference volume was not written.

    Patients of a public set keep the names that the set gives them; one's own get research identifiers.
    """
    written = {artifact.role: artifact for artifact in artifacts}
    series = case.study.find_series(reference_key(case))
    image = _reference_image(case, series, written)
    if series is None or image is None:
        return None
    origin = case.origin
    size: tuple[int | None, ...] = series.grid.shape if series.grid else (None, None, None)
    return ImageRow(
        image_id=f"{case.dataset}/{identity.case_id if origin is None else case.study.study_uid}",
        image_path=image.path,
        dataset=case.dataset,
        organ=case.organ,
        modality=series.modality,
        patient_id=identity.patient_id if origin is None else case.patient_id,
        study_id=identity.case_id if origin is None else case.study.study_uid,
        series_key=series.role.value if origin is None else series.key,
        case_id=identity.case_id if origin is None else case.case_id,
        age_years=_age(case),
        sex=case.study.patient_sex,
        manufacturer=series.manufacturer,
        tier=case.tier.value,
        boxes=tuple(_box(label) for label in case.labels if label.box is not None),
        mask_path=next((written[role].path for role in MASK_ROLES if role in written), None),
        official_split=origin.official_split if origin else None,
        licence=origin.licence if origin else "",
        attribution=origin.attribution if origin else "",
        columns=size[0],
        rows=size[1],
        slices=size[2],
        spacing_mm=series.grid.spacing if series.grid else None,
        sha256=image.sha256,
        group_ids=origin.group_ids if origin else (f"patient:{identity.patient_id}",),
        identifiers=origin.identifiers if origin else (),
    )


def public_identity(case: CuratedCase) -> ResearchIdentity:
    """A public case keeps the names and dates that its set published."""
    nobody = Pseudonymiser(key=b"", keep_original=True, research_patients={})
    return nobody.identity(case.patient_id, case.case_id)


def _reference_image(case: CuratedCase, series: Series | None, written: Mapping[str, Artifact]) -> Artifact | None:
    """The file of the reference series: native, since boxes count its voxels."""
    if series is None:
        return None
    purposes = [choice.purpose for choice in case.study.choices if choice.series_key == series.key]
    roles = [f"{FILE_STEMS[purpose]}{end}" for purpose in sorted(purposes, key=list(Purpose).index) for end in ("", ON_REFERENCE)]
    return next((written[role] for role in roles if role in written), None)


def with_label_names(row: ImageRow, names: Mapping[str, str]) -> ImageRow:
    """The row with its boxes under other names: research identifiers of a cohort's labels."""
    return replace(row, boxes=tuple(replace(box, label_id=names[box.label_id]) for box in row.boxes))


def _box(label: WeakLabel) -> ImageBox:
    assert label.box is not None
    return ImageBox(
        label_id=label.label_id,
        start=tuple(float(value) for value in label.box.voxel_start),
        stop=tuple(float(value) for value in label.box.voxel_stop),
        label=None,
        tier=label.tier.value,
        finding_types=label.finding_types,
        diagnosis=label.diagnosis or (f"ISUP {label.isup_grade}" if label.isup_grade is not None else None),
        birads=label.birads,
        confidence=label.confidence,
    )


def _age(case: CuratedCase) -> float | None:
    age = case.study.patient_age_years
    return age if age is None or case.origin is not None else min(age, OLDEST_STATED_AGE)
