"""Rows, folds, prepared images, orders, batches and augmentation: what a model is shown, and that boxes stay on their lesions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from cv_model_experiments.data.augmentation import PRESETS, AugmentationSettings, Augmenter, inside, move_boxes  # noqa: E402
from cv_model_experiments.data.order import EpochOrder, balanced_shares, batches, class_weights  # noqa: E402
from cv_model_experiments.data.placement import boxes_on_axes  # noqa: E402
from cv_model_experiments.data.preparation import ImageFiles, PicturePreparation, VolumePreparation, channel_paths, normalised  # noqa: E402
from cv_model_experiments.data.rows import check_nothing_leaks, chosen_folds, divide, read_rows  # noqa: E402
from cv_model_experiments.data.store import PreparedStore, prepare_all  # noqa: E402
from cv_model_experiments.settings import CacheSettings, SetSettings  # noqa: E402
from tests.training_sets import write_picture_set, write_volume_set  # noqa: E402
from weakbox.records.errors import InputError  # noqa: E402
from weakbox.records.image_set import ImageRow  # noqa: E402

# ---- rows and folds


def test_a_fold_validates_on_its_rows_and_trains_on_all_others_but_test(tmp_path: Path) -> None:
    rows = write_picture_set(tmp_path, views=2)
    settings = SetSettings(folder=tmp_path)
    for fold in (0, 1, 2):
        divided = divide(read_rows(settings), settings, fold)
        assert {row.fold for row in divided.validation} == {fold}
        assert {row.fold for row in divided.train} == {0, 1, 2} - {fold}
        assert {row.split for row in divided.test} == {"test"}
        patients = [{row.patient_id for row in divided.of(part)} for part in ("train", "validation", "test")]
        assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
        assert sum(len(divided.of(part)) for part in ("train", "validation", "test")) == len(rows)


def test_without_a_fold_the_parts_of_the_set_count(tmp_path: Path) -> None:
    write_picture_set(tmp_path)
    settings = SetSettings(folder=tmp_path)
    divided = divide(read_rows(settings), settings, None)
    assert [{row.split for row in divided.of(part)} for part in ("train", "validation", "test")] == [{"train"}, {"validation"}, {"test"}]


def test_a_patient_in_two_parts_is_refused_and_not_named(tmp_path: Path) -> None:
    def moved(row: ImageRow) -> ImageRow:
        return replace(row, split="validation") if row.patient_id == "patient000" and row.view == "MLO" else row

    write_picture_set(tmp_path, views=2, change=moved)
    settings = SetSettings(folder=tmp_path)
    with pytest.raises(InputError, match="in train and in validation") as refusal:
        divide(read_rows(settings), settings, None)
    assert "patient000" not in str(refusal.value)


def test_a_duplicate_group_in_two_parts_is_refused(tmp_path: Path) -> None:
    rows = write_picture_set(tmp_path)
    with pytest.raises(InputError, match="export again"):
        check_nothing_leaks({"train": [rows[0]], "validation": [replace(rows[2], group=rows[0].group)], "test": []})


def test_an_empty_validation_part_is_refused_with_a_remedy(tmp_path: Path) -> None:
    write_picture_set(tmp_path, change=lambda row: replace(row, split="train" if row.split == "validation" else row.split))
    settings = SetSettings(folder=tmp_path)
    with pytest.raises(InputError, match=r"validation part of this set is empty.*curation.split.validation"):
        divide(read_rows(settings), settings, None)


def test_tiers_narrow_training_and_evaluation_apart(tmp_path: Path) -> None:
    write_picture_set(tmp_path, change=lambda row: replace(row, tier="expert" if int(row.patient_id[-3:]) // 2 % 2 else "case_level"))
    settings = SetSettings(folder=tmp_path, tiers=("case_level",), evaluation_tiers=("expert",))
    divided = divide(read_rows(settings), settings, None)
    assert {row.tier for row in divided.train} == {"case_level"}
    assert {row.tier for row in divided.validation} | {row.tier for row in divided.test} == {"expert"}


def test_unknown_folds_and_names_are_refused_with_what_there_is(tmp_path: Path) -> None:
    write_picture_set(tmp_path)
    rows = read_rows(SetSettings(folder=tmp_path))
    assert chosen_folds(rows, "all") == (0, 1, 2)
    with pytest.raises(InputError, match="the folds 0, 1, 2, not 7"):
        chosen_folds(rows, (7,))
    with pytest.raises(InputError, match="did you mean 'made'"):
        read_rows(SetSettings(folder=tmp_path, datasets=("mad",)))
    with pytest.raises(InputError, match=r"no images\.parquet"):
        read_rows(SetSettings(folder=tmp_path / "images"))


# ---- prepared images


def bright_box(pixels: np.ndarray, threshold: float) -> np.ndarray:
    """Start and stop of what is brighter, on tensor axes."""
    places = np.argwhere(pixels > threshold)
    return np.stack([places.min(axis=0), places.max(axis=0) + 1])


@pytest.mark.parametrize("size", [(40, 32), (80, 64), (64, 64), (20, 48)])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_boxes_move_with_a_prepared_picture(tmp_path: Path, size: tuple[int, int], is_mirrored: bool) -> None:
    from PIL import Image

    pixels = np.zeros((40, 32), np.uint8)
    pixels[8:20, 4:12] = 255
    Image.fromarray(pixels).save(tmp_path / "one.png")
    prepared = PicturePreparation(size=size)(ImageFiles(paths=(tmp_path / "one.png",), is_mirrored=is_mirrored))
    box = np.array([[[8.0, 4.0], [20.0, 12.0]]])
    moved = prepared.placement.boxes(box)
    assert prepared.pixels.shape == (1, *size)
    assert np.abs(bright_box(prepared.pixels[0], 127) - moved[0]).max() <= 1.0
    assert np.allclose(prepared.placement.back(moved), box)


def test_a_crop_over_the_edge_is_filled_and_its_boxes_fit(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.zeros((40, 32), np.uint8)
    pixels[0:6, 26:32] = 200
    Image.fromarray(pixels).save(tmp_path / "one.png")
    files = ImageFiles(paths=(tmp_path / "one.png",), region=((-6.0, 20.0), (12.0, 38.0)))
    prepared = PicturePreparation(size=(36, 36))(files)
    assert np.abs(bright_box(prepared.pixels[0], 100) - prepared.placement.boxes(np.array([[[0.0, 26.0], [6.0, 32.0]]]))[0]).max() <= 1.0


def test_boxes_move_with_a_resampled_and_cut_volume(tmp_path: Path) -> None:
    rows = write_volume_set(tmp_path, patients=2)
    paths = channel_paths(tmp_path / rows[1].image_path, ("t2w", "adc", "high_b"))
    preparation = VolumePreparation(channels=("t2w", "adc", "high_b"), spacing_mm=(1.5, 0.25, 0.5), size=(14, 60, 16))
    prepared = preparation(ImageFiles(paths=paths))
    assert prepared.pixels.shape == (3, 14, 60, 16)
    assert prepared.pixels.dtype == np.float16
    moved = prepared.placement.boxes(boxes_on_axes(rows[1].boxes))[0]
    assert np.abs(bright_box(prepared.pixels[0].astype(float), 2.2) - moved).max() <= 1.5


def test_adc_stays_a_quantity_and_t2_becomes_a_z_score() -> None:
    random = np.random.default_rng(0)
    values = random.normal(1500, 100, (6, 20, 20))
    assert np.allclose(normalised(values, "adc", "x"), values / 1000, atol=1e-4)
    assert np.allclose(normalised(values, "t2w", "x"), normalised(values * 7, "t2w", "x"), atol=1e-4)
    assert abs(float(normalised(values, "t2w", "x").mean())) < 1e-3


def test_a_corrupt_image_is_left_out_with_its_reason_and_the_others_are_prepared(tmp_path: Path) -> None:
    rows = write_picture_set(tmp_path, patients=4)
    broken = tmp_path / rows[1].image_path
    broken.write_bytes(broken.read_bytes()[:60])
    images = [(row.image_id, ImageFiles(paths=(tmp_path / row.image_path,))) for row in rows]
    prepared, left_out = prepare_all(images, PicturePreparation(size=(16, 16)), tmp_path / "cache", 1)
    assert set(prepared) == {row.image_id for row in rows} - {rows[1].image_id}
    assert [one.image_id for one in left_out] == [rows[1].image_id]


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "no numbers"), (np.inf, "no numbers")])
def test_volumes_with_voxels_that_are_no_numbers_are_left_out(tmp_path: Path, value: float, reason: str) -> None:
    from weakbox.imaging.volumes import Volume, read_volume_file, write_nifti

    rows = write_volume_set(tmp_path, patients=2)
    path = tmp_path / rows[0].image_path
    volume = read_volume_file(path, None)
    array = volume.array.astype(np.float32)
    array[1, 2, 3] = value
    write_nifti(Volume(array, volume.grid), path)
    images = [(row.image_id, ImageFiles(paths=channel_paths(tmp_path / row.image_path, ("t2w",)))) for row in rows]
    prepared, left_out = prepare_all(images, VolumePreparation(channels=("t2w",)), tmp_path / "cache", 1)
    assert list(prepared) == [rows[1].image_id]
    assert reason in left_out[0].reason


def test_nothing_is_prepared_twice_and_a_changed_file_or_choice_is_prepared_anew(tmp_path: Path) -> None:
    rows = write_picture_set(tmp_path, patients=1)
    files = ImageFiles(paths=(tmp_path / rows[0].image_path,))
    first, _ = prepare_all([("a", files)], PicturePreparation(size=(16, 16)), tmp_path / "cache", 1)
    made = first["a"].stat().st_mtime_ns
    again, _ = prepare_all([("a", files)], PicturePreparation(size=(16, 16)), tmp_path / "cache", 1)
    assert again == first
    assert again["a"].stat().st_mtime_ns == made
    other, _ = prepare_all([("a", files)], PicturePreparation(size=(16, 17)), tmp_path / "cache", 1)
    assert other != first
    write_picture_set(tmp_path, patients=1)
    changed, _ = prepare_all([("a", files)], PicturePreparation(size=(16, 16)), tmp_path / "cache", 1)
    assert changed != first


def test_a_store_gives_the_same_from_memory_and_from_disk(tmp_path: Path) -> None:
    rows = write_picture_set(tmp_path, patients=6)
    images = [(row.image_id, ImageFiles(paths=(tmp_path / row.image_path,))) for row in rows]
    prepared, _ = prepare_all(images, PicturePreparation(size=(16, 24)), tmp_path / "cache", 1)
    paths = list(prepared.values())
    memory, disk = PreparedStore(paths, CacheSettings(memory_gib=1)), PreparedStore(paths, CacheSettings(memory_gib=0))
    assert memory.is_in_memory
    assert not disk.is_in_memory
    places = [3, 0, 3, 5]
    assert torch.equal(memory.stack(places), disk.stack(places))
    assert np.array_equal(memory[4], disk[4])
    assert memory.placement(2).shape == (16, 24)


# ---- orders and batches


@given(count=st.integers(1, 40), epoch=st.integers(0, 5), seed=st.integers(0, 99))
def test_an_epoch_shows_every_sample_as_often_as_it_should(count: int, epoch: int, seed: int) -> None:
    copies = tuple(number % 3 for number in range(count))
    places = EpochOrder(seed=seed, copies=copies).places(epoch)
    assert np.bincount(places, minlength=count).tolist() == list(copies)
    assert np.array_equal(places, EpochOrder(seed=seed, copies=copies).places(epoch))


def test_epochs_have_different_orders() -> None:
    order = EpochOrder(seed=1, copies=(1,) * 50)
    assert not np.array_equal(order.places(0), order.places(1))


@settings(max_examples=30)
@given(rare=st.integers(1, 5), frequent=st.integers(6, 60), epoch=st.integers(0, 3))
def test_the_sampler_shows_all_classes_alike_and_misses_few(rare: int, frequent: int, epoch: int) -> None:
    classes = [1] * rare + [0] * frequent
    places = EpochOrder(seed=3, copies=(1,) * len(classes), shares=balanced_shares(classes)).places(epoch)
    shown = np.bincount(np.array(classes)[places], minlength=2)
    assert len(places) == len(classes)
    assert abs(int(shown[0]) - int(shown[1])) <= rare + 2
    of_rare = np.bincount(places, minlength=len(classes))[:rare]
    assert of_rare.max() - of_rare.min() <= 1


def test_class_weights_make_classes_weigh_alike() -> None:
    classes = [0] * 8 + [1] * 2
    weights = class_weights(classes, 2)
    assert weights[0] * 8 == pytest.approx(weights[1] * 2)
    assert sum(weights[one] for one in classes) == pytest.approx(len(classes))


@given(count=st.integers(1, 60), size=st.integers(1, 9), ranks=st.integers(1, 4))
def test_ranks_share_an_evaluation_without_gap_or_repeat(count: int, size: int, ranks: int) -> None:
    places = np.arange(count)
    parts = [batches(places, size, rank, ranks, is_training=False) for rank in range(ranks)]
    assert sorted(int(one) for part in parts for batch in part for one in batch) == list(range(count))


@given(count=st.integers(1, 60), size=st.integers(1, 9), ranks=st.integers(1, 4))
def test_ranks_step_alike_in_training_and_share_no_sample(count: int, size: int, ranks: int) -> None:
    parts = [batches(np.arange(count), size, rank, ranks, is_training=True) for rank in range(ranks)]
    assert len({tuple(len(batch) for batch in part) for part in parts}) == 1
    shown = [int(one) for part in parts for batch in part for one in batch]
    assert len(shown) >= min(count, 1)
    if count >= ranks:
        assert len(shown) == len(set(shown))
        assert all(len(batch) for part in parts for batch in part)


# ---- augmentation

MOVING = AugmentationSettings(turn_degrees=25, zoom=0.2, shift=0.1, flips=(-2, -1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), three=st.booleans())
def test_boxes_move_with_augmented_pixels(seed: int, three: bool) -> None:
    size = (12, 64, 48) if three else (64, 48)
    start, stop = ((4, 24, 18), (7, 40, 28)) if three else ((24, 18), (40, 28))
    middles = [torch.arange(length) + 0.5 for length in size]
    grids = torch.meshgrid(*middles, indexing="ij")
    ellipsoid = sum(((grid - (a + b) / 2) / ((b - a) / 2)) ** 2 for grid, a, b in zip(grids, start, stop, strict=True)) <= 1.0
    pixels = ellipsoid.float()[None, None]
    augmenter = Augmenter(MOVING)
    shown, boxes = augmenter.with_boxes(pixels, [torch.tensor([[start, stop]], dtype=torch.float32)], seed)
    if not boxes[0].shape[0] or float(shown.sum()) < 50:
        return
    found = bright_box(shown[0, 0].numpy(), 0.5)
    assert np.abs(found - boxes[0][0].numpy()).max() <= 2.0


def test_augmentation_follows_from_its_seed_alone() -> None:
    pixels = torch.rand(4, 3, 24, 20)
    augmenter = Augmenter(PRESETS["dermatoscopy"])
    torch.manual_seed(1)
    first = augmenter(pixels, 5)
    torch.manual_seed(2)
    assert torch.equal(first, augmenter(pixels, 5))
    assert not torch.equal(first, augmenter(pixels, 6))


def test_augmentation_leaves_the_batch_and_torchs_generator_alone() -> None:
    for preset, shape in (("mammography", (3, 1, 20, 16)), ("dermatoscopy", (3, 3, 20, 16)), ("mr", (3, 3, 6, 20, 16))):
        pixels = torch.rand(shape)
        before, state = pixels.clone(), torch.get_rng_state()
        shown = Augmenter(PRESETS[preset])(pixels, 7)
        assert torch.equal(pixels, before)
        assert torch.equal(torch.get_rng_state(), state)
        assert shown.shape == pixels.shape
        assert bool(torch.isfinite(shown).all())
        assert not torch.equal(shown, pixels)


def test_no_augmentation_changes_nothing() -> None:
    pixels = torch.rand(2, 1, 9, 7)
    assert Augmenter(PRESETS["none"])(pixels, 3) is pixels


def test_a_box_that_leaves_the_image_is_dropped_and_one_at_the_edge_is_cut() -> None:
    kept = inside(torch.tensor([[[-20.0, 2.0], [-10.0, 6.0]], [[-2.0, 2.0], [8.0, 6.0]]]), (16, 16))
    assert kept.tolist() == [[[0.0, 2.0], [8.0, 6.0]]]
    assert move_boxes(torch.zeros(0, 2, 2), torch.eye(2, 3), (16, 16)).shape == (0, 2, 2)
