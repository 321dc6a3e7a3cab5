"""The words in which DDSM and CBIS-DDSM describe an abnormality: pathology, descriptors, ratings.

What the pathology words rest on is told by the overview pages of the DDSM volumes (eng.usf.edu/cvprg/Mammography/DDSM): a cancer
volume's cases hold path-proven cancer; benign was "most often made by pathology", in some cases by ultrasound or other accepted
means; benign without callback was told from the screening films alone, without further films or biopsy.
"""

from __future__ import annotations

from weakbox.records.label import LesionStatus
from weakbox.records.record import record

NOT_STATED = ("N/A", "NA", "-")
SUBTLETY = range(1, 6)
"""1 (subtle) to 5 (obvious); 0 is found in the tables and rates nothing."""
_FINDINGS = {
    "ARCHITECTURAL_DISTORTION": "architectural_distortion",
    "ASYMMETRIC_BREAST_TISSUE": "asymmetry",
    "FOCAL_ASYMMETRIC_DENSITY": "focal_asymmetry",
    "LYMPH_NODE": "lymph_node",
}
"""Shapes of a "mass" that are findings of their own."""
_KINDS = {"mass": "mass", "calcification": "calcification", "calc": "calcification", "other": "other"}


@record
class Pathology:
    """A word of the ``pathology`` field and what it rests on."""

    diagnosis: str
    status: LesionStatus
    source: str


PATHOLOGIES = {
    "MALIGNANT": Pathology(diagnosis="malignant", status=LesionStatus.CANCER, source="histopathology"),
    "BENIGN": Pathology(diagnosis="benign", status=LesionStatus.UNTESTED, source="histopathology_or_imaging"),
    "BENIGN_WITHOUT_CALLBACK": Pathology(diagnosis="benign_without_callback", status=LesionStatus.UNTESTED, source="screening_films"),
    "UNPROVEN": Pathology(diagnosis="unproven", status=LesionStatus.UNTESTED, source="not_stated"),
}


def pathology_of(text: str) -> Pathology:
    """The pathology that a word names.

    Raises:
        ValueError: another word.

    >>> pathology_of("BENIGN_WITHOUT_CALLBACK ").diagnosis
    'benign_without_callback'
    """
    found = PATHOLOGIES.get(text.strip().upper().replace(" ", "_"))
    if found is None:
        raise ValueError(f"expected one of {', '.join(PATHOLOGIES)}, got {text!r}")
    return found


def kind_of(text: str) -> str:
    """``mass``, ``calcification`` or ``other``.

    Raises:
        ValueError: another abnormality type.
    """
    found = _KINDS.get(text.strip().casefold())
    if found is None:
        raise ValueError(f"expected mass or calcification, got {text!r}")
    return found


def subtlety_of(text: str) -> int:
    """How visible the abnormality is: 1 (subtle) to 5 (obvious).

    Raises:
        ValueError: no whole number from 1 to 5.

    >>> subtlety_of("4.0")
    4
    """
    value = float(text)
    if value not in SUBTLETY:
        raise ValueError(f"expected a subtlety of 1 to 5, got {text!r}")
    return int(value)


def stated(text: str | None) -> str | None:
    """A descriptor, None where the field says that there is none."""
    plain = None if text is None else text.strip().upper()
    return None if not plain or plain in NOT_STATED else plain


def findings_of(kind: str, shape: str | None) -> set[str]:
    """Finding types of an abnormality: its kind, and what its shape names beside.

    >>> sorted(findings_of("mass", "IRREGULAR-ARCHITECTURAL_DISTORTION"))
    ['architectural_distortion', 'mass']
    """
    return {kind} | {_FINDINGS[word] for word in (shape or "").split("-") if word in _FINDINGS}
