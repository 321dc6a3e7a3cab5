"""Takes what identifies a person out of a report's text and keeps the way back, so that evidence found in one text maps to the other.

Rules find names, days, numbers, addresses and institutions in six languages at once (``words/deidentify``); presidio's
recognisers are added where the extra ``deid`` is installed. Scores, sizes, clock positions and the names in medical terms stay.
What replaces the words is a placeholder that the text layer knows (``<DATE>``), a stand-in made from a key, or, for days, the
day moved by the patient's own shift. De-identification by rules is never complete: docs/deidentification.md has what was measured.
"""

from __future__ import annotations

import importlib.util
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record
from weakbox.records.stated import Span
from weakbox.text.deidentify_dates import find_dates, shifted_date, year_of
from weakbox.text.deidentify_detection import Detection, PhiKind
from weakbox.text.deidentify_guard import eponym_spans, protected_spans
from weakbox.text.deidentify_names import find_names
from weakbox.text.deidentify_numbers import find_numbers
from weakbox.text.deidentify_places import find_places
from weakbox.text.deidentify_surrogates import surrogate
from weakbox.text.language import ENGLISH, detect_language
from weakbox.text.normalise import EditLayer, placeholder_spans

RULES, PRESIDIO = "rules", "presidio"
SHORTEST_KEY = 16
_RANKS = {kind: rank for rank, kind in enumerate(
    (PhiKind.NATIONAL_ID, PhiKind.EMAIL, PhiKind.URL, PhiKind.UID, PhiKind.PERSON, PhiKind.ADDRESS, PhiKind.INSTITUTION, PhiKind.BIRTH_DATE,
     PhiKind.DATE, PhiKind.PHONE,
     PhiKind.ID, PhiKind.TIME, PhiKind.AGE)
)}  # fmt: skip
"""Of overlapping finds of one length the first kind names the whole."""


class Operator(StrEnum):
    """What becomes of identifying words."""

    MASK = "mask"
    """``<PERSON>``, ``<DATE>`` ..."""
    SURROGATE = "surrogate"
    """A stand-in of the same kind and length class, made from the key; the same words always get the same one. Not for days."""
    SHIFT = "shift"
    """Days only: moved by ``date_shift_days``; a day that cannot be read surely is masked."""
    YEAR = "year"
    """Days only: the year stays, which keeps the order of values of several years; a day of birth is masked."""


@record
class DeidentifyOptions:
    """How a text is de-identified.

    ``date_shift_days`` is the patient's own shift, as exports use it (``ResearchIdentity.date_shift_days``), so that intervals
    between text, images and tables stay. ``known`` are names and numbers of this patient from elsewhere. ``recognisers``: None
    is all that are installed. ``keep``: kinds that stay as they are.
    """

    operator: Operator = Operator.MASK
    dates: Operator = Operator.MASK
    key: bytes = b""
    date_shift_days: int | None = None
    is_month_first: bool = False
    """Whether ``03/04/2021`` is a day of March."""
    known: tuple[str, ...] = ()
    keep: frozenset[PhiKind] = frozenset()
    recognisers: tuple[str, ...] | None = None


@record
class Replacement:
    """One stretch that was replaced: where it stood, where what replaced it stands, what kind it was and who found it."""

    original: Span
    now: Span
    kind: PhiKind
    source: str


@record
class Deidentified:
    """The text without what identifies, what was replaced, and the way between both texts."""

    text: str
    replacements: tuple[Replacement, ...]
    recognisers: tuple[str, ...]
    layer: EditLayer

    def to_original(self, span: Span) -> Span:
        """Where a stretch of this text stood before; one that touches a replacement takes in all that was replaced."""
        return Span(start=self.layer.start_before(span.start), end=self.layer.end_before(span.end))

    def from_original(self, span: Span) -> Span:
        """Where a stretch of the text before stands now; one that touches a replaced stretch takes in all that replaced it."""
        return Span(start=self.layer.position_after(span.start), end=self._end_after(span.end))

    def _end_after(self, end: int) -> int:
        inside = next((found for found in self.replacements if found.original.start < end <= found.original.end), None)
        return inside.now.end if inside else self.layer.position_after(end)


def available_recognisers() -> tuple[str, ...]:
    """The rules, and presidio where it is installed."""
    return (RULES, PRESIDIO) if importlib.util.find_spec("presidio_analyzer") else (RULES,)


def deidentify(text: str, options: DeidentifyOptions | None = None) -> Deidentified:
    """The text without what identifies a person.

    Raises:
        ConfigurationError: an operator without its key or shift, or a recogniser that is not there.

    >>> deidentify("Dr. Jane Doe, 12.03.2024: Gleason 3+4", DeidentifyOptions(recognisers=("rules",))).text
    'Dr. <PERSON>, <DATE>: Gleason 3+4'
    """
    chosen = options or DeidentifyOptions()
    recognisers = chosen.recognisers if chosen.recognisers is not None else available_recognisers()
    _check(chosen, recognisers)
    found = [detection for detection in find_identifying(text, recognisers, chosen.known) if detection.kind not in chosen.keep]
    return _replaced(text, found, chosen, recognisers)


def _check(options: DeidentifyOptions, recognisers: tuple[str, ...]) -> None:
    missing = [name for name in recognisers if name not in available_recognisers()]
    if missing:
        there = ", ".join(available_recognisers())
        msg = f"de-identification: no recogniser {missing[0]!r} (there are: {there}; presidio comes with `uv sync --extra deid`)"
        raise ConfigurationError(msg)
    if options.operator not in (Operator.MASK, Operator.SURROGATE):
        msg = f"de-identification: `{options.operator}` is for `dates` only; `operator` is mask or surrogate"
        raise ConfigurationError(msg)
    if options.dates is Operator.SURROGATE:
        msg = "de-identification: a day has no surrogate; `dates` is mask, shift or year"
        raise ConfigurationError(msg)
    if options.operator is Operator.SURROGATE and len(options.key) < SHORTEST_KEY:
        msg = f"de-identification: surrogates need a secret key of at least {SHORTEST_KEY} bytes"
        raise ConfigurationError(msg)
    if options.dates is Operator.SHIFT and options.date_shift_days is None:
        msg = "de-identification: `dates: shift` needs `date_shift_days`"
        raise ConfigurationError(msg)


def find_identifying(text: str, recognisers: Iterable[str] = (RULES,), known: Iterable[str] = ()) -> list[Detection]:
    """What identifies, in order and without overlaps; existing placeholders and medicine left out."""
    found: list[Detection] = []
    for name in recognisers:
        found += _recogniser(name)(text)
    found += [detection for detection in find_names(text, known) if detection.source == "known"] if known else []
    placeholders = _Stretches(placeholder_spans(text))
    eponyms, protected = _Stretches(eponym_spans(text)), _Stretches(protected_spans(text))
    kept = [
        detection
        for detection in (_trimmed(text, one) for one in found)
        if detection.start < detection.end and not placeholders.touch(detection) and not _is_medicine(detection, eponyms, protected)
    ]
    return _merged(kept)


def _recogniser(name: str) -> Callable[[str], Iterator[Detection]]:
    if name == PRESIDIO:
        from weakbox.text.deidentify_presidio import find_by_presidio

        return find_by_presidio
    return _find_by_rules


def _find_by_rules(text: str) -> Iterator[Detection]:
    for find in (find_numbers, find_dates, find_places, find_names):
        yield from find(text)


def _trimmed(text: str, detection: Detection) -> Detection:
    cut = text[detection.start : detection.end]
    start = detection.start + len(cut) - len(cut.lstrip(" \t\r\n,;:"))
    end = detection.end - (len(cut) - len(cut.rstrip(" \t\r\n,;:")))
    return detection._replace(start=start, end=end)


class _Stretches:
    """Stretches of a text, overlapping ones as one, to be asked about many detections."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def touch(self, detection: Detection) -> bool:
        """Whether one shares a character with the detection."""
        place = bisect_right(self._ends, detection.start)
        return place < len(self._starts) and self._starts[place] < detection.end

    def hold(self, detection: Detection) -> bool:
        """Whether the detection lies within one."""
        place = bisect_right(self._ends, detection.start)
        return place < len(self._starts) and self._starts[place] <= detection.start and detection.end <= self._ends[place]


def _is_medicine(detection: Detection, eponyms: _Stretches, protected: _Stretches) -> bool:
    if detection.source == "known":
        return False
    if detection.kind in (PhiKind.PERSON, PhiKind.INSTITUTION, PhiKind.ADDRESS) and eponyms.hold(detection):
        return True
    return not detection.is_sure and protected.touch(detection)


def _merged(found: Iterable[Detection]) -> list[Detection]:
    """Overlapping finds become one over all their words; the longest names it."""
    merged: list[Detection] = []
    for detection in sorted(found, key=lambda one: (one.start, -one.end, _RANKS[one.kind])):
        if merged and detection.start < merged[-1].end:
            last = merged[-1]
            leading = min((last, detection), key=lambda one: (-(one.end - one.start), not one.is_sure, _RANKS[one.kind]))
            merged[-1] = leading._replace(start=last.start, end=max(last.end, detection.end), is_sure=last.is_sure or detection.is_sure)
        else:
            merged.append(detection)
    return merged


def _replaced(text: str, found: list[Detection], options: DeidentifyOptions, recognisers: tuple[str, ...]) -> Deidentified:
    language = detect_language(text.lower()) if options.dates is Operator.SHIFT else ENGLISH
    edits = [(one.start, one.end, replacement_of(text[one.start : one.end], one.kind, options, language)) for one in found]
    layer = EditLayer(edits)
    pieces: list[str] = []
    position = 0
    for start, end, words in edits:
        pieces += (text[position:start], words)
        position = end
    spans = zip(found, layer.new_start, layer.new_end, strict=True)
    return Deidentified(
        text="".join((*pieces, text[position:])),
        replacements=tuple(
            Replacement(original=Span(start=one.start, end=one.end), now=Span(start=start, end=end), kind=one.kind, source=one.source)
            for one, start, end in spans
        ),
        recognisers=recognisers,
        layer=layer,
    )


def replacement_of(words: str, kind: PhiKind, options: DeidentifyOptions, language: str = ENGLISH) -> str:
    """What stands for identifying words under these options."""
    if kind in (PhiKind.DATE, PhiKind.BIRTH_DATE):
        return _other_date(words, kind, options, language) or _placeholder(kind)
    if options.operator is Operator.SURROGATE and kind not in (PhiKind.TIME, PhiKind.AGE):
        return surrogate(words, kind, options.key)
    return _placeholder(kind)


def _other_date(words: str, kind: PhiKind, options: DeidentifyOptions, language: str) -> str | None:
    """A day that stands for ``words``; None where it is to be masked."""
    if options.dates is Operator.YEAR:
        return year_of(words) if kind is PhiKind.DATE else None
    if options.dates is Operator.MASK or options.date_shift_days is None:
        return None
    return shifted_date(words, options.date_shift_days, is_month_first=options.is_month_first, language=language)


def _placeholder(kind: PhiKind) -> str:
    return f"<{kind.value}>"
