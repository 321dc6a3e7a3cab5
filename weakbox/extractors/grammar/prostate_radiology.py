"""Reads an English prostate MRI report by rules: exam, lesions, flags, each value with the raw words that state it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from weakbox.extractors.extractor import abstain, assembled
from weakbox.extractors.grammar.radiology_drafts import Candidate, Draft, ExamReading, largest
from weakbox.extractors.grammar.radiology_exam import read_exam_table, read_version, read_volume
from weakbox.extractors.grammar.radiology_lesions import read_section
from weakbox.extractors.grammar.radiology_merge import apply_addendum, fill_single_lesion, merge_sections
from weakbox.extractors.grammar.radiology_psa import read_psa, read_psa_density
from weakbox.extractors.grammar.radiology_reading import SectionReading
from weakbox.extractors.grammar.radiology_staging import read_staging
from weakbox.extractors.grammar.radiology_tables import with_fields
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Clause, Role, View, build_view
from weakbox.organs.prostate import ORGAN, RADIOLOGY
from weakbox.records.extraction import ExtractionStatus, Finding, Flag, ReportExtraction
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.terminology.sectors import sectors_of
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection

SOURCE = "rules"
_REVIEW_CODES = frozenset({"conflict", "injection", "implausible", "ambiguous", "superseded", "count", "missing"})
_SHORTEST_REPORT = 15


def read_radiology(report: Report, text: Normalised, sections: Sequence[TextSection]) -> ReportExtraction:
    """What a prostate MRI report states. Abstains on empty text and on reports of another organ or modality."""
    reason = _abstention(text)
    if reason is not None:
        return abstain(report, ORGAN.name, SOURCE, reason)
    text = with_fields(text)
    view = build_view(text, sections, report.language)
    lesions, overall, overall_likert = _read_lesions(view)
    flags: list[Flag] = []
    exam = _read_exam(view, lesions, overall, overall_likert, flags)
    findings = tuple(_finding(report, index, draft, text, flags) for index, draft in enumerate(lesions))
    flags += _text_flags(view)
    if not exam and not findings:
        flags.append(Flag(path="", code="missing", detail="no value of an MRI report was found"))
    status = ExtractionStatus.REVIEW if any(flag.code in _REVIEW_CODES for flag in flags) else ExtractionStatus.OK
    return assembled(report, ORGAN.name, SOURCE, exam, findings, flags, status)


_ORGAN = re.compile(
    r"prostat|pi-?\s?rads|pirads|\bpsa\b|peripheral zone|transition(?:al)? zone|\bpz(?:pl|pm|a|p)?\b|\btz[ap]?\b|seminal vesicle|"
    r"\broi\b|lesion|likert|cancer|category|suspicion|gland|\bepe\b"
)
_OTHER_ORGAN = re.compile(
    r"\b(?:bi-?rads|mammogra\w*|breasts?|brain|cerebr\w+|lungs?|pulmonary|chest|liver|hepatic|li-?rads|knee|meniscus|menisc\w+|"
    r"lumbar|cervical spine|thyroid|uterus|ovar\w+|cardiac|coronary|shoulder|ankle|colonoscopy)\b"
)
_STRONG = ("prostat", "pi-rads", "pi rads", "pirads", "peripheral zone", "transition zone", "transitional zone")
_OTHER_GATE: tuple[str, ...] = (
    "rads",
    "mammogra",
    "breast",
    "brain",
    "cerebr",
    "lung",
    "pulmon",
    "chest",
    "liver",
    "hepat",
    "knee",
    "menisc",
    "lumbar",
    "cervical",
)
_OTHER_GATE += ("thyroid", "uterus", "ovar", "cardiac", "coronary", "shoulder", "ankle", "colonosc")


def _abstention(text: Normalised) -> str | None:
    words = text.lower.strip()
    if len(words) < _SHORTEST_REPORT and not _ORGAN.search(words):
        return "empty"
    if not any(character.isalpha() for character in words):
        return "unreadable"
    own = sum(words.count(word) for word in _STRONG)
    other = len(_OTHER_ORGAN.findall(words)) if own == 0 or sum(words.count(word) for word in _OTHER_GATE) >= 3 else 0
    if own == 0 and (other > 0 or not _ORGAN.search(words)):
        return "wrong_organ"
    if other >= 3 and other > 3 * own:
        return "wrong_organ"
    return "wrong_type" if _is_of_tissue(words) else None


_TISSUE: tuple[str, ...] = (
    "adenocarcinoma",
    "gleason",
    " core",
    "perineural",
    "immunohisto",
    "microscop",
    "macroscop",
    "specimen",
    "prostatic tissue",
    "prostatic glands",
    "parenchyma",
    "fragment",
    " chips",
    "histolog",
    "acinar",
    "hgpin",
    "asap",
    "grade group",
    "isup",
    "formalin",
    "cassette",
    "needle biops",
    "turp",
    "ralp",
    "pt2",
    "pt3",
    "hyperplasia. no evidence",
    "transurethral resection",
    "urothelial carcinoma",
)
_IMAGES: tuple[str, ...] = (
    "rads",
    "likert",
    " t2",
    "dwi",
    "adc",
    "diffusion",
    "restrict",
    "enhanc",
    "mri",
    "signal",
    "vol",
    "intens",
    "psa",
)
_IMAGES += ("vesicles are", "vesicles clear", "vesicles normal", "no epe", "no adenopathy", "no nodes", "no lymph")
_PATTERNS = re.compile(r"[345]\s?\+\s?[345]\b")


def _is_of_tissue(words: str) -> bool:
    """A pathology report that was handed in as an MRI report: it speaks more of tissue than of images."""
    tissue = sum(words.count(word) for word in _TISSUE)
    if "+" in words and "gleason" not in words:
        tissue += len(_PATTERNS.findall(words))
    if not tissue:
        return False
    images = sum(words.count(word) for word in _IMAGES)
    return images == 0 or (tissue >= 2 and tissue > images)


def _read_lesions(view: View) -> tuple[list[Draft], Candidate | None, Candidate | None]:
    readings: list[SectionReading] = []
    addenda: list[tuple[SectionReading, list[Clause]]] = []
    for _, group in groupby(
        (clause for clause in view.clauses if clause.role in READ_ROLES), key=lambda clause: (clause.section, clause.role)
    ):
        clauses = list(group)
        reading = read_section(clauses, view)
        if reading.role is Role.ADDENDUM:
            addenda.append((reading, clauses))
        else:
            readings.append(reading)
    lesions = merge_sections(readings)
    for reading, clauses in addenda:
        apply_addendum(lesions, reading, clauses, view)
    everything = [*readings, *(reading for reading, _ in addenda)]
    overall = _overall(everything, "overall") or (None if lesions else _of_zones(everything))
    overall_likert = _overall(everything, "overall_likert")
    fill_single_lesion(lesions, "pirads", overall)
    fill_single_lesion(lesions, "likert", overall_likert)
    return lesions, overall, overall_likert


def _overall(readings: Sequence[SectionReading], name: str) -> Candidate | None:
    """The exam's own category: an addendum's over the impression's over the findings'; the highest where several stand together."""
    for role in (Role.ADDENDUM, Role.IMPRESSION, Role.FINDINGS):
        found: list[Candidate] = [candidate for reading in readings if reading.role is role for candidate in getattr(reading, name)]
        if found:
            return max(found, key=lambda candidate: int(str(candidate.value)))
    return None


def _of_zones(readings: Sequence[SectionReading]) -> Candidate | None:
    """The highest score of a whole zone, for an exam without lesions."""
    zones = [candidate for reading in readings for candidate in reading.zones]
    return max(zones, key=lambda candidate: int(str(candidate.value)), default=None)


def _read_exam(
    view: View, lesions: list[Draft], overall: Candidate | None, overall_likert: Candidate | None, flags: list[Flag]
) -> dict[str, Stated[FieldValue]]:
    exam: dict[str, Stated[FieldValue]] = {}
    for name, stated in (("pirads", overall), ("likert", overall_likert)):
        candidate = _exam_score(name, stated, lesions, flags)
        if candidate is not None:
            exam[f"exam.{name}"] = _stated(candidate, view.text, f"exam.{name}", flags)
    for name, reading in _exam_readings(view).items():
        flags += [Flag(path=f"exam.{name}", code=code) for code in reading.flags]
        if reading.candidate is not None:
            exam[f"exam.{name}"] = _stated(reading.candidate, view.text, f"exam.{name}", flags)
    for name, candidate in read_staging(view).items():
        exam[f"exam.{name}"] = _stated(candidate, view.text, f"exam.{name}", flags)
    _check_density(exam, flags)
    return {field.name: exam[field.name] for field in RADIOLOGY.exam if field.name in exam}


def _exam_readings(view: View) -> dict[str, ExamReading]:
    found = {
        "pirads_version": read_version(view.text),
        "psa_ng_ml": read_psa(view),
        "psa_density": read_psa_density(view),
        "prostate_volume_ml": read_volume(view),
    }
    if any(reading.candidate is None for reading in found.values()):
        found |= {name: reading for name, reading in read_exam_table(view).items() if found[name].candidate is None}
    return found


def _exam_score(name: str, stated: Candidate | None, lesions: list[Draft], flags: list[Flag]) -> Candidate | None:
    """The stated overall score, otherwise the highest of the lesions; both kept apart where they disagree."""
    scored = [draft.values[name] for draft in lesions if name in draft.values]
    highest = max(scored, key=lambda candidate: int(str(candidate.value)), default=None)
    if stated is None:
        return (
            None
            if highest is None
            else Candidate(value=highest.value, words=highest.words, rule="highest_of_lesions", confidence=highest.confidence * 0.98)
        )
    if highest is not None and highest.rule.startswith("addendum_") and int(str(highest.value)) > int(str(stated.value)):
        return Candidate(value=highest.value, words=highest.words, rule="highest_of_lesions", confidence=highest.confidence * 0.98)
    if highest is not None and int(str(highest.value)) > int(str(stated.value)):
        flags.append(Flag(path=f"exam.{name}", code="conflict", detail="a lesion is scored above the overall category"))
        return Candidate(value=stated.value, words=stated.words, rule=stated.rule, confidence=0.7, flags=stated.flags)
    return stated


def _check_density(exam: Mapping[str, Stated[FieldValue]], flags: list[Flag]) -> None:
    """PSA / volume against the stated density: a difference over a fifth goes to review, the stated values stay."""
    values = [exam[name].value if name in exam else None for name in ("exam.psa_ng_ml", "exam.prostate_volume_ml", "exam.psa_density")]
    psa, volume, density = (float(str(value)) if value is not None else None for value in values)
    if psa and volume and density and abs(psa / volume - density) > max(0.2 * density, 0.02):
        flags.append(Flag(path="exam.psa_density", code="conflict", detail="density differs from PSA / volume"))


def _finding(report: Report, index: int, draft: Draft, text: Normalised, flags: list[Flag]) -> Finding:
    path = f"lesions[{index}]"
    values: dict[str, Stated[FieldValue]] = {}
    if draft.label is not None:
        values["lesion_id"] = _stated(draft.label, text, f"{path}.lesion_id", flags)
    for name, candidate in draft.values.items():
        values[name] = _stated(candidate, text, f"{path}.{name}", flags)
    _derive(values, draft, text)
    flags += [Flag(path=f"{path}.{name}" if name else path, code=code) for name, code in dict.fromkeys(draft.flags)]
    if not draft.is_scored:
        flags.append(Flag(path=path, code="unscored"))
    ordered = {field.name: values[field.name] for field in RADIOLOGY.item if field.name in values}
    return Finding(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=ordered)


def _derive(values: dict[str, Stated[FieldValue]], draft: Draft, text: Normalised) -> None:
    """Sectors from the place's words, the largest diameter from the size."""
    levels, positions = draft.get("levels"), draft.get("positions")
    side, zone = draft.get("side"), draft.get("zone")
    sectors = sectors_of(
        str(side) if side else None,
        str(zone) if zone else None,
        [str(level) for level in levels] if isinstance(levels, tuple) else [],
        [str(position) for position in positions] if isinstance(positions, tuple) else [],
    )
    if sectors:
        parts = [draft.values[name] for name in ("side", "zone", "levels", "positions") if name in draft.values]
        words = tuple(sorted({span for part in parts for span in part.words}))
        values["sectors"] = _plain(
            Candidate(value=sectors, words=words, rule="sectors_of_place", confidence=min(part.confidence for part in parts) * 0.97), text
        )
    size = draft.values.get("size_mm")
    diameter = largest(draft)
    if size is not None and diameter is not None:
        values["max_diameter_mm"] = _plain(
            Candidate(value=diameter, words=size.words, rule="largest_size", confidence=size.confidence), text
        )


def _plain(candidate: Candidate, text: Normalised, *, doubt: float = 1.0) -> Stated[FieldValue]:
    return Stated(
        value=candidate.value,
        evidence=_evidence(candidate, text),
        source=SOURCE,
        confidence=round(candidate.confidence * doubt, 3),
        rule=candidate.rule,
    )


def _evidence(candidate: Candidate, text: Normalised) -> tuple[Span, ...]:
    """The raw spans of the candidate's words, each once, in order."""
    if len(candidate.words) == 1:
        return (text.to_raw(*candidate.words[0]),)
    return tuple(sorted({text.to_raw(start, end) for start, end in candidate.words}, key=lambda span: (span.start, span.end)))


def _stated(candidate: Candidate, text: Normalised, path: str, flags: list[Flag]) -> Stated[FieldValue]:
    """The candidate with raw evidence; its doubts become flags, repaired words lower its confidence."""
    flags += [Flag(path=path, code=code) for code in candidate.flags]
    if text.repaired and any(text.is_repaired(start, end) for start, end in candidate.words):
        flags.append(Flag(path=path, code="ocr"))
        return _plain(candidate, text, doubt=0.85)
    return _plain(candidate, text)


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
