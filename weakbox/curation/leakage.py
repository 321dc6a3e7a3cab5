"""The check at the end of every build: what must stay in one part is in one part. Reads the manifest as it was written."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern

import numpy as np

from weakbox.curation.columns import PARTS, TRAIN, group_keys
from weakbox.curation.keys import Integers, KeyColumn, names_across
from weakbox.curation.near_duplicates import LIMIT_ATTRIBUTE, LookReader, near_places
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record

SHOWN_GROUPS = 3
BEYOND = 64
"""No limit on the distance of near-duplicates: as many bits as there are."""


class LeakageError(InputError):
    """Something crosses parts of the set; the message says what, how often, and in which groups."""


@record
class LeakageReport:
    """What was checked: rows by part, and how many names of each kind were compared."""

    rows: dict[str, int]
    crossing: dict[str, int]
    """Names of each kind (``patient``, ``lesion``, ``group``, ``pixels`` ...) that lie in two parts or two folds."""

    @property
    def leaks(self) -> bool:
        """Whether anything crosses."""
        return any(self.crossing.values())


@dataclass(slots=True)
class _Manifest:
    """What the check keeps of the rows that are in a part."""

    parts: array[int]
    folds: array[int]
    limits: array[int]
    groups: list[str | None]
    keys: defaultdict[str, KeyColumn]
    looks: LookReader
    touched: int = 0
    """Images outside training with copies or a weight other than 1."""

    def add(self, row: ImageRow) -> None:
        number = len(self.parts)
        if row.split not in PARTS:
            msg = f"{row.image_id}: split is {row.split!r}, expected one of {', '.join(PARTS)} or none"
            raise InputError(msg)
        self.parts.append(PARTS.index(row.split))
        self.folds.append(-1 if row.fold is None else row.fold)
        self.groups.append(None if row.group is None else intern(row.group))
        limit = row.attributes.get(LIMIT_ATTRIBUTE)
        self.limits.append(limit if isinstance(limit, int) else BEYOND)
        self.touched += row.split != TRAIN and (row.copies, row.weight) != (1, 1.0)
        self.looks.add(number, row)
        for kind, name in _names(row):
            self.keys[kind].add(number, name)


def _names(row: ImageRow) -> Iterable[tuple[str, str]]:
    yield from ((key.partition(":")[0], key) for key in group_keys(row))
    if row.group is not None:
        yield "group", row.group
    hashes = (("pixels", row.pixel_sha256), ("source file", row.source_sha256), ("exported file", row.sha256))
    yield from ((kind, sha256) for kind, sha256 in hashes if sha256)
    yield from (("identifier", identifier) for identifier in row.identifiers)


def leakage_report(rows: Iterable[ImageRow], near_distance: int) -> LeakageReport:
    """Count what crosses; rows without a part are passed over.

    Raises:
        InputError: a row names an unknown part.
    """
    return _measure(_read(rows), near_distance)[0]


def check_leakage(rows: Iterable[ImageRow], near_distance: int) -> LeakageReport:
    """Make sure that no patient, lesion, group, identifier, content or near-duplicate crosses parts or folds.

    Raises:
        LeakageError: names what crosses, how often, and some of the groups (which are hashes, and name no patient).
    """
    manifest = _read(rows)
    report, affected = _measure(manifest, near_distance)
    if report.leaks:
        what = ", ".join(f"{kind}: {count}" for kind, count in report.crossing.items() if count)
        groups = sorted({manifest.groups[row] or "without group" for row in affected})
        msg = (
            f"the parts of the set leak ({what}); groups: {', '.join(groups[:SHOWN_GROUPS])}"
            f"{' ...' if len(groups) > SHOWN_GROUPS else ''}. The set must not be used: build it again from its sources"
        )
        raise LeakageError(msg)
    return report


def _read(rows: Iterable[ImageRow]) -> _Manifest:
    manifest = _Manifest(array("b"), array("q"), array("q"), [], defaultdict(KeyColumn), LookReader())
    for row in rows:
        if row.split is not None:
            manifest.add(row)
    return manifest


def _measure(manifest: _Manifest, near_distance: int) -> tuple[LeakageReport, set[int]]:
    parts, folds = np.array(manifest.parts, np.int64), np.array(manifest.folds, np.int64)
    crossing: dict[str, int] = {}
    affected: set[int] = set()
    for kind, column in sorted(manifest.keys.items()):
        runs = column.runs()
        crossing[kind], rows = names_across(runs, parts)
        affected.update(rows.tolist())
        in_folds = folds[runs.rows] >= 0
        crossing[f"{kind} across folds"], rows = names_across(runs.take(in_folds), folds)
        affected.update(rows.tolist())
    near = _near_crossing(manifest, parts, near_distance)
    affected.update(near.ravel().tolist())
    crossing |= {"near_duplicate": len(near), "balanced outside training": manifest.touched}
    counts = {part: int(np.count_nonzero(parts == place)) for place, part in enumerate(PARTS)}
    return LeakageReport(rows=counts, crossing=crossing), affected


def _near_crossing(manifest: _Manifest, parts: Integers, near_distance: int) -> Integers:
    """Pairs (m, 2) of near-duplicates in two parts, but for images whose look is so common that it was said not to count."""
    looks = manifest.looks.looks().in_order()
    first, second, bits = near_places(looks, near_distance)
    one, other = looks.rows[first], looks.rows[second]
    limits = np.array(manifest.limits, np.int64)
    crosses = (bits <= limits[one]) & (bits <= limits[other]) & (parts[one] != parts[other])
    return np.stack([one[crosses], other[crosses]], axis=1)
