"""The identity crosswalk: rows, contradictions, and records brought from one identifier space to the other."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.records.biopsy import BiopsyTarget
from weakbox.records.case import LedgerEntry
from weakbox.records.crosswalk import CrosswalkEntry
from weakbox.records.imaging import ImagingStudy
from weakbox.records.report import Report, ReportType
from weakbox.sources.crosswalk_table import SOURCE
from weakbox.sources.identities import build_identities, consistent_entries, map_identity, map_study_uid


def run(path: Path, content: str, **options: Any) -> tuple[list[CrosswalkEntry], list[LedgerEntry]]:
    path.write_text(content, encoding="utf-8")
    items = list(SOURCE.read(SOURCE.options(source="crosswalk_table", path=path, **options)))
    return [item for item in items if isinstance(item, CrosswalkEntry)], [item for item in items if isinstance(item, LedgerEntry)]


def entry(
    patient: tuple[str, str] = ("M1", "R1"), accession: tuple[str, str] = ("A1", "X1"), shift: int | None = -30, row: int = 2
) -> CrosswalkEntry:
    return CrosswalkEntry(
        original_patient_id=patient[0],
        research_patient_id=patient[1],
        original_accession=accession[0],
        research_accession=accession[1],
        original_study_uid="1." + accession[0][1:],
        research_study_uid="2." + accession[0][1:],
        date_shift_days=shift,
        source_file="c.csv",
        source_row=row,
    )


def report(patient_id: str | None = "M1", accession: str | None = "A1", day: date | None = date(2021, 3, 31)) -> Report:
    return Report(report_id="r", patient_id=patient_id, report_type=ReportType.RADIOLOGY, text="t", accession=accession, exam_date=day)


def mapped(item: Any, to: Any = "research", entries: tuple[CrosswalkEntry, ...] = (entry(),)) -> tuple[list[Any], list[str]]:
    identities, _ = build_identities(entries, to)
    items = list(map_identity(item, identities, "report", "r"))
    return [each for each in items if not isinstance(each, LedgerEntry)], [each.reason for each in items if isinstance(each, LedgerEntry)]


def test_a_crosswalk_table_gives_entries_and_shifts(tmp_path: Path) -> None:
    header = "mrn,anon_patient_id,accession,anon_accession,study_date,anon_study_date\n"
    entries, ledger = run(tmp_path / "c.csv", header + "0012,R1,A1,X1,2021-03-31,2021-03-01\n0013,R2,,,,\n0014,,A3,,,\n")
    assert [(each.original_patient_id, each.research_patient_id, each.date_shift_days) for each in entries] == [
        ("0012", "R1", -30),
        ("0013", "R2", None),
    ]
    assert entries[0].pairs == (("patient", "0012", "R1"), ("accession", "A1", "X1"))
    assert [(each.item_id, each.reason) for each in ledger] == [("c.csv:4", "incomplete_row")]


def test_a_shift_that_contradicts_the_days_drops_the_row(tmp_path: Path) -> None:
    header = "original_patient_id,research_patient_id,date_shift_days,original_date,research_date\n"
    entries, ledger = run(tmp_path / "c.csv", header + "1,R1,-30,2021-03-31,2021-03-01\n2,R2,-31,2021-03-31,2021-03-01\n")
    assert ([each.date_shift_days for each in entries], [each.reason for each in ledger]) == ([-30], ["conflicting_date_shift"])


def test_an_entry_without_a_pair_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        CrosswalkEntry(original_patient_id="M1", research_accession="X1")


@pytest.mark.parametrize("other", [entry(("M1", "R2"), ("A2", "X2"), row=3), entry(("M2", "R1"), ("A2", "X2"), row=3)])
def test_rows_that_contradict_each_other_are_all_dropped(other: CrosswalkEntry) -> None:
    third = entry(("M9", "R9"), ("A9", "X9"), row=4)
    kept, ledger = consistent_entries([third, other, entry()])
    assert kept == (third,)
    assert [(each.item_id, each.reason) for each in ledger] == [("c.csv:2", "crosswalk_conflict"), ("c.csv:3", "crosswalk_conflict")]


def test_a_report_moves_to_research_identifiers_and_days() -> None:
    (moved,), reasons = mapped(report())
    assert (moved.patient_id, moved.accession, moved.exam_date, reasons) == ("R1", "X1", date(2021, 3, 1), [])


@given(shift=st.integers(-700, 700), day=st.dates(date(1990, 1, 1), date(2030, 1, 1)))
def test_there_and_back_again_changes_nothing(shift: int, day: date) -> None:
    entries = (entry(shift=shift),)
    (there,), _ = mapped(report(day=day), "research", entries)
    (back,), _ = mapped(there, "original", entries)
    assert back == report(day=day)


def test_a_report_without_patient_is_found_by_its_accession() -> None:
    (moved,), _ = mapped(report(patient_id=None))
    assert moved.patient_id == "R1"


def test_an_unknown_patient_is_dropped_and_one_of_the_wrong_space_says_so() -> None:
    identities, _ = build_identities((entry(),), "research")
    (unknown,) = map_identity(report("M7", None), identities, "report", "r")
    (wrong,) = map_identity(report("R1", None), identities, "report", "r")
    assert (unknown.reason, unknown.detail) == ("not_in_crosswalk", "")
    assert "other space" in wrong.detail


def test_an_unknown_accession_and_a_missing_shift_are_taken_away_not_kept() -> None:
    entries = (entry(), entry(("M2", "R2"), ("A2", "X2"), shift=None))
    (moved,), reasons = mapped(report("M2", "A7"), "research", entries)
    assert (moved.accession, moved.exam_date, reasons) == (None, None, ["accession_not_in_crosswalk", "no_date_shift"])


def test_a_crosswalk_without_shifts_or_accessions_leaves_days_and_accessions() -> None:
    entries = (CrosswalkEntry(original_patient_id="M1", research_patient_id="R1"),)
    (moved,), reasons = mapped(report(), "research", entries)
    assert (moved.accession, moved.exam_date, reasons) == ("A1", date(2021, 3, 31), [])


def test_a_patient_with_two_shifts_loses_the_days_and_is_flagged() -> None:
    entries = (entry(), entry(accession=("A2", "X2"), shift=-31))
    identities, remarks = build_identities(entries, "research")
    (moved, flag) = map_identity(report(), identities, "report", "r")
    assert (moved.exam_date, flag.reason) == (None, "no_date_shift")
    assert [(each.item_id, each.reason) for each in remarks] == [("date_shift", "conflicting_date_shift")]


def test_study_uids_move_to_those_of_the_images_and_images_keep_theirs() -> None:
    identities, _ = build_identities((entry(),), "research")
    target = BiopsyTarget(target_id="t", patient_id="M1", label=None, position=None, study_uid="1.1")
    assert map_study_uid(target, identities).study_uid == "2.1"
    study = ImagingStudy(study_uid="1.1", patient_id="M1")
    assert map_study_uid(study, identities) is study
