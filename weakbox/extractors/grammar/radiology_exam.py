"""What a prostate MRI report states of the exam: gland volume and PI-RADS version."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from weakbox.extractors.grammar import radiology_mentions as mentions
from weakbox.extractors.grammar.radiology_drafts import Candidate, ExamReading
from weakbox.extractors.grammar.radiology_prior import is_prior
from weakbox.extractors.grammar.radiology_tables import cells_of
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Clause, Located, Role, View
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import Quantity, find_volumes, parse_number

_GLAND = re.compile(r"\b(?:prostat\w*|(?<!mid )(?<!mid-)gland\w*|whole[- ]gland)\b")
_VOLUME_WORD = re.compile(r"\bvol(?:ume|\b)")
_NOT_GLAND = re.compile(
    r"\b(?:bladder|post-?void|residual|dotarem|gadovist|gadolinium|gadobutrol|gadoterate|gadavist|contrast|multihance|prohance|"
    r"clariscan|buscopan|glucagon|gel|saline|injected|administered|intravenous|transition(?:al)?(?: zone)?|tz|central gland|"
    r"lesion|tumou?r|cyst|roi|target|nodule|seminal|hydrocele|median lobe)\b"
)
_NOT_GLAND_AFTER = re.compile(
    r"\s*(?:of )?(?:dotarem|gado\w+|contrast|iv|intravenous|multihance|prohance|bladder|post)|/|\s*(?:transition|tz|central gland)"
)
_WHOLE = re.compile(r"\b(?:whole|total|entire|prostat\w*|overall)\b[^.;\n]{0,60}$")
_UNITLESS = re.compile(
    r"\b(?:prostat\w+|gland|whole[- ]gland)\s+(?:gland\s+)?(?:volume|size)\s*(?:[(\[](?:ml|cc|cm3|g)[)\]])?\s*(?:is|was|of|"
    r"[:=])?\s*(?:approximately |about |~)?(?P<value>\d{2,3}(?:[.,]\d)?)(?![\d.,]\d|\d|\s?(?:mm|cm|x|\*|%|-))"
)
_BARE_VOLUME = re.compile(
    r"(?:^|\n|\.\s|\s{2}|[|,;]\s?)(?:total |gland |prostate )?vol(?:ume)?\.?(?: is| of|\s?:|\s?=)?\s*(?P<value>\d{2,3}(?:\.\d)?)"
    r"(?=[,;|\n]|\.\s|\s{2}|\.?$|\s?\()"
)
_BARE_LABEL = re.compile(r"\bvol(?:ume)?\.?\s*[(\[](?:ml|cc|cm3)[)\]]\s*[:=]?\s*(?P<value>\d{2,3}(?:[.,]\d)?)(?!\d|\s?[x*])")


def read_volume(view: View) -> ExamReading:
    """The whole gland's stated volume, mL; never of the bladder, the contrast medium, a zone or a lesion."""
    best: tuple[int, Quantity] | None = None
    lower = view.text.lower
    volumes = Located(find_volumes(lower))
    for rank, clause in _by_trust(view.clauses) if volumes.items else ():
        for quantity in volumes.within(clause.start, clause.end):
            points = _gland_points(lower, clause, quantity) or _corrected_points(lower, clause, quantity)
            if points and (best is None or points - rank > best[0]):
                best = (points - rank, quantity)
    if best is not None:
        return ExamReading(candidate=_volume_candidate(best[1], lower))
    for pattern in (_UNITLESS, _BARE_LABEL, _BARE_VOLUME):
        for match in pattern.finditer(lower):
            if not is_prior(lower, match.start(), match.end()):
                return ExamReading(
                    candidate=Candidate(
                        value=parse_number(match["value"]),
                        words=((match.start(), match.end()),),
                        rule="volume_without_unit",
                        confidence=0.75,
                    )
                )
    return ExamReading()


_EXAM_COLUMNS = (
    ("psa_ng_ml", re.compile(r"(?:total |serum |latest )?psa(?:\s?[(,]?\s?(?:ng/ml|ug/l)\)?)?$")),
    ("psa_density", re.compile(r"psa[- ]?d(?:ensity|ens\.?)?\b.{0,14}$")),
    ("prostate_volume_ml", re.compile(r"(?:prostate |gland |whole gland )?vol(?:ume)?\.?(?:\s?[(,]?\s?(?:ml|cc|cm3)\)?)?$")),
)
_EXAM_CELL = re.compile(r"\s*(?P<value>\d{1,4}(?:[.,]\d{1,3})?)\s*(?:ng/ml|ug/l|ml|cc|cm3)?\s*$")


def read_exam_table(view: View) -> dict[str, ExamReading]:
    """PSA, density and volume from a heading row of their names over a row of their numbers."""
    rows = [clause for clause in view.clauses if clause.is_row]
    for head, row in itertools.pairwise(rows):
        titles = [view.text.lower[start:end].strip(" *_") for start, end in cells_of(head, view)]
        names = [next((name for name, pattern in _EXAM_COLUMNS if pattern.match(title)), None) for title in titles]
        cells = cells_of(row, view)
        if sum(name is not None for name in names) < 2 or len(cells) != len(titles):
            continue
        found = {}
        for name, (start, end) in zip(names, cells, strict=True):
            match = _EXAM_CELL.match(view.text.lower[start:end])
            if name and match:
                words = ((start + match.start("value"), start + match.end("value")),)
                candidate = Candidate(value=parse_number(match["value"]), words=words, rule="exam_table", confidence=0.85)
                found[name] = ExamReading(candidate=candidate)
        if found:
            return found
    return {}


def _by_trust(clauses: Sequence[Clause]) -> list[tuple[int, Clause]]:
    """Findings and impression before the clinical field, which may quote an earlier ultrasound."""
    ranked = [
        (-20 if clause.role is Role.ADDENDUM else 0 if clause.role in READ_ROLES else 4 if clause.role is Role.CLINICAL else 2, clause)
        for clause in clauses
    ]
    return sorted(ranked, key=lambda pair: (pair[0], pair[1].start))


_LEAD_END = re.compile(r"(?<![mc]m);|(?<!vol)(?<!approx)(?<!\bca)(?<!\best)\.\s")
_DIMENSIONS = re.compile(r"\d\s*(?:mm|cm)?\s*x\s*\d")
_GLAND_AFTER = re.compile(r"\s*(?:sized?\s+|large\s+|enlarged\s+|in\s+)?(?:prostate|gland)")
_OF_PART = re.compile(r"\b(?:transition(?:al)? zone|tz|central gland|adenoma|lesion|tumou?r|nodule)\b[^.;,]{0,25}$")


def _gland_points(lower: str, clause: Clause, quantity: Quantity) -> int:
    """0 where the volume is of something else; more where the words name the whole gland."""
    start = max(clause.start, quantity.start - 130)
    lead = lower[start : quantity.start]
    lead = _LEAD_END.split(lead)[-1]
    if is_prior(lower, quantity.start, quantity.end) or quantity.value < 5 or quantity.value > 900:
        return 0
    after = lower[quantity.end : min(clause.end, quantity.end + 30)]
    nearest = max((match.end() for match in _GLAND.finditer(lead)), default=-1)
    other = max((match.end() for match in _NOT_GLAND.finditer(lead)), default=-1)
    if other > nearest or _NOT_GLAND_AFTER.match(after):
        return 0
    has_dimensions = bool(_DIMENSIONS.search(lead))
    if _OF_PART.search(lead):
        return 0
    is_weight = quantity.unit == "g"
    if _WHOLE.search(lead):
        return 5 if is_weight else 10
    if _GLAND_AFTER.match(after):
        return 5 if is_weight else 9
    if clause.field == "size" and clause.region is None and not other >= 0 and quantity.unit != "g":
        return 3
    if nearest >= 0 or has_dimensions or _VOLUME_WORD.search(lead):
        return 4 if is_weight else 8
    return 0


def _corrected_points(lower: str, clause: Clause, quantity: Quantity) -> int:
    """ "The volume was misprinted; 41 mL is correct" in an addendum."""
    cut = lower[clause.start : clause.end]
    if (
        clause.role is not Role.ADDENDUM
        or not 5 <= quantity.value <= 900
        or _NOT_GLAND.search(cut)
        or is_prior(lower, quantity.start, quantity.end)
    ):
        return 0
    return 4 if _VOLUME_WORD.search(cut) else 0


def _volume_candidate(quantity: Quantity, lower: str) -> Candidate:
    flags: list[str] = []
    if quantity.low is not None:
        flags.append("range")
    if quantity.unit == "g":
        flags.append("unit")
    return Candidate(
        value=quantity.value,
        words=((quantity.start, quantity.end),),
        rule="volume",
        confidence=0.95 if not flags else 0.8,
        flags=tuple(flags),
    )


def read_version(text: Normalised) -> ExamReading:
    """The PI-RADS version, from wherever the report names it; the most specific counts."""
    found = mentions.find_versions(text.lower)
    if not found:
        return ExamReading()
    current = [mention for mention in found if not is_prior(text.lower, mention.start, mention.end)] or found
    best = max(current, key=lambda mention: (float(mention.value), -mention.start))
    return ExamReading(candidate=Candidate(value=best.value, words=((best.start, best.end),), rule="version", confidence=0.97))
