"""What the words of a breast pathology report assert: carcinomas from their parts in any order, other entities, codes B1-B5 and C1-C5.

``carcinoma ductal invasive``, ``invasive and in situ ductal carcinoma``, ``Carcinoma, infiltrating, lobular`` are phrases of
the same few words: a run of them is one carcinoma, unless it has two nouns.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weakbox.extractors.grammar.breast.pathology_words import any_of, lexicon, word_lists
from weakbox.text.lexicon import Hit

SUSPICIOUS = "suspicious"
"""A malignancy that is only suspected: high risk, of no histology."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """An asserted finding at ``start:end``. ``is_absent``: a malignancy or atypia that the text denies.

    ``is_generic``: no histology of its own ("malignant", "benign", a code). ``is_code``: a B or C code.
    """

    diagnosis: str
    histology: str | None
    start: int
    end: int
    is_generic: bool = False
    is_metastatic: bool = False
    is_in_situ: bool = False
    is_absent: bool = False
    is_code: bool = False
    is_residual: bool = False
    """A denied malignancy said to be residual: the complete response to a treatment."""

    @property
    def is_invasive(self) -> bool:
        """A malignancy that is neither in situ nor a code alone."""
        return self.diagnosis == "malignant" and not self.is_in_situ and not self.is_absent


_PARTS = ("head", "noun", "behaviour", "type", "metastatic", "features")
_GAP = re.compile(
    r"[\s,/()&+\[\]\"*_-]*(?:(?:of|the|and|or|type|types|mainly|predominantly|focal(?:ly)?|residual|extensive|extensively|primary"
    r"|pure|left|right"
    r"|bilateral|variant|subtype|multifocal|unifocal|multicentric|high|low|intermediate|moderate|nuclear|grade|grades|g[1-3]|[1-3]|i{1,3}"
    r"|moderately|poorly|well|differentiated|is|a|an|usual|associated|minimally|early|so-called|who|nottingham"
    r"|with an?)\b[\s,/()&+\[\]\"*_-]*)*"
)
_SEPARATOR = re.compile(r"[,/&+;(]|\band\b|\bor\b")
_LONGEST_GAP = 60


def find_mentions(text: str, lower: str) -> list[Mention]:
    """Every finding of the text, in order, with negation, suspicion and the past resolved."""
    hits = [hit for hit in lexicon("histology").find(lower) if hit.label != "noise"]
    found: list[Mention] = []
    run: list[Hit] = []
    for hit in hits:
        if not _is_part(hit):
            found += _carcinomas(lower, run)
            run = []
            found += _entity(lower, hit)
            continue
        if run and not _continues(lower, run, hit):
            found += _carcinomas(lower, run)
            run = []
        run.append(hit)
    found += _carcinomas(lower, run)
    asserted = [mention for plain in found if (mention := _asserted(lower, plain)) is not None]
    return sorted([*asserted, *_codes(text, lower)], key=lambda mention: mention.start)


def _is_part(hit: Hit) -> bool:
    return hit.label.partition(":")[0] in _PARTS


def _continues(lower: str, run: Sequence[Hit], hit: Hit) -> bool:
    gap = lower[run[-1].end : hit.start]
    if len(gap) > _LONGEST_GAP or "\n\n" in gap or _GAP.fullmatch(gap) is None:
        return False
    is_complete = any(part.label == "head" for part in run) and any(part.label.startswith(("behaviour", "type:")) for part in run)
    return not ("\n" in gap and is_complete) or (hit.label == "behaviour:in_situ" and not gap.strip())


def _carcinomas(lower: str, run: Sequence[Hit]) -> list[Mention]:
    """One carcinoma a noun of the run: words before the first mark after a noun belong to it, later ones to the next."""
    if not run:
        return []
    phrases: list[list[Hit]] = [[]]
    has_noun = has_mark = False
    for index, part in enumerate(run):
        if index and has_noun and _SEPARATOR.search(lower, run[index - 1].end, part.start):
            has_mark = True
        if part.label in ("head", "noun") and has_noun:
            tail = _tail_of(phrases[-1], lower) if has_mark else []
            phrases[-1] = phrases[-1][: len(phrases[-1]) - len(tail)]
            phrases.append(list(tail))
            has_mark = False
        has_noun = has_noun or part.label in ("head", "noun")
        phrases[-1].append(part)
    return [mention for phrase in phrases for mention in _carcinoma(lower, phrase)]


def _tail_of(phrase: Sequence[Hit], lower: str) -> list[Hit]:
    """The words after the last mark that follows the phrase's noun."""
    noun = max(index for index, part in enumerate(phrase) if part.label in ("head", "noun"))
    for index in range(len(phrase) - 1, noun, -1):
        if _SEPARATOR.search(lower, phrase[index - 1].end, phrase[index].start):
            return list(phrase[index:])
    return []


_FIELD = re.compile(r"(?:typ|type|histology|diagnosis|subtype)\W{1,6}$")


def _carcinoma(lower: str, phrase: Sequence[Hit]) -> list[Mention]:
    labels = [part.label for part in phrase]
    start, end = phrase[0].start, phrase[-1].end
    has_head = "head" in labels
    behaviours = {label.partition(":")[2] for label in labels if label.startswith("behaviour")}
    types = _types(phrase)
    if "metastatic" in labels:
        return [Mention(diagnosis="malignant", histology="malignant_other", start=start, end=end, is_metastatic=True, is_generic=True)]
    is_field = bool(types - {"plain"}) and _FIELD.search(lower, max(0, start - 30), start) is not None
    is_alone = "nst" in lower[start:end] or "special type" in lower[start:end]
    if not has_head and not (behaviours and (types - {"plain"} or "noun" in labels)) and not is_field and not is_alone:
        return []
    if not has_head and not behaviours and "features" in labels:
        return []
    return [_typed(types, behaviours, start, end, is_alone=is_alone)]


def _types(phrase: Sequence[Hit]) -> set[str]:
    """The types named; one that "features" or "differentiation" follows counts only where there is no other."""
    main: set[str] = set()
    partial: set[str] = set()
    waiting: list[str] = []
    for part in phrase:
        if part.label.startswith("type:"):
            waiting.append(part.label.partition(":")[2])
        elif part.label == "features":
            partial |= set(waiting)
            waiting = []
        else:
            main |= set(waiting)
            waiting = []
    main |= set(waiting)
    return main if main - {"plain"} else main | partial


def _typed(types: set[str], behaviours: set[str], start: int, end: int, *, is_alone: bool) -> Mention:
    if "in_situ" in behaviours and "invasive" not in behaviours:
        histology, diagnosis = ("lcis", "high_risk") if types >= {"lobular"} and "ductal" not in types else ("dcis", "malignant")
        return Mention(diagnosis=diagnosis, histology=histology, start=start, end=end, is_in_situ=True)
    if "encapsulated" in types:
        is_in_situ = "invasive" not in behaviours
        return Mention(diagnosis="malignant", histology="malignant_other", start=start, end=end, is_in_situ=is_in_situ)
    for name in ("mucinous", "tubular"):
        if name in types and "ductal" not in types:
            return Mention(diagnosis="malignant", histology=name, start=start, end=end)
    if "ductal" in types:
        return Mention(diagnosis="malignant", histology="idc", start=start, end=end)
    if "lobular" in types:
        return Mention(diagnosis="malignant", histology="ilc", start=start, end=end)
    if "other" in types:
        return Mention(diagnosis="malignant", histology="malignant_other", start=start, end=end)
    histology = "idc" if "invasive" in behaviours or is_alone else "malignant_other"
    return Mention(diagnosis="malignant", histology=histology, start=start, end=end, is_generic=True)


_ACRONYMS = {"idc": "idc", "ilc": "ilc", "imc": "idc", "dcis": "dcis", "lcis": "lcis"}


def _entity(lower: str, hit: Hit) -> list[Mention]:
    start, end = hit.start, hit.end
    group, _, name = hit.label.partition(":")
    if group == "acronym":
        diagnosis = "high_risk" if name == "lcis" else "malignant"
        is_in_situ = name in ("dcis", "lcis")
        return [
            Mention(diagnosis=diagnosis, histology=_ACRONYMS[name], start=start, end=end, is_in_situ=is_in_situ, is_generic=name == "imc")
        ]
    if group == "microinvasion":
        return [Mention(diagnosis="malignant", histology="idc", start=start, end=end, is_generic=True)]
    if group == "in_situ_other":
        return [Mention(diagnosis="malignant", histology="malignant_other", start=start, end=end, is_in_situ=True)]
    if group == "generic":
        return [Mention(diagnosis="malignant", histology="malignant_other", start=start, end=end, is_generic=True)]
    is_generic = name in ("benign_other", "-") and group in ("benign", "high_risk", "insufficient")
    is_in_situ = lower.startswith("paget", start)
    return [
        Mention(
            diagnosis=group, histology=None if name == "-" else name, start=start, end=end, is_generic=is_generic, is_in_situ=is_in_situ
        )
    ]


_SCOPE = word_lists("scope")
_WINDOW = 140
_NEGATED_BEFORE = re.compile(rf"(?<!\w)(?<!\w-){any_of(_SCOPE['negated_before'])}(?!\w)(?P<between>:?[^.;:\n]{{0,130}})\Z")
_ENDS_NEGATION = re.compile(rf"(?<!\w){any_of(_SCOPE['ends_negation'])}(?!\w)|\s-\s")
_NEGATED_AFTER = re.compile(
    r"[^\S\n]*(?:\([^()\n]{0,25}\)[^\S\n]*|(?:cells?|component|foci|glands|deposits?|tissue|or [\w -]{1,40}|and [\w -]{1,40})[^\S\n]*){0,2}"
    rf"(?:[:=|]\s*|[^\S\n]-[^\S\n]|\t[^\S\n]*|-[^\S\n])?(?:(?:is|are|was|were|has been"
    rf"|have been)\s+)?{any_of(_SCOPE['negated_after'])}(?!\w)"
)
_ASSERTED_AFTER = re.compile(rf"[^.;:,\n]{{0,30}}?\b{any_of(_SCOPE['asserted_after'])}(?!\w)")
_UNCERTAIN_BEFORE = re.compile(rf"(?:(?<!\w){any_of(_SCOPE['uncertain_before'])}(?!\w)[^.;\n]{{0,60}}|\?\s*)\Z")
_UNCERTAIN_AFTER = re.compile(rf"[^.;\n]{{0,30}}?(?<!\w){any_of(_SCOPE['uncertain_after'])}(?!\w)")
_PRIOR_BEFORE = re.compile(rf"(?<!\w){any_of(_SCOPE['prior_before'])}(?!\w)[^.;:,\n]{{0,45}}\Z")
_UNTICKED = re.compile(r"(?:\[\s*\]|\(\s\)|☐|□|_{2,})\s*\Z")
_TICKED = re.compile(r"(?:\[\s*[xX✓✔]\s*\]|\(\s*[xX]\s*\)|☒|☑|✓|✔)\s*\Z")
_UNTICKED_ENDS, _TICKED_ENDS = frozenset("])☐□_"), frozenset("])☒☑✓✔")
_RESIDUAL = re.compile(r"\b(?:residual|persist\w+|remaining|viable|pcr|complete (?:pathologic\w* )?response)\b")
_CLOSE = 25
_QUESTION = re.compile(r"\s?\?|\s*cannot be ruled in")


def _asserted(lower: str, mention: Mention) -> Mention | None:
    """The mention as its sentence asserts it; None where it says nothing of this specimen now."""
    before = lower[max(0, mention.start - _WINDOW) : mention.start]
    after = lower[mention.end : mention.end + 90]
    mark = before.rstrip()[-1:]
    if (
        (mark in _UNTICKED_ENDS and _UNTICKED.search(before))
        or _PRIOR_BEFORE.search(before.rpartition("\n")[2])
        or (mention.is_generic and _QUESTION.match(after))
    ):
        return None
    if mention.diagnosis == "insufficient" or (mark in _TICKED_ENDS and _TICKED.search(before)):
        return mention
    if mention.histology == "phyllodes" and (_UNCERTAIN_BEFORE.search(before) or _UNCERTAIN_AFTER.match(after)):
        return None
    line = before.rpartition("\n")[2]
    words = words_of(lower, mention)
    negation = _negation(line, words, after)
    if negation is not None and words.startswith("high") and ("(" in negation or "," in negation):
        negation = None  # a new clause classes the lesion: "radial scar without atypia (high-risk lesion)"
    if mention.diagnosis == "benign":
        if words == "negative" and _STAIN_BEFORE.search(before):
            return None
        is_denied = negation is not None and not mention.is_generic and len(negation) <= _CLOSE and "," not in negation
        return None if is_denied or (mention.is_generic and _is_not_benign(before)) else mention
    if mention.diagnosis == "malignant" and _UNCERTAIN_BEFORE.search(line) and (negation is None or len(negation) > _CLOSE):
        return replace(mention, diagnosis=SUSPICIOUS, histology=None, is_generic=True)
    if negation is not None:
        is_residual = _RESIDUAL.search(negation) is not None
        return replace(mention, diagnosis="benign", histology="benign_other", is_generic=True, is_absent=True, is_residual=is_residual)
    if _UNCERTAIN_AFTER.match(after):
        return replace(mention, diagnosis=SUSPICIOUS, histology=None, is_generic=True) if mention.diagnosis == "malignant" else mention
    return mention


_STAIN_BEFORE = re.compile(
    r"(?:\b(?:er|pr|pgr|her-?2|receptors?|cadherin|calponin|p63|keratins?|cytokeratins?|ck\S*|ae1\S*|fish|ish|stains?|smm\w*|s100"
    r"|sox10|gata-?3|score|ihc"
    r"|immuno\w+|desmin|cd\d+)[^.;\n]{0,25}|\d\s?[%+)]\W{0,4}|\(\s*)\Z"
)


def words_of(lower: str, mention: Mention) -> str:
    """The words of a mention."""
    return lower[mention.start : mention.end]


def _is_not_benign(before: str) -> bool:
    return before.rstrip().endswith(("not", "non", "non-"))


def _negation(before: str, words: str, after: str) -> str | None:
    """The words between a negation and the mention, "" for one after it; None where it is not denied."""
    if _NEGATED_AFTER.match(after):
        return ""
    match = _NEGATED_BEFORE.search(before)
    if match is None:
        return None
    between = match["between"]
    if _ENDS_NEGATION.search(between) or between.count(")") > between.count("("):
        return None
    clause = between.rpartition(",")
    return None if clause[1] and not _JOINS.search(clause[2] + words) and _ASSERTED_AFTER.match(after) else match[0]


_JOINS = re.compile(r"\b(?:or|nor|and)\b|/")


_CODE = re.compile(r"(?<![\w/-])(?P<code>B\s?[1-5]\s?[abc]?|C[1-5]\s?[ab]?)(?![\w/%])(?!\s*(?:-|to)\s*[BC]\d)(?!\.\d)")
_CODE_CONTEXT = re.compile(
    r"\b(?:category|code|opinion|nhsbsp|breast biopsy|classification|class|grading|score|b-?\s?code|uk|biopsy|core|cytology"
    r"|conclusion|diagnosis"
    r"|summary|kategorie|b-?\s?categor\w+|c-?\s?categor\w+)\b[^.\n]{0,40}\Z|[(,;:\n.\-/\[]\s*\Z|^\s*\Z",
    re.IGNORECASE,
)
_BY_CODE = {
    "B1": ("benign", "benign_other"),
    "B2": ("benign", "benign_other"),
    "B3": ("high_risk", None),
    "B4": (SUSPICIOUS, None),
    "B5": ("malignant", None),
    "C1": ("insufficient", None),
    "C2": ("benign", "benign_other"),
    "C3": ("high_risk", None),
    "C4": (SUSPICIOUS, None),
    "C5": ("malignant", None),
}
_LABEL_AFTER = re.compile(r"\s*[.):]\s*(?:left|right|breast|lymph|sentinel|core|block|section|margin)", re.IGNORECASE)
_BLOCK_BEFORE = re.compile(r"\b(?:block|blocks|cassettes?|slides?|section|sections|in|on|part|specimen|vertebra\w*)\s*\Z", re.IGNORECASE)


def _codes(text: str, lower: str) -> list[Mention]:
    """Codes of the national programmes; a cassette or specimen that is called B1 is none."""
    if not any(f"{letter}{number}" in text or f"{letter} {number}" in text for letter in "BC" for number in "12345"):
        return []
    found = []
    for match in _CODE.finditer(text):
        code = match["code"].replace(" ", "")
        before = text[max(0, match.start() - 60) : match.start()]
        if _BLOCK_BEFORE.search(before) or _LABEL_AFTER.match(text, match.end()) or not _CODE_CONTEXT.search(before):
            continue
        diagnosis, histology = _BY_CODE[code[:2]]
        if code in ("B5a", "B5b"):
            histology = None
        found.append(
            Mention(
                diagnosis=diagnosis,
                histology=histology,
                start=match.start(),
                end=match.end(),
                is_generic=True,
                is_code=True,
                is_in_situ=code == "B5a",
            )
        )
    return found


def within(mentions: Sequence[Mention], start: int, end: int) -> list[Mention]:
    """The mentions that begin in ``start:end``; ``mentions`` are in order."""
    first = bisect_left(mentions, start, key=lambda mention: mention.start)
    last = bisect_left(mentions, end, key=lambda mention: mention.start)
    return list(mentions[first:last])
