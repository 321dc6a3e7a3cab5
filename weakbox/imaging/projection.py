"""One 2-D image from a file (DICOM, PNG, JPEG, TIFF, PGM, NumPy): its stored pixels, and what is known of them.

Pixels keep the rows and columns that the file stores: annotations count stored pixels, so an EXIF orientation is reported
and never applied. Pixels are decoded once.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from weakbox.imaging.image_frames import Shape, Spacing
from weakbox.imaging.projection_image import RGB, Projection, unusable
from weakbox.imaging.projection_voi import DisplayHeader

LARGEST_PIXELS = 400_000_000
"""An image that states more is taken for damaged or hostile: the largest film scans have 30 million."""
_DICOM_MARK = slice(128, 132)
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
_NUMPY_MARK = b"\x93NUMPY"
_EXIF_ORIENTATION = 0x0112
_PICTURE_ERRORS = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError)
"""What Pillow raises on damaged files of the formats above."""
_GREY_MODES = ("1", "L", "I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def read_projection(path: str | Path, *, expected_shape: Shape | None = None) -> Projection:
    """Read a 2-D image of any of the formats above, told apart by content.

    ``expected_shape`` is (rows, columns) as a data set's table states them.

    Raises:
        InputError: the file is missing, damaged, cut off, empty, holds several frames or another size than expected.
    """
    content = _content(Path(path))
    if _looks_like_dicom(Path(path), content):
        from weakbox.imaging.projection_dicom import read_dicom_projection

        projection = read_dicom_projection(Path(path), content)
    elif content[:6] == _NUMPY_MARK:
        projection = _read_array(Path(path), content)
    else:
        projection = _read_picture(Path(path), content)
    if expected_shape is not None and projection.shape != tuple(expected_shape):
        rows, columns = projection.shape
        raise unusable(
            path,
            f"it has {columns} x {rows} pixels (columns x rows), its table states {expected_shape[1]} x {expected_shape[0]}",
            "fetch the file again or correct the table: boxes would not fit",
        )
    return projection


def image_shape(path: str | Path) -> Shape:
    """Rows and columns as the header states them, without reading the pixels: quick, and no promise that they are whole.

    Raises:
        InputError: the file is missing or no image.
    """
    source = Path(path)
    try:
        with source.open("rb") as stream:
            head = stream.read(256)
    except OSError as error:
        raise unusable(path, f"cannot be read ({error.strerror or type(error).__name__})", "check the path and its rights") from error
    if _looks_like_dicom(source, head):
        from weakbox.imaging.projection_dicom import dicom_shape

        return dicom_shape(source)
    try:
        if head[:6] == _NUMPY_MARK:
            shape = np.load(source, mmap_mode="r", allow_pickle=False).shape
            return int(shape[0]), int(shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source) as picture:
                return picture.height, picture.width
    except (*_PICTURE_ERRORS, IndexError) as error:
        raise unusable(path, f"no image ({type(error).__name__})", "fetch it again") from error


def _looks_like_dicom(path: Path, content: bytes) -> bool:
    """By the mark, by a first group of a file without preamble, or by name."""
    return content[_DICOM_MARK] == b"DICM" or content[:2] in _FIRST_GROUPS or path.suffix.lower() in (".dcm", ".dicom")


def projection_of(pixels: NDArray[Any], *, spacing_mm: Spacing | None = None, file_format: str = "numpy") -> Projection:
    """A projection of an array [row, column] or [row, column, RGB].

    Whole numbers of up to 16 bits stay as they are; others are put on 65,536 levels, with slope and intercept in ``display``.

    Raises:
        ValueError: another shape, no pixel, colour that is not uint8, or values that are no numbers.
    """
    if pixels.size == 0 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and (pixels.shape[2] != 3 or pixels.dtype != np.uint8)):
        msg = f"expected [row, column] or [row, column, RGB] of uint8, got {pixels.dtype} of shape {pixels.shape}"
        raise ValueError(msg)
    if pixels.ndim == 3:
        is_grey = _is_grey(pixels)
        return Projection(
            pixels=np.ascontiguousarray(pixels[..., 0]) if is_grey else pixels,
            display=DisplayHeader(photometric="MONOCHROME2" if is_grey else RGB, is_ready=True),
            format=file_format,
            spacing_mm=spacing_mm,
            remarks=("three equal channels are read as one",) if is_grey else (),
        )
    stored, display = _stored(pixels)
    return Projection(pixels=stored, display=display, format=file_format, spacing_mm=spacing_mm)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unusable(path, f"cannot be read ({error.strerror or type(error).__name__})", "check the path and its rights") from error
    if not content:
        raise unusable(path, "the file is empty", "fetch it again")
    return content


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    first = pixels[..., 0]
    return bool(np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2]))


def _stored(pixels: NDArray[Any]) -> tuple[NDArray[Any], DisplayHeader]:
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255, DisplayHeader(is_ready=True)
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels, DisplayHeader(bits_stored=8 * pixels.itemsize, is_ready=pixels.dtype == np.uint8)
    if pixels.dtype in (np.int8, np.int16):
        return pixels, DisplayHeader(bits_stored=8 * pixels.itemsize, is_signed=True)
    if pixels.dtype.kind not in "iuf":
        msg = f"expected numbers, got {pixels.dtype}"
        raise ValueError(msg)
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        msg = "expected finite values, found NaN or infinity"
        raise ValueError(msg)
    if pixels.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return pixels.astype(np.uint16), DisplayHeader(bits_stored=16)
    slope = (high - low) / 65535 or 1.0
    return np.rint((pixels - low) / slope).astype(np.uint16), DisplayHeader(bits_stored=16, slope=slope, intercept=low)


def _read_array(path: Path, content: bytes) -> Projection:
    try:
        return projection_of(np.load(io.BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise unusable(path, f"not a usable NumPy array ({error})", "write [row, column] or [row, column, RGB] with numpy.save") from error


def _read_picture(path: Path, content: bytes) -> Projection:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as picture:
                return _projection_of_picture(path, picture)
    except _PICTURE_ERRORS as error:
        advice = "fetch it again; DICOM, PNG, JPEG, TIFF, PGM and .npy are read"
        raise unusable(path, f"no image that can be decoded ({type(error).__name__})", advice) from error


def _projection_of_picture(path: Path, picture: Image.Image) -> Projection:
    file_format = (picture.format or "").lower()
    frames = getattr(picture, "n_frames", 1)
    if picture.width * picture.height > LARGEST_PIXELS:
        raise unusable(path, f"it states {picture.width} x {picture.height} pixels", "fetch it again: no mammogram is as large")
    if frames != 1 and file_format != "mpo":
        raise unusable(path, f"it holds {frames} frames", "save one frame a file")
    orientation = picture.getexif().get(_EXIF_ORIENTATION)
    read = projection_of(_picture_pixels(path, picture), file_format=file_format)
    remarks = list(read.remarks)
    if orientation not in (None, 1):
        remarks.append(f"EXIF orientation {orientation} is not applied: boxes count stored pixels")
    return Projection(
        pixels=read.pixels,
        display=read.display,
        format=file_format,
        exif_orientation=int(orientation) if isinstance(orientation, int) else None,
        remarks=tuple(remarks),
    )


def _picture_pixels(path: Path, picture: Image.Image) -> NDArray[Any]:
    if picture.mode in _COLOUR_MODES:
        return np.asarray(picture.convert("RGB"))
    if picture.mode == "LA":
        return np.asarray(picture.convert("L"))
    if picture.mode in _GREY_MODES:
        return np.asarray(picture)
    raise unusable(path, f"pixels of an unknown kind ({picture.mode})", "save it as grey or RGB")
