"""How fast a model answers: the same requests, timed, with the settings they ran under."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from weakbox.language_models.interface import Answer, Request
from weakbox.records.record import record


@record
class Measurement:
    """One timed run. ``tokens_a_second`` counts what the model wrote; prompts are in ``prompt_tokens``."""

    requests: int
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    tokens_a_second: float
    reports_an_hour: float
    statuses: Mapping[str, int]
    settings: Mapping[str, Any]


class Measurable(Protocol):
    """What is timed."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Batch size, concurrency and the like."""
        ...

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer a request."""
        ...


class Adjustable(Measurable, Protocol):
    """A local model, which can run the same weights under other batch options."""

    def with_options(self, **changes: Any) -> Adjustable:
        """The same weights, otherwise batched."""
        ...


def measure(model: Measurable, requests: Sequence[Request]) -> Measurement:
    """Time all ``requests``. Warm the model up before, and leave the cache out: a hit costs nothing."""
    start = time.perf_counter()
    answers = list(model.answer(requests))
    seconds = time.perf_counter() - start
    completion_tokens = sum(answer.completion_tokens for answer in answers)
    return Measurement(
        requests=len(requests),
        seconds=seconds,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        completion_tokens=completion_tokens,
        tokens_a_second=completion_tokens / seconds,
        reports_an_hour=3600 * len(answers) / seconds,
        statuses=dict(sorted(Counter(answer.status.value for answer in answers).items())),
        settings=model.settings,
    )


def measure_variants(model: Adjustable, requests: Sequence[Request]) -> dict[str, Measurement]:
    """The same requests batched and one by one, with and without the shared prefix, after a warm-up."""
    variants: dict[str, dict[str, Any]] = {
        "batched, prefix reused": {"reuse_prefix": True},
        "batched": {"reuse_prefix": False},
        "one by one, prefix reused": {"batch_size": 1, "reuse_prefix": True},
        "one by one": {"batch_size": 1, "reuse_prefix": False},
    }
    list(model.answer(requests[:2]))
    return {name: measure(model.with_options(**changes), requests) for name, changes in variants.items()}
