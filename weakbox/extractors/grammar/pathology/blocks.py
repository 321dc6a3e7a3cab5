"""Cuts the passages of a pathology report into one block a specimen, and what speaks of the whole case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.grouped import under_diagnoses
from weakbox.extractors.grammar.pathology.labels import Label, choose_scheme, is_numbered_list, label_within, labels_of, runs, sequence
from weakbox.extractors.grammar.pathology.passages import Passage, Role
from weakbox.extractors.grammar.pathology.places import is_only_a_side, location_facts
from weakbox.extractors.grammar.pathology.prose_sites import LISTED, ProseSite, sides_in_clauses, sites_with_details, sites_without
from weakbox.extractors.grammar.pathology.sided_forms import find_sided_form
from weakbox.extractors.grammar.pathology.sites import SiteHeading, is_site, site_heading_at, site_headings
from weakbox.extractors.grammar.pathology.tables import ColumnOf, Row, Table, find_tables
from weakbox.extractors.grammar.pathology.trailing import at_line_ends, in_brackets

_NUMBER = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|sixteen|eighteen|twenty)"
_FOUND = re.compile(
    r"carcinoma|benign|negative|tumou?r|cancer|malignan|\d\s?\+\s?\d|\bPIN\b|HGPIN|atypi|ASAP|insufficient|prostatitis", re.IGNORECASE
)
_SUMMARY = re.compile(
    r"(?<!\S)(?:^|(?<=\n)|(?<=[.;]\s))[ \t]*(?:[-*•>]\s*)?(?P<words>overall|any\s+(?:cancer|carcinoma|tumou?r)\b"
    r"|(?:final\s+)?diagnosis(?=\s*:)|composite|global"
    r"|case(?:[- ]level)?\s+(?:summary|gleason|grade"
    r"|total)|in summary|summary|in (?:total|all|sum)|altogether"
    r"|taken together|a total of|highest|worst|final (?:gleason|grade)|dominant grade"
    r"|totals?\b(?!\s+(?:tumou?r|cancer|length|linear))|(?:number of )?cores? (?:positive|involved)|(?:number of )?positive cores"
    r"|conclusion|comments?|notes?|synoptic|template|synopsis|(?:minimum\s+)?data\s?set|pro-?forma|checklist"
    r"|structured\s+(?:report|data)"
    r"|(?:cancer|tumou?r)\s+(?:case\s+)?(?:summary|synopsis|template|staging)"
    r"|(?:all|the)? ?(?:remaining|other|rest of the) (?:specimens|parts|cores"
    r"|biopsies|samples)|(?:(?:adeno)?carcinoma|tumou?r|cancer)\s+(?:(?:is|was)\s+)?(?:(?:present|seen|identified|found)\s+)?(?:in"
    r"|involves)\s+"
    rf"{_NUMBER}\s*(?:of|/|out\s+of)\s*(?:the\s+)?{_NUMBER}|(?:(?:isup|grade\s+group|GG|gleason(?:\s+(?:score"
    rf"|sum))?)\W{{0,3}}\d[^\n]{{0,40}}?)?{_NUMBER}\s*(?:of|/|out\s+of)\s*(?:the\s+)?{_NUMBER}\s+(?:\w+\s+)?cores?)\b",
    re.IGNORECASE | re.MULTILINE,
)
LONGEST_STRETCH = 20_000
"""No specimen is described in more characters: a longer stretch is many reports in one, and only its start is read."""
_OTHER_TISSUE = re.compile(r"\bnodes?\b|\blymph\b|\bmargins?\b", re.IGNORECASE)
_OWN_COUNT = re.compile(
    r"\d\s*(?:/|of|out\s+of)\s*\d|\bnegative\b|\bbenign\b|\bno\s+(?:tumou?r|cancer|carcinoma|malignan\w+|evidence)", re.IGNORECASE
)
_COUNTS = re.compile(
    rf"(?:isup|grade\s+group|GG|gleason)\b|{_NUMBER}\s*(?:of|/|out)|(?:(?:adeno)?carcinoma|tumou?r|cancer)\b", re.IGNORECASE
)
_STRONG_SUMMARY = re.compile(
    r"overall|any\b|composite|global|case|summary|in total|in all|in sum|altogether|together|a total of|highest|worst|final"
    r"|comment|note|conclusion|synop|template|data\s?set|pro-?forma|checklist|structured|staging|remaining|other|rest",
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
    covered: int = 0
    """How far the text is told of, where that is further than ``end`` (the label after a diagnosis)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A report's blocks, and the stretches that speak of the case as a whole."""

    blocks: tuple[Block, ...]
    case_level: tuple[tuple[Role, TextRange], ...]
    ignored: tuple[TextRange, ...] = ()
    """Cells of tables that speak of something else than the contract's fields."""


def lay_out(text: str, passages: Sequence[Passage], procedure: str | None, column_of: ColumnOf | None = None) -> Layout:
    """Blocks by the specimens' labels, otherwise by table rows, otherwise by site headings; else none.

    Sites name specimens of a biopsy; of a whole gland only nodes and margins on a line of their own do.
    """
    tables = {index: find_tables(text, passage.start, passage.end, column_of) for index, passage in enumerate(passages)}
    for index, passage in enumerate(passages):
        form = None if tables[index] else find_sided_form(text, passage.start, passage.end)
        tables[index] += [form] if form else []
    labels = {index: _outside(labels_of(text, passage), tables[index]) for index, passage in enumerate(passages)}
    scheme = choose_scheme(text, passages, labels) or _scheme_of_rows(tables.values())
    blocks: list[Block] = []
    placed = _placed(text, passages, labels, tables, scheme)

    def echoed(chosen: Sequence[Label], index: int) -> bool:
        named = {label.ordinals for label in chosen}
        return len(named) > 1 and any(named <= ordinals for other, ordinals in placed if other != index)

    for index, passage in enumerate(passages):
        rows = [_row_block(passage, row, table) for table in tables[index] for row in table.rows]
        chosen = (
            [label for run in runs([label for label in labels[index] if label.scheme == scheme], scheme) for label in run] if scheme else []
        )
        if passage.role is Role.AMENDMENT:
            chosen = _leading_labels(text, chosen)
        grouped = _grouped_blocks(text, passage)
        trailing = [] if grouped else _trailing_blocks(text, passage)
        if grouped:
            blocks += grouped
        elif trailing:
            blocks += [*trailing, *_leading_blocks(text, passage, trailing, chosen)]
        elif chosen and (echoed(chosen, index) or not is_numbered_list(text, passage, chosen)):
            labelled = _up_to_tables(_labelled_blocks(text, passage, chosen), tables[index])
            is_group = len(labelled) == 1 and labelled[0].label is not None and len(labelled[0].label.ordinals) > 1
            blocks += _up_to_summary(text, labelled) if labelled and (tables[index] or is_group) else labelled
        blocks += rows
    blocks += _sites_with_labels(text, passages, blocks)
    if _wants_sites(blocks):
        by_site = [block for passage in passages if passage.role is not Role.GROSS for block in _site_blocks(text, passage)]
        if procedure in ("prostatectomy", "turp"):
            by_site = [block for block in by_site if _is_other_tissue(text, block)] if procedure == "prostatectomy" else []
        named = [block for block in by_site if block.passage.role in _NAMING]
        free = [block for block in by_site if block.passage.role is Role.FREE]
        if len({block.passage.start for block in named}) < 1 < len(free):
            named = free
        if len(named) > 1 or (named and not blocks):
            blocks = by_site
    if procedure in ("biopsy", None):
        blocks = _of_prose(text, passages, blocks)
    ignored = tuple(cell for found in tables.values() for table in found for cell in table.ignored)
    blocks = [replace(block, end=min(block.end, block.body + LONGEST_STRETCH)) for block in blocks]
    case_level = [(role, (start, min(end, start + LONGEST_STRETCH))) for role, (start, end) in _case_level(passages, blocks)]
    return Layout(blocks=tuple(blocks), case_level=tuple(case_level), ignored=ignored)


_SIGN = re.compile(r"\s*[.:)=,\]-]")


def _leading_labels(text: str, labels: Sequence[Label]) -> list[Label]:
    """The labels under which an amendment prints specimens again; one that stands in a sentence only names its specimen."""
    return [label for label in labels if not label.is_inline and _SIGN.match(text, label.end)]


def _of_prose(text: str, passages: Sequence[Passage], blocks: list[Block]) -> list[Block]:
    """Specimens that only sentences name: sites with their details in brackets, or clauses on the left and on the right."""
    naming = [passage for passage in passages if passage.role in (*_NAMING, Role.FREE)]
    if any(block.label or block.facts for block in blocks):
        return blocks
    for passage in naming:
        listed = sites_with_details(text, passage.start, passage.end)
        if listed:
            free = sites_without(text, max(site.end for site in listed), passage.end)
            return [_prose_block(passage, site) for site in (*listed, *free)]
    if len({block.start for block in blocks if block.passage.role in (*_NAMING, Role.FREE)}) > 1:
        return blocks
    for passage in naming:
        clauses = sides_in_clauses(text, passage.start, passage.end)
        if clauses:
            return [_prose_block(passage, site) for site in clauses]
    return blocks


def _prose_block(passage: Passage, site: ProseSite) -> Block:
    place = site.facts.get("_place")
    facts = {"_site": Fact(value=True, spans=place.spans)} if place is not None else site.facts
    start = site.start if LISTED in facts else site.body[0]
    return Block(passage=passage, start=start, body=site.body[0], end=site.body[1], facts=facts, covered=site.end)


def _sites_with_labels(text: str, passages: Sequence[Passage], blocks: Sequence[Block]) -> list[Block]:
    """Sites with a label in brackets ("left (A): ...") that head the diagnosis, where labels stood only in a worse passage."""
    if not blocks or any(block.passage.role in (Role.DIAGNOSIS, Role.SYNOPTIC, Role.FREE) for block in blocks):
        return []
    found = [block for p in passages if p.role is Role.DIAGNOSIS for block in _site_blocks(text, p) if block.label]
    return found if len(found) > 1 else []


def _scheme_of_rows(tables: Iterable[Sequence[Table]]) -> str | None:
    return next((row[0].scheme for some in tables for table in some for row in table.rows if row[0]), None)


def _placed(
    text: str,
    passages: Sequence[Passage],
    labels: Mapping[int, list[Label]],
    tables: Mapping[int, list[Table]],
    scheme: str | None,
) -> list[tuple[int, set[tuple[int, ...]]]]:
    """The labels that name specimens beyond doubt, by passage (tables count as -1): numbers that repeat them are no list of statements."""
    found = [(-1, {row[0].ordinals for row in table.rows if row[0]}) for some in tables.values() for table in some]
    for index, passage in enumerate(passages):
        chosen = sequence([label for label in labels[index] if label.scheme == scheme], scheme) if scheme else []
        if chosen and not is_numbered_list(text, passage, chosen):
            found.append((index, {label.ordinals for label in chosen}))
    return found


def _outside(labels: list[Label], tables: Sequence[Table]) -> list[Label]:
    return [label for label in labels if not any(table.start <= label.start < table.end for table in tables)]


def _up_to_tables(blocks: list[Block], tables: Sequence[Table]) -> list[Block]:
    """A table that follows the labelled specimens is no part of the last of them."""
    starts = [table.start for table in tables]
    return [replace(block, end=min([block.end, *(start for start in starts if block.start < start)])) for block in blocks]


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
        end = following.start if following else passage.end
        sentence = max(line_start, text.rfind(". ", line_start, label.start) + 2)
        shares_line = bool(blocks) and blocks[-1].start >= sentence
        before = None if shares_line else _site_before(text, sentence, label, end)
        if before is not None and blocks:
            blocks[-1] = replace(blocks[-1], end=min(blocks[-1].end, sentence))
        blocks.append(Block(passage=passage, start=label.start, body=label.body, end=end, label=label, context=before or context))
    return _without_summary(text, blocks)


def _grouped_blocks(text: str, passage: Passage) -> list[Block]:
    """Specimens that are listed under the diagnosis they share."""
    found = under_diagnoses(text, passage.start, passage.end) if passage.role in _NAMING else []
    return [
        Block(
            passage=passage,
            start=grouped.heading[0],
            body=grouped.heading[0],
            end=grouped.heading[1],
            label=grouped.label,
            facts=grouped.facts,
            covered=grouped.line[1],
        )
        for grouped in found
    ]


def _trailing_blocks(text: str, passage: Passage) -> list[Block]:
    """Lines that name their specimen after its diagnosis."""
    found = in_brackets(text, passage.start, passage.end)
    if not found and passage.role is Role.DIAGNOSIS:
        found = at_line_ends(text, passage.start, passage.end)
    return [
        Block(
            passage=passage,
            start=trailing.words[0],
            body=trailing.words[0],
            end=trailing.words[1],
            label=trailing.label,
            context=trailing.site,
            facts=trailing.facts,
            covered=_line_end(text, trailing.words[1], passage.end),
        )
        for trailing in found
    ]


def _leading_blocks(text: str, passage: Passage, trailing: Sequence[Block], chosen: Sequence[Label]) -> list[Block]:
    """The specimens whose labels lead, beside those whose labels trail."""
    schemes = {block.label.scheme for block in trailing if block.label}
    ranges = [(block.start, _line_end(text, block.end, passage.end)) for block in trailing]
    leading = [
        label
        for label in labels_of(text, passage)
        if label.scheme in schemes and (label.has_noun or label in chosen) and not any(a <= label.start < z for a, z in ranges)
    ]
    return [_up_to(block, ranges) for block in _labelled_blocks(text, passage, leading)]


def _line_end(text: str, position: int, end: int) -> int:
    found = text.find("\n", position, end)
    return end if found < 0 else found


def _up_to(block: Block, ranges: Sequence[TextRange]) -> Block:
    return replace(block, end=min([block.end, *(first for first, _ in ranges if first > block.start)]))


def _site_before(text: str, line_start: int, label: Label, end: int) -> TextRange | None:
    """The site on the same line before a label ("Left base [specimen A]: benign"), unless the label's own site follows it."""
    if not label.is_inline or not is_site(text, line_start, label.start):
        return None
    line_end = text.find("\n", label.body, end)
    following = re.split(r":|\.\s", text[label.body : line_end if line_end >= 0 else end])[0]
    return None if location_facts(following, 0, min(len(following), 60)) else (line_start, label.start)


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
        if not text[heading.body : end].strip(" \t\n-*•>") and is_only_a_side(text, heading.start, heading.end):
            context = heading
            continue
        span = (context.start, context.end) if context else None
        blocks.append(
            Block(
                passage=passage,
                start=heading.start,
                body=heading.start,
                end=end,
                label=label_within(text, heading.start, heading.end),
                heading=(heading.start, heading.end),
                context=span,
            )
        )
    return _without_summary(text, blocks)


def _is_other_tissue(text: str, block: Block) -> bool:
    return (
        block.heading is not None
        and _OTHER_TISSUE.search(text, *block.heading) is not None
        and text[block.heading[1] : block.heading[1] + 12].lstrip(" \t").startswith(":")
    )


def _row_block(passage: Passage, row: Row, table: Table) -> Block:
    label, (start, end), facts = row
    told = Role.MICROSCOPY if passage.role in (Role.GROSS, Role.SPECIMEN_LIST) else passage.role
    role = Role.SPECIMEN_LIST if table.is_list else told
    return Block(
        passage=replace(passage, role=role),
        start=table.start if table.is_form else start,
        body=label.body if label else start,
        end=end,
        label=label,
        facts=facts,
        covered=table.end if table.is_form else 0,
    )


def _without_summary(text: str, blocks: list[Block]) -> list[Block]:
    """The last block ends where a statement on the whole case begins; within an earlier block such words are its own."""
    return blocks if len(blocks) < 2 else _up_to_summary(text, blocks)


def _up_to_summary(text: str, blocks: list[Block]) -> list[Block]:
    last = blocks[-1]
    earlier = {m["words"].lower() for block in blocks[:-1] for m in _SUMMARY.finditer(text, block.body, block.end)}
    for match in _SUMMARY.finditer(text, last.body + 1, last.end):
        stands_apart = text[max(0, match.start() - 80) : match.start()].rstrip(" \t").endswith("\n\n") or text[
            last.body : match.start()
        ].rstrip(" \t").endswith("\n\n")
        if match["words"].lower() in earlier and not stands_apart:
            continue
        if _COUNTS.match(match["words"]) and not (stands_apart and _FOUND.search(text, last.body, match.start())):
            continue
        has_own_count = _OWN_COUNT.search(text, last.body, match.start()) is not None and "core" in match["words"].lower()
        if has_own_count or _STRONG_SUMMARY.search(match["words"]) or stands_apart or match["words"].lower().startswith("total"):
            return [*blocks[:-1], replace(last, end=match.start())]
    return blocks


def _case_level(passages: Sequence[Passage], blocks: Sequence[Block]) -> list[tuple[Role, TextRange]]:
    """What no block covers: before the first, after the last, and passages without blocks."""
    stretches: list[tuple[Role, TextRange]] = []
    for passage in passages:
        position = passage.start
        for block in sorted((b for b in blocks if passage.start <= b.start < passage.end), key=lambda b: b.start):
            if block.start > position:
                stretches.append((passage.role, (position, block.start)))
            position = max(position, block.end, block.covered)
        if position < passage.end:
            stretches.append((passage.role, (position, passage.end)))
    return stretches
