"""Thresholds, chosen on the validation part and nowhere else; the test part only ever applies them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.ranking import Ranked
from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record
from weakbox.runtime.nearest import nearest_name

Numbers = NDArray[np.float64]
CASE_RULES = ("youden", "sensitivity", "specificity")
LESION_RULES = ("false_positives", "sensitivity")
_ROUNDING = 1e-12
"""Shares of counts differ from the wanted value in their last digits."""


@record
class OperatingPoint:
    """A threshold (score >= threshold is positive), the rule that chose it, and what it gave on validation."""

    rule: str
    threshold: float
    count: int
    positives: int
    reached: float
    """Of the rule's quantity, on validation: Youden's J, sensitivity, specificity, or false positives a unit."""


@record
class NoOperatingPoint:
    """Why there is none."""

    rule: str
    reason: str


def parse_rule(text: str, known: tuple[str, ...]) -> tuple[str, float]:
    """``youden``, ``sensitivity:0.9``, ``specificity:0.9`` or ``false_positives:1``.

    Raises:
        ConfigurationError: it is none of those that are known here.
    """
    name, _, limit = text.partition(":")
    problem = f"operating point {text!r}: expected one of {', '.join(known)}, with a value such as sensitivity:0.9 (youden has none)"
    if name not in known:
        raise ConfigurationError(problem + nearest_name(name, known))
    if name == "youden":
        if limit:
            raise ConfigurationError(problem)
        return name, 0.0
    try:
        value = float(limit)
    except ValueError:
        raise ConfigurationError(problem) from None
    if value <= 0 or (name != "false_positives" and value > 1):
        raise ConfigurationError(problem)
    return name, value


def case_operating_point(rule: str, ranked: Ranked) -> OperatingPoint | NoOperatingPoint:
    """The threshold on case scores of the validation part. ``sensitivity:x`` takes the highest threshold that reaches x, ``specificity:x``
    the lowest that keeps x, ``youden`` the highest of those with the largest sensitivity + specificity - 1."""
    name, wanted = parse_rule(rule, CASE_RULES)
    hits, alarms = ranked.counts()
    if not len(ranked) or not hits[-1] or not alarms[-1]:
        return NoOperatingPoint(rule=rule, reason="validation has no case" if not len(ranked) else "validation has one class only")
    sensitivity, specificity = hits / hits[-1], 1 - alarms / alarms[-1]
    if name == "specificity":
        places = np.flatnonzero(specificity >= wanted - _ROUNDING)
        if not len(places):
            return NoOperatingPoint(rule=rule, reason=f"no threshold keeps a specificity of {wanted:g} on validation")
        place, reached = int(places[-1]), specificity
    elif name == "sensitivity":
        place, reached = int(np.flatnonzero(sensitivity >= wanted - _ROUNDING)[0]), sensitivity
    else:
        reached = sensitivity + specificity - 1
        place = int(np.flatnonzero(reached >= reached.max() - _ROUNDING)[0])
    return OperatingPoint(
        rule=rule,
        threshold=float(ranked.thresholds[place]),
        count=len(ranked),
        positives=int(ranked.targets.sum()),
        reached=float(reached[place]),
    )


def lesion_operating_point(rule: str, ranked: Ranked, units: int) -> OperatingPoint | NoOperatingPoint:
    """The threshold on candidates of the validation part: the lowest with at most x false positives a unit, or the highest that
    finds a share of x of the lesions."""
    name, wanted = parse_rule(rule, LESION_RULES)
    if not units:
        return NoOperatingPoint(rule=rule, reason="validation has no case")
    if not len(ranked) or not ranked.targets.any():
        return NoOperatingPoint(rule=rule, reason="validation has no lesion")
    rates, sensitivities, thresholds = ranked.froc(units)
    fits = rates <= wanted + _ROUNDING if name == "false_positives" else sensitivities >= wanted - _ROUNDING
    places = np.flatnonzero(fits & np.isfinite(thresholds))
    if not len(places):
        return NoOperatingPoint(rule=rule, reason=f"no threshold on validation gives {name} of {wanted:g}")
    place = int(places[-1] if name == "false_positives" else places[0])
    return OperatingPoint(
        rule=rule,
        threshold=float(thresholds[place]),
        count=units,
        positives=int(ranked.targets.sum()),
        reached=float((rates if name == "false_positives" else sensitivities)[place]),
    )
