"""Progress of a transfer on a terminal: bytes overall and of each file under way; nothing where the output is no terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from weakbox.clients.client import RemoteFile

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


SHOWN_CHARACTERS = 36


class TransferProgress:
    """Shows bytes and files while it is open. Safe to call from several threads."""

    def __init__(self, description: str, *, total_bytes: int | None, total_files: int | None) -> None:
        self._description = description
        self._total_bytes = total_bytes
        self._total_files = total_files
        self._progress: Progress | None = None
        self._overall: TaskID | None = None
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._failed = 0
        self._done = 0

    def __enter__(self) -> Self:
        if self._description and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

            text = TextColumn("{task.description:<36} {task.fields[files]}")
            columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._overall = self._progress.add_task(self._description, total=self._total_bytes, files=self._files())
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _files(self) -> str:
        total = f"/{self._total_files}" if self._total_files is not None else ""
        return f"{self._done}{total} files" + (f", {self._failed} failed" if self._failed else "")

    def begin(self, file: RemoteFile) -> Callable[[int], None]:
        """A file is being fetched; what is returned takes the bytes as they come."""
        progress, overall = self._progress, self._overall
        if progress is None or overall is None:
            return _ignore
        with self._lock:
            task = self._tasks[file.path] = progress.add_task(file.path[-SHOWN_CHARACTERS:], total=file.expected_bytes, files="")

        def advance(count: int) -> None:
            progress.update(overall, advance=count)
            progress.update(task, advance=count)

        return advance

    def file_done(self, file: RemoteFile, *, failed: bool) -> None:
        """One file is finished, or given up."""
        with self._lock:
            self._done += 1
            self._failed += failed
            task = self._tasks.pop(file.path, None)
        if self._progress is not None and self._overall is not None:
            self._progress.update(self._overall, files=self._files())
            if task is not None:
                self._progress.remove_task(task)


def _ignore(_count: int) -> None:
    """No terminal, no bar."""
