"""Biopsy targets from the generic table."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.records.biopsy import BiopsyTarget, CoordinateSystem, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.sources.biopsy_csv import COLUMNS, SOURCE
from weakbox.sources.field_reading import FieldError, GleasonCell, read_gleason, read_isup, read_number
from weakbox.sources.target_points import ras_to_lps

finite = st.floats(min_value=-300, max_value=300, allow_nan=False).map(lambda value: round(value, 3))


def run(path: Path, rows: list[dict[str, Any]], **options: Any) -> tuple[list[BiopsyTarget], list[LedgerEntry]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    items = list(SOURCE.read(SOURCE.options(source="biopsy_csv", path=path, **options)))
    return [item for item in items if isinstance(item, BiopsyTarget)], [item for item in items if isinstance(item, LedgerEntry)]


ROW = {"patient_id": "P1", "target": "1", "x": "10.5", "y": "-20", "z": "3", "frame": "LPS"}


def test_a_full_row_becomes_a_target(tmp_path: Path) -> None:
    row = {
        **ROW,
        "study_uid": "1.2",
        "series_uid": "1.2.3",
        "frame_uid": "1.2.9",
        "diameter_mm": "12",
        "lr": "11",
        "ap": "8",
        "cc": "10",
        "volume_ml": "0.8",
        "location": "left mid PZpl",
        "pirads": "4",
        "gleason": "4+3",
        "guidance": "UroNav",
        "procedure_date": "2021-03-04",
        "accession": "A1",
    }
    (target,), ledger = run(tmp_path / "t.csv", [row])
    assert (target.position, target.coordinate_system) == ((10.5, -20.0, 3.0), CoordinateSystem.LPS)
    assert (target.label, target.study_uid, target.series_uid, target.frame_of_reference_uid) == ("1", "1.2", "1.2.3", "1.2.9")
    assert (target.diameter_mm, target.axes_mm, target.volume_ml) == (12.0, (11.0, 8.0, 10.0), 0.8)
    assert (target.gleason_primary, target.gleason_secondary, target.isup_grade, target.pirads) == (4, 3, 3, 4)
    assert (target.guidance, target.procedure_date, target.location) == (Guidance.FUSION, date(2021, 3, 4), "left mid PZpl")
    assert ledger == []


@settings(max_examples=60, deadline=None)
@given(point=st.tuples(finite, finite, finite), unit=st.sampled_from(["mm", "cm"]))
def test_ras_and_lps_rows_of_one_place_give_one_point(
    tmp_path_factory: pytest.TempPathFactory, point: tuple[float, ...], unit: str
) -> None:
    path = tmp_path_factory.mktemp("b") / "t.csv"
    x, y, z = (value / (10 if unit == "cm" else 1) for value in point)
    rows = [
        {"patient_id": "P1", "target": "a", "x": repr(x), "y": repr(y), "z": repr(z), "frame": "LPS", "units": unit},
        {"patient_id": "P1", "target": "b", "x": repr(-x), "y": repr(-y), "z": repr(z), "frame": "RAS", "units": unit},
    ]
    targets, _ = run(path, rows)
    assert [target.position for target in targets] == [pytest.approx(point), pytest.approx(point)]


@given(point=st.tuples(finite, finite, finite))
def test_the_conversion_between_ras_and_lps_is_its_own_inverse(point: tuple[float, float, float]) -> None:
    assert ras_to_lps(ras_to_lps(point)) == point
    assert ras_to_lps(point)[2] == point[2]


def test_voxel_indices_stay_indices_and_units_apply_to_sizes_only(tmp_path: Path) -> None:
    (target,), _ = run(tmp_path / "t.csv", [{**ROW, "frame": "ijk", "units": "cm", "diameter": "1.2", "series_uid": "1.2"}])
    assert (target.coordinate_system, target.position, target.diameter_mm) == (CoordinateSystem.IJK, (10.5, -20.0, 3.0), 12.0)


def test_coordinates_without_a_frame_are_refused(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "frame"}
    with pytest.raises(InputError, match="x, y, z without a frame; add a `frame` column or the option"):
        run(tmp_path / "t.csv", [row])
    targets, _ = run(tmp_path / "t.csv", [row], frame="RAS")
    assert targets[0].position == (-10.5, 20.0, 3.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"patient_id": ""}, "no_patient"),
        ({"frame": ""}, "no_frame"),
        ({"frame": "MNI"}, "unknown_frame"),
        ({"units": "inch"}, "unknown_unit"),
        ({"y": ""}, "unreadable_coordinate"),
        ({"z": "3 mm"}, "unreadable_coordinate"),
    ],
)
def test_a_row_whose_point_is_unclear_is_dropped(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    targets, ledger = run(tmp_path / "t.csv", [{**ROW, **change}, {**ROW, "target": "2"}])
    assert [target.label for target in targets] == ["2"]
    assert [(entry.item_id, entry.reason, entry.outcome.value) for entry in ledger] == [("t.csv:2", reason, "dropped")]


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"pirads": "7"}, "out_of_range", "pirads"),
        ({"procedure_date": "3/4/2021"}, "ambiguous_date", "procedure_date"),
        ({"gleason": "3+4=8"}, "unreadable_gleason", "isup_grade"),
        ({"gleason": "3+4", "isup": "4"}, "grade_conflict", "isup_grade"),
        ({"lr": "10", "ap": "9"}, "incomplete_axes", "axes_mm"),
        ({"diameter": "0"}, "out_of_range", "diameter_mm"),
        ({"guidance": "magic"}, "unknown_guidance", "isup_grade"),
    ],
)
def test_an_unclear_value_is_flagged_and_left_out(tmp_path: Path, change: dict[str, str], reason: str, field: str) -> None:
    (target,), ledger = run(tmp_path / "t.csv", [{**ROW, **change}])
    assert [entry.reason for entry in ledger] == [reason]
    assert getattr(target, field) is None
    assert target.position == (10.5, -20.0, 3.0)


def test_a_target_without_a_point_is_kept_for_its_label_and_grade(tmp_path: Path) -> None:
    (target,), _ = run(tmp_path / "t.csv", [{"patient_id": "P1", "target": "2", "isup": "0", "location": "apex"}])
    assert (target.position, target.isup_grade, target.location) == (None, 0, "apex")


def test_grades_are_read_and_nothing_is_made_up() -> None:
    assert read_gleason("3+4=7") == GleasonCell(3, 4, 2)
    assert read_gleason("9") == GleasonCell(None, None, 5)
    assert read_gleason("7") == GleasonCell()
    assert read_gleason("Benign") == GleasonCell(isup_grade=0)
    assert [read_isup(text) for text in (None, "GG2", "isup 4", "0", "benign")] == [None, 2, 4, 0, 0]
    assert [read_number(text) for text in ("1,5", "-.5", "2e1", "nan")] == [1.5, -0.5, 20.0, None]
    with pytest.raises(FieldError, match="unreadable_isup"):
        read_isup("6")


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_the_rows_changes_no_target(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    rows = [{**ROW, "patient_id": f"P{number % 2}", "target": str(number), "x": str(number)} for number in range(6)]
    folder = tmp_path_factory.mktemp("b")
    shuffled = {target.target_id: target.position for target in run(folder / "a.csv", [rows[place] for place in order])[0]}
    assert shuffled == {target.target_id: target.position for target in run(folder / "b.csv", rows)[0]}
    assert len(shuffled) == 6


def test_every_column_is_documented() -> None:
    documentation = (Path(__file__).resolve().parents[1] / "docs" / "input_formats.md").read_text(encoding="utf-8")
    assert [name for name in COLUMNS.known() if f"`{name}`" not in documentation] == []


def test_the_documented_sample_is_read_without_remarks(tmp_path: Path) -> None:
    documentation = (Path(__file__).resolve().parents[1] / "docs" / "input_formats.md").read_text(encoding="utf-8")
    sample = next(part for part in documentation.split("```csv\n") if part.startswith("patient_id,label")).split("```")[0]
    (tmp_path / "t.csv").write_text(sample, encoding="utf-8")
    items = list(SOURCE.read(SOURCE.options(source="biopsy_csv", path=tmp_path / "t.csv")))
    assert [item.isup_grade for item in items if isinstance(item, BiopsyTarget)] == [2, 0]
    assert [item for item in items if isinstance(item, LedgerEntry)] == []
