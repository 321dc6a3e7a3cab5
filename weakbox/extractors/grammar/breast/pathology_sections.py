"""Passages of a breast pathology report: those of every pathology report, with synoptic forms kept whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weakbox.extractors.grammar.breast.pathology_paragraphs import with_paragraphs
from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.extractors.grammar.pathology.passages import Passage, Role, find_passages
from weakbox.records.report import SectionKind
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection

_FORM = re.compile(
    r"(?:^|(?<=\n))[ \t*_=#-]*(?P<heading>(?:synoptic\b[^\n]{0,90}|(?:microscopy\s*/\s*)?minimum data ?set\b[^\n]{0,50}"
    r"|(?:rcpath\s+)?(?:data ?set|pro-?forma)\b[^\n]{0,50}"
    r"|(?:invasive (?:breast )?carcinoma|ductal carcinoma in situ|dcis|invasive carcinoma) of (?:the )?breast\s*[:(-][^\n]{0,60}"
    r"|(?:breast )?cancer (?:case |staging )?summary[^\n]{0,50}"
    r"|(?:breast )?tumou?r (?:summary|profile|synopsis)[^\n]{0,40}|cap (?:protocol|checklist|cancer)[^\n]{0,50}"
    r"|structured report[^\n]{0,40}))[ \t]*(?=\n|$)"
)
_STAYS_IN_FORM = (
    SectionKind.SPECIMEN_LIST,
    SectionKind.TECHNIQUE,
    SectionKind.MICROSCOPY,
    SectionKind.OTHER,
    SectionKind.FINDINGS,
    SectionKind.HEADER,
    SectionKind.SYNOPTIC,
)
_ENDS_FORM = re.compile(r"microscop(?:y|ic description)|micro\b|macro|gross|histolog(?:y|ical) report")
_WORN_HEADINGS = re.compile(r"(?:^|(?<=\n))[ \t]*(?P<words>[A-Z0-9l|]{4,14})(?=[ \t]*[:\n])")
_LETTERS = str.maketrans("0l1|5", "OIIIS")
_BY_WORD = {
    "SPECIMEN": SectionKind.SPECIMEN_LIST,
    "SPECIMENS": SectionKind.SPECIMEN_LIST,
    "GROSS": SectionKind.GROSS,
    "MACRO": SectionKind.GROSS,
    "MACROSCOPY": SectionKind.GROSS,
    "MICRO": SectionKind.MICROSCOPY,
    "MICROSCOPY": SectionKind.MICROSCOPY,
    "MICROSCOPIC": SectionKind.MICROSCOPY,
    "DIAGNOSIS": SectionKind.DIAGNOSIS,
    "CONCLUSION": SectionKind.DIAGNOSIS,
    "OPINION": SectionKind.DIAGNOSIS,
    "IMPRESSION": SectionKind.DIAGNOSIS,
    "COMMENT": SectionKind.COMMENT,
    "CLINICAL": SectionKind.CLINICAL_INFORMATION,
    "HISTORY": SectionKind.CLINICAL_INFORMATION,
    "HX": SectionKind.CLINICAL_INFORMATION,
    "CLIN": SectionKind.CLINICAL_INFORMATION,
}
_SHORT_HEADINGS = re.compile(
    r"(?:^|(?<=\n))[ \t]*(?P<words>hx|clin|phx|referral|answer|reply|statement|assessment|pathological diagnosis|clinical hx|cl(?:inical)? ?hx|micro|macro|dx|final dx|summary of diagnosis"
    r"|reason for amendment)[ \t]*:"
)
_BY_SHORT = {
    "micro": SectionKind.MICROSCOPY,
    "macro": SectionKind.GROSS,
    "dx": SectionKind.DIAGNOSIS,
    "answer": SectionKind.DIAGNOSIS,
    "reply": SectionKind.DIAGNOSIS,
    "statement": SectionKind.DIAGNOSIS,
    "assessment": SectionKind.DIAGNOSIS,
    "pathological diagnosis": SectionKind.DIAGNOSIS,
    "final dx": SectionKind.DIAGNOSIS,
    "summary of diagnosis": SectionKind.DIAGNOSIS,
}


def find_breast_passages(text: Normalised, sections: Sequence[TextSection]) -> list[Passage]:
    """The passages in the order of the text; clinical information, priors, legends and signatures are left out."""
    return _with_a_diagnosis(text.lower, _passages(text, sections))


def _with_a_diagnosis(lower: str, passages: list[Passage]) -> list[Passage]:
    """Where nothing stands under a heading for the diagnosis, the best of the rest that names a finding of the breast is it."""
    for role in (Role.DIAGNOSIS, Role.SYNOPTIC, Role.FREE, Role.MICROSCOPY):
        found = [p for p in passages if p.role is role and choice("specimens", "diagnostic").search(lower, p.start, p.end)]
        if found:
            return [replace(p, role=Role.DIAGNOSIS) if p in found and role in (Role.FREE, Role.MICROSCOPY) else p for p in passages]
    return passages


def _passages(text: Normalised, sections: Sequence[TextSection]) -> list[Passage]:
    return find_passages(text, with_paragraphs(text.lower, _with_forms(text, _with_worn_headings(text, sections))))


def _with_worn_headings(text: Normalised, sections: Sequence[TextSection]) -> list[TextSection]:
    """Cuts at headings that a scanner misread ("GR0SS", "DlAGNOSIS") and at short ones ("HX:")."""
    marks: list[tuple[int, int, SectionKind]] = []
    for match in _WORN_HEADINGS.finditer(text.text):
        words = match["words"]
        kind = _BY_WORD.get(words.translate(_LETTERS))
        if (kind is not None and not words.isalpha()) or (kind is not None and any(letter.islower() for letter in words)):
            marks.append((match.start("words"), match.end(), kind))
    for match in _SHORT_HEADINGS.finditer(text.lower):
        marks.append((match.start("words"), match.end(), _BY_SHORT.get(match["words"], SectionKind.CLINICAL_INFORMATION)))
    cut = list(sections)
    for start, end, kind in sorted(marks):
        cut = [piece for section in cut for piece in _cut(section, start, end, kind)]
    return cut


def _cut(section: TextSection, start: int, end: int, kind: SectionKind) -> list[TextSection]:
    if not section.start <= start < section.end:
        return [section]
    colon = end + 1 if end < section.end else end
    return [
        replace(section, end=start),
        TextSection(kind=kind, start=min(colon, section.end), end=section.end, heading=(start, end), order=section.order),
    ]


def _with_forms(text: Normalised, sections: Sequence[TextSection]) -> list[TextSection]:
    """A synoptic form runs to the next heading that is none of its own lines ("Specimen", "Procedure", "Histology")."""
    forms = list(_FORM.finditer(text.lower))
    cut = list(sections)
    for match in forms:
        start, end = match.span("heading")
        joined: list[TextSection] = []
        inside = False
        for section in cut:
            if inside and _goes_on(text.lower, section):
                joined[-1] = replace(joined[-1], end=section.end)
                continue
            inside = False
            first = section.heading[0] if section.heading else section.start
            if first <= start < max(section.end, first + 1) and section.kind is not SectionKind.ADDENDUM:
                if start > section.start:
                    joined.append(replace(section, end=start))
                joined.append(TextSection(kind=SectionKind.SYNOPTIC, start=min(end, section.end), end=section.end, heading=(start, end)))
                inside = True
                continue
            joined.append(section)
        cut = joined
    return cut


def _goes_on(lower: str, section: TextSection) -> bool:
    if section.kind not in _STAYS_IN_FORM:
        return False
    heading = lower[slice(*section.heading)] if section.heading else ""
    return _ENDS_FORM.match(heading.strip()) is None
