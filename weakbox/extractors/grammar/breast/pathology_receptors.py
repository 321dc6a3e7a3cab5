"""Receptors: ER, PR and HER2 by words, signs, percentages, Allred, Quick and H scores; HER2 by in-situ hybridisation where there is one."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.breast.pathology_tables import Cell, Table
from weakbox.extractors.grammar.pathology.facts import Fact, Facts

_ER = (
    r"(?i:o?estrogen(?:[- ]receptors?)?(?:\s*\(ER\)|[ -]alpha)?|receptors?[- ]o?estrogen(?:ic)?|o?estrogenic receptors?|ER[- ]alpha)"
    r"|\bER\b|\bER(?=[0-8]\b)|\bE\.R\.?|\bRE\b|\bEr(?=[ :])|\ber(?=\s?(?:[+:=]|-\s|pos|neg|\d))"
)
_PR = (
    r"(?i:progest[eo]?r?one?(?:[- ]receptors?)?(?:\s*\((?:PR|PgR)\))?|receptors?[- ]progesterone|progestin[- ]receptors?"
    r"|progesteronic receptors?)"
    r"|\bP[gG]?R\b|\bPR(?=[0-8]\b)|\bP\.R\.?|\bPR[gG]\b|\bRP\b|\bPr(?=[ :])|\bpr(?=\s?(?:[+:=]|-\s|pos|neg|\d))"
)
_HER2 = (
    r"(?i:her[- ]?2(?:\s?[/(-]?\s?neu\)?)?(?:\s*\(c-?erb-?b-?2\))?(?:\s*(?:oncoprotein|protein|receptor|status))*"
    r"|c-?erb-?b-?2(?:\s?[/(]\s?her-?2\)?)?|erbb2)"
)
_ISH = (
    r"(?i:(?:dual[- ]|d-?d|d|f|c|s|br)?[- ]?ish\b"
    r"|(?:fluorescen\w+|chromogenic|silver|dual)?[- ]?in[- ]situ[- ]hybridi[sz]ation(?:\s*\([FCDS]{0,2}ISH\))?)"
)
_HORMONES = r"(?i:hormon(?:e|al)?[- ]?receptors?(?:\s+status)?(?:\s*\(HR\))?)|\bHR\b(?=\s?[+-]|[ -](?i:pos|neg))"
_NAME = re.compile(
    rf"(?<![\w-])(?=[bcdefhioprsBCDEFHIOPRS]|[ -](?i:is|in))(?:(?P<her2>{_HER2})|(?P<er>{_ER})|(?P<pr>{_PR})|(?P<ish>{_ISH})"
    rf"|(?P<hormones>{_HORMONES}))(?![A-Za-z])"
)
_OTHER_MARKER = re.compile(
    r"(?<![\w-])(?:ki-?\s?67|mib-?1|p53|p63|ck\d\S*|cytokeratin\w*|ae1\S*|e-?cadherin|gata-?3|androgen|AR\b|calponin|smmhc?|smms\S*"
    r"|sma\b|s-?100|sox-?10"
    r"|pd-?l1|egfr|mammaglobin|gcdfp\S*|ttf-?1|pax-?8|p-?120|oncotype|recurrence|proliferati\w+|triple|grade|nottingham"
    r"|lymphovascular|margins?|comment|note"
    r"|comedo\w*|dcis|lcis|necrosis|stage|ptnm|p[tn]\d)",
    re.IGNORECASE,
)
_JOIN = re.compile(
    r"\s*(?:\(\s*(?:ER|PR|PgR)\s*\)\s*)?(?:/|,|and|&|\+|,\s*and|,?\s*(?:n?or|plus)|-|y)?\s*(?:(?:receptors?|status|expression|the|for"
    r"|of)\s*)?(?:/|,|and|&)?\s*(?:(?:the|both)\s+)?"
)
_BEFORE = re.compile(
    r"(?P<word>positive|negative|neg|pos|immunoreactive|reactive|non-?reactive|(?:not\s+)?(?:over-?)?express(?:es|ed|ing)?"
    r"|(?:not\s+)?stain(?:s|ed|ing)?|lacks?|lacking|no|neither|but\s+not|without|overexpression)"
    r"(?:\s+(?:strongly|weakly|moderately|diffusely))?\s+(?P<link>expression\s+(?:of|for)|staining\s+(?:for|of)|immunostaining for"
    r"|immunoreactivity for|for|with)?\s*"
    r"(?:both\s+|the\s+)?(?:hormone\s+receptors?\s*[(:]?\s*)?$"
)
_POSITIVE_WORDS = frozenset(("positive", "pos", "immunoreactive", "reactive"))
_VALUE_FOLLOWS = re.compile(r"\s*(?:[:=|(+<>\d-]|positiv|negativ|pos\b|neg\b|score|ihc|status|by |allred|strong|weak|low|0)")
_STOP = re.compile(r"\n[ \t]*\n|\n[ \t]*(?:[A-Z]|\d{1,2}|[IVX]{1,4})[.):]\s")
_UNKNOWN = (
    r"pending|to follow|awaited|not (?:performed|done|repeated|attempted|tested|available|assessed|assessable|applicable|reported"
    r"|requested|evaluated|ordered)"
    r"|cannot be (?:assessed|determined|performed)|n/a\b|na\b|requested|ordered|deferred|will be|in progress|\bsent\b|\bsee "
    r"|to be (?:performed|reported)|outstanding"
    r"|insufficient (?:tissue|tumou?r|material|cells)?|non-?evaluable|unknown|not evaluable|underway|if |are being|is being"
    r"|has been (?:sent|requested)|have been (?:sent|requested)"
    r"|indeterminate|failed|repeat"
)
_HORMONE_VALUE = re.compile(
    rf"(?P<unknown>{_UNKNOWN})"
    r"|(?P<negative>(?:low[- ])?negativ\w*|neg\b\.?|non-?reactive|no (?:staining|expression|immunoreactivity|nuclear staining"
    r"|reactivity)|not (?:expressed|detected)|absent|nil\b"
    r"|(?<![\d.,])0\s?(?:/|of)\s?\d+|none\b|lost\b|does not stain|unreactive)"
    r"|(?P<positive>(?:low[- ]|weakly? |strongly? |moderately? |diffusely? |focally? )*(?:positiv\w*|pos\b\.?|immunoreactive|reactive"
    r"|expressed)|strong(?:ly)?|moderate(?:ly)?|weak(?:ly)?|low[- ]positiv\w*|diffuse)"
    r"|(?P<zero>(?<![\d./])0(?=\s*(?:[,;)\n]|\.(?!\d)|$)))"
    r"|(?P<less><\s*(?:0?[.,]\d+|1)(?![\d.,]\d)\s*(?:%|per ?cent))"
    r"|(?P<percent>(?:>|~|≥|approx\w*\.?|about|<)?\s*\d{1,3}(?:[.,]\d+)?\s*(?:(?:-|to)\s*\d{1,3}\s*)?(?:%|per ?cent))"
    r"|(?:(?:modified\s+)?(?:allred|quick|q)?[\s-]*(?:total\s+)?score|allred|quick|irs|remmele|h[- ]?score|histo-?score|ts"
    r"|qs)\W{0,4}(?:is|of|score|total|\(|:)?\W{0,3}(?P<score>\d{1,3})(?:\s*(?:/|of|out of)\s*\d{1,3})?"
    r"|(?P<allred>(?<![\d.,])[0-8])(?:\s*\([\d\s+=]{1,9}\))?\s*(?:/|of|out of)\s*(?:8|7)\b|(?P<irs>\d{1,2})\s*/\s*12\b"
    r"|(?P<h>\d{1,3})\s*/\s*300\b"
    r"|(?P<plus>\(\s*\++\s*(?:ve)?\s*\)|\+\s?ve\b|(?<![\d+])\++(?![\d+])|\d\+(?!\d))|(?P<minus>\(\s*-+\s*(?:ve)?\s*\)|-\s?ve\b|(?<![\w-])-(?=[\s]*(?:[,;/.)\n]|$))"
    r"|(?<=\w)-(?=[\s,;/.)\n]|$))"
)
_HER2_VALUE = re.compile(
    rf"(?P<unknown>{_UNKNOWN})"
    r"|(?P<ish_negative>(?:not|non|un|no)[- ]?\s?(?:gene\s+)?amplif\w*|amplification (?:is )?(?:not|absent|negative)"
    r"|no (?:evidence of )?(?:gene )?amplification|without amplification|lack of amplification)"
    r"|(?P<ish_positive>amplified|amplification|polysomy amplified)"
    r"|(?P<score>(?<![\d/.+])0\s?/\s?1\s?\+|(?<![\d/.+])[0-3]\s?\+(?!\+)(?:\s*[-/to]{1,2}\s*[0-3]\+)?|(?<![\d.+])\+{1,3}(?!\d)(?=\W|$)|(?:score|ihc)\W{0,4}(?:is"
    r"|of|score)?\W{0,3}(?:0|1|2|3)(?![\d.%])(?:\s*/\s*3)?|(?<![\d./+])0(?=\s*(?:[,;.)(\n]|$))(?!\.\d))"
    r"|(?P<equivocal>equivocal|borderline|indeterminate)"
    r"|(?P<negative>negativ\w*|neg\b\.?|not over-?\s?express\w*|no over-?\s?expression|no expression|no staining|her2-?low|ultra-?low"
    r"|(?<![a-z])low\b|nil\b|(?<=\w)-(?=[\s,;/.)\n]|$)|\(\s*-\s*(?:ve)?\s*\)|-\s?ve\b|-(?=\s*(?:[,;/.)\n]|$)))"
    r"|(?P<positive>positiv\w*|pos\b\.?|over-?\s?express\w*|\+\s?ve\b|(?<![\d+])\+(?=[\s,;/.)\n]|$))"
)
_ISH_VALUE = re.compile(
    rf"(?P<unknown>{_UNKNOWN}|(?:was |is )?(?:recommended|advised|suggested))"
    r"|(?P<negative>(?:not|non|un|no)[- ]?\s?(?:gene\s+)?amplif\w*|no (?:evidence of )?(?:gene )?amplification|without amplification"
    r"|amplification (?:is )?(?:not|absent|negative)|negativ\w*|neg\b\.?|(?<=\w)-(?=[\s,;/.)\n]|$)|(?<![a-z])low\b)"
    r"|(?P<positive>amplif\w*|positiv\w*|pos\b\.?)"
    r"|(?P<equivocal>equivocal)"
)
_RATIO = re.compile(
    r"ratio\W{0,4}(?:is|of|=|:)?\W{0,3}(?P<ratio>\d{1,2}(?:[.,]\d+)?)|(?:cep-?\s?17|chr\w*\s?17)\)?\W{1,4}(?P<other>\d{1,2}[.,]\d+)"
)
_DEFINITION = re.compile(
    r"[\s:]*(?:(?:is|are|be)\s+)?(?:considered|defined|interpreted as|reported as|scored as|positive (?:if|when)|negative (?:if|when)"
    r"|guideline|testing (?:is|was|per)|scoring|interpretation)"
)
_PHENOTYPE = re.compile(r"(?<!\w)(?P<kind>triple)[- ](?P<value>negative|positive)|\btnbc\b", re.IGNORECASE)
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Receptor:
    """``name`` (er, pr, her2 or ish) with ``value`` at ``start:end``; None where the text says that it is not known."""

    name: str
    value: str | None
    start: int
    end: int
    rule: str
    owner: str | None = None
    """The specimen whose column of a table it stands in."""


def find_receptors(text: str, lower: str, tables: Sequence[Table] = ()) -> list[Receptor]:
    """Every receptor result of the text, in order; in ``tables`` the header gives the names."""
    is_named = "triple" in lower or "tnbc" in lower
    phenotypes = _PHENOTYPE.finditer(text) if is_named else ()
    found = [_phenotype(match, name) for match in phenotypes for name in ("er", "pr", "her2")]
    names = [(match, str(match.lastgroup)) for match in _NAME.finditer(text)]
    if not names and not found and not tables:
        return []
    headers = [span for table in tables for span in table.headers]
    names = [(match, name) for match, name in names if not any(first <= match.start() < last for first, last in headers)]
    found += [receptor for table in tables for cell in table.cells for receptor in _of_cell(lower, cell)]
    groups = _groups(text, names)
    for index, group in enumerate(groups):
        stop = groups[index + 1][0][0].start() if index + 1 < len(groups) else len(text)
        found += _read(text, lower, group, stop)
    return sorted(found, key=lambda receptor: receptor.start)


def _of_cell(lower: str, cell: Cell) -> list[Receptor]:
    if cell.key == "her2_ish":
        match = _ISH_VALUE.search(lower, cell.start, cell.end)
        known = match is not None and match.lastgroup != "unknown"
        return (
            [Receptor(name="ish", value=str(match.lastgroup), start=cell.start, end=cell.end, rule="table", owner=cell.owner)]
            if match and known
            else []
        )
    if cell.key not in ("er", "pr", "her2") or (cell.owner is not None and lower[cell.start : cell.end] in ("-", "--", "n/a", "na")):
        return []
    return [
        replace(one, start=cell.start, end=cell.end, owner=cell.owner)
        for one in _value_of(lower, cell.key, cell.start, cell.start, cell.end)
    ]


def _phenotype(match: re.Match[str], name: str) -> Receptor:
    value = "positive" if (match["value"] or "").lower() == "positive" else "negative"
    return Receptor(name=name, value=value, start=match.start(), end=match.end(), rule="phenotype")


Group = list[tuple[re.Match[str], str]]


def _groups(text: str, names: Sequence[tuple[re.Match[str], str]]) -> list[Group]:
    """Names that only a join stands between share what follows them ("ER and PR: negative")."""
    groups: list[Group] = []
    for match, name in names:
        last = groups[-1][-1] if groups else None
        if last is not None and name != "ish" and last[1] != "ish" and last[1] != name and _joins(text[last[0].end() : match.start()]):
            groups[-1].append((match, name))
        elif last is not None and last[1] == "ish" and name == "her2" and _ISH_OF.fullmatch(text, last[0].end(), match.start()):
            groups[-1][-1] = (match, "ish")
        elif last is not None and last[1] == name and re.fullmatch(r"\s*[(\[,-]?\s*", text[last[0].end() : match.start()]):
            groups[-1][-1] = (match, name)
        else:
            groups.append([(match, name)])
    return groups


_ISH_OF = re.compile(r"\s*[(\[:,-]?\s*(?:(?:for|of|on)\s+)?(?:the\s+)?")


def _joins(between: str) -> bool:
    """Whether nothing but a join stands between two names; a sign right after a name is its value ("ER+, PR+")."""
    if len(between) > 30 or "\n" in between or (between[:1] in ("+", "-") and between[1:2] not in tuple("abcdefghijklmnopqrstuvwxyz")):
        return False
    return _JOIN.fullmatch(between) is not None


def _read(text: str, lower: str, group: Group, stop: int) -> list[Receptor]:
    start, end = group[0][0].start(), _after_aside(text, lower, group[-1])
    if group[0][1] == "ish":
        return _read_ish(lower, start, end, _limit(text, end, stop))
    limit = _limit(text, end, stop)
    if _DEFINITION.match(lower, end, limit):
        return []
    before = _BEFORE.search(lower, max(0, start - 70), start)
    if before is not None and (before["link"] or not _VALUE_FOLLOWS.match(lower, end, limit)):
        return _read_before(lower, before, group, limit)
    group = _spelled(group)
    if len(group) > 1:
        several = _listed(lower, group, end, limit)
        if several:
            return several
    return [receptor for match, name in group for receptor in _value_of(lower, name, match.start(), end, limit)]


_ASIDE = re.compile(r"\s*[(\[][^()\[\]\n]{1,40}[)\]]")


def _after_aside(text: str, lower: str, last: tuple[re.Match[str], str]) -> int:
    """The end of a name with brackets that hold no value: "ER (DCIS)", "PR (clone 1E2)"."""
    end = last[0].end()
    aside = _ASIDE.match(text, end)
    if aside is None:
        return end
    values = _HER2_VALUE if last[1] == "her2" else _HORMONE_VALUE
    return end if values.search(lower, aside.start(), aside.end()) else aside.end()


_OWN_VALUE = re.compile(r"\s*(?:is|was|are|shows?|[:=])\b")


def _read_before(lower: str, before: re.Match[str], group: Group, limit: int) -> list[Receptor]:
    """Names after their value ("positive for ER and PR"); a last one with a verb of its own says it itself."""
    word, start, end = before["word"], before.start(), group[-1][0].end()
    is_positive = word in _POSITIVE_WORDS or word.startswith(("express", "overexp", "over-exp", "stain"))
    own: list[Receptor] = []
    if len(group) > 1 and word != "neither" and _OWN_VALUE.match(lower, end, limit):
        own = _value_of(lower, group[-1][1], group[-1][0].start(), end, limit)
        group = group[:-1] if own else group
    value = "positive" if is_positive else "negative"
    return [*(Receptor(name=name, value=value, start=start, end=end, rule="before") for _, name in _spelled(group)), *own]


def _spelled(group: Group) -> Group:
    """Hormone receptors are those of oestrogen and progesterone."""
    return [
        (match, own)
        for match, name in group
        for own in (("er", "pr") if name == "hormones" else (name,))
        if name == "hormones" or own == name
    ]


def _limit(text: str, end: int, stop: int) -> int:
    limit = min(stop, end + _LONGEST)
    other = _OTHER_MARKER.search(text, end, limit)
    limit = other.start() if other else limit
    gap = _STOP.search(text, end, limit)
    return gap.start() if gap else limit


def _listed(lower: str, group: Group, end: int, limit: int) -> list[Receptor]:
    """ "ER/PR/HER2: +/+/-": as many values as names, in their order."""
    line = lower.find("\n", end, limit)
    line = limit if line < 0 else line
    lead = re.compile(r"[\s:=(]*").match(lower, end, line)
    position = lead.end() if lead else end
    pieces = re.split(r"\s*[,;/]\s*(?:and\s+)?(?!\s*[378]\b)|\s+and\s+", lower[position:line].rstrip(" .)"))
    if len(pieces) < len(group):
        return []
    found: list[Receptor] = []
    for (match, name), piece in zip(group, pieces, strict=False):
        first = lower.index(piece, position)
        position = first + len(piece)
        values = _value_of(lower, name, first, first, position)
        if not values:
            return []
        found += [Receptor(name=name, value=values[0].value, start=match.start(), end=position, rule="listed")]
    return found


_BARE_SCORE = re.compile(r"\s?[:=]?\s?(?P<score>[0-8])(?=[\s,;)]|\.(?!\d)|$)(?!\s*(?:/|of|out|%|\+|\(|-|to\b|x\b))")
"""ER 8: the Quick or Allred score without its name."""
_LEAST_ALLRED = 3


def _value_of(lower: str, name: str, start: int, end: int, limit: int) -> list[Receptor]:
    if name == "her2":
        return _read_her2(lower, start, end, limit)
    bare = _BARE_SCORE.match(lower, end, limit)
    if bare is not None:
        value = "positive" if int(bare["score"]) >= _LEAST_ALLRED else "negative"
        return [Receptor(name=name, value=value, start=start, end=bare.end(), rule="score")]
    match = _HORMONE_VALUE.search(lower, end, limit)
    if match is None:
        return []
    return [Receptor(name=name, value=_hormone(match, lower, limit), start=start, end=match.end(), rule=str(match.lastgroup))]


def _hormone(match: re.Match[str], lower: str, limit: int) -> str | None:
    kind = str(match.lastgroup)
    if kind == "unknown":
        return None
    if kind in ("negative", "less", "minus", "zero"):
        return "negative"
    if kind == "percent":
        return _by_percent(match["percent"])
    if kind == "positive" and match["positive"] in ("weak", "weakly", "strong", "strongly", "moderate", "moderately", "diffuse"):
        following = _HORMONE_VALUE.search(lower, match.end(), limit)
        return _hormone(following, lower, limit) if following and following.lastgroup not in ("unknown",) else "positive"
    if kind in ("score", "allred", "irs", "h"):
        score = int(match[kind])
        words = match[0]
        least = 3 if kind == "allred" or ("/" in words and re.search(r"/\s*8", words)) or "allred" in words or "quick" in words else 1
        least = 3 if kind == "irs" or "irs" in words or "remmele" in words else least
        return "positive" if score >= least else "negative"
    if kind == "plus" and match["plus"].startswith("0"):
        return "negative"
    return "positive"


def _by_percent(words: str) -> str:
    numbers = [float(number.replace(",", ".")) for number in re.findall(r"\d+(?:[.,]\d+)?", words)]
    return "negative" if max(numbers) < 1 else "positive"


def _read_her2(lower: str, start: int, end: int, limit: int) -> list[Receptor]:
    for match in _HER2_VALUE.finditer(lower, end, limit):
        kind = str(match.lastgroup)
        if kind == "unknown":
            return [Receptor(name="her2", value=None, start=start, end=match.end(), rule="unknown")]
        if kind.startswith("ish_"):
            return [Receptor(name="ish", value=kind.removeprefix("ish_"), start=start, end=match.end(), rule="ish")]
        value = _ihc(match["score"]) if kind == "score" else kind
        if value is not None:
            is_ish = kind in ("positive", "negative") and re.match(
                r"\W{0,3}(?:by|on|with|in)\s+(?:[dfcs]*ish|fluor|in situ)", lower[match.end() : match.end() + 20]
            )
            return [Receptor(name="ish" if is_ish else "her2", value=value, start=start, end=match.end(), rule=kind)]
    return []


def _ihc(words: str) -> str | None:
    digits = re.findall(r"[0-3]", words)
    if not digits:
        return {1: "negative", 2: "equivocal", 3: "positive"}.get(words.count("+"))
    score = max(int(digit) for digit in (digits[:1] if "/" in words else digits))
    return "negative" if score <= 1 else "equivocal" if score == 2 else "positive"


def _read_ish(lower: str, start: int, end: int, limit: int) -> list[Receptor]:
    before = re.search(
        r"(?P<not>(?:not|non|un)[- ]?|(?:no|without|lack of)\s+(?:gene\s+)?)?(?P<word>amplified|amplification|"
        r"positive|negative)\W{1,3}(?:on|by|with)\s+(?:her-?2\s*)?$",
        lower[max(0, start - 40) : start],
    )
    if before is not None:
        value = "negative" if before["not"] or before["word"] == "negative" else "positive"
        return [Receptor(name="ish", value=value, start=start, end=end, rule="ish")]
    match = _ISH_VALUE.search(lower, end, limit)
    if match is not None and match.lastgroup != "unknown":
        return [Receptor(name="ish", value=str(match.lastgroup), start=start, end=match.end(), rule="ish")]
    ratio = _RATIO.search(lower, end, limit)
    if match is None and ratio is not None:
        number = float((ratio["ratio"] or ratio["other"]).replace(",", "."))
        return [Receptor(name="ish", value="positive" if number >= 2.0 else "negative", start=start, end=ratio.end(), rule="ratio")]
    return []


def receptor_facts(receptors: Sequence[Receptor]) -> Facts:
    """The first result of each; ``ish`` stays beside ``her2`` until all passages are read (see ``settle_her2``)."""
    facts: Facts = {}
    for receptor in receptors:
        if receptor.value is not None and receptor.name not in facts:
            confidence = 0.85 if receptor.rule in ("phenotype", "ratio") else 0.96
            facts[receptor.name] = Fact(
                value=receptor.value, spans=((receptor.start, receptor.end),), confidence=confidence, rule=receptor.rule
            )
    return facts


def settle_her2(facts: Facts) -> Facts:
    """In-situ hybridisation decides HER2, unless it is equivocal itself and the protein is not."""
    ish = facts.get("ish")
    rest = {name: fact for name, fact in facts.items() if name != "ish"}
    if ish is None or (ish.value == "equivocal" and "her2" in rest):
        return rest
    spans = (*ish.spans, *rest["her2"].spans) if "her2" in rest else ish.spans
    return {**rest, "her2": Fact(value=ish.value, spans=spans, confidence=ish.confidence, rule="ish", flags=ish.flags)}


def between(receptors: Sequence[Receptor], start: int, end: int) -> list[Receptor]:
    """The results that begin in ``start:end``."""
    first = bisect_left(receptors, start, key=lambda receptor: receptor.start)
    last = bisect_left(receptors, end, key=lambda receptor: receptor.start)
    return [receptor for receptor in receptors[first:last] if receptor.owner is None]
