"""One measured figure, and how it is taken."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A row of the table: what was done, how long it took, what it is compared with."""

    what: str
    value: str
    compared_with: str = ""
    aim: str = ""


def best_of(repeats: int, function: Callable[[], object]) -> float:
    """The shortest of several runs, seconds: the least disturbed by whatever else the machine does."""
    return min(seconds_of(function) for _ in range(repeats))


def seconds_of(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, so that a figure is a core's."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def machine() -> str:
    """The machine in one line, without its name."""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
