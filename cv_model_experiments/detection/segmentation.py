"""The second way to boxes: a U-Net on the ellipsoids inscribed in the boxes, whose components become candidates.

The ring between an ellipsoid and the one grown by its band is not judged: where an uncertain box really ends is not known. The same
holds for boxes that are neither lesion nor background.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from cv_model_experiments.detection.batches import DetectionBatch
from cv_model_experiments.detection.boxes import grown
from cv_model_experiments.detection.candidates import EXTRACTIONS, Candidate, detection_map
from cv_model_experiments.detection.finder import FinderShape, Found, Shower, padded
from cv_model_experiments.detection.networks import divisors, segmentation_network
from cv_model_experiments.detection.settings import DetectionSettings
from cv_model_experiments.detection.targets import Targets

UNJUDGED = -1
SMOOTHING = 1e-5
BAG_SHARE = 1e-3
"""Of an image that holds a lesion somewhere, this share of its voxels (at least 8) with the highest probability."""


class SegmentationFinder(nn.Module):
    """See ``Finder``. ``forward`` gives losses of a batch of patches."""

    def __init__(self, settings: DetectionSettings, shape: FinderShape) -> None:
        super().__init__()
        self.settings, self.shape = settings, shape
        self.network = segmentation_network(
            settings.segmentation, settings.network, shape.axes, shape.channels, len(shape.classes), shape.spacing
        )
        self.divisors = divisors(settings.network, shape.axes, shape.spacing)
        self.shower = Shower(shape.axes, settings.augmentation_parts)

    def forward(self, batch: DetectionBatch) -> dict[str, Tensor]:
        """Losses: ``loss``, and its parts ``cross_entropy``, ``dice`` and ``bags``."""
        images, targets = self.shower(batch)
        shown = padded(images, (1,) * self.shape.axes, self.divisors)
        logits = self.logits(shown)[(slice(None), slice(None), *(slice(0, length) for length in images.shape[2:]))].float()
        truths, weights, soft = zip(*(paint_targets(one, images.shape[2:]) for one in targets), strict=True)
        return self._losses(batch, logits, torch.stack(truths), torch.stack(weights), torch.stack(soft))

    def logits(self, shown: Tensor) -> Tensor:
        """Logits [n, class, *axes] of images on the network's scale; enlarged where the first stage has a stride."""
        logits: Tensor = self.network(shown)
        if logits.shape[2:] == shown.shape[2:]:
            return logits
        return interpolate(logits, size=shown.shape[2:], mode="trilinear" if self.shape.axes == 3 else "bilinear", align_corners=False)

    def _losses(self, batch: DetectionBatch, logits: Tensor, truth: Tensor, weights: Tensor, soft: Tensor) -> dict[str, Tensor]:
        share = self.settings.segmentation.dice_weight
        judged = (truth != UNJUDGED) & ~batch.bags.reshape(-1, *([1] * self.shape.axes))
        weights = weights * judged * batch.weights.reshape(-1, *([1] * self.shape.axes))
        wanted = _one_hot(truth.clamp(min=0), logits.shape[1]) * soft[:, None]
        wanted[:, 0] = 1 - wanted[:, 1:].sum(dim=1)
        entropy = self._focal(logits, wanted, weights)
        dice = _dice_loss(logits.softmax(dim=1), wanted, weights)
        bags = self._bag_loss(batch, logits)
        total = (1 - share) * entropy + share * dice + self.settings.lesions.bag_weight * bags
        return {"loss": total, "cross_entropy": entropy, "dice": dice, "bags": bags}

    def _focal(self, logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy; voxels that are right already count less."""
        agreement = (logits.softmax(dim=1) * wanted).sum(dim=1)
        focus = (1 - agreement).clamp(min=0) ** self.settings.segmentation.gamma
        losses = cross_entropy(logits, wanted, reduction="none") * focus * weights
        return losses.sum() / weights.sum().clamp(min=1.0)

    def _bag_loss(self, batch: DetectionBatch, logits: Tensor) -> Tensor:
        """A lesion is somewhere: the best voxels' mean logit shall be high."""
        if not bool(batch.bags.any()):
            return logits.sum() * 0.0
        odds = (logits[batch.bags, 1:].logsumexp(dim=1) - logits[batch.bags, 0]).flatten(1)
        best = odds.topk(max(8, int(odds.shape[1] * BAG_SHARE)), dim=1).values.mean(dim=1)
        return (nn.functional.softplus(-best) * batch.weights[batch.bags]).mean()

    @torch.no_grad()
    def find(self, images: Tensor) -> list[Found]:
        """Candidates of whole images [n, channel, *axes] as stored."""
        return [self._found(image[None]) for image in images]

    def probabilities(self, image: Tensor) -> Tensor:
        """Probability of each class (background first) [class, *axes] of one image [1, channel, *axes] as stored."""
        selection, size = self.settings.selection, image.shape[2:]
        shown = padded(self.shower.scaled(image), self.settings.patches.size, self.divisors)
        window = [
            -(-min(length, wanted) // divisor) * divisor
            for length, wanted, divisor in zip(shown.shape[2:], self.settings.patches.size, self.divisors, strict=True)
        ]
        if list(shown.shape[2:]) == window:
            logits = self.logits(shown)
        else:
            stitched = sliding_window_inference(
                shown, window, selection.windows_at_once, self.logits, selection.window_overlap, mode="gaussian"
            )
            assert isinstance(stitched, Tensor), "one map goes in, one comes out"
            logits = stitched
        index: tuple[slice, ...] = (slice(None), *(slice(0, length) for length in size))
        return logits[0][index].float().softmax(dim=0)

    def _found(self, image: Tensor) -> Found:
        values = self.probabilities(image).cpu().numpy()
        return found_in(values, self.settings, image.device)


def found_in(values: np.ndarray, settings: DetectionSettings, device: torch.device) -> Found:
    """Candidates of probabilities [class, *axes], background first. A candidate's class is its most probable one."""
    lesion = np.ascontiguousarray(1.0 - values[0]) if len(values) > 2 else values[1]
    candidates = EXTRACTIONS[settings.segmentation.extraction](lesion, settings.segmentation)
    candidates = [one for one in candidates if one.score > settings.selection.least_score]
    classes = [_class_of(one, values) for one in candidates]
    return Found(
        boxes=torch.tensor([one.box for one in candidates], device=device).reshape(-1, 2 * lesion.ndim),
        scores=torch.tensor([one.score for one in candidates], device=device),
        classes=torch.tensor(classes, dtype=torch.long, device=device),
        detection_map=detection_map(candidates, lesion.shape),
    )


def _class_of(candidate: Candidate, values: np.ndarray) -> int:
    return int(values[(slice(1, None), *candidate.where)][:, candidate.voxels].sum(axis=1).argmax())


def paint_targets(targets: Targets, size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Three maps: class (0 background, 1 the first class ..., -1 not judged), weight of each voxel's loss, and its probability.

    Lesions are painted last, so a band never hides one; of lesions that overlap, the more trusted one wins.
    """
    device = targets.boxes.device
    truth = torch.zeros(tuple(size), dtype=torch.long, device=device)
    weights, soft = torch.ones(tuple(size), device=device), torch.ones(tuple(size), device=device)
    order = sorted(range(len(targets)), key=lambda number: float(targets.weights[number]))
    bands = grown(targets.boxes, targets.margins)
    for number in order:
        if not bool(targets.is_lesion[number]) or bool((targets.margins[number] > 0).any()):
            truth[ellipsoid_voxels(bands[number], size)] = UNJUDGED
    for number in order:
        if bool(targets.is_lesion[number]):
            inside = ellipsoid_voxels(targets.boxes[number], size)
            truth[inside] = targets.classes[number] + 1
            weights[inside] = targets.weights[number]
            soft[inside] = targets.probabilities[number]
    return truth, weights, soft


def ellipsoid_voxels(box: Tensor, size: Sequence[int]) -> Tensor:
    """Voxels whose middles lie in the ellipsoid inscribed in a box (2 * axes); along a side shorter than a voxel, the nearest ones."""
    axes = len(size)
    inside = torch.zeros((1,) * axes, device=box.device)
    for axis, length in enumerate(size):
        middle, half = (box[axis] + box[axes + axis]) / 2, (box[axes + axis] - box[axis]) / 2
        steps = (torch.arange(length, device=box.device) + 0.5 - middle).abs()
        nearest = steps <= steps.min() + 1e-6
        distances = torch.where(nearest & (half < 0.5 + 1e-6), torch.zeros_like(steps), (steps / half.clamp(min=1e-6)) ** 2)
        inside = inside + distances.reshape([-1 if other == axis else 1 for other in range(axes)])
    return inside <= 1.0


def _one_hot(truth: Tensor, count: int) -> Tensor:
    return torch.nn.functional.one_hot(truth, count).movedim(-1, 1).float()


def _dice_loss(scores: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """1 - Dice over lesion classes, all samples of the batch together, so that patches without a lesion add no noise."""
    axes = (0, *range(2, scores.ndim))
    weighted = weights[:, None]
    shared = (scores * wanted * weighted).sum(dim=axes)[1:]
    sizes = ((scores + wanted) * weighted).sum(dim=axes)[1:]
    present = (wanted * weighted).sum(dim=axes)[1:] > 0
    dice = (2 * shared + SMOOTHING) / (sizes + SMOOTHING)
    return (1 - dice)[present].mean() if bool(present.any()) else scores.sum() * 0.0
