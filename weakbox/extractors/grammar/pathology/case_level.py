"""What is said of the case as a whole: procedure, stated grade and core counts, and what a report says of the past."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weakbox.extractors.grammar.pathology.asserted import unasserted
from weakbox.extractors.grammar.pathology.cores import ALL_POSITIVE, with_counted_all
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange, blank, combine, holds, lower_case
from weakbox.extractors.grammar.pathology.grades import GRADE_FIELDS, grade_facts, read_grades_at
from weakbox.extractors.grammar.pathology.passages import Passage, Role
from weakbox.extractors.grammar.pathology.places import location_facts
from weakbox.extractors.grammar.pathology.specimens import MALIGNANT, Reader, rank

_PROCEDURES = (
    (
        "prostatectomy",
        re.compile(
            r"\b(?:radical|robot\w*[- ]?(?:assisted)?|laparoscopic|retropubic|perineal|simple|total|salvage|open)?\s*"
            r"(?:\w+\s+)?(?:cysto-?)?prostatectom(?:y|ies)\b|\bRALP\b|\bRRP\b|\bRARP\b|\bprostato-?vesiculectomy\b",
            re.IGNORECASE,
        ),
        ("prostatectom", "ralp", "rrp", "rarp", "vesiculectomy"),
    ),
    (
        "turp",
        re.compile(
            r"\bTURP?s?\b|\bTUR-P\b|\btrans-?urethral (?:resection|prostat\w+)|\bprostat\w* (?:chips|chippings|curettings)|\bHoLEP\b",
            re.IGNORECASE,
        ),
        ("tur", "urethral", "chip", "curett", "holep"),
    ),
    ("biopsy", re.compile(r"\bbiops(?:y|ies|ied)\b|\bneedle\b|\bTRUS\b|\bbx\b|\btru-?cut\b|\bprostat\w* cores?\b", re.IGNORECASE), ("",)),
)
"""Name, pattern, and words without one of which the pattern cannot match."""
_CORES = re.compile(r"\bcores?\b", re.IGNORECASE)
_NOT_DONE = re.compile(
    r"\b(?:previous|prior|earlier|history of|s/p|status post|post|recommend\w*|consider\w*|planned|after|before|future|subsequent"
    r"|following|candidate for|eligible for|at)\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
_PROCEDURE_ROLES = (Role.SPECIMEN_LIST, Role.DIAGNOSIS, Role.SYNOPTIC, Role.FREE, Role.GROSS, Role.MICROSCOPY)

_PAST = re.compile(
    r"\b(?:outside|referring|referral|submitt(?:ed|ing)|original|contributor'?s?|initial|previous"
    r"|prior)\s+(?:[\w'’]+\s+)?(?:diagnos[ie]s|report|reading"
    r"|interpretation)\s*:[^\n]*"
    r"|\b(?:previous(?:ly)?|prior|earlier|history\s+of|known|past|formerly|outside\s+(?:report|diagnosis|biopsy)|originally|initially)\b"
    r"(?P<between>[^.;\n]{0,100}?)(?:gleason|carcinoma|cancer|grade\s+group|\bGG\s?\d|isup|\d\s*\+\s*\d|benign|biops(?:y|ies)|HGPIN"
    r"|ASAP)[^.;\n]*"
    r"|\b(?:(?:active\s+)?surveillance|on\s+AS|h/o|hx|s/p|status\s+post|treated|diagnosed|dx'?d|dx\s+(?:in|with)"
    r"|initially)\b(?![^.;\n]{0,20}\breport)"
    r"[^.;\n]{0,60}?(?:gleason\W{0,3}(?:score\s+|sum\s+)?\d|grade\s+group\s+\d|\bGG\s?\d|\bG?\d\s*\+\s*\d|isup)[^.;\n]*"
    r"|\b(?:\d{1,2}|one|two|three|four|five|six|seven|eight|ten|a|some|few|several)\s+(?:years?|yrs?|months?|weeks?)\s+(?:back|ago"
    r"|earlier|before|prior|previously)\b"
    r"[^.;\n]{0,80}?(?:gleason|grade\s+group|\d\s*\+\s*\d|isup|carcinoma|cancer)(?:[^.;\n]|\n(?!\n))*"
    r"|\b(?:biops(?:y|ies)|bx|TRUS|TURP)\s+(?:\(?\w{3,9}\s+)?\(?(?:19|20)\d\d\)?(?![-/.]\d)[^.;\n]{0,40}?(?:gleason|grade\s+group"
    r"|\bGG|\d\s*\+\s*\d"
    r"|isup|benign|negative)[^.;\n]*"
    r"|\b(?:biops(?:y|ies)|specimen|TURP|resection)\s+(?:of|from|in|dated|performed)\s+(?:\w+\s+)?(?:19|20)\d\d\b[^.;\n]*|\b(?:in|from"
    r"|dated)\s+(?:\w+\s+)?(?:19|20)\d\d\s*[:,(]?[^.;\n]{0,40}(?:gleason|grade\s+group|\d\s*\+\s*\d)[^.;\n]*",
    re.IGNORECASE,
)
_MAY_BE_PAST = re.compile(
    r"previous|prior|earlier|histor|known|past|former|outside|origin|initial|referr|submitt|contribut|surveill|on as\b|h/o|hx|s/p"
    r"|status|treated|diagnosed|back|ago\b|before"
    r"|dx|(?:19|20)\d\d"
)
"""Over lower-case text: without one of these nothing of the past is said."""
_NOW = re.compile(
    r"\b(?:now|currently|current|today|present (?:biops|specimen)|this (?:biopsy|specimen)"
    r"|(?:is|are|has been|have been|was|were)\s+(?:(?:therefore|hence|accordingly|best|re-?)\s*)?(?:diagnosed|classified|reclassified"
    r"|regarded|interpreted"
    r"|upgraded|downgraded|revised|changed|amended|graded))\b",
    re.IGNORECASE,
)
_REPLACED = re.compile(
    r"(?P<old>[^.;\n]*?)\b(?:should\s+(?:read|be|have\s+(?:read|been))|(?:is|are|was|were|has been|have been)?\s*(?:amended|revised"
    r"|changed|corrected|upgraded|downgraded|reclassified|updated)(?:\s+from(?P<from>[^.;\n]*?))?\s+(?:to|as)\b|is\s+now|are\s+now"
    r"|supersedes\b)",
    re.IGNORECASE,
)
_DISMISSED = re.compile(
    r"\b(?:not|rather\s+than|instead\s+of|in\s+place\s+of|and\s+not)\s+(?:the\s+)?(?:left|right|gleason|grade\s+group|isup|\d\s*\+\s*\d"
    r"|benign|as\s+)[^.;,\n]*?(?=[.;,\n)]|\bto\b|$)",
    re.IGNORECASE,
)
_STATED_CASE = re.compile(
    r"\b(?:overall|composite|global|case|summary|final|total|highest|worst|combined|dominant|conclusion)\b", re.IGNORECASE
)
_COMPOSITE = re.compile(r"\b(?:overall|composite|global|case[- ]level|(?:of|for|by)\s+(?:the\s+)?case|case\s+grade)\b", re.IGNORECASE)
_HIGHEST = re.compile(r"\b(?:highest|worst|maximum)\b", re.IGNORECASE)
_NAMES_A_SPECIMEN = re.compile(
    r"\b(?i:specimens?|parts?|containers?|samples?|cores?|sites?|jars?|pots?|vials?|tubes?|bottles?|biops(?:y|ies))\s*#?\s*(?:[A-Z]"
    r"|\d{1,2}|[IVX]+)\b(?!\s*(?:of|cores?|/))"
)
_COUNTS_THE_CASE = re.compile(
    r"^\W*(?:positive\s+cores?\W{1,3})?(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten)\s*(?:/|of|out\s+of)\s*(?:\d{1,2}"
    r"|ten|twelve|fourteen|sixteen|eighteen|twenty)"
    r"\s+(?:\w+\s+)?cores?\b"
    r"|\b(?:adenocarcinoma|carcinoma|tumou?r|cancer)\b[^.;\n]{0,40}\b(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine"
    r"|ten)\s+(?:cores?\s+)?(?:of|out\s+of)\s+(?:the\s+)?"
    r"(?:\d{1,2}|ten|twelve|fourteen|sixteen|eighteen|twenty)\b",
    re.IGNORECASE,
)
"""A sentence of a comment that counts the cores of the case: "6 of 14 cores.", "carcinoma confined to one core of twelve"."""
_NAMES_A_LABEL = re.compile(r"\b(?:[Oo]f|[Ii]n|[Ff]or|[Ff]rom)\s+(?:[A-H]\b(?!\.)|(?:\d{1,2}|[IVX]{1,4})(?:-\d{1,2})?\))")
_SENTENCE = re.compile(r"[^.;\n]+(?:[.;](?!\s)[^.;\n]+)*")


def read_procedure(text: str, passages: Sequence[Passage]) -> Fact | None:
    """How the tissue was obtained: the first procedure named, in the order list, diagnosis, synoptic, gross; cores mean biopsy."""
    for role in _PROCEDURE_ROLES:
        found = [hit for passage in passages if passage.role is role for hit in _procedures(text, passage.start, passage.end)]
        if found:
            position, name, span = min(found)
            return Fact(value=name, spans=(span,), confidence=0.97 if position >= 0 else 0.9, rule="procedure")
    for passage in passages:
        match = _CORES.search(text, passage.start, passage.end)
        if match and passage.role in (*_PROCEDURE_ROLES, Role.AMENDMENT):
            return Fact(value="biopsy", spans=(match.span(),), confidence=0.85, rule="cores")
    return None


def _procedures(text: str, start: int, end: int) -> list[tuple[int, str, TextRange]]:
    found = []
    for name, pattern, words in _PROCEDURES:
        for match in pattern.finditer(text, start, end) if holds(text, words, start, end) else ():
            if not _NOT_DONE.search(text[max(start, match.start() - 40) : match.start()]):
                cut = match[0]
                found.append((match.start(), name, (match.start() + len(cut) - len(cut.lstrip()), match.end())))
                break
    return found


def mask_past(text: str, passages: Sequence[Passage]) -> str:
    """The text with earlier specimens, replaced values and dismissed ones blanked, so that they are not read as current."""
    ranges: list[TextRange] = unasserted(text)
    lower = lower_case(text)
    for passage in passages:
        ranges += passage.asides
        if passage.role in (Role.AMENDMENT, Role.ADDENDUM):
            ranges += _replaced(text, passage)
            ranges += [match.span() for match in _DISMISSED.finditer(text, passage.start, passage.end)]
        if _MAY_BE_PAST.search(lower, passage.start, passage.end):
            ranges += [_past(match) for match in _PAST.finditer(text, passage.start, passage.end)]
    return blank(text, ranges)


def _past(match: re.Match[str]) -> TextRange:
    now = _NOW.search(match[0])
    bracket = _closing_bracket(match)
    if bracket is not None and (now is None or bracket < match.start() + now.start()):
        return match.start(), bracket
    return match.start(), match.start() + now.start() if now else match.end()


def _closing_bracket(match: re.Match[str]) -> int | None:
    """Where the brackets close in which words on the past began: "4+3=7 (previously 3+4=7), 2/3 cores"."""
    line = max(match.string.rfind("\n", 0, match.start()), match.start() - _LONGEST_LEAD)
    before = match.string[line + 1 : match.start()]
    if before.count("(") <= before.count(")"):
        return None
    depth = 1
    for position in range(match.start(), match.end()):
        depth += {"(": 1, ")": -1}.get(match.string[position], 0)
        if not depth:
            return position
    return None


_LONGEST_LEAD = 200


def _replaced(text: str, passage: Passage) -> list[TextRange]:
    ranges = []
    for match in _REPLACED.finditer(text, passage.start, passage.end):
        if match["from"] is not None:
            ranges.append(match.span("from"))
        is_value = re.search(r"\d\s*\+\s*\d|grade group\s*\d|benign|carcinoma|\b(?:left|right)\b", match["old"], re.IGNORECASE)
        has_new = re.search(
            r"\d\s*\+\s*\d|grade group\s*\d|benign|carcinoma|\b(?:left|right)\b", text[match.end() : match.end() + 80], re.IGNORECASE
        )
        if is_value and has_new:
            ranges.append((match.start("old") + is_value.start(), match.end("old")))
    return ranges


def read_case(reader: Reader, stretches: Sequence[tuple[Role, TextRange]]) -> tuple[Facts, Facts]:
    """Facts that the report states of the case, and all that the stretches say (for a lone specimen).

    The first holds grade and core counts only; a composite grade beats the highest.
    """
    stated: Facts = {}
    everything: Facts = {}
    unnamed: list[TextRange] = []
    for role, (start, end) in sorted(stretches, key=lambda stretch: (rank(stretch[0]), stretch[1])):
        if role in (Role.GROSS, Role.SPECIMEN_LIST):
            continue
        names_one = role in (Role.AMENDMENT, Role.ADDENDUM) and (
            _NAMES_A_SPECIMEN.search(reader.text, start, end) or _NAMES_A_LABEL.search(reader.text, start, end)
        )
        if names_one:
            stated = combine(stated, _of_comment(reader, start, end))
            continue
        facts = _of_comment(reader, start, end) if role is Role.COMMENT else reader.read_stretch(start, end)
        if role is Role.MICROSCOPY and ("diagnosis" not in facts or facts["diagnosis"].value not in MALIGNANT):
            unnamed.append((start, end))
        everything = combine(everything, facts)
        case = {name: fact for name, fact in facts.items() if name.startswith("cores_")}
        stated = combine(stated, {**case, **case_grade(reader.text, start, end)}) if role is not Role.COMMENT else combine(stated, facts)
    if "diagnosis" in everything and everything["diagnosis"].value in MALIGNANT:
        for start, end in unnamed:
            everything = combine(everything, reader.read_amounts(start, end))
    everything = with_counted_all(everything)
    if "cores_positive" in everything and "cores_positive" not in stated:
        stated = {**stated, "cores_positive": everything["cores_positive"]}
    return {name: fact for name, fact in stated.items() if name != ALL_POSITIVE}, everything


def case_grade(text: str, start: int, end: int) -> Facts:
    """The grade that a stretch states of the case: the composite one where one is named, otherwise the highest."""
    grades = read_grades_at(text, start, end)
    if not grades:
        return {}
    composite = [g for g in grades if _COMPOSITE.search(_lead(text, start, g.start)) and not _HIGHEST.search(_lead(text, start, g.start))]
    chosen = composite[0] if composite else max(grades, key=lambda g: g.severity)
    facts = grade_facts(chosen)
    if composite:
        facts = {
            name: Fact(value=f.value, spans=f.spans, confidence=f.confidence, rule="composite", flags=f.flags) for name, f in facts.items()
        }
    return facts


def _lead(text: str, start: int, position: int) -> str:
    begin = max((text.rfind(mark, start, position) for mark in (".", ";", "\n")), default=-1)
    return text[max(start, begin + 1) : position]


def _of_comment(reader: Reader, start: int, end: int) -> Facts:
    """A comment counts only where a sentence says that it speaks of the case."""
    facts: Facts = {}
    for sentence in _SENTENCE.finditer(reader.text, start, end):
        counts = _COUNTS_THE_CASE.search(sentence[0])
        if _STATED_CASE.search(sentence[0]) or (counts and not location_facts(reader.text, *sentence.span())):
            if _NAMES_A_SPECIMEN.search(sentence[0]) and not _COMPOSITE.search(sentence[0]):
                continue
            read = reader.read_stretch(*sentence.span())
            cores = {name: fact for name, fact in read.items() if name.startswith("cores_")}
            facts = combine(facts, {**cores, **case_grade(reader.text, *sentence.span())})
    return facts


def overall_grade(stated: Facts, specimens: Sequence[Facts]) -> Facts:
    """The case's grade: as stated, otherwise of the highest-grade specimen; parts that are not stated are filled where both agree."""
    graded = [facts for facts in specimens if any(name in facts for name in GRADE_FIELDS)]
    highest = max(graded, key=_severity) if graded else {}
    own = {name: fact for name, fact in stated.items() if name in GRADE_FIELDS}
    if not own:
        return {name: fact for name, fact in highest.items() if name in GRADE_FIELDS}
    if "isup_grade" in own and "isup_grade" in highest and own["isup_grade"].value != highest["isup_grade"].value:
        return {
            name: Fact(value=f.value, spans=f.spans, confidence=f.confidence, rule=f.rule, flags=(*f.flags, "composite"))
            for name, f in own.items()
        }
    filled = {name: fact for name, fact in highest.items() if name in GRADE_FIELDS and name not in own}
    return {**own, **filled} if _fits(own, highest) else own


def _fits(own: Facts, highest: Facts) -> bool:
    return all(own[name].value == highest[name].value for name in GRADE_FIELDS if name in own and name in highest)


def _severity(facts: Facts) -> tuple[int, int, int]:
    def number(name: str) -> int:
        fact = facts.get(name)
        return int(fact.number) if fact is not None else 0

    return number("isup_grade") or (2 if number("gleason_score") == 7 else 0), number("gleason_score"), number("gleason_primary")


def case_cores(stated: Facts, specimens: Sequence[Facts]) -> Facts:
    """Core counts of the case: as stated, otherwise the sum over specimens where all of them state it.

    A number of cores that was only mentioned ("right lobe 6 cores, left lobe 6 cores") gives way to a greater sum.
    """
    facts: Facts = {}
    for name in ("cores_positive", "cores_total"):
        if name in stated:
            facts[name] = stated[name]
        if specimens and all(name in specimen for specimen in specimens) and _gives_way(facts.get(name), name, specimens):
            spans = tuple(dict.fromkeys(span for specimen in specimens for span in specimen[name].spans))
            total = sum(int(specimen[name].number) for specimen in specimens)
            confidence = min(specimen[name].confidence for specimen in specimens)
            facts[name] = Fact(value=total, spans=spans, confidence=confidence, rule="sum")
    return facts


def _gives_way(stated: Fact | None, name: str, specimens: Sequence[Facts]) -> bool:
    if stated is None:
        return True
    return stated.rule == "count" and stated.number < sum(specimen[name].number for specimen in specimens)
