"""Which series of a study serves as T2W, ADC and high b: candidates, their order, and what can be computed where none was acquired.

The order is that of picai_prep (most slices, then finest in-plane spacing, then name) behind the same Frame of Reference
as the T2W series and fewer problems. PI-RADS v2.1: high b is 1400 s/mm2 or more; ADC is fitted up to b 1000, without b 0
where 50 or more is there.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from weakbox.imaging.slice_geometry import UNUSABLE
from weakbox.records.imaging import Plane, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.record import record

AdcVariant = Literal["corrected", "plain", "mixed"]


@record
class ChoicePolicy:
    """The choices that a site may make; b-values in s/mm2."""

    minimum_high_b: float = 1400.0
    minimum_fit_b: float = 50.0
    maximum_fit_b: float = 1000.0
    minimum_slices: int = 6
    minimum_role_confidence: float = 0.5
    adc_variants: tuple[AdcVariant, ...] = ("corrected", "plain", "mixed")


Rank = tuple[object, ...]
_CORRECTED = re.compile(r"dfc|dyndist|dis[23]d|dist[_ ]?corr", re.IGNORECASE)
_MIXED = re.compile(r"mix", re.IGNORECASE)


def choose_series(series: Iterable[Series], policy: ChoicePolicy) -> tuple[SeriesChoice, ...]:
    """One choice for each purpose that can be served: acquired, or derived from ``inputs``; no series serves two.

    ``adc_from_dwi`` takes the DWI parts to fit, ascending b. A computed high b takes the same, or, where there is one part
    only, that part and the acquired ADC map.
    """
    usable = [item for item in sorted(series, key=lambda item: item.key) if _is_usable(item, policy)]
    t2w = _choose(Purpose.T2W, [item for item in usable if item.role is SeriesRole.T2W], lambda item: _order(item, None), policy)
    reference = _find(usable, t2w)
    frame = reference.frame_of_reference_uid if reference else None
    adc = _choose_adc(usable, frame, policy)
    high_b = _choose_high_b(usable, frame, policy, _find(usable, adc))
    return tuple(choice for choice in (t2w, adc, high_b) if choice is not None)


def _find(series: Sequence[Series], choice: SeriesChoice | None) -> Series | None:
    return next((item for item in series if choice is not None and item.key == choice.series_key), None)


def slice_count(series: Series) -> int:
    """Slices of the volume; the number of images where the grid is not known."""
    return series.grid.shape[2] if series.grid is not None else series.image_count


def _is_usable(series: Series, policy: ChoicePolicy) -> bool:
    return (
        series.is_diagnostic
        and series.modality == "MR"
        and series.plane in (Plane.AXIAL, None)
        and series.role_confidence >= policy.minimum_role_confidence
        and slice_count(series) >= policy.minimum_slices
        and not UNUSABLE.intersection(series.problems)
    )


def unreadable_candidates(series: Iterable[Series]) -> tuple[Series, ...]:
    """Series that would serve a purpose but hold no regular volume (slices missing, say), by key."""
    roles = (SeriesRole.T2W, SeriesRole.ADC, SeriesRole.DWI)
    return tuple(item for item in sorted(series, key=lambda item: item.key) if item.role in roles and UNUSABLE.intersection(item.problems))


def _order(series: Series, frame: str | None) -> Rank:
    spacing = series.grid.spacing[0] * series.grid.spacing[1] if series.grid is not None else math.inf
    return (
        _is_elsewhere(series, frame),
        len(series.problems),
        series.plane is None,
        -slice_count(series),
        round(spacing, 4),
        series.description.casefold(),
        series.series_number if series.series_number is not None else math.inf,
        series.key,
    )


def _is_elsewhere(series: Series, frame: str | None) -> bool:
    return frame is not None and series.frame_of_reference_uid != frame


def _choose(
    purpose: Purpose,
    candidates: Sequence[Series],
    order: Callable[[Series], Rank],
    policy: ChoicePolicy,
    frame: str | None = None,
    note: str = "",
) -> SeriesChoice | None:
    if not candidates:
        return None
    best, *others = sorted(candidates, key=order)
    reasons = [_described(best), *([note] if note else [])]
    if others:
        reasons.append(f"first of {len(others) + 1} by frame, problems, most slices, finest in-plane spacing, name")
    if _is_elsewhere(best, frame):
        reasons.append("another Frame of Reference than the T2W series")
    if best.problems:
        reasons.append("problems: " + ", ".join(best.problems))
    return SeriesChoice(purpose=purpose, series_key=best.key, reason="; ".join(reasons), runners_up=tuple(item.key for item in others))


def _described(series: Series) -> str:
    spacing = f", {series.grid.spacing[0]:.2f} x {series.grid.spacing[1]:.2f} mm" if series.grid is not None else ""
    b_value = f", b {series.b_values[0]:g}" if len(series.b_values) == 1 else ""
    return f"{series.role} {series.plane or 'of unstated plane'}, {slice_count(series)} slices{spacing}{b_value}"


# ADC ----------------------------------------------------------------------------------------------------------------


def adc_variant(series: Series) -> AdcVariant:
    """Mixed, distortion-corrected or plain, from the description (UCLA ``_ADC_DFC_MIX``, PROSTATEx ``DYNDIST_MIX_ADC``)."""
    if _MIXED.search(series.description):
        return "mixed"
    return "corrected" if _CORRECTED.search(series.description) else "plain"


def _choose_adc(usable: Sequence[Series], frame: str | None, policy: ChoicePolicy) -> SeriesChoice | None:
    candidates = [item for item in usable if item.role is SeriesRole.ADC]
    variants = {adc_variant(item) for item in candidates}
    note = f"policy {' before '.join(policy.adc_variants)}" if len(variants) > 1 else ""

    def order(series: Series) -> Rank:
        elsewhere, problems, *rest = _order(series, frame)
        variant = adc_variant(series)
        place = policy.adc_variants.index(variant) if variant in policy.adc_variants else len(policy.adc_variants)
        return (elsewhere, problems, place, *rest)

    acquired = _choose(Purpose.ADC, candidates, order, policy, frame, note)
    if acquired is not None:
        return acquired
    parts = _fit_parts(usable, frame, policy)
    if len(parts) < 2:
        return None
    b_values = ", ".join(f"{item.b_values[0]:g}" for item in parts)
    reason = f"no acquired ADC map; fitted to b {b_values}"
    return SeriesChoice(
        purpose=Purpose.ADC, series_key=None, reason=reason, derived="adc_from_dwi", inputs=tuple(item.key for item in parts)
    )


def _fit_parts(usable: Sequence[Series], frame: str | None, policy: ChoicePolicy) -> tuple[Series, ...]:
    """DWI parts on one grid, one a b-value, ascending: the best set to fit ADC to (two or more), or nothing."""
    groups: dict[Rank, list[Series]] = defaultdict(list)
    for item in usable:
        if item.role is SeriesRole.DWI and not item.is_computed_b and len(item.b_values) == 1 and item.b_values[0] <= policy.maximum_fit_b:
            groups[_place(item)].append(item)
    sets = [_one_a_b_value(group, frame, policy) for group in groups.values()]
    return min(
        (parts for parts in sets if len(parts) > 1), key=lambda parts: (_order(parts[-1], frame)[:3], -len(parts), parts[0].key), default=()
    )


def _place(series: Series) -> Rank:
    if series.grid is None:
        return (series.series_uid,)
    return (series.frame_of_reference_uid, series.grid.shape, tuple(round(value, 2) for value in series.grid.affine))


def _one_a_b_value(group: Sequence[Series], frame: str | None, policy: ChoicePolicy) -> tuple[Series, ...]:
    by_b: dict[float, Series] = {}
    for item in sorted(group, key=lambda item: _order(item, frame)):
        by_b.setdefault(item.b_values[0], item)
    without_perfusion = [b for b in sorted(by_b) if b >= policy.minimum_fit_b]
    chosen = without_perfusion if len(without_perfusion) > 1 else sorted(by_b)
    return tuple(by_b[b] for b in chosen)


# High b -------------------------------------------------------------------------------------------------------------


def _choose_high_b(usable: Sequence[Series], frame: str | None, policy: ChoicePolicy, adc: Series | None) -> SeriesChoice | None:
    candidates = [item for item in usable if _is_high_b(item, policy)]

    def order(series: Series) -> Rank:
        elsewhere, problems, *rest = _order(series, frame)
        b_value = series.b_values[0] if series.b_values else math.inf
        return (elsewhere, problems, series.is_computed_b, b_value, *rest)

    best = min(candidates, key=order, default=None)
    note = "computed by the scanner" + ("" if best.b_values else ", b not stated") if best is not None and best.is_computed_b else ""
    acquired = _choose(Purpose.HIGH_B, candidates, order, policy, frame, note)
    return acquired or _derived_high_b(usable, frame, policy, adc)


def _is_high_b(series: Series, policy: ChoicePolicy) -> bool:
    if series.role is not SeriesRole.DWI:
        return False
    if series.is_computed_b and not series.b_values:
        return True
    return len(series.b_values) == 1 and series.b_values[0] >= policy.minimum_high_b


def _derived_high_b(usable: Sequence[Series], frame: str | None, policy: ChoicePolicy, adc: Series | None) -> SeriesChoice | None:
    inputs = _fit_parts(usable, frame, policy) or _part_with_adc(usable, policy, adc)
    if not inputs:
        return None
    words = " and the ADC map" if adc is not None and inputs[-1] is adc else ""
    b_values = ", ".join(f"{item.b_values[0]:g}" for item in inputs if item is not adc)
    return SeriesChoice(
        purpose=Purpose.HIGH_B,
        series_key=None,
        reason=f"no b of {policy.minimum_high_b:g} or more; computed from b {b_values}{words}",
        derived=f"computed_b{policy.minimum_high_b:g}",
        inputs=tuple(item.key for item in inputs),
    )


def _part_with_adc(usable: Sequence[Series], policy: ChoicePolicy, adc: Series | None) -> tuple[Series, ...]:
    """The DWI part of the highest b up to the fit's limit that lies on the ADC map's own grid, and the map."""
    if adc is None or adc.grid is None:
        return ()
    parts = [
        item
        for item in usable
        if item.role is SeriesRole.DWI
        and len(item.b_values) == 1
        and policy.minimum_fit_b <= item.b_values[0] <= policy.maximum_fit_b
        and _place(item) == _place(adc)
    ]
    return (max(parts, key=lambda item: (item.b_values[0], item.key)), adc) if parts else ()
