"""Lesion labels and accession numbers, made comparable."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

_NOUN = r"(?:(?:regions? of interest|roi|targets?|tgt|lesions?|les|findings?|nodule|mri|mr|index|area|no|nr|number)(?![a-z])|\#)"
_NAME = r"(?P<name>\d{1,3}[a-z]?|iii|ii|iv|vi|[a-z])"
_WHOLE = re.compile(rf"\W*(?:{_NOUN}\W*|[tl](?=\d))*{_NAME}\W*", re.IGNORECASE)
_INSIDE = re.compile(rf"\b(?:{_NOUN})\W{{0,3}}(?:{_NOUN}\W{{0,3}})?{_NAME}(?![\w+])", re.IGNORECASE)
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}


class LabelKind(StrEnum):
    """Labels of one kind can be compared; a number says nothing of a letter."""

    NUMBER = "number"
    LETTER = "letter"
    CODE = "code"


class LesionLabel(NamedTuple):
    """A lesion's label without its noun."""

    kind: LabelKind
    name: str


class LabelAgreement(StrEnum):
    AGREE = "agree"
    DISAGREE = "disagree"
    ABSENT = "absent"
    """One has no label, or the two are of different kinds: nothing is known."""


@lru_cache(maxsize=65536)
def read_label(text: str | None) -> LesionLabel | None:
    """The label in what a report, a sheet or a mask calls a lesion; None where it is no label.

    >>> read_label("ROI 1") == read_label("1") == read_label("Lesion #01")
    True
    >>> read_label("Target A").name, read_label("left mid PZ"), read_label("MRI"), read_label("index lesion")
    ('A', None, None, None)
    """
    if text is None:
        return None
    match = _WHOLE.fullmatch(text) or _INSIDE.search(text)
    if match is None:
        return None
    name = match["name"].lower()
    name = _ROMAN.get(name, name)
    if name.isdigit():
        return LesionLabel(LabelKind.NUMBER, str(int(name)))
    kind = LabelKind.LETTER if len(name) == 1 else LabelKind.CODE
    return LesionLabel(kind, name.upper().lstrip("0"))


def compare_labels(first: LesionLabel | None, second: LesionLabel | None) -> LabelAgreement:
    """Whether two labels name one lesion; absent is neither."""
    if first is None or second is None or first.kind is not second.kind:
        return LabelAgreement.ABSENT
    return LabelAgreement.AGREE if first == second else LabelAgreement.DISAGREE


@lru_cache(maxsize=65536)
def normal_accession(text: str | None) -> str | None:
    """An accession number without case, blanks, punctuation and leading zeros: compared by equality, never as a part.

    >>> normal_accession(" ac-0012 ") == normal_accession("AC0012"), normal_accession("--")
    (True, None)
    """
    if text is None:
        return None
    return re.sub(r"[\W_]", "", text).upper().lstrip("0") or None
