"""Logs of a run: an epoch's figures and the steps as CSV, also as TensorBoard events. A resumed run's have no gap and no repeat."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_model_experiments.learning.alarms import Alarm
from weakbox.runtime.store import write_text

STEP_COLUMNS = ("step", "epoch", "loss", "learning_rate", "gradient_norm")


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A table; floats with 8 significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.8g}" if isinstance(value, float) else value


class Logs:
    """Writes ``log.csv``, ``steps.csv``, ``alarms.csv`` and TensorBoard events into a folder; nothing where ``is_main`` is false."""

    def __init__(self, folder: Path, *, is_main: bool, tensorboard: bool, from_step: int) -> None:
        self.folder = folder
        self.is_main = is_main
        self._writer: Any = None
        if not is_main:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._keep_steps_before(from_step)
        if tensorboard:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=from_step + 1 if from_step else None)

    def _keep_steps_before(self, from_step: int) -> None:
        path = self.folder / "steps.csv"
        kept: list[Mapping[str, Any]] = []
        if from_step and path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                kept = [
                    row
                    for row in csv.DictReader(file)
                    if (row["step"] or "").isdigit() and int(row["step"]) <= from_step and None not in row.values()
                ]
        write_text(path, csv_text(STEP_COLUMNS, kept))

    def step(self, row: Mapping[str, float | int]) -> None:
        """One optimiser step."""
        if not self.is_main:
            return
        with (self.folder / "steps.csv").open("a", encoding="utf-8") as file:
            file.write(",".join(str(_cell(row.get(column))) for column in STEP_COLUMNS) + "\n")
        self._scalars({f"step/{name}": row[name] for name in STEP_COLUMNS[2:] if name in row}, int(row["step"]))

    def epoch(self, history: Sequence[Mapping[str, float]], alarms: Sequence[Alarm], step: int) -> None:
        """After an epoch: the whole history again, so that the file is right whatever was there before."""
        if not self.is_main:
            return
        columns = list(dict.fromkeys(name for row in history for name in row))
        write_text(self.folder / "log.csv", csv_text(columns, history))
        rows = [{"epoch": alarm.epoch, "alarm": alarm.name, "message": alarm.message} for alarm in alarms]
        write_text(self.folder / "alarms.csv", csv_text(("epoch", "alarm", "message"), rows))
        self._scalars({f"epoch/{name}": value for name, value in history[-1].items() if name != "epoch"}, step)
        if self._writer is not None:
            for alarm in alarms:
                if alarm.epoch == history[-1]["epoch"]:
                    self._writer.add_text("alarms", f"{alarm.name}: {alarm.message}", step)
            self._writer.flush()

    def _scalars(self, values: Mapping[str, float | int], step: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the TensorBoard file."""
        if self._writer is not None:
            self._writer.close()
