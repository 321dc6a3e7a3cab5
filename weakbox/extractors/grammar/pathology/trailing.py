"""Lines in which the label of a specimen follows its diagnosis.

``Benign prostatic tissue [specimen A, left base]``, ``Adenocarcinoma, 3+3=6, in specimens 2 and 5.`` and
``Adenocarcinoma, 4+4=8, involving parts D (2/2 cores, 50%) and E (1/2 cores)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from weakbox.extractors.grammar.pathology.cores import read_cores
from weakbox.extractors.grammar.pathology.extents import read_length, read_percent
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.labels import Label, label_at_the_end, label_leads, label_of, label_within
from weakbox.records.record import record

_GATE = re.compile(r"\b(?:specimen|part|container|pot|sample|jar|vial|site|bottle|core)s?\b", re.IGNORECASE)
_NOUN = r"(?:specimens?|parts?|containers?|pots?|samples?|jars?|vials?|sites?|bottles?)"
_IN_BRACKETS = re.compile(
    rf"^[ \t]*(?:[-*•>][ \t]*)?(?P<words>[^\n\[(][^\n]*?)[ \t]*(?P<open>[\[(])[ \t]*{_NOUN}"
    r"[ \t]*#?[ \t]*(?P<id>[A-Za-z]|\d{1,2}|[IVX]{1,5})(?P<site>[ \t]*[,:;-][^\n\])]{1,60})?[\])][ \t.;]*$",
    re.IGNORECASE | re.MULTILINE,
)
_OPENS = re.compile(rf"[\[(][ \t]*{_NOUN}", re.IGNORECASE)
_ID = r"(?:[A-Z]|\d{1,2}|[IVX]{1,5})"
_WITH_DETAILS = re.compile(
    rf"\b(?=[aifAIF])(?i:in|involving|involves|at|from)[ \t]+(?i:{_NOUN})[ \t]*(?P<list>{_ID}[ \t]*\([^()\n]*\)(?:[ \t]*(?:,|;|&"
    rf"|(?i:and))[ \t]*(?:(?i:and)[ \t]+)?"
    rf"{_ID}[ \t]*\([^()\n]*\))*)"
)
_DETAIL = re.compile(rf"(?P<id>{_ID})[ \t]*\((?P<words>[^()\n]*)\)")
_LINE = re.compile(r"[^\n]*\S[^\n]*")


@record
class Trailing:
    """A label and the words before it that speak of its specimen; ``site`` are words for its place, beside the label."""

    label: Label
    words: TextRange
    site: TextRange | None = None
    facts: Facts


def in_brackets(text: str, start: int, end: int) -> list[Trailing]:
    """Lines that end with "[specimen A, left base]"; none where fewer than two specimens are named so."""
    if not _OPENS.search(text, start, end):
        return []
    found = []
    for match in _IN_BRACKETS.finditer(text, start, end):
        labels = label_of(match["id"], match.span("id"))
        label = label_within(text, match.start("open"), match.end()) or (labels[0] if labels else None)
        if label is None or label_leads(text, match.start(), end):
            continue
        site = match.span("site") if match["site"] else None
        facts = {"_site": Fact(value=True, spans=(site,))} if site else {}
        found.append(Trailing(label=label, words=(match.start(), match.end("words")), site=site, facts=facts))
    return found if len({trailing.label.ordinals for trailing in found}) > 1 else []


def at_line_ends(text: str, start: int, end: int) -> list[Trailing]:
    """Lines that end with the specimens of which they speak, or that name them one by one with what is found in each."""
    return list(_at_line_ends(text, start, end)) if _GATE.search(text, start, end) else []


def _at_line_ends(text: str, start: int, end: int) -> Iterator[Trailing]:
    for line in _LINE.finditer(text, start, end):
        detailed = _WITH_DETAILS.search(text, line.start(), line.end())
        if detailed is not None and not label_leads(text, line.start(), line.end()):
            yield from _one_by_one(text, line.start(), detailed)
            continue
        label = label_at_the_end(text, line.start(), line.end())
        if label is not None and not label.is_core:
            yield Trailing(label=label, words=(line.start(), label.start), facts={})


def _one_by_one(text: str, start: int, detailed: re.Match[str]) -> Iterator[Trailing]:
    for detail in _DETAIL.finditer(text, *detailed.span("list")):
        for label in label_of(detail["id"], detail.span("id"))[:1]:
            yield Trailing(label=label, words=(start, detailed.start()), facts=_of_detail(text, *detail.span("words")))


def _of_detail(text: str, start: int, end: int) -> Facts:
    facts = read_cores(text, start, end, (), (), is_cancer=True)
    percent, length = read_percent(text, start, end), read_length(text, start, end, needs_tumour_word=False)
    return {**facts, **({"percent_involved": percent} if percent else {}), **({"tumor_length_mm": length} if length else {})}
