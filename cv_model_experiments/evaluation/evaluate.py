"""A whole evaluation: join, refuse, measure every model in all and in subgroups, and test models against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cv_model_experiments.evaluation.cases import Unit, target_boxes, units_of, weak_label_statement
from cv_model_experiments.evaluation.comparing import compare
from cv_model_experiments.evaluation.detection import Detections, detect
from cv_model_experiments.evaluation.detection_maps import aggregates, collect
from cv_model_experiments.evaluation.estimates import Estimate, proportion
from cv_model_experiments.evaluation.hits import HitCriterion, hit_criterion
from cv_model_experiments.evaluation.joining import Joined, ModelData, join
from cv_model_experiments.evaluation.measuring import (
    ALL,
    Measured,
    case_data,
    case_estimates,
    class_estimates,
    coco_estimates,
    draws_of,
    lesion_estimates,
    picai_estimates,
)
from cv_model_experiments.evaluation.operating_point import (
    CASE_RULES,
    LESION_RULES,
    NoOperatingPoint,
    OperatingPoint,
    case_operating_point,
    lesion_operating_point,
    parse_rule,
)
from cv_model_experiments.evaluation.painted_cases import score_units
from cv_model_experiments.evaluation.ranking import Ranked
from cv_model_experiments.evaluation.report import CASE, CLASSES, COCO, PICAI, EvaluationReport, ModelReport
from cv_model_experiments.evaluation.settings import EvaluationSettings
from cv_model_experiments.evaluation.subgroups import LESION_PREFIX, lesion_fact, lesion_facts, unit_groups
from cv_model_experiments.predictions import PredictionSet
from weakbox.exporters.image_manifest import read_manifest
from weakbox.records.errors import InputError
from weakbox.runtime.digests import optional_file_digest

READ_OFF = 1.0
"""False positives a unit at which lesions of subgroups are read off the whole part's FROC curve."""


def evaluate(manifest: Path, sets: Sequence[PredictionSet], settings: EvaluationSettings) -> EvaluationReport:
    """Evaluate models on a part of an exported set.

    Raises:
        LeakageError: training patients are in the evaluated part.
        InputError: anything else that makes figures impossible or untrue (see ``join``).
    """
    criteria = check_settings(settings)
    if not sets:
        msg = "no predictions given; name at least one folder with --predictions"
        raise InputError(msg)
    joined = join(read_manifest(manifest), sets, settings)
    units = units_of(joined.rows, settings)
    _check_units(units, sets, settings)
    lesion_table = lesion_facts(joined.rows, manifest.parent, settings.lesion_table)
    models = tuple(_report(data, joined, units, manifest.parent, criteria, lesion_table, settings) for data in joined.models)
    weak = weak_label_statement(joined.rows)
    return EvaluationReport(
        rows=joined.rows,
        units=units,
        models=models,
        compared=tuple(compare(models, settings)),
        notes=(*((weak,) if weak else ()), *_unit_notes(units), *joined.notes, *_version_notes(manifest, sets)),
        settings=settings,
    )


def check_settings(settings: EvaluationSettings) -> tuple[HitCriterion, ...]:
    """The hit criteria; all rules are read before any work.

    Raises:
        ConfigurationError: a criterion or rule is none.
    """
    parse_rule(settings.case_operating_point, CASE_RULES)
    parse_rule(settings.lesion_operating_point, LESION_RULES)
    return tuple(hit_criterion(text) for text in settings.hit_criteria)


def _check_units(units: Sequence[Unit], sets: Sequence[PredictionSet], settings: EvaluationSettings) -> None:
    if all(unit.is_positive is None for unit in units) and not any(row.label for unit in units for row in unit.rows):
        msg = f"part {settings.part}: no image states a class or lesions, so nothing can be measured; export the set with labels"
        raise InputError(msg)
    only_detectors = all(predictions.header.tasks == ("detection",) for predictions in sets)
    if only_detectors and not any(target_boxes(row, settings) for unit in units for row in unit.rows):
        classes = sorted({str(box.label) for unit in units for row in unit.rows for box in row.boxes})
        msg = (
            f"part {settings.part}: no box of a positive class ({', '.join(settings.positive_classes)}); its boxes are of "
            f"{', '.join(classes) or 'no class: there are none'}. Name the classes in positive_classes, or take every box with lesions: all"
        )
        raise InputError(msg)


def _version_notes(manifest: Path, sets: Sequence[PredictionSet]) -> Iterator[str]:
    digest = optional_file_digest(manifest)
    for header in (predictions.header for predictions in sets):
        if header.manifest_sha256 not in (None, digest):
            yield f"{header.model}: its predictions were made on another version of the manifest; images were joined by image_id."


def _unit_notes(units: Sequence[Unit]) -> Iterator[str]:
    unknown = sum(unit.is_positive is None for unit in units)
    unlocated = sum(bool(unit.is_positive) and not unit.is_located for unit in units)
    classes = {unit.is_positive for unit in units} - {None}
    if unknown:
        yield f"{unknown} of {len(units)} units state neither a class nor lesions: they are in no figure."
    if unlocated:
        yield f"{unlocated} of {len(units)} units are positive without a box for it: they count for case figures, not for lesions."
    if len(classes) == 1:
        yield f"All units are {'positive' if True in classes else 'negative'}: AUROC and other figures of two classes are not defined."


def _report(
    data: ModelData,
    joined: Joined,
    units: tuple[Unit, ...],
    set_folder: Path,
    criteria: Sequence[HitCriterion],
    lesion_table: Mapping[str, Mapping[str, str]],
    settings: EvaluationSettings,
) -> ModelReport:
    header = data.predictions.header
    validation = units_of(joined.validation_rows[data.name], settings)
    cases = case_data(units, data.evaluated, header, settings)
    case_point = _case_point(validation, data, settings)
    measured = [
        Measured(model=data.name, group=ALL, section=CASE, estimate=estimate) for estimate in case_estimates(cases, case_point, settings)
    ]
    notes: list[str] = []
    if len(header.classes) > 2:
        measured += [_of(data, CLASSES, estimate) for estimate in class_estimates(units, data.evaluated, header, settings)]
    detections, lesion_point = None, None
    if "detection" in header.tasks:
        detections = detect(units, data.evaluated, criteria[0], settings)
        lesion_point = _lesion_point(validation, data, criteria[0], settings)
        measured += _lesion_measures(data, units, validation, criteria, detections, settings)
        measured += [_of(data, COCO, estimate) for estimate in coco_estimates(units, data.evaluated, settings)]
        if settings.picai:
            found, picai_notes = _picai(data, units, set_folder, settings)
            measured += found
            notes += picai_notes
    measured += _unit_subgroups(data, units, case_point, lesion_point, criteria[0], settings)
    measured += _lesion_subgroups(data, detections, lesion_point, lesion_table, settings)
    notes += [
        f"no operating point ({point.rule}): {point.reason}" for point in (case_point, lesion_point) if isinstance(point, NoOperatingPoint)
    ]
    return ModelReport(
        data=data,
        measured=tuple(measured),
        case_point=case_point,
        lesion_point=lesion_point,
        cases=cases,
        detections=detections,
        notes=tuple(f"{data.name}: {note}" for note in notes),
    )


def _of(data: ModelData, section: str, estimate: Estimate, group: str = ALL) -> Measured:
    return Measured(model=data.name, group=group, section=section, estimate=estimate)


def _case_point(validation: Sequence[Unit], data: ModelData, settings: EvaluationSettings) -> OperatingPoint | NoOperatingPoint:
    cases = case_data(validation, data.validation, data.predictions.header, settings)
    return case_operating_point(settings.case_operating_point, Ranked(cases.targets, cases.scores))


def _lesion_point(
    validation: Sequence[Unit], data: ModelData, criterion: HitCriterion, settings: EvaluationSettings
) -> OperatingPoint | NoOperatingPoint:
    found = detect(validation, data.validation, criterion, settings)
    return lesion_operating_point(settings.lesion_operating_point, found.ranked, len(found.units))


def _lesion_measures(
    data: ModelData,
    units: Sequence[Unit],
    validation: Sequence[Unit],
    criteria: Sequence[HitCriterion],
    first: Detections,
    settings: EvaluationSettings,
) -> Iterator[Measured]:
    for place, criterion in enumerate(criteria):
        detections = first if not place else detect(units, data.evaluated, criterion, settings)
        point = _lesion_point(validation, data, criterion, settings)
        for estimate in lesion_estimates(detections, point, settings):
            yield _of(data, f"lesions {criterion.name}", estimate)


def _picai(
    data: ModelData, units: Sequence[Unit], set_folder: Path, settings: EvaluationSettings
) -> tuple[list[Measured], tuple[str, ...]]:
    scored = score_units(units, data.evaluated, set_folder, data.predictions.folder, settings)
    if not scored.units:
        return [], scored.notes
    values, patients = aggregates(collect(scored.results)), [unit.patient for unit in scored.units]
    return [_of(data, PICAI, estimate) for estimate in picai_estimates(patients, scored.results, values, settings)], scored.notes


def _unit_subgroups(
    data: ModelData,
    units: Sequence[Unit],
    case_point: OperatingPoint | NoOperatingPoint,
    lesion_point: OperatingPoint | NoOperatingPoint | None,
    criterion: HitCriterion,
    settings: EvaluationSettings,
) -> Iterator[Measured]:
    for fact, value, places in unit_groups(units, settings.subgroups):
        own, group = tuple(units[place] for place in places), f"{fact}={value}"
        if len(own) < settings.smallest_subgroup:
            yield _of(data, CASE, Estimate(metric="AUROC", value=None, count=len(own), note=_too_few(settings)), group)
            continue
        cases = case_data(own, data.evaluated, data.predictions.header, settings)
        yield from (_of(data, CASE, estimate, group) for estimate in case_estimates(cases, case_point, settings))
        if lesion_point is not None:
            detections = detect(own, data.evaluated, criterion, settings)
            estimates = lesion_estimates(detections, lesion_point, settings, with_froc=False)
            yield from (_of(data, f"lesions {criterion.name}", estimate, group) for estimate in estimates)


def _too_few(settings: EvaluationSettings) -> str:
    return f"fewer than {settings.smallest_subgroup}: no value"


def _lesion_subgroups(
    data: ModelData,
    detections: Detections | None,
    point: OperatingPoint | NoOperatingPoint | None,
    table: Mapping[str, Mapping[str, str]],
    settings: EvaluationSettings,
) -> Iterator[Measured]:
    if detections is None or not detections.lesions:
        return
    rates, _, thresholds = detections.ranked.froc(len(detections.units))
    marks = [(f"sensitivity at {READ_OFF:g} FP of the whole part", float(thresholds[np.searchsorted(rates, READ_OFF, side="right") - 1]))]
    if isinstance(point, OperatingPoint):
        marks.append(("lesion sensitivity", point.threshold))
    boxes = {box.label_id: (row, box) for unit in detections.units for row in unit.rows for box in row.boxes}
    patients, draws = [unit.patient for unit in detections.units], draws_of(detections.units, settings)
    for fact in (name.removeprefix(LESION_PREFIX) for name in settings.subgroups if name.startswith(LESION_PREFIX)):
        values = {label_id: lesion_fact(row, box, fact, table) for label_id, (row, box) in boxes.items()}
        lesions = [entry for entry in detections.entries if entry.is_lesion and values.get(str(entry.label_id)) is not None]
        for value in sorted({str(values[str(entry.label_id)]) for entry in lesions}):
            own = [entry for entry in lesions if values[str(entry.label_id)] == value]
            for metric, threshold in marks:
                total = _per_unit([(entry.unit, 1.0) for entry in own], len(patients))
                found = _per_unit([(entry.unit, 1.0) for entry in own if entry.score >= threshold and entry.score > 0], len(patients))
                few = len(own) < settings.smallest_subgroup
                estimate = (
                    Estimate(metric=metric, value=None, count=len(own), note=_too_few(settings))
                    if few
                    else proportion(metric, found, total, patients, draws)
                )
                yield _of(data, "lesions", estimate, f"{LESION_PREFIX}{fact}={value}")


def _per_unit(counts: Sequence[tuple[int, float]], units: int) -> NDArray[np.float64]:
    total = np.zeros(units)
    for unit, count in counts:
        total[unit] += count
    return total
