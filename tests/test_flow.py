"""The flow of a run adds up, says where it does not, and is drawn with the same bytes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.small_store import counts, ledger_row, small_store
from weakbox.audit.flow import Flow, FlowStep, as_markdown, as_mermaid, counted, draw_flow, read_flow, write_flow
from weakbox.runtime.store import READING, STAGES, ShardResult, Store


def step(stage: str, kind: str, entered: int | None, left: int, **dropped: int) -> FlowStep:
    return FlowStep(stage=stage, kind=kind, entered=entered, left=left, dropped=dropped)


def test_the_flow_of_a_store_sums_its_shards_and_its_ledger(tmp_path: Path) -> None:
    flow = read_flow(small_store(tmp_path))
    assert flow.stages == STAGES
    assert flow.at(READING) == (
        step(READING, "file", 1, 0, not_dicom=1),
        step(READING, "report", 3, 2, malformed_row=1),
        step(READING, "study", 3, 3),
        step(READING, "target", 1, 1),
    )
    assert flow.at("postprocessing") == (step("postprocessing", "case", 3, 2, no_t2w=1), step("postprocessing", "label", None, 2))
    assert flow.problems() == ()


def test_a_remark_is_not_a_drop(tmp_path: Path) -> None:
    assert all(not found.dropped for found in read_flow(small_store(tmp_path)).at("preprocessing"))


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ((step(READING, "report", 3, 2),), "reading: 3 reports went in, 2 came out, 0 were dropped"),
        ((step(READING, "report", 2, 2, duplicate=1),), "reading: 2 reports went in, 2 came out, 1 were dropped"),
        ((step("matching", "lesion", None, 2, too_far=1),), "matching: an unknown number of lesions went in, 2 came out, 1 were dropped"),
        (
            (step(READING, "study", 5, 5), step("preprocessing", "study", 4, 4)),
            "5 studies came out of reading, but 4 went into preprocessing",
        ),
        (
            (step("preprocessing", "report", 5, 4, old=1), step("extraction", "case", None, 1), step("matching", "report", 5, 5)),
            "4 reports came out of preprocessing, but 5 went into matching",
        ),
    ],
)
def test_what_does_not_add_up_is_said_in_a_sentence(steps: tuple[FlowStep, ...], problem: str) -> None:
    flow = Flow(steps=steps)
    assert flow.problems() == (problem,)
    assert f"- {problem}" in as_markdown(flow)


def test_a_vanished_record_shows_in_the_flow_of_the_store(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    store.write("export", 0, "key", ShardResult(records=[], counts=counts(case=(0, 0))))
    assert any("came out of postprocessing" in problem for problem in read_flow(store).problems())


@given(st.integers(0, 50), st.dictionaries(st.sampled_from(["duplicate", "no_date", "too_old"]), st.integers(1, 9)), st.integers(-2, 2))
def test_a_step_adds_up_exactly_when_in_is_out_plus_dropped(left: int, dropped: dict[str, int], excess: int) -> None:
    entered = left + sum(dropped.values()) + excess
    flow = Flow(steps=(step(READING, "report", entered, left, **dropped),))
    assert (flow.problems() == ()) is (excess == 0)


def test_the_table_holds_every_step_with_its_reasons(tmp_path: Path) -> None:
    table = as_markdown(read_flow(small_store(tmp_path)))
    assert "| reading | reports | 3 | 2 | 1 | malformed row 1 |" in table
    assert "| matching | lesions | made here | 2 | 0 |  |" in table
    assert "In = out + dropped at every stage." in table


def test_the_mermaid_text_connects_every_stage_and_shows_exclusions(tmp_path: Path) -> None:
    text = as_mermaid(read_flow(small_store(tmp_path)))
    assert text.startswith("flowchart TD\n")
    for number in range(len(STAGES)):
        assert f"main{number} --> main{number + 1}" in text
    assert 'main0 -.-> out0["<b>Not used</b><br/>1 file: not dicom<br/>1 report: malformed row"]' in text


def test_long_lists_of_reasons_are_cut_in_the_diagram_and_still_add_up() -> None:
    reasons = {f"reason_{number:02d}": 2 for number in range(12)}
    text = as_mermaid(Flow(steps=(step(READING, "report", 24, 0, **reasons),)))
    assert "8 for other reasons" in text
    assert text.count("2 reports: reason") == 8


def test_the_diagram_has_the_same_bytes_and_holds_its_figures(tmp_path: Path) -> None:
    flow = read_flow(small_store(tmp_path / "store"))
    first = write_flow(flow, tmp_path / "a")
    second = write_flow(flow, tmp_path / "b")
    assert [path.name for path in first] == ["flow.md", "flow.svg", "flow.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert ElementTree.parse(tmp_path / "a" / "flow.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "a" / "flow.png").read_bytes().startswith(b"\x89PNG")
    assert b"Matplotlib" not in (tmp_path / "a" / "flow.png").read_bytes()


def test_another_flow_gives_another_diagram(tmp_path: Path) -> None:
    for name, left in (("a", 3), ("b", 4)):
        draw_flow(Flow(steps=(step(READING, "report", left, left),)), (tmp_path / f"{name}.png",))
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_a_kind_of_which_there_is_none_is_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path, 1)
    store.write(READING, 0, "k", ShardResult(records=[], counts=counts(report=(1, 1), core=(0, 0), mask=(None, 0))))
    assert [found.kind for found in read_flow(store).steps] == ["report"]


def test_an_empty_store_has_an_empty_flow(tmp_path: Path) -> None:
    flow = read_flow(Store(tmp_path, 2))
    assert flow == Flow(steps=())
    assert "nothing" in as_mermaid(flow)


def test_the_flow_names_no_patient(tmp_path: Path) -> None:
    flow = read_flow(small_store(tmp_path))
    assert "MRN" not in as_markdown(flow) + as_mermaid(flow)


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(1, "study"), counted(2, "study"), counted(1, "series"), counted(0, "case")] == [
        "1 study",
        "2 studies",
        "1 series",
        "0 cases",
    ]


def test_ledger_rows_count_where_they_lie_and_not_by_the_stage_they_name(tmp_path: Path) -> None:
    """A source writes `preprocessing` into its rows, but they lie in the ledger of the reading."""
    store = Store(tmp_path, 1)
    row = ledger_row("report", "r.csv:2", "malformed_row", None)
    store.write(READING, 0, "k", ShardResult(records=[], ledger=(row,), counts=counts(report=(1, 0))))
    assert read_flow(store).steps == (step(READING, "report", 1, 0, malformed_row=1),)
