"""The grades of a stretch of the report, and the four contract fields of one grade."""

from __future__ import annotations

from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.terminology.gleason import Grade, read_grades

GRADE_FIELDS = ("gleason_primary", "gleason_secondary", "gleason_score", "isup_grade")


def grade_facts(grade: Grade) -> Facts:
    """The four grade fields; the group by the table carries the evidence of patterns or score."""
    facts: Facts = {}
    flags = ("range",) if grade.is_range else ()
    if grade.patterns_at:
        facts["gleason_primary"] = Fact(value=grade.primary or 0, spans=(grade.patterns_at,), rule="patterns")
        facts["gleason_secondary"] = Fact(value=grade.secondary or 0, spans=(grade.patterns_at,), rule="patterns")
    if grade.score_at and grade.score is not None:
        facts["gleason_score"] = Fact(value=grade.score, spans=(grade.score_at,), rule="score")
    if grade.isup is not None:
        span = grade.group_at or grade.patterns_at or grade.score_at
        rule = "group" if grade.group_at else "isup_table"
        facts["isup_grade"] = Fact(value=grade.isup, spans=(span,) if span else (), rule=rule, flags=flags)
    problems = grade.problems
    return {name: fact.flagged("conflict") for name, fact in facts.items()} if problems else facts


def _moved(grade: Grade, by: int) -> Grade:
    def shift(at: TextRange | None) -> TextRange | None:
        return None if at is None else (at[0] + by, at[1] + by)

    return Grade(
        primary=grade.primary,
        secondary=grade.secondary,
        score=grade.score,
        group=grade.group,
        patterns_at=shift(grade.patterns_at),
        score_at=shift(grade.score_at),
        group_at=shift(grade.group_at),
        is_range=grade.is_range,
    )


def read_grades_at(text: str, start: int, end: int) -> tuple[Grade, ...]:
    """The grades of ``text[start:end]`` with offsets of ``text``."""
    return tuple(_moved(grade, start) for grade in read_grades(text[start:end]))
