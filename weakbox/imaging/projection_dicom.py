"""2-D images from DICOM files: pixels of any transfer syntax that a decoder here knows, and the attributes that projections need."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from weakbox.imaging.image_frames import Shape, Spacing
from weakbox.imaging.projection_image import RGB, Projection, unusable
from weakbox.imaging.projection_voi import DisplayHeader, LookupTable, VoiFunction, Window
from weakbox.imaging.quiet_pydicom import silence

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_CODESTREAMS = (
    "1.2.840.10008.1.2.4.5",
    "1.2.840.10008.1.2.4.7",
    "1.2.840.10008.1.2.4.8",
    "1.2.840.10008.1.2.4.9",
    "1.2.840.10008.1.2.4.20",
)
"""JPEG, JPEG-LS and JPEG 2000 transfer syntaxes: their data end with the same marker."""
_END_OF_IMAGE = b"\xff\xd9"
_READ_ERRORS = (
    InvalidDicomError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    OverflowError,
    NotImplementedError,
    AttributeError,
    TypeError,
    struct.error,
)
_DECODE_ERRORS = (AttributeError, KeyError, NotImplementedError, RuntimeError, ValueError, IndexError, TypeError, MemoryError, struct.error)
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_LATERALITIES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R", "B": "B", "BOTH": "B"}
_VIEW_CODES = {
    "399162004": "CC",
    "399368009": "MLO",
    "399260004": "ML",
    "399352003": "LM",
    "399099002": "LMO",
    "399196006": "FB",
    "399188001": "SIO",
    "441555000": "ISO",
    "399192008": "XCCL",
    "399101009": "XCCM",
    "R-10242": "CC",
    "R-10226": "MLO",
    "R-10224": "ML",
    "R-10228": "LM",
}
"""DICOM PS3.16 CID 4014, SNOMED CT codes and the older SNOMED-RT ones of CC, MLO, ML and LM."""


def read_dicom_projection(path: Path, content: bytes) -> Projection:
    """The one frame of a DICOM file, given its bytes.

    Raises:
        InputError: no DICOM image, several frames, pixels cut off or of a kind that no decoder here reads.
    """
    with silence():
        dataset = _dataset(path, content)
        remarks: list[str] = []
        pixels = _pixels(path, content, dataset, remarks)
        spacing, source = _spacing(dataset, remarks)
        magnification = _numbers(dataset, "EstimatedRadiographicMagnificationFactor", remarks)
        return Projection(
            pixels=pixels,
            display=_display(path, dataset, pixels, remarks),
            format="dicom",
            spacing_mm=spacing,
            spacing_source=source,
            magnification=magnification[0] if magnification and magnification[0] > 0 else None,
            laterality=_laterality(dataset),
            view=_view(dataset),
            view_modifiers=_view_modifiers(dataset),
            presentation_intent=_text(dataset, "PresentationIntentType"),
            transfer_syntax=_syntax(dataset),
            sop_instance_uid=_text(dataset, "SOPInstanceUID"),
            series_uid=_text(dataset, "SeriesInstanceUID"),
            study_uid=_text(dataset, "StudyInstanceUID"),
            remarks=tuple(remarks),
        )


def dicom_shape(path: Path) -> Shape:
    """Rows and columns that a DICOM file's header states.

    Raises:
        InputError: no DICOM image.
    """
    with silence():
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
            rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        except _READ_ERRORS as error:
            raise unusable(path, f"not a DICOM file that can be read ({type(error).__name__})", "fetch it again") from error
    if rows < 1 or columns < 1:
        raise unusable(path, "no DICOM image: it states no size", "fetch it again, or leave it out")
    return rows, columns


def _dataset(path: Path, content: bytes) -> Dataset:
    try:
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except _READ_ERRORS as error:
        raise unusable(path, f"not a DICOM file that can be read ({type(error).__name__})", "fetch it again") from error
    if "SOPClassUID" not in dataset and "Rows" not in dataset:
        raise unusable(path, "not a DICOM file", "fetch it again; an answer of a server may have been saved in its place")
    if "PixelData" not in dataset:
        raise unusable(path, "it has no pixels, or they are cut off", "fetch it again, or leave objects without an image out")
    if rows < 1 or columns < 1:
        raise unusable(path, f"it states {columns} x {rows} pixels", "fetch it again, or leave it out")
    if frames != 1:
        raise unusable(path, f"it holds {frames} frames, expected one", "choose a slice and save it as an image of its own")
    return dataset


def _pixels(path: Path, content: bytes, dataset: Dataset, remarks: list[str]) -> NDArray[Any]:
    plain = _plain_pixels(dataset)
    if plain is not None:
        return plain
    _refuse_cut_codestream(path, dataset)
    try:
        decoded = np.asarray(pixel_array(dataset))
    except _DECODE_ERRORS as error:
        if _syntax(dataset) != JPEG_EXTENDED:
            raise _undecodable(path, type(error).__name__) from error
        decoded = _decode_with_gdcm(path, dataset)
        remarks.append("12-bit JPEG decoded by GDCM")
    return _grey_or_rgb(path, dataset, decoded)


def _undecodable(path: Path, reason: str) -> Exception:
    advice = "fetch it again, or convert it to an uncompressed transfer syntax (gdcmconv --raw, dcmdjpeg)"
    return unusable(path, f"its pixels cannot be decoded ({reason})", advice)


def _plain_pixels(dataset: Dataset) -> NDArray[Any] | None:
    """Uncompressed grey pixels as they lie in the file, without a copy; None where pydicom has to look closer."""
    allocated, stored = int(dataset.get("BitsAllocated") or 0), int(dataset.get("BitsStored") or 0)
    is_simple = allocated in (8, 16) and int(dataset.get("SamplesPerPixel") or 1) == 1 and int(dataset.get("PixelRepresentation") or 0) == 0
    if not is_simple or _syntax(dataset) not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) or not 0 < stored <= allocated:
        return None
    count, data = int(dataset.Rows) * int(dataset.Columns), dataset.PixelData
    expected = count * allocated // 8
    if dataset.get("PhotometricInterpretation") not in _MONOCHROME or len(data) not in (expected, expected + expected % 2):
        return None
    pixels = np.frombuffer(data, dtype=np.uint8 if allocated == 8 else "<u2", count=count).reshape(dataset.Rows, dataset.Columns)
    # Bits above the stored ones may hold an old overlay: that is pydicom's business.
    return pixels if stored == allocated or int(pixels.max()) >> stored == 0 else None


def _refuse_cut_codestream(path: Path, dataset: Dataset) -> None:
    """Decoders fill what is missing of a cut JPEG with grey and say nothing: look for the end marker."""
    if not _syntax(dataset).startswith(_CODESTREAMS):
        return
    try:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    except (ValueError, StopIteration, struct.error, IndexError) as error:
        raise _undecodable(path, type(error).__name__) from error
    if _END_OF_IMAGE not in frame[-32:]:
        raise unusable(path, "its compressed pixels are cut off", "fetch it again")


def _decode_with_gdcm(path: Path, dataset: Dataset) -> NDArray[np.uint16]:
    """JPEG Extended with 12 bits, which pydicom's decoders refuse and GDCM's 12-bit library reads."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise _undecodable(path, "GDCM")
    buffer = reader.GetImage().GetBuffer()
    data = buffer.encode("utf-8", "surrogateescape") if isinstance(buffer, str) else bytes(buffer)
    count = int(dataset.Rows) * int(dataset.Columns)
    if len(data) != 2 * count:
        raise _undecodable(path, "GDCM")
    return np.frombuffer(data, dtype="<u2").reshape(dataset.Rows, dataset.Columns)


def _grey_or_rgb(path: Path, dataset: Dataset, decoded: NDArray[Any]) -> NDArray[Any]:
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        decoded = np.asarray(apply_color_lut(decoded, dataset))
    if decoded.ndim == 3 and decoded.shape[2] == 3:
        shift = 8 * (decoded.itemsize - 1)
        return (decoded >> shift).astype(np.uint8) if shift else decoded
    if decoded.shape != (dataset.Rows, dataset.Columns) or decoded.dtype.kind not in "iu" or decoded.itemsize > 2:
        raise unusable(path, f"pixels of {decoded.dtype} and shape {decoded.shape}", "expected one grey or RGB frame of 8 or 16 bits")
    return decoded


def _display(path: Path, dataset: Dataset, pixels: NDArray[Any], remarks: list[str]) -> DisplayHeader:
    if pixels.ndim == 3:
        return DisplayHeader(photometric=RGB, is_ready=True)
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if photometric not in _MONOCHROME:
        remarks.append("Photometric Interpretation is neither MONOCHROME1 nor MONOCHROME2: taken as MONOCHROME2")
        photometric = "MONOCHROME2"
    slope, intercept = _numbers(dataset, "RescaleSlope", remarks), _numbers(dataset, "RescaleIntercept", remarks)
    function = (_text(dataset, "VOILUTFunction") or "LINEAR").upper()
    if function not in VoiFunction.__members__:
        remarks.append("VOI LUT Function is none of the standard's: taken as LINEAR")
        function = "LINEAR"
    luts = _tables(path, dataset, "ModalityLUTSequence")
    return DisplayHeader(
        photometric=photometric,
        bits_stored=int(dataset.get("BitsStored") or 8 * pixels.itemsize),
        is_signed=pixels.dtype.kind == "i",
        slope=slope[0] if slope and slope[0] != 0 else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        modality_lut=luts[0] if luts else None,
        voi_luts=_tables(path, dataset, "VOILUTSequence"),
        windows=_windows(dataset, remarks),
        function=VoiFunction(function),
        padding=_padding(dataset, remarks),
    )


def _windows(dataset: Dataset, remarks: list[str]) -> tuple[Window, ...]:
    centres, widths = _numbers(dataset, "WindowCenter", remarks), _numbers(dataset, "WindowWidth", remarks)
    if len(centres) != len(widths):
        remarks.append("numbers of window centres and widths differ")
    explanations = dataset.get("WindowCenterWidthExplanation") or ()
    names = [str(name) for name in (explanations if isinstance(explanations, MultiValue) else [explanations] if explanations else [])]
    names += [""] * len(centres)
    return tuple(Window(centre=centre, width=width, explanation=name) for centre, width, name in zip(centres, widths, names, strict=False))


def _tables(path: Path, dataset: Dataset, keyword: str) -> tuple[LookupTable, ...]:
    try:
        return tuple(_table(item) for item in dataset.get(keyword) or ())
    except (AttributeError, ValueError, TypeError, IndexError) as error:
        advice = "repair the file, or convert its data set with the percentile window"
        raise unusable(path, f"its {keyword} cannot be read ({type(error).__name__})", advice) from error


def _table(item: Dataset) -> LookupTable:
    """A LUT item: PS3.3 C.11.1.1 and C.11.2.1.1. The count is unsigned and 0 means 65,536, whatever VR the file gives it."""
    entries, first, bits = (int(value) for value in item.LUTDescriptor)
    count = (entries & 0xFFFF) or 0x10000
    data = item.LUTData
    if isinstance(data, bytes):
        values = np.frombuffer(
            data[:count] if len(data) in (count, count + 1) else data, dtype=np.uint8 if len(data) <= count + 1 else "<u2"
        )
    else:
        values = np.asarray(data if isinstance(data, Sequence) else [data], dtype=np.int64).astype(np.uint16)
        if len(values) == (count + 1) // 2 and bits <= 8 and count > 1:
            values = values.astype("<u2").view(np.uint8)
    if len(values) < count or not 1 <= bits <= 16:
        msg = f"a table of {count} entries of {bits} bits with {len(values)} values"
        raise ValueError(msg)
    return LookupTable(first=first, bits=bits, values=values[:count].astype(np.uint16), explanation=str(item.get("LUTExplanation") or ""))


def _padding(dataset: Dataset, remarks: list[str]) -> tuple[int, int] | None:
    value = _numbers(dataset, "PixelPaddingValue", remarks)
    if not value:
        return None
    limit = _numbers(dataset, "PixelPaddingRangeLimit", remarks) or value
    return int(min(value[0], limit[0])), int(max(value[0], limit[0]))


def _spacing(dataset: Dataset, remarks: list[str]) -> tuple[Spacing | None, str | None]:
    """Pixel Spacing where it says more than the detector's, else the detector's, else a film scanner's (PS3.3 10.7.1.3)."""
    detector = _pair(dataset, "ImagerPixelSpacing", remarks)
    pixel = _pair(dataset, "PixelSpacing", remarks)
    if pixel is not None and pixel != detector:
        return pixel, "pixel_spacing"
    if detector is not None:
        return detector, "imager_pixel_spacing"
    film = _pair(dataset, "NominalScannedPixelSpacing", remarks)
    return film, "nominal_scanned_pixel_spacing" if film is not None else None


def _pair(dataset: Dataset, keyword: str, remarks: list[str]) -> Spacing | None:
    values = _numbers(dataset, keyword, remarks)
    if not values:
        return None
    if len(values) != 2 or min(values) <= 0:
        remarks.append(f"{keyword} is not two positive numbers")
        return None
    return values[0], values[1]


def _numbers(dataset: Dataset, keyword: str, remarks: list[str]) -> tuple[float, ...]:
    """Finite numbers of an attribute; none, with a remark, where they cannot be read."""
    try:
        value = dataset.get(keyword)
        values = [] if value is None or value == "" else list(value) if isinstance(value, MultiValue | list) else [value]
        numbers = tuple(float(number) for number in values)
    except (ValueError, TypeError, OverflowError):
        remarks.append(f"{keyword} is no number")
        return ()
    if not all(np.isfinite(numbers)):
        remarks.append(f"{keyword} is no finite number")
        return ()
    return numbers


def _text(dataset: Dataset, keyword: str) -> str | None:
    value = dataset.get(keyword)
    return str(value).strip() or None if value is not None else None


def _syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    stated = meta.get("TransferSyntaxUID") if meta is not None else None
    return str(stated or (ImplicitVRLittleEndian if dataset.original_encoding[0] else ExplicitVRLittleEndian))


def _laterality(dataset: Dataset) -> str | None:
    for keyword in ("ImageLaterality", "Laterality"):
        side = _LATERALITIES.get((_text(dataset, keyword) or "").upper())
        if side is not None:
            return side
    return None


def _view_items(dataset: Dataset) -> Sequence[Dataset]:
    return dataset.get("ViewCodeSequence") or ()


def _view(dataset: Dataset) -> str | None:
    stated = _text(dataset, "ViewPosition")
    if stated is not None:
        return stated.upper()
    codes = [_VIEW_CODES.get(str(item.get("CodeValue"))) for item in _view_items(dataset)]
    return next((code for code in codes if code is not None), None)


def _view_modifiers(dataset: Dataset) -> tuple[str, ...]:
    """Code meanings of the view's modifiers (magnification, spot compression, implant displaced ...)."""
    items = [modifier for item in _view_items(dataset) for modifier in item.get("ViewModifierCodeSequence") or ()]
    return tuple(str(item.get("CodeMeaning") or item.get("CodeValue")) for item in items)
