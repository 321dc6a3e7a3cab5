"""Targets of Prostate-MRI-US-Biopsy (TCIA, doi 10.7937/TCIA.2020.A61IOC1A): score and volume of each ROI, no coordinates.

The sheet has one row for each target and ultrasound series, so a target comes once for each biopsy session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from weakbox.records.biopsy import BiopsyTarget, Guidance
from weakbox.records.case import LedgerEntry
from weakbox.sources.field_reading import FieldError, read_integer, read_number
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Source
from weakbox.sources.table_reading import Columns, Row, TableOptions, read_rows

COLUMNS = Columns(
    required={
        "patient_id": ("Patient ID",),
        "series_uid": ("seriesInstanceUID_MR",),
        "label": ("Target No.",),
        "score": ("UCLA Score (Similar to PIRADS v2)", "UCLA Score"),
        "volume_ml": ("ROI Volume (cc)",),
    },
    optional={},
)
HIGHEST_SCORE = 5


class UclaTargetOptions(TableOptions):
    """The sheet ``Target-Data``."""


def read(options: UclaTargetOptions) -> Iterator[BiopsyTarget | LedgerEntry]:
    """One target for each MR series and target number, sorted; every further row of it is a dropped duplicate.

    Raises:
        InputError: no file, or a column is missing.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in read_rows(options, COLUMNS, "target"):
        if isinstance(row, LedgerEntry):
            yield row
            continue
        series_uid, label = row.text("series_uid"), row.text("label")
        if series_uid is None or label is None or row.text("patient_id") is None:
            yield dropped("target", f"{options.path.name}:{row.number}", "incomplete_row", "no patient, MR series or target number")
            continue
        groups[series_uid, label].append(row)
    for key in sorted(groups):
        yield from _read_group(options, key, groups[key])


def _read_group(options: UclaTargetOptions, key: tuple[str, str], rows: Sequence[Row]) -> Iterator[BiopsyTarget | LedgerEntry]:
    target_id = "/".join(key)
    patients = sorted({row.text("patient_id") or "" for row in rows})
    if len(patients) > 1:
        for row in rows:
            yield dropped("target", f"{options.path.name}:{row.number}", "conflicting_patient", "one MR series, several patients")
        return
    volumes, volume_problems = _numbers(rows, "volume_ml", 1000.0)
    scores, score_problems = _numbers(rows, "score", HIGHEST_SCORE)
    problems = [*volume_problems, *score_problems]
    problems += ["conflicting_volume"] if len(volumes) > 1 else []
    problems += ["conflicting_score"] if len(scores) > 1 else []
    problems += [] if volumes else ["no_volume"]
    target = _target(options, target_id, key, patients[0], max(volumes, default=None), max(scores, default=None), problems)
    yield target
    yield from _remarks(target, volumes, scores)
    for _ in rows[1:]:
        yield dropped("target", target_id, "duplicate", "another ultrasound series of the same target", target.patient_id)


def _numbers(rows: Sequence[Row], name: str, maximum: float) -> tuple[list[float], list[str]]:
    values: set[float] = set()
    problems: set[str] = set()
    for row in rows:
        try:
            value = read_number(row.text(name), minimum=0.0, maximum=maximum)
        except FieldError as error:
            problems.add(f"{error.reason}:{name}")
            continue
        if value is not None:
            values.add(value)
    return sorted(values), sorted(problems)


def _target(
    options: UclaTargetOptions,
    target_id: str,
    key: tuple[str, str],
    patient_id: str,
    volume: float | None,
    score: float | None,
    problems: Sequence[str],
) -> BiopsyTarget:
    """Of conflicting volumes and scores the highest is kept: a missed part of a lesion is the usual cause."""
    return BiopsyTarget(
        target_id=target_id,
        patient_id=patient_id,
        label=key[1],
        position=None,
        series_uid=key[0],
        volume_ml=volume or None,
        likert=read_integer(str(score), minimum=1, maximum=HIGHEST_SCORE) if score else None,
        guidance=Guidance.FUSION,
        source="ucla_targets",
        source_file=options.path.name,
        problems=tuple(sorted(problems)),
    )


def _remarks(target: BiopsyTarget, volumes: Sequence[float], scores: Sequence[float]) -> Iterator[LedgerEntry]:
    details = {
        "conflicting_volume": ", ".join(f"{volume:g}" for volume in volumes) + " mL; the largest is kept",
        "conflicting_score": ", ".join(f"{score:g}" for score in scores) + "; the highest is kept",
    }
    for problem in target.problems:
        reason, _, field = problem.partition(":")
        yield flagged("target", target.target_id, reason, details.get(reason, field), target.patient_id)


def files(options: UclaTargetOptions) -> tuple[Path, ...]:
    """The one sheet."""
    return (options.path,)


SOURCE = Source(family="biopsies", options=UclaTargetOptions, files=files, read=read)
