"""De-identification of report text: what goes, what stays, the way back, and that extraction does not change."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extraction import Config, extract_report
from tests.invented_identities import GIVEN, identities
from weakbox.evaluation.gold import read_gold
from weakbox.extractors.contract import to_contract
from weakbox.records.errors import ConfigurationError
from weakbox.records.report import Report
from weakbox.records.stated import Span
from weakbox.text.deidentify import Deidentified, DeidentifyOptions, Operator, available_recognisers, deidentify
from weakbox.text.deidentify_dates import shifted_date
from weakbox.text.deidentify_detection import PhiKind
from weakbox.text.language import detect_language
from weakbox.text.normalise import placeholder_spans

DATA = Path(__file__).parent / "data"
KEY = b"a key of sixteen bytes or more"
RULES = ("rules",)
MASK = DeidentifyOptions(recognisers=RULES)
SHIFT = DeidentifyOptions(recognisers=RULES, dates=Operator.SHIFT, date_shift_days=-137)
YEAR = DeidentifyOptions(recognisers=RULES, dates=Operator.YEAR)
SURROGATE = DeidentifyOptions(recognisers=RULES, operator=Operator.SURROGATE, dates=Operator.SHIFT, date_shift_days=-137, key=KEY)


def masked(text: str, **options: Any) -> str:
    return deidentify(text, replace(MASK, **options)).text


# What goes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Seen by Dr. Jane Quillfeather.", "Seen by Dr. <PERSON>."),
        ("PATIENT: QUILLFEATHER, JANE", "PATIENT: <PERSON>"),
        ("Jane A. Quillfeather, MD", "<PERSON>, MD"),
        ("Herr Klein stellte sich vor", "Herr <PERSON> stellte sich vor"),
        ("Met vriendelijke groet,\nW. van der Zwaluw\nradioloog", "Met vriendelijke groet,\n<PERSON>\nradioloog"),
        ("Dr. Tegelmark ... Tegelmark asks", "Dr. <PERSON> ... <PERSON> asks"),
        ("Exam 03/14/2024 and 2024-03-14", "Exam <DATE> and <DATE>"),
        ("vom 12. März 2024, zuletzt 02/2021", "vom <DATE>, zuletzt <DATE>"),
        ("DOB: 01/02/1950", "DOB: <BIRTH_DATE>"),
        ("12.03.2024 um 14:35 Uhr", "<DATE> um <TIME> Uhr"),
        ("a 93-year-old man, a 71-year-old man", "a <AGE>-year-old man, a 71-year-old man"),
        ("MRN: 00123457", "MRN: <ID>"),
        ("Accession # E24-99887", "Accession # <ID>"),
        ("previous S21-12345, Z1234567", "previous <ID>, <ID>"),
        ("Personnummer 19811218-9876", "Personnummer <NATIONAL_ID>"),
        ("811218-9876 and 111222333 and 943 476 5919", "<NATIONAL_ID> and <NATIONAL_ID> and <NATIONAL_ID>"),
        ("12345678Z, 1 85 05 78 006 084 91, A000500015", "<NATIONAL_ID>, <NATIONAL_ID>, <NATIONAL_ID>"),
        ("UID 1.2.840.113619.2.55.3.604688119", "UID <UID>"),
        ("call (555) 014-2233 or mail a.b@example.org", "call <PHONE> or mail <EMAIL>"),
        ("see https://pacs.example.org/x?id=1.", "see <URL>."),
        ("Lindenstraße 14a, 48231 Hohenfelde", "<ADDRESS>"),
        ("Ward: 4B East Wing", "Ward: <INSTITUTION>"),
        ("compared with Eastmere Medical Center", "compared with <INSTITUTION>"),
        ("PID|1||0012^^^N^MR||Doe^Jane\nOBX|1|TX|R||PI-RADS 4", "PID|<ID>\nOBX|1|TX|R||PI-RADS 4"),
    ],
)
def test_what_identifies_becomes_a_placeholder(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_every_placeholder_is_one_that_the_text_layer_knows() -> None:
    for kind in PhiKind:
        assert placeholder_spans(f"x <{kind.value}> y") == ((2, 4 + len(kind.value)),)


def test_known_names_and_numbers_go_wherever_they_stand() -> None:
    assert masked("asked by tegelmark; no 12-3", known=("Tegelmark", "12-3")) == "asked by <PERSON>; no <ID>"


def test_a_short_known_number_goes_behind_its_label_and_stays_where_it_is_a_score() -> None:
    text = "Patient ID: 4\nLesion 4: PI-RADS 4, 4 mm."
    assert masked(text, known=("4",)) == "Patient ID: <ID>\nLesion 4: PI-RADS 4, 4 mm."


def test_kinds_can_be_kept() -> None:
    assert masked("Dr. Quillfeather 12.03.2024", keep=frozenset({PhiKind.DATE})) == "Dr. <PERSON> 12.03.2024"


# What stays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Gleason 3+4=7, Gleason score 4 + 3 = 7, 3+4",
        "Likert 4. Cowper gland. Denonvilliers fascia. Santorini plexus. Cooper ligaments. Paget disease.",
        "Nottingham grade 2, Bloom-Richardson, Elston-Ellis, Allred 8/8, Breslow 1.2 mm",
        "12.8.10 mm, 12 x 8 x 10 mm, 1,2 x 0,8 cm, 45 ml, PSA 6.8 ng/mL, 12%",
        "mass at 2:30, 10:00 position, 3 o'clock, bei 3 Uhr, klockan 7:30, à 10h",
        "image 5/31, series 7 image 14, slice 12, Bild 5/31, b 0, 50, 800, 1400",
        "3/12 cores, 7 of 14, T2: 4 DWI: 4, PI-RADS v2.1, ISUP 2, WHO 2022, 3 T, TR 4500",
        "D. Right base: benign. E. LEFT MID: adenocarcinoma.",
        "MR Prostata. MR MAMMOGRAPHY. Site: Left breast, 3 o'clock.",
        "Patient: 64 year old man with PSA 7. Consultant review. History of prostate cancer 2019.",
        "PSA <NUMBER> ng/mL on <DATUM>, Dr. <PERSOON>, [**2021-03-04**], ___",
        "ER 8/8, PR 6/8, HER2 1+, Ki-67 15 %, BI-RADS 4A, N0 M0 pT2c",
    ],
)
def test_medicine_stays(text: str) -> None:
    assert masked(text) == text


# The operators --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.dates(date(1990, 1, 1), date(2029, 12, 31)), st.integers(-365, 365))
def test_a_day_moves_by_the_shift_and_keeps_its_form(day: date, days: int) -> None:
    moved = day + timedelta(days=days)
    worded = () if day.month == 5 else ("%B %d, %Y", "%d-%b-%Y")  # "May" is a long and a short name
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", *worded):
        assert shifted_date(day.strftime(form), days) == moved.strftime(form)


def test_intervals_between_the_days_of_a_text_stay() -> None:
    text = "Exam 2024-03-12, prior 12.03.2021, biopsy March 30, 2024."
    assert deidentify(text, SHIFT).text == "Exam 2023-10-27, prior 26.10.2020, biopsy November 14, 2023."


def test_a_day_that_cannot_be_moved_surely_is_masked() -> None:
    assert deidentify("am 12.03. vorgestellt", SHIFT).text == "am <DATE> vorgestellt"


def test_a_year_may_stay_but_not_that_of_a_birth() -> None:
    assert deidentify("DOB: 01/02/1950, exam 03/14/2024, 02/21", YEAR).text == "DOB: <BIRTH_DATE>, exam 2024, 02/21"


def test_the_same_words_get_the_same_stand_in_under_one_key_and_another_under_another() -> None:
    text = "Dr. Tegelmark, MRN: 00123457. Tegelmark signed; MRN: 00123457."
    first = deidentify(text, SURROGATE)
    assert first.text == deidentify(text, SURROGATE).text
    assert first.text != deidentify(text, replace(SURROGATE, key=KEY + b"!")).text
    names = re.findall(r"Dr\. (\w+),|\. (\w+) signed", first.text)
    assert names[0][0] == names[1][1]
    assert "Tegelmark" not in first.text
    assert "00123457" not in first.text
    numbers = re.findall(r"MRN: (\d{8})", first.text)
    assert len(numbers) == 2
    assert numbers[0] == numbers[1]


def test_an_operator_without_its_key_or_shift_is_refused() -> None:
    for options in (
        DeidentifyOptions(operator=Operator.SURROGATE),
        DeidentifyOptions(dates=Operator.SHIFT),
        DeidentifyOptions(dates=Operator.SURROGATE, key=KEY, date_shift_days=1),
        DeidentifyOptions(operator=Operator.SHIFT, date_shift_days=1),
        DeidentifyOptions(recognisers=("psychic",)),
    ):
        with pytest.raises(ConfigurationError, match="de-identification"):
            deidentify("text", options)


# The way back ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [MASK, SHIFT, YEAR, SURROGATE])
def test_evidence_in_one_text_maps_to_the_other(options: DeidentifyOptions) -> None:
    text = "Patient: Quillfeather, Orla\nDOB: 01/02/1950\nDr. Tegelmark 12.03.2024: PI-RADS 4, 12 x 8 mm."
    result = deidentify(text, options)
    for words in ("PI-RADS 4", "12 x 8 mm", "Patient"):
        start = result.text.index(words)
        assert result.to_original(Span(start=start, end=start + len(words))).cut(text) == words
        start = text.index(words)
        assert result.from_original(Span(start=start, end=start + len(words))).cut(result.text) == words
    for replacement in result.replacements:
        assert result.to_original(replacement.now) == replacement.original
        assert result.from_original(replacement.original) == replacement.now


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_any_text_is_cut_into_what_stays_and_what_was_replaced(text: str) -> None:
    result = deidentify(text, MASK)
    pieces, position = [], 0
    for replacement in result.replacements:
        assert position <= replacement.original.start
        pieces += [text[position : replacement.original.start], replacement.now.cut(result.text)]
        position = replacement.original.end
    assert "".join((*pieces, text[position:])) == result.text


def test_masking_a_masked_text_changes_nothing() -> None:
    for language in GIVEN:
        for header, closing in identities(language, 3):
            once = masked(f"{header.text}\n\n{closing.text}")
            assert masked(once) == once


# Recall and precision on invented identities --------------------------------------------------------------------------

BODY = "\n\nFINDINGS: PI-RADS 4 lesion, 12 x 8 mm, image 5/31. Gleason 3+4=7 at Nottingham.\n\nIMPRESSION: PI-RADS 4.\n\n"


def counted(options: DeidentifyOptions, patients: int = 20) -> dict[str, tuple[int, int, int, int]]:
    """By language: words inserted, words found whole, stretches replaced, stretches replaced that identify nobody."""
    counts = {}
    for language in GIVEN:
        total = found = replaced = wrong = 0
        for header, closing in identities(language, patients):
            text = header.text + BODY + closing.text
            result = deidentify(text, options)
            covered = {place for each in result.replacements for place in range(each.original.start, each.original.end)}
            spans = [
                (offset + match.start(), offset + match.end())
                for part, offset in ((header, 0), (closing, len(header.text) + len(BODY)))
                for _, words in part.items
                for match in re.finditer(re.escape(words), part.text)
            ]
            total += len(spans)
            found += sum(all(place in covered for place in range(*span) if text[place].isalnum()) for span in spans)
            replaced += len(result.replacements)
            wrong += sum(
                all(end <= each.original.start or each.original.end <= start for start, end in spans) for each in result.replacements
            )
        counts[language] = (total, found, replaced, wrong)
    return counts


def test_invented_identities_of_six_languages_are_found_and_little_else() -> None:
    counts = counted(MASK)
    assert sum(total for total, *_ in counts.values()) >= 300
    for language, (total, found, replaced, wrong) in counts.items():
        assert found / total >= 0.97, language
        assert wrong / replaced <= 0.02, language


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("presidio_analyzer") is None, reason="the extra `deid` is not installed")
def test_presidio_adds_to_the_rules_and_takes_nothing_away() -> None:
    both = DeidentifyOptions()
    assert available_recognisers() == ("rules", "presidio")
    result = deidentify("IBAN DE89 3704 0044 0532 0130 00, Gleason 3+4=7, 12 x 8 mm", both)
    assert result.text == "IBAN <ID>, Gleason 3+4=7, 12 x 8 mm"
    assert result.recognisers == ("rules", "presidio")
    for language, (total, found, *_) in counted(both, 6).items():
        assert found / total >= 0.97, language


# Extraction does not change -------------------------------------------------------------------------------------------


@cache
def development_reports() -> tuple[Report, ...]:
    """Every report with gold that is no held-back one."""
    paths = [*sorted((DATA / "reports" / "look").glob("*.yaml")), *sorted(DATA.glob("*.jsonl"))]
    return tuple(replace(entry.report, language="auto") for path in paths for entry in read_gold(path))


def values(report: Report) -> dict[str, Any]:
    document = to_contract(report, extract_report(report, Config()))
    return {name: value for name, value in document.items() if name not in ("evidence", "confidence", "flags", "status")}


def changed(options: DeidentifyOptions, reports: tuple[Report, ...]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for report in reports:
        before, after = values(report), values(replace(report, text=deidentify(report.text, options).text))
        if before != after:
            yield report.report_id, before, after


@pytest.mark.slow
@pytest.mark.parametrize("options", [SHIFT, SURROGATE], ids=["shift", "surrogate"])
def test_extraction_from_the_text_with_other_days_and_names_is_the_same(options: DeidentifyOptions) -> None:
    assert [report_id for report_id, *_ in changed(options, development_reports())] == []


@pytest.mark.slow
@pytest.mark.parametrize(("options", "share"), [(YEAR, 0.003), (MASK, 0.012)], ids=["year", "mask"])
def test_extraction_from_the_masked_text_differs_only_where_the_days_decide(options: DeidentifyOptions, share: float) -> None:
    different = list(changed(options, development_reports()))
    assert len(different) <= share * len(development_reports())
    bare = [report for report in development_reports() if report.report_id in {report_id for report_id, *_ in different}]
    no_dates = replace(options, keep=frozenset({PhiKind.DATE}))
    assert [report_id for report_id, *_ in changed(no_dates, tuple(bare))] == []


@pytest.mark.slow
def test_identities_inserted_and_masked_leave_what_the_report_states() -> None:
    by_language: dict[str, list[Report]] = {}
    for report in development_reports():
        by_language.setdefault(detect_language(report.text.lower()), []).append(report)
    different, count = [], 0
    for language in GIVEN:
        for report, (header, closing) in zip(by_language[language][:20], identities(language, 20), strict=False):
            whole = f"{header.text}\n\n{report.text}\n\n{closing.text}\n"
            count += 1
            if values(report) != values(replace(report, text=deidentify(whole, MASK).text)):
                different.append(report.report_id)
    assert count >= 60
    assert len(different) <= 0.05 * count, different


def test_a_result_is_whole() -> None:
    result = deidentify("", MASK)
    assert isinstance(result, Deidentified)
    assert (result.text, result.replacements) == ("", ())
