# ruff: noqa: E402
"""Training and inference of tiny detectors through their command lines, on sets and on raw studies."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")
pytest.importorskip("monai", reason="inference needs the extra `train`")

from typer.testing import CliRunner

from cv_model_experiments.detection.model_file import load_model
from cv_model_experiments.inference import app
from cv_model_experiments.inference import run as infer
from cv_model_experiments.predictions import read_predictions
from cv_model_experiments.training import run as train
from tests.detection_sets import detection_settings, picture_set, volume_set
from weakbox.imaging.volumes import read_volume_file
from weakbox.records.errors import ConfigurationError, InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(folder: Path, **changes: Any) -> Path:
    values = detection_settings(folder / "set", folder / "out", **changes)
    (folder / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    train(folder / "config.yaml", [], restart=False, profile=False)
    return folder


@pytest.fixture(scope="module")
def retina(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of RetinaNet on volumes."""
    folder = tmp_path_factory.mktemp("retina")
    volume_set(folder / "set")
    return trained(folder, folds="all")


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmentation")
    volume_set(folder / "set")
    return trained(folder, method="segmentation", segmentation={"least_voxels": 3}, network={"widths": [8, 16, 24]})


def test_folds_learn_and_their_predictions_are_out_of_fold(retina: Path) -> None:
    pooled = read_predictions(retina / "out/predictions")
    assert {row.split for row in pooled.rows} == {"validation", "test"}
    for row in pooled.rows:
        if row.split == "validation":
            assert row.image_id not in pooled.header.trained_on[str(row.fold)]
    summary = list(csv.DictReader((retina / "out/folds.csv").open(encoding="utf-8")))
    assert len(summary) == 2 and all(float(row["validation_average_precision"]) > 0.5 for row in summary)


def test_anchors_and_counts_are_on_record(retina: Path) -> None:
    content = json.loads((retina / "out/fold_0/run.json").read_text(encoding="utf-8"))
    assert content["anchors"]["mean_overlap"] > 0.5
    assert content["samples"]["train"]["without_lesion"] > 0


def test_the_models_of_all_folds_are_averaged_on_test_and_kept_apart_on_their_own_images(retina: Path, tmp_path: Path) -> None:
    said = infer([retina / "out"], tmp_path, retina / "set", None, None, None, ["flips=[-1]"])
    assert "16 images" in said
    found = read_predictions(tmp_path)
    assert {(row.split, row.fold) for row in found.rows} == {("validation", 0), ("validation", 1), ("test", None)}
    scored = {row["image_id"] for row in csv.DictReader((tmp_path / "boxes.csv").open(encoding="utf-8"))}
    assert scored == {row.image_id for row in found.rows if row.boxes}


def test_a_second_run_says_the_same(retina: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        infer([retina / "out/fold_0/model.pt"], tmp_path / name, retina / "set", None, None, None, ["parts=[test]"])
    for file in ("predictions.parquet", "boxes.csv", "predictions.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("which", ["retina", "segmentation"])
def test_detection_maps_hold_the_candidates_and_picai_eval_reads_them(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    pytest.importorskip("picai_eval", reason="picai_eval is in the extra `train`")
    from picai_eval import evaluate

    folder: Path = request.getfixturevalue(which)
    infer([folder / "out"], tmp_path, folder / "set", None, None, None, ["parts=[test]"])
    found = read_predictions(tmp_path)
    maps = [read_volume_file(tmp_path / str(row.detection_map_path), None).array for row in found.rows]
    for row, one in zip(found.rows, maps, strict=True):
        assert float(one.max()) == pytest.approx(row.boxes[0].score if row.boxes else 0.0, abs=1e-5)
    labels = [np.zeros(one.shape, np.uint8) for one in maps]
    labels[0][maps[0] == maps[0].max()] = 1
    assert evaluate(maps, labels).AP > 0


def test_segmentation_finds_the_lesions_of_the_test_part(segmentation: Path) -> None:
    from cv_model_experiments.evaluation.boxes import box_array, overlaps
    from weakbox.exporters.image_manifest import read_manifest

    rows = {row.image_id: row for row in read_manifest(segmentation / "set/images.parquet")}
    best = []
    for said in read_predictions(segmentation / "out/model/predictions").rows:
        lesions = box_array([(box.start, box.stop) for box in rows[said.image_id].boxes], 3)
        candidates = box_array([(box.start, box.stop) for box in said.boxes[:2]], 3)
        if len(lesions):
            best.append(overlaps(lesions, candidates).max() if len(candidates) else 0.0)
    assert np.mean(best) > 0.3


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_pp", "occlusion"])
def test_evidence_is_drawn_and_peaks_in_lesions(retina: Path, tmp_path: Path, method: str) -> None:
    count = 2 if method == "occlusion" else 4
    infer([retina / "out/fold_0"], tmp_path, retina / "set", None, None, None, [f"explain={method}", f"explain_images={count}"])
    rows = list(csv.DictReader((tmp_path / "explanations/explanations.csv").open(encoding="utf-8")))
    assert len(rows) == count and all((tmp_path / "explanations" / row["file"]).is_file() for row in rows)
    judged = [row["peak_in_lesion"] == "True" for row in rows if row["peak_in_lesion"]]
    assert sum(judged) >= len(judged) / 2


def test_pictures_of_two_classes_take_the_same_path(tmp_path: Path) -> None:
    picture_set(tmp_path / "set")
    changes = {"images": {"size": [64, 48]}, "patches": {"size": [48, 48]}, "lesions": {"classes": ["benign", "malignant"]}}
    trained(tmp_path, **changes)
    found = read_predictions(tmp_path / "out/model/predictions")
    assert {box.label for row in found.rows for box in row.boxes} <= {"benign", "malignant"}
    assert all(len(box.start) == 2 and box.stop[0] <= 44 and box.stop[1] <= 60 for row in found.rows for box in row.boxes)
    assert any(row.boxes for row in found.rows)


def test_models_that_find_different_things_are_not_averaged(retina: Path, tmp_path: Path) -> None:
    picture_set(tmp_path / "set")
    values = {"images": {"size": [64, 48]}, "patches": {"size": [48, 48]}}
    values["learning"] = detection_settings(tmp_path, tmp_path)["learning"] | {"epochs": 1, "monitor": "loss", "monitor_mode": "min"}
    trained(tmp_path, **values)
    with pytest.raises(InputError, match="cannot be averaged"):
        infer([retina / "out", tmp_path / "out"], tmp_path / "p", retina / "set", None, None, None, [])
    with pytest.raises(InputError, match="no picture in"):
        infer([tmp_path / "out"], tmp_path / "p", retina / "set", None, None, None, [])


def test_a_broken_volume_is_left_out_by_name_and_the_others_go_on(retina: Path, tmp_path: Path) -> None:
    volume_set(tmp_path / "set", 8)
    (tmp_path / "set/cases/case-007/case-007_adc_on_reference.nii.gz").write_bytes(b"not a volume")
    infer([retina / "out/fold_0"], tmp_path / "p", tmp_path / "set", None, None, None, ["parts=[test]"])
    (row,) = csv.DictReader((tmp_path / "p/left_out.csv").open(encoding="utf-8"))
    assert row["image_id"] == "phantom/case-007" and "cannot be read" in row["reason"]
    assert [said.image_id for said in read_predictions(tmp_path / "p").rows] == ["phantom/case-006"]


def test_files_that_are_no_models_are_refused_with_a_sentence(retina: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as a trained model"):
        infer([tmp_path], tmp_path / "p", retina / "set", None, None, None, [])
    with pytest.raises(InputError, match=r"give model\.pt"):
        infer([retina / "out/fold_0/best.pt"], tmp_path / "p", retina / "set", None, None, None, [])
    with pytest.raises(InputError, match=r"no model\.pt"):
        infer([tmp_path / "nothing"], tmp_path / "p", retina / "set", None, None, None, [])
    with pytest.raises(ConfigurationError, match="did you mean"):
        infer([retina / "out"], tmp_path / "p", retina / "set", None, None, None, ["flip=[-1]"])
    result = CliRunner().invoke(app, ["--model", str(retina / "out"), "--output", str(tmp_path / "p"), "--studies", str(tmp_path)])
    assert result.exit_code == 2 and "--key-file" in result.output


def test_weights_of_another_architecture_are_refused(retina: Path, tmp_path: Path) -> None:
    content = torch.load(retina / "out/fold_0/model.pt", weights_only=True)
    settings = json.loads(content["settings"])
    settings["network"]["widths"] = [8, 16, 32]
    torch.save({**content, "settings": json.dumps(settings)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="do not fit"):
        load_model(tmp_path / "model.pt", torch.device("cpu"))
