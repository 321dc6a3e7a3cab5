"""Extraprostatic extension, seminal vesicle invasion, lymph nodes and bone metastases: absent, suspected or present."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_prior import is_prior
from weakbox.extractors.grammar.radiology_tables import TableHead, read_head, row_cells
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Clause, Role, View

_ABSENT = re.compile(
    r"\b(?:no\b(?! longer)|w/o\b|w?nl\b|neg\b|insignificant|low (?:suspicion|probability|likelihood)|none\b|without\b|normal\b"
    r"|clear\b|intact\b"
    r"|uninvolved|not "
    r"(?:significant|(?:definitely |clearly |pathologically |overtly )?(?:enlarged|invaded|infiltrated|affected|abnormal|extending)"
    r"|involved|"
    r"seen|identified|suspected|present|evident|visuali[sz]ed|visible|demonstrated|detected|appreciated)|non-?enlarged|unremarkable|"
    r"\bfree\b|preserved|"
    r"negative\b|absent\b|unlikely|nil\b|confined|not pathologically enlarged|within normal limits|not suspicious|nor\b|neither|(?:does"
    r"|do|did) not(?:\W*$| (?:clearly |definitely |appear to )\W*$)|(?:does|do|did) not (?:see|identify|find|detect|show|demonstrate"
    r"|appreciate|extend|reach|breach|involve|invade|cross|infiltrate|penetrate|appear)|"
    r"absence|nothing\b|not (?:favou?red|pathologic\w*|metastatic|malignant|suggest\w+|likely)|respected|maintained|spared"
    r"|grade 0|ok(?:ay)?\b|fine\b|clean\b|c?n0\b|reactive|benign-appearing|no\W*$)"
)
_SUSPECTED = re.compile(
    r"\b(?:possib\w+|questionable|equivocal|worrisome|cannot be (?:entirely |completely |fully )?(?:excluded|ruled out)|can ?not "
    r"(?:be )?(?:entirely |completely )?(?:exclude|rule out|excluded)|could not be excluded|not (?:be )?(?:entirely |completely "
    r")?excluded|suspicious|suspected|(?<!low )suspicion|"
    r"concerning|concern\b|suspects?\b|(?:probabl\w+|likely)\b(?! (?:an? |of |to be |representing |represents? "
    r"|due to )*(?:bone island|enosto"
    r"|ha?emangioma|insufficien|cyst|arthr|old |reactive|benign|degenerat|physiolog|normal|post))|(?:may"
    r"|might)\b(?! be (?:ha?emorrhag|post|inflam|due|related|benign|physiolog|degenerat|reactive))|"
    r"indeterminate|borderline|suggest\w+|uncertain|potential\w*|raises?|early\b|subtle|minimal"
    r"|grade [12](?!(?:/5)?\s*[,(-]?\s*(?:not|none|no|absent|unlikely)\b)|irregular\w*|"
    r"bulg\w+|obscur\w+|query|\?)|(?<![\w?])\?(?=\s?\w|$)"
)
_PRESENT = re.compile(
    r"\b(?:present\b|gross(?:ly)?\b|definite\w*|evident|evidence of|frank\b|yes\b|positive|invasion|involv(?:ed|ement|es|ing)|"
    r"invad\w+|infiltrat\w+|extends? (?:into|through|beyond|outside|across)|extending (?:into|through|beyond|outside)|extension"
    r"|growth through|grows? through|"
    r"penetrat\w+|enlarged|pathologic\w*|metasta\w+|breach\w*|disrupt\w*|"
    r"lymphadenopathy|adenopathy|malignant|tumou?r (?:in|within)|grade 3|confirmed|consistent with|compatible with)"
)
_PRESENT_IN_GLAND = re.compile(_PRESENT.pattern.replace("enlarged|pathologic\\w*|metasta\\w+|", ""))
"""Enlarged and metastatic are words of nodes and bones, not of the capsule and the seminal vesicles."""
_NOT_ASSESSED = re.compile(
    r"\b(?:surgically absent|resected|removed|post-?surgical|not (?:assess\w*|evaluat\w+|covered|included|well (?:seen|assessed"
    r"|evaluated)|imaged|adequately \w+)|cannot be "
    r"(?:assessed|evaluated)|non-?diagnostic|limited (?:evaluation|assessment)|masked|outside (?:the )?field|n/?a\b|xx+|__+|not "
    r"applicable|unable to assess)"
)
_NEUTRAL_SV = re.compile(r"\b(?:atroph\w+|small\b|symmetric\w*|dilated|ha?emorrhag\w+|prominent|distended)")
_NEUTRAL_BONE = re.compile(r"\b(?:degenerat\w+|bone islands?|ha?emangioma|arthr\w+|enostosis|benign|old fracture|spondyl\w+)")
_NEUTRAL_CAPSULE = re.compile(r"\b(?:contact|abut\w*|smooth|broad[- ]based)\b")
_CONTACT_ONLY = re.compile(
    r"\b(?:abut\w*|contact\w*|touch\w*)\b[^.;]{0,60}\b(?:without|no) (?:\w+ )?(?:bulg\w*|irregularit\w*"
    r"|deformity)\W*$"
)
_STOP = re.compile(
    r";|\.\s|\bbut\b(?! (?:otherwise |appear |are |is )?(?:normal|clear|uninvolved|intact|spared|free|unremarkable)\b)"
    r"|\bhowever\b|\balthough\b|\bexcept\b|\bwhile\b|\bapart from\b"
)
_FIELD_STOP = re.compile(rf"{_STOP.pattern}|,\s*(?=(?:the )?(?:left|right)\b)")
"""Within a field's value a comma before a side begins another part: "Seminal vesicles: right normal, left probably invaded"."""
_JOINT = re.compile(
    r"^[\s,/&():]*(?:(?:and|or|nor|the|any|either|no|pelvic|regional|left|right|bilateral|both|evidence of|suspicious|enlarged|to|in|into|"
    r"definite|gross|for|are|is|of)\b[\s,/&()]*)*$"
)
_DIRECT = re.compile(
    r"\s*(?:\([^)\n]{0,30}\)\s*)?(?::|=|\||-(?!ve)|\?)\s*(?:(?P<absent>(?:no|none|nil|w?nl|neg|negative|-ve|absent|n0|normal"
    r"|clear|not (?:seen"
    r"|present|"
    r"identified|suspected|involved|enlarged)|unremarkable|intact|0|n(?=\s*(?:$|[;,.|\n]|\s[a-z]{2,9}\s?[:=])))\b|-(?=\s*(?:$"
    r"|[|,;\n]|\s{2})))"
    r"|(?P<present>(?:yes|pos|positive|present|definite|definitely present|y(?=\s*(?:$|[;,.|\n(]|\s[a-z]{2,9}\s?[:=])))\b|\+(?:ve\b)?)"
    r"|(?P<suspected>(?:suspected|possible|possibly|probable|probably|equivocal|likely|indeterminate|suspicious|questionable)\b|\?)"
    r"|(?P<open>n/?a\b|not (?:assess|evaluat|applicable)\w*|unable|cannot|x\b|nx\b|_{2,}|limited))"
    r"(?=\s*(?:$|[.,;|(\n+?\[-]|\s{2}|[a-z]{2,9}\s?[:=]|(?:seen|identified|present|suspected|detected|involved|enlarged|on the"
    r"|at the|in the|of|both"
    r"|bilaterally|left|"
    r"right)\b))"
)
"""A form's answer right behind the field's name decides: "EPE: Yes - right mid, irregular bulge"."""
_WITH_SIGN = re.compile(
    r"\s?(?:(?P<present>\+(?:ve\b)?)|(?P<absent>-(?:ve\b)?))(?=\s*(?:[,;.|)\n]|$)"
    r"|\s+[a-z]{2,6}(?: [a-z]{2,6})?[+-](?:\s|$))"
)
""""ECE+ SVI- LN-"."""
_AT_FIELD = re.compile(
    r"(?:^|[.,;|\n•*-]|\s{2})\s*(?:(?:any|left|right|lt|rt|bilateral|both|the)\s+)?$|[:=]\s?(?:[ny+-]|no|yes|neg|pos|none|nil"
    r"|absent|present|negative|positive|normal|clear)\s+$"
)
_SEVERITY = {"absent": 0, "suspected": 1, "present": 2}
_PREFIX_NO = re.compile(r"\b(?:no|nothing|without|negative for|absence of|nor|free of|neither|not|no evidence of|no sign of)\b[^;.]*$")


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
    head: TableHead | None = None
    last: str | None = None
    for sentence in _sentences(view.clauses):
        head = (read_head(sentence[0], view) or head) if sentence[0].is_row else None
        if sentence[0].role not in READ_ROLES:
            continue
        if head is not None and "epe" in head.columns:
            _read_column(view, sentence[0], head, found)
            continue
        results = amended if sentence[0].role is Role.ADDENDUM else found
        start, end = sentence[0].start, sentence[-1].end
        named = [noun.kind for noun in view.stagings.within(start, end)]
        before, last = last if not named else None, named[-1] if named and named[-1] in ("epe", "svi") else None
        for name, candidate in _read(view, start, end, _heading_target(view, sentence[0]), before):
            known = results.get(name)
            if known is None or _SEVERITY[str(candidate.value)] > _SEVERITY[str(known.value)]:
                results[name] = candidate
    return {**_by_stage(view), **found, **amended}


_CELL = {
    "absent": re.compile(r"(?:no|n|none|nil|neg\w*|absent|-|0)\W*$"),
    "present": re.compile(r"(?:yes|y|pos(?:itive)?|present|definite|gross|\+)\W*$"),
    "suspected": re.compile(r"(?:possibl\w+|suspected|suspicious|probabl\w+|equivocal|likely|indeterminate|questionable|\?|\+/-)\W*$"),
}


def _read_column(view: View, row: Clause, head: TableHead, found: dict[str, Candidate]) -> None:
    """A lesion table's own column of extraprostatic extension."""
    for column, (start, end) in zip(head.columns, row_cells(row, view, head), strict=False):
        cut = view.text.lower[start:end].strip() if column == "epe" else ""
        value = next((name for name, pattern in _CELL.items() if pattern.match(cut)), None) if cut else None
        if value is not None and ("epe" not in found or _SEVERITY[value] > _SEVERITY[str(found["epe"].value)]):
            found["epe"] = Candidate(value=value, words=((start, end),), rule="table", confidence=0.85)


_TNM = re.compile(
    r"(?P<doubt>\?\s?)?\b(?:mri?|r|c|i|mp)?t(?P<t>[1-4])(?P<t_sub>[abc])?\s?,?\s?(?P<doubt_n>\?\s?)?(?:c|r)?n(?P<n>[01x])(?:\s?,?\s?(?:c"
    r"|r)?m(?P<m>[01x])(?P<m_sub>[abc])?)?\b"
)


def _by_stage(view: View) -> dict[str, Candidate]:
    """What a radiological TNM stage ("rT3a N0 M1b") says where no words do; a "?" before it makes it a suspicion."""
    lower = view.text.lower
    starts = [clause.start for clause in view.clauses]
    found: dict[str, Candidate] = {}
    for match in _TNM.finditer(lower) if "n0" in lower or "n1" in lower or "nx" in lower else ():
        if not _is_read(view, starts, match.start()) or is_prior(lower, match.start(), match.end()):
            continue
        present = "suspected" if match["doubt"] else "present"
        extent = {"a": "epe", "b": "svi"}.get(match["t_sub"] or "") if match["t"] == "3" else None
        states = {
            **({extent: present} if extent else {}),
            **({"epe": "absent"} if match["t"] in "12" and not match["doubt"] else {}),
            **(
                {"lymph_nodes": "absent" if match["n"] == "0" else "suspected" if match["doubt_n"] else "present"}
                if match["n"] != "x"
                else {}
            ),
            **({"bone_metastases": "present"} if match["m_sub"] == "b" else {}),
        }
        for name, value in states.items():
            found.setdefault(name, Candidate(value=value, words=(match.span(),), rule="tnm_stage", confidence=0.75))
    for match in _N_ALONE.finditer(lower) if "n0" in lower else ():
        if _is_read(view, starts, match.start()):
            found.setdefault("lymph_nodes", Candidate(value="absent", words=(match.span(),), rule="n_stage", confidence=0.75))
    for match in _T_ALONE.finditer(lower) if "t3" in lower else ():
        if _is_read(view, starts, match.start()):
            name = "epe" if match["sub"] == "a" else "svi"
            value = "suspected" if match["doubt"] else "present"
            found.setdefault(name, Candidate(value=value, words=(match.span(),), rule="t_stage", confidence=0.7))
    return found


def _is_read(view: View, starts: Sequence[int], position: int) -> bool:
    """Whether the words at ``position`` stand in the findings, the impression or an addendum."""
    index = bisect_right(starts, position) - 1
    return index >= 0 and position < view.clauses[index].end and view.clauses[index].role in READ_ROLES


_N_ALONE = re.compile(r"(?<![\w/])[cr]?n0(?=\s*(?:[.,;/]|\bm[0x]|$|\n))")
_T_ALONE = re.compile(
    r"(?:(?P<doubt>likely|possibl[ey]|suspected|probabl[ey]|suspicious for|suggest\w+(?: of)?|cannot (?:be )?exclude\w*|query|\?)|"
    r"consistent with|in keeping with|compatible with|indicating)\s*(?:early |stage |mri )*[rc]?t3(?P<sub>[ab])\b"
)


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


_SPINE = re.compile(r"\b(?:l[1-5]|th(?:1[0-2]|[1-9])|vertebra\w*|spine|sacrum|ilium|acetabul\w+|femur|femoral head|pubis|ischium)\b")
_METASTASIS = re.compile(r"\bmetasta\w+")


_IS_FIELD = re.compile(r"\s?:")


def _targets(view: View, start: int, end: int) -> list[_Target]:
    """The fields that the sentence names; "extraprostatic extension (EPE)" names one, a metastasis of a vertebra means bone."""
    lower = view.text.lower
    targets: list[_Target] = []
    for noun in view.stagings.within(start, end):
        before = targets[-1] if targets else None
        if before is not None and before.name == noun.kind and len(targets) == 1 and _IS_FIELD.match(lower, before.end):
            continue
        is_short_form = before is not None and before.name == noun.kind and lower[before.end : noun.start].strip() == "("
        if before is not None and is_short_form and lower[noun.end : noun.end + 1] == ")":
            targets[-1] = _Target(before.name, before.start, noun.end + 1)
        else:
            targets.append(_Target(noun.kind, noun.start, noun.end))
    if not targets and _SPINE.search(lower, start, end):
        targets = [_Target("bone_metastases", *match.span()) for match in _METASTASIS.finditer(lower, start, end)][:1]
    return targets


_ANAPHOR = re.compile(
    r"\W*(?:(?:there is|this is|no|an?|any|early|definite|frank|possible|probable|suspicious for|with|evidence of|signs? of) )*"
    r"(?P<word>invasion|involvement|infiltration|extension)\b"
)
"""Goes on about the seminal vesicle or the capsule of the sentence before: "Invasion is suspected."."""


def _read(view: View, start: int, end: int, heading: str | None = None, before: str | None = None) -> list[tuple[str, Candidate]]:
    lower = view.text.lower
    targets = _targets(view, start, end)
    if not targets and heading is not None:
        return _read_under_heading(lower, start, end, heading)
    if not targets and before is not None and (anaphor := _ANAPHOR.match(lower, start, end)) is not None:
        targets = [_Target(before, *anaphor.span("word"))]
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


_CONFINED = re.compile(r"organ|confined|gland-confined")
_OPPOSITE = {"present": "absent", "absent": "present"}
""""Organ-confined: yes" denies the extension."""


def _status(lower: str, targets: list[_Target], index: int, start: int, end: int) -> _Status | None:
    """What the words before and after a target say of it, up to the neighbouring targets and stops."""
    target = targets[index]
    before_from = targets[index - 1].end if index else start
    after_to = targets[index + 1].start if index + 1 < len(targets) else end
    for stop in _STOP.finditer(lower, before_from, target.start):
        before_from = stop.end()
    direct = _WITH_SIGN.match(lower, target.end) or _DIRECT.match(lower, target.end, after_to)
    if direct is not None and (
        direct.lastgroup != "absent" or direct.re is _WITH_SIGN or _AT_FIELD.search(lower[before_from : target.start])
    ):
        value = direct.lastgroup or ""
        if value in _OPPOSITE and _CONFINED.match(lower, target.start):
            return _Status(_OPPOSITE[value], direct.start(value), direct.end(value), False)
        return None if value == "open" else _Status(value, direct.start(value), direct.end(value), False)
    first, last = target.end, after_to
    is_field = lower[first : first + 2].lstrip()[:1] in (":", "=") if first < last else False
    stops = [first, *(stop.end() for stop in _FIELD_STOP.finditer(lower, first, last)), last + 1] if is_field else []
    if len(stops) > 2:
        return _worst(
            _status_between(
                lower, target, before_from if number == 0 else begin, begin, stop - 1 if stop > last else stop, is_first=number == 0
            )
            for number, (begin, stop) in enumerate(itertools.pairwise(stops))
        )
    stop_after = _STOP.search(lower, first, last)
    has_following = stop_after is None and index + 1 < len(targets)
    return _status_between(
        lower, target, before_from, first, stop_after.start() if stop_after else last, is_first=True, has_following=has_following
    )


def _worst(statuses: Iterable[_Status | None]) -> _Status | None:
    """A field's value in several parts ("L5 haemangioma; no metastasis") states the most serious of them."""
    return max((status for status in statuses if status is not None), key=lambda status: _SEVERITY[status.value], default=None)


_TAIL_OF_NEXT = re.compile(r"(?:,|\band\b|\bwith\b|\bplus\b)(?:(?!,|\band\b|\bwith\b|\bplus\b).)*$", re.DOTALL)
"""Words after the last comma before the next target are that target's ("with EPE, probable right SVI")."""


def _status_between(
    lower: str, whole: _Target, before_from: int, after_from: int, after_to: int, *, is_first: bool, has_following: bool = False
) -> _Status | None:
    target = whole if is_first else _Target(whole.name, after_from, after_from)
    before, after = lower[before_from : target.start], lower[target.end : after_to]
    if has_following:
        after = _TAIL_OF_NEXT.sub("", after)
    if _NOT_ASSESSED.search(after) or _NOT_ASSESSED.search(before[-40:]):
        return None
    own = lower[target.start : target.end]
    if target.name == "epe" and _CONFINED.match(own):
        return _Status("present" if _PREFIX_NO.search(before) else "absent", target.start, target.end, True)
    return _weigh(target, own, before, after, before_from)


def _weigh(target: _Target, own: str, before: str, after: str, before_from: int) -> _Status | None:
    if after.lstrip()[:1] not in (":", "="):
        after = re.split(r",\s+(?=(?:the|no|there|with|pi-?rads|dwi|t2|lesion|size|measur)\b)", after, maxsplit=1)[0]
    if target.name == "epe" and "capsul" in own and _CONTACT_ONLY.search(before + own + after):
        return None
    suspected = _first(_SUSPECTED, before, after, target, before_from)
    absent = _first(_ABSENT, before, after, target, before_from)
    if absent is None and (stated := _definite(before, after, target, before_from, is_doubted=suspected is not None and suspected[2])):
        return _Status("present", *stated)
    if suspected is not None and not (absent is not None and _is_negated_suspicion(absent, suspected, target)):
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
    r"exten(?:sion|ds?\b|ding)|reach|grow|disease|spread|invasion|breach|penetration|metasta|adenopath|\blad\b|involvement"
    r"|infiltration|\bepe\b|\bece\b|"
    r"\bsvi\b|mets|disruption|growth|transgression|enlargement"
)
_FIELD_END = re.compile(r"^\s*[:=-]?\s*(?:the|prostatic|prostate|is|are|\s)*$")


def _present(target: _Target, own: str, before: str, after: str, before_from: int) -> _Status | None:
    stated = _first(_PRESENT_IN_GLAND if target.name in ("epe", "svi") else _PRESENT, before, after, target, before_from)
    if stated is not None:
        return _Status("present", *stated)
    if after.lstrip()[:1] in (":", "="):
        return None
    if (_DISEASE.search(own) and not _FIELD_END.match(after)) or (_DISEASE.search(own) and before.strip(" -*•")):
        return _Status("present", target.start, target.end, True)
    return None


_OF_LESION = re.compile(
    r"\s+(?:\w+\s+){0,3}?(?:lesion|focus|nodule|mass|area|finding|tumou?r|cancer|carcinoma|abnormality|target)s?\b.*?(?:,|;|=|\(|\d"
    r"|\b(?:with|and|that|which|is|has|shows?)\b)",
    re.DOTALL,
)
_SIGN = re.compile(r"bulg|irregular|obscur")
_JOINED_SIGN = re.compile(r"(?:,|=|\band\b|\bwith\b|\bplus\b)\s*(?:\w+\s+){0,2}$")


def _is_of_the_lesion(before: str, match: re.Match[str]) -> bool:
    """ "Suspicious lesion ... with EPE" doubts the lesion, "irregular bulge and EPE" adds a sign: neither doubts the extension."""
    rest = before[match.end() :]
    if _SIGN.match(match[0]):
        return _JOINED_SIGN.search(rest) is not None
    return match[0].startswith(("suspicious", "suspected", "indeterminate", "equivocal")) and _OF_LESION.match(rest) is not None


def _first(pattern: re.Pattern[str], before: str, after: str, target: _Target, before_from: int) -> tuple[int, int, bool] | None:
    """The nearest status word: after the target within its clause, else before it; doubt about the lesion is none about its extent."""
    later = pattern.search(after[:90])
    if later is not None:
        return target.end + later.start(), target.end + later.end(), False
    earlier = None
    for match in pattern.finditer(before):
        if not (pattern is _SUSPECTED and target.name in ("epe", "svi") and _is_of_the_lesion(before, match)):
            earlier = match
    if earlier is not None and len(before) - earlier.end() <= 75:
        return before_from + earlier.start(), before_from + earlier.end(), True
    return None


def _is_negated_suspicion(absent: tuple[int, int, bool], suspected: tuple[int, int, bool], target: _Target) -> bool:
    """ "No suspicious node", "no evidence suggesting": the negation stands before the suspicion and close to it.

    Also around the target: "suspicious nodes are not seen", "no nodes suspicious of size".
    """
    if absent[2] != suspected[2]:
        before, after = (absent, suspected) if absent[2] else (suspected, absent)
        return target.start - before[1] <= (30 if absent[2] else 6) and after[0] - target.end <= (24 if absent[2] else 40)
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
