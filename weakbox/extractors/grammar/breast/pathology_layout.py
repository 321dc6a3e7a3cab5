"""Cuts a breast pathology report into one block a specimen, and what speaks of the case or of a specimen named elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from weakbox.extractors.grammar.breast.pathology_blocks import Block
from weakbox.extractors.grammar.breast.pathology_labels import find_labels
from weakbox.extractors.grammar.breast.pathology_mentions import Mention, within
from weakbox.extractors.grammar.breast.pathology_prose import prose_blocks
from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.extractors.grammar.breast.places import find_clocks, find_quadrants, find_sides
from weakbox.extractors.grammar.pathology.facts import TextRange
from weakbox.extractors.grammar.pathology.labels import Label, label_of, runs, sequence
from weakbox.extractors.grammar.pathology.passages import Passage, Role

_SCHEMES = ("upper", "number", "roman", "lower", "mixed")
_NAMING = ((Role.DIAGNOSIS, Role.SPECIMEN_LIST, Role.SYNOPTIC), (Role.MICROSCOPY, Role.FREE, Role.AMENDMENT), (Role.GROSS,))
_HEAD = 90
_LONGEST_UNIT = 600
_ASIDE = re.compile(
    r"(?:^|(?<=\n))[ \t]*(?:[-*•>#]\s*)?(?:results?\s+(?:of|for)\s+)?(?P<words>(?:hormone\s+)?receptor\w*\b|(?:(?:breast"
    r"|tumou?r)\s+)?(?:bio-?\s?markers?|markers?|prognostic|predictive|hormone)\b"
    r"|immuno\w*|ihc\b|repeat\s+(?:ihc|immuno\w*)"
    r"|ancillary|supplement\w*|special\s+studies|additional\s+studies|molecular|fish\b|ish\b|er\b|er/pr|pr\b|pgr\b|o?estrogen"
    r"|progest\w+|her-?2|c-?erb|ki-?67|(?:patholog\w+\s+)?(?:tnm|stage|staging)"
    r"|p?tnm|yp?t\d|mp?t\d|pt[\dis]|npi\b|comments?\b|notes?\b|summary|synoptic|tumou?r\s+(?:summary|profile)|in\s+summary"
    r"|cell\s+block|the\s+tumou?r|all\s+margins)"
)
_NAMED = re.compile(
    r"\b(?:(?i:specimens?|parts?|blocks?|pots?|containers?|samples?|cassettes?|jars?|slides?|tumou?rs?|lesions?)"
    r"(?![A-Za-z])|(?<!\d )(?:on|of|from|in)"
    r"|(?:ON|OF|FROM|IN)(?=\s+\(?[A-Z](?:\d{1,2}\b|\s*[.,;:)\n])))\s*(?:(?i:no)\.?\s*|#\s*)?\(?"
    r"(?P<id>[A-Z](?=\d{0,2}\b)|\d{1,2}(?=[A-Z]?\d{0,2}\b)(?![.,]\d|\s?(?:mm|cm|%|o'|of\b))|[IVX]{1,4}\b)(?!['’]s)"
    r"|(?:^|(?<=\n))[ \t]*\(?(?P<line>[A-Z]|[IVX]{1,4}|\d{1,2})[).:](?=\s)|\((?P<inner>[A-Z]|[IVX]{2,4}|\d)\)"
    r"|(?<=[.;] )(?P<inline>[A-Z]|[IVX]{1,4}|\d{1,2})[).:](?=\s)"
)
_HEAD_WORDS = (
    r"[ \t]*(?:[-*•>#|]\s*)?(?P<head>(?:[^\n:;|]|:(?=[0-5]\d)){3,140}?)(?P<end>[ \t]*:(?!\d)"
    r"|[ \t]+-{1,2}[ \t]|[ \t]*\||\t|\.(?=[ ]+[a-z])"
    r"|[ \t]*\n|[ \t]*$)"
)
_SITE_HEAD = re.compile(rf"(?:^|(?<=\n)|(?<=[.;]\s)|(?<=[.;])){_HEAD_WORDS}")
_FIRST_SITE_HEAD = re.compile(rf"\s*{_HEAD_WORDS}")
"""What stands directly behind the heading of a passage."""
_ONLY_SIDE = re.compile(r"[\s(]*(?:left|right)(?:[ -]sided?)?[\s)]*")
_SUBJECT = re.compile(
    r"(?:^|(?<=\n)|(?<=\. ))[ \t]*(?:(?i:specimens?|parts?|samples?|pots?)[ ]+)?(?P<subject>[A-Z]|\d{1,2}|[IVX]{1,4})[ ]+(?:shows?|is"
    r"|are|contains?|consists?|has|reveals?|demonstrates?|was|were)\b"
)
_SYNOPTIC_KEY = re.compile(
    r"\b(?:size|type|grade|status|laterality|focality|invasion|involved|examined|procedure|(?:tumou?r|anatomic\w*) site|quadrant"
    r"|stage|number|distance"
    r"|closest|details|history|comment|received|macro\w*"
    r"|micro\w*|gross|clinical|summary|diagnosis|report|conclusion|margins? status|er|pr|her2)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Text outside the blocks. ``names`` are identifiers of specimens written in it, ``after`` is the block that it follows."""

    role: Role
    start: int
    end: int
    order: int = 0
    names: tuple[str, ...] = ()
    after: Block | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A report's blocks and the stretches beside them, in the order of the text."""

    blocks: tuple[Block, ...]
    stretches: tuple[Stretch, ...]


def lay_out(text: str, lower: str, passages: Sequence[Passage], mentions: Sequence[Mention]) -> Layout:
    """Blocks by the specimens' labels, otherwise by headings that are sites; else none."""
    codes = {mention.start for mention in mentions if mention.is_code}
    labels = [
        [label for label in found if label.start not in codes and not _is_code(lower, label)]
        for found in find_labels(text, lower, passages)
    ]
    scheme = _choose_scheme(lower, passages, labels, mentions)
    blocks: list[Block] = []
    for passage, found in zip(passages, labels, strict=True):
        if scheme is not None:
            blocks += _labelled(text, lower, passage, [label for label in found if label.scheme == scheme], scheme, mentions)
    if len({block.label.ordinals for block in blocks if block.label}) <= 1:
        by_site = [block for passage in passages for block in _by_site(text, lower, passage, mentions)]
        named = [block for block in by_site if block.passage.role in (Role.DIAGNOSIS, Role.SYNOPTIC)]
        if named and (len(named) > 1 or not blocks):
            blocks = by_site
        if len(blocks) <= 1:
            told = [prose_blocks(text, lower, passage, mentions) for passage in passages]
            blocks = max(told, key=len, default=[]) or blocks
    return Layout(blocks=tuple(blocks), stretches=tuple(_stretches(text, passages, blocks)))


_CODE_LABEL = re.compile(r"[bc][1-5]\b")


def _is_code(lower: str, label: Label) -> bool:
    """B5 and C2 are categories, T1, G2, N0 and M0 stages and grades, unless they are called specimens."""
    if label.scheme != "mixed":
        return False
    return not label.has_noun and re.fullmatch(r"[bcgtnmpu]\d", label.written.lower()) is not None and not _has_site(lower, label)


def _has_site(lower: str, label: Label) -> bool:
    return _is_place_of_tissue(lower[label.body : label.body + _HEAD].lstrip().partition("\n")[0])


@lru_cache(maxsize=1024)
def _is_place_of_tissue(head: str) -> bool:
    return (
        choice("specimens", "tissue").search(head) is not None
        or choice("specimens", "procedure").search(head) is not None
        or bool(find_sides(head))
        or bool(find_clocks(head))
        or bool(find_quadrants(head))
    )


def _choose_scheme(lower: str, passages: Sequence[Passage], labels: Sequence[list[Label]], mentions: Sequence[Mention]) -> str | None:
    for roles in _NAMING:
        scores = {scheme: max(_score(lower, passages, labels, scheme, role, mentions) for role in roles) for scheme in _SCHEMES}
        best = max(_SCHEMES, key=lambda scheme: scores[scheme])
        if scores[best] > 0:
            return best
    return None


_ENCLOSING = 5.0
"""Labels with a noun ("PART 1") that other marks follow enclose these."""


def _score(
    lower: str, passages: Sequence[Passage], labels: Sequence[list[Label]], scheme: str, role: Role, mentions: Sequence[Mention]
) -> float:
    total = 0.0
    for passage, found in zip(passages, labels, strict=True):
        if passage.role is role:
            chosen = _runs([label for label in found if label.scheme == scheme], scheme)
            first_noun = next((label.start for label in chosen if label.has_noun and not label.is_core), None)
            others = [label.start for label in found if label.scheme != scheme and not label.has_noun and not label.is_inline]
            if first_noun is not None and others and first_noun < min(others) and _has_site(lower, chosen[0]):
                total += _ENCLOSING
            if chosen and _starts_well(lower, passage, chosen) and not _is_statement_list(lower, passage, chosen, mentions):
                total += sum(_worth(lower, label, mentions) * len(label.ordinals) for label in chosen)
    return total


def _runs(labels: Sequence[Label], scheme: str) -> list[Label]:
    """The labels of a passage in turn; a list of specimens may be followed by what each of them shows, with the same labels."""
    chosen = [label for run in runs(labels, scheme) for label in run]
    if not chosen:
        return []
    known = {ordinal for label in chosen for ordinal in label.ordinals}
    again = sequence([label for label in labels if label.start > chosen[-1].start and not label.is_inline], scheme)
    repeated = [label for label in again if set(label.ordinals) <= known]
    return [*chosen, *repeated] if repeated and repeated[0].ordinals[0] == chosen[0].ordinals[0] else chosen


def _worth(lower: str, label: Label, mentions: Sequence[Mention]) -> float:
    noun = 0.2 if label.has_noun and not label.is_core else 0.0
    if _has_site(lower, label):
        return 1.0 + noun
    return (0.3 if within(mentions, label.body, label.body + 140) else 0.0) + noun


def _starts_well(lower: str, passage: Passage, labels: Sequence[Label]) -> bool:
    first = labels[0]
    if first.is_inline and not first.has_noun and lower[passage.start : first.start].strip(" \n(["):
        return len(labels) > 1 and sum(_has_site(lower, label) for label in labels) > len(labels) / 2
    if first.ordinals[0] == 1 or first.has_noun or first.scheme == "mixed":
        return True
    return _has_site(lower, first)


def _is_statement_list(lower: str, passage: Passage, labels: Sequence[Label], mentions: Sequence[Mention]) -> bool:
    """Whether numbers or letters count the statements on one specimen ("1. Invasive carcinoma 2. DCIS") rather than specimens."""
    if any(label.has_noun for label in labels):
        return False
    stops = [*(label.start for label in labels[1:]), passage.end]
    with_site = sum(_has_site(lower, label) for label in labels)
    with_finding = sum(bool(within(mentions, label.body, stop)) for label, stop in zip(labels, stops, strict=True))
    is_headed = choice("specimens", "tissue").search(lower, passage.start, labels[0].start) is not None
    if len(labels) < 2:
        return not with_site
    return with_site <= len(labels) // 3 and (is_headed or with_finding < len(labels))


def _labelled(text: str, lower: str, passage: Passage, labels: Sequence[Label], scheme: str, mentions: Sequence[Mention]) -> list[Block]:
    chosen = _runs(labels, scheme)
    if not chosen or _is_statement_list(lower, passage, chosen, mentions) or not _starts_well(lower, passage, chosen):
        return []
    context = _context(lower, passage.heading, passage.start, chosen[0].start)
    blocks = [
        Block(
            passage=passage,
            start=label.start,
            body=label.body,
            end=following.start if following else passage.end,
            label=label,
            context=context,
        )
        for label, following in zip(chosen, [*chosen[1:], None], strict=True)
    ]
    return _without_asides(lower, _before_subjects(text, blocks), mentions)


def _before_subjects(text: str, blocks: list[Block]) -> list[Block]:
    """The last block of a list ends where sentences speak of its specimens in turn ("A shows ..., B is free of ...")."""
    last = blocks[-1]
    written = {block.label.written.lower() for block in blocks[:-1] if block.label}
    match = next((m for m in _SUBJECT.finditer(text, last.body, last.end) if m["subject"].lower() in written), None)
    return [*blocks[:-1], replace(last, end=match.start())] if match else blocks


def _context(lower: str, heading: TextRange | None, start: int, end: int) -> TextRange | None:
    """Words above the labels that give one side to all ("Right breast VAB.")."""
    first = heading[0] if heading else start
    return (first, end) if len({word.value for word in find_sides(lower, first, end)}) == 1 else None


def _without_asides(lower: str, blocks: list[Block], mentions: Sequence[Mention]) -> list[Block]:
    """The last block ends where receptors, stage or a comment of the case begin on a line of their own."""
    blocks = [*blocks[:-1], _without_lines_of_others(lower, _without_paragraphs_of_others(lower, blocks[-1]), blocks[:-1])]
    last = blocks[-1]
    if any(_ASIDE.search(lower, block.body, block.end) for block in blocks[:-1]) and not _stands_apart(lower, last):
        return blocks
    for match in _ASIDE.finditer(lower, last.body + 1, last.end):
        if within(mentions, last.body, match.start()) or "\n\n" in lower[last.body : match.start() + 1]:
            return [*blocks[:-1], replace(last, end=match.start())]
    return blocks


_PARAGRAPH = re.compile(r"\n[ \t]*\n[ \t]*(?=\S)")
_OF_OTHERS = re.compile(
    r"[^\n:]{0,60}\b(?:immuno\w*|ihc|receptors?|markers?|biomarkers?|her-?2|fish|hormone|previous|prior|earlier|radiolog\w*|concordan\w*"
    r"|correlation|stage|staging|synoptic|summary|comment|note|addend\w*|supplement\w*|reports?)\b"
    r"|(?:classif\w*|categor\w*|codes?|opinion)[ \t]*:[ \t]*\(?(?:[a-h]|\d{1,2}|[ivx]{1,4})[,:)=. ]"
)


def _without_paragraphs_of_others(lower: str, block: Block) -> Block:
    """A last block ends before a paragraph on its own that begins with markers, stage or earlier reports."""
    for match in _PARAGRAPH.finditer(lower, block.body, block.end):
        if _OF_OTHERS.match(lower, match.end(), block.end) and lower[block.body : match.start()].strip():
            return replace(block, end=match.end())
    return block


_OTHERS_LINE = re.compile(
    r"\n[ \t]*(?:[-*•]\s*)?(?P<words>[^\n.]{0,60}?(?:\b(?:specimen|part|pot|site|block|in|at|from|on|for|of)\s*#?|#"
    r"|\()\s*(?P<id>[a-z](?=\d{0,2}\b)|\d{1,2}|[ivx]{1,4})\d{0,2}\b(?![.,]\d|\s?(?:mm|cm|%))"
    r"[\w ]{0,3}\)?\s*(?::|=|-\s|(?:is|are|was|were|shows?|measures?|has|have)\b))"
)


def _without_lines_of_others(lower: str, block: Block, others: Sequence[Block]) -> Block:
    """A last block ends before a line that names another of the specimens."""
    names = {other.label.written.lower() for other in others if other.label} - {block.label.written.lower() if block.label else ""}
    for match in _OTHERS_LINE.finditer(lower, block.body, block.end):
        is_article = match["id"] == "a" and re.search(r"(?:[(#]|specimen |part |pot |site )a\b", match["words"]) is not None
        if match["id"] in names and not is_article and lower[block.body : match.start()].strip():
            return replace(block, end=match.start() + 1)
    return block


def _stands_apart(lower: str, block: Block) -> bool:
    match = _ASIDE.search(lower, block.body + 1, block.end)
    return match is not None and lower[max(block.body, match.start() - 40) : match.start()].rstrip(" \t").endswith("\n\n")


def _by_site(text: str, lower: str, passage: Passage, mentions: Sequence[Mention]) -> list[Block]:
    if passage.role is Role.GROSS:
        return []
    first = _FIRST_SITE_HEAD.match(lower, passage.start, passage.end) if lower[passage.start - 1 : passage.start] != "\n" else None
    found = [*([first] if first else []), *_SITE_HEAD.finditer(lower, first.end("head") if first else passage.start, passage.end)]
    heads = [match for match in found if _is_site(lower, match, mentions)]
    blocks = []
    for match, following in zip(heads, [*heads[1:], None], strict=False):
        end = following.start("head") if following else passage.end
        start = match.start("head")
        blocks.append(Block(passage=passage, start=start, body=start, end=end, heading=match.span("head")))
    blocks = [block for block in blocks if block.heading and within(mentions, block.heading[1], block.end)]
    blocks = _with_bracketed_labels(text, blocks)
    if blocks and _is_node_after_tumour(lower, passage, blocks[0], mentions):
        blocks.insert(0, Block(passage=passage, start=passage.start, body=passage.start, end=blocks[0].start))
    return _without_asides(lower, blocks, mentions) if blocks else []


_BRACKETED_END = re.compile(r"\((?:(?i:specimen|part)\s*)?(?P<id>[A-Z]|\d{1,2}|[IVX]{1,4})\)\s*$")


def _with_bracketed_labels(text: str, blocks: list[Block]) -> list[Block]:
    """Labels with which the headings end ("Breast, left, core biopsy (A):"), where they count from the first without a gap."""
    found = [block.heading and _BRACKETED_END.search(text, *block.heading) for block in blocks]
    marked = [(index, match) for index, match in enumerate(found) if match]
    for scheme in _SCHEMES[:3]:
        labels = [(index, label) for index, match in marked for label in label_of(match["id"], match.span("id")) if label.scheme == scheme]
        if len(labels) > 1 and [label.ordinals for _, label in labels] == [(number + 1,) for number in range(len(labels))]:
            by_index = dict(labels)
            return [replace(block, label=by_index.get(index)) for index, block in enumerate(blocks)]
    return blocks


def _is_node_after_tumour(lower: str, passage: Passage, block: Block, mentions: Sequence[Mention]) -> bool:
    """Whether the first heading is of nodes and the tumour stands above it without one."""
    head = lower[slice(*block.heading)] if block.heading else ""
    if choice("specimens", "other_tissue").search(head) is None or "breast" in head:
        return False
    return any(mention.diagnosis == "malignant" and not mention.is_absent for mention in within(mentions, passage.start, block.start))


def _is_site(lower: str, match: re.Match[str], mentions: Sequence[Mention]) -> bool:
    """Words for tissue with a side or a procedure, and no finding among them."""
    head = match["head"]
    if _MARGINS.fullmatch(head.strip()) is not None:
        return False
    if match["end"] == "." and not _is_short_title(match):
        return False
    if _ONLY_SIDE.fullmatch(head) is not None:
        return ":" in match["end"] or "|" in match["end"]
    if choice("specimens", "tissue").search(head) is None or _SYNOPTIC_KEY.search(head):
        return False
    if within(mentions, match.start("head"), match.end("head")):
        return False
    if len(head.split()) > 18 or re.search(r"\b(?:is|are|was|were|shows?|see|contains?|present|seen|identified|absent)\b", head):
        return False
    return _has_side(head) or bool(find_clocks(head)) or choice("specimens", "procedure").search(head) is not None


_LETTER_SIDE = re.compile(r"\b(?:lt|rt)\b|(?<=, )[lr](?=,|$)")


def _has_side(head: str) -> bool:
    return bool(find_sides(head)) or _LETTER_SIDE.search(head) is not None


_MARGINS = re.compile(r"(?:excision|resection|surgical|circumferential|radial|specimen)? ?margins?(?: status)?")


def _is_short_title(match: re.Match[str]) -> bool:
    """Whether words that a full stop ends stand at the start of a line and name a procedure and its place."""
    head = match["head"]
    is_first = match.string[: match.start("head")].rstrip(" \t-*•>#|")[-1:] in ("", "\n")
    is_placed = _has_side(head) or bool(find_clocks(head))
    return is_first and is_placed and choice("specimens", "procedure").search(head) is not None and len(head.split()) <= 12


def _stretches(text: str, passages: Sequence[Passage], blocks: Sequence[Block]) -> list[Stretch]:
    """What no block covers, cut where another specimen is named."""
    found: list[Stretch] = []
    for passage in passages:
        position = passage.start
        previous: Block | None = None
        for block in sorted((b for b in blocks if b.passage is passage), key=lambda b: b.start):
            if block.start > position:
                found += _cut(text, passage, position, block.start, previous)
            position = max(position, block.end)
            previous = block
        if position < passage.end:
            found += _cut(text, passage, position, passage.end, previous)
    return found


def _cut(text: str, passage: Passage, start: int, end: int, after: Block | None) -> list[Stretch]:
    named = [
        (match.start(), match["id"] or match["line"] or match["inner"] or match["inline"]) for match in _NAMED.finditer(text, start, end)
    ]
    named = sorted([*named, *((match.start("subject"), match["subject"]) for match in _SUBJECT.finditer(text, start, end))])
    first = _NAMED.search(text, passage.heading[0], passage.heading[1]) if passage.heading else None
    heading_name = (first["id"] or first["line"] or first["inner"] or first["inline"]) if first else None
    pieces: list[Stretch] = []
    begin, names = start, [heading_name] if heading_name else []
    for position, name in named:
        unit = _unit_start(text, start, position)
        if names and name not in names and unit > begin:
            pieces.append(Stretch(role=passage.role, start=begin, end=unit, order=passage.order, names=tuple(names), after=after))
            begin, names = unit, []
        if name not in names:
            names.append(name)
    pieces.append(Stretch(role=passage.role, start=begin, end=end, order=passage.order, names=tuple(names), after=after))
    return [piece for piece in pieces if text[piece.start : piece.end].strip()]


def _unit_start(text: str, start: int, position: int) -> int:
    """The start of the line or sentence at a position."""
    begin = max(start, position - _LONGEST_UNIT)
    found = max(text.rfind("\n", begin, position), text.rfind(". ", begin, position), text.rfind("; ", begin, position))
    return begin if found < 0 else found + 1
