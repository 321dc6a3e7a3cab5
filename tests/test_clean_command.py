"""`main.py clean`: only what can be made again, only after a yes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import main

CONFIGURATION = "output:\n  folder: output\n"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "configs.yaml").write_text(CONFIGURATION, encoding="utf-8")
    for name in ("store/extraction/shard.jsonl", "dataset/cases/a/t2w.nii.gz", "private/research_id.key", "review/decisions.jsonl"):
        path = tmp_path / "output" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 2048)
    return tmp_path


def clean(folder: Path, *arguments: str, answers: str = "") -> str:
    result = CliRunner().invoke(main.app, ["clean", "--config", str(folder / "configs.yaml"), *arguments], input=answers)
    assert result.exit_code == 0, result.output
    return result.output


def test_nothing_is_removed_without_a_yes(run_folder: Path) -> None:
    before = sorted(run_folder.rglob("*"))
    clean(run_folder, answers="n\nn\n")
    assert sorted(run_folder.rglob("*")) == before


def test_each_is_asked_about_by_itself(run_folder: Path) -> None:
    said = clean(run_folder, answers="y\nn\n")
    removed = [line.removeprefix("removed: ") for line in said.splitlines() if line.startswith("removed: ")]
    assert len(removed) == 1
    assert sum((run_folder / "output" / name).exists() for name in ("store", "dataset")) == 1


def test_keys_and_decisions_stay_even_with_yes(run_folder: Path) -> None:
    clean(run_folder, "--yes")
    kept = {path.relative_to(run_folder / "output").as_posix() for path in (run_folder / "output").rglob("*") if path.is_file()}
    assert kept == {"private/research_id.key", "review/decisions.jsonl"}


def test_sizes_and_the_way_back_are_said(run_folder: Path) -> None:
    said = clean(run_folder, answers="n\nn\n")
    assert "0.0 MiB" in said
    assert "made again by the next run" in said


def test_a_clean_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "configs.yaml").write_text(CONFIGURATION, encoding="utf-8")
    assert "nothing to remove" in clean(tmp_path)
