"""Which language each part of a report is written in, by its function words and by the clinical words of the glossaries."""

from __future__ import annotations

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
_FOREIGN_MARGIN = 1.2
"""How many times another language's words must outnumber English ones."""
_UNREAD_ENOUGH = 3.0
_UNREAD_MARGIN = 1.3
_STRETCH_ENOUGH = 2.5
_STRETCH_MARGIN = 2.0
_CLINICAL = 0.7
_LETTER = 0.4
_LETTERS = {
    "ß": ("de",), "ä": ("de", "sv", "fi"), "ö": ("de", "sv", "fi", "tr", "hu"), "ü": ("de", "tr", "hu"), "å": ("sv", "da"), "æ": ("da",),
    "ø": ("da",), "ñ": ("es",), "ã": ("pt",), "õ": ("pt",), "ç": ("fr", "pt", "tr"), "è": ("fr", "it"), "ê": ("fr", "pt"), "à": ("fr", "it"),
    "ù": ("it", "fr"), "ò": ("it",), "ì": ("it",), "œ": ("fr",), "ł": ("pl",), "ż": ("pl",), "ś": ("pl",), "ą": ("pl",), "ę": ("pl",),
    "ě": ("cs",), "ř": ("cs",), "ů": ("cs",), "ő": ("hu",), "ű": ("hu",), "ğ": ("tr",), "ı": ("tr",), "ş": ("tr",), "ă": ("ro",), "ț": ("ro",),
    "ó": ("es",), "í": ("es",), "ú": ("es",), "é": ("fr", "es"),
}  # fmt: skip
_LATIN_END = "\u024f"
_UNKNOWN_WORDS = 25
_UNKNOWN_SHARE = 0.08


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


_Weights = tuple[tuple[tuple[str, float], ...], float]


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
    for language, words in yaml.safe_load(UNREAD.read_text(encoding="utf-8")).items():
        marks[language], clinical[language], stems[language] = set(words.split()), set(), {}
    return marks, clinical, stems


@lru_cache(maxsize=50_000)
def _weights(word: str) -> _Weights:
    """(language, points) of a word, and 1 where it is of other languages and not of English."""
    marks, clinical, stems = _vocabulary()
    points: dict[str, float] = {}
    for language, own in marks.items():
        if word in own:
            points[language] = 1.0
        elif is_known_word(word, clinical[language], stems[language]):
            points[language] = _CLINICAL
    if not points and not word.isascii():
        points = {language: _LETTER for letter in word for language in _LETTERS.get(letter, ())}
    foreign = max((weight for language, weight in points.items() if language != ENGLISH), default=0.0) if ENGLISH not in points else 0.0
    return tuple((language, weight / len(points)) for language, weight in points.items()), foreign


def read_evidence(lower: str, start: int = 0, end: int | None = None) -> Evidence:
    """What the words of ``lower[start:end]`` say of their language."""
    found = Evidence()
    points = found.points
    words = _WORD.findall(lower, start, len(lower) if end is None else end)
    for word in words:
        weights, foreign = _weights(word)
        for language, weight in weights:
            points[language] = points.get(language, 0.0) + weight
        found.foreign += foreign
        found.known += bool(weights)
    found.words = len(words)
    return found


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
        return best
    if english >= _ENOUGH:
        return ENGLISH
    return UNKNOWN if evidence.words >= _UNKNOWN_WORDS and evidence.known < _UNKNOWN_SHARE * evidence.words else stated


def _is_other_script(lower: str) -> bool:
    """Whether most letters are no Latin ones (Greek, Cyrillic, Arabic, Chinese ...)."""
    if lower.isascii():
        return False
    letters = [sign for sign in lower if sign.isalpha()]
    other = sum(sign > _LATIN_END and not unicodedata.name(sign, "").startswith("LATIN") for sign in letters)
    return other > len(letters) / 2


_LINE = re.compile(r"[^\n]*\n?")
_BLOCK_END = re.compile(r"\n[ \t]*$")


def language_stretches(lower: str, stated: str = ENGLISH) -> list[tuple[int, int, str]]:
    """(start, end, language) of every stretch, in order: a paragraph's own language where its words tell, otherwise the report's."""
    paragraphs = [_read_lines(lower, start, end) for start, end in _paragraphs(lower)]
    whole = Evidence()
    for lines in paragraphs:
        for _, _, evidence in lines:
            whole.add(evidence)
    language = _decided(whole, lower, stated)
    if language not in (ENGLISH, *glossary_languages()) or len(whole.points) < 2:
        return [(0, len(lower), language)] if lower else []
    return _joined(stretch for lines in paragraphs for stretch in _paragraph_stretches(lines, language))


_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def _paragraphs(lower: str) -> list[tuple[int, int]]:
    cuts = [0, *(match.end() for match in _PARAGRAPH.finditer(lower)), len(lower)]
    return [(start, end) for start, end in zip(cuts, cuts[1:], strict=False) if start < end]


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
    usual = _own_language(together, language) or language
    current = usual
    for start, end, evidence in lines:
        own = _own_language(evidence, current)
        if own is not None:
            current = own
        yield start, end, current


def _own_language(evidence: Evidence, language: str) -> str | None:
    """The language that a stretch is surely written in; None where its words do not tell it from ``language``."""
    points = evidence.points
    best = max(points, key=points.__getitem__, default=language)
    if points.get(best, 0.0) < _STRETCH_ENOUGH or best == language:
        return language if points.get(language, 0.0) >= _STRETCH_ENOUGH and best == language else None
    if best not in (ENGLISH, *glossary_languages()):
        return None
    return best if points[best] > _STRETCH_MARGIN * points.get(language, 0.0) else None


def _joined(stretches: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    joined: list[tuple[int, int, str]] = []
    for start, end, language in stretches:
        if joined and joined[-1][2] == language and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end, language)
        else:
            joined.append((start, end, language))
    return joined
