"""Numbers as reports write them: digits with a decimal point or comma, and number words up to one hundred."""

from __future__ import annotations

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: number for number, word in enumerate(_UNITS)} | {word: 10 * (number + 2) for number, word in enumerate(_TENS)}

_UNIT = "|".join(_UNITS[1:10])
_ANY_UNIT = "|".join(sorted(_UNITS[1:], key=len, reverse=True))
_TEN = "|".join(_TENS)
WORDED = rf"(?:(?:one|a)\s+hundred|(?:{_TEN})(?:[\s-](?:{_UNIT}))?|{_ANY_UNIT})"
"""A pattern for a number in words."""
DIGITS = r"\d{1,3}(?:\.\d{1,2}|,\d(?!\d))?"
"""A pattern for a number in digits."""


def read_number(written: str) -> float:
    """The value of a number in digits or words.

    >>> [read_number(written) for written in ("2,5", "thirty", "twenty-five", "one hundred")]
    [2.5, 30.0, 25.0, 100.0]
    """
    if written[0].isdigit():
        return float(written.replace(",", "."))
    words = written.lower().replace("-", " ").split()
    return 100.0 if words[-1] == "hundred" else float(sum(_VALUES[word] for word in words))
