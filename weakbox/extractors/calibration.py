"""Calibrated confidences: how often a value read this way has been right. Applying them; ``calibration_fit`` fits them.

A confidence is made in two steps. A stacked logistic model sums up how the value was read: its field, rule and own
confidence, who agrees, doubts or is silent, flags, language, how many items there are and where in the text the words
stand. Then a curve for the group of fields (log-odds, slope and offset, drawn to the curve of all fields where errors
are few) maps that sum to a probability. Values are never changed. The parameters are readable JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from weakbox.extractors.contract import shape_of
from weakbox.extractors.label_model import LabelModel, Logistic, SourceSkill, group_of
from weakbox.records.errors import InputError
from weakbox.records.extraction import Finding, Flag, Item, ReportExtraction, Specimen
from weakbox.records.record import record
from weakbox.records.report import ReportType
from weakbox.records.stated import FieldValue, Stated

FOLDER = Path(__file__).parent / "calibration"
DEFAULT_FILE = FOLDER / "default.json"
FORMAT = 1
DIGITS = 4
LOWEST, HIGHEST = 0.01, 0.998
"""No value is certain: 500 values of a kind, all right, show no more than this."""
_WORD = re.compile(r"[^\s,:]+")
_REMARKS = frozenset({"no_findings_section", "no_impression_section", "unconfirmed", "doubted", "header"})
_POOLED = "*"

Leaf = Stated[FieldValue]
Row = tuple[str, str, Leaf, dict[str, float]]
"""Path as in the contract, field, leaf, features."""


@record
class Curve:
    """Log-odds in, log-odds out: ``slope * x + offset``."""

    slope: float
    offset: float


@record
class Calibrator:
    """The fitted model of one set of sources: the stack, the curves by group of fields, thresholds by group."""

    stack: Logistic
    curves: Mapping[str, Curve]
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """From ``risk_control``: the least confidence that keeps the group's risk; None where none was shown to."""

    def probability(self, name: str, features: Mapping[str, float], common: float = 0.0) -> float:
        """Of the value of the field ``name`` being right; ``common`` is what features that are not given again add."""
        curve = self.curves.get(group_of(name)) or self.curves[_POOLED]
        log_odds = curve.slope * (self.stack.log_odds(features) + common) + curve.offset
        chance = 1.0 / (1.0 + math.exp(-min(max(log_odds, -30.0), 30.0)))
        return min(max(chance, LOWEST), HIGHEST)


@record
class Parameters:
    """What was fitted, and on what. ``calibrators`` are keyed by the voting sources, sorted and joined: ``matcher+rules``."""

    calibrators: Mapping[str, Calibrator]
    labels: LabelModel
    fitted_on: Mapping[str, str | int | float] = field(default_factory=dict)
    """Digest and counts of the samples, and the error rates that were assumed of reports not seen."""

    def calibrator(self, extraction: ReportExtraction) -> Calibrator | None:
        """The calibrator for the sources that read this report."""
        return self.calibrators.get(source_key(extraction))


def source_key(extraction: ReportExtraction) -> str:
    """The sources that had a say, sorted and joined."""
    return "+".join(sorted(extraction.voters or (extraction.extractor,)))


def apply(extraction: ReportExtraction, parameters: Parameters) -> ReportExtraction:
    """The same values with calibrated confidences; unchanged where nothing was fitted for these sources."""
    calibrator = parameters.calibrator(extraction)
    if calibrator is None:
        return extraction
    common = calibrator.stack.log_odds(_common(extraction)) - calibrator.stack.intercept
    sure = {path: calibrator.probability(name, features, common) for path, name, _, features in _own_rows(extraction)}
    kind = shape_of(extraction.organ, extraction.report_type).item_kind
    exam = {name: _at(leaf, sure[name]) for name, leaf in extraction.exam.items()}
    items = [_with_confidence(item, kind, sure) for item in extraction.items]
    if extraction.report_type is ReportType.RADIOLOGY:
        return replace(extraction, exam=exam, findings=tuple(item for item in items if isinstance(item, Finding)))
    return replace(extraction, exam=exam, specimens=tuple(item for item in items if isinstance(item, Specimen)))


def _with_confidence(item: Item, kind: str, sure: Mapping[str, float]) -> Item:
    return replace(item, values={name: _at(leaf, sure[f"{kind}[{item.index}].{name}"]) for name, leaf in item.values.items()})


def _at(leaf: Leaf, confidence: float) -> Leaf:
    """The same value, so sure; ``dataclasses.replace`` takes three times as long, and a report has thirty values."""
    return Stated(
        value=leaf.value, evidence=leaf.evidence, source=leaf.source, confidence=confidence, assertion=leaf.assertion, rule=leaf.rule
    )


def rows_of(extraction: ReportExtraction) -> Iterator[Row]:
    """Every value of an extraction with the features of how it was read."""
    common = _common(extraction)
    for path, name, leaf, features in _own_rows(extraction):
        yield path, name, leaf, common | features


def _own_rows(extraction: ReportExtraction) -> Iterator[Row]:
    """The features of each value without those that all values of the report share."""
    kind = shape_of(extraction.organ, extraction.report_type).item_kind
    flags: dict[str, list[Flag]] = {}
    for flag in extraction.flags:
        flags.setdefault(flag.path, []).append(flag)
    length = max((leaf.evidence[-1].end for leaf in _all_leaves(extraction)), default=1)
    for name, leaf in extraction.exam.items():
        yield name, name, leaf, _features(extraction, name, leaf, flags.get(name, ()), (), length)
    for item in extraction.items:
        place = f"{kind}[{item.index}]"
        of_item = flags.get(place, ())
        for name, leaf in item.values.items():
            path = f"{place}.{name}"
            yield path, name, leaf, _features(extraction, name, leaf, flags.get(path, ()), of_item, length)


def _all_leaves(extraction: ReportExtraction) -> Iterator[Leaf]:
    yield from extraction.exam.values()
    for item in extraction.items:
        yield from item.values.values()


def _common(extraction: ReportExtraction) -> dict[str, float]:
    """Features that all values of a report share."""
    features = {f"kind:{extraction.organ}/{extraction.report_type.value}": 1.0, "items": math.log1p(len(extraction.items))}
    language = extraction.language or "en"
    if language != "en":
        features |= {"language:other": 1.0, f"language:{language}": 1.0}
    for code in {flag.code for flag in extraction.flags if not flag.path}:
        features[f"report_flag:{code}"] = 1.0
    doubts = sum(flag.code == "doubted" for flag in extraction.flags)
    features["doubts"] = math.log1p(doubts)
    features["others_flagged"] = math.log1p(sum(bool(flag.path) and flag.code not in _REMARKS for flag in extraction.flags))
    features["unconfirmed"] = math.log1p(sum(flag.code == "unconfirmed" for flag in extraction.flags))
    return features


def _features(
    extraction: ReportExtraction, name: str, leaf: Leaf, flags: Sequence[Flag], item_flags: Sequence[Flag], length: int
) -> dict[str, float]:
    sureness = min(max(leaf.confidence, 0.02), 0.995)
    features = dict.fromkeys(_named(extraction.organ, extraction.report_type, name, leaf.rule), 1.0)
    features["sureness"] = math.log(sureness / (1.0 - sureness))
    features["length"] = math.log(length / 1000.0)
    features["place"] = leaf.evidence[0].start / length
    for flag in flags:
        features[f"flag:{flag.code}"] = 1.0
    for flag in item_flags:
        features[f"item_flag:{flag.code}"] = 1.0
    if extraction.voters:
        agreeing = leaf.source.split("+")
        differing = {word for flag in flags if flag.code in ("conflict", "doubted") for word in _WORD.findall(flag.detail)}
        for voter in extraction.voters:
            stance = "agrees" if voter in agreeing else "differs" if voter in differing else "silent"
            features[f"{voter}:{stance}"] = 1.0
    return features


@lru_cache(maxsize=4096)
def _named(organ: str, report_type: ReportType, name: str, rule: str | None) -> tuple[str, str, str]:
    """The features that the field and the rule alone decide."""
    return f"group:{group_of(name)}", f"field:{organ}/{report_type.value}/{name}", f"rule:{rule}"


# ------------------------------------------------------------------ files


def as_document(parameters: Parameters) -> dict[str, Any]:
    """The parameters as a JSON object: numbers rounded, names sorted."""
    return {
        "format": FORMAT,
        "fitted_on": dict(parameters.fitted_on),
        "sources": {
            source: {
                group: {"accuracy": round(skill.accuracy, DIGITS), "silence": round(skill.silence, DIGITS), "count": skill.count}
                for group, skill in sorted(groups.items())
            }
            for source, groups in sorted(parameters.labels.skills.items())
        },
        "calibrators": {key: _calibrator_document(calibrator) for key, calibrator in sorted(parameters.calibrators.items())},
    }


def _calibrator_document(calibrator: Calibrator) -> dict[str, Any]:
    weights = {name: round(weight, DIGITS) for name, weight in sorted(calibrator.stack.weights.items())}
    return {
        "intercept": round(calibrator.stack.intercept, DIGITS),
        "weights": {name: weight for name, weight in weights.items() if weight},
        "curves": {
            group: {"slope": round(curve.slope, DIGITS), "offset": round(curve.offset, DIGITS)}
            for group, curve in sorted(calibrator.curves.items())
        },
        "thresholds": {g: None if t is None else round(t, DIGITS) for g, t in sorted(calibrator.thresholds.items())},
    }


def from_document(document: Mapping[str, Any], place: str) -> Parameters:
    """The parameters of a JSON object that ``as_document`` made; ``place`` names it in an error.

    Raises:
        InputError: a field that is missing or is not what it should be.
    """
    try:
        if document["format"] != FORMAT:
            msg = f"{place}: calibration format {document['format']!r}, expected {FORMAT}; fit it again with this version"
            raise InputError(msg)
        skills = {source: {group: _skill(entry) for group, entry in groups.items()} for source, groups in document["sources"].items()}
        calibrators = {key: _calibrator(entry) for key, entry in document["calibrators"].items()}
        return Parameters(calibrators=calibrators, labels=LabelModel(skills=skills), fitted_on=dict(document["fitted_on"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        msg = f"{place}: no calibration parameters ({type(error).__name__}: {error}); write them with `main.py calibrate`"
        raise InputError(msg) from None


def _skill(entry: Mapping[str, Any]) -> SourceSkill:
    skill = SourceSkill(accuracy=float(entry["accuracy"]), silence=float(entry["silence"]), count=int(entry["count"]))
    if not 0.0 < skill.accuracy < 1.0:
        msg = f"accuracy {skill.accuracy} does not lie between 0 and 1"
        raise ValueError(msg)
    return skill


def _calibrator(entry: Mapping[str, Any]) -> Calibrator:
    curves = {group: Curve(slope=float(curve["slope"]), offset=float(curve["offset"])) for group, curve in entry["curves"].items()}
    if _POOLED not in curves:
        msg = "no curve for all fields"
        raise ValueError(msg)
    stack = Logistic(intercept=float(entry["intercept"]), weights={str(name): float(weight) for name, weight in entry["weights"].items()})
    thresholds = {str(group): None if value is None else float(value) for group, value in entry["thresholds"].items()}
    return Calibrator(stack=stack, curves=curves, thresholds=thresholds)


@lru_cache(maxsize=8)
def read_parameters(path: Path = DEFAULT_FILE) -> Parameters:
    """The parameters of a file, read once a process.

    Raises:
        InputError: no such file, not JSON, or not such parameters.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); expected calibration parameters as `main.py calibrate` writes them"
        raise InputError(msg) from None
    except ValueError as error:
        msg = f"{path}: not JSON ({type(error).__name__}); expected calibration parameters as `main.py calibrate` writes them"
        raise InputError(msg) from None
    return from_document(document, str(path))


def write_parameters(parameters: Parameters, path: Path) -> None:
    """Write the parameters, whole or not at all."""
    from weakbox.runtime.store import write_text

    write_text(path, json.dumps(as_document(parameters), indent=1, ensure_ascii=False) + "\n")


def thresholds_of(extraction: ReportExtraction, parameters: Parameters) -> Mapping[str, float | None]:
    """The thresholds by group of fields that hold for the sources of this extraction; none where nothing was fitted."""
    calibrator = parameters.calibrator(extraction)
    return {} if calibrator is None else calibrator.thresholds
