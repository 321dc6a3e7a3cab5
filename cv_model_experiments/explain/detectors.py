"""Why a detector put a box where it did: maps of the evidence for one candidate, on the prepared image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.data.box_utils import box_iou
from numpy.typing import NDArray
from torch import Tensor

from cv_model_experiments.detection.finder import padded
from cv_model_experiments.detection.networks import Pyramid
from cv_model_experiments.detection.patches import cut_patch
from cv_model_experiments.detection.retinanet import RetinaFinder
from cv_model_experiments.detection.segmentation import SegmentationFinder, ellipsoid_voxels
from cv_model_experiments.detection.task import FindingModule
from cv_model_experiments.explain.cam import LOCAL_METHODS, METHODS, activation_map, coarsest_layer, enlarged
from cv_model_experiments.explain.occlusion import occlusion_map

OCCLUSION = "occlusion"
BLOCK_SHARE = 1.0
"""Side of an occluding block against the candidate's box."""
Heat = NDArray[np.float32]


def explain_box(
    module: FindingModule,
    pixels: NDArray[np.generic],
    box: Sequence[float],
    number: int,
    method: str,
    device: torch.device,
) -> Heat:
    """Evidence for a candidate of class ``number`` in ``box`` (2 * axes, prepared image): [*axes], 0..1, highest 1.

    ``method`` is ``grad_cam``, ``grad_cam_pp`` or ``occlusion``. Of images larger than a patch, the patch around the box is looked at.
    """
    axes, size = module.shape.axes, module.settings.patches.size
    edges = np.array(box, float)
    middle = (edges[:axes] + edges[axes:]) / 2
    start = [
        int(np.clip(np.floor(centre - wanted / 2), 0, max(0, length - wanted)))
        for centre, wanted, length in zip(middle, size, pixels.shape[1:], strict=True)
    ]
    view = torch.from_numpy(np.array(cut_patch(np.asarray(pixels), start, size))).to(device)
    image = module.shower.scaled(view[None])
    inner = torch.tensor(edges - np.array([*start, *start]), dtype=torch.float32, device=device)
    explain = _explain_retina if isinstance(module, RetinaFinder) else _explain_segmentation
    heat = explain(module, image, inner, number, method)  # type: ignore[arg-type]
    return _placed(heat.cpu().numpy(), start, pixels.shape[1:])


def _placed(heat: NDArray[np.float32], start: Sequence[int], shape: Sequence[int]) -> Heat:
    """A patch's map on the whole image."""
    out = np.zeros(tuple(shape), np.float32)
    lengths = [min(length, whole - place) for length, whole, place in zip(heat.shape, shape, start, strict=True)]
    where = tuple(slice(place, place + length) for place, length in zip(start, lengths, strict=True))
    out[where] = heat[tuple(slice(0, length) for length in lengths)]
    return out


def _explain_retina(module: RetinaFinder, image: Tensor, box: Tensor, number: int, method: str) -> Tensor:
    shown = padded(image, (1,) * module.shape.axes, module.detector.size_divisible)
    anchor, level = _anchor_of(module, shown, box, number)

    def score(images: Tensor) -> Tensor:
        return module.heads(images)[0][:, anchor, number]

    if method == OCCLUSION:
        return _cut(_occlusion(score, shown[0], box), image)
    extractor = module.detector.network.feature_extractor
    settings = module.settings.network
    assert isinstance(extractor, Pyramid)
    layer = extractor.pyramid.layer_blocks[settings.returned[level] - min(settings.returned)]
    heat = activation_map(lambda: score(shown).sum(), layer, LOCAL_METHODS[method])
    return _cut(enlarged(heat, shown.shape[2:])[0], image)


@torch.no_grad()
def _anchor_of(module: RetinaFinder, shown: Tensor, box: Tensor, number: int) -> tuple[int, int]:
    """The anchor that most likely gave a box (of those whose box overlaps it by half, the best scored), and its pyramid level."""
    logits, deltas, anchors, places = module.heads(shown)
    boxes = module.detector.box_coder.decode_single(deltas[0], anchors)
    overlaps = torch.as_tensor(box_iou(boxes, box[None]))[:, 0]
    likely = overlaps >= min(0.5, float(overlaps.max()))
    anchor = int(torch.where(likely, logits[0, :, number], torch.full_like(overlaps, -torch.inf)).argmax())
    ends = np.cumsum([count * module.detector.num_anchors_per_loc for count in places])
    return anchor, int(np.searchsorted(ends, anchor, side="right"))


def _explain_segmentation(module: SegmentationFinder, image: Tensor, box: Tensor, number: int, method: str) -> Tensor:
    shown = padded(image, (1,) * module.shape.axes, module.divisors)
    inside = ellipsoid_voxels(box, shown.shape[2:])

    def score(images: Tensor) -> Tensor:
        logits = module.logits(images).float()
        return (logits[:, number + 1] - logits[:, 0])[:, inside].mean(dim=1)

    if method == OCCLUSION:
        return _cut(_occlusion(score, shown[0], box), image)
    layer = coarsest_layer(module.network, lambda: module.network(shown))
    heat = activation_map(lambda: score(shown).sum(), layer, METHODS[method])
    return _cut(enlarged(heat, shown.shape[2:])[0], image)


def _occlusion(score: Callable[[Tensor], Tensor], image: Tensor, box: Tensor) -> Tensor:
    axes = image.ndim - 1
    block = [max(1, round(float(side) * BLOCK_SHARE)) for side in box[axes:] - box[:axes]]
    return enlarged(occlusion_map(score, image, block).clamp(min=0)[None], image.shape[1:])[0]


def _cut(heat: Tensor, image: Tensor) -> Tensor:
    return heat[tuple(slice(0, length) for length in image.shape[2:])]
