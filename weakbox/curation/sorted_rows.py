"""Rows in the order of their ``image_id``, on disk: written once in any order, read as often as needed, never all in memory."""

from __future__ import annotations

import heapq
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import fields
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from weakbox.records.image_set import ImageBox, ImageRow

ROWS_A_RUN = 20_000
ROWS_A_BLOCK = 500

ROW_FIELDS = tuple(field.name for field in fields(ImageRow))
_BOX_FIELDS = tuple(field.name for field in fields(ImageBox))
_BOXES, _ATTRIBUTES = ROW_FIELDS.index("boxes"), ROW_FIELDS.index("attributes")
_row_values = attrgetter(*ROW_FIELDS)
_box_values = attrgetter(*_BOX_FIELDS)
_image_id = itemgetter(ROW_FIELDS.index("image_id"))

Packed = list[Any]


def packed(row: ImageRow) -> Packed:
    """A row's values in the order of its fields, of plain types."""
    values = list(_row_values(row))
    values[_BOXES] = tuple(_box_values(box) for box in row.boxes)
    values[_ATTRIBUTES] = dict(row.attributes)
    return values


def unpacked(values: Packed) -> ImageRow:
    """The row that ``packed`` was given."""
    content = dict(zip(ROW_FIELDS, values, strict=True))
    content["boxes"] = tuple(ImageBox(**dict(zip(_BOX_FIELDS, box, strict=True))) for box in content["boxes"])
    return ImageRow(**content)


class SortedRows:
    """Rows kept in sorted runs in a folder and merged while they are read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: list[Path] = []
        self._waiting: list[Packed] = []

    def add(self, row: ImageRow) -> None:
        """Keep a row."""
        self._waiting.append(packed(row))
        if len(self._waiting) >= ROWS_A_RUN:
            self._write_run()

    def extend(self, rows: Iterable[ImageRow]) -> None:
        """Keep rows."""
        for row in rows:
            self.add(row)

    def _write_run(self) -> None:
        self._waiting.sort(key=_image_id)
        path = self._folder / f"run_{len(self._runs):05d}.pickle"
        with path.open("wb") as file:
            for start in range(0, len(self._waiting), ROWS_A_BLOCK):
                pickle.dump(self._waiting[start : start + ROWS_A_BLOCK], file, protocol=5)
        self._runs.append(path)
        self._waiting = []

    def packed_rows(self) -> Iterator[Packed]:
        """The values of all rows, by ``image_id``."""
        if self._waiting:
            self._write_run()
        return iter(heapq.merge(*(_blocks(path) for path in self._runs), key=_image_id))

    def __iter__(self) -> Iterator[ImageRow]:
        return map(unpacked, self.packed_rows())


def _blocks(path: Path) -> Iterator[Packed]:
    with path.open("rb") as file:
        while file.peek(1):
            yield from pickle.load(file)
