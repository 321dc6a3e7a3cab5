"""Specimens that are listed above one diagnosis: ``A. Right base; B. Right mid; C. Right apex: benign`` tells of all three."""

from __future__ import annotations

import re

_LONGEST_SITE = 140
_OPEN_END = re.compile(r"(?:[;:,]|\band|&)\s*\Z", re.IGNORECASE)


def is_listed_with_the_next(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]``, below a label of the diagnosis, is a site alone after which more is to come."""
    return end - start < _LONGEST_SITE and _OPEN_END.search(text, start, end) is not None
