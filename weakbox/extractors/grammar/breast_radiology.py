"""Reads an English breast imaging report by rules: exam, findings, flags, each value with the raw words that state it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from weakbox.extractors.extractor import abstain, assembled
from weakbox.extractors.grammar.breast.radiology_drafts import Draft, largest, quadrant_of
from weakbox.extractors.grammar.breast.radiology_exam import (
    ModalityReading,
    fallback_side,
    read_categories,
    read_density,
    read_modality,
    read_scores,
)
from weakbox.extractors.grammar.breast.radiology_findings import GroupReader
from weakbox.extractors.grammar.breast.radiology_merge import Correction, apply_addendum, merge_groups
from weakbox.extractors.grammar.breast.radiology_spelling import in_one_spelling
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.breast.radiology_view import build_view, with_titles, without_fields
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Role
from weakbox.organs.breast import ORGAN, RADIOLOGY
from weakbox.records.extraction import ExtractionStatus, Finding, Flag, ReportExtraction
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue, Stated
from weakbox.terminology.birads import severity
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection

SOURCE = "rules"
_REVIEW_CODES = frozenset({"conflict", "injection", "implausible", "ambiguous", "superseded", "count", "missing"})
_SHORTEST_REPORT = 12


def read_radiology(report: Report, text: Normalised, sections: Sequence[TextSection]) -> ReportExtraction:
    """What a breast imaging report states. Abstains on empty text and on reports of another organ."""
    reason = _abstention(text)
    if reason is not None:
        return abstain(report, ORGAN.name, SOURCE, reason)
    text, sections = in_one_spelling(text, sections)
    sections = with_titles(without_fields(sections, text.lower), text.lower)
    view = build_view(text, sections)
    modality = read_modality(view, sections)
    view = replace(view, modality=modality.only, modalities=modality.names)
    findings, correction = _read_findings(view)
    _fill_side(findings, view, sections)
    flags: list[Flag] = []
    exam = _read_exam(view, sections, modality, correction, findings, flags)
    items = tuple(_finding(report, index, draft, text, flags) for index, draft in enumerate(findings))
    flags += _text_flags(view)
    status = ExtractionStatus.REVIEW if any(flag.code in _REVIEW_CODES for flag in flags) else ExtractionStatus.OK
    return assembled(report, ORGAN.name, SOURCE, exam, items, flags, status)


_ORGAN = re.compile(
    r"breast|mammo|bi-?\s?rads?|birads|tomosynthesis|nipple|areola|axilla|\bn\s?\+\s?\d|o'?clock|calcification|\bacr\b|fibroglandular|"
    r"cyst|mass|"
    r"asymmetry|distortion|quadrant|\buoq\b|category|lesion|density"
)
_STRONG = re.compile(r"breast|mammo|bi-?\s?rads?\b|birads|tomosynthesis|nipple|areola|fibroglandular")
_OTHER_ORGAN = re.compile(
    r"\b(?:pi-?rads|prostat\w*|psa|brain|cerebr\w+|li-?rads|knee|meniscus|menisc\w+|lumbar|cervical spine|thyroid|uterus|ovar\w+|"
    r"coronary|shoulder|"
    r"ankle|colonoscopy|seminal vesicles?|peripheral zone|gallbladder|pancrea\w+|lungs?|hepatic|liver|kidneys?|renal|pulmonary)\b"
)


def _abstention(text: Normalised) -> str | None:
    words = text.lower.strip()
    if len(words) < _SHORTEST_REPORT and not _ORGAN.search(words):
        return "empty"
    if not any(character.isalpha() for character in words):
        return "unreadable"
    own, other = len(_STRONG.findall(words)), len(_OTHER_ORGAN.findall(words))
    if own == 0 and (other > 0 or not _ORGAN.search(words)):
        return "wrong_organ"
    return "wrong_organ" if other >= 3 and other > 3 * own else None


def _read_findings(view: View) -> tuple[list[Draft], Correction | None]:
    readers: list[GroupReader] = []
    concluding: list[GroupReader] = []
    addenda: list[tuple[GroupReader, list[Clause]]] = []
    read = (clause for clause in view.clauses if clause.role in READ_ROLES)
    for (_, role), group in groupby(read, key=lambda clause: (clause.group, clause.role)):
        clauses = list(group)
        reader = GroupReader(view=view)
        reader.read(clauses)
        if role is Role.ADDENDUM:
            addenda.append((reader, clauses))
        else:
            (concluding if role is Role.IMPRESSION else readers).append(reader)
    findings = merge_groups([*readers, *concluding])
    correction: Correction | None = None
    for reader, clauses in addenda:
        correction = apply_addendum(findings, reader, clauses, view) or correction
    return findings, correction


def _fill_side(findings: list[Draft], view: View, sections: Sequence[TextSection]) -> None:
    """A one-sided exam's findings lie on its side where they do not say another."""
    missing = [draft for draft in findings if "side" not in draft.values and ("side", "conflict") not in draft.flags]
    side = fallback_side(view, sections) if missing else None
    for draft in missing:
        draft.fill("side", side)


def _read_exam(
    view: View,
    sections: Sequence[TextSection],
    modality: ModalityReading,
    correction: Correction | None,
    findings: Sequence[Draft],
    flags: list[Flag],
) -> dict[str, Stated[FieldValue]]:
    candidates: dict[str, Candidate | None] = {"modality": modality.candidate(), "density": read_density(view, sections, modality)}
    categories = read_categories(read_scores(view))
    if correction is not None:
        _turn_categories(categories, correction, flags)
    candidates.update(categories)
    candidates["birads"] = _with_findings(categories.get("birads"), findings)
    exam = {
        f"exam.{name}": _stated(candidate, view.text, f"exam.{name}", flags)
        for name, candidate in candidates.items()
        if candidate is not None
    }
    return {field.name: exam[field.name] for field in RADIOLOGY.exam if field.name in exam}


def _with_findings(stated: Candidate | None, findings: Sequence[Draft]) -> Candidate | None:
    """Without an overall category the worst stated one counts, wherever it stands: also in a table's cells."""
    if stated is not None and stated.rule != "worst_stated":
        return stated
    own = [replace(draft.values["birads"], rule="worst_stated", flags=()) for draft in findings if "birads" in draft.values]
    return max([*((stated,) if stated else ()), *own], key=lambda candidate: severity(str(candidate.value)), default=None)


def _turn_categories(categories: dict[str, Candidate], correction: Correction, flags: list[Flag]) -> None:
    """A category that was tied to the wrong side goes with its finding to the right one."""
    wrong, right = f"birads_{correction.wrong}", f"birads_{correction.right.value}"
    if wrong not in categories or not (right not in categories or correction.is_whole):
        return
    turned = categories.pop(wrong)
    categories.setdefault(right, turned)
    flags.append(Flag(path=f"exam.{right}", code="superseded"))


def _finding(report: Report, index: int, draft: Draft, text: Normalised, flags: list[Flag]) -> Finding:
    path = f"findings[{index}]"
    values = {name: _stated(candidate, text, f"{path}.{name}", flags) for name, candidate in draft.values.items()}
    size, diameter = draft.values.get("size_mm"), largest(draft)
    if size is not None and diameter is not None:
        values["max_diameter_mm"] = _stated(
            Candidate(
                value=int(diameter) if diameter == int(diameter) else diameter,
                words=size.words,
                rule="largest_size",
                confidence=size.confidence,
            ),
            text,
            f"{path}.max_diameter_mm",
            [],
        )
    flags += [Flag(path=f"{path}.{name}" if name else path, code=code) for name, code in dict.fromkeys(draft.flags)]
    possible = quadrant_of(draft.get("side"), draft.get("clock"))
    quadrant = draft.get("quadrant")
    if possible and isinstance(quadrant, str) and quadrant.startswith(("upper", "lower")) and quadrant not in possible:
        flags.append(Flag(path=f"{path}.quadrant", code="conflict", detail="the quadrant does not hold the clock position on that side"))
    ordered = {field.name: values[field.name] for field in RADIOLOGY.item if field.name in values}
    return Finding(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=ordered)


def _stated(candidate: Candidate, text: Normalised, path: str, flags: list[Flag]) -> Stated[FieldValue]:
    """The candidate with raw evidence; its doubts become flags, repaired words lower its confidence."""
    flags += [Flag(path=path, code=code) for code in candidate.flags]
    confidence = candidate.confidence
    if text.repaired and any(text.is_repaired(start, end) for start, end in candidate.words):
        flags.append(Flag(path=path, code="ocr"))
        confidence *= 0.85
    evidence = dict.fromkeys(text.to_raw(start, end) for start, end in candidate.words)
    return Stated(
        value=candidate.value,
        evidence=tuple(sorted(evidence, key=lambda span: (span.start, span.end))),
        source=SOURCE,
        confidence=round(confidence, 3),
        rule=candidate.rule,
    )


def _text_flags(view: View) -> list[Flag]:
    flags = []
    if view.is_addressed_to_machine:
        flags.append(Flag(path="", code="injection", detail="text that addresses a machine was not read"))
    roles = {clause.role for clause in view.clauses}
    if Role.FINDINGS not in roles:
        flags.append(Flag(path="", code="no_findings_section"))
    if Role.IMPRESSION not in roles:
        flags.append(Flag(path="", code="no_impression_section"))
    return flags
