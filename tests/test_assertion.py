from __future__ import annotations

import pytest

from weakbox.records.stated import Assertion
from weakbox.text.assertion import assertion_at


@pytest.mark.parametrize(
    ("sentence", "target", "expected"),
    [
        ("No PI-RADS 3, 4 or 5 lesion.", "4", Assertion.ABSENT),
        ("Cannot exclude extraprostatic extension", "extraprostatic", Assertion.POSSIBLE),
        ("No definite EPE; broad capsular contact", "EPE", Assertion.ABSENT),
        ("No definite EPE; broad capsular contact", "contact", Assertion.PRESENT),
        ("Seminal vesicles are free, no nodes; lesion abuts capsule", "lesion", Assertion.PRESENT),
        ("No nodes, but there is a lesion", "lesion", Assertion.PRESENT),
        ("Extraprostatic extension is not seen", "Extraprostatic", Assertion.ABSENT),
        ("not only the left but also the right apex", "left", Assertion.PRESENT),
        ("No significant interval change in the lesion", "lesion", Assertion.PRESENT),
        ("Father had Gleason 9 prostate cancer", "Gleason 9", Assertion.FAMILY),
        ("If PSA rises, repeat MRI for possible PI-RADS 4 lesion", "PI-RADS 4", Assertion.HYPOTHETICAL),
        ("Indication: rule out PI-RADS 4", "PI-RADS 4", Assertion.HYPOTHETICAL),
        ("Not meeting criteria for PI-RADS 4", "PI-RADS 4", Assertion.HYPOTHETICAL),
        ("Previously PI-RADS 4, now PI-RADS 2.", "PI-RADS 4", Assertion.PRIOR),
        ("Previously PI-RADS 4, now PI-RADS 2.", "PI-RADS 2", Assertion.PRESENT),
        ("Known PI-RADS 5 lesion no longer seen", "lesion", Assertion.PRIOR),
        ("Unchanged PI-RADS 3 focus right apex", "PI-RADS 3", Assertion.PRESENT),
        ("Possible extension into the fat", "extension", Assertion.POSSIBLE),
        ("The vesicle is suspicious for invasion", "invasion", Assertion.POSSIBLE),
        ("MRI without and with contrast shows a lesion", "lesion", Assertion.PRESENT),
    ],
)
def test_a_trigger_reaches_what_it_governs_and_no_more(sentence: str, target: str, expected: Assertion) -> None:
    start = sentence.index(target)
    assert assertion_at(sentence, start, start + len(target)) is expected
