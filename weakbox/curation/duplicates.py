"""The same image found twice, within a data set or across: one copy stays, the others name it, and nothing they say is lost silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbox.curation.columns import NO_PART, NO_SERIES, PARTS, TEST, RowColumns
from weakbox.curation.keys import Integers, Links, Runs, components
from weakbox.curation.near_duplicates import NearDuplicates, find_near_duplicates
from weakbox.curation.settings import DuplicateSettings, Sameness
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.record import record

STAGE = "curation"
CLASS_FIELDS = ("label", "diagnosis", "birads")
DROPPED, GROUPED = "dropped", "grouped"


@record
class DuplicatePair:
    """Two images that are one, or nearly so: a row of ``duplicates.csv``."""

    kept: str
    """``image_id``; of two images that both stay, the smaller one."""
    duplicate: str
    outcome: str
    """``dropped``, or ``grouped``: both stay, in one part."""
    reason: str
    """Names of ``Sameness``, joined by ``;``."""
    distance: int | None = None
    """Bits in which the perceptual hashes differ."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Duplicates:
    """What was found, by row. ``kept_for`` is the row that stays instead, -1 for rows that stay themselves."""

    kept_for: Integers
    reasons: Integers
    """Bit ``i`` is set where the row is the same as another one by ``list(Sameness)[i]``."""
    links: list[Links]
    """Everything that must stay in one part."""
    near: NearDuplicates

    @property
    def stays(self) -> NDArray[np.bool_]:
        """Rows that stay."""
        return self.kept_for == NO_PART


def find_duplicates(columns: RowColumns, listed: Iterable[tuple[str, str]], settings: DuplicateSettings) -> Duplicates:
    """Every row that is a copy, and the copy that stays.

    ``listed`` are pairs that a set ships, by ``image_id`` or identifier; pairs of which an image is absent say nothing.
    """
    links = {kind: runs.links(_images_only(columns, runs) if kind is Sameness.IDENTIFIER else None) for kind, runs in columns.same.items()}
    links[Sameness.LISTED] = _listed_links(columns, listed)
    kept_for = np.full(columns.count, NO_PART, np.int64)
    _drop_copies(columns, [links[kind] for kind in settings.drop if kind in links], settings, kept_for)
    near = _near(columns, kept_for, settings)
    links[Sameness.NEAR] = near.first, near.second
    if Sameness.NEAR in settings.drop:
        kept_for[:] = NO_PART
        _drop_copies(columns, [links[kind] for kind in settings.drop], settings, kept_for)
    whole_names = columns.same[Sameness.IDENTIFIER].links()
    return Duplicates(kept_for=kept_for, reasons=_reasons(columns.count, links), links=[*links.values(), whole_names], near=near)


def _images_only(columns: RowColumns, runs: Runs) -> NDArray[np.bool_]:
    """Of each shared identifier, whether it names an image. One that several images of a case carry names their study:
    which of them is which image of another set it does not say, so it only keeps them in one part."""
    names_image = np.ones(runs.count, bool)
    cases = columns.cases[runs.rows]
    order = np.lexsort((cases, runs.run))
    run, cases = runs.run[order], cases[order]
    names_image[run[1:][(run[1:] == run[:-1]) & (cases[1:] == cases[:-1])]] = False
    return names_image


def _listed_links(columns: RowColumns, listed: Iterable[tuple[str, str]]) -> Links:
    # Further rows of one name hang on its first one by their common identifier.
    firsts = {name: rows[0] for name, rows in columns.listed.items()}
    pairs = sorted({(firsts[one], firsts[other]) for one, other in listed if one in firsts and other in firsts})
    return np.array([one for one, _ in pairs], np.int64), np.array([other for _, other in pairs], np.int64)


def _drop_copies(columns: RowColumns, links: list[Links], settings: DuplicateSettings, kept_for: Integers) -> None:
    """Mark all rows of a connected set but the preferred one. Crops of the image that stays are no copies of it."""
    component = components(columns.count, links)
    first_choice = np.lexsort(_preference(columns, settings))
    kept = np.full(columns.count, -1, np.int64)
    kept[component[first_choice[::-1]]] = first_choice[::-1]
    stays_instead = kept[component]
    rows = np.arange(columns.count)
    same_image = (columns.series == columns.series[stays_instead]) & (columns.series != NO_SERIES)
    copies = (stays_instead != rows) & ~same_image
    kept_for[copies] = stays_instead[copies]


def _preference(columns: RowColumns, settings: DuplicateSettings) -> tuple[Integers, ...]:
    """Sorting keys, the last one first: preferred data set, states a class, official test, better tier, more boxes, smaller image id."""
    without_class = (columns.coded["label"].codes < 0).astype(np.int64)
    return (
        np.arange(columns.count),
        -columns.boxes,
        columns.tier_ranks(),
        (columns.official() != PARTS.index(TEST)).astype(np.int64),
        without_class,
        columns.coded["dataset"].ranks(settings.prefer),
    )


def _near(columns: RowColumns, kept_for: Integers, settings: DuplicateSettings) -> NearDuplicates:
    looks = columns.looks.take(kept_for[columns.looks.rows] == NO_PART)
    return find_near_duplicates(looks, settings.near_distance, settings.largest_near_cluster)


def _reasons(count: int, links: dict[Sameness, Links]) -> Integers:
    reasons = np.zeros(count, np.int64)
    for place, kind in enumerate(Sameness):
        for rows in links[kind]:
            reasons[rows] |= 1 << place
    return reasons


def duplicate_pairs(columns: RowColumns, found: Duplicates, settings: DuplicateSettings) -> Iterator[DuplicatePair]:
    """Rows of ``duplicates.csv``: dropped copies by ``image_id``, then near-duplicates that stay."""
    ids = columns.image_ids
    kinds = [kind if kind in settings.drop else None for kind in Sameness]
    for row in np.flatnonzero(~found.stays).tolist():
        words = [kind.value for place, kind in enumerate(kinds) if kind and found.reasons[row] >> place & 1]
        kept = ids[found.kept_for[row]]
        yield DuplicatePair(kept=kept, duplicate=ids[row], outcome=DROPPED, reason=";".join(words))
    pairs = np.sort(np.stack([found.near.first, found.near.second]), axis=0)
    order = np.lexsort((pairs[1], pairs[0]))
    for place in order[found.stays[pairs[0][order]] & found.stays[pairs[1][order]]]:
        one, other = ids[pairs[0][place]], ids[pairs[1][place]]
        bits = int(found.near.distance[place])
        yield DuplicatePair(kept=one, duplicate=other, outcome=GROUPED, reason=Sameness.NEAR.value, distance=bits)


def label_conflicts(columns: RowColumns, found: Duplicates) -> dict[int, tuple[str, ...]]:
    """What dropped copies state otherwise than the row that stays, by that row: ``label benign of isic_2019/ISIC_1``.

    What the copy states and the kept row does not counts too: it would be lost.
    """
    conflicts: dict[int, list[str]] = {}
    for row in np.flatnonzero(~found.stays).tolist():
        kept = int(found.kept_for[row])
        for name in CLASS_FIELDS:
            word = columns.coded[name].word(row)
            if word is not None and word != columns.coded[name].word(kept):
                conflicts.setdefault(kept, []).append(f"{name} {word} of {columns.image_ids[row]}")
    return {row: tuple(texts) for row, texts in sorted(conflicts.items())}


def duplicate_ledger(columns: RowColumns, found: Duplicates, conflicts: dict[int, tuple[str, ...]]) -> Iterator[LedgerEntry]:
    """One entry a dropped copy, one a kept image whose copies disagree with it, one an image whose look is too common."""
    ids = columns.image_ids
    for row in np.flatnonzero(~found.stays).tolist():
        yield remark(ids[row], Outcome.DROPPED, "duplicate", f"of {ids[found.kept_for[row]]}")
    for row, texts in conflicts.items():
        kept = ", ".join(f"{name} {columns.coded[name].word(row)}" for name in CLASS_FIELDS)
        yield remark(ids[row], Outcome.FLAGGED, "duplicate_label_conflict", f"stays with {kept}; copies: {'; '.join(texts)}")
    for row, limit in found.near.lowered():
        detail = f"near-duplicates count up to distance {limit} only" if limit >= 0 else "has no near-duplicates that count"
        yield remark(ids[row], Outcome.FLAGGED, "common_look", detail)


def remark(image_id: str, outcome: Outcome, reason: str, detail: str, kind: str = "image") -> LedgerEntry:
    """A ledger entry of this package."""
    return LedgerEntry(stage=STAGE, kind=kind, item_id=image_id, outcome=outcome, reason=reason, detail=detail)
