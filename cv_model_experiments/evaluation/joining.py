"""Predictions joined with the manifest by ``image_id``, and the refusals: patients in two parts, images without a prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cv_model_experiments.evaluation.settings import EvaluationSettings, SelectionSettings
from cv_model_experiments.predictions import ALL_FOLDS, Prediction, PredictionSet
from weakbox.curation.columns import group_keys
from weakbox.curation.leakage import LeakageError
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SHOWN = 3


@record
class ModelData:
    """One model: its predictions for the evaluated part and for validation, by ``image_id``."""

    predictions: PredictionSet
    evaluated: Mapping[str, Prediction]
    validation: Mapping[str, Prediction]

    @property
    def name(self) -> str:
        return self.predictions.header.model


@record
class Joined:
    """The rows that are evaluated, the validation rows of each model, and what must be known of the comparison."""

    rows: tuple[ImageRow, ...]
    validation_rows: Mapping[str, tuple[ImageRow, ...]]
    models: tuple[ModelData, ...]
    notes: tuple[str, ...]


def join(rows: Iterable[ImageRow], sets: Sequence[PredictionSet], settings: EvaluationSettings) -> Joined:
    """Join and check.

    Raises:
        LeakageError: a patient, group or image of the training part is in the evaluated part, by the manifest or by what a model was
            trained on.
        InputError: no such images, predictions of unknown images, images without predictions, two models of one name, or other images
            for one model than for another.
    """
    by_id = {row.image_id: row for row in rows}
    _check_sets(sets, by_id)
    check_parts_of_manifest(by_id.values())
    wanted = _evaluated_ids(by_id, sets, settings)
    notes: list[str] = []
    models, validation_rows = [], {}
    for predictions in sets:
        own = {row.image_id: row for row in predictions.rows}
        validation = {name: row for name, row in own.items() if row.split == VALIDATION and _selected(by_id[name], settings.select)}
        evaluated = {name: own[name] for name in wanted if name in own}
        notes += _check_complete(predictions, evaluated, wanted, settings)
        notes += _check_training(predictions, by_id, [*evaluated.values(), *validation.values()])
        models.append(ModelData(predictions=predictions, evaluated=evaluated, validation=validation))
        validation_rows[predictions.header.model] = tuple(by_id[name] for name in sorted(validation))
    if settings.part == VALIDATION:
        notes.append("The evaluated part is validation, on which models and thresholds were chosen: the figures are optimistic.")
    return Joined(rows=tuple(by_id[name] for name in wanted), validation_rows=validation_rows, models=tuple(models), notes=tuple(notes))


def _check_sets(sets: Sequence[PredictionSet], by_id: Mapping[str, ImageRow]) -> None:
    names = [predictions.header.model for predictions in sets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"two sets of predictions are of a model called {twice[0]!r}; give each its own `model` in predictions.json"
        raise InputError(msg)
    for predictions in sets:
        unknown = sorted(row.image_id for row in predictions.rows if row.image_id not in by_id)
        if unknown:
            model = predictions.header.model
            msg = f"{model}: {len(unknown)} predicted images are not in the manifest ({_some(unknown)}); they are of another set"
            raise InputError(msg)
        moved = sorted(row.image_id for row in predictions.rows if (row.split == TEST) != (by_id[row.image_id].split == TEST))
        if moved:
            msg = (
                f"{predictions.header.model}: {len(moved)} images are test in one and not in the other of predictions and manifest "
                f"({_some(moved)}); the set was divided anew after training: train again, or evaluate with the manifest of that time"
            )
            raise LeakageError(msg)


def _evaluated_ids(by_id: Mapping[str, ImageRow], sets: Sequence[PredictionSet], settings: EvaluationSettings) -> list[str]:
    if settings.part == TEST:
        chosen = {name for name, row in by_id.items() if row.split == TEST}
    else:
        # Out of fold, images that the manifest calls training validate: what counts is the part they had for the model.
        chosen = {row.image_id for row in sets[0].rows if row.split == VALIDATION}
    wanted = sorted(name for name in chosen if _selected(by_id[name], settings.select))
    if not wanted:
        msg = f"part {settings.part}: no image of the manifest is left to evaluate; look at `select`, and at the column `split`"
        raise InputError(msg)
    return wanted


def _selected(row: ImageRow, select: SelectionSettings) -> bool:
    pairs = ((select.datasets, row.dataset), (select.organs, row.organ), (select.modalities, row.modality), (select.tiers, row.tier))
    return all(not names or value in names for names, value in pairs)


def _check_complete(
    predictions: PredictionSet, evaluated: Mapping[str, Prediction], wanted: Sequence[str], settings: EvaluationSettings
) -> Iterator[str]:
    header = predictions.header
    other = sorted(name for name, row in evaluated.items() if row.split != settings.part)
    if other:
        msg = (
            f"{header.model}: {len(other)} images are not of part {settings.part} for this model ({_some(other)}); "
            "models must be compared on the same images"
        )
        raise InputError(msg)
    missing = [name for name in wanted if name not in evaluated]
    if not missing:
        return
    if settings.missing_predictions == "refuse" or "classification" in header.tasks:
        msg = (
            f"{header.model}: {len(missing)} of {len(wanted)} images of part {settings.part} have no prediction ({_some(missing)}); run "
            "inference on all of them, narrow `select`, or for a detector count them with missing_predictions: nothing_found"
        )
        raise InputError(msg)
    yield f"{header.model}: {len(missing)} of {len(wanted)} images have no prediction and count as nothing found."


def _keys(row: ImageRow) -> set[str]:
    """All that must not be in two parts. Group ids and identifiers carry their data set or are meant to be shared."""
    keys = {key if not key.startswith("patient:") else f"{row.dataset}|{key}" for key in group_keys(row)}
    keys |= {f"group|{row.group}"} if row.group else set()
    return keys | {f"content|{digest}" for digest in (row.sha256, row.pixel_sha256) if digest} | {f"image|{row.image_id}"}


def check_parts_of_manifest(rows: Iterable[ImageRow]) -> None:
    """Make sure that no patient, group or content of the test part is in training or validation.

    Raises:
        LeakageError: something is; says how many test images and which groups (hashes).
    """
    rows = list(rows)
    others = {key for row in rows if row.split in (TRAIN, VALIDATION) for key in _keys(row)}
    leaking = [row for row in rows if row.split == TEST and not others.isdisjoint(_keys(row))]
    if leaking:
        msg = (
            f"the manifest's test part leaks: {len(leaking)} test images share a patient, group or content with training or validation "
            f"({_some(sorted(row.image_id for row in leaking))}); nothing is evaluated. Build the set again with parts drawn by group"
        )
        raise LeakageError(msg)


def _check_training(predictions: PredictionSet, by_id: Mapping[str, ImageRow], rows: Sequence[Prediction]) -> Iterator[str]:
    header = predictions.header
    if not header.trained_on:
        yield (
            f"{header.model} does not state what it was trained on (`trained_on` is empty): only the manifest's parts could be checked, "
            "and training on other data cannot be excluded."
        )
        trained = {ALL_FOLDS: tuple(name for name, row in by_id.items() if row.split == TRAIN)}
        rows = [row for row in rows if row.split == TEST]
    else:
        trained = dict(header.trained_on)
    unknown = {name for names in trained.values() for name in names} - set(by_id)
    if unknown:
        yield f"{header.model}: {len(unknown)} training images are not in this manifest; their patients could not be compared."
    keys = {fold: _keys_of(names, by_id) for fold, names in trained.items()}
    everything = set().union(*keys.values()) if keys else set()
    leaking = []
    for row in rows:
        seen = everything if row.fold is None or row.split == TEST else keys.get(str(row.fold), everything)
        if not seen.isdisjoint(_keys(by_id[row.image_id])):
            leaking.append(row.image_id)
    if leaking:
        msg = (
            f"{header.model} was trained on patients, groups or images of the part it shall be judged on: {len(leaking)} images "
            f"({_some(sorted(leaking))}). Nothing is evaluated; train without them"
        )
        raise LeakageError(msg)


def _keys_of(names: Iterable[str], by_id: Mapping[str, ImageRow]) -> set[str]:
    found = {f"image|{name}" for name in names}
    return found.union(*(_keys(by_id[name]) for name in names if name in by_id))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
