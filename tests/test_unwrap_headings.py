"""A line that is nothing but a heading begins afresh, whatever stands above it; lines of comma-separated values stay lines."""

from __future__ import annotations

import pytest

from weakbox.text.normalise import normalise

ABOVE = "Three specimens were received: A lumpectomy right breast; B shave of the cavity on the right"
HEADINGS = [
    "Micro:",
    "Microscopy:",
    "Microscopic appearance",
    "Macroscopic findings",
    "Diagnosis",
    "Final Diagnosis",
    "Conclusion:",
    "Comment",
]


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_of_its_own_line_is_not_joined_to_the_line_above(heading: str) -> None:
    text = normalise(f"{ABOVE}\n{heading}\nA shows a benign cyst.").text
    assert f"\n{heading}\n" in text


@pytest.mark.parametrize("following", ["breast and a lymph node.", "Breast tissue and a lymph node were sent."])
def test_prose_that_goes_on_below_is_still_joined(following: str) -> None:
    assert "\n" not in normalise(f"{ABOVE}\n{following}").text.rstrip()


def test_rows_of_comma_separated_values_stay_rows() -> None:
    rows = "Specimen,Site,Diagnosis,Gleason,Grade group,Positive cores,Total cores\nA,Right base,Adenocarcinoma,4+3=7,3,1,2"
    assert normalise(rows).text.count("\n") == 1
