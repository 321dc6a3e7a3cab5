"""Parts by hash: nobody moves, nothing crosses, shares are as stated, and the sets' own splits are honoured."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom

from weakbox.curation.curate import curate, earlier_parts
from weakbox.curation.leakage import check_leakage
from weakbox.curation.settings import CurationSettings, SplitSettings
from weakbox.curation.tables import write_shares
from weakbox.records.case import Outcome
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow

DATASETS = ("cbis_ddsm", "isic_2019", "pi_cai")


def image(number: int, patient: str, **values: Any) -> ImageRow:
    """An image of a patient; the data set is the patient's."""
    dataset = patient.partition(":")[0]
    content: dict[str, Any] = {
        "image_id": f"{dataset}/{number:06d}",
        "image_path": f"images/{number}.png",
        "dataset": dataset,
        "organ": "skin",
        "modality": "DMS",
        "patient_id": patient,
        "study_id": str(number),
        "series_key": f"{dataset}/{number}",
        "case_id": f"{dataset}/{number}",
        "tier": "expert",
        "label": "benign",
        "group_ids": (f"patient:{patient}",),
    }
    return ImageRow(**(content | values))


def cohort(patients: int, seed: int = 1, first: int = 0) -> list[ImageRow]:
    """Three sets, one to four images a patient, three classes, two tiers; no links between patients."""
    generator = random.Random(seed)
    rows = []
    for patient in range(first, first + patients):
        name = f"{generator.choice(DATASETS)}:P{patient:05d}"
        label, tier = generator.choice(["benign", "benign", "malignant", None]), generator.choice(["expert", "report_sector"])
        rows += [image(patient * 10 + index, name, label=label, tier=tier) for index in range(generator.randrange(1, 5))]
    return rows


def split_of(rows: list[ImageRow], **split: Any) -> dict[str, str | None]:
    with curate(rows, CurationSettings(split=SplitSettings(**split))) as found:
        parts: dict[str, str | None] = {one.image_id: one.split for one in found.rows}
        return parts | {one.image_id: None for one in found.left_out}


def test_adding_a_tenth_of_patients_moves_no_one() -> None:
    before = split_of(cohort(1000))
    after = split_of(cohort(1000) + cohort(100, seed=2, first=1000))
    assert len(after) > len(before)
    assert {name: after[name] for name in before} == before


def test_adding_images_and_lesions_of_known_patients_moves_no_one_and_follows_the_patient() -> None:
    rows = cohort(300)
    before = split_of(rows)
    more = [
        replace(one, image_id=f"{one.image_id}b", label="malignant", group_ids=(*one.group_ids, f"lesion:{place}"))
        for place, one in enumerate(rows)
    ]
    after = split_of(rows + more)
    assert {name: after[name] for name in before} == before
    assert all(after[f"{name}b"] == part for name, part in before.items())


@settings(max_examples=40, deadline=None)
@given(
    known=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40),
    new=st.lists(st.tuples(st.integers(21, 30), st.integers(0, 3)), max_size=10),
    seed=st.integers(0, 1000),
)
def test_no_addition_of_patients_moves_anyone_whatever_the_seed(
    known: list[tuple[int, int]], new: list[tuple[int, int]], seed: int
) -> None:
    rows = [image(number, f"{DATASETS[patient % 3]}:{patient}") for number, (patient, _) in enumerate(known)]
    more = [image(100 + number, f"{DATASETS[patient % 3]}:{patient}") for number, (patient, _) in enumerate(new)]
    before, after = split_of(rows, seed=seed), split_of(rows + more, seed=seed)
    assert {name: after[name] for name in before} == before


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_nothing_that_hangs_together_crosses_parts_or_folds(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 30))
    rows = [
        image(
            number,
            f"{data.draw(st.sampled_from(DATASETS))}:{data.draw(st.integers(0, 12))}",
            group_ids=tuple(f"lesion:{lesion}" for lesion in data.draw(st.lists(st.integers(0, 12), max_size=2))),
            identifiers=tuple(f"id:{name}" for name in data.draw(st.lists(st.integers(0, 20), max_size=2))),
            pixel_sha256=data.draw(st.sampled_from([None, "p1", "p2", "p3"])),
            perceptual_hash=data.draw(st.one_of(st.none(), st.integers(0, 255).map(lambda bits: f"{bits << 5:016x}"))),
            official_split=data.draw(st.sampled_from([None, None, "train", "validation", "test"])),
        )
        for number in range(count)
    ]
    earlier = data.draw(
        st.dictionaries(st.sampled_from([one.image_id for one in rows]), st.sampled_from(["train", "validation", "test"]), max_size=6)
    )
    chosen = CurationSettings(split=SplitSettings(official=data.draw(st.sampled_from(["complete", "always", "never"]))))
    with curate(rows, chosen, earlier=earlier) as found:
        inherits = {one.duplicate_of for one in found.left_out if one.image_id in earlier}
        assert all(earlier.get(one.image_id, one.split) == one.split for one in found.rows if one.image_id not in inherits)
        report = check_leakage(found.rows, 3)
        assert sum(report.rows.values()) == found.count
        assert found.count + found.left_out_count == count
        reasons = Counter(entry.reason for entry in found.ledger if entry.outcome is Outcome.DROPPED)
        assert sum(reasons.values()) == found.left_out_count


def test_each_stratum_has_its_share_within_the_bounds_of_a_binomial_draw(tmp_path: Path) -> None:
    with curate(cohort(4000), CurationSettings()) as found:
        shares = found.shares
        written = write_shares(shares, tmp_path)
    assert len(shares) == 3 * 3 * 2
    for share in shares:
        total = sum(share.groups)
        assert total > 80
        for count, fraction in zip(share.groups, (0.7, 0.15, 0.15), strict=True):
            low, high = binom.interval(1 - 1e-5, total, fraction)
            assert low <= count <= high, share
    with written.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert sum(int(line[f"images_{part}"]) for line in table for part in ("train", "validation", "test")) == len(cohort(4000))
    assert sum(float(line["expected_groups_test"]) for line in table) == pytest.approx(
        0.15 * sum(sum(share.groups) for share in shares), abs=0.1
    )


def test_another_seed_divides_otherwise_and_shares_may_be_set() -> None:
    rows = cohort(1500)
    one, other = split_of(rows, seed=1), split_of(rows, seed=2)
    assert sum(one[name] == other[name] for name in one) < 0.7 * len(one)
    counts = Counter(split_of(rows, validation=0.0, test=0.5).values())
    assert counts["validation"] == 0
    assert 0.45 < counts["test"] / len(rows) < 0.55


def test_parts_that_leave_nothing_for_training_are_refused() -> None:
    with pytest.raises(ValidationError, match="leave nothing for training"):
        SplitSettings(validation=0.5, test=0.5)


def test_official_test_stays_test_and_official_training_is_divided_into_training_and_validation() -> None:
    rows = [replace(one, official_split="test" if one.patient_id.endswith("7") else "train") for one in cohort(1500)]
    parts = split_of(rows)
    found: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
    for one in rows:
        found[str(one.official_split)][parts[one.image_id]] += 1
    assert set(found["test"]) == {"test"}
    assert set(found["train"]) == {"train", "validation"}
    share = found["train"]["validation"] / found["train"].total()
    assert share == pytest.approx(0.15 / 0.85, abs=0.03)


def test_official_validation_stays_validation() -> None:
    rows = [replace(one, official_split=("validation", "test", "train")[one.patient_id.encode()[-1] % 3]) for one in cohort(60)]
    parts = split_of(rows)
    assert all(parts[one.image_id] == one.official_split for one in rows if one.official_split != "train")


def test_a_split_that_brings_no_test_images_is_not_used_and_said_so_unless_it_shall_be() -> None:
    rows = [replace(one, official_split="train") for one in cohort(300) if one.dataset == "isic_2019"]
    with curate(rows, CurationSettings()) as found:
        assert {one.split for one in found.rows} == {"train", "validation", "test"}
        assert [(entry.kind, entry.item_id, entry.reason) for entry in found.ledger] == [("dataset", "isic_2019", "official_split_unused")]
    assert set(split_of(rows, official="always").values()) == {"train", "validation"}
    with_test = [*rows, image(999_999, "isic_2019:T", official_split="test")]
    assert set(split_of(with_test, official="never").values()) == {"train", "validation", "test"}


def test_a_set_that_is_held_out_is_test_as_a_whole() -> None:
    rows = cohort(200)
    parts = split_of(rows, hold_out=("pi_cai",))
    assert {parts[one.image_id] for one in rows if one.dataset == "pi_cai"} == {"test"}
    assert {parts[one.image_id] for one in rows if one.dataset != "pi_cai"} == {"train", "validation", "test"}


def test_a_patient_in_both_official_parts_keeps_the_test_image_and_loses_the_training_image() -> None:
    rows = [
        image(1, "isic_2018:P", official_split="test"),
        image(2, "isic_2018:P", official_split="train"),
        image(3, "isic_2019:Q", group_ids=("lesion:HAM_1",)),
        image(4, "isic_2018:R", official_split="test", group_ids=("lesion:HAM_1",)),
        *(image(10 + number, f"isic_2018:{number}", official_split="train") for number in range(20)),
    ]
    with curate(rows, CurationSettings()) as found:
        parts = {one.image_id: one.split for one in found.rows}
        assert parts["isic_2018/000001"] == "test"
        assert parts["isic_2019/000003"] == parts["isic_2018/000004"] == "test"
        assert [one.image_id for one in found.left_out] == ["isic_2018/000002"]
        (entry,) = [entry for entry in found.ledger if entry.outcome is Outcome.DROPPED]
        assert (entry.item_id, entry.reason) == ("isic_2018/000002", "official_parts_conflict")


def test_a_copy_of_an_official_test_image_makes_the_kept_image_test() -> None:
    rows = [
        image(1, "pi_cai:1", identifiers=("prostatex:ProstateX-0001",)),
        image(2, "prostatex:1", identifiers=("prostatex:ProstateX-0001",), label=None, official_split="test"),
        image(3, "pi_cai:2", identifiers=("prostatex:ProstateX-0002",), official_split="train"),
        image(4, "prostatex:2", identifiers=("prostatex:ProstateX-0002",), label=None, official_split="test"),
        image(5, "prostatex:3", official_split="train"),
    ]
    for official in ("complete", "always"):
        parts = split_of(rows, official=official)
        assert [parts[name] for name in ("pi_cai/000001", "pi_cai/000003")] == ["test", "test"]
        assert parts["prostatex/000005"] in {"train", "validation"}


def test_patients_of_two_sets_tied_by_one_image_share_a_part_and_the_smaller_name_decides() -> None:
    moved = 0
    for number in range(100):
        one, other = image(1, f"a:{number}"), image(2, f"b:{number}")
        alone = split_of([one, other])
        tie = image(3, f"c:{number}", group_ids=(f"patient:a:{number}", f"patient:b:{number}"))
        tied = split_of([one, other, tie])
        assert set(tied.values()) == {alone["a/000001"]}
        moved += tied["b/000002"] != alone["b/000002"]
    assert 20 < moved < 70


def test_with_the_earlier_set_given_not_even_a_tie_moves_an_image() -> None:
    rows = cohort(400)
    patients = sorted({one.patient_id for one in rows})
    ties = [image(900_000 + number, patients[number], group_ids=(f"patient:{patients[-number - 1]}",)) for number in range(30)]
    with curate(rows, CurationSettings()) as first:
        before = earlier_parts(first.rows)
    moved_without = split_of([*rows, *ties])
    assert any(moved_without[name] != part for name, part in before.items())
    with curate([*rows, *ties], CurationSettings(), earlier=before) as found:
        after = earlier_parts(found.rows)
        check_leakage(found.rows, 3)
        dropped = {entry.item_id for entry in found.ledger if entry.reason == "earlier_part_conflict"}
    assert dropped
    assert {name: after[name] for name in before if name not in dropped} == {
        name: part for name, part in before.items() if name not in dropped
    }
    assert all(before[name] != "test" for name in dropped)
    assert set(after) - set(before) == {one.image_id for one in ties}


def test_with_the_earlier_set_given_another_seed_or_share_moves_no_image_of_it() -> None:
    with curate(cohort(200), CurationSettings()) as first:
        before = earlier_parts(first.rows)
    changed = CurationSettings(split=SplitSettings(seed=5, test=0.5))
    with curate(cohort(200) + cohort(50, first=200), changed, earlier=before) as found:
        after = earlier_parts(found.rows)
    assert {name: after[name] for name in before} == before
    assert "test" in {after[name] for name in set(after) - set(before)}


def test_a_new_image_of_a_patient_in_official_training_follows_the_patient_into_validation() -> None:
    test_image = image(0, "isic_2018:T", official_split="test")
    rows = [image(number, f"isic_2018:{number}", official_split="train") for number in range(1, 60)]
    with curate([test_image, *rows], CurationSettings()) as first:
        before = earlier_parts(first.rows)
    more = [replace(one, image_id=f"{one.image_id}b") for one in rows]
    with curate([test_image, *rows, *more], CurationSettings(), earlier=before) as found:
        after = earlier_parts(found.rows)
    assert {after[one.image_id] for one in more} == {"train", "validation"}
    assert all(after[one.image_id] == before[one.image_id.removesuffix("b")] for one in more)


def test_an_earlier_part_that_no_set_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"isic_2019/000001: split is 'val' in the earlier set"):
        earlier_parts([image(1, "isic_2019:1", split="val")])


def test_folds_cover_training_and_validation_only_and_hold_groups_together() -> None:
    with curate(cohort(1000), CurationSettings(split=SplitSettings(folds=4))) as found:
        rows = list(found.rows)
    assert {one.fold for one in rows if one.split == "test"} == {None}
    counts = Counter(one.fold for one in rows if one.split != "test")
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) > 0.8 * counts.total() / 4
    by_group: defaultdict[str | None, set[int | None]] = defaultdict(set)
    for one in rows:
        by_group[one.group].add(one.fold)
    assert all(len(folds) == 1 for folds in by_group.values())


@pytest.mark.parametrize("folds", [0, 1])
def test_no_folds_where_none_are_asked_for(folds: int) -> None:
    with curate(cohort(20), CurationSettings(split=SplitSettings(folds=folds))) as found:
        assert {one.fold for one in found.rows} == {None}


def test_the_fold_says_nothing_of_the_part() -> None:
    with curate(cohort(2000), CurationSettings(split=SplitSettings(folds=2))) as found:
        rows = [one for one in found.rows if one.split != "test"]
    shares = [sum(one.split == "validation" for one in rows if one.fold == fold) / sum(one.fold == fold for one in rows) for fold in (0, 1)]
    assert abs(shares[0] - shares[1]) < 0.05


def test_a_group_that_holds_much_of_the_set_is_pointed_out_without_naming_a_patient() -> None:
    rows = [*(image(100_000 + number, "isic_2019:unknown") for number in range(300)), *cohort(100)]
    with curate(rows, CurationSettings()) as found:
        (entry,) = [entry for entry in found.ledger if entry.reason == "large_group"]
    assert "300 of" in entry.detail
    assert "unknown" not in entry.item_id + entry.detail


def test_an_unknown_official_part_is_refused_with_the_image() -> None:
    with pytest.raises(InputError, match=r"isic_2019/000001: official_split is 'val', expected one of train, validation, test"):
        split_of([image(1, "isic_2019:1", official_split="val")])
