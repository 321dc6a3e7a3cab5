"""One 2-D image to PNG for training: values of interest, breast crop, size, and its boxes and masks moved along.

``convert_image`` is a plain function of picklable records: an executor maps it over images, a worker holds one image at a time
and writes its files under a temporary name first.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.imaging.breast_region import BreastRegion, Margin, breast_region, coarse
from weakbox.imaging.dermatoscopy import even_colour, without_hair
from weakbox.imaging.image_frames import (
    AREA,
    Crop,
    FrameChange,
    Rectangle,
    Shape,
    Spacing,
    around,
    at_least,
    clipped,
    fitted,
    grown_to_hold,
)
from weakbox.imaging.outlines import as_mask, fitted_mask, mask_box
from weakbox.imaging.perceptual_hash import ImageHash, image_hash
from weakbox.imaging.png_encoding import encode_png
from weakbox.imaging.projection import read_projection
from weakbox.imaging.projection_image import Projection
from weakbox.imaging.projection_voi import DisplayTable, DisplayUsed, VoiSettings, display_table
from weakbox.records.record import record

WHOLE = "whole"
BREAST = "breast"
EVEN_COLOUR = "even_colour"
WITHOUT_HAIR = "without_hair"
PREPARATIONS = (WITHOUT_HAIR, EVEN_COLOUR)
"""In the order in which they are done."""


@record
class MaskSource:
    """A mask file of the same image: the pixels that hold ``value``, or all bright ones where it is None."""

    path: str
    value: int | None = None


@record
class ImageSource:
    """An image to convert. ``boxes`` and masks are in pixels of the stored image; ``target`` is the PNG to write."""

    path: str
    target: str
    boxes: tuple[Rectangle, ...] = ()
    masks: tuple[MaskSource, ...] = ()
    expected_shape: Shape | None = None
    """Rows and columns that the data set's table states."""


@record
class RoiSettings:
    """Crops around single boxes: the box times ``context``, at least ``minimum`` stored pixels a side, shrunk to ``long_side``."""

    context: float = 2.0
    minimum: int = 128
    long_side: int | None = 512


@record
class ConversionSettings:
    """How images are converted. ``voi.bits`` (8 or 16) is also the PNG's; colour is always 8."""

    voi: VoiSettings = VoiSettings()
    region: str = WHOLE
    """``whole`` or ``breast``."""
    margin: Margin = Margin()
    long_side: int | None = 1536
    """Pixels on the longer side of what is written; smaller images keep their size. None: as stored."""
    filter: str = AREA
    smallest_box: float = 8.0
    """Sides that a box has at least, in stored pixels: single points become boxes, and are marked."""
    rois: RoiSettings | None = None
    preparations: tuple[str, ...] = ()
    """Of colour images: ``without_hair``, ``even_colour``."""

    def __post_init__(self) -> None:
        unknown = set(self.preparations) - set(PREPARATIONS)
        if self.region not in (WHOLE, BREAST) or unknown:
            msg = f"expected region {WHOLE} or {BREAST} and preparations of {', '.join(PREPARATIONS)}, got {self.region}, {sorted(unknown)}"
            raise ValueError(msg)


@record
class MovedBox:
    """What became of a source's box. ``box`` is clipped to the new image; None where it lies outside the image."""

    number: int
    stored: Rectangle
    """In the stored image, enlarged where it was too small, not clipped."""
    box: Rectangle | None
    visible_share: float
    is_enlarged: bool


@record
class MovedMask:
    """What became of a source's mask; ``box`` is around it in the new image, None for an empty mask."""

    number: int
    path: str
    sha256: str
    box: Rectangle | None
    stored_box: Rectangle | None
    was_resized: bool
    """The mask file had another size than the image and was put on it by the nearest pixel."""


@record
class RoiImage:
    """A crop around box ``number``: its file, its frame, and the box in it."""

    number: int
    path: str
    sha256: str
    change: FrameChange
    box: Rectangle


@record
class ConvertedImage:
    """A written PNG. ``change`` leads from stored pixels to those of the PNG; boxes are in the PNG's pixels."""

    source: str
    path: str
    sha256: str
    bytes: int
    shape: Shape
    change: FrameChange
    boxes: tuple[MovedBox, ...]
    masks: tuple[MovedMask, ...]
    rois: tuple[RoiImage, ...]
    spacing_mm: Spacing | None
    """Of the PNG, between rows and between columns, in the plane that ``spacing_source`` says."""
    spacing_source: str | None
    magnification: float | None
    laterality: str | None
    view: str | None
    presentation_intent: str | None
    sop_instance_uid: str | None
    display: DisplayUsed | None
    """None for colour, which is shown as stored."""
    region: BreastRegion | None
    hash: ImageHash
    problems: tuple[str, ...]
    """What a person should know: boxes outside the image or the breast, points made boxes, masks of another size, ..."""


def convert_image(source: ImageSource, settings: ConversionSettings) -> ConvertedImage:
    """Convert one image and write its files.

    Raises:
        InputError: the image or a mask cannot be read, or has another size than its table states.
        OSError: the target cannot be written.
    """
    image = read_projection(source.path, expected_shape=source.expected_shape)
    table = None if image.is_colour else display_table(image.pixels, image.display, settings.voi)
    sample = _sample(image, table)
    boxes = tuple(at_least(box, settings.smallest_box, image.shape) for box in source.boxes)
    stored_masks = tuple(_stored_mask(mask, image.shape) for mask in source.masks)
    region = _region(image, sample, [box for box, _ in boxes], [mask for mask, _ in stored_masks], settings)
    change = _change(image.shape, region, settings)
    content = encode_png(_shown(image, table, change, settings))
    moved_boxes = tuple(_moved_box(number, box, is_enlarged, change) for number, (box, is_enlarged) in enumerate(boxes))
    masks = tuple(_written_mask(number, mask, was_resized, change, source) for number, (mask, was_resized) in enumerate(stored_masks))
    return ConvertedImage(
        source=source.path,
        path=source.target,
        sha256=_write(Path(source.target), content),
        bytes=len(content),
        shape=change.output_shape,
        change=change,
        boxes=moved_boxes,
        masks=masks,
        rois=_written_rois(image, table, moved_boxes, source, settings),
        spacing_mm=change.spacing(image.spacing_mm),
        spacing_source=image.spacing_source,
        magnification=image.magnification,
        laterality=image.laterality,
        view=image.view,
        presentation_intent=image.presentation_intent,
        sop_instance_uid=image.sop_instance_uid,
        display=table.used if table else None,
        region=region,
        hash=image_hash(sample, image.pixels),
        problems=(*image.remarks, *(table.used.remarks if table else ()), *_problems(region, moved_boxes, masks)),
    )


def _sample(image: Projection, table: DisplayTable | None) -> NDArray[np.uint8]:
    """A coarse 8-bit picture of the whole image, for the breast's region and the perceptual hash."""
    if table is None:
        return np.ascontiguousarray(coarse(image.pixels))
    shown = table(coarse(image.pixels))
    return shown if shown.dtype == np.uint8 else (shown >> 8).astype(np.uint8)


def _region(
    image: Projection,
    sample: NDArray[np.uint8],
    boxes: list[Rectangle],
    masks: list[NDArray[np.bool_]],
    settings: ConversionSettings,
) -> BreastRegion | None:
    if settings.region != BREAST or image.is_colour:
        return None
    region = breast_region(sample, image.shape, boxes=boxes, margin=settings.margin, spacing_mm=image.spacing_mm)
    of_masks = [box for mask in masks if (box := mask_box(mask)) is not None]
    return replace(region, crop=grown_to_hold(region.crop, of_masks, image.shape))


def _change(shape: Shape, region: BreastRegion | None, settings: ConversionSettings) -> FrameChange:
    crop = region.crop if region else Crop(x0=0, y0=0, x1=shape[1], y1=shape[0])
    change = FrameChange(shape=shape)
    if crop.output_shape(shape) != shape:
        change = change.then(crop)
    return _shrunk(change, settings.long_side, settings.filter)


def _shrunk(change: FrameChange, long_side: int | None, filter_name: str) -> FrameChange:
    shape = change.output_shape
    return change if long_side is None or max(shape) <= long_side else change.then(fitted(shape, long_side, filter_name=filter_name))


def _shown(image: Projection, table: DisplayTable | None, change: FrameChange, settings: ConversionSettings) -> NDArray[Any]:
    """Display values in the new frame. Crops come first: what is left out is not looked up."""
    pixels = image.pixels
    shown: NDArray[Any] | None = None
    for step in change.steps:
        if table is not None and shown is None and not isinstance(step, Crop):
            shown = table(pixels)
        pixels = step.image(pixels if shown is None else shown)
        shown = None if shown is None else pixels
    if table is not None:
        return table(pixels) if shown is None else shown
    for preparation in PREPARATIONS:
        if preparation in settings.preparations:
            pixels = without_hair(pixels)[0] if preparation == WITHOUT_HAIR else even_colour(pixels)
    return pixels


def _moved_box(number: int, stored: Rectangle, is_enlarged: bool, change: FrameChange) -> MovedBox:
    box, share = clipped(change.box(stored), change.output_shape)
    return MovedBox(number=number, stored=stored, box=box, visible_share=share, is_enlarged=is_enlarged)


def _stored_mask(source: MaskSource, shape: Shape) -> tuple[NDArray[np.bool_], bool]:
    pixels = read_projection(source.path).pixels
    return fitted_mask(as_mask(pixels) if source.value is None else np.asarray(pixels == source.value), shape)


def _written_mask(number: int, mask: NDArray[np.bool_], was_resized: bool, change: FrameChange, source: ImageSource) -> MovedMask:
    moved = np.ascontiguousarray(change.mask(mask))
    path = _beside(source.target, f"mask{number + 1}")
    stored = mask_box(mask)
    box = None if stored is None else clipped(change.box(stored), change.output_shape)[0]
    return MovedMask(
        number=number,
        path=str(path),
        sha256=_write(path, encode_png(moved)),
        box=box,
        stored_box=stored,
        was_resized=was_resized,
    )


def _written_rois(
    image: Projection, table: DisplayTable | None, boxes: tuple[MovedBox, ...], source: ImageSource, settings: ConversionSettings
) -> tuple[RoiImage, ...]:
    if settings.rois is None:
        return ()
    rois = []
    for moved in boxes:
        inside, _ = clipped(moved.stored, image.shape)
        if inside is None:
            continue
        crop = around([inside], image.shape, context=settings.rois.context, minimum=settings.rois.minimum)
        change = _shrunk(FrameChange(shape=image.shape, steps=(crop,)), settings.rois.long_side, settings.filter)
        path = _beside(source.target, f"roi{moved.number + 1}")
        sha256 = _write(path, encode_png(_shown(image, table, change, settings)))
        rois.append(RoiImage(number=moved.number, path=str(path), sha256=sha256, change=change, box=change.box(inside)))
    return tuple(rois)


def _beside(target: str, ending: str) -> Path:
    path = Path(target)
    return path.with_name(f"{path.stem}_{ending}{path.suffix}")


def _problems(region: BreastRegion | None, boxes: tuple[MovedBox, ...], masks: tuple[MovedMask, ...]) -> tuple[str, ...]:
    problems = [] if region is None or region.is_found else [f"the breast was not cropped: {region.problem}"]
    for moved in boxes:
        name = f"box {moved.number + 1}"
        if moved.box is None:
            problems.append(f"{name} lies outside the image")
        elif moved.visible_share < 1.0:
            problems.append(f"{name} reaches outside the image")
        if moved.is_enlarged:
            problems.append(f"{name} was a point or very small and was enlarged")
        if region is not None and moved.number in region.outside_boxes:
            problems.append(f"{name} lies outside the breast")
    for mask in masks:
        if mask.was_resized:
            problems.append(f"mask {mask.number + 1} has another size than the image")
        if mask.stored_box is None:
            problems.append(f"mask {mask.number + 1} is empty")
    return tuple(problems)


def _write(path: Path, content: bytes) -> str:
    """Write a file whole or not at all; returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
    return hashlib.sha256(content).hexdigest()
