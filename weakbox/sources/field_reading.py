"""Cells of a table as days, numbers, statuses and grades: strict, so that what is unclear is said and not guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, NamedTuple

from weakbox.records.biopsy import Guidance
from weakbox.records.grid import Point
from weakbox.records.report import ReportStatus, ReportType
from weakbox.terminology.gleason import isup_grade, isup_grade_of_score

DateFormat = Literal["ISO", "YYYYMMDD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "MM-DD-YYYY"]

DEFAULT_DATE_FORMATS: tuple[DateFormat, ...] = ("ISO", "YYYYMMDD", "DD.MM.YYYY")
"""Those that can be read in one way only. Slashes are day first or month first: the options say which."""

_CLOCK = r"(?:[T ]+\d{1,2}(?::\d{2}){1,2}(?:\.\d+)?(?: ?[AaPp][Mm])?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DATE_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "ISO": re.compile(rf"(?P<y>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}}){_CLOCK}"),
    "YYYYMMDD": re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:\d{4}(?:\d{2})?(?:\.\d+)?(?:[+-]\d{4})?)?"),
    "DD.MM.YYYY": re.compile(rf"(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?P<y>\d{{4}}){_CLOCK}"),
    "DD/MM/YYYY": re.compile(rf"(?P<d>\d{{1,2}})/(?P<m>\d{{1,2}})/(?P<y>\d{{4}}){_CLOCK}"),
    "MM/DD/YYYY": re.compile(rf"(?P<m>\d{{1,2}})/(?P<d>\d{{1,2}})/(?P<y>\d{{4}}){_CLOCK}"),
    "DD-MM-YYYY": re.compile(rf"(?P<d>\d{{1,2}})-(?P<m>\d{{1,2}})-(?P<y>\d{{4}}){_CLOCK}"),
    "MM-DD-YYYY": re.compile(rf"(?P<m>\d{{1,2}})-(?P<d>\d{{1,2}})-(?P<y>\d{{4}}){_CLOCK}"),
}
_TWO_READINGS = re.compile(rf"\d{{1,2}}[/-]\d{{1,2}}[/-]\d{{2,4}}{_CLOCK}")


class FieldError(ValueError):
    """A cell that cannot be read; ``reason`` is the ledger's code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_date(text: str | None, formats: Iterable[DateFormat]) -> date | None:
    """The one day that the formats read in a cell; None where the cell is empty. A time of day is passed over.

    Raises:
        FieldError: ``ambiguous_date`` or ``unreadable_date``.

    >>> read_date("3/4/2021 10:15:00 AM", ["MM/DD/YYYY"])
    datetime.date(2021, 3, 4)
    """
    if text is None:
        return None
    days = {day for name in formats if (day := _day(_DATE_PATTERNS[name], text)) is not None}
    if len(days) == 1:
        return days.pop()
    raise FieldError("ambiguous_date" if days or _TWO_READINGS.fullmatch(text) else "unreadable_date")


def _day(pattern: re.Pattern[str], text: str) -> date | None:
    match = pattern.fullmatch(text)
    if match is None:
        return None
    try:
        return date(int(match["y"]), int(match["m"]), int(match["d"]))
    except ValueError:
        return None


_STATUS_WORDS: Mapping[ReportStatus, tuple[str, ...]] = {
    ReportStatus.FINAL: ("f", "final", "finalized", "finalised", "signed", "verified", "approved", "complete", "completed", "fin"),
    ReportStatus.CORRECTED: ("c", "corrected", "amended", "modified", "revised", "cor", "corr"),
    ReportStatus.ADDENDUM: ("a", "addendum", "appended", "addended", "add"),
    ReportStatus.PRELIMINARY: ("p", "preliminary", "prelim", "partial", "draft", "interim", "r", "dictated", "transcribed", "i", "s"),
    ReportStatus.CANCELLED: ("x", "cancelled", "canceled", "deleted", "void", "entered-in-error", "withdrawn", "d", "w"),
    ReportStatus.UNKNOWN: ("unknown", "u", "n/a", "none"),
}
_STATUSES = {word: status for status, words in _STATUS_WORDS.items() for word in words}


def read_status(text: str | None, default: ReportStatus) -> ReportStatus:
    """A report's status from words, HL7 v2 codes (tables 0085 and 0123) or FHIR codes; ``default`` where the cell is empty.

    Raises:
        FieldError: ``unknown_status``.
    """
    if text is None:
        return default
    status = _STATUSES.get(text.casefold())
    if status is None:
        raise FieldError("unknown_status")
    return status


_TYPE_WORDS: Mapping[ReportType, tuple[str, ...]] = {
    ReportType.RADIOLOGY: ("radiology", "radiologie", "rad", "imaging", "mri", "mr", "radiology report", "ris"),
    ReportType.PATHOLOGY: ("pathology", "pathologie", "pat", "path", "sp", "surgical pathology", "histology", "pathology report"),
}
_TYPES = {word: report_type for report_type, words in _TYPE_WORDS.items() for word in words}


def read_report_type(text: str | None, default: ReportType | None) -> ReportType:
    """Radiology or pathology, from a cell or else the option.

    Raises:
        FieldError: ``unknown_report_type``.
    """
    if text is None and default is not None:
        return default
    report_type = _TYPES.get((text or "").casefold())
    if report_type is None:
        raise FieldError("unknown_report_type")
    return report_type


_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_NOT_STATED = frozenset({"nan", "na", "n/a", "none", "null", "-", "--", "?", "unknown", "nd"})


def read_number(text: str | None, *, minimum: float | None = None, maximum: float | None = None) -> float | None:
    """A number with a point or a comma; None where the cell is empty or says that there is none.

    Raises:
        FieldError: ``unreadable_number`` or ``out_of_range``.
    """
    if text is None or text.casefold() in _NOT_STATED:
        return None
    if not _NUMBER.fullmatch(text):
        raise FieldError("unreadable_number")
    value = float(text.replace(",", "."))
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise FieldError("out_of_range")
    return value


def read_integer(text: str | None, *, minimum: int, maximum: int) -> int | None:
    """A whole number in its range (``3`` and ``3.0``); None where there is none.

    Raises:
        FieldError: ``unreadable_number`` or ``out_of_range``.
    """
    value = read_number(text, minimum=minimum, maximum=maximum)
    if value is None:
        return None
    if not value.is_integer():
        raise FieldError("unreadable_number")
    return int(value)


def read_point(cells: Iterable[str | None]) -> Point | None:
    """Three numbers; None where all are empty.

    Raises:
        FieldError: ``unreadable_coordinate`` where one of them is missing or no number.
    """
    try:
        values = [read_number(cell) for cell in cells]
    except FieldError:
        raise FieldError("unreadable_coordinate") from None
    if all(value is None for value in values):
        return None
    numbers = [value for value in values if value is not None]
    if len(numbers) != 3:
        raise FieldError("unreadable_coordinate")
    return numbers[0], numbers[1], numbers[2]


_GLEASON = re.compile(r"(?:gleason\D*)?([1-5])\s*\+\s*([1-5])(?:\s*=\s*(\d{1,2}))?", re.IGNORECASE)
_SUM = re.compile(r"(?:gleason\D*)?([6-9]|10)(?:\.0)?", re.IGNORECASE)
_BENIGN = frozenset({"benign", "negative", "no cancer", "no carcinoma", "0", "0.0", "0+0"})


class GleasonCell(NamedTuple):
    """What a Gleason cell states: patterns, and the ISUP grade group that they, a sum or the word benign (0) pin down."""

    primary: int | None = None
    secondary: int | None = None
    isup_grade: int | None = None


def read_gleason(text: str | None) -> GleasonCell:
    """``3+4``, ``3+4=7``, a sum alone, or benign; all None where the cell is empty.

    Raises:
        FieldError: ``unreadable_gleason``.

    >>> [read_gleason(text).isup_grade for text in ("4+3", "8", "7", "benign")]
    [3, 4, None, 0]
    """
    if text is None or text.casefold() in _NOT_STATED:
        return GleasonCell()
    if text.casefold() in _BENIGN:
        return GleasonCell(isup_grade=0)
    if match := _SUM.fullmatch(text):
        return GleasonCell(isup_grade=isup_grade_of_score(int(match[1])))
    match = _GLEASON.fullmatch(text)
    if match is None or (match[3] and int(match[3]) != int(match[1]) + int(match[2])):
        raise FieldError("unreadable_gleason")
    primary, secondary = int(match[1]), int(match[2])
    return GleasonCell(primary, secondary, isup_grade(primary, secondary))


def read_isup(text: str | None) -> int | None:
    """ISUP grade group 1..5, 0 for a stated benign result; ``GG2``, ``ISUP 2`` and ``Grade Group 2`` are read as 2.

    Raises:
        FieldError: ``unreadable_isup``.
    """
    if text is None or text.casefold() in _NOT_STATED:
        return None
    if text.casefold() in _BENIGN:
        return 0
    match = re.fullmatch(r"(?:gg|isup|grade group|ggg)?\s*([0-5])(?:\.0)?", text, re.IGNORECASE)
    if match is None:
        raise FieldError("unreadable_isup")
    return int(match[1])


_GUIDANCE_WORDS: Mapping[Guidance, tuple[str, ...]] = {
    Guidance.FUSION: ("fusion", "uronav", "artemis", "koelis", "bk", "mri-us fusion", "mr-us fusion", "mri/us fusion", "trus-mri fusion"),
    Guidance.IN_BORE: ("in bore", "in-bore", "inbore", "mri guided", "mr guided", "mr-guided", "mri-guided", "dynatrim", "dynacad in-bore"),
    Guidance.COGNITIVE: ("cognitive", "visual", "cognitive fusion"),
    Guidance.UNKNOWN: ("unknown",),
}
_GUIDANCES = {word: guidance for guidance, words in _GUIDANCE_WORDS.items() for word in words}


def read_guidance(text: str | None, default: Guidance) -> Guidance:
    """How the needle was guided, from a technique or the name of a system; ``default`` where empty.

    Raises:
        FieldError: ``unknown_guidance``.
    """
    if text is None:
        return default
    guidance = _GUIDANCES.get(re.sub(r"[_\s]+", " ", text.casefold()).strip())
    if guidance is None:
        raise FieldError("unknown_guidance")
    return guidance


_YES = frozenset({"true", "1", "yes", "y", "wahr", "ja"})
_NO = frozenset({"false", "0", "no", "n", "falsch", "nein"})


def read_boolean(text: str | None) -> bool | None:
    """Yes or no; None where empty.

    Raises:
        FieldError: ``unreadable_boolean``.
    """
    if text is None or text.casefold() in _NOT_STATED:
        return None
    if text.casefold() not in _YES | _NO:
        raise FieldError("unreadable_boolean")
    return text.casefold() in _YES
