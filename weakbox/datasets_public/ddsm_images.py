"""What the converted images of a DDSM case show: whether the outlines, which count pixels of the scan, fit them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from weakbox.datasets_public.cases import image_path
from weakbox.datasets_public.dataset import Completed
from weakbox.datasets_public.image_checks import Size, complete_images, image_size, without_box
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, WeakLabel
from weakbox.sources.remarks import dropped, flagged

LARGEST_DISTORTION = 0.02
"""How far an image's width to height may be from its film's for it to be a scaled copy."""


def complete_case(case: CuratedCase) -> Completed:
    """The case with the sizes of its images: boxes follow a scaled copy, and leave an image of other proportions."""
    kept: list[Series] = []
    labels = list(case.labels)
    entries: list[LedgerEntry] = []
    for series in case.study.series:
        size, scan = _sizes(series)
        if size is not None and scan is not None and size == (scan[1], scan[0]) and size != scan:
            detail = "width and height are swapped: it was converted without its .ics, and its lines are scrambled"
            entries.append(dropped("image", series.key, "scrambled_image", detail, case.patient_id))
            labels = [label for label in labels if label.series_key != series.key]
            continue
        kept.append(series)
        if size is not None and scan is not None and size != scan:
            kept[-1], labels, entry = _scaled(series, labels, size, scan)
            entries.append(replace(entry, patient_id=case.patient_id))
    if not kept:
        return None, tuple(entries)
    checked, remarks = complete_images(replace(case, study=replace(case.study, series=tuple(kept)), labels=tuple(labels)))
    return checked, (*entries, *remarks)


def _sizes(series: Series) -> tuple[Size | None, Size | None]:
    """Columns and rows of the image and of the scan; None where the file cannot be read, or the sheet is not there."""
    columns, rows = series.attributes.get("columns"), series.attributes.get("rows")
    scan = (columns, rows) if isinstance(columns, int) and isinstance(rows, int) else None
    try:
        return image_size(image_path(series)), scan
    except InputError:
        return None, scan  # complete_images says so


def _scaled(series: Series, labels: Iterable[WeakLabel], size: Size, scan: Size) -> tuple[Series, list[WeakLabel], LedgerEntry]:
    across, down = size[0] / scan[0], size[1] / scan[1]
    here = f"{size[0]} x {size[1]} pixels, the scan had {scan[0]} x {scan[1]}"
    if abs(across / down - 1) > LARGEST_DISTORTION:
        plain = {name: value for name, value in series.attributes.items() if name != "resolution_um"}
        moved = [without_box(label, "wrong_size") if label.series_key == series.key else label for label in labels]
        return replace(series, attributes=plain), moved, flagged("image", series.key, "wrong_size", f"{here}; no box is drawn")
    attributes = dict(series.attributes)
    resolution = attributes.get("resolution_um")
    if isinstance(resolution, float):
        attributes["resolution_um"] = resolution / across
    moved = [_moved(label, across, down) if label.series_key == series.key else label for label in labels]
    return replace(series, attributes=attributes), moved, flagged("image", series.key, "resized_image", f"{here}; boxes are scaled")


def _moved(label: WeakLabel, across: float, down: float) -> WeakLabel:
    box = label.pixel_box
    if box is None:
        return label
    return replace(label, pixel_box=replace(box, x0=box.x0 * across, y0=box.y0 * down, x1=box.x1 * across, y1=box.y1 * down))
