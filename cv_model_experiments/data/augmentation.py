"""Augmentation of whole batches on the device that trains: one draw of numbers a batch, the same for the same seed.

Geometry is one affine map a sample (one interpolation); in 3-D it turns within slices, whose pixels are square. Boxes move
with it as the boxes of their inscribed ellipsoids, which turning enlarges less than corners would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from weakbox.runtime.config import Settings


class AugmentationSettings(Settings):
    """How far a training image may move from what it is. Zeros switch a part off."""

    flips: tuple[int, ...] = Field(default=(), description="Axes that may be reversed, of (slice,) row, column: -1 is the columns.")
    turn_degrees: float = Field(default=0.0, ge=0, le=180, description="Turned by up to so many degrees within a slice.")
    zoom: float = Field(default=0.0, ge=0, lt=1, description="Enlarged or shrunk by up to this share.")
    shift: float = Field(default=0.0, ge=0, lt=1, description="Moved by up to this share of each side; slices only by a third of it.")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="Values scaled around their mean by up to this share.")
    brightness: float = Field(default=0.0, ge=0, lt=1, description="Values raised or lowered by up to this share of the range.")
    gamma: float = Field(default=0.0, ge=0, lt=1, description="2-D: exponent between 1 / (1 + gamma) and 1 + gamma.")
    colour: float = Field(default=0.0, ge=0, lt=1, description="Each colour channel scaled on its own by up to this share.")
    noise: float = Field(default=0.0, ge=0, lt=1, description="Gaussian noise of up to this standard deviation (share of the range).")
    erase: float = Field(default=0.0, ge=0, lt=1, description="Chance that a rectangle of up to a quarter of each side is blanked.")
    bias_field: float = Field(default=0.0, ge=0, lt=1, description="MR: smooth gain across the image by up to this share.")
    channel_shift: float = Field(
        default=0.0, ge=0, lt=1, description="MR: channels after the first moved by up to this share of a side, as diffusion images are."
    )


PRESETS: Mapping[str, AugmentationSettings] = {
    "none": AugmentationSettings(),
    "mammography": AugmentationSettings(
        turn_degrees=10, zoom=0.1, shift=0.05, contrast=0.15, brightness=0.1, gamma=0.2, noise=0.01, flips=(-1,)
    ),
    "dermatoscopy": AugmentationSettings(
        turn_degrees=180, zoom=0.2, shift=0.1, contrast=0.2, brightness=0.1, gamma=0.1, colour=0.1, noise=0.01, erase=0.1, flips=(-2, -1)
    ),
    "mr": AugmentationSettings(
        turn_degrees=10, zoom=0.1, shift=0.05, contrast=0.15, brightness=0.1, noise=0.05, bias_field=0.15, channel_shift=0.01, flips=(-1,)
    ),
}
"""A mirrored left breast stands for a right one, which a classifier must take alike; a prostate is symmetric from left to right."""

_NUMBERS = 16
"""Uniform numbers drawn a sample, whatever is switched on: switching one part on does not change the draws of another."""


class Augmenter:
    """Augments batches [n, channel, *axes] of values around 0..1 (2-D) or z-scores (3-D).

    ``unit`` is the range that brightness and noise are shares of: 1 for both scales.
    """

    def __init__(self, settings: AugmentationSettings, *, fills_with_edge: bool = False) -> None:
        self.settings = settings
        self.padding = "border" if fills_with_edge else "zeros"
        self.moves = bool(settings.flips or settings.turn_degrees or settings.zoom or settings.shift)

    @property
    def is_idle(self) -> bool:
        """Whether nothing changes."""
        return self.settings == PRESETS["none"]

    def __call__(self, pixels: Tensor, seed: int) -> Tensor:
        """The batch augmented; ``pixels`` stays as it is."""
        if self.is_idle:
            return pixels
        draws = self._draws(pixels, seed)
        if self.moves:
            pixels = self._moved(pixels, self._affine(draws, pixels.shape[2:]))
        if self.settings.channel_shift:
            pixels = self._channels_moved(pixels, draws[:, 15] * 2 - 1)
        return self._changed(pixels, draws, seed)

    def with_boxes(self, pixels: Tensor, boxes: Sequence[Tensor], seed: int) -> tuple[Tensor, list[Tensor]]:
        """The batch and its boxes, each [m, 2, axes] (start, stop on tensor axes, voxel edges). Boxes that leave the image are dropped.

        A box's place in its list is lost where one is dropped; ask ``affine`` where that matters.
        """
        maps = None if self.is_idle or not self.moves else self.affine(pixels.shape, pixels.device, seed)
        shown = self(pixels, seed)
        if maps is None:
            return shown, list(boxes)
        return shown, [inside(move_boxes(one, map_, pixels.shape[2:]), pixels.shape[2:]) for one, map_ in zip(boxes, maps, strict=True)]

    def affine(self, shape: Sequence[int], device: torch.device, seed: int) -> Tensor:
        """The affine map of each sample [n, axes, axes + 1] from augmented to original pixels, around the centre, in pixels."""
        return self._affine(self._draws(torch.empty(shape[0], device=device), seed), shape[2:])

    def _draws(self, pixels: Tensor, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(pixels.shape[0], _NUMBERS, generator=generator).to(pixels.device)

    def _affine(self, draws: Tensor, size: Sequence[int]) -> Tensor:
        settings, axes = self.settings, len(size)
        signed = draws * 2 - 1
        angle = signed[:, 0] * math.radians(settings.turn_degrees)
        zoom = 1.0 + signed[:, 1] * settings.zoom
        cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        matrix = torch.zeros(len(draws), axes, axes + 1, device=draws.device)
        matrix[:, -2, -3], matrix[:, -2, -2] = cosine, -sine
        matrix[:, -1, -3], matrix[:, -1, -2] = sine, cosine
        if axes == 3:
            matrix[:, 0, 0] = 1.0
        for axis in settings.flips:
            place = axis % axes
            sign = torch.where(draws[:, 2 + place] < 0.5, -1.0, 1.0)
            matrix[:, :, place] *= sign[:, None]
        for axis, length in enumerate(size):
            share = settings.shift / 3 if axes == 3 and axis == 0 else settings.shift
            matrix[:, axis, axes] = signed[:, 5 + axis] * share * length
        return matrix

    def _moved(self, pixels: Tensor, affine: Tensor) -> Tensor:
        size = pixels.shape[2:]
        half = torch.tensor([length / 2 for length in size], device=pixels.device)
        matrix = affine[:, :, :-1] * half[None, None, :] / half[None, :, None]
        offset = affine[:, :, -1:] / half[None, :, None]
        theta = torch.cat([matrix.flip(1, 2), offset.flip(1)], dim=2)  # grid_sample counts axes from the last
        grid = affine_grid(theta, list(pixels.shape), align_corners=False)
        return grid_sample(pixels, grid.to(pixels.dtype), mode="bilinear", padding_mode=self.padding, align_corners=False)

    def _channels_moved(self, pixels: Tensor, shares: Tensor) -> Tensor:
        """Channels after the first, rolled by whole pixels: diffusion images lie a little off the T2."""
        out = pixels.clone()
        for sample, share in enumerate(shares.tolist()):
            move = round(share * self.settings.channel_shift * pixels.shape[-1])
            if move:
                out[sample, 1:] = torch.roll(pixels[sample, 1:], move, dims=-1)
        return out

    def _changed(self, pixels: Tensor, draws: Tensor, seed: int) -> Tensor:
        settings, signed = self.settings, draws * 2 - 1
        one = (slice(None), *([None] * (pixels.ndim - 1)))
        if settings.gamma:
            exponent = torch.exp(signed[:, 8] * math.log1p(settings.gamma))
            pixels = pixels.clamp(min=0.0) ** exponent[one]
        if settings.contrast:
            mean = pixels.mean(dim=tuple(range(1, pixels.ndim)), keepdim=True)
            pixels = mean + (pixels - mean) * (1.0 + signed[:, 9] * settings.contrast)[one]
        if settings.brightness:
            pixels = pixels + (signed[:, 10] * settings.brightness)[one]
        if settings.colour and pixels.shape[1] == 3:
            gains = 1.0 + signed[:, 11:14] * settings.colour
            pixels = pixels * gains.reshape(*gains.shape, *([1] * (pixels.ndim - 2)))
        if settings.bias_field:
            pixels = pixels * self._bias(pixels, seed)
        if settings.noise:
            generator = torch.Generator(pixels.device).manual_seed(seed ^ 1)
            noise = torch.randn(pixels.shape, generator=generator, device=pixels.device, dtype=pixels.dtype)
            pixels = pixels + noise * (draws[:, 14] * settings.noise)[one]
        return self._erased(pixels, draws) if settings.erase else pixels

    def _bias(self, pixels: Tensor, seed: int) -> Tensor:
        axes = pixels.ndim - 2
        generator = torch.Generator().manual_seed(seed ^ 2)
        coarse = torch.rand((pixels.shape[0], 1, *([3] * axes)), generator=generator) * 2 - 1
        field = interpolate(coarse, size=pixels.shape[2:], mode="trilinear" if axes == 3 else "bilinear", align_corners=True)
        return 1.0 + self.settings.bias_field * field.to(pixels.device, pixels.dtype)

    def _erased(self, pixels: Tensor, draws: Tensor) -> Tensor:
        pixels = pixels.clone()
        rows, columns = pixels.shape[-2:]
        for sample, numbers in enumerate(draws.tolist()):
            if numbers[15] < self.settings.erase:
                height, width = max(1, int(rows * numbers[8] / 4)), max(1, int(columns * numbers[9] / 4))
                top, left = int((rows - height) * numbers[10]), int((columns - width) * numbers[11])
                pixels[sample, ..., top : top + height, left : left + width] = 0.0
        return pixels


def move_boxes(boxes: Tensor, affine: Tensor, size: Sequence[int]) -> Tensor:
    """Boxes [m, 2, axes] of the original where the augmented image shows them; ``affine`` is one sample's map back."""
    if boxes.shape[0] == 0:
        return boxes
    middle = torch.tensor([length / 2 for length in size], dtype=torch.float64)
    forward = torch.linalg.inv(affine[:, :-1].double().cpu())
    centre = boxes.double().cpu().mean(dim=1) - middle
    half = (boxes[:, 1] - boxes[:, 0]).double().cpu() / 2
    moved = (centre - affine[:, -1].double().cpu()) @ forward.T + middle
    extent = torch.sqrt((half**2) @ (forward**2).T)  # of the ellipsoid inside the box
    return torch.stack([moved - extent, moved + extent], dim=1).to(boxes)


def inside(boxes: Tensor, size: Sequence[int], least_share: float = 0.25) -> Tensor:
    """Boxes cut at the edges; those with less than ``least_share`` of their volume left are dropped."""
    if boxes.shape[0] == 0:
        return boxes
    limit = torch.tensor(list(size), dtype=boxes.dtype, device=boxes.device)
    cut = torch.minimum(boxes.clamp(min=0), limit)
    share = (cut[:, 1] - cut[:, 0]).prod(dim=1) / (boxes[:, 1] - boxes[:, 0]).prod(dim=1).clamp(min=1e-9)
    return cut[share >= least_share]
