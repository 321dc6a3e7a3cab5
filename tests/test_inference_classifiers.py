# ruff: noqa: E402
"""Classifiers through inference: any image, averaged folds and views, and what they looked at."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")
pytest.importorskip("torchvision", reason="inference needs the extra `train`")
pytest.importorskip("monai", reason="inference needs the extra `train`")

from cv_model_experiments.inference import run as infer
from cv_model_experiments.predictions import read_predictions
from cv_model_experiments.training import run as train
from tests.detection_sets import picture_set
from weakbox.exporters.image_manifest import write_manifest
from weakbox.records.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("classes")
    rows = picture_set(folder / "set", 24)
    # One of the test images has no class of its own.
    write_manifest([replace(row, label=None) if row.image_id.endswith("023") else row for row in rows], folder / "set")
    values = {
        "task": "classification",
        "name": "shapes",
        "output": str(folder / "out"),
        "set": {"folder": str(folder / "set")},
        "classes": ["benign", "malignant"],
        "input": {"size": [64, 64]},
        "model": {"name": "light_cnn", "width": 8},
        "learning": {"epochs": 15, "batch_size": 6, "learning_rate": 0.01, "device": "cpu", "loader_threads": 0, "tensorboard": False},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    train(folder / "config.yaml", [], restart=False, profile=False)
    yield folder
    torch.set_num_threads(before)


def test_inference_says_what_training_said_and_looks_at_images_without_a_class(folder: Path, tmp_path: Path) -> None:
    infer([folder / "out"], tmp_path, folder / "set", None, None, None, [])
    own = {row.image_id: row for row in read_predictions(folder / "out/model/predictions").rows}
    found = {row.image_id: row for row in read_predictions(tmp_path).rows}
    assert set(own) <= set(found) and "phantom/picture-023" in found
    for image_id, row in own.items():
        assert found[image_id].probabilities == pytest.approx(dict(row.probabilities), abs=2e-5)


def test_mirrored_views_are_averaged(folder: Path, tmp_path: Path) -> None:
    for name, flips in (("one", "[]"), ("two", "[-1]"), ("again", "[-1]")):
        infer([folder / "out"], tmp_path / name, folder / "set", None, None, None, [f"flips={flips}"])
    said = {name: [row.probabilities["malignant"] for row in read_predictions(tmp_path / name).rows] for name in ("one", "two", "again")}
    assert said["two"] == said["again"] != said["one"]


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_pp", "occlusion"])
def test_evidence_for_the_class_is_drawn(folder: Path, tmp_path: Path, method: str) -> None:
    infer([folder / "out"], tmp_path, folder / "set", None, None, None, [f"explain={method}", "explain_images=3"])
    rows = list(csv.DictReader((tmp_path / "explanations/explanations.csv").open(encoding="utf-8")))
    assert len(rows) == 3 and {row["label"] for row in rows} == {"malignant"}
    assert all((tmp_path / "explanations" / row["file"]).stat().st_size > 1000 for row in rows)


def test_classifiers_and_detectors_are_not_averaged_and_a_broken_picture_is_left_out(folder: Path, tmp_path: Path) -> None:
    picture_set(tmp_path / "set", 8)
    (tmp_path / "set/picture-007.png").write_bytes(b"broken")
    infer([folder / "out"], tmp_path / "p", tmp_path / "set", None, None, None, ["parts=[test]"])
    (row,) = csv.DictReader((tmp_path / "p/left_out.csv").open(encoding="utf-8"))
    assert row["image_id"] == "phantom/picture-007"
    with pytest.raises(InputError, match="no image could be looked at"):
        infer([folder / "out"], tmp_path / "q", tmp_path / "set", None, None, None, ["parts=[]"])
