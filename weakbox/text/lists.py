"""Sets a list of specimens that stands in one line ("A ROI left mid; B left; C right") one item a line.

Only blanks become line ends and signs become colons, one for one, so that no place in the text moves.
"""

from __future__ import annotations

import re
from dataclasses import replace

from weakbox.text.normalise import Normalised

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_ITEM = re.compile(
    r"(?:^|(?<=\n)|(?<=[;,.:] ))[ \t]*(?P<label>[A-L]|[IVX]{1,4}|\d{1,2})(?:\.?[ ]?-[ ]?(?P<last>[A-L]|\d{1,2}))?"
    r"(?P<sign>\.?\)|[.:)]| =| -)?(?P<gap> +)(?=[^\W\d_])",
    re.MULTILINE,
)
_SECOND_ITEM = re.compile(r"[;,.:] +(?:[B-L]|[IVX]{2,4}|\d{1,2})(?:\.?\)|[.:)]| =| -)?[ -]")
"""What every inline list holds: without it no line is looked at."""
_FEWEST = 3
_SIDE_LEAD = re.compile(r"[ \t]*(?:[-*•][ \t]*)?(?:left|right|lt|rt|[LR])\b[^:\d\n]{0,20}:[ \t]+", re.IGNORECASE)
"""A side above all items of its line: it becomes a line of its own."""
_PLACE = re.compile(
    r"\b(?:left|right|base|apex|mid|lateral|medial|zone|roi|target|lobe|systematic|breast|axilla\w*|nodes?|quadrant|prostate|margin|vesicles?)\b",
    re.IGNORECASE,
)


def with_item_lines(text: Normalised) -> Normalised:
    """The text with every inline list of three or more labelled places broken into lines."""
    if _SECOND_ITEM.search(text.text) is None:
        return text
    signs = None
    start = reached = 0
    for line in text.text.split("\n"):
        runs = _items(line, reached + 1) if len(line) > 30 else []
        if runs:
            signs = signs or list(text.text)
            reached = _order(runs[-1]["last"] or runs[-1]["label"]) or 0
            if _SIDE_LEAD.fullmatch(line, 0, runs[0].start("label")):
                signs[start + runs[0].start("label") - 1] = "\n"
            for number, match in enumerate(runs):
                label = start + match.start("label")
                if number and signs[label - 1] in " \t":
                    signs[label - 1] = "\n"
                if match["sign"] is None:
                    signs[start + match.start("gap")] = ":"
                elif match["sign"] in (" =", " -"):
                    signs[start + match.end("sign") - 1] = ":"
        start += len(line) + 1
    if signs is None:
        return text
    changed = "".join(signs)
    return replace(text, text=changed, lower=changed.lower())


def _items(line: str, following: int) -> list[re.Match[str]]:
    """The items of the line's list: labels that count from the first on, each with a place, or that each end with a colon.

    ``following``: the place in its row of the label that would go on with the list of an earlier line.
    """
    found: list[re.Match[str]] = []
    for match in _ITEM.finditer(line):
        order = _order(match["label"])
        if order is None or (found and order != (_order(found[-1]["last"] or found[-1]["label"]) or 0) + 1):
            continue
        if found or order in (1, following) or (match["sign"] == ":" and not line[: match.start("label")].strip()):
            found.append(match)
    if len(found) < 2 or _kind(found[0]["label"]) != _kind(found[-1]["label"]):
        return []
    if all(match["sign"] == ":" for match in found) and not line[: found[0].start("label")].strip():
        return found
    bounds = [*(match.start() for match in found), len(line)]
    placed = sum(_PLACE.search(line, match.end(), bounds[number + 1]) is not None for number, match in enumerate(found))
    return found if len(found) >= _FEWEST and placed == len(found) and _order(found[0]["label"]) in (1, following) else []


def _kind(label: str) -> str:
    return "number" if label.isdigit() else "letter"


def _order(label: str) -> int | None:
    """Which place in its row a label has: 1, A and I are the first."""
    if label.isdigit():
        return int(label)
    if label in _ROMAN:
        return _ROMAN.index(label) + 1
    return ord(label) - ord("A") + 1 if len(label) == 1 else None
