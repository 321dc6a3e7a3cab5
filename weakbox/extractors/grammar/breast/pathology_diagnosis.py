"""Diagnosis and histology of one specimen: the most serious finding counts, as the contract orders them."""

from __future__ import annotations

from collections.abc import Sequence

from weakbox.extractors.grammar.breast.pathology_mentions import SUSPICIOUS, Mention
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange

GENERIC = "generic"
"""The rule of a diagnosis that names no histology of its own: another passage may."""


def is_vague(mention: Mention) -> bool:
    """Whether a malignancy is named without a type ("malignant cells")."""
    return mention.is_generic and mention.histology == "malignant_other"


_BENIGN_ORDER = ("phyllodes", "papilloma", "radial_scar", "fibroadenoma", "fat_necrosis", "fibrocystic")
_HIGH_RISK_ORDER = ("lcis", "adh", "alh", "phyllodes", "papilloma", "radial_scar", "benign_other", None)


def diagnosis_facts(found: Sequence[Mention], *, is_node: bool = False) -> Facts:
    """Diagnosis and histology of the most serious finding; empty where nothing is said."""
    if is_node:
        found = [mention for mention in found if mention.diagnosis not in ("high_risk",)]
    malignant = _malignant([mention for mention in found if mention.diagnosis == "malignant"], found, is_node=is_node)
    if malignant:
        return malignant
    high = [mention for mention in found if mention.diagnosis == "high_risk"]
    suspected = [mention for mention in found if mention.diagnosis == SUSPICIOUS]
    if high or suspected:
        return _high_risk(high, suspected, found)
    return _benign(found)


def _malignant(malignant: Sequence[Mention], found: Sequence[Mention], *, is_node: bool) -> Facts:
    worded = [mention for mention in malignant if not mention.is_code]
    if not worded:
        codes = [mention for mention in malignant if mention.is_code]
        lobular = [mention for mention in found if mention.histology == "lcis"]
        if not codes or (lobular and codes[0].is_in_situ):
            return {}
        facts = _pair("malignant", codes[0], None, 0.9, GENERIC)
        if codes[0].is_in_situ:
            facts["histology"] = Fact(value="dcis", spans=_spans(codes[0]), confidence=0.6, rule=GENERIC)
        return facts
    if is_node:
        return _pair("malignant", worded[0], "malignant_other", 0.96, "node")
    typed = [mention for mention in worded if mention.is_invasive and not mention.is_generic]
    untyped = [mention for mention in worded if mention.is_invasive and mention.is_generic and not is_vague(mention)]
    in_situ = [mention for mention in worded if mention.is_in_situ]
    for mentions, confidence, rule in ((typed, 0.97, "invasive"), (untyped, 0.75, GENERIC)):
        if mentions:
            return _pair("malignant", mentions[0], mentions[0].histology, confidence, rule)
    metastatic = [mention for mention in worded if mention.is_metastatic]
    if metastatic and not in_situ:
        return _pair("malignant", metastatic[0], "malignant_other", 0.9, "metastatic")
    if in_situ:
        return _pair("malignant", in_situ[0], in_situ[0].histology, 0.97, "in_situ")
    return _pair("malignant", worded[0], "malignant_other", 0.6, GENERIC)


def _high_risk(high: Sequence[Mention], suspected: Sequence[Mention], found: Sequence[Mention]) -> Facts:
    typed = [mention for mention in high if mention.histology not in (None, "benign_other")]
    if typed:
        best = min(typed, key=lambda mention: _HIGH_RISK_ORDER.index(mention.histology))
        return _pair("high_risk", best, best.histology, 0.95, "high_risk")
    flat = [mention for mention in high if mention.histology == "benign_other"]
    named = [mention for mention in found if mention.diagnosis == "benign" and not mention.is_generic]
    first = (high or suspected)[0]
    if named and high:
        facts = _pair("high_risk", first, None, 0.92, "code" if first.is_code else "high_risk")
        named = sorted(named, key=lambda mention: _BENIGN_ORDER.index(str(mention.histology)))
        return {**facts, "histology": Fact(value=str(named[0].histology), spans=_spans(named[0]), confidence=0.92, rule="entity")}
    if flat:
        return _pair("high_risk", flat[0], "benign_other", 0.85, "flat")
    return _pair("high_risk", first, None, 0.75, "suspicious" if not high else GENERIC)


def _benign(found: Sequence[Mention]) -> Facts:
    residual = [mention for mention in found if mention.is_residual]
    named = [mention for mention in found if mention.diagnosis == "benign" and not mention.is_generic]
    plain = [mention for mention in found if mention.diagnosis == "benign" and mention.is_generic and not mention.is_absent]
    insufficient = [mention for mention in found if mention.diagnosis == "insufficient"]
    absent = [mention for mention in found if mention.is_absent]
    if residual:
        return _pair("benign", residual[0], "benign_other", 0.95, "no_residual")
    if insufficient and not named and (len(insufficient) > 1 or not [mention for mention in plain if not mention.is_code]):
        return _pair("insufficient", insufficient[0], None, 0.93, "insufficient")
    if named:
        best = min(named, key=lambda mention: _BENIGN_ORDER.index(str(mention.histology)))
        return _pair("benign", best, best.histology, 0.95, "entity")
    if plain:
        return _pair("benign", plain[0], "benign_other", 0.92, GENERIC)
    return _pair("benign", absent[0], "benign_other", 0.85, GENERIC) if absent else {}


def _spans(mention: Mention) -> tuple[TextRange, ...]:
    return ((mention.start, mention.end),)


def _pair(diagnosis: str, mention: Mention, histology: str | None, confidence: float, rule: str) -> Facts:
    facts: Facts = {"diagnosis": Fact(value=diagnosis, spans=_spans(mention), confidence=confidence, rule=rule)}
    if histology is not None:
        facts["histology"] = Fact(value=histology, spans=_spans(mention), confidence=confidence, rule=rule)
    return facts
