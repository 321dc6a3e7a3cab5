"""What is finished and verified, one JSON line each, on disk before it counts: so a killed run fetches nothing twice.

A line is written and flushed to the disk before the file gets its final name. A torn last line, as a kill leaves it, is cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from weakbox.clients.client import RemoteFile
from weakbox.records.errors import InputError
from weakbox.records.record import record

STATE_FOLDER = ".collection"


@record
class KeptFile:
    """A file on disk: path relative to the collection, bytes, modification time in nanoseconds, SHA-256."""

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str

    def is_as_left(self, folder: Path) -> bool:
        """Whether the file still has the size and time it was left with; no bytes are read."""
        try:
            status = (folder / self.path).stat()
        except FileNotFoundError:
            return False
        return status.st_size == self.size_bytes and status.st_mtime_ns == self.mtime_ns


@record
class Finished:
    """One fetched ``RemoteFile``: what was promised of it, and the files it became (one, or those of its archive)."""

    path: str
    expected: str
    files: tuple[KeptFile, ...]


def promise(file: RemoteFile) -> str:
    """What the listing says of a file: where it changes, the file is fetched again. The address is not part of it (it may be signed)."""
    return f"{file.size_bytes}|{file.checksum}|{file.unpacking.into if file.unpacking else ''}"


class Journal:
    """The finished files of one collection folder. Safe to use from several threads; one process at a time (see ``locked``)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / STATE_FOLDER / "journal.jsonl"
        self._lock = threading.Lock()
        self._finished: dict[str, Finished] = {}
        self._series: dict[str, dict[str, Any]] = {}
        self._load()

    def _load(self) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                msg = f"{self._path}: line {number} is damaged; delete this line (its file is fetched again)"
                raise InputError(msg) from error

    def _take(self, row: Mapping[str, Any]) -> None:
        if "series" in row:
            self._series[row["series"]] = dict(row)
            return
        files = tuple(KeptFile(**file) for file in row["files"])
        self._finished[row["path"]] = Finished(path=row["path"], expected=row["expected"], files=files)

    def _append(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, sort_keys=True) + "\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
            self._take(row)

    def note_file(self, finished: Finished) -> None:
        """Remember a verified file; on disk when this returns."""
        self._append({"path": finished.path, "expected": finished.expected, "files": [asdict(file) for file in finished.files]})

    def note_series(self, key: str, identity: str, paths: tuple[str, ...]) -> None:
        """Remember that all files of a series are there, so that the server need not be asked for them again."""
        self._append({"series": key, "identity": identity, "paths": list(paths)})

    def finished(self, file: RemoteFile) -> Finished | None:
        """What ``file`` became, if it is all still there as it was left and the listing promises the same as then."""
        known = self.known(file.path)
        if known is None or known.expected != promise(file):
            return None
        return known if all(kept.is_as_left(self._folder) for kept in known.files) else None

    def known(self, path: str) -> Finished | None:
        """What was noted of a path, whether or not it is still true."""
        return self._finished.get(path)

    def series(self, key: str, identity: str) -> tuple[Finished, ...] | None:
        """The files of a series that is all there, under the same identity; ``None`` otherwise."""
        row = self._series.get(key)
        if row is None or row["identity"] != identity:
            return None
        found = [self._finished.get(path) for path in row["paths"]]
        whole = tuple(item for item in found if item is not None and all(kept.is_as_left(self._folder) for kept in item.files))
        return whole if len(whole) == len(found) else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a collection folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        InputError: another process holds it.
    """
    path = folder / STATE_FOLDER / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"{folder}: another run collects into this folder; wait for it or end it"
            raise InputError(msg) from error
        yield
