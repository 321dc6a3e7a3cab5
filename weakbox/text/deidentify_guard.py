"""What must survive de-identification: sizes, scores, clock positions, slice numbers, lab values and the names in medical terms."""

from __future__ import annotations

import re
from functools import cache

from weakbox.text.deidentify_words import as_alternation, phi_words

_NUMBER = r"\d+(?:[.,]\d+)?"
_UNIT = (
    r"(?:mm|cm|ml|cc|cm3|cm³|mm2|mm²|ng|µg|ug|mg|kg|g|mmol|Tesla|T|%|ms|msec|s/mm2|s/mm²|HU|MHz|kV|mAs|min|sec|Gy|mikrog|"
    r"cores?|biops\w*|Stanzen|"
    r"Zylinder|biopten|kolvar|cilindros|carottes|nanogram\w*)"
)
_SIZE = re.compile(rf"{_NUMBER}(?:\s*(?:mm|cm))?(?:\s*[xX×*]\s*{_NUMBER}(?:\s*(?:mm|cm))?){{1,2}}(?:\s*{_UNIT}\b)?")
_DOTTED_SIZE = re.compile(r"\d{1,2}\.\d{1,2}\.\d{1,2}(?=\s*(?:mm|cm)\b)")
_MEASURED = re.compile(rf"(?<![\d.,/]){_NUMBER}(?:\s*-\s*{_NUMBER})?\s*{_UNIT}(?![^\W\d_])")
_GLEASON = re.compile(r"\b[1-5]\s*\+\s*[1-5](?:\s*\+\s*[1-5])?(?:\s*=\s*\d{1,2})?")
_SCORE = re.compile(
    r"\b(?:PI-?\s?RADS|BI-?\s?RADS|Gleason|Likert|ISUP|GGG?|PSA[DV]?|ACR|Ki-?67|PI-?QUAL|PRECISE|UCLA|pT|cT|ypT|pN|SUV\w*|grade group|"
    r"score)\s*(?:v(?:ersion)?\.?\s*\d(?:\.\d)?)?\s*[:=]?\s*\d+(?:[.,]\d+)?(?:\s*[-/+]\s*\d+)?(?![./]\d)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d:.])(?:1[0-2]|0?[1-9])(?:[:.h](?:00|30))?\s*(?:-\s*(?:1[0-2]|0?[1-9])(?:[:.h](?:00|30))?\s*)?"
    r"(?:o['’]?\s?clock|Uhr\b|uur\b|h\b|klockan|position\b|axis\b)"
    r"|\b(?:kl\.?|klockan|à|a las|at|@)\s*(?:1[0-2]|0?[1-9])(?:[:.h](?:00|30))?(?![\d:.])",
    re.IGNORECASE,
)
_IMAGE = re.compile(
    r"\b(?:image|images|img|im|slice|series|ser|se|bild|schicht|serie|snede|coupe|imagen|imágenes|corte|snitt|beeld|sequence)s?\s*"
    r"[#:.]?\s*\d{1,4}(?:\s*[/-]\s*\d{1,4})?(?![./]\d)",
    re.IGNORECASE,
)
_BVALUES = re.compile(r"\bb\s*[=-]?\s*\d{1,4}(?:\s*[,/;-]\s*(?:b\s*=?\s*)?\d{1,4})*", re.IGNORECASE)


@cache
def _eponyms() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{as_alternation(phi_words().eponyms)})(?:['’]s)?(?!\w)", re.IGNORECASE)


def protected_spans(text: str) -> list[tuple[int, int]]:
    """Stretches that only a label or a checksum may mask, in order of their starts."""
    patterns = (_SIZE, _DOTTED_SIZE, _MEASURED, _GLEASON, _SCORE, _CLOCK, _IMAGE, _BVALUES)
    return sorted(match.span() for pattern in patterns for match in pattern.finditer(text))


def eponym_spans(text: str) -> list[tuple[int, int]]:
    """Where names stand that are medicine."""
    return [match.span() for match in _eponyms().finditer(text)]
