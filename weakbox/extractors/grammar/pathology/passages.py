"""Which stretches of a pathology report speak of its specimens, and how much each counts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from weakbox.extractors.grammar.pathology.facts import TextRange
from weakbox.extractors.grammar.pathology.sites import site_heading_at
from weakbox.records.report import SectionKind
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection


class Role(StrEnum):
    """What a passage says of the specimens."""

    AMENDMENT = "amendment"
    """An addendum that changes the report; the last one wins."""
    DIAGNOSIS = "diagnosis"
    SYNOPTIC = "synoptic"
    MICROSCOPY = "microscopy"
    ADDENDUM = "addendum"
    """An addendum that adds to the report without changing it."""
    COMMENT = "comment"
    GROSS = "gross"
    SPECIMEN_LIST = "specimen_list"
    FREE = "free"
    """Under no heading, or under one that says nothing of the kind of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of normalised text under one heading."""

    role: Role
    start: int
    end: int
    order: int = 0
    heading: TextRange | None = None
    asides: tuple[TextRange, ...] = ()
    """Comments on single specimens that stand between them."""


_ROLES = {
    SectionKind.DIAGNOSIS: Role.DIAGNOSIS,
    SectionKind.IMPRESSION: Role.DIAGNOSIS,
    SectionKind.SYNOPTIC: Role.SYNOPTIC,
    SectionKind.MICROSCOPY: Role.MICROSCOPY,
    SectionKind.COMMENT: Role.COMMENT,
    SectionKind.GROSS: Role.GROSS,
    SectionKind.SPECIMEN_LIST: Role.SPECIMEN_LIST,
    SectionKind.FINDINGS: Role.FREE,
    SectionKind.HEADER: Role.FREE,
    SectionKind.OTHER: Role.FREE,
    SectionKind.TECHNIQUE: Role.FREE,
}
_AMENDS = re.compile(
    r"\b(?:amend|revis|correct|chang|re-?classif|re-?grad|supersed|should (?:read|be|have)|upgrad|downgrad|re-?review|error|erroneous|wrong"
    r"|transpos|mislabel|instead of|updated? (?:to|diagnos)"
    r"|is now|are now|now (?:read|show|confirm|diagnos)|not (?:the )?(?:left|right))",
    re.IGNORECASE,
)
_SURELY_AMENDS = re.compile(
    r"\b(?:upgraded|downgraded|re-?classified|re-?graded|amended\s+(?:\w+\s+)?(?:grade|diagnosis)|(?:revised|amended|changed"
    r"|corrected)\s+(?:to|from|as)|should\s+read|supersede)",
    re.IGNORECASE,
)
_NO_CHANGE = re.compile(
    r"\b(?:no change|unchanged|does not change|remains? (?:the same|unchanged)|diagnosis (?:is )?(?:unchanged|stands))", re.IGNORECASE
)
_SPECIMEN_FIELD = re.compile(r"specimen\b(?!s)", re.IGNORECASE)
_REVISED = re.compile(
    r"^[ \t]*(?:revised|amended|corrected|updated)\s+(?:final\s+)?(?:patholog\w+\s+)?diagnosis\b[^:\n]{0,40}(?::|$)",
    re.IGNORECASE | re.MULTILINE,
)
_OF_ANOTHER_TIME = re.compile(
    r"\b(?:outside|referring|referral|submitt(?:ed|ing)|original|contributor'?s?|initial|previous|prior|clinical|provisional"
    r"|pre-?op\w*|post-?op\w*"
    r"|admitting|working|requesting)\s+(?:hospital\s+|pathologist'?s?\s+|patholog\w+\s+|histolog\w+\s+)?$",
    re.IGNORECASE,
)
_LABEL_LINE = re.compile(r"^[ \t]*(?:(?:specimen|part)[ \t]+)?[(#]?(?P<id>[B-Z]|[2-9]|[1-3]\d)[.):](?=\s*\S)", re.IGNORECASE | re.MULTILINE)
_GROUP_LINE = re.compile(
    r"[ \t]*(?:[-*•>]\s*)?(?:(?:specimens?|parts?|containers?|samples?|jars?|vials?|sites?)[ \t]+)?[(#]?"
    r"(?:[A-Za-z]\d?|\d{1,2}[A-Za-z]?|[IVX]{1,5})"
    r"(?:\s*(?:-|,|&|/|to|and)\s*(?:[A-Za-z]\d?|\d{1,2}[A-Za-z]?))?\s*[.):\-](?=\s)",
    re.IGNORECASE,
)
_HEADING_KIND = r"(?:histo\w*|micro\w*|patholog\w*|macro\w*|gross\w*|cyto\w*)"
_HEADING_WORD = (
    rf"(?:{_HEADING_KIND}(?:[ \t]+(?:descriptions?|examination|findings?|reports?|features|appearances?))?|findings|results?|reports?)"
)
_OWN_HEADINGS = re.compile(
    r"(?<!\S)(?=[ \t]*[acdefghikmnoprst])"
    r"(?:(?:^|(?<=\n)|(?<=[.:]\s))[ \t]*(?:(?P<specimen_list>key\s+to\s+(?:the\s+)?(?:specimens?|pots?|containers?|jars?|samples?)"
    r"|(?:specimen|pot|container)\s+key|nature\s+of\s+(?:the\s+)?materials?|origin\s+of\s+(?:the\s+)?(?:specimens?"
    r"|materials?|tissue)|anatomic(?:al)?\s+sites?|type\s+of\s+(?:specimens?|materials?))[ \t]*:|(?P<gross>received)[ \t]*:)"
    r"|(?:^|(?<=\n))[ \t]*(?:(?P<microscopy_line>microscop\w+[ \t]+(?:appearances?|features|findings|examination))[ \t]*(?::|(?=\n))"
    r"|(?P<gross_line>(?:gross(?:ing)?|macroscop\w+)[ \t]+(?:summary|notes?"
    r"|details?|information|data|appearances?|features|findings|examination))[ \t]*(?::|(?=\n))"
    r"|(?P<comparison>(?:original|previous|prior|superseded|outside|referring"
    r"|earlier|initial)[ \t]+(?:\w+[ \t]+){0,2}(?:diagnos[ie]s|report)\b[^\n:]{0,40}(?::|(?=\n)))|(?P<diagnosis>(?:(?:our|current"
    r"|present|review|consultation|consultant'?s?)[ \t]+(?:\w+[ \t]+)?(?:diagnos[ie]s|interpretation|opinion)"
    rf"|(?:{_HEADING_WORD}[ \t]*(?:,|&|/|\+|\b(?:and|with|cum)\b)[ \t]*)+(?:(?:final|{_HEADING_KIND})[ \t]+)?"
    r"(?:diagnos[ie]s|impression|conclusion|interpretation|opinion)"
    r"|(?:(?:final|histolog\w*|patholog\w*)[ \t]+)?diagnos[ie]s[ \t]*(?:,|&|/|\+|\b(?:and|with|cum)\b)[ \t]*[a-z]+(?:[ \t][a-z]+)?)"
    r"[ \t]*(?::|(?=\n)))))",
    re.IGNORECASE,
)
_MICROSCOPIC_DIAGNOSIS = re.compile(r"diagnos", re.IGNORECASE)
_DIAGNOSTIC = re.compile(
    r"(?=[abcgimpt\d])(?:carcinoma|benign|gleason|malignan|tumou?r|prostatitis|\bPIN\b|atypical|cancer|insufficient|\d\s?\+\s?\d"
    r"|grade group)",
    re.IGNORECASE,
)


def find_passages(text: Normalised, sections: Sequence[TextSection]) -> list[Passage]:
    """The passages in the order of the text; clinical information, priors, legends and signatures are left out."""
    passages: list[Passage] = []
    originals: list[Passage] = []
    for section in _with_own_specimens(text.text, _with_own_headings(text.text, with_read_rest(text.text, sections))):
        role = _role(text.text, section)
        if role is None and section.heading and _ORIGINAL.search(text.text, *_heading_line(text.text, section.heading)):
            originals.append(
                Passage(role=Role.DIAGNOSIS, start=section.start, end=section.end, order=section.order, heading=section.heading)
            )
        if role is not None and text.text[section.start : section.end].strip():
            passages.append(Passage(role=role, start=section.start, end=section.end, order=section.order, heading=section.heading))
    passages = _with_original(text.text, passages, originals)
    return _with_a_diagnosis(text.text, _with_revisions(text.text, _around_comments(text.text, _joined_forms(text.text, passages))))


_ORIGINAL = re.compile(r"\b(?:original|initial|first|previous(?:ly)?\s+issued|superseded)\b", re.IGNORECASE)
_LATER = (Role.AMENDMENT, Role.ADDENDUM)


_REPRINTED = re.compile(
    r"(?:^|(?<=\n))[ \t]*(?:(?:specimen|part|container)[ \t]+)?[(#]?(?:[A-Z]|\d{1,2}|[IVX]{1,5})[.):][ \t]+\S", re.IGNORECASE
)


def _heading_line(text: str, heading: TextRange) -> TextRange:
    return text.rfind("\n", 0, heading[0]) + 1, heading[1]


def _with_original(text: str, passages: list[Passage], originals: list[Passage]) -> list[Passage]:
    """An addendum printed above "ORIGINAL DIAGNOSIS" changes that one, which is this report's own where no other tells of the specimens."""
    told = any(
        p.role not in (*_LATER, Role.GROSS, Role.SPECIMEN_LIST, Role.COMMENT) and _DIAGNOSTIC.search(text, p.start, p.end) for p in passages
    )
    reprinted = sum(len(_REPRINTED.findall(text, p.start, p.end)) for p in passages if p.role is Role.AMENDMENT)
    if told or reprinted > 1 or not originals or not any(p.role in _LATER for p in passages):
        return passages
    later = [replace(p, role=Role.AMENDMENT) if p.role in _LATER else p for p in passages]
    return sorted([*later, *originals], key=lambda p: p.start)


_UNREAD = (
    SectionKind.SPECIMEN_LIST,
    SectionKind.CLINICAL_INFORMATION,
    SectionKind.COMPARISON,
    SectionKind.RECOMMENDATION,
    SectionKind.SIGNATURE,
)
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_SPECIMEN_LINE = re.compile(
    r"[ \t]*(?:[-*•>][ \t]*)?(?:(?:specimens?|parts?|containers?|samples?|jars?|vials?|cores?|sites?)[ \t]*#?[ \t]*)?[(#]?"
    r"(?:[A-Za-z]\d?|\d{1,2}[A-Za-z]?|[IVX]{1,5})(?:[ \t]*(?:-|,|&|/|to|and)[ \t]*(?:[A-Za-z]\d?|\d{1,2}[A-Za-z]?))?[.):\-](?=\s)",
    re.IGNORECASE,
)
_COLUMN_NAMES = re.compile(
    r"(?=[^\n]*(?:\||\t| {2,}))(?=[^\n]*\b(?:gleason|isup|grade group|gg|diagnosis|result)\b)[^\n]*\b(?:site|cores?|location)\b",
    re.IGNORECASE,
)
_GLAND_LINE = re.compile(
    r"[ \t]*(?:[-*•>][ \t]*)?prostat\w*\b[^\n]{0,60}\b(?:biops\w+|bx|cores?|TURP|trans-?urethral|resection|prostatectomy|chips)\b",
    re.IGNORECASE,
)
_OF_THE_PAST = re.compile(r"\b(?:previous|prior|history|known|father|brother|pi-?rads|likert|mri|(?:19|20)\d\d)\b", re.IGNORECASE)


def with_read_rest(text: str, sections: Sequence[TextSection]) -> list[TextSection]:
    """Sections that are not read end where specimens begin without a heading of their own; these are findings."""
    cut: list[TextSection] = []
    for section in sections:
        is_list = section.kind is SectionKind.CLINICAL_INFORMATION and _LISTED.search(text, section.start, section.end)
        rest = _specimens_within(text, section) if section.kind in _UNREAD else None
        if rest is None:
            cut.append(section)
            continue
        cut.append(replace(section, end=rest))
        cut.append(TextSection(kind=SectionKind.SPECIMEN_LIST if is_list else SectionKind.MICROSCOPY, start=rest, end=section.end))
    return cut


def _specimens_within(text: str, section: TextSection) -> int | None:
    """Where lines that name a specimen or a site with its diagnosis begin, after the section's own first line."""
    lines = list(_LINE.finditer(text, section.start, section.end))
    listed = _LISTED.search(text, section.start, section.end) if section.kind is SectionKind.CLINICAL_INFORMATION else None
    if listed is not None:
        return listed.start()
    found = [line.start() for line in lines[1:] if _begins_specimens(text, line, section.end)]
    if not found:
        return _told_below(text, section) if section.kind is SectionKind.SPECIMEN_LIST else None
    if section.kind is SectionKind.SPECIMEN_LIST:
        return found[0] if len(found) > 1 else _told_below(text, section)
    stands_apart = text[max(0, found[0] - 80) : found[0]].rstrip(" \t").endswith("\n\n")
    return found[0] if stands_apart or len(found) > 1 else None


_PARAGRAPH = re.compile(r"\n[ \t]*\n[ \t]*(?=\S)")
_LABELLED_LINE = re.compile(r"[(#]?(?:[A-Za-z]|\d{1,2}|[IVX]{1,5})[.):=-]|(?:specimen|part|container|jar|pot)s?\b", re.IGNORECASE)


_PLACED = r"(?:prostat\w*[ ,]+)?(?:left|right|lt|rt|[LR]|base|mid|apex|target|roi|anterior|posterior)\b[^.;\n]{0,40}"
_LISTED = re.compile(
    rf"(?<=\n)[ \t]*(?:1|A|I)[ \t]*[.):=-][ \t]*{_PLACED}(?:[.;]|\s)\s*(?:2|B|II)[ \t]*[.):=-][ \t]*{_PLACED}(?=[.;\n]|\s(?:3|C|III)\b)"
    r"(?![^\n]*(?:carcinoma|benign|gleason|negative|tumou?r))",
    re.IGNORECASE,
)
"""A list of the specimens below clinical details, without a heading: "1 = right base. 2 = right apex."."""


def _told_below(text: str, section: TextSection) -> int | None:
    """Where a paragraph without a label tells what was found, below a list of what was received."""
    for gap in _PARAGRAPH.finditer(text, section.start, section.end):
        following = _PARAGRAPH.search(text, gap.end(), section.end)
        end = following.start() if following else section.end
        if (
            _DIAGNOSTIC.search(text, gap.end(), end)
            and not _LABELLED_LINE.match(text, gap.end())
            and not _OF_THE_PAST.search(text, gap.end(), end)
        ):
            return gap.end()
    return None


_NEAR = 250
_OF_ANOTHER_DATE = re.compile(r"\b(?:previous|prior|history|known|father|brother|(?:19|20)\d\d)\b", re.IGNORECASE)


def _begins_specimens(text: str, line: re.Match[str], end: int) -> bool:
    start = line.start()
    label = _SPECIMEN_LINE.match(text, start, line.end())
    if (_OF_ANOTHER_DATE if label else _OF_THE_PAST).search(line[0]):
        return False
    if _COLUMN_NAMES.match(text, start, line.end()) or (_GLAND_LINE.match(line[0]) and _DIAGNOSTIC.search(line[0])):
        return True
    site = site_heading_at(text, label.end() if label else start, end)
    if site is None and not (label and re.match(r"\s*prostat", text[label.end() : label.end() + 20], re.IGNORECASE)):
        return False
    paragraph = text.find("\n\n", line.end(), end)
    following = min(paragraph if paragraph >= 0 else end, line.end() + _NEAR)
    return _DIAGNOSTIC.search(text, start, following if label else line.end()) is not None


def _joined_forms(text: str, passages: list[Passage]) -> list[Passage]:
    """A form that repeats "Specimen: ... Diagnosis: ..." is one passage: its headings belong to the specimens."""
    passages = _joined_fields(text, _without_false_lists(text, passages))
    passages = _joined_sites(text, _joined_sides(text, passages))
    lists = [p for p in passages if p.role is Role.SPECIMEN_LIST and p.heading and _SPECIMEN_FIELD.match(text, p.heading[0])]
    if len(lists) < 2:
        return passages
    first = lists[0]
    inside = [p for p in passages if p.start >= first.start and p.role in (Role.SPECIMEN_LIST, Role.DIAGNOSIS, Role.FREE)]
    last = inside[-1]
    heading = first.heading or (first.start, first.start)
    form = Passage(role=Role.DIAGNOSIS, start=heading[0], end=last.end)
    before = [p for p in passages if p.end <= heading[0] or p.start < heading[0]]
    after = [p for p in passages if p.start >= last.end]
    return [*before, form, *after]


_IDS_FIRST = re.compile(
    r"[ \t]*#?(?:[A-Za-z]|\d{1,2}|[IVX]{1,5})(?:\s*(?:-|,|&|/|\b(?:to|and|through)\b)\s*(?:and\s+)?(?:[A-Za-z]|\d{1,2}"
    r"|[IVX]{1,5})\b)*\s*(?:[:)=-]|\s(?:is|are|shows?|contains?)\b)",
    re.IGNORECASE,
)


def _without_false_lists(text: str, passages: list[Passage]) -> list[Passage]:
    """ "SPECIMENS 1, 4 AND 6: BENIGN" goes on with the diagnosis: "SPECIMENS" heads no list there."""
    joined: list[Passage] = []
    for passage in passages:
        before = joined[-1] if joined else None
        goes_on = before is not None and _names_specimens_at_once(text, passage)
        is_told = before is not None and before.role in _GOES_ON and _DIAGNOSTIC.search(text, passage.start, passage.end) is not None
        if before is not None and goes_on and (is_told or before.role in _LATER):
            joined[-1] = replace(before, end=passage.end)
        else:
            joined.append(passage)
    return joined


def _names_specimens_at_once(text: str, passage: Passage) -> bool:
    """Whether the labels of specimens follow the heading of a list on its line, and no colon."""
    if passage.role is not Role.SPECIMEN_LIST or passage.heading is None:
        return False
    words = text[slice(*passage.heading)]
    return ":" not in words and "\n" not in words and _IDS_FIRST.match(text, passage.start, passage.end) is not None


def _joined_fields(text: str, passages: list[Passage]) -> list[Passage]:
    """Where "Diagnosis:" stands below the label of one specimen after the other it is a field of each, and no section."""
    fields = [
        index
        for index, p in enumerate(passages)
        if index and p.role is Role.DIAGNOSIS and p.heading and _is_below_label(text, p.heading[0])
    ]
    if len(fields) < 2:
        return passages
    before, last = passages[fields[0] - 1], passages[fields[-1]]
    heading = passages[fields[0]].heading or (passages[fields[0]].start,) * 2
    start = max(before.start, text.rfind("\n", 0, len(text[: heading[0]].rstrip())) + 1)
    form = Passage(role=Role.DIAGNOSIS, start=start, end=last.end)
    head = [replace(before, end=start)] if text[before.start : start].strip() else []
    return [*passages[: fields[0] - 1], *head, form, *passages[fields[-1] + 1 :]]


_SITE_FIELD = re.compile(
    r"^[ \t]*(?:[-*•>][ \t]*)?(?:(?:biopsy|specimen|core)[ \t]+)?(?:site|location|region|area|position|container|core|part"
    r"|label)[ \t]*#?\w{0,3}[ \t]*[:=][ \t]*\S",
    re.IGNORECASE | re.MULTILINE,
)


def _joined_sites(text: str, passages: list[Passage]) -> list[Passage]:
    """Where "Site: ... Diagnosis: ..." repeats, each diagnosis is a field of the site above it, and no section."""
    found = [
        (index, field.start())
        for index, passage in enumerate(passages)
        if index and passage.role is Role.DIAGNOSIS and (field := _last_site(text, passages[index - 1])) is not None
    ]
    if len(found) < 2:
        return passages
    (first, start), (last, _) = found[0], found[-1]
    before = passages[first - 1]
    head = [replace(before, end=start)] if text[before.start : start].strip() else []
    return [*passages[: first - 1], *head, Passage(role=Role.DIAGNOSIS, start=start, end=passages[last].end), *passages[last + 1 :]]


_SIDED_HEADING = re.compile(r"[^:\n]{3,40}?[(,\s-]\s*(?:left|right|lt|rt)\)?(?:[\s-]+sided?)?\s*[:=]", re.IGNORECASE)


def _joined_sides(text: str, passages: list[Passage]) -> list[Passage]:
    """Where "Diagnosis (right):" and "Diagnosis (left):" are headings, they are fields of one form."""
    sided = [i for i, p in enumerate(passages) if p.heading and _SIDED_HEADING.match(text, text.rfind("\n", 0, p.heading[0]) + 1)]
    if len(sided) < 2:
        return passages
    first, last = sided[0], sided[-1]
    heading = passages[first].heading or (passages[first].start,) * 2
    return [*passages[:first], Passage(role=Role.DIAGNOSIS, start=heading[0], end=passages[last].end), *passages[last + 1 :]]


def _last_site(text: str, passage: Passage) -> re.Match[str] | None:
    return next(iter(reversed(list(_SITE_FIELD.finditer(text, passage.start, passage.end)))), None)


def _is_below_label(text: str, heading: int) -> bool:
    above = text[max(0, heading - 400) : heading].rstrip().rsplit("\n", 1)[-1]
    return _GROUP_LINE.match(above) is not None


def _around_comments(text: str, passages: list[Passage]) -> list[Passage]:
    """A comment that is followed by the next specimen's label stands between specimens: the passage goes on after it."""
    joined: list[Passage] = []
    for passage in passages:
        before = joined[-1] if joined else None
        label = (
            _next_label(text, before, passage) if before is not None and passage.role is Role.COMMENT and before.role in _GOES_ON else None
        )
        if before is not None and passage.role is Role.COMMENT and before.role in _GOES_ON and _is_field_comment(text, passage):
            joined[-1] = replace(before, end=passage.end)
            continue
        if label is None or before is None:
            joined.append(passage)
            continue
        aside = (passage.heading[0] if passage.heading else passage.start, label)
        joined[-1] = replace(before, end=passage.end, asides=(*before.asides, aside))
    return joined


_GOES_ON = (Role.DIAGNOSIS, Role.MICROSCOPY, Role.FREE)


_SHORT_COMMENT = re.compile(r"[ \t]*(?=\S)[^\n]{1,60}(?:\n|$)")
_FIELD_BEFORE = re.compile(r"[ \t]*(?:[-*•>][ \t]*)?[A-Za-z%#][^:=\n]{0,44}[:=][^\n]*")


def _is_field_comment(text: str, comment: Passage) -> bool:
    """A short comment that goes on with a line of fields, or with fields on lines of their own, is one of them."""
    if comment.heading is None or _SHORT_COMMENT.match(text, comment.start, comment.end) is None:
        return False
    line_start = text.rfind("\n", 0, comment.heading[0]) + 1
    before = text[line_start : comment.heading[0]].strip(" \t-*•>")
    if before:
        return before[-1] in ";,|" and ":" in before
    above = text[text.rfind("\n", 0, max(line_start - 1, 0)) + 1 : max(line_start - 1, 0)]
    return _FIELD_BEFORE.fullmatch(above) is not None


def _next_label(text: str, before: Passage, comment: Passage) -> int | None:
    for match in _LABEL_LINE.finditer(text, comment.start, comment.end):
        written = match["id"]
        previous = str(int(written) - 1) if written.isdigit() else chr(ord(written) - 1)
        if re.search(rf"^[ \t]*(?:\w+[ \t]+)?[(#]?{previous}[.):\-]|-[ \t]?{previous}[.):]", text[before.start : before.end], re.MULTILINE):
            return match.start()
    return None


def _with_revisions(text: str, passages: list[Passage]) -> list[Passage]:
    """A diagnosis printed again under "REVISED DIAGNOSIS" supersedes the one above it."""
    split: list[Passage] = []
    for passage in passages:
        match = _REVISED.search(text, passage.start, passage.end) if passage.role is Role.DIAGNOSIS else None
        if match is None or not text[passage.start : match.start()].strip():
            split.append(passage)
            continue
        split.append(replace(passage, end=match.start()))
        split.append(Passage(role=Role.AMENDMENT, start=match.end(), end=passage.end, order=passage.order + 1, heading=match.span()))
    return split


def _with_own_headings(text: str, sections: Sequence[TextSection]) -> list[TextSection]:
    """Sections cut once more at headings that only pathology reports of some countries have."""
    cut: list[TextSection] = []
    for section in sections:
        rest = section
        for match in _OWN_HEADINGS.finditer(text, section.start, section.end):
            cut.append(replace(rest, end=match.start()))
            rest = TextSection(
                kind=SectionKind((match.lastgroup or rest.kind).removesuffix("_line")),
                start=match.end(),
                end=section.end,
                heading=match.span(),
            )
        cut.append(rest)
    return cut


_TELLING = (SectionKind.DIAGNOSIS, SectionKind.IMPRESSION, SectionKind.SYNOPTIC, SectionKind.MICROSCOPY, SectionKind.ADDENDUM)


def _with_own_specimens(text: str, sections: list[TextSection]) -> list[TextSection]:
    """ "Outside diagnosis: Gleason 4+5=9." ends with its statement where this report's specimens follow and nothing else heads them."""
    if any(section.kind in _TELLING for section in sections):
        return sections
    cut: list[TextSection] = []
    for section in sections:
        rest = _own_specimens(text, section) if section.kind is SectionKind.COMPARISON and section.heading else None
        if rest is None:
            cut.append(section)
        else:
            cut += (replace(section, end=rest), TextSection(kind=SectionKind.FINDINGS, start=rest, end=section.end))
    return cut


def _own_specimens(text: str, section: TextSection) -> int | None:
    """Where the statement beside the heading is over, if lines that name a specimen or a site follow; a list goes on."""
    lines = list(_LINE.finditer(text, section.start, section.end))
    if not lines or "\n" in text[section.start : lines[0].start()]:
        return None
    first = lines[0].end() - len(lines[0][0].lstrip())
    if _SPECIMEN_LINE.match(text, first, section.end) or site_heading_at(text, first, section.end):
        return None
    begins = next((line.start() for line in lines[1:] if _begins_specimens(text, line, section.end)), None)
    if begins is None:
        return None
    over = (line.start() for before, line in itertools.pairwise(lines) if _is_over(text, before, line))
    return min(begins, next(over, begins))


def _is_over(text: str, before: re.Match[str], line: re.Match[str]) -> bool:
    is_apart = text.count("\n", before.end(), line.start()) > 1
    return is_apart or before[0].rstrip().endswith(".") or _GLAND_LINE.match(line[0]) is not None


def _role(text: str, section: TextSection) -> Role | None:
    if section.kind is SectionKind.ADDENDUM:
        words = text[section.heading[0] if section.heading else section.start : section.end]
        is_amendment = _SURELY_AMENDS.search(words) or (_AMENDS.search(words) and not _NO_CHANGE.search(words))
        return Role.AMENDMENT if is_amendment else Role.ADDENDUM
    if section.heading and _OF_ANOTHER_TIME.search(text[max(0, section.heading[0] - 40) : section.heading[0]]):
        return None
    if section.kind is SectionKind.MICROSCOPY and section.heading and _MICROSCOPIC_DIAGNOSIS.search(text, *section.heading):
        return Role.DIAGNOSIS
    return _ROLES.get(section.kind)


def _with_a_diagnosis(text: str, passages: list[Passage]) -> list[Passage]:
    """Where nothing stands under a heading for the diagnosis, the best of the rest is the diagnosis."""
    for role in (Role.DIAGNOSIS, Role.SYNOPTIC, Role.FREE, Role.MICROSCOPY, Role.SPECIMEN_LIST, Role.COMMENT):
        found = [p for p in passages if p.role is role and _DIAGNOSTIC.search(text, p.start, p.end)]
        if role in (Role.DIAGNOSIS, Role.SYNOPTIC) and found:
            return passages
        if found:
            return [_as_diagnosis(p) if p in found else p for p in passages]
    return passages


def _as_diagnosis(passage: Passage) -> Passage:
    return replace(passage, role=Role.DIAGNOSIS)
