"""The second reader's patterns for prostate MRI and for breast imaging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weakbox.extractors.matcher_reading import Mark, Reading, measurements
from weakbox.extractors.matcher_values import (
    LOOK_AHEAD,
    VERSION_WORDS,
    Block,
    Found,
    Leaves,
    current_stretches,
    joined_blocks,
    label_of,
    leaf_of,
    next_number,
    one_of,
    only,
    put,
    scores_of,
    side_of,
)
from weakbox.records.stated import FieldValue
from weakbox.terminology.birads import severity

PRINTED_SCALE = 4
"""So many different categories in one report are a printed scale rather than findings."""
SMALLEST_GLAND_ML = 5
_DENSITY_WORDS = {"fatty": "a", "scattered": "b", "heterogeneously": "c", "extremely": "d"}
_MOSTLY = frozenset({"entirely", "almost", "predominantly"})
_KINDS = ("mass", "calcifications", "cyst", "architectural_distortion", "asymmetry")


def _version(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("pirads"):
        for place in range(mark.end, min(mark.end + 3, len(reading.words))):
            word = reading.words[place]
            is_version = reading.words[place - 1] in VERSION_WORDS or "." in word
            if is_version and word in ("1", "2", "2.0", "2.1", "1.0"):
                yield word.removesuffix(".0"), mark.start, place + 1


def _psa(reading: Reading) -> Iterator[Found]:
    densities = {mark.start for mark in reading.of("psa_density")}
    for mark in reading.of("psa"):
        found = next_number(reading, mark.end, LOOK_AHEAD)
        if mark.start not in densities and found is not None and not reading.has_before(mark.start, "prior", LOOK_AHEAD):
            yield found[0], mark.start, found[1] + 1


def _psa_density(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("psa_density"):
        found = next_number(reading, mark.end, LOOK_AHEAD)
        if found is not None and found[0] < 5:
            yield found[0], mark.start, found[1] + 1


def _volume(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("volume"):
        for index in range(mark.end, min(mark.end + 2 * LOOK_AHEAD, len(reading.words) - 1)):
            if reading.sentence[index] != reading.sentence[mark.start]:
                break
            number = reading.number(index)
            if number is not None and number >= SMALLEST_GLAND_ML and _is_cubic(reading, index + 1):
                yield number, mark.start, index + 2
                break


def _is_cubic(reading: Reading, index: int) -> bool:
    following = reading.words[index + 1] if index + 1 < len(reading.words) else ""
    return reading.words[index] in ("ml", "cc", "ccm") or (reading.words[index] == "cm" and following in ("3", "³", "^"))


def prostate_radiology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    """Examination and lesions of a prostate MRI report."""
    exam: Leaves = {}
    for name in ("pirads", "likert"):
        scores = list(scores_of(reading, name))
        if scores and len({score[0] for score in scores}) < PRINTED_SCALE:
            put(exam, reading, f"exam.{name}", max(scores, key=lambda score: int(str(score[0]))))
    readers = {"pirads_version": _version, "psa_ng_ml": _psa, "psa_density": _psa_density, "prostate_volume_ml": _volume}
    for name, reader in readers.items():
        put(exam, reading, f"exam.{name}", only(reader(reading)))
    blocks = _lesion_blocks(reading)
    items = [_lesion(reading, stretches, label_of(reading, label, place)) for label, stretches, place in blocks]
    if not blocks and len({score[0] for score in scores_of(reading, "pirads")}) == 1:
        whole = [(start, end) for start, end in current_stretches(reading)]
        items = [_lesion(reading, whole, {})]
    return exam, [values for values in items if len(values) > 1]


def _lesion_blocks(reading: Reading) -> list[Block]:
    """Each labelled lesion with the words from its label to the next label or to the next heading of the report."""
    heads: list[tuple[str, Mark, int]] = []
    for mark in reading.of("lesion"):
        place = mark.end + (mark.end < len(reading.words) and reading.words[mark.end] in ("#", "no", "nr"))
        if place < len(reading.words) and _is_label(reading.cased[place]) and reading.is_current(mark.start):
            heads.append((reading.cased[place], mark, place + 1))
    return joined_blocks(reading, [(label, mark.start, end) for label, mark, end in heads])


def _is_label(word: str) -> bool:
    return (word.isdigit() and len(word) == 1) or (len(word) == 1 and "A" <= word <= "F")


def _lesion(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> Leaves:
    for name in ("pirads", "likert"):
        put(values, reading, name, only(found for start, end in stretches for found in scores_of(reading, name, start, end)))
    _place(reading, stretches, values)
    sizes = [size for start, end in stretches for size in measurements(reading, start, end) if reading.is_current(size.start)]
    if sizes:
        fullest = max(sizes, key=lambda size: len(size.values))
        if all(set(size.values) <= set(fullest.values) for size in sizes):
            put(values, reading, "size_mm", (fullest.values, fullest.start, fullest.end))
    return values


def _place(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> None:
    put(values, reading, "side", side_of(reading, stretches))
    put(values, reading, "zone", one_of(reading, stretches, ("PZ", "TZ", "AFS")))
    levels = one_of(reading, stretches, ("base", "mid", "apex"))
    if levels is not None:
        put(values, reading, "levels", ((str(levels[0]),), levels[1], levels[2]))


def _birads(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("birads"):
        if not reading.is_current(mark.start):
            continue
        found = next_number(reading, mark.end, LOOK_AHEAD)
        if found is None or not found[0].is_integer() or not 0 <= found[0] <= 6:
            continue
        value, end = str(int(found[0])), found[1] + 1
        if value == "4" and end < len(reading.words) and reading.words[end] in ("a", "b", "c"):
            value, end = value + reading.words[end].upper(), end + 1
        yield value, mark.start, end


def _density(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("density"):
        for index in range(mark.end, min(mark.end + 4, len(reading.words))):
            word = reading.words[index]
            if word.isdigit():
                break
            if len(word) == 1 and word in "abcd" and (reading.cased[index].isupper() or mark.concept == "density"):
                yield word, mark.start, index + 1
                break
    for index, word in enumerate(reading.words[:-1]):
        if word in _DENSITY_WORDS and (word != "fatty" or (index and reading.words[index - 1] in _MOSTLY)):
            yield _DENSITY_WORDS[word], index, index + 1


def _findings(reading: Reading) -> Iterator[Leaves]:
    """One a sentence that names a single kind with a size or a clock position."""
    seen: set[tuple[str, FieldValue]] = set()
    for mark in reading.of(*_KINDS):
        if reading.is_negated(mark.start) or not reading.is_current(mark.start):
            continue
        number = reading.sentence[mark.start]
        inside = [index for index, sentence in enumerate(reading.sentence) if sentence == number]
        stretch = (inside[0], inside[-1] + 1)
        sizes = list(measurements(reading, *stretch))
        if len(sizes) != 1 or (mark.concept, sizes[0].values) in seen:
            continue
        seen.add((mark.concept, sizes[0].values))
        values: Leaves = {"size_mm": leaf_of(reading, (sizes[0].values, sizes[0].start, sizes[0].end), "size")}
        put(values, reading, "kind", one_of(reading, [stretch], _KINDS))
        put(values, reading, "side", side_of(reading, [stretch]) or side_of(reading, list(current_stretches(reading))))
        yield values


def breast_radiology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    """Examination and findings of a breast imaging report."""
    exam: Leaves = {}
    categories = list(_birads(reading))
    if categories and len({category[0] for category in categories}) < PRINTED_SCALE:
        put(exam, reading, "exam.birads", max(categories, key=lambda found: severity(str(found[0]))))
    put(exam, reading, "exam.density", only(_density(reading)))
    marks = [mark for mark in reading.of("mammography", "ultrasound", "mri") if reading.is_current(mark.start)]
    put(exam, reading, "exam.modality", only((mark.concept, mark.start, mark.end) for mark in marks))
    return exam, list(_findings(reading))
