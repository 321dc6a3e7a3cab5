"""Processes on this machine."""

from __future__ import annotations

import errno
import multiprocessing
import os
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from weakbox.records.errors import InputError
from weakbox.runtime.executors.executor import ItemError
from weakbox.runtime.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

FULL_DISK = {errno.ENOSPC, errno.EDQUOT}
"""What the user can mend; not a defect of ours."""

LOOK_AHEAD_PER_WORKER = 2
"""Items in flight for each worker: enough to keep it busy, few enough to bound memory."""


def attempt(function: Callable[[Item], Result], index: int, item: Item) -> Result | ItemError:
    """Run one item; an error becomes a value in the item's place, so that the others go on."""
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001 - the one boundary where any item's failure becomes data
        full = error if isinstance(error, OSError) and error.errno in FULL_DISK else None
        full_message = (
            "" if full is None else f"no space left on the disk for {full.filename}; make room and run again: finished work is kept"
        )
        return ItemError(
            index=index,
            error_type=type(error).__name__,
            message=full_message or str(error),
            traceback=traceback.format_exc(),
            is_input_error=full is not None or isinstance(error, InputError),
        )


LOST_POOLS_ENDURED = 2
"""How often work in flight is done again after a worker process was killed."""


def _is_finished(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class LocalExecutor:
    """Maps over items with ``workers`` processes; with one worker in this process."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, description: str = "", total: int | None = None
    ) -> Iterator[Result | ItemError]:
        """Yield one result or ``ItemError`` for each item, in order, with a bounded number in flight.

        Raises:
            InputError: worker processes were killed again and again.
        """
        results = self._in_this_process(function, items) if self.workers == 1 else self._in_pool(function, items)
        return track(results, description=description, total=total)

    def _in_this_process(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | ItemError]:
        for index, item in enumerate(items):
            yield attempt(function, index, item)

    def _in_pool(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | ItemError]:
        numbered = enumerate(items)
        waiting: deque[tuple[int, Item]] = deque()
        futures: dict[int, Future[Any]] = {}
        lost = 0
        while True:
            waiting.extend(islice(numbered, self.workers * LOOK_AHEAD_PER_WORKER - len(waiting)))
            if not waiting:
                return
            try:
                for index, item in waiting:
                    if index not in futures:
                        futures[index] = self._open().submit(attempt, function, index, item)
                index, _ = waiting[0]
                result = futures[index].result()
            except BrokenProcessPool:
                lost += 1
                self._endure(lost)
                futures = {index: future for index, future in futures.items() if _is_finished(future)}
                continue
            waiting.popleft()
            del futures[index]
            yield result

    def _endure(self, lost: int) -> None:
        self.close()
        if lost > LOST_POOLS_ENDURED:
            msg = (
                f"worker processes were killed {lost} times, most often because the machine ran out of memory; "
                "set executor.workers lower and run again: finished work is kept"
            )
            raise InputError(msg)

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # forkserver: a clean process each time, so that threads of libraries here cannot deadlock a fork
            context = multiprocessing.get_context("forkserver")
            self._pool = ProcessPoolExecutor(max_workers=self.workers, mp_context=context)
        return self._pool

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def open_executor(options: Any) -> LocalExecutor:
    """The executor that ``executor:`` in the configuration asks for."""
    return LocalExecutor(workers=options.workers)


EXECUTOR = open_executor
