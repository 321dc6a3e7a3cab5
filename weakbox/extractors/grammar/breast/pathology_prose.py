"""Specimens told in running prose: a sentence whose subject is tissue of another place, or "a second core", begins the next one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weakbox.extractors.grammar.breast.pathology_blocks import Block
from weakbox.extractors.grammar.breast.pathology_mentions import Mention, within
from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.extractors.grammar.breast.places import find_clocks, find_sides
from weakbox.extractors.grammar.pathology.labels import Label, label_of
from weakbox.extractors.grammar.pathology.passages import Passage, Role

_SENTENCE = re.compile(
    r"(?:^|(?<=\n)|(?<=[.;]\s))[ \t]*(?P<subject>[^.;\n]{3,150}?)(?P<verb>\b(?:shows?|reveals?|contains?|demonstrates?|consists?|discloses?"
    r"|includes?|comprises?|is|are|was|were|yield(?:s|ed)?|has|have|had|showed|revealed|contained|come|came)\b|:(?!\d)"
    r"|[ ]-{1,2}[ ]|,[ ]there)"
)
_NEXT = re.compile(r"\b(?:second|third|fourth|other|separate(?:ly)?|additional|remaining|further|contralateral|another|opposite|also)\b")
_TISSUE = re.compile(
    r"\b(?:specimens?|cores?|biops(?:y|ies)|samples?|nodes?|sections?|margins?|shav\w+|breasts?|aspirat\w+|smears?|excision|axilla\w*|lumpectomy|tissue|fna\w*|mass|lesion|nodule)\b"
)
_NOT_A_SUBJECT = re.compile(
    r"\b(?:carcinoma|dcis|tumou?r|margins? (?:is|are)|invasive|which|that|it|immuno\w*|er|pr|her-?2|receptors?|calcifications?"
    r"|clinical\w*|history|previous|prior)\b"
)


def prose_blocks(text: str, lower: str, passage: Passage, mentions: Sequence[Mention]) -> list[Block]:
    """One block a specimen of a passage in prose; empty where only one is told of."""
    if passage.role not in (Role.DIAGNOSIS, Role.FREE, Role.MICROSCOPY):
        return []
    starts: list[int] = []
    place: tuple[object, ...] = ()
    labelled = _labelled_subjects(text, passage)
    if labelled:
        stops = [*(label.start for label in labelled[1:]), passage.end]
        begins = [_unit_start(lower, passage.start, label.start) for label in labelled]
        return [
            Block(passage=passage, start=begin, body=begin, end=stop, label=label)
            for label, begin, stop in zip(labelled, begins, [*begins[1:], stops[-1]], strict=True)
        ]
    for match in _SENTENCE.finditer(lower, passage.start, passage.end):
        subject = match["subject"]
        if _TISSUE.search(subject) is None or _NOT_A_SUBJECT.search(subject):
            continue
        now = _place(lower, match.start("subject"), match.end("subject"))
        if not starts:
            now = now if now[0] or now[1] else _place(lower, match.start("subject"), _sentence_end(lower, match.end(), passage.end))
            if any(now):
                starts.append(match.start("subject"))
                place = now
        elif any(now) and (_differs(now, place) or _NEXT.search(subject)):
            starts.append(match.start("subject"))
            place = now
    if len(starts) < 2:
        return []
    starts[0] = min(starts[0], passage.start)
    blocks = [
        Block(passage=passage, start=start, body=start, end=end) for start, end in zip(starts, [*starts[1:], passage.end], strict=True)
    ]
    return blocks if all(within(mentions, block.start, block.end) for block in blocks) else []


_BRACKETED = re.compile(r"(?:^|(?<=\n)|(?<=\.\s))[ \t]*(?P<words>[^.;:()\n]{4,70})\((?P<id>[A-Z]|\d|[IVX]{1,4})\)")


def _labelled_subjects(text: str, passage: Passage) -> list[Label]:
    """Labels in brackets behind the tissue that begins a sentence ("The medial shave (II) shows ..."), from the first without a gap."""
    found: dict[str, list[Label]] = {}
    for match in _BRACKETED.finditer(text, passage.start, passage.end):
        if choice("specimens", "tissue").search(match["words"].lower()) is None:
            continue
        for label in label_of(match["id"], match.span("id")):
            chosen = found.setdefault(label.scheme, [])
            if label.ordinals == (len(chosen) + 1,):
                chosen.append(label)
    longest = max(found.values(), key=len, default=[])
    return longest if len(longest) > 1 else []


def _unit_start(lower: str, start: int, position: int) -> int:
    return max(start, lower.rfind("\n", start, position) + 1, lower.rfind(". ", start, position) + 1)


def _sentence_end(lower: str, position: int, end: int) -> int:
    stop = lower.find(". ", position, end)
    return end if stop < 0 else stop


def _place(lower: str, start: int, end: int) -> tuple[object, ...]:
    sides = {word.value for word in find_sides(lower[start:end])}
    clocks = {clock.value for clock in find_clocks(lower[start:end])}
    is_node = choice("specimens", "other_tissue").search(lower, start, end) is not None
    return (frozenset(sides) or None, frozenset(clocks) or None, is_node)


def _differs(now: tuple[object, ...], before: tuple[object, ...]) -> bool:
    """Whether a part that both name is another; tissue of a node differs from the breast's."""
    return any(one is not None and other is not None and one != other for one, other in zip(now, before, strict=True))
