"""Losses of classification: each gives one value a sample, of logits [n, classes] and target shares [n, classes].

Target shares sum to 1; a certain label is a one-hot row. Every loss falls back to cross-entropy at its neutral setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid, one_hot, softmax

from weakbox.records.errors import ConfigurationError, InputError
from weakbox.runtime.config import Settings


class ClassificationLossSettings(Settings):
    """Which loss, and how far labels are believed."""

    kind: Literal["cross_entropy", "focal", "weighted_bce", "gce", "bootstrap", "elr"] = Field(
        default="cross_entropy",
        description="`gce`, `bootstrap`, `elr` are robust to wrong labels; `weighted_bce` judges each class on its own.",
    )
    gamma: float = Field(default=2.0, ge=0, description="`focal`: how much easy samples fade (Lin 2017).")
    alpha: tuple[float, ...] | None = Field(
        default=None,
        description="`focal`, `weighted_bce`: weight of each class in the order of `classes`; [0.25, 0.75] favours the second.",
    )
    q: float = Field(default=0.7, gt=0, le=1, description="`gce`: 0 is cross-entropy, 1 mean absolute error (Zhang and Sabuncu 2018).")
    beta: float = Field(
        default=0.8, gt=0, le=1, description="`bootstrap`: share of the label; the rest is the model's own opinion (Reed 2015)."
    )
    elr_lambda: float = Field(default=3.0, ge=0, description="`elr`: weight of the regularisation (Liu 2020).")
    elr_momentum: float = Field(default=0.7, ge=0, lt=1, description="`elr`: how slowly the memory of a sample's predictions moves.")
    targets: Literal["hard", "confidence"] = Field(
        default="hard", description="`confidence`: a label of confidence c counts as share c of its class, the rest spread over the others."
    )
    smoothing: float = Field(default=0.0, ge=0, lt=1, description="Share of every target that is spread over all classes.")

    @field_validator("alpha")
    @classmethod
    def _alpha_is_positive(cls, alpha: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if alpha is not None and (any(value < 0 for value in alpha) or not any(alpha)):
            msg = "weights of classes must not be negative, nor all 0"
            raise ValueError(msg)
        return alpha


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with target shares [n]."""
    return -(targets * log_softmax(logits, dim=1)).sum(dim=1)


def focal(logits: Tensor, targets: Tensor, gamma: float, alpha: Tensor | None = None) -> Tensor:
    """Multi-class focal loss [n]: ``sum_c t_c a_c (1 - p_c)^gamma (-log p_c)``.

    ``alpha`` [classes] weighs the class that a target names, so with two classes ``[1 - a, a]`` is the paper's alpha.
    """
    log_shares = log_softmax(logits, dim=1)
    terms = -targets * (1.0 - log_shares.exp()).clamp(min=0.0) ** gamma * log_shares
    return (terms if alpha is None else terms * alpha).sum(dim=1)


def weighted_bce(logits: Tensor, targets: Tensor, alpha: Tensor | None = None) -> Tensor:
    """Each class against the others by a sigmoid [n]; ``alpha`` [classes] weighs the positive term of a class, the mean over classes."""
    positive, negative = -targets * logsigmoid(logits), -(1.0 - targets) * logsigmoid(-logits)
    return ((positive if alpha is None else positive * alpha) + negative).mean(dim=1)


def generalised_cross_entropy(logits: Tensor, targets: Tensor, q: float) -> Tensor:
    """``(1 - p^q) / q`` of the target [n]: bounded, so single wrong labels cannot rule."""
    shares = (softmax(logits, dim=1) * targets).sum(dim=1).clamp(min=1e-7)
    return (1.0 - shares**q) / q


def bootstrapped(logits: Tensor, targets: Tensor, beta: float) -> Tensor:
    """Cross-entropy against ``beta`` of the target and the rest of the model's own shares [n]."""
    own = softmax(logits, dim=1).detach()
    return cross_entropy(logits, beta * targets + (1.0 - beta) * own)


class ClassificationLoss(nn.Module):
    """The chosen loss [n]; ``elr`` keeps a memory of ``samples`` rows, which a checkpoint holds."""

    memory: Tensor

    def __init__(self, settings: ClassificationLossSettings, classes: int, samples: int) -> None:
        super().__init__()
        self.settings = settings
        alpha = settings.alpha
        if alpha is not None and len(alpha) != classes:
            msg = f"loss.alpha: {len(alpha)} weights for {classes} classes; give one each, in the order of `classes`"
            raise ConfigurationError(msg)
        self.register_buffer("alpha", None if alpha is None else torch.tensor(alpha), persistent=False)
        self.register_buffer("memory", torch.zeros(samples if settings.kind == "elr" else 0, classes))

    def forward(self, logits: Tensor, targets: Tensor, places: Tensor) -> Tensor:
        """``places`` [n] are the samples' rows in the memory."""
        settings, logits = self.settings, logits.float()
        alpha: Tensor | None = self.alpha  # type: ignore[assignment]
        if settings.kind == "focal":
            return focal(logits, targets, settings.gamma, alpha)
        if settings.kind == "weighted_bce":
            return weighted_bce(logits, targets, alpha)
        if settings.kind == "gce":
            return generalised_cross_entropy(logits, targets, settings.q)
        if settings.kind == "bootstrap":
            return bootstrapped(logits, targets, settings.beta)
        if settings.kind == "elr":
            return self._early_learning_regularised(logits, targets, places)
        return cross_entropy(logits, targets)

    def _early_learning_regularised(self, logits: Tensor, targets: Tensor, places: Tensor) -> Tensor:
        """Cross-entropy, and a pull towards what the model said of the sample before it learned wrong labels by heart."""
        shares = softmax(logits, dim=1).clamp(1e-4, 1.0 - 1e-4)
        if self.training:
            own = shares.detach() / shares.detach().sum(dim=1, keepdim=True)
            momentum = self.settings.elr_momentum
            self.memory[places] = momentum * self.memory[places] + (1.0 - momentum) * own
        agreement = (self.memory[places] * shares).sum(dim=1)
        return cross_entropy(logits, targets) + self.settings.elr_lambda * torch.log((1.0 - agreement).clamp(min=1e-4))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Class probabilities [n, classes] that sum to 1."""
        if self.settings.kind == "weighted_bce":
            shares = torch.sigmoid(logits.float())
            return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-7)
        return softmax(logits.float(), dim=1)


def target_shares(classes: Sequence[int], confidences: Sequence[float], count: int, settings: ClassificationLossSettings) -> Tensor:
    """Target shares [n, count] by confidence and smoothing. A label counts no less than any other class: its share is at least 1 / count.

    Raises:
        InputError: a confidence is outside 0..1.
    """
    certainty = torch.tensor(confidences, dtype=torch.float32)
    if certainty.numel() and not bool(((certainty >= 0) & (certainty <= 1)).all()):
        msg = "a label's confidence lies outside 0..1; export the set again"
        raise InputError(msg)
    if settings.targets == "hard" or count == 1:
        certainty = torch.ones_like(certainty)
    own = one_hot(torch.tensor(classes, dtype=torch.long), count).float()
    certainty = certainty.clamp(min=1.0 / count)[:, None]
    shares = own * certainty + (1.0 - own) * (1.0 - certainty) / max(1, count - 1)
    return shares * (1.0 - settings.smoothing) + settings.smoothing / count


def sample_weights(tiers: Sequence[str], own: Sequence[float], tier_weights: Mapping[str, float]) -> Tensor:
    """Weight of each sample's loss: its own times its tier's, with mean 1, so that the learning rate keeps its meaning.

    Raises:
        ConfigurationError: every weight is 0.
    """
    weights = torch.tensor([value * tier_weights.get(tier, 1.0) for tier, value in zip(tiers, own, strict=True)], dtype=torch.float32)
    if weights.numel() and float(weights.sum()) == 0:
        msg = "set.tier_weights: every training sample has weight 0"
        raise ConfigurationError(msg)
    return weights / weights.mean() if weights.numel() else weights
