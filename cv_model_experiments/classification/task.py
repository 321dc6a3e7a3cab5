"""Classification as a task of the loop: batches from prepared images, the loss, and what is measured on a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cv_model_experiments.classification.networks import Classifier
from cv_model_experiments.classification.samples import Sample
from cv_model_experiments.data.augmentation import Augmenter
from cv_model_experiments.data.order import Integers
from cv_model_experiments.data.store import PreparedStore
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.task import Evaluation, ParameterGroup
from cv_model_experiments.learning.world import World
from cv_model_experiments.losses.classification import ClassificationLoss, cross_entropy

PICTURE_MEAN = (0.485, 0.456, 0.406)
PICTURE_DEVIATION = (0.229, 0.224, 0.225)
"""ImageNet's, which torchvision's weights expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationBatch:
    """Samples as they were prepared; augmenting and normalising happen on the device."""

    pixels: Tensor
    """[n, channel, *axes], for cases [n, view, channel, *axes]; uint8 or float16."""
    targets: Tensor
    """Target shares [n, classes]."""
    weights: Tensor
    places: Tensor
    """Of the samples in their part [n]."""
    seed: int
    present: Tensor | None = None
    """Cases: which views there are [n, view]."""

    def __len__(self) -> int:
        return int(self.targets.shape[0])

    def to(self, device: torch.device) -> ClassificationBatch:
        """The same on a device; copied from pinned memory while it computes."""
        if device.type == "cpu":
            return self
        moved = {
            name: value.pin_memory().to(device, non_blocking=True)
            for name in ("pixels", "targets", "weights", "places", "present")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **moved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassificationData:
    """One part in memory: where each sample's views lie in the store, targets, weights. Called, it makes a batch."""

    samples: tuple[Sample, ...]
    store: PreparedStore
    views: NDArray[np.int64]
    """Places in the store [sample, view]; -1 where a case lacks a view."""
    targets: Tensor
    weights: Tensor
    is_case: bool

    def __call__(self, places: Integers, seed: int) -> ClassificationBatch:
        """The samples at ``places``."""
        views = self.views[places]
        pixels = self.store.stack(np.maximum(views, 0).ravel())  # type: ignore[arg-type]
        present = torch.from_numpy(views >= 0) if self.is_case else None
        if present is not None:
            pixels = pixels.unflatten(0, views.shape)
        rows = torch.from_numpy(np.ascontiguousarray(places))
        return ClassificationBatch(
            pixels=pixels, targets=self.targets[rows], weights=self.weights[rows], places=rows, seed=seed, present=present
        )


class PixelInput(nn.Module):
    """Prepared pixels -> what a network sees: augmented while training, normalised, grey as three equal channels."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, axes: int, augmenter: Augmenter) -> None:
        super().__init__()
        self.axes = axes
        self.augmenter = augmenter
        self.register_buffer("mean", torch.tensor(PICTURE_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(PICTURE_DEVIATION).reshape(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor, seed: int | None) -> Tensor:
        """``seed`` None augments nothing."""
        views = pixels.shape[1] if pixels.ndim == self.axes + 3 else None
        values = (pixels if views is None else pixels.flatten(0, 1)).float()
        if self.axes == 2:
            values = values / 255.0
        if seed is not None:
            values = self.augmenter(values, seed)
        if self.axes == 2:
            values = (values - self.mean) / self.deviation  # one channel becomes three here
        return values if views is None else values.unflatten(0, (-1, views))


class ClassificationModule(nn.Module):
    """Input, network and loss together: what is trained and saved."""

    def __init__(self, network: Classifier, pixel_input: PixelInput, loss: ClassificationLoss) -> None:
        super().__init__()
        self.pixel_input, self.network, self.loss = pixel_input, network, loss

    def forward(self, batch: ClassificationBatch) -> dict[str, Tensor]:
        """The weighted mean loss of a batch."""
        logits = self.logits(batch, augments=True)
        losses = self.loss(logits, batch.targets, batch.places)
        return {"loss": (losses * batch.weights).mean()}

    def logits(self, batch: ClassificationBatch, *, augments: bool) -> Tensor:
        """Logits [n, classes]."""
        pixels = self.pixel_input(batch.pixels, batch.seed if augments else None)
        found: Tensor = self.network(pixels, batch.present)
        return found


@dataclass(slots=True, kw_only=True, eq=False)
class ClassificationTask:
    """See ``learning.task.Task``."""

    module: nn.Module
    classes: tuple[str, ...]
    positive: int
    identity: Mapping[str, Any]
    backbone_share: float
    validation: ClassificationData

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Backbone and head, each with its learning rate."""
        network: Classifier = self.module.network  # type: ignore[assignment]
        backbone = list(network.encoder.parameters())
        known = {id(one) for one in backbone}
        head = [one for one in self.module.parameters() if id(one) not in known]
        return (
            ParameterGroup(name="backbone", parameters=backbone, share=self.backbone_share),
            ParameterGroup(name="head", parameters=head),
        )

    def evaluate(self, loader: Loader, world: World) -> Evaluation:
        """Metrics of the part that ``loader`` shows."""
        places, probabilities, losses = predict(self.module, loader)  # type: ignore[arg-type]
        found = world.gather((places, probabilities, losses))
        order = np.argsort(np.concatenate([one[0] for one in found]), kind="stable")
        probabilities = np.concatenate([one[1] for one in found])[order]
        losses = np.concatenate([one[2] for one in found])[order]
        truth = np.array([sample.target for sample in self.validation.samples])[np.sort(np.concatenate([one[0] for one in found]))]
        return Evaluation(metrics=classification_metrics(probabilities, truth, losses, self.positive))


def predict(module: ClassificationModule, loader: Loader) -> tuple[Integers, NDArray[np.float64], NDArray[np.float64]]:
    """Places of this rank's samples, their probabilities [n, classes], and cross-entropy against their targets [n]."""
    places, probabilities, losses = [], [], []
    for batch in loader.epoch(0):
        assert isinstance(batch, ClassificationBatch)
        logits = module.logits(batch, augments=False)
        probabilities.append(module.loss.probabilities(logits).double().cpu().numpy())
        losses.append(cross_entropy(logits.float(), batch.targets).double().cpu().numpy())
        places.append(batch.places.cpu().numpy())
    if not places:
        empty = np.zeros(0)
        return np.zeros(0, np.int64), np.zeros((0, module.loss.memory.shape[1])), empty
    return np.concatenate(places), np.concatenate(probabilities), np.concatenate(losses)


def classification_metrics(
    probabilities: NDArray[np.float64], truth: Integers, losses: NDArray[np.float64], positive: int
) -> dict[str, float]:
    """What chooses an epoch and feeds the alarms; the evaluation proper has intervals and operating points.

    Sensitivity and specificity are of the positive class at the most probable class; AUROC and AUPRC are NaN where the part
    has one class only.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    said = probabilities.argmax(axis=1)
    is_positive = truth == positive
    has_both = bool(is_positive.any() and not is_positive.all())
    recalls = [float((said[truth == one] == one).mean()) for one in np.unique(truth)]
    shares = np.bincount(said, minlength=probabilities.shape[1]) / len(said)
    true_shares = np.bincount(truth, minlength=probabilities.shape[1]) / len(truth)
    score = probabilities[:, positive]
    return {
        "loss": float(losses.mean()),
        "auroc": float(roc_auc_score(is_positive, score)) if has_both else float("nan"),
        "auprc": float(average_precision_score(is_positive, score)) if has_both else float("nan"),
        "accuracy": float((said == truth).mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "sensitivity": float((said[is_positive] == positive).mean()) if is_positive.any() else float("nan"),
        "specificity": float((said[~is_positive] != positive).mean()) if not is_positive.all() else float("nan"),
        "largest_predicted_share": float(shares.max()),
        "largest_true_share": float(true_shares.max()),
    }
