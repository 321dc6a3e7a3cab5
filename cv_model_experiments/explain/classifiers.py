"""Why a classifier said what it said: maps of the evidence for one class, one a view, on the prepared images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cv_model_experiments.classification.model_file import TrainedClassifier
from cv_model_experiments.classification.task import ClassificationBatch
from cv_model_experiments.explain.cam import METHODS, activation_map, enlarged
from cv_model_experiments.explain.occlusion import occlusion_map

OCCLUSION = "occlusion"
BLOCK_SHARE = 1 / 8
"""Side of an occluding block against the image."""
Heat = NDArray[np.float32]


def explain_class(model: TrainedClassifier, batch: ClassificationBatch, number: int, method: str) -> Heat:
    """Evidence for class ``number`` in a batch of one sample: [view, *axes], 0..1, each view's highest 1.

    ``method`` is ``grad_cam``, ``grad_cam_pp`` or ``occlusion``.
    """
    axes = model.settings.input.axes
    size = batch.pixels.shape[-axes:]
    if method == OCCLUSION:
        return _occluded(model, batch, number).cpu().numpy()
    heat = activation_map(lambda: model.module.logits(batch, augments=False)[0, number], model.module.network.encoder, METHODS[method])
    return enlarged(heat, size).cpu().numpy()


def _occluded(model: TrainedClassifier, batch: ClassificationBatch, number: int) -> Tensor:
    axes = model.settings.input.axes
    views = batch.pixels[0] if batch.present is not None else batch.pixels
    block = [max(1, round(length * BLOCK_SHARE)) for length in views.shape[-axes:]]
    maps = []
    for place in range(len(views)):

        def score(images: Tensor, place: int = place) -> Tensor:
            return torch.cat([model.module.logits(_with_view(batch, image, place), augments=False)[:, number] for image in images])

        maps.append(occlusion_map(score, views[place].float(), block).clamp(min=0))
    return enlarged(torch.stack(maps), views.shape[-axes:])


def _with_view(batch: ClassificationBatch, image: Tensor, place: int) -> ClassificationBatch:
    if batch.present is None:
        return replace(batch, pixels=image[None])
    pixels = batch.pixels.float().clone()
    pixels[0, place] = image
    return replace(batch, pixels=pixels)
