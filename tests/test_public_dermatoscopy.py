"""What holds for every dermatoscopic set: the reader finds what its tree holds, groups and names fit across sets, boxes cover lesions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.skin_sets import SETS, Read, by_path, edit_table, overlap, tree_of
from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.dermatoscopy import SPLITS, Pictures, archive_name, beside, image_name, masks_by_image, split_of
from weakbox.datasets_public.dermatoscopy_masks import complete_skin_case
from weakbox.datasets_public.searching import load_dataset, search
from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase, LesionStatus, Tier
from weakbox.runtime.codec import decode, encode
from weakbox.terminology import dermatology
from weakbox.terminology.dermatology import Malignancy

TREES = tuple((name, layout) for name in SETS for layout in (tree_of(name).layout, *tree_of(name).other_layouts))


def written(name: str, layout: str, folder: Path, patients: int = 7):  # type: ignore[no-untyped-def]
    tree = tree_of(name)
    return (tree.write if layout == tree.layout else tree.other_layouts[layout])(folder, patients, 3)


@pytest.mark.parametrize(("name", "layout"), TREES)
def test_the_reader_finds_every_image_class_and_box_of_the_tree(name: str, layout: str, tmp_path: Path) -> None:
    planted = written(name, layout, tmp_path)
    read = Read(name, tmp_path)
    cases = by_path(read, tmp_path)
    assert set(cases) == {image.path for image in planted.images}
    assert not read.located.missing
    for reason, count in planted.dropped.items():
        assert read.reasons[reason] == count
    for image in planted.images:
        case, remarks = complete_skin_case(cases[image.path])
        assert case is not None and not remarks
        assert case.patient_id == f"{name}:{image.patient_id}"
        assert (case.study.series[0].attributes["columns"], case.study.series[0].attributes["rows"]) == (160, 120)
        diagnoses = {lesion.diagnosis for lesion in image.lesions} - {None}
        assert not diagnoses or {label.diagnosis for label in case.labels} - {None} == diagnoses
        for lesion in image.lesions:
            boxes = [label.pixel_box for label in case.labels if label.pixel_box]
            if lesion.is_annotated:
                assert max(overlap(box, lesion.start, lesion.stop) for box in boxes) == 1.0
            else:
                assert not boxes


@pytest.mark.parametrize(("name", "layout"), TREES)
def test_the_tree_is_the_same_bytes_each_time(name: str, layout: str, tmp_path: Path) -> None:
    contents = []
    for copy in ("first", "second"):
        written(name, layout, tmp_path / copy, 3)
        files = sorted(path for path in (tmp_path / copy).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / copy): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", SETS)
def test_cases_survive_the_store_between_processes(name: str, tmp_path: Path) -> None:
    written(name, tree_of(name).layout, tmp_path, 3)
    for case in Read(name, tmp_path).cases.values():
        completed, _ = complete_skin_case(case)
        assert decode(encode(completed)) == completed


@pytest.mark.parametrize("name", SETS)
def test_only_tissue_makes_cancer_or_benign(name: str, tmp_path: Path) -> None:
    written(name, tree_of(name).layout, tmp_path)
    labels = [label for case in Read(name, tmp_path).cases.values() for label in case.labels]
    assert labels
    for label in labels:
        assert label.status is LesionStatus.UNTESTED or label.class_source == "histopathology"
        assert label.birads is None and label.evidence


def test_five_sets_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    for name in SETS:
        written(name, tree_of(name).layout, tmp_path / name / "files", 3)
    alone = {name: Read(name, tmp_path / name / "files") for name in SETS}
    for located in search([tmp_path], SETS):
        items = list(read_cases(load_dataset(located.dataset), located))
        own = alone.pop(located.dataset)
        assert {item.case_id: item for item in items if isinstance(item, CuratedCase)} == {
            case.case_id: case for case in own.cases.values()
        }
        assert Counter(item.reason for item in items if isinstance(item, LedgerEntry)) == own.reasons
    assert not alone


def test_one_image_has_one_identifier_and_one_lesion_group_in_every_set(tmp_path: Path) -> None:
    written("ham10000", "dataverse", tmp_path / "ham")
    written("isic_2018", "task_3", tmp_path / "task_3")
    first, second = Read("ham10000", tmp_path / "ham").cases, Read("isic_2018", tmp_path / "task_3").cases
    shared = sorted(set(first) & set(second))
    assert len(shared) == len(first)
    for image in shared:
        one, other = first[image].origin, second[image].origin
        assert one is not None and other is not None
        assert one.identifiers == other.identifiers == (f"isic:{image}",)
        assert one.group_ids == other.group_ids and len(one.group_ids) == 1


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "ISIC_0000001_segmentation.png",
        "ISIC_0000001_attribute_streaks.png",
        "ISIC_0000001_superpixels.png",
        "ATTRIBUTION.txt",
        "ISIC_1.jpg",
    ],
)
def test_masks_superpixels_and_texts_are_no_images(name: str) -> None:
    assert image_name(name) is None


@given(st.integers(0, 9_999_999), st.sampled_from(["", ".jpg", ".JPG", ".jpeg", ".png", ".dcm"]), st.booleans())
def test_an_image_has_one_name_whatever_its_ending_and_size(number: int, ending: str, is_scaled: bool) -> None:
    name = f"ISIC_{number:07d}"
    text = f"{name.lower()}{'_downsampled' if is_scaled else ''}{ending}"
    found = image_name(text)
    assert found is not None and archive_name(found) == name
    assert image_name(found) == found


@pytest.mark.parametrize("part", ["Training", "Validation", "Test"])
def test_the_official_part_is_read_from_the_challenge_s_names_only(part: str) -> None:
    root = Path("/data/test_run/training")
    assert split_of(root / f"ISIC2018_Task3_{part}_Input" / "deep" / "ISIC_0000001.jpg") == SPLITS[part.casefold()]
    assert split_of(root / "images" / "ISIC_0000001.jpg") is None


def test_one_name_in_two_folders_is_one_image_and_two_formats_are_one_too() -> None:
    paths = [Path(text) for text in ("b/ISIC_0000001.jpg", "a/ISIC_0000001.jpg", "a/ISIC_0000002.dcm", "z/ISIC_0000002.jpg")]
    pictures = Pictures(paths)
    assert pictures.find("ISIC_0000001") == Path("a/ISIC_0000001.jpg")
    assert pictures.find("ISIC_0000002") == Path("z/ISIC_0000002.jpg")
    assert [entry.reason for entry in pictures.remarks()] == ["repeated_file", "repeated_file"]


def test_a_scaled_down_name_finds_the_archive_s_image_and_the_other_way_round() -> None:
    assert Pictures([Path("ISIC_0012653.jpg")]).find("ISIC_0012653_downsampled") == Path("ISIC_0012653.jpg")
    assert Pictures([Path("ISIC_0012653_downsampled.jpg")]).find("ISIC_0012653") == Path("ISIC_0012653_downsampled.jpg")


def test_the_lesion_s_mask_comes_before_those_of_structures() -> None:
    paths = [Path("ISIC_0000001_attribute_globules.png"), Path("x/ISIC_0000001_segmentation.png"), Path("ISIC_0000001_other.png")]
    assert [mask.finding for mask in masks_by_image(paths)["ISIC_0000001"]] == [None, "globules"]


def test_images_beside_a_table_come_before_those_of_another_set_and_those_help_out(tmp_path: Path) -> None:
    table = tmp_path / "ham" / "tables" / "HAM10000_metadata.csv"
    own, foreign = tmp_path / "ham" / "images" / "ISIC_0000001.jpg", tmp_path / "2019" / "ISIC_0000001.jpg"
    elsewhere = tmp_path / "2019" / "ISIC_0000002.jpg"
    near, far = beside([table], [foreign, own, elsewhere], tmp_path)
    assert near == (own,) and far == (foreign, elsewhere)
    pictures = Pictures(near, far)
    assert pictures.find("ISIC_0000001") == own and pictures.find("ISIC_0000002") == elsewhere
    assert not list(pictures.remarks())


@pytest.mark.parametrize(("name", "table"), [("ham10000", "HAM10000_metadata.csv"), ("isic_archive", "metadata.csv")])
def test_the_order_of_rows_changes_nothing_but_row_numbers(name: str, table: str, tmp_path: Path) -> None:
    written(name, tree_of(name).layout, tmp_path)
    before = Read(name, tmp_path).cases
    edit_table(tmp_path / table, lambda rows: rows[::-1])
    after = Read(name, tmp_path).cases
    assert {image: without_evidence(case) for image, case in after.items()} == {
        image: without_evidence(case) for image, case in before.items()
    }


def without_evidence(case: CuratedCase) -> CuratedCase:
    return replace(case, labels=tuple(replace(label, evidence=()) for label in case.labels))


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ham(tmp_path: Path) -> Read:
    written("ham10000", "dataverse", tmp_path, 2)
    return Read("ham10000", tmp_path)


def mask_of(read: Read, image: str) -> Path:
    mask = read.cases[image].labels[0].mask
    assert mask is not None
    return Path(mask.path)


def test_a_mask_of_another_size_is_fitted_and_flagged(ham: Read) -> None:
    image = next(iter(ham.cases))
    whole, _ = ham.completed(image)
    path = mask_of(ham, image)
    Image.open(path).resize((80, 60), Image.Resampling.NEAREST).save(path)
    case, reasons = ham.completed(image)
    assert reasons == {"mask_size_differs": 1}
    assert case is not None and whole is not None and case.labels[0].pixel_box is not None and whole.labels[0].pixel_box is not None
    box = whole.labels[0].pixel_box
    assert overlap(case.labels[0].pixel_box, (box.x0, box.y0), (box.x1, box.y1)) > 0.9


def test_a_turned_mask_gives_no_box(ham: Read) -> None:
    image = next(iter(ham.cases))
    path = mask_of(ham, image)
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    case, reasons = ham.completed(image)
    assert reasons == {"mask_of_another_shape": 1}
    assert case is not None and case.labels[0].pixel_box is None and case.labels[0].mask is None
    assert case.tier is Tier.CASE_LEVEL and case.labels[0].diagnosis is not None


@pytest.mark.parametrize(
    ("content", "reason"), [(b"<html>502</html>", "unreadable_mask"), (b"", "unreadable_mask"), (None, "unreadable_mask")]
)
def test_a_damaged_mask_leaves_the_class(content: bytes | None, reason: str, ham: Read) -> None:
    image = next(iter(ham.cases))
    path = mask_of(ham, image)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    case, reasons = ham.completed(image)
    assert reasons == {reason: 1}
    assert case is not None and case.labels[0].diagnosis is not None and case.labels[0].pixel_box is None


def test_an_empty_lesion_mask_is_flagged_and_leaves_the_class(ham: Read) -> None:
    image = next(iter(ham.cases))
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(mask_of(ham, image))
    case, reasons = ham.completed(image)
    assert reasons == {"empty_mask": 1}
    assert case is not None and [label.pixel_box for label in case.labels] == [None]


def test_a_mask_kept_as_jpeg_gives_the_same_box_give_or_take_a_pixel(ham: Read) -> None:
    image = next(iter(ham.cases))
    whole, _ = ham.completed(image)
    path = mask_of(ham, image)
    Image.open(path).convert("L").save(path.with_suffix(".jpg"), quality=70)
    path.with_suffix(".jpg").rename(path)
    case, _ = ham.completed(image)
    assert case is not None and whole is not None and case.labels[0].pixel_box is not None and whole.labels[0].pixel_box is not None
    box, exact = case.labels[0].pixel_box, whole.labels[0].pixel_box
    assert np.allclose([box.x0, box.y0, box.x1, box.y1], [exact.x0, exact.y0, exact.x1, exact.y1], atol=1.0)


def test_a_damaged_image_drops_the_case(ham: Read) -> None:
    image = next(iter(ham.cases))
    Path(ham.cases[image].study.series[0].volume_path or "").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    case, reasons = ham.completed(image)
    assert case is None and reasons == {"unreadable_image": 1}


def test_a_thumbnail_under_the_image_s_name_is_flagged(ham: Read) -> None:
    case = next(iter(ham.cases.values()))
    series = replace(case.study.series[0], attributes={"columns": 1022, "rows": 767})
    completed, remarks = complete_skin_case(replace(case, study=replace(case.study, series=(series,))))
    assert [entry.reason for entry in remarks] == ["wrong_size"]
    assert completed is not None and completed.study.series[0].attributes["columns"] == 160


# Vocabulary -----------------------------------------------------------------------------------------------------------


def test_every_class_code_but_unknown_has_a_malignancy() -> None:
    silent = {code for code, diagnosis in dermatology.CLASS_CODES.items() if dermatology.malignancy_of(diagnosis) is None}
    assert silent == {"UNK"}


def test_every_name_of_the_vocabulary_is_its_own_name() -> None:
    for name in (*dermatology.MALIGNANCY, *dermatology.CLASS_CODES.values()):
        assert dermatology.diagnosis_of(name) == name
    for other in ("Melanoma, NOS", "AIMP", "Solar or actinic keratosis", "cafe-au-lait macule", "lichenoid keratosis", "acrochordon"):
        assert dermatology.malignancy_of(dermatology.diagnosis_of(other)) is not None


def test_actinic_keratosis_is_indeterminate_under_every_name() -> None:
    names = ("actinic keratosis", "Solar or actinic keratosis", dermatology.class_diagnosis("AK"), dermatology.class_diagnosis("akiec"))
    assert {dermatology.malignancy_of(dermatology.diagnosis_of(name)) for name in names} == {Malignancy.INDETERMINATE}


@pytest.mark.parametrize(
    ("text", "malignancy"),
    [("Malignant", "malignant"), ("benign", "benign"), ("indeterminate/benign", "indeterminate"), ("1", "malignant"), ("0.0", "benign")],
)
def test_stated_malignancy_in_every_spelling(text: str, malignancy: str) -> None:
    assert dermatology.stated_malignancy(text) == malignancy


@pytest.mark.parametrize("text", ["2", "yes", "-1", "melanoma"])
def test_a_word_that_is_no_malignancy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected malignant"):
        dermatology.stated_malignancy(text)
