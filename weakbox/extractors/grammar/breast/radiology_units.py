"""The clauses of a breast imaging report: where each stands, under which headings, and everything that the text mentions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from weakbox.extractors.grammar.breast.places import (
    PlaceNumber,
    PlaceWord,
    find_clocks,
    find_nipple_distances,
    find_quadrants,
    find_sides,
)
from weakbox.extractors.grammar.breast.radiology_categories import CategoryMention, find_categories
from weakbox.extractors.grammar.breast.radiology_words import finding_words
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Located, Role
from weakbox.records.report import SectionKind
from weakbox.text.injection import injection_spans
from weakbox.text.lexicon import Hit
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import Size, find_sizes
from weakbox.text.sections import TextSection
from weakbox.text.sentences import Sentence, UnitKind, split_sentences

_ROLES = {
    SectionKind.FINDINGS: Role.FINDINGS,
    SectionKind.OTHER: Role.FINDINGS,
    SectionKind.COMMENT: Role.IMPRESSION,
    SectionKind.SYNOPTIC: Role.FINDINGS,
    SectionKind.IMPRESSION: Role.IMPRESSION,
    SectionKind.DIAGNOSIS: Role.IMPRESSION,
    SectionKind.RECOMMENDATION: Role.CONTEXT,
    SectionKind.ADDENDUM: Role.ADDENDUM,
    SectionKind.CLINICAL_INFORMATION: Role.CLINICAL,
}
_SILENT = (SectionKind.TEMPLATE_LEGEND, SectionKind.SIGNATURE)


class LabelMention(NamedTuple):
    """A finding's label ("Lesion A", "Mass #2") at ``start:end``; ``value_start:end`` is the label without its noun."""

    start: int
    end: int
    value: str
    value_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A stretch of the text that speaks of at most one finding, with the headings above it."""

    start: int
    end: int
    role: Role
    group: int
    """Clauses of one group (a section, or one modality's part of it) describe each finding once."""
    section: int
    sentence: int
    paragraph: int
    line: int
    marker: str | None = None
    is_row: bool = False
    side: PlaceWord | None = None
    is_side_titled: bool = False
    """The side is part of an examination's title ("Ultrasound right breast:"), to which no category is tied."""
    modality: str | None = None
    label: LabelMention | None = None
    field: str | None = None
    is_first: bool = True
    """The first clause of its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A report's text with its clauses and mentions."""

    text: Normalised
    nouns: Located[Hit]
    sides: Located[PlaceWord]
    quadrants: Located[PlaceWord]
    clocks: Located[PlaceNumber]
    distances: Located[PlaceNumber]
    sizes: Located[Size]
    categories: Located[CategoryMention]
    labels: Located[LabelMention]
    clauses: tuple[Clause, ...] = ()
    is_addressed_to_machine: bool = False
    modality_headings: tuple[Hit, ...] = ()
    modality: str | None = None
    """The examination's, where it has only one."""

    def cut(self, clause: Clause) -> str:
        """The clause's words in lower case."""
        return self.text.lower[clause.start : clause.end]


def build_view(text: Normalised, sections: Sequence[TextSection]) -> View:
    """Find everything once, then cut the text into clauses."""
    lower = text.lower
    view = View(
        text=text,
        nouns=Located(finding_words().find(lower)),
        sides=Located(find_sides(lower)),
        quadrants=Located(find_quadrants(lower)),
        clocks=Located(find_clocks(lower)),
        distances=Located(find_nipple_distances(lower)),
        sizes=Located(find_sizes(lower)),
        categories=Located(find_categories(lower)),
        labels=Located(find_labels(text.text, lower)),
    )
    walker = _Walker(view=view)
    sections = _without_false_legends(sections, view)
    for number, section in enumerate(sections):
        if section.kind not in _SILENT:
            walker.walk(number, section, has_findings=any(_is_findings(other) for other in sections))
    foreign = injection_spans(lower)
    clauses = tuple(clause for clause in walker.clauses if not any(start < clause.end and clause.start < end for start, end in foreign))
    return replace(view, clauses=clauses, is_addressed_to_machine=bool(foreign), modality_headings=tuple(walker.modality_headings))


def _without_false_legends(sections: Sequence[TextSection], view: View) -> list[TextSection]:
    """A numbered impression ("1. Probably benign mass ... 2. Benign ...") looks like a printed scale; places and sizes tell it apart."""
    kept: list[TextSection] = []
    for section in sections:
        is_scale = section.kind is SectionKind.TEMPLATE_LEGEND and section.heading is None
        if is_scale and any(located.within(section.start, section.end) for located in (view.sides, view.sizes, view.clocks)):
            section = replace(section, kind=kept[-1].kind if kept else SectionKind.FINDINGS)
        kept.append(section)
    return kept


def _is_findings(section: TextSection) -> bool:
    return section.kind is SectionKind.FINDINGS and section.heading is not None


_LABEL = re.compile(
    r"\b(?P<noun>lesions?|findings?|nodules?|mass(?:es)?|abnormalit(?:y|ies)|targets?|rois?|cysts?|areas?|foc(?:us|i)|sites?|"
    r"index lesion)\s*(?:no\.?|nr\.?|number|marker|id)?\s*[:#]?\s*#?"
    r"(?P<value>\d{1,2}[a-c]?|[a-h])(?![\w'’]|[.,]\d|:\d\d|\s?(?:mm|cm|o'?\s?clock|x\s?\d|%|-?\s?(?:month|year|week|view))|\s?(?:-|to|"
    r"and|,|x|or)\s?\d+(?:[.,]\d)?\s?(?:mm|cm|o'?\s?clock))"
    r"|(?<![\w#])#\s?(?P<hash>\d{1,2})(?![\w.,/]\d|\d)"
)


def find_labels(text: str, lower: str) -> list[LabelMention]:
    """Labels with their noun, in order; a letter counts only in capitals."""
    found = []
    for match in _LABEL.finditer(lower):
        name = "value" if match["value"] else "hash"
        start, end = match.span(name)
        if lower[start].isalpha() and not (text[start:end].isupper() and _is_label_letter(lower, end)):
            continue
        found.append(LabelMention(match.start(), end, text[start:end], start))
    return found


def _is_label_letter(lower: str, end: int) -> bool:
    """ "Mass A: ..." and "lesion B," but not "MASS A FEW"."""
    return re.match(r"\s*(?:[:,;.()\-|=\n]|$|is\b|in\b|at\b|on\b|has\b|was\b|measures|are\b|and\b|\()", lower[end : end + 12]) is not None


_MODALITY_WORDS = {
    **dict.fromkeys(
        (
            "mammogram",
            "mammography",
            "mammographic",
            "mammograms",
            "mammographically",
            "tomosynthesis",
            "dbt",
            "mammo",
            "cesm",
            "cem",
            "tomo",
            "mg",
        ),
        "mammography",
    ),
    **dict.fromkeys(
        (
            "ultrasound",
            "sonography",
            "sonogram",
            "us",
            "usg",
            "sonographic",
            "ultrasonography",
            "echography",
            "echographic",
            "sono",
            "abus",
            "ultrasonographic",
        ),
        "ultrasound",
    ),
    **dict.fromkeys(("mri", "mr", "mrt", "magnetic", "cemri", "irm"), "mri"),
}
_SIDE_WORDS = {
    **dict.fromkeys(("left", "l", "lt"), "left"),
    **dict.fromkeys(("right", "r", "rt"), "right"),
    **dict.fromkeys(("both", "bilateral"), "bilateral"),
}
_FILLERS = frozenset(
    [
        "breast",
        "breasts",
        "findings",
        "finding",
        "exam",
        "examination",
        "study",
        "views",
        "targeted",
        "diagnostic",
        "screening",
        "the",
        "of",
        "side",
        "and",
        "axilla",
        "digital",
        "report",
        "limited",
        "complete",
        "whole",
        "3d",
        "2d",
        "full",
        "field",
        "standard",
        "resonance",
        "imaging",
        "description",
        "synthetic",
        "only",
        "part",
        "component",
        "with",
        "contrast",
        "enhanced",
        "second",
        "look",
        "focused",
        "handheld",
        "hand-held",
        "automated",
        "additional",
        "spot",
        "compression",
        "magnification",
        "results",
        "result",
        "section",
        "in",
        "for",
        "performed",
        "today",
        "current",
        "dynamic",
        "cc",
        "mlo",
        "region",
        "regions",
    ]
)
_HEADING = re.compile(r"[*_#=\-•\s]*(?P<name>[a-z#][^:\n|.;]{0,58}?)\s*(?:[*_]*:(?!\d)[*_]*|\s-{1,2}\s|\s*$)\s*")
_NAME_WORD = re.compile(r"[a-z0-9]+")
_BARE_SIDE = re.compile(r"\s*(?:the )?(?:left|right)(?: breast| side)?\s*$")
_SECOND_FIELD = re.compile(r"\s*(?P<name>[a-z][a-z /-]{0,30}?)\s*:(?!\d)\s*")


class Heading(NamedTuple):
    """What a line's heading says and where the words after it begin."""

    end: int
    side: str | None = None
    modality: str | None = None
    column: str | None = None
    resets: bool = False
    start: int = 0


_COLUMNS = (
    ("label", re.compile(r"(?:lesion|finding|nodule|mass|#|no\.?|nr\.?|n°|n[o.]?|id|number|label)(?: ?(?:#|no\.?|number|id|label))?$")),
    ("birads", re.compile(r".*\b(?:bi-?\s?rads|birads|acr)\b.*|(?:final |overall |assessment )*(?:category|assessment)$|cat\.?$")),
    ("distance", re.compile(r".*\b(?:nipple|fn|cmfn|dfn|n\+)\b.*|distance\b.*")),
    ("depth", re.compile(r"(?:skin |lesion )?depth.*|cortex.*|.*thickness.*")),
    (
        "size",
        re.compile(
            r"(?:max(?:imum|imal|\.)? )?(?:sizes?|dimensions?|diameters?|measurements?|measures|extent)\b.*|.*\b(?:size|"
            r"dimensions?)\b.*|mm$|cm$"
        ),
    ),
    ("clock", re.compile(r".*\bclock\b.*|position$|hour$|.*\bo'clock\b.*|radial.*")),
    ("side", re.compile(r"(?:side|laterality|breast|l/r|r/l)\b.*")),
    ("place", re.compile(r"(?:location|localisation|localization|quadrant|site|region|area|where|position|sector)\b.*")),
    (
        "kind",
        re.compile(
            r"(?:typ(?:e|us)?|kind|finding|findings|description|category of finding|morphology|lesion type|feature|abnormality|nature|"
            r"lesion|what)\b.*"
        ),
    ),
)
_PLAIN_FIELD = re.compile(
    r"(?:shape|margins?|density|echo\w*|orientation|vascularity|posterior|change|comparison|kinetics?|comments?|associated|stability|"
    r"distribution|morphology|recommendation|management|elast\w+|doppler|signal|t2|enhancement)\b"
)


def column_of(name: str) -> str | None:
    """What a column or field of that name holds."""
    return next((column for column, pattern in _COLUMNS if pattern.match(name)), None)


def read_heading(lower: str, start: int, end: int) -> Heading | None:
    """The side, modality or field heading at ``start``, or None."""
    match = _HEADING.match(lower, start, min(end, start + 70))
    if match is None or (match.end() < end and match.end() >= start + 70):
        return None
    name = match["name"].strip(" *_")
    is_whole = match.end() >= end and ":" not in lower[match.start() : match.end()]
    words = [word for word in _NAME_WORD.findall(name.replace("-", " ")) if not word.isdigit()]
    known = [word for word in words if word in _SIDE_WORDS or word in _MODALITY_WORDS or word in _FILLERS]
    sides = {_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS}
    modalities = {_MODALITY_WORDS[word] for word in words if word in _MODALITY_WORDS}
    if "mri" in modalities and re.search(r"\bmr[ -]mammogra", name):
        modalities = {"mri"}
    if words and len(known) == len(words) and (sides or modalities) and len(words) <= 9:
        side = None if not sides else (sides.pop() if len(sides) == 1 else "bilateral")
        return Heading(match.end(), side=side, modality="+".join(sorted(modalities)) or None, start=match.start("name"))
    if is_whole:
        return None
    if re.match(r"(?:overall|final|combined|conclusion|summary|general|imp(?:ression)?|recommend\w*|a|p|dx)\b", name):
        return Heading(start, resets=True)
    if _LABEL.match(name):
        return None
    if _PLAIN_FIELD.match(name):
        return Heading(start, column="other")
    column = column_of(name)
    if column is not None and len(words) <= 6:
        return Heading(match.end() if column not in ("birads", "distance", "clock") else start, column=column)
    return None


@dataclass(slots=True, kw_only=True)
class _Block:
    """The headings in force at a place."""

    side: PlaceWord | None = None
    side_until: int | None = None
    """The last paragraph it reaches to where words follow it on its line."""
    modality: str | None = None
    is_side_outer: bool = False
    is_side_titled: bool = False
    label: LabelMention | None = None
    label_until: int | None = None
    group: int = 0


_OPENS = re.compile(
    r"(?:there (?:is|are)|the breasts?|breast (?:composition|density|tissue|parenchyma)|tissue density|fibroglandular|"
    r"background parenchymal|mass(?:es)?\b|calcifications?\b|no (?:suspicious|mass|evidence|focal|abnormal)|"
    r"scattered|heterogeneously|almost|extremely|(?:in|within) the (?:left|right)|at \d{1,2}(?::\d\d| o))"
)
_SIDE_OPENS = re.compile(r"(?:left|right|lt|rt|l|r)\.? (?:breast,? )?(?:at )?\d{1,2}(?::\d\d| ?o)")
_ASIDE = re.compile(
    r"\W*(?:clin(?:ical)?\.?[ /]?(?:hx|history|profile|info\w*|dx|details|notes?|indication|data|context|question)?|hx|h/o|c/c|k/c/o|"
    r"c/o|complaints?|presenting complaints?|chief complaints?|"
    r"reason(?: for [a-z]+)?|referral|history|indication|symptoms?|comparison|prior\w*|previous(?: \w+)?|technique|"
    r"rec(?:ommendation)?s?|adv(?:ice)?|plan)\s*[:=]"
)
_HEADED = re.compile(r"[a-z][a-z /-]{0,30}:(?!\d)")
_UNFINISHED = re.compile(r"(?:[,(/+]|\b(?:and|or|of|the|a|an|at|in|with|from|to|x|is|measuring|approximately|left|right)|\d)$")
_UNIT_START = re.compile(r"(?:mm|cm|o'?\s?clock|fn|from the nipple|x\s?\d)\b")


_LONGEST = 1200


def _shortened(sentences: list[Sentence]) -> list[Sentence]:
    """A sentence longer than any that people write (a lost line end) is cut, so that no pattern walks far."""
    pieces: list[Sentence] = []
    for sentence in sentences:
        if sentence.end - sentence.start <= _LONGEST:
            pieces.append(sentence)
            continue
        starts = range(sentence.start, sentence.end, _LONGEST)
        pieces += [replace(sentence, start=start, end=min(start + _LONGEST, sentence.end)) for start in starts]
    return pieces


def _joined(text: str, sentences: list[Sentence]) -> list[Sentence]:
    """Sentences cut by a line end in the middle of a phrase are one."""
    joined: list[Sentence] = []
    for sentence in sentences:
        last = joined[-1] if joined else None
        if (
            last is not None
            and sentence.kind is UnitKind.SENTENCE
            and last.kind is not UnitKind.ROW
            and sentence.paragraph == last.paragraph
            and last.line != sentence.line
        ):
            tail = text[max(last.start, last.end - 16) : last.end]
            is_open = _UNFINISHED.search(tail) and not _HEADED.match(text[sentence.start : sentence.start + 40].lower())
            if is_open and (not tail[-1].isdigit() or _UNIT_START.match(text, sentence.start)):
                joined[-1] = replace(last, end=sentence.end, line=sentence.line)
                continue
        joined.append(sentence)
    return joined


_OTHER_STUDY = re.compile(
    r"(?:ct|pet|cxr|chest x-?ray|dexa|dxa|bone (?:density|scan)|pelvic|abdominal|thyroid|transvaginal|obstetric|hepatic|liver|"
    r"renal)\b[a-z/ -]{0,40}:?\s*$|(?:ct|pet)\b[^:\n]{0,40}:"
)


@dataclass(slots=True, kw_only=True)
class _Walker:
    """Goes through the sections in order and keeps the headings in force."""

    view: View
    clauses: list[Clause] = field(default_factory=list)
    modality_headings: list[Hit] = field(default_factory=list)
    group: int = 0
    is_elsewhere: bool = False
    has_findings: bool = True
    aside: tuple[int, int] | None = None
    """Paragraph and line of a clinical remark without a section heading of its own ("Clin hx: ...")."""

    def walk(self, number: int, section: TextSection, *, has_findings: bool) -> None:
        """Add the clauses of one section."""
        role = _role(section, has_findings=has_findings)
        self.has_findings = has_findings
        if role is Role.ADDENDUM and self._is_whole_report(section):
            role = Role.FINDINGS
        self.group += 1
        block = _Block(group=self.group)
        self.is_elsewhere = False
        self.aside = None
        sentences = _joined(self.view.text.text, split_sentences(self.view.text.text, section.start, section.end))
        for index, sentence in enumerate(_shortened(sentences)):
            if role not in READ_ROLES and self._turns(sentence, sentences[0], section):
                role = Role.FINDINGS
                self.group += 1
                block.group = self.group
            self._sentence(block, sentence, role, number, index)

    def _is_whole_report(self, section: TextSection) -> bool:
        """ "CORRECTED REPORT" above everything is the title of a report, not an addendum to one."""
        if section.heading is None or any(clause.role in READ_ROLES for clause in self.clauses):
            return False
        return re.match(r"\W*(?:corrected|amended|revised) report", self.view.text.lower[slice(*section.heading)]) is not None

    def _turns(self, sentence: Sentence, first: Sentence, section: TextSection) -> bool:
        """Whether the findings begin inside a section of context: with a heading of a breast or modality, or after its paragraph."""
        if section.kind is SectionKind.RECOMMENDATION:
            return False
        lower = self.view.text.lower
        is_line_start = lower[lower.rfind("\n", 0, sentence.start) + 1 : sentence.start].strip() == ""
        heading = read_heading(lower, sentence.start, sentence.end)
        if not self.has_findings and sentence is not first and heading is not None and heading.side and sentence.end > heading.end:
            return True
        if not is_line_start or (sentence.line == first.line and section.kind is not SectionKind.HEADER):
            return False
        if heading is not None and (heading.side or heading.modality) and section.kind is not SectionKind.HEADER:
            return True
        if not self.has_findings and (sentence.paragraph > first.paragraph or _SIDE_OPENS.match(lower, sentence.start)):
            return True
        return _OPENS.match(lower, sentence.start) is not None

    def _sentence(self, block: _Block, sentence: Sentence, role: Role, section: int, index: int) -> None:
        lower = self.view.text.lower
        self._expire(block, sentence)
        if _OTHER_STUDY.match(lower, sentence.start, sentence.end) and sentence.kind is not UnitKind.ROW:
            self.is_elsewhere = True
        position, column = sentence.start, None
        for _ in range(3 if sentence.kind is not UnitKind.ROW else 0):
            heading = read_heading(lower, position, sentence.end)
            if heading is None:
                break
            self._apply(block, heading, sentence)
            column = heading.column or column
            if heading.end <= position:
                break
            position = heading.end
        self._label(block, sentence)
        if position >= sentence.end:
            return
        own = Role.CONTEXT if self.is_elsewhere and role in READ_ROLES else role
        if self._is_aside(sentence):
            own = Role.CLINICAL
        self.clauses.append(
            Clause(
                start=position,
                end=sentence.end,
                role=own,
                group=block.group,
                section=section,
                sentence=index,
                paragraph=sentence.paragraph,
                line=sentence.line,
                marker=sentence.marker,
                is_row=sentence.kind is UnitKind.ROW,
                side=block.side,
                is_side_titled=block.is_side_titled,
                modality=block.modality,
                label=block.label,
                field=column,
            )
        )

    def _is_aside(self, sentence: Sentence) -> bool:
        """A clinical remark reaches to the end of its paragraph, or to a line that opens something else."""
        lower = self.view.text.lower
        is_line_start = not lower[lower.rfind("\n", 0, sentence.start) + 1 : sentence.start].strip()
        if _ASIDE.match(lower, sentence.start, sentence.end):
            self.aside = (sentence.paragraph, sentence.line)
        elif self.aside is not None and (
            sentence.paragraph > self.aside[0]
            or (
                sentence.line > self.aside[1]
                and is_line_start
                and (_HEADED.match(lower, sentence.start) or _OPENS.match(lower, sentence.start))
            )
        ):
            self.aside = None
        return self.aside is not None

    def _expire(self, block: _Block, sentence: Sentence) -> None:
        if block.side_until is not None and sentence.paragraph > block.side_until:
            block.side, block.side_until = None, None
        if block.label_until is not None and sentence.paragraph > block.label_until:
            block.label, block.label_until = None, None

    def _apply(self, block: _Block, heading: Heading, sentence: Sentence) -> None:
        if heading.resets:
            block.side, block.label = None, None
            return
        if heading.side or heading.modality:
            self.is_elsewhere = False
            block.label = None
        if heading.modality:
            self.modality_headings += [Hit(heading.start, heading.end, name) for name in heading.modality.split("+")]
            if not (block.is_side_outer and block.side is not None) and not heading.side:
                block.side = None
            block.modality = heading.modality
            self.group += 1
            block.group = self.group
        if heading.side:
            block.is_side_outer = block.modality is None
            words = PlaceWord(heading.start, heading.end, heading.side)
            block.side = next((side for side in self.view.sides.within(heading.start, heading.end) if side.value == heading.side), words)
            block.is_side_titled = heading.modality is not None
            if heading.modality is not None and heading.side == "bilateral":
                block.side = None
            if heading.modality is None and block.is_side_outer:
                block.modality = None
            block.side_until = sentence.paragraph if heading.end < sentence.end else None

    def _label(self, block: _Block, sentence: Sentence) -> None:
        """A label that opens a line begins the labelled block of its finding."""
        for label in self.view.labels.within(sentence.start, sentence.end)[:1]:
            lead = self.view.text.lower[sentence.start : label.start].strip(" *-•(#:")
            follows = self.view.text.lower[label.end : sentence.end].lstrip(" )*")
            if len(lead.split()) <= 1 and (not follows or follows[0] in ":-.(,|" or follows.startswith(("is ", "in ", "at "))):
                block.label = label
                block.label_until = sentence.paragraph if follows.strip(":*- ") else sentence.paragraph + 1


def _role(section: TextSection, *, has_findings: bool) -> Role:
    if section.kind is SectionKind.HEADER:
        return Role.CONTEXT if has_findings else Role.FINDINGS
    return _ROLES.get(section.kind, Role.CONTEXT)
