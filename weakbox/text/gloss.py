"""Reads reports of other languages through a glossary: the language's clinical words become the English ones that the grammars know.

A glossary is one YAML file a language (``glossaries/<language>.yaml``) that a clinician can read and extend. It is no
translation: words without an entry stay, word order stays, and every replaced stretch keeps its way back to the raw
text, so that evidence is always in the report's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from weakbox.text.lexicon import Lexicon
from weakbox.text.normalise import Edit, EditLayer, Normalised

GLOSSARIES = Path(__file__).parent / "glossaries"
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\n[ \t]*(?:[-•*>+]|\(?[\w]{1,3}[.)])?[ \t]*)$")
_LOOK_BACK = 8


@dataclass(frozen=True, slots=True)
class Glossary:
    """A language's words: ``rewrites`` (pattern, replacement) run first, ``headings`` and ``terms`` after them."""

    language: str
    marks: frozenset[str]
    rewrites: tuple[tuple[re.Pattern[str], str], ...]
    words: Lexicon


@lru_cache(maxsize=1)
def glossary_languages() -> tuple[str, ...]:
    """Languages with a glossary, sorted; English needs none."""
    return tuple(sorted(path.stem for path in GLOSSARIES.glob("*.yaml")))


@lru_cache(maxsize=16)
def load_glossary(language: str) -> Glossary:
    """The glossary of a language.

    Raises:
        FileNotFoundError: there is none (see ``glossary_languages``).
    """
    content: Mapping[str, Any] = yaml.safe_load((GLOSSARIES / f"{language}.yaml").read_text(encoding="utf-8"))
    phrases: dict[str, list[str]] = {}
    for group in (content["headings"], *content["terms"].values()):
        for english, expressions in group.items():
            phrases.setdefault(str(english), []).extend(expressions)
    rewrites = tuple((re.compile(rule["from"]), str(rule["to"])) for rule in content.get("rewrites", ()))
    return Glossary(language=language, marks=frozenset(content["marks"]), rewrites=rewrites, words=Lexicon(phrases))


def gloss(text: Normalised, stretches: Iterable[tuple[int, int, str]]) -> Normalised:
    """The text with each stretch (start, end, language) glossed; stretches are in order, do not overlap, and may be partial."""
    chosen = [(start, end, load_glossary(language)) for start, end, language in stretches if language in glossary_languages()]
    if not chosen:
        return text
    first: list[Edit] = []
    for start, end, glossary in chosen:
        first += _free(_rewrite_edits(text.lower, start, end, glossary.rewrites), text.masked)
    rewritten = _edited(text, first)
    moved = _moved([(start, end) for start, end, _ in chosen], first)
    second: list[Edit] = []
    for (start, end), (_, _, glossary) in zip(moved, chosen, strict=True):
        edits = [
            (hit.start, hit.end, _cased(rewritten.text, hit.start, hit.end, hit.label))
            for hit in glossary.words.find(rewritten.lower, start, end)
        ]
        second += _free(edits, rewritten.masked)
    return _edited(rewritten, second)


def _rewrite_edits(lower: str, start: int, end: int, rewrites: Iterable[tuple[re.Pattern[str], str]]) -> list[Edit]:
    found = [
        (match.start(), match.end(), match.expand(template))
        for pattern, template in rewrites
        for match in pattern.finditer(lower, start, end)
        if match.start() < match.end()
    ]
    edits: list[Edit] = []
    for edit in sorted(found, key=lambda edit: (edit[0], -edit[1])):
        if not edits or edit[0] >= edits[-1][1]:
            edits.append(edit)
    return edits


def _free(edits: Iterable[Edit], masked: tuple[tuple[int, int], ...]) -> list[Edit]:
    """Edits that touch no placeholder."""
    return [edit for edit in edits if not any(first < edit[1] and edit[0] < last for first, last in masked)]


def _cased(text: str, start: int, end: int, english: str) -> str:
    """The English words in the case of the words they stand for; a capital inside a sentence (German nouns) is no title."""
    words = text[start:end]
    if len(words) > 4 and words.isupper():
        return english.upper()
    if words[0].isupper() and _SENTENCE_START.search(text[max(0, start - _LOOK_BACK) : start]):
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
