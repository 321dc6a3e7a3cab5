"""Which subgroup an image or a lesion belongs to, by facts of the manifest."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cv_model_experiments.evaluation.cases import Unit
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow

LESION_PREFIX = "lesion_"
SMALL_MM, LARGE_MM = 10.0, 15.0
AGE_EDGES = ((40, "< 40"), (50, "40-49"), (60, "50-59"), (70, "60-69"), (80, "70-79"), (200, "80+"))
SEVERAL = "several"
_ROW_FIELDS = ("dataset", "organ", "modality", "tier", "manufacturer", "view", "laterality", "breast_density", "sex", "site", "birads",
               "diagnosis", "label_source", "label_scope", "fold")  # fmt: skip


def image_fact(row: ImageRow, name: str) -> str | None:
    """The value of a fact of an image; None where not stated."""
    if name == "age":
        return None if row.age_years is None else next(text for edge, text in AGE_EDGES if row.age_years < edge)
    value = getattr(row, name) if name in _ROW_FIELDS else row.attributes.get(name)
    return None if value is None else str(value)


def unit_fact(unit: Unit, name: str) -> str | None:
    """The same of a unit: what its images agree on, ``several`` where they do not."""
    values = {value for row in unit.rows if (value := image_fact(row, name)) is not None}
    return None if not values else values.pop() if len(values) == 1 else SEVERAL


def lesion_fact(row: ImageRow, box: ImageBox, name: str, table: Mapping[str, Mapping[str, str]]) -> str | None:
    """The value of a fact of a lesion, ``name`` without its prefix; the user's table wins."""
    stated = table.get(box.label_id, {}).get(name)
    if stated:
        return stated
    if name == "size":
        return lesion_size(row, box)
    if name == "isup":
        return box.diagnosis if box.diagnosis is not None and box.diagnosis.startswith("ISUP") else None
    if name == "type":
        return "+".join(box.finding_types) or None
    if name in ("tier", "label", "diagnosis", "birads"):
        value = getattr(box, name)
        return None if value is None else str(value)
    # Of one lesion only, what is said of the image is said of it.
    return image_fact(row, name) if len(row.boxes) == 1 else None


def lesion_size(row: ImageRow, box: ImageBox) -> str | None:
    """Class of the longest side in mm; None without a spacing."""
    if row.spacing_mm is None or len(row.spacing_mm) != len(box.start):
        return None
    longest = max((stop - start) * step for start, stop, step in zip(box.start, box.stop, row.spacing_mm, strict=True))
    return "< 10 mm" if longest < SMALL_MM else "10 to 15 mm" if longest <= LARGE_MM else "> 15 mm"


def lesion_facts(rows: Iterable[ImageRow], set_folder: Path, table: Path | None) -> dict[str, dict[str, str]]:
    """Facts of lesions by ``label_id``: the PI-RADS of exported studies (``<case>_labels.json`` beside the image), and the user's table,
    which wins.

    Raises:
        InputError: a file that is there cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        path = (set_folder / row.image_path).parent / f"{row.case_id}_labels.json"
        if row.boxes and path.is_file():
            found |= _facts_of_study(path)
    for label_id, facts in _lesion_table(table).items():
        found[label_id] = {**found.get(label_id, {}), **facts}
    return found


def _facts_of_study(path: Path) -> dict[str, dict[str, str]]:
    try:
        instances = json.loads(path.read_text(encoding="utf-8"))["instances"]
        return {item["label"]: {"pirads": str(item["pirads"])} for item in instances if item["pirads"] is not None}
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        msg = f"{path}: no list of labels as the export writes it ({type(error).__name__}); export the set again"
        raise InputError(msg) from None


def _lesion_table(path: Path | None) -> dict[str, dict[str, str]]:
    """Facts of lesions by ``label_id``.

    Raises:
        InputError: no such file, no column ``label_id``, or a lesion twice.
    """
    if path is None:
        return {}
    if not path.is_file():
        msg = f"{path}: no such file; lesion_table is a CSV with the column label_id and others"
        raise InputError(msg)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "label_id" not in rows[0]:
        msg = f"{path}: expected a table with the column label_id"
        raise InputError(msg)
    found = {row["label_id"]: {name: value for name, value in row.items() if name != "label_id"} for row in rows}
    if len(found) < len(rows):
        msg = f"{path}: a label_id comes twice; expected one row a lesion"
        raise InputError(msg)
    return found


def unit_groups(units: Sequence[Unit], names: Iterable[str]) -> list[tuple[str, str, list[int]]]:
    """(fact, value, places of units) for every fact that has at least two values or leaves units out."""
    found = []
    for name in names:
        if name.startswith(LESION_PREFIX):
            continue
        members: dict[str, list[int]] = {}
        for place, unit in enumerate(units):
            value = unit_fact(unit, name)
            if value is not None:
                members.setdefault(value, []).append(place)
        stated = sum(map(len, members.values()))
        if len(members) > 1 or (members and stated < len(units)):
            found += [(name, value, places) for value, places in sorted(members.items())]
    return found
