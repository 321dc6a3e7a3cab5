"""Predictions on validation and test part right after training, in the format that the evaluation reads.

One row an image: of a case every view carries the case's probabilities, of crops the image carries those of the crop with
the highest probability of the positive class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cv_model_experiments.classification.settings import ClassificationSettings
from cv_model_experiments.classification.task import ClassificationData, ClassificationModule, predict
from cv_model_experiments.data.order import EpochOrder
from cv_model_experiments.data.rows import VALIDATION, manifest_path
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.world import World
from cv_model_experiments.predictions import ALL_FOLDS, Prediction, PredictionHeader, read_predictions, write_predictions
from weakbox.runtime.digests import optional_file_digest

FOLDER = "predictions"
_DIGITS = 6


def predictions_of(
    module: ClassificationModule,
    data: ClassificationData,
    *,
    part: str,
    classes: Sequence[str],
    positive: int,
    fold: int | None,
    batch_size: int,
    device: torch.device,
) -> Iterator[Prediction]:
    """What a model says of the images of one part."""
    order = EpochOrder(seed=0, copies=(1,) * len(data.samples), is_shuffled=False)
    alone = World(rank=0, ranks=1, device=device)
    module.eval()
    with torch.inference_mode():
        places, probabilities, _ = predict(module, Loader(make=data, order=order, batch_size=batch_size, is_training=False, world=alone))
    best: dict[str, Prediction] = {}
    for place, shares in zip(places.tolist(), probabilities, strict=True):
        for row in data.samples[place].rows:
            said = Prediction(
                image_id=row.image_id,
                case_id=row.case_id,
                patient_id=row.patient_id,
                split=part,
                probabilities=_named(classes, shares),
                fold=fold if part == VALIDATION else None,
            )
            before = best.get(row.image_id)
            if before is None or before.probabilities[classes[positive]] < said.probabilities[classes[positive]]:
                best[row.image_id] = said
    yield from best.values()


def _named(classes: Sequence[str], shares: NDArray[np.float64]) -> dict[str, float]:
    """Rounded, so that figures do not hang on the last bits of a device; the last class takes the rest, so they sum to 1."""
    rounded = [round(float(share), _DIGITS) for share in shares]
    rounded[-1] = round(min(1.0, max(0.0, 1.0 - sum(rounded[:-1]))), _DIGITS)
    return dict(zip(classes, rounded, strict=True))


def write_fold_predictions(
    folder: Path,
    module: ClassificationModule,
    parts: Mapping[str, ClassificationData],
    settings: ClassificationSettings,
    classes: Sequence[str],
    positive: int,
    fold: int | None,
    trained_on: Sequence[str],
    world: World,
) -> None:
    """Predictions of one fold's model on its validation and test part, under ``predictions/`` of its folder."""
    rows = [
        one
        for part, data in parts.items()
        if data.samples
        for one in predictions_of(
            module,
            data,
            part=part,
            classes=classes,
            positive=positive,
            fold=fold,
            batch_size=settings.learning.batch_size,
            device=world.device,
        )
    ]
    header = PredictionHeader(
        model=settings.name,
        tasks=("classification",),
        classes=tuple(classes),
        trained_on={ALL_FOLDS if fold is None else str(fold): tuple(trained_on)},
        manifest_sha256=optional_file_digest(manifest_path(settings.set.folder)),
        details={"architecture": settings.model.name, "scope": settings.input.scope, "epoch_chosen_on": VALIDATION},
    )
    write_predictions(header, rows, folder / FOLDER)


def write_pooled_predictions(settings: ClassificationSettings, folders: Mapping[int | None, Path]) -> None:
    """Cross-validation: every image's prediction by the model that did not see it, and test images by the mean of all folds."""
    if len(folders) < 2:
        return
    sets = [read_predictions(folder / FOLDER) for _, folder in sorted(folders.items(), key=lambda item: str(item[0]))]
    out_of_fold = [row for one in sets for row in one.rows if row.split == VALIDATION]
    test: dict[str, list[Prediction]] = {}
    for one in sets:
        for row in one.rows:
            if row.split != VALIDATION:
                test.setdefault(row.image_id, []).append(row)
    header = sets[0].header.model_copy(
        update={"trained_on": {fold: names for one in sets for fold, names in one.header.trained_on.items()}}
    )
    write_predictions(header, [*out_of_fold, *(_mean(rows, header.classes) for rows in test.values())], settings.output / FOLDER)


def _mean(rows: Sequence[Prediction], classes: Sequence[str]) -> Prediction:
    shares = np.mean([[row.probabilities[name] for name in classes] for row in rows], axis=0)
    return replace(rows[0], probabilities=_named(classes, shares), fold=None)
