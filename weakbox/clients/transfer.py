"""The one engine that downloads: bounded parallel, polite, resumable, verified; a failure is a value and stops nothing else."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from weakbox.clients.addresses import safe_relative_path
from weakbox.clients.archives import ArchiveRefusedError, DamagedArchiveError, unpack
from weakbox.clients.client import RemoteFile
from weakbox.clients.connection import Connection, StoppedError
from weakbox.clients.content import digest_of_file, is_cut_short, kind_of
from weakbox.clients.download import PARTIAL, Advance, Attempt, Partial, attempt, whole_problem
from weakbox.clients.download_log import DownloadLog
from weakbox.clients.journal import STATE_FOLDER, Finished, Journal, KeptFile, promise
from weakbox.clients.transfer_progress import TransferProgress
from weakbox.records.errors import InputError
from weakbox.records.record import record

RESERVED = frozenset({STATE_FOLDER, "metadata.json", "series.csv", "download_log.txt"})
"""First parts of paths that are the collection's own: no server writes there."""
RESUMABLE = frozenset({"connection_lost", "timeout", "too_slow", "wrong_size"})
"""Reasons after which more bytes than ever before count as progress."""

WhenFinished = Callable[[RemoteFile], None]


@record
class TransferFailure:
    """A file that could not be had. ``reason`` is a short code: ``not_found``, ``html_page``, ``wrong_checksum`` ..."""

    file: RemoteFile
    reason: str
    attempts: int
    detail: str = ""


@record
class TransferReport:
    """What became of the files: finished by path, failures in the order of their paths."""

    finished: Mapping[str, Finished]
    failures: tuple[TransferFailure, ...]
    fetched_files: int
    was_stopped: bool


@dataclass(slots=True)
class _Tally:
    """Shared between the threads, under ``lock``."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    paths: set[str] = field(default_factory=set)
    finished: dict[str, Finished] = field(default_factory=dict)
    failures: list[TransferFailure] = field(default_factory=list)
    fetched: int = 0


class Transfer:
    """Downloads into one folder whose journal it keeps."""

    def __init__(self, folder: Path, connection: Connection, journal: Journal, log: DownloadLog, progress: TransferProgress) -> None:
        self._folder = folder
        self._connection = connection
        self._options = connection.options
        self._journal = journal
        self._log = log
        self._progress = progress

    def run(self, files: Iterable[RemoteFile], when_finished: WhenFinished | None = None) -> TransferReport:
        """Fetch what is not there yet. ``files`` is read as threads become free, so it may be a generator.

        ``when_finished`` is called for each finished file, one at a time.

        Raises:
            InputError: two files of one path, an unsafe path, or a full disk.
        """
        tally = _Tally()
        source = iter(files)
        with ThreadPoolExecutor(max_workers=self._options.parallel, thread_name_prefix="transfer") as pool:
            workers = [pool.submit(self._work, source, tally, when_finished) for _ in range(self._options.parallel)]
            for worker in workers:
                worker.add_done_callback(self._stop_others)
            try:
                wait(workers)
            finally:
                if not all(worker.done() for worker in workers):
                    self._connection.stop.set()
        for worker in workers:
            worker.result()
        return TransferReport(
            finished=dict(sorted(tally.finished.items())),
            failures=tuple(sorted(tally.failures, key=lambda failure: failure.file.path)),
            fetched_files=tally.fetched,
            was_stopped=self._connection.stop.is_set(),
        )

    def _stop_others(self, worker: Future[None]) -> None:
        if worker.exception() is not None:
            self._connection.stop.set()

    def _work(self, source: Iterator[RemoteFile], tally: _Tally, when_finished: WhenFinished | None) -> None:
        try:
            while not self._connection.stop.is_set():
                with tally.lock:
                    file = next(source, None)
                    if file is None:
                        return
                    _check_path(file, tally.paths)
                self._one(file, tally, when_finished)
        except StoppedError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            msg = f"{self._folder}: the disk is full; free space and run again: what is finished is kept"
            raise InputError(msg) from error

    def _one(self, file: RemoteFile, tally: _Tally, when_finished: WhenFinished | None) -> None:
        found = None if _is_reserved(file) else self._present(file)
        is_fetched = found is None
        result = found or (TransferFailure(file=file, reason="reserved_name", attempts=0) if _is_reserved(file) else self._fetch(file))
        with tally.lock:
            if isinstance(result, TransferFailure):
                tally.failures.append(result)
            else:
                tally.finished[file.path] = result
                tally.fetched += is_fetched
                if when_finished is not None:
                    when_finished(file)
        self._progress.file_done(file, failed=isinstance(result, TransferFailure))

    def _present(self, file: RemoteFile) -> Finished | None:
        """The file as it already lies there, verified now or earlier; ends what a kill interrupted between journal and rename."""
        final = self._folder / file.path
        known = self._journal.known(file.path)
        if known is not None and known.expected == promise(file) and file.unpacking is None:
            _complete_rename(final, known.files[0])
        finished = self._journal.finished(file)
        if finished is not None:
            if file.unpacking is not None:
                final.unlink(missing_ok=True)
            return finished
        if not final.is_file() or not self._is_as_promised(file, final, known):
            return None
        if file.unpacking is not None:
            result = self._unpacked(file, final)
            return result if isinstance(result, Finished) else None
        return self._noted(file, final, digest_of_file(final, "sha256"))

    def _is_as_promised(self, file: RemoteFile, final: Path, known: Finished | None) -> bool:
        """Whether a file that the journal does not vouch for can be kept: read in full, and only where something can prove it."""
        if file.size_bytes is not None and final.stat().st_size != file.size_bytes:
            return False
        if file.checksum is not None:
            return digest_of_file(final, file.checksum.algorithm) == file.checksum.value
        if file.unpacking is not None:
            return not is_cut_short(final, kind_of(file.path, file.kind))
        if known is not None and known.expected == promise(file):
            return digest_of_file(final, "sha256") == known.files[0].sha256
        return known is None and file.size_bytes is not None and not is_cut_short(final, kind_of(file.path, file.kind))

    def _fetch(self, file: RemoteFile) -> Finished | TransferFailure:
        """Attempts until the file is whole, a reason is final, or too many attempts in a row brought nothing forward."""
        advance = self._progress.begin(file)
        furthest = failures = tries = 0
        while True:
            tries += 1
            self._log.write("request", file.path)
            result, size = self._try(file, advance)
            if isinstance(result, Finished):
                self._log.write("finished", f"{file.path} {size} bytes")
                return result
            failures = 0 if result.reason in RESUMABLE and size > furthest else failures + 1
            furthest = max(furthest, size)
            if result.is_final or failures >= self._options.attempts:
                self._log.write("failed", f"{file.path} {result.reason} after {tries} requests")
                return TransferFailure(file=file, reason=result.reason, attempts=tries, detail=result.detail)
            self._log.write("retry", f"{file.path} {result.reason}")
            self._connection.pacing.pause(self._connection.backoff(file.path, max(1, failures)))

    def _try(self, file: RemoteFile, advance: Advance) -> tuple[Finished | Attempt, int]:
        """One attempt, and the bytes that lie there after it."""
        with Partial(self._folder / file.path, file.checksum.algorithm if file.checksum else None) as partial:
            ended = attempt(self._connection, file, partial, advance)
            problem = "" if ended.reason else whole_problem(file, partial)
            if ended.reason or problem:
                return ended if ended.reason else Attempt(reason=problem), partial.size
            return self._keep(file, partial), partial.size

    def _keep(self, file: RemoteFile, partial: Partial) -> Finished | Attempt:
        """Give a whole and verified file its name; an archive is unpacked and deleted."""
        final = self._folder / file.path
        if file.unpacking is None:
            finished = self._noted(file, partial.path, partial.digest("sha256"))
            partial.path.replace(final)
            partial.forget_note()
            return finished
        partial.path.replace(final)
        partial.forget_note()
        return self._unpacked(file, final)

    def _noted(self, file: RemoteFile, path: Path, sha256: str) -> Finished:
        status = path.stat()
        kept = KeptFile(path=file.path, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256)
        finished = Finished(path=file.path, expected=promise(file), files=(kept,))
        self._journal.note_file(finished)
        return finished

    def _unpacked(self, file: RemoteFile, archive: Path) -> Finished | Attempt:
        """Unpack; an archive that is damaged, incomplete or unsafe is deleted and says why."""
        assert file.unpacking is not None
        target = self._folder / safe_relative_path(file.unpacking.into)
        known = self._journal.known(file.path)
        if known is not None and known.expected != promise(file) and target.is_dir():
            shutil.rmtree(target)  # an older version, fetched by us
        try:
            names = unpack(archive, target, self._options, file.unpacking)
        except DamagedArchiveError as error:
            archive.unlink()
            return Attempt(reason=error.reason, detail=str(error))
        except ArchiveRefusedError as error:
            archive.unlink()
            return Attempt(reason="unsafe_archive", is_final=True, detail=str(error))
        finished = Finished(path=file.path, expected=promise(file), files=tuple(self._kept(target / name) for name in names))
        self._journal.note_file(finished)
        archive.unlink()
        return finished

    def _kept(self, path: Path) -> KeptFile:
        status = path.stat()
        relative = path.relative_to(self._folder).as_posix()
        return KeptFile(path=relative, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, sha256=digest_of_file(path, "sha256"))


def _is_reserved(file: RemoteFile) -> bool:
    paths = (file.path, file.unpacking.into if file.unpacking else "")
    return any(path.partition("/")[0].casefold() in RESERVED for path in paths)


def _check_path(file: RemoteFile, seen: set[str]) -> None:
    """Refuse unsafe and repeated paths (case does not count: some file systems do not know it)."""
    path = safe_relative_path(file.path)
    if path != file.path or path.casefold() in seen:
        msg = f"the path {file.path!r} is listed twice or is not in its plain form; every file needs a path of its own"
        raise InputError(msg)
    seen.add(path.casefold())


def _complete_rename(final: Path, kept: KeptFile) -> None:
    """A kill between the journal line and the rename leaves a verified partial file: give it its name."""
    partial = final.with_name(final.name + PARTIAL)
    if not partial.is_file():
        return
    status = partial.stat()
    if (status.st_size, status.st_mtime_ns) == (kept.size_bytes, kept.mtime_ns) and digest_of_file(partial, "sha256") == kept.sha256:
        partial.replace(final)
        partial.with_name(partial.name + ".json").unlink(missing_ok=True)
