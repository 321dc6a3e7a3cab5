"""Which language each part of a report is written in, by its function words and by the clinical words of the glossaries."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from weakbox.text.gloss import glossary_languages, load_glossary
from weakbox.text.lexicon import load_words
from weakbox.text.phrasebook import is_known_word, stems_of

ENGLISH = "en"
UNKNOWN = "und"
"""A language that is none of those we know (ISO 639 "undetermined")."""
UNREAD = Path(__file__).parent / "unread_languages.yaml"
_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 1.0
"""Words that a report must hold before its language is believed."""
_FOREIGN_MARGIN = 1.0
"""How many times another language's words must outnumber English ones."""
_UNREAD_ENOUGH = 3.0
_UNREAD_MARGIN = 1.15
_PARAGRAPH_SURE = (2.5, 2.0)
_LINE_SURE = (4.0, 3.0)
"""Points that a paragraph, or a line of one, holds for its own language, and how many times the report's language they outnumber."""
_CLINICAL = 0.7
_LETTER = 0.4
_LATIN_END = "\u024f"
_UNKNOWN_WORDS = 25
_THIN_WORDS = 12
_UNKNOWN_SHARE = 0.08
_OWN_SHARE = 0.11
"""Points a word that a longer text in one of our languages reaches; its neighbours without a glossary stay below."""


@dataclass(slots=True)
class Evidence:
    """What a stretch's words say: points by language, how many words are foreign or English only, how many there are."""

    points: dict[str, float] = field(default_factory=dict)
    foreign: float = 0.0
    words: int = 0
    known: int = 0

    def add(self, other: Evidence) -> None:
        """Takes another stretch's evidence along."""
        for language, weight in other.points.items():
            self.points[language] = self.points.get(language, 0.0) + weight
        self.foreign += other.foreign
        self.words += other.words
        self.known += other.known


_Weights = tuple[tuple[tuple[str, float], ...], float, bool]


@lru_cache(maxsize=1)
def _other_languages() -> Mapping[str, Mapping[str, str]]:
    return dict(yaml.load(UNREAD.read_text(encoding="utf-8"), Loader=yaml.BaseLoader))


@lru_cache(maxsize=1)
def _languages_of_letter() -> Mapping[str, tuple[str, ...]]:
    letters = _other_languages()["letters"]
    return {
        letter: tuple(language for language in letters if letter in letters[language])
        for letter in "".join(letters.values()).replace(" ", "")
    }


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[Mapping[str, set[str]], Mapping[str, set[str]], Mapping[str, Mapping[str, tuple[re.Pattern[str], ...]]]]:
    """By language: function words, clinical words, stems of clinical words. English has its list and the glossaries' English side."""
    marks = {language: set(load_glossary(language).marks) for language in glossary_languages()}
    books = {language: (load_glossary(language).terms, load_glossary(language).headings) for language in glossary_languages()}
    clinical = {language: {word for book in pair for word in book.words if len(word) > 3} for language, pair in books.items()}
    stems = {language: stems_of(words) for language, words in clinical.items()}
    english = load_words(ENGLISH)["marks"]
    marks[ENGLISH] = set(english)
    clinical[ENGLISH] = {word for pair in books.values() for book in pair for word in book.english_words}
    stems[ENGLISH] = {}
    for language, words in _other_languages()["marks"].items():
        marks[language], clinical[language], stems[language] = set(words.split()), set(), {}
    return marks, clinical, stems


_MEMORY: dict[str, _Weights] = {}
_LARGEST_MEMORY = 100_000
_MOST_SHARED = 4
"""A word of more languages tells none from the others."""


def _weights(word: str) -> _Weights:
    """(language, points) of a word, and points where it is of other languages and not of English."""
    marks, clinical, stems = _vocabulary()
    points: dict[str, float] = {}
    for language, own in marks.items():
        if word in own:
            points[language] = 1.0
        elif is_known_word(word, clinical[language], stems[language]):
            points[language] = _CLINICAL
    if not points and not word.isascii():
        points = {language: _LETTER for letter in word for language in _languages_of_letter().get(letter, ())}
    foreign = 0.0 if ENGLISH in points else max(points.values(), default=0.0)
    told = points if len(points) <= _MOST_SHARED else {}
    weights = tuple((language, weight / len(points)) for language, weight in told.items()), foreign, bool(points)
    if len(_MEMORY) > _LARGEST_MEMORY:
        _MEMORY.clear()
    _MEMORY[word] = weights
    return weights


def read_evidence(lower: str, start: int = 0, end: int | None = None) -> Evidence:
    """What the words of ``lower[start:end]`` say of their language."""
    points: dict[str, float] = {}
    foreign, known = 0.0, 0
    words = _WORD.findall(lower, start, len(lower) if end is None else end)
    memory = _MEMORY
    for word in words:
        weights, is_foreign, is_known = memory.get(word) or _weights(word)
        for language, weight in weights:
            points[language] = points.get(language, 0.0) + weight
        foreign += is_foreign
        known += is_known
    return Evidence(points, foreign, len(words), known)


def detect_language(lower: str, stated: str = ENGLISH) -> str:
    """The language of the whole text; ``stated`` where its words do not tell; ``und`` where it is plainly none of ours."""
    return _decided(read_evidence(lower), lower, stated)


def _decided(evidence: Evidence, lower: str, stated: str) -> str:
    if _is_other_script(lower):
        return UNKNOWN
    points = evidence.points
    english = points.get(ENGLISH, 0.0)
    ours = [language for language in glossary_languages() if points.get(language)]
    best = max(ours, key=lambda language: (points[language], language == stated), default=None)
    unread = max((language for language in points if language not in ours and language != ENGLISH), key=points.__getitem__, default=None)
    ours_or_english = max(points[best] if best else 0.0, english)
    if unread and points[unread] >= _UNREAD_ENOUGH and points[unread] > _UNREAD_MARGIN * ours_or_english:
        return unread
    if best is not None and evidence.foreign >= _ENOUGH and evidence.foreign > _FOREIGN_MARGIN * english:
        is_thin = evidence.words >= _THIN_WORDS and points[best] < _OWN_SHARE * evidence.words
        return _without_language(lower, stated) if is_thin else best
    if english >= _ENOUGH:
        return ENGLISH
    is_strange = evidence.words >= _UNKNOWN_WORDS and evidence.known < _UNKNOWN_SHARE * evidence.words
    return _without_language(lower, stated) if is_strange else stated


_ACCENTED = 3
"""Letters beyond ASCII that a text of no known language holds; one without them is garbled or all short forms."""


def _without_language(lower: str, stated: str) -> str:
    return UNKNOWN if sum(not sign.isascii() and sign.isalpha() for sign in lower) >= _ACCENTED else stated


def _is_other_script(lower: str) -> bool:
    """Whether most letters are no Latin ones (Greek, Cyrillic, Arabic, Chinese ...)."""
    if lower.isascii():
        return False
    letters = [sign for sign in lower if sign.isalpha()]
    other = sum(sign > _LATIN_END and not unicodedata.name(sign, "").startswith("LATIN") for sign in letters)
    return other > len(letters) / 2


_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def language_stretches(lower: str, stated: str = ENGLISH) -> list[tuple[int, int, str]]:
    """(start, end, language) of every stretch, in order: a paragraph's own language where its words tell, otherwise the report's."""
    if _is_plainly_english(lower, stated):
        return [(0, len(lower), ENGLISH)]
    paragraphs = [_read_lines(lower, start, end) for start, end in _paragraphs(lower)]
    whole = Evidence()
    for lines in paragraphs:
        for _, _, evidence in lines:
            whole.add(evidence)
    language = _decided(whole, lower, stated)
    if language not in (ENGLISH, *glossary_languages()) or len(whole.points) < 2:
        return [(0, len(lower), language)] if lower else []
    return _joined(stretch for lines in paragraphs for stretch in _paragraph_stretches(lines, language))


_ASCII_WORD = re.compile(r"[a-z]+")
_SURELY_ENGLISH = 4
_MOST_STRANGE = 0.2


def _is_plainly_english(lower: str, stated: str) -> bool:
    """The quick answer for most texts: several English words, and hardly one that only other languages have."""
    if stated != ENGLISH or not lower.isascii():
        return False
    foreign, english = _telling_words()
    words = _ASCII_WORD.findall(lower)
    known = len(english.intersection(words))
    return known >= _SURELY_ENGLISH and len(foreign.intersection(words)) <= _MOST_STRANGE * known


@lru_cache(maxsize=1)
def _telling_words() -> tuple[frozenset[str], frozenset[str]]:
    """Words that only other languages have, and those by which English is known."""
    marks, clinical, _ = _vocabulary()
    english = marks[ENGLISH] | clinical[ENGLISH]
    foreign = {word for language in marks if language != ENGLISH for word in marks[language] | clinical[language]}
    own = {word for word in marks[ENGLISH] if not any(word in marks[language] for language in marks if language != ENGLISH)}
    return frozenset(word for word in foreign - english if len(word) > 1 and word != "rads"), frozenset(own)


def _paragraphs(lower: str) -> list[tuple[int, int]]:
    cuts = [0, *(match.end() for match in _PARAGRAPH.finditer(lower)), len(lower)]
    return [(start, end) for start, end in itertools.pairwise(cuts) if start < end]


def _read_lines(lower: str, start: int, end: int) -> list[tuple[int, int, Evidence]]:
    lines = []
    position = start
    while position < end:
        line_end = lower.find("\n", position, end) + 1 or end
        lines.append((position, line_end, read_evidence(lower, position, line_end)))
        position = line_end
    return lines


def _paragraph_stretches(lines: list[tuple[int, int, Evidence]], language: str) -> Iterable[tuple[int, int, str]]:
    together = Evidence()
    for _, _, evidence in lines:
        together.add(evidence)
    usual = _own_language(together, language, *_PARAGRAPH_SURE) or language
    current = usual
    for start, end, evidence in lines:
        own = _own_language(evidence, current, *_LINE_SURE)
        if own is not None:
            current = own
        elif current != usual and evidence.points.get(usual, 0.0) > evidence.points.get(current, 0.0):
            current = usual
        yield start, end, current


def _own_language(evidence: Evidence, language: str, enough: float, margin: float) -> str | None:
    """The language that a stretch is surely written in; None where its words do not tell it from ``language``."""
    points = evidence.points
    best = max(points, key=points.__getitem__, default=language)
    if points.get(best, 0.0) < enough or best not in (ENGLISH, *glossary_languages()):
        return None
    return best if best == language or points[best] > margin * points.get(language, 0.0) else None


def _joined(stretches: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    joined: list[tuple[int, int, str]] = []
    for start, end, language in stretches:
        if joined and joined[-1][2] == language and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end, language)
        else:
            joined.append((start, end, language))
    return joined
