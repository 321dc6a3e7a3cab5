"""A real study, PROSTATEx-0000, from DICOM, the challenge's findings table and a short report to a box over the expert's mask."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset, dcmread

from tests.pipeline import ROOT, SHARED, run_main
from weakbox.records.label import CuratedCase, WeakLabel
from weakbox.runtime.store import Store

DATA = SHARED / "data"
EXPERT_MASK = DATA / "nc_picai_labels/csPCa_lesion_delineations/human_expert/original/11373_1001396.nii.gz"

pytestmark = [pytest.mark.shared, pytest.mark.skipif(not EXPERT_MASK.exists(), reason="real sample data is not beside the checkout")]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prostatex")
    os.environ["WEAKBOX_DATA"] = str(DATA)
    config = ROOT / "docs" / "examples" / "prostatex.yaml"
    # 329 rows of the table speak of patients whose studies are not here: their targets stay in the ledger
    run_main("--config", str(config), "--set", f"output.folder={folder / 'output'}", "--set", "export.segmentation_shapes=[ellipsoid, box]")
    return folder / "output"


@pytest.fixture(scope="module")
def label(output: Path) -> WeakLabel:
    (case,) = [record for record in Store(output / "store", 1).read_all("postprocessing") if isinstance(record, CuratedCase)]
    (label,) = case.labels
    return label


def file_ending(output: Path, ending: str) -> Path:
    (path,) = (output / "dataset" / "cases").glob(f"*/*{ending}")
    return path


def expert_points() -> np.ndarray:
    """Voxel centres of the expert's lesion mask, LPS mm, (n, 3)."""
    image = sitk.ReadImage(str(EXPERT_MASK))
    found = np.argwhere(sitk.GetArrayFromImage(image) > 0)[:, ::-1]
    return np.array([image.TransformContinuousIndexToPhysicalPoint([float(v) for v in index]) for index in found])


def test_the_centre_lies_within_3_mm_of_the_expert_centroid(label: WeakLabel) -> None:
    assert label.box is not None
    assert np.linalg.norm(np.array(label.box.centre) - expert_points().mean(axis=0)) < 3.0


def test_the_box_overlaps_the_expert_mask(label: WeakLabel, output: Path) -> None:
    assert label.box is not None
    corners = np.array(label.box.corners)
    edges = corners[[1, 2, 4]] - corners[0]
    inside = (expert_points() - corners[0]) @ np.linalg.inv(edges)
    share = np.mean(np.all((inside >= 0) & (inside <= 1), axis=1))
    assert share > 0.5, f"{share:.0%} of the expert mask lies in the box"


def test_the_label_is_unreviewed_only_because_report_and_coordinate_agree(label: WeakLabel) -> None:
    assert (label.side, label.zone, label.pirads) == ("right", "PZ", 4)
    assert "side_of_coordinate" not in label.conflicts
    assert label.is_clinically_significant is True


@pytest.mark.parametrize(("shape", "mask"), [("ellipsoid", "label_ellipsoids_instance"), ("box", "label_boxes_instance")])
def test_the_segmentation_equals_the_nifti_mask_voxel_for_voxel(shape: str, mask: str, output: Path) -> None:
    nifti = nibabel.load(file_ending(output, f"{mask}.nii.gz"))
    expected = np.asarray(nifti.dataobj).transpose(2, 1, 0) > 0
    assert np.array_equal(placed_on(nifti, dcmread(file_ending(output, f"seg_{shape}.dcm"))), expected)


def placed_on(nifti: nibabel.Nifti1Image, segmentation: Dataset) -> np.ndarray:
    """The segment's frames on the NIfTI's grid, each placed by its own Image Position (Patient), never by its number."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ nifti.affine
    columns, rows, slices = nifti.shape
    placed = np.zeros((slices, rows, columns), dtype=bool)
    for frame, groups in zip(np.atleast_3d(segmentation.pixel_array), segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        index = np.linalg.inv(lps[:3, :3]) @ (position - lps[:3, 3])
        assert np.allclose(index, np.rint(index), atol=0.01)
        assert np.allclose(index[:2], 0, atol=0.01)
        placed[int(np.rint(index[2]))] = frame > 0
    return placed


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("ending", ["seg_ellipsoid.dcm", "seg_box.dcm", "sr.dcm"])
def test_dciodvfy_finds_no_error(ending: str, output: Path) -> None:
    result = subprocess.run(["dciodvfy", str(file_ending(output, ending))], capture_output=True, text=True, check=False)
    errors = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]
    assert not errors


def test_the_objects_point_at_the_source_images(output: Path) -> None:
    sources = (DATA / "prostate_dicom/ProstateX/ProstateX-0000").glob("*/4.*/*.dcm")
    uids = {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in sources}
    segmentation = dcmread(file_ending(output, "seg_ellipsoid.dcm"))
    named = {item.ReferencedSOPInstanceUID for item in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named <= uids
    assert named
