"""The word lists of breast imaging (``weakbox/text/words/breast/radiology.yaml``), ready to search."""

from __future__ import annotations

from functools import lru_cache

import yaml

from weakbox.text.lexicon import WORDS, Lexicon

_FILE = WORDS / "breast" / "radiology.yaml"


@lru_cache(maxsize=1)
def finding_words() -> Lexicon:
    """What a breast report may find: kinds of the contract, and the words that the text around them decides."""
    content = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return Lexicon(content["findings"])
