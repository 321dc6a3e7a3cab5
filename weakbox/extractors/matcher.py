"""A second reader for ``extractors: [rules, matcher]``: spaCy phrase patterns and token windows, nothing of the grammars.

It confirms or doubts; it need not be good, it must err differently. A field of which it is unsure (two different values,
a prior, a scale that is printed) it leaves out, so its silence says nothing. It has no options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from weakbox.extractors.extractor import abstain
from weakbox.extractors.matcher_reading import Mark, Reading, measurements, read
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import ExtractionStatus, Finding, Item, ReportExtraction, Specimen
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Stated
from weakbox.terminology.gleason import isup_grade

NAME = "matcher"
DEFAULT_ORGAN = "prostate"
CONFIDENCE = 0.8
"""Before calibration knows better."""
PRINTED_SCALE = 4
"""So many different categories in one report are a printed scale rather than findings."""
SMALLEST_GLAND_ML = 5
_LOOK_AHEAD = 8
_FILLERS = frozenset({
    "(", ")", ",", "-", ":", "=", "about", "and", "approx", "assessment", "ca", "categorie", "category", "categoría", "cc",
    "class", "classification", "code", "estimated", "final", "for", "g", "grade", "groep", "group", "groupe", "grupo",
    "gruppe", "is", "kategori", "kategorie", "klasse", "level", "measured", "ml", "ng", "of", "overall", "risk", "score",
    "the", "–",
})  # fmt: skip
_VERSION_WORDS = frozenset({"v", "version", "versie", "versión", "ver"})
_OF = frozenset({"/", "of", "von", "van", "av", "de", "sur", "sobre"})
_ROMAN = frozenset({"i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"})
_BIRADS_ORDER = ("1", "2", "3", "0", "4", "4A", "4B", "4C", "5", "6")
_DENSITY_WORDS = {"fatty": "a", "scattered": "b", "heterogeneously": "c", "extremely": "d"}
_KINDS = ("mass", "calcifications", "cyst", "architectural_distortion", "asymmetry")
_MALIGNANT = ("idc", "ilc", "dcis")
_HIGH_RISK = ("lcis", "adh", "alh")
_HISTOLOGIES = (*_MALIGNANT, *_HIGH_RISK, "papilloma", "fibroadenoma")
_RESULTS = {
    "positive": "positive", "positiv": "positive", "positief": "positive", "positivo": "positive", "positif": "positive",
    "negative": "negative", "negativ": "negative", "negatief": "negative", "negativo": "negative", "négatif": "negative",
    "equivocal": "equivocal",
}  # fmt: skip

Leaf = Stated[FieldValue]
Leaves = dict[str, Leaf]
Found = tuple[Any, int, int]
"""A value and the tokens that state it."""
Block = tuple[str, list[tuple[int, int]], tuple[int, int]]
"""A label, the stretches of tokens that it heads, and where the label stands."""


class MatcherExtractor:
    """The second reader as an extractor."""

    name = NAME

    def extract(self, report: Report) -> ReportExtraction:
        """What the patterns see in ``report``; an abstention where they see nothing."""
        organ = report.organ or DEFAULT_ORGAN
        reader = _READERS.get((organ, report.report_type))
        if reader is None:
            return abstain(report, organ, NAME, "no_patterns", "the second reader has no patterns for this organ")
        reading = read(report.text)
        if not reading.words:
            return abstain(report, organ, NAME, "empty", "the report has no words")
        exam, items = reader(reading)
        if not exam and not items:
            return abstain(report, organ, NAME, "nothing_read")
        kind: type[Finding] | type[Specimen] = Finding if report.report_type is ReportType.RADIOLOGY else Specimen
        made: list[Item] = [
            kind(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=values)
            for index, values in enumerate(items)
        ]
        return ReportExtraction(
            report_id=report.report_id,
            patient_id=report.patient_id,
            report_type=report.report_type,
            organ=organ,
            status=ExtractionStatus.OK,
            exam=exam,
            findings=tuple(item for item in made if isinstance(item, Finding)),
            specimens=tuple(item for item in made if isinstance(item, Specimen)),
            extractor=NAME,
        )


def _leaf(reading: Reading, found: Found, rule: str) -> Leaf:
    value, start, end = found
    return Stated(value=value, evidence=(reading.span(start, end),), source=NAME, confidence=CONFIDENCE, rule=rule)


def _only(candidates: Iterable[Found]) -> Found | None:
    """The one value that all candidates give; None where they differ or there is none."""
    found = list(candidates)
    return found[0] if found and all(other[0] == found[0][0] for other in found) else None


def _set(values: Leaves, reading: Reading, name: str, found: Found | None) -> None:
    if found is not None:
        values[name] = _leaf(reading, found, name.rpartition(".")[2])


def _next_number(reading: Reading, start: int, window: int) -> tuple[float, int] | None:
    """The first number after a token in its sentence, over fillers only."""
    for index in range(start, min(start + window, len(reading.words))):
        number = reading.number(index)
        if number is not None:
            return number, index
        if reading.words[index] not in _FILLERS:
            return None
    return None


# ------------------------------------------------------------------ prostate radiology


def _scores(reading: Reading, concept: str, start: int = 0, end: int | None = None) -> Iterator[Found]:
    """Categories of the scale that are of this examination."""
    for mark in reading.of(concept, start=start, end=end):
        if not reading.is_current(mark.start):
            continue
        place = _after_version(reading, mark.end)
        found = _next_number(reading, place, _LOOK_AHEAD)
        if found is None or not found[0].is_integer() or not 1 <= found[0] <= 5:
            continue
        value, index = found
        higher = reading.number(index + 2) if index + 1 < len(reading.words) and reading.words[index + 1] in "-–" else None
        yield int(higher) if higher is not None and value < higher <= 5 else int(value), mark.start, index + 1


def _after_version(reading: Reading, index: int) -> int:
    for place in range(index, min(index + 3, len(reading.words))):
        word = reading.words[place]
        if word in _VERSION_WORDS:
            return place + 2
        if reading.number(place) is not None and "." in word:
            return place + 1
    return index


def _version(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("pirads"):
        for place in range(mark.end, min(mark.end + 3, len(reading.words))):
            word = reading.words[place]
            is_version = reading.words[place - 1] in _VERSION_WORDS or "." in word
            if is_version and word in ("1", "2", "2.0", "2.1", "1.0"):
                yield word.removesuffix(".0"), mark.start, place + 1


def _psa(reading: Reading) -> Iterator[Found]:
    densities = {mark.start for mark in reading.of("psa_density")}
    for mark in reading.of("psa"):
        found = _next_number(reading, mark.end, _LOOK_AHEAD)
        if mark.start not in densities and found is not None and not reading.has_before(mark.start, "prior", _LOOK_AHEAD):
            yield found[0], mark.start, found[1] + 1


def _psa_density(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("psa_density"):
        found = _next_number(reading, mark.end, _LOOK_AHEAD)
        if found is not None and found[0] < 5:
            yield found[0], mark.start, found[1] + 1


def _volume(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("volume"):
        for index in range(mark.end, min(mark.end + 2 * _LOOK_AHEAD, len(reading.words) - 1)):
            if reading.sentence[index] != reading.sentence[mark.start]:
                break
            number = reading.number(index)
            if number is not None and number >= SMALLEST_GLAND_ML and _is_cubic(reading, index + 1):
                yield number, mark.start, index + 2
                break


def _is_cubic(reading: Reading, index: int) -> bool:
    following = reading.words[index + 1] if index + 1 < len(reading.words) else ""
    return reading.words[index] in ("ml", "cc", "ccm") or (reading.words[index] == "cm" and following in ("3", "³", "^"))


def _prostate_radiology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    exam: Leaves = {}
    for name in ("pirads", "likert"):
        scores = list(_scores(reading, name))
        if scores and len({score[0] for score in scores}) < PRINTED_SCALE:
            _set(exam, reading, f"exam.{name}", max(scores, key=lambda score: int(str(score[0]))))
    readers = {"pirads_version": _version, "psa_ng_ml": _psa, "psa_density": _psa_density, "prostate_volume_ml": _volume}
    for name, reader in readers.items():
        _set(exam, reading, f"exam.{name}", _only(reader(reading)))
    blocks = _lesion_blocks(reading)
    items = [_lesion(reading, stretches, _label(reading, label, place)) for label, stretches, place in blocks]
    if not blocks and len({score[0] for score in _scores(reading, "pirads")}) == 1:
        whole = [(start, end) for start, end in _current_stretches(reading)]
        items = [_lesion(reading, whole, {})]
    return exam, [values for values in items if len(values) > 1]


def _label(reading: Reading, label: str, place: tuple[int, int], name: str = "lesion_id") -> Leaves:
    return {name: _leaf(reading, (label, *place), "label")}


def _current_stretches(reading: Reading) -> Iterator[tuple[int, int]]:
    start = None
    for index, is_history in enumerate([*reading.is_history, True]):
        if not is_history and start is None:
            start = index
        elif is_history and start is not None:
            yield start, index
            start = None


def _lesion_blocks(reading: Reading) -> list[Block]:
    """Each labelled lesion with the words from its label to the next label or to the next heading of the report."""
    heads: list[tuple[str, Mark, int]] = []
    for mark in reading.of("lesion"):
        place = mark.end + (mark.end < len(reading.words) and reading.words[mark.end] in ("#", "no", "nr"))
        if place < len(reading.words) and _is_label(reading.cased[place]) and reading.is_current(mark.start):
            heads.append((reading.cased[place], mark, place + 1))
    return _joined(reading, [(label, mark.start, end) for label, mark, end in heads])


def _is_label(word: str) -> bool:
    return (word.isdigit() and len(word) == 1) or (len(word) == 1 and "A" <= word <= "F")


def _joined(reading: Reading, heads: Sequence[tuple[str, int, int]]) -> list[Block]:
    blocks: dict[str, Block] = {}
    for position, (label, start, end) in enumerate(heads):
        stop = heads[position + 1][1] if position + 1 < len(heads) else len(reading.words)
        stop = next((i for i in range(end, stop) if reading.words[i] == "\n" and _is_heading(reading, i + 1)), stop)
        blocks.setdefault(label, (label, [], (start, end)))[1].append((start, stop))
    return list(blocks.values())


def _is_heading(reading: Reading, index: int) -> bool:
    """A line of capitals, or one that is empty and followed by "Word:"."""
    end = next((place for place in range(index, len(reading.words)) if reading.words[place] in "\n:"), len(reading.words))
    words = [word for word in reading.cased[index:end] if word.isalpha()]
    return bool(words) and end - index <= 3 and all(word.isupper() and len(word) > 3 for word in words)


def _lesion(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> Leaves:
    for name in ("pirads", "likert"):
        _set(values, reading, name, _only(found for start, end in stretches for found in _scores(reading, name, start, end)))
    _place(reading, stretches, values)
    sizes = [size for start, end in stretches for size in measurements(reading, start, end) if reading.is_current(size.start)]
    if sizes:
        fullest = max(sizes, key=lambda size: len(size.values))
        if all(set(size.values) <= set(fullest.values) for size in sizes):
            _set(values, reading, "size_mm", (fullest.values, fullest.start, fullest.end))
    return values


def _place(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> None:
    _set(values, reading, "side", _side(reading, stretches))
    _set(values, reading, "zone", _one_of(reading, stretches, ("PZ", "TZ", "AFS")))
    levels = _one_of(reading, stretches, ("base", "mid", "apex"))
    if levels is not None:
        _set(values, reading, "levels", ((str(levels[0]),), levels[1], levels[2]))


def _one_of(reading: Reading, stretches: Sequence[tuple[int, int]], concepts: tuple[str, ...]) -> Found | None:
    """The concept that alone of these is mentioned, not negated."""
    marks = [mark for start, end in stretches for mark in reading.of(*concepts, start=start, end=end)]
    return _only((mark.concept, mark.start, mark.end) for mark in marks if not reading.is_negated(mark.start))


def _side(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    found = _one_of(reading, stretches, ("left", "right", "both"))
    return None if found is None or found[0] == "both" else found


# ------------------------------------------------------------------ pathology


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
    return _joined(reading, heads)


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
    patterns = _only(found)
    if patterns is None or not isinstance(patterns[0], tuple):
        return {}
    primary, secondary = (int(float(value)) for value in patterns[0])
    parts: dict[str, FieldValue] = {"gleason_primary": primary, "gleason_secondary": secondary, "gleason_score": primary + secondary}
    parts["isup_grade"] = isup_grade(primary, secondary)
    return {name: _leaf(reading, (value, *patterns[1:]), "patterns") for name, value in parts.items()}


def _group(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    return _only(found for start, end in stretches for found in _scores(reading, "isup", start, end))


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
    counts = _only(found)
    if counts is None or not isinstance(counts[0], tuple):
        return {}
    values = zip(("cores_positive", "cores_total"), counts[0], strict=True)
    return {name: _leaf(reading, (int(float(value)), *counts[1:]), "fraction") for name, value in values}


def _percent(reading: Reading, stretches: Sequence[tuple[int, int]]) -> Found | None:
    found: list[Found] = [
        (number, index, index + 2)
        for start, end in stretches
        for index in range(start, end - 1)
        if reading.words[index + 1] == "%" and (number := reading.number(index)) is not None and number <= 100
    ]
    return _only(found)


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
    return _only((names[mark.concept], mark.start, mark.end) for mark in marks)


def _prostate_specimen(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> Leaves:
    _set(values, reading, "side", _side(reading, stretches))
    levels = _one_of(reading, stretches, ("base", "mid", "apex"))
    _set(values, reading, "levels", None if levels is None else ((str(levels[0]),), levels[1], levels[2]))
    _set(values, reading, "diagnosis", _prostate_diagnosis(reading, stretches))
    values |= _gleason(reading, stretches)
    if "isup_grade" not in values:
        _set(values, reading, "isup_grade", _group(reading, stretches))
    values |= _cores(reading, stretches)
    _set(values, reading, "percent_involved", _percent(reading, stretches))
    return values


def _prostate_pathology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    blocks = _specimen_blocks(reading)
    items = [_prostate_specimen(reading, stretches, _label(reading, label, place, "specimen_id")) for label, stretches, place in blocks]
    whole = list(_current_stretches(reading))
    exam: Leaves = {}
    _set(exam, reading, "procedure", _procedure(reading, {"biopsy": "biopsy", "prostatectomy": "prostatectomy", "turp": "turp"}))
    diagnosis = _prostate_diagnosis(reading, whole)
    if diagnosis is not None:
        _set(exam, reading, "cancer_present", (diagnosis[0] == "adenocarcinoma", *diagnosis[1:]))
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
            words = reading.words[mark.end : min([mark.end + _LOOK_AHEAD, end, *others])]
            value = next((_RESULTS[word] for word in words if word in _RESULTS), None)
            if value is not None and (value != "equivocal" or name == "her2"):
                found.append((value, mark.start, mark.end + 1))
    return _only(found)


def _breast_specimen(reading: Reading, stretches: Sequence[tuple[int, int]], values: Leaves) -> Leaves:
    _set(values, reading, "side", _side(reading, stretches))
    histology = _breast_histology(reading, stretches)
    if histology is not None:
        _set(values, reading, "histology", histology)
        _set(values, reading, "diagnosis", (_meaning(str(histology[0])), *histology[1:]))
    grades = (found for start, end in stretches for found in _scores(reading, "grade", start, end) if int(str(found[0])) <= 3)
    _set(values, reading, "grade", _only(grades))
    for name in ("er", "pr", "her2"):
        _set(values, reading, name, _marker(reading, name, stretches))
    return values


def _breast_pathology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    blocks = _specimen_blocks(reading)
    items = [_breast_specimen(reading, stretches, _label(reading, label, place, "specimen_id")) for label, stretches, place in blocks]
    whole = list(_current_stretches(reading))
    if not blocks:
        items = [_breast_specimen(reading, whole, {})]
    exam: Leaves = {}
    histology = _breast_histology(reading, whole)
    if histology is not None:
        _set(exam, reading, "malignant", (histology[0] in _MALIGNANT, *histology[1:]))
    return exam, [values for values in items if "side" in values or "diagnosis" in values]


# ------------------------------------------------------------------ breast radiology


def _birads(reading: Reading) -> Iterator[Found]:
    for mark in reading.of("birads"):
        if not reading.is_current(mark.start):
            continue
        found = _next_number(reading, mark.end, _LOOK_AHEAD)
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
        if word in _DENSITY_WORDS and (word != "fatty" or reading.words[index - 1] in ("entirely", "almost", "predominantly")):
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
        values: Leaves = {"size_mm": _leaf(reading, (sizes[0].values, sizes[0].start, sizes[0].end), "size")}
        _set(values, reading, "kind", _one_of(reading, [stretch], _KINDS))
        _set(values, reading, "side", _side(reading, [stretch]) or _side(reading, list(_current_stretches(reading))))
        yield values


def _breast_radiology(reading: Reading) -> tuple[Leaves, list[Leaves]]:
    exam: Leaves = {}
    categories = list(_birads(reading))
    if categories and len({category[0] for category in categories}) < PRINTED_SCALE:
        _set(exam, reading, "exam.birads", max(categories, key=lambda found: _BIRADS_ORDER.index(str(found[0]))))
    _set(exam, reading, "exam.density", _only(_density(reading)))
    marks = [mark for mark in reading.of("mammography", "ultrasound", "mri") if reading.is_current(mark.start)]
    _set(exam, reading, "exam.modality", _only((mark.concept, mark.start, mark.end) for mark in marks))
    return exam, list(_findings(reading))


_READERS: Mapping[tuple[str, ReportType], Callable[[Reading], tuple[Leaves, list[Leaves]]]] = {
    ("prostate", ReportType.RADIOLOGY): _prostate_radiology,
    ("prostate", ReportType.PATHOLOGY): _prostate_pathology,
    ("breast", ReportType.RADIOLOGY): _breast_radiology,
    ("breast", ReportType.PATHOLOGY): _breast_pathology,
}


def open_matcher(options: Mapping[str, Any]) -> MatcherExtractor:
    """The extractor for ``extractors: [..., matcher]``.

    Raises:
        ConfigurationError: an option, of which it has none.
    """
    if options:
        msg = f"extraction.options.matcher: the extractor `matcher` has no options, got {', '.join(sorted(options))}"
        raise ConfigurationError(msg)
    return MatcherExtractor()


EXTRACTOR = open_matcher
