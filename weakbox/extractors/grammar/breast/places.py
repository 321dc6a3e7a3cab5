"""Where in the breast words point: side, quadrant or region, clock position, distance from the nipple.

Every reader works on lower-case text (``Normalised.lower``, or any lower-case phrase) and tolerates foreign word order
("quadrant upper outer right"). Spans are half-open offsets of the text given.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class PlaceWord(NamedTuple):
    """A place word at ``start:end``; ``value`` is the contract's word for it."""

    start: int
    end: int
    value: str


class PlaceNumber(NamedTuple):
    """A clock position (hours, halves allowed) or a distance from the nipple (mm) at ``start:end``."""

    start: int
    end: int
    value: float
    is_range: bool = False


_SIDE = re.compile(
    r"\b(?=[bleri])(?:"
    r"(?P<bilateral>(?:left|right) (?:breast )?(?:(?:more|greater|larger) than|>) (?:the )?(?:left|right)|bilateral(?:ly)?|"
    r"both (?:breasts|breast(?! (?:lesions|masses|nodules|cysts|cancers|tumou?rs|findings|abnormalities))|sides|axilla\w*)|"
    r"(?:left and right|right and left)(?: breasts?| sides?)?|"
    r"each breast|either breast|in both\b|breasts? (?:left|right) and (?:left|right)|(?:left|right) (?:as well as|&|\+) (?:left|right))"
    r"|(?P<left>left(?:[- ]sided)?(?: breast| side)?|lt\.?(?= |:|/|-)(?: breast)?|l\.? breast|breast l\b|lb(?=[ :,]))"
    r"|(?P<right>right(?:[- ]sided)?(?: breast| side)?|rt\.?(?= |:|/|-)(?: breast)?|r\.? breast|breast r\b|rb(?=[ :,]))"
    r")(?![\w])"
)
_SHORT_SIDE = re.compile(
    r"(?<![\w/+-])(?:(?P<left>l)|(?P<right>r))(?=[:.]?\s?(?:1[0-2]|[1-9])(?::[0-5]0|\s?o'?\s?clock|h\d{0,2}\b)"
    r"|[:.,]?\s(?:[ul][oi]q\b|upper\b|lower\b|outer\b|inner\b|axilla|retro|sub-?areol|mlo\b|cc\b|bi-?rads))|"
    r"(?<=uoq |uiq |loq |liq )(?:(?P<left_last>l)|(?P<right_last>r))\b"
)
_NOT_SIDE = re.compile(
    r"(?:left|right)(?: (?:in (?:place|situ|over)|out\b|off\b|blank|empty|open\b|unreported|unfilled|intact|attached|up to|down to"
    r"|through to|hand|handed|arm|shoulder|ventric\w+|lung|hip|away|behind|over)\b|-hand)"
)


def find_sides(lower: str, start: int = 0, end: int | None = None) -> list[PlaceWord]:
    """``left``, ``right`` and ``bilateral`` of ``lower[start:end]``, in order; a bare L or R only before a clock or a quadrant.

    >>> [word.value for word in find_sides("mass in the rt breast, left breast normal")]
    ['right', 'left']
    """
    stop = len(lower) if end is None else end
    found = [
        PlaceWord(match.start(), match.end(), str(match.lastgroup))
        for match in _SIDE.finditer(lower, start, stop)
        if not _NOT_SIDE.match(lower, match.start(), stop)
    ]
    for match in _SHORT_SIDE.finditer(lower, start, stop):
        found.append(PlaceWord(match.start(), match.end(), str(match.lastgroup).partition("_")[0]))
    return sorted(found)


_UPPER = r"(?:upper|superior|supero|sup\.?|cranial|cranio|top)"
_LOWER = r"(?:lower|inferior|infero|inf\.?|caudal|caudo|bottom)"
_OUTER = r"(?:[o0]uter|lateral|latero|external|externo|exterior|lat\.?)"
_INNER = r"(?:inner|medial|medio|internal|interno|interior|med\.?)"
_BETWEEN = r"(?:\s?-\s?|\s?/\s?|,?\s+(?:(?:left|right|breast|quadrants?|and|of|the)\s+){0,2}|)"


def _both(first: str, second: str) -> str:
    return rf"(?:{first}{_BETWEEN}{second}(?![a-z])|{second}{_BETWEEN}{first}(?![a-z]))"


_QUADRANT = re.compile(
    r"(?<![a-z])(?:"
    r"(?P<joint>(?:junction|border|boundary|confluence|union|transition)(?: line| zone)? (?:of|between) (?:the )?(?:left |"
    r"right )?(?:both |two )?"
    r"(?:upper|lower|outer|inner|lateral|medial|superior|inferior|external|internal)(?:[ -](?:outer|inner))?\b"
    r"(?: quadrants?)?(?: and (?:the )?(?:upper|lower|outer|inner)(?:[ -](?:outer|inner)))?(?: quadrants?)?)"
    rf"|(?P<upper_outer>{_both(_UPPER, _OUTER)}|(?<=[lr]t )c[- ]area|uoq|o?uoq|soq|seq|qse\b|qss\b(?!\w)|u\.o\.q\.?)"
    rf"|(?P<upper_inner>{_both(_UPPER, _INNER)}|(?<=[lr]t )a[- ]area|uiq|u\.i\.q\.?)"
    rf"|(?P<lower_outer>{_both(_LOWER, _OUTER)}|(?<=[lr]t )d[- ]area|loq|l\.o\.q\.?)"
    rf"|(?P<lower_inner>{_both(_LOWER, _INNER)}|(?<=[lr]t )b[- ]area|liq|l\.i\.q\.?)"
    r"|(?P<subareolar>(?:sub|retro)[- ]?(?:areolar|mam+illary|nipple)|"
    r"(?:behind|beneath|under|below|directly (?:behind|under)|(?<!cm )(?<!mm )deep to|(?<!cm )(?<!mm )posterior to|"
    r"immediately (?:behind|deep to)) (?:the )?"
    r"(?:left |right )?(?:nipple|areola)(?:[ -]areolar complex)?)"
    r"|(?P<axillary_tail>axillary (?:tail|process|extension)|tail of spence|spence'?s tail|prolongation axillary|tail axillary)"
    r"|(?P<central>(?<!outer )(?<!inner )(?<!upper )(?<!lower )central(?:ly)?(?=[ ,.;)]| in)(?= (?:breast|portion|part|"
    r"region|third|aspect|quadrant|area|left|right|location|zone|"
    r"to the)|"
    r" in the (?:left|right|breast)| within the|[,.;)]|$| at)(?! (?:zone of (?:echo|fat|enh)|depth))|"
    r"(?:quadrant|region|breast|portion|part|zone) central(?:ly)?\b|mid-?central)"
    r")(?![a-z])"
)
_UNPLACED_AFTER = re.compile(r"\s*(?:quadrants?)?\s*(?:to|and|/|-)\s*(?:the )?$")


def find_quadrants(lower: str, start: int = 0, end: int | None = None) -> list[PlaceWord]:
    """Quadrants and regions of ``lower[start:end]``, in order; what lies on the border of two has no quadrant and is left out.

    >>> [word.value for word in find_quadrants("quadrant outer upper right; retroareolar left")]
    ['upper_outer', 'subareolar']
    """
    stop = len(lower) if end is None else end
    return [
        PlaceWord(match.start(), match.end(), str(match.lastgroup))
        for match in _QUADRANT.finditer(lower, start, stop)
        if match.lastgroup != "joint"
    ]


_HOUR = r"(?:1[0-2]|0?[1-9])"
_CLOCK = re.compile(
    rf"(?=\d)(?<![\d.,/:+x-])(?<![\d] )(?P<hour>{_HOUR})"
    rf"(?:(?P<colon>:(?P<minute>[0-5]\d)(?!\d|:\d)(?!\s?(?:am|pm|a\.m|p\.m|hrs?|hours?|h\b|uhr|utc)))?"
    rf"(?P<range>\s?(?:-|to|/|and|or|~|&)\s?(?P<second>{_HOUR})(?::(?P<second_minute>[0-5]\d))?)?"
    r"(?P<word>\s?-?(?:(?:o|0)'?\s?-?\s?cloc?k|oc\b|o'c\b|clock\b|h(?P<half>[0-3]0)?\b(?! ?\.?(?:after|ago|later))|uhr\b|"
    r"hours? position))?)"
)
_CLOCK_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
}
_SPOKEN_CLOCK = re.compile(rf"\b(?P<word>{'|'.join(_CLOCK_WORDS)})[ -](?P<half>thirty )?o'?\s?clock")
_CLOCK_LEAD = re.compile(
    r"(?:\bo'?\s?clock(?: position)?|\bclock(?: position| face)?|\bhour)\s*(?:is|at|of|:|=|\|)?\s*(?P<hour>1[0-2]|"
    r"[1-9])(?::(?P<minute>[0-5]\d))?(?![\d.,]\d|\d|\s?(?:mm|cm))"
)
_DOTTED_CLOCK = re.compile(
    r"(?<![\d.,:/x+-])(?<!\d )(?P<hour>1[0-2]|[1-9])\.(?P<minute>00|15|30|45)"
    r"(?=\s?(?:,?\s\d{1,3}\s?[cm]m (?:from|fn)|o'?\s?clock|position|n\s?\+\s?\d))"
)
_MILITARY_CLOCK = re.compile(
    r"(?<![\d.,:/+x-])(?P<hour>0[1-9]|1[0-2])(?P<minute>00|30)(?=,?\s(?:position|axis|o'?\s?clock|"
    r"\d{1,2}(?:\.\d)?\s?cm\s?(?:fn\b|from)|n\s?\+\s?\d))"
)
""" "0930 5 cm FN": the dial as four digits."""
_TIME_BEFORE = re.compile(
    r"(?:\btime|\bsigned|\bdictated|\bon \d[\d./-]+(?: at)?|\d{4}[,;]?(?: at)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4},?(?: at)?|"
    r"\bat time of)[:\s]*$"
)


def find_clocks(lower: str, start: int = 0, end: int | None = None) -> list[PlaceNumber]:
    """Clock positions of ``lower[start:end]``, in order: ``2:30`` is 2.5, ``11-12 o'clock`` is 11.5 with ``is_range``.

    >>> [clock.value for clock in find_clocks("at 10 o'clock and at the 2:30 position")]
    [10.0, 2.5]
    """
    stop = len(lower) if end is None else end
    found: list[PlaceNumber] = []
    if "clock" in lower or ":" in lower or "h" in lower:
        for match in _CLOCK.finditer(lower, start, stop):
            found += _clocks_of(match, lower)
    taken = [(number.start, number.end) for number in found]
    for match in _CLOCK_LEAD.finditer(lower, start, stop):
        if not any(first < match.end() and match.start() < last for first, last in taken):
            found.append(PlaceNumber(match.start(), match.end(), _hours(match["hour"], match["minute"])))
    for match in _DOTTED_CLOCK.finditer(lower, start, stop):
        found.append(PlaceNumber(match.start(), match.end("minute"), _hours(match["hour"], match["minute"])))
    for match in _MILITARY_CLOCK.finditer(lower, start, stop):
        found.append(PlaceNumber(match.start(), match.end(), _hours(match["hour"], match["minute"])))
    for match in _SPOKEN_CLOCK.finditer(lower, start, stop):
        found.append(PlaceNumber(match.start(), match.end(), _CLOCK_WORDS[match["word"]] + (0.5 if match["half"] else 0.0)))
    return sorted(found)


def _clocks_of(match: re.Match[str], lower: str) -> list[PlaceNumber]:
    if (
        match["word"] is None
        and match["minute"] is None
        and (
            match["second_minute"] is None
            or not (_THROUGH.match(match["range"]) or (_AND.match(match["range"]) and lower.endswith("at ", 0, match.start())))
        )
    ):
        return []
    if match["word"] is None and (
        (match["minute"] or match["second_minute"]) not in _DIAL_MINUTES
        or _TIME_BEFORE.search(lower[max(0, match.start() - 24) : match.start()])
    ):
        return []
    first = _hours(match["hour"], match["minute"] or match["half"])
    if match["second"] is None or (match["word"] is None and match["second_minute"] is None):
        end = match.end() if match["second"] is None else match.start("range")
        return [PlaceNumber(match.start(), end, first)]
    second = _hours(match["second"], match["second_minute"] or match["half"])
    apart = 1 if _AND.match(match["range"]) and not lower.endswith("between ", 0, match.start()) else 2
    if (second - first) % 12 > apart and _LISTED.match(match["range"]):
        return [PlaceNumber(match.start(), match.end("hour"), first), PlaceNumber(match.start("second"), match.end(), second)]
    return [PlaceNumber(match.start(), match.end(), _middle(first, second), is_range=True)]


_DIAL_MINUTES = ("00", "15", "30", "45")
_THROUGH = re.compile(r"\s?(?:-|to|~)")
_LISTED = re.compile(r"\s?(?:and|or|/|&)")
_AND = re.compile(r"\s?(?:and|&)")


def _hours(hour: str, minute: str | None) -> float:
    return int(hour) + (round(int(minute) / 30) / 2 if minute else 0.0)


def _middle(first: float, second: float) -> float:
    """Half way on the dial, to the half hour."""
    span = (second - first) % 12
    middle = round((first + span / 2) * 2) / 2
    return middle - 12 if middle >= 13 else middle


_LENGTH = (
    r"(?P<{0}>\d{{1,3}}(?:[.,]\d{{1,2}})?)(?:\s?(?:-|to)\s?(?P<{0}_high>\d{{1,3}}(?:[.,]\d{{1,2}})?))?"
    r"\s{{0,3}}-?(?P<{0}_unit>cms?|mms?|centimet(?:er|re)s?|millimet(?:er|re)s?)"
)
_NIPPLE = re.compile(
    rf"(?<![\w.,])(?:{_LENGTH.format('before')}\s?(?:\(?\s?f\.?n\.?\b|(?:in )?(?:distance |away |posterior |deep |lateral |"
    rf"medial )?(?:from|to|of|behind) "
    r"(?:the )?(?:left |right )?(?:nipple|mam+illa|areola-nipple|nac\b)|from nipple|distance (?:from|to) (?:the )?nipple|"
    r"(?:above|below|inferior to|superior to|lateral to|medial to|deep to|behind|posterior to|cranial to|caudal to) (?:the )?(?:left |"
    r"right )?nipple|"
    r"nipple distance)"
    r"|(?:(?<=o'clock )|(?<=:[03]0 ))(?P<slot>\d{1,2}(?:[.,]\d)?)\s?cm(?=\s?:)|"
    r"(?:(?<=o'clock, )|(?<=:[03]0, ))(?P<slot_after_comma>\d{1,2}(?:[.,]\d)?)\s?cm(?=\s?:)"
    r"|(?P<cfn>\d{1,2}(?:[.,]\d)?)\s?c?m?\s?fn\b)"
    r"|\bn(?:\s?\+\s?|(?<=h n)|(?<=clock n)|(?<=:\d\d n))(?P<plus>\d{1,2}(?:[.,]\d)?)(?:\s?(?P<plus_unit>cm|mm))?(?![\d])"
    rf"|\b(?:nipple[- ]?(?:to[- ]?(?:lesion|mass)[- ]?)?distance|distance (?:from|to) (?:the )?nipple|distance nipple|(?:from|to|"
    rf"off) (?:the )?nipple|dfn|nld|fn|"
    rf"n-?[dt]\b|mam+illary distance|nipple)(?: distance)?(?: (?:is|of|approximately|about|at))*\s*[:=]?\s*(?:\((?P<head_unit>cm|"
    rf"mm)\)\s*[:=]?\s*)?"
    r"(?:is |of |approximately |about |~)?(?P<after>\d{1,3}(?:[.,]\d{1,2})?)(?:\s?(?P<after_unit>cms?|mms?)\b)?(?![\d.,]\d|\s?x)"
)


_NIPPLE_GATE = (
    "nipple",
    "fn",
    "f.n",
    "n+",
    "n +",
    "nld",
    "n-d",
    "nd ",
    "nt ",
    "n-t",
    "h n",
    "k n",
    "0 n",
    "cm:",
    "cm :",
    "mamil",
    "mammil",
    "nac",
)


def find_nipple_distances(lower: str, start: int = 0, end: int | None = None) -> list[PlaceNumber]:
    """Distances from the nipple in mm of ``lower[start:end]``, in order; ``N+5`` counts centimetres.

    >>> [distance.value for distance in find_nipple_distances("10 o'clock, 5 cm fn; n+3")]
    [50.0, 30.0]
    """
    stop = len(lower) if end is None else end
    found: list[PlaceNumber] = []
    if not any(word in lower for word in _NIPPLE_GATE):
        return found
    for match in _NIPPLE.finditer(lower, start, stop):
        number = _distance_of(match)
        if number is not None:
            found.append(number)
    return found


def _distance_of(match: re.Match[str]) -> PlaceNumber | None:
    group = match.groupdict()
    if group["before"]:
        value, unit = group["before_high"] or group["before"], group["before_unit"]
    elif group["slot"] or group["slot_after_comma"]:
        value, unit = group["slot"] or group["slot_after_comma"], "cm"
    elif group["cfn"] or group["plus"]:
        value, unit = group["cfn"] or group["plus"], group["plus_unit"] or "cm"
    else:
        value, unit = group["after"], group["after_unit"] or group["head_unit"]
        if unit is None:
            return None
    millimetres = float(value.replace(",", ".")) * (10 if unit.startswith("c") else 1)
    return PlaceNumber(match.start(), match.end(), round(millimetres, 3), is_range=bool(group["before_high"]))
