"""Which prompts are decoded together, and how they lie beside each other: shared prefix, padding, own part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weakbox.records.record import record

SHORTEST_PREFIX = 16
"""Fewer shared tokens are not worth a copy."""


@record
class Prompt:
    """One prompt as tokens; ``place`` is its place among the requests, ``room`` how many tokens its answer may have."""

    place: int
    tokens: tuple[int, ...]
    room: int


def shared_prefix(prompts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The longest beginning that all prompts share and that leaves each at least one token of its own.

    >>> shared_prefix([[1, 2, 3], [1, 2, 4, 5]])
    (1, 2)
    """
    if not prompts:
        return ()
    ordered = sorted(map(tuple, prompts))
    first, last = ordered[0], ordered[-1]  # in lexicographic order what these two share, all share
    limit = min(len(tokens) for tokens in prompts) - 1
    length = next((place for place in range(min(limit, len(first), len(last))) if first[place] != last[place]), limit)
    return first[: max(length, 0)]


def batches(prompts: Sequence[Prompt], most_rows: int, most_tokens: int) -> Iterator[list[Prompt]]:
    """Prompts of like length together, the longest first (a batch that does not fit the memory fails at the start)."""
    batch: list[Prompt] = []
    longest = 0
    for prompt in sorted(prompts, key=lambda prompt: (-len(prompt.tokens), -prompt.room, prompt.place)):
        width = max(longest, len(prompt.tokens) + prompt.room)
        if batch and (len(batch) == most_rows or width * (len(batch) + 1) > most_tokens):
            yield batch
            batch, width = [], len(prompt.tokens) + prompt.room
        batch.append(prompt)
        longest = width
    if batch:
        yield batch


def laid_out(prompts: Sequence[Prompt], prefix: int, padding: int) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids and attention mask [rows, width]: the first ``prefix`` tokens, padding, the rest. No prefix: plain left padding."""
    width = max(len(prompt.tokens) for prompt in prompts)
    tokens, mask = [], []
    for prompt in prompts:
        gap = width - len(prompt.tokens)
        tokens.append([*prompt.tokens[:prefix], *[padding] * gap, *prompt.tokens[prefix:]])
        mask.append([*[1] * prefix, *[0] * gap, *[1] * (len(prompt.tokens) - prefix)])
    return tokens, mask
