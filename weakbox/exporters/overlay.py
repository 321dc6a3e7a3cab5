"""Pictures for a quick look: T2W in three planes through each box's centre, ADC and high b beside, box and ellipsoid drawn.

Planes are those of the reference grid's voxels (an oblique series is shown as acquired). Superior is up in the coronal
and sagittal planes. Yellow: the box; cyan: the inscribed ellipsoid; red: the centre.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from weakbox.exporters.exporter import Exporter, PreparedCase, PreparedLabel, case_artifact
from weakbox.imaging.volumes import Volume
from weakbox.imaging.windowing import percentile_window, to_8_bit
from weakbox.records.artifact import Artifact
from weakbox.records.grid import Grid
from weakbox.records.imaging import Purpose
from weakbox.records.label import CuratedCase
from weakbox.terminology.dicom_codes import class_name

KIND = "overlay"
HALF_FIELD_MM = 45.0
PIXELS_PER_MM = 3.0
HEADING_PIXELS = 26
MINIMUM_WIDTH = 900
MINIMUM_PANEL = 160
CAPTION_PIXELS = 18
BOX_COLOUR = (255, 220, 0)
ELLIPSOID_COLOUR = (0, 220, 255)
CENTRE_COLOUR = (255, 60, 60)
TEXT_COLOUR = (235, 235, 235)
PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
"""Name -> grid axes shown across, shown down, and fixed; named for an axial series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is drawn, in continuous (i, j, k) indices of the reference grid; no size where there is no box."""

    centre: NDArray[np.float64]
    size: NDArray[np.float64] | None


def write(case: CuratedCase, prepared: PreparedCase, folder: Path) -> tuple[Artifact, ...]:
    """Write one picture for each box, or one of the middle slice for a case without boxes."""
    anatomy = prepared.volumes.get(Purpose.T2W)
    if prepared.reference is None or anatomy is None or anatomy.on_reference is None:
        return ()
    boxed: list[PreparedLabel | None] = [label for label in prepared.labels if label.masks]
    artifacts = []
    for label in boxed or [None]:
        role = f"overlay_L{label.number}" if label else "overlay"
        content = _png(_picture(case, prepared, prepared.reference, label))
        name = prepared.file_name(f"{role}.png")
        (folder / name).write_bytes(content)
        artifacts.append(case_artifact(prepared, name, content, KIND, role))
    return tuple(artifacts)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _picture(case: CuratedCase, prepared: PreparedCase, grid: Grid, label: PreparedLabel | None) -> Image.Image:
    target = _target(grid, label)
    panels = list(_panels(prepared, grid, target))
    width = max(MINIMUM_WIDTH, sum(panel.width for panel in panels))
    height = HEADING_PIXELS + max(panel.height for panel in panels)
    picture = Image.new("RGB", (width, height))
    ImageDraw.Draw(picture).text((6, 4), heading(case, prepared, label), fill=TEXT_COLOUR, font=ImageFont.load_default(15))
    left = 0
    for panel in panels:
        picture.paste(panel, (left, HEADING_PIXELS))
        left += panel.width
    return picture


def heading(case: CuratedCase, prepared: PreparedCase, label: PreparedLabel | None) -> str:
    """The line above a picture: research identifiers, tier, class; never a patient."""
    if label is None:
        return f"{prepared.identity.case_id}   no boxes   {case.negative_reason or case.tier.value}"
    record = label.label
    pirads = f"   PI-RADS {record.pirads}" if record.pirads else ""
    sure = f"   confidence {record.confidence:.2f}"
    doubt = f"   ±{record.box.uncertainty_mm:g} mm" if record.box else ""
    return f"{label.research_id}   {class_name(record.status, record.isup_grade)}{pirads}   {record.tier.value}{sure}{doubt}"


def _target(grid: Grid, label: PreparedLabel | None) -> Target:
    box = label.label.box if label else None
    if box is None:
        return Target(centre=(np.array(grid.shape) - 1) / 2, size=None)
    return Target(centre=grid.to_index(box.centre), size=np.array(box.size_mm) / np.array(grid.spacing))


SHOWN_WHOLE = {Purpose.T2W, Purpose.DCE}
"""Shown in three planes."""


def _panels(prepared: PreparedCase, grid: Grid, target: Target) -> Iterator[Image.Image]:
    count = prepared.options.overlay_slices
    offsets = range(-(count // 2), count - count // 2)
    for purpose in Purpose:
        volume = prepared.volumes.get(purpose)
        if volume is None or volume.on_reference is None:
            continue
        window = percentile_window(volume.on_reference.array[:, ::2, ::2])
        shown = [("axial", offset) for offset in offsets] if purpose in SHOWN_WHOLE else [("axial", 0)]
        shown += [("coronal", 0), ("sagittal", 0)] if purpose in SHOWN_WHOLE else []
        for plane, offset in shown:
            yield _panel(volume.on_reference, grid, target, window, purpose, plane, offset)


def _panel(
    volume: Volume, grid: Grid, target: Target, window: tuple[float, float], purpose: Purpose, plane: str, offset: int
) -> Image.Image:
    across, down, fixed = PLANES[plane]
    index = int(np.clip(np.rint(target.centre[fixed]) + offset, 0, grid.shape[fixed] - 1))
    pixels = np.take(volume.array, index, axis=2 - fixed)
    if across > down:
        pixels = pixels.T
    starts, stops = zip(*(_field(grid, target, axis) for axis in (across, down)), strict=True)
    shown = to_8_bit(pixels[starts[1] : stops[1], starts[0] : stops[0]], window)
    scales = [grid.spacing[axis] * PIXELS_PER_MM for axis in (across, down)]
    size = [max(1, round((stop - start) * scale)) for start, stop, scale in zip(starts, stops, scales, strict=True)]
    image = Image.fromarray(shown).convert("RGB").resize((size[0], size[1]), Image.Resampling.BICUBIC)
    _draw_target(ImageDraw.Draw(image), target, (across, down), fixed, index, starts, scales)
    if plane != "axial" and grid.directions[2, down] > 0:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return _captioned(image, f"{purpose.value} {plane}, {'ijk'[fixed]} = {index}")


def _field(grid: Grid, target: Target, axis: int) -> tuple[int, int]:
    """The half-open index range shown along an axis: 45 mm to either side of the centre, within the grid."""
    half = HALF_FIELD_MM / grid.spacing[axis]
    start = int(np.clip(np.floor(target.centre[axis] - half), 0, grid.shape[axis] - 1))
    return start, int(np.clip(np.ceil(target.centre[axis] + half) + 1, start + 1, grid.shape[axis]))


def _draw_target(
    draw: ImageDraw.ImageDraw, target: Target, axes: Sequence[int], fixed: int, index: int, starts: Sequence[int], scales: Sequence[float]
) -> None:
    if target.size is None:
        return
    centre = [(target.centre[axis] - start + 0.5) * scale for axis, start, scale in zip(axes, starts, scales, strict=True)]
    half = [target.size[axis] / 2 * scale for axis, scale in zip(axes, scales, strict=True)]
    distance = abs(index - target.centre[fixed]) / (target.size[fixed] / 2)
    # The slice nearest to the centre may lie just outside a box thinner than a slice: it is still the slice of the box.
    if distance > 1 and abs(index - target.centre[fixed]) > 0.5:
        return
    draw.rectangle(_bounds(centre, half, 1.0), outline=BOX_COLOUR, width=1)
    draw.ellipse(_bounds(centre, half, float(np.sqrt(max(0.0, 1 - min(distance, 1.0) ** 2)))), outline=ELLIPSOID_COLOUR, width=1)
    draw.line((centre[0] - 4, centre[1], centre[0] + 4, centre[1]), fill=CENTRE_COLOUR)
    draw.line((centre[0], centre[1] - 4, centre[0], centre[1] + 4), fill=CENTRE_COLOUR)


def _bounds(centre: Sequence[float], half: Sequence[float], share: float) -> tuple[float, float, float, float]:
    return centre[0] - half[0] * share, centre[1] - half[1] * share, centre[0] + half[0] * share, centre[1] + half[1] * share


def _captioned(image: Image.Image, caption: str) -> Image.Image:
    panel = Image.new("RGB", (max(image.width + 4, MINIMUM_PANEL), image.height + CAPTION_PIXELS))
    panel.paste(image, (2, 0))
    ImageDraw.Draw(panel).text((4, image.height + 2), caption, fill=TEXT_COLOUR, font=ImageFont.load_default(12))
    return panel


EXPORTER = Exporter(write=write)
