"""Labels of breast specimens: the marks of every pathology report, and bare ones ("I Core biopsy L breast") that a list confirms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from weakbox.extractors.grammar.breast.pathology_words import choice
from weakbox.extractors.grammar.pathology.labels import Label, label_of, labels_of
from weakbox.extractors.grammar.pathology.passages import Passage, Role

_MARKED = re.compile(
    r"(?:(?<=\s)|(?<=[\"'(\[]))(?P<noun>(?i:specimens?|parts?|pots?|containers?|samples?|preparations?|jars?)[ \t]+(?:(?i:no\.?"
    r"|#)[ \t]*)?)?(?P<open>[(\[])?"
    r"(?P<ids>[A-Z]|\d{1,2}|[IVX]{2,4}|[a-z](?=\)))(?P<close>[)\]]|[.:](?!\d))(?=[ \t]*\S)"
)
_BARE = re.compile(
    r"(?<!\S)(?=[ \t]*[A-Z\d])"
    r"(?:(?:^|(?<=\n)|(?<=\s\s)|(?<=[.;,:]\s))[ \t]*(?P<ids>[IVX]{1,4}|\d{1,2}|[A-Z])[ \t]+(?:-[ \t]+)?(?=[A-Za-z\d\"'])"
    r"|(?<=\s)(?P<dashed>[IVX]{1,4}|\d{1,2}|[A-Z])[ \t]+[-:][ \t]+(?=[A-Z]))",
    re.MULTILINE,
)
_COUNTED = re.compile(
    r"(?:tiny |small |linear |needle |tissue |positive |intact |of )*(?:cores?|nodes?|lymph|mm|cm|of|x|fragments?|pieces?|slides?|blocks?"
    r"|g|kg|gauge|weeks?|years?|months?|days?|lesions?|foci|masses|sections?|strips?|levels?|mitos\w+|hpf|hours?|o'?\s?clock|out|-|to)\b",
    re.IGNORECASE,
)
_NUMBERED_BEFORE = re.compile(
    r"\b(?:grade|score|stage|level|levels|type|category|figure|table|phase|no|number|birads|bi-rads|class|scores?|group|and|to|of|or|x|than"
    r"|block|blocks|cassettes?|slides?|from|in|with|is|by|about|tubules?|nuclei|nuclear|pleomorphism|mitos[ei]s|mitotic|acini|dr|prof|mr|mrs)"
    r"[ \t:=#]*$",
    re.IGNORECASE,
)
_SITE_FOLLOWS = re.compile(
    r"[ \t]*[\"']?(?:(?i:left|right|lt|rt|breast|axill\w+|sentinel|lymph|nodes?|sln\w*|(?:additional|revised|new|further|final"
    r"|re-?excision)"
    r"|(?:superior|inferior|medial|lateral|anterior|posterior|deep|superficial)\b|margins?|shav\w+|skin|nipple|cavity|core|cores|fna\w*"
    r"|wle|lumpectomy|mastectomy|excision|biops\w+|stereo\w*|ultrasound|us[- ]guided|vab|slnb|mri|completion|axilla|internal mammary|int)\b"
    r"|[RL]\b)"
)
_LONGEST_HEAD = 70
_MEASURE = re.compile(r"\s?(?:x|\*|by|mm|cm|g|gm|gms|grams?|%|/)\s?(?![A-Za-z])", re.IGNORECASE)
"""What makes a number after "specimen" a measurement ("Specimen 22 x 16 cm")."""


def find_labels(text: str, lower: str, passages: Sequence[Passage]) -> list[list[Label]]:
    """The possible labels of each passage, in order; bare ones only where a list of specimens counts with them."""
    marked = [_marked_labels(text, passage) for passage in passages]
    bare = [_bare_labels(text, passage) for passage in passages]
    known = _known_lists(lower, passages, bare) | {
        _key(label)
        for passage, labels in zip(passages, marked, strict=True)
        if passage.role is not Role.GROSS
        for label in labels
        if (passage.role is Role.SPECIMEN_LIST or not label.is_inline) and _has_site(lower, label, passage.end)
    }
    return [_merged(labels, [label for label in own if _key(label) in known]) for labels, own in zip(marked, bare, strict=True)]


def _key(label: Label) -> tuple[str, tuple[int, ...]]:
    return (label.scheme, label.ordinals)


def _merged(labels: Sequence[Label], more: Sequence[Label]) -> list[Label]:
    taken = {(label.start, label.scheme) for label in labels}
    return sorted([*labels, *(label for label in more if (label.start, label.scheme) not in taken)], key=lambda label: label.start)


def _marked_labels(text: str, passage: Passage) -> list[Label]:
    shared = [label for label in labels_of(text, passage) if not _is_no_specimen(text, passage, label)]
    own: list[Label] = []
    for match in _MARKED.finditer(text, passage.start, passage.end):
        before = text[max(passage.start, match.start() - 24) : match.start()]
        if _is_mark(text, match, before):
            is_inline = bool(before.rpartition("\n")[2].strip(" \t\"'-*•#"))
            found = [
                replace(label, has_noun=match["noun"] is not None, is_inline=is_inline, body=match.end())
                for label in label_of(match["ids"], match.span("ids"))
            ]
            own += [label for label in found if not _is_no_specimen(text, passage, label)]
    return _merged(shared, own)


_LESIONS_BEFORE = re.compile(
    r"\b(?:lesions?|tumou?rs?|foci|masses|nodules|areas|as follows)\s*[:(]\s*(?:[^\n]{0,60}\s)?[(]?$", re.IGNORECASE
)
_LENGTH_FOLLOWS = re.compile(r"[).:]*\s*\d{1,3}(?:[.,]\d)?\s?(?:x|mm|cm)\b", re.IGNORECASE)
_BLOCK_BEFORE = re.compile(r"\b(?:blocks?|cassettes?|slides?|sections?)[ ]*#?[ ]*$", re.IGNORECASE)
_SIDE_FOLLOWS = re.compile(
    r"\.?[ ]+(?i:breast|axill|wle|mastec|lumpec|core|sln|sentinel|node|mrm|fna|vab|uoq|uiq|loq|liq|upper|lower|nipple)"
)


def _is_no_specimen(text: str, passage: Passage, label: Label) -> bool:
    """Whether a mark is a measurement, a side ("Site: R breast"), the number of a lesion or in somebody else's brackets."""
    if _is_within_brackets(text, label) or _MEASURE.match(text, label.end) or label.written == "0":
        return True
    if label.scheme == "mixed" and _BLOCK_BEFORE.search(text, max(0, label.start - 14), label.start):
        return True
    row = text[text.rfind("\n", 0, label.start) + 1 : label.start]
    if row.rstrip(" \t(").endswith("|") and row.strip(" \t|("):
        return True
    if label.written in ("R", "L") and _SIDE_FOLLOWS.match(text, label.end):
        return True
    if not _LENGTH_FOLLOWS.match(text, label.end):
        return False
    line = text[text.rfind("\n", 0, label.start) + 1 : label.start]
    return _LESIONS_BEFORE.search(line) is not None or (label.is_inline and passage.role is not Role.GROSS)


def _is_within_brackets(text: str, label: Label) -> bool:
    """Whether a mark closes brackets that other words opened: "(largest focus, specimen 1)"."""
    line = text.rfind("\n", 0, label.start) + 1
    before = text[line : label.start]
    opening = before.rfind("(")
    return (
        opening > before.rfind(")")
        and bool(before[opening + 1 :].strip(" #"))
        and text[label.end : label.end + 1] == ")"
        and label.is_inline
    )


def _is_mark(text: str, match: re.Match[str], before: str) -> bool:
    close = match["close"]
    if match["open"] is None and close in ")]":
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if line.count("(") > line.count(")"):
            return False
    if match["noun"]:
        return before.endswith("  ") or not before.strip() or before.rstrip()[-1:] in ".;,\n"
    if _NUMBERED_BEFORE.search(before):
        return False
    if close in ".:" or match["open"]:
        is_apart = not before.strip() or before[-1:] in "\"'\n" or before.endswith("  ") or before.rstrip()[-1:] in ".;:,"
        return (
            is_apart and (close not in ":" or before.rstrip()[-1:] != ":")
            if match["ids"].isdigit()
            else (is_apart or _SITE_FOLLOWS.match(text, match.end()) is not None)
        )
    return True


def _bare_labels(text: str, passage: Passage) -> list[Label]:
    found: list[Label] = []
    for match in _BARE.finditer(text, passage.start, passage.end):
        written = "dashed" if match["ids"] is None else "ids"
        if match[written].isdigit() and _COUNTED.match(text, match.end()):
            continue
        before = text[max(passage.start, match.start() - 24) : match.start()]
        is_inline = bool(before.rpartition("\n")[2].strip())
        found += [
            replace(label, has_noun=False, is_inline=is_inline, body=match.end()) for label in label_of(match[written], match.span(written))
        ]
    return found


def _known_lists(lower: str, passages: Sequence[Passage], bare: Sequence[Sequence[Label]]) -> set[tuple[str, tuple[int, ...]]]:
    """The labels of lists without marks that count from the first without a gap, each with words for a site."""
    known: set[tuple[str, tuple[int, ...]]] = set()
    for passage, labels in zip(passages, bare, strict=True):
        if passage.role is Role.GROSS:
            continue
        for scheme in ("number", "roman", "upper"):
            listed = [label for label in labels if label.scheme == scheme and _has_site(lower, label, passage.end)]
            firsts: list[Label] = []
            for label in listed:
                if label.ordinals == (len(firsts) + 1,):
                    firsts.append(label)
            if len(firsts) > 1:
                known |= {_key(label) for label in firsts}
    return known


def _has_site(lower: str, label: Label, end: int) -> bool:
    head = lower[label.body : min(end, label.body + _LONGEST_HEAD)].partition("\n")[0]
    return choice("specimens", "tissue").search(head) is not None
