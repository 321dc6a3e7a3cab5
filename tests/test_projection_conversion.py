"""Images to PNG: what is written shows the planted lesions under the boxes that came along."""

from __future__ import annotations

import io
import zlib
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from weakbox.imaging.breast_region import Margin
from weakbox.imaging.image_conversion import (
    BREAST,
    ConversionSettings,
    ConvertedImage,
    ImageSource,
    MaskSource,
    RoiSettings,
    convert_image,
)
from weakbox.imaging.image_frames import LANCZOS
from weakbox.imaging.outlines import mask_box
from weakbox.imaging.perceptual_hash import content_hash
from weakbox.imaging.png_encoding import encode_png
from weakbox.imaging.projection_voi import VoiSettings
from weakbox.records.errors import InputError
from weakbox.runtime.executors.executor import ItemError
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.simulate.mammograms import breast_phantom, ellipse_mask, skin_phantom, write_mammogram_dicom, write_picture


def read(path: str) -> NDArray[np.generic]:
    with Image.open(path) as picture:
        picture.load()
        return np.asarray(picture)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([np.uint8, np.uint16]), st.booleans(), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.booleans())
def test_a_png_holds_the_pixels_that_were_given(dtype: type, is_colour: bool, rows: int, columns: int, seed: int, is_strided: bool) -> None:
    shape = (rows, columns, 3) if is_colour and dtype == np.uint8 else (rows, columns)
    array = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    array = array[:, ::-1] if is_strided else array
    content = encode_png(array)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), array)
    assert encode_png(array.copy()) == content


def test_a_mask_is_written_as_0_and_255_and_other_arrays_are_refused() -> None:
    mask = ellipse_mask((30, 40), (5.0, 6.0, 20.0, 22.0))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(mask)))), mask * np.uint8(255))
    for wrong in (np.zeros((3, 3)), np.zeros((0, 3), np.uint8), np.zeros((3, 3, 2), np.uint8)):
        with pytest.raises(ValueError, match="PNG"):
            encode_png(wrong)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("laterality", "view", "monochrome1", "syntax"), [("L", "CC", False, "explicit"), ("R", "MLO", True, "jpeg2000")])
def test_a_box_on_the_written_image_covers_the_planted_lesion(
    tmp_path: Path, laterality: str, view: str, monochrome1: bool, syntax: str, bits: int
) -> None:
    shape = (960, 720)
    pixels, boxes = breast_phantom(21, laterality, view, 2, shape=shape)
    # The same breast without lesions: what differs in the pictures is the lesions.
    bare, _ = breast_phantom(21, laterality, view, 0, shape=shape)
    written = []
    for name, array in (("with", pixels), ("without", bare)):
        path = tmp_path / f"{name}.dcm"
        write_mammogram_dicom(path, array, laterality=laterality, view=view, monochrome1=monochrome1, transfer_syntax=syntax)
        source = ImageSource(path=str(path), target=str(tmp_path / "out" / f"{name}.png"), boxes=tuple(boxes), expected_shape=shape)
        # Boxes given to both, so that both are cropped alike.
        written.append(
            convert_image(source, ConversionSettings(voi=VoiSettings(bits=bits), region=BREAST, long_side=512, margin=Margin(mm=2)))
        )
    one, other = written
    assert one.change == other.change
    picture = read(one.path).astype(int)
    assert picture.shape == one.shape == one.change.output_shape
    assert max(one.shape) == 512
    difference = np.abs(picture - read(other.path).astype(int)) > (30 << (bits - 8))
    for moved in one.boxes:
        assert moved.box is not None
        x0, y0, x1, y1 = moved.box
        seen = np.zeros_like(difference)
        seen[max(0, int(y0) - 3) : int(y1) + 4, max(0, int(x0) - 3) : int(x1) + 4] = True
        found = mask_box(difference & seen)
        assert found == pytest.approx(moved.box, abs=1.5)
        difference &= ~seen
    assert not difference.any()
    assert one.problems == ()
    assert one.laterality == laterality
    assert one.region is not None
    assert one.region.is_found
    assert one.spacing_mm is not None
    kept = one.region.crop
    assert one.spacing_mm[0] * one.shape[0] == pytest.approx(0.07 * (kept.y1 - kept.y0))
    assert one.hash.content_sha256 == content_hash(4095 - pixels if monochrome1 else pixels)


def test_values_are_chosen_before_pixels_are_averaged(tmp_path: Path) -> None:
    """A narrow window over coarse stripes: averaging stored values first would give greys that no pixel shows."""
    stripes = np.zeros((64, 64), np.uint16)
    stripes[:, ::2] = 4000
    write_mammogram_dicom(tmp_path / "image.dcm", stripes, tags={"WindowCenter": "3500", "WindowWidth": "400"})
    source = ImageSource(path=str(tmp_path / "image.dcm"), target=str(tmp_path / "image.png"))
    picture = read(convert_image(source, ConversionSettings(long_side=32)).path)
    assert set(np.unique(picture)) <= {127, 128}


def test_a_mask_goes_along_and_one_of_another_size_is_said_to(tmp_path: Path) -> None:
    pixels, boxes = breast_phantom(5, "R", "CC", 1, shape=(400, 300))
    mask = ellipse_mask(pixels.shape, boxes[0])
    write_picture(tmp_path / "image.png", pixels)
    write_picture(tmp_path / "mask.png", mask)
    write_picture(tmp_path / "small.png", mask[::2, ::2])
    write_picture(tmp_path / "empty.png", np.zeros((400, 300), bool))
    labels = np.where(mask, np.uint8(3), np.uint8(7))
    write_picture(tmp_path / "labels.png", labels)
    names = ("mask.png", "small.png", "empty.png")
    source = ImageSource(
        path=str(tmp_path / "image.png"),
        target=str(tmp_path / "out" / "image.png"),
        boxes=tuple(boxes),
        masks=(*(MaskSource(path=str(tmp_path / name)) for name in names), MaskSource(path=str(tmp_path / "labels.png"), value=3)),
    )
    converted = convert_image(source, ConversionSettings(region=BREAST, long_side=200))
    first, small, empty, label = converted.masks
    moved = converted.boxes[0].box
    assert moved is not None
    assert first.stored_box == boxes[0] == label.stored_box
    assert first.box == pytest.approx(moved)
    assert small.was_resized
    assert small.box == pytest.approx(moved, abs=2)
    assert empty.box is None
    for written in (first, small, label):
        picture = read(written.path)
        assert picture.shape == converted.shape
        assert set(np.unique(picture)) == {0, 255}
        assert mask_box(picture) == pytest.approx(moved, abs=2)
    assert converted.problems == ("mask 2 has another size than the image", "mask 3 is empty")


def test_crops_around_boxes_hold_them_with_context(tmp_path: Path) -> None:
    pixels, boxes = breast_phantom(8, "L", "MLO", 2, shape=(900, 700))
    write_mammogram_dicom(tmp_path / "image.dcm", pixels)
    source = ImageSource(path=str(tmp_path / "image.dcm"), target=str(tmp_path / "image.png"), boxes=(*boxes, (0.0, 0.0, 12.0, 12.0)))
    converted = convert_image(source, ConversionSettings(rois=RoiSettings(context=2.0, minimum=100, long_side=64)))
    assert [roi.number for roi in converted.rois] == [0, 1, 2]
    for roi, stored in zip(converted.rois, source.boxes, strict=True):
        picture = read(roi.path)
        assert picture.shape == roi.change.output_shape
        assert max(picture.shape) <= 64
        assert roi.change.box_back(roi.box) == pytest.approx(stored)
        assert 0 <= roi.box[0] < roi.box[2] <= picture.shape[1]
        assert 0 <= roi.box[1] < roi.box[3] <= picture.shape[0]
        if stored in boxes:
            x0, y0, x1, y1 = (round(edge) for edge in roi.box)
            inner = picture[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
            assert inner.mean() > picture.mean() + 15


def test_points_and_boxes_outside_are_said_to_be_so(tmp_path: Path) -> None:
    pixels, _ = breast_phantom(8, "L", "CC")
    write_mammogram_dicom(tmp_path / "image.dcm", pixels)
    boxes = ((60.0, 150.0, 60.0, 150.0), (230.0, 10.0, 260.0, 40.0), (300.0, 10.0, 330.0, 40.0))
    source = ImageSource(path=str(tmp_path / "image.dcm"), target=str(tmp_path / "image.png"), boxes=boxes)
    converted = convert_image(source, ConversionSettings(region=BREAST))
    point, partly, outside = converted.boxes
    assert (point.stored, point.is_enlarged) == ((56.0, 146.0, 64.0, 154.0), True)
    assert partly.visible_share == pytest.approx(1 / 3)
    assert outside.box is None
    assert set(converted.problems) == {
        "box 1 was a point or very small and was enlarged",
        "box 2 reaches outside the image",
        "box 2 lies outside the breast",
        "box 3 lies outside the image",
        "box 3 lies outside the breast",
    }


def test_dermatoscopy_is_shrunk_in_colour_and_prepared(tmp_path: Path) -> None:
    hairy, _, box = skin_phantom(2, shape=(450, 600), hairs=6)
    write_picture(tmp_path / "image.jpg", hairy)
    source = ImageSource(path=str(tmp_path / "image.jpg"), target=str(tmp_path / "a.png"), boxes=(box,))
    plain = convert_image(source, ConversionSettings(long_side=300, filter=LANCZOS))
    assert read(plain.path).shape == (225, 300, 3)
    assert plain.display is None
    assert plain.boxes[0].box == pytest.approx(tuple(edge / 2 for edge in box))
    shaved = ImageSource(path=source.path, target=str(tmp_path / "b.png"))
    prepared = convert_image(shaved, ConversionSettings(long_side=300, preparations=("even_colour", "without_hair")))
    means = read(prepared.path).reshape(-1, 3).astype(float).mean(axis=0)
    assert np.ptp(means) < np.ptp(read(plain.path).reshape(-1, 3).astype(float).mean(axis=0))


def test_the_same_image_gives_the_same_files_and_no_part_is_left(tmp_path: Path) -> None:
    pixels, boxes = breast_phantom(3)
    write_mammogram_dicom(tmp_path / "image.dcm", pixels, voi="lut")
    found: list[ConvertedImage] = []
    for name in "ab":
        source = ImageSource(path=str(tmp_path / "image.dcm"), target=str(tmp_path / name / "image.png"), boxes=tuple(boxes))
        found.append(convert_image(source, ConversionSettings(rois=RoiSettings())))
    assert found[0].sha256 == found[1].sha256
    assert [roi.sha256 for roi in found[0].rois] == [roi.sha256 for roi in found[1].rois]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["image.png", "image_roi1.png"]
    assert zlib.crc32((tmp_path / "a/image.png").read_bytes()) == zlib.crc32((tmp_path / "b/image.png").read_bytes())


def test_settings_of_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="without_hair"):
        ConversionSettings(preparations=("vignette",))
    with pytest.raises(ValueError, match="breast"):
        ConversionSettings(region="lung")


@pytest.mark.slow
def test_workers_convert_and_a_damaged_image_is_one_error(tmp_path: Path) -> None:
    sources = []
    for number in range(6):
        path = tmp_path / f"{number}.dcm"
        write_mammogram_dicom(path, breast_phantom(number)[0])
        sources.append(ImageSource(path=str(path), target=str(tmp_path / "out" / f"{number}.png")))
    (tmp_path / "3.dcm").write_bytes((tmp_path / "3.dcm").read_bytes()[:5000])
    with closing(LocalExecutor(workers=2)) as executor:
        results = list(executor.map(partial(convert_image, settings=ConversionSettings(region=BREAST)), sources))
    assert [isinstance(result, ItemError) for result in results] == [number == 3 for number in range(6)]
    error = results[3]
    assert isinstance(error, ItemError)
    assert error.is_input_error
    assert "3.dcm" in error.message
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{number}.png" for number in range(6) if number != 3]


def test_an_image_of_another_size_than_its_table_states_writes_nothing(tmp_path: Path) -> None:
    write_mammogram_dicom(tmp_path / "image.dcm", breast_phantom(1)[0])
    source = ImageSource(path=str(tmp_path / "image.dcm"), target=str(tmp_path / "image.png"), expected_shape=(99, 99))
    with pytest.raises(InputError, match="99 x 99"):
        convert_image(source, ConversionSettings())
    assert not (tmp_path / "image.png").exists()
