"""DDSM: a simulated archive against its truth, each known trap, bad input, and the real case sheets, listing and overlay texts."""

from __future__ import annotations

import ast
import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from weakbox.datasets_public.cases import image_path, read_cases
from weakbox.datasets_public.ddsm import DATASET
from weakbox.datasets_public.ddsm_files import case_of, film_of, outlines_found, read_case_sheet, read_overlay, volume_of
from weakbox.datasets_public.ddsm_words import pathology_of, subtlety_of
from weakbox.datasets_public.locating import locate
from weakbox.imaging.outlines import box_of_pixels, chain_outline
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.simulate.public.ddsm import TREE, chain_code, outline
from weakbox.simulate.public.tree import PlantedTree
from weakbox.terminology.mammography import birads_of

TABLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "mammo_tables" / "ddsm"
needs_shared = pytest.mark.skipif(not TABLES.is_dir(), reason="the sample data beside the checkout are absent")
HEAD = (
    "TOTAL_ABNORMALITIES 1\nABNORMALITY 1\nLESION_TYPE MASS SHAPE OVAL MARGINS CIRCUMSCRIBED\nASSESSMENT 4\nSUBTLETY 3\nPATHOLOGY BENIGN\n"
)

Read = tuple[list[CuratedCase], Counter[str]]


def read(folder: Path) -> Read:
    """Cases as read, and how often each reason is in the ledger."""
    located = locate(DATASET, folder)
    assert located is not None
    items = list(read_cases(DATASET, located))
    return [item for item in items if isinstance(item, CuratedCase)], Counter(
        item.reason for item in items if isinstance(item, LedgerEntry)
    )


def complete(cases: Iterable[CuratedCase]) -> Read:
    """Cases with their images opened, and what was said about them."""
    done: list[CuratedCase] = []
    reasons: Counter[str] = Counter()
    for case in cases:
        assert DATASET.complete is not None
        finished, entries = DATASET.complete(case)
        reasons.update(entry.reason for entry in entries)
        if finished is not None:
            done.append(finished)
    return done, reasons


def labels_of(cases: Iterable[CuratedCase]) -> list[WeakLabel]:
    return [label for case in cases for label in case.labels]


def boxes_of(labels: Iterable[WeakLabel]) -> list[tuple[float, float, float, float]]:
    return sorted((box.x0, box.y0, box.x1, box.y1) for label in labels if (box := label.pixel_box))


def file_of(tree: Path, pattern: str) -> Path:
    return sorted(tree.rglob(pattern))[0]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="latin-1")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="latin-1")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedTree]:
    folder = tmp_path_factory.mktemp("ddsm")
    return folder, TREE.write(folder, 8, 1)


@pytest.fixture
def tree(pristine: tuple[Path, PlantedTree], tmp_path: Path) -> Path:
    shutil.copytree(pristine[0], tmp_path / "tree")
    return tmp_path / "tree"


# Layouts ------------------------------------------------------------------------------------------------------------


def test_the_archive_gives_the_planted_images_and_exactly_the_planted_boxes(pristine: tuple[Path, PlantedTree]) -> None:
    folder, truth = pristine
    cases, reasons = read(folder)
    done, remarks = complete(cases)
    assert not reasons
    assert not remarks
    images = {str(image_path(series).relative_to(folder)): (case, series) for case in done for series in case.study.series}
    assert images.keys() == {image.path for image in truth.images}
    for image in truth.images:
        case, series = images[image.path]
        assert case.patient_id == f"ddsm:{image.patient_id}"
        assert {name: series.attributes[name] for name in image.attributes} == dict(image.attributes)
        labels = [label for label in case.labels if label.series_key == series.key]
        assert boxes_of(labels) == sorted((*lesion.start, *lesion.stop) for lesion in image.lesions)
        assert {label.diagnosis for label in labels} == {lesion.diagnosis for lesion in image.lesions}
        assert {label.birads for label in labels} == {lesion.birads for lesion in image.lesions}


def test_films_without_their_case_sheets_keep_labels_and_get_no_box(tmp_path: Path) -> None:
    truth = TREE.other_layouts["films"](tmp_path, 4, 1)
    located = locate(DATASET, tmp_path)
    assert located is not None
    assert (located.layout, [missing.split()[0] for missing in located.missing]) == ("films", ["sheets"])
    cases, reasons = read(tmp_path)
    labels = labels_of(complete(cases)[0])
    assert reasons == {"missing_ics": 4}
    assert len(labels) == sum(len(image.lesions) for image in truth.images)
    assert all(label.pixel_box is None and label.tier is Tier.CASE_LEVEL and label.conflicts == ("unknown_film_size",) for label in labels)


def test_a_tree_has_the_same_bytes_each_time(pristine: tuple[Path, PlantedTree], tmp_path: Path) -> None:
    TREE.write(tmp_path, 8, 1)
    first = {path.relative_to(pristine[0]): path.read_bytes() for path in pristine[0].rglob("*") if path.is_file()}
    assert first == {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_age_density_and_scanner_come_from_the_case_sheet(pristine: tuple[Path, PlantedTree]) -> None:
    case = next(case for case in read(pristine[0])[0] if case.patient_id == "ddsm:D-0004")
    series = case.study.series[0]
    assert case.study.patient_age_years == 43.0
    assert (series.attributes["digitizer"], series.attributes["resolution_um"]) == ("HOWTEK", 43.5)


# Outlines -----------------------------------------------------------------------------------------------------------


def test_a_chain_code_starts_with_column_and_row_and_zero_is_up() -> None:
    assert chain_outline("10 20 0 2 4 6 #").tolist() == [[10, 20], [10, 19], [11, 19], [11, 20], [10, 20]]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(3, 60), st.integers(3, 60))
def test_an_outline_survives_its_chain_code(x: int, y: int, width: int, height: int) -> None:
    box = (float(x), float(y), float(x + width), float(y + height))
    assert box_of_pixels(chain_outline(chain_code(outline(box)))) == box


def test_the_boundary_gives_the_box_and_cores_inside_it_do_not() -> None:
    text = f"{HEAD}TOTAL_OUTLINES 3\nBOUNDARY\n10 10 2 2 4 4 6 6 0 0 #\n\tCORE\n11 11 2 6 #\n\tCORE\n12 12 2 6 #\n"
    (marking,) = read_overlay(text).markings
    assert (len(marking.boundaries), len(marking.cores), outlines_found(marking)) == (1, 2, 3)


def test_an_outline_that_wraps_over_lines_is_one() -> None:
    (marking,) = read_overlay(f"{HEAD}TOTAL_OUTLINES 1\nBOUNDARY\n10 10 2 2 4 4\n6 6 0 0\n#\n").markings
    assert box_of_pixels(chain_outline(marking.boundaries[0])) == (10.0, 10.0, 13.0, 13.0)


def test_two_lesion_types_of_one_abnormality_are_both_kept(pristine: tuple[Path, PlantedTree]) -> None:
    case = next(case for case in read(pristine[0])[0] if case.patient_id == "ddsm:A-0001")
    for label in case.labels:
        assert label.finding_types == ("architectural_distortion", "calcification", "mass")
        assert (label.attributes["calc_type"], label.attributes["mass_margins"]) == ("PLEOMORPHIC", "SPICULATED")
        assert "calc_distribution" not in label.attributes
        assert label.attributes["cores"] == 1


def test_two_boundaries_of_one_abnormality_are_two_labels_of_one_lesion(tree: Path) -> None:
    path = file_of(tree, "D_0004_1.*_CC.OVERLAY")
    edit(path, "TOTAL_OUTLINES 1", "TOTAL_OUTLINES 2")
    path.write_text(path.read_text() + "BOUNDARY\n10 10 2 2 4 4 6 6 0 0 #\n")
    cases, reasons = read(tree)
    labels = [label for label in labels_of(cases) if label.lesion_id.startswith("ddsm/D_0004_1") and "_CC_" in label.lesion_id]
    assert len({label.label_id for label in labels}) == 2
    assert len({label.lesion_id for label in labels}) == 1
    assert not reasons


@pytest.mark.parametrize("boundary", ["10 10 2 4 6", "10 10 2 9 6 0 #", "10 #", "ten 10 2 4 #"])
def test_an_outline_that_is_cut_off_or_damaged_gives_no_box(boundary: str, tree: Path) -> None:
    path = file_of(tree, "D_0004_1.*_CC.OVERLAY")
    path.write_text(re.sub(r"BOUNDARY\n.*\n", f"BOUNDARY\n{boundary}\n", path.read_text()))
    cases, reasons = read(tree)
    assert reasons["damaged_outline"] == 1
    damaged = [label for label in labels_of(cases) if label.conflicts]
    assert [(label.diagnosis, label.pixel_box, label.conflicts) for label in damaged] == [
        ("benign_without_callback", None, ("damaged_outline",))
    ]


def test_wrong_totals_are_flagged_and_what_is_there_counts(tree: Path) -> None:
    before = labels_of(read(tree)[0])
    path = file_of(tree, "B_0002_1.*_CC.OVERLAY")
    edit(path, "TOTAL_OUTLINES 1", "TOTAL_OUTLINES 3")
    edit(path, "TOTAL_ABNORMALITIES 2", "TOTAL_ABNORMALITIES 1")
    cases, reasons = read(tree)
    assert reasons == {"outline_count": 1, "abnormality_count": 1}
    assert labels_of(cases) == before


def test_an_outline_beyond_the_image_is_cut_or_loses_its_box(tree: Path) -> None:
    partly, wholly = sorted(tree.rglob("D_0004_1.*.OVERLAY"))
    for path, start in ((partly, "-"), (wholly, "900 900")):
        code = "0 0 6 6 #" if start == "-" else f"{start} 2 2 4 4 6 6 0 0 #"
        path.write_text(
            re.sub(r"BOUNDARY\n.*\n", f"BOUNDARY\n{'5 5 ' + '6 ' * 9 + '4 4 4 #' if start == '-' else code}\n", path.read_text())
        )
    done, reasons = complete(read(tree)[0])
    assert (reasons["partly_outside_image"], reasons["outside_image"]) == (1, 1)
    labels = [label for label in labels_of(done) if label.needs_review]
    assert sorted(box is None for box in (label.pixel_box for label in labels)) == [False, True]
    assert next(label.pixel_box.x0 for label in labels if label.pixel_box) == 0.0


# Images -------------------------------------------------------------------------------------------------------------


def test_boxes_follow_a_smaller_copy_of_the_same_proportions(tree: Path) -> None:
    path = file_of(tree, "A_0001_1.*_CC.png")
    overlay = file_of(tree, "A_0001_1.*_CC.OVERLAY")
    path = overlay.with_suffix(".png")
    with Image.open(path) as picture:
        half = picture.resize((picture.width // 2, picture.height // 2))
    half.save(path)
    cases, _ = read(tree)
    done, reasons = complete(cases)
    before = next(label for label in labels_of(cases) if label.series_key == f"ddsm/{overlay.stem}")
    after = next(label for label in labels_of(done) if label.label_id == before.label_id)
    assert reasons == {"resized_image": 1}
    assert boxes_of([after]) == [tuple(value / 2 for value in boxes_of([before])[0])]
    series = next(series for case in done for series in case.study.series if series.key == before.series_key)
    assert (series.attributes["columns"], series.attributes["resolution_um"]) == (92, 84.0)


def test_an_image_of_other_proportions_gets_no_box(tree: Path) -> None:
    path = file_of(tree, "A_0001_1.*_CC.OVERLAY").with_suffix(".png")
    Image.fromarray(np.zeros((100, 180), np.uint16)).save(path)
    done, reasons = complete(read(tree)[0])
    assert reasons == {"wrong_size": 1}
    assert [label.conflicts for label in labels_of(done) if label.pixel_box is None] == [("wrong_size",)]


def test_an_image_with_width_and_height_swapped_is_scrambled_and_left_out(tree: Path) -> None:
    path = file_of(tree, "A_0001_1.*_CC.OVERLAY").with_suffix(".png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    Image.fromarray(pixels.reshape(pixels.shape[1], pixels.shape[0])).save(path)
    cases, _ = read(tree)
    done, reasons = complete(cases)
    assert reasons == {"scrambled_image": 1}
    key = f"ddsm/{path.stem}"
    assert key not in {series.key for case in done for series in case.study.series}
    assert key not in {label.series_key for label in labels_of(done)}
    assert len(labels_of(done)) == len(labels_of(cases)) - 1


def test_a_corrupt_image_is_dropped_and_the_rest_goes_on(tree: Path) -> None:
    file_of(tree, "C_0003_1.LEFT_CC.*").write_bytes(b"<html>")
    cases, _ = read(tree)
    done, reasons = complete(cases)
    assert reasons == {"unreadable_image": 1}
    assert len(done) == len(cases)


def test_films_that_are_not_converted_are_counted(tree: Path) -> None:
    for path in sorted(tree.rglob("C_0003_1.*.png"))[:3]:
        path.with_suffix(".LJPEG").write_bytes(b"\xff\xd8")
        path.unlink()
    assert read(tree)[1]["not_converted"] == 3


def test_an_archive_without_one_converted_image_says_how_to_convert(tree: Path) -> None:
    for path in [*tree.rglob("*.png"), *tree.rglob("*.tif")]:
        path.with_name(f"{film_of(path.name).name}.LJPEG").write_bytes(b"\xff\xd8")  # type: ignore[union-attr]
        path.unlink()
    with pytest.raises(InputError, match=r"32 films .* none converted.*aaalgo/ljpeg"):
        read(tree)


def test_masks_that_a_converter_wrote_are_no_images_and_of_two_formats_one_is_read(tree: Path) -> None:
    path = file_of(tree, "A_0001_1.LEFT_CC.png")
    shutil.copy(path, path.with_name("A_0001_1.LEFT_CC_Mask.png"))
    with Image.open(path) as picture:
        picture.save(path.with_name("A_0001_1.LEFT_CC.LJPEG.tif"))
    cases, reasons = read(tree)
    assert reasons == {"several_files": 1}
    assert path in {image_path(series) for case in cases for series in case.study.series}
    assert sum(len(case.study.series) for case in cases) == 32


# Cases --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "A_1403_1.RIGHT_MLO.LJPEG",
        "A_1403_1.RIGHT_MLO.LJPEG.1.jpg",
        "cancer_08-A_1403_1.RIGHT_MLO.LJPEG.1.jpg",
        "a_1403_1.right_mlo_LJPEG.tif",
    ],
)
def test_a_film_is_known_by_its_name_whatever_a_converter_adds(name: str) -> None:
    film = film_of(name)
    assert film is not None
    assert (film.name, film.case, film.patient) == ("A_1403_1.RIGHT_MLO", "A-1403-1", "A-1403")


def test_case_numbers_alone_name_several_patients(tree: Path) -> None:
    for source, target in (("B_0002_1", "C_0001_1"), ("B-0002-1", "C-0001-1")):
        for path in tree.rglob(f"{source}*"):
            path.rename(path.with_name(path.name.replace(source, target)))
    patients = {case.patient_id for case in read(tree)[0]}
    assert {"ddsm:A-0001", "ddsm:C-0001"} <= patients
    assert len(patients) == 8


def test_normal_volumes_are_negatives_and_only_where_no_overlay_is_announced(tree: Path) -> None:
    sheet = file_of(tree, "C-0003-1.ics")
    edit(sheet, "NON_OVERLAY", "OVERLAY")
    cases, reasons = read(tree)
    negative = {case.patient_id: case.negative_reason for case in cases if not case.labels}
    assert negative["ddsm:C-0007"] == "a case of the normal volumes"
    assert negative["ddsm:C-0003"] is None
    assert reasons == {"missing_overlay": 1}


def test_a_volume_that_its_overlays_contradict_is_flagged(tree: Path) -> None:
    edit(file_of(tree, "B_0002_1.*_CC.OVERLAY"), "PATHOLOGY BENIGN", "PATHOLOGY MALIGNANT")
    for path in tree.rglob("A_0001_1.*.OVERLAY"):
        edit(path, "MALIGNANT", "BENIGN")
    cases, reasons = read(tree)
    assert reasons == {"volume_disagrees": 2}
    assert {case.patient_id for case in cases if case.conflicts} == {"ddsm:A-0001", "ddsm:B-0002"}


def test_without_overlays_the_volume_speaks_of_the_patient_and_not_of_an_image(tree: Path) -> None:
    for path in tree.rglob("A_0001_1.*.OVERLAY"):
        path.unlink()
    case = next(case for case in read(tree)[0] if case.patient_id == "ddsm:A-0001")
    (label,) = case.labels
    assert (label.diagnosis, label.status, label.series_key, label.attributes["label_scope"]) == (
        "malignant",
        LesionStatus.CANCER,
        None,
        "patient",
    )
    assert case.negative_reason is None


def test_an_overlay_in_the_folder_of_another_case_is_not_used(tree: Path) -> None:
    before = labels_of(read(tree)[0])
    home = file_of(tree, "B-0002-1.ics").parent
    shutil.copy(file_of(tree, "A_0001_1.*_CC.OVERLAY"), home / "A_0001_1.LEFT_MLO.OVERLAY")
    cases, reasons = read(tree)
    assert reasons == {"foreign_overlay": 1}
    assert labels_of(cases) == before


def in_second_volume(tree: Path) -> Path:
    """Put the cancer case into a benign volume, too."""
    second = tree / "cases" / "benigns" / "benign_05" / "case0001"
    shutil.copytree(file_of(tree, "A-0001-1.ics").parent, second)
    return second


def test_a_case_in_two_volumes_is_read_once_and_neither_volume_speaks_of_it(tree: Path) -> None:
    before = next(case for case in read(tree)[0] if case.patient_id == "ddsm:A-0001")
    in_second_volume(tree)
    cases, reasons = read(tree)
    after = next(case for case in cases if case.patient_id == "ddsm:A-0001")
    assert reasons == {"repeated_case_sheet": 1, "several_files": 4}
    assert [(label.label_id, label.diagnosis, label.pixel_box) for label in after.labels] == [
        (label.label_id, label.diagnosis, label.pixel_box) for label in before.labels
    ]
    assert (len(cases), after.conflicts) == (8, ())


def test_volumes_that_differ_about_one_outline_leave_its_diagnosis_open(tree: Path) -> None:
    second = in_second_volume(tree)
    edit(next(second.glob("*_CC.OVERLAY")), "MALIGNANT", "BENIGN")
    cases, reasons = read(tree)
    case = next(case for case in cases if case.patient_id == "ddsm:A-0001")
    assert reasons["conflicting_overlays"] == 1
    assert [(label.diagnosis, label.birads, label.needs_review) for label in case.labels] == [(None, "5", True), ("malignant", "5", False)]
    assert case.labels[0].conflicts == ("overlays of two volumes differ in pathology",)


def test_lesions_that_only_one_of_two_volumes_marks_are_all_kept_and_need_the_same_scan(tree: Path) -> None:
    second = in_second_volume(tree)
    for path in second.glob("*.OVERLAY"):
        path.write_text(re.sub(r"BOUNDARY\n.*\n", "BOUNDARY\n30 40 2 2 4 4 6 6 0 0 #\n", path.read_text()).replace("MALIGNANT", "BENIGN"))
    cases, _ = read(tree)
    labels = next(case for case in cases if case.patient_id == "ddsm:A-0001").labels
    assert Counter(label.diagnosis for label in labels) == {"malignant": 2, "benign": 2}
    assert sum(box == (30.0, 40.0, 33.0, 43.0) for box in boxes_of(labels)) == 2
    sheet = file_of(tree / "cases" / "cancers", "A-0001-1.ics")
    sheet.write_text(sheet.read_text().replace("LINES 248", "LINES 300"))
    labels = next(case for case in read(tree)[0] if case.patient_id == "ddsm:A-0001").labels
    assert {label.diagnosis: label.pixel_box is None for label in labels} == {"malignant": True, "benign": False}


def test_images_that_lie_outside_the_volumes_are_told_by_their_case_sheets(tree: Path) -> None:
    before = {case.case_id: case.negative_reason for case in read(tree)[0]}
    (tree / "converted").mkdir()
    for path in [*tree.rglob("*.png"), *tree.rglob("*.tif")]:
        path.rename(tree / "converted" / path.name)
    assert {case.case_id: case.negative_reason for case in read(tree)[0]} == before


def test_an_overlay_that_the_case_sheet_does_not_announce_is_used_and_flagged(tree: Path) -> None:
    sheet = file_of(tree, "A-0001-1.ics")
    sheet.write_text(sheet.read_text().replace(" OVERLAY", " NON_OVERLAY"))
    cases, reasons = read(tree)
    assert reasons == {"unexpected_overlay": 2}
    assert sum(label.pixel_box is not None for label in labels_of(cases) if label.diagnosis == "malignant") == 4


def test_only_cancer_has_a_tissue_status(pristine: tuple[Path, PlantedTree]) -> None:
    status = {label.diagnosis: label.status for label in labels_of(read(pristine[0])[0])}
    assert status == {
        "malignant": LesionStatus.CANCER,
        "benign": LesionStatus.UNTESTED,
        "benign_without_callback": LesionStatus.UNTESTED,
    }


# Bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("PATHOLOGY MALIGNANT", "PATHOLOGY BAD", "unknown_pathology"),
        ("ASSESSMENT 5", "ASSESSMENT 9", "unknown_assessment"),
        ("SUBTLETY 4", "SUBTLETY 7", "unknown_subtlety"),
    ],
)
def test_an_unexpected_value_is_listed_and_left_out(old: str, new: str, reason: str, tree: Path) -> None:
    edit(file_of(tree, "A_0001_1.*_CC.OVERLAY"), old, new)
    cases, reasons = read(tree)
    assert reasons == {reason: 1}
    assert len(labels_of(cases)) == 16


def test_files_that_cannot_be_read_are_dropped_and_named(tree: Path) -> None:
    file_of(tree, "A-0001-1.ics").write_text("ics_version 1.0\n")
    file_of(tree, "B_0002_1.*_CC.OVERLAY").write_text("TOTAL_ABNORMALITIES 0\n")
    cases, reasons = read(tree)
    assert reasons == {"unreadable_ics": 1, "missing_ics": 1, "unreadable_overlay": 1, "missing_overlay": 1}
    assert len(cases) == 8


def test_a_density_outside_the_scale_is_left_out(tree: Path) -> None:
    path = file_of(tree, "A-0001-1.ics")
    path.write_text(re.sub(r"DENSITY \d", "DENSITY 0", path.read_text()))
    cases, reasons = read(tree)
    assert reasons == {"unknown_density": 1}
    assert sum("breast_density" not in series.attributes for case in cases for series in case.study.series) == 4


def test_an_overlay_whose_film_nobody_knows_is_counted(tree: Path) -> None:
    shutil.copy(file_of(tree, "A_0001_1.*_CC.OVERLAY"), tree / "A_0999_1.LEFT_CC.OVERLAY")
    assert read(tree)[1] == {"overlay_without_image": 1}


def test_case_sheets_without_images_are_an_error_and_no_empty_success(tree: Path) -> None:
    for path in [*tree.rglob("*.png"), *tree.rglob("*.tif")]:
        path.unlink()
    with pytest.raises(InputError, match="32 missing_image"):
        read(tree)


# Real files ---------------------------------------------------------------------------------------------------------


@pytest.mark.shared
@needs_shared
def test_the_real_case_sheets_are_read() -> None:
    sheets = {case_of(path.name): read_case_sheet(path.read_text("latin-1")) for path in (TABLES / "ics_examples").iterdir()}
    plain, sequence = sheets["B-3024-1"], sheets["C-0234-1"]
    assert (plain.age_years, plain.density, plain.digitizer) == (42.0, "4", "LUMISYS")
    assert (plain.films["LEFT_CC"].columns, plain.films["LEFT_CC"].rows, plain.films["LEFT_CC"].resolution_um) == (3024, 4696, 50.0)
    assert sequence.digitizer == "LUMISYS LASER"
    assert [film for film, facts in sequence.films.items() if facts.has_overlay] == ["RIGHT_CC", "RIGHT_MLO"]


@pytest.mark.shared
@needs_shared
def test_every_film_sheet_and_overlay_of_the_real_listing_is_known_by_its_name() -> None:
    paths = [line.strip() for line in (TABLES / "info-file.txt").read_text("latin-1").splitlines() if line.startswith("/")]
    sheets = [path for path in paths if path.endswith(".ics")]
    films = [path for path in paths if path.endswith(".LJPEG")]
    overlays = [path for path in paths if path.endswith(".OVERLAY")]
    assert Counter(volume_of(path) for path in sheets) == {"cancer": 913, "benign": 855, "normal": 695, "benign_without_callback": 141}
    assert len({case_of(path.rpartition("/")[2]) for path in sheets}) == 2604 - 18
    assert len(films) == 10416
    assert len({film_of(path).name for path in films}) == 10416 - 4 * 18  # type: ignore[union-attr]
    homes = {path.rpartition("/")[0]: case_of(path.rpartition("/")[2]) for path in sheets}
    foreign = [path for path in overlays if film_of(path).case != homes[path.rpartition("/")[0]]]  # type: ignore[union-attr]
    assert (len(overlays), len(foreign)) == (4029, 2)
    assert not any(volume_of(path) != "normal" for path in sheets if "/normals/" in path)


@pytest.mark.shared
@needs_shared
def test_every_real_overlay_text_is_read() -> None:
    counts: Counter[str] = Counter()
    with (TABLES / "deepminer_explanations-benchmark-answer-key.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            lines = [line for block in ast.literal_eval(row["GT Report"]) for line in block]
            chained = "\n".join(f"{line}\n10 10 2 4 6 0 #" if line.strip() in ("BOUNDARY", "CORE") else line for line in lines)
            assert film_of(row["Image Name"])
            for marking in read_overlay(chained).markings:
                assert marking.finding_types
                assert birads_of(marking.assessment or "")
                assert subtlety_of(marking.subtlety or "")
                counts[pathology_of(marking.pathology or "").diagnosis] += 1
    assert counts == {"benign": 205, "malignant": 195, "benign_without_callback": 65, "unproven": 2}
