"""Blanks what is printed around a report and no part of it: the letterhead, telephone numbers, times of day.

Every blanked character becomes one blank (a digit of a running line ``_``), so that no place in the text moves.
"""

from __future__ import annotations

import re
from dataclasses import replace

from weakbox.text.normalise import Normalised

_MOST_LINES = 14
_IDENTITY = re.compile(
    r"\b(?:tel|fax|phone|telephone|t[ée]l|telefon\w*|telefax|tel[ée]fono|telefoon|e-?mail|www|mrn|dob|geb|n[ée]e?|born|birth|accession"
    r"|patient(?:in|en)?|pati[ëe]nte?|paciente|pat|name|nom|nombre|naam|namn|fall-?nr|fallnummer|personnr|personnummer|pnr|ipp|nhc|nhs|mrn"
    r"|ur|hospital no|case no|id|dossier|date|datum|fecha|unders[öo]kningsdatum|remittent|einsender|zuweiser|aanvrager|arts|prescripteur"
    r"|m[ée]dico|solicitante|referrer|referring|ward|station|requested by|consultant)\b\.?[^:\n]{0,24}?(?:[:.]|no\b|nr\b|[\d\[_x]{3,})"
)
_PLACE = re.compile(
    r"\b(?:hospital|hospitals|infirmary|klinik\w*|krankenhaus|krankenh[äa]user|universit[äa]ts\w+|universit\w+|ziekenhuis|umc|sjukhus\w*"
    r"|lasarett\w*|cl[íi]nica|centre|center|centro|clinic|medical|nhs trust|trust|institut|institute|instituto|department|dept|abteilung"
    r"|afdeling|avdelning\w*|servicio|service|praxis|gemeinschaftspraxis|mvz|chu|chru|cabinet|laboratoire|laboratorium|laboratory|labor"
    r"|\w*stra(?:ße|sse)|street|road|avenue|rue|calle|avenida|\w*gatan|\w*v[äa]gen|\w*straat|\w*laan|plaza|platz|postbus|box)\b"
)
_CLINICAL = re.compile(
    r"prosta|\breport\b|rapport|mamm|breast|brust|borst|br[öo]st|\bseins?\b|\bmama|biops|biopt|\bpsa\b|\baps\b|\bape\b|\bpx\b|\bmrt?\b|\bmri\b|\brmn?\b|\birm\b"
    r"|gleason|rads|carcin|karzin|cancer|tumou?r|lesi|l[äa]si|m[äa]rk|zyst|cyst|kyst|quist|sono|echogra|[ée]cogra|ultra|tomosyn|befund"
    r"|findings|impression|diagnos(?:e|en|es|is|i)\b|resek|resec|r[ée]sec|excis|exzis|specimen|material|prelev|pr[ée]l[èe]v|knoten|nodul"
    r"|indica|indika|clinic(?:al)? "
    r"|klinische|gegevens|uppgift|renseign|anamn|question|frage|vraag|fr[åa]ga|right|left|rechts|links|droit|gauche|derech|izquierd"
    r"|h[öo]ger"
    r"|v[äa]nster|\bmm\b|\bcm\b|\bml\b|stanz|nadel|naald|grovn[åa]l|\bpad\b|punkt|zytolog|cytolog|citolog|biparam|multiparam|\bt[12]\b"
)
_DATE = r"(?:\d{1,2}[./-]\d{1,2}[./-](?:\d\d){1,2}|(?:19|20)\d\d-\d\d-\d\d)"
_TIME = re.compile(
    rf"(?P<lead>{_DATE}[ \t,]{{0,3}}(?:(?:um|at|kl\.?|om|[àa]|a las|-)[ \t]*)?)(?P<time>\d{{1,2}}[:.h]\d\d(?::\d\d)?)(?P<end>[ \t]?"
    r"(?:uhr|uur|hrs?|h|am|pm)?)(?![\w:./-]\d|\w)"
)
_ODD_TIME = re.compile(r"(?<![\d.,/])(?P<time>\d{1,2}[:.](?!00|30)[0-5]\d)(?P<end>[ \t]?(?:uhr|uur))\b")
_PHONE = re.compile(
    r"\b(?:tel|fax|phone|t[ée]l|telefon|tel[ée]fono|telefoon|ext|pager|bleep)\b[ .:]{0,3}(?P<number>\+?[\d(][\d ()/.-]{4,}\d)"
)


def without_letterhead(text: Normalised) -> Normalised:
    """The text with its letterhead, telephone numbers and times of day blanked."""
    lower = text.lower
    spans = _letterhead(lower)
    if ":" in lower or "uhr" in lower or "uur" in lower or "/20" in lower or ".20" in lower:
        spans += [(match.start("time"), match.end("end")) for match in _TIME.finditer(lower)]
    if "uhr" in lower or "uur" in lower:
        spans += [(match.start("time"), match.end("end")) for match in _ODD_TIME.finditer(lower)]
    if any(word in lower for word in ("tel", "tél", "fax", "phone", "ext", "pager", "bleep")):
        spans += [match.span("number") for match in _PHONE.finditer(lower)]
    if not spans:
        return text
    signs, small = list(text.text), list(lower)
    for start, end in spans:
        for position in range(start, end):
            if signs[position] != "\n":
                signs[position] = small[position] = " "
    return replace(text, text="".join(signs), lower="".join(small))


def _letterhead(lower: str) -> list[tuple[int, int]]:
    """The leading lines that name a house, its address, a patient or a date, and nothing clinical."""
    spans: list[tuple[int, int]] = []
    position = 0
    for _ in range(_MOST_LINES):
        end = lower.find("\n", position)
        if end < 0:
            break
        line = lower[position:end]
        if line.strip():
            if _CLINICAL.search(line) or not (_IDENTITY.search(line) or _PLACE.search(line)):
                break
            spans.append((position, end))
        position = end + 1
    return spans
