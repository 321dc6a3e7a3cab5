"""What is settled once the specimens are read: columns of tables, places that a header gives, markers below the wrong specimen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weakbox.extractors.grammar.breast.pathology_layout import Stretch
from weakbox.extractors.grammar.breast.pathology_receptors import receptor_facts
from weakbox.extractors.grammar.breast.pathology_size import size_of
from weakbox.extractors.grammar.breast.pathology_specimens import MARKERS, NOTHING, PLACES, Entry, Reader, is_named, is_tumour, only_places
from weakbox.extractors.grammar.breast.pathology_tables import Table
from weakbox.extractors.grammar.breast.places import find_clocks, find_sides
from weakbox.extractors.grammar.pathology.facts import Fact, Facts
from weakbox.extractors.grammar.pathology.labels import label_of
from weakbox.extractors.grammar.pathology.passages import Passage, Role


def with_bracketed_places(reader: Reader, entries: list[Entry], stretches: Sequence[Stretch]) -> list[Entry]:
    """Places that a list gives before the label in brackets: "right upper inner (specimen 1) and left lower outer (specimen 2)"."""
    for stretch in stretches:
        if stretch.role in (Role.FREE, Role.SPECIMEN_LIST, Role.GROSS) or (stretch.role is Role.DIAGNOSIS and stretch.after is None):
            start = stretch.start
            for match in _IN_BRACKETS.finditer(reader.text, stretch.start, stretch.end):
                places = reader.places(max(start, reader.lower.rfind(". ", start, match.start()) + 1), match.start())
                start = match.end()
                for entry in entries:
                    if places and is_named(entry, (match["id"],)):
                        missing = {name: fact for name, fact in places.items() if name not in entry.facts}
                        entry.readings.append((Role.SPECIMEN_LIST, 0, missing))
    return entries


_IN_BRACKETS = re.compile(
    r"[(\[](?:(?i:specimens?|parts?|pots?|jars?|containers?|samples?|site)\s*(?:no\.?\s*)?)?(?P<id>[A-Z]|\d{1,2}|[IVX]{1,4})[)\]]"
)


def of_columns(reader: Reader, tables: Sequence[Table]) -> list[Entry]:
    """The specimens of a table that gives each a column with its diagnosis; empty where there is none."""
    entries: list[Entry] = []
    for table in tables:
        for name, start, end in table.owners:
            facts: Facts = {}
            for cell in (cell for cell in table.cells if cell.owner == name and cell.end > cell.start):
                if cell.key in ("text", "site"):
                    facts |= reader.read(cell.start, cell.end) | reader.places(cell.start, cell.end)
            label = Fact(value=reader.text[start:end], spans=((start, end),), confidence=0.95, rule="label")
            ordinals = next(iter(label_of(reader.text[start:end], (start, end))), None)
            entries.append(
                Entry(
                    label=label,
                    ordinals=ordinals.ordinals if ordinals else (),
                    position=start,
                    readings=[(Role.DIAGNOSIS, 0, facts)],
                    places=only_places(facts),
                )
            )
    return entries


def without_tables(reader: Reader, tables: Sequence[Table]) -> Reader:
    """The reader without what stands in such tables."""
    spans = [span for table in tables if table.owners for span in table.headers]

    def is_outside(start: int) -> bool:
        return not any(first <= start < last for first, last in spans)

    return replace(
        reader,
        mentions=[one for one in reader.mentions if is_outside(one.start)],
        grades=[one for one in reader.grades if one.column or is_outside(one.start)],
        sizes=[one for one in reader.sizes if one.column or is_outside(one.start)],
    )


def with_columns(reader: Reader, entries: list[Entry]) -> list[Entry]:
    """What stands in a table's columns goes to the specimens that name them."""
    columns: dict[str, Facts] = {}
    for receptor in reader.receptors:
        if receptor.owner is not None:
            columns[receptor.owner] = {**receptor_facts([receptor]), **columns.get(receptor.owner, {})}
    for grade in reader.grades:
        if grade.column is not None:
            fact = Fact(value=grade.value, spans=((grade.start, grade.end),), rule="table")
            columns[grade.column] = {"grade": fact, **columns.get(grade.column, {})}
    for size in reader.sizes:
        measured = size_of([size], is_in_situ=False)
        if size.column is not None and measured is not None:
            columns[size.column] = {"tumor_size_mm": measured, **columns.get(size.column, {})}
    tumours = [entry for entry in entries if is_tumour(entry, entry.facts)]
    for name, facts in columns.items():
        owners = [entry for entry in entries if is_named(entry, (name,)) or _stands_at(entry, name)]
        owners = owners or (tumours if len(tumours) == 1 and len(columns) == 1 else [])
        for entry in owners[:1]:
            is_cancer = is_tumour(entry, entry.facts)
            entry.readings.append((Role.SYNOPTIC, 0, facts if is_cancer else {n: f for n, f in facts.items() if n in MARKERS}))
    return entries


def _stands_at(entry: Entry, words: str) -> bool:
    """Whether a column is headed by the place of a specimen."""
    sides, clocks = {word.value for word in find_sides(words)}, {clock.value for clock in find_clocks(words)}
    facts = entry.facts
    side, clock = facts.get("side", NOTHING).value, facts.get("clock", NOTHING).value
    return bool(sides or clocks) and not entry.is_node and (not sides or side in sides) and (not clocks or clock in clocks)


_HEADERS = (Role.DIAGNOSIS, Role.SYNOPTIC, Role.SPECIMEN_LIST, Role.FREE, Role.GROSS)


def with_header_places(
    reader: Reader, specimens: list[Facts], are_apart: Sequence[bool], passages: Sequence[Passage], stretches: Sequence[Stretch]
) -> list[Facts]:
    """A lone specimen takes its place from anywhere but the history; several take the one place that the header gives to all."""
    if not specimens or not any("diagnosis" in facts for facts in specimens):
        return specimens
    if len(specimens) == 1:
        filled = dict(specimens[0])
        for role in _HEADERS:
            for passage in passages:
                if passage.role is role:
                    first = passage.heading[0] if passage.heading else passage.start
                    filled = {**_less_sure(reader.places(first, passage.end)), **filled}
        return [filled]
    for name in PLACES:
        head = _only_place(reader, stretches, name)
        stated = {facts[name].value for facts in specimens if name in facts}
        if head is not None and stated <= ({head.value} if name == "side" else set()):
            specimens = [
                facts if is_apart and name != "side" else {name: head, **facts}
                for facts, is_apart in zip(specimens, are_apart, strict=True)
            ]
    return specimens


_ALL_OF_A_SIDE = re.compile(
    r"\b(?:all|both|each|every)\b[^.\n]{0,30}\b(?:specimens?|parts?|samples?|containers?)\b[^.]{0,40}?\b(?P<side>left|right)\b"
)


def with_corrected_side(reader: Reader, specimens: list[Facts], stretches: Sequence[Stretch]) -> list[Facts]:
    """The side that an addendum gives to all specimens."""
    for stretch in stretches:
        match = _ALL_OF_A_SIDE.search(reader.lower, stretch.start, stretch.end) if stretch.role in _LATER else None
        if match is not None:
            side = Fact(value=match["side"], spans=(match.span("side"),), confidence=0.9, rule="correction", flags=("superseded",))
            specimens = [{**facts, "side": side} for facts in specimens]
        elif stretch.role in _LATER:
            specimens = _with_named_sides(reader, specimens, stretch)
    return specimens


_SIDE_OF_ONE = re.compile(
    r"(?<![\w'’])(?:(?i:specimen|part|sample|pot|container)[ ]+)?(?P<id>[A-H]|\d{1,2}|[IVX]{1,4})[ ]+"
    r"(?i:(?:is|was|are|comes|came|should[ ]+(?:be|read)|=)[ ]+"
    r"(?:in[ ]+fact[ ]+|actually[ ]+|now[ ]+|taken[ ]+|from[ ]+|of[ ]+|on[ ]+|the[ ]+|labell?ed[ ]+){0,4}(?P<side>left|right))\b"
)


def _with_named_sides(reader: Reader, specimens: list[Facts], stretch: Stretch) -> list[Facts]:
    """The sides that an addendum gives to one specimen after the other ("A is right breast and B is left breast")."""
    sides = {match["id"]: match for match in _SIDE_OF_ONE.finditer(reader.text, stretch.start, stretch.end)}
    corrected = []
    for facts in specimens:
        match = sides.get(str(facts["specimen_id"].value)) if "specimen_id" in facts else None
        if match is None:
            corrected.append(facts)
            continue
        side = Fact(value=match["side"].lower(), spans=(match.span("side"),), confidence=0.9, rule="correction", flags=("superseded",))
        corrected.append({**facts, "side": side})
    return corrected


_LATER = (Role.AMENDMENT, Role.ADDENDUM)


def without_cancelled(reader: Reader, entries: list[Entry]) -> list[Entry]:
    """The entries without those that a list alone names, as not taken."""
    return [entry for entry in entries if len(entries) == 1 or not _is_cancelled(reader, entry)]


def _is_cancelled(reader: Reader, entry: Entry) -> bool:
    is_listed = all(role in (Role.SPECIMEN_LIST, Role.FREE) for role, _, _ in entry.readings)
    if not is_listed or "diagnosis" in entry.facts:
        return False
    words = reader.lower[entry.position : entry.position + 160].partition("\n\n")[0]
    return _NOT_TAKEN.search(words) is not None


def with_lone_label(reader: Reader, entries: list[Entry], passages: Sequence[Passage]) -> list[Entry]:
    """The label of a lone specimen, where the passages call just one with a noun ("JAR 1  Left breast")."""
    if len(entries) != 1 or entries[0].label is not None:
        return entries
    found = {m["id"]: m.span("id") for passage in passages for m in _LONE_LABEL.finditer(reader.text, passage.start, passage.end)}
    if len(found) == 1:
        written, span = next(iter(found.items()))
        entries[0].label = Fact(value=written, spans=(span,), confidence=0.85, rule="lone_label")
    return entries


_LONE_LABEL = re.compile(
    r"(?:^|(?<=\n)|(?<=  ))[ \t]*(?i:specimen|part|preparation|jar|pot|container|sample)[ \t]+#?(?P<id>[A-H]|\d{1,2}|[IVX]{1,4})"
    r"(?=[ \t]*[:)-]|\.[ ]|[ ]{2,}|[ ]+(?i:left|right|breast)\b)"
)
_NOT_TAKEN = re.compile(r"\bnot (?:taken|sampled|biopsied|performed|done)\b|\b(?:cancell?ed|abandoned)\b")


def _only_place(reader: Reader, stretches: Sequence[Stretch], name: str) -> Fact | None:
    """The one place that the header outside the specimens' own text names."""
    found = [
        facts[name]
        for stretch in stretches
        if (stretch.role in (Role.SPECIMEN_LIST, Role.FREE) or (stretch.role is Role.DIAGNOSIS and stretch.after is None))
        and name in (facts := reader.places(stretch.start, stretch.end))
    ]
    return replace(found[0], confidence=0.75, rule="header") if len({fact.value for fact in found}) == 1 else None


def with_markers_of_tumour(specimens: list[Facts], are_nodes: Sequence[bool]) -> list[Facts]:
    """Markers that stand below a specimen without a tumour are those of the one tumour that has none."""
    tumours = [
        index
        for index, (facts, is_node) in enumerate(zip(specimens, are_nodes, strict=True))
        if not is_node and facts.get("diagnosis", NOTHING).value == "malignant"
    ]
    if len(tumours) != 1 or any(name in specimens[tumours[0]] for name in MARKERS):
        return specimens
    marked = [index for index, facts in enumerate(specimens) if index != tumours[0] and any(name in facts for name in MARKERS)]
    if len(marked) != 1:
        return specimens
    found = {name: fact for name, fact in specimens[marked[0]].items() if name in MARKERS}
    rest = [{name: fact for name, fact in facts.items() if name not in MARKERS} for facts in specimens]
    return [{**facts, **found} if index == tumours[0] else facts for index, facts in enumerate(rest)]


def with_common_side(specimens: list[Facts]) -> list[Facts]:
    """Tissue named without a side beside specimens of one side (a margin, a node) is of that side."""
    stated = [facts["side"] for facts in specimens if "side" in facts]
    if not stated or len(stated) == len(specimens) or len({fact.value for fact in stated}) != 1 or stated[0].value == "bilateral":
        return specimens
    side = replace(stated[0], confidence=0.7, rule="siblings")
    return [facts if "side" in facts else {**facts, "side": side} for facts in specimens]


def _less_sure(facts: Facts) -> Facts:
    return {name: replace(fact, confidence=0.85) for name, fact in facts.items()}


def with_members(entry: Entry, facts: Facts) -> Facts:
    """A group without a place takes the one that all its members share."""
    shared: Facts = {}
    for name in PLACES:
        stated = [member[name] for member in entry.members if name in member]
        if name not in facts and stated and len({fact.value for fact in stated}) == 1 and len(stated) == len(entry.members):
            spans = tuple(dict.fromkeys(span for fact in stated for span in fact.spans))
            shared[name] = replace(stated[0], spans=spans, confidence=0.9, rule="members")
    return {**facts, **shared}
