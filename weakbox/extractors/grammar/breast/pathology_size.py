"""The size of a tumour: the greatest invasive one, or the extent of pure carcinoma in situ; never that of a specimen or an image."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from weakbox.extractors.grammar.breast.pathology_mentions import Mention
from weakbox.extractors.grammar.breast.pathology_tables import Table
from weakbox.extractors.grammar.pathology.facts import Fact


class Measured(StrEnum):
    """What a length is of."""

    INVASIVE = "invasive"
    IN_SITU = "in_situ"
    WHOLE = "whole"
    """Invasive and in situ together."""
    TUMOUR = "tumour"
    """The tumour, without saying which part."""
    BARE = "bare"
    """Beside a diagnosis, without words for what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A largest diameter in mm at ``start:end``; ``owner`` is the finding in whose sentence it stands."""

    value_mm: float
    start: int
    end: int
    measured: Measured
    is_range: bool = False
    owner: Mention | None = None
    column: str | None = None
    """The specimen in whose column of a table it stands."""


_NUMBER = r"\d{1,3}(?:[.,]\d{1,2})?"
_UNIT = r"(?:mms?|cms?|millimet(?:er|re)s?|centimet(?:er|re)s?)(?![\w²³^])"
_BY = r"\s*(?:x|\*|by)\s*"
_LENGTH = re.compile(
    rf"(?<![\w.,/^+])(?P<a>{_NUMBER})\s?-?(?P<ua>{_UNIT})?(?:{_BY}(?P<b>{_NUMBER})\s?(?P<ub>{_UNIT})?(?:{_BY}(?P<c>{_NUMBER})\s?(?P<uc>{_UNIT})?)?"
    rf"|\s?(?:-|to)\s?(?P<r>{_NUMBER})\s?(?P<ur>{_UNIT}))?(?![\w])"
)
_KEY_UNIT = re.compile(r"\((?:in\s+)?(?P<unit>mm|cm)\)\W{0,12}$|\b(?P<unit2>mm|cm)\W{1,4}$|,\s*(?P<unit3>mm|cm)\s*[:|]\s*$")
_NEVER = re.compile(
    r"\b(?:margins?|clear(?:ed|ance)?\b|distan\w*|\bfrom\b|within|closest|nearest|cores?\b|aggregat\w*|specimen(?! (?:a|b|c|d|1|2|3)\b)"
    r"|received|weigh\w*|blocks?\b|slices?|tumou?r bed"
    r"|\bbed\b|cavity|clip|nodes?\b|nodal|deposit|metasta\w*|ultraso\w*|mammo\w*|\bmri\b|radiolog\w*|imaging|x-?ray|skin|ellipse"
    r"|nipple|cysts?\b|field|hpf"
    r"|ink(?:ed)?\b|deep\b|superficial|anterior\b|posterior\b|inferior\b|superior\b|medial\b|lateral\b|fibrofatty|tissue|strips?"
    r"|pieces?|fragments?|labell?ed|diameter of the core"
    r"|extranodal|extracapsular|prior|previous|clinical|on us\b|usg|palpa\w*|length|scar\b|implant|away|fibrous area|area of fibrosis"
    r"|thickening|gauge|shav\w*|re-?excision|satellite skin|threshold|fixation)"
)
_NEVER_AFTER = re.compile(
    r"\s*(?:\(?(?:on|by|at)\s+(?:the\s+)?(?:us\b|ultra\w*|mammo\w*|mri|imaging|usg)|from\b|away|to the (?:closest|nearest|margin|deep"
    r"|posterior|anterior|ink)|margin|clear|core|specimen"
    r"|(?:on|per) (?:ultra\w*|mammo\w*|mri|imaging|us\b)|deposit|metasta\w*|node|cyst|tumou?r bed|bed\b|(?:nodal )?metasta"
    r"|of (?:the )?(?:margin|node)|sclerosed|in length|strips?|micromet)"
)
_INVASIVE = re.compile(
    r"(?:invasive|infiltrating|infiltrative)[\w\s()/,-]{0,45}?(?:size|diameter|dimension|extent|focus|foci|component|tumou?r|measur\w*)\b"
    r"|(?:size|diameter|dimensions?|extent|focus)[\w\s()-]{0,25}?(?:of|for)\s+(?:the\s+)?(?:largest\s+)?(?:invasive|infiltrating)"
    r"|invasive (?:carcinoma|tumou?r|cancer|component)|micro-?\s?invasi\w+"
)
_WHOLE = re.compile(
    r"(?:whole|total|overall|combined|including|incl?\.?|inc\.?)[\w\s()./+-]{0,30}?(?:size|extent|dcis|in situ|lesion"
    r"|tumou?r)[\w\s()./+-]{0,20}$|(?:size|extent)[\w\s()]{0,12}(?:including|inc\.?|incl\.?|with)\b"
)
_IN_SITU = re.compile(r"(?:dcis|in situ|intraductal)[^.;\n]{0,60}$")
_TUMOUR = re.compile(
    r"(?:tumou?r|lesion|carcinoma|cancer|mass|neoplasm|growth)\W{0,3}(?:\w+\W+){0,3}?(?:size|diameter|dimensions?|extent|measur\w*)"
    r"|(?:size|diameter|dimensions?|extent)\W{0,3}(?:\w+\W+){0,4}?"
    r"(?:tumou?r|lesion|carcinoma|focus|foci)|(?:^\s*|[\n;,.]\s*|\|\s*)(?:max\w*\s+|greatest\s+|largest\s+|pathologic\w*\s+"
    r"|microscopic\s+|histologic\w*\s+)*(?:size|extent|sizes|diameter|dimension)\b|foc(?:us|i)\s+(?:\w+\s+){0,2}measur\w*|\bfoc(?:us|i)\s*#?\d?\s*[:=]"
    r"|largest focus|extent\b|spans?|spanning"
    r"|over an area|focality[^\n]{0,40}sizes?|sizes?\s*[:=]"
)
_WHOLE_AFTER = re.compile(r"[ \t]{0,2}\(?(?:incl\w*\b|inc\b|total\b|in total|overall|whole|with (?:dcis|in situ|lcis)|combined|dcis\s*\+)")
_INVASIVE_AFTER = re.compile(r"[ \t]{0,2}\(?(?:invasive\b(?! (?:margin|front))|infiltrating\b|of invasive)")
_OTHER_FIELD = re.compile(r"\d\s?(?:mm|cm)\b(?=\s{2,})")
_ACROSS = re.compile(
    r"(?:over|across|spanning|spans|extending (?:over|for)|measur\w*|scattered over)\s*(?:a|an|about|approximately|up to|~|area of|\s)*$"
)
_ONLY_ON_CORES = re.compile(
    r"(?:tumou?r|invasive|carcinoma|lesion|cancer|dcis)[\w\s(),]{0,30}(?:size|dimension|diameter)|(?:size|dimension"
    r"|diameter)[\w\s]{0,20}(?:tumou?r|carcinoma|invasive|focus)|linear extent of (?:the )?(?:tumou?r|invasive|carcinoma)"
)
_LOOK_BACK = 90


def find_sizes(lower: str, mentions: Sequence[Mention], tables: Sequence[Table] = (), *, is_core: bool) -> list[Size]:
    """Every length of the text that is a tumour's, in order. On cores (``is_core``) only one that is called a tumour's dimension counts."""
    if "mm" not in lower and "cm" not in lower and "imet" not in lower:
        return []
    starts = [mention.start for mention in mentions]
    found = _cell_sizes(lower, tables) if tables and not is_core else []
    for match in _LENGTH.finditer(lower):
        value = _largest(match, lower)
        if value is None or not 0 < value <= 300:
            continue
        size = _size(lower, match, value, mentions, starts, is_core=is_core)
        if size is not None:
            found.append(size)
    return sorted(found, key=lambda size: size.start)


_CELL = re.compile(rf"\W*(?P<value>{_NUMBER})(?:{_BY}{_NUMBER})*\s?(?P<unit>{_UNIT})?")


def _cell_sizes(lower: str, tables: Sequence[Table]) -> list[Size]:
    found = []
    for table in tables:
        for cell in (cell for cell in table.cells if cell.key == "size"):
            match = _CELL.match(lower, cell.start, cell.end)
            head = lower[table.headers[0][0] : table.headers[0][1]]
            unit = (
                (match["unit"] or ("cm" if re.search(r"\bcm\b", head) else "mm" if re.search(r"\bmm\b", head) else None)) if match else None
            )
            if match is not None and unit is not None:
                value = round(float(match["value"].replace(",", ".")) * (10 if unit.startswith("c") else 1), 3)
                found.append(Size(value_mm=value, start=cell.start, end=match.end(), measured=Measured.TUMOUR, column=cell.owner))
    return found


def _largest(match: re.Match[str], lower: str) -> float | None:
    units = [match[name] for name in ("uc", "ub", "ur", "ua") if match[name]]
    if not units:
        key = _KEY_UNIT.search(lower, max(0, match.start() - 24), match.start())
        if key is None:
            return None
        units = [key["unit"] or key["unit2"] or key["unit3"]]
    numbers = [float(match[name].replace(",", ".")) for name in ("a", "b", "c", "r") if match[name]]
    value = max(numbers) * (10 if units[0].startswith("c") else 1)
    return round(value, 3)


_DOT = re.compile(r"\.(?=\s|$)")


def _sentence_start(lower: str, position: int) -> int:
    start = max(0, position - 160)
    line = lower.rfind("\n", start, position)
    if line > start and not lower[line:position].strip() and lower[start:line].rstrip().endswith(":"):
        line = lower.rfind("\n", start, line)
    begin = max(line, lower.rfind(";", start, position))
    stop = begin + 1 if begin >= 0 else start
    last = None
    for dot in _DOT.finditer(lower, stop, position):
        last = dot
    return last.end() if last else stop


def _size(
    lower: str, match: re.Match[str], value: float, mentions: Sequence[Mention], starts: Sequence[int], *, is_core: bool
) -> Size | None:
    start, end = match.span()
    sentence = _sentence_start(lower, start)
    before = lower[max(sentence, start - _LOOK_BACK) : start]
    if _is_never(before) or _NEVER_AFTER.match(lower, end):
        return None
    owner = _owner(lower, mentions, starts, sentence, start, end)
    measured = _measured(before, lower[end : end + 40], owner)
    if measured is None or (is_core and _ONLY_ON_CORES.search(before) is None):
        return None
    return Size(value_mm=value, start=start, end=end, measured=measured, is_range=bool(match["r"]), owner=owner)


_CLAUSE = re.compile(r"\bcontain\w*|\bwithin which\b|,\s|\s-\s|\(|\)|:\s")


def _is_never(before: str) -> bool:
    """Whether the words say that something else is measured; a later comma or colon begins anew."""
    ends = [match.end() for match in _NEVER.finditer(before)]
    if not ends:
        return False
    rest = before[ends[-1] :]
    return not (_CLAUSE.search(rest) and (_TUMOUR.search(rest) or _INVASIVE.search(rest) or "carcinoma" in rest))


def _owner(lower: str, mentions: Sequence[Mention], starts: Sequence[int], sentence: int, start: int, end: int) -> Mention | None:
    """The last finding before it in its sentence, otherwise one that directly follows ("a 12 mm focus of DCIS")."""
    index = bisect_left(starts, start)
    if index and mentions[index - 1].start >= sentence:
        return mentions[index - 1]
    if index < len(mentions) and mentions[index].start - end <= 45 and re.fullmatch(r"[\w\s,()-]*", lower[end : mentions[index].start]):
        return mentions[index] if "\n" not in lower[end : mentions[index].start] else None
    return None


def _measured(before: str, after: str, owner: Mention | None) -> Measured | None:
    other = list(_OTHER_FIELD.finditer(before))
    before = before[other[-1].end() :] if other else before
    if _WHOLE.search(before) or _WHOLE_AFTER.match(after):
        return Measured.WHOLE
    if _INVASIVE_AFTER.match(after):
        return Measured.INVASIVE
    if owner is not None and owner.is_invasive and _ACROSS.search(before) and owner.start < owner.end:
        return Measured.INVASIVE
    if _INVASIVE.search(before):
        return Measured.IN_SITU if _IN_SITU.search(before[-40:]) and not _INVASIVE.search(before[-40:]) else Measured.INVASIVE
    if _IN_SITU.search(before) or (owner is not None and owner.histology == "dcis"):
        return Measured.IN_SITU
    if _TUMOUR.search(before):
        return Measured.TUMOUR
    if owner is not None and owner.diagnosis == "malignant" and not owner.is_absent and not owner.is_metastatic:
        return Measured.BARE
    return None


def size_of(sizes: Sequence[Size], *, is_in_situ: bool) -> Fact | None:
    """The greatest size that the best words state; extents of carcinoma in situ count only where there is nothing else."""
    order = (
        ((Measured.IN_SITU,), (Measured.TUMOUR, Measured.WHOLE), (Measured.BARE,))
        if is_in_situ
        else ((Measured.INVASIVE,), (Measured.TUMOUR,), (Measured.BARE,))
    )
    for kinds in order:
        suited = [size for size in sizes if size.measured in kinds]
        if suited:
            chosen = max(suited, key=lambda size: size.value_mm)
            value = int(chosen.value_mm) if chosen.value_mm == int(chosen.value_mm) else chosen.value_mm
            flags = ("range",) if chosen.is_range else ()
            confidence = 0.88 if chosen.measured is Measured.BARE else 0.95
            return Fact(value=value, spans=((chosen.start, chosen.end),), confidence=confidence, rule=chosen.measured.value, flags=flags)
    return None
