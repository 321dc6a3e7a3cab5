"""Specimens that are listed under the diagnosis they share.

ADENOCARCINOMA, GLEASON 3+4=7 (GRADE GROUP 2):
  - Right mid (specimen B): 1 of 2 cores, 15%
  - Right apex (specimen C): 2 of 2 cores, 55%
BENIGN PROSTATIC TISSUE:
  - Right base (specimen A)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from weakbox.extractors.grammar.pathology.diagnoses import find_mentions
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.grades import read_grades_at
from weakbox.extractors.grammar.pathology.labels import Label, label_of
from weakbox.extractors.grammar.pathology.places import location_facts
from weakbox.extractors.grammar.pathology.prose_sites import LISTED, read_details
from weakbox.records.record import record

_ID = r"(?:[A-Z]|\d{1,2}|[IVX]{1,5})"
_NOUN = r"(?i:specimens?|parts?|containers?|samples?|pots?|jars?|vials?|bottles?)"
_ITEM = re.compile(
    rf"[ \t]*(?:[-*•>][ \t]*)?(?:(?:{_NOUN}[ \t]*#?[ \t]*)?(?P<lead>{_ID})(?:[.):]|[ \t]+[-–])[ \t]+(?P<site>[^:;(\n]{{3,60}})"
    rf"|(?P<named>[^:;(\n]{{3,60}}?)[ \t]*[(\[](?:{_NOUN}[ \t]*#?[ \t]*)?(?P<inner>{_ID})[)\]])(?P<words>[^\n]*)"
)
_HEADING = re.compile(
    r"(?:^|(?<=\n))[ \t]*(?P<words>[^\n]{3,160}?)(?:[,;]?[ \t]+(?i:involving|present in|seen in|found in|in))?[ \t]*:[ \t]*(?=\n)"
)
_GATE = re.compile(r":[ \t]*\n[ \t]*(?:[-*•>][ \t]*)?(?:\w{1,5}[.):]|[^\n(]{3,60}[(\[])")
_FEWEST_ITEMS = 2


@record
class Grouped:
    """A labelled specimen on one line; ``heading`` are the words for the diagnosis above it, ``facts`` what its line gives."""

    label: Label
    line: TextRange
    heading: TextRange
    facts: Facts


_SCHEMES = ("number", "roman", "upper")


def _of_one_scheme(found: list[Grouped]) -> list[Grouped]:
    """The specimens with labels of the one scheme in which all of them may be read."""
    read = [{label.scheme: label for label in label_of(one.label.written, (one.label.start, one.label.end))} for one in found]
    scheme = next((scheme for scheme in _SCHEMES if all(scheme in labels for labels in read)), None)
    return [replace(one, label=labels[scheme]) for one, labels in zip(found, read, strict=True)] if scheme else []


def under_diagnoses(text: str, start: int, end: int) -> list[Grouped]:
    """The specimens of every diagnosis that heads a list of them; none where a line names a diagnosis of its own."""
    if _GATE.search(text, start, end) is None:
        return []
    found: list[Grouped] = []
    for heading in _HEADING.finditer(text, start, end):
        span = heading.span("words")
        if _ITEM.fullmatch(text, *span) or not (find_mentions(text, *span) or read_grades_at(text, *span)):
            continue
        found += _items(text, heading.end() + 1, end, span)
    found = _of_one_scheme(found)
    ordinals = [one.label.ordinals for one in found]
    return found if len(found) >= _FEWEST_ITEMS and len(set(ordinals)) == len(ordinals) else []


def _items(text: str, position: int, end: int, heading: TextRange) -> Iterator[Grouped]:
    while position < end:
        line_end = text.find("\n", position, end)
        line_end = end if line_end < 0 else line_end
        item = _ITEM.fullmatch(text, position, line_end)
        grouped = _grouped(text, item, heading) if item else None
        if grouped is None:
            return
        yield grouped
        position = line_end + 1


def _grouped(text: str, item: re.Match[str], heading: TextRange) -> Grouped | None:
    at, site = (item.span("lead"), item.span("site")) if item["lead"] else (item.span("inner"), item.span("named"))
    labels = label_of(text[slice(*at)], at)
    if not labels or not location_facts(text, *site) or find_mentions(text, *item.span()) or read_grades_at(text, *item.span()):
        return None
    facts = {LISTED: Fact(value=True, spans=(site,)), "_site": Fact(value=True, spans=(site,)), **read_details(text, item.span("words"))}
    return Grouped(label=labels[0], line=item.span(), heading=heading, facts=facts)
