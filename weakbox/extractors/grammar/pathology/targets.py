"""Which MRI lesion a specimen names: ``ROI 1``, ``MRI target #2``, ``Lesion B``."""

from __future__ import annotations

import re

from weakbox.extractors.grammar.pathology.facts import Fact, holds

_NOUN = (
    r"(?:ROIs?|regions?\s+of\s+interest|(?:(?:MRI?|MP-?MRI|fusion|US|MR/US|MRI/US|PI-?RADS)[\s/-]*)*(?:index\s+)?(?:targets?|targeted)"
    r"(?:\s+(?:lesions?|biops(?:y|ies)|areas?|sites?|regions?|nodules?|cores?))?"
    r"|(?:MRI?|index|mpMRI|suspicious|visible)?[\s-]*lesions?|areas?\s+of\s+interest|MRI\s+(?:nodule|area|abnormality|site)s?"
    r"|UroNav\s+targets?|Artemis\s+targets?)"
)
_LABELLED = re.compile(
    rf"\b(?=[rmfupitsvla]|[\s-]+lesion){_NOUN}\s*(?:\b(?:no\.?|number|nr\.?|label(?:l?ed)?)\s*|[#:(-]\s*){{0,2}}(?P<label>\d{{1,2}}[a-z]?|[A-H]|I{{1,3}}|IV|V)\b"
    r"(?!\s*(?:cores?|of\b|x\s?\d|/|\.\d|mm|cm|%|\+|needle|biops|samples?|specimens?|pieces?|fragments?|out\b))(?!['’])",
    re.IGNORECASE,
)
_CASE_SENSITIVE = re.compile(r"[A-H]|I{1,3}|IV|V|\d{1,2}[a-z]?")
_SHORT = re.compile(r"(?<![\w/])(?:ROI|TGT|MRI-?|MR-?|Tgt\.?)\s?#?\s?(?P<label>\d{1,2})\b(?!\s*(?:cores?|of\b|x\s?\d|/|\.\d|mm|cm|%|T\b))")
_SYSTEMATIC = re.compile(r"\b(?:systematic|random|template|saturation|sextant|(?:non|un)-?\s?targeted)\b", re.IGNORECASE)
_NO_TARGET = re.compile(r"\b(?:no|non|not|without)[ -]+(?:\w+ ){0,2}$", re.IGNORECASE)
TARGET_WORDS = re.compile(rf"\b(?=[rmfupitsvla]|[\s-]+lesion){_NOUN}\b", re.IGNORECASE)
_OF_TARGETS = ("target", "lesion", "roi", "mr", "interest", "tgt")
_OF_SYSTEM = ("target", "systematic", "random", "template", "saturation", "sextant")


def read_target(text: str, start: int, end: int) -> Fact | None:
    """The label of the target that ``text[start:end]`` names; None for a systematic core and for an unnumbered target."""
    if not holds(text, _OF_TARGETS, start, end):
        return None
    for match in _LABELLED.finditer(text, start, end):
        if _CASE_SENSITIVE.fullmatch(match["label"]) and "  " not in match[0]:
            return Fact(value=match["label"], spans=(match.span(),), confidence=0.96, rule="target")
    match_short = _SHORT.search(text, start, end)
    return Fact(value=match_short["label"], spans=(match_short.span(),), confidence=0.9, rule="target") if match_short else None


def read_targeted(text: str, start: int, end: int) -> Fact | None:
    """Whether the words for a specimen's site say that it is of a target, numbered or not, or that it is systematic; None where neither."""
    systematic = _SYSTEMATIC.search(text, start, end) if holds(text, _OF_SYSTEM, start, end) else None
    if systematic is not None:
        return Fact(value=False, spans=(systematic.span(),), confidence=0.9, rule="systematic")
    for match in TARGET_WORDS.finditer(text, start, end) if holds(text, _OF_TARGETS, start, end) else ():
        if not _NO_TARGET.search(text[max(start, match.start() - 25) : match.start()]):
            return Fact(value=True, spans=(match.span(),), confidence=0.9, rule="targeted")
    return None
