"""Executors: results in the order of the items, errors as values, bounded look-ahead, and workers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from weakbox.records.errors import ConfigurationError, InputError
from weakbox.runtime.config import ExecutorSettings
from weakbox.runtime.executors.executor import ItemError
from weakbox.runtime.executors.local import LOOK_AHEAD_PER_WORKER, LOST_POOLS_ENDURED, LocalExecutor
from weakbox.runtime.plugins import load_plugin, plugin_names

ROOT = Path(__file__).resolve().parents[1]


def square(number: int) -> int:
    return number * number


def square_slowest_first(number: int) -> int:
    time.sleep(0.05 if number == 0 else 0)
    return number * number


def fail_on_three(number: int) -> int:
    if number == 3:
        msg = "row 3: expected a number"
        raise InputError(msg)
    if number == 4:
        return 1 // 0
    return number


def die_once(item: tuple[int, str]) -> int:
    """Kill the worker the first time item 2 is met; ``item`` names a folder for the memory of it."""
    number, folder = item
    mark = Path(folder) / "died"
    if number == 2 and not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def die_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def fill_the_disk(number: int) -> int:
    raise OSError(28, "No space left on device", "shard-0001.jsonl")


class Counted:
    """Items that say how many of them have been taken."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.total):
            self.taken += 1
            yield number


@pytest.fixture(scope="module")
def two_workers() -> Iterator[LocalExecutor]:
    with closing(LocalExecutor(workers=2)) as executor:
        yield executor


@pytest.fixture(params=[1, 2], ids=["this process", "two processes"])
def executor(request: pytest.FixtureRequest, two_workers: LocalExecutor) -> LocalExecutor:
    return two_workers if request.param == 2 else LocalExecutor(workers=1)


def test_results_come_in_the_order_of_the_items(executor: LocalExecutor) -> None:
    assert list(executor.map(square_slowest_first, range(9))) == [number * number for number in range(9)]


def test_no_items_give_no_results(executor: LocalExecutor) -> None:
    assert list(executor.map(square, [])) == []


def test_an_error_is_a_value_in_the_items_place(executor: LocalExecutor) -> None:
    results = list(executor.map(fail_on_three, range(6)))
    assert [result for result in results if not isinstance(result, ItemError)] == [0, 1, 2, 5]
    unusable, defect = results[3], results[4]
    assert isinstance(unusable, ItemError)
    assert isinstance(defect, ItemError)
    assert (unusable.index, unusable.error_type, unusable.message, unusable.is_input_error) == (
        3,
        "InputError",
        "row 3: expected a number",
        True,
    )
    assert (defect.index, defect.error_type, defect.is_input_error) == (4, "ZeroDivisionError", False)
    assert "in fail_on_three" in defect.traceback


def test_a_full_disk_is_something_the_user_can_act_on(executor: LocalExecutor) -> None:
    (result,) = executor.map(fill_the_disk, [1])
    assert isinstance(result, ItemError)
    assert result.is_input_error
    assert "make room and run again" in result.message


def test_nothing_is_taken_before_a_result_is_asked_for(executor: LocalExecutor) -> None:
    items = Counted(10)
    executor.map(square, items)
    assert items.taken == 0


def test_items_are_taken_as_results_are_asked_for(executor: LocalExecutor) -> None:
    items = Counted(50)
    results = executor.map(square, items)
    bound = 1 if executor.workers == 1 else executor.workers * LOOK_AHEAD_PER_WORKER
    for asked in range(1, 20):
        next(results)
        assert items.taken <= asked - 1 + bound
    assert list(results) == [number * number for number in range(19, 50)]
    assert items.taken == 50


def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path) -> None:
    with closing(LocalExecutor(workers=2)) as executor:
        items = [(number, str(tmp_path)) for number in range(8)]
        assert list(executor.map(die_once, items)) == [number * 10 for number in range(8)]
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_workers_that_die_again_and_again_end_the_run_with_a_remedy() -> None:
    with closing(LocalExecutor(workers=2)) as executor:
        with pytest.raises(InputError, match=f"killed {LOST_POOLS_ENDURED + 1} times.*executor.workers lower"):
            list(executor.map(die_always, range(4)))
        assert list(executor.map(square, range(3))) == [0, 1, 4], "the executor can be used again"


def test_closing_twice_is_harmless() -> None:
    executor = LocalExecutor(workers=2)
    executor.close()
    executor.close()


def test_the_configuration_names_an_executor_file() -> None:
    assert {"local", "dask"} <= set(plugin_names("weakbox.runtime.executors", "EXECUTOR"))
    assert load_plugin("weakbox.runtime.executors", "local", "EXECUTOR")(ExecutorSettings(workers=3)).workers == 3


@pytest.mark.parametrize("options", [{}, {"address": "tcp://127.0.0.1:1", "launch": "slurm"}])
def test_dask_needs_an_address_or_a_launcher_and_not_both(options: dict[str, Any]) -> None:
    pytest.importorskip("distributed")
    open_executor = load_plugin("weakbox.runtime.executors", "dask", "EXECUTOR")
    with pytest.raises(ConfigurationError, match=r"either executor\.address .* or executor\.launch"):
        open_executor(ExecutorSettings(kind="dask", **options))


def sleep_and_square(number: int) -> int:
    time.sleep(0.1)
    return number * number


@pytest.mark.slow
def test_dask_keeps_order_errors_and_bounds_and_survives_a_killed_worker(
    dask_cluster: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    address, workers = dask_cluster
    open_executor = load_plugin("weakbox.runtime.executors", "dask", "EXECUTOR")
    with closing(open_executor(ExecutorSettings(kind="dask", address=address))) as executor:
        assert list(executor.map(square, range(5))) == [0, 1, 4, 9, 16]

        failed = list(executor.map(fail_on_three, range(6)))
        assert [type(result) for result in failed] == [int, int, int, ItemError, ItemError, int]
        assert failed[3].is_input_error

        executor._client.wait_for_workers(2, timeout=60)
        items = Counted(40)
        results = executor.map(sleep_and_square, items)
        first = [next(results) for _ in range(4)]
        assert items.taken <= 4 + 2 * LOOK_AHEAD_PER_WORKER
        workers[0].send_signal(signal.SIGKILL)
        assert first + list(results) == [number * number for number in range(40)]
        assert items.taken == 40


@pytest.mark.slow
def test_an_address_where_no_scheduler_answers_is_named() -> None:
    dask = pytest.importorskip("dask")
    open_executor = load_plugin("weakbox.runtime.executors", "dask", "EXECUTOR")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(ConfigurationError, match="no Dask scheduler answers"):
        open_executor(ExecutorSettings(kind="dask", address="tcp://127.0.0.1:9"))
