"""Killed with SIGKILL at any stage, the next run finishes with byte-identical output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline import ROOT, run_main, tree_digests

STAGES = ("reading", "preprocessing", "extraction", "matching", "postprocessing", "export")
PATIENCE_S = 120


def _start(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill_once(process: subprocess.Popen[bytes], has_begun: Callable[[], bool]) -> bool:
    """SIGKILL the whole process group as soon as the stage has begun to write. Returns whether it was still running."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if has_begun():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return process.returncode == -signal.SIGKILL
        time.sleep(0.002)
    process.wait()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_in_a_stage_ends_like_one_that_was_not(
    stage: str, configure: Callable[..., Path], finished_run: Path, tmp_path: Path
) -> None:
    config = configure()
    folder = tmp_path / "output" / "store" / stage
    was_killed = _kill_once(_start(config), lambda: folder.exists() and any(folder.iterdir()))
    assert was_killed, f"the run ended before stage {stage} could be killed"
    run_main("--config", str(config))
    assert tree_digests(tmp_path / "output") == tree_digests(finished_run)


@pytest.mark.slow
def test_a_run_killed_while_cases_are_written_leaves_no_half_written_case(
    configure: Callable[..., Path], finished_run: Path, tmp_path: Path
) -> None:
    config = configure()
    cases = tmp_path / "output" / "dataset" / "cases"
    assert _kill_once(_start(config), lambda: cases.exists() and any(cases.iterdir()))
    run_main("--config", str(config))
    assert tree_digests(tmp_path / "output") == tree_digests(finished_run)
