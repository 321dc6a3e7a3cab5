from __future__ import annotations

import pytest

from weakbox.text.lists import with_item_lines
from weakbox.text.normalise import normalise


def laid_out(raw: str) -> list[str]:
    return [line.strip() for line in with_item_lines(normalise(raw)).text.split("\n")]


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        ("A ROI left mid; B left systematic; C right systematic", ["A:ROI left mid;", "B:left systematic;", "C:right systematic"]),
        ("1 = right base. 2 = right apex. 3 = left base.", ["1 : right base.", "2 : right apex.", "3 : left base."]),
        ("1.-2. Target right apex, 3. right base, 4. right mid", ["1.-2. Target right apex,", "3. right base,", "4. right mid"]),
        (
            "Right: 1 base - benign; 2 mid - benign; 3 apex - 3+3=6.\nLeft: 4 base - benign; 5 mid - benign; 6 apex - benign.",
            [
                "Right:",
                "1:base - benign;",
                "2:mid - benign;",
                "3:apex - 3+3=6.",
                "Left:",
                "4:base - benign;",
                "5:mid - benign;",
                "6:apex - benign.",
            ],
        ),
        ("II: carcinoma in one of six cores. III: no malignancy.", ["II: carcinoma in one of six cores.", "III: no malignancy."]),
    ],
)
def test_an_inline_list_of_specimens_gets_a_line_an_item(raw: str, lines: list[str]) -> None:
    assert laid_out(raw) == lines


@pytest.mark.parametrize(
    "raw",
    [
        "Gleason 3+4=7 in the left base. 2 cores of 3 are involved, 4 mm on the left.",
        "B left base and A right apex were received together in one container.",
        "The specimen weighs 45 g. A tumour is seen in the left lobe; I agree.",
    ],
)
def test_running_text_stays_as_it_is(raw: str) -> None:
    assert with_item_lines(normalise(raw)).text == raw


def test_no_place_in_the_text_moves() -> None:
    raw = "A left base; B left mid; C left apex: benign"
    text = with_item_lines(normalise(raw))
    start = text.text.index("left apex")
    assert text.to_raw(start, start + 9).cut(raw) == "left apex"
