"""What tables and file names of PROSTATEx say of one finding: its class, its mask, the T2 in which it lies."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from weakbox.datasets_public.row_values import identifier
from weakbox.records.case import LedgerEntry
from weakbox.records.grid import Point
from weakbox.records.label import LesionStatus, WeakLabel
from weakbox.sources.prostatex import SAME_PLACE_MM
from weakbox.sources.table_reading import Columns, TableOptions, read_rows

MASK = re.compile(r"ProstateX-(\d{4})-Finding(\d+)-.*_ROI\.nii\.gz", re.IGNORECASE)
VOLUME_COLUMNS = Columns(
    required={
        "patient_id": ("ProxID",),
        "finding": ("fid",),
        "position": ("pos",),
        "matrix": ("WorldMatrix",),
        "index": ("ijk",),
        "shape": ("Dim",),
        "description": ("DCMSerDescr", "Name"),
    },
    optional={},
)

Masks = Mapping[str, Mapping[str, Path]]
"""Patient -> finding number as the masks write it -> file."""


def masks_by_finding(paths: Iterable[Path]) -> Masks:
    """The lesion masks by patient and finding number, from their names."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in paths:
        match = MASK.fullmatch(path.name)
        if match:
            found[f"ProstateX-{match[1]}"][match[2]] = path
    return found


Place = tuple[str, str, tuple[int, ...]]


def place_of(patient: str, number: str | None, position: Iterable[float]) -> Place:
    return patient, number or "", tuple(round(value / SAME_PLACE_MM) for value in position)


def t2_corners(path: Path) -> dict[Place, tuple[Point, ...]]:
    """Outer corners (LPS mm) of the axial T2 volumes in which each finding lies.

    The table has a row for every series of the patient, those of his other study included, where the index lies outside the volume.
    """
    found: dict[Place, set[Point]] = defaultdict(set)
    for row in read_rows(TableOptions(source="prostatex", path=path), VOLUME_COLUMNS, "row"):
        if isinstance(row, LedgerEntry) or not re.search(r"t2.*tra", row.raw("description"), re.IGNORECASE):
            continue
        matrix, position, index = (_floats(row.raw(name)) for name in ("matrix", "position", "index"))
        shape = _floats(row.raw("shape").replace("x", " "))[:3]
        if (len(matrix), len(position), len(index), len(shape)) == (16, 3, 3, 3) and all(map(_is_inside, index, shape)):
            found[place_of(row.raw("patient_id").strip(), identifier(row.text("finding")) or None, position)].add(
                (matrix[3], matrix[7], matrix[11])
            )
    return {key: tuple(sorted(corners)) for key, corners in found.items()}


def _is_inside(index: float, count: float) -> bool:
    """Indices count from the outer corner and are rounded, so both ends are inside."""
    return 0 <= index <= count


def _floats(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        return ()


def graded(dataset: str, name: str, lesion: str, is_significant: bool | None, grade: int | None) -> WeakLabel:
    """What tissue says; ``ClinSig`` FALSE alone does not tell benign from ISUP 1 from never sampled."""
    status = {True: LesionStatus.CANCER, False: LesionStatus.NOT_SIGNIFICANT, None: LesionStatus.UNTESTED}[is_significant]
    words = {True: "clinically_significant_cancer", False: "not_clinically_significant", None: None}[is_significant]
    is_tissue = bool(is_significant) or grade is not None
    case_id = f"{dataset}/{name}"
    return WeakLabel(
        label_id=f"{case_id}/{lesion}",
        lesion_id=f"{dataset}:{lesion}",
        case_id=case_id,
        status=LesionStatus.CANCER if grade else status,
        isup_grade=grade,
        is_clinically_significant=is_significant if is_significant is not None or grade is None else grade >= 2,
        class_source="histopathology" if is_tissue else "not_stated",
        diagnosis=words,
    )
