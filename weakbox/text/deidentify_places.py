"""Addresses, and hospitals, wards and practices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from weakbox.text.deidentify_detection import Detection, PhiKind
from weakbox.text.deidentify_words import as_alternation, clinical_words, phi_words

RULES = "rules"
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][^\W\d_]*(?:[-'’.][^\W\d_]+)*\.?"
_CITY = rf"{_CAPITAL}(?:[ ]{_CAPITAL}){{0,2}}"
_POSTCODE = r"(?:[A-Z]{1,2}-)?\d{4,5}(?:-\d{4})?|\d{3}[ ]\d{2}|\d{4}[ ]?[A-Z]{2}|[A-Z]{1,2}\d[A-Z\d]?[ ]\d[A-Z]{2}"
_TAIL = (
    rf"(?:(?:,[ ]?|[ ]|[ ]?\n[ \t]*)(?:(?:{_POSTCODE})[ ]+{_CITY}|{_CITY},?[ ](?:[A-Z]{{2}}[ ])?(?:{_POSTCODE})|{_CITY}(?=\s*(?:$|\n))))?"
)
_STREETS = (
    re.compile(
        rf"\b(?:{_CAPITAL}[ -])?[A-ZÄÖÜÅ]?[^\W\d_]*(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|straat|laan|plein|"
        rf"kade|gracht|singel|dreef|steeg|"
        rf"gatan|vägen|gränd|torget|stigen)[ ]\d{{1,4}}(?:[ ]?[a-zA-Z](?!\w))?{_TAIL}"
    ),
    re.compile(
        rf"\b(?:(?:Am|An[ ]de[rn]|Auf[ ]de[rmn]|Im|In[ ]de[rn]|Zu[mr]|Bei[ ]de[rmn])[ ])?{_CITY}[ ]\d{{1,4}}[ ]?[a-z]?,"
        rf"[ ]?(?:{_POSTCODE})[ ]+{_CITY}"
    ),
    re.compile(
        rf"\b\d{{1,5}}[ ](?:{_CAPITAL}[ ]){{1,3}}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Boulevard|Blvd|Way|Court|"
        rf"Crescent|Terrace|Close|Place)\b\.?"
        rf"(?:,?[ ](?:Apt|Suite|Unit|Flat)\.?[ ]\w+)?{_TAIL}"
    ),
    re.compile(
        rf"\b(?:Calle|C/|Avda\.?|Avenida|Plaza|Pza\.?|Paseo|Camino|Ronda)[ ](?:de[ ](?:la[ ]|los[ ]|las[ ])?|"
        rf"del[ ])?{_CITY},?[ ](?:n[º°.]+[ ]?)?\d{{1,4}}(?:,[ ]\d{{1,2}}[º°ª][ ]?\w?)?{_TAIL}"
    ),
    re.compile(
        rf"\b\d{{1,4}},?[ ](?:(?:bis|ter)[ ])?(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|route|"
        rf"cours)[ ](?:de[ ]|du[ ]|des[ ]|la[ ]|le[ ]|les[ ]|l['’]|d['’])*{_CITY}{_TAIL}",
        re.UNICODE,
    ),
)
_BRITISH = re.compile(rf"(?:\b\d{{1,4}}[a-z]?[ ])?(?:{_CAPITAL},?[ ]){{1,5}}[A-Z]{{1,2}}\d[A-Z\d]?[ ]\d[ABD-HJLNP-UW-Z]{{2}}\b")
"""A British postcode, with the capitalised words and the number of the house before it."""
_POST_LINE = re.compile(rf"(?m)^[ \t]*(?:{_POSTCODE})[ ]+{_CITY}[ \t]*$")
_LINE_REST = r"(?P<value>[^\n|;]{2,80}?)"


@cache
def _labelled_patterns() -> tuple[tuple[re.Pattern[str], PhiKind], ...]:
    words = phi_words()
    stop = (
        rf"(?=[ \t]*(?:$|\n|\||;|[ \t]{{2,}}|[.][ \t\n]|,?[ \t]+"
        rf"(?:{words.alternation('stops', 'id_labels', 'phone_labels', 'date_labels')})[ \t]*:))"
    )
    return tuple(
        (
            re.compile(rf"(?im)(?:^|[|;\t]|[ ]{{2,}}|(?<=[.,])[ ])[ \t]*(?:{words.alternation(name)})[ \t]*[:=][ \t]*{_LINE_REST}{stop}"),
            kind,
        )
        for name, kind in (("address_labels", PhiKind.ADDRESS), ("institution_labels", PhiKind.INSTITUTION))
    )


@cache
def _institutions() -> re.Pattern[str]:
    words = as_alternation(phi_words().lists["institution_words"])
    link = r"(?:(?:of|de|la|le|les|der|des|du|del|für|van|den|St\.|San|Sint|im|am|d['’]|L['’])[ ])*"
    return re.compile(
        rf"(?<!\w)(?:(?:{_CAPITAL}[ ]{link}){{1,4}}(?:{words})(?!\w)(?:[ ]{link}{_CAPITAL}){{0,3}}|"
        rf"(?:{words})[ ]{link}{_CAPITAL}(?:[ ]{link}{_CAPITAL}){{0,3}})"
    )


_WORD = re.compile(r"[^\W\d_]+")


def find_places(text: str) -> Iterator[Detection]:
    """Addresses by their street, postcode line or label; institutions by their label or their own kind of name."""
    for pattern in _STREETS:
        yield from (Detection(*match.span(), PhiKind.ADDRESS, RULES, True) for match in pattern.finditer(text))
    yield from (Detection(*match.span(), PhiKind.ADDRESS, RULES) for match in _BRITISH.finditer(text))
    for match in _POST_LINE.finditer(text):
        if not is_clinical(match[0]):
            yield Detection(*match.span(), PhiKind.ADDRESS, RULES)
    for pattern, kind in _labelled_patterns():
        for match in pattern.finditer(text):
            value = match["value"].strip()
            if value and value[0].isalnum() and not value[0].islower() and _clinical_share(value) <= _HIGHEST_CLINICAL_SHARE:
                yield Detection(match.start("value"), match.start("value") + len(value), kind, RULES, True)
    yield from _named_institutions(text)


def _named_institutions(text: str) -> Iterator[Detection]:
    for match in _institutions().finditer(text):
        start, end = _without_clinical_ends(text, *match.span())
        if start < end and not is_clinical(text[start:end]):
            yield Detection(start, end, PhiKind.INSTITUTION, RULES)


def _without_clinical_ends(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch without general or clinical words at its start and its end ("Comparison Mercy Hospital")."""
    words = list(_WORD.finditer(text, start, end))
    own = {word.lower() for name in phi_words().lists["institution_words"] for word in _WORD.findall(name)}
    common = (clinical_words() | phi_words().lower("stops")) - own
    while words and words[0][0].lower() in common:
        words.pop(0)
    while words and words[-1][0].lower() in common:
        words.pop()
    return (words[0].start(), words[-1].end()) if words else (start, start)


_HIGHEST_CLINICAL_SHARE = 0.6
"""A labelled value of which more words are clinical says no place ("Site: left breast, 3 o'clock")."""


def _clinical_share(words: str) -> float:
    parts = _WORD.findall(words)
    return sum(is_clinical(part) for part in parts) / max(len(parts), 1)


def is_clinical(words: str) -> bool:
    """Whether every word is a clinical or a general one: "Radiology", "rechte Mamma"; numbers do not count."""
    own = phi_words()
    known = (
        clinical_words() | own.lower("stops") | frozenset(part.lower() for name in own.lists["institution_labels"] for part in name.split())
    )
    return all(word.lower() in known for word in _WORD.findall(words))
