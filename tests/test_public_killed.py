"""Public sets: killed with SIGKILL in any stage, the next run ends with the same bytes and does not convert twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline import ROOT, tree_digests
from tests.public_site import PublicSite, digests

PATIENCE_S = 60


@pytest.fixture
def site(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PublicSite:
    (tmp_path / "tree").mkdir()
    return PublicSite(tmp_path, tmp_path_factory.mktemp("healthy"))


def killed_when(config: Path, has_begun: Callable[[], bool]) -> bool:
    """Start a run, and SIGKILL it with all its workers as soon as the condition holds. Whether it was still running."""
    words = [sys.executable, str(ROOT / "main.py"), "--config", str(config)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if has_begun():
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    return process.wait() == -signal.SIGKILL


def whole_run(site: PublicSite, config: Path) -> dict[str, str]:
    """What an undisturbed run leaves; its folder goes."""
    assert site.command("--config", str(config)).code == 0
    made = tree_digests(site.folder / "output")
    shutil.rmtree(site.folder / "output")
    return made


def comes_up(folder: Path, pattern: str, count: int = 1) -> Callable[[], bool]:
    """Whether so many files of that pattern are there."""
    return lambda: folder.exists() and sum(1 for _ in folder.rglob(pattern)) >= count


@pytest.mark.parametrize(("name", "pattern"), [("mias", "*.png"), ("picai", "*.nii.gz")])
def test_a_run_killed_while_it_exports_goes_on_to_the_same_bytes(site: PublicSite, name: str, pattern: str) -> None:
    site.plant(name, 6)
    config = site.configuration(name)
    whole = whole_run(site, config)
    before = digests(site.tree)
    assert killed_when(config, comes_up(site.dataset / "public", pattern, 3)), "the run ended before it could be killed"
    assert not (site.dataset / "set.lock.json").exists()
    assert site.command("--config", str(config)).code == 0
    assert tree_digests(site.folder / "output") == whole
    assert digests(site.tree) == before
    assert not [path for path in site.dataset.rglob("*") if path.suffix in (".part", ".tmp", ".partial")]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["reading", "postprocessing", "export"])
def test_a_run_killed_in_a_stage_ends_like_one_that_was_not(site: PublicSite, stage: str) -> None:
    site.plant("cbis_ddsm", 6)
    site.plant("isic_2019", 12)
    config = site.configuration("cbis_ddsm", "isic_2019")
    whole = whole_run(site, config)
    assert killed_when(config, comes_up(site.folder / "output" / "public_store" / stage, "*"))
    assert site.command("--config", str(config)).code == 0
    assert tree_digests(site.folder / "output") == whole


@pytest.mark.slow
def test_a_run_killed_while_the_set_is_described_ends_the_same(site: PublicSite) -> None:
    site.plant("isic_2019", 12)
    config = site.configuration("isic_2019", export={"exporters": ["nifti"], "images": {"augmented_copies": 2}})
    whole = whole_run(site, config)
    assert killed_when(config, comes_up(site.dataset, "images.csv*"))
    assert site.command("--config", str(config)).code == 0
    assert tree_digests(site.folder / "output") == whole
    assert not list((site.folder / "output").rglob("curation_*")), "what a killed run spilled is still there"


@pytest.mark.slow
def test_a_run_killed_again_and_again_converts_no_finished_part_twice(site: PublicSite) -> None:
    site.plant("mias", 8)
    config = site.configuration("mias", executor={"workers": 1, "shards": 8})
    whole = whole_run(site, config)
    finished = site.folder / "output" / "public_store" / "export"
    kept: dict[Path, int] = {}
    for shards in (1, 3, 5):
        killed_when(config, comes_up(finished, "*.manifest.json", shards))
        now = {path: path.stat().st_mtime_ns for path in finished.glob("*.manifest.json")}
        assert kept.items() <= now.items()
        kept = now
    assert site.command("--config", str(config)).code == 0
    assert tree_digests(site.folder / "output") == whole
