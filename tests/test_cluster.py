"""The pipeline on a Dask cluster writes what it writes on this machine, also when a worker is killed in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline import ROOT, tree_digests

PATIENCE_S = 240


@pytest.mark.slow
def test_two_dask_workers_one_killed_in_the_middle_write_the_same_bytes(
    dask_cluster: tuple[str, list[subprocess.Popen[bytes]]], configure: Callable[..., Path], finished_run: Path, tmp_path: Path
) -> None:
    address, workers = dask_cluster
    config = configure(executor={"kind": "dask", "address": address})
    run = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "--config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    cases = tmp_path / "output" / "dataset" / "cases"
    deadline = time.monotonic() + PATIENCE_S
    while run.poll() is None and not (cases.exists() and any(cases.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run.poll() is None, "the run ended before a worker could be killed"
    workers[0].send_signal(signal.SIGKILL)
    _, errors = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, errors.decode()
    assert tree_digests(tmp_path / "output") == tree_digests(finished_run)
