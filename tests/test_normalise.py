"""The offset map is the ground that every piece of evidence stands on."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weakbox.text.normalise import normalise

PIECES = st.sampled_from(
    [
        "PI-RADS 4",
        "PI-RAD5 3",
        "pie rads four",
        "Gieason 3+\n4=7",
        "l2 mm",
        "O.15",
        "\\.br\\",
        "\\T\\",
        "\\X0D0A\\",
        "\r\n",
        "\n",
        "\t",
        " ",
        "\u00a0",
        "\u200b",
        "ﬁnding",
        "½",
        "12\u00d78 mm",
        "–",
        "e\u0301",
        "&lt;5",
        "<br/>",
        "[**2021-03-04**]",
        "<DATUM>",
        "___",
        "Page 2 of 3\n",
        "posterola-\nteral",
        "PI-\nRADS",
        "İ",
        "three plus four equals seven",
        "the lesion in the left peripheral zone at the level of the mid gland measures about",
        "x",
        ".",
        ":",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=12), max_size=14).map("".join))
@example("\\.br\\\\.br\\3+\r\n4")
def test_every_non_blank_word_maps_to_non_blank_raw_text_in_order(raw: str) -> None:
    normalised = normalise(raw)
    assert len(normalised.lower) == len(normalised.text)
    previous = 0
    position = 0
    for word in normalised.text.split():
        start = normalised.text.index(word, position)
        position = start + len(word)
        span = normalised.to_raw(start, position)
        assert 0 <= span.start < span.end <= len(raw)
        assert span.cut(raw).strip()
        assert span.start >= previous
        previous = span.start


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="\\<&\r\n\t\x0b\x0c_*#{}[]"), max_size=200))
def test_plain_text_without_confusions_keeps_its_offsets(raw: str) -> None:
    normalised = normalise(raw)
    if normalised.repaired:
        return
    for start, character in enumerate(normalised.text):
        if not character.isspace():
            assert normalised.to_raw(start, start + 1).cut(raw) == raw[start]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("PI-\\.br\\RADS 4", "PI-RADS 4"),
        ("a\\T\\b \\S\\ \\R\\ \\E\\ c", "a&b ^ ~ \\ c"),
        ("one\\X0D\\two", "one\ntwo"),
        ("Gleason 3+\n4=7", "Gleason 3+4=7"),
        ("12 \u00d7 8\u00a0mm", "12 x 8 mm"),
        ("ﬁbromuscular", "fibromuscular"),
        ("PI\u2011RADS 4", "PI-RADS 4"),
        ("size &lt; 5 mm", "size < 5 mm"),
        ("7,8 \u00b5g/L", "7,8 ug/L"),
        ("PI-RADS\n4.", "PI-RADS 4."),
        ("scored per PI-RADS\n1. Left PZ lesion", "scored per PI-RADS\n1. Left PZ lesion"),
        ("postero-\nlateral", "postero-lateral"),
        ("pros-\ntate", "prostate"),
    ],
)
def test_escapes_folds_and_soft_line_ends_read_as_words(raw: str, text: str) -> None:
    assert normalise(raw).text == text


def test_hard_wrapped_prose_is_joined_and_lists_are_not() -> None:
    raw = (
        "There is a focal lesion in the left posterolateral peripheral zone at the\n"
        "level of the mid gland that shows marked restriction of diffusion and it\n"
        "measures 12 mm.\nLesion 2: right apex\n1. First\n2. Second\nSize: 4 mm"
    )
    lines = normalise(raw).text.split("\n")
    assert len(lines) == 5
    assert lines[0].endswith("it measures 12 mm.")


def test_columns_of_a_table_stay_lines() -> None:
    raw = "Lesion  Location        Size     PI-RADS\n1       Left mid PZ     12 mm    4\n2       Right apex      8 mm     3"
    assert normalise(raw).text == raw


def test_page_furniture_is_dropped_and_the_sentence_goes_on() -> None:
    raw = "Patient: A  MRN: 1\nThe lesion measures\nPage 1 of 2\nPatient: A  MRN: 1\n12 mm."
    assert "Page" not in normalise(raw).text
    assert normalise(raw).text.count("MRN") == 1


@pytest.mark.parametrize(
    ("raw", "word", "repaired"),
    [
        ("PI-RAD5 4", "PI-RADS", "PI-RADS 4"),
        ("Gieason 3+4", "Gleason", "Gleason 3+4"),
        ("l2 mm", "12", "12 mm"),
        ("density O.15", "0.15", "density 0.15"),
        ("v2.l", "1", "v2.1"),
    ],
)
def test_confusions_are_repaired_marked_and_point_at_the_raw_letters(raw: str, word: str, repaired: str) -> None:
    normalised = normalise(raw)
    assert normalised.text == repaired
    start = normalised.text.index(word)
    assert normalised.is_repaired(start, start + len(word))
    assert normalised.to_raw(start, start + len(word)).cut(raw) != word


def test_dictated_numbers_become_scores_and_sums() -> None:
    assert normalise("pie rads four, three plus four equals seven").text == "PI-RADS 4, 3+4=7"


def test_well_written_words_are_never_marked_as_repaired() -> None:
    assert normalise("PI-RADS 4, Gleason 3+4, 12 mm, PIRADS 3, P-RADS 2, I 5").repaired == ()


def test_digits_inside_placeholders_cannot_be_read() -> None:
    normalised = normalise("PSA <NUMBER> on [**2021-03-04**], XXXX and ___")
    assert len(normalised.masked) == 4
    assert not any(character.isdigit() for character in normalised.text)


def test_a_blank_stretch_has_no_span() -> None:
    with pytest.raises(ValueError, match="blank"):
        normalise("a   b").to_raw(1, 3)
