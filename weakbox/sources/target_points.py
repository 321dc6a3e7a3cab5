"""Points and names of biopsy targets, shared by the sources that read them."""

from __future__ import annotations

import hashlib

from weakbox.records.biopsy import BiopsyTarget
from weakbox.records.grid import Point


def ras_to_lps(point: Point) -> Point:
    """The same place in the other convention: x and y change sign; its own inverse.

    >>> ras_to_lps((1.0, -2.0, 3.0))
    (-1.0, 2.0, 3.0)
    """
    return -point[0], -point[1], point[2]


def target_digest(target: BiopsyTarget) -> str:
    """A target's id from where, when and whose it is: the same in every order of the rows."""
    parts = (
        target.patient_id,
        target.study_uid,
        target.series_uid,
        target.frame_of_reference_uid,
        target.accession,
        target.procedure_date,
        target.label,
        target.coordinate_system,
        target.position,
    )
    return "T" + hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()[:16]
