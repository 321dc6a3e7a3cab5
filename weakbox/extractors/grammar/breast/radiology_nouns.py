"""Which words of a clause name a current finding: kinds decided by context, negated, prior and merely associated ones left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.breast.radiology_assertion import stands
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.radiology_units import Role
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
_DIFFERENTIAL = re.compile(r"\W*(?:d\.?/?d\.?x?|differential\w*(?: diagnos[ei]s)?|diff diag\w*)\b[\s:.]")
_ONLY_TITLE = re.compile(r"\W*(?:[a-z-]+,?\s+){0,3}[a-z-]+(?:\s*\([^)]*\))?\s*:\W*")
_MATCHES = re.compile(
    r"\b(?:match\w*|correspond\w*|correlat\w*|account\w*|represent\w*|explain\w*|equivalent|counterpart|same as|this is|which is|"
    r"equates|relat\w+|concordant)\b"
)
_BARE_START = re.compile(
    r"\W*(?!(?:an?|the|another|there|this|few|several|multiple|scattered|also|new|additional|second)\b)(?:[a-z-]+,?\s+){0,4}"
)
_NOT_HERE = re.compile(r"[;:.]|\b(?:in|at|of|within|on|shows?|demonstrates?|is|are|with|there)\b")
_WITH = (
    r"(?:\+|\bw/|\b(?:with|contain(?:s|ing)|associated(?: with)?|including|accompanied by|harbou?ring|showing|and associated|internal|"
    r"intralesional|within (?:it|this|the)|surrounded by|adjacent to|near|abutting|"
    r"related to|next to|along with|has|demonstrates?|shows?)\b)"
)
_ASSOCIATED = re.compile(rf"(?:{_WITH}(?:\s+(?!(?:in|at|an?|another|there|is|are)\b)[a-z/'-]+,?){{0,7}}\s*)$")
_ASSOCIATED_ANY = re.compile(rf"(?:{_WITH}(?:\s+(?!(?:in|at|another|there|is|are)\b)[a-z/'-]+,?){{0,7}}\s*)$")
_ON_OTHER_MODALITY = re.compile(
    r"\b(?:in|on|at|by) (?:the )?(?:targeted )?(?:ultraso\w+|sonogra\w+|usg?|mri|mammogra\w+)\b(?!\s*(?:,|and)\s*(?:an?|another|there)\b)"
)
_ONE_MORE = re.compile(r"(?:,\s*and|\band|;)\s+(?:also\s+)?an?\s+(?:[a-z-]+,?\s+){0,4}\Z")
_AREA_OF = re.compile(r"\b(?:area|extent|span|size|region|distance|volume) of(?: the)?(?: [a-z-]+)?\s*\Z")
_AS_ARE = re.compile(r",\s*as (?:is|are)\b")
""" "A nodule is stable, as are calcifications": two findings."""
_BESIDE = re.compile(
    r"\b(?:between|adjacent to|anterior to|posterior to|medial to|lateral to|superior to|inferior to|behind|around|surrounding|"
    r"beside|near)\s+"
    r"(?:(?:index|known|main|primary|treated|dominant)\s+)?\Z"
)
""" "Enhancement between tumour and nipple": a place."""
_EXPLAINED = re.compile(r":\s*(?:an?\s+)?(?:[a-z-]+,?\s+){0,5}\Z")
_OTHER_VIEW_OF = re.compile(
    r"(?:=|\b(?:correspond\w*|correlat\w*|match\w*|c/w|account\w*)\b(?: to| with| for)?)\s*(?:the )?(?:known |palpable |"
    r"above )?(?:mammo\w*|sono\w*|us|mri|clinical\w*|"
    r"tomo\w*|index|screening|palpable)\s+(?:[a-z-]+\s+){0,2}$"
)
_APPOSED = re.compile(r",\s*(?:(?!and\b|left\b|right\b|an?\b|the\b|another\b)[a-z/-]+,?\s+){0,5}$")
_SEPARATE = re.compile(r"\d\s?(?:mm|cm)\b|\band\b|\b(?:left|right)\b|[;.]|o'?clock|\d:\d\d")
_NAMED_AGAIN = re.compile(r":\s*(?:(?!an?\b|another\b|second\b)[a-z-]+\s+){0,3}$")
_REFERRED = re.compile(
    r"\b(?:from|to|toward|towards|of|behind|beyond|beneath|around|near|beside|than|as|within|inside|alongside|surrounding|overlying|"
    r"underlying|with|by|for|in)\s+(?:the|this|that|its|said)(?:\s+[a-z-]+){0,4}\s*$"
)
_OWN = re.compile(r"\b(?:satellite|another|additional|second|separate|adjacent (?:smaller )?(?:satellite|second)|further|other)\b")
_INTERPRETED = re.compile(
    r"\b(?P<sure>consistent with|compatible with|in keeping with|represent(?:s|ing|ed)|corresponds? to|corresponding to|"
    r"correspond(?:ing)? with|\bs/o|suggestive of|suggesting|likely|probably|presumably|looks? like|consisting of|turn(?:s|"
    r"ed) out to be|in favou?r of|is an?|are|being|diagnostic of|typical (?:of|for)|characteristic of|characteristics of|"
    r"appearances? of|features? of|look of|hallmarks of|confirmed as|known as|biopsy[- ]proven|shown to be|as(?: an?)?|proven|"
    r"proved|proves to be|proving|"
    r"attributable to|due to|i\.e\.|in the sense of)\b(?:\s+(?!at\b|in\b|measuring\b)[\w/'.-]+,?){0,5}\s*$"
)
_UNSURE = re.compile(
    r"\b(?:likely|probabl[ey]|possibl[ey]|suggest(?:s|ive of|ing)|suspicious (?:for|of)|suspicion (?:for|of)|concerning for|concern for|"
    r"worrisome for|favou?r(?:s|ed|ing)?|may|might|could|versus|vs\.?|differential\w*|such as|or|rather|presum\w+|e\.g\.|"
    r"most(?! (?:compatible|consistent|in keeping|typical))|"
    r"\?|\bddx?\b|probable|presumed|risk of|rule out|exclude|evidence of|sign of|signs of|diagnosis of|to suggest|evaluation of|"
    r"evaluate)\b(?:\s+(?!at\b|in\b)[\w/'-]+,?){0,6}\s*$"
)
_SCAR = re.compile(
    r"post-?\s?(?:surgical|operative|op\b|biopsy|excision\w*|lumpectomy|treatment|wle|bcs|radiation|radiotherapy)|lumpectomy|"
    r"surgical|\bscar\b|prior excision|"
    r"previous (?:surgery|excision)|excision site|surgery"
)
_SUSPICIOUS = re.compile(
    r"\b(?:lost (?:\w+ )?hil|loss of|lack\w* (?:of )?(?:a )?(?:fatty )?hil|eccentric|suspicio\w+|suspect\w*|"
    r"abnormal\w*|enlarged|thicken\w*|metasta\w+|effac\w+|loss of|replaced|round(?:ed)?\b|irregular|atypical|"
    r"patholog\w+|prominent|increased|bulky|necrotic|infiltrat\w+|malignan\w+|asymmetric\w*|hilum (?:is )?(?:absent|lost|not|"
    r"effaced|replaced)\b|"
    r"no (?:fatty )?hilum|without (?:fatty )?hilum|absent (?:fatty )?hilum|involve[ds]?\b|bi-?rads\s?[45]|indeterminate|hypervascular)"
)
_NORMAL = re.compile(
    r"\b(?:normal\w*|benign\w*|unremarkable|reactive|physiologic\w*|non-?enlarged|not (?:enlarged|pathologic\w*|suspicious|abnormal)|"
    r"no (?:suspicious|abnormal|enlarged|pathologic\w*|axillary|evidence|significant)|preserved|non-?specific|without (?:suspicious|"
    r"abnormal|enlarged|axillary)|morpholog\w+ normal|(?:maintained|retained|intact|normal|benign) (?:fatty |echogenic |"
    r"central )*hil\w+)\b"
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
    key = (clause.start, clause.end, view.modality)
    if key not in view.read_nouns:
        view.read_nouns[key] = _read_nouns(clause, view)
    nouns: list[Noun] = view.read_nouns[key]
    return nouns


def _read_nouns(clause: Clause, view: View) -> list[Noun]:
    cut = view.cut(clause)
    nouns: list[Noun] = []
    hits = [hit for hit in view.nouns.within(clause.start, clause.end) if hit.label != "other"]
    if hits and _DENSE.search(cut, 0, hits[0].start - clause.start) and not _is_located(clause, view):
        hits = [hit for hit in hits if not _DENSE.search(cut, 0, hit.start - clause.start) or hit.label not in ("mass", "lesion")]
    labelled = {label.start for label in view.labels.within(clause.start, clause.end)}
    labelled |= {
        hit.start
        for hit in hits[:1]
        if hit.start - clause.start < (24 if hit.label in ("cancer", "lesion") else 3) and _TITLE_COLON.match(cut, hit.end - clause.start)
    }
    if _DIFFERENTIAL.match(cut) or (cut.rstrip().endswith("?") and not _is_located(clause, view)):
        return []
    if len(hits) == 1 and (_ONLY_LABEL.fullmatch(cut) or _ONLY_TITLE.fullmatch(cut)):
        return []
    if any(hit.start not in labelled for hit in hits):
        heads = [hit for hit in hits if hit.start in labelled]
        hits = [hit for hit in hits if hit.start not in labelled]
        if heads and _ASSOCIATED_ANY.search(cut, heads[-1].end - clause.start, hits[0].start - clause.start) and len(hits) == 1:
            return []
    for hit in hits:
        noun = _noun(hit, clause, cut, view)
        if noun is None:
            continue
        if nouns and (_MEASURE.match(cut, hit.end - clause.start) or _is_part_of(nouns, noun, clause, cut, view)):
            continue
        nouns.append(noun)
    return nouns


_MEASURE = re.compile(
    r"\s+(?:size|diameter|dimensions?|extent|volume|burden|bed|span|margins?|edge|depth|location|position|"
    r"site)\b(?!\s*:)"
)
""" "Whole tumour size", "mass diameter": a measure of what is described already."""


def _is_located(clause: Clause, view: View) -> bool:
    """Whether the clause gives a size or a clock position."""
    return bool(view.sizes.within(clause.start, clause.end) or view.clocks.within(clause.start, clause.end))


def _noun(hit: Hit, clause: Clause, cut: str, view: View) -> Noun | None:
    start, end = hit.start - clause.start, hit.end - clause.start
    kind = _kind(hit, clause, cut, view)
    if kind is None or _ORGANS.search(cut[max(0, start - 30) : end + 25]):
        return None
    if kind in ("calcifications", "architectural_distortion", "cyst", "non_mass_enhancement", "mass") and _INSIDE_KNOWN.match(cut, end):
        return None
    if _is_of_other_study(cut, start, view) or _is_queried(cut, start, end) or _is_of_skin(hit, clause, cut, view):
        return None
    if NOTHING_REAL.match(cut, end) or _OF_BACKGROUND.search(cut, start, min(len(cut), end + 30)):
        return None
    stands_here = stands(cut, _head_start(cut, start, end), end)
    if stands_here is None or (not stands_here and _BESIDE.search(cut, 0, start)):
        return None
    before = _phrase_before(cut, start)
    words = cut[start:end]
    return Noun(
        kind=kind,
        start=hit.start,
        end=hit.end,
        is_plural=bool(_PLURAL.search(words) or _SEVERAL.search(before)) and hit.label != "calcifications",
        is_definite=bool(_DEFINITE.search(before) or _MEASURE.match(cut, end)) or hit.label == "cancer",
        is_generic=hit.label in ("lesion", "cancer"),
        is_titled=bool(_BARE_START.fullmatch(cut[:start])),
        is_gone=not stands_here,
    )


_OTHER_STUDY = re.compile(
    r"\b(?:(?P<mri>mri|mr)|(?P<mammography>mammogra\w+|mammo)|(?P<ultrasound>sonographic|ultrasound|us))[ -]+(?:detected |"
    r"seen |visible |identified )?(?:[a-z-]+ )?$"
)


_QUERIED = re.compile(
    r"(?:fibroadenomas?|papillomas?|cysts?|phyllodes|lipomas?|hamartomas?|carcinomas?|cancers?|malignanc\w+|dcis|abscess\w*|adenomas?)"
)


def _is_queried(cut: str, start: int, end: int) -> bool:
    """ "?fibroadenoma" asks what the finding before is."""
    return cut[max(0, start - 2) : start].rstrip().endswith("?") and _QUERIED.match(cut, start, end) is not None


def _is_of_skin(hit: Hit, clause: Clause, cut: str, view: View) -> bool:
    """ "The palpable abnormality is a sebaceous cyst": what is named so is no finding of the breast."""
    if hit.label not in ("lesion", "mass"):
        return False
    others = [other for other in view.nouns.within(hit.end, clause.end) if other.label == "other"]
    return bool(others) and _INTERPRETED.search(cut, hit.end - clause.start, others[0].start - clause.start) is not None


def _is_of_other_study(cut: str, start: int, view: View) -> bool:
    """ "MRI mass" in an ultrasound report is what the other study showed."""
    match = _OTHER_STUDY.search(cut, max(0, start - 45), start)
    return match is not None and view.modality is not None and match.lastgroup != view.modality


def _head_start(cut: str, start: int, end: int) -> int:
    """Where the noun itself begins: after the adjectives that its phrase includes ("suspicious findings")."""
    return start + cut[start:end].rfind(" ") + 1


def _phrase_before(cut: str, start: int) -> str:
    """The noun's own adjectives and article."""
    before = cut[max(0, start - 70) : start]
    stops = [stop.end() for stop in _NOT_HERE.finditer(before)]
    return before[max(stops) :] if stops else before


def _kind(hit: Hit, clause: Clause, cut: str, view: View) -> str | None:
    start, end = hit.start - clause.start, hit.end - clause.start
    if hit.label == "calcifications" and _VESSEL.search(cut, max(0, start - 40), start) and not _placed(hit, clause, view):
        return None
    near = cut[max(0, start - 60) : end + 60]
    if hit.label == "cancer":
        lead = cut[max(0, start - 40) : start]
        is_measured = clause.role is Role.FINDINGS and bool(view.sizes.within(clause.start, clause.end))
        is_meant = (is_measured or _KNOWN_CANCER.search(lead)) and not _HISTORY.search(lead)
        return "mass" if is_meant and not re.search(r"no (?:known|mammographic|evidence|sonographic)", lead) else None
    if hit.label == "lesion":
        return "cyst" if re.search(r"\bcystic\b|anechoic", cut[max(0, start - 30) : start]) and "solid" not in near else "mass"
    if hit.label == "cluster":
        return "calcifications" if re.search(r"\b(?:the|this|that)(?: \w+){0,3} $", cut[:start]) and "calcif" in view.text.lower else None
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
        return _node_kind(cut, start, end, is_in_breast=_is_in_breast(hit, clause, view))
    if hit.label == "architectural_distortion" and _SCAR.search(cut):
        return None
    if hit.label == "cyst" and re.search(r"solid|complex", cut[max(0, start - 24) : end + 16]) and "mass" in cut[start:end]:
        return "mass"
    if hit.label == "mass" and re.search(r"\bcystic\s+(?:appearing\s+)?$", cut[max(0, start - 24) : start]) and "solid" not in near:
        return "cyst"
    return hit.label


_INSIDE_KNOWN = re.compile(
    r"[^,;.:]{0,40}?\b(?:within|in|inside|associated with|throughout|along|peripheral to)(?:,? (?:and|or)(?: also)? "
    r"(?:around|adjacent to|surrounding|at the (?:edge|margin|periphery) of|outside|within|beyond|near))?\s+(?:it|them|this|(?:the|this|"
    r"that|said)\s+(?:same\s+)?"
    r"(?:mass|lesion|tumou?r|nodule|distortion|asymmetry|density|opacity|cyst|area|abnormality|known cancer|index lesion|sol))\b"
)
NOTHING_REAL = re.compile(
    r"[^;.]{0,70}?\b(?:consistent with|is|are|was|shows?|represent(?:s|ing)?|compatible with|in keeping with|typical of|likely|due to|"
    r"attributed to|characteristic of|"
    r"suggest(?:s|ive of|ing)|reflect(?:s|ing)?|s/o|c/w)\s+(?:an? |"
    r"the )?(?:[a-z-]+ )?(?:background(?: parenchymal)? enhancement|bpe\b|(?:normal|dense|"
    r"glandular|fibroglandular|overlapping|accessory|physiologic\w*|hormonal|superimposed|residual) (?:[a-z]+ )?(?:tissue|"
    r"parenchyma|enhancement|changes?|uptake|"
    r"structures?|gland\w*|breast)|composite shadow\w*|artefacts?|artifacts?|fat lobules?|ribs?\b|gyna?ecomastia|summation|"
    r"superimposition|"
    r"skin (?:fold|lesion|mole)|"
    r"post-?\s?(?:surgical|operative|biopsy|treatment|radiation) (?:scar|change\w*)|scar(?:ring)?\b|h(?:a)?ematoma|seroma|"
    r"abscess|lymph vessels?)"
)
_OF_BACKGROUND = re.compile(r"\bof (?:[a-z-]+ )?(?:background|bpe\b|physiologic|hormonal)")
_VESSEL = re.compile(r"\b(?:vascular|arterial|vessel\w*)\s+(?:wall\s+)?$")


def _placed(hit: Hit, clause: Clause, view: View) -> bool:
    """Whether the clause says in which breast or where."""
    if "elsewhere" in view.cut(clause):
        return False
    is_headed = clause.side is not None and not clause.is_side_titled
    return is_headed or bool(view.sides.within(clause.start, clause.end) or view.quadrants.within(clause.start, clause.end))


_CORTEX = re.compile(r"\bcort(?:ex|ical)[^;.\d]{0,30}(?P<value>\d{1,2}(?:[.,]\d)?)\s?(?P<unit>mm|cm)")
_THICK_CORTEX_MM = 4.0


def _is_in_breast(hit: Hit, clause: Clause, view: View) -> bool:
    """Whether the clause places a node in the breast, not in the axilla."""
    cut = view.cut(clause)
    if re.search(r"\baxill(?:a|ae|ary)\b(?! (?:tail|process|extension))|mammary chain|internal mammary|clavic", cut):
        return False
    near = range(max(clause.start, hit.start - 110), min(clause.end, hit.end + 110))
    places = (*view.quadrants.within(near.start, near.stop), *view.clocks.within(near.start, near.stop))
    return bool(places)


def _node_kind(cut: str, start: int, end: int, *, is_in_breast: bool) -> str | None:
    """Nodes are findings inside the breast, or where something is wrong with them."""
    if is_in_breast:
        return "lymph_node"
    before, after = cut[max(0, start - 60) : start], cut[end : end + 110]
    if re.search(r"intra-?mammary", before + cut[start:end] + after[:15]):
        return "lymph_node"
    cortex = _CORTEX.search(before[-30:] + after)
    if cortex is not None and float(cortex["value"].replace(",", ".")) * (10 if cortex["unit"] == "cm" else 1) >= _THICK_CORTEX_MM:
        return "lymph_node"
    if not _SUSPICIOUS.search(before[-45:]) and not _SUSPICIOUS.search(after):
        return None
    return (
        None
        if _NORMAL.search(before)
        or re.match(r"[^;.]{0,50}\b(?:normal|benign|unremarkable|not (?:enlarged|suspicious|pathologic\w*|abnormal))\b", after)
        else "lymph_node"
    )


_DIAGNOSIS = re.compile(
    r"(?:fibroadenomas?|hamartomas?|lipomas?|papillomas?|(?:oil )?cysts?|galactoceles?|(?:lymph )?nodes?|"
    r"intra-?mammary (?:lymph )?nodes?)"
)
_NAMES_IT = re.compile(
    r"[,(-]\s*(?:(?:simple|typical|known|benign|involuting|degenerating|calcified|calcifying|old|complicated|hyalini[sz]ed|"
    r"stable|classic|oil)\s+){0,2}$"
)


def _is_in_brackets(between: str, noun: Noun, clause: Clause, view: View) -> bool:
    """ "A mass (histologically confirmed fibroadenoma)": brackets without a place or size explain."""
    opened = between.rfind("(")
    if opened < 0 or ")" in between[opened:] or _OWN.search(between, opened):
        return False
    start = noun.start - (len(between) - opened)
    stop = view.text.lower.find(")", noun.end, clause.end)
    stop = stop if stop >= 0 else clause.end
    return not (view.clocks.within(start, stop) or view.quadrants.within(start, stop) or view.sizes.within(start, stop))


_OTHER_PROCEDURE = re.compile(
    r"\b(?:and|plus|,|with)\b[^;.]*\b(?:biops\w+|cores?|vab|vacuum\w*|fna\w*|aspiration|locali[sz]ation|excision|sampling|"
    r"follow-?up|views?|"
    r"ultrasound|mri|clip)\b(?: guided)?[^,;.]{0,30}\b(?:of|for)\b"
)
""" "Core of the mass and biopsy of the calcifications": two findings, each with its own procedure."""


def _named_so(between: str, noun: Noun, clause: Clause, cut: str) -> re.Match[str] | None:
    """ "Popcorn calcification, involuting fibroadenoma." names at the end of the clause what was described."""
    start, end = noun.start - clause.start, noun.end - clause.start
    if cut[end:].strip(" .)") or not _DIAGNOSIS.fullmatch(cut, start, end):
        return None
    return _NAMES_IT.search(between)


def _is_part_of(nouns: list[Noun], noun: Noun, clause: Clause, cut: str, view: View) -> bool:
    """Whether the noun only describes or names the one before it ("with calcifications", "consistent with a cyst")."""
    last = nouns[-1]
    between = cut[last.end - clause.start : noun.start - clause.start]
    if _AS_ARE.search(between):
        return False
    if (_AREA_OF.search(between) and noun.is_generic) or _BESIDE.search(between):
        return True
    if (last.is_definite or last.is_generic) and _EXPLAINED.search(between):
        if last.is_generic and not noun.is_generic:
            nouns[-1] = replace(noun, is_plural=last.is_plural, is_definite=last.is_definite, is_gone=last.is_gone)
        return True
    if (_UNSURE.search(between) and not _ONE_MORE.search(between)) or (
        noun.is_definite and (_REFERRED.search(between) or _MATCHES.search(between)) and not _OTHER_PROCEDURE.search(between)
    ):
        return True
    if _ON_OTHER_MODALITY.search(between) and (last.is_generic or last.kind == noun.kind) and not _OWN.search(between):
        return True
    if noun.kind == last.kind and _NAMED_AGAIN.search(between):
        return True
    if (
        _is_in_brackets(between, noun, clause, view)
        or _OTHER_VIEW_OF.search(between)
        or cut[noun.end - clause.start :].lstrip().startswith("?")
    ):
        return True
    if noun.kind == last.kind and not noun.is_plural and _APPOSED.search(between) and not _SEPARATE.search(between):
        return True
    interpreted = _INTERPRETED.search(between) or _named_so(between, noun, clause, cut)
    if interpreted is not None or between.strip() in ("", "-", "/", "(", "=", ":"):
        is_told = noun.kind in ("cyst", "lymph_node") and last.kind in ("mass", "asymmetry", "focus")
        if interpreted is not None and (is_told or (noun.kind == "mass" and last.kind in ("asymmetry", "architectural_distortion"))):
            nouns[-1] = Noun(
                kind=noun.kind, start=noun.start, end=noun.end, is_plural=last.is_plural, is_definite=last.is_definite, is_gone=last.is_gone
            )
        return True
    pattern = _ASSOCIATED_ANY if noun.kind in ("calcifications", "architectural_distortion", "asymmetry") else _ASSOCIATED
    return bool(pattern.search(between) and not _OWN.search(between))
