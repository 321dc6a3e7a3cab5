"""Classifiers over an exported set: probabilities averaged over models, folds and mirrored views. Images need no class of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cv_model_experiments.classification.model_file import TrainedClassifier
from cv_model_experiments.classification.model_file import load_model as load_classifier
from cv_model_experiments.classification.samples import Sample, preparation_of
from cv_model_experiments.classification.task import ClassificationData
from cv_model_experiments.data.rows import manifest_path
from cv_model_experiments.data.store import LeftOut, prepare_all
from cv_model_experiments.learning.logs import csv_text
from cv_model_experiments.learning.memory import memory_errors_for_users
from cv_model_experiments.learning.world import choose_device
from cv_model_experiments.prediction.classifier_samples import data_of, samples_without_classes
from cv_model_experiments.prediction.flips import all_flips, flipped, image_flip
from cv_model_experiments.prediction.running import InferenceResult
from cv_model_experiments.prediction.settings import InferenceSettings
from cv_model_experiments.prediction.sharing import Share, shares_of
from cv_model_experiments.predictions import ALL_FOLDS, Prediction, PredictionHeader, write_predictions
from weakbox.exporters.image_manifest import read_manifest
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.runtime.digests import optional_file_digest
from weakbox.runtime.store import write_text

SAMPLES_AT_ONCE = 16
MEMORY_REMEDIES = "take fewer models at once, or --set device=cpu"
_DIGITS = 6
Shares = dict[str, NDArray[np.float64]]
"""Probabilities [class] by ``image_id``."""


def classify_set(paths: Sequence[Path], folder: Path, output: Path, settings: InferenceSettings) -> InferenceResult:
    """Look at the images of an exported set and write their class probabilities. Prepared images are kept on disk, not in memory.

    Raises:
        InputError: models or set cannot be used, models have different classes, or no image is left.
    """
    device = choose_device(settings.device)
    models = [load_classifier(path, device) for path in paths]
    if len({model.classes for model in models}) > 1:
        msg = "these models cannot be averaged, since they tell different classes apart: " + "; ".join(
            sorted({", ".join(model.classes) for model in models})
        )
        raise InputError(msg)
    rows = list(read_manifest(manifest_path(folder)))
    said: list[Prediction] = []
    left_out: dict[str, LeftOut] = {}
    for share in shares_of(models, rows, settings):
        said += _said(share, folder, output, settings, device, left_out)
    if not said:
        reason = next(iter(left_out.values())).reason if left_out else f"none is in {', '.join(settings.parts)}"
        msg = f"{folder}: no image could be looked at; the first: {reason}"
        raise InputError(msg)
    header = _header(models, settings, optional_file_digest(manifest_path(folder)))
    write_predictions(header, said, output)
    if settings.explain != "none":
        _explain(models, rows, said, folder, output, settings)
    unusable = tuple(one for _, one in sorted(left_out.items()))
    write_text(
        output / "left_out.csv", csv_text(("image_id", "reason"), [{"image_id": one.image_id, "reason": one.reason} for one in unusable])
    )
    return InferenceResult(folder=output, images=len(said), candidates=0, left_out=unusable)


def _explain(
    models: Sequence[TrainedClassifier],
    rows: Sequence[ImageRow],
    said: Sequence[Prediction],
    folder: Path,
    output: Path,
    settings: InferenceSettings,
) -> None:
    """By the first model: one picture shows one model's evidence."""
    from cv_model_experiments.explain.explaining import explain_classifications

    own = [one for one in said if one.fold in (None, models[0].fold)]
    explain_classifications(models[0], rows, own, folder, output, settings.explain, settings.explain_images)


def _said(
    share: Share[TrainedClassifier],
    folder: Path,
    output: Path,
    settings: InferenceSettings,
    device: torch.device,
    left_out: dict[str, LeftOut],
) -> Iterator[Prediction]:
    """Images that all models could look at."""
    found: list[Shares] = []
    for model in share.models:
        shares, problems = probabilities_of(model, share.rows, folder, output / "prepared", settings, device)
        found.append(shares)
        left_out.update({one.image_id: one for one in problems})
    for row in share.rows:
        values = [shares[row.image_id] for shares in found if row.image_id in shares]
        if len(values) == len(share.models):
            yield Prediction(
                image_id=row.image_id,
                case_id=row.case_id,
                patient_id=row.patient_id,
                split=row.split or "test",
                probabilities=named(share.models[0].classes, np.mean(values, axis=0)),
                fold=share.fold,
            )


def probabilities_of(
    model: TrainedClassifier, rows: Sequence[ImageRow], folder: Path, cache: Path, settings: InferenceSettings, device: torch.device
) -> tuple[Shares, list[LeftOut]]:
    """One model's probabilities. Of crops an image has those of the crop with the highest probability of the positive class.

    Raises:
        InputError: memory ran out.
    """
    samples, problems = samples_without_classes(model, rows, folder)
    images = {name: files for sample in samples for name, files in zip(sample.image_ids, sample.files, strict=True)}
    prepared, broken = prepare_all(tuple(images.items()), preparation_of(model.settings.input), cache, 1)
    reasons = {one.image_id: one.reason for one in broken}
    usable = [sample for sample in samples if not reasons.keys() & set(sample.image_ids)]
    problems += [
        LeftOut(image_id=row.image_id, reason=reasons[name])
        for sample in samples
        for name, row in zip(sample.image_ids, _rows_of(sample), strict=True)
        if name in reasons
    ]
    if not usable:
        return {}, problems
    data = data_of(model, usable, prepared)
    shares: Shares = {}
    with torch.inference_mode(), memory_errors_for_users("to look at images", MEMORY_REMEDIES):
        for first in range(0, len(usable), SAMPLES_AT_ONCE):
            places = np.arange(first, min(first + SAMPLES_AT_ONCE, len(usable)))
            for sample, values in zip(usable[first:], _looked(model, data, places, settings, device), strict=False):
                for row in sample.rows:
                    before = shares.get(row.image_id)
                    if before is None or before[model.positive] < values[model.positive]:
                        shares[row.image_id] = values
    return shares, problems


def _rows_of(sample: Sample) -> tuple[ImageRow, ...]:
    return sample.rows if len(sample.rows) == len(sample.image_ids) else sample.rows * len(sample.image_ids)


def _looked(
    model: TrainedClassifier, data: ClassificationData, places: NDArray[np.int64], settings: InferenceSettings, device: torch.device
) -> NDArray[np.float64]:
    batch = data(places, 0).to(device)
    axes = model.settings.input.axes
    total = np.zeros((len(places), len(model.classes)))
    flips = all_flips(settings.flips)
    for flip in flips:
        turned = replace(batch, pixels=flipped(batch.pixels, image_flip(flip, axes, batch.pixels.ndim - axes)))
        logits = model.module.logits(turned, augments=False)
        total += model.module.loss.probabilities(logits).double().cpu().numpy()
    return total / len(flips)


def named(classes: Sequence[str], shares: NDArray[np.float64]) -> dict[str, float]:
    """Rounded; the last class takes the rest, so they sum to 1."""
    rounded = [round(float(share), _DIGITS) for share in shares]
    rounded[-1] = round(min(1.0, max(0.0, 1.0 - sum(rounded[:-1]))), _DIGITS)
    return dict(zip(classes, rounded, strict=True))


def _header(models: Sequence[TrainedClassifier], settings: InferenceSettings, digest: str | None) -> PredictionHeader:
    trained_on: dict[str, tuple[str, ...]] = {}
    for model in models:
        key = ALL_FOLDS if model.fold is None else str(model.fold)
        trained_on[key] = tuple(sorted({*trained_on.get(key, ()), *model.trained_on}))
    architectures = " + ".join(sorted({model.settings.model.name for model in models}))
    return PredictionHeader(
        model=settings.name or models[0].settings.name,
        tasks=("classification",),
        classes=models[0].classes,
        trained_on=trained_on,
        manifest_sha256=digest,
        details={"architecture": architectures, "models": str(len(models)), "flips": str(list(settings.flips))},
    )
