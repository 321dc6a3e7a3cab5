"""What a prostate MRI report states of the exam: PSA, PSA density, gland volume, PI-RADS version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from weakbox.extractors.grammar import radiology_mentions as mentions
from weakbox.extractors.grammar.radiology_drafts import Candidate
from weakbox.extractors.grammar.radiology_units import READ_ROLES, Clause, Located, Role, View, is_prior
from weakbox.text.normalise import Normalised
from weakbox.text.quantities import Quantity, find_volumes, parse_number


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamReading:
    """A value of the exam and the flags that go with it; ``candidate`` is None where only a flag remains."""

    candidate: Candidate | None = None
    flags: tuple[str, ...] = ()


_PSA = re.compile(
    r"psa(?<![^\W_]psa)(?<!(?<!\bs)-psa)(?![\w])(?!\s*(?:-\s*)?(?:d\b|density|dens\b|dt\b|velocity|doubling|kinetics|ratio|"
    r"derivative))(?<!free psa)(?<!free-psa)(?<!percent psa)(?<!% psa)"
)
_NUMBER = re.compile(
    r"(?<![\w./,-])(?P<operator>[<>~]\s?)?(?P<value>\d{1,5}(?:[.,]\d{1,3})?)(?!\d|(?!u?g|n|mcg)[a-z_]|/|[.,]\d|\s?(?:%|mm\b|cm\b|"
    r"cc\b|ml\b|months?|years?|weeks?|days?|yo\b|y/o|-year|x\s?\d|/\d))(?=(?P<unit>\s?(?:ng\s?/\s?ml|ug\s?/\s?l|ng/dl|ng\b|u?g/l|"
    r"mcg/l)))?"
)
_YEAR = re.compile(r"(?:19|20)\d\d$")
_PSA_STOP = re.compile(
    r"\n\s*\n|\bpsa[- ]?(?:d|density)\b|\bdensity\b|\bfree\b|\bdoubling\b|\bvelocity\b|\bgleason\b|\bpi-?rads\b|\bvolume\b|\bprior "
    r"biops|\bbiops|\bage\b|\bprostate\b|\bmri\b|;|\.\s+[a-z]|\bgleason|\bratio\b|\blesion|\bcores?\b"
)
_ARROW = re.compile(
    r"^\s*(?:ng\s?/\s?ml\s*)?(?:\([^)]{0,20}\)\s*)?(?:-?-?>|=>|to\b|,?\s*then\b|,?\s*now\b|,?\s*currently\b|,?\s*most recently\b|"
    r"rising to|increased to|increasing to|,)\s*(?:ng)?"
)
_MASK_AFTER = re.compile(r"^\W{0,4}(?:level|value|is|was|of|:|\s)*\s*$")


def read_psa(view: View) -> ExamReading:
    """The latest total PSA: not its density, ratio, velocity; a masked number stays open with a flag."""
    lower = view.text.lower
    found: list[Candidate] = []
    flags: set[str] = set()
    for match in _PSA.finditer(lower):
        stop = _PSA_STOP.search(lower, match.end(), match.end() + 110)
        end = stop.start() if stop else min(len(lower), match.end() + 110)
        masked = view.text.masked_in(match.end(), min(end, match.end() + 22))
        candidate = _psa_value(lower, match.start(), match.end(), end)
        if masked is not None and (candidate is None or candidate.words[0][1] > masked[0]):
            flags.add("masked")
            continue
        if candidate is not None:
            found.append(candidate)
    if not found:
        return ExamReading(flags=tuple(sorted(flags)))
    amended = [(clause.start, clause.end) for clause in view.clauses if clause.role is Role.ADDENDUM]
    corrected = [candidate for candidate in found if any(start <= candidate.words[0][0] < end for start, end in amended)]
    return ExamReading(candidate=_latest(corrected or found, lower))


_CURRENT = re.compile(r"\b(?:current|latest|most recent|last|now|today|recent)\b[^.;\n]{0,25}$")


def _latest(found: list[Candidate], lower: str) -> Candidate:
    current = [candidate for candidate in found if _CURRENT.search(lower[max(0, candidate.words[0][0] - 40) : candidate.words[0][0]])]
    return (current or found)[0]


def _psa_value(lower: str, start: int, after: int, end: int) -> Candidate | None:
    numbers = [match for match in _NUMBER.finditer(lower, after, end) if not _is_date_part(lower, match)]
    numbers = [match for match in numbers if not is_prior(lower, match.start("value"), match.end("value"))]
    if not numbers or numbers[0].start() - after > 60:
        return None
    chosen = _last_of_series(lower, numbers)
    flags = ("operator",) if chosen["operator"] and chosen["operator"].strip() in "<>" else ()
    unit_end = chosen.end("unit") if chosen["unit"] else chosen.end("value")
    words = ((start, unit_end),) if chosen is numbers[0] else ((chosen.start("value"), unit_end),)
    value = parse_number(chosen["value"])
    return Candidate(value=value, words=words, rule="psa", confidence=0.95 if chosen["unit"] else 0.9, flags=flags)


def _is_date_part(lower: str, match: re.Match[str]) -> bool:
    if _YEAR.match(match["value"]) and not match["unit"]:
        return True
    before = lower[max(0, match.start() - 12) : match.start()]
    return bool(re.search(r"(?:\d[/.-]|\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)\w*\.?\s)$", before))


def _last_of_series(lower: str, numbers: list[re.Match[str]]) -> re.Match[str]:
    """ "4.2 -> 6.1 -> 7.8" and "from 4.2 to 7.8" end with the latest; otherwise the first number counts, or the one of the latest year."""
    chosen = numbers[0]
    years = [(_year_beside(lower, number), -index) for index, number in enumerate(numbers)]
    if len(numbers) > 1 and all(year for year, _ in years):
        return numbers[-max(years)[1]]
    for number in numbers[1:]:
        between = lower[chosen.end() : number.start()]
        if re.search(r">|\bto\b|\bthen\b|\bnow\b|\bcurrently\b|\bmost recent", between) or re.search(
            r"\bfrom\s*$", lower[max(0, chosen.start() - 6) : chosen.start()]
        ):
            chosen = number
        else:
            break
    return chosen


_YEAR_AFTER = re.compile(r"\s*(?:ng/ml\s*)?[(\[]?\s*(?:in\s+|on\s+)?(?:\w{3,9}\.?\s+|\d{1,2}[/.-]){0,2}(?P<year>(?:19|20)\d\d)")
_YEAR_BEFORE = re.compile(r"(?P<year>(?:19|20)\d\d)\)?\s*[:=-]?\s*$")


def _year_beside(lower: str, number: re.Match[str]) -> int:
    end = number.end("unit") if number["unit"] else number.end("value")
    after = _YEAR_AFTER.match(lower, end)
    before = _YEAR_BEFORE.search(lower[max(0, number.start() - 8) : number.start()])
    match = before or after
    return int(match["year"]) if match else 0


_DENSITY = re.compile(
    r"(?:\bpsa[- ]?d(?:ensity|ens)?\b|\bpsa density\b|\bdensity of psa\b|\bpsa "
    r"dens\.?)(?:\s*\(psad?\))?(?P<gap>[^\n;]{0,45}?)(?<![\w.,])(?P<operator>[<>~]\s?)?(?P<value>[0-4]?[.,]\d{1,3}|"
    r"[0-4](?![\d/.,]))(?!\d|[.,]\d)(?P<unit>\s?ng\s?/\s?ml(?:\s?/\s?(?:cc|ml|cm3|g)|2|\^2)?)?"
)
_DENSITY_STOP = re.compile(r"\bpsa\b|threshold|cut-?off|above|greater than|pi-?rads|volume\s*(?:of|:)")


def read_psa_density(view: View) -> ExamReading:
    """PSA density as stated; the first current one counts."""
    lower = view.text.lower
    for match in _DENSITY.finditer(lower):
        if (
            _DENSITY_STOP.search(match["gap"])
            or is_prior(lower, match.start("value"), match.end("value"))
            or view.text.masked_in(match.start(), match.start("value"))
        ):
            continue
        end = match.end("unit") if match["unit"] else match.end("value")
        flags = ("operator",) if match["operator"] and match["operator"].strip() in ("<", ">") else ()
        return ExamReading(
            candidate=Candidate(
                value=parse_number(match["value"]), words=((match.start(), end),), rule="psa_density", confidence=0.95, flags=flags
            )
        )
    return ExamReading()


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
_BARE_VOLUME = re.compile(r"(?:^|\n|\.\s)volume(?: is| of|:| =)?\s*(?P<value>\d{2,3}(?:\.\d)?)(?=[,;\n]|\.\s|\.?$)")
_BARE_LABEL = re.compile(r"\bvolume\s*[(\[](?:ml|cc|cm3)[)\]]\s*[:=]?\s*(?P<value>\d{2,3}(?:[.,]\d)?)(?!\d|\s?[x*])")


def read_volume(view: View) -> ExamReading:
    """The whole gland's stated volume, mL; never of the bladder, the contrast medium, a zone or a lesion."""
    best: tuple[int, Quantity] | None = None
    lower = view.text.lower
    volumes = Located(find_volumes(lower))
    for rank, clause in _by_trust(view.clauses) if volumes.items else ():
        for quantity in volumes.within(clause.start, clause.end):
            points = _gland_points(lower, clause, quantity)
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


def _by_trust(clauses: Sequence[Clause]) -> list[tuple[int, Clause]]:
    """Findings and impression before the clinical field, which may quote an earlier ultrasound."""
    ranked = [(0 if clause.role in READ_ROLES else 4 if clause.role is Role.CLINICAL else 2, clause) for clause in clauses]
    return sorted(ranked, key=lambda pair: (pair[0], pair[1].start))


def _gland_points(lower: str, clause: Clause, quantity: Quantity) -> int:
    """0 where the volume is of something else; more where the words name the whole gland."""
    start = max(clause.start, quantity.start - 130)
    lead = lower[start : quantity.start]
    lead = re.split(r";|(?<!vol)\.\s", lead)[-1]
    if is_prior(lower, quantity.start, quantity.end) or quantity.value < 5 or quantity.value > 900:
        return 0
    after = lower[quantity.end : min(clause.end, quantity.end + 30)]
    nearest = max((match.end() for match in _GLAND.finditer(lead)), default=-1)
    other = max((match.end() for match in _NOT_GLAND.finditer(lead)), default=-1)
    if other > nearest or _NOT_GLAND_AFTER.match(after):
        return 0
    has_dimensions = bool(re.search(r"\d\s*(?:mm|cm)?\s*x\s*\d", lead))
    if re.search(r"\b(?:transition(?:al)? zone|tz|central gland|adenoma|lesion|tumou?r|nodule)\b[^.;,]{0,25}$", lead):
        return 0
    if _WHOLE.search(lead):
        return 10
    if re.match(r"\s*(?:prostate|gland)", after):
        return 9
    if nearest >= 0 or has_dimensions or _VOLUME_WORD.search(lead):
        return 8 if quantity.unit == "ml" else 7
    return 0


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
