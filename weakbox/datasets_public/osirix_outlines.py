"""Contours that OsiriX writes as XML property lists (INbreast): names and points in pixels of the image."""

from __future__ import annotations

import math
import plistlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from weakbox.records.case import LedgerEntry
from weakbox.sources.remarks import dropped, flagged

_POINT = re.compile(r"\(?\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*,\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*\)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One region: points (x, y) from the image's upper left corner, in pixels. ``position`` counts from 1 in its file."""

    file_name: str
    position: int
    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def is_point(self) -> bool:
        """Whether it marks a place, not an area."""
        return len(set(self.points)) == 1


def read_outlines(path: Path) -> Iterator[Outline | LedgerEntry]:
    """The regions of one file, in their order; a ledger row for each that cannot be used, or for the whole file."""
    try:
        with path.open("rb") as file:
            document = plistlib.load(file, fmt=plistlib.FMT_XML)
    except (ExpatError, plistlib.InvalidFileException, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        yield dropped("file", path.name, "unreadable_outline", f"no XML property list ({type(error).__name__})")
        return
    regions = _regions(document)
    if regions is None:
        yield dropped("file", path.name, "unreadable_outline", "a property list without Images and ROIs")
        return
    for position, region in enumerate(regions, start=1):
        yield from _outline(path.name, position, region)


def _regions(document: Any) -> list[Any] | None:
    """ROIs of all images of the list; None where it is of another kind."""
    images = document.get("Images") if isinstance(document, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, dict) and isinstance(image.get("ROIs"), list) for image in images):
        return None
    return [region for image in images for region in image["ROIs"]]


def _outline(file_name: str, position: int, region: Any) -> Iterator[Outline | LedgerEntry]:
    item = f"{file_name}:{position}"
    texts = region.get("Point_px") if isinstance(region, dict) else None
    points = _points(texts) if isinstance(texts, list) else None
    if not points:
        yield dropped("lesion", item, "bad_outline", "no points (x, y) in Point_px")
        return
    if region.get("NumberOfPoints", len(points)) != len(points):
        yield flagged("lesion", item, "point_count", f"{len(points)} points, where NumberOfPoints says another number")
    yield Outline(file_name=file_name, position=position, name=str(region.get("Name") or "").strip(), points=points)


def _points(texts: Sequence[object]) -> tuple[tuple[float, float], ...] | None:
    """Points of ``(x, y)`` texts; None where one of them is something else."""
    matches = [_POINT.fullmatch(text.strip()) if isinstance(text, str) else None for text in texts]
    found = [match for match in matches if match is not None]
    if len(found) != len(matches):
        return None
    try:
        points = tuple((float(match[1]), float(match[2])) for match in found)
    except ValueError:
        return None
    return points if all(math.isfinite(value) for point in points for value in point) else None
