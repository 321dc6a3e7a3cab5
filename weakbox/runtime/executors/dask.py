"""An existing Dask cluster, or one that Dask starts on SLURM or Kubernetes. Workers see the run's folder on a shared disk."""

from __future__ import annotations

import sys
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

WAIT_FOR_WORKERS_S = 300
RETRIES_AFTER_LOST_WORKER = 3


class DaskExecutor:
    """Maps over items on a Dask cluster; work of a worker that dies is done again elsewhere."""

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        root = str(Path(__file__).resolve().parents[3])
        client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS_S)
        client.register_plugin(_project_on_path(root))

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, description: str = "", total: int | None = None
    ) -> Iterator[Result | ItemError]:
        """Yield one result or ``ItemError`` for each item, in order, with a bounded number in flight."""
        return track(self._submitted(function, items), description=description, total=total)

    def _submitted(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | ItemError]:
        numbered = enumerate(items)
        waiting: deque[distributed.Future] = deque()
        while True:
            room = self._look_ahead() - len(waiting)
            waiting.extend(self._submit(function, index, item) for index, item in islice(numbered, max(room, 0)))
            if not waiting:
                return
            yield waiting.popleft().result()

    def _submit(self, function: Callable[[Item], Result], index: int, item: Item) -> distributed.Future:
        return self._client.submit(attempt, function, index, item, pure=False, retries=RETRIES_AFTER_LOST_WORKER)

    def _look_ahead(self) -> int:
        return max(LOOK_AHEAD_PER_WORKER * sum(self._client.nthreads().values()), LOOK_AHEAD_PER_WORKER)

    def close(self) -> None:
        """Leave the cluster; one that was started here is stopped."""
        cluster = self._client.cluster
        self._client.close()
        if cluster is not None:
            cluster.close()


def _project_on_path(root: str) -> distributed.WorkerPlugin:
    # defined here so that cloudpickle sends it by value: a worker cannot import this project before it has run
    class ProjectOnPath(distributed.WorkerPlugin):
        name = "weakbox-project-on-path"

        def setup(self, worker: Any) -> None:
            if root not in sys.path:
                sys.path.insert(0, root)

    ProjectOnPath.__module__ = "__main__"
    return ProjectOnPath()


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
            msg = f"executor.address {options.address}: no Dask scheduler answers there ({type(error).__name__}); start one with `dask scheduler`"
            raise ConfigurationError(msg) from None
    cluster = _LAUNCHERS[options.launch](dict(options.launch_options))
    cluster.scale(options.workers or 2)
    return DaskExecutor(distributed.Client(cluster))


def _launch_slurm(options: dict[str, Any]) -> Any:
    from dask_jobqueue import SLURMCluster

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
