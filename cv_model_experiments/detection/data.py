"""From the rows of a set to a detector's loaders: prepared images, targets, anchors and orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cv_model_experiments.classification.samples import SMALLEST_SPACING_STEP
from cv_model_experiments.data.order import EpochOrder
from cv_model_experiments.data.preparation import ImageFiles, PicturePreparation, Preparation, VolumePreparation, channel_paths
from cv_model_experiments.data.rows import DividedRows
from cv_model_experiments.data.store import LeftOut, PreparedStore, prepare_all
from cv_model_experiments.detection.anchors import AnchorFit, Sides, fit_anchors
from cv_model_experiments.detection.batches import PatchMaker, Samples, WholeMaker
from cv_model_experiments.detection.finder import FinderShape
from cv_model_experiments.detection.retinanet import level_scales
from cv_model_experiments.detection.settings import DetectionSettings, ImageSettings
from cv_model_experiments.detection.targets import Targets, check_classes, is_bag, stated_uncertainties, targets_of
from cv_model_experiments.learning.loading import Loader
from cv_model_experiments.learning.world import World
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record


@record
class PreparedPart:
    """Rows of a part whose images could be prepared, in their order, and what was left out."""

    rows: tuple[ImageRow, ...]
    samples: Samples
    left_out: tuple[LeftOut, ...]


@record
class DetectionRun:
    """Everything a run needs beside the loop."""

    shape: FinderShape
    fit: AnchorFit | None
    training: Loader
    validation: Loader
    patches: Loader
    """Of the validation part, for its loss."""
    train: PreparedPart
    validate: PreparedPart


def preparation_of(images: ImageSettings) -> Preparation:
    """How images are prepared."""
    if images.axes == 2:
        assert images.size is not None, "checked by the settings"
        return PicturePreparation(size=(images.size[0], images.size[1]))
    size = None if images.size is None else (images.size[0], images.size[1], images.size[2])
    return VolumePreparation(channels=images.channels, spacing_mm=images.spacing_mm, size=size)


def files_of(row: ImageRow, folder: Path, images: ImageSettings) -> ImageFiles:
    """The files of an image.

    Raises:
        InputError: a volume where pictures are asked for, or the other way round, or a channel is missing.
    """
    if (row.slices is not None) != (images.axes == 3):
        kinds = ("a volume", "a picture") if row.slices is not None else ("a picture", "a volume")
        msg = f"{row.image_id} is {kinds[0]}, and this experiment is shown {kinds[1]}s; choose with set.modalities, or set images.channels"
        raise InputError(msg)
    path = folder / row.image_path
    return ImageFiles(paths=(path,) if images.axes == 2 else channel_paths(path, images.channels))


def prepare_part(rows: Sequence[ImageRow], settings: DetectionSettings, world: World) -> PreparedPart:
    """Prepare the images of one part and their targets. Images that cannot be used are left out with their reason."""
    images, problems = [], []
    for row in rows:
        try:
            images.append((row.image_id, files_of(row, settings.set.folder, settings.images)))
        except InputError as error:
            problems.append(LeftOut(image_id=row.image_id, reason=str(error)))
    if not world.is_main:
        world.wait()  # the main process prepares; the others then find everything there
    paths, unusable = prepare_all(images, preparation_of(settings.images), settings.cache_folder, settings.cache.workers)
    if world.is_main:
        world.wait()
    kept = tuple(row for row in rows if row.image_id in paths)
    store = PreparedStore([paths[row.image_id] for row in kept], settings.cache)
    bags = tuple(is_bag(row, settings.lesions) for row in kept)
    samples = Samples(
        store=store,
        targets=tuple(_targets(row, store, place, settings) for place, row in enumerate(kept)),
        weights=tuple(row.weight * settings.set.tier_weights.get(row.tier, 1.0) for row in kept),
        bags=bags,
    )
    return PreparedPart(rows=kept, samples=samples, left_out=(*problems, *unusable))


def _targets(row: ImageRow, store: PreparedStore, place: int, settings: DetectionSettings) -> Targets:
    stated = stated_uncertainties(settings.set.folder / row.image_path) if settings.images.axes == 3 else {}
    return targets_of(row, store.placement(place), settings.lesions, stated)


def shown_spacing(rows: Sequence[ImageRow], images: ImageSettings) -> tuple[float, ...]:
    """Spacing of the prepared images along tensor axes; the median where volumes are shown as exported.

    Raises:
        InputError: volumes of mixed spacings, and none is set to bring them to.
    """
    if images.axes == 2:
        return (1.0, 1.0)
    if images.spacing_mm is not None:
        return images.spacing_mm
    known = np.array([row.spacing_mm[::-1] for row in rows if row.spacing_mm is not None])
    if not len(known):
        return (1.0, 1.0, 1.0)
    median = np.median(known, axis=0)
    if bool((known.max(axis=0) > known.min(axis=0) * (1 + SMALLEST_SPACING_STEP)).any()):
        low, high = (", ".join(f"{value:.3g}" for value in edge) for edge in (known.min(axis=0), known.max(axis=0)))
        example = ", ".join(f"{value:.3g}" for value in median)
        axes = "along slice, row, column"
        msg = f"the volumes have spacings from ({low}) to ({high}) mm {axes}; set images.spacing_mm, for example [{example}]"
        raise InputError(msg)
    return tuple(round(float(value), 4) for value in median)


def _sides(part: PreparedPart, axes: int) -> Sides:
    """Lengths of all lesions of a part, in voxels."""
    boxes = [targets.boxes[targets.is_lesion].double().numpy() for targets in part.samples.targets]
    edges = np.concatenate(boxes) if boxes else np.zeros((0, 2 * axes))
    return np.asarray(np.maximum(edges[:, axes:] - edges[:, :axes], 1e-2))


def finder_shape(part: PreparedPart, settings: DetectionSettings) -> tuple[FinderShape, AnchorFit | None]:
    """What the network is built of, and how its anchors cover the boxes of the training part."""
    images = settings.images
    spacing = shown_spacing(part.rows, images)
    fit = None
    shapes = settings.anchors.shapes
    if settings.method == "retinanet" and not shapes:
        fit = fit_anchors(_sides(part, images.axes), settings.anchors.count, level_scales(settings, spacing))
        shapes = fit.shapes
    shape = FinderShape(axes=images.axes, channels=images.channel_count, classes=settings.class_names, spacing=spacing, anchors=shapes)
    return shape, fit


def make_run(divided: DividedRows, settings: DetectionSettings, world: World) -> DetectionRun:
    """Prepare both parts and what reads them.

    Raises:
        InputError: no boxes to learn from, nothing usable, mixed spacings.
    """
    check_classes(divided.train, settings.lesions)
    train = prepare_part(_learnt_from(divided.train, settings), settings, world)
    validate = prepare_part(divided.validation, settings, world)
    for part, name in ((train, "training"), (validate, "validation")):
        if not part.rows:
            reason = part.left_out[0].reason if part.left_out else "there is none"
            msg = f"no image of the {name} part can be used; the first: {reason}"
            raise InputError(msg)
    shape, fit = finder_shape(train, settings)
    learning = settings.learning
    copies = tuple(row.copies * settings.patches.a_image for row in train.rows)
    still = EpochOrder(seed=settings.seed, copies=(1,) * len(validate.rows), is_shuffled=False)
    return DetectionRun(
        shape=shape,
        fit=fit,
        training=Loader(
            make=PatchMaker(samples=train.samples, settings=settings.patches),
            order=EpochOrder(seed=settings.seed, copies=copies),
            batch_size=learning.batch_size,
            is_training=True,
            world=world,
            threads=learning.loader_threads,
        ),
        validation=Loader(make=WholeMaker(samples=validate.samples), order=still, batch_size=1, is_training=False, world=world, threads=0),
        patches=Loader(
            make=PatchMaker(samples=validate.samples, settings=settings.patches),
            order=still,
            batch_size=learning.batch_size,
            is_training=False,
            world=world,
            threads=0,
        ),
        train=train,
        validate=validate,
    )


def _learnt_from(rows: Sequence[ImageRow], settings: DetectionSettings) -> tuple[ImageRow, ...]:
    """Rows that teach something: not those that hold a lesion somewhere, where the case-level loss is off."""
    return tuple(row for row in rows if settings.lesions.bag_weight > 0 or not is_bag(row, settings.lesions))
