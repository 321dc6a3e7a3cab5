"""Cuts the passages of a pathology report into one block a specimen, and what speaks of the whole case."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from weakbox.extractors.grammar.pathology.facts import Facts, TextRange
from weakbox.extractors.grammar.pathology.labels import Label, choose_scheme, is_numbered_list, labels_of, runs
from weakbox.extractors.grammar.pathology.passages import Passage, Role
from weakbox.extractors.grammar.pathology.places import is_only_a_side
from weakbox.extractors.grammar.pathology.sites import SiteHeading, is_site, site_heading_at, site_headings
from weakbox.extractors.grammar.pathology.tables import find_rows

_SUMMARY = re.compile(
    r"(?:^|(?<=\n)|(?<=[.;]\s))[ \t]*(?:[-*•>]\s*)?(?P<words>overall|composite|global|case(?:[- ]level)?\s+(?:summary|gleason|grade"
    r"|total)|in summary|summary|in (?:total|all|sum)|altogether"
    r"|taken together|a total of|highest|worst|final (?:gleason|grade)|dominant grade"
    r"|totals?\b(?!\s+(?:tumou?r|cancer|length|linear))|(?:number of )?cores? (?:positive|involved)|(?:number of )?positive cores"
    r"|conclusion|comments?|notes?|synoptic|tumou?r summary|(?:all|the)? ?(?:remaining|other|rest of the) (?:specimens|parts|cores"
    r"|biopsies|samples))\b",
    re.IGNORECASE | re.MULTILINE,
)
_OTHER_TISSUE = re.compile(r"\bnodes?\b|\blymph\b|\bmargins?\b", re.IGNORECASE)
_STRONG_SUMMARY = re.compile(
    r"overall|composite|global|case|summary|in total|in all|in sum|altogether|together|a total of|highest|worst|final"
    r"|comment|note|conclusion|synoptic|remaining|other|rest",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What one passage says of one specimen or group. ``context`` is a heading above several blocks ("RIGHT:")."""

    passage: Passage
    start: int
    body: int
    end: int
    label: Label | None = None
    heading: TextRange | None = None
    context: TextRange | None = None
    facts: Facts = field(default_factory=dict)
    """Facts that a table's columns gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A report's blocks, and the stretches that speak of the case as a whole."""

    blocks: tuple[Block, ...]
    case_level: tuple[tuple[Role, TextRange], ...]


def lay_out(text: str, passages: Sequence[Passage], procedure: str | None) -> Layout:
    """Blocks by the specimens' labels, otherwise by table rows, otherwise by site headings; else none.

    Sites name specimens of a biopsy; of a whole gland only nodes and margins on a line of their own do.
    """
    labels = {index: labels_of(text, passage) for index, passage in enumerate(passages)}
    scheme = choose_scheme(text, passages, labels)
    blocks: list[Block] = []
    for index, passage in enumerate(passages):
        rows = [_row_block(passage, row) for row in find_rows(text, passage.start, passage.end)]
        chosen = (
            [label for run in runs([label for label in labels[index] if label.scheme == scheme], scheme) for label in run] if scheme else []
        )
        if rows:
            blocks += rows
        elif chosen and not is_numbered_list(text, passage, chosen):
            blocks += _labelled_blocks(text, passage, chosen)
    if _wants_sites(blocks):
        by_site = [block for passage in passages if passage.role is not Role.GROSS for block in _site_blocks(text, passage)]
        if procedure in ("prostatectomy", "turp"):
            by_site = [block for block in by_site if _is_other_tissue(text, block)] if procedure == "prostatectomy" else []
        named = [block for block in by_site if block.passage.role in _NAMING]
        if len(named) > 1 or (named and not blocks):
            blocks = by_site
    return Layout(blocks=tuple(blocks), case_level=tuple(_case_level(passages, blocks)))


_NAMING = (Role.DIAGNOSIS, Role.SYNOPTIC, Role.MICROSCOPY)


def _wants_sites(blocks: Sequence[Block]) -> bool:
    """Labels that name one container at most leave the sites to name the specimens."""
    return len({block.label.ordinals for block in blocks if block.label}) <= 1 and not any(block.facts for block in blocks)


def _labelled_blocks(text: str, passage: Passage, labels: Sequence[Label]) -> list[Block]:
    blocks: list[Block] = []
    context: TextRange | None = None
    for label, following in zip(labels, [*labels[1:], None], strict=False):
        line_start = text.rfind("\n", passage.start, label.start) + 1 or passage.start
        above = _context_above(text, max(passage.start, blocks[-1].body if blocks else passage.start), line_start)
        if above is not None:
            context = above
            if blocks:
                blocks[-1] = replace(blocks[-1], end=min(blocks[-1].end, above[0]))
        before = (line_start, label.start) if label.is_inline and is_site(text, line_start, label.start) else None
        if before is not None and blocks:
            blocks[-1] = replace(blocks[-1], end=min(blocks[-1].end, line_start))
        end = following.start if following else passage.end
        blocks.append(Block(passage=passage, start=label.start, body=label.body, end=end, label=label, context=before or context))
    return _without_summary(text, blocks)


def _context_above(text: str, start: int, line_start: int) -> TextRange | None:
    """A line above a label that is only a side ("RIGHT SIDE:")."""
    above = text[start:line_start].rstrip()
    first = start + above.rfind("\n") + 1
    if not above[first - start :].strip() or (first == start and start and text[start - 1] != "\n"):
        return None
    heading = site_heading_at(text, first, start + len(above))
    if heading is None or heading.body < start + len(above) - 1 or not is_only_a_side(text, heading.start, heading.end):
        return None
    return heading.start, heading.end


def _site_blocks(text: str, passage: Passage) -> list[Block]:
    blocks: list[Block] = []
    context: SiteHeading | None = None
    headings = site_headings(text, passage.start, passage.end)
    for heading, following in zip(headings, [*headings[1:], None], strict=False):
        end = following.start if following else passage.end
        if not text[heading.body : end].strip() and is_only_a_side(text, heading.start, heading.end):
            context = heading
            continue
        span = (context.start, context.end) if context else None
        blocks.append(
            Block(passage=passage, start=heading.start, body=heading.start, end=end, heading=(heading.start, heading.end), context=span)
        )
    return _without_summary(text, blocks)


def _is_other_tissue(text: str, block: Block) -> bool:
    return (
        block.heading is not None
        and _OTHER_TISSUE.search(text, *block.heading) is not None
        and text[block.heading[1] : block.heading[1] + 1] == ":"
    )


def _row_block(passage: Passage, row: tuple[Label | None, TextRange, Facts]) -> Block:
    label, (start, end), facts = row
    return Block(passage=passage, start=start, body=label.body if label else start, end=end, label=label, facts=facts)


def _without_summary(text: str, blocks: list[Block]) -> list[Block]:
    """The last block ends where a statement on the whole case begins; within an earlier block such words are its own."""
    if len(blocks) < 2:
        return blocks
    last = blocks[-1]
    earlier = {m["words"].lower() for block in blocks[:-1] for m in _SUMMARY.finditer(text, block.body, block.end)}
    for match in _SUMMARY.finditer(text, last.body + 1, last.end):
        stands_apart = text[: match.start()].rstrip(" \t").endswith("\n\n") or text[last.body : match.start()].rstrip(" \t").endswith(
            "\n\n"
        )
        if match["words"].lower() in earlier and not stands_apart:
            continue
        if _STRONG_SUMMARY.search(match["words"]) or stands_apart or match["words"].lower().startswith("total"):
            return [*blocks[:-1], replace(last, end=match.start())]
    return blocks


def _case_level(passages: Sequence[Passage], blocks: Sequence[Block]) -> list[tuple[Role, TextRange]]:
    """What no block covers: before the first, after the last, and passages without blocks."""
    stretches: list[tuple[Role, TextRange]] = []
    for passage in passages:
        position = passage.start
        for block in sorted((b for b in blocks if b.passage is passage), key=lambda b: b.start):
            if block.start > position:
                stretches.append((passage.role, (position, block.start)))
            position = max(position, block.end)
        if position < passage.end:
            stretches.append((passage.role, (position, passage.end)))
    return stretches
