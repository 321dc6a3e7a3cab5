"""The words of de-identification, of all languages together: ``words/deidentify/<language>.yaml`` and ``clinical.yaml``.

All languages count in every report: names and headers travel between languages more than sentences do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from weakbox.text.gloss import glossary_languages, load_glossary
from weakbox.text.lexicon import WORDS

FOLDER = WORDS / "deidentify"
CLINICAL = "clinical"
LISTS = (
    "titles",
    "roles",
    "name_labels",
    "name_cues",
    "closings",
    "id_labels",
    "phone_labels",
    "date_labels",
    "address_labels",
    "institution_labels",
    "institution_words",
    "ages_after",
    "ages_before",
    "stops",
    "given_names",
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class PhiWords:
    """Every list of every language, in one; ``months`` gives the month's number by its lower-case name."""

    lists: Mapping[str, tuple[str, ...]]
    months: Mapping[str, int]
    eponyms: frozenset[str]

    def alternation(self, *names: str) -> str:
        """The words of some lists as one pattern, the longest first; blanks match any blanks within a line."""
        return as_alternation(word for name in names for word in self.lists[name])

    def lower(self, name: str) -> frozenset[str]:
        """A list's words in lower case."""
        return frozenset(word.lower() for word in self.lists[name])


def as_alternation(words: Iterable[str]) -> str:
    """Words as a pattern, the longest first."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return "|".join(r"[ \t]+".join(re.escape(part) for part in word.split()) for word in ordered)


@cache
def deidentify_languages() -> tuple[str, ...]:
    """Languages with words, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != CLINICAL))


@cache
def phi_words() -> PhiWords:
    """The words of all languages."""
    contents = [_load(language) for language in deidentify_languages()]
    lists = {name: tuple(dict.fromkeys(word for content in contents for word in content.get(name) or ())) for name in LISTS}
    months = {name.lower(): int(number) for content in contents for name, number in (content.get("months") or {}).items()}
    return PhiWords(lists=lists, months=months, eponyms=frozenset(word.lower() for word in _load(CLINICAL)["eponyms"]))


def _load(name: str) -> Mapping[str, Any]:
    # every scalar is a word: "no" and "on" are no truth values here
    content: Mapping[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return content


@cache
def clinical_words() -> frozenset[str]:
    """Lower-case words of the glossaries, of both sides, and of the English lists: no surname is told by them alone."""
    words = set(_load(CLINICAL)["words"])
    words |= set(_WORD.findall((WORDS / "en.yaml").read_text(encoding="utf-8").lower()))
    for language in glossary_languages():
        glossary = load_glossary(language)
        words |= {word for book in (glossary.terms, glossary.headings) for word in (*book.words, *book.english_words)} | glossary.marks
    return frozenset(word for word in words if len(word) > 1) - frozenset(word.lower() for word in phi_words().lists["given_names"])


@cache
def month_families(language: str = "en") -> tuple[dict[int, str], ...]:
    """The first full name and the first short name of each month, by number: two families a language, ``language`` first."""
    ordered = sorted(deidentify_languages(), key=lambda name: (name != language, name != "en", name))
    return tuple(_family(_load(name).get("months") or {}, sign) for name in ordered for sign in (-1, 1))


def _family(months: Mapping[str, str], sign: int) -> dict[int, str]:
    """By number the shortest (``sign`` 1) or the longest (-1) name; of names of one length the first."""
    family: dict[int, str] = {}
    for name, number in months.items():
        known = family.get(int(number))
        if known is None or sign * len(name) < sign * len(known):
            family[int(number)] = name
    return family
