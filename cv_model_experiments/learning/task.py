"""What the loop needs of a task. Detection, segmentation and classification each give one; the loop knows nothing else of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.world import World
from weakbox.records.record import record

LOSS = "loss"
"""The entry of a loss module's result that is minimised; the others are logged."""


@record
class ParameterGroup:
    """Parameters with a learning rate of their own: ``share`` of ``learning.learning_rate``."""

    name: str
    parameters: Sequence[nn.Parameter]
    share: float = 1.0


@record
class Evaluation:
    """What a look at a part of the data gave.

    The alarms read the metrics ``loss``, ``sensitivity``, ``largest_predicted_share`` and ``largest_true_share`` where they
    are there; early stopping reads ``learning.monitor``.
    """

    metrics: Mapping[str, float]


class Task(Protocol):
    """A model in training."""

    module: nn.Module
    """``module(batch)`` gives a mapping of scalars with ``loss``; its state is what a checkpoint holds."""
    identity: Mapping[str, Any]
    """What a checkpoint must agree with to be resumed: architecture, classes, channels; plain values."""

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """What is trained."""
        ...

    def evaluate(self, loader: Loader, world: World) -> Evaluation:
        """Metrics on a part; the same on every rank."""
        ...


def loss_values(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars for the logs."""
    return {name: float(value.detach()) for name, value in losses.items()}
