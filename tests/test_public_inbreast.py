"""INbreast: women in file names, BI-RADS of images, OsiriX contours, tables that end in lines of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.planted import Reading, check_truth, read_folder, same_bytes_twice
from weakbox.datasets_public.cases import image_path
from weakbox.datasets_public.inbreast import DATASET
from weakbox.datasets_public.osirix_outlines import Outline, read_outlines
from weakbox.labelling.policy import LabelPolicy, image_class
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus, Tier
from weakbox.simulate.mammograms import breast_phantom, write_mammogram_dicom
from weakbox.simulate.public.inbreast import FULL_HEADER, SHORT_HEADER, TREE, outline_bytes

Point = tuple[float, float]
WOMAN = "0123456789abcdef"
TRIANGLE: tuple[Point, ...] = ((40.0, 50.0), (60.0, 50.0), (50.0, 80.0))
ROW = "removed;removed;R;CC;201001;22678622;3;5"
ROWS, COLUMNS = 160, 120


def release(
    folder: Path,
    lines: Sequence[str],
    regions: Sequence[tuple[str, Sequence[Point]]] = (),
    *,
    header: str = SHORT_HEADER,
    names: Sequence[str] = (f"22678622_{WOMAN}_MG_R_CC_ANON",),
) -> Path:
    """A release with its CSV, one XML of 22678622, and a black image for each name."""
    (folder / "AllXML").mkdir(parents=True)
    (folder / "INbreast.csv").write_text("\n".join((header, *lines)) + "\n")
    if regions:
        (folder / "AllXML" / "22678622.xml").write_bytes(outline_bytes(regions))
    for name in names:
        write_mammogram_dicom(folder / "AllDICOMs" / f"{name}.dcm", np.zeros((ROWS, COLUMNS), np.uint16))
    return folder


def read(folder: Path, lines: Sequence[str], regions: Sequence[tuple[str, Sequence[Point]]] = (), **more: str | Sequence[str]) -> Reading:
    return read_folder(DATASET, release(folder, lines, regions, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["release", pytest.param("renamed images", marks=pytest.mark.slow)])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    write = {TREE.layout: TREE.write, **TREE.other_layouts}[layout]
    tree = write(tmp_path / "inbreast", 4 if layout == "release" else 1, 1)
    check_truth(read_folder(DATASET, tmp_path / "inbreast"), tree, tmp_path / "inbreast", iou=0.999)


def test_a_box_covers_the_lesion_that_is_brighter_than_the_same_breast_without_it(tmp_path: Path) -> None:
    from pydicom import dcmread

    TREE.write(tmp_path, 1, 1)
    reading = read_folder(DATASET, tmp_path)
    label = next(label for label in reading.labels if label.pixel_box and not label.attributes["is_point"])
    assert label.pixel_box is not None
    series = reading.image(label.pixel_box.series_key)
    pixels = dcmread(image_path(series)).pixel_array.astype(float)
    side = {"left": "L", "right": "R"}[str(series.attributes["laterality"])]
    plain, _ = breast_phantom(int(series.key[-8:]), side, str(series.attributes["view"]), [], shape=pixels.shape)
    brighter = pixels - plain > 500
    rows, columns = np.nonzero(brighter)
    box = label.pixel_box
    inside = (columns >= box.x0) & (columns < box.x1) & (rows >= box.y0) & (rows < box.y1)
    assert inside.sum() > 50
    assert (~inside).sum() <= 2, "only the two single calcifications lie outside the contour"


def test_birads_is_a_label_of_the_image_and_no_diagnosis(tmp_path: Path) -> None:
    image, contour = sorted(read(tmp_path, [ROW], [("Mass", TRIANGLE)]).labels, key=lambda label: label.tier)
    assert (image.birads, image.pixel_box, image.tier) == ("5", None, Tier.CASE_LEVEL)
    assert (contour.birads, contour.attributes["image_birads"], contour.tier) == ("5", "5", Tier.EXPERT)
    assert {label.diagnosis for label in (image, contour)} == {None}
    assert {label.status for label in (image, contour)} == {LesionStatus.UNTESTED}


POINT: tuple[Point, ...] = ((5.0, 5.0),)


@pytest.mark.parametrize(
    ("birads", "names", "expected"),
    [
        ("5", ("Mass",), ("5",)),
        ("5", ("Mass", "Spiculated Region"), ("5", "5")),
        ("5", ("Spiculated Region",), ("5",)),
        ("5", ("Mass", "Calcification"), ("5", None)),
        ("5", ("Mass", "Mass"), (None, None)),
        ("4a", ("Mass", "Cluster"), (None, None)),
        ("6", ("Calcification",), (None,)),
        ("2", ("Mass", "Mass", "Calcification"), ("2", "2", "2")),
        ("0", ("Mass",), (None,)),
        ("1", ("Mass",), (None,)),
        ("", ("Mass",), (None,)),
    ],
)
def test_a_contour_has_the_birads_of_its_image_only_where_it_must_be_its_own(
    tmp_path: Path, birads: str, names: tuple[str, ...], expected: tuple[str | None, ...]
) -> None:
    regions = [(name, POINT if name == "Calcification" else TRIANGLE) for name in names]
    reading = read(tmp_path, [ROW.replace(";3;5", f";3;{birads}")], regions)
    assert tuple(label.birads for label in reading.labels if label.pixel_box) == expected


@pytest.mark.parametrize(("birads", "name"), [("5", "malignant"), ("2", "benign"), ("1", "normal"), ("3", None)])
def test_the_label_policy_finds_a_class_for_every_image(tmp_path: Path, birads: str, name: str | None) -> None:
    regions = [] if birads == "1" else [("Mass", TRIANGLE), ("Mass", TRIANGLE), ("Calcification", POINT)]
    lines = [ROW.replace(";3;5", f";3;{birads}"), ROW.replace("22678622", "22678646")]
    reading = read(tmp_path, lines, regions, names=[f"{number}_{WOMAN}_MG_R_CC_ANON" for number in (22678622, 22678646)])
    (case,) = reading.cases
    assert image_class(case, reading.image("22678622"), LabelPolicy()).name == name


def test_points_are_x_then_y(tmp_path: Path) -> None:
    contour = next(label for label in read(tmp_path, [ROW], [("Mass", TRIANGLE)]).labels if label.pixel_box)
    assert contour.pixel_box is not None
    box = contour.pixel_box
    assert (box.x0, box.y0, box.x1, box.y1) == (40.0, 50.0, 61.0, 81.0)


@pytest.mark.parametrize("name", ["Calcification", "Unnamed", "Point 1", ""])
def test_a_contour_of_one_point_is_a_calcification_of_one_pixel(tmp_path: Path, name: str) -> None:
    contour = next(label for label in read(tmp_path, [ROW], [(name, ((40.6, 50.2),))]).labels if label.pixel_box)
    assert (contour.finding_types, contour.attributes["is_point"]) == (("calcification",), True)
    assert contour.pixel_box is not None
    assert (contour.pixel_box.x0, contour.pixel_box.y0, contour.pixel_box.x1, contour.pixel_box.y1) == (40.0, 50.0, 41.0, 51.0)


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("Mass", "mass"),
        ("Espiculated Region", "spiculated_region"),
        ("Spiculated region", "spiculated_region"),
        ("Assymetry", "asymmetry"),
        ("Calcifications", "calcification"),
        ("Cluster", "calcification"),
        ("Distortion", "architectural_distortion"),
    ],
)
def test_misspelt_names_of_contours_are_understood(tmp_path: Path, name: str, finding: str) -> None:
    contour = next(label for label in read(tmp_path, [ROW], [(name, TRIANGLE)]).labels if label.pixel_box)
    assert (contour.finding_types, contour.needs_review) == ((finding,), False)


def test_an_unnamed_area_keeps_its_box_for_a_person_to_name(tmp_path: Path) -> None:
    contour = next(label for label in read(tmp_path, [ROW], [("Unnamed", TRIANGLE)]).labels if label.pixel_box)
    assert (contour.finding_types, contour.needs_review) == ((), True)


def test_a_contour_outside_the_image_loses_its_box_and_one_over_the_edge_is_cut(tmp_path: Path) -> None:
    far, edge = ((500.0, 500.0), (520.0, 540.0), (510.0, 560.0)), ((100.0, 20.0), (150.0, 20.0), (110.0, 40.0))
    reading = read(tmp_path, [ROW], [("Mass", far), ("Mass", edge)])
    assert reading.reasons == {"outside_image": 1, "partly_outside_image": 1}
    by_name = {label.lesion_id: label for label in reading.labels}
    assert by_name["22678622-001"].pixel_box is None
    box = by_name["22678622-002"].pixel_box
    assert box is not None
    assert (box.x0, box.x1) == (100.0, float(COLUMNS))


def test_the_woman_is_read_from_the_file_name_because_the_table_removed_her(tmp_path: Path) -> None:
    other = "fedcba9876543210"
    lines = [f"removed;removed;R;CC;201001;{number};3;2" for number in (22678622, 22678646, 22678670)]
    names = (f"22678622_{WOMAN}_MG_R_CC_ANON", f"22678646_{WOMAN}_MG_R_CC_ANON", f"22678670_{other}_MG_R_CC_ANON")
    cases = read(tmp_path, lines, names=names).cases
    assert [(case.patient_id, len(case.study.series)) for case in cases] == [(f"inbreast:{WOMAN}", 2), (f"inbreast:{other}", 1)]
    assert [case.origin.group_ids for case in cases if case.origin] == [(f"patient:inbreast:{WOMAN}",), (f"patient:inbreast:{other}",)]


def test_images_of_nobody_known_stay_in_one_part_of_a_split(tmp_path: Path) -> None:
    lines = [f"removed;removed;R;CC;201001;{number};3;2" for number in (22678622, 22678646)]
    reading = read(tmp_path, lines, [("Mass", TRIANGLE)], names=("22678622", "22678646"))
    assert reading.reasons == {"unknown_patient": 2}
    assert {case.origin.group_ids for case in reading.cases if case.origin} == {("patient:inbreast:unknown",)}
    assert len({case.patient_id for case in reading.cases}) == 2


def test_two_dates_of_a_woman_are_two_studies(tmp_path: Path) -> None:
    lines = [ROW, "removed;removed;R;CC;201101;22678646;3;2"]
    cases = read(tmp_path, lines, names=(f"22678622_{WOMAN}_MG_R_CC_ANON", f"22678646_{WOMAN}_MG_R_CC_ANON")).cases
    assert len({case.case_id for case in cases}) == 2
    assert len({case.patient_id for case in cases}) == 1


def test_lines_without_an_image_at_the_end_are_counted_not_read(tmp_path: Path) -> None:
    reading = read(tmp_path, [ROW, ";;;;;;116;49", ";;;;;sum;;"])
    assert reading.reasons == {"no_image_name": 2}
    assert len(reading.series) == 1


def workbook(path: Path, lines: Sequence[Sequence[object]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (FULL_HEADER.split(";"), *lines):
        sheet.append(list(line))
    book.save(path)


def test_a_workbook_gives_float_numbers_and_a_column_with_a_blank_at_its_end(tmp_path: Path) -> None:
    release(tmp_path, [ROW])
    row = ["removed", "removed", "R", "CC", 201001.0, 22678622.0, 3.0, "4a", "X", "", "", "X", "nota", "", "", "", ""]
    workbook(tmp_path / "INbreast.xlsx", [row, [None] * 7 + [49.0] + [None] * 9])
    reading = read_folder(DATASET, tmp_path)
    (label,) = reading.labels
    assert (label.birads, label.finding_types) == ("4A", ("asymmetry", "mass"))
    assert reading.cases[0].study.study_uid == f"{WOMAN}-201001"
    assert reading.reasons == {"no_image_name": 1, "mass_not_drawn": 1}


def test_numbers_with_a_decimal_point_in_a_text_table_are_whole_numbers(tmp_path: Path) -> None:
    reading = read(tmp_path, ["removed;removed;R;CC;201001.0;22678622.0;3.0;2.0"])
    assert (reading.labels[0].birads, reading.series[0].attributes["breast_density"]) == ("2", "c")


def test_the_old_excel_format_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    (release(tmp_path, [ROW]) / "INbreast.csv").rename(tmp_path / "INbreast.xls")
    with pytest.raises(InputError, match=r"INbreast\.xls.*save it as INbreast\.xlsx.*soffice"):
        read_folder(DATASET, tmp_path)


def test_a_renamed_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="birads"):
        read(tmp_path, [ROW], header=SHORT_HEADER.replace("Bi-Rads", "Category"))


def test_unexpected_values_leave_the_field_empty_and_are_flagged(tmp_path: Path) -> None:
    reading = read(tmp_path, ["removed;removed;Q;ZZ;2010;22678622;9;49"])
    assert reading.reasons == {"unexpected_value": 5}
    assert {"breast_density", "birads"}.isdisjoint(reading.series[0].attributes)
    assert reading.series[0].attributes["laterality"] == "right", "the file's name says it"


def test_an_empty_density_is_not_stated(tmp_path: Path) -> None:
    reading = read(tmp_path, ["removed;removed;R;CC;201001;22678622;     ;2"])
    assert "breast_density" not in reading.series[0].attributes
    assert not reading.ledger


def test_ml_of_a_file_name_is_mlo_and_one_image_is_from_below(tmp_path: Path) -> None:
    lines = ["removed;removed;R;MLO;201001;22678622;3;2", "removed;removed;R;FB;201001;22678646;3;2"]
    reading = read(tmp_path, lines, names=(f"22678622_{WOMAN}_MG_R_ML_ANON", f"22678646_{WOMAN}_MG_R_FB_ANON"))
    assert [series.attributes["view"] for series in reading.series] == ["MLO", "FB"]
    assert not reading.ledger


def test_a_side_that_differs_between_name_and_table_is_flagged(tmp_path: Path) -> None:
    reading = read(tmp_path, [ROW.replace(";R;", ";L;")])
    assert reading.reasons == {"conflicting_laterality": 1}
    assert (reading.labels[0].side, reading.labels[0].needs_review) == ("left", True)


def test_birads_1_with_nothing_drawn_is_a_negative_image(tmp_path: Path) -> None:
    reading = read(tmp_path, [ROW.replace(";3;5", ";3;1")])
    assert (reading.labels, bool(reading.cases[0].negative_reason)) == ([], True)


def test_birads_1_with_a_contour_is_a_contradiction_not_a_negative(tmp_path: Path) -> None:
    reading = read(tmp_path, [ROW.replace(";3;5", ";3;1")], [("Mass", TRIANGLE)])
    assert reading.reasons == {"drawn_but_birads_1": 1}
    assert reading.cases[0].negative_reason is None
    assert all(label.needs_review for label in reading.labels)


def test_a_benign_image_without_contours_is_no_negative(tmp_path: Path) -> None:
    reading = read(tmp_path, [ROW.replace(";3;5", ";3;2")])
    assert (reading.cases[0].negative_reason, [label.birads for label in reading.labels]) == (None, ["2"])


def test_a_repeated_row_counts_once_and_a_contradicting_one_is_flagged(tmp_path: Path) -> None:
    reading = read(tmp_path, [ROW, ROW, ROW.replace(";3;5", ";3;2")])
    assert reading.reasons == {"repeated_row": 1, "conflicting_rows": 1}
    assert [(label.birads, label.conflicts) for label in reading.labels] == [("5", ("conflicting_rows",))]
    assert reading.cases[0].conflicts == ("conflicting_rows",)


def test_images_rows_and_contours_without_each_other_are_listed(tmp_path: Path) -> None:
    names = (f"22678622_{WOMAN}_MG_R_CC_ANON", f"50000000_{WOMAN}_MG_R_CC_ANON")
    release(tmp_path, [ROW, ROW.replace("22678622", "22678646")], names=names)
    (tmp_path / "AllXML" / "60000000.xml").write_bytes(outline_bytes([("Mass", TRIANGLE)]))
    assert read_folder(DATASET, tmp_path).reasons == {"missing_image": 1, "image_without_row": 1, "outline_without_image": 1}


def test_no_box_is_drawn_on_a_resized_picture(tmp_path: Path) -> None:
    folder = release(tmp_path, [ROW], [("Mass", TRIANGLE)], names=())
    (folder / "AllPNGs").mkdir()
    Image.new("L", (COLUMNS, ROWS)).save(folder / "AllPNGs" / f"22678622_{WOMAN}_MG_R_CC_ANON.png")
    reading = read_folder(DATASET, folder)
    assert reading.reasons == {"wrong_size": 1}
    assert [label.pixel_box for label in reading.labels] == [None, None]


def test_dicom_is_read_before_its_picture(tmp_path: Path) -> None:
    folder = release(tmp_path, [ROW])
    (folder / "AllPNGs").mkdir()
    Image.new("L", (COLUMNS, ROWS)).save(folder / "AllPNGs" / f"22678622_{WOMAN}_MG_R_CC_ANON.png")
    reading = read_folder(DATASET, folder)
    assert reading.reasons == {"repeated_image": 1}
    assert reading.series[0].instances[0].path.endswith(".dcm")


@pytest.mark.parametrize(
    "content", [b"", b"<html>503</html>", b"<plist><dict><key>Images", b"<plist version='1.0'><array/></plist>", b"\xff\xfe\x00"]
)
def test_an_unreadable_contour_file_is_dropped_and_the_image_goes_on(tmp_path: Path, content: bytes) -> None:
    folder = release(tmp_path, [ROW])
    (folder / "AllXML" / "22678622.xml").write_bytes(content)
    reading = read_folder(DATASET, folder)
    assert reading.reasons == {"unreadable_outline": 1}
    assert [label.birads for label in reading.labels] == ["5"]


def test_an_unreadable_image_is_dropped(tmp_path: Path) -> None:
    names = (f"22678622_{WOMAN}_MG_R_CC_ANON", f"22678646_{WOMAN}_MG_R_CC_ANON")
    folder = release(tmp_path, [ROW, ROW.replace("22678622", "22678646")], names=names)
    (folder / "AllDICOMs" / f"{names[0]}.dcm").write_bytes(b"<html>" * 100)
    reading = read_folder(DATASET, folder)
    assert reading.reasons == {"unreadable_image": 1}
    assert [series.key for series in reading.series] == ["inbreast/22678646"]
    assert {label.series_key for label in reading.labels} == {"inbreast/22678646"}


def outlines(tmp_path: Path, regions: Sequence[dict[str, object]]) -> list[Outline | LedgerEntry]:
    import plistlib

    path = tmp_path / "1.xml"
    path.write_bytes(plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(regions), "ROIs": list(regions)}]}))
    return list(read_outlines(path))


@pytest.mark.parametrize("points", [[], ["(1.0)"], ["(a, b)"], ["(1.0, 2.0)", "x"], ["(1..2, 3)"], "(1, 2)", [[1, 2]]])
def test_a_contour_without_readable_points_is_dropped_and_the_next_is_read(tmp_path: Path, points: object) -> None:
    bad, good = outlines(tmp_path, [{"Name": "Mass", "Point_px": points}, {"Name": "Mass", "Point_px": ["(1.5, 2.5)", "(3, 4)"]}])
    assert isinstance(bad, LedgerEntry) and bad.reason == "bad_outline"
    assert isinstance(good, Outline) and good.points == ((1.5, 2.5), (3.0, 4.0))


def test_a_wrong_count_of_points_is_flagged(tmp_path: Path) -> None:
    remark, outline = outlines(tmp_path, [{"Name": "Mass", "NumberOfPoints": 9, "Point_px": ["(1.5, 2.5)"]}])
    assert isinstance(remark, LedgerEntry) and remark.reason == "point_count"
    assert isinstance(outline, Outline) and outline.is_point


CELL = st.sampled_from(["", "removed", "R", "MLO", "FB", "201001.0", "22678622.0", "22678622", "49", "4a", "nan", "-1", "x", "X", "\u00e9"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=8, max_size=8), max_size=4))
def test_any_cell_is_read_or_listed_and_nothing_else_happens(tmp_path: Path, rows: list[list[str]]) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    reading = read(folder, [ROW, *(";".join(row) for row in rows)], [("Mass", TRIANGLE)])
    assert [case.patient_id for case in reading.cases] == [f"inbreast:{WOMAN}"]


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)
