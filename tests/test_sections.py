from __future__ import annotations

import itertools

import pytest

from weakbox.records.report import SectionKind
from weakbox.text.normalise import normalise
from weakbox.text.sections import find_sections, raw_sections
from weakbox.text.sentences import UnitKind, split_sentences

LEGEND = "\n".join(
    f"PI-RADS {score} - {words}"
    for score, words in enumerate(
        ("Very low (cancer highly unlikely)", "Low", "Intermediate (equivocal)", "High (cancer likely)", "Very high"), start=1
    )
)


def kinds(raw: str) -> list[tuple[SectionKind, str]]:
    text = normalise(raw)
    return [(section.kind, section.body.cut(raw)) for section in raw_sections(text, find_sections(text))]


def test_headings_in_one_paragraph_cut_it() -> None:
    raw = "Clinical: PSA 7. Technique: 3T. Findings: Volume 50 cc. Impression: PI-RADS 2."
    assert [kind for kind, _ in kinds(raw)] == [
        SectionKind.CLINICAL_INFORMATION,
        SectionKind.TECHNIQUE,
        SectionKind.FINDINGS,
        SectionKind.IMPRESSION,
    ]


@pytest.mark.parametrize(
    "heading", ["FINDINGS:", "Findings:", "findings:", "FINDINGS", "** FINDINGS **", "Findings -", "Imaging findings:", "1. FINDINGS:"]
)
def test_a_heading_is_found_in_any_case_with_or_without_colon(heading: str) -> None:
    raw = f"EXAM: MRI\n{heading}\nLesion in the left PZ."
    assert kinds(raw)[-1] == (SectionKind.FINDINGS, "Lesion in the left PZ.")


@pytest.mark.parametrize(
    "raw",
    [
        "The findings are consistent with BPH.",
        "Our impression is benign.",
        "In comparison with 2019 it is stable.",
        "PI-RADS assessment: 4",
    ],
)
def test_the_words_inside_a_sentence_are_no_heading(raw: str) -> None:
    assert [kind for kind, _ in kinds(raw)] == [SectionKind.FINDINGS]


def test_capital_heading_without_colon_in_a_line_cuts_it() -> None:
    assert kinds("TECHNIQUE 3T MRI. FINDINGS The gland is large.")[1] == (SectionKind.FINDINGS, "The gland is large.")


def test_an_addendum_ends_at_its_marker_even_before_the_body() -> None:
    raw = "ADDENDUM BEGINS\nImpression: right, not left.\nEND OF ADDENDUM\nFINDINGS: left lesion."
    found = kinds(raw)
    assert (SectionKind.ADDENDUM, "right, not left.") in found
    assert found[-1] == (SectionKind.FINDINGS, "left lesion.")


def test_addenda_are_counted_in_order() -> None:
    text = normalise("FINDINGS: a.\nADDENDUM 1: b.\nADDENDUM 2: c.")
    assert [section.order for section in find_sections(text)] == [0, 1, 2]


def test_a_printed_scale_is_a_legend_wherever_it_stands() -> None:
    raw = f"IMPRESSION: PI-RADS 4 lesion.\n{LEGEND}\nSigned by: Dr A"
    found = dict(kinds(raw))
    assert found[SectionKind.TEMPLATE_LEGEND].startswith("PI-RADS 1")
    assert found[SectionKind.TEMPLATE_LEGEND].endswith("Very high")
    assert "PI-RADS 4 lesion" in found[SectionKind.IMPRESSION]


def test_a_list_of_lesions_with_falling_scores_is_no_legend() -> None:
    raw = "1. PI-RADS 5: high signal lesion left. 2. PI-RADS 4: lesion right. 3. PI-RADS 3: lesion apex."
    assert SectionKind.TEMPLATE_LEGEND not in dict(kinds(raw))


def test_pathology_headings_are_known() -> None:
    raw = (
        "SPECIMENS SUBMITTED:\nA. Left base\nCLINICAL HISTORY: PSA 7\nGROSS DESCRIPTION:\nOne core.\nMICROSCOPIC DESCRIPTION:\nGlands.\n"
        "FINAL PATHOLOGIC DIAGNOSIS:\nA. Benign.\nCOMMENT:\nNone.\nSYNOPTIC REPORT:\nGrade group 2\nElectronically signed by Dr A"
    )
    expected = ["specimen_list", "clinical_information", "gross", "microscopy", "diagnosis", "comment", "synoptic", "signature"]
    assert [kind.value for kind, _ in kinds(raw)] == expected


def test_sections_cover_the_text_in_order() -> None:
    text = normalise(f"MRI\nFINDINGS: x.\n{LEGEND}\nIMPRESSION: y.\nADDENDUM: z.")
    sections = find_sections(text)
    for before, after in itertools.pairwise(sections):
        gap = text.text[before.end : after.start]
        assert not gap.strip() or (after.heading is not None and after.heading[0] == before.end)
    assert sections[0].start == 0
    assert sections[-1].end == len(text.text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lesion is PI-RADS 4. It is left.", ["Lesion is PI-RADS 4.", "It is left."]),
        ("Scored with PI-RADS v2.1 at 3T. Left PZ.", ["Scored with PI-RADS v2.1 at 3T.", "Left PZ."]),
        ("Approx. 12 mm lesion, e.g. Left side.", ["Approx. 12 mm lesion, e.g. Left side."]),
        ("1. Left PZ 4. 2. Right TZ 3.", ["Left PZ 4.", "Right TZ 3."]),
        ("Size 1.2 x 0.8 cm. No EPE", ["Size 1.2 x 0.8 cm.", "No EPE"]),
        ("12 mm. in size", ["12 mm. in size"]),
    ],
)
def test_numbers_and_abbreviations_do_not_end_a_sentence(text: str, expected: list[str]) -> None:
    assert [text[unit.start : unit.end] for unit in split_sentences(text)] == expected


def test_list_items_keep_their_marker_and_rows_are_rows() -> None:
    units = split_sentences("1. First\n(b) Second\n- Third\n1 | L mid | 4\nA  12 mm  x  left")
    assert [(unit.kind, unit.marker) for unit in units] == [
        (UnitKind.ITEM, "1"),
        (UnitKind.ITEM, "b"),
        (UnitKind.ITEM, "-"),
        (UnitKind.ROW, None),
        (UnitKind.ROW, None),
    ]


def test_paragraphs_are_counted_at_blank_lines() -> None:
    assert [unit.paragraph for unit in split_sentences("a\nb\n\nc\n\n\nd")] == [0, 0, 1, 2]


def test_history_on_its_headings_line_ends_where_the_body_follows() -> None:
    raw = "MRI\nClinical: PSA rising, father died of cancer.\nThe gland measures 85 ml. New lesion in the apex.\nImpression: PI-RADS 5."
    assert kinds(raw)[1:] == [
        (SectionKind.CLINICAL_INFORMATION, "PSA rising, father died of cancer."),
        (SectionKind.FINDINGS, "The gland measures 85 ml. New lesion in the apex."),
        (SectionKind.IMPRESSION, "PI-RADS 5."),
    ]


def test_history_goes_on_over_lines_that_speak_of_the_past() -> None:
    raw = "Clinical: PSA 8.\nPrevious biopsy of the prostate benign.\n\nThe prostate measures 40 ml."
    assert kinds(raw)[0] == (SectionKind.CLINICAL_INFORMATION, "PSA 8.\nPrevious biopsy of the prostate benign.")


def test_a_body_with_its_own_heading_is_not_looked_for_in_the_history() -> None:
    raw = "Clinical: lump.\nLeft breast mass on ultrasound.\nFindings: mass."
    assert kinds(raw)[0] == (SectionKind.CLINICAL_INFORMATION, "lump.\nLeft breast mass on ultrasound.")


def test_a_spoken_summary_begins_the_impression() -> None:
    raw = "Findings: lesion in the left apex.\n\nIn summary a lesion, PI-RADS 4."
    assert kinds(raw)[-1] == (SectionKind.IMPRESSION, "a lesion, PI-RADS 4.")
