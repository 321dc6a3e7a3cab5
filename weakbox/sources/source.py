"""What a way in publishes: its options, the files it reads, and a reader that yields records and ledger entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Family = Literal["reports", "images", "biopsies", "segmentations", "crosswalk"]


class SourceOptions(BaseModel):
    """Options that every source has; a source's own options extend them. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="The file in `weakbox/sources` that reads this input.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A plug-in: every file in this package that reads something publishes one as ``SOURCE``.

    ``files`` names the input files (for digests and for the error that one is missing); ``read`` yields records of the
    family, and a ``LedgerEntry`` for every row or file it could not use. Readers of ``images`` also take an executor
    and a cache folder.
    """

    family: Family
    options: type[SourceOptions]
    files: Callable[[Any], Iterable[Path]]
    read: Callable[..., Iterator[Any]]
