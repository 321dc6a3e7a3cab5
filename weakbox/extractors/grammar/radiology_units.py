"""The clauses of a prostate MRI report with everything that they mention: the material from which lesions are read."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, NamedTuple, Protocol, TypeVar

from weakbox.extractors.grammar import radiology_mentions as mentions
from weakbox.extractors.grammar.radiology_images import ImageReference, find_image_references
from weakbox.extractors.grammar.radiology_mentions import LabelMention, Mention
from weakbox.extractors.grammar.radiology_prior import is_prior, prior_report, quoted_reports
from weakbox.records.report import SectionKind
from weakbox.text.injection import injection_spans
from weakbox.text.lexicon import load_lexicon
from weakbox.text.locations import LocationToken, location_tokens
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import Size, find_sizes
from weakbox.text.sections import TextSection
from weakbox.text.sentences import Sentence, UnitKind, split_sentences


class Role(StrEnum):
    """What a section's words may state: lesions of this exam, or only its context."""

    FINDINGS = "findings"
    IMPRESSION = "impression"
    ADDENDUM = "addendum"
    CLINICAL = "clinical"
    CONTEXT = "context"


_ROLES = {
    SectionKind.FINDINGS: Role.FINDINGS,
    SectionKind.OTHER: Role.FINDINGS,
    SectionKind.COMMENT: Role.FINDINGS,
    SectionKind.SYNOPTIC: Role.FINDINGS,
    SectionKind.IMPRESSION: Role.IMPRESSION,
    SectionKind.DIAGNOSIS: Role.IMPRESSION,
    SectionKind.ADDENDUM: Role.ADDENDUM,
    SectionKind.CLINICAL_INFORMATION: Role.CLINICAL,
}
_SILENT = (SectionKind.TEMPLATE_LEGEND, SectionKind.SIGNATURE)
READ_ROLES = (Role.FINDINGS, Role.IMPRESSION, Role.ADDENDUM)


class Placed(Protocol):
    """Anything that starts somewhere in the text."""

    @property
    def start(self) -> int: ...


PlacedType = TypeVar("PlacedType", bound=Placed)


class Located(Generic[PlacedType]):
    """Mentions in order of the text, searchable by place."""

    __slots__ = ("items", "starts")

    def __init__(self, items: Sequence[PlacedType]) -> None:
        self.items = sorted(items, key=lambda item: item.start)
        self.starts = [item.start for item in self.items]

    def within(self, start: int, end: int) -> list[PlacedType]:
        """The mentions that start in ``start:end``."""
        return self.items[bisect_left(self.starts, start) : bisect_left(self.starts, end)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The part of the anatomy that a sub-heading ("Transition zone:") speaks of."""

    is_elsewhere: bool
    start: int
    end: int
    last_line: int = 10**9
    """The line it reaches to: its own where words follow the heading on it, otherwise as far as the next heading."""
    is_inline: bool = False
    """Whether words follow the heading on its line; a labelled lesion under it has a place of its own."""
    parent: Region | None = None
    """The part ("Right:", "Peripheral zone:") whose own parts follow under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A stretch that speaks of at most one lesion, where it stands, and its sub-heading."""

    start: int
    end: int
    role: Role
    section: int
    sentence: int
    paragraph: int
    line: int
    marker: str | None = None
    is_row: bool = False
    region: Region | None = None
    field: str | None = None
    """The name before the colon where the clause is a field ("Size: 12 mm")."""
    part: int = 0
    """0 for the first clause of its sentence."""
    parts: int = 1
    """How many clauses the sentence was cut into."""


class NounMention(NamedTuple):
    """A word at ``start:end``; ``kind`` is the staging field that it names, or empty."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A report's text with its clauses and mentions."""

    text: Normalised
    clauses: tuple[Clause, ...]
    categories: Located[Mention]
    likerts: Located[Mention]
    plains: Located[Mention]
    sequence_scores: Located[Mention]
    labels: Located[LabelMention]
    sizes: Located[Size]
    locations: Located[LocationToken]
    images: Located[ImageReference]
    nouns: Located[NounMention]
    stagings: Located[NounMention]
    names_pirads: bool
    names_likert: bool
    is_addressed_to_machine: bool = False
    places: tuple[int, ...] = ()
    """Where anything is mentioned from which a lesion is read, in order."""

    def is_silent(self, clause: Clause) -> bool:
        """Whether the clause mentions nothing from which a lesion is read: no noun, score, size, place or image."""
        return bisect_left(self.places, clause.start) == bisect_left(self.places, clause.end)

    def cut(self, clause: Clause) -> str:
        """The clause's words in lower case."""
        return self.text.lower[clause.start : clause.end]


_INSTEAD = re.compile(r"(?:in place of|instead of|rather than|in lieu of|\bno) (?:the |formal )?pi-?rads")


def build_view(text: Normalised, sections: Sequence[TextSection], language: str) -> View:
    """Find everything once, then cut the text into clauses."""
    lower = text.lower
    changes = mentions.find_changes(lower)
    categories = [
        mention for mention in mentions.find_categories(lower) if not any(c.start <= mention.start < c.end for c in changes)
    ] + changes
    named = [(mention.start, mention.end) for mention in categories]
    plains = [plain for plain in mentions.find_plain_categories(lower) if not any(start <= plain.end - 1 < end for start, end in named)]
    view = View(
        text=text,
        clauses=(),
        categories=Located(categories),
        likerts=Located(mentions.find_likert(lower)),
        plains=Located(plains),
        sequence_scores=Located(mentions.find_sequence_scores(lower)),
        labels=Located(mentions.find_labels(text.text, lower)),
        sizes=Located(find_sizes(lower)),
        locations=Located(location_tokens(text.text, language=language)),
        images=Located(find_image_references(lower)),
        nouns=Located([NounMention(match.start(), match.end(), "") for match in _WORD.finditer(lower) if match[0] in _NOUN_WORDS]),
        stagings=Located([NounMention(*hit) for hit in load_lexicon(language, "staging").find(lower)]),
        names_pirads=mentions.mentions_pirads(lower) and not (not categories and _INSTEAD.search(lower)),
        names_likert=mentions.mentions_likert(lower),
    )
    foreign = injection_spans(lower)
    units = [unit for unit in _units(text, sections) if not any(start < unit.end and unit.start < end for start, end in foreign)]
    view = replace(view, places=_places(view), is_addressed_to_machine=bool(foreign))
    clauses = tuple(clause for unit in units for clause in _split(unit, view))
    return replace(view, clauses=clauses)


def _places(view: View) -> tuple[int, ...]:
    located = (
        view.nouns,
        view.locations,
        view.categories,
        view.likerts,
        view.plains,
        view.sizes,
        view.sequence_scores,
        view.images,
        view.labels,
    )
    return tuple(sorted(start for group in located for start in group.starts))


def _units(text: Normalised, sections: Sequence[TextSection]) -> list[Clause]:
    prior = prior_report(text.lower)
    has_findings = any(section.kind is SectionKind.FINDINGS and section.heading is not None for section in sections)
    units: list[Clause] = []
    previous: Role = Role.FINDINGS
    for number, section in enumerate(sections):
        if section.kind in _SILENT:
            continue
        sentences = split_sentences(text.text, section.start, section.end)
        role = _role(section, has_findings=has_findings)
        if role not in READ_ROLES and not has_findings and _follows_legend(text, sections, number):
            role = Role.FINDINGS
        if prior is not None and prior[0] <= section.start < prior[1]:
            role = Role.CONTEXT
            has_findings_here = True
        else:
            has_findings_here = has_findings
        is_inside_findings = (
            previous is Role.FINDINGS and section.kind in (SectionKind.COMPARISON, SectionKind.TECHNIQUE) and _has_read(units)
        )
        units += _section_units(
            text, sentences, number, role, later=_later_role(role, is_inside_findings=is_inside_findings, has_findings=has_findings_here)
        )
        previous = previous if is_inside_findings else role
    quoted = quoted_reports(text.lower)
    return [_as_context(unit, quoted) for unit in units] if quoted else units


def _as_context(unit: Clause, quoted: Sequence[tuple[int, int]]) -> Clause:
    """What another house's report said is context."""
    return replace(unit, role=Role.CONTEXT) if any(start <= unit.start < end for start, end in quoted) else unit


def _follows_legend(text: Normalised, sections: Sequence[TextSection], number: int) -> bool:
    """Whether a paragraph begins behind a printed scale: the heading above the scale covers it no more."""
    start = sections[number].start
    return number > 0 and sections[number - 1].kind is SectionKind.TEMPLATE_LEGEND and not text.text[start : start + 2].strip()


def _has_read(units: list[Clause]) -> bool:
    return any(unit.role in READ_ROLES for unit in units[-8:])


def _role(section: TextSection, *, has_findings: bool) -> Role:
    if section.kind is SectionKind.HEADER:
        return Role.CONTEXT if has_findings else Role.FINDINGS
    return _ROLES.get(section.kind, Role.CONTEXT)


def _later_role(role: Role, *, is_inside_findings: bool, has_findings: bool) -> str | None:
    """What the rest of a context section is: findings, where its heading covers only a line or a paragraph."""
    if role in READ_ROLES:
        return None
    if is_inside_findings:
        return "line"
    return None if has_findings else "paragraph"


_OPENS_FINDINGS = re.compile(
    r"(?:the )?(?:prostate|prostatic|gland|peripheral zone|transition(?:al)? zone|lesions?|target|roi|volume|zonal|pz|tz|svs?|(?:left"
    r"|right)(?: lobe| side| pz| tz)?|"
    r"capsule|seminal vesicles?)\b"
    r"[^:\n]{0,30}:|(?:the )?(?:prostate|prostatic|gland) (?:volume|measures|gland|is|size)\b|vol(?:ume)?\b\s*\d"
)


def _turns(lower: str, sentence: Sentence, first: Sentence, *, by_line: bool) -> bool:
    """Whether the findings begin here: after the heading's own line, or its paragraph, or with a heading of the anatomy."""
    if by_line:
        return sentence.line > first.line
    return sentence.paragraph > first.paragraph or (sentence.line > first.line and _OPENS_FINDINGS.match(lower, sentence.start) is not None)


def _section_units(text: Normalised, sentences: list[Sentence], section: int, role: Role, *, later: str | None) -> list[Clause]:
    units: list[Clause] = []
    region: Region | None = None
    pending: str | None = None
    has_turned = False
    for number, sentence in enumerate(sentences):
        has_turned = has_turned or (later is not None and _turns(text.lower, sentence, sentences[0], by_line=later == "line"))
        own = Role.FINDINGS if has_turned else role
        region, field, body = _heading(text.lower, sentence, region)
        field = field or pending
        pending = _open_field(text.lower[sentence.start : sentence.end])
        units.append(
            Clause(
                start=body,
                end=sentence.end,
                role=own,
                section=section,
                sentence=number,
                paragraph=sentence.paragraph,
                line=sentence.line,
                marker=sentence.marker,
                is_row=sentence.kind is UnitKind.ROW,
                region=region,
                field=field,
            )
        )
    return units


_ANY_LINE = 10**9
_OPENS_LESION = re.compile(r"(?:lesion|target|roi|index lesion)\s*#?\s*[1-9a-h]\b|#\s?[1-9]|region of interest")
_OPENS_OWN = re.compile(
    r"(?:index |dominant |focal )?(?:lesion|target|roi|finding)\s*(?:no\.? ?)?#?\s*[1-9a-h]\b|#\s?[1-9]"
    r"|region of interest|location:|site:"
)
_SIDE_LINE = re.compile(r"(?:left|right)(?: lobe| side| gland| prostate| hemiprostate)?\.?")
"""A line that holds nothing but a side is the heading of the lines under it."""
_SHORT_VALUE = 40
"""An unknown name before a colon is a field of the lesion above it if so few characters follow."""


_SIDE_NAME = re.compile(r"\b(?:left|right|lt|rt|l|r|bilateral|midline)\b")
_ZONE_NAME = re.compile(r"zone|\bpz|\btz|\bcz|\bafs|\bafms|stroma|peripheral|transition|central gland")
_LEVEL_NAME = re.compile(r"base|mid|apex|apical|basal|third")


def _kinds(name: str) -> set[str]:
    """What of a place a heading names."""
    named = (("side", _SIDE_NAME), ("zone", _ZONE_NAME), ("level", _LEVEL_NAME))
    return {kind for kind, pattern in named if pattern.search(name)}


def _above(region: Region | None, sentence: Sentence, name: str, lower: str) -> Region | None:
    """The nearest heading above of which this one names a part: "Right: Base: normal.", "Peripheral zone:" over "- Left: ..."."""
    own = _kinds(name)
    outer = region
    while outer is not None:
        is_open = outer.last_line == sentence.line or not outer.is_inline
        if not outer.is_elsewhere and is_open and not own & _kinds(lower[outer.start : outer.end]):
            return outer
        outer = outer.parent
    return None


def _open_field(words: str) -> str | None:
    """The field name that a line ends with ("Lesion 2: Site:"), whose value stands on the next line."""
    if not words.endswith(":"):
        return None
    name = words[:-1].rpartition(":")[2].strip()
    return name if _LESION_FIELD.match(name) else None


_HEADING = re.compile(r"(?P<name>[a-z][a-z0-9 /&(),.'#\[\]-]{0,55}?)\s*(?::(?!\d)|\s-\s)\s*")
_LESION_FIELD = re.compile(
    r"(?:lesion |overall |final |max(?:imum)? |target |assessment )*"
    r"(?:locations?|sites?|positions?|side|laterality|lobe|zone|level|sector|size|"
    r"dimensions?|diameter|measures?|measurements?|t2\w*|dwi\w*|adc\w*|dce|dynamic|pi-?rads|"
    r"p-?rads|category|scores?|assessment|likert|series|image|slice|margins?|shape|morphology|description|signal|diffusion|perfusion|"
    r"enhancement|suspicion|confidence|change|comments?|volume of lesion|risk category)"
)
_CONTRAST_ANSWER = re.compile(r"pos|neg|[+-]|early|yes\b|no\b|n/?a\b")
_LESION_HEADING = re.compile(
    r"\b(?:lesions?|targets?|rois?|region of interest|index|mark\d?|foc(?:us|i)|nodules?|suspicious|abnormalit\w+|observations?|#\d)"
)
_LESION_WORD = re.compile(r"lesion|target|\broi|focus|foci|nodule|mark\d")
_ELSEWHERE = re.compile(
    r"lymph|\bnod(?:es|al)\b|bones?\b|marrow|acetabul|sacr(?:um|al)|\bilium|femor|femur|osseous|skelet|musculo|seminal|bladder|rect(?:um"
    r"|al)|neurovasc|\bnvbs?\b|vessel|vascular|"
    r"bowel|extra-?prostatic|extra-?capsular|\bepe\b|\bece\b|\bsvi?\b|capsul|pelvi|"
    r"incidental|ha?emorrhage|urethra|sphincter|\bother|staging|stage|metasta|quality|\bpsa|hernia|fluid|soft tissue|contrast|"
    r"technique|comparison|prior|impression of|local extent|extension|volume|gland size|prostate size|psad"
)
_ZONE_HEADING = re.compile(
    r"(?:right|left|peripheral|transition(?:al)?|central|anterior|posterior|zone|gland|pz(?:pl|pm|p|a)?|tz[ap]?|cz|afs|afms|fibromuscular"
    r"|stroma|base|mid|apex|apical|basal|midgland|mid-gland|middle|third|lobe|side|prostate|and|the|of|at|in|(?:postero|antero)?-?(?:lateral|medial|lat"
    r"|med)(?:ly)?|post(?:lat|med)?|ant|l|r|lt|rt|bilat|bilateral|midline|to|horn|/|,|\(|\)|\+|\s|-)+$"
)


def _heading(lower: str, sentence: Sentence, region: Region | None) -> tuple[Region | None, str | None, int]:
    """The sub-heading that governs a sentence, the name of a lesion field, and where its words begin."""
    if region is not None and region.is_inline and sentence.line > region.last_line and _OPENS_OWN.match(lower, sentence.start):
        region = None
    if region is not None and region.is_elsewhere and (sentence.line > region.last_line or _OPENS_LESION.match(lower, sentence.start)):
        region = None
    stop = min(sentence.end, sentence.start + 62)
    if lower.find(":", sentence.start, stop) < 0 and lower.find(" - ", sentence.start, stop) < 0:
        if _SIDE_LINE.fullmatch(lower, sentence.start, sentence.end):
            region = Region(is_elsewhere=False, start=sentence.start, end=sentence.end)
        return region, None, sentence.start
    match = _HEADING.match(lower, sentence.start, stop)
    if match is None or match["name"].count(" ") > 6:
        return region, None, sentence.start
    name = match["name"].strip()
    if _LESION_FIELD.match(name) or (name == "contrast" and _CONTRAST_ANSWER.match(lower, match.end())):
        return (None if region and region.is_elsewhere else region), name, sentence.start
    if _LESION_HEADING.search(name) and not (_ELSEWHERE.search(name) and not _LESION_WORD.search(name)):
        return None, None, sentence.start
    if _ZONE_HEADING.match(name):
        is_gland_only = name in ("prostate", "prostate gland", "gland", "the prostate")
        parent = _above(region, sentence, name, lower) if _kinds(name) else None
        inner = Region(
            is_elsewhere=False,
            start=sentence.start,
            end=match.end(),
            last_line=sentence.line,
            is_inline=sentence.end > match.end() + 1,
            parent=parent,
        )
        return (None if is_gland_only else inner), None, sentence.start
    if _ELSEWHERE.search(name):
        last_line = sentence.line if sentence.end > match.end() else _ANY_LINE
        return Region(is_elsewhere=True, start=sentence.start, end=match.end(), last_line=last_line), None, sentence.start
    return None, (name if sentence.end - match.end() <= _SHORT_VALUE else None), sentence.start


LESION_NOUN = re.compile(
    r"\b(?:lesions?|foc(?:us|i)|nodules?|abnormalit(?:y|ies)|mass(?:es)?|tumou?rs?|hypo-?intensit(?:y|ies)|areas?|targets?|rois?|"
    r"carcinomas?|satellites?|observations?|region of interest|region|restriction|restricted diffusion)\b"
)
_WORD = re.compile(r"[a-z]+")
_NOUN_WORDS = frozenset(
    [
        "lesion",
        "lesions",
        "focus",
        "foci",
        "nodule",
        "nodules",
        "abnormality",
        "abnormalities",
        "mass",
        "masses",
        "tumor",
        "tumors",
        "tumour",
        "tumours",
        "hypointensity",
        "hypointensities",
        "intensity",
        "area",
        "areas",
        "target",
        "targets",
        "roi",
        "rois",
        "carcinoma",
        "carcinomas",
        "satellite",
        "satellites",
        "observation",
        "observations",
        "region",
        "restriction",
        "restricted",
    ]
)
_SECOND_LESION = re.compile(
    r"(?:[,;]|\band|\bwith|\bplus)\s+(?=(?:(?:there is|is)\s+)?(?:a|an|another|one|additional|second|satellite|separate|the second|"
    r"third|a second|a further|the other|the old)\b[^.;]{0,70}?\b(?:lesion|focus|nodule|satellite|area|mass|tumou?r|roi|target)\b)"
)
_SEMICOLON = re.compile(r";\s*")
_SEPARATOR = re.compile(r";|,|\band\b|\bwhile\b|\bwhereas\b|\bplus\b|\bwith\b|\.\s|\||\(\d\)|(?<=\s)\d\)\s|/\s")


def _split(unit: Clause, view: View) -> list[Clause]:
    """One clause a lesion: cut at labels, between categories, before a second lesion."""
    if unit.role not in READ_ROLES or unit.is_row or view.is_silent(unit):
        return [unit]
    cuts = _cuts(unit, view)
    if not cuts:
        return [unit]
    bounds = [unit.start, *sorted(set(cuts)), unit.end]
    pieces = [(start, end) for start, end in itertools.pairwise(bounds) if view.text.text[start:end].strip(" ,;.")]
    return [
        replace(unit, start=start, end=end, part=number, parts=len(pieces), field=unit.field if number == 0 else None)
        for number, (start, end) in enumerate(pieces)
    ]


def _cuts(unit: Clause, view: View) -> list[int]:
    if "respectively" in view.text.lower[unit.start : unit.end]:
        return []
    labels = [label for label in view.labels.within(unit.start, unit.end) if len(label.values) == 1]
    if len({label.values[0] for label in labels}) > 1:
        return _label_cuts(unit, view, labels)
    scores = _scores(unit, view)
    lower = view.text.lower
    if len(scores) > 1:
        return _score_cuts(unit, view, scores)
    cuts: list[int] = []
    nouns = [noun.start for noun in view.nouns.within(unit.start, unit.end)]
    if len(nouns) > 1:
        cuts = [match.end() for match in _SECOND_LESION.finditer(lower, nouns[0], unit.end)]
        cuts += [match.end() for match in _SEMICOLON.finditer(lower, nouns[0], unit.end) if any(noun > match.end() for noun in nouns)]
    return cuts


def _scores(unit: Clause, view: View) -> list[Mention]:
    found = (
        view.categories.within(unit.start, unit.end)
        or view.likerts.within(unit.start, unit.end)
        or view.plains.within(unit.start, unit.end)
    )
    return [mention for mention in found if not is_prior(view.text.lower, mention.start, mention.end)]


def _label_cuts(unit: Clause, view: View, labels: list[LabelMention]) -> list[int]:
    lower = view.text.lower
    starts_with_label = not lower[unit.start : labels[0].start].strip(" (*•-:") or len(lower[unit.start : labels[0].start].split()) <= 3
    cuts, seen = [], {labels[0].values[0]}
    for before, label in itertools.pairwise(labels):
        if label.values[0] in seen:
            continue
        seen.add(label.values[0])
        if starts_with_label:
            cuts.append(label.start)
            continue
        scored = [mention.end for mention in _scores(unit, view) if before.end <= mention.start < label.start]
        separators = [match.end() for match in _SEPARATOR.finditer(lower, scored[-1] if scored else before.end, label.start)]
        cuts.append(separators[0] if separators else label.start)
    return cuts


def _score_cuts(unit: Clause, view: View, scores: list[Mention]) -> list[int]:
    """Between neighbouring scores: after the first where the place stands before its score, before the second otherwise."""
    lower = view.text.lower
    has_place_first = any(token.start < scores[0].start for token in view.locations.within(unit.start, unit.end)) or bool(
        LESION_NOUN.search(lower, unit.start, scores[0].start)
    )
    cuts = []
    for before, after in itertools.pairwise(scores):
        if not _may_differ(view, before, after, unit):
            continue
        separators = [match.end() for match in _SEPARATOR.finditer(lower, before.end, after.start)]
        if separators:
            cuts.append(separators[0] if has_place_first else separators[-1])
    return cuts


def _may_differ(view: View, before: Mention, after: Mention, unit: Clause) -> bool:
    """Two scores are two lesions unless nothing but score words stands between them and on one side."""
    between = view.locations.within(before.end, after.start) or LESION_NOUN.search(view.text.lower, before.end, after.start)
    return bool(between) or bool(view.locations.within(after.end, unit.end))
