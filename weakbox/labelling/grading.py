"""What tissue says of a lesion or a case: one grading for each specimen, core, row or mask, and which of them counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weakbox.linking.tissue import core_grade, is_cancer, is_targeted
from weakbox.records.biopsy import BiopsyCore
from weakbox.records.case import Case, Lesion
from weakbox.records.extraction import Item, Specimen
from weakbox.records.label import LesionStatus
from weakbox.records.record import record
from weakbox.terminology.gleason import CLINICALLY_SIGNIFICANT_FROM, isup_grade


@record
class Grading:
    """What one source of tissue says. ``isup`` 0 is benign; None is cancer without a grade where ``is_cancer``."""

    source: str
    is_cancer: bool
    isup: int | None
    is_significant: bool | None
    primary: int | None
    secondary: int | None
    record_id: str
    confidence: float = 1.0

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        """Sorts the worst last; ungraded cancer lies above benign and below every graded one."""
        return self.is_cancer, self.isup or 0, self.primary or 0, self.secondary or 0


def gradings_of(lesion: Lesion) -> tuple[Grading, ...]:
    """What each tissue of a lesion says; insufficient tissue says nothing."""
    found = [grading for specimen in lesion.specimens if (grading := _of_specimen(specimen))]
    found += [grading for core in lesion.cores if (grading := _of_core(core))]
    target, mask = lesion.target, lesion.segmentation
    if target is not None:
        isup = _isup(target.isup_grade, target.gleason_primary, target.gleason_secondary)
        significant = target.is_clinically_significant
        if isup is not None or significant is not None:
            is_significant = isup >= CLINICALLY_SIGNIFICANT_FROM if isup is not None else significant
            is_cancer_stated = bool(isup) if isup is not None else bool(significant)
            grades = (target.gleason_primary, target.gleason_secondary)
            found.append(_grading("target_row", is_cancer_stated, isup, is_significant, grades, target.target_id))
    if mask is not None and mask.isup_grade is not None:
        grade = mask.isup_grade
        found.append(_grading("mask", grade > 0, grade, grade >= CLINICALLY_SIGNIFICANT_FROM, (None, None), mask.segmentation_id))
    return tuple(found)


def _grading(
    source: str,
    is_cancer_stated: bool,
    isup: int | None,
    is_significant: bool | None,
    gleason: tuple[int | None, int | None],
    record_id: str,
    confidence: float = 1.0,
) -> Grading:
    return Grading(
        source=source,
        is_cancer=is_cancer_stated,
        isup=isup,
        is_significant=is_significant,
        primary=gleason[0],
        secondary=gleason[1],
        record_id=record_id,
        confidence=confidence,
    )


def _of_specimen(specimen: Specimen) -> Grading | None:
    diagnosis = specimen.value("diagnosis")
    primary, secondary = whole(specimen, "gleason_primary"), whole(specimen, "gleason_secondary")
    isup = _isup(whole(specimen, "isup_grade"), primary, secondary)
    has_cancer = is_cancer(specimen) or bool(isup)
    if diagnosis == "insufficient" or (diagnosis is None and not has_cancer):
        return None
    source = "pathology" if is_targeted(specimen) else "systematic_pathology"
    confidence = min((stated.confidence for stated in specimen.values.values()), default=1.0)
    significant = (isup >= CLINICALLY_SIGNIFICANT_FROM if isup else None) if has_cancer else False
    return _grading(source, has_cancer, isup if has_cancer else 0, significant, (primary, secondary), specimen.item_id, confidence)


def _of_core(core: BiopsyCore) -> Grading | None:
    grade = core_grade(core)
    if grade < 0:
        return None
    source = "systematic_core" if core.is_targeted is False and core.target_label is None else "core"
    gleason = (core.gleason_primary, core.gleason_secondary)
    return _grading(source, grade > 0, grade, grade >= CLINICALLY_SIGNIFICANT_FROM, gleason, core.core_id)


def _isup(stated: int | None, primary: int | None, secondary: int | None) -> int | None:
    if stated is not None:
        return stated
    return isup_grade(primary, secondary) if primary and secondary else None


CLASS_ORDER = ("pathology", "core", "target_row", "mask", "systematic_pathology", "systematic_core")
"""Sources of a class, the one that counts first: the report on the target's own tissue, then rows about it, then tissue nearby."""


def class_of(gradings: Sequence[Grading]) -> Grading | None:
    """The worst grading of the best source; None without tissue."""
    for source in CLASS_ORDER:
        own = [grading for grading in gradings if grading.source == source]
        if own:
            return max(own, key=lambda grading: (grading.rank, grading.record_id))
    return None


def status_of(grading: Grading | None) -> LesionStatus:
    """Cancer, benign, not significant (of which benign and ISUP 1 are not told apart), or untested without tissue."""
    if grading is None:
        return LesionStatus.UNTESTED
    if not grading.is_cancer and grading.isup is None:
        return LesionStatus.NOT_SIGNIFICANT
    return LesionStatus.CANCER if grading.is_cancer else LesionStatus.BENIGN


def grade_conflicts(gradings: Sequence[Grading]) -> list[str]:
    """Sources that speak of the same tissue and disagree; several specimens of one target may differ."""
    worst = [class_of([each for each in gradings if each.source == source]) for source in ("pathology", "core", "target_row", "mask")]
    grades = {(each.is_cancer, each.isup) for each in worst if each is not None and each.isup is not None}
    return ["grade_conflict"] if len(grades) > 1 else []


def case_gradings(case: Case) -> Iterable[Grading]:
    """Everything that tissue says of the case: specimens, targeted or not, the case's overall grade, cores, target rows, masks."""
    for report in case.pathology:
        yield from (grading for specimen in report.specimens if (grading := _of_specimen(specimen)))
        grade = report.value("overall.isup_grade")
        if isinstance(grade, int):
            yield _grading("pathology_overall", True, grade, grade >= CLINICALLY_SIGNIFICANT_FROM, (None, None), report.report_id)
        elif (stated := report.value("cancer_present")) is not None:
            yield _grading(
                "pathology_overall", bool(stated), None if stated else 0, None if stated else False, (None, None), report.report_id
            )
    yield from (grading for core in case.cores if (grading := _of_core(core)))
    for target in case.targets:
        yield from gradings_of(Lesion(lesion_id="", case_id=case.case_id, target=target))
    for mask in case.segmentations:
        yield from gradings_of(Lesion(lesion_id="", case_id=case.case_id, segmentation=mask))


def whole(item: Item | None, name: str) -> int | None:
    """A field's whole number, or None."""
    value = item.value(name) if item is not None else None
    return value if isinstance(value, int) else None


def number(item: Item | None, name: str) -> float | None:
    """A field's number, or None."""
    value = item.value(name) if item is not None else None
    return float(value) if isinstance(value, int | float) else None
