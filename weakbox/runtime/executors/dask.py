"""An existing Dask cluster, or one that Dask starts on SLURM or Kubernetes. Workers see the run's folder on a shared disk."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import distributed

from weakbox.records.errors import ConfigurationError
from weakbox.runtime.executors.executor import ItemError
from weakbox.runtime.executors.local import LOOK_AHEAD_PER_WORKER, attempt
from weakbox.runtime.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

ROOT = str(Path(__file__).resolve().parents[3])
WAIT_FOR_WORKERS_S = 300


class DaskExecutor:
    """Maps over items on a Dask cluster; work of a worker that dies is done again elsewhere."""

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS_S)
        except TimeoutError:
            msg = f"executor: the Dask scheduler has had no worker for {WAIT_FOR_WORKERS_S} s; start some with `dask worker`"
            raise ConfigurationError(msg) from None
        self._run = _run_pickled()

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, description: str = "", total: int | None = None
    ) -> Iterator[Result | ItemError]:
        """Yield one result or ``ItemError`` for each item, in order, with a bounded number in flight."""
        return track(self._submitted(function, items), description=description, total=total)

    def _submitted(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | ItemError]:
        numbered = enumerate(items)
        waiting: deque[tuple[int, distributed.Future]] = deque()
        while True:
            room = self._look_ahead() - len(waiting)
            waiting.extend((index, self._submit(function, index, item)) for index, item in islice(numbered, max(room, 0)))
            if not waiting:
                return
            yield _result(*waiting.popleft())

    def _submit(self, function: Callable[[Item], Result], index: int, item: Item) -> distributed.Future:
        return self._client.submit(self._run, ROOT, pickle.dumps((attempt, function, index, item)), pure=False)

    def _look_ahead(self) -> int:
        return max(LOOK_AHEAD_PER_WORKER * sum(self._client.nthreads().values()), LOOK_AHEAD_PER_WORKER)

    def close(self) -> None:
        """Leave the cluster; one that was started here is stopped."""
        cluster = self._client.cluster
        self._client.close()
        if cluster is not None:
            cluster.close()


def _result(index: int, future: distributed.Future) -> Any:
    try:
        return pickle.loads(future.result())
    except ModuleNotFoundError as error:
        msg = f"executor: a Dask worker cannot import {error.name!r}; start workers in this project's environment and on a shared disk"
        raise ConfigurationError(msg) from None
    except distributed.KilledWorker as error:
        message = "the worker was killed each time this item was tried, most often for lack of memory; give workers more memory"
        return ItemError(index=index, error_type="KilledWorker", message=message, traceback=str(error), is_input_error=True)


def _run_pickled() -> Callable[[str, bytes], bytes]:
    # Sent by value, and the call as bytes: neither scheduler nor worker can import this project before the path is set.
    def run(root: str, call: bytes) -> bytes:
        import pickle
        import sys

        if root not in sys.path:
            sys.path.insert(0, root)
        attempt, function, index, item = pickle.loads(call)
        return pickle.dumps(attempt(function, index, item))

    run.__module__ = "__main__"
    return run


def open_executor(options: Any) -> DaskExecutor:
    """The executor for ``executor: {kind: dask, ...}``.

    Raises:
        ConfigurationError: neither or both of ``address`` and ``launch``.
    """
    if (options.address is None) == (options.launch is None):
        msg = "executor.kind is `dask`: give either executor.address (tcp://host:8786) or executor.launch (slurm, kubernetes)"
        raise ConfigurationError(msg)
    if options.address is not None:
        try:
            return DaskExecutor(distributed.Client(options.address))
        except (OSError, TimeoutError) as error:
            msg = f"executor.address {options.address}: no Dask scheduler answers ({type(error).__name__}); start one with `dask scheduler`"
            raise ConfigurationError(msg) from None
    cluster = _LAUNCHERS[options.launch](dict(options.launch_options))
    cluster.scale(options.workers or 2)
    return DaskExecutor(distributed.Client(cluster))


def _launch_slurm(options: dict[str, Any]) -> Any:
    from dask_jobqueue.slurm import SLURMCluster

    return SLURMCluster(**options)


def _launch_kubernetes(options: dict[str, Any]) -> Any:
    try:
        from dask_kubernetes.operator import KubeCluster
    except ModuleNotFoundError:
        msg = "executor.launch `kubernetes` needs the package dask-kubernetes; install it beside the extra `cluster`"
        raise ConfigurationError(msg) from None
    return KubeCluster(**options)


_LAUNCHERS: dict[str, Callable[[dict[str, Any]], Any]] = {"slurm": _launch_slurm, "kubernetes": _launch_kubernetes}

EXECUTOR = open_executor
