"""A trained detector as one file, ``model.pt``: weights, settings, anchors, what it was trained on. Reading it runs no code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cv_model_experiments.detection.finder import FinderShape
from cv_model_experiments.detection.settings import DetectionSettings
from cv_model_experiments.detection.task import FindingModule, make_module
from cv_model_experiments.learning.checkpoint import load_tensors, save_tensors
from weakbox.records.errors import InputError
from weakbox.runtime.config import validate

MODEL_NAME = "model.pt"
KIND = "detection"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedDetector:
    """A model ready to find lesions."""

    module: FindingModule
    """In evaluation mode, on its device."""
    settings: DetectionSettings
    fold: int | None
    trained_on: tuple[str, ...]
    """``image_id``s that the weights were fitted on."""
    best_epoch: int
    name: str


def save_model(
    folder: Path, module: FindingModule, settings: DetectionSettings, fold: int | None, trained_on: Sequence[str], best_epoch: int
) -> None:
    """Write ``model.pt`` into the folder of a fold."""
    content = {
        "kind": KIND,
        "settings": json.dumps(settings.model_dump(mode="json"), sort_keys=True),
        "shape": json.dumps(asdict(module.shape), sort_keys=True),
        "fold": fold,
        "trained_on": list(trained_on),
        "best_epoch": best_epoch,
        "module": {name: value.cpu() for name, value in module.state_dict().items()},
    }
    save_tensors(folder / MODEL_NAME, content)


def load_model(path: Path, device: torch.device) -> TrainedDetector:
    """Read a ``model.pt``.

    Raises:
        InputError: missing, damaged, of another task, or its weights do not fit its settings.
    """
    content = load_tensors(path, "a trained detector (model.pt)")
    if content.get("kind") != KIND:
        msg = f"{path}: holds a model for {content.get('kind')!r}, expected {KIND}"
        raise InputError(msg)
    settings = validate(DetectionSettings, json.loads(content["settings"]), "settings", str(path))
    module = make_module(settings, _shape(json.loads(content["shape"])))
    try:
        module.load_state_dict(content["module"])
    except RuntimeError as error:
        msg = f"{path}: its weights do not fit its settings ({settings.method}); it was changed, or made by another version: train again"
        raise InputError(msg) from error
    return TrainedDetector(
        module=module.to(device).eval(),
        settings=settings,
        fold=content["fold"],
        trained_on=tuple(content["trained_on"]),
        best_epoch=content["best_epoch"],
        name=settings.name,
    )


def _shape(content: dict[str, Any]) -> FinderShape:
    return FinderShape(
        axes=content["axes"],
        channels=content["channels"],
        classes=tuple(content["classes"]),
        spacing=tuple(content["spacing"]),
        anchors=tuple(tuple(one) for one in content["anchors"]),
    )
