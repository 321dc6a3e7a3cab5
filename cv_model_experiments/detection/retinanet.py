"""RetinaNet by MONAI with the ATSS matcher, learning from boxes that are not all equally good.

Beyond MONAI's own loss: every box has a weight (tier, confidence), its class may be a probability (soft label), nothing in the band
around it is background, some boxes are neither lesion nor background, and an image whose lesion nobody located teaches by the
best anchors it has (multiple instances). Images without lesions teach by their hardest negatives.
"""

from __future__ import annotations

import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.utils.hard_negative_sampler import HardNegativeSampler
from monai.data.box_utils import batched_nms, box_pair_giou
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from cv_model_experiments.detection.anchors import ExactAnchors
from cv_model_experiments.detection.batches import DetectionBatch
from cv_model_experiments.detection.boxes import grown
from cv_model_experiments.detection.finder import FinderShape, Found, Shower, is_about_numbers, no_number, padded
from cv_model_experiments.detection.networks import level_strides, retina_network
from cv_model_experiments.detection.patches import window_starts
from cv_model_experiments.detection.settings import DetectionSettings
from cv_model_experiments.detection.targets import Targets

SMOOTH = 1.0 / 9
"""MONAI's and torchvision's bend of the smooth L1 loss."""
NEGATIVES_ALONE = 0.25
"""An image without lesions gives this share of ``loss.anchors_an_image`` as negatives."""
BAG_ANCHORS = 8
"""The best anchors of an image that holds a lesion somewhere."""
LEAST_SIDE = 1e-2
TIE = 1e-4
"""Overlaps that differ by less are equal."""


def level_scales(settings: DetectionSettings, spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Size of each pyramid level's anchors against the first level's: how much coarser its map is."""
    strides = [max(stride) for stride in level_strides(settings.network, settings.images.axes, spacing)]
    return tuple(stride / strides[0] for stride in strides)


class RetinaFinder(nn.Module):
    """See ``Finder``. ``forward`` gives losses of a batch of patches."""

    def __init__(self, settings: DetectionSettings, shape: FinderShape) -> None:
        super().__init__()
        self.settings, self.shape = settings, shape
        network = retina_network(settings.network, shape.axes, shape.channels, len(shape.classes), len(shape.anchors), shape.spacing)
        anchors = ExactAnchors(level_scales(settings, shape.spacing), shape.anchors)
        self.detector = RetinaNetDetector(network, anchors)
        self.detector.set_atss_matcher(settings.anchors.candidates, center_in_gt=False)
        loss = settings.loss
        least = max(1, int(loss.anchors_an_image * NEGATIVES_ALONE))
        self.sampler = HardNegativeSampler(loss.anchors_an_image, loss.positive_share, min_neg=least, pool_size=loss.hard_pool)
        self.shower = Shower(shape.axes, settings.augmentation_parts)

    # Learning

    def forward(self, batch: DetectionBatch) -> dict[str, Tensor]:
        """Losses: ``loss``, and its parts ``classification``, ``regression`` and ``bags``."""
        images, targets = self.shower(batch)
        try:
            logits, deltas, anchors, places = self.heads(padded(images, (1,) * self.shape.axes, self.detector.size_divisible))
            return self._losses(batch, targets, logits, deltas, anchors, places)
        except ValueError as error:
            if not is_about_numbers(error):
                raise
            return no_number(self)

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, list[int]]:
        """Logits (n, anchors, classes), box codes (n, anchors, 2 * axes), anchors (anchors, 2 * axes), places a level."""
        network = self.detector.network
        maps = network(images)
        scores, codes = maps[network.cls_key], maps[network.box_reg_key]
        anchors = self.detector.anchor_generator(images, scores)[0]
        places = [int(level.shape[2:].numel()) for level in scores]
        return self.detector._reshape_maps(scores).float(), self.detector._reshape_maps(codes).float(), anchors, places

    def _losses(
        self, batch: DetectionBatch, targets: list[Targets], logits: Tensor, deltas: Tensor, anchors: Tensor, places: list[int]
    ) -> dict[str, Tensor]:
        settings = self.settings
        class_sum, box_sum, bag_sum = logits.sum() * 0.0, deltas.sum() * 0.0, logits.sum() * 0.0
        class_count, box_count, bag_count = 0, 0, 0
        for number, one in enumerate(targets):
            weight = batch.weights[number]
            if bool(batch.bags[number]):
                bag_sum, bag_count = bag_sum + weight * self._bag_loss(logits[number]), bag_count + 1
                continue
            matched = self._matched(one, anchors, places)
            value, count = self._class_loss(one, logits[number], matched, anchors)
            class_sum, class_count = class_sum + weight * value, class_count + count
            value, count = self._box_loss(one, deltas[number], matched, anchors)
            box_sum, box_count = box_sum + weight * value, box_count + count
        classification, regression, bags = class_sum / max(1, class_count), box_sum / max(1, box_count), bag_sum / max(1, bag_count)
        total = classification + settings.loss.regression_weight * regression + settings.lesions.bag_weight * bags
        return {"loss": total, "classification": classification, "regression": regression, "bags": bags}

    def _matched(self, targets: Targets, anchors: Tensor, places: list[int]) -> Tensor:
        """For each anchor the box that it learns (by its place in ``targets``), -1 for background, -2 for neither."""
        boxes = torch.nonzero(targets.is_lesion).flatten()
        matched = torch.full((len(anchors),), -1, dtype=torch.long, device=anchors.device)
        if len(boxes):
            lesions = _with_volume(targets.boxes[boxes])
            overlaps, found = self.detector.proposal_matcher(lesions, anchors, places, self.detector.num_anchors_per_loc)
            found = with_best_anchors(overlaps, found)
            matched = torch.where(found >= 0, boxes[found.clamp(min=0)], matched)
        return torch.where((matched < 0) & in_bands(targets, anchors), torch.full_like(matched, -2), matched)

    def _class_loss(self, targets: Targets, logits: Tensor, matched: Tensor, anchors: Tensor) -> tuple[Tensor, int]:
        positive = matched >= 0
        wanted = torch.zeros_like(logits)
        weights = torch.ones(len(logits), device=logits.device)
        owners = matched[positive]
        wanted[positive, targets.classes[owners]] = targets.probabilities[owners]
        weights[positive] = targets.weights[owners]
        if self.settings.loss.classification == "focal":
            return self._focal(logits, wanted, weights * (matched != -2)), max(1, int(positive.sum()))
        # The sampler's labels: 1 lesion, 0 background, -1 neither.
        labels = torch.where(positive, 1, torch.where(matched == -2, -1, 0))
        scores = logits.detach().sigmoid().amax(dim=1)
        chosen = torch.stack(self.sampler.select_samples_per_img(labels, scores)).bool().any(dim=0)
        losses = binary_cross_entropy_with_logits(logits[chosen], wanted[chosen], reduction="none").sum(dim=1)
        return (losses * weights[chosen]).sum(), int(chosen.sum())

    def _focal(self, logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
        loss = self.settings.loss
        scores = logits.sigmoid()
        focus = (wanted - scores).abs() ** loss.gamma
        balance = loss.alpha * wanted + (1 - loss.alpha) * (1 - wanted)
        return (binary_cross_entropy_with_logits(logits, wanted, reduction="none") * focus * balance * weights[:, None]).sum()

    def _box_loss(self, targets: Targets, deltas: Tensor, matched: Tensor, anchors: Tensor) -> tuple[Tensor, int]:
        positive = matched >= 0
        count = int(positive.sum())
        if not count:
            return deltas.sum() * 0.0, 0
        owners = matched[positive]
        boxes, weights = _with_volume(targets.boxes[owners]), targets.weights[owners]
        coder = self.detector.box_coder
        if self.settings.loss.regression == "giou":
            decoded = coder.decode_single(deltas[positive], anchors[positive])
            losses = 1.0 - box_pair_giou(decoded, boxes)
        else:
            wanted = coder.encode_single(boxes, anchors[positive])
            losses = smooth_l1_loss(deltas[positive], wanted, beta=SMOOTH, reduction="none").mean(dim=1)
        return (losses * weights).sum(), count

    def _bag_loss(self, logits: Tensor) -> Tensor:
        """A lesion is somewhere: the best anchors' mean probability shall be high."""
        best = logits.amax(dim=1).topk(min(BAG_ANCHORS, len(logits))).values
        return binary_cross_entropy_with_logits(best.mean(), torch.ones((), device=logits.device))

    # Finding

    @torch.no_grad()
    def find(self, images: Tensor) -> list[Found]:
        """Candidates of whole images [n, channel, *axes] as stored; images larger than a patch are seen through windows.

        Windows are taken one after the other, so an image's size costs time, not memory.
        """
        return [self._found(image[None]) for image in images]

    def _found(self, image: Tensor) -> Found:
        selection, size = self.settings.selection, list(image.shape[2:])
        shown = padded(self.shower.scaled(image), self.settings.patches.size, self.detector.size_divisible)
        window = [
            -(-min(length, wanted) // divisor) * divisor
            for length, wanted, divisor in zip(shown.shape[2:], self.settings.patches.size, self.detector.size_divisible, strict=True)
        ]
        starts = window_starts(shown.shape[2:], window, selection.window_overlap)
        found = []
        for first in range(0, len(starts), selection.windows_at_once):
            stretch = starts[first : first + selection.windows_at_once]
            views = torch.cat([shown[(slice(None), slice(None), *_slices(start, window))] for start in stretch])
            found += [self._placed(one, start) for one, start in zip(self._candidates(views), stretch, strict=True)]
        return self._selected(found, size)

    def _candidates(self, views: Tensor) -> list[Found]:
        logits, deltas, anchors, places = self.heads(views)
        levels = [count * self.detector.num_anchors_per_loc for count in places]
        return [self._best(*three, levels) for three in zip(logits, deltas, [anchors] * len(logits), strict=True)]

    def _best(self, logits: Tensor, deltas: Tensor, anchors: Tensor, levels: list[int]) -> Found:
        """The best boxes of each level, before any is compared with another."""
        selection, kept, first = self.settings.selection, [], 0
        scores, classes = logits.sigmoid().max(dim=1)
        for count in levels:
            best = scores[first : first + count].topk(min(count, selection.candidates_a_level)).indices + first
            kept.append(best[scores[best] > selection.least_score])
            first += count
        chosen = torch.cat(kept)
        boxes = self.detector.box_coder.decode_single(deltas[chosen], anchors[chosen])
        return Found(boxes=boxes, scores=scores[chosen], classes=classes[chosen])

    def _placed(self, found: Found, start: tuple[int, ...]) -> Found:
        shift = torch.tensor([*start, *start], device=found.boxes.device, dtype=found.boxes.dtype)
        return Found(boxes=found.boxes + shift, scores=found.scores, classes=found.classes)

    def _selected(self, windows: list[Found], size: list[int]) -> Found:
        """Cut at the image, and the best of those that overlap."""
        axes, selection = self.shape.axes, self.settings.selection
        boxes = torch.cat([one.boxes for one in windows])
        limit = torch.tensor([*size, *size], device=boxes.device, dtype=boxes.dtype)
        boxes = torch.minimum(boxes.clamp(min=0), limit)
        whole = ((boxes[:, axes:] - boxes[:, :axes]) > LEAST_SIDE).all(dim=1)
        boxes, scores = boxes[whole], torch.cat([one.scores for one in windows])[whole]
        classes = torch.cat([one.classes for one in windows])[whole]
        kept = batched_nms(boxes, scores, classes, selection.overlap, max_proposals=selection.most)
        return Found(boxes=boxes[kept], scores=scores[kept], classes=classes[kept])


def with_best_anchors(overlaps: Tensor, matched: Tensor) -> Tensor:
    """``matched``, with the anchors of largest overlap for boxes that have none.

    ATSS takes anchors above mean + deviation of its candidates' overlaps. Where a box lies evenly between anchors, the candidates of a
    level are equal, the limit lies above all of them, and the lesion would not be learnt at all.
    """
    for box, row in enumerate(overlaps):
        if not bool((matched == box).any()):
            best = (row >= row.max() - TIE) & (row > 0) & (matched < 0)
            matched = torch.where(best, torch.full_like(matched, box), matched)
    return matched


def _with_volume(boxes: Tensor) -> Tensor:
    """Boxes with sides of at least a hundredth of a voxel, since a code takes their logarithm."""
    axes = boxes.shape[1] // 2
    return torch.cat([boxes[:, :axes], torch.maximum(boxes[:, axes:], boxes[:, :axes] + LEAST_SIDE)], dim=1)


def in_bands(targets: Targets, anchors: Tensor) -> Tensor:
    """Anchors whose middle lies in a box that is ignored, or within the band around a box that has one."""
    axes = anchors.shape[1] // 2
    has_band = (targets.margins > 0).any(dim=1) | ~targets.is_lesion
    if not bool(has_band.any()):
        return torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    boxes = grown(targets.boxes[has_band], targets.margins[has_band])
    middles = (anchors[:, :axes] + anchors[:, axes:]) / 2
    inside = (middles[None] >= boxes[:, None, :axes]) & (middles[None] <= boxes[:, None, axes:])
    return inside.all(dim=2).any(dim=0)


def _slices(start: tuple[int, ...], size: list[int]) -> tuple[slice, ...]:
    return tuple(slice(place, place + length) for place, length in zip(start, size, strict=True))
