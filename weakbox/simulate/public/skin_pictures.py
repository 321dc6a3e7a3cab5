"""What the trees of dermatoscopic sets share: images, masks and tables, written the same each time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.simulate.draws import Draws, content_uid
from weakbox.simulate.mammograms import Rectangle, box_of, ellipse_mask, skin_phantom, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion

SHAPE = (120, 160)
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
"""VL Photographic Image Storage (DICOM PS3.6 table A-1)."""


def isic_name(number: int) -> str:
    """``ISIC_0024306`` of 24306."""
    return f"ISIC_{number:07d}"


def write_skin(folder: Path, relative: str, *, patient: str, seed: int, **truth: Any) -> tuple[PlantedImage, NDArray[np.bool_]]:
    """An image and the truth about it; also its lesion's mask. ``truth`` goes into the ``PlantedLesion``.

    The place of the lesion counts as not annotated unless ``is_annotated`` says otherwise.
    """
    pixels, mask, box = skin_phantom(seed, shape=SHAPE, hairs=seed % 3)
    write_picture(folder / relative, pixels)
    lesion = PlantedLesion(start=box[:2], stop=box[2:], **{"is_annotated": False, **truth})
    return PlantedImage(path=relative, patient_id=patient, lesions=(lesion,)), mask


def structure_in(mask: NDArray[np.bool_], *name: object) -> tuple[NDArray[np.bool_], Rectangle]:
    """A small ellipse inside a lesion, as dermoscopic structures are drawn, and its box."""
    x0, y0, x1, y1 = (int(edge) for edge in box_of(mask))
    draws = Draws("structure", *name)
    left, upper = x0 + (x1 - x0) // 4 + draws.whole(0, 3), y0 + (y1 - y0) // 4 + draws.whole(0, 3)
    box = (float(left), float(upper), float(left + 11), float(upper + 7))
    return ellipse_mask(mask.shape, box), box


def write_table(path: Path, header: Sequence[str], rows: Iterable[Mapping[str, object]], delimiter: str = ",") -> None:
    """A table with the header's columns; missing cells stay empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, delimiter=delimiter, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")


def write_licence(folder: Path) -> None:
    """The two texts that the challenges put beside their images."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "LICENSE.txt").write_text("CC-BY-NC 4.0\n", encoding="utf-8")
    (folder / "ATTRIBUTION.txt").write_text("Phantoms.\n", encoding="utf-8")


def write_skin_dicom(path: Path, pixels: NDArray[np.uint8], patient: str) -> None:
    """A photograph [row, column, RGB] as DICOM; UIDs follow from the content."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    uid = UID(content_uid("skin photograph", path.name, pixels.tobytes().hex()))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        ExplicitVRLittleEndian,
        UID(VL_PHOTOGRAPHIC),
        uid,
    )
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = VL_PHOTOGRAPHIC, uid, "XC"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = content_uid("skin study", patient), content_uid("skin series", uid)
    dataset.PatientID, dataset.PatientName = patient, ""
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
