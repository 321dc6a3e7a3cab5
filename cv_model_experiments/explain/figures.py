"""An image with what the model looked at over it, the box and the label, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from weakbox.records.record import record

LEAST_SIDE = 384
"""Small images are enlarged to this."""
OPACITY = 0.5
CANDIDATE, LESION = (255, 220, 0), (0, 230, 120)
CAPTION_HEIGHT = 16


@record
class Mark:
    """A box on tensor axes (2 * axes) of the prepared image."""

    edges: tuple[float, ...]
    colour: tuple[int, int, int] = CANDIDATE


def write_overlay(pixels: NDArray[np.generic], heat: NDArray[np.float32], marks: Sequence[Mark], caption: str, path: Path) -> None:
    """Write ``pixels`` [channel, *axes] and, beside it, the same with ``heat`` [*axes] and the marks.

    Of volumes the first channel's slice through the first mark's middle is shown, or the slice of the highest evidence.
    """
    if heat.ndim == 3:
        place = _slice_of(heat, marks)
        chosen = [Mark(edges=_flat(mark.edges), colour=mark.colour) for mark in marks if mark.edges[0] <= place < mark.edges[3]]
        picture, values = np.asarray(pixels[0, place], float), heat[place]
        caption = f"{caption}  slice {place}"
    else:
        chosen, picture, values = list(marks), np.asarray(pixels[0], float), heat
    grey = _grey(picture)
    factor = max(1, -(-LEAST_SIDE // max(grey.shape[:2])))
    plain = _marked(grey, chosen, factor)
    hot = _marked(_blended(grey, values), chosen, factor)
    _side_by_side(plain, hot, caption).save(path)


def _slice_of(heat: NDArray[np.float32], marks: Sequence[Mark]) -> int:
    if not marks:
        return int(np.unravel_index(int(heat.argmax()), heat.shape)[0])
    return int(np.clip((marks[0].edges[0] + marks[0].edges[3]) / 2, 0, heat.shape[0] - 1))


def _flat(edges: tuple[float, ...]) -> tuple[float, ...]:
    return (edges[1], edges[2], edges[4], edges[5])


def _grey(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = np.percentile(picture, (0.5, 99.5))
    scaled = np.clip((picture - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)


def _blended(grey: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    colours = colormaps["inferno"](np.clip(heat, 0, 1))[..., :3] * 255
    share = OPACITY * np.clip(heat, 0, 1)[..., None] ** 0.5
    return (grey * (1 - share) + colours * share).astype(np.uint8)


def _marked(picture: NDArray[np.uint8], marks: Sequence[Mark], factor: int) -> Image.Image:
    image = Image.fromarray(picture).resize((picture.shape[1] * factor, picture.shape[0] * factor), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    for mark in marks:
        top, left, bottom, right = (value * factor for value in mark.edges)
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=mark.colour, width=2)
    return image


def _side_by_side(first: Image.Image, second: Image.Image, caption: str) -> Image.Image:
    sheet = Image.new("RGB", (first.width + second.width + 4, first.height + CAPTION_HEIGHT), (0, 0, 0))
    sheet.paste(first, (0, CAPTION_HEIGHT))
    sheet.paste(second, (first.width + 4, CAPTION_HEIGHT))
    ImageDraw.Draw(sheet).text((2, 2), caption, fill=(255, 255, 255))
    return sheet
