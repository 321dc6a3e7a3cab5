"""Every public set, from its tree on disk to boxes on exported images: detected, read, converted, put in a part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import main
from weakbox.datasets_public.searching import dataset_names, load_dataset, search
from weakbox.exporters.image_manifest import read_manifest
from weakbox.imaging.projection import read_projection
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase
from weakbox.runtime.plugins import load_plugin, plugin_names
from weakbox.runtime.store import Store
from weakbox.simulate.public.tree import CONSTANT, PACKAGE, PlantedImage, PlantedTree, PublicTree

PATIENTS = 6
SEED = 11
SHARDS = 2
CONFIGURATION = """
inputs:
  public: {roots: [tree], datasets: [DATASET]}
output: {folder: output}
labels: {dataset: end-to-end, policy: {breast: {birads: {"0": benign, "1": normal, "2": benign, "3": benign, "4": malignant,
  "4A": malignant, "4B": malignant, "4C": malignant, "5": malignant, "6": malignant}}}}
export: {exporters: [nifti], images: IMAGES}
curation: {duplicates: {near_distance: -1, drop: []}}
executor: {workers: 1, shards: 2}
"""
"""Phantoms look alike, so nothing is taken for a copy, and the policy leaves nothing out."""
NATIVE = "{long_side: null, smallest_box: 1}"
SHRUNK = "{long_side: 150, region: breast, smallest_box: 1}"
FLAT = [name for name in plugin_names(PACKAGE, CONSTANT) if load_dataset(name).card.modalities != ("MR",)]


def test_every_set_has_a_tree() -> None:
    assert set(dataset_names()) == set(plugin_names(PACKAGE, CONSTANT))


@lru_cache(maxsize=1)
def planted(name: str, folder: Path) -> PlantedTree:
    tree: PublicTree = load_plugin(PACKAGE, name, CONSTANT)
    return tree.write(folder / "tree" / name, PATIENTS, SEED)


def build(name: str, folder: Path, images: str = NATIVE) -> tuple[PlantedTree, dict[str, ImageRow], list[CuratedCase]]:
    truth = planted(name, folder)
    text = CONFIGURATION.replace("DATASET", name).replace("IMAGES", images)
    (folder / "configs.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main.app, ["--config", str(folder / "configs.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = {row.series_key: row for row in read_manifest(folder / "output" / "dataset" / "images.parquet")}
    store = Store(folder / "output" / "public_store", SHARDS)
    return truth, rows, [case for case in store.read_all("postprocessing") if isinstance(case, CuratedCase)]


def pairs(name: str, folder: Path, truth: PlantedTree, cases: list[CuratedCase]) -> Iterator[tuple[PlantedImage, CuratedCase, Series]]:
    """Planted images with the series that were read from their files."""
    root = folder / "tree" / name
    by_path = {path: (case, series) for case in cases for series in case.study.series for path in paths_of(series)}
    by_folder = {path.parent: found for path, found in by_path.items()}
    for image in truth.images:
        path = (root / image.path).resolve()
        found = by_path.get(path) or by_folder.get(path)
        if found is not None:
            yield image, *found


def paths_of(series: Series) -> list[Path]:
    return [Path(path).resolve() for path in ([series.volume_path] if series.volume_path else [one.path for one in series.instances])]


def covered_share(start: tuple[float, ...], stop: tuple[float, ...], low: tuple[float, ...], high: tuple[float, ...]) -> float:
    """The share of the planted lesion start..stop that the box low..high covers."""
    inside = [max(0.0, min(b, d) - max(a, c)) / (b - a) for a, b, c, d in zip(start, stop, low, high, strict=True)]
    return float(np.prod(inside))


@pytest.mark.parametrize("name", dataset_names())
def test_a_set_is_found_read_exported_and_its_boxes_cover_the_planted_lesions(name: str, tmp_path: Path) -> None:
    truth, rows, cases = build(name, tmp_path)
    matched = list(pairs(name, tmp_path, truth, cases))
    assert matched, "no planted image was read"
    lesions = covered = 0
    for image, _, series in matched:
        row = rows.get(series.key)
        for lesion in image.lesions if row else ():
            if lesion.is_annotated:
                lesions += 1
                assert row is not None
                covered += any(covered_share(lesion.start, lesion.stop, box.start, box.stop) > 0.75 for box in row.boxes)
    assert covered == lesions
    if load_dataset(name).card.annotations and any(lesion.is_annotated for image in truth.images for lesion in image.lesions):
        assert lesions > 0
    for row in rows.values():
        assert (tmp_path / "output" / "dataset" / row.image_path).is_file()
        assert row.split in ("train", "validation", "test")
        assert row.licence
        assert row.dataset == name


@pytest.mark.parametrize("name", FLAT)
def test_boxes_move_with_the_image_when_it_is_cropped_and_shrunk(name: str, tmp_path: Path) -> None:
    truth, native, cases = build(name, tmp_path)
    _, shrunk, _ = build(name, tmp_path, SHRUNK)
    checked = 0
    for image, _, series in pairs(name, tmp_path, truth, cases):
        before, after = native.get(series.key), shrunk.get(series.key)
        if before is None or after is None or not before.boxes:
            continue
        assert after.columns is not None
        assert after.rows is not None
        assert max(after.columns, after.rows) <= 150
        assert len(after.boxes) == len(before.boxes), image.path
        small = read_projection(tmp_path / "output" / "dataset" / after.image_path).pixels
        whole = read_projection(load_source(series)).pixels
        assert small.shape[:2] == (after.rows, after.columns)
        for box, moved in zip(before.boxes, after.boxes, strict=True):
            assert box.label_id == moved.label_id
            if min(*np.subtract(moved.stop, moved.start)) >= SMALLEST_SEEN:
                first, second = contrast(whole, box), contrast(small, moved)
                assert second > 0.4 * first, image.path
                checked += first > 0.1
    has_boxes = any(row.boxes for row in native.values())
    assert (checked > 0) == has_boxes


SMALLEST_SEEN = 5
"""Pixels of a moved box's side from which its contents can be told from its surroundings."""


def load_source(series: Series) -> str:
    return series.volume_path or series.instances[0].path


def contrast(pixels: np.ndarray, box: ImageBox) -> float:
    """How far the middle of a box differs from the ring around it, as a share of the image's range (MONOCHROME1 is stored dark)."""
    grey = pixels.astype(float) if pixels.ndim == 2 else pixels.astype(float).mean(axis=2)
    (x0, y0), (x1, y1) = box.start, box.stop
    rows, columns = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]] + 0.5
    across, down = np.abs(columns - (x0 + x1) / 2) / (x1 - x0), np.abs(rows - (y0 + y1) / 2) / (y1 - y0)
    distance = np.maximum(across, down)
    return abs(float(grey[distance <= 0.3].mean() - np.median(grey[(distance > 0.55) & (distance < 0.9)]))) / float(np.ptp(grey))


@pytest.mark.parametrize("name", ["mias", "cbis_ddsm", "isic_2018", "picai"])
def test_a_second_run_does_nothing_and_a_fresh_one_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    build(name, tmp_path)
    dataset = tmp_path / "output" / "dataset"
    first = {path.relative_to(dataset): path.read_bytes() for path in sorted(dataset.rglob("*")) if path.is_file()}
    times = {path: path.stat().st_mtime_ns for path in sorted(dataset.rglob("*")) if path.is_file()}
    build(name, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in sorted(dataset.rglob("*")) if path.is_file()} == times
    (tmp_path / "output").rename(tmp_path / "before")
    build(name, tmp_path)
    assert {path.relative_to(dataset): path.read_bytes() for path in sorted(dataset.rglob("*")) if path.is_file()} == first


def test_sets_are_told_apart_where_they_lie_side_by_side(tmp_path: Path) -> None:
    names = ("mias", "ham10000", "isic_2019", "cmmd", "isic_archive", "rsna_mammography")
    for name in names:
        tree: PublicTree = load_plugin(PACKAGE, name, CONSTANT)
        tree.write(tmp_path / "kept here" / name, 2, SEED)
    found = {located.dataset: located for located in search([tmp_path], dataset_names())}
    for name in names:
        assert name in found
        assert found[name].folder.is_relative_to(tmp_path / "kept here" / name)


def test_two_copies_of_a_set_are_two_places(tmp_path: Path) -> None:
    tree: PublicTree = load_plugin(PACKAGE, "mias", CONSTANT)
    for copy in ("first", "second"):
        tree.write(tmp_path / copy, 2, SEED)
    assert len(list(search([tmp_path], ["mias"]))) == 2


def test_the_example_configuration_runs_on_the_trees_that_its_first_lines_make(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[1] / "docs" / "examples" / "public.yaml"
    (tmp_path / "public.yaml").write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    runner = CliRunner()
    names = [argument for name in ("cbis_ddsm", "vindr_mammo", "mias", "inbreast") for argument in ("--dataset", name)]
    made = runner.invoke(main.app, ["simulate-public", str(tmp_path / "public"), *names, "--patients", "4"])
    assert made.exit_code == 0, made.output
    result = runner.invoke(main.app, ["--config", str(tmp_path / "public.yaml"), "--set", "executor.workers=1"])
    assert result.exit_code == 0, result.output
    drawn = runner.invoke(main.app, ["report", "--config", str(tmp_path / "public.yaml")])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "public_output" / "report" / "report.html").stat().st_size > 100_000
