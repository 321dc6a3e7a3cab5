"""The truth of a part: its units (images or cases), which of them are positive, and which lesions shall be found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cv_model_experiments.evaluation.settings import EvaluationSettings
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.records.label import Tier
from weakbox.records.record import record


@record
class Unit:
    """What false positives and case scores count."""

    unit_id: str
    patient: str
    """Of the data set and the patient: what is resampled."""
    rows: tuple[ImageRow, ...]
    is_positive: bool | None
    """None where neither the image's class nor its boxes say."""
    is_located: bool
    """Whether every positive image of it has its lesions boxed, so that false positives are false."""


def axes_of(row: ImageRow) -> int:
    """2 or 3: of its boxes, else of its size."""
    return len(row.boxes[0].start) if row.boxes else 2 if row.slices in (None, 1) else 3


def target_boxes(row: ImageRow, settings: EvaluationSettings) -> tuple[ImageBox, ...]:
    """The lesions that shall be found."""
    if settings.lesions == "all":
        return row.boxes
    return tuple(box for box in row.boxes if box.label in settings.positive_classes)


def ignored_boxes(row: ImageRow, settings: EvaluationSettings) -> tuple[ImageBox, ...]:
    """Lesions on which a candidate is neither right nor wrong: those without a class, and by setting those of other classes."""
    if settings.lesions == "all":
        return ()
    others = (box for box in row.boxes if box.label not in settings.positive_classes)
    return tuple(box for box in others if box.label is None or settings.other_lesions == "ignored")


def is_positive(row: ImageRow, settings: EvaluationSettings) -> bool | None:
    """Whether the image holds what shall be found; None where that is not stated."""
    if target_boxes(row, settings):
        return True
    if row.label is not None:
        return row.label in settings.positive_classes
    if settings.lesions == "all":
        return False
    return False if row.boxes and all(box.label is not None for box in row.boxes) else None


def patient_of(row: ImageRow) -> str:
    """The patient within its data set; an image without one stands for itself."""
    return f"{row.dataset}:{row.patient_id}" if row.patient_id else row.image_id


def units_of(rows: Iterable[ImageRow], settings: EvaluationSettings) -> tuple[Unit, ...]:
    """Units in order of their names."""
    members: dict[str, list[ImageRow]] = {}
    for row in sorted(rows, key=lambda row: row.image_id):
        name = row.image_id if settings.unit == "image" else f"{row.dataset}:{row.case_id}"
        members.setdefault(name, []).append(row)
    return tuple(_unit(name, tuple(own), settings) for name, own in sorted(members.items()))


def _unit(name: str, rows: tuple[ImageRow, ...], settings: EvaluationSettings) -> Unit:
    states = [is_positive(row, settings) for row in rows]
    known: bool | None = True if True in states else None if None in states else False
    located = all(state is not None and (not state or bool(target_boxes(row, settings))) for state, row in zip(states, rows, strict=True))
    return Unit(unit_id=name, patient=patient_of(rows[0]), rows=rows, is_positive=known, is_located=located)


def weak_label_statement(rows: Sequence[ImageRow]) -> str | None:
    """A sentence about labels that no expert drew, by tier; None where all are expert labels."""
    images = Counter(row.tier for row in rows if row.tier != Tier.EXPERT.value)
    boxes = Counter(box.tier for row in rows for box in row.boxes if box.tier != Tier.EXPERT.value)
    if not images and not boxes:
        return None
    total_boxes = sum(len(row.boxes) for row in rows)
    said = [f"{sum(images.values())} of {len(rows)} images ({_counted(images)})"] if images else []
    said += [f"{sum(boxes.values())} of {total_boxes} boxes ({_counted(boxes)})"] if boxes else []
    return (
        f"The truth of this evaluation is weak for {' and '.join(said)}. The figures say how well a model agrees with these labels, their "
        "errors included; they cannot be put beside figures on expert annotations. Subgroup `tier` separates them, "
        "`select.tiers: [expert]` leaves them out."
    )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
