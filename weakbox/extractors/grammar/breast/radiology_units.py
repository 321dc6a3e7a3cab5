"""The clauses of a breast imaging report: where each stands, under which headings, and everything that the text mentions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

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
    is_side_inline: bool = False
    """Words follow the side's heading on its line, and this clause stands on a later line."""
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
    modalities: tuple[str, ...] = ()
    read_nouns: dict[tuple[int, int, str | None], Any] = field(default_factory=dict, compare=False, repr=False)
    """What `find_nouns` has found already, by the clause's place and the exam's modality."""

    def cut(self, clause: Clause) -> str:
        """The clause's words in lower case."""
        return self.text.lower[clause.start : clause.end]


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
    walker = _Walker(view=view)
    sections = _with_titles(_without_false_legends(sections, view), lower)
    for number, section in enumerate(sections):
        if section.kind not in _SILENT:
            walker.walk(number, section, has_findings=any(_is_findings(other) for other in sections))
    foreign = injection_spans(lower)
    clauses = tuple(clause for clause in walker.clauses if not any(start < clause.end and clause.start < end for start, end in foreign))
    return replace(view, clauses=clauses, is_addressed_to_machine=bool(foreign), modality_headings=tuple(walker.modality_headings))


_CAPITAL_SIDE = re.compile(r"(?<![\w/.+-])(?<!\d )(?:(?P<left>L)|(?P<right>R))(?= (?:[a-z]{3,}|[ULA][A-Za-z]+)\b)")


def _with_capital_sides(sides: list[PlaceWord], text: str) -> list[PlaceWord]:
    """ "L prominent node": a lone capital L or R before a word is a side, where the report does not write in capitals only."""
    if not any(character.islower() for character in text):
        return sides
    known = {side.start for side in sides}
    found = [PlaceWord(match.start(), match.end(), str(match.lastgroup)) for match in _CAPITAL_SIDE.finditer(text) if match.start() not in known]
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
    r"(?m)^[ \t*_#=<>\[-]*(?:\d[.)] ?)?(?P<name>(?:(?P<impression>(?:overall |final |radiolog\w+ )?(?:impression|conclusions?|opinion|summary|interpretation|assessment|"
    r"diagnosis|comments?))|(?P<findings>(?:imaging |radiolog\w+ |mammographic |detailed )?(?:findings?|report|description|observations?))|"
    r"(?P<recommendation>recommendations?|plan|management|advice|next steps?|follow[ -]?up)|(?P<clinical_information>(?:clinical )?(?:history|"
    r"indications?|information|details|notes)|reason for (?:exam|study))|(?P<technique>technique|protocol|procedure)|"
    r"(?P<comparison>comparisons?|prior (?:exams?|studies)))(?: ?(?:&|and) (?:recommendations?|plan|advice))?)(?:[ \t*_#=:.-]*$|(?<=[a-z])[>\]])"
)


def _with_titles(sections: Sequence[TextSection], lower: str) -> list[TextSection]:
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


_LABEL = re.compile(
    r"\b(?P<noun>lesions?|findings?|nodules?|mass(?:es)?|abnormalit(?:y|ies)|targets?|rois?|cysts?|areas?|foc(?:us|i)|sites?|"
    r"index lesion|groups?|clusters?)\s*(?:no\.?|nr\.?|number|marker|id)?\s*[:#]?\s*#?"
    r"(?P<value>\d{1,2}[a-c]?|[rl]-?\d{1,2}|[a-h])(?![\w'’]|[.,]\d|:\d\d|\s?(?:mm|cm|o'?\s?clock|x\s?\d|%|-?\s?(?:month|year|week|view))|\s?(?:-|to|"
    r"and|,|x|or)\s?\d+(?:[.,]\d)?\s?(?:mm|cm|o'?\s?clock))"
    r"|(?<![\w#])#\s?(?P<hash>\d{1,2})(?![\w.,/]\d|\d)"
)


def find_labels(text: str, lower: str) -> list[LabelMention]:
    """Labels with their noun, in order; a letter counts only in capitals."""
    found = []
    for match in _LABEL.finditer(lower):
        name = "value" if match["value"] else "hash"
        start, end = match.span(name)
        if lower[start:end].isalpha() and not (text[start:end].isupper() and _is_label_letter(lower, end)):
            continue
        found.append(LabelMention(match.start(), end, text[start:end], start))
    return found


def _is_label_letter(lower: str, end: int) -> bool:
    """ "Mass A: ..." and "lesion B," but not "MASS A FEW"."""
    return re.match(r"\s*(?:[:,;.()\-|=\n]|$|is\b|in\b|at\b|on\b|has\b|was\b|measures|are\b|and\b|\(|corresponds?|correlates?|again|now\b|shows?|persists?|also|lies|located|"
        r"demonstrates?|appears?|remains?|represents?|has\b|upper|lower|left|right|\d)", lower[end : end + 16]) is not None


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
            "mmg",
            "mammos",
            "mams",
            "mx",
            "xrm",
            "ffdm",
                        "cedm",
            "tomograms",
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
            "ultrasounds",
            "uss",
            "sonomammography",
            "sonomammogram",
            "ultrasonogram",
        ),
        "ultrasound",
    ),
    **dict.fromkeys(("mri", "mr", "mrt", "magnetic", "cemri", "irm", "dce", "mrm", "abmri"), "mri"),
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
        "correlation",
        "same",
        "day",
        "bedside",
        "clinic",
        "x",
        "ray",
        "xr",
        "xray",
        "view",
        "supplementary",
        "assessment",
        "scan",
        "images",
        "gray",
        "scale",
        "real",
        "time",
        "bilateral",
        "conventional",
    ]
)
_HEADING = re.compile(
    r"[*_#=\-•\s]*(?P<open>[<\[]\s?)?(?P<name>[a-z#][^:\n|.;<>\[\]]{0,58}?)\s*(?(open)[>\]]+:?|(?:[*_]*:(?!\d)[*_]*|\s-{1,2}\s|\s*$))\s*"
)
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
    ("label", re.compile(r"(?:(?:s|sr|sl|serial|ser)\.? ?no\.?|ref|lesion|finding|nodule|mass|#|no\.?|nr\.?|n°|n[o.]?|id|number|label)(?: ?(?:#|no\.?|number|id|label))?$")),
    ("birads", re.compile(r".*\b(?:bi-?\s?rads|birads|acr)\b.*|(?:final |overall |assessment )*(?:category|assessment)$|cat\.?$")),
    ("distance", re.compile(r".*\b(?:nipple|fn|cmfn|dfn|n\+)\b.*|dist(?:ance|\.)?(?![a-z]).*")),
    ("depth", re.compile(r"(?:skin |lesion )?depth.*|cortex.*|.*thickness.*")),
    (
        "size",
        re.compile(
            r"(?:max(?:imum|imal|\.)? )?(?:sizes?|dimensions?|diameters?|measurements?|measures|extent)\b.*|.*\b(?:size|"
            r"dimensions?)\b.*|mm$|cm$"
        ),
    ),
    ("clock", re.compile(r".*\bclock\b.*|clockface.*|o'c\w*$|position$|hour$|time$|.*\bo'clock\b.*|radial.*")),
    ("side", re.compile(r"(?:side|laterality|breast|l/r|r/l)\b.*")),
    ("place", re.compile(r"(?:location|localisation|localization|quadrant|site|region|area|where|position|sector)\b.*")),
    (
        "kind",
        re.compile(
            r"(?:typ(?:e|us)?|kind|descriptors?|descr|appearances?|characteristics?|features|impression|diagnosis|finding|findings|description|category of finding|morphology|lesion type|feature|abnormality|nature|"
            r"lesion|what)\b.*"
        ),
    ),
)
_PLAIN_FIELD = re.compile(
    r"(?:shape|margins?|density|echo\w*|orientation|vascularity|posterior|change|comparison|kinetics?|comments?|associated|stability|"
    r"distribution|morphology|recommendation|management|elast\w+|doppler|signal|t2|enhancement)\b"
)


_SIDE_FIELD = re.compile(r"\b(?:side|laterality|breasts?|breast examined|sides?)\s*:\s*\Z")
_VIEWS = re.compile(r"(?:further|additional|special|extra|magnification|mag|spot|coned|supplementary) (?:compression )?views?")


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
    if _VIEWS.fullmatch(name):
        return Heading(match.end(), modality="mammography", start=match.start("name"))
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
_SAW = re.compile(
    r"\bthere (?:is|are|was|were) |\b(?:is|are) (?:again |also |now |still )?(?:seen|noted|identified|visuali[sz]ed|demonstrated|evident|"
    r"visible|appreciated|found)\b|\b(?:ultraso\w+|uss?|usg|sonogra\w+|mammogra\w+|mri|views?|imaging|images|scan|tomosynthesis|"
    r"breasts?) (?:of [a-z ]{3,30} )?(?:shows?|demonstrates?|reveals?|confirms?|is (?:normal|negative|unremarkable))\b|"
    r"\b(?:tissue|parenchyma|breasts?) (?:is|are|appears?|shows?|comprises?) (?:[a-z]+ )?(?:predominantly|mostly|almost|entirely|"
    r"heterogeneous\w*|extremely|fatty|dense|scattered|composed|normal|symmetric\w*|mixed)|\bscattered (?:areas of )?fibroglandular|"
    r"\bheterogeneously dense|\bhypo-?echoic|\banechoic|\bnon-?mass|\b(?:density|composition) (?:is )?(?:acr |category |bi-?rads )?[:(]?\s?"
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
    r"(?:primary )?diagnostic code|exams? interpreted[a-z ]*)(?: ?\([a-z ]+\))?(?: (?:for|of|at|view|exam|screening|visit|planning|reasons?|views?)){0,3}(?: ?\(s\))?|clin(?:ical)?\.?[ /]?(?:hx|history|profile|info\w*|dx|details|notes?|indication|data|context|question)?|hx|h/o|c/c|k/c/o|"
    r"c/o|complaints?|presenting complaints?|chief complaints?|"
    r"reason(?: for [a-z]+)?|referral|history|indication|symptoms?|comparison|prior\w*|previous(?: \w+)?|technique|"
    r"rec(?:ommendation)?s?|adv(?:ice)?|plan)\s*[:=]|\W*(?:kindly read|please read)\b|\W*biopsy {3,}|\W*clinical exam {3,}"
)
_LEAVES = re.compile(r"(?:(?:the )?(?:left|right)(?: breast| axilla)?\b(?! (?:finding|lesion|mass))|both|overall|final|no |there |axilla|lymph|in (?:the )?conclusion)")
_HAS_WORD = re.compile(r"[a-z0-9]")
_HEADED = re.compile(r"[a-z][a-z0-9 #/()&+-]{0,30}:(?!\d)")
_INNER_HEAD = re.compile(
    r"(?<=[.;,)] )(?=(?:left|right|lt|rt|l|r|mmg|uss?|mammo\w*|ultrasound|axilla(?:e)?)(?: breast)?\s?:(?!\d)\s*"
    r"(?!(?:bi-?rads|cat\w*|acr)?\W*(?:[0-6]|none)\b))"
)
_SCORE_LIST = re.compile(r"bi-?rads|categor|assessment|\bcode\b|\bacr\b|densit")


def _split_at_heads(lower: str, sentences: list[Sentence]) -> list[Sentence]:
    """ "MMG: composition c. L: ... R: NAD." on one line is as many sentences as it has heads of a side or study."""
    pieces: list[Sentence] = []
    for sentence in sentences:
        if sentence.kind is UnitKind.ROW or ":" not in lower[sentence.start : sentence.end]:
            pieces.append(sentence)
            continue
        cuts = [
            match.start()
            for match in _INNER_HEAD.finditer(lower, sentence.start + 1, sentence.end)
            if not _SCORE_LIST.search(lower, max(sentence.start, match.start() - 40), match.start())
            and ":" not in lower[max(sentence.start, match.start() - 2) : match.start()]
        ]
        edges = [sentence.start, *cuts, sentence.end]
        pieces += [
            replace(sentence, start=start, end=start + len(lower[start:end].rstrip(" ,;(")), kind=sentence.kind if start == sentence.start else UnitKind.SENTENCE)
            for start, end in itertools.pairwise(edges)
            if lower[start:end].strip(" ,;(")
        ]
    return pieces


_LOW_STOP = re.compile(r"(?<=[a-z)\d])\.\s+(?=[a-z\d])")
_SHORT_WORD = re.compile(r"(?:\b(?:approx|ca|vs|e\.?g|i\.?e|no|nr|dr|lt|rt|sup|inf|lat|med|resp|max|incl|fig|prev|susp|prob|bilat|st|pos|neg)|\b[a-z])\.$", re.IGNORECASE)


def _split_low(text: str, sentences: list[Sentence]) -> list[Sentence]:
    """Where a report writes without capitals, a full stop ends a sentence all the same."""
    pieces: list[Sentence] = []
    for sentence in sentences:
        cuts = []
        if sentence.kind is not UnitKind.ROW and ". " in text[sentence.start : sentence.end]:
            cuts = [
                match.end()
                for match in _LOW_STOP.finditer(text, sentence.start, sentence.end)
                if not _SHORT_WORD.search(text[max(sentence.start, match.start() - 9) : match.start() + 1])
            ]
        edges = [sentence.start, *cuts, sentence.end]
        pieces += [
            replace(sentence, start=start, end=start + len(text[start:end].rstrip()), kind=sentence.kind if start == sentence.start else UnitKind.SENTENCE)
            for start, end in itertools.pairwise(edges)
        ]
    return pieces


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
        if last is not None and _goes_on(text, last, sentence):
            joined[-1] = replace(last, end=sentence.end, line=sentence.line)
        else:
            joined.append(sentence)
    return joined


def _goes_on(text: str, last: Sentence, sentence: Sentence) -> bool:
    """Whether a sentence continues the one before on a new line: cut in a phrase, in lower case, or after a full line."""
    if sentence.kind is not UnitKind.SENTENCE or last.kind is UnitKind.ROW or sentence.paragraph != last.paragraph:
        return False
    if last.line == sentence.line or text[last.end - 1] in ".:;!?":
        return False
    opening = text[sentence.start : sentence.start + 40]
    if _HEADED.match(opening.lower()) or _PLACE_OPENS.match(opening.lower()):
        return False
    tail = text[max(last.start, last.end - 16) : last.end]
    if _UNFINISHED.search(tail.lower()) and (not tail[-1].isdigit() or _UNIT_START.match(text.lower(), sentence.start)):
        return True
    if opening[0].islower() and not _LOWER_LIST.match(opening):
        return True
    line_start = text.rfind("\n", 0, last.end) + 1
    is_capitals = tail[-8:].upper() == tail[-8:] and opening[:8].upper() == opening[:8] and opening[0].isalpha()
    return is_capitals and last.end - line_start >= _FULL_LINE and _wraps(text, last.end, sentence.start)


_FULL_LINE = 36
"""From this length a line in capitals without a full stop goes on in the next."""


def _wraps(text: str, end: int, start: int) -> bool:
    """Only a line end lies between."""
    return text[end:start].count("\n") == 1 and not text[end:start].strip()


_PLACE_OPENS = re.compile(r"(?:(?:left|right|lt|rt|l|r)\b|at |\d{1,2}(?::\d\d| ?o'? ?cl))")
_LOWER_LIST = re.compile(r"(?:[a-z][.)]|[a-z]{1,12}:)")


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
        sentences = _split_at_heads(self.view.text.lower, _split_low(self.view.text.text, sentences))
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
            if heading.end <= position:
                break
            position = heading.end
        self._label(block, sentence)
        if position >= sentence.end or not _HAS_WORD.search(lower, position, sentence.end):
            return
        own = Role.CONTEXT if self.is_elsewhere and role in READ_ROLES else role
        if self._is_aside(sentence) or (not self.has_findings and self._is_of_patient(sentence)):
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
        return is_of_her and not _SAW.search(lower, sentence.start, sentence.end) and not _SENT_FOR.search(lower, sentence.start, sentence.end)

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
        if block.label_until is not None and (sentence.paragraph > block.label_until or self._leaves_label(sentence)):
            block.label, block.label_until = None, None

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
            block.label = None
        if heading.modality:
            self.modality_headings += [Hit(heading.start, heading.end, name) for name in heading.modality.split("+")]
            if not (block.is_side_outer and block.side is not None and block.side_until is None) and not heading.side:
                block.side = None
            block.modality = heading.modality
            self.group += 1
            block.group = self.group
        if heading.side:
            block.is_side_outer = block.modality is None
            words = PlaceWord(heading.start, heading.end, heading.side)
            block.side = next((side for side in self.view.sides.within(heading.start, heading.end) if side.value == heading.side), words)
            block.is_side_titled = heading.modality is not None or _SIDE_FIELD.search(self.view.text.lower, 0, heading.start) is not None
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
