"""Where the time of a training goes: waiting for data, or computing; samples a second; memory at the peak."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from cv_model_experiments.learning.memory import peak_memory
from weakbox.runtime.store import write_text

Item = TypeVar("Item")
FIRST_STEPS = 2
"""Steps that are not counted: they include warm-up and compilation."""


@dataclass(slots=True)
class StepClock:
    """Times steps in two parts: the wait for the next batch, and the whole step."""

    device: torch.device
    waits: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)

    def timed(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The batches, with the time that each was waited for; call ``done`` after each."""
        remaining = iter(batches)
        while True:
            started = time.perf_counter()
            try:
                batch = next(remaining)
            except StopIteration:
                return
            self.waits.append(time.perf_counter() - started)
            yield batch
            self.steps.append(time.perf_counter() - started)

    def done(self, samples: int) -> None:
        """After the work on a batch."""
        self.samples.append(samples)

    def recent_rate(self) -> float:
        """Samples a second over the last steps."""
        steps = self.steps[-20:]
        return sum(self.samples[len(self.steps) - len(steps) : len(self.steps)]) / max(sum(steps), 1e-9)

    def report(self) -> dict[str, Any]:
        """Figures over all steps but the first."""
        skip = FIRST_STEPS if len(self.steps) > 2 * FIRST_STEPS else 0
        steps, waits = self.steps[skip:], self.waits[skip : len(self.steps)]
        if not steps:
            return {**peak_memory(self.device)}
        samples = sum(self.samples[skip : len(self.steps)])
        ordered = sorted(steps)
        return {
            "steps": len(steps),
            "samples_a_second": round(samples / sum(steps), 2),
            "step_ms_median": round(1000 * statistics.median(steps), 3),
            "step_ms_95th": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 3),
            "waiting_for_data_share": round(sum(waits) / sum(steps), 4),
            **peak_memory(self.device),
        }


def write_performance(
    path: Path, clock: StepClock, *, ranks: int, device: torch.device, precision: str, epoch_seconds: list[float]
) -> None:
    """Store the figures of this start of the run (a resumed one is measured on its own)."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    content = {
        "device": name,
        "ranks": ranks,
        "precision": precision,
        **clock.report(),
        "epoch_seconds": [round(one, 3) for one in epoch_seconds],
    }
    write_text(path, json.dumps(content, indent=1) + "\n")
