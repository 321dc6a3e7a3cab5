"""Whole reports in fresh layouts and words, and the variants of each cause that once misled the grammar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weakbox.evaluation.gold import GoldReport, read_gold
from weakbox.extractors.grammar.prostate_radiology import read_radiology
from weakbox.organs.prostate import RADIOLOGY
from weakbox.records.extraction import ReportExtraction
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Stated
from weakbox.text.misread import misread_word
from weakbox.text.normalise import normalise
from weakbox.text.sections import find_sections

VARIANTS = read_gold(Path(__file__).parent / "data" / "prostate_radiology_variants.yaml")


def read(text: str) -> ReportExtraction:
    normalised = normalise(text)
    report = Report(report_id="r", patient_id=None, report_type=ReportType.RADIOLOGY, text=text, organ="prostate")
    return read_radiology(report, normalised, find_sections(normalised))


def plain(stated: Stated[FieldValue] | None) -> Any:
    value = None if stated is None else stated.value
    return list(value) if isinstance(value, tuple) else value


def lesions_of(text: str) -> list[dict[str, Any]]:
    return [{name: stated.value for name, stated in finding.values.items()} for finding in read(text).findings]


def exam_of(text: str) -> dict[str, Any]:
    return {name.removeprefix("exam."): stated.value for name, stated in read(text).exam.items()}


@pytest.mark.parametrize("gold", VARIANTS, ids=[gold.report.report_id for gold in VARIANTS])
def test_a_report_in_a_fresh_layout_is_read_whole(gold: GoldReport) -> None:
    found = read(gold.report.text)
    assert {field.name: plain(found.exam.get(field.name)) for field in RADIOLOGY.exam} == {
        field.name: gold.body["exam"].get(field.name.removeprefix("exam.")) for field in RADIOLOGY.exam
    }
    wanted = [{name: value if value != [] else None for name, value in lesion.items()} for lesion in gold.body["lesions"]]
    assert [{field.name: plain(finding.values.get(field.name)) for field in RADIOLOGY.item} for finding in found.findings] == wanted


LABELLED = "left apex PZ, 9 mm, PI-RADS 4"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (f"Findings: ROI-1: {LABELLED}. ROI-2: right base TZ, 12 mm, PI-RADS 3.", ["1", "2"]),
        (f"Findings:\nLesion (1): {LABELLED}.\nLesion (2): right base TZ, 12 mm, PI-RADS 3.", ["1", "2"]),
        (f"Findings:\nLesion [A] {LABELLED}.\nLesion [B] right base TZ, 12 mm, PI-RADS 3.", ["A", "B"]),
        (f"Findings:\nTarget-A: {LABELLED}.\nTarget-B: right base TZ, 12 mm, PI-RADS 3.", ["A", "B"]),
        (f"Findings: There is a lesion (ROI-1) in the {LABELLED}.", ["1"]),
        ("LESION NUMBER: 1\nLESION LOCATION: left apex PZ\nLESION CATEGORY: PI-RADS 4", ["1"]),
        (f"Findings: Lesion A (previously lesion 1): {LABELLED}.", ["A"]),
        ("Findings: The left mid PZ lesion (5:21) is PI-RADS 4.", [None]),
        ("Findings: Lesion - 12 mm, left apex PZ, PI-RADS 4.", [None]),
    ],
)
def test_a_label_is_read_in_every_way_of_writing_it(text: str, labels: list[str | None]) -> None:
    assert [lesion.get("lesion_id") for lesion in lesions_of(text)] == labels


@pytest.mark.parametrize(
    ("text", "size", "score"),
    [
        ("The previously described 8 mm PI-RADS 3 lesion in the left apex PZ is unchanged.", (8.0,), 3),
        ("Previously noted 8 mm PI-RADS 3 lesion in the left apex PZ, stable.", (8.0,), 3),
        ("The previously noted 5 mm PI-RADS 3 area at the left apex now measures 9 mm. I would now call it PI-RADS 4.", (9.0,), 4),
        ("The previously reported PI-RADS 3 lesion at the left apex (8 mm) has grown to 12 mm and is upgraded to PI-RADS 4.", (12.0,), 4),
        ("The 8 mm PI-RADS 3 lesion seen in 2021 in the left apex PZ now measures 12 mm. PI-RADS 4.", (12.0,), 4),
        ("The lesion in the left apex PZ, 8 mm and PI-RADS 3 on the last MRI, now measures 12 mm, PI-RADS 4.", (12.0,), 4),
        ("Right base TZ nodule which was 10 mm and PI-RADS 2 before is now 13 mm, PI-RADS 3.", (13.0,), 3),
        ("Index lesion, left apex PZ: 12 mm today against 8 mm two years ago. PI-RADS 4 against 3.", (12.0,), 4),
        ("Known PI-RADS 4 lesion in the left mid PZ, previously 10 mm, now 14 mm.", (14.0,), 4),
        ("The earlier-reported left apical PZ lesion, then 8 mm and scored 3, is today 12 mm and scored PI-RADS 4.", (12.0,), 4),
    ],
)
def test_the_value_of_today_stands_and_the_earlier_one_does_not(text: str, size: tuple[float, ...], score: int) -> None:
    lesions = lesions_of(f"FINDINGS: {text}")
    assert [(lesion.get("size_mm"), lesion.get("pirads")) for lesion in lesions] == [(size, score)]


@pytest.mark.parametrize(
    "text",
    [
        "The 2022 report mentions a nodule (PI-RADS 3, left mid TZ). That is a typical BPH nodule today.",
        "Prev seen PI-RADS 3 area L PZ base resolved.",
        "Lesion 3 of 2022 (left TZ, PI-RADS 3) has become inconspicuous and is not scored.",
        "Previously seen lesion in the right mid gland (target 2) is not visible any more.",
        "COMPARISON IS MADE TO MRI OF 2020, WHEN THE RT APICAL LESION WAS CATEGORIZED PI-RADS 3 AND MEASURED 7 X 6 MM.",
    ],
)
def test_a_lesion_of_the_past_is_no_lesion_of_today(text: str) -> None:
    assert lesions_of(f"FINDINGS: Prostate volume 40 mL. {text}") == []


@pytest.mark.parametrize(
    "text",
    [
        "Were the PSA to rise above 10, refer. PSA 4.4.",
        "PSA 4.4. Repeat MRI should the PSA exceed 10 ng/mL.",
        "PSA 4.4 on finasteride (corrected 8.8).",
        "PSA 4.4, i.e. 8.8 adjusted for dutasteride.",
        "PSA 4.4, equivalent to 8.8 when corrected.",
        "Serum PSA of 4.4, which doubles to 8.8 allowing for dutasteride.",
        "PSA 4.4. PSA threshold for biopsy 10.",
        "tPSA 4.4 ng/mL (fPSA 1.6)",
        "PSA-4.4NG/ML",
        "63M PSA 4.4 f/u AS",
    ],
)
def test_the_measured_psa_counts_not_a_limit_or_a_correction(text: str) -> None:
    assert exam_of(f"HISTORY: {text}\nFINDINGS: Prostate volume 30 ml.")["psa_ng_ml"] == 4.4


@pytest.mark.parametrize(
    ("text", "epe", "svi"),
    [
        ("ECE -, SVI -, LN -.", "absent", "absent"),
        ("EPE:N SVI:N LN:N", "absent", "absent"),
        ("There is nothing to suggest extension beyond the capsule or into the seminal vesicles.", "absent", "absent"),
        ("No evidence of EPE, SVI, or metastatic disease in the pelvis.", "absent", "absent"),
        ("Organ-confined: yes. SV: nl", "absent", "absent"),
        ("EPE: grade 2/5, not suspected. SVI: grade 1/5, none.", "absent", "absent"),
        ("The right seminal vesicle is dark. Invasion is suspected.", None, "suspected"),
        ("There is invasion of the left neurovascular bundle. Seminal vesicles are small but normal.", "present", "absent"),
    ],
)
def test_staging_is_read_in_signs_short_answers_and_sentences(text: str, epe: str | None, svi: str | None) -> None:
    exam = exam_of(f"FINDINGS:\nProstate volume 30 mL.\n{text}")
    assert (exam.get("epe"), exam.get("svi")) == (epe, svi)


TABLE = """FINDINGS:
Lesion    Location           Size        T2   DWI   DCE   PI-RADS   EPE
1         R mid PZpm         18 x 11 mm  4    5     Y     5         possible
2         L base TZa         13 mm            3     N     3         no
"""


def test_a_cell_left_open_in_a_table_set_with_blanks_moves_no_other() -> None:
    second = lesions_of(TABLE)[1]
    assert (second.get("t2"), second["dwi"], second["dce"], second["pirads"]) == (None, 3, "negative", 3)


def test_a_tables_own_column_states_the_extension() -> None:
    assert exam_of(TABLE)["epe"] == "suspected"


def test_a_tables_column_of_labels_needs_no_title() -> None:
    rows = "         | Site | Size | PI-RADS\nLesion 1 | L apex PZ | 6 mm | 4\nLesion 2 | R mid TZ | 9 mm | 3\n"
    assert [(lesion["lesion_id"], lesion["side"]) for lesion in lesions_of(f"FINDINGS:\n{rows}")] == [("1", "left"), ("2", "right")]


@pytest.mark.parametrize(
    ("text", "zone", "side"),
    [
        ("Peripheral Zone:\n - Right: normal.\n - Left: Focal lesion at mid gland, 10 mm. PI-RADS 4.", "PZ", "left"),
        ("Lt PZ:\n base: nl\n apex: 0.5 cm lesion, PI-RADS 4", "PZ", "left"),
        ("LEFT\nTransition zone: base - clear. Mid - 11 mm lesion, PI-RADS 4.", "TZ", "left"),
        ("Rt PZ:\n base: nl\n apex: nl\nLt PZ:\n base: nl\n apex: 0.5 cm lesion, PI-RADS 4", "PZ", "left"),
    ],
)
def test_headings_within_headings_place_the_lesion(text: str, zone: str, side: str) -> None:
    assert [(lesion["zone"], lesion["side"]) for lesion in lesions_of(f"FINDINGS:\n{text}")] == [(zone, side)]


@pytest.mark.parametrize(
    ("text", "t2", "dwi"),
    [
        ("T2 and DWI score 5 each.", 5, 5),
        ("T2 and DWI scores 4 and 5.", 4, 5),
        ("T2 is scored 3 and DWI 4.", 3, 4),
        ("Low T2 signal (4) with marked restricted diffusion (5).", 4, 5),
        ("T2 score remains 3, DWI remains 3.", 3, 3),
        ("PI-RADS 4 (3/4/+).", 3, 4),
    ],
)
def test_sequence_scores_are_read_together_and_in_brackets(text: str, t2: int, dwi: int) -> None:
    lesion = lesions_of(f"FINDINGS: Left mid PZ lesion, 12 mm. {text} PI-RADS 4.")[0]
    assert (lesion["t2"], lesion["dwi"]) == (t2, dwi)


@pytest.mark.parametrize(
    ("token", "word"),
    [
        ("lesi0n", "lesion"),
        ("poster0medial", "posteromedial"),
        ("verlfied", "verified"),
        ("rnidgland", "midgland"),
        ("vesic1es", "vesicles"),
        ("5eminal", "seminal"),
        ("c0mmunity", "community"),
        ("lesion", None),
        ("b2000", None),
        ("t2n0m0", None),
        ("10mm", None),
        ("isup2", None),
    ],
)
def test_a_misread_word_is_known_again_and_no_other_is_touched(token: str, word: str | None) -> None:
    assert misread_word(token) == word


def test_a_zero_for_o_is_undone_in_no_but_not_in_a_stage() -> None:
    assert normalise("PR0STATE. N0 LYMPHADENOPATHY. T2 N0 M0.").text == "PROSTATE. NO LYMPHADENOPATHY. T2 N0 M0."


def test_numbers_in_capitals_lose_their_letters() -> None:
    assert normalise("A l2 X 8 MM LESION, 4.O CM").text == "A 12 X 8 MM LESION, 4.0 CM"


def test_dots_that_lead_to_a_value_are_a_colon_and_evidence_stays_raw() -> None:
    text = "Clinical PSA (ng/mL) ......... 4.9\nProstate volume (mL) ......... 38\n"
    exam = read(text).exam
    assert exam["exam.psa_ng_ml"].value == 4.9
    assert all(span.start < span.end <= len(text) for stated in exam.values() for span in stated.evidence)
