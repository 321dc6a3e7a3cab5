"""The same image twice: which copy stays, what the others said, and what is only kept together."""

from __future__ import annotations

import csv
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from weakbox.curation.curate import CONFLICT_ATTRIBUTE, CuratedSet, curate
from weakbox.curation.near_duplicates import LIMIT_ATTRIBUTE
from weakbox.curation.settings import CurationSettings, DuplicateSettings, Sameness
from weakbox.curation.tables import write_duplicates
from weakbox.records.case import Outcome
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow


def row(name: str, *, dataset: str = "isic_2019", **values: Any) -> ImageRow:
    """An image of a patient of its own, unlike any other."""
    content: dict[str, Any] = {
        "image_id": f"{dataset}/{name}",
        "image_path": f"images/{dataset}/{name}.png",
        "dataset": dataset,
        "organ": "skin",
        "modality": "DMS",
        "patient_id": f"{dataset}:{name}",
        "study_id": name,
        "series_key": f"{dataset}/{name}",
        "case_id": f"{dataset}/{name}",
        "tier": "expert",
        "label": "benign",
    }
    return ImageRow(**(content | values))


def box(number: int) -> ImageBox:
    return ImageBox(label_id=str(number), start=(0.0, 0.0), stop=(4.0, 3.0), label="malignant", tier="expert")


def curated(*rows: ImageRow, listed: tuple[tuple[str, str], ...] = (), **duplicates: Any) -> CuratedSet:
    settings = CurationSettings(duplicates=DuplicateSettings(**duplicates))
    return curate(rows, settings, listed_duplicates=listed)


def ids(rows: object) -> list[str]:
    return [one.image_id for one in rows]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"source_sha256": "a1"}, {"source_sha256": "a1"}, "same_source_file"),
        ({"pixel_sha256": "b2"}, {"pixel_sha256": "b2"}, "same_pixels"),
        ({"sha256": "c3"}, {"sha256": "c3"}, "same_exported_file"),
        ({"identifiers": ("isic:1", "x:1")}, {"identifiers": ("isic:1",)}, "same_identifier"),
    ],
)
def test_one_of_two_equal_images_stays_and_the_other_names_it(first: dict[str, Any], second: dict[str, Any], reason: str) -> None:
    with curated(row("A", **first), row("B", dataset="ham10000", **second), row("C")) as found:
        assert ids(found.rows) == ["ham10000/B", "isic_2019/C"]
        (dropped,) = found.left_out
        assert (dropped.image_id, dropped.duplicate_of, dropped.split) == ("isic_2019/A", "ham10000/B", None)
        (pair,) = found.duplicates
        assert (pair.kept, pair.duplicate, pair.outcome, pair.reason) == ("ham10000/B", "isic_2019/A", "dropped", reason)
        (entry,) = found.ledger
        assert (entry.item_id, entry.outcome, entry.reason) == ("isic_2019/A", Outcome.DROPPED, "duplicate")
        assert found.count == 2
        assert found.left_out_count == 1


def test_a_list_that_a_set_ships_makes_two_images_one_by_identifier_or_image_id() -> None:
    rows = [row("A", identifiers=("isic:A",)), row("B", identifiers=("isic:B",)), row("C"), row("D")]
    pairs = (("isic:A", "isic:B"), ("isic_2019/C", "isic_2019/D"), ("isic:A", "isic:absent"))
    with curated(*rows, listed=pairs) as found:
        assert ids(found.rows) == ["isic_2019/A", "isic_2019/C"]
        assert {pair.reason for pair in found.duplicates} == {"listed_duplicate"}


def test_the_copy_of_the_preferred_set_stays_then_one_with_a_class_then_the_better_tier_then_more_boxes() -> None:
    same = {"pixel_sha256": "p"}
    plain = row("A", dataset="a", **same, label=None, boxes=(box(1), box(2)))
    labelled = row("B", dataset="b", **same, tier="model")
    expert = row("C", dataset="c", **same)
    boxed = row("D", dataset="d", **same, boxes=(box(1),))
    for kept, rows in (
        ("b/B", (plain, labelled)),
        ("c/C", (plain, labelled, expert)),
        ("d/D", (plain, labelled, expert, boxed)),
    ):
        with curated(*rows) as found:
            assert ids(found.rows) == [kept]
    with curated(plain, labelled, expert, boxed, prefer=("x", "a", "d")) as found:
        assert ids(found.rows) == ["a/A"]


def test_what_a_dropped_copy_says_otherwise_is_on_the_kept_row_and_in_the_ledger() -> None:
    rows = (
        row("A", sha256="s", label="malignant", diagnosis="melanoma"),
        row("B", sha256="s", diagnosis="naevus"),
        row("C", sha256="s", label="malignant", diagnosis="melanoma"),
        row("D", sha256="t", label=None, birads=None),
        row("E", sha256="t", label=None, birads="4"),
    )
    with curated(*rows) as found:
        kept = {one.image_id: one for one in found.rows}
        assert kept["isic_2019/A"].attributes[CONFLICT_ATTRIBUTE] == ("label benign of isic_2019/B", "diagnosis naevus of isic_2019/B")
        assert kept["isic_2019/D"].attributes[CONFLICT_ATTRIBUTE] == ("birads 4 of isic_2019/E",)
        flagged = [entry.item_id for entry in found.ledger if entry.reason == "duplicate_label_conflict"]
        assert flagged == ["isic_2019/A", "isic_2019/D"]


def test_copies_that_agree_leave_no_conflict() -> None:
    with curated(row("A", sha256="s"), row("B", sha256="s")) as found:
        assert CONFLICT_ATTRIBUTE not in next(iter(found.rows)).attributes
        assert [entry.reason for entry in found.ledger] == ["duplicate"]


def test_an_identifier_that_a_row_states_twice_is_still_one_of_its_image() -> None:
    with curated(row("A", identifiers=("i", "i")), row("B", identifiers=("i",))) as found:
        assert ids(found.rows) == ["isic_2019/A"]


def test_a_chain_of_different_kinds_of_sameness_leaves_one_image() -> None:
    rows = (
        row("A", sha256="1"),
        row("B", sha256="1", pixel_sha256="2"),
        row("C", pixel_sha256="2", identifiers=("i",)),
        row("D", identifiers=("i",)),
    )
    with curated(*rows) as found:
        assert ids(found.rows) == ["isic_2019/A"]
        assert {one.duplicate_of for one in found.left_out} == {"isic_2019/A"}
        assert [pair.reason for pair in found.duplicates] == [
            "same_pixels;same_exported_file",
            "same_identifier;same_pixels",
            "same_identifier",
        ]


def test_an_identifier_on_several_images_of_a_case_names_the_study_and_drops_no_view() -> None:
    views = [row(view, dataset="a", case_id="a/1", patient_id="a:1", identifiers=("study:7",)) for view in ("LCC", "LMLO")]
    again = [row(view, dataset="b", case_id="b/9", patient_id="b:9", identifiers=("study:7",)) for view in ("LCC", "LMLO")]
    with curated(*views, *again) as found:
        assert found.count == 4
        assert len({one.group for one in found.rows}) == 1


def test_crops_of_one_image_are_no_copies_of_each_other_but_copies_of_its_double() -> None:
    crops = [row(f"crop{number}", series_key="image", source_sha256="s") for number in range(3)]
    double = row("double", source_sha256="s")
    with curated(*crops, double) as found:
        assert ids(found.rows) == [f"isic_2019/crop{number}" for number in range(3)]
        assert ids(found.left_out) == ["isic_2019/double"]


def test_a_perceptual_match_alone_groups_and_drops_nothing() -> None:
    with curated(
        row("A", perceptual_hash="00000000000000ff"), row("B", perceptual_hash="00000000000000fc"), row("C", perceptual_hash="ff" * 8)
    ) as found:
        one, other, third = found.rows
        assert one.group == other.group != third.group
        assert one.split == other.split
        (pair,) = found.duplicates
        assert (pair.kept, pair.duplicate, pair.outcome, pair.reason, pair.distance) == (
            "isic_2019/A",
            "isic_2019/B",
            "grouped",
            "near_duplicate",
            2,
        )
        assert found.ledger == ()


def test_a_perceptual_match_drops_where_the_configuration_says_so() -> None:
    rows = (row("A", perceptual_hash="0" * 16), row("B", perceptual_hash="0" * 15 + "1"))
    with curated(*rows, drop=(Sameness.NEAR,)) as found:
        assert ids(found.rows) == ["isic_2019/A"]
        assert [(pair.kept, pair.duplicate, pair.outcome) for pair in found.duplicates] == [("isic_2019/A", "isic_2019/B", "dropped")]


def test_a_second_hash_that_disagrees_keeps_images_apart() -> None:
    alike, unlike = "0" * 16 + "f" * 16, "0" * 16 + "0" * 16
    with curated(row("A", perceptual_hash=alike), row("B", perceptual_hash=unlike), row("C", perceptual_hash=alike)) as found:
        groups = [one.group for one in found.rows]
        assert groups[0] == groups[2] != groups[1]


def test_images_of_different_organs_are_never_near_duplicates() -> None:
    with curated(row("A", perceptual_hash="0" * 16), row("B", organ="breast", perceptual_hash="0" * 16)) as found:
        assert len({one.group for one in found.rows}) == 2


def test_a_look_that_chains_too_many_images_counts_only_as_close_as_it_does_not() -> None:
    chain = [row(f"chain{number:02d}", perceptual_hash=f"{(1 << 2 * number) - 1:016x}") for number in range(12)]
    exact = [row(f"exact{number}", perceptual_hash=f"{(1 << 10) - 1:016x}") for number in range(2)]
    with curated(*chain, *exact, largest_near_cluster=5) as found:
        rows = {one.image_id: one for one in found.rows}
        assert rows["isic_2019/chain00"].attributes[LIMIT_ATTRIBUTE] == 1
        assert rows["isic_2019/exact0"].group == rows["isic_2019/exact1"].group == rows["isic_2019/chain05"].group
        assert len({one.group for one in rows.values()}) == 12
        assert sum(entry.reason == "common_look" for entry in found.ledger) == 14


def test_many_images_of_one_hash_are_said_to_have_no_near_duplicates() -> None:
    with curated(*(row(f"{number:03d}", perceptual_hash="123456789abcdef0") for number in range(60))) as found:
        assert found.duplicates == ()
        assert {one.attributes[LIMIT_ATTRIBUTE] for one in found.rows} == {-1}


def test_sameness_that_does_not_drop_still_keeps_images_in_one_part() -> None:
    with curated(row("A", source_sha256="s"), row("B", source_sha256="s"), drop=()) as found:
        one, other = found.rows
        assert one.group == other.group
        assert found.left_out_count == 0


def test_the_order_of_rows_changes_nothing() -> None:
    generator = random.Random(3)
    rows = [
        row(
            f"{number:03d}",
            dataset=generator.choice("ab"),
            label=generator.choice(["benign", "malignant", None]),
            pixel_sha256=f"p{generator.randrange(60)}",
            perceptual_hash=f"{generator.randrange(1 << 9) << 9:016x}",
            group_ids=(f"lesion:{generator.randrange(150)}",),
        )
        for number in range(120)
    ]
    rows = list({one.image_id: one for one in rows}.values())
    outcomes = []
    for _ in range(3):
        generator.shuffle(rows)
        with curated(*rows) as found:
            outcomes.append((list(found.rows), list(found.left_out), found.ledger, found.duplicates, found.shares))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(outcomes[0][1]) > 20


def test_every_row_is_accounted_for() -> None:
    rows = [row(f"{number:02d}", source_sha256=f"s{number % 7}") for number in range(30)]
    with curated(*rows) as found:
        assert sorted(ids(found.rows) + ids(found.left_out)) == [one.image_id for one in rows]
        assert found.left_out_count == sum(entry.outcome is Outcome.DROPPED for entry in found.ledger) == 23


def test_one_image_id_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"isic_2019/A; is one data set found in two folders"):
        curated(row("A"), row("B"), row("A"))


@pytest.mark.parametrize("digits", ["12", "xyzxyzxyzxyzxyzx", "0" * 17])
def test_a_perceptual_hash_that_is_none_is_refused_with_the_image(digits: str) -> None:
    with pytest.raises(InputError, match=r"isic_2019/A: perceptual_hash"):
        curated(row("A", perceptual_hash=digits))


def test_an_empty_set_is_curated_to_an_empty_set() -> None:
    with curated() as found:
        assert (list(found.rows), list(found.left_out), found.ledger, found.duplicates, found.shares) == ([], [], (), (), ())


def test_rows_can_be_gone_through_again_and_the_folder_goes_with_the_set(tmp_path: Path) -> None:
    with curate([row("A"), row("B", perceptual_hash="0" * 16)], CurationSettings(), workspace=tmp_path) as found:
        assert list(found.rows) == list(found.rows)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_the_table_of_duplicates_names_both_images_the_outcome_and_the_distance(tmp_path: Path) -> None:
    rows = (row("A", sha256="s", perceptual_hash="0" * 16), row("B", sha256="s"), row("C", perceptual_hash="0" * 15 + "3"))
    with curated(*rows) as found, write_duplicates(found.duplicates, tmp_path).open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"kept": "isic_2019/A", "duplicate": "isic_2019/B", "outcome": "dropped", "reason": "same_exported_file", "distance": ""},
            {"kept": "isic_2019/A", "duplicate": "isic_2019/C", "outcome": "grouped", "reason": "near_duplicate", "distance": "2"},
        ]


def test_hashes_of_no_image_make_no_duplicates() -> None:
    blank = replace(row("A"), sha256="", source_sha256=None)
    with curated(blank, replace(blank, image_id="isic_2019/B")) as found:
        assert found.left_out_count == 0


def test_a_detail_hash_that_disagrees_keeps_images_of_one_outline_apart() -> None:
    coarse = "0" * 32
    first, copy = coarse + "f" * 64, coarse + "e" + "f" * 63
    other = coarse + "0" * 10 + "f" * 54
    with curated(row("A", perceptual_hash=first), row("B", perceptual_hash=copy), row("C", perceptual_hash=other)) as found:
        assert {(pair.kept, pair.duplicate) for pair in found.duplicates} == {("isic_2019/A", "isic_2019/B")}


def test_of_two_copies_that_state_a_class_the_official_test_image_stays() -> None:
    training = row("A", dataset="ham10000", official_split="train", label="benign", pixel_sha256="1" * 64)
    test = row("B", dataset="isic_2018", official_split="test", label="benign", pixel_sha256="1" * 64)
    with curated(training, test) as found:
        assert ids(found.rows) == ["isic_2018/B"]
        assert [kept.split for kept in found.rows] == ["test"]
