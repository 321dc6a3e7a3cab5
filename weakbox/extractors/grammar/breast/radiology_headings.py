"""Headings of breast imaging reports: the side, the study or the field that a line's first words name."""

from __future__ import annotations

import re
from typing import NamedTuple

from weakbox.extractors.grammar.breast.radiology_units import LABEL

_MODALITY_WORDS = {
    **dict.fromkeys(
        (
            "mammogram",
            "mammography",
            "mammographic",
            "mammograms",
            "mammographically",
            "tomosynthesis",
            "dbt",
            "mammo",
            "cesm",
            "cem",
            "tomo",
            "mg",
            "mmg",
            "mammos",
            "mams",
            "mx",
            "xrm",
            "ffdm",
            "cedm",
            "tomograms",
        ),
        "mammography",
    ),
    **dict.fromkeys(
        (
            "ultrasound",
            "sonography",
            "sonogram",
            "us",
            "usg",
            "sonographic",
            "ultrasonography",
            "echography",
            "echographic",
            "sono",
            "sonar",
            "abus",
            "ultrasonographic",
            "ultrasounds",
            "uss",
            "sonomammography",
            "sonomammogram",
            "ultrasonogram",
        ),
        "ultrasound",
    ),
    **dict.fromkeys(("mri", "mr", "mrt", "magnetic", "cemri", "irm", "dce", "mrm", "abmri"), "mri"),
}
_SIDE_WORDS = {
    **dict.fromkeys(("left", "l", "lt"), "left"),
    **dict.fromkeys(("right", "r", "rt"), "right"),
    **dict.fromkeys(("both", "bilateral"), "bilateral"),
}
_FILLERS = frozenset(
    [
        "breast",
        "breasts",
        "findings",
        "finding",
        "exam",
        "examination",
        "study",
        "views",
        "targeted",
        "diagnostic",
        "screening",
        "the",
        "of",
        "side",
        "and",
        "axilla",
        "digital",
        "report",
        "limited",
        "complete",
        "whole",
        "3d",
        "2d",
        "full",
        "field",
        "standard",
        "resonance",
        "imaging",
        "description",
        "synthetic",
        "only",
        "part",
        "component",
        "with",
        "contrast",
        "enhanced",
        "second",
        "look",
        "focused",
        "handheld",
        "hand-held",
        "automated",
        "additional",
        "spot",
        "compression",
        "magnification",
        "results",
        "result",
        "section",
        "in",
        "for",
        "performed",
        "today",
        "current",
        "dynamic",
        "cc",
        "mlo",
        "region",
        "regions",
        "correlation",
        "same",
        "day",
        "bedside",
        "clinic",
        "x",
        "ray",
        "xr",
        "xray",
        "view",
        "supplementary",
        "assessment",
        "scan",
        "images",
        "gray",
        "scale",
        "real",
        "time",
        "bilateral",
        "conventional",
        "high",
        "resolution",
        "doppler",
        "colour",
        "color",
        "probe",
        "supplemental",
    ]
)
_HEADING = re.compile(
    r"[*_#=\-•\s]*(?P<open>[<\[]\s?)?(?P<name>[a-z#][^:\n|.;<>\[\]]{0,58}?)\s*(?(open)[>\]]+:?|(?:[*_]*:(?!\d)[*_]*|\s-{1,2}\s|\s*$))\s*"
)
_BRACKETS = re.compile(r"\([^()]*\)")
_NAME_WORD = re.compile(r"[a-z0-9]+")


class Heading(NamedTuple):
    """What a line's heading says and where the words after it begin."""

    end: int
    side: str | None = None
    modality: str | None = None
    column: str | None = None
    resets: bool = False
    start: int = 0


_COLUMNS = (
    (
        "label",
        re.compile(
            r"(?:(?:s|sr|sl|serial|ser)\.? ?no\.?|ref|lesion|finding|nodule|mass|#|no\.?|nr\.?|n°|n[o.]?|id|number|label)(?: ?(?:#|"
            r"no\.?|number|id|label))?$"
        ),
    ),
    ("birads", re.compile(r".*\b(?:bi-?\s?rads|birads|acr)\b.*|(?:final |overall |assessment )*(?:category|assessment)$|cat\.?$")),
    ("distance", re.compile(r".*\b(?:nipple|fn|cmfn|dfn|n\+)\b.*|dist(?:ance|\.)?(?![a-z]).*")),
    ("depth", re.compile(r"(?:skin |lesion )?depth.*|cortex.*|.*thickness.*")),
    (
        "size",
        re.compile(
            r"(?:max(?:imum|imal|\.)? )?(?:sizes?|dimensions?|diameters?|measurements?|measures|extent)\b.*|.*\b(?:size|"
            r"dimensions?)\b.*|mm$|cm$"
        ),
    ),
    ("clock", re.compile(r".*\bclock\b.*|clockface.*|o'c\w*$|position$|hour$|time$|.*\bo'clock\b.*|radial.*")),
    ("side", re.compile(r"(?:side|laterality|breast|l/r|r/l)\b.*")),
    ("place", re.compile(r"(?:location|localisation|localization|quadrant|site|region|area|where|position|sector)\b.*")),
    (
        "kind",
        re.compile(
            r"(?:typ(?:e|us)?|kind|descriptors?|descr|appearances?|characteristics?|features|impression|diagnosis|finding|findings|"
            r"description|category of finding|morphology|lesion type|feature|abnormality|nature|"
            r"lesion|what)\b.*"
        ),
    ),
)
_PLAIN_FIELD = re.compile(
    r"(?:shape|margins?|density|echo\w*|orientation|vascularity|posterior|change|comparison|kinetics?|comments?|associated|stability|"
    r"distribution|morphology|recommendation|management|elast\w+|doppler|signal|t2|enhancement)\b"
)
_VIEWS = re.compile(r"(?:further|additional|special|extra|magnification|mag|spot|coned|supplementary) (?:compression )?views?")


def column_of(name: str) -> str | None:
    """What a column or field of that name holds."""
    return next((column for column, pattern in _COLUMNS if pattern.match(name)), None)


def read_heading(lower: str, start: int, end: int) -> Heading | None:
    """The side, modality or field heading at ``start``, or None."""
    match = _HEADING.match(lower, start, min(end, start + 70))
    if match is None or (match.end() < end and match.end() >= start + 70):
        return None
    name = _BRACKETS.sub(" ", match["name"]).strip(" *_")
    is_whole = match.end() >= end and ":" not in lower[match.start() : match.end()]
    words = [word for word in _NAME_WORD.findall(name.replace("-", " ")) if not word.isdigit()]
    known = [word for word in words if word in _SIDE_WORDS or word in _MODALITY_WORDS or word in _FILLERS]
    sides = {_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS}
    modalities = {_MODALITY_WORDS[word] for word in words if word in _MODALITY_WORDS}
    if "mri" in modalities and re.search(r"\bmr[ -]mammogra", name):
        modalities = {"mri"}
    if _VIEWS.fullmatch(name):
        return Heading(match.end(), modality="mammography", start=match.start("name"))
    if words and len(known) == len(words) and (sides or modalities) and len(words) <= 9:
        side = None if not sides else (sides.pop() if len(sides) == 1 else "bilateral")
        return Heading(match.end(), side=side, modality="+".join(sorted(modalities)) or None, start=match.start("name"))
    if is_whole:
        return None
    if re.match(r"(?:overall|final|combined|conclusion|summary|general|imp(?:ression)?|recommend\w*|dx|[ap]$)\b", name):
        return Heading(start, resets=True)
    if LABEL.match(name):
        return None
    if _PLAIN_FIELD.match(name):
        return Heading(start, column="other")
    column = column_of(name)
    if column is not None and len(words) <= 6:
        return Heading(match.end() if column not in ("birads", "distance", "clock") else start, column=column)
    return None
