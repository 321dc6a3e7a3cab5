"""The truth of a simulated cohort, and which true lesion a record of a run is.

Records are told by their words, not by their place in a list: a finding that an extractor missed does not shift the
others. A target is told by its row in the biopsy sheet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakbox.records.errors import InputError
from weakbox.records.grid import Point

TextRange = tuple[int, int]
_ITEM_PATH = re.compile(r"(?:lesions|specimens)\[(\d+)\]")
_FILES = ("lesions.jsonl", "cases.jsonl", "reports.jsonl", "report_items.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueLesion:
    """One lesion at one study. ``tissue`` says what sampled it after this study: ``targeted``, ``systematic`` or ``none``."""

    key: tuple[str, str]
    """Study Instance UID and lesion id."""
    patient_id: str
    is_visible: bool
    isup_grade: int
    side: str
    centre: Point
    corners: tuple[Point, ...]
    tissue: str
    has_finding: bool
    has_target: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueItem:
    """A finding or specimen of a report: where its words stand, and the lesions that it is about."""

    index: int
    ranges: tuple[TextRange, ...]
    lesions: frozenset[tuple[str, str]]
    is_aimed: bool
    """Whether it was made to describe or sample the lesion: every finding, and targeted specimens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTruth:
    """Everything that a run is compared with."""

    lesions: Mapping[tuple[str, str], TrueLesion]
    items: Mapping[str, tuple[TrueItem, ...]]
    """By report."""
    targets: Mapping[int, tuple[str, str]]
    """Row of the biopsy sheet -> lesion."""
    cases: Mapping[str, Mapping[str, Any]]
    """By Study Instance UID, diagnostic studies only."""

    def item(self, report_id: str, index: int, ranges: Iterable[TextRange]) -> TrueItem | None:
        """The true item that shares most words with one read from the report; that of the same index where no words are known."""
        candidates = self.items.get(report_id, ())
        ranges = tuple(ranges)
        if not ranges:
            return next((item for item in candidates if item.index == index), None)
        shared = [(_shared_characters(ranges, item.ranges), item) for item in candidates]
        best = max((score for score, _ in shared), default=0)
        return next((item for score, item in shared if score == best), None) if best else None


def _shared_characters(some: Iterable[TextRange], others: Iterable[TextRange]) -> int:
    first = {position for start, end in some for position in range(start, end)}
    return len(first & {position for start, end in others for position in range(start, end)})


def read_truth(folder: Path) -> CohortTruth:
    """The ``truth`` folder of a simulated cohort.

    Raises:
        InputError: the folder or one of its files is missing.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            msg = f"{folder / name}: not found; give the `truth` folder that `simulate` writes into its cohort"
            raise InputError(msg)
    lesions = list(_read(folder / "lesions.jsonl"))
    return CohortTruth(
        lesions={lesion.key: lesion for lesion in map(_true_lesion, lesions)},
        items=_items(folder, lesions),
        targets={target["row"]: _key(lesion) for lesion in lesions for target in lesion["targets"]},
        cases={case["study_uid"]: case for case in _read(folder / "cases.jsonl") if case["kind"] == "diagnostic"},
    )


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _key(lesion: Mapping[str, Any]) -> tuple[str, str]:
    return lesion["study_uid"], lesion["lesion_id"]


def _true_lesion(row: Mapping[str, Any]) -> TrueLesion:
    aimed = {specimen["is_targeted"] for specimen in row["specimens"]}
    return TrueLesion(
        key=_key(row),
        patient_id=row["patient_id"],
        is_visible=row["is_visible"],
        isup_grade=row["isup_grade"],
        side=row["side"],
        centre=tuple(row["centre_lps"]),
        corners=tuple(tuple(corner) for corner in row["box_corners_lps"]),
        tissue="targeted" if True in aimed else ("systematic" if aimed else "none"),
        has_finding=bool(row["findings"]),
        has_target=bool(row["targets"]),
    )


def _items(folder: Path, lesions: Iterable[Mapping[str, Any]]) -> dict[str, tuple[TrueItem, ...]]:
    about: dict[tuple[str, int], set[tuple[str, str]]] = {}
    aimed: set[tuple[str, int]] = set()
    for lesion in lesions:
        for entry in (*lesion["findings"], *lesion["specimens"]):
            place = (entry["report_id"], entry["index"])
            about.setdefault(place, set()).add(_key(lesion))
            if entry.get("is_targeted", True):
                aimed.add(place)
    ranges = {gold["report_id"]: _ranges(gold["evidence"]) for gold in _read(folder / "reports.jsonl")}
    return {
        row["report_id"]: tuple(
            TrueItem(
                index=index,
                ranges=tuple(ranges[row["report_id"]].get(index, ())),
                lesions=frozenset(about.get((row["report_id"], index), ())),
                is_aimed=(row["report_id"], index) in aimed,
            )
            for index in range(len(row["lesion_ids"]))
        )
        for row in _read(folder / "report_items.jsonl")
    }


def _ranges(evidence: Iterable[Mapping[str, Any]]) -> dict[int, list[TextRange]]:
    found: dict[int, list[TextRange]] = {}
    for entry in evidence:
        match = _ITEM_PATH.match(entry["path"])
        if match:
            found.setdefault(int(match[1]), []).append((entry["start"], entry["end"]))
    return found
