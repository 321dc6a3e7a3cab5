"""PROSTATEx findings: LPS points, checked against the corner-origin indices of the images table."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weakbox.records.biopsy import BiopsyTarget, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.sources.prostatex import SOURCE, index_agrees

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLES = SHARED / "prostate_tables" / "prostatex"
DICOM = SHARED / "prostate_dicom" / "ProstateX" / "ProstateX-0000" / "07-07-2011" / "4.000000-t2tsetra-00702"
needs_shared = pytest.mark.skipif(not TABLES.is_dir(), reason="the sample data beside the checkout are absent")

TURNED = np.array([[0.5, 0.02, 0.1, -57.0], [-0.01, 0.48, 0.95, -83.0], [-0.02, -0.16, 2.84, -28.0], [0, 0, 0, 1]])


def run(path: Path, **options: Any) -> tuple[list[BiopsyTarget], list[LedgerEntry]]:
    items = list(SOURCE.read(SOURCE.options(source="prostatex", path=path, **options)))
    return [item for item in items if isinstance(item, BiopsyTarget)], [item for item in items if isinstance(item, LedgerEntry)]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def finding(patient: str = "X-1", number: str = "1", pos: str = "1.5 2 -3", zone: str = "PZ", significant: str = "TRUE") -> dict[str, str]:
    return {"ProxID": patient, "fid": number, "pos": pos, "zone": zone, "ClinSig": significant}


def image(index: tuple[int, int, int], place: np.ndarray, description: str = "t2_tse_tra", number: int = 4) -> dict[str, str]:
    return {
        "ProxID": "X-1",
        "Name": description + "0",
        "fid": "1",
        "pos": " ".join(f"{value:.6f}" for value in place),
        "WorldMatrix": ",".join(str(value) for value in TURNED.ravel()),
        "ijk": " ".join(map(str, index)),
        "DCMSerDescr": description,
        "DCMSerNum": str(number),
    }


def test_findings_become_targets_at_their_lps_points(tmp_path: Path) -> None:
    rows = [finding(), finding(number="2", zone="AS", significant="FALSE", pos="-9 8 7"), finding()]
    targets, ledger = run(write(tmp_path / "f.csv", rows))
    assert [(target.label, target.position, target.location, target.is_clinically_significant) for target in targets] == [
        ("1", (1.5, 2.0, -3.0), "peripheral zone", True),
        ("2", (-9.0, 8.0, 7.0), "anterior fibromuscular stroma", False),
    ]
    assert {target.guidance for target in targets} == {Guidance.IN_BORE}
    assert [(entry.reason, entry.outcome.value) for entry in ledger] == [("duplicate", "dropped")]


def test_one_number_at_two_places_is_two_flagged_targets(tmp_path: Path) -> None:
    targets, ledger = run(write(tmp_path / "f.csv", [finding(), finding(pos="1.5 2 -30")]))
    assert len({target.target_id for target in targets}) == 2
    assert [entry.reason for entry in ledger] == ["finding_number_used_twice"] * 2


def test_an_index_more_than_half_a_voxel_diagonal_off_is_flagged(tmp_path: Path) -> None:
    index = (100, 120, 9)
    place = TURNED[:3, :3] @ np.add(index, [0.49, -0.49, 0.49]) + TURNED[:3, 3]
    rows = [finding(pos=" ".join(f"{value:.6f}" for value in place))]
    images = [image(index, place), image((100, 120, 10), place, "ep2d_ADC", 7)]
    path = write(tmp_path / "f.csv", rows)
    (target,), ledger = run(path, images=write(tmp_path / "right.csv", images[:1]))
    assert (target.problems, ledger, target.series_number) == ((), [], 4)
    (target,), ledger = run(path, images=write(tmp_path / "wrong.csv", images))
    assert target.problems == ("index_off_position",)
    assert [(entry.kind, entry.item_id) for entry in ledger] == [("row", "wrong.csv:3"), ("target", target.target_id)]


def test_the_axial_t2w_series_names_the_frame(tmp_path: Path) -> None:
    place = np.array([1.5, 2.0, -3.0])
    inverse = np.rint(np.linalg.solve(TURNED[:3, :3], place - TURNED[:3, 3])).astype(int)
    index = (int(inverse[0]), int(inverse[1]), int(inverse[2]))
    images = [image(index, place, "t2_tse_sag", 3), image(index, place, "t2_tse_tra", 6), image(index, place, "ADC", 2)]
    (target,), _ = run(write(tmp_path / "f.csv", [finding()]), images=write(tmp_path / "i.csv", images))
    assert target.series_number == 6


def test_prostatex2_grades_join_by_patient_number_and_place(tmp_path: Path) -> None:
    grades = [{"ProxID": "X-1", "fid": "1", "pos": "1.5 2 -3", "ggg": "3"}, {"ProxID": "X-9", "fid": "1", "pos": "0 0 0", "ggg": "2"}]
    path = write(tmp_path / "f.csv", [finding(), finding(number="2", significant="FALSE")])
    targets, ledger = run(path, grades=write(tmp_path / "g.csv", grades))
    assert [target.isup_grade for target in targets] == [3, None]
    assert [(entry.item_id, entry.reason) for entry in ledger] == [("g.csv:3", "no_such_finding")]


def test_significance_against_grade_and_unreadable_rows_are_said(tmp_path: Path) -> None:
    grades = [{"ProxID": "X-1", "fid": "1", "pos": "1.5 2 -3", "ggg": "1"}]
    rows = [finding(), finding(number="2", pos="1 2"), finding(number="3", zone="XY", significant="perhaps")]
    targets, ledger = run(write(tmp_path / "f.csv", rows), grades=write(tmp_path / "g.csv", grades))
    assert [target.problems for target in targets] == [("significance_against_grade",), ("unknown_zone", "unreadable_boolean")]
    assert [(entry.item_id, entry.reason) for entry in ledger if entry.outcome.value == "dropped"] == [("f.csv:3", "unreadable_coordinate")]


@pytest.mark.shared
@needs_shared
def test_all_330_real_findings_become_targets_and_no_index_is_off() -> None:
    targets, ledger = run(
        TABLES / "ProstateX-Findings-Train.csv",
        images=TABLES / "ProstateX-Images-Train.csv",
        grades=TABLES / "PROSTATEx-2_joined_2-Final-with-Ktrans.csv",
    )
    assert len(targets) == len({target.target_id for target in targets}) == 330
    assert len({target.patient_id for target in targets}) == 204
    assert Counter(target.is_clinically_significant for target in targets) == {False: 254, True: 76}
    assert Counter(target.isup_grade for target in targets) == {None: 218, 1: 36, 2: 41, 3: 20, 4: 8, 5: 7}
    assert Counter(entry.reason for entry in ledger) == {"finding_number_used_twice": 6}
    assert all(target.series_number is not None for target in targets)


@pytest.mark.shared
@needs_shared
def test_the_world_matrix_starts_at_the_outer_corner_of_the_first_real_voxel() -> None:
    import pydicom

    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in DICOM.glob("*.dcm")]
    headers.sort(key=lambda header: float(header.ImagePositionPatient[2]))
    with (TABLES / "ProstateX-Images-Train.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["ProxID"] == "ProstateX-0000" and row["DCMSerDescr"] == "t2_tse_tra")
    matrix = np.array([float(value) for value in row["WorldMatrix"].split(",")]).reshape(4, 4)
    first = np.array([float(value) for value in headers[0].ImagePositionPatient])
    half_a_voxel = matrix[:3, :3] @ [0.5, 0.5, 0.5]
    assert matrix[:3, 3] + half_a_voxel == pytest.approx(first, abs=0.01)
    assert index_agrees((25.7457, 31.8707, -38.511), row["WorldMatrix"], row["ijk"])
    assert not index_agrees((25.7457, 31.8707, -34.0), row["WorldMatrix"], row["ijk"])
