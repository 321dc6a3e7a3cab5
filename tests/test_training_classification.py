"""Classification from a finished set to a model file and predictions: it learns, resumes after a kill, and refuses what it cannot use."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("torchvision", reason="training needs the extra `train`")
pytest.importorskip("sklearn", reason="training needs the extra `train`")

from typer.testing import CliRunner  # noqa: E402

from cv_model_experiments.classification.experiment import EXPERIMENT, prepare_fold  # noqa: E402
from cv_model_experiments.classification.model_file import load_model  # noqa: E402
from cv_model_experiments.classification.networks import ARCHITECTURES, build_classifier  # noqa: E402
from cv_model_experiments.classification.samples import classes_of, make_samples, with_class  # noqa: E402
from cv_model_experiments.classification.settings import ClassificationSettings, ModelSettings  # noqa: E402
from cv_model_experiments.classification.weights import pretrained_weights, read_weights  # noqa: E402
from cv_model_experiments.data.rows import divide, read_rows  # noqa: E402
from cv_model_experiments.learning.experiment import FoldResult, run_experiment  # noqa: E402
from cv_model_experiments.learning.world import World  # noqa: E402
from cv_model_experiments.predictions import read_predictions  # noqa: E402
from cv_model_experiments.settings import read_settings  # noqa: E402
from cv_model_experiments.training import app  # noqa: E402
from tests.training_sets import write_picture_set, write_volume_set  # noqa: E402
from weakbox.records.errors import ConfigurationError, InputError  # noqa: E402
from weakbox.records.image_set import ImageRow  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
ALONE = World(rank=0, ranks=1, device=torch.device("cpu"))
QUICK: dict[str, Any] = {
    "name": "made",
    "output": "out",
    "set": {"folder": "set"},
    "cache": {"folder": "prepared"},
    "input": {"size": [20, 16]},
    "model": {"name": "light_cnn", "width": 4},
    "learning": {"epochs": 1, "batch_size": 6, "learning_rate": 0.01, "tensorboard": False, "loader_threads": 0, "threads": 1},
}


def chosen(folder: Path, **changes: Any) -> ClassificationSettings:
    content = {**QUICK, **{name: {**QUICK.get(name, {}), **value} if isinstance(value, dict) else value for name, value in changes.items()}}
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return read_settings(path, (), ClassificationSettings)


def run(folder: Path, **changes: Any) -> list[FoldResult]:
    return run_experiment(EXPERIMENT, chosen(folder, **changes))


# ---- it learns, and what it leaves behind


@pytest.mark.slow
def test_it_learns_bright_discs_and_the_model_file_says_what_the_trained_model_said(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=60)
    learning = {"epochs": 30, "early_stopping": None}
    result = run(tmp_path, learning=learning, model={"width": 8}, augmentation={"flips": [-1], "shift": 0.05}, loss={"kind": "focal"})[0]
    assert result.outcome.best is not None
    assert result.outcome.best > 0.9
    said = read_predictions(result.folder / "predictions")
    truth = {row.image_id: row for row in read_rows(chosen(tmp_path).set)}
    test = [row for row in said.rows if row.split == "test"]
    assert np.mean([(row.probabilities["malignant"] > 0.5) == (truth[row.image_id].label == "malignant") for row in test]) > 0.8
    assert set(said.header.trained_on["all"]) == {name for name, row in truth.items() if row.split == "train"}

    model = load_model(result.folder / "model.pt", torch.device("cpu"))
    assert model.classes == ("benign", "malignant")
    prepared = prepare_fold(model.settings, divide(list(truth.values()), model.settings.set, None), tmp_path, ALONE)
    batch = next(iter(prepared.validation.epoch(0)))
    with torch.inference_mode():
        shares = model.module.loss.probabilities(model.module.logits(batch, augments=False))  # type: ignore[arg-type]
    samples = prepared.task.validation.samples  # type: ignore[attr-defined]
    by_id = {row.image_id: row.probabilities["malignant"] for row in said.rows}
    expected = [by_id[samples[place].rows[0].image_id] for place in batch.places.tolist()]  # type: ignore[attr-defined]
    assert shares[:, 1].tolist() == pytest.approx(expected, abs=1e-4)


def test_cross_validation_predicts_every_image_by_a_model_that_did_not_see_it(tmp_path: Path) -> None:
    rows = write_picture_set(tmp_path / "set", patients=30)
    results = run(tmp_path, folds="all")
    assert [result.fold for result in results] == [0, 1, 2]
    pooled = read_predictions(tmp_path / "out" / "predictions")
    by_id = {row.image_id: row for row in pooled.rows}
    assert set(by_id) == {row.image_id for row in rows}
    for row in rows:
        said = by_id[row.image_id]
        if row.split == "test":
            assert (said.split, said.fold) == ("test", None)
        else:
            assert (said.split, said.fold) == ("validation", row.fold)
            assert row.image_id not in pooled.header.trained_on[str(row.fold)]
    with (tmp_path / "out" / "folds.csv").open() as file:
        assert [row["fold"] for row in csv.DictReader(file)] == ["0", "1", "2"]


def test_the_same_seed_gives_the_same_files_and_another_does_not(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=20)
    logs = []
    for output, seed in (("first", 1), ("second", 1), ("third", 2)):
        run(tmp_path, output=output, seed=seed, augmentation="mammography", model={"dropout": 0.3}, learning={"loader_threads": len(logs)})
        logs.append([(tmp_path / output / "model" / name).read_bytes() for name in ("log.csv", "steps.csv", "predictions/predictions.csv")])
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


@pytest.mark.slow
def test_kill_9_in_the_middle_of_an_epoch_and_resume_gives_the_same_weights(tmp_path: Path) -> None:
    """As a process of its own, killed twice; with everything that holds state: dropout, augmentation, sampler, ELR's memory."""
    write_picture_set(tmp_path / "set", patients=60)
    learning = {"epochs": 3, "batch_size": 2, "checkpoint_steps": 3, "loader_threads": 2, "schedule": {"kind": "cosine"}}
    options = {"learning": learning, "augmentation": "dermatoscopy", "loss": {"kind": "elr"}, "model": {"width": 8, "dropout": 0.4}}
    commands = {}
    for output in ("whole", "killed"):
        chosen(tmp_path, output=output, input={"size": [160, 128]}, **options)
        config = tmp_path / f"{output}.yaml"
        (tmp_path / "experiment.yaml").rename(config)
        commands[output] = [sys.executable, str(ROOT / "cv_model_experiments" / "training.py"), "--config", str(config)]
    finished = subprocess.run(commands["whole"], capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr[-3000:]
    whole, killed = tmp_path / "whole" / "model", tmp_path / "killed" / "model"
    steps_an_epoch = len((whole / "steps.csv").read_text().splitlines()[1:]) // 3
    for at_step in (5, steps_an_epoch + 7):
        kill_at(commands["killed"], killed / "steps.csv", at_step)
        state = torch.load(killed / "checkpoint.pt", weights_only=True)["progress"]
        assert state["batch"] > 0, "the kill was to fall into the middle of an epoch"
        assert not (killed / "model.pt").exists()
    resumed = subprocess.run(commands["killed"], capture_output=True, text=True, check=False, timeout=300)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert "goes on at epoch 2" in resumed.stderr
    for name in ("checkpoint.pt", "model.pt", "best.pt"):
        first, second = (torch.load(folder / name, weights_only=True)["module"] for folder in (whole, killed))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), f"{name}: weights differ"
    for name in ("log.csv", "steps.csv", "predictions/predictions.csv"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


def kill_at(command: list[str], steps: Path, at_step: int) -> None:
    """Kill -9 once so many steps are done."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and process.poll() is None:
            if steps.is_file() and len(steps.read_text().splitlines()) > at_step:
                break
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


# ---- samples


def test_whole_images_crops_and_cases_each_have_their_class_tier_and_confidence(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=4, views=2)
    for scope, expected in (("image", 8), ("roi", 8), ("case", 4)):
        settings = chosen(tmp_path, input={"scope": scope}, classes=["benign", "malignant"])
        samples = make_samples(read_rows(settings.set), settings, settings.classes).samples
        assert len(samples) == expected
        assert [len(sample.image_ids) for sample in samples] == [2 if scope == "case" else 1] * expected
        assert {sample.target for sample in samples} == {0, 1}
        assert {sample.confidence for sample in samples} == {0.9}
        assert {sample.tier for sample in samples} == ({"expert", "report_sector"} if scope == "roi" else {"expert"})


def test_a_case_has_its_most_severe_class_and_is_open_where_a_view_is(tmp_path: Path) -> None:
    def changed(row: ImageRow) -> ImageRow:
        if row.patient_id == "patient000" and row.view == "MLO":
            return replace(row, label="malignant")
        return replace(row, label=None) if row.patient_id in ("patient002", "patient003") and row.view == "CC" else row

    write_picture_set(tmp_path / "set", patients=4, views=2, change=changed)
    settings = chosen(tmp_path, input={"scope": "case"}, classes=["benign", "malignant"])
    choice = make_samples(read_rows(settings.set), settings, settings.classes)
    found = {sample.rows[0].patient_id: sample.target for sample in choice.samples}
    assert found == {"patient000": 1, "patient001": 1, "patient002": -1, "patient003": 1}
    usable = with_class(choice, settings, settings.classes)
    assert len(usable.samples) == 3
    assert usable.left_out[0].reason == "no class"


def test_classes_stand_in_order_of_severity_and_may_be_joined(tmp_path: Path) -> None:
    write_picture_set(
        tmp_path / "set", patients=9, change=lambda row: replace(row, label="normal") if row.patient_id.endswith("4") else row
    )
    settings = chosen(tmp_path)
    rows = read_rows(settings.set)
    assert classes_of(rows, settings) == ("normal", "benign", "malignant")
    assert classes_of(rows, chosen(tmp_path, class_map={"normal": "benign"})) == ("benign", "malignant")


def test_images_without_a_class_train_nothing_but_are_predicted(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=30, change=lambda row: replace(row, label=None) if int(row.patient_id[-3:]) < 9 else row)
    result = run(tmp_path)[0]
    with (result.folder / "left_out.csv").open() as file:
        assert {row["reason"] for row in csv.DictReader(file)} == {"no class"}
    said = read_predictions(result.folder / "predictions")
    assert {row.image_id for row in said.rows} == {row.image_id for row in read_rows(chosen(tmp_path).set) if row.split != "train"}
    assert not set(said.header.trained_on["all"]) & {f"made/p{number:03d}_v0" for number in range(9)}


@pytest.mark.parametrize(
    "changes",
    [
        {"input": {"scope": "roi"}, "loss": {"targets": "confidence"}, "set": {"tier_weights": {"report_sector": 0.5}}},
        {"input": {"scope": "case", "mirror_right": True}, "balance": "weights", "learning": {"accumulate": 2}},
        {"input": {"scope": "case"}, "model": {"pooling": "max"}, "loss": {"kind": "gce"}},
        {
            "model": {"name": "efficientnet_b0"},
            "input": {"size": [32, 32], "colour": True},
            "augmentation": "dermatoscopy",
            "balance": "manifest",
        },
    ],
    ids=["crops", "cases", "cases by maximum", "colour"],
)
def test_every_kind_of_sample_trains_and_predicts(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_picture_set(tmp_path / "set", patients=20, views=2)
    result = run(tmp_path, **changes)[0]
    said = read_predictions(result.folder / "predictions")
    assert len(said.rows) == len([row for row in read_rows(chosen(tmp_path).set) if row.split != "train"])


def test_volumes_train_and_predict(tmp_path: Path) -> None:
    write_volume_set(tmp_path / "set", patients=20)
    result = run(tmp_path, input={"axes": 3, "size": [8, 24, 20]}, augmentation="mr")[0]
    assert result.outcome.epochs == 1
    assert json.loads((result.folder / "run.json").read_text())["positive"] == "csPCa"


# ---- architectures and weights


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"resnet50", "vgg16_medical"}))
@pytest.mark.parametrize("axes", [2, 3])
def test_every_architecture_has_the_shape_that_explanations_and_heads_expect(name: str, axes: int) -> None:
    shape = (1, 3, 48, 48) if axes == 2 else (1, 3, 8, 32, 32)
    network = build_classifier(ModelSettings(name=name, width=4), axes=axes, channels=3, classes=4, is_case=False).eval()
    with torch.inference_mode():
        features, logits = network.encoder(torch.rand(shape)), network(torch.rand(shape))
    assert features.ndim == axes + 2
    assert logits.shape == (1, 4)
    assert network.get_submodule(network.GRAD_CAM_LAYER) is network.encoder


@pytest.mark.parametrize(("name", "trained"), [("vgg16", 0), ("vgg16_medical", 2)])
def test_vgg16_is_frozen_where_it_is_pre_trained_and_its_medical_variant_only_in_the_early_blocks(
    name: str, trained: int, tmp_path: Path
) -> None:
    from torchvision.models import vgg16

    source = vgg16(weights=None)
    torch.save({"state_dict": {f"module.{key}": value for key, value in source.state_dict().items()}}, tmp_path / "weights.pth")
    weights = read_weights(tmp_path / "weights.pth")
    settings = ModelSettings(name=name, weights="file", weights_file=tmp_path / "weights.pth")
    network = build_classifier(settings, axes=2, channels=3, classes=2, is_case=False, load=weights)
    blocks = [any(one.requires_grad for one in block.parameters()) for block in network.encoder.blocks]
    assert blocks == [False] * (5 - trained) + [True] * trained
    assert all(one.requires_grad for one in network.head.parameters())
    pixels = torch.rand(1, 3, 48, 48)
    assert torch.equal(network.encoder.eval()(pixels), source.features.eval()(pixels))


def test_frozen_blocks_keep_their_running_statistics() -> None:
    network = build_classifier(ModelSettings(name="resnet18", unfrozen_blocks=1), axes=2, channels=3, classes=2, is_case=False).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.rand(4, 3, 64, 64)).sum().backward()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(before[name], value)}
    assert changed
    assert all(name.startswith("encoder.blocks.4") for name in changed)


def test_weights_of_another_architecture_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    path = tmp_path / "weights.pt"
    torch.save(resnet18(weights=None).state_dict(), path)
    weights = read_weights(path)
    with pytest.raises(InputError, match=r"weights\.pt: holds 0 of the .* layers"):
        build_classifier(ModelSettings(name="densenet121"), axes=2, channels=3, classes=2, is_case=False, load=weights)
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="no weights that can be read safely"):
        read_weights(path)
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "none.pt")


def test_weights_of_three_channels_fit_another_number_of_channels(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18(weights=None).state_dict(), tmp_path / "weights.pt")
    weights = read_weights(tmp_path / "weights.pt")
    network = build_classifier(ModelSettings(name="resnet18"), axes=2, channels=1, classes=2, is_case=False, load=weights)
    kernel = network.encoder.blocks[0][0].weight  # type: ignore[index, union-attr]
    assert torch.allclose(kernel[:, 0], weights.state["conv1.weight"].sum(dim=1), atol=1e-6)


def test_weights_that_cannot_be_downloaded_say_where_to_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"cannot be downloaded from https://download\.pytorch\.org.*weights: none"):
        pretrained_weights(ModelSettings(name="resnet18", weights="imagenet"), 2)


def test_imagenet_weights_for_volumes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no ImageNet weights for volumes"):
        pretrained_weights(ModelSettings(name="resnet18", weights="imagenet"), 3)
    with pytest.raises(ConfigurationError, match="did you mean 'resnet18'"):
        build_classifier(ModelSettings(name="resnet_18"), axes=2, channels=3, classes=2, is_case=False)


# ---- what cannot be trained


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=20, change=lambda row: replace(row, label="benign"))
    with pytest.raises(InputError, match="needs two classes, the training part has only 'benign'"):
        run(tmp_path)


def test_a_validation_part_of_one_class_is_refused(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=20, change=lambda row: replace(row, label="benign") if row.split == "validation" else row)
    with pytest.raises(InputError, match="validation part has samples of class 'benign' only"):
        run(tmp_path)


def test_crops_of_a_set_without_boxes_are_refused(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=20, change=lambda row: replace(row, boxes=()))
    with pytest.raises(InputError, match=r"no image of this part has a box|needs two classes"):
        run(tmp_path, input={"scope": "roi"}, classes=["benign", "malignant"])


def test_mixed_spacings_are_refused_with_the_one_to_write(tmp_path: Path) -> None:
    write_volume_set(tmp_path / "set", patients=20, spacings=(0.5, 0.7))
    options = {"axes": 3, "size": [8, 24, 20]}
    with pytest.raises(InputError, match=r"several spacings.*input\.spacing_mm"):
        run(tmp_path, input=options)
    assert run(tmp_path, input={**options, "spacing_mm": [3.0, 0.6, 0.6]})[0].outcome.epochs == 1


def test_a_missing_channel_leaves_the_study_out_and_says_which(tmp_path: Path) -> None:
    rows = write_volume_set(tmp_path / "set", patients=20)
    path = tmp_path / "set" / rows[0].image_path
    path.with_name(path.name.replace("t2w", "adc_on_reference")).unlink()
    result = run(tmp_path, input={"axes": 3, "size": [8, 24, 20]})[0]
    with (result.folder / "left_out.csv").open() as file:
        left_out = list(csv.DictReader(file))
    assert [row["image_id"] for row in left_out] == [rows[0].image_id]
    assert "adc" in left_out[0]["reason"]


def test_a_checkpoint_of_another_architecture_or_set_is_refused(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=20)
    run(tmp_path)
    with pytest.raises(InputError, match="architecture: light_cnn there, resnet18 here"):
        run(tmp_path, model={"name": "resnet18"}, input={"size": [32, 32]})
    write_picture_set(tmp_path / "set", patients=24)
    with pytest.raises(InputError, match="made by another experiment"):
        run(tmp_path)


def test_the_command_line_says_what_is_wrong_and_ends_with_2(tmp_path: Path) -> None:
    write_picture_set(tmp_path / "set", patients=20)
    chosen(tmp_path)
    config = str(tmp_path / "experiment.yaml")
    for overrides, expected in (
        (["--set", "learning.epoch=3"], "did you mean 'epochs'"),
        (["--set", "task=clasification"], "did you mean 'classification'"),
        (["--set", "augmentation=mamography"], "did you mean 'mammography'"),
        (["--set", "learning.device=cuda:9"], "no CUDA device") if not torch.cuda.is_available() else (["--set", "input.size=[4]"], "size"),
        (["--fold", "9"], "the manifest has the folds"),
    ):
        result = CliRunner().invoke(app, ["--config", config, *overrides])
        assert result.exit_code == 2, result.output
        assert expected in " ".join(result.output.split())
    result = CliRunner().invoke(app, ["--config", config, "--fold", "1", "--set", "learning.epochs=1"])
    assert result.exit_code == 0, result.output
    assert "fold_1" in result.output
