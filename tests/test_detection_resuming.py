# ruff: noqa: E402
"""A detector's training that breaks off in the middle of an epoch ends with the weights of the unbroken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("monai", reason="training needs the extra `train`")

from cv_model_experiments.detection.retinanet import RetinaFinder
from cv_model_experiments.training import run as train
from tests.detection_sets import detection_settings, volume_set
from weakbox.records.errors import InputError

pytestmark = pytest.mark.slow


def configured(folder: Path, name: str, **changes: Any) -> Path:
    values = detection_settings(folder / "set", folder / name, augmentation="mr")
    values["learning"] |= {"epochs": 2, "checkpoint_steps": 1, "threads": 1} | changes
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_a_run_that_broke_off_inside_an_epoch_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume_set(tmp_path / "set", 8)
    train(configured(tmp_path, "whole"), [], restart=False, profile=False)
    forward, calls = RetinaFinder.forward, []

    def breaking(self: RetinaFinder, batch: Any) -> Any:
        calls.append(self.training)
        if sum(calls) == 4:
            raise KeyboardInterrupt
        return forward(self, batch)

    broken = configured(tmp_path, "broken")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RetinaFinder, "forward", breaking)
        train(broken, [], restart=False, profile=False)
    train(broken, [], restart=False, profile=False)
    weights = [torch.load(tmp_path / name / "model/checkpoint.pt", weights_only=True)["module"] for name in ("whole", "broken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_checkpoint_of_another_architecture_is_not_gone_on_with(tmp_path: Path) -> None:
    volume_set(tmp_path / "set", 8)
    path = configured(tmp_path, "one", epochs=1)
    train(path, [], restart=False, profile=False)
    with pytest.raises(InputError, match="was made by another experiment"):
        train(path, ["network.pyramid_width=24"], restart=False, profile=False)


def test_voxels_that_are_no_numbers_leave_the_study_out_and_mixed_spacings_are_said(tmp_path: Path) -> None:
    from dataclasses import replace

    from weakbox.exporters.image_manifest import write_manifest

    rows = volume_set(tmp_path / "set", 8)
    write_manifest([replace(row, spacing_mm=(0.5, 0.5, 3.0)) if number == 0 else row for number, row in enumerate(rows)], tmp_path / "set")
    with pytest.raises(InputError, match=r"images\.spacing_mm, for example"):
        train(configured(tmp_path, "mixed"), [], restart=False, profile=False)
