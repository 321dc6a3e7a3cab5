"""The learning rate as a function of how much of the training is done; only `plateau` remembers anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cv_model_experiments.settings import ScheduleSettings

ONE_CYCLE_START = 0.04
ONE_CYCLE_RISE = 0.3


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Share of the full learning rate. ``epochs`` is the planned length."""

    settings: ScheduleSettings
    epochs: int
    falls: int = 0
    """`plateau`: how often the rate fell."""
    waited: int = 0

    def share(self, progress: float) -> float:
        """At ``progress`` epochs (fractions count)."""
        warmup = self.settings.warmup_epochs
        if progress < warmup:
            return (progress + 1e-3) / (warmup + 1e-3)
        return self._after_warmup((progress - warmup) / max(self.epochs - warmup, 1e-9), progress)

    def _after_warmup(self, done: float, progress: float) -> float:
        settings, done = self.settings, min(max(done, 0.0), 1.0)
        if settings.kind == "cosine":
            return settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * done))
        if settings.kind == "one_cycle":
            if done < ONE_CYCLE_RISE:
                return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * done / ONE_CYCLE_RISE
            fallen = (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)
            return settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * fallen))
        if settings.kind == "step":
            return float(settings.factor ** int(progress // settings.step_epochs))
        if settings.kind == "plateau":
            return float(settings.factor**self.falls)
        return 1.0

    def look(self, *, improved: bool) -> None:
        """After an epoch: `plateau` falls after ``patience`` epochs without improvement."""
        self.waited = 0 if improved else self.waited + 1
        if self.settings.kind == "plateau" and self.waited >= self.settings.patience:
            self.falls, self.waited = self.falls + 1, 0
