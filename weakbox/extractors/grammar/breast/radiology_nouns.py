"""Which words of a clause name a current finding: kinds decided by context, negated, prior and merely associated ones left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.records.stated import Assertion
from weakbox.text.assertion import assertion_triggers
from weakbox.text.lexicon import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A finding's noun at ``start:end`` of the text."""

    kind: str
    start: int
    end: int
    is_plural: bool = False
    is_definite: bool = False
    is_generic: bool = False
    is_titled: bool = False
    """The clause begins with it, without an article."""
    is_gone: bool = False
    """Named only to be disproved or declared gone."""


_ORGANS = re.compile(
    r"\b(?:liver|hepatic|thyroid|lungs?|pulmonary|bones?|osseous|sternum|sternal|ribs?|renal|kidneys?|vertebra\w*|spleen|splenic|"
    r"mediastin\w+|uter\w+|ovar\w+|dermal|cutaneous)\b"
)
_PLURAL = re.compile(
    r"(?:masses|nodules|cysts|calcifications|microcalcifications|opacities|nodes|foci|lesions|tumou?rs|fibroadenomas|asymmetries|"
    r"structures|densities|areas|regions|abnormalities|adenopath\w+|lymphadenopathy)$"
)
_SEVERAL = re.compile(
    r"\b(?:several|multiple|numerous|scattered|few|two|three|four|five|both|bilateral|innumerable|many|various|pair of)\b"
)
_DEFINITE = re.compile(
    r"\b(?:the|this|that|these|those|said|above|aforementioned|same|its)(?:\s+(?!(?:an?|the|another|second|third|additional|further|new|"
    r"one|separate|other|satellite)\b)[a-z0-9'/-]+,?){0,7}\s*$"
)
_DENSE = re.compile(
    r"\b(?:heterogen\w+ dense|extremely dense|dense (?:breasts?|tissue|parenchyma)|density acr|acr [a-d]\b|breasts? (?:are |is )?dense|"
    r"lowers? the sensitivity)"
)
"""Dense tissue "may obscure small masses": a warning that every report prints."""
_TITLE_COLON = re.compile(r"\s*(?:\([^)]{0,20}\))?\s*:")
_ONLY_LABEL = re.compile(
    r"\W*(?:lesions?|findings?|abnormality|area|foc(?:us|i)|target|site)\s*(?:no\.?|number)?\s*#?\s*(?:\d{1,2}|[a-h])\W*"
)
_BARE_START = re.compile(
    r"\W*(?!(?:an?|the|another|there|this|few|several|multiple|scattered|also|new|additional|second)\b)(?:[a-z-]+,?\s+){0,4}"
)
_NOT_HERE = re.compile(r"[;:.]|\b(?:in|at|of|within|on|shows?|demonstrates?|is|are|with|there)\b")
_WITH = (
    r"\b(?:with|contain(?:s|ing)|associated(?: with)?|including|accompanied by|harbou?ring|showing|and associated|internal|"
    r"intralesional|within (?:it|this|the)|surrounded by|adjacent to|near|abutting|"
    r"related to|next to|along with|has|demonstrates?|shows?)\b"
)
_ASSOCIATED = re.compile(rf"(?:{_WITH}(?:\s+(?!(?:in|at|an?|another|there|is|are)\b)[a-z/'-]+,?){{0,7}}\s*)$")
_ASSOCIATED_ANY = re.compile(rf"(?:{_WITH}(?:\s+(?!(?:in|at|another|there|is|are)\b)[a-z/'-]+,?){{0,7}}\s*)$")
_ON_OTHER_MODALITY = re.compile(
    r"\b(?:in|on|at|by) (?:the )?(?:targeted )?(?:ultraso\w+|sonogra\w+|usg?|mri|mammogra\w+)\b(?!\s*(?:,|and)\s*(?:an?|another|there)\b)"
)
_NAMED_AGAIN = re.compile(r":\s*(?:(?!an?\b|another\b|second\b)[a-z-]+\s+){0,3}$")
_REFERRED = re.compile(
    r"\b(?:from|to|toward|towards|of|behind|beyond|beneath|around|near|beside|than|as|within|inside|alongside|surrounding|overlying|"
    r"underlying|with|by|for|in)\s+(?:the|this|that|its|said)(?:\s+[a-z-]+){0,4}\s*$"
)
_OWN = re.compile(r"\b(?:satellite|another|additional|second|separate|adjacent (?:smaller )?(?:satellite|second)|further|other)\b")
_INTERPRETED = re.compile(
    r"\b(?P<sure>consistent with|compatible with|in keeping with|represent(?:s|ing|ed)|corresponds? to|corresponding to|"
    r"correspond(?:ing)? with|is an?|are|being|diagnostic of|typical (?:of|for)|characteristic of|characteristics of|"
    r"appearance of|features of|confirmed as|known as|biopsy[- ]proven|shown to be|as(?: an?)?|proven|proved|proves to be|proving|"
    r"attributable to|due to|i\.e\.|in the sense of)\b(?:\s+(?!at\b|in\b|measuring\b)[\w/'-]+,?){0,5}\s*$"
)
_UNSURE = re.compile(
    r"\b(?:likely|probabl[ey]|possibl[ey]|suggest(?:s|ive of|ing)|suspicious (?:for|of)|suspicion (?:for|of)|concerning for|concern for|"
    r"worrisome for|favou?r(?:s|ed|ing)?|may|might|could|versus|vs\.?|differential\w*|such as|or|rather|presum\w+|e\.g\.|most|"
    r"\?|probable|presumed|risk of|rule out|exclude|evidence of|sign of|signs of|diagnosis of|to suggest|evaluation of|"
    r"evaluate)\b(?:\s+(?!at\b|in\b)[\w/'-]+,?){0,6}\s*$"
)
_ARTICLE_AFTER_COMMA = re.compile(
    r"(?:[,:]|\band|\bbut)\s+(?:there (?:is|are)\s+)?(?:an?|one|two|three|the|several|multiple|stable|unchanged|known|scattered|benign|"
    r"simple|bilateral|\d+(?:[.,]\d)?\s?(?:x|mm|cm))\b"
)
_NEW_NEGATED = re.compile(
    r"\b(?:no|without|nor|neither|absence of|not)(?: any| a)? (?:new|other|additional|further|residual|associated|definite|suspicious|"
    r"dominant|discrete|focal|interval)\b(?![^,;]{0,40}\bchange)[^;.]{0,90}$"
)
_NONE_AFTER = re.compile(
    r"\s*(?:[:=-]|\bis|\bare)?\s*(?:none|no\b|absent|nil|negative|not (?:seen|present|identified|detected|visible|demonstrated|found|"
    r"observed|appreciated)|neg\b)"
)
_GONE = re.compile(
    r"no longer\b|\bresolved\b|\bresolv(?:es|ing) (?:on|with)|disappear\w*|dispers(?:e|es|ed|ing|al|ion)\b|effac(?:es|ed|"
    r"ing)\b(?! (?:(?:fatty|the) )*(?:hil|cortex|fat))|(?:does|did|do) not persist|not persist\w*|no persisten\w+|(?:overlapping|"
    r"superimposed|superimposition|overlap of|summation)\b|"
    r"press(?:es|ed) out|spreads? out|(?:has been|have been|was|were|been|since|subsequently|surgically) (?:surgically )?(?:excised|"
    r"removed|resected|aspirated)|(?:does|did) not (?:reproduce|re-?demonstrate)|not (?:reproduced|reproducible|confirmed|"
    r"redemonstrated)|"
    r"not seen on (?:today|the (?:current|present)|spot|additional)|completely (?:resolved|regressed)|fades? (?:out|away)|"
    r"without persist\w+|not (?:currently|presently|anymore) (?:seen|visible)|complete response"
)
_NOT_GONE = re.compile(
    r"not (?:resolved|completely resolved|disappear\w*|dispers\w+|effac\w+)|(?:does|do|did) not (?:disappear|disperse|efface|resolve|"
    r"press|spread)|no superimpos|rather than (?:superimpos|overlap|summation)|persist(?:s|ed|ent)\b(?! not)"
)
_ONLY_FEARED = re.compile(
    r"\b(?:obscur\w+|hid(?:es?|ing)|mask(?:s|ing)|detection of|sensitivity (?:of|for|to)|evaluat\w+ (?:of|for)|search(?:ing)? for|"
    r"look(?:ing)? for|to detect|risk of|exclude|rule out|screening for|concern for|monitor\w* for)\b(?:\s+[a-z-]+){0,4}\s*$"
)
_STILL = re.compile(
    r"\b(?:again|stable|unchanged|persist\w*|remain\w*|still|now|current\w*|today|increas\w+|decreas\w+|larger|smaller|grown|enlarg\w+|"
    r"measur\w+|is seen|are seen|correspond\w*|demonstrat\w+|shows|redemonstrat\w+|similar|without change|no (?:significant |"
    r"interval )*change|"
    r"known|previously (?:seen|noted|described|biopsied|identified|reported)|is (?:noted|present|visible|identified)|are (?:noted|"
    r"present|visible))\b"
)
_WAS = re.compile(r"\b(?:was|were|had|showed|demonstrated|status post|history of|s/p|treated|removed|underwent)\b")
_SCAR = re.compile(
    r"post-?\s?(?:surgical|operative|biopsy|excision\w*|lumpectomy|treatment)|lumpectomy|surgical|\bscar\b|prior excision|"
    r"previous (?:surgery|excision)|excision site|surgery"
)
_SUSPICIOUS = re.compile(
    r"suspicio\w+|suspect\w*|abnormal\w*|enlarged|thicken\w*|metasta\w+|effac\w+|loss of|replaced|round(?:ed)?\b|irregular|atypical|"
    r"patholog\w+|prominent|increased|bulky|necrotic|infiltrat\w+|malignan\w+|asymmetric\w*|hilum (?:is )?(?:absent|lost|not)|"
    r"no (?:fatty )?hilum|without (?:fatty )?hilum|absent (?:fatty )?hilum|involve\w*|bi-?rads\s?[45]|indeterminate|hypervascular"
)
_NORMAL = re.compile(
    r"\b(?:normal\w*|benign\w*|unremarkable|reactive|physiologic\w*|non-?enlarged|not (?:enlarged|pathologic\w*|suspicious|abnormal)|"
    r"no (?:suspicious|abnormal|enlarged|pathologic\w*|axillary|evidence|significant)|preserved|non-?specific|without (?:suspicious|"
    r"abnormal|enlarged|axillary)|morpholog\w+ normal)\b"
)
_KNOWN_CANCER = re.compile(
    r"\b(?:known|(?:biopsy|histolog\w+|patholog\w+)[- ]?(?:proven|diagnosed|confirmed|verified)|recent|proven|diagnosed|confirmed|"
    r"biopsied|index|primary)\b(?:[ /-]+(?!of\b|for\b|and\b)[\w-]+){0,4}[ -]*$"
)
_HISTORY = re.compile(
    r"\b(?:history|family|screening|risk|mother|sister|aunt|grandmother|prior|previous|treatment of|contralateral prophyl\w+|survivor)\b"
)


def find_nouns(clause: Clause, view: View) -> list[Noun]:
    """The clause's findings in order; those only disproved come with ``is_gone``."""
    cut = view.cut(clause)
    nouns: list[Noun] = []
    hits = [hit for hit in view.nouns.within(clause.start, clause.end) if hit.label != "other"]
    if (
        hits
        and _DENSE.search(cut, 0, hits[0].start - clause.start)
        and not (view.sizes.within(clause.start, clause.end) or view.clocks.within(clause.start, clause.end))
    ):
        hits = [hit for hit in hits if not _DENSE.search(cut, 0, hit.start - clause.start) or hit.label not in ("mass", "lesion")]
    labelled = {label.start for label in view.labels.within(clause.start, clause.end)}
    labelled |= {hit.start for hit in hits[:1] if hit.start - clause.start < 3 and _TITLE_COLON.match(cut, hit.end - clause.start)}
    if len(hits) == 1 and _ONLY_LABEL.fullmatch(cut):
        return []
    if any(hit.start not in labelled for hit in hits):
        hits = [hit for hit in hits if hit.start not in labelled]
    for hit in hits:
        noun = _noun(hit, clause, cut, view)
        if noun is None:
            continue
        if nouns and _is_part_of(nouns, noun, clause, cut):
            continue
        nouns.append(noun)
    return nouns


def _noun(hit: Hit, clause: Clause, cut: str, view: View) -> Noun | None:
    start, end = hit.start - clause.start, hit.end - clause.start
    kind = _kind(hit, clause, cut, view)
    if kind is None or _ORGANS.search(cut[max(0, start - 30) : end + 25]):
        return None
    stands = _stands(cut, start, end)
    if stands is None:
        return None
    before = _phrase_before(cut, start)
    words = cut[start:end]
    return Noun(
        kind=kind,
        start=hit.start,
        end=hit.end,
        is_plural=bool(_PLURAL.search(words) or _SEVERAL.search(before)) and hit.label != "calcifications",
        is_definite=bool(_DEFINITE.search(before)),
        is_generic=hit.label == "lesion",
        is_titled=bool(_BARE_START.fullmatch(cut[:start])),
        is_gone=not stands,
    )


def _phrase_before(cut: str, start: int) -> str:
    """The noun's own adjectives and article."""
    before = cut[max(0, start - 70) : start]
    stops = [stop.end() for stop in _NOT_HERE.finditer(before)]
    return before[max(stops) :] if stops else before


def _kind(hit: Hit, clause: Clause, cut: str, view: View) -> str | None:
    start, end = hit.start - clause.start, hit.end - clause.start
    near = cut[max(0, start - 60) : end + 60]
    if hit.label == "cancer":
        lead = cut[max(0, start - 40) : start]
        is_meant = _KNOWN_CANCER.search(lead) and not _HISTORY.search(lead)
        return "mass" if is_meant and not re.search(r"no (?:known|mammographic|evidence|sonographic)", lead) else None
    if hit.label == "lesion":
        return "cyst" if re.search(r"\bcystic\b|anechoic", cut[max(0, start - 30) : start]) and "solid" not in near else "mass"
    if hit.label == "focus":
        words = cut[start:end]
        return (
            "focus"
            if "enhanc" in near
            or "mri" in (clause.modality, view.modality)
            or re.search(r"kinetic|washout|t2|mri", cut)
            or "enhanc" in words
            else None
        )
    if hit.label == "node":
        return _node_kind(cut, start, end)
    if hit.label == "architectural_distortion" and _SCAR.search(cut):
        return None
    if hit.label == "cyst" and re.search(r"solid|complex", cut[max(0, start - 24) : end + 16]) and "mass" in cut[start:end]:
        return "mass"
    if hit.label == "mass" and re.search(r"\bcystic\s+(?:appearing\s+)?$", cut[max(0, start - 24) : start]) and "solid" not in near:
        return "cyst"
    return hit.label


def _node_kind(cut: str, start: int, end: int) -> str | None:
    """Nodes are findings inside the breast, or where something is wrong with them."""
    before, after = cut[max(0, start - 60) : start], cut[end : end + 110]
    if re.search(r"intra-?mammary", before + cut[start:end] + after[:15]):
        return "lymph_node"
    if not _SUSPICIOUS.search(before[-45:]) and not _SUSPICIOUS.search(after):
        return None
    return None if _NORMAL.search(before) or re.match(r"[^;.]{0,50}\b(?:normal|benign|unremarkable|not)\b", after) else "lymph_node"


def _stands(cut: str, start: int, end: int) -> bool | None:
    """True for a current finding, False for one that is declared gone, None where the words only deny or fear it."""
    is_denied = _NONE_AFTER.match(cut, end) or _NEW_NEGATED.search(cut[max(0, start - 120) : start])
    if is_denied and not _ARTICLE_AFTER_COMMA.search(cut[max(0, start - 60) : start]):
        return None
    if _ONLY_FEARED.search(cut[max(0, start - 60) : start]):
        return None
    after = cut[end : end + 160]
    if _GONE.search(after) and not _NOT_GONE.search(after):
        return False
    if re.search(
        r"\b(?:resolved|resolution of|disappearance of|interval (?:excision|removal) of|excised|complete resolution of)\b[^,;.]{0,40}$",
        cut[max(0, start - 60) : start],
    ):
        return False
    found = dict(assertion_triggers(cut, start, end))
    if Assertion.FAMILY in found or Assertion.HYPOTHETICAL in found:
        return None
    if Assertion.ABSENT in found:
        hit = found[Assertion.ABSENT]
        is_cut_off = hit.end <= start and _ARTICLE_AFTER_COMMA.search(cut, hit.end, start)
        return True if is_cut_off or (hit.start >= end and _is_other_denial(cut, hit)) else None
    if Assertion.PRIOR in found:
        words = cut[found[Assertion.PRIOR].start : found[Assertion.PRIOR].end]
        if words in ("known", "before", "old", "compared to", "compared with", "in comparison to", "in comparison with"):
            return True
        if re.search(r"history of|status post|s/p|treated", words):
            return None
        return True if _STILL.search(cut) else None
    return True


def _is_other_denial(cut: str, hit: Hit) -> bool:
    """What is denied after the noun is not the noun: a normal skin, an unlikely malignancy."""
    return "," in cut[max(0, hit.start - 40) : hit.start] or cut[hit.start : hit.end] in ("negative", "unlikely")


def _is_part_of(nouns: list[Noun], noun: Noun, clause: Clause, cut: str) -> bool:
    """Whether the noun only describes or names the one before it ("with calcifications", "consistent with a cyst")."""
    last = nouns[-1]
    between = cut[last.end - clause.start : noun.start - clause.start]
    if _UNSURE.search(between) or (noun.is_definite and _REFERRED.search(between)):
        return True
    if _ON_OTHER_MODALITY.search(between) and (last.is_generic or last.kind == noun.kind) and not _OWN.search(between):
        return True
    if noun.kind == last.kind and _NAMED_AGAIN.search(between):
        return True
    interpreted = _INTERPRETED.search(between)
    if interpreted is not None or between.strip() in ("", "-", "/", "(", "=", ":"):
        is_told = noun.kind in ("cyst", "lymph_node") and last.kind in ("mass", "asymmetry", "focus")
        if interpreted is not None and (is_told or (noun.kind == "mass" and last.kind in ("asymmetry", "architectural_distortion"))):
            nouns[-1] = Noun(
                kind=noun.kind, start=noun.start, end=noun.end, is_plural=last.is_plural, is_definite=last.is_definite, is_gone=last.is_gone
            )
        return True
    pattern = _ASSOCIATED_ANY if noun.kind in ("calcifications", "architectural_distortion", "asymmetry") else _ASSOCIATED
    return bool(pattern.search(between) and not _OWN.search(between))
