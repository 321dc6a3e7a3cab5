"""Grades: Nottingham (as a grade, a letter G, a sum or words of differentiation) and the nuclear grade of carcinoma in situ."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.breast.pathology_mentions import Mention
from weakbox.extractors.grammar.breast.pathology_tables import Table
from weakbox.extractors.grammar.pathology.facts import Fact

_VALUE = r"(?:[123](?![\d.,]\d|\d|\s*mm|\s*cm|\s*%)|i{1,3}(?![a-z])|one\b|two\b|three\b|low\b|intermediate\b|moderate\b|high\b)"
_TO = r"\s*(?:-|to|/|and|or|&|bis)\s*"
_GRADE = re.compile(
    r"\b(?P<lead>(?:nottingham|(?:modified )?(?:scarff?[- ])?bloom|richardson|elston|ellis|sbr|m?brg?|nhg|mbr|histolog\w+|overall"
    r"|combined|total"
    r"|final|provisional|nuclear|cytonuclear|cytologic\w*|tumou?r|who|invasive|dcis|van nuys)\b[\w\s(),&/:-]{0,40}?)?"
    rf"\bgrad(?:e|ed|ing)(?:\s*\([^()\n]{{0,45}}\))?(?:\s+(?:group|score|is|of|as|nuclear|nottingham|overall|mbr|invasive|provisional"
    rf"|tumou?r|histolog\w+|elston|ellis|sbr|in situ))*(?:,?\s*\(?(?:of\s+)?(?:the\s+)?(?:largest|main|index|dominant|highest"
    rf"|worst|overall|combined)"
    rf"(?:\s+(?:focus|tumou?r|lesion|area))?\)?)?[\s:=|(,.-]*(?:grade\s*)?(?P<value>{_VALUE})"
    rf"(?:(?P<to>{_TO})(?:grade\s*)?(?P<second>{_VALUE}))?"
    r"(?:\s*(?:of|out of|/)\s*(?:3|iii)\b)?"
)
_REVISED = re.compile(
    r"\bgrade\b[^.;\n]{0,60}?\b(?:revised|amended|changed|corrected|upgraded|downgraded|raised|lowered|now|should (?:be|read))"
    rf"\s*(?:from[^.;\n]{{0,20}}?)?(?:to|as|is|=|:)?\s*(?:grade\s*)?(?P<value>{_VALUE})"
)
_SHORT = re.compile(
    r"\b(?P<lead>nottingham|elston(?:[- ](?:and[- ])?ellis)?|sbr|mbr|nhg|bloom[- ]richardson|gr\.?|gd\.?)\s*[:(]?\s*(?P<value>[123]|i{1,3})"
    r"(?![\d.,]\d|\w|\s*\+)"
)
_LETTER = re.compile(r"(?<![\w/])G\s?(?P<value>[123])(?:(?P<to>\s?-\s?)G?(?P<second>[123]))?(?!\w|\.\d|-G)")
_ADJECTIVE = re.compile(
    r"\b(?P<value>low|intermediate|moderate|high)(?:(?P<to>\s*(?:-\s*)?(?:to|and|or|/|-)[\s-]*)(?P<second>low|intermediate|high))?"
    r"(?P<nuclear>[-\s]+(?:cyto-?)?nuclear)?[-\s]+grade\b|\b(?P<nuclear2>nuclear[-\s]+)(?P<value2>low|intermediate|high)\s+grade"
)
_DIFFERENTIATED = re.compile(
    r"\b(?P<value>well|moderately|poorly)(?:(?P<to>\s*(?:to|-)\s*)(?P<second>moderately|poorly))?[\s-]+differentiated|"
    r"\bdifferentiated\s+(?P<value2>well|moderately|poorly)"
)
_SUM = re.compile(
    r"(?=[123agtm])(?:(?<![\d+])(?P<first>[123])\s*\+\s*(?P<second>[123])\s*\+\s*(?P<third>[123])(?!\s*\+)(?:\s*=\s*(?P<sum>\d))?"
    r"|\b(?:tubul|acin"
    r"|gland)\w*(?: \w+)?\W{0,4}(?P<tubules>[123])"
    r"\b[^\d\n]{1,30}(?P<nuclei>[123])\b[^\d\n]{1,25}mito\w*(?: \w+)?\W{0,4}(?P<mitoses>[123])\b"
    r"|\b[tm]\s?(?P<t>[123])[\s,]+[pn]\s?(?P<n>[123])[\s,]+m\s?(?P<m>[123])\b)"
)
_SCORE = re.compile(
    r"\b(?:nottingham|total|overall|sbr|mbr|bloom\W{1,3}richardson|elston\W{1,3}ellis|combined|histolog\w+)[\w\s()-]{0,25}?(?:score"
    r"|sum)?\s*(?:is|of|[:=])?\s*"
    r"(?P<score>[3-9])\s*(?:/|of|out of)\s*9\b"
)
_NUMBERS = {
    "1": 1, "i": 1, "one": 1, "low": 1, "well": 1,
    "2": 2, "ii": 2, "two": 2, "intermediate": 2, "moderate": 2, "moderately": 2,
    "3": 3, "iii": 3, "three": 3, "high": 3, "poorly": 3,
}  # fmt: skip
_NUCLEAR = re.compile(r"nuclear|cytonuclear|cytologic|van nuys|dcis|in situ")
_NOTTINGHAM = re.compile(r"nottingham|bloom|richardson|elston|sbr|mbr|nhg|histolog|overall|combined|total|invasive")
_FOREIGN = re.compile(r"(?:gleason|who|cns|dysplasia|steatosis|low|high)\W{0,3}$")
_COMPONENT = re.compile(r"(?:tubul\w*|mitos\w*|mitotic|pleomorphism|acin\w*|gland\w*)[^.;\n]{0,25}$")
_NOT_A_GRADE = re.compile(
    r"(?:ki|necrosis|response|regression|miller|payne|chevallier|sataloff|rcb|tumou?r regression|toxicity|bi-?rads)[^.;\n]{0,30}$"
)
_ADJACENT = re.compile(r"[\s\w/()-]{0,45}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grade at ``start:end``; ``rank`` orders how plainly it is stated (0 best)."""

    value: int
    start: int
    end: int
    rank: int
    is_nuclear: bool = False
    is_nottingham: bool = False
    is_range: bool = False
    owner: Mention | None = None
    """The carcinoma in whose sentence it stands."""
    column: str | None = None


_CELL = re.compile(rf"\W*(?:g(?:rade)?\s*)?(?P<value>{_VALUE})")


def cell_grades(lower: str, tables: Sequence[Table]) -> list[Grade]:
    """The grades of tables with a column or row for them; ``column`` names the specimen where it is a column."""
    cells = [cell for table in tables for cell in table.cells if cell.key == "grade"]
    found = [(cell, match) for cell in cells if (match := _CELL.match(lower, cell.start, cell.end)) is not None]
    return [
        Grade(value=_NUMBERS[match["value"]], start=cell.start, end=match.end(), rank=0, is_nottingham=True, column=cell.owner)
        for cell, match in found
    ]


def find_grades(text: str, lower: str, mentions: Sequence[Mention], tables: Sequence[Table] = ()) -> list[Grade]:
    """Every grade of the text, in order, with the carcinoma that its sentence gives it to."""
    found: list[Grade] = []
    if "grad" in lower:
        found += [grade for match in _GRADE.finditer(lower) if (grade := _of_word(lower, match)) is not None]
        found += [_of_adjective(match) for match in _ADJECTIVE.finditer(lower)]
        found += [_plain(match, 0, is_nottingham=True) for match in _REVISED.finditer(lower)]
    found += [_plain(match, 0, is_nottingham=True) for match in _SHORT.finditer(lower)]
    found += [_plain(match, 1) for match in _LETTER.finditer(text)]
    if "differentiated" in lower:
        found += [_plain(match, 3) for match in _DIFFERENTIATED.finditer(lower)]
    if "+" in lower or "m" in lower:
        found += [grade for match in _SUM.finditer(lower) if (grade := _of_sum(match)) is not None]
    found += [_of_score(match) for match in _SCORE.finditer(lower)]
    carcinomas = [mention for mention in mentions if _is_carcinoma(mention)]
    starts = [mention.start for mention in carcinomas]
    owned = [*(_owned(lower, grade, carcinomas, starts) for grade in found), *cell_grades(lower, tables)]
    return sorted(owned, key=lambda grade: grade.start)


def _is_carcinoma(mention: Mention) -> bool:
    return (mention.diagnosis == "malignant" or mention.histology == "lcis") and not mention.is_code and not mention.is_absent


def _of_word(lower: str, match: re.Match[str]) -> Grade | None:
    before = lower[max(0, match.start() - 40) : match.start()]
    if _NOT_A_GRADE.search(before) or _FOREIGN.search(before[-10:]) or (match["lead"] and "mitot" in match["lead"]):
        return None
    words = match[0]
    is_nuclear = _NUCLEAR.search(words) is not None and not re.search(r"nottingham|histolog|overall|combined", words)
    if is_nuclear and _COMPONENT.search(before):
        return None
    grade = _plain(match, 0, is_nuclear=is_nuclear, is_nottingham=_NOTTINGHAM.search(words) is not None)
    colon = (match["lead"] or "").rfind(":")
    return grade if colon < 0 else replace(grade, start=match.start() + colon + 1)


def _of_adjective(match: re.Match[str]) -> Grade:
    return _plain(match, 2, is_nuclear=bool(match["nuclear"] or match["nuclear2"]))


def _plain(match: re.Match[str], rank: int, *, is_nuclear: bool = False, is_nottingham: bool = False) -> Grade:
    groups = match.groupdict()
    values = [_NUMBERS[groups[name].lower()] for name in ("value", "value2", "second") if groups.get(name)]
    is_of_three = bool(groups.get("second")) and groups.get("to", "").strip() == "/" and values[-1] == 3
    is_range = len(values) > 1 and not is_of_three
    return Grade(
        value=max(values) if is_range else values[0],
        start=match.start(),
        end=match.end(),
        rank=rank,
        is_nuclear=is_nuclear,
        is_nottingham=is_nottingham,
        is_range=is_range and values[0] != values[-1],
    )


def _of_sum(match: re.Match[str]) -> Grade | None:
    names = ("first", "second", "third") if match["first"] else ("tubules", "nuclei", "mitoses") if match["tubules"] else ("t", "n", "m")
    return _of_total(sum(int(match[name]) for name in names), match)


def _of_score(match: re.Match[str]) -> Grade:
    return _of_total(int(match["score"]), match)


def _of_total(total: int, match: re.Match[str]) -> Grade:
    """Elston and Ellis 1991: 3 to 5 is grade 1, 6 and 7 grade 2, 8 and 9 grade 3."""
    value = 1 if total <= 5 else 2 if total <= 7 else 3
    return Grade(value=value, start=match.start(), end=match.end(), rank=4, is_nottingham=True)


def _owned(lower: str, grade: Grade, carcinomas: Sequence[Mention], starts: Sequence[int]) -> Grade:
    owner = _owner(lower, grade, carcinomas, starts)
    return grade if owner is None else Grade(**{name: getattr(grade, name) for name in _COPIED}, owner=owner)


_COPIED = ("value", "start", "end", "rank", "is_nuclear", "is_nottingham", "is_range")


def _owner(lower: str, grade: Grade, carcinomas: Sequence[Mention], starts: Sequence[int]) -> Mention | None:
    """The carcinoma that the grade directly precedes, otherwise the last one before it in its sentence or line."""
    index = bisect_right(starts, grade.start)
    following = carcinomas[index] if index < len(carcinomas) else None
    previous = carcinomas[index - 1] if index else None
    if previous is not None and previous.end > grade.start:
        return previous
    is_apart = previous is None or _SENTENCE_END.search(lower, previous.end, grade.start) is not None
    if following is not None and grade.end <= following.start <= grade.end + 45:
        between = lower[grade.end : following.start]
        if re.fullmatch(
            r"[\s(-]*(?:and |multifocal |residual |classic\w* |solid |cribriform |comedo-?(?:type )?|of |left |right )*", between
        ):
            return following
        if is_apart and _ADJACENT.fullmatch(between) and "\n" not in between and " with " not in between:
            return following
    return None if is_apart else previous


_SENTENCE_END = re.compile(r"\.(?=\s|$)|;|\n")


def grade_of(
    grades: Sequence[Grade], *, histology: str | None, is_in_situ: bool, is_metastatic: bool, carcinomas: Sequence[Mention]
) -> Fact | None:
    """The specimen's grade: of its invasive carcinoma, or of carcinoma in situ where there is no other."""
    if is_metastatic or histology in ("lcis", "phyllodes"):
        return None
    suited = [grade for grade in grades if _suits(grade, carcinomas, is_in_situ=is_in_situ)]
    if not suited:
        return None
    best = min(grade.rank for grade in suited)
    same = [grade for grade in suited if grade.rank == best]
    chosen = same[0] if not is_in_situ else max(same[:1], key=lambda grade: grade.value)
    flags = ("range",) if chosen.is_range else ()
    confidence = 0.97 if best <= 2 else 0.85
    return Fact(value=chosen.value, spans=((chosen.start, chosen.end),), confidence=confidence, rule=_RULES[best], flags=flags)


_RULES = ("grade", "letter", "adjective", "differentiation", "sum")


def _suits(grade: Grade, carcinomas: Sequence[Mention], *, is_in_situ: bool) -> bool:
    if is_in_situ:
        return not (grade.is_nottingham and grade.rank == 4)
    if grade.is_nottingham:
        return True
    if grade.is_nuclear:
        return False
    if grade.owner is not None:
        return not grade.owner.is_in_situ
    before = [mention for mention in carcinomas if mention.start < grade.start]
    return not (grade.rank == 2 and before and before[-1].is_in_situ)
