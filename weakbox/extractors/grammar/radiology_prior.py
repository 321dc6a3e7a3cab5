"""What belongs to an earlier exam: values, sentences and whole reports that were copied."""

from __future__ import annotations

import re
from bisect import bisect_left

_PRIOR_BEFORE = re.compile(
    r"(?:\b(?:previous(?:ly)?|formerly|prior(?:ly)?|earlier|initially|originally|last (?:mri|exam|study)|old|outside(?=\s*$| (?:read"
    r"|report|scor|categ|inter|radiol|call"
    r"|as\b|pi|likert))|externally)\b(?:[\s:=(,]|\b(?:a|there|"
    r"an|the|scored?|assigned|reported|graded|categori[sz]ed|classified|rated|described|called|as|at|of|mri|exam|study|score|"
    r"category|"
    r"measur(?:ed|ing)|approximately|it|was|were|been|had|on|in|from|given|lesion|size|pi-?rads|likert|labell?ed|read|considered|seen|"
    r"noted|documented|identified|mentioned|demonstrated|biopsied|\d{1,3}(?:\.\d)?(?:\s?x\s?\d{1,3}(?:\.\d)?){0,2}\s?[mc]m|"
    r"\d{1,2}/\d{2,4}|\d{4}|\d{1,2}/\d{1,2}/\d{2,4})\b)*"
    r"|[,(;]\s*(?:it )?(?:was|were)(?: (?:previously|only|a|approximately))*\s*|\b(?:compared|comparison) (?:to|with)\s+(?:a\s+|"
    r"the\s+)?(?:prior\s+|previous\s+)?|\b(?:from|versus|vs\.?)\s*(?:pi-?rads\s*)?|\((?:in\s+)?(?:19|20)\d\d\s*:\s*|\bin (?:19|"
    r"20)\d\d\b[,:]?\s*(?:(?:it )?(?:was|were|measured|measuring)\s*|there was\s*)?(?:an?\s+)?|"
    r"\b(?:upgraded|downgraded|increased|decreased|changed) from\s*"
    r"|\((?:previously|prior|was|formerly|before|earlier|in (?:19|20)\d\d)\b[^()]{0,60}"
    r"|\b(?:(?:earlier|original|previous|first|initial|preliminary|prior) (?:report|version|reading|interpretation)"
    r"|report issued earlier)\b"
    r"(?:(?!\b(?:now|is|today|current|measures)\b|[.;:\n]).){0,55}\b(?:was|were|as|a|an)\b(?: scored?| called| given| reported"
    r"| graded| categori[sz]ed)?(?: as| a)?\s*)$"
)
_PRIOR_GATE = (
    "pr",
    "was",
    "were",
    "from",
    "vers",
    "vs",
    "compar",
    "(19",
    "(20",
    "in 19",
    "in 20",
    "old",
    "former",
    "before",
    "earli",
    "nitial",
    "origin",
    "last",
    "outside",
    "external",
)
"""Without one of these nothing before a value says that it is of an earlier exam."""
_PRIOR_AFTER = re.compile(
    r"[\s,()]{0,2}(?:lesions?|mm|cm|foc(?:us|i)|nodule|area|target)?[\s,(]*(?:(?:as )?(?:seen|noted|described|reported"
    r"|identified|found|present|scored"
    r"|called|measured) )?(?:previously|at that time|at the time|on (?:the |a )?(?:prior|previous|earlier|"
    r"last)\b|in (?:19|20)\d\d\b|on prior|outside\b(?! (?:the )?(?:prostate|gland|capsule))|externally|elsewhere|by the (?:outside"
    r"|referring)|in the (?:outside|referring)|before\b|\(?prior\)|(?:19|20)\d\d\))(?![^.;)\n]{0,30}(?:\d\s?(?:mm|cm)|pi-?rads|likert|"
    r"\bscore))(?!\W{0,3}\d)"
)


def is_prior(lower: str, start: int, end: int) -> bool:
    """Whether the words right beside a value say that it belongs to an earlier exam."""
    window = lower[max(0, start - 70) : start]
    is_open = any(word in window for word in _PRIOR_GATE)
    return bool((is_open and _PRIOR_BEFORE.search(window)) or _PRIOR_AFTER.match(lower, end, end + 40) or _IN_ERROR.match(lower, end))


_OF_TODAY_BEFORE = re.compile(
    r"\b(?:now|today|currently|presently|at present|this time|(?:gr(?:own|ew)|increased|enlarged|decreased|reduced|shrunk|shrank|progressed"
    r"|regressed|up|down)(?: in size)? to|remains? at)\b(?:(?!\b(?:against|versus|vs|compared|than|was|were|from)\b|previous"
    r"|prior)[^.;\d]){0,30}$"
)
_OF_TODAY_AFTER = re.compile(
    r"\s*\(?(?:now|today|currently|at present|on (?:this|the (?:present|current)) (?:exam\w*|study|mri|scan))\b(?!\s*\d)"
)
UNCHANGED = re.compile(r"\b(?:unchanged|stable|similar|no(?: \w+)? change|not (?:\w+ )?changed|the same|static)\b")
"""Makes an earlier value the one of today."""


def is_of_today(lower: str, start: int, end: int, *, since: int) -> bool:
    """Whether the words beside a value, no further back than ``since``, set it as today's against an earlier one."""
    return bool(_OF_TODAY_BEFORE.search(lower, max(since, start - 60), start) or _OF_TODAY_AFTER.match(lower, end))


_IN_ERROR = re.compile(r"[\s,()]{0,2}(?:in error|erroneously|by mistake|mistakenly)\b")


_NO_LONGER = re.compile(
    r"\b(?:now|today|currently) (?:not (?:seen|visible|identified|appreciated|present)|absent|resolved|gone)\b|"
    r"\bno longer\b|\b(?:has|have) (?:since |now |completely )*(?:resolved|disappeared|regressed completely)|\bnot (?:seen|visible|"
    r"identified|appreciated) (?:today|currently|on (?:the |today's )?(?:current|today|present))|"
    r"previously (?:seen|described|noted|reported|identified)\b[^.;]{0,80}\b(?:not (?:clearly |definitely |well )?(?:seen"
    r"|visible|visualized|visualised|identified|appreciated"
    r"|present|evident|demonstrated|found)|no longer|resolved)\b|\bresolution of\b|"
    r"^\W*(?:prev(?:iously)?|prior|old|former)\b[^;]*\b(?:resolved|gone|not seen|no longer)\b|\bresolved\W*$|"
    r"\b(?:has|have) (?:become inconspicuous|vanished|gone(?! up| down| from| to)|faded|cleared)\b|\b(?:is|are) (?:therefore "
    r"|hence |no longer |not )+(?:re-?)?scored\b"
)
_NO_LONGER_GATE = (
    "no longer",
    "resolved",
    "resolution",
    "disappear",
    "regressed",
    "not ",
    "previously",
    "inconspic",
    "vanished",
    "gone",
    "faded",
    "cleared",
)
_PRIOR_UNIT = re.compile(
    r"^(?:the )?(?:(?:19|20)\d\d (?:mp-?)?(?:mri|exam|study|report|scan|read(?:ing)?)\b|compared (?:to|with)"
    r"|on (?:the )?(?:prior|previous|last|earlier)\b|comparison (?:is|was|made|with)\b|"
    r"(?:negative|positive|benign|prior|previous|transrectal|transperineal|targeted|systematic) (?:[\w/-]+ ){0,4}biops(?:y"
    r"|ies) (?:of|from|at) (?:a|an|the) [^.;]*\b(?:19|20)\d\d|"
    r"(?:the )?(?:prior|previous|outside|baseline|initial|first|original|index|diagnostic|earlier) (?:mp-?)?(?:mri|exam|study|report|scan|"
    r"biops)|previously(?:,| there (?:was|were)\b| (?!described|noted|seen|reported|identified|known|biopsied|demonstrated|mentioned"
    r"|documented|visuali[sz]ed|described|treated"
    r"|detected|suspected|called|labell?ed|scored|characteri[sz]ed|the\b))|history of|prior:|in (?:19|20)\d\d,|mri (?:of |from "
    r"|dated )?(?:\d{1,2}[/.-])*(?:19|20)\d\d)"
)
_STILL = re.compile(
    r"\b(?:unchanged|stable|again|persist\w*|still|now|similar|remains?|increased|decreased|smaller|larger|grown|today|current\w*|"
    r"interval|re-?demonstrat\w*)\b"
)


def is_of_the_past(cut: str) -> bool:
    if any(word in cut for word in _NO_LONGER_GATE) and _NO_LONGER.search(cut):
        return True
    if not _PRIOR_UNIT.match(cut):
        return False
    told = _TOLD.search(cut)
    return not _STILL.search(cut, told.end() if told else 0)


_TOLD = re.compile(r"\b(?:mention(?:s|ed)|describes|reports|lists|showed|demonstrated|described|revealed|documented|mentioned)\b")
"""What an earlier exam showed is told in the past tense; only a word of today behind it speaks of this exam."""


_REPORT_MARK = r"^[ \t=*_#<\[(-]*(?:begin |start of |text of |copy of )?(?:the )?(?:report of (?:the )?)?"
_PRIOR_REPORT = re.compile(
    rf"{_REPORT_MARK}(?:prior|previous|old|earlier|historical|outside)\b[^\n:.]{{0,25}}\b(?:report|study|exam(?:ination)?"
    rf"|mri)\b[^\n]{{0,50}}$",
    re.MULTILINE,
)
_CURRENT_REPORT = re.compile(
    rf"{_REPORT_MARK}(?:current|present|today'?s?|this|new|final)\b[^\n:.]{{0,25}}\b(?:report|study|exam(?:ination)?"
    rf"|mri)\b[^\n]{{0,50}}$",
    re.MULTILINE,
)
DISPROVED = re.compile(
    r"\b(?:is|was|are)(?: now)?(?: felt to be| considered)? (?:not (?:considered |felt to be |thought to be )?(?:a|an"
    r"|any)|no(?: longer (?:considered )?an?)?) (?:(?!new|separate)\w+ )?(?:lesion|focus|abnormality|target)|"
    r"\bdoes not (?:represent|constitute|correspond to) (?:a|an|any) (?:\w+ ){0,2}(?:lesion|focus|abnormality|target|tumou?r)|"
    r"\b(?:should|to) be (?:disregarded|removed|deleted|ignored)|\b(?:withdrawn|retracted|entered in error|described in error)\b|"
    r"\b(?:is|was|represents?|correspond(?:s|ing) to|reflects?)(?: now)?(?: considered)?(?: to be)? (?:a |an |the )?(?:normal"
    r"|(?:biopsy )?ha?emorrhage|artefact|artifact|\w+ \w+ normal)\b|\b(?:called|described as|labell?ed|reported as) (?:lesion|target"
    r"|roi)\b[^.;]{0,40}"
    r"\b(?:is|represents|was) (?:a |an |the )?(?:\w+ ){0,2}?(?:benign|bph|normal|hyperplas\w+|stromal|artefact|artifact|ha?emorrhage"
    r"|scar|cyst)\b"
)
"""Says of a lesion that it is none."""
_QUOTED_REPORT = re.compile(
    r"^[ \t=*_#<\[(-]*(?:the )?(?:(?P<other>outside|external|referring|requesting)|original|initial|first|(?:local"
    r"|peripheral) hospital'?s?)\b[^\n:.]{0,40}?"
    r"\b(?:interpretation|report|read(?:ing)?|impression|findings|opinion|conclusion|summary|result)s?\b[^\n:.]{0,40}(?::|$)"
    r"|^[ \t]*(?:interpretation|report|impression|findings|conclusion) \((?:outside|external|referring)[^)\n]{0,30}\)[ \t]*:",
    re.MULTILINE,
)
_OWN_REPORT = re.compile(
    r"^[ \t=*_#<\[(-]*(?:our|this|current|today'?s?|review(?:er)?(?:'?s)?|second|expert|over-?read|re-?read|re-?interpretation"
    r"|re-?review|in-?house|my|present"
    r"|independent|consult\w*|tertiary|institutional|mdt|local)\b[^\n.]{0,70}?(?::|$)",
    re.MULTILINE,
)
_INNER_HEADING = re.compile(r"^[ \t]*(?:findings|impression|conclusion|report)\b", re.MULTILINE)


def quoted_reports(lower: str) -> list[tuple[int, int]]:
    """The stretches where a review quotes the report of another house: from its line to the review's own, or the end of its paragraph."""
    if not any(word in lower for word in _QUOTED_GATE):
        return []
    quotes = list(_QUOTED_REPORT.finditer(lower))
    own_starts = [match.start() for match in _OWN_REPORT.finditer(lower)] if quotes else []
    gaps = [match.start() for match in _GAP.finditer(lower)] if quotes else []
    spans: list[tuple[int, int]] = []
    for match in quotes:
        if spans and match.start() < spans[-1][1]:
            continue
        end = _first_from(own_starts, match.end()) or (_first_from(gaps, match.end() + 1) if match["other"] else None)
        if end is not None:
            spans.append((match.start(), end))
    return spans


_GAP = re.compile(r"\n\n")


def _first_from(starts: list[int], position: int) -> int | None:
    index = bisect_left(starts, position)
    return starts[index] if index < len(starts) else None


_QUOTED_GATE = ("outside", "external", "referring", "original", "initial", "local", "requesting", "first")


def prior_report(lower: str) -> tuple[int, int] | None:
    """The stretch of an earlier report that was copied whole before or after this one, each under a line that says so."""
    if "report" not in lower and "study" not in lower:
        return None
    prior, current = _PRIOR_REPORT.search(lower), _CURRENT_REPORT.search(lower)
    if prior is None or current is None or len(_INNER_HEADING.findall(lower)) < 2:
        return None
    return (prior.start(), current.start()) if prior.start() < current.start() else (prior.start(), len(lower))
