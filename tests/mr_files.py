"""Small MR files for tests of headers, the index and series: written by pydicom, read by what is under test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.phantom import MR_IMAGE_STORAGE

SHARED = Path(__file__).resolve().parents[2] / "shared"
SHARED_DATA = SHARED / "data"
needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared sample data beside the checkout")


def uid(*parts: object) -> str:
    """A UID that is the same for the same words."""
    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))


def mr_dataset(number: int = 1, **tags: Any) -> Dataset:
    """One axial MR image; ``tags`` are DICOM keywords that replace or (None) remove values."""
    values: dict[str, Any] = {
        "SOPClassUID": MR_IMAGE_STORAGE,
        "SOPInstanceUID": uid("image", tags.get("SeriesInstanceUID", "series"), number),
        "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid("series"),
        "FrameOfReferenceUID": uid("frame"),
        "PatientID": "P1",
        "Modality": "MR",
        "SeriesDescription": "t2_tse_tra",
        "InstanceNumber": number,
        "ImagePositionPatient": [-10.0, -20.0, 3.0 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.9, 0.7],
        "Rows": 4,
        "Columns": 6,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        **tags,
    }
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    pixels = np.arange(dataset.Rows * dataset.Columns * int(values.get("NumberOfFrames") or 1), dtype=np.uint16)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian, *, preamble: bool = True) -> Path:
    """Write a data set in a transfer syntax (uncompressed or deflated)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=preamble)
    if not preamble:
        content = path.read_bytes()
        path.write_bytes(content[132:] if content[128:132] == b"DICM" else content)
    return path


def write_mr(path: Path, number: int = 1, **tags: Any) -> Path:
    """One MR image as an explicit little-endian file."""
    return save(mr_dataset(number, **tags), path)


class SerialExecutor:
    """Runs in this process; an error becomes a value, as the interface says. Counts the items it was given."""

    def __init__(self) -> None:
        self.items = 0

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, description: str = "", total: int | None = None
    ) -> Iterator[Any]:
        """One result for each item."""
        from weakbox.runtime.executors.local import attempt

        for index, item in enumerate(items):
            self.items += 1
            yield attempt(function, index, item)

    def close(self) -> None:
        """Nothing to release."""
