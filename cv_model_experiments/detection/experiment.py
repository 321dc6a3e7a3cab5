"""Detection as an experiment: from the rows of a fold to a trained detector, its file and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cv_model_experiments.data.rows import TEST, TRAIN, VALIDATION, DividedRows, manifest_path
from cv_model_experiments.detection.data import DetectionRun, PreparedPart, make_run, prepare_part
from cv_model_experiments.detection.model_file import TrainedDetector, save_model
from cv_model_experiments.detection.retinanet import RetinaFinder
from cv_model_experiments.detection.segmentation import SegmentationFinder
from cv_model_experiments.detection.settings import DetectionSettings
from cv_model_experiments.detection.targets import class_names
from cv_model_experiments.detection.task import DetectionTask, make_task
from cv_model_experiments.learning.experiment import Experiment, Prepared
from cv_model_experiments.learning.loop import MEMORY_REMEDIES, Outcome
from cv_model_experiments.learning.memory import memory_errors_for_users
from cv_model_experiments.learning.world import World
from cv_model_experiments.prediction.ensemble import FusionChoice, View
from cv_model_experiments.prediction.predicting import MapChoice, Views, fuse_predictions, predict_images
from cv_model_experiments.predictions import ALL_FOLDS, Prediction, PredictionHeader, read_predictions, write_predictions
from weakbox.records.image_set import ImageRow
from weakbox.runtime.digests import optional_file_digest

FOLDER = "predictions"
FOLD_OVERLAP = 0.2
"""Boxes of folds that overlap more (IoU) are one lesion."""


def prepare_fold(settings: DetectionSettings, rows: DividedRows, folder: Path, world: World) -> Prepared:
    """See ``learning.experiment.Experiment``.

    Raises:
        InputError: no boxes to learn from, nothing usable in a part, or mixed spacings.
    """
    with memory_errors_for_users("to prepare the images", MEMORY_REMEDIES):
        run = make_run(rows, settings, world)
    task = make_task(settings, run.shape, run.patches)

    def finish(outcome: Outcome) -> None:
        trained_on = sorted(row.image_id for row in run.train.rows)
        assert isinstance(task.module, RetinaFinder | SegmentationFinder)
        save_model(folder, task.module, settings, rows.fold, trained_on, outcome.best_epoch)
        alone = World(rank=0, ranks=1, device=world.device)
        parts = {VALIDATION: run.validate, TEST: prepare_part(rows.test, settings, alone)}
        model = TrainedDetector(
            module=task.module,
            settings=settings,
            fold=rows.fold,
            trained_on=tuple(trained_on),
            best_epoch=outcome.best_epoch,
            name=settings.name,
        )
        write_fold_predictions(folder, model, parts, world)

    return Prepared(
        task=task,
        training=run.training,
        validation=run.validation,
        details=_details(run, task, settings),
        left_out=tuple((part, one) for part, found in ((TRAIN, run.train), (VALIDATION, run.validate)) for one in found.left_out),
        finish=finish,
    )


def _details(run: DetectionRun, task: DetectionTask, settings: DetectionSettings) -> dict[str, object]:
    return {
        "classes": list(settings.class_names),
        "method": settings.method,
        "parameters": sum(one.numel() for one in task.module.parameters()),
        "anchors": None if run.fit is None else asdict(run.fit),
        "samples": {TRAIN: _counts(run.train), VALIDATION: _counts(run.validate)},
    }


def _counts(part: PreparedPart) -> dict[str, int]:
    lesions = [int(targets.is_lesion.sum()) for targets in part.samples.targets]
    return {
        "images": len(part.rows),
        "without_lesion": sum(count == 0 for count in lesions),
        "lesions": sum(lesions),
        "ignored_boxes": sum(len(targets) for targets in part.samples.targets) - sum(lesions),
        "case_level_only": sum(part.samples.bags),
    }


def write_fold_predictions(folder: Path, model: TrainedDetector, parts: Mapping[str, PreparedPart], world: World) -> None:
    """Predictions of one fold's model on its validation and test part, under ``predictions/`` of its folder."""
    settings, said = model.settings, []
    choice = FusionChoice(most=settings.selection.most)
    maps = MapChoice(folder=folder / FOLDER, images=settings.set.folder) if settings.method == "segmentation" else None
    model.module.eval()
    for name, part in parts.items():
        fold = model.fold if name == VALIDATION else None
        for one in predict_images([model], part.rows, _stored_views(part), choice, world.device, maps=maps):
            assert isinstance(one, Prediction), "these images were prepared before"
            said.append(replace(one, split=name, fold=fold))
    header = PredictionHeader(
        model=settings.name,
        tasks=("detection",),
        trained_on={ALL_FOLDS if model.fold is None else str(model.fold): model.trained_on},
        manifest_sha256=optional_file_digest(manifest_path(settings.set.folder)),
        details={"method": settings.method, "epoch_chosen_on": VALIDATION},
    )
    write_predictions(header, said, folder / FOLDER)


def _stored_views(part: PreparedPart) -> Views:
    places = {row.image_id: place for place, row in enumerate(part.rows)}
    store = part.samples.store

    def views(row: ImageRow) -> list[View]:
        place = places[row.image_id]
        return [View(pixels=np.asarray(store[place]), placement=store.placement(place))]

    return views


def write_pooled_predictions(settings: DetectionSettings, folders: Mapping[int | None, Path]) -> None:
    """Cross-validation: every image's boxes by the model that did not see it, and those of test images fused over all folds."""
    if len(folders) < 2:
        return
    sets = [read_predictions(folder / FOLDER) for _, folder in sorted(folders.items(), key=lambda item: str(item[0]))]
    out_of_fold = [_without_map(row) for one in sets for row in one.rows if row.split == VALIDATION]
    test: dict[str, list[Prediction]] = {}
    for one in sets:
        for row in one.rows:
            if row.split != VALIDATION:
                test.setdefault(row.image_id, []).append(row)
    names = class_names(settings.lesions)
    pooled: Sequence[Prediction] = [fuse_predictions(rows, names, FOLD_OVERLAP, settings.selection.most) for rows in test.values()]
    header = sets[0].header.model_copy(update={"trained_on": {fold: ids for one in sets for fold, ids in one.header.trained_on.items()}})
    write_predictions(header, [*out_of_fold, *pooled], settings.output / FOLDER)


def _without_map(said: Prediction) -> Prediction:
    """Maps stay in the folds' folders: box and map of pooled predictions must not come from different rules."""
    return replace(said, detection_map_path=None)


EXPERIMENT = Experiment(settings=DetectionSettings, prepare=prepare_fold, close=write_pooled_predictions)
