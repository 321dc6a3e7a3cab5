"""The training loop: any task, from its start or from a checkpoint in the middle of an epoch, to its best epoch.

A resumed run draws, computes and logs what the unbroken one would have: every order, batch and augmentation follows from
seed, epoch and number; what is drawn from torch's own generator (dropout) is in the checkpoint, like all other state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cv_model_experiments.learning.alarms import Alarm, alarms_after
from cv_model_experiments.learning.checkpoint import check_identity, load_tensors, restore_rng, rng_state, save_tensors, seed_everything
from cv_model_experiments.learning.display import Display
from cv_model_experiments.learning.loading import DeviceBatch, Loader
from cv_model_experiments.learning.logs import Logs
from cv_model_experiments.learning.memory import memory_errors_for_users
from cv_model_experiments.learning.optimising import Precision, choose_precision, make_optimiser
from cv_model_experiments.learning.performance import StepClock, write_performance
from cv_model_experiments.learning.schedule import Schedule
from cv_model_experiments.learning.task import LOSS, Task
from cv_model_experiments.learning.world import World
from cv_model_experiments.settings import LearningSettings
from weakbox.records.errors import InputError

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best.pt"
MEMORY_REMEDIES = (
    "lower learning.batch_size (and raise learning.accumulate by as much), the size of the input, or cache.memory_gib; "
    "on a GPU set learning.precision to bfloat16"
)


@dataclass(slots=True)
class Progress:
    """How far a run is. All of it is in the checkpoint."""

    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""
    step: int = 0
    """Optimiser steps since the start."""
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_loss: float = math.inf
    """Validation loss of the best epoch: decides between epochs that the monitored metric finds equally good."""
    best_epoch: int = 0
    stale: int = 0
    not_finite: int = 0
    is_finished: bool = False
    ended_by: str = ""
    history: list[dict[str, float]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    best_epoch: int
    best: float | None
    epochs: int
    ended_by: str
    alarms: tuple[Alarm, ...]
    history: tuple[Mapping[str, float], ...]


class Training:
    """One run of one fold."""

    def __init__(
        self,
        task: Task,
        training: Loader,
        validation: Loader,
        settings: LearningSettings,
        *,
        folder: Path,
        seed: int,
        world: World,
        title: str = "training",
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.task, self.training, self.validation = task, training, validation
        self.settings, self.folder, self.world, self.title = settings, folder, world, title
        self.identity = {**task.identity, **(identity or {}), "ranks": world.ranks, "batch_size": settings.batch_size}
        self.seed = seed
        task.module.to(world.device)
        self.optimiser = make_optimiser(task.parameter_groups(), settings)
        self.precision: Precision = choose_precision(settings.precision, world.device)
        self.schedule = Schedule(settings=settings.schedule, epochs=settings.epochs)
        self.progress = Progress()
        self.clock = StepClock(world.device)
        self.epoch_seconds: list[float] = []
        self._stepping = self._wrapped()

    def _wrapped(self) -> nn.Module:
        if self.world.ranks == 1:
            return self.task.module
        from torch.nn.parallel import DistributedDataParallel

        places = [self.world.device] if self.world.device.type == "cuda" else None
        return DistributedDataParallel(self.task.module, device_ids=places, find_unused_parameters=True)

    def run(self, *, restart: bool = False) -> Outcome:
        """Train to the end, from the checkpoint where there is one (unless ``restart``), and leave the best state in the module.

        Raises:
            InputError: the checkpoint is of another experiment, memory ran out, or losses were no numbers.
        """
        seed_everything(self.seed, is_deterministic=self.settings.is_deterministic)
        if restart and self.world.is_main:
            for name in (CHECKPOINT_NAME, BEST_NAME):
                (self.folder / name).unlink(missing_ok=True)
        self.world.wait()
        if (self.folder / CHECKPOINT_NAME).is_file():
            self._resume()
        logs = Logs(self.folder, is_main=self.world.is_main, tensorboard=self.settings.tensorboard, from_step=self.progress.step)
        with (
            memory_errors_for_users("to train", MEMORY_REMEDIES),
            Display(self.title, self.training.steps, is_main=self.world.is_main) as display,
        ):
            if self.progress.step:
                display.note(f"goes on at epoch {self.progress.epoch + 1}, batch {self.progress.batch}")
            while not self._is_over():
                self._epoch(logs, display)
        logs.close()
        self._finish()
        return self._outcome()

    def _is_over(self) -> bool:
        return self.progress.is_finished or self.progress.epoch >= self.settings.epochs

    def _epoch(self, logs: Logs, display: Display) -> None:
        started = time.perf_counter()
        self.task.module.train()
        losses: list[float] = []
        for batch in self.clock.timed(self.training.epoch(self.progress.epoch, skip=self.progress.batch)):
            stretch = self._stretch()
            losses.append(self._backward(batch, stretch))
            self.progress.batch += 1
            self.clock.done(len(batch))
            display.step(self.progress.epoch + 1, self.progress.batch, losses[-1], self.clock.recent_rate())
            if len(losses) == stretch:
                self._step(sum(losses) / stretch, logs)
                losses.clear()
                self._checkpoint_inside()
        self._close_epoch(logs, display)
        self.epoch_seconds.append(time.perf_counter() - started)

    def _stretch(self) -> int:
        """Batches that the optimiser step of the present one sums: fewer at the end of an epoch."""
        start = self.progress.batch - self.progress.batch % self.settings.accumulate
        return min(self.settings.accumulate, self.training.steps - start)

    def _backward(self, batch: DeviceBatch, stretch: int) -> float:
        with self.precision.autocast():
            loss = self._stepping(batch)[LOSS]
        value = float(loss.detach())
        self.precision.scaler.scale(loss / stretch).backward()
        return value

    def _step(self, loss: float, logs: Logs) -> None:
        progress, settings = self.progress, self.settings
        rate = self._set_rate()
        self.precision.scaler.unscale_(self.optimiser)
        parameters = [one for group in self.optimiser.param_groups for one in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(parameters, settings.clip_norm or math.inf))
        # With float16 the scaler itself leaves out steps whose gradients overflow; a loss that is no number is another matter.
        if self._is_finite(loss, norm):
            self.precision.scaler.step(self.optimiser)
            progress.loss_sum += loss
            progress.loss_count += 1
        self.precision.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        progress.step += 1
        logs.step({"step": progress.step, "epoch": progress.epoch + 1, "loss": loss, "learning_rate": rate, "gradient_norm": norm})

    def _is_finite(self, loss: float, norm: float) -> bool:
        """Whether to take the step; all ranks agree, because gradients are shared."""
        has_scaler = self.precision.scaler.is_enabled()
        losses_are_finite = all(self.world.gather(math.isfinite(loss))) if self.world.ranks > 1 else math.isfinite(loss)
        if losses_are_finite and (has_scaler or math.isfinite(norm)):
            self.progress.not_finite = 0
            return True
        self.progress.not_finite += 1
        alarms = self.settings.alarms
        if alarms.not_finite == "stop" or self.progress.not_finite > alarms.not_finite_steps:
            msg = (
                f"epoch {self.progress.epoch + 1}, batch {self.progress.batch}: the loss or its gradient is no number; lower "
                "learning.learning_rate, set learning.precision to float32, or learning.alarms.not_finite to warn to leave such steps out"
            )
            raise InputError(msg)
        return False

    def _set_rate(self) -> float:
        done = self.progress.epoch + (self.progress.batch - 1) / max(1, self.training.steps)
        share = self.schedule.share(done)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * group["share"] * share
        return self.settings.learning_rate * share

    def _checkpoint_inside(self) -> None:
        every = self.settings.checkpoint_steps
        if every and self.progress.step % every == 0 and self.progress.batch < self.training.steps:
            self._save()

    def _close_epoch(self, logs: Logs, display: Display) -> None:
        progress = self.progress
        sums = self.world.gather((progress.loss_sum, progress.loss_count))
        count = max(1, sum(number for _, number in sums))
        row: dict[str, float] = {"epoch": progress.epoch + 1, "train_loss": sum(total for total, _ in sums) / count}
        row["learning_rate"] = self.settings.learning_rate * self.schedule.share(progress.epoch + 1)
        improved = False
        if (progress.epoch + 1) % self.settings.validate_every == 0 or progress.epoch + 1 >= self.settings.epochs:
            improved = self._validate(row)
        progress.history.append(row)
        progress.epoch, progress.batch, progress.loss_sum, progress.loss_count = progress.epoch + 1, 0, 0.0, 0
        alarms = alarms_after(progress.history, self.settings.alarms)
        progress.alarms += [asdict(alarm) for alarm in alarms]
        self._decide_the_end(alarms)
        display.epoch(row, improved=improved)
        for alarm in alarms:
            display.alarm(alarm)
        logs.epoch(progress.history, [Alarm(**alarm) for alarm in progress.alarms], progress.step)
        self._save()

    def _validate(self, row: dict[str, float]) -> bool:
        """Measure, and keep the state where it is the best so far."""
        self.world.share_buffers(self.task.module)
        self.task.module.eval()
        with torch.inference_mode(), self.precision.autocast():
            metrics = self.task.evaluate(self.validation, self.world).metrics
        self.task.module.train()
        row.update({f"validation_{name}": value for name, value in metrics.items()})
        if self.settings.monitor not in metrics:
            msg = f"learning.monitor: no metric {self.settings.monitor!r} (there are: {', '.join(sorted(metrics))})"
            raise InputError(msg)
        value, loss = metrics[self.settings.monitor], metrics.get("loss", math.inf)
        improved = self._is_better(value, loss)
        if improved:
            self.progress.best, self.progress.best_loss, self.progress.best_epoch, self.progress.stale = (
                value,
                loss,
                self.progress.epoch + 1,
                0,
            )
            if self.world.is_main:
                state = {name: tensor.cpu() for name, tensor in self.task.module.state_dict().items()}
                save_tensors(self.folder / BEST_NAME, {"identity": self.identity, "epoch": self.progress.best_epoch, "module": state})
        else:
            self.progress.stale += 1
        self.schedule.look(improved=improved)
        return improved

    def _is_better(self, value: float, loss: float) -> bool:
        best = self.progress.best
        if best is None or not math.isfinite(value):
            return math.isfinite(value)
        if value == best:
            return loss < self.progress.best_loss
        return value > best if self.settings.monitor_mode == "max" else value < best

    def _decide_the_end(self, alarms: tuple[Alarm, ...]) -> None:
        progress, patience = self.progress, self.settings.early_stopping
        stopping = next((alarm for alarm in alarms if alarm.stops), None)
        if stopping is not None:
            progress.is_finished, progress.ended_by = True, f"alarm {stopping.name}"
        elif patience is not None and progress.stale >= patience:
            progress.is_finished, progress.ended_by = True, f"no better {self.settings.monitor} for {patience} looks"

    def _save(self) -> None:
        rng = self.world.gather(rng_state(self.world.device))
        if self.world.is_main:
            content = {
                "identity": self.identity,
                "progress": asdict(self.progress),
                "schedule": {"falls": self.schedule.falls, "waited": self.schedule.waited},
                "module": self.task.module.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.precision.scaler.state_dict(),
                "rng": rng,
            }
            save_tensors(self.folder / CHECKPOINT_NAME, content)
        self.world.wait()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT_NAME
        content = load_tensors(path, "a checkpoint")
        check_identity(content["identity"], self.identity, path)
        self.progress = Progress(**content["progress"])
        if self.progress.epoch < self.settings.epochs and not self.progress.ended_by.startswith("alarm"):
            self.progress.is_finished = self.progress.is_finished and self._patience_is_over()
        self.schedule.falls, self.schedule.waited = content["schedule"]["falls"], content["schedule"]["waited"]
        self.task.module.load_state_dict(content["module"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.precision.scaler.load_state_dict(content["scaler"])
        restore_rng(content["rng"][self.world.rank], self.world.device)

    def _patience_is_over(self) -> bool:
        """More patience than before lets a stopped run go on."""
        return self.settings.early_stopping is not None and self.progress.stale >= self.settings.early_stopping

    def _finish(self) -> None:
        """The best state goes into the module; figures of this start onto the disk."""
        self.world.wait()
        path = self.folder / BEST_NAME
        if self.progress.best is None:
            msg = (
                f"{self.folder}: {self.settings.monitor} never was a number, so no epoch can be chosen; choose another "
                "learning.monitor, such as loss with monitor_mode: min"
            )
            raise InputError(msg)
        self.task.module.load_state_dict(load_tensors(path, "the best state")["module"])
        self.task.module.eval()
        if self.world.is_main and self.clock.steps:
            write_performance(
                self.folder / "performance.json",
                self.clock,
                ranks=self.world.ranks,
                device=self.world.device,
                precision=self.precision.name,
                epoch_seconds=self.epoch_seconds,
            )

    def _outcome(self) -> Outcome:
        progress = self.progress
        return Outcome(
            best_epoch=progress.best_epoch,
            best=progress.best,
            epochs=progress.epoch,
            ended_by=progress.ended_by or "all epochs done",
            alarms=tuple(Alarm(**alarm) for alarm in progress.alarms),
            history=tuple(progress.history),
        )
