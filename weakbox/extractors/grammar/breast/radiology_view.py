"""Cuts a breast imaging report into clauses: which section, heading, side, study and label each stands under."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from weakbox.extractors.grammar.breast.places import PlaceNumber, PlaceWord, find_clocks, find_nipple_distances, find_quadrants, find_sides
from weakbox.extractors.grammar.breast.radiology_categories import find_categories
from weakbox.extractors.grammar.breast.radiology_headings import Heading, read_heading
from weakbox.extractors.grammar.breast.radiology_lines import HEADED, report_sentences
from weakbox.extractors.grammar.breast.radiology_units import Clause, LabelMention, View, find_labels
from weakbox.extractors.grammar.breast.radiology_words import finding_words
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Located, Role
from weakbox.records.report import SectionKind
from weakbox.text.injection import injection_spans
from weakbox.text.lexicon import Hit
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import find_sizes
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


def build_view(text: Normalised, sections: Sequence[TextSection]) -> View:
    """Find everything once, then cut the text into clauses."""
    lower = text.lower
    view = View(
        text=text,
        nouns=Located(finding_words().find(lower)),
        sides=Located(_with_capital_sides(find_sides(lower), text.text)),
        quadrants=Located(find_quadrants(lower)),
        clocks=Located(find_clocks(lower)),
        distances=Located(find_nipple_distances(lower)),
        sizes=Located(find_sizes(lower)),
        categories=Located(find_categories(lower)),
        labels=Located(find_labels(text.text, lower)),
    )
    view = replace(view, clocks=Located(_without_label_numbers(view)))
    walker = _Walker(view=view)
    sections = _without_false_legends(sections, view)
    for number, section in enumerate(sections):
        if section.kind not in _SILENT:
            walker.walk(number, section, has_findings=any(_is_findings(other) for other in sections))
    foreign = injection_spans(lower)
    clauses = tuple(clause for clause in walker.clauses if not any(start < clause.end and clause.start < end for start, end in foreign))
    return replace(view, clauses=clauses, is_addressed_to_machine=bool(foreign), modality_headings=tuple(walker.modality_headings))


def _without_label_numbers(view: View) -> list[PlaceNumber]:
    """ "Nodule 1 - 3 o'clock" is nodule 1 at three o'clock, not from one to three."""
    labels = {label.value_start: label.end for label in view.labels.items}
    clocks: list[PlaceNumber] = []
    for clock in view.clocks.items:
        end = labels.get(clock.start)
        clocks += [clock] if end is None else find_clocks(view.text.lower, end, clock.end)
    return clocks


_CAPITAL_SIDE = re.compile(r"(?<![\w/.+-])(?<!\d )(?:(?P<left>L)|(?P<right>R))(?= (?:[a-z]{3,}|[ULA][A-Za-z]+)\b)")


def _with_capital_sides(sides: list[PlaceWord], text: str) -> list[PlaceWord]:
    """ "L prominent node": a lone capital L or R before a word is a side, where the report does not write in capitals only."""
    if not any(character.islower() for character in text):
        return sides
    known = {side.start for side in sides}
    found = [
        PlaceWord(match.start(), match.end(), str(match.lastgroup)) for match in _CAPITAL_SIDE.finditer(text) if match.start() not in known
    ]
    return sorted([*sides, *found])


def _without_false_legends(sections: Sequence[TextSection], view: View) -> list[TextSection]:
    """A numbered impression ("1. Probably benign mass ... 2. Benign ...") looks like a printed scale; places and sizes tell it apart."""
    kept: list[TextSection] = []
    for section in sections:
        is_scale = section.kind is SectionKind.TEMPLATE_LEGEND and section.heading is None
        if is_scale and any(located.within(section.start, section.end) for located in (view.sides, view.sizes, view.clocks)):
            section = replace(section, kind=kept[-1].kind if kept else SectionKind.FINDINGS)
        kept.append(section)
    return kept


_TITLE_LINE = re.compile(
    r"(?m)^[ \t*_#=<>\[-]*(?:\d[.)] ?)?(?P<name>(?:(?P<impression>(?:overall |final |radiolog\w+ )?(?:impression|"
    r"conclusions?|opinion|summary|interpretation|assessment|"
    r"diagnosis|comments?))|(?P<findings>(?:imaging |radiolog\w+ |mammographic |detailed )?(?:findings?|report|description|"
    r"observations?))|"
    r"(?P<recommendation>recommendations?|plan|management|advice|next steps?|follow[ -]?up)|"
    r"(?P<clinical_information>(?:clinical )?(?:history|"
    r"indications?|information|details|notes)|reason for (?:exam|study))|(?P<technique>technique|protocol|procedure)|"
    r"(?P<comparison>comparisons?|prior (?:exams?|studies)))(?: ?(?:&|and) (?:recommendations?|plan|"
    r"advice))?)(?:[ \t*_#=:.-]*$|(?<=[a-z])[>\]]|[ \t]*={2,}(?=\s))"
)


_FIELD_OF_BLOCK = re.compile(r"[ \t]*(?:assessment|category|conclusion)\b[ \t]*:[ \t]*(?:acr )?(?:bi-?rads|category|[0-6][abc]?\b)")
_INDENTED_FIELD = re.compile(r"[ \t]+[a-z][a-z /()#]{1,40}:")
_ANY_FIELD = re.compile(
    r"[ \t]*(?:type|size|extent|location|clock|quadrant|shape|margins?|kinetics?|distance|side|depth|morphology)\b[^:\n]{0,30}:"
)


_NUMBERED_FINDING = re.compile(r"findings? #?(?:\d{1,2}\b(?! ?(?:mm|cm|x))|[a-h](?=[ \t]*(?:\n|[:.)-])))")
_BLOCK_START = re.compile(
    r"[ \t*_#]*(?:lesion|finding|mass|nodule|target|area|abnormality|cyst)s? ?#?(?:\d{1,2}|"
    r"[a-h])[ \t*_]*(?:\n|[:.(-])"
)


def without_fields(sections: Sequence[TextSection], lower: str) -> list[TextSection]:
    """ "  Assessment: BI-RADS 4C" under other fields of a lesion's block belongs to its block, "FINDING 1:" names a finding."""
    kept: list[TextSection] = []
    for section in sections:
        if kept and section.heading is not None and kept[-1].end <= section.heading[0] and _is_field(lower, section.heading[0]):
            kept[-1] = replace(kept[-1], end=section.end)
        else:
            kept.append(section)
    return kept


def _is_field(lower: str, start: int) -> bool:
    if _NUMBERED_FINDING.match(lower, start):
        return True
    line = lower.rfind("\n", 0, start) + 1
    if lower[line:start].strip(" \t*-0123456789.)(") and _FIELD_OF_BLOCK.match(lower, start):
        return True
    before = lower.rfind("\n", 0, max(0, line - 1)) + 1
    if not _FIELD_OF_BLOCK.match(lower, line):
        return False
    is_indented = lower[line : line + 1] in (" ", "\t") and _INDENTED_FIELD.match(lower, before) is not None
    return is_indented or _ANY_FIELD.match(lower, before) is not None or _opens_block(lower, line)


_BLOCK_LINES = 8


def _opens_block(lower: str, line: int) -> bool:
    """Whether a label's heading opens the lines above, up to the next blank one."""
    for above in reversed(lower[:line].splitlines()[-_BLOCK_LINES:]):
        if not above.strip():
            return False
        if _BLOCK_START.match(above + "\n"):
            return True
    return False


def with_titles(sections: Sequence[TextSection], lower: str) -> list[TextSection]:
    """Sections cut again at titles that stand alone on a line ("**Impression**")."""
    titles = list(_TITLE_LINE.finditer(lower))
    if not titles:
        return list(sections)
    pieces: list[TextSection] = []
    for section in sections:
        for title in titles:
            if section.start < title.start("name") < section.end and section.kind is not SectionKind.ADDENDUM:
                pieces.append(replace(section, end=title.start()))
                section = replace(section, kind=_title_kind(title), start=title.end(), heading=title.span("name"))
        pieces.append(section)
    return pieces


def _title_kind(title: re.Match[str]) -> SectionKind:
    return next(SectionKind(name) for name, words in title.groupdict().items() if name != "name" and words)


def _is_findings(section: TextSection) -> bool:
    return section.kind is SectionKind.FINDINGS and section.heading is not None


_SIDE_FIELD = re.compile(r"\b(?:side|laterality|breasts?|breast examined|sides?)\s*:\s*\Z")


@dataclass(slots=True, kw_only=True)
class _Block:
    """The headings in force at a place."""

    side: PlaceWord | None = None
    side_until: int | None = None
    """The last paragraph it reaches to where words follow it on its line."""
    side_paragraph: int = -1
    """The paragraph that the side opens on a line of its own: what is headed "- US:" in it stays on that side."""
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
_SAW = re.compile(
    r"\bthere (?:is|are|was|were) |\b(?:is|are) (?:again |also |now |still )?(?:seen|noted|identified|visuali[sz]ed|demonstrated|evident|"
    r"visible|appreciated|found)\b|\b(?:ultraso\w+|uss?|usg|sonogra\w+|mammogra\w+|mri|views?|imaging|images|scan|tomosynthesis|"
    r"breasts?) (?:of [a-z ]{3,30} )?(?:shows?|demonstrates?|reveals?|confirms?|is (?:normal|negative|unremarkable))\b|"
    r"\b(?:tissue|parenchyma|breasts?) (?:is|are|appears?|shows?|comprises?) (?:[a-z]+ )?(?:predominantly|mostly|almost|entirely|"
    r"heterogeneous\w*|extremely|fatty|dense|scattered|composed|normal|symmetric\w*|mixed)|\bscattered (?:areas of )?fibroglandular|"
    r"\bheterogeneously dense|\bhypo-?echoic|\banechoic|\bnon-?mass|\b(?:density|composition) (?:is )?(?:acr |category |"
    r"bi-?rads )?[:(]?\s?"
    r"[a-d]\b|^\W*no (?:suspicious|dominant|focal|discrete|abnormal|evidence|other|new|mammographic|sonographic|significant)\b|"
    r"\bmeasur(?:es|ing) \d|\bin the area of (?:clinical )?(?:concern|interest)"
)
_APPEARS = re.compile(
    r"\bbenign\b|\bno\b|\bspiculat\w+|\bcircumscribed|\birregular|\bpleomorphic|\bunchanged|\bstable|\bgroup(?:ed)?\b|\bcluster\w*|"
    r"\bsimple\b|\bnormal\b|\bat \d|o'?clock|\bagain\b|\bscattered|\bpersists?"
)
_REMARK = re.compile(
    r"\b(?:year[- ]old|y/?o|yrs?|yo|aged?|patient|pt|lady|gentleman|woman|female|complain\w*|presents?|presenting|history|family|mother|"
    r"sister|aunt|cousin|grandmother|status post|s/p|h/o|referred|referral|diagnosed|surveillance|evaluat\w+|staging|recall(?:ed)?|"
    r"callback|feels?|noticed|palpated by|screening program\w*|brca|hrt|menopaus\w+|lmp|para|chemotherapy|consent|"
    r"assess\w*|exclude|rule out|follow-?up (?:of|for)|f/u (?:of|for)|baseline|clinically|asymptomatic|pregnan\w+)\b|\?\s?\w|\bp[1-5]\b"
)
_SENT_FOR = re.compile(r"\b(?:for|had) (?:an? |her |your |bilateral |today's )*(?:mammogra\w+|ultraso\w+|mri|breast imaging)")
_OF_PATIENT = re.compile(
    r"(?:(?:this|the|a|your|our|mrs|ms|miss|mr|thank)\b[^.:;]{0,40}\b(?:lady|woman|patient|gentleman|man|female|male|year[- ]old)\b|"
    r"(?:she|he) (?:has|had|is|was|noticed|attends|presented|underwent|reports|complains)\b|thank you\b|dear\b|i (?:saw|reviewed) )"
)
_SIDE_OPENS = re.compile(r"(?:left|right|lt|rt|l|r)\.? (?:breast,? )?(?:at )?\d{1,2}(?::\d\d| ?o)")
_ASIDE = re.compile(
    r"\W*(?:(?:reason|recalled?|symptoms?|outcome|biops(?:y|ies)|procedures?|intervention|round|risk|lifetime risk|follow[ -]?up|"
    r"management|prior exams?|prior imaging|last exam|clinical exam\w*|clinically|examination p|reader comments?|consent|disposition|"
    r"next steps?|action|suggested|suggestion|advised?|communication|complications?|medications?|surgical history|family history|fhx?|"
    r"pmh|previous treatment|menopausal status|hormones?|hrt|age|sex|referr\w+|request\w*|comparisons? made|"
    r"(?:primary )?diagnostic code(?![^\n]{0,24}bi-?rads)|outside (?:interpretation|report|read|reading|impression|assessment)|"
    r"requested by|"
    r"exams? interpreted[a-z ]*)(?: ?\([a-z ]+\))?(?: (?:for|of|at|view|exam|screening|visit|"
    r"planning|reasons?|views?)){0,3}(?: ?\(s\))?|clin(?:ical)?\.?[ /]?(?:hx|history|profile|info\w*|dx|details|notes?|"
    r"indication|data|context|question)?|hx|h/o|c/c|k/c/o|"
    r"known(?: disease| cancer| malignancy| diagnosis)?|c/o|complaints?|presenting complaints?|chief complaints?|"
    r"reason(?: for [a-z]+)?|referral|history|indication|symptoms?|comparison|prior\w*|previous(?: \w+)?|technique|"
    r"rec(?:ommendation)?s?|adv(?:ice)?|plan)\s*[:=]|\W*(?:kindly read|please read)\b|\W*biopsy {3,}|\W*clinical exam {3,}"
)
_LEAVES = re.compile(
    r"(?:(?:the )?(?:left|right)(?: breast| axilla)?\b(?! (?:finding|lesion|mass))|both|overall|final|no |there |axilla|"
    r"lymph|in (?:the )?conclusion)"
)
_SPOKEN_IMPRESSION = re.compile(
    r"(?:impression|conclusion|opinion|in summary|in conclusion|to summari[sz]e|overall impression)\b(?! of)[,:]?\s"
)
""" "Impression left breast mass": the heading as it was dictated."""
_OF_OTHERS = re.compile(
    r"\W*(?:(?:the|an?|her|in the) )?(?:outside|referring|original|initial|external|(?:prior|previous|"
    r"earlier)(?= (?:[a-z]+ ){0,3}(?:report|reader|radiologist|"
    r"interpretation)))(?: [a-z]+){0,4} (?:described|reported|noted|stated|states|gave|mentioned|mentions|assigned|called|"
    r"raised|questioned|describes)\b"
)
""" "The outside report described a mass as BI-RADS 4": what others read."""
_LABEL_VERB = re.compile(
    r"(?:is|was|has|had|remains?|measures?|shows?|demonstrates?|appears?|corresponds?|represents?|likely|"
    r"now|again)\b"
)
_HAS_WORD = re.compile(r"[a-z0-9]")
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
    is_aside_in_item: bool = False
    listed_in: int = -1
    """The paragraph of the last list item."""
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
        self.aside, self.listed_in = None, -1
        text = self.view.text
        sentences = [
            sentence
            for sentence in report_sentences(text.text, text.lower, split_sentences(text.text, section.start, section.end))
            if _HAS_WORD.search(text.lower, sentence.start, sentence.end)
        ]
        for index, sentence in enumerate(sentences):
            if role not in READ_ROLES and self._turns(sentence, sentences[0], section):
                role = Role.FINDINGS
                self.group += 1
                block.group = self.group
            if role is Role.FINDINGS and _SPOKEN_IMPRESSION.match(text.lower, sentence.start, sentence.end):
                role = Role.IMPRESSION
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
        if not self.has_findings and sentence is not first and self._observes(sentence):
            return True
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

    def _observes(self, sentence: Sentence) -> bool:
        """Whether the sentence says what was seen, as no clinical remark or technique does."""
        lower = self.view.text.lower
        if _REMARK.search(lower, sentence.start, sentence.end):
            return False
        if _SAW.search(lower, sentence.start, sentence.end):
            return True
        has_noun = bool(self.view.nouns.within(sentence.start, sentence.end))
        return has_noun and bool(
            self.view.sizes.within(sentence.start, sentence.end) or _APPEARS.search(lower, sentence.start, sentence.end)
        )

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
            if heading.end <= position or (block.label is not None and column is not None):
                position = max(position, heading.end)
                break
            position = heading.end
        self._label(block, sentence)
        if position >= sentence.end or not _HAS_WORD.search(lower, position, sentence.end):
            return
        own = Role.CONTEXT if self.is_elsewhere and role in READ_ROLES else role
        if (
            _OF_OTHERS.match(lower, position, sentence.end)
            or self._is_aside(sentence)
            or (not self.has_findings and self._is_of_patient(sentence))
        ):
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
                is_side_inline=block.side is not None and block.side_until is not None and "\n" in lower[block.side.end : position],
                modality=block.modality,
                label=block.label,
                field=column,
            )
        )

    def _is_of_patient(self, sentence: Sentence) -> bool:
        """A letter's sentence about the woman, not about her images."""
        lower = self.view.text.lower
        is_of_her = _OF_PATIENT.match(lower, sentence.start, sentence.end) is not None
        return (
            is_of_her and not _SAW.search(lower, sentence.start, sentence.end) and not _SENT_FOR.search(lower, sentence.start, sentence.end)
        )

    def _is_aside(self, sentence: Sentence) -> bool:
        """A clinical remark reaches to the end of its paragraph, or to a line that opens something else."""
        lower = self.view.text.lower
        is_line_start = not lower[lower.rfind("\n", 0, sentence.start) + 1 : sentence.start].strip()
        self.listed_in = sentence.paragraph if sentence.marker is not None else self.listed_in
        if _ASIDE.match(lower, sentence.start, sentence.end):
            self.aside = (sentence.paragraph, sentence.line)
            self.is_aside_in_item = sentence.marker is not None or not is_line_start or self.listed_in == sentence.paragraph
        elif self.aside is not None and (
            sentence.paragraph > self.aside[0]
            or (self.is_aside_in_item and sentence.marker is not None and sentence.line > self.aside[1])
            or (
                sentence.line > self.aside[1]
                and is_line_start
                and (HEADED.match(lower, sentence.start) or _OPENS.match(lower, sentence.start))
            )
        ):
            self.aside = None
        return self.aside is not None

    def _expire(self, block: _Block, sentence: Sentence) -> None:
        if block.side_until is not None and sentence.paragraph > block.side_until:
            block.side, block.side_until = None, None
        if block.label_until is not None and (sentence.paragraph > block.label_until or self._leaves_label(sentence)):
            block.label, block.label_until = None, None

    def _opens_line(self, start: int) -> bool:
        """Whether only marks stand before ``start`` on its line."""
        lower = self.view.text.lower
        return not lower[lower.rfind("\n", 0, start) + 1 : start].strip(" \t*_#<[-")

    def _leaves_label(self, sentence: Sentence) -> bool:
        lower = self.view.text.lower
        is_line_start = not lower[lower.rfind("\n", 0, sentence.start) + 1 : sentence.start].strip()
        return is_line_start and _LEAVES.match(lower, sentence.start, sentence.end) is not None

    def _apply(self, block: _Block, heading: Heading, sentence: Sentence) -> None:
        if heading.resets:
            block.side, block.label = None, None
            return
        if heading.side or heading.modality:
            self.is_elsewhere = False
            is_in_block = block.label_until is not None and sentence.paragraph <= block.label_until and heading.end < sentence.end
            if heading.side or not is_in_block:
                block.label = None
            if self._opens_line(heading.start):
                self.aside = None
        if heading.modality:
            self.modality_headings += [Hit(heading.start, heading.end, name) for name in heading.modality.split("+")]
            is_outer = block.is_side_outer and block.side is not None and block.side_until is None
            is_under = sentence.paragraph == block.side_paragraph and heading.end < sentence.end
            if not (is_outer or is_under) and not heading.side and self._opens_line(heading.start):
                block.side = None
            block.modality = heading.modality
            if self._opens_line(heading.start):
                self.group += 1
                block.group = self.group
        if heading.side:
            block.is_side_outer = block.modality is None or (block.is_side_outer and block.side is not None)
            words = PlaceWord(heading.start, heading.end, heading.side)
            block.side = next((side for side in self.view.sides.within(heading.start, heading.end) if side.value == heading.side), words)
            block.is_side_titled = (
                heading.modality is not None
                or _SIDE_FIELD.search(self.view.text.lower, max(0, heading.start - 30), heading.start) is not None
            )
            if heading.modality is not None and heading.side == "bilateral":
                block.side = None
            if heading.modality is None and block.is_side_outer:
                block.modality = None
            block.side_until = sentence.paragraph if heading.end < sentence.end else None
            is_alone = heading.modality is None and heading.end >= sentence.end
            block.side_paragraph = sentence.paragraph if is_alone else -1

    def _label(self, block: _Block, sentence: Sentence) -> None:
        """A label that opens a line begins the labelled block of its finding."""
        for label in self.view.labels.within(sentence.start, sentence.end)[:1]:
            lead = self.view.text.lower[sentence.start : label.start].strip(" *-•(#:")
            follows = self.view.text.lower[label.end : sentence.end].lstrip(" )*")
            is_bare = label.start == label.value_start and not lead and _LABEL_VERB.match(follows) is not None
            if is_bare or (len(lead.split()) <= 1 and (not follows or follows[0] in ":-.(,|" or follows.startswith(("is ", "in ", "at ")))):
                block.label = label
                block.label_until = sentence.paragraph if follows.strip(":*- ") else sentence.paragraph + 1


def _role(section: TextSection, *, has_findings: bool) -> Role:
    if section.kind is SectionKind.HEADER:
        return Role.CONTEXT if has_findings else Role.FINDINGS
    return _ROLES.get(section.kind, Role.CONTEXT)
