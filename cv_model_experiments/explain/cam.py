"""Grad-CAM and Grad-CAM++ of any score with respect to any layer, in any number of axes.

Grad-CAM (Selvaraju 2017) weights a layer's maps by the mean of the score's gradient; Grad-CAM++ (Chattopadhay 2018) by the positive
gradients, each with the share that the second and third derivatives of exp(score) give it. What lowers the score is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

Weigh = Callable[[Tensor, Tensor], Tensor]
"""(activations, gradients) [n, channel, *axes] -> weights of the channels [n, channel, 1, ...]."""


def grad_cam_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Mean gradient of each channel."""
    return gradients.flatten(2).mean(dim=2).reshape(*gradients.shape[:2], *([1] * (gradients.ndim - 2)))


def grad_cam_pp_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Sum of positive gradients, each with its share alpha = g^2 / (2 g^2 + sum(A) g^3)."""
    return (_shares(activations, gradients) * gradients.relu()).sum(dim=tuple(range(2, gradients.ndim)), keepdim=True)


def _shares(activations: Tensor, gradients: Tensor) -> Tensor:
    squares, cubes = gradients**2, gradients**3
    below = 2 * squares + activations.sum(dim=tuple(range(2, gradients.ndim)), keepdim=True) * cubes
    return torch.where(below.abs() > torch.finfo(below.dtype).tiny, squares / below, torch.zeros_like(below))


METHODS: dict[str, Weigh] = {"grad_cam": grad_cam_weights, "grad_cam_pp": grad_cam_pp_weights}


def local_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """The gradient at each place: Grad-CAM without its mean (HiResCAM, Draelos 2020)."""
    return gradients


def local_pp_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++'s share of the positive gradient at each place."""
    return _shares(activations, gradients) * gradients.relu()


LOCAL_METHODS: dict[str, Weigh] = {"grad_cam": local_weights, "grad_cam_pp": local_pp_weights}
"""For the score of one place (an anchor, a component), whose gradient is 0 nearly everywhere: its mean says nothing of other places,
and would colour all that looks like the lesion's surroundings. For a score of a pooled map both forms of Grad-CAM are the same."""


def activation_map(score: Callable[[], Tensor], layer: nn.Module, weigh: Weigh) -> Tensor:
    """What of ``layer``'s maps raises a score: [n, *axes of the maps], 0 or more.

    ``score`` runs the network, ``layer`` once, and gives one number. Layers that are frozen serve as well.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().clone().requires_grad_())
        return kept[-1]

    handle = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            value = score()
    finally:
        handle.remove()
    (gradients,) = torch.autograd.grad(value, kept[-1])
    activations = kept[-1].detach().float()
    weights = weigh(activations, gradients.float())
    return (weights * activations).sum(dim=1).relu()


def enlarged(heat: Tensor, size: Sequence[int]) -> Tensor:
    """Maps [n, *axes] on an image of ``size``, interpolated, each scaled to a highest value of 1 (unless all is 0)."""
    mode = "trilinear" if heat.ndim == 4 else "bilinear"
    shown = interpolate(heat[:, None], size=tuple(size), mode=mode, align_corners=False)[:, 0]
    highest = shown.flatten(1).amax(dim=1).reshape(-1, *([1] * (shown.ndim - 1)))
    return shown / torch.where(highest > 0, highest, torch.ones_like(highest))


def coarsest_layer(module: nn.Module, run: Callable[[], object]) -> nn.Module:
    """The last convolution with the smallest maps: a U-Net's bottom."""
    sizes: dict[nn.Module, int] = {}
    handles = []

    def measure(layer: nn.Module, inputs: object, output: Tensor) -> None:
        sizes[layer] = int(output.shape[2:].numel())

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            handles.append(layer.register_forward_hook(measure))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    smallest = min(sizes.values())
    return [layer for layer, size in sizes.items() if size == smallest][-1]
