"""Which language each part of a report is written in, by its function words (``marks`` of the glossaries and of ``words/en.yaml``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from weakbox.text.gloss import glossary_languages, load_glossary
from weakbox.text.lexicon import load_words

ENGLISH = "en"
_WORD = re.compile(r"[^\W\d_]+")
_PARAGRAPH = re.compile(r"\n[ \t]*\n|\n(?=[^\n]{0,60}:[ \t]*\n)")
MINIMUM_MARKS = 2.0
"""Weighted function words that a stretch must hold before its own language is believed."""
MARGIN = 1.5
"""How many times the best language must beat the next."""


@lru_cache(maxsize=1)
def _marks() -> Mapping[str, Mapping[str, float]]:
    """Word -> language -> weight; a word that several languages share counts less for each."""
    of_language = {language: load_glossary(language).marks for language in glossary_languages()}
    of_language[ENGLISH] = frozenset(load_words(ENGLISH)["marks"])
    shared = Counter(word for words in of_language.values() for word in words)
    table: dict[str, dict[str, float]] = {}
    for language, words in of_language.items():
        for word in words:
            table.setdefault(word, {})[language] = 1.0 / shared[word]
    return table


def language_scores(lower: str, start: int = 0, end: int | None = None) -> dict[str, float]:
    """Weighted counts of each language's function words in ``lower[start:end]``."""
    marks = _marks()
    scores: dict[str, float] = {}
    for match in _WORD.finditer(lower, start, len(lower) if end is None else end):
        for language, weight in marks.get(match[0], {}).items():
            scores[language] = scores.get(language, 0.0) + weight
    return scores


def detect_language(lower: str, stated: str = ENGLISH) -> str:
    """The language of the whole text; ``stated`` where its words do not tell."""
    return _best(language_scores(lower)) or stated


def _best(scores: Mapping[str, float]) -> str | None:
    ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    if not ranked or ranked[0][1] < MINIMUM_MARKS:
        return None
    if len(ranked) > 1 and ranked[0][1] < MARGIN * ranked[1][1]:
        return None
    return ranked[0][0]


def language_stretches(lower: str, stated: str = ENGLISH) -> list[tuple[int, int, str]]:
    """(start, end, language) of every paragraph, in order: its own language where its words tell, otherwise the report's."""
    whole = detect_language(lower, stated)
    stretches: list[tuple[int, int, str]] = []
    position = 0
    for cut in [*(match.end() for match in _PARAGRAPH.finditer(lower)), len(lower)]:
        if cut > position:
            language = _best(language_scores(lower, position, cut)) or whole
            stretches.append((position, cut, language))
            position = cut
    return stretches
