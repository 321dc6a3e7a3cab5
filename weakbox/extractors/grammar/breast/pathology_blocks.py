"""What one passage says of one specimen."""

from __future__ import annotations

from dataclasses import dataclass

from weakbox.extractors.grammar.pathology.facts import TextRange
from weakbox.extractors.grammar.pathology.labels import Label
from weakbox.extractors.grammar.pathology.passages import Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The stretch ``start:end`` of a passage; its text begins at ``body``. ``context`` are words above several blocks that give a side."""

    passage: Passage
    start: int
    body: int
    end: int
    label: Label | None = None
    heading: TextRange | None = None
    context: TextRange | None = None
