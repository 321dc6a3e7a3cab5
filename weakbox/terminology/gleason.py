"""Gleason patterns, scores and ISUP 2014 grade groups: the table, and the ways in which reports write them.

Source of the table: Epstein et al., Am J Surg Pathol 2016;40:244 (ISUP consensus conference of 2014):
group 1 is a score of 6 or less, 2 is 3+4, 3 is 4+3, 4 is 8 (4+4, 3+5, 5+3), 5 is 9 or 10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

CLINICALLY_SIGNIFICANT_FROM = 2
"""csPCa is ISUP grade group 2 or higher (PI-CAI, DRAGON)."""

_GROUP_OF_SCORE = {8: 4, 9: 5, 10: 5}
_SCORE_SEVEN = 7


def isup_grade(primary: int, secondary: int) -> int:
    """The ISUP 2014 grade group of two Gleason patterns.

    >>> [isup_grade(*pair) for pair in ((3, 3), (3, 4), (4, 3), (3, 5), (4, 5))]
    [1, 2, 3, 4, 5]

    Raises:
        ValueError: a pattern outside 1..5.
    """
    if not (1 <= primary <= 5 and 1 <= secondary <= 5):
        msg = f"Gleason patterns lie in 1..5, got {primary}+{secondary}"
        raise ValueError(msg)
    if primary + secondary == _SCORE_SEVEN:
        return 2 if primary < secondary else 3
    return isup_grade_of_score(primary + secondary) or 1


def isup_grade_of_score(score: int) -> int | None:
    """The grade group that a score pins down without its patterns; None for 7, which may be group 2 or 3.

    >>> [isup_grade_of_score(score) for score in (6, 7, 8, 9, 10)]
    [1, None, 4, 5, 5]

    Raises:
        ValueError: a score outside 2..10.
    """
    if not 2 <= score <= 10:
        msg = f"a Gleason score lies in 2..10, got {score}"
        raise ValueError(msg)
    if score == _SCORE_SEVEN:
        return None
    return _GROUP_OF_SCORE.get(score, 1)


TextRange = tuple[int, int]
"""Half-open offsets into the text that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One grade as written: patterns, score and stated group, each with its offsets; None is *not stated*.

    A score is stated by "3+4" too: the sum of its patterns, with their offsets.
    """

    primary: int | None = None
    secondary: int | None = None
    score: int | None = None
    group: int | None = None
    patterns_at: TextRange | None = None
    score_at: TextRange | None = None
    group_at: TextRange | None = None
    is_range: bool = False
    """Written as a range ("grade group 2-3"): the higher end is kept."""

    @property
    def isup(self) -> int | None:
        """The stated group, or the one that patterns or score pin down."""
        if self.group is not None:
            return self.group
        return self.derived_isup

    @property
    def derived_isup(self) -> int | None:
        """The group by the table, from the patterns, otherwise from the score."""
        if self.primary is not None and self.secondary is not None:
            return isup_grade(self.primary, self.secondary)
        return None if self.score is None else isup_grade_of_score(self.score)

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not fit: ``gleason_sum`` (3+4=8), ``isup_table`` (3+4, group 3)."""
        found = []
        if self.primary is not None and self.secondary is not None and self.score != self.primary + self.secondary:
            found.append("gleason_sum")
        if self.group is not None and self.derived_isup not in (None, self.group):
            found.append("isup_table")
        return tuple(found)

    @property
    def start(self) -> int:
        """Where the grade begins."""
        return min(at[0] for at in self._ranges)

    @property
    def end(self) -> int:
        """Where the grade ends."""
        return max(at[1] for at in self._ranges)

    @property
    def first_part(self) -> TextRange:
        """The part that stands first: patterns, score or group; other words may stand between the parts."""
        return min(self._ranges)

    @property
    def severity(self) -> tuple[int, int, int]:
        """Sorts by group, then score, then primary pattern; unknown parts sort lowest."""
        low_group = self.isup or (2 if self.score == _SCORE_SEVEN else 0)
        return low_group, self.score or 0, self.primary or 0

    @property
    def _ranges(self) -> list[TextRange]:
        return [at for at in (self.patterns_at, self.score_at, self.group_at) if at is not None]


_WORDS = {
    word: number for number, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
} | {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}

# g-l-e-a-s-o-n with the confusions of optical recognition and typing; or the mark that de-identification left of the name
_NAME = (
    r"(?:\bg[l1i|][eo]{1,2}a?s+[ao0]n(?:['’]?s)?\b|(?:<(?:PERSON|NAME|PERSOON)>|\[(?:PERSON|NAME)\]|\[\*\*[^\]]{0,20}\*\*\]|\bX{3,6}"
    r"|_{3,})(?=\s*(?:score|sum|grade|pattern|\d\s*\+)))"
)
_PATTERN = r"(?:[1-5]|one|two|three|four|five)"
_SCORE = r"(?:10|[2-9]|two|three|four|five|six|seven|eight|nine|ten)"
_LETTERED = r"(?:7\s?[ab]\b)"

_PATTERNS = re.compile(
    rf"(?:(?<![\d.,/+\w-])|(?<=\bG)|(?<=\bGS)|(?<=\bGl)|(?<=\bGG))(?P<primary>{_PATTERN})\s*(?:\+"
    rf"|\bplus\b)\s*(?P<secondary>{_PATTERN})(?![\w.,]?\d)"
    rf"(?:\s*(?:[,(]\s*)?(?:=|\bequals\b|\bis\b|\b(?:total\s+)?(?:score|sum)\b(?:\s+of)?\s*[:=]?)\s*(?P<score>{_SCORE})(?![\w+]|\.\d"
    rf"|\s*(?:%|mm))"
    r"|\s*\(\s*(?P<bracketed>10|[6-9])(?=\s*\)))?",
    re.IGNORECASE,
)
_NAMED_SCORE = re.compile(
    rf"(?:{_NAME}|\bGS\b|\bGS(?=\d))(?:[\s:,(-]*\b(?:total|combined|overall|score|sum|grade|histologic)\b\)?)*\s*"
    rf"(?:['’]?s\b)?\s*[:=(-]*\s*(?:\b(?:of|is|was)\b\s*)?"
    rf"(?P<score>{_LETTERED}|{_SCORE}(?![\w+]|\.\d|\s*(?:\+|plus\b|%|mm|cm|and\s+\d)))",
    re.IGNORECASE,
)
_VALUE = r"(?:[1-5]|iii|ii|iv|i|v|one|two|three|four|five)"
_GROUP = re.compile(
    rf"\b(?:(?:isup|who|prognostic|gleason|epstein)\W{{0,3}}(?:20\d\d\W{{0,3}})?)*"
    r"(?:grad(?:e|ing)\s*-?\s*groups?(?:ing)?|g\.?g\.?|group\s+grade|prognostic\s+(?:grade\s+)?group|isup(?:\W{0,2}grad(?:e|es|ing)?)?"
    r"(?:\W{0,2}group)?)"
    r"(?:\s*\((?:isup|who|gg|epstein)[^)\n]{0,24}\))?\s*(?:20\d\d)?\s*(?:[:=#(-]|\bof\b|\bis\b|\bscore\b|\bshould\s+(?:be|read)\b"
    r"|\bnow\b)*\s*(?:grade\s+group\s+)?"
    rf"(?P<group>{_VALUE})\b(?:\s*(?:-|–|\bto\b|\bor\b)\s*(?P<upper>{_VALUE})\b)?(?![\w+]|\.\d|\s*(?:\+|%|mm))",
    re.IGNORECASE,
)
_TRAILING_GROUP = re.compile(rf"[\s,;(]*\bgroup\s+(?P<group>{_VALUE})\b", re.IGNORECASE)
_PRIMARY = re.compile(
    rf"\b(?:primary|predominant|most\s+common|major)\b(?:\s*\(?{_NAME}\)?)?\s*(?:gleason\s+)?(?:pattern|grade)?[\s:=-]*(?:is|of)?\s*"
    rf"(?:pattern|grade)?\s*(?P<pattern>[1-5])\b(?!\s*(?:%|\+))",
    re.IGNORECASE,
)
_SECONDARY = re.compile(
    rf"\b(?:secondary|second\s+most\s+common|minor)\b(?:\s*\(?{_NAME}\)?)?\s*(?:gleason\s+)?(?:pattern|grade)?[\s:=-]*(?:is|of)?\s*"
    rf"(?:pattern|grade)?\s*(?P<pattern>[1-5])\b(?!\s*(?:%|\+))",
    re.IGNORECASE,
)
_MAX_BETWEEN_PATTERNS = 120
_MAX_BETWEEN_PARTS = 60
_BREAKS_A_GRADE = re.compile(r"\n\s*\n|[.;]\s*\n|\bspecimen\b|\bcore\s+\d", re.IGNORECASE)


_GATE = re.compile(r"\d|gleason|grade|isup|\bg\.?g|\bplus\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def read_grades(text: str) -> tuple[Grade, ...]:
    """Every grade that ``text`` writes, in order; what belongs together ("Gleason 7 (3+4), GG2") is one grade.

    >>> [(g.primary, g.secondary, g.score, g.isup) for g in read_grades("Gleason score 3+4=7 (grade group 2)")]
    [(3, 4, 7, 2)]
    >>> [(g.primary, g.secondary, g.score, g.isup) for g in read_grades("GS 7 (4+3). Gleason 7a.\\nGleason 7.\\nISUP 4")]
    [(4, 3, 7, 3), (3, 4, 7, 2), (None, None, 7, None), (None, None, None, 4)]
    >>> [(g.score, g.isup) for g in read_grades("three plus four equals seven")]
    [(7, 2)]
    >>> read_grades("Nottingham grade 2 (3+2+2=7)")
    ()
    """
    if not _GATE.search(text):
        return ()
    parts = [*_read_patterns(text), *_read_split_patterns(text)]
    parts += [grade for grade in _read_scores(text) if not _covered(grade, parts)]
    parts += _read_groups(text, parts)
    return tuple(_join(sorted(parts, key=lambda grade: (grade.start, grade.end)), text))


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _WORDS[word.lower()]


def _read_patterns(text: str) -> list[Grade]:
    grades = []
    for match in _PATTERNS.finditer(text):
        if _is_longer_sum(text, match):
            continue
        primary, secondary = _number(match["primary"]), _number(match["secondary"])
        at = (match.start("primary"), match.end("secondary"))
        written = "score" if match["score"] else "bracketed" if match["bracketed"] else None
        score = _number(match[written]) if written else primary + secondary
        score_at = match.span(written) if written else at
        grades.append(Grade(primary=primary, secondary=secondary, score=score, patterns_at=at, score_at=score_at))
    return grades


def _is_longer_sum(text: str, match: re.Match[str]) -> bool:
    before, after = (
        text[max(0, match.start() - 6) : match.start()].rstrip(),
        text[match.end("secondary") : match.end("secondary") + 12].lstrip(),
    )
    return before.endswith("+") or bool(re.match(r"\+\s*\d", after))


def _read_split_patterns(text: str) -> list[Grade]:
    grades = []
    for primary in _PRIMARY.finditer(text):
        secondary = _SECONDARY.search(text, primary.end(), primary.end() + _MAX_BETWEEN_PATTERNS)
        if secondary is None:
            continue
        first, second = int(primary["pattern"]), int(secondary["pattern"])
        at = (primary.start(), secondary.end())
        grades.append(Grade(primary=first, secondary=second, score=first + second, patterns_at=at, score_at=at))
    return grades


def _read_scores(text: str) -> list[Grade]:
    grades = []
    for match in _NAMED_SCORE.finditer(text):
        written = match["score"].lower().replace(" ", "")
        at = match.span("score")
        if written in ("7a", "7b"):
            pair = (3, 4) if written == "7a" else (4, 3)
            grades.append(Grade(primary=pair[0], secondary=pair[1], score=_SCORE_SEVEN, patterns_at=at, score_at=at))
        elif _number(written) >= 6 or re.search(r"score|sum", match[0], re.IGNORECASE):
            grades.append(Grade(score=_number(written), score_at=at))
    return grades


def _read_groups(text: str, others: list[Grade]) -> list[Grade]:
    grades = []
    for match in _GROUP.finditer(text):
        values = [_number(match["group"])] + ([_number(match["upper"])] if match["upper"] else [])
        grades.append(Grade(group=max(values), group_at=match.span(), is_range=len(values) > 1))
    for grade in others:
        match_after = _TRAILING_GROUP.match(text, grade.end + (1 if text[grade.end : grade.end + 1] == ")" else 0))
        if match_after:
            grades.append(Grade(group=_number(match_after["group"]), group_at=match_after.span("group")))
    return grades


def _covered(grade: Grade, by: list[Grade]) -> bool:
    return any(other.start <= grade.start and grade.end <= other.end for other in by)


def _join(parts: list[Grade], text: str) -> list[Grade]:
    joined: list[Grade] = []
    for part in parts:
        if joined and _belongs(joined[-1], part, text):
            joined[-1] = _together(joined[-1], part)
        else:
            joined.append(part)
    return joined


def _belongs(left: Grade, right: Grade, text: str) -> bool:
    if (left.primary and right.primary) or (left.group and right.group):
        return False
    both_scored = left.score is not None and right.score is not None
    if both_scored and left.primary is None and right.primary is None:
        return False
    between = text[left.end : right.start]
    limit = 12 if both_scored and right.primary is not None else _MAX_BETWEEN_PARTS
    return len(between) <= limit and not _BREAKS_A_GRADE.search(between)


def _together(left: Grade, right: Grade) -> Grade:
    with_patterns = left if left.primary is not None else right
    written = next((g for g in (left, right) if g.score is not None and g.score_at != with_patterns.patterns_at), with_patterns)
    scored = written if written.score is not None else with_patterns
    if scored.score is None:
        scored = left if left.score is not None else right
    grouped = left if left.group is not None else right
    return replace(
        with_patterns,
        score=scored.score,
        score_at=scored.score_at,
        group=grouped.group,
        group_at=grouped.group_at,
        is_range=left.is_range or right.is_range,
    )
