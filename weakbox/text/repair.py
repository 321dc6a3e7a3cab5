"""Repairs of what optical character recognition and dictation make of a few words that decide a label.

Only confusions that leave no other reading are repaired; each is marked, so that what is read from it is less sure.
"""

from __future__ import annotations

import re

from weakbox.text.misread import misread_word

Edit = tuple[int, int, str]

_NUMBER_WORDS = {
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
_NUMBER = "|".join(_NUMBER_WORDS)
_RADS = re.compile(
    r"p(?<![a-z\d_]p)(?:[il1!|][ -]?rad[5sz§](?=[\s:=(),.;]|$)|[1l!|][ -]?rads\b|i[ -]?ra[o0]s\b|i[ -]?rad5(?=\d))", re.IGNORECASE
)
_RADS_RIGHT = re.compile(r"pi[ -]?rads$", re.IGNORECASE)
_GLEASON = re.compile(r"g(?<![a-z\d_]g)(?:[il1!]eas[o0]n|leas0n|ieas0n|leasori|l[e3]ason|leeson)\b")
_RADS_WORD = re.compile(rf"rads?\s+(?:score |category )?(?:{_NUMBER})\b")
_NUMBER_CONFUSION = re.compile(
    r"[\dlIO][\dlIOo]{0,5}(?:[.,][\dlIOo]{1,4})?(?=\s?(?i:mm|cm|ml|cc|ng|x\s?[\dlO])\b|\s?[xX]\s?\d"
    r"|(?<=[Oo][.,]\d)|(?<=[Oo][.,]\d\d))"
)
_LABEL_CONFUSION = re.compile(r"(?:esion|ESION|arget|ARGET|ROI) #?(?P<one>[l|])(?=[:.,)]|\s-)")
_VERSION_CONFUSION = re.compile(r"(?<=\bv2\.)[lI|](?!\w)|(?<=version 2\.)[lI|](?!\w)")
_TOKEN = re.compile(r"[a-z\d]{4,20}")
_LETTER_IN_NUMBER = re.compile(r"[lIOo][\d.,]|(?<=\d)[lIOo]")
_CAPITAL_I = re.compile(r"I(?:(?<=[a-z]{3}I)(?=[a-z]|[\s,.:;)])|(?<![A-Za-z]I)(?=eft\b|esion|ymph|obe\b|ateral|ow\b|evel))")
_SMALL_L = re.compile(r"l(?:(?<=[A-Z]l)(?=[A-Z])|(?<![A-Za-z\d]l)(?=[A-Z]{2,})|(?<=\bDWl)\b|(?<=[A-Z]{3}l)\b)")
_CHECKED = r"(?:\[\s?[xX✓✔]\s?\]|\(\s?[xX✓✔]\s?\)|[☑☒✓✔])"
_EMPTY_BOX = r"(?:\[\s{0,3}\]|\(\s{1,3}\)|☐)"
_HAS_CHECKED = re.compile(_CHECKED)
_EMPTY_OPTION = re.compile(rf"{_EMPTY_BOX}\s?[^\[\]()☐☑☒;|\n]{{1,40}}?(?=\s*(?:[\[(☐☑☒;|]|$)|\s{{2}})")
_CHECKED_BOX = re.compile(rf"{_CHECKED}\s?")
_OPTION_FIRST = re.compile(rf"[A-Za-z][\w ]{{0,20}}\s?(?:{_EMPTY_BOX}|{_CHECKED})\s*$")
_EMPTY_AFTER = re.compile(rf"(?<=[:\])☐☒☑])\s*[A-Za-z][\w /-]{{0,25}}?\s?{_EMPTY_BOX}")
_DIGIT = str.maketrans("lIOo", "1100")
_SPOKEN_RADS = re.compile(
    rf"\b(?:pie|pye|py|pi|pyre)[ -]rads?(?P<gap>\s+(?:score |category )?)(?P<word>{_NUMBER})\b|\b(?:pie|pye|pyre)[ -]rads?\b",
    re.IGNORECASE,
)
_SPOKEN_SUM = re.compile(
    rf"\b(?P<first>{_NUMBER})\s+plus\s+(?P<second>{_NUMBER})(?:\s+(?:equals|is|equal to)\s+(?P<sum>{_NUMBER}))?\b",
    re.IGNORECASE,
)


_UNITS = {**_NUMBER_WORDS, "zero": "0", "oh": "0", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15"}
_UNITS |= {"sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19"}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_DIGIT_WORD = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_WHOLE = (
    rf"(?:(?P<hundred>(?:a|one|two) hundred)(?: and)?[ -]?)?(?:(?P<tens>{'|'.join(_TENS)})(?:[ -](?P<ones>{_DIGIT_WORD}))?|"
    rf"(?P<small>{'|'.join(sorted(_UNITS, key=len, reverse=True))}))?"
)
_SPOKEN_NUMBER = re.compile(
    rf"(?<![a-z\d-])(?=[a-z]){_WHOLE}(?:\s?point (?P<decimals>(?:{_DIGIT_WORD})(?: (?:{_DIGIT_WORD}))?))?(?![a-z-])"
    r"(?P<after>\s*(?:mm|millimet(?:er|re)s?|cm|centimet(?:er|re)s?|cc|ml|millilit(?:er|re)s?|cubic|grams?|ng|nanograms?)\b"
    r"|\s+by\s+(?=[a-z]))?",
    re.IGNORECASE,
)
_PSA_BEFORE = re.compile(
    r"\b(?:psa(?: level| value)?|(?:t2|t two|dwi|diffusion|adc|likert)(?:[ -]weighted)?(?: imaging)?(?: score| category)?"
    r"|pi-?rads score)(?: of| is| was)? $",
    re.IGNORECASE,
)
_HALF = re.compile(r"\b(?:about |approximately )?(?:half (?:a |an )?|one half )(?=(?:centimet(?:er|re)|cm)\b)", re.IGNORECASE)
_SPOKEN_GATE = re.compile(
    r"score (?:of |is |was )?(?:one|two|three|four|five)\b|psa (?:of |is |was |level |value )*[a-z]{3,}| (?<=[a-z] )[mc][mlc]\b"
)
_COMMAND_GATE = re.compile(r"\bnew (?:paragraph|line)\b|\w (?:comma|period|full stop)(?=\s|$)", re.IGNORECASE)
_COMMAND = re.compile(
    r"[ \t]*\b(?:(?P<line>new (?:paragraph|line))|(?P<comma>comma)|(?P<stop>period|full stop)|(?P<colon>(?<=findings )colon"
    r"|(?<=impression )colon|"
    r"(?<=history )colon|(?<=indication )colon|(?<=technique )colon|(?<=conclusion )colon|(?<=comparison )colon))\b[ \t]?",
    re.IGNORECASE,
)


def _unchecked(text: str) -> list[Edit]:
    """The options of a form that were not ticked say nothing: "[ ] absent [x] suspected" is "suspected"."""
    edits: list[Edit] = []
    position = 0
    for line in text.split("\n"):
        if _HAS_CHECKED.search(line):
            empty = _EMPTY_AFTER if _OPTION_FIRST.search(line) else _EMPTY_OPTION
            edits += [(position + m.start(), position + m.end(), "") for m in empty.finditer(line)]
            edits += [(position + m.start(), position + m.end(), "") for m in _CHECKED_BOX.finditer(line)]
        position += len(line) + 1
    return edits


def _spoken_numbers(text: str) -> list[Edit]:
    """Dictated numbers ("one point two by zero point eight centimeters", "psa of six point two")."""
    edits = []
    for match in _SPOKEN_NUMBER.finditer(text):
        if not match["decimals"] and not match["after"] and not _PSA_BEFORE.search(text, max(0, match.start() - 40), match.start()):
            continue
        digits = _spoken_value(match)
        if digits is not None:
            end = match.end("decimals") if match["decimals"] else match.start("after") if match["after"] else match.end()
            edits.append((match.start(), end, digits))
    return edits


def _spoken_value(match: re.Match[str]) -> str | None:
    if not (match["hundred"] or match["tens"] or match["small"]):
        return None
    hundreds = 0 if not match["hundred"] else 200 if match["hundred"].lower().startswith("two") else 100
    tens = _TENS[match["tens"].lower()] if match["tens"] else 0
    ones = int(_UNITS[(match["ones"] or match["small"] or "zero").lower()])
    decimals = "".join(_UNITS[word] for word in (match["decimals"] or "").lower().split())
    return f"{hundreds + tens + ones}{'.' + decimals if decimals else ''}"


def _commands(text: str) -> list[Edit]:
    """Dictation commands that were typed out as words ("comma", "new paragraph")."""
    if len(_COMMAND_GATE.findall(text)) < 2:
        return []
    signs = {"line": "\n", "comma": ", ", "stop": ". ", "colon": ": "}
    return [(match.start(), match.end(), signs[match.lastgroup or "comma"]) for match in _COMMAND.finditer(text)]


def repair_edits(text: str) -> list[Edit]:
    """Edits that undo confusions, in order and without overlap."""
    lower = text.lower()
    edits: list[Edit] = []
    if "rad" in lower or "ra0s" in lower or "raos" in lower:
        edits += [(m.start(), m.end(), "PI-RADS") for m in _RADS.finditer(lower) if not _RADS_RIGHT.match(m[0])]
        if "pie" in lower or "pye" in lower or "pyre" in lower or _RADS_WORD.search(lower):
            edits += _spoken_rads(text)
    if "eas0n" in lower or "easo" in lower or "gl3" in lower or "gleeson" in lower:
        edits += [(m.start(), m.end(), "Gleason") for m in _GLEASON.finditer(lower) if m[0] != "gleason"]
    if " plus " in lower:
        edits += [(m.start(), m.end(), _sum(m)) for m in _SPOKEN_SUM.finditer(text)]
    if " comma" in lower or "new paragraph" in lower or "new line" in lower or " period" in lower:
        edits += _commands(text)
    if " point " in lower or "meter" in lower or "metre" in lower or _SPOKEN_GATE.search(lower):
        edits += [(m.start(), m.end(), "0.5 ") for m in _HALF.finditer(text)]
        edits += _spoken_numbers(text)
    edits += [(m.start(), m.end(), "I") for m in _SMALL_L.finditer(text)]
    if "[" in text or "(x)" in lower or "\u2610" in text:
        edits += _unchecked(text)
    if "I" in text:
        edits += [(m.start(), m.end(), "l") for m in _CAPITAL_I.finditer(text)]
    edits += _misread(text, lower)
    if "2.l" in text or "2.I" in text or "2.|" in text:
        edits += [(m.start(), m.end(), "1") for m in _VERSION_CONFUSION.finditer(text)]
    edits += [(m.start("one"), m.end("one"), "1") for m in _LABEL_CONFUSION.finditer(text)]
    if _LETTER_IN_NUMBER.search(text):
        edits += _numbers(text)
    return _ordered(edits)


_ZERO_IN_NO = re.compile(r"(?<![A-Za-z\d])[Nn]0(?= [A-Za-z]{3})(?! disease)")


def _misread(text: str, lower: str) -> list[Edit]:
    """The words that were misread; where they were, "N0" before a word is the "NO" of a text that writes zeros for O."""
    found = {token: word for token in set(_TOKEN.findall(lower)) if (word := misread_word(token)) is not None}
    if not found:
        return []
    edits = []
    for token, word in sorted(found.items()):
        pattern = rf"(?<![a-z\d]){token}(?![a-z\d])"
        edits += [(m.start(), m.end(), _cased(word, text[m.start() : m.end()])) for m in re.finditer(pattern, lower)]
    if any("0" in token for token in found):
        edits += [(m.end() - 1, m.end(), "O" if m[0][0] == "N" else "o") for m in _ZERO_IN_NO.finditer(text)]
    return edits


def _cased(word: str, written: str) -> str:
    """The word that was misread, in the case of its other letters."""
    letters = [character for character in written[1:] if character.isalpha()]
    if letters and all(character.isupper() for character in letters):
        return word.upper()
    is_capital = written[0].isupper() and not (written[0] == "I" and word[0] == "l")
    return word.capitalize() if is_capital or (written[0] == "l" and word[0] == "i") else word


def _spoken_rads(text: str) -> list[Edit]:
    return [
        (m.start(), m.end(), f"PI-RADS{m['gap']}{_NUMBER_WORDS[m['word'].lower()]}" if m["word"] else "PI-RADS")
        for m in _SPOKEN_RADS.finditer(text)
    ]


def _sum(match: re.Match[str]) -> str:
    total = f"={_NUMBER_WORDS[match['sum'].lower()]}" if match["sum"] else ""
    return f"{_NUMBER_WORDS[match['first'].lower()]}+{_NUMBER_WORDS[match['second'].lower()]}{total}"


def _numbers(text: str) -> list[Edit]:
    """A number with a unit that letters have crept into (``l2 mm``), or with a letter O before its decimals (``O.15``)."""
    edits = []
    for match in _NUMBER_CONFUSION.finditer(text):
        token = match[0]
        if token.isdigit() or not any(character.isdigit() for character in token) or not any(character in "lIOo" for character in token):
            continue
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] in ".,_"):
            continue
        edits.append((match.start(), match.end(), token.translate(_DIGIT)))
    return edits


def _ordered(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in sorted(edits):
        if not kept or edit[0] >= kept[-1][1]:
            kept.append(edit)
    return kept
