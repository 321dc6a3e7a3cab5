"""Extraprostatic extension, seminal vesicle invasion, lymph nodes and bone metastases: absent, suspected or present."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Clause, Role, View, is_prior

_ABSENT = re.compile(
    r"\b(?:no\b(?! longer)|low (?:suspicion|probability|likelihood)|none\b|without\b|normal\b|clear\b|intact\b|uninvolved|not "
    r"(?:(?:definitely |clearly |pathologically |overtly )?(?:enlarged|invaded|infiltrated|affected|abnormal|extending)|involved|"
    r"seen|identified|suspected|present|evident|visuali[sz]ed|visible|demonstrated|detected|appreciated)|non-?enlarged|unremarkable|"
    r"\bfree\b|preserved|"
    r"negative\b|absent\b|unlikely|nil\b|confined|not pathologically enlarged|within normal limits|not suspicious|nor\b|neither|"
    r"absence|respected|maintained|spared|grade 0|ok\b|c?n0\b|reactive|benign-appearing|no\W*$)"
)
_SUSPECTED = re.compile(
    r"\b(?:possib\w+|questionable|equivocal|worrisome|cannot be (?:entirely |completely |fully )?(?:excluded|ruled out)|can ?not "
    r"(?:be )?(?:entirely |completely )?(?:exclude|rule out|excluded)|could not be excluded|not (?:be )?(?:entirely |completely "
    r")?excluded|suspicious|suspected|(?<!low )suspicion|"
    r"concerning|concern\b|(?:probabl\w+|likely)\b(?! (?:reactive|benign|degenerat|physiolog|normal|post))|may\b|might\b|"
    r"indeterminate|borderline|suggest\w+|uncertain|potential\w*|raises?|early\b|subtle|minimal|grade 1|grade 2|irregular\w*|"
    r"bulg\w+|obscur\w+|query|\?)"
)
_PRESENT = re.compile(
    r"\b(?:present\b|gross(?:ly)?\b|definite\w*|evident|evidence of|frank\b|yes\b|positive|invasion|involv(?:ed|ement|es|ing)|"
    r"invad\w+|infiltrat\w+|extends? into|extending into|extension|enlarged|pathologic\w*|metasta\w+|breach\w*|disrupt\w*|"
    r"lymphadenopathy|adenopathy|malignant|tumou?r (?:in|within)|grade 3|confirmed|consistent with|compatible with)"
)
_NOT_ASSESSED = re.compile(
    r"\b(?:not (?:assess\w*|evaluat\w+|covered|included|well (?:seen|assessed|evaluated)|imaged|adequately \w+)|cannot be "
    r"(?:assessed|evaluated)|non-?diagnostic|limited (?:evaluation|assessment)|masked|outside (?:the )?field|n/?a\b|xx+|__+|not "
    r"applicable|unable to assess)"
)
_NEUTRAL_SV = re.compile(r"\b(?:atroph\w+|small\b|symmetric\w*|dilated|ha?emorrhag\w+|prominent|distended)")
_NEUTRAL_BONE = re.compile(r"\b(?:degenerat\w+|bone islands?|ha?emangioma|arthr\w+|enostosis|benign|old fracture|spondyl\w+)")
_NEUTRAL_CAPSULE = re.compile(r"\b(?:contact|abut\w*|smooth|broad[- ]based)\b")
_STOP = re.compile(r";|\.\s|\bbut\b|\bhowever\b|\balthough\b|\bexcept\b|\bwhile\b|\bapart from\b")
_JOINT = re.compile(
    r"^[\s,/&():]*(?:(?:and|or|nor|the|any|either|no|pelvic|regional|left|right|bilateral|both|evidence of|suspicious|enlarged|"
    r"definite|gross|for|are|is|of)\b[\s,/&()]*)*$"
)
_SEVERITY = {"absent": 0, "suspected": 1, "present": 2}
_PREFIX_NO = re.compile(r"\b(?:no|without|negative for|absence of|nor|free of|neither|not|no evidence of|no sign of)\b[^;.]*$")


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Status:
    value: str
    start: int
    end: int
    is_before: bool


def read_staging(view: View) -> dict[str, Candidate]:
    """The most serious status of each field over findings and impression; an addendum's status replaces it."""
    found: dict[str, Candidate] = {}
    amended: dict[str, Candidate] = {}
    for sentence in _sentences(view.clauses):
        if sentence[0].role not in READ_ROLES:
            continue
        results = amended if sentence[0].role is Role.ADDENDUM else found
        for name, candidate in _read(view, sentence[0].start, sentence[-1].end, _heading_target(view, sentence[0])):
            known = results.get(name)
            if known is None or _SEVERITY[str(candidate.value)] > _SEVERITY[str(known.value)]:
                results[name] = candidate
    return {**found, **amended}


def _sentences(clauses: Sequence[Clause]) -> list[list[Clause]]:
    groups: list[list[Clause]] = []
    for clause in clauses:
        if groups and groups[-1][0].section == clause.section and groups[-1][0].sentence == clause.sentence:
            groups[-1].append(clause)
        else:
            groups.append([clause])
    return groups


def _heading_target(view: View, clause: Clause) -> str | None:
    """The field that a sub-heading ("Bones:") speaks of, for the sentences under it that do not name it."""
    region = clause.region
    if region is None or not region.is_elsewhere or region.start >= clause.start:
        return None
    names = {noun.kind for noun in view.stagings.within(region.start, region.end)}
    return names.pop() if len(names) == 1 else None


def _read(view: View, start: int, end: int, heading: str | None = None) -> list[tuple[str, Candidate]]:
    lower = view.text.lower
    targets = [_Target(noun.kind, noun.start, noun.end) for noun in view.stagings.within(start, end)]
    if not targets and heading is not None:
        return _read_under_heading(lower, start, end, heading)
    if not targets:
        return []
    statuses: list[_Status | None] = [_status(lower, targets, index, start, end) for index in range(len(targets))]
    _share(lower, targets, statuses)
    return [
        (target.name, _candidate(target, status))
        for target, status in zip(targets, statuses, strict=True)
        if status is not None and status.value in _SEVERITY and not is_prior(lower, target.start, target.end)
    ]


def _read_under_heading(lower: str, start: int, end: int, heading: str) -> list[tuple[str, Candidate]]:
    target = _Target(heading, start, start)
    status = _status(lower, [target], 0, start, end)
    return [(heading, _candidate(target, status))] if status is not None and status.end > status.start else []


def _candidate(target: _Target, status: _Status) -> Candidate:
    words = (min(target.start, status.start), max(target.end, status.end))
    return Candidate(value=status.value, words=(words,), rule="staging", confidence=0.9 if status.value != "suspected" else 0.85)


def _status(lower: str, targets: list[_Target], index: int, start: int, end: int) -> _Status | None:
    """What the words before and after a target say of it, up to the neighbouring targets and stops."""
    target = targets[index]
    before_from = targets[index - 1].end if index else start
    after_to = targets[index + 1].start if index + 1 < len(targets) else end
    for stop in _STOP.finditer(lower, before_from, target.start):
        before_from = stop.end()
    stop_after = _STOP.search(lower, target.end, after_to)
    after_to = stop_after.start() if stop_after else after_to
    before, after = lower[before_from : target.start], lower[target.end : after_to]
    if _NOT_ASSESSED.search(after) or _NOT_ASSESSED.search(before[-40:]):
        return None
    own = lower[target.start : target.end]
    if target.name == "epe" and own.startswith(("organ", "confined", "gland-confined")):
        return _Status("present" if _PREFIX_NO.search(before) else "absent", target.start, target.end, True)
    return _weigh(target, own, before, after, before_from)


def _weigh(target: _Target, own: str, before: str, after: str, before_from: int) -> _Status | None:
    after = re.split(r",\s+(?=(?:the|no|there|with|pi-?rads|dwi|t2|lesion|size|measur)\b)", after, maxsplit=1)[0]
    suspected = _first(_SUSPECTED, before, after, target, before_from)
    absent = _first(_ABSENT, before, after, target, before_from)
    if absent is None and (stated := _definite(before, after, target, before_from, is_doubted=suspected is not None and suspected[2])):
        return _Status("present", *stated)
    if suspected is not None and not (absent is not None and _is_negated_suspicion(absent, suspected)):
        return _Status("suspected", *suspected)
    if absent is not None:
        return _Status("absent", *absent)
    if target.name == "bone_metastases" and _NEUTRAL_BONE.search(before + " " + after):
        return None
    if target.name == "svi" and _NEUTRAL_SV.search(before + " " + after) and not _PRESENT.search(after):
        return None
    if target.name == "epe" and (own.endswith("capsule") or own.startswith("capsular")) and _NEUTRAL_CAPSULE.search(before + " " + after):
        return None
    return _present(target, own, before, after, before_from)


_DEFINITE = re.compile(
    r"\b(?:is|are) (?:present|evident|seen|noted|identified|definite)\b|\bmeasurable\b|\bgross(?:ly)?\b|\bfrank\b|\bdefinite(?:ly)?\b"
)


def _definite(before: str, after: str, target: _Target, before_from: int, *, is_doubted: bool) -> tuple[int, int, bool] | None:
    """ "With measurable bulge is present" is no suspicion, whatever words of doubt stand beside it; "possible gross extension" is."""
    return None if is_doubted else _first(_DEFINITE, before, after, target, before_from)


_DISEASE = re.compile(
    r"extension|disease|spread|invasion|breach|penetration|metasta|adenopath|\blad\b|involvement|infiltration|\bepe\b|\bece\b|"
    r"\bsvi\b|mets|disruption|growth|transgression|enlargement"
)
_FIELD_END = re.compile(r"^\s*[:=-]?\s*(?:the|prostatic|prostate|is|are|\s)*$")


def _present(target: _Target, own: str, before: str, after: str, before_from: int) -> _Status | None:
    stated = _first(_PRESENT, before, after, target, before_from)
    if stated is not None:
        return _Status("present", *stated)
    if after.lstrip()[:1] in (":", "="):
        return None
    if (_DISEASE.search(own) and not _FIELD_END.match(after)) or (_DISEASE.search(own) and before.strip(" -*•")):
        return _Status("present", target.start, target.end, True)
    return None


def _first(pattern: re.Pattern[str], before: str, after: str, target: _Target, before_from: int) -> tuple[int, int, bool] | None:
    """The nearest status word: after the target within its clause, else before it."""
    later = pattern.search(after[:90])
    if later is not None:
        return target.end + later.start(), target.end + later.end(), False
    earlier = None
    for earlier in pattern.finditer(before):  # noqa: B007
        pass
    if earlier is not None and len(before) - earlier.end() <= 75:
        return before_from + earlier.start(), before_from + earlier.end(), True
    return None


def _is_negated_suspicion(absent: tuple[int, int, bool], suspected: tuple[int, int, bool]) -> bool:
    """ "No suspicious node", "no evidence suggesting": the negation stands before the suspicion and close to it."""
    return (
        absent[0] < suspected[0]
        and suspected[0] - absent[1] <= 40
        and absent[2] == suspected[2]
        and not (absent[2] is False and suspected[0] - absent[1] > 20)
    )


def _share(lower: str, targets: list[_Target], statuses: list[_Status | None]) -> None:
    """Targets in one list share a status: "No EPE, SVI or adenopathy", "Seminal vesicles and nodes are normal"."""
    for index in range(1, len(targets)):
        before, own = statuses[index - 1], statuses[index]
        is_joint = _JOINT.match(lower[targets[index - 1].end : targets[index].start]) is not None
        own_is_default = (
            own is None
            or (own.value == "present" and own.start == targets[index].start)
            or (own.value == "present" and own.start >= targets[index].start and own.end <= targets[index].end)
        )
        if is_joint and before is not None and before.is_before and own_is_default:
            statuses[index] = _Status(before.value, before.start, before.end, True)
    for index in range(len(targets) - 2, -1, -1):
        after, own = statuses[index + 1], statuses[index]
        is_joint = _JOINT.match(lower[targets[index].end : targets[index + 1].start]) is not None
        if own is None and is_joint and after is not None and not after.is_before:
            statuses[index] = after
