"""Reads reports with grammars: one file an organ and report type, ``grammar/<organ>_<report_type>.py``, found by its name.

A grammar publishes ``read_<report_type>(report, text, sections) -> ReportExtraction``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from weakbox.extractors import grammar
from weakbox.extractors.extractor import abstain
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import Flag, ReportExtraction
from weakbox.records.report import Report, ReportType
from weakbox.runtime.nearest import nearest_name
from weakbox.text.gloss import gloss, glossary_languages
from weakbox.text.language import ENGLISH, language_stretches
from weakbox.text.letterhead import without_letterhead
from weakbox.text.lexicon import base_language
from weakbox.text.lists import with_item_lines
from weakbox.text.normalise import Normalised, normalise
from weakbox.text.sections import TextSection, find_sections

DEFAULT_ORGAN = "prostate"


@cache
def grammar_names() -> tuple[str, ...]:
    """``<organ>_<report_type>`` of every grammar there is, sorted."""
    types = tuple(f"_{report_type.value}" for report_type in ReportType)
    return tuple(sorted(module.name for module in pkgutil.iter_modules(grammar.__path__) if module.name.endswith(types)))


@cache
def load_grammar(organ: str, report_type: ReportType) -> Callable[..., ReportExtraction]:
    """The reader of that organ's reports.

    Raises:
        ConfigurationError: no such grammar; the message names the nearest and lists all.
    """
    name = f"{organ}_{report_type.value}"
    if name not in grammar_names():
        there = ", ".join(grammar_names())
        msg = f"no weakbox/extractors/grammar/{name}.py{nearest_name(name, grammar_names())} (there are: {there})"
        raise ConfigurationError(msg)
    reader: Callable[..., ReportExtraction] = getattr(importlib.import_module(f"{grammar.__name__}.{name}"), f"read_{report_type.value}")
    return reader


class RulesExtractor:
    """The grammars as one extractor."""

    name = "rules"

    def extract(self, report: Report) -> ReportExtraction:
        """What ``report`` states by the grammar of its organ and type."""
        organ = report.organ or DEFAULT_ORGAN
        reader = load_grammar(organ, report.report_type)
        text = without_letterhead(normalise(report.text))
        if not any(character.isalnum() for character in text.text):
            return abstain(report, organ, self.name, "empty", "the report has no words")
        stretches = language_stretches(text.lower, stated_language(report))
        unread = {language for _, _, language in stretches} - {ENGLISH, *glossary_languages()}
        if unread:
            there = ", ".join((ENGLISH, *glossary_languages()))
            names = ", ".join(repr(language) for language in sorted(unread))
            return abstain(report, organ, self.name, "language", f"no glossary for {names} (there are: {there})")
        text = _laid_out(gloss(text, stretches), report)
        read = reader(replace(report, language=ENGLISH), text, find_sections(text, ENGLISH))
        flags = (*read.flags, *_type_flags(text.lower, report.report_type))
        return replace(read, language=main_language(stretches), flags=flags)


def _laid_out(text: Normalised, report: Report) -> Normalised:
    return with_item_lines(text) if report.report_type is ReportType.PATHOLOGY else text


_OF_RADIOLOGY = (
    "pi-rads", "pirads", "bi-rads", "birads", "mri", "mammogra", "ultraso", "dwi", " adc", "t2", "enhanc", "diffusion", "tomosynth",
    "echo", "psa density", "sequence", "hypointens", "density", "coil", "contrast", "restrict",
)  # fmt: skip
_OF_PATHOLOGY = (
    "gleason", "isup", "microscop", "macroscop", "gross", "specimen", " core", "immunohisto", "her2", "receptor", "margin", "formalin",
    "fragment", "perineural", "adenocarcinoma", "carcinoma", "nottingham", "tissue", "hyperplasia", "prostatectomy", "lumpectomy",
    "mastectomy", "needle biops", "histolog", "block", "in situ",
)  # fmt: skip
_FEWEST, _TIMES = 2, 2
"""Kinds of words of the other report type that make a text look like one: so many, and so many times those of its own."""


def _type_flags(lower: str, report_type: ReportType) -> tuple[Flag, ...]:
    """A flag where a text that came as one type reads like the other."""
    own, other = (_OF_RADIOLOGY, _OF_PATHOLOGY) if report_type is ReportType.RADIOLOGY else (_OF_PATHOLOGY, _OF_RADIOLOGY)
    owned, strange = sum(word in lower for word in own), sum(word in lower for word in other)
    if strange < _FEWEST + _TIMES * owned:
        return ()
    name = "pathology" if report_type is ReportType.RADIOLOGY else "radiology"
    return (Flag(path="", code="report_type", detail=f"reads like a {name} report"),)


def main_language(stretches: Sequence[tuple[int, int, str]]) -> str:
    """The language of most characters; English where there are none.

    >>> main_language([(0, 10, "en"), (10, 40, "de")])
    'de'
    """
    lengths: dict[str, int] = {}
    for start, end, language in stretches:
        lengths[language] = lengths.get(language, 0) + end - start
    return max(lengths, key=lengths.__getitem__, default=ENGLISH)


def prepare(report: Report) -> tuple[Normalised, tuple[TextSection, ...]]:
    """The text as the grammars see it, normalised and glossed, and its sections."""
    text = without_letterhead(normalise(report.text))
    text = _laid_out(gloss(text, language_stretches(text.lower, stated_language(report))), report)
    return text, find_sections(text, ENGLISH)


def stated_language(report: Report) -> str:
    """The language that the report's source states; English where it states none."""
    language = base_language(report.language)
    return ENGLISH if language in ("", "auto", "und") else language


def open_rules(options: Mapping[str, Any]) -> RulesExtractor:
    """The extractor for ``extractors: [rules]``.

    Raises:
        ConfigurationError: an option, of which it has none.
    """
    if options:
        msg = f"extraction.options.rules: the extractor `rules` has no options, got {', '.join(sorted(options))}"
        raise ConfigurationError(msg)
    return RulesExtractor()


EXTRACTOR = open_rules
