"""What the DICOM header of a mammogram says where a set's tables do not: side, view, size, age."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weakbox.datasets_public.row_values import snake_case
from weakbox.records.errors import InputError
from weakbox.records.record import record
from weakbox.terminology.mammography import laterality_of, view_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TAGS = (
    *("Rows", "Columns", "ImageLaterality", "Laterality", "ViewPosition", "ViewCodeSequence", "PatientOrientation", "PatientAge"),
    *("Manufacturer", "ManufacturerModelName", "PresentationIntentType", "SOPInstanceUID", "Modality"),
)
_VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10228": "ML",
    "399352003": "LM",
    "R-10224": "LM",
}
"""SNOMED codes of the views (DICOM PS3.16 CID 4014), new and old."""


@record
class MammogramHeader:
    """Side and view in our words; None where the header does not say."""

    columns: int
    rows: int
    laterality: str | None
    view: str | None
    age_years: float | None
    manufacturer: str | None
    model: str | None
    presentation: str | None
    """``for_presentation`` or ``for_processing``."""


def read_mammogram_header(path: Path) -> MammogramHeader:
    """The header of one image; pixels are not read.

    Raises:
        InputError: no DICOM image that can be read, or one without pixels.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    from weakbox.imaging.quiet_pydicom import silence

    try:
        with silence():
            header = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            return _read(header, path)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        msg = f"{path}: no readable DICOM file ({type(error).__name__}); fetch the file again"
        raise InputError(msg) from None


def _read(header: Dataset, path: Path) -> MammogramHeader:
    columns, rows = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
    if columns < 1 or rows < 1:
        msg = f"{path}: a DICOM file without an image; remove it, or fetch it again"
        raise InputError(msg)
    side = str(header.get("ImageLaterality") or header.get("Laterality") or "")
    presentation = str(header.get("PresentationIntentType") or "")
    return MammogramHeader(
        columns=columns,
        rows=rows,
        laterality=laterality_of(side) if side.upper() in ("L", "R") else None,
        view=_view(header),
        age_years=_age(str(header.get("PatientAge") or "")),
        manufacturer=str(header.get("Manufacturer") or "") or None,
        model=str(header.get("ManufacturerModelName") or "") or None,
        presentation=snake_case(presentation) or None,
    )


def _view(header: Dataset) -> str | None:
    """View Position, else the code of the view."""
    stated = str(header.get("ViewPosition") or "")
    if stated:
        try:
            return view_of(stated)
        except ValueError:
            return None
    codes = [str(item.get("CodeValue") or "") for item in header.get("ViewCodeSequence") or ()]
    return next((_VIEW_CODES[code] for code in codes if code in _VIEW_CODES), None)


def _age(text: str) -> float | None:
    """``053Y``; an age of 0 is what anonymisers write."""
    years = text.strip().upper().removesuffix("Y")
    return float(years) if years.isdigit() and int(years) > 0 else None


def header_attributes(header: MammogramHeader) -> Mapping[str, str | int | None]:
    """What ``Series.attributes`` takes from a header."""
    return {
        "laterality": header.laterality,
        "view": header.view,
        "columns": header.columns,
        "rows": header.rows,
        "presentation": header.presentation,
    }
