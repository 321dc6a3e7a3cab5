"""Masks of public 3-D sets leave as they were drawn, on the reference grid, each lesion under its own number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.exporters.drawn_masks import paint_drawn
from weakbox.exporters.image_manifest import read_manifest
from weakbox.imaging.boxes import box_over
from weakbox.imaging.segmentations import read_mask
from weakbox.imaging.volumes import Volume, write_nifti
from weakbox.records.grid import Grid
from weakbox.records.label import MaskFile

SPACING = (0.7, 0.9, 3.0)


def grid(shape: tuple[int, int, int], angle: float, origin: tuple[float, float, float] = (3.0, -20.0, 7.0), scale: float = 1.0) -> Grid:
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) * np.array(SPACING) * scale
    matrix[:3, 3] = origin
    return Grid.from_matrix(matrix, shape, "1.2.3")


def planted(shape: tuple[int, int, int]) -> np.ndarray:
    """An asymmetric lesion [k, j, i] and, apart from it, another."""
    array = np.zeros(shape[::-1], np.uint8)
    array[2:5, 6:9, 10:15] = 1
    array[3, 6, 14:17] = 1
    array[7, 20:24, 3:6] = 3
    return array


def corner_points(array: np.ndarray, on: Grid) -> list[tuple[float, float, float]]:
    voxels = np.argwhere(array)[:, ::-1]
    ends = [voxels.min(axis=0) - 0.5, voxels.max(axis=0) + 0.5]
    places = [(ends[a][0], ends[b][1], ends[c][2]) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    return [tuple(float(value) for value in point) for point in on.to_lps(np.array(places))]  # type: ignore[misc]


@settings(max_examples=15, deadline=None)
@given(angle=st.floats(-0.6, 0.6))
def test_a_mask_on_the_reference_grid_comes_back_voxel_for_voxel(angle: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("masks")
    on = grid((32, 28, 10), angle)
    drawn = planted(on.shape)
    write_nifti(Volume(drawn, on), folder / "mask.nii.gz")
    array = np.zeros(on.shape[::-1], np.uint8)
    for number, value in ((1, 1), (2, 3)):
        box = box_over(corner_points(drawn == value, on), on, "t2", 0.0)
        paint_drawn(array, on, box, MaskFile(path=str(folder / "mask.nii.gz"), series_key="t2"), number)
    assert np.array_equal(array, np.where(drawn == 3, 2, drawn))


def test_lesions_of_one_file_are_told_apart_by_their_boxes(tmp_path: Path) -> None:
    on = grid((32, 28, 10), 0.2)
    drawn = planted(on.shape)
    write_nifti(Volume((drawn > 0).astype(np.uint8), on), tmp_path / "mask.nii.gz")
    array = np.zeros(on.shape[::-1], np.uint8)
    box = box_over(corner_points(drawn == 3, on), on, "t2", 0.0)
    paint_drawn(array, on, box, MaskFile(path=str(tmp_path / "mask.nii.gz"), series_key="t2"), 7)
    assert np.array_equal(array == 7, drawn == 3)


def test_a_mask_on_another_grid_is_put_in_its_place(tmp_path: Path) -> None:
    on, other = grid((32, 28, 10), 0.0), grid((64, 56, 20), 0.0, scale=0.5)
    drawn = np.zeros(other.shape[::-1], np.uint8)
    drawn[4:10, 12:18, 20:30] = 2
    write_nifti(Volume(drawn, other), tmp_path / "mask.nii.gz")
    array = np.zeros(on.shape[::-1], np.uint8)
    box = box_over(corner_points(drawn, other), on, "t2", 0.0)
    paint_drawn(array, on, box, MaskFile(path=str(tmp_path / "mask.nii.gz"), series_key="t2", value=2), 1)
    volume = float((array > 0).sum()) * float(np.prod(SPACING))
    assert volume == pytest.approx(float((drawn > 0).sum()) * float(np.prod(SPACING)) / 8, rel=0.35)
    centre, planted_centre = (one.to_lps(np.argwhere(mask)[:, ::-1].mean(axis=0)) for one, mask in ((on, array), (other, drawn)))
    assert np.linalg.norm(centre - planted_centre) < 1.5


def test_the_manifest_of_a_set_with_drawn_lesions_points_at_them(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    import main
    from weakbox.runtime.plugins import load_plugin

    load_plugin("weakbox.simulate.public", "picai", "TREE").write(tmp_path / "tree", 6, 3)
    inputs = "inputs: {public: {roots: [tree], datasets: [picai]}}"
    text = "\n".join((inputs, "output: {folder: output}", "export: {exporters: [nifti]}", "executor: {workers: 1}"))
    (tmp_path / "configs.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main.app, ["--config", str(tmp_path / "configs.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    dataset = tmp_path / "output" / "dataset"
    rows = [row for row in read_manifest(dataset / "images.parquet") if row.boxes]
    drawn = [row for row in rows if row.mask_path and row.mask_path.endswith("drawn_mask.nii.gz")]
    assert drawn
    for row in drawn:
        array, _ = read_mask(dataset / str(row.mask_path))
        for box in row.boxes:
            (i0, j0, k0), (i1, j1, k1) = ([int(value) for value in end] for end in (box.start, box.stop))
            inside = array[k0:k1, j0:j1, i0:i1]
            assert (inside > 0).any(axis=(0, 1)).all()
            assert (inside > 0).any(axis=(1, 2)).all()
