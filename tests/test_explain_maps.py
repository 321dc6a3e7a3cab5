# ruff: noqa: E402
"""Grad-CAM, Grad-CAM++ and occlusion against what can be computed by hand, and the pictures they end in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="explanations need the extra `train`")
pytest.importorskip("monai", reason="explanations need the extra `train`")

from PIL import Image
from torch import Tensor, nn

from cv_model_experiments.explain.cam import (
    LOCAL_METHODS,
    METHODS,
    activation_map,
    coarsest_layer,
    grad_cam_pp_weights,
    grad_cam_weights,
)
from cv_model_experiments.explain.explaining import peak_in_any
from cv_model_experiments.explain.figures import LESION, Mark, write_overlay
from cv_model_experiments.explain.occlusion import occlusion_map


class Pooled(nn.Module):
    """Two maps, their means, and a score that rises with the first and falls with the second."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(2, 2, 1, bias=False)
        self.maps.weight.data = torch.eye(2).reshape(2, 2, 1, 1)
        self.maps.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        return (self.maps(images).mean(dim=(2, 3)) @ torch.tensor([[3.0], [-2.0]]))[:, 0]


def image_of_two() -> Tensor:
    image = torch.zeros(1, 2, 6, 10)
    image[0, 0, 1:3, 2:5], image[0, 1, 4, 7] = 2.0, 5.0
    return image


def test_grad_cam_is_the_map_times_its_weight_and_what_lowers_the_score_is_not_shown() -> None:
    model, image = Pooled(), image_of_two()
    heat = activation_map(lambda: model(image).sum(), model.maps, METHODS["grad_cam"])[0]
    assert torch.allclose(heat, image[0, 0] * 3 / 60)
    assert heat[4, 7] == 0


def test_of_a_pooled_score_the_local_form_is_the_same() -> None:
    model, image = Pooled(), image_of_two()
    heats = [activation_map(lambda: model(image).sum(), model.maps, methods["grad_cam"]) for methods in (METHODS, LOCAL_METHODS)]
    assert torch.allclose(*heats)


def test_of_a_local_score_only_its_surroundings_are_shown() -> None:
    model, image = nn.Conv2d(2, 2, 1, bias=False), image_of_two().abs() + 1
    model.weight.data = torch.eye(2).reshape(2, 2, 1, 1)
    local = activation_map(lambda: model(image)[0, 0, 2, 3], model, LOCAL_METHODS["grad_cam"])[0]
    assert torch.nonzero(local).tolist() == [[2, 3]]
    assert (activation_map(lambda: model(image)[0, 0, 2, 3], model, METHODS["grad_cam"])[0] > 0).all()


def test_grad_cam_pp_weights_are_those_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(3)
    activations, gradients = torch.rand(1, 2, 3, 4, generator=generator), torch.randn(1, 2, 3, 4, generator=generator)
    weights = grad_cam_pp_weights(activations, gradients)
    for channel in range(2):
        expected, total = 0.0, float(activations[0, channel].sum())
        for g in gradients[0, channel].flatten().tolist():
            expected += g**2 / (2 * g**2 + total * g**3) * max(g, 0.0)
        assert float(weights[0, channel]) == pytest.approx(expected, rel=1e-4)


def test_monai_gives_the_same_grad_cam() -> None:
    from monai.visualize import GradCAM

    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1, stride=2), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).eval()
    image = torch.rand(1, 1, 32, 24)
    theirs = GradCAM(nn_module=model, target_layers="2", postprocessing=lambda heat: heat, upsampler=lambda size: lambda heat: heat)(
        x=image, class_idx=1
    )
    ours = activation_map(lambda: model(image)[0, 1], model[2], grad_cam_weights)
    assert ours.max() > 0 and torch.allclose(ours, torch.as_tensor(theirs)[:, 0], rtol=1e-4)


def test_occlusion_finds_the_pixels_that_a_score_rests_on() -> None:
    image = torch.zeros(1, 12, 20, 16)
    image[0, 4:8, 10:14, 2:6] = 1.0
    heat = occlusion_map(lambda images: images[:, 0, 4:8, 10:14, 2:6].mean(dim=(1, 2, 3)), image, (2, 4, 4))
    peak = np.unravel_index(int(heat.argmax()), heat.shape)
    assert 4 <= peak[0] < 8 and 10 <= peak[1] < 14 and 2 <= peak[2] < 6
    assert abs(float(heat[0, 0, 15])) < 1e-6


def test_the_bottom_of_a_u_net_is_found() -> None:
    from monai.networks.nets import UNet

    model = UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(4, 8, 16), strides=(2, 2))
    layer = coarsest_layer(model, lambda: model(torch.zeros(1, 1, 32, 16)))
    shapes: list[tuple[int, ...]] = []
    layer.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[2:])))
    model(torch.zeros(1, 1, 32, 16))
    assert shapes == [(8, 4)]


def test_a_peak_is_in_a_lesion_or_not_or_there_is_none() -> None:
    heat = np.zeros((8, 10, 12), np.float32)
    heat[5, 3, 9] = 1
    assert peak_in_any(heat, [(4, 2, 8, 6, 4, 10)]) is True
    assert peak_in_any(heat, [(2, 3, 4, 4, 8, 6)]) is False
    assert peak_in_any(heat, []) is None


def test_a_picture_shows_the_boxes_at_their_place(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(100, 5, (1, 40, 60))
    heat = np.zeros((40, 60), np.float32)
    heat[10:20, 30:50] = 1
    write_overlay(pixels, heat, [Mark(edges=(10.0, 30.0, 20.0, 50.0), colour=LESION)], "malignant 0.81", tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    factor, below = 7, 16
    green = np.argwhere((picture[below:, : 60 * factor] == LESION).all(axis=2))
    assert green.min(axis=0).tolist() == [10 * factor, 30 * factor]
    assert green.max(axis=0).tolist() == [20 * factor - 1, 50 * factor - 1]
    right = picture[below:, 60 * factor + 4 :]
    colourful = np.ptp(right.astype(int), axis=2) > 20
    assert colourful[15 * factor, 40 * factor] and not colourful[30 * factor, 10 * factor]


def test_a_volume_is_shown_in_the_slice_of_its_first_mark(tmp_path: Path) -> None:
    pixels = np.zeros((2, 6, 40, 60))
    pixels[0, 4] = np.random.default_rng(0).normal(100, 30, (40, 60))
    write_overlay(pixels, np.zeros((6, 40, 60), np.float32), [Mark(edges=(4.0, 5.0, 6.0, 5.0, 20.0, 30.0))], "x", tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png"))[200:, 300:400].std() > 10
