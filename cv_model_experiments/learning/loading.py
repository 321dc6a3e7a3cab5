"""Batches made ahead of the loop by threads, in a fixed order, from any epoch and step on.

What a batch is made of depends on its places and its seed alone, never on who made it or when: so the number of threads
changes nothing, and a resumed epoch goes on with the very batches that it would have had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import torch

from cv_model_experiments.data.order import EpochOrder, Integers, batches, seed_of
from cv_model_experiments.learning.world import World

AHEAD = 2
"""Batches in flight for each thread."""


class DeviceBatch(Protocol):
    """What a loader hands out: it can move to a device, and it knows how many samples it holds."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        ...

    def __len__(self) -> int: ...


BatchMaker = Callable[[Integers, int], DeviceBatch]
"""(places of the samples, seed of the batch) -> batch."""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """The batches of one part of the data, for this rank."""

    make: BatchMaker
    order: EpochOrder
    batch_size: int
    is_training: bool
    world: World
    threads: int = 0

    @cached_property
    def samples(self) -> int:
        """Samples an epoch, all ranks together."""
        return len(self.order.places(0))

    @cached_property
    def steps(self) -> int:
        """Batches an epoch for this rank; in training the same for every rank."""
        return len(self._batches(0))

    def _batches(self, epoch: int) -> list[Integers]:
        places = self.order.places(epoch)
        return batches(places, self.batch_size, self.world.rank, self.world.ranks, is_training=self.is_training)

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[DeviceBatch]:
        """Batches of one epoch from number ``skip`` on, on the device."""
        jobs = [
            (places, seed_of(self.order.seed, "batch", epoch, number, self.world.rank))
            for number, places in enumerate(self._batches(epoch))
            if number >= skip
        ]
        if self.threads == 0:
            for places, seed in jobs:
                yield self._made(places, seed).to(self.world.device)
            return
        with ThreadPoolExecutor(self.threads, thread_name_prefix="loader") as pool:
            waiting: deque[Future[DeviceBatch]] = deque()
            for places, seed in jobs:
                waiting.append(pool.submit(self._made, places, seed))
                if len(waiting) > self.threads * AHEAD:
                    yield waiting.popleft().result().to(self.world.device)
            while waiting:
                yield waiting.popleft().result().to(self.world.device)

    def _made(self, places: Integers, seed: int) -> DeviceBatch:
        return self.make(places, seed)
