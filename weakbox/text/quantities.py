"""Numbers with a meaning: sizes, volumes, PSA and its density, with unit, axes, range and operator."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum


class Measured(StrEnum):
    """What a length or size is of, as the words around it say."""

    LESION = "lesion"
    GLAND = "gland"
    NODE = "node"
    DISTANCE = "distance"
    CONTACT = "contact"
    TECHNIQUE = "technique"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One to three lengths in mm in the order of the text, at ``start:end`` of the text read.

    ``axes`` names each length where the text does (``ap``, ``tr``, ``cc``), else "". A range ("8-10 mm") keeps its
    higher end and sets ``low_mm``. ``operator`` is ``<``, ``>``, ``~`` or "".
    """

    values_mm: tuple[float, ...]
    start: int
    end: int
    axes: tuple[str, ...] = ()
    low_mm: float | None = None
    operator: str = ""
    is_unit_inferred: bool = False
    measured: Measured = Measured.LESION

    @property
    def largest_mm(self) -> float:
        return max(self.values_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One number at ``start:end`` of the text read; a range keeps its higher end and sets ``low``."""

    value: float
    start: int
    end: int
    unit: str = ""
    low: float | None = None
    operator: str = ""


def parse_number(token: str) -> float:
    """A number with a decimal point or a decimal comma.

    >>> parse_number("0,15")
    0.15
    """
    return float(token.replace(",", "."))


_NUMBER = r"(?:\d{1,3}(?:[.,]\d{1,2})?|[.,]\d{1,2})"
_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)(?![\w^/])"
_AXIS_WORD = (
    r"(?:ap|a-p|antero-?posterior|tr(?:ans(?:v(?:erse)?)?|v)?|tv|t|rl|r-l|lr|l-r|ml|w(?:idth)?|wide|cc|c-c|cranio-?caudal|si|s-i|"
    r"supero-?inferior|h(?:eight)?|tall|sag(?:ittal)?"
    r"|cor(?:onal)?|ax(?:ial)?|l(?:ength)?|long|d(?:epth)?)"
)
_AXIS = rf"(?:\s?\(\s?{_AXIS_WORD}\s?\)|\s{_AXIS_WORD}\b(?!\s?[:=]))"
_BY = r"\s*(?:x|\*|by)\s*"
_SIZE = re.compile(
    rf"(?<![\w.,/^])(?P<a>{_NUMBER})(?:"
    rf"\s?(?P<ua>{_UNIT})?(?P<xa>{_AXIS})?{_BY}(?P<b>{_NUMBER})\s?(?P<ub>{_UNIT})?(?P<xb>{_AXIS})?"
    rf"(?:{_BY}(?P<c>{_NUMBER})\s?(?P<uc>{_UNIT})?(?P<xc>{_AXIS})?)?(?:\s?(?P<u>{_UNIT}))?"
    rf"|\s?(?P<ur>{_UNIT})?\s?(?:-|to|/)\s?(?P<r>{_NUMBER})\s?(?P<u2>{_UNIT})"
    rf"|[\s-]?(?P<u1>{_UNIT}))(?!\d|[.,]\d)"
)
_OPERATOR = re.compile(
    r"(?:(?P<less><|less than|under|smaller than|below|up to|at most)|(?P<more>>|more than|greater than|over|at least|larger than|"
    r"exceed(?:s|ing))|(?P<about>~|approx(?:imately|\.)?|about|around|roughly|ca\.?|circa|approximat\w+|some))\s*$"
)
_AXIS_NAMES = (
    ("ap", ("ap", "a-p", "antero", "anteroposterior", "d")),
    ("tr", ("tr", "tv", "t", "rl", "r-l", "lr", "l-r", "ml", "w", "ax")),
    ("cc", ("cc", "c-c", "cran", "si", "s-i", "sup", "h", "tall", "l", "sag", "cor")),
)


def find_sizes(text: str, start: int = 0, end: int | None = None) -> list[Size]:
    """Every size of ``text[start:end]``; what each is of is judged from the words around it."""
    lower = text.lower()
    sizes: list[Size] = []
    for match in _SIZE.finditer(lower, start, len(lower) if end is None else end):
        size = _size(match, lower)
        if size is not None:
            sizes.append(size)
    if len(sizes) > 1:
        sizes = _with_listed(sizes, lower)
    return sizes


_AXIS_NAMED = (
    r"(?:ap|a-p|antero-?posterior(?:ly)?|tr(?:v|ans)?|transvers(?:e|ely)|cc|cranio-?caudal(?:ly)?|si|supero-?inferior(?:ly)?|width|height"
    r"|length|"
    r"depth|wide|tall|long|deep|sagittal(?:ly)?|axial(?:ly)?|coronal(?:ly)?|lr|rl|left to right|right to left)"
)
_NAMED_AFTER = re.compile(
    rf"\s*[(,]?\s*(?:in (?:the )?|on (?:the )?)?(?P<axis>{_AXIS_NAMED})\)?(?: (?:dimension|diameter|plane|direction|axis|extent"
    rf"|measurement))?"
    r"\s*(?:,|and|x|by|/|,\s*and)\s*"
)
_NAMED_BEFORE = re.compile(rf"\s*(?:,|and|x|by|/|;|,\s*and)\s*(?P<axis>{_AXIS_NAMED})\s*[:=]?\s*")


def _with_listed(sizes: list[Size], lower: str) -> list[Size]:
    """ "31 mm transversely, 17 mm AP and 28 mm craniocaudally" is one size of three lengths."""
    merged: list[Size] = []
    for size in sizes:
        before = merged[-1] if merged else None
        gap = lower[before.end : size.start] if before else ""
        is_next = (
            before is not None
            and len(before.values_mm) < 3
            and len(size.values_mm) == 1
            and size.low_mm is None
            and len(gap) < 45
            and bool(_NAMED_AFTER.fullmatch(gap) or _NAMED_BEFORE.fullmatch(gap))
        )
        if before is not None and is_next:
            merged[-1] = replace(before, values_mm=(*before.values_mm, *size.values_mm), end=size.end)
        else:
            merged.append(size)
    return merged


def _size(match: re.Match[str], lower: str) -> Size | None:
    group = match.groupdict()
    if group["b"]:
        return _product(match, group, lower)
    unit = group["u2"] or group["u1"]
    if group["r"]:
        if _CHANGED_FROM.search(lower[max(0, match.start() - 12) : match.start()]):
            return _changed(match, group, unit, lower)
        first, second = (_millimetres(group[name], group[name_unit] or unit) for name, name_unit in (("a", "ur"), ("r", "u2")))
        if not first < second:
            return None
        values: tuple[float, ...] = (second,)
        low: float | None = first
    else:
        values, low = (_millimetres(group["a"], unit),), None
    if values[0] <= 0:
        return None
    operator = _operator(lower, match.start())
    return Size(
        values_mm=values,
        start=match.start(),
        end=match.end(),
        low_mm=low,
        operator=operator,
        measured=measured_at(lower, match.start(), match.end()),
    )


_CHANGED_FROM = re.compile(r"\bfrom\s*$")


def _changed(match: re.Match[str], group: dict[str, str | None], unit: str | None, lower: str) -> Size:
    """ "From 8 mm to 12 mm" is 12 mm now."""
    start = match.start("r")
    return Size(values_mm=(_millimetres(group["r"], unit),), start=start, end=match.end(), measured=measured_at(lower, start, match.end()))


_POWER_OF_TEN = re.compile(r"\s?(?:\^|e)?\s?-?\s?[36]\b")


def _product(match: re.Match[str], group: dict[str, str | None], lower: str) -> Size | None:
    if group["b"] == "10" and not group["c"] and _POWER_OF_TEN.match(lower, match.end()):
        return None
    numbers = [(group[name], group[f"u{name}"], group[f"x{name}"]) for name in "abc" if group[name]]
    stated = group["u"] or next((unit for _, unit, _ in reversed(numbers) if unit), None)
    unit = stated or (
        "cm" if all(parse_number(number or "0") < 8 and "." in (number or "").replace(",", ".") for number, _, _ in numbers) else "mm"
    )
    values = tuple(_millimetres(number or "0", own or unit) for number, own, _ in numbers)
    if min(values) <= 0:
        return None
    end = match.end()
    return Size(
        values_mm=values,
        start=match.start(),
        end=end,
        axes=tuple(_axis_name(axis) for _, _, axis in numbers) if any(axis for _, _, axis in numbers) else (),
        operator=_operator(lower, match.start()),
        is_unit_inferred=stated is None,
        measured=measured_at(lower, match.start(), end),
    )


def _millimetres(number: str | None, unit: str | None) -> float:
    value = parse_number(number or "0")
    return round(value * 10, 3) if (unit or "mm").startswith("c") else value


def _axis_name(axis: str | None) -> str:
    word = (axis or "").strip(" ()")
    if not word:
        return ""
    best = max(((len(prefix), name) for name, prefixes in _AXIS_NAMES for prefix in prefixes if word.startswith(prefix)), default=(0, ""))
    return best[1]


def _operator(lower: str, start: int) -> str:
    match = _OPERATOR.search(lower[max(0, start - 22) : start])
    if match is None:
        return ""
    return {"less": "<", "more": ">", "about": "~"}[match.lastgroup or "about"]


_CLAUSE_START = re.compile(r"[;\n]|\.\s")
_TECHNIQUE = re.compile(r"slice|thickness|in-plane|\bfov\b|field of view|voxel|resolution|matrix|\bgap\b|pixel|interval of|section")
_CONTACT = re.compile(r"contact|abut\w*|capsular (?:length|involvement)|broad[- ]based|interface|along the capsule|of the capsule")
_CONTACT_AFTER = re.compile(
    r"^\s?(?:of )?(?:broad |broad-based |smooth )?(?:capsular |length of )?(?:contact|abut\w*|interface|length of capsular)"
)
_DISTANCE_AFTER = re.compile(
    r"^\W*(?:away )?(?:from|anterior to|posterior to|above|below|proximal|distal to|deep to|off|cranial|caudal|superior to|inferior "
    r"to|lateral to|medial to|beyond|outside|into the)\b(?! the (?:prior|previous))"
)
_DISTANCE_BEFORE = re.compile(
    r"(?:distance|protru\w*|intravesical\w*|margin of|urethral length\w*|membranous urethra\w*|wall thickness\w*|"
    r"bulg\w*)[^.;]{0,30}$|\b(?:extend(?:s|ing)|protrud\w+)(?: by)?(?: approximately| about)?\s*$"
)
_NODE = re.compile(r"\b(?:lymph|nod(?:e|es|al)\b|lymphadenopathy|iliac|obturator|short[- ]axis|adenopathy)")
_NODE_AFTER = re.compile(
    r"\W*(?:(?:in |of )?(?:the )?(?:left|right|bilateral|short|axis|external|internal|common|round|oval|enlarged|suspicious|prominent"
    r"|borderline|"
    r"single|diameter|pelvic|lt|rt|medial|proximal|distal)\W+){0,4}(?:lymph|nod(?:e|es|al)\b|iliac|obturator|inguinal|short[- ]axis"
    r"|adenopathy|ln\b)"
)
_GLAND = re.compile(
    r"(?:prostate(?: gland)?|(?<!mid)(?<!mid )(?<!mid-)(?<!central )gland|whole gland|prostatic)(?: dimensions?| size| volume| itself| is "
    r"enlarged)?(?: \([^)]{0,30}\))?(?: is| was|:| =|,| and)?(?: (?:enlarged|normal in size|mildly|moderately|markedly|prominent|"
    r"overall|it))*"
    r"(?:,? (?:measur\w+|size|at|of|dimensions?|and measures|estimated(?: at)?|approximately|about|which "
    r"measures))*[:=,]?\s*(?:approximately |about |~|ca\.? )?(?:\(?(?:ap|tr|cc|w|h|l|ml|si)[^\d]{0,12})?$"
)
_GLAND_LABEL = re.compile(r"(?:prostate|gland|prostatic)\s*(?:gland)?\s*(?:size|dimensions?|volume|measurements?)[^.;\n]{0,25}$")
_VOLUME_AFTER = re.compile(
    r"^[^.;\n]{0,40}?(?:=|volume|corresponding to|calculated|equating|for a|giving|yielding|\(|,)\s*[^.;\n]{0,40}?\d\s?(?:ml|cc|cm3|"
    r"cm\^3|g\b|gram)"
)
_OTHER = re.compile(
    r"\b(?:cysts?|utricle|hernia|hydrocele|aneurysm|diverticul\w+|stones?|calcul(?:us|i)|polyp|granuloma|lipoma|ha?emangioma|lung"
    r"|pulmonary|hepatic|renal|liver|adnexal|lymphocele|abscess|bladder wall|median lobe|kidney|bone "
    r"island|sclerotic|hip|screw|tarlov|intravesical)\b"
)
_LESION_WORD = re.compile(r"lesion|foc(?:us|i)|nodule|\broi\b|target|region of interest|abnormalit|area|tumou?r|mass|index|pi-?rads")


def measured_at(lower: str, start: int, end: int) -> Measured:
    """What the length at ``start:end`` of lower-case text is of, by the words of its clause."""
    before = lower[max(0, start - 110) : start]
    before = before[max((stop.end() for stop in _CLAUSE_START.finditer(before)), default=0) :]
    after = re.split(r"[;\n]|\.\s", lower[end : end + 70], maxsplit=1)[0]
    if _TECHNIQUE.search(before[-45:]) or _TECHNIQUE.match(after.strip()[:20]):
        return Measured.TECHNIQUE
    if _CONTACT_AFTER.match(after) or _CONTACT.search(before[-38:]):
        return Measured.CONTACT
    if _DISTANCE_AFTER.match(after) or _DISTANCE_BEFORE.search(before):
        return Measured.DISTANCE
    if _NODE.search(before) or _NODE_AFTER.match(after):
        return Measured.NODE
    if (_GLAND.search(before) or _GLAND_LABEL.search(before)) and not _is_small(lower[start:end]):
        return Measured.GLAND
    if _OTHER.search(before[-40:]) or _OTHER.match(after.strip()):
        return Measured.OTHER
    return (
        Measured.GLAND
        if _VOLUME_AFTER.match(after) and not _LESION_WORD.search(before) and _is_gland_sized(lower[start:end])
        else Measured.LESION
    )


def _is_small(cut: str) -> bool:
    """No dimension reaches 2 cm: no gland is so small."""
    return max(parse_number(number) for number in re.findall(_NUMBER, cut)) * (10 if "c" in cut else 1) < 20


def _is_gland_sized(cut: str) -> bool:
    """Three dimensions, one of them at least 2.5 cm."""
    numbers = [parse_number(number) for number in re.findall(_NUMBER, cut)]
    factor = 10 if "c" in cut else 1
    return len(numbers) == 3 and max(numbers) * factor >= 25


_VOLUME = re.compile(
    r"(?<![\w.,/^])(?P<value>\d{1,3}(?:[.,]\d{1,2})?)(?:\s?(?:-|to)\s?(?P<high>\d{1,3}(?:[.,]\d{1,2})?))?[\s-]?"
    r"(?P<unit>mls?|m l|ccs?|ccm|cm3|cm\^3|cm 3|cu\.? ?cm|cubic (?:cm|centimet(?:er|re)s?)|millilit(?:er|re)s?|g|gm|grams?)(?![\w^/])"
)


def find_volumes(text: str, start: int = 0, end: int | None = None) -> list[Quantity]:
    """Every number with a unit of volume (or grams) in ``text[start:end]``, in mL."""
    lower = text.lower()
    quantities = []
    for match in _VOLUME.finditer(lower, start, len(lower) if end is None else end):
        high = match["high"]
        quantities.append(
            Quantity(
                value=parse_number(high or match["value"]),
                start=match.start(),
                end=match.end(),
                unit="g" if match["unit"].startswith("g") else "ml",
                low=parse_number(match["value"]) if high else None,
                operator=_operator(lower, match.start()),
            )
        )
    return quantities
