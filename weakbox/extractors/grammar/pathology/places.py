"""Where a specimen was taken: the text layer's location words, and the letter codes of biopsy requisitions (``LLB``, ``RM``)."""

from __future__ import annotations

import re

from weakbox.extractors.grammar.pathology.facts import Fact, Facts
from weakbox.records.stated import FieldValue
from weakbox.text.locations import read_location

LOCATION_FIELDS = ("side", "zone", "levels", "positions")

_CODE = re.compile(r"(?<![\w+./-])(?P<side>[LR])(?P<position>[LM])?(?P<level>[BMA])(?![\w+./'’-])")
_SIDE_LETTER = re.compile(r"(?<![\w+./-])(?P<side>[LR])t?\.?(?=\s+(?:lobe|side|prostate|biops\w+|cores?|systematic|targets?|gland|half)\b)")
_LEVEL = {"B": "base", "M": "mid", "A": "apex"}
_SIDE = {"L": "left", "R": "right"}
_POSITION = {"L": "lateral", "M": "medial"}


def location_facts(text: str, start: int, end: int) -> Facts:
    """Side, zone, levels and positions that ``text[start:end]`` names, in words or as a code."""
    location = read_location(text[start:end])
    facts: Facts = {}
    for name in LOCATION_FIELDS:
        value, spans = getattr(location, name), location.spans.get(name, ())
        if value and spans:
            facts[name] = Fact(
                value=value, spans=tuple((first + start, last + start) for first, last in spans), confidence=0.96, rule="location"
            )
    return facts or _coded(text, start, end)


def _coded(text: str, start: int, end: int) -> Facts:
    match = _CODE.search(text, start, end)
    if match is None:
        letter = _SIDE_LETTER.search(text, start, end)
        return {"side": Fact(value=_SIDE[letter["side"]], spans=(letter.span(),), confidence=0.9, rule="side_letter")} if letter else {}
    values: dict[str, FieldValue] = {"side": _SIDE[match["side"]], "levels": (_LEVEL[match["level"]],)}
    if match["position"]:
        values["positions"] = (_POSITION[match["position"]],)
    return {name: Fact(value=value, spans=(match.span(),), confidence=0.88, rule="location_code") for name, value in values.items()}


def is_only_a_side(text: str, start: int, end: int) -> bool:
    """Whether the words give a side and no more: they may head several specimens."""
    return set(location_facts(text, start, end)) == {"side"}
