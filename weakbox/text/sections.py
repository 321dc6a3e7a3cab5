"""Cuts a report into sections by its headings, and finds printed scales that must not be read as findings."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from weakbox.records.report import Section, SectionKind
from weakbox.text.lexicon import Hit, Lexicon, load_lexicon, load_words
from weakbox.text.normalise import Normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSection:
    """One section in coordinates of the normalised text; ``start:end`` is the body without its heading.

    ``order`` counts addenda (1, 2, ...) in the order they are marked; 0 is the report itself.
    """

    kind: SectionKind
    start: int
    end: int
    heading: tuple[int, int] | None = None
    order: int = 0


_ADDENDUM_END = "addendum_end"
_BOUNDARY = re.compile(r"(?:^|[\n.!?:;|*_=#>\])•]|--|\d[.)])[ \t]*[*_=#>\-\[]*[ \t]*$")
_LOOSE = re.compile(r"[ \t]*(?:$|\n|[*_=#\-]{2,}|:|-\s|\.\s*\n)")
_COLON = re.compile(r"[ \t]*(?:\([^()\n]{0,60}\)[ \t]*)?(?:[*_]{0,3}:|[*_]{2,3}(?=\s)|[ \t]+-[ \t])")
_LINE_END = re.compile(r"[ \t*_=#\-.>\])]*(?:\n|$)")
_TEXT_FOLLOWS = re.compile(r"[ \t]+(?:[A-Z][a-z]|\d|[AI] |PI-?\s?RADS|[A-Z]{2,3}\s[a-z\d])")
_ANSWER = re.compile(r"[ \t]*(?:positive|negative|pos\b|neg\b|[+-](?:\s|$)|early|yes\b|no\b|n/?a\b|present\b|absent\b)", re.IGNORECASE)
"""A word before a colon in the middle of a line is a field where a bare answer follows ("Contrast: positive")."""
_SPOKEN_HEADINGS = frozenset(("findings", "impression", "conclusion", "indication", "technique"))
_SPOKEN_BODY = re.compile(
    r"[ \t]+(?:the|there (?:is|are)|an?|no|prostate|gland|psa|pi[- ]?rads|pirads|multiple|normal|lesion|elevated|multiparametric|left"
    r"|right)\b",
    re.IGNORECASE,
)
"""What follows a heading that was dictated without its colon."""
_SUMMARY_LEAD = re.compile(r"(?:in (?:summary|conclusion|short)|to (?:summari[sz]e|conclude)|summing up)(?=[ \t]*[,:]?[ \t])")
"""Sums up in running text, without a heading."""
_SUMMARY_GATE = ("in summary", "in conclusion", "in short", "to summari", "to conclude", "summing up")
_ADDENDUM_TAIL = re.compile(r"[^\n:]{0,60}:")


@lru_cache(maxsize=16)
def _headings(language: str) -> Lexicon:
    return Lexicon(load_words(language)["headings"])


def find_sections(text: Normalised, language: str = "en") -> tuple[TextSection, ...]:
    """The sections in the order of the text; together they cover it, printed scales cut out as ``template_legend``."""
    marks = _heading_marks(text, language)
    sections = _without_body(text, _end_leading_addendum(text, _end_legends(text, _between(text, marks))))
    return _with_legends(sections, legend_spans(text, language))


def raw_sections(text: Normalised, sections: tuple[TextSection, ...]) -> tuple[Section, ...]:
    """The same sections with raw offsets; sections with a blank body are left out."""
    records = []
    for section in sections:
        if text.text[section.start : section.end].strip():
            heading = section.heading
            records.append(
                Section(
                    kind=section.kind,
                    body=text.to_raw(section.start, section.end),
                    header=text.to_raw(*heading) if heading and text.text[slice(*heading)].strip() else None,
                )
            )
    return tuple(records)


@dataclass(frozen=True, slots=True)
class _Mark:
    start: int
    end: int
    """End of the heading with its colon: where the body begins."""
    label: str


def _heading_marks(text: Normalised, language: str) -> list[_Mark]:
    marks = []
    for hit in _headings(language).find(text.lower):
        end = _heading_end(text.text, hit)
        if end is not None:
            marks.append(_Mark(hit.start, end, hit.label))
    return _with_summary(text, marks)


def _with_summary(text: Normalised, marks: list[_Mark]) -> list[_Mark]:
    """ "In summary, ..." at the start of a paragraph or line begins the impression where no heading does."""
    if any(mark.label in ("impression", "addendum") for mark in marks) or not any(word in text.lower for word in _SUMMARY_GATE):
        return marks
    for match in _SUMMARY_LEAD.finditer(text.lower):
        if match.start() and text.lower[: match.start()].rstrip(" \t")[-1:] == "\n" and match.end() < len(text.lower):
            return sorted([*marks, _Mark(match.start(), match.end(), "impression")], key=lambda mark: mark.start)
    return marks


def _heading_end(text: str, hit: Hit) -> int | None:
    """Where the body begins if the words are a heading: at a boundary, and with a colon, alone on the line, or in capitals."""
    line_start = text.rfind("\n", 0, hit.start) + 1
    before = text[max(line_start, hit.start - 12) : hit.start]
    if before.strip() and not _BOUNDARY.search(before):
        return None
    colon = _COLON.match(text, hit.end)
    words = text[hit.start : hit.end]
    if colon is not None and _is_field(text, words, colon.end(), is_inside=bool(before.strip())):
        return None
    if colon is not None:
        return colon.end() if _is_title(words, before) or words.isupper() else None
    is_line_start = not before.strip(" \t*_=#->[")
    line_end = _LINE_END.match(text, hit.end) if is_line_start else None
    if line_end is not None:
        return line_end.end()
    if hit.label in ("addendum", _ADDENDUM_END) and is_line_start:
        tail = _ADDENDUM_TAIL.match(text, hit.end)
        return tail.end() if tail else hit.end
    if hit.label == "signature" and is_line_start and words[0].isupper() and " " in words:
        return hit.end
    if is_line_start and words.lower() in _SPOKEN_HEADINGS and _SPOKEN_BODY.match(text, hit.end):
        return hit.end
    if words.isupper() and len(words) > 4 and _followed_by_text(text, hit.end):
        return hit.end
    return None


_FIELD_ANSWERS = {
    "contrast": _ANSWER,
    "assessment": re.compile(r"[ \t]*[1-5](?:[ \t]?/[ \t]?5)?[ \t]*(?:[.,;(\n]|$)"),
}


def _is_field(text: str, words: str, body: int, *, is_inside: bool) -> bool:
    """A heading's word that names a field: with a bare answer in the middle of a line, or with its own kind of value anywhere."""
    own = _FIELD_ANSWERS.get(words.lower())
    return (is_inside and _ANSWER.match(text, body) is not None) or (own is not None and own.match(text, body) is not None)


def _is_title(words: str, before: str) -> bool:
    """A heading in a running paragraph is capitalised; at the start of a line any case does."""
    return words[0].isupper() or not before.strip()


def _followed_by_text(text: str, end: int) -> bool:
    return _TEXT_FOLLOWS.match(text, end) is not None


def _between(text: Normalised, marks: list[_Mark]) -> list[TextSection]:
    length = len(text.text)
    sections: list[TextSection] = []
    if not marks or marks[0].start > 0:
        sections.append(
            TextSection(kind=SectionKind.HEADER if marks else SectionKind.FINDINGS, start=0, end=marks[0].start if marks else length)
        )
    explicit_ends = [mark.start for mark in marks if mark.label == _ADDENDUM_END]
    order, addendum_until = 0, -1
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        end = following.start if following else length
        if mark.label == "addendum":
            order += 1
            addendum_until = next((stop for stop in explicit_ends if stop > mark.start), -1)
        is_inside = mark.start < addendum_until
        kind = SectionKind.ADDENDUM if mark.label == "addendum" or is_inside else _kind(mark.label)
        sections.append(
            TextSection(
                kind=kind, start=mark.end, end=end, heading=(mark.start, mark.end), order=order if kind is SectionKind.ADDENDUM else 0
            )
        )
    return sections


_REPORT_BODY = (SectionKind.FINDINGS, SectionKind.IMPRESSION, SectionKind.DIAGNOSIS, SectionKind.MICROSCOPY, SectionKind.SPECIMEN_LIST)
_BODY_WITHOUT_SUMMARY = (SectionKind.FINDINGS, SectionKind.MICROSCOPY, SectionKind.SPECIMEN_LIST)
_WHOLE_REPORT = re.compile(r"(?:corrected|amended|revised) report")
""""CORRECTED REPORT (replaces that of yesterday)" stands over a whole report, also where only its impression has a heading."""
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def _end_leading_addendum(text: Normalised, sections: list[TextSection]) -> list[TextSection]:
    """An addendum put before a report without headings ends with its paragraph; the rest is the report."""
    index = next((number for number, section in enumerate(sections) if text.text[section.start : section.end].strip()), None)
    if index is None or sections[index].kind is not SectionKind.ADDENDUM:
        return sections
    first = sections[index]
    heading = text.lower[slice(*first.heading)] if first.heading else ""
    body = _BODY_WITHOUT_SUMMARY if _WHOLE_REPORT.search(heading) else _REPORT_BODY
    if any(section.kind in body for section in sections):
        return sections
    lead = len(text.text[first.start : first.end]) - len(text.text[first.start : first.end].lstrip())
    gap = _BLANK_LINE.search(text.text, first.start + lead, first.end)
    if gap is None:
        return sections
    addendum = TextSection(kind=first.kind, start=first.start, end=gap.start(), heading=first.heading, order=first.order)
    rest = TextSection(kind=SectionKind.FINDINGS, start=gap.start(), end=first.end)
    return [*sections[:index], addendum, rest, *sections[index + 1 :]]


def _end_legends(text: Normalised, sections: list[TextSection]) -> list[TextSection]:
    """A printed scale under its heading ends with its paragraph; what follows belongs to the section before the scale."""
    ended: list[TextSection] = []
    kind = SectionKind.FINDINGS
    for section in sections:
        cut = text.text[section.start : section.end] if section.kind is SectionKind.TEMPLATE_LEGEND else ""
        gap = _BLANK_LINE.search(text.text, section.start + len(cut) - len(cut.lstrip()), section.end) if cut.strip() else None
        if gap is None or not text.text[gap.start() : section.end].strip():
            ended.append(section)
        else:
            ended.append(TextSection(kind=section.kind, start=section.start, end=gap.start(), heading=section.heading))
            ended.append(TextSection(kind=kind, start=gap.start(), end=section.end))
        kind = kind if section.kind in (SectionKind.TEMPLATE_LEGEND, SectionKind.ADDENDUM) else section.kind
    return ended


_CONTEXT = (SectionKind.CLINICAL_INFORMATION, SectionKind.COMPARISON, SectionKind.TECHNIQUE)
_HEADED_BODY = (SectionKind.FINDINGS, SectionKind.DIAGNOSIS, SectionKind.MICROSCOPY, SectionKind.SYNOPTIC)
_BODY_WORDS = re.compile(
    r"\b(?:prostate|gland|peripheral|transition|volume|lesions?|targets?|roi|pi-?rads|bi-?rads|zone|vesicles?|capsule|breasts?|mass|cysts?"
    r"|densit\w+|nodules?|calcifications?|lymph|nodes?|enhanc\w+|carcinoma|adenocarcinoma|tumou?r|benign|malignan\w+|gleason|isup|cores?"
    r"|specimens?|tissue|hyperplasia|fibroadenoma|papilloma|phyllodes|acr|sections?|biopsies|excision|mastectomy|prostatectomy|chips"
    r"|fragments?|focus|foci|quadrant|mammogra\w+|ultrasound|mri|left|right)\b"
)
_HISTORY_WORDS = re.compile(
    r"\b(?:psa\b(?! density)|years?|yrs?|y/?o|yo|previous\w*|prior|history|known|father|mother|brother|sister|family|familial"
    r"|referred|referral"
    r"|question\w*|rule out|palpable|screening|therapy|treated|treatment|dre|symptom\w*|complain\w*|elevated|rising|surveillance|pre-?op\w*"
    r"|post-?op\w*|status post|brca\d?|suspicion of|clinical\w*|indication|staging|medication|finasteride|requested?|request|before"
    r"|patients?|he|she|his|her|man|woman|since|months?|weeks?|(?:19|20)\d\d)\b|\?|\d{1,2}[./-]\d{1,2}[./-]\d{2}"
)
_TECHNIQUE_WORDS = re.compile(
    r"\b(?:t1\w*|t2\w*|dwi|adc|dce|sequences?|axial|sagittal|coronal|coil|tesla|[13](?:[.,]5)? ?t|gadolinium\w*|contrast|protocol"
    r"|slices?|planes?"
    r"|b-?values?|b ?\d{3,4}|gadovist|dotarem|clariscan|prohance|gauge|needle|fixed|stain\w*|h&?e|formalin|digital|views?"
    r"|projections?|mlo|cc"
    r"|tomosynthesis|probe|mhz|compared|comparison|mr[it]? of|quality|artefacts?|artifacts?|spasmolytic|buscopan|enema|ml of|administ\w+"
    r"|injection|acquired|performed|obtained|examination|subtraction)\b"
)
_BULLET_LINE = re.compile(r"[ \t]*(?:[-*•>+]|\(?\d{1,2}[.)])[ \t]")


def _without_body(text: Normalised, sections: list[TextSection]) -> list[TextSection]:
    """History, comparison and technique end where the report's body follows without a heading of its own.

    A report whose body has its heading keeps its sections as they are headed.
    """
    if any(section.kind in _HEADED_BODY and section.heading is not None for section in sections):
        return sections
    cut: list[TextSection] = []
    for section in sections:
        body = _body_start(text, section) if section.kind in _CONTEXT else None
        if body is None:
            cut.append(section)
        else:
            first = TextSection(kind=section.kind, start=section.start, end=body, heading=section.heading, order=section.order)
            cut += (first, TextSection(kind=SectionKind.FINDINGS, start=body, end=section.end))
    return cut


def _body_start(text: Normalised, section: TextSection) -> int | None:
    """The first line below the heading's own, or below its first paragraph, that speaks of organ or tissue and of no history."""
    lines = [(match.start(), match.end()) for match in _FULL_LINE.finditer(text.lower, section.start, section.end)]
    is_first_paragraph = bool(lines) and "\n" not in text.text[section.start : lines[0][0]]
    for before, (start, end) in itertools.pairwise(lines):
        is_paragraph = text.text.count("\n", before[1], start) > 1
        is_first_paragraph = is_first_paragraph and not is_paragraph
        if is_paragraph:
            gap = _BLANK_LINE.search(text.text, end, section.end)
            is_body = _is_body_paragraph(text.lower, start, gap.start() if gap else section.end)
        else:
            is_body = is_first_paragraph and _is_body_line(text.lower, start, end, section.kind)
        if is_body:
            return start
    return None


_FULL_LINE = re.compile(r"[^\n]*\S[^\n]*")
_FIRST_SENTENCE = re.compile(r"[^\n]*?(?:[.;](?=\s)|(?=\n|$))")


def _is_body_paragraph(lower: str, start: int, end: int) -> bool:
    if _BODY_WORDS.search(lower, start, end) is None:
        return False
    return _HISTORY_WORDS.search(lower, start, _sentence_end(lower, start, end)) is None


def _is_body_line(lower: str, start: int, end: int, kind: SectionKind) -> bool:
    """A line of the heading's own paragraph must not go on with the history, or with how the images were made."""
    stop = _sentence_end(lower, start, end)
    if _HISTORY_WORDS.search(lower, start, stop) or _BULLET_LINE.match(lower, start, end):
        return False
    if kind is not SectionKind.CLINICAL_INFORMATION and _TECHNIQUE_WORDS.search(lower, start, stop):
        return False
    return _BODY_WORDS.search(lower, start, end) is not None


def _sentence_end(lower: str, start: int, end: int) -> int:
    sentence = _FIRST_SENTENCE.match(lower, start, end)
    return sentence.end() if sentence else end


def _kind(label: str) -> SectionKind:
    return SectionKind.OTHER if label == _ADDENDUM_END else SectionKind(label)


_SCALE_ENTRY = re.compile(
    r"(?:\b(?:pi-?rads|likert|bi-?rads|score|category|grade group|isup|grade)\s*(?:v\d(?:\.\d)?\s*)?(?:score|category|"
    r"assessment)?\s*[:#]?\s*|(?<![\d.,/x+-])(?<!\d )|^)"
    r"(?P<score>[0-5](?!\d)|(?:i{1,3}|iv|v)(?=[ :=.)-]))\s*(?:[-:=.()|]|\bis\b|\bmeans\b)*\s*(?:\()?(?P<words>[a-z][a-z ,/()]{2,60})"
)


def legend_spans(text: Normalised, language: str = "en") -> list[tuple[int, int]]:
    """Stretches that print a scale: three or more neighbouring entries whose scores rise (or fall) by one."""
    lower = text.lower
    if not any(word in lower for word in load_words(language)["legend_gate"]):
        return []
    words = load_lexicon(language, "legend_words")
    entries = [match for match in _SCALE_ENTRY.finditer(lower) if _is_scale_words(words, match["words"])]
    spans: list[tuple[int, int]] = []
    run: list[re.Match[str]] = []
    for match in entries:
        if run and not _continues(run, match):
            spans += _legend_of(run, text)
            run = []
        run.append(match)
    return spans + _legend_of(run, text)


def _is_scale_words(words: Lexicon, cut: str) -> bool:
    hits = words.find(cut)
    return bool(hits) and hits[0].start <= 25


_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}


def _score(match: re.Match[str]) -> int:
    return _ROMAN.get(match["score"]) or int(match["score"])


_OF_A_FINDING = re.compile(r"\d[\s-]?[mc]m\b|\b(?:left|right)\b|lesion|\bt2\b")
"""Between two scores this tells a list of findings, each headed by its score, from a printed scale."""


def _continues(run: list[re.Match[str]], match: re.Match[str]) -> bool:
    if _OF_A_FINDING.search(match.string, run[-1].start(), match.start()):
        return False
    step = _score(match) - _score(run[-1])
    is_near = match.start() - run[-1].end() < 160
    if len(run) == 1:
        return is_near and step in (1, -1)
    return is_near and step == _score(run[1]) - _score(run[0])


def _legend_of(run: list[re.Match[str]], text: Normalised) -> list[tuple[int, int]]:
    if len(run) < 3:
        return []
    last = run[-1].end()
    ends = [position for position in (text.text.find("\n", last), text.text.find(". ", last)) if position >= 0]
    return [(run[0].start(), min(ends) if ends else len(text.text))]


def _with_legends(sections: list[TextSection], legends: list[tuple[int, int]]) -> tuple[TextSection, ...]:
    if not legends:
        return tuple(sections)
    pieces: list[TextSection] = []
    for section in sections:
        position = section.start
        for start, end in legends:
            if start >= section.end or end <= section.start or section.kind is SectionKind.TEMPLATE_LEGEND:
                continue
            first, last = max(start, position), min(end, section.end)
            if first > position:
                pieces.append(TextSection(kind=section.kind, start=position, end=first, heading=section.heading, order=section.order))
            pieces.append(TextSection(kind=SectionKind.TEMPLATE_LEGEND, start=first, end=last))
            position = last
        if position < section.end or position == section.start:
            pieces.append(TextSection(kind=section.kind, start=position, end=section.end, heading=section.heading, order=section.order))
    return tuple(pieces)
