"""Augmented copies on disk: of training images only, the same bytes each time, boxes and masks carried along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import main
from weakbox.exporters.image_manifest import read_manifest
from weakbox.imaging.projection import read_projection

CONFIGURATION = """
inputs: {public: {roots: [tree], datasets: [SET]}}
output: {folder: output}
export: {exporters: [nifti], images: {augmented_copies: COPIES}}
curation: {duplicates: {near_distance: -1}}
executor: {workers: 1, shards: 2}
"""


def build(folder: Path, name: str, copies: int) -> Path:
    if not (folder / "tree").exists():
        made = CliRunner().invoke(main.app, ["simulate-public", str(folder / "tree"), "--dataset", name, "--patients", "8"])
        assert made.exit_code == 0, made.output
    (folder / "configs.yaml").write_text(CONFIGURATION.replace("SET", name).replace("COPIES", str(copies)), encoding="utf-8")
    result = CliRunner().invoke(main.app, ["--config", str(folder / "configs.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / "output" / "dataset"


def test_only_training_images_get_copies_and_the_set_itself_does_not_change(tmp_path: Path) -> None:
    dataset = build(tmp_path, "ham10000", 0)
    plain = (dataset / "images.parquet").read_bytes()
    build(tmp_path, "ham10000", 2)
    assert (dataset / "images.parquet").read_bytes() == plain
    rows = {row.image_id: row for row in read_manifest(dataset / "images.parquet")}
    copies = list(read_manifest(dataset / "augmented" / "images.parquet"))
    training = [row for row in rows.values() if row.split == "train"]
    assert len(copies) == 2 * len(training) > 0
    assert {rows[copy.image_id.partition("#")[0]].split for copy in copies} == {"train"}


def test_boxes_and_masks_move_with_the_copies(tmp_path: Path) -> None:
    dataset = build(tmp_path, "ham10000", 2)
    checked = 0
    for copy in read_manifest(dataset / "augmented" / "images.parquet"):
        image = read_projection(dataset / "augmented" / copy.image_path).pixels
        assert image.shape[:2] == (copy.rows, copy.columns)
        if copy.mask_path and copy.boxes:
            mask = read_projection(dataset / "augmented" / copy.mask_path).pixels > 0
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            around = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            assert np.allclose(around, (*copy.boxes[0].start, *copy.boxes[0].stop), atol=1.0)
            checked += 1
    assert checked


def test_a_mammogram_is_never_turned_or_flipped(tmp_path: Path) -> None:
    dataset = build(tmp_path, "mias", 1)
    rows = {row.image_id: row for row in read_manifest(dataset / "images.parquet")}
    for copy in read_manifest(dataset / "augmented" / "images.parquet"):
        original = rows[copy.image_id.partition("#")[0]]
        before = read_projection(dataset / original.image_path).pixels.astype(float)
        after = read_projection(dataset / "augmented" / copy.image_path).pixels.astype(float)
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9
        assert [(box.start, box.stop) for box in copy.boxes] == [(box.start, box.stop) for box in original.boxes]


def test_asking_for_none_removes_earlier_copies(tmp_path: Path) -> None:
    dataset = build(tmp_path, "mias", 1)
    assert (dataset / "augmented").is_dir()
    build(tmp_path, "mias", 0)
    assert not (dataset / "augmented").exists()


def test_copies_of_16_bit_images_are_refused_before_any_work(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("augmented_copies: COPIES", "augmented_copies: 1, bits: 16").replace("SET", "mias")
    (tmp_path / "configs.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main.app, ["--config", str(tmp_path / "configs.yaml")])
    assert result.exit_code == 2
    assert "8-bit" in result.output


@pytest.mark.parametrize("folder", ["tree"])
def test_a_simulated_tree_never_overwrites_a_folder(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder / "mias").mkdir(parents=True)
    result = CliRunner().invoke(main.app, ["simulate-public", str(tmp_path / folder), "--dataset", "mias"])
    assert result.exit_code == 2
    assert "is there already" in result.output
