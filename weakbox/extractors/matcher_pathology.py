"""The second reader's patterns for prostate and breast pathology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weakbox.extractors.matcher_reading import Mark, Reading
from weakbox.extractors.matcher_values import (
    LOOK_AHEAD,
    Block,
    Found,
    Leaves,
    current_stretches,
    joined_blocks,
    label_of,
    leaf_of,
    one_of,
    only,
    put,
    scores_of,
    side_of,
)
from weakbox.records.stated import FieldValue
from weakbox.terminology.gleason import isup_grade

_OF = frozenset({"/", "of", "von", "van", "av", "de", "sur", "sobre"})
_ROMAN = frozenset({"i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"})
_MALIGNANT = ("idc", "ilc", "dcis")
_HIGH_RISK = ("lcis", "adh", "alh")
_HISTOLOGIES = (*_MALIGNANT, *_HIGH_RISK, "papilloma", "fibroadenoma")
_RESULTS = {
    "positive": "positive", "positiv": "positive", "positief": "positive", "positivo": "positive", "positif": "positive",
    "negative": "negative", "negativ": "negative", "negatief": "negative", "negativo": "negative", "négatif": "negative",
    "equivocal": "equivocal",
}  # fmt: skip


def _specimen_blocks(reading: Reading) -> list[Block]:
    """Each specimen label at a line's start ("A.", "2)", "III:") with the words up to the next; repeats are joined."""
    heads = []
    starts = [0, *(index + 1 for index, word in enumerate(reading.words) if word == "\n")]
    for start in starts:
        index = start + (start < len(reading.words) and reading.words[start] in "([")
        if index + 1 >= len(reading.words) or reading.words[index + 1] not in ".):-]":
            continue
        word = reading.cased[index]
        is_letter = len(word) == 1 and "A" <= word <= "Z"
        is_number = (word.isdigit() and len(word) <= 2) or (word.isupper() and word.lower() in _ROMAN)
        if (is_letter or is_number) and not reading.is_history[index]:
            heads.append((word, index, index + 1))
    return joined_blocks(reading, heads)


def _gleason(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Leaves:
    """Patterns a+b that all mentions share, with score and group."""
    found = []
    for start, end in stretches:
        for index in range(start, end - 2):
            if reading.words[index + 1] != "+" or not reading.is_current(index):
                continue
            first, second = reading.number(index), reading.number(index + 2)
            if first in (3, 4, 5) and second in (3, 4, 5):
                found.append(((float(first), float(second)), index, index + 3))
    patterns = only(found)
    if patterns is None or not isinstance(patterns[0], tuple):
        return {}
    primary, secondary = (int(float(value)) for value in patterns[0])
    parts: dict[str, FieldValue] = {"gleason_primary": primary, "gleason_secondary": secondary, "gleason_score": primary + secondary}
    parts["isup_grade"] = isup_grade(primary, secondary)
    return {name: leaf_of(reading, (value, *patterns[1:]), "patterns") for name, value in parts.items()}


def _group(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    return only(found for start, end in stretches for found in scores_of(reading, "isup", start, end))


def _cores(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Leaves:
    """ "2 of 3 cores" and "2/3 cores" that all mentions share."""
    found: list[Found] = []
    for start, end in stretches:
        for mark in reading.of("core", start=start, end=end):
            for index in (mark.start - 3, mark.start - 4, mark.end, mark.end + 1):
                if index < start or index + 2 >= end or reading.words[index + 1] not in _OF:
                    continue
                positive, total = reading.number(index), reading.number(index + 2)
                if positive is not None and total is not None and positive <= total <= 60 and positive.is_integer() and total.is_integer():
                    found.append(((positive, total), index, index + 3))
    counts = only(found)
    if counts is None or not isinstance(counts[0], tuple):
        return {}
    values = zip(("cores_positive", "cores_total"), counts[0], strict=True)
    return {name: leaf_of(reading, (int(float(value)), *counts[1:]), "fraction") for name, value in values}


def _percent(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    found: list[Found] = [
        (number, index, index + 2)
        for start, end in stretches
        for index in range(start, end - 1)
        if reading.words[index + 1] == "%" and (number := reading.number(index)) is not None and number <= 100
    ]
    return only(found)


def _prostate_diagnosis(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    stated = [mark for start, end in stretches for mark in reading.of("carcinoma", "hgpin", "asap", "benign", start=start, end=end)]
    stated = [mark for mark in stated if reading.is_current(mark.start)]
    cancer = [mark for mark in stated if mark.concept == "carcinoma" and not _is_covered(mark, stated)]
    positive = [mark for mark in cancer if not reading.is_negated(mark.start)]
    if positive and len(positive) == len(cancer):
        return "adenocarcinoma", positive[0].start, positive[0].end
    if positive:
        return None
    for concept in ("asap", "hgpin", "benign"):
        mark = next((mark for mark in stated if mark.concept == concept and not reading.is_negated(mark.start)), None)
        if mark is not None:
            return concept, mark.start, mark.end
    return None


def _is_covered(mark: Mark, others: Sequence[Mark]) -> bool:
    """ "no carcinoma" is a phrase for benign."""
    return any(other.concept != mark.concept and other.start <= mark.start and mark.end <= other.end for other in others)


def _procedure(reading: Reading, names: Mapping[str, str]) -> Found | None:
    marks = [mark for mark in reading.of(*names) if not reading.is_history[mark.start]]
    return only((names[mark.concept], mark.start, mark.end) for mark in marks)


def _prostate_specimen(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> Leaves:
    put(values, reading, "side", side_of(reading, stretches))
    levels = one_of(reading, stretches, ("base", "mid", "apex"))
    put(values, reading, "levels", None if levels is None else ((str(levels[0]),), levels[1], levels[2]))
    put(values, reading, "diagnosis", _prostate_diagnosis(reading, stretches))
    values |= _gleason(reading, stretches)
    if "isup_grade" not in values:
        put(values, reading, "isup_grade", _group(reading, stretches))
    values |= _cores(reading, stretches)
    put(values, reading, "percent_involved", _percent(reading, stretches))
    return values


def prostate_pathology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    """Case and specimens of a prostate pathology report."""
    blocks = _specimen_blocks(reading)
    items = [_prostate_specimen(reading, stretches, label_of(reading, label, place, "specimen_id")) for label, stretches, place in blocks]
    whole = list(current_stretches(reading))
    exam: Leaves = {}
    put(exam, reading, "procedure", _procedure(reading, {"biopsy": "biopsy", "prostatectomy": "prostatectomy", "turp": "turp"}))
    diagnosis = _prostate_diagnosis(reading, whole)
    if diagnosis is not None:
        put(exam, reading, "cancer_present", (diagnosis[0] == "adenocarcinoma", *diagnosis[1:]))
    exam |= {f"overall.{name}": leaf for name, leaf in _gleason(reading, whole).items()}
    if not blocks and diagnosis is not None:
        items = [_prostate_specimen(reading, whole, {})]
    return exam, [values for values in items if len(values) > 1]


def _breast_histology(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    marks = [mark for start, end in stretches for mark in reading.of(*_HISTOLOGIES, "malignant_other", start=start, end=end)]
    stated = [mark for mark in marks if reading.is_current(mark.start) and not _is_covered(mark, marks)]
    if any(mark.concept == "malignant_other" for mark in stated) or any(reading.is_negated(mark.start) for mark in stated):
        return None
    ranked = sorted(stated, key=lambda mark: _HISTOLOGIES.index(mark.concept))
    return (ranked[0].concept, ranked[0].start, ranked[0].end) if ranked else None


def _meaning(histology: str) -> str:
    return "malignant" if histology in _MALIGNANT else "high_risk" if histology in _HIGH_RISK else "benign"


def _marker(reading: Reading, name: str, stretches: Sequence[tuple[int, int]]) -> Found | None:
    found: list[Found] = []
    for start, end in stretches:
        for mark in reading.of(name, start=start, end=end):
            others = [other.start for other in reading.of("er", "pr", "her2", start=mark.end, end=end)]
            words = reading.words[mark.end : min([mark.end + LOOK_AHEAD, end, *others])]
            value = next((_RESULTS[word] for word in words if word in _RESULTS), None)
            if value is not None and (value != "equivocal" or name == "her2"):
                found.append((value, mark.start, mark.end + 1))
    return only(found)


def _breast_specimen(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> Leaves:
    put(values, reading, "side", side_of(reading, stretches))
    histology = _breast_histology(reading, stretches)
    if histology is not None:
        put(values, reading, "histology", histology)
        put(values, reading, "diagnosis", (_meaning(str(histology[0])), *histology[1:]))
    grades = (found for start, end in stretches for found in scores_of(reading, "grade", start, end) if int(str(found[0])) <= 3)
    put(values, reading, "grade", only(grades))
    for name in ("er", "pr", "her2"):
        put(values, reading, name, _marker(reading, name, stretches))
    return values


def breast_pathology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    """Case and specimens of a breast pathology report."""
    blocks = _specimen_blocks(reading)
    items = [_breast_specimen(reading, stretches, label_of(reading, label, place, "specimen_id")) for label, stretches, place in blocks]
    whole = list(current_stretches(reading))
    if not blocks:
        items = [_breast_specimen(reading, whole, {})]
    exam: Leaves = {}
    histology = _breast_histology(reading, whole)
    if histology is not None:
        put(exam, reading, "malignant", (histology[0] in _MALIGNANT, *histology[1:]))
    return exam, [values for values in items if "side" in values or "diagnosis" in values]
