"""Optimisers and mixed precision from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cv_model_experiments.learning.task import ParameterGroup
from cv_model_experiments.settings import LearningSettings
from weakbox.records.errors import ConfigurationError, InputError


@dataclass(slots=True, kw_only=True)
class Precision:
    """How a forward pass is computed, and the scaler of its gradients (switched off where none is needed)."""

    name: str
    device: torch.device
    dtype: torch.dtype | None
    scaler: torch.amp.GradScaler

    def autocast(self) -> AbstractContextManager[Any]:
        """Around a forward pass."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device.type, self.dtype)


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision that the settings ask for.

    On CPU only float32: in bfloat16 small 3-D networks gave gradients that are no numbers there (torch 2.15), where float32 gave
    good ones on the same batches.

    Raises:
        ConfigurationError: mixed precision on CPU.
    """
    if name == "auto":
        is_cuda = device.type == "cuda"
        name = "float32" if not is_cuda else "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if name != "float32" and device.type == "cpu":
        msg = f"learning.precision: {name} needs a GPU; write auto or float32"
        raise ConfigurationError(msg)
    dtype = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
    scaler = torch.amp.GradScaler(device.type, enabled=name == "float16")
    return Precision(name=name, device=device, dtype=dtype, scaler=scaler)


def make_optimiser(groups: Sequence[ParameterGroup], settings: LearningSettings) -> torch.optim.Optimizer:
    """The optimiser; biases and normalisation layers (parameters of one axis) do not decay.

    Raises:
        InputError: nothing is trained.
    """
    parts: list[dict[str, Any]] = []
    for group in groups:
        trained = [one for one in group.parameters if one.requires_grad]
        for decays in (True, False):
            chosen: list[nn.Parameter] = [one for one in trained if (one.ndim > 1) == decays]
            if chosen:
                parts.append({"params": chosen, "share": group.share, "weight_decay": settings.weight_decay if decays else 0.0})
    if not parts:
        msg = "no layer is trained; raise model.unfrozen_blocks"
        raise InputError(msg)
    rate = settings.learning_rate
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parts, lr=rate, momentum=settings.momentum, nesterov=settings.momentum > 0)
    return torch.optim.AdamW(parts, lr=rate) if settings.optimiser == "adamw" else torch.optim.Adam(parts, lr=rate)
