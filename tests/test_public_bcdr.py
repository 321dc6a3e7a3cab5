"""BCDR: blanks before cells and points, views as O or numbers, several segmentations of a lesion, sets that share women."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.planted import Reading, check_truth, read_folder, same_bytes_twice
from weakbox.datasets_public.bcdr import DATASET, points_of
from weakbox.datasets_public.cases import image_path
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus
from weakbox.simulate.mammograms import breast_phantom, eight_bit
from weakbox.simulate.public.bcdr import IMAGE_HEADER, OUTLINE_HEADER, SHAPE, TREE

ROWS, COLUMNS = 200, 150
NAME = "patient_9/study_10/img_9_10_1_LO.tif"
BASE = {
    "patient_id": "9",
    "study_id": "10",
    "series": "1",
    "lesion_id": "1",
    "segmentation_id": "1",
    "image_view": "4",
    "image_filename": " " + NAME,
    "lw_x_points": " 40 60 50",
    "lw_y_points": " 50 50 80",
    "mammography_type": "1",
    "mammography_nodule": "1",
    "mammography_calcification": "0",
    "mammography_microcalcification": "0",
    "mammography_axillary_adenopathy": "0",
    "mammography_architectural_distortion": "0",
    "mammography_stroma_distortion": "0",
    "age": " 61",
    "density": " 3",
    "classification": " Malign",
}


def benchmark(
    folder: Path,
    rows: Sequence[Mapping[str, str]],
    *,
    subset: str = "F01",
    images: Sequence[str] = (NAME,),
    listed: Sequence[str] = (),
    header: str = OUTLINE_HEADER,
) -> Path:
    """One benchmarking set; ``rows`` are what differs from ``BASE``; ``listed`` are lines of its image list."""
    place = folder / f"BCDR-{subset}_dataset"
    place.mkdir(parents=True)
    if rows:
        lines = [",".join({**BASE, **row}[name] for name in OUTLINE_HEADER.split(",")) for row in rows]
        (place / f"bcdr_{subset.lower()}_outlines.csv").write_text("\n".join((header, *lines)) + "\n")
    if listed:
        (place / f"bcdr_{subset.lower()}_img.csv").write_text("\n".join((IMAGE_HEADER, *listed)) + "\n")
    for name in images:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (COLUMNS, ROWS)).save(place / name)
    return folder


def read(folder: Path, rows: Sequence[Mapping[str, str]], **more: object) -> Reading:
    return read_folder(DATASET, benchmark(folder, rows, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["benchmark", "normal studies"])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    write = {TREE.layout: TREE.write, **TREE.other_layouts}[layout]
    tree = write(tmp_path / "bcdr", 3, 1)
    check_truth(read_folder(DATASET, tmp_path / "bcdr"), tree, tmp_path / "bcdr", iou=0.999)


def test_a_box_covers_the_lesion_that_is_brighter_than_the_same_breast_without_it(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    reading = read_folder(DATASET, tmp_path)
    label = next(label for label in reading.labels if label.series_key and "F01" in label.series_key)
    assert label.pixel_box is not None
    series = reading.image(label.pixel_box.series_key)
    pixels = np.asarray(Image.open(image_path(series))).astype(float)
    assert pixels.shape == SHAPE
    box = label.pixel_box
    inside = np.zeros(SHAPE, dtype=bool)
    inside[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    around = np.zeros(SHAPE, dtype=bool)
    around[int(box.y0) - 4 : int(box.y1) + 4, int(box.x0) - 4 : int(box.x1) + 4] = True
    assert pixels[inside].mean() > pixels[around & ~inside].mean() + 20
    plain, _ = breast_phantom(0, "L", "CC", [], shape=SHAPE)
    assert eight_bit(plain).mean() < pixels[inside].mean()


def test_blanks_before_cells_paths_and_points_are_taken_away(tmp_path: Path) -> None:
    reading = read(tmp_path, [{"image_filename": " patient_9/ study_10/img_9_10_1_LO.tif "}])
    (label,) = reading.labels
    assert label.pixel_box is not None
    assert (label.pixel_box.x0, label.pixel_box.y0, label.pixel_box.x1, label.pixel_box.y1) == (40.0, 50.0, 61.0, 81.0)
    assert (label.diagnosis, reading.cases[0].study.patient_age_years) == ("malignant", 61.0)
    assert not reading.ledger


@pytest.mark.parametrize("path", ["patient_9\\study_10\\img_9_10_1_LO.tif", "./" + NAME, NAME.upper(), "elsewhere/img_9_10_1_LO.png"])
def test_paths_of_other_systems_and_mirrors_find_the_image(tmp_path: Path, path: str) -> None:
    assert len(read(tmp_path, [{"image_filename": path}]).labels) == 1


def test_a_path_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    benchmark(tmp_path, [{}, {"image_filename": "../../img_9_10_1_LO.tif"}])
    Image.new("L", (COLUMNS, ROWS)).save(tmp_path / "img_9_10_1_LO.tif")
    assert read_folder(DATASET, tmp_path).reasons == {"missing_image": 1, "image_without_row": 1}


@pytest.mark.parametrize("stated", ["4", "4.0", " LO", "lo"])
def test_view_o_is_mlo(tmp_path: Path, stated: str) -> None:
    attributes = read(tmp_path, [{"image_view": stated}]).series[0].attributes
    assert (attributes["laterality"], attributes["view"]) == ("left", "MLO")


def test_the_image_list_counts_views_from_0(tmp_path: Path) -> None:
    name = "patient_9/study_10/img_9_10_1_RO.tif"
    reading = read(tmp_path, [], images=[name], listed=[f"9, 10, 1, {name}, , 2, 61, 3"], subset="DN01")
    assert (reading.series[0].attributes["laterality"], reading.series[0].attributes["view"]) == ("right", "MLO")


def test_a_view_that_differs_from_the_file_name_is_flagged_and_an_unknown_one_left_to_it(tmp_path: Path) -> None:
    reading = read(tmp_path / "differs", [{"image_view": "1"}])
    assert reading.reasons == {"conflicting_laterality": 1, "conflicting_view": 1}
    assert reading.labels[0].needs_review
    unknown = read(tmp_path / "unknown", [{"image_view": "PR"}])
    assert unknown.reasons == {"unexpected_value": 1}
    assert unknown.series[0].attributes["view"] == "MLO"


def test_malign_and_malignant_are_one_class_that_rests_on_tissue(tmp_path: Path) -> None:
    reading = read(tmp_path, [{"classification": " Malignant", "lesion_id": "2"}, {}, {"classification": "Benign ", "lesion_id": "3"}])
    assert {(label.diagnosis, label.status, label.class_source) for label in reading.labels} == {
        ("malignant", LesionStatus.CANCER, "histopathology"),
        ("benign", LesionStatus.BENIGN, "histopathology"),
    }


@pytest.mark.parametrize(("word", "flags"), [("Suspect", 0), (" No", 0), ("Insufficient", 0), ("", 0), ("Maybe", 1)])
def test_a_word_that_is_no_class_leaves_the_lesion_untested(tmp_path: Path, word: str, flags: int) -> None:
    reading = read(tmp_path, [{"classification": word}])
    (label,) = reading.labels
    assert (label.diagnosis, label.status, label.class_source) == (None, LesionStatus.UNTESTED, "not_stated")
    assert reading.reasons.total() == flags


def test_several_segmentations_of_a_lesion_that_overlap_are_one_label(tmp_path: Path) -> None:
    again = {"segmentation_id": "2", "lw_x_points": " 45 70 50", "lw_y_points": " 45 50 70"}
    apart = {"segmentation_id": "3", "lw_x_points": " 100 120 110", "lw_y_points": " 150 150 160"}
    one, other = read(tmp_path, [{}, apart, again]).labels
    assert one.lesion_id == other.lesion_id
    assert one.pixel_box is not None and other.pixel_box is not None
    assert (one.pixel_box.x0, one.pixel_box.y0, one.pixel_box.x1, one.pixel_box.y1) == (40.0, 45.0, 71.0, 81.0)
    assert (one.attributes["segmentations"], len(one.evidence), other.attributes["segmentations"]) == (2, 2, 1)


def test_segmentations_that_meet_through_a_third_one_are_one_label(tmp_path: Path) -> None:
    squares = [(10, 20), (30, 40), (18, 32)]
    rows = [{"segmentation_id": str(n), "lw_x_points": f" {a} {b}", "lw_y_points": " 10 20"} for n, (a, b) in enumerate(squares)]
    (label,) = read(tmp_path, rows).labels
    assert label.pixel_box is not None
    assert (label.pixel_box.x0, label.pixel_box.x1) == (10.0, 41.0)


def test_two_views_of_a_lesion_are_one_lesion_group(tmp_path: Path) -> None:
    other = "patient_9/study_10/img_9_10_1_LCC.tif"
    reading = read(tmp_path, [{}, {"image_filename": other, "image_view": "2"}], images=[NAME, other])
    assert len(reading.labels) == 2
    assert reading.cases[0].origin is not None
    assert reading.cases[0].origin.group_ids == ("lesion:bcdr:F9-10-1", "patient:bcdr:F9")


def test_classes_that_contradict_each_other_are_kept_and_flagged(tmp_path: Path) -> None:
    apart = {"classification": "Benign", "segmentation_id": "2", "lw_x_points": " 9 10 12", "lw_y_points": " 9 9 15"}
    reading = read(tmp_path, [{}, apart])
    assert reading.reasons["conflicting_class"] == 1
    assert all(label.conflicts == ("conflicting_class",) and label.needs_review for label in reading.labels)


def test_film_sets_share_women_and_images(tmp_path: Path) -> None:
    for subset in ("F01", "F03", "D01"):
        benchmark(tmp_path, [{}], subset=subset)
    cases = read_folder(DATASET, tmp_path).cases
    assert sorted(case.patient_id for case in cases) == ["bcdr:D9", "bcdr:F9", "bcdr:F9"]
    assert len({case.case_id for case in cases}) == 3
    assert sorted(case.origin.identifiers for case in cases if case.origin) == [
        ("bcdr:D:img_9_10_1_LO",),
        ("bcdr:F:img_9_10_1_LO",),
        ("bcdr:F:img_9_10_1_LO",),
    ]


def test_only_an_image_of_a_normal_set_is_negative(tmp_path: Path) -> None:
    listed = [f"9, 10, 1, {NAME}, LO, 3, 61, 3"]
    benchmark(tmp_path, [], subset="DN01", listed=listed)
    drawn = {"patient_id": "1", "study_id": "1", "image_filename": "img_1_1_1_RCC.tif", "image_view": "1"}
    benchmark(tmp_path, [drawn], subset="D01", images=[NAME, "img_1_1_1_RCC.tif"], listed=listed)
    reading = read_folder(DATASET, tmp_path)
    assert reading.reasons["image_without_label"] == 1
    by_set = {case.study.study_uid: case.negative_reason for case in reading.cases if not case.labels}
    assert {name: bool(reason) for name, reason in by_set.items()} == {"DN01-9-10": True, "D01-9-10": False}


def test_masks_beside_images_are_no_images(tmp_path: Path) -> None:
    reading = read(tmp_path, [{}], images=[NAME, NAME.replace(".tif", "_mask_id_10.tif")])
    assert (len(reading.series), reading.reasons.total()) == (1, 0)


@pytest.mark.parametrize("density", ["NaN", " NaN", "", " nan"])
def test_a_density_of_nan_is_not_stated(tmp_path: Path, density: str) -> None:
    reading = read(tmp_path, [{"density": density}])
    assert "breast_density" not in reading.series[0].attributes
    assert not reading.ledger


def test_density_and_findings_are_read(tmp_path: Path) -> None:
    reading = read(tmp_path, [{"mammography_microcalcification": "1", "mammography_stroma_distortion": " 1"}])
    (label,) = reading.labels
    assert label.finding_types == ("calcification", "mass", "stroma_distortion")
    assert label.attributes["is_microcalcification"] is True
    assert reading.series[0].attributes["breast_density"] == "c"


@pytest.mark.parametrize("points", [(" 40 60", " 50 50 80"), ("", ""), (" a b", " 1 2"), (" 1 nan", " 1 2"), (" 1 inf", " 1 2")])
def test_points_that_are_none_drop_the_row(tmp_path: Path, points: tuple[str, str]) -> None:
    reading = read(tmp_path, [{}, {"lesion_id": "2", "lw_x_points": points[0], "lw_y_points": points[1]}])
    assert reading.reasons == {"bad_outline": 1}
    assert len(reading.labels) == 1


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4000)), min_size=1, max_size=30), st.sampled_from(["", " ", "  "]))
def test_points_come_back_whatever_blanks_stand_around_them(points: list[tuple[int, int]], blanks: str) -> None:
    x_text, y_text = (blanks + " ".join(str(point[axis]) for point in points) + blanks for axis in (0, 1))
    assert points_of(x_text, y_text) == [(float(x), float(y)) for x, y in points]


def test_an_outline_outside_the_image_loses_its_box(tmp_path: Path) -> None:
    reading = read(tmp_path, [{"lw_x_points": " 400 600 500"}])
    assert reading.reasons == {"outside_image": 1}
    assert [(label.pixel_box, label.diagnosis) for label in reading.labels] == [(None, "malignant")]


def test_rows_without_images_and_images_without_rows_are_listed(tmp_path: Path) -> None:
    other = "patient_1/study_1/img_1_1_1_RCC.tif"
    reading = read(tmp_path, [{}, {"image_filename": "patient_7/img_7.tif"}, {"patient_id": ""}], images=[NAME, other])
    assert reading.reasons == {"missing_image": 1, "image_without_row": 1, "missing_value": 1}


def test_an_image_of_two_women_goes_to_the_first(tmp_path: Path) -> None:
    reading = read(tmp_path, [{}, {"patient_id": "8"}])
    assert reading.reasons == {"conflicting_rows": 1}
    assert [case.patient_id for case in reading.cases] == ["bcdr:F9"]


def test_an_image_listed_twice_is_one(tmp_path: Path) -> None:
    line = f"9, 10, 1, {NAME}, LO, 3, 61, 3"
    reading = read(tmp_path, [{}], listed=[line, line])
    assert reading.reasons == {"repeated_row": 1}
    assert len(reading.series) == 1


def test_an_unreadable_image_leaves_its_case_empty(tmp_path: Path) -> None:
    other = "patient_1/study_1/img_1_1_1_RCC.tif"
    benchmark(tmp_path, [{}, {"patient_id": "1", "study_id": "1", "image_filename": other, "image_view": "1"}], images=[NAME, other])
    (tmp_path / "BCDR-F01_dataset" / NAME).write_bytes(b"II*\0garbage")
    reading = read_folder(DATASET, tmp_path)
    assert reading.reasons == {"unreadable_image": 1}
    assert [case.patient_id for case in reading.cases] == ["bcdr:F1"]


def test_a_missing_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="classification"):
        read(tmp_path, [{}], header=OUTLINE_HEADER.replace("classification", "result"))


def test_tables_of_no_known_set_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="F01, F02"):
        read(tmp_path, [{}], subset="XY")


def test_no_row_with_an_image_is_an_error_never_an_empty_success(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not one case"):
        read(tmp_path, [{"image_filename": "nowhere.tif"}])


CELLS = st.dictionaries(
    st.sampled_from([name for name in BASE if name != "series"]), st.sampled_from(["", " ", "x", "-1", "1e9", " 3 4", "NaN", "../.."])
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CELLS, max_size=4))
def test_any_cell_is_read_or_listed_and_nothing_else_happens(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    reading = read(folder, [{}, *rows])
    assert reading.cases
    assert all(label.pixel_box is None or label.pixel_box.x1 <= COLUMNS for label in reading.labels)


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)
