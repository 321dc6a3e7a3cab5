"""2-D images from files: every kind is read as stored, and what cannot be read is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from weakbox.imaging.projection import image_shape, projection_of, read_projection
from weakbox.records.errors import InputError
from weakbox.simulate.mammograms import TRANSFER_SYNTAXES, breast_phantom, eight_bit, skin_phantom, write_mammogram_dicom, write_picture

SPECIAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "dicom_special"
PIXELS, BOXES = breast_phantom(3, "R", "MLO", 2)


@pytest.mark.parametrize("transfer_syntax", sorted(TRANSFER_SYNTAXES))
@pytest.mark.parametrize("monochrome1", [False, True])
def test_every_lossless_transfer_syntax_gives_the_stored_values(tmp_path: Path, transfer_syntax: str, monochrome1: bool) -> None:
    path = tmp_path / "image"
    uid = write_mammogram_dicom(
        path, PIXELS, laterality="R", view="MLO", transfer_syntax=transfer_syntax, monochrome1=monochrome1, padding_value=0
    )
    read = read_projection(path, expected_shape=PIXELS.shape)
    np.testing.assert_array_equal(read.pixels, 4095 - PIXELS if monochrome1 else PIXELS)
    assert (read.format, read.laterality, read.view, read.sop_instance_uid) == ("dicom", "R", "MLO", uid)
    assert (read.spacing_mm, read.spacing_source, read.magnification) == ((0.07, 0.07), "imager_pixel_spacing", 1.0)
    assert read.presentation_intent == "FOR PRESENTATION"
    assert read.transfer_syntax == TRANSFER_SYNTAXES[transfer_syntax]
    assert read.display.padding == (0, 0)
    assert read.remarks == ()


def test_eight_bit_dicom_with_an_odd_number_of_bytes_is_read(tmp_path: Path) -> None:
    pixels = eight_bit(PIXELS)[:201, :101]
    write_mammogram_dicom(tmp_path / "image.dcm", pixels, bits=8)
    np.testing.assert_array_equal(read_projection(tmp_path / "image.dcm").pixels, pixels)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm", "npy"])
@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_give_the_stored_values(tmp_path: Path, ending: str, bits: int) -> None:
    path = tmp_path / f"image.{ending}"
    pixels = eight_bit(PIXELS) if bits == 8 else PIXELS << 4
    if ending == "npy":
        np.save(path, pixels)
    else:
        write_picture(path, pixels)
    read = read_projection(path)
    np.testing.assert_array_equal(read.pixels, pixels)
    assert read.pixels.dtype == pixels.dtype
    assert read.display.bits_stored == bits
    assert read.display.is_ready == (bits == 8)
    assert read.spacing_mm is None


def test_a_jpeg_is_close_to_what_was_written(tmp_path: Path) -> None:
    write_picture(tmp_path / "image.jpg", eight_bit(PIXELS))
    read = read_projection(tmp_path / "image.jpg")
    assert read.format == "jpeg"
    assert np.abs(read.pixels.astype(int) - eight_bit(PIXELS)).mean() < 2


def test_colour_stays_colour_and_grey_in_colour_becomes_grey(tmp_path: Path) -> None:
    rgb, _, _ = skin_phantom(1)
    write_picture(tmp_path / "skin.png", rgb)
    colour = read_projection(tmp_path / "skin.png")
    np.testing.assert_array_equal(colour.pixels, rgb)
    assert colour.is_colour
    write_picture(tmp_path / "grey.png", np.repeat(eight_bit(PIXELS)[..., None], 3, axis=2))
    grey = read_projection(tmp_path / "grey.png")
    np.testing.assert_array_equal(grey.pixels, eight_bit(PIXELS))
    assert grey.remarks == ("three equal channels are read as one",)


def test_palette_alpha_and_bilevel_pictures_are_read(tmp_path: Path) -> None:
    rgb, mask, _ = skin_phantom(1)
    Image.fromarray(rgb).quantize(64).save(tmp_path / "palette.png")
    assert np.abs(read_projection(tmp_path / "palette.png").pixels.astype(int) - rgb).mean() < 8
    Image.fromarray(rgb).convert("RGBA").save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_projection(tmp_path / "alpha.png").pixels, rgb)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_projection(tmp_path / "mask.png").pixels, mask * np.uint8(255))


def test_exif_orientation_is_reported_and_not_applied(tmp_path: Path) -> None:
    rgb, _, _ = skin_phantom(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    read = read_projection(tmp_path / "turned.jpg")
    assert read.shape == rgb.shape[:2]
    assert read.exif_orientation == 6
    assert "not applied" in read.remarks[0]


def test_numbers_of_other_kinds_keep_their_values_by_slope_and_intercept(tmp_path: Path) -> None:
    values = np.linspace(-3.5, 12.25, 600).reshape(20, 30)
    np.save(tmp_path / "float.npy", values)
    read = read_projection(tmp_path / "float.npy")
    np.testing.assert_allclose(read.pixels * read.display.slope + read.display.intercept, values, atol=(12.25 + 3.5) / 65535)
    whole = projection_of(np.array([[0, 4000]], dtype=np.int64))
    assert whole.pixels.dtype == np.uint16
    assert whole.pixels.tolist() == [[0, 4000]]


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 5)), np.zeros((2, 2, 2)), np.array([[1.0, np.nan]]), np.zeros((3, 3, 3), np.uint16), np.array([["a"]]), np.zeros(4)],
)
def test_arrays_that_are_no_image_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        projection_of(array)
    np.save(tmp_path / "array.npy", array)
    with pytest.raises(InputError, match=r"array\.npy"):
        read_projection(tmp_path / "array.npy")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="NumPy"):
        read_projection(tmp_path / "array.npy")


def changed(path: Path, **tags: Any) -> Path:
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("transfer_syntax", sorted(TRANSFER_SYNTAXES))
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, transfer_syntax: str, share: float) -> None:
    path = tmp_path / "cut.dcm"
    write_mammogram_dicom(path, PIXELS, transfer_syntax=transfer_syntax)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut\.dcm"):
        read_projection(path)


@pytest.mark.parametrize("transfer_syntax", ["jpeg2000", "jpeg_lossless"])
def test_a_compressed_stream_that_was_cut_off_inside_a_whole_file_is_refused(tmp_path: Path, transfer_syntax: str) -> None:
    path = tmp_path / "cut.dcm"
    write_mammogram_dicom(path, PIXELS, transfer_syntax=transfer_syntax)
    dataset = pydicom.dcmread(path)
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2 // 2 * 2]])
    dataset.save_as(path)
    with pytest.raises(InputError, match="cut off"):
        read_projection(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "pgm"])
def test_a_picture_that_was_cut_off_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"cut.{ending}"
    write_picture(path, eight_bit(PIXELS))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"cut.{ending}"):
        read_projection(path)


def test_files_that_are_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_projection(tmp_path / "absent.dcm")
    for name, content in {"empty.png": b"", "page.dcm": b"<html>busy</html>", "page.png": b"<html>busy</html>"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            read_projection(tmp_path / name)


def test_sizes_and_frames_that_are_not_expected_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS)
    with pytest.raises(InputError, match="its table states 320 x 240"):
        read_projection(path, expected_shape=(240, 320))
    with pytest.raises(InputError, match="2 frames"):
        read_projection(changed(path, NumberOfFrames=2))
    with pytest.raises(InputError, match="0 x 320"):
        read_projection(changed(path, NumberOfFrames=1, Columns=0))
    with pytest.raises(InputError, match="no pixels"):
        read_projection(changed(path, PixelData=None))


def test_messages_name_no_patient(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, patient_id="SECRET7")
    with pytest.raises(InputError) as caught:
        read_projection(changed(path, Columns=0))
    assert "SECRET7" not in str(caught.value)


def test_a_calibrated_spacing_wins_over_the_detectors(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, tags={"EstimatedRadiographicMagnificationFactor": "1.75", "ImagerPixelSpacing": [0.07, 0.1]})
    read = read_projection(path)
    assert read.spacing_mm == (0.07, 0.1)
    assert read.object_spacing_mm == pytest.approx((0.04, 0.1 / 1.75))
    calibrated = read_projection(changed(path, PixelSpacing=[0.05, 0.06]))
    assert (calibrated.spacing_mm, calibrated.spacing_source) == ((0.05, 0.06), "pixel_spacing")
    assert calibrated.object_spacing_mm == (0.05, 0.06)
    same = read_projection(changed(path, PixelSpacing=[0.07, 0.1]))
    assert same.spacing_source == "imager_pixel_spacing"
    film = read_projection(changed(path, PixelSpacing=None, ImagerPixelSpacing=None, NominalScannedPixelSpacing=[0.043, 0.043]))
    assert (film.spacing_mm, film.spacing_source) == ((0.043, 0.043), "nominal_scanned_pixel_spacing")


def test_spacing_that_is_none_is_left_out_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS)
    read = read_projection(changed(path, ImagerPixelSpacing=[0.0, 0.07]))
    assert read.spacing_mm is None
    assert read.remarks == ("ImagerPixelSpacing is not two positive numbers",)


def test_laterality_and_view_come_from_the_tags_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, laterality="R", view="MLO")
    read = read_projection(changed(path, ViewPosition=None, ImageLaterality=None, Laterality="RIGHT"))
    assert (read.laterality, read.view) == ("R", "MLO")
    write_mammogram_dicom(path, PIXELS, laterality=None, view=None)
    read = read_projection(path)
    assert (read.laterality, read.view) == (None, None)


def test_rgb_dicom_is_read_as_colour(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    rgb, _, _ = skin_phantom(1)
    write_mammogram_dicom(path, eight_bit(PIXELS), bits=8)
    changed(
        path,
        PhotometricInterpretation="RGB",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        Rows=rgb.shape[0],
        Columns=rgb.shape[1],
        PixelData=rgb.tobytes(),
    )
    np.testing.assert_array_equal(read_projection(path).pixels, rgb)


def test_bits_above_the_stored_ones_do_not_reach_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS)
    dirty = PIXELS.copy()
    dirty[5:9, 7:20] |= 0x8000
    read = read_projection(changed(path, PixelData=dirty.tobytes()))
    np.testing.assert_array_equal(read.pixels, pydicom.dcmread(path).pixel_array)
    np.testing.assert_array_equal(read.pixels[0:5], PIXELS[0:5])


REAL = ("wg04/MR1_J2KR.dcm", "wg04/MR1_RLE.dcm", "wg04/MR4_JPLL.dcm", "wg04/MR4_JLSL.dcm", "dcm4che/MR-JPEGLosslessSV1.dcm",
        "pydicom-data/vlut_04.dcm", "pydicom-data/mlut_18.dcm", "gdcm-CR-MONO1-10-chest.dcm", "highdicom/dx_image.dcm")  # fmt: skip


@pytest.mark.shared
@pytest.mark.skipif(not SPECIAL.is_dir(), reason="needs the sample data beside the checkout")
@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_as_pydicom_reads_them(name: str) -> None:
    np.testing.assert_array_equal(read_projection(SPECIAL / name).pixels, pydicom.dcmread(SPECIAL / name).pixel_array)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not SPECIAL.is_dir(), reason="needs the sample data beside the checkout")
def test_a_12_bit_jpeg_shows_what_its_jpeg_2000_twin_shows() -> None:
    twin = read_projection(SPECIAL / "wg04/MG1_J2KI.dcm").pixels.astype(np.float64)
    read = read_projection(SPECIAL / "wg04/MG1_JPLY.dcm")
    assert np.abs(read.pixels - twin).mean() < 20
    assert np.corrcoef(read.pixels[::7, ::7].ravel(), twin[::7, ::7].ravel())[0, 1] > 0.999


def test_a_shape_is_told_without_the_pixels(tmp_path: Path) -> None:
    for name in ("image.dcm", "image.png", "image.tif", "image.npy"):
        path = tmp_path / name
        if name.endswith("dcm"):
            write_mammogram_dicom(path, PIXELS, transfer_syntax="jpeg2000")
        elif name.endswith("npy"):
            np.save(path, PIXELS)
        else:
            write_picture(path, PIXELS)
        assert image_shape(path) == PIXELS.shape == read_projection(path).shape
    (tmp_path / "page.png").write_bytes(b"<html>")
    (tmp_path / "page.dcm").write_bytes(b"<html>")
    for name in ("page.png", "page.dcm", "absent.png"):
        with pytest.raises(InputError, match=name):
            image_shape(tmp_path / name)


def test_a_dicom_file_without_preamble_or_ending_is_read(tmp_path: Path) -> None:
    write_mammogram_dicom(tmp_path / "image.dcm", PIXELS, transfer_syntax="implicit")
    dataset = pydicom.dcmread(tmp_path / "image.dcm")
    del dataset.file_meta, dataset.preamble
    dataset.save_as(tmp_path / "bare", implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert (tmp_path / "bare").read_bytes()[:2] == b"\x08\x00"
    np.testing.assert_array_equal(read_projection(tmp_path / "bare").pixels, PIXELS)
    assert image_shape(tmp_path / "bare") == PIXELS.shape
