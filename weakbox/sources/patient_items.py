"""Targets, cores and segmentations of one patient: copies dropped, series found, voxel indices turned into LPS mm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, CoordinateSystem, Segmentation
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import ImagingStudy, Series
from weakbox.sources.remarks import dropped, flagged

ItemType = TypeVar("ItemType", BiopsyTarget, BiopsyCore, Segmentation)
Ledger = list[LedgerEntry]

ID_FIELDS: Mapping[str, str] = {"target": "target_id", "core": "core_id", "segmentation": "segmentation_id"}


class SeriesIndex:
    """The series of one patient by UID and by number."""

    def __init__(self, studies: Iterable[ImagingStudy]) -> None:
        self.by_uid: dict[str, list[Series]] = defaultdict(list)
        self.by_number: dict[int, set[str]] = defaultdict(set)
        for study in studies:
            for series in study.series:
                self.by_uid[series.series_uid].append(series)
                if series.series_number is not None:
                    self.by_number[series.series_number].add(series.series_uid)

    def find(self, series_uid: str | None) -> Series | None:
        """A series (or its first part), one with a grid first; None where the patient has none of that UID."""
        parts = self.by_uid.get(series_uid or "", [])
        return min(parts, key=lambda series: (series.grid is None, series.key), default=None)


def settle_items(items: Sequence[ItemType], kind: str) -> tuple[list[ItemType], Ledger]:
    """Identical items once; different items under one id each under its own, flagged."""
    name = ID_FIELDS[kind]
    groups: dict[str, dict[str, ItemType]] = defaultdict(dict)
    ledger: Ledger = []
    for item in sorted(items, key=_row_order):
        item_id = getattr(item, name)
        content = _content(item)
        if content in groups[item_id]:
            ledger.append(dropped(kind, item_id, "duplicate", "the same values from another row or file", item.patient_id))
        else:
            groups[item_id][content] = item
    kept: list[ItemType] = []
    for item_id in sorted(groups):
        versions = [groups[item_id][content] for content in sorted(groups[item_id])]
        kept.append(versions[0])
        for number, version in enumerate(versions[1:], start=2):
            changes: dict[str, Any] = {name: f"{item_id}~{number}"}
            kept.append(replace(version, **changes))
        if len(versions) > 1:
            ledger.append(
                flagged(kind, item_id, "duplicate_id_conflict", f"{len(versions)} different rows under one id", versions[0].patient_id)
            )
    return kept, ledger


def _row_order(item: Any) -> tuple[str, int, str]:
    return getattr(item, "source_file", ""), getattr(item, "source_row", None) or 0, repr(item)


def _content(item: Any) -> str:
    changes = {"source_file": "", "source_row": None} if hasattr(item, "source_file") else {}
    return repr(replace(item, **changes))


def place_items(items: Sequence[ItemType], kind: str, index: SeriesIndex) -> tuple[list[ItemType], Ledger]:
    """Fill study and Frame of Reference from the series that an item names; a frame that contradicts the series is flagged."""
    placed: list[ItemType] = []
    ledger: Ledger = []
    for item in items:
        series = index.find(item.series_uid)
        changes: dict[str, Any] = {}
        if series is not None:
            changes = {name: getattr(item, name) or getattr(series, name) for name in ("study_uid", "frame_of_reference_uid")}
            reasons = [f"{name}_conflict" for name, value in changes.items() if getattr(series, name) not in (None, value)]
            ledger += [
                flagged(kind, getattr(item, ID_FIELDS[kind]), reason, "not that of the named series", item.patient_id) for reason in reasons
            ]
        placed.append(replace(item, **changes))
    return placed, ledger


def settle_targets(targets: Sequence[BiopsyTarget], index: SeriesIndex) -> tuple[tuple[BiopsyTarget, ...], Ledger]:
    """Targets once each, with series, study and frame where they can be known, and points in LPS mm."""
    kept, ledger = settle_items(targets, "target")
    kept, remarks = _each(kept, lambda target: _by_series_number(target, index))
    ledger += remarks
    kept, remarks = place_items(kept, "target", index)
    ledger += remarks
    kept, remarks = _each(kept, lambda target: _to_lps(target, index))
    return tuple(sorted(kept, key=lambda target: target.target_id)), ledger + remarks


def _each(
    targets: Iterable[BiopsyTarget], change: Callable[[BiopsyTarget], tuple[BiopsyTarget, Ledger]]
) -> tuple[list[BiopsyTarget], Ledger]:
    changed = [change(target) for target in targets]
    return [target for target, _ in changed], [entry for _, remarks in changed for entry in remarks]


def _by_series_number(target: BiopsyTarget, index: SeriesIndex) -> tuple[BiopsyTarget, Ledger]:
    """The series that a sheet names by number, where exactly one series of the patient has it."""
    if target.series_number is None or target.series_uid is not None or not index.by_uid:
        return target, []
    found = index.by_number.get(target.series_number, set())
    if target.study_uid is not None:
        found = {uid for uid in found if any(series.study_uid == target.study_uid for series in index.by_uid[uid])}
    if len(found) == 1:
        return replace(target, series_uid=min(found)), []
    reason = "no_series_of_number" if not found else "ambiguous_series_number"
    detail = f"{len(found)} series have number {target.series_number}"
    return target, [flagged("target", target.target_id, reason, detail, target.patient_id)]


def _to_lps(target: BiopsyTarget, index: SeriesIndex) -> tuple[BiopsyTarget, Ledger]:
    """Voxel indices need the grid of their series; without it the target keeps no point."""
    if target.coordinate_system is CoordinateSystem.LPS or target.position is None:
        return target, []
    series = index.find(target.series_uid)
    if series is None or series.grid is None:
        problems = (*target.problems, "no_series_for_ijk")
        without = replace(target, position=None, coordinate_system=CoordinateSystem.LPS, problems=problems)
        detail = "voxel indices need the grid of their series; the point is not used"
        return without, [flagged("target", target.target_id, "no_series_for_ijk", detail, target.patient_id)]
    x, y, z = (float(value) for value in series.grid.to_lps(target.position))
    return replace(target, position=(x, y, z), coordinate_system=CoordinateSystem.LPS), []


def settle_cores(cores: Sequence[BiopsyCore], index: SeriesIndex) -> tuple[tuple[BiopsyCore, ...], Ledger]:
    """Cores once each, with study and frame where their series is known."""
    kept, ledger = settle_items(cores, "core")
    kept, remarks = place_items(kept, "core", index)
    return tuple(sorted(kept, key=lambda core: core.core_id)), ledger + remarks


def settle_segmentations(segmentations: Sequence[Segmentation], index: SeriesIndex) -> tuple[tuple[Segmentation, ...], Ledger]:
    """Segmentations once each, with study and frame where their series is known."""
    kept, ledger = settle_items(segmentations, "segmentation")
    kept, remarks = place_items(kept, "segmentation", index)
    return tuple(sorted(kept, key=lambda segmentation: segmentation.segmentation_id)), ledger + remarks
