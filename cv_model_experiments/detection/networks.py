"""Networks: encoders with a feature pyramid for RetinaNet, and U-Nets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from monai.networks.layers.factories import Conv
from monai.networks.nets import resnet
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.unet import UNet
from torch import Tensor, nn

from cv_model_experiments.detection.settings import NetworkSettings, SegmentationSettings
from weakbox.records.errors import ConfigurationError

NORM_GROUPS = 8
RATIO_TO_HALVE = 1.5
"""An axis is halved where its voxels are at most so many times as long as the shortest."""
LEAST_DYNUNET_STAGES = 3
Strides = tuple[tuple[int, ...], ...]
_RESNETS = {"resnet10": resnet.resnet10, "resnet18": resnet.resnet18, "resnet34": resnet.resnet34, "resnet50": resnet.resnet50}


def stage_strides(stages: int, spacing: Sequence[float], given: Strides = ()) -> Strides:
    """The stride of each stage along tensor axes.

    The first keeps the image as it is; later ones halve those axes whose voxels are not longer than the others' by more than half.

    >>> stage_strides(4, (3.0, 0.5, 0.5))
    ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2))
    """
    if given:
        return given
    current, strides = list(spacing), [(1,) * len(spacing)]
    for _ in range(stages - 1):
        limit = RATIO_TO_HALVE * min(current) + 1e-6
        stride = tuple(2 if length <= limit else 1 for length in current)
        current = [length * step for length, step in zip(current, stride, strict=True)]
        strides.append(stride)
    return tuple(strides)


def total_strides(strides: Strides) -> Strides:
    """The stride from the image to each stage's map.

    >>> total_strides(((1, 1), (2, 2), (1, 2)))
    ((1, 1), (2, 2), (2, 4))
    """
    totals = [tuple(1 for _ in strides[0])]
    for stride in strides:
        totals.append(tuple(before * step for before, step in zip(totals[-1], stride, strict=True)))
    return tuple(totals[1:])


class ResidualStage(nn.Module):
    """Two normalised convolutions and a shortcut; the first has the stride."""

    def __init__(self, axes: int, width_in: int, width_out: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        convolution = Conv[Conv.CONV, axes]
        groups = math.gcd(NORM_GROUPS, width_out)
        self.first = convolution(width_in, width_out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(groups, width_out)
        self.second = convolution(width_out, width_out, kernel_size=3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(groups, width_out)
        self.shortcut = convolution(width_in, width_out, kernel_size=1, stride=stride, bias=False)
        self.activation = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """[n, width_in, *axes] to [n, width_out, *axes / stride]."""
        shown = self.activation(self.first_norm(self.first(features)))
        found: Tensor = self.activation(self.second_norm(self.second(shown)) + self.shortcut(features))
        return found


class PlainEncoder(nn.Module):
    """Residual stages; gives the maps of all of them."""

    def __init__(self, axes: int, channels: int, widths: Sequence[int], strides: Strides) -> None:
        super().__init__()
        self.widths = tuple(widths)
        befores = (channels, *widths[:-1])
        self.stages = nn.ModuleList(ResidualStage(axes, *three) for three in zip(befores, widths, strides, strict=True))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The map of each stage."""
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return maps


class ResNetEncoder(nn.Module):
    """MONAI's ResNet without its head; gives the maps of its four stages."""

    def __init__(self, axes: int, channels: int, kind: str, first_stride: tuple[int, ...]) -> None:
        super().__init__()
        self.body = _RESNETS[kind](
            pretrained=False, spatial_dims=axes, n_input_channels=channels, conv1_t_stride=first_stride, feed_forward=False
        )
        expansion = 4 if kind == "resnet50" else 1
        self.widths = tuple(width * expansion for width in (64, 128, 256, 512))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The map of each stage."""
        body = self.body
        features = body.maxpool(body.act(body.bn1(body.conv1(images))))
        maps = []
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            features = layer(features)
            maps.append(features)
        return maps


class Pyramid(nn.Module):
    """An encoder and MONAI's feature pyramid on the stages that carry anchors."""

    def __init__(self, axes: int, encoder: PlainEncoder | ResNetEncoder, returned: Sequence[int], width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.returned = tuple(returned)
        self.out_channels = width
        self.deepest = len(encoder.widths)
        used = range(min(returned), self.deepest)
        self.used = tuple(used)
        self.pyramid = FeaturePyramidNetwork(axes, [encoder.widths[stage] for stage in used], width)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps of the returned stages, finest first."""
        maps = self.encoder(images)
        fused = self.pyramid({str(stage): maps[stage] for stage in self.used})
        return [fused[str(stage)] for stage in self.returned]


def level_strides(network: NetworkSettings, axes: int, spacing: Sequence[float]) -> Strides:
    """The stride of each map that carries anchors."""
    totals = total_strides(_all_strides(network, axes, spacing))
    return tuple(totals[stage] for stage in network.returned)


def divisors(network: NetworkSettings, axes: int, spacing: Sequence[float]) -> tuple[int, ...]:
    """What an image's sides must be divisible by."""
    return total_strides(_all_strides(network, axes, spacing))[-1]


def _all_strides(network: NetworkSettings, axes: int, spacing: Sequence[float]) -> Strides:
    if network.kind == "plain":
        return stage_strides(len(network.widths), spacing, network.strides)
    first = tuple(step * 2 for step in _first_resnet_stride(spacing))
    return (first, *(((2,) * axes,) * 3))


def _first_resnet_stride(spacing: Sequence[float]) -> tuple[int, ...]:
    limit = RATIO_TO_HALVE * min(spacing) + 1e-6
    return tuple(2 if length <= limit else 1 for length in spacing)


def retina_network(settings: NetworkSettings, axes: int, channels: int, classes: int, anchors: int, spacing: Sequence[float]) -> RetinaNet:
    """RetinaNet with its encoder; ``anchors`` shapes at each place."""
    encoder: PlainEncoder | ResNetEncoder
    if settings.kind == "plain":
        encoder = PlainEncoder(axes, channels, settings.widths, stage_strides(len(settings.widths), spacing, settings.strides))
    else:
        encoder = ResNetEncoder(axes, channels, settings.kind, _first_resnet_stride(spacing))
    return RetinaNet(
        spatial_dims=axes,
        num_classes=classes,
        num_anchors=anchors,
        feature_extractor=Pyramid(axes, encoder, settings.returned, settings.pyramid_width),
        size_divisible=divisors(settings, axes, spacing),
    )


def segmentation_network(
    settings: SegmentationSettings, network: NetworkSettings, axes: int, channels: int, classes: int, spacing: Sequence[float]
) -> nn.Module:
    """A U-Net with ``classes`` maps of logits beside the background's (which comes first).

    Raises:
        ConfigurationError: an encoder is asked for that only RetinaNet has, or too few stages.
    """
    if network.kind != "plain":
        msg = f"network.kind: {network.kind!r} is RetinaNet's; the U-Nets have `plain` stages (network.widths, network.strides)"
        raise ConfigurationError(msg)
    strides = stage_strides(len(network.widths), spacing, network.strides)
    if settings.network == "unet":
        return UNet(
            spatial_dims=axes,
            in_channels=channels,
            out_channels=classes + 1,
            channels=network.widths,
            strides=strides[1:],  # type: ignore[arg-type]  # MONAI's annotation knows one number a stage, its code takes one an axis
            num_res_units=2,
            norm=("group", {"num_groups": math.gcd(NORM_GROUPS, *network.widths, classes + 1)}),
        )
    if len(strides) < LEAST_DYNUNET_STAGES:
        msg = f"network.widths: DynUNet has at least {LEAST_DYNUNET_STAGES} stages, got {len(strides)}; or set segmentation.network to unet"
        raise ConfigurationError(msg)
    return DynUNet(
        spatial_dims=axes,
        in_channels=channels,
        out_channels=classes + 1,
        kernel_size=[(3,) * axes] * len(strides),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=network.widths,
        norm_name=("INSTANCE", {"affine": True}),
        res_block=True,
    )
