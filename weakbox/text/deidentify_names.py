"""Names of persons: after titles and labels, before roles, in closings, and wherever a name that was found stands again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from weakbox.text.deidentify_detection import Detection, PhiKind
from weakbox.text.deidentify_words import as_alternation, clinical_words, phi_words

RULES = "rules"
_PARTICLES = (
    "von und zu|von der|von dem|von|van der|van den|van de|van|der|den|de la|de los|de las|de|del|della|di|da|"
    "dos|du|la|le|af|av|zu|zum|zur|ter|ten|te|el|y|i|al|bin|'t|ibn|O['’]|d['’]|mac"
)
_CAPITAL_PARTICLES = "Von der|Van der|Van den|Van de|Von|Van|De la|Del|De|Di|Du|La|Le|Ter|Ten|El|Mac|St\\.|Zu"
_TOKEN = re.compile(
    rf"(?P<space>[ \t]*)(?:(?P<comma>,)|(?P<and>&(?=[ ]?[A-ZÀ-Þ]))|(?P<particle>(?:{_PARTICLES})(?=[ \tA-ZÀ-Þ])|"
    rf"(?:{_CAPITAL_PARTICLES})(?=[ \t]+[A-ZÀ-Þ]))|(?P<initials>(?:[A-ZÀ-Þ]\.[ ]?-?)+(?![^\W\d_])|[A-Z](?![\w'’]))"
    r"|(?P<word>[A-ZÀ-ÖØ-Þ][^\W\d_]*(?:['’\-][^\W\d_]+)*)(?P<colon>[ \t]*[:=])?)"
)
_ENDS_A_NAME = re.compile(r"[ \t]*(?:[,.;()\n]|$|[a-zß-ÿ])|[ \t]{2,}")
"""What follows a surname that is a clinical word too ("Hans Klein, geb. ..."); before another noun it may be one itself."""
_NEXT_WORD = re.compile(r"[ ]([A-ZÀ-ÖØ-Þ][^\W\d_A-ZÀ-ÖØ-Þ]+)(?![\w:])")
_MOST_TOKENS = 6
_SHORTEST_REPEATED = 3


class Name(NamedTuple):
    """Where a name ends, and its words."""

    end: int
    words: tuple[str, ...]


def read_name(text: str, start: int, *, most_words: int = 4, most_commas: int = 0, is_first_free: bool = True) -> Name | None:
    """The name that begins at ``start``: capitalised words, particles and initials of one line, up to the first word that is none.

    ``most_commas``: 1 reads "Doe, John" too. ``is_first_free``: the first word may be a clinical one ("Klein" after "Herr").
    """
    words: list[str] = []
    position, end, commas = start, start, 0
    for _ in range(_MOST_TOKENS + most_commas):
        match = _TOKEN.match(text, position)
        if match is None or len(words) >= most_words:
            break
        if match["comma"]:
            commas += 1
            if commas > most_commas or not words:
                break
        elif match["word"]:
            is_free = (is_first_free and not words) or (len(words) <= 1 and _is_in_a_name(text, match, len(words)))
            if match["colon"] or not _may_be_name(match["word"], is_free=is_free):
                break
            words.append(match["word"])
            end = match.end("word")
        elif match["initials"]:
            end = match.start("initials") + len(match["initials"].rstrip())
        position = match.end()
    return Name(end, tuple(words)) if words else None


@cache
def _never_names() -> frozenset[str]:
    words = phi_words()
    return words.lower("stops") | words.eponyms | words.lower("titles") | {role.lower() for role in words.lists["roles"] if " " not in role}


@cache
def _known_words() -> frozenset[str]:
    return clinical_words() | _never_names()


def _is_in_a_name(text: str, match: re.Match[str], before: int) -> bool:
    """Whether a word that is a clinical one too stands within a name: before a word that is nothing else, or ending the name."""
    if match["word"].isupper():
        return False
    if before and _ENDS_A_NAME.match(text, match.end("word")):
        return True
    following = _NEXT_WORD.match(text, match.end("word"))
    return following is not None and following[1].lower() not in _known_words()


def _may_be_name(word: str, *, is_free: bool) -> bool:
    lower = word.lower()
    if lower in _never_names() or len(word) < 2:
        return False
    return is_free or lower not in clinical_words()


@cache
def _openings() -> tuple[tuple[re.Pattern[str], int, bool], ...]:
    """(pattern whose end is where a name begins, most commas, whether the first word may be a clinical one)."""
    words = phi_words()
    title = rf"(?:(?:{words.alternation('titles')})\b\.?[ \t]*)"
    flat = rf"(?:(?:{words.alternation('titles')})\b\.?[ \t]+)"
    return (
        (re.compile(rf"(?<![\w.-]){_cased(words.lists['titles'])}\b\.?[ \t]+{flat}*", re.NOFLAG), 0, True),
        (
            re.compile(
                rf"(?<!\w)(?:{words.alternation('name_labels')})[ \t]*(?:\([^()\n]{{1,20}}\)[ \t]*)?[:=][ \t]*\.?[ \t]*{title}*",
                re.IGNORECASE,
            ),
            1,
            False,
        ),
        (re.compile(rf"(?<!\w)(?:{words.alternation('name_cues')})\b[.:,]?[ \t]+{title}*(?-i:(?=[A-ZÀ-Þ]))", re.IGNORECASE), 0, False),
    )


def _cased(titles: Iterable[str]) -> str:
    """Titles as written, capitalised or in capitals: "fr" and "m" in lower case are no titles."""
    spellings = {spelling for title in titles for spelling in (title, title[0].upper() + title[1:], title.upper())}
    lower_too = {title.lower() for title in titles if len(title) > 1}
    ordered = sorted(spellings | lower_too, key=lambda word: (-len(word), word))
    return "(?:" + "|".join(r"[ \t]+".join(re.escape(part) for part in word.split()) for word in ordered) + ")"


@cache
def _before_roles() -> re.Pattern[str]:
    roles = phi_words().alternation("roles")
    return re.compile(
        rf"(?<![\w.])(?P<name>(?:(?:[A-ZÀ-Þ]\.[ ]?)+|(?:{_PARTICLES})[ ]|[A-ZÀ-Þ][^\W\d_]*"
        rf"(?:['’\-][^\W\d_]+)*[ ])*[A-ZÀ-Þ][^\W\d_]+(?:['’\-][^\W\d_]+)*)[ ]?(?:,[ ]?|[ ]\(|[ ]-[ ]|\n[ \t]*)(?i:{roles})(?!\w)"
    )


@cache
def _closings() -> re.Pattern[str]:
    return re.compile(rf"(?im)^[ \t]*(?:{phi_words().alternation('closings')})[ \t]*[,.!]?[ \t]*$")


@cache
def _given() -> re.Pattern[str]:
    names = as_alternation(spelling for name in phi_words().lists["given_names"] for spelling in (name, name.upper()))
    return re.compile(rf"(?<![\w.'’-])(?:{names})(?=[ \t]+(?:[A-ZÀ-Þ]|(?:{_PARTICLES})[ ]))")


@cache
def _surname_first() -> re.Pattern[str]:
    """A surname, a comma and a given name of the lists."""
    names = "|".join(sorted(map(re.escape, phi_words().lists["given_names"]), key=lambda name: (-len(name), name)))
    return re.compile(rf"(?:[^\W\d_]+[ \-]){{0,2}}[^\W\d_]+,[ \t]*(?:{names})(?!\w)", re.IGNORECASE)


_NAME = r"[A-ZÀ-ÖØ-Þ][^\W\d_]+(?:['’\-][^\W\d_]+)*"


@cache
def _before_birth() -> re.Pattern[str]:
    """A name of two to four words before a day of birth ("Jane Doe, * 04.11.1948"), and "Doe, Jane" before a number in its line."""
    labels = phi_words().alternation("date_labels")
    birth = rf"(?=[ \t]*[,(;]?[ \t]*(?:\*[ ]?\d|(?i:{labels})\b\.?[ \t]*[:=]?[ \t]*(?:\w{{2,3}}\.?[ \t])?\d))"
    number = r"(?=[ \t]+[^\n]{0,30}?\d[\d\-+]{5,})"
    return re.compile(
        rf"(?m)(?P<born>{_NAME}(?:,?[ ]{_NAME}){{1,3}}){birth}|^[ \t]*(?P<listed>{_NAME}(?:[ ]{_NAME})?,[ ]{_NAME}(?:[ ]{_NAME})?){number}"
    )


def _names_before_births(text: str) -> list[tuple[int, Name]]:
    found = []
    for match in _before_birth().finditer(text):
        start = match.start(match.lastgroup or 0)
        words = tuple(re.findall(_NAME, match[0]))
        clinical = sum(word.lower() in clinical_words() for word in words)
        if not any(word.lower() in _never_names() for word in words) and clinical * 2 < len(words):
            found.append((start, Name(match.end(), words)))
    return found


_DON = re.compile(r"(?<![\w.])D\.ª?[ ]")
"""Spanish "don"; also the label of a fourth specimen, so that two words that are nothing else must follow."""


def _names_after_don(text: str) -> list[tuple[int, Name]]:
    names = ((match.end(), read_name(text, match.end(), is_first_free=False)) for match in _DON.finditer(text))
    return [
        (start, name)
        for start, name in names
        if name is not None and len(name.words) > 1 and not any(word.isupper() for word in name.words)
    ]


def find_names(text: str, known: Iterable[str] = ()) -> Iterator[Detection]:
    """Names of persons; ``known`` are this patient's and these doctors' names from elsewhere, masked wherever they stand."""
    found: list[tuple[int, Name]] = []
    for pattern, commas, is_first_free in _openings():
        for match in pattern.finditer(text):
            is_free = (is_first_free and not match[0].isupper()) or (commas > 0 and _surname_first().match(text, match.end()) is not None)
            name = read_name(text, match.end(), most_commas=commas, is_first_free=is_free)
            if name is not None:
                found.append((match.end(), name))
    found += _names_before_roles(text)
    found += _names_in_closings(text)
    found += _names_after_don(text)
    found += _names_before_births(text)
    found += [(match.start(), name) for match in _given().finditer(text) if (name := _full_name(text, match)) is not None]
    yield from (Detection(start, name.end, PhiKind.PERSON, RULES, True) for start, name in found)
    words = {word for _, name in found for word in name.words}
    yield from _repeated(text, {part for word in words for part in (word, *word.split("-"))})
    yield from _known_names(text, known)


def _full_name(text: str, match: re.Match[str]) -> Name | None:
    """A given name with the surname after it; the given name alone is too often a word."""
    name = read_name(text, match.start(), most_words=3, is_first_free=True)
    return name if name is not None and len(name.words) > 1 else None


def _names_before_roles(text: str) -> list[tuple[int, Name]]:
    found = []
    for match in _before_roles().finditer(text):
        words = tuple(re.findall(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*", match["name"]))
        real = [word for word in words if len(word) > 1]
        if real and not any(word.lower() in _never_names() for word in real) and not all(word.lower() in clinical_words() for word in real):
            found.append((match.start("name"), Name(match.end("name"), tuple(real))))
    return found


_LINES_AFTER_CLOSING = 4


def _names_in_closings(text: str) -> list[tuple[int, Name]]:
    """The names in the lines after "Kind regards"."""
    found = []
    for match in _closings().finditer(text):
        position = match.end()
        for _ in range(_LINES_AFTER_CLOSING):
            start = text.find("\n", position) + 1
            if not start:
                break
            position = start
            begin = next((place for place in range(start, len(text)) if text[place] not in " \t"), len(text))
            name = read_name(text, begin, is_first_free=False)
            if name is not None and text[name.end : name.end + 1] in ("", "\n", ",", "\r", " "):
                found.append((begin, name))
    return found


def _repeated(text: str, words: Iterable[str]) -> Iterator[Detection]:
    """Other places of a name's words, capitalised as there or in capitals."""
    chosen = {word for word in words if len(word) >= _SHORTEST_REPEATED and word.lower() not in _known_words()}
    if not chosen:
        return
    spellings = sorted(
        {spelling for word in chosen for spelling in (word, word.upper(), word.capitalize())}, key=lambda word: (-len(word), word)
    )
    pattern = re.compile(rf"(?<!\w)(?P<given>(?:{_NAME}[ ]){{0,2}})(?:{'|'.join(re.escape(word) for word in spellings)})(?!\w)")
    for match in pattern.finditer(text):
        given = list(re.finditer(_NAME, match["given"]))
        while given and given[0][0].lower() in _known_words():
            given.pop(0)
        is_name = given and not any(word[0].lower() in _known_words() for word in given)
        yield Detection(match.start("given") + given[0].start() if is_name else match.end("given"), match.end(), PhiKind.PERSON, RULES)


_SHORTEST_KNOWN = 4


def _known_names(text: str, known: Iterable[str]) -> Iterator[Detection]:
    """Names and numbers from elsewhere. A plain number of up to three digits counts only behind its label: it is a score or a size too."""
    for identifier in sorted({word.strip() for word in known if word.strip()}, key=lambda word: (-len(word), word)):
        pattern = r"\s+".join(re.escape(part) for part in identifier.split())
        before = rf"(?<!\w)(?:{phi_words().alternation('id_labels')})[ \t]*(?:[:=#.][ \t]*)*"
        label = before if identifier.isdigit() and len(identifier) < _SHORTEST_KNOWN else ""
        kind = PhiKind.ID if any(sign.isdigit() for sign in identifier) else PhiKind.PERSON
        for match in re.finditer(rf"{label}(?<!\w)(?P<value>{pattern})(?!\w)", text, re.IGNORECASE):
            yield Detection(*match.span("value"), kind, "known", True)
