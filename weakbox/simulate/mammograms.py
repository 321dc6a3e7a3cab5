"""2-D phantoms with planted lesions: mammograms and dermatoscopic images, and files of the kinds that datasets hold.

Every phantom is asymmetric (chest wall on one side, a side marker on the other, tissue that differs above and below), so that a
flipped or transposed image is another image. Arrays are numpy [row, column]; boxes are half-open pixel boxes
``(x0, y0, x1, y1)`` of the array, x = column. Everything follows from the seed; UIDs follow from the content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from weakbox.simulate.draws import Draws, content_uid

Rectangle = tuple[float, float, float, float]
"""``(x0, y0, x1, y1)``: columns x0..x1 and rows y0..y1, half-open, in pixels of the stored image."""

MAMMOGRAM_SHAPE = (320, 240)
SKIN_SHAPE = (180, 240)
FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
"""Digital Mammography X-Ray Image Storage - For Presentation (DICOM PS3.6 table A-1)."""
TRANSFER_SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg_lossless": "1.2.840.10008.1.2.4.70",
    "jpeg2000": "1.2.840.10008.1.2.4.90",
}
_WHITE_12_BIT = 4095
_AIR, _FAT, _GLAND, _MUSCLE, _LESION, _MARKER = 40.0, 1100.0, 700.0, 2500.0, 900.0, 4000.0
_VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
_ORIENTATIONS = {("L", "CC"): ["A", "R"], ("R", "CC"): ["P", "L"], ("L", "MLO"): ["A", "F"], ("R", "MLO"): ["P", "F"]}
_LETTERS = {
    "L": ("1000", "1000", "1000", "1000", "1111"),
    "R": ("1110", "1001", "1110", "1010", "1001"),
    "C": ("0111", "1000", "1000", "1000", "0111"),
    "M": ("1001", "1111", "1111", "1001", "1001"),
    "O": ("0110", "1001", "1001", "1001", "0110"),
}


def breast_phantom(
    seed: int, laterality: str = "L", view: str = "CC", lesions: int | Sequence[Rectangle] = 1, *, shape: tuple[int, int] = MAMMOGRAM_SHAPE
) -> tuple[NDArray[np.uint16], list[Rectangle]]:
    """A 12-bit mammogram (MONOCHROME2, 0..4095) and the boxes of its lesions.

    A left breast has its chest wall at the left edge, a right one at the right edge. ``lesions`` is how many to plant inside
    the breast, or their boxes (whole numbers); each lesion is the ellipse that touches all four sides of its box
    (see ``ellipse_mask``). A marker such as ``LCC`` lies in the upper corner away from the chest wall.
    """
    rows = shape[0]
    down, along = _coordinates(shape, laterality)
    breast = _breast(down, along, view)
    texture = _smooth_noise(seed, shape, max(8, rows // 16))
    image = np.where(breast, _FAT + _GLAND * (0.5 + 0.5 * texture) * (1.0 - along), np.float32(_AIR))
    if view == "MLO":
        image[(down < 0.45) & (along < 0.30 * (1.0 - down / 0.45))] = _MUSCLE
    boxes = _planted(seed, breast & (down < 0.9), lesions, laterality, view) if isinstance(lesions, int) else list(lesions)
    for box in boxes:
        image[ellipse_mask(shape, box)] += _LESION
    _stamp_marker(image, laterality, view)
    noise = np.random.default_rng(_entropy(seed, laterality, view)).standard_normal(shape, dtype=np.float32)
    image += noise * np.where(breast, np.float32(18.0), np.float32(6.0))
    return np.clip(np.rint(image), 0, _WHITE_12_BIT).astype(np.uint16), boxes


def skin_phantom(
    seed: int, *, shape: tuple[int, int] = SKIN_SHAPE, hairs: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Rectangle]:
    """A dermatoscopic image [row, column, RGB], the mask of its one pigmented lesion, and the box of the mask.

    ``hairs`` dark lines lie over it; the same seed without hairs is the same skin.
    """
    rows, columns = shape
    draws = Draws("skin", seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    centre_x, centre_y = draws.uniform(0.38, 0.62) * columns, draws.uniform(0.38, 0.62) * rows
    angle = np.arctan2(y - centre_y, x - centre_x)
    radius = min(shape) * draws.uniform(0.16, 0.26)
    outline = radius * (1.0 + 0.22 * np.cos(angle + draws.uniform(0, 6)) + 0.12 * np.sin(3 * angle + draws.uniform(0, 6)))
    mask = np.hypot((x - centre_x) / 1.25, y - centre_y) < outline
    texture = _smooth_noise(seed, shape, max(6, rows // 20))[..., None]
    skin = np.array([214.0, 164.0, 142.0], np.float32) + 10.0 * texture + 14.0 * (x / columns)[..., None]
    pigment = np.array([96.0, 58.0, 44.0], np.float32) + 22.0 * texture
    image = np.where(mask[..., None], pigment, skin)
    for _ in range(hairs):
        _draw_hair(image, draws)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask, box_of(mask)


def ellipse_mask(shape: tuple[int, int], box: Rectangle) -> NDArray[np.bool_]:
    """The pixels whose centres lie in the ellipse inscribed in a box, [row, column]; they touch all four sides of a whole-number box."""
    x0, y0, x1, y1 = box
    y, x = np.ogrid[0 : shape[0], 0 : shape[1]]
    across = (x + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2)
    down = (y + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)
    return np.asarray(across**2 + down**2 <= 1.0)


def box_of(mask: NDArray[Any]) -> Rectangle:
    """The smallest box that holds all non-zero pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _coordinates(shape: tuple[int, int], laterality: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Height 0..1 from the top, and depth 0..1 from the chest wall, each [row, column]."""
    down = np.linspace(0.0, 1.0, shape[0], dtype=np.float32)[:, None]
    along = np.linspace(0.0, 1.0, shape[1], dtype=np.float32)[None, :]
    along = along if laterality == "L" else along[:, ::-1]
    first, second = np.broadcast_arrays(down, along)
    return first, second


def _breast(down: NDArray[np.float32], along: NDArray[np.float32], view: str) -> NDArray[np.bool_]:
    middle, upper, lower, depth = (0.47, 0.36, 0.42, 0.66) if view == "CC" else (0.58, 0.54, 0.36, 0.70)
    height = np.where(down < middle, (middle - down) / upper, (down - middle) / lower)
    return np.asarray((height**2 + (along / depth) ** 2 < 1.0) | ((view == "MLO") & (down < middle) & (along < 0.24)))


def _planted(seed: int, inside: NDArray[np.bool_], count: int, laterality: str, view: str) -> list[Rectangle]:
    """Boxes that lie inside and do not touch each other."""
    rows, columns = inside.shape
    draws = Draws("lesions", seed, laterality, view)
    free = inside.copy()
    boxes: list[Rectangle] = []
    while len(boxes) < count:
        width, height = (max(6, int(draws.uniform(0.05, 0.10) * rows)) for _ in range(2))
        x, y = draws.whole(0, columns - width), draws.whole(int(0.2 * rows), rows - height)
        if free[y : y + height, x : x + width].all():
            boxes.append((float(x), float(y), float(x + width), float(y + height)))
            free[max(0, y - 3) : y + height + 3, max(0, x - 3) : x + width + 3] = False
    return boxes


def _stamp_marker(image: NDArray[np.floating], laterality: str, view: str) -> None:
    """Letters of lead in the upper corner away from the chest wall."""
    rows, columns = image.shape
    dot = max(1, rows // 160)
    text = np.concatenate([np.pad(_letter(letter), ((0, 0), (0, 1))) for letter in (laterality, *view)], axis=1)
    stamp = np.kron(text, np.ones((dot, dot), dtype=bool))
    top = rows // 32
    left = columns - stamp.shape[1] - columns // 24 if laterality == "L" else columns // 24
    image[top : top + stamp.shape[0], left : left + stamp.shape[1]][stamp] = _MARKER


def _letter(letter: str) -> NDArray[np.bool_]:
    return np.array([[dot == "1" for dot in line] for line in _LETTERS[letter]])


def _smooth_noise(seed: int, shape: tuple[int, int], grain: int) -> NDArray[np.float32]:
    """Smooth texture, about -1..1, [row, column]."""
    coarse = np.random.default_rng(_entropy(seed, "texture")).uniform(-1.0, 1.0, (shape[0] // grain + 4, shape[1] // grain + 4))
    return np.asarray(ndimage.zoom(coarse.astype(np.float32), grain, order=1)[: shape[0], : shape[1]], dtype=np.float32)


def _entropy(*name: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, name)).encode()).digest()[:8], "big")


def _draw_hair(image: NDArray[np.floating], draws: Draws) -> None:
    rows, columns = image.shape[:2]
    steps = np.linspace(0.0, 1.0, 4 * max(rows, columns))
    start, end = draws.uniform(0, rows - 1), draws.uniform(0, rows - 1)
    bend = draws.uniform(-0.15, 0.15) * rows
    y = start + (end - start) * steps + bend * np.sin(np.pi * steps)
    x = steps * (columns - 1)
    for offset in (0, 1):
        image[np.clip(np.rint(y).astype(int) + offset, 0, rows - 1), np.rint(x).astype(int)] = (28.0, 22.0, 20.0)


def eight_bit(array: NDArray[np.integer], bits: int = 12) -> NDArray[np.uint8]:
    """The upper eight bits of an array of ``bits`` bits: what a JPEG or an 8-bit PNG mirror of a mammogram holds."""
    return np.asarray(array >> (bits - 8)).astype(np.uint8)


def write_picture(path: Path, array: NDArray[Any]) -> None:
    """Write PNG, TIFF, PGM (uint8, uint16, bool as 0/255, or RGB uint8) or JPEG (uint8) as the ending of the path says."""
    pixels = array.astype(np.uint8) * 255 if array.dtype == np.bool_ else array
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        picture.save(path, quality=95)
    else:
        picture.save(path)


def write_mammogram_dicom(
    path: Path,
    array: NDArray[np.integer],
    *,
    laterality: str | None = "L",
    view: str | None = "CC",
    patient_id: str = "PHANTOM",
    bits: int = 12,
    spacing_mm: float = 0.07,
    transfer_syntax: str = "explicit",
    monochrome1: bool = False,
    voi: str = "window",
    padding_value: int | None = None,
    tags: Mapping[str, Any] | None = None,
) -> str:
    """Write a mammogram For Presentation; returns its SOP Instance UID, which follows from content and file name.

    ``array`` is what white-on-black display shows: with ``monochrome1`` the stored values are its complement. ``voi`` is
    ``window``, ``linear_exact``, ``sigmoid``, ``lut`` (a VOI LUT Sequence), or ``none``. ``transfer_syntax`` is a key of
    ``TRANSFER_SYNTAXES``. ``padding_value`` only writes the tag (as it is stored). ``tags`` sets further attributes
    by keyword, last (``StudyInstanceUID``, ``SOPInstanceUID``, ``SOPClassUID``, ...).
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    stored = ((1 << bits) - 1 - array if monochrome1 else array).astype("<u2" if bits > 8 else np.uint8)
    meta = FileMetaDataset()
    is_implicit = transfer_syntax == "implicit"
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    _put_study(dataset, patient_id, content_uid("mammogram", digest, patient_id, path.name))
    _put_projection(dataset, laterality, view, spacing_mm)
    _put_pixels(dataset, stored, bits, "MONOCHROME1" if monochrome1 else "MONOCHROME2")
    _put_voi(dataset, voi, bits)
    if padding_value is not None:
        dataset.add_new(0x00280120, "US", padding_value)
    for keyword, value in (tags or {}).items():
        setattr(dataset, keyword, value)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    if transfer_syntax in ("jpeg2000", "rle"):
        dataset.compress(UID(TRANSFER_SYNTAXES[transfer_syntax]), generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    if transfer_syntax == "jpeg_lossless":
        _recompress(path, TRANSFER_SYNTAXES[transfer_syntax])
    return str(dataset.SOPInstanceUID)


def _put_study(dataset: Any, patient_id: str, instance_uid: str) -> None:
    dataset.SOPClassUID, dataset.SOPInstanceUID = FOR_PRESENTATION, instance_uid
    dataset.StudyInstanceUID = content_uid("mammogram study", patient_id)
    dataset.SeriesInstanceUID = content_uid("mammogram series", instance_uid)
    dataset.PatientID, dataset.PatientName = patient_id, f"PHANTOM^{patient_id}"
    dataset.PatientBirthDate, dataset.PatientSex = "", "F"
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.Manufacturer, dataset.Modality = "Weakbox phantom", "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"


def _put_projection(dataset: Any, laterality: str | None, view: str | None, spacing_mm: float) -> None:
    from pydicom.dataset import Dataset

    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.BodyPartExamined = "BREAST"
    if laterality is not None:
        dataset.ImageLaterality = laterality
    if view is not None:
        dataset.ViewPosition = view
        code = Dataset()
        code.CodeValue, code.CodeMeaning = _VIEW_CODES[view]
        code.CodingSchemeDesignator = "SCT"
        code.ViewModifierCodeSequence = []
        dataset.ViewCodeSequence = [code]
    if laterality is not None and view is not None:
        dataset.PatientOrientation = _ORIENTATIONS[laterality, view]
    dataset.ImagerPixelSpacing = [spacing_mm, spacing_mm]
    dataset.EstimatedRadiographicMagnificationFactor = "1.0"


def _put_pixels(dataset: Any, stored: NDArray[Any], bits: int, photometric: str) -> None:
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * stored.itemsize, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)


def _put_voi(dataset: Any, voi: str, bits: int) -> None:
    from pydicom.dataset import Dataset

    levels = 1 << bits
    if voi in ("window", "linear_exact", "sigmoid"):
        dataset.WindowCenter, dataset.WindowWidth = str(levels // 2), str(levels)
        function = {"window": "LINEAR", "linear_exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}[voi]
        dataset.VOILUTFunction = function
    elif voi == "lut":
        item = Dataset()
        # A curve, not a line: a reader that ignores it is seen to.
        table = np.rint((np.arange(levels) / (levels - 1)) ** 1.7 * (levels - 1)).astype("<u2")
        item.add_new(0x00283002, "US", [levels, 0, 16 if bits > 8 else 8])
        item.LUTDescriptor = [levels, 0, bits]
        item.LUTExplanation = "NORMAL"
        item.add_new(0x00283006, "OW", table.tobytes())
        dataset.VOILUTSequence = [item]
    elif voi != "none":
        msg = f"voi is window, linear_exact, sigmoid, lut or none, got {voi}"
        raise ValueError(msg)


def _recompress(path: Path, transfer_syntax: str) -> None:
    """Lossless JPEG, which only GDCM writes."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(transfer_syntax)))
    change.SetInput(reader.GetImage())
    change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.Write()
