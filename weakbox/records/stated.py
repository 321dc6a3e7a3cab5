"""A value read from a report, and the words that state it."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

from weakbox.records.record import record

Value = TypeVar("Value")

FieldValue = bool | int | float | str | tuple[str, ...] | tuple[float, ...]
"""What a field of an organ may hold: the leaves of the extraction contract."""


class Assertion(StrEnum):
    """How the text asserts a value (ConText's categories, plus printed templates)."""

    PRESENT = "present"
    ABSENT = "absent"
    POSSIBLE = "possible"
    PRIOR = "prior"
    HYPOTHETICAL = "hypothetical"
    FAMILY = "family"
    TEMPLATE = "template"


@record
class Span:
    """Half-open character offsets into the raw text of one report.

    >>> Span(start=4, end=11).cut("The PI-RADS 4 lesion")
    'PI-RADS'
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            msg = f"a span is half-open with 0 <= start < end, got {self.start}..{self.end}"
            raise ValueError(msg)

    def cut(self, text: str) -> str:
        """The words of ``text`` that lie inside this span."""
        return text[self.start : self.end]


@record
class Stated(Generic[Value]):
    """A value, where the raw text says it, how it is asserted, who read it and how sure that is (0..1)."""

    value: Value
    evidence: tuple[Span, ...]
    source: str
    confidence: float
    assertion: Assertion = Assertion.PRESENT
    rule: str | None = None

    def __post_init__(self) -> None:
        if not self.evidence:
            msg = f"a stated value carries the words that state it, got no evidence for {type(self.value).__name__}"
            raise ValueError(msg)
        if not 0.0 <= self.confidence <= 1.0:
            msg = f"confidence lies in 0..1, got {self.confidence}"
            raise ValueError(msg)
