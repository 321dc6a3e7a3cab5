"""What a prostate MRI report mentions, found once over the whole text: scores, labels, sequence scores, series and images."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from weakbox.terminology.pirads import parse_category, parse_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A value stated at ``start:end`` of the normalised text. ``low`` is the other end of a range."""

    kind: str
    value: int | str
    start: int
    end: int
    low: int | None = None
    is_ambiguous: bool = False
    rule: str = ""


RADS = r"p(?:i[-\s]?\s?)?[-\s]?rads?(?:\s?(?:tm|™|\(r\)))?"
_RADS_END = re.compile(r"rads?")
_RADS_HEAD = re.compile(r"(?<![^\W_])p(?:i[-\s]?\s?)?[-\s]?$")


def rads_starts(lower: str) -> list[int]:
    """Where each "PI-RADS" begins; looking for its rare end first is what makes this quick."""
    starts = []
    for match in _RADS_END.finditer(lower):
        head = _RADS_HEAD.search(lower, max(0, match.start() - 6), match.start())
        if head is not None:
            starts.append(head.start())
    return starts


_VERSION = (
    r"(?:,?\s*[(\[]?\s*(?:v(?:ersion|er|\.)?\s*\.?\s*(?:2\.1|2\.0|2|1\.0|1)(?!\.?\d)|(?:2\.1|2\.0|1\.0)(?!\d)(?!\s*(?:mm|cm)))\s*[)\]]?)?"
)
_FILLER = (
    r"(?:[\s:=#(\[,*_-]|\b(?:assessment|categor(?:y|ies)|category|scores?|grade|class(?:ification)?|cat\.|cat|level|rating|final|"
    r"overall|suspicion|"
    r"total|combined|index|lesion|of|is|was|as|a|now|therefore|hence|thus|remains|assigned|at)\b)*"
)
_VALUE = (
    r"(?P<value>[1-5]|iv|v|i{1,3}|(?:one|two|three|four|five)(?! (?:targets|foci|(?:\w+ )?lesions|nodules|areas))|x)"
    r"(?![\w%]|[.,]\d|\s?(?:mm|cm|ml|cc)\b|\s?[x*]\s?\d)"
)
_RANGE = r"(?:\s*(?P<joint>-|to|/|or|and|&)\s*(?:pi-?rads\s*)?(?P<high>[1-5]|iv|v|iii|ii)(?![\w]|[.,]\d|\s?(?:mm|cm)\b|\s?[x*]\s?\d))?"
_OR_HIGHER = r"(?P<open>\s*(?:or (?:higher|greater|above|more|over)|and (?:above|higher|greater|over)|\+(?!\d)))?"
_CATEGORY = re.compile(rf"{RADS}{_VERSION}(?:\s?\(t2[^()\n]{{0,16}}\))?{_FILLER}{_VALUE}{_RANGE}{_OR_HIGHER}")
_VALUE_BEFORE = re.compile(
    r"(?<![\d.,/x-])(?P<value>[1-5])(?:\s?/\s?5|\s+out of\s+5)?\s+(?:on|by|using|according to|as per|per|under)\s+(?:the\s+)?(?:acr\s+)?$"
)
""""Score 4/5 on PI-RADS"."""
_PLUS_ONE = re.compile(r"\s?\+\s?1(?:\s?=\s?4)?(?!\d)")
_OF_FIVE = re.compile(r"(?<![\d/])[1-5]\s?/\s?5(?![\d/])")
"""Scores out of five: a report that writes two of them means five by the 5 of "4/5"."""
_THRESHOLD = re.compile(r"[<>]|at least|less than|greater than")
_OF_SEQUENCE = re.compile(r"\b(?:t2\w*|dwi|adc|dce)(?:[- ]weighted)?(?: imaging)?\s*:?\s*$")
_UPGRADE = re.compile(rf"(?:up|down)graded?\s+from\s+(?:{RADS}\s*)?(?P<old>[1-5])\s+to\s+(?:a\s+)?(?:{RADS}\s*)?(?P<value>[1-5])(?!\d)")
_CHANGED_TO = re.compile(
    r"(?:rads|categor(?:y|isation))\b(?! [1-5])(?:(?!\bt2\b|\bdwi\b|[.;\n]).){1,70}?\b(?:changed|revised|amended|corrected|upgraded"
    r"|downgraded|raised|lowered"
    r"|should (?:read|be)|(?:is|are) now)\b(?: from (?:pi-?rads )?[1-5])?(?: to| as)?(?: be)?(?: a)?\s+(?:pi-?rads\s+)?(?:category "
    r"|score )?(?P<value>[1-5])"
    r"(?!\d|\s?(?:mm|cm)|[.,]\d)"
)
""""The PI-RADS category of the right lesion is changed to 4"."""
_PLAIN_KEY = re.compile(
    r"(?:assessment(?:\s+category)?|category|suspicion (?:score|level|grade)|suspicion(?=:)|overall (?:score|suspicion(?: (?:score"
    r"|level))?)|"
    r"overall(?: lesion)?(?: score)?(?=\s*[-:=]\s*\d|\s[1-5](?:\s?/\s?5)?\s*(?:[.,;)\n]|$))|\bp-?r(?=\s?[:=]?\s?[1-5]\b)"
    r"|score[sd]?)(?=[\s:=-])"
)
_PLAIN_LEAD = re.compile(r"\b(?:(?:overall|final|lesion|assessment|suspicion|risk|mri|mpmri|highest|total|level of)\s+)+$")
_SHORT_CATEGORY = re.compile(
    r"(?<![\w/.-])p(?:r-?(?P<value>[1-5])|(?P<short>[2-5]))(?=\s*(?:[.,;)\n]|$)|\s+(?:\d\)|se\b|ser\b|im\b"
    r"|series|image))"
)
""""PR4", and "P4" at the end of its phrase."""
_BARE_LEAD = re.compile(r"(?:^|[.,;:(\n]\s?|\)\s|give this a |overall )$")
_PLAIN_VALUE = re.compile(
    r"\s*(?:[:=]|of|is|as|-)?\s*(?P<value>[1-5]|iv|v|iii|one|two|three|four|five)(?P<scale>\s*(?:/|out of|of)\s*5)?(?![\w]|[.,]\d"
    r"|\s?(?:mm|cm)\b)"
)
_ON_SEQUENCE = re.compile(r"\s*(?:on|for|in)\b")
_SEQUENCE_NAMED = re.compile(
    r"\b(?:t2\w*|dwi|adc|dce|diffusion|sum|pi-?qual|precise|gleason|quality)\b(?!\s*\+)(?:(?!\.\s"
    r"|\n).)*$",
    re.DOTALL,
)
"""A bare "score 4" in a sentence that names a sequence is that sequence's."""
_LIKERT = re.compile(
    r"\b(?:likert|ucla|uclh|nih|institutional|local|five-point|5-point|1-5)\b(?:[\s:=(\[-]|\b(?:score|scale|category|suspicion|"
    r"grade|level|assessment|of|is|image|mri|overall|likert|ucla|five-point|5-point|system|based|\(?1-5\)?)\b)*"
    r"(?P<value>[1-5]|iv|v|iii|ii)(?P<scale>\s*(?:/|out of)\s*5)?(?:\s*(?P<joint>-|to)\s*(?P<high>[1-5]))?(?![\w]|[.,]\d|\s?(?:mm|"
    r"cm|-?point)\b)"
)
_LIKERT_GATE = ("likert", "ucla", "suspicion", "-point", "institutional")
_LIKERT_SYSTEM = re.compile(
    r"\blikert\b|\bucla\b|suspicion (?:score|level)|(?:five|5)-point (?:scale|scoring|likert)|institutional (?:scale|scor)"
)
_VERSION_AFTER = re.compile(
    rf"{RADS}(?:_(?=version))?(?:\s*[(,:=]?\s*(?:scoring|assessment|classification|guidelines?|system|criteria|document|lexicon|category"
    rf"|according to|as per|per|"
    r"using|based on|the|acr|esur|reporting|and data|standards?|x|score|retained|used|applied|[1-5](?= (?:according|per|as|using"
    r"|based|\(v))))*[,:=]?\s*[(\[]?\s*"
    r"(?:v(?:ersion|er|\.)?\s*[.=:]?\s*(?P<a>2\.1|2\.0|2|1\.0|1)(?!\.?\d)|(?P<b>2\.1|2\.0|1\.0)(?!\d))"
)
_VERSION_BEFORE = re.compile(r"\bv(?:ersion|\.)?\s*\.?\s*(?P<c>2\.1|2\.0|2|1)\s+(?:of\s+)?(?:the\s+)?$")


def find_versions(lower: str) -> list[Mention]:
    """Every PI-RADS version that the text names."""
    found = []
    for start in rads_starts(lower):
        match = _VERSION_AFTER.match(lower, start) or _VERSION_BEFORE.search(lower, max(0, start - 25), start)
        version = parse_version(match[match.lastgroup or 0]) if match else None
        if match and version:
            found.append(Mention(kind="version", value=version, start=match.start(), end=match.end(), rule="version"))
    return found


def mentions_pirads(lower: str) -> bool:
    """Whether the text names PI-RADS at all."""
    return bool(rads_starts(lower))


def mentions_likert(lower: str) -> bool:
    """Whether the text names a Likert or institutional five-point system."""
    return any(word in lower for word in _LIKERT_GATE) and _LIKERT_SYSTEM.search(lower) is not None


def find_categories(lower: str) -> list[Mention]:
    """PI-RADS categories with their system named beside them; PI-RADS X and open thresholds ("3 or higher") are none."""
    found = []
    is_of_five = len(_OF_FIVE.findall(lower)) > 1
    for start in rads_starts(lower):
        before = _VALUE_BEFORE.search(lower, max(0, start - 34), start)
        if before is not None:
            found.append(Mention(kind="category", value=int(before["value"]), start=before.start(), end=start + 4, rule="category_before"))
            continue
        match = _CATEGORY.match(lower, start)
        mention = _category(match, lower) if match else None
        if match and mention is not None and not _OF_SEQUENCE.search(lower[max(0, match.start() - 30) : match.start()]):
            found.append(replace(mention, is_ambiguous=False) if is_of_five else mention)
    return found


def _category(match: re.Match[str], lower: str) -> Mention | None:
    value = parse_category(match["value"])
    lead = lower[match.start() : match.start("value")]
    if (
        value is None
        or match["open"]
        or _THRESHOLD.search(lead)
        or (match["value"] == "i" and lower[match.end("value") : match.end("value") + 1].isspace())
    ):
        return None
    added = _PLUS_ONE.match(lower, match.end("value"))
    if added is not None and value == 3:
        return Mention(kind="category", value=4, start=match.start(), end=added.end(), rule="category_upgraded")
    high = parse_category(match["high"]) if match["high"] else None
    end = match.end("high") if high else match.end("value")
    if high is None:
        return Mention(kind="category", value=value, start=match.start(), end=end, rule="category")
    if match["joint"] == "/":
        if high == 5 and value <= 4:
            return Mention(kind="category", value=value, start=match.start(), end=end, is_ambiguous=value == 4, rule="category_of_five")
        if value == high:
            return Mention(kind="category", value=value, start=match.start(), end=end, rule="category_of_five")
    if match["joint"] in ("and", "&"):
        return Mention(kind="category", value=value, start=match.start(), end=match.end("value"), rule="category")
    if (value, high) == (1, 5) or high < value:
        return (
            None
            if (value, high) == (1, 5)
            else Mention(kind="category", value=value, start=match.start(), end=match.end("value"), rule="category")
        )
    return Mention(kind="category", value=high, start=match.start(), end=end, low=value, rule="category_range")


def find_changes(lower: str) -> list[Mention]:
    """Categories after a stated change ("upgraded from 3 to 4")."""
    return [
        Mention(kind="category", value=int(match["value"]), start=match.start(), end=match.end(), rule="category_changed")
        for match in (*_UPGRADE.finditer(lower), *(_CHANGED_TO.finditer(lower) if "rads" in lower or "category" in lower else ()))
    ]


def find_plain_categories(lower: str) -> list[Mention]:
    """Categories that stand without their system's name ("Category: 4"); the report's system decides what they are."""
    found = [
        Mention(kind="plain", value=int(match["value"] or match["short"]), start=match.start(), end=match.end(), rule="category_short")
        for match in _SHORT_CATEGORY.finditer(lower)
    ]
    for key in _PLAIN_KEY.finditer(lower):
        match = _PLAIN_VALUE.match(lower, key.end())
        if match is None or (key.start() and lower[key.start() - 1].isalnum()):
            continue
        lead = _PLAIN_LEAD.search(lower, max(0, key.start() - 30), key.start())
        start = lead.start() if lead else key.start()
        if key[0].startswith("score") and not _is_bare_score(lower, start, key.start(), match.end()):
            continue
        found.append(
            Mention(kind="plain", value=parse_category(match["value"]) or 0, start=start, end=match.end(), rule="category_without_system")
        )
    return found


def _is_bare_score(lower: str, start: int, key: int, end: int) -> bool:
    """Whether "score 4" is a lesion's: named as such, or at the start of its phrase, and of no single sequence."""
    if _ON_SEQUENCE.match(lower, end) or _SEQUENCE_NAMED.search(lower, max(0, start - 120), start):
        return False
    return start < key or _BARE_LEAD.search(lower, max(0, start - 12), start) is not None


def find_likert(lower: str) -> list[Mention]:
    """Scores of a Likert or another institutional five-point scale."""
    found = _short_likert(lower) if "likert" in lower else []
    for match in _LIKERT.finditer(lower):
        value = parse_category(match["value"])
        high = int(match["high"]) if match["high"] else None
        if value is None or (value == 1 and high == 5):
            continue
        end = match.end("high") if high else match.end("value")
        if high is not None and high > value:
            found.append(Mention(kind="likert", value=high, low=value, start=match.start(), end=end, rule="likert_range"))
        else:
            found.append(Mention(kind="likert", value=value, start=match.start(), end=end, rule="likert"))
    return found


_SHORT_LIKERT = re.compile(r"(?:(?<=[.,;(:])|(?<=[.,;:] ))l(?P<value>[1-5])(?=\s*(?:[.,;)\n]|$))")
_SPINE = re.compile(r"vertebra|spin(?:e|al)|lumbar|\bdis[ck]|\bs1\b|sacr|marrow|bone")


def _short_likert(lower: str) -> list[Mention]:
    """ "L5" is Likert 5 in a report that names the scale, where no vertebra is meant."""
    return [
        Mention(kind="likert", value=int(match["value"]), start=match.start(), end=match.end(), rule="likert_short")
        for match in _SHORT_LIKERT.finditer(lower)
        if not _SPINE.search(lower, max(0, match.start() - 60), match.end() + 20)
    ]


_NOUN = r"(?:lesions?|targets?|rois?|regions? of interest)"
_LABEL = re.compile(
    rf"(?:{_NOUN}(?:\s+(?:mark(?:er)?|number|no\.?|nr\.?|id))?(?:-(?=\w)"
    rf"|[\s_]*[:#]?\s*#?\s*(?:[(\['\"](?=\w{{1,2}}[)\]'\"]))?)|mark(?:er)?\s?|(?:nodule|focus|finding|area|"
    rf"observation|abnormality|tumou?r)\s+#?(?=[1-9]\d?\s*[:.)(]|[a-h]\s*[:)]))"
    r"(?P<first>[1-9]\d?|[a-h]|iv|i{1,3}|v)(?![\w]|[.,]\d|\s?(?:mm|cm|ml|cc|x\s?\d|-\s?\d+\s?(?:mm|cm)|foci|(?<!\n)lesions?|nodules?|of "
    r"(?:the|interest)|/5))"
    r"(?:\s*(?:\+|&|and|,|/)\s*(?:lesion\s+)?(?P<second>[1-9]|[b-h])(?!\w|[.,]\d|\s?(?:mm|cm|/5)))?(?:\s*(?:\+|&|and|"
    r",)\s*(?P<third>[1-9]|[c-h])(?!\w|[.,]\d|\s?(?:mm|cm)))?"
)
_HASH_LABEL = re.compile(r"#(?<![\w#]#)\s?(?P<hash>[1-9])(?![\w.,]\d|\d)")
_SHORT_LABEL = re.compile(r"(?:^|(?<=\n)|(?<=;))[ \t•*-]*(?:l(?=[1-9]\s*[:=(;])|(?:les|lsn)\.?\s?#?(?=[1-9]\b))(?P<short>[1-9])")
_IS_PLURAL = re.compile(r"lesions|targets|rois|regions")


_FORMER_LABEL = re.compile(r"\((?:previously|formerly|was|old|prior|former|ex)[\s:]+(?:called |labell?ed |known as )?$")
""""Lesion A (previously lesion 1)" has one label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMention:
    """A lesion's label: one value, or several where the text names lesions together ("Lesions 1+2")."""

    values: tuple[str, ...]
    start: int
    end: int
    spans: tuple[tuple[int, int], ...]


def find_labels(text: str, lower: str) -> list[LabelMention]:
    """Lesion labels with their noun; a letter counts only in capitals. "L1:" counts where the lines are labelled from one on."""
    found = [label for match in _LABEL.finditer(lower) if (label := _label(match, ("first", "second", "third"), text, lower)) is not None]
    if "#" in lower:
        taken = {position for label in found for position in range(label.start, label.end)}
        hashes = [match for match in _HASH_LABEL.finditer(lower) if match.start() not in taken]
        found += [label for match in hashes if (label := _label(match, ("hash",), text, lower)) is not None]
    if "l1" in lower or "les" in lower or "lsn" in lower:
        short = [label for match in _SHORT_LABEL.finditer(lower) if (label := _label(match, ("short",), text, lower)) is not None]
        found += short if any("1" in label.values for label in short) else []
    return found


def _label(match: re.Match[str], groups: tuple[str, ...], text: str, lower: str) -> LabelMention | None:
    if match.start() and lower[match.start() - 1].isalnum():
        return None
    if _FORMER_LABEL.search(lower, max(0, match.start() - 30), match.start()):
        return None
    spans = tuple(match.span(name) for name in groups if match[name])
    if any(text[start].isalpha() and not text[start:end].isupper() for start, end in spans):
        return None
    if len(spans) > 1 and not _IS_PLURAL.search(match[0]) and "/" in match[0]:
        spans = spans[:1]
    return LabelMention(values=tuple(text[start:end] for start, end in spans), start=match.start(), end=spans[-1][1], spans=spans)


_T2 = r"t2(?:[-\s]?(?:w(?:eighted)?i?|wi))?"
_SEQUENCE_FILLER = (
    r"(?:[-\s:=(]|\b(?:score|at|category|assessment|imaging|images?|sequence|is"
    r"|of|weighted|grade|remains?|still|again|unchanged|now|scored|scores|rated|given|assigned)\b)*"
)
_SCORE = r"(?P<value>[1-5])(?:\s*/\s*5)?(?![\w]|[.,]\d|\s?(?:mm|cm|x\s?\d|of the)|\s?/\s?[1-5x+-]\s?/)"
_T2_SCORE = re.compile(rf"{_T2}{_SEQUENCE_FILLER}{_SCORE}")
_DWI_SCORE = re.compile(rf"(?:dwi|diffusion(?=[- ]weighted|\s?[:=]| score| [1-5]\b)|adc)(?:\s*/\s*(?:adc|dwi))?{_SEQUENCE_FILLER}{_SCORE}")
_SCORE_ON = re.compile(
    r"(?P<value>[1-5])(?<!\bbe \d)(?<!\bbe a \d)(?<!\d\d)(?<!\.\d)(?:/5)?\s+(?:on|for)\s+(?P<both>both )?(?P<sequence>t2|dwi|diffusion|adc)"
    r"(?:\w*(?:[- ]weighted(?: imaging)?)?(?:\s*(?:and|/|&)\s*(?P<second>t2|dwi|diffusion|adc)))?"
)
_SCORE_OF = re.compile(
    r"\b(?:score|category)[sd]? (?:of |for |in |on )?(?:the )?(?P<sequence>t2|dwi|diffusion|adc)\w*(?:[- ]weighted(?: imaging)?)?"
    r"\s*(?:at|of|is|[:=])?\s*(?P<value>[1-5])(?!\w|[.,]\d|\s?(?:mm|cm|x\s?\d))"
)
_SCORE_LATER = re.compile(
    r"on (?P<sequence>t2|dwi|diffusion)\b(?:(?!\bt2\b|\bdwi\b|\bdce\b|pi-?rads|likert|[.;]).){0,80}?\b(?:score[ds]?|category)(?: is|"
    r" of|:)?\s*(?P<value>[1-5])(?!\w|[.,]\d)"
)
_SCORE_IN_FIELD = re.compile(
    r"(?P<sequence>t2\w*|dwi|adc|diffusion)(?:/adc)?(?: score| signal"
    r"| imaging)?\s*:(?!\s*[1-5])[^\n:;]{2,90}?[(\[](?:score:? )?(?P<value>[1-5])(?:/5)?[)\]]"
)
_SCORE_BESIDE = re.compile(
    r"(?P<sequence>t2\w*|diffusion|dwi|adc|restrict(?:ed|ion|s))\b(?:(?!\bt2\b|\bdwi\b|\bdce\b|diffusion"
    r"|[.;()]).){0,45}\((?:score:? )?(?P<value>[1-5])(?:/5)?\)"
)
_SEQUENCE_RADS = re.compile(
    rf"(?P<sequence>t2\w*|dwi|adc)(?:[- ]weighted)?(?: imaging)?\s*:?\s*{RADS}(?: score| category)?\s*[:=]?\s*(?P<value>[1-5])(?!\w)"
)
_SCORE_OF_BOTH = re.compile(
    r"(?P<first>t2|dwi|diffusion|adc)(?:w|wi)?(?:[- ]weighted)?\s*(?:and|&|\+)\s*(?P<other>t2|dwi|diffusion|adc)(?:w"
    r"|wi)?(?:[- ]weighted)?(?: (?:imaging|images))?"
    r"(?:\s+(?:both|each|sub-?scores?|scores?|scored|category|are|is|of|at)\b|\s*[:=(])*\s*(?P<value>[1-5])(?:/5)?"
    r"(?:\s*(?:and|&|/|,)\s*(?P<second>[1-5])(?!\s?/|\w))?(?!\w|[.,]\d|\s?(?:mm|cm|x\s?\d))"
)
""""T2 and DWI score 5 each", "T2 and DWI scores 4 and 5"."""
_TRIPLE = re.compile(
    r"t2\w*\s*[/,]\s*(?:dwi|adc|diffusion)(?:\s*/\s*adc)?\s*(?:[/,]\s*dce|"
    r"[/,]\s*dynamic\w*)?\s*(?:sub-?)?(?:scores?)?\s*[:=(]?\s*(?P<t2>[1-5x-])\s*/\s*(?P<dwi>[1-5x-])(?:\s*/\s*(?P<dce>[1-5]|\+|-|"
    r"pos\w*|neg\w*|x|n/?a))?"
)
_TRIPLE_AFTER = re.compile(r"(?<=[1-5]) ?\((?P<t2>[1-5x-])\s?/\s?(?P<dwi>[1-5x-])(?:\s?/\s?(?P<dce>[1-5]|\+|-|pos\w*|neg\w*|x|n/?a))\)")
""""PI-RADS 4 (3/4/+)": T2, DWI and DCE behind the category."""
_DCE_SCORE = re.compile(
    r"(?:dce(?:[-\s]?mri)?|dynamic(?=\s*:)|dynamic contrast(?:[-\s]enhanc\w+)?|perfusion|(?:early )?enhancement|contrast enhancement|"
    r"contrast)(?:[\s:=(]|-(?=\s?(?:pos|neg|\+|-ve))|\b(?:score|imaging|images?|is|was|assessment|mri|early enhancement|series)\b)*"
    r"(?P<value>positiv\w*|negativ\w*|(?<=:)early\b|(?<=: )early\b|pos\b|neg\b|\+ve\b|-ve\b|\+|(?<!enhancement:)-(?=\s*(?:$"
    r"|[,;.)(|\n]|p-?[ir]"
    r"|likert))|yes\b"
    r"|no\b(?!\s+\w)|"
    r"present\b|absent\b|none\b|(?<=dce: )[01](?=\s*(?:$|[\n,;)|])))"
)
_DCE_AFTER = re.compile(
    r"(?P<value>positiv|negativ)e (?:on |for |in )?(?:dce(?!\w)|dynamic contrast|(?:early )?enhancement"
    r"|contrast enhancement|perfusion)"
)
_ENHANCEMENT = re.compile(r"(?:hyper-?)?enhanc(?:e[ds]?|ing|ement)?\b|light(?:s|ing)? up\b|uptake\b|wash-?in\b|perfusion\b")
_EARLY = re.compile(
    r"\b(?:early|focal|avid|asymmetric(?:al)?|abnormal|increased|brisk|rapid|prompt|arterial|pathologic(?:al)?|suspicious|corresponding|"
    r"associated)[\s,-]+(?:(?:and|or|contrast|arterial|phase|dynamic|focal|gadolinium|early|avid|asymmetric|"
    r"abnormal|increased|brisk|rapid|suspicious|corresponding|associated|post-?contrast)[\s,-]+)*(?:hyper-?)?$"
)
_NO_ENHANCEMENT = re.compile(
    r"\b(?:no|without|lacks?|absence of|lack of|nor|negative for|(?:does|did) not (?:show|demonstrate|exhibit))\s+(?:\w+[\s,-]+){0,5}$"
    r"|\b(?:not|nor|fails? to|failed to)(?: (?:significantly|clearly|avidly|appreciably|convincingly|early))?\s+$|\bnon-?\s?$"
)
_ENHANCES_EARLY = re.compile(r"\s+(?:is\s+|are\s+)?(?:early|avidly|rapidly|briskly)\b")
_AS_BACKGROUND = re.compile(
    r"\s+(?:is\s+|are\s+)?(?:similar to|as|like|equal to|in line with|no different from|comparable (?:to|with)|"
    r"matching)\s+(?:the\s+)?(?:background|surrounding|adjacent|normal|remaining)"
)
_DCE_WORDS = {
    "+": "positive",
    "-": "negative",
    "yes": "positive",
    "no": "negative",
    "present": "positive",
    "early": "positive",
    "absent": "negative",
    "none": "negative",
    "pos": "positive",
    "neg": "negative",
    "1": "positive",
    "0": "negative",
    "+ve": "positive",
    "-ve": "negative",
}


def find_sequence_scores(lower: str) -> list[Mention]:
    """T2W and DWI scores and the DCE assessment, from score tables, fields and sentences."""
    found: list[Mention] = []
    taken: list[tuple[int, int]] = []
    for match in (*_TRIPLE.finditer(lower), *(_TRIPLE_AFTER.finditer(lower) if "/+)" in lower or "/-)" in lower else ())):
        found += _triple(match)
        taken.append(match.span())
    for match in _SCORE_OF_BOTH.finditer(lower):
        found += _score_of_both(match) if _is_word_start(lower, match.start()) else []
    for kind, pattern in (("t2", _T2_SCORE), ("dwi", _DWI_SCORE)):
        for match in pattern.finditer(lower):
            if _is_word_start(lower, match.start()) and not _is_within(match.start(), taken):
                found.append(Mention(kind=kind, value=int(match["value"]), start=match.start(), end=match.end(), rule=f"{kind}_score"))
    for match in _SEQUENCE_RADS.finditer(lower):
        if not _is_word_start(lower, match.start()):
            continue
        kind = "t2" if match["sequence"].startswith("t2") else "dwi"
        found.append(Mention(kind=kind, value=int(match["value"]), start=match.start(), end=match.end(), rule=f"{kind}_rads"))
    for match in (
        *_SCORE_LATER.finditer(lower),
        *_SCORE_IN_FIELD.finditer(lower),
        *(_SCORE_BESIDE.finditer(lower) if "(" in lower else ()),
        *(_SCORE_OF.finditer(lower) if "score" in lower else ()),
    ):
        if not _is_word_start(lower, match.start()):
            continue
        kind = "t2" if match["sequence"].startswith("t2") else "dwi"
        found.append(Mention(kind=kind, value=int(match["value"]), start=match.start(), end=match.end(), rule=f"{kind}_score_later"))
    for match in _SCORE_ON.finditer(lower):
        for sequence in (match["sequence"], match["second"]):
            if sequence:
                kind = "t2" if sequence == "t2" else "dwi"
                found.append(Mention(kind=kind, value=int(match["value"]), start=match.start(), end=match.end(), rule=f"{kind}_score_on"))
    if "enhanc" in lower or "dce" in lower or " up " in lower or "contrast" in lower or "uptake" in lower or "perfusion" in lower:
        found += _contrast(lower, taken)
    return sorted(found, key=lambda mention: mention.start)


def _score_of_both(match: re.Match[str]) -> list[Mention]:
    kinds = ["t2" if match[name] == "t2" else "dwi" for name in ("first", "other")]
    values = (match["value"], match["second"] or match["value"])
    return [
        Mention(kind=kind, value=int(value), start=match.start(), end=match.end(), rule="score_of_both")
        for kind, value in zip(kinds, values, strict=True)
        if len(set(kinds)) == 2
    ]


def _is_word_start(lower: str, position: int) -> bool:
    """A pattern that begins with a letter instead of ``\\b`` is found several times faster."""
    return position == 0 or not lower[position - 1].isalnum()


def _is_within(position: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in spans)


def _triple(match: re.Match[str]) -> list[Mention]:
    found = []
    for kind in ("t2", "dwi"):
        if match[kind].isdigit():
            found.append(Mention(kind=kind, value=int(match[kind]), start=match.start(), end=match.end(), rule="score_triple"))
    dce = _dce_word(match["dce"] or "")
    if dce:
        found.append(Mention(kind="dce", value=dce, start=match.start(), end=match.end(), rule="score_triple"))
    return found


def _dce_word(token: str) -> str | None:
    if token.startswith(("positiv", "negativ")):
        return f"{token[:7]}e"
    return _DCE_WORDS.get(token)


def _contrast(lower: str, taken: list[tuple[int, int]]) -> list[Mention]:
    found = []
    for match in _DCE_AFTER.finditer(lower):
        found.append(Mention(kind="dce", value=f"{match['value']}e", start=match.start(), end=match.end(), rule="dce_score"))
        taken.append(match.span())
    for match in _DCE_SCORE.finditer(lower):
        value = _dce_word(match["value"])
        if match["value"] == "-" and "enhancement" in match[0] and lower[match.end() - 2] == " ":
            continue
        if value and _is_word_start(lower, match.start()) and not _is_within(match.start(), taken):
            found.append(Mention(kind="dce", value=value, start=match.start(), end=match.end(), rule="dce_score"))
            taken.append(match.span())
    for match in _ENHANCEMENT.finditer(lower):
        if not _is_within(match.start(), taken):
            found += _enhancement(lower, match)
    return found


def _enhancement(lower: str, match: re.Match[str]) -> list[Mention]:
    """ "No early enhancement" and "enhances as background" are negative; early or focal enhancement is positive."""
    window = max(0, match.start() - 80)
    early = _EARLY.search(lower, window, match.start())
    start = early.start() if early else match.start()
    negated = _NO_ENHANCEMENT.search(lower, max(0, start - 60), start)
    later = _ENHANCES_EARLY.match(lower, match.end())
    background = _AS_BACKGROUND.match(lower, match.end())
    if negated is not None or background is not None:
        first = negated.start() if negated else start
        return [Mention(kind="dce", value="negative", start=first, end=background.end() if background else match.end(), rule="dce_words")]
    if early is not None or later is not None or match[0].startswith("hyper"):
        return [Mention(kind="dce", value="positive", start=start, end=later.end() if later else match.end(), rule="dce_words")]
    return []
