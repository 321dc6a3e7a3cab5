"""BI-RADS assessment categories (ACR BI-RADS Atlas, 5th edition, 2013), and which of several is the worst."""

from __future__ import annotations

from collections.abc import Iterable

SEVERITY = ("1", "2", "3", "0", "4", "4A", "4B", "4C", "5", "6")
"""From harmless to serious. An incomplete examination (0) asks for more than a finding that can wait (3)."""


def severity(category: str) -> int:
    """The place of a category in the order, for comparing.

    >>> severity("4A") > severity("0") > severity("3")
    True
    """
    return SEVERITY.index(category)


def worst(categories: Iterable[str]) -> str:
    """The most serious of some categories.

    >>> worst(["2", "4A", "0"])
    '4A'
    """
    return max(categories, key=severity)
