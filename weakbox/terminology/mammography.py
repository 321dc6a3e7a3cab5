"""How data sets write side, view, breast density and BI-RADS, in one form. Unknown words are refused, never guessed."""

from __future__ import annotations

import re

from weakbox.terminology.birads import SEVERITY

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right", "e": "left", "d": "right", "esquerda": "left", "direita": "right"}
_VIEWS = {"o": "MLO", "mlo": "MLO", "ml": "ML", "lm": "LM", "cc": "CC", "xccl": "XCCL", "xccm": "XCCM", "lmo": "LMO", "at": "AT"}
_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4", "IVA": "4A", "IVB": "4B", "IVC": "4C", "V": "5", "VI": "6"}
_DENSITY = {"1": "a", "2": "b", "3": "c", "4": "d", "a": "a", "b": "b", "c": "c", "d": "d"}


def laterality_of(text: str) -> str:
    """``left`` or ``right``; also Portuguese ``E``/``D`` letters of INbreast and BCDR.

    Raises:
        ValueError: no side.

    >>> laterality_of("LEFT"), laterality_of("R")
    ('left', 'right')
    """
    return _known(_SIDES, text, "a side (left or right)")


def view_of(text: str) -> str:
    """The view's DICOM name: ``CC``, ``MLO``, ``ML`` ... (BCDR's ``O`` is oblique, MLO).

    Raises:
        ValueError: no mammographic view.
    """
    return _known(_VIEWS, text, "a mammographic view (CC, MLO, ML ...)")


def density_of(text: str) -> str:
    """BI-RADS breast density, ``a`` to ``d``, from ``DENSITY C``, ``3``, ``3.0`` or ``c`` (1 is a).

    Raises:
        ValueError: no density category.

    >>> density_of("DENSITY C"), density_of("3.0")
    ('c', 'c')
    """
    plain = re.sub(r"^(?:acr|density|category)[\s:_-]*", "", text.strip().casefold())
    return _known(_DENSITY, re.sub(r"\.0+$", "", plain), "a breast density (1-4 or A-D)")


def birads_of(text: str) -> str:
    """BI-RADS category ``0`` to ``6`` with ``4A``..``4C``, from ``BI-RADS 4``, ``4a``, ``4.0`` or ``IV``.

    Raises:
        ValueError: no category.

    >>> birads_of("BI-RADS 4"), birads_of("4a"), birads_of("5.0")
    ('4', '4A', '5')
    """
    plain = re.sub(r"^bi-?\s?rads[\s:_-]*", "", text.strip(), flags=re.IGNORECASE)
    plain = re.sub(r"\.0+$", "", plain).upper()
    plain = _ROMAN.get(plain, plain)
    if plain not in SEVERITY:
        raise ValueError(f"expected a BI-RADS category (0-6, 4A-4C), got {text!r}")
    return plain


def _known(words: dict[str, str], text: str, expected: str) -> str:
    found = words.get(text.strip().casefold())
    if found is None:
        raise ValueError(f"expected {expected}, got {text!r}")
    return found
