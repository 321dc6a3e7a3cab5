"""What goes wrong while a model trains, said in time: class collapse, sensitivity below a floor, over-fitting, no numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from cv_model_experiments.settings import AlarmSettings
from weakbox.records.record import record

History = Sequence[Mapping[str, float]]
"""One row an epoch: ``epoch`` (from 1), ``train_loss``, ``validation_<metric>`` where it was measured."""


@record
class Alarm:
    """What was seen, and what to do."""

    epoch: int
    name: str
    message: str
    stops: bool


def alarms_after(history: History, settings: AlarmSettings) -> tuple[Alarm, ...]:
    """The alarms that the last epoch of a history gives."""
    found = (_collapse(history, settings), _sensitivity(history, settings), _over_fitting(history, settings))
    return tuple(alarm for alarm in found if alarm is not None)


def _judged(row: Mapping[str, float], settings: AlarmSettings, name: str) -> float | None:
    value = row.get(f"validation_{name}")
    is_early = row["epoch"] < settings.from_epoch
    return None if value is None or is_early or math.isnan(value) else value


def _collapse(history: History, settings: AlarmSettings) -> Alarm | None:
    row = history[-1]
    share, true_share = _judged(row, settings, "largest_predicted_share"), _judged(row, settings, "largest_true_share")
    if settings.class_collapse == "off" or share is None or share < settings.collapse_share:
        return None
    if true_share is not None and true_share >= settings.collapse_share:
        return None
    message = (
        f"{share:.0%} of the validation samples are given one class, {true_share or 0:.0%} have their most frequent one; "
        "lower learning.learning_rate, set balance to sampler, or loss.kind to focal"
    )
    return Alarm(epoch=int(row["epoch"]), name="class_collapse", message=message, stops=settings.class_collapse == "stop")


def _sensitivity(history: History, settings: AlarmSettings) -> Alarm | None:
    row = history[-1]
    value = _judged(row, settings, "sensitivity")
    if settings.sensitivity == "off" or value is None or value >= settings.sensitivity_floor:
        return None
    message = (
        f"sensitivity {value:.2f} is below the floor {settings.sensitivity_floor:.2f} (at equal odds); "
        "give the positive class more weight (balance, loss.alpha), or choose the operating point on the validation part"
    )
    return Alarm(epoch=int(row["epoch"]), name="sensitivity", message=message, stops=settings.sensitivity == "stop")


def _over_fitting(history: History, settings: AlarmSettings) -> Alarm | None:
    measured = [row for row in history if "validation_loss" in row][-settings.over_fitting_epochs - 1 :]
    if settings.over_fitting == "off" or len(measured) <= settings.over_fitting_epochs:
        return None
    steps = list(pairwise(measured))
    if not all(b["validation_loss"] > a["validation_loss"] and b["train_loss"] < a["train_loss"] for a, b in steps):
        return None
    message = (
        f"validation loss rose {settings.over_fitting_epochs} times in a row to {measured[-1]['validation_loss']:.4f} while training loss "
        f"fell to {measured[-1]['train_loss']:.4f}; augment more, raise weight_decay or dropout, unfreeze less, or stop earlier"
    )
    return Alarm(epoch=int(measured[-1]["epoch"]), name="over_fitting", message=message, stops=settings.over_fitting == "stop")
