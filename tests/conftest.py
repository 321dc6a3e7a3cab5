"""One small simulated cohort and one run over it, shared by the end-to-end tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import configuration_for, run_main, write_configuration


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five simulated patients with images."""
    from weakbox.simulate.cohort import simulate

    folder = tmp_path_factory.mktemp("cohort") / "cohort"
    simulate(folder, patients=5, seed=11, registration_error_mm=3.0, with_images=True)
    return folder


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key of the research identifiers, so that runs can be compared byte for byte."""
    path = tmp_path_factory.mktemp("key") / "research_id.key"
    path.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    return path


@pytest.fixture(scope="session")
def finished_run(cohort: Path, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one whole run over the cohort."""
    folder = tmp_path_factory.mktemp("run")
    config = write_configuration(folder / "configs.yaml", configuration_for(cohort, folder / "output", key_file))
    run_main("--config", str(config))
    return folder / "output"


@pytest.fixture
def configure(cohort: Path, key_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration over the shared cohort with an output folder of its own; returns its path."""

    def write(**sections: Any) -> Path:
        return write_configuration(tmp_path / "configs.yaml", configuration_for(cohort, tmp_path / "output", key_file, **sections))

    return write


@pytest.fixture
def dask_cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two worker processes on this machine, started as a person would: its address, and the workers."""
    pytest.importorskip("distributed")
    announcement = tmp_path / "scheduler.json"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    place = ["--scheduler-file", str(announcement), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *place]
    processes = [subprocess.Popen(scheduler, **quiet)]
    try:
        deadline = time.monotonic() + 60
        while not announcement.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        for name in ("first", "second"):
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", *place, "--nthreads", "1", "--no-nanny", "--name", name]
            processes.append(subprocess.Popen(worker, **quiet))
        yield json.loads(announcement.read_text(encoding="utf-8"))["address"], processes[1:]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
