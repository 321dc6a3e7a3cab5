"""The export stage on an oblique, asymmetric phantom: every format read back by its own reader."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

import export
from export import Config, PatientStage, export_case, export_dataset, exporter_names, load_exporter
from tests.phantom import asymmetric_array, box_at, oblique_grid, phantom_case, research_identity, write_series
from tests.test_volumes import enhanced_file
from weakbox.exporters.monai import world_box
from weakbox.imaging.volumes import LPS_TO_RAS
from weakbox.records.artifact import Artifact, ExportedCase
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import PURPOSES_OF, Purpose, SeriesChoice, SeriesRole
from weakbox.records.label import CuratedCase, LesionStatus
from weakbox.runtime.privacy import Pseudonymiser, ResearchIdentity
from weakbox.runtime.stage import check_flow
from weakbox.terminology.dicom_codes import CLASS_CODES

DCIODVFY = shutil.which("dciodvfy")
ALL = Config(segmentation_shapes=("ellipsoid", "box"))
SECRETS = (b"Secret", b"4711", b"Doctor", b"19500102", b"20200229", b"101112")
RESEARCH = "P0001_S0001"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> CuratedCase:
    return phantom_case(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def folder(case: CuratedCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    artifacts, ledger = export_case(case, research_identity(), folder, ALL)
    assert ledger == ()
    check_artifacts(folder, artifacts)
    return folder


@pytest.fixture(scope="module")
def artifacts(case: CuratedCase, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    again = tmp_path_factory.mktemp("again")
    return {artifact.role: artifact for artifact in export_case(case, research_identity(), again, ALL)[0]}


def check_artifacts(folder: Path, artifacts: tuple[Artifact, ...]) -> None:
    for artifact in artifacts:
        content = (folder / artifact.path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (artifact.sha256, artifact.bytes)
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {artifact.path for artifact in artifacts}


def reference(case: CuratedCase) -> Grid:
    grid = case.study.series[0].grid
    assert grid is not None
    return grid


def nifti(folder: Path, artifacts: dict[str, Artifact], role: str) -> Any:
    return nibabel.load(folder / artifacts[role].path)


def array_of(folder: Path, artifacts: dict[str, Artifact], role: str) -> np.ndarray:
    return np.asarray(nifti(folder, artifacts, role).dataobj).T


# Images ---------------------------------------------------------------------------------------------------------------


def test_every_role_is_written(artifacts: dict[str, Artifact]) -> None:
    images = {"t2w", "adc", "adc_on_reference", "high_b", "high_b_on_reference"}
    labels = {f"label_{shape}_{map_kind}" for shape in ("boxes", "ellipsoids") for map_kind in ("instance", "class")}
    others = {"labels", "t2w_provenance", "adc_provenance", "high_b_provenance", "seg_ellipsoid", "seg_box", "dicom_sr"}
    assert set(artifacts) == images | labels | others | {"overlay_L1", "overlay_L2"}


def test_images_on_the_reference_grid_have_its_geometry(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]) -> None:
    for role in ("t2w", "adc_on_reference", "high_b_on_reference", "label_boxes_class"):
        image = nifti(folder, artifacts, role)
        np.testing.assert_allclose(image.affine, LPS_TO_RAS @ reference(case).matrix, atol=1e-5)
        assert image.shape == reference(case).shape
    np.testing.assert_array_equal(array_of(folder, artifacts, "t2w"), asymmetric_array(reference(case)))


def test_every_image_says_where_it_comes_from(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]) -> None:
    content = json.loads((folder / artifacts["adc_provenance"].path).read_text())
    assert content["series_key"] == case.study.series[1].key
    assert content["unit"] == "1e-6 mm2/s"
    assert content["kind"] == "acquired"
    assert (folder / artifacts["adc"].path).name == content["native_file"]


# The box, there and back ----------------------------------------------------------------------------------------------


def lps_of_mask(image: Any, value: int) -> np.ndarray:
    index = np.argwhere(np.asarray(image.dataobj) == value)
    affine = LPS_TO_RAS @ image.affine
    return index @ affine[:3, :3].T + affine[:3, 3]


def test_the_box_comes_back_from_its_voxels(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]) -> None:
    box = case.labels[0].box
    assert box is not None
    grid = reference(case)
    found = grid.to_index(lps_of_mask(nifti(folder, artifacts, "label_boxes_instance"), 1))
    np.testing.assert_allclose(found.min(axis=0), box.voxel_start, atol=1e-4)
    np.testing.assert_allclose(found.max(axis=0) + 1, box.voxel_stop, atol=1e-4)


def test_the_exact_box_comes_back_from_the_report_within_a_tenth_of_a_millimetre(
    case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]
) -> None:
    report = highdicom.sr.srread(folder / artifacts["dicom_sr"].path)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [f"{RESEARCH}_L1", f"{RESEARCH}_L2"]
    for group, label in zip(groups, case.labels, strict=False):
        assert label.box is not None
        surface = group.roi
        assert surface.graphic_type.value == "ELLIPSOID"
        assert surface.frame_of_reference_uid == label.box.frame_of_reference_uid
        points = np.asarray(surface.graphic_data, dtype=float).reshape(6, 3)
        np.testing.assert_allclose(points.mean(axis=0), label.box.centre, atol=0.1)
        size = [np.linalg.norm(points[2 * axis + 1] - points[2 * axis]) for axis in range(3)]
        np.testing.assert_allclose(size, label.box.size_mm, atol=0.1)
        corners = [points.mean(axis=0) + sum(s * (points[2 * a + 1] - points[2 * a]) / 2 for a, s in enumerate(signs)) for signs in SIGNS]
        np.testing.assert_allclose(corners, label.box.corners, atol=0.1)


SIGNS = [(i, j, k) for k in (-1, 1) for j in (-1, 1) for i in (-1, 1)]


def test_the_report_points_at_the_centre(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]) -> None:
    dataset = pydicom.dcmread(folder / artifacts["dicom_sr"].path)
    points = [item for item in every_item(dataset) if item.get("ValueType") == "SCOORD3D" and item.GraphicType == "POINT"]
    assert [item.ConceptNameCodeSequence[0].CodeMeaning for item in points] == ["Center", "Center"]
    for item, label in zip(points, case.labels, strict=False):
        assert label.box is not None
        np.testing.assert_allclose(item.GraphicData, label.box.centre, atol=1e-3)


def every_item(dataset: Any) -> list[Any]:
    return [dataset, *(item for child in dataset.get("ContentSequence", ()) for item in every_item(child))]


# DICOM ----------------------------------------------------------------------------------------------------------------


def segment_array(path: Path, case: CuratedCase, segment: int) -> np.ndarray:
    """A segment on the full grid of its source images, placed by the position of each frame alone."""
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    array = np.zeros(reference(case).shape[::-1], dtype=np.uint8)
    for frame, group in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        owner = group if "SegmentIdentificationSequence" in group else dataset.SharedFunctionalGroupsSequence[0]
        if owner.SegmentIdentificationSequence[0].ReferencedSegmentNumber == segment:
            position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            index = reference(case).to_index(position)
            np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
            array[int(np.rint(index[2]))] = frame
    return array


@pytest.mark.parametrize("shape", ["ellipsoid", "box"])
def test_segments_equal_the_nifti_masks_voxel_for_voxel(
    shape: str, case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]
) -> None:
    instance = array_of(folder, artifacts, f"label_{'ellipsoids' if shape == 'ellipsoid' else 'boxes'}_instance")
    segments = [segment_array(folder / artifacts[f"seg_{shape}"].path, case, number) for number in (1, 2)]
    assert (segments[0] & segments[1]).sum() > 0, "the phantom's lesions overlap"
    np.testing.assert_array_equal(segments[0], instance == 1)
    np.testing.assert_array_equal(segments[1] & ~segments[0].astype(bool), instance == 2)


def test_segments_are_read_back_by_highdicom_on_the_source_images(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]) -> None:
    segmentation = highdicom.seg.segread(folder / artifacts["seg_ellipsoid"].path)
    uids = [instance.sop_instance_uid for instance in case.study.series[0].instances]
    pixels = segmentation.get_pixels_by_source_instance(
        uids, segment_numbers=[1], ignore_spatial_locations=False, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(pixels[..., 0], segment_array(folder / artifacts["seg_ellipsoid"].path, case, 1))
    description = segmentation.get_segment_description(1)
    assert description.tracking_id == f"{RESEARCH}_L1"
    assert description.segmented_property_type.value == "52988006"
    assert description.anatomic_regions[0].value == "716922000"
    assert segmentation.FrameOfReferenceUID == reference(case).frame_of_reference_uid
    assert segmentation.StudyInstanceUID == case.study.study_uid


def test_segments_and_report_name_the_same_lesions(folder: Path, artifacts: dict[str, Artifact]) -> None:
    segmentation = highdicom.seg.segread(folder / artifacts["seg_ellipsoid"].path)
    groups = highdicom.sr.srread(folder / artifacts["dicom_sr"].path).content.get_volumetric_roi_measurement_groups()
    tracking = [segmentation.get_segment_description(number).tracking_uid for number in segmentation.segment_numbers]
    assert tracking == [group.tracking_uid for group in groups]


def test_the_report_codes_what_is_known(folder: Path, artifacts: dict[str, Artifact]) -> None:
    content = highdicom.sr.srread(folder / artifacts["dicom_sr"].path).content
    cancer, benign = content.get_volumetric_roi_measurement_groups()
    assert {item.value.value for item in cancer.get_qualitative_evaluations()} >= {"RID50299", "21594007", "1279716004"}
    assert {item.value.value for item in benign.get_qualitative_evaluations()} >= {"RID50299", "30807003"}
    (diameter,) = cancer.get_measurements()
    assert (diameter.value, diameter.unit.value) == (9.5, "mm")
    assert cancer.finding_sites[0].value.value == "716922000"
    (unplaced,) = content.get_planar_roi_measurement_groups() or content.get_image_measurement_groups()
    assert unplaced.tracking_identifier == f"{RESEARCH}_L3"


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("role", ["seg_ellipsoid", "seg_box", "dicom_sr"])
def test_dciodvfy_finds_no_error(role: str, folder: Path, artifacts: dict[str, Artifact]) -> None:
    checked = subprocess.run([str(DCIODVFY), str(folder / artifacts[role].path)], capture_output=True, text=True, check=False)
    said = checked.stdout + checked.stderr
    assert "Segmentation" in said or "Comprehensive3DSR" in said
    assert not [line for line in said.splitlines() if line.startswith("Error")]


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (dicom3tools) is not installed")
def test_objects_of_an_undated_study_are_valid_and_claim_no_date(case: CuratedCase, tmp_path: Path) -> None:
    undated = dataclasses.replace(case, study=dataclasses.replace(case.study, study_date=None))
    for artifact in export_case(undated, research_identity(), tmp_path, Config(exporters=("dicom_seg", "dicom_sr")))[0]:
        path = tmp_path / artifact.path
        assert (pydicom.dcmread(path).StudyDate, pydicom.dcmread(path).ContentDate) == ("", "19000101")
        checked = subprocess.run([str(DCIODVFY), str(path)], capture_output=True, text=True, check=False)
        assert not [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("Error")]


def test_a_multi_frame_series_is_segmented_on_its_frames(case: CuratedCase, tmp_path: Path) -> None:
    grid = reference(case)
    series = enhanced_file(tmp_path / "enhanced.dcm", grid, asymmetric_array(grid), list(range(grid.shape[2])))
    study = dataclasses.replace(case.study, series=(series, *case.study.series[1:]))
    label = dataclasses.replace(case.labels[0], box=box_at(grid, (11.3, 9.1, 4.2), (7.5, 8.1, 9.3), series.key))
    made, ledger = export_case(dataclasses.replace(case, study=study, labels=(label,)), research_identity(), tmp_path / "set", ALL)
    by_role = {artifact.role: artifact for artifact in made}
    assert ledger == ()
    instance = array_of(tmp_path / "set", by_role, "label_ellipsoids_instance")
    np.testing.assert_array_equal(segment_array(tmp_path / "set" / by_role["seg_ellipsoid"].path, case, 1), instance)
    assert instance.sum() > 10


def test_frames_in_another_order_are_not_segmented_on_the_wrong_ones(case: CuratedCase, tmp_path: Path) -> None:
    grid = reference(case)
    series = enhanced_file(tmp_path / "enhanced.dcm", grid, asymmetric_array(grid), list(reversed(range(grid.shape[2]))))
    study = dataclasses.replace(case.study, series=(series, *case.study.series[1:]))
    moved = dataclasses.replace(case, study=study, labels=())
    made, ledger = export_case(moved, research_identity(), tmp_path / "set", Config(exporters=("nifti", "dicom_seg")))
    assert {row.reason for row in ledger} == {"no_source_images"}
    assert "t2w" in {artifact.role for artifact in made}


# Privacy and sameness -------------------------------------------------------------------------------------------------


def test_no_file_names_the_patient(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    dataset_files = export_all(case, folder, tmp_path)
    for path in [*folder.rglob("*"), *dataset_files]:
        assert not any(secret.decode() in path.name for secret in SECRETS)
        content = path.read_bytes() if path.is_file() else b""
        assert not [secret for secret in SECRETS if secret in without_uids(content)], path.name


def without_uids(content: bytes) -> bytes:
    """Content without UIDs, whose digits may hold a short number by chance."""
    import re

    return re.sub(rb"\d+(\.\d+){5,}", b"", content)


def test_original_identifiers_are_kept_where_asked(case: CuratedCase, tmp_path: Path) -> None:
    identity = ResearchIdentity(patient_id="MRN-4711", case_id="MRN-4711_study", date_shift_days=0, keep_original=True)
    artifacts, _ = export_case(case, identity, tmp_path, Config(exporters=("dicom_seg", "dicom_sr")))
    for artifact in artifacts:
        dataset = pydicom.dcmread(tmp_path / artifact.path)
        assert (dataset.PatientID, dataset.StudyDate, dataset.PatientName) == ("MRN-4711", "20200229", "Secret^Person")


def test_two_exports_have_the_same_bytes(case: CuratedCase, folder: Path, artifacts: dict[str, Artifact]) -> None:
    for role, artifact in artifacts.items():
        assert hashlib.sha256((folder / artifact.path).read_bytes()).hexdigest() == artifact.sha256, role


def test_dates_of_new_objects_are_the_shifted_study_date(folder: Path, artifacts: dict[str, Artifact]) -> None:
    for role in ("seg_ellipsoid", "dicom_sr"):
        dataset = pydicom.dcmread(folder / artifacts[role].path)
        assert {dataset.StudyDate, dataset.ContentDate, dataset.InstanceCreationDate} == {"20191121"}


def test_a_moved_box_is_another_object(case: CuratedCase, artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    box = box_at(reference(case), (9.0, 9.0, 4.0), (7.5, 8.1, 9.3), case.study.series[0].key)
    moved = dataclasses.replace(case, labels=(dataclasses.replace(case.labels[0], box=box), *case.labels[1:]))
    made = {item.role: item.sop_instance_uid for item in export_case(moved, research_identity(), tmp_path, ALL)[0] if item.sop_instance_uid}
    assert set(made) == {"seg_ellipsoid", "seg_box", "dicom_sr"}
    assert all(made[role] != artifacts[role].sop_instance_uid for role in made)


def test_source_files_are_not_touched(case: CuratedCase, tmp_path: Path) -> None:
    paths = [Path(instance.path) for series in case.study.series for instance in series.instances]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    export_case(case, research_identity(), tmp_path, ALL)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


# Label maps -----------------------------------------------------------------------------------------------------------


def test_class_maps_and_their_codes(folder: Path, artifacts: dict[str, Artifact]) -> None:
    instance, classes = (array_of(folder, artifacts, f"label_ellipsoids_{kind}") for kind in ("instance", "class"))
    assert set(np.unique(instance)) == {0, 1, 2}
    assert set(np.unique(classes[instance == 1])) == {CLASS_CODES["ISUP 3"]}
    assert set(np.unique(classes[instance == 2])) == {CLASS_CODES["benign"]}
    beside = json.loads((folder / artifacts["labels"].path).read_text())
    assert beside["class_codes"] == {"background": 0, **CLASS_CODES}
    assert [item["class"] for item in beside["instances"]] == ["ISUP 3", "benign", "untested"]
    assert beside["instances"][2]["box"] is None
    assert {(item["winner"], item["loser"]) for item in beside["overlaps"]["ellipsoid"]} == {(1, 2)}


def negative(case: CuratedCase) -> CuratedCase:
    return dataclasses.replace(case, labels=(), negative_reason="no lesion, no cancer within 24 months")


def test_a_negative_case_has_empty_maps_and_no_dicom_objects(case: CuratedCase, tmp_path: Path) -> None:
    artifacts, ledger = export_case(negative(case), research_identity(), tmp_path, ALL)
    by_role = {artifact.role: artifact for artifact in artifacts}
    assert ledger == ()
    assert not {"seg_ellipsoid", "seg_box", "dicom_sr"} & set(by_role)
    assert array_of(tmp_path, by_role, "label_boxes_class").sum() == 0
    assert by_role["overlay"].bytes > 0


# Failures -------------------------------------------------------------------------------------------------------------


def test_boxes_in_another_frame_leave_nothing_behind(case: CuratedCase, tmp_path: Path) -> None:
    export_case(case, research_identity(), tmp_path, Config(exporters=("nifti",)))
    box = case.labels[0].box
    assert box is not None
    elsewhere = dataclasses.replace(case.labels[0], box=dataclasses.replace(box, frame_of_reference_uid="1.2.3"))
    artifacts, (row,) = export_case(dataclasses.replace(case, labels=(elsewhere,)), research_identity(), tmp_path, ALL)
    assert artifacts == ()
    assert (row.outcome, row.kind, row.reason) == (Outcome.DROPPED, "case", "unreadable")
    assert not list((tmp_path / "cases").iterdir())


def test_images_in_another_frame_are_exported_natively_only(case: CuratedCase, tmp_path: Path) -> None:
    grid = oblique_grid(shape=(16, 14, 9), spacing=(1.1, 1.3, 3.1), frame="another frame")
    adc = write_series(tmp_path / "source", grid, asymmetric_array(grid, 2500), name="adc elsewhere", role=SeriesRole.ADC)
    study = dataclasses.replace(
        case.study,
        series=(*case.study.series, adc),
        choices=tuple(
            dataclasses.replace(choice, series_key=adc.key) if choice.purpose is Purpose.ADC else choice for choice in case.study.choices
        ),
    )
    artifacts, (row,) = export_case(
        dataclasses.replace(case, study=study), research_identity(), tmp_path / "set", Config(exporters=("nifti",))
    )
    roles = {artifact.role for artifact in artifacts}
    assert "adc" in roles and "adc_on_reference" not in roles and "high_b_on_reference" in roles
    assert (row.outcome, row.reason) == (Outcome.FLAGGED, "frames_differ")


def test_a_format_that_fails_makes_the_case_incomplete(case: CuratedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(name: str) -> Any:
        exporter = load_exporter(name)
        return dataclasses.replace(exporter, write=refuse) if name == "dicom_seg" else exporter

    monkeypatch.setattr(export, "load_exporter", failing)
    artifacts, (row,) = export_case(case, research_identity(), tmp_path, ALL)
    assert {"nifti", "dicom_sr"} <= {artifact.kind for artifact in artifacts}
    assert (row.outcome, row.kind, row.reason) == (Outcome.DROPPED, "file", "export_failed")
    assert row.detail.startswith("dicom_seg: ")


def refuse(*_: object) -> tuple[Artifact, ...]:
    msg = "no room"
    raise InputError(msg)


def test_a_kill_in_between_leaves_no_half_written_case(case: CuratedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> tuple[Artifact, ...]:
        raise Killed

    monkeypatch.setattr(
        export, "load_exporter", lambda name: dataclasses.replace(load_exporter(name), **({"write": kill} if name == "dicom_sr" else {}))
    )
    with pytest.raises(Killed):
        export_case(case, research_identity(), tmp_path, ALL)
    assert not (tmp_path / "cases" / RESEARCH).exists()
    monkeypatch.undo()
    artifacts, _ = export_case(case, research_identity(), tmp_path, ALL)
    check_artifacts(tmp_path, artifacts)


def test_a_second_export_replaces_the_first(case: CuratedCase, tmp_path: Path) -> None:
    export_case(case, research_identity(), tmp_path, ALL)
    artifacts, _ = export_case(negative(case), research_identity(), tmp_path, ALL)
    check_artifacts(tmp_path, artifacts)


def test_unknown_and_missing_formats_are_refused_before_any_work() -> None:
    with pytest.raises(ConfigurationError, match="nifti"):
        Config(exporters=("nifty",))
    with pytest.raises(ConfigurationError, match="monai needs nifti"):
        Config(exporters=("monai",))
    assert set(exporter_names()) >= {"nifti", "dicom_seg", "dicom_sr", "monai", "tables", "overlay"}


# Derived images -------------------------------------------------------------------------------------------------------


def diffusion_case(case: CuratedCase, folder: Path) -> tuple[CuratedCase, np.ndarray]:
    """The phantom with b 50 and b 800 of a planted ADC instead of an ADC map and a high b."""
    grid = oblique_grid(shape=(16, 14, 9), spacing=(1.1, 1.3, 3.1))
    adc = 6e-4 + asymmetric_array(grid) * 1e-6
    parts = [
        write_series(
            folder / f"b{b}",
            grid,
            np.rint(4000 * np.exp(-b * adc)).astype(np.int16),
            name=f"b{b}",
            role=SeriesRole.DWI,
            b_values=(float(b),),
            part=f"b{b}",
        )
        for b in (50, 800)
    ]
    keys = tuple(part.key for part in parts)
    choices = (
        case.study.choices[0],
        SeriesChoice(purpose=Purpose.ADC, series_key=None, reason="fitted", derived="adc_from_dwi", inputs=keys),
        SeriesChoice(purpose=Purpose.HIGH_B, series_key=None, reason="computed", derived="computed_b1400", inputs=keys),
    )
    study = dataclasses.replace(case.study, series=(case.study.series[0], *parts), choices=choices)
    return dataclasses.replace(case, study=study), adc


def test_derived_images_hold_what_was_planted_and_say_so(case: CuratedCase, tmp_path: Path) -> None:
    made, adc = diffusion_case(case, tmp_path / "source")
    artifacts, ledger = export_case(made, research_identity(), tmp_path / "set", Config(exporters=("nifti",)))
    by_role = {artifact.role: artifact for artifact in artifacts}
    assert ledger == ()
    np.testing.assert_allclose(array_of(tmp_path / "set", by_role, "adc"), adc * 1e6, atol=2)
    np.testing.assert_allclose(array_of(tmp_path / "set", by_role, "high_b"), 4000 * np.exp(-1400 * adc), rtol=0.01, atol=1)
    said = json.loads((tmp_path / "set" / by_role["adc_provenance"].path).read_text())
    assert said["kind"] == "derived by Weakbox" and said["fitted_b_values_s_mm2"] == [50.0, 800.0] and len(said["inputs"]) == 2


def test_a_high_b_is_computed_from_one_acquired_b_and_the_map(case: CuratedCase, tmp_path: Path) -> None:
    made, adc = diffusion_case(case, tmp_path / "source")
    grid = oblique_grid(shape=(16, 14, 9), spacing=(1.1, 1.3, 3.1))
    stored = write_series(tmp_path / "map", grid, np.rint(adc * 1e6).astype(np.int16), name="map", role=SeriesRole.ADC)
    series = (*made.study.series, stored)
    inputs = (made.study.series[2].key, stored.key)
    choice = SeriesChoice(purpose=Purpose.HIGH_B, series_key=None, reason="computed", derived="computed_b1400", inputs=inputs)
    study = dataclasses.replace(made.study, series=series, choices=(*made.study.choices[:2], choice))
    artifacts, _ = export_case(dataclasses.replace(made, study=study), research_identity(), tmp_path / "set", Config(exporters=("nifti",)))
    by_role = {artifact.role: artifact for artifact in artifacts}
    np.testing.assert_allclose(array_of(tmp_path / "set", by_role, "high_b"), 4000 * np.exp(-1400 * adc), rtol=0.01, atol=1)


# The set --------------------------------------------------------------------------------------------------------------


def exported_case(case: CuratedCase, artifacts: tuple[Artifact, ...]) -> ExportedCase:
    identity = NAMES.identity(case.patient_id, case.case_id)
    return ExportedCase(
        case_id=case.case_id,
        patient_id=case.patient_id,
        research_case_id=identity.case_id,
        research_patient_id=identity.patient_id,
        date_shift_days=identity.date_shift_days,
        artifacts=artifacts,
        is_complete=True,
    )


NAMES = Pseudonymiser(key=b"0123456789abcdef", research_patients={})


def export_all(case: CuratedCase, source: Path, folder: Path) -> list[Path]:
    cases = (case, dataclasses.replace(negative(case), case_id="MRN-4711/another"))
    exported = [
        exported_case(
            item, export_case(item, NAMES.identity(item.patient_id, item.case_id), folder, Config(exporters=("nifti", "dicom_sr")))[0]
        )
        for item in cases
    ]
    export_dataset(cases, exported, NAMES, folder, Config(exporters=("nifti", "monai", "tables")))
    return [path for path in folder.rglob("*") if path.is_file()]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_hold_what_was_extracted_and_nothing_else(case: CuratedCase, folder: Path, tmp_path: Path) -> None:
    export_all(case, folder, tmp_path)
    clinical = rows_of(tmp_path / "clinical_metadata.csv")
    assert len(clinical[0]) == 22 and len(clinical) == 4
    lesion = next(row for row in clinical if row["lesion_isup"] == "3")
    assert (lesion["recent_psa"], lesion["prostate_volume"], lesion["patient_age"], lesion["race"]) == ("7.25", "41", "90", "")
    assert (lesion["lesion_gs"], lesion["lesion_size"], lesion["pi_rads"], lesion["case_cspca"]) == ("4+3", "9.5", "4", "true")
    assert (tmp_path / lesion["point_annotation"]).is_file() and (tmp_path / lesion["bbox_annotation"]).is_file()
    acquisition = rows_of(tmp_path / "image_acquisition_params.csv")
    assert len(acquisition[0]) == 9
    assert {(row["mod"], row["b_value_dwi"]) for row in acquisition} == {("T2W", ""), ("ADC", ""), ("DWI", "1400")}
    labels = rows_of(tmp_path / "labels.csv")
    assert [row["class"] for row in labels if row["class"]] == ["ISUP 3", "benign", "untested"]
    assert next(row for row in labels if not row["label_id"])["negative_reason"].startswith("no lesion")
    first = next(row for row in labels if row["class"] == "ISUP 3")
    assert first["evidence"] == "record-1:isup_grade@10-16"
    assert first["conflicts"] == "side: report left, coordinate right"
    votes = {vote["voter"]: (vote["aspect"], vote["value"]) for vote in json.loads(first["votes"])}
    assert votes == {"pathology": ("class", 3), "reader": ("decision", "accepted")}
    box = case.labels[0].box
    assert box is not None
    np.testing.assert_allclose([float(first[f"centre_{axis}_mm"]) for axis in "xyz"], box.centre, atol=1e-5)
    assert first["voxel_start"] == " ".join(str(value) for value in box.voxel_start)


def voxels_from_monai(numbers: list[float], affine: np.ndarray, shape: tuple[int, ...], lps_to_ras: bool) -> tuple[np.ndarray, np.ndarray]:
    """What MONAI does: image to RAS orientation, box to two corners, corners through the inverse affine."""
    centre, size = np.array(numbers[:3]), np.array(numbers[3:])
    corners = np.stack([centre - size / 2, centre + size / 2])
    if lps_to_ras:
        # As MONAI: the affine is turned to LPS, the box stays.
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    reoriented = nibabel.orientations.io_orientation(affine if not lps_to_ras else np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
    flips = nibabel.orientations.inv_ornt_aff(reoriented, shape)
    image_affine = affine @ flips
    index = (corners - image_affine[:3, 3]) @ np.linalg.inv(image_affine[:3, :3]).T
    return np.min(index, axis=0), np.max(index, axis=0)


@pytest.mark.parametrize("frame", ["LPS", "RAS"])
def test_monai_restores_the_voxel_box(frame: str, case: CuratedCase, tmp_path: Path) -> None:
    grid = reference(case)
    box = case.labels[0].box
    assert box is not None
    numbers, is_exact = world_box(box, frame)
    affine = LPS_TO_RAS @ grid.matrix
    low, high = voxels_from_monai(numbers, affine, grid.shape, frame == "LPS")
    orientation = nibabel.orientations.io_orientation(affine)
    flips = np.linalg.inv(nibabel.orientations.inv_ornt_aff(orientation, grid.shape))
    expected = np.array(grid.to_index(np.array(box.corners))) @ flips[:3, :3].T + flips[:3, 3]
    assert is_exact
    np.testing.assert_allclose(low, expected.min(axis=0), atol=1e-3)
    np.testing.assert_allclose(high, expected.max(axis=0), atol=1e-3)


def test_a_flat_box_on_a_steep_grid_is_enclosed_and_says_so() -> None:
    grid = oblique_grid(angles_degrees=(-40.0, 0.0, 0.0))
    box = box_at(grid, (10, 9, 4), (10.0, 10.0, 1.0), "series")
    numbers, is_exact = world_box(box, "LPS")
    assert not is_exact
    corners = np.array(box.corners)
    low, high = np.array(numbers[:3]) - np.array(numbers[3:]) / 2, np.array(numbers[:3]) + np.array(numbers[3:]) / 2
    assert np.all(corners >= low - 1e-5) and np.all(corners <= high + 1e-5)


def test_the_datalist_names_frame_images_and_negatives(case: CuratedCase, folder: Path, tmp_path: Path) -> None:
    export_all(case, folder, tmp_path)
    datalist = json.loads((tmp_path / "monai_datalist.json").read_text())
    assert datalist["description"]["world_frame"] == "LPS mm" and datalist["description"]["affine_lps_to_ras"] == "true"
    assert datalist["channels"] == ["T2W", "ADC", "HIGH_B"] and datalist["left_out"] == []
    by_boxes = {len(entry["box"]): entry for entry in datalist["training"]}
    assert set(by_boxes) == {0, 2} and by_boxes[0]["label"] == []
    for path in by_boxes[2]["image"]:
        assert nibabel.load(tmp_path / path).shape == reference(case).shape
    assert len({entry["fold"] for entry in datalist["training"]}) == 1, "one patient, one fold"


def test_a_picture_shows_three_planes_and_the_diffusion_images(folder: Path, artifacts: dict[str, Artifact]) -> None:
    picture = Image.open(folder / artifacts["overlay_L1"].path)
    pixels = np.asarray(picture)
    for colour in ((255, 220, 0), (0, 220, 255), (255, 60, 60)):
        assert np.all(pixels == colour, axis=-1).sum() > 20
    assert picture.info == {}


# The stage ------------------------------------------------------------------------------------------------------------


def test_the_stage_gives_one_record_for_each_case_and_adds_up(case: CuratedCase, tmp_path: Path) -> None:
    stage = pickle.loads(pickle.dumps(PatientStage(Config(exporters=("nifti",)), NAMES, tmp_path)))
    gone = dataclasses.replace(case.study.series[0].instances[0], path=str(tmp_path / "gone.dcm"))
    broken_series = dataclasses.replace(case.study.series[0], instances=(gone, *case.study.series[0].instances[1:]))
    broken = dataclasses.replace(
        case, case_id="broken", study=dataclasses.replace(case.study, series=(broken_series, *case.study.series[1:]))
    )
    output = stage(case.patient_id, [case, broken])
    check_flow("export", output)
    (record,) = output.records
    assert (record.case_id, record.is_complete) == (case.case_id, True)
    assert [row.reason for row in output.ledger] == ["unreadable"]
    assert "gone.dcm" not in output.ledger[0].detail


def test_volumes_from_a_table_need_no_dicom(case: CuratedCase, tmp_path: Path) -> None:
    exported, _ = export_case(case, research_identity(), tmp_path / "first", Config(exporters=("nifti",)))
    by_role = {artifact.role: artifact for artifact in exported}
    roles = (("t2w", "t2w"), ("adc", "adc_on_reference"), ("high_b", "high_b_on_reference"))
    lines = [f"MRN-4711,s1,{role},first/{by_role[file].path},{'1400' if role == 'high_b' else ''}" for role, file in roles]
    (tmp_path / "volumes.csv").write_text("\n".join(["patient_id,study_id,role,path,b_value", *lines]) + "\n")
    study = next(iter(read_table(tmp_path / "volumes.csv")))
    keys = {series.role: series.key for series in study.series}
    choices = tuple(
        SeriesChoice(purpose=purpose, series_key=keys[role], reason="table")
        for purpose, role in zip(PURPOSES_OF["prostate"], (SeriesRole.T2W, SeriesRole.ADC, SeriesRole.DWI), strict=True)
    )
    grid = study.find_series(keys[SeriesRole.T2W]).grid
    label = dataclasses.replace(case.labels[0], box=box_at(grid, (11.3, 9.1, 4.2), (7.5, 8.1, 9.3), keys[SeriesRole.T2W]))
    again = dataclasses.replace(case, study=dataclasses.replace(study, choices=choices), labels=(label,))
    artifacts, ledger = export_case(again, research_identity(), tmp_path / "second", ALL)
    made = {artifact.role: artifact for artifact in artifacts}
    for role, file in roles:
        np.testing.assert_array_equal(array_of(tmp_path / "second", made, role), array_of(tmp_path / "first", by_role, file))
    assert made["adc"].sha256 == made["adc_on_reference"].sha256
    assert [(row.outcome, row.reason) for row in ledger] == [(Outcome.FLAGGED, "no_source_images")] * 2


def read_table(path: Path) -> list[Any]:
    from weakbox.sources.volume_table import VolumeTableOptions, read

    return list(read(VolumeTableOptions(source="volume_table", path=path, volumes_share_a_frame=True)))


def test_benign_is_not_untested() -> None:
    assert CLASS_CODES["benign"] != CLASS_CODES["untested"]
    assert {LesionStatus.BENIGN.value, LesionStatus.UNTESTED.value} < set(CLASS_CODES)


def test_ledger_rows_are_of_this_stage(case: CuratedCase, tmp_path: Path) -> None:
    study = dataclasses.replace(case.study, choices=case.study.choices[:1])
    _, (row,) = export_case(dataclasses.replace(case, study=study), research_identity(), tmp_path, Config(exporters=("nifti",)))
    assert isinstance(row, LedgerEntry)
    assert (row.stage, row.reason, row.detail) == ("export", "images_missing", "no series for ADC, HIGH_B")
