"""Headings that name a specimen by its site alone: ``Left base:``, ``ROI 1 (left mid PZ):``, ``Right-sided cores show``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from weakbox.extractors.grammar.pathology.places import location_facts
from weakbox.extractors.grammar.pathology.targets import TARGET_WORDS
from weakbox.text.normalise import Normalised

_SITE_WORD = re.compile(
    r"""(?:left|right|lt|rt|bilateral|midline|base|basal|mid(?:dle|gland|zone)?|mid-gland|apex|apical|lateral|medial|anterior|posterior|postero-?lateral|postero-?medial|antero-?lateral|antero-?medial|far
    |peripheral|transition(?:al)?|central|zones?|pz|tz|cz|afs|afms|fibromuscular|stroma|horn|para-?sagittal|paramedian|prostat(?:e|ic)|gland|lobes?|hemi-?(?:prostate|gland)|half|sides?|sided|(?:left|right)-sided|regions?|areas?|sectors?
    |biops(?:y|ies)|bx|bxs|needle|cores?|trucut|tru-cut|targets?|targeted|roi|interest|lesions?|mri|mr|us|fusion|guided|systematic|random|saturation|template|trans(?:perineal|rectal)|trus|sites?|locations?
    |nodules?|index|pi-?rads|score|likert|seminal|vesicles?|pz[aplm]{1,2}|tz[ap]|ant|post|lat|med|all|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|number|the|of|from|in|and|to|at|x|no|samples?|additional|extra|pelvic|lymph|nodes?|obturator|external|internal|iliac|margins?|packet|excision|dissection|[lr][lm]?[bma](?![\w'])
    |labell?ed|designated|marked|taken|obtained|received|submitted|sampled|on|contributed|being|which|were|those|both|as
    |[lr](?![\w.]?\w)|[a-h](?![\w'])|\d{1,2}(?![.,]?\d|\s*\+|\s*%|\s*/\s*\d|\s*mm|\s*cm)|x\d{1,2}|\#\d{1,2}|i{1,3}(?!\w)|iv|v(?!\w))(?![\w'])""",
    re.IGNORECASE | re.VERBOSE,
)
_GAP = re.compile(r"[ \t,/()&+#\-\[\]\"'“”‘’]*")
_BRACKETED_GAP = re.compile(r"[ \t,;/()&+#\-\[\]\"'“”‘’]*")
_LEAD = re.compile(
    r"[ \t]*(?:[-*•>]\s*)?(?:(?:biopsy\s+|specimen\s+|core\s+)?(?:site|location|region|area"
    r"|position)\s*(?:no\.?\s*)?\d{0,2}\s*[:=]\s*|(?:(?:the\s+)?(?:sections?|slides?|cores?|biops(?:y|ies)|specimens?|samples?|tissue"
    r"|fragments?|levels?)\s+"
    r"(?:taken\s+|received\s+|obtained\s+|labell?ed\s+(?:as\s+)?)?(?:from|of|at)\s+|from\s+|in\s+|at\s+|on\s+|of\s+|for\s+)(?:the\s+)?)?",
    re.IGNORECASE,
)
_TERMINATOR = re.compile(
    r"[ \t)\]\"'”’]*(?:[:=|]|\t|\s-\s|-\s|\n|$|\.\s|\s{2,}|(?:shows?|showing|contains?|containing|reveals?|demonstrates?|with|are|is"
    r"|were|yield(?:s|ed)?|harbou?r(?:s|ed)?"
    r"|was|has|have|had|all)\b)",
    re.IGNORECASE,
)
_DIAGNOSTIC_AHEAD = re.compile(
    r"[ \t,;:()\-]*(?:(?:small|focal|prostatic|acinar|chronic|acute|granulomatous|high[- ]grade|no|negative|positive|neg|benign|adeno\w*"
    r"|carcinoma|atypical|ASAP|HGPIN|PIN|gleason|GS|GG\s?\d|grade|isup|insufficient|malignan\w+|cancer|tumou?r|fibromuscular"
    r"|hyperplas\w+|inflamm\w*|prostatitis)\b|\d\s*\+\s*\d|\d{1,2}\s*/\s*\d{1,2})",
    re.IGNORECASE,
)
_NODES = re.compile(r"\b(?:lymph\s+)?nodes?\b", re.IGNORECASE)
_UNITS = re.compile(r"(?:^|(?<=\n)|(?<=[.;:]\s)|(?<=[.;])|(?<=\),\s)|(?<=,\s)(?=[LR][LM]?[BMA]\s))(?=\S|[ \t]+\S)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHeading:
    """Words at ``start:end`` that are nothing but a site; ``body`` is where the text about it begins."""

    start: int
    end: int
    body: int
    is_line: bool
    """Whether it stands alone on its line: it may head several lines below."""


def site_headings(text: str, start: int, end: int) -> list[SiteHeading]:
    """Every stretch at the start of a line or sentence of ``text[start:end]`` that is nothing but a site, in order."""
    headings: list[SiteHeading] = []
    for unit in {match.start(): match for match in _UNITS.finditer(text, start, end)}:
        heading = site_heading_at(text, unit, end)
        if heading is not None and text[unit - 2 : unit] == ", " and text[heading.end : heading.end + 1] == ".":
            continue
        if heading is not None and (not headings or heading.start >= headings[-1].body):
            headings.append(heading)
    return headings


def site_heading_at(text: str, position: int, end: int) -> SiteHeading | None:
    """The site heading that begins at ``position``; None where other words stand there, or where it names no place."""
    lead = _LEAD.match(text, position, end)
    first = lead.end() if lead else position
    last = _vocabulary_end(text, first, end)
    if last == first:
        return None
    terminator = _TERMINATOR.match(text, last, end)
    if terminator is None and not _DIAGNOSTIC_AHEAD.match(text, last, end):
        return None
    if not _names_a_place(text[first:last]):
        return None
    body = terminator.end() if terminator else last
    rest_of_line = text[body : _line_end(text, body, end)] if not (terminator and "\n" in terminator[0]) else ""
    return SiteHeading(start=first, end=last, body=body, is_line=not rest_of_line.strip())


_LONGEST_SITE = 300
_CLOSING = re.compile(r"[ \t]*[)\]]")


def _vocabulary_end(text: str, start: int, end: int) -> int:
    position = reached = start
    end = min(end, start + _LONGEST_SITE)
    while True:
        is_bracketed = text.count("(", start, position) > text.count(")", start, position)
        gap = (_BRACKETED_GAP if is_bracketed else _GAP).match(text, position, end)
        word = _SITE_WORD.match(text, gap.end() if gap else position, end)
        if word is None:
            break
        position = reached = word.end()
    closing = _CLOSING.match(text, reached, end)
    return closing.end() if closing and "(" in text[start:reached] else reached


def _line_end(text: str, position: int, end: int) -> int:
    found = text.find("\n", position, end)
    return end if found < 0 else found


_ONLY_SIDE = re.compile(r"[LR][Tt]?\.?|(?:left|right)", re.IGNORECASE)
_COUNTED_NODES = re.compile(r"[\d\s/]+(?:of|out|/|nodes?|lymph)|(?:one|two|three|four|five|six|seven|eight|nine|ten)\s", re.IGNORECASE)


def _names_a_place(words: str) -> bool:
    return (
        bool(location_facts(words, 0, len(words)))
        or _ONLY_SIDE.fullmatch(words) is not None
        or TARGET_WORDS.search(words) is not None
        or (_NODES.search(words) is not None and _COUNTED_NODES.match(words) is None)
    )


_BEFORE_LABEL = re.compile(
    r" (?=(?:parts?|specimens?|containers?|samples?|jars?|vials?|pots?|bottles?)[ #(\[]+(?:[A-Z]|\d{1,2})"
    r"(?:\s?(?:-|to|,)\s?(?:[A-Z]|\d{1,2}))?[)\]]?\s*[-:.)(]|(?:core|bx)[ #]*\d{1,2}\s*:)",
    re.IGNORECASE,
)
_BEFORE_ROW = re.compile(r" (?=(?:[A-Z]|[a-z](?=[.):])|\d{1,2}|[IVX]{2,5})(?:[.):]{1,2}(?:[ \t]|-)|[ ]?[/|=–-][ \t]))")
"""Where a row or a labelled item begins; whether a line began there is seen in the raw text."""
_CORE_LINE = re.compile(r"(?<![^\n])[ \t]*(?:[-*•][ \t]*)?(?:core|bx|biopsy)[ #]*\d{1,2}\s*[:.)=-]", re.IGNORECASE)
_BLANK = re.compile(r" (?=\S)")
_AFTER_BRACKET = re.compile(r" (?<=\] )(?=[A-Z])")
_LINE_MAY_BEGIN = re.compile(r" (?=[^\s:][^:\n]{1,70}:)")


_KEY_JOINT = re.compile(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])")
"""A dump of fields writes "SPECIMEN_A_SITE=LEFT BASE"."""


_BLANK_LINE = re.compile(r"\n[ \t]+(?=\n)")
"""Blanks on a line of their own become line ends, so that a paragraph ends where it seems to."""


def with_site_lines(text: Normalised) -> str:
    """The text with a line end where the raw text has one before a site heading; un-wrapping takes long lists for prose."""
    characters = _KEY_JOINT.sub(" ", text.text) if "_" in text.text else text.text
    for match in _LINE_MAY_BEGIN.finditer(text.text):
        at = match.start()
        if not text.text[at - 1 : at].strip() or "\n" not in text.to_raw(at - 1, at + 2).cut(text.raw).replace("\r", "\n"):
            continue
        heading = site_heading_at(text.text, at + 1, min(len(text.text), at + 120))
        if heading is not None and text.text[heading.end : heading.end + 2].lstrip(" )").startswith(":"):
            characters = f"{characters[:at]}\n{characters[at + 1 :]}"
    return _BLANK_LINE.sub(lambda match: "\n" * len(match[0]), _with_listed_lines(text, characters))


def _with_listed_lines(text: Normalised, characters: str) -> str:
    """A line end where the raw text has one before a specimen's label and after a line that speaks of one core."""
    blanks = [match.start() for pattern in (_BEFORE_LABEL, _BEFORE_ROW, _AFTER_BRACKET) for match in pattern.finditer(text.text)]
    for line in _CORE_LINE.finditer(text.text):
        blanks += [match.start() for match in _BLANK.finditer(text.text, line.end(), _line_end(text.text, line.end(), line.end() + 300))]
    for at in blanks:
        if at and text.text[at - 1].strip() and "\n" in text.to_raw(at - 1, at + 2).cut(text.raw).replace("\r", "\n"):
            characters = f"{characters[:at]}\n{characters[at + 1 :]}"
    return characters


def is_site(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is nothing but words for a site or a target."""
    return not text[_vocabulary_end(text, start, end) : end].strip(" \t,;:()-") and _names_a_place(text[start:end])
