"""Detection as a task of the training loop: its parameters, and how a part of the data is judged while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from cv_model_experiments.detection.batches import DetectionBatch
from cv_model_experiments.detection.finder import Finder, FinderShape, Found, identity_of
from cv_model_experiments.detection.retinanet import RetinaFinder
from cv_model_experiments.detection.segmentation import SegmentationFinder
from cv_model_experiments.detection.settings import DetectionSettings
from cv_model_experiments.detection.targets import Targets
from cv_model_experiments.evaluation.boxes import Numbers
from cv_model_experiments.evaluation.hits import HitCriterion, affinities, pair
from cv_model_experiments.evaluation.ranking import Ranked, sensitivity_at_or_below
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.task import LOSS, Evaluation, ParameterGroup
from cv_model_experiments.learning.world import World
from weakbox.records.record import record

HIT = HitCriterion(kind="iou", limit=0.1)
"""picai_eval's; of boxes here, on the prepared image. The evaluation proper has more."""
FALSE_POSITIVES = (0.25, 1.0, 4.0)
FindingModule = RetinaFinder | SegmentationFinder


@record
class _Judged:
    """One image: (is a lesion, score) of its lesions and false candidates, whether it holds a lesion, and its best score."""

    entries: tuple[tuple[bool, float], ...]
    has_lesion: bool
    best: float


def make_module(settings: DetectionSettings, shape: FinderShape) -> FindingModule:
    """The untrained model of an experiment."""
    return RetinaFinder(settings, shape) if settings.method == "retinanet" else SegmentationFinder(settings, shape)


@dataclass(kw_only=True, eq=False)
class DetectionTask:
    """See ``learning.task.Task``."""

    module: nn.Module
    """A ``FindingModule``."""
    identity: Mapping[str, Any]
    patches: Loader
    """Patches of the validation part, always the same, for its loss."""

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """All parameters, at one rate."""
        return (ParameterGroup(name="all", parameters=tuple(self.module.parameters())),)

    def evaluate(self, loader: Loader, world: World) -> Evaluation:
        """``loss``; ``froc_<f>``: sensitivity at f false candidates an image at most; ``average_precision``; ``auroc`` of images."""
        judged = []
        for batch in loader.epoch(0):
            assert isinstance(batch, DetectionBatch)
            found = _finder(self.module).find(batch.images)
            judged += [judge(*pair_) for pair_ in zip(found, batch.targets, strict=True)]
        everything = [one for share in world.gather(judged) for one in share]
        return Evaluation(metrics={"loss": self._loss(world), **detection_metrics(everything)})

    def _loss(self, world: World) -> float:
        """Negatives are drawn from a generator of their own, so that epochs can be compared and training is not disturbed."""
        devices = [world.device] if world.device.type == "cuda" else []
        total, count = 0.0, 0
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(0)
            for batch in self.patches.epoch(0):
                assert isinstance(batch, DetectionBatch)
                total, count = total + float(self.module(batch)[LOSS]) * len(batch), count + len(batch)
        sums = world.gather((total, count))
        return sum(value for value, _ in sums) / max(1, sum(number for _, number in sums))


def make_task(settings: DetectionSettings, shape: FinderShape, patches: Loader) -> DetectionTask:
    """The task of one run."""
    return DetectionTask(module=make_module(settings, shape), identity=identity_of(shape, settings.method), patches=patches)


def _finder(module: nn.Module) -> Finder:
    assert isinstance(module, RetinaFinder | SegmentationFinder)
    return module


def judge(found: Found, targets: Targets) -> _Judged:
    """An image's candidates against its lesions of the same class; candidates on ignored boxes count neither way."""
    lesions, ignored = (_edges(targets.boxes[kept]) for kept in (targets.is_lesion, ~targets.is_lesion))
    candidates, scores = _edges(found.boxes), found.scores.double().cpu().numpy()
    is_same = (targets.classes[targets.is_lesion][:, None] == found.classes[None]).cpu().numpy()
    pairing = pair(affinities(HIT, lesions, candidates, None) * is_same)
    excused = set(np.flatnonzero((affinities(HIT, ignored, candidates, None) > 0).any(axis=0)).tolist()) if len(ignored) else set()
    entries = [(True, float(scores[place])) for _, place in pairing.pairs]
    entries += [(True, 0.0)] * len(pairing.missed)
    entries += [(False, float(scores[place])) for place in pairing.false if place not in excused]
    return _Judged(entries=tuple(entries), has_lesion=len(lesions) > 0, best=float(scores.max(initial=0.0)))


def _edges(boxes: torch.Tensor) -> Numbers:
    values: Numbers = boxes.detach().double().cpu().numpy()
    return values.reshape(len(values), 2, -1) if len(values) else np.zeros((0, 2, boxes.shape[1] // 2))


def detection_metrics(images: Sequence[_Judged]) -> dict[str, float]:
    """Figures over all images of a part; NaN where a figure is not defined."""
    entries = [entry for image in images for entry in image.entries]
    lesions = sum(is_lesion for is_lesion, _ in entries)
    cases = Ranked([image.has_lesion for image in images], [image.best for image in images])
    metrics = {"auroc": cases.auroc(), "lesions": float(lesions), "candidates_an_image": _candidates(images)}
    ranked = Ranked([is_lesion for is_lesion, _ in entries], [score for _, score in entries])
    metrics["average_precision"] = ranked.lesion_average_precision()
    if len(ranked):
        rates, sensitivities, _ = ranked.froc(float(len(images)))
        found = sensitivity_at_or_below(rates, sensitivities, FALSE_POSITIVES)
    else:
        found = np.full(len(FALSE_POSITIVES), np.nan)
    metrics |= {f"froc_{rate:g}": float(value) for rate, value in zip(FALSE_POSITIVES, found, strict=True)}
    return {**metrics, "sensitivity": metrics["froc_1"]}


def _candidates(images: Sequence[_Judged]) -> float:
    return sum(score > 0 for image in images for _, score in image.entries) / max(1, len(images))
