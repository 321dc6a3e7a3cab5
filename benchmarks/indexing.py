"""Header indexing of many DICOM files, against reading the same bytes, pydicom's header read and GDCM's scanner."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from benchmarks.measured import Figure, one_core, seconds_of
from weakbox.imaging.dicom_index import index_folder
from weakbox.runtime.executors.local import LocalExecutor

FILES_A_SERIES = 24
PEER_FILES = 3_000
"""Files that the peers read: their rate does not depend on the number."""


def write_files(folder: Path, count: int) -> None:
    """MR images of 128 x 128 in series of 24, with the header fields a scanner writes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 1000, (128, 128), dtype=np.int16).tobytes()
    for index in range(count):
        series, number = divmod(index, FILES_A_SERIES)
        path = folder / f"p{series // 12:05d}" / f"s{series:05d}" / f"{number:04d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _image(series, number, pixels).save_as(path, enforce_file_format=True)


def _image(series: int, number: int, pixels: bytes) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["image", str(series), str(number)])
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.StudyDate, dataset.AcquisitionTime, dataset.Modality = "20240102", "101112.5", "MR"
    dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "Skyra"
    dataset.StudyDescription, dataset.SeriesDescription = "MR PROSTATE", "t2_tse_tra"
    dataset.PatientID, dataset.PatientSex, dataset.PatientAge = f"P{series // 12}", "M", "065Y"
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.MRAcquisitionType = "SE", "SK", "2D"
    dataset.SliceThickness, dataset.RepetitionTime, dataset.EchoTime, dataset.MagneticFieldStrength = 3.0, 5000.0, 101.0, 3.0
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(series // 12)])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(series)])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", str(series // 12)])
    dataset.SeriesNumber, dataset.InstanceNumber = series % 12 + 1, number + 1
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-32.0, -32.0, number * 3.0], [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 128
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels
    return dataset


def measure(count: int) -> Iterator[Figure]:
    """Figures for ``count`` files."""
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name) / "dicom", Path(name) / "cache"
        write_files(root, count)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        floor = seconds_of(lambda: [path.read_bytes() for path in paths])
        with one_core(), closing(LocalExecutor(workers=1)) as executor:
            ours = seconds_of(lambda: index_folder(root, executor, cache / "one"))
            sample = paths[:PEER_FILES]
            pydicom_rate = len(sample) / seconds_of(lambda: [pydicom.dcmread(path, stop_before_pixels=True) for path in sample])
            gdcm_rate = len(paths) / seconds_of(lambda: _scan(paths))
        with closing(LocalExecutor(workers=2)) as executor:
            both = seconds_of(lambda: index_folder(root, executor, cache / "two"))
            again = seconds_of(lambda: index_folder(root, executor, cache / "two"))
    rate = f"{count / ours:,.0f} files/s"
    peers = (
        f"pydicom header {pydicom_rate:,.0f}, GDCM scanner {gdcm_rate:,.0f} files/s; reading the bytes alone {count / floor:,.0f} files/s"
    )
    yield Figure(
        what=f"Indexing {count:,} DICOM files, one core", value=f"{rate} ({ours:.1f} s)", compared_with=peers, aim="faster than pydicom"
    )
    yield Figure(what=f"Indexing {count:,} DICOM files, two processes", value=f"{count / both:,.0f} files/s ({both:.1f} s)")
    yield Figure(what="Indexing them again, nothing changed", value=f"{again:.1f} s")


def _scan(paths: list[Path]) -> None:
    scanner = gdcm.Scanner()
    for group, element in ((0x8, 0x60), (0x20, 0xD), (0x20, 0xE), (0x20, 0x32), (0x20, 0x37), (0x8, 0x103E), (0x18, 0x24), (0x18, 0x81)):
        scanner.AddTag(gdcm.Tag(group, element))
    scanner.Scan([str(path) for path in paths])
