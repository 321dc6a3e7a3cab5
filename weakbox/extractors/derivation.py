"""Values that follow from stated ones by a table or by counting: sectors, largest diameter, ISUP grade, the case from its specimens.

Every derived value carries the words of the values that it follows from; nothing is derived from what is not stated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Stated
from weakbox.terminology.birads import severity
from weakbox.terminology.gleason import isup_grade, isup_grade_of_score
from weakbox.terminology.sectors import sectors_of

Values = dict[str, Stated[FieldValue]]
Leaf = Stated[FieldValue]

MALIGNANT = ("adenocarcinoma", "other_malignancy", "malignant")
WITHOUT_ANSWER = ("insufficient",)
GRADE = ("gleason_primary", "gleason_secondary", "gleason_score", "isup_grade")


def derive(
    organ: str, report_type: ReportType, exam: Mapping[str, Leaf], items: Sequence[Mapping[str, Leaf]]
) -> tuple[Values, list[Values]]:
    """Examination and items with what follows from them; stated values stay as they are."""
    complete_item, complete_exam = _RULES[(organ, report_type)]
    completed = [complete_item(dict(values)) for values in items]
    return complete_exam(dict(exam), completed), completed


def _follows(value: FieldValue, leaves: Sequence[Leaf], rule: str) -> Leaf:
    evidence = tuple(dict.fromkeys(span for leaf in leaves for span in leaf.evidence))
    return replace(leaves[0], value=value, evidence=evidence, confidence=min(leaf.confidence for leaf in leaves), rule=rule)


def _diameter(values: Values) -> Values:
    size = values.get("size_mm")
    if size is not None and isinstance(size.value, tuple) and size.value:
        values["max_diameter_mm"] = _follows(max(float(number) for number in size.value), [size], "largest_size")
    return values


def _lesion(values: Values) -> Values:
    place: Values = {name: values[name] for name in ("side", "zone", "levels", "positions") if name in values}
    if "side" in place or "zone" in place:
        sectors = sectors_of(_text(place, "side"), _text(place, "zone"), _words(place, "levels"), _words(place, "positions"))
        if sectors:
            values["sectors"] = _follows(tuple(sectors), list(place.values()), "sectors_of_place")
    return _diameter(values)


def _text(values: Mapping[str, Leaf], name: str) -> str | None:
    return str(values[name].value) if name in values else None


def _words(values: Mapping[str, Leaf], name: str) -> list[str]:
    value = values[name].value if name in values else ()
    return [str(word) for word in value] if isinstance(value, tuple) else []


def _number(values: Mapping[str, Leaf], name: str) -> int | None:
    value = values[name].value if name in values else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _prostate_exam(exam: Values, items: Sequence[Values]) -> Values:
    for name in ("pirads", "likert"):
        scored = [values[name] for values in items if name in values]
        if f"exam.{name}" not in exam and scored:
            highest = max(scored, key=lambda leaf: int(str(leaf.value)))
            exam[f"exam.{name}"] = _follows(highest.value, [highest], "highest_of_lesions")
    return exam


def _graded(values: Values, prefix: str = "") -> Values:
    """Score from patterns, group from patterns or score, where they are not stated and the patterns are possible."""
    primary, secondary = (_number(values, f"{prefix}{name}") for name in GRADE[:2])
    parts = [values[f"{prefix}{name}"] for name in GRADE[:2] if f"{prefix}{name}" in values]
    if primary and secondary:
        values.setdefault(f"{prefix}gleason_score", _follows(primary + secondary, parts, "sum_of_patterns"))
        values.setdefault(f"{prefix}isup_grade", _follows(isup_grade(primary, secondary), parts, "isup_table"))
        return values
    score = _number(values, f"{prefix}gleason_score")
    group = None if score is None else isup_grade_of_score(score)
    if group is not None:
        values.setdefault(f"{prefix}isup_grade", _follows(group, [values[f"{prefix}gleason_score"]], "isup_table"))
    return values


def _prostate_case(exam: Values, items: Sequence[Values]) -> Values:
    exam = _graded(exam, "overall.")
    graded = [values for values in items if "isup_grade" in values]
    if graded and not any(f"overall.{name}" in exam for name in GRADE):
        highest = max(graded, key=lambda values: (_number(values, "isup_grade") or 0, _number(values, "gleason_score") or 0))
        exam |= {f"overall.{name}": _follows(highest[name].value, [highest[name]], "highest_specimen") for name in GRADE if name in highest}
    for name in ("cores_positive", "cores_total"):
        counted = [values[name] for values in items if name in values]
        if name not in exam and items and len(counted) == len(items):
            exam[name] = _follows(sum(int(str(leaf.value)) for leaf in counted), counted, "sum_of_specimens")
    return _case_of_diagnoses(exam, items, "cancer_present")


def _case_of_diagnoses(exam: Values, items: Sequence[Values], name: str) -> Values:
    diagnoses = [values["diagnosis"] for values in items if "diagnosis" in values]
    malignant = [leaf for leaf in diagnoses if leaf.value in MALIGNANT]
    answered = [leaf for leaf in diagnoses if leaf.value not in WITHOUT_ANSWER]
    if malignant:
        exam.setdefault(name, _follows(True, malignant[:1], "specimens"))
    elif answered and len(diagnoses) == len(items):
        exam.setdefault(name, _follows(False, answered, "specimens"))
    return exam


def _breast_exam(exam: Values, items: Sequence[Values]) -> Values:
    stated = [leaf for leaf in (exam.get("exam.birads_left"), exam.get("exam.birads_right")) if leaf is not None]
    stated += [values["birads"] for values in items if "birads" in values]
    if "exam.birads" not in exam and stated:
        worst = max(stated, key=lambda leaf: severity(str(leaf.value)))
        exam["exam.birads"] = _follows(worst.value, [worst], "worst_stated")
    return exam


def _breast_case(exam: Values, items: Sequence[Values]) -> Values:
    return _case_of_diagnoses(exam, items, "malignant")


def _unchanged(values: Values) -> Values:
    return values


_RULES: dict[tuple[str, ReportType], tuple[Callable[[Values], Values], Callable[[Values, Sequence[Values]], Values]]] = {
    ("prostate", ReportType.RADIOLOGY): (_lesion, _prostate_exam),
    ("prostate", ReportType.PATHOLOGY): (_graded, _prostate_case),
    ("breast", ReportType.RADIOLOGY): (_diameter, _breast_exam),
    ("breast", ReportType.PATHOLOGY): (_unchanged, _breast_case),
}
