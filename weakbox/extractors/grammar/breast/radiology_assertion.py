"""How a clause asserts a finding's noun: it stands, it is declared gone, or the words only deny, fear or remember it."""

from __future__ import annotations

import re

_DENIAL = re.compile(
    r"(?<![\w-])(?:(?:no|not)(?! longer\b| (?:(?:significant|interval|appreciable|substantial|definite|real|obvious|"
    r"major) )*(?:change[ds]?|"
    r"increase|growth|progression)\b| only\b| just\b| necessarily\b|\.|[:.]? ?\d| doubt)|nil|n/o|non[- ]visuali[sz]ation of|without|"
    r"absence of|absent|negative for|free of|free from|"
    r"none of|neither|nor|lack of|lacks|lacking|fails? to|failed to|ruled out|never|nothing|denies|devoid of|unlikely to (?:be|"
    r"represent)|"
    r"exclud(?:es|ing)|resolution of|rules out|clear of)(?![\w-])"
)
_BREAK = re.compile(
    r"[;:]|\.\s|\b(?:but|however|although|though|except(?:ing)?|apart from|other than|besides|aside from|yet|while|whereas|instead|"
    r"save for|only)\b|(?:,|\band|\bor|\bwith|/)\s+(?:also\s+)?(?:there (?:is|are)|incidental\w*|a couple|"
    r"an?\b(?! (?:single )?(?:suspicious|new|"
    r"discrete|dominant))|one\b|two\b|three\b|several|multiple|stable|unchanged|known|scattered|benign|simple|few|bilateral(?! (?:or|"
    r"axill))|the\b|\d+(?:[.,]\d)?\s?(?:x|mm|cm)\b)"
)
_REFERRED = re.compile(
    r"\b(?P<lead>[a-z]+)\s+(?:in|within|of|for|to|around|at|near|from|with|on|surrounding|between|about|regarding|along|"
    r"inside|as)\s+(?:the|"
    r"this|that|these|those|its|either of the|any of the|both)\s+(?:[a-z0-9'-]+,?\s+){0,6}$"
)
_TRACE = re.compile(r"^(?:evidence|signs?|traces?|visuali[sz]ation|persistence|remnants?|recurrence|residual)$")
_NOT_FOUND = (
    r"(?:seen|identified|present|visible|visuali[sz]ed|appreciated|demonstrated|evident|detected|suspected|found|noted|apparent|shown|"
    r"discernible|observed|recogni[sz]ed|located|felt)"
)
_DENIED_AFTER = re.compile(
    rf"[^,;.:]{{0,45}}?\b(?:(?:is|are|was|were|could|can|has been|have been)(?: be)? not(?: be)?(?: \w+ly)? {_NOT_FOUND}|"
    rf"not(?: \w+ly)? {_NOT_FOUND}|"
    rf"cannot be {_NOT_FOUND}|(?:is|are) (?:absent|negative|excluded|ruled out|unlikely)|absent\b|ruled out|excluded\b)"
)
_NONE_AFTER = re.compile(
    r"\s*(?:[:=-]|\bis|\bare)?\s*(?:none|no\b(?! change)|absent|nil|negative|neg\b|n/?a\b|not (?:seen|present|identified|detected))"
)
_ELSEWHERE = re.compile(
    r"[^,;.:]{0,60}\b(?:not|occult)\b[^,;.:]{0,30}\b(?:on|by|at|with|in) (?:the )?(?:targeted |diagnostic |today's |screening |"
    r"conventional |prior |previous |either )*(?:ultraso\w+|us|usg|sonogra\w+|mammogra\w+|mri|mlo|cc|tomo\w*|view\w*|the other)\b|"
    r"[^,;.:]{0,40}\b(?:sonographically|mammographically)\b|[^,;.:]{0,30}not (?:previously|on (?:the )?(?:prior|previous|earlier)|before)"
)
_FEARED = re.compile(
    r"\b(?:obscur(?:es?|ing)|hid(?:es?|ing)|mask(?:s|ing)|detection of|sensitivity (?:of|for|to)|evaluat\w+ (?:of|for)|"
    r"search(?:ing)? for|"
    r"look(?:ing)? for|to detect|risk of|exclude|rule out|screening for|concern for|monitor\w* for)\b(?:\s+[a-z-]+){0,4}\s*$"
)
_CALLED = re.compile(
    r"\b(?:was|were|had been) (?:(?:previously|initially|originally|formerly|then|once) )?(?:regarded|considered|thought|"
    r"described|reported|"
    r"label?led|called|interpreted|felt|assessed|classified|believed|recorded|read)(?: \w+ly)? (?:as|to (?:be|"
    r"represent))(?: (?:an?|the))?"
    r"(?: [a-z-]+){0,3} *$"
)
""" "It was regarded as a cyst": what an earlier reader took the finding for."""
_HYPOTHETICAL = re.compile(
    r"(?:\bif\b|\bshould (?:the|there|symptoms|a|an|any)\b|\bin case of\b|\br/o\b|\brule out\b|\b(?:evaluate|assess|"
    r"assessment|evaluation|surveillance|"
    r"criteria|query|screen(?:ing)?|features?|warning signs?) for\b|\bplease (?:evaluate|assess|exclude|correlate)|\bexclude\b|"
    r"\bunless\b|"
    r"\bwhen(?! compared)\b|\bconsider\b|\bwould (?:be|represent)\b|\bwhether\b|\bin the event|\brisk factors? for\b|"
    r"\bevery new\b|\bshould (?:you|she)\b)"
    r"[^;.]{0,100}$"
)
_FAMILY = re.compile(
    r"\b(?:family history|father|mother|sister|brother|uncle|aunt|cousin|grandmother|grandfather|paternal|maternal|daughter|niece|"
    r"first[- ]degree relative)\b"
)
_PRIOR_BEFORE = re.compile(
    r"\b(?P<word>previous(?:ly)?|prior(?! to)|formerly|earlier|history of|h/o|last (?:mri|study|exam|year|examination|mammogram|"
    r"ultrasound)|past|status post|s/p|originally|initially|treated|at the time of|used to|on (?:the )?(?:previous|prior|last|earlier))\b"
    r"[^;.]{0,60}$"
)
_PRIOR_AFTER = re.compile(
    r"[^;.,]{0,45}?(?:on (?:the )?(?:prior|previous|last|earlier)|at that time|\bpreviously\b(?! (?:seen|noted|described|reported|biops|"
    r"measur|\d)))"
)
GONE = re.compile(
    r"no longer\b|\bresolved\b|\bresolv(?:es|ed|ing) (?:on|with|into|to)\b|(?:dissolves?|separates?|merges?|opens? up|"
    r"breaks? up) into\b|disappear\w*|dispers(?:e|es|ed|ing|al|ion)\b|effac(?:es|ed|"
    r"ing)\b(?! (?:(?:fatty|the) )*(?:hil|cortex|fat))|(?:does|did|do) not persist|not persist\w*|no persisten\w+|(?:overlapping|"
    r"composite (?:shadow\w*|densit\w+|opacity)|superimposed|superimposition|overlap of|summation|superposition|superposicion)\b|"
    r"press(?:es|ed) out|normali[sz]ed|(?:re)?gained (?:a )?normal|returned to normal|back to normal|\bdrained\b|"
    r"spreads? out|(?:has been|have been|was|were|been|since|subsequently|surgically|completely) (?:surgically |completely )?(?:excised|"
    r"removed|resected|aspirated|drained)|(?:does|did) not (?:reproduce|re-?demonstrate)|not (?:reproduced|reproducible|confirmed|"
    r"redemonstrated)|not seen on (?:today|the (?:current|present)|spot|additional)|completely (?:resolved|regressed|collapsed)|"
    r"fades? (?:out|away)|without persist\w+|not (?:currently|presently|anymore) (?:seen|visible)|complete (?:imaging |radiologic\w* |"
    r"pathologic\w* |metabolic )?response|vanish\w*|regressed completely|cannot (?:now )?be (?:found|seen|identified|reproduced)|"
    r"could not be (?:found|seen|identified|reproduced|confirmed)|not (?:found|seen|visible|visuali[sz]ed|identified|"
    r"present) (?:today|now|any ?more|"
    r"at present|currently)|effaces|opens? out|teases out|blends? (?:in|out|away)"
)
_NOT_GONE = re.compile(
    r"not (?:(?:yet|completely|fully|entirely) )?(?:resolved|disappear\w*|dispers\w+|effac\w+|normali[sz]ed)|(?:does|do|"
    r"did) not (?:fully |"
    r"completely )?(?:disappear|disperse|efface|resolve|press|spread)|no superimpos|rather than (?:superimpos|overlap|"
    r"summation)|persist(?:s|ed|"
    r"ent)\b(?! not)|(?:nearly|almost|partly|partially|incompletely|partial) (?:resol\w+|disappear\w+)"
)
_GONE_BEFORE = re.compile(
    r"\b(?:resolved|resolution of|disappearance of|interval (?:excision|removal|resolution|drainage) of|excised|complete resolution of|"
    r"normali[sz]ation of|drained|aspirated|complete response of|previously (?:excised|resected|removed))\b[^,;.]{0,40}$"
)
_STILL = re.compile(
    r"\b(?:again|stable|unchanged|persist\w*|remain\w*|still|now|current\w*|today|increas\w+|decreas\w+|larger|smaller|grown|enlarg\w+|"
    r"measur\w+|is seen|are seen|correspond\w*|demonstrat\w+|shows|redemonstrat\w+|similar|without change|no (?:significant |"
    r"interval )*change|same|shrunk|reduced|regress\w+|progress\w+|"
    r"known|previously (?:seen|noted|described|biopsied|identified|reported)|is (?:noted|present|visible|identified)|are (?:noted|"
    r"present|visible))\b"
)
_HISTORY_WORDS = re.compile(r"history of|h/o|status post|s/p|treated")


def stands(cut: str, start: int, end: int) -> bool | None:
    """True for a current finding at ``cut[start:end]``, False for one declared gone, None where it is only denied, feared or remembered."""
    after = cut[end : end + 160]
    if GONE.search(after) and not _NOT_GONE.search(after):
        return False
    if _GONE_BEFORE.search(cut, max(0, start - 60), start):
        return False
    if _NONE_AFTER.match(cut, end):
        return None
    denied = _denied_before(cut, start)
    if denied is not None:
        return None if denied else False
    if _DENIED_AFTER.match(after) and not _ELSEWHERE.match(after):
        return None
    if _CALLED.search(cut, max(0, start - 60), start):
        return None
    if _FEARED.search(cut, max(0, start - 60), start) or _HYPOTHETICAL.search(cut, max(0, start - 110), start):
        return None
    return None if _FAMILY.search(cut, max(0, start - 120), start) else _stands_in_time(cut, start, after)


def _denied_before(cut: str, start: int) -> bool | None:
    """True where a denial before the noun reaches it, False where what it denies is the trace of a known finding, None otherwise."""
    last = None
    for match in _DENIAL.finditer(cut, max(0, start - 170), start):
        last = match
    if last is None or _BREAK.search(cut, last.end(), start):
        return None
    referred = _REFERRED.search(cut, last.end(), start)
    if referred is None:
        return True
    return False if _TRACE.match(referred["lead"]) else None


def _stands_in_time(cut: str, start: int, after: str) -> bool | None:
    prior = _PRIOR_BEFORE.search(cut, max(0, start - 80), start)
    if prior is not None:
        if _HISTORY_WORDS.fullmatch(prior["word"]):
            return None
        return True if _STILL.search(cut) else None
    return True if not _PRIOR_AFTER.match(after) or _STILL.search(cut) else None
