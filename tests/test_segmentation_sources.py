"""Segmentations: DICOM-SEG written by highdicom and masks written by SimpleITK come back where they were drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from tests.phantom import asymmetric_array, oblique_grid, uid, write_series
from weakbox.imaging.segmentations import read_dicom_seg, read_mask, segment_kind
from weakbox.records.biopsy import Segmentation, SegmentationKind
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.sources import dicom_seg, nifti_masks
from weakbox.sources.source import Source

GRID = oblique_grid()


def run(source: Source, path: Path, **options: Any) -> tuple[list[Segmentation], list[LedgerEntry]]:
    items = list(source.read(source.options(source="x", path=path, **options)))
    return [item for item in items if isinstance(item, Segmentation)], [item for item in items if isinstance(item, LedgerEntry)]


def block(start: tuple[int, int, int], stop: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A mask [k, j, i] of the half-open (i, j, k) box."""
    mask = np.zeros(GRID.shape[::-1], dtype=np.uint8)
    mask[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]] = 1
    return mask


LESION, GLAND = ((3, 5, 2), (9, 8, 5)), ((1, 2, 1), (20, 15, 8))


def check_box(item: Segmentation, start: tuple[int, int, int], stop: tuple[int, int, int]) -> None:
    """The box of an oblique grid: corners, centre and volume in LPS mm."""
    low, high = np.array(start) - 0.5, np.array(stop) - 0.5
    corners = {tuple(np.round(GRID.to_lps(np.where(choice, high, low)), 3)) for choice in np.ndindex(2, 2, 2)}
    found = {tuple(np.round(np.array(item.corner) + np.array(choice) @ np.array(item.edges), 3)) for choice in np.ndindex(2, 2, 2)}
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(corners)), abs=2e-3)
    assert item.centroid == pytest.approx(GRID.to_lps((low + high) / 2), abs=2e-3)
    assert item.volume_ml == pytest.approx(np.prod(high - low) * np.prod(GRID.spacing) / 1000, rel=1e-4)


def write_seg(folder: Path, masks: list[NDArray[Any]], labels: list[str], kind: str = "BINARY", **tags: Any) -> Path:
    series = write_series(folder / "images", GRID, asymmetric_array(GRID), **tags)
    images = [pydicom.dcmread(instance.path) for instance in series.instances]
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Prostate
            if label == "Prostate"
            else codes.SCT.Lesion
            if "Lesion" in label
            else codes.SCT.Urethra,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(labels, start=1)
    ]
    pixels = np.stack(masks, axis=-1) if kind != "LABELMAP" else sum(mask * np.uint8(number) for number, mask in enumerate(masks, start=1))
    seg = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=pixels.astype(np.float32) if kind == "FRACTIONAL" else pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=uid("seg series"),
        series_number=99,
        sop_instance_uid=uid("seg"),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        **({"fractional_type": "PROBABILITY"} if kind == "FRACTIONAL" else {}),
    )
    seg.save_as(folder / "seg.dcm")
    return folder / "seg.dcm"


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segments_of_a_dicom_seg_come_back_where_they_were_drawn(tmp_path: Path, kind: str) -> None:
    gland, lesion = block(*GLAND), block(*LESION)
    if kind == "LABELMAP":
        gland = block((12, 2, 1), (20, 15, 8))
    path = write_seg(tmp_path, [gland, lesion], ["Prostate", "Lesion 1"], kind)
    (first, second), ledger = run(dicom_seg.SOURCE, path)
    check_box(first, *(((12, 2, 1), (20, 15, 8)) if kind == "LABELMAP" else GLAND))
    check_box(second, *LESION)
    assert [(item.kind, item.label, item.segment_number) for item in (first, second)] == [
        (SegmentationKind.GLAND, "Prostate", 1),
        (SegmentationKind.LESION, "Lesion 1", 2),
    ]
    assert (second.series_uid, second.study_uid) == (uid("study", "t2w"), uid("study"))
    assert second.frame_of_reference_uid == GRID.frame_of_reference_uid
    assert (second.is_expert, ledger) == (True, [])


def test_empty_and_unknown_segments_are_dropped_and_images_passed_over(tmp_path: Path) -> None:
    write_seg(tmp_path, [block(*LESION), block(*GLAND)], ["Lesion 1", "Urethra"])
    items, ledger = run(dicom_seg.SOURCE, tmp_path)
    assert [item.label for item in items] == ["Lesion 1"]
    assert [(entry.reason, entry.outcome.value) for entry in ledger] == [
        ("unknown_segment_kind", "dropped"),
        ("not_a_segmentation", "flagged"),
    ]
    assert ledger[1].detail == f"{GRID.shape[2]} other files passed over"
    _, ledger = run(dicom_seg.SOURCE, tmp_path / "seg.dcm", kinds=["gland"])
    assert [entry.reason for entry in ledger] == ["kind_not_asked_for", "unknown_segment_kind"]


def test_a_segmentation_without_positions_or_with_damaged_pixels_is_dropped(tmp_path: Path) -> None:
    path = write_seg(tmp_path, [block(*LESION)], ["Lesion 1"])
    header = pydicom.dcmread(path)
    del header.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    header.save_as(tmp_path / "no_position.dcm")
    (tmp_path / "cut.dcm").write_bytes(path.read_bytes()[:-60])
    for name in ("no_position.dcm", "cut.dcm"):
        items, ledger = run(dicom_seg.SOURCE, tmp_path / name)
        assert (items, [entry.reason for entry in ledger]) == ([], ["unreadable_segmentation"]), name
    with pytest.raises(InputError, match="no DICOM segmentation"):
        read_dicom_seg(next((tmp_path / "images").iterdir()))


@pytest.mark.parametrize(
    ("code", "label", "kind"),
    [
        ("41216001", "Prostate", SegmentationKind.GLAND),
        ("41216001", "Lesion 2", SegmentationKind.LESION),
        ("279706003", None, SegmentationKind.ZONE_PZ),
        ("399384005", "TZ", SegmentationKind.ZONE_TZ),
        (None, "WholeGland_prostate", SegmentationKind.GLAND),
        (None, "SuspectedTumor_1", None),
        (None, "Suspected tumor", SegmentationKind.LESION),
        (None, "Normal ROI", None),
        ("13648007", "Urethra", None),
        (None, None, None),
    ],
)
def test_a_segments_kind_is_told_from_code_and_label(code: str | None, label: str | None, kind: SegmentationKind | None) -> None:
    assert segment_kind(code, label) is kind


# Masks ------------------------------------------------------------------------------------------------------------------


def write_mask(path: Path, mask: NDArray[Any], grid: Grid = GRID) -> Path:
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(tuple(grid.matrix[:3, 3]))
    image.SetDirection(tuple(grid.directions.ravel()))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_a_mask_volume_comes_back_where_it_was_drawn(tmp_path: Path, suffix: str) -> None:
    write_mask(tmp_path / "masks" / f"a{suffix}", (block(*LESION) * 3).astype(np.uint8))
    table = tmp_path / "masks.csv"
    table.write_text(f"patient_id,kind,path,series_uid,frame_of_reference_uid\nP1,lesion,masks/a{suffix},1.2,1.9\n", encoding="utf-8")
    (item,), ledger = run(nifti_masks.SOURCE, table)
    check_box(item, *LESION)
    assert (item.patient_id, item.series_uid, item.frame_of_reference_uid, item.segment_number) == ("P1", "1.2", "1.9", 3)
    assert (item.isup_grade, ledger) == (None, [])


def test_grade_masks_give_one_lesion_for_each_group_of_touching_voxels(tmp_path: Path) -> None:
    mask = block((3, 5, 2), (9, 8, 5)) * 2 + block((9, 8, 5), (11, 10, 7)) * 3 + block((15, 12, 1), (18, 15, 4)) * 4
    write_mask(tmp_path / "a.nii.gz", mask.astype(np.uint8))
    table = tmp_path / "masks.csv"
    table.write_text("patient_id,kind,path\nP1,lesion,a.nii.gz\n", encoding="utf-8")
    items, _ = run(nifti_masks.SOURCE, table, values="isup_grade")
    assert sorted((item.isup_grade or 0, item.segment_number) for item in items) == [(3, 2), (4, 1)]
    check_box(next(item for item in items if item.isup_grade == 4), (15, 12, 1), (18, 15, 4))
    items, _ = run(nifti_masks.SOURCE, table)
    assert [(item.segment_number, item.isup_grade) for item in items] == [(2, None), (3, None), (4, None)]


def test_rows_of_masks_that_cannot_be_used_are_dropped(tmp_path: Path) -> None:
    write_mask(tmp_path / "empty.mha", block((0, 0, 0), (0, 0, 0)))
    write_mask(tmp_path / "image.mha", np.full(GRID.shape[::-1], 0.5, dtype=np.float32))
    (tmp_path / "bad.nii.gz").write_bytes(b"no gzip")
    rows = [
        "P1,lesion,empty.mha",
        "P1,lesion,image.mha",
        "P1,lesion,bad.nii.gz",
        "P1,lesion,absent.mha",
        "P1,tumour,empty.mha",
        ",lesion,empty.mha",
    ]
    table = tmp_path / "masks.csv"
    table.write_text("patient_id,kind,path\n" + "\n".join(rows) + "\n", encoding="utf-8")
    items, ledger = run(nifti_masks.SOURCE, table)
    assert items == []
    assert [entry.reason for entry in ledger] == ["empty_segment", *["unreadable_mask"] * 3, "unknown_kind", "no_patient"]


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "nc_picai_labels").is_dir(), reason="the sample data beside the checkout are absent")
def test_real_grade_masks_and_gland_masks_are_read(tmp_path: Path) -> None:
    folder = SHARED / "nc_picai_labels"
    lesions = sorted((folder / "csPCa_lesion_delineations" / "human_expert" / "original").glob("*.nii.gz"))
    glands = sorted((folder / "anatomical_delineations" / "whole_gland" / "AI" / "Bosma22b").glob("*.nii.gz"))
    rows = [f"{path.name.split('_')[0]},lesion,{path}" for path in lesions] + [f"{path.name.split('_')[0]},gland,{path}" for path in glands]
    table = tmp_path / "masks.csv"
    table.write_text("patient_id,kind,path\n" + "\n".join(rows) + "\n", encoding="utf-8")
    items, _ = run(nifti_masks.SOURCE, table, values="isup_grade")
    found = [item for item in items if item.kind is SegmentationKind.LESION]
    assert found
    assert all(item.isup_grade in range(2, 6) for item in found)
    largest = {item.patient_id: item for item in sorted(items, key=lambda item: item.volume_ml) if item.kind is SegmentationKind.GLAND}
    assert all(10 < gland.volume_ml < 300 for gland in largest.values())


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "dicom_special").is_dir(), reason="the sample data beside the checkout are absent")
@pytest.mark.parametrize(
    "name", ["seg_image_ct_binary", "seg_image_ct_binary_overlap", "seg_image_ct_binary_fractional", "seg_image_ct_true_fractional"]
)
def test_segmentations_that_others_wrote_have_the_volume_that_highdicom_reads(name: str) -> None:
    path = SHARED / "dicom_special" / "highdicom" / f"{name}.dcm"
    stored = read_dicom_seg(path)
    reference = highdicom.seg.segread(path)
    for segment in stored.segments:
        volume = reference.get_volume(segment_numbers=[segment.number], rescale_fractional=True)
        voxels = int((volume.array >= 0.5).sum())
        expected = voxels * float(np.prod(volume.spacing)) / 1000
        assert (segment.extent.volume_ml if segment.extent else 0.0) == pytest.approx(expected, rel=1e-4)


def test_a_mask_of_another_dimension_is_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5), dtype=np.uint8)), str(tmp_path / "flat.mha"))
    with pytest.raises(InputError, match="3-D volume"):
        read_mask(tmp_path / "flat.mha")
