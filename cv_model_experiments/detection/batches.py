"""Batches of patches for training, and of whole images for validation and inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cv_model_experiments.data.order import Integers, seed_of
from cv_model_experiments.data.store import PreparedStore
from cv_model_experiments.detection.patches import central_start, cut_patch, patch_start
from cv_model_experiments.detection.settings import PatchSettings
from cv_model_experiments.detection.targets import Targets


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionBatch:
    """Images [n, channel, *axes] as stored (uint8 or float16), and what is in them."""

    images: Tensor
    targets: tuple[Targets, ...]
    weights: Tensor
    """Of each sample's loss."""
    bags: Tensor
    """True where a lesion is somewhere in the image, and nobody said where."""
    places: tuple[int, ...]
    seed: int

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def to(self, device: torch.device) -> Self:
        """On a device."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            targets=tuple(one.to(device) for one in self.targets),
            weights=self.weights.to(device, non_blocking=True),
            bags=self.bags.to(device, non_blocking=True),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Prepared images of one part and what is known of them, by place."""

    store: PreparedStore
    targets: tuple[Targets, ...]
    weights: tuple[float, ...]
    bags: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMaker:
    """Cuts one patch a sample; which one follows from the batch's seed and the sample's place in the batch."""

    samples: Samples
    settings: PatchSettings

    def __call__(self, places: Integers, seed: int) -> DetectionBatch:
        """See ``learning.loading.BatchMaker``."""
        cut = [self._cut(int(place), seed_of(seed, number)) for number, place in enumerate(places)]
        return _batch([pixels for pixels, _ in cut], [targets for _, targets in cut], self.samples, places, seed)

    def _cut(self, place: int, seed: int) -> tuple[NDArray[Any], Targets]:
        pixels, targets = self.samples.store[place], self.samples.targets[place]
        size = self.settings.size
        if self.samples.bags[place]:
            # A lesion is somewhere in the image: only the widest view of it may be called positive.
            start = central_start(pixels.shape[1:], size)
        else:
            lesions = targets.boxes[targets.is_lesion].double().numpy()
            generator = np.random.Generator(np.random.PCG64(seed))
            start = patch_start(pixels.shape[1:], size, lesions, self.settings.lesion_share, generator)
        return cut_patch(pixels, start, size), targets.in_window(start, size, self.settings.least_volume)


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeMaker:
    """Whole images; those of one batch must have one shape, so a batch of volumes holds one."""

    samples: Samples

    def __call__(self, places: Integers, seed: int) -> DetectionBatch:
        """See ``learning.loading.BatchMaker``."""
        images = [self.samples.store[int(place)] for place in places]
        return _batch(images, [self.samples.targets[int(place)] for place in places], self.samples, places, seed)


def _batch(images: Sequence[NDArray[Any]], targets: Sequence[Targets], samples: Samples, places: Integers, seed: int) -> DetectionBatch:
    return DetectionBatch(
        images=torch.from_numpy(np.stack(images)),
        targets=tuple(targets),
        weights=torch.tensor([samples.weights[int(place)] for place in places]),
        bags=torch.tensor([samples.bags[int(place)] for place in places]),
        places=tuple(int(place) for place in places),
        seed=seed,
    )
