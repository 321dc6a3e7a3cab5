"""The choice of series: a larger one contains the smaller, whatever the order of the listing; shares and patients as asked."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbox.clients.client import ListRequest, RemoteSeries
from weakbox.clients.selection import Choice, SelectionOptions, request_filter, select, strata_table
from weakbox.records.errors import ConfigurationError, InputError


def listing(count: int, *, rare: int = 0) -> list[RemoteSeries]:
    return [
        RemoteSeries(
            key=f"s{number:03d}",
            patient_id=f"p{number // 3:03d}",
            modality="MG",
            description=f"series {number}",
            attributes={"class": "malignant" if number < rare else "benign", "side": "LR"[number % 2]},
        )
        for number in range(count)
    ]


def chosen(choices: tuple[Choice, ...]) -> set[str]:
    return {choice.series.key for choice in choices if choice.is_chosen}


options = st.builds(
    SelectionOptions,
    strata=st.sampled_from([(), ("class",), ("class", "side")]),
    allocation=st.sampled_from(["equal", "proportional"]),
    whole_patients=st.booleans(),
    seed=st.sampled_from(["", "a"]),
)


@given(options, st.integers(3, 40), st.integers(3, 40), st.integers(0, 2**30))
def test_a_smaller_choice_is_part_of_a_larger_one_in_any_order_of_the_listing(
    given_options: SelectionOptions, first: int, second: int, shuffle: int
) -> None:
    series = listing(40, rare=9)
    mixed = random.Random(shuffle).sample(series, len(series))
    few = chosen(select(series, given_options.model_copy(update={"max_series": min(first, second)})))
    many = chosen(select(mixed, given_options.model_copy(update={"max_series": max(first, second)})))
    assert few <= many
    assert 0 < len(few) <= min(first, second)


@given(options, st.integers(3, 40))
def test_every_series_is_decided_once_with_a_reason(given_options: SelectionOptions, limit: int) -> None:
    choices = select(listing(40, rare=9), given_options.model_copy(update={"max_series": limit}))
    assert [choice.series.key for choice in choices] == [f"s{number:03d}" for number in range(40)]
    assert all(choice.reason for choice in choices)
    assert sum(listed for listed, _chosen in strata_table(choices).values()) == 40
    assert sum(count for _listed, count in strata_table(choices).values()) == len(chosen(choices))


@given(st.integers(3, 40))
def test_whole_patients_are_taken_or_left(limit: int) -> None:
    choices = select(listing(40), SelectionOptions(max_series=limit, whole_patients=True))
    for patient in {choice.series.patient_id for choice in choices}:
        assert len({choice.is_chosen for choice in choices if choice.series.patient_id == patient}) == 1


def test_equal_shares_bring_the_rare_class_and_proportional_ones_keep_the_mix() -> None:
    series = listing(100, rare=10)

    def classes(allocation: str) -> Counter[str]:
        choices = select(series, SelectionOptions(max_series=20, strata=("class",), allocation=allocation))
        return Counter(choice.series.attributes["class"] for choice in choices if choice.is_chosen)

    assert classes("equal") == {"malignant": 10, "benign": 10}
    assert classes("proportional") == {"malignant": 2, "benign": 18}


def test_the_choice_is_not_the_first_of_the_listing_and_a_seed_changes_it() -> None:
    series = listing(200)
    plain = chosen(select(series, SelectionOptions(max_series=20)))
    assert plain != {f"s{number:03d}" for number in range(20)}
    assert plain != chosen(select(series, SelectionOptions(max_series=20, seed="other")))


def test_companions_are_always_chosen_and_never_counted() -> None:
    table = RemoteSeries(key="labels", attributes={}, is_companion=True)
    choices = select([*listing(10), table], SelectionOptions(max_series=3))
    assert len(chosen(choices)) == 4 and "labels" in chosen(choices)


def test_a_stratum_that_nobody_has_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(InputError, match=r"'density'.*class, modality, side"):
        select(listing(5), SelectionOptions(strata=("density",)))


def test_a_patient_beyond_the_limit_is_an_error_and_no_empty_choice() -> None:
    with pytest.raises(InputError, match="whole_patients"):
        select(listing(6), SelectionOptions(max_series=2, whole_patients=True))


def test_two_series_of_one_key_are_an_error() -> None:
    with pytest.raises(InputError, match="twice"):
        select([*listing(2), *listing(1)], SelectionOptions())


def test_the_request_filters_what_the_server_did_not() -> None:
    series = listing(10)
    fits = request_filter(ListRequest(modality="mg", patients=("p001", "p002"), include_description="series", exclude_description="[45]$"))
    assert [item.key for item in series if fits(item)] == ["s003", "s006", "s007", "s008"]
    with pytest.raises(ConfigurationError, match="regular expression"):
        request_filter(ListRequest(include_description="("))
