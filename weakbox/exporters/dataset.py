"""Joins what the formats of the whole set are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from weakbox.exporters.exporter import DatasetCase
from weakbox.records.artifact import ExportedCase
from weakbox.records.label import CuratedCase
from weakbox.runtime.privacy import Pseudonymiser


def join_cases(cases: Iterable[CuratedCase], exported: Iterable[ExportedCase], identities: Pseudonymiser) -> list[DatasetCase]:
    """Curated cases with what was exported of them, joined by case id, sorted by research case id.

    Lists of files are dropped from the series, so that a large set fits in memory.
    """
    by_case = {item.case_id: item for item in exported}
    joined = [_joined(case, by_case[case.case_id], identities) for case in cases if case.case_id in by_case]
    return sorted(joined, key=lambda item: item.identity.case_id)


def _joined(case: CuratedCase, exported: ExportedCase, identities: Pseudonymiser) -> DatasetCase:
    identity = identities.identity(case.patient_id, case.case_id)
    return DatasetCase(case=_without_files(case), identity=identity, artifacts=exported.artifacts)


def _without_files(case: CuratedCase) -> CuratedCase:
    series = tuple(dataclasses.replace(item, instances=()) for item in case.study.series)
    return dataclasses.replace(case, study=dataclasses.replace(case.study, series=series))
