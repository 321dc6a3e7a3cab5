"""A collection from listing to manifest: list, choose, plan, check the disk, fetch, verify, and say what is there.

Interrupted at any point (also by kill -9), the next run with the same task fetches only what is missing and ends with the same bytes.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from weakbox.clients.addresses import safe_name
from weakbox.clients.client import (
    LISTED_PATIENT,
    Client,
    ListRequest,
    OwnFetching,
    RemoteFile,
    RemoteSeries,
    client_options,
    load_client,
    unusable,
)
from weakbox.clients.collection_files import CollectionFacts, SeriesState, counts_of, write_manifest, write_metadata
from weakbox.clients.connection import Connection, StoppedError
from weakbox.clients.content import digest_of_file
from weakbox.clients.download_log import DownloadLog
from weakbox.clients.journal import Finished, Journal, KeptFile, locked, promise
from weakbox.clients.selection import Choice, SelectionOptions, request_filter, select, strata_table
from weakbox.clients.space import SpaceNeed, check_space, free_bytes, space_need
from weakbox.clients.transfer import Transfer, TransferReport
from weakbox.clients.transfer_options import TransferOptions
from weakbox.clients.transfer_progress import TransferProgress
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.record import record

Annotate = Callable[[RemoteSeries], Mapping[str, str]]
"""More attributes of a series (its class, its true patient), from the tables of a dataset; ``patient_id`` replaces the server's."""

Handler = Callable[[int, FrameType | None], Any] | int | None


@record
class CollectionTask:
    """What to collect. ``client_options`` are those of the protocol; licence and citation are passed through to the metadata.

    ``part`` separates what a dataset takes from several places (images here, tables there): each has a folder of its own in the dataset's.
    """

    name: str
    part: str = ""
    client: str
    request: ListRequest
    client_options: Mapping[str, Any]
    selection: SelectionOptions
    licence: str = ""
    citation: str = ""
    annotate: Annotate | None = None


@record
class CollectionPlan:
    """What would be done. ``images`` and ``need`` count what the listing tells; ``present`` are series that are complete already."""

    name: str
    folder: Path
    source: str
    counts: Mapping[str, int]
    images: int
    present: int
    need: SpaceNeed
    free_bytes: int
    strata_names: tuple[str, ...]
    strata: Mapping[tuple[str, ...], tuple[int, int]]
    problems: tuple[LedgerEntry, ...]


@record
class CollectionResult:
    """What was done. ``complete``: everything chosen is there and verified; ``interrupted``: run again to go on."""

    outcome: Literal["complete", "incomplete", "interrupted"]
    name: str
    folder: Path
    counts: Mapping[str, int]
    fetched_files: int
    failures: tuple[tuple[str, str], ...]
    """Series key and reason code of every series that could not be had, sorted."""
    problems: tuple[LedgerEntry, ...]
    metadata: Path
    manifest: Path


@record
class _Listing:
    client: Client
    source: str
    choices: tuple[Choice, ...]
    problems: tuple[LedgerEntry, ...]

    @property
    def chosen(self) -> list[Choice]:
        """In the order of taking, companions first: an interrupted run leaves a balanced part."""
        return sorted((choice for choice in self.choices if choice.is_chosen), key=lambda choice: (choice.place, choice.series.key))


def plan_collection(task: CollectionTask, root: Path, transfer: TransferOptions | None = None) -> CollectionPlan:
    """List and choose, and tell what ``collect`` would do; writes nothing.

    Raises:
        InputError: the server is not reachable or answers for something else, or nothing fits the request.
        ConfigurationError: unusable options, or a package or account that is missing.
    """
    options = _polite(task, transfer or TransferOptions())
    with Connection(options) as connection:
        return _plan(task, root, options, _listing(task, connection))


def collect(task: CollectionTask, root: Path, transfer: TransferOptions | None = None) -> CollectionResult:
    """Collect a dataset into ``root/<name>`` (or ``root/<name>/<part>``).

    SIGINT and SIGTERM end the run in order; what is half done is resumed by the next run.

    Raises:
        InputError: as ``plan_collection``; too little disk space; another run in the same folder; a full disk.
        ConfigurationError: as ``plan_collection``.
    """
    options = _polite(task, transfer or TransferOptions())
    folder = collection_folder(task, root)
    stop = threading.Event()
    with _stopping_on_signals(stop), locked(folder), DownloadLog(folder) as log, Connection(options, stop) as connection:
        log.write("start", task.name)
        try:
            listing = _listing(task, connection)
        except StoppedError as error:
            raise KeyboardInterrupt from error
        result = _Collecting(task, root, options, listing, connection, log).run()
        log.write(result.outcome, f"{result.counts['series_complete']} of {result.counts['series_chosen']} series")
    return result


def collection_folder(task: CollectionTask, root: Path) -> Path:
    """Where a dataset, or a part of it, is collected."""
    folder = root / safe_name(task.name)
    return folder / safe_name(task.part) if task.part else folder


def _polite(task: CollectionTask, options: TransferOptions) -> TransferOptions:
    if options.minimum_interval_s is not None:
        return options
    return options.model_copy(update={"minimum_interval_s": load_client(task.client).polite_interval_s})


def _listing(task: CollectionTask, connection: Connection) -> _Listing:
    plugin = load_client(task.client)
    options = client_options(task.client, task.client_options)
    client = plugin.open(options, connection)
    connection.authorise(client.authorisation())
    fits = request_filter(task.request)
    series: dict[str, RemoteSeries] = {}
    problems: list[LedgerEntry] = []
    was_cut = False
    for item in client.list(task.request):
        if isinstance(item, LedgerEntry):
            problems.append(item)
        elif item.key in series:
            problems.append(unusable(item.key, "duplicate", "listed twice; the first is kept"))
        elif fits(item):
            series[item.key] = _annotated(item, task.annotate)
        else:
            was_cut = True
    if not series or (was_cut and all(item.is_companion for item in series.values())):
        msg = f"{task.name}: nothing in the listing fits the request ({len(problems)} answers could not be used); nothing was fetched"
        raise InputError(msg)
    source = plugin.source(options, task.request)
    return _Listing(client=client, source=source, choices=select(series.values(), task.selection), problems=tuple(problems))


def _annotated(series: RemoteSeries, annotate: Annotate | None) -> RemoteSeries:
    if annotate is None:
        return series
    more = dict(annotate(series))
    patient_id = more.pop("patient_id", series.patient_id)
    if patient_id != series.patient_id:
        more[LISTED_PATIENT] = series.patient_id
    return replace(series, patient_id=patient_id, attributes=dict(sorted({**series.attributes, **more}.items())))


def _identity(series: RemoteSeries) -> str:
    """What the listing promises of a series; where it changes, the server is asked for the files again."""
    return "|".join([str(series.size_bytes), str(series.image_count), *(f"{file.path}:{promise(file)}" for file in series.files or ())])


def _plan(task: CollectionTask, root: Path, options: TransferOptions, listing: _Listing) -> CollectionPlan:
    folder = collection_folder(task, root)
    journal = Journal(folder)
    missing = [choice.series for choice in listing.chosen if journal.series(choice.series.key, _identity(choice.series)) is None]
    states = [SeriesState(choice=choice, status="pending" if choice.is_chosen else "left_out") for choice in listing.choices]
    return CollectionPlan(
        name=task.name,
        folder=folder,
        source=listing.source,
        counts=counts_of(states, len(listing.problems)),
        images=sum(choice.series.image_count or 0 for choice in listing.chosen),
        present=len(listing.chosen) - len(missing),
        need=space_need(missing, options),
        free_bytes=free_bytes(folder),
        strata_names=task.selection.strata,
        strata=strata_table(listing.choices),
        problems=listing.problems,
    )


class _Collecting:
    """One run over one listing."""

    def __init__(
        self, task: CollectionTask, root: Path, options: TransferOptions, listing: _Listing, connection: Connection, log: DownloadLog
    ) -> None:
        self._task = task
        self._root = root
        self._folder = folder = collection_folder(task, root)
        self._options = options
        self._listing = listing
        self._connection = connection
        self._log = log
        self._journal = Journal(folder)
        self._files: dict[str, tuple[RemoteFile, ...]] = {}
        self._left: Counter[str] = Counter()
        self._owner: dict[str, RemoteSeries] = {}
        self._present: dict[str, tuple[Finished, ...]] = {}
        self._failed: dict[str, str] = {}

    def run(self) -> CollectionResult:
        chosen = [choice.series for choice in self._listing.chosen]
        self._find_present(chosen)
        missing = [series for series in chosen if series.key not in self._present]
        need = space_need(missing, self._options)
        check_space(self._folder, need, self._options)
        fetched = 0
        report: TransferReport | None = None
        if isinstance(self._listing.client, OwnFetching):
            fetched = self._fetch_by_client(self._listing.client, missing)
        else:
            report = self._fetch(missing, need)
            fetched = report.fetched_files
        return self._finish(report, fetched)

    def _find_present(self, chosen: Sequence[RemoteSeries]) -> None:
        for series in chosen:
            found = self._journal.series(series.key, _identity(series))
            if found is not None:
                self._present[series.key] = found

    def _fetch(self, missing: Sequence[RemoteSeries], need: SpaceNeed) -> TransferReport:
        total = need.lasting_bytes if not need.series_without_size else None
        with TransferProgress(self._task.name, total_bytes=total, total_files=None) as progress:
            transfer = Transfer(self._folder, self._connection, self._journal, self._log, progress)
            return transfer.run(self._wanted(missing), self._file_finished)

    def _wanted(self, missing: Sequence[RemoteSeries]) -> Iterator[RemoteFile]:
        """The files of the series that are missing, asked for one series after the other while others are fetched."""
        for series in missing:
            try:
                files = self._listing.client.files(series)
            except InputError as error:
                self._failed[series.key] = "no_files"
                self._log.write("failed", f"{series.key} {error}")
                continue
            if not files:
                self._failed[series.key] = "no_files"
                continue
            self._files[series.key] = files
            self._left[series.key] = len(files)
            for file in files:
                self._owner[file.path] = series
                yield file

    def _file_finished(self, file: RemoteFile) -> None:
        series = self._owner[file.path]
        self._left[series.key] -= 1
        if not self._left[series.key]:
            paths = tuple(item.path for item in self._files[series.key])
            self._journal.note_series(series.key, _identity(series), paths)

    def _fetch_by_client(self, client: OwnFetching, missing: Sequence[RemoteSeries]) -> int:
        fetched = 0
        for series in missing:
            target = self._folder / "files" / safe_name(series.key)
            try:
                client.fetch(series, target)
            except InputError as error:
                self._failed[series.key] = "refused"
                self._log.write("failed", f"{series.key} {error}")
                continue
            kept = tuple(self._kept(path) for path in sorted(target.rglob("*")) if path.is_file())
            if not kept:
                self._failed[series.key] = "no_files"
                continue
            finished = Finished(path=f"files/{safe_name(series.key)}", expected=series.key, files=kept)
            self._journal.note_file(finished)
            self._journal.note_series(series.key, _identity(series), (finished.path,))
            self._present[series.key] = (finished,)
            fetched += len(kept)
        return fetched

    def _kept(self, path: Path) -> KeptFile:
        status = path.stat()
        relative = path.relative_to(self._folder).as_posix()
        return KeptFile(path=relative, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, sha256=digest_of_file(path, "sha256"))

    def _finish(self, report: TransferReport | None, fetched: int) -> CollectionResult:
        failures: dict[str, list[str]] = defaultdict(list)
        for failure in report.failures if report else ():
            failures[self._owner[failure.file.path].key].append(failure.reason)
        finished = report.finished if report else {}
        states = [self._state(choice, finished, failures) for choice in self._listing.choices]
        task = self._task
        facts = CollectionFacts(
            name=task.name,
            part=task.part,
            source=self._listing.source,
            licence=task.licence,
            citation=task.citation,
            request=task.request.model_dump(mode="json"),
            selection=task.selection.model_dump(mode="json"),
        )
        metadata = write_metadata(self._folder, facts, states, self._listing.problems)
        was_stopped = self._connection.stop.is_set()
        is_complete = all(state.status in ("complete", "left_out") for state in states)
        return CollectionResult(
            outcome="complete" if is_complete else "interrupted" if was_stopped else "incomplete",
            name=task.name,
            folder=self._folder,
            counts=counts_of(states, len(self._listing.problems)),
            fetched_files=fetched,
            failures=tuple(sorted((state.choice.series.key, state.failure) for state in states if state.status == "failed")),
            problems=self._listing.problems,
            metadata=metadata,
            manifest=write_manifest(self._root),
        )

    def _state(self, choice: Choice, finished: Mapping[str, Finished], failures: Mapping[str, list[str]]) -> SeriesState:
        key = choice.series.key
        if not choice.is_chosen:
            return SeriesState(choice=choice, status="left_out")
        if key in self._present:
            return SeriesState(choice=choice, status="complete", files=_kept_files(self._present[key]))
        here = tuple(finished[file.path] for file in self._files.get(key, ()) if file.path in finished)
        failure = self._failed.get(key) or min(failures.get(key, ()), default="")
        if failure:
            return SeriesState(choice=choice, status="failed", files=_kept_files(here), failure=failure)
        is_whole = key in self._files and len(here) == len(self._files[key])
        return SeriesState(choice=choice, status="complete" if is_whole else "pending", files=_kept_files(here))


def _kept_files(finished: Sequence[Finished]) -> tuple[KeptFile, ...]:
    return tuple(sorted((file for item in finished for file in item.files), key=lambda file: file.path))


@contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks to stop; a second one acts as it would without us. Threads other than the main one get none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[number])

    before: dict[int, Handler] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask_to_stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def plan_lines(plan: CollectionPlan) -> tuple[str, ...]:
    """The plan as lines for a terminal."""
    counts = plan.counts
    size = f"{plan.need.lasting_bytes / 1e9:.2f} GB to fetch" + (
        f" and {plan.need.series_without_size} series of unknown size" if plan.need.series_without_size else ""
    )
    lines = [
        f"{plan.name}: {plan.source}",
        f"  {counts['series_listed']} series of {counts['patients_listed']} patients listed",
        f"  {counts['series_chosen']} series of {counts['patients_chosen']} patients chosen, {plan.images} images",
        f"  {plan.present} series complete already",
        f"  {size}; {plan.free_bytes / 1e9:.2f} GB free at {plan.folder}",
    ]
    lines += [f"  answers that could not be used: {counts['answers_unusable']}"] if counts["answers_unusable"] else []
    for values, (listed, chosen) in plan.strata.items():
        label = ", ".join(f"{name}={value}" for name, value in zip(plan.strata_names, values, strict=True)) or "all"
        lines.append(f"  {label}: {chosen} of {listed}")
    return tuple(lines)
