"""How one label came to be: asked for by any identifier, every stage answers with the words that state each value."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.small_store import ANNE, BERT, small_store
from weakbox.audit.trace import as_renderable, as_text, make_trace
from weakbox.records.errors import InputError
from weakbox.runtime.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return small_store(tmp_path)


def test_every_stage_answers_in_order(store: Store) -> None:
    titles = [section.title.partition(":")[0] for section in make_trace(store, ANNE)]
    assert titles == ["1 preprocessing", "2 extraction", "3 matching", "4 postprocessing", "5 export", "ledger"]


def test_values_stand_beside_the_words_that_state_them(store: Store) -> None:
    text = as_text(make_trace(store, ANNE))
    assert "exam.psa_ng_ml = 7.4  «PSA 7.4 ng/mL»  (present, rules, lesion_score, confidence 0.90)" in text
    assert "    pirads = 4  «PI-RADS 4»" in text
    assert "R1/0 max_diameter_mm «14 mm»" in text


def test_links_votes_box_and_files_are_shown(store: Store) -> None:
    text = as_text(make_trace(store, ANNE))
    assert "report-study: R1 -> 1.2.1, score 1.00: same accession" in text
    assert "finding-target: R1/0 -> T1, score 0.71, to review: side and size agree" in text
    assert "class: biopsy target says 2 (0.90): graded target" in text
    assert "class: report abstains (0.00): states no grade" in text
    assert "box: LPS (10.0, -20.2, 30.0) mm, 13.3 x 11.9 x 11.9 mm (i, j, k), voxels (4, 5, 6) .. (10, 12, 14), uncertainty 3 mm" in text
    assert "conflict: side: report left, coordinate right" in text
    assert "case 1.2.1 -> Pabc_Sdef, patient -> Pabc, dates -40 days, complete" in text
    assert "cases/Pabc_Sdef/t2w.nii.gz" in text
    assert "malformed_row" in text


@pytest.mark.parametrize(
    "identifier", [ANNE, "1.2.1", "R1", "R1/0", "ACC-5", "T1", "1.2.1/L1", "Pabc_Sdef", "Pabc", "Pabc_Sdef_1"],
    ids=["patient", "case", "report", "finding", "accession", "target", "label", "research case", "research patient", "research label"],
)  # fmt: skip
def test_any_identifier_finds_the_label(store: Store, identifier: str) -> None:
    text = as_text(make_trace(store, identifier))
    assert "label 1.2.1/L1: cancer, ISUP 2, PI-RADS 4, tier biopsy_coordinate" in text
    assert "report R1" in text
    assert BERT not in text


def test_a_case_that_was_excluded_says_where_and_why(store: Store) -> None:
    assert "case 1.2.9: excluded at postprocessing: no_t2w" in as_text(make_trace(store, "1.2.9"))


def test_a_negative_case_says_why_it_is_one(store: Store) -> None:
    assert "case 1.2.2: no label: no_lesion_and_followed" in as_text(make_trace(store, "1.2.2"))


def test_a_report_that_could_not_be_read_says_so(store: Store) -> None:
    assert "report R2: not read by rules: too long" in as_text(make_trace(store, "R2"))


def test_an_item_that_was_dropped_before_any_record_is_found_in_the_ledger(store: Store) -> None:
    (section,) = make_trace(store, "notes.txt")
    assert section.lines == ("preprocessing: file notes.txt dropped: not_dicom",)


@pytest.mark.parametrize("identifier", ["no-such-id", "rules", "1.2", "PI-RADS 4", ""])
def test_what_names_nothing_is_an_error_with_a_way_on(store: Store, identifier: str) -> None:
    with pytest.raises(InputError, match=r"no patient, case, report.*mapping\.csv"):
        make_trace(store, identifier)


def test_report_text_is_not_read_as_mark_up(store: Store) -> None:
    """`[mid]` is a word of the report; rich would take it for a style."""
    console = Console(width=200)
    with console.capture() as capture:
        console.print(as_renderable(make_trace(store, ANNE)))
    assert "«PSA 7.4 ng/mL»" in capture.get()


def test_an_unfinished_run_can_be_traced(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    for stage in ("postprocessing", "export"):
        for path in (store.folder / stage).iterdir():
            path.unlink()
    sections = make_trace(store, ANNE)
    assert sections[2].lines[0] == "case 1.2.1: study 1.2.1"
    assert sections[3].lines == ("nothing",)


def test_a_report_that_preprocessing_dropped_still_shows(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    for stage in ("preprocessing", "extraction", "matching", "postprocessing", "export"):
        for path in (store.folder / stage).iterdir():
            path.unlink()
    assert "read but not kept: Report R1" in as_text(make_trace(store, "R1"))
