"""Makes one list of lesions from the sections: co-reference between findings and impression, and corrections by addenda."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weakbox.extractors.grammar.radiology_drafts import Candidate, Draft, agreement, largest, location_candidates
from weakbox.extractors.grammar.radiology_facts import place_tokens, read_facts
from weakbox.extractors.grammar.radiology_prior import DISPROVED, is_of_the_past
from weakbox.extractors.grammar.radiology_reading import SectionReading
from weakbox.extractors.grammar.radiology_units import Clause, Role, View
from weakbox.terminology.sectors import LEVEL_ORDER
from weakbox.text.locations import POSITION_ORDER, Location, location_of

_ENOUGH = 1.4
"""Agreement from which two sections speak of one lesion: a score alone (2.0) is enough, a zone alone (1.5) too, a level alone (1.5) too."""


def merge_sections(readings: Sequence[SectionReading]) -> list[Draft]:
    """One list of drafts in order of first mention; later sections fill and confirm earlier ones."""
    lesions: list[Draft] = []
    for reading in readings:
        candidates = _without_repetitions([draft for draft in reading.drafts if _is_candidate(draft)])
        has_earlier = bool(lesions)
        for own, known in _pairs(candidates, lesions):
            if known is None:
                if not has_earlier or _stands_alone(own):
                    lesions.append(own)
            else:
                _absorb(known, own)
    kept = sorted((draft for draft in lesions if _is_kept(draft)), key=lambda draft: draft.start)
    return _without_introductions(kept)


_OF_A_SUMMARY = frozenset(("side", "zone", "levels", "positions", "pirads", "likert"))


def _without_repetitions(drafts: list[Draft]) -> list[Draft]:
    """ "PI-RADS 4 on the left, PI-RADS 3 on the right" at the end sums up: a score and a place that an earlier lesion has, and more."""
    return [draft for index, draft in enumerate(drafts) if not any(_repeats(draft, earlier) for earlier in drafts[:index])]


def _repeats(draft: Draft, earlier: Draft) -> bool:
    if draft.label is not None or not draft.is_scored or "side" not in draft.values or not set(draft.values) <= _OF_A_SUMMARY:
        return False
    if draft.sentence - earlier.sentence < 2 or len(earlier.values) <= len(draft.values):
        return False
    return all(name in earlier.values and earlier.values[name].value == candidate.value for name, candidate in draft.values.items())


def _without_introductions(lesions: list[Draft]) -> list[Draft]:
    """ "A lesion in the right PZ" before "Lesion 1: right mid PZ, PI-RADS 4" only introduces it: no score, size or label of its own."""
    kept: list[Draft] = []
    for draft in lesions:
        is_bare = not draft.is_scored and draft.label is None and "size_mm" not in draft.values and draft.has_place
        repeated = [other for other in lesions if other is not draft and other.is_scored and (agreement(draft, other) or 0.0) >= _ENOUGH]
        if not (is_bare and len(repeated) == 1):
            kept.append(draft)
            continue
        _absorb(repeated[0], draft)
    return sorted(kept, key=lambda draft: draft.start)


def _is_candidate(draft: Draft) -> bool:
    return bool(draft.values)


def _is_kept(draft: Draft) -> bool:
    """Scored lesions stay; unscored ones only where the words call them suspicious, or simply a lesion, and not benign."""
    if draft.is_scored:
        return True
    if draft.is_benign:
        return False
    is_measured_or_placed = draft.has_place or "size_mm" in draft.values
    if draft.label is not None or draft.is_anchor:
        return is_measured_or_placed or draft.is_suspicious
    return is_measured_or_placed and (draft.is_suspicious or draft.is_lesion_word)


def _pairs(own: list[Draft], known: list[Draft]) -> list[tuple[Draft, Draft | None]]:
    """Each new draft with the earlier lesion it repeats, best agreement first, one to one."""
    scored = [
        (points, i, j)
        for i, left in enumerate(own)
        for j, right in enumerate(known)
        if (points := agreement(left, right)) is not None and points >= _ENOUGH
    ]
    scored.sort(key=lambda item: (-item[0], item[1], item[2]))
    chosen: dict[int, int] = {}
    for _, i, j in scored:
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    _pair_remaining(own, known, chosen)
    return [(draft, known[chosen[i]] if i in chosen else None) for i, draft in enumerate(own)]


def _pair_remaining(own: list[Draft], known: list[Draft], chosen: dict[int, int]) -> None:
    """A lone lesion of the impression that only disagrees in side, or says nothing against the only lesion, is that lesion."""
    free = [j for j in range(len(known)) if j not in chosen.values()]
    for i, draft in enumerate(own):
        if i in chosen or not free:
            continue
        if len(known) == 1 and len(own) == 1 and _differs_in_side_only(draft, known[0]):
            known[0].flags.append(("side", "conflict"))
            chosen[i] = 0
            return
        if (
            not draft.has_place
            and len(free) == 1
            and agreement(draft, known[free[0]]) is not None
            and (draft.is_scored != known[free[0]].is_scored or len(known) == 1)
        ):
            chosen[i] = free.pop()


def _differs_in_side_only(left: Draft, right: Draft) -> bool:
    sides = {left.get("side"), right.get("side")}
    if sides != {"left", "right"}:
        return False
    first, second = left.values.pop("side"), right.values["side"]
    points = agreement(left, right)
    left.values["side"] = first
    right.values["side"] = second
    return points is not None and points >= 2.0


def _stands_alone(draft: Draft) -> bool:
    """A later section's lesion is new only if it has a place or size of its own; a bare score repeats what stands already."""
    return draft.has_place or "size_mm" in draft.values or draft.label is not None


def _absorb(known: Draft, own: Draft) -> None:
    for name in ("pirads", "likert"):
        before, after = known.values.get(name), own.values.get(name)
        if before is not None and after is not None and before.value != after.value:
            known.values[name] = after
            known.flags.append((name, "conflict"))
    size = own.values.get("size_mm")
    before_size = known.values.get("size_mm")
    if (
        size is not None
        and before_size is not None
        and isinstance(size.value, tuple)
        and isinstance(before_size.value, tuple)
        and len(size.value) > len(before_size.value)
    ):
        known.values["size_mm"] = size
    if {known.get("side"), own.get("side")} == {"left", "right"}:
        known.flags.append(("side", "conflict"))
    if ("side", "conflict") in known.flags:
        known.values.pop("side", None)
        own.values.pop("side", None)
    for name, candidate in own.values.items():
        if not (name == "positions" and known.get("zone") == "AFS"):
            known.fill(name, candidate)
    known.label = known.label or own.label
    known.start = min(known.start, own.start)
    known.is_suspicious |= own.is_suspicious
    known.is_lesion_word |= own.is_lesion_word


_WRONG_SIDE = re.compile(r"\b(?:not|rather than|instead of)(?: in| on)?(?: the)?\s+(?P<side>left|right)\b")
_SHOULD_BE = re.compile(
    r"should (?:read|be|have been|state)|correct(?:ed|ion)|amended|revised|instead|rather than|\bnot\b|in error|erroneous|mistaken|"
    r"typographical"
)
_BARE_LABEL = re.compile(r"\b(?:for|of|in) (?P<label>[a-h]|[1-9])(?=\s*(?:$|[.,;)]))")
_NEW_LESION = re.compile(
    r"\b(?:additional|another|new|second|third|further|missed|not (?:previously )?(?:described|mentioned|"
    r"reported))\b[^.;]{0,60}\b(?:lesion|focus|nodule|area|target|roi)"
)


def apply_addendum(lesions: list[Draft], reading: SectionReading, clauses: Sequence[Clause], view: View) -> None:
    """What an addendum says supersedes; an addendum's further lesion is added."""
    clauses = [clause for clause in clauses if not is_of_the_past(view.cut(clause))]
    if not clauses:
        return
    retracted = _retract(lesions, clauses, view)
    if retracted:
        gone = {label for clause in retracted for label in _labels_in(clause, view)} - {_label_of(lesion) for lesion in lesions}
        retracted += [clause for clause in clauses if clause not in retracted and gone & _labels_in(clause, view)]
        clauses = [clause for clause in clauses if clause not in retracted]
        reading.drafts = [draft for draft in reading.drafts if not any(clause.start <= draft.start < clause.end for clause in retracted)]
        if not clauses:
            return
    moved = [clause for clause in clauses if _move(lesions, clause, view)]
    if moved:
        clauses = [clause for clause in clauses if clause not in moved]
        reading.drafts = [draft for draft in reading.drafts if not any(clause.start <= draft.start < clause.end for clause in moved)]
        if not clauses:
            return
    drafts = [draft for draft in reading.drafts if draft.values] or [_loose_draft(clauses, view)]
    words = " ".join(view.cut(clause) for clause in clauses)
    for draft in drafts:
        if not draft.values:
            continue
        target = _corrected(lesions, draft, words)
        if target is None:
            if draft.has_place or draft.label is not None or not lesions:
                lesions.append(draft)
            continue
        _supersede(target, draft, is_addition=_ALSO.search(words) is not None)
    lesions.sort(key=lambda draft: draft.start)


def _retract(lesions: list[Draft], clauses: Sequence[Clause], view: View) -> list[Clause]:
    """Takes out the lesions that an addendum says are none ("target 2 is the normal central zone"); the clauses that say so."""
    found = []
    for clause in clauses:
        if not DISPROVED.search(view.cut(clause)):
            continue
        labels = _labels_in(clause, view)
        named = [lesion for lesion in lesions if lesion.label is not None and _label_of(lesion) in labels]
        named = named or ([] if labels else _meant_by_place(lesions, clause, view))
        for lesion in named:
            lesions.remove(lesion)
        if named:
            found.append(clause)
    return found


_MOVED = re.compile(
    r"\b(?:should (?:read|be|have (?:read|been)|state)|(?:is|lies|was)(?: in fact| actually| in reality)? (?:in|on|at|located|within)"
    r"|belongs)\b"
)


def _move(lesions: list[Draft], clause: Clause, view: View) -> bool:
    """ "The lesion described at the right base is in the left base": the one lesion of the first place has the second."""
    verb = _MOVED.search(view.cut(clause))
    if verb is None:
        return False
    tokens = place_tokens(clause, view)
    border = clause.start + verb.start()
    known, new = (location_of(part) for part in ([t for t in tokens if t.start < border], [t for t in tokens if t.start >= border]))
    labels = _labels_in(clause, view)
    meant = [lesion for lesion in lesions if (_label_of(lesion) in labels if labels else _is_at(lesion, known))]
    if not new or (not known and not labels) or len(meant) != 1 or (len(lesions) > 1 and _NEW_LESION.search(view.cut(clause))):
        return False
    for name, candidate in location_candidates(new, 0, rule="addendum_location", confidence=0.85).items():
        before = meant[0].values.get(name)
        if before is None or before.value != candidate.value:
            meant[0].values[name] = candidate
            meant[0].flags.append((name, "superseded"))
    return True


def _is_at(lesion: Draft, place: Location) -> bool:
    """Whether nothing in a stated place speaks against the lesion's."""
    if not place or (place.side and lesion.get("side") != place.side) or (place.zone and lesion.get("zone") not in (None, place.zone)):
        return False
    levels = lesion.get("levels")
    return not (place.levels and isinstance(levels, tuple) and not set(levels) & set(place.levels))


def _labels_in(clause: Clause, view: View) -> set[str]:
    return {value.upper() for label in view.labels.within(clause.start, clause.end) for value in label.values}


def _label_of(lesion: Draft) -> str:
    return "" if lesion.label is None else str(lesion.label.value).upper()


def _meant_by_place(lesions: list[Draft], clause: Clause, view: View) -> list[Draft]:
    """The one lesion whose place agrees best with the clause's."""
    draft = Draft(role=clause.role, section=clause.section, start=clause.start, sentence=clause.sentence)
    draft.values.update({name: read for name, read in read_facts(clause, view).values.items() if name not in ("pirads", "likert")})
    if not draft.has_place or not (view.nouns.within(clause.start, clause.end) or "finding" in view.cut(clause)):
        return []
    agreeing = [(points, lesion) for lesion in lesions if (points := agreement(lesion, draft)) is not None and points >= 1.0]
    best = max((points for points, _ in agreeing), default=0.0)
    meant = [lesion for points, lesion in agreeing if points == best]
    return meant if len(meant) == 1 else []


def _loose_draft(clauses: Sequence[Clause], view: View) -> Draft:
    """ "The side should read right": values without a lesion's noun still correct the only lesion."""
    draft = Draft(role=Role.ADDENDUM, section=clauses[0].section, start=clauses[0].start, sentence=0)
    for clause in clauses:
        cut = view.cut(clause)
        facts = read_facts(clause, view)
        if _SHOULD_BE.search(cut) or facts.is_scored:
            for name, candidate in facts.values.items():
                draft.fill(name, candidate)
    return draft


def _corrected(lesions: list[Draft], draft: Draft, words: str) -> Draft | None:
    if draft.label is not None:
        label = str(draft.label.value).upper()
        named = next((lesion for lesion in lesions if lesion.label is not None and str(lesion.label.value).upper() == label), None)
        if named is not None:
            return named
    bare = _BARE_LABEL.search(words) if draft.label is None else None
    if bare is not None:
        meant = [lesion for lesion in lesions if lesion.label is not None and str(lesion.label.value).lower() == bare["label"]]
        if len(meant) == 1:
            return meant[0]
    if _NEW_LESION.search(words) and draft.has_place:
        return None
    if len(lesions) == 1:
        return lesions[0] if draft.label is None or lesions[0].label is None else None
    wrong = _WRONG_SIDE.search(words)
    if wrong is not None:
        on_wrong_side = [lesion for lesion in lesions if lesion.get("side") == wrong["side"]]
        if len(on_wrong_side) == 1:
            return on_wrong_side[0]
    agreeing = [(points, lesion) for lesion in lesions if (points := _agreement_without_score(lesion, draft)) is not None and points >= 1.0]
    if agreeing:
        return max(agreeing, key=lambda pair: pair[0])[1]
    return None


def _agreement_without_score(lesion: Draft, draft: Draft) -> float | None:
    """An addendum may change the score and the size, so only the place and the label can tell which lesion it means."""
    kept = {name: candidate for name, candidate in draft.values.items() if name not in ("pirads", "likert", "size_mm")}
    probe = Draft(role=draft.role, section=draft.section, start=draft.start, sentence=draft.sentence, values=kept, label=draft.label)
    return agreement(lesion, probe)


_ALSO = re.compile(r"\b(?:also|in addition|additionally|as well)\b")


def _supersede(target: Draft, draft: Draft, *, is_addition: bool) -> None:
    for name, candidate in draft.values.items():
        before = target.values.get(name)
        if is_addition and name in ("levels", "positions") and before is not None:
            candidate = _union(before, candidate, LEVEL_ORDER if name == "levels" else POSITION_ORDER)
        if before is None or before.value != candidate.value:
            target.values[name] = Candidate(
                value=candidate.value, words=candidate.words, rule=f"addendum_{candidate.rule}", confidence=min(candidate.confidence, 0.9)
            )
            if before is not None:
                target.flags.append((name, "superseded"))


def _union(before: Candidate, after: Candidate, order: Sequence[str]) -> Candidate:
    """ "Also reaches the apex" adds to the levels."""
    stated = {*(before.value if isinstance(before.value, tuple) else ()), *(after.value if isinstance(after.value, tuple) else ())}
    value = tuple(member for member in order if member in stated)
    return Candidate(value=value, words=(*before.words, *after.words), rule=after.rule, confidence=min(before.confidence, after.confidence))


def fill_single_lesion(lesions: list[Draft], name: str, overall: Candidate | None) -> None:
    """The only lesion of an exam has the exam's category."""
    if overall is None or len(lesions) != 1 or lesions[0].is_scored or not isinstance(overall.value, int) or overall.value < 2:
        return
    lesions[0].values[name] = Candidate(
        value=overall.value, words=overall.words, rule="only_lesion_of_exam", confidence=0.7, flags=("inferred",)
    )


def largest_diameter(draft: Draft) -> float | None:
    """The largest stated diameter in mm."""
    return largest(draft)
