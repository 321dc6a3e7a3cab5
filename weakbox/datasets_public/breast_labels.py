"""Classes that a set states of a breast or of a patient: one label for the study, never copied to its images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weakbox.datasets_public.cases import case_key
from weakbox.datasets_public.dataset import DatasetCard
from weakbox.records.label import Evidence, LesionStatus, Tier, WeakLabel
from weakbox.records.stated import FieldValue

SCOPE = "label_scope"


def breast_label(
    card: DatasetCard,
    study: str,
    side: str,
    *,
    evidence: tuple[Evidence, ...],
    class_source: str,
    status: LesionStatus = LesionStatus.UNTESTED,
    diagnosis: str | None = None,
    birads: str | None = None,
    finding_types: Iterable[str] = (),
    attributes: Mapping[str, FieldValue | None] | None = None,
    conflicts: tuple[str, ...] = (),
) -> WeakLabel:
    """What is said of one breast of a study; ``series_key`` stays None, for no image of it is meant alone."""
    name = f"{case_key(card, study)}/{side}_breast"
    return WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=case_key(card, study),
        status=status,
        side=side,
        tier=Tier.CASE_LEVEL,
        class_source=class_source,
        confidence=1.0,
        conflicts=conflicts,
        needs_review=bool(conflicts),
        evidence=evidence,
        diagnosis=diagnosis,
        birads=birads,
        finding_types=tuple(sorted(finding_types)),
        attributes={**stated_only(attributes or {}), SCOPE: "breast"},
    )


def stated_only(values: Mapping[str, FieldValue | None]) -> dict[str, FieldValue]:
    """Values without those that are not stated."""
    return {name: value for name, value in values.items() if value is not None}


def disagreement(name: str, values: Iterable[FieldValue | None]) -> tuple[str, ...]:
    """What rows say that should say one thing, in the words of a conflict; empty where they agree.

    >>> disagreement("cancer", [True, True, None]), disagreement("cancer", [True, False])
    ((), ('cancer: False, True',))
    """
    found = sorted({str(value) for value in values if value is not None})
    return (f"{name}: {', '.join(found)}",) if len(found) > 1 else ()
