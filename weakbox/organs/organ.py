"""What an organ is to the pipeline: the fields its reports state, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from weakbox.records.report import ReportType


class FieldKind(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    CHOICE = "choice"
    CHOICES = "choices"
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the extraction contract: its kind, its range or choices, and what it means in clinical words."""

    name: str
    kind: FieldKind
    meaning: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_derived: bool = False
    """Derived from other fields (``max_diameter_mm`` from ``size_mm``): carries their evidence."""
    pattern: str = ""
    """Regular expression of the allowed words, where a list of choices would be long (sector codes)."""
    is_internal: bool = False
    """For matching only: not part of the extraction contract."""
    is_asked: bool = True
    """Whether a language model is asked for it; what the other values decide is computed instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportShape:
    """The fields of one type of report of one organ, in the contract's order.

    ``exam`` names are dotted where the contract nests (``exam.pirads``, ``overall.isup_grade``) and bare where it
    does not (``procedure``). ``item_kind`` is the contract's list: ``lesions``, ``specimens``, ``findings``.
    """

    report_type: ReportType
    item_kind: str
    exam: tuple[Field, ...]
    item: tuple[Field, ...]
    identity: Mapping[str, int] = field(default_factory=dict)
    """Item fields that say which item is which, with the weight each has when items of two readings are aligned."""
    core: tuple[str, ...] = ()
    """Fields that must all be right for a report to be read right: what a label rests on."""
    conventions: tuple[str, ...] = ()
    """How two careful readers agree on an answer: sentences for a reader, human or model."""
    carriers: tuple[str, ...] = ("{quote}",)
    """Frames that state nothing themselves and make a quoted phrase a report of its own, so that the grammar can read it alone."""

    def exam_field(self, name: str) -> Field:
        """The examination field of that name."""
        return next(field for field in self.exam if field.name == name)

    def item_field(self, name: str) -> Field:
        """The item field of that name."""
        return next(field for field in self.item if field.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organ:
    """An organ as data. ``words`` are lower-case stems that show that a report speaks of it."""

    name: str
    words: tuple[str, ...]
    shapes: Mapping[ReportType, ReportShape] = field(default_factory=dict)
