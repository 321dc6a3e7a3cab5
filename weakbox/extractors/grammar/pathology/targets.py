"""Which MRI lesion a specimen names: ``ROI 1``, ``MRI target #2``, ``Lesion B``."""

from __future__ import annotations

import re

from weakbox.extractors.grammar.pathology.facts import Fact

_NOUN = (
    r"(?:ROIs?|regions?\s+of\s+interest|(?:(?:MRI?|MP-?MRI|fusion|US|MR/US|MRI/US|PI-?RADS)[\s/-]*)*(?:index\s+)?(?:targets?|targeted)"
    r"(?:\s+(?:lesions?|biops(?:y|ies)|areas?|sites?|regions?|nodules?|cores?))?"
    r"|(?:MRI?|index|mpMRI|suspicious|visible)?[\s-]*lesions?|areas?\s+of\s+interest|MRI\s+(?:nodule|area|abnormality|site)s?"
    r"|UroNav\s+targets?|Artemis\s+targets?)"
)
_LABELLED = re.compile(
    rf"\b{_NOUN}\s*(?:\b(?:no\.?|number|nr\.?|label(?:l?ed)?)\s*|[#:(-]\s*){{0,2}}(?P<label>\d{{1,2}}[a-z]?|[A-H]|I{{1,3}}|IV|V)\b"
    r"(?!\s*(?:cores?|of\b|x\s?\d|/|\.\d|mm|cm|%|\+|needle|biops|samples?|specimens?|pieces?|fragments?|out\b))(?!['’])",
    re.IGNORECASE,
)
_CASE_SENSITIVE = re.compile(r"[A-H]|I{1,3}|IV|V|\d{1,2}[a-z]?")
_SHORT = re.compile(r"(?<![\w/])(?:ROI|TGT|MRI-?|MR-?|Tgt\.?)\s?#?\s?(?P<label>\d{1,2})\b(?!\s*(?:cores?|of\b|x\s?\d|/|\.\d|mm|cm|%|T\b))")
TARGET_WORDS = re.compile(rf"\b{_NOUN}\b", re.IGNORECASE)


def read_target(text: str, start: int, end: int) -> Fact | None:
    """The label of the target that ``text[start:end]`` names; None for a systematic core and for an unnumbered target."""
    for match in _LABELLED.finditer(text, start, end):
        if _CASE_SENSITIVE.fullmatch(match["label"]):
            return Fact(value=match["label"], spans=(match.span(),), confidence=0.96, rule="target")
    match_short = _SHORT.search(text, start, end)
    return Fact(value=match_short["label"], spans=(match_short.span(),), confidence=0.9, rule="target") if match_short else None
