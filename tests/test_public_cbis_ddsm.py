"""CBIS-DDSM: simulated downloads in every layout against their truth, each known trap, bad input, and the real case tables."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from weakbox.datasets_public.cases import image_path, read_cases
from weakbox.datasets_public.cbis_ddsm import DATASET
from weakbox.datasets_public.cbis_ddsm_files import stated_path, subject_of
from weakbox.datasets_public.cbis_ddsm_masks import ROI_FILES
from weakbox.datasets_public.locating import locate
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.label import CuratedCase, LesionStatus, PixelBox, Tier, WeakLabel
from weakbox.simulate.mammograms import write_mammogram_dicom
from weakbox.simulate.public.cbis_ddsm import TREE
from weakbox.simulate.public.tree import PlantedTree

LAYOUTS = {"nbia": TREE.write, **TREE.other_layouts}
TABLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "mammo_tables" / "cbis_ddsm"
needs_shared = pytest.mark.skipif(not TABLES.is_dir(), reason="the sample data beside the checkout are absent")

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
    """Cases with their files opened, and what was said about them."""
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


def overlap(box: PixelBox, start: tuple[float, ...], stop: tuple[float, ...]) -> float:
    """Intersection over union."""
    width = min(box.x1, stop[0]) - max(box.x0, start[0])
    height = min(box.y1, stop[1]) - max(box.y0, start[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((box.x1 - box.x0) * (box.y1 - box.y0) + (stop[0] - start[0]) * (stop[1] - start[1]) - common)


def table(folder: Path, name: str) -> tuple[Path, list[list[str]]]:
    """A case table and its rows, the header first."""
    path = next(folder.rglob(f"{name}_set.csv"))
    with path.open(newline="", encoding="utf-8") as file:
        return path, list(csv.reader(file))


def rewrite(folder: Path, name: str, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    """Change the rows of a case table, the header among them."""
    path, rows = table(folder, name)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(change(rows))


def with_cell(column: str, value: str, row: int = 1) -> Callable[[list[list[str]]], list[list[str]]]:
    """A change of one cell."""

    def change(rows: list[list[str]]) -> list[list[str]]:
        rows[row][rows[0].index(column)] = value
        return rows

    return change


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedTree]:
    folder = tmp_path_factory.mktemp("cbis")
    return folder, TREE.write(folder, 8, 1)


@pytest.fixture
def tree(pristine: tuple[Path, PlantedTree], tmp_path: Path) -> Path:
    shutil.copytree(pristine[0], tmp_path / "tree")
    return tmp_path / "tree"


# Layouts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_gives_the_planted_images_lesions_and_boxes(layout: str, tmp_path: Path) -> None:
    truth = LAYOUTS[layout](tmp_path, 8, 1)
    cases, reasons = read(tmp_path)
    done, remarks = complete(cases)
    assert set(reasons) <= {"conflicting_labels"}
    assert set(remarks) <= {"same_image", "mask_scaled"}
    images = {str(image_path(series).relative_to(tmp_path)): (case, series) for case in done for series in case.study.series}
    assert images.keys() == {image.path for image in truth.images}
    for image in truth.images:
        case, series = images[image.path]
        assert case.patient_id == f"cbis_ddsm:{image.patient_id}"
        assert {name: series.attributes[name] for name in image.attributes} == dict(image.attributes)
        assert (series.attributes["columns"], series.attributes["rows"]) == (192, 256)
        labels = [label for label in case.labels if label.series_key == series.key]
        assert len(labels) == len(image.lesions)
        for lesion in image.lesions:
            found = max(labels, key=lambda label: overlap(label.pixel_box, lesion.start, lesion.stop))
            assert found.pixel_box is not None
            assert overlap(found.pixel_box, lesion.start, lesion.stop) > 0.8
            assert (found.diagnosis, found.birads) == (lesion.diagnosis, lesion.birads)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_boxes_of_masks_of_the_same_size_are_exact_to_the_pixel(layout: str, tmp_path: Path) -> None:
    truth = LAYOUTS[layout](tmp_path, 3, 2)
    done, remarks = complete(read(tmp_path)[0])
    planted = {(*lesion.start, *lesion.stop) for image in truth.images for lesion in image.lesions}
    boxes = {(box.x0, box.y0, box.x1, box.y1) for label in labels_of(done) if (box := label.pixel_box)}
    assert len(boxes) == len(planted)
    assert len(planted & boxes) > 0
    assert len(planted - boxes) <= remarks["mask_scaled"]


def test_a_tree_has_the_same_bytes_each_time(pristine: tuple[Path, PlantedTree], tmp_path: Path) -> None:
    TREE.write(tmp_path, 8, 1)
    first = {path.relative_to(pristine[0]): path.read_bytes() for path in pristine[0].rglob("*") if path.is_file()}
    second = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert first == second


def test_a_half_of_the_download_is_said_to_be_partial(tree: Path) -> None:
    table(tree, "mass_case_description_test")[0].unlink()
    located = locate(DATASET, tree)
    assert located is not None
    assert [missing.split()[0] for missing in located.missing] == ["mass_test"]


def test_a_folder_without_case_tables_is_not_the_set(tree: Path) -> None:
    for path in tree.glob("*.csv"):
        path.unlink()
    assert locate(DATASET, tree) is None


# Traps --------------------------------------------------------------------------------------------------------------


def test_mask_and_crop_change_places_within_a_series_and_lie_in_two_series(pristine: tuple[Path, PlantedTree]) -> None:
    folder, _ = pristine
    places = Counter()
    for label in labels_of(complete(read(folder)[0])[0]):
        assert label.mask is not None
        mask = Path(label.mask.path)
        pixels = dcmread(mask).pixel_array
        assert set(np.unique(pixels)) == {0, 255}
        places[mask.name, len(list(mask.parent.iterdir()))] += 1
    assert places.keys() == {("1-1.dcm", 2), ("1-2.dcm", 2), ("1-1.dcm", 1)}


def test_a_blank_description_hides_no_image(pristine: tuple[Path, PlantedTree]) -> None:
    folder, _ = pristine
    blank = [path for path in folder.rglob("*.dcm") if dcmread(path, stop_before_pixels=True).SeriesDescription == ""]
    assert blank
    found = {image_path(series) for case in read(folder)[0] for series in case.study.series}
    assert set(blank) <= found


def test_both_spellings_of_the_density_column_and_cells_that_end_in_a_newline_are_read(pristine: tuple[Path, PlantedTree]) -> None:
    folder, _ = pristine
    _, mass = table(folder, "mass_case_description_train")
    _, calc = table(folder, "calc_case_description_train")
    assert "breast_density" in mass[0]
    assert "breast density" in calc[0]
    assert all(row[-1].endswith("\n") for row in mass[1:])
    assert all(row[-2].endswith("\n") for row in calc[1:])
    cases, _ = read(folder)
    assert all(series.attributes["breast_density"] in "abcd" for case in cases for series in case.study.series)
    assert all(len(label.attributes[ROI_FILES]) == 2 for label in labels_of(cases))


def test_the_third_part_of_a_path_is_the_series() -> None:
    path = stated_path("Mass-Test_P_00016_LEFT_CC/1.3.6.1.4.1.9590.100.1.2.1/1.3.6.1.4.1.9590.100.1.2.2/000000.dcm\n")
    assert path.series_uid == "1.3.6.1.4.1.9590.100.1.2.2"
    assert path.subject == subject_of("Mass-Test_P_00016_LEFT_CC")


def test_patients_are_cut_out_of_tcias_patient_id_and_shared_by_mass_and_calc(pristine: tuple[Path, PlantedTree]) -> None:
    cases, _ = read(pristine[0])
    first = next(case for case in cases if case.patient_id == "cbis_ddsm:P_00001")
    assert {kind for label in first.labels for kind in label.finding_types if kind in ("mass", "calcification")} == {
        "mass",
        "calcification",
    }
    assert first.origin is not None
    assert first.origin.group_ids == ("patient:cbis_ddsm:P_00001",)
    assert len({case.patient_id for case in cases}) == len(cases) == 8


def test_a_film_of_both_tables_becomes_one_image_with_the_lesions_of_both(pristine: tuple[Path, PlantedTree]) -> None:
    cases, _ = read(pristine[0])
    before = next(case for case in cases if case.patient_id == "cbis_ddsm:P_00001")
    (after,), reasons = complete([before])
    assert (len(before.study.series), len(after.study.series), reasons["same_image"]) == (4, 2, 2)
    for series in after.study.series:
        kinds = {label.finding_types[-1] for label in after.labels if label.pixel_box and label.pixel_box.series_key == series.key}
        assert len(kinds) == 2
    assert all(label.mask and label.mask.series_key == label.series_key for label in after.labels)


def test_films_that_only_share_side_and_view_stay_apart(tree: Path) -> None:
    cases, _ = read(tree)
    case = next(case for case in cases if case.patient_id == "cbis_ddsm:P_00001")
    path = image_path(case.study.series[0])
    dataset = dcmread(path)
    pixels = dataset.pixel_array.copy()
    pixels[100, 100] ^= 16
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)
    (after,), reasons = complete([case])
    assert (len(after.study.series), reasons["same_image"]) == (3, 1)


def test_a_patient_in_both_official_parts_is_flagged_in_both_cases(tree: Path) -> None:
    for kind in ("mass", "calc"):
        _, rows = table(tree, f"{kind}_case_description_test")
        moved = [[cell.replace("P_00002", "P_00001") for cell in row] for row in rows if row[0] in ("patient_id", "P_00002")]
        rewrite(tree, f"{kind}_case_description_test", lambda _, moved=moved: moved)
    for folder in list(tree.rglob("*-Test_P_00002_*")):
        folder.rename(folder.with_name(folder.name.replace("P_00002", "P_00001")))
    cases, reasons = read(tree)
    both = [case for case in cases if case.patient_id == "cbis_ddsm:P_00001"]
    assert [case.origin.official_split for case in both if case.origin] == ["test", "train"]
    assert reasons["in_both_official_parts"] == 2
    assert all(case.conflicts == ("in_both_official_parts",) for case in both)
    assert len({case.origin.group_ids for case in both if case.origin}) == 1


def test_lesions_of_one_image_keep_their_own_pathology_and_the_image_is_flagged(pristine: tuple[Path, PlantedTree]) -> None:
    cases, reasons = read(pristine[0])
    assert reasons["conflicting_labels"] == 4
    masses = [label for label in labels_of(cases) if "Mass-Test_P_00002" in label.label_id and "_CC_" in label.label_id]
    assert [label.diagnosis for label in masses] == ["benign", "benign_without_callback"]
    assert len({label.series_key for label in masses}) == 1
    assert not any(label.conflicts for label in masses)


def test_a_mask_of_another_size_is_scaled_and_one_of_other_proportions_is_not_used(tree: Path) -> None:
    cases, _ = read(tree)
    done, reasons = complete(cases)
    assert reasons["mask_scaled"] == 4
    placed = next(label for label in labels_of(done) if label.mask)
    path = Path(placed.mask.path if placed.mask else "")
    write_mammogram_dicom(path, np.pad(dcmread(path).pixel_array, ((0, 60), (0, 0))), laterality=None, view=None, bits=8, voi="none")
    done, reasons = complete(cases)
    label = next(label for label in labels_of(done) if label.label_id == placed.label_id)
    assert reasons["mask_of_another_shape"] == 1
    assert (label.pixel_box, label.mask, label.tier, label.diagnosis) == (None, None, Tier.CASE_LEVEL, placed.diagnosis)
    assert label.conflicts == ("mask_of_another_shape",)


def test_an_empty_mask_and_a_missing_one_leave_the_label_without_a_box(tree: Path) -> None:
    cases, _ = read(tree)
    first, second = [
        label for label in labels_of(complete(cases)[0]) if label.mask and len(list(Path(label.mask.path).parent.iterdir())) == 2
    ][:2]
    empty = Path(first.mask.path if first.mask else "")
    write_mammogram_dicom(empty, np.zeros((256, 192), np.uint8), laterality=None, view=None, bits=8, voi="none")
    gone = Path(second.mask.path if second.mask else "")
    gone.unlink()
    done, reasons = complete(read(tree)[0])
    unplaced = {label.label_id: label.conflicts for label in labels_of(done) if label.pixel_box is None}
    assert unplaced == {first.label_id: ("empty_mask",), second.label_id: ("no_mask_among_files",)}
    assert (reasons["empty_mask"], reasons["no_mask_among_files"]) == (1, 1)


def test_a_region_that_was_not_downloaded_is_flagged(tree: Path) -> None:
    subject = next(path for path in sorted(tree.rglob("*_1")) if path.is_dir())
    shutil.rmtree(subject)
    _, reasons = complete(read(tree)[0])
    assert reasons["missing_mask"] == 1


def test_a_corrupt_mask_and_a_corrupt_image_are_named_and_the_rest_goes_on(tree: Path) -> None:
    cases, _ = read(tree)
    done, _ = complete(cases)
    mask = Path(next(label.mask.path for label in labels_of(done) if label.mask))
    mask.write_bytes(b"<html>503</html>")
    image_path(cases[-1].study.series[0]).write_bytes(b"")
    again, reasons = complete(cases)
    assert reasons["unreadable_mask"] == 1
    assert reasons["unreadable_image"] == 1
    assert sum(label.pixel_box is not None for label in labels_of(again)) >= len(labels_of(done)) - 3


def test_jpeg_masks_with_grey_edges_are_still_told_from_crops(tmp_path: Path) -> None:
    LAYOUTS["kaggle_jpeg"](tmp_path, 4, 1)
    for label in labels_of(complete(read(tmp_path)[0])[0]):
        assert label.mask is not None
        assert len(np.unique(np.asarray(Image.open(label.mask.path)))) > 2


def test_pathology_and_birads_are_kept_apart_and_only_cancer_has_a_tissue_status(pristine: tuple[Path, PlantedTree]) -> None:
    by_word = {label.diagnosis: label for label in labels_of(read(pristine[0])[0])}
    assert by_word["malignant"].status is LesionStatus.CANCER
    assert by_word["benign"].status is by_word["benign_without_callback"].status is LesionStatus.UNTESTED
    assert [by_word[word].class_source for word in ("malignant", "benign", "benign_without_callback")] == [
        "histopathology",
        "histopathology_or_imaging",
        "screening_films",
    ]
    assert by_word["malignant"].birads == "5"


def test_not_applicable_is_not_a_descriptor_and_shapes_name_findings(pristine: tuple[Path, PlantedTree]) -> None:
    labels = labels_of(read(pristine[0])[0])
    assert not any("N/A" in label.attributes.values() for label in labels)
    distorted = [label for label in labels if label.attributes.get("mass_shape") == "IRREGULAR-ARCHITECTURAL_DISTORTION"]
    assert distorted
    assert all(label.finding_types == ("architectural_distortion", "mass") for label in distorted)


def test_every_label_names_the_row_that_it_comes_from(pristine: tuple[Path, PlantedTree]) -> None:
    folder, _ = pristine
    for label in labels_of(read(folder)[0]):
        name, _, number = label.evidence[0].record_id.rpartition(":")
        row = table(folder, name.removesuffix("_set.csv"))[1][int(number) - 1]
        assert row[0] in label.label_id
        assert row[9].lower() == label.diagnosis


# Bad input ----------------------------------------------------------------------------------------------------------


def test_an_image_that_is_not_there_drops_its_rows_and_its_mask_is_not_called_unknown(tree: Path) -> None:
    shutil.rmtree(next(path for path in sorted(tree.rglob("Mass-Training_P_00003_*_CC")) if path.is_dir()))
    cases, reasons = read(tree)
    assert reasons["missing_image"] == 1
    assert reasons["image_without_row"] == 0
    assert len(labels_of(cases)) == 27


def test_an_image_that_no_row_names_is_counted(tree: Path) -> None:
    rewrite(tree, "mass_case_description_train", lambda rows: [row for row in rows if row[0] != "P_00003"])
    cases, reasons = read(tree)
    assert reasons["image_without_row"] == 6
    assert "cbis_ddsm:P_00003" not in {case.patient_id for case in cases}


def test_a_repeated_row_is_dropped_and_a_contradicting_one_leaves_the_diagnosis_open(tree: Path) -> None:
    def change(rows: list[list[str]]) -> list[list[str]]:
        contradiction = rows[2].copy()
        contradiction[9] = {"MALIGNANT": "BENIGN"}.get(rows[2][9], "MALIGNANT")
        return [*rows, rows[1], contradiction]

    before = {label.label_id: label for label in labels_of(read(tree)[0])}
    rewrite(tree, "mass_case_description_train", change)
    cases, reasons = read(tree)
    assert (reasons["repeated_row"], reasons["conflicting_rows"]) == (1, 1)
    open_labels = [label for label in labels_of(cases) if label.diagnosis is None]
    assert len(open_labels) == 1
    assert open_labels[0].needs_review
    assert open_labels[0].birads == before[open_labels[0].label_id].birads
    assert "rows disagree" in open_labels[0].conflicts[0]
    assert len(labels_of(cases)) == len(before)


@pytest.mark.parametrize(
    ("column", "value", "reason", "lost"),
    [
        ("pathology", "PROBABLY FINE", "unknown_value", 1),
        ("left or right breast", "BOTH", "unknown_value", 1),
        ("image view", "LATERAL", "unknown_value", 1),
        ("abnormality id", "one", "unknown_value", 1),
        ("patient_id", "", "no_patient", 1),
        ("patient_id", "P_99999", "path_of_another_image", 1),
        ("assessment", "9", "unknown_assessment", 0),
        ("breast_density", "0", "unknown_density", 0),
        ("subtlety", "0", "unknown_subtlety", 0),
    ],
)
def test_an_unexpected_value_is_listed_and_never_guessed(column: str, value: str, reason: str, lost: int, tree: Path) -> None:
    before = len(labels_of(read(tree)[0]))
    rewrite(tree, "mass_case_description_train", with_cell(column, value))
    cases, reasons = read(tree)
    assert reasons[reason] == 1
    assert before - len(labels_of(cases)) == lost


def test_float_numbers_of_a_resaved_table_are_read(tree: Path) -> None:
    def change(rows: list[list[str]]) -> list[list[str]]:
        places = [rows[0].index(name) for name in ("breast_density", "abnormality id", "assessment", "subtlety")]
        return [rows[0], *([f"{cell}.0" if place in places else cell for place, cell in enumerate(row)] for row in rows[1:])]

    before, _ = read(tree)
    rewrite(tree, "mass_case_description_train", change)
    after, reasons = read(tree)
    assert after == before
    assert set(reasons) == {"conflicting_labels"}


def test_a_renamed_required_column_stops_with_its_name(tree: Path) -> None:
    rewrite(tree, "mass_case_description_train", lambda rows: [[*rows[0][:9], "diagnosis", *rows[0][10:]], *rows[1:]])
    with pytest.raises(InputError, match="pathology"):
        read(tree)


def test_tables_without_any_of_their_images_are_an_error_and_no_empty_success(tree: Path) -> None:
    for folder in list(tree.rglob("*_P_*")):
        if folder.is_dir() and folder.name.rpartition("_")[2] in ("CC", "MLO"):
            shutil.rmtree(folder)
    with pytest.raises(InputError, match="missing_image"):
        read(tree)


def test_a_table_without_path_columns_is_joined_by_subject(tree: Path) -> None:
    before, _ = read(tree)
    rewrite(tree, "mass_case_description_test", lambda rows: [row[:11] for row in rows])
    after, _ = read(tree)
    assert labels_of(after) == labels_of(before)


def test_kaggle_pictures_are_joined_by_dicom_info_where_the_tables_have_no_paths(tmp_path: Path) -> None:
    LAYOUTS["kaggle_jpeg"](tmp_path, 4, 1)
    before, _ = read(tmp_path)
    for name in ("mass", "calc"):
        for part in ("train", "test"):
            rewrite(tmp_path, f"{name}_case_description_{part}", lambda rows: [row[:11] for row in rows])
    after, reasons = read(tmp_path)
    assert reasons["image_without_row"] == 0
    assert labels_of(after) == labels_of(before)


def test_a_picture_that_dicom_info_lists_and_that_is_not_there_is_counted(tmp_path: Path) -> None:
    LAYOUTS["kaggle_jpeg"](tmp_path, 4, 1)
    next(tmp_path.rglob("*.jpg")).unlink()
    assert read(tmp_path)[1]["listed_file_missing"] == 1


def test_a_second_copy_of_the_download_repeats_nothing(tree: Path) -> None:
    before, _ = read(tree)
    shutil.copytree(tree / "manifest-1700000000000", tree / "manifest-1800000000000")
    path, _ = table(tree, "mass_case_description_train")
    (tree / "again").mkdir()
    shutil.copy(path, tree / "again")
    after, reasons = read(tree)
    assert (reasons["repeated_table"], reasons["several_files"]) == (1, 24)
    assert reasons["image_without_row"] == 0
    plain = [replace(label, attributes={}) for label in labels_of(before)]
    assert [replace(label, attributes={}) for label in labels_of(after)] == plain


# Real tables --------------------------------------------------------------------------------------------------------


def placeholder(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def as_tcia(cell: str) -> str:
    return cell


def as_nbia(cell: str) -> str:
    subject, study, series, name = cell.split("/")
    return f"CBIS-DDSM/{subject}/08-07-2016-DDSM-NA-{study[-5:]}/1.000000-NA-{series[-5:]}/1-{int(name[:6]) + 1}.dcm"


def as_series(cell: str) -> str:
    _, _, series, name = cell.split("/")
    return f"series/{series}/{name}"


def as_kaggle(cell: str) -> str:
    _, _, series, name = cell.split("/")
    return f"jpeg/{series}/{int(name[:6]) + 1}-001.jpg"


@pytest.mark.shared
@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("layout", [as_tcia, as_nbia, as_series, as_kaggle])
def test_the_real_training_tables_load_completely(layout: Callable[[str], str], tmp_path: Path) -> None:
    for kind in ("mass", "calc"):
        shutil.copy(TABLES / f"{kind}_case_description_train_set.csv", tmp_path)
        for row in table(tmp_path, f"{kind}_case_description_train")[1][1:]:
            for cell in row[-3:]:
                placeholder(tmp_path / layout(cell.strip()))
    cases, reasons = read(tmp_path)
    labels = labels_of(cases)
    counts = Counter((label.evidence[0].record_id[:4], label.diagnosis) for label in labels)
    assert counts == {
        ("mass", "malignant"): 637,
        ("mass", "benign"): 577,
        ("mass", "benign_without_callback"): 104,
        ("calc", "malignant"): 544,
        ("calc", "benign"): 528,
        ("calc", "benign_without_callback"): 474,
    }
    assert (sum(counts.values()), len(labels)) == (1318 + 1546, 2864)
    assert len({case.patient_id for case in cases}) == len(cases) == 691 + 602 - 45
    assert sum(len(case.study.series) for case in cases) == 1231 + 1227
    assert reasons == {"conflicting_labels": 15, "unknown_subtlety": 2}
    assert all(len(set(label.attributes[ROI_FILES])) == 2 for label in labels)
    assert len({path for label in labels for path in label.attributes[ROI_FILES]}) == 2 * 2864


@pytest.mark.shared
@needs_shared
def test_the_trimmed_real_test_table_loads_completely_by_subject(tmp_path: Path) -> None:
    path = tmp_path / "mass_case_description_test_set.csv"
    shutil.copy(TABLES / "variant_trimmed_mass_case_description_test_set.csv", path)
    rows = table(tmp_path, "mass_case_description_test")[1]
    for patient, side, view, _, number, *_ in rows[1:]:
        for subject in (f"Mass-Test_{patient}_{side}_{view}", f"Mass-Test_{patient}_{side}_{view}_{number}"):
            placeholder(tmp_path / subject / "a" / "b" / "1-1.dcm")
    cases, _ = read(tmp_path)
    assert Counter(label.diagnosis for label in labels_of(cases)) == {"malignant": 147, "benign": 194, "benign_without_callback": 37}
    assert {case.origin.official_split for case in cases if case.origin} == {"test"}
