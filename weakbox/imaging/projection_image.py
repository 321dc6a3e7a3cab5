"""What a 2-D image is once it is read, whatever file held it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from weakbox.imaging.image_frames import Shape, Spacing
from weakbox.imaging.projection_voi import DisplayHeader
from weakbox.records.errors import InputError

RGB = "RGB"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """A 2-D image. ``pixels`` are stored values, [row, column] (whole numbers of 8 or 16 bits) or [row, column, RGB] (uint8)."""

    pixels: NDArray[Any]
    display: DisplayHeader
    format: str
    """``dicom``, ``png``, ``jpeg``, ``tiff``, ``ppm``, ``numpy``."""
    spacing_mm: Spacing | None = None
    """Between rows, between columns; in the plane that ``spacing_source`` says. Never from a picture's dots per inch."""
    spacing_source: str | None = None
    """``pixel_spacing`` (calibrated), ``imager_pixel_spacing`` (at the detector) or ``nominal_scanned_pixel_spacing`` (of a film)."""
    magnification: float | None = None
    """Estimated Radiographic Magnification Factor: the detector's spacing divided by it is the breast's. Not applied."""
    laterality: str | None = None
    """``L``, ``R`` or ``B``."""
    view: str | None = None
    """``CC``, ``MLO``, ``ML``, ``LM``, ``XCCL`` ... as the header's own word or code says."""
    view_modifiers: tuple[str, ...] = ()
    presentation_intent: str | None = None
    """``FOR PRESENTATION`` or ``FOR PROCESSING``."""
    transfer_syntax: str | None = None
    sop_instance_uid: str | None = None
    series_uid: str | None = None
    study_uid: str | None = None
    exif_orientation: int | None = None
    """As the file states it (1..8); not applied."""
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """Rows and columns as stored."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def is_colour(self) -> bool:
        """Whether the pixels are RGB."""
        return self.pixels.ndim == 3

    @property
    def object_spacing_mm(self) -> Spacing | None:
        """Spacing in the plane of the breast: the detector's divided by the magnification, where both are stated."""
        if self.spacing_mm is None or self.spacing_source != "imager_pixel_spacing" or not self.magnification:
            return self.spacing_mm
        return self.spacing_mm[0] / self.magnification, self.spacing_mm[1] / self.magnification


def unusable(path: str | Path, reason: str, advice: str) -> InputError:
    """The error of a file that cannot be used."""
    return InputError(f"{path}: {reason}; {advice}")
