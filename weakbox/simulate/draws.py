"""Seeded choices: every draw depends on the cohort's seed, the patient and what the draw is for, never on other patients."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Choice = TypeVar("Choice")

_SMALLEST_39_DIGITS = 10**38
_UUID_RANGE = 2**128


class Draws:
    """One stream of draws, named by what it is for; the same name gives the same draws.

    >>> Draws(7, "SIM00001", "gland").uniform(0, 1) == Draws(7, "SIM00001", "gland").uniform(0, 1)
    True
    """

    def __init__(self, *name: object) -> None:
        self._name = "/".join(str(part) for part in name)
        self._random = random.Random(self._name)

    def stream(self, *name: object) -> Draws:
        """Another stream below this one's name; drawing from it leaves this one as it is."""
        return Draws(self._name, *name)

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self._random.random() < probability

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of the choices, each as likely."""
        return choices[int(self._random.random() * len(choices))]

    def weighted(self, weights: Mapping[Choice, float]) -> Choice:
        """One key, as likely as its weight says."""
        keys = list(weights)
        return self._random.choices(keys, [weights[key] for key in keys])[0]

    def uniform(self, low: float, high: float) -> float:
        """A number between low and high."""
        return low + (high - low) * self._random.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self._random.random() * (high - low + 1))

    def normal(self, mean: float, deviation: float) -> float:
        """A Gaussian draw."""
        return self._random.gauss(mean, deviation)

    def log_normal(self, median: float, spread: float, low: float, high: float) -> float:
        """A log-normal draw around ``median``, drawn again until it lies in low..high."""
        value = median * self._random.lognormvariate(0.0, spread)
        while not low <= value <= high:
            value = median * self._random.lognormvariate(0.0, spread)
        return value

    def shuffled(self, items: Iterable[Choice]) -> list[Choice]:
        """The items in a drawn order."""
        keyed = [(self._random.random(), position, item) for position, item in enumerate(items)]
        return [item for _, _, item in sorted(keyed, key=lambda entry: entry[:2])]


def content_uid(*parts: object) -> str:
    """A DICOM UID below 2.25 made from what it names: always 44 characters, so that it can be exchanged in place.

    Source: DICOM PS3.5 B.2 (UUID-derived UIDs).
    """
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{_SMALLEST_39_DIGITS + int.from_bytes(digest, 'big') % (_UUID_RANGE - _SMALLEST_39_DIGITS)}"


def content_number(digits: int, *parts: object) -> int:
    """A number of that many digits made from what it names (accession and document numbers)."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    lowest = 10 ** (digits - 1)
    return lowest + int.from_bytes(digest[:8], "big") % (9 * lowest)
