"""Prostate-MRI-US-Biopsy: targets and cores, with the duplicates and placeholders of the real sheets."""

from __future__ import annotations

import csv
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from weakbox.records.biopsy import BiopsyCore, BiopsyTarget
from weakbox.records.case import LedgerEntry
from weakbox.sources import ucla_cores, ucla_targets
from weakbox.sources.source import Source

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "prostate_tables" / "ucla_mri_us_biopsy"
TARGET_SHEET = SHARED / "Target-Data_2019-12-05-2.xlsx"
CORE_SHEET = SHARED / "biopsy_rows_recovered.csv"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the sample data beside the checkout are absent")

TARGET_HEADER = (
    "UCLA Score (Similar to PIRADS v2)", "ROI Volume (cc)", "Target No.", "seriesInstanceUID_US", "seriesInstanceUID_MR", "Patient ID"
)  # fmt: skip


def run(source: Source, path: Path) -> tuple[list[Any], list[LedgerEntry]]:
    items = list(source.read(source.options(source="x", path=path)))
    return [item for item in items if not isinstance(item, LedgerEntry)], [item for item in items if isinstance(item, LedgerEntry)]


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_rows_of_several_ultrasound_series_are_one_target(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        (3, 0.8, 1, "us1", "mr1", "P1"),
        (3, 0.8, 1, "us2", "mr1", "P1"),
        (1, 0.3, 2, "us1", "mr1", "P1"),
        (4, 0.5, 2, "us2", "mr1", "P1"),
        (0, "", 1, "us3", "mr2", "P2"),
    ]
    targets, ledger = run(ucla_targets.SOURCE, write_csv(tmp_path / "t.csv", TARGET_HEADER, rows))
    assert [(target.target_id, target.likert, target.volume_ml, target.position) for target in targets] == [
        ("mr1/1", 3, 0.8, None),
        ("mr1/2", 4, 0.5, None),
        ("mr2/1", None, None, None),
    ]
    assert targets[1].problems == ("conflicting_score", "conflicting_volume")
    assert Counter((entry.outcome.value, entry.reason) for entry in ledger) == {
        ("dropped", "duplicate"): 2,
        ("flagged", "conflicting_score"): 1,
        ("flagged", "conflicting_volume"): 1,
        ("flagged", "no_volume"): 1,
    }


def test_the_order_of_the_target_rows_does_not_matter(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        (number % 6, number / 7, number % 3, f"us{number}", f"mr{number % 4}", f"P{number % 4}") for number in range(40)
    ]
    reference = run(ucla_targets.SOURCE, write_csv(tmp_path / "a.csv", TARGET_HEADER, rows))
    random.Random(3).shuffle(rows)
    (tmp_path / "b").mkdir()
    assert run(ucla_targets.SOURCE, write_csv(tmp_path / "b" / "a.csv", TARGET_HEADER, rows)) == reference


CORE_HEADER = (
    "PSA (ng/mL)", "Primary Gleason", "Secondary Gleason", "Cancer Length (mm)", "% Cancer in Core",
    *(f"Bx {end} {axis} (MRI Coord)" for end in ("Tip", "Base") for axis in "XYZ"),
    "Prostate Volume (CC)", "Core Label", "Series Instance UID (US)", "Series Instance UID (MRI)", "Patient Number",
)  # fmt: skip


def core(
    tip: Any = (1, 2, 3), base: Any = (1, 2, 21.5), grade: Any = (3, 4), length: Any = 4, series: str = "mr1", us: str = "us1"
) -> tuple[Any, ...]:
    return (5.5, *grade, length, 20, *tip, *base, 40, "LEFT APEX", us, series, "P1")


def test_a_core_keeps_its_track_and_grade(tmp_path: Path) -> None:
    (item,), ledger = run(ucla_cores.SOURCE, write_csv(tmp_path / "c.csv", CORE_HEADER, [core()]))
    assert (item.tip, item.base, item.series_uid) == ((1.0, 2.0, 3.0), (1.0, 2.0, 21.5), "mr1")
    assert (item.gleason_primary, item.gleason_secondary, item.isup_grade, item.is_targeted) == (3, 4, 2, False)
    assert (item.cancer_length_mm, item.percent_cancer, item.psa_ng_ml, item.prostate_volume_ml) == (4.0, 20.0, 5.5, 40.0)
    assert ledger == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tip": (-1000, -1000, 1000), "base": (-1000, -1000, 1000)}, "placeholder_coordinates"),
        ({"tip": (0, 0, 0), "base": (0, 0, 0)}, "zero_coordinates"),
        ({"tip": (0, 0, 0)}, "zero_coordinates"),
        ({"base": (1, 2, 3)}, "needle_too_short"),
        ({"base": (1, 2, 3.05)}, "needle_too_short"),
        ({"base": (1, 2, 90)}, "needle_too_long"),
        ({"tip": ("", "", ""), "base": ("NaN", "NaN", "NaN")}, "no_coordinates"),
        ({"tip": (1, "", 3)}, "unreadable_coordinate"),
        ({"series": ""}, "no_mr_series"),
    ],
)
def test_a_core_without_a_usable_track_keeps_its_pathology(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    (item,), ledger = run(ucla_cores.SOURCE, write_csv(tmp_path / "c.csv", CORE_HEADER, [core(**change)]))
    assert (item.tip, item.base, item.problems, item.isup_grade) == (None, None, (problem,), 2)
    assert [(entry.item_id, entry.reason) for entry in ledger] == [(item.core_id, problem)]


def test_no_gleason_score_is_benign_unless_cancer_is_measured(tmp_path: Path) -> None:
    rows = [core(grade=("", ""), length=""), core(grade=("", ""), length=3), core(grade=(3, ""))]
    rows[0] = (*rows[0][:4], "", *rows[0][5:])
    items, ledger = run(ucla_cores.SOURCE, write_csv(tmp_path / "c.csv", CORE_HEADER, rows))
    assert [item.isup_grade for item in items] == [0, None, None]
    assert [entry.reason for entry in ledger] == ["cancer_without_gleason", "incomplete_gleason"]


def test_identical_core_rows_are_one_core(tmp_path: Path) -> None:
    items, ledger = run(ucla_cores.SOURCE, write_csv(tmp_path / "c.csv", CORE_HEADER, [core(), core(us="us2"), core()]))
    assert len({item.core_id for item in items}) == 2
    assert [(entry.reason, entry.outcome.value) for entry in ledger] == [("duplicate", "dropped")]


@pytest.mark.shared
@needs_shared
def test_all_distinct_targets_of_the_real_sheet_become_records() -> None:
    targets, ledger = run(ucla_targets.SOURCE, TARGET_SHEET)
    counts = Counter((entry.outcome.value, entry.reason) for entry in ledger)
    assert len(targets) == len({target.target_id for target in targets}) == 1313
    assert counts["dropped", "duplicate"] == 1617 - 1313
    assert counts["flagged", "conflicting_volume"] == 3
    assert counts["flagged", "no_volume"] == 1
    assert len({target.patient_id for target in targets}) == 840
    assert len({target.series_uid for target in targets}) == 1015
    volumes = sorted(target.volume_ml for target in targets if target.volume_ml is not None)
    assert volumes[len(volumes) // 2] == pytest.approx(0.31, abs=0.01)
    assert all(isinstance(target, BiopsyTarget) and target.position is None for target in targets)


@pytest.mark.shared
@needs_shared
def test_all_cores_of_the_real_sheet_become_records_and_the_usable_ones_have_tracks() -> None:
    cores, ledger = run(ucla_cores.SOURCE, CORE_SHEET)
    with CORE_SHEET.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    axes = [f"Bx {end} {axis} (MRI Coord)" for end in ("Tip", "Base") for axis in "XYZ"]
    placeholders = sum(any(abs(float(row[axis])) == 1000 for axis in axes) for row in rows)
    counts = Counter((entry.outcome.value, entry.reason) for entry in ledger)
    assert len(cores) == len({item.core_id for item in cores}) == len(rows) == 4345
    assert counts["flagged", "placeholder_coordinates"] == placeholders == 353
    assert sum(item.tip is not None for item in cores) == 4345 - 353
    assert len({item.patient_id for item in cores}) == 197
    assert all(isinstance(item, BiopsyCore) and item.series_uid for item in cores if item.tip is not None)
    assert all(0.1 <= math.dist(item.tip, item.base) <= 60 for item in cores if item.tip is not None)
    assert Counter(item.isup_grade for item in cores) == {0: 3137, 1: 625, 2: 334, 3: 90, 4: 96, 5: 59, None: 4}
