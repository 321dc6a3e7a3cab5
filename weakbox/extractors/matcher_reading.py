"""A report as the second reader sees it: tokens, marked concepts, and simple windows for what negates or dates them.

Nothing here is shared with the grammars or the text layer: other tokens, other words, other context, so that the two
readers err differently.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from weakbox.records.stated import Span

if TYPE_CHECKING:
    from spacy.matcher import PhraseMatcher
    from spacy.vocab import Vocab

WORDS = Path(__file__).parent / "matcher_words.yaml"
LONGEST = 200_000
"""Characters that are read of one report: a report is shorter, and the reader must stay quick on what is none."""
_TOKEN = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+|\n|[^\w\s]")
_MILLIMETRES = {"mm": 1.0, "cm": 10.0}
_TIMES = frozenset({"x", "×", "*", "by"})
_BEFORE, _NEGATION_WINDOW, _PRIOR_WINDOW = 5, 6, 8
_SHORT_FORM = re.compile(r"\([A-Za-z]{2,6}\)")


@dataclass(frozen=True, slots=True)
class Mark:
    """A concept at tokens ``start``..``end`` (half-open)."""

    concept: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One to three diameters in mm, as written, at tokens ``start``..``end``."""

    values: tuple[float, ...]
    start: int
    end: int


@dataclass(slots=True)
class Reading:
    """Tokens with raw offsets, the sentence of each, and the marks by concept."""

    raw: str
    words: list[str]
    """Lower case; a line's end is a token of its own."""
    cased: list[str]
    starts: list[int]
    sentence: list[int]
    marks: dict[str, list[Mark]] = field(default_factory=dict)
    is_history: list[bool] = field(default_factory=list)

    def of(self, *concepts: str, start: int = 0, end: int | None = None) -> list[Mark]:
        """Marks of the concepts within a stretch of tokens, in order."""
        stop = len(self.words) if end is None else end
        found = [mark for concept in concepts for mark in self.marks.get(concept, ()) if start <= mark.start and mark.end <= stop]
        return sorted(found, key=lambda mark: (mark.start, mark.end))

    def span(self, start: int, end: int) -> Span:
        """Raw offsets of tokens ``start``..``end``."""
        return Span(start=self.starts[start], end=self.starts[end - 1] + len(self.cased[end - 1]))

    def number(self, index: int) -> float | None:
        """The number that a token is."""
        if 0 <= index < len(self.words) and self.words[index][0].isdigit():
            try:
                return float(self.words[index].replace(",", "."))
            except ValueError:  # digits of other scripts, such as superscripts
                return None
        return None

    def has_before(self, index: int, concept: str, window: int) -> bool:
        """Whether a mark of the concept ends up to ``window`` tokens before ``index``, in its sentence."""
        marks = self.marks.get(concept, ())
        return any(index - window <= mark.end <= index and self.sentence[mark.start] == self.sentence[index] for mark in marks)

    def is_current(self, index: int) -> bool:
        """Neither prior, nor of the family, nor in the history."""
        if self.is_history[index]:
            return False
        return not self.has_before(index, "prior", _PRIOR_WINDOW) and not self.has_before(index, "family", 2 * _PRIOR_WINDOW)

    def is_negated(self, index: int) -> bool:
        """A negation stands close before, in the sentence."""
        return self.has_before(index, "negated", _NEGATION_WINDOW)


class _Tokens:
    """A spaCy tokenizer that parts digits from letters and keeps line ends."""

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Any:
        from spacy.tokens import Doc

        return Doc(self.vocab, words=_TOKEN.findall(text) or [" "])


@lru_cache(maxsize=1)
def _pipeline() -> tuple[Any, PhraseMatcher]:
    import spacy
    from spacy.matcher import PhraseMatcher

    nlp = spacy.blank("xx")
    nlp.tokenizer = _Tokens(nlp.vocab)
    matcher = PhraseMatcher(nlp.vocab, attr="LOWER")
    for concept, phrases in load_concepts().items():
        matcher.add(concept, [nlp.make_doc(phrase) for phrase in phrases])
    return nlp, matcher


@cache
def load_concepts() -> Mapping[str, tuple[str, ...]]:
    """Concept -> phrases, of every group of the word file."""
    groups: dict[str, dict[str, list[Any]]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return {concept: tuple(str(phrase) for phrase in phrases) for group in groups.values() for concept, phrases in group.items()}


def read(text: str) -> Reading:
    """The report's tokens and marks; what lies beyond ``LONGEST`` characters is not looked at."""
    nlp, matcher = _pipeline()
    matches = list(_TOKEN.finditer(text[:LONGEST]))
    cased = [match[0] for match in matches]
    starts = [match.start() for match in matches]
    reading = Reading(raw=text, words=[word.lower() for word in cased], cased=cased, starts=starts, sentence=_sentences(cased))
    if not cased:
        return reading
    from spacy.tokens import Doc

    doc = Doc(nlp.vocab, words=cased)
    names = nlp.vocab.strings
    for key, start, end in matcher(doc):
        reading.marks.setdefault(names[key], []).append(Mark(names[key], start, end))
    _add_short_forms(nlp, doc, reading)
    for concept, marks in reading.marks.items():
        reading.marks[concept] = _longest(marks)
    reading.is_history = _history(reading)
    return reading


def _sentences(words: Sequence[str]) -> list[int]:
    numbers, current = [], 0
    for word in words:
        numbers.append(current)
        current += word in {".", ";", "\n", "!", "?"}
    return numbers


def _longest(marks: Iterable[Mark]) -> list[Mark]:
    """Without marks that lie in a longer one of the same concept."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.start, -mark.end)):
        if not kept or mark.end > kept[-1].end:
            kept.append(mark)
    return kept


def _history(reading: Reading) -> list[bool]:
    """Tokens under a heading such as "Clinical history:", up to the next heading."""
    words, inside = reading.words, [False] * len(reading.words)
    headings = {mark.start: mark.end for mark in reading.marks.get("history", ())}
    lines = [0, *(index + 1 for index, word in enumerate(words[:-1]) if word == "\n")]
    is_inside = False
    for start, end in zip(lines, [*lines[1:], len(words)], strict=True):
        colon = next((index for index in range(start, min(start + _BEFORE, end)) if words[index] == ":"), None)
        is_short = end - start <= _BEFORE and all(word.isalpha() or word in "\n&" for word in words[start:end])
        if start in headings and (colon is not None or is_short):
            is_inside = True
        elif (colon is not None or (is_short and end - start > 1)) and words[start].isalpha():
            is_inside = False
        inside[start:end] = [is_inside] * (end - start)
    return inside


@lru_cache(maxsize=1)
def _abbreviations() -> Any | None:
    """scispaCy's detector of report-defined short forms (Schwartz and Hearst 2003), where it is installed."""
    if importlib.util.find_spec("scispacy") is None:
        return None
    detector = importlib.import_module("scispacy.abbreviation").AbbreviationDetector(_pipeline()[0])
    # it begins without phrases and spaCy warns of an empty matcher at every report: give it one that no report holds
    detector.global_matcher.add("none", [[{"ORTH": "\ue000"}]])
    return detector


def _add_short_forms(nlp: Any, doc: Any, reading: Reading) -> None:
    """A short form that the report defines for a concept is a mark of it wherever it stands."""
    if not _SHORT_FORM.search(reading.raw) or (detector := _abbreviations()) is None:
        return
    ends = {(mark.start, mark.end): concept for concept, marks in reading.marks.items() for mark in marks}
    for short in detector(doc)._.abbreviations:
        long = short._.long_form
        concept = ends.get((long.start, long.end))
        if concept is not None:
            reading.marks[concept].append(Mark(concept, short.start, short.end))


def measurements(reading: Reading, start: int, end: int) -> Iterator[Measurement]:
    """Diameters with a unit, except those that a word close before or after ties to something other than a lesion."""
    index = start
    while index < end:
        found = _measurement(reading, index, end)
        if found is None:
            index += 1
            continue
        index = found.end
        if not _is_of_something_else(reading, found):
            yield found


def _measurement(reading: Reading, index: int, end: int) -> Measurement | None:
    values: list[float] = []
    units: list[str] = []
    position = index
    while position < end and (number := reading.number(position)) is not None and len(values) < 3:
        values.append(number)
        position += 1
        if position < end and reading.words[position] in _MILLIMETRES:
            units.append(reading.words[position])
            position += 1
        if position + 1 < end and reading.words[position] in _TIMES and reading.number(position + 1) is not None:
            position += 1
            continue
        break
    if not values or not units:
        return None
    return Measurement(tuple(round(value * _MILLIMETRES[units[-1]], 2) for value in values), index, position)


def _is_of_something_else(reading: Reading, found: Measurement) -> bool:
    sentence = reading.sentence[found.start]
    near = [mark for mark in reading.marks.get("not_a_lesion", ()) if reading.sentence[mark.start] == sentence]
    before = [mark for mark in near if found.start - 4 <= mark.end <= found.start and "," not in reading.words[mark.end : found.start]]
    return bool(before) or any(found.end <= mark.start <= found.end + 2 for mark in near)
