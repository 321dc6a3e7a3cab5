"""Reads reports of other languages through a glossary: the language's clinical words become the English ones that the grammars know.

A glossary is one YAML file a language (``glossaries/<language>.yaml``; its form is told at the head of ``glossaries/de.yaml``)
that a clinician can read and extend. It is no translation: words without an entry stay, word order stays, and every
replaced stretch keeps its way back to the raw text, so that evidence is always in the report's own words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from weakbox.text.normalise import Edit, EditLayer, Normalised
from weakbox.text.phrasebook import Endings, Found, Phrasebook, word_ranges

GLOSSARIES = Path(__file__).parent / "glossaries"
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\n[ \t]*(?:[-•*>+]|\(?[\w]{1,3}[.)])?[ \t]*)$")
_LOOK_BACK = 8
_PLAIN_CAPITALS = str.maketrans("ÄÖÜÅÉÈÊÀÂÁÍÓÚÎÔÇÑ", "AOUAEEEAAAIOUIOCN")
"""Sentences are cut before A to Z: what stands capitalised after glossing has lost its language's accents."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A pattern (over lower-case text, or over the text itself) and what replaces it; ``\\1`` keeps a group.

    ``when`` are words of which the text must hold one for the pattern to be tried.
    """

    pattern: re.Pattern[str]
    parts: tuple[str | int, ...]
    is_cased: bool = False
    when: tuple[str, ...] = ()

    def finditer(self, text: Normalised, start: int, end: int) -> Iterator[re.Match[str]]:
        """Every match in ``start:end``."""
        if self.when and not any(text.lower.find(word, start, end) >= 0 for word in self.when):
            return iter(())
        return self.pattern.finditer(text.text if self.is_cased else text.lower, start, end)


@dataclass(frozen=True, slots=True)
class Glossary:
    """A language's words: ``rewrites`` run first, then ``headings`` where a heading can stand, and ``terms`` everywhere."""

    language: str
    marks: frozenset[str]
    has_capital_nouns: bool
    rewrites: tuple[Rewrite, ...]
    headings: Phrasebook
    terms: Phrasebook


@lru_cache(maxsize=1)
def glossary_languages() -> tuple[str, ...]:
    """Languages with a glossary, sorted; English needs none."""
    return tuple(sorted(path.stem for path in GLOSSARIES.glob("*.yaml")))


@lru_cache(maxsize=16)
def load_glossary(language: str) -> Glossary:
    """The glossary of a language; every value is read as text, so that "no" and "on" stay words.

    Raises:
        FileNotFoundError: there is none (see ``glossary_languages``).
        ValueError: a phrase that does not begin with a letter, brackets that do not pair.
    """
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    content: Mapping[str, Any] = yaml.load((GLOSSARIES / f"{language}.yaml").read_text(encoding="utf-8"), Loader=loader)
    spellings = str.maketrans(content.get("spellings") or {})
    terms = [pair for group in content["terms"].values() for pair in _pairs(group, spellings)]
    return Glossary(
        language=language,
        marks=frozenset(spelling for word in content["marks"].split() for spelling in _spellings(word, spellings)),
        has_capital_nouns=content.get("nouns") == "capital",
        rewrites=tuple(_rewrite(rule) for rule in content.get("rewrites") or ()),
        headings=Phrasebook(_pairs(content["headings"], spellings)),
        terms=Phrasebook(terms, _endings(content.get("endings", ""))),
    )


def _endings(words: str) -> Endings:
    """Endings "en e as>o" (``as`` stands for ``o``), the longest first."""
    pairs = [word.partition(">") for word in words.split()]
    return tuple(sorted(((ending, base) for ending, _, base in pairs), key=lambda pair: -len(pair[0])))


def _pairs(group: Mapping[str, str], spellings: Mapping[int, str]) -> list[tuple[str, str]]:
    """(phrase, English) of a group; other spellings come last, so that a word as the language writes it counts first."""
    plain = [(phrase.strip(), str(english)) for english, phrases in group.items() for phrase in phrases.split(";")]
    return plain + [(other, english) for phrase, english in plain for other in _spellings(phrase, spellings) if other != phrase]


_SHORTEST_RESPELT = 4
"""Shorter words without their accents are too often other words."""


def _spellings(phrase: str, spellings: Mapping[int, str]) -> tuple[str, ...]:
    """A phrase as the language writes it, with ``spellings``, and without accents."""
    if phrase.isascii() or len(phrase) < _SHORTEST_RESPELT:
        return (phrase,)
    respelt = phrase.translate(spellings)
    bare = "".join(sign for sign in unicodedata.normalize("NFD", respelt) if not unicodedata.combining(sign))
    return tuple(dict.fromkeys((phrase, respelt, bare)))


_GROUP = re.compile(r"\\(\d)")


def _rewrite(rule: Mapping[str, str]) -> Rewrite:
    pieces = _GROUP.split(str(rule["to"]))
    parts = tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces))
    is_cased = "cased" in rule
    when = tuple(word.strip() for word in rule.get("when", "").split(";") if word.strip())
    return Rewrite(pattern=re.compile(rule["cased" if is_cased else "from"]), parts=parts, is_cased=is_cased, when=when)


def gloss(text: Normalised, stretches: Iterable[tuple[int, int, str]]) -> Normalised:
    """The text with each stretch (start, end, language) glossed; stretches are in order, do not overlap, and may be partial."""
    chosen = [(start, end, load_glossary(language)) for start, end, language in stretches if language in glossary_languages()]
    if not chosen:
        return text
    first: list[Edit] = []
    for start, end, glossary in chosen:
        first += _free(_rewrite_edits(text, start, end, glossary.rewrites), text.masked)
    rewritten = _edited(text, first)
    moved = _moved([(start, end) for start, end, _ in chosen], first)
    second: list[Edit] = []
    for (start, end), (_, _, glossary) in zip(moved, chosen, strict=True):
        second += _free(_term_edits(rewritten, start, end, glossary), rewritten.masked)
    glossed = _edited(rewritten, second)
    return replace(glossed, text=glossed.text.translate(_PLAIN_CAPITALS))


def _rewrite_edits(text: Normalised, start: int, end: int, rewrites: Iterable[Rewrite]) -> list[Edit]:
    found = [
        _match_edits(match, rewrite.parts)
        for rewrite in rewrites
        for match in rewrite.finditer(text, start, end)
        if match.start() < match.end()
    ]
    edits: list[Edit] = []
    reached = start
    for first, last, pieces in sorted(found, key=lambda entry: (entry[0], -entry[1])):
        if first >= reached:
            edits += pieces
            reached = last
    return edits


def _match_edits(match: re.Match[str], parts: tuple[str | int, ...]) -> tuple[int, int, list[Edit]]:
    """Edits that replace what lies between the kept groups; one edit over all where groups change their order."""
    kept = [part for part in parts if isinstance(part, int) and match[part]]
    spans = [match.span(group) for group in kept]
    if spans != sorted(set(spans)):
        words = "".join(part if isinstance(part, str) else match[part] or "" for part in parts)
        return match.start(), match.end(), [(match.start(), match.end(), words)]
    edits: list[Edit] = []
    position, words = match.start(), ""
    for part in parts:
        if isinstance(part, str):
            words += part
        elif part in kept:
            edits += _edit(match.string, position, match.start(part), words)
            position, words = match.end(part), ""
    return match.start(), match.end(), edits + _edit(match.string, position, match.end(), words)


def _edit(text: str, start: int, end: int, words: str) -> list[Edit]:
    """One edit, none where nothing changes; an insertion takes the character before it along."""
    if text[start:end] == words:
        return []
    if start == end and start:
        return [(start - 1, end, text[start - 1] + words)]
    return [(start, end, words)]


_SUM = re.compile(r"[ \t]?\+")
"""What makes "Gleason 4" the first half of a score, and no share of a pattern."""
_SHORTEST_ABBREVIATION = 5
_LINE_LEAD = " \t*_=#->•+"
_HEADING_LEAD = re.compile(r"(?:(?:^|\n)[ \t*_=#>•+-]*(?:\(?(?:\d{1,2}|[A-Za-z]|[IVX]{1,4})[.)][ \t]*)?|[.;!?:][ \t]+|\|[ \t]*|--[ \t]*)$")
_HEADING_END = re.compile(r"[ \t]*(?:\([^()\n]{0,40}\)[ \t]*)?(?:[*_]{0,3}:|[*_]{2,3}|[ \t]-[ \t]|[ \t*_=#\-.>\])]*(?:\n|$))")

_STOP_HEADING_END = re.compile(r"\.[ \t]+(?=[A-ZÄÖÜÅÉ\d])")
"""Some hospitals set a full stop after their headings."""
_RUN_ON_HEADING_END = re.compile(r"[ \t](?![ \t]*(?:\d{1,2}|[A-Z]|[IVX]{1,4})\b[ \t]*[:.)=-])")
_HEADING_TAIL = re.compile(
    r"[ \t]+(?:por|per|je|pro|par|pr|nach|según|enligt|volgens|selon|der|des|de|del|du|van|av)[ \t]+[^\W\d_]+"
    r"(?:[ \t]+[^\W\d_]+)?(?=[ \t]*:)"
)
"""What a heading may add before its colon: "Diagnóstico por frasco:", "Diagnose je Gefäß:"."""
_OPEN_HEADINGS = ("Addendum", "Corrected report")
_OPEN_HEADING_END = re.compile(r"[^\n:]{0,60}:|[ \t]+(?:\S+[ \t]+){0,2}\d{1,2}[./]")


def _term_edits(text: Normalised, start: int, end: int, glossary: Glossary) -> list[Edit]:
    lower, headings, terms = text.lower, glossary.headings, glossary.terms
    edits: list[Edit] = []
    reached, after_stop = start, -2
    for match in word_ranges(lower, start, end):
        first, last = match.span()
        if first < reached:
            continue
        found = _heading_at(text.text, headings, lower, first, last, end) if headings.opens_with(match[0]) else None
        if found is None and terms.opens_with(match[0]):
            found = terms.longest(lower, first, last, end)
        if found is None and lower[last : last + 1] == "." and last - first >= _SHORTEST_ABBREVIATION:
            found = terms.abbreviated(lower, first, last, end)
        if found is not None and found.english.startswith("pattern") and _SUM.match(lower, found.end, end):
            found = None
        if found is None or _is_part_of_code(lower, first, last) or (found.end - first == 1 and text.text[first].isupper()):
            continue
        goes_on = first <= after_stop + 1
        if found.has_stop:
            found = _with_stop(text.text, found, glossary)
            after_stop = found.end
        edits += _found_edits(text.text, found, goes_on=goes_on)
        reached = found.end
    return edits


def _is_part_of_code(lower: str, start: int, end: int) -> bool:
    """Letters of ``7a``, ``T2w`` or ``B3``; a unit right after its number is none."""
    before, after = lower[start - 1 : start], lower[end : end + 1]
    return (before.isdigit() and lower[start:end] not in ("mm", "cm", "h")) or before == "_" or (after.isdigit() and end - start < 3)


def _heading_at(text: str, headings: Phrasebook, lower: str, start: int, end: int, stop: int) -> Found | None:
    """A heading's words where a heading can stand, followed by a colon, alone on the line, or in capitals."""
    if not _HEADING_LEAD.search(text, max(0, start - 14), start):
        return None
    found = headings.longest(lower, start, end, stop)
    if found is None:
        return None
    found = _with_second_heading(headings, lower, found, stop)
    words = text[found.start : found.end]
    is_line = text[text.rfind("\n", 0, start) + 1 : start].strip(_LINE_LEAD) == ""
    if _HEADING_END.match(text, found.end) and (is_line or words[0].isupper()):
        return found
    if is_line and words[0].isupper() and _STOP_HEADING_END.match(text, found.end) and not found.has_stop:
        return found._replace(end=found.end + 1, english=f"{found.english}:")
    tail = _HEADING_TAIL.match(lower, found.end, stop) if is_line else None
    if tail is not None:
        return found._replace(end=tail.end())
    if is_line and found.english in _OPEN_HEADINGS and _OPEN_HEADING_END.match(text, found.end):
        return found
    return found if is_line and len(words) > 4 and words.isupper() and _RUN_ON_HEADING_END.match(text, found.end) else None


_AND = re.compile(r"[ \t]*(?:,|/|&|\+|\b(?:und|u\.|en|och|o|y|e|et)\b)[ \t]*")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_RANKS = ("Diagnosis", "Findings", "Impression", "Microscopic description", "Gross description", "Specimens", "Comment", "Recommendation")
"""Which of two headings in one ("Mikroskopie und Beurteilung") says what the section is."""


def _with_second_heading(headings: Phrasebook, lower: str, found: Found, stop: int) -> Found:
    """ "Mikroskopie und Beurteilung" is one heading."""
    joint = _AND.match(lower, found.end, stop)
    word = _FIRST_WORD.match(lower, joint.end(), stop) if joint else None
    second = headings.longest(lower, word.start(), word.end(), stop) if word and headings.opens_with(word[0]) else None
    if second is None or not _HEADING_END.match(lower, second.end):
        return found
    names = (found.english, second.english)
    best = min(names, key=lambda name: _RANKS.index(name) if name in _RANKS else len(_RANKS))
    return found._replace(end=second.end, english=best)


_CAPITALISED = re.compile(r"[ \t]+(?P<word>[^\W\d_]+)")
_WRAPPED = re.compile(r"[ \t]*\n[ \t]*(?=[^\W\d_])")


_NAMES = frozenset(("gleason", "nottingham", "elston", "bloom", "likert"))


def _with_stop(text: str, found: Found, glossary: Glossary) -> Found:
    """An abbreviation with its full stop, which stays where it also ends the sentence.

    It does before a line end and before a capitalised word: a function word where the language writes its nouns so too.
    """
    wrapped = _WRAPPED.match(text, found.end)
    if wrapped is not None:
        goes_on = text[wrapped.end()].islower()
        return found._replace(end=wrapped.end(), english=f"{found.english} ") if goes_on else found._replace(end=found.end - 1)
    if not text[found.end : found.end + 3].strip(" \t"):
        return found._replace(end=found.end - 1)
    following = _CAPITALISED.match(text, found.end)
    ends = following is not None and following["word"][0].isupper() and _begins_sentence(following["word"], glossary)
    return found._replace(end=found.end - 1) if ends else found


def _begins_sentence(word: str, glossary: Glossary) -> bool:
    if glossary.has_capital_nouns:
        return word.lower() in glossary.marks
    return len(word) > 2 and not word.isupper() and word.lower() not in _NAMES


def _found_edits(text: str, found: Found, *, goes_on: bool) -> list[Edit]:
    """``goes_on``: an abbreviation's full stop stands before the words, no sentence's."""
    english = _cased(text, found.start, found.end, found.english, goes_on=goes_on)
    if english and text[found.end - 1 : found.end] == "'" and text[found.end : found.end + 1].isalpha():
        english += " "
    if not english:
        end = found.end + 1 if text[found.end : found.end + 1] == " " else found.end
        return [(found.start, end, "")]
    if not found.numbers:
        return [(found.start, found.end, english)]
    edits: list[Edit] = []
    position = found.start
    pieces = english.split("#")
    for words, (first, last) in zip(pieces, found.numbers, strict=False):
        edits += _edit(text, position, first, words)
        position = last
    return edits + _edit(text, position, found.end, pieces[-1])


def _free(edits: list[Edit], masked: tuple[tuple[int, int], ...]) -> list[Edit]:
    """Edits that touch no placeholder."""
    return edits if not masked else [edit for edit in edits if not any(first < edit[1] and edit[0] < last for first, last in masked)]


def _cased(text: str, start: int, end: int, english: str, *, goes_on: bool) -> str:
    """The English words in the case of the words they stand for; a capital inside a sentence (German nouns) is no title."""
    words = text[start:end]
    if len(words) > 4 and words.isupper():
        return english.upper()
    if not goes_on and words[0].isupper() and _SENTENCE_START.search(text[max(0, start - _LOOK_BACK) : start]):
        return english[:1].upper() + english[1:]
    return english


def _edited(text: Normalised, edits: list[Edit]) -> Normalised:
    if not edits:
        return text
    pieces: list[str] = []
    position = 0
    for start, end, words in edits:
        pieces += (text.text[position:start], words)
        position = end
    pieces.append(text.text[position:])
    changed = "".join(pieces)
    return replace(
        text,
        text=changed,
        lower=changed.lower(),
        layers=(*text.layers, EditLayer(edits)),
        repaired=tuple(_moved(text.repaired, edits)),
        masked=tuple(_moved(text.masked, edits)),
    )


def _moved(ranges: Iterable[tuple[int, int]], edits: list[Edit]) -> list[tuple[int, int]]:
    """Ranges of the text before the edits, in the text after them; a range that cuts an edit grows to hold it."""
    return [(_shift(start, edits, is_end=False), _shift(end, edits, is_end=True)) for start, end in ranges]


def _shift(position: int, edits: list[Edit], *, is_end: bool) -> int:
    shift = 0
    for start, end, words in edits:
        if end <= position:
            shift += len(words) - (end - start)
        elif start < position:
            return start + shift + (len(words) if is_end else 0)
        else:
            break
    return position + shift
