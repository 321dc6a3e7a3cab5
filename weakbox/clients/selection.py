"""Which series of a listing are taken: stratified, by a hash instead of the server's order, so that asking for more later only adds."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from weakbox.clients.client import ListRequest, RemoteSeries
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.record import record

UNSTATED = "(not stated)"
"""Shown in the plan where a series has no value for a stratum."""


class SelectionOptions(BaseModel):
    """How many series, and of what. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_series: int | None = Field(default=None, ge=1, description="Companions (label tables, licences) are not counted; empty: all.")
    strata: tuple[str, ...] = Field(default=(), description="Attributes to spread over: `class`, `laterality`, `modality` ...")
    allocation: str = Field(default="equal", pattern="^(equal|proportional)$", description="Equal shares, or shares as in the listing.")
    whole_patients: bool = Field(default=False, description="Take all series of a patient or none.")
    seed: str = Field(default="", description="Another seed is another sample.")


@record
class Choice:
    """What became of a series, and why. ``place`` counts from 1 in the order of taking; companions have 0."""

    series: RemoteSeries
    stratum: tuple[str, ...]
    is_chosen: bool
    place: int
    reason: str


@record
class _Unit:
    """What is taken as one: a series, or all of a patient."""

    name: str
    stratum: tuple[str, ...]
    series: tuple[RemoteSeries, ...]


def select(listed: Iterable[RemoteSeries], options: SelectionOptions) -> tuple[Choice, ...]:
    """Decide over every series; sorted by key.

    All units stand in one order that depends only on the listing, the strata and the seed; the first that fit are taken. So a smaller
    choice is always part of a larger one.

    Raises:
        InputError: no series has one of the strata, two series of one key, or the limit is below the first patient's series.
    """
    series = tuple(sorted(listed, key=lambda item: item.key))
    _check(series, options)
    companions = [
        Choice(series=item, stratum=(), is_chosen=True, place=0, reason="belongs to the dataset") for item in series if item.is_companion
    ]
    units = _in_order(_units([item for item in series if not item.is_companion], options), options)
    return tuple(sorted([*companions, *_take(units, options)], key=lambda choice: choice.series.key))


def _check(series: Sequence[RemoteSeries], options: SelectionOptions) -> None:
    keys = [item.key for item in series]
    if len(set(keys)) < len(keys):
        msg = "the listing names a series twice; nothing can be chosen from it"
        raise InputError(msg)
    for name in options.strata:
        if series and all(item.value(name) is None for item in series):
            known = sorted({"modality", *(key for item in series for key in item.attributes)})
            msg = f"no series has the attribute {name!r} of `strata`; there are: {', '.join(known)}"
            raise InputError(msg)


def _units(series: Sequence[RemoteSeries], options: SelectionOptions) -> list[_Unit]:
    groups: dict[str, list[RemoteSeries]] = defaultdict(list)
    for item in series:
        groups[f"patient:{item.patient_id}" if options.whole_patients and item.patient_id else f"series:{item.key}"].append(item)
    return [_Unit(name=name, stratum=_stratum(members, options.strata), series=tuple(members)) for name, members in groups.items()]


def _stratum(series: Sequence[RemoteSeries], names: Sequence[str]) -> tuple[str, ...]:
    return tuple("+".join(sorted({item.value(name) or UNSTATED for item in series})) for name in names)


def _in_order(units: Iterable[_Unit], options: SelectionOptions) -> list[_Unit]:
    """Equal: the strata take turns. Proportional: each stratum advances in step with its share. Within a stratum a hash decides."""
    strata: dict[tuple[str, ...], list[_Unit]] = defaultdict(list)
    for unit in units:
        strata[unit.stratum].append(unit)
    places: list[tuple[float, str, _Unit]] = []
    for members in strata.values():
        ranked = sorted(members, key=lambda unit: _hash(options.seed, unit.name))
        for rank, unit in enumerate(ranked):
            turn = float(rank) if options.allocation == "equal" else (rank + 0.5) / len(ranked)
            places.append((turn, _hash(options.seed, *unit.stratum), unit))
    return [unit for _turn, _stratum_hash, unit in sorted(places, key=lambda place: (place[0], place[1], place[2].name))]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _take(units: Sequence[_Unit], options: SelectionOptions) -> list[Choice]:
    limit = options.max_series
    choices: list[Choice] = []
    taken, is_full = 0, False
    for place, unit in enumerate(units, 1):
        is_full = is_full or (limit is not None and taken + len(unit.series) > limit)
        if is_full and not taken:
            msg = (
                f"the first patient has {len(unit.series)} series, more than `max_series` {limit}: raise it, or leave `whole_patients` off"
            )
            raise InputError(msg)
        taken += 0 if is_full else len(unit.series)
        label = ", ".join(f"{name}={value}" for name, value in zip(options.strata, unit.stratum, strict=True)) or "all"
        reason = f"left out: limit of {limit} series" if is_full else f"chosen from {label}"
        choices += [Choice(series=item, stratum=unit.stratum, is_chosen=not is_full, place=place, reason=reason) for item in unit.series]
    return choices


def request_filter(request: ListRequest) -> Callable[[RemoteSeries], bool]:
    """Whether a listed series fits the request, for what the protocol itself could not filter. Companions always fit.

    Raises:
        ConfigurationError: a description pattern is no regular expression.
    """
    include, exclude = _pattern(request.include_description), _pattern(request.exclude_description)
    patients = frozenset(request.patients)

    def fits(series: RemoteSeries) -> bool:
        if series.is_companion:
            return True
        if patients and series.patient_id not in patients:
            return False
        if request.modality and series.modality and series.modality.casefold() != request.modality.casefold():
            return False
        if include is not None and not include.search(series.description):
            return False
        return exclude is None or not exclude.search(series.description)

    return fits


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text, re.IGNORECASE) if text else None
    except re.error as error:
        msg = f"{text!r} is no regular expression ({error}); see include_description and exclude_description"
        raise ConfigurationError(msg) from error


def strata_table(choices: Iterable[Choice]) -> Mapping[tuple[str, ...], tuple[int, int]]:
    """For each stratum how many series were listed and how many chosen; sorted, companions left out."""
    table: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for choice in choices:
        if not choice.series.is_companion:
            table[choice.stratum][0] += 1
            table[choice.stratum][1] += choice.is_chosen
    return {stratum: (counts[0], counts[1]) for stratum, counts in sorted(table.items())}
