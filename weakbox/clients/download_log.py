"""``download_log.txt``: what happened and when. The only file of a collection with times in it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

LOG_NAME = "download_log.txt"


class DownloadLog:
    """Appends lines ``<UTC time> <event> <what>``; paths and reason codes only, never an address with its query."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = (folder / LOG_NAME).open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def write(self, event: str, what: str = "") -> None:
        """One line, on its way to the disk at once."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = " ".join(f"{moment} {event} {what}".split())
        with self._lock:
            if not self._file.closed:
                self._file.write(line + "\n")
                self._file.flush()
