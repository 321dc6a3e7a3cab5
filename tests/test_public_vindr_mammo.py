"""VinDr-Mammo: BI-RADS as text, lists as text, rows without boxes, classes of a breast."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.planted import Reading, check_truth, overlap, read_folder, same_bytes_twice
from weakbox.datasets_public.breast_labels import SCOPE
from weakbox.datasets_public.cases import image_path
from weakbox.datasets_public.vindr_mammo import DATASET
from weakbox.imaging.image_conversion import ConversionSettings, ImageSource, convert_image
from weakbox.labelling.policy import LabelPolicy, image_class
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus, Tier
from weakbox.simulate.public.tree import PlantedLesion
from weakbox.simulate.public.vindr_mammo import BREAST_HEADER, FINDING_HEADER, TREE

NOTHING = ("['No Finding']", "", "", "", "", "")


def image(name: str, side: str = "L", birads: str = "BI-RADS 4", split: str = "training", study: str = "s1") -> tuple[str, ...]:
    """What both tables say of an image of 100 rows and 80 columns."""
    return (study, f"series-{name}", name, side, "CC", "100", "80", birads, "DENSITY C", split)


def write_set(folder: Path, rows: Sequence[tuple[tuple[str, ...], tuple[str, ...]]], *, files: Sequence[str] | None = None) -> Path:
    """Findings, the breast table of their images, and black images of 80 x 100 pixels."""
    images = {stated[2]: stated for stated, _ in rows}
    findings = [(*stated[:9], *finding, stated[9]) for stated, finding in rows]
    breasts = [(s[0], s[1], s[3], s[2], *s[4:]) for s in images.values()]
    tables = {"finding_annotations.csv": (FINDING_HEADER, findings), "breast-level_annotations.csv": (BREAST_HEADER, breasts)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, (header, lines) in tables.items():
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *lines])
    for name in images if files is None else files:
        path = folder / "images" / "s1" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (80, 100)).save(path)
    return folder


def read(folder: Path, *rows: tuple[tuple[str, ...], tuple[str, ...]]) -> Reading:
    return read_folder(DATASET, write_set(folder, rows))


@pytest.mark.parametrize("layout", [TREE.layout, *TREE.other_layouts])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    tree = {TREE.layout: TREE.write, **TREE.other_layouts}[layout](tmp_path, 5, 1)
    reading = read_folder(DATASET, tmp_path)
    check_truth(reading, tree, tmp_path, iou=0.999)
    assert {label.tier for label in reading.labels if label.pixel_box} == {Tier.EXPERT}


def test_birads_4_as_text_is_read_and_exports_labels(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a"), ("['Mass']", "BI-RADS 4", "10.5", "20.25", "30", "40")))
    drawn = [label for label in reading.labels if label.pixel_box]
    assert [(label.birads, label.finding_types) for label in drawn] == [("4", ("mass",))]
    assert overlap(drawn[0].pixel_box, PlantedLesion(start=(10.5, 20.25), stop=(30, 40))) == 1.0  # type: ignore[arg-type]
    assert reading.image("a").attributes["breast_density"] == "c"


def test_birads_is_no_pathology(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a", birads="BI-RADS 5"), ("['Mass']", "BI-RADS 5", "1", "2", "3", "4")))
    assert {(label.diagnosis, label.status, label.class_source) for label in reading.labels} == {(None, LesionStatus.UNTESTED, "birads")}


def test_no_finding_rows_make_an_image_without_labels(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a", birads="BI-RADS 1"), NOTHING), (image("b", side="R", birads="BI-RADS 2"), NOTHING))
    (case,) = reading.cases
    assert [label.series_key for label in case.labels] == [None, None]
    assert case.negative_reason
    assert not reading.reasons


def test_birads_3_without_a_finding_is_no_negative(tmp_path: Path) -> None:
    (case,) = read(tmp_path, (image("a", birads="BI-RADS 3"), NOTHING)).cases
    assert case.negative_reason is None


def test_the_class_of_a_breast_is_one_label_and_reaches_only_its_images(tmp_path: Path) -> None:
    rows = [(image("a", birads="BI-RADS 4"), NOTHING), (image("b", birads="BI-RADS 4"), NOTHING), (image("c", "R", "BI-RADS 1"), NOTHING)]
    reading = read(tmp_path, *rows)
    (case,) = reading.cases
    assert [(label.side, label.birads, label.attributes[SCOPE]) for label in case.labels] == [
        ("left", "4", "breast"),
        ("right", "1", "breast"),
    ]
    verdicts = {name: image_class(case, reading.image(name), LabelPolicy()) for name in "abc"}
    assert {name: (verdict.name, verdict.scope) for name, verdict in verdicts.items()} == {
        "a": ("malignant", "breast"),
        "b": ("malignant", "breast"),
        "c": ("normal", "breast"),
    }


def test_several_categories_a_box_stay_together(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a"), ("['Suspicious Calcification', 'Skin Retraction']", "BI-RADS 4", "1", "2", "30", "40")))
    (label,) = reading.of_image("a")
    assert label.finding_types == ("calcification", "skin_retraction")
    assert label.attributes["finding_categories"] == ("Suspicious Calcification", "Skin Retraction")


def test_a_box_over_the_edge_is_cut_and_one_beyond_it_is_taken_away(tmp_path: Path) -> None:
    rows = [
        (image("a"), ("['Mass']", "BI-RADS 4", "-3.5", "90", "20", "104")),
        (image("a"), ("['Mass']", "BI-RADS 4", "81", "10", "95", "30")),
    ]
    reading = read(tmp_path, *rows)
    cut, gone = reading.of_image("a")
    assert cut.pixel_box is not None
    assert (cut.pixel_box.x0, cut.pixel_box.y1) == (0.0, 100.0)
    assert (gone.pixel_box, gone.needs_review, gone.tier) == (None, True, Tier.CASE_LEVEL)
    assert reading.reasons == {"box_cut": 1, "outside_image": 1}


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        (("['Mass']", "BI-RADS 4", "", "", "", ""), "finding_without_box"),
        (("['Mass']", "BI-RADS 4", "30", "20", "10", "40"), "empty_box"),
        (("['Mass']", "BI-RADS 9", "1", "2", "3", "4"), "unexpected_value"),
        (("['Mass'", "BI-RADS 4", "1", "2", "3", "4"), "unexpected_value"),
        (("['Lump']", "BI-RADS 4", "1", "2", "3", "4"), "unknown_finding"),
        (("['No Finding']", "", "1", "2", "3", "4"), "contradicting_finding"),
    ],
)
def test_an_odd_finding_is_called_out_and_its_label_stays(tmp_path: Path, finding: tuple[str, ...], reason: str) -> None:
    reading = read(tmp_path, (image("a"), finding))
    assert reading.reasons == {reason: 1}
    assert len(reading.of_image("a")) == 1


def test_a_repeated_row_counts_once(tmp_path: Path) -> None:
    finding = ("['Mass']", "BI-RADS 4", "1", "2", "3", "4")
    reading = read(tmp_path, (image("a"), finding), (image("a"), finding))
    assert (len(reading.of_image("a")), reading.reasons) == (1, {"repeated_row": 1})


def test_disagreeing_rows_of_a_breast_are_kept_and_flagged(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a", birads="BI-RADS 2"), NOTHING), (image("b", birads="BI-RADS 5"), NOTHING))
    (label,) = reading.labels
    assert (label.birads, label.conflicts, label.needs_review) == ("5", ("breast_birads: 2, 5",), True)
    assert reading.reasons == {"conflicting_labels": 1}


def test_rows_that_contradict_the_breast_table_are_flagged(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a", birads="BI-RADS 4"), NOTHING)])
    table = tmp_path / "finding_annotations.csv"
    table.write_text(table.read_text().replace("BI-RADS 4", "BI-RADS 2"))
    assert read_folder(DATASET, tmp_path).reasons == {"conflicting_rows": 1}


def test_images_without_rows_and_rows_without_images_are_counted(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a"), NOTHING), (image("b"), NOTHING)], files=["a", "c"])
    reading = read_folder(DATASET, tmp_path)
    assert [series.key for series in reading.series] == ["vindr_mammo/a"]
    assert reading.reasons == {"missing_image": 1, "image_without_row": 1}


def test_the_sets_own_split_is_kept_and_the_examination_is_the_group(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a", split="test"), NOTHING), (image("b", study="s2"), NOTHING))
    origins = [case.origin for case in reading.cases if case.origin]
    assert [(origin.official_split, origin.group_ids) for origin in origins] == [
        ("test", ("patient:vindr_mammo:s1",)),
        ("train", ("patient:vindr_mammo:s2",)),
    ]


def test_an_examination_in_two_parts_is_a_test_case_and_called_out(tmp_path: Path) -> None:
    reading = read(tmp_path, (image("a", split="test"), NOTHING), (image("b", split="training"), NOTHING))
    assert reading.cases[0].origin is not None
    assert reading.cases[0].origin.official_split == "test"
    assert reading.reasons == {"conflicting_split": 1}


def test_an_image_of_another_shape_gets_no_box(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a"), ("['Mass']", "BI-RADS 4", "1", "2", "30", "40"))])
    Image.new("L", (64, 64)).save(tmp_path / "images" / "s1" / "a.png")
    reading = read_folder(DATASET, tmp_path)
    assert [label.pixel_box for label in reading.of_image("a")] == [None]
    assert reading.reasons == {"wrong_size": 1}


def test_a_corrupt_image_is_dropped_and_its_study_goes_on(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a"), NOTHING), (image("b"), NOTHING)])
    (tmp_path / "images" / "s1" / "b.png").write_bytes(b"<html>not found</html>")
    reading = read_folder(DATASET, tmp_path)
    assert [series.key for series in reading.series] == ["vindr_mammo/a"]
    assert reading.reasons == {"unreadable_image": 1}


def test_a_renamed_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a"), NOTHING)])
    table = tmp_path / "finding_annotations.csv"
    table.write_text(table.read_text().replace("finding_categories", "categories"))
    with pytest.raises(InputError, match="finding_categories"):
        read_folder(DATASET, tmp_path)


def test_no_image_at_all_is_an_error_and_no_empty_success(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a"), NOTHING)], files=[])
    with pytest.raises(InputError, match="1 missing_image"):
        read_folder(DATASET, tmp_path)


def test_a_table_of_tags_without_the_columns_only_costs_the_ages(tmp_path: Path) -> None:
    write_set(tmp_path, [(image("a"), NOTHING)])
    (tmp_path / "metadata.csv").write_text("foo,bar\n1,2\n")
    reading = read_folder(DATASET, tmp_path)
    assert (reading.cases[0].study.patient_age_years, reading.reasons) == (None, {"unread_table": 1})


def test_a_box_on_the_exported_picture_covers_the_lesion_also_of_monochrome1(tmp_path: Path) -> None:
    """Inverted after VOI, cropped to the breast: the lesion is brighter than the ring around its box."""
    TREE.write(tmp_path, 4, 1)
    reading = read_folder(DATASET, tmp_path)
    drawn = [label for label in reading.labels if label.pixel_box is not None and label.pixel_box.x0 > 0]
    assert len(drawn) == 5
    for label in drawn:
        box = label.pixel_box
        assert box is not None
        stored = image_path(reading.image(box.series_key))
        source = ImageSource(path=str(stored), target=str(tmp_path / "out" / "a.png"), boxes=((box.x0, box.y0, box.x1, box.y1),))
        moved = convert_image(source, ConversionSettings(region="breast")).boxes[0].box
        assert moved is not None
        pixels = np.asarray(Image.open(tmp_path / "out" / "a.png")).astype(float)
        x0, y0, x1, y1 = (round(edge) for edge in moved)
        middle = pixels[y0 + (y1 - y0) // 4 : y1 - (y1 - y0) // 4, x0 + (x1 - x0) // 4 : x1 - (x1 - x0) // 4]
        ring = np.concatenate([pixels[max(y0 - 4, 0) : y0, x0:x1].ravel(), pixels[y1 : y1 + 4, x0:x1].ravel()])
        assert middle.mean() > ring.mean() + 10, stored


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)
