"""The second reader: what it sees, what it leaves out, and that it never breaks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extraction import Config, open_extractors
from weakbox.evaluation.gold import read_gold
from weakbox.extractors.fusion import fuse
from weakbox.extractors.matcher import MatcherExtractor, open_matcher
from weakbox.extractors.matcher_reading import measurements, read
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import ExtractionStatus, ReportExtraction
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue

RADIOLOGY, PATHOLOGY = ReportType.RADIOLOGY, ReportType.PATHOLOGY
MRI = """CLINICAL HISTORY: PSA 7.2 ng/mL. Prior MRI showed PI-RADS 3.
FINDINGS:
Prostate volume: 48 mL. PSA density 0.15.
Lesion 1: left peripheral zone, mid gland, 14 x 9 mm. PI-RADS 4.
Lesion 2: right transition zone, base, 8 mm. PI-RADS 3.
IMPRESSION:
PI-RADS v2.1 category 4 lesion."""
CORES = """Prostate, needle core biopsies:
A. Left base: Adenocarcinoma, Gleason 3+4=7, 2 of 3 cores, 40%.
B. Right apex: Benign prostatic tissue."""


def extract(text: str, report_type: ReportType = RADIOLOGY, organ: str = "prostate") -> ReportExtraction:
    return MatcherExtractor().extract(Report(report_id="r", patient_id=None, report_type=report_type, text=text, organ=organ))


def values(extraction: ReportExtraction) -> list[dict[str, FieldValue]]:
    return [{name: leaf.value for name, leaf in item.values.items()} for item in extraction.items]


def test_it_reads_the_simple_fields_of_a_prostate_mri() -> None:
    read = extract(MRI)
    assert {name: leaf.value for name, leaf in read.exam.items()} == {
        "exam.pirads": 4, "exam.pirads_version": "2.1", "exam.psa_ng_ml": 7.2, "exam.psa_density": 0.15, "exam.prostate_volume_ml": 48,
    }  # fmt: skip
    assert values(read) == [
        {"lesion_id": "1", "pirads": 4, "side": "left", "zone": "PZ", "levels": ("mid",), "size_mm": (14.0, 9.0)},
        {"lesion_id": "2", "pirads": 3, "side": "right", "zone": "TZ", "levels": ("base",), "size_mm": (8.0,)},
    ]


def test_it_reads_labelled_specimens() -> None:
    read = extract(CORES, PATHOLOGY)
    first, second = values(read)
    assert (first["specimen_id"], first["side"], first["diagnosis"], first["isup_grade"]) == ("A", "left", "adenocarcinoma", 2)
    assert (first["cores_positive"], first["cores_total"], first["percent_involved"]) == (2, 3, 40.0)
    assert (second["specimen_id"], second["side"], second["diagnosis"]) == ("B", "right", "benign")
    assert read.value("cancer_present") is True


def test_it_reads_breast_reports() -> None:
    read = extract(
        "MAMMOGRAM. The breasts are heterogeneously dense.\nThere is a 12 mm mass in the left breast.\nBI-RADS category 4B.",
        RADIOLOGY,
        "breast",
    )
    assert (read.value("exam.birads"), read.value("exam.density"), read.value("exam.modality")) == ("4B", "c", "mammography")
    assert values(read) == [{"size_mm": (12.0,), "kind": "mass", "side": "left"}]
    cores = extract("A. Left breast, core biopsy: Invasive ductal carcinoma, grade 2. ER positive, PR negative.", PATHOLOGY, "breast")
    specimen = values(cores)[0]
    assert (specimen["histology"], specimen["diagnosis"], specimen["grade"]) == ("idc", "malignant", 2)
    assert (specimen["er"], specimen["pr"]) == ("positive", "negative")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PI-RADS 4 lesion, left.", 4),
        ("PIRADS4 lesion, left.", 4),
        ("PI-RADS v2: 5.", 5),
        ("PI-RADS version 2.1 category: 3", 3),
        ("PI-RADS Kategorie 4, links.", 4),
        ("Previous MRI: PI-RADS 4.", None),
        ("PI-RADS 1 very low. PI-RADS 2 low. PI-RADS 3 intermediate. PI-RADS 4 high. PI-RADS 5 very high.", None),
        ("PI-RADS 7", None),
    ],
)
def test_a_category_is_current_and_no_printed_scale(text: str, value: int | None) -> None:
    assert extract(text).value("exam.pirads") == value


def test_it_leaves_out_what_the_report_says_twice_and_differently() -> None:
    assert extract("PSA 5.1 ng/mL. PSA 6.3 ng/mL. PI-RADS 4.").value("exam.psa_ng_ml") is None
    twice = extract("A. Left base: Gleason 3+4=7\nMicroscopy\nA. Left base: Gleason 4+4=8", PATHOLOGY)
    assert all("gleason_score" not in item for item in values(twice))


def test_sizes_of_other_things_are_not_a_lesions() -> None:
    reading = read("Slice thickness 3 mm. Prostate measures 40 x 35 x 42 mm. A focus of 11 mm. Nipple distance 30 mm.")
    assert [size.values for size in measurements(reading, 0, len(reading.words))] == [(11.0,)]


def test_centimetres_become_millimetres() -> None:
    reading = read("a focus of 1.2 x 0,9 cm")
    assert [size.values for size in measurements(reading, 0, len(reading.words))] == [(12.0, 9.0)]


def test_every_value_has_its_words() -> None:
    for text, kind in ((MRI, RADIOLOGY), (CORES, PATHOLOGY)):
        extraction = extract(text, kind)
        leaves = [*extraction.exam.values(), *(leaf for item in extraction.items for leaf in item.values.values())]
        assert leaves
        assert all(span.end <= len(text) and span.cut(text).strip() for leaf in leaves for span in leaf.evidence)


def test_what_says_nothing_is_an_abstention() -> None:
    for text in ("", " \n\t", "Dear colleague, thank you."):
        assert extract(text).status is ExtractionStatus.ABSTAINED
    assert extract("PI-RADS 4", organ="spleen").status is ExtractionStatus.ABSTAINED


def test_it_has_no_options() -> None:
    with pytest.raises(ConfigurationError, match="has no options"):
        open_matcher({"speed": 1})


def test_a_defined_abbreviation_is_understood_where_scispacy_is_installed() -> None:
    pytest.importorskip("scispacy")
    reading = read("His prostate specific antigen (PSAT) was taken. PSAT 5.1")
    assert [reading.raw[reading.span(mark.start, mark.end).start :][:4] for mark in reading.of("psa")] == ["pros", "PSAT", "PSAT"]


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from("PI-RADS 4 Gleason 3+4=7 mm cm x A.:\n()½²٣% left right lesion benign ER HER2 BI-RADS\x00\ufffd"),
        max_size=120,
    ),
    st.sampled_from([RADIOLOGY, PATHOLOGY]),
    st.sampled_from(["prostate", "breast"]),
)
def test_it_never_breaks(text: str, report_type: ReportType, organ: str) -> None:
    extraction = extract(text, report_type, organ)
    leaves = [*extraction.exam.values(), *(leaf for item in extraction.items for leaf in item.values.values())]
    assert all(span.end <= len(text) for leaf in leaves for span in leaf.evidence)


def test_a_text_of_five_megabytes_takes_no_minutes() -> None:
    began = time.perf_counter()
    extract("PI-RADS 4 lesion left 12 mm. " * 180_000)
    assert time.perf_counter() - began < 30


def test_the_second_reader_changes_no_value_of_the_rules_on_the_development_reports() -> None:
    gold = read_gold(Path(__file__).parent / "data" / "reports" / "look" / "en_prostate_pathology.yaml")
    rules, matcher = open_extractors(Config(extractors=("rules", "matcher")))
    assert len(gold) > 10
    for entry in gold:
        alone = rules.extract(entry.report)
        both = fuse([alone, matcher.extract(entry.report)])
        assert isinstance(alone, ReportExtraction)
        assert isinstance(both, ReportExtraction)
        assert {name: leaf.value for name, leaf in both.exam.items()} == {name: leaf.value for name, leaf in alone.exam.items()}
        assert values(both) == values(alone)
