"""What opening the images of a public case shows: their sizes, and whether what was drawn lies inside them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from weakbox.datasets_public.cases import DICOM_SUFFIXES, image_path
from weakbox.datasets_public.dataset import Completed
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, PixelBox, Tier, WeakLabel
from weakbox.sources.remarks import dropped, flagged

Size = tuple[int, int]
"""Columns and rows."""
SLACK_PIXELS = 1.0
"""An outline along the very edge may reach this far beyond it without being called out."""


def pixel_box(rectangle: tuple[float, float, float, float], series_key: str) -> PixelBox:
    """A rectangle ``(x0, y0, x1, y1)`` of ``weakbox.imaging.outlines`` as the box of an image.

    Raises:
        ValueError: it has no area.
    """
    x0, y0, x1, y1 = rectangle
    return PixelBox(x0=x0, y0=y0, x1=x1, y1=y1, series_key=series_key)


def image_size(path: Path) -> Size:
    """Columns and rows of an image as it is stored, from its header; the pixels are not decoded.

    Raises:
        InputError: no image that can be read, or an empty one.
    """
    columns, rows = _dicom_size(path) if path.suffix.lower() in DICOM_SUFFIXES else _picture_size(path)
    if columns < 1 or rows < 1:
        msg = f"{path}: an image of {columns} x {rows} pixels; fetch the file again"
        raise InputError(msg)
    return columns, rows


def _dicom_size(path: Path) -> Size:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return int(header.get("Columns") or 0), int(header.get("Rows") or 0)
    except (InvalidDicomError, OSError, ValueError) as error:
        msg = f"{path}: no readable DICOM file ({type(error).__name__}); fetch the file again"
        raise InputError(msg) from None


def _picture_size(path: Path) -> Size:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size (a scanned film has that many pixels), of damaged tags
            with Image.open(path) as picture:
                return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        msg = f"{path}: no readable picture ({type(error).__name__}); fetch the file again"
        raise InputError(msg) from None


def complete_images(case: CuratedCase, expected: Collection[Size] = ()) -> Completed:
    """The case with the size of every image, and its boxes inside them.

    An image that cannot be read leaves the case with its labels. A box that reaches over the edge is cut, one that lies
    outside is taken away and its label stays, flagged. ``expected`` are the only sizes for which the set's coordinates hold (any
    size where it is empty): on an image of another size (a resized mirror) no box is drawn.
    """
    entries: list[LedgerEntry] = []
    sizes: dict[str, Size] = {}
    for series in case.study.series:
        try:
            sizes[series.key] = image_size(image_path(series))
        except InputError as error:
            entries.append(dropped("file", image_path(series).name, "unreadable_image", str(error), case.patient_id))
    if not sizes:
        return None, tuple(entries)
    entries += _size_remarks(case, sizes, expected)
    labels: list[WeakLabel] = []
    for label in _of_images(case.labels, sizes):
        checked, remarks = _checked_label(label, sizes, expected)
        labels.append(checked)
        entries += remarks
    study = replace(case.study, series=tuple(_sized(case.study.series, sizes)))
    return replace(case, study=study, labels=tuple(labels)), tuple(entries)


def _size_remarks(case: CuratedCase, sizes: dict[str, Size], expected: Collection[Size]) -> Iterator[LedgerEntry]:
    for key, size in sorted(sizes.items()):
        if expected and size not in expected:
            originals = " or ".join(f"{columns} x {rows}" for columns, rows in expected)
            detail = f"{size[0]} x {size[1]} pixels, but the set's coordinates are for {originals}; no box is drawn"
            yield flagged("image", key, "wrong_size", detail, case.patient_id)


def _of_images(labels: Iterable[WeakLabel], sizes: dict[str, Size]) -> Iterator[WeakLabel]:
    return (label for label in labels if label.series_key is None or label.series_key in sizes)


def _sized(images: Iterable[Series], sizes: dict[str, Size]) -> Iterator[Series]:
    for series in images:
        if series.key in sizes:
            columns, rows = sizes[series.key]
            yield replace(series, attributes={**series.attributes, "columns": columns, "rows": rows})


def _checked_label(label: WeakLabel, sizes: dict[str, Size], expected: Collection[Size]) -> tuple[WeakLabel, tuple[LedgerEntry, ...]]:
    box = label.pixel_box
    if box is None:
        return label, ()
    size = sizes[box.series_key]
    if expected and size not in expected:
        return without_box(label, "wrong_size"), ()
    inside = _clipped(box, size)
    if inside is None:
        remark = flagged("lesion", label.label_id, "outside_image", "what was drawn lies beyond the image; the label keeps no box")
        return without_box(label, "outside_image"), (remark,)
    if _cut(box, inside) > SLACK_PIXELS:
        remark = flagged("lesion", label.label_id, "partly_outside_image", f"the box was cut by {_cut(box, inside):.0f} pixels")
        return replace(label, pixel_box=inside, needs_review=True), (remark,)
    return replace(label, pixel_box=inside), ()


def without_box(label: WeakLabel, reason: str) -> WeakLabel:
    """A label whose place is not to be trusted: what it says stays, on the image as a whole, for a person to look at."""
    return replace(label, pixel_box=None, tier=Tier.CASE_LEVEL, conflicts=(*label.conflicts, reason), needs_review=True)


def _clipped(box: PixelBox, size: Size) -> PixelBox | None:
    x0, y0, x1, y1 = max(box.x0, 0.0), max(box.y0, 0.0), min(box.x1, float(size[0])), min(box.y1, float(size[1]))
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1) if x1 > x0 and y1 > y0 else None


def _cut(box: PixelBox, inside: PixelBox) -> float:
    return max(inside.x0 - box.x0, inside.y0 - box.y0, box.x1 - inside.x1, box.y1 - inside.y1)
