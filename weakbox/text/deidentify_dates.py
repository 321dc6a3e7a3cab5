"""Days, times of day and ages above 89: found in text, and days moved by a number of days in the way they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache

from weakbox.text.deidentify_detection import Detection, PhiKind
from weakbox.text.deidentify_words import as_alternation, month_families, phi_words

RULES = "rules"
_YEAR = r"(?:19|20)\d{2}"
_MIDDLE_OF_MONTH = 15
_CENTURY_PIVOT = 50
"""Two-digit years from 50 on are of the 1900s."""
_CLOCK = r"(?:[T ,]{1,2}\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp]\.?[Mm]\b\.?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_BEFORE = r"(?<![\d.,/\-])"
_AFTER = r"(?![\d]|[./\-]\d)"
_NUMERIC = re.compile(
    rf"{_BEFORE}(?:"
    rf"(?P<y1>{_YEAR})(?P<s1>[-./])(?P<m1>\d{{1,2}})(?P=s1)(?P<d1>\d{{1,2}})"
    rf"|(?P<a>\d{{1,2}})(?P<s2>[-./]|\.[ ](?=\d{{1,2}}\.[ ]{_YEAR}))(?P<b>\d{{1,2}})(?P=s2)(?P<y2>{_YEAR}|\d{{2}})"
    rf"|(?P<y3>{_YEAR})(?P<m3>0[1-9]|1[0-2])(?P<d3>0[1-9]|[12]\d|3[01])(?:[0-2]\d[0-5]\d(?:[0-5]\d)?(?:\.\d+)?(?:[+-]\d{{4}})?)?"
    rf"){_AFTER}"
)
_MONTH_YEAR = re.compile(
    rf"{_BEFORE}(?P<m>0?[1-9]|1[0-2])(?P<s>[./-])(?P<y>{_YEAR}){_AFTER}|{_BEFORE}(?P<y2>{_YEAR})(?P<s2>[/-])(?P<m2>0[1-9]|1[0-2]){_AFTER}"
)
_SHORT_DAY = re.compile(r"(?:\b(?:vom|am|zum|seit|bis|ab|und)\s+)(?P<day>\d{1,2}\.\s?\d{1,2}\.)(?!\s?\d)")
_TIME = re.compile(
    r"(?<![\d:.])(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d\b(?: ?[AaPp]\.?[Mm]\b)?"
    r"|(?<![\d:.])(?:[01]?\d|2[0-3]):[0-5]\d ?[AaPp]\.?[Mm]\b"
    r"|(?<![\d:.])(?:1[3-9]|2[0-3]|0\d):[0-5]\d(?![\d:])"
    r"|(?<![\d:.])(?:[01]?\d|2[0-3]):(?!00|30)[0-5]\d(?![\d:])"
    r"|(?<![\d:.])(?:[01]\d|2[0-3])[.h](?!00|30)[0-5]\d(?=\s?(?:Uhr|uur|hrs|h)\b)"
)
_DATE_THEN_TIME = re.compile(
    r"\s*(?:,|um|at|om|kl\.?|à|a las|-|@)?\s*(?P<time>(?:[01]?\d|2[0-3])[:h.][0-5]\d(?::[0-5]\d)?)(?![\d:])(?:\s?(?:Uhr|uur|hrs|h)\b)?"
)
_LABELLED_TIME = re.compile(
    r"\b(?:time|uhrzeit|zeit|tijd|tijdstip|tid|hora|heure)s?\s*:\s*(?P<time>\d{1,2}[:.h]\d{2}(?::\d{2})?)", re.IGNORECASE
)
_HIGHEST_SHOWN_AGE = 89


@cache
def _worded() -> re.Pattern[str]:
    months = as_alternation(phi_words().months)
    return re.compile(
        rf"(?<![\w.,/])(?:"
        rf"(?P<d1>\d{{1,2}})(?:st|nd|rd|th|er|\.|º|:e)?[ \t.-]{{0,2}}(?:de |of |den )?(?P<m1>{months})\b\.?(?:[ \t,"
        rf"./-]{{0,2}}(?:de |del |of )?(?P<y1>{_YEAR}|(?<=-)\d{{2}})\b)?"
        rf"|(?P<m2>{months})\b\.?[ \t](?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s?(?:x|mm|cm|%|ml))(?:,?[ \t](?P<y2>{_YEAR}))?(?![\w+/.]*\d)"
        rf"|(?P<m3>{months})\b\.?[ \t,./-]{{1,2}}(?:de |del |of )?(?P<y3>{_YEAR})\b"
        rf")",
        re.IGNORECASE,
    )


@cache
def _ages() -> re.Pattern[str]:
    words = phi_words()
    age = r"(?P<{}>9\d|1[0-2]\d)"
    return re.compile(
        rf"(?<![\d.,/+-]){age.format('a')}[- ]?(?:{words.alternation('ages_after')})(?![^\W\d_])"
        rf"|(?<!\w)(?:{words.alternation('ages_before')})\s*[:=]?\s*{age.format('b')}(?![\d.,/])",
        re.IGNORECASE,
    )


def find_dates(text: str) -> Iterator[Detection]:
    """Days, months with their year, times of day and ages above 89. Bare years stay: they are no identifier by themselves."""
    for match in (*_NUMERIC.finditer(text), *_worded().finditer(text)):
        if _is_a_day(match):
            yield Detection(
                *match.span(), _kind_of(text, match.start()), RULES, len(match[0]) >= 8 and any(sign in match[0] for sign in "-/ ")
            )
            clock = _DATE_THEN_TIME.match(text, match.end())
            if clock:
                yield Detection(*clock.span("time"), PhiKind.TIME, RULES, True)
    yield from (Detection(*match.span(), PhiKind.DATE, RULES) for match in _MONTH_YEAR.finditer(text))
    yield from (Detection(*match.span("day"), PhiKind.DATE, RULES) for match in _SHORT_DAY.finditer(text) if _is_short_day(match["day"]))
    yield from (Detection(*match.span(), PhiKind.TIME, RULES) for match in _TIME.finditer(text))
    yield from (Detection(*match.span("time"), PhiKind.TIME, RULES, True) for match in _LABELLED_TIME.finditer(text))
    for match in _ages().finditer(text):
        yield Detection(*match.span("a" if match["a"] else "b"), PhiKind.AGE, RULES, True)


@cache
def _birth_labels() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{phi_words().alternation('date_labels')})\.?\)?[ \t]*[:=]?[ \t]*(?:\w{{2,3}}[ \t])?$", re.IGNORECASE)


_LONGEST_LABEL = 40


def _kind_of(text: str, start: int) -> PhiKind:
    """Whether a day is one of birth, told by the words before it."""
    return PhiKind.BIRTH_DATE if _birth_labels().search(text[max(0, start - _LONGEST_LABEL) : start]) else PhiKind.DATE


def year_of(words: str) -> str | None:
    """The year of a day as written, in four digits; None where it has none.

    >>> year_of("12.03.24"), year_of("März 2024"), year_of("12.03.")
    ('2024', '2024', None)
    """
    numeric = _NUMERIC.fullmatch(words)
    if numeric is not None:
        written = numeric["y1"] or numeric["y2"] or numeric["y3"]
        return written if len(written) == 4 else str(_full_year(written))
    match = re.search(_YEAR, words)
    return match[0] if match else None


def _full_year(written: str) -> int:
    year = int(written)
    return year if year > 99 else year + (1900 if year >= _CENTURY_PIVOT else 2000)


def _is_short_day(day: str) -> bool:
    number, month = (int(part) for part in day.replace(" ", "").strip(".").split("."))
    return 1 <= number <= 31 and 1 <= month <= 12


def _is_a_day(match: re.Match[str]) -> bool:
    if "a" not in match.groupdict():
        number = match["d1"] or match["d2"]
        return number is None or 1 <= int(number) <= 31
    if match["a"] is None:
        return (
            _made(*(int(value) for value in (match["y1"] or match["y3"], match["m1"] or match["m3"], match["d1"] or match["d3"])))
            is not None
        )
    return any(_made(2000, int(month), int(day)) for day, month in ((match["a"], match["b"]), (match["b"], match["a"])))


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def shifted_date(words: str, days: int, *, is_month_first: bool = False, language: str = "en") -> str | None:
    """A day as written, moved by ``days`` and written in the same way; None where it cannot be read surely.

    ``language`` decides where a month's name is of several languages. Of ``03/04/2021`` the first number is the day,
    unless only the other order is a day or ``is_month_first``.

    >>> shifted_date("12.03.2024", -31), shifted_date("March 12, 2024", -31), shifted_date("02/2024", -31)
    ('10.02.2024', 'February 10, 2024', '01/2024')
    """
    if match := _NUMERIC.fullmatch(words):
        return _shift_numeric(match, days, is_month_first)
    if match := _worded().fullmatch(words):
        return _shift_worded(match, days, language)
    match = _MONTH_YEAR.fullmatch(words)
    return _shift_month(match, days) if match else None


def _moved(day: date | None, days: int) -> date | None:
    return None if day is None else day + timedelta(days=days)


def _rewritten(match: re.Match[str], parts: dict[str, int | str]) -> str:
    """The matched words with some groups replaced; numbers keep their width."""
    pieces: list[str] = []
    position = match.start()
    for start, end, value in sorted((match.start(name), match.end(name), value) for name, value in parts.items()):
        written = match.string[start:end]
        width = len(written) if written.startswith("0") or len(written) == 2 else 0
        new = value if isinstance(value, str) else str(value % 100 if len(written) == 2 and value > 99 else value).zfill(width)
        pieces += (match.string[position:start], new)
        position = end
    return "".join((*pieces, match.string[position : match.end()]))


def _shift_numeric(match: re.Match[str], days: int, is_month_first: bool) -> str | None:
    if match["a"] is None:
        group = "1" if match["y1"] else "3"
        moved = _moved(_made(*(int(match[name + group]) for name in "ymd")), days)
        return None if moved is None else _rewritten(match, {f"y{group}": moved.year, f"m{group}": moved.month, f"d{group}": moved.day})
    year = _full_year(match["y2"])
    first, second = int(match["a"]), int(match["b"])
    orders = [("a", "b"), ("b", "a")] if not is_month_first else [("b", "a"), ("a", "b")]
    for day_group, month_group in orders:
        day, month = (first, second) if day_group == "a" else (second, first)
        moved = _moved(_made(year, month, day), days)
        if moved is not None:
            return _rewritten(match, {day_group: moved.day, month_group: moved.month, "y2": moved.year})
    return None


def _shift_worded(match: re.Match[str], days: int, language: str) -> str | None:
    group = next(name for name in "123" if match[f"m{name}"])
    months = phi_words().months
    written = match[f"m{group}"]
    number = f"d{group}" if group != "3" else None
    year = match[f"y{group}"]
    full_year = 2000 if year is None else int(year) if len(year) == 4 else 2000 + int(year)
    moved = _moved(_made(full_year, months[written.lower()], int(match[number]) if number else _MIDDLE_OF_MONTH), days)
    if moved is None:
        return None
    parts: dict[str, int | str] = {f"m{group}": _month_like(written, moved.month, language)}
    if number:
        parts[number] = moved.day
    if year is not None:
        parts[f"y{group}"] = moved.year
    return _rewritten(match, parts)


def _shift_month(match: re.Match[str], days: int) -> str | None:
    group = "" if match["y"] else "2"
    moved = _moved(_made(int(match[f"y{group}"]), int(match[f"m{group}"]), _MIDDLE_OF_MONTH), days)
    return None if moved is None else _rewritten(match, {f"y{group}": moved.year, f"m{group}": moved.month})


def _month_like(written: str, number: int, language: str) -> str:
    """Another month in the language, length and case of a written one."""
    lower = written.lower()
    families = [family for family in month_families(language) if lower in (name.lower() for name in family.values())]
    name = families[0][number] if families else next(name for name, month in phi_words().months.items() if month == number)
    case: Callable[[str], str] = str.upper if written.isupper() else str.lower if written.islower() else str.capitalize
    return case(name)
