"""The nearest known name, for messages about an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_name(name: str, known: Iterable[str]) -> str:
    """A clause that names the nearest known name, or nothing.

    >>> nearest_name("treshold", ["threshold", "window"])
    "; did you mean 'threshold'?"
    >>> nearest_name("zzz", ["threshold"])
    ''
    """
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.55)
    return f"; did you mean {close[0]!r}?" if close else ""
