"""Holds each row of a batch to its grammar while ``generate`` runs: one llguidance matcher a row, new for each batch."""

from __future__ import annotations

from collections.abc import Sequence

import llguidance
import torch
from llguidance.torch import allocate_token_bitmask, fill_next_token_bitmask_par
from transformers import LogitsProcessor, StoppingCriteria

from weakbox.language_models.interface import AnswerStatus

ALL_TOKENS = -1
"""A word of the bit mask in which every token is allowed."""


class Row:
    """One answer in the making: its matcher, its tokens, and how much of it the model itself would have written."""

    def __init__(self, matcher: llguidance.LLMatcher | None, maximum_tokens: int, ends: frozenset[int], unusable: str = "") -> None:
        self.matcher = matcher
        self.tokens: list[int] = []
        self.is_done = False
        self.status = AnswerStatus.TRUNCATED
        self.cause = ""
        self._maximum_tokens = maximum_tokens
        self._ends = ends
        if unusable:
            self._end(AnswerStatus.FAILED, unusable)
        elif matcher is not None and matcher.is_error():
            self._end(AnswerStatus.FAILED, f"the grammar cannot be used ({matcher.stop_reason()})")

    def take(self, token: int) -> None:
        """Add the token that was chosen; may end the row."""
        if self.is_done:
            return
        if token in self._ends and (self.matcher is None or self.matcher.is_accepting()):
            self._end(AnswerStatus.COMPLETE)
            return
        self.tokens.append(token)
        if self.matcher is not None:
            self._follow(self.matcher, token)
        if not self.is_done and len(self.tokens) >= self._maximum_tokens:
            self._end(AnswerStatus.TRUNCATED, f"the answer is longer than {self._maximum_tokens} tokens")

    def _follow(self, matcher: llguidance.LLMatcher, token: int) -> None:
        if not matcher.consume_token(token) or matcher.is_error():
            self._end(AnswerStatus.INVALID, f"the grammar stopped ({matcher.stop_reason()})")
        elif matcher.is_stopped():
            self._end(AnswerStatus.COMPLETE)

    def _end(self, status: AnswerStatus, cause: str = "") -> None:
        self.is_done, self.status, self.cause = True, status, cause


class Mask(LogitsProcessor):
    """Before a token is chosen: what a row's grammar forbids gets no probability. Serves one batch, once."""

    def __init__(self, rows: Sequence[Row], vocabulary: int) -> None:
        self._rows = rows
        self._executor = llguidance.LLExecutor()
        self._bitmask = allocate_token_bitmask(len(rows), vocabulary)
        self._mass: torch.Tensor | None = None
        self._steps = torch.zeros(len(rows), dtype=torch.long)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``scores``: logits [rows, vocabulary]."""
        matchers = [(row.matcher, place) for place, row in enumerate(self._rows) if not row.is_done and row.matcher is not None]
        if not matchers:
            return scores
        self._bitmask.fill_(ALL_TOKENS)
        fill_next_token_bitmask_par(self._executor, matchers, self._bitmask)
        allowed = unpacked(self._bitmask.to(scores.device, non_blocking=True), scores.shape[1])
        self._weigh(scores, allowed, [place for _matcher, place in matchers])
        return scores.masked_fill(~allowed, float("-inf"))

    def _weigh(self, scores: torch.Tensor, allowed: torch.Tensor, active: list[int]) -> None:
        """Add up how probable the allowed tokens were; stays on the device until it is asked for."""
        mass = torch.where(allowed, scores.float().softmax(dim=-1), 0.0).sum(dim=-1)
        self._mass = mass if self._mass is None else self._mass + mass
        if len(active) == len(self._rows):
            self._steps += 1
        else:
            idle = [place for place in range(len(self._rows)) if place not in set(active)]
            self._mass[idle] -= mass[idle]
            self._steps[active] += 1

    def allowed_mass(self) -> list[float | None]:
        """Each row's mean over its tokens; ``None`` for a row that had no grammar or no token."""
        if self._mass is None:
            return [None] * len(self._rows)
        sums = self._mass.tolist()
        return [min(1.0, total / steps) if steps else None for total, steps in zip(sums, self._steps.tolist(), strict=True)]


class Following(StoppingCriteria):
    """After a token is chosen: each row's grammar follows it, and a row whose grammar is fulfilled stops."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_options: object) -> torch.Tensor:
        """``input_ids``: all tokens so far [rows, length]. Returns which rows are done [rows]."""
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            row.take(token)
        return torch.tensor([row.is_done for row in self._rows], device=input_ids.device)


def unpacked(bitmask: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Bits of 32-bit words [rows, words] as booleans [rows, vocabulary]; tokens beyond the mask are forbidden."""
    shifts = torch.arange(32, device=bitmask.device, dtype=torch.int32)
    bits = ((bitmask.unsqueeze(-1) >> shifts) & 1).bool().flatten(1)
    missing = vocabulary - bits.shape[1]
    return torch.nn.functional.pad(bits, (0, missing), value=False) if missing > 0 else bits[:, :vocabulary]
