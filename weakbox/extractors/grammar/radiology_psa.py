"""The total PSA and the PSA density of a prostate MRI report: the latest by date, by "now", by the order of a series."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from weakbox.extractors.grammar.radiology_drafts import Candidate, ExamReading
from weakbox.extractors.grammar.radiology_prior import is_prior
from weakbox.extractors.grammar.radiology_units import Role, View
from weakbox.text.quantities import parse_number

_PSA = re.compile(
    r"(?:psa|aps)(?:(?<![^\W_](?:psa|aps))|(?<=\b[ts]psa))(?<!(?<!\b[spt])-psa)(?![\w])(?!\s*(?:-\s*)?(?:d\b|density|dens\b"
    r"|dt\b|velocity|doubling|kinetics|ratio|"
    r"derivative|free\b|nadir date))(?<!free psa)(?<!free-psa)(?<!percent psa)(?<!% psa)"
)
_NUMBER = re.compile(
    r"(?<![\w./,])(?<!(?<!psa)-)(?P<operator>[<>~]\s?)?(?P<value>\d{1,5}(?:[.,]\d{1,3})?)(?!\d|(?!u?g|n|mcg)[a-z_]|/|[.,]\d"
    r"|\s?(?:%|mm\b|cm\b|"
    r"cc\b|ml\b|months?|mths?|years?|yrs?|weeks?|days?|yo\b|y/o|-year|[fm]\b(?!/)|x\s?\d|/\d)|-\d)"
    r"(?=(?P<unit>\s?(?:ng\s?/\s?ml|ug\s?/\s?l|ng/dl|ng\b|u?g/l|mcg/l)))?"
)
_STOP = re.compile(
    r"\n\s*\n|\bpsa[- ]?(?:d|density|velocity|doubling)\b|\bpsad\b|\bdensity\b|\bfree\b|\bdoubling\b|\bvelocity\b|\bgleason\b|\bgs\b|"
    r"\bpi-?rads\b|\bpirads\b|\bvol(?:ume)?\b|\bprior biops|\bbiops|\bbx\b|\baged?\b|\bprostate\b|\bmri\b|\.\s+(?!(?:latest"
    r"|most recent|now|currently|repeat(?:ed)?|today'?s?)\b[^.\d]{0,15}\d)(?:[a-z]|$)|\bratio\b|"
    r"\blesion|\bcores?\b|\bgrade\b|\bisup\b|\bfamily\b|\bdre\b|\blikert\b|\bcorrected\b|\bfinasteride\b|\btreated\b|\bgland\b|"
    r"\bequivalent\b|\badjust\w+|\bdoubl(?:es|ed)\b|\bi\.?e\b|\bx\s?2\b|\(\s*[\d.,]+\s*(?:ng/ml )?(?:when |if |after "
    r"|once )?(?:corrected|adjusted|doubled)"
)
_REACH = 130
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"(?P<iso>(?:19|20)\d\d)[-./](?P<iso_month>\d{{1,2}})(?:[-./](?P<iso_day>\d{{1,2}}))?(?!\d)"
    rf"|(?P<a>\d{{1,2}})[-./](?P<b>\d{{1,2}})[-./](?P<year>(?:19|20)?\d\d)(?!\d)"
    rf"|(?P<month>\d{{1,2}})[-/](?P<month_year>(?:19|20)\d\d)(?!\d)"
    rf"|(?:(?P<word_day>\d{{1,2}})(?:st|nd|rd|th)?[-\s]+)?\b(?P<word>{_MONTH})[-\s,']*(?P<word_year>(?:19|20)\d\d|\d\d(?!\d|[.,]\d))"
    rf"|\b(?P<alone>(?:19|20)\d\d)(?![\d.,]\d|\d)|(?<![\d.,/])(?P<day>\d{{1,2}})/(?P<day_month>\d{{1,2}})(?![\d/])"
    rf"|\b(?P<only>{_MONTH})(?!\w)"
)
_NOW_BEFORE = re.compile(
    r"\b(?:now|current(?:ly)?|today|latest|most recent(?:ly)?|recent|repeat(?:ed)?|last|this (?:month|week|year)|up to|risen to|"
    r"rising to|rose to|increas(?:ed|ing) to|recheck(?:ed)?)\b[^.;\d]{0,22}$"
)
_NOW_AFTER = re.compile(
    r"\s*(?:ng/ml|ug/l)?\s*[(,]?\s*(?:now|today|current(?:ly)?|latest|most recent(?:ly)?|recent|this (?:month|week|year)|at present|"
    r"on recheck|on repeat)\b(?!\s*\d)"
)
_THEN_BEFORE = re.compile(
    r"\b(?:nadir|initial|baseline|pre-?treatment|presenting|at diagnosis|diagnostic|pre-?operative|pre-?biopsy|down from|up from|from|"
    r"previous(?:ly)?|prior|was|were|before|formerly|earlier|last year|versus|vs\.?)\b[^.;\d]{0,18}$"
)
_THEN_AFTER = re.compile(
    r"\s*(?:ng/ml|ug/l)?\s*[(,]?\s*(?:(?:on|in|of)\s+[\[<(*{]*[a-z\d_./*-]{1,14}[\])>*}]*\s*,?\s*)?(?:at diagnosis|last year"
    r"|(?:a|an|two|three|four|five|six|one|\d+) (?:months?|years?|weeks?) (?:ago|earlier|before|prior|previously)|previously"
    r"|prior(?! (?:bx|biops|mri|trus|neg|rp\b|turp|stud|exam|treat|mp))|"
    r"before\b|pre-?(?:treatment|biopsy|op)|at (?:that|the) time|at presentation|initially)(?!\s*(?:was|were|:|of|at|=)?\s*[(]?\d)"
)
_JOINT = re.compile(
    r"[^\d.]*?(?:->|>|\bto\b|\bthen\b|\bnow\b|,|\band\b|;|/|\||\s-\s|\bvia\b|\brising\b|\bcurrent(?:ly)?\b|\bmost recent(?:ly)?\b)[^\d.]*$"
)
_NEXT_SENTENCE = re.compile(r"\s*\.\s+(?:latest|most recent|now|currently|repeat(?:ed)?|today'?s?)\b[^.\d]*$")
_SERIES_JOINT = re.compile(r">|\bto\b|\bnow\b|\bthen\b|\bvia\b")
_FAMILY = re.compile(r"\b(?:father|brother|uncle|grandfather|cousin|relative|son)\b[^.;\n]{0,60}$")


_CONDITION = re.compile(r"\b(?:if|should|unless|were|once|until|provided|in case|threshold|cut-?off)\b[^.;:\n\d]{0,35}$")
_LIMIT = re.compile(
    r"(?: levels?| values?)?(?: (?:of|is|for \w+))?[ :]*(?:to )?(?:exceed\w*|reach(?:es)?|threshold|cut-?off|trigger"
    r"|(?:rises?|goes|climbs?|increases?|falls?|drops?)(?: again)? (?:above|over|beyond|past|below|under)\b)"
)
"""A PSA that the report only imagines: the limit at which something is to be done."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """One number after "PSA": where it stands, its date (year, month, day; 0 where open), and what the words beside it say."""

    start: int
    value_start: int
    end: int
    value: float
    has_unit: bool
    operator: str
    date: tuple[int, int, int] | None
    is_now: bool
    is_then: bool
    run: int
    """The mention of PSA that it follows: numbers of one run are a series."""


def read_psa(view: View) -> ExamReading:
    """The latest total PSA: not its density, ratio, velocity; a masked number stays open with a flag."""
    lower = view.text.lower
    found: list[_Reading] = []
    flags: set[str] = set()
    for run, match in enumerate(_PSA.finditer(lower) if "psa" in lower or "aps" in lower else ()):
        end = _end_of_run(lower, match.end())
        readings = _run_readings(lower, match.start(), match.end(), end, run)
        masked = view.text.masked_in(match.end(), min(end, match.end() + 22))
        is_of_date = masked is not None and "date" in lower[slice(*masked)]
        if masked is not None and not (is_of_date and readings) and (not readings or readings[0].end > masked[0]):
            flags.add("masked")
            continue
        found += readings
    if not found:
        return ExamReading(flags=tuple(sorted(flags)))
    amended = [(clause.start, clause.end) for clause in view.clauses if clause.role is Role.ADDENDUM]
    corrected = [reading for reading in found if any(start <= reading.value_start < end for start, end in amended)]
    return ExamReading(candidate=_candidate(_latest(corrected or found)))


def _end_of_run(lower: str, start: int) -> int:
    reach = min(len(lower), start + _REACH)
    stop = _STOP.search(lower, start, reach)
    following = _PSA.search(lower, start, reach)
    return min(stop.start() if stop else reach, following.start() if following else reach)


def _run_readings(lower: str, start: int, after: int, end: int, run: int) -> list[_Reading]:
    if _FAMILY.search(lower, max(0, start - 80), start) or _CONDITION.search(lower, max(0, start - 45), start):
        return []
    if _LIMIT.match(lower, after):
        return []
    dates = [match for match in _DATE.finditer(lower, after, end) if _is_date(match, lower)]
    numbers = [
        match
        for match in _NUMBER.finditer(lower, after, end)
        if not any(date.start() < match.end("value") and match.start("value") < date.end() for date in dates)
    ]
    if not numbers or numbers[0].start() - after > 60:
        return []
    kept: list[re.Match[str]] = numbers[:1]
    for before, number in itertools.pairwise(numbers):
        between = _DATE.sub(" ", lower[before.end("unit") if before["unit"] else before.end("value") : number.start("value")])
        if (
            not _JOINT.match(between)
            and not _NEXT_SENTENCE.match(between)
            and not any(before.end() <= date.start() < number.start() for date in dates)
        ):
            break
        if not (number["unit"] or "." in number["value"] or "," in number["value"] or _is_plain_series(lower, before, number, dates)):
            break
        kept.append(number)
    return _with_dates(lower, start, kept, dates, run)


def _is_plain_series(lower: str, before: re.Match[str], number: re.Match[str], dates: list[re.Match[str]]) -> bool:
    """A whole number continues a series only after an arrow, "to" or "now", or with a date of its own."""
    between = lower[before.end("value") : number.start("value")]
    return bool(_SERIES_JOINT.search(between)) or bool(dates)


def _is_date(match: re.Match[str], lower: str) -> bool:
    """A month's name alone is a date only where no PSA value can be meant; a year with a unit is a value."""
    if match["only"]:
        return match["only"].rstrip(".") not in ("may", "mar") or lower[match.end() : match.end() + 1] in (":", ")")
    if match["day"]:
        return int(match["day"]) <= 31 and 1 <= int(match["day_month"]) <= 99
    return True


def _date_of(match: re.Match[str]) -> tuple[int, int, int]:
    if match["iso"]:
        return int(match["iso"]), int(match["iso_month"]), int(match["iso_day"] or 0)
    if match["a"]:
        first, second = int(match["a"]), int(match["b"])
        month, day = (first, second) if second > 12 else (second, first)
        return _year(match["year"]), month, day
    if match["month"]:
        return int(match["month_year"]), int(match["month"]), 0
    if match["word"]:
        return _year(match["word_year"]), _MONTHS.index(match["word"][:3]) + 1, int(match["word_day"] or 0)
    if match["alone"]:
        return int(match["alone"]), 0, 0
    if match["day"] and int(match["day_month"]) > 12:
        return _year(match["day_month"]), int(match["day"]), 0
    if match["day"]:
        return 0, int(match["day_month"]), int(match["day"])
    return 0, _MONTHS.index(match["only"][:3]) + 1, 0


def _year(digits: str) -> int:
    return int(digits) if len(digits) == 4 else 2000 + int(digits)


def _with_dates(lower: str, start: int, numbers: list[re.Match[str]], dates: list[re.Match[str]], run: int) -> list[_Reading]:
    """Each number with the date that stands with it: after it in brackets or with "in", or before it with a colon."""
    is_date_first = bool(dates) and dates[0].start() < numbers[0].start() and len(dates) >= len(numbers)
    readings = []
    for index, number in enumerate(numbers):
        end = number.end("unit") if number["unit"] else number.end("value")
        before = numbers[index - 1].end() if index else 0
        after = numbers[index + 1].start() if index + 1 < len(numbers) else end + 40
        leading = [date for date in dates if before <= date.start() < number.start()][-1:]
        following = [date for date in dates if end <= date.start() < after][:1]
        if not is_date_first:
            leading = [date for date in leading if lower[date.end() : date.end() + 2].lstrip()[:1] in (":", "=")]
            following = [date for date in following if lower[date.end() : date.end() + 2].lstrip()[:1] not in (":", "=")]
        own = leading if is_date_first else leading or following
        readings.append(
            _Reading(
                start=start if index == 0 else number.start("value"),
                value_start=number.start("value"),
                end=end,
                value=parse_number(number["value"]),
                has_unit=bool(number["unit"]),
                operator=(number["operator"] or "").strip(),
                date=_date_of(own[0]) if own else None,
                is_now=_is_now(lower, number, end, index),
                is_then=_is_then(lower, number, end),
                run=run,
            )
        )
    return readings


def _is_now(lower: str, number: re.Match[str], end: int, index: int) -> bool:
    window = max(0, number.start() - (45 if index == 0 else 25))
    return bool(_NOW_BEFORE.search(lower, window, number.start())) or bool(_NOW_AFTER.match(lower, end))


def _is_then(lower: str, number: re.Match[str], end: int) -> bool:
    return bool(
        _THEN_BEFORE.search(lower, max(0, number.start() - 45), number.start())
        and not re.search(r"\b(?:is|now|currently)\W+$", lower[max(0, number.start() - 12) : number.start()])
    ) or bool(_THEN_AFTER.match(lower, end))


def _latest(found: list[_Reading]) -> _Reading:
    """By "now", by date, by the order of a series, by place in the text: the first of these that decides."""
    standing = [reading for reading in found if not reading.is_then or reading.is_now] or found
    now = [reading for reading in standing if reading.is_now]
    if now:
        dated = [reading for reading in now if reading.date]
        return max(dated, key=lambda reading: reading.date or (0, 0, 0)) if len(dated) == len(now) else now[0]
    undated = [reading for reading in standing if reading.date is None]
    if not undated:
        return max(standing, key=lambda reading: (reading.date or (0, 0, 0), -reading.start))
    first = undated[0]
    series = [reading for reading in undated if reading.run == first.run]
    return series[-1]


def _candidate(reading: _Reading) -> Candidate:
    flags = ("operator",) if reading.operator in ("<", ">") else ()
    return Candidate(
        value=reading.value,
        words=((reading.start, reading.end),),
        rule="psa",
        confidence=0.95 if reading.has_unit else 0.9,
        flags=flags,
    )


_DENSITY = re.compile(
    r"(?:psa[- ]?d(?:ensity|ens)?\b|psa density\b|density of psa\b|densit[eé] (?:de |du |d')?(?:l')?(?:psa|aps)\b|psa dens\.?"
    r"|density\b(?=\s*(?:of |is |was |=|:|\()?\s*0[.,]))"
    r"(?:\s*\(psad?\))?"
    r"(?P<gap>[^\n;]{0,45}?)(?<![\w.,])(?P<operator>[<>~]\s?)?(?P<value>[0-4]?[.,]\d{1,3}|"
    r"[0-4](?![\d/.,]))(?!\d|[.,]\d)(?P<unit>\s?ng\s?/\s?ml(?:\s?/\s?(?:cc|ml|cm3|g)|2|\^2)?)?"
)
_DENSITY_STOP = re.compile(r"\bpsa\b|threshold|cut-?off|above|greater than|pi-?rads|volume\s*(?:of|:)|normal (?:is|range)")


def read_psa_density(view: View) -> ExamReading:
    """PSA density as stated; the first current one counts, an addendum's before it."""
    lower = view.text.lower
    found = [
        candidate
        for match in (_DENSITY.finditer(lower) if "dens" in lower or "psad" in lower or "psa-d" in lower or "psa d" in lower else ())
        if (candidate := _density(match, view))
    ]
    amended = [(clause.start, clause.end) for clause in view.clauses if clause.role is Role.ADDENDUM]
    corrected = [candidate for candidate in found if any(start <= candidate.words[0][0] < end for start, end in amended)]
    chosen = corrected or found
    return ExamReading(candidate=chosen[0] if chosen else None)


def _density(match: re.Match[str], view: View) -> Candidate | None:
    lower = view.text.lower
    if (
        (match.start() and lower[match.start() - 1].isalnum())
        or _DENSITY_STOP.search(match["gap"])
        or is_prior(lower, match.start("value"), match.end("value"))
        or view.text.masked_in(match.start(), match.start("value"))
    ):
        return None
    end = match.end("unit") if match["unit"] else match.end("value")
    flags = ("operator",) if match["operator"] and match["operator"].strip() in ("<", ">") else ()
    return Candidate(value=parse_number(match["value"]), words=((match.start(), end),), rule="psa_density", confidence=0.95, flags=flags)
