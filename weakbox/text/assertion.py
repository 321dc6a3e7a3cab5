"""How a sentence asserts the words at a place in it: negated, possible, prior, hypothetical or family.

After ConText (Harkema et al. 2009): triggers with a direction, terminations that end their scope, and pseudo-triggers
that look like one and are none. The words are data (``words/<language>.yaml``, group ``assertion``).
"""

from __future__ import annotations

from functools import lru_cache

from weakbox.records.stated import Assertion
from weakbox.text.lexicon import Hit, load_lexicon

_CATEGORY = {
    "negated": Assertion.ABSENT,
    "possible": Assertion.POSSIBLE,
    "prior": Assertion.PRIOR,
    "hypothetical": Assertion.HYPOTHETICAL,
    "family": Assertion.FAMILY,
}
_ORDER = (Assertion.FAMILY, Assertion.HYPOTHETICAL, Assertion.ABSENT, Assertion.PRIOR, Assertion.POSSIBLE)
"""Which category wins where several reach the target."""

_SCOPE_CHARACTERS = {"negated": 110, "possible": 90, "prior": 60, "hypothetical": 110, "family": 200}
_BACKWARD_SCOPE = {"negated": 60, "possible": 60, "prior": 45, "hypothetical": 60}
_HARD_STOPS = ";\n"


@lru_cache(maxsize=4096)
def _triggers(sentence: str, language: str) -> tuple[Hit, ...]:
    return tuple(load_lexicon(language, "assertion").find(sentence))


def assertion_at(sentence: str, start: int, end: int, language: str = "en") -> Assertion:
    """How ``sentence`` asserts ``sentence[start:end]``; PRESENT where no trigger reaches it.

    >>> assertion_at("No nodes, but there is a lesion", 25, 31)
    <Assertion.PRESENT: 'present'>
    """
    found = {category for category, _ in assertion_triggers(sentence, start, end, language)}
    return next((category for category in _ORDER if category in found), Assertion.PRESENT)


def assertion_triggers(sentence: str, start: int, end: int, language: str = "en") -> list[tuple[Assertion, Hit]]:
    """Every category that reaches the target, with the trigger words that carry it (offsets in the sentence)."""
    lower = sentence.lower()
    hits = _triggers(lower, language)
    if not hits:
        return []
    stops = [hit for hit in hits if hit.label == "terminate"]
    reached = []
    for hit in hits:
        name, _, direction = hit.label.partition("_")
        if (direction == "before" and _reaches(lower, hit.end, start, stops, _SCOPE_CHARACTERS[name])) or (
            direction == "after" and _reaches(lower, end, hit.start, stops, _BACKWARD_SCOPE[name])
        ):
            reached.append((_CATEGORY[name], hit))
    return reached


def _reaches(lower: str, start: int, end: int, stops: list[Hit], limit: int) -> bool:
    """Whether a scope that opens at ``start`` still holds at ``end``."""
    if not 0 <= end - start <= limit:
        return False
    if any(mark in lower[start:end] for mark in _HARD_STOPS):
        return False
    return not any(start <= stop.start and stop.end <= end for stop in stops)
