"""Architectures: 2-D by torchvision, 3-D by MONAI, a light one of our own, all behind one shape: encoder, pooling, head.

``encoder`` gives the last feature map, which is what Grad-CAM looks at; ``blocks`` are its parts from the input to the
output, of which the last ones can be trained while the others stay as they were pre-trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from cv_model_experiments.classification.settings import ModelSettings
from weakbox.records.record import record
from weakbox.runtime.nearest import one_of

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
VGG16_CUTS = (5, 10, 17, 24, 31)
"""Where torchvision's VGG16 features end a block, after its pooling."""


Load = Callable[[nn.Module], None]
"""Puts pre-trained weights into a network as its library names its layers; nothing where there are none."""
Builder = Callable[[int, ModelSettings, Load], tuple[list[nn.Module], int]]
"""(input channels, settings, load) -> blocks, and channels of the last feature map."""


@record
class Architecture:
    """What a name stands for."""

    pictures: Builder
    volumes: Builder
    torchvision: str | None = None
    """Name of the ImageNet weights."""
    unfrozen: int | None = None
    """Blocks that are trained unless the configuration says otherwise; None: all."""
    hidden: tuple[int, ...] = ()
    """Layers of the head before the last."""
    dropout: float = 0.0


class Encoder(nn.Module):
    """Blocks one after the other; the first ``frozen`` of them stay as they are, running statistics included."""

    def __init__(self, blocks: Sequence[nn.Module], frozen: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.frozen = frozen
        for block in self.blocks[:frozen]:
            block.requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """[n, channel, *axes] -> the last feature map."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._only_frozen()):
            for block in self.blocks[: self.frozen]:
                pixels = block(pixels)
        for block in self.blocks[self.frozen :]:
            pixels = block(pixels)
        return pixels

    def _only_frozen(self) -> bool:
        """Frozen blocks need no gradients while training; an explanation in evaluation may want them."""
        return self.training and self.frozen > 0

    def train(self, mode: bool = True) -> Self:
        """Frozen blocks stay in evaluation mode."""
        super().train(mode)
        for block in self.blocks[: self.frozen]:
            block.eval()
        return self


class Classifier(nn.Module):
    """Pixels [n, channel, *axes] (or [n, view, channel, *axes] for cases) -> logits [n, classes]."""

    GRAD_CAM_LAYER = "encoder"
    """Module whose output is the feature map that class activation maps are made of."""

    def __init__(
        self, encoder: Encoder, channels: int, classes: int, *, hidden: Sequence[int], dropout: float, view_pooling: str | None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.view_pooling = view_pooling
        self.attention = nn.Sequential(nn.Linear(channels, 64), nn.Tanh(), nn.Linear(64, 1)) if view_pooling == "attention" else None
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(channels, width), nn.ReLU(), nn.Dropout(dropout)]
            channels = width
        if not hidden and dropout:
            layers.append(nn.Dropout(dropout))
        self.head = nn.Sequential(*layers, nn.Linear(channels, classes))

    def forward(self, pixels: Tensor, present: Tensor | None = None) -> Tensor:
        """``present`` [n, view] is true where a case has that view."""
        logits: Tensor = self.head(self.features(pixels, present))
        return logits

    def features(self, pixels: Tensor, present: Tensor | None = None) -> Tensor:
        """What the head sees [n, channels]."""
        if self.view_pooling is None:
            return self._pooled(pixels)
        views = pixels.shape[1]
        features = self._pooled(pixels.flatten(0, 1)).unflatten(0, (-1, views))
        mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device) if present is None else present
        return self._joined(features, mask)

    def _pooled(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.encoder(pixels)
        return found.flatten(2).mean(dim=2)

    def _joined(self, features: Tensor, mask: Tensor) -> Tensor:
        if self.view_pooling == "max":
            return features.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)
        if self.attention is not None:
            scores = self.attention(features)[..., 0].float().masked_fill(~mask, -torch.inf)
            shares = torch.softmax(scores, dim=1).to(features.dtype)
        else:
            shares = mask.to(features.dtype) / mask.sum(dim=1, keepdim=True)
        return (features * shares[..., None]).sum(dim=1)


def no_weights(network: nn.Module) -> None:
    """Leave a network as it was made: random."""


def build_classifier(
    settings: ModelSettings, *, axes: int, channels: int, classes: int, is_case: bool, load: Load = no_weights
) -> Classifier:
    """The architecture that the settings name; ``load`` gets the network as its library made it.

    Raises:
        ConfigurationError: no such architecture.
    """
    architecture = ARCHITECTURES[one_of(settings.name, ARCHITECTURES, "model.name")]
    blocks, width = (architecture.pictures if axes == 2 else architecture.volumes)(channels, settings, load)
    unfrozen = settings.unfrozen_blocks if settings.unfrozen_blocks is not None else architecture.unfrozen
    if settings.weights == "none" and settings.unfrozen_blocks is None:
        unfrozen = None  # nothing pre-trained that would be worth keeping
    frozen = 0 if unfrozen is None else max(0, len(blocks) - unfrozen)
    return Classifier(
        Encoder(blocks, frozen),
        width,
        classes,
        hidden=architecture.hidden,
        dropout=architecture.dropout if settings.dropout is None else settings.dropout,
        view_pooling=settings.pooling if is_case else None,
    )


def _vgg16_pictures(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
    from torchvision.models import vgg16

    network = vgg16(weights=None)
    _fit_channels(network, "features.0", channels)
    load(network)
    features = network.features
    edges = (0, *VGG16_CUTS)
    return [features[first:last] for first, last in pairwise(edges)], 512


def _vgg16_volumes(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
    """VGG16's layers in 3-D with batch normalisation; slices are halved from the third block on, for they are thick."""
    blocks: list[nn.Module] = []
    for number, widths in enumerate(VGG16_BLOCKS):
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv3d(channels, width, 3, padding=1, bias=False), nn.BatchNorm3d(width), nn.ReLU()]
            channels = width
        step = (1 if number < 2 else 2, 2, 2)
        blocks.append(nn.Sequential(*layers, nn.MaxPool3d(step, step, ceil_mode=True)))
    load(nn.ModuleList(blocks))
    return blocks, channels


def _efficientnet_pictures(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
    from torchvision.models import efficientnet_b0

    network = efficientnet_b0(weights=None)
    _fit_channels(network, "features.0.0", channels)
    load(network)
    return list(network.features), 1280


def _densenet_pictures(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
    from torchvision.models import densenet121

    network = densenet121(weights=None)
    _fit_channels(network, "features.conv0", channels)
    load(network)
    named = dict(network.features.named_children())
    stem = nn.Sequential(*(named[name] for name in ("conv0", "norm0", "relu0", "pool0")))
    blocks = [nn.Sequential(named[f"denseblock{number}"], named[f"transition{number}"]) for number in (1, 2, 3)]
    return [stem, *blocks, nn.Sequential(named["denseblock4"], named["norm5"], nn.ReLU())], 1024


def _resnet_pictures(name: str) -> Builder:
    def build(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
        from torchvision import models

        network = getattr(models, name)(weights=None)
        _fit_channels(network, "conv1", channels)
        return _resnet_blocks(network, load)

    return build


def _resnet_volumes(name: str) -> Builder:
    def build(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
        from monai.networks import nets

        network = getattr(nets, name)(pretrained=False, spatial_dims=3, n_input_channels=channels, conv1_t_stride=(1, 2, 2))
        return _resnet_blocks(network, load)

    return build


def _resnet_blocks(network: Any, load: Load) -> tuple[list[nn.Module], int]:
    """Stem and four stages of torchvision's or MONAI's network, which name them alike but for the stem's activation."""
    load(network)
    activation = network.relu if hasattr(network, "relu") else network.act
    stem = nn.Sequential(network.conv1, network.bn1, activation, network.maxpool)
    return [stem, network.layer1, network.layer2, network.layer3, network.layer4], network.fc.in_features


def _efficientnet_volumes(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
    from monai.networks.nets.efficientnet import EfficientNetBN

    network: Any = EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=3, in_channels=channels, num_classes=2)
    load(network)
    _fit_thick_slices(network)
    stem = nn.Sequential(network._conv_stem, network._bn0, nn.SiLU())
    return [stem, *network._blocks, nn.Sequential(network._conv_head, network._bn1, nn.SiLU())], 1280


def _fit_thick_slices(network: nn.Module) -> None:
    """MONAI pads as for 224 voxels a side, and halves slices five times: pad by the kernel instead, and spare slices the first two."""
    spared = 2
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.padding = tuple((size - 1) // 2 for size in module.kernel_size)
            if module.stride[0] == 2 and spared:
                module.stride, spared = (1, 2, 2), spared - 1
        for name in [name for name, _ in module.named_children() if name.endswith("_padding")]:
            setattr(module, name, nn.Identity())


def _densenet_volumes(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
    from monai.networks.nets.densenet import DenseNet121

    network = DenseNet121(spatial_dims=3, in_channels=channels, out_channels=2)
    load(network)
    for module in network.modules():
        if isinstance(module, nn.AvgPool3d):
            module.ceil_mode = True
    features: dict[str, Any] = dict(network.features.named_children())
    features["conv0"].stride = features["pool0"].stride = (1, 2, 2)  # slices are thick
    stem = nn.Sequential(*(features[name] for name in ("conv0", "norm0", "relu0", "pool0")))
    blocks = [nn.Sequential(features[f"denseblock{number}"], features[f"transition{number}"]) for number in (1, 2, 3)]
    return [stem, *blocks, nn.Sequential(features["denseblock4"], features["norm5"], nn.ReLU())], 1024


def _light(axes: int) -> Builder:
    convolution: Any = nn.Conv2d if axes == 2 else nn.Conv3d
    pooling: Any = nn.MaxPool2d if axes == 2 else nn.MaxPool3d

    def build(channels: int, settings: ModelSettings, load: Load) -> tuple[list[nn.Module], int]:
        """Four blocks of two convolutions; group normalisation, so small batches do no harm."""
        blocks: list[nn.Module] = []
        for number in range(4):
            width = settings.width * 2**number
            layers: list[nn.Module] = []
            for _ in range(2):
                layers += [convolution(channels, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.ReLU()]
                channels = width
            step = (1, 2, 2) if axes == 3 and number == 0 else (2,) * axes
            blocks.append(nn.Sequential(*layers, pooling(step, step, ceil_mode=True)) if number < 3 else nn.Sequential(*layers))
        load(nn.ModuleList(blocks))
        return blocks, channels

    return build


def _fit_channels(network: nn.Module, name: str, channels: int) -> None:
    """Another number of input channels than the three of a photograph."""
    old = network.get_submodule(name)
    if not isinstance(old, nn.Conv2d) or old.in_channels == channels:
        return
    shape: dict[str, Any] = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding}
    new = nn.Conv2d(channels, old.out_channels, bias=old.bias is not None, **shape)
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, new)


ARCHITECTURES = {
    "vgg16": Architecture(
        pictures=_vgg16_pictures, volumes=_vgg16_volumes, torchvision="VGG16_Weights", unfrozen=0, hidden=(256,), dropout=0.5
    ),
    "vgg16_medical": Architecture(
        pictures=_vgg16_pictures, volumes=_vgg16_volumes, torchvision="VGG16_Weights", unfrozen=2, hidden=(512, 128), dropout=0.5
    ),
    "efficientnet_b0": Architecture(
        pictures=_efficientnet_pictures, volumes=_efficientnet_volumes, torchvision="EfficientNet_B0_Weights", dropout=0.2
    ),
    "densenet121": Architecture(pictures=_densenet_pictures, volumes=_densenet_volumes, torchvision="DenseNet121_Weights"),
    "resnet18": Architecture(pictures=_resnet_pictures("resnet18"), volumes=_resnet_volumes("resnet18"), torchvision="ResNet18_Weights"),
    "resnet50": Architecture(pictures=_resnet_pictures("resnet50"), volumes=_resnet_volumes("resnet50"), torchvision="ResNet50_Weights"),
    "light_cnn": Architecture(pictures=_light(2), volumes=_light(3)),
}
"""By the name in the configuration. The VGG16 variants are frozen only where weights are given."""
