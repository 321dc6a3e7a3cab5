"""Augmented copies of training images on disk, for those who do not augment while they train. Never of validation or test images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weakbox.imaging.dermatoscopy import Augmentation, AugmentedFrame, augmented, drawn_frame
from weakbox.imaging.png_encoding import encode_png
from weakbox.imaging.projection import read_projection
from weakbox.records.image_set import ImageRow
from weakbox.runtime.store import write_bytes

FOLDER = "augmented"
TRAIN = "train"
UPRIGHT = Augmentation(is_flipping=False, is_turning=False)
"""A flipped left breast is no right one: only brightness, contrast and sharpness of mammograms change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmenter:
    """Writes ``copies`` of one training image under ``augmented/`` of the set; picklable. Rows of other parts give nothing."""

    folder: Path
    copies: int

    def __call__(self, row: ImageRow) -> tuple[ImageRow, ...]:
        """The rows of the copies; paths are relative to ``augmented/``.

        Raises:
            InputError: the exported image cannot be read.
        """
        return tuple(self._copies(row)) if is_augmentable(row) else ()

    def _copies(self, row: ImageRow) -> Iterator[ImageRow]:
        picture = np.asarray(read_projection(self.folder / row.image_path).pixels)
        mask = np.asarray(read_projection(self.folder / row.mask_path).pixels) if row.mask_path else None
        boxes = [(box.start[0], box.start[1], box.stop[0], box.stop[1]) for box in row.boxes]
        for number in range(1, self.copies + 1):
            frame = drawn_frame(picture.shape[:2], row.sha256, number, None if row.organ == "skin" else UPRIGHT)
            shown, moved_mask, moved = augmented(picture, frame, mask=mask, boxes=boxes)
            content = encode_png(shown)
            name = f"{Path(row.image_path).with_suffix('')}_copy{number}".removeprefix("public/")
            write_bytes(self.folder / FOLDER / f"{name}.png", content)
            if moved_mask is not None:
                write_bytes(self.folder / FOLDER / f"{name}_mask.png", encode_png(moved_mask))
            yield replace(
                row,
                image_id=f"{row.image_id}#{number}",
                image_path=f"{name}.png",
                mask_path=None if moved_mask is None else f"{name}_mask.png",
                boxes=tuple(
                    replace(box, start=place[:2], stop=place[2:], mask_path=None, roi_path=None)
                    for box, place in zip(row.boxes, moved, strict=True)
                ),
                columns=shown.shape[1],
                rows=shown.shape[0],
                spacing_mm=_spacing(row, frame),
                sha256=hashlib.sha256(content).hexdigest(),
                source_sha256=None,
                pixel_sha256=None,
                perceptual_hash=None,
            )


def is_augmentable(row: ImageRow) -> bool:
    """Whether copies are made of a row: a 2-D image of the training part."""
    return row.split == TRAIN and row.slices is None


def _spacing(row: ImageRow, frame: AugmentedFrame) -> tuple[float, ...] | None:
    if row.spacing_mm is None:
        return None
    moved = frame.change.spacing((row.spacing_mm[1], row.spacing_mm[0]))
    return None if moved is None else (moved[1], moved[0])
