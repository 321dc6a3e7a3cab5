"""Samples of classification from the rows of a set: images, crops around boxes, or cases of several views, each with its class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cv_model_experiments.classification.settings import ClassificationSettings, InputSettings
from cv_model_experiments.data.preparation import ImageFiles, PicturePreparation, Preparation, Region, VolumePreparation, channel_paths
from cv_model_experiments.data.store import LeftOut
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.records.record import record

MILDEST_FIRST = ("normal", "benign", "no_csPCa", *(f"ISUP_{grade}" for grade in range(6)), "malignant", "csPCa")
"""Order of the classes that the label policies give, where the configuration gives none."""
NO_CLASS = -1
SMALLEST_SPACING_STEP = 0.05
"""Spacings that differ by a larger share are mixed."""


@record
class Sample:
    """One thing to classify, of one image or several views."""

    sample_id: str
    rows: tuple[ImageRow, ...]
    image_ids: tuple[str, ...]
    """Names of its prepared images, one a view: an image's id, or a crop's."""
    files: tuple[ImageFiles, ...]
    target: int
    """Its class by number; -1 where it has none, which only prediction allows."""
    tier: str
    confidence: float
    weight: float = 1.0
    copies: int = 1


@record
class SampleChoice:
    """The samples of one part, and the images that gave none."""

    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]


def classes_of(rows: Iterable[ImageRow], settings: ClassificationSettings) -> tuple[str, ...]:
    """The classes of an experiment, in order: as configured, else all of the training part.

    Raises:
        InputError: less than two.
    """
    names = settings.classes or _in_order({settings.class_map.get(name, name) for name in _labels(rows, settings.input)})
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        msg = f"classification needs two classes, the training part has {found}; widen set.datasets or set.tiers, or check labels.policy"
        raise InputError(msg)
    return names


def _labels(rows: Iterable[ImageRow], options: InputSettings) -> set[str]:
    return {name for row in rows for name in ((box.label for box in row.boxes) if options.scope == "roi" else (row.label,)) if name}


def _in_order(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (MILDEST_FIRST.index(name) if name in MILDEST_FIRST else len(MILDEST_FIRST), name)))


def make_samples(rows: Sequence[ImageRow], settings: ClassificationSettings, classes: tuple[str, ...]) -> SampleChoice:
    """The samples that rows of one part give, those without a class too.

    Raises:
        InputError: crops are asked for and no image has a box.
    """
    makers = {"image": _image_samples, "roi": _crop_samples, "case": _case_samples}
    fitting, left_out = [], []
    for row in rows:
        is_volume = row.slices is not None
        if is_volume == (settings.input.axes == 3):
            fitting.append(row)
        else:
            left_out.append(
                LeftOut(image_id=row.image_id, reason=f"a {'volume' if is_volume else 'picture'}; input.axes is {settings.input.axes}")
            )
    if settings.input.scope == "roi" and fitting and not any(row.boxes for row in fitting):
        msg = "input.scope: roi, but no image of this part has a box; write scope: image, or choose sets with boxes"
        raise InputError(msg)
    samples = []
    for made in makers[settings.input.scope](fitting, settings, classes):
        if isinstance(made, LeftOut):
            left_out.append(made)
        else:
            samples.append(made)
    return SampleChoice(samples=tuple(samples), left_out=tuple(left_out))


def with_class(choice: SampleChoice, settings: ClassificationSettings, classes: tuple[str, ...]) -> SampleChoice:
    """Only the samples that have one of the classes; the others with the reason."""
    without = [
        LeftOut(image_id=sample.sample_id, reason=_why_not(sample, settings, classes))
        for sample in choice.samples
        if sample.target == NO_CLASS
    ]
    return SampleChoice(
        samples=tuple(sample for sample in choice.samples if sample.target != NO_CLASS), left_out=(*choice.left_out, *without)
    )


def _why_not(sample: Sample, settings: ClassificationSettings, classes: tuple[str, ...]) -> str:
    others = sorted({row.label for row in sample.rows if row.label and settings.class_map.get(row.label, row.label) not in classes})
    return f"class {', '.join(others)} is not among `classes`" if others and settings.input.scope != "roi" else "no class"


def _target(label: str | None, settings: ClassificationSettings, classes: tuple[str, ...]) -> int:
    """The class by number."""
    name = None if label is None else settings.class_map.get(label, label)
    return classes.index(name) if name in classes else NO_CLASS


def _image_samples(rows: Sequence[ImageRow], settings: ClassificationSettings, classes: tuple[str, ...]) -> Iterator[Sample | LeftOut]:
    for row in rows:
        target = _target(row.label, settings, classes)
        try:
            files = _files(row, settings)
        except InputError as error:
            yield LeftOut(image_id=row.image_id, reason=str(error))
            continue
        yield Sample(
            sample_id=row.image_id,
            rows=(row,),
            image_ids=(row.image_id,),
            files=(files,),
            target=target,
            tier=row.tier,
            confidence=image_confidence(row),
            weight=row.weight,
            copies=row.copies,
        )


def image_confidence(row: ImageRow) -> float:
    """How sure an image's class is: its surest box of that class, 1 where no box carries it."""
    return max((box.confidence for box in row.boxes if box.label == row.label), default=1.0)


def _files(row: ImageRow, settings: ClassificationSettings, region: Region | None = None) -> ImageFiles:
    path = settings.set.folder / row.image_path
    paths: tuple[Path, ...] = (path,) if row.slices is None else channel_paths(path, settings.input.channels)
    return ImageFiles(paths=paths, region=region, is_mirrored=settings.input.mirror_right and row.laterality in ("right", "R"))


def _crop_samples(rows: Sequence[ImageRow], settings: ClassificationSettings, classes: tuple[str, ...]) -> Iterator[Sample | LeftOut]:
    for row in rows:
        if not row.boxes:
            yield LeftOut(image_id=row.image_id, reason="no box")
        for box in row.boxes:
            target = _target(box.label, settings, classes)
            try:
                files = _files(row, settings, crop_region(row, box, settings.input.margin))
            except InputError as error:
                yield LeftOut(image_id=box.label_id, reason=str(error))
                continue
            yield Sample(
                sample_id=f"{row.image_id}#{box.label_id}",
                rows=(row,),
                image_ids=(f"{row.image_id}#{box.label_id}",),
                files=(files,),
                target=target,
                tier=box.tier,
                confidence=box.confidence,
                weight=row.weight,
                copies=row.copies,
            )


def crop_region(row: ImageRow, box: ImageBox, margin: float) -> Region:
    """The box on tensor axes with ``margin`` on each side, made square within a slice, where spacing is the same on both axes."""
    start, stop = np.array(box.start[::-1], float), np.array(box.stop[::-1], float)
    centre, size = (start + stop) / 2, (stop - start) * (1 + 2 * margin)
    size[-2:] = size[-2:].max()
    return tuple((centre - size / 2).tolist()), tuple((centre + size / 2).tolist())


def _case_samples(rows: Sequence[ImageRow], settings: ClassificationSettings, classes: tuple[str, ...]) -> Iterator[Sample | LeftOut]:
    cases: dict[tuple[str, str, str], list[ImageRow]] = defaultdict(list)
    for row in rows:
        side = (row.laterality or "") if settings.input.case == "breast" else ""
        cases[row.dataset, row.study_id, side].append(row)
    for key, views in sorted(cases.items()):
        ordered = sorted(views, key=lambda row: (row.laterality or "", row.view or "", row.image_id))[: settings.input.most_views]
        yield _case_sample("/".join(part for part in key if part), ordered, settings, classes)


def _case_sample(name: str, views: Sequence[ImageRow], settings: ClassificationSettings, classes: tuple[str, ...]) -> Sample | LeftOut:
    """The case has the most severe class of its views; one view without a class leaves the case open unless another is the most severe."""
    targets = [_target(row.label, settings, classes) for row in views]
    target = max(targets)
    if NO_CLASS in targets and target < len(classes) - 1:
        target = NO_CLASS
    decisive = [row for row, one in zip(views, targets, strict=True) if one == target]
    try:
        files = tuple(_files(row, settings) for row in views)
    except InputError as error:
        return LeftOut(image_id=name, reason=str(error))
    return Sample(
        sample_id=name,
        rows=tuple(views),
        image_ids=tuple(row.image_id for row in views),
        files=files,
        target=target,
        tier=decisive[0].tier,
        confidence=max(image_confidence(row) for row in decisive),
        weight=decisive[0].weight,
        copies=decisive[0].copies,
    )


def preparation_of(options: InputSettings) -> Preparation:
    """How the images of an experiment are prepared."""
    if options.axes == 2:
        return PicturePreparation(size=(options.size[0], options.size[1]), channels=3 if options.colour else 1)
    size = (options.size[0], options.size[1], options.size[2])
    return VolumePreparation(channels=options.channels, spacing_mm=options.spacing_mm, size=size)


def check_spacings(samples: Iterable[Sample], options: InputSettings) -> None:
    """Volumes of several spacings need one that all are resampled to.

    Raises:
        InputError: with the range of spacings and the median to write into the configuration.
    """
    if options.axes == 2 or options.spacing_mm is not None:
        return
    known = np.array(
        [row.spacing_mm[::-1] for sample in samples for row in sample.rows if row.spacing_mm is not None and len(row.spacing_mm) == 3]
    )
    if len(known) and bool((known.max(axis=0) > known.min(axis=0) * (1 + SMALLEST_SPACING_STEP)).any()):
        median = ", ".join(f"{value:.3g}" for value in np.median(known, axis=0))
        low, high = (", ".join(f"{value:.3g}" for value in edge) for edge in (known.min(axis=0), known.max(axis=0)))
        msg = (
            f"the volumes have several spacings, from ({low}) to ({high}) mm along slice, row, column; "
            f"set input.spacing_mm, for example [{median}]"
        )
        raise InputError(msg)


def counts(samples: Iterable[Sample], classes: tuple[str, ...]) -> Mapping[str, int]:
    """Samples of each class."""
    found = dict.fromkeys(classes, 0)
    for sample in samples:
        if sample.target != NO_CLASS:
            found[classes[sample.target]] += 1
    return found
