"""Mini-MIAS: circles from the bottom left, lines of three to seven fields, pairs of films that are one woman."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.planted import Reading, check_truth, overlap, read_folder, same_bytes_twice
from weakbox.datasets_public.mias import DATASET, Film, box_of, pair_of, read_table
from weakbox.labelling.policy import LabelPolicy, image_class
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus, Tier
from weakbox.simulate.public.mias import TREE
from weakbox.simulate.public.tree import PlantedLesion


def films(folder: Path, text: str, *names: str, side: int = 1024, ending: str = ".pgm") -> Path:
    """A folder with an Info.txt and black films."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Info.txt").write_text(text)
    for name in names:
        Image.new("L", (side, side)).save(folder / f"{name}{ending}")
    return folder


def read(folder: Path, text: str, *names: str, side: int = 1024) -> Reading:
    return read_folder(DATASET, films(folder, text, *names, side=side))


@pytest.mark.parametrize("layout", ["info", "readme"])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    write = {TREE.layout: TREE.write, **TREE.other_layouts}[layout]
    tree = write(tmp_path / "mias", 7, 1)
    check_truth(read_folder(DATASET, tmp_path / "mias"), tree, tmp_path / "mias", iou=0.999)


def test_a_box_covers_the_lesion_that_is_brighter_than_what_surrounds_it(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    reading = read_folder(DATASET, tmp_path)
    (label,) = reading.of_image("mdb001")
    pixels = np.asarray(Image.open(tmp_path / "all-mias" / "mdb001.pgm")).astype(float)
    assert label.pixel_box is not None
    box = label.pixel_box
    x0, y0, x1, y1 = (int(edge) for edge in (box.x0, box.y0, box.x1, box.y1))
    middle = pixels[y0 + (y1 - y0) // 4 : y1 - (y1 - y0) // 4, x0 + (x1 - x0) // 4 : x1 - (x1 - x0) // 4]
    ring = np.concatenate([pixels[y0 - 8 : y0, x0:x1].ravel(), pixels[y1 : y1 + 8, x0:x1].ravel()])
    assert middle.mean() > ring.mean() + 25


def test_y_counts_from_the_bottom(tmp_path: Path) -> None:
    (label,) = read(tmp_path, "mdb001 G CIRC B 535 425 97\n", "mdb001").labels
    lesion = PlantedLesion(start=(535 - 97, 1024 - 425 - 97), stop=(535 + 97, 1024 - 425 + 97))
    assert label.pixel_box is not None
    assert overlap(label.pixel_box, lesion) == 1.0


def test_two_films_are_one_woman_and_even_numbers_are_left(tmp_path: Path) -> None:
    reading = read(tmp_path, "".join(f"mdb{n:03d} G NORM\n" for n in (1, 2, 3, 4)), "mdb001", "mdb002", "mdb003", "mdb004")
    sides = [(case.patient_id, case.study.series[0].key, case.study.series[0].attributes["laterality"]) for case in reading.cases]
    assert sides == [
        ("mias:001", "mias/mdb001", "right"),
        ("mias:001", "mias/mdb002", "left"),
        ("mias:002", "mias/mdb003", "right"),
        ("mias:002", "mias/mdb004", "left"),
    ]
    groups = [case.origin.group_ids for case in reading.cases if case.origin]
    assert groups == [("patient:mias:001",)] * 2 + [("patient:mias:002",)] * 2
    assert {pair_of(f"mdb{number:03d}") for number in range(1, 323)} == set(range(1, 162))


def test_a_norm_line_is_a_negative_image_and_never_benign(tmp_path: Path) -> None:
    reading = read(
        tmp_path, "mdb001 D NORM \nmdb002 D NORM\nmdb003 F CIRC B 500 500 20\nmdb004 F NORM\n", *(f"mdb00{n}" for n in (1, 2, 3, 4))
    )
    assert [(len(case.labels), case.negative_reason is not None) for case in reading.cases] == [(0, True), (0, True), (1, False), (0, True)]
    classes = [image_class(case, case.study.series[0], LabelPolicy()).name for case in reading.cases]
    assert classes == ["normal", "normal", "benign", "normal"]


def test_severity_is_kept_but_nothing_is_called_cancer_without_tissue(tmp_path: Path) -> None:
    (label,) = read(tmp_path, "mdb001 D SPIC M 500 500 20\n", "mdb001").labels
    assert (label.diagnosis, label.status, label.class_source) == ("malignant", LesionStatus.UNTESTED, "not_stated")
    assert (label.finding_types, label.attributes["mass_margins"], label.birads) == (("mass",), "spiculated", None)


def test_background_tissue_is_no_birads_density(tmp_path: Path) -> None:
    attributes = read(tmp_path, "mdb001 D NORM\n", "mdb001").image("mdb001").attributes
    assert attributes["background_tissue"] == "dense_glandular"
    assert "breast_density" not in attributes


@pytest.mark.parametrize("line", ["mdb001 G CALC M *NOTE 3*", "mdb001 G CALC M * NOTE 3 *", "mdb001 G CALC M", "mdb001 G CALC M   "])
def test_an_abnormality_without_a_place_is_a_label_of_the_image(tmp_path: Path, line: str) -> None:
    (label,) = read(tmp_path, line + "\n", "mdb001").labels
    assert (label.pixel_box, label.tier, label.diagnosis) == (None, Tier.CASE_LEVEL, "malignant")
    assert label.series_key == "mias/mdb001"
    assert label.attributes.get("distribution") == ("diffuse" if "NOTE" in line else None)


def test_several_lines_of_one_image_stay_several_lesions(tmp_path: Path) -> None:
    reading = read(tmp_path, "mdb144 F MISC B 233 600 29\nmdb144 F MISC M 313 540 27\n", "mdb144")
    assert [(label.diagnosis, label.conflicts) for label in reading.labels] == [("benign", ()), ("malignant", ())]
    assert not reading.ledger


def test_a_repeated_line_counts_once_and_contradicting_lines_are_flagged(tmp_path: Path) -> None:
    text = "mdb001 F MISC B 300 600 29\nmdb001 F MISC B 300 600 29\nmdb002 F CIRC B 300 600 29\nmdb002 F CIRC M 300 600 29\n"
    reading = read(tmp_path, text, "mdb001", "mdb002")
    assert reading.reasons == {"repeated_row": 1, "conflicting_rows": 1}
    assert len(reading.of_image("mdb001")) == 1
    assert [(label.diagnosis, label.needs_review) for label in reading.of_image("mdb002")] == [("benign", True), ("malignant", True)]
    assert [case.conflicts for case in reading.cases] == [(), ("conflicting_rows",)]


def test_norm_beside_an_abnormality_is_no_normal_image(tmp_path: Path) -> None:
    reading = read(tmp_path, "mdb001 F NORM\nmdb001 F CIRC M 300 600 29\n", "mdb001")
    assert reading.reasons == {"normal_and_abnormal": 1}
    assert reading.cases[0].negative_reason is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("mdb001 G CIRC B 535 425", "malformed_row"),
        ("mdb001 G CIRC B 535 425 197 5", "malformed_row"),
        ("mdb001 G CIRC B a 425 197", "malformed_row"),
        ("mdb001 G CIRC B 535 425 0", "malformed_row"),
        ("mdb001 G CIRC B 535 425 -7", "malformed_row"),
        ("mdb001 G NORM B 535", "malformed_row"),
        ("mdb001 G", "malformed_row"),
        ("mb134 F MISC M 469 728 49", "malformed_row"),
        ("mdb0001 F MISC M 469 728 49", "malformed_row"),
        ("mdb001 X CIRC B 535 425 197", "unexpected_value"),
        ("mdb001 G BLOB B 535 425 197", "unexpected_value"),
        ("mdb001 G CIRC P 535 425 197", "unexpected_value"),
    ],
)
def test_a_damaged_line_is_dropped_and_the_rest_is_read(tmp_path: Path, line: str, reason: str) -> None:
    reading = read(tmp_path, f"{line}\nmdb002 G NORM\n", "mdb002")
    assert reading.reasons == {reason: 1}
    assert [series.key for series in reading.series] == ["mias/mdb002"]


def test_images_without_a_line_and_lines_without_an_image_are_listed(tmp_path: Path) -> None:
    reading = read(tmp_path, "mdb001 G NORM\nmdb002 G NORM\n", "mdb001", "mdb005", "mdb007lm")
    assert reading.reasons == {"missing_image": 1, "image_without_row": 1, "unknown_name": 1}


def test_a_film_in_two_formats_is_one_image(tmp_path: Path) -> None:
    films(tmp_path, "mdb001 G NORM\n", "mdb001", ending=".png")
    reading = read(tmp_path, "mdb001 G NORM\n", "mdb001")
    assert reading.reasons == {"repeated_image": 1}
    assert [series.volume_path for series in reading.series] == [str(tmp_path / "mdb001.pgm")]


def test_no_box_is_drawn_on_a_resized_film(tmp_path: Path) -> None:
    reading = read(tmp_path, "mdb001 G CIRC M 100 100 20\n", "mdb001", side=224)
    assert reading.reasons == {"wrong_size": 1}
    assert [(label.pixel_box, label.diagnosis, label.needs_review) for label in reading.labels] == [(None, "malignant", True)]


def test_a_circle_over_the_edge_is_cut_and_one_beyond_it_loses_its_box(tmp_path: Path) -> None:
    reading = read(tmp_path, "mdb001 G CIRC M 10 500 40\nmdb002 G CIRC M 2000 500 40\n", "mdb001", "mdb002")
    assert reading.reasons == {"partly_outside_image": 1, "outside_image": 1}
    cut, lost = reading.labels
    assert cut.pixel_box is not None
    assert (cut.pixel_box.x0, cut.pixel_box.x1) == (0.0, 50.0)
    assert (lost.pixel_box, lost.conflicts) == (None, ("outside_image",))


def test_an_unreadable_film_is_dropped_with_its_labels(tmp_path: Path) -> None:
    films(tmp_path, "mdb001 G CIRC M 500 500 40\nmdb002 G NORM\nmdb003 G NORM\n", "mdb002")
    (tmp_path / "mdb001.pgm").write_bytes(b"<html>not found</html>")
    (tmp_path / "mdb003.pgm").write_bytes(b"")
    reading = read_folder(DATASET, tmp_path)
    assert reading.reasons == {"unreadable_image": 2}
    assert ([series.key for series in reading.series], reading.labels) == (["mias/mdb002"], [])


def test_commas_and_capitals_are_read_alike(tmp_path: Path) -> None:
    (label,) = read(tmp_path, "REFNUM,BG,CLASS,SEVERITY,X,Y,RADIUS\nMDB001,g,circ,m,500,500,40\n", "mdb001").labels
    assert label.diagnosis == "malignant"


def test_a_renamed_or_reordered_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Info\.txt.*REFNUM BG CLASS SEVERITY X Y RADIUS"):
        read(tmp_path, "REFNUM BG CLASS SEVERITY Y X RADIUS\nmdb001 G NORM\n", "mdb001")


@pytest.mark.parametrize("text", ["", "nothing of use\n", "REFNUM BG CLASS SEVERITY X Y RADIUS\n"])
def test_a_table_without_a_line_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"Info\.txt"):
        read(tmp_path, text, "mdb001")


def test_no_image_of_any_line_is_an_error_never_an_empty_success(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not one case"):
        read(tmp_path, "mdb001 G NORM\n", "mdb007")


WORDS = st.sampled_from(
    [
        "mdb001",
        "mdb1",
        "G",
        "D",
        "CIRC",
        "NORM",
        "CALC",
        "B",
        "M",
        "*NOTE 3*",
        "NOTE",
        "12",
        "3.5",
        "-1",
        "0",
        "x",
        "\u00e9",
        ",",
        "REFNUM2",
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(WORDS, max_size=9), max_size=6))
def test_any_line_is_read_or_listed_and_nothing_else_happens(tmp_path: Path, lines: list[list[str]]) -> None:
    table = tmp_path / "Info.txt"
    table.write_text("\n".join(["mdb322 F NORM", *(" ".join(line) for line in lines)]), encoding="utf-8")
    items = list(read_table(table))
    films_read = [item for item in items if isinstance(item, Film)]
    assert films_read[0].name == "mdb322"
    assert all(box_of(film) is not None for film in films_read if film.place)
    assert all(item.reason in ("malformed_row", "unexpected_value") for item in items if isinstance(item, LedgerEntry))


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)
