"""Reading the small trees of dermatoscopic sets, for their tests."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from weakbox.datasets_public.cases import image_path, read_cases
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.searching import load_dataset
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase, PixelBox
from weakbox.runtime.plugins import load_plugin
from weakbox.simulate.public.tree import CONSTANT, PACKAGE, PublicTree

SHARED_ISIC = Path(__file__).resolve().parents[2] / "shared" / "data" / "nc_isic"
SETS = ("ham10000", "isic_2018", "isic_2019", "isic_2020", "isic_archive")


def tree_of(name: str) -> PublicTree:
    """The set's own tree."""
    tree: PublicTree = load_plugin(PACKAGE, name, CONSTANT)
    return tree


class Read:
    """What a set's reader gave for a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.dataset = load_dataset(name)
        located = locate(self.dataset, folder)
        assert located is not None, f"no layout of {name} is found"
        self.located = located
        items = list(read_cases(self.dataset, located))
        self.cases = {item.study.study_uid: item for item in items if isinstance(item, CuratedCase)}
        self.ledger = [item for item in items if isinstance(item, LedgerEntry)]
        self.reasons = Counter(entry.reason for entry in self.ledger)

    def completed(self, image: str) -> tuple[CuratedCase | None, Counter[str]]:
        """One case with its files opened, and the reasons of the remarks."""
        assert self.dataset.complete is not None
        case, remarks = self.dataset.complete(self.cases[image])
        return case, Counter(entry.reason for entry in remarks)


def by_path(read: Read, folder: Path) -> dict[str, CuratedCase]:
    """Cases by the image's path relative to the tree."""
    return {image_path(case.study.series[0]).relative_to(folder).as_posix(): case for case in read.cases.values()}


def overlap(box: PixelBox, start: tuple[float, ...], stop: tuple[float, ...]) -> float:
    """Intersection over union of a box and a planted lesion."""
    width, height = min(box.x1, stop[0]) - max(box.x0, start[0]), min(box.y1, stop[1]) - max(box.y0, start[1])
    common = max(width, 0.0) * max(height, 0.0)
    return common / ((box.x1 - box.x0) * (box.y1 - box.y0) + (stop[0] - start[0]) * (stop[1] - start[1]) - common)


def edit_table(path: Path, change: Callable[[list[dict[str, str]]], Iterator[dict[str, str]] | list[dict[str, str]]]) -> None:
    """Write a comma-separated table again with other rows; the columns are those of the first row."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(change(list(csv.DictReader(file))))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def rename_column(path: Path, old: str, new: str) -> None:
    """Another name in a table's header."""
    header, _, rest = path.read_text(encoding="utf-8").partition("\n")
    names = [new if name == old else name for name in header.split(",")]
    path.write_text(",".join(names) + "\n" + rest, encoding="utf-8")
