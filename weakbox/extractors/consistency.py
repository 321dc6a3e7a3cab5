"""Rules that a report's values must obey among themselves. A breach is flagged and lowers confidence; nothing is ever fixed.

The rules are those of knowledge-graph checks that found contradictions in 3.3 % of prostatectomy reports, and of the
PI-RADS v2.1 tables. Checks that need values the contract does not hold (core length, gland dimensions) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from weakbox.records.extraction import Finding, Flag, Item, ReportExtraction, Specimen
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Stated
from weakbox.terminology.gleason import isup_grade, isup_grade_of_score
from weakbox.terminology.pirads import INDEX_SIZE_MM, derived_category

LOWERED = 0.7
"""Factor on the confidence of every value that takes part in a breach."""
DENSITY_TOLERANCE = 0.10
"""PSA density may differ from PSA / volume by this share before it is flagged."""

Values = Mapping[str, Stated[FieldValue]]
Breach = tuple[str, tuple[str, ...], str]
"""Code, the fields that do not fit, and what was expected (no report text)."""


def check(extraction: ReportExtraction) -> ReportExtraction:
    """The same values, with a flag and less confidence for each that breaks a rule."""
    rules = _RULES.get((extraction.organ, extraction.report_type))
    if rules is None:
        return extraction
    item_rules, exam_rules = rules
    kind = "lesions" if extraction.report_type is ReportType.RADIOLOGY else "specimens"
    flags = list(extraction.flags)
    items = []
    for item in extraction.items:
        breaches = [breach for rule in item_rules for breach in rule(item.values, extraction.exam)]
        flags += _flags(breaches, f"{kind}[{item.index}].")
        items.append(replace(item, values=_lowered(item.values, breaches)) if breaches else item)
    breaches = [breach for rule in exam_rules for breach in rule(extraction)]
    flags += _flags(breaches, "")
    exam = _lowered(extraction.exam, breaches)
    return _with_items(replace(extraction, exam=exam, flags=tuple(dict.fromkeys(flags))), items)


def _with_items(extraction: ReportExtraction, items: list[Item]) -> ReportExtraction:
    if extraction.report_type is ReportType.RADIOLOGY:
        return replace(extraction, findings=tuple(item for item in items if isinstance(item, Finding)))
    return replace(extraction, specimens=tuple(item for item in items if isinstance(item, Specimen)))


def _flags(breaches: list[Breach], prefix: str) -> list[Flag]:
    return [Flag(path=prefix + fields[0], code=code, detail=detail) for code, fields, detail in breaches]


def _lowered(values: Values, breaches: list[Breach]) -> Values:
    involved = {name for _, fields, _ in breaches for name in fields}
    return {name: replace(leaf, confidence=leaf.confidence * LOWERED) if name in involved else leaf for name, leaf in values.items()}


def _number(values: Values, name: str) -> float | None:
    leaf = values.get(name)
    return float(leaf.value) if leaf is not None and isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool) else None


def _whole(values: Values, name: str) -> int | None:
    number = _number(values, name)
    return None if number is None else int(number)


def _text(values: Values, name: str) -> str | None:
    leaf = values.get(name)
    return leaf.value if leaf is not None and isinstance(leaf.value, str) else None


def _grade(values: Values, prefix: str = "") -> Iterator[Breach]:
    primary, secondary = _whole(values, f"{prefix}gleason_primary"), _whole(values, f"{prefix}gleason_secondary")
    score, group = _whole(values, f"{prefix}gleason_score"), _whole(values, f"{prefix}isup_grade")
    if primary is not None and secondary is not None:
        if score is not None and score != primary + secondary:
            yield (
                "gleason_sum",
                (f"{prefix}gleason_score", f"{prefix}gleason_primary", f"{prefix}gleason_secondary"),
                "patterns do not add up to the score",
            )
        if group is not None and group != isup_grade(primary, secondary):
            yield (
                "isup_table",
                (f"{prefix}isup_grade", f"{prefix}gleason_primary", f"{prefix}gleason_secondary"),
                "group and patterns differ by the ISUP 2014 table",
            )
    elif score is not None and group is not None:
        expected = isup_grade_of_score(score)
        if (expected is not None and group != expected) or (expected is None and group not in (2, 3)):
            yield "isup_table", (f"{prefix}isup_grade", f"{prefix}gleason_score"), "group and score differ by the ISUP 2014 table"


def _item_grade(values: Values, _: Values) -> Iterator[Breach]:
    yield from _grade(values)


def _item_cores(values: Values, _: Values) -> Iterator[Breach]:
    positive, total = _whole(values, "cores_positive"), _whole(values, "cores_total")
    if positive is not None and total is not None and positive > total:
        yield "cores_exceed_total", ("cores_positive", "cores_total"), "more positive cores than cores"
    if positive == 0 and _text(values, "diagnosis") == "adenocarcinoma":
        yield "positive_cores", ("cores_positive", "diagnosis"), "carcinoma, but no positive core"
    if positive and _text(values, "diagnosis") in ("benign", "insufficient"):
        yield "positive_cores", ("cores_positive", "diagnosis"), "no carcinoma, but positive cores"


def _percent(values: Values, _: Values) -> Iterator[Breach]:
    percent = _number(values, "percent_involved")
    if percent is not None and not 0 <= percent <= 100:
        yield "percent_range", ("percent_involved",), "a share lies in 0..100 %"


def _case_cores(extraction: ReportExtraction) -> Iterator[Breach]:
    positive, total = _whole(extraction.exam, "cores_positive"), _whole(extraction.exam, "cores_total")
    if positive is not None and total is not None and positive > total:
        yield "cores_exceed_total", ("cores_positive", "cores_total"), "more positive cores than cores"
    for name, stated in (("cores_positive", positive), ("cores_total", total)):
        counts = [_whole(item.values, name) for item in extraction.items]
        known = [count for count in counts if count is not None]
        if stated is not None and known and (sum(known) > stated or (len(known) == len(counts) and sum(known) != stated)):
            yield "cores_sum", (name,), "the specimens' counts do not add up to the case's"


def _case_cancer(extraction: ReportExtraction) -> Iterator[Breach]:
    leaf = extraction.exam.get("cancer_present")
    has_cancer = any(_text(item.values, "diagnosis") in ("adenocarcinoma", "other_malignancy") for item in extraction.items)
    if leaf is not None and extraction.items and leaf.value is not has_cancer:
        yield "cancer_present", ("cancer_present",), "case and specimens differ"


def _overall_grade(extraction: ReportExtraction) -> Iterator[Breach]:
    yield from _grade(extraction.exam, "overall.")


def _density(extraction: ReportExtraction) -> Iterator[Breach]:
    psa, volume, density = (_number(extraction.exam, f"exam.{name}") for name in ("psa_ng_ml", "prostate_volume_ml", "psa_density"))
    if psa and volume and density and abs(density - psa / volume) > DENSITY_TOLERANCE * max(density, psa / volume) + 0.005:
        yield (
            "psa_density",
            ("exam.psa_density", "exam.psa_ng_ml", "exam.prostate_volume_ml"),
            "stated density is not PSA / volume within 10 %",
        )


def _highest_category(extraction: ReportExtraction) -> Iterator[Breach]:
    for name in ("pirads", "likert"):
        overall = _whole(extraction.exam, f"exam.{name}")
        lesions = [category for item in extraction.items if (category := _whole(item.values, name)) is not None]
        if overall is not None and lesions and overall != max(lesions):
            yield "overall_category", (f"exam.{name}",), "the overall category is not the highest of the lesions"


def _tables(values: Values, exam: Values) -> Iterator[Breach]:
    """The tables hold from version 2; version 1 added up the scores."""
    version = _text(exam, "exam.pirads_version") or "2.1"
    category, t2, dwi = (_whole(values, name) for name in ("pirads", "t2", "dwi"))
    zone = _text(values, "zone")
    if version == "1" or category is None or t2 is None or dwi is None or zone not in ("PZ", "TZ"):
        return
    derived = derived_category(zone, t2, dwi, is_dce_positive=_text(values, "dce") == "positive", version=version)
    if derived is not None and derived != category:
        yield "pirads_table", ("pirads", "t2", "dwi"), "category and sequence scores differ by the PI-RADS table"


def _size_of_five(values: Values, _: Values) -> Iterator[Breach]:
    category, dwi, diameter = _whole(values, "pirads"), _whole(values, "dwi"), _number(values, "max_diameter_mm")
    if category == 5 and diameter is not None and diameter < INDEX_SIZE_MM and dwi == 5:
        yield "pirads_size", ("pirads", "max_diameter_mm"), "category 5 below 15 mm needs extraprostatic extension"


def _sector(values: Values, _: Values) -> Iterator[Breach]:
    levels, zone = values.get("levels"), _text(values, "zone")
    if zone == "CZ" and levels is not None and isinstance(levels.value, tuple) and levels.value and "base" not in levels.value:
        yield "sector", ("zone", "levels"), "the central zone lies at the base"
    sectors, side = values.get("sectors"), _text(values, "side")
    if sectors is not None and isinstance(sectors.value, tuple) and side in ("left", "right"):
        wrong = "R_" if side == "left" else "L_"
        if any(str(code).startswith(wrong) for code in sectors.value):
            yield "sector", ("sectors", "side"), "a sector lies on the other side"


ItemRule = Callable[[Values, Values], Iterator[Breach]]
"""Of an item's values and those of the examination."""
ExamRule = Callable[[ReportExtraction], Iterator[Breach]]

_RULES: dict[tuple[str, ReportType], tuple[tuple[ItemRule, ...], tuple[ExamRule, ...]]] = {
    ("prostate", ReportType.PATHOLOGY): ((_item_grade, _item_cores, _percent), (_overall_grade, _case_cores, _case_cancer)),
    ("prostate", ReportType.RADIOLOGY): ((_tables, _size_of_five, _sector), (_density, _highest_category)),
}
