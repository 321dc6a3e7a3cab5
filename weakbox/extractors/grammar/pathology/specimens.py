"""Reads one specimen's block into facts, and puts together what several passages say of the same specimen."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.pathology.blocks import Block
from weakbox.extractors.grammar.pathology.cores import of_specimen, read_cores, read_lead, with_counted_all
from weakbox.extractors.grammar.pathology.diagnoses import (
    Mention,
    find_mentions,
    find_ungraded,
    is_missing,
    read_diagnosis,
    read_node_count,
)
from weakbox.extractors.grammar.pathology.extents import read_length, read_percent
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, combine
from weakbox.extractors.grammar.pathology.fields import read_fields
from weakbox.extractors.grammar.pathology.grades import GRADE_FIELDS, grade_facts, read_grades_at
from weakbox.extractors.grammar.pathology.passages import Role
from weakbox.extractors.grammar.pathology.places import LOCATION_FIELDS, location_facts
from weakbox.extractors.grammar.pathology.prose_sites import LISTED
from weakbox.extractors.grammar.pathology.targets import read_target, read_targeted
from weakbox.terminology.gleason import Grade

MALIGNANT = ("adenocarcinoma", "other_malignancy")
_OTHER_PART = re.compile(
    r"\b(?:lymph|nodes?|nodal|margins?|vas\s+deferens|bladder\s+neck|urethra\w*|seminal\s+vesicles?|soft\s+tissue|fat\b|ductus"
    r"|ureter\w*|neurovascular|bundle|(?:fibro)?adipose|rectal|bladder|peritone\w+)",
    re.IGNORECASE,
)
_WHOLE_GLAND = re.compile(r"\bprostat(?:e\b|ectomy)|\bgland\b", re.IGNORECASE)
_NOT_OF_OTHER_PARTS = ("hgpin", "asap", "insufficient", "inflammation")
_HEAD_CHARACTERS = 220
_LISTED_CORE = re.compile(r"(?<=\n)[ \t]*(?:[-*•][ \t]*)?core[ \t#]*\d{1,2}[a-z]?\b", re.IGNORECASE)
_SIDE = re.compile(r"\b(?:left|right|bilateral)\b", re.IGNORECASE)
_SECOND_DIAGNOSTIC = re.compile(
    r"\b(?=[cgi\d])(?:involv|gleason|grade group|\d\s*\+\s*\d|\d+\s*%|cores? (?:positive|involved))", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads blocks of one report's masked text for one kind of procedure (``biopsy``, ``prostatectomy``, ``turp`` or None)."""

    text: str
    procedure: str | None
    diagnostic: tuple[int, ...]
    """Where diagnostic phrases begin."""
    other_parts: frozenset[tuple[int, ...]] = frozenset()
    """Labels of nodes, margins and other tissue beside the prostate, in a prostatectomy."""

    def read(self, block: Block) -> Facts:
        """What a block states of its specimen; the role of its passage says which fields may come from it."""
        facts = self._location(block)
        role = block.passage.role
        if role is Role.GROSS:
            return {**self._only_cores(block), **(facts if self.procedure in ("biopsy", None) or self._is_other_part(block) else {})}
        if role is not Role.SPECIMEN_LIST:
            read = self.read_stretch(block.body, block.end, self._is_other_part(block), {**self._fields(block), **block.facts})
            if role is Role.MICROSCOPY and block.label is not None and "diagnosis" not in read and not self._is_other_part(block):
                read = {**self._measured(block), **read}
            return self._with_lead(block, {**facts, **read})
        cores = self._only_cores(block) if self.procedure in ("biopsy", None) else {}
        return {**facts, **cores, **self._if_missing(block)}

    def _fields(self, block: Block) -> Facts:
        """What the fields below a label give; a table's row has columns instead."""
        if block.label is None or block.facts or self._is_other_part(block):
            return {}
        facts = read_fields(self.text, block.body, block.end)
        return facts if self.procedure in ("biopsy", None) else {name: fact for name, fact in facts.items() if name == "percent_involved"}

    def _with_lead(self, block: Block, facts: Facts) -> Facts:
        """The cores that are counted before the label: "The two cores in pot 1 are benign"."""
        lead = block.label.lead if block.label else None
        if lead is None or self.procedure not in ("biopsy", None):
            return facts
        counted = read_lead(self.text, *lead, is_benign="diagnosis" in facts and facts["diagnosis"].value not in MALIGNANT)
        return {**counted, **facts}

    def read_stretch(self, start: int, end: int, is_other_part: bool = False, given: Mapping[str, Fact] | None = None) -> Facts:
        """Diagnosis, grade, cores and extents of a stretch; ``given`` are facts that are known already."""
        grades = read_grades_at(self.text, start, end)
        ungraded = find_ungraded(self.text, start, end)
        grade = max(grades, key=lambda g: g.severity) if grades and ungraded is None and not is_other_part else None
        mentions = find_mentions(self.text, start, end)
        graded_by_column = given is not None and "isup_grade" in given
        grade_at = (grade.start, grade.end) if grade else given["isup_grade"].spans[0] if given and graded_by_column else None
        diagnosis = read_diagnosis(of_specimen(self.text, mentions), grade_at) or (
            read_node_count(self.text, start, end) if is_other_part else None
        )
        facts: Facts = grade_facts(grade) if grade else {}
        if diagnosis is not None:
            facts["diagnosis"] = diagnosis.flagged("missing_specimen") if is_missing(self.text, diagnosis) else diagnosis
        is_cancer = diagnosis is not None and diagnosis.value in MALIGNANT
        if ungraded is not None and is_cancer and diagnosis is not None:
            facts["diagnosis"] = Fact(
                value=diagnosis.value, spans=diagnosis.spans, confidence=diagnosis.confidence, rule=diagnosis.rule, flags=("ungraded",)
            )
        if not is_other_part and not (given and LISTED in given):
            facts |= self._amounts(start, end, mentions, grades, is_cancer=is_cancer)
        facts |= {name: fact for name, fact in (given or {}).items() if not name.startswith("_")}
        if diagnosis is not None and not is_cancer and facts.get("cores_positive") and facts["cores_positive"].value != 0:
            del facts["cores_positive"]
        return _without_foreign(_with_counted_diagnosis(facts), is_other_part)

    def _amounts(self, start: int, end: int, mentions: Sequence[Mention], grades: Sequence[Grade], *, is_cancer: bool) -> Facts:
        facts: Facts = {}
        if self.procedure in ("biopsy", None):
            facts |= read_cores(self.text, start, end, mentions, [g.first_part for g in grades], is_cancer=is_cancer)
        if is_cancer:
            percent = read_percent(self.text, start, end)
            length = read_length(self.text, start, end, needs_tumour_word=self.procedure in ("prostatectomy", "turp"))
            facts |= {"percent_involved": percent} if percent else {}
            facts |= {"tumor_length_mm": length} if length else {}
        return facts

    def read_amounts(self, start: int, end: int) -> Facts:
        """Extents and core counts of a stretch that speaks of a carcinoma named elsewhere."""
        return self._amounts(start, end, (), (), is_cancer=True)

    def _measured(self, block: Block) -> Facts:
        """Extents in a microscopy that names no tumour: they count where the specimen's diagnosis is cancer."""
        if self.procedure not in ("biopsy", None):
            return {}
        percent = read_percent(self.text, block.body, block.end)
        length = read_length(self.text, block.body, block.end, needs_tumour_word=True)
        return {**({"percent_involved": percent} if percent else {}), **({"tumor_length_mm": length} if length else {})}

    def read_totals(self, start: int, end: int) -> Facts:
        """Core counts of a stretch that gives no diagnosis (gross description, list)."""
        return read_cores(self.text, start, end, (), (), is_cancer=False, is_gross=True)

    def head_end(self, start: int, end: int) -> int:
        """Where the first diagnostic words of a stretch begin: words for its site stand before them."""
        return self._first_diagnostic(start, min(end, start + _HEAD_CHARACTERS))

    def _only_cores(self, block: Block) -> Facts:
        return (
            read_cores(self.text, block.body, block.end, (), (), is_cancer=False, is_gross=True)
            if self.procedure in ("biopsy", None)
            else {}
        )

    def _if_missing(self, block: Block) -> Facts:
        mentions = [m for m in find_mentions(self.text, block.body, block.end) if m.diagnosis == "insufficient"]
        diagnosis = read_diagnosis(mentions, None)
        return {"diagnosis": diagnosis.flagged("missing_specimen")} if diagnosis and is_missing(self.text, diagnosis) else {}

    def _is_other_part(self, block: Block) -> bool:
        if block.label is None:
            return self.procedure == "prostatectomy" and block.heading is not None
        return block.label.ordinals in self.other_parts

    def with_other_parts(self, blocks: Sequence[Block]) -> Reader:
        """The same reader, knowing which labels name tissue beside the prostate."""
        if self.procedure != "prostatectomy":
            return self
        heads: dict[tuple[int, ...], str] = {}
        for block in blocks:
            if block.label is not None and block.passage.role is not Role.GROSS:
                heads[block.label.ordinals] = (
                    f"{heads.get(block.label.ordinals, '')} {self._head_words(block)} {self._context_words(block)}"
                )
        other = {ordinals for ordinals, words in heads.items() if _OTHER_PART.search(words) and not _WHOLE_GLAND.search(words)}
        return replace(self, other_parts=frozenset(other))

    def _head_words(self, block: Block) -> str:
        return self.text[block.body : self._head_end(block)] or self.text[block.body : min(block.end, block.body + 60)]

    def _context_words(self, block: Block) -> str:
        return self.text[slice(*block.context)] if block.context else ""

    def _head_end(self, block: Block) -> int:
        """Where the words for the site end: at the first diagnostic words, or after two lines."""
        stop = min(block.end, block.body + _HEAD_CHARACTERS)
        if block.heading is not None:
            return max(block.heading[1], self._first_diagnostic(block.body, self._sentence_end(block.body, stop)))
        paragraph = self.text.find("\n\n", block.body + 1, stop)
        return self._first_diagnostic(block.body, paragraph if paragraph > 0 else stop)

    def _sentence_end(self, start: int, stop: int) -> int:
        found = [position for position in (self.text.find("\n", start, stop), self.text.find(". ", start, stop)) if position >= 0]
        return min(found) if found else stop

    def _first_diagnostic(self, start: int, stop: int) -> int:
        following = bisect_left(self.diagnostic, start)
        starts = self.diagnostic[following : following + 1]
        match = _SECOND_DIAGNOSTIC.search(self.text, start, stop)
        core = _LISTED_CORE.search(self.text, start + 1, stop)
        stop = core.start() if core else stop
        return min([*starts, match.start() if match else stop, stop])

    def _location(self, block: Block) -> Facts:
        head_end = self._head_end(block)
        facts = self._target(block, head_end)
        if self.procedure == "turp" or (self.procedure == "prostatectomy" and not self._is_other_part(block)):
            return facts
        places = [(block.body, head_end)]
        if block.passage.role in (Role.DIAGNOSIS, Role.SYNOPTIC, Role.AMENDMENT) and self.procedure != "prostatectomy":
            places.append((head_end, min(block.end, self._sentence_end(head_end, min(block.end, head_end + _HEAD_CHARACTERS)))))
        found: Facts = {}
        if "_site" in block.facts:
            places = list(block.facts["_site"].spans)
        for start, end in places:
            named = location_facts(self.text, start, end) if not found or "_site" in block.facts else {}
            found = {**named, **found}
        if "side" not in found and (self.procedure == "prostatectomy" or _OTHER_PART.search(self.text, block.body, head_end)):
            found |= self._side_of_part(block.body, head_end)
        if block.context is not None and "side" not in found and self._is_other_part(block):
            found |= self._side_of_part(*block.context)
        if block.context is not None and "side" not in found:
            found |= {name: fact for name, fact in location_facts(self.text, *block.context).items() if name not in found}
        if self._is_other_part(block):
            found.pop("positions", None)
        return {**facts, **found}

    def _side_of_part(self, start: int, end: int) -> Facts:
        """The side of a node or margin, which are no places of the gland."""
        found = {match[0].lower(): match.span() for match in _SIDE.finditer(self.text, start, end)}
        if not found:
            return {}
        side = next(iter(found)) if len(found) == 1 else "bilateral"
        return {"side": Fact(value=side, spans=tuple(found.values()), confidence=0.95, rule="part")}

    def _target(self, block: Block, head_end: int) -> Facts:
        paragraph = self.text.find("\n\n", head_end, block.end)
        following = min(block.end, head_end + _HEAD_CHARACTERS)
        places = [
            (block.body, head_end),
            (head_end, following if paragraph < 0 else max(head_end, min(following, paragraph))),
            *([block.context] if block.context else []),
        ]
        target = next((found for place in places if (found := read_target(self.text, *place))), None)
        if target is not None:
            return {"target": target, "is_targeted": Fact(value=True, spans=target.spans, confidence=target.confidence, rule="target")}
        places = [(block.body, head_end), *([block.context] if block.context else [])]
        targeted = next((found for place in places if (found := read_targeted(self.text, *place))), None)
        return {"is_targeted": targeted} if targeted and self.procedure in ("biopsy", None) else {}


def _with_counted_diagnosis(facts: Facts) -> Facts:
    """Positive cores state a carcinoma and none of n states that there is none, where no diagnosis is in words."""
    positive = facts.get("cores_positive")
    if positive is None or "diagnosis" in facts:
        return facts
    diagnosis = "adenocarcinoma" if positive.value else "benign"
    return {**facts, "diagnosis": Fact(value=diagnosis, spans=positive.spans, confidence=0.8, rule="counted")}


def _without_foreign(facts: Facts, is_other_part: bool) -> Facts:
    """A grade, a length or a share without cancer says nothing; nodes and margins are ungraded and carcinoma or benign."""
    diagnosis = facts.get("diagnosis")
    if is_other_part:
        if diagnosis is not None and diagnosis.value in _NOT_OF_OTHER_PARTS:
            facts["diagnosis"] = Fact(value="benign", spans=diagnosis.spans, confidence=0.8, rule="other_part")
        return {name: fact for name, fact in facts.items() if name == "diagnosis"}
    if diagnosis is not None and diagnosis.value not in MALIGNANT:
        return {name: fact for name, fact in facts.items() if name not in (*GRADE_FIELDS, "percent_involved", "tumor_length_mm")}
    return facts


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


def rank(role: Role) -> int:
    """Lower counts more where passages differ."""
    return _RANK[role]


def merge(readings: Sequence[tuple[Role, int, Facts]]) -> Facts:
    """One specimen's facts from all passages: the better passage wins, a later amendment supersedes, differences are flagged."""
    merged: Facts = {}
    readings = _of_received(_without_counted(readings))
    ordered = sorted(readings, key=lambda reading: (rank(reading[0]), -reading[1]))
    for role, _, facts in ordered:
        conflict = "superseded" if ordered[0][0] is Role.AMENDMENT and role is not Role.AMENDMENT else "conflict"
        merged = combine(merged, _comparable(role, merged, facts), conflict=conflict)
    return _grade_of_one_source(with_counted_all(merged))


def _without_counted(readings: Sequence[tuple[Role, int, Facts]]) -> Sequence[tuple[Role, int, Facts]]:
    """A diagnosis that only core counts imply gives way to one in words."""
    stated = [facts["diagnosis"] for _, _, facts in readings if "diagnosis" in facts and facts["diagnosis"].rule != "counted"]
    if not stated:
        return readings
    return [
        (role, order, {name: fact for name, fact in facts.items() if name != "diagnosis" or fact.rule != "counted"})
        for role, order, facts in readings
    ]


def _of_received(readings: Sequence[tuple[Role, int, Facts]]) -> Sequence[tuple[Role, int, Facts]]:
    """ "Adenocarcinoma, 1 core" of three that were received: one core holds cancer."""
    received = [facts["cores_total"] for role, _, facts in readings if role in (Role.GROSS, Role.SPECIMEN_LIST) and "cores_total" in facts]
    if not received:
        return readings
    return [(role, order, _with_part(facts, received[0])) for role, order, facts in readings]


def _with_part(facts: Facts, received: Fact) -> Facts:
    told, diagnosis = facts.get("cores_total"), facts.get("diagnosis")
    if told is None or diagnosis is None or diagnosis.value not in MALIGNANT or "cores_positive" in facts:
        return facts
    if told.rule != "count" or told.number >= received.number:
        return facts
    return {**facts, "cores_positive": replace(told, confidence=0.8), "cores_total": received}


def _comparable(role: Role, merged: Facts, facts: Facts) -> Facts:
    """Places that a worse passage words differently are no conflict; a list completes them only where none is given."""
    has_place = any(name in merged for name in LOCATION_FIELDS)
    kept = {}
    for name, fact in facts.items():
        if (
            name in LOCATION_FIELDS
            and role not in (Role.DIAGNOSIS, Role.AMENDMENT)
            and name in merged
            and merged[name].value != fact.value
            and name != "side"
        ):
            continue
        if name == "positions" and has_place and role is Role.MICROSCOPY:
            continue
        kept[name] = fact
    return kept


def _grade_of_one_source(facts: Facts) -> Facts:
    diagnosis = facts.get("diagnosis")
    if diagnosis is not None and (diagnosis.value not in MALIGNANT or "ungraded" in diagnosis.flags):
        drop = (*GRADE_FIELDS, "percent_involved", "tumor_length_mm") if diagnosis.value not in MALIGNANT else GRADE_FIELDS
        return {name: fact for name, fact in facts.items() if name not in drop}
    return facts
