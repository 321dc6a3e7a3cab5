"""The nearest known name, for messages about an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from weakbox.records.errors import ConfigurationError


def nearest_name(name: str, known: Iterable[str]) -> str:
    """A clause that names the nearest known name, or nothing.

    >>> nearest_name("treshold", ["threshold", "window"])
    "; did you mean 'threshold'?"
    >>> nearest_name("zzz", ["threshold"])
    ''
    """
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.55)
    return f"; did you mean {close[0]!r}?" if close else ""


def one_of(name: str, known: Iterable[str], what: str) -> str:
    """``name``, which is one of ``known``.

    Raises:
        ConfigurationError: it is not; ``what`` names the place, the nearest known name is offered.
    """
    names = sorted(known)
    if name not in names:
        msg = f"{what}: there is no {name!r}{nearest_name(name, names)} (there are: {', '.join(names)})"
        raise ConfigurationError(msg)
    return name
