"""What the files of a CBIS-DDSM case show: which of an abnormality's files is its mask, where it lies, and images that are one.

Mask and cropped image come in one series in either order, or in two; their names and descriptions tell nothing. A mask has two
grey values (JPEG leaves some more along its edge), a crop has many.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.datasets_public.cases import image_path
from weakbox.datasets_public.dataset import Completed
from weakbox.datasets_public.image_checks import Size, complete_images, image_size, without_box
from weakbox.imaging.outlines import as_mask, looks_like_mask, mask_box
from weakbox.imaging.projection import read_projection
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, MaskFile, PixelBox, WeakLabel
from weakbox.sources.remarks import dropped, flagged

ROI_FILES = "roi_files"
"""Attribute of a label between reading and completing: the paths of its mask and its cropped image, in no order."""
_PROBLEMS = {
    "mask_scaled": "mask and image differ in size; its box is scaled",
    "mask_of_another_shape": "mask and image differ in their proportions; no box",
    "empty_mask": "no pixel of the mask is set; no box",
}
LARGEST_DISTORTION = 0.02
"""How far a mask's width to height may be from its image's for it to be a scaled copy."""


def complete_case(case: CuratedCase) -> Completed:
    """The case with image sizes, a box for each label from its mask, and images of equal pixels made one."""
    sized, entries = complete_images(case)
    if sized is None:
        return None, entries
    remarks = list(entries)
    sizes = {series.key: _size(series) for series in sized.study.series}
    labels: list[WeakLabel] = []
    for label in sized.labels:
        placed, more = _placed(label, sizes, case.patient_id)
        labels.append(placed)
        remarks += more
    merged, more = _merged(replace(sized, labels=tuple(labels)))
    return merged, (*remarks, *more)


def _size(series: Series) -> Size:
    return int(str(series.attributes["columns"])), int(str(series.attributes["rows"]))


# Masks --------------------------------------------------------------------------------------------------------------


def _placed(label: WeakLabel, sizes: dict[str, Size], patient_id: str) -> tuple[WeakLabel, tuple[LedgerEntry, ...]]:
    files = label.attributes.get(ROI_FILES)
    paths = [Path(str(path)) for path in files] if isinstance(files, tuple) else []
    plain = replace(label, attributes={name: value for name, value in label.attributes.items() if name != ROI_FILES})
    key = plain.series_key
    if key is None:
        return plain, ()
    mask, entries = _mask(paths, sizes[key], patient_id)
    if mask is None:
        reason = "missing_mask" if not paths else "no_mask_among_files"
        return without_box(plain, reason), (*entries, flagged("lesion", plain.label_id, reason, "no box", patient_id))
    placed, problem = _with_box(plain, key, *mask, size=sizes[key])
    remark = (flagged("lesion", plain.label_id, problem, _PROBLEMS[problem], patient_id),) if problem else ()
    return placed, (*entries, *remark)


def _mask(paths: Iterable[Path], size: Size, patient_id: str) -> tuple[tuple[Path, NDArray[Any]] | None, tuple[LedgerEntry, ...]]:
    """The first file that holds a mask: those of the image's size are opened first, then the largest."""
    entries: list[LedgerEntry] = []
    sizes: dict[Path, Size] = {}
    for path in paths:
        try:
            sizes[path] = image_size(path)
        except InputError:
            entries.append(_unreadable(path, patient_id))
    for path in sorted(sizes, key=lambda path: (sizes[path] != size, -sizes[path][0] * sizes[path][1], path)):
        try:
            pixels = read_projection(path).pixels
        except InputError:
            entries.append(_unreadable(path, patient_id))
            continue
        if looks_like_mask(pixels):
            return (path, pixels), tuple(entries)
    return None, tuple(entries)


def _unreadable(path: Path, patient_id: str) -> LedgerEntry:
    return dropped("file", f"{path.parent.name}/{path.name}", "unreadable_mask", "no image can be read from it", patient_id)


def _with_box(label: WeakLabel, key: str, path: Path, pixels: NDArray[Any], *, size: Size) -> tuple[WeakLabel, str | None]:
    """The label with the box of its mask in the image's pixels, and why it is to be looked at."""
    found = mask_box(as_mask(pixels)) if pixels.min() < pixels.max() else None
    if found is None:
        return without_box(label, "empty_mask"), "empty_mask"
    across, down = size[0] / pixels.shape[1], size[1] / pixels.shape[0]
    if abs(across / down - 1) > LARGEST_DISTORTION:
        return without_box(label, "mask_of_another_shape"), "mask_of_another_shape"
    x0, y0, x1, y1 = found
    box = PixelBox(x0=x0 * across, y0=y0 * down, x1=x1 * across, y1=y1 * down, series_key=key)
    placed = replace(label, pixel_box=box, mask=MaskFile(path=str(path), series_key=key))
    return placed, None if pixels.shape == (size[1], size[0]) else "mask_scaled"


# Images that are one ------------------------------------------------------------------------------------------------


def _merged(case: CuratedCase) -> Completed:
    """A film that is in the mass set and in the calcification set becomes one image with the lesions of both."""
    same = dict(_same_images(case.study.series))
    if not same:
        return case, ()
    kept = tuple(series for series in case.study.series if series.key not in same)
    labels = tuple(_moved(label, same) for label in case.labels)
    detail = "its pixels are those of an image of the other table: made one"
    entries = tuple(flagged("image", key, "same_image", detail, case.patient_id) for key in sorted(same))
    return replace(case, study=replace(case.study, series=kept), labels=labels), entries


def _same_images(images: Iterable[Series]) -> Iterator[tuple[str, str]]:
    """Key of each image that repeats another of its side and view -> key of that one."""
    views: dict[tuple[object, ...], list[Series]] = defaultdict(list)
    for series in images:
        views[tuple(series.attributes.get(name) for name in ("laterality", "view", "columns", "rows"))].append(series)
    for alike in views.values():
        first_of: dict[str, str] = {}
        for series in alike if len(alike) > 1 else ():
            digest = _digest(series)
            if digest is not None and first_of.setdefault(digest, series.key) != series.key:
                yield series.key, first_of[digest]


def _digest(series: Series) -> str | None:
    try:
        pixels = read_projection(image_path(series)).pixels
    except InputError:
        return None  # its header was read; the export opens it again and says what is wrong
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _moved(label: WeakLabel, same: dict[str, str]) -> WeakLabel:
    key = same.get(label.series_key or "")
    if key is None:
        return label
    box = replace(label.pixel_box, series_key=key) if label.pixel_box else None
    mask = replace(label.mask, series_key=key) if label.mask else None
    return replace(label, series_key=key, pixel_box=box, mask=mask)
