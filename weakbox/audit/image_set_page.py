"""The joined set as one HTML page that needs no network, and as a data card (datasheet) in Markdown."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from weakbox.audit.image_set import SetDescription
from weakbox.records.record import record

TEMPLATES = Path(__file__).resolve().parent / "templates"
CAPTIONS = {
    "examples.png": "Images of the set with their boxes, one of each data set and class in turn.",
    "classes_by_dataset.png": "A class that comes from one data set only teaches a model the data set.",
    "classes_by_split.png": "Parts are drawn by a hash of the group, so shares differ by chance; official test parts are kept.",
    "tiers.png": "Who drew or said it: experts, biopsy coordinates, models, reports.",
    "label_sources.png": "Histopathology is tissue; BI-RADS is an opinion about an image.",
    "ages.png": "Shares within a class: curves that differ mean that age alone predicts the class.",
    "facts.png": "Grey: not stated.",
    "image_sizes.png": "Of the exported images.",
    "box_sizes.png": "Millimetres only where the spacing is known.",
    "missing.png": "What each data set leaves out.",
    "birads_by_class.png": "Label agreement: the reader's category against the class that rests on something else.",
    "associations.png": "What a model could learn instead of the disease.",
}
"""File of a picture -> what to see in it, in the order of the page."""


@record
class SourceCard:
    """A data set inside the joined one, for the list of sources."""

    title: str
    licence: str
    licence_url: str
    citation: str
    homepage: str
    label_basis: str
    access: str
    images: int
    patients: int


def write_page(
    path: Path, description: SetDescription, *, name: str, version: str, pictures: Sequence[Path], sources: Sequence[SourceCard],
    warnings: Sequence[str], left_out: Mapping[str, int]
) -> None:  # fmt: skip
    """Write the page; pictures are put inside it. ``left_out`` is reason -> items of the ledger."""
    from weakbox.runtime.store import write_text

    by_name = {picture.name: picture for picture in pictures}
    shown = [
        {"title": name, "caption": caption, "data": base64.b64encode(by_name[name].read_bytes()).decode("ascii")}
        for name, caption in CAPTIONS.items()
        if name in by_name
    ]
    content = _context(description, name=name, version=version, sources=sources, warnings=warnings, left_out=left_out)
    write_text(path, _template("image_set.html.j2").render(**content, pictures=shown))


def write_data_card(
    path: Path, description: SetDescription, *, name: str, version: str, sources: Sequence[SourceCard], warnings: Sequence[str],
    left_out: Mapping[str, int], policy: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:  # fmt: skip
    """Write the data card: what the set is for, where it comes from, how it was made, and what to beware of."""
    from weakbox.runtime.store import write_text

    content = _context(description, name=name, version=version, sources=sources, warnings=warnings, left_out=left_out)
    write_text(path, _template("data_card.md.j2").render(**content, policy=policy, settings=settings))


def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment.get_template(name)


def _context(description: SetDescription, **more: Any) -> dict[str, Any]:
    classes = sorted({name for counts in description.datasets.values() for name in counts})
    return {"set": description, "classes": classes, "parts": list(description.splits), **more}
