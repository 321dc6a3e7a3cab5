"""Whether the loader keeps up: samples a second of the loader alone, of real steps, and of the same steps on batches that lie ready."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from cv_model_experiments.data.rows import chosen_folds, divide, read_rows
from cv_model_experiments.learning.checkpoint import seed_everything
from cv_model_experiments.learning.experiment import Experiment, Prepared
from cv_model_experiments.learning.loading import DeviceBatch, Loader
from cv_model_experiments.learning.loop import MEMORY_REMEDIES
from cv_model_experiments.learning.memory import memory_errors_for_users, peak_memory
from cv_model_experiments.learning.optimising import Precision, choose_precision, make_optimiser
from cv_model_experiments.learning.task import LOSS
from cv_model_experiments.learning.world import opened_world
from cv_model_experiments.settings import ExperimentSettings, LearningSettings

Experimental = TypeVar("Experimental", bound=ExperimentSettings)
SECONDS = 3.0
"""Of each measurement; at least two batches."""
READY_BATCHES = 4
REPEATS = 3


def profile_experiment(experiment: Experiment[Experimental], settings: Experimental) -> str:
    """JSON with samples a second; trains a few steps of a throw-away model and writes nothing but prepared images."""
    if settings.learning.threads is not None:
        torch.set_num_threads(settings.learning.threads)
    rows = read_rows(settings.set)
    seed_everything(settings.seed, is_deterministic=settings.learning.is_deterministic)
    with opened_world(settings.learning.device) as world, tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        prepared = experiment.prepare(settings, divide(rows, settings.set, chosen_folds(rows, settings.folds)[0]), Path(folder), world)
        preparing = time.perf_counter() - started
        with memory_errors_for_users("to train", MEMORY_REMEDIES):
            figures = measure(prepared, settings.learning, world.device)
    figures = {"device": str(world.device), "threads": torch.get_num_threads(), "preparing_seconds": round(preparing, 2), **figures}
    return json.dumps({**figures, **peak_memory(world.device)}, indent=1)


def measure(prepared: Prepared, settings: LearningSettings, device: torch.device) -> dict[str, Any]:
    """The best of several rounds of each, taken in turn, so that a busy machine disturbs all alike."""
    step = _stepper(prepared, settings, choose_precision(settings.precision, device), device)
    ready = list(islice(_endless(prepared.training), READY_BATCHES))
    for batch in ready[:2]:
        step(batch)
    best: dict[str, float] = {}
    works: dict[str, Callable[[], float]] = {
        "loader": lambda: _rate(_endless(prepared.training), lambda batch: None, device),
        "steps": lambda: _rate(_endless(prepared.training), step, device),
        "bare_steps": lambda: _rate(cycle(ready), step, device),
    }
    peer = prepared.peer
    if peer is not None:
        works["peer_loader"] = lambda: _rate(peer(), lambda batch: None, device)
    for _ in range(REPEATS):
        for name, work in works.items():
            best[name] = max(best.get(name, 0.0), work())
    found = {f"{name}_samples_a_second": round(rate, 1) for name, rate in best.items()}
    return {**found, "steps_share_of_bare": round(best["steps"] / best["bare_steps"], 3)}


def _endless(loader: Loader) -> Iterator[DeviceBatch]:
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def _stepper(prepared: Prepared, settings: LearningSettings, precision: Precision, device: torch.device) -> Callable[[DeviceBatch], None]:
    module = prepared.task.module.to(device).train()
    optimiser = make_optimiser(prepared.task.parameter_groups(), settings)

    def step(batch: DeviceBatch) -> None:
        with precision.autocast():
            loss = module(batch)[LOSS]
        precision.scaler.scale(loss).backward()
        precision.scaler.step(optimiser)
        precision.scaler.update()
        optimiser.zero_grad(set_to_none=True)
        float(loss.detach())

    return step


def _rate(batches: Iterable[Any], work: Callable[[Any], None], device: torch.device) -> float:
    """Samples a second; the start of threads and processes counts."""
    started, samples = time.perf_counter(), 0
    for number, batch in enumerate(batches):
        work(batch)
        samples += len(batch)
        if number and time.perf_counter() - started > SECONDS:
            break
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return samples / (time.perf_counter() - started)
