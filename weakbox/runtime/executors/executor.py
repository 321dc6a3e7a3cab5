"""The one interface every executor has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """An item whose function raised; the error as a value, in the item's place."""

    index: int
    error_type: str
    message: str
    traceback: str
    is_input_error: bool
    """Whether it was an ``InputError``: something the user can act on."""


class Executor(Protocol):
    """Maps a picklable function over items: results in the order of the items, errors as values, bounded look-ahead."""

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, description: str = "", total: int | None = None
    ) -> Iterator[Result | ItemError]:
        """Yield one result or ``ItemError`` for each item, in order."""
        ...

    def close(self) -> None:
        """Release workers."""
        ...
