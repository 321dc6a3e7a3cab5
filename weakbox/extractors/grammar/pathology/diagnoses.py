"""The diagnosis of a specimen: one class, the first of the contract's precedence that the words assert."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from weakbox.extractors.grammar.pathology.facts import Fact, TextRange, holds, lower_case

PRECEDENCE = ("adenocarcinoma", "other_malignancy", "asap", "hgpin", "inflammation", "benign", "insufficient", "benign_at_least")
"""``benign_at_least``: no PIN or atypia, which says a little where nothing else is said."""

_OTHER_MALIGNANCY = re.compile(
    r"\b(?:urothelial|transitional[- ]cell|small[- ]cell|large[- ]cell|neuroendocrine|squamous(?:[- ]cell)?|sarcomatoid|basal[- ]cell"
    r"|adenoid cystic|mucinous bladder|neuro-?endocrine)\s+(?:\(?(?:neuro-?endocrine|oat cell|NEPC)\)?\s+)?(?:type\s+)?carcinoma"
    r"|\b(?:leiomyo|rhabdomyo|angio|stromal |spindle cell )?sarcoma\b|\b(?:malignant )?lymphoma\b|\bmelanoma\b|\bleuk[a]?emi[ac]\b"
    r"|\bplasmacytoma\b|\bcarcinosarcoma\b"
    r"|\b(?:colorectal|colonic|rectal|sigmoid|lung|gastric|bladder)\s+(?:type\s+)?(?:adeno)?carcinoma|\badenocarcinoma,?\s+(?:of\s+)?"
    r"(?:colorectal|colonic|rectal)(?:\s+(?:origin|type))?"
    r"|\b(?:urothelial\s+|transitional[- ]cell\s+)?carcinoma[- ]in[- ]situ\b"
    r"|\bintraductal carcinoma\b(?:\s+of\s+the\s+prostate)?|\bIDC-?P\b",
    re.IGNORECASE,
)
_CARCINOMA = re.compile(
    r"\b(?:adeno-?\s?carcinoma|carcinoma|adeno-?ca\b|adenoca\b|prostat(?:e|ic) cancer|cancer|pca\b|cap\b|malignan(?:cy|t (?:tumou?r"
    r"|neoplasm|glands?))|malignant|metasta(?:sis|ses|tic(?!\s+(?:[\w-]+\s+){0,3}?(?:carcinoma|melanoma|lymphoma"
    r"|sarcoma))))(?!\s+in\s+situ)s?",
    re.IGNORECASE,
)
_TUMOUR = re.compile(r"\b(?:tumou?r|neoplas(?:m|ia|tic))s?\b", re.IGNORECASE)
_ATYPIA = re.compile(
    r"\bASAP\b|\batypical (?:small )?acinar(?: cell)?(?: proliferation)?|\batypical (?:glands?|focus|foci|glandular(?: proliferation)?"
    r"|prostatic glands?|proliferation|cells?|acini)|\bfocus of atypi\w+|\bATYP\b|\bPIN-?ATYP\b"
    r"|\b(?:glandular|focal|cytologic(?:al)?) atypia\b",
    re.IGNORECASE,
)
_HIGH_GRADE_PIN = re.compile(
    r"\b(?:high[- ]?grade|HG)[- ]?(?:\(?prostat\w*\s+intra-?\s?epithelial\s+neoplasia\)?|PIN\b)|\bHG-?PIN\b"
    r"|\bprostatic intra-?\s?epithelial neoplasia,?\s*\(?(?:PIN\)?,?\s*)?\(?high[- ]?grade|\bPIN,?\s*high[- ]?grade"
    r"|\bPIN (?:2|3|II|III)\b|\bmultifocal PIN\b",
    re.IGNORECASE,
)
_NON_MALIGNANT = re.compile(r"\bnon-?\s?(?:malignant|neoplastic)\b", re.IGNORECASE)
_LOW_GRADE_PIN = re.compile(r"\blow[- ]?grade\s+(?:prostatic intra-?\s?epithelial neoplasia|PIN)\b|\bLGPIN\b", re.IGNORECASE)
_INFLAMMATION = re.compile(r"\b(?:prostatitis|inflammation|inflammatory|granulomas?|granulomatous|abscess|malakoplakia)\b", re.IGNORECASE)
_BENIGN = re.compile(
    r"\b(?=[abcfhnpsuv])(?:benign\b|neg\b|hyperplasia\b|BPH\b|hyperplastic\b|atroph(?:y|ic)\b"
    r"|f(?<!\banterior f)(?<!\bant f)(?<!\bant\. f)ibromuscular (?:stroma|tissue)\b"
    r"|adenosis\b|NEM\b|c(?<=[-:–] c)lear\b(?!\s*cell)|n(?<=[-:–] n)il\b(?!\s*cell)|clear\b(?=\s*(?:[.,;)\n]|$))"
    r"|unremarkable\b|normal (?:prostat\w*|tissue|glands?|histolog\w*)"
    r"|no (?:significant |specific |diagnostic |histolog\w+ )*(?:abnormalit\w+|patholog\w+)|NAD\b|no residual\b|negative\b(?! "
    r"(?:for|margin))|nodular hyperplasia\b|stromal tissue\b|stroma only\b|free of\b"
    r"|skeletal muscle\b|(?:seminal vesicle|vas deferens|urothelium|prostat\w+ (?:tissue|glands?|cores?)) (?:tissue )?(?:is |are )?"
    r"(?:un(?:involved|remarkable)|within normal limits|free)\b)",
    re.IGNORECASE,
)
"""Every alternative begins a word: the letters ahead spare most of them."""
_INSUFFICIENT = re.compile(
    r"\binsufficient\b(?! features| evidence| criteria| atypia)|\binadequate\b|\bnon-?diagnostic\b|\bnot diagnostic\b(?! of| for)|\bno "
    r"(?:prostat\w+ )?(?:tissue|specimen|glands?|glandular tissue|epithelium|cores?)\b(?:\s+(?:is |was )?(?:present|identified|seen"
    r"|received|found|submitted|available|survived))?"
    r"|\bnot received\b|\b(?:specimen|tissue|core|container|sample)s?\s+(?:\w+\s+){0,3}lost\b|\blost (?:in|during) processing\b"
    r"|\bdid not survive\b|\bunsatisfactory\b|\bunsuitable for\b|\bempty (?:container|pot|jar|vial|bottle|cassette)\b|\b(?:specimen"
    r"|tissue|core|sample)s? (?:is |was )?not (?:identified|found|present|survived)\b|\btoo (?:scant|small|limited)\b|\bcannot be "
    r"(?:assessed|evaluated)\b",
    re.IGNORECASE,
)
_TISSUE = re.compile(r"\b(?:fibromuscular|skeletal muscle|stromal tissue|stroma only)", re.IGNORECASE)
_CALLED_INSUFFICIENT = re.compile(r"insufficient|inadequate|non-?diagnostic|not diagnostic|unsatisf|unsuitable", re.IGNORECASE)
_MISSING = re.compile(r"not received|lost|no tissue|no specimen|did not survive|empty \w+|not identified|not found", re.IGNORECASE)

_NEGATION_BEFORE = re.compile(
    r"(?<!\w)(?:no|not|negative\s+for|without|absence\s+of|absent|(?:free|clear)\s+(?:of|from)|nor|neither|never|lacks?|lacking|devoid\s+of"
    r"|rule\s+out|ruled\s+out|r/o|to\s+exclude|excludes?|excluded|exclusion\s+of|insufficient\s+(?:features|evidence|criteria)?"
    r"|falls?\s+short|falling\s+short|fails?\s+to|does\s+not|do\s+not|none|(?<![\d/])0\s*(?:/|of|out\s+of)\s*(?:the\s+)?\d{1,2})\b"
    r"(?P<between>[^.;:\n]{0,110})\Z",
    re.IGNORECASE,
)
_NO_CORE_BEFORE = re.compile(
    r"\b(?:none|neither)\b(?:\s+of\s+(?:the\s+|these\s+|them\b|which\b)*(?:\w+\s+)?(?:cores?)?)?\s*(?:shows?|contains?|has|have|is"
    r"|are|demonstrates?|reveals?"
    r"|with|holds?)\s+(?:\w+\s+){0,3}$|(?:(?<![\d/.])0\s*(?:/|of|out\s+of)\s*(?:the\s+)?\d{1,2}|\b(?:none|no|neither"
    r"|zero)\b)[^.;:\n]{0,30}?\b(?:cores?|biops\w+)\s+(?:"
    r"(?:contain|show|reveal|involve|demonstrate)\w*|with|have|has|are|is|positive\s+for)?\s*(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_MAY_COUNT_NONE = re.compile(r"no|nei|zero|0", re.IGNORECASE)
_COUNTED_FREE = re.compile(r"(?<![\d/.])0\s*(?:/|of)\s*\d{1,2}\b[^,.;|\n]{0,25}[,|][^,.;|\n]{0,20}$", re.IGNORECASE)
""" "0/6 cores, HGPIN": the count denies cancer, not what follows it."""
_ENDS_NEGATION = re.compile(
    r"\b(?:but|however|although|though|yet|except|remaining|rest|shows?|containing|contains?|positive for|with (?:focal|small|minute"
    r"|prostatic))\b|-\s",
    re.IGNORECASE,
)
_NEGATION_AFTER = re.compile(
    r"^\s*(?:(?:in situ|cells|component|foci|glands|or [\w -]{1,40}|and [\w -]{1,40}|\([^()\n]{1,20}\))\s*)?(?:[:=]\s*|\s-\s)?(?:(?:is"
    r"|are|was|were|has been)\s+)?(?:(?:not|nowhere)\s+(?:\w+\s+)?(?:identified|seen|present|detected|found|evident|demonstrated"
    r"|observed|recogni[sz]ed|included)|absent|negative|none\b|excluded|no\b)"
    r"|^\s*(?:is\s+)?(?:present\s+|seen\s+|found\s+)?(?:in|:)\s*(?:0|none|no)\s*(?:/|of|out\s+of)\s*(?:the\s+)?\d",
    re.IGNORECASE,
)
_UNCERTAIN_BEFORE = re.compile(
    r"\b(?:suspicious|suspicion|worrisome|concerning|concern|possible|possibly|probable|favou?r(?:ed|ing|s)?|suggestive|equivocal"
    r"|borderline|query|\?|cannot\s+(?:rule\s+out|exclude|be\s+excluded)|(?:not|insufficient(?:ly)?|non)[- ]?\s?(?:\w+\s)?"
    r"(?:diagnostic)"
    r"|indeterminate)\b[^.;\n]{0,60}$|\?\s*$",
    re.IGNORECASE,
)
_UNCERTAIN_AFTER = re.compile(
    r"^[^.;\n]{0,25}\b(?:cannot be (?:ruled out|excluded|confirmed)|can neither be (?:confirmed|excluded|proven)|is suspected"
    r"|not excluded|suspected)\b",
    re.IGNORECASE,
)
_STAIN_BEFORE = re.compile(
    r"(?:\b[A-Z]{1,6}-?\d+[A-Z\d./-]*|\b(?i:p63|p40|ck\S*|hmwck|\w*keratins?\S*|psa|psap|amacr|racemase|p504s|erg|synaptophysin"
    r"|chromogranin|insm1|stain\w*"
    r"|immuno\w*|nkx\S*|gata\S*|desmin))\s*(?:(?i:is|are|was|were)\s+|[:=]\s*)?$"
)
_PRIOR_BEFORE = re.compile(
    r"\b(?:history of|known|previous(?:ly)?|prior|earlier|hx of|diagnosed in|s/p|status post|treated)\b[^.;\n]{0,50}$", re.IGNORECASE
)
_MODIFIER_AFTER = re.compile(
    r"^[ \t]*(?:protocol|checklist|summary|staging|dataset|synopt|registry|cent(?:er|re)|antigen|suspicion|risk|precautions|societ|query"
    r"|length of tumou?r)",
    re.IGNORECASE,
)
_TUMOUR_HEADING = re.compile(
    r"^\s*(?:\w+\s*){0,2}:|^\s*(?:summary|synopsis|bank|board|marker|size|volume|site|grade|length|quantitation|extent|focality)\b",
    re.IGNORECASE,
)

_NODES = re.compile(
    r"(?<![\d/.])(?P<positive>\d{1,2}|none|no|one|two|three|four|five)\s*(?:/|of|out\s+of)\s*(?:the\s+)?(?P<total>\d{1,2}|one|two|three"
    r"|four|five|six|seven|eight|nine|ten)\b",
    re.IGNORECASE,
)
_TREATED = re.compile(
    r"\b(?=[gsnu])"
    r"(?:Gleason[^.;\n]{0,40}\b(?:not|cannot be|can't be|isn't|un)\s*(?:be\s+)?(?:assign|grad|appli|given|score|report|provid|determin"
    r"|evaluat|applicable|reliable)\w*"
    r"|(?:grad(?:e|ing)|score|scoring)\s+(?:group\s+)?(?:is |was |are )?(?:not|cannot be|deferred|withheld)\b[^.;\n]{0,30}|not\s+"
    r"(?:graded|gradable|scored)\b|ungraded\b|no\s+Gleason\s+(?:score|grade|grading)\b)",
    re.IGNORECASE,
)
_OF_GRADES = ("gleason", "grad", "scor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One diagnostic phrase and the class it asserts; ``benign`` for a negated malignancy."""

    diagnosis: str
    start: int
    end: int
    is_negation: bool = False
    is_tissue: bool = False
    """Benign: names only the tissue that was there; insufficient: calls the specimen so, and does not only miss glands."""


def find_mentions(text: str, start: int, end: int) -> list[Mention]:
    """Every diagnostic phrase of ``text[start:end]``, in order, with negation and uncertainty resolved."""
    mentions: list[Mention] = []
    taken: list[TextRange] = []
    for diagnosis, starts, matches in _phrases(text):
        for match in matches[bisect_left(starts, start) : bisect_left(starts, end)]:
            if match.end() > end or any(match.start() < last and first < match.end() for first, last in taken):
                continue
            taken.append(match.span())
            asserted = _asserted(text, match, diagnosis, start, end)
            if asserted is not None:
                mentions.append(
                    Mention(
                        diagnosis=asserted,
                        start=match.start(),
                        end=match.end(),
                        is_negation=asserted == "benign" and diagnosis != "benign",
                        is_tissue=_TISSUE.match(match[0]) is not None or _CALLED_INSUFFICIENT.match(match[0]) is not None,
                    )
                )
    return sorted(mentions, key=lambda mention: mention.start)


def diagnostic_starts(text: str) -> tuple[int, ...]:
    """Where diagnostic phrases begin, whatever they assert, in order."""
    return tuple(sorted(start for _, starts, _ in _phrases(text) for start in starts))


@lru_cache(maxsize=4)
def _phrases(text: str) -> tuple[tuple[str, list[int], list[re.Match[str]]], ...]:
    """The phrases of each class in the whole text, found once: (class, where they start, matches)."""
    lower = lower_case(text)
    found = []
    for pattern, diagnosis, gate in _LOWER_CLASSES:
        if not gate or any(word in lower for word in gate):
            matches = list(pattern.finditer(lower))
            found.append((diagnosis, [match.start() for match in matches], matches))
    return tuple(found)


_CLASSES = (
    (
        _OTHER_MALIGNANCY,
        "other_malignancy",
        (
            *("cell", "urothelial", "neuro", "squamous", "sarcom", "adenoid", "mucinous", "lymphoma", "melanoma", "leuk", "plasmacytoma"),
            *("colo", "rectal", "sigmoid", "lung", "gastric", "bladder", "situ", "intraductal", "idc"),
        ),
    ),
    (_NON_MALIGNANT, "benign", ("non",)),
    (_LOW_GRADE_PIN, "benign", ("low", "lgpin")),
    (_HIGH_GRADE_PIN, "hgpin", ("pin", "intra")),
    (_ATYPIA, "asap", ("asap", "atyp")),
    (_CARCINOMA, "adenocarcinoma", ("carcinoma", "adenoca", "adeno-", "cancer", "pca", "cap", "malignan", "metasta")),
    (_TUMOUR, "tumour", ("tumo", "neoplas")),
    (
        _INSUFFICIENT,
        "insufficient",
        ("insuff", "inadeq", "diagnostic", "no ", "not ", "lost", "surviv", "unsati", "unsuit", "empty", "too ", "cannot", "no\n"),
    ),
    (_INFLAMMATION, "inflammation", ("prostatitis", "inflam", "granulom", "abscess", "malako")),
    (_BENIGN, "benign", ()),
)
"""Pattern, class, and words without one of which the pattern cannot match."""
_LOWER_CLASSES = tuple((re.compile(pattern.pattern.lower()), diagnosis, gate) for pattern, diagnosis, gate in _CLASSES)
"""The same over lower-case text, which is searched in two thirds of the time; the patterns hold no upper-case escapes."""
_NEGATED_AS = {
    "adenocarcinoma": "benign",
    "other_malignancy": "benign",
    "tumour": "benign",
    "hgpin": "benign_at_least",
    "asap": "benign_at_least",
}


def _asserted(text: str, match: re.Match[str], diagnosis: str, start: int, end: int) -> str | None:
    """The class that the phrase asserts in its sentence; None where it asserts nothing of this specimen."""
    if diagnosis == "insufficient":
        return diagnosis
    before, after = _clause_before(text, max(start, match.start() - 130), match.start()), text[match.end() : min(end, match.end() + 70)]
    if _MODIFIER_AFTER.match(after) or _PRIOR_BEFORE.search(before):
        return None
    if diagnosis == "benign" and match[0].lower() == "negative" and _STAIN_BEFORE.search(before):
        return None
    if diagnosis == "benign":
        return None if _is_negated(before, after) and match[0].lower() == "benign" else "benign"
    if diagnosis == "adenocarcinoma" and _UNCERTAIN_BEFORE.search(before) and not _is_negated(before, after, only_close=True):
        return "asap"
    if diagnosis in ("hgpin", "asap") and _COUNTED_FREE.search(before) and not _NEGATION_AFTER.match(after):
        return diagnosis
    if _is_negated(before, after):
        return _NEGATED_AS.get(diagnosis)
    if diagnosis == "adenocarcinoma" and _UNCERTAIN_AFTER.match(after):
        return "asap"
    if diagnosis == "tumour":
        return None if _TUMOUR_HEADING.match(after) else "tumour"
    return diagnosis


def _clause_before(text: str, start: int, end: int) -> str:
    """The words before a phrase back to the last stop: no negation or history reaches over it."""
    stop = max(text.rfind(mark, start, end) for mark in ".;\n")
    return text[max(start, stop + 1) : end]


def _is_negated(before: str, after: str, *, only_close: bool = False) -> bool:
    if _NEGATION_AFTER.match(after):
        return True
    if _MAY_COUNT_NONE.search(before) and _NO_CORE_BEFORE.search(before):
        return True
    match = _NEGATION_BEFORE.search(before)
    if match is None or _ENDS_NEGATION.search(match["between"]):
        return False
    return not only_close or len(match["between"]) <= 20


def read_diagnosis(mentions: Sequence[Mention], grade_at: TextRange | None) -> Fact | None:
    """The specimen's class: a grade or an asserted carcinoma first, then as ``PRECEDENCE``; None where nothing is said."""
    asserted = {diagnosis: mention for mention in reversed(mentions) for diagnosis in (mention.diagnosis,)}
    if grade_at is not None and "adenocarcinoma" not in asserted:
        tumour = asserted.get("tumour")
        spans = ((tumour.start, tumour.end), grade_at) if tumour else (grade_at,)
        return Fact(value="adenocarcinoma", spans=spans, confidence=0.93, rule="graded")
    if "tumour" in asserted and not {"adenocarcinoma", "other_malignancy"} & set(asserted):
        return _fact("adenocarcinoma", asserted["tumour"], 0.8, "tumour")
    is_called_so = any(m.diagnosis == "insufficient" and m.is_tissue for m in mentions)
    if is_called_so and "benign" in asserted and all(m.is_tissue for m in mentions if m.diagnosis == "benign"):
        del asserted["benign"]
    if "inflammation" in asserted and not _is_headline(asserted["inflammation"], mentions):
        del asserted["inflammation"]
    for diagnosis in PRECEDENCE:
        if diagnosis in asserted:
            is_weak = diagnosis == "benign_at_least"
            return _fact("benign" if is_weak else diagnosis, asserted[diagnosis], 0.8 if is_weak else 0.97, diagnosis)
    if any(mention.diagnosis == "inflammation" for mention in mentions):
        return _fact("inflammation", next(m for m in mentions if m.diagnosis == "inflammation"), 0.85, "inflammation")
    return None


def _is_headline(inflammation: Mention, mentions: Sequence[Mention]) -> bool:
    """Inflammation counts where no benign tissue is named before it; "no malignancy" may stand anywhere."""
    return not any(m.diagnosis == "benign" and m.start < inflammation.start for m in mentions)


def _fact(diagnosis: str, mention: Mention, confidence: float, rule: str) -> Fact:
    return Fact(value=diagnosis, spans=((mention.start, mention.end),), confidence=confidence, rule=rule)


def read_node_count(text: str, start: int, end: int) -> Fact | None:
    """Carcinoma or benign from a node count ("1/5"), where no words say it."""
    match = _NODES.search(text, start, end)
    if match is None:
        return None
    is_free = match["positive"].lower() in ("0", "none", "no")
    return Fact(value="benign" if is_free else "adenocarcinoma", spans=(match.span(),), confidence=0.85, rule="nodes")


def is_missing(text: str, diagnosis: Fact) -> bool:
    """Whether an insufficient specimen was never there to read (lost, not received)."""
    return diagnosis.value == "insufficient" and any(_MISSING.search(text, *span) for span in diagnosis.spans)


def find_ungraded(text: str, start: int, end: int) -> TextRange | None:
    """Where the text says that no Gleason grade is given (treatment effect, too small a focus)."""
    match = _TREATED.search(text, start, end) if holds(text, _OF_GRADES, start, end) else None
    return match.span() if match else None
