"""Which public sets lie in the places where a researcher keeps data, and what is in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.dataset import CONSTANT, PACKAGE, Layout, Located, PublicDataset
from weakbox.datasets_public.locating import Listing, locate
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import CuratedCase
from weakbox.records.record import record
from weakbox.runtime.nearest import one_of
from weakbox.runtime.plugins import load_plugin, plugin_names

VARIABLE = "WEAKBOX_DATA"
USUAL_PLACES = ("data", "datasets", "~/data", "~/datasets", "~/Downloads", "/data", "/datasets", "/mnt/data", "/kaggle/input")
DEPTH = 8
"""Folders below a root in which a set is looked for."""


def dataset_names() -> tuple[str, ...]:
    """Every set there is a file for."""
    return plugin_names(PACKAGE, CONSTANT)


def load_dataset(name: str) -> PublicDataset:
    """The set of that name, however its words are joined (``CBIS-DDSM`` is ``cbis_ddsm``).

    Raises:
        ConfigurationError: there is none; the nearest is named.
    """
    plain = _joined(name)
    known = plain if plain in dataset_names() else _by_title().get(plain)
    dataset: PublicDataset = load_plugin(PACKAGE, known or one_of(plain, dataset_names(), "public data set"), CONSTANT)
    return dataset


def _joined(title: str) -> str:
    return title.strip().casefold().replace("-", "_").replace(" ", "_")


def _by_title() -> dict[str, str]:
    """Titles as authors write them -> the file's name."""
    return {_joined(load_plugin(PACKAGE, name, CONSTANT).card.title): name for name in dataset_names()}


def search_roots(configured: Sequence[Path]) -> tuple[Path, ...]:
    """Folders to look in, those that are there: the configured ones, then ``WEAKBOX_DATA``, then the usual places.

    Raises:
        InputError: a configured folder is not there.
    """
    for root in configured:
        if not root.is_dir():
            msg = f"{root}: no such folder; inputs.public.roots (or --root) names a folder that holds public data sets"
            raise InputError(msg)
    named = [Path(place) for place in os.environ.get(VARIABLE, "").split(os.pathsep) if place]
    usual = [Path(place).expanduser() for place in USUAL_PLACES] if not configured and not named else []
    return tuple(dict.fromkeys(root for root in (*configured, *named, *usual) if root.is_dir()))


def search(roots: Iterable[Path], names: Iterable[str]) -> Iterator[Located]:
    """Every set of those names below the roots, each in the smallest folder that holds all that was found of it.

    A set that lies there in two layouts (the publisher's and a mirror's) is found twice; of layouts that share a folder the
    one of which most is there counts.
    """
    return search_listings((Listing(root) for root in roots), names)


def search_listings(listings: Iterable[Listing], names: Iterable[str]) -> Iterator[Located]:
    """As ``search``, in folders that are listed already."""
    datasets = [load_dataset(name) for name in names]
    seen: set[tuple[str, str, Path]] = set()
    for listing in listings:
        for dataset in datasets:
            for located in _whole(dataset, listing):
                place = (located.dataset, located.layout, located.folder.resolve())
                if place not in seen:
                    seen.add(place)
                    yield located


def denied_folders(listings: Iterable[Listing]) -> tuple[Path, ...]:
    """Folders that could not be listed: whether a set lies there is not known."""
    return tuple(listing.folder / path for listing in listings for path in listing.unreadable)


def _whole(dataset: PublicDataset, listing: Listing) -> Iterator[Located]:
    found = [
        located
        for layout in dataset.layouts
        if (here := locate(replace(dataset, layouts=(layout,)), listing.folder, listing)) is not None
        for located in _smallest(replace(dataset, layouts=(layout,)), layout, here, listing, DEPTH)
    ]
    for located in found:
        rivals = [other for other in found if _overlap(located.folder, other.folder)]
        if min(rivals, key=lambda other: (len(other.missing), found.index(other))) is located:
            yield located


def _overlap(first: Path, second: Path) -> bool:
    return first == second or first in second.parents or second in first.parents


def _smallest(dataset: PublicDataset, layout: Layout, here: Located, listing: Listing, depth: int) -> Iterator[Located]:
    """The folders inside that hold as many parts as this one: the only one, or each copy; else this one."""
    inside = [(below, found) for below, found in _inside(dataset, listing, depth) if len(found.missing) <= len(here.missing)]
    if not inside or (layout.spans_folders and len(inside) > 1):
        yield here
        return
    for below, found in inside:
        yield from _smallest(dataset, layout, found, below, depth - 1)


def _inside(dataset: PublicDataset, listing: Listing, depth: int) -> Iterator[tuple[Listing, Located]]:
    for name in listing.subfolders if depth else ():
        below = listing.below(name)
        found = locate(dataset, below.folder, below)
        if found is not None:
            yield below, found


@record
class Holding:
    """What one set on disk holds, counted from its tables and file names."""

    dataset: str
    folder: Path
    layout: str
    missing: tuple[str, ...]
    patients: int = 0
    cases: int = 0
    images: int = 0
    boxes: int = 0
    """Labels whose place the tables give; masks and outlines are opened later."""
    classes: Mapping[str, int]
    """Diagnosis, else grade, else BI-RADS -> labels; ``no finding`` counts cases."""
    problems: Mapping[str, int]
    """Reason -> rows and files that could not be used, or only with a remark."""
    error: str = ""
    """Why nothing could be read."""


def take_stock(located: Located) -> Holding:
    """Read a set's tables and count; a set that cannot be read says why."""
    patients: set[str] = set()
    tally: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    error = ""
    try:
        for item in read_cases(load_dataset(located.dataset), located):
            if isinstance(item, LedgerEntry):
                problems[item.reason] += 1
                continue
            patients.add(item.patient_id)
            tally.update(cases=1, images=len(item.study.series), boxes=sum(bool(label.pixel_box or label.box) for label in item.labels))
            classes.update(_classes(item))
    except InputError as unusable:
        error = str(unusable)
    except PermissionError as denied:
        error = f"{denied.filename}: cannot be read; check its rights"
    return Holding(
        dataset=located.dataset,
        folder=located.folder,
        layout=located.layout,
        missing=located.missing,
        patients=len(patients),
        cases=tally["cases"],
        images=tally["images"],
        boxes=tally["boxes"],
        classes=dict(sorted(classes.items())),
        problems=dict(sorted(problems.items())),
        error=error,
    )


def _classes(case: CuratedCase) -> Iterator[str]:
    if not case.labels:
        yield "no finding" if case.negative_reason else "not stated"
    for label in case.labels:
        grade = f"ISUP {label.isup_grade}" if label.isup_grade is not None else None
        significance = {True: "significant", False: "not significant", None: None}[label.is_clinically_significant]
        birads = f"BI-RADS {label.birads}" if label.birads else None
        yield label.diagnosis or grade or significance or birads or "not stated"
