"""One experiment from its settings to its results: for each fold the rows, the task, the loop, the files.

A task publishes an ``Experiment`` as ``EXPERIMENT`` in ``cv_model_experiments/<task>/experiment.py``; `training.py` finds it by
that name. What it makes for a fold is a ``Prepared``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from cv_model_experiments.data.rows import DividedRows, chosen_folds, divide, manifest_path, read_rows
from cv_model_experiments.data.store import LeftOut
from cv_model_experiments.learning.checkpoint import seed_everything
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.logs import csv_text
from cv_model_experiments.learning.loop import Outcome, Training
from cv_model_experiments.learning.task import Task
from cv_model_experiments.learning.world import World, opened_world
from cv_model_experiments.settings import ExperimentSettings, settings_digest
from weakbox.runtime.digests import optional_file_digest
from weakbox.runtime.store import digest_of, write_text

Experimental = TypeVar("Experimental", bound=ExperimentSettings)
SETTINGS_NAME = "settings.json"
RUN_NAME = "run.json"
SUMMARY_NAME = "folds.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a task makes of the rows of one fold."""

    task: Task
    training: Loader
    validation: Loader
    details: Mapping[str, Any]
    """For ``run.json``: classes, counts, weights; plain values."""
    left_out: tuple[tuple[str, LeftOut], ...] = ()
    """(part, image that is not used and why)."""
    finish: Callable[[Outcome], None] = lambda outcome: None
    """Called on the main process with the best state in the task's module: writes the model file and predictions."""
    peer: Callable[[], Iterable[Sized]] | None = None
    """Batches of the same images by a loader to compare with; for ``--profile`` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(Generic[Experimental]):
    """A task: its settings, and how it prepares a fold. ``close`` is called once after all folds with their folders."""

    settings: type[Experimental]
    prepare: Callable[[Experimental, DividedRows, Path, World], Prepared]
    close: Callable[[Experimental, Mapping[int | None, Path]], None] = lambda settings, folders: None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """One fold's folder and outcome."""

    fold: int | None
    folder: Path
    outcome: Outcome


def fold_folder(output: Path, fold: int | None) -> Path:
    """Where a fold's results lie."""
    return output / ("model" if fold is None else f"fold_{fold}")


def run_experiment(experiment: Experiment[Experimental], settings: Experimental, *, restart: bool = False) -> list[FoldResult]:
    """Train every chosen fold, each from its checkpoint where there is one, and write its results.

    Raises:
        InputError: see the modules of ``data`` and the task.
    """
    if settings.learning.threads is not None:
        torch.set_num_threads(settings.learning.threads)
    rows = read_rows(settings.set)
    with opened_world(settings.learning.device) as world:
        results = []
        for fold in chosen_folds(rows, settings.folds):
            results.append(_run_fold(experiment, settings, divide(rows, settings.set, fold), world, restart=restart))
            world.wait()
        if world.is_main:
            write_text(settings.output / SETTINGS_NAME, json.dumps(settings.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
            write_text(settings.output / SUMMARY_NAME, _summary(results, settings.learning.monitor))
            experiment.close(settings, {result.fold: result.folder for result in results})
        world.wait()
    return results


def _run_fold(
    experiment: Experiment[Experimental], settings: Experimental, rows: DividedRows, world: World, *, restart: bool
) -> FoldResult:
    folder = fold_folder(settings.output, rows.fold)
    folder.mkdir(parents=True, exist_ok=True)
    seed_everything(settings.seed, is_deterministic=settings.learning.is_deterministic)
    prepared = experiment.prepare(settings, rows, folder, world)
    if world.is_main:
        write_text(folder / "left_out.csv", _left_out_text(prepared))
    identity = {"settings": settings_digest(settings), "rows": _rows_digest(rows), "fold": rows.fold}
    training = Training(
        prepared.task,
        prepared.training,
        prepared.validation,
        settings.learning,
        folder=folder,
        seed=settings.seed,
        world=world,
        title=settings.name if rows.fold is None else f"{settings.name} fold {rows.fold}",
        identity=identity,
    )
    outcome = training.run(restart=restart)
    if world.is_main:
        prepared.finish(outcome)
        content = {
            "name": settings.name,
            "task": settings.task,
            "fold": rows.fold,
            "seed": settings.seed,
            "best_epoch": outcome.best_epoch,
            "monitor": settings.learning.monitor,
            "best": outcome.best,
            "epochs": outcome.epochs,
            "ended_by": outcome.ended_by,
            "alarms": sorted({alarm.name for alarm in outcome.alarms}),
            "manifest_sha256": optional_file_digest(manifest_path(settings.set.folder)),
            "identity": training.identity,
            **prepared.details,
        }
        write_text(folder / RUN_NAME, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return FoldResult(fold=rows.fold, folder=folder, outcome=outcome)


def _rows_digest(rows: DividedRows) -> str:
    """Which images are in which part, with their content, class and boxes."""
    parts = [[(row.image_id, row.sha256, row.label, row.tier, repr(row.boxes)) for row in part] for part in (rows.train, rows.validation)]
    return digest_of(parts)


def _left_out_text(prepared: Prepared) -> str:
    rows = [{"part": part, "image_id": one.image_id, "reason": one.reason} for part, one in prepared.left_out]
    return csv_text(("part", "image_id", "reason"), rows)


def _summary(results: list[FoldResult], monitor: str) -> str:
    """One row a fold with the figures of its best epoch."""
    rows = []
    for result in results:
        best = next((row for row in result.outcome.history if row["epoch"] == result.outcome.best_epoch), {})
        own = {"fold": "" if result.fold is None else result.fold, "best_epoch": result.outcome.best_epoch, "epochs": result.outcome.epochs}
        rows.append({**own, **{name: value for name, value in best.items() if name != "epoch"}})
    columns = list(dict.fromkeys(name for row in rows for name in row))
    first = f"validation_{monitor}"
    columns = sorted(columns, key=lambda name: (name not in ("fold", "best_epoch", "epochs"), name != first))
    return csv_text(columns, rows)
