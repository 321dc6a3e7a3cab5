"""The joined set in figures: who is in it, which classes, how they are spread, what is missing, and what gives the class away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.records.record import record

NOT_STATED = "not stated"
DESCRIBED = (
    "sex",
    "age_years",
    "site",
    "laterality",
    "view",
    "breast_density",
    "manufacturer",
    "birads",
    "diagnosis",
    "label_source",
    "spacing_mm",
)
"""What a data set may leave out; its gaps are shown."""
GIVE_AWAY = ("dataset", "manufacturer", "view", "laterality", "site", "sex", "age_group", "size_group", "licence")
"""Facts that should say nothing of the class, or a model may learn them instead of the disease."""
AGE_EDGES = (0, 30, 40, 50, 60, 70, 80, 200)
AGE_NAMES = ("under 30", "30-39", "40-49", "50-59", "60-69", "70-79", "80 and more")
STRONG_ASSOCIATION = 0.3
"""Cramer's V from which an association is called strong here (Cohen's medium effect for one degree of freedom)."""
FEWEST_ROWS = 30


def frame_of(rows: Iterable[ImageRow]) -> pd.DataFrame:
    """One row an image, with what is described; ``None`` where not stated."""
    frame = pd.DataFrame([_cells(row) for row in rows], columns=_COLUMNS)
    frame["age_group"] = pd.cut(frame["age_years"].astype(float), AGE_EDGES, right=False, labels=AGE_NAMES).astype("string")
    frame["label_source"] = frame["label_source"].replace("not_stated", None)
    pixels = frame["columns"].astype(float) * frame["rows"].astype(float)
    frame["size_group"] = np.floor(np.log2(pixels)).astype("Int64").astype("string")
    return frame


_PLAIN = (
    "image_id",
    "dataset",
    "organ",
    "modality",
    "patient_id",
    "study_id",
    "split",
    "label",
    "diagnosis",
    "birads",
    "tier",
    "label_source",
    "label_scope",
    "sex",
    "age_years",
    "site",
    "laterality",
    "view",
    "breast_density",
    "manufacturer",
    "licence",
    "columns",
    "rows",
    "spacing_mm",
    "official_split",
    "fold",
)
_COLUMNS = (*_PLAIN, "boxes", "box_shares", "box_mm", "has_conflict")


def _cells(row: ImageRow) -> tuple[Any, ...]:
    flat = [box for box in row.boxes if len(box.start) == 2]
    shares = tuple(_area(box) / (row.columns * row.rows) for box in flat if row.columns and row.rows)
    lengths = tuple(_longest_mm(box, row) for box in row.boxes if row.spacing_mm)
    has_conflict = any(name.endswith("label_conflict") for name in row.attributes)
    return (*(getattr(row, name) for name in _PLAIN), len(row.boxes), shares, lengths, has_conflict)


def _area(box: ImageBox) -> float:
    return (box.stop[0] - box.start[0]) * (box.stop[1] - box.start[1])


def _longest_mm(box: ImageBox, row: ImageRow) -> float:
    spacing = row.spacing_mm or ()
    return max((stop - start) * step for start, stop, step in zip(box.start, box.stop, spacing, strict=False))


@record
class SetDescription:
    """The figures of a set; mappings are sorted by name, tables hold row name -> column name -> images."""

    images: int
    patients: int
    studies: int
    boxes: int
    duplicates_left_out: int
    datasets: Mapping[str, Mapping[str, int]]
    """Data set -> class -> images."""
    splits: Mapping[str, Mapping[str, int]]
    tiers: Mapping[str, Mapping[str, int]]
    label_sources: Mapping[str, Mapping[str, int]]
    birads_by_class: Mapping[str, Mapping[str, int]]
    """What readers said against what the class rests on: rows whose class is not itself from BI-RADS."""
    licences: Mapping[str, int]
    facts: Mapping[str, Mapping[str, int]]
    """``sex``, ``view``, ``site`` ... -> value -> images."""
    missing: Mapping[str, Mapping[str, float]]
    """Data set -> field -> share of images without it."""
    associations: Mapping[str, float]
    """``<organ>: <fact>`` -> Cramer's V (bias-corrected, 0..1) with the class, over the organ's images that have both."""
    conflicts: int
    """Images whose copies or rows disagree about the class."""


def describe(frame: pd.DataFrame, duplicates_left_out: int) -> SetDescription:
    """The figures of a set, from ``frame_of`` its rows."""
    classes = frame["label"].fillna(NOT_STATED)
    labelled = frame[frame["label"].notna()]
    not_birads = labelled[labelled["birads"].notna() & (labelled["label_source"] != "birads")]
    return SetDescription(
        images=len(frame),
        patients=int(frame["patient_id"].nunique()),
        studies=int(frame["study_id"].nunique()),
        boxes=int(frame["boxes"].sum()),
        duplicates_left_out=duplicates_left_out,
        datasets=_table(frame["dataset"], classes),
        splits=_table(frame["split"].fillna(NOT_STATED), classes),
        tiers=_table(frame["tier"], classes),
        label_sources=_table(frame["label_source"].fillna(NOT_STATED), classes),
        birads_by_class=_table(not_birads["birads"], not_birads["label"]),
        licences=_counts(frame["licence"]),
        facts={name: _counts(frame[name]) for name in ("sex", "age_group", "site", "laterality", "view", "breast_density", "modality")},
        missing={str(name): _missing(part) for name, part in frame.groupby("dataset", sort=True)},
        associations=_associations(labelled),
        conflicts=int(frame["has_conflict"].sum()),
    )


def _table(rows: pd.Series, columns: pd.Series) -> dict[str, dict[str, int]]:
    counts = Counter(zip(rows.astype(str), columns.astype(str), strict=True))
    table: dict[str, dict[str, int]] = {}
    for (row, column), count in sorted(counts.items()):
        table.setdefault(row, {})[column] = count
    return table


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in values.fillna(NOT_STATED).astype(str).value_counts().sort_index().items()}


def _missing(part: pd.DataFrame) -> dict[str, float]:
    return {name: round(float(part[name].isna().mean()), 4) for name in DESCRIBED}


def _associations(labelled: pd.DataFrame) -> dict[str, float]:
    found = {
        f"{organ}: {name.replace('_', ' ')}": cramers_v(part[name], part["label"])
        for organ, part in labelled.groupby("organ", sort=True)
        for name in GIVE_AWAY
    }
    return {name: round(value, 3) for name, value in found.items() if value is not None}


def cramers_v(first: pd.Series, second: pd.Series) -> float | None:
    """Cramer's V with Bergsma's bias correction (J. Korean Stat. Soc. 2013), over rows that have both; None where it says nothing.

    >>> round(cramers_v(pd.Series(["a", "b"] * 50), pd.Series(["x", "y"] * 50)), 2)
    1.0
    """
    both = first.notna() & second.notna()
    counts = pd.crosstab(first[both].astype(str), second[both].astype(str)).to_numpy(dtype=float)
    total = counts.sum()
    if total < FEWEST_ROWS or min(counts.shape) < 2:
        return None
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / total
    phi2 = float(((counts - expected) ** 2 / expected).sum()) / total
    rows, columns = counts.shape
    corrected = max(0.0, phi2 - (rows - 1) * (columns - 1) / (total - 1))
    smaller = min(rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1)) - 1
    return float(np.sqrt(min(1.0, corrected / smaller))) if smaller > 0 else None


def warnings_of(description: SetDescription) -> tuple[str, ...]:
    """Sentences about what a person should know before training on the set."""
    lines = []
    for fact, value in sorted(description.associations.items(), key=lambda pair: -pair[1]):
        if value >= STRONG_ASSOCIATION:
            lines.append(f"{fact} gives the class away (Cramer's V {value:.2f}): a model may learn it instead of the disease")
    without = description.splits
    for name in ("train", "validation", "test"):
        absent = sorted({cls for table in without.values() for cls in table} - set(without.get(name, {})) - {NOT_STATED})
        if absent:
            lines.append(f"no image of {', '.join(absent)} in the {name} part")
    from_birads = sum(description.label_sources.get("birads", {}).values())
    if from_birads:
        lines.append(f"the class of {from_birads} images rests on BI-RADS alone, not on tissue")
    if description.conflicts:
        lines.append(f"{description.conflicts} images have copies or rows that disagree about the class")
    return tuple(lines)
