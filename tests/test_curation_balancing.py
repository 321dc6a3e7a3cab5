"""Balance touches the training part only, and makes classes as even as was asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.test_curation_splitting import cohort
from weakbox.curation.curate import curate
from weakbox.curation.settings import BalanceSettings, CurationSettings
from weakbox.records.image_set import ImageRow


def balanced(**balance: Any) -> list[ImageRow]:
    with curate(cohort(800), CurationSettings(balance=BalanceSettings(**balance))) as found:
        return list(found.rows)


def shown(rows: list[ImageRow]) -> Counter[str | None]:
    """Images of each class that an epoch of training shows."""
    counts: Counter[str | None] = Counter()
    for one in rows:
        if one.split == "train":
            counts[one.label] += one.copies
    return counts


@pytest.mark.parametrize("mode", ["weights", "oversample", "undersample"])
def test_validation_and_test_and_images_without_a_class_are_left_as_they_are(mode: str) -> None:
    rows = balanced(mode=mode)
    untouched = [one for one in rows if one.split != "train" or one.label is None]
    assert {(one.copies, one.weight) for one in untouched} == {(1, 1.0)}
    assert {(one.copies, one.weight) for one in rows} != {(1, 1.0)}


def test_balance_changes_no_part() -> None:
    assert (
        len({tuple((one.image_id, one.split, one.fold) for one in balanced(mode=mode)) for mode in ("none", "oversample", "undersample")})
        == 1
    )


def test_no_balance_is_the_default() -> None:
    assert {(one.copies, one.weight) for one in balanced()} == {(1, 1.0)}


def test_weights_make_classes_weigh_the_same_within_each_data_set_with_mean_one() -> None:
    weights: defaultdict[tuple[str, str], float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for one in balanced(mode="weights", within="dataset"):
        if one.split == "train" and one.label is not None:
            weights[one.dataset, one.label] += one.weight
            counts[one.dataset] += 1
    for dataset, count in counts.items():
        assert weights[dataset, "benign"] == pytest.approx(weights[dataset, "malignant"])
        assert weights[dataset, "benign"] + weights[dataset, "malignant"] == pytest.approx(count)


def test_oversampling_shows_the_rare_class_as_often_as_the_frequent_one() -> None:
    counts = shown(balanced(mode="oversample", within="set"))
    plain = shown(balanced())
    assert counts["benign"] == counts["malignant"] == plain["benign"] > plain["malignant"]


def test_oversampling_stops_at_the_ratio_and_at_the_most_copies() -> None:
    plain = shown(balanced())
    counts = shown(balanced(mode="oversample", within="set", ratio=0.8))
    assert counts["malignant"] == -(-plain["benign"] * 8 // 10)
    capped = balanced(mode="oversample", within="set", most_copies=1)
    assert {one.copies for one in capped} == {1}


def test_undersampling_thins_the_frequent_class_out() -> None:
    rows = balanced(mode="undersample", within="set")
    counts = shown(rows)
    assert counts["benign"] == counts["malignant"] == shown(balanced())["malignant"]
    assert {one.copies for one in rows} == {0, 1}
    half = shown(balanced(mode="undersample", within="set", ratio=0.75))
    assert half["benign"] == int(half["malignant"] / 0.75)


def test_a_class_that_is_alone_is_left_alone() -> None:
    rows = [one for one in cohort(100) if one.label == "benign"]
    for mode in ("weights", "oversample", "undersample"):
        with curate(rows, CurationSettings(balance=BalanceSettings.model_validate({"mode": mode}))) as found:
            assert {(one.copies, one.weight) for one in found.rows} == {(1, 1.0)}
