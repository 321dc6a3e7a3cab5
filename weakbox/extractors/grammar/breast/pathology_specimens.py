"""Reads the blocks of each specimen and puts them together: the diagnosis counts most, an amendment supersedes it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from weakbox.extractors.grammar.breast.pathology_blocks import Block
from weakbox.extractors.grammar.breast.pathology_diagnosis import GENERIC, diagnosis_facts, is_vague
from weakbox.extractors.grammar.breast.pathology_grade import Grade, grade_of
from weakbox.extractors.grammar.breast.pathology_layout import Stretch
from weakbox.extractors.grammar.breast.pathology_mentions import Mention, within
from weakbox.extractors.grammar.breast.pathology_receptors import Receptor, between, receptor_facts
from weakbox.extractors.grammar.breast.pathology_size import Size, size_of
from weakbox.extractors.grammar.breast.pathology_tables import Table
from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.extractors.grammar.breast.places import find_clocks, find_quadrants, find_sides
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, combine, holds
from weakbox.extractors.grammar.pathology.listed import is_listed_with_the_next
from weakbox.extractors.grammar.pathology.passages import Passage, Role

PLACES = ("side", "quadrant", "clock")
MARKERS = ("er", "pr", "her2", "ish")
_RANK = {
    Role.AMENDMENT: 0,
    Role.DIAGNOSIS: 1,
    Role.SYNOPTIC: 2,
    Role.FREE: 3,
    Role.MICROSCOPY: 4,
    Role.ADDENDUM: 5,
    Role.COMMENT: 6,
    Role.SPECIMEN_LIST: 7,
    Role.GROSS: 8,
}
_HEAD_CHARACTERS = 220
_ORIENTS = re.compile(r"\b(?:stitch\w*|sutur\w*|threads?|silks?|loops?|nylon|tags?|tagged|orientat\w*|ink\w*)\b[^.;\n]*\Z")
"""What a stitch marks is no place of the lesion: "stitch marks axillary tail"."""
_BREAST_HEAD = re.compile(r"breast(?! clinic)|mastectomy|lumpectomy|\bwle\b|\bmrm\b|quadrant|wide local")
_NODE_COUNT = re.compile(
    r"(?<![\d/.])(?P<positive>\d{1,2}|none|no|one|two|three|four|five|all)\s*(?:/|of|out of)\s*(?:the\s+)?(?P<total>[1-9]\d?|one|two"
    r"|three|four|five|six|seven|eight|nine|ten)\b(?!\s*(?:mm|cm|%|/))"
)
_TOTAL_FIRST = re.compile(
    r"\b[^\W\d_]{4,}[ ]*/\s*(?:number )?(?:positive|involved|with metastas[ie]s)\s*[:=]?\s*\d{1,2}\s*/\s*"
    r"(?P<positive>\d{1,2})"
)
"""The count of the nodes before that of the positive ones: "Number / positive: 2 / 0"."""
_OF_QUADRANTS = (
    *("outer", "0uter", "lat", "exter", "inner", "med", "inter", "central", "areol", "illary", "nipple", "tail"),
    *("oq", "iq", "o.q", "i.q", "seq", "qse", "qss", "area"),
)
"""Without one of these no quadrant or region is named; what lies on a border has none."""
_DIGIT = re.compile(r"\d")
_SIDE_FIELD = re.compile(r"\b(?:side|laterality)\b[\s:=|.-]{1,40}(?P<side>left|right|[lr])\b")
_SHORT_SIDE = re.compile(
    r"(?=[LRlrbanmwBANMWcC])"
    r"(?:(?<![\w/.+-])(?P<side>[LR]|(?i:lt|rt)\b\.?|LT|RT)\.?(?=[ ]*[)\]]|[ ,]+(?i:breast|br\b|chest|axill\w*|sentinel|sln\w*"
    r"|lymph|nodes?|wle|lumpectomy"
    r"|mastectomy|mx\b|core|bx|biops\w+|excision|hook-?wire|wire|vab\w*|vae|fna\w*|cavity|(?:sup|inf|med|lat|ant|post|int)\b\.?"
    r"|superior|inferior|medial|lateral|anterior|posterior|deep|internal|margin\w*|shav\w*|nipple|skin|upper|lower|outer|inner|central"
    r"|[ul][oi]q\b|retro\w*|sub-?areolar|mrm\b|simple|total|re-?excision|medial|mass|lesion|lump|duct|alnd|anc\b|slnb?|mammary|trucut|tru-cut"
    r"|stereo\w*|uss?\b|u/s|mri)\b)"
    r"|(?i:breasts?|axilla\w*|nodes?|core|biopsy|lumpectomy|mastectomy|wle),?[ ]+(?P<after>[LR]|(?i:[lr]t|"
    r"sin|dx|dxt))\b\.?(?=[ ]*[,;:()\n-]|[ ]*$))"
)


def rank(role: Role) -> int:
    """Lower counts more where passages differ."""
    return _RANK[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Everything that was found in one report's masked text, by place."""

    text: str
    lower: str
    mentions: Sequence[Mention]
    grades: Sequence[Grade]
    receptors: Sequence[Receptor]
    sizes: Sequence[Size]
    tables: Sequence[Table] = ()

    def read(self, start: int, end: int, *, is_node: bool = False) -> Facts:
        """Diagnosis, histology, grade, size and receptors that a stretch states of one specimen."""
        found = within(self.mentions, start, end)
        facts = diagnosis_facts(found, is_node=is_node)
        if is_node and "diagnosis" not in facts:
            facts |= self._node_count(start, end)
        facts |= receptor_facts(between(self.receptors, start, end))
        diagnosis = facts.get("diagnosis")
        if is_node or (diagnosis is not None and diagnosis.value != "malignant"):
            return facts
        return facts | self._measures(start, end, found, facts)

    def _measures(self, start: int, end: int, found: Sequence[Mention], facts: Facts) -> Facts:
        malignant = [mention for mention in found if mention.diagnosis == "malignant" and not mention.is_absent and not mention.is_code]
        carcinomas = [mention for mention in malignant if not mention.is_metastatic]
        invasive = [mention for mention in carcinomas if mention.is_invasive and not is_vague(mention)]
        is_in_situ = bool(carcinomas) and not invasive and any(mention.is_in_situ for mention in carcinomas)
        histology = facts.get("histology")
        grade = grade_of(
            _inside(self.grades, start, end),
            histology=None if histology is None else str(histology.value),
            is_in_situ=is_in_situ,
            is_metastatic=bool(malignant) and not carcinomas,
            carcinomas=carcinomas,
        )
        size = size_of(_inside(self.sizes, start, end), is_in_situ=is_in_situ)
        is_metastatic = bool(malignant) and not carcinomas
        measured = {} if size is None or is_metastatic else {"tumor_size_mm": size}
        return {**({} if grade is None else {"grade": grade}), **measured}

    def _node_count(self, start: int, end: int) -> Facts:
        match = _TOTAL_FIRST.search(self.lower, start, end) or _NODE_COUNT.search(self.lower, start, end)
        if match is None:
            return {}
        is_free = match["positive"] in ("0", "none", "no")
        value, histology = ("benign", "benign_other") if is_free else ("malignant", "malignant_other")
        return {
            "diagnosis": Fact(value=value, spans=(match.span(),), confidence=0.85, rule="nodes"),
            "histology": Fact(value=histology, spans=(match.span(),), confidence=0.85, rule="nodes"),
        }

    def head_end(self, start: int, end: int) -> int:
        """Where the words for the site end: at the first finding, or with the paragraph."""
        stop = min(end, start + _HEAD_CHARACTERS)
        found = within(self.mentions, start, stop)
        lead = len(self.lower[start:stop]) - len(self.lower[start:stop].lstrip())
        paragraph = self.lower.find("\n\n", start + lead, stop)
        return min([stop if paragraph < 0 else paragraph, *(mention.start for mention in found[:1])])

    def places(self, start: int, end: int) -> Facts:
        """Side, quadrant and clock that a stretch names first."""
        facts: Facts = {}
        words = self.lower[start:end]
        sides = [word._replace(start=word.start + start, end=word.end + start) for word in find_sides(words)]
        short = _SHORT_SIDE.search(self.text, start, end)
        name = "side" if short is None or short["side"] else "after"
        if short is not None and (not sides or short.start(name) < sides[0].start):
            value = "left" if short[name][0] in "lLsS" else "right"
            facts["side"] = Fact(value=value, spans=(short.span(name),), confidence=0.93, rule="side")
            sides = []
        if sides:
            facts["side"] = Fact(value=sides[0].value, spans=((sides[0].start, sides[0].end),), rule="side")
        may_be_field = "side" not in facts and ("laterality" in words or "side" in words)
        stated = _SIDE_FIELD.search(self.lower, start, end) if may_be_field else None
        if stated is not None:
            value = "left" if stated["side"].startswith("l") else "right"
            facts["side"] = Fact(value=value, spans=(stated.span("side"),), rule="side")
        found = find_quadrants(words) if holds(self.lower, _OF_QUADRANTS, start, end) else []
        quadrants = [word._replace(start=word.start + start, end=word.end + start) for word in found]
        quadrants = [word for word in quadrants if not _ORIENTS.search(self.lower, max(start, word.start - 50), word.start)]
        quadrants = [word for word in quadrants if word.value != "axillary_tail"] or quadrants
        if quadrants and len({word.value for word in quadrants}) == 1:
            facts["quadrant"] = Fact(value=quadrants[0].value, spans=((quadrants[0].start, quadrants[0].end),), rule="quadrant")
        hours = find_clocks(words) if "clock" in words or _DIGIT.search(words) else []
        clocks = [clock._replace(start=clock.start + start, end=clock.end + start) for clock in hours]
        if clocks and len({clock.value for clock in clocks}) == 1:
            clock = clocks[0]
            hour = int(clock.value) if clock.value == int(clock.value) else clock.value
            flags = ("range",) if clock.is_range else ()
            facts["clock"] = Fact(value=hour, spans=((clock.start, clock.end),), rule="clock", flags=flags)
        return facts


Placed = TypeVar("Placed", Grade, Size)


def _inside(found: Sequence[Placed], start: int, end: int) -> Sequence[Placed]:
    """Those that begin in ``start:end`` and in no column of another specimen; they are in order."""
    inside = found[bisect_left(found, start, key=lambda one: one.start) : bisect_left(found, end, key=lambda one: one.start)]
    return [one for one in inside if one.column is None]


Reading = tuple[Role, int, Facts]


@dataclass(slots=True)
class Entry:
    """A specimen while it is put together."""

    label: Fact | None
    ordinals: tuple[int, ...]
    position: int
    is_node: bool = False
    is_margin: bool = False
    heads: list[tuple[Passage, str]] = field(default_factory=list)
    """The headings that name it, with their passages."""
    readings: list[Reading] = field(default_factory=list)
    members: list[Facts] = field(default_factory=list)
    places: Facts = field(default_factory=dict)
    """The place that its first passages give it."""

    @property
    def facts(self) -> Facts:
        """What the passages read so far say together."""
        return merge(self.readings)


def gather(reader: Reader, blocks: Sequence[Block]) -> list[Entry]:
    """One entry a specimen, in the order of the labels, or of the text where there are none."""
    nodes = _node_labels(reader, blocks)
    margins = {block.label.ordinals for block in blocks if block.label and _MARGIN_HEAD.search(reader.lower[block.body : block.body + 60])}
    read = _shared(reader.text, [(block, _read_block(reader, block, is_node=_is_node(reader, block, nodes))) for block in blocks])
    entries: list[Entry] = []
    for block, facts in sorted(read, key=lambda pair: (rank(pair[0].passage.role), pair[0].start)):
        heading = reader.lower[slice(*block.heading)] if block.heading else ""
        _place(entries, block, facts, (block.passage, heading), is_node=_is_node(reader, block, nodes))
    for entry in entries:
        entry.is_margin = entry.ordinals in margins
    return sorted(entries, key=lambda entry: (entry.ordinals or (0,), entry.position))


def _shared(text: str, read: list[tuple[Block, Facts]]) -> list[tuple[Block, Facts]]:
    """A specimen that is listed above the diagnosis of the next takes it."""
    shared = list(read)
    for index in range(len(read) - 2, -1, -1):
        block, facts = shared[index]
        following, said = shared[index + 1]
        if block.label is None or following.label is None or "diagnosis" in facts or block.passage is not following.passage:
            continue
        if block.passage.role is Role.DIAGNOSIS and is_listed_with_the_next(text, block.body, block.end):
            shared[index] = (block, {**{n: f for n, f in said.items() if n in ("diagnosis", "histology", "grade")}, **facts})
    return shared


_MARGIN_HEAD = re.compile(
    r"^[^.\n]*\b(?:shav\w*|(?:new|additional|further|final|superior|inferior|medial|lateral|deep|anterior|"
    r"posterior) margin|cavity)\b"
)


def _node_labels(reader: Reader, blocks: Sequence[Block]) -> set[tuple[int, ...]]:
    heads: dict[tuple[int, ...], str] = {}
    for block in blocks:
        if block.label is not None:
            stop = reader.head_end(block.body, block.end)
            head = reader.lower[block.body : stop].strip() or reader.lower[block.body : min(block.end, block.body + 60)]
            if block.passage.role is Role.GROSS:
                head = head[:50]
            heads[block.label.ordinals] = f"{heads.get(block.label.ordinals, '')} {head}"
    return {ordinals for ordinals, head in heads.items() if _names_a_node(head)}


def _names_a_node(head: str) -> bool:
    return choice("specimens", "other_tissue").search(head) is not None and _BREAST_HEAD.search(head) is None


def _is_node(reader: Reader, block: Block, nodes: set[tuple[int, ...]]) -> bool:
    if block.label is not None:
        return block.label.ordinals in nodes
    if block.heading is None:
        return _names_a_node(reader.lower[block.start : reader.head_end(block.start, block.end)][:90])
    return _names_a_node(reader.lower[slice(*block.heading)])


def _read_block(reader: Reader, block: Block, *, is_node: bool) -> Facts:
    facts = _block_places(reader, block, is_node=is_node)
    if block.passage.role is Role.GROSS:
        return facts
    if block.passage.role is Role.SPECIMEN_LIST:
        return {**facts, **_if_missing(reader, block)}
    start = block.heading[1] if block.heading else block.body
    return {**facts, **reader.read(start, block.end, is_node=is_node)}


def _if_missing(reader: Reader, block: Block) -> Facts:
    found = [mention for mention in within(reader.mentions, block.body, block.end) if mention.diagnosis == "insufficient"]
    return diagnosis_facts(found) if found else {}


def _block_places(reader: Reader, block: Block, *, is_node: bool) -> Facts:
    start = block.heading[0] if block.heading else block.body
    head_end = max(reader.head_end(block.body, block.end), block.heading[1] if block.heading else 0)
    is_row = block.heading is not None and reader.lower[block.heading[1] : block.heading[1] + 24].lstrip(" \t").startswith("|")
    line = reader.lower.find("\n", start, block.end)
    facts = reader.places(start, (line if line >= 0 else block.end) if is_row else head_end)
    if block.passage.role in (Role.DIAGNOSIS, Role.AMENDMENT, Role.SYNOPTIC) and not facts:
        line = reader.lower.find("\n", head_end, block.end)
        facts = reader.places(head_end, min(block.end, line if line >= 0 else block.end, head_end + _HEAD_CHARACTERS))
    if "side" not in facts and block.context is not None:
        facts = {**facts, **{name: fact for name, fact in reader.places(*block.context).items() if name == "side"}}
    return {name: fact for name, fact in facts.items() if name == "side"} if is_node else facts


_SUPPORTING = (Role.GROSS, Role.ADDENDUM, Role.COMMENT, Role.AMENDMENT)


def _is_sibling(entry: Entry, head: tuple[Passage, str]) -> bool:
    """Whether the same passage names both by headings with words of their own ("skin of nipple, punch" beside "mass, excision")."""
    words = set(re.findall(r"[a-z]{3,}|\d+", head[1]))
    same = [set(re.findall(r"[a-z]{3,}|\d+", heading)) for passage, heading in entry.heads if passage is head[0]]
    return bool(words) and any(words - own and own - words for own in same)


def _place(entries: list[Entry], block: Block, facts: Facts, head: tuple[Passage, str], *, is_node: bool) -> None:
    reading = (block.passage.role, block.passage.order, facts)
    ordinals = block.label.ordinals if block.label else ()
    for entry in entries:
        if entry.ordinals == ordinals and (ordinals or (_is_same_site(entry, facts, is_node=is_node) and not _is_sibling(entry, head))):
            entry.readings.append(reading)
            if head not in entry.heads:
                entry.heads.append(head)
            entry.places = {**only_places(facts), **entry.places}
            return
    own = set(ordinals)
    for entry in entries:
        if own and own < set(entry.ordinals):
            entry.members.append(facts)
            return
    if own and any(own & set(entry.ordinals) for entry in entries):
        for entry in entries:
            if set(entry.ordinals) <= own:
                entry.readings.append((block.passage.role, block.passage.order, {n: f for n, f in facts.items() if n in PLACES}))
        return
    has_labels = any(entry.ordinals for entry in entries)
    if entries and (block.passage.role in _SUPPORTING or (bool(ordinals) != has_labels)):
        return
    entries.append(
        Entry(
            label=_label(block),
            ordinals=ordinals,
            position=block.start,
            is_node=is_node,
            heads=[head],
            readings=[reading],
            places=only_places(facts),
        )
    )


def only_places(facts: Facts) -> Facts:
    return {name: fact for name, fact in facts.items() if name in PLACES}


def _label(block: Block) -> Fact | None:
    if block.label is None:
        return None
    return Fact(value=block.label.written, spans=((block.label.start, block.label.end),), confidence=0.98, rule="label")


def _is_same_site(entry: Entry, facts: Facts, *, is_node: bool) -> bool:
    if entry.is_node != is_node:
        return False
    known = entry.places
    return all(name not in facts or name not in known or facts[name].value == known[name].value for name in PLACES)


def merge(readings: Sequence[Reading]) -> Facts:
    """One specimen's facts from all passages: the better passage wins, a later amendment supersedes, differences are flagged."""
    ordered = sorted(readings, key=lambda reading: (rank(reading[0]), -reading[1]))
    merged: Facts = {}
    for role, _, facts in ordered:
        is_amended = bool(ordered) and ordered[0][0] is Role.AMENDMENT and role is not Role.AMENDMENT
        is_form = bool(ordered) and ordered[0][0] is Role.SYNOPTIC
        merged = _merged(merged, facts, role, conflict="superseded" if is_amended else "conflict", is_form=is_form)
    return merged


def _merged(merged: Facts, facts: Facts, role: Role, *, conflict: str, is_form: bool) -> Facts:
    """What a worse passage says, as far as it speaks of the same diagnosis; words for a place may differ between passages."""
    known, own = merged.get("diagnosis"), facts.get("diagnosis")
    taken = {name: fact for name, fact in facts.items() if name not in PLACES or name not in merged or name == "side"}
    if known is not None and own is not None and known.value != own.value:
        is_graver = known.rule == GENERIC and known.value == "benign" and own.value == "high_risk"
        if _is_raised(merged, own):
            return combine({**merged, "diagnosis": own}, {name: fact for name, fact in taken.items() if name in MARKERS}, conflict=conflict)
        if not is_graver:
            flagged = {} if role in (Role.GROSS, Role.MICROSCOPY, Role.COMMENT) else {"diagnosis": known.flagged(conflict)}
            markers = {name: fact for name, fact in taken.items() if name in (*PLACES, *MARKERS)}
            return {**combine(merged, markers, conflict=conflict), **flagged}
        merged = {name: fact for name, fact in merged.items() if name not in ("diagnosis", "histology")}
    typed = merged.get("histology")
    if typed is not None and typed.value == "dcis" and role in (Role.MICROSCOPY, Role.FREE) and _is_invasive(facts) and is_form:
        merged = {**merged, "histology": facts["histology"]}
    elif typed is not None and "histology" in taken and _is_better_typed(typed, taken["histology"]):
        merged = {**merged, "histology": taken["histology"]}
    if known is not None and known.value != "malignant":
        taken = {name: fact for name, fact in taken.items() if name not in ("grade", "tumor_size_mm")}
    if "diagnosis" in merged:
        taken = {name: fact for name, fact in taken.items() if name != "diagnosis"}
    loose = ("histology",) if role in (Role.MICROSCOPY, Role.COMMENT, Role.ADDENDUM) else ()
    if role is Role.MICROSCOPY or role is Role.GROSS:
        loose = (*loose, "side")
    settled = {name: fact for name, fact in taken.items() if not (name in loose and name in merged)}
    return combine(merged, settled, conflict=conflict)


_REVIEWED = re.compile(r"diagnos|deeper|levels|additional sections|further sections|re-?cut|consult|review|identified|confirm|seen|present")


def _is_graver(reader: Reader, known: Facts, facts: Facts, stretch: Stretch) -> bool:
    """Whether an addendum reports an invasive carcinoma where there was none, or a named lesion of risk, found on looking again."""
    histology, diagnosis = known.get("histology", NOTHING).value, known.get("diagnosis", NOTHING).value
    is_less = diagnosis in ("benign", "high_risk", "insufficient") or histology == "dcis"
    is_invasive = is_less and _is_invasive(facts)
    is_risk = diagnosis == "benign" and bool(stretch.names) and facts.get("histology", NOTHING).rule == "high_risk"
    return (is_invasive or is_risk) and _REVIEWED.search(reader.lower, stretch.start, stretch.end) is not None


def _is_better_typed(typed: Fact, histology: Fact) -> bool:
    """Whether a type may stand in for one that was only guessed; carcinoma in situ for no invasive one."""
    return typed.rule == GENERIC and histology.rule != GENERIC and not (typed.value == "idc" and histology.value == "dcis")


def _is_invasive(facts: Facts) -> bool:
    return facts.get("histology", NOTHING).rule == "invasive"


def with_stretches(reader: Reader, entries: list[Entry], stretches: Sequence[Stretch]) -> list[Entry]:
    """Gives text outside the blocks to the specimen that it names, or to the only one that it can mean."""
    known = [entry.facts for entry in entries]
    diagnosed = {index for index, facts in enumerate(known) if "diagnosis" in facts}
    for stretch in sorted(stretches, key=lambda stretch: (not stretch.names, rank(stretch.role), stretch.start)):
        if stretch.role in (Role.GROSS, Role.SPECIMEN_LIST) and len(entries) > 1:
            continue
        index = _home(reader, entries, known, stretch)
        if index is None:
            continue
        entry = entries[index]
        facts = reader.read(stretch.start, stretch.end, is_node=entry.is_node)
        if stretch.role in (Role.GROSS, Role.SPECIMEN_LIST):
            facts = {}
        elif stretch.role is Role.ADDENDUM and _is_graver(reader, known[index], facts, stretch):
            entry.readings.append((Role.AMENDMENT, stretch.order, facts))
            continue
        elif stretch.role in (Role.ADDENDUM, Role.COMMENT) and index in diagnosed:
            facts = {
                name: fact for name, fact in facts.items() if name in MARKERS or (name == "diagnosis" and _is_raised(known[index], fact))
            }
        elif len(entries) > 1 and not stretch.names and stretch.role is not Role.AMENDMENT:
            facts = _only_completing(facts, known[index])
        markers = {name: fact for name, fact in facts.items() if name in MARKERS}
        known[index] = {**{name: fact for name, fact in facts.items() if name not in MARKERS}, **known[index]}
        if markers and stretch.names and not is_tumour(entry, known[index]) and "diagnosis" in known[index]:
            tumour = _home(reader, entries, known, replace(stretch, names=()))
            if tumour is not None and tumour != index:
                entries[tumour].readings.append((stretch.role, stretch.order, markers))
                facts = {name: fact for name, fact in facts.items() if name not in MARKERS}
        places = reader.places(stretch.start, stretch.end) if _speaks_of_place(stretch, entries) else {}
        entry.readings.append((stretch.role, stretch.order, {**places, **facts}))
        if "diagnosis" in facts:
            diagnosed.add(index)
    return entries


def _is_raised(stated: Facts, diagnosis: Fact) -> bool:
    """Whether a comment calls a benign lesion one of high risk (B3)."""
    known = stated.get("diagnosis")
    return known is not None and known.value == "benign" and diagnosis.value == "high_risk" and diagnosis.rule in ("code", GENERIC)


def _only_completing(facts: Facts, stated: Facts) -> Facts:
    """Of text that names no specimen, only what agrees with the diagnosis of the specimen it is given to."""
    known, own = stated.get("diagnosis"), facts.get("diagnosis")
    if known is not None and own is not None and known.value != own.value:
        return {name: fact for name, fact in facts.items() if name in MARKERS}
    return facts


def _speaks_of_place(stretch: Stretch, entries: Sequence[Entry]) -> bool:
    if stretch.role is Role.AMENDMENT:
        return True
    return len(entries) == 1 and stretch.role in (Role.DIAGNOSIS, Role.SYNOPTIC, Role.SPECIMEN_LIST, Role.FREE, Role.GROSS)


def _home(reader: Reader, entries: Sequence[Entry], known: Sequence[Facts], stretch: Stretch) -> int | None:
    if len(entries) == 1:
        return 0
    named = [index for index, entry in enumerate(entries) if is_named(entry, stretch.names)]
    if named:
        tumours = [index for index in named if is_tumour(entries[index], known[index])]
        return tumours[0] if tumours else named[0]
    tumours = [index for index, entry in enumerate(entries) if is_tumour(entry, known[index])]
    sides = {word.value for word in find_sides(reader.lower, stretch.start, stretch.end)}
    if len(sides) == 1:
        on_side = [index for index in tumours if known[index].get("side", NOTHING).value in sides]
        tumours = on_side or tumours
    if len(tumours) <= 1:
        return tumours[0] if tumours else None
    if stretch.after is not None and stretch.after.label is not None:
        last = [index for index in tumours if entries[index].ordinals == stretch.after.label.ordinals]
        if last and not reader.lower[max(0, stretch.start - 2) : stretch.start].endswith("\n\n"):
            return last[0]
    found = diagnosis_facts(within(reader.mentions, stretch.start, stretch.end))
    alike = [
        index for index in tumours if "histology" in found and known[index].get("histology", NOTHING).value == found["histology"].value
    ]
    if len(alike) == 1:
        return alike[0]
    invasive = [index for index in tumours if known[index].get("histology", NOTHING).value not in ("dcis", "malignant_other")]
    return invasive[0] if len(invasive) == 1 else None


NOTHING = Fact(value="", spans=())


def is_tumour(entry: Entry, facts: Facts) -> bool:
    return not entry.is_node and facts.get("diagnosis", NOTHING).value == "malignant"


def is_named(entry: Entry, names: Sequence[str]) -> bool:
    if entry.label is None:
        return False
    written = str(entry.label.value).lower()
    return any(name.lower() == written or (len(entry.ordinals) > 1 and _ordinal(name) in entry.ordinals) for name in names)


def _ordinal(name: str) -> int:
    return int(name) if name.isdigit() else ord(name.upper()[0]) - ord("A") + 1
