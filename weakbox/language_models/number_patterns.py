"""Regular expressions that match exactly the decimal numbers of a range, with bounded digits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

DECIMALS = 3
"""Most digits after the point."""
DIGITS = 9
"""Most digits before the point where a schema sets no limit."""

Cells = tuple[tuple[int, int], ...]
"""One digit range a position."""


def integer_pattern(low: Decimal | None, high: Decimal | None) -> str:
    """A regular expression for the whole numbers from ``low`` to ``high`` (both included, ``None``: up to nine digits).

    >>> integer_pattern(Decimal(1), Decimal(5))
    '(?:[1-5])'
    """
    return _pattern(low, high, decimals=0)


def number_pattern(low: Decimal | None, high: Decimal | None) -> str:
    """As ``integer_pattern``, with up to three digits after the point."""
    return _pattern(low, high, decimals=DECIMALS)


def _pattern(low: Decimal | None, high: Decimal | None, decimals: int) -> str:
    limit = Decimal(10**DIGITS - 1)
    least, most = (-limit if low is None else low), (limit if high is None else high)
    parts = [part for fraction in range(decimals + 1) for part in _with_fraction(least, most, fraction)]
    if not parts:
        msg = f"no number with at most {decimals} decimals lies between {least} and {most}"
        raise ValueError(msg)
    return "(?:" + "|".join(parts) + ")"


def _with_fraction(low: Decimal, high: Decimal, fraction: int) -> Iterator[str]:
    """Patterns for the numbers of the range that have exactly ``fraction`` digits after the point."""
    scale = Decimal(10) ** fraction
    least = int((low * scale).to_integral_value(ROUND_CEILING))
    most = int((high * scale).to_integral_value(ROUND_FLOOR))
    if most >= 0:
        yield from (_written(cells, fraction) for cells in _cells(max(least, 0), most, fraction + 1))
    if least < 0:
        yield from ("-" + _written(cells, fraction) for cells in _cells(max(-most, 1), -least, fraction + 1))


def _written(cells: Cells, fraction: int) -> str:
    digits = [str(low) if low == high else f"[{low}-{high}]" for low, high in cells]
    if fraction:
        digits.insert(len(digits) - fraction, "\\.")
    return "".join(digits)


def _cells(low: int, high: int, shortest: int) -> Iterator[Cells]:
    """Digit ranges for all numbers from ``low`` to ``high``, written with at least ``shortest`` digits."""
    for width in range(shortest, max(len(str(high)), shortest) + 1):
        least = max(low, 10 ** (width - 1) if width > shortest else 0)
        most = min(high, 10**width - 1)
        if least <= most:
            yield from _same_width(str(least).zfill(width), str(most).zfill(width))


def _same_width(low: str, high: str) -> Iterator[Cells]:
    """Digit ranges for the numbers between two of the same length."""
    if set(low) <= {"0"} and set(high) <= {"9"}:
        yield ((0, 9),) * len(low)
        return
    if len(low) == 1:
        yield ((int(low), int(high)),)
        return
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if first == last:
        yield from (((first, first), *tail) for tail in _same_width(low[1:], high[1:]))
        return
    whole_low, whole_high = set(low[1:]) == {"0"}, set(high[1:]) == {"9"}
    if not whole_low:
        yield from (((first, first), *tail) for tail in _same_width(low[1:], "9" * rest))
    middle = (first + (not whole_low), last - (not whole_high))
    if middle[0] <= middle[1]:
        yield (middle, *(((0, 9),) * rest))
    if not whole_high:
        yield from (((last, last), *tail) for tail in _same_width("0" * rest, high[1:]))
