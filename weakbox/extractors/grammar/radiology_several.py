"""Several lesions in one clause: "two foci, left base and left apex", "14 mm and 9 mm, PI-RADS 5 and 3 respectively"."""

from __future__ import annotations

import itertools
import re

from weakbox.extractors.grammar.radiology_drafts import Candidate, location_candidates
from weakbox.extractors.grammar.radiology_prior import is_prior
from weakbox.extractors.grammar.radiology_units import Clause, View
from weakbox.text.locations import location_of
from weakbox.text.quantities import Measured, Size, parse_number

Values = dict[str, Candidate]

RESPECTIVELY = "respectively"
_GROUP = re.compile(r",|;|\band\b|\bas well as\b|&")
_MORE_SCORES = re.compile(
    r"\s*(?:\([^()]{0,30}\)\s*)?(?:,\s*and|,|and|&|/)\s*(?:score\s*|category\s*)?(?P<value>[1-5])(?![\d%]|[.,]\d"
    r"|\s?(?:mm|cm|x\s?\d|lesions|foci))"
)
_LENGTHS = re.compile(
    r"(?<![\w.,/])(?P<list>\d{1,3}(?:\.\d)?(?:\s?(?:mm|cm))?(?:(?:\s*,\s*and|\s*,|\s+and|\s*&)\s+\d{1,3}(?:\.\d)?(?:\s?(?:mm"
    r"|cm))?)+)(?<=[mc]m)(?!\s*x)"
)
_LENGTH = re.compile(r"(?P<value>\d{1,3}(?:\.\d)?)(?:\s?(?P<unit>mm|cm))?")


def place_groups(clause: Clause, view: View) -> list[Values]:
    """The places that a list names, each with the size that stands with it."""
    groups: list[Values] = []
    for start, end in _parts(clause, view):
        location = location_of(view.locations.within(start, end))
        sizes = [size for size in view.sizes.within(start, end) if size.measured is Measured.LESION]
        if groups and sizes and not location:
            groups[-1].setdefault("size_mm", _size(sizes[0]))
        if location.side or location.zone or (groups and location.levels):
            group = location_candidates(location, 0, rule="location_of_list", confidence=0.85)
            if sizes:
                group["size_mm"] = _size(sizes[0])
            if groups and "zone" not in group:
                group |= {
                    name: groups[0][name] for name in ("zone", "side") if name in groups[0] and (name == "zone" or "side" not in group)
                }
            groups.append(group)
    return _with_shared_size(_without_introduction(groups), view.cut(clause))


def _without_introduction(groups: list[Values]) -> list[Values]:
    """ "In the peripheral zone, right mid and left apex": the zone that leads the list holds for its members."""
    if len(groups) < 3 or "side" in groups[0] or not all("side" in group for group in groups[1:]):
        return groups
    return [{**groups[0], **group} for group in groups[1:]]


_OF_EACH = re.compile(r"\b(?:each|both)\b[^.;\d]{0,25}(?=\d)")


def _with_shared_size(groups: list[Values], cut: str) -> list[Values]:
    """ "Each 9 mm" behind the places is the size of all."""
    if len(groups) > 1 and "size_mm" in groups[-1] and _OF_EACH.search(cut) and not any("size_mm" in group for group in groups[:-1]):
        for group in groups[:-1]:
            group["size_mm"] = groups[-1]["size_mm"]
    return groups


def _parts(clause: Clause, view: View) -> list[tuple[int, int]]:
    bounds = [clause.start, *(match.start() for match in _GROUP.finditer(view.text.lower, clause.start, clause.end)), clause.end]
    return list(itertools.pairwise(bounds))


def _size(size: Size) -> Candidate:
    return Candidate(value=size.values_mm, words=((size.start, size.end),), rule="size_of_list", confidence=0.88)


def respective_values(clause: Clause, view: View, count_of_lesions: int = 0) -> list[Values]:
    """The values of each lesion where the clause gives them in lists of one length; empty where it does not.

    It does with "respectively", or with as many scores as the lesions that it counts ("two lesions, PI-RADS 5 (base) and 3 (apex)").
    """
    is_said = RESPECTIVELY in view.cut(clause)
    if not is_said and count_of_lesions < 2:
        return []
    lists: dict[str, list[Candidate]] = {
        "pirads": _scores(clause, view, "pirads"),
        "likert": _scores(clause, view, "likert"),
        "size_mm": _sizes(clause, view),
    }
    if not is_said and max(len(lists["pirads"]), len(lists["likert"])) != count_of_lesions:
        return []
    places = _listed_places(clause, view)
    if len(places) > 1 and len(places) - 1 in (len(lists["pirads"]), len(lists["likert"]), len(lists["size_mm"]) if is_said else 0):
        places = [{**places[0], **place} for place in places[1:]]
    count = max([*(len(found) for found in lists.values()), len(places)])
    if count < 2:
        return []
    groups: list[Values] = [dict(place) for place in places] if len(places) == count else [{} for _ in range(count)]
    for name, found in lists.items():
        if len(found) == count:
            for group, candidate in zip(groups, found, strict=True):
                group[name] = candidate
    return groups


def _scores(clause: Clause, view: View, name: str) -> list[Candidate]:
    lower = view.text.lower
    located = view.categories if name == "pirads" else view.likerts
    mentions = [mention for mention in located.within(clause.start, clause.end) if not is_prior(lower, mention.start, mention.end)]
    found = []
    for mention in mentions:
        found.append(Candidate(value=mention.value, words=((mention.start, mention.end),), rule="score_of_list", confidence=0.88))
        position = mention.end
        while (more := _MORE_SCORES.match(lower, position, clause.end)) is not None:
            found.append(Candidate(value=int(more["value"]), words=(more.span("value"),), rule="score_of_list", confidence=0.85))
            position = more.end()
    return found


def _sizes(clause: Clause, view: View) -> list[Candidate]:
    match = _LENGTHS.search(view.text.lower, clause.start, clause.end)
    if match is None:
        return [_size(size) for size in view.sizes.within(clause.start, clause.end) if size.measured is Measured.LESION]
    lengths = list(_LENGTH.finditer(view.text.lower, *match.span("list")))
    unit = lengths[-1]["unit"]
    found = []
    for length in lengths:
        factor = 10.0 if (length["unit"] or unit) == "cm" else 1.0
        value = round(parse_number(length["value"]) * factor, 3)
        found.append(Candidate(value=(value,), words=(length.span(),), rule="size_of_list", confidence=0.85))
    return found


def _listed_places(clause: Clause, view: View) -> list[Values]:
    """One place a member of the list; what only the first member names ("left PZ at the base and apex") holds for all."""
    found = []
    for start, end in _parts(clause, view):
        location = location_of(view.locations.within(start, end))
        if location:
            found.append(location_candidates(location, 0, rule="location_of_list", confidence=0.85))
    if len(found) > 1:
        for group in found[1:]:
            for name in ("side", "zone"):
                if name in found[0] and name not in group:
                    group[name] = found[0][name]
    return found
