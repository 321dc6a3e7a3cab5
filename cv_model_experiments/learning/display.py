"""What a person sees while a model trains: a bar with loss, rate and samples a second on a terminal; a line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Self

from cv_model_experiments.learning.alarms import Alarm


class Display:
    """Speaks on standard error; silent where ``is_main`` is false."""

    def __init__(self, title: str, steps: int, *, is_main: bool) -> None:
        self.is_main = is_main
        self.title = title
        self.steps = steps
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self.is_main and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
            self._progress.start()
            self._task = self._progress.add_task(self.title, total=self.steps, note="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def step(self, epoch: int, number: int, loss: float, samples_a_second: float) -> None:
        """After a step."""
        if self._progress is not None:
            note = f"loss {loss:.4f}  {samples_a_second:.0f} samples/s"
            self._progress.update(self._task, completed=number, description=f"{self.title} epoch {epoch}", note=note)

    def epoch(self, row: Mapping[str, float], *, improved: bool) -> None:
        """After an epoch: its figures in one line."""
        figures = "  ".join(f"{name.replace('validation_', 'val ')} {value:.4g}" for name, value in row.items() if name != "epoch")
        self._say(f"{self.title} epoch {int(row['epoch'])}: {figures}{'  *' if improved else ''}")

    def alarm(self, alarm: Alarm) -> None:
        """An alarm, where the eye falls on it."""
        self._say(f"{self.title} epoch {alarm.epoch} ALARM {alarm.name}: {alarm.message}")

    def note(self, text: str) -> None:
        """Anything else worth a line."""
        self._say(f"{self.title}: {text}")

    def _say(self, text: str) -> None:
        if not self.is_main:
            return
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)
