"""How much of a specimen is tumour: the highest percentage and the greatest length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from weakbox.extractors.grammar.pathology.facts import Fact, TextRange, holds
from weakbox.extractors.grammar.pathology.numbers import DIGITS, WORDED, read_number

_NUMBER = DIGITS
_ANY = rf"(?:{DIGITS}|\b{WORDED}\b)"
_MM = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_PERCENT = re.compile(
    r"(?=[<>\d]|\b[aefnlostu])"
    rf"(?P<bound><\s*/?=?\s*|>\s*|\bless than\s+|\bup to\s+|\bunder\s+)?(?<![\d.,/+])(?P<value>{_ANY})[ \t]*(?:%|percent\b"
    rf"|per ?cent\b)?(?:\s*(?:-|–|\bto\b)\s*(?P<upper>{_ANY}))?[ \t]*(?:%|percent\b|per ?cent\b)",
    re.IGNORECASE,
)
_PERCENT_FIELD = re.compile(
    rf"(?P<name>(?:(?<!\d)(?<!\d[ \t])%|\bpercent\w*|\bper ?cent\b)(?:[^:=\n\d.;]|\.(?=\s[a-z])){{0,45}}?)(?:[:=]|\bis\b"
    rf"|(?<=percentage)(?=\s)"
    rf"|(?<=%)(?=\s)|[ \t]{{2,}}(?=\d))\s*(?P<bound><\s*"
    rf"|>\s*)?(?P<value>{DIGITS})(?:\s*-\s*(?P<upper>{DIGITS}))?"
    r"(?!\s*(?:mm|cm|/|%|\+|\d|of\b|percent))",
    re.IGNORECASE,
)
"""A form that gives the unit with the field's name: "Maximum % core involvement: 85"."""
_MAY_BE_FIELD = re.compile(r"%(?<!\d%)(?<!\d %)|percent|per cent", re.IGNORECASE)
_LENGTH_FIELD = re.compile(
    rf"(?=[^:=\n]{{0,60}}(?:tumou?r|cancer|carcinoma|linear|max\w*|longest|greatest"
    rf"|involve\w+)\b)(?<![\w.])(?![^:=\n]*(?:\bcores?\s+length|margin|specimen|gland|node))"
    rf"(?:[A-Za-z%][\w%/-]*[,\s(\[]+){{0,5}}(?<!\d)(?<!\d\s)(?P<unit>{_MM})\b[)\]]?[^:=\n\d]{{0,25}}[:=]\s*(?P<value>{DIGITS})(?!\s*(?:{_MM}|%|/|\d))",
    re.IGNORECASE,
)
_OF_ALL_CORES_BEFORE = re.compile(
    r"\b(?:total|aggregate|combined|cumulative|overall|summed|sum\s+of)\b(?:\s+(?!core\b)\w+){0,4}[\s:=(]*(?:of\s+|is\s+|was\s+)?$",
    re.IGNORECASE,
)
_OF_ALL_CORES_AFTER = re.compile(
    r"^\s*(?:\(?\s*(?:of|/|out of)\s+\d{1,3}(?:[.,]\d)?\s*mm\)?)?\s*,?\s*\(?(?:overall|in\s+total|total\b|in\s+aggregate|aggregate"
    r"|combined|in\s+all|altogether|cumulative)",
    re.IGNORECASE,
)
_NOT_A_SHARE = re.compile(
    r"\bpattern|\bgleason\s*(?:grade\s*)?[345]\b(?!\s*\+)|\bgrade\s+[345]\b(?!\s*\+)|\bcribriform|\bki-?67|\bpsa\b|\bfree\b|\bsurviv"
    r"|\brisk\b|\bhigh[- ]grade component|\btertiary|\bprobab|\bGP\s?[345]\b|\b[345]\s*[:=]\s*$|\bmargin|\bPTEN\b|\bERG\b",
    re.IGNORECASE,
)
_PATTERN_IN_BRACKETS = re.compile(r"\bpatterns?\b(?:[^.;\n]{0,40}\b(?:with|and|,))?[^.;\n\d]{0,15}\b[345]\s*\([^()]{0,8}\Z", re.IGNORECASE)
""" "The pattern is 4 (60%) with 3 (40%)"."""
_PATTERN_AFTER = re.compile(
    r"^\s*\)?\s*(?:of\s+)?(?:the\s+)?(?:high[- ]grade\s+)?(?:gleason\s+)?(?:pattern|grade|gleason|GP)\s*[345]\b(?!\s*\+)|^\s*"
    r"(?:each\s+)?(?:pattern|cribriform)",
    re.IGNORECASE,
)
_CLAUSE_ENDS = re.compile(r"[;\n,()]|\.\s")

_LENGTH = re.compile(
    rf"(?=\d|\b[aefnost])(?<![\d.,/+])(?P<value>{_ANY})(?:\s*{_MM})?(?:\s*(?:-|–|\bto\b)\s*(?P<upper>{_ANY}))?(?P<more>(?:\s*(?:x|by)\s*{_NUMBER}"
    rf"(?:\s*{_MM})?){{0,2}})[\s-]*(?P<unit>{_MM})\b",
    re.IGNORECASE,
)
_OF_CORE = re.compile(
    rf"(?=\d)(?<![\d.,/+])(?P<value>{_NUMBER})\s*(?P<unit>{_MM})?\s*(?:/|\bof\b|\bout of\b|\bin\b|\bover\b)\s*(?:an?\s+|the\s+|total\s+"
    rf"(?:of\s+)?|one\s+)*(?P<whole>{_NUMBER})\s*-?(?P<whole_unit>{_MM})\b",
    re.IGNORECASE,
)
_CORE_LENGTH_AFTER = re.compile(
    r"^[ \t-]*(?:long\s+|in length\s+)?(?:needle\s+|tissue\s+|biopsy\s+|prostat\w+\s+)*(?:cores?|cylinders?|strips?|fragments?|pieces?"
    r"|tissue|biops(?:y|ies)|from|away)\b",
    re.IGNORECASE,
)
_NOT_TUMOUR_BEFORE = re.compile(
    r"\b(?:cores?\s+(?:length|size|measur\w+)|length of (?:the )?(?:core|tissue|biopsy|specimen)|(?:cores?|fragments?|pieces?|tissue"
    r"|biops\w+|specimens?|gland|prostate)\s+(?:\w+\s+){0,2}(?:length|size|dimension\w*|measur\w+)"
    r"|margins?|distance|nod(?:e|al)|extraprostatic|EPE|capsul\w+|weigh\w*|cores? of(?!\s*\d))[^.;\n]{0,40}$",
    re.IGNORECASE,
)
_SHARE_OF_LENGTH = re.compile(
    r"%\s+(?:of\s+)?(?:the\s+)?(?:\w+\s+){0,2}(?:cores?|tissue|biops\w+|specimen)\s*(?:length|tissue|volume|area)?", re.IGNORECASE
)
_CANCER_CORE_LENGTH = re.compile(
    r"\b(?:cancer|tumou?r|carcinoma|involv\w+)\s+(?:\w+\s+)?(?:core\s+)?length[^.;\n]{0,25}$|\bmax(?:imum|imal"
    r"|\.)?\s+core\s+(?:length|extent)\s*[:=]?\s*(?:of\s+|is\s+)?$|\bMCCL[^.;\n]{0,15}$|tumou?r[^.;\n]{0,25}$",
    re.IGNORECASE,
)
_TUMOUR_WORDS = re.compile(
    r"\b(?:tumou?r|cancer|carcinoma|adenocarcinoma|involv\w+|focus|foci|nodule|lesion|linear|extent|spanning|span|MCCL|malignan\w+"
    r"|dominant|index|invaded|occup\w+|replac\w+|infiltrat\w+|affected)\b",
    re.IGNORECASE,
)
_AFFECTED = re.compile(
    r"\s*(?:is |are )?(?:focus|foci|involved|invaded|infiltrated|affected|of (?:tumou?r|cancer|carcinoma)|tumou?r|cancer)", re.IGNORECASE
)
_MARGIN = re.compile(r"\bmargin|\bextraprostatic|\bEPE\b|\bnod(?:e|al)\b|\bmetast", re.IGNORECASE)
_DISCONTINUOUS = re.compile(r"\bdiscontinuous|\bnon-?contiguous|\bspanning\b", re.IGNORECASE)


_OF_SHARES, _OF_LENGTHS = ("%", "cent"), ("mm", "cm", "met")
"""Without one of these, in whatever case, no share and no length is given."""


def read_percent(text: str, start: int, end: int) -> Fact | None:
    """The highest share of a core (or of the gland) that is tumour; shares of a Gleason pattern are left out."""
    best: Fact | None = None
    if not holds(text, _OF_SHARES, start, end):
        return None
    fields = _PERCENT_FIELD.finditer(text, start, end) if _MAY_BE_FIELD.search(text, start, end) else ()
    for match in (*_PERCENT.finditer(text, start, end), *fields):
        if _is_pattern_share(text, match, start, end):
            continue
        values = [read_number(match[name]) for name in ("value", "upper") if match[name]]
        flags: tuple[str, ...] = ("range",) if len(values) > 1 or match["bound"] else ()
        if max(values) <= 100 and (best is None or max(values) > best.number):
            best = Fact(value=_plain(max(values)), spans=(_trimmed(text, match.span()),), confidence=0.95, rule="percent", flags=flags)
    return best


def _is_pattern_share(text: str, match: re.Match[str], start: int, end: int) -> bool:
    before = _CLAUSE_ENDS.split(text[max(start, match.start() - 60) : match.start()])[-1]
    if "name" in match.re.groupindex:
        before += match["name"]
    following = text[match.end() : min(end, match.end() + 40)]
    if _PATTERN_IN_BRACKETS.search(text, max(start, match.start() - 60), match.start()):
        return True
    return bool(_NOT_A_SHARE.search(before) or _PATTERN_AFTER.match(following))


def read_length(text: str, start: int, end: int, *, needs_tumour_word: bool) -> Fact | None:
    """The greatest tumour length, mm; lengths of cores, margins, nodes and specimens are left out.

    ``needs_tumour_word``: for whole glands and chips, where most measurements are not of the tumour.
    """
    best: Fact | None = None
    if not holds(text, _OF_LENGTHS, start, end):
        return None
    found = list(_lengths(text, start, end, needs_tumour_word))
    of_tumour = [length for length in found if _TUMOUR_WORDS.search(_sentence(text, length[1], start, end))]
    found = of_tumour or found
    for value, span, is_range in [one for one in found if not _is_of_all_cores(text, one[1], start, end)] or found:
        if best is None or value > best.number:
            flags = ("range",) if is_range else ()
            best = Fact(value=_plain(value), spans=(_trimmed(text, span),), confidence=0.93, rule="length", flags=flags)
    if best is not None and _DISCONTINUOUS.search(text, start, end):
        return Fact(value=best.value, spans=best.spans, confidence=0.8, rule="length", flags=(*best.flags, "discontinuous"))
    return best


def _is_of_all_cores(text: str, span: TextRange, start: int, end: int) -> bool:
    """A length that is added up over the cores."""
    before = _CLAUSE_ENDS.split(text[max(start, span[0] - 60) : span[0]])[-1]
    return bool(_OF_ALL_CORES_BEFORE.search(before) or _OF_ALL_CORES_AFTER.match(text[span[1] : min(end, span[1] + 40)]))


def _sentence(text: str, span: TextRange, start: int, end: int) -> str:
    first = max(text.rfind(". ", start, span[0]), text.rfind("\n", start, span[0]), start - 1) + 1
    stops = [stop for stop in (text.find(". ", span[1], end), text.find("\n", span[1], end)) if stop >= 0]
    return text[first : min(stops, default=end)]


_UNIT_IN_NAME = re.compile(r"\b(?=[cm])(?:mm|cm)\b[)\]]?[^:=\n\d]{0,25}[:=]", re.IGNORECASE)


def _length_fields(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    for name in _UNIT_IN_NAME.finditer(text, start, end):
        first = max(start, text.rfind("\n", start, name.start()) + 1)
        line_end = text.find("\n", name.end(), end)
        match = _LENGTH_FIELD.search(text, first, line_end if line_end >= 0 else end)
        if match is not None:
            yield match


def _lengths(text: str, start: int, end: int, needs_tumour_word: bool) -> Iterator[tuple[float, TextRange, bool]]:
    for match in _length_fields(text, start, end):
        yield _mm(match["value"], match["unit"]), match.span(), False
    fractions = [match for match in _OF_CORE.finditer(text, start, end) if _is_part(match)]
    for match in fractions:
        yield _mm(match["value"], match["unit"] or match["whole_unit"]), match.span(), False
    for match in _LENGTH.finditer(text, start, end):
        if any(fraction.start() <= match.start() < fraction.end() for fraction in fractions) or not _is_tumour(
            text, match, start, end, needs_tumour_word
        ):
            continue
        numbers = [match["value"], *re.findall(_NUMBER, match["more"] or "")]
        if match["upper"]:
            numbers.append(match["upper"])
        yield max(_mm(number, match["unit"]) for number in numbers), match.span(), bool(match["upper"])


def _is_part(match: re.Match[str]) -> bool:
    return _mm(match["value"], match["unit"] or match["whole_unit"]) <= _mm(match["whole"], match["whole_unit"])


def _is_tumour(text: str, match: re.Match[str], start: int, end: int, needs_tumour_word: bool) -> bool:
    line_start = max(start, text.rfind("\n", start, match.start()) + 1, match.start() - 90)
    before, after = text[line_start : match.start()], text[match.end() : min(end, match.end() + 40)]
    before = _SHARE_OF_LENGTH.sub(lambda share: " " * len(share[0]), before)
    if _CORE_LENGTH_AFTER.match(after):
        return False
    if _NOT_TUMOUR_BEFORE.search(before) and not _CANCER_CORE_LENGTH.search(before):
        return False
    sentence = re.split(r"[.;]\s", before)[-1]
    if needs_tumour_word:
        return bool(_TUMOUR_WORDS.search(sentence) or _AFFECTED.match(after)) and not _MARGIN.search(sentence)
    return not _MARGIN.search(sentence)


def _mm(number: str, unit: str) -> float:
    return read_number(number) * (10.0 if unit.lower().startswith("c") else 1.0)


def _plain(value: float) -> float | int:
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def _trimmed(text: str, span: TextRange) -> TextRange:
    cut = text[span[0] : span[1]]
    return span[0] + len(cut) - len(cut.lstrip()), span[1] - len(cut) + len(cut.rstrip())
