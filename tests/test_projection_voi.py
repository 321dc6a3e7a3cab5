"""Values of interest: what a display shows, in the order of DICOM PS3.3 C.11, beside pydicom's own functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from weakbox.imaging.projection import projection_of, read_projection
from weakbox.imaging.projection_voi import (
    DisplayHeader,
    DisplayUsed,
    LookupTable,
    VoiFunction,
    VoiMethod,
    VoiSettings,
    Window,
    display_table,
    window_curve,
)
from weakbox.records.errors import InputError
from weakbox.simulate.mammograms import breast_phantom, eight_bit, skin_phantom, write_mammogram_dicom

SPECIAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "dicom_special"
pytestmark = pytest.mark.filterwarnings("ignore:Applying a VOI LUT on a float", "ignore:overflow encountered in exp")  # pydicom's
PIXELS, _ = breast_phantom(7, "L", "CC", 2)


def shown(path: Path, choice: VoiSettings | None = None) -> tuple[NDArray[Any], DisplayUsed]:
    read = read_projection(path)
    table = display_table(read.pixels, read.display, choice or VoiSettings())
    return table(read.pixels), table.used


def by_pydicom(path: Path, index: int = 0, bits: int = 8) -> NDArray[np.float64]:
    """pydicom's VOI of the whole range that the output can have, as 0..255 or 0..65535, MONOCHROME1 inverted last."""
    dataset = pydicom.dcmread(path)
    modality = apply_modality_lut(dataset.pixel_array, dataset)
    output = apply_voi_lut(modality, dataset, index=index).astype(np.float64)
    if dataset.get("VOILUTSequence"):
        low, high = 0.0, float((1 << dataset.VOILUTSequence[index].LUTDescriptor[2]) - 1)
    else:
        stored = (1 << dataset.BitsStored) - 1
        start = -(1 << (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        low, high = start * slope + intercept, (start + stored) * slope + intercept
    share = (output - low) / (high - low)
    share = 1.0 - share if dataset.PhotometricInterpretation == "MONOCHROME1" else share
    return share * ((1 << bits) - 1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("monochrome1", [False, True])
@pytest.mark.parametrize("voi", ["window", "linear_exact", "sigmoid", "lut"])
def test_all_kinds_of_voi_are_shown_as_pydicom_shows_them(tmp_path: Path, voi: str, monochrome1: bool, bits: int) -> None:
    path = tmp_path / "image.dcm"
    narrow = {"WindowCenter": "1500.5", "WindowWidth": "1201"} if voi != "lut" else {}
    write_mammogram_dicom(path, PIXELS, voi=voi, monochrome1=monochrome1, tags=narrow)
    picture, used = shown(path, VoiSettings(bits=bits))
    assert picture.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_allclose(picture, by_pydicom(path, bits=bits), atol=0.51)
    assert used.method == ("voi_lut" if voi == "lut" else "window")
    assert used.is_inverted == monochrome1


def test_a_lut_wins_over_a_window(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, voi="lut", tags={"WindowCenter": "100", "WindowWidth": "10"})
    picture, used = shown(path)
    assert used.method == "voi_lut"
    assert used.reason == "VOI LUT Sequence, before the window"
    np.testing.assert_allclose(picture, by_pydicom(path), atol=0.51)


def test_monochrome1_and_2_of_one_breast_are_one_picture(tmp_path: Path) -> None:
    write_mammogram_dicom(tmp_path / "one.dcm", PIXELS, monochrome1=True, tags={"WindowCenter": "2048", "WindowWidth": "4096"})
    write_mammogram_dicom(tmp_path / "two.dcm", PIXELS)
    one, two = shown(tmp_path / "one.dcm")[0].astype(int), shown(tmp_path / "two.dcm")[0].astype(int)
    assert np.abs(one - two).max() <= 1
    assert one[-1, -1] < 10  # the air is dark in both


def test_inverting_before_the_window_would_be_another_picture(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, monochrome1=True, tags={"WindowCenter": "3000", "WindowWidth": "800"})
    picture, _ = shown(path)
    curve = window_curve(Window(centre=3000, width=800), VoiFunction.LINEAR)
    too_early = np.rint(np.clip(curve(PIXELS.astype(np.float64)), 0, 1) * 255)
    assert np.abs(picture - too_early).mean() > 50
    np.testing.assert_allclose(picture, by_pydicom(path), atol=0.51)


def test_one_of_several_windows_is_chosen_by_number_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    several = {"WindowCenter": ["2000", "1500"], "WindowWidth": ["4000", "800"], "WindowCenterWidthExplanation": ["NORMAL", "HARDER"]}
    write_mammogram_dicom(path, PIXELS, tags=several)
    assert (shown(path)[1].centre, shown(path)[1].explanation) == (2000, "NORMAL")
    for wanted in (1, "harder"):
        picture, used = shown(path, VoiSettings(window=wanted))
        assert (used.centre, used.width, used.remarks) == (1500, 800, ())
        np.testing.assert_allclose(picture, by_pydicom(path, index=1), atol=0.51)
    for wanted in (2, "SOFTER"):
        used = shown(path, VoiSettings(window=wanted))[1]
        assert used.centre == 2000
        assert "the first was used" in used.remarks[0]


def test_without_a_window_percentiles_are_used_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, voi="none")
    picture, used = shown(path)
    assert (used.method, used.reason) == ("percentile", "the header has no window")
    assert used.centre is not None
    assert used.width is not None
    inside = PIXELS[PIXELS.min() < PIXELS]
    low, high = np.percentile(inside, (1.0, 99.5))
    assert (used.centre - used.width / 2, used.centre + used.width / 2) == pytest.approx((low, high))
    assert picture.min() == 0
    assert picture.max() == 255


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"WindowCenter": "9000", "WindowWidth": "100"}, "every pixel black"),
        ({"WindowCenter": "2000", "WindowWidth": "0"}, "no width"),
        ({"WindowCenter": "", "WindowWidth": ""}, "no window"),
    ],
)
def test_a_window_that_shows_nothing_gives_way_to_percentiles(tmp_path: Path, tags: dict[str, str], reason: str) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, tags=tags)
    picture, used = shown(path)
    assert used.method == "percentile"
    assert reason in used.reason
    assert np.ptp(picture) == 255


def test_padding_is_background_in_either_polarity(tmp_path: Path) -> None:
    for monochrome1 in (False, True):
        padded = PIXELS.copy()
        padded[:, -40:] = 4095 - 5 if monochrome1 else 5
        path = tmp_path / f"{monochrome1}.dcm"
        write_mammogram_dicom(path, padded, monochrome1=monochrome1, padding_value=5, voi="none")
        picture, _ = shown(path)
        assert (picture[:, -40:] == 0).all()
        # Padding takes no part in the percentiles.
        plain = tmp_path / "plain.dcm"
        write_mammogram_dicom(plain, padded[:, :-40], monochrome1=monochrome1, voi="none")
        np.testing.assert_allclose(shown(plain)[1].width, shown(path)[1].width, rtol=0.02)


def test_a_range_of_padding_values_is_background() -> None:
    header = DisplayHeader(bits_stored=12, padding=(10, 20), windows=(Window(centre=20, width=40),))
    picture = display_table(np.arange(40, dtype=np.uint16)[None], header, VoiSettings())(np.arange(40, dtype=np.uint16))
    assert (picture[10:21] == 0).all()
    assert picture[9] > 0
    assert picture[21] > 0


def test_pictures_for_a_display_are_not_windowed_unless_asked() -> None:
    grey = projection_of(eight_bit(PIXELS))
    table = display_table(grey.pixels, grey.display, VoiSettings())
    np.testing.assert_array_equal(table(grey.pixels), grey.pixels)
    assert table.used.method == "full_range"
    asked = display_table(grey.pixels, grey.display, VoiSettings(method=VoiMethod.PERCENTILE))
    assert (asked.used.method, asked.used.reason) == ("percentile", "asked for")
    film = projection_of(PIXELS << 4)
    assert display_table(film.pixels, film.display, VoiSettings()).used.method == "percentile"
    assert display_table(film.pixels, film.display, VoiSettings(method=VoiMethod.FULL_RANGE)).used.width == 65535


def test_masks_and_constant_images_have_a_picture() -> None:
    header = DisplayHeader(bits_stored=16)
    mask = np.zeros((20, 20), np.uint16)
    mask[3:6, 2:9] = 1
    table = display_table(mask, header, VoiSettings())
    np.testing.assert_array_equal(table(mask), mask * 255)
    flat = np.full((20, 20), 77, np.uint16)
    assert np.ptp(display_table(flat, header, VoiSettings())(flat)) == 0


def test_a_dark_lut_is_remarked() -> None:
    table = LookupTable(first=0, bits=16, values=np.arange(4096).astype(np.uint16))
    used = display_table(PIXELS, DisplayHeader(bits_stored=12, voi_luts=(table,)), VoiSettings()).used
    assert "less than half" in used.remarks[0]


@settings(max_examples=60)
@given(
    st.sampled_from(list(VoiFunction)),
    st.floats(-500, 5000),
    st.floats(1, 5000),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(-1024, 100),
    st.booleans(),
)
def test_windows_with_rescale_and_signed_values_are_pydicoms(
    function: VoiFunction, centre: float, width: float, slope: float, intercept: int, is_signed: bool
) -> None:
    stored = np.arange(-2048 if is_signed else 0, 2048 if is_signed else 4096, 3)
    dataset = Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 12, int(is_signed)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = round(centre, 2), round(width, 2), str(function)
    low, high = (dataset.RescaleIntercept + slope * value for value in ((-2048, 2047) if is_signed else (0, 4095)))
    expected = (apply_voi_lut(apply_modality_lut(stored, dataset), dataset) - low) / (high - low) * 255
    header = DisplayHeader(
        bits_stored=12,
        is_signed=is_signed,
        slope=slope,
        intercept=intercept,
        windows=(Window(centre=round(centre, 2), width=round(width, 2)),),
        function=function,
    )
    array = stored.astype(np.int16 if is_signed else np.uint16)[None]
    table = display_table(array, header, VoiSettings())
    if table.used.method == "window":
        np.testing.assert_allclose(table(array)[0], expected, atol=0.51)


def test_the_output_never_falls_while_the_stored_value_rises() -> None:
    for function in VoiFunction:
        header = DisplayHeader(bits_stored=12, windows=(Window(centre=2000, width=1500),), function=function)
        values = display_table(PIXELS, header, VoiSettings(bits=16)).values.astype(int)
        assert (np.diff(values) >= 0).all()


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in (VoiSettings(bits=12), VoiSettings(lower_percentile=99, upper_percentile=1)):
        with pytest.raises(ValueError, match="expected"):
            display_table(PIXELS, DisplayHeader(bits_stored=12), wrong)


def test_colour_needs_no_table() -> None:
    rgb, _, _ = skin_phantom(1)
    assert projection_of(rgb).display.is_ready


def test_a_lut_of_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    write_mammogram_dicom(path, PIXELS, voi="lut")
    dataset = pydicom.dcmread(path)
    dataset.VOILUTSequence[0].LUTData = dataset.VOILUTSequence[0].LUTData[:100]
    dataset.save_as(path)
    with pytest.raises(InputError, match="VOILUTSequence cannot be read"):
        read_projection(path)


REAL = ("pydicom-data/vlut_04.dcm", "gdcm-CR-MONO1-10-chest.dcm", "highdicom/dx_image.dcm", "wg04/MR4_JLSL.dcm",
        "dcm4che/MR-JPEGLosslessSV1.dcm", "wg04/MR1_J2KR.dcm")  # fmt: skip


@pytest.mark.shared
@pytest.mark.skipif(not SPECIAL.is_dir(), reason="needs the sample data beside the checkout")
@pytest.mark.parametrize("name", REAL)
def test_real_files_are_shown_as_pydicom_shows_them(name: str) -> None:
    picture, used = shown(SPECIAL / name)
    assert used.method in ("window", "voi_lut")
    np.testing.assert_allclose(picture, by_pydicom(SPECIAL / name), atol=0.51)


@pytest.mark.shared
@pytest.mark.skipif(not SPECIAL.is_dir(), reason="needs the sample data beside the checkout")
def test_a_real_modality_lut_gives_pydicoms_values() -> None:
    path = SPECIAL / "pydicom-data/mlut_18.dcm"
    read = read_projection(path)
    dataset = pydicom.dcmread(path)
    assert read.display.modality_lut is not None
    expected = apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(read.display.modality_lut(read.pixels.astype(np.float64)), expected)
    table = display_table(read.pixels, read.display, VoiSettings(method=VoiMethod.FULL_RANGE))
    np.testing.assert_allclose(table(read.pixels), expected / 65535 * 255, atol=0.51)
