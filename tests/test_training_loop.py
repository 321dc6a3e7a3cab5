"""The loop on a small task of its own: resuming, schedules, alarms, early stopping, logs, memory, several processes."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from torch import nn  # noqa: E402

from cv_model_experiments.data.order import EpochOrder, Integers  # noqa: E402
from cv_model_experiments.learning.alarms import alarms_after  # noqa: E402
from cv_model_experiments.learning.checkpoint import load_tensors, save_tensors  # noqa: E402
from cv_model_experiments.learning.loading import Loader  # noqa: E402
from cv_model_experiments.learning.loop import CHECKPOINT_NAME, Training  # noqa: E402
from cv_model_experiments.learning.optimising import choose_precision  # noqa: E402
from cv_model_experiments.learning.schedule import Schedule  # noqa: E402
from cv_model_experiments.learning.task import Evaluation, ParameterGroup  # noqa: E402
from cv_model_experiments.learning.world import World, choose_device  # noqa: E402
from cv_model_experiments.settings import AlarmSettings, LearningSettings, ScheduleSettings  # noqa: E402
from weakbox.records.errors import ConfigurationError, InputError  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
ALONE = World(rank=0, ranks=1, device=torch.device("cpu"))


@dataclass(frozen=True, kw_only=True)
class Points:
    """A batch of points and what a line says of them."""

    places: Integers
    seed: int

    def to(self, device: torch.device) -> Points:
        return self

    def __len__(self) -> int:
        return len(self.places)


class Line(nn.Module):
    """Fits 3x - 1 with dropout and batch normalisation, so that random and running states matter; can be made to fail."""

    def __init__(self, failing: Mapping[int, str] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
        self.failing = dict(failing or {})
        self.calls = 0

    def forward(self, batch: Points) -> dict[str, torch.Tensor]:
        self.calls += 1
        x = torch.from_numpy(batch.places.astype(np.float32))[:, None] / 50
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(batch.seed)) * 0.01
        loss = ((self.net(x + noise) - (3 * x - 1)) ** 2).mean()
        failure = self.failing.get(self.calls)
        if failure == "nan":
            loss = loss * math.nan
        elif failure == "memory":
            torch.empty(1 << 55)
        elif failure == "stop":
            raise KeyboardInterrupt
        return {"loss": loss}


@dataclass
class LineTask:
    module: Line
    identity: Mapping[str, Any] = field(default_factory=lambda: {"architecture": "line"})
    metrics: list[float] | None = None

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(name="all", parameters=list(self.module.parameters()))]

    def evaluate(self, loader: Loader, world: World) -> Evaluation:
        if self.metrics is not None:
            return Evaluation(metrics={"loss": self.metrics.pop(0)})
        losses = [float(self.module(batch)["loss"]) for batch in loader.epoch(0)]  # type: ignore[arg-type]
        return Evaluation(metrics={"loss": sum(losses) / len(losses)})


def settings(**changes: Any) -> LearningSettings:
    chosen = {
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 0.01,
        "monitor": "loss",
        "monitor_mode": "min",
        "tensorboard": False,
        "checkpoint_steps": 1,
        **changes,
    }
    return LearningSettings(**chosen)


def training(folder: Path, task: LineTask, chosen: LearningSettings, threads: int = 0) -> Training:
    def make(places: Integers, seed: int) -> Points:
        return Points(places=places, seed=seed)

    loaders = [
        Loader(
            make=make,
            order=EpochOrder(seed=4, copies=(1,) * 60, is_shuffled=is_training),
            batch_size=chosen.batch_size,
            is_training=is_training,
            world=ALONE,
            threads=threads,
        )
        for is_training in (True, False)
    ]
    return Training(task, *loaders, chosen, folder=folder, seed=5, world=ALONE, title="line")


def states_equal(first: Line, second: Line) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk at every checkpoint is right, and slow here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize("breaks_at", [1, 7, 12, 20])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_run_broken_anywhere_ends_with_the_same_weights_and_logs(tmp_path: Path, breaks_at: int, accumulate: int) -> None:
    """Forward passes of validation count too, so breaks fall inside and between epochs."""
    chosen = settings(accumulate=accumulate)
    whole = LineTask(Line())
    training(tmp_path / "whole", whole, chosen).run()
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "broken", LineTask(Line({breaks_at: "stop"})), chosen).run()
    torch.manual_seed(999)
    resumed = LineTask(Line())
    training(tmp_path / "broken", resumed, chosen, threads=2).run()
    assert states_equal(whole.module, resumed.module)
    for name in ("log.csv", "steps.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_a_finished_run_is_not_run_again_and_more_epochs_go_on(tmp_path: Path) -> None:
    training(tmp_path, LineTask(Line()), settings()).run()
    again = LineTask(Line())
    assert training(tmp_path, again, settings()).run().epochs == 3
    assert again.module.calls == 0
    assert training(tmp_path, LineTask(Line()), settings(epochs=5)).run().epochs == 5


def test_restart_forgets_the_checkpoint(tmp_path: Path) -> None:
    training(tmp_path, LineTask(Line()), settings()).run()
    task = LineTask(Line())
    training(tmp_path, task, settings()).run(restart=True)
    assert task.module.calls > 0


def test_a_checkpoint_of_another_architecture_is_refused_with_both_names(tmp_path: Path) -> None:
    training(tmp_path, LineTask(Line()), settings()).run()
    other = LineTask(Line(), identity={"architecture": "curve"})
    with pytest.raises(InputError, match=r"architecture: line there, curve here.*--restart"):
        training(tmp_path, other, settings()).run()


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    training(tmp_path, LineTask(Line()), settings(epochs=1)).run()
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be read"):
        training(tmp_path, LineTask(Line()), settings()).run()


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"format": 1, "module": Path("x")}, path)
    with pytest.raises(InputError, match="cannot be read"):
        load_tensors(path, "a checkpoint")


def test_a_killed_write_leaves_the_last_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.pt"
    save_tensors(path, {"value": 1})

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        save_tensors(path, {"value": 2})
    assert load_tensors(path, "x")["value"] == 1


# ---- when it ends, and what goes wrong


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    task = LineTask(Line(), metrics=[0.5, 0.3, 0.4, 0.6, 0.7])
    outcome = training(tmp_path, task, settings(epochs=20, early_stopping=3)).run()
    assert (outcome.best_epoch, outcome.best, outcome.epochs) == (2, 0.3, 5)
    assert "no better loss for 3" in outcome.ended_by
    best = load_tensors(tmp_path / "best.pt", "x")["module"]
    assert all(torch.equal(best[name], value) for name, value in task.module.state_dict().items())


def test_between_equal_epochs_the_validation_loss_decides(tmp_path: Path) -> None:
    run = training(tmp_path, LineTask(Line()), settings(monitor="auroc", monitor_mode="max"))
    run.progress.best, run.progress.best_loss = 1.0, 0.6
    assert run._is_better(1.0, 0.5)
    assert not run._is_better(1.0, 0.6)
    assert not run._is_better(0.9, 0.1)
    assert not run._is_better(math.nan, 0.1)


def test_a_loss_that_is_no_number_stops_with_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"epoch 1, batch 4.*learning_rate"):
        training(tmp_path, LineTask(Line({4: "nan"})), settings()).run()


def test_single_steps_without_a_number_can_be_left_out(tmp_path: Path) -> None:
    alarms = AlarmSettings(not_finite="warn")
    task = LineTask(Line({4: "nan"}))
    training(tmp_path, task, settings(alarms=alarms)).run()
    assert all(bool(torch.isfinite(value).all()) for value in task.module.state_dict().values())
    always = LineTask(Line(dict.fromkeys(range(1, 50), "nan")))
    with pytest.raises(InputError, match="no number"):
        training(tmp_path / "always", always, settings(alarms=alarms)).run()


def test_too_little_memory_names_the_settings_to_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"too little memory to train; lower learning\.batch_size"):
        training(tmp_path, LineTask(Line({2: "memory"})), settings()).run()


def test_a_metric_that_is_not_measured_cannot_choose_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no metric 'auroc'"):
        training(tmp_path, LineTask(Line()), settings(monitor="auroc")).run()
    with pytest.raises(InputError, match="never was a number"):
        training(tmp_path / "nan", LineTask(Line(), metrics=[math.nan] * 3), settings()).run()


def test_a_gpu_that_is_not_there_is_said_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigurationError, match="auto or cpu"):
        choose_device("cuda")
    with pytest.raises(ConfigurationError, match="no device of torch"):
        choose_device("gpu0")


def test_logs_have_one_row_an_epoch_and_a_step(tmp_path: Path) -> None:
    training(tmp_path, LineTask(Line()), settings(tensorboard=True)).run()
    with (tmp_path / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    with (tmp_path / "steps.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(1, 25))
    assert list((tmp_path / "tensorboard").iterdir())
    assert (tmp_path / "performance.json").is_file()


# ---- schedules and alarms


def test_schedules_rise_and_fall_as_they_say() -> None:
    def share(kind: str, progress: float, **changes: Any) -> float:
        return Schedule(settings=ScheduleSettings(kind=kind, **changes), epochs=10).share(progress)  # type: ignore[arg-type]

    assert share("constant", 7) == 1.0
    assert share("cosine", 0) == 1.0
    assert share("cosine", 5, final_share=0.0) == pytest.approx(0.5)
    assert share("cosine", 10, final_share=0.1) == pytest.approx(0.1)
    assert share("cosine", 1, warmup_epochs=2) == pytest.approx(0.5, abs=1e-3)
    assert [share("step", one, step_epochs=3, factor=0.1) for one in (0, 2.9, 3, 6)] == pytest.approx([1, 1, 0.1, 0.01])
    assert share("one_cycle", 0) < share("one_cycle", 3) == 1.0
    assert share("one_cycle", 9) < 0.2


def test_plateau_falls_after_its_patience_and_remembers() -> None:
    schedule = Schedule(settings=ScheduleSettings(kind="plateau", patience=2, factor=0.5), epochs=10)
    shares = []
    for improved in (True, False, False, False, False, True, False):
        schedule.look(improved=improved)
        shares.append(schedule.share(1))
    assert shares == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]


def history(*rows: Mapping[str, float]) -> list[dict[str, float]]:
    return [{"epoch": number, "train_loss": 1.0, **row} for number, row in enumerate(rows, start=1)]


def names(rows: list[dict[str, float]], **changes: Any) -> list[str]:
    return [alarm.name for alarm in alarms_after(rows, AlarmSettings(**changes))]


def test_alarms_ring_for_what_they_watch_and_only_then() -> None:
    collapsed = {"validation_largest_predicted_share": 1.0, "validation_largest_true_share": 0.6}
    assert names(history({}, collapsed)) == ["class_collapse"]
    assert names(history(collapsed)) == []
    assert names(history({}, {**collapsed, "validation_largest_true_share": 0.99})) == []
    assert names(history({}, collapsed), class_collapse="off") == []
    assert names(history({}, {"validation_sensitivity": 0.3})) == ["sensitivity"]
    assert names(history({}, {"validation_sensitivity": 0.5})) == []
    assert names(history({}, {"validation_sensitivity": math.nan})) == []


def test_over_fitting_rings_when_the_losses_part() -> None:
    parting = history(*({"train_loss": 1.0 - 0.1 * number, "validation_loss": 1.0 + 0.1 * number} for number in range(4)))
    assert names(parting) == ["over_fitting"]
    assert names(parting[:3]) == []
    both_rise = history(*({"train_loss": 1.0 + 0.1 * number, "validation_loss": 1.0 + 0.1 * number} for number in range(4)))
    assert names(both_rise) == []


def test_an_alarm_set_to_stop_ends_the_run(tmp_path: Path) -> None:
    task = LineTask(Line(), metrics=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    chosen = settings(epochs=6, learning_rate=1e-3, alarms=AlarmSettings(over_fitting="stop", over_fitting_epochs=1))
    outcome = training(tmp_path, task, chosen).run()
    assert outcome.epochs < 6
    assert outcome.ended_by == "alarm over_fitting"
    with (tmp_path / "alarms.csv").open() as file:
        assert [row["alarm"] for row in csv.DictReader(file)] == ["over_fitting"]


def test_mixed_precision_on_cpu_is_refused() -> None:
    assert choose_precision("auto", torch.device("cpu")).name == "float32"
    with pytest.raises(ConfigurationError, match="needs a GPU"):
        choose_precision("bfloat16", torch.device("cpu"))


# ---- loading


def test_threads_change_nothing_and_a_skipped_epoch_goes_on_with_the_same_batches(tmp_path: Path) -> None:
    loaders = [training(tmp_path, LineTask(Line()), settings(), threads=threads).training for threads in (0, 1, 3)]
    whole = [[(batch.places.tolist(), batch.seed) for batch in loader.epoch(2)] for loader in loaders]  # type: ignore[attr-defined]
    assert whole[0] == whole[1] == whole[2]
    rest = [(batch.places.tolist(), batch.seed) for batch in loaders[2].epoch(2, skip=4)]  # type: ignore[attr-defined]
    assert rest == whole[0][4:]
    assert len(whole[0]) == loaders[0].steps


def test_an_error_in_a_loaders_thread_reaches_the_loop() -> None:
    def make(places: Integers, seed: int) -> Points:
        raise InputError("broken file")

    loader = Loader(make=make, order=EpochOrder(seed=1, copies=(1,) * 9), batch_size=3, is_training=True, world=ALONE, threads=2)
    with pytest.raises(InputError, match="broken file"):
        list(loader.epoch(0))


TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from tests.test_training_loop import Line, LineTask, Points, settings
from cv_model_experiments.data.order import EpochOrder
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.loop import Training
from cv_model_experiments.learning.world import opened_world

with opened_world("cpu") as world:
    task, chosen = LineTask(Line()), settings(batch_size=4)
    loaders = [Loader(make=lambda places, seed: Points(places=places, seed=seed), order=EpochOrder(seed=4, copies=(1,) * 60),
                      batch_size=4, is_training=is_training, world=world) for is_training in (True, False)]
    Training(task, *loaders, chosen, folder=Path(sys.argv[1]), seed=5, world=world).run()
    weights = [value for name, value in sorted(task.module.state_dict().items())]
    found = world.gather(weights)
    assert all(torch.equal(a, b) for a, b in zip(*found)), "the processes ended with different weights"
    assert world.ranks == 2
"""


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(TWO_PROCESSES))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < losses[0]
