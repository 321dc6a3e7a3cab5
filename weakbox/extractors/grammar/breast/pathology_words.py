"""Word lists of breast pathology (``weakbox/text/words/breast_pathology/*.yaml``), ready to search."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

import yaml

from weakbox.text.lexicon import WORDS, Lexicon

_FOLDER = WORDS / "breast_pathology"


@cache
def word_lists(name: str) -> Mapping[str, list[str]]:
    """The phrases of one file by their group."""
    return dict(yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


@cache
def lexicon(name: str) -> Lexicon:
    """All groups of one file as one lexicon, labelled by group."""
    return Lexicon({group: [form for phrase in phrases for form in _forms(phrase)] for group, phrases in word_lists(name).items()})


def _forms(expression: str) -> list[str]:
    """The expression with a choice at its start written out, since a lexicon finds phrases by their first letters."""
    if not expression.startswith("(?:"):
        return [expression]
    end = _closing(expression)
    options, rest = expression[3:end], expression[end + 1 :]
    is_optional = rest[:1] in ("?", "*")
    again = f"(?:{options})*" if rest[:1] == "*" else ""
    rest = rest[1:] if is_optional else rest
    forms = [form for option in _options(options) for form in _forms(f"{option}{again}{rest}")]
    return [*forms, *(_forms(rest) if is_optional else [])]


def _closing(expression: str) -> int:
    depth = 0
    for position, character in enumerate(expression):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return position
    msg = f"a phrase closes its parentheses, got {expression!r}"
    raise ValueError(msg)


def _options(choices: str) -> list[str]:
    """The parts between the bars that are in no inner parentheses."""
    parts, depth = [""], 0
    for character in choices:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def any_of(phrases: Iterable[str]) -> str:
    """One expression for a choice of phrases, the longest first."""
    return "(?:" + "|".join(sorted(phrases, key=len, reverse=True)) + ")"


@cache
def choice(name: str, group: str) -> re.Pattern[str]:
    """Any phrase of a group as whole words, in lower-case text."""
    return re.compile(rf"(?<!\w){any_of(word_lists(name)[group])}(?!\w)")
