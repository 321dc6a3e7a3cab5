"""Volumes: what is read is what the files hold, where they say it lies."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, RLELossless

from tests.phantom import asymmetric_array, oblique_grid, write_series
from weakbox.imaging.dicom_frames import grid_of_frames, read_dicom_images
from weakbox.imaging.volumes import (
    LPS_TO_RAS,
    Volume,
    as_int16,
    compress_small,
    grid_from_instances,
    nifti_parts,
    read_series,
    read_volume,
    read_volume_file,
    same_geometry,
    write_nifti,
)
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import ImagingStudy, Instance, Series

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DCM2NIIX = shutil.which("dcm2niix")


def test_a_series_is_read_in_the_order_of_its_grid(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = asymmetric_array(grid)
    volume = read_volume(write_series(tmp_path, grid, array))
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, array)
    assert volume.grid == grid


def test_the_grid_from_files_is_the_grid_that_was_written(tmp_path: Path) -> None:
    grid = oblique_grid()
    series = write_series(tmp_path, grid, asymmetric_array(grid))
    found = grid_from_instances(series.series_uid, series.instances)
    assert same_geometry(found, grid, tolerance_mm=1e-5)
    assert found.frame_of_reference_uid == grid.frame_of_reference_uid


def test_rescale_of_each_slice_is_applied(tmp_path: Path) -> None:
    grid = oblique_grid(shape=(6, 5, 3))
    array = asymmetric_array(grid)
    series = write_series(tmp_path, grid, array, RescaleSlope=(0.5, 2.0, 1.0), RescaleIntercept=(0.0, -7.0, 3.0))
    volume = read_volume(series)
    expected = array * np.array([0.5, 2.0, 1.0])[:, None, None] + np.array([0.0, -7.0, 3.0])[:, None, None]
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, expected)


def test_a_whole_intercept_keeps_whole_numbers(tmp_path: Path) -> None:
    grid = oblique_grid(shape=(6, 5, 3))
    array = asymmetric_array(grid)
    volume = read_volume(write_series(tmp_path, grid, array, RescaleSlope=1, RescaleIntercept=-1024))
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, array - 1024)


def test_stored_bits_below_the_word_are_extended_by_their_sign(tmp_path: Path) -> None:
    grid = oblique_grid(shape=(6, 5, 3))
    stored = np.full((3, 5, 6), 0x0FFF, dtype=np.int16)
    volume = read_volume(write_series(tmp_path, grid, stored, BitsStored=12, HighBit=11))
    assert volume.array.max() == volume.array.min() == -1


def test_compressed_files_hold_the_same_volume(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = asymmetric_array(grid)
    series = write_series(tmp_path, grid, array)
    for instance in series.instances:
        dataset = pydicom.dcmread(instance.path)
        dataset.compress(RLELossless)
        dataset.SOPInstanceUID = instance.sop_instance_uid
        dataset.save_as(instance.path)
    np.testing.assert_array_equal(read_volume(series).array, array)


def test_members_of_an_archive_are_read(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = asymmetric_array(grid)
    series = write_series(tmp_path / "files", grid, array)
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for instance in series.instances:
            file.write(instance.path, f"a folder/{Path(instance.path).name}")
    moved = tuple(dataclasses.replace(item, path=f"{archive}!a folder/{Path(item.path).name}") for item in series.instances)
    np.testing.assert_array_equal(read_volume(dataclasses.replace(series, instances=moved)).array, array)


def damage(series: Series, change: Callable[[Dataset], None]) -> None:
    path = series.instances[1].path
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def move(dataset: Dataset) -> None:
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y, z + 0.5]


DAMAGES: dict[str, Callable[[Dataset], None]] = {
    "Frame of Reference": lambda dataset: setattr(dataset, "FrameOfReferenceUID", "1.2.3"),
    "position of slice 1": move,
    "orientation and pixel spacing": lambda dataset: setattr(dataset, "PixelSpacing", [0.9, 0.71]),
    "another instance": lambda dataset: setattr(dataset, "SOPInstanceUID", "1.2.3"),
    "geometry cannot be read": lambda dataset: delattr(dataset, "ImageOrientationPatient"),
    "pixels cannot be decoded": lambda dataset: setattr(dataset, "PixelData", b"\0\0"),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_files_that_no_longer_agree_with_the_index_are_refused(words: str, tmp_path: Path) -> None:
    grid = oblique_grid()
    series = write_series(tmp_path, grid, asymmetric_array(grid))
    damage(series, DAMAGES[words])
    with pytest.raises(InputError, match=words) as caught:
        read_volume(series)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_and_a_missing_grid_are_refused(tmp_path: Path) -> None:
    grid = oblique_grid()
    series = write_series(tmp_path, grid, asymmetric_array(grid))
    with pytest.raises(InputError, match="no regular grid"):
        read_volume(dataclasses.replace(series, grid=None))
    Path(series.instances[4].path).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_volume(series)
    with pytest.raises(InputError, match="lists no files"):
        read_volume(dataclasses.replace(series, instances=()))


def test_a_philips_private_scale_is_remarked_upon_and_not_applied(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = asymmetric_array(grid)
    series = write_series(tmp_path, grid, array)
    damage(series, lambda dataset: dataset.add_new(0x2005100E, "FL", 3.5))
    images = read_series(series)
    np.testing.assert_array_equal(images.volume.array, array)
    assert any("2005,100E" in remark for remark in images.remarks)


def enhanced_file(path: Path, grid: Grid, array: np.ndarray[Any, Any], order: list[int]) -> Series:
    """One multi-frame file whose frames hold the slices in ``order``."""
    series = write_series(path.parent / "single", grid, array)
    dataset = pydicom.dcmread(series.instances[0].path)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"):
        delattr(dataset, keyword)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = [grid.spacing[1], grid.spacing[0]]
    measures.SliceThickness = grid.spacing[2]
    orientation.ImageOrientationPatient = [round(float(value), 9) for value in grid.directions[:, :2].T.ravel()]
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [frame_group(grid, k) for k in order]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = len(order)
    dataset.PixelData = np.ascontiguousarray(array[order]).tobytes()
    dataset.save_as(path)
    instances = tuple(
        Instance(
            path=str(path), sop_instance_uid=str(dataset.SOPInstanceUID), sop_class_uid=str(dataset.SOPClassUID), frame=order.index(k) + 1
        )
        for k in range(grid.shape[2])
    )
    return dataclasses.replace(series, instances=instances)


def frame_group(grid: Grid, k: int) -> Dataset:
    position, rescale, group = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [round(float(value), 8) for value in grid.to_lps((0, 0, k))]
    rescale.RescaleSlope, rescale.RescaleIntercept = 2.0, float(k)
    group.PlanePositionSequence = [position]
    group.PixelValueTransformationSequence = [rescale]
    return group


def test_frames_of_a_multi_frame_file_are_read_by_number(tmp_path: Path) -> None:
    grid = oblique_grid(shape=(6, 5, 4))
    array = asymmetric_array(grid)
    volume = read_volume(enhanced_file(tmp_path / "enhanced.dcm", grid, array, [2, 0, 3, 1]))
    np.testing.assert_allclose(volume.array, array * 2.0 + np.arange(4)[:, None, None])


def test_nifti_holds_the_same_points_in_ras(tmp_path: Path) -> None:
    grid = oblique_grid()
    volume = Volume(asymmetric_array(grid), grid)
    write_nifti(volume, tmp_path / "volume.nii.gz")
    image = nibabel.load(tmp_path / "volume.nii.gz")
    np.testing.assert_allclose(image.affine, LPS_TO_RAS @ grid.matrix, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-5)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, volume.array)
    peer = sitk.ReadImage(str(tmp_path / "volume.nii.gz"))
    np.testing.assert_allclose(peer.TransformContinuousIndexToPhysicalPoint((3.5, 7.25, 2.0)), grid.to_lps((3.5, 7.25, 2.0)), atol=1e-4)


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "mha"])
def test_a_volume_file_comes_back_as_it_was(ending: str, tmp_path: Path) -> None:
    grid = oblique_grid()
    volume = Volume(asymmetric_array(grid), grid)
    path = tmp_path / f"volume.{ending}"
    if ending == "mha":
        image = sitk.GetImageFromArray(volume.array)
        image.SetOrigin(grid.affine[3:12:4])
        image.SetSpacing(grid.spacing)
        image.SetDirection(grid.directions.ravel().tolist())
        sitk.WriteImage(image, str(path))
    else:
        content = write_nifti(volume, tmp_path / "volume.nii.gz")
        path.write_bytes(gzip.decompress(content) if ending == "nii" else content)
    found = read_volume_file(path, grid.frame_of_reference_uid)
    np.testing.assert_array_equal(found.array, volume.array)
    assert same_geometry(found.grid, grid, tolerance_mm=1e-3)


def test_the_same_volume_gives_the_same_bytes_without_name_or_time(tmp_path: Path) -> None:
    grid = oblique_grid()
    volume = Volume(asymmetric_array(grid), grid)
    first = write_nifti(volume, tmp_path / "a.nii.gz")
    assert first == write_nifti(volume, tmp_path / "b.nii.gz")
    assert first[3] == 0 and first[4:8] == bytes(4)
    assert gzip.decompress(first) == gzip.decompress(compress_small(volume)) == b"".join(nifti_parts(volume))


def test_a_sheared_grid_has_no_qform(tmp_path: Path) -> None:
    matrix = oblique_grid().matrix
    matrix[:3, 2] += 0.4 * matrix[:3, 0]
    grid = Grid.from_matrix(matrix, (4, 3, 2), "1.2")
    write_nifti(Volume(np.zeros((2, 3, 4), dtype=np.int16), grid), tmp_path / "sheared.nii.gz")
    image = nibabel.load(tmp_path / "sheared.nii.gz")
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(image.affine, LPS_TO_RAS @ matrix, atol=1e-5)


@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=30))
def test_narrowing_to_16_bits_never_changes_a_value(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    np.testing.assert_array_equal(as_int16(array).astype(np.int64), array)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-60, 60)] * 3), st.tuples(*[st.floats(0.3, 6.0)] * 3))
def test_the_grid_of_frames_is_right_for_any_orientation(angles: tuple[float, float, float], spacing: tuple[float, float, float]) -> None:
    from weakbox.imaging.dicom_frames import Frame

    grid = oblique_grid(shape=(5, 4, 3), spacing=spacing, angles_degrees=angles)
    frames = [
        Frame(
            sop_instance_uid=str(k),
            pixels=np.zeros((4, 5)),
            position=grid.to_lps((0, 0, k)),
            orientation=grid.directions[:, :2].T.ravel(),
            spacing=(grid.spacing[1], grid.spacing[0]),
            slope=1.0,
            intercept=0.0,
            frame_of_reference_uid="1.2",
            slice_step_mm=99.0,
        )
        for k in range(3)
    ]
    assert same_geometry(grid_of_frames(frames), grid, tolerance_mm=1e-6)


def test_a_siemens_mosaic_becomes_its_slices(tmp_path: Path) -> None:
    grid = oblique_grid(shape=(6, 5, 7))
    array = asymmetric_array(grid)
    series = write_series(tmp_path / "single", grid, array)
    path = tmp_path / "mosaic.dcm"
    write_mosaic(path, Path(series.instances[0].path), grid, array)
    instance = Instance(path=str(path), sop_instance_uid=series.instances[0].sop_instance_uid, sop_class_uid="")
    volume = read_volume(dataclasses.replace(series, instances=(instance,)))
    np.testing.assert_array_equal(volume.array, array)


def write_mosaic(path: Path, single: Path, grid: Grid, array: np.ndarray[Any, Any]) -> None:
    """3 x 3 tiles whose CSA normal points against row x column, so that the tiles run from the last slice to the first."""
    columns, rows, slices = grid.shape
    mosaic = np.zeros((3 * rows, 3 * columns), dtype=np.int16)
    for tile in range(slices):
        top, left = tile // 3 * rows, tile % 3 * columns
        mosaic[top : top + rows, left : left + columns] = array[slices - 1 - tile]
    dataset = pydicom.dcmread(single)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND", "MOSAIC"]
    dataset.Rows, dataset.Columns = mosaic.shape
    dataset.PixelData = mosaic.tobytes()
    corner = grid.to_lps((-(3 * columns - columns) / 2, -(3 * rows - rows) / 2, slices - 1))
    dataset.ImagePositionPatient = [round(float(value), 8) for value in corner]
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa_header(slices, -grid.directions[:, 2]))
    dataset.save_as(path)


def csa_header(images: int, normal: np.ndarray[Any, Any]) -> bytes:
    import struct

    def tag(name: bytes, values: list[str]) -> bytes:
        items = b""
        for value in values:
            text = value.encode() + b"\0"
            items += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + bytes(-len(text) % 4)
        return struct.pack("<64si4siii", name, len(values), b"FD\0\0", 3, len(values), 77) + items

    tags = tag(b"NumberOfImagesInMosaic", [str(images)]) + tag(b"SliceNormalVector", [f"{value:.8f}" for value in normal])
    return b"SV10" + bytes([4, 3, 2, 1]) + struct.pack("<2I", 2, 77) + tags


class InOrder:
    """The executor that the index needs, without processes."""

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, description: str = "", total: int | None = None
    ) -> Iterator[Any]:
        return map(function, items)


def usable_series(folder: Path, cache: Path) -> list[Series]:
    from weakbox.imaging.dicom_index import index_folder
    from weakbox.imaging.series import build_studies

    studies = [item for item in build_studies(index_folder(folder, InOrder(), cache)) if isinstance(item, ImagingStudy)]
    return [series for study in studies for series in study.series if series.modality == "MR" and series.grid and series.instances]


def converted_by_dcm2niix(series: Series, folder: Path) -> list[Any]:
    inputs, outputs = folder / "in", folder / "out"
    inputs.mkdir(parents=True)
    outputs.mkdir()
    for number, path in enumerate(dict.fromkeys(instance.path for instance in series.instances)):
        target = inputs / f"{number:04d}.dcm"
        archive, mark, member = path.partition(".zip!")
        target.write_bytes(zipfile.ZipFile(archive + ".zip").read(member) if mark else Path(path).read_bytes())
    subprocess.run([str(DCM2NIIX), "-z", "n", "-b", "n", "-f", "x", "-o", str(outputs), str(inputs)], check=True, capture_output=True)
    return [nibabel.load(path) for path in sorted(outputs.glob("*.nii"))]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample data is not beside this checkout")
@pytest.mark.skipif(DCM2NIIX is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize("name", ["prostate_dicom", "mr_dicom_multivendor"])
def test_geometry_and_values_of_real_series_are_those_of_dcm2niix(name: str, tmp_path: Path) -> None:
    compared = 0
    for number, series in enumerate(usable_series(SHARED / name, tmp_path / "cache")):
        volume = read_volume(series)
        for image in converted_by_dcm2niix(series, tmp_path / str(number)):
            if image.shape[:3] != volume.grid.shape:
                continue
            check_same_voxels(image, volume)
            compared += 1
    assert compared >= 8


def check_same_voxels(image: Any, volume: Volume) -> None:
    """dcm2niix flips rows and may flip slices: voxels are compared by where they lie in the patient."""
    to_lps = LPS_TO_RAS @ image.affine
    corners = itertools.product(*((0, count - 1) for count in volume.grid.shape))
    middle = [tuple(count // 3 for count in volume.grid.shape), tuple(2 * count // 3 for count in volume.grid.shape)]
    voxels = np.array([*corners, *middle])
    points = voxels @ to_lps[:3, :3].T + to_lps[:3, 3]
    index = np.rint(volume.grid.to_index(points)).astype(int)
    distances = np.linalg.norm(volume.grid.to_lps(index) - points, axis=1)
    assert distances.max() <= 1e-3 + straightening_mm(volume.grid)
    data = np.asarray(image.dataobj).reshape(image.shape)[tuple(voxels.T)]
    np.testing.assert_allclose(volume.array[index[:, 2], index[:, 1], index[:, 0]], data)


def straightening_mm(grid: Grid) -> float:
    """How far dcm2niix moves the farthest voxel when it makes rounded header directions orthogonal; we keep the header's positions."""
    i, j, k = (grid.directions[:, axis] for axis in range(3))
    normal = np.cross(i, j) / np.linalg.norm(np.cross(i, j))
    extents = np.array(grid.spacing) * (np.array(grid.shape) - 1)
    return float(np.linalg.norm(k - np.dot(k, normal) * normal) * extents[2] + abs(np.dot(i, j)) * extents[:2].max())


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample data is not beside this checkout")
def test_real_compressed_slices_hold_the_values_of_the_uncompressed_ones() -> None:
    folder = SHARED / "mr_dicom_multivendor" / "dicom2nifti" / "generic"
    volumes = {}
    for kind in ("compressed", "compressed_j2k", "compressed_jpeg", "compressed_jpegls", "compressed_rle"):
        headers = [(pydicom.dcmread(path, stop_before_pixels=True), path) for path in sorted((folder / kind / "001").glob("*.dcm"))]
        headers.sort(key=lambda pair: float(pair[0].ImagePositionPatient[2]))
        instances = [Instance(path=str(path), sop_instance_uid=str(item.SOPInstanceUID), sop_class_uid="") for item, path in headers]
        volumes[kind] = np.stack([frame.pixels for frame in read_dicom_images("x", instances).frames])
    reference = volumes.pop("compressed_rle")
    assert reference.std() > 0
    for kind, array in volumes.items():
        assert array.shape == reference.shape
        np.testing.assert_array_equal(array, reference, err_msg=kind)
