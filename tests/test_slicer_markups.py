"""3D Slicer markups: both file types, both spellings of the coordinate system, trees of case folders."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from weakbox.records.biopsy import BiopsyTarget
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.sources.slicer_markups import SOURCE

FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


def fcsv(system: str | None, rows: list[str], columns: str = FCSV_COLUMNS) -> str:
    stated = "" if system is None else f"# CoordinateSystem = {system}\n"
    return f"# Markups fiducial file version = 4.11\n{stated}# columns = {columns}\n" + "\n".join(rows) + "\n"


def markups(system: Any, points: list[dict[str, Any]], **more: Any) -> str:
    markup = {"type": "Fiducial", "coordinateSystem": system, "coordinateUnits": "mm", "controlPoints": points, **more}
    return json.dumps(
        {"@schema": "markups-schema-v1.0.3.json#", "markups": [{name: value for name, value in markup.items() if value is not None}]}
    )


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def run(path: Path, **options: Any) -> tuple[list[BiopsyTarget], list[LedgerEntry]]:
    items = list(SOURCE.read(SOURCE.options(source="slicer_markups", path=path, **options)))
    return [item for item in items if isinstance(item, BiopsyTarget)], [item for item in items if isinstance(item, LedgerEntry)]


ROW = "vtkMRMLMarkupsFiducialNode_0,10.5,-20,3.25,0,0,0,1,1,1,0,Target-1,,"


@pytest.mark.parametrize(
    ("system", "point"),
    [("0", (-10.5, 20.0, 3.25)), ("RAS", (-10.5, 20.0, 3.25)), ("1", (10.5, -20.0, 3.25)), ("LPS", (10.5, -20.0, 3.25))],
)
def test_fcsv_points_are_brought_from_the_stated_system_to_lps(tmp_path: Path, system: str, point: tuple[float, ...]) -> None:
    write(tmp_path / "tree" / "P1" / "targets.fcsv", fcsv(system, [ROW]))
    (target,), ledger = run(tmp_path / "tree")
    assert (target.patient_id, target.label, target.position) == ("P1", "Target-1", point)
    assert ledger == []


@pytest.mark.parametrize(("system", "point"), [("RAS", (-1.0, -2.0, 3.0)), ("LPS", (1.0, 2.0, 3.0))])
@pytest.mark.parametrize("units", ["mm", ["mm", "mm", "mm"]])
def test_json_points_are_brought_from_the_stated_system_to_lps(tmp_path: Path, system: str, point: tuple[float, ...], units: Any) -> None:
    points = [{"id": "1", "label": "F-1", "position": [1, 2, 3], "positionStatus": "defined"}]
    write(tmp_path / "tree" / "P1" / "a.mrk.json", markups(system, points, coordinateUnits=units))
    (target,), _ = run(tmp_path / "tree")
    assert (target.label, target.position) == ("F-1", point)


def test_both_file_types_of_one_point_give_one_target_id(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "P1" / "a.fcsv", fcsv("RAS", ["1,-1,-2,3,F-1"], "id,x,y,z,label"))
    write(tmp_path / "tree" / "P1" / "b.mrk.json", markups("LPS", [{"label": "F-1", "position": [1, 2, 3]}]))
    targets, _ = run(tmp_path / "tree")
    assert len(targets) == 2
    assert len({target.target_id for target in targets}) == 1


def test_columns_are_read_by_name_and_not_by_place(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "P1" / "a.fcsv", fcsv("LPS", ["Apex,3,1,2"], "label,z,x,y"))
    (target,), _ = run(tmp_path / "tree")
    assert (target.label, target.position) == ("Apex", (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.fcsv", fcsv(None, [ROW]), "no_coordinate_system"),
        ("a.fcsv", fcsv("IJK", [ROW]), "unknown_coordinate_system"),
        ("a.fcsv", "# CoordinateSystem = LPS\n1,2,3\n", "no_columns"),
        ("a.mrk.json", markups(None, [{"position": [1, 2, 3]}]), "no_coordinate_system"),
        ("a.mrk.json", markups("LPS", [{"position": [1, 2, 3]}], coordinateUnits="inch"), "unknown_unit"),
        ("a.mrk.json", "{not json", "unreadable_file"),
    ],
)
def test_a_file_that_does_not_say_where_its_points_lie_is_dropped(tmp_path: Path, name: str, content: str, reason: str) -> None:
    write(tmp_path / "tree" / "P1" / name, content)
    targets, ledger = run(tmp_path / "tree")
    assert targets == []
    assert [(entry.kind, entry.reason, entry.outcome.value) for entry in ledger] == [("file", reason, "dropped")]


def test_points_that_are_not_placed_are_dropped_and_the_others_kept(tmp_path: Path) -> None:
    points = [
        {"label": "a", "position": [1, 2, 3], "positionStatus": "defined"},
        {"label": "b", "position": [1, 2, 3], "positionStatus": "undefined"},
        {"label": "c", "position": [1, 2]},
    ]
    write(tmp_path / "tree" / "P1" / "a.mrk.json", markups("LPS", points))
    write(tmp_path / "tree" / "P2" / "b.fcsv", fcsv("LPS", ["1,1,2,x,F", "2,4,5,6,G"], "id,x,y,z,label"))
    targets, ledger = run(tmp_path / "tree")
    assert [target.label for target in targets] == ["a", "G"]
    assert [entry.reason for entry in ledger] == ["position_not_defined", "unreadable_coordinate", "unreadable_coordinate"]


def test_a_line_or_a_plane_is_no_target(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "P1" / "a.mrk.json", markups("LPS", [{"position": [1, 2, 3]}], type="Line"))
    targets, ledger = run(tmp_path / "tree")
    assert (targets, [entry.reason for entry in ledger]) == ([], ["not_a_point_list"])


def test_case_folders_name_the_day_and_a_table_names_the_patient(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write(tree / "Case007-20190304" / "preop" / "targets.fcsv", fcsv("0", [ROW]))
    write(tree / "Case007-20190304" / "intraop" / "targets.fcsv", fcsv("0", [ROW]))
    write(tree / "Case008-20190305" / "preop" / "targets.fcsv", fcsv("0", [ROW]))
    write(tree / "other" / "preop.fcsv", fcsv("0", [ROW]))
    table = write(tmp_path / "cases.csv", "case,mrn\n7,0012\n")
    options = {
        "name_pattern": r"Case(?P<case>\d+)-(?P<procedure_date>\d{8})/.*",
        "keep_paths": "preop",
        "case_table": table,
    }
    (target,), ledger = run(tree, **options)
    assert (target.patient_id, target.procedure_date) == ("0012", date(2019, 3, 4))
    assert [entry.reason for entry in ledger] == ["path_not_kept", "no_patient", "name_not_matched"]


def test_a_case_that_two_rows_give_to_different_patients_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "Case7" / "a.fcsv", fcsv("0", [ROW]))
    table = write(tmp_path / "cases.csv", "case,mrn\n7,1\n07,2\n")
    with pytest.raises(InputError, match="row 3 states another patient"):
        run(tmp_path / "tree", name_pattern=r"Case(?P<case>\d+)/.*", case_table=table)


def test_a_folder_without_markups_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "a.txt", "x")
    with pytest.raises(InputError, match=r"no `\.fcsv` or `\.mrk\.json` file"):
        run(tmp_path / "tree")
