"""Makes one list of findings from the groups: one lesion on two modalities, findings and impression, corrections by addenda."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from weakbox.extractors.grammar.breast.radiology_drafts import ENOUGH, Draft, absorb, agreement, has_place
from weakbox.extractors.grammar.breast.radiology_facts import (
    category_candidate,
    current_sides,
    lesion_sizes,
    read_places,
    side_of,
    size_candidate,
)
from weakbox.extractors.grammar.breast.radiology_findings import GroupReader
from weakbox.extractors.grammar.breast.radiology_nouns import find_nouns
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import Role
from weakbox.records.stated import FieldValue

_MOST = 150
"""How many findings a later mention is compared with."""


def merge_groups(readers: Sequence[GroupReader]) -> list[Draft]:
    """One list of drafts in order of first mention; later groups fill and confirm earlier ones."""
    findings: list[Draft] = []
    for reader in readers:
        for gone in reader.gone:
            _remove(findings, gone)
        _merge(findings, [draft for draft in reader.drafts if not draft.is_disproved])
    kept = [draft for draft in findings if not draft.is_disproved and "kind" in draft.values]
    kept = [draft for draft in kept if not _only_announces(draft, kept)]
    return sorted(kept, key=lambda draft: draft.start)


def _only_announces(draft: Draft, findings: Sequence[Draft]) -> bool:
    """ "Lesion is in the left breast", "Abnormality.": a bare word for what another sentence describes, or for nothing."""
    if draft.is_plural and not draft.is_specific and draft.get("side") == "bilateral":
        named = [
            other
            for other in findings
            if other.is_specific
            and other.get("kind") == draft.get("kind")
            and (other.group, other.modality) != (draft.group, draft.modality)
        ]
        return {"left", "right"} <= {str(other.get("side")) for other in named}
    if not draft.is_generic or draft.is_specific or draft.is_plural:
        return False
    if "side" not in draft.values and "birads" not in draft.values:
        return True
    return any(other is not draft and other.is_specific and agreement(draft, other) is not None for other in findings)


def _remove(findings: list[Draft], gone: Draft) -> None:
    for draft in findings:
        points = agreement(draft, gone) if gone.is_generic or draft.get("kind") == gone.get("kind") else None
        if points is not None and points >= ENOUGH and (draft.is_plural or not gone.is_plural):
            draft.is_disproved = True


def _merge(findings: list[Draft], own: list[Draft]) -> None:
    known = findings[-_MOST:]
    pairs = _pairs(own, known)
    _score_all(own, known)
    for index, draft in enumerate(own):
        if index in pairs:
            target = known[pairs[index]]
            _note_side(target, draft)
            absorb(target, draft)
        elif not _repeats(draft, known):
            findings.append(draft)


def _score_all(own: list[Draft], known: list[Draft]) -> None:
    """ "Two suspicious masses on the right, BI-RADS 5" scores every mass on the right."""
    for draft in own:
        if draft.is_plural and "birads" in draft.values and draft.role is Role.IMPRESSION:
            for other in known:
                if draft.is_specific and draft.get("clock") != other.get("clock"):
                    continue
                if other.get("kind") == draft.get("kind") and draft.get("side") in (None, "bilateral", other.get("side")):
                    other.fill("birads", draft.values["birads"])


def _pairs(own: list[Draft], known: list[Draft]) -> dict[int, int]:
    """Each new draft's earlier finding, best agreement first, one to one."""
    scored = []
    for i, left in enumerate(own):
        for j, right in enumerate(known):
            points = agreement(right, left)
            if points is not None and points + (0.5 if left.is_plural and right.is_plural else 0.0) >= _enough(left):
                scored.append((points, i, j))
    scored.sort(key=lambda item: (-item[0], item[1], item[2]))
    chosen: dict[int, int] = {}
    for _, i, j in scored:
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    if len(own) == 1 and len(known) == 1 and not chosen and _differs_in_side_only(own[0], known[0]):
        chosen[0] = 0
    return chosen


def _enough(draft: Draft) -> float:
    """A later mention without a side speaks of what is known already where its kind agrees."""
    if "side" not in draft.values and draft.role is Role.IMPRESSION:
        return 0.7
    if draft.is_definite and "side" not in draft.values and not has_place(draft):
        return 1.2
    return 1.6 if draft.role is Role.IMPRESSION or draft.is_linked else ENOUGH


def _differs_in_side_only(own: Draft, known: Draft) -> bool:
    if {own.get("side"), known.get("side")} != {"left", "right"} or own.role is not Role.IMPRESSION:
        return False
    first = own.values.pop("side")
    points = agreement(known, own)
    own.values["side"] = first
    return points is not None and points >= 1.2


def _note_side(known: Draft, own: Draft) -> None:
    """Findings and impression on different sides: the side is withheld."""
    if {own.get("side"), known.get("side")} == {"left", "right"}:
        known.flags.append(("side", "conflict"))
        known.values.pop("side")
        own.values.pop("side")


def _repeats(draft: Draft, known: list[Draft]) -> bool:
    """Whether an unpaired draft only sums up what stands already: no place or size of its own, and nothing against it."""
    if draft.is_specific or not known:
        return False
    if draft.role is Role.FINDINGS and not draft.is_definite:
        return False
    alike = [other for other in known if _could_be(other, draft)]
    return bool(alike)


def _could_be(known: Draft, own: Draft) -> bool:
    if own.is_plural and {known.get("side"), own.get("side")} != {"left", "right"}:
        return own.is_generic or known.get("kind") == own.get("kind")
    return agreement(known, own) is not None


_WRONG_SIDE = re.compile(
    r"\b(?:not|rather than|instead of|and not)(?: (?:in|on|to))*(?: the)?\s+(?P<side>left|right)\b|\b(?:stated|reported|dictated|"
    r"described|labell?ed|listed)(?: \w+){0,4} (?:as )?(?:in the |on the )?(?P<stated>left|right)\b"
)
_THROUGHOUT = re.compile(
    r"throughout|entire report|all (?:references|findings|mentions)|every (?:reference|mention)|whole report|laterality of (?:the|"
    r"this) (?:report|exam)"
)
_SHOULD_BE = re.compile(
    r"should (?:read|be|have been|state|say)|correct(?:ed|ion|ly)|amended|revised|instead|rather than|\bnot\b|in error|erroneous|"
    r"mistaken|typographical|is actually|now reads?|error"
)
_STATES = re.compile(
    r"\W*(?:the |its |correct )*(?:size|location|position|distance|clock|quadrant|side|it)\b[^;.]{0,30}\b(?:is|"
    r"measures)\b|\W*it measures\b"
)
_SAME = re.compile(r"\bthe (?:second|third|other|additional|further) (?:[a-z-]+ ){0,2}(?:lesion|mass|nodule|cyst|finding|group)\b")
_NEW = re.compile(
    r"\b(?:additional|another|new|second|third|further|missed|not (?:previously )?(?:described|mentioned|reported)|"
    r"omitted)\b[^.;]{0,60}\b(?:lesion|mass|nodule|calcification|cyst|focus|finding|distortion|asymmetry|node)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What an addendum says of sides: from the wrong one to the right one, of the whole report or of one finding."""

    wrong: str
    right: Candidate
    is_whole: bool


def read_correction(clauses: Sequence[Clause], view: View) -> Correction | None:
    """The side that an addendum corrects, or None."""
    for clause in clauses:
        cut = view.cut(clause)
        wrong = _WRONG_SIDE.search(cut)
        sides = [side for side in current_sides(view, clause.start, clause.end) if side.value in ("left", "right")]
        side = (wrong["side"] or wrong["stated"]) if wrong else None
        right = [word for word in sides if word.value != side]
        if side is None or not right or not _SHOULD_BE.search(cut):
            continue
        chosen = side_of(right[:1], "addendum_side", 0.9)
        if chosen is not None:
            return Correction(wrong=side, right=chosen, is_whole=bool(_THROUGHOUT.search(cut)))
    return _wrong_side(clauses, view)


_WRONG_BREAST = re.compile(r"\bwrong (?:side|breast|laterality)\b|\b(?:side|laterality) (?:is|was|error|incorrect|mistake)\w*\b")


def _wrong_side(clauses: Sequence[Clause], view: View) -> Correction | None:
    """ "Wrong side was picked. ... The mass is in the right breast.": the side named with a finding is the right one."""
    if not any(_WRONG_BREAST.search(view.cut(clause)) for clause in clauses):
        return None
    named = [
        side
        for clause in clauses
        if find_nouns(clause, view)
        for side in current_sides(view, clause.start, clause.end)
        if side.value in _TURNED
    ]
    if not named or len({side.value for side in named}) > 1:
        return None
    chosen = side_of(named[:1], "addendum_side", 0.85)
    return None if chosen is None else Correction(wrong=_TURNED[named[0].value], right=chosen, is_whole=True)


_TURNED = {"left": "right", "right": "left"}


def apply_addendum(findings: list[Draft], reader: GroupReader, clauses: Sequence[Clause], view: View) -> Correction | None:
    """What an addendum says supersedes; an addendum's further finding is added."""
    words = " ".join(view.cut(clause) for clause in clauses)
    correction = read_correction(clauses, view)
    for gone in reader.gone:
        _remove(findings, gone)
    findings[:] = [draft for draft in findings if not draft.is_disproved]
    if correction is not None:
        _turn_sides(findings, correction, reader.drafts)
    drafts = [draft for draft in reader.drafts if not draft.is_disproved]
    if not drafts and _SHOULD_BE.search(words):
        drafts = [_loose(clauses, view)]
    for draft in drafts:
        target = _corrected(findings, draft, words)
        if target is not None:
            _supersede(target, draft)
        elif "kind" in draft.values and (draft.is_specific or not findings) and not (correction is not None and draft.is_definite):
            findings.append(draft)
    _amend_category(findings, clauses, view)
    findings.sort(key=lambda draft: draft.start)
    return correction


def _amend_category(findings: list[Draft], clauses: Sequence[Clause], view: View) -> None:
    """ "The assessment should read 4A": the only finding that was scored goes with the examination."""
    scored = [draft for draft in findings if "birads" in draft.values]
    mentions = [mention for clause in clauses for mention in view.categories.within(clause.start, clause.end)]
    if len(scored) != 1 or len({mention.value for mention in mentions}) != 1 or any(find_nouns(clause, view) for clause in clauses):
        return
    stating = [clause for clause in clauses if view.categories.within(clause.start, clause.end)]
    sides = {side.value for clause in stating for side in current_sides(view, clause.start, clause.end)}
    if sides and scored[0].get("side") is not None and scored[0].get("side") not in sides:
        return
    before, after = scored[0].values["birads"], category_candidate(mentions[:1], "addendum_category", 0.85)
    if after is not None and before.value != after.value:
        scored[0].values["birads"] = after
        scored[0].flags.append(("birads", "superseded"))


def _turn_sides(findings: list[Draft], correction: Correction, drafts: Sequence[Draft]) -> None:
    wrong = [draft for draft in findings if draft.get("side") == correction.wrong]
    if not correction.is_whole and len(wrong) > 1:
        named = [draft for draft in wrong for own in drafts if own.get("kind") == draft.get("kind")]
        wrong = named[:1] if len(named) >= 1 else wrong
    for draft in wrong:
        draft.values["side"] = correction.right
        draft.flags.append(("side", "superseded"))


def _loose(clauses: Sequence[Clause], view: View) -> Draft:
    """ "The clock position should read 10": values without a noun still correct the only finding."""
    first = clauses[0]
    draft = Draft(role=Role.ADDENDUM, group=first.group, start=first.start, sentence=first.sentence, paragraph=first.paragraph)
    for clause in clauses:
        if _SHOULD_BE.search(view.cut(clause)) or _STATES.match(view.cut(clause)):
            for name, candidate in read_places(view, clause.start, clause.end).items():
                draft.fill(name, candidate)
            draft.fill("size_mm", size_candidate(lesion_sizes(view, clause.start, clause.end)))
            draft.fill("side", side_of(current_sides(view, clause.start, clause.end), "side", 0.85))
    return draft


def _corrected(findings: list[Draft], draft: Draft, words: str) -> Draft | None:
    label = draft.get("finding_id")
    named = [finding for finding in findings if label is not None and finding.get("finding_id") == label]
    if named:
        return named[0]
    if _NEW.search(words) and not (draft.is_definite or _SAME.search(words)):
        return None
    if len(findings) == 1 and (
        draft.is_definite or "kind" not in draft.values or findings[0].get("kind") == draft.get("kind") or draft.is_generic
    ):
        return findings[0]
    ranked = [
        (finding.get("kind") == draft.get("kind"), points, -index)
        for index, finding in enumerate(findings)
        if (points := _agreement_of_place(finding, draft)) is not None and points >= 1.0
    ]
    if not ranked:
        return None
    best = max(ranked)
    return findings[-best[2]]


def _agreement_of_place(finding: Draft, draft: Draft) -> float | None:
    """An addendum may change the place, the size and the category, so the kind and what else agrees tell which finding it means."""
    found = []
    for names in (
        (),
        ("size_mm", "birads"),
        ("size_mm", "birads", "clock", "quadrant", "distance_from_nipple_mm"),
        ("size_mm", "birads", "side"),
    ):
        kept = {name: candidate for name, candidate in draft.values.items() if name not in names}
        probe = Draft(
            role=draft.role, group=draft.group, start=draft.start, sentence=draft.sentence, paragraph=draft.paragraph, values=kept
        )
        probe.is_generic, probe.is_plural = draft.is_generic, draft.is_plural
        found.append(agreement(finding, probe))
    return max((points for points in found if points is not None), default=None)


def _is_part(size: FieldValue, known: FieldValue) -> bool:
    """One of the known diameters, said again, corrects nothing."""
    return isinstance(size, tuple) and isinstance(known, tuple) and len(size) < len(known) and set(size) <= set(known)


def _supersede(target: Draft, draft: Draft) -> None:
    for name, candidate in draft.values.items():
        before = target.values.get(name)
        if name == "kind" and before is not None:
            continue
        if name == "size_mm" and before is not None and _is_part(candidate.value, before.value):
            continue
        if before is None or before.value != candidate.value:
            target.values[name] = Candidate(
                value=candidate.value, words=candidate.words, rule=f"addendum_{candidate.rule}", confidence=min(candidate.confidence, 0.9)
            )
            if before is not None:
                target.flags.append((name, "superseded"))
