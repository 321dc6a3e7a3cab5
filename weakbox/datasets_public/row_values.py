"""Cells of annotation tables as values: what a set writes for nothing, and a ledger row for each value that is not understood."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from weakbox.records.case import LedgerEntry
from weakbox.records.label import Evidence
from weakbox.sources.remarks import flagged
from weakbox.sources.table_reading import Row

NOTHING = frozenset({"", "na", "n/a", "nan", "nc", "none", "null", "[not available]", "[not evaluated]", "[not applicable]", "[unknown]"})
"""What tables write where a value is missing (pandas' ``nan``; TCGA's words in brackets)."""

Parsed = TypeVar("Parsed")


@dataclass(slots=True)
class TableValues:
    """Reads the cells of one table; what cannot be read becomes a remark in ``ledger``, and the row goes on without it."""

    path: Path
    ledger: list[LedgerEntry] = field(default_factory=list)

    def item(self, row: Row) -> str:
        """What names a row in the ledger and in evidence: ``<table>:<row>``."""
        return f"{self.path.name}:{row.number}"

    def value(self, row: Row, name: str, parse: Callable[[str], Parsed]) -> Parsed | None:
        """The cell as ``parse`` reads it; None where nothing stands there, or what nobody expects."""
        text = stated(row, name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.ledger.append(flagged("row", self.item(row), "unexpected_value", f"{name}: {error}"))
            return None

    def evidence(self, rows: Iterable[Row], name: str) -> tuple[Evidence, ...]:
        """Where a value was stated."""
        return tuple(Evidence(record_id=self.item(row), field=name) for row in rows)


def stated(row: Row, name: str) -> str | None:
    """The text of a cell, None where it holds one of the words for nothing."""
    text = row.text(name)
    return None if text is None or text.casefold() in NOTHING else text


def whole_number(text: str) -> int:
    """A whole number, also as pandas writes a column with gaps (``3.0``).

    Raises:
        ValueError: no whole number.

    >>> whole_number("61.0")
    61
    """
    number = float(text)
    if not number.is_integer():
        msg = f"expected a whole number, got {text!r}"
        raise ValueError(msg)
    return int(number)


_FRACTION = re.compile(r"\.0+$")


def identifier(text: str | None) -> str:
    """An identifier, also one that a spreadsheet made a number; empty where there is none.

    >>> identifier(" 10117.0"), identifier("1.2.840.10"), identifier(None)
    ('10117', '1.2.840.10', '')
    """
    plain = (text or "").strip()
    return _FRACTION.sub("", plain) if plain.count(".") == 1 else plain


OLDEST_YEARS = 120


def years(text: str) -> float:
    """An age in years, also as DICOM writes it (``053Y``).

    Raises:
        ValueError: no age of a person.

    >>> years("61"), years("053Y")
    (61.0, 53.0)
    """
    number = float(text.strip().removesuffix("Y").removesuffix("y"))
    if not 0 <= number <= OLDEST_YEARS:
        msg = f"expected years from 0 to {OLDEST_YEARS}, got {text!r}"
        raise ValueError(msg)
    return number


def yes_or_no(text: str) -> bool:
    """``1``/``0``, ``1.0``/``0.0``, ``True``/``False``, ``YES``/``NO``.

    Raises:
        ValueError: neither.
    """
    found = _ANSWERS.get(text.casefold())
    if found is None:
        msg = f"expected 0 or 1, True or False, got {text!r}"
        raise ValueError(msg)
    return found


_ANSWERS = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}


def words_of(text: str) -> tuple[str, ...]:
    """The words of a list that was written as text.

    Raises:
        ValueError: a bracket that no list follows.

    >>> words_of("['Mass', 'Skin Retraction']"), words_of("Mass;Asymmetry"), words_of("Mass")
    (('Mass', 'Skin Retraction'), ('Mass', 'Asymmetry'), ('Mass',))
    """
    if not text.startswith("["):
        return tuple(word.strip() for word in text.replace(";", ",").split(",") if word.strip())
    try:
        found = ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        msg = f"expected a list of words, got {text[:40]!r}"
        raise ValueError(msg)
    return tuple(word.strip() for word in found)


def snake_case(text: str) -> str:
    """Words of a table in lower snake case.

    >>> snake_case("HER2-enriched"), snake_case("triple negative")
    ('her2_enriched', 'triple_negative')
    """
    return "_".join("".join(letter if letter.isalnum() else " " for letter in text).casefold().split())
