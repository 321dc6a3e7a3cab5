"""How many cores a specimen has and how many of them hold cancer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from weakbox.extractors.grammar.pathology.diagnoses import Mention
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange, holds

_WORDS = {
    word: number
    for number, word in enumerate(
        (
            *(
                "zero",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
                "thirteen",
                "fourteen",
            ),
            *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
        )
    )
} | {"single": 1, "none": 0, "no": 0, "a": 1, "both": 2, "twenty-four": 24, "twenty-two": 22}
_WORD = (
    r"(?:zero|one|two|three|four|five|sixteen|six|seventeen|seven|eighteen|eight|nineteen|nine|ten|eleven|twelve|thirteen|fourteen"
    r"|fifteen|twenty|single)"
)
_N = rf"(?:\d{{1,2}}|{_WORD})"
_FIRST = r"[\dzotfsen])(?=\d|z|o[nf]|t[we]|th[ri]|f[oi]|s[ie]|e[il]|n[ieo]"
"""With what a number, none or "of" begins: asked first, in two lookaheads, it spares the search most of the text."""
_CORE = r"(?:cores?|bx|biops(?:y|ies)(?!\s*:))"
_ADJECTIVES = r"(?:(?!of\b|with\b|and\b|x\b|gauge\b|ga?\b|mm\b|cm\b|containing\b|involv|positive|are\b|is\b)[\w'/-]+,?\s+){0,4}?"
_NOT_CORES = (
    r"(?:(?:[\w-]+\s+){0,2}(?:lymph|nodes?|fragments?|chips?|pieces?|blocks?|slides?|levels?|cassettes?|quadrants?|margins?"
    r"|high[- ]power|mitos)|(?:%|percent|mm|cm|g\b|grams?|ml|cc|ng))"
)

_FRACTION = re.compile(
    rf"(?={_FIRST})(?<![\w.,+=/-])(?:(?P<zero>none|no|neither)|(?P<number>{_N}))(?:\s*\(\d{{1,2}}\))?\s*(?P<join>/|\bout of\b|\bof\b|(?"
    rf"(zero)\bin\b|(?!)))\s*(?:the\s+|a\s+total\s+of\s+|all\s+|these\s+)*(?P<total>{_N})(?![\d/+]|\s*[+=]\s*\d|\.\d)"
    rf"(?:\s*\(\d{{1,2}}\))?"
    rf"(?:(?P<noun>\s+{_ADJECTIVES}(?:needle\s+)?{_CORE}\b)|(?P<other>\s*{_NOT_CORES}))?",
    re.IGNORECASE,
)
_SCALE_BEFORE = re.compile(
    r"(?:group|pi-?rads|likert|gleason|score|sum|isup|nodes?|blocks?|slides?|page|part|grade|gg|pT\w*|category|b-value|level|version"
    r"|lesion|patterns?(?=\s))\W{0,3}$|\d\s*[+=]\s*$",
    re.IGNORECASE,
)
_POSITIVE_WORDS = re.compile(
    r"\b(?:involv\w*|positive|present|in|cores?|tumou?r|cancer|carcinoma|adenocarcinoma|identified|seen)\W{0,4}(?:in\s+|of\s+)?$",
    re.IGNORECASE,
)
_POSITIVE_AFTER = re.compile(
    r"^\W{0,3}(?:\(\d{1,3}\s*%\)\s*)?(?:\w+\s+){0,2}(?:positive|involved|contain\w*|show\w*|with\b|affected|\+ve|malignant|cancer\w*"
    r"|adenocarcinoma|benign|negative)",
    re.IGNORECASE,
)

_OF_SIDE = r"(?:[,\s]*[(\[]?\b(?:left|right|lt|rt)\b(?:\s+side)?[)\]]?)?"
"""A form says of which side a count is: "Number of cores, right: 10"."""
_LABELLED = re.compile(
    r"\b(?=[cnbpt#])"
    rf"(?:(?P<ratio>(?:number\s+of\s+|no\.?\s+of\s+|#\s*)?(?:needle\s+|biopsy\s+)?cores?\s*(?:\(?(?:positive|involved|with (?:tumou?r"
    rf"|cancer|carcinoma))\)?)?\s*(?:by\s+tumou?r\s*)?(?:/|\bout of\b|\bof\b)\s*(?:total|examined|submitted|number of cores"
    rf"|cores)[\w ]{{0,20}})"
    rf"|(?P<positive>(?:total\s+)?(?:number\s+of\s+|no\.?\s+of\s+|#\s*(?:of\s+)?)?(?:positive\s+(?:needle\s+|biopsy\s+)?cores?"
    rf"|number\s+positive|no\.?\s+positive|"
    rf"(?:needle\s+|biopsy\s+)?cores?\s+(?:that\s+(?:are|were)\s+)?(?:positive|involved|with\s+(?:tumou?r|cancer|carcinoma))(?:\s+(?:by"
    rf"|for|with)\s+(?:adeno)?(?:tumou?r|carcinoma|cancer|malignancy))?))"
    rf"|(?P<total>(?:total\s+)?(?:number|no\.?|#)\s+of\s+(?:needle\s+|biopsy\s+|tissue\s+)*cores?(?:\s+(?:examined|submitted|received"
    rf"|sampled|taken|obtained|total|identified|present|assessed|in total))?|total\s+(?:needle\s+|biopsy\s+)?cores?|cores?(?:\s+"
    rf"(?:examined|submitted|received|sampled|taken|obtained|total|assessed))?))"
    rf"{_OF_SIDE}\s*(?:\((?:total|overall|all)\)\s*)?(?:[:=]|\bis\b|\bwas\b|\s-\s|[ \t]{{2,}}(?=\d)|(?<=involved)\s(?=\d)"
    rf"|(?<=positive)\s(?=\d))\s*"
    rf"(?P<value>{_N})\b(?:\s*(?:/|\bof\b|\bout of\b)\s*(?P<whole>{_N})\b)?(?![ \t]*(?:mm|cm|%|per\s?cent|[+]))",
    re.IGNORECASE,
)
_COUNTED_BEFORE = re.compile(rf"(?<![\d.,/])\b{_N}[ \t]+(?:[a-z-]+[ \t]+){{0,2}}\Z", re.IGNORECASE)
""" "Six cores: two contain ..." is no field."""
_NUMBER_OF = re.compile(
    rf"\b(?=n)(?:number|no\.)\s+(?:of\s+)?(?:(?P<positive>(?:involved|positive)(?:\s+cores?)?|cores?\s+(?:involved|positive))"
    rf"|cores?(?:\s+(?:examined|taken|received|submitted|sampled))?){_OF_SIDE}\s*[:=]?\s*(?P<value>{_N})\b(?![ \t]*(?:/|of\b|mm|cm|%))",
    re.IGNORECASE,
)
"""Without a sign between: "number of cores 9, number involved 0"."""
_NO_CORES = r"(?:\w+\s+)?(?:specimens?|parts?|containers?|pots?|jars?|vials?|bottles?|tubes?|sites?|lobes?|sides?|samples?|nodes?|halves)\b"
_ALL = re.compile(
    rf"\b(?P<all>both|all|each|every)\s+(?:of\s+)?(?:the\s+)?(?P<total>{_N})?(?:\s*\(\d{{1,2}}\))?\s*(?!{_NO_CORES}){_ADJECTIVES}(?P<noun>{_CORE}"
    rf"|adenocarcinoma|carcinoma|positive|involved|benign|negative)\b|\b(?P<of_both>both)\s+(?:positive|involved|show|contain)",
    re.IGNORECASE,
)
_INVOLVES = re.compile(
    rf"(?:(?<!\w)(?:involv(?:ing|es|ed|ement\s+of)|in|(?:present|seen|identified|found)\s+in)|(?:%|\bper\s?cent)\s*of)\s+(?:approximately\s+|the\s+"
    rf"|only\s+)*(?P<positive>{_N})(?:\s*\(\d{{1,2}}\))?\s+{_ADJECTIVES}(?P<noun>{_CORE})\b(?!\s*(?:#|no\b|number|\d))",
    re.IGNORECASE,
)
_POSITIVE_COUNT = re.compile(
    rf"\b(?={_FIRST})(?<![\d.,+=/-])(?P<positive>{_N})(?:\s*\(\d{{1,2}}\))?\s+(?:positive\s+(?:needle\s+)?cores?|(?:needle\s+|biopsy\s+)?cores?\s+"
    rf"(?:(?:is|are|was|were)\s+)?(?:positive|involved|with\s+(?:adeno)?(?:carcinoma|tumou?r|cancer)|contain(?:s|ing)?\s+(?:adeno)?"
    rf"(?:carcinoma|tumou?r|cancer)|show(?:s|ing)?\s+(?:adeno)?(?:carcinoma|tumou?r|cancer)))\b",
    re.IGNORECASE,
)
_CORES_OUT_OF = re.compile(
    rf"\b(?={_FIRST})(?:(?<![\d.,+=/-])(?P<positive>{_N})\s+(?:(?:positive|involved)\s+)?{_ADJECTIVES}cores?\s+(?:(?:positive"
    rf"|involved)\s+)?(?:out\s+of|of)\s+(?:the\s+|a\s+total\s+of\s+)?(?P<total>{_N})\b"
    rf"(?![ \t]*(?:mm|cm|%))"
    rf"|(?P<all>{_N})\s+{_ADJECTIVES}cores?\b[^.;\n\d]{{0,60}}?,?\s*\(?(?P<some>{_N}|none)\s+(?:\(\d{{1,2}}\)\s+)?of\s+(?:which"
    rf"|these|them|the\s+latter)\b"
    rf"|of\s+(?:the\s+)?(?P<whole>{_N})\s+{_ADJECTIVES}cores?\b[^.;\n]{{0,25}}?,\s*(?P<part>{_N}|none)\s+(?:cores?\s+)?(?:contain"
    rf"|show|are|is|were|was|have|has|positive|involved))",
    re.IGNORECASE,
)
_BARE_POSITIVE = re.compile(
    rf"(?<=,\s)(?P<positive>{_N})\s+(?:(?:is|are|was|were)\s+)?(?:positive|involved)\b(?!\s*(?:nodes?|margins?))", re.IGNORECASE
)
_NO_CANCER_IN = re.compile(
    rf"\bin\s+(?:all\s+|the\s+)?(?P<before>{_N})\s+{_ADJECTIVES}{_CORE}\s+no\s+(?:\w+\s+)?(?:carcinoma|tumou?r|cancer|malignancy)\b"
    rf"|\b(?:no|negative\s+for)\s+(?:\w+\s+){{1,6}}?(?:(?:is\s+)?(?:seen|identified|present|found)\s+)?in\s+(?:any\s+of\s+)?(?:the\s+"
    rf"|all\s+|these\s+)*(?P<total>{_N})\s+{_ADJECTIVES}{_CORE}\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?=[\dzotfsencbx])"
    rf"(?:(?<![\d.,+=/-])(?<!\bin )(?<!involving )\b(?P<total>{_N})(?:\s*\(\d{{1,2}}\))?[\s-]+{_ADJECTIVES}(?:core(?:s\b|\b(?!\s*\d))"
    rf"(?!\s*(?:positive|involved|length"
    rf"|#))|(?:core|needle)\s+(?:needle\s+)?biops(?:y|ies)\b|bx\b|biops(?:y|ies)\b)|\b(?:cores?|bx|biops(?:y|ies))\s*x\s*"
    rf"(?P<times>\d{{1,2}})\b"
    rf"|\b(?:cores?|biops(?:y|ies)|bx)\s*\((?:n\s*=\s*|x\s*)?(?P<in_brackets>\d{{1,2}})\)|(?<![\w])x\s?(?P<x>\d{{1,2}})\b(?!\s*(?:mm"
    rf"|mo\b|months?|weeks?|wks?|days?|years?|yrs?"
    rf"|cm|x|\d|\.\d))|(?<![\d.,+=/x-])"
    rf"(?<!x )(?P<x_before>\d{{1,2}})\s?x\s+(?={_CORE}))",
    re.IGNORECASE,
)
_UNIT_BEFORE_CORE = re.compile(r"\b(?:mm|cm)\b", re.IGNORECASE)
_ENUMERATED = re.compile(
    r"(?:\bcores?\s*(?:#|no\.?|number)?\s*(?P<core>\d{1,2}[a-z]?|[A-Z]?\d)(?:[ \t]*[(\[][^()\[\]\n]{1,30}[)\]])?\s*[:.)=,-]"
    r"|\((?P<paren>\d{1,2})\)\s*(?=[A-Za-z]|\d\s*\+)|\("
    r"(?P<letter>[a-z])\)\s(?=[A-Za-z]|\d\s*\+))",
    re.IGNORECASE,
)
_CORE_LINE = re.compile(
    r"[ \t]*(?:[-*•][ \t]*)?(?:core|bx)[ #]*\d{1,2}[a-z]?(?:[ \t]*[(\[][^()\[\]\n]{1,30}[)\]])?\s*[:.)=-]", re.IGNORECASE
)
_CORE_STATE = re.compile(
    r"[\s:=\-]*(?:(?P<negative>negative|neg\b|un-?involved|not\s+involved|no\s+involvement|clear\b|free\b|none\b|0\s*%)|positive"
    r"|pos\b|involved"
    r"|\+ve|\d{1,3}\s*%|\d{1,2}(?:\.\d)?\s*mm)",
    re.IGNORECASE,
)
_NONE_OF = re.compile(r"^(?:no|none|neither|0|zero)$", re.IGNORECASE)


_PART_OF_CORES = re.compile(
    rf"(?<=[,;(]\s)(?P<positive>{_N})\s+cores?\b(?!\s*(?:biops|received|submitted|examined|with\s+no|each))", re.IGNORECASE
)


def _part_of_cores(text: str, start: int, end: int, told: Sequence[int]) -> Facts:
    """ "2 cores - adenocarcinoma 3+3, 1 core, 5 %": the cores that were taken before the diagnosis, those that hold it after."""
    if not told:
        return {}
    part = _PART_OF_CORES.search(text, min(told), end)
    taken = _totals(text, start, min(told)).get("cores_total")
    if part is None or taken is None or not 0 < number_of(part["positive"]) <= taken.number:
        return {}
    return {"cores_positive": _count(number_of(part["positive"]), part.span(), "part", 0.85), "cores_total": taken}


_SINGLE_CORE = re.compile(
    r"(?<=[,;(]\s)(?:1|one|a\s+single|single)\s+core\b(?!\s*(?:biops|received|submitted|examined|with\s+no))", re.IGNORECASE
)


def _single_core(text: str, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[TextRange]) -> Facts:
    """ "Adenocarcinoma, 3+3=6, 1 core, 10%": the one core that holds cancer; how many there were is not said."""
    told = [m.start for m in mentions if m.diagnosis in ("adenocarcinoma", "tumour")] + [first for first, _ in grades]
    part = _part_of_cores(text, start, end, told)
    match = _SINGLE_CORE.search(text, start, end)
    if part or match is None:
        return part
    if not told or min(told) > match.start() or len(_COUNT.findall(text, start, end)) > 1:
        return {}
    return {"cores_positive": _count(1, match.span(), "single", 0.85)}


ALL_POSITIVE = "_all_positive"
"""All cores hold cancer, or none of them, where how many there are stands elsewhere."""


def with_counted_all(facts: Facts) -> Facts:
    """``cores_positive`` of a specimen of which all cores, or none, hold cancer, once the number of its cores is known."""
    said = facts.get(ALL_POSITIVE)
    rest = {name: fact for name, fact in facts.items() if name != ALL_POSITIVE}
    total = rest.get("cores_total")
    if said is None or total is None or "cores_positive" in rest:
        return rest
    return {**rest, "cores_positive": Fact(value=total.value if said.value else 0, spans=said.spans, confidence=0.9, rule="all")}


def read_cores(
    text: str, start: int, end: int, mentions: Sequence[Mention], grades: Iterable[TextRange], *, is_cancer: bool, is_gross: bool = False
) -> Facts:
    """``cores_positive`` and ``cores_total`` of one stretch, from the clearest statement to the vaguest."""
    grade_ranges = list(grades)
    if is_gross:
        return _totals(text, start, end)
    facts = (
        _labelled(text, start, end)
        or _out_of(text, start, end, is_cancer=is_cancer)
        or _fraction(text, start, end, grade_ranges, is_cancer=is_cancer)
    )
    if "cores_positive" not in facts and "cores_total" in facts:
        none = _fraction(text, start, end, grade_ranges, is_cancer=is_cancer)
        facts = {**none, **facts} if none and none["cores_positive"].value == 0 else facts
    for reader in (_told_of, _enumerated, _all, _involves):
        if "cores_positive" not in facts:
            facts = {**reader(text, start, end, mentions, grade_ranges, is_cancer), **facts}
    if "cores_positive" not in facts and is_cancer:
        facts = {**_single_core(text, start, end, mentions, grade_ranges), **facts}
        if "cores_positive" in facts and facts["cores_positive"].rule == "single":
            return facts
    if "cores_total" not in facts:
        positive_at = [span for fact in facts.values() for span in fact.spans]
        facts = {**_totals(text, start, end, positive_at), **facts}
    return facts


_LEAD_COUNT = re.compile(rf"\b(?:(?P<all>all|both)\s+(?:of\s+)?)?(?:the\s+)?(?P<total>{_N})\b(?!\s*(?:/|of\b|\())", re.IGNORECASE)


def read_lead(text: str, start: int, end: int, *, is_benign: bool) -> Facts:
    """Cores counted in the words that lead to a label in prose; said to be benign as a whole, none of them holds cancer."""
    match = _LEAD_COUNT.search(text, start, end)
    if match is None:
        return {}
    facts = {"cores_total": _count(number_of(match["total"]), match.span("total"), "lead", 0.9)}
    return {**facts, "cores_positive": _count(0, match.span("total"), "lead", 0.85)} if is_benign else facts


def number_of(word: str) -> int:
    """An integer from digits or an English number word."""
    return int(word) if word.isdigit() else _WORDS.get(word.lower(), 0)


_FIELD_WORDS = ("core", "positive", "involved")


def _labelled(text: str, start: int, end: int) -> Facts:
    facts: Facts = {}
    if not holds(text, _FIELD_WORDS, start, end):
        return facts
    for match in _LABELLED.finditer(text, start, end):
        value, span = number_of(match["value"]), match.span()
        if match["whole"]:
            facts.setdefault("cores_positive", _count(value, span))
            facts.setdefault("cores_total", _count(number_of(match["whole"]), span))
        elif match["positive"]:
            facts.setdefault("cores_positive", _count(value, span))
        elif match["total"] and not _COUNTED_BEFORE.search(text, max(start, match.start() - 30), match.start()):
            facts.setdefault("cores_total", _count(value, span))
    for match in _NUMBER_OF.finditer(text, start, end):
        name = "cores_positive" if match["positive"] else "cores_total"
        facts.setdefault(name, _count(number_of(match["value"]), match.span()))
    return facts


def _fraction(text: str, start: int, end: int, grades: Sequence[TextRange], *, is_cancer: bool) -> Facts:
    found = [match for match in _FRACTION.finditer(text, start, end) if _is_fraction(text, match, start, end, grades, is_cancer=is_cancer)]
    named = [match for match in found if match["noun"]] or found
    if not named:
        return {}
    chosen = _one_a_grade(named, grades)
    positive, total = sum(number_of(_positive(match)) for match in chosen), number_of(chosen[0]["total"])
    spans = tuple((match.start(), match.end("noun") if match["noun"] else match.end("total")) for match in chosen)
    return {
        name: Fact(value=value, spans=spans, confidence=0.96, rule="fraction")
        for name, value in (("cores_positive", positive), ("cores_total", total))
    }


def _out_of(text: str, start: int, end: int, *, is_cancer: bool) -> Facts:
    """ "1 core out of 2", "of 16 cores taken, 5 contain carcinoma"."""
    match = _CORES_OUT_OF.search(text, start, end) if holds(text, ("core",), start, end) else None
    if match is None:
        return {}
    positive = number_of(match["positive"] or match["part"] or match["some"])
    total = number_of(match["total"] or match["whole"] or match["all"])
    if positive > total or (match["some"] and positive and not is_cancer):
        return {}
    return {"cores_positive": _count(positive, match.span(), "out_of"), "cores_total": _count(total, match.span(), "out_of")}


def _positive(match: re.Match[str]) -> str:
    return str(match["zero"] or match["number"])


def _one_a_grade(fractions: Sequence[re.Match[str]], grades: Sequence[TextRange]) -> Sequence[re.Match[str]]:
    """Cores counted grade by grade ("4+4 in 1/3 cores, 3+4 in 2/3 cores") add up; anything else is the first count repeated."""
    first, total = fractions[0], number_of(fractions[0]["total"])
    one_each = [first]
    for fraction in fractions[1:]:
        has_own_grade = any(one_each[-1].end() <= begin < fraction.start() for begin, _ in grades)
        if number_of(fraction["total"]) == total and has_own_grade:
            one_each.append(fraction)
    has_first_grade = any(begin < first.start() for begin, _ in grades)
    is_sum = has_first_grade and sum(number_of(_positive(match)) for match in one_each) <= total
    return one_each if is_sum else [first]


def _is_fraction(text: str, match: re.Match[str], start: int, end: int, grades: Sequence[TextRange], *, is_cancer: bool) -> bool:
    before = text[max(start, match.start() - 40) : match.start()]
    after = text[match.end() : min(end, match.end() + 45)]
    join, is_none = match["join"].lower(), bool(_NONE_OF.match(_positive(match)))
    if match["other"] or _SCALE_BEFORE.search(before) or any(first <= match.start() < last for first, last in grades):
        return False
    if not is_none and not 0 < number_of(_positive(match)) <= number_of(match["total"]) <= 80:
        return False
    if join == "in" or (match["zero"] or "").lower() in ("no", "neither"):
        return bool(match["noun"])
    if match["noun"]:
        return True
    if join == "/":
        return is_cancer or is_none or bool(_POSITIVE_WORDS.search(before) or _POSITIVE_AFTER.match(after))
    return bool(_POSITIVE_WORDS.search(before) or _POSITIVE_AFTER.match(after) or is_none)


def _enumerated(text: str, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[TextRange], is_cancer: bool) -> Facts:
    """Cores that are listed one by one: "(1) benign (2) 3+3"."""
    marks = list(_ENUMERATED.finditer(text, start, end))
    if len(marks) < 2:
        return {}
    positive, counted, spans = 0, 0, []
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        stop = following.start() if following else end
        found = _core_state(text, mark.end(), _stop_of_core(text, mark, stop), mentions, grades) or _core_state(
            text, mark.end(), stop, mentions, grades
        )
        if found is None:
            continue
        counted += 1
        positive += found[0]
        spans.append((mark.start(), found[1]))
    if counted < 2:
        return {}
    flat = tuple(spans)
    return {
        "cores_positive": Fact(value=positive, spans=flat, confidence=0.9, rule="enumerated"),
        "cores_total": Fact(value=counted, spans=flat, confidence=0.9, rule="enumerated"),
    }


def of_specimen(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """The mentions without "core 1: no tumour": a core that is listed as free does not name its specimen's diagnosis, unless alone."""
    kept = [m for m in mentions if not (m.diagnosis == "benign" and _CORE_LINE.match(text, text.rfind("\n", 0, m.start) + 1, m.start))]
    return kept or list(mentions)


def _stop_of_core(text: str, mark: re.Match[str], stop: int) -> int:
    """A core that begins a line ends with it: what follows the list speaks of the specimen."""
    begins_line = not text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip(" \t-*•>")
    line_end = text.find("\n", mark.end(), stop)
    return line_end if begins_line and line_end >= 0 else stop


def _core_state(text: str, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[TextRange]) -> tuple[bool, int] | None:
    """Whether one listed core holds cancer, and where the words that say so end; None where nothing is said of it."""
    own = [m for m in mentions if start <= m.start < end]
    if own or any(start <= first < end for first, _ in grades):
        is_positive = not own or any(m.diagnosis in ("adenocarcinoma", "other_malignancy", "tumour") for m in own)
        is_positive = is_positive or any(start <= first < end for first, _ in grades)
        return is_positive, own[0].end if own else start
    state = _CORE_STATE.match(text, start, end)
    return (state["negative"] is None, state.end()) if state else None


_HELD = r"(?:adeno)?(?:tumou?r|carcinoma|cancer|malignancy|disease)"
_TUMOUR_IN = re.compile(
    rf"\b{_HELD}\b[^.;\n]{{0,45}}?[\s,](?:(?:is|was)\s+)?(?:(?:present|seen|identified|found)\s+)?in\s+(?:(?P<all>all"
    rf"|both)(?:\s+(?P<of>{_N}))?"
    rf"|(?P<positive>{_N}|none))(?:\s+of\s+(?:them|these|the\s+cores))?(?=\s*(?:[,.;()\n]|$|at\b|with\b))",
    re.IGNORECASE,
)
"""After the cores were counted: "Ten cores, tumour in four"."""
_SOME_OF = re.compile(
    rf"\b(?={_FIRST})(?<![\d.,+=/-])(?P<total>{_N})(?:\s*\(\d{{1,2}}\))?\s+(?:{_ADJECTIVES}{_CORE}|received|taken|sampled|submitted|examined|obtained)\b"
    rf"[^.;\n\d]{{0,40}}?[,;:(.]\s*(?:of\s+(?:which"
    rf"|these)\s+)?"
    rf"(?P<positive>{_N}|0|no|both|all|none|neither)\s+(?:of\s+(?:which|them|these)\s+)?(?:cores?\s+)?(?:(?:is|are|was|were)\s+)?"
    r"(?:with|contain\w*|show\w*|positive|involved|harbou?r\w*|has|have|demonstrat\w*|reveal\w*|malignant|infiltrated|affected)\b"
    r"(?P<what>[^.;\n]{0,60})",
    re.IGNORECASE,
)
_FREE = (
    rf"(?:without\s+(?:\w+\s+){{0,3}}?{_HELD}|(?:free\s+(?:of|from)|negative\s+for|(?:show|contain|reveal|demonstrat|with|have"
    rf"|has)\w*\s+no)"
    rf"\s+(?:\w+\s+){{0,4}}?{_HELD})"
)
_NONE_HOLDS = re.compile(
    rf"\b(?={_FIRST})(?<![\d.,+=/-])(?P<total>{_N})(?:\s*\(\d{{1,2}}\))?\s+{_ADJECTIVES}{_CORE}\b(?:[^.;:\n\d]{{0,30}}?[,:]\s*(?=all\b|both\b"
    rf"|each\b)|[^.;:,\n\d]{{0,30}}?\s)\s*(?:(?:are|is|were|was|which"
    rf"|that)\s+)*(?:(?:all|both|each)\s+(?:of\s+(?:them|which)\s+)?(?:(?:are|is|were|was)\s+)?(?:benign|negative|clear|free|uninvolved)\b"
    rf"|(?<=are )(?:all\s+)?(?:benign|negative|clear|free|uninvolved)\b|(?:(?:all|both)\s+)?{_FREE})",
    re.IGNORECASE,
)
_ALL_OF_UNKNOWN = re.compile(
    rf"\b(?:all|none)\s+(?:of\s+)?(?:the\s+|these\s+)?(?:\w+\s+)?{_CORE}\b\s+(?:\w+\s+)?(?:show|contain|are|is|involved|positive|benign"
    r"|negative|reveal|demonstrat|free|were|was)|\bin\s+(?P<any>any\s+of\s+(?:them|these|the\s+(?:cores|biopsies|samples)))\b",
    re.IGNORECASE,
)
_OTHER_FINDING = re.compile(r"\b(?:HGPIN|PIN|atypi\w*|ASAP|inflamm\w*|prostatitis|atroph\w*|granulom\w*|no|benign)\b", re.IGNORECASE)


def _told_of(text: str, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[TextRange], is_cancer: bool) -> Facts:
    """Cores that are counted first and then told of: "2 cores, one with 3 mm cancer", "ten cores, all benign"."""
    some = _SOME_OF.search(text, start, end)
    is_none = some is not None and _NONE_OF.match(some["positive"]) is not None
    if some is not None and (is_none or (is_cancer and not _OTHER_FINDING.search(some["what"]))):
        total = number_of(some["total"])
        positive = total if some["positive"].lower() in ("both", "all") else number_of(some["positive"])
        if positive <= total:
            span = (some.start(), some.start("what"))
            return {"cores_positive": _count(positive, span, "told"), "cores_total": _count(total, span, "told")}
    free = None if is_cancer else _NONE_HOLDS.search(text, start, end)
    if free is not None:
        total = number_of(free["total"])
        return {"cores_positive": _count(0, free.span(), "told"), "cores_total": _count(total, free.span(), "told")}
    return _tumour_in(text, start, end)


def _tumour_in(text: str, start: int, end: int) -> Facts:
    match = _TUMOUR_IN.search(text, start, end)
    if match is None:
        return {}
    counted = _totals(text, start, match.start()).get("cores_total")
    if counted is None and not match["of"]:
        return {}
    if match["all"]:
        positive = number_of(match["of"]) if match["of"] else int(counted.number) if counted else 0
    else:
        positive = number_of(match["positive"])
    total = counted or _count(positive, match.span(), "told")
    return {"cores_positive": _count(positive, match.span(), "told"), "cores_total": total} if positive <= total.number else {}


def _all(text: str, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[TextRange], is_cancer: bool) -> Facts:
    match = _ALL.search(text, start, end)
    unknown = _ALL_OF_UNKNOWN.search(text, start, end)
    if unknown is not None and (match is None or not match["total"]):
        is_all = unknown[0].lower().startswith("all")
        return {ALL_POSITIVE: _count(is_all and is_cancer, unknown.span(), "all")} if is_all or not is_cancer else {}
    if match is None:
        return {}
    words = match[0].lower()
    count = 2 if "both" in words.split() else number_of(match["total"]) if match["total"] else None
    if words.split()[0] in ("each", "every") or count is None:
        total = None if count is None else _count(count, match.span(), "all")
        return {"cores_total": total} if total else {}
    if is_cancer and re.search(r"benign|negative", words):
        return {"cores_total": _count(count, match.span(), "all")}
    return {"cores_positive": _count(count if is_cancer else 0, match.span(), "all"), "cores_total": _count(count, match.span(), "all")}


def _involves(text: str, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[TextRange], is_cancer: bool) -> Facts:
    if not is_cancer:
        match_none = _NO_CANCER_IN.search(text, start, end)
        if match_none is None:
            return {}
        total = number_of(match_none["total"] or match_none["before"])
        return {"cores_positive": _count(0, match_none.span(), "none_in"), "cores_total": _count(total, match_none.span(), "none_in")}
    for pattern in (_POSITIVE_COUNT, _BARE_POSITIVE, _INVOLVES):
        for match in pattern.finditer(text, start, end):
            if _UNIT_BEFORE_CORE.search(match[0]):
                continue
            return {"cores_positive": _count(number_of(match["positive"]), match.span(), "involves", 0.9)}
    return {}


def _totals(text: str, start: int, end: int, taken: Sequence[TextRange] = ()) -> Facts:
    labelled = {name: fact for name, fact in _labelled(text, start, end).items() if name == "cores_total"}
    if labelled:
        return labelled
    for match in _COUNT.finditer(text, start, end):
        if any(first < match.end() and match.start() < last for first, last in taken) or _UNIT_BEFORE_CORE.search(match[0]):
            continue
        written = next(match[name] for name in ("total", "times", "in_brackets", "x", "x_before") if match[name])
        value = number_of(written)
        if 0 < value <= 80:
            return {"cores_total": _count(value, match.span(), "count", 0.93)}
    return {}


def _count(value: int, span: TextRange, rule: str = "labelled", confidence: float = 0.96) -> Fact:
    return Fact(value=value, spans=(span,), confidence=confidence, rule=rule)
