"""What language models cost in a run: requests, answers from the cache, tokens, seconds, and what went wrong."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from weakbox.runtime.store import digest_of, write_text


class Answered(Protocol):
    """An answer as far as its cost goes."""

    @property
    def key(self) -> str: ...
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
        self._unanswered: list[str] = []
        self._started = time.perf_counter()

    def add(self, answer: Answered) -> None:
        """Count one answer; the tokens of a cached one were paid for before."""
        self._counts["reports"] += 1
        self._counts[f"status.{answer.status.value}"] += 1
        if answer.status.value != "complete":
            self._unanswered.append(answer.key)
        if answer.is_cached:
            self._counts["cached"] += 1
            return
        self._counts["prompt_tokens"] += answer.prompt_tokens
        self._counts["completion_tokens"] += answer.completion_tokens

    @property
    def unanswered(self) -> str:
        """Digest of the requests that have no complete answer; empty where every one has."""
        return digest_of(sorted(self._unanswered)) if self._unanswered else ""

    def as_dict(self) -> dict[str, float | str]:
        """The sums by name, with the seconds since the first answer was awaited."""
        seconds = round(time.perf_counter() - self._started, 3)
        return {**dict(sorted(self._counts.items())), "unanswered": self.unanswered, "seconds": seconds}

    def write(self, path: Path) -> None:
        """Write the sums as JSON beside the run's records."""
        write_text(path, json.dumps(self.as_dict(), indent=1))


def unanswered(path: Path) -> str:
    """Which requests the last run left without an answer, as a digest; empty where none, or where no model was asked."""
    return str(json.loads(path.read_text(encoding="utf-8")).get("unanswered", "")) if path.is_file() else ""
