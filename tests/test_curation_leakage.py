"""The check at the end of a build finds every kind of leak, says what and how often, and names no patient."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.test_curation_splitting import cohort, image
from weakbox.curation.curate import curate
from weakbox.curation.leakage import LeakageError, check_leakage, leakage_report
from weakbox.curation.near_duplicates import LIMIT_ATTRIBUTE
from weakbox.curation.settings import CurationSettings
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow


def pair(first: dict[str, Any], second: dict[str, Any]) -> list[ImageRow]:
    """Two images of two patients, one in training and one in test."""
    one, other = image(1, "isic_2019:secret1", group="g1"), image(2, "isic_2019:secret2", group="g2")
    return [replace(one, **({"split": "train", "fold": 0} | first)), replace(other, **({"split": "test"} | second))]


def both(**values: Any) -> list[ImageRow]:
    return pair(values, values)


def test_a_clean_set_passes_and_its_parts_are_counted() -> None:
    with curate(cohort(300), CurationSettings()) as found:
        report = check_leakage(found.rows, 3)
        assert report.rows == {part: sum(one.split == part for one in found.rows) for part in ("train", "validation", "test")}
    assert not report.leaks


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("patient", both(patient_id="isic_2019:secret")),
        ("patient", both(group_ids=("patient:isic_2019:secret",))),
        ("lesion", both(group_ids=("lesion:HAM_0001",))),
        ("group", both(group="g1")),
        ("pixels", both(pixel_sha256="a")),
        ("source file", both(source_sha256="a")),
        ("exported file", both(sha256="a")),
        ("identifier", both(identifiers=("isic:ISIC_1",))),
        ("near_duplicate", pair({"perceptual_hash": "0" * 16}, {"perceptual_hash": "0" * 15 + "7"})),
        ("lesion across folds", pair({"group_ids": ("lesion:1",)}, {"group_ids": ("lesion:1",), "split": "train", "fold": 1})),
        ("balanced outside training", pair({}, {"copies": 2})),
        ("balanced outside training", pair({}, {"weight": 0.5})),
    ],
)
def test_each_kind_of_leak_is_found_counted_and_named(kind: str, rows: list[ImageRow]) -> None:
    report = leakage_report([*rows, image(9, "isic_2019:other", split="validation", fold=1)], 3)
    assert report.crossing[kind] == 1
    with pytest.raises(LeakageError, match=re.escape(f"{kind}: 1")) as caught:
        check_leakage(rows, 3)
    assert "secret" not in str(caught.value)
    assert "HAM" not in str(caught.value)


def test_several_leaks_are_counted_and_some_groups_named() -> None:
    rows = []
    for number in range(6):
        one, other = both(pixel_sha256=f"p{number}")
        rows += [
            replace(item, image_id=f"{number}{item.split}", patient_id=f"{number}{item.split}", group_ids=(), group=f"{number}{item.split}")
            for item in (one, other)
        ]
    with pytest.raises(LeakageError, match=r"pixels: 6\); groups: 0test, 0train, 1test \.\.\."):
        check_leakage(rows, 3)


def test_rows_without_a_part_leak_nothing() -> None:
    rows = [
        *both(pixel_sha256="a", patient_id="p", group_ids=(), split=None, fold=None),
        image(3, "isic_2019:c", split="train", pixel_sha256="a"),
    ]
    assert not leakage_report(rows, 3).leaks


def test_near_duplicates_count_as_far_as_was_asked_and_not_where_a_look_is_common() -> None:
    rows = pair({"perceptual_hash": "0" * 16}, {"perceptual_hash": "0" * 15 + "3"})
    assert leakage_report(rows, 2).crossing["near_duplicate"] == 1
    assert leakage_report(rows, 1).crossing["near_duplicate"] == 0
    assert leakage_report(rows, -1).crossing["near_duplicate"] == 0
    for place in (0, 1):
        common = rows.copy()
        common[place] = replace(rows[place], attributes={LIMIT_ATTRIBUTE: 1})
        assert leakage_report(common, 3).crossing["near_duplicate"] == 0


def test_a_common_look_that_was_cut_at_curation_passes_the_check() -> None:
    chain = [image(number, f"isic_2019:{number}", perceptual_hash=f"{(1 << number % 60) - 1:016x}") for number in range(150)]
    with curate(chain, CurationSettings()) as found:
        assert any(LIMIT_ATTRIBUTE in one.attributes for one in found.rows)
        assert len({one.split for one in found.rows}) == 3
        assert not check_leakage(found.rows, 3).leaks


def test_a_part_that_does_not_exist_is_refused_with_the_image() -> None:
    with pytest.raises(InputError, match=r"isic_2019/000001: split is 'val', expected one of train, validation, test or none"):
        check_leakage([image(1, "isic_2019:a", split="val")], 3)


def test_an_empty_set_leaks_nothing() -> None:
    assert not check_leakage([], 3).leaks
