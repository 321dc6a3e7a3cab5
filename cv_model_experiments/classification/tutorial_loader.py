"""The loader of MONAI's classification tutorials over the same images, to compare with: files are decoded and changed anew each epoch.

Settings of ``2d_classification/mednist_tutorial`` and ``3d_classification/densenet_training_array`` (Project-MONAI/tutorials),
with the resizing that images of several sizes need; worker processes as many as our loader's threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sized
from typing import Any

from cv_model_experiments.classification.settings import ClassificationSettings
from cv_model_experiments.classification.task import ClassificationData


def tutorial_loader(data: ClassificationData, settings: ClassificationSettings) -> Callable[[], Iterable[Sized]]:
    """Makes the batches of one epoch; worker processes start with each epoch, as in the tutorials."""

    def epoch() -> Iterable[Sized]:
        from monai.data.dataloader import DataLoader
        from monai.data.dataset import Dataset
        from monai.transforms.compose import Compose

        transform = Compose(_pictures(settings) if settings.input.axes == 2 else _volumes(settings))
        files = [str(sample.files[0].paths[0]) for sample in data.samples]
        loader: Iterable[Sized] = DataLoader(
            Dataset(files, transform),
            batch_size=settings.learning.batch_size,
            shuffle=True,
            num_workers=settings.learning.loader_threads,
        )
        return loader

    return epoch


def _pictures(settings: ClassificationSettings) -> list[Callable[[Any], Any]]:
    from monai.transforms.intensity.array import ScaleIntensity
    from monai.transforms.io.array import LoadImage
    from monai.transforms.spatial.array import RandFlip, RandRotate, RandZoom, Resize
    from monai.transforms.utility.array import EnsureChannelFirst

    return [
        LoadImage(image_only=True),
        EnsureChannelFirst(),
        ScaleIntensity(),
        Resize(settings.input.size),
        RandRotate(range_x=math.pi / 12, prob=0.5, keep_size=True),
        RandFlip(spatial_axis=0, prob=0.5),
        RandZoom(min_zoom=0.9, max_zoom=1.1, prob=0.5),
    ]


def _volumes(settings: ClassificationSettings) -> list[Callable[[Any], Any]]:
    from monai.transforms.intensity.array import ScaleIntensity
    from monai.transforms.io.array import LoadImage
    from monai.transforms.spatial.array import RandRotate90, Resize
    from monai.transforms.utility.array import EnsureChannelFirst

    return [
        LoadImage(image_only=True),
        ScaleIntensity(),
        EnsureChannelFirst(),
        Resize(settings.input.size[::-1]),
        RandRotate90(),
    ]  # (i, j, k)
