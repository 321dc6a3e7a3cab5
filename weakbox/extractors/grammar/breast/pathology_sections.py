"""Passages of a breast pathology report: those of every pathology report, with synoptic forms kept whole."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from weakbox.extractors.grammar.breast.pathology_paragraphs import with_nested, with_paragraphs
from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.extractors.grammar.pathology.passages import Passage, Role, find_passages
from weakbox.records.report import SectionKind
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection

_FORM = re.compile(
    r"\n[ \t*_=#-]*(?P<heading>(?:synoptic\b[^\n]{0,90}|(?:microscopy\s*/\s*)?minimum data ?set\b[^\n]{0,50}"
    r"|(?:rcpath\s+)?(?:data ?set|pro-?forma)\b[^\n]{0,50}"
    r"|(?:invasive (?:breast )?carcinoma|ductal carcinoma in situ|dcis|invasive carcinoma) of (?:the )?breast\s*[:(-][^\n]{0,60}"
    r"|(?:breast )?cancer (?:case |staging )?summary[^\n]{0,50}"
    r"|(?:breast )?tumou?r (?:summary|profile|synopsis)[^\n]{0,40}|cap (?:protocol|checklist|cancer)[^\n]{0,50}"
    r"|structured report[^\n]{0,40}))[ \t]*(?=\n|$)"
)
"""Matched, like the others here, in the text with a line break before it: a first letter that all share is found fast."""
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
_WORN_HEADINGS = re.compile(r"\n[ \t]*(?P<words>[A-Z0-9l|]{4,14})(?=[ \t]*[:\n])")
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
    r"\n[ \t]*(?P<words>hx|clin|phx|outcome|plan|microscopic exam(?:ination)?\s*/\s*diagnosis|referral|answer|reply"
    r"|statement|assessment|pathological diagnosis|clinical hx|cl(?:inical)? ?hx|micro|macro|dx|final dx|summary of diagnosis"
    r"|historia(?: cl[ií]nica)?|antecedentes|modified report|revised report|amended (?:report|diagnosis)|supplement(?:al|ary) diagnosis"
    r"|reason for amendment)[ \t]*:"
    r"|\n[ \t]*(?P<both>(?:micro\w*|histolog\w*|macro\w*)(?: (?:description|examination))?[ ](?:and|&|with)"
    r"[ ](?:final )?diagnos[ie]s)[ \t]*(?::|(?=\n))"
)
_DECORATED = re.compile(
    r"\n[ \t]*(?:\[|[=*#<{~|_-]{1,6})[ \t]*(?:final |histo\w* |surgical |patholog\w* |summary of |clinical )*"
    r"(?P<key>diagnos[ie]s|microscop|macroscop|gross|comment|histology|information|details|history|conclusion)"
    r"(?:ic|y)?(?: (?:description|examination|findings))?[ \t]*:?[ \t]*(?:\]|[=*#>}~|_-]{1,6})[ \t]*:?[ \t]*(?=\n|$)"
)
_BY_KEYWORD = {
    "diagnosis": SectionKind.DIAGNOSIS,
    "diagnoses": SectionKind.DIAGNOSIS,
    "conclusion": SectionKind.DIAGNOSIS,
    "microscop": SectionKind.MICROSCOPY,
    "histology": SectionKind.MICROSCOPY,
    "macroscop": SectionKind.GROSS,
    "gross": SectionKind.GROSS,
    "comment": SectionKind.COMMENT,
    "information": SectionKind.CLINICAL_INFORMATION,
    "details": SectionKind.CLINICAL_INFORMATION,
    "history": SectionKind.CLINICAL_INFORMATION,
}
_MARKER_HEADINGS = re.compile(
    r"(?:^|(?<=\n))[ \t]*(?P<words>(?:ihc|immunohistochemistry|receptors?|biomarkers?|hormone receptors?)\b[^\n:]{0,30}):"
)
_BY_SHORT = {
    "micro": SectionKind.MICROSCOPY,
    "macro": SectionKind.GROSS,
    "dx": SectionKind.DIAGNOSIS,
    "microscopic exam/diagnosis": SectionKind.DIAGNOSIS,
    "microscopic examination/diagnosis": SectionKind.DIAGNOSIS,
    "answer": SectionKind.DIAGNOSIS,
    "reply": SectionKind.DIAGNOSIS,
    "statement": SectionKind.DIAGNOSIS,
    "assessment": SectionKind.DIAGNOSIS,
    "pathological diagnosis": SectionKind.DIAGNOSIS,
    "final dx": SectionKind.DIAGNOSIS,
    "modified report": SectionKind.ADDENDUM,
    "revised report": SectionKind.ADDENDUM,
    "amended report": SectionKind.ADDENDUM,
    "amended diagnosis": SectionKind.ADDENDUM,
    "supplemental diagnosis": SectionKind.ADDENDUM,
    "supplementary diagnosis": SectionKind.ADDENDUM,
    "summary of diagnosis": SectionKind.DIAGNOSIS,
}


def find_breast_passages(text: Normalised, sections: Sequence[TextSection]) -> tuple[list[Passage], list[tuple[int, int]]]:
    """The passages in the order of the text, and gross descriptions among them that are not to be read.

    Clinical information, priors, legends and signatures are left out.
    """
    nested, gross = with_nested(text.lower, _with_worn_headings(text, _without_labels(text.lower, sections)))
    passages = find_passages(text, with_paragraphs(text.lower, _with_forms(text, nested)))
    return _with_a_diagnosis(text.lower, passages), gross


def _with_a_diagnosis(lower: str, passages: list[Passage]) -> list[Passage]:
    """Where nothing stands under a heading for the diagnosis, the best of the rest that names a finding of the breast is it."""
    for role in (Role.DIAGNOSIS, Role.SYNOPTIC, Role.FREE, Role.MICROSCOPY):
        found = [p for p in passages if p.role is role and choice("specimens", "diagnostic").search(lower, p.start, p.end)]
        if found:
            return [replace(p, role=Role.DIAGNOSIS) if p in found and role in (Role.FREE, Role.MICROSCOPY) else p for p in passages]
    return passages


_LABEL_NOUN = re.compile(r"(?:specimen|part|sample)(?=[ \t]+[#(\[]{0,2}(?:[a-z]|\d{1,2}|[ivx]{1,4})\b(?!['’]))")


def _without_labels(lower: str, sections: Sequence[TextSection]) -> list[TextSection]:
    """No section begins at a label with a noun ("SPECIMEN 1 LEFT MASTECTOMY")."""
    joined: list[TextSection] = []
    for section in sections:
        first = section.heading[0] if section.heading else section.start
        if joined and section.kind is SectionKind.SPECIMEN_LIST and _LABEL_NOUN.match(lower, first):
            joined[-1] = replace(joined[-1], end=section.end)
        else:
            joined.append(section)
    return joined


def _with_worn_headings(text: Normalised, sections: Sequence[TextSection]) -> list[TextSection]:
    """Cuts at headings that a scanner misread ("GR0SS", "DlAGNOSIS") and at short ones ("HX:")."""
    marks: list[tuple[int, int, SectionKind]] = []
    padded = f"\n{text.lower}"
    for match in _WORN_HEADINGS.finditer(f"\n{text.text}"):
        words = match["words"]
        kind = _BY_WORD.get(words.translate(_LETTERS))
        if (kind is not None and not words.isalpha()) or (kind is not None and any(letter.islower() for letter in words)):
            marks.append((match.start("words"), match.end(), kind))
    for match in _DECORATED.finditer(padded):
        marks.append((match.start() + 1, match.end(), _BY_KEYWORD[match["key"]]))
    for match in _SHORT_HEADINGS.finditer(padded):
        if match["both"]:
            marks.append((match.start("both"), match.end(), SectionKind.DIAGNOSIS))
        else:
            marks.append((match.start("words"), match.end(), _BY_SHORT.get(match["words"], SectionKind.CLINICAL_INFORMATION)))
    marks = [(start - 1, end - 1, kind) for start, end, kind in marks]
    for section in sections:
        if section.kind is SectionKind.RECOMMENDATION:
            found = _MARKER_HEADINGS.finditer(text.lower, section.start, section.end)
            marks += [(match.start("words"), match.end(), SectionKind.MICROSCOPY) for match in found]
    return _cut_at(sections, sorted(marks))


def _cut_at(sections: Sequence[TextSection], marks: Sequence[tuple[int, int, SectionKind]]) -> list[TextSection]:
    """The sections cut at marks (start and end of a heading, its kind), both in order."""
    cut: list[TextSection] = []
    index = 0
    for section in sections:
        cut.append(section)
        while index < len(marks) and marks[index][0] < section.end:
            start, end, kind = marks[index]
            index += 1
            if start < cut[-1].start:
                continue
            body = min(end + 1 if end < section.end else end, section.end)
            cut[-1] = replace(cut[-1], end=start)
            cut.append(TextSection(kind=kind, start=body, end=section.end, heading=(start, end), order=section.order))
    return cut


def _with_forms(text: Normalised, sections: Sequence[TextSection]) -> list[TextSection]:
    """A synoptic form runs to the next heading that is none of its own lines ("Specimen", "Procedure", "Histology")."""
    forms = [(match.start("heading") - 1, match.end("heading") - 1) for match in _FORM.finditer(f"\n{text.lower}")]
    joined: list[TextSection] = []
    is_inside = False
    for section in sections:
        if is_inside and _goes_on(text.lower, section):
            joined[-1] = replace(joined[-1], end=section.end)
        else:
            is_inside = False
            joined.append(section)
        first = section.heading[0] if section.heading else section.start
        index = bisect_left(forms, (first, 0))
        while index < len(forms) and forms[index][0] < max(section.end, first + 1):
            is_inside = _begin_form(joined, section, forms[index]) or is_inside
            index += 1
    return joined


def _begin_form(joined: list[TextSection], section: TextSection, heading: tuple[int, int]) -> bool:
    """Ends the last section where a form's heading stands, and begins the form; not in an addendum."""
    last = joined[-1]
    if last.kind is SectionKind.ADDENDUM:
        return False
    joined.pop()
    if heading[0] > last.start:
        joined.append(replace(last, end=heading[0]))
    joined.append(TextSection(kind=SectionKind.SYNOPTIC, start=min(heading[1], section.end), end=section.end, heading=heading))
    return True


def _goes_on(lower: str, section: TextSection) -> bool:
    if section.kind not in _STAYS_IN_FORM:
        return False
    heading = lower[slice(*section.heading)] if section.heading else ""
    return _ENDS_FORM.match(heading.strip()) is None
