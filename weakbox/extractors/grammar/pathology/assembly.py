"""Puts the blocks of all passages together: one entry a specimen, or a group reported together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from weakbox.extractors.grammar.pathology.blocks import Block
from weakbox.extractors.grammar.pathology.cores import ALL_POSITIVE, number_of
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.grades import GRADE_FIELDS
from weakbox.extractors.grammar.pathology.listed import is_listed_with_the_next
from weakbox.extractors.grammar.pathology.passages import Role
from weakbox.extractors.grammar.pathology.places import LOCATION_FIELDS, location_facts
from weakbox.extractors.grammar.pathology.specimens import Reader, merge, rank
from weakbox.organs.prostate import LEVELS
from weakbox.records.stated import FieldValue

_SUPPORTING = (Role.AMENDMENT, Role.ADDENDUM, Role.COMMENT, Role.GROSS, Role.SPECIMEN_LIST)
_SIDE_MAP = re.compile(
    r"\b(?=\w\w?\s*[-t])(?P<first>\d{1,2}|[A-Z])\s*(?:-|to|through)\s*(?P<last>\d{1,2}|[A-Z])\s*(?:[:=,(]|are|from|were|is)?\s*(?:the\s+|all\s+)?"
    r"(?P<side>right|left)\b",
    re.IGNORECASE,
)
_REST = re.compile(
    r"\b(?:all\s+|the\s+)?(?:remaining|other|rest\s+of\s+the)\s+(?:specimens?|parts?|cores?|biops(?:y|ies)|samples?|containers?)\b"
    r"(?P<words>[^.\n]{0,120})|\b(?:remaining|remainder|rest)\s*[:-]\s*(?P<more>[^.\n]{0,120})",
    re.IGNORECASE,
)

Key = tuple[object, ...]
Reading = tuple[Role, int, Facts]


@dataclass(slots=True)
class Entry:
    """A specimen while it is put together."""

    key: Key
    label: Fact | None
    position: int
    readings: list[Reading] = field(default_factory=list)
    members: list[Facts] = field(default_factory=list)
    """Of a group: what list or gross description says of each of its specimens."""

    @property
    def ordinals(self) -> tuple[int, ...]:
        """The specimens that the label names; empty without a label."""
        return self.key[1] if self.key[0] == "label" else ()  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A specimen's label and facts."""

    label: Fact | None
    position: int
    facts: Facts
    ordinals: tuple[int, ...] = ()
    """The specimens that the label names."""


def assemble(reader: Reader, blocks: Sequence[Block], case_level: Sequence[tuple[Role, TextRange]]) -> list[Assembled]:
    """The specimens in the order of their labels, or of the text where they have none; ``case_level`` may speak of all of them."""
    read = _shared(reader.text, [(block, reader.read(block)) for block in blocks])
    entries = _without_groups_of(_primary_entries(read), read)
    sides = _side_map(reader.text, blocks)
    primary = {id(facts) for entry in entries for _, _, facts in entry.readings}
    for block, facts in read:
        if id(facts) not in primary:
            _support(entries, block, facts)
    entries += _only_listed(read, entries)
    for entry in entries:
        entry.readings += [
            (Role.SPECIMEN_LIST, 0, facts) for ordinals, facts in sides if entry.ordinals and set(entry.ordinals) <= ordinals
        ]
        entry.members += [facts for ordinals, facts in sides if 0 < len(set(entry.ordinals) & ordinals) < len(entry.ordinals)]
    _spread_rest(reader, entries, case_level)
    _count_each(reader, entries)
    ordered = sorted(entries, key=lambda entry: (entry.ordinals or (0,), entry.position))
    merged = [
        Assembled(
            label=entry.label,
            position=entry.position,
            facts=_with_members(merge(entry.readings), entry.members, len(entry.ordinals)),
            ordinals=entry.ordinals,
        )
        for entry in ordered
    ]
    return [specimen for specimen in merged if _says_something(specimen, sides)]


_AND_THE_NEXT = re.compile(
    r"\b(?:and|as\s+well\s+as)\s+(?:also\s+)?(?:the\s+|those\s+)?(?:\w+\s+){0,2}?(?:(?:cores?|those)\s+)?(?:(?:from|in|of)\s+)?(?:the\s+)?"
    r"(?:(?:pot|container|specimen|jar|part|vial|tube|bottle|sample)s?\s*)?$",
    re.IGNORECASE,
)


def _shared(text: str, read: list[tuple[Block, Facts]]) -> list[tuple[Block, Facts]]:
    """ "The cores in pot 1 (...) and those in pot 2 (...) are benign": the first shares what is said of the next."""
    shared = list(read)
    for index in range(len(read) - 2, -1, -1):
        block, facts = shared[index]
        following, said = shared[index + 1]
        if block.label is None or following.label is None or "diagnosis" in facts or block.passage is not following.passage:
            continue
        is_listed = block.passage.role is Role.DIAGNOSIS and is_listed_with_the_next(text, block.body, block.end)
        if is_listed or _AND_THE_NEXT.search(text, max(block.body, block.end - 80), block.end):
            common = {name: fact for name, fact in said.items() if name in ("diagnosis", *GRADE_FIELDS)}
            none = said.get("cores_positive")
            if none is not None and none.value == 0:
                common["cores_positive"] = none
            shared[index] = (block, {**common, **facts})
    return shared


def _primary_entries(read: Sequence[tuple[Block, Facts]]) -> list[Entry]:
    roles = [block.passage.role for block, facts in read if block.passage.role not in _SUPPORTING]
    if not roles:
        return []
    best = min(roles, key=rank)
    entries: list[Entry] = []
    for block, facts in read:
        if block.passage.role is best:
            _add(entries, block, facts)
    return entries


_FINDINGS = ("diagnosis", "cores_positive", *GRADE_FIELDS)
_TELLING = (Role.DIAGNOSIS, Role.SYNOPTIC, Role.MICROSCOPY, Role.FREE)


def _without_groups_of(entries: list[Entry], read: Sequence[tuple[Block, Facts]]) -> list[Entry]:
    """Groups whose members have findings of their own elsewhere, or are all that there is, are split into these members."""
    kept: list[Entry] = []
    for entry in entries:
        members = _members(entry, read, is_sole=len(entries) == 1)
        if members is None:
            kept.append(entry)
            continue
        for (block, _), ordinal in zip(members, entry.ordinals, strict=True):
            key = ("label", (ordinal,))
            known = next((other for other in (*entries, *kept) if other.key == key), None)
            if known is None:
                known = Entry(key=key, label=_label(block), position=entry.position)
                kept.append(known)
            known.readings += [(role, order, _of_each(facts)) for role, order, facts in entry.readings]
            known.readings += [(Role.COMMENT, order, _grade_of_group(facts)) for _, order, facts in entry.readings]
    return kept


def _members(entry: Entry, read: Sequence[tuple[Block, Facts]], *, is_sole: bool) -> list[tuple[Block, Facts]] | None:
    """For each specimen that a group names a block of its own; None where it is to stay a group."""
    if len(entry.ordinals) < 2:
        return None
    single = {block.label.ordinals[0]: (block, facts) for block, facts in read if block.label and len(block.label.ordinals) == 1}
    telling = {
        block.label.ordinals[0]: (block, facts)
        for block, facts in read
        if block.label and len(block.label.ordinals) == 1 and block.passage.role in _TELLING and any(name in facts for name in _FINDINGS)
    }
    described = {
        block.label.ordinals[0]: (block, facts)
        for block, facts in read
        if block.label
        and len(block.label.ordinals) == 1
        and block.passage.role is Role.MICROSCOPY
        and any(name in facts for name in LOCATION_FIELDS)
    }
    chosen = single if is_sole else described | telling if any(ordinal in telling for ordinal in entry.ordinals) else telling
    return [chosen[ordinal] for ordinal in entry.ordinals] if all(ordinal in chosen for ordinal in entry.ordinals) else None


def _of_each(facts: Facts) -> Facts:
    """What a group says of each of its members: the diagnosis, and that none or all of the cores hold cancer."""
    none = facts.get("cores_positive")
    kept = {name: fact for name, fact in facts.items() if name in ("diagnosis", ALL_POSITIVE)}
    return {**kept, "cores_positive": none} if none is not None and none.value == 0 else kept


def _grade_of_group(facts: Facts) -> Facts:
    return {name: fact for name, fact in facts.items() if name in GRADE_FIELDS}


def _add(entries: list[Entry], block: Block, facts: Facts) -> None:
    key = _key(block, facts)
    known = next((entry for entry in entries if entry.key == key), None)
    if known is None:
        known = Entry(key=key, label=_label(block), position=block.start)
        entries.append(known)
    known.readings.append((block.passage.role, block.passage.order, facts))


def _key(block: Block, facts: Facts) -> Key:
    if block.label is not None:
        return ("label", block.label.ordinals)
    place = tuple(facts[name].value if name in facts else None for name in ("target", *LOCATION_FIELDS))
    is_targeted = "is_targeted" in facts and facts["is_targeted"].value is True
    return ("site", place, is_targeted)


def _label(block: Block) -> Fact | None:
    if block.label is None:
        return None
    return Fact(value=block.label.written, spans=((block.label.start, block.label.end),), confidence=0.98, rule="label")


def _support(entries: list[Entry], block: Block, facts: Facts) -> None:
    """Facts of another passage go to the specimen of the same label, or to the group that it is part of."""
    key = _key(block, facts)
    reading = (block.passage.role, block.passage.order, facts)
    for entry in entries:
        if entry.key == key:
            entry.readings.append(reading)
            return
    if block.label is None:
        return
    own = set(block.label.ordinals)
    for entry in entries:
        names = set(entry.ordinals)
        if names and own < names:
            entry.members.append(facts)
        elif names and names < own and block.passage.role is Role.SPECIMEN_LIST:
            places = {n: f for n, f in facts.items() if n in (*LOCATION_FIELDS, "target", "is_targeted")}
            entry.readings.append((block.passage.role, block.passage.order, places))


def _with_members(facts: Facts, members: Sequence[Facts], size: int) -> Facts:
    """Where a group states no place or number of cores, its members' places are joined and their cores added."""
    joined: Facts = {}
    places = [member for member in members if any(name in member for name in LOCATION_FIELDS)]
    if places and not any(name in facts for name in LOCATION_FIELDS):
        joined |= _joined_places(places)
    totals = [member["cores_total"] for member in members if "cores_total" in member]
    if len(totals) == size and size > 1:
        spans = tuple(span for total in totals for span in total.spans)
        joined["cores_total"] = Fact(value=sum(int(total.number) for total in totals), spans=spans, confidence=0.9, rule="members")
    targets = {member["target"].value: member["target"] for member in members if "target" in member}
    if len(targets) == 1 and len(members) == size:
        joined["target"] = next(iter(targets.values()))
    targeted = [member["is_targeted"] for member in members if "is_targeted" in member]
    if len(targeted) == size and len({fact.value for fact in targeted}) == 1:
        joined["is_targeted"] = targeted[0]
    return {**joined, **facts}


def _joined_places(places: Sequence[Facts]) -> Facts:
    joined: Facts = {}
    for name in LOCATION_FIELDS:
        stated = [place[name] for place in places if name in place]
        if not stated:
            continue
        values = list(dict.fromkeys(fact.value for fact in stated))
        spans = tuple(dict.fromkeys(span for fact in stated for span in fact.spans))
        value = values[0] if len(values) == 1 and (len(stated) == len(places) or name == "levels") else _union(name, values)
        if value is not None:
            joined[name] = Fact(value=value, spans=spans, confidence=0.9, rule="members")
    return joined


def _union(name: str, values: Sequence[FieldValue]) -> FieldValue | None:
    if name == "side":
        return "bilateral" if len(values) > 1 else None
    if name == "levels":
        present = {level for value in values if isinstance(value, tuple) for level in value}
        return tuple(level for level in LEVELS if level in present)
    return None


def _only_listed(read: Sequence[tuple[Block, Facts]], entries: Sequence[Entry]) -> list[Entry]:
    """Specimens that are listed or described but have no diagnosis of their own."""
    named = {ordinal for entry in entries for ordinal in entry.ordinals}
    has_sites = bool(entries) and not named
    added: list[Entry] = []
    for block, facts in sorted(read, key=lambda pair: rank(pair[0].passage.role)):
        if block.label is None or has_sites or block.passage.role in (Role.GROSS, Role.COMMENT, Role.ADDENDUM):
            continue
        if not set(block.label.ordinals) & named:
            _add(added, block, facts)
    return added


def _side_map(text: str, blocks: Sequence[Block]) -> list[tuple[set[int], Facts]]:
    """ "Cores 1-6 right, 7-12 left": which labels lie on which side."""
    if not blocks:
        return []
    found = []
    for match in _SIDE_MAP.finditer(text):
        first, last = (int(part) if part.isdigit() else ord(part.upper()) - 64 for part in (match["first"], match["last"]))
        if first < last:
            found.append((set(range(first, last + 1)), location_facts(text, *match.span("side"))))
    return found if len(found) > 1 else []


def _spread_rest(reader: Reader, entries: Sequence[Entry], case_level: Sequence[tuple[Role, TextRange]]) -> None:
    """ "All other specimens: benign" goes to every specimen without a diagnosis, "all specimens" to all where none has one."""
    without = [entry for entry in entries if not any("diagnosis" in facts for _, _, facts in entry.readings)]
    if not without:
        return
    match = _REST.search(reader.text)
    if match is not None:
        span: TextRange = match.span("words") if match["words"] is not None else match.span("more")
        facts = reader.read_stretch(*span)
    else:
        facts = _said_of_all(reader, case_level) if len(without) == len(entries) > 1 else {}
    for entry in without:
        entry.readings.append((Role.DIAGNOSIS, 0, {name: fact for name, fact in facts.items() if name == "diagnosis"}))


_ALL_SPECIMENS = re.compile(
    r"\b(?:both|all|each|every|neither|none)\b(?:\s+(?:of|the|these|\d{1,2}|two|three|four|five|six|eight|ten|twelve|submitted|received"
    r"|biopsy|prostat\w+|needle))*\s+(?:specimens?|parts?|containers?|samples?|pots?|jars?|vials?|bottles?|tubes?|sites?|cores?"
    r"|biops(?:y|ies)|lobes?|sides?|levels?|sections?)\b|\bthroughout\b|^\W*(?:all|both)\W+(?=benign|negative|free)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(r"[^.;\n]+(?:[.;](?!\s)[^.;\n]+)*")


def _said_of_all(reader: Reader, case_level: Sequence[tuple[Role, TextRange]]) -> Facts:
    """ "Benign prostatic tissue in both specimens": the diagnosis that a sentence gives to every specimen."""
    for role, (start, end) in sorted(case_level, key=lambda stretch: (rank(stretch[0]), stretch[1])):
        if role not in _TELLING or _ALL_SPECIMENS.search(reader.text, start, end) is None:
            continue
        for sentence in _SENTENCE.finditer(reader.text, start, end):
            facts = reader.read_stretch(*sentence.span()) if _ALL_SPECIMENS.search(sentence[0]) else {}
            if "diagnosis" in facts:
                return facts
    return {}


_EACH = re.compile(
    r"\b(?:of|from|in|for)?\s*(?:each|every)\s+(?:specimen|container|jar|pot|vial|site|region|location|sextant|area|part|bottle"
    r"|tube)\s*[:,]?\s*"
    r"(?:contain\w*|has|holds|had|yielded|received)?\s*(?P<after>\d{1,2}|one|two|three|four|five|six)\s+(?:needle\s+|tissue\s+"
    r"|biopsy\s+)?cores?\b"
    r"|\b(?:specimens|containers|jars|pots|vials|sites|cassettes|parts|bottles|tubes|locations"
    r"|regions)\s*[,:(]?\s*(?:with\s+)?(?P<listed>\d{1,2}|one|two|three|four|five|six)"
    r"\s+cores?\s+each\b"
    r"|\beach\s+(?:with|holding|having|of)\s+(?P<with>\d{1,2}|one|two|three|four|five|six)\s+(?:(?:needle|tissue|biopsy)\s+)?cores?\b"
    r"|\b(?P<before>\d{1,2}|one|two|three|four|five|six)\s+(?:(?:needle|tissue|biopsy)\s+)?(?:cores?|biops(?:y"
    r"|ies))?\s*(?:were\s+taken\s+|taken\s+|obtained\s+)?"
    r"(?:(?:per|(?:from|at|in|for)\s+(?:each|every))\s+(?:specimen|container|jar|pot|vial|site|region|location|sextant|area|part|bottle"
    r"|tube)\b|(?:from|in)\s+each(?=\s*[,.;)\n]))",
    re.IGNORECASE,
)


_MAY_COUNT_EACH = re.compile(r"\b(?:each|every|per)\b", re.IGNORECASE)


def _count_each(reader: Reader, entries: Sequence[Entry]) -> None:
    """ "Two cores per site" counts the cores of every specimen that states none."""
    match = _EACH.search(reader.text) if len(entries) > 1 and _MAY_COUNT_EACH.search(reader.text) else None
    if match is None:
        return
    group = next(name for name in ("after", "listed", "with", "before") if match[name])
    for entry in entries:
        total = Fact(value=number_of(match[group]) * max(1, len(entry.ordinals)), spans=(match.span(),), confidence=0.85, rule="each")
        entry.readings.append((Role.GROSS, 0, {"cores_total": total}))


def _says_something(specimen: Assembled, sides: Sequence[tuple[set[int], Facts]]) -> bool:
    if not specimen.facts:
        return specimen.label is not None and not sides
    return not (sides and not set(specimen.facts) - set(LOCATION_FIELDS))
