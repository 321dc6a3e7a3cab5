"""Index rows -> series and studies: parts, grids, roles and problems."""

from __future__ import annotations

import gzip
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tests.mr_files import SHARED_DATA, SerialExecutor, mr_dataset, needs_shared, save, uid, write_mr
from tests.phantom import asymmetric_array, oblique_grid, write_series
from tests.test_header import enhanced_dataset
from weakbox.imaging.dicom_index import index_folder
from weakbox.imaging.series import build_series, build_studies
from weakbox.imaging.slice_geometry import read_geometry
from weakbox.imaging.volumes import read_volume
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import ImagingStudy, Plane, Series, SeriesRole, StudyKind


def records(root: Path, cache: Path) -> list[ImagingStudy | LedgerEntry]:
    return list(build_studies(index_folder(root, SerialExecutor(), cache)))


def series_of(root: Path) -> dict[str, Series]:
    """The parts of the one series in a folder, by name."""
    (study,) = records(root, root.parent / "cache")
    assert isinstance(study, ImagingStudy)
    return {series.part: series for series in study.series}


def test_an_oblique_series_comes_back_on_its_grid_with_its_voxels(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = asymmetric_array(grid)
    write_series(tmp_path / "root", grid, array, SeriesDescription="t2_tse_tra", PatientID="P1", Modality="MR")
    (series,) = series_of(tmp_path / "root").values()
    assert series.grid is not None
    assert series.grid.shape == grid.shape
    np.testing.assert_allclose(series.grid.matrix, grid.matrix, atol=1e-6)
    assert (series.plane, series.problems, series.image_count) == (Plane.AXIAL, (), 9)
    np.testing.assert_array_equal(read_volume(series).array, array)


@settings(max_examples=40, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    slices=st.integers(2, 12),
    seed=st.integers(0, 9999),
)
def test_any_order_of_slices_gives_the_grid_whose_step_is_along_row_cross_column(
    angles: tuple[float, float, float], spacing: tuple[float, float, float], slices: int, seed: int
) -> None:
    grid = oblique_grid((5, 4, slices), spacing, angles_degrees=angles)
    matrix = grid.matrix
    orientation = [*(matrix[:3, 0] / spacing[0]), *(matrix[:3, 1] / spacing[1])]
    headers = [
        {
            "position": list(matrix[:3, 3] + k * matrix[:3, 2]),
            "orientation": orientation,
            "pixel_spacing": [spacing[1], spacing[0]],
            "rows": 4,
            "columns": 5,
            "instance_number": k,
            "frame_of_reference_uid": "1.2",
            "slice_thickness_mm": 99.0,
        }
        for k in range(slices)
    ]
    random.Random(seed).shuffle(headers)
    geometry = read_geometry(headers)
    assert geometry.problems == ()
    assert geometry.grid is not None
    assert [header["instance_number"] for header in geometry.headers] == list(range(slices))
    np.testing.assert_allclose(geometry.grid.matrix, matrix, atol=1e-5)
    assert np.linalg.det(geometry.grid.directions) > 0


def stack(folder: Path, places: list[float], first: int = 1, **tags: Any) -> None:
    for number, place in enumerate(places, start=first):
        write_mr(folder / f"{tags.get('SeriesInstanceUID', 's')}_{number}.dcm", number, ImagePositionPatient=[0.0, 0.0, place], **tags)


def test_a_missing_slice_is_a_problem_and_the_series_is_not_read(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0, 3.0, 6.0, 12.0, 15.0])
    (series,) = series_of(tmp_path / "root").values()
    assert series.problems == ("missing_slices",)
    assert series.instances == ()
    assert series.grid is not None
    assert (series.image_count, series.grid.shape[2]) == (5, 6)
    assert series.grid.spacing[2] == pytest.approx(3.0)


def test_uneven_steps_are_a_problem(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0, 3.0, 6.4, 9.0])
    (series,) = series_of(tmp_path / "root").values()
    assert series.problems == ("irregular_spacing",)


def test_one_slice_at_a_position_is_kept(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0, 3.0, 3.0, 6.0])
    (series,) = series_of(tmp_path / "root").values()
    assert series.problems == ("duplicate_positions",)
    assert len(series.instances) == 3
    assert series.grid is not None
    assert series.grid.shape[2] == 3


def test_two_frames_of_reference_in_one_series_belong_to_none(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0, 3.0])
    stack(tmp_path / "root", [6.0, 9.0], first=3, FrameOfReferenceUID=uid("other frame"))
    (series,) = series_of(tmp_path / "root").values()
    assert "several_frames_of_reference" in series.problems
    assert series.frame_of_reference_uid is None
    assert series.grid is not None
    assert series.grid.frame_of_reference_uid is None
    assert series.instances == ()


def test_different_spacings_in_one_stack_are_a_problem(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0, 3.0])
    stack(tmp_path / "root", [6.0, 9.0], first=3, PixelSpacing=[0.5, 0.5])
    (series,) = series_of(tmp_path / "root").values()
    assert series.problems == ("inconsistent_spacing",)
    assert series.instances == ()


def test_a_series_without_positions_has_no_grid(tmp_path: Path) -> None:
    for number in (1, 2):
        write_mr(tmp_path / "root" / str(number), number, ImagePositionPatient=None)
    (series,) = series_of(tmp_path / "root").values()
    assert (series.grid, series.problems, series.instances) == (None, ("no_position",), ())


def test_planes_of_a_localizer_are_parts(tmp_path: Path) -> None:
    planes = {"axial": [1, 0, 0, 0, 1, 0], "coronal": [1, 0, 0, 0, 0, -1], "sagittal": [0, 1, 0, 0, 0, -1]}
    for number, orientation in enumerate(planes.values()):
        stack(tmp_path / "root", [5.0], first=number + 1, ImageOrientationPatient=orientation, SeriesDescription="localizer")
    parts = series_of(tmp_path / "root")
    assert {name: series.plane.value if series.plane else None for name, series in parts.items()} == {name: name for name in planes}
    assert {series.role for series in parts.values()} == {SeriesRole.LOCALIZER}


def test_b_values_of_one_series_are_parts_with_their_images(tmp_path: Path) -> None:
    number = 1
    for place in (0.0, 3.0, 6.0):
        for b_value in (50, 400, 1400):
            tags = {"SequenceName": f"*ep_b{b_value}t", "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}
            stack(tmp_path / "root", [place], first=number, SeriesDescription="ep2d_diff", ScanningSequence="EP", **tags)
            number += 1
    parts = series_of(tmp_path / "root")
    assert list(parts) == ["b50", "b400", "b1400"]
    assert [series.b_values for series in parts.values()] == [(50.0,), (400.0,), (1400.0,)]
    for name, series in parts.items():
        assert (series.role, series.problems, len(series.instances)) == (SeriesRole.DWI, (), 3)
        b_values = {pydicom.dcmread(instance.path).SequenceName for instance in series.instances}
        assert b_values == {f"*ep_{name}t"}
    assert len({series.key for series in parts.values()}) == 3


def test_trace_and_directions_and_the_map_in_one_series_are_parts(tmp_path: Path) -> None:
    # Philips: source images, the isotropic image and the ADC map under one Series Instance UID
    images: list[dict[str, Any]] = [{"DiffusionBValue": 0.0}]
    images += [{"DiffusionBValue": 800.0, "DiffusionGradientOrientation": vector} for vector in ([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])]
    images += [{"DiffusionBValue": 800.0, "DiffusionDirectionality": "ISOTROPIC"}, {"ImageType": ["DERIVED", "PRIMARY", "ADC", "ADC"]}]
    number = 1
    for tags in images:
        for place in (0.0, 4.0):
            stack(tmp_path / "root", [place], first=number, SeriesDescription="DWI SENSE", **tags)
            number += 1
    parts = series_of(tmp_path / "root")
    assert set(parts) == {"b0", "b800_dir1", "b800_dir2", "b800_dir3", "b800_trace", "adc"}
    assert parts["adc"].role is SeriesRole.ADC
    assert {part.role for name, part in parts.items() if name != "adc"} == {SeriesRole.DWI}
    assert parts["b800_trace"].problems == ()
    assert parts["b800_dir2"].problems == ("single_direction",)
    assert parts["b0"].b_values == (0.0,)


def test_phases_and_echoes_of_one_series_are_parts(tmp_path: Path) -> None:
    number = 1
    for phase in (2, 1):
        for place in (0.0, 3.0):
            stack(tmp_path / "a", [place], first=number, SeriesDescription="dyn", TemporalPositionIdentifier=phase)
            number += 1
    assert {name: part.image_count for name, part in series_of(tmp_path / "a").items()} == {"t1": 2, "t2": 2}
    for echo in (20.0, 80.0):
        for place in (0.0, 3.0):
            stack(tmp_path / "b" / "root", [place], first=number, SeriesDescription="t2 map source", EchoTime=echo)
            number += 1
    parts = series_of(tmp_path / "b" / "root")
    assert {name: part.echo_time_ms for name, part in parts.items()} == {"echo1": 20.0, "echo2": 80.0}


def test_phases_are_not_told_apart_by_the_times_of_single_slices(tmp_path: Path) -> None:
    for number in range(1, 7):
        stack(tmp_path / "root", [3.0 * (number % 3)], first=number, SeriesDescription="dyn", AcquisitionTime=f"10000{number}")
    (series,) = series_of(tmp_path / "root").values()
    assert (series.part, series.image_count, series.problems) == ("", 6, ("duplicate_positions",))


def test_frames_that_share_one_position_make_no_volume(tmp_path: Path) -> None:
    save(mr_dataset(1, NumberOfFrames=3), tmp_path / "root" / "cine")
    (series,) = series_of(tmp_path / "root").values()
    assert (series.grid, series.problems, series.instances) == (None, ("frames_without_positions",), ())


def test_frames_of_an_enhanced_image_are_sorted_and_split(tmp_path: Path) -> None:
    dataset = enhanced_dataset()
    save(dataset, tmp_path / "root" / "enhanced")
    parts = series_of(tmp_path / "root")
    assert {name: [instance.frame for instance in part.instances] for name, part in parts.items()} == {"b0": [3, 5, 1], "b1400": [4, 6, 2]}
    high = parts["b1400"]
    assert high.grid is not None
    assert high.grid.spacing == pytest.approx((1.25, 1.5, 4.0))
    assert high.grid.affine[11] == 0.0
    pixels = np.frombuffer(dataset.PixelData, dtype=np.uint16).reshape(6, 4, 6)
    np.testing.assert_array_equal(read_volume(high).array, pixels[[3, 5, 1]])


def mosaic_dataset(normal: tuple[float, float, float], tiles: int = 5) -> Dataset:
    """Five 4 x 6 slices as tiles of a 3 x 3 mosaic, with a CSA header as syngo writes it."""

    def tag(name: bytes, values: list[str]) -> bytes:
        items = b"".join(struct.pack("<4i", len(v) + 1, len(v) + 1, 77, len(v) + 1) + v.encode() + b"\0" * (4 - len(v) % 4) for v in values)
        return name.ljust(64, b"\0") + struct.pack("<i4siii", len(values), b"FD\0\0", 0, len(values), 77) + items

    body = tag(b"NumberOfImagesInMosaic", [str(tiles)]) + tag(b"SliceNormalVector", [str(value) for value in normal])
    tags: dict[str, Any] = {"ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "MOSAIC"], "SequenceName": "ep_b0"}
    dataset = mr_dataset(1, Rows=12, Columns=18, SpacingBetweenSlices=2.5, SliceThickness=2.0, SeriesDescription="ep2d_diff", **tags)
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", b"SV10\4\3\2\1" + struct.pack("<II", 2, 77) + body)
    return dataset


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_a_mosaic_is_a_volume_of_its_tiles(tmp_path: Path, direction: float) -> None:
    save(mosaic_dataset((0.0, 0.0, direction)), tmp_path / "root" / "mosaic")
    (series,) = series_of(tmp_path / "root").values()
    assert series.problems == ("mosaic",)
    assert series.grid is not None
    assert series.grid.shape == (6, 4, 5)
    # the mosaic's corner is at (-10, -20, 3); a tile's lies half the difference of the sizes further: 6 columns, 4 rows
    origin = [-10 + 6 * 0.7, -20 + 4 * 0.9, 3.0 if direction > 0 else 3.0 - 4 * 2.5]
    np.testing.assert_allclose(series.grid.to_lps([0, 0, 0]), origin, atol=1e-9)
    np.testing.assert_allclose(series.grid.spacing, (0.7, 0.9, 2.5))
    assert read_volume(series).array.shape == (5, 4, 6)


def test_the_study_carries_what_the_headers_say(tmp_path: Path) -> None:
    tags = {"StudyDate": "20190307", "AccessionNumber": "A1", "PatientAge": "061Y", "PatientSex": "M", "StudyDescription": "MR prostate"}
    stack(tmp_path / "root", [0.0, 3.0], StudyTime="101500", Manufacturer="SIEMENS", MagneticFieldStrength=3.0, **tags)
    (study,) = records(tmp_path / "root", tmp_path / "cache")
    assert isinstance(study, ImagingStudy)
    assert (study.patient_id, study.accession, str(study.study_date), study.study_time) == ("P1", "A1", "2019-03-07", "101500")
    assert (study.patient_age_years, study.patient_sex, study.description, study.kind) == (61.0, "M", "MR prostate", StudyKind.DIAGNOSTIC)
    assert (study.series[0].manufacturer, study.series[0].magnetic_field_strength_t) == ("SIEMENS", 3.0)


def test_a_study_with_a_needle_series_is_intraprocedural(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0, 3.0])
    stack(tmp_path / "root", [0.0, 3.0], SeriesInstanceUID=uid("needle"), SeriesDescription="BEAT_IRTTT needle tra")
    (study,) = records(tmp_path / "root", tmp_path / "cache")
    assert isinstance(study, ImagingStudy)
    assert (study.kind, study.kind_reason) == (StudyKind.INTRAPROCEDURAL, "1 series of needle guidance")
    assert sorted(series.is_diagnostic for series in study.series) == [False, True]


def test_studies_that_mix_or_lack_patients_are_dropped(tmp_path: Path) -> None:
    stack(tmp_path / "root", [0.0], PatientID="P1")
    stack(tmp_path / "root", [3.0], first=2, PatientID="P2")
    write_mr(tmp_path / "root" / "none", 3, StudyInstanceUID=uid("second"), SeriesInstanceUID=uid("s2"), PatientID="")
    write_mr(tmp_path / "root" / "lost", 4, StudyInstanceUID=None, SeriesInstanceUID=uid("s3"))
    found = records(tmp_path / "root", tmp_path / "cache")
    assert all(isinstance(entry, LedgerEntry) for entry in found)
    assert sorted((entry.kind, entry.reason) for entry in found if isinstance(entry, LedgerEntry)) == [
        ("file", "no_study_uid"),
        ("study", "no_patient_id"),
        ("study", "several_patient_ids"),
    ]


REAL_SERIES = {
    # hand-read from the files' provenance and what the images are; part by part where a series mixes volumes
    "prostate_dicom/ProstateX": {
        ("t2_tse_sag", ""): ("T2W", "sagittal"),
        ("t2_tse_tra", ""): ("T2W", "axial"),
        ("t2_tse_cor", ""): ("T2W", "coronal"),
        ("ep2d_diff_tra_DYNDIST", "b50"): ("DWI", "axial"),
        ("ep2d_diff_tra_DYNDIST", "b400"): ("DWI", "axial"),
        ("ep2d_diff_tra_DYNDIST", "b800"): ("DWI", "axial"),
        ("ep2d_diff_tra_DYNDIST_ADC", ""): ("ADC", "axial"),
        ("ep2d_diff_tra_DYNDISTCALC_BVAL", ""): ("DWI", "axial"),
        ("tfl_3d PD ref_tra_1.5x1.5_t3", ""): ("OTHER", "axial"),
    },
    "prostate_dicom/ProstateX-missing-slice": {("ep2d_diff_tra_DYNDISTCALC_BVAL", ""): ("DWI", "axial")},
    "prostate_dicom/qin_prostate_ge_adc": {("Apparent Diffusion Coefficient (mm?/s)", ""): ("ADC", "axial")},
    "mr_dicom_multivendor/dcm_qa_ge": {
        ("Ax DWI TENSOR R2", "b0"): ("DWI", "axial"),
        ("Ax DWI TENSOR R2", "b1000_dir1"): ("DWI", "axial"),
        ("Ax DWI TENSOR R2", "b1000_dir2"): ("DWI", "axial"),
    },
    "mr_dicom_multivendor/dcm_qa_philips_dwi": {
        ("DTI_Biobank_2mm_MB3S2_EPI", "b0"): ("DWI", "axial"),
        **{("DTI_Biobank_2mm_MB3S2_EPI", f"b1000_dir{n}"): ("DWI", "axial") for n in range(1, 13)},
    },
    # a gradient echo that Philips itself calls T1, and the field map computed from it
    "mr_dicom_multivendor/dcm_qa_enh/Philips": {("B0 NS", ""): ("T1W", "axial"), ("B0 NS", "field_map"): ("OTHER", "axial")},
    # functional MRI, two volumes
    "mr_dicom_multivendor/dcm_qa_enh/Siemens": {("REST1 w SMS PF7-8", part): ("OTHER", "axial") for part in ("t1", "t2")},
    # de-identified without descriptions: tags alone
    "mr_dicom_multivendor/dicom2nifti/ge/dti/001": {("", "b0"): ("DWI", "axial"), ("", "b1000"): ("DWI", "axial")},
    "mr_dicom_multivendor/dicom2nifti/ge/dti/002": {("", ""): ("OTHER", "coronal")},  # echo planar, no b-value
    "mr_dicom_multivendor/dicom2nifti/philips/dti/001": {
        ("", "b0"): ("DWI", "axial"),
        **{("", f"b1000_dir{n}"): ("DWI", "axial") for n in (1, 2, 3)},
    },
    "mr_dicom_multivendor/dicom2nifti/siemens/dti/001": {("", "b0"): ("DWI", "axial"), ("", "b1000"): ("DWI", "axial")},
    "mr_dicom_multivendor/dicom2nifti/hitachi": {("", ""): ("OTHER", "sagittal")},  # proton density: SE 12/4000
    "mr_dicom_multivendor/dicom2nifti/hyperfine": {("", ""): ("OTHER", "axial")},  # FLAIR: SE/IR 194/4000/1400
    "mr_dicom_multivendor/dicom2nifti/generic/compressed_j2k": {("", ""): ("OTHER", "sagittal")},  # FLAIR
    "mr_dicom_multivendor/dicom2nifti/generic/anatomical": {("", ""): ("OTHER", "axial")},  # ImageType MPR
    "mr_dicom_multivendor/dicom2nifti/failing/slicecount": {("", ""): ("OTHER", "sagittal")},  # FLAIR
    "mr_dicom_multivendor/dicom2nifti/failing/sliceorientation": {("", "sagittal"): ("T2W", "sagittal"), ("", "axial"): ("T2W", "axial")},
    "mr_dicom_multivendor/nibabel": {
        ("MPRAGE_S2", ""): ("T1W", "sagittal"),
        ("CBU_DTI_64D_1A", "b0"): ("DWI", "axial"),
        ("CBU_DTI_64D_1A", "b1000"): ("DWI", "axial"),
        ("<MIP Range>", ""): ("OTHER", "sagittal"),
    },
    "dicom_special/dcm4che": {("Liver/SpleeDUAL/ADRENA", ""): ("T1W", "coronal")},
    "dicom_special/pydicom-data": {
        ("marked lesion<MPR Collection>", ""): ("OTHER", "axial"),
        ("", ""): ("T1W", None),  # an enhanced image whose frames have no orientation
    },
    "dicom_special/wg04": {("STIR GR 512", ""): ("OTHER", "axial"), ("", ""): ("T2W", "axial")},
}


@needs_shared
@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("place", REAL_SERIES)
def test_real_series_have_their_role_and_plane(place: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path in sorted((SHARED_DATA / place).rglob("*")):
        if path.is_file() and path.suffix not in (".nii", ".nrrd", ".md", ".json"):
            target = root / path.relative_to(SHARED_DATA / place)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".gz":
                target.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            else:
                shutil.copyfile(path, target)
    groups: dict[str, list[dict[str, Any]]] = {}
    for header in index_folder(root, SerialExecutor(), tmp_path / "cache").table.to_pylist():  # some lack the Patient ID that a study needs
        if header["modality"] == "MR":
            groups.setdefault(header["series_uid"], []).append(header)
    series = [part for headers in groups.values() for part in build_series(headers, root)]
    names = [(part.description or part.protocol_name or "", part.part) for part in series]
    found = {name: (part.role.value, part.plane.value if part.plane else None) for name, part in zip(names, series, strict=True)}
    assert found == REAL_SERIES[place]


@needs_shared
@pytest.mark.shared
def test_the_real_series_with_a_missing_slice_is_found_out(tmp_path: Path) -> None:
    shutil.copytree(SHARED_DATA / "prostate_dicom" / "ProstateX-missing-slice", tmp_path / "root")
    (series,) = series_of(tmp_path / "root").values()
    assert series.problems == ("missing_slices",)
    assert series.grid is not None
    assert (series.image_count, series.grid.shape[2]) == (18, 19)


@needs_shared
@pytest.mark.shared
@pytest.mark.slow
def test_the_real_t2w_grid_is_that_of_simpleitk(tmp_path: Path) -> None:
    import SimpleITK

    folder = SHARED_DATA / "prostate_dicom" / "ProstateX" / "ProstateX-0000" / "07-07-2011" / "4.000000-t2tsetra-00702"
    shutil.copytree(folder, tmp_path / "root")
    (series,) = series_of(tmp_path / "root").values()
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "root"))
    image = SimpleITK.ReadImage(names)
    assert series.grid is not None
    assert image.GetSize() == series.grid.shape
    for index in ((0, 0, 0), (383, 0, 0), (0, 383, 0), (11, 222, 18)):
        np.testing.assert_allclose(series.grid.to_lps(index), image.TransformIndexToPhysicalPoint(index), atol=1e-2)
