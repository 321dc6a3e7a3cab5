"""What a clause says of a breast finding: side, quadrant, clock, distance from the nipple, size, category."""

from __future__ import annotations

import re

from weakbox.extractors.grammar.breast.places import PlaceWord
from weakbox.extractors.grammar.breast.radiology_categories import CategoryMention
from weakbox.extractors.grammar.breast.radiology_units import View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.terminology.birads import severity
from weakbox.text.quantities import Measured, Size

_WRONG_BEFORE = re.compile(
    r"(?:\bnot|rather than|instead of|erroneously|incorrectly|mistakenly|in error|originally|previously|was|from)(?:\s+(?:in|on|at|the|"
    r"to|as|stated|reported|described|labell?ed))*\s*$"
)
_OPPOSITE = re.compile(r"(?:contralateral|opposite|compared (?:to|with) (?:the )?|than (?:the )?|unlike (?:the )?)\s*$")
_PRIOR_SIZE = re.compile(
    r"(?:\b(?:previous(?:ly)?|prior(?:ly)?|formerly|earlier|initially|originally|last (?:exam|study|year|mammogram|time)|before|old|"
    r"baseline|compared (?:to|with)|versus|vs\.?|was|were)\b(?:[\s:=(,]|\b(?:a|an|the|measur\w+|at|of|about|"
    r"approximately|to|it|in|on|exam|study|mammogram|ultrasound|mri|was|up|size|was|[\d./-]{4,}|19\d\d|20\d\d)\b)*|\bfrom\s*|\((?:19|"
    r"20)\d\d:?\s*|\bin (?:19|20)\d\d:?\s*)$"
)
_PRIOR_SIZE_AFTER = re.compile(
    r"\s*[,(]?\s*(?:previously|on (?:the )?(?:prior|previous|last)|at that time|in (?:19|20)\d\d|(?:19|20)\d\d\)|last year|"
    r"before\b)(?!\W{0,3}\d)"
)
_NOT_SIZE_BEFORE = re.compile(
    r"(?:(?:cort(?:ex|ical)\w*|skin|(?<!posterior )(?<!middle )(?<!anterior )(?<!mid )(?<!third )depths?|"
    r"(?<!over a )(?<!over the )distan(?:ce|t)|apart|thickness|thickened|compression|slice|"
    r"chest wall|separated by)\b[^,;.)]{0,28}|"
    r"hil(?:um|ar)\b[ :=(]{0,3}|"
    r"\b(?:(?:increase[sd]?|decrease[sd]?|grown|grew|shrunk|shrank|enlarged|reduced|larger|smaller|changed|differs?)(?: in size)? by|"
    r"(?:increase|decrease|growth|reduction|change|difference)(?: in size)? of)(?: (?:about|approximately|only|some|around))? ?|"
    r"(?:margins?|clip|marker|ducts?|implants?|coil|wire|needle|pectoral\w*|within|away|fluid|seroma|h(?:a)?ematoma|collection|"
    r"scar|cavity|(?:lies|located|situated)(?! an?\b)|deep)\b"
    r"(?:(?!measur|is\b|are\b|mass|nodule|lesion|cyst|size|contain|with\b|harbou?r)[^,;.()]){0,24})$"
)
_IS_DISTANCE_SLOT = re.compile(r"(?<=cm)\s*:")
""" "3 o'clock 4 cm: cyst 8 mm": what stands between the clock and the colon is the distance from the nipple."""
_NOT_SIZE_AFTER = re.compile(
    r"\s*(?:deep\b|in depth|depth|from\b|away|apart|anterior|posterior|below|beneath|above|inferior|superior|lateral|medial|behind|"
    r"cortex|cortical|cortices|skin|thick|between|off\b|caudal|cranial|distance|of the (?:nipple|skin)|to the (?:skin|nipple|chest)|"
    r"smaller|larger|bigger|longer|shorter|wider|narrower|less|more|greater|growth|increase|decrease|change|difference|shrinkage|"
    r"into|clip|ribbon|-?gauge|g|slice|sections?|views?|(?:(?!at|with|and|in)[a-z]+ ){1,2}(?:cortex|cortical))\b"
)


_REACHES = re.compile(
    r"(?: position| axis)? (?:to|towards?|up to|as far as|into|through) (?:the )?(?:nipple|areola|sub-?areol|"
    r"retro-?areol|skin|chest)"
)
""" "From 2 o'clock to the nipple": where a finding begins, no corrected place."""


def read_places(view: View, start: int, end: int) -> dict[str, Candidate]:
    """Quadrant, clock and distance of ``start:end``; a second, different quadrant leaves it open."""
    values: dict[str, Candidate] = {}
    quadrants = [word for word in view.quadrants.within(start, end) if not _is_wrong(view, word.start)]
    if quadrants and len({word.value for word in quadrants}) == 1:
        values["quadrant"] = _candidate(quadrants[0], "quadrant", 0.95)
    elif quadrants:
        chosen = [word for word in quadrants if word.value not in ("subareolar", "central")] if len(quadrants) == 2 else []
        if len(chosen) == 1:
            values["quadrant"] = _candidate(chosen[0], "quadrant_of_two", 0.7)
    clocks = [
        number
        for number in view.clocks.within(start, end)
        if not _is_wrong(view, number.start) or _REACHES.match(view.text.lower, number.end)
    ]
    if clocks:
        first = clocks[0]
        value = int(first.value) if first.value == int(first.value) else first.value
        values["clock"] = Candidate(
            value=value,
            words=((first.start, first.end),),
            rule="clock",
            confidence=0.8 if first.is_range else 0.96,
            flags=("range",) if first.is_range else (),
        )
    distances = view.distances.within(start, end)
    if distances:
        number = distances[0].value
        words = ((distances[0].start, distances[0].end),)
        values["distance_from_nipple_mm"] = Candidate(
            value=int(number) if number == int(number) else number,
            words=words,
            rule="nipple_distance",
            confidence=0.95,
            flags=("range",) if distances[0].is_range else (),
        )
    return values


def _candidate(word: PlaceWord, rule: str, confidence: float) -> Candidate:
    return Candidate(value=word.value, words=((word.start, word.end),), rule=rule, confidence=confidence)


def _is_wrong(view: View, start: int) -> bool:
    return bool(_WRONG_BEFORE.search(view.text.lower[max(0, start - 40) : start]))


def current_sides(view: View, start: int, end: int) -> list[PlaceWord]:
    """The sides that ``start:end`` states, without corrected or compared ones."""
    lower = view.text.lower
    return [
        side
        for side in view.sides.within(start, end)
        if not _WRONG_BEFORE.search(lower[max(start - 12, side.start - 40, 0) : side.start])
        and not _OPPOSITE.search(lower[max(0, side.start - 24) : side.start])
    ]


def side_of(sides: list[PlaceWord], rule: str, confidence: float) -> Candidate | None:
    """One side, or bilateral where both are named."""
    values = {side.value for side in sides}
    if not values:
        return None
    words = tuple((side.start, side.end) for side in sides[:4])
    if len(values) == 1:
        return Candidate(value=sides[0].value, words=words[:1], rule=rule, confidence=confidence)
    return Candidate(value="bilateral", words=words, rule=f"{rule}_both", confidence=confidence * 0.8)


def lesion_sizes(view: View, start: int, end: int) -> list[Size]:
    """The current sizes of findings in ``start:end``: no distances, thicknesses, clips, earlier values."""
    return [size for size in view.sizes.within(start, end) if _is_lesion_size(view, size, start, end)]


def _is_lesion_size(view: View, size: Size, start: int, end: int) -> bool:
    lower = view.text.lower
    if size.measured is Measured.TECHNIQUE or any(
        number.start < size.end and size.start < number.end for number in view.distances.within(max(0, start - 5), end)
    ):
        return False
    if _IS_DISTANCE_SLOT.match(lower, size.end) and any(
        clock.end <= size.start <= clock.end + 12 for clock in view.clocks.within(start, end)
    ):
        return False
    before = lower[max(start, size.start - 60) : size.start]
    after = lower[size.end : min(end + 1, size.end + 40)]
    if _PRIOR_SIZE.search(before) or _PRIOR_SIZE_AFTER.match(after):
        return False
    return not (_NOT_SIZE_BEFORE.search(before[-45:]) or _NOT_SIZE_AFTER.match(after))


def size_candidate(sizes: list[Size]) -> Candidate | None:
    """The fullest of the sizes, the first of equals; of single lengths the largest."""
    if not sizes:
        return None
    best = max(sizes, key=lambda size: (len(size.values_mm), -size.start))
    flags = [
        *(("range",) if best.low_mm is not None else ()),
        *(("unit",) if best.is_unit_inferred else ()),
        *(("operator",) if best.operator in ("<", ">") else ()),
    ]
    values = tuple(int(value) if value == int(value) else value for value in best.values_mm)
    return Candidate(value=values, words=((best.start, best.end),), rule="size", confidence=0.95 if not flags else 0.8, flags=tuple(flags))


def category_candidate(mentions: list[CategoryMention], rule: str, confidence: float) -> Candidate | None:
    """The worst of some categories."""
    if not mentions:
        return None
    best = max(mentions, key=lambda mention: (severity(mention.value), -mention.start))
    flags = [*(("range",) if best.is_range else ()), *(("ambiguous",) if best.is_ambiguous else ())]
    return Candidate(
        value=best.value, words=((best.start, best.end),), rule=rule, confidence=confidence if not flags else 0.7, flags=tuple(flags)
    )
