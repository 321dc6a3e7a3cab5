"""Every choice of an experiment, validated: what all tasks share, and the file it is read from.

A task adds its own sections by deriving from ``ExperimentSettings``. Unknown keys are refused with the nearest name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, model_validator

from weakbox.runtime.config import Settings, apply_overrides, read_yaml, resolve_paths, validate
from weakbox.runtime.store import digest_of

__all__ = [
    "AlarmSettings",
    "CacheSettings",
    "ExperimentSettings",
    "LearningSettings",
    "ScheduleSettings",
    "SetSettings",
    "Settings",
    "read_settings",
]


class CacheSettings(Settings):
    """Prepared images (decoded, cropped, resized), so that no epoch decodes again."""

    folder: Path | None = Field(default=None, description="Where prepared images lie; `prepared` in the output folder where not given.")
    memory_gib: float = Field(
        default=4.0, ge=0, description="Prepared images up to this size are kept in memory; more are mapped from disk."
    )
    workers: int = Field(default=1, ge=1, description="Processes that prepare images.")


class SetSettings(Settings):
    """Which images of an exported set are used."""

    folder: Path = Field(description="Folder of a finished set: the one that holds `images.parquet`.")
    datasets: tuple[str, ...] = Field(default=(), description="Only these data sets; all where empty.")
    organs: tuple[str, ...] = Field(default=(), description="Only these organs; all where empty.")
    modalities: tuple[str, ...] = Field(default=(), description="Only these modalities (MR, MG, DMS ...); all where empty.")
    tiers: tuple[str, ...] = Field(default=(), description="Only these label tiers for training; all where empty.")
    evaluation_tiers: tuple[str, ...] = Field(default=(), description="Only these label tiers for validation and test; all where empty.")
    tier_weights: Mapping[str, float] = Field(
        default_factory=dict, description="Weight of a sample's loss by its tier, for example `{expert: 1.0, report_sector: 0.5}`; else 1."
    )
    split_column_only: bool = Field(
        default=False, description="Without a fold: training and validation part of the set. Always so where no row has a fold."
    )

    @model_validator(mode="after")
    def _weights_are_positive(self) -> SetSettings:
        negative = sorted(tier for tier, weight in self.tier_weights.items() if weight < 0)
        if negative:
            msg = f"tier_weights: weights must not be negative ({', '.join(negative)})"
            raise ValueError(msg)
        return self


class ScheduleSettings(Settings):
    """How the learning rate moves."""

    kind: Literal["constant", "cosine", "step", "one_cycle", "plateau"] = Field(
        default="cosine", description="Course of the learning rate."
    )
    warmup_epochs: float = Field(default=0.0, ge=0, description="Linear rise at the start, in epochs.")
    final_share: float = Field(default=0.01, ge=0, le=1, description="`cosine`, `one_cycle`: share of the learning rate at the end.")
    step_epochs: int = Field(default=10, ge=1, description="`step`: epochs between falls.")
    factor: float = Field(default=0.5, gt=0, lt=1, description="`step`, `plateau`: what a fall multiplies by.")
    patience: int = Field(default=5, ge=1, description="`plateau`: epochs without improvement before a fall.")


class AlarmSettings(Settings):
    """What is watched while training. `warn` says so and goes on, `stop` ends the run, `off` does not look."""

    class_collapse: Literal["off", "warn", "stop"] = Field(default="warn", description="Nearly all predictions fall on one class.")
    collapse_share: float = Field(default=0.97, gt=0.5, le=1, description="Share of one predicted class that counts as a collapse.")
    sensitivity: Literal["off", "warn", "stop"] = Field(default="warn", description="Sensitivity of the positive class below the floor.")
    sensitivity_floor: float = Field(default=0.5, ge=0, le=1, description="The floor.")
    over_fitting: Literal["off", "warn", "stop"] = Field(
        default="warn", description="Validation loss rises while training loss falls, for `over_fitting_epochs` in a row."
    )
    over_fitting_epochs: int = Field(default=3, ge=1, description="Epochs in a row.")
    not_finite: Literal["warn", "stop"] = Field(
        default="stop", description="A loss that is no number. `warn` leaves the step out, up to `not_finite_steps` in a row."
    )
    not_finite_steps: int = Field(default=5, ge=1, description="Steps in a row that may be left out.")
    from_epoch: int = Field(default=2, ge=1, description="Collapse and sensitivity are judged from this epoch on.")


class LearningSettings(Settings):
    """The loop."""

    epochs: int = Field(default=30, ge=1, description="Most passes over the training part.")
    batch_size: int = Field(default=16, ge=1, description="Samples a step and device.")
    accumulate: int = Field(default=1, ge=1, description="Batches whose gradients are summed before the optimiser moves.")
    optimiser: Literal["adamw", "adam", "sgd"] = Field(default="adamw", description="Optimiser.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Learning rate of the head, and of all where `backbone_share` is 1.")
    backbone_share: float = Field(default=1.0, gt=0, le=1, description="Learning rate of pre-trained layers as a share of the head's.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Weight decay; not of biases and normalisation layers.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="`sgd`: Nesterov momentum.")
    clip_norm: float | None = Field(default=5.0, gt=0, description="Largest norm of the gradient.")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="Course of the learning rate.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Mixed precision; `auto` is bfloat16 on GPUs that have it, float16 on others; on CPU always float32."
    )
    device: str = Field(default="auto", description="`auto`, `cpu`, `cuda`, `cuda:1`.")
    threads: int | None = Field(default=None, ge=1, description="Threads of torch on CPU.")
    loader_threads: int = Field(default=2, ge=0, description="Threads that make batches ahead; 0 makes them in the loop.")
    is_deterministic: bool = Field(default=True, description="Deterministic algorithms where torch has them.")
    monitor: str = Field(default="auroc", description="Metric of the validation part that chooses the best epoch.")
    monitor_mode: Literal["max", "min"] = Field(default="max", description="Whether more of it is better.")
    early_stopping: int | None = Field(default=10, ge=1, description="Epochs without improvement before the end; none: never.")
    validate_every: int = Field(default=1, ge=1, description="Epochs between looks at the validation part.")
    checkpoint_steps: int | None = Field(
        default=200, ge=1, description="Optimiser steps between checkpoints inside an epoch; none: at the end of an epoch only."
    )
    alarms: AlarmSettings = Field(default=AlarmSettings(), description="What is watched.")
    tensorboard: bool = Field(default=True, description="Write TensorBoard events beside the CSV logs.")


class ExperimentSettings(Settings):
    """What every task's file holds."""

    task: str = Field(description="`classification`, or another package of `cv_model_experiments` that publishes an experiment.")
    name: str = Field(default="experiment", pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the experiment in tables and figures.")
    output: Path = Field(description="Folder of the results: one folder a fold.")
    seed: int = Field(default=1, ge=0, description="Seed of everything that is drawn.")
    folds: Literal["none", "all"] | tuple[int, ...] = Field(
        default="none",
        description="`none`: the set's training and validation part; `all` or a list: cross-validation by the manifest's folds.",
    )
    set: SetSettings = Field(description="Which images are used.")
    cache: CacheSettings = Field(default=CacheSettings(), description="Prepared images.")
    learning: LearningSettings = Field(default=LearningSettings(), description="The loop.")

    @property
    def cache_folder(self) -> Path:
        """Where prepared images lie."""
        return self.cache.folder or self.output / "prepared"


Experimental = TypeVar("Experimental", bound=ExperimentSettings)


def read_settings(path: Path, overrides: Iterable[str], model: type[Experimental]) -> Experimental:
    """The settings of an experiment; relative paths are taken from the file's folder.

    Raises:
        ConfigurationError: anything that is not usable, with the key and, for an unknown one, the nearest name.
    """
    content = apply_overrides(read_yaml(path), overrides)
    settings = validate(model, content, "", str(path))
    resolved: Experimental = resolve_paths(settings, path.resolve().parent)
    return resolved


def task_of(path: Path, overrides: Iterable[str]) -> str:
    """The task that a file names; `classification` where it names none."""
    return str(apply_overrides(read_yaml(path), overrides).get("task", "classification"))


def settings_digest(settings: ExperimentSettings) -> str:
    """SHA-256 of what decides the result: not the folders, the device, the threads, or how often is saved and shown."""
    content = settings.model_dump(mode="json", exclude={"output": True, "name": True, "cache": True, "folds": True})
    content["set"].pop("folder")
    for name in ("device", "threads", "loader_threads", "checkpoint_steps", "tensorboard", "epochs", "early_stopping"):
        content["learning"].pop(name)
    return digest_of(content)
