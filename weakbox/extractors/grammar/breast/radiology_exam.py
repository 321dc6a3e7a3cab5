"""What a breast imaging report states of the exam: modality, density, categories of the exam and of each breast."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from weakbox.extractors.grammar.breast.places import PlaceWord, find_sides
from weakbox.extractors.grammar.breast.radiology_categories import CategoryMention, find_densities
from weakbox.extractors.grammar.breast.radiology_facts import current_sides
from weakbox.extractors.grammar.breast.radiology_nouns import find_nouns
from weakbox.extractors.grammar.breast.radiology_units import Clause, View
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Role
from weakbox.records.report import SectionKind
from weakbox.terminology.birads import severity
from weakbox.text.sections import TextSection

_MODALITY = re.compile(
    r"(?P<mri>\b(?:mr|magnetic resonance)[ -]?(?:mammogra\w+|breast|imaging)?\b(?!-?\s?(?:guid|direct))|"
    r"\bmri\b(?!-?\s?(?:guid|direct|finding|abnormal|lesion|mass|enhanc|detect|correl|target))|"
    r"\bcemri\b)|"
    r"(?P<mammography>\bm(?:m|am)?g\b|\bmx\b|\bffdm\b|\bcem\b|\bcedm\b|\btomo\b|\bmlo\b|\bmammo(?:s|gra\w+)?\b|"
    r"\btomosynthesis|\bdbt\b|\bmammogram\w*|\bcesm\b|\bcontrast[- ]enhanced mammo\w*|"
    r"\bspot compression\b)|"
    r"(?P<ultrasound>\bultraso\w+(?!-?\s?guid)|\bsono(?:gra\w+|mammogra\w+)?\b(?!-?\s?guid)|\busg\b(?! guid)|"
    r"\buss\b(?! guid)|(?<![a-z] )\bus\b(?=[ ]?[+&:/,-])(?!-guid)|(?<=[+&/,;] )us\b(?!-? ?guid)|"
    r"(?<=[+&/,;])us\b(?!-? ?guid)|\bus(?= (?:breast|axilla|"
    r"bilat|left|right|of|exam|targeted|both|lt|rt|limited|complete))|"
    r"(?<=breast )us\b|(?<=mammo & )us\b|(?<=and )us\b|(?<=\+ )us\b|\babus\b|\bsonar\b|\bechogra\w+)"
)
_NOT_DONE = re.compile(
    r"\b(?:recommend\w*|suggest\w*|advis\w*|consider\w*|prior|previous\w*|compar\w*|correlat(?:e|ion) with|follow-?up|outside|requires?|"
    r"need(?:ed|s)?|may be|should|further|history|if\b|alternat\w+|possible|proceed|annual|next|last|since|referred for|"
    r"additional|biopsy|guid\w+|screening program|in (?:19|20)\d\d|(?:19|20)\d\d\b|dated|seen on|known from|recall\w*)\b"
)
_DONE = re.compile(
    r"(?P<ultrasound>\b(?:proceeded to|carried out|performed|went on to|underwent|did|undertook|followed by) (?:an? |the |"
    r"bilateral |targeted )*(?:ultraso\w+|us)\b|"
    r"\b(?:targeted|directed|focused|focal|same[- ]day|limited|complete|handheld|bilateral|second[- ]look|whole breast|"
    r"high[- ]resolution|breast|right|left)(?: \w+){0,2} (?:ultraso\w+|sonogra\w+|us)\b|"
    r"\b(?:on|by|with|at) (?:targeted |directed |focused |the )?(?:ultraso\w+|sonogra\w+|sonar|usg?)\b(?!-?\s?guid)|\b(?:us|usg|"
    r"ultraso\w+|"
    r"sonogra\w+) (?:was |is )?(?:shows?|demonstrates?|reveals?|confirms?|performed|identif\w+|examination (?:shows|was)|of the|images)|"
    r"\bsonographically\b)|"
    r"(?P<mammography>\b(?:proceeded to|carried out|performed|went on to|underwent|attended for|came for|"
    r"attends for) (?:an? |the |her |his |[a-z]+ ){0,3}mammogra\w+|"
    r"\b(?:on|by|with) (?:the )?(?:mammogra\w+|tomosynthesis|spot compression|magnification)\b|\bmammogra\w+ (?:shows?|"
    r"demonstrates?|reveals?|confirms?|performed)|\bmammographically\b|\bmammogra\w+ (?:(?:of|from) (?:the )?(?:same|today)|"
    r"(?:is|was|were) (?:negative|normal|unremarkable|clear))|\b(?:mlo|cc) (?:and \w+ )?views?\b)|"
    r"(?P<mri>\b(?:on|by|with) (?:the )?(?:mri|mr)\b(?! (?:finding|abnormal|lesion|mass|enhanc))|\bmri (?:shows?|"
    r"demonstrates?|reveals?|confirms?))"
)
_FEATURES = re.compile(
    r"(?P<ultrasound>complicated cysts?|simple cysts?|cm fn\b|\bn ?\+ ?\d|hypo-?echoic|anechoic|hyper-?echoic|echogenic|"
    r"echotexture|isoechoic|acoustic shadow|"
    r"posterior (?:acoustic )?(?:shadow|enhancement)|taller[- ]than[- ]wide|doppler|transducer|sonographic)|"
    r"(?P<mri>background parenchymal enhancement|\bbpe\b|washout|kinetic\w*|gadolin\w+|gadobutrol|subtraction|non-?mass|t1|t2|stir|dwi|"
    r"post-?contrast|fibroglandular tissue:)|"
    r"(?P<mammography>\bcc\b|\bmlo\b|mammogra\w+|tomosynthesis|magnification|spot compression|fibroglandular densit|breast composition|"
    r"breast density|microcalcification|architectural distortion|\bcad\b)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityReading:
    """How the breast was examined, and the words that say so."""

    names: tuple[str, ...]
    words: tuple[tuple[int, int], ...]
    rule: str
    confidence: float

    @property
    def only(self) -> str | None:
        return self.names[0] if len(self.names) == 1 else None

    def candidate(self) -> Candidate | None:
        if not self.names:
            return None
        return Candidate(value=self.only or "combined", words=self.words, rule=self.rule, confidence=self.confidence)


def title_zone(view: View, sections: Sequence[TextSection]) -> list[tuple[int, int]]:
    """Where the examination is named: the header sections, the first lines, the technique."""
    lower = view.text.lower
    zones = [(section.start, section.end) for section in sections if section.kind is SectionKind.TECHNIQUE]
    has_findings = any(section.kind is SectionKind.FINDINGS and section.heading is not None for section in sections)
    for section in sections:
        if section.kind is SectionKind.HEADER and (has_findings or section.heading is not None or section.end < len(lower) * 0.5):
            zones += _title_like(lower, section.start, section.end)
    lead = len(lower) - len(lower.lstrip())
    first_line = lower.find("\n", lead)
    if (
        first_line > 0
        and first_line - lead < 160
        and not any(start <= lead < end for start, end in zones)
        and not re.match(r"(?:clinical|history|indication|reason|compar)", lower[lead:])
    ):
        zones.append((lead, first_line))
    return zones


_SENTENCE_LIKE = re.compile(r"\b(?:is|was|has|have|had|are|were|been|showed|underwent|compared|previous\w*)\b")


def _title_like(lower: str, start: int, end: int) -> list[tuple[int, int]]:
    """The lines of a header that are no sentences."""
    zones, position = [], start
    for line in lower[start:end].split("\n"):
        if len(line) < 160 and not _SENTENCE_LIKE.search(line):
            zones.append((position, position + len(line)))
        position += len(line) + 1
    return zones


def read_modality(view: View, sections: Sequence[TextSection]) -> ModalityReading:
    """The modalities of this exam: from its title and headings, then from what the text says was done, then from its vocabulary."""
    lower = view.text.lower
    found: dict[str, tuple[int, int]] = {}
    for start, end in title_zone(view, sections):
        for match in _MODALITY.finditer(lower, start, end):
            line = lower.rfind("\n", 0, match.start()) + 1
            if not _COMPARED.search(lower[max(line, match.start() - 60) : match.start()]):
                found.setdefault(str(match.lastgroup), match.span())
    is_titled = bool(found)
    for hit in view.modality_headings:
        found.setdefault(hit.label, (hit.start, hit.end))
    if not found:
        _add_opening(view, found)
    _add_done(view, found, is_titled=is_titled)
    if found:
        names = tuple(sorted(found))
        return ModalityReading(names=names, words=tuple(sorted(found.values())), rule="modality", confidence=0.95 if is_titled else 0.88)
    return _by_vocabulary(view)


_COMPARED = re.compile(r"\b(?:after|following|compar\w+|prior|previous\w*|history|recommend\w*|abnormal)\b")


def _add_opening(view: View, found: dict[str, tuple[int, int]]) -> None:
    """A letter, or a report without a title, says in its first sentences what was done."""
    for clause in [clause for clause in view.clauses if clause.role is Role.FINDINGS][:3]:
        if clause.start < 400 and not _NOT_DONE.search(view.cut(clause)):
            for match in _MODALITY.finditer(view.text.lower, clause.start, clause.end):
                found.setdefault(str(match.lastgroup), match.span())


_WENT = re.compile(r"proceeded|carried|performed|went|underwent|did|undertook|attend|came|followed")
_CAME_FOR = re.compile(r"\b(?:attend(?:ed|s)|came|seen|here|presents?) (?:today )?for\b")


def _add_done(view: View, found: dict[str, tuple[int, int]], *, is_titled: bool) -> None:
    lower = view.text.lower
    for clause in view.clauses:
        is_read = clause.role in (Role.FINDINGS, Role.ADDENDUM) or (clause.role is Role.IMPRESSION and not is_titled)
        if not is_read and not (found == {} and clause.role is Role.CLINICAL and not is_titled and _CAME_FOR.search(view.cut(clause))):
            continue
        for match in _DONE.finditer(lower, clause.start, clause.end):
            name = str(match.lastgroup)
            if (
                name in found
                or (is_titled and name != "ultrasound")
                or (name == "ultrasound" and "mri" in found and "mammography" not in found)
            ):
                continue
            if _WENT.match(match[0]) or not _NOT_DONE.search(view.cut(clause)):
                found[name] = match.span()


def _by_vocabulary(view: View) -> ModalityReading:
    counts: dict[str, list[tuple[int, int]]] = {}
    for clause in view.clauses:
        if clause.role in READ_ROLES and clause.role is not Role.ADDENDUM:
            for match in _FEATURES.finditer(view.text.lower, clause.start, clause.end):
                if not _NOT_DONE.search(view.cut(clause)):
                    counts.setdefault(str(match.lastgroup), []).append(match.span())
    if not counts:
        return ModalityReading(names=(), words=(), rule="", confidence=0.0)
    order = ("ultrasound", "mri", "mammography")
    best = max(counts, key=lambda name: (len(counts[name]), -order.index(name)))
    return ModalityReading(names=(best,), words=tuple(counts[best][:2]), rule="modality_by_vocabulary", confidence=0.7)


def read_density(view: View, sections: Sequence[TextSection], modality: ModalityReading) -> Candidate | None:
    """The breast density: as its letter, otherwise as the lexicon's phrase; none from an MRI's or ultrasound's tissue."""
    if modality.names and "mammography" not in modality.names:
        return None
    silent = [
        (section.start, section.end)
        for section in sections
        if section.kind in (SectionKind.CLINICAL_INFORMATION, SectionKind.TEMPLATE_LEGEND)
    ]
    read = [
        (clause.start, clause.end)
        for clause in view.clauses
        if clause.role in READ_ROLES and clause.modality in (None, "mammography", "mammography+ultrasound")
    ]
    found = []
    for mention in find_densities(view.text.lower):
        is_silent = any(start <= mention.start < end for start, end in silent)
        is_read = any(start - 40 <= mention.start < end for start, end in read)
        if is_read or not is_silent:
            found.append((not is_read, mention.rule == "density_words", mention.start, mention))
    if not found:
        return None
    best = min(found, key=lambda entry: entry[:3])[3]
    return Candidate(
        value=best.value,
        words=((best.start, best.end),),
        rule=best.rule,
        confidence=0.9 if best.rule == "density_words" else 0.96,
        flags=("range",) if best.is_range else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A category, the clause it stands in, its sides, and whether it is of a finding or of the whole exam."""

    mention: CategoryMention
    clause: Clause
    sides: tuple[str, ...]
    is_of_finding: bool
    is_overall: bool
    is_of_breast: bool = True
    """A finding's category that also speaks for its breast: in an impression, or where its sentence names the side."""


_OVERALL = re.compile(
    r"\bexam(?:ination)?\s*[:=]\s*(?=[0-6])|\b(?:overall|final|combined|summary|highest|total|exam(?:ination)? (?:category|bi-?rads))\b"
)


def read_scores(view: View) -> list[Scored]:
    """Every category that this exam states, with what it is tied to."""
    return [
        scored
        for before, clause in itertools.pairwise((None, *view.clauses))
        if clause is not None
        for scored in _clause_scores(clause, view, is_in_row=before is not None and _is_in_row(before, clause, view))
    ]


def _is_in_row(before: Clause, clause: Clause, view: View) -> bool:
    """ "10:00 4 cm FN: mass, 8 x 4 mm. BI-RADS 3.": the category belongs to the finding on whose line it stands."""
    first = view.text.lower.rfind("\n", 0, clause.start) + 1
    is_on_line = before.role is clause.role is Role.FINDINGS and first <= before.start
    is_headed = clause.side is not None and clause.side.start >= first
    if not is_on_line or is_headed or current_sides(view, clause.start, clause.end):
        return False
    has_noun = bool(find_nouns(before, view)) or any(hit.label != "other" for hit in view.nouns.within(first, clause.start))
    return has_noun and bool(view.clocks.within(first, clause.start) or view.sizes.within(first, clause.start))


_ADVICE_AFTER = re.compile(
    r"\s+(?:breast\s+)?(?:diagnostic|targeted|ultraso\w+|mammo\w*|mri|spot|mag\w*|views?|biops\w+|additional|us\b|stereo\w*|mr\b)"
)


def _clause_scores(clause: Clause, view: View, *, is_in_row: bool) -> list[Scored]:
    mentions = view.categories.within(clause.start, clause.end)
    if not mentions or (clause.role not in READ_ROLES and clause.role is not Role.CONTEXT):
        return []
    lower = view.text.lower
    sides = [
        side
        for side in current_sides(view, clause.start, clause.end)
        if side.start < mentions[-1].end or not _ADVICE_AFTER.match(lower, side.end)
    ]
    nouns = find_nouns(clause, view)
    if nouns and all(noun.is_gone for noun in nouns):
        return []
    has_own = bool(view.clocks.within(clause.start, clause.end) or view.sizes.within(clause.start, clause.end))
    has_noun = (
        bool(nouns)
        or clause.label is not None
        or is_in_row
        or (clause.is_row and has_own)
        or bool(view.clocks.within(clause.start, clause.end))
    )
    is_headed = clause.side is not None and 0 <= clause.start - clause.side.end <= 8
    follows = bool(sides) and not is_headed and mentions[0].start < sides[0].start
    scored = []
    for index, mention in enumerate(mentions):
        before = mentions[index - 1].end if index else clause.start
        after = mentions[index + 1].start if index + 1 < len(mentions) else clause.end
        window = (mention.start, after) if follows else (before, mention.end)
        values = {side.value for side in sides if window[0] <= side.start < window[1]}
        own = mention.side or _inner_side(view, mention)
        lead = (
            view.text.lower[max(clause.start - 30, before, 0) : mention.end]
            if index
            else view.text.lower[max(0, clause.start - 30) : mention.end]
        )
        is_overall = bool(_OVERALL.search(lead[lead.rfind("\n") + 1 :])) and own is None and not values
        if own is not None:
            values = {own}
        elif (
            not values
            and clause.side is not None
            and not (is_overall or _closes(clause, mention, view))
            and not (clause.is_side_titled or clause.is_side_inline)
        ):
            values = {clause.side.value}
        scored.append(
            Scored(
                mention=mention,
                clause=clause,
                sides=_expanded(values),
                is_of_finding=has_noun and own is None,
                is_overall=is_overall,
                is_of_breast=_speaks_for_breast(clause, sides, view),
            )
        )
    return scored


_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def _closes(clause: Clause, mention: CategoryMention, view: View) -> bool:
    """A category that opens a paragraph of its own under the second of two breasts' headings speaks for the examination."""
    lower = view.text.lower
    if clause.side is None or clause.role is not Role.FINDINGS or mention.start - clause.start > 2:
        return False
    lead = lower[: clause.start].rstrip(" \t*-")
    is_first = _BLANK_LINE.search(lower, max(0, len(lead) - 4), clause.start) is not None
    if not is_first or not (clause.side.end < len(lead) and "\n" in lower[clause.side.end : len(lead)].strip(" :")):
        return False
    return any(
        other.side is not None and other.side.value != clause.side.value and other.start < clause.side.start and other.role is clause.role
        for other in view.clauses
    )


def _speaks_for_breast(clause: Clause, sides: list[PlaceWord], view: View) -> bool:
    """A finding's category counts for its breast where the sentence names the breast, or in an impression under its heading."""
    has_own = bool(view.clocks.within(clause.start, clause.end) or view.sizes.within(clause.start, clause.end))
    names_breast = clause.side is not None or any(
        side.value == "bilateral" or "breast" in view.text.lower[side.start : side.end + 7] for side in sides
    )
    if clause.role is not Role.FINDINGS and names_breast:
        return True
    return not has_own and (clause.role is not Role.FINDINGS or (bool(sides) and clause.label is None))


def _inner_side(view: View, mention: CategoryMention) -> str | None:
    """A side inside the category's own words ("BI-RADS right breast: 2")."""
    values = {side.value for side in view.sides.within(mention.start, mention.end)}
    return values.pop() if len(values) == 1 else None


def _expanded(values: set[str]) -> tuple[str, ...]:
    return ("left", "right") if "bilateral" in values or len(values) > 1 else tuple(values)


def read_categories(scores: Sequence[Scored]) -> dict[str, Candidate]:
    """``birads``, ``birads_left`` and ``birads_right``: an addendum's over the impression's over the findings'."""
    values: dict[str, Candidate] = {}
    for side in ("left", "right"):
        tied = [scored for scored in scores if side in scored.sides]
        chosen = _by_trust([scored for scored in tied if not scored.is_of_finding])
        if not chosen and any(scored.is_of_breast for scored in tied):
            trusted = _by_trust([scored for scored in tied if scored.is_of_breast])
            chosen = [scored for scored in tied if scored.clause.role is trusted[0].clause.role]
        if chosen:
            values[f"birads_{side}"] = _worst(chosen, "category_of_side", 0.93)
    overall = _overall(scores)
    if overall is not None:
        values["birads"] = overall
    return values


def _overall(scores: Sequence[Scored]) -> Candidate | None:
    for chosen, rule in (
        ([scored for scored in scores if scored.is_overall], "overall"),
        (
            [scored for scored in scores if not scored.sides and not scored.is_of_finding and scored.clause.role is not Role.CONTEXT],
            "category",
        ),
    ):
        trusted = _by_trust(chosen)
        if trusted:
            stated = _worst(trusted, rule, 0.95)
            later = [scored for scored in scores if scored.clause.role is Role.ADDENDUM]
            return stated if not later or trusted[0].clause.role is Role.ADDENDUM else _worst(later, "worst_of_addendum", 0.85)
    everything = _by_trust_all(scores)
    return _worst(everything, "worst_stated", 0.9) if everything else None


_TRUST = (Role.ADDENDUM, Role.IMPRESSION, Role.FINDINGS, Role.CONTEXT)


def _by_trust(scores: Sequence[Scored]) -> list[Scored]:
    for role in _TRUST:
        found = [scored for scored in scores if scored.clause.role is role]
        if found:
            return found
    return []


def _by_trust_all(scores: Sequence[Scored]) -> list[Scored]:
    """All categories that are read, those of context only where there are no others; an addendum's replace those of its sides."""
    read = [scored for scored in scores if scored.clause.role is not Role.CONTEXT] or list(scores)
    amended = {side for scored in read if scored.clause.role is Role.ADDENDUM for side in scored.sides or ("left", "right")}
    if not amended:
        return read
    return [scored for scored in read if scored.clause.role is Role.ADDENDUM or not (set(scored.sides) & amended or not scored.sides)]


def _worst(scores: Sequence[Scored], rule: str, confidence: float) -> Candidate:
    best = max(scores, key=lambda scored: (severity(scored.mention.value), -scored.mention.start)).mention
    flags = [*(("range",) if best.is_range else ()), *(("ambiguous",) if best.is_ambiguous else ())]
    return Candidate(
        value=best.value, words=((best.start, best.end),), rule=rule, confidence=confidence if not flags else 0.75, flags=tuple(flags)
    )


def fallback_side(view: View, sections: Sequence[TextSection]) -> Candidate | None:
    """The side of a one-sided exam: from its title, otherwise where its text names no other."""
    titled = [side for start, end in title_zone(view, sections) for side in view.sides.within(start, end)]
    titled += _title_lines(view)
    if titled:
        values = {side.value for side in titled}
        first = titled[0]
        return (
            Candidate(value=first.value, words=((first.start, first.end),), rule="side_of_exam", confidence=0.8)
            if len(values) == 1 and first.value != "bilateral"
            else None
        )
    named = [side for clause in view.clauses if clause.role in READ_ROLES for side in view.sides.within(clause.start, clause.end)]
    if named and len({side.value for side in named}) == 1 and named[0].value != "bilateral":
        return Candidate(value=named[0].value, words=((named[0].start, named[0].end),), rule="only_side", confidence=0.7)
    return None


def _title_lines(view: View) -> list[PlaceWord]:
    """The sides of a first line that names a modality."""
    lower = view.text.lower
    lead = len(lower) - len(lower.lstrip())
    stop = lower.find("\n", lead)
    line = lower[lead : stop if stop > 0 else min(len(lower), lead + 100)]
    if len(line) > 100 or not _MODALITY.search(line):
        return []
    return [word._replace(start=word.start + lead, end=word.end + lead) for word in find_sides(line)]
