"""What a simulated report states, as the extraction contract writes it, put together from its statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weakbox.organs.prostate import ORGAN
from weakbox.records.record import record
from weakbox.records.report import ReportType
from weakbox.simulate.statements import EXAM, Stretch
from weakbox.terminology.sectors import sectors_of

_UNITED = {"levels": ("base", "mid", "apex"), "positions": ("anterior", "posterior", "medial", "lateral")}
_GRADE = ("gleason_primary", "gleason_secondary", "gleason_score", "isup_grade")
_CORES = ("cores_positive", "cores_total")

Resolved = dict[str, tuple[Any, list[Stretch]]]
"""Field name -> value and the stretches that state it."""


@record
class Gold:
    """A report's gold: the contract's JSON, and which of the story's things each item is, in order of first mention."""

    content: Mapping[str, Any]
    item_scopes: tuple[str, ...]


def assemble(report_id: str, patient_id: str, report_type: ReportType, text: str, stretches: Sequence[Stretch]) -> Gold:
    """The gold of one report from its statements; ``text`` is the raw text that their offsets refer to.

    Raises:
        ValueError: the report states two values of the same rank for one field, so no value is right.
    """
    shape = ORGAN.shapes[report_type]
    scopes = tuple(dict.fromkeys(s.statement.scope for s in stretches if s.statement.scope != EXAM))
    exam = _resolve(stretches, EXAM)
    items = [_resolve(stretches, scope) for scope in scopes]
    if report_type is ReportType.RADIOLOGY:
        _finish_radiology(exam, items)
    else:
        _finish_pathology(exam, items)
    evidence: list[dict[str, Any]] = []
    content: dict[str, Any] = {"report_id": report_id, "patient_id": patient_id, "report_type": report_type.value, "organ": "prostate"}
    for field in shape.exam:
        _put(content, field.name, exam.get(field.name.removeprefix("exam.")), text, evidence, kind=field.kind.value)
    content[shape.item_kind] = []
    for index, item in enumerate(items):
        leaves: dict[str, Any] = {}
        for field in (field for field in shape.item if not field.is_internal):
            _put(leaves, field.name, item.get(field.name), text, evidence, prefix=f"{shape.item_kind}[{index}].", kind=field.kind.value)
        content[shape.item_kind].append(leaves)
    confidence = dict.fromkeys(dict.fromkeys(entry["path"] for entry in evidence), 1.0)
    content |= {"evidence": evidence, "confidence": confidence, "flags": [], "status": "ok"}
    return Gold(content=content, item_scopes=scopes)


def abstained(report_id: str, patient_id: str, report_type: ReportType) -> dict[str, Any]:
    """The gold of a report of another organ."""
    shape = ORGAN.shapes[report_type]
    content: dict[str, Any] = {"report_id": report_id, "patient_id": patient_id, "report_type": report_type.value, "organ": "prostate"}
    for field in shape.exam:
        _put(content, field.name, None, "", [], kind=field.kind.value)
    return content | {shape.item_kind: [], "evidence": [], "confidence": {}, "flags": [], "status": "abstained"}


def _put(
    content: dict[str, Any],
    name: str,
    resolved: tuple[Any, list[Stretch]] | None,
    text: str,
    evidence: list[dict[str, Any]],
    *,
    prefix: str = "",
    kind: str,
) -> None:
    value, stretches = resolved if resolved is not None else ([] if kind in ("choices", "numbers") else None, [])
    parents, _, leaf = name.rpartition(".")
    place = content.setdefault(parents, {}) if parents else content
    place[leaf] = list(value) if isinstance(value, tuple) else value
    spans = sorted({(stretch.start, stretch.end) for stretch in stretches})
    evidence.extend({"path": f"{prefix}{name}", "start": start, "end": end, "text": text[start:end]} for start, end in spans)


def _resolve(stretches: Iterable[Stretch], scope: str) -> Resolved:
    said: dict[str, list[tuple[Any, Stretch]]] = {}
    for stretch in stretches:
        if stretch.statement.scope == scope:
            for name, value in stretch.statement.values.items():
                said.setdefault(name, []).append((value, stretch))
    return {name: _winner(scope, name, values) for name, values in said.items()}


def _winner(scope: str, name: str, said: list[tuple[Any, Stretch]]) -> tuple[Any, list[Stretch]]:
    rank = max(stretch.statement.rank for _, stretch in said)
    said = [(value, stretch) for value, stretch in said if stretch.statement.rank == rank]
    if name in _UNITED:
        together = {part for value, _ in said for part in value}
        return tuple(part for part in _UNITED[name] if part in together), [stretch for _, stretch in said]
    if name == "size_mm":
        fullest = max((value for value, _ in said), key=len)
        return fullest, [stretch for value, stretch in said if value == fullest]
    values = {value for value, _ in said}
    if len(values) != 1:
        msg = f"{scope}.{name} is stated as {sorted(values, key=str)}: the report contradicts itself"
        raise ValueError(msg)
    return said[0][0], [stretch for _, stretch in said]


def _finish_radiology(exam: Resolved, lesions: list[Resolved]) -> None:
    for lesion in lesions:
        names = ("side", "zone", "levels", "positions")
        side, zone, levels, positions = (lesion.get(name, (None, []))[0] for name in names)
        sectors = sectors_of(side, zone, levels or (), positions or ())
        if sectors:
            lesion["sectors"] = sectors, [stretch for name in names for stretch in lesion.get(name, (None, []))[1]]
        if "size_mm" in lesion:
            sizes, stretches = lesion["size_mm"]
            lesion["max_diameter_mm"] = max(sizes), stretches
    for name in ("pirads", "likert"):
        stated = [lesion[name] for lesion in lesions if name in lesion]
        if name not in exam and stated:
            exam[name] = max(stated, key=lambda value: value[0])


def _finish_pathology(case: Resolved, specimens: list[Resolved]) -> None:
    diagnoses = [specimen["diagnosis"] for specimen in specimens if "diagnosis" in specimen]
    if "cancer_present" not in case and diagnoses:
        cancers = [diagnosis for diagnosis in diagnoses if diagnosis[0] in ("adenocarcinoma", "other_malignancy")]
        chosen = cancers or diagnoses
        case["cancer_present"] = bool(cancers), [stretch for _, stretches in chosen for stretch in stretches]
    if not any(f"overall.{name}" in case for name in _GRADE):
        graded = [specimen for specimen in specimens if "isup_grade" in specimen]
        worst = max(graded, key=_severity, default={})
        case.update({f"overall.{name}": worst[name] for name in _GRADE if name in worst})
    for name in _CORES:
        counts = [specimen[name] for specimen in specimens if name in specimen]
        if name not in case and specimens and len(counts) == len(specimens):
            case[name] = sum(value for value, _ in counts), [stretch for _, stretches in counts for stretch in stretches]


def _severity(specimen: Resolved) -> tuple[int, ...]:
    return tuple(specimen.get(name, (0, []))[0] for name in ("isup_grade", "gleason_score", "gleason_primary"))
