"""What a run says at its end: figures that can be checked by eye, and no patient."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.small_store import LABEL, SECOND_LABEL, counts, ledger_row, small_store
from weakbox.audit.figures import PATHOLOGY_COLUMNS, cross_table, write_figures
from weakbox.audit.flow import read_flow
from weakbox.audit.ledger_table import COLUMNS, write_ledger
from weakbox.audit.summary import Summary, as_markdown, as_plain, as_renderable, class_in_words, conclude, summarise
from weakbox.records.label import LesionStatus
from weakbox.runtime.config import OutputSettings
from weakbox.runtime.stage import StageRun
from weakbox.runtime.store import READING, ShardResult, Store

PLACES = {"the dataset": "dataset"}


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    store = small_store(tmp_path / "store")
    return summarise(store, read_flow(store))


def test_cases_and_labels_are_counted_by_what_they_are(summary: Summary) -> None:
    assert (summary.cases, summary.cases_with_boxes, summary.cases_without_box) == (2, 1, 0)
    assert summary.cases_negative == {"no_lesion_and_followed": 1}
    assert summary.labels == {"biopsy_coordinate": {"ISUP 2": 1}, "case_level": {"untested, PI-RADS 3": 1}}
    assert summary.label_total == 2
    assert (summary.labels_to_review, summary.cases_to_review) == (1, 1)
    assert summary.conflicts == {"side": 1}
    assert (summary.files, summary.file_bytes) == ({"nifti": 1}, 1200)


def test_what_was_dropped_is_listed_with_stage_and_reason(summary: Summary) -> None:
    assert set(summary.dropped) == {
        (READING, "file", "not_dicom", 1),
        (READING, "report", "malformed_row", 1),
        ("postprocessing", "case", "no_t2w", 1),
        ("extraction", "report", "extraction_failed", 1),
        ("export", "case", "unreadable", 1),
    }
    assert summary.to_review == (("extraction", "report", "low_confidence", 1),)
    assert summary.flagged == (("preprocessing", "target", "no_frame", 1),)


def test_input_that_could_not_be_used_makes_the_run_incomplete(summary: Summary) -> None:
    assert summary.incomplete == (
        "1 report could not be used: extraction failed",
        "1 report could not be used: malformed row",
        "1 case could not be exported",
    )
    assert not summary.is_complete


def test_a_run_that_used_everything_is_complete(tmp_path: Path) -> None:
    store = Store(tmp_path, 1)
    row = ledger_row("file", "DICOMDIR", "index_file", None)
    store.write(READING, 0, "k", ShardResult(records=[], ledger=(row,), counts=counts(file=(1, 0))))
    assert summarise(store, read_flow(store)).is_complete


def test_an_unfinished_stage_and_a_flow_with_a_gap_are_incomplete(tmp_path: Path) -> None:
    store = Store(tmp_path, 3)
    store.write(READING, 1, "k", ShardResult(records=[], counts=counts(report=(2, 1))))
    incomplete = summarise(store, read_flow(store)).incomplete
    assert "reading: 2 shards not finished" in incomplete
    assert any(sentence.startswith("the flow does not add up: reading: 2 reports went in") for sentence in incomplete)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "ISUP 2"),
        ({"isup_grade": None}, "cancer, not graded"),
        ({"status": LesionStatus.BENIGN, "isup_grade": None}, "benign"),
        ({"status": LesionStatus.UNTESTED, "isup_grade": None, "pirads": 5}, "untested, PI-RADS 5"),
        ({"status": LesionStatus.UNTESTED, "isup_grade": None, "pirads": None}, "untested"),
    ],
)
def test_a_label_is_named_by_its_tissue_first(changes: dict[str, object], name: str) -> None:
    assert class_in_words(replace(LABEL, **changes)) == name


def shown(summary: Summary) -> str:
    console = Console(width=160, record=True, file=None)
    with console.capture() as capture:
        console.print(as_renderable(summary, PLACES))
    return capture.get()


def test_neither_page_nor_terminal_names_a_patient(summary: Summary) -> None:
    for text in (as_markdown(summary, PLACES), shown(summary), json.dumps(as_plain(summary))):
        assert "MRN" not in text
        assert "R1" not in text
        assert "biopsy_coordinate" in text


def run_configuration(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(output=OutputSettings(folder=folder), path=folder / "configs.yaml")


def test_concluding_writes_summary_flow_figures_and_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = small_store(tmp_path / "store")
    runs = [StageRun(stage="matching", shards_run=2, shards_current=0, seconds=1.25)]
    assert conclude(run_configuration(tmp_path), store, runs) is False
    written = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "audit").rglob("*") if path.is_file()}
    pictures = {f"audit/figures/{name}.png" for name in ("labels_by_tier", "box_sizes", "confidence", "pirads_by_isup")}
    pages = {f"audit/{name}" for name in ("drawn.json", "summary.json", "summary.md", "timings.json", "flow.md", "flow.png", "flow.svg")}
    assert written == pictures | pages
    plain = json.loads((tmp_path / "audit" / "summary.json").read_text())
    assert (plain["cases"], plain["is_complete"]) == (2, False)
    assert json.loads((tmp_path / "audit" / "timings.json").read_text())[0]["seconds"] == 1.25
    output = capsys.readouterr().out
    assert "What was made" in output
    assert "MRN" not in output


def test_two_runs_over_the_same_records_leave_the_same_audit(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        store = small_store(tmp_path / name / "store")
        conclude(run_configuration(tmp_path / name), store, [StageRun(stage="matching", shards_run=2, shards_current=0, seconds=seconds)])
    for path in sorted((tmp_path / "a" / "audit").rglob("*")):
        if path.is_file() and path.name != "timings.json":
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path.name


def test_pictures_are_drawn_again_only_where_records_changed_or_one_is_gone(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    picture = tmp_path / "audit" / "figures" / "confidence.png"

    def was_drawn() -> bool:
        before = picture.stat().st_mtime_ns if picture.exists() else None
        conclude(run_configuration(tmp_path), store, [])
        return picture.stat().st_mtime_ns != before

    assert was_drawn()
    assert not was_drawn()
    (tmp_path / "audit" / "flow.svg").unlink()
    assert was_drawn()
    row = ledger_row("file", "more.txt", "not_dicom", None)
    store.write(READING, 0, "k", ShardResult(records=[], ledger=(row,), counts=counts(file=(1, 0))))
    assert was_drawn()


def test_a_run_without_labels_draws_nothing(tmp_path: Path) -> None:
    assert write_figures(Store(tmp_path / "store", 1), tmp_path / "figures") == ()


def test_the_heat_map_counts_each_label_once() -> None:
    benign = replace(LABEL, status=LesionStatus.BENIGN, isup_grade=None, pirads=None)
    table = cross_table([LABEL, LABEL, SECOND_LABEL, benign])
    assert table.sum() == 4
    assert table[3, PATHOLOGY_COLUMNS.index("ISUP 2")] == 2
    assert table[2, PATHOLOGY_COLUMNS.index("not tested")] == 1
    assert table[5, PATHOLOGY_COLUMNS.index("benign")] == 1


def test_the_ledger_table_lists_every_row_and_disarms_formulas(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 1)
    rows = (ledger_row("report", "=HYPERLINK(1)", "malformed_row", "A"), ledger_row("report", "r,2", "duplicate", None))
    store.write(READING, 0, "k", ShardResult(records=[], ledger=rows, counts=counts(report=(2, 0))))
    assert write_ledger(store, tmp_path / "ledger.csv") == 2
    with (tmp_path / "ledger.csv").open(newline="") as file:
        header, first, second = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert first == [READING, "dropped", "report", "malformed_row", "'=HYPERLINK(1)", "A", ""]
    assert second[4] == "r,2"
