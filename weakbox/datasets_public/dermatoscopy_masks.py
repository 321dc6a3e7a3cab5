"""Opens the files of one dermatoscopic case: the image's size, and boxes from its masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from weakbox.datasets_public.cases import image_path
from weakbox.datasets_public.dataset import Completed
from weakbox.datasets_public.image_checks import image_size
from weakbox.imaging.image_frames import Rectangle, Shape
from weakbox.imaging.outlines import fitted_mask, mask_box
from weakbox.imaging.projection import read_projection
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, PixelBox, Tier, WeakLabel
from weakbox.records.stated import FieldValue
from weakbox.sources.remarks import dropped, flagged

LARGEST_ASPECT_ERROR = 0.02
"""A mask whose sides are in another proportion than the image's belongs to another image, or was cropped or turned."""


def complete_skin_case(case: CuratedCase) -> Completed:
    """The case with ``columns`` and ``rows`` of its image and a box for each mask.

    An empty mask of a dermoscopic structure says that the structure is absent: it goes to the image's ``absent_structures``.
    An unusable mask of the lesion leaves the lesion without a box; what carries no other statement goes.
    """
    (series,) = case.study.series
    try:
        columns, rows = image_size(image_path(series))
    except InputError:
        return None, (dropped("case", case.case_id, "unreadable_image", "the image file is damaged or no image", case.patient_id),)
    shape = (rows, columns)
    remarks = list(_size_remarks(series, shape))
    labels = [found for label in case.labels if (found := _with_box(label, case, shape, remarks))]
    if case.labels and not labels:
        return None, (*remarks, dropped("case", case.case_id, "no_label_left", "its masks are empty or unusable", case.patient_id))
    absent = {label.label_id for label in case.labels} - {label.label_id for label in labels}
    unusable = {entry.item_id for entry in remarks}
    structures = sorted(label.finding_types[0] for label in case.labels if label.label_id in absent - unusable and label.finding_types)
    tier = Tier.EXPERT if any(label.pixel_box for label in labels) else Tier.CASE_LEVEL
    study = replace(case.study, series=(_sized(series, shape, structures),))
    return replace(case, labels=tuple(labels), study=study, tier=tier), tuple(remarks)


def _size_remarks(series: Series, shape: Shape) -> Iterator[LedgerEntry]:
    stated = series.attributes.get("rows"), series.attributes.get("columns")
    if None not in stated and stated != shape:
        detail = f"{shape[1]} x {shape[0]} pixels, stated are {stated[1]} x {stated[0]}: a thumbnail or a resized copy"
        yield flagged("image", series.key, "wrong_size", detail)


def _sized(series: Series, shape: Shape, absent_structures: list[str]) -> Series:
    attributes: dict[str, FieldValue] = {**series.attributes, "rows": shape[0], "columns": shape[1]}
    if absent_structures:
        attributes["absent_structures"] = tuple(absent_structures)
    return replace(series, attributes=attributes)


def _with_box(label: WeakLabel, case: CuratedCase, shape: Shape, remarks: list[LedgerEntry]) -> WeakLabel | None:
    """The label with its mask's box; None where neither a box nor a class is left of it."""
    if label.mask is None:
        return label
    box, found = _mask_box(Path(label.mask.path), shape)
    is_structure = bool(label.finding_types)
    for reason, detail in found:
        if not (is_structure and reason == "empty_mask"):
            remarks.append(flagged("lesion", label.label_id, reason, detail, case.patient_id))
    if box is not None:
        x0, y0, x1, y1 = box
        return replace(label, pixel_box=PixelBox(x0=x0, y0=y0, x1=x1, y1=y1, series_key=label.mask.series_key))
    if label.diagnosis is None:
        return None
    return replace(label, mask=None, tier=Tier.CASE_LEVEL, centre_source=None, size_source=None)


def _mask_box(path: Path, shape: Shape) -> tuple[Rectangle | None, tuple[tuple[str, str], ...]]:
    try:
        pixels = read_projection(path).pixels
    except InputError:
        return None, (("unreadable_mask", "the mask file is missing, damaged or no image"),)
    rows, columns = pixels.shape[:2]
    size = f"the mask has {columns} x {rows} pixels, its image {shape[1]} x {shape[0]}"
    if abs(rows * shape[1] / (columns * shape[0]) - 1) > LARGEST_ASPECT_ERROR:
        return None, (("mask_of_another_shape", size),)
    mask, is_resized = fitted_mask(pixels, shape)
    remarks = tuple(_remarks(is_resized, size))
    box = mask_box(mask)
    return box, remarks if box else (*remarks, ("empty_mask", "no pixel is marked"))


def _remarks(is_resized: bool, size: str) -> Iterator[tuple[str, str]]:
    if is_resized:
        yield "mask_size_differs", f"{size}: fitted by the nearest pixel"
