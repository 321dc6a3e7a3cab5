"""BI-RADS categories and breast density as words state them, with the side that a category is tied to."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from weakbox.terminology.birads import worst

_WORDS = {
    **dict(zip(("zero", "one", "two", "three", "four", "five", "six"), "0123456", strict=True)),
    **dict(zip(("i", "ii", "iii", "iv", "v", "vi"), "123456", strict=True)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryMention:
    """A BI-RADS category at ``start:end``; ``side`` where side and number are one token ("L 4A", "right: 2")."""

    value: str
    start: int
    end: int
    side: str | None = None
    is_range: bool = False
    is_ambiguous: bool = False
    is_bare: bool = False
    """Without the system's name beside it."""


_NAME = r"(?:\bb\s?[il1]?[- ]?\s?-?rad[s5]?(?:tm|®|\s?\(r\))?|\bbirads?(?:tm)?)"
_FILLER = (
    r"(?:\s*(?:[:=#(),*]|\|(?!\s*\n)|-(?!\d{1,2}[- ]?month)|\.(?=\s?:)|>|\b(?:acr|us-?|final|overall|combined|assessment|categor(?:y|"
    r"ies)|categori[sz]ed|cat\.?|score[ds]?|code|"
    r"class(?:ification|ified|e)?|grade|rating|stage|level|is|are|was|were|of|as|to|at|in|on|for|the|a|both|each|breasts?|sides?|"
    r"mammogra\w+|"
    r"ultraso\w+|sonogra\w+|mri|mr|result|value|descriptor|diagnostic|after|according|no\.?|number|nr\.?|assigned|therefore|now|"
    r"remains?|by|and|"
    r"axilla|finding|lesion|current|today|this|exam(?:ination)?|study|atlas|edition|recommendation|suspicion|type|group|system|lexicon|"
    r"v\.?|version|"
    r"(?:5th|fifth|4th|2013|2025)(?: ed(?:ition|\.)?)?|left|right|bilateral(?:ly)?|lt|rt|[lr](?=\s?[:=-]?\s?[0-6]))\b)){0,14}?\s*"
)
_TAIL = (
    r"(?![\w]|[.,]\d|:\d\d|\s?(?:mm|cm|%|o'?\s?clock|x\s?\d|-?\s?months?\b|-?\s?mo\b|-?\s?weeks?\b|-?\s?years?\b|views?\b|images?\b|"
    r"th\b|st\b|nd\b|rd\b|lesions? (?:are|have))|-(?:year|month|week|view)|/\d\d|/20\d\d)"
)
_VALUE = (
    r"(?P<cat>[0-6]|vi|iv|v|i{1,3}|zero|one|two|three|four|five|six)"
    r"(?:\s?[-(]?(?P<sub>[abc])\)?(?![\w'])|\s(?P<spaced>[abc])(?=\s*(?:[.,;:)/\n-]|$)))?"
)
_RANGE = (
    r"(?:\s?(?P<joint>-|/|to|or|and)\s?(?:bi-?rads\s?|category\s)?(?:(?P<high>[0-6])\s?(?P<high_sub>[abc])?|(?P<only_sub>[abc]))(?![\w]|"
    r"[.,]\d|:\d|"
    r"\s?(?:mm|cm|%|o'?clock|x\s?\d|-?\s?months?|-?\s?mo\b|-?\s?weeks?|-?\s?years?|views?)|-(?:month|year|week)|\s?\(?(?:left|right|"
    r"[lr]\b)))?"
)
_NAMED = re.compile(rf"(?P<name>{_NAME}){_FILLER}{_VALUE}(?![\w]){_RANGE}{_TAIL}")
_ACR = re.compile(
    rf"(?P<name>\bacr)(?:\s*(?:[:=#(-]|\b(?:bi-?rads|category|class\w*|score|right|left|breast|of|the|"
    rf"in)\b)){{0,8}}\s*{_VALUE}(?![\w]){_RANGE}{_TAIL}"
)
_CATEGORY = re.compile(
    rf"\b(?P<name>(?:assessment )?categor(?:y|ies)|cat\.?(?= ?[0-6])|(?:final |overall )?assessment|final code|assessment code)"
    rf"(?:\s*(?:[:=#(*|-]|\b(?:is|of|code|categor(?:y|ies)|left|right|breast)\b)){{0,8}}\s*{_VALUE}(?![\w]){_RANGE}{_TAIL}"
)
_OVERALL = re.compile(
    rf"\b(?P<name>overall|final|combined)(?:\s*(?:[:=#(*|-]|\b(?:is|of|code|categor(?:y|ies)|assessment|"
    rf"score)\b)){{0,6}}\s*{_VALUE}(?![\w]){_RANGE}{_TAIL}"
)
_SYSTEM = re.compile(rf"{_NAME}|\bacr\b(?!\s*[a-d]\b)|\bassessment\b")
_OTHER_SYSTEM = re.compile(r"\b(?:ranzcr|nhsbsp|imaging|tabar|iris|efferent|rcr|five[- ]point|5[- ]point|birmingham|kod|code [rump])\s*$")
_BARE = re.compile(
    r"(?<![\w./:+-])(?P<cat>4)\s?(?P<sub>[abc])(?![\w])(?:\s?(?P<joint>-|/|to|or)\s?(?:(?P<high>[45])(?P<high_sub>[abc])?|"
    r"(?P<only_sub>[abc]))(?![\w]))?"
)
_SIDED = re.compile(
    rf"(?<![\w/])(?P<side>left|right|lt|rt|l|r|both(?: breasts?| sides)?|bilateral(?:ly)?)\.?(?:\s+(?:breast|"
    rf"side))?\s*[:=(-]?\s*(?:category\s*)?"
    rf"(?P<cat>[0-6])(?P<sub>[abc])?\)?{_TAIL}"
)
_SIDE_AFTER = re.compile(
    r"(?<![\w.:+-])(?P<cat>[0-6])(?P<sub>[abc])?\s*\(?(?:(?:on|in|for|of)\s+(?:the\s+)?)?(?P<side>left|right|both|bilateral(?:ly)?|"
    r"[lr](?=\s*(?:[;,.)\n]|$)))\b(?!\s+(?:and|&)\s+(?:left|right))"
    r"(?!\s*(?:breast\s*)?[:=-]?\s*(?:bi-?\s?rads|acr|category)?\s*[:=]?\s*[0-6])"
)
_NOW = re.compile(
    rf"\b(?:now|currently|today|down-?graded|up-?graded|changed|revised|reclassified|amended|corrected)\b(?:\s*(?:now|downgraded|"
    rf"upgraded|revised|to|is|a|as|category|as a|it|:|classified|considered|from \S+)){{0,8}}\s*"
    rf"(?P<cat>[0-6])(?P<sub>[abc])?{_TAIL}"
)
_ANY_NAME = re.compile(rf"{_NAME}|\bacr\b|\bcategory\b|\bassessment\b")
_DENSITY_BEFORE = re.compile(r"(?:densit\w*|composition|tissue(?: type)?|parenchym\w*|pattern|fibroglandular|type)[^.;\n]{0,18}$")
_DENSITY_AFTER = re.compile(r"[ \t]*(?:breast )?(?:densit|composition|parenchym)")
_PRIOR = re.compile(
    r"(?:\b(?:previous(?:ly)?|prior(?:ly)?|formerly|earlier|initial(?:ly)?|originally|last (?:year|exam\w*|mammogra\w+|study|time)|old|"
    r"from|downgraded from|upgraded from|"
    r"was|were|had been|compared (?:to|with)|versus|in (?:19|20)\d\d|(?:19|20)\d\d\)?:?|outside)\b(?:[\s:=(,]|\b(?:a|an|the|scored?|"
    r"assigned|given|reported|graded|categori[sz]ed|"
    r"classified|rated|assessed|called|as|at|of|on|mammogra\w+|ultraso\w+|mri|exam\w*|study|studies|report|score|category|assessment|"
    r"recall|recalled|it|with|from|screening|"
    r"diagnostic|outside|dated?|[\d./-]+|finding|mass|right|left|breast|birads|bi-rads|imaging|been|facility)\b)*)$"
)
_PRIOR_AFTER = re.compile(
    r"\s*[,(]?\s*(?:previously|at that time|on (?:the )?(?:prior|previous|last)|in (?:19|20)\d\d|prior\b|last year|"
    r"(?:was |were |had been )?(?:assigned|given|issued|reported|on) (?:on|at|in|for) (?:the )?(?:screening|recall|prior|previous|"
    r"outside|earlier)|"
    r"(?:assigned|given|on screening|at screening)\b[^.;\n]{0,40}\bago\b)"
)
_NOW_AFTER = re.compile(r"\b(?:now|currently|today|current)\b")
_UNREAL = re.compile(
    r"(?:\bno\b(?! change)(?: (?:new|other|evidence of|suspicious|finding\w*|lesions? of|lesion))*|"
    r"\bnot(?: \w+){0,2}(?: criteria)?(?: for| of| a)?|\b(?:rather than|instead of|in place of|replacing)|\bwithout(?: any)?|"
    r"\bif\b[^.;]{0,60}|"
    r"would be|criteria for|rule out|r/o|exclude|or higher than|>|<|at least)\s*(?:a\s|an\s)?$"
)
_LEGEND_AFTER = re.compile(r"\s*[:=]")
_GENERIC_AFTER = re.compile(
    r"\s*(?:would|could|might|will|may|can) (?:then )?(?:be|apply|have|follow)\b|"
    r"\s*(?:lesions?|findings?|categor\w+) (?:are|have|carry|carries|is defined|"
    r"means)\b|\s*(?:or|and) (?:above|higher|greater|less|lower|below)"
)


def find_categories(lower: str) -> list[CategoryMention]:
    """Every current BI-RADS category of the text, in order; densities, other systems' codes, editions and prior ones are left out."""
    if not _ANY_NAME.search(lower):
        return []
    found: list[CategoryMention] = []
    is_named = _SYSTEM.search(lower) is not None
    for pattern, is_bare in ((_NAMED, False), (_ACR, False), (_CATEGORY, False), (_OVERALL, False), (_NOW, True), (_BARE, True)):
        for match in pattern.finditer(lower):
            if not is_named and pattern in (_CATEGORY, _OVERALL) and not match.groupdict().get("sub"):
                continue
            _take(found, match, lower, is_bare=is_bare)
    legend = _scale(lower)
    if legend is not None:
        found = [mention for mention in found if not legend[0] <= mention.end - 1 < legend[1]]
    _take_sided(found, lower)
    _take_listed(found, lower)
    _take_columns(found, lower)
    return sorted(found, key=lambda mention: mention.start)


_SCALE_GATE = re.compile(r"\bnegative\b|\bprobably\b")
_SCALE_STEP = re.compile(
    r"(?<![\w.])(?:(?P<s0>0)|(?P<s1>1|i)|(?P<s2>2|ii)|(?P<s3>3|iii)|(?P<s4>4|iv)(?:[abc]| ?\([^)]{0,20}\))?|(?P<s5>5|v)|(?P<s6>6|vi))"
    r"[ )]*(?:[-=:,)]|\bis\b|\bmeans\b)*[ ]*(?P<words>incomplete|need|additional|negative|normal|benign|probabl|suspicious|"
    r"highly|known|proven|biopsy)"
)
_STEP_WORDS = {
    "0": ("incomplete", "need", "additional"),
    "1": ("negative", "normal"),
    "2": ("benign",),
    "3": ("probabl",),
    "4": ("suspicious",),
    "5": ("highly",),
    "6": ("known", "proven", "biopsy"),
}
_STEP_GAP = 110
_TIED = re.compile(r"\b(?:left|right|mass|lesion|nodule|cysts?|calcifications|o'clock|mm|cm)\b")


def _scale(lower: str) -> tuple[int, int] | None:
    """The printed scale of the categories: three or more in ascending order, each with its own words and nothing of this exam between."""
    run: list[re.Match[str]] = []
    if _SCALE_GATE.search(lower) is None:
        return None
    for match in _SCALE_STEP.finditer(lower):
        step = _step_of(match)
        if match["words"] not in _STEP_WORDS[step]:
            continue
        is_next = run and match.start() - run[-1].end() <= _STEP_GAP and not _TIED.search(lower, run[-1].end(), match.start())
        if is_next and step > _step_of(run[-1]):
            run.append(match)
        elif len(run) >= _STEPS:
            break
        else:
            run = [match]
    return (run[0].start(), run[-1].end()) if len(run) >= _STEPS else None


_STEPS = 3


def _step_of(match: re.Match[str]) -> str:
    return next(name[1:] for name, words in match.groupdict().items() if name != "words" and words)


def _take(found: list[CategoryMention], match: re.Match[str], lower: str, *, is_bare: bool) -> None:
    start, end = match.span()
    first = match.start("cat")
    if any(mention.start <= first < mention.end for mention in found) or not _is_current(lower, match):
        return
    if match.re is not _NAMED and (_DENSITY_BEFORE.search(lower[max(0, start - 30) : start]) or _DENSITY_AFTER.match(lower, end)):
        return
    if match.re is _NAMED and _DENSITY_AFTER.match(lower, end):
        return
    if match.re is _NOW and not _ANY_NAME.search(lower[max(0, start - 80) : start]):
        return
    if match.re in (_CATEGORY, _OVERALL) and _OTHER_SYSTEM.search(lower[max(0, start - 30) : start]):
        return
    if _is_table_head(lower, start, first) or _OPTIONS_AFTER.match(lower, end) or _SCALE_AFTER.match(lower, end):
        return
    if _OPTIONS_BEFORE.search(lower, max(0, first - 24), first):
        return
    mention = _mention(match, is_bare=is_bare)
    if mention is not None and mention.is_range and _LEGEND_AFTER.match(lower, end):
        return
    if mention is not None:
        found.append(mention)


_OPTIONS_BEFORE = re.compile(r"(?:[0-6][abc]?\s*/\s*){2,}\Z")
_SCALE_AFTER = re.compile(
    r"[ =:-]{1,3}[a-z][a-z ]{3,40}[,;|] ?[0-6] ?[=:-]? ?(?:negative|benign|probably|suspicious|known|highly|incomplete)"
)
_OPTIONS_AFTER = re.compile(
    r"(?:[^\n;]{0,70}?\boptions?\b[^\n;]{0,12})?(?:\s*/\s*[0-6][abc]?\b){2,}|"
    r"[^\n;]{0,70}\boptions?\b\s*[0-6]\s*/"
)


def _is_table_head(lower: str, start: int, value: int) -> bool:
    """The last title of a table's head and the first cell of the row under it."""
    if "\n" not in lower[start:value]:
        return False
    line = lower[lower.rfind("\n", 0, start) + 1 : start]
    return "  " in line.strip() or "|" in line or "\t" in line or line.endswith("  ")


_PRIOR_LINE_END = re.compile(r"\b(?:previous|prior|earlier|outside|formerly|previously|was|from)[ \t]*\n[ \t]*$")


def _is_current(lower: str, match: re.Match[str]) -> bool:
    start, end = match.span()
    before = lower[max(0, start - 70) : start]
    before = before[0 if _PRIOR_LINE_END.search(before) else before.rfind("\n") + 1 :]
    if match.re is not _NOW and (_PRIOR.search(before) and not _NOW_AFTER.search(lower[start : match.start("cat")])):
        return False
    return not (_UNREAL.search(before) or _PRIOR_AFTER.match(lower, end) or _GENERIC_AFTER.match(lower, end))


def _mention(match: re.Match[str], *, is_bare: bool) -> CategoryMention | None:
    group = match.groupdict()
    low = _category(match["cat"], group.get("sub") or group.get("spaced"))
    if low is None:
        return None
    high = _high(group, low)
    is_scale = group.get("joint") == "/" and group.get("high") in ("5", "6") and not group.get("high_sub") and len(low) == 1
    value = low if high is None or is_scale else worst([low, high])
    return CategoryMention(
        value=value,
        start=match.start(),
        end=match.end(),
        is_range=high is not None and high != low and not is_scale,
        is_ambiguous=is_scale and group.get("high") == "5",
        is_bare=is_bare,
    )


def _high(group: dict[str, str | None], low: str) -> str | None:
    if group.get("only_sub"):
        return _category(low[0], group["only_sub"]) if len(low) == 2 else None
    return _category(group["high"] or "", group.get("high_sub")) if group.get("high") else None


def _category(number: str, letter: str | None) -> str | None:
    digit = _WORDS.get(number, number)
    if letter and digit != "4":
        return digit
    return f"{digit}{(letter or '').upper()}"


_SIDE_VALUE = {"l": "left", "lt": "left", "left": "left", "r": "right", "rt": "right", "right": "right"}


def _take_sided(found: list[CategoryMention], lower: str) -> None:
    """ "BI-RADS: R 2, L 4A": numbers beside a side, on a line that names the system before them."""
    for name in list(_ANY_NAME.finditer(lower)):
        stop = _line_end(lower, name.end())
        for pattern in (_SIDED, _SIDE_AFTER):
            for match in pattern.finditer(lower, name.end(), stop):
                side = _SIDE_VALUE.get(match["side"], "bilateral")
                known = next((index for index, mention in enumerate(found) if mention.start <= match.start("cat") < mention.end), None)
                if known is not None:
                    if found[known].side is None:
                        found[known] = replace(found[known], side=side)
                    continue
                value = _category(match["cat"], match["sub"])
                if value is not None and _is_current(lower, match):
                    found.append(CategoryMention(value=value, start=match.start(), end=match.end(), side=side, is_bare=True))


_LEVEL_LINE = re.compile(
    rf"[ \t*_#>-]*(?P<side>right|left|both|bilateral|r|l|rt|lt|exam(?:ination)?|overall|final|study)(?: breasts?|"
    rf" side)?[ \t*_]*[:=-]+[ \t*_]*(?:category )?"
    rf"(?P<cat>[0-6])[ \t]?(?P<sub>[abc])?{_TAIL}(?=[ \t*_]*(?:$|[-(,;.]|negative|benign|suspicious|known|highly|incomplete|probably))"
)
_LEVEL_SIDE = re.compile(r"\n[ \t*_#>-]*(?:right|left|both|bilateral|[rl]t?|exam\w*|overall|final|study)\b[^\n:=]{0,12}[:=]")
_LEVEL_TITLE = re.compile(r"assess|categor|bi-?rads|\bacr\b|\bscore")


def _take_listed(found: list[CategoryMention], lower: str) -> None:
    """A title such as "Breast-level assessment" and under it one line a breast: "Right: 3 - probably benign"."""
    is_listing, position = False, 0
    if _LEVEL_SIDE.search(lower) is None:
        return
    for line in lower.split("\n"):
        match = _LEVEL_LINE.match(line) if is_listing else None
        if match is not None:
            start = position + match.start("cat")
            if not any(mention.start <= start < mention.end for mention in found):
                value = _category(match["cat"], match["sub"]) or match["cat"]
                words = match["side"]
                side = None if words[0] not in "rlb" else _SIDE_VALUE.get(words, "bilateral")
                found.append(CategoryMention(value=value, start=start, end=position + match.end(), side=side, is_bare=True))
        elif line.strip():
            is_listing = len(line) < 60 and _LEVEL_TITLE.search(line) is not None
        position += len(line) + 1


_SIDE_COLUMNS = re.compile(
    r"(?m)^[ \t|*_]*(?P<first>right|left|rt|lt|r|l)(?: breast)?[*_]*(?:[ \t]*\|[ \t*_]*|[ \t]{2,})(?P<second>right|left|rt|"
    r"lt|r|l)(?: breast)?[ \t|*_]*$"
)
_COLUMN_SCORES = re.compile(
    r"(?m)^[ \t|*_]*(?:acr )?(?:bi-?rads|category|assessment|final)[^|\n\d]{0,24}?[*_]*(?:[ \t]*\|[ \t*_]*|"
    r"[ \t]{2,})(?P<first>[0-6][abc]?)\b[^|\n\d]{0,40}?"
    r"(?:[ \t]*\|[ \t*_]*|[ \t]{2,})(?P<second>[0-6][abc]?)\b"
)


def _take_columns(found: list[CategoryMention], lower: str) -> None:
    """ "BI-RADS | 1 | 2" in a table that has a column for each breast."""
    head = _SIDE_COLUMNS.search(lower)
    row = _COLUMN_SCORES.search(lower, head.end()) if head else None
    if head is None or row is None:
        return
    found[:] = [mention for mention in found if not row.start() <= mention.start < row.end()]
    for name in ("first", "second"):
        value = _category(row[name][0], row[name][1:]) or row[name][0]
        found.append(CategoryMention(value=value, start=row.start(name), end=row.end(name), side=_SIDE_VALUE[head[name]], is_bare=True))


_LINE_STOP = re.compile(r"\n|\.\s+(?!(?:left|right|l|r)\b)")


def _line_end(lower: str, start: int) -> int:
    match = _LINE_STOP.search(lower, start, start + 120)
    return match.start() if match else min(len(lower), start + 120)


_LETTER = r"(?P<letter>[a-d]|iv|i{1,3}|[1-4])"
_DENSITY = re.compile(
    rf"(?P<word>\b(?:breast |mammographic |parenchymal |tissue |glandular |fibroglandular |acr |bi-?rads ){{0,4}}(?:density|composition|"
    rf"breast tissue type|tissue type|parenchymal pattern|parenchyma type)"
    rf"(?:\s*(?:[:=(|,-]|\b(?:acr|bi-?rads|category|class|type|grade|score|is|of|the|left|right|both|breasts?|volpara|tissue|as|pattern|"
    rf"letter|5th|edition|assessment|according|to|in)\b)){{0,10}}\s*)"
    rf"(?:\(?{_LETTER}\)?(?:\s?(?:-|/|to)\s?(?P<high>[a-d]|[1-4])\b)?)(?![\w]|[.,]\d|\s?(?:mm|cm|%|x\s?\d))"
)
_DENSITY_CODE = re.compile(
    r"\b(?:acr|bi-?rads|category|class|type|pattern|composition|comp(?=:)|density|dense(?= ?[(:])|fatty(?= ?[(:])|tissue(?= ?[(:])|"
    r"parenchyma(?= ?[(:])|glandular(?= ?\()"
    r"|densities(?= ?\()|fat(?= ?\())(?![a-z])\s*(?:[:=(-]|\b(?:breast|density|category|composition|type|"
    r"tissue|is)\b|\s){0,10}\(?"
    r"(?P<letter>[a-d])\)?(?:\s?(?:-|/|to)\s?(?P<high>[b-d])\b)?(?![\w'+]|\.\d|\s(?:mass|lesion|nodule|cyst|small|few|single|new|focal|"
    r"benign|suspicious|simple))"
)
_DENSITY_GRADE = re.compile(
    rf"\bacr (?:bi-?rads )?(?:grade|type|class|category|pattern)?[ -]*{_LETTER}(?= (?:breast |fibroglandular |"
    rf"glandular )?(?:parenchym|densit|tissue|pattern|breasts?\b))"
)
_DENSITY_WORDS = re.compile(
    r"(?P<d>extremely dense|extreme(?:ly)? (?:fibroglandular )?densit\w+|very dense)|(?P<c>heterogeneous(?:ly)? dens\w+|"
    r"inhomogeneously dense|dense heterogeneous(?:ly)?)|"
    r"(?P<b>scattered (?:areas of )?(?:fibro-?\s?glandular|fibronodular|glandular|parenchymal)|scattered areas of (?:breast )?density|"
    r"scattered densit\w+)|"
    r"(?P<a>(?:almost |predominantly |mostly |largely )?(?:entirely|completely) fat(?:ty)?|almost all fat|(?:predominantly|mostly|"
    r"largely) fat(?:ty)?|fatty (?:breasts?|replaced|replacement)|fat(?:ty)?[- ]replaced)"
)
_NUMERALS = {"1": "a", "2": "b", "3": "c", "4": "d", "i": "a", "ii": "b", "iii": "c", "iv": "d"}
_NO_DENSITY = re.compile(r"\b(?:prior|previous\w*|amount of|enhanc\w*|echotexture|echo|ultrasound)\b[^.;\n]{0,40}$")
_NO_DENSITY_AFTER = re.compile(r"[^.;\n]{0,30}\b(?:echotexture|mass\b|nodule\b|lesion\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityMention:
    """A density letter at ``start:end``."""

    value: str
    start: int
    end: int
    rule: str
    is_range: bool = False


def find_densities(lower: str) -> list[DensityMention]:
    """Breast densities: letters and numerals beside the word, then the lexicon's phrases; in order of trust, then of the text."""
    found: list[DensityMention] = []
    for pattern, rule in ((_DENSITY, "density"), (_DENSITY_CODE, "density_code"), (_DENSITY_GRADE, "density_grade")):
        for match in pattern.finditer(lower):
            if not _NO_DENSITY.search(lower[max(0, match.start() - 50) : match.start()]):
                letters = [_NUMERALS.get(letter, letter) for letter in (match["letter"], match.groupdict().get("high")) if letter]
                found.append(DensityMention(value=max(letters), start=match.start(), end=match.end(), rule=rule, is_range=len(letters) > 1))
    for match in _DENSITY_WORDS.finditer(lower):
        lead = lower[max(0, match.start() - 50) : match.start()]
        if not _NO_DENSITY.search(lead) and not _NO_DENSITY_AFTER.match(lower, match.end()):
            found.append(DensityMention(value=str(match.lastgroup), start=match.start(), end=match.end(), rule="density_words"))
    return found
