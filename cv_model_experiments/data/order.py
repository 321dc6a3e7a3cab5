"""In which order an epoch shows its samples: from seed and epoch alone, so that a resumed run goes on exactly where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weakbox.records.record import record

Integers = NDArray[np.int64]


def seed_of(*parts: object) -> int:
    """A seed of 63 bits that depends on the parts alone.

    >>> seed_of(1, "order", 0) == seed_of(1, "order", 0) != seed_of(1, "order", 1)
    True
    """
    return int.from_bytes(hashlib.sha256("\n".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


@record
class EpochOrder:
    """Draws the places of an epoch's samples.

    ``copies`` is how often each sample is shown. Where ``shares`` are given, an epoch draws as many samples as ``copies`` sum
    to, each with its share: every sample once before any twice, as far as its share goes, so few are missed.
    """

    seed: int
    copies: tuple[int, ...]
    shares: tuple[float, ...] | None = None
    is_shuffled: bool = True

    def places(self, epoch: int) -> Integers:
        """The places of one epoch, all ranks together."""
        generator = np.random.Generator(np.random.PCG64(seed_of(self.seed, "order", epoch)))
        if self.shares is None:
            places = np.repeat(np.arange(len(self.copies)), self.copies)
        else:
            places = _drawn(np.array(self.shares), int(sum(self.copies)), generator)
        return generator.permutation(places) if self.is_shuffled else places


def _drawn(shares: NDArray[np.float64], count: int, generator: np.random.Generator) -> Integers:
    """Systematic sampling: sample i comes floor or ceil of ``count * share`` times, whichever by one common random start."""
    edges = np.cumsum(shares[order := generator.permutation(len(shares))]) * (count / shares.sum())
    marks = np.arange(count) + generator.random()
    found = np.minimum(np.searchsorted(edges, marks, side="right"), len(shares) - 1)
    return np.asarray(order[found], np.int64)


def balanced_shares(classes: Sequence[int], weights: Sequence[float] | None = None) -> tuple[float, ...]:
    """Share of each sample such that every class is shown as often as any other; within a class by ``weights``."""
    codes = np.asarray(classes)
    within = np.ones(len(codes)) if weights is None else np.asarray(weights, float)
    totals = np.bincount(codes, weights=within)
    present = int((np.bincount(codes) > 0).sum())
    return tuple((within / totals[codes] / present).tolist())


def class_weights(classes: Sequence[int], count: int) -> tuple[float, ...]:
    """Inverse frequency of each class with mean 1 over the samples; 0 for a class without a sample.

    >>> class_weights([0, 0, 0, 1], 2)
    (0.6666666666666666, 2.0)
    """
    numbers = np.bincount(np.asarray(classes), minlength=count).astype(float)
    present = numbers > 0
    weights = np.divide(len(classes), present.sum() * numbers, out=np.zeros(count), where=present)
    return tuple(weights.tolist())


def batches(places: Integers, batch_size: int, rank: int, ranks: int, *, is_training: bool) -> list[Integers]:
    """The batches of one rank: of every ``ranks * batch_size`` places its own stretch.

    In training every rank gets the same number of batches of the same size; the remainder of an epoch is left out, except
    where there is less than one batch. In evaluation nothing is left out and nothing is shown twice.
    """
    if not is_training:
        own = places[rank::ranks]
        return [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
    step = batch_size * ranks
    if len(places) < step:
        share = max(1, len(places) // ranks)
        return [places[rank * share : (rank + 1) * share]] if len(places) >= ranks else [places[:1]]
    whole = len(places) // step
    found = [places[number * step + rank * batch_size :][:batch_size] for number in range(whole)]
    rest = len(places) - whole * step
    if rest >= max(ranks * 2, step // 2):  # a last batch of half the size or more is worth its step
        share = rest // ranks
        found.append(places[whole * step + rank * share :][:share])
    return found
