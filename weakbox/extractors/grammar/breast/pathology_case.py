"""What is said of the case: how the tissue was obtained, what a report says of the past, and whether it is a breast pathology report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weakbox.extractors.grammar.breast.pathology_words import any_of, choice, lexicon, word_lists
from weakbox.extractors.grammar.pathology.facts import Fact, TextRange, blank
from weakbox.extractors.grammar.pathology.passages import Passage, Role

_ORDER = ("mastectomy", "excision", "core_biopsy", "fna")
_ROLES = (
    (Role.SPECIMEN_LIST, Role.DIAGNOSIS, Role.SYNOPTIC),
    (Role.FREE,),
    (Role.GROSS,),
    (Role.MICROSCOPY, Role.AMENDMENT, Role.ADDENDUM),
)
_NOT_DONE = re.compile(rf"(?<!\w){any_of(word_lists('procedures')['not_done_before'])}\W+(?:[\w'-]+\W+){{0,3}}$")
_DIRECTLY_NOT_DONE = re.compile(r"(?<!\w)(?:for|on|at|after|following|post|before|diagnostic|no|recent|initial|known)\W+(?:the\s+|a\s+)?$")
_SOFT_NOT_DONE = frozenset(("for", "on", "at", "after", "following", "post", "before", "diagnostic", "no", "recent", "initial", "known"))
_SITE_AFTER = re.compile(r"[ ]*(?:site|cavity|tract|scar|clip|marker|changes?|specimen margin|reaction|needle tract|bed)\b")
_NOT_DONE_AFTER = re.compile(
    r"[ ]+(?:biops\w+ )?(?:of [\w ]{0,30})?(?:is |was |are |should be |may be |to be )?(?:suggested|recommended|advised"
    r"|considered|warranted|planned|required|needed|discussed|to be|should\b|if\b|in case\b|(?:is |as )?(?:clinically )?indicated)"
)
_ADVISED = re.compile(
    r"(?:^|[\n.;:])[ \t]*(?:(?:for|next|further|our)[ ])?(?:adv(?:ice|ise[ds]?)?|plan|rec(?:ommend\w*)?|sugg(?:est\w*)?|suggestions?|step"
    r"|mdt|mdm|management|note to clinician)\b[ \t]*[.:;,–-][^\n]*\Z|\?[ \t]*(?:[\w-]+[ \t]+){0,4}\Z"
)
"""What is advised or asked: "Adv : Trucut biopsy", "for MDT; ?proceed to second line VAE"."""
_WEAK = frozenset(
    ("biopsy", "biopsies", "bx", "excision", "excisions", "resection", "cytology", "aspirate", "aspiration", "vacuum", "cores", "core")
)
_BREAST = re.compile(r"\bbreast|mamm|lump|mass\b|lesion|quadrant|o'clock|microcalc|calcif")


def read_procedure(lower: str, passages: Sequence[Passage]) -> Fact | None:
    """The most extensive procedure of the first passages that name one: order list and diagnosis, header, gross, the rest."""
    weak: Fact | None = None
    for number, roles in enumerate((*_ROLES, tuple(Role))):
        spans = [_with_heading(passage) for passage in passages if passage.role in roles]
        hits = [hit for start, end in spans for hit in _procedures(lower, start, end)]
        if any(not is_weak for _, _, is_weak in hits):
            return _chosen(hits, 0.97 if number < 2 else 0.9)
        weak = weak or _chosen(hits, 0.85)
    return weak or _chosen(_procedures(lower, 0, min(len(lower), 4000)), 0.75)


def _with_heading(passage: Passage) -> TextRange:
    return (passage.heading[0] if passage.heading else passage.start, passage.end)


Procedure = tuple[str, TextRange, bool]


def _procedures(lower: str, start: int, end: int) -> list[Procedure]:
    found: list[Procedure] = []
    for hit in lexicon("procedures").find(lower, start, end):
        if (
            hit.label not in _ORDER
            or _SITE_AFTER.match(lower, hit.end)
            or _NOT_DONE_AFTER.match(lower, hit.end)
            or _is_not_done(lower[max(0, hit.start - 50) : hit.start])
            or _ADVISED.search(lower, max(0, hit.start - 90), hit.start)
        ):
            continue
        line = max(lower.rfind("\n", max(0, hit.start - 90), hit.start), hit.start - 90)
        stop = lower.find("\n", hit.end, hit.end + 40)
        around = lower[line + 1 : stop if stop >= 0 else hit.end + 40]
        is_of_node = (
            hit.label != "mastectomy" and choice("specimens", "other_tissue").search(around) is not None and _BREAST.search(around) is None
        )
        found.append((hit.label, (hit.start, hit.end), lower[hit.start : hit.end] in _WEAK or is_of_node))
    return found


def _is_not_done(before: str) -> bool:
    words = re.split(r"[\n:.;]", before)[-1]
    match = _NOT_DONE.search(words)
    if match is None:
        return False
    first = re.match(r"[\w/]+", match[0])
    return not (first and first[0] in _SOFT_NOT_DONE) or _DIRECTLY_NOT_DONE.search(words) is not None


def _chosen(hits: Sequence[Procedure], confidence: float) -> Fact | None:
    strong = [hit for hit in hits if not hit[2]] or hits
    for name in _ORDER:
        of_name = [span for label, span, _ in strong if label == name]
        cores = [span for label, span, _ in hits if label == "core_biopsy"]
        if of_name and name == "fna" and cores:
            return Fact(value="core_biopsy", spans=(cores[0],), confidence=0.85, rule="procedure")
        if of_name:
            return Fact(value=name, spans=(of_name[0],), confidence=confidence, rule="procedure")
    return None


_PAST = re.compile(
    r"\b(?=[bcdehiknoprs])(?:(?:previous(?:ly)?|prior|earlier|outside|original|initial|pre-?\s?operative|pre-?\s?chemo\w*|pre-?\s?treatment|diagnostic"
    r"|recent|preceding|concurrent outside|referral|old)\s+"
    r"(?:(?!site|bed|cavity|scar|no\b|and\b)[\w.-]+\s+){0,3}?"
    r"(?:cores?|biops(?:y|ies)|trucut|cytology|fnac?|specimens?|reports?|histology|diagnos[ie]s|excisions?|surgery|needle|results?"
    r"|pathology|cnb|lumpectomy|mastectomy|accession|case|operations?|resections?|procedures?)\b"
    r"(?!\s*(?:site|cavity|tract|scar|change|clip|track|bed|marker))"
    r"|(?:history of|hx of|h/o|known (?:case|history) of|phx)\b|on (?:the )?(?:core|cnb|biopsy|trucut|needle)\b(?!\s*site)"
    r"|(?:biops(?:y|ies)|cores?|specimen|report|case)\s*(?:no\.?|#|number|of|from)?\s*\(?(?:[a-z]{1,3}\d\d-[\dx]+|<id>)"
    r"|(?:reports?|biops(?:y|ies)|cores?|operations?|specimens?) (?:previous|prior|earlier|before)\b"
    r"|(?:biops(?:y|ies)|cores?|specimen|report|s)\s*(?:of|from|in|dated|performed)?\s*(?:\w+\s+)?(?:19|20)\d\d\b)"
)
_LONGEST_SENTENCE = 600
_NOW = re.compile(
    r"\b(?:now|current(?:ly)?|today|present (?:biopsy|specimen)|this (?:biopsy|specimen|excision|resection)|in the resection|repeat)\b"
)
_MARKER = re.compile(r"\ber\b|\bpr\b|her-?2|receptors?|biomarkers?|\bgrade\b|\bfish\b")
_LIST_BELOW = re.compile(r"[^\n]*:[ \t]*\n(?:[ \t]*(?:[-*•]\s*)?[^\n]*(?:\ber\b|\bpr\b|pgr|estrogen|progest|her-?2|ki-?67)[^\n]*(?:\n|$))+")
_DISMISSED = re.compile(
    r"\b(?:not|rather than|instead of|in place of|and not|previously(?: reported)?(?: as)?|originally(?: reported)?(?: as)?"
    r"|incorrectly(?: \w+){0,3}? as|stated(?: as)?|erroneously(?: \w+){0,2}? as)\s+(?:the\s+)?"
    r"(?:left|right|grade\s*\d|benign|positive|negative|dcis|idc|\d+ o'clock|\d+ ?mm)[^.;,\n)]*?(?=[.;,\n)]|\bto\b|\bnow\b|$)"
)
_REPLACED = re.compile(
    r"(?:\bfrom\b(?P<from>[^.;\n]{0,80}?)\bto\b)|(?P<old>[^.;\n]{0,90}?)\b(?:should (?:read|be|have (?:read|been))|(?:is|are|was|were"
    r"|has been|have been)?\s*(?:amended|revised|changed|corrected|upgraded|downgraded"
    r"|reclassified|updated) to|is now|are now)\b"
)
_VALUE = re.compile(
    r"\b(?:left|right|grade\s*[1-3i]+|benign|positive|negative|equivocal|dcis|carcinoma|\d+\s?(?:mm|cm)|o'clock|adh)\b|her-?2"
)


def mask_past(lower: str, passages: Sequence[Passage]) -> list[TextRange]:
    """What is quoted from earlier specimens, and in addenda the values that are replaced: not to be read as current."""
    ranges: list[TextRange] = []
    for passage in passages:
        ranges += [span for match in _PAST.finditer(lower, passage.start, passage.end) for span in _past(lower, match, passage)]
        if passage.role in (Role.AMENDMENT, Role.ADDENDUM):
            ranges += [match.span() for match in _DISMISSED.finditer(lower, passage.start, passage.end)]
            ranges += _replaced(lower, passage)
    return ranges


def _past(lower: str, match: re.Match[str], passage: Passage) -> list[TextRange]:
    first = max(passage.start, _sentence_start(lower, match.start()))
    last = min(passage.end, _sentence_end(lower, match.end()))
    opening, closing = lower.rfind("(", first, match.start()), lower.find(")", match.end(), last)
    if opening >= 0 and closing >= 0 and ")" not in lower[opening : match.start()]:
        inside = lower[opening : closing + 1]
        if "s2" in inside or len(inside) < 90 or _MARKER.search(inside):
            is_of_markers = _is_marker_line(lower[first:opening])
            return [(first, last)] if is_of_markers else [(opening, closing + 1)]
    now = _NOW.search(lower, match.end(), last)
    end = now.start() if now else last
    below = _LIST_BELOW.match(lower, match.end(), passage.end)
    if below is not None and ":" in lower[match.end() : lower.find("\n", match.end())]:
        end = below.end()
    begin = first if _is_marker_line(lower[first : match.start()]) else match.start()
    return [(begin, end)]


def _is_marker_line(words: str) -> bool:
    """Whether the words before speak of markers only: then what they say is quoted too."""
    return _MARKER.search(words) is not None and re.search(r"carcinoma|dcis|fibro|benign|malignan|tumou?r", words) is None


def _sentence_start(lower: str, position: int) -> int:
    first = max(0, position - _LONGEST_SENTENCE)
    return max(first, *(lower.rfind(mark, first, position) + 1 for mark in ("\n", ". ", "; ")))


def _sentence_end(lower: str, position: int) -> int:
    last = min(len(lower), position + _LONGEST_SENTENCE)
    return min((stop for mark in ("\n", ". ", ";") if (stop := lower.find(mark, position, last)) >= 0), default=last)


def _replaced(lower: str, passage: Passage) -> list[TextRange]:
    ranges: list[TextRange] = []
    for match in _REPLACED.finditer(lower, passage.start, passage.end):
        if match["from"] is not None:
            ranges.append(match.span("from"))
            continue
        old = _VALUE.search(match["old"])
        if old is not None and _VALUE.search(lower, match.end(), min(passage.end, match.end() + 80)):
            ranges.append((match.start("old") + old.start(), match.end("old")))
    return ranges


def masked(text: str, ranges: Sequence[TextRange]) -> str:
    """The text with the ranges made spaces."""
    return blank(text, ranges) if len(ranges) < 50 else _blanked(text, ranges)


def _blanked(text: str, ranges: Sequence[TextRange]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in sorted(ranges):
        if end > position:
            first = max(start, position)
            pieces += (text[position:first], " " * (end - first))
            position = end
    return "".join((*pieces, text[position:]))


_BREAST_WORDS = re.compile(r"breast|mammary|mamm[ao]|ductal|lobular|dcis|nipple|areola|fibroadenoma|lumpectomy|mastectomy|axilla|phyll")
_OTHER_ORGANS = re.compile(
    r"\b(?:prostat\w+|gleason|colon\w*|polyp|duodenal|gastric|stomach|oesophag\w+|esophag\w+|thyroid|endometri\w+|cervix|cervical"
    r"|kidney|renal|nephrectomy|lung|liver"
    r"|tonsil|appendix|gallbladder|bladder|ovar\w+|uter\w+|pancrea\w+)\b"
)
_IMAGING = (
    re.compile(r"bi-?rads|\bacr\b"),
    re.compile(r"mammogra\w+|tomosynthesis"),
    re.compile(r"ultraso\w+|sonograph\w*|hypoechoic|echogenic|anechoic"),
    re.compile(r"\bmri\b|enhanc\w+|t2-?weighted"),
    re.compile(r"\bviews?\b|\bcc and mlo\b|\bdensit(?:y|ies)\b|fibroglandular"),
    re.compile(r"screening|recall|follow-?up in|return to"),
)
_TISSUE = (
    re.compile(r"carcinoma|dcis|fibroadenoma|hyperplasia|papilloma"),
    re.compile(r"diagnosis"),
    re.compile(r"nottingham|\bgrade\b|\bb[1-5][ab]?\b|\bc[1-5]\b"),
    re.compile(r"immuno\w+|her-?2|receptors?|\bp63\b"),
    re.compile(r"\bspecimens?\b(?! radiograph)|\breceived\b"),
    re.compile(r"microscop\w*|histolog\w*|\bmicro\b"),
    re.compile(r"\bgross\b|macroscop\w*|formalin"),
    re.compile(r"\bblocks?\b|\bsections show|\bcells?\b|smears?|cytolog\w*|\bsections\b"),
)
"""The commonest first: three are enough."""


def is_other_organ(lower: str, passages: Sequence[Passage]) -> bool:
    """Whether the passages beside the history name another organ and no breast."""
    words = "\n".join(lower[slice(*_with_heading(passage))] for passage in passages) or lower
    return _BREAST_WORDS.search(words) is None and _OTHER_ORGANS.search(words) is not None


def is_imaging(lower: str) -> bool:
    """Whether the words are those of a radiology report rather than of tissue."""
    tissue = 0
    for pattern in _TISSUE:
        tissue += pattern.search(lower) is not None
        if tissue > _MOST_TISSUE:
            return False
    imaging = sum(pattern.search(lower) is not None for pattern in _IMAGING)
    return imaging >= 3 and imaging > tissue


_MOST_TISSUE = 2
