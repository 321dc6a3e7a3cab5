"""Names that rows share, held as 128-bit digests: half a million rows cost a few megabytes for each kind of name."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Links = tuple[Integers, Integers]

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Names that at least two entries carry: entries in order of name, then row; ``run`` numbers the names from 0."""

    rows: Integers
    run: Integers

    def links(self, allowed: NDArray[np.bool_] | None = None) -> Links:
        """Neighbours of each run, as two arrays of rows; of the ``allowed`` runs only, where given."""
        together = self.run[1:] == self.run[:-1]
        if allowed is not None:
            together &= allowed[self.run[1:]]
        first, second = self.rows[:-1][together], self.rows[1:][together]
        return first, second

    def take(self, wanted: NDArray[np.bool_]) -> Runs:
        """Some of the entries; names keep their numbers."""
        return Runs(rows=self.rows[wanted], run=self.run[wanted])

    @property
    def count(self) -> int:
        """How many names there are."""
        return int(self.run[-1]) + 1 if len(self.run) else 0


class KeyColumn:
    """Names of rows, any number a row; grows row by row."""

    def __init__(self) -> None:
        self._rows = array("q")
        self._digests = bytearray()

    def add(self, row: int, name: str) -> None:
        """Say that a row carries a name."""
        self._rows.append(row)
        self._digests += hashlib.blake2b(name.encode(), digest_size=DIGEST_BYTES).digest()

    def runs(self, rank: Integers | None = None) -> Runs:
        """The names that more than one row carries. ``rank`` renumbers rows: row ``r`` is called ``rank[r]``."""
        rows = np.frombuffer(self._rows, np.int64).copy() if self._rows else np.zeros(0, np.int64)
        rows = rows if rank is None else rank[rows]
        digests = np.frombuffer(bytes(self._digests), "<u8").reshape(-1, 2)
        order = np.lexsort((rows, digests[:, 1], digests[:, 0]))
        rows, digests = rows[order], digests[order]
        starts = np.ones(len(rows), bool)
        starts[1:] = np.any(digests[1:] != digests[:-1], axis=1)
        named_twice = np.zeros(len(rows), bool)
        named_twice[1:] = ~starts[1:] & (rows[1:] == rows[:-1])
        rows, starts = rows[~named_twice], starts[~named_twice]
        repeated = ~starts | np.append(~starts[1:], False)[: len(starts)]
        return Runs(rows=rows[repeated], run=np.cumsum(starts[repeated]) - 1)


def names_across(runs: Runs, places: Integers) -> tuple[int, Integers]:
    """How many names are carried in more than one place, and the rows that carry them. ``places`` is by row."""
    limits = np.iinfo(np.int64)
    lowest, highest = np.full(runs.count, limits.max), np.full(runs.count, limits.min)
    np.minimum.at(lowest, runs.run, places[runs.rows])
    np.maximum.at(highest, runs.run, places[runs.rows])
    crossing = lowest < highest
    return int(crossing.sum()), runs.rows[crossing[runs.run]]


def short_digest(name: str) -> int:
    """64 bits of a name, for questions where two names that collide would have to agree in something else too."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def components(count: int, links: list[Links]) -> Integers:
    """The connected component of each of ``count`` rows, numbered in the order of their first rows."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first = np.concatenate([one for one, _ in links]) if links else np.zeros(0, np.int64)
    second = np.concatenate([other for _, other in links]) if links else np.zeros(0, np.int64)
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    found = connected_components(graph, directed=False)[1].astype(np.int64)
    _, at, inverse = np.unique(found, return_index=True, return_inverse=True)
    number = np.empty(len(at), np.int64)
    number[np.argsort(at)] = np.arange(len(at))
    return np.asarray(number[inverse], np.int64)
