"""One spelling of what breast imaging reports write in many ways, so that every pattern of the grammar reads all of them.

"Rt" becomes "Right", "BI RADS" and "BI - RADS®" become "BI-RADS", "4-B" and "4(B)" behind the system's name "4B", "22 by 18 mm"
"22 x 18 mm", "4 o clock" "4 o'clock". The offset map of the text grows by one step, so that evidence stays on the raw words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weakbox.text.normalise import Edit, EditLayer, Normalised
from weakbox.text.sections import TextSection

_SPELLINGS = (
    (
        "rads",
        re.compile(
            r"b(?<![a-z\d]b)(?:[il1]\s?-?\s?rad(?:s|5(?=[\s:=]+[0-6])|(?!\w))(?:\s?(?:®|™|\(r\)|\(tm\)))?|irads?(?:®|"
            r"™))(?![a-z])"
        ),
    ),
    ("side", re.compile(r"[lr]t(?<![\w/'][lr]t)(?![\w'])")),
    ("sided", re.compile(r"[- ]sided\b(?:(?<=left.sided)|(?<=right.sided)|(?<=\blt.sided)|(?<=\brt.sided))")),
    ("by", re.compile(r"(?<=\d) ?(?:mm|cm)? ?(?:by|\*) ?(?=\d)")),
    ("clock", re.compile(r"(?<=\d)(?: ?[o0] ?['`] ?cl[o0]ck| ?[o0][ .-]?cl[o0]ck|-o'clock| o'c\b| oc\b)")),
    ("letter", re.compile(r"l(?<![\w.,]l)(?=[.,]\d ?(?:x|cm|mm))")),
    ("unit", re.compile(r"(?:centi|milli)met(?:er|re)s?\b")),
)
_GATES = {"sided": "sided", "clock": "c", "unit": "met"}
_SUBDIVIDED = re.compile(
    r"(?:rads|categor(?:y|ies)|\bcat\.?|acr|assessment|score|left|right)[^\n;.\d]{0,30}(?<![\w+-])4(?P<gap>\s?-\s?|\s?\(|\s)"
    r"(?P<sub>[abc])(?P<close>\))?(?![\w'])"
)
_ROMAN = re.compile(
    r"rads(?:\s*(?:[:=(-]|\b(?:category|cat\.?|score|assessment|final|is)\b)){0,3}\s*(?P<roman>vi|iv|v|i{1,3})(?:(?P<sub>[abc])|"
    r"-(?P<dashed>[abc]))?(?![\w'])"
)
_LETTER_ZERO = re.compile(r"rads[ :=]{0,2}(?:category |cat\.? )?(?P<zero>o)(?![\w'])")
""" "BI-RADS O": the letter for the number."""
_NUMERALS = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}
_RADIOTHERAPY = re.compile(
    r"(?:\+|&|\b(?:post|chemo|wle|bcs|after|s/p|adjuvant|had|received|completed|lumpectomy(?: and)?|surgery(?: and)?)[ -]?)\s?$"
)
_SIDE_DOT = re.compile(r"\.(?=\s+(?:[a-z\d]|(?i:breast|axilla|[ul][oi]q|upper|lower|inner|outer)))")
_FOR_SIDE = {"lt": "left", "rt": "right"}
_UNITS = {"c": "cm", "m": "mm"}


def in_one_spelling(text: Normalised, sections: Sequence[TextSection]) -> tuple[Normalised, Sequence[TextSection]]:
    """The text and its sections with each of those words in the spelling that the grammar reads."""
    edits = _edits(text)
    if not edits:
        return text, sections
    layer = EditLayer(edits)
    pieces: list[str] = []
    position = 0
    for start, end, words in edits:
        pieces += (text.text[position:start], words)
        position = end
    changed = "".join([*pieces, text.text[position:]])
    spelled = replace(
        text,
        text=changed,
        lower=changed.lower(),
        layers=(*text.layers, layer),
        repaired=tuple(_moved(span, layer) for span in text.repaired),
        masked=tuple(_moved(span, layer) for span in text.masked),
    )
    return spelled, [_moved_section(section, layer) for section in sections]


def _moved(span: tuple[int, int], layer: EditLayer) -> tuple[int, int]:
    return layer.position_after(span[0]), layer.position_after(span[1])


def _moved_section(section: TextSection, layer: EditLayer) -> TextSection:
    start, end = _moved((section.start, section.end), layer)
    return replace(section, start=start, end=end, heading=_moved(section.heading, layer) if section.heading else None)


def _edits(text: Normalised) -> list[Edit]:
    lower = text.lower
    edits = [
        edit
        for name, pattern in _SPELLINGS
        if _GATES.get(name, "") in lower
        for match in pattern.finditer(lower)
        if (edit := _edit(name, match, text)) is not None
    ]
    for match in _SUBDIVIDED.finditer(lower):
        if match["gap"].strip() != "(" or match["close"]:
            edits.append((match.start("gap"), match.end(), text.text[slice(*match.span("sub"))]))
    edits += [(match.start("zero"), match.end(), " 0") for match in _LETTER_ZERO.finditer(lower)]
    for match in _ROMAN.finditer(lower):
        sub = (match["sub"] or match["dashed"] or "").upper()
        edits.append((match.start("roman"), match.end(), _NUMERALS[match["roman"]] + sub))
    return _without_overlap(sorted([*edits, *_soft_line_ends(text)]))


def _without_overlap(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in edits:
        if not kept or edit[0] >= kept[-1][1]:
            kept.append(edit)
    return kept


_LINE_END = re.compile(r"(?<=[a-z\d,)])[ \t]*\n[ \t]*(?!bi-?rads)(?=[a-z]{2,}[ ,:.;-])")
_FULL = 40


def _soft_line_ends(text: Normalised) -> list[Edit]:
    """Where a long line goes on in small letters, its end parts no words."""
    edits: list[Edit] = []
    for match in _LINE_END.finditer(text.text):
        start = text.text.rfind("\n", 0, match.start()) + 1
        stop = text.text.find("\n", match.end())
        line, following = text.text[start : match.start()], text.text[match.end() : stop if stop >= 0 else len(text.text)]
        if len(line) >= _FULL and not _is_in_columns(line) and not _is_in_columns(following) and any(map(str.isupper, line)):
            edits.append((match.start(), match.end(), " "))
    return edits


def _is_in_columns(line: str) -> bool:
    return "|" in line or "\t" in line or "   " in line.strip()


def _edit(name: str, match: re.Match[str], text: Normalised) -> Edit | None:
    start, end = match.span()
    words = text.text[start:end]
    if name == "side":
        dot = _SIDE_DOT.match(text.text, end)
        end = dot.end() if dot else end
        if match[0][0] == "r" and words[1] == "T" and _RADIOTHERAPY.search(text.lower, max(0, start - 24), start):
            return None
        side = _FOR_SIDE[match[0]]
        spelled = side.upper() if words[:2].isupper() else side.capitalize() if words[0].isupper() else side
    elif name == "sided":
        spelled = ""
    elif name == "rads":
        spelled = "BI-RADS" if words[0].isupper() else "bi-rads"
    elif name == "by":
        unit = re.match(r" ?(mm|cm)", match[0])
        spelled = f"{unit[0] if unit else ''} x "
    elif name == "clock":
        spelled = " O'CLOCK" if words.isupper() else " o'clock"
    elif name == "letter":
        spelled = "1"
    else:
        spelled = _UNITS[match[0][0]]
    return None if spelled.lower() == words.lower() else (start, end, spelled)
