"""The 2-D phantoms that other tests trust: where the lesions are, what tells left from right, files that a reader accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from weakbox.imaging.outlines import mask_box
from weakbox.simulate.mammograms import box_of, breast_phantom, ellipse_mask, skin_phantom, write_mammogram_dicom


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.sampled_from("LR"), st.sampled_from(["CC", "MLO"]), st.integers(1, 3))
def test_lesions_lie_apart_in_the_breast_and_are_brighter_than_without(seed: int, laterality: str, view: str, count: int) -> None:
    pixels, boxes = breast_phantom(seed, laterality, view, count)
    bare, _ = breast_phantom(seed, laterality, view, 0)
    assert len(boxes) == count
    difference = pixels.astype(int) - bare
    for box in boxes:
        lesion = ellipse_mask(pixels.shape, box)
        assert mask_box(lesion) == box == box_of(lesion)
        assert difference[lesion].min() > 500
        assert bare[lesion].min() > 600
        difference[lesion] = 0
    assert not difference.any()


def test_left_and_right_lie_at_different_edges_and_are_not_mirror_images() -> None:
    left, right = breast_phantom(1, "L", "CC", 0)[0], breast_phantom(1, "R", "CC", 0)[0]
    assert left[150, 3] > 700 > left[150, -3]
    assert right[150, -3] > 700 > right[150, 3]
    assert np.abs(left.astype(int) - right[:, ::-1]).max() > 500
    assert np.abs(left.astype(int) - left[::-1]).max() > 500


def test_the_same_seed_is_the_same_phantom_and_another_is_another() -> None:
    np.testing.assert_array_equal(breast_phantom(4)[0], breast_phantom(4)[0])
    assert (breast_phantom(4)[0] != breast_phantom(5)[0]).mean() > 0.3
    np.testing.assert_array_equal(skin_phantom(4)[0], skin_phantom(4)[0])
    rgb, mask, box = skin_phantom(4)
    assert mask_box(mask) == box
    assert rgb[mask].mean() < rgb[~mask].mean() - 60


def test_files_follow_from_their_content(tmp_path: Path) -> None:
    pixels, _ = breast_phantom(4)
    uid = write_mammogram_dicom(tmp_path / "a" / "image.dcm", pixels, patient_id="P1")
    again = write_mammogram_dicom(tmp_path / "b" / "image.dcm", pixels, patient_id="P1")
    assert uid == again
    assert (tmp_path / "a/image.dcm").read_bytes() == (tmp_path / "b/image.dcm").read_bytes()
    dataset = pydicom.dcmread(tmp_path / "a" / "image.dcm")
    for value in (uid, dataset.StudyInstanceUID, dataset.SeriesInstanceUID):
        assert UID(value).is_valid
    assert uid != write_mammogram_dicom(tmp_path / "c" / "image.dcm", pixels, patient_id="P2")
    assert dataset.file_meta.MediaStorageSOPInstanceUID == uid
    stated = write_mammogram_dicom(tmp_path / "d.dcm", pixels, tags={"SOPInstanceUID": "1.2.3", "StudyDescription": "x"})
    assert stated == "1.2.3" == pydicom.dcmread(tmp_path / "d.dcm").file_meta.MediaStorageSOPInstanceUID


def test_an_unknown_voi_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="voi"):
        write_mammogram_dicom(tmp_path / "image.dcm", breast_phantom(4)[0], voi="gamma")
