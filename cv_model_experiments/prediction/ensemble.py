"""One image through one detector or several, in one view or several, to one list of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cv_model_experiments.data.placement import Placement
from cv_model_experiments.detection.boxes import exported_boxes
from cv_model_experiments.detection.finder import Found
from cv_model_experiments.detection.model_file import TrainedDetector
from cv_model_experiments.detection.segmentation import SegmentationFinder, found_in
from cv_model_experiments.prediction.flips import Flip, boxes_back, flipped, image_flip
from cv_model_experiments.prediction.fusion import Candidates, fused
from weakbox.records.errors import InputError
from weakbox.records.record import record


@record
class FusionChoice:
    """How views and models are made one."""

    flips: tuple[Flip, ...] = ((),)
    overlap: float = 0.2
    most: int = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One image as one model is shown it."""

    pixels: NDArray[np.generic]
    """[channel, *axes] as stored."""
    placement: Placement


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensembled:
    """Candidates on the exported image, and the component map of a segmentation with the place that it lies at."""

    candidates: Candidates
    detection_map: NDArray[np.float32] | None = None
    placement: Placement | None = None


def check_together(models: Sequence[TrainedDetector]) -> None:
    """Whether models can be averaged.

    Raises:
        InputError: they find different classes, or in images of a different number of axes.
    """
    classes = {model.settings.class_names for model in models}
    axes = {model.settings.images.axes for model in models}
    if len(classes) > 1 or len(axes) > 1:
        kinds = "; ".join(
            sorted(f"{model.name}: {model.settings.images.axes}-D, {', '.join(model.settings.class_names)}" for model in models)
        )
        msg = f"these models cannot be averaged, since they find different things ({kinds}); run inference for each"
        raise InputError(msg)


def find_with_all(models: Sequence[TrainedDetector], views: Sequence[View], choice: FusionChoice, device: torch.device) -> Ensembled:
    """Candidates of an image; ``views`` holds it as each model is shown it.

    Segmentations that are shown the same are averaged as probabilities before candidates are cut; everything else is fused as boxes.
    """
    sources: list[Candidates] = []
    maps: list[tuple[Found, Placement]] = []
    for members in _groups(models):
        placement = views[members[0]].placement
        if models[members[0]].settings.method == "segmentation":
            found = _segmented([models[place] for place in members], views[members[0]], choice, device)
            maps.append((found, placement))
            sources.append(_exported(found, placement))
        else:
            sources += [one for place in members for one in _views_of(models[place], views[place], choice, device)]
    candidates = sources[0] if len(sources) == 1 else fused(sources, choice.overlap, choice.most)
    if len(maps) == len(sources) == 1:
        return Ensembled(candidates=candidates, detection_map=maps[0][0].detection_map, placement=maps[0][1])
    return Ensembled(candidates=candidates)


def _groups(models: Sequence[TrainedDetector]) -> list[list[int]]:
    """Places of segmentations that are shown the same together; every other model alone."""
    groups: dict[str, list[int]] = {}
    for place, model in enumerate(models):
        key = model.settings.images.model_dump_json() if model.settings.method == "segmentation" else f"model {place}"
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _tensor(view: View, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(view.pixels)).to(device)


def _segmented(models: Sequence[TrainedDetector], view: View, choice: FusionChoice, device: torch.device) -> Found:
    image = _tensor(view, device)
    axes = image.ndim - 1
    total, count = None, 0
    for model in models:
        assert isinstance(model.module, SegmentationFinder)
        for flip in choice.flips:
            turned = image_flip(flip, axes, 1)
            values = flipped(model.module.probabilities(flipped(image, turned)[None]), turned)
            total, count = values if total is None else total + values, count + 1
    assert total is not None, "there is at least one model and the image as it is"
    return found_in((total / count).cpu().numpy(), models[0].settings, device)


def _views_of(model: TrainedDetector, view: View, choice: FusionChoice, device: torch.device) -> list[Candidates]:
    image = _tensor(view, device)
    size = tuple(image.shape[1:])
    found = []
    for flip in choice.flips:
        one = model.module.find(flipped(image, image_flip(flip, len(size), 1))[None])[0]
        back = Found(boxes=boxes_back(one.boxes, flip, size), scores=one.scores, classes=one.classes)
        found.append(_exported(back, view.placement))
    return found


def _exported(found: Found, placement: Placement) -> Candidates:
    return Candidates(
        boxes=exported_boxes(found.boxes.detach().cpu().double().numpy(), placement),
        scores=found.scores.detach().cpu().double().numpy(),
        classes=found.classes.cpu().numpy(),
    )
