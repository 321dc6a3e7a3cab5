"""A classifier's samples of any images, whether or not they have a class of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cv_model_experiments.classification.model_file import TrainedClassifier
from cv_model_experiments.classification.samples import Sample, make_samples
from cv_model_experiments.classification.task import ClassificationData
from cv_model_experiments.data.store import LeftOut, PreparedStore
from cv_model_experiments.settings import CacheSettings
from weakbox.records.image_set import ImageRow


def samples_without_classes(model: TrainedClassifier, rows: Sequence[ImageRow], folder: Path) -> tuple[list[Sample], list[LeftOut]]:
    """The model's samples of any rows. The class that a sample needs is made up and never used."""
    options = model.settings.model_copy(
        update={"set": model.settings.set.model_copy(update={"folder": folder}), "class_map": {}, "classes": model.classes}
    )
    name = model.classes[0]
    given = [replace(row, label=name, boxes=tuple(replace(box, label=name) for box in row.boxes)) for row in rows]
    choice = make_samples(given, options, model.classes)
    return list(choice.samples), list(choice.left_out)


def data_of(model: TrainedClassifier, samples: Sequence[Sample], prepared: Mapping[str, Path]) -> ClassificationData:
    """Samples ready for the model, mapped from disk."""
    places: dict[Path, int] = {}
    views = np.full((len(samples), max(len(sample.image_ids) for sample in samples)), -1, np.int64)
    for number, sample in enumerate(samples):
        for view, name in enumerate(sample.image_ids):
            views[number, view] = places.setdefault(prepared[name], len(places))
    return ClassificationData(
        samples=tuple(samples),
        store=PreparedStore(tuple(places), CacheSettings(memory_gib=0.0)),
        views=views,
        targets=torch.zeros(len(samples), len(model.classes)),
        weights=torch.ones(len(samples)),
        is_case=model.settings.input.scope == "case",
    )
