"""Classes for the rows of the joined set, from the cases they show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from weakbox.labelling.policy import LabelPolicy, image_class, lesion_class, study_class
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.image_set import ImageRow
from weakbox.records.label import CuratedCase
from weakbox.terminology.birads import worst

STAGE = "postprocessing"


def classified(case: CuratedCase, rows: Iterable[ImageRow], policy: LabelPolicy) -> tuple[list[ImageRow], list[LedgerEntry]]:
    """Rows of a case with the classes that the policy gives them; images that it excludes become dropped ledger rows.

    A row without a class stays: its boxes are still lesions.
    """
    labels = {label.label_id: label for label in case.labels}
    kept: list[ImageRow] = []
    ledger: list[LedgerEntry] = []
    for row in rows:
        series = case.study.find_series(row.series_key)
        verdict = study_class(case, policy) if row.slices is not None or series is None else image_class(case, series, policy)
        if verdict.is_excluded:
            ledger.append(_excluded_image(case, row, verdict.reason))
            continue
        boxes = tuple(
            replace(box, label=lesion_class(labels[box.label_id], case.organ, policy).name) if box.label_id in labels else box
            for box in row.boxes
        )
        diagnosis, birads = _stated_of(case, row)
        stated = replace(row, diagnosis=diagnosis, birads=birads, boxes=boxes)
        kept.append(replace(stated, label=verdict.name, label_source=verdict.source, label_scope=verdict.scope))
    return kept, ledger


def _stated_of(case: CuratedCase, row: ImageRow) -> tuple[str | None, str | None]:
    """Diagnosis and BI-RADS of the labels that speak of this image; empty where they differ, for boxes keep their own."""
    spoken = [label for label in case.labels if label.series_key in (None, row.series_key) or row.slices is not None]
    diagnoses = {label.diagnosis for label in spoken if label.diagnosis is not None}
    categories = [label.birads for label in spoken if label.birads is not None] + ([row.birads] if row.birads else [])
    return diagnoses.pop() if len(diagnoses) == 1 else None, worst(categories) if categories else None


def _excluded_image(case: CuratedCase, row: ImageRow, reason: str) -> LedgerEntry:
    return LedgerEntry(
        stage=STAGE,
        kind="image",
        item_id=row.image_id,
        outcome=Outcome.DROPPED,
        reason=reason,
        detail="labels.policy leaves it out",
        patient_id=case.patient_id,
    )
