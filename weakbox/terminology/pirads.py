"""PI-RADS categories and versions.

Source: PI-RADS v2 (2015) and v2.1 (2019), ACR / ESUR / AdMeTech; RadLex codes of DICOM CID 6325 (overall) and CID 6328 (lesion).
"""

from __future__ import annotations

MINIMUM_CATEGORY = 1
MAXIMUM_CATEGORY = 5
VERSIONS = ("1", "2", "2.1")
INDEX_SIZE_MM = 15.0
"""Greatest dimension from which a lesion that would be category 4 is category 5 (PI-RADS v2.1, PZ DWI and TZ T2W tables)."""

OVERALL_RADLEX = {1: "RID50289", 2: "RID50290", 3: "RID50291", 4: "RID50292", 5: "RID50293"}
LESION_RADLEX = {1: "RID50296", 2: "RID50297", 3: "RID50298", 4: "RID50299", 5: "RID50300"}

ROMAN_NUMERALS = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


def parse_category(token: str) -> int | None:
    """1..5 from ``4``, ``IV`` or ``four``; None for anything else (``X`` is no category).

    >>> parse_category("IV"), parse_category("x")
    (4, None)
    """
    word = token.strip().lower()
    if word.isdigit():
        value = int(word)
        return value if MINIMUM_CATEGORY <= value <= MAXIMUM_CATEGORY else None
    return ROMAN_NUMERALS.get(word) or NUMBER_WORDS.get(word)


def parse_version(token: str) -> str | None:
    """``1``, ``2`` or ``2.1`` from what follows "PI-RADS version"; None where it is no published version.

    >>> parse_version("v2.1"), parse_version("2.0"), parse_version("3")
    ('2.1', '2', None)
    """
    number = token.strip().lower().lstrip("version").lstrip(" .").replace(",", ".")
    if number in VERSIONS:
        return number
    return {"1.0": "1", "2.0": "2"}.get(number)


def derived_category(zone: str, t2: int, dwi: int, *, is_dce_positive: bool, version: str = "2.1") -> int | None:
    """The category that the sequence scores give by the tables of PI-RADS v2 and v2.1; None for other zones.

    Used to check what a report states, never to fill in what it does not.
    """
    if zone == "PZ":
        return 4 if dwi == 3 and is_dce_positive else dwi
    if zone != "TZ":
        return None
    if t2 == 3 and dwi == MAXIMUM_CATEGORY:
        return 4
    if version == "2.1" and t2 == 2 and dwi >= 4:
        return 3
    return t2
