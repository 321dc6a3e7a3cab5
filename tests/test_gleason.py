"""Gleason patterns, scores and grade groups as reports write them."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.terminology import gleason
from weakbox.terminology.gleason import isup_grade, isup_grade_of_score, read_grades

TABLE = {(3, 3): 1, (2, 3): 1, (3, 4): 2, (4, 3): 3, (4, 4): 4, (3, 5): 4, (5, 3): 4, (4, 5): 5, (5, 4): 5, (5, 5): 5}


@pytest.mark.parametrize(("patterns", "group"), TABLE.items())
def test_the_isup_2014_table(patterns: tuple[int, int], group: int) -> None:
    assert isup_grade(*patterns) == group


def test_a_score_of_seven_pins_down_no_group_and_others_do() -> None:
    assert [isup_grade_of_score(score) for score in (5, 6, 7, 8, 9, 10)] == [1, 1, None, 4, 5, 5]


@pytest.mark.parametrize("patterns", [(0, 3), (3, 6), (-1, 4)])
def test_patterns_outside_the_scale_are_refused(patterns: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"1\.\.5"):
        isup_grade(*patterns)


@pytest.mark.parametrize("score", [1, 11])
def test_scores_outside_the_scale_are_refused(score: int) -> None:
    with pytest.raises(ValueError, match=r"2\.\.10"):
        isup_grade_of_score(score)


@given(st.integers(3, 5), st.integers(3, 5))
def test_group_of_patterns_and_of_their_score_agree_where_the_score_decides(primary: int, secondary: int) -> None:
    by_score = isup_grade_of_score(primary + secondary)
    assert by_score in (None, isup_grade(primary, secondary))


@pytest.mark.parametrize(
    ("text", "primary", "secondary", "score", "isup"),
    [
        ("Gleason score 3+4=7 (grade group 2)", 3, 4, 7, 2),
        ("Gleason 7 (3+4)", 3, 4, 7, 2),
        ("GS 7 (4+3)", 4, 3, 7, 3),
        ("GS7", None, None, 7, None),
        ("Gleason 7a", 3, 4, 7, 2),
        ("Gleason 7b", 4, 3, 7, 3),
        ("three plus four", 3, 4, 7, 2),
        ("three plus four equals seven", 3, 4, 7, 2),
        ("GG2", None, None, None, 2),
        ("grade group II", None, None, None, 2),
        ("ISUP 2", None, None, None, 2),
        ("WHO/ISUP grade group 4", None, None, None, 4),
        ("<PERSON> score 3+4", 3, 4, 7, 2),
        ("___ score 3+4=7", 3, 4, 7, 2),
        ("Gieason 4 + 4 = 8", 4, 4, 8, 4),
        ("Gleason 3+\n4=7", 3, 4, 7, 2),
        ("Gleason score: 4+3=7/10", 4, 3, 7, 3),
        ("Gleason sum 9", None, None, 9, 5),
        ("4+4=8 with tertiary pattern 5", 4, 4, 8, 4),
        ("GG 2 (3+4), pattern 4 10 %", 3, 4, 7, 2),
        ("Primary Gleason pattern: 4\nSecondary Gleason pattern: 3\nTotal Gleason score: 7\nGrade group: 3", 4, 3, 7, 3),
        ("Histologic grade: Grade group 5 (Gleason score 4 + 5 = 9)", 4, 5, 9, 5),
        ("grade group 2 of 5", None, None, None, 2),
    ],
)
def test_one_grade_is_read(text: str, primary: int | None, secondary: int | None, score: int | None, isup: int | None) -> None:
    (grade,) = read_grades(text)
    assert (grade.primary, grade.secondary, grade.score, grade.isup) == (primary, secondary, score, isup)


@pytest.mark.parametrize(
    "text",
    [
        "Nottingham grade 2 (3+2+2=7)",
        "HER2 3+, ER 95 %",
        "Gleason pattern 4 (40 %)",
        "Gleason grade 4",
        "group of 5 glands",
        "12.3+4.1 cm",
        "on 3/4/2021",
    ],
)
def test_what_is_no_grade_is_not_read(text: str) -> None:
    assert read_grades(text) == ()


def test_grades_of_several_specimens_stay_apart() -> None:
    grades = read_grades("A: grade group 1 (3+3). B: grade group 2 (3+4). C: 4+5=9")
    assert [grade.isup for grade in grades] == [1, 2, 5]
    assert max(grades, key=lambda grade: grade.severity).score == 9


def test_a_range_keeps_the_higher_group_and_says_so() -> None:
    (grade,) = read_grades("grade group 2-3")
    assert (grade.isup, grade.is_range) == (3, True)


def test_sums_and_groups_that_do_not_fit_are_named_and_kept() -> None:
    (wrong_sum,) = read_grades("Gleason 3 + 4 = 8")
    (wrong_group,) = read_grades("Gleason 3+4=7, grade group 3")
    assert (wrong_sum.score, wrong_sum.problems) == (8, ("gleason_sum",))
    assert (wrong_group.isup, wrong_group.problems) == (3, ("isup_table",))


@given(st.integers(3, 5), st.integers(3, 5), st.sampled_from(["{}+{}", "{} + {}", "{}+ {}", "{} plus {}"]))
def test_offsets_cut_the_grade_out_of_any_text(primary: int, secondary: int, form: str) -> None:
    written = form.format(primary, secondary)
    text = f"Left base: adenocarcinoma, {written}, 40 % of one core."
    (grade,) = read_grades(text)
    assert grade.patterns_at is not None
    assert text[slice(*grade.patterns_at)] == written


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(gleason).failed == 0
