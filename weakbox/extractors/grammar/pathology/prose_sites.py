"""Specimens that only sentences name by their site.

``Tumour is seen in three of six cores from the right; the left-sided cores are benign`` speaks of two specimens, and so
does ``Adenocarcinoma, Gleason 4+4=8, present in: right base (1/2 cores, 10%), right mid (2/2 cores, 50%)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from weakbox.extractors.grammar.pathology.cores import read_cores
from weakbox.extractors.grammar.pathology.extents import read_length, read_percent
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange
from weakbox.extractors.grammar.pathology.grades import grade_facts, read_grades_at
from weakbox.extractors.grammar.pathology.places import location_facts
from weakbox.extractors.grammar.pathology.targets import read_target
from weakbox.records.record import record

LISTED = "_listed"
"""The words above a list of sites speak of all of them: their counts and extents are not one site's."""
_SIDES = re.compile(r"\bleft\b", re.IGNORECASE), re.compile(r"\bright\b", re.IGNORECASE)
_CLAUSE = re.compile(
    r"(?:(?!,\s*(?:whereas|whilst|while|but|and\s+(?:the|on|in|those)\b)|\b(?:whereas|whilst|while)\b)[^.;\n]|[.;](?=\S)|\n(?!\s*\n))+",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"carcinoma|cancer|tumou?r|malignan|benign|negative|positive|involved|gleason|\d\s?\+\s?\d|grade group|HGPIN|\bPIN\b|ASAP"
    r"|atypical|prostatitis"
    r"|hyperplasia|\bfree of\b",
    re.IGNORECASE,
)
_OF_THE_CASE = re.compile(
    r"\b(?:overall|composite|summary|in total|perineural|extraprostatic|margins?|invasion|mri|pi-?rads|psa|received|submitted|history"
    r"|referr\w+"
    r"|total of)\b",
    re.IGNORECASE,
)
_SITE_WORDS = r"(?:[A-Za-z][\w'/-]*[ ,]+){0,4}?[A-Za-z][\w'/-]*"
_ITEM = re.compile(
    rf"(?P<site>{_SITE_WORDS})[ \t]*[:-]?[ \t]*(?P<words>\([^()\n]*\d[^()\n]*\)|<?\d{{1,3}}[ \t]?(?:%|percent)(?:[ \t]*\([^()\n]*\))?"
    rf"|\d{{1,2}}/\d{{1,2}}(?:[ \t]+cores?)?(?:[ \t]*\([^()\n]*\))?)"
)
_MAY_HOLD_DETAILS = re.compile(r"\([^()\n]*\d|\d[ \t]?(?:%|percent)|\d/\d")
_BETWEEN = re.compile(r"[ \t]*(?:,|;|&|\band\b|\bplus\b|[ \t])*[ \t]*\n?[ \t]*")
_BEFORE_ITEMS = re.compile(
    r"(?:\b(?:in|involv\w+|from|at|sites?|cores?|locations?|distribution)\b[ \t]*(?:the[ \t]+|following[ \t]+)*|:)[ \t]*:?[ \t]*\n?[ \t]*$",
    re.IGNORECASE,
)
_LINE_START = re.compile(r"^(?:in|at|from|involving|present)\s+(?:the\s+)?", re.IGNORECASE)


@record
class ProseSite:
    """Words that tell of one specimen, and where its site is named; ``facts`` are what the words beside the site give."""

    start: int
    end: int
    body: TextRange
    facts: Facts


def sides_in_clauses(text: str, start: int, end: int) -> list[ProseSite]:
    """The clauses that tell of the left and of the right, where both are told of; none otherwise."""
    if not all(side.search(text, start, end) for side in _SIDES):
        return []
    found: list[tuple[str, TextRange, Fact]] = []
    for clause in _CLAUSE.finditer(text, start, end):
        side = location_facts(text, *clause.span()).get("side")
        if _TELLS.search(clause[0]) is None or _OF_THE_CASE.search(clause[0]):
            continue
        if side is not None and side.value in ("left", "right"):
            found.append((str(side.value), clause.span(), side))
        elif found and side is None and not text[found[-1][1][1] : clause.start()].strip(" .;,\n"):
            name, span, fact = found[-1]
            found[-1] = (name, (span[0], clause.end()), fact)
    if len({name for name, _, _ in found}) < 2:
        return []
    return [ProseSite(start=span[0], end=span[1], body=span, facts={"_place": side}) for _, span, side in found]


def sites_with_details(text: str, start: int, end: int) -> list[ProseSite]:
    """Sites that are listed below or after one diagnosis, each with its counts in brackets; none for fewer than two."""
    found: list[ProseSite] = []
    if not _MAY_HOLD_DETAILS.search(text, start, end):
        return found
    run: list[tuple[TextRange, TextRange]] = []
    for item in (*_ITEM.finditer(text, start, end), None):
        if item is not None and run and _BETWEEN.fullmatch(text, run[-1][1][1], item.start()) and _names_one(text, item):
            run.append((item.span("site"), item.span("words")))
            continue
        found += _of_run(text, start, run)
        run = [(item.span("site"), item.span("words"))] if item is not None and _begins(text, start, item) else []
    return found


def _names_one(text: str, item: re.Match[str]) -> bool:
    words = item["words"]
    has_place = bool(location_facts(text, *item.span("site"))) or read_target(text, *item.span("site")) is not None
    return has_place and re.search(r"\d\s*/\s*\d|%|\bpercent\b|\bmm\b|\bof\b", words) is not None and _TELLS.search(item["site"]) is None


def _begins(text: str, start: int, item: re.Match[str]) -> bool:
    site = _LINE_START.sub("", item["site"])
    before = text[max(start, item.end("site") - len(site) - 40) : item.end("site") - len(site)]
    return _BEFORE_ITEMS.search(before) is not None and _names_one(text, item)


_COUNT = re.compile(r"(?<![\d.])(\d{1,2})\s*(?:/|of)\s*(\d{1,2})(?!\s*(?:mm|cm|\d))", re.IGNORECASE)


def _counted(text: str, words: TextRange) -> Facts:
    match = _COUNT.search(text, *words)
    if match is None or int(match[1]) > int(match[2]):
        return {}
    return {
        name: Fact(value=int(match[group]), spans=(match.span(),), confidence=0.93, rule="listed")
        for name, group in (("cores_positive", 1), ("cores_total", 2))
    }


def read_details(text: str, words: TextRange) -> Facts:
    """Counts, grade and extents of the words beside a site that is listed under a diagnosis."""
    facts = _counted(text, words) or read_cores(text, *words, (), (), is_cancer=True)
    grades = read_grades_at(text, *words)
    facts |= grade_facts(grades[0]) if grades else {}
    percent, length = read_percent(text, *words), read_length(text, *words, needs_tumour_word=False)
    return {**facts, **({"percent_involved": percent} if percent else {}), **({"tumor_length_mm": length} if length else {})}


def _of_run(text: str, start: int, run: list[tuple[TextRange, TextRange]]) -> Iterator[ProseSite]:
    if len(run) < 2:
        return
    first = run[0][0][0]
    paragraph = max(text.rfind("\n\n", start, first) + 2, start) if text.rfind("\n\n", start, first) >= 0 else start
    told = list(_TELLS.finditer(text, paragraph, first))
    if not told:
        return
    begins = text.rfind("\n", paragraph, told[0].start()) + 1 or paragraph
    body = (max(begins, paragraph), first)
    for site, words in run:
        facts = read_details(text, words)
        yield ProseSite(
            start=site[0],
            end=words[1],
            body=body,
            facts={LISTED: Fact(value=True, spans=(site,)), "_site": Fact(value=True, spans=(site,)), **facts},
        )


_FREE_SITES = re.compile(
    rf"(?:^|(?<=[.;\n]))[ \t]*(?:(?:the\s+)?(?:biops\w+|cores?|specimens?|samples?|sites?|tissue)\s+(?:taken\s+)?(?:from|of"
    rf"|at)\s+(?:the\s+)?)?(?P<sites>{_SITE_WORDS}(?:[ \t]*(?:,|;|&|\band\b)[ \t]*(?:and[ \t]+)?{_SITE_WORDS}){{0,11}})[ \t]*(?::"
    rf"|-|\b(?:is|are|show\w*)\b)[ \t]*"
    r"(?P<said>(?:benign|negative|no\s+(?:evidence|tumou?r|carcinoma|cancer|malignancy)|free)[^.\n]{0,60})",
    re.IGNORECASE,
)


def sites_without(text: str, start: int, end: int) -> list[ProseSite]:
    """Sites that are listed as free of tumour beside those with details: "R apex, L base: negative"."""
    found: list[ProseSite] = []
    for match in _FREE_SITES.finditer(text, start, end):
        offset = match.start("sites")
        for part in re.finditer(r"(?:(?!\band\b)[^,;&])+", match["sites"], re.IGNORECASE):
            site = (offset + part.start(), offset + part.end())
            place = set(location_facts(text, *site))
            if "side" in place and len(place) > 1:
                facts = {"_site": Fact(value=True, spans=(site,))}
                found.append(ProseSite(start=site[0], end=match.end(), body=match.span("said"), facts=facts))
    return found
