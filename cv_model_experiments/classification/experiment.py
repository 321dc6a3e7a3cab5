"""Classification as an experiment: from the rows of a fold to a trained model, its file and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cv_model_experiments.classification.model_file import save_model
from cv_model_experiments.classification.networks import build_classifier, no_weights
from cv_model_experiments.classification.predicting import write_fold_predictions, write_pooled_predictions
from cv_model_experiments.classification.samples import (
    Sample,
    SampleChoice,
    check_spacings,
    classes_of,
    counts,
    make_samples,
    preparation_of,
    with_class,
)
from cv_model_experiments.classification.settings import ClassificationSettings
from cv_model_experiments.classification.task import ClassificationData, ClassificationModule, ClassificationTask, PixelInput
from cv_model_experiments.classification.tutorial_loader import tutorial_loader
from cv_model_experiments.classification.weights import PretrainedWeights, pretrained_weights
from cv_model_experiments.data.augmentation import Augmenter
from cv_model_experiments.data.order import EpochOrder, balanced_shares, class_weights
from cv_model_experiments.data.rows import PARTS, TRAIN, VALIDATION, DividedRows
from cv_model_experiments.data.store import LeftOut, PreparedStore, prepare_all
from cv_model_experiments.learning.experiment import Experiment, Prepared
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.loop import MEMORY_REMEDIES, Outcome
from cv_model_experiments.learning.memory import memory_errors_for_users
from cv_model_experiments.learning.world import World
from cv_model_experiments.losses.classification import ClassificationLoss, sample_weights, target_shares
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.runtime.nearest import one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSamples:
    """The usable samples of each part, their prepared images by name, and what is left out."""

    parts: Mapping[str, tuple[Sample, ...]]
    prepared: Mapping[str, Path]
    left_out: tuple[tuple[str, LeftOut], ...]


def prepare_fold(settings: ClassificationSettings, rows: DividedRows, folder: Path, world: World) -> Prepared:
    """See ``learning.experiment.Experiment``.

    Raises:
        InputError: one class only, nothing usable in a part, mixed spacings, or weights that cannot be had.
    """
    classes = classes_of(rows.train, settings)
    positive = classes.index(one_of(settings.positive, classes, "positive")) if settings.positive else len(classes) - 1
    with memory_errors_for_users("to prepare the images", MEMORY_REMEDIES):
        found = _prepared_samples(settings, rows, classes, world)
        _check_classes(found, classes)
        training_data = _data(found, found.parts[TRAIN], settings, classes, is_training=True)
        validation_data = _data(found, _labelled(found.parts[VALIDATION]), settings, classes, is_training=False)
    if settings.loss.kind == "elr" and world.ranks > 1:
        msg = "loss.kind: elr keeps a memory of each sample and runs in one process only; train without torchrun, or choose gce"
        raise ConfigurationError(msg)
    weights = pretrained_weights(settings.model, settings.input.axes)
    module = build_module(settings, classes, len(training_data.samples), weights)
    task = ClassificationTask(
        module=module,
        classes=classes,
        positive=positive,
        identity=_identity(settings, classes),
        backbone_share=settings.learning.backbone_share,
        validation=validation_data,
    )
    details = {
        "classes": list(classes),
        "positive": classes[positive],
        "samples": {part: dict(counts(samples, classes)) for part, samples in found.parts.items()},
        "weights": None if weights is None else weights.description(),
    }

    def finish(outcome: Outcome) -> None:
        trained_on = sorted({row.image_id for sample in found.parts[TRAIN] for row in sample.rows})
        save_model(folder, module, settings, classes, positive, rows.fold, trained_on, outcome)
        parts = {part: _data(found, found.parts[part], settings, classes, is_training=False) for part in PARTS if part != TRAIN}
        write_fold_predictions(folder, module, parts, settings, classes, positive, rows.fold, trained_on, world)

    return Prepared(
        task=task,
        training=_training_loader(training_data, settings, world),
        validation=evaluation_loader(validation_data, settings, world),
        details=details,
        left_out=found.left_out,
        finish=finish,
        peer=tutorial_loader(training_data, settings),
    )


def _labelled(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.target >= 0)


def _identity(settings: ClassificationSettings, classes: tuple[str, ...]) -> dict[str, object]:
    return {
        "task": settings.task,
        "architecture": settings.model.name,
        "classes": list(classes),
        "input": f"{settings.input.scope} {'x'.join(map(str, settings.input.size))}",
    }


def build_module(
    settings: ClassificationSettings, classes: tuple[str, ...], samples: int, weights: PretrainedWeights | None
) -> ClassificationModule:
    """The network with its input and its loss."""
    options = settings.input
    network = build_classifier(
        settings.model,
        axes=options.axes,
        channels=3 if options.axes == 2 else len(options.channels),
        classes=len(classes),
        is_case=options.scope == "case",
        load=no_weights if weights is None else weights,
    )
    augmenter = Augmenter(settings.augmenting, fills_with_edge=options.axes == 3)
    return ClassificationModule(network, PixelInput(options.axes, augmenter), ClassificationLoss(settings.loss, len(classes), samples))


def _prepared_samples(settings: ClassificationSettings, rows: DividedRows, classes: tuple[str, ...], world: World) -> FoldSamples:
    """Samples of all parts with prepared images. A sample of which an image cannot be used is left out."""
    choices = {part: make_samples(rows.of(part), settings, classes) for part in PARTS if rows.of(part)}
    choices[TRAIN] = with_class(choices[TRAIN], settings, classes)
    check_spacings((sample for choice in choices.values() for sample in choice.samples), settings.input)
    images = {
        name: files
        for choice in choices.values()
        for sample in choice.samples
        for name, files in zip(sample.image_ids, sample.files, strict=True)
    }
    if not world.is_main:
        world.wait()  # the main process prepares; the others then find everything there
    prepared, broken = prepare_all(tuple(images.items()), preparation_of(settings.input), settings.cache_folder, settings.cache.workers)
    if world.is_main:
        world.wait()
    reasons = {one.image_id: one.reason for one in broken}
    kept = {part: _usable(choice, reasons) for part, choice in choices.items()}
    left_out = tuple((part, one) for part, choice in kept.items() for one in choice.left_out)
    parts = {part: kept[part].samples if part in kept else () for part in PARTS}
    return FoldSamples(parts=parts, prepared=prepared, left_out=left_out)


def _usable(choice: SampleChoice, reasons: Mapping[str, str]) -> SampleChoice:
    samples, left_out = [], list(choice.left_out)
    for sample in choice.samples:
        reason = next((reasons[name] for name in sample.image_ids if name in reasons), None)
        if reason is None:
            samples.append(sample)
        else:
            left_out.append(LeftOut(image_id=sample.sample_id, reason=reason))
    return SampleChoice(samples=tuple(samples), left_out=tuple(left_out))


def _check_classes(found: FoldSamples, classes: tuple[str, ...]) -> None:
    for part in (TRAIN, VALIDATION):
        numbers = counts(found.parts[part], classes)
        absent = [name for name, number in numbers.items() if not number]
        if not sum(numbers.values()):
            reason = f"; most often: {_most_frequent(found, part)}" if found.left_out else ""
            msg = f"the {part} part has no usable sample{reason}; see the rows of the manifest, `classes` and `class_map`"
            raise InputError(msg)
        if absent and part == TRAIN:
            msg = f"the training part has no sample of class {', '.join(absent)}; correct `classes` or `class_map`, or widen set.datasets"
            raise InputError(msg)
        if len(absent) == len(classes) - 1:
            present = next(name for name in classes if numbers[name])
            msg = (
                f"the {part} part has samples of class {present!r} only, so no epoch can be chosen; choose another fold, "
                "or export with a larger validation share"
            )
            raise InputError(msg)


def _most_frequent(found: FoldSamples, part: str) -> str:
    reasons = [one.reason for place, one in found.left_out if place == part] or ["no image of the chosen kind"]
    return max(sorted(set(reasons)), key=reasons.count)


def _data(
    found: FoldSamples, samples: Sequence[Sample], settings: ClassificationSettings, classes: tuple[str, ...], *, is_training: bool
) -> ClassificationData:
    places: dict[Path, int] = {}
    most = max((len(sample.image_ids) for sample in samples), default=1)
    views = np.full((len(samples), most), -1, np.int64)
    for row, sample in enumerate(samples):
        for view, name in enumerate(sample.image_ids):
            views[row, view] = places.setdefault(found.prepared[name], len(places))
    known = [max(0, sample.target) for sample in samples]
    if is_training:
        own = [sample.weight if settings.balance == "manifest" else 1.0 for sample in samples]
        if settings.balance == "weights":
            of_class = class_weights(known, len(classes))
            own = [weight * of_class[target] for weight, target in zip(own, known, strict=True)]
        weights = sample_weights([sample.tier for sample in samples], own, settings.set.tier_weights)
        targets = target_shares(known, [sample.confidence for sample in samples], len(classes), settings.loss)
    else:
        weights = sample_weights(["" for _ in samples], [1.0 for _ in samples], {})
        targets = target_shares(known, [1.0 for _ in samples], len(classes), settings.loss.model_copy(update={"smoothing": 0.0}))
    store = PreparedStore(tuple(places), settings.cache)
    is_case = settings.input.scope == "case"
    return ClassificationData(samples=tuple(samples), store=store, views=views, targets=targets, weights=weights, is_case=is_case)


def _training_loader(data: ClassificationData, settings: ClassificationSettings, world: World) -> Loader:
    copies = tuple(sample.copies if settings.balance == "manifest" else 1 for sample in data.samples)
    shares = balanced_shares([sample.target for sample in data.samples]) if settings.balance == "sampler" else None
    order = EpochOrder(seed=settings.seed, copies=copies, shares=shares)
    return Loader(
        make=data,
        order=order,
        batch_size=settings.learning.batch_size,
        is_training=True,
        world=world,
        threads=settings.learning.loader_threads,
    )


def evaluation_loader(data: ClassificationData, settings: ClassificationSettings, world: World) -> Loader:
    """Every sample once, in order."""
    order = EpochOrder(seed=settings.seed, copies=(1,) * len(data.samples), is_shuffled=False)
    return Loader(make=data, order=order, batch_size=settings.learning.batch_size, is_training=False, world=world)


EXPERIMENT = Experiment(settings=ClassificationSettings, prepare=prepare_fold, close=write_pooled_predictions)
