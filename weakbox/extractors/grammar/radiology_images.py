"""Where a lesion is shown: series and image numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SERIES_IMAGE = re.compile(
    r"\b(?:series|se|ser)(?:\b|(?=\d))\.?\s*[#:/]?\s*(?P<series>\d{1,4})\s*[,;/:)]?\s*(?:and\s+|on\s+)?(?:(?:axial|t2|adc"
    r"|dwi)\s+)?(?:images?|"
    r"img?s?|im|slices?)(?:\b|(?=\d))\.?\s*(?:numbers?|no\.?)?\s*[#:(]?\s*(?P<image>\d{1,4})"
    r"|\b(?:images?|img?|im|slices?)(?:\b|(?=\d))\.?\s*[#:]?\s*(?P<image2>\d{1,4})\s*[,;/(]?\s*(?:of|on|in"
    r"|from)?\s*(?:the\s+)?(?:series|se|"
    r"ser)\b\.?\s*[#:]?\s*(?P<series2>\d{1,4})"
    r"|\b(?:series|se|ser)\.?\s?/\s?(?:images?|img|im)\.?\s*[:#)]?\s*\(?(?P<series3>\d{1,4})\s?/\s?(?P<image3>\d{1,4})"
    r"|\b(?:images?|img?|im|slices?)\b\.?\s*(?:numbers?|"
    r"no\.?)?\s*[#:]?\s*(?P<left>\d{1,4})(?:\s?/\s?(?P<right>\d{1,4}))?(?!\s?(?:mm|cm|x|-\s?\d+\s?mm)|\d|\.\d)"
    r"|\b(?:series|se)\b\.?\s*[#:]?\s*(?P<only>\d{1,4})(?!\s?(?:mm|cm)|\d|\.\d)"
)
_BARE_PAIR = re.compile(r"\((?P<series>\d{1,3})\s?[/:]\s?(?P<image>\d{1,4})\)")
_SERIES_LEGEND = re.compile(r"series?\s?(?:number\s?)?[/:]\s?image|image references? (?:are )?(?:given )?as series|\(series/image\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """Where a finding is shown: series and image numbers, either may be missing."""

    series: int | None
    image: int | None
    start: int
    end: int


def find_image_references(lower: str) -> list[ImageReference]:
    """Series and image references; "image 5/31" is series and image where the report explains it so."""
    if "image" not in lower and "im" not in lower and "series" not in lower and "slice" not in lower and "se " not in lower:
        return []
    has_legend = _SERIES_LEGEND.search(lower) is not None
    found = [_reference(match, has_legend=has_legend) for match in _SERIES_IMAGE.finditer(lower)]
    if has_legend:
        pairs = [match for match in _BARE_PAIR.finditer(lower) if not any(item.start <= match.start() < item.end for item in found)]
        found += [ImageReference(series=int(m["series"]), image=int(m["image"]), start=m.start(), end=m.end()) for m in pairs]
    return found


def _reference(match: re.Match[str], *, has_legend: bool) -> ImageReference:
    series = match["series"] or match["series2"] or match["series3"] or match["only"]
    image = match["image"] or match["image2"] or match["image3"]
    if match["left"]:
        is_pair = match["right"] is not None and has_legend
        series, image = (match["left"], match["right"]) if is_pair else (None, match["left"])
    return ImageReference(series=int(series) if series else None, image=int(image) if image else None, start=match.start(), end=match.end())
