"""A trained classifier as one file, ``model.pt``: weights, settings, classes, what it was trained on. Reading it runs no code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cv_model_experiments.classification.networks import build_classifier
from cv_model_experiments.classification.settings import ClassificationSettings
from cv_model_experiments.classification.task import ClassificationModule, PixelInput
from cv_model_experiments.data.augmentation import PRESETS, Augmenter
from cv_model_experiments.learning.checkpoint import load_tensors, save_tensors
from cv_model_experiments.learning.loop import Outcome
from cv_model_experiments.losses.classification import ClassificationLoss
from weakbox.records.errors import InputError
from weakbox.runtime.config import validate

MODEL_NAME = "model.pt"
KIND = "classification"
_NOT_NEEDED = ("loss.",)
"""Parts of the state that only training needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedClassifier:
    """A model ready to predict."""

    module: ClassificationModule
    """In evaluation mode; ``module.logits(batch, augments=False)``, ``module.loss.probabilities(logits)``; Grad-CAM: ``module.network``."""
    settings: ClassificationSettings
    classes: tuple[str, ...]
    positive: int
    fold: int | None
    trained_on: tuple[str, ...]
    """``image_id``s that the weights were fitted on."""
    best_epoch: int


def save_model(
    folder: Path,
    module: ClassificationModule,
    settings: ClassificationSettings,
    classes: Sequence[str],
    positive: int,
    fold: int | None,
    trained_on: Sequence[str],
    outcome: Outcome,
) -> None:
    """Write ``model.pt`` into the folder of a fold."""
    state = {name: value.cpu() for name, value in module.state_dict().items() if not name.startswith(_NOT_NEEDED)}
    content = {
        "kind": KIND,
        "settings": json.dumps(settings.model_dump(mode="json"), sort_keys=True),
        "classes": list(classes),
        "positive": positive,
        "fold": fold,
        "trained_on": list(trained_on),
        "best_epoch": outcome.best_epoch,
        "module": state,
    }
    save_tensors(folder / MODEL_NAME, content)


def load_model(path: Path, device: torch.device) -> TrainedClassifier:
    """Read a ``model.pt``.

    Raises:
        InputError: missing, damaged, of another task, or its weights do not fit its settings.
    """
    content = load_tensors(path, "a trained classifier (model.pt)")
    if content.get("kind") != KIND:
        msg = f"{path}: holds a model for {content.get('kind')!r}, expected {KIND}"
        raise InputError(msg)
    settings = validate(ClassificationSettings, json.loads(content["settings"]), "settings", str(path))
    classes = tuple(content["classes"])
    options = settings.input
    network = build_classifier(
        settings.model,
        axes=options.axes,
        channels=3 if options.axes == 2 else len(options.channels),
        classes=len(classes),
        is_case=options.scope == "case",
    )
    module = ClassificationModule(
        network, PixelInput(options.axes, Augmenter(PRESETS["none"])), ClassificationLoss(settings.loss, len(classes), 0)
    )
    missing, unexpected = module.load_state_dict(content["module"], strict=False)
    if unexpected or any(not name.startswith(_NOT_NEEDED) for name in missing):
        msg = f"{path}: its weights are not of {settings.model.name}; it was changed, or made by another version: train again"
        raise InputError(msg)
    return TrainedClassifier(
        module=module.to(device).eval(),
        settings=settings,
        classes=classes,
        positive=content["positive"],
        fold=content["fold"],
        trained_on=tuple(content["trained_on"]),
        best_epoch=content["best_epoch"],
    )
