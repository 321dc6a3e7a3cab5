"""Numbers that name a patient, a document or a connection: labelled, shaped, or proven by their check digit; HL7 segments; UIDs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from weakbox.text.deidentify_detection import Detection, PhiKind
from weakbox.text.deidentify_words import phi_words

RULES = "rules"
_EMAIL = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+")
_URL = re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"')\]]+[^\s<>\"')\].,;:]", re.IGNORECASE)
_UID = re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){4,}(?![\d.]*\d)")
_SHORTEST_UID = 14
_SHAPED_ID = re.compile(
    r"(?<![\w/.+-])(?:"
    r"[A-Z]{1,4}[-/]?\d{2,4}[-/.]\d{3,8}(?:-\d{1,2})?"  # S21-12345, H/2021/12345
    r"|[A-Z]{1,3}[-/]\d{5,10}"
    r"|[A-Z]{1,3}\d{6,10}"  # Z1234567
    r"|\d{2,4}[-/ ]?[A-Z]{1,3}[-/ ]?\d{4,8}"  # 21-S-12345
    r"|\d{2}[/-]\d{5,7}"
    r"|\d{4}[/-]\d{5,8}"
    r")(?![\w/]|[.+-]\d)"
)
_LONG_NUMBER = re.compile(r"(?<![\w.,/+-])\d{7,}(?![\w,/]|[.]\d|\s*(?:mm|cm|ml|%))")
_PERSONNUMMER = re.compile(r"(?<![\w-])(?:19|20)?\d{6}[-+ ]?\d{4}(?![\w-])")
_PERSONNUMMER_SHAPE = re.compile(r"(?<![\w-])(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[-+]\d{4}(?![\w-])")
_NINE = re.compile(r"(?<![\w.,-])(?:\d{8,9}|\d{3}\.\d{3}\.\d{3}|\d{4}\.\d{2}\.\d{3})(?![\w.,-]*\d)")
_TEN = re.compile(r"(?<![\w.,-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\w-])")
_DNI = re.compile(r"(?<!\w)(?:\d{8}|[XYZ]\d{7})[- ]?[A-Z](?!\w)", re.IGNORECASE)
_NIR = re.compile(r"(?<![\w.])[12][ ]?\d{2}[ ]?(?:0[1-9]|1[0-2]|[2-9]\d)[ ]?(?:\d{2}|2[AB])[ ]?\d{3}[ ]?\d{3}(?:[ ]?\d{2})?(?!\w)")
_KVNR = re.compile(r"(?<!\w)[A-Z]\d{9}(?!\w)")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-\d{2}-\d{4}(?![\w-])")
_PHONES = (
    re.compile(r"(?<![\w.+-])(?:\+|00)\d{1,3}[ \-/]?(?:\(0\)[ ]?)?(?:\(?\d{1,4}\)?[ \-/.]?){2,6}\d(?!\w)"),
    re.compile(r"(?<![\w.])\(\d{2,5}\)[ ]?\d{2,4}(?:[ \-./]?\d{2,4}){1,3}(?!\w)"),
    re.compile(r"(?<![\w.-])\d{3}[-.]\d{3}[-.]\d{4}(?![\w-])"),
    re.compile(r"(?<![\w.,-])0\d{1,4}[ \-/](?:\d{2,4}[ \-/]?){1,4}\d{2,}(?!\w|[.,]\d)"),
    re.compile(r"(?<![\w.,-])0\d(?:[ .]\d{2}){4}(?!\w)"),
    re.compile(r"(?<![\w.,-])[6-9]\d{2}[ ](?:\d{3}[ ]\d{3}|\d{2}[ ]\d{2}[ ]\d{2})(?!\w)"),
)
_HL7_SEGMENT = re.compile(
    r"(?m)^[ \t]*(?:\x0b)?(?P<name>MSH|EVN|PID|PD1|NK1|PV1|PV2|ORC|GT1|IN[123]|TXA|CON|PRT|ROL|OBR|MRG|DG1|AL1|SPM)\|(?P<body>[^\r\n]*)"
)
_IDENTIFYING_OBR = frozenset({2, 3, 10, 16, 17, 28, 32, 33, 34, 35})


def find_numbers(text: str) -> Iterator[Detection]:
    """Every number that names someone or something."""
    yield from _found(text, _EMAIL, PhiKind.EMAIL, is_sure=True)
    yield from _found(text, _URL, PhiKind.URL, is_sure=True)
    yield from (found for found in _found(text, _UID, PhiKind.UID, is_sure=True) if found.end - found.start >= _SHORTEST_UID)
    for pattern in _PHONES:
        yield from (
            found for found in _found(text, pattern, PhiKind.PHONE) if sum(sign.isdigit() for sign in text[found.start : found.end]) >= 8
        )
    yield from _labelled(text)
    yield from _national(text)
    yield from _found(text, _SHAPED_ID, PhiKind.ID)
    yield from _found(text, _LONG_NUMBER, PhiKind.ID)
    yield from _found(text, _PERSONNUMMER_SHAPE, PhiKind.ID)
    yield from find_segments(text)


def _found(text: str, pattern: re.Pattern[str], kind: PhiKind, *, is_sure: bool = False) -> Iterator[Detection]:
    return (Detection(*match.span(), kind, RULES, is_sure) for match in pattern.finditer(text))


@cache
def _label_patterns() -> tuple[tuple[re.Pattern[str], PhiKind, int], ...]:
    """(pattern with a group ``value``, kind, fewest digits)."""
    words = phi_words()
    number = r"(?:[ \t]*(?:nummer|number|num|nr|no|n[°º]|id)\b\.?)?"
    sign = r"(?:[ \t]*[:=#.][ \t]*|[ \t]*\([^()\n]{0,20}\)[ \t]*:[ \t]*|[ \t]+)#?"
    identifier = (
        rf"(?<![\w])(?:{words.alternation('id_labels')})(?![^\W\d_]){number}{sign}"
        r"(?P<value>[A-Za-z]{0,5}[-/. ]?\d[\w\-/]*(?:[. ]?\d[\w\-/]*)*)"
    )
    phone = rf"(?<![\w])(?:{words.alternation('phone_labels')})\b\.?(?:[ \t]*[:.]?[ \t]*)(?P<value>\+?\(?\d[\d \t()/.\-]*\d)"
    return (
        (re.compile(identifier, re.IGNORECASE), PhiKind.ID, 3),
        (re.compile(phone, re.IGNORECASE), PhiKind.PHONE, 3),
    )


_MEASURE_AFTER = re.compile(r"\s*(?:mm|cm|ml|cc|ng|%|x\s?\d|of\b|/\s?\d)", re.IGNORECASE)


def _labelled(text: str) -> Iterator[Detection]:
    for pattern, kind, fewest in _label_patterns():
        for match in pattern.finditer(text):
            value = match["value"].rstrip(" -/.")
            end = match.start("value") + len(value)
            if sum(sign.isdigit() for sign in value) >= fewest and not _MEASURE_AFTER.match(text, end):
                yield Detection(match.start("value"), end, kind, RULES, True)


def _national(text: str) -> Iterator[Detection]:
    for pattern, is_valid in (
        (_PERSONNUMMER, is_personnummer),
        (_NINE, is_bsn),
        (_TEN, is_nhs_number),
        (_DNI, is_dni),
        (_NIR, is_nir),
        (_KVNR, is_kvnr),
    ):
        for match in pattern.finditer(text):
            if is_valid(match[0]):
                yield Detection(*match.span(), PhiKind.NATIONAL_ID, RULES, True)
    yield from _found(text, _SSN, PhiKind.NATIONAL_ID, is_sure=True)


def _digits(words: str) -> list[int]:
    return [int(sign) for sign in words if sign.isdigit()]


def _luhn_sum(digits: list[int], factors: list[int]) -> int:
    return sum(sum(divmod(digit * factor, 10)) for digit, factor in zip(digits, factors, strict=True))


def is_personnummer(words: str) -> bool:
    """A Swedish personnummer or samordningsnummer: a day, and a right check digit (Luhn over ten digits).

    >>> is_personnummer("19811218-9876"), is_personnummer("811218-9875")
    (True, False)
    """
    digits = _digits(words)[-10:]
    if len(digits) != 10:
        return False
    month, day = digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]
    return 1 <= month <= 12 and 1 <= day % 60 <= 31 and _luhn_sum(digits, [2, 1] * 5) % 10 == 0


def is_bsn(words: str) -> bool:
    """A Dutch burgerservicenummer: the eleven test over eight or nine digits.

    >>> is_bsn("111222333"), is_bsn("111222334")
    (True, False)
    """
    digits = _digits(words)
    if len(digits) not in (8, 9) or not any(digits):
        return False
    padded = [0] * (9 - len(digits)) + digits
    return (sum(digit * factor for digit, factor in zip(padded[:8], range(9, 1, -1), strict=True)) - padded[8]) % 11 == 0


def is_nhs_number(words: str) -> bool:
    """An English NHS number: ten digits, modulus 11.

    >>> is_nhs_number("943 476 5919"), is_nhs_number("943 476 5918")
    (True, False)
    """
    digits = _digits(words)
    if len(digits) != 10:
        return False
    check = 11 - sum(digit * factor for digit, factor in zip(digits[:9], range(10, 1, -1), strict=True)) % 11
    return digits[9] == (0 if check == 11 else check)


def is_dni(words: str) -> bool:
    """A Spanish DNI or NIE: the letter is the number modulo 23.

    >>> is_dni("12345678Z"), is_dni("12345678A")
    (True, False)
    """
    plain = re.sub(r"[- ]", "", words.upper())
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def is_nir(words: str) -> bool:
    """A French numéro de sécurité sociale with its key: 97 minus the number modulo 97.

    >>> is_nir("1 85 05 78 006 084 91"), is_nir("1 85 05 78 006 084 92")
    (True, False)
    """
    plain = words.replace(" ", "").upper()
    if len(plain) != 15:
        return False
    number = plain[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(plain[13:])


def is_kvnr(words: str) -> bool:
    """A German Krankenversichertennummer: letter and nine digits, check digit over the letter's number and eight digits.

    >>> is_kvnr("A000500015"), is_kvnr("A000500016")
    (True, False)
    """
    digits = [*divmod(ord(words[0].upper()) - ord("A") + 1, 10), *_digits(words[1:])]
    return _luhn_sum(digits[:10], [1, 2] * 5) % 10 == digits[10]


def find_segments(text: str) -> Iterator[Detection]:
    """Segments of an HL7 v2 message that got into a report: what names someone in them."""
    for match in _HL7_SEGMENT.finditer(text):
        if match["name"] != "OBR":
            if match["body"].strip("| \t"):
                yield Detection(*match.span("body"), PhiKind.ID, RULES, True)
            continue
        position = match.start("body")
        for number, field in enumerate(match["body"].split("|"), 1):
            if number in _IDENTIFYING_OBR and field.strip():
                yield Detection(position, position + len(field), PhiKind.ID, RULES, True)
            position += len(field) + 1
