from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.text.quantities import Measured, find_sizes, find_volumes, parse_number


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1.2 x 0.8 x 1.0 cm", (12, 8, 10)),
        ("12x8 mm", (12, 8)),
        ("12 x 8mm", (12, 8)),
        ("12*8 mm", (12, 8)),
        ("12 by 8 mm", (12, 8)),
        ("1,2 x 0,8 cm", (12, 8)),
        ("1.2 cm x 8 mm", (12, 8)),
        ("a 14-mm lesion", (14,)),
        ("approx. 1 cm", (10,)),
        ("0.9 cm (CC) x 1.1 cm (AP)", (9, 11)),
        ("increased from 8 mm to 12 mm", (12,)),
        ("decreased from 1.2 cm to 8 mm", (8,)),
    ],
)
def test_sizes_are_millimetres_in_the_order_of_the_text(text: str, values: tuple[float, ...]) -> None:
    assert [size.values_mm for size in find_sizes(text)] == [values]


def test_axes_ranges_and_operators_are_kept() -> None:
    axes = find_sizes("12 (AP) x 8 (TR) x 10 (CC) mm")[0]
    assert (axes.values_mm, axes.axes) == ((12, 8, 10), ("ap", "tr", "cc"))
    spread = find_sizes("8-10 mm")[0]
    assert (spread.values_mm, spread.low_mm) == ((10,), 8)
    assert find_sizes("< 5 mm")[0].operator == "<"
    assert find_sizes("approximately 5 mm")[0].operator == "~"


def test_a_missing_unit_is_inferred_and_said_so() -> None:
    assert (find_sizes("12 x 8 x 10, volume 52 cc")[0].values_mm, find_sizes("12 x 8 x 10")[0].is_unit_inferred) == ((12, 8, 10), True)
    assert find_sizes("1.2 x 0.8")[0].values_mm == (12, 8)


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("lesion of 12 mm", Measured.LESION),
        ("peripheral zone of the mid gland, measuring 12 mm", Measured.LESION),
        ("Gland 5.1 x 4.4 x 4.9 cm", Measured.GLAND),
        ("The prostate is enlarged and measures 5.1 x 4.4 x 4.9 cm", Measured.GLAND),
        ("5.1 x 4.4 x 4.9 cm = 57 cc", Measured.GLAND),
        ("capsular abutment 15 mm", Measured.CONTACT),
        ("15 mm of capsular contact", Measured.CONTACT),
        ("4 mm from the NVB", Measured.DISTANCE),
        ("left iliac node 9 mm", Measured.NODE),
        ("slice thickness 3 mm", Measured.TECHNIQUE),
        ("0.4 x 0.4 mm in-plane", Measured.TECHNIQUE),
        ("utricle cyst 8 mm", Measured.OTHER),
    ],
)
def test_what_a_length_is_of_is_read_from_the_words_around_it(text: str, measured: Measured) -> None:
    assert find_sizes(text)[0].measured is measured


@pytest.mark.parametrize("text", ["Lesion 0.9cc", "ADC 634 x 10-6", "b=1400 s/mm2", "PI-RADS 4", "12.01.2021", "image 5/31", "3T"])
def test_what_is_no_length_gives_no_size(text: str) -> None:
    assert find_sizes(text) == []


def test_volumes_are_millilitres_and_grams_say_so() -> None:
    assert [(found.value, found.unit, found.low) for found in find_volumes("57 cc, 52 g, 50-55 ml, 41 cm3")] == [
        (57, "ml", None),
        (52, "g", None),
        (55, "ml", 50),
        (41, "ml", None),
    ]


@given(
    st.lists(st.integers(min_value=1, max_value=99), min_size=2, max_size=3),
    st.sampled_from([" x ", "x", " by "]),
    st.sampled_from(["mm", " mm", " cm"]),
)
def test_any_product_of_lengths_reads_back(lengths: list[int], by: str, unit: str) -> None:
    text = f"lesion {by.join(str(length) for length in lengths)}{unit} left"
    factor = 10 if "cm" in unit else 1
    assert find_sizes(text)[0].values_mm == tuple(float(length * factor) for length in lengths)
    assert text[find_sizes(text)[0].start :].startswith(str(lengths[0]))


def test_a_decimal_comma_is_a_decimal_point() -> None:
    assert parse_number("0,15") == parse_number("0.15") == 0.15
