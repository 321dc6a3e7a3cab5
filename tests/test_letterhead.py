from __future__ import annotations

import pytest

from weakbox.text.letterhead import without_letterhead
from weakbox.text.normalise import normalise


def blanked(raw: str) -> str:
    return without_letterhead(normalise(raw)).text


@pytest.mark.parametrize(
    "head",
    [
        "Northfield General Hospital - Department of Diagnostics\n12 Main Street, Tel. 020-555 7649\nPatient: [NAME] DOB: [DATE]\n",
        "Klinikum Musterstadt - Institut für Diagnostik\nHauptstraße 12, Tel. 0711/555-7649\nDatum: 12.03.2024, 18:12 Uhr\n",
        "Centre hospitalier\n12 rue Principale, 69001 Lyon, Tél. 04 55 57 64 90\nDate : 12/03/2024 à 18h12\n",
    ],
)
def test_a_letterhead_is_blanked_and_the_report_below_stays(head: str) -> None:
    report = "Prostate MRI. PSA 7.2. Lesion in the left PZ."
    assert blanked(f"{head}\n{report}").strip() == report


def test_no_place_in_the_text_moves() -> None:
    raw = "General Hospital, Tel. 020-555 7649\nMRI prostate: PI-RADS 4."
    text = without_letterhead(normalise(raw))
    start = text.text.index("PI-RADS 4")
    assert text.to_raw(start, start + 9).cut(raw) == "PI-RADS 4"
    assert len(text.text) == len(text.lower)


@pytest.mark.parametrize("raw", ["Patient: 64M, PSA 8.2.\nMRI", "Breast Clinic: left mass\nMRI", "Prostate biopsy 12.03.2024\nA: benign"])
def test_a_line_with_something_clinical_stays(raw: str) -> None:
    assert blanked(raw) == raw


def test_a_time_of_day_is_no_clock_position() -> None:
    assert "18:12" not in blanked("Mammographie vom 03.05.2024, 18:12 Uhr. Herd links auf 10 Uhr.")
    assert "10 Uhr" in blanked("Mammographie vom 03.05.2024, 18:12 Uhr. Herd links auf 10 Uhr.")
    assert "10:30 uhr" in blanked("Herd auf 10:30 Uhr.").lower()
