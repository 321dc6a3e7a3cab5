"""What one clause states about a lesion, and whether the clause asserts it for this exam."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from weakbox.extractors.grammar.radiology_drafts import Candidate, location_candidates
from weakbox.extractors.grammar.radiology_mentions import Mention
from weakbox.extractors.grammar.radiology_prior import UNCHANGED, is_of_today, is_prior
from weakbox.extractors.grammar.radiology_units import LESION_NOUN, Clause, Region, Role, View
from weakbox.records.stated import Assertion
from weakbox.text.assertion import assertion_triggers
from weakbox.text.locations import LocationToken, location_of
from weakbox.text.quantities import Measured, Size


@dataclass(slots=True, kw_only=True)
class Facts:
    """The values of a clause; ``overall`` is a category that speaks of the exam."""

    values: dict[str, Candidate] = field(default_factory=dict)
    overall: Candidate | None = None
    overall_likert: Candidate | None = None
    has_noun: bool = False
    is_lesion_word: bool = False
    is_negative: bool = False
    is_suspicious: bool = False
    is_benign: bool = False
    is_diffuse: bool = False
    """"Diffuse" change is no distinct lesion."""
    is_placed_by_heading: bool = False
    count: int = 0
    """How many lesions a plural names ("two foci"), or 0."""
    is_plural: bool = False
    """Whether the lesions are named in the plural ("lesions")."""

    @property
    def is_scored(self) -> bool:
        return "pirads" in self.values or "likert" in self.values

    @property
    def has_place(self) -> bool:
        return any(name in self.values for name in ("side", "zone", "levels"))


_STOPS = re.compile(r"[,(:]")
_OPENING = (Assertion.FAMILY, Assertion.HYPOTHETICAL)
NEGATED_LESION = re.compile(
    r"\b(?:no|nil|without|not|nor|negative for|absence of|free of)\b[^,;.]{0,60}?\b(?:lesions?|foc(?:us|i)|nodules?|mass(?:es)?|"
    r"abnormalit|area|cancer|carcinoma|disease|target)"
)


def is_asserted(cut: str, start: int, end: int) -> bool:
    """Whether a clause states ``cut[start:end]`` for this patient: not negated, not a condition, not the family's."""
    for assertion, trigger in assertion_triggers(cut, start, end):
        if assertion in _OPENING:
            return False
        if assertion is not Assertion.ABSENT:
            continue
        between = cut[trigger.end : start] if trigger.end <= start else cut[end : trigger.start]
        if not _STOPS.search(between) and (trigger.end <= start or len(between) <= 30):
            return False
    return True


_LISTED = re.compile(r"\(\s*[^)]{0,40}$|\d\s*,\s*$")
_OPEN_CATEGORY = re.compile(r"\b(?:no|nil|without|not|negative for|absence of)\b[^;.]*$")


def _is_category_asserted(cut: str, start: int, end: int, value: int) -> bool:
    """A score after a comma or a bracket stays stated in "no restricted diffusion, PI-RADS 2", but not in "no lesion (PI-RADS 3, 4)"."""
    lead = cut[:start]
    if value <= 2 and _LOW_STATED.search(lead) and NEGATED_LESION.search(lead):
        return True
    if not is_asserted(cut, start, end):
        return False
    is_open = _OPEN_CATEGORY.search(lead) and NEGATED_LESION.search(lead)
    return not (value >= 3 and is_open and _LISTED.search(lead))


_LOW_STATED = re.compile(
    r"(?:\b(?:scored?|given|assigned|graded|rated|classified|categori[sz]ed|overall|therefore|hence|thus|so|giving|category|score|exam(?:ination)?"
    r"|corresponding|consistent|equivalent|equates?|with|in keeping|this (?:is|was)|i\.?e\.?)|[=-])(?: (?:as|is|was|to|a|an|with|been"
    r"|it|in|line|of))*\s*$"
)
"""What leads to the exam's low category in a sentence that finds no lesion: "no lesion is seen and has been scored PI-RADS 2"."""
_OVERALL_BEFORE = re.compile(
    r"\b(?:overall|highest|maximum|maximal|max\.?|exam(?:ination)?|study|global|patient|final|summary|worst|index "
    r"category)\b[^.;,]{0,40}$"
)
_OVERALL_WITHIN = re.compile(r"\b(?:overall|final)\b")
_OVERALL_AFTER = re.compile(r"^\s*(?:\(?overall|for the (?:exam|study|examination))")
_CHANGED = re.compile(r"\b(?:upgraded|downgraded|up-?staged|final|resulting|therefore|hence|now|current(?:ly)?)\b[^.;]{0,25}$")
_ALTERNATIVE = re.compile(r"^\s*\(?(?:could|may|might|possibl[ey]|or|versus|vs|borderline)\b")
_BARE_SCORE = re.compile(r"[\s,:(=-]*(?P<value>[1-5])(?:\s?/\s?5)?\)?\s*\.?\s*$")


def read_facts(clause: Clause, view: View) -> Facts:
    """Everything that the clause states about one lesion (or about the exam's category)."""
    cut = view.cut(clause)
    facts = Facts()
    _read_words(facts, cut, has_nouns=bool(view.nouns.within(clause.start, clause.end)) or "foc" in cut or "observation" in cut)
    tokens = place_tokens(clause, view)
    facts.values.update(location_candidates(location_of(tokens), 0, rule="location", confidence=0.93))
    _read_region(facts, clause, view)
    _read_scores(facts, clause, view, tokens)
    size = best_size(clause, view)
    if size is not None:
        facts.values["size_mm"] = size_candidate(size)
    for mention in view.sequence_scores.within(clause.start, clause.end):
        if mention.kind not in facts.values:
            facts.values[mention.kind] = Candidate(
                value=mention.value,
                words=((mention.start, mention.end),),
                rule=mention.rule,
                confidence=0.9 if mention.rule == "dce_words" else 0.95,
            )
    _read_images(facts, clause, view)
    return facts


_ORDINAL = re.compile(
    r"\W*the (?:first|second|third|fourth|other|larger|smaller|largest|smallest|next)(?: one)? (?:is|lies|measures|was|located|in|"
    r"involves|occupies|demonstrates)\b"
)
_STRONG_NOUN = re.compile(r"\b(?:lesions?|mass(?:es)?|tumou?rs?|targets?|rois?|region of interest|satellites?|carcinomas?)\b")
_SUSPICIOUS = re.compile(
    r"suspicious|suspicion|concerning|worrisome|restrict\w*[^.;,]{0,25}diffus|diffusion restrict|low adc|hypo-?intens|low (?:t2 "
    r")?signal|\bdark\b|erased charcoal|lenticular|\bcspca|significant (?:cancer|carcinoma|pca|prostate cancer)|"
    r"consistent with (?:cancer|carcinoma|malig)|early enhanc|likely (?:cancer|carcinoma|malig|neoplas)|neoplas|malignan|\btumou?r|"
    r"carcinoma"
)
_BENIGN = re.compile(
    r"\bbph\b|hyperplas|\bbenign|stromal nodule|encapsulated|\bcysts?\b|\bcystic|ha?emorrhag|prostatitis|inflammat|\bscar|atroph|"
    r"wedge|linear|\bdiffuse(?:ly)?\b|post-?biopsy|artifact|artefact|calcif|fibrosis|not suspicious|unremarkable|typical nodul"
    r"|\bsymmetric\w*|"
    r"\bnormal\b(?!\s*[><\d])(?! psa)"
)
_DIFFUSE = re.compile(
    r"\bdiffuse(?:ly)?\b(?! restrict)|\bbackground (?:change|heterogene)|\bheterogene?ous(?:ly)? (?:signal|background|peripheral "
    r"zone)"
)
_COUNT = re.compile(
    r"(?<!rads )(?<!rads-)(?:\b(?P<number>two|three|four|five|[2-5]|both)\b(?! (?:mm|cm|o'clock|/))|\bmultiple \((?P<inner>[2-5])\))"
    r"(?:\s+[a-z0-9-]+){0,5}?\s+(?:lesions|foci|nodules|areas|targets|rois|masses|observations|abnormalities)\b"
)
_COUNT_WORDS = {"two": 2, "both": 2, "three": 3, "four": 4, "five": 5}


_SUSPICIOUS_GATE: tuple[str, ...] = (
    "susp",
    "conc",
    "worr",
    "restr",
    "adc",
    "hypo",
    "signal",
    "dark",
    "charc",
    "lentic",
    "cspca",
    "signif",
    "consis",
    "early",
    "likely",
    "neopl",
)
_SUSPICIOUS_GATE += ("malig", "tumo", "carcin")
_BENIGN_GATE: tuple[str, ...] = (
    "bph",
    "hyperpl",
    "benign",
    "nodule",
    "encaps",
    "cyst",
    "morrh",
    "prostatit",
    "inflam",
    "scar",
    "atroph",
    "wedge",
    "linear",
    "diffuse",
    "post",
)
_BENIGN_GATE += ("arti", "arte", "calcif", "fibros", "not susp", "unremark", "typical", "normal", "symmetric")
_COUNT_GATE = ("two", "three", "four", "five", "2", "3", "4", "5", "both")


_PLURALS = frozenset(("lesions", "foci", "nodules", "targets", "rois", "abnormalities", "tumors", "tumours", "masses", "areas"))


def _read_words(facts: Facts, cut: str, *, has_nouns: bool) -> None:
    nouns = list(LESION_NOUN.finditer(cut)) if has_nouns else []
    stated = [match for match in nouns if is_asserted(cut, match.start(), match.end())]
    ordinal = _ORDINAL.match(cut)
    facts.has_noun = bool(stated) or ordinal is not None
    facts.is_plural = any(match[0] in _PLURALS for match in stated)
    facts.is_negative = bool(nouns) and not stated
    facts.is_lesion_word = ordinal is not None or any(_STRONG_NOUN.match(match[0]) for match in stated)
    suspicious = _SUSPICIOUS.search(cut) if any(word in cut for word in _SUSPICIOUS_GATE) else None
    facts.is_suspicious = suspicious is not None and is_asserted(cut, suspicious.start(), suspicious.end())
    benign = _BENIGN.search(cut) if any(word in cut for word in _BENIGN_GATE) else None
    facts.is_benign = benign is not None and is_asserted(cut, benign.start(), benign.end())
    diffuse = _DIFFUSE.search(cut) if "diffuse" in cut or "background" in cut or "hetero" in cut else None
    facts.is_diffuse = diffuse is not None and is_asserted(cut, diffuse.start(), diffuse.end())
    count = _COUNT.search(cut) if stated and any(word in cut for word in _COUNT_GATE) else None
    if count is not None and stated:
        number = count["inner"] or count["number"]
        facts.count = int(number) if number.isdigit() else _COUNT_WORDS.get(number, 0)


_EXTENSION = re.compile(
    r"\b(?:epe|ece|extra-?prostatic|extra-?capsular|seminal vesicles?|neurovascular|recto-?prostatic|bulg\w+|abut\w*|contact\w*|"
    r"capsul\w+|invad\w+|invasion|lymph|nodes?|spar(?:es|ing)|adjacent to|compared (?:to|with))\b"
)
_REPLACED = re.compile(
    r"(?:\bnot(?: in| on| at)?(?: the)?|\brather than(?: the)?|\binstead of(?: the)?|\bpreviously(?: the)?|\bno longer(?: in "
    r"the)?)\s*$"
)
_NOT_ONLY = re.compile(r"not only(?: in| on| at)?(?: the)?\s*$")
_CROSSING = re.compile(r"(?:cross\w*|across|to|beyond|toward\w*|near|from|reach\w*|approach\w*)(?: the)?\s*$")
_IN_VESICLE = re.compile(r"\b(?:lesion|mass|tumou?r|focus|nodule)\b[^.;]{0,40}\b(?:in|within|centered in|of)(?: the)?(?: left| right)?\s*$")


def place_tokens(clause: Clause, view: View) -> list[LocationToken]:
    """The location words that place the clause's lesion: not what it abuts, invades or is not."""
    lower = view.text.lower
    tokens = view.locations.within(clause.start, clause.end)
    tokens = [token for token in tokens if not _is_replaced(lower, clause, token)]
    has_side = any(token.attribute == "side" and token.values != ("midline",) for token in tokens)
    kept: list[LocationToken] = []
    for token in tokens:
        lead = lower[max(clause.start, token.start - 60) : token.start]
        if token.values == ("SV",) and not (_IN_VESICLE.search(lead) and len(tokens) <= 3):
            if kept and kept[-1].attribute == "side" and token.start - kept[-1].end <= 2:
                kept.pop()
            continue
        if token.attribute == "position" and token.values == ("anterior",) and any(other.values == ("AFS",) for other in kept):
            continue
        if token.values == ("midline",) and has_side and _CROSSING.search(lead):
            continue
        kept.append(token)
    extension = _EXTENSION.search(lower, clause.start, clause.end)
    if extension is None:
        return kept
    before = {token.attribute for token in kept if token.start < extension.start()}
    if not before:
        return kept
    return [
        token
        for token in kept
        if token.start < extension.start() or (token.attribute not in before and "area" not in before and token.attribute != "side")
    ]


def _is_replaced(lower: str, clause: Clause, token: LocationToken) -> bool:
    lead = lower[max(clause.start, token.start - 25) : token.start]
    return bool(_REPLACED.search(lead)) and not _NOT_ONLY.search(lead)


def _read_region(facts: Facts, clause: Clause, view: View) -> None:
    """A sub-heading ("Left peripheral zone:") places what its own words leave open."""
    region = clause.region
    if region is None or region.is_elsewhere:
        return
    if region.is_inline and clause.line > region.last_line and view.stagings.within(clause.start, clause.end):
        return
    location = location_of(token for each in _chain(region) for token in view.locations.within(each.start, each.end))
    own = place_tokens(clause, view)
    facts.is_placed_by_heading = not facts.has_place or all(region.start <= token.start < region.end for token in own)
    for name, candidate in location_candidates(location, 0, rule="location_of_heading", confidence=0.85).items():
        facts.values.setdefault(name, candidate)


def _chain(region: Region) -> list[Region]:
    """The heading and those above it, outermost first."""
    chain = [region]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return chain[::-1]


def _read_scores(facts: Facts, clause: Clause, view: View, tokens: list[LocationToken]) -> None:
    cut, lower = view.cut(clause), view.text.lower
    categories, likerts, plains = (
        _current(located.within(clause.start, clause.end), clause, cut, lower) for located in (view.categories, view.likerts, view.plains)
    )
    if plains and not categories and not likerts:
        is_likert = view.names_likert and not view.names_pirads
        categories, likerts = ([], plains) if is_likert else (plains, [])
    _take_score(facts, "pirads", categories, clause, lower)
    _take_score(facts, "likert", likerts, clause, lower)
    if not categories and not likerts:
        _read_bare_score(facts, clause, view, tokens)


def _current(found: list[Mention], clause: Clause, cut: str, lower: str) -> list[Mention]:
    """The scores of this exam; an earlier one is still this exam's where the clause calls the lesion unchanged."""
    stated = [
        mention
        for mention in found
        if _is_category_asserted(cut, mention.start - clause.start, mention.end - clause.start, int(mention.value))
    ]
    current = [mention for mention in stated if mention.rule == "category_changed" or not is_prior(lower, mention.start, mention.end)]
    return current or (stated if stated and UNCHANGED.search(cut) else [])


def _take_score(facts: Facts, name: str, found: list[Mention], clause: Clause, lower: str) -> None:
    lesion_level = [mention for mention in found if not _is_overall(mention, clause, lower)]
    for mention in found:
        if mention not in lesion_level:
            candidate = score_candidate(mention, lower)
            if name == "pirads":
                facts.overall = candidate
            else:
                facts.overall_likert = candidate
    if lesion_level:
        facts.values[name] = score_candidate(_chosen(lesion_level, clause, lower), lower)


def _is_overall(mention: Mention, clause: Clause, lower: str) -> bool:
    """Whether a score speaks of the exam; "overall 3/5" behind a size, a sequence or a lesion sums up that lesion."""
    lead = lower[clause.start : mention.start]
    if mention.rule == "category_without_system" and _OVERALL_START.match(lower, mention.start):
        return clause.role is Role.IMPRESSION or not _OF_A_LESION.search(lead)
    return bool(
        _OVERALL_BEFORE.search(lead)
        or _OVERALL_WITHIN.search(lower[mention.start : mention.end])
        or _OVERALL_AFTER.match(lower[mention.end : mention.end + 30])
    )


_OVERALL_START = re.compile(r"overall|highest")
_OF_A_LESION = re.compile(r"\d\s?[mc]m\b|\bt2|\bdwi\b|\blesion|\bfocus|\bnodule")


def _chosen(found: list[Mention], clause: Clause, lower: str) -> Mention:
    changed = [mention for mention in found if mention.rule == "category_changed" or _CHANGED.search(lower[clause.start : mention.start])]
    return changed[-1] if changed else found[0]


def score_candidate(mention: Mention, lower: str) -> Candidate:
    """A score with its doubt: a range, an ambiguous "4/5", an alternative in brackets."""
    flags: tuple[str, ...] = ()
    confidence = 0.97
    if mention.low is not None:
        flags, confidence = ("range",), 0.75
    elif mention.is_ambiguous:
        flags, confidence = ("ambiguous",), 0.8
    elif _ALTERNATIVE.match(lower[mention.end : mention.end + 20]):
        flags, confidence = ("alternative",), 0.75
    elif mention.rule == "category_without_system":
        confidence = 0.85
    return Candidate(value=mention.value, words=((mention.start, mention.end),), rule=mention.rule, confidence=confidence, flags=flags)


def _read_bare_score(facts: Facts, clause: Clause, view: View, tokens: list[LocationToken]) -> None:
    """ "Left PZ 4." in a list: a lone digit right after the place is the score."""
    if not tokens or clause.is_row or not (clause.marker or clause.role is Role.IMPRESSION) or not (view.names_pirads or clause.marker):
        return
    match = _BARE_SCORE.match(view.text.lower, tokens[-1].end, clause.end)
    if match is not None and match["value"]:
        words = ((match.start("value"), match.end("value")),)
        facts.values["pirads"] = Candidate(value=int(match["value"]), words=words, rule="bare_score", confidence=0.7, flags=("inferred",))


_SMALL_NUMBER = re.compile(r"\bsub-?centi")


def best_size(clause: Clause, view: View) -> Size | None:
    """The fullest current lesion size of the clause."""
    lower = view.text.lower
    if clause.region is not None and clause.region.is_elsewhere:
        return None
    stated = [size for size in view.sizes.within(clause.start, clause.end) if size.measured is Measured.LESION]
    sizes = [size for size in stated if not is_prior(lower, size.start, size.end)]
    if len(sizes) > 1:
        sizes = [size for size in sizes if is_of_today(lower, size.start, size.end, since=clause.start)] or sizes
    elif stated and not sizes and UNCHANGED.search(view.cut(clause)):
        sizes = stated
    if clause.field is not None and clause.field.startswith(("t2", "dwi", "adc", "dce")):
        sizes = [size for size in sizes if size.operator not in ("<", ">")]
    return max(sizes, key=lambda size: (size.operator not in ("<", ">"), len(size.values_mm)), default=None)


_LARGEST_PLAUSIBLE_MM = 80.0


def size_candidate(size: Size) -> Candidate:
    """A size with its doubt: a range, an inferred unit, an implausible extent."""
    flags: list[str] = []
    if size.low_mm is not None:
        flags.append("range")
    if size.is_unit_inferred:
        flags.append("unit")
    if size.largest_mm > _LARGEST_PLAUSIBLE_MM or size.largest_mm < 1:
        flags.append("implausible")
    if size.operator in ("<", ">"):
        flags.append("operator")
    return Candidate(
        value=size.values_mm, words=((size.start, size.end),), rule="size", confidence=0.95 if not flags else 0.75, flags=tuple(flags)
    )


def _read_images(facts: Facts, clause: Clause, view: View) -> None:
    for reference in view.images.within(clause.start, clause.end):
        for name, number in (("series_number", reference.series), ("image_number", reference.image)):
            if number is not None and name not in facts.values:
                facts.values[name] = Candidate(
                    value=number, words=((reference.start, reference.end),), rule="image_reference", confidence=0.93
                )
