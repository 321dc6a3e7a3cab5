"""Which lesion a clause without a label speaks of: the one before it, a new one, or none."""

from __future__ import annotations

import re

from weakbox.extractors.grammar.radiology_drafts import Draft
from weakbox.extractors.grammar.radiology_facts import Facts
from weakbox.extractors.grammar.radiology_reading import SectionReading, conflicts, open_draft, place_matches
from weakbox.extractors.grammar.radiology_units import Clause

ANOTHER = re.compile(r"\b(?:another|second|third|fourth|additional|separate|further|other|satellite|also (?:a|an)|new)\b")
_OLD = re.compile(r"\bthe (?:old|known|previous|other) (?:lesion|focus|nodule|one|target)\b")
DEFINITE = re.compile(
    r"^\W*(?:it|this|these|that|its|the (?:same |above |aforementioned |described |index |said )?(?:lesion|focus|nodule|area|"
    r"abnormality|mass|finding|region|target|tumou?r)|which|measur\w+|corresponding|associated|there is (?:associated|corresponding|"
    r"also associated))\b"
)
_CONTINUES = re.compile(r"\b(?:corresponding|associated|with|same|matching|this|correlat\w+|co-?localiz\w+|shows?|demonstrates?)\b")
_PLACE_FIELD = re.compile(r"(?:lesion |target )*(?:locations?|sites?|position|side|zone|level|sector|region)\b")


_OTHER_LESION = re.compile(
    r"\b(?:the|of)\s+(?:left|right|former|larger|smaller|first|second|other|apical|basal|"
    r"midline)(?:-sided)?\s+(?:(?!and\b)\w+\s+){0,3}?(?:lesion|focus|nodule|target|one|area)\b"
)


def _named_by_place(reading: SectionReading, facts: Facts, cut: str) -> Draft | None:
    """An earlier lesion of the section that "the left lesion" means."""
    if "size_mm" in facts.values or not facts.has_place or not _OTHER_LESION.search(cut):
        return None
    matching = [draft for draft in reading.drafts if place_matches(draft, facts) and not (facts.is_scored and draft.is_scored)]
    return matching[0] if len(matching) == 1 else None


def draft_for(reading: SectionReading, clause: Clause, facts: Facts, cut: str) -> Draft | None:
    """The lesion that a clause speaks of: the current one, a new one, or none."""
    current = reading.current
    is_described = facts.has_place or "size_mm" in facts.values
    named = _named_by_place(reading, facts, cut)
    if named is not None:
        return named
    if clause.field is not None:
        return _draft_for_field(reading, clause, facts)
    if not facts.values and _introduces(current, facts, cut):
        draft = open_draft(reading, clause)
        draft.is_anchor = True
        return draft
    if not facts.values:
        return current if current is not None and (facts.is_suspicious or facts.is_benign) and DEFINITE.match(cut) else None
    is_against = current is not None and conflicts(current, facts)
    if facts.is_scored:
        return _draft_for_score(reading, clause, facts, cut, conflicts=is_against)
    is_exact = "size_mm" in facts.values and "zone" in facts.values and ("side" in facts.values or "levels" in facts.values)
    is_new_noun = (facts.has_noun or is_exact) and is_described and not DEFINITE.match(cut)
    if current is None:
        facts.is_lesion_word |= is_exact
        return open_draft(reading, clause) if (facts.has_noun and is_described) or is_exact else None
    if (facts.is_benign or facts.is_diffuse) and facts.has_noun and not DEFINITE.match(cut) and not facts.is_suspicious:
        return open_draft(reading, clause) if "size_mm" in facts.values or "side" in facts.values else None
    if ANOTHER.search(cut) and facts.has_noun and is_described and (is_against or not current.is_anchor or current.values):
        return open_draft(reading, clause)
    if is_against:
        return open_draft(reading, clause) if is_new_noun else None
    if is_new_noun and _is_new_place(current, facts, cut):
        return open_draft(reading, clause)
    if not facts.has_noun and not _is_attribute_only(facts, cut):
        is_own_place = not current.has_place and _is_its_place(current, clause, cut)
        return current if is_own_place and not facts.is_negative and not facts.is_benign else None
    return current


_ONLY_PLACE = re.compile(
    r"(?:[a-z]+:\s*)?(?:right|left|rt|lt|bilateral|midline|mid|base|basal|apex|apical|anterior|posterior|peripheral|transition|central|pz\w*|tz\w*|cz|afs|afms"
    r"|postero|antero|in the|at the|located)\b"
)


def _is_its_place(current: Draft, clause: Clause, cut: str) -> bool:
    """ "Lesion 1. 9 x 5 mm. Right mid PZpl.": the place right below a label, or a phrase of nothing else a little further on."""
    distance = clause.sentence - current.sentence
    if current.label is not None and distance == 1:
        return True
    is_near = distance <= (3 if current.label is not None or current.is_anchor else 1)
    return is_near and len(cut) <= 75 and _ONLY_PLACE.match(cut) is not None


_INTRODUCTION = re.compile(r"\W*(?:there (?:is|was)|(?:i|we) (?:see|find|note)|(?:an?|one|single|solitary) )(?:(?!\bno\b)[^;:])*$")


def _introduces(current: Draft | None, facts: Facts, cut: str) -> bool:
    """ "There is a single suspicious area." opens the lesion that the next sentences place and measure."""
    is_open = current is None or current.is_scored
    is_one = facts.has_noun and not (facts.is_negative or facts.is_plural or facts.is_benign or facts.is_diffuse)
    return is_open and is_one and (facts.is_lesion_word or facts.is_suspicious) and _INTRODUCTION.match(cut) is not None


def _is_attribute_only(facts: Facts, cut: str) -> bool:
    """Values of the current lesion without its noun: a size, sequence scores, an image number, or a place with "it"."""
    return any(name not in ("side", "zone", "levels", "positions") for name in facts.values) or bool(DEFINITE.match(cut))


def _is_new_place(current: Draft, facts: Facts, cut: str) -> bool:
    """A noun with a place or size that the current lesion does not share is another lesion."""
    if (current.is_anchor and not current.has_place) or not current.values:
        return False
    if not current.has_place and facts.has_place and "size_mm" not in facts.values and not current.is_scored:
        return False
    if _CONTINUES.search(cut) and not facts.has_place:
        return False
    same = [
        name
        for name in ("side", "zone", "levels")
        if name in facts.values and name in current.values and current.values[name].value == facts.values[name].value
    ]
    if same and "size_mm" not in facts.values:
        return False
    if same and "size_mm" not in current.values:
        return False
    return (facts.has_place and not same) or ("size_mm" in facts.values and "size_mm" in current.values)


def _draft_for_field(reading: SectionReading, clause: Clause, facts: Facts) -> Draft | None:
    current = reading.current
    if current is None or current.section != clause.section:
        if clause.field and _PLACE_FIELD.match(clause.field) and facts.has_place:
            draft = open_draft(reading, clause)
            draft.is_anchor = True
            return draft
        is_described = facts.has_noun and (facts.has_place or "size_mm" in facts.values)
        return open_draft(reading, clause) if is_described or (facts.is_scored and facts.has_place) else None
    is_repeated = bool(
        clause.field
        and _PLACE_FIELD.match(clause.field)
        and facts.has_place
        and current.has_place
        and current.is_scored
        and conflicts(current, facts)
    )
    if is_repeated:
        return open_draft(reading, clause)
    if facts.is_scored and current.is_scored and facts.has_place and conflicts(current, facts):
        return open_draft(reading, clause)
    if facts.is_scored and current.is_scored and not facts.has_place:
        return None
    return current


def _draft_for_score(reading: SectionReading, clause: Clause, facts: Facts, cut: str, *, conflicts: bool) -> Draft | None:
    current = reading.current
    is_described = facts.has_place or "size_mm" in facts.values or (facts.has_noun and facts.is_lesion_word)
    if current is None:
        is_diffuse = facts.is_benign and not facts.has_noun
        return open_draft(reading, clause) if is_described and not (is_diffuse and "size_mm" not in facts.values) else None
    if conflicts:
        return open_draft(reading, clause)
    if current.is_scored:
        if DEFINITE.match(cut) and not facts.has_place:
            return None
        if is_described or clause.marker is not None:
            return open_draft(reading, clause)
        return None
    if current.values and ((ANOTHER.search(cut) and facts.has_place) or _OLD.search(cut)):
        return open_draft(reading, clause)
    if (
        clause.marker is not None
        and clause.part == 0
        and current.sentence != clause.sentence
        and is_described
        and (facts.has_place or "size_mm" in current.values)
    ):
        return open_draft(reading, clause)
    return current
