"""What language models cost in a run: requests, answers from the cache, tokens, seconds, and what went wrong."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from weakbox.runtime.store import write_text


class Answered(Protocol):
    """An answer as far as its cost goes."""

    @property
    def status(self) -> Any: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def is_cached(self) -> bool: ...


class Cost:
    """Sums over the answers of one run."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._started = time.perf_counter()

    def add(self, answer: Answered) -> None:
        """Count one answer; the tokens of a cached one were paid for before."""
        self._counts["reports"] += 1
        self._counts[f"status.{answer.status.value}"] += 1
        if answer.is_cached:
            self._counts["cached"] += 1
            return
        self._counts["prompt_tokens"] += answer.prompt_tokens
        self._counts["completion_tokens"] += answer.completion_tokens

    def as_dict(self) -> dict[str, float]:
        """The sums by name, with the seconds since the first answer was awaited."""
        return {**dict(sorted(self._counts.items())), "seconds": round(time.perf_counter() - self._started, 3)}

    def write(self, path: Path) -> None:
        """Write the sums as JSON beside the run's records."""
        write_text(path, json.dumps(self.as_dict(), indent=1))
