"""Where a specimen was taken: the text layer's location words, and the letter codes of biopsy requisitions (``LLB``, ``RM``)."""

from __future__ import annotations

import re
from functools import lru_cache

from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.records.stated import FieldValue
from weakbox.text.locations import read_location

LOCATION_FIELDS = ("side", "zone", "levels", "positions")

_CODE = re.compile(r"(?<![\w+./-])(?P<side>[LR])(?P<position>[LM])?(?P<level>[BMA])(?![\w+./'’-])")
_SIDE_LETTER = re.compile(
    r"(?<![\w+./-])(?P<side>[LR])t?\.?(?=\s+(?:lobe|side|prostate|biops\w+|cores?|systematic|targets?|gland|half)\b)"
    r"|(?<=ystematic\s)(?P<after>[LR])t?\b(?![/.-]?\w)|(?<=YSTEMATIC\s)(?P<capital>[LR])T?\b(?![/.-]?\w)"
)
_SIDE_ALONE = re.compile(r"[\s\"'“”]*(?P<word>(?P<side>[LR])[Tt]?)\.?[\s\"'“”]*(?=[:=)\]-]|$)")
"""The letter as a heading: "R: benign"."""
_BETWEEN_COMMAS = re.compile(r"(?<=[,;(])\s*(?P<word>(?P<side>[LR])[Tt]\.?)\s*(?=[,;):])")
_ABBREVIATED = re.compile(
    r"(?<![\w+./-])(?P<word>(?P<side>[LR])(?:t\b\.?(?=[\s,)])|T\b\.?(?=\s*[,)]|\s+(?:BASE|MID|APEX|LAT|ANT|POST|LOBE|SEM|PZ|TZ|MED"
    r"|SIDE|PROST))))"
)
_MAY_MISLEAD = re.compile(
    r"cell|snout|metaplas|urothel|epithel|lamina|layer|o'?clock|left\s+(?:out|off|blank|empty|open)|right\s+up", re.IGNORECASE
)
_NO_PLACE = re.compile(
    r"\b(?:basal|transitional)[\s-]*(?:cells?|layers?|epithelium|lamina|urothelium|metaplasia)\b(?:\s+(?:layer|marker"
    r"|hyperplasia)s?)?|\bapical\s+snouts?\b|\bleft\s+(?:out|off|blank|empty|open)\b|\bright\s+up\b",
    re.IGNORECASE,
)
_SHORT_SITE = re.compile(r"(?<![\w+./-])(?:[LR]|[LR][Tt]\.?)[ \t]+(?:(?i:ant|post|lat|med|mid|paramed|postlat|postmed)\b\.?[ \t]*)+")
_IS_PLURAL = re.compile(r"bases\b|apices\b", re.IGNORECASE)
_PLURAL_LEVEL = re.compile(r"\b(?:bases|apices)\b", re.IGNORECASE)
_SINGULAR = {"bases": "base ", "apices": "apex  "}
_BOTH = re.compile(
    r"\bboth\s+(?:the\s+)?(?:(?:transition|peripheral|central)\s+zones|[tpc]zs?\b|base\b|apex\b|mids?\b|mid-?\s?glands?"
    r"|lobes|sides|seminal\s+vesicles)",
    re.IGNORECASE,
)
""" "Both transition zones": one on each side."""
_LEVEL = {"B": "base", "M": "mid", "A": "apex"}
_SIDE = {"L": "left", "R": "right"}
_POSITION = {"L": "lateral", "M": "medial"}


def location_facts(text: str, start: int, end: int) -> Facts:
    """Side, zone, levels and positions that ``text[start:end]`` names, in words or as a code."""
    return {
        name: Fact(value=value, spans=tuple((first + start, last + start) for first, last in spans), confidence=confidence, rule=rule)
        for name, value, spans, confidence, rule in _located(text[start:end])
    }


@lru_cache(maxsize=8192)
def _located(words: str) -> tuple[tuple[str, FieldValue, tuple[TextRange, ...], float, str], ...]:
    """What words say of a place, with offsets in them; the same words stand in many reports."""
    return tuple((name, fact.value, fact.spans, fact.confidence, fact.rule) for name, fact in _read_place(words).items())


def _read_place(words: str) -> Facts:
    if _MAY_MISLEAD.search(words):
        words = _NO_PLACE.sub(lambda match: " " * len(match[0]), words)
    if _IS_PLURAL.search(words):
        words = _PLURAL_LEVEL.sub(lambda match: _SINGULAR[match[0].lower()], words)
    location = read_location(words)
    facts: Facts = {}
    for name in LOCATION_FIELDS:
        value, spans = getattr(location, name), location.spans.get(name, ())
        if value and spans:
            facts[name] = Fact(value=value, spans=tuple(spans), confidence=0.96, rule="location")
    both = _BOTH.search(words) if facts and "side" not in facts else None
    if both is not None:
        facts["side"] = Fact(value="bilateral", spans=(both.span(),), confidence=0.93, rule="both")
    if facts and "side" not in facts:
        named = {match["side"].upper(): match for match in _ABBREVIATED.finditer(words)}
        if len(named) == 1:
            ((letter, match),) = named.items()
            facts["side"] = Fact(value=_SIDE[letter], spans=(match.span("word"),), confidence=0.9, rule="side_abbreviated")
    return facts or _abbreviated(words) or _shortened(words, 0, len(words)) or _coded(words, 0, len(words))


def _abbreviated(words: str) -> Facts:
    """ "PROSTATE, RT, SYSTEMATIC": the abbreviation between commas."""
    match = _BETWEEN_COMMAS.search(words)
    if match is None:
        return {}
    return {"side": Fact(value=_SIDE[match["side"].upper()], spans=(match.span("word"),), confidence=0.9, rule="side_abbreviated")}


def _shortened(text: str, start: int, end: int) -> Facts:
    """ "R ant", "Lt post lat": short forms beside each other, which count where no word is written in full."""
    match = _SHORT_SITE.search(text, start, end)
    if match is None:
        return {}
    location = read_location(match[0])
    return {
        name: Fact(
            value=getattr(location, name),
            spans=tuple((first + match.start(), last + match.start()) for first, last in location.spans[name]),
            confidence=0.9,
            rule="short_site",
        )
        for name in LOCATION_FIELDS
        if getattr(location, name) and location.spans.get(name)
    }


def _coded(text: str, start: int, end: int) -> Facts:
    alone = _SIDE_ALONE.match(text, start, end)
    if alone is not None:
        return {"side": Fact(value=_SIDE[alone["side"].upper()], spans=(alone.span("word"),), confidence=0.9, rule="side_letter")}
    match = _CODE.search(text, start, end)
    if match is None:
        letter = _SIDE_LETTER.search(text, start, end)
        side = letter and (letter["side"] or letter["after"] or letter["capital"])
        return {"side": Fact(value=_SIDE[side], spans=(letter.span(),), confidence=0.9, rule="side_letter")} if letter and side else {}
    values: dict[str, FieldValue] = {"side": _SIDE[match["side"]], "levels": (_LEVEL[match["level"]],)}
    if match["position"]:
        values["positions"] = (_POSITION[match["position"]],)
    return {name: Fact(value=value, spans=(match.span(),), confidence=0.88, rule="location_code") for name, value in values.items()}


def is_only_a_side(text: str, start: int, end: int) -> bool:
    """Whether the words give a side and no more: they may head several specimens."""
    return set(location_facts(text, start, end)) == {"side"}
